// SPDX-License-Identifier: GPL-2.0

//! Open regular files, and what is read from and written to them.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h), [`include/linux/uio.h`](srctree/include/linux/uio.h)

use super::{
    bindings,
    folio::{
        Folio,
        LockedFolio,
        PAGE_SIZE, //
    },
    inode::{
        FileSystem,
        Guard,
        Inode,
        Locked,
        New, //
    },
    vma::{
        self,
        MmapDesc, //
    },
};
use core::{
    marker::PhantomData,
    ops::Deref, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi::{
        c_int,
        c_long,
        c_uint,
        c_ulong, //
    },
    prelude::*,
    sync::aref::ARef,
    types::Opaque,
};

/// An open `struct file` of the filesystem `F`.
#[repr(transparent)]
pub(crate) struct File<F>(Opaque<bindings::file>, PhantomData<F>);

impl<F: FileSystem> File<F> {
    /// Borrows a file from C.
    ///
    /// # Safety
    ///
    /// `file` has to be an open file of an inode of `F`, and valid for all of `'a`.
    #[inline]
    pub(super) unsafe fn from_raw<'a>(file: *mut bindings::file) -> &'a Self {
        // SAFETY: The wrapper is transparent, and the caller vouches for the rest.
        unsafe { &*file.cast() }
    }

    /// Returns the C object.
    #[inline]
    pub(super) fn as_ptr(&self) -> *mut bindings::file {
        self.0.get()
    }

    /// The inode whose data the file shows.
    #[inline]
    pub(crate) fn inode(&self) -> &Inode<F> {
        // SAFETY: An open file has a reference to its inode, which is of `F`.
        unsafe { Inode::from_raw((*(*self.as_ptr()).f_mapping).host) }
    }

    /// Notes that the file was read, as its mount wants it.
    #[inline]
    pub(crate) fn accessed(&self) {
        // SAFETY: The file is valid.
        unsafe { bindings::file_accessed(self.as_ptr()) };
    }

    /// Sets the times of a file that is being changed. May sleep.
    #[inline]
    pub(crate) fn update_time(&self) -> Result {
        // SAFETY: The file is valid.
        done(unsafe { bindings::file_update_time(self.as_ptr()) })
    }

    /// Locks the inode for changes (`i_rwsem` for writing): that of the file, also where this is a window. Sleeps.
    #[inline]
    pub(crate) fn lock(&self) -> FileGuard<'_, F> {
        // SAFETY: An open file has a reference to its inode, which is of `F`.
        let inode: &Inode<F> = unsafe { Inode::from_raw((*self.as_ptr()).f_inode) };
        // INVARIANT: It is the inode of the file.
        FileGuard {
            file: self,
            inode: inode.lock(),
        }
    }

    /// `SEEK_SET`, `SEEK_CUR` and `SEEK_END`. Returns the new position.
    pub(crate) fn seek(&self, offset: i64, whence: i32, max: i64, eof: i64) -> Result<i64> {
        let mut pos = offset;
        // SAFETY: The file and the pointers are valid.
        unsafe { bindings::file_llseek_size(self.as_ptr(), &mut pos, whence, &max, &eof) };
        position(pos)
    }

    /// Sets the position.
    pub(crate) fn set_pos(&self, offset: i64, max: i64) -> Result<i64> {
        let mut pos = offset;
        // SAFETY: The file and the pointers are valid.
        unsafe { bindings::file_setpos(self.as_ptr(), &mut pos, &max) };
        position(pos)
    }
}

/// A file that is about to be changed, and the lock of its inode; from [`File::lock`].
///
/// # Invariants
///
/// `inode` is that of `file`.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct FileGuard<'a, F: FileSystem> {
    file: &'a File<F>,
    inode: Guard<'a, F>,
}

impl<F: FileSystem> Deref for FileGuard<'_, F> {
    type Target = Locked<F>;

    #[inline]
    fn deref(&self) -> &Locked<F> {
        &self.inode
    }
}

