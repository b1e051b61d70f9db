// SPDX-License-Identifier: GPL-2.0

//! Tests of the store and of coverages.

use super::{
    coverage::Coverage,
    model::{
        self,
        File,
        Op,
        PAGES, //
    },
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
use proptest::prelude::*;

/// Few pages are used much.
fn page() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0..4u8, 1 => 0..PAGES as u8]
}

fn op() -> impl Strategy<Value = Op> {
    let n = any::<u8>;
    let len = || prop_oneof![0..6u8, 0..PAGES as u8];
    let hole = || prop::bool::weighted(0.2);
    prop_oneof![
        5 => (page(), len(), prop_oneof![3 => Just(0), 1 => len()])
            .prop_map(|(first, len, beyond)| Op::Take { first, len, beyond }),
        3 => Just(Op::Take { first: 0, len: PAGES as u8 - 1, beyond: 0 }),
        12 => (page(), hole()).prop_map(|(page, hole)| Op::Change { page, hole }),
        4 => (page(), hole()).prop_map(|(page, hole)| Op::Begin { page, hole }),
        1 => page().prop_map(|page| Op::LoseStamp { page }),
        1 => (n(), n()).prop_map(|(snapshot, vma)| Op::Fork { snapshot, vma }),
        1 => (n(), n(), n()).prop_map(|(snapshot, vma, pages)| Op::Grow { snapshot, vma, pages }),
        3 => (n(), n(), n(), len())
            .prop_map(|(snapshot, vma, first, len)| Op::Unmap { snapshot, vma, first, len }),
        3 => (n(), n(), n(), len())
            .prop_map(|(snapshot, vma, first, len)| Op::BeginUnmap { snapshot, vma, first, len }),
        2 => n().prop_map(|snapshot| Op::Drop { snapshot }),
        1 => n().prop_map(|snapshot| Op::BeginDrop { snapshot }),
        1 => Just(Op::BeginRefresh),
        6 => n().prop_map(|job| Op::Step { job }),
        1 => n().prop_map(|job| Op::Finish { job }),
    ]
}

fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(usize::MAX), 1 => 0..5usize]
}

fn config() -> ProptestConfig {
    // PROPTEST_CASES asks for more.
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn like_full_copies(limit in limit(), ops in prop::collection::vec(op(), 0..250)) {
        model::run(limit, ops);
    }

    /// A change to every page after each of many snapshots: more versions and snapshots than a batch.
    #[test]
    fn like_full_copies_of_much(
        ranges in prop::collection::vec((page(), 0..PAGES as u8), 1..50),
        ops in prop::collection::vec(op(), 0..60),
    ) {
        let mut file = File::new(usize::MAX);
        for (first, len) in ranges {
            file.take(usize::from(first), (usize::from(first) + usize::from(len) + 1).min(PAGES), PAGES);
            for page in 0..PAGES {
                file.change(page, page % 5 == 4);
            }
        }
        for op in ops {
            file.apply(op);
        }
        file.end();
    }

    /// Coverages against sets of pages.
    #[test]
    fn coverages(
        whole in (0..PAGES, 0..PAGES),
        seen in prop::collection::vec(prop::collection::vec((0..PAGES, 0..PAGES), 0..8), 0..5),
        limit in limit(),
    ) {
        sys::set_limit(limit);
        let (first, end) = (whole.0.min(whole.1), whole.0.max(whole.1));
        let mut coverage = Coverage::whole(first, end);
        let mut set: Vec<bool> = (0..PAGES).map(|p| first <= p && p < end).collect();
        for mut ranges in seen {
            ranges.sort();
            let mut builder = Builder::new();
            let mut there = vec![false; PAGES];
            for (first, end) in ranges {
                builder.add(first, end);
                if first < end {
                    there[first..end].fill(true);
                }
            }
            let both: Vec<bool> = set.iter().zip(&there).map(|(a, b)| *a && *b).collect();
            let runs = |set: &[bool]| set.split(|page| !page).filter(|run| !run.is_empty()).count();
            for page in 0..PAGES {
                prop_assert_eq!(builder.contains(page), there[page] || runs(&there) > limit);
            }
            if runs(&there) <= limit && runs(&both) <= limit {
                set = both;
            }
            coverage.mark_stale();
            prop_assert!(coverage.is_stale());
            coverage.shrink(&builder);
            prop_assert!(!coverage.is_stale());
            for (page, there) in set.iter().enumerate() {
                prop_assert_eq!(coverage.contains(page), *there);
            }
            let (first, end) = coverage.hull();
            prop_assert_eq!(set.iter().position(|page| *page), (first < end).then_some(first));
            prop_assert_eq!(set.iter().rposition(|page| *page), (first < end).then(|| end - 1));
        }
    }
}

