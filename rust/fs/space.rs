// SPDX-License-Identifier: GPL-2.0

//! The pages of a superblock: `size=` limits live and preserved ones together.
//!
//! A page of a live file is charged exactly if its folio is dirty. Nothing cleans a folio here, and the VM does not take
//! dirty ones out of the page cache, so only this module ends the charge.

use crate::vfs::folio::Folio;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
    },
};

/// Accounts for pages, and holds the one that stands for holes in private mappings.
pub(crate) struct Space {
    used: Atomic<usize>,
    limit: Atomic<usize>,
    zero: ARef<Folio>,
}

impl Space {
    /// Room for `limit` pages, without limit for 0. `ENOMEM`.
    pub(crate) fn new(limit: usize) -> Result<Self> {
        Ok(Self {
            used: Atomic::new(0),
            limit: Atomic::new(limit),
            zero: Folio::zeroed()?,
        })
    }

    /// Charges `pages` pages, or fails with `ENOSPC` and charges nothing.
    #[inline]
    pub(crate) fn charge(&self, pages: usize) -> Result {
        if pages == 0 {
            return Ok(());
        }
        let limit = match self.limit() {
            0 => usize::MAX,
            limit => limit,
        };
        let mut used = self.used.load(Relaxed);
        loop {
            let new = used.checked_add(pages).filter(|new| *new <= limit);
            match self.used.cmpxchg(used, new.ok_or(ENOSPC)?, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => used = now,
            }
        }
    }

    /// Charges pages for something that must not fail for want of space.
    #[inline]
    pub(crate) fn charge_anyway(&self, pages: usize) {
        self.used.add(pages, Relaxed);
    }

    /// Ends a charge.
    #[inline]
    pub(crate) fn uncharge(&self, pages: usize) {
        self.used.fetch_sub(pages, Relaxed);
    }

    /// The pages that are charged.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// The limit in pages, 0 for none.
    #[inline]
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// Changes the limit. `EINVAL` if more is used already.
    pub(crate) fn set_limit(&self, limit: usize) -> Result {
        if limit != 0 && self.used() > limit {
            return Err(EINVAL);
        }
        self.limit.store(limit, Relaxed);
        Ok(())
    }

    /// A page of zeros that nobody writes to, unless it has been mapped so often that its counters may overflow. (They are
    /// negative from 2^31 on, which `fork()` can take them to.)
    pub(crate) fn zero_page(&self) -> Option<ARef<Folio>> {
        let may_grow = (0..i32::MAX / 8).contains(&self.zero.ref_count());
        may_grow.then(|| self.zero.clone())
    }
}
