// SPDX-License-Identifier: GPL-2.0

//! Inodes.
//!
//! There are three ways to hold an inode, each with the rights of the one before it: [`Inode`] (somebody keeps it
//! alive), [`Locked`] (nobody else changes it meanwhile) and [`New`] (nobody else knows it yet).
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h) and
//! [`include/linux/stat.h`](srctree/include/linux/stat.h)

use super::{
    address_space::AddressSpaceOperations,
    bindings,
    dentry::{Dentry, Entry, LockedDentry, Takeover, Target, Victim},
    dir::Entries,
    errno::Errno,
    extension::{self, Link, Segments},
    file::FileOperations,
    file_system::Registration,
    idmap::{Kgid, Kuid, MntIdmap},
    super_block::SuperBlock,
    xattr, //
};
use core::{
    ffi::CStr,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{self, NonNull}, //
};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_long, c_uint, c_void},
    prelude::*,
    sync::aref::AlwaysRefCounted,
    types::{NotThreadSafe, Opaque}, //
};
use pin_init::PinInit;

pub(crate) use super::file_system::FileSystem;

/// The file type in a mode, and the values it has.
///
/// C header: [`include/uapi/linux/stat.h`](srctree/include/uapi/linux/stat.h)
pub(crate) mod mode {
    use super::bindings;

    /// The bits that hold the type.
    pub(crate) const S_IFMT: u16 = bindings::S_IFMT as u16;
    /// A regular file.
    pub(crate) const S_IFREG: u16 = bindings::S_IFREG as u16;
    /// A directory.
    pub(crate) const S_IFDIR: u16 = bindings::S_IFDIR as u16;
    /// A symbolic link.
    pub(crate) const S_IFLNK: u16 = bindings::S_IFLNK as u16;
    /// A character device.
    pub(crate) const S_IFCHR: u16 = bindings::S_IFCHR as u16;
    /// The restricted deletion ("sticky") bit.
    pub(crate) const S_ISVTX: u16 = bindings::S_ISVTX as u16;
}

/// What is allocated for an inode: the C object, what every directory needs, and the filesystem's own data.
///
/// The C object comes first: the slab constructor and every cast between the two rely on it.
#[repr(C)]
pub(super) struct WithData<T: FileSystem> {
    inode: Opaque<bindings::inode>,
    entries: Entries,
    pub(super) link: Link,
    pub(super) segments: Segments,
    data: T::InodeData,
}

/// An inode (`struct inode`) of a filesystem of type `T`.
///
/// # Invariants
///
/// The C object was allocated by [`alloc_inode_callback`], so that it is part of a [`WithData`], its `data` is
/// initialised, and its superblock is one of `T`'s with its data set. Instances are reference-counted: a shared
/// reference implies that somebody holds a count, or that the inode is being evicted by the caller. Counted references that are
/// kept are given up in [`FileSystem::shut_down`] at the latest.
#[repr(transparent)]
pub(crate) struct Inode<T: FileSystem> {
    inner: Opaque<bindings::inode>,
    _fs: PhantomData<T>,
}

// SAFETY: Inodes are used from any thread; the payload allows it by the bounds on `FileSystem::InodeData`.
unsafe impl<T: FileSystem> Send for Inode<T> {}
// SAFETY: As above. What is reachable through a shared reference is either constant while the inode lives, read
// in the way that C does it without a lock, or locked by the C function that is called.
unsafe impl<T: FileSystem> Sync for Inode<T> {}

// SAFETY: `ihold` and `iput` count references in the inode itself, and by the type invariants all are counted.
unsafe impl<T: FileSystem> AlwaysRefCounted for Inode<T> {
    fn inc_ref(&self) {
        // An extension lives as long as its base.
        // SAFETY: The reference proves that the count is not zero.
        unsafe { bindings::ihold(self.base().as_ptr()) }
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference that it owns.
        unsafe { bindings::iput(obj.as_ref().base().as_ptr()) }
    }
}

impl<T: FileSystem> Inode<T> {
    /// Returns the inode that `ptr` points at.
    ///
    /// # Safety
    ///
    /// `ptr` must point at an inode of a superblock of `T` that stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::inode) -> &'a Self {
        // SAFETY: The caller guarantees a live object for `'a`; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    /// Returns the C object.
    pub(super) fn as_ptr(&self) -> *mut bindings::inode {
        self.inner.get()
    }

    fn container(&self) -> *mut WithData<T> {
        self.as_ptr().cast()
    }

    /// Returns the filesystem's own data of this inode.
    ///
    /// It is pinned: it was initialised in place and never moves.
    pub(crate) fn data(&self) -> &T::InodeData {
        // SAFETY: By the type invariants the inode is part of a `WithData` whose payload is initialised.
        unsafe { &(*self.container()).data }
    }

    /// Returns the map of this directory's entries.
    pub(super) fn entries(&self) -> &Entries {
        // SAFETY: By the type invariants the inode is part of a `WithData`; `entries` is set up with it.
        unsafe { &(*self.container()).entries }
    }

