// SPDX-License-Identifier: GPL-2.0

//! The filesystem: thin, and built from the parts in [`crate::vfs`].
//!
//! In everything but its private mappings it is tmpfs without swap; `mm/shmem.c` is the model for what a system
//! call does and which error it returns.

use crate::vfs::{
    self,
    bindings,
    dentry::{Dentry, LockedDentry},
    file_system::FileSystem,
    fs_context::{FsContext, Parameter, Spec},
    idmap::MntIdmap,
    inode::{Attr, Stat},
    super_block::Statfs,
    sysfs::Attribute,
    xattr::{List, SetMode, Value}, //
};
use core::ffi::CStr;
use kernel::{prelude::*, seq_file::SeqFile};

pub(crate) mod dir;
pub(crate) mod file;
pub(crate) mod inode;
mod late;
mod mmap;
pub(crate) mod options;
mod segments;
mod snapshots;
pub(crate) mod space;
pub(crate) mod stats;
pub(crate) mod super_block;
mod views;
mod window;
pub(crate) mod xattr;

/// The type of filesystem that this module is.
pub(crate) struct SnapmapFs;

/// An inode of ours.
pub(crate) type Inode = vfs::inode::Inode<SnapmapFs>;

/// An inode of ours that nobody else changes.
pub(crate) type Locked = vfs::inode::Locked<SnapmapFs>;

/// An inode of ours that nobody else knows yet.
pub(crate) type New<'a> = vfs::inode::New<'a, SnapmapFs>;

/// A mounted filesystem of ours.
pub(crate) type SuperBlock = vfs::super_block::SuperBlock<SnapmapFs>;

impl FileSystem for SnapmapFs {
    const NAME: &'static CStr = c"snapmapfs";
    const INODE_CACHE: &'static CStr = c"snapmapfs_inode_cache";
    const MAGIC: u32 = bindings::SNAPMAPFS_MAGIC;
    const PARAMETERS: &'static [Spec] = options::PARAMETERS;

    type Options = options::Options;
    type SuperData = super_block::SuperData;
    type InodeData = inode::InodeData;

    fn inode_data() -> impl PinInit<Self::InodeData, Error> {
        inode::InodeData::new()
    }

    fn default_options() -> Self::Options {
        options::Options::new()
    }

    fn parse_param(fc: &FsContext, options: &mut Self::Options, param: &Parameter) -> Result {
        options.parse(fc, param)
    }

    fn super_data(options: &Self::Options) -> impl PinInit<Self::SuperData, Error> {
        super_block::SuperData::new(options)
    }

    fn max_file_size(data: &Self::SuperData) -> i64 {
        segments::max_file_size(data.segment_bits)
    }

    const ATTRIBUTES: &'static [Attribute] = &stats::ATTRIBUTES;

    fn show_attribute(data: &Self::SuperData, index: usize) -> usize {
        stats::show(data, index)
    }

    fn shut_down(data: &Self::SuperData) {
        data.late.close();
    }

    fn root(sb: &SuperBlock) -> Result<New<'_>> {
        super_block::root(sb)
    }

    fn reconfigure(fc: &FsContext, sb: &SuperBlock, options: &Self::Options) -> Result {
        super_block::reconfigure(fc, sb, options)
    }

    fn statfs(sb: &SuperBlock, statfs: &mut Statfs) -> Result {
        sb.data().statfs(statfs);
        Ok(())
    }

    fn show_options(sb: &SuperBlock, seq: &SeqFile) -> Result {
        sb.data().show_options(seq);
        Ok(())
    }

    fn evict_inode(inode: &Inode) {
        inode::evict(inode);
    }

    fn getattr(
        idmap: &MntIdmap,
        dentry: &Dentry<Self>,
        inode: &Inode,
        request_mask: u32,
        stat: &mut Stat,
    ) -> Result {
        inode::getattr(idmap, dentry, inode, request_mask, stat);
        Ok(())
    }

    fn setattr(idmap: &MntIdmap, dentry: &LockedDentry<'_, Self>, attr: &mut Attr) -> Result {
        inode::setattr(idmap, dentry, attr)
    }

    fn flags(inode: &Inode) -> u32 {
        inode::flags(inode)
    }

    fn set_flags(inode: &Locked, flags: u32) -> Result {
        inode::set_flags(inode, flags)
    }

    fn listxattr(inode: &Inode, list: &mut List) -> Result {
        inode::listxattr(inode, list)
    }

    fn get_xattr(inode: &Inode, name: &CStr, value: Value<'_>) -> Result<usize> {
        inode.data().xattrs().get(name, value)
    }

    fn set_xattr(inode: &Inode, name: &CStr, value: Option<&[u8]>, mode: SetMode) -> Result {
        xattr::set(inode, name, value, mode)
    }
}