impl<F: FileSystem> FileGuard<'_, F> {
    /// Takes away set-user-ID and the like before the file is written to. May sleep. Errors: `ENOMEM`, and those of security
    /// modules.
    #[inline]
    pub(crate) fn remove_privs(&self) -> Result {
        // SAFETY: The file is open, and its inode locked.
        done(unsafe { bindings::file_remove_privs(self.file.as_ptr()) })
    }

    /// [`FileGuard::remove_privs`] and [`File::update_time`] for what is not a write(2).
    pub(crate) fn modified(&self) -> Result {
        // SAFETY: As above.
        to_result(unsafe { bindings::file_modified(self.file.as_ptr()) })
    }
}

/// As `to_result`, without a call for what succeeds.
#[inline]
fn done(ret: c_int) -> Result {
    if ret == 0 {
        Ok(())
    } else {
        to_result(ret)
    }
}

/// A position, or the error that C returned in its place.
fn position(pos: i64) -> Result<i64> {
    if pos < 0 {
        Err(i32::try_from(pos).map_or(EINVAL, Error::from_errno))
    } else {
        Ok(pos)
    }
}

/// A read or write in progress: a `struct kiocb`, whose file is open for `'a`.
#[repr(transparent)]
pub(crate) struct Kiocb<'a, F: FileSystem>(Opaque<bindings::kiocb>, PhantomData<&'a File<F>>);

impl<'a, F: FileSystem> Kiocb<'a, F> {
    /// Borrows a request from C.
    ///
    /// # Safety
    ///
    /// `iocb` has to be the argument of a `read_iter` or `write_iter` that is running on a file of `F`, and used by
    /// nobody else for all of `'a`.
    #[inline]
    unsafe fn from_raw(iocb: *mut bindings::kiocb) -> &'a mut Self {
        // SAFETY: The wrapper is transparent, and the caller vouches for the rest.
        unsafe { &mut *iocb.cast() }
    }

    /// The file.
    #[inline]
    pub(crate) fn file(&self) -> &'a File<F> {
        // SAFETY: The file of a request that is being carried out is open, and stays so during the callback, which is
        // `'a`.
        unsafe { File::from_raw((*self.0.get()).ki_filp) }
    }

    /// Where to read or write.
    #[inline]
    pub(crate) fn pos(&self) -> i64 {
        // SAFETY: The request is valid.
        unsafe { (*self.0.get()).ki_pos }
    }

    /// Sets the position behind what was done.
    #[inline]
    pub(crate) fn set_pos(&mut self, pos: i64) {
        // SAFETY: The request is valid.
        unsafe { (*self.0.get()).ki_pos = pos };
    }

    /// Applies O_APPEND and the limits to a write. Returns how much may be written; `from` is cut to that. `i_rwsem` is
    /// held for writing.
    #[inline]
    pub(crate) fn write_checks(&mut self, from: &mut IovIter) -> Result<usize> {
        // SAFETY: Both are valid.
        let ret = unsafe { bindings::generic_write_checks(self.0.get(), from.as_ptr()) };
        usize::try_from(ret).map_err(|_| i32::try_from(ret).map_or(EIO, Error::from_errno))
    }
}

impl<F: FileSystem> Kiocb<'_, F> {
    /// As [`Kiocb::write_checks`], for a file that shows another one from the byte `start` on, which has `eof` bytes. The
    /// position is the window's before and after.
    pub(crate) fn write_checks_at(
        &mut self,
        from: &mut IovIter,
        start: i64,
        eof: i64,
    ) -> Result<usize> {
        // SAFETY: All are valid.
        let ret =
            unsafe { bindings::window_write_checks(self.0.get(), from.as_ptr(), &start, &eof) };
        usize::try_from(ret).map_err(|_| i32::try_from(ret).map_or(EIO, Error::from_errno))
    }
}

/// Where the data of a read go to, or of a write come from: a `struct iov_iter`.
#[repr(transparent)]
pub(crate) struct IovIter(Opaque<bindings::iov_iter>);

