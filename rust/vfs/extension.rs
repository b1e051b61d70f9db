// SPDX-License-Identifier: GPL-2.0

//! Extension inodes: inodes that are the same file at another offset.
//!
//! They hang on a list of the inode that they extend, their base, and live as long as it: who refers to an extension holds
//! a reference to the base. Nothing but a mapping of pages is ever reached through them; names, attributes and `i_rwsem`
//! are the base's.

use super::{
    bindings,
    file_system::FileSystem,
    inode::{
        Inode,
        Locked,
        New,
        WithData, //
    },
};
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    },
};

/// The next extension of the same base; in the base, the first.
///
/// # Invariants
///
/// Null or an extension with a reference that belongs to the list.
pub(super) struct Link(AtomicPtr<bindings::inode>);

impl Link {
    /// The end of a list.
    pub(super) const fn end() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    fn get(&self) -> *mut bindings::inode {
        // Pairs with the release in `Locked::add_extension`.
        self.0.load(Ordering::Acquire)
    }
}

/// The extensions of an inode.
pub(crate) struct Extensions<'a, T: FileSystem>(*mut bindings::inode, PhantomData<&'a Inode<T>>);

impl<'a, T: FileSystem> Iterator for Extensions<'a, T> {
    type Item = &'a Inode<T>;

    #[inline]
    fn next(&mut self) -> Option<&'a Inode<T>> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: The list holds a reference to each of its inodes until the base is evicted, which nobody else uses then,
        // and the base is borrowed for `'a`.
        let inode: &'a Inode<T> = unsafe { Inode::from_raw(self.0) };
        self.0 = inode.link().get();
        Some(inode)
    }
}

impl<T: FileSystem> Inode<T> {
    fn link(&self) -> &Link {
        // SAFETY: By the type invariants the inode is part of a `WithData`; `link` is set up with it.
        unsafe { &(*self.as_ptr().cast::<WithData<T>>()).link }
    }

    /// The extensions of this inode. More may be added at any time, unless it is locked.
    #[inline]
    pub(crate) fn extensions(&self) -> Extensions<'_, T> {
        let first = if self.is_extension() {
            ptr::null_mut()
        } else {
            self.link().get()
        };
        Extensions(first, PhantomData)
    }

    /// Whether this inode has extensions. Not for one that is an extension itself.
    #[inline]
    pub(crate) fn has_extensions(&self) -> bool {
        !self.link().get().is_null()
    }

    /// Whether this is an extension.
    #[inline]
    pub(crate) fn is_extension(&self) -> bool {
        // SAFETY: The inode is live, and the field constant once others can see it.
        !unsafe { (*self.as_ptr()).i_private }.is_null()
    }

    /// The inode that this one extends, or itself.
    #[inline]
    pub(crate) fn base(&self) -> &Self {
        // SAFETY: The inode is live, and the field constant once others can see it.
        let base = unsafe { (*self.as_ptr()).i_private };
        if base.is_null() {
            self
        } else {
            // SAFETY: `add_extension` set it. References to extensions are counted in the base, so that it lives as long as
            // this borrow.
            unsafe { Self::from_raw(base.cast()) }
        }
    }
}

impl<T: FileSystem> Locked<T> {
    /// Makes `inode` an extension of this one, which must not be one itself.
    pub(crate) fn add_extension(&self, inode: New<T>) -> &Inode<T> {
        let raw = inode.into_raw();
        // SAFETY: Nobody else knows the inode yet. The list takes over the reference, and is what makes it known. Nobody
        // else adds to it, for this inode is locked.
        unsafe {
            (*raw).i_private = self.base().as_ptr().cast();
            let new: &Inode<T> = Inode::from_raw(raw);
            let first = &self.base().link().0;
            new.link()
                .0
                .store(first.load(Ordering::Relaxed), Ordering::Relaxed);
            first.store(raw, Ordering::Release);
            Inode::from_raw(raw)
        }
    }

    /// Sets the size of `extension`, which is one of this inode's.
    pub(crate) fn set_extension_size(&self, extension: &Inode<T>, size: i64) {
        if ptr::eq(extension.base(), &**self) {
            // SAFETY: The inode is live, and nobody else writes its size: that is done with the base locked.
            unsafe { bindings::i_size_write(extension.as_ptr(), &size) }
        }
    }
}

/// Drops the extensions of an inode that nobody uses any more.
///
/// # Safety
///
/// `inode` is one of `T`'s that is being evicted.
pub(super) unsafe fn drop_extensions<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY: By the function's contract.
    let inode: &Inode<T> = unsafe { Inode::from_raw(inode) };
    if inode.is_extension() {
        return;
    }
    let mut next = inode.link().0.swap(ptr::null_mut(), Ordering::Acquire);
    while let Some(extension) = NonNull::new(next) {
        // SAFETY: The list has a reference to it, which is given up here. Its own link is not followed again.
        unsafe {
            next = Inode::<T>::from_raw(extension.as_ptr()).link().get();
            bindings::iput(extension.as_ptr());
        }
    }
}
