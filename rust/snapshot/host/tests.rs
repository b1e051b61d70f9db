// SPDX-License-Identifier: GPL-2.0

//! The store against a naive model: a full copy of the file for every snapshot.

use super::{
    Builder,
    Claim,
    Found,
    Freed,
    Id,
    LiveSlot,
    Slot,
    Store, //
};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    rc::Rc, //
};

const PAGES: usize = 12;

/// What a page holds: its number of changes, 0 for a hole.
type Content = u64;

/// The protocol around the store, without concurrency: a file with stamps as `fs/snapshots.rs` keeps them.
struct File {
    store: Store<Rc<Content>, ()>,
    epoch: usize,
    modified: bool,
    live: [Content; PAGES],
    stamp: [usize; PAGES],
    changes: u64,
    /// For each snapshot what it has to show, and which pages it still maps.
    snapshots: BTreeMap<usize, (Id, [Content; PAGES], [bool; PAGES])>,
    serial: usize,
    copies: usize,
    /// Whether a coverage ever had more pieces than the list of the host holds, so that it was rounded up.
    rounded: bool,
}

impl File {
    fn new() -> Self {
        Self {
            store: Store::new(),
            epoch: 1,
            modified: false,
            live: [0; PAGES],
            stamp: [0; PAGES],
            changes: 0,
            snapshots: BTreeMap::new(),
            serial: 0,
            copies: 0,
            rounded: false,
        }
    }

    fn take(&mut self, first: usize, end: usize) {
        if self.modified {
            self.epoch += 1;
            self.modified = false;
        }
        let id = self
            .store
            .insert(self.epoch, first, end, (), LiveSlot::new());
        let mut maps = [false; PAGES];
        maps[first..end].fill(true);
        self.serial += 1;
        self.snapshots.insert(self.serial, (id, self.live, maps));
    }

    fn refresh(&mut self, id: Id) {
        let maps = self.snapshots.values().find(|s| s.0 == id).unwrap().2;
        let mut coverage = Builder::new();
        for (page, _) in maps.iter().enumerate().filter(|(_, maps)| **maps) {
            coverage.add(page, page + 1);
        }
        let pieces = (0..PAGES).filter(|p| maps[*p] && (*p == 0 || !maps[*p - 1]));
        self.rounded |= pieces.count() > 3;
        self.store.refresh(id, &coverage);
    }

    fn refresh_all(&mut self) {
        let mut next = self.store.begin_refresh(None);
        while next.is_some() {
            next = self.store.begin_refresh(next);
        }
        for page in 0..PAGES {
            for (id, _, maps) in self.snapshots.values() {
                if maps[page] {
                    self.store.see(*id, page, page + 1);
                    let pieces = (0..PAGES).filter(|p| maps[*p] && (*p == 0 || !maps[*p - 1]));
                    self.rounded |= pieces.count() > 3;
                }
            }
        }
        let mut next = self.store.end_refresh(None);
        while next.is_some() {
            next = self.store.end_refresh(next);
        }
        assert!(!self.store.is_stale());
    }

    /// Changes a page to `content`, after the old one was kept for those who need it.
    fn change(&mut self, page: usize, content: Option<Content>) {
        self.modified = true;
        if self.store.newest() != 0 && self.stamp[page] != self.epoch {
            loop {
                let lo = self.stamp[page].max(self.store.settled(page));
                match self.store.claim(page, lo) {
                    Claim::Nobody => break,
                    Claim::Stale => self.refresh_all(),
                    Claim::By(owner) => {
                        let old = match self.live[page] {
                            0 => Found::Hole,
                            c => {
                                self.copies += 1;
                                Found::Page(Rc::new(c))
                            }
                        };
                        self.store
                            .file(page, lo, self.epoch, old, owner, Slot::new());
                        break;
                    }
                }
            }
            self.stamp[page] = self.epoch;
        }
        self.changes += 1;
        self.live[page] = content.map_or(0, |_| self.changes);
    }

    /// Migration or truncation lose the stamp.
    fn lose_stamp(&mut self, page: usize) {
        self.stamp[page] = 0;
    }

    fn nth(&self, n: usize) -> Option<usize> {
        let count = self.snapshots.len();
        (count != 0).then(|| *self.snapshots.keys().nth(n % count).unwrap())
    }

    fn drop_nth(&mut self, n: usize) {
        let Some(key) = self.nth(n) else { return };
        let id = self.snapshots.remove(&key).unwrap().0;
        self.store.retire(id);
        loop {
            let mut freed = Freed::new();
            if self.store.drain(id, &mut freed) {
                break;
            }
        }
    }

    fn unmap(&mut self, n: usize, first: usize, end: usize) {
        let Some(key) = self.nth(n) else { return };
        let (id, _, maps) = self.snapshots.get_mut(&key).unwrap();
        let id = *id;
        maps[first..end].fill(false);
        if !maps.iter().any(|m| *m) {
            return self.drop_nth(n);
        }
        self.store.mark_stale(id);
        if self.store.count() == 0 {
            return;
        }
        self.refresh(id);
        let (mut next, mut shared) = (first, false);
        while !self
            .store
            .strip(id, &mut next, end, &mut shared, &mut Freed::new())
        {}
        if shared {
            while !self.store.disown(id, &mut Freed::new()) {}
        }
    }

