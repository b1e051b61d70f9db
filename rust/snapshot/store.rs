// SPDX-License-Identifier: GPL-2.0

//! The version store: who still needs a page as it is, and what a snapshot sees of a page that has changed.
//!
//! Time is counted in epochs. The current epoch of a file is `E`; a snapshot has the epoch that was current when it was
//! taken, and the epoch is stepped before that if anything changed since the last snapshot. So a change that happens in
//! epoch `E` comes after every snapshot with an epoch up to `E`, and they all see the page as it was.
//!
//! A [`Version`] of page `i` with the interval `(lo, hi]` is what the snapshots with `lo < epoch <= hi` see there. The
//! *stamp* of a live page is the newest epoch for which the page was settled, that is: every snapshot up to it either
//! has a version or does not need one. What the live page holds belongs to the epochs after it.
//!
//! A version is *owned* by a live snapshot that covers its page and sees it, and passes on to another one when that
//! snapshot is dropped, or is freed if there is none: each version is looked at once per owner, whatever else the store
//! holds. (The dead lists of ZFS work alike.)

use super::{
    coverage::{
        Builder,
        Coverage, //
    },
    sys::{
        self,
        Map, //
    },
    Epoch,
};
use core::cmp::Ordering;

/// Names a live snapshot. The newest sort first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Id {
    /// The epoch whose pages the snapshot sees.
    pub(crate) epoch: Epoch,
    serial: usize,
}

impl Id {
    /// What sorts next.
    fn successor(self) -> Option<Self> {
        Some(Self {
            epoch: self.epoch,
            serial: self.serial.checked_add(1)?,
        })
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .epoch
            .cmp(&self.epoch)
            .then(self.serial.cmp(&other.serial))
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The end of a list of owned versions.
const NONE: usize = usize::MAX;

/// A snapshot in the store.
pub(crate) struct Live<A> {
    /// Who pays for what is kept for it.
    account: A,
    coverage: Coverage,
    /// The mappings that a refresh under way has seen.
    seen: Option<Builder>,
    /// The first page of the list of owned versions, linked by [`Version::next`].
    head: usize,
    /// The same for those that [`Store::disown`] has looked at and left.
    kept: usize,
    /// It is being dropped: it needs no page any more, but still owns versions.
    dying: bool,
}

/// Page, and the newest epoch that sees the version.
type Key = (usize, Epoch);

/// What the epochs `(lo, key.hi]` see of a page.
pub(crate) struct Version<P> {
    lo: Epoch,
    /// The page, or nothing for a hole.
    page: Option<P>,
    next: usize,
}

/// A snapshot outside of the store.
type Node<A> = sys::Node<Id, Live<A>>;
/// Memory for a version.
pub(crate) type Slot<P> = sys::Slot<Key, Version<P>>;
/// Memory for a snapshot.
pub(crate) type LiveSlot<A> = sys::Slot<Id, Live<A>>;

/// What a snapshot sees of a page that has changed since.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found<P> {
    /// This page.
    Page(P),
    /// Zeros: the file had a hole there.
    Hole,
}

/// Who still needs a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// Nobody: the page may be changed.
    Nobody,
    /// This snapshot, and perhaps others. The page has to be filed with it as the owner.
    By(Id),
    /// The coverages that are stale have to be refreshed before the question can be answered.
    Stale,
}

/// The snapshots of a file and the pages that are kept for them.
///
/// The caller locks it. `P` is a reference to a page and `A` one to who pays for it; both are dropped by the caller,
/// outside of the lock.
pub(crate) struct Store<P, A> {
    live: Map<Id, Live<A>>,
    versions: Map<Key, Version<P>>,
    serial: usize,
    /// Versions that somebody sees.
    count: usize,
    /// Snapshots whose coverage is stale.
    stale: usize,
}

impl<P: Clone, A: Clone> Store<P, A> {
    /// A store without snapshots.
    pub(crate) fn new() -> Self {
        Self {
            live: Map::new(),
            versions: Map::new(),
            serial: 0,
            count: 0,
            stale: 0,
        }
    }

    /// The number of versions that some snapshot sees.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The number of preserved pages: versions that are not holes.
    #[cfg(test)]
    pub(crate) fn pages(&self) -> usize {
        let mut pages = 0;
        self.versions.find(|_, version| {
            pages += usize::from(version.page.is_some());
            None::<()>
        });
        pages
    }

    /// The epoch of the newest live snapshot, 0 without one.
    pub(crate) fn newest(&self) -> Epoch {
        self.live
            .find(|id, live| (!live.dying).then_some(id.epoch))
            .unwrap_or(0)
    }

