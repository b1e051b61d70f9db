// SPDX-License-Identifier: GPL-2.0

//! Placeholder: page accounting of a superblock. Will be replaced.

use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// The pages that the files of a superblock use.
pub(crate) struct Space {
    used: Atomic<usize>,
    limit: Atomic<usize>,
}

impl Space {
    /// Allows `limit` pages; 0: as many as there are.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            used: Atomic::new(0),
            limit: Atomic::new(limit),
        }
    }

    /// Counts `pages` more. Errors: `ENOSPC`.
    pub(crate) fn charge(&self, pages: usize) -> Result {
        let limit = self.limit();
        let used = self.used.fetch_add(pages, Relaxed).wrapping_add(pages);
        if limit != 0 && used > limit {
            self.uncharge(pages);
            return Err(ENOSPC);
        }
        Ok(())
    }

    /// Counts `pages` less.
    pub(crate) fn uncharge(&self, pages: usize) {
        self.used.fetch_add(pages.wrapping_neg(), Relaxed);
    }

    /// Returns how many pages are used.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Returns how many pages are allowed; 0: no limit.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// Allows `limit` pages; 0: no limit. Does not sleep. Errors: `EINVAL` if more are used.
    pub(crate) fn set_limit(&self, limit: usize) -> Result {
        if limit != 0 && self.used() > limit {
            return Err(EINVAL);
        }
        self.limit.store(limit, Relaxed);
        Ok(())
    }
}
