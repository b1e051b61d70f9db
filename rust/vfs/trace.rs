// SPDX-License-Identifier: GPL-2.0

//! Tracepoints of the group `snapmapfs`. `rust/trace.h` says what they show.

use super::{
    bindings,
    inode::{
        FileSystem,
        Inode, //
    },
};

/// A snapshot of the pages from `pages.0` to before `pages.1` was taken.
pub(crate) fn snapshot<T: FileSystem>(inode: &Inode<T>, epoch: usize, pages: (usize, usize)) {
    // SAFETY: The inode is valid, and only looked at.
    unsafe { bindings::snapmapfs_trace_snapshot(inode.as_ptr(), epoch, pages.0, pages.1) }
}

/// The last mapping of a snapshot is gone.
pub(crate) fn release<T: FileSystem>(inode: &Inode<T>, epoch: usize, pages: (usize, usize)) {
    // SAFETY: The inode is valid, and only looked at.
    unsafe { bindings::snapmapfs_trace_release(inode.as_ptr(), epoch, pages.0, pages.1) }
}

/// `page` was kept as it was for the epochs after `lo` up to `hi`.
pub(crate) fn preserve<T: FileSystem>(
    inode: &Inode<T>,
    page: usize,
    lo: usize,
    hi: usize,
    hole: bool,
) {
    // SAFETY: The inode is valid, and only looked at.
    unsafe { bindings::snapmapfs_trace_preserve(inode.as_ptr(), page, lo, hi, hole) }
}

/// A fault found a page that was kept.
pub(crate) fn serve<T: FileSystem>(inode: &Inode<T>, page: usize, epoch: usize, hole: bool) {
    // SAFETY: The inode is valid, and only looked at.
    unsafe { bindings::snapmapfs_trace_serve(inode.as_ptr(), page, epoch, hole) }
}
