// SPDX-License-Identifier: GPL-2.0

//! Work queues: what the kernel crate's abstraction of them lacks.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use super::bindings;
use kernel::{
    sync::Arc,
    workqueue::{
        HasDelayedWork,
        Work, //
    },
};

/// Runs the delayed work of `item` at once if it is queued, and returns when it is through. May sleep. Returns whether there was
/// any; if not, no code of the module runs for it, unless it is queued again.
pub(crate) fn flush_delayed<T: HasDelayedWork<T>>(item: &Arc<T>) -> bool {
    // SAFETY: The item is alive as long as the borrow. By the contract of `HasDelayedWork` its work is the field `work` of a
    // `delayed_work`.
    unsafe {
        let work = Work::raw_get(T::raw_get_work((&raw const **item).cast_mut()));
        bindings::flush_delayed_work(kernel::container_of!(work, bindings::delayed_work, work))
    }
}
