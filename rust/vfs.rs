// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over the C VFS and memory management. All `unsafe` code of the module lives below here.

pub(crate) mod address_space;
pub(crate) mod bindings;
pub(crate) mod file;
pub(crate) mod folio;
pub(crate) mod rwlock;
pub(crate) mod rwsem;
pub(crate) mod task;
pub(crate) mod vma;
