// SPDX-License-Identifier: GPL-2.0

//! Inodes: making and emptying them, and their attributes.

use super::{
    dir,
    file::{self, FileData},
    window,
    xattr::Xattrs,
    Inode,
    Locked,
    New,
    SnapmapFs,
    SuperBlock, //
};
use crate::vfs::{
    acl,
    bindings,
    dentry::{Dentry, LockedDentry},
    errno::Errno,
    idmap::MntIdmap,
    inode::{
        self,
        kind::{RegularFile, Special, Symlink},
        mode,
        Attr,
        Stat,
        Table,
        Timespec, //
    },
    xattr, //
};
use core::ffi::CStr;
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        SetOnce, //
    },
};

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
    /// The inode flags. They change only while the inode is locked.
    flags: Atomic<u32>,
}

impl InodeData {
    /// Returns the data of an inode of no type yet.
    pub(super) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            file <- FileData::new(),
            xattrs <- Xattrs::new(),
            btime: SetOnce::new(),
            flags: Atomic::new(0),
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

static FILE: Table<SnapmapFs, RegularFile> = Table::file();
static SPECIAL: Table<SnapmapFs, Special> = Table::special();
static SYMLINK: Table<SnapmapFs, Symlink> = Table::symlink();

/// The flags (`chattr`) that there are, as on tmpfs.
const FLAGS: u32 = bindings::FS_IMMUTABLE_FL
    | bindings::FS_APPEND_FL
    | bindings::FS_NODUMP_FL
    | bindings::FS_NOATIME_FL;

/// The flags that a new inode has from its directory.
const INHERITED_FLAGS: u32 = bindings::FS_NODUMP_FL | bindings::FS_NOATIME_FL;

/// What flags mean to the VFS (`S_*`) and to `statx` (`STATX_ATTR_*`).
const FLAG_MEANINGS: [(u32, u32, u32); 4] = [
    (
        bindings::FS_IMMUTABLE_FL,
        bindings::S_IMMUTABLE,
        bindings::STATX_ATTR_IMMUTABLE,
    ),
    (
        bindings::FS_APPEND_FL,
        bindings::S_APPEND,
        bindings::STATX_ATTR_APPEND,
    ),
    (bindings::FS_NODUMP_FL, 0, bindings::STATX_ATTR_NODUMP),
    (bindings::FS_NOATIME_FL, bindings::S_NOATIME, 0),
];

/// Makes an inode, in `dir` unless it is the root directory, of the type in `mode`; `dev` is for device nodes.
///
/// It has neither access control lists nor security attributes, and a symbolic link has no target: see
/// [`acl::create`], [`New::init_security`] and [`set_link`].
///
/// Errors: `ENOSPC` if there are too many inodes, `ENOMEM`.
pub(super) fn new<'a>(
    idmap: &MntIdmap,
    sb: &'a SuperBlock,
    dir: Option<&Inode>,
    mode: u16,
    dev: u32,
) -> Result<New<'a>> {
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
    if let Some(dir) = dir {
        store_flags(&inode, flags(dir) & INHERITED_FLAGS);
    }
    match mode & mode::S_IFMT {
        mode::S_IFREG => file::init(&inode, &FILE)?,
        mode::S_IFDIR => {
            inode.init_dir(&dir::OPERATIONS)?;
            // The entry `.`; and some programs dislike directories of size 0.
            inode.inc_nlink();
            inode.set_size(dir::EMPTY_SIZE);
        }
        mode::S_IFLNK => (),
        _ => inode.init_special(&SPECIAL, dev)?,
    }
    Ok(inode)
}

/// Makes the segment `number` of `base`, which counts as an inode. Errors: those of [`new_extension`].
pub(super) fn new_segment(base: &Inode, number: usize) -> Result<New<'_>> {
    let inode = new_extension(base)?;
    inode.data().file.place.set_segment(base.bits(), number);
    inode.set_segment_operations();
    Ok(inode)
}

