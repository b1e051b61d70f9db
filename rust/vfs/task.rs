// SPDX-License-Identifier: GPL-2.0

//! The running task.

use super::bindings;

/// Whether a signal that will end the task is pending.
#[inline]
pub(crate) fn fatal_signal_pending() -> bool {
    // SAFETY: There always is a running task.
    unsafe { bindings::fatal_signal_pending() }
}

/// Lets others run, if it is their turn. May sleep.
#[inline]
pub(crate) fn cond_resched() {
    // SAFETY: The caller may sleep.
    unsafe { bindings::cond_resched() };
}

/// Sleeps for about a millisecond.
pub(crate) fn sleep_ms() {
    kernel::time::delay::fsleep(kernel::time::Delta::from_millis(1));
}
