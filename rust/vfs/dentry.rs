// SPDX-License-Identifier: GPL-2.0

//! Dentries: names in directories.
//!
//! A filesystem in memory keeps its names in the dentry cache: a dentry with an inode is persistent until the name
//! goes. The types here pair a dentry with what the VFS has locked for the operation at hand, so that a name comes
//! and goes together with its place in the directory's listing (see [`super::dir`]).
//!
//! C header: [`include/linux/dcache.h`](srctree/include/linux/dcache.h)

use super::{
    bindings,
    dir::{Offset, Reservation},
    file_system::FileSystem,
    inode::{Inode, Locked, New}, //
};
use core::{marker::PhantomData, ops::Deref, ptr::NonNull};
use kernel::{prelude::*, types::Opaque};

/// A name in a directory (`struct dentry`), with or without an inode.
///
/// # Invariants
///
/// The C object is live and belongs to a superblock of `T`.
#[repr(transparent)]
pub(crate) struct Dentry<T: FileSystem> {
    inner: Opaque<bindings::dentry>,
    _fs: PhantomData<T>,
}

impl<T: FileSystem> Dentry<T> {
    /// Returns the dentry that `ptr` points at.
    ///
    /// # Safety
    ///
    /// `ptr` must point at a dentry of a superblock of `T` that stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::dentry) -> &'a Self {
        // SAFETY: The caller guarantees a live object for `'a`; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    /// Returns the C object.
    pub(super) fn as_ptr(&self) -> *mut bindings::dentry {
        self.inner.get()
    }

    /// Returns the C name.
    pub(super) fn qstr(&self) -> *const bindings::qstr {
        // SAFETY: The dentry is live.
        unsafe { bindings::dentry_qstr(self.as_ptr()) }
    }
}

/// A dentry with an inode that nobody else changes.
///
/// # Invariants
///
/// `inode` is that of `dentry`.
pub(crate) struct LockedDentry<'a, T: FileSystem> {
    dentry: &'a Dentry<T>,
    inode: &'a Locked<T>,
}

impl<'a, T: FileSystem> LockedDentry<'a, T> {
    /// Returns the dentry that `ptr` points at.
    ///
    /// # Safety
    ///
    /// As [`Dentry::from_raw`]; in addition, it must have an inode of `T`, which is locked for writing for `'a`.
    pub(super) unsafe fn from_raw(ptr: *mut bindings::dentry) -> Self {
        // INVARIANT: This is where a dentry has its inode, and that does not change while there is one.
        // SAFETY: By the function's contract.
        unsafe {
            Self {
                dentry: Dentry::from_raw(ptr),
                inode: Locked::from_raw((*ptr).d_inode),
            }
        }
    }

    /// Returns the dentry.
    pub(crate) fn dentry(&self) -> &'a Dentry<T> {
        self.dentry
    }

    /// Returns the inode.
    pub(crate) fn inode(&self) -> &'a Locked<T> {
        self.inode
    }
}

/// A name in a directory that is locked for changes.
///
/// # Invariants
///
/// The dentry is a child of `dir`, whose lock is held for writing for `'a`. Both stay alive for `'a`.
pub(crate) struct Entry<'a, T: FileSystem> {
    dir: &'a Locked<T>,
    dentry: &'a Dentry<T>,
}

impl<'a, T: FileSystem> Entry<'a, T> {
    /// Returns the entry `dentry` of the directory `dir`.
    ///
    /// # Safety
    ///
    /// Both must be objects of a superblock of `T`, and the type invariants must hold for `'a`.
    pub(super) unsafe fn from_raw(
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> Self {
        // INVARIANT: By the function's contract.
        // SAFETY: By the function's contract.
        unsafe {
            Self {
                dir: Locked::from_raw(dir),
                dentry: Dentry::from_raw(dentry),
            }
        }
    }

    /// Returns the directory.
    pub(crate) fn dir(&self) -> &'a Locked<T> {
        self.dir
    }

