// SPDX-License-Identifier: GPL-2.0

//! Superblocks: mounted filesystems.
//!
//! C header: [`include/linux/fs/super.h`](srctree/include/linux/fs/super.h)

use super::{
    bindings,
    errno::Errno,
    export,
    file_system::{FileSystem, Registration},
    inode::{self, New},
    sysfs::WithDirectory,
    xattr, //
};
use core::{
    marker::PhantomData,
    ptr::{self, NonNull}, //
};
use kernel::{
    error::from_result,
    ffi::{c_int, c_long, c_ulong, c_void},
    prelude::*,
    seq_file::SeqFile,
    types::{ForeignOwnable, Opaque}, //
};

/// A superblock (`struct super_block`) of a filesystem of type `T`.
///
/// # Invariants
///
/// The C object is live, and its `s_fs_info` is a `Pin<KBox<WithDirectory<T>>>` turned foreign.
#[repr(transparent)]
pub(crate) struct SuperBlock<T: FileSystem> {
    inner: Opaque<bindings::super_block>,
    _fs: PhantomData<T>,
}

// SAFETY: Superblocks are used from any thread; the payload allows it by the bounds on `FileSystem::SuperData`.
unsafe impl<T: FileSystem> Send for SuperBlock<T> {}
// SAFETY: As above; what is reachable through a shared reference is constant or locked by C.
unsafe impl<T: FileSystem> Sync for SuperBlock<T> {}

impl<T: FileSystem> SuperBlock<T> {
    /// Returns the superblock that `ptr` points at.
    ///
    /// # Safety
    ///
    /// `ptr` must point at a superblock of `T` that is set up and stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::super_block) -> &'a Self {
        // SAFETY: The caller guarantees a live object for `'a`; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    /// Returns the C object.
    pub(super) fn as_ptr(&self) -> *mut bindings::super_block {
        self.inner.get()
    }

    /// Returns the filesystem's own data of this superblock.
    pub(crate) fn data(&self) -> &T::SuperData {
        // SAFETY: By the type invariants; the data is freed only with the superblock.
        let info = unsafe { <Pin<KBox<WithDirectory<T>>>>::borrow((*self.as_ptr()).s_fs_info) };
        &info.get_ref().data
    }

    /// Makes an inode, of no type yet, with the number 0.
    ///
    /// Errors: `ENOMEM`.
    pub(crate) fn new_inode(&self) -> Result<New<'_, T>> {
        // SAFETY: The superblock is live.
        let inode = NonNull::new(unsafe { bindings::new_inode(self.as_ptr()) }).ok_or(ENOMEM)?;
        // SAFETY: The inode is new, its reference ours, and `self` borrowed for as long as the result lives.
        Ok(unsafe { New::from_raw(inode) })
    }

    /// Returns whether the superblock belongs to the initial user namespace.
    pub(crate) fn in_init_user_ns(&self) -> bool {
        // SAFETY: The superblock is live and its namespace constant.
        let ns = unsafe { (*self.as_ptr()).s_user_ns };
        ptr::eq(ns, &raw const bindings::init_user_ns)
    }
}

/// Statistics for `statfs` (`struct kstatfs`).
#[repr(transparent)]
pub(crate) struct Statfs(bindings::kstatfs);

impl Statfs {
    /// Sets the number of blocks of `PAGE_SIZE`, and how many are free.
    pub(crate) fn set_blocks(&mut self, total: usize, free: usize) {
        // CAST: A `u64` holds every `usize`.
        self.0.f_blocks = total as u64;
        self.0.f_bfree = free as u64;
        self.0.f_bavail = free as u64;
    }

    /// Sets the number of inodes, and how many are free.
    pub(crate) fn set_files(&mut self, total: usize, free: usize) {
        // CAST: A `u64` holds every `usize`.
        self.0.f_files = total as u64;
        self.0.f_ffree = free as u64;
    }
}

/// The tables of a filesystem.
struct Tables<T>(T);

