// SPDX-License-Identifier: GPL-2.0

//! Windows: files that show a part of another file.
//!
//! A window has a dentry of its own, which leads to the inode of the file, and says what part of it is meant: so `fstat`,
//! `ftruncate` and opening `/proc/PID/fd/N` anew find that out, too. `rust/helpers/window.c` makes the dentries.

use super::{
    bindings,
    dentry::Dentry,
    file::{
        File,
        FileOperations,
        FileOps, //
    },
    inode::{
        FileSystem,
        Inode, //
    },
};
use kernel::{
    error::to_result,
    ffi::c_int,
    prelude::*, //
};

/// What part of a file a window shows.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    /// The byte of the file that is the first one of the window.
    pub(crate) start: u64,
    /// The byte after the last one; `None` for the end of the file, wherever that is.
    pub(crate) end: Option<u64>,
}

impl Window {
    /// All of a file.
    pub(crate) const WHOLE: Self = Self {
        start: 0,
        end: None,
    };

    /// The window that C describes, if any.
    ///
    /// # Safety
    ///
    /// `info` has to be null or valid.
    unsafe fn from_raw(info: *const bindings::snapmapfs_window_info) -> Option<Self> {
        // SAFETY: By the function's contract; it is constant.
        let info = unsafe { info.as_ref() }?;
        Some(Self {
            start: u64::try_from(info.start).unwrap_or(0),
            end: u64::try_from(info.end).ok(),
        })
    }
}

impl<F: FileSystem> Dentry<F> {
    /// The window that this stands for, if it is not a name of the file.
    pub(crate) fn window(&self) -> Option<Window> {
        // SAFETY: The dentry is valid, and what is returned lives as long.
        unsafe { Window::from_raw(bindings::window_of(self.as_ptr())) }
    }
}

impl<F: FileSystem> File<F> {
    /// The window that this is, or all of the file.
    pub(crate) fn window(&self) -> Window {
        // SAFETY: The file is open, and what is returned lives as long.
        unsafe { Window::from_raw(bindings::file_window(self.as_ptr())) }.unwrap_or(Window::WHOLE)
    }

    /// Opens `window` on the file that this is open on, or is a window of, with the flags that this has. Its mappings have
    /// the pages of `view`, as a rule, which begin at the byte `origin` of the file, and as many bytes ahead of those of a
    /// page as the window's start is. Returns the new descriptor, which is closed on exec.
    ///
    /// Errors: those of opening the file anew; `EINVAL` if `view` is neither the inode of the file nor an extension of it;
    /// `EMFILE`, `ENOMEM`.
    pub(crate) fn open_window<T: FileOperations<Fs = F>>(
        &self,
        window: Window,
        view: &Inode<F>,
        origin: u64,
    ) -> Result<c_int> {
        const { assert!(T::IS_WINDOW) };
        // SAFETY: The file is open.
        if !core::ptr::eq(view.base().as_ptr(), unsafe { (*self.as_ptr()).f_inode }) {
            return Err(EINVAL);
        }
        let start = i64::try_from(window.start)?;
        let origin = i64::try_from(origin)?;
        let end = match window.end {
            Some(end) => i64::try_from(end)?,
            None => -1,
        };
        // SAFETY: The file is open. The mapping is that of its inode, or of an extension of that, and lives as long; the
        // table is one for windows of the same filesystem.
        let fd = unsafe {
            bindings::window_open(
                self.as_ptr(),
                &start,
                &end,
                view.mapping().as_ptr(),
                &origin,
                FileOps::<T>::table(),
            )
        };
        to_result(fd)?;
        Ok(fd)
    }
}
