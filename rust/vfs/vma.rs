// SPDX-License-Identifier: GPL-2.0

//! Mappings of files: how they are made, and the faults in them.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use super::{
    address_space::AddressSpace,
    bindings,
    file::{
        File,
        FileOperations,
        FileOps, //
    },
    folio::{
        Folio,
        LockedFolio, //
    },
    inode::{
        FileSystem,
        Inode, //
    },
};
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::{
        from_err_ptr,
        from_result, //
    },
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

/// A `struct vm_area_struct` that cannot go away: `i_mmap_rwsem`, `mmap_lock` or its own lock is held.
#[repr(transparent)]
pub(crate) struct Vma(Opaque<bindings::vm_area_struct>);

impl Vma {
    /// Borrows a mapping from C.
    ///
    /// # Safety
    ///
    /// A lock that keeps `vma` where it is has to be held for all of `'a`.
    #[inline]
    pub(super) unsafe fn from_raw<'a>(vma: *mut bindings::vm_area_struct) -> &'a Self {
        // SAFETY: The wrapper is transparent, and the caller vouches for the rest.
        unsafe { &*vma.cast() }
    }

    #[inline]
    fn as_ptr(&self) -> *mut bindings::vm_area_struct {
        self.0.get()
    }

    /// The pages of the file that it maps: the first one, and the one after the last.
    #[inline]
    pub(crate) fn pages(&self) -> (usize, usize) {
        // SAFETY: The mapping is valid, and these fields change only with all of the locks held.
        unsafe {
            let first = (*self.as_ptr()).vm_pgoff;
            (
                first,
                first.saturating_add(bindings::vma_pages(self.as_ptr())),
            )
        }
    }

    /// Calls `f` with the snapshot that the mapping shows, if it is a private one of `T`.
    pub(crate) fn with_snapshot<T: PrivateMapping, R>(
        &self,
        f: impl FnOnce(ArcBorrow<'_, T::Snapshot>) -> R,
    ) -> Option<R> {
        // SAFETY: The mapping is valid, and the file of a mapping that is in a tree does not change.
        let file = unsafe { (*self.as_ptr()).vm_file };
        // SAFETY: A mapping of a file has a reference to it.
        if file.is_null() || !ptr::eq(unsafe { (*file).f_op }, &T::tables().file) {
            return None;
        }
        // SAFETY: The operations prove that the file was made by `MmapDesc::set_private`, so its private data is such a
        // reference, which lives as long as the file, which lives as long as the mapping.
        Some(f(unsafe {
            <Arc<T::Snapshot> as ForeignOwnable>::borrow((*file).private_data)
        }))
    }

    /// Whether other mappings share its file, such as another part of it after a split, or that of a child.
    pub(crate) fn is_file_shared(&self) -> bool {
        // SAFETY: The mapping is valid and has a file.
        unsafe { bindings::file_is_shared((*self.as_ptr()).vm_file) }
    }
}

/// Why a fault gives no page: a combination of `VM_FAULT_*`.
///
/// # Invariants
///
/// It has a bit that keeps C from looking for a page, and neither `VM_FAULT_LOCKED` nor `VM_FAULT_RETRY`.
#[derive(Clone, Copy)]
pub(crate) struct FaultError(bindings::vm_fault_t);

impl FaultError {
    /// There is no such page.
    // INVARIANT: Such a bit.
    pub(crate) const SIGBUS: Self = Self(bindings::vm_fault_reason_VM_FAULT_SIGBUS);
    /// There is no memory.
    // INVARIANT: Such a bit.
    const OOM: Self = Self(bindings::vm_fault_reason_VM_FAULT_OOM);
    /// The memory of the page is broken.
    // INVARIANT: Such a bit.
    const HWPOISON: Self = Self(bindings::vm_fault_reason_VM_FAULT_HWPOISON);

