// SPDX-License-Identifier: GPL-2.0

//! Extended attributes, kept with the inode.
//!
//! Their memory cannot be reclaimed, so it counts as inodes do (see [`SuperData::reserve_xattr`]), by the formula of
//! tmpfs: what they take on top of name and value is taken to be [`OVERHEAD`] bytes.
//!
//! [`SuperData::reserve_xattr`]: super::super_block::SuperData::reserve_xattr

use super::{super_block::SuperData, Inode};
use crate::vfs::{
    errno::Errno,
    xattr::{self, List, SetMode, Value}, //
};
use core::{ffi::CStr, mem};
use kernel::{new_mutex, prelude::*, sync::Mutex, types::ScopeGuard};

/// What an attribute counts for beyond name and value, in bytes.
const OVERHEAD: usize = 40;

/// The prefix of the security modules' attributes.
const SECURITY_PREFIX: &[u8] = b"security.";

/// An attribute.
struct Entry {
    /// The name with prefix and terminating null.
    name: KVec<u8>,
    value: KVVec<u8>,
}

impl Entry {
    /// Copies an attribute. Errors: `ENOMEM`.
    fn new(name: KVec<u8>, value: &[u8]) -> Result<Self> {
        let mut copy = KVVec::new();
        copy.extend_from_slice(value, GFP_KERNEL_ACCOUNT)?;
        Ok(Self { name, value: copy })
    }

    /// Returns what the attribute counts for, in bytes.
    fn space(&self) -> usize {
        space(self.name.len(), self.value.len())
    }
}

/// Returns what an attribute counts for, in bytes: `name` is the length of its name with the terminating null.
fn space(name: usize, value: usize) -> usize {
    name.saturating_sub(1)
        .saturating_add(value)
        .saturating_add(OVERHEAD)
}

/// The extended attributes of an inode.
#[pin_data]
pub(crate) struct Xattrs {
    /// Sorted by name.
    #[pin]
    entries: Mutex<KVVec<Entry>>,
}

impl Xattrs {
    /// Returns an empty set.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            entries <- new_mutex!(KVVec::new(), "Xattrs::entries"),
        })
    }

    /// Removes all attributes of an inode that nobody uses any more, and returns what they counted for.
    ///
    /// Reclaim may come here, under which nobody may wait for this lock: there is nobody to wait for.
    pub(super) fn clear(&self) -> usize {
        let Some(mut entries) = self.entries.try_lock() else {
            return 0;
        };
        let entries = mem::replace(&mut *entries, KVVec::new());
        entries
            .iter()
            .fold(0, |sum: usize, entry| sum.saturating_add(entry.space()))
    }

    /// Reads the attribute `name`.
    ///
    /// Errors: `ENODATA` if there is none, `ERANGE` if there is not room enough.
    pub(super) fn get(&self, name: &CStr, value: Value<'_>) -> Result<usize> {
        let entries = self.entries.lock();
        let entry = find(&entries, name.to_bytes_with_nul())
            .ok()
            .and_then(|index| entries.get(index))
            .ok_or(Errno::ENODATA)?;
        value.fill(&entry.value)
    }

    /// Lists the names, as far as the current task may see them.
    ///
    /// Errors: `ERANGE` if there is not room enough.
    pub(super) fn list(&self, list: &mut List) -> Result {
        let entries = self.entries.lock();
        if entries.is_empty() {
            return Ok(());
        }
        let trusted = xattr::may_list_trusted();
        for entry in entries.iter() {
            let name = CStr::from_bytes_with_nul(&entry.name).map_err(|_| EIO)?;
            let hidden = !trusted && name.to_bytes().starts_with(b"trusted.");
            if !hidden && !xattr::is_maclabel(name) {
                list.add(name)?;
            }
        }
        Ok(())
    }

    /// Sets an attribute, and returns the one that it replaces.
    ///
    /// Errors: `EEXIST`, `ENODATA` by `mode`; `ENOMEM`.
    fn insert(&self, new: Entry, mode: SetMode) -> Result<Option<Entry>> {
        let mut entries = self.entries.lock();
        match find(&entries, &new.name) {
            Ok(_) if mode == SetMode::Create => Err(EEXIST),
            Ok(index) => {
                let entry = entries.get_mut(index).ok_or(EIO)?;
                Ok(Some(mem::replace(entry, new)))
            }
            Err(_) if mode == SetMode::Replace => Err(Errno::ENODATA.into()),
            Err(index) => {
                entries.reserve(1, GFP_KERNEL_ACCOUNT)?;
                entries
                    .insert_within_capacity(index, new)
                    .map_err(|_| EIO)?;
                Ok(None)
            }
        }
    }

    /// Removes an attribute, and returns it.
    ///
    /// Errors: `EEXIST`, `ENODATA` by `mode`.
    fn remove(&self, name: &CStr, mode: SetMode) -> Result<Option<Entry>> {
        let mut entries = self.entries.lock();
        match find(&entries, name.to_bytes_with_nul()) {
            Ok(_) if mode == SetMode::Create => Err(EEXIST),
            Ok(index) => Ok(Some(entries.remove(index).map_err(|_| EIO)?)),
            Err(_) if mode == SetMode::Replace => Err(Errno::ENODATA.into()),
            Err(_) => Ok(None),
        }
    }
}

/// Looks up a name, with terminating null, or the place where it would be.
fn find(entries: &[Entry], name: &[u8]) -> Result<usize, usize> {
    entries.binary_search_by(|entry| entry.name.as_slice().cmp(name))
}

/// Counts an attribute and sets it; what it replaces is no longer counted.
fn charge_and_insert(inode: &Inode, new: Entry, mode: SetMode) -> Result<Option<Entry>> {
    let sb: &SuperData = inode.super_block().data();
    let space = new.space();
    sb.reserve_xattr(space)?;
    let charge = ScopeGuard::new(|| sb.free_xattr(space));
    let old = inode.data().xattrs().insert(new, mode)?;
    charge.dismiss();
    Ok(old)
}

/// Sets the attribute `name` of an inode, or removes it if there is no value.
///
/// Errors: `EEXIST`, `ENODATA` by `mode`; `ENOSPC` if there are too many, `ENOMEM`.
pub(super) fn set(inode: &Inode, name: &CStr, value: Option<&[u8]>, mode: SetMode) -> Result {
    let old = match value {
        Some(value) => {
            let mut copy = KVec::new();
            copy.extend_from_slice(name.to_bytes_with_nul(), GFP_KERNEL_ACCOUNT)?;
            charge_and_insert(inode, Entry::new(copy, value)?, mode)?
        }
        None => inode.data().xattrs().remove(name, mode)?,
    };
    if let Some(old) = old {
        inode.super_block().data().free_xattr(old.space());
    }
    inode.set_ctime_current();
    inode.inc_iversion();
    Ok(())
}

/// Gives a new inode an attribute of a security module; `name` has no prefix.
///
/// Errors: `ENOSPC` if there are too many, `ENOMEM`.
pub(super) fn init_security(inode: &Inode, name: &CStr, value: &[u8]) -> Result {
    let mut full = KVec::new();
    full.extend_from_slice(SECURITY_PREFIX, GFP_KERNEL_ACCOUNT)?;
    full.extend_from_slice(name.to_bytes_with_nul(), GFP_KERNEL_ACCOUNT)?;
    charge_and_insert(inode, Entry::new(full, value)?, SetMode::Create)?;
    Ok(())
}
