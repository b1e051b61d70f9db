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
    ptr, //
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
    pub(crate) unsafe fn from_raw<'a>(vma: *mut bindings::vm_area_struct) -> &'a Self {
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

/// The outcome of a fault, as a combination of `VM_FAULT_*`.
pub(crate) type FaultCode = bindings::vm_fault_t;

/// Bits of [`FaultCode`] in Rust's constants.
pub(crate) mod code {
    use super::{
        bindings,
        FaultCode, //
    };

    pub(crate) const OOM: FaultCode = bindings::vm_fault_reason_VM_FAULT_OOM;
    pub(crate) const SIGBUS: FaultCode = bindings::vm_fault_reason_VM_FAULT_SIGBUS;
    pub(crate) const NOPAGE: FaultCode = bindings::vm_fault_reason_VM_FAULT_NOPAGE;
    pub(crate) const LOCKED: FaultCode = bindings::vm_fault_reason_VM_FAULT_LOCKED;
    pub(crate) const RETRY: FaultCode = bindings::vm_fault_reason_VM_FAULT_RETRY;
}

/// The code for a fault that failed with `err`.
pub(crate) fn error_code(err: Error) -> FaultCode {
    if err == ENOMEM {
        code::OOM
    } else {
        code::SIGBUS
    }
}

/// What a fault handler found.
pub(crate) enum Fault {
    /// A page outside of any page cache. It is mapped as it is: its contents never change.
    Page(ARef<Folio>),
    /// A page of the live file. It stays locked until it is mapped, so nobody changes it before that.
    Live(LockedFolio),
    /// No page; the code says why.
    Code(FaultCode),
}

impl Fault {
    /// Tells C what was found.
    ///
    /// # Safety
    ///
    /// `vmf` has to be the argument of the fault handler that is about to return the code.
    unsafe fn finish(self, vmf: *mut bindings::vm_fault) -> FaultCode {
        match self {
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
                code::LOCKED
            }
            Fault::Code(code) => code,
        }
    }
}

/// A fault in a mapping: a `struct vm_fault`.
#[repr(transparent)]
pub(crate) struct VmFault(Opaque<bindings::vm_fault>);

impl VmFault {
    /// Borrows a fault from C.
    ///
    /// # Safety
    ///
    /// `vmf` has to be the argument of a fault handler that is running, and used by nobody else for all of `'a`.
    unsafe fn from_raw<'a>(vmf: *mut bindings::vm_fault) -> &'a mut Self {
        // SAFETY: The wrapper is transparent, and the caller vouches for the rest.
        unsafe { &mut *vmf.cast() }
    }

    /// The page of the file that is asked for.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        // SAFETY: The fault is valid, and this field is set for good.
        unsafe { (*self.0.get()).__bindgen_anon_1.pgoff }
    }

    /// Finds the page in the live file, or adds it.
    ///
    /// The lock on the mapping is lost, with the mapping perhaps, if the code has [`code::RETRY`].
    pub(crate) fn live(&mut self) -> Fault {
        // SAFETY: The fault is valid.
        let ret = unsafe { bindings::filemap_fault(self.0.get()) };
        if ret & code::LOCKED == 0 {
            return Fault::Code(ret);
        }
        // SAFETY: The function set the page, which is locked and referenced for us.
        let folio = unsafe {
            let page = core::mem::replace(&mut (*self.0.get()).page, ptr::null_mut());
            LockedFolio::take_raw(bindings::page_folio(page))
        };
        match folio {
            Some(folio) => Fault::Live(folio),
            None => Fault::Code(code::SIGBUS),
        }
    }

    /// Maps those pages from `first` to `last` that are in the page cache and can be locked without waiting.
    ///
    /// For `map_pages` alone, which has a page table ready.
    pub(crate) fn map_live(&mut self, first: usize, last: usize) -> FaultCode {
        // SAFETY: The fault is valid.
        unsafe { bindings::filemap_map_pages(self.0.get(), first, last) }
    }

    /// The page that is about to become writable, locked if it is still in `mapping`. For `page_mkwrite` alone.
    fn lock_page(&mut self, mapping: &AddressSpace) -> Option<LockedFolio> {
        // SAFETY: The fault is valid, and has a page with a reference when `page_mkwrite` is called.
        let folio = unsafe { Folio::from_raw(bindings::page_folio((*self.0.get()).page)) };
        let folio = Folio::lock(folio.into());
        mapping.contains(&folio).then_some(folio)
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

    /// Finds a page. The lock of the mapping is held; may sleep.
    fn fault(inode: &Inode<Self::Fs>, snapshot: &Self::Snapshot, vmf: &mut VmFault) -> Fault;

    /// Maps pages around a fault, as far as that can be done without sleeping. Returns what [`VmFault::map_live`] does.
    fn map_pages(
        inode: &Inode<Self::Fs>,
        snapshot: &Self::Snapshot,
        vmf: &mut VmFault,
        first: usize,
        last: usize,
    ) -> FaultCode;

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

    /// Lets the page in a shared mapping be changed. It is in the page cache and locked, and stays so until it is mapped
    /// for writing, unless `false` says that it must not be now, and the access has to be tried again.
    fn page_mkwrite(
        inode: &Inode<Self::Fs>,
        file: &File<Self::Fs>,
        vmf: &mut Mkwrite<'_>,
    ) -> Result<Option<LockedFolio>>;
}

