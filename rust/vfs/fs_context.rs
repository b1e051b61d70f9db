// SPDX-License-Identifier: GPL-2.0

//! Mount options, and mounting and remounting with them.
//!
//! C headers: [`include/linux/fs_context.h`](srctree/include/linux/fs_context.h) and
//! [`include/linux/fs_parser.h`](srctree/include/linux/fs_parser.h)

use super::{
    bindings,
    file_system::FileSystem,
    idmap::{Kgid, Kuid},
    super_block::{self, SuperBlock}, //
};
use core::{ffi::CStr, mem::MaybeUninit, ptr};
use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*,
    str::as_char_ptr_in_const_context,
    types::{ForeignOwnable, Opaque}, //
};

/// A mount, or remount, in the making (`struct fs_context`).
#[repr(transparent)]
pub(crate) struct FsContext(Opaque<bindings::fs_context>);

impl FsContext {
    /// Returns the context that `ptr` points at.
    ///
    /// # Safety
    ///
    /// `ptr` must point at a context that stays alive for `'a`.
    unsafe fn from_raw<'a>(ptr: *mut bindings::fs_context) -> &'a Self {
        // SAFETY: The caller guarantees a live object for `'a`; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    fn as_ptr(&self) -> *mut bindings::fs_context {
        self.0.get()
    }

    /// Leaves `message` in the context's log, or the kernel's, and returns `EINVAL`.
    pub(crate) fn invalid(&self, message: &CStr) -> Error {
        // SAFETY: The context is live and `message` a string.
        unsafe { bindings::invalfc(self.as_ptr(), message.as_char_ptr()) };
        EINVAL
    }

    /// Looks an option up in `specs` and converts its value.
    ///
    /// Errors: `ENOPARAM` if it is not there, `EINVAL` with a message if it has a bad value, or none.
    pub(crate) fn parse(&self, specs: &'static [Spec], param: &Parameter) -> Result<Parsed> {
        if !Spec::is_terminated(specs) {
            return Err(EINVAL);
        }
        let mut result = MaybeUninit::<bindings::fs_parse_result>::zeroed();
        // SAFETY: All objects are live. `specs` ends with `Spec::END`, as is checked here.
        let opt = unsafe {
            bindings::__fs_parse(
                &raw mut (*self.as_ptr()).log,
                specs.as_ptr().cast(),
                param.0.get(),
                result.as_mut_ptr(),
            )
        };
        if opt < 0 {
            return Err(Error::from_errno(opt));
        }
        Ok(Parsed {
            id: u8::try_from(opt)?,
            // SAFETY: All members of the union start at the same place, and it was zeroed: whatever is there is a
            // number.
            value: unsafe {
                (&raw const (*result.as_ptr()).__bindgen_anon_1)
                    .cast::<u32>()
                    .read()
            },
        })
    }

    /// Returns whether `uid` exists in the user namespace of the mount.
    pub(crate) fn kuid_has_mapping(&self, uid: Kuid) -> bool {
        // SAFETY: The context is live and has a namespace.
        unsafe { bindings::kuid_has_mapping((*self.as_ptr()).user_ns, &uid.into_raw()) }
    }

    /// Returns whether `gid` exists in the user namespace of the mount.
    pub(crate) fn kgid_has_mapping(&self, gid: Kgid) -> bool {
        // SAFETY: The context is live and has a namespace.
        unsafe { bindings::kgid_has_mapping((*self.as_ptr()).user_ns, &gid.into_raw()) }
    }
}

/// An option as it was given (`struct fs_parameter`).
#[repr(transparent)]
pub(crate) struct Parameter(Opaque<bindings::fs_parameter>);

impl Parameter {
    /// Returns the value if it is a string.
    pub(crate) fn string(&self) -> Option<&CStr> {
        let param = self.0.get();
        // SAFETY: The parameter is live, and the type says which member of the union there is.
        unsafe {
            if (*param).type_() != bindings::fs_value_type_fs_value_is_string {
                return None;
            }
            let string = (*param).__bindgen_anon_1.string;
            (!string.is_null()).then(|| CStr::from_char_ptr(string))
        }
    }
}

/// What an option means (`struct fs_parse_result`).
pub(crate) struct Parsed {
    id: u8,
    value: u32,
}

impl Parsed {
    /// Returns the number that the [`Spec`] gave the option.
    pub(crate) fn id(&self) -> u8 {
        self.id
    }

    /// Returns the value of an option with a number, or an id, of 32 bits; for others, the number is meaningless.
    pub(crate) fn uint_32(&self) -> u32 {
        self.value
    }

    /// Returns the value of a [`Spec::uid`].
    pub(crate) fn uid(&self) -> Kuid {
        Kuid::from_raw(self.uint_32())
    }

    /// Returns the value of a [`Spec::gid`].
    pub(crate) fn gid(&self) -> Kgid {
        Kgid::from_raw(self.uint_32())
    }
}

/// An option that a filesystem knows (`struct fs_parameter_spec`).
#[repr(transparent)]
pub(crate) struct Spec(bindings::fs_parameter_spec);

// SAFETY: The pointers are to constants.
unsafe impl Sync for Spec {}

impl Spec {
    /// What a list of options ends with.
    pub(crate) const END: Self = Self(pin_init::zeroed());

