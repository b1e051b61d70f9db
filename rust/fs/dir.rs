// SPDX-License-Identifier: GPL-2.0

//! Directories: how names come, go and move.

use super::{
    inode::{self, set_link},
    Inode,
    Locked,
    New,
    SnapmapFs, //
};
use crate::vfs::{
    acl,
    bindings,
    dentry::{Dentry, Entry, Takeover, Target, Victim},
    errno::Errno,
    idmap::MntIdmap,
    inode::{kind::Directory, mode, DirOperations, Table}, //
};
use core::ffi::CStr;
use kernel::prelude::*;

/// What an entry adds to the size of a directory (tmpfs: `BOGO_DIRENT_SIZE`).
const ENTRY_SIZE: i64 = 20;

/// The size of a directory that has nothing but `.` and `..`.
pub(super) const EMPTY_SIZE: i64 = 2 * ENTRY_SIZE;

/// Operations on directories.
struct Dir;

/// The inode operations of directories.
pub(super) static OPERATIONS: Table<SnapmapFs, Directory> = Table::dir::<Dir>();

/// Makes an inode of the type in `mode` and gives it the name `entry`. `target` is for symbolic links.
fn create(
    idmap: &MntIdmap,
    entry: &Entry<'_, SnapmapFs>,
    mode: u16,
    dev: u32,
    target: Option<&CStr>,
) -> Result {
    let dir = entry.dir();
    let inode = inode::new(idmap, dir.super_block(), Some(dir), mode, dev)?;
    if !inode.is_symlink() {
        acl::create(dir, &inode)?;
    }
    init_security(&inode, dir, Some(entry.dentry()))?;
    if let Some(target) = target {
        set_link(&inode, target)?;
    }
    entry.create(inode)?;
    dir.add_size(ENTRY_SIZE);
    dir.touch_dir();
    Ok(())
}

/// Gives a new inode the attributes that the security modules want it to have.
fn init_security(inode: &New<'_>, dir: &Inode, name: Option<&Dentry<SnapmapFs>>) -> Result {
    inode.init_security(dir, name, |name, value| {
        super::xattr::init_security(inode, name, value)
    })
}

/// Takes back what a further name of `inode` was counted for; its only name is counted with the inode.
fn free_link(inode: &Inode) {
    if inode.nlink() > 1 && !inode.is_dir() {
        inode.super_block().data().free_inode(0);
    }
}

impl DirOperations for Dir {
    type FileSystem = SnapmapFs;

    fn mknod(idmap: &MntIdmap, entry: Entry<'_, SnapmapFs>, mode: u16, dev: u32) -> Result {
        create(idmap, &entry, mode, dev, None)
    }

    fn mkdir(idmap: &MntIdmap, entry: Entry<'_, SnapmapFs>, mode: u16) -> Result {
        create(idmap, &entry, mode, 0, None)?;
        // The entry `..`.
        entry.dir().inc_nlink();
        Ok(())
    }

    fn symlink(idmap: &MntIdmap, entry: Entry<'_, SnapmapFs>, target: &CStr) -> Result {
        create(idmap, &entry, mode::S_IFLNK | 0o777, 0, Some(target))
    }

    fn link(inode: &Locked, entry: Entry<'_, SnapmapFs>) -> Result {
        let sb = inode.super_block().data();
        // The first name, of a file made without one, is counted with the inode.
        let further = inode.nlink() != 0;
        if further {
            sb.reserve_link()?;
        }
        entry.link(inode).inspect_err(|_| {
            if further {
                sb.free_inode(0);
            }
        })?;
        entry.dir().add_size(ENTRY_SIZE);
        Ok(())
    }

    fn unlink(victim: Victim<'_, SnapmapFs>) -> Result {
        free_link(victim.victim());
        victim.dir().add_size(-ENTRY_SIZE);
        victim.unlink();
        Ok(())
    }

    fn rmdir(victim: Victim<'_, SnapmapFs>) -> Result {
        if !victim.is_empty() {
            return Err(Errno::ENOTEMPTY.into());
        }
        // The entries `.` and `..`.
        victim.victim().drop_nlink();
        victim.dir().drop_nlink();
        Self::unlink(victim)
    }

    fn rename<'a>(
        idmap: &MntIdmap,
        old: &Entry<'_, SnapmapFs>,
        new: &'a Target<'_, SnapmapFs>,
        whiteout: bool,
    ) -> Result<Takeover<'a, SnapmapFs>> {
        let inode = old.inode().ok_or(ENOENT)?;
        if !new.is_empty() {
            return Err(Errno::ENOTEMPTY.into());
        }
        let takeover = new.prepare()?;
        if whiteout {
            let shadow = old.shadow()?;
            // CAST: Both are 0.
            let mode = mode::S_IFCHR | bindings::WHITEOUT_MODE as u16;
            create(idmap, &shadow.entry(), mode, bindings::WHITEOUT_DEV, None)?;
        }
        if let Some(victim) = new.victim() {
            free_link(victim);
            new.dir().add_size(-ENTRY_SIZE);
        }
        if inode.is_dir() {
            old.dir().drop_nlink();
            match new.victim() {
                Some(victim) => victim.drop_nlink(),
                None => new.dir().inc_nlink(),
            }
        }
        old.dir().add_size(-ENTRY_SIZE);
        new.dir().add_size(ENTRY_SIZE);
        Ok(takeover)
    }

    fn tmpfile<'a>(idmap: &MntIdmap, dir: &'a Inode, mode: u16) -> Result<New<'a>> {
        let inode = inode::new(idmap, dir.super_block(), Some(dir), mode, 0)?;
        init_security(&inode, dir, None)?;
        acl::create(dir, &inode)?;
        Ok(inode)
    }
}