    /// Adds a snapshot of the pages from `first` to before `end`, taken in `epoch`.
    ///
    /// `epoch` is not smaller than that of any other snapshot.
    pub(crate) fn insert(
        &mut self,
        epoch: Epoch,
        first: usize,
        end: usize,
        account: A,
        slot: LiveSlot<A>,
    ) -> Id {
        self.serial = self.serial.wrapping_add(1);
        let id = Id {
            epoch,
            serial: self.serial,
        };
        self.live.insert(slot.fill(
            id,
            Live {
                account,
                coverage: Coverage::whole(first, end),
                seen: None,
                head: NONE,
                kept: NONE,
                dying: false,
            },
        ));
        id
    }

    /// What the snapshots of `epoch` see of `page`, if it has changed since.
    pub(crate) fn lookup(&self, page: usize, epoch: Epoch) -> Option<Found<P>> {
        self.versions
            .at_or_after(&(page, epoch), |key, version| {
                if key.0 != page || version.lo >= epoch {
                    return None;
                }
                Some(match &version.page {
                    Some(p) => Found::Page(p.clone()),
                    None => Found::Hole,
                })
            })
            .flatten()
    }

    /// Whether the snapshots of `epoch` have a version of any page from `first` to `last`. It may also say yes if that
    /// takes too long to find out, with more versions of these pages than a batch.
    pub(crate) fn any(&self, first: usize, last: usize, epoch: Epoch) -> bool {
        let mut page = first;
        for _ in 0..2 * BATCH {
            // The first version at or after this page that `epoch` could see, if only by its newer end.
            let Some((at, seen)) = self.versions.at_or_after(&(page, epoch), |key, v| {
                (key.0, key.1 >= epoch && v.lo < epoch)
            }) else {
                return false;
            };
            if at > last {
                return false;
            }
            if seen {
                return true;
            }
            // A version of a later page, too old or too new to be seen: ask for that page itself.
            page = if at > page { at } else { page.wrapping_add(1) };
            if page > last {
                return false;
            }
        }
        true
    }

    /// The newest epoch for which the store has settled `page`.
    pub(crate) fn settled(&self, page: usize) -> Epoch {
        self.versions
            .before(&(page.wrapping_add(1), 0), |key, _| {
                if key.0 == page {
                    key.1
                } else {
                    0
                }
            })
            .unwrap_or(0)
    }

    /// The newest epoch for which `page` is settled, if that of its live page is `stamp`.
    ///
    /// A stamp that is not 0 is never behind the store: who files a version of a page that is there stamps it.
    #[inline]
    pub(crate) fn settled_since(&self, page: usize, stamp: Epoch) -> Epoch {
        if stamp != 0 {
            stamp
        } else {
            self.settled(page)
        }
    }

    /// Who needs `page` among the snapshots with an epoch above `lo`.
    ///
    /// No coverage may be stale while there are versions, so this asks for all of them to be refreshed first.
    pub(crate) fn claim(&self, page: usize, lo: Epoch) -> Claim {
        let claim = self
            .live
            .find(|id, live| {
                if id.epoch <= lo {
                    Some(Claim::Nobody)
                } else if live.dying || !live.coverage.contains(page) {
                    None
                } else {
                    Some(Claim::By(*id))
                }
            })
            .unwrap_or(Claim::Nobody);
        match claim {
            Claim::By(_) if self.stale != 0 => Claim::Stale,
            claim => claim,
        }
    }

    /// Whether the mappings of a snapshot cover `page`, as far as that is known.
    pub(crate) fn covers(&self, id: Id, page: usize) -> bool {
        self.live
            .get(&id)
            .is_some_and(|live| live.coverage.contains(page))
    }

    /// The range that the snapshot covers at most.
    pub(crate) fn hull(&self, id: Id) -> Option<(usize, usize)> {
        Some(self.live.get(&id)?.coverage.hull())
    }

    /// Notes that part of the snapshot's mappings went away.
    pub(crate) fn mark_stale(&mut self, id: Id) {
        if let Some(live) = self.live.get_mut(&id) {
            if !live.dying && !live.coverage.is_stale() {
                live.coverage.mark_stale();
                self.stale = self.stale.wrapping_add(1);
            }
        }
    }

    /// Who pays for what is kept for the snapshot.
    pub(crate) fn account(&self, id: Id) -> Option<A> {
        Some(self.live.get(&id)?.account.clone())
    }

    /// Takes away from a snapshot's coverage what its mappings, all of which are in `seen`, have lost.
    pub(crate) fn refresh(&mut self, id: Id, seen: &Builder) {
        if let Some(live) = self.live.get_mut(&id) {
            if !live.dying && live.coverage.is_stale() {
                self.stale = self.stale.wrapping_sub(1);
            }
            live.coverage.shrink(seen);
        }
    }

