// SPDX-License-Identifier: GPL-2.0

//! Epochs, live snapshots and preserved pages of one file, in safe Rust and without the VFS.
//!
//! The same files build on the host (`rust/snapshot/Cargo.toml`), where `cargo test` runs them against a naive model.
//! What they need of the kernel is in [`sys`]: an ordered map and a source of memory for its nodes.

mod coverage;
mod store;
mod sys;

pub(crate) use coverage::Builder;
pub(crate) use store::{
    Claim,
    Found,
    Freed,
    Id,
    LiveSlot,
    Slot,
    Store, //
};

/// A period in the life of a file; see [`Store`]. Zero is before every epoch.
///
/// It has the width of `folio->private`, where the stamp of a live folio is kept.
pub(crate) type Epoch = usize;
