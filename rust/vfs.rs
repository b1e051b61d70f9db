// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over the C VFS and memory management. All `unsafe` code of the module lives below here.

pub(crate) mod bindings;