    const fn new(name: &'static CStr, id: u8, kind: bindings::fs_param_type) -> Self {
        Self(bindings::fs_parameter_spec {
            name: as_char_ptr_in_const_context(name),
            type_: kind,
            opt: id,
            flags: 0,
            data: ptr::null(),
        })
    }

    /// An option whose value is a string.
    pub(crate) const fn string(name: &'static CStr, id: u8) -> Self {
        Self::new(name, id, Some(bindings::fs_param_is_string))
    }

    /// An option whose value is an octal number.
    pub(crate) const fn u32oct(name: &'static CStr, id: u8) -> Self {
        let mut spec = Self::new(name, id, Some(bindings::fs_param_is_u32));
        spec.0.data = ptr::without_provenance(8);
        spec
    }

    /// An option whose value is a user id.
    pub(crate) const fn uid(name: &'static CStr, id: u8) -> Self {
        Self::new(name, id, Some(bindings::fs_param_is_uid))
    }

    /// An option whose value is a group id.
    pub(crate) const fn gid(name: &'static CStr, id: u8) -> Self {
        Self::new(name, id, Some(bindings::fs_param_is_gid))
    }

    /// Returns whether the last one of `specs` is [`Spec::END`].
    pub(super) const fn is_terminated(specs: &[Self]) -> bool {
        match specs.last() {
            Some(last) => last.0.name.is_null(),
            None => false,
        }
    }
}

/// The table of a filesystem.
struct Operations<T>(T);

impl<T: FileSystem> Operations<T> {
    const TABLE: &'static bindings::fs_context_operations = {
        assert!(Spec::is_terminated(T::PARAMETERS));
        &bindings::fs_context_operations {
            free: Some(free_callback::<T>),
            parse_param: Some(parse_param_callback::<T>),
            get_tree: Some(get_tree_callback::<T>),
            reconfigure: Some(reconfigure_callback::<T>),
            ..pin_init::zeroed()
        }
    };
}

/// Sets up a context.
///
/// # Safety
///
/// `file_system_type.init_fs_context`: `fc` is new and for a type registered for `T`.
pub(super) unsafe extern "C" fn init_callback<T: FileSystem>(
    fc: *mut kernel::bindings::fs_context,
) -> c_int {
    let fc = fc.cast::<bindings::fs_context>();
    from_result(|| {
        let options = KBox::new(T::default_options(), GFP_KERNEL)?;
        // SAFETY: By the function's contract nobody else uses the context; the table is never freed.
        unsafe {
            (*fc).fs_private = options.into_foreign();
            (*fc).ops = Operations::<T>::TABLE;
            (*fc).sb_flags |= bindings::SB_I_VERSION;
        }
        Ok(0)
    })
}

/// Frees the options.
///
/// # Safety
///
/// `fs_context_operations.free`: `fc` is a context of `T` that nobody uses any more.
unsafe extern "C" fn free_callback<T: FileSystem>(fc: *mut bindings::fs_context) {
    // SAFETY: By the function's contract; `fs_private` is null, or what `init_callback` put there.
    drop(unsafe { <KBox<T::Options>>::try_from_foreign((*fc).fs_private) });
}

/// Parses an option.
///
/// # Safety
///
/// `fs_context_operations.parse_param`: `fc` is a context of `T` that the caller has locked; `param` is the caller's.
unsafe extern "C" fn parse_param_callback<T: FileSystem>(
    fc: *mut bindings::fs_context,
    param: *mut bindings::fs_parameter,
) -> c_int {
    // SAFETY: By the function's contract.
    let (fc, param) = unsafe { (FsContext::from_raw(fc), &*param.cast::<Parameter>()) };
    // SAFETY: `init_callback` has set the options, and the context is locked.
    let options = unsafe { <KBox<T::Options>>::borrow_mut((*fc.as_ptr()).fs_private) };
    from_result(|| T::parse_param(fc, options, param).map(|()| 0))
}

/// Makes a superblock.
///
/// # Safety
///
/// `fs_context_operations.get_tree`: `fc` is a context of `T` that the caller has locked.
unsafe extern "C" fn get_tree_callback<T: FileSystem>(fc: *mut bindings::fs_context) -> c_int {
    // SAFETY: By the function's contract.
    unsafe { bindings::get_tree_nodev(fc, Some(super_block::fill_super_callback::<T>)) }
}

/// Remounts.
///
/// # Safety
///
/// `fs_context_operations.reconfigure`: `fc` is a context of `T` that the caller has locked, for a superblock of `T`
/// whose `s_umount` is held for writing.
unsafe extern "C" fn reconfigure_callback<T: FileSystem>(fc: *mut bindings::fs_context) -> c_int {
    // SAFETY: By the function's contract the context has the root of a live superblock.
    let (sb, fc) = unsafe {
        (
            SuperBlock::<T>::from_raw((*(*fc).root).d_sb),
            FsContext::from_raw(fc),
        )
    };
    // SAFETY: `init_callback` has set the options, and the context is locked.
    let options = unsafe { <KBox<T::Options>>::borrow((*fc.as_ptr()).fs_private) };
    from_result(|| T::reconfigure(fc, sb, options).map(|()| 0))
}
