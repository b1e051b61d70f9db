// SPDX-License-Identifier: GPL-2.0

//! Placeholder for what regular files need. Will go.

use super::{bindings, file_system::FileSystem, inode::Inode};

const FOPS: bindings::file_operations = bindings::file_operations {
    llseek: Some(bindings::generic_file_llseek),
    read_iter: Some(bindings::generic_file_read_iter),
    write_iter: Some(bindings::generic_file_write_iter),
    fsync: Some(bindings::noop_fsync),
    mmap_prepare: Some(bindings::generic_file_mmap_prepare),
    splice_read: Some(bindings::filemap_splice_read),
    splice_write: Some(bindings::iter_file_splice_write),
    ..pin_init::zeroed()
};

pub(crate) fn init<T: FileSystem>(inode: &Inode<T>) {
    // SAFETY: The inode is new.
    unsafe {
        bindings::inode_set_fop(inode.as_ptr(), &FOPS);
        (*(*inode.as_ptr()).i_mapping).a_ops = &raw const bindings::ram_aops;
        bindings::mapping_set_unevictable_inode(inode.as_ptr());
    }
}

pub(crate) fn set_size<T: FileSystem>(inode: &Inode<T>, size: i64) {
    // SAFETY: The inode is locked.
    unsafe { bindings::placeholder_truncate(inode.as_ptr(), &size) }
}

pub(crate) fn pages<T: FileSystem>(inode: &Inode<T>) -> usize {
    // SAFETY: The inode is live.
    unsafe { (&raw const (*inode.as_ptr()).i_data.nrpages).read_volatile() }
}