    /// Returns whether this is an inode of the same superblock as `other`.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        ptr::eq(self.super_block(), other.super_block())
    }

    /// Returns the superblock.
    pub(crate) fn super_block(&self) -> &SuperBlock<T> {
        // SAFETY: `i_sb` is constant, outlives the inode, and by the type invariants belongs to `T`.
        unsafe { SuperBlock::from_raw((*self.as_ptr()).i_sb) }
    }

    /// Returns the size in bytes (`i_size_read`).
    #[inline]
    pub(crate) fn size(&self) -> i64 {
        #[cfg(CONFIG_64BIT)]
        {
            use core::sync::atomic::{AtomicUsize, Ordering};
            // SAFETY: The inode is live, and its size a word that is read at once. In the order that C keeps: what is read of
            // the page cache afterwards is not older.
            let size = unsafe { AtomicUsize::from_ptr((&raw mut (*self.as_ptr()).i_size).cast()) };
            size.load(Ordering::Acquire) as i64
        }
        #[cfg(not(CONFIG_64BIT))]
        {
            let mut size = 0;
            // SAFETY: The inode is live; C reads the size consistently without a lock.
            unsafe { bindings::i_size_read(self.as_ptr(), &mut size) };
            size
        }
    }

    /// Returns the inode number.
    pub(crate) fn ino(&self) -> u64 {
        // SAFETY: The inode is live; its number is constant once others can see it.
        unsafe { (*self.as_ptr()).i_ino }
    }

    /// Returns type and permissions as they are at the moment.
    pub(crate) fn mode(&self) -> u16 {
        // SAFETY: The inode is live; a 16-bit field that C, too, reads without a lock.
        unsafe { (&raw const (*self.as_ptr()).i_mode).read_volatile() }
    }

    /// Returns whether the inode is of the type `ifmt`, one of [`mode`]'s `S_IF*`.
    fn is_type(&self, ifmt: u16) -> bool {
        self.mode() & mode::S_IFMT == ifmt
    }

    /// Returns whether this is a regular file.
    pub(crate) fn is_regular(&self) -> bool {
        self.is_type(mode::S_IFREG)
    }

    /// Returns whether this is a directory.
    pub(crate) fn is_dir(&self) -> bool {
        self.is_type(mode::S_IFDIR)
    }

    /// Returns whether this is a symbolic link.
    pub(crate) fn is_symlink(&self) -> bool {
        self.is_type(mode::S_IFLNK)
    }

    /// Returns the number of names as it is at the moment.
    pub(crate) fn nlink(&self) -> u32 {
        // SAFETY: The inode is live; C, too, reads the count without a lock.
        unsafe { bindings::inode_nlink(self.as_ptr()) }
    }

    /// Returns the time of last modification.
    pub(crate) fn mtime(&self) -> Timespec {
        let inode = self.as_ptr();
        // SAFETY: The inode is live. C, too, reads the two halves without a lock.
        unsafe {
            Timespec {
                sec: (&raw const (*inode).i_mtime_sec).read_volatile(),
                nsec: (&raw const (*inode).i_mtime_nsec).read_volatile(),
            }
        }
    }

    /// Sets the time of last change to now (`inode_set_ctime_current`).
    pub(crate) fn set_ctime_current(&self) {
        // SAFETY: The inode is live; C updates the time with an atomic operation.
        unsafe { bindings::inode_touch_ctime(self.as_ptr()) }
    }

    /// Counts a change for those who look at `STATX_CHANGE_COOKIE` (`inode_inc_iversion`).
    pub(crate) fn inc_iversion(&self) {
        // SAFETY: The inode is live; the counter is atomic.
        unsafe { bindings::inode_inc_iversion(self.as_ptr()) }
    }

    /// Locks the inode for changes (`i_rwsem` for writing). Sleeps.
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        // SAFETY: The inode is live.
        unsafe { bindings::inode_lock(self.as_ptr()) };
        // INVARIANT: `i_rwsem` is held for writing, and nobody but the guard unlocks it.
        Guard {
            inode: self,
            _not_send: NotThreadSafe,
        }
    }
}

/// A point in time, as an inode keeps it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Timespec {
    /// Seconds since the epoch.
    pub(crate) sec: i64,
    /// Nanoseconds, below 10^9.
    pub(crate) nsec: u32,
}

/// An inode that nobody else changes.
///
/// # Invariants
///
/// For as long as the reference lives, `i_rwsem` is held for writing on behalf of its holder, or nobody else can
/// reach the inode yet. It stays with the thread that has it.
#[repr(transparent)]
pub(crate) struct Locked<T: FileSystem>(Inode<T>, NotThreadSafe);

impl<T: FileSystem> Deref for Locked<T> {
    type Target = Inode<T>;

    fn deref(&self) -> &Inode<T> {
        &self.0
    }
}

impl<T: FileSystem> Locked<T> {
    /// Returns the inode that `ptr` points at.
    ///
    /// # Safety
    ///
    /// As [`Inode::from_raw`]; in addition, the type invariants must hold for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::inode) -> &'a Self {
        // SAFETY: The caller guarantees a live object for `'a`; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    /// Sets the size (`i_size_write`). The page cache is the caller's business.
    pub(crate) fn set_size(&self, size: i64) {
        // SAFETY: The inode is live and, by the type invariants, nobody else writes the size.
        unsafe { bindings::i_size_write(self.as_ptr(), &size) }
    }

    /// Adds `delta` to the size. Nothing happens if the sum is no file size.
    pub(crate) fn add_size(&self, delta: i64) {
        if let Some(size) = self.size().checked_add(delta).filter(|&size| size >= 0) {
            self.set_size(size);
        }
    }

    /// Counts a new name or subdirectory.
    pub(crate) fn inc_nlink(&self) {
        // SAFETY: The inode is live and, by the type invariants, nobody else changes the count.
        unsafe { bindings::inc_nlink(self.as_ptr()) }
    }

    /// Counts a name or subdirectory that has gone.
    pub(crate) fn drop_nlink(&self) {
        if self.nlink() != 0 {
            // SAFETY: The inode is live and, by the type invariants, nobody else changes the count.
            unsafe { bindings::drop_nlink(self.as_ptr()) }
        }
    }

    /// Sets those of the flags in `mask` (`S_*`) that are in `flags`, and clears the others (`inode_set_flags`).
    pub(crate) fn set_inode_flags(&self, flags: u32, mask: u32) {
        // SAFETY: The inode is live and, by the type invariants, nobody else sets flags.
        unsafe { bindings::inode_set_flags(self.as_ptr(), flags & mask, mask) }
    }

    /// Sets the time of last modification to that of the last change.
    pub(crate) fn set_mtime_to_ctime(&self) {
        // SAFETY: The inode is live and, by the type invariants, nobody else sets the time.
        unsafe { bindings::inode_set_mtime_to_ctime(self.as_ptr()) }
    }