    /// Whether there is no such page.
    pub(crate) fn is_sigbus(self) -> bool {
        self.0 & Self::SIGBUS.0 != 0
    }
}

impl From<Error> for FaultError {
    fn from(err: Error) -> Self {
        if err == ENOMEM {
            Self::OOM
        } else if err == EIO {
            Self::HWPOISON
        } else {
            Self::SIGBUS
        }
    }
}

/// What a fault handler found.
pub(crate) enum Fault {
    /// A page outside of any page cache. It is mapped as it is: its contents never change.
    Page(ARef<Folio>),
    /// A page of the live file. It stays locked until it is mapped, so nobody changes it before that.
    Live(LockedFolio),
    /// No page.
    Failed(FaultError),
}

/// What a fault handler tells C: from [`VmFault::finish`], or from [`VmFault::live`] where the fault has to be tried again.
///
/// # Invariants
///
/// The code fits what the fault has for a page, and whether the lock of the mapping is still held.
#[must_use = "this is what the handler returns"]
pub(crate) struct Finished<'a>(bindings::vm_fault_t, PhantomData<&'a mut ()>);

/// A fault in a mapping: a `struct vm_fault`, with the lock of the mapping held for as long as there is this. That keeps the
/// mapping and its file, and with that the inode whose pages it has, and `C`: a snapshot or the file itself.
///
/// # Invariants
///
/// The fault is the argument of a fault handler that is running, and nobody else uses it for `'a`. The lock is held, and the
/// other pointers are valid for as long as it is.
pub(crate) struct VmFault<'a, F: FileSystem, C> {
    vmf: NonNull<bindings::vm_fault>,
    inode: NonNull<Inode<F>>,
    context: NonNull<C>,
    _fault: PhantomData<&'a mut bindings::vm_fault>,
}

/// The outcome of [`VmFault::live`].
pub(crate) enum Live<'a, F: FileSystem, C> {
    /// The page, which is uptodate.
    Found(VmFault<'a, F, C>, LockedFolio),
    /// There is none.
    Failed(VmFault<'a, F, C>, FaultError),
    /// The lock of the mapping was given up, and perhaps the mapping is gone: the fault has to be tried again.
    Gone(Finished<'a>),
}

impl<'a, F: FileSystem, C> VmFault<'a, F, C> {
    /// The page of the file that is asked for.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        // SAFETY: The fault is valid, and this field is set for good.
        unsafe { (*self.vmf.as_ptr()).__bindgen_anon_1.pgoff }
    }

    /// The page after the last one that the kernel maps with that which is asked for, as far as they are in the page cache. Only
    /// for a load, and not if the mapping is known to be read here and there: else it is the next page.
    pub(crate) fn around_end(&self) -> usize {
        // SAFETY: The fault is valid, and so is its mapping, whose lock is held.
        unsafe { bindings::fault_around_end(self.vmf.as_ptr()) }
    }

    /// The inode whose pages the mapping has: a file, or an extension of one.
    #[inline]
    pub(crate) fn inode(&self) -> &Inode<F> {
        // SAFETY: By the type invariants.
        unsafe { self.inode.as_ref() }
    }

    /// What belongs to the file of the mapping.
    #[inline]
    pub(crate) fn context(&self) -> &C {
        // SAFETY: By the type invariants.
        unsafe { self.context.as_ref() }
    }

    /// Takes a fault over from C.
    ///
    /// # Safety
    ///
    /// `vmf` has to be the argument of a fault handler that is running, which uses it by way of this only. The file of the
    /// mapping has to keep the others.
    #[inline]
    unsafe fn from_raw(vmf: *mut bindings::vm_fault, inode: &Inode<F>, context: &C) -> Self {
        // INVARIANT: By the function's contract. A fault handler is called with the lock held.
        Self {
            // SAFETY: The argument of a callback is not null.
            vmf: unsafe { NonNull::new_unchecked(vmf) },
            inode: NonNull::from(inode),
            context: NonNull::from(context),
            _fault: PhantomData,
        }
    }

    /// Finds the page in the live file, or adds it. May sleep, and may give up the lock of the mapping for that.
    #[inline(always)]
    pub(crate) fn live(self) -> Live<'a, F, C> {
        let vmf = self.vmf.as_ptr();
        // SAFETY: The fault is valid.
        let ret = unsafe { bindings::filemap_fault(vmf) };
        if ret & bindings::vm_fault_reason_VM_FAULT_RETRY != 0 {
            // INVARIANT: This is what C returns in this case. There is no page.
            return Live::Gone(Finished(ret, PhantomData));
        }
        if ret & bindings::vm_fault_reason_VM_FAULT_LOCKED == 0 {
            // INVARIANT: Without a page the function returns an error, or `VM_FAULT_NOPAGE`.
            return Live::Failed(self, FaultError(ret));
        }
        // SAFETY: The function set the page, which is locked and referenced for us.
        let folio = unsafe {
            let page = core::mem::replace(&mut (*vmf).page, ptr::null_mut());
            LockedFolio::take_raw(bindings::page_folio(page))
        };
        match folio {
            Some(folio) => Live::Found(self, folio),
            None => Live::Failed(self, FaultError::SIGBUS),
        }
    }

    /// Ends the fault with what was found.
    #[inline]
    pub(crate) fn finish(self, found: Fault) -> Finished<'a> {
        let vmf = self.vmf.as_ptr();
        // INVARIANT: The page fits the code, and the lock is held.
        let code = match found {
            Fault::Page(folio) => {
                // SAFETY: The fault is valid; it takes over the reference.
                unsafe {
                    (*vmf).page = bindings::folio_page(ARef::into_raw(folio).as_ptr().cast())
                };
                0
            }
            Fault::Live(folio) => {
                // SAFETY: The fault is valid; it takes over reference and lock.
                unsafe { (*vmf).page = bindings::folio_page(folio.into_raw()) };
                bindings::vm_fault_reason_VM_FAULT_LOCKED
            }
            Fault::Failed(error) => error.0,
        };
        Finished(code, PhantomData)
    }
}

