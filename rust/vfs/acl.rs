// SPDX-License-Identifier: GPL-2.0

//! POSIX access control lists, kept with the inode as long as that is in memory, as `simple_set_acl` does.
//!
//! C header: [`include/linux/posix_acl.h`](srctree/include/linux/posix_acl.h)

use super::{
    bindings,
    dentry::LockedDentry,
    file_system::FileSystem,
    idmap::MntIdmap,
    inode::{Inode, Locked, New}, //
};
use core::ptr;
use kernel::{
    error::{from_result, to_result},
    ffi::c_int,
    prelude::*, //
};

/// A reference to a list, or to none.
///
/// # Invariants
///
/// The pointer is null, or one reference to the list is ours.
struct Acl(*mut bindings::posix_acl);

impl Drop for Acl {
    fn drop(&mut self) {
        // SAFETY: By the type invariants; null is fine.
        unsafe { bindings::posix_acl_release(self.0) }
    }
}

/// Gives a new inode the lists that it inherits from `dir`, and the mode that follows (`simple_acl_create`).
///
/// Errors: `ENOMEM`.
pub(crate) fn create<T: FileSystem>(dir: &Inode<T>, inode: &New<'_, T>) -> Result {
    let mut default = ptr::null_mut();
    let mut access = ptr::null_mut();
    // SAFETY: The inodes are live, nobody else can see the new one, whose mode this changes, and the other pointers are to
    // variables of ours.
    to_result(unsafe {
        bindings::posix_acl_create(
            dir.as_ptr(),
            &raw mut (*inode.as_ptr()).i_mode,
            &mut default,
            &mut access,
        )
    })?;
    // INVARIANT: `posix_acl_create` returned a reference to each, if any.
    let (default, access) = (Acl(default), Acl(access));
    // SAFETY: The inode is live; the cache takes references of its own. CAST: Small numbers.
    unsafe {
        bindings::set_cached_acl(
            inode.as_ptr(),
            bindings::ACL_TYPE_DEFAULT as c_int,
            default.0,
        );
        bindings::set_cached_acl(inode.as_ptr(), bindings::ACL_TYPE_ACCESS as c_int, access.0);
    }
    Ok(())
}

/// Adapts the list of an inode whose mode is about to become `mode` (`posix_acl_chmod`).
///
/// Errors: `ENOMEM`; then nothing has changed.
pub(crate) fn chmod<T: FileSystem>(
    idmap: &MntIdmap,
    dentry: &LockedDentry<'_, T>,
    mode: u16,
) -> Result {
    let dentry = dentry.dentry().as_ptr();
    // SAFETY: All objects are live, and the inode of the dentry is locked.
    to_result(unsafe { bindings::posix_acl_chmod(idmap.as_ptr(), dentry, mode) })
}

/// Sets a list, and the mode that follows from it (`simple_set_acl`).
///
/// # Safety
///
/// `inode_operations.set_acl`: `dentry` has an inode of `T`, which is locked for writing; `acl` is null or a list.
pub(super) unsafe extern "C" fn set_acl_callback<T: FileSystem>(
    idmap: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    acl: *mut kernel::bindings::posix_acl,
    kind: c_int,
) -> c_int {
    // SAFETY: By the function's contract.
    let inode = unsafe { Locked::<T>::from_raw((*dentry).d_inode) };
    let mut acl = acl.cast::<bindings::posix_acl>();
    from_result(|| {
        // CAST: A small number.
        if kind == bindings::ACL_TYPE_ACCESS as c_int {
            // SAFETY: All objects are live, and the lock allows to change the mode. The list may be replaced by
            // null if the mode says it all; the reference is the caller's either way.
            to_result(unsafe {
                bindings::posix_acl_update_mode(
                    idmap,
                    inode.as_ptr(),
                    &raw mut (*inode.as_ptr()).i_mode,
                    &mut acl,
                )
            })?;
        }
        inode.set_ctime_current();
        inode.inc_iversion();
        // SAFETY: The inode is live; the cache takes a reference of its own.
        unsafe { bindings::set_cached_acl(inode.as_ptr(), kind, acl) };
        Ok(0)
    })
}
