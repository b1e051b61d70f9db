// SPDX-License-Identifier: GPL-2.0

//! The page cache of a file, and the mappings of it.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    bindings,
    folio::{
        Folio,
        LockedFolio, //
    },
    inode::{
        FileSystem,
        Inode,
        New, //
    },
    vma::Vma,
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi::c_int,
    prelude::*,
    sync::aref::ARef,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// A `struct address_space` of one of this module's inodes, with folios of order 0 only.
#[repr(transparent)]
pub(crate) struct AddressSpace(Opaque<bindings::address_space>);

// SAFETY: An address space is made to be used by several threads; its own locks see to that.
unsafe impl Sync for AddressSpace {}

impl AddressSpace {
    /// Borrows an address space from C.
    ///
    /// # Safety
    ///
    /// `mapping` has to be valid for all of `'a`, and to hold only folios of order 0.
    #[inline]
    pub(super) unsafe fn from_raw<'a>(mapping: *mut bindings::address_space) -> &'a Self {
        // SAFETY: The wrapper is transparent, and the caller vouches for the rest.
        unsafe { &*mapping.cast() }
    }

    /// Returns the C object.
    #[inline]
    pub(super) fn as_ptr(&self) -> *mut bindings::address_space {
        self.0.get()
    }

    /// The number of pages in the page cache. It may change at any time.
    #[inline]
    pub(crate) fn nr_pages(&self) -> usize {
        // SAFETY: The address space is valid, and the field a word that is read at once. An old value is as good as a later one.
        unsafe { core::ptr::read_volatile(&raw const (*self.as_ptr()).nrpages) }
    }

