// SPDX-License-Identifier: GPL-2.0

//! Extended attributes.
//!
//! C header: [`include/linux/xattr.h`](srctree/include/linux/xattr.h)

use super::{bindings, file_system::FileSystem, inode::Inode};
use core::{marker::PhantomData, ptr};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_char, c_int, c_void},
    prelude::*,
    str::as_char_ptr_in_const_context, //
};

/// Where the value of an attribute goes.
pub(crate) struct Value<'a> {
    buffer: *mut c_void,
    size: usize,
    _lifetime: PhantomData<&'a mut [u8]>,
}

impl Value<'_> {
    /// Copies `value` to whoever asked, or only its length if that is what was asked for; returns that.
    ///
    /// Errors: `ERANGE` if there is not room enough.
    pub(crate) fn fill(self, value: &[u8]) -> Result<usize> {
        if !self.buffer.is_null() {
            if value.len() > self.size {
                return Err(ERANGE);
            }
            // SAFETY: The buffer has room for `size` bytes, and is nobody else's.
            unsafe { ptr::copy_nonoverlapping(value.as_ptr(), self.buffer.cast(), value.len()) };
        }
        Ok(value.len())
    }
}

/// Which attributes may be set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetMode {
    /// Whether it exists or not.
    Any,
    /// Only one that does not exist (`XATTR_CREATE`).
    Create,
    /// Only one that exists (`XATTR_REPLACE`).
    Replace,
}

impl SetMode {
    fn from_raw(flags: c_int) -> Self {
        // CAST: These are bits.
        let flags = flags as u32;
        // The VFS lets no other bits pass. With both, C code, too, looks at the former in the one case and at the
        // latter in the other; then nothing can be set.
        if flags & bindings::XATTR_CREATE != 0 {
            Self::Create
        } else if flags & bindings::XATTR_REPLACE != 0 {
            Self::Replace
        } else {
            Self::Any
        }
    }
}

/// A list of attributes' names being written.
///
/// # Invariants
///
/// `buffer` is null, for somebody who only wants to know the length, or has room for `remaining` bytes.
pub(crate) struct List {
    buffer: *mut c_char,
    remaining: isize,
    size: isize,
}

impl List {
    /// Writes to `buffer`, which has `size` bytes.
    ///
    /// # Safety
    ///
    /// `buffer` must be null or writable for `size` bytes for as long as the list lives.
    pub(super) unsafe fn from_raw(buffer: *mut c_char, size: usize) -> Self {
        // The VFS allows no more than `XATTR_LIST_MAX`.
        let size = isize::try_from(size).unwrap_or(isize::MAX);
        // INVARIANT: By the function's contract.
        Self {
            buffer,
            remaining: size,
            size,
        }
    }

    /// Returns how many bytes the list has so far.
    pub(super) fn used(&self) -> isize {
        self.size.saturating_sub(self.remaining)
    }

    /// Adds a name.
    ///
    /// Errors: `ERANGE` if there is not room enough.
    pub(crate) fn add(&mut self, name: &CStr) -> Result {
        let bytes = name.to_bytes_with_nul();
        let len = isize::try_from(bytes.len())?;
        if !self.buffer.is_null() {
            if self.remaining < len {
                return Err(ERANGE);
            }
            // SAFETY: By the type invariants and the comparison there is room for the name.
            unsafe {
                ptr::copy_nonoverlapping(bytes.as_ptr().cast(), self.buffer, bytes.len());
                self.buffer = self.buffer.add(bytes.len());
            }
        }
        self.remaining = self.remaining.saturating_sub(len);
        Ok(())
    }

    /// Adds the names of what the VFS keeps for an inode: access control lists, and the security modules' labels.
    ///
    /// Errors: `ERANGE` if there is not room enough, and those of the security modules.
    pub(crate) fn add_system<T: FileSystem>(&mut self, inode: &Inode<T>) -> Result {
        const LISTS: [(u32, &CStr); 2] = [
            (bindings::ACL_TYPE_ACCESS, c"system.posix_acl_access"),
            (bindings::ACL_TYPE_DEFAULT, c"system.posix_acl_default"),
        ];

        for (kind, name) in LISTS {
            // SAFETY: The inode is live; C reads the pointer without a lock. CAST: A small number.
            if unsafe { bindings::has_acl(inode.as_ptr(), kind as c_int) } {
                self.add(name)?;
            }
        }
        // SAFETY: The inode is live. The function advances the buffer by what it takes from `remaining`.
        to_result(unsafe {
            bindings::security_inode_listsecurity(
                inode.as_ptr(),
                &mut self.buffer,
                &mut self.remaining,
            )
        })
    }
}