    /// Records that a directory's entries have changed: modification and change time, and the version.
    pub(crate) fn touch_dir(&self) {
        // SAFETY: The inode is live and, by the type invariants, nobody else sets the times.
        unsafe { bindings::inode_touch_dir(self.as_ptr()) };
        self.inc_iversion();
    }
}

/// Holds an inode's lock; from [`Inode::lock`].
///
/// # Invariants
///
/// `i_rwsem` is held for writing and released when this is dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct Guard<'a, T: FileSystem> {
    inode: &'a Inode<T>,
    _not_send: NotThreadSafe,
}

impl<T: FileSystem> Deref for Guard<'_, T> {
    type Target = Locked<T>;

    fn deref(&self) -> &Locked<T> {
        // SAFETY: By the type invariants the lock is held for as long as `self` lives.
        unsafe { Locked::from_raw(self.inode.as_ptr()) }
    }
}

impl<T: FileSystem> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the lock is held.
        unsafe { bindings::inode_unlock(self.inode.as_ptr()) }
    }
}

/// An inode being made, which nobody else knows.
///
/// Dropping it destroys the inode, by way of [`FileSystem::evict_inode`]. It becomes visible by
/// [`Entry::create`], as a file without a name, or as the root of a superblock.
///
/// # Invariants
///
/// The inode has one reference, which this owns, and neither a dentry nor an entry in the inode hash. The superblock lives for
/// `'a`.
pub(crate) struct New<'a, T: FileSystem>(NonNull<bindings::inode>, PhantomData<&'a SuperBlock<T>>);

impl<T: FileSystem> Deref for New<'_, T> {
    type Target = Locked<T>;

    fn deref(&self) -> &Locked<T> {
        // SAFETY: By the type invariants nobody else can reach the inode.
        unsafe { Locked::from_raw(self.0.as_ptr()) }
    }
}

impl<T: FileSystem> Drop for New<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the reference is ours.
        unsafe { bindings::iput(self.0.as_ptr()) }
    }
}

/// Names for what a [`Table`] is for.
pub(crate) mod kind {
    /// Directories.
    pub(crate) enum Directory {}
    /// Regular files.
    pub(crate) enum RegularFile {}
    /// Device nodes, FIFOs and sockets.
    pub(crate) enum Special {}
    /// Symbolic links.
    pub(crate) enum Symlink {}
}

