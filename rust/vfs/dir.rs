// SPDX-License-Identifier: GPL-2.0

//! Directories whose entries stay where they are in the listing.
//!
//! The names themselves are in the dentry cache. What that lacks is an order in which `readdir` can be interrupted
//! and go on, while names come and go. So each entry of a directory has an offset, from when it gets its name until
//! it loses it; a map leads from offset to dentry. This is how libfs does it for tmpfs (`simple_offset_*`, not
//! exported), with the same numbers: offsets go up with time, and a listing goes down, so that what is created
//! meanwhile is not seen by it and a listing always ends.
//!
//! The rules, all under the directory's `i_rwsem`:
//! - a dentry has an offset (in `d_fsdata`, 0: none; only a window's dentry, which is in no directory, has something
//!   else there) if, and only if, it is persistent and in its parent's map;
//! - both change together and with the lock held for writing; holding it for reading is enough to follow the map.
//!
//! At unmount the dentry cache goes first and leaves dangling pointers in the maps, which nobody follows any more.

use super::{bindings, file_system::FileSystem, inode::Inode};
use core::{cell::UnsafeCell, marker::PhantomData, num::NonZeroU32, ptr};
use kernel::{
    error::to_result,
    ffi::{c_int, c_ulong, c_void},
    prelude::*,
    sync::rcu,
    types::Opaque, //
};

/// Where a listing starts, after `.` and `..`.
const FIRST: i64 = 2;
/// The lowest offset that is given to an entry.
const MIN: u32 = 3;
/// The highest offset that is given to an entry. 32-bit programs can hold it.
const MAX: u32 = i32::MAX as u32 - 1;
/// Where a listing ends.
const END: i64 = i32::MAX as i64;

/// What stands in the map for "no dentry": the integer 0 as an XArray value entry.
const VACANT: *mut c_void = ptr::without_provenance_mut(1);

/// The offset of an entry.
///
/// # Invariants
///
/// It is between [`MIN`] and [`MAX`].
#[derive(Clone, Copy)]
pub(super) struct Offset(NonZeroU32);

impl Offset {
    fn new(offset: u32) -> Option<Self> {
        // INVARIANT: Checked here.
        NonZeroU32::new(offset)
            .filter(|offset| (MIN..=MAX).contains(&offset.get()))
            .map(Self)
    }

    fn get(self) -> c_ulong {
        // CAST: An `unsigned long` has at least 32 bits.
        self.0.get() as c_ulong
    }

    /// Returns the offset of a dentry.
    ///
    /// # Safety
    ///
    /// The dentry must be live and its parent locked.
    pub(super) unsafe fn of(dentry: *mut bindings::dentry) -> Option<Self> {
        // SAFETY: By the function's contract; of a dentry in a directory only this module uses `d_fsdata`.
        let offset = unsafe { (*dentry).d_fsdata }.addr();
        Self::new(u32::try_from(offset).ok()?)
    }

    /// Records that a dentry has this offset.
    ///
    /// # Safety
    ///
    /// The dentry must be live, and the parent whose map has it locked for writing.
    unsafe fn set(self, dentry: *mut bindings::dentry) {
        // CAST: A pointer has at least 32 bits.
        let offset = ptr::without_provenance_mut(self.0.get() as usize);
        // SAFETY: By the function's contract; of a dentry in a directory only this module uses `d_fsdata`.
        unsafe { (*dentry).d_fsdata = offset }
    }

    /// Records that a dentry has no offset.
    ///
    /// # Safety
    ///
    /// The dentry must be live, its parent locked for writing, and the dentry not in a map beyond the caller's
    /// next step.
    pub(super) unsafe fn clear(dentry: *mut bindings::dentry) {
        // SAFETY: By the function's contract; of a dentry in a directory only this module uses `d_fsdata`.
        unsafe { (*dentry).d_fsdata = ptr::null_mut() }
    }
}

/// The entries of a directory by offset.
///
/// # Invariants
///
/// `tree` maps offsets to persistent dentries, children of the directory that this belongs to, or to [`VACANT`].
/// Both fields change only under that directory's lock, held for writing.
pub(super) struct Entries {
    tree: Opaque<bindings::maple_tree>,
    next: UnsafeCell<c_ulong>,
}

impl Entries {
    /// Sets up an empty map at `this`.
    ///
    /// # Safety
    ///
    /// `this` must be writable, and stay in place.
    pub(super) unsafe fn init(this: *mut Self) {
        // SAFETY: By the function's contract.
        unsafe {
            bindings::mt_init_alloc((&raw mut (*this).tree).cast());
            (&raw mut (*this).next)
                .cast::<c_ulong>()
                .write(MIN as c_ulong);
        }
    }