    /// The page at `index`, if there is one.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<ARef<Folio>> {
        // SAFETY: The address space is valid; the function returns a referenced folio or null.
        unsafe { Folio::take_raw(bindings::filemap_get_folio(self.as_ptr(), index)) }
    }

    /// The page at `index`, locked, if there is one. May sleep.
    #[inline]
    pub(crate) fn lock(&self, index: usize) -> Option<LockedFolio> {
        // SAFETY: The address space is valid; the function returns a referenced and locked folio or null.
        unsafe { LockedFolio::take_raw(bindings::filemap_lock_folio(self.as_ptr(), index)) }
    }

    /// Whether the locked `folio` is still in this page cache.
    #[inline]
    pub(crate) fn contains(&self, folio: &LockedFolio) -> bool {
        // SAFETY: Both are valid, and the folio lock protects the field.
        unsafe { bindings::folio_in(folio.as_ptr(), self.as_ptr()) }
    }

    /// Adds a page at `index`. It is locked, neither uptodate nor dirty, and its contents are undefined.
    ///
    /// `EEXIST` if there is one already, `ENOMEM`.
    pub(crate) fn add(&self, index: usize) -> Result<LockedFolio> {
        self.add_new(index, false)
    }

    /// As [`AddressSpace::add`], for a page that nobody has asked for yet: it fails sooner, and no process is ended for it.
    pub(crate) fn add_ahead(&self, index: usize) -> Result<LockedFolio> {
        self.add_new(index, true)
    }

    fn add_new(&self, index: usize, ahead: bool) -> Result<LockedFolio> {
        // SAFETY: The address space is valid.
        let folio = kernel::error::from_err_ptr(unsafe {
            bindings::filemap_add_new(self.as_ptr(), index, ahead)
        })?;
        // SAFETY: Not an error, so it is a new folio of order 0, locked and referenced for us.
        unsafe { LockedFolio::take_raw(folio) }.ok_or(ENOMEM)
    }

    /// Takes `folio` out of the page cache, unmapping it first where it is mapped. Private copies of it stay.
    #[inline]
    pub(crate) fn remove(&self, folio: &LockedFolio) -> Result {
        // SAFETY: Both are valid, the folio is locked, and the function checks whether it is still here.
        to_result(unsafe { bindings::generic_error_remove_folio(self.as_ptr(), folio.as_ptr()) })
    }

    /// Removes `nr` pages from `first` on from all page tables, 0 for all after it; private copies stay.
    ///
    /// When it returns no CPU has a translation to them left. May sleep; takes `i_mmap_rwsem` and page-table locks.
    #[inline]
    pub(crate) fn unmap(&self, first: usize, nr: usize) {
        // SAFETY: The address space is valid.
        unsafe { bindings::unmap_mapping_pages(self.as_ptr(), first, nr, false) };
    }

    /// As [`AddressSpace::unmap`] for all pages from `first` on, and drops the private copies of them, too.
    pub(crate) fn unmap_with_copies(&self, first: usize) {
        // SAFETY: The address space is valid.
        unsafe { bindings::unmap_mapping_pages(self.as_ptr(), first, 0, true) };
    }

    /// Removes all pages from the page cache of an inode that nobody uses any more.
    pub(crate) fn truncate_final(&self) {
        // SAFETY: The address space is valid.
        unsafe { bindings::truncate_inode_pages_final(self.as_ptr()) };
    }

    /// Up to a batch of the pages from `*start` to `last`, and advances `*start` behind them.
    pub(crate) fn batch(&self, start: &mut usize, last: usize) -> FolioBatch {
        // SAFETY: The address space and the pointers are valid, and the batch is empty.
        FolioBatch::fill(|batch| unsafe {
            bindings::filemap_get_folios(self.as_ptr(), start, last, batch)
        })
    }

    /// As [`AddressSpace::batch`], only those that have the mark.
    pub(crate) fn batch_marked(&self, start: &mut usize, last: usize, mark: Mark) -> FolioBatch {
        // SAFETY: The address space and the pointers are valid, and the batch is empty.
        FolioBatch::fill(|batch| unsafe {
            bindings::get_marked(self.as_ptr(), start, last, mark.as_raw(), batch)
        })
    }

    /// Sets or clears a mark of `folio`, which is in this page cache.
    #[inline]
    pub(crate) fn set_mark(&self, folio: &LockedFolio, mark: Mark, on: bool) {
        // SAFETY: The address space is valid.
        unsafe { bindings::set_mark(self.as_ptr(), folio.index(), mark.as_raw(), on) };
    }

    /// Whether the page at `index` is there and has the mark.
    #[inline]
    pub(crate) fn is_marked(&self, index: usize, mark: Mark) -> bool {
        // SAFETY: The address space is valid.
        unsafe { bindings::is_marked(self.as_ptr(), index, mark.as_raw()) }
    }

    /// Whether any page has the mark.
    #[inline]
    pub(crate) fn any_marked(&self, mark: Mark) -> bool {
        // SAFETY: The address space is valid.
        unsafe { bindings::any_marked(self.as_ptr(), mark.as_raw()) }
    }

    /// Marks `folio`, which is in this page cache, as one that somebody may be able to change without asking. In a page cache
    /// whose pages are marked so, [`Mark::Writable`] is for nothing else: a flag of the page has to agree with it.
    #[inline]
    pub(crate) fn set_writable(&self, folio: &LockedFolio, writable: bool) {
        // SAFETY: The address space is valid, and the folio locked and in its page cache.
        unsafe { bindings::mark_writable(self.as_ptr(), folio.as_ptr(), writable) };
    }

    /// Whether `folio`, which is in this page cache, is marked so.
    #[inline]
    pub(crate) fn is_writable(&self, folio: &LockedFolio) -> bool {
        folio.is_checked()
    }

    /// Whether any page is marked so.
    #[inline]
    pub(crate) fn any_writable(&self) -> bool {
        self.any_marked(Mark::Writable)
    }

    /// Whether there are shared mappings that may become writable. May change at any time; for who has locked a page that was
    /// in the page cache before: no new one of them has mapped that.
    #[inline]
    pub(crate) fn is_writably_mapped(&self) -> bool {
        // SAFETY: The address space is valid.
        unsafe { bindings::mapping_writably_mapped(self.as_ptr()) }
    }

    /// Takes `invalidate_lock` so that no page is added for a fault. May sleep.
    pub(crate) fn invalidate_lock(&self) -> InvalidateGuard<'_> {
        // SAFETY: The address space is valid.
        unsafe { bindings::filemap_invalidate_lock(self.as_ptr()) };
        InvalidateGuard(self, NotThreadSafe)
    }

    /// Takes `invalidate_lock` so that no page is removed. May sleep.
    pub(crate) fn invalidate_lock_shared(&self) -> InvalidateSharedGuard<'_> {
        // SAFETY: The address space is valid.
        unsafe { bindings::filemap_invalidate_lock_shared(self.as_ptr()) };
        InvalidateSharedGuard(self, NotThreadSafe)
    }

    /// Calls `f` with the mappings of the pages from `first` to `last`, in the order of their first page.
    ///
    /// `i_mmap_rwsem` is held for reading meanwhile, so no mapping comes or goes: `f` must not allocate memory in a way that
    /// waits for reclaim.
    pub(crate) fn with_vmas<R>(
        &self,
        first: usize,
        last: usize,
        f: impl FnOnce(&mut Vmas<'_>) -> R,
    ) -> R {
        // SAFETY: The address space is valid.
        unsafe { bindings::i_mmap_lock_read(self.as_ptr()) };
        let r = f(&mut Vmas {
            // SAFETY: The lock is held.
            next: unsafe { bindings::i_mmap_first(self.as_ptr(), first, last) },
            first,
            last,
            _locked: PhantomData,
        });
        // SAFETY: The lock was taken above.
        unsafe { bindings::i_mmap_unlock_read(self.as_ptr()) };
        r
    }
}

