// SPDX-License-Identifier: GPL-2.0

//! The store, with the protocol around it, against a naive model: a full copy of the file for every snapshot.
//!
//! Whatever happens to a store happens with its lock held. So all that threads can do to it is some order of such steps,
//! and here the order is a part of the test: work that takes several steps is a [`Job`], and other work may come between
//! them unless one of the locks forbids it.

use super::{
    sys,
    Builder,
    Claim,
    Found,
    Freed,
    Id,
    LiveSlot,
    Slot,
    Store, //
};
use std::rc::{
    Rc,
    Weak, //
};

/// More than a batch, so that a snapshot can own more versions than that.
pub const PAGES: usize = 40;

/// As in the store.
const BATCH: usize = 32;

/// What a page holds: the number of the change that made it so, 0 for a hole.
pub(crate) type Content = u64;

/// The first page, and the one after the last.
type Range = (usize, usize);

/// Something to do. All numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Op {
    /// Maps some pages. The file ends `beyond` pages before the mapping does.
    Take { first: u8, len: u8, beyond: u8 },
    /// Changes a page, or makes it a hole.
    Change { page: u8, hole: bool },
    /// The same, in steps.
    Begin { page: u8, hole: bool },
    /// Migration or truncation lose the stamp.
    LoseStamp { page: u8 },
    /// Maps again what a mapping has.
    Fork { snapshot: u8, vma: u8 },
    /// Makes a mapping longer.
    Grow { snapshot: u8, vma: u8, pages: u8 },
    /// Takes a part out of a mapping.
    Unmap {
        snapshot: u8,
        vma: u8,
        first: u8,
        len: u8,
    },
    /// The same, in steps.
    BeginUnmap {
        snapshot: u8,
        vma: u8,
        first: u8,
        len: u8,
    },
    /// Unmaps all of a snapshot.
    Drop { snapshot: u8 },
    /// The same, in steps.
    BeginDrop { snapshot: u8 },
    /// Begins to refresh the coverages.
    BeginRefresh,
    /// Does a step of a job that was begun.
    Step { job: u8 },
    /// Does the rest of it.
    Finish { job: u8 },
}

/// Work with other work between its steps.
enum Job {
    /// S is held for reading, and the page is locked.
    Change {
        page: usize,
        hole: bool,
        made: bool,
    },
    Trim {
        id: Id,
        range: Range,
        state: Trim,
    },
    /// All mappings are gone. The file that stands for them goes later.
    Release {
        id: Id,
        retired: bool,
    },
    /// The mappings are locked.
    Refresh {
        vmas: Vec<(Id, Range)>,
        state: Refresh,
    },
}

enum Trim {
    Mark,
    Refresh { lost: bool },
    Strip { next: usize, shared: bool },
    Disown,
}

enum Refresh {
    Begin(Option<Id>),
    See(usize),
    End(Option<Id>),
}

/// A live snapshot, and what the store should know of it.
pub(crate) struct Snapshot {
    pub(crate) id: Id,
    account: Rc<usize>,
    shows: [Content; PAGES],
    vmas: Vec<Range>,
    covered: [bool; PAGES],
    split: bool,
    stale: bool,
    seen: Option<Vec<Range>>,
}

/// A version that was filed. It may be gone by now.
struct Version {
    page: usize,
    lo: usize,
    hi: usize,
    content: Content,
}

/// A file as `fs/snapshots.rs` keeps it.
pub(crate) struct File {
    pub(crate) store: Store<Rc<Content>, Rc<usize>>,
    pub(crate) epoch: usize,
    modified: bool,
    newest: usize,
    live: [Content; PAGES],
    stamp: [usize; PAGES],
    changes: u64,
    /// In the order in which they were taken.
    pub(crate) snapshots: Vec<Snapshot>,
    versions: Vec<Version>,
    jobs: Vec<Job>,
    /// The pages that were copied.
    pub(crate) copies: usize,
    /// How many coverages were left too large because memory was short.
    rounded: usize,
    /// Whether entries of pages that were unmapped may be left.
    stripped: bool,
    limit: usize,
    pages: Vec<Weak<Content>>,
    accounts: Vec<Weak<usize>>,
}