impl<T: FileSystem> New<'_, T> {
    /// Takes over a new inode.
    ///
    /// # Safety
    ///
    /// `inode` must come from `new_inode` for a superblock of `T` that lives for the lifetime of the result, and the caller
    /// give up its reference.
    pub(super) unsafe fn from_raw(inode: NonNull<bindings::inode>) -> Self {
        // INVARIANT: `new_inode` gives one reference, and nobody else knows the inode.
        Self(inode, PhantomData)
    }

    /// Gives up ownership without dropping the reference.
    pub(super) fn into_raw(self) -> *mut bindings::inode {
        ManuallyDrop::new(self).as_ptr()
    }

    /// Sets the inode number.
    pub(crate) fn set_ino(&self, ino: u64) {
        // SAFETY: By the type invariants nobody else can see the inode.
        unsafe { (*self.as_ptr()).i_ino = ino }
    }

    /// Gives the inode a random generation, which tells it from others that had its number.
    pub(crate) fn set_random_generation(&self) {
        // SAFETY: By the type invariants nobody else can see the inode.
        unsafe { (*self.as_ptr()).i_generation = bindings::get_random_u32() }
    }

    /// Returns `mode`, with the type that the inode has already, if it has one: that is for good.
    fn keep_type(&self, mode: u16) -> u16 {
        match self.mode() & mode::S_IFMT {
            0 => mode,
            ifmt => mode & !mode::S_IFMT | ifmt,
        }
    }

    /// Sets owner and mode by the rules for a new inode in `dir` (`inode_init_owner`).
    pub(crate) fn init_owner(&self, idmap: &MntIdmap, dir: Option<&Inode<T>>, mode: u16) {
        let dir = dir.map_or(ptr::null(), |dir| dir.as_ptr().cast_const());
        let mode = self.keep_type(mode);
        // SAFETY: All objects are live, and nobody else can see the inode.
        unsafe { bindings::inode_init_owner(idmap.as_ptr(), self.as_ptr(), dir, mode) }
    }

    /// Sets type and permissions. A type that the inode has already stays.
    pub(crate) fn set_mode(&self, mode: u16) {
        let mode = self.keep_type(mode);
        // SAFETY: By the type invariants nobody else can see the inode.
        unsafe { (*self.as_ptr()).i_mode = mode }
    }

    /// Sets the owner.
    pub(crate) fn set_owner(&self, uid: Kuid, gid: Kgid) {
        let inode = self.as_ptr();
        // SAFETY: By the type invariants nobody else can see the inode.
        unsafe {
            (*inode).i_uid = uid.into_raw();
            (*inode).i_gid = gid.into_raw();
        }
    }

    /// Sets all timestamps to now (`simple_inode_init_ts`).
    pub(crate) fn init_timestamps(&self) {
        // SAFETY: By the type invariants nobody else can see the inode.
        unsafe { bindings::inode_init_times(self.as_ptr()) }
    }

    /// Says that the inode has no access control lists, which therefore need not be looked for.
    pub(crate) fn cache_no_acl(&self) {
        // SAFETY: By the type invariants nobody else can see the inode.
        unsafe { bindings::cache_no_acl(self.as_ptr()) }
    }

    /// Sets the inode operations.
    fn set_operations<K>(&self, operations: &'static Table<T, K>) {
        // SAFETY: By the type invariants nobody else can see the inode; the table is never freed, and it is for
        // inodes of `T`.
        unsafe { (*self.as_ptr()).i_op = &operations.operations }
    }

    /// Makes this a directory without entries: operations that list [`Entry`]s, and the lock's class.
    ///
    /// Errors: `EINVAL` if its mode is not that of a directory.
    pub(crate) fn init_dir(&self, operations: &'static Table<T, kind::Directory>) -> Result {
        if !self.is_dir() {
            return Err(EINVAL);
        }
        self.set_operations(operations);
        // SAFETY: By the type invariants nobody else can see the inode.
        unsafe { bindings::inode_set_fop(self.as_ptr(), super::dir::operations::<T>()) }
        self.annotate_lock();
        Ok(())
    }

    /// Makes this a regular file: `O` is what is done with its open files, `A` with its pages.
    ///
    /// Errors: `EINVAL` if its mode is not that of a regular file.
    pub(crate) fn init_file<O, A>(&self, operations: &'static Table<T, kind::RegularFile>) -> Result
    where
        O: FileOperations<Fs = T>,
        A: AddressSpaceOperations<Fs = T>,
    {
        if !self.is_regular() {
            return Err(EINVAL);
        }
        self.set_operations(operations);
        self.set_file_operations::<O>();
        self.set_address_space_operations::<A>();
        Ok(())
    }

    /// Gives a directory's lock a class of its own for lockdep.
    fn annotate_lock(&self) {
        // SAFETY: By the type invariants nobody else can hold the lock.
        unsafe { bindings::inode_annotate_lock(self.as_ptr()) }
    }

    /// Makes this a device node, FIFO or socket (`init_special_inode`).
    ///
    /// Errors: `EINVAL` if its mode is that of something else.
    pub(crate) fn init_special(
        &self,
        operations: &'static Table<T, kind::Special>,
        dev: u32,
    ) -> Result {
        if self.is_regular() || self.is_dir() || self.is_symlink() {
            return Err(EINVAL);
        }
        self.set_operations(operations);
        // SAFETY: By the type invariants nobody else can see the inode.
        unsafe { bindings::init_special_inode(self.as_ptr(), self.mode(), dev) }
        Ok(())
    }

    /// Makes this a symbolic link to `target`, of which a copy is kept with the inode.
    ///
    /// Errors: `ENOMEM`, and `EINVAL` if its mode is not that of a symbolic link or it has a target already.
    pub(crate) fn init_symlink(
        &self,
        operations: &'static Table<T, kind::Symlink>,
        target: &CStr,
    ) -> Result {
        let inode = self.as_ptr();
        // SAFETY: By the type invariants nobody else can see the inode.
        let old = unsafe { bindings::inode_link(inode) };
        if !self.is_symlink() || !old.is_null() {
            return Err(EINVAL);
        }
        let len = target.count_bytes();
        let c_len = c_int::try_from(len)?;
        // SAFETY: `target` is readable for `len` bytes.
        let link = unsafe {
            bindings::kmemdup_nul(target.as_char_ptr(), len, bindings::GFP_KERNEL_ACCOUNT)
        };
        if link.is_null() {
            return Err(ENOMEM);
        }
        self.set_operations(operations);
        // SAFETY: As above. `link` is a string of that length, which `free_inode_callback` frees.
        unsafe { bindings::inode_set_cached_link(inode, link, c_len) };
        self.set_size(i64::from(c_len));
        Ok(())
    }

    /// Asks the security modules for the attributes of this inode, made in `dir` as `name` (`None`: without a
    /// name), and hands them to `set`: name without the `security.` prefix, and value.
    ///
    /// Errors: those of the security modules and of `set`.
    pub(crate) fn init_security<F>(
        &self,
        dir: &Inode<T>,
        name: Option<&Dentry<T>>,
        mut set: F,
    ) -> Result
    where
        F: FnMut(&CStr, &[u8]) -> Result,
    {
        let qstr = name.map_or(ptr::null(), |name| name.qstr());
        // SAFETY: All objects are live for the call, and `set` is what `initxattrs_callback::<F>` expects.
        let ret = unsafe {
            bindings::security_inode_init_security(
                self.as_ptr(),
                dir.as_ptr(),
                qstr,
                Some(initxattrs_callback::<F>),
                (&raw mut set).cast(),
            )
        };
        match to_result(ret) {
            Err(error) if error == Errno::EOPNOTSUPP.into() => Ok(()),
            result => result,
        }
    }
}

/// Hands the security attributes of a new inode to the closure behind `data`.
///
/// # Safety
///
/// `array` must be an array that ends with a null name, and `data` point at an `F` that nobody else uses.
unsafe extern "C" fn initxattrs_callback<F>(
    _inode: *mut bindings::inode,
    array: *const bindings::xattr,
    data: *mut c_void,
) -> c_int
where
    F: FnMut(&CStr, &[u8]) -> Result,
{
    // SAFETY: By the function's contract.
    let set = unsafe { &mut *data.cast::<F>() };
    from_result(|| {
        let mut entry = array;
        loop {
            // SAFETY: The array goes on up to the entry without a name.
            let xattr = unsafe { &*entry };
            if xattr.name.is_null() {
                return Ok(0);
            }
            // SAFETY: A name is a string.
            let name = unsafe { CStr::from_char_ptr(xattr.name) };
            let value: &[u8] = if xattr.value.is_null() {
                &[]
            } else {
                // SAFETY: The value has that many bytes.
                unsafe { core::slice::from_raw_parts(xattr.value.cast(), xattr.value_len) }
            };
            set(name, value)?;
            // SAFETY: This was not the last entry.
            entry = unsafe { entry.add(1) };
        }
    })
}

/// The attributes that a `stat` call gets (`struct kstat`).
#[repr(transparent)]
pub(crate) struct Stat(bindings::kstat);

impl Stat {
    /// Sets the size in bytes.
    pub(crate) fn set_size(&mut self, size: i64) {
        self.0.size = size;
    }

    /// Sets the number of 512-byte blocks.
    pub(crate) fn set_blocks(&mut self, blocks: u64) {
        self.0.blocks = blocks;
    }