/// Makes an extension of `base`, which counts as an inode.
///
/// Errors: `ENOSPC` if there are too many, `ENOMEM`.
pub(super) fn new_extension(base: &Inode) -> Result<New<'_>> {
    let sb = base.super_block();
    sb.data().reserve_inode()?;
    // From here on, `evict` takes the reservation back.
    let inode = sb.new_inode().inspect_err(|_| sb.data().free_inode(0))?;
    inode.set_ino(base.ino());
    inode.set_mode(mode::S_IFREG);
    inode.set_extension_operations();
    Ok(inode)
}

/// Gives a new symbolic link its target.
///
/// Errors: `ENAMETOOLONG` from a page on, `ENOSPC`, `ENOMEM`.
pub(super) fn set_link(inode: &New<'_>, target: &CStr) -> Result {
    let size = target.to_bytes_with_nul().len();
    if size > kernel::page::PAGE_SIZE {
        return Err(Errno::ENAMETOOLONG.into());
    }
    inode.init_symlink(&SYMLINK, target)?;
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
    if inode.is_regular() && !inode.is_view() {
        file::evict(inode);
    }
    sb.space.uncharge(link_pages(inode));
    sb.free_inode(inode.data().xattrs.clear());
}

/// Fills in what `stat` asks for.
pub(super) fn getattr(
    idmap: &MntIdmap,
    dentry: &Dentry<SnapmapFs>,
    inode: &Inode,
    request_mask: u32,
    stat: &mut Stat,
) {
    inode::generic_fillattr(idmap, request_mask, inode, stat);
    if let Some(window) = dentry.window() {
        stat.set_size(window::size(&window, inode.size()));
    }
    stat.set_blocks(if inode.is_regular() {
        file::blocks(inode)
    } else {
        // CAST: At most one page.
        link_pages(inode) as u64 * file::BLOCKS_PER_PAGE
    });
    let flags = flags(inode);
    for (flag, _, attribute) in FLAG_MEANINGS {
        stat.set_attributes(if flags & flag != 0 { attribute } else { 0 }, attribute);
    }
    if let Some(&btime) = inode.data().btime.as_ref() {
        stat.set_btime(btime);
    }
}

/// Changes attributes.
///
/// Errors: those of [`inode::setattr_prepare`], [`file::set_size`] and [`window::file_size`]; `ENOMEM`.
pub(super) fn setattr(
    idmap: &MntIdmap,
    dentry: &LockedDentry<'_, SnapmapFs>,
    attr: &mut Attr,
) -> Result {
    let inode = dentry.inode();
    if let (Some(window), Some(size)) = (dentry.dentry().window(), attr.size()) {
        attr.set_size(window::file_size(&window, inode.size(), size)?);
    }
    inode::setattr_prepare(idmap, dentry, attr)?;
    // Before anything else changes, since it may fail. With a new size comes no other mode as far as a list knows it.
    if let Some(mode) = attr.mode() {
        acl::chmod(idmap, dentry, mode)?;
    }
    let mut resized = None;
    if let Some(size) = attr.size().filter(|_| inode.is_regular()) {
        resized = Some(size != inode.size());
        // The size that the file has already drops what was allocated beyond.
        file::set_size(inode, size)?;
    }
    inode::setattr_copy(idmap, inode, attr);
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

/// Returns the flags of an inode.
pub(super) fn flags(inode: &Inode) -> u32 {
    inode.data().flags.load(Relaxed)
}

/// Makes `flags` those of an inode.
fn store_flags(inode: &Locked, flags: u32) {
    let (mut vfs, mut known) = (0, 0);
    for (flag, meaning, _) in FLAG_MEANINGS {
        known |= meaning;
        if flags & flag != 0 {
            vfs |= meaning;
        }
    }
    inode.set_inode_flags(vfs, known);
    inode.data().flags.store(flags, Relaxed);
}

/// Sets the flags of an inode.
///
/// Errors: `EOPNOTSUPP` if there are others than [`FLAGS`].
pub(super) fn set_flags(inode: &Locked, flags: u32) -> Result {
    if flags & !FLAGS != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    store_flags(inode, flags);
    inode.set_ctime_current();
    inode.inc_iversion();
    Ok(())
}

/// Lists the names of the extended attributes.
///
/// Errors: `ERANGE` if there is not room enough.
pub(super) fn listxattr(inode: &Inode, list: &mut xattr::List) -> Result {
    list.add_system(inode)?;
    inode.data().xattrs.list(list)
}
