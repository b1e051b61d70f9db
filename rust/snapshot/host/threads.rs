// SPDX-License-Identifier: GPL-2.0

//! The store with the locks and counters that are around it, in all orders in which a few threads can run.
//!
//! This is `fs/snapshots.rs` without the kernel: what has a name from there does what it does there, step by step and
//! with the same memory orderings. (`Full` is `SeqCst`, of which loom makes `AcqRel`.) A page table entry is behind a lock of
//! its own, and shows the live page while it says so.
//!
//! `LOOM_MAX_PREEMPTIONS` sets how often a thread may be interrupted where it need not wait.

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
use loom::{
    sync::{
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{
                Acquire,
                Relaxed,
                Release,
                SeqCst, //
            },
        },
        Condvar,
        Mutex,
        RwLock, //
    },
    thread,
};
use std::sync::{
    atomic,
    Arc, //
};

const PAGES: usize = 4;

/// A rule to break, to see that it is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// Coverages are refreshed by two at a time.
    RefreshTogether,
    /// A fault does not look for a version again when it has the page locked.
    FaultLooksOnce,
    /// The page is not unmapped before it is changed.
    NoUnmap,
    /// Who needs the page is not asked again before the version is filed.
    ClaimOnce,
    /// `mmap()` does not wait for those who change the file.
    TakeWithoutS,
    /// `newest` is stored without the lock.
    NewestLate,
    /// `versions` is stored without the lock.
    VersionsLate,
    /// A coverage is stored when the mappings may change again.
    CoverageLate,
    /// Fault-around does not keep versions from being filed.
    MapWithoutStore,
}

/// What a page table has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pte {
    None,
    Live,
    Kept(usize),
}

/// The mappings of a snapshot, and what they have to show.
struct Mapping {
    id: Id,
    shows: [usize; PAGES],
    split: AtomicBool,
    ptes: [Mutex<Pte>; PAGES],
}

/// A lock that can also be tried for. (loom's makes who tries wait.)
struct PageLock {
    locked: Mutex<bool>,
    free: Condvar,
}

struct PageGuard<'a>(&'a PageLock);

impl PageLock {
    fn new() -> Self {
        Self {
            locked: Mutex::new(false),
            free: Condvar::new(),
        }
    }

    fn lock(&self) -> PageGuard<'_> {
        let mut locked = self.locked.lock().unwrap();
        while *locked {
            locked = self.free.wait(locked).unwrap();
        }
        *locked = true;
        PageGuard(self)
    }

    fn try_lock(&self) -> Option<PageGuard<'_>> {
        let mut locked = self.locked.lock().unwrap();
        (!core::mem::replace(&mut *locked, true)).then(|| PageGuard(self))
    }
}

impl Drop for PageGuard<'_> {
    fn drop(&mut self) {
        *self.0.locked.lock().unwrap() = false;
        self.0.free.notify_all();
    }
}

/// A mapping with its range.
type Vma = (Arc<Mapping>, (usize, usize));

struct File {
    broken: Broken,
    /// Whether a check failed. A thread of loom must not panic.
    wrong: atomic::AtomicBool,
    lock: RwLock<()>,
    epoch: AtomicUsize,
    modified: AtomicBool,
    newest: AtomicUsize,
    versions: AtomicUsize,
    filing: AtomicUsize,
    store: RwLock<Store<Arc<usize>, ()>>,
    refreshing: Mutex<()>,
    /// The live pages: their locks, stamps, and what they hold.
    folios: [PageLock; PAGES],
    stamps: [AtomicUsize; PAGES],
    data: [AtomicUsize; PAGES],
    /// All mappings, and `i_mmap_rwsem`.
    vmas: RwLock<Vec<Vma>>,
}

impl File {
    fn new(broken: Broken) -> Arc<Self> {
        Arc::new(Self {
            broken,
            wrong: atomic::AtomicBool::new(false),
            lock: RwLock::new(()),
            epoch: AtomicUsize::new(1),
            modified: AtomicBool::new(false),
            newest: AtomicUsize::new(0),
            versions: AtomicUsize::new(0),
            filing: AtomicUsize::new(0),
            store: RwLock::new(Store::new()),
            refreshing: Mutex::new(()),
            folios: std::array::from_fn(|_| PageLock::new()),
            stamps: std::array::from_fn(|_| AtomicUsize::new(0)),
            data: std::array::from_fn(|_| AtomicUsize::new(0)),
            vmas: RwLock::new(Vec::new()),
        })
    }