    /// Whether any coverage is stale.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale != 0
    }

    /// Begins to refresh all coverages that are stale by now: then [`Store::see`] each mapping, and [`Store::end_refresh`].
    /// No mapping may come or go meanwhile, nor another one begin. This is for the snapshots from `from` on, a batch of
    /// them; returns where to go on.
    pub(crate) fn begin_refresh(&mut self, from: Option<Id>) -> Option<Id> {
        self.for_batch(from, |live, _| {
            live.seen = live.coverage.is_stale().then(Builder::new);
        })
    }

    /// Takes note of a mapping. It does not count for a snapshot that became stale after the beginning.
    pub(crate) fn see(&mut self, id: Id, first: usize, end: usize) {
        if let Some(seen) = self.live.get_mut(&id).and_then(|live| live.seen.as_mut()) {
            seen.add(first, end);
        }
    }

    /// Ends what [`Store::begin_refresh`] began, in batches as well.
    pub(crate) fn end_refresh(&mut self, from: Option<Id>) -> Option<Id> {
        self.for_batch(from, |live, stale| {
            if let Some(seen) = live.seen.take() {
                if !live.dying && live.coverage.is_stale() {
                    *stale = stale.wrapping_sub(1);
                }
                live.coverage.shrink(&seen);
            }
        })
    }

    /// Calls `f` with a batch of the snapshots from `from` on, and the number of stale ones. Returns where to go on.
    fn for_batch(
        &mut self,
        from: Option<Id>,
        mut f: impl FnMut(&mut Live<A>, &mut usize),
    ) -> Option<Id> {
        let mut next = from.unwrap_or(Id {
            epoch: Epoch::MAX,
            serial: 0,
        });
        for _ in 0..BATCH {
            let id = self.live.at_or_after(&next, |id, _| *id)?;
            if let Some(live) = self.live.get_mut(&id) {
                f(live, &mut self.stale);
            }
            next = id.successor()?;
        }
        Some(next)
    }

    /// Files what `page` holds for the epochs `(lo, hi]`, with `owner` as the one that needs it.
    ///
    /// `hi` is the current epoch, and `lo` at least [`Store::settled`] and smaller than `hi`: so there is no version
    /// with that `hi` yet.
    pub(crate) fn file(
        &mut self,
        page: usize,
        lo: Epoch,
        hi: Epoch,
        content: Found<P>,
        owner: Id,
        slot: Slot<P>,
    ) {
        let content = match content {
            Found::Page(p) => Some(p),
            Found::Hole => None,
        };
        let next = match self.live.get_mut(&owner) {
            Some(live) => core::mem::replace(&mut live.head, page),
            None => NONE,
        };
        self.count = self.count.wrapping_add(1);
        let version = Version {
            lo,
            page: content,
            next,
        };
        self.versions.insert(slot.fill((page, hi), version));
    }

    /// Begins to drop a snapshot: from now on it needs no page. If it owns no version it is returned, and that is all, else
    /// [`Store::drain`] does the rest.
    pub(crate) fn retire(&mut self, id: Id) -> Option<Node<A>> {
        let live = self.live.get_mut(&id)?;
        if live.coverage.is_stale() {
            self.stale = self.stale.wrapping_sub(1);
        }
        live.dying = true;
        if live.head == NONE && live.kept == NONE {
            return self.live.remove(&id);
        }
        None
    }

    /// Passes on or frees versions of a retired snapshot, a batch of them, and in the end removes the snapshot itself.
    /// Returns whether that is done.
    pub(crate) fn drain(&mut self, id: Id, freed: &mut Freed<P, A>) -> bool {
        let mut work = 0;
        while work < BATCH {
            match self.live.get(&id) {
                None => return true,
                Some(live) if live.head == NONE => {
                    freed.live = self.live.remove(&id);
                    return true;
                }
                Some(live) => work += self.pass_on(id, live.head, freed),
            }
        }
        false
    }

    /// Passes on or frees versions of a snapshot whose coverage has shrunk, a batch of them, and leaves it those that it
    /// still covers. Returns whether that is done.
    pub(crate) fn disown(&mut self, id: Id, freed: &mut Freed<P, A>) -> bool {
        let mut work = 0;
        while work < BATCH {
            match self.live.get_mut(&id) {
                None => return true,
                Some(live) if live.head == NONE => {
                    live.head = core::mem::replace(&mut live.kept, NONE);
                    return true;
                }
                Some(live) => {
                    let head = live.head;
                    work += self.pass_on(id, head, freed);
                }
            }
        }
        false
    }

    /// Frees the pages from `*next` to before `end` that were kept for a snapshot whose mappings have lost them, if nobody
    /// else needs them: a batch, and sets `*next` behind it. Returns whether that is all. Sets `*shared` where somebody does.
    ///
    /// The entries stay with their owner, as holes that nobody will look at: the work depends on the pages that were lost,
    /// and not on those that were not.
    pub(crate) fn strip(
        &mut self,
        id: Id,
        next: &mut usize,
        end: usize,
        shared: &mut bool,
        freed: &mut Freed<P, A>,
    ) -> bool {
        let mut work = 0;
        while work < BATCH {
            let Some((key, lo)) = self
                .versions
                .at_or_after(&(*next, id.epoch), |key, v| (*key, v.lo))
                .filter(|(key, _)| key.0 < end)
            else {
                return true;
            };
            work += 1;
            if key.0 > *next {
                // Perhaps too old a version: ask for that page itself.
                *next = key.0;
                continue;
            }
            let Some(after) = key.0.checked_add(1) else {
                return true;
            };
            *next = after;
            if lo >= id.epoch || self.covers(id, key.0) {
                continue;
            }
            let (heir, looked) = self.heir(key.0, lo, key.1);
            work += looked;
            if heir.is_some() {
                *shared = true;
            } else if let Some(page) = self.versions.get_mut(&key).and_then(|v| v.page.take()) {
                freed.push(page);
            }
        }
        false
    }

    /// Takes the version of `page` out of the list of `id`, of which it is the first, and gives it to one that needs it:
    /// `id` itself, another one, or nobody. Returns how much work that was, at least 1.
    fn pass_on(&mut self, id: Id, page: usize, freed: &mut Freed<P, A>) -> usize {
        let found = self
            .versions
            .at_or_after(&(page, id.epoch), |key, v| (*key, v.lo, v.next));
        let Some((key, lo, next)) = found.filter(|(key, lo, _)| key.0 == page && *lo < id.epoch)
        else {
            // An owner sees what it owns, so this cannot happen; end the list rather than loop.
            if let Some(live) = self.live.get_mut(&id) {
                live.head = NONE;
            }
            return 1;
        };
        if let Some(live) = self.live.get_mut(&id) {
            live.head = next;
            if !live.dying && live.coverage.contains(page) {
                let next = core::mem::replace(&mut live.kept, page);
                self.link(&key, next);
                return 1;
            }
        }
        let (heir, work) = self.heir(page, lo, key.1);
        if let Some(heir) = heir {
            if let Some(live) = self.live.get_mut(&heir) {
                let next = core::mem::replace(&mut live.head, page);
                self.link(&key, next);
            }
            return work;
        }
        if let Some(node) = self.versions.remove(&key) {
            let (_, version) = node.to_key_value();
            self.count = self.count.wrapping_sub(1);
            if let Some(p) = version.page {
                freed.push(p);
            }
        }
        work
    }

    fn link(&mut self, key: &Key, next: usize) {
        if let Some(version) = self.versions.get_mut(key) {
            version.next = next;
        }
    }

    /// A live snapshot with an epoch in `(lo, hi]` that covers `page`, and how many were looked at.
    fn heir(&self, page: usize, lo: Epoch, hi: Epoch) -> (Option<Id>, usize) {
        let mut work = 1;
        let mut from = Some(Id {
            epoch: hi,
            serial: 0,
        });
        while let Some(id) = from {
            let Some((id, covers)) = self.live.at_or_after(&id, |id, live| {
                (*id, !live.dying && live.coverage.contains(page))
            }) else {
                break;
            };
            if id.epoch <= lo {
                break;
            }
            if covers {
                return (Some(id), work);
            }
            work += 1;
            from = id.successor();
        }
        (None, work)
    }
}

/// How many versions, or snapshots, are looked at in one go, with the store locked.
const BATCH: usize = 32;

/// Pages and a snapshot that were taken out of a [`Store`], to be dropped when it is unlocked.
pub(crate) struct Freed<P, A> {
    pages: [Option<P>; BATCH],
    len: usize,
    live: Option<Node<A>>,
}

impl<P, A> Freed<P, A> {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            pages: [const { None }; BATCH],
            len: 0,
            live: None,
        }
    }

    /// The number of pages in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Takes the pages out of it.
    pub(crate) fn take_pages(&mut self) -> impl Iterator<Item = P> + '_ {
        self.len = 0;
        self.pages.iter_mut().filter_map(Option::take)
    }

    fn push(&mut self, page: P) {
        if let Some(place) = self.pages.get_mut(self.len) {
            *place = Some(page);
            self.len += 1;
        }
    }
}