impl IovIter {
    /// Borrows an iterator from C.
    ///
    /// # Safety
    ///
    /// `iter` has to be valid and used by nobody else for all of `'a`.
    #[inline]
    unsafe fn from_raw<'a>(iter: *mut bindings::iov_iter) -> &'a mut Self {
        // SAFETY: The wrapper is transparent, and the caller vouches for the rest.
        unsafe { &mut *iter.cast() }
    }

    #[inline]
    fn as_ptr(&mut self) -> *mut bindings::iov_iter {
        self.0.get()
    }

    /// The bytes that are left.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        // SAFETY: The iterator is valid, and the field is one of all kinds of iterators.
        unsafe {
            (*self.0.get())
                .__bindgen_anon_1
                .__bindgen_anon_1
                .as_ref()
                .count
        }
    }

    /// Calls `f` with this cut to `limit` bytes.
    pub(crate) fn with_limit<R>(&mut self, limit: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        let all = self.count();
        self.truncate(limit);
        let cut = all - self.count();
        let ret = f(self);
        // SAFETY: The iterator is valid, and there are as many bytes behind it.
        unsafe { bindings::iter_expand(self.as_ptr(), cut) };
        ret
    }

    /// Cuts it to `limit` bytes.
    pub(crate) fn truncate(&mut self, limit: usize) {
        // SAFETY: The iterator is valid.
        unsafe { bindings::iter_truncate(self.as_ptr(), limit) };
    }

    /// Copies from `folio`. Returns how much; less than `len` means that memory is not accessible. May sleep.
    #[inline]
    pub(crate) fn copy_from_folio(&mut self, folio: &Folio, offset: usize, len: usize) -> usize {
        // SAFETY: Both are valid; the function checks the range against the folio.
        unsafe { bindings::copy_folio_to_iter(folio.as_ptr(), offset, len, self.as_ptr()) }
    }

    /// Writes `len` zeros, a page at most. Returns how many. May sleep.
    #[inline]
    pub(crate) fn copy_zeros(&mut self, len: usize) -> usize {
        // SAFETY: The iterator is valid.
        unsafe {
            if bindings::iter_is_user(self.as_ptr()) {
                // Copying a page of zeros to the user is faster than clearing his memory.
                bindings::copy_zeros_to_iter(0, len, self.as_ptr())
            } else {
                bindings::iov_iter_zero(len, self.as_ptr())
            }
        }
    }

    /// Copies to `folio`, which must not be mapped, or be locked against its readers as its owner sees fit. Does not
    /// fault: returns how much could be copied so.
    #[inline]
    pub(crate) fn copy_to_folio(
        &mut self,
        folio: &LockedFolio,
        offset: usize,
        len: usize,
    ) -> usize {
        // SAFETY: Both are valid, and the folio is locked; the function checks the range against the folio.
        unsafe { bindings::copy_folio_from_iter_atomic(folio.as_ptr(), offset, len, self.as_ptr()) }
    }

    /// Copies up to `len` bytes, a page at most, to a page that nobody else has, and calls `f` with that. If `f` fails, the
    /// bytes have not been taken. May sleep and fault.
    ///
    /// Errors: `ENOMEM`, `EFAULT` if no memory is accessible, and those of `f`.
    pub(crate) fn bounce<R>(
        &mut self,
        len: usize,
        f: impl FnOnce(&Bounce) -> Result<R>,
    ) -> Result<R> {
        let page = Folio::zeroed()?;
        let len = len.min(PAGE_SIZE);
        // SAFETY: Both are valid, and the range lies within the page.
        let len = unsafe { bindings::copy_folio_from_iter(page.as_ptr(), 0, len, self.as_ptr()) };
        if len == 0 {
            return Err(EFAULT);
        }
        f(&Bounce { page, len }).inspect_err(|_| {
            // SAFETY: The iterator is valid, and as many bytes have been copied from it just now.
            unsafe { bindings::iov_iter_revert(self.as_ptr(), len) };
        })
    }

    /// Brings the next `len` bytes into memory. Returns how many could not be. May sleep and fault.
    #[inline]
    pub(crate) fn fault_in(&mut self, len: usize) -> usize {
        // SAFETY: The iterator is valid.
        unsafe { bindings::fault_in_iov_iter_readable(self.as_ptr(), len) }
    }
}