    fn spawn(self: &Arc<Self>, f: impl FnOnce(&Self) + 'static) -> thread::JoinHandle<()> {
        let this = self.clone();
        thread::spawn(move || f(&this))
    }

    fn insist(&self, right: bool) {
        if !right {
            self.wrong.store(true, atomic::Ordering::Relaxed);
        }
    }

    /// Takes the live page out of all page tables.
    fn unmap(&self, page: usize) {
        for (mapping, pages) in self.vmas.read().unwrap().iter() {
            if pages.0 <= page && page < pages.1 {
                let mut pte = mapping.ptes[page].lock().unwrap();
                if *pte == Pte::Live {
                    *pte = Pte::None;
                }
            }
        }
    }

    /// Changes some pages under one hold of S.
    fn change(&self, pages: &[usize]) {
        let _lock = self.lock.read().unwrap();
        if !self.modified.load(Relaxed) {
            self.modified.store(true, Relaxed);
        }
        for &page in pages {
            let _folio = self.folios[page].lock();
            self.settle(page);
            let content = self.data[page].load(Relaxed);
            self.data[page].store(content + 1, Relaxed);
        }
    }

    fn settle(&self, page: usize) {
        let newest = self.newest.load(Relaxed);
        if newest == 0 {
            return;
        }
        let epoch = self.epoch.load(Relaxed);
        let stamp = self.stamps[page].load(Relaxed);
        if stamp == epoch {
            return;
        }
        if newest > stamp {
            self.preserve(page, stamp, || {
                if self.broken != Broken::NoUnmap {
                    self.unmap(page);
                }
                Found::Page(Arc::new(self.data[page].load(Relaxed)))
            });
        }
        self.stamps[page].store(epoch, Relaxed);
    }

    fn preserve(&self, page: usize, stamp: usize, make: impl FnOnce() -> Found<Arc<usize>>) {
        let epoch = self.epoch.load(Relaxed);
        self.filing.fetch_add(1, SeqCst);
        let mut make = Some(make);
        let mut made = None;
        loop {
            let (claim, account) = {
                let store = self.store.read().unwrap();
                match store.claim(page, store.settled_since(page, stamp)) {
                    claim @ Claim::By(id) => (claim, store.account(id)),
                    claim => (claim, None),
                }
            };
            match claim {
                Claim::By(_) => self.insist(account.is_some()),
                Claim::Stale => {
                    self.refresh_all();
                    continue;
                }
                Claim::Nobody => break,
            }
            if let Some(make) = make.take() {
                made = Some(make());
            }
            let mut store = self.store.write().unwrap();
            let lo = store.settled_since(page, stamp);
            let again = match self.broken {
                Broken::ClaimOnce => claim,
                _ => store.claim(page, lo),
            };
            if let Claim::By(owner) = again {
                store.file(page, lo, epoch, made.take().unwrap(), owner, Slot::new());
                let count = store.count();
                if self.broken == Broken::VersionsLate {
                    drop(store);
                    self.versions.store(count, Release);
                } else {
                    self.versions.store(count, Release);
                }
                break;
            }
        }
        self.filing.fetch_sub(1, SeqCst);
    }

    fn refresh(&self, id: Id, pages: (usize, usize)) {
        let hull = self.store.read().unwrap().hull(id).unwrap_or(pages);
        let (first, end) = (hull.0.min(pages.0), hull.1.max(pages.1));
        let vmas = self.vmas.read().unwrap();
        let mut seen = Builder::new();
        for (mapping, pages) in vmas.iter() {
            if mapping.id == id && pages.0 < end && pages.1 > first {
                seen.add(pages.0, pages.1);
            }
        }
        if self.broken == Broken::CoverageLate {
            drop(vmas);
            self.store.write().unwrap().refresh(id, &seen);
        } else {
            self.store.write().unwrap().refresh(id, &seen);
        }
    }

    fn refresh_all(&self) {
        let _refreshing =
            (self.broken != Broken::RefreshTogether).then(|| self.refreshing.lock().unwrap());
        if !self.store.read().unwrap().is_stale() {
            return;
        }
        let vmas = self.vmas.read().unwrap();
        let mut next = self.store.write().unwrap().begin_refresh(None);
        while next.is_some() {
            next = self.store.write().unwrap().begin_refresh(next);
        }
        for (mapping, pages) in vmas.iter() {
            self.store
                .write()
                .unwrap()
                .see(mapping.id, pages.0, pages.1);
        }
        let mut next = self.store.write().unwrap().end_refresh(None);
        while next.is_some() {
            next = self.store.write().unwrap().end_refresh(next);
        }
    }