    /// Returns the name.
    pub(crate) fn dentry(&self) -> &'a Dentry<T> {
        self.dentry
    }

    /// Returns what has this name, if it is taken.
    pub(crate) fn inode(&self) -> Option<&'a Inode<T>> {
        // SAFETY: A dentry's inode does not change while the directory is locked, and is kept alive by the dentry.
        let inode = unsafe { (*self.dentry.as_ptr()).d_inode };
        if inode.is_null() {
            return None;
        }
        // SAFETY: As above; the inode of a dentry of one of `T`'s superblocks is one of `T`'s.
        Some(unsafe { Inode::from_raw(inode) })
    }

    /// Returns where the entry stands in the directory's listing.
    fn offset(&self) -> Option<Offset> {
        // SAFETY: By the type invariants the directory is locked.
        unsafe { Offset::of(self.dentry.as_ptr()) }
    }

    /// Gives the name to a new inode, which everybody can see from then on.
    ///
    /// Errors: `EEXIST` if the name is taken, `EXDEV` if it is one of another superblock, `ENOSPC` if the directory has no
    /// room, `ENOMEM`. Then the inode is destroyed.
    pub(crate) fn create(&self, inode: New<'_, T>) -> Result {
        self.check_free(&inode)?;
        // SAFETY: By the type invariants the directory is locked and the dentry a child of it; below it becomes
        // persistent, and nothing can fail before.
        unsafe { self.dir.entries().add(self.dentry.as_ptr()) }?;
        // SAFETY: The dentry has no inode, and the reference to the new one is ours to give.
        unsafe { bindings::d_make_persistent(self.dentry.as_ptr(), inode.into_raw()) };
        Ok(())
    }

    /// Returns whether the name can be given to `inode`. Errors: `EEXIST`, `EXDEV`.
    fn check_free(&self, inode: &Inode<T>) -> Result {
        if self.inode().is_some() {
            Err(EEXIST)
        } else if !inode.is_beside(self.dir) {
            // It would outlive its superblock.
            Err(EXDEV)
        } else {
            Ok(())
        }
    }

    /// Gives the name to an inode that may have others (`simple_link`): times and number of names included.
    ///
    /// Errors: as [`Entry::create`]; `EPERM` for a directory, which can have no other.
    pub(crate) fn link(&self, inode: &Locked<T>) -> Result {
        self.check_free(inode)?;
        if inode.is_dir() {
            return Err(EPERM);
        }
        // SAFETY: By the type invariants the directory is locked and the dentry a child of it; below it becomes
        // persistent, and nothing can fail before.
        unsafe { self.dir.entries().add(self.dentry.as_ptr()) }?;
        inode.set_ctime_current();
        self.dir.touch_dir();
        inode.inc_nlink();
        // SAFETY: The inode is live, hence may be referred to once more.
        unsafe { bindings::ihold(inode.as_ptr()) };
        // SAFETY: The dentry has no inode, and the new reference is given to it.
        unsafe { bindings::d_make_persistent(self.dentry.as_ptr(), inode.as_ptr()) };
        Ok(())
    }

    /// Returns a second entry with the same parent and name, which is free.
    ///
    /// Once `self` has been moved elsewhere, it takes its place.
    ///
    /// Errors: `ENOMEM`.
    pub(crate) fn shadow(&self) -> Result<Shadow<'a, T>> {
        let dentry = self.dentry.as_ptr();
        // SAFETY: By the type invariants the parent is locked, so that name and parent do not change.
        let shadow = unsafe { bindings::d_alloc((*dentry).d_parent, self.dentry.qstr()) };
        // INVARIANT: `d_alloc` returned one reference, which is ours.
        Ok(Shadow {
            dir: self.dir,
            dentry: NonNull::new(shadow).ok_or(ENOMEM)?,
        })
    }

    /// Makes two entries swap places (`simple_rename_exchange`): listings, numbers of links and times.
    ///
    /// Errors: `ENOENT` if either name is free.
    ///
    /// # Safety
    ///
    /// If this succeeds, the VFS must exchange the names next.
    pub(super) unsafe fn exchange(&self, other: &Entry<'_, T>) -> Result {
        let here = self.offset().ok_or(ENOENT)?;
        let there = other.offset().ok_or(ENOENT)?;
        let (dentry, other_dentry) = (self.dentry.as_ptr(), other.dentry.as_ptr());
        // SAFETY: By the type invariants both directories are locked; both offsets are in use there. The dentries
        // are persistent since they have offsets, and by the function's contract become children of each other's directory.
        unsafe {
            self.dir.entries().put(here, other_dentry);
            other.dir.entries().put(there, dentry);
            bindings::simple_rename_exchange(
                self.dir.as_ptr(),
                dentry,
                other.dir.as_ptr(),
                other_dentry,
            );
        }
        self.dir.inc_iversion();
        other.dir.inc_iversion();
        Ok(())
    }
}

