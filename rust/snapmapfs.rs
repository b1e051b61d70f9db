// SPDX-License-Identifier: GPL-2.0

//! snapmapfs: an in-memory filesystem whose private mappings are snapshots.

use kernel::prelude::*;

mod fs;
mod snapshot;
mod vfs;

module! {
    type: SnapmapFsModule,
    name: "snapmapfs",
    authors: ["The snapmapfs developers"],
    description: "In-memory filesystem whose private mappings are snapshots",
    license: "GPL",
    alias: ["fs-snapmapfs"],
}

/// What the module has while it is loaded.
#[pin_data]
struct SnapmapFsModule {
    #[pin]
    registration: vfs::file_system::Registration<fs::SnapmapFs>,
}

impl kernel::InPlaceModule for SnapmapFsModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            registration <- vfs::file_system::Registration::new(module),
        })
    }
}