    fn in_batches(
        &self,
        mut f: impl FnMut(&mut Store<Arc<usize>, ()>, &mut Freed<Arc<usize>, ()>) -> bool,
    ) {
        loop {
            let mut freed = Freed::new();
            let mut store = self.store.write().unwrap();
            let done = f(&mut store, &mut freed);
            let (count, newest) = (store.count(), store.newest());
            if self.broken != Broken::VersionsLate {
                self.versions.store(count, Release);
            }
            if self.broken != Broken::NewestLate {
                self.newest.store(newest, Relaxed);
            }
            drop(store);
            match self.broken {
                Broken::VersionsLate => self.versions.store(count, Release),
                Broken::NewestLate => self.newest.store(newest, Relaxed),
                _ => (),
            }
            if done {
                break;
            }
        }
    }

    /// `mmap()` of the pages from `pages.0` to before `pages.1`.
    fn map(&self, pages: (usize, usize)) -> Arc<Mapping> {
        let lock = (self.broken != Broken::TakeWithoutS).then(|| self.lock.write().unwrap());
        let mut epoch = self.epoch.load(Relaxed);
        if self.modified.load(Relaxed) {
            epoch += 1;
            self.epoch.store(epoch, Relaxed);
            self.modified.store(false, Relaxed);
        }
        let id = {
            let mut store = self.store.write().unwrap();
            let id = store.insert(epoch, pages.0, pages.1, (), LiveSlot::new());
            self.newest.store(store.newest(), Relaxed);
            id
        };
        let mapping = Arc::new(Mapping {
            id,
            shows: std::array::from_fn(|page| self.data[page].load(Relaxed)),
            split: AtomicBool::new(false),
            ptes: std::array::from_fn(|_| Mutex::new(Pte::None)),
        });
        drop(lock);
        // It is there for unmap only now.
        let mut vmas = self.vmas.write().unwrap();
        vmas.push((mapping.clone(), pages));
        mapping
    }

    /// `munmap()` of `range`, which ends all that the snapshot has if `last`.
    fn unmap_range(&self, mapping: &Mapping, range: (usize, usize)) {
        let last = {
            let mut vmas = self.vmas.write().unwrap();
            let n = vmas
                .iter()
                .position(|(m, pages)| {
                    m.id == mapping.id && pages.0 <= range.0 && range.1 <= pages.1
                })
                .unwrap();
            let (m, pages) = vmas.remove(n);
            for rest in [(pages.0, range.0), (range.1, pages.1)] {
                if rest.0 < rest.1 {
                    mapping.split.store(true, Relaxed);
                    vmas.push((m.clone(), rest));
                }
            }
            vmas.sort_by_key(|(_, pages)| pages.0);
            for page in range.0..range.1 {
                *mapping.ptes[page].lock().unwrap() = Pte::None;
            }
            !vmas.iter().any(|(m, _)| m.id == mapping.id)
        };
        if last {
            self.store.write().unwrap().retire(mapping.id);
            self.in_batches(|store, freed| store.drain(mapping.id, freed));
        } else {
            self.trim(mapping, range);
        }
    }

    fn trim(&self, mapping: &Mapping, pages: (usize, usize)) {
        if !mapping.split.load(Relaxed) {
            return;
        }
        let lost;
        {
            let mut store = self.store.write().unwrap();
            store.mark_stale(mapping.id);
            if store.count() == 0 && self.filing.load(Acquire) == 0 {
                return;
            }
            lost = store.any(pages.0, pages.1 - 1, mapping.id.epoch);
        }
        self.refresh(mapping.id, pages);
        if !lost {
            return;
        }
        let mut next = pages.0;
        let mut shared = false;
        self.in_batches(|store, freed| {
            store.strip(mapping.id, &mut next, pages.1, &mut shared, freed)
        });
        if shared {
            self.in_batches(|store, freed| store.disown(mapping.id, freed));
        }
    }

    fn find(&self, page: usize, epoch: usize) -> Option<Found<Arc<usize>>> {
        if self.versions.load(Acquire) == 0 {
            return None;
        }
        self.store.read().unwrap().lookup(page, epoch)
    }

