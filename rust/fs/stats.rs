// SPDX-License-Identifier: GPL-2.0

//! What the snapshots of a superblock have cost: `/sys/fs/snapmapfs/MAJOR:MINOR/`.

use super::super_block::SuperData;
use crate::vfs::sysfs::Attribute;
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// A number that is counted up and, for some, down. It wraps.
pub(crate) struct Counter(Atomic<usize>);

impl Counter {
    const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Counts `n` more.
    #[inline]
    pub(crate) fn add(&self, n: usize) {
        self.0.add(n, Relaxed);
    }

    /// Counts `n` less.
    #[inline]
    pub(crate) fn sub(&self, n: usize) {
        self.0.add(n.wrapping_neg(), Relaxed);
    }

    /// The number at the moment.
    pub(crate) fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// The counters of a superblock. None of them is touched where no snapshot is concerned.
pub(crate) struct Stats {
    /// Preserved pages that exist; they are part of what `size=` limits.
    pub(crate) preserved_pages: Counter,
    /// Snapshots that exist.
    pub(crate) snapshots: Counter,
    /// How often a file had changed since its last snapshot when the next was taken.
    pub(crate) epochs: Counter,
    /// Pages that were copied before they changed.
    pub(crate) pages_copied: Counter,
    /// Pages that truncate and the like gave to snapshots without a copy.
    pub(crate) pages_given: Counter,
    /// How often pages were taken out of page tables, to change them or for a new snapshot.
    pub(crate) unmaps: Counter,
    /// Pages that were copied when a snapshot was taken because somebody may have pinned them. Part of `pages_copied`.
    pub(crate) eager_copies: Counter,
    /// Changes that failed because there was no space to preserve a page.
    pub(crate) enospc: Counter,
}

impl Stats {
    /// All zero.
    pub(crate) const fn new() -> Self {
        Self {
            preserved_pages: Counter::new(),
            snapshots: Counter::new(),
            epochs: Counter::new(),
            pages_copied: Counter::new(),
            pages_given: Counter::new(),
            unmaps: Counter::new(),
            eager_copies: Counter::new(),
            enospc: Counter::new(),
        }
    }
}

/// The files in the directory of a superblock, in the order of [`show`].
pub(super) static ATTRIBUTES: [Attribute; 9] = [
    Attribute::new(c"live_pages"),
    Attribute::new(c"preserved_pages"),
    Attribute::new(c"snapshots"),
    Attribute::new(c"epochs"),
    Attribute::new(c"pages_copied"),
    Attribute::new(c"pages_given"),
    Attribute::new(c"unmaps"),
    Attribute::new(c"eager_copies"),
    Attribute::new(c"enospc"),
];

/// What the file `index` of [`ATTRIBUTES`] shows. The numbers change while they are read, each by itself.
pub(super) fn show(data: &SuperData, index: usize) -> usize {
    let stats = &data.stats;
    let preserved = stats.preserved_pages.get();
    match index {
        0 => data.space.used().saturating_sub(preserved),
        1 => preserved,
        2 => stats.snapshots.get(),
        3 => stats.epochs.get(),
        4 => stats.pages_copied.get(),
        5 => stats.pages_given.get(),
        6 => stats.unmaps.get(),
        7 => stats.eager_copies.get(),
        _ => stats.enospc.get(),
    }
}