impl<T: FileSystem> Tables<T> {
    const SUPER: &'static bindings::super_operations = &bindings::super_operations {
        alloc_inode: Some(inode::alloc_inode_callback::<T>),
        destroy_inode: Some(inode::destroy_inode_callback::<T>),
        free_inode: Some(inode::free_inode_callback::<T>),
        drop_inode: Some(bindings::inode_just_drop),
        evict_inode: Some(inode::evict_inode_callback::<T>),
        freeze_super: Some(freeze_callback::<T>),
        statfs: Some(statfs_callback::<T>),
        show_options: Some(show_options_callback::<T>),
        ..pin_init::zeroed()
    };
}

/// Fills a new superblock.
///
/// # Safety
///
/// The callback of `get_tree_nodev`: `sb` is new and its type registered for `T`; `fc` is a context whose
/// `fs_private` holds the options.
pub(super) unsafe extern "C" fn fill_super_callback<T: FileSystem>(
    sb: *mut bindings::super_block,
    fc: *mut bindings::fs_context,
) -> c_int {
    from_result(|| {
        // SAFETY: `fs_private` was set when the context was made, and nobody else uses the context.
        let options = unsafe { <KBox<T::Options>>::borrow((*fc).fs_private) };
        let info = KBox::try_pin_init(
            WithDirectory::<T>::new(T::super_data(options)),
            GFP_KERNEL_ACCOUNT,
        )?;
        // SAFETY: The superblock is new and locked by the caller. The tables are never freed.
        unsafe {
            (*sb).s_fs_info = info.into_foreign();
            (*sb).s_blocksize = bindings::PAGE_SIZE as c_ulong;
            (*sb).s_blocksize_bits = bindings::PAGE_SHIFT as u8;
            (*sb).s_magic = T::MAGIC as c_ulong;
            (*sb).s_op = Tables::<T>::SUPER;
            (*sb).s_xattr = xattr::handlers::<T>();
            (*sb).s_export_op = export::operations::<T>().cast();
            (*sb).s_time_gran = 1;
            (*sb).s_flags |= bindings::SB_POSIXACL | bindings::SB_NOSEC;
            // A name that is not there need not be remembered: looking it up again costs nothing.
            (*sb).s_d_flags |= bindings::DCACHE_DONTCACHE;
            bindings::super_set_random_uuid(sb);
            let data = SuperBlock::<T>::from_raw(sb).data();
            (*sb).s_maxbytes = T::max_file_size(data);
        }
        // INVARIANT: The data has just been set; `kill_super_callback` takes it away when nobody can get at it.
        // SAFETY: The superblock is set up, and alive during the call.
        let root = T::root(unsafe { SuperBlock::from_raw(sb) })?;
        if !ptr::eq(root.super_block().as_ptr(), sb) {
            return Err(EXDEV);
        }
        // SAFETY: The inode's reference is ours to give, also if this fails.
        let root = unsafe { bindings::d_make_root(root.into_raw()) };
        if root.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: As above.
        unsafe { (*sb).s_root = root };
        // SAFETY: As above; the data is part of the same object as the directory, and the superblock has its number.
        unsafe {
            let info = <Pin<KBox<WithDirectory<T>>>>::borrow((*sb).s_fs_info).get_ref();
            let parent = Registration::<T>::directory(sb);
            info.directory.add(parent, sb, NonNull::from(&info.data))?;
        }
        Ok(0)
    })
}