    fn check(&self) {
        let mut needed = std::collections::BTreeSet::new();
        for (id, shows, maps) in self.snapshots.values() {
            for page in 0..PAGES {
                let found = self.store.lookup(page, id.epoch);
                if !maps[page] {
                    continue;
                }
                let seen = match &found {
                    Some(Found::Page(p)) => **p,
                    Some(Found::Hole) => 0,
                    None => self.live[page],
                };
                assert_eq!(seen, shows[page], "page {page} of {id:?}");
                assert_eq!(self.store.any(page, page, id.epoch), found.is_some());
                if let Some(Found::Page(p)) = found {
                    needed.insert((page, Rc::as_ptr(&p) as usize));
                }
            }
            for first in 0..PAGES {
                for last in first..PAGES {
                    let any = (first..=last).any(|p| self.store.lookup(p, id.epoch).is_some());
                    assert_eq!(self.store.any(first, last, id.epoch), any);
                }
            }
        }
        // Nothing is kept in vain.
        assert!(self.store.pages() >= needed.len());
        if !self.rounded {
            assert_eq!(self.store.pages(), needed.len());
        }
        if self.snapshots.is_empty() {
            assert_eq!(self.store.count(), 0);
            assert_eq!(self.store.newest(), 0);
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Take(usize, usize),
    Write(usize),
    Punch(usize),
    LoseStamp(usize),
    Drop(usize),
    Unmap(usize, usize, usize),
}

fn range() -> impl Strategy<Value = (usize, usize)> {
    (0..PAGES, 1..=PAGES).prop_map(|(a, n)| (a, (a + n).min(PAGES)))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => range().prop_map(|(a, b)| Op::Take(a, b)),
        8 => (0..PAGES).prop_map(Op::Write),
        2 => (0..PAGES).prop_map(Op::Punch),
        1 => (0..PAGES).prop_map(Op::LoseStamp),
        2 => any::<usize>().prop_map(Op::Drop),
        2 => (any::<usize>(), range()).prop_map(|(n, (a, b))| Op::Unmap(n, a, b)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 300 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn like_full_copies(ops in prop::collection::vec(op(), 0..120)) {
        let mut file = File::new();
        for op in ops {
            match op {
                Op::Take(a, b) => file.take(a, b),
                Op::Write(p) => file.change(p, Some(0)),
                Op::Punch(p) => file.change(p, None),
                Op::LoseStamp(p) => file.lose_stamp(p),
                Op::Drop(n) => file.drop_nth(n),
                Op::Unmap(n, a, b) => file.unmap(n, a, b),
            }
            file.check();
        }
        while !file.snapshots.is_empty() {
            file.drop_nth(0);
            file.check();
        }
    }
}

#[test]
fn one_copy_for_many_snapshots() {
    let mut file = File::new();
    file.change(3, Some(0));
    for _ in 0..200 {
        file.take(0, PAGES);
    }
    file.change(3, Some(0));
    file.change(3, Some(0));
    assert_eq!(file.copies, 1);
    assert_eq!(file.store.pages(), 1);
    assert_eq!(file.epoch, 2);
    file.check();
    for _ in 0..199 {
        file.drop_nth(0);
        assert_eq!(file.store.pages(), 1);
    }
    file.drop_nth(0);
    assert_eq!(file.store.pages(), 0);
}

#[test]
fn generations_share_what_did_not_change() {
    let mut file = File::new();
    for page in 0..PAGES {
        file.change(page, Some(0));
    }
    // Ten generations between which only page 0 changes, then page 1 once: one copy of page 1 serves them all.
    for _ in 0..10 {
        file.take(0, PAGES);
        file.change(0, Some(0));
    }
    let before = file.copies;
    file.change(1, Some(0));
    assert_eq!(file.copies, before + 1);
    file.check();
}

#[test]
fn partial_unmap_frees_at_once() {
    let mut file = File::new();
    for page in 0..PAGES {
        file.change(page, Some(0));
    }
    file.take(0, PAGES);
    for page in 0..PAGES {
        file.change(page, Some(0));
    }
    assert_eq!(file.store.pages(), PAGES);
    file.unmap(0, 4, 6);
    assert_eq!(file.store.pages(), PAGES - 2);
    file.check();
}

#[test]
fn more_versions_than_a_batch() {
    let mut file = File::new();
    for page in 0..PAGES {
        file.change(page, Some(0));
    }
    for _ in 0..20 {
        file.take(0, PAGES);
        for page in 0..PAGES {
            file.change(page, Some(0));
        }
    }
    file.check();
    for _ in 0..20 {
        file.drop_nth(7);
        file.check();
    }
    assert_eq!(file.store.pages(), 0);
}

/// What becomes stale in the middle of a refresh, after its mappings were looked at, keeps its coverage.
#[test]
fn stale_in_the_middle_of_a_refresh() {
    let mut file = File::new();
    file.change(3, Some(0));
    file.take(0, PAGES);
    let id = file.snapshots.values().next().unwrap().0;
    assert!(file.store.begin_refresh(None).is_none());
    file.store.see(id, 0, PAGES);
    file.store.mark_stale(id);
    assert!(file.store.end_refresh(None).is_none());
    assert!(file.store.covers(id, 3));
    assert!(file.store.is_stale());
    file.change(3, Some(0));
    file.check();
}

#[test]
fn nodes_are_small() {
    // A node of the kernel's tree has three words of links besides.
    let words = std::mem::size_of::<super::store::Version<Rc<Content>>>() + 16;
    assert!(words + 24 <= 64, "{words}");
}