/// A free entry beside one of the same name; from [`Entry::shadow`].
///
/// # Invariants
///
/// `dentry` is a child of `dir`, whose lock is held for writing for `'a`, and one reference to it is ours.
pub(crate) struct Shadow<'a, T: FileSystem> {
    dir: &'a Locked<T>,
    dentry: NonNull<bindings::dentry>,
}

impl<T: FileSystem> Shadow<'_, T> {
    /// Returns the entry.
    pub(crate) fn entry(&self) -> Entry<'_, T> {
        // INVARIANT: By the type invariants; the reference to the dentry is ours while `self` is borrowed.
        Entry {
            dir: self.dir,
            // SAFETY: As above.
            dentry: unsafe { Dentry::from_raw(self.dentry.as_ptr()) },
        }
    }
}

impl<T: FileSystem> Drop for Shadow<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the reference is ours.
        unsafe { bindings::dput(self.dentry.as_ptr()) }
    }
}

/// A name that is about to go.
///
/// # Invariants
///
/// The entry has an inode, whose lock is held for writing as well.
pub(crate) struct Victim<'a, T: FileSystem> {
    entry: Entry<'a, T>,
    inode: &'a Locked<T>,
}

impl<'a, T: FileSystem> Deref for Victim<'a, T> {
    type Target = Entry<'a, T>;

    fn deref(&self) -> &Entry<'a, T> {
        &self.entry
    }
}

impl<'a, T: FileSystem> Victim<'a, T> {
    /// Returns the entry `dentry` of the directory `dir`.
    ///
    /// # Safety
    ///
    /// As [`Entry::from_raw`]; in addition, the type invariants must hold for `'a`.
    pub(super) unsafe fn from_raw(
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> Self {
        // INVARIANT: By the function's contract.
        // SAFETY: By the function's contract.
        unsafe {
            Self {
                entry: Entry::from_raw(dir, dentry),
                inode: Locked::from_raw((*dentry).d_inode),
            }
        }
    }

    /// Returns what has the name.
    pub(crate) fn victim(&self) -> &'a Locked<T> {
        self.inode
    }

    /// Returns whether no name is below this one.
    pub(crate) fn is_empty(&self) -> bool {
        // SAFETY: The dentry is live.
        unsafe { bindings::simple_empty(self.dentry().as_ptr()) != 0 }
    }

    /// Removes the name (`simple_unlink`): times and number of names included.
    pub(crate) fn unlink(self) {
        let Some(offset) = self.offset() else {
            return;
        };
        // SAFETY: By the type invariants the directory is locked; an entry with an offset is persistent and is
        // taken from the map before it ceases to be.
        unsafe {
            self.dir().entries().remove(offset, self.dentry().as_ptr());
            bindings::simple_unlink(self.dir().as_ptr(), self.dentry().as_ptr());
        }
        self.dir().inc_iversion();
    }
}