    /// Forgets all entries and frees the memory.
    ///
    /// # Safety
    ///
    /// Nobody else may use the map.
    pub(super) unsafe fn destroy(&self) {
        // SAFETY: The tree is set up, and by the function's contract ours alone.
        unsafe { bindings::mtree_destroy(self.tree.get()) }
    }

    /// Puts `entry` at a free offset, which is returned.
    ///
    /// # Safety
    ///
    /// The directory must be locked for writing.
    unsafe fn alloc(&self, entry: *mut c_void) -> Result<Offset> {
        let mut offset = 0;
        // SAFETY: The tree is set up; by the function's contract nobody else uses `next`.
        let ret = unsafe {
            bindings::mtree_alloc_cyclic(
                self.tree.get(),
                &mut offset,
                entry,
                MIN as c_ulong,
                MAX as c_ulong,
                self.next.get(),
                bindings::GFP_KERNEL,
            )
        };
        match to_result(ret) {
            // All offsets are in use.
            Err(error) if error == EBUSY => return Err(ENOSPC),
            result => result?,
        }
        u32::try_from(offset).ok().and_then(Offset::new).ok_or(EIO)
    }

    /// Gives `dentry` an offset.
    ///
    /// Errors: `ENOSPC`, `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The directory must be locked for writing, and the dentry a child of it without an offset, which the caller
    /// makes persistent next.
    pub(super) unsafe fn add(&self, dentry: *mut bindings::dentry) -> Result {
        // SAFETY: By the function's contract.
        let offset = unsafe { self.alloc(dentry.cast()) }?;
        // SAFETY: By the function's contract.
        unsafe { offset.set(dentry) };
        Ok(())
    }

    /// Keeps an offset free for a dentry to come.
    ///
    /// Errors: `ENOSPC`, `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The directory must be locked for writing until the reservation is gone.
    pub(super) unsafe fn reserve(&self) -> Result<Reservation<'_>> {
        // SAFETY: By the function's contract.
        let offset = unsafe { self.alloc(VACANT) }?;
        // INVARIANT: The offset is taken and vacant; the lock is held by the function's contract.
        Ok(Reservation {
            entries: self,
            offset,
        })
    }

    /// Replaces what is at `offset`.
    ///
    /// # Safety
    ///
    /// The directory must be locked for writing and the offset in use. `entry` must be [`VACANT`] or a dentry as
    /// the type invariants want it.
    unsafe fn replace(&self, offset: Offset, entry: *mut c_void) {
        // SAFETY: The tree is set up. Storing over exactly one entry writes to its slot and allocates nothing
        // (`wr_exact_fit`), so that this cannot fail.
        let ret = unsafe {
            bindings::mtree_store(self.tree.get(), offset.get(), entry, bindings::GFP_KERNEL)
        };
        kernel::warn_on!(ret != 0);
    }

    /// Gives the offset of another dentry, or one in use by none, to `dentry`.
    ///
    /// # Safety
    ///
    /// The directory must be locked for writing and the offset in use. The dentry must be persistent, in no other
    /// map and about to become a child of the directory; the former owner must lose the offset at the same time.
    pub(super) unsafe fn put(&self, offset: Offset, dentry: *mut bindings::dentry) {
        // SAFETY: By the function's contract.
        unsafe {
            self.replace(offset, dentry.cast());
            offset.set(dentry);
        }
    }

    /// Takes `dentry` from its offset, which is free then.
    ///
    /// # Safety
    ///
    /// The directory must be locked for writing, and the dentry be at the offset.
    pub(super) unsafe fn remove(&self, offset: Offset, dentry: *mut bindings::dentry) {
        // SAFETY: By the function's contract.
        unsafe {
            self.erase(offset);
            Offset::clear(dentry);
        }
    }

    /// Frees an offset.
    ///
    /// # Safety
    ///
    /// The directory must be locked for writing, and the offset in use.
    unsafe fn erase(&self, offset: Offset) {
        // Erasing may need memory, and without it does nothing. So the pointer goes first; a vacant offset that
        // stays behind does no harm.
        // SAFETY: By the function's contract.
        unsafe {
            self.replace(offset, VACANT);
            bindings::mtree_erase(self.tree.get(), offset.get());
        }
    }
}