    /// Sets attributes (`STATX_ATTR_*`), and says which of them are known.
    pub(crate) fn set_attributes(&mut self, attributes: u32, known: u32) {
        self.0.attributes |= u64::from(attributes);
        self.0.attributes_mask |= u64::from(known);
    }

    /// Sets the time of creation.
    pub(crate) fn set_btime(&mut self, time: Timespec) {
        self.0.result_mask |= bindings::STATX_BTIME;
        self.0.btime.tv_sec = time.sec;
        // CAST: Below 10^9.
        self.0.btime.tv_nsec = time.nsec as c_long;
    }
}

/// A change of attributes (`struct iattr`), of which those are set that `ia_valid` says.
#[repr(transparent)]
pub(crate) struct Attr(Opaque<bindings::iattr>);

impl Attr {
    /// Returns whether the change has the attribute `attr` (`ATTR_*`).
    fn has(&self, attr: u32) -> bool {
        // SAFETY: The change is the caller's own, and this member always set.
        unsafe { (*self.0.get()).ia_valid & attr != 0 }
    }

    /// Returns the size to be set, if there is one.
    pub(crate) fn size(&self) -> Option<i64> {
        // SAFETY: The change is the caller's own, and has this.
        self.has(bindings::ATTR_SIZE)
            .then(|| unsafe { (*self.0.get()).ia_size })
    }

    /// Changes the size that is to be set.
    pub(crate) fn set_size(&mut self, size: i64) {
        // SAFETY: The change is the caller's own.
        unsafe { (*self.0.get()).ia_size = size };
    }

    /// Returns the mode to be set, if there is one.
    pub(crate) fn mode(&self) -> Option<u16> {
        // SAFETY: The change is the caller's own, and has this.
        self.has(bindings::ATTR_MODE)
            .then(|| unsafe { (*self.0.get()).ia_mode })
    }
}

/// Returns the attributes that every inode has (`generic_fillattr`) in `stat`.
pub(crate) fn generic_fillattr<T: FileSystem>(
    idmap: &MntIdmap,
    request_mask: u32,
    inode: &Inode<T>,
    stat: &mut Stat,
) {
    // SAFETY: All objects are live.
    unsafe { bindings::generic_fillattr(idmap.as_ptr(), request_mask, inode.as_ptr(), &mut stat.0) }
}

/// What a filesystem does with the names in its directories (part of `struct inode_operations`).
///
/// Locks are those of the C callbacks: for a method that takes an [`Entry`], the directory is locked.
pub(crate) trait DirOperations: Sized {
    /// The filesystem whose directories these are.
    type FileSystem: FileSystem;