/// The name that a rename takes.
///
/// # Invariants
///
/// If the entry has an inode, that is locked for writing.
pub(crate) struct Target<'a, T: FileSystem>(Entry<'a, T>);

impl<'a, T: FileSystem> Deref for Target<'a, T> {
    type Target = Entry<'a, T>;

    fn deref(&self) -> &Entry<'a, T> {
        &self.0
    }
}

impl<'a, T: FileSystem> Target<'a, T> {
    /// Returns `entry` as the target of a rename.
    ///
    /// # Safety
    ///
    /// The type invariants must hold for `'a`.
    pub(super) unsafe fn new(entry: Entry<'a, T>) -> Self {
        // INVARIANT: By the function's contract.
        Self(entry)
    }

    /// Returns what has the name and is about to lose it, if it is taken.
    pub(crate) fn victim(&self) -> Option<&'a Locked<T>> {
        let inode = self.inode()?;
        // SAFETY: By the type invariants the inode is locked.
        Some(unsafe { Locked::from_raw(inode.as_ptr()) })
    }

    /// Returns whether no name is below this one.
    pub(crate) fn is_empty(&self) -> bool {
        // SAFETY: The dentry is live; without an inode it has no children.
        unsafe { bindings::simple_empty(self.dentry().as_ptr()) != 0 }
    }

    /// Makes sure that the entry can be taken over by another, which cannot fail then.
    ///
    /// Errors: `ENOSPC` if the directory has no room, `ENOMEM`.
    pub(crate) fn prepare(&self) -> Result<Takeover<'_, T>> {
        let slot = match self.offset() {
            Some(offset) => Slot::Taken(offset),
            // SAFETY: The directory is locked for as long as the entry lives.
            None => Slot::Reserved(unsafe { self.dir().entries().reserve() }?),
        };
        // INVARIANT: From above.
        Ok(Takeover { target: self, slot })
    }
}

/// A place in a directory's listing.
enum Slot<'a> {
    /// The target's own.
    Taken(Offset),
    /// One that was free.
    Reserved(Reservation<'a>),
}

/// An entry that is ready to be taken over by another; from [`Target::prepare`].
///
/// # Invariants
///
/// The slot is in the listing of the target's directory; if it is taken, by the target.
#[must_use = "the place in the listing is given back when this is dropped"]
pub(crate) struct Takeover<'a, T: FileSystem> {
    target: &'a Target<'a, T>,
    slot: Slot<'a>,
}

impl<T: FileSystem> Takeover<'_, T> {
    /// Moves `old` to the target's place in the listing, from which that vanishes with its name.
    ///
    /// Nothing happens if `old` has no inode.
    ///
    /// # Safety
    ///
    /// The VFS must move the name of `old` to that of the target next.
    pub(super) unsafe fn commit(self, old: &Entry<'_, T>) {
        let Some(old_offset) = old.offset() else {
            return;
        };
        let old_dentry = old.dentry().as_ptr();
        let new = self.target;
        let new_dentry = new.dentry().as_ptr();
        // SAFETY: Both directories are locked. `old` has an offset, hence is persistent; by the function's contract it becomes
        // a child of the new directory. If the target has an offset, it is persistent and has an inode, and gives up the one
        // before it gives up the other.
        unsafe {
            old.dir().entries().remove(old_offset, old_dentry);
            match self.slot {
                Slot::Taken(offset) => {
                    Offset::clear(new_dentry);
                    new.dir().entries().put(offset, old_dentry);
                    bindings::simple_unlink(new.dir().as_ptr(), new_dentry);
                }
                Slot::Reserved(slot) => slot.fill(old_dentry),
            }
            bindings::simple_rename_timestamp(
                old.dir().as_ptr(),
                old_dentry,
                new.dir().as_ptr(),
                new_dentry,
            );
        }
        old.dir().inc_iversion();
        new.dir().inc_iversion();
    }
}