/// The number of separate ranges in a set of pages.
fn runs(set: &[bool; PAGES]) -> usize {
    (0..PAGES)
        .filter(|p| set[*p] && (*p == 0 || !set[*p - 1]))
        .count()
}

fn union(ranges: &[Range]) -> [bool; PAGES] {
    let mut set = [false; PAGES];
    for (first, end) in ranges {
        set[*first..*end].fill(true);
    }
    set
}

impl Snapshot {
    /// What refreshing its coverage should do.
    fn shrink(&mut self, seen: &[Range], limit: usize) -> bool {
        self.stale = false;
        let seen = union(seen);
        let mut both = self.covered;
        for page in 0..PAGES {
            both[page] &= seen[page];
        }
        if runs(&seen) > limit || runs(&both) > limit {
            return false;
        }
        self.covered = both;
        true
    }
}

impl File {
    /// An empty file. Lists of ranges have room for `limit` of them.
    pub(crate) fn new(limit: usize) -> Self {
        sys::set_limit(limit);
        Self {
            store: Store::new(),
            epoch: 1,
            modified: false,
            newest: 0,
            live: [0; PAGES],
            stamp: [0; PAGES],
            changes: 0,
            snapshots: Vec::new(),
            versions: Vec::new(),
            jobs: Vec::new(),
            copies: 0,
            rounded: 0,
            stripped: false,
            limit,
            pages: Vec::new(),
            accounts: Vec::new(),
        }
    }

    /// Does `op`, and checks everything.
    pub(crate) fn apply(&mut self, op: Op) {
        let page = |page: u8| usize::from(page) % PAGES;
        match op {
            Op::Take { first, len, beyond } => {
                let first = page(first);
                let end = (first + 1 + usize::from(len) % PAGES).min(PAGES);
                let eof = end.saturating_sub(usize::from(beyond));
                self.take(first, end, eof);
            }
            Op::Change { page: p, hole } => self.change(page(p), hole),
            Op::Begin { page: p, hole } => {
                self.begin_change(page(p), hole);
            }
            Op::LoseStamp { page: p } => self.lose_stamp(page(p)),
            Op::Fork { snapshot, vma } => {
                if let Some((n, vma)) = self.nth_vma(snapshot, vma) {
                    self.finish_refresh();
                    let range = self.snapshots[n].vmas[vma];
                    self.snapshots[n].vmas.push(range);
                }
            }
            Op::Grow {
                snapshot,
                vma,
                pages,
            } => {
                if let Some((n, vma)) = self.nth_vma(snapshot, vma) {
                    self.finish_refresh();
                    let end = &mut self.snapshots[n].vmas[vma].1;
                    *end = (*end + usize::from(pages) % PAGES).min(PAGES);
                }
            }
            Op::Unmap {
                snapshot,
                vma,
                first,
                len,
            } => {
                if let Some(job) = self.begin_unmap(snapshot, vma, first, len) {
                    self.finish(job);
                }
            }
            Op::BeginUnmap {
                snapshot,
                vma,
                first,
                len,
            } => {
                self.begin_unmap(snapshot, vma, first, len);
            }
            Op::Drop { snapshot } => {
                if let Some(n) = self.nth(snapshot) {
                    self.drop_nth(n);
                }
            }
            Op::BeginDrop { snapshot } => {
                if let Some(n) = self.nth(snapshot) {
                    self.begin_drop(n);
                }
            }
            Op::BeginRefresh => self.begin_refresh(),
            Op::Step { job } => {
                if !self.jobs.is_empty() {
                    self.step(usize::from(job) % self.jobs.len());
                }
            }
            Op::Finish { job } => {
                if !self.jobs.is_empty() {
                    self.finish(usize::from(job) % self.jobs.len());
                }
            }
        }
        self.check();
        // What nobody needs will not be needed again.
        let versions = core::mem::take(&mut self.versions);
        self.versions = versions.into_iter().filter(|v| self.is_needed(v)).collect();
        self.pages.retain(|page| page.strong_count() != 0);
    }

    /// Ends all that was begun, drops all snapshots, and checks that nothing is left.
    pub(crate) fn end(mut self) {
        self.settle();
        self.check();
        while !self.snapshots.is_empty() {
            // From both ends and the middle.
            let n =
                [0, self.snapshots.len() / 2, self.snapshots.len() - 1][self.snapshots.len() % 3];
            self.drop_nth(n);
            self.check();
        }
        assert_eq!(self.store.count(), 0);
        drop(self.store);
        assert!(self.pages.iter().all(|page| page.strong_count() == 0));
        assert!(self.accounts.iter().all(|a| a.strong_count() == 0));
    }