/// The mappings of some pages; see [`AddressSpace::with_vmas`].
///
/// # Invariants
///
/// `i_mmap_rwsem` is held for reading for `'a`, and `next` is null or a mapping in the tree that it protects.
pub(crate) struct Vmas<'a> {
    next: *mut bindings::vm_area_struct,
    first: usize,
    last: usize,
    _locked: PhantomData<&'a AddressSpace>,
}

impl<'a> Iterator for Vmas<'a> {
    type Item = &'a Vma;

    fn next(&mut self) -> Option<&'a Vma> {
        let vma = NonNull::new(self.next)?;
        // SAFETY: By the type invariant.
        self.next = unsafe { bindings::i_mmap_next(vma.as_ptr(), self.first, self.last) };
        // SAFETY: The mapping is in the tree, which it cannot leave while the lock is held.
        Some(unsafe { Vma::from_raw(vma.as_ptr()) })
    }
}

/// `invalidate_lock` held for writing, until dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct InvalidateGuard<'a>(&'a AddressSpace, NotThreadSafe);

impl Drop for InvalidateGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: The guard stands for the lock.
        unsafe { bindings::filemap_invalidate_unlock(self.0.as_ptr()) };
    }
}

/// `invalidate_lock` held for reading, until dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct InvalidateSharedGuard<'a>(&'a AddressSpace, NotThreadSafe);

impl Drop for InvalidateSharedGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: The guard stands for the lock.
        unsafe { bindings::filemap_invalidate_unlock_shared(self.0.as_ptr()) };
    }
}

/// A mark on a page in a page cache.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Somebody may be able to change it without asking. See [`AddressSpace::set_writable`].
    Writable,
    /// A second one, for what the filesystem likes.
    Second,
}

impl Mark {
    fn as_raw(self) -> u32 {
        match self {
            Self::Writable => bindings::SNAPMAPFS_TAG_WRITABLE,
            Self::Second => bindings::SNAPMAPFS_TAG_SECOND,
        }
    }
}

/// The most folios that a [`FolioBatch`] holds.
pub(crate) const FOLIO_BATCH_SIZE: usize = bindings::FOLIO_BATCH_SIZE as usize;

/// References to a few folios.
///
/// # Invariants
///
/// The first `nr` entries are folios of order 0, each with a reference that belongs to the batch.
pub(crate) struct FolioBatch(bindings::folio_batch);

