// SPDX-License-Identifier: GPL-2.0

//! Windows: descriptors of a file at another offset.
//!
//! A window has no data of its own. What is read and written through it is read and written in the file, further on;
//! a mapping of it has the pages of the file, further on.

use super::{
    file::{
        self,
        page_of,
        signed,
        unsigned, //
    },
    mmap, views, Inode, SnapmapFs,
};
use crate::vfs::{
    bindings::{
        FALLOC_FL_KEEP_SIZE,
        FALLOC_FL_PUNCH_HOLE,
        SEEK_DATA,
        SEEK_HOLE,
        SNAPMAPFS_IOC_OPEN_WINDOW,
        SNAPMAPFS_WINDOW_BLOCK, //
    },
    file::{
        File,
        FileOperations,
        IovIter,
        Kiocb, //
    },
    folio::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    vma::MmapDesc,
    window::Window,
};
use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// What offset and length are multiples of.
const BLOCK: u64 = SNAPMAPFS_WINDOW_BLOCK as u64;

/// The callbacks of windows.
pub(super) struct Windows;

/// The size of a window on a file of `size` bytes.
pub(super) fn size(window: &Window, size: i64) -> i64 {
    signed(end(window, unsigned(size)).saturating_sub(window.start))
}

/// The byte after the last one that a window shows of a file of `size` bytes.
fn end(window: &Window, size: u64) -> u64 {
    window.end.map_or(size, |end| end.min(size))
}

/// What size a file of `old` bytes gets if a window on it is truncated to `new` bytes.
///
/// Errors: `EINVAL` if the window ends before that, or if the file goes on behind the window; `EFBIG`.
pub(super) fn file_size(window: &Window, old: i64, new: i64) -> Result<i64> {
    if new == size(window, old) {
        return Ok(old);
    }
    let file = unsigned(new).checked_add(window.start).ok_or(EFBIG)?;
    if window
        .end
        .is_some_and(|end| file > end || unsigned(old) > end)
    {
        return Err(EINVAL);
    }
    i64::try_from(file).map_err(|_| EFBIG)
}

/// A command for an open file or window.
pub(super) fn ioctl(file: &File<SnapmapFs>, cmd: u32, arg: usize) -> Result<i32> {
    if cmd != SNAPMAPFS_IOC_OPEN_WINDOW {
        return Err(ENOTTY);
    }
    let mut user = UserSlice::new(UserPtr::from_addr(arg), 24).reader();
    let (offset, length): (u64, u64) = (user.read()?, user.read()?);
    let (flags, reserved): (u32, u32) = (user.read()?, user.read()?);
    if flags != 0 || reserved != 0 {
        return Err(EINVAL);
    }
    let window = within(&file.window(), offset, length)?;
    let base = file.inode().base();
    let view = match page_of(window.start) {
        (_, 0) => base,
        (_, shift) => views::get(base, window.start >> PAGE_SHIFT, shift)?,
    };
    file.open_window::<Windows>(window, view, view.origin())
}

/// The window of `length` bytes from `offset` on of the window `outer`, all of it for 0.
fn within(outer: &Window, offset: u64, length: u64) -> Result<Window> {
    // A block is a power of two, so an end that wraps is none.
    if offset % BLOCK != 0 || length % BLOCK != 0 {
        return Err(EINVAL);
    }
    let limit = outer.end.unwrap_or(i64::MAX.unsigned_abs());
    let start = outer.start.checked_add(offset).ok_or(EINVAL)?;
    let end = start.checked_add(length).ok_or(EINVAL)?;
    if end > limit || (outer.end == Some(start)) {
        return Err(EINVAL);
    }
    Ok(Window {
        start,
        end: if length == 0 { outer.end } else { Some(end) },
    })
}

impl FileOperations for Windows {
    type Fs = SnapmapFs;
    type Windows = Self;
    const IS_WINDOW: bool = true;

    fn read_iter(iocb: &mut Kiocb<'_, SnapmapFs>, to: &mut IovIter) -> Result<usize> {
        let file = iocb.file();
        let window = file.window();
        let pos = unsigned(iocb.pos());
        // Behind what a file can have there is nothing.
        let at = pos.saturating_add(window.start);
        let left = window.end.map_or(u64::MAX, |end| end.saturating_sub(at));
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let ret = to.with_limit(left, |to| file::perform_read(file.inode().base(), at, to));
        if let Ok(read) = ret {
            iocb.set_pos(signed(pos + read as u64));
        }
        file.accessed();
        ret
    }

    fn write_iter(iocb: &mut Kiocb<'_, SnapmapFs>, from: &mut IovIter) -> Result<usize> {
        let file = iocb.file();
        let window = file.window();
        let inode = file.lock();
        let eof = signed(end(&window, unsigned(inode.size())).max(window.start));
        if iocb.write_checks_at(from, signed(window.start), eof)? == 0 {
            return Ok(0);
        }
        let pos = unsigned(iocb.pos());
        let at = pos + window.start;
        if let Some(end) = window.end {
            let left = end.checked_sub(at).filter(|left| *left != 0).ok_or(EFBIG)?;
            from.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        inode.remove_privs()?;
        file.update_time()?;
        let written = file::perform_write(&inode, at, from)?;
        iocb.set_pos(signed(pos + written as u64));
        Ok(written)
    }

    fn llseek(file: &File<SnapmapFs>, offset: i64, whence: i32) -> Result<i64> {
        let inode = file.inode().base();
        let window = file.window();
        let max = inode.max_size() - signed(window.start);
        let data = match u32::try_from(whence) {
            Ok(SEEK_DATA) => true,
            Ok(SEEK_HOLE) => false,
            _ => return file.seek(offset, whence, max, size(&window, inode.size())),
        };
        let pos = u64::try_from(offset).map_err(|_| ENXIO)?;
        let at = pos.checked_add(window.start).ok_or(ENXIO)?;
        let _lock = inode.lock();
        let end = end(&window, unsigned(inode.size()));
        let found = file::seek_hole_data(inode, at, end, data)?;
        file.set_pos(signed(found - window.start), max)
    }

    fn fallocate(file: &File<SnapmapFs>, mode: u32, offset: i64, len: i64) -> Result {
        let window = file.window();
        let start = unsigned(offset).checked_add(window.start).ok_or(EFBIG)?;
        let mut last = start.checked_add(unsigned(len)).ok_or(EFBIG)?;
        if last > unsigned(file.inode().base().max_size()) {
            return Err(EFBIG);
        }
        if let Some(end) = window.end.filter(|end| last > *end) {
            if mode & !FALLOC_FL_KEEP_SIZE != FALLOC_FL_PUNCH_HOLE {
                return Err(EINVAL);
            }
            last = end;
            if start >= last {
                return Ok(());
            }
        }
        file::allocate(file, mode, start, last)
    }

    fn mmap_prepare(
        inode: &Inode,
        file: &File<SnapmapFs>,
        desc: &mut MmapDesc<SnapmapFs>,
    ) -> Result {
        mmap::prepare_window(inode.base(), file, &file.window(), desc, true)
    }

    fn ioctl(file: &File<SnapmapFs>, cmd: u32, arg: usize) -> Result<i32> {
        ioctl(file, cmd, arg)
    }
}

/// The page of `inode`, a file, a segment or a view, after the last one that a mapping of `window` may have.
pub(super) fn pages(window: &Window, inode: &Inode) -> usize {
    match window.end {
        Some(end) => {
            let pages = end
                .saturating_sub(inode.origin())
                .div_ceil(PAGE_SIZE as u64);
            usize::try_from(pages).unwrap_or(usize::MAX)
        }
        None => usize::MAX,
    }
}
