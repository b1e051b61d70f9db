// SPDX-License-Identifier: GPL-2.0

//! Inodes: making and emptying them, and their attributes.

use super::{
    dir,
    file::{self, FileData},
    xattr::Xattrs,
    Inode,
    Locked,
    New,
    SnapmapFs,
    SuperBlock, //
};
use crate::vfs::{
    acl,
    dentry::Dentry,
    errno::Errno,
    idmap::MntIdmap,
    inode::{self, mode, Attr, Kind, Operations, Stat, Table, Timespec},
    xattr, //
};
use core::ffi::CStr;
use kernel::{prelude::*, sync::SetOnce};

/// What every inode of ours has.
#[pin_data]
pub(crate) struct InodeData {
    /// What a regular file has.
    #[pin]
    pub(crate) file: FileData,
    #[pin]
    xattrs: Xattrs,
    /// When the inode was made.
    btime: SetOnce<Timespec>,
}

impl InodeData {
    /// Returns the data of an inode of no type yet.
    pub(super) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            file <- FileData::new(),
            xattrs <- Xattrs::new(),
            btime: SetOnce::new(),
        })
    }

    /// Returns the extended attributes.
    pub(super) fn xattrs(&self) -> &Xattrs {
        &self.xattrs
    }
}

/// How long a symbolic link may be without counting as a page, as on tmpfs.
const SHORT_LINK: i64 = 127;

/// Returns how many pages an inode counts for whose content is not in the page cache.
fn link_pages(inode: &Inode) -> usize {
    usize::from(inode.is_symlink() && inode.size() > SHORT_LINK)
}

/// Operations on inodes that have no names below them: regular files and special ones.
struct Leaf;

/// Operations on symbolic links.
struct Symlink;

static LEAF: Table<SnapmapFs> = Table::new::<Leaf>(Kind::Other);
static SYMLINK: Table<SnapmapFs> = Table::new::<Symlink>(Kind::Symlink);

/// Makes an inode, in `dir` unless it is the root directory, of the type in `mode`; `dev` is for device nodes.
///
/// It has neither access control lists nor security attributes, and a symbolic link has no target: see
/// [`acl::create`], [`New::init_security`] and [`set_link`].
///
/// Errors: `ENOSPC` if there are too many inodes, `ENOMEM`.
pub(super) fn new(
    idmap: &MntIdmap,
    sb: &SuperBlock,
    dir: Option<&Inode>,
    mode: u16,
    dev: u32,
) -> Result<New> {
    let ino = sb.data().reserve_inode()?;
    // From here on, `evict` takes the reservation back.
    let inode = sb.new_inode().inspect_err(|_| sb.data().free_inode(0))?;
    // CAST: A `u64` holds every `usize`.
    inode.set_ino(ino as u64);
    inode.init_owner(idmap, dir, mode);
    inode.init_timestamps();
    inode.set_random_generation();
    inode.data().btime.populate(inode.mtime());
    inode.cache_no_acl();
    match mode & mode::S_IFMT {
        mode::S_IFREG => {
            inode.set_operations(&LEAF);
            file::init(&inode);
        }
        mode::S_IFDIR => {
            inode.set_operations(&dir::OPERATIONS);
            inode.init_dir();
            // The entry `.`; and some programs dislike directories of size 0.
            inode.inc_nlink();
            inode.set_size(dir::EMPTY_SIZE);
        }
        mode::S_IFLNK => inode.set_operations(&SYMLINK),
        _ => {
            inode.set_operations(&LEAF);
            inode.init_special(mode, dev);
        }
    }
    Ok(inode)
}