impl FolioBatch {
    fn fill(f: impl FnOnce(*mut bindings::folio_batch) -> u32) -> Self {
        let mut batch = MaybeUninit::<bindings::folio_batch>::zeroed();
        // SAFETY: The pointer is valid for writing.
        unsafe { bindings::folio_batch_init(batch.as_mut_ptr()) };
        f(batch.as_mut_ptr());
        // SAFETY: A batch of zeros is a valid one, and `f` keeps it so.
        // INVARIANT: `f` fills in referenced folios.
        Self(unsafe { batch.assume_init() })
    }

    /// The folios in it, in the order of their index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Folio> {
        self.0
            .folios
            .iter()
            .take(usize::from(self.0.nr))
            // SAFETY: By the type invariant; the references outlive the borrow of the batch.
            .map(|folio| unsafe { Folio::from_raw(*folio) })
    }

    /// Drops references to many folios, which takes less than one by one.
    pub(crate) fn put_all(folios: impl Iterator<Item = ARef<Folio>>) {
        let mut batch = Self::fill(|_| 0);
        for folio in folios {
            let n = usize::from(batch.0.nr);
            // INVARIANT: A reference is handed over to the batch.
            batch.0.folios[n] = ARef::into_raw(folio).as_ptr().cast();
            batch.0.nr += 1;
            if n + 1 == FOLIO_BATCH_SIZE {
                batch.put();
            }
        }
        batch.put();
    }

    /// Drops the references that it has.
    fn put(&mut self) {
        // SAFETY: The references belong to the batch, which is empty afterwards.
        unsafe { bindings::folios_put(&mut self.0) };
    }

    /// Gives the references away, in the order of their index.
    pub(crate) fn into_folios(mut self) -> impl Iterator<Item = ARef<Folio>> {
        // INVARIANT: The batch is empty from here on.
        let nr = usize::from(core::mem::take(&mut self.0.nr));
        let mut folios = [const { None }; FOLIO_BATCH_SIZE];
        for (place, folio) in folios.iter_mut().zip(self.0.folios).take(nr) {
            // SAFETY: By the type invariant it was a folio with a reference that belonged to the batch.
            *place = unsafe { Folio::take_raw(folio) };
        }
        folios.into_iter().flatten()
    }

    /// Drops the references and keeps the indices.
    pub(crate) fn into_indices(self) -> impl Iterator<Item = usize> {
        let mut indices = [0; FOLIO_BATCH_SIZE];
        let mut n = 0;
        for (place, folio) in indices.iter_mut().zip(self.iter()) {
            *place = folio.index();
            n += 1;
        }
        indices.into_iter().take(n)
    }

    /// Whether it is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.nr == 0
    }
}

impl Drop for FolioBatch {
    fn drop(&mut self) {
        // SAFETY: The references belong to the batch, which is not used any more.
        unsafe { bindings::folio_batch_release(&mut self.0) };
    }
}

/// What a filesystem does with the pages of its files.
pub(crate) trait AddressSpaceOperations: 'static {
    /// The filesystem.
    type Fs: FileSystem;

    /// Makes `folio`, which is in the page cache, uptodate, or takes it out of the page cache again. It need not stay uptodate
    /// without its lock: who wants it looks for it again.
    fn read_folio(inode: &Inode<Self::Fs>, folio: LockedFolio) -> Result;
}

/// The table of an [`AddressSpaceOperations`].
pub(crate) struct AddressSpaceOps<T>(PhantomData<T>);

impl<F: FileSystem> Inode<F> {
    /// The page cache of the inode, empty unless it is that of a regular file or an extension.
    #[inline]
    pub(crate) fn mapping(&self) -> &AddressSpace {
        // SAFETY: The inode is valid, and so is the address space that is part of it; a device node's `i_mapping` may be another.
        // Its folios have order 0: this module adds no others, nor does anybody to an address space that is not set up for them.
        unsafe { AddressSpace::from_raw(&raw mut (*self.as_ptr()).i_data) }
    }
}

