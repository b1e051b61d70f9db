// SPDX-License-Identifier: GPL-2.0

//! snapmapfs: an in-memory filesystem whose private mappings are snapshots.

use kernel::prelude::*;

mod vfs;

module! {
    type: SnapmapFs,
    name: "snapmapfs",
    authors: ["The snapmapfs developers"],
    description: "In-memory filesystem whose private mappings are snapshots",
    license: "GPL",
    alias: ["fs-snapmapfs"],
}

struct SnapmapFs;

impl kernel::Module for SnapmapFs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let _ = vfs::bindings::FALLOC_FL_PUNCH_HOLE;
        pr_info!("hello {}\n", vfs::bindings::SNAPMAPFS_MAGIC);
        Ok(Self)
    }
}