/// A fault around which pages can be mapped that are in the page cache: a `struct vm_fault` that has a page table ready.
///
/// # Invariants
///
/// The fault is the argument of a `map_pages` that is running, with the pages from `first` to `last`, and nobody else uses it
/// for `'a`.
pub(crate) struct FaultAround<'a> {
    vmf: NonNull<bindings::vm_fault>,
    first: usize,
    last: usize,
    _fault: PhantomData<&'a mut bindings::vm_fault>,
}

/// What `map_pages` tells C.
pub(crate) struct Mapped(bindings::vm_fault_t);

impl Mapped {
    /// Nothing: a page has to be found by a fault.
    pub(crate) const NOTHING: Self = Self(0);
}

impl FaultAround<'_> {
    /// The page of the file that the fault is for.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        // SAFETY: The fault is valid, and this field is set for good.
        unsafe { (*self.vmf.as_ptr()).__bindgen_anon_1.pgoff }
    }

    /// The first and the last page that may be mapped.
    #[inline]
    pub(crate) fn pages(&self) -> (usize, usize) {
        (self.first, self.last)
    }

    /// Leaves out the pages before `first` and those behind `last`.
    #[inline]
    pub(crate) fn limit(&mut self, first: usize, last: usize) {
        // INVARIANT: What is left is a part of what it was.
        self.first = self.first.max(first);
        self.last = self.last.min(last);
    }

    /// Maps those of the pages that are in the page cache and can be locked without waiting. Does not sleep.
    #[inline]
    pub(crate) fn map_live(self) -> Mapped {
        if self.first > self.last {
            return Mapped::NOTHING;
        }
        // SAFETY: The fault is valid, and its page table has room for the pages.
        Mapped(unsafe { bindings::filemap_map_pages(self.vmf.as_ptr(), self.first, self.last) })
    }
}

