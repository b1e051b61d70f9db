// SPDX-License-Identifier: GPL-2.0

//! Error numbers for which the kernel crate has no names.
//!
//! C header: [`include/uapi/asm-generic/errno.h`](srctree/include/uapi/asm-generic/errno.h)

use super::bindings;
use kernel::{error::Error, ffi::c_int};

/// An error number; turns into an [`Error`] with `?` or `into()`.
#[derive(Clone, Copy)]
#[expect(clippy::upper_case_acronyms)]
pub(crate) enum Errno {
    /// File name too long.
    ENAMETOOLONG = bindings::ENAMETOOLONG as isize,
    /// Directory not empty.
    ENOTEMPTY = bindings::ENOTEMPTY as isize,
    /// No data available.
    ENODATA = bindings::ENODATA as isize,
    /// Operation not supported.
    EOPNOTSUPP = bindings::EOPNOTSUPP as isize,
    /// Stale file handle.
    ESTALE = bindings::ESTALE as isize,
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        // CAST: The numbers are small.
        Self::from_errno(-(errno as c_int))
    }
}
