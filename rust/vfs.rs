// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over the C VFS and memory management. All `unsafe` code of the module lives below here.
//!
//! Names are those of the C code in Rust case, each in the module of the structure it belongs to. A filesystem
//! implements [`file_system::FileSystem`] and, for its directories, [`inode::DirOperations`].

pub(crate) mod acl;
pub(crate) mod address_space;
pub(crate) mod bindings;
pub(crate) mod dentry;
pub(crate) mod dir;
pub(crate) mod errno;
pub(crate) mod export;
pub(crate) mod extension;
pub(crate) mod file;
pub(crate) mod file_system;
pub(crate) mod folio;
pub(crate) mod fs_context;
pub(crate) mod idmap;
pub(crate) mod inode;
pub(crate) mod memcg;
pub(crate) mod rwlock;
pub(crate) mod rwsem;
pub(crate) mod super_block;
pub(crate) mod sysfs;
pub(crate) mod task;
pub(crate) mod trace;
pub(crate) mod vma;
pub(crate) mod window;
pub(crate) mod work;
pub(crate) mod xattr;