/// A fault that is about to make a page writable.
pub(crate) struct Mkwrite<'a>(&'a mut VmFault);

impl Mkwrite<'_> {
    /// The page of the file that is asked for.
    pub(crate) fn index(&self) -> usize {
        self.0.index()
    }

    /// The page, locked, if it is still in `mapping`. Without it the access has to be tried again.
    pub(crate) fn lock_page(&mut self, mapping: &AddressSpace) -> Option<LockedFolio> {
        self.0.lock_page(mapping)
    }

    /// Whether `folio` is that page.
    pub(crate) fn is_of(&self, folio: &LockedFolio) -> bool {
        // SAFETY: The fault is valid, and has a page with a reference when `page_mkwrite` is called.
        ptr::eq(
            unsafe { bindings::page_folio((*self.0 .0.get()).page) },
            folio.as_ptr(),
        )
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
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> FaultCode {
        // SAFETY: The mapping has such a file. It may go away with the lock on the mapping during the call, but only where
        // the handler returns a code with RETRY and uses neither after that.
        let (inode, snapshot) = unsafe { Self::of((*(*vmf).__bindgen_anon_1.vma).vm_file) };
        // SAFETY: The fault is the argument, and its fields are used again only after the handler returned.
        let fault = T::fault(inode, &snapshot, unsafe { VmFault::from_raw(vmf) });
        // SAFETY: The fault is valid.
        unsafe { fault.finish(vmf) }
    }

    /// # Safety
    ///
    /// As `vm_operations_struct.map_pages`, for a mapping that [`MmapDesc::set_private`] made.
    unsafe extern "C" fn map_pages(
        vmf: *mut bindings::vm_fault,
        first: c_ulong,
        last: c_ulong,
    ) -> FaultCode {
        // SAFETY: The mapping has such a file.
        let (inode, snapshot) = unsafe { Self::of((*(*vmf).__bindgen_anon_1.vma).vm_file) };
        // SAFETY: The fault is the argument.
        T::map_pages(
            inode,
            &snapshot,
            unsafe { VmFault::from_raw(vmf) },
            first,
            last,
        )
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
    unsafe extern "C" fn page_mkwrite(vmf: *mut bindings::vm_fault) -> FaultCode {
        // SAFETY: The fault and its mapping are valid, and the mapping has a file of `T::Fs`.
        let (file, inode) = unsafe {
            let file = (*(*vmf).__bindgen_anon_1.vma).vm_file;
            (File::from_raw(file), (*(*file).f_mapping).host)
        };
        // SAFETY: The inode belongs to a mounted filesystem.
        unsafe { bindings::sb_start_pagefault((*inode).i_sb) };
        // SAFETY: The fault is the argument; the inode is of `T::Fs`, and the mapping's file has a reference to it.
        let ret = unsafe {
            T::page_mkwrite(
                Inode::from_raw(inode),
                file,
                &mut Mkwrite(VmFault::from_raw(vmf)),
            )
        };
        let code = match ret {
            Ok(Some(folio)) => {
                // The fault has a reference of its own; the lock is handed over.
                let folio = core::mem::ManuallyDrop::new(folio);
                // SAFETY: The reference of `folio` is not used any more.
                unsafe { bindings::folio_put(folio.as_ptr()) };
                code::LOCKED
            }
            Ok(None) => code::NOPAGE,
            Err(err) => error_code(err),
        };
        // SAFETY: Started above.
        unsafe { bindings::sb_end_pagefault((*inode).i_sb) };
        code
    }
}

/// The shared mappings of windows, whose pages the filesystem finds by itself.
pub(crate) trait WindowMapping: SharedMapping {
    /// Finds a page of `view`. The lock of the mapping is held; may sleep.
    fn fault(view: &Inode<Self::Fs>, file: &File<Self::Fs>, vmf: &mut VmFault) -> Fault;

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
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> FaultCode {
        // SAFETY: The fault is the argument. The mapping may go away with its lock during the call, but only where the
        // handler returns a code with RETRY and uses neither after that.
        let fault = unsafe {
            let (view, file) = Self::of(vmf);
            T::fault(view, file, VmFault::from_raw(vmf))
        };
        // SAFETY: The fault is valid.
        unsafe { fault.finish(vmf) }
    }

    /// # Safety
    ///
    /// As `vm_operations_struct.map_pages`, for a mapping that [`MmapDesc::set_window`] made.
    unsafe extern "C" fn map_pages(
        vmf: *mut bindings::vm_fault,
        first: c_ulong,
        last: c_ulong,
    ) -> FaultCode {
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

/// A mapping that is about to be made: a `struct vm_area_desc`.
#[repr(transparent)]
pub(crate) struct MmapDesc(Opaque<bindings::vm_area_desc>);

impl MmapDesc {
    /// Borrows a descriptor from C.
    ///
    /// # Safety
    ///
    /// `desc` has to be the argument of a `mmap_prepare` that is running, and used by nobody else for all of `'a`.
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

    /// Makes it a mapping of the live file.
    pub(crate) fn set_shared<T: SharedMapping>(&mut self) {
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
    pub(crate) fn set_found<T: WindowMapping>(&mut self) {
        // SAFETY: The descriptor is valid.
        unsafe { (*self.0.get()).vm_ops = &WindowOps::<T>::VM };
    }

    /// Makes it a shared mapping of the file or window that its file is, by way of another file, whose offsets are those of
    /// the pages: they are those of `inode`, and begin at the byte `origin`.
    ///
    /// `ENODEV` if a stacking filesystem maps it, which would not know what to do with that file; `ENOMEM`.
    pub(crate) fn set_window<T: WindowMapping, W: FileOperations<Fs = T::Fs>>(
        &mut self,
        inode: &Inode<T::Fs>,
        origin: u64,
    ) -> Result {
        let origin = i64::try_from(origin)?;
        // SAFETY: The descriptor is valid.
        let file = unsafe { (*self.0.get()).file };
        // SAFETY: A mapping that is being made has an open file.
        if unsafe { bindings::file_is_backing(file) } {
            return Err(ENODEV);
        }
        // SAFETY: The file is open, the mapping one of its inode or of an extension of that, and the table one for windows.
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
    /// `ENOMEM`; the snapshot is released then as if it had been mapped.
    pub(crate) fn set_private<T: PrivateMapping>(
        &mut self,
        inode: &Inode<T::Fs>,
        origin: u64,
        snapshot: Arc<T::Snapshot>,
    ) -> Result {
        let origin = i64::try_from(origin).unwrap_or(i64::MAX);
        let data = snapshot.into_foreign();
        // SAFETY: The descriptor is valid, its file is an open one of `T::Fs`, and the mapping one of its inode or of an
        // extension of that.
        let file = from_err_ptr(unsafe {
            bindings::snapshot_file(
                (*self.0.get()).file,
                inode.mapping().as_ptr(),
                &origin,
                &T::tables().file,
                data.cast(),
            )
        });
        match file {
            Ok(file) => {
                // SAFETY: The descriptor is valid; it takes over the reference to the file.
                unsafe {
                    (*self.0.get()).vm_file = file;
                    (*self.0.get()).vm_ops = &T::tables().vm;
                    // For `PrivateOps::mapped`: anything but null where a stacking filesystem maps the file.
                    (*self.0.get()).private_data =
                        if bindings::file_is_backing((*self.0.get()).file) {
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
    f: impl FnOnce(&Inode<F>, &File<F>, &mut MmapDesc) -> Result,
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