    /// Ends all that was begun.
    pub(crate) fn settle(&mut self) {
        while !self.jobs.is_empty() {
            self.finish(0);
        }
    }

    /// Maps the pages from `first` to before `end` of a file that ends at `eof`.
    pub(crate) fn take(&mut self, first: usize, end: usize, eof: usize) {
        // S is taken for writing.
        while let Some(job) = self.find(|job| matches!(job, Job::Change { .. })) {
            self.finish(job);
        }
        if self.modified {
            self.epoch += 1;
            self.modified = false;
        }
        let eof = eof.clamp(first, end);
        let account = Rc::new(self.accounts.len());
        self.accounts.push(Rc::downgrade(&account));
        let id = self
            .store
            .insert(self.epoch, first, eof, account.clone(), LiveSlot::new());
        self.newest = self.store.newest();
        let mut covered = [false; PAGES];
        covered[first..eof].fill(true);
        self.snapshots.push(Snapshot {
            id,
            account,
            shows: self.live,
            vmas: vec![(first, end)],
            covered,
            split: false,
            stale: false,
            seen: None,
        });
    }

    /// Changes a page, after the old one was kept for those who need it.
    pub(crate) fn change(&mut self, page: usize, hole: bool) {
        if let Some(job) = self.begin_change(page, hole) {
            self.finish(job);
        }
    }

    fn begin_change(&mut self, page: usize, hole: bool) -> Option<usize> {
        self.unlock(page);
        self.modified = true;
        if self.newest == 0 {
            self.write(page, hole);
            return None;
        }
        if self.stamp[page] == self.epoch || self.newest <= self.stamp[page] {
            self.stamp[page] = self.epoch;
            self.write(page, hole);
            return None;
        }
        self.jobs.push(Job::Change {
            page,
            hole,
            made: false,
        });
        Some(self.jobs.len() - 1)
    }

    fn write(&mut self, page: usize, hole: bool) {
        self.changes += 1;
        self.live[page] = if hole { 0 } else { self.changes };
        // A hole has no page to carry a stamp.
        if hole {
            self.stamp[page] = 0;
        }
    }

    pub(crate) fn lose_stamp(&mut self, page: usize) {
        self.unlock(page);
        self.stamp[page] = 0;
    }

    /// Waits until nobody changes `page`.
    fn unlock(&mut self, page: usize) {
        while let Some(job) =
            self.find(|job| matches!(job, Job::Change { page: other, .. } if *other == page))
        {
            self.finish(job);
        }
    }

    fn nth_vma(&self, snapshot: u8, vma: u8) -> Option<(usize, usize)> {
        let n = self.nth(snapshot)?;
        Some((n, usize::from(vma) % self.snapshots[n].vmas.len()))
    }

    fn begin_unmap(&mut self, snapshot: u8, vma: u8, first: u8, len: u8) -> Option<usize> {
        let (n, vma) = self.nth_vma(snapshot, vma)?;
        let (a, b) = self.snapshots[n].vmas[vma];
        let first = a + usize::from(first).checked_rem(b - a).unwrap_or(0);
        let end = (first + usize::from(len) % (PAGES + 1)).min(b);
        self.unmap(n, vma, (first, end))
    }

    /// Takes `range` out of a mapping. Returns the job that does the rest.
    pub(crate) fn unmap(&mut self, n: usize, vma: usize, range: Range) -> Option<usize> {
        self.finish_refresh();
        let snapshot = &mut self.snapshots[n];
        let (a, b) = snapshot.vmas.swap_remove(vma);
        for rest in [(a, range.0), (range.1, b)] {
            snapshot.split |= rest.0 < rest.1;
            if rest.0 < rest.1 {
                snapshot.vmas.push(rest);
            }
        }
        if snapshot.vmas.is_empty() {
            return Some(self.begin_drop(n));
        }
        self.jobs.push(Job::Trim {
            id: snapshot.id,
            range,
            state: Trim::Mark,
        });
        Some(self.jobs.len() - 1)
    }

