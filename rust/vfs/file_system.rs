// SPDX-License-Identifier: GPL-2.0

//! Types of filesystems.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    bindings,
    dentry::{Dentry, LockedDentry},
    fs_context::{self, FsContext, Parameter, Spec},
    idmap::MntIdmap,
    inode::{Attr, Cache, Inode, Locked, New, Stat},
    super_block::{self, Statfs, SuperBlock},
    sysfs::{self, TypeDirectory},
    xattr, //
};
use core::{marker::PhantomData, pin::Pin};
use kernel::{
    error::to_result,
    ffi::c_int,
    new_spinlock,
    prelude::*,
    seq_file::SeqFile,
    sync::SpinLock,
    types::Opaque, //
};
use pin_init::PinInit;

/// A filesystem in memory: what it is, and what it does for a mount and for every inode.
pub(crate) trait FileSystem: Sized + 'static {
    /// The name by which it is mounted.
    const NAME: &'static CStr;
    /// The name of its inodes' slab cache.
    const INODE_CACHE: &'static CStr;
    /// The number by which user space knows it (`f_type` of `statfs`).
    const MAGIC: u32;
    /// The mount options; the last one is [`Spec::END`].
    const PARAMETERS: &'static [Spec];

    /// The options of a mount as they are collected.
    type Options: Send + 'static;
    /// What a superblock has.
    type SuperData: Send + Sync + 'static;
    /// What every inode has.
    ///
    /// It is dropped after an RCU grace period, possibly in interrupt context: what sleeps in freeing has to be
    /// taken away in [`FileSystem::evict_inode`].
    type InodeData: Send + Sync;

    /// Initialises the data of an inode.
    fn inode_data() -> impl PinInit<Self::InodeData, Error>;

    /// Returns the options before any was given.
    fn default_options() -> Self::Options;

    /// Takes note of one mount option.
    ///
    /// Errors: `ENOPARAM` if it is unknown, `EINVAL`.
    fn parse_param(fc: &FsContext, options: &mut Self::Options, param: &Parameter) -> Result;

    /// Initialises the data of a superblock.
    fn super_data(options: &Self::Options) -> impl PinInit<Self::SuperData, Error>;

    /// The most bytes that a file can have.
    fn max_file_size(data: &Self::SuperData) -> i64;

    /// The files in the directory `/sys/fs/NAME/MAJOR:MINOR` of a superblock.
    const ATTRIBUTES: &'static [sysfs::Attribute];

    /// What the file `index` of [`FileSystem::ATTRIBUTES`] shows.
    fn show_attribute(data: &Self::SuperData, index: usize) -> usize;

    /// Nobody uses the superblock any more, and its inodes are about to be evicted: gives up all counted references to them, an
    /// inode that is left would outlive the superblock. May sleep.
    fn shut_down(data: &Self::SuperData);

    /// Makes the root directory.
    fn root(sb: &SuperBlock<Self>) -> Result<New<'_, Self>>;

    /// Changes a superblock's options. `s_umount` is held for writing.
    fn reconfigure(fc: &FsContext, sb: &SuperBlock<Self>, options: &Self::Options) -> Result;

    /// Fills in the numbers of blocks and files; the rest is there, and these are 0.
    fn statfs(sb: &SuperBlock<Self>, statfs: &mut Statfs) -> Result;

    /// Prints the options that are not the default, each after a comma.
    fn show_options(sb: &SuperBlock<Self>, seq: &SeqFile) -> Result;

    /// Empties an inode that nobody refers to any more. Once per inode, finished or not.
    fn evict_inode(inode: &Inode<Self>);

    /// Fills in what `stat` asks for.
    fn getattr(
        idmap: &MntIdmap,
        dentry: &Dentry<Self>,
        inode: &Inode<Self>,
        request_mask: u32,
        stat: &mut Stat,
    ) -> Result;

    /// Changes attributes of the inode of `dentry`.
    ///
    /// Errors: those of [`super::inode::setattr_prepare`]; `ENOMEM`.
    fn setattr(idmap: &MntIdmap, dentry: &LockedDentry<'_, Self>, attr: &mut Attr) -> Result;

    /// Returns the flags (`FS_*_FL`) of a regular file or directory.
    fn flags(inode: &Inode<Self>) -> u32;

    /// Sets the flags of a regular file or directory; the VFS has checked permissions.
    ///
    /// Errors: `EOPNOTSUPP` if there are others than the filesystem knows.
    fn set_flags(inode: &Locked<Self>, flags: u32) -> Result;

    /// Lists the names of the extended attributes.
    ///
    /// Errors: `ERANGE` if there is not room enough.
    fn listxattr(inode: &Inode<Self>, list: &mut xattr::List) -> Result;

    /// Reads the extended attribute `name` (with prefix).
    ///
    /// Errors: `ENODATA`, and those of `value`.
    fn get_xattr(inode: &Inode<Self>, name: &CStr, value: xattr::Value<'_>) -> Result<usize>;

    /// Sets the extended attribute `name` (with prefix), or removes it if there is no value.
    ///
    /// Errors: `EEXIST`, `ENODATA` by `mode`; `ENOSPC`, `ENOMEM`.
    fn set_xattr(
        inode: &Inode<Self>,
        name: &CStr,
        value: Option<&[u8]>,
        mode: xattr::SetMode,
    ) -> Result;
}

/// The registration of a filesystem, which can be mounted for as long as this lives.
///
/// It has to be part of the module's static data (lockdep wants the lock classes in `file_system_type` there).
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: FileSystem> {
    // Dropped last, after `PinnedDrop` has unregistered the type.
    cache: Cache<T>,
    directory: TypeDirectory,
    #[pin]
    hash_lock: SpinLock<()>,
    #[pin]
    fs_type: Opaque<bindings::file_system_type>,
    _fs: PhantomData<fn() -> T>,
}

// SAFETY: The C object may be used from any thread.
unsafe impl<T: FileSystem> Send for Registration<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for Registration<T> {}

impl<T: FileSystem> Registration<T> {
    /// Registers the filesystem for `module`, which cannot be unloaded while something is mounted.
    ///
    /// Errors: `EBUSY` if the name is taken, `ENOMEM`.
    pub(crate) fn new(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            cache: Cache::new()?,
            directory: TypeDirectory::new(T::NAME)?,
            hash_lock <- new_spinlock!((), "FileSystem::hash_lock"),
            fs_type <- Opaque::try_ffi_init(|slot: *mut bindings::file_system_type| {
                let fs_type = bindings::file_system_type {
                    owner: module.as_ptr(),
                    name: T::NAME.as_char_ptr(),
                    init_fs_context: Some(fs_context::init_callback::<T>),
                    parameters: T::PARAMETERS.as_ptr().cast(),
                    kill_sb: Some(super_block::kill_super_callback::<T>),
                    // CAST: These are small bits.
                    fs_flags: (bindings::FS_USERNS_MOUNT
                        | bindings::FS_ALLOW_IDMAP
                        | bindings::FS_MGTIME) as c_int,
                    ..pin_init::zeroed()
                };
                // SAFETY: `slot` may be written and stays in place. The rest of `self`, which a mount needs, has
                // been initialised before.
                unsafe {
                    slot.write(fs_type);
                    to_result(bindings::register_filesystem(slot))
                }
            }),
            _fs: PhantomData,
        })
    }

    /// Returns the registration of the type of a superblock.
    ///
    /// # Safety
    ///
    /// `sb` must be live, and its type registered for `T`.
    unsafe fn of<'a>(sb: *mut bindings::super_block) -> &'a Self {
        // SAFETY: By the function's contract the type is part of a `Registration`, which cannot go while the
        // superblock is there. Opaque has the layout of its content.
        unsafe {
            let fs_type = (*sb).s_type.cast::<Opaque<bindings::file_system_type>>();
            &*kernel::container_of!(fs_type, Self, fs_type)
        }
    }

    /// Returns the cache of the inodes of a superblock.
    ///
    /// # Safety
    ///
    /// `sb` must be live, and its type registered for `T`.
    pub(super) unsafe fn inode_cache(sb: *mut bindings::super_block) -> *mut bindings::kmem_cache {
        // SAFETY: By the function's contract.
        unsafe { Self::of(sb) }.cache.as_ptr()
    }

    /// Returns the directory of the type of a superblock.
    ///
    /// # Safety
    ///
    /// `sb` must be live, and its type registered for `T`.
    pub(super) unsafe fn directory<'a>(sb: *mut bindings::super_block) -> &'a TypeDirectory {
        // SAFETY: By the function's contract.
        &unsafe { Self::of(sb) }.directory
    }

    /// Returns the lock under which inodes are added to the inode hash.
    ///
    /// # Safety
    ///
    /// `sb` must be live, and its type registered for `T`.
    pub(super) unsafe fn hash_lock<'a>(sb: *mut bindings::super_block) -> &'a SpinLock<()> {
        // SAFETY: By the function's contract.
        &unsafe { Self::of(sb) }.hash_lock
    }
}

#[pinned_drop]
impl<T: FileSystem> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The type was registered with the object. Nothing is mounted, since the module is being unloaded
        // or has failed to load.
        unsafe { bindings::unregister_filesystem(self.fs_type.get()) };
    }
}