/// What was copied to a page that nobody else has; see [`IovIter::bounce`].
pub(crate) struct Bounce {
    page: ARef<Folio>,
    len: usize,
}

impl Bounce {
    /// The bytes that were copied.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies up to `len` bytes from its start to `folio`, as far as both reach. Returns how many.
    pub(crate) fn copy_to(&self, folio: &LockedFolio, offset: usize, len: usize) -> usize {
        let offset = offset.min(PAGE_SIZE);
        let len = len.min(self.len).min(PAGE_SIZE - offset);
        folio.copy_piece(offset, &self.page, 0, len);
        len
    }
}

/// What a filesystem does with its open regular files.
pub(crate) trait FileOperations: 'static {
    /// The filesystem.
    type Fs: FileSystem;
    /// What is done with windows on the files.
    type Windows: FileOperations<Fs = Self::Fs>;
    /// Whether the files are windows.
    const IS_WINDOW: bool;

    /// `read_iter`: returns how many bytes were read, and moves the position.
    fn read_iter(iocb: &mut Kiocb<'_, Self::Fs>, to: &mut IovIter) -> Result<usize>;

    /// `write_iter`: returns how many bytes were written, and moves the position.
    fn write_iter(iocb: &mut Kiocb<'_, Self::Fs>, from: &mut IovIter) -> Result<usize>;

    /// `llseek`: returns the new position.
    fn llseek(file: &File<Self::Fs>, offset: i64, whence: i32) -> Result<i64>;

    /// `fallocate`, with an offset and a length that the VFS has checked to be valid and within the limits.
    fn fallocate(file: &File<Self::Fs>, mode: u32, offset: i64, len: i64) -> Result;

    /// `mmap_prepare`. `mmap_lock` is held for writing.
    fn mmap_prepare(
        inode: &Inode<Self::Fs>,
        file: &File<Self::Fs>,
        desc: &mut MmapDesc<Self::Fs>,
    ) -> Result;

    /// `unlocked_ioctl`: `ENOTTY` for a command that there is not.
    fn ioctl(file: &File<Self::Fs>, cmd: u32, arg: usize) -> Result<c_int>;
}

impl<F: FileSystem> New<'_, F> {
    /// Sets what is done with the open files of a regular file.
    pub(super) fn set_file_operations<T: FileOperations<Fs = F>>(&self) {
        // SAFETY: Nobody else can reach the inode yet, and the table is of its filesystem.
        unsafe { bindings::inode_set_fop(self.as_ptr(), FileOps::<T>::table()) };
    }
}

impl<F: FileSystem> Inode<F> {
    /// The largest size that a file of this filesystem can have, in bytes.
    pub(crate) fn max_size(&self) -> i64 {
        // SAFETY: The inode and its superblock are valid, and the limit does not change.
        unsafe { (*(*self.as_ptr()).i_sb).s_maxbytes }
    }

    /// Checks whether the file may be made `size` bytes long. `EFBIG`; sends SIGXFSZ where that is due.
    pub(crate) fn newsize_ok(&self, size: i64) -> Result {
        // SAFETY: The inode is valid.
        to_result(unsafe { bindings::newsize_ok(self.as_ptr(), &size) })
    }
}

/// The table of a [`FileOperations`].
pub(crate) struct FileOps<T>(PhantomData<T>);