    pub(crate) fn drop_nth(&mut self, n: usize) {
        let job = self.begin_drop(n);
        self.finish(job);
    }

    fn begin_drop(&mut self, n: usize) -> usize {
        self.finish_refresh();
        let id = self.snapshots[n].id;
        self.snapshots[n].vmas.clear();
        // Who unmaps a part holds a reference.
        while let Some(job) =
            self.find(|job| matches!(job, Job::Trim { id: other, .. } if *other == id))
        {
            self.finish(job);
        }
        self.jobs.push(Job::Release { id, retired: false });
        self.jobs.len() - 1
    }

    /// The `n`th snapshot that has mappings.
    fn nth(&self, n: u8) -> Option<usize> {
        let mapped: Vec<_> = (0..self.snapshots.len())
            .filter(|n| !self.snapshots[*n].vmas.is_empty())
            .collect();
        let n = usize::from(n).checked_rem(mapped.len())?;
        Some(mapped[n])
    }

    /// Begins to refresh the coverages, unless somebody is at it: one at a time.
    fn begin_refresh(&mut self) {
        if self
            .find(|job| matches!(job, Job::Refresh { .. }))
            .is_none()
        {
            let mut vmas: Vec<_> = self
                .snapshots
                .iter()
                .flat_map(|s| s.vmas.iter().map(|vma| (s.id, *vma)))
                .collect();
            vmas.sort_by_key(|(_, range)| range.0);
            self.jobs.push(Job::Refresh {
                vmas,
                state: Refresh::Begin(None),
            });
        }
    }

    /// Waits for the lock of the mappings.
    fn finish_refresh(&mut self) {
        if let Some(job) = self.find(|job| matches!(job, Job::Refresh { .. })) {
            self.finish(job);
        }
    }

    fn find(&self, f: impl Fn(&Job) -> bool) -> Option<usize> {
        self.jobs.iter().position(f)
    }

    fn finish(&mut self, n: usize) {
        let mut job = self.jobs.remove(n);
        let mut steps = 0;
        while !self.run(&mut job) {
            steps += 1;
            assert!(steps < 10_000, "no end");
        }
    }

    fn step(&mut self, n: usize) {
        let mut job = self.jobs.remove(n);
        if !self.run(&mut job) {
            self.jobs.insert(n.min(self.jobs.len()), job);
        }
    }

    /// Does a step of a job that is not in the list. Returns whether it was the last one.
    fn run(&mut self, job: &mut Job) -> bool {
        match job {
            Job::Change { page, hole, made } => self.run_change(*page, *hole, made),
            Job::Trim { id, range, state } => self.run_trim(*id, *range, state),
            Job::Release { id, retired } => {
                let id = *id;
                if !*retired {
                    *retired = true;
                    self.store.retire(id);
                    self.snapshots.retain(|s| s.id != id);
                    return false;
                }
                let done = self.batch(|store, freed| store.drain(id, freed));
                if done {
                    assert!(self.store.account(id).is_none());
                    assert!(self.store.hull(id).is_none());
                    assert!(!self.store.covers(id, 0));
                }
                done
            }
            Job::Refresh { vmas, state } => self.run_refresh(vmas, state),
        }
    }

    /// `Snapshots::preserve`.
    fn run_change(&mut self, page: usize, hole: bool, made: &mut bool) -> bool {
        let lo = self.store.settled_since(page, self.stamp[page]);
        match self.store.claim(page, lo) {
            Claim::Nobody => (),
            Claim::Stale => {
                self.begin_refresh();
                self.finish_refresh();
                return false;
            }
            Claim::By(_) if !*made => {
                // Without the lock.
                *made = true;
                return false;
            }
            Claim::By(owner) => {
                let content = self.live[page];
                let found = match content {
                    0 => Found::Hole,
                    c => {
                        self.copies += 1;
                        let page = Rc::new(c);
                        self.pages.push(Rc::downgrade(&page));
                        Found::Page(page)
                    }
                };
                self.store
                    .file(page, lo, self.epoch, found, owner, Slot::new());
                self.versions.push(Version {
                    page,
                    lo,
                    hi: self.epoch,
                    content,
                });
            }
        }
        self.stamp[page] = self.epoch;
        self.write(page, hole);
        true
    }

