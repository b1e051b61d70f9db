// SPDX-License-Identifier: GPL-2.0

//! Which pages of a file the mappings of one snapshot still cover.

use super::sys::List;

/// A set of pages: a range, of which parts may have been unmapped.
///
/// # Invariants
///
/// `pieces` is sorted, its ranges are not empty, do not touch one another and lie within `first..end`. When it is empty
/// the whole of `first..end` is covered.
pub(crate) struct Coverage {
    first: usize,
    end: usize,
    pieces: List<(usize, usize)>,
    stale: bool,
}

impl Coverage {
    /// All pages from `first` to before `end`.
    pub(crate) const fn whole(first: usize, end: usize) -> Self {
        Self {
            first,
            end,
            pieces: List::new(),
            stale: false,
        }
    }

    /// The first page that may be covered, and the one after the last.
    pub(crate) fn hull(&self) -> (usize, usize) {
        (self.first, self.end)
    }

    /// Whether the mappings have changed since the coverage was computed, so that it may be too large.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Leaves only what `seen` has, too: what was lost once is not covered again, although it may be mapped again. If
    /// memory for that is short everything stays covered.
    pub(super) fn shrink(&mut self, seen: &Builder) {
        self.stale = false;
        if seen.failed {
            return;
        }
        let whole = [(self.first, self.end)];
        let old = match self.pieces.as_slice() {
            [] => &whole[..],
            pieces => pieces,
        };
        let mut new = List::new();
        let (mut o, mut n) = (0, 0);
        while let (Some(a), Some(b)) = (old.get(o), seen.pieces.as_slice().get(n)) {
            let piece = (a.0.max(b.0), a.1.min(b.1));
            if piece.0 < piece.1 && new.push(piece).is_err() {
                return;
            }
            if a.1 < b.1 {
                o += 1;
            } else {
                n += 1;
            }
        }
        match new.as_slice() {
            [] => self.end = self.first,
            [first, .., last] => (self.first, self.end) = (first.0, last.1),
            [only] => (self.first, self.end) = *only,
        }
        self.pieces = new;
    }

    /// Notes that some part was unmapped. It is found out which part when it matters.
    pub(crate) fn mark_stale(&mut self) {
        self.stale = true;
    }

    /// Whether `page` is covered.
    pub(crate) fn contains(&self, page: usize) -> bool {
        if page < self.first || page >= self.end {
            return false;
        }
        let pieces = self.pieces.as_slice();
        if pieces.is_empty() {
            return true;
        }
        let after = pieces.partition_point(|piece| piece.0 <= page);
        match after.checked_sub(1).and_then(|i| pieces.get(i)) {
            Some(piece) => page < piece.1,
            None => false,
        }
    }
}

/// The pages of mappings, which are added in the order of their first page.
pub(crate) struct Builder {
    pieces: List<(usize, usize)>,
    failed: bool,
}

impl Builder {
    /// No pages.
    pub(crate) const fn new() -> Self {
        Self {
            pieces: List::new(),
            failed: false,
        }
    }

    /// Adds the pages from `first` to before `end`. No earlier call had a larger `first`.
    pub(crate) fn add(&mut self, first: usize, end: usize) {
        if first >= end {
            return;
        }
        match self.pieces.last_mut() {
            Some(last) if first <= last.1 => last.1 = last.1.max(end),
            _ => self.failed |= self.pieces.push((first, end)).is_err(),
        }
    }

    /// Whether `page` was added, as far as it is known.
    pub(crate) fn contains(&self, page: usize) -> bool {
        let pieces = self.pieces.as_slice();
        let next = pieces.partition_point(|piece| piece.0 <= page);
        self.failed || (pieces[..next].last()).is_some_and(|piece| page < piece.1)
    }
}