/// The private mappings of a filesystem, whose pages are those of a snapshot.
pub(crate) trait PrivateMapping: Sized + 'static {
    /// The filesystem.
    type Fs: FileSystem;
    /// The snapshot that a mapping shows. All mappings with the same file have the same one.
    type Snapshot: Send + Sync + 'static;

    /// Returns the tables: always the same static.
    fn tables() -> &'static PrivateTables<Self>;

    /// Finds a page. May sleep.
    fn fault<'a>(fault: VmFault<'a, Self::Fs, Self::Snapshot>) -> Finished<'a>;

    /// Maps pages around a fault, as far as that can be done without sleeping.
    fn map_pages(
        inode: &Inode<Self::Fs>,
        snapshot: &Self::Snapshot,
        around: FaultAround<'_>,
    ) -> Mapped;

    /// A mapping of the snapshot is about to be split, so that a part of it may go. `mmap_lock` is held for writing.
    fn split(snapshot: &Self::Snapshot);

    /// A mapping, or a part that it was split into, is gone: `pages` are the first of them and the one after the last.
    /// Others remain.
    /// `mmap_lock` is held; may sleep.
    fn close(inode: &Inode<Self::Fs>, snapshot: &Self::Snapshot, pages: (usize, usize));

    /// The last mapping of the snapshot is gone, or it could not be mapped: then `mmap_lock` is held for writing.
    fn release(inode: &Inode<Self::Fs>, snapshot: Arc<Self::Snapshot>);
}

/// The shared mappings of a filesystem.
pub(crate) trait SharedMapping: 'static {
    /// The filesystem.
    type Fs: FileSystem;

    /// Lets the page in a shared mapping be changed. It is returned locked, in the page cache, and stays so until it is mapped
    /// for writing. With `None`, or another page, the access is tried again. May sleep.
    ///
    /// Errors: `ENOMEM`, `EIO` for broken memory; all others are SIGBUS for who stores.
    fn page_mkwrite(
        inode: &Inode<Self::Fs>,
        file: &File<Self::Fs>,
        vmf: &mut Mkwrite<'_>,
    ) -> Result<Option<LockedFolio>>;
}

/// A fault that is about to make a page writable: a `struct vm_fault`. The lock of the mapping is held meanwhile.
///
/// # Invariants
///
/// The fault is the argument of a `page_mkwrite` that is running, and nobody else uses it for `'a`.
pub(crate) struct Mkwrite<'a>(
    NonNull<bindings::vm_fault>,
    PhantomData<&'a mut bindings::vm_fault>,
);

impl Mkwrite<'_> {
    /// The page of the file that is asked for.
    pub(crate) fn index(&self) -> usize {
        // SAFETY: The fault is valid, and this field is set for good.
        unsafe { (*self.0.as_ptr()).__bindgen_anon_1.pgoff }
    }

    /// The page, locked, if it is still in `mapping`. Without it the access has to be tried again. May sleep.
    pub(crate) fn lock_page(&mut self, mapping: &AddressSpace) -> Option<LockedFolio> {
        // SAFETY: The fault is valid, and has a page with a reference when `page_mkwrite` is called: one of this module's, so of
        // order 0.
        let folio = unsafe { Folio::from_raw(bindings::page_folio((*self.0.as_ptr()).page)) };
        let folio = Folio::lock(folio.into());
        mapping.contains(&folio).then_some(folio)
    }

    /// Whether `folio` is that page.
    #[inline]
    pub(crate) fn is_of(&self, folio: &LockedFolio) -> bool {
        // SAFETY: The fault is valid.
        let page = unsafe { (*self.0.as_ptr()).page };
        // A folio of order 0 begins with its page, and others are not here.
        ptr::eq(page.cast(), folio.as_ptr())
    }
}

/// The tables of a [`PrivateMapping`], which has one of them, as a static: its files are known by the address.
pub(crate) struct PrivateTables<T: PrivateMapping> {
    vm: bindings::vm_operations_struct,
    file: bindings::file_operations,
    _mapping: PhantomData<fn() -> T>,
}

// SAFETY: The tables are constant, and hold nothing but addresses of functions.
unsafe impl<T: PrivateMapping> Sync for PrivateTables<T> {}

impl<T: PrivateMapping> PrivateTables<T> {
    /// The tables of `T`.
    pub(crate) const fn new() -> Self {
        Self {
            vm: bindings::vm_operations_struct {
                fault: Some(PrivateOps::<T>::fault),
                map_pages: Some(PrivateOps::<T>::map_pages),
                close: Some(PrivateOps::<T>::close),
                may_split: Some(PrivateOps::<T>::may_split),
                mapped: Some(PrivateOps::<T>::mapped),
                ..pin_init::zeroed()
            },
            file: bindings::file_operations {
                release: Some(PrivateOps::<T>::release),
                ..pin_init::zeroed()
            },
            _mapping: PhantomData,
        }
    }
}

