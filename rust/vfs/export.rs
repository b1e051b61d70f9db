// SPDX-License-Identifier: GPL-2.0

//! File handles, for NFS servers and `open_by_handle_at`.
//!
//! A handle is the inode's number and generation. An inode can be found by it from when the first handle is made:
//! before, it is not worth an entry in the inode hash. What cannot be found is stale, as it is once nothing refers
//! to the inode. This is what shmem does, with the same handles.
//!
//! C header: [`include/linux/exportfs.h`](srctree/include/linux/exportfs.h)

use super::{
    bindings,
    errno::Errno,
    file_system::{FileSystem, Registration},
    inode::Inode, //
};
use core::{marker::PhantomData, ptr};
use kernel::{
    ffi::{c_int, c_void},
    prelude::*, //
};

/// The type of our handles.
const FILEID: c_int = 1;

/// A handle.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Handle {
    generation: u32,
    ino: u64,
}

impl Handle {
    /// The number of 32-bit words that a handle has.
    const WORDS: usize = 3;

    fn of<T: FileSystem>(inode: &Inode<T>) -> Self {
        Self {
            // SAFETY: The inode is live; its generation is constant once others can see it.
            generation: unsafe { (*inode.as_ptr()).i_generation },
            ino: inode.ino(),
        }
    }

    /// Returns the handle as words.
    fn encode(self) -> [u32; Self::WORDS] {
        // CAST: Cuts the number in halves.
        [self.generation, self.ino as u32, (self.ino >> 32) as u32]
    }

    /// Returns the handle that the words stand for.
    fn decode([generation, low, high]: [u32; Self::WORDS]) -> Self {
        Self {
            generation,
            ino: u64::from(high) << 32 | u64::from(low),
        }
    }

    /// Returns the key under which the inode is hashed.
    fn hash(self) -> u64 {
        self.ino.wrapping_add(u64::from(self.generation))
    }
}

/// The table of a filesystem.
struct Operations<T>(PhantomData<T>);

impl<T: FileSystem> Operations<T> {
    const TABLE: &'static bindings::export_operations = &bindings::export_operations {
        encode_fh: Some(encode_fh_callback::<T>),
        fh_to_dentry: Some(fh_to_dentry_callback::<T>),
        get_parent: Some(get_parent_callback),
        ..pin_init::zeroed()
    };
}

/// Returns the export operations of a filesystem.
pub(super) fn operations<T: FileSystem>() -> *const bindings::export_operations {
    Operations::<T>::TABLE
}

/// Enters an inode into the inode hash, once.
fn hash_inode<T: FileSystem>(inode: &Inode<T>, handle: Handle) {
    let raw = inode.as_ptr();
    // SAFETY: The inode is live, and of a superblock of `T`.
    unsafe {
        if bindings::inode_unhashed(raw) {
            let _guard = Registration::<T>::hash_lock((*raw).i_sb).lock();
            if bindings::inode_unhashed(raw) {
                bindings::insert_inode_hash_key(raw, &handle.hash());
            }
        }
    }
}

/// Makes a handle.
///
/// # Safety
///
/// `export_operations.encode_fh`: `inode` is one of `T`'s, and `fh` has room for as many words as `len` says.
unsafe extern "C" fn encode_fh_callback<T: FileSystem>(
    inode: *mut bindings::inode,
    fh: *mut u32,
    len: *mut c_int,
    _parent: *mut bindings::inode,
) -> c_int {
    // SAFETY: By the function's contract.
    let (inode, room) = unsafe { (Inode::<T>::from_raw(inode), *len) };
    // CAST: A small number.
    // SAFETY: By the function's contract.
    unsafe { *len = Handle::WORDS as c_int };
    if usize::try_from(room).map_or(true, |room| room < Handle::WORDS) {
        // CAST: A small number.
        return bindings::fid_type_FILEID_INVALID as c_int;
    }
    let handle = Handle::of(inode);
    hash_inode(inode, handle);
    // SAFETY: By the function's contract and the comparison there is room.
    unsafe { fh.cast::<[u32; Handle::WORDS]>().write(handle.encode()) };
    FILEID
}

/// Returns whether `inode` is that of the handle behind `data`.
///
/// # Safety
///
/// The callback of `ilookup5`: `inode` is one of `T`'s, and `data` points at a [`Handle`].
unsafe extern "C" fn match_callback<T: FileSystem>(
    inode: *mut bindings::inode,
    data: *mut c_void,
) -> c_int {
    // SAFETY: By the function's contract.
    let (inode, handle) = unsafe { (Inode::<T>::from_raw(inode), *data.cast::<Handle>()) };
    c_int::from(Handle::of(inode) == handle)
}

/// Finds a name of the inode that a handle stands for.
///
/// # Safety
///
/// `export_operations.fh_to_dentry`: `sb` is a superblock of `T`, and `fid` has `len` words.
unsafe extern "C" fn fh_to_dentry_callback<T: FileSystem>(
    sb: *mut bindings::super_block,
    fid: *mut bindings::fid,
    len: c_int,
    _kind: c_int,
) -> *mut bindings::dentry {
    if usize::try_from(len).map_or(true, |len| len < Handle::WORDS) {
        return ptr::null_mut();
    }
    // SAFETY: By the function's contract and the comparison.
    let mut handle = Handle::decode(unsafe { fid.cast::<[u32; Handle::WORDS]>().read_unaligned() });
    // SAFETY: The superblock is live, and `handle` what `match_callback` expects.
    let inode = unsafe {
        bindings::ilookup5_key(
            sb,
            &handle.hash(),
            Some(match_callback::<T>),
            (&raw mut handle).cast(),
        )
    };
    if inode.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: `ilookup5` returned a reference to the inode, which is not used after this. A name that is in use is better than
    // one that is not.
    unsafe {
        let mut alias = bindings::d_find_alias(inode);
        if alias.is_null() {
            alias = bindings::find_unhashed_alias(inode);
        }
        bindings::iput(inode);
        alias
    }
}

/// Finds the parent of a directory that has no name: there is none that could have lost it.
///
/// # Safety
///
/// None: `export_operations.get_parent` just has to be of this type.
unsafe extern "C" fn get_parent_callback(_child: *mut bindings::dentry) -> *mut bindings::dentry {
    Error::from(Errno::ESTALE).to_ptr()
}