impl<T: FileOperations> FileOps<T> {
    const TABLE: bindings::snapmapfs_file_operations = bindings::snapmapfs_file_operations {
        fops: bindings::file_operations {
            llseek: Some(bindings::llseek),
            read_iter: Some(Self::read_iter),
            write_iter: Some(Self::write_iter),
            mmap_prepare: Some(Self::mmap_prepare),
            open: Some(Self::open),
            fsync: Some(bindings::noop_fsync),
            #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
            get_unmapped_area: Some(bindings::thp_get_unmapped_area),
            splice_read: Some(bindings::copy_splice_read),
            splice_write: Some(bindings::iter_file_splice_write),
            fallocate: Some(bindings::fallocate),
            setlease: Some(bindings::generic_setlease),
            unlocked_ioctl: Some(Self::ioctl),
            compat_ioctl: bindings::compat_ptr_ioctl,
            show_fdinfo: if T::IS_WINDOW {
                Some(bindings::window_show_fdinfo)
            } else {
                None
            },
            release: if T::IS_WINDOW {
                Some(bindings::window_view_release)
            } else {
                None
            },
            ..pin_init::zeroed()
        },
        llseek: Some(Self::llseek),
        fallocate: Some(Self::fallocate),
    };

    /// The operations that `i_fop` of a regular file has to point at.
    pub(super) fn table() -> &'static bindings::file_operations {
        // The C shims go from this field to the whole, so it has to be the field of a whole.
        let table: &'static bindings::snapmapfs_file_operations = &Self::TABLE;
        &table.fops
    }

    /// # Safety
    ///
    /// As `file_operations.open`.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The file is being opened, so nobody else uses it.
        unsafe {
            (*file).f_mode |= bindings::FMODE_CAN_ODIRECT;
            bindings::window_reopen(file, FileOps::<T::Windows>::table());
            bindings::generic_file_open(inode, file)
        }
    }

    /// # Safety
    ///
    /// As `file_operations.read_iter`, for a file of `T::Fs`.
    unsafe extern "C" fn read_iter(
        iocb: *mut bindings::kiocb,
        to: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: Both are the arguments of the callback.
        let ret = unsafe { T::read_iter(Kiocb::from_raw(iocb), IovIter::from_raw(to)) };
        size_or_errno(ret)
    }

    /// # Safety
    ///
    /// As `file_operations.write_iter`, for a file of `T::Fs`.
    unsafe extern "C" fn write_iter(
        iocb: *mut bindings::kiocb,
        from: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: Both are the arguments of the callback.
        let ret = unsafe { T::write_iter(Kiocb::from_raw(iocb), IovIter::from_raw(from)) };
        size_or_errno(ret)
    }

    /// # Safety
    ///
    /// As `snapmapfs_file_operations.llseek`, for a file of `T::Fs`.
    unsafe extern "C" fn llseek(
        file: *mut bindings::file,
        pos: *mut bindings::loff_t,
        whence: c_int,
    ) {
        // SAFETY: The file is open, and the position is the caller's own.
        unsafe {
            *pos = match T::llseek(File::from_raw(file), *pos, whence) {
                Ok(pos) => pos,
                Err(err) => i64::from(err.to_errno()),
            };
        }
    }

    /// # Safety
    ///
    /// As `snapmapfs_file_operations.fallocate`, for a file of `T::Fs`.
    unsafe extern "C" fn fallocate(
        file: *mut bindings::file,
        mode: c_int,
        offset: *const bindings::loff_t,
        len: *const bindings::loff_t,
    ) -> c_long {
        let ret = from_result(|| {
            // SAFETY: The file is open, and the values are the caller's own.
            unsafe { T::fallocate(File::from_raw(file), mode as u32, *offset, *len) }?;
            Ok(0)
        });
        let ret: c_int = ret;
        ret as c_long
    }

    /// # Safety
    ///
    /// As `file_operations.unlocked_ioctl`, for a file of `T::Fs`.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The file is open.
        let ret: c_int = from_result(|| T::ioctl(unsafe { File::from_raw(file) }, cmd, arg));
        ret as c_long
    }

    /// # Safety
    ///
    /// As `file_operations.mmap_prepare`, for a file of `T::Fs`.
    unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY: The same contract.
        unsafe { vma::mmap_prepare::<T::Fs>(desc, T::mmap_prepare) }
    }
}

fn size_or_errno(ret: Result<usize>) -> isize {
    match ret {
        Ok(size) => isize::try_from(size).unwrap_or(isize::MAX),
        Err(err) => err.to_errno() as isize,
    }
}