/// Returns whether the security modules list the attribute `name` (with prefix) by themselves.
pub(crate) fn is_maclabel(name: &CStr) -> bool {
    let Some(suffix) = name.to_bytes_with_nul().strip_prefix(b"security.") else {
        return false;
    };
    // SAFETY: What follows the prefix of a string is a string.
    unsafe { bindings::security_ismaclabel(suffix.as_ptr().cast()) != 0 }
}

/// Returns whether the current task may see attributes in `trusted.`.
pub(crate) fn may_list_trusted() -> bool {
    // CAST: A small number.
    // SAFETY: The initial user namespace is always there.
    unsafe {
        bindings::ns_capable_noaudit(
            &raw mut bindings::init_user_ns,
            bindings::CAP_SYS_ADMIN as c_int,
        )
    }
}

/// The tables of a filesystem.
struct Handlers<T>(T);

impl<T: FileSystem> Handlers<T> {
    const fn handler(prefix: &'static CStr) -> bindings::xattr_handler {
        bindings::xattr_handler {
            prefix: as_char_ptr_in_const_context(prefix),
            get: Some(get_callback::<T>),
            set: Some(set_callback::<T>),
            ..pin_init::zeroed()
        }
    }

    const SECURITY: &'static bindings::xattr_handler = &Self::handler(c"security.");
    const TRUSTED: &'static bindings::xattr_handler = &Self::handler(c"trusted.");
    const USER: &'static bindings::xattr_handler = &Self::handler(c"user.");

    const TABLE: &'static [*const bindings::xattr_handler; 4] =
        &[Self::SECURITY, Self::TRUSTED, Self::USER, ptr::null()];
}

/// Returns the handlers of a filesystem's attributes.
pub(super) fn handlers<T: FileSystem>() -> *const *const bindings::xattr_handler {
    Handlers::<T>::TABLE.as_ptr()
}

/// Returns the name with its prefix.
///
/// # Safety
///
/// The arguments must be those of a handler's callback; the result lives as long as `name`.
unsafe fn full_name<'a>(handler: *const bindings::xattr_handler, name: *const c_char) -> &'a CStr {
    // SAFETY: The VFS passes the part of a string behind the prefix.
    unsafe { CStr::from_char_ptr(bindings::xattr_full_name(handler, name)) }
}

/// # Safety
///
/// `xattr_handler.get`: `inode` is one of `T`'s, `name` what follows the prefix of a string, and `buffer` null or
/// writable for `size` bytes.
unsafe extern "C" fn get_callback<T: FileSystem>(
    handler: *const bindings::xattr_handler,
    _dentry: *mut bindings::dentry,
    inode: *mut bindings::inode,
    name: *const c_char,
    buffer: *mut c_void,
    size: usize,
) -> c_int {
    // SAFETY: By the function's contract.
    let (inode, name) = unsafe { (Inode::<T>::from_raw(inode), full_name(handler, name)) };
    let value = Value {
        buffer,
        size,
        _lifetime: PhantomData,
    };
    from_result(|| {
        let len = T::get_xattr(inode, name, value)?;
        Ok(c_int::try_from(len)?)
    })
}

/// # Safety
///
/// `xattr_handler.set`: `inode` is one of `T`'s, `name` what follows the prefix of a string, and `value` null or
/// readable for `size` bytes.
unsafe extern "C" fn set_callback<T: FileSystem>(
    handler: *const bindings::xattr_handler,
    _idmap: *mut bindings::mnt_idmap,
    _dentry: *mut bindings::dentry,
    inode: *mut bindings::inode,
    name: *const c_char,
    value: *const c_void,
    size: usize,
    flags: c_int,
) -> c_int {
    // SAFETY: By the function's contract.
    let (inode, name) = unsafe { (Inode::<T>::from_raw(inode), full_name(handler, name)) };
    let value = (!value.is_null()).then(|| {
        // SAFETY: By the function's contract.
        unsafe { core::slice::from_raw_parts(value.cast::<u8>(), size) }
    });
    from_result(|| T::set_xattr(inode, name, value, SetMode::from_raw(flags)).map(|()| 0))
}
