// SPDX-License-Identifier: GPL-2.0

//! `rust/snapshot.rs` for the host: the same files, with the standard library in place of the kernel.

#![allow(dead_code, unused_imports)]
#![forbid(unsafe_code)]

#[path = "../coverage.rs"]
mod coverage;
#[path = "../store.rs"]
mod store;
mod sys;

pub(crate) use coverage::Builder;
pub(crate) use store::{Claim, Found, Freed, Id, LiveSlot, Slot, Store};

pub(crate) type Epoch = usize;

#[cfg(any(test, feature = "arbitrary"))]
pub mod model;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod threads;