/// The callbacks in [`PrivateTables`].
struct PrivateOps<T>(PhantomData<T>);

impl<T: PrivateMapping> PrivateOps<T> {
    /// # Safety
    ///
    /// `file` has to be one that [`MmapDesc::set_private`] made, and valid for all of `'a`.
    unsafe fn of<'a>(file: *mut bindings::file) -> (&'a Inode<T::Fs>, ArcBorrow<'a, T::Snapshot>) {
        // SAFETY: The file is of an inode of `T::Fs`, to which it has a reference, and its private data is such a
        // reference.
        unsafe {
            (
                Inode::from_raw((*(*file).f_mapping).host),
                <Arc<T::Snapshot> as ForeignOwnable>::borrow((*file).private_data),
            )
        }
    }

    /// # Safety
    ///
    /// As `vm_operations_struct.fault`, for a mapping that [`MmapDesc::set_private`] made.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: The mapping has such a file.
        let (inode, snapshot) = unsafe { Self::of((*(*vmf).__bindgen_anon_1.vma).vm_file) };
        // SAFETY: The fault is the argument, so not null, and its lock is held.
        let fault = unsafe { VmFault::from_raw(vmf, inode, &*snapshot) };
        T::fault(fault).0
    }

    /// # Safety
    ///
    /// As `vm_operations_struct.map_pages`, for a mapping that [`MmapDesc::set_private`] made.
    unsafe extern "C" fn map_pages(
        vmf: *mut bindings::vm_fault,
        first: c_ulong,
        last: c_ulong,
    ) -> bindings::vm_fault_t {
        // SAFETY: The mapping has such a file.
        let (inode, snapshot) = unsafe { Self::of((*(*vmf).__bindgen_anon_1.vma).vm_file) };
        // INVARIANT: These are the arguments.
        let around = FaultAround {
            // SAFETY: The argument is not null.
            vmf: unsafe { NonNull::new_unchecked(vmf) },
            first,
            last,
            _fault: PhantomData,
        };
        T::map_pages(inode, &snapshot, around).0
    }

    /// # Safety
    ///
    /// As `vm_operations_struct.may_split`, for a mapping that [`MmapDesc::set_private`] made.
    unsafe extern "C" fn may_split(vma: *mut bindings::vm_area_struct, _at: c_ulong) -> c_int {
        // SAFETY: The mapping has such a file.
        let (_, snapshot) = unsafe { Self::of((*vma).vm_file) };
        T::split(&snapshot);
        0
    }

    /// # Safety
    ///
    /// As `vm_operations_struct.close`, for a mapping that [`MmapDesc::set_private`] made.
    unsafe extern "C" fn close(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The lock that `close` is called with keeps the mapping.
        let this = unsafe { Vma::from_raw(vma) };
        // The last one goes with the file, at once.
        if this.is_file_shared() {
            // SAFETY: The mapping has such a file.
            let (inode, snapshot) = unsafe { Self::of((*vma).vm_file) };
            T::close(inode, &snapshot, this.pages());
        }
    }

    /// Mends the count of references to the file where a stacking filesystem maps it.
    ///
    /// The descriptor of `mmap_prepare` hands over one reference. `mmap()` takes that for the mapping, but
    /// `compat_vma_mmap()`, through which overlayfs comes with a backing file, takes another. (The count does not tell: a
    /// lookup of a descriptor may hold a reference for a moment to whatever file its memory has become.)
    ///
    /// # Safety
    ///
    /// As `vm_operations_struct.mapped`, for a mapping that [`MmapDesc::set_private`] made.
    unsafe extern "C" fn mapped(
        _start: c_ulong,
        _end: c_ulong,
        _pgoff: c_ulong,
        file: *const bindings::file,
        private_data: *mut *mut c_void,
    ) -> c_int {
        // SAFETY: The caller has put there what `set_private` left in the descriptor.
        if !unsafe { core::ptr::replace(private_data, ptr::null_mut()) }.is_null() {
            // SAFETY: Of the two references one is the mapping's. The other is that of the descriptor, which is ours.
            unsafe { bindings::fput(file.cast_mut()) };
        }
        0
    }

    /// # Safety
    ///
    /// As `file_operations.release`, for a file that [`MmapDesc::set_private`] made.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The file is the last user of the reference that is its private data.
        let snapshot =
            unsafe { <Arc<T::Snapshot> as ForeignOwnable>::from_foreign((*file).private_data) };
        // SAFETY: The file still has its reference to the inode, which is of `T::Fs`.
        T::release(
            unsafe { Inode::from_raw((*(*file).f_mapping).host) },
            snapshot,
        );
        0
    }
}