/// Takes a superblock down.
///
/// # Safety
///
/// `file_system_type.kill_sb`: the last reference to `sb` is gone, and it was filled by [`fill_super_callback`], at
/// least in part.
pub(super) unsafe extern "C" fn kill_super_callback<T: FileSystem>(sb: *mut bindings::super_block) {
    // SAFETY: By the function's contract the data is null or was turned foreign in `fill_super_callback`.
    if let Some(info) = NonNull::new(unsafe { (*sb).s_fs_info }) {
        // The directory is named after the device number, which the next mount may get.
        // SAFETY: As above; nobody takes the data back before this function does.
        let info = unsafe { <Pin<KBox<WithDirectory<T>>>>::borrow(info.as_ptr()) };
        info.get_ref().directory.remove();
        T::shut_down(&info.get_ref().data);
    }
    // SAFETY: By the function's contract.
    unsafe { bindings::kill_anon_super(sb) };
    // SAFETY: All inodes are gone, and so are the readers of the directory: nobody uses the data any more.
    let data = unsafe { ptr::replace(&raw mut (*sb).s_fs_info, ptr::null_mut()) };
    // SAFETY: The data is null or was turned foreign in `fill_super_callback`; this is the only place that takes it
    // back, and the pointer has gone.
    drop(unsafe { <Pin<KBox<WithDirectory<T>>>>::try_from_foreign(data) });
}

/// Freezes a superblock: the VFS keeps writers out by itself, and there is nothing to write back.
///
/// A frozen superblock stays alive when it is unmounted. A user namespace must not leave it behind, for there would
/// be nobody to thaw it.
///
/// # Safety
///
/// `super_operations.freeze_super`: `sb` is a superblock of `T` that the caller keeps alive.
unsafe extern "C" fn freeze_callback<T: FileSystem>(
    sb: *mut bindings::super_block,
    who: bindings::freeze_holder,
    owner: *const c_void,
) -> c_int {
    // SAFETY: By the function's contract.
    let in_init_user_ns = unsafe { SuperBlock::<T>::from_raw(sb) }.in_init_user_ns();
    if !in_init_user_ns && who & bindings::freeze_holder_FREEZE_HOLDER_USERSPACE != 0 {
        return Error::from(Errno::EOPNOTSUPP).to_errno();
    }
    // SAFETY: By the function's contract.
    unsafe { bindings::freeze_super(sb, who, owner) }
}

/// # Safety
///
/// `super_operations.statfs`: `dentry` belongs to a superblock of `T`, and `buf` is the caller's.
unsafe extern "C" fn statfs_callback<T: FileSystem>(
    dentry: *mut bindings::dentry,
    buf: *mut kernel::bindings::kstatfs,
) -> c_int {
    // SAFETY: By the function's contract.
    let sb = unsafe { SuperBlock::<T>::from_raw((*dentry).d_sb) };
    // SAFETY: By the function's contract; `Statfs` has the layout of `kstatfs`.
    let statfs = unsafe { &mut *buf.cast::<Statfs>() };
    // CAST: The number has 32 bits and is not negative as a C `long` of 32 bits that `statfs` copies.
    statfs.0.f_type = T::MAGIC as c_long;
    statfs.0.f_bsize = bindings::PAGE_SIZE as c_long;
    statfs.0.f_namelen = bindings::NAME_MAX as c_long;
    // SAFETY: The superblock is live and its UUID constant.
    unsafe { bindings::super_fsid(sb.as_ptr(), &mut statfs.0.f_fsid) };
    from_result(|| T::statfs(sb, statfs).map(|()| 0))
}

/// # Safety
///
/// `super_operations.show_options`: `root` belongs to a superblock of `T`, and `seq` is the caller's.
unsafe extern "C" fn show_options_callback<T: FileSystem>(
    seq: *mut bindings::seq_file,
    root: *mut bindings::dentry,
) -> c_int {
    // SAFETY: By the function's contract.
    let (seq, sb) = unsafe {
        (
            SeqFile::from_raw(seq),
            SuperBlock::<T>::from_raw((*root).d_sb),
        )
    };
    from_result(|| T::show_options(sb, seq).map(|()| 0))
}

/// The memory of the machine, in pages.
pub(crate) struct MemoryPages {
    /// All of it.
    pub(crate) total: usize,
    /// What the kernel can address directly.
    pub(crate) low: usize,
}

impl MemoryPages {
    /// Returns how much there is at the moment.
    pub(crate) fn get() -> Self {
        let (mut total, mut low) = (0, 0);
        // SAFETY: Both may be written for the duration of the call.
        unsafe { bindings::memory_pages(&mut total, &mut low) };
        Self { total, low }
    }
}