/// An offset kept free; dropping it gives it back.
///
/// # Invariants
///
/// The offset is in use and vacant, and the directory locked for writing.
pub(super) struct Reservation<'a> {
    entries: &'a Entries,
    offset: Offset,
}

impl Reservation<'_> {
    /// Gives the offset to `dentry`.
    ///
    /// # Safety
    ///
    /// The dentry must be persistent, in no map, and about to become a child of the directory.
    pub(super) unsafe fn fill(self, dentry: *mut bindings::dentry) {
        // SAFETY: By the type invariants and the function's contract.
        unsafe { self.entries.put(self.offset, dentry) };
        core::mem::forget(self);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe { self.entries.erase(self.offset) }
    }
}

/// Walks down a directory's entries.
///
/// # Invariants
///
/// The directory that `state` refers to is locked for as long as this lives.
struct Cursor<'a> {
    state: bindings::ma_state,
    _entries: PhantomData<&'a Entries>,
}

impl<'a> Cursor<'a> {
    /// Starts at the highest offset that is in use and at most `from`.
    ///
    /// # Safety
    ///
    /// The directory must be locked, at least for reading, for `'a`.
    unsafe fn new(entries: &'a Entries, from: u32) -> Self {
        let mut state: bindings::ma_state = pin_init::zeroed();
        // SAFETY: `state` is ours, and the tree outlives it.
        unsafe { bindings::mas_init_at(&mut state, entries.tree.get(), from as c_ulong) };
        // INVARIANT: By the function's contract.
        Self {
            state,
            _entries: PhantomData,
        }
    }

    /// Returns the next entry.
    fn next(&mut self) -> Option<*mut bindings::dentry> {
        loop {
            // The tree does not change while the directory is locked; the RCU lock only says so to lockdep.
            let guard = rcu::read_lock();
            // SAFETY: By the type invariants nobody changes the tree, so that the state stays good from one call
            // to the next.
            let entry = unsafe { bindings::mas_find_rev(&mut self.state, MIN as c_ulong) };
            drop(guard);
            if entry.is_null() {
                return None;
            }
            if entry != VACANT {
                return Some(entry.cast());
            }
        }
    }
}

/// Lists a directory.
///
/// # Safety
///
/// `file_operations.iterate_shared`: `file` is an open directory of a `T`, locked at least for reading, and
/// `context` the caller's.
unsafe extern "C" fn iterate_callback<T: FileSystem>(
    file: *mut bindings::file,
    context: *mut bindings::dir_context,
) -> c_int {
    // SAFETY: By the function's contract.
    if !unsafe { bindings::dir_emit_dots(file, context) } {
        return 0;
    }
    // SAFETY: By the function's contract. C goes from the context to what it is a part of, so there is no reference to it.
    let (dir, pos) = unsafe {
        (
            Inode::<T>::from_raw((*file).f_inode),
            &raw mut (*context).pos,
        )
    };
    // SAFETY: The context is the caller's.
    let from = match unsafe { *pos } {
        ..=FIRST => MAX,
        END.. => return 0,
        // Smaller than `END`, which is an `i32`.
        at => u32::try_from(at).map_or(MAX, |at| at.min(MAX)),
    };
    // SAFETY: By the function's contract the directory is locked.
    let mut cursor = unsafe { Cursor::new(dir.entries(), from) };
    while let Some(dentry) = cursor.next() {
        // SAFETY: By the invariants of `Entries` and the lock, the dentry is a persistent child of this directory,
        // with an inode, and neither changes.
        unsafe {
            let Some(offset) = Offset::of(dentry) else {
                continue;
            };
            *pos = i64::from(offset.0.get());
            if !bindings::dir_emit(context, dentry) {
                return 0;
            }
        }
    }
    // SAFETY: As above.
    unsafe { *pos = END };
    0
}

/// The file operations of a directory, generic over the filesystem.
struct Operations<T>(T);

impl<T: FileSystem> Operations<T> {
    const TABLE: &'static bindings::file_operations = &bindings::file_operations {
        llseek: Some(bindings::no_seek_end_llseek),
        read: Some(bindings::generic_read_dir),
        iterate_shared: Some(iterate_callback::<T>),
        fsync: Some(bindings::noop_fsync),
        setlease: Some(bindings::generic_setlease),
        ..pin_init::zeroed()
    };
}

/// Returns the file operations of a directory.
pub(super) fn operations<T: FileSystem>() -> *const bindings::file_operations {
    Operations::<T>::TABLE
}