/// The table of a [`SharedMapping`].
pub(crate) struct SharedOps<T>(PhantomData<T>);

impl<T: SharedMapping> SharedOps<T> {
    const VM: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(bindings::filemap_fault),
        map_pages: Some(bindings::filemap_map_pages),
        page_mkwrite: Some(Self::page_mkwrite),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// As `vm_operations_struct.page_mkwrite`, for a mapping that [`MmapDesc::set_shared`] made.
    unsafe extern "C" fn page_mkwrite(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: The fault and its mapping are valid, and the mapping has a file of `T::Fs`.
        let (file, inode) = unsafe {
            let file = (*(*vmf).__bindgen_anon_1.vma).vm_file;
            (File::from_raw(file), (*(*file).f_mapping).host)
        };
        // SAFETY: The inode belongs to a mounted filesystem.
        unsafe { bindings::sb_start_pagefault((*inode).i_sb) };
        // INVARIANT: The fault is the argument.
        // SAFETY: The argument of a callback is not null.
        let mut fault = Mkwrite(unsafe { NonNull::new_unchecked(vmf) }, PhantomData);
        // SAFETY: The inode is of `T::Fs`, and the mapping's file has a reference to it.
        let ret = T::page_mkwrite(unsafe { Inode::from_raw(inode) }, file, &mut fault);
        let code = match ret {
            // C unlocks the page that it has asked for.
            Ok(Some(folio)) if fault.is_of(&folio) => {
                // The fault has a reference of its own; the lock is handed over.
                let folio = folio.into_raw();
                // SAFETY: The reference of `folio` is not used any more.
                unsafe { bindings::folio_put(folio) };
                bindings::vm_fault_reason_VM_FAULT_LOCKED
            }
            Ok(_) => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            Err(err) => FaultError::from(err).0,
        };
        // SAFETY: Started above.
        unsafe { bindings::sb_end_pagefault((*inode).i_sb) };
        code
    }
}

/// The shared mappings of windows, whose pages the filesystem finds by itself.
pub(crate) trait WindowMapping: SharedMapping {
    /// Finds a page of the inode that the mapping has the pages of. May sleep.
    fn fault<'a>(fault: VmFault<'a, Self::Fs, File<Self::Fs>>) -> Finished<'a>;

    /// The page after the last one that the mapping may have.
    fn end(view: &Inode<Self::Fs>, file: &File<Self::Fs>) -> usize;
}

/// The table of a [`WindowMapping`].
pub(crate) struct WindowOps<T>(PhantomData<T>);

impl<T: WindowMapping> WindowOps<T> {
    const VM: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(Self::fault),
        map_pages: Some(Self::map_pages),
        page_mkwrite: Some(SharedOps::<T>::page_mkwrite),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `vmf` has to be a fault in a mapping that [`MmapDesc::set_window`] made, and valid for all of `'a`.
    unsafe fn of<'a>(vmf: *mut bindings::vm_fault) -> (&'a Inode<T::Fs>, &'a File<T::Fs>) {
        // SAFETY: The mapping has a file of `T::Fs`.
        unsafe {
            let file = (*(*vmf).__bindgen_anon_1.vma).vm_file;
            (
                Inode::from_raw((*(*file).f_mapping).host),
                File::from_raw(file),
            )
        }
    }

    /// # Safety
    ///
    /// As `vm_operations_struct.fault`, for a mapping that [`MmapDesc::set_window`] made.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: The fault is the argument, its lock is held, and the file is that of the mapping.
        let fault = unsafe {
            let (view, file) = Self::of(vmf);
            VmFault::from_raw(vmf, view, file)
        };
        T::fault(fault).0
    }

    /// # Safety
    ///
    /// As `vm_operations_struct.map_pages`, for a mapping that [`MmapDesc::set_window`] made.
    unsafe extern "C" fn map_pages(
        vmf: *mut bindings::vm_fault,
        first: c_ulong,
        last: c_ulong,
    ) -> bindings::vm_fault_t {
        // SAFETY: The fault is the argument.
        let (view, file) = unsafe { Self::of(vmf) };
        match T::end(view, file).checked_sub(1) {
            // SAFETY: As above.
            Some(end) if first <= end => unsafe {
                bindings::filemap_map_pages(vmf, first, last.min(end))
            },
            _ => 0,
        }
    }
}