/// A file of which every page has changed.
fn full() -> File {
    let mut file = File::new(usize::MAX);
    change_all(&mut file);
    file
}

fn change_all(file: &mut File) {
    for page in 0..PAGES {
        file.change(page, false);
    }
}

#[test]
fn one_copy_for_many_snapshots() {
    let mut file = File::new(usize::MAX);
    file.change(3, false);
    for _ in 0..200 {
        file.take(0, PAGES, PAGES);
    }
    file.change(3, false);
    file.change(3, false);
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
    let mut file = full();
    // Ten generations between which only page 0 changes, then page 1 once: one copy of page 1 serves them all.
    for _ in 0..10 {
        file.take(0, PAGES, PAGES);
        file.change(0, false);
    }
    let before = file.copies;
    file.change(1, false);
    assert_eq!(file.copies, before + 1);
    file.check();
}

#[test]
fn partial_unmap_frees_at_once() {
    let mut file = full();
    file.take(0, PAGES, PAGES);
    change_all(&mut file);
    assert_eq!(file.store.pages(), PAGES);
    file.unmap(0, 0, (4, 6));
    file.settle();
    assert_eq!(file.store.pages(), PAGES - 2);
    file.check();
}

#[test]
fn more_versions_than_a_batch() {
    let mut file = full();
    for _ in 0..20 {
        file.take(0, PAGES, PAGES);
        change_all(&mut file);
    }
    file.check();
    for n in (0..20).rev() {
        file.drop_nth(n * 7 % (n + 1));
        file.check();
    }
    assert_eq!(file.store.pages(), 0);
}

/// What becomes stale in the middle of a refresh, after its mappings were looked at, keeps its coverage.
#[test]
fn stale_in_the_middle_of_a_refresh() {
    let mut file = File::new(usize::MAX);
    file.change(3, false);
    file.take(0, PAGES, PAGES);
    let id = file.snapshots[0].id;
    assert!(file.store.begin_refresh(None).is_none());
    file.store.see(id, 0, PAGES);
    file.store.mark_stale(id);
    assert!(file.store.end_refresh(None).is_none());
    assert!(file.store.covers(id, 3));
    assert!(file.store.is_stale());
    assert_eq!(file.store.claim(3, 0), Claim::Stale);
}

/// Versions that a snapshot does not see do not keep it from mapping many pages at once, nor do pages between them.
#[test]
fn any_passes_over_what_is_not_seen() {
    let mut file = full();
    file.take(0, PAGES, PAGES);
    change_all(&mut file);
    file.take(0, PAGES, PAGES);
    let epoch = file.snapshots[1].id.epoch;
    assert!(!file.store.any(0, PAGES - 1, epoch));

    let mut store = Store::<u8, ()>::new();
    let old = store.insert(1, 0, 200_000, (), LiveSlot::new());
    store.insert(2, 0, 200_000, (), LiveSlot::new());
    for page in [0, 100_000] {
        store.file(page, 0, 1, Found::Page(0), old, Slot::new());
    }
    assert!(!store.any(0, 200_000, 2));
    assert!(store.any(1, 200_000, 1));
    assert!(store.any(0, 99_999, 1));
    assert!(!store.any(1, 99_999, 1));
}

/// A store with versions of `0..pages` that two snapshots of epoch 1 see, and the first one owns.
fn large(pages: usize) -> (Store<usize, ()>, [Id; 2]) {
    sys::set_limit(usize::MAX);
    let mut store = Store::new();
    let ids = [0; 2].map(|_| store.insert(1, 0, pages, (), LiveSlot::new()));
    for page in 0..pages {
        assert_eq!(store.claim(page, 0), Claim::By(ids[0]));
        store.file(page, 0, 1, Found::Page(page), ids[0], Slot::new());
    }
    (store, ids)
}

/// Calls `f` until it says that all is done. Returns how often, and how many pages came out.
fn batches(mut f: impl FnMut(&mut Freed<usize, ()>) -> bool) -> (usize, usize) {
    let (mut n, mut pages) = (0, 0);
    loop {
        let mut freed = Freed::new();
        let calls = sys::calls();
        let done = f(&mut freed);
        assert!(sys::calls() - calls <= 8 * 32);
        n += 1;
        pages += freed.len();
        assert!(n < 10_000, "no end");
        if done {
            return (n, pages);
        }
    }
}