    /// Makes a regular file, a device node, a FIFO or a socket, depending on the type in `mode`.
    fn mknod(idmap: &MntIdmap, entry: Entry<'_, Self::FileSystem>, mode: u16, dev: u32) -> Result;

    /// Makes a directory.
    fn mkdir(idmap: &MntIdmap, entry: Entry<'_, Self::FileSystem>, mode: u16) -> Result;

    /// Makes a symbolic link.
    fn symlink(idmap: &MntIdmap, entry: Entry<'_, Self::FileSystem>, target: &CStr) -> Result;

    /// Makes a further name for `inode`.
    fn link(inode: &Locked<Self::FileSystem>, entry: Entry<'_, Self::FileSystem>) -> Result;

    /// Removes a name of something that is no directory.
    fn unlink(victim: Victim<'_, Self::FileSystem>) -> Result;

    /// Removes a directory, which has to be empty.
    fn rmdir(victim: Victim<'_, Self::FileSystem>) -> Result;

    /// Prepares that `old` moves to `new`, whatever is there, and if `whiteout` leaves an overlay's whiteout behind. It moves
    /// when this returns, which counts names and times; see [`Target::prepare`].
    fn rename<'a>(
        idmap: &MntIdmap,
        old: &Entry<'_, Self::FileSystem>,
        new: &'a Target<'_, Self::FileSystem>,
        whiteout: bool,
    ) -> Result<Takeover<'a, Self::FileSystem>>;

    /// Makes a regular file without a name. `dir` is not locked.
    fn tmpfile<'a>(
        idmap: &MntIdmap,
        dir: &'a Inode<Self::FileSystem>,
        mode: u16,
    ) -> Result<New<'a, Self::FileSystem>>;
}

/// A table of inode operations, for what `K` names; see [`kind`].
pub(crate) struct Table<T: FileSystem, K> {
    operations: bindings::inode_operations,
    _for: PhantomData<fn() -> (T, K)>,
}

impl<T: FileSystem, K> Table<T, K> {
    const COMMON: bindings::inode_operations = bindings::inode_operations {
        getattr: Some(getattr_callback::<T>),
        setattr: Some(setattr_callback::<T>),
        listxattr: Some(listxattr_callback::<T>),
        ..pin_init::zeroed()
    };

    const fn new(operations: bindings::inode_operations) -> Self {
        Self {
            operations,
            _for: PhantomData,
        }
    }
}

impl<T: FileSystem> Table<T, kind::Directory> {
    /// Returns the operations on directories, all of whose names are in the dentry cache.
    pub(crate) const fn dir<O: DirOperations<FileSystem = T>>() -> Self {
        Self::new(bindings::inode_operations {
            lookup: Some(bindings::simple_lookup),
            create: Some(create_callback::<O>),
            mknod: Some(mknod_callback::<O>),
            mkdir: Some(mkdir_callback::<O>),
            symlink: Some(symlink_callback::<O>),
            link: Some(link_callback::<O>),
            unlink: Some(unlink_callback::<O>),
            rmdir: Some(rmdir_callback::<O>),
            rename: Some(rename_callback::<O>),
            tmpfile: Some(tmpfile_callback::<O>),
            ..<Table<T, kind::RegularFile>>::file().operations
        })
    }
}

impl<T: FileSystem> Table<T, kind::RegularFile> {
    /// Returns the operations on regular files.
    pub(crate) const fn file() -> Self {
        Self::new(bindings::inode_operations {
            fileattr_get: Some(fileattr_get_callback::<T>),
            fileattr_set: Some(fileattr_set_callback::<T>),
            ..<Table<T, kind::Special>>::special().operations
        })
    }
}

impl<T: FileSystem> Table<T, kind::Special> {
    /// Returns the operations on device nodes, FIFOs and sockets.
    pub(crate) const fn special() -> Self {
        Self::new(bindings::inode_operations {
            set_acl: Some(super::acl::set_acl_callback::<T>),
            ..Self::COMMON
        })
    }
}

impl<T: FileSystem> Table<T, kind::Symlink> {
    /// Returns the operations on symbolic links made by [`New::init_symlink`].
    pub(crate) const fn symlink() -> Self {
        Self::new(bindings::inode_operations {
            get_link: Some(bindings::simple_get_link),
            ..Self::COMMON
        })
    }
}

/// # Safety
///
/// `inode_operations.create`: `dir` is an inode of `O::FileSystem`, locked for writing, and `dentry` a negative
/// child of it; all are kept alive by the caller.
unsafe extern "C" fn create_callback<O: DirOperations>(
    idmap: *mut bindings::mnt_idmap,
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
    mode: u16,
    _excl: bool,
) -> c_int {
    // SAFETY: By the function's contract.
    unsafe { mknod_callback::<O>(idmap, dir, dentry, mode | mode::S_IFREG, 0) }
}

/// # Safety
///
/// `inode_operations.mknod`, as [`create_callback`].
unsafe extern "C" fn mknod_callback<O: DirOperations>(
    idmap: *mut bindings::mnt_idmap,
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
    mode: u16,
    dev: u32,
) -> c_int {
    // SAFETY: By the function's contract.
    let (idmap, entry) = unsafe { (MntIdmap::from_raw(idmap), Entry::from_raw(dir, dentry)) };
    from_result(|| O::mknod(idmap, entry, mode, dev).map(|()| 0))
}

/// # Safety
///
/// `inode_operations.mkdir`, as [`create_callback`].
unsafe extern "C" fn mkdir_callback<O: DirOperations>(
    idmap: *mut bindings::mnt_idmap,
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
    mode: u16,
) -> *mut bindings::dentry {
    // SAFETY: By the function's contract.
    let (idmap, entry) = unsafe { (MntIdmap::from_raw(idmap), Entry::from_raw(dir, dentry)) };
    match O::mkdir(idmap, entry, mode | mode::S_IFDIR) {
        Ok(()) => ptr::null_mut(),
        Err(error) => error.to_ptr(),
    }
}

/// # Safety
///
/// `inode_operations.symlink`, as [`create_callback`]; `target` is a string.
unsafe extern "C" fn symlink_callback<O: DirOperations>(
    idmap: *mut bindings::mnt_idmap,
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
    target: *const kernel::ffi::c_char,
) -> c_int {
    // SAFETY: By the function's contract.
    let (idmap, entry) = unsafe { (MntIdmap::from_raw(idmap), Entry::from_raw(dir, dentry)) };
    // SAFETY: By the function's contract.
    let target = unsafe { CStr::from_char_ptr(target) };
    from_result(|| O::symlink(idmap, entry, target).map(|()| 0))
}

/// # Safety
///
/// `inode_operations.link`: as [`create_callback`]; the inode of `old` is locked for writing as well.
unsafe extern "C" fn link_callback<O: DirOperations>(
    old: *mut bindings::dentry,
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
) -> c_int {
    // SAFETY: By the function's contract.
    let (inode, entry) = unsafe {
        (
            Locked::from_raw((*old).d_inode),
            Entry::from_raw(dir, dentry),
        )
    };
    from_result(|| O::link(inode, entry).map(|()| 0))
}

/// # Safety
///
/// `inode_operations.unlink`: `dir` is an inode of `O::FileSystem` and `dentry` a positive child of it; both inodes
/// are locked for writing and kept alive by the caller.
unsafe extern "C" fn unlink_callback<O: DirOperations>(
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
) -> c_int {
    // SAFETY: By the function's contract.
    let victim = unsafe { Victim::from_raw(dir, dentry) };
    from_result(|| O::unlink(victim).map(|()| 0))
}

/// # Safety
///
/// `inode_operations.rmdir`, as [`unlink_callback`].
unsafe extern "C" fn rmdir_callback<O: DirOperations>(
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
) -> c_int {
    // SAFETY: By the function's contract.
    let victim = unsafe { Victim::from_raw(dir, dentry) };
    from_result(|| O::rmdir(victim).map(|()| 0))
}

/// # Safety
///
/// `inode_operations.rename`: both directories are inodes of `O::FileSystem`, locked for writing, and the dentries
/// children of theirs, the old one positive. Without `RENAME_EXCHANGE` the inode that `new` has, if any, is locked
/// for writing. All are kept alive by the caller.
unsafe extern "C" fn rename_callback<O: DirOperations>(
    idmap: *mut bindings::mnt_idmap,
    old_dir: *mut bindings::inode,
    old: *mut bindings::dentry,
    new_dir: *mut bindings::inode,
    new: *mut bindings::dentry,
    flags: c_uint,
) -> c_int {
    const KNOWN: c_uint =
        bindings::RENAME_NOREPLACE | bindings::RENAME_EXCHANGE | bindings::RENAME_WHITEOUT;

    if flags & !KNOWN != 0 {
        return EINVAL.to_errno();
    }
    // SAFETY: By the function's contract.
    let (idmap, old) = unsafe { (MntIdmap::from_raw(idmap), Entry::from_raw(old_dir, old)) };
    // SAFETY: By the function's contract.
    let new = unsafe { Entry::from_raw(new_dir, new) };
    from_result(|| {
        if flags & bindings::RENAME_EXCHANGE != 0 {
            // SAFETY: That is what the VFS was asked for.
            unsafe { old.exchange(&new) }?;
        } else {
            // SAFETY: By the function's contract the target's inode is locked.
            let target = unsafe { Target::new(new) };
            let takeover = O::rename(idmap, &old, &target, flags & bindings::RENAME_WHITEOUT != 0)?;
            // SAFETY: That is what the VFS was asked for.
            unsafe { takeover.commit(&old) };
        }
        Ok(0)
    })
}

/// # Safety
///
/// `inode_operations.tmpfile`: `dir` is an inode of `O::FileSystem` and `file` a file without an inode whose dentry
/// is a new, unhashed child of it; all are kept alive by the caller.
unsafe extern "C" fn tmpfile_callback<O: DirOperations>(
    idmap: *mut bindings::mnt_idmap,
    dir: *mut bindings::inode,
    file: *mut bindings::file,
    mode: u16,
) -> c_int {
    // SAFETY: By the function's contract.
    let (idmap, dir) = unsafe {
        (
            MntIdmap::from_raw(idmap),
            <Inode<O::FileSystem>>::from_raw(dir),
        )
    };
    from_result(|| {
        let inode = O::tmpfile(idmap, dir, mode | mode::S_IFREG)?;
        if !inode.is_beside(dir) {
            return Err(EXDEV);
        }
        // SAFETY: By the function's contract the dentry has no inode; the reference to the new one is ours to give.
        unsafe { bindings::d_tmpfile(file, inode.into_raw()) };
        // SAFETY: The file's dentry has an inode now.
        to_result(unsafe { bindings::finish_open_simple(file, 0) })?;
        Ok(0)
    })
}

/// # Safety
///
/// `inode_operations.getattr`: `path` leads to an inode of `T`, and `stat` is the caller's.
unsafe extern "C" fn getattr_callback<T: FileSystem>(
    idmap: *mut bindings::mnt_idmap,
    path: *const bindings::path,
    stat: *mut bindings::kstat,
    request_mask: u32,
    _query_flags: c_uint,
) -> c_int {
    // SAFETY: By the function's contract the path's dentry is positive and kept alive.
    let (dentry, inode) = unsafe {
        (
            Dentry::from_raw((*path).dentry),
            Inode::from_raw((*(*path).dentry).d_inode),
        )
    };
    // SAFETY: By the function's contract; `Stat` has the layout of `kstat`.
    let (idmap, stat) = unsafe { (MntIdmap::from_raw(idmap), &mut *stat.cast::<Stat>()) };
    from_result(|| T::getattr(idmap, dentry, inode, request_mask, stat).map(|()| 0))
}

/// # Safety
///
/// `inode_operations.setattr`: `dentry` has an inode of `T`, locked for writing, and `attr` is the
/// caller's.
unsafe extern "C" fn setattr_callback<T: FileSystem>(
    idmap: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    attr: *mut bindings::iattr,
) -> c_int {
    // SAFETY: By the function's contract.
    let (idmap, dentry) = unsafe { (MntIdmap::from_raw(idmap), LockedDentry::from_raw(dentry)) };
    // SAFETY: By the function's contract; `Attr` has the layout of `iattr`.
    let attr = unsafe { &mut *attr.cast::<Attr>() };
    from_result(|| T::setattr(idmap, &dentry, attr).map(|()| 0))
}

/// # Safety
///
/// `inode_operations.listxattr`: `dentry` has an inode of `T`; `buffer` is null or has `size` bytes.
unsafe extern "C" fn listxattr_callback<T: FileSystem>(
    dentry: *mut bindings::dentry,
    buffer: *mut kernel::ffi::c_char,
    size: usize,
) -> isize {
    // SAFETY: By the function's contract.
    let inode = unsafe { Inode::from_raw((*dentry).d_inode) };
    // SAFETY: By the function's contract.
    let mut list = unsafe { xattr::List::from_raw(buffer, size) };
    from_result(|| {
        T::listxattr(inode, &mut list)?;
        Ok(list.used())
    })
}

/// # Safety
///
/// `inode_operations.fileattr_get`: `dentry` has an inode of `T`; `fa` is the caller's.
unsafe extern "C" fn fileattr_get_callback<T: FileSystem>(
    dentry: *mut bindings::dentry,
    fa: *mut bindings::file_kattr,
) -> c_int {
    // SAFETY: By the function's contract.
    unsafe {
        let inode = Inode::from_raw((*dentry).d_inode);
        bindings::fileattr_fill_flags(fa, T::flags(inode));
    }
    0
}

/// # Safety
///
/// `inode_operations.fileattr_set`: `dentry` has an inode of `T`, locked for writing; `fa` is the caller's.
unsafe extern "C" fn fileattr_set_callback<T: FileSystem>(
    _idmap: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    fa: *mut bindings::file_kattr,
) -> c_int {
    // SAFETY: By the function's contract.
    let (inode, has_fsx, flags) = unsafe {
        (
            Locked::from_raw((*dentry).d_inode),
            bindings::fileattr_has_extended(fa),
            bindings::fileattr_flags(fa),
        )
    };
    from_result(|| {
        if has_fsx {
            return Err(Errno::EOPNOTSUPP.into());
        }
        T::set_flags(inode, flags).map(|()| 0)
    })
}

/// Checks a change of attributes against permissions and limits (`setattr_prepare`), and completes it.
///
/// Errors: among others `EPERM`, `EFBIG`, `EOVERFLOW`.
pub(crate) fn setattr_prepare<T: FileSystem>(
    idmap: &MntIdmap,
    dentry: &LockedDentry<'_, T>,
    attr: &mut Attr,
) -> Result {
    let dentry = dentry.dentry().as_ptr();
    // SAFETY: All objects are live, and the inode of the dentry is locked.
    to_result(unsafe { bindings::setattr_prepare(idmap.as_ptr(), dentry, attr.0.get()) })
}

/// Copies attributes other than the size to the inode (`setattr_copy`).
pub(crate) fn setattr_copy<T: FileSystem>(idmap: &MntIdmap, inode: &Locked<T>, attr: &Attr) {
    // SAFETY: All objects are live, and the inode is locked.
    unsafe { bindings::setattr_copy(idmap.as_ptr(), inode.as_ptr(), attr.0.get()) }
}

/// Allocates an inode.
///
/// # Safety
///
/// `super_operations.alloc_inode`: `sb` is a superblock whose type was registered by a [`Registration<T>`].
pub(super) unsafe extern "C" fn alloc_inode_callback<T: FileSystem>(
    sb: *mut bindings::super_block,
) -> *mut bindings::inode {
    // SAFETY: By the function's contract.
    let cache = unsafe { Registration::<T>::inode_cache(sb) };
    // SAFETY: The superblock is live, and so is the cache while it is mounted.
    let container = unsafe { bindings::alloc_inode_sb(sb, cache) }.cast::<WithData<T>>();
    if container.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: The cache's objects have the size of `WithData<T>`, and the constructor has set up the inode.
    // A mode left over from the object's last use would mislead who destroys an unfinished inode.
    unsafe { (*container.cast::<bindings::inode>()).i_mode = 0 };
    // SAFETY: The memory is ours, and stays in place.
    unsafe {
        Entries::init(&raw mut (*container).entries);
        (&raw mut (*container).link).write(Link::none());
        Segments::init(&raw mut (*container).segments);
    }
    // SAFETY: As above.
    let result = unsafe { T::inode_data().__pinned_init(&raw mut (*container).data) };
    if result.is_err() {
        // SAFETY: Nobody has seen the object.
        unsafe { bindings::kmem_cache_free(cache, container.cast()) };
        return ptr::null_mut();
    }
    container.cast()
}

/// Frees what of an inode has to be freed by somebody who can be interrupted.
///
/// # Safety
///
/// `super_operations.destroy_inode`: `inode` is one of `T`'s and only RCU readers use it any more.
pub(super) unsafe extern "C" fn destroy_inode_callback<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY: By the function's contract; RCU readers do not use the entries.
    unsafe { (*inode.cast::<WithData<T>>()).entries.destroy() };
}

/// Frees an inode.
///
/// # Safety
///
/// `super_operations.free_inode`: `inode` is one of `T`'s, nobody uses it any more and no RCU reader can.
pub(super) unsafe extern "C" fn free_inode_callback<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY: By the function's contract the inode is ours alone. `i_link` is null or from `init_symlink` in a
    // symbolic link; in others the union holds something else.
    unsafe {
        if (*inode).i_mode & mode::S_IFMT == mode::S_IFLNK {
            bindings::kfree(bindings::inode_link(inode).cast());
        }
    }
    let container = inode.cast::<WithData<T>>();
    // SAFETY: The payload was initialised with the inode and is dropped once, in place. The superblock, and with it
    // the way to the cache, may be gone already, but `kfree` finds the cache of an object by itself.
    unsafe {
        ptr::drop_in_place(&raw mut (*container).data);
        bindings::kfree(container.cast());
    }
}

/// Empties an inode that nobody refers to any more.
///
/// # Safety
///
/// `super_operations.evict_inode`: `inode` is one of `T`'s, and the caller the only one to use it.
pub(super) unsafe extern "C" fn evict_inode_callback<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY: By the function's contract.
    T::evict_inode(unsafe { Inode::from_raw(inode) });
    // SAFETY: By the function's contract.
    unsafe { extension::drop_extensions::<T>(inode) };
    // SAFETY: By the function's contract. What the filesystem left in the page cache must not outlive the inode.
    unsafe {
        bindings::truncate_inode_pages_final(&raw mut (*inode).i_data);
        bindings::clear_inode(inode);
    }
}

/// Sets up the C part of a fresh slab object.
///
/// # Safety
///
/// `object` has the size of a [`WithData`], and nobody uses it yet.
pub(super) unsafe extern "C" fn init_once_callback(object: *mut c_void) {
    // SAFETY: By the function's contract; the inode comes first.
    unsafe { bindings::inode_init_once(object.cast()) }
}

/// The slab cache of `T`'s inodes.
///
/// # Invariants
///
/// The pointer is valid and ours.
pub(super) struct Cache<T: FileSystem>(NonNull<bindings::kmem_cache>, PhantomData<fn() -> T>);

// SAFETY: Slab caches may be used from any thread.
unsafe impl<T: FileSystem> Send for Cache<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for Cache<T> {}

impl<T: FileSystem> Cache<T> {
    /// Makes the cache. Errors: `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let mut args = bindings::kmem_cache_args {
            align: u32::try_from(align_of::<WithData<T>>())?,
            ctor: Some(init_once_callback),
            ..pin_init::zeroed()
        };
        // SAFETY: The name is a string that is never freed, and `args` is valid for the call.
        let cache = unsafe {
            bindings::__kmem_cache_create_args(
                T::INODE_CACHE.as_char_ptr(),
                u32::try_from(size_of::<WithData<T>>())?,
                &mut args,
                bindings::SLAB_ACCOUNT,
            )
        };
        // INVARIANT: From above, if not null.
        Ok(Self(NonNull::new(cache).ok_or(ENOMEM)?, PhantomData))
    }

    /// Returns the C object.
    pub(super) fn as_ptr(&self) -> *mut bindings::kmem_cache {
        self.0.as_ptr()
    }
}

impl<T: FileSystem> Drop for Cache<T> {
    fn drop(&mut self) {
        // SAFETY: Inodes are freed after an RCU grace period. All superblocks are gone, so that no new ones come,
        // and the barrier waits for the last.
        unsafe {
            bindings::rcu_barrier();
            bindings::kmem_cache_destroy(self.as_ptr());
        }
    }
}