/// A mapping of a file of `F` that is about to be made: a `struct vm_area_desc`.
#[repr(transparent)]
pub(crate) struct MmapDesc<F>(Opaque<bindings::vm_area_desc>, PhantomData<F>);

impl<F: FileSystem> MmapDesc<F> {
    /// Borrows a descriptor from C.
    ///
    /// # Safety
    ///
    /// `desc` has to be the argument of a `mmap_prepare` that is running, for a file of `F`, and used by nobody else for all
    /// of `'a`.
    unsafe fn from_raw<'a>(desc: *mut bindings::vm_area_desc) -> &'a mut Self {
        // SAFETY: The wrapper is transparent, and the caller vouches for the rest.
        unsafe { &mut *desc.cast() }
    }

    /// Whether it was asked for with `MAP_SHARED`. It may still be read-only: `VM_SHARED` is for writing.
    pub(crate) fn is_shared(&self) -> bool {
        // SAFETY: The descriptor is valid.
        unsafe { bindings::vma_desc_is_shared(self.0.get()) }
    }

    /// Whether it is asked for a mapping that [`AddressSpace::is_writably_mapped`] sees.
    pub(crate) fn may_be_written(&self) -> bool {
        // SAFETY: The descriptor is valid.
        unsafe { bindings::vma_desc_is_shared_maywrite(self.0.get()) }
    }

    /// The pages of the file that it will map: the first one, and the one after the last.
    pub(crate) fn pages(&self) -> (usize, usize) {
        // SAFETY: The descriptor is valid.
        let desc = unsafe { &*self.0.get() };
        let len = desc.end.saturating_sub(desc.start) >> super::folio::PAGE_SHIFT;
        (desc.pgoff, desc.pgoff.saturating_add(len))
    }

    /// The file that is to be mapped.
    fn file(&self) -> *mut bindings::file {
        // SAFETY: The descriptor is valid.
        unsafe { (*self.0.get()).file }
    }

    /// Whether the file that is to be mapped keeps `inode`, because that is its inode or an extension of that.
    #[inline]
    fn keeps(&self, inode: &Inode<F>) -> bool {
        // SAFETY: A mapping that is being made has an open file.
        ptr::eq(inode.base().as_ptr(), unsafe { (*self.file()).f_inode })
    }

    /// Makes it a mapping of the live file.
    pub(crate) fn set_shared<T: SharedMapping<Fs = F>>(&mut self) {
        // SAFETY: The descriptor is valid.
        unsafe { (*self.0.get()).vm_ops = &SharedOps::<T>::VM };
    }

    /// Lets it begin with the page `first`. `EOVERFLOW` if the number of the last one is too large then.
    pub(crate) fn set_first(&mut self, first: usize) -> Result {
        let (old, end) = self.pages();
        if first.checked_add(end.saturating_sub(old)).is_none() {
            return Err(EOVERFLOW);
        }
        // SAFETY: The descriptor is valid.
        unsafe { (*self.0.get()).pgoff = first };
        Ok(())
    }

    /// Makes it a mapping of the live file whose pages the filesystem finds by itself.
    pub(crate) fn set_found<T: WindowMapping<Fs = F>>(&mut self) {
        // SAFETY: The descriptor is valid.
        unsafe { (*self.0.get()).vm_ops = &WindowOps::<T>::VM };
    }