/// However much there is to do, the lock is held for a batch of it at a time, and the batches are not much too short.
#[test]
fn batches_are_short() {
    let (mut store, [a, b]) = large(1000);
    let mut shared = false;
    let mut strip = |store: &mut Store<_, _>, id, first, end| {
        shared = false;
        let mut next = first;
        let (n, pages) = batches(|freed| store.strip(id, &mut next, end, &mut shared, freed));
        (n, pages, shared)
    };
    // Nothing is lost yet.
    let (n, pages, shared) = strip(&mut store, a, 0, 1000);
    assert!(n <= 1000 / 32 + 1 && pages == 0 && !shared);
    // What the other one needs is passed on.
    let mut seen = Builder::new();
    seen.add(500, 1000);
    store.mark_stale(a);
    store.refresh(a, &seen);
    let (n, pages, shared) = strip(&mut store, a, 0, 500);
    assert!(n <= 3 * 500 / 32 + 1 && pages == 0 && shared);
    let (n, pages) = batches(|freed| store.disown(a, freed));
    assert!(n <= 2 * 1000 / 32 + 1 && pages == 0);
    assert_eq!(store.count(), 1000);
    // What it lost, too, goes. The rest is not looked at.
    store.mark_stale(b);
    store.refresh(b, &seen);
    let (n, pages, shared) = strip(&mut store, b, 0, 400);
    assert!(n <= 4 * 400 / 32 + 1 && pages == 400 && !shared);
    assert_eq!(store.pages(), 600);
    for id in [b, a] {
        store.retire(id);
        let (n, _) = batches(|freed| store.drain(id, freed));
        assert!(n <= 2 * 1000 / 32 + 1);
    }
    assert_eq!(store.count(), 0);
}

/// Who looks for an heir among many that do not cover the page counts them as work.
#[test]
fn many_that_do_not_cover_a_page() {
    let mut store = Store::<usize, ()>::new();
    let owner = store.insert(1, 0, 100, (), LiveSlot::new());
    for _ in 0..20 {
        store.insert(1, 500, 501, (), LiveSlot::new());
    }
    for page in 0..100 {
        store.file(page, 0, 1, Found::Page(page), owner, Slot::new());
    }
    store.retire(owner);
    let (n, pages) = batches(|freed| store.drain(owner, freed));
    assert_eq!((n, pages), (51, 100));
}

/// An empty entry of an older snapshot does not hide a version behind it.
#[test]
fn entries_without_a_page() {
    let mut file = full();
    file.take(0, PAGES, PAGES);
    file.change(5, false);
    file.take(0, PAGES, PAGES);
    file.change(5, false);
    assert_eq!(file.store.pages(), 2);
    for n in 0..2 {
        file.unmap(n, 0, (4, 6));
        file.settle();
        assert_eq!(file.store.pages(), 1 - n);
        file.check();
    }
}

/// A version that only a newer snapshot sees is not looked at for an older one.
#[test]
fn strip_leaves_what_is_not_seen() {
    let mut file = full();
    file.take(0, PAGES, PAGES);
    file.unmap(0, 0, (5, 6));
    file.settle();
    file.change(5, false);
    file.take(0, PAGES, PAGES);
    file.change(5, false);
    assert_eq!(file.store.pages(), 1);
    let (mut next, mut shared) = (5, false);
    let id = file.snapshots[0].id;
    assert!(file
        .store
        .strip(id, &mut next, 6, &mut shared, &mut Freed::new()));
    assert!(!shared);
    file.check();
}

/// What goes in the middle of a refresh is not counted as stale twice, or for ever.
#[test]
fn retired_in_the_middle_of_a_refresh() {
    let (mut store, [a, b]) = large(1);
    store.mark_stale(a);
    store.begin_refresh(None);
    store.retire(a);
    store.end_refresh(None);
    assert!(!store.is_stale());
    assert_eq!(store.claim(0, 0), Claim::By(b));
}

/// A snapshot that owns nothing is gone at once.
#[test]
fn retired_with_nothing() {
    let (mut store, [a, b]) = large(1);
    assert!(store.retire(b).is_some());
    assert!(store.hull(b).is_none());
    assert!(store.retire(a).is_none());
    let (_, pages) = batches(|freed| store.drain(a, freed));
    assert_eq!((pages, store.count()), (1, 0));
}

/// Pages that were taken out of a batch make room for others.
#[test]
fn pages_out_of_a_batch() {
    let (mut store, [a, b]) = large(100);
    store.retire(b);
    store.retire(a);
    let (mut freed, mut pages) = (Freed::new(), Vec::new());
    while !store.drain(a, &mut freed) {
        pages.extend(freed.take_pages());
        assert_eq!(freed.len(), 0);
    }
    pages.extend(freed.take_pages());
    pages.sort();
    assert!(pages.into_iter().eq(0..100));
}

#[test]
fn nodes_are_small() {
    // A node of the kernel's tree has three words of links besides.
    let words = std::mem::size_of::<super::store::Version<std::rc::Rc<u64>>>() + 16;
    assert!(words + 24 <= 64, "{words}");
}
