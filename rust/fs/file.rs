// SPDX-License-Identifier: GPL-2.0

//! Placeholder: regular files. Will be replaced.

use super::Inode;
use crate::vfs::placeholder;
use kernel::prelude::*;

/// How many 512-byte blocks a page is.
pub(super) const BLOCKS_PER_PAGE: u64 = (kernel::page::PAGE_SIZE / 512) as u64;

/// What a regular file has.
#[pin_data]
pub(crate) struct FileData {}

impl FileData {
    /// Returns the data of an inode that is not a file yet.
    pub(super) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {}? Error)
    }
}

/// Makes a new inode a regular file.
pub(super) fn init(inode: &Inode) {
    placeholder::init(inode);
}

/// Sets the size of a file. `i_rwsem` is held for writing.
pub(super) fn set_size(inode: &Inode, size: i64) -> Result {
    placeholder::set_size(inode, size);
    Ok(())
}

/// Drops the content of a file that nobody refers to any more.
pub(super) fn evict(_inode: &Inode) {}

/// Returns how many 512-byte blocks a file has.
pub(super) fn blocks(inode: &Inode) -> u64 {
    placeholder::pages(inode) as u64 * BLOCKS_PER_PAGE
}
