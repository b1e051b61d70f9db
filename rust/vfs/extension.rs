// SPDX-License-Identifier: GPL-2.0

//! Extension inodes: inodes that are the same file at another offset.
//!
//! They hang on a list of the inode that they extend, their base, or are its segments, in an array by their number, and live
//! as long as it: who refers to an extension holds a reference to the base. Nothing but a mapping of pages is ever reached
//! through them; names, attributes and `i_rwsem` are the base's.

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
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// What an inode extends, and what is extended by it.
///
/// # Invariants
///
/// `base` is null, or the inode that this one extends, which lives as long as anybody refers to this one. It is constant once
/// others can see the inode. `next` is null, or the next extension of the same base, in the base the first, with a reference
/// that belongs to the list.
pub(super) struct Link {
    base: AtomicPtr<bindings::inode>,
    next: AtomicPtr<bindings::inode>,
}

impl Link {
    /// What extends nothing.
    pub(super) const fn none() -> Self {
        Self {
            base: AtomicPtr::new(ptr::null_mut()),
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    fn base(&self) -> *mut bindings::inode {
        self.base.load(Ordering::Relaxed)
    }

    fn next(&self) -> *mut bindings::inode {
        // Pairs with the release in `Inode::add_extension`.
        self.next.load(Ordering::Acquire)
    }
}

/// The segments of an inode by their number.
///
/// # Invariants
///
/// Each entry is an extension with a reference that belongs to the array.
pub(super) struct Segments(Opaque<bindings::xarray>);

impl Segments {
    /// Sets up an array without segments.
    ///
    /// # Safety
    ///
    /// `this` has to be valid for writing, and what is there must not be moved afterwards.
    pub(super) unsafe fn init(this: *mut Self) {
        // SAFETY: By the function's contract; the wrapper has the layout of what it wraps.
        unsafe { bindings::segments_init(this.cast()) }
    }

    fn as_ptr(&self) -> *mut bindings::xarray {
        self.0.get()
    }
}

/// The extensions of an inode on its list.
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
        self.0 = inode.link().next();
        Some(inode)
    }
}

impl<T: FileSystem> Inode<T> {
    fn link(&self) -> &Link {
        // SAFETY: By the type invariants the inode is part of a `WithData`; `link` is set up with it.
        unsafe { &(*self.as_ptr().cast::<WithData<T>>()).link }
    }

    fn segments(&self) -> &Segments {
        // SAFETY: By the type invariants the inode is part of a `WithData`; `segments` is set up with it.
        unsafe { &(*self.as_ptr().cast::<WithData<T>>()).segments }
    }

    /// The segment `number`, if there is one.
    pub(crate) fn segment(&self, number: usize) -> Option<&Self> {
        // SAFETY: The array is set up.
        let found = unsafe { bindings::xa_load(self.segments().as_ptr(), number) };
        // SAFETY: The array has a reference to it until this inode is evicted.
        (!found.is_null()).then(|| unsafe { Self::from_raw(found.cast()) })
    }

    /// The first segment with a number from `first` to `last`, and that.
    pub(crate) fn segment_from(&self, first: usize, last: usize) -> Option<(usize, &Self)> {
        let mut number = first;
        // SAFETY: The array is set up.
        let found = unsafe {
            bindings::xa_find(
                self.segments().as_ptr(),
                &mut number,
                last,
                bindings::SNAPMAPFS_XA_PRESENT,
            )
        };
        // SAFETY: The array has a reference to it until this inode is evicted.
        (!found.is_null()).then(|| (number, unsafe { Self::from_raw(found.cast()) }))
    }

    /// Whether there are segments.
    #[inline]
    pub(crate) fn has_segments(&self) -> bool {
        // SAFETY: The array is set up, and the field a word that is read at once. An old value is as good as a later one.
        !unsafe { (&raw const (*self.segments().as_ptr()).xa_head).read_volatile() }.is_null()
    }

    /// Makes `inode` an extension of this one, or of what this one extends.
    ///
    /// Errors: `EXDEV` if it is one of another superblock.
    fn extend_by(&self, inode: &New<'_, T>) -> Result {
        if !inode.is_beside(self) {
            return Err(EXDEV);
        }
        // INVARIANT: Nobody else knows the inode yet; the caller sees to it that it lives as long as the base.
        inode
            .link()
            .base
            .store(self.base().as_ptr(), Ordering::Relaxed);
        Ok(())
    }

    /// Makes `inode` the segment `number` of this one, or of what this one extends.
    ///
    /// Errors: `EBUSY` if there is one already, `EXDEV` if it is one of another superblock, `ENOMEM`.
    pub(crate) fn add_segment(&self, number: usize, inode: New<'_, T>) -> Result {
        self.extend_by(&inode)?;
        // SAFETY: The array is set up.
        to_result(unsafe {
            bindings::segments_insert(self.base().segments().as_ptr(), number, inode.as_ptr())
        })?;
        // The array takes over the reference.
        let _ = inode.into_raw();
        Ok(())
    }

    /// The extensions of this inode on its list. More may be added at any time.
    #[inline]
    pub(crate) fn extensions(&self) -> Extensions<'_, T> {
        let first = if self.is_extension() {
            ptr::null_mut()
        } else {
            self.link().next()
        };
        Extensions(first, PhantomData)
    }

    /// Whether this inode has extensions on its list. Not for one that is an extension itself.
    #[inline]
    pub(crate) fn has_extensions(&self) -> bool {
        !self.link().next().is_null()
    }

    /// Whether this is an extension.
    #[inline]
    pub(crate) fn is_extension(&self) -> bool {
        !self.link().base().is_null()
    }

    /// The inode that this one extends, or itself.
    #[inline]
    pub(crate) fn base(&self) -> &Self {
        let base = self.link().base();
        if base.is_null() {
            self
        } else {
            // SAFETY: By the invariants of `Link`. Who refers to an extension has a reference to the base.
            unsafe { Self::from_raw(base) }
        }
    }
}

impl<T: FileSystem> Inode<T> {
    /// Puts `inode` on the list of extensions of this one, or of what this one extends.
    ///
    /// Errors: `EXDEV` if it is one of another superblock.
    pub(crate) fn add_extension(&self, inode: New<'_, T>) -> Result {
        self.extend_by(&inode)?;
        let first = &self.base().link().next;
        let mut next = first.load(Ordering::Relaxed);
        loop {
            inode.link().next.store(next, Ordering::Relaxed);
            // The list takes over the reference, and is what makes the inode known.
            match first.compare_exchange(next, inode.as_ptr(), Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(other) => next = other,
            }
        }
        let _ = inode.into_raw();
        Ok(())
    }
}

impl<T: FileSystem> Locked<T> {
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
    let mut next = inode.link().next.swap(ptr::null_mut(), Ordering::Acquire);
    while let Some(extension) = NonNull::new(next) {
        // SAFETY: The list has a reference to it, which is given up here. Its own link is not followed again.
        unsafe {
            next = Inode::<T>::from_raw(extension.as_ptr()).link().next();
            bindings::iput(extension.as_ptr());
        }
    }
    while let Some((number, segment)) = inode.segment_from(0, usize::MAX) {
        let segment = segment.as_ptr();
        // SAFETY: The array has a reference to it, which is given up here, with the entry.
        unsafe {
            bindings::xa_erase(inode.segments().as_ptr(), number);
            bindings::iput(segment);
        }
    }
    // SAFETY: The array is set up, and nobody uses it any more.
    unsafe { bindings::xa_destroy(inode.segments().as_ptr()) };
}