impl<F: FileSystem> New<'_, F> {
    /// Sets what is done with the pages of a regular file, and that they stay in memory: they are not on any disk.
    pub(super) fn set_address_space_operations<T: AddressSpaceOperations<Fs = F>>(&self) {
        let mapping = self.mapping().as_ptr();
        // SAFETY: Nobody else can reach the inode yet, and the table is of its filesystem.
        unsafe {
            (*mapping).a_ops = AddressSpaceOps::<T>::table();
            bindings::mapping_set_unevictable(mapping);
        }
        self.set_unmovable();
    }

    /// Takes the pages from where those cannot be that stay: a page that snapshots need is not migrated any more.
    fn set_unmovable(&self) {
        // SAFETY: Nobody else can reach the inode yet.
        unsafe { bindings::mapping_set_gfp_mask(self.mapping().as_ptr(), bindings::GFP_HIGHUSER) };
    }
}

/// The table of an extension: what adds pages to it makes them uptodate itself.
const EXTENSION: bindings::address_space_operations = bindings::address_space_operations {
    read_folio: Some(read_nothing),
    dirty_folio: Some(bindings::noop_dirty_folio),
    #[cfg(CONFIG_MIGRATION)]
    migrate_folio: Some(bindings::migrate_folio),
    ..pin_init::zeroed()
};

impl<F: FileSystem> New<'_, F> {
    /// Sets that this is to be an extension, which has nothing but pages, which may be dropped when they are clean.
    pub(crate) fn set_extension_operations(&self) {
        // SAFETY: Nobody else can reach the inode yet.
        unsafe { (*self.mapping().as_ptr()).a_ops = &EXTENSION };
        self.set_unmovable();
    }

    /// As [`New::set_extension_operations`], for one whose pages stay in memory.
    pub(crate) fn set_segment_operations(&self) {
        self.set_extension_operations();
        // SAFETY: Nobody else can reach the inode yet.
        unsafe { bindings::mapping_set_unevictable(self.mapping().as_ptr()) };
    }
}

/// Fails to read a page of an extension: `filemap_fault()`, for one, calls this without looking whether it is there.
///
/// # Safety
///
/// As `address_space_operations.read_folio`.
unsafe extern "C" fn read_nothing(
    _file: *mut bindings::file,
    folio: *mut bindings::folio,
) -> c_int {
    // SAFETY: The folio is locked by the caller, and the lock is handed over.
    unsafe { bindings::folio_unlock(folio) };
    EIO.to_errno()
}

impl<T: AddressSpaceOperations> AddressSpaceOps<T> {
    fn table() -> &'static bindings::address_space_operations {
        &Self::TABLE
    }

    const TABLE: bindings::address_space_operations = bindings::address_space_operations {
        read_folio: Some(Self::read_folio),
        dirty_folio: Some(bindings::noop_dirty_folio),
        // Not filemap_migrate_folio(), which takes any `folio->private` for one with `PG_private`. This one leaves the stamp
        // behind, which is as good as not knowing it.
        #[cfg(CONFIG_MIGRATION)]
        migrate_folio: Some(bindings::migrate_folio),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// As `address_space_operations.read_folio`, for a mapping of `T::Fs`.
    unsafe extern "C" fn read_folio(
        _file: *mut bindings::file,
        folio: *mut bindings::folio,
    ) -> c_int {
        from_result(|| {
            // SAFETY: The folio is referenced by the caller and locked, and the lock is handed over.
            let locked = unsafe {
                bindings::folio_get(folio);
                LockedFolio::take_raw(folio)
            }
            .ok_or(EIO)?;
            // SAFETY: A locked folio that is being read is in the page cache of an inode, which is of `T::Fs`.
            let inode = unsafe { Inode::from_raw((*bindings::folio_mapping(folio)).host) };
            T::read_folio(inode, locked)?;
            // As well as 0 for the fault, which takes one that is not uptodate by then for an error otherwise.
            Ok(bindings::SNAPMAPFS_READ_AGAIN)
        })
    }
}
