// SPDX-License-Identifier: GPL-2.0

//! Raw C bindings: those of the kernel crate, and what they lack.

#![allow(
    clippy::all,
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    improper_ctypes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports,
    unnecessary_transmutes,
    clippy::undocumented_unsafe_blocks,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::cast_lossless
)]

pub(crate) use kernel::bindings::*;
use kernel::ffi;
use pin_init::MaybeZeroable;

type __kernel_size_t = usize;
type __kernel_ssize_t = isize;

mod generated {
    use super::*;
    include!("../bindings_generated.rs");
}
pub(crate) use generated::*;

// `kernel::bindings` knows these only by name. Pointers from there have to be cast.
pub(crate) use generated::{
    export_operations, fs_context, fs_parameter, fs_parameter_spec, fs_value_type, kstatfs,
    posix_acl,
};

mod helpers {
    use super::*;
    include!("../helpers_generated.rs");
}
pub(crate) use helpers::*;