    /// Makes it a shared mapping of the file or window that its file is, by way of another file, whose offsets are those of
    /// the pages: they are those of `inode`, and begin at the byte `origin`.
    ///
    /// `ENODEV` if a stacking filesystem maps it, which would not know what to do with that file; `EINVAL` if `inode` is neither
    /// that of the file nor an extension of it; `ENOMEM`.
    pub(crate) fn set_window<T: WindowMapping<Fs = F>, W: FileOperations<Fs = F>>(
        &mut self,
        inode: &Inode<F>,
        origin: u64,
    ) -> Result {
        const { assert!(W::IS_WINDOW) };
        let origin = i64::try_from(origin)?;
        if !self.keeps(inode) {
            return Err(EINVAL);
        }
        let file = self.file();
        // SAFETY: A mapping that is being made has an open file.
        if unsafe { bindings::file_is_backing(file) } {
            return Err(ENODEV);
        }
        // SAFETY: The file is open and keeps the inode of the mapping, and the table is one for windows.
        let view = from_err_ptr(unsafe {
            bindings::window_view(
                file,
                inode.mapping().as_ptr(),
                &origin,
                FileOps::<W>::table(),
            )
        })?;
        // SAFETY: The descriptor is valid; it takes over the reference to the file.
        unsafe {
            (*self.0.get()).vm_file = view;
            (*self.0.get()).vm_ops = &WindowOps::<T>::VM;
        }
        Ok(())
    }

    /// Makes it a mapping of `snapshot`, by giving it a file of its own: so it is never merged with a mapping of another
    /// instant, and counts the snapshot's users by itself, through fork, split and mremap. It is one of `inode`, the pages of
    /// which begin at the byte `origin` of the file.
    ///
    /// `ENOMEM`, and `EINVAL` if `inode` is neither that of the file nor an extension of it; the snapshot is released then as if
    /// it had been mapped.
    #[inline(always)]
    pub(crate) fn set_private<T: PrivateMapping<Fs = F>>(
        &mut self,
        inode: &Inode<F>,
        origin: u64,
        snapshot: Arc<T::Snapshot>,
    ) -> Result {
        let origin = i64::try_from(origin).unwrap_or(i64::MAX);
        let data = snapshot.into_foreign();
        let file = if self.keeps(inode) {
            // SAFETY: The file is an open one of `F`, and keeps the inode of the mapping.
            from_err_ptr(unsafe {
                bindings::snapshot_file(
                    self.file(),
                    inode.mapping().as_ptr(),
                    &origin,
                    &T::tables().file,
                    data.cast(),
                )
            })
        } else {
            Err(EINVAL)
        };
        match file {
            Ok(file) => {
                // SAFETY: The descriptor is valid; it takes over the reference to the file.
                unsafe {
                    (*self.0.get()).vm_file = file;
                    (*self.0.get()).vm_ops = &T::tables().vm;
                    // For `PrivateOps::mapped`: anything but null where a stacking filesystem maps the file.
                    (*self.0.get()).private_data = if bindings::file_is_backing(self.file()) {
                        file.cast()
                    } else {
                        ptr::null_mut()
                    };
                }
                Ok(())
            }
            Err(err) => {
                // SAFETY: The pointer is from `into_foreign` above, and nobody got it.
                let snapshot = unsafe { <Arc<T::Snapshot> as ForeignOwnable>::from_foreign(data) };
                T::release(inode, snapshot);
                Err(err)
            }
        }
    }
}

/// The callback `file_operations.mmap_prepare` of `f`.
///
/// # Safety
///
/// As that, for a file of `F`.
pub(super) unsafe fn mmap_prepare<F: FileSystem>(
    desc: *mut bindings::vm_area_desc,
    f: impl FnOnce(&Inode<F>, &File<F>, &mut MmapDesc<F>) -> Result,
) -> c_int {
    from_result(|| {
        // SAFETY: The descriptor is valid, and its file is an open one of `F`.
        let (inode, file) = unsafe {
            let file = (*desc).file;
            (
                Inode::from_raw((*(*file).f_mapping).host),
                File::from_raw(file),
            )
        };
        // SAFETY: The descriptor is the argument of the callback.
        f(inode, file, unsafe { MmapDesc::from_raw(desc) })?;
        Ok(0)
    })
}