/// Gives a new symbolic link its target.
///
/// Errors: `ENAMETOOLONG` from a page on, `ENOSPC`, `ENOMEM`.
pub(super) fn set_link(inode: &New, target: &CStr) -> Result {
    let size = target.to_bytes_with_nul().len();
    if size > kernel::page::PAGE_SIZE {
        return Err(Errno::ENAMETOOLONG.into());
    }
    inode.init_symlink(target)?;
    let pages = link_pages(inode);
    inode
        .super_block()
        .data()
        .space
        .charge(pages)
        .inspect_err(|_| {
            // `evict` must not take back what was not charged.
            inode.set_size(0);
        })
}

/// Empties an inode that nobody refers to any more.
pub(super) fn evict(inode: &Inode) {
    let sb = inode.super_block().data();
    if inode.is_regular() {
        file::evict(inode);
    }
    sb.space.uncharge(link_pages(inode));
    sb.free_inode(inode.data().xattrs.clear());
}

/// Fills in what `stat` asks for.
pub(super) fn getattr(idmap: &MntIdmap, inode: &Inode, request_mask: u32, stat: &mut Stat) {
    inode::generic_fillattr(idmap, request_mask, inode, stat);
    stat.set_blocks(if inode.is_regular() {
        file::blocks(inode)
    } else {
        // CAST: At most one page.
        link_pages(inode) as u64 * file::BLOCKS_PER_PAGE
    });
    if let Some(&btime) = inode.data().btime.as_ref() {
        stat.set_btime(btime);
    }
}

/// Changes attributes.
///
/// Errors: those of [`inode::setattr_prepare`] and [`file::set_size`]; `ENOMEM`.
pub(super) fn setattr(
    idmap: &MntIdmap,
    dentry: &Dentry<SnapmapFs>,
    inode: &Locked,
    attr: &mut Attr,
) -> Result {
    inode::setattr_prepare(idmap, dentry, inode, attr)?;
    let mut resized = None;
    if let Some(size) = attr.size().filter(|_| inode.is_regular()) {
        resized = Some(size != inode.size());
        // The size that the file has already drops what was allocated beyond.
        file::set_size(inode, size)?;
    }
    inode::setattr_copy(idmap, inode, attr);
    if attr.has_mode() {
        acl::chmod(idmap, dentry, inode)?;
    }
    // Setting the size that the file has already does not by itself count as a change.
    if resized != Some(false) {
        inode.set_ctime_current();
        if resized == Some(true) {
            inode.set_mtime_to_ctime();
        }
        inode.inc_iversion();
    }
    Ok(())
}

/// Lists the names of the extended attributes.
///
/// Errors: `ERANGE` if there is not room enough.
pub(super) fn listxattr(inode: &Inode, list: &mut xattr::List) -> Result {
    list.add_system(inode)?;
    inode.data().xattrs.list(list)
}

#[vtable]
impl Operations for Leaf {
    type FileSystem = SnapmapFs;

    fn getattr(idmap: &MntIdmap, inode: &Inode, request_mask: u32, stat: &mut Stat) -> Result {
        getattr(idmap, inode, request_mask, stat);
        Ok(())
    }

    fn setattr(
        idmap: &MntIdmap,
        dentry: &Dentry<SnapmapFs>,
        inode: &Locked,
        attr: &mut Attr,
    ) -> Result {
        setattr(idmap, dentry, inode, attr)
    }

    fn listxattr(inode: &Inode, list: &mut xattr::List) -> Result {
        listxattr(inode, list)
    }
}

#[vtable]
impl Operations for Symlink {
    type FileSystem = SnapmapFs;

    fn getattr(idmap: &MntIdmap, inode: &Inode, request_mask: u32, stat: &mut Stat) -> Result {
        getattr(idmap, inode, request_mask, stat);
        Ok(())
    }

    fn setattr(
        idmap: &MntIdmap,
        dentry: &Dentry<SnapmapFs>,
        inode: &Locked,
        attr: &mut Attr,
    ) -> Result {
        setattr(idmap, dentry, inode, attr)
    }

    fn listxattr(inode: &Inode, list: &mut xattr::List) -> Result {
        listxattr(inode, list)
    }
}