    /// `trim`.
    fn run_trim(&mut self, id: Id, range: Range, state: &mut Trim) -> bool {
        match state {
            Trim::Mark => {
                if !self.get(id).split {
                    return true;
                }
                self.store.mark_stale(id);
                self.get(id).stale = true;
                let filing = self.find(|job| matches!(job, Job::Change { .. }));
                if self.store.count() == 0 && filing.is_none() {
                    return true;
                }
                let lost = range.0 < range.1 && self.store.any(range.0, range.1 - 1, id.epoch);
                *state = Trim::Refresh { lost };
                false
            }
            Trim::Refresh { lost } => {
                let (first, end) = self.store.hull(id).unwrap();
                let (first, end) = (first.min(range.0), end.max(range.1));
                let mut vmas = self.get(id).vmas.clone();
                vmas.retain(|vma| vma.0 < end && vma.1 > first);
                vmas.sort();
                let mut seen = Builder::new();
                for vma in &vmas {
                    seen.add(vma.0, vma.1);
                }
                let failed = runs(&union(&vmas)) > self.limit;
                for (page, there) in union(&vmas).iter().enumerate() {
                    assert_eq!(seen.contains(page), *there || failed);
                }
                self.store.refresh(id, &seen);
                self.shrunk(id, &vmas);
                let lost = *lost;
                *state = Trim::Strip {
                    next: range.0,
                    shared: false,
                };
                !lost
            }
            Trim::Strip { next, shared } => {
                self.stripped = true;
                let done = self.batch(|store, freed| store.strip(id, next, range.1, shared, freed));
                if !done {
                    return false;
                }
                let shared = *shared;
                *state = Trim::Disown;
                !shared
            }
            Trim::Disown => self.batch(|store, freed| store.disown(id, freed)),
        }
    }

    /// `Snapshots::refresh_all`.
    fn run_refresh(&mut self, vmas: &[(Id, Range)], state: &mut Refresh) -> bool {
        match state {
            Refresh::Begin(from) => {
                let next = self.store.begin_refresh(*from);
                for s in &mut self.snapshots {
                    if from.is_none_or(|from| s.id >= from) && next.is_none_or(|next| s.id < next) {
                        s.seen = s.stale.then(Vec::new);
                    }
                }
                *state = match next {
                    Some(_) => Refresh::Begin(next),
                    None => Refresh::See(0),
                };
                false
            }
            Refresh::See(n) => match vmas.get(*n) {
                Some((id, range)) => {
                    self.store.see(*id, range.0, range.1);
                    if let Some(seen) = &mut self.get(*id).seen {
                        seen.push(*range);
                    }
                    *state = Refresh::See(*n + 1);
                    false
                }
                None => {
                    *state = Refresh::End(None);
                    false
                }
            },
            Refresh::End(from) => {
                let next = self.store.end_refresh(*from);
                let mut ended = Vec::new();
                for s in &mut self.snapshots {
                    if from.is_none_or(|from| s.id >= from) && next.is_none_or(|next| s.id < next) {
                        ended.extend(s.seen.take().map(|seen| (s.id, seen)));
                    }
                }
                for (id, seen) in ended {
                    self.shrunk(id, &seen);
                }
                *state = Refresh::End(next);
                next.is_none()
            }
        }
    }

    fn shrunk(&mut self, id: Id, seen: &[Range]) {
        let limit = self.limit;
        let fits = self.get(id).shrink(seen, limit);
        self.rounded += usize::from(!fits);
    }

    /// `Snapshots::in_batches`, once.
    fn batch(
        &mut self,
        f: impl FnOnce(&mut Store<Rc<Content>, Rc<usize>>, &mut Freed<Rc<Content>, Rc<usize>>) -> bool,
    ) -> bool {
        let before = self.kept();
        let mut freed = Freed::new();
        let calls = sys::calls();
        let done = f(&mut self.store, &mut freed);
        // The lock is held meanwhile.
        let calls = sys::calls() - calls;
        assert!(
            calls <= 8 * BATCH + self.snapshots.len(),
            "{calls} look-ups"
        );
        self.newest = self.store.newest();
        // No page is dropped with the lock held.
        assert_eq!(self.kept(), before);
        let pages = freed.len();
        drop(freed);
        assert_eq!(self.kept(), before - pages);
        done
    }

