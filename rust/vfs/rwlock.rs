// SPDX-License-Identifier: GPL-2.0

//! Reader-writer spin locks.
//!
//! C header: [`include/linux/rwlock.h`](srctree/include/linux/rwlock.h)

use super::bindings;
use core::{
    cell::UnsafeCell,
    ops::{
        Deref,
        DerefMut, //
    },
};
use kernel::{
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// Data behind a `rwlock_t`: many readers or one writer, none of which may sleep.
#[pin_data]
pub(crate) struct RwLock<T> {
    #[pin]
    lock: Opaque<bindings::rwlock_t>,
    data: UnsafeCell<T>,
}

// SAFETY: The lock hands its data to one thread at a time for writing, whichever it is, so `T` has to be `Send` for
// the lock to be shared, and to several at a time for reading, so it has to be `Sync`.
unsafe impl<T: Send + Sync> Sync for RwLock<T> {}
// SAFETY: The lock owns its data and is not tied to a thread.
unsafe impl<T: Send> Send for RwLock<T> {}

impl<T> RwLock<T> {
    /// Makes an unlocked lock. All of them are of one lockdep class.
    pub(crate) fn new(data: T) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writing a `rwlock_t`, and stays where it is: the field is pinned.
            lock <- Opaque::ffi_init(|slot| unsafe { bindings::rwlock_init(slot) }),
            data: UnsafeCell::new(data),
        })
    }

    /// Locks for reading.
    #[inline]
    pub(crate) fn read(&self) -> ReadGuard<'_, T> {
        // SAFETY: The lock was initialised by `new`.
        unsafe { bindings::read_lock(self.lock.get()) };
        ReadGuard {
            lock: self,
            _not_send: NotThreadSafe,
        }
    }

    /// Locks for reading, unless there is a writer.
    #[inline]
    pub(crate) fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        // SAFETY: The lock was initialised by `new`.
        if !unsafe { bindings::read_trylock(self.lock.get()) } {
            return None;
        }
        Some(ReadGuard {
            lock: self,
            _not_send: NotThreadSafe,
        })
    }

    /// Locks for writing.
    #[inline]
    pub(crate) fn write(&self) -> WriteGuard<'_, T> {
        // SAFETY: The lock was initialised by `new`.
        unsafe { bindings::write_lock(self.lock.get()) };
        WriteGuard {
            lock: self,
            _not_send: NotThreadSafe,
        }
    }
}

/// Shared access to the data of a [`RwLock`], until dropped.
pub(crate) struct ReadGuard<'a, T> {
    lock: &'a RwLock<T>,
    _not_send: NotThreadSafe,
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: The lock is held for reading, so nobody writes.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The guard stands for the lock being held for reading.
        unsafe { bindings::read_unlock(self.lock.lock.get()) };
    }
}

/// Exclusive access to the data of a [`RwLock`], until dropped.
pub(crate) struct WriteGuard<'a, T> {
    lock: &'a RwLock<T>,
    _not_send: NotThreadSafe,
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: The lock is held for writing, so nobody else writes.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: The lock is held for writing, so nobody else has access.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The guard stands for the lock being held for writing.
        unsafe { bindings::write_unlock(self.lock.lock.get()) };
    }
}