    /// `Private::fault`.
    fn fault(&self, mapping: &Mapping, page: usize) {
        // Otherwise nothing would have been kept for it.
        self.insist(self.store.read().unwrap().covers(mapping.id, page));
        let serve = |found: Found<Arc<usize>>| match found {
            Found::Page(page) => Pte::Kept(*page),
            Found::Hole => Pte::Kept(0),
        };
        if let Some(found) = self.find(page, mapping.id.epoch) {
            *mapping.ptes[page].lock().unwrap() = serve(found);
            return;
        }
        let _folio = self.folios[page].lock();
        let found = match self.broken {
            Broken::FaultLooksOnce => None,
            _ => self.find(page, mapping.id.epoch),
        };
        *mapping.ptes[page].lock().unwrap() = found.map_or(Pte::Live, serve);
    }

    /// `Private::map_pages`.
    fn map_pages(&self, mapping: &Mapping, page: usize) {
        let Ok(store) = self.store.try_read() else {
            return;
        };
        if store.any(page, page, mapping.id.epoch) || !store.covers(mapping.id, page) {
            return;
        }
        let store = (self.broken != Broken::MapWithoutStore).then_some(store);
        let Some(_folio) = self.folios[page].try_lock() else {
            return;
        };
        let mut pte = mapping.ptes[page].lock().unwrap();
        if *pte == Pte::None {
            *pte = Pte::Live;
        }
        drop((pte, store));
    }

    /// Reads a page through the mapping, and checks it.
    fn read(&self, mapping: &Mapping, page: usize) {
        for _ in 0..10 {
            let seen = {
                let pte = mapping.ptes[page].lock().unwrap();
                match *pte {
                    Pte::None => None,
                    Pte::Live => Some(self.data[page].load(Relaxed)),
                    Pte::Kept(content) => Some(content),
                }
            };
            match seen {
                Some(seen) => return self.insist(seen == mapping.shows[page]),
                None => self.fault(mapping, page),
            }
        }
        self.insist(false);
    }

    /// With all other threads at their end: what the mappings show, and that nothing is kept in vain.
    fn check(&self, kept: usize) {
        let vmas: Vec<_> = self.vmas.read().unwrap().clone();
        for (mapping, pages) in &vmas {
            for page in pages.0..pages.1 {
                self.read(mapping, page);
            }
        }
        self.insist(self.store.read().unwrap().pages() == kept);
        for (mapping, pages) in &vmas {
            self.unmap_range(mapping, *pages);
        }
        self.insist(self.store.read().unwrap().count() == 0);
        self.insist(self.versions.load(Relaxed) == 0);
        self.insist(self.newest.load(Relaxed) == 0);
        self.insist(self.filing.load(Relaxed) == 0);
        assert!(!self.wrong.load(atomic::Ordering::Relaxed));
    }
}

fn in_all_orders(f: impl Fn() + Sync + Send + 'static) {
    super::sys::set_limit(usize::MAX);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.max_branches = 100_000;
    builder.check(f);
}

fn join<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Two changes under one hold of S while a mapping is made and read.
fn map_and_change(broken: Broken) {
    in_all_orders(move || {
        let file = File::new(broken);
        let a = file.spawn(|file| file.change(&[0, 1]));
        let b = file.spawn(|file| {
            let mapping = file.map((0, 2));
            // All of the change or nothing.
            file.insist(mapping.shows[0] == mapping.shows[1]);
            file.read(&mapping, 0);
            file.read(&mapping, 1);
            file.read(&mapping, 0);
        });
        join([a, b]);
        let kept = file.store.read().unwrap().pages();
        file.check(kept);
    });
}

/// A page is read, by a fault and by a fault-around, while it is changed.
fn read_and_change(broken: Broken) {
    in_all_orders(move || {
        let file = File::new(broken);
        file.change(&[0, 1]);
        let mapping = file.map((0, 2));
        let a = file.spawn(|file| file.change(&[0]));
        let m = mapping.clone();
        let b = file.spawn(move |file| {
            file.read(&m, 0);
            file.read(&m, 0);
        });
        let m = mapping.clone();
        let c = file.spawn(move |file| file.map_pages(&m, 0));
        join([a, b, c]);
        file.check(1);
    });
}

/// A snapshot goes while a page is filed for it.
fn release_and_change(broken: Broken, keep: bool) {
    in_all_orders(move || {
        let file = File::new(broken);
        file.change(&[0]);
        let old = file.map((0, 1));
        file.change(&[1]);
        if keep {
            file.map((0, 2));
        }
        let a = file.spawn(|file| file.change(&[0]));
        let b = file.spawn(move |file| file.unmap_range(&old, (0, 1)));
        join([a, b]);
        file.check(usize::from(keep));
    });
}

