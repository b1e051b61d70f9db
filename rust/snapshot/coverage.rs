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

/// Builds a [`Coverage`] from mappings in the order of their first page.
pub(crate) struct Builder {
    limit: (usize, usize),
    first: usize,
    end: usize,
    pieces: List<(usize, usize)>,
}

impl Builder {
    /// Starts with nothing; what lies outside of `limit` will be ignored.
    pub(crate) const fn new(limit: (usize, usize)) -> Self {
        Self {
            limit,
            first: 0,
            end: 0,
            pieces: List::new(),
        }
    }

    /// Adds the pages from `first` to before `end`. No earlier call had a larger `first`.
    ///
    /// Where memory is short the result covers more than what was added, never less.
    pub(crate) fn add(&mut self, first: usize, end: usize) {
        let first = first.max(self.limit.0);
        let end = end.min(self.limit.1);
        if first >= end {
            return;
        }
        if self.first == self.end {
            self.first = first;
        }
        self.end = self.end.max(end);
        match self.pieces.last_mut() {
            Some(last) if first <= last.1 => last.1 = last.1.max(end),
            _ => {
                if self.pieces.push((first, end)).is_err() {
                    if let Some(last) = self.pieces.last_mut() {
                        last.1 = last.1.max(end);
                    }
                }
            }
        }
    }

    /// Returns what was added.
    pub(crate) fn finish(self) -> Coverage {
        Coverage {
            first: self.first,
            end: self.end,
            pieces: self.pieces,
            stale: false,
        }
    }
}
