// SPDX-License-Identifier: GPL-2.0

//! User and group ids, and how a mount maps them.
//!
//! C headers: [`include/linux/mnt_idmapping.h`](srctree/include/linux/mnt_idmapping.h) and
//! [`include/linux/uidgid.h`](srctree/include/linux/uidgid.h)

use super::bindings;
use kernel::types::Opaque;

/// The id mapping of a mount (`struct mnt_idmap`).
///
/// It is only ever handed on to the C functions that apply it.
#[repr(transparent)]
pub(crate) struct MntIdmap(Opaque<bindings::mnt_idmap>);

impl MntIdmap {
    /// Returns the mapping that `ptr` points at.
    ///
    /// # Safety
    ///
    /// `ptr` must point at an id mapping that stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::mnt_idmap) -> &'a Self {
        // SAFETY: The caller guarantees a live object for `'a`; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    /// Returns the mapping that maps every id to itself (`nop_mnt_idmap`).
    pub(crate) fn nop() -> &'static Self {
        // SAFETY: `nop_mnt_idmap` is a variable of the kernel, never freed, and never accessed but by C.
        unsafe { Self::from_raw(&raw mut bindings::nop_mnt_idmap) }
    }

    /// Returns the C object.
    pub(super) fn as_ptr(&self) -> *mut bindings::mnt_idmap {
        self.0.get()
    }
}

/// A user id of the kernel (`kuid_t`).
///
/// The kernel crate's `Kuid` passes the structure by value to C, which is not portable (see `helpers.c`).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Kuid(u32);

/// A group id of the kernel (`kgid_t`).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Kgid(u32);

impl Kuid {
    /// The superuser of the initial user namespace.
    pub(crate) const GLOBAL_ROOT: Self = Self(0);

    /// Wraps the value inside a `kuid_t`.
    pub(super) const fn from_raw(val: u32) -> Self {
        Self(val)
    }

    /// Returns the C value.
    pub(super) const fn into_raw(self) -> bindings::kuid_t {
        bindings::kuid_t { val: self.0 }
    }

    /// Returns the user on whose behalf the current task accesses files.
    pub(crate) fn current_fsuid() -> Self {
        let mut uid = Self::GLOBAL_ROOT.into_raw();
        // SAFETY: `uid` may be written for the duration of the call.
        unsafe { bindings::current_fsuid(&mut uid) };
        Self(uid.val)
    }

    /// Returns the id as the initial user namespace shows it.
    pub(crate) fn munged(self) -> u32 {
        // SAFETY: The pointer is valid for the duration of the call.
        unsafe { bindings::kuid_munged(&self.into_raw()) }
    }
}

impl Kgid {
    /// The superuser's group of the initial user namespace.
    pub(crate) const GLOBAL_ROOT: Self = Self(0);

    /// Wraps the value inside a `kgid_t`.
    pub(super) const fn from_raw(val: u32) -> Self {
        Self(val)
    }

    /// Returns the C value.
    pub(super) const fn into_raw(self) -> bindings::kgid_t {
        bindings::kgid_t { val: self.0 }
    }

    /// Returns the group on whose behalf the current task accesses files.
    pub(crate) fn current_fsgid() -> Self {
        let mut gid = Self::GLOBAL_ROOT.into_raw();
        // SAFETY: `gid` may be written for the duration of the call.
        unsafe { bindings::current_fsgid(&mut gid) };
        Self(gid.val)
    }

    /// Returns the id as the initial user namespace shows it.
    pub(crate) fn munged(self) -> u32 {
        // SAFETY: The pointer is valid for the duration of the call.
        unsafe { bindings::kgid_munged(&self.into_raw()) }
    }
}