/// A snapshot goes while the next one is taken, and the page is changed then.
fn release_and_map(broken: Broken) {
    in_all_orders(move || {
        let file = File::new(broken);
        file.change(&[0]);
        let old = file.map((0, 1));
        let a = file.spawn(move |file| file.unmap_range(&old, (0, 1)));
        let b = file.spawn(|file| {
            let mapping = file.map((0, 1));
            file.read(&mapping, 0);
            file.change(&[0]);
            file.read(&mapping, 0);
        });
        join([a, b]);
        file.check(1);
    });
}

/// A snapshot that owns a version goes while a page is filed for another one, and is read.
fn release_and_read(broken: Broken) {
    in_all_orders(move || {
        let file = File::new(broken);
        let old = file.map((0, 1));
        file.change(&[0]);
        let new = file.map((1, 2));
        let a = file.spawn(move |file| file.unmap_range(&old, (0, 1)));
        let b = file.spawn(move |file| {
            file.change(&[1]);
            file.read(&new, 1);
        });
        join([a, b]);
        file.check(1);
    });
}

/// A part is unmapped while its pages and others are changed: nothing is kept for that part.
fn trim_and_change(broken: Broken) {
    in_all_orders(move || {
        let file = File::new(broken);
        file.change(&[0, 1, 2]);
        let mapping = file.map((0, 3));
        let a = file.spawn(move |file| file.unmap_range(&mapping, (1, 2)));
        let b = file.spawn(|file| file.change(&[1]));
        let c = file.spawn(|file| file.change(&[2]));
        join([a, b, c]);
        file.check(1);
    });
}

/// Parts are unmapped by two threads while there is a change that the snapshot has no part in: nothing is kept for them.
fn trim_twice(broken: Broken) {
    in_all_orders(move || {
        let file = File::new(broken);
        file.change(&[0, 1, 2, 3]);
        let mapping = file.map((0, 3));
        let m = mapping.clone();
        let a = file.spawn(move |file| file.unmap_range(&m, (0, 1)));
        let m = mapping.clone();
        let b = file.spawn(move |file| file.unmap_range(&m, (2, 3)));
        let c = file.spawn(|file| file.change(&[3]));
        join([a, b, c]);
        file.change(&[2]);
        file.check(0);
    });
}

/// Two pages are changed that different mappings of a snapshot have, where the coverage is stale.
fn change_two_pages(broken: Broken) {
    in_all_orders(move || {
        let file = File::new(broken);
        file.change(&[0, 1, 2]);
        let mapping = file.map((0, 3));
        file.unmap_range(&mapping, (1, 2));
        let a = file.spawn(|file| file.change(&[0]));
        let b = file.spawn(|file| file.change(&[2]));
        join([a, b]);
        file.check(2);
    });
}

#[test]
fn all_orders_of_map_and_change() {
    map_and_change(Broken::Nothing);
}

#[test]
fn all_orders_of_read_and_change() {
    read_and_change(Broken::Nothing);
}

#[test]
fn all_orders_of_release_and_change() {
    release_and_change(Broken::Nothing, false);
    release_and_change(Broken::Nothing, true);
}

#[test]
fn all_orders_of_release_and_map() {
    release_and_map(Broken::Nothing);
}

#[test]
fn all_orders_of_release_and_read() {
    release_and_read(Broken::Nothing);
}

#[test]
fn all_orders_of_trim_and_change() {
    trim_and_change(Broken::Nothing);
}

#[test]
fn all_orders_of_two_trims() {
    trim_twice(Broken::Nothing);
}

#[test]
fn all_orders_of_two_changes() {
    change_two_pages(Broken::Nothing);
}

#[test]
#[should_panic]
fn broken_refresh_together() {
    change_two_pages(Broken::RefreshTogether);
}

#[test]
#[should_panic]
fn broken_fault_looks_once() {
    read_and_change(Broken::FaultLooksOnce);
}

#[test]
#[should_panic]
fn broken_no_unmap() {
    read_and_change(Broken::NoUnmap);
}

#[test]
#[should_panic]
fn broken_claim_once() {
    release_and_change(Broken::ClaimOnce, false);
}

#[test]
#[should_panic]
fn broken_take_without_s() {
    map_and_change(Broken::TakeWithoutS);
}

#[test]
#[should_panic]
fn broken_newest_late() {
    release_and_map(Broken::NewestLate);
}

#[test]
#[should_panic]
fn broken_versions_late() {
    release_and_read(Broken::VersionsLate);
}

#[test]
#[should_panic]
fn broken_coverage_late() {
    trim_twice(Broken::CoverageLate);
}

#[test]
#[should_panic]
fn broken_map_without_store() {
    read_and_change(Broken::MapWithoutStore);
}