    /// The number of pages in the store.
    fn kept(&self) -> usize {
        let there = |page: &&Weak<Content>| page.strong_count() != 0;
        self.pages.iter().filter(there).count()
    }

    fn get(&mut self, id: Id) -> &mut Snapshot {
        self.snapshots.iter_mut().find(|s| s.id == id).unwrap()
    }

    /// Compares everything that the store says with the model.
    pub(crate) fn check(&self) {
        let store = &self.store;
        let newest = self.snapshots.iter().map(|s| s.id.epoch).max();
        assert_eq!(store.newest(), newest.unwrap_or(0));
        assert!(self.newest >= store.newest());
        assert_eq!(store.is_stale(), self.snapshots.iter().any(|s| s.stale));
        for s in &self.snapshots {
            self.check_snapshot(s);
        }
        // What is needed is there, and what is not is gone once all work is done.
        let needed: Vec<_> = self.versions.iter().filter(|v| self.is_needed(v)).collect();
        let pages = needed.iter().filter(|v| v.content != 0).count();
        assert!(store.count() >= needed.len());
        assert!(self.kept() >= pages);
        let exact = self.jobs.is_empty() && self.rounded == 0;
        if exact {
            assert_eq!(self.kept(), pages);
            assert!(self.stripped || store.count() == needed.len());
        }
        for page in 0..PAGES {
            let newest = needed.iter().filter(|v| v.page == page).map(|v| v.hi).max();
            self.check_page(page, newest.unwrap_or(0), exact && !self.stripped);
        }
    }

    fn is_needed(&self, v: &Version) -> bool {
        self.snapshots
            .iter()
            .any(|s| v.lo < s.id.epoch && s.id.epoch <= v.hi && s.covered[v.page])
    }

    fn check_snapshot(&self, s: &Snapshot) {
        let store = &self.store;
        let covered = || (0..PAGES).filter(|page| s.covered[*page]);
        let (first, end) = store.hull(s.id).unwrap();
        assert_eq!(covered().next(), (first < end).then_some(first));
        assert_eq!(covered().next_back(), (first < end).then(|| end - 1));
        let account = store.account(s.id).unwrap();
        assert!(Rc::ptr_eq(&account, &s.account));
        let found: Vec<_> = (0..PAGES).map(|p| store.lookup(p, s.id.epoch)).collect();
        for (page, found) in found.iter().enumerate() {
            assert_eq!(store.covers(s.id, page), s.covered[page]);
            if s.covered[page] {
                let shown = match found {
                    Some(Found::Page(p)) => **p,
                    Some(Found::Hole) => 0,
                    None => self.live[page],
                };
                assert_eq!(shown, s.shows[page], "page {page} of {:?}", s.id);
            }
        }
        for first in 0..PAGES {
            // All of them are too many for each step.
            let last = (first + (self.changes as usize + s.id.epoch * 7 + first * 3) % PAGES)
                .min(PAGES - 1);
            let any = found[first..=last].iter().any(|found| found.is_some());
            let says = store.any(first, last, s.id.epoch);
            // There are not enough pages for it to give up.
            assert_eq!(says, any);
        }
    }

    fn check_page(&self, page: usize, needed: usize, exact: bool) {
        let store = &self.store;
        let settled = store.settled(page);
        assert!(settled >= needed);
        assert!(settled <= self.epoch);
        if exact {
            assert_eq!(settled, needed);
        }
        let stale = self.snapshots.iter().any(|s| s.stale);
        for lo in [0, self.epoch - 1, self.stamp[page].max(settled)] {
            let mut needs = self
                .snapshots
                .iter()
                .filter(|s| s.id.epoch > lo && s.covered[page]);
            match store.claim(page, lo) {
                Claim::By(id) => {
                    let owner = needs.find(|s| s.id == id).expect("it does not need it");
                    assert!(!owner.stale);
                }
                Claim::Nobody => assert!(needs.next().is_none()),
                Claim::Stale => assert!(stale && needs.next().is_some()),
            }
        }
    }
}

/// Does all of `ops`, each with all checks.
pub fn run(limit: usize, ops: impl IntoIterator<Item = Op>) {
    let mut file = File::new(limit);
    for op in ops {
        file.apply(op);
    }
    file.end();
}
