// SPDX-License-Identifier: GPL-2.0

//! Reader-writer semaphores.
//!
//! C header: [`include/linux/rwsem.h`](srctree/include/linux/rwsem.h)

use super::bindings;
use kernel::{
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// A `struct rw_semaphore` that protects no data of its own but an order of events: holders of [`RwSem::read`] exclude
/// holders of [`RwSem::write_killable`].
#[pin_data]
#[repr(transparent)]
pub(crate) struct RwSem {
    #[pin]
    sem: Opaque<bindings::rw_semaphore>,
}

// SAFETY: A semaphore is made to be used by several threads.
unsafe impl Sync for RwSem {}
// SAFETY: An unlocked semaphore is not tied to a thread, and guards borrow it.
unsafe impl Send for RwSem {}

impl RwSem {
    /// Makes an unlocked semaphore. All of them are of one lockdep class.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writing, and stays where it is: the field is pinned.
            sem <- Opaque::ffi_init(|slot| unsafe { bindings::init_rwsem(slot) }),
        })
    }

    /// Locks for reading. May sleep.
    #[inline]
    pub(crate) fn read(&self) -> RwSemReadGuard<'_> {
        // SAFETY: The semaphore was initialised by `new`.
        unsafe { bindings::down_read(self.sem.get()) };
        RwSemReadGuard(self, NotThreadSafe)
    }

    /// Locks for writing. May sleep; a fatal signal ends the wait with `EINTR`.
    #[inline]
    pub(crate) fn write_killable(&self) -> Result<RwSemWriteGuard<'_>> {
        // SAFETY: The semaphore was initialised by `new`.
        kernel::error::to_result(unsafe { bindings::down_write_killable(self.sem.get()) })?;
        Ok(RwSemWriteGuard(self, NotThreadSafe))
    }
}

/// An [`RwSem`] held for reading, until dropped.
#[must_use = "the semaphore unlocks immediately when the guard is unused"]
pub(crate) struct RwSemReadGuard<'a>(&'a RwSem, NotThreadSafe);

impl Drop for RwSemReadGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The guard stands for the semaphore being held for reading by this thread.
        unsafe { bindings::up_read(self.0.sem.get()) };
    }
}

/// An [`RwSem`] held for writing, until dropped.
#[must_use = "the semaphore unlocks immediately when the guard is unused"]
pub(crate) struct RwSemWriteGuard<'a>(&'a RwSem, NotThreadSafe);

impl Drop for RwSemWriteGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The guard stands for the semaphore being held for writing by this thread.
        unsafe { bindings::up_write(self.0.sem.get()) };
    }
}
