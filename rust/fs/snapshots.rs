// SPDX-License-Identifier: GPL-2.0

//! The snapshots of one inode: taking them, keeping pages for them before they change, and dropping them.
//!
//! # Lock order
//!
//! 1. `inode->i_rwsem`
//! 2. `mm->mmap_lock`, or the lock of a mapping
//! 3. `mapping->invalidate_lock`
//! 4. [`Snapshots::lock`], called S; then [`Snapshots::merging`], see [`super::late`]
//! 5. the folio lock
//! 6. [`Snapshots::refreshing`]
//! 7. `mapping->i_mmap_rwsem`
//! 8. page-table locks
//! 9. [`Snapshots::store`]; `map_pages` holds it around 5 and 8, where it gets it and 5 only by trylock
//!
//! # Invariants
//!
//! 1. If a live snapshot covers a page and has no version of it, the live page holds the snapshot's bytes, no page table
//!    maps it writable, and nobody is changing it.
//! 2. The live page enters a private mapping only while it is locked, and only if the mapping's snapshot has no version
//!    of it then.
//! 3. A page is changed in this order: lock it, unmap it and file the version, stamp it, change it, unlock it. A stamp
//!    before the unmap would let a store through a shared mapping go ahead while private mappings still show the page.
//!    Or, if only snapshots have mapped it: lock it, file itself as the version, put another one in its place, stamp that,
//!    unlock both.
//! 4. With S held no memory of the user is touched in a way that may fault: `mmap()` takes S with `mmap_lock` held.

use super::{
    file,
    late,
    space::Space,
    stats::Stats,
    views,
    Inode, //
};
use crate::{
    snapshot::{
        Builder,
        Claim,
        Epoch,
        Found,
        Freed,
        Id,
        LiveSlot,
        Slot,
        Store, //
    },
    vfs::{
        address_space::{
            FolioBatch,
            Mark,
            FOLIO_BATCH_SIZE, //
        },
        folio::{
            Folio,
            LockedFolio,
            Replacement,
            PAGE_SHIFT,
            PAGE_SIZE, //
        },
        memcg::{
            self,
            MemCg, //
        },
        rwlock::RwLock,
        rwsem::{
            RwSem,
            RwSemReadGuard, //
        },
        task, trace,
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex,
        MutexGuard,
        UniqueArc, //
    },
    types::ScopeGuard,
};

/// A reference to a preserved page. Its charge to the superblock is that of the version.
type Page = ARef<Folio>;

/// What an inode knows of its snapshots.
#[pin_data]
pub(crate) struct Snapshots {
    /// S: who changes the file holds it for reading from the question who needs the page to the end of the change; who
    /// takes a snapshot holds it for writing. So a snapshot is of one instant.
    #[pin]
    lock: RwSem,
    /// The current epoch. Changes with S held for writing.
    epoch: Atomic<usize>,
    /// Whether anything changed in the current epoch.
    modified: Atomic<bool>,
    /// [`Store::newest`], to be read without its lock. Grows only with S held for writing.
    newest: Atomic<usize>,
    /// [`Store::count`], to be read without its lock. Grows only with S held, before the change that it is for.
    versions: Atomic<usize>,
    /// How many pages that have left the file may still be stored into; see [`super::late`].
    late: Atomic<usize>,
    /// Held while those pages are looked at.
    #[pin]
    merging: Mutex<()>,
    /// Whether the live file was ever mapped in a way that [`AddressSpace::is_writably_mapped`] does not see: through a
    /// descriptor that is only read, or privately with `private=live`.
    live_readers: Atomic<bool>,
    /// How many changes are filing a version, and want coverages that are up to date.
    filing: Atomic<usize>,
    /// Held from [`Store::begin_refresh`] to [`Store::end_refresh`], between which the store gathers what one walk over the
    /// mappings has seen: two at once would take part of that for all.
    #[pin]
    refreshing: Mutex<()>,
    #[pin]
    store: RwLock<Store<Page, MemCg>>,
}

/// A snapshot: what its mappings show.
#[pin_data]
pub(crate) struct Snapshot {
    id: Id,
    /// The pages of the file that were mapped: the first one, and the one after the last.
    pages: (usize, usize),
    /// The pages that the file had: the one after the last.
    eof: usize,
    /// The page after the last one that the window has that was mapped, if it was one.
    limit: usize,
    /// Pages outside of `pages`, which a growing mremap brought in, or inside, where the snapshot had been unmapped and
    /// the page was not kept: each as it was when it was first touched.
    #[pin]
    touched: Mutex<RBTree<usize, Found<Page>>>,
    /// Whether a mapping was ever split. As long as none was, the last of them has all that the first had.
    split: Atomic<bool>,
    /// Whether a part was unmapped, so that a page may be mapped again of which nothing was kept.
    trimmed: Atomic<bool>,
    /// Whether there ever was a page in `touched`.
    any_touched: Atomic<bool>,
}

impl Snapshot {
    /// The epoch whose pages it shows.
    #[inline]
    pub(crate) fn epoch(&self) -> Epoch {
        self.id.epoch
    }

    /// Whether `page` was mapped when the snapshot was taken.
    #[inline]
    pub(crate) fn covers(&self, page: usize) -> bool {
        self.pages.0 <= page && page < self.pages.1
    }

    /// Whether `page` lies behind the window that was mapped.
    pub(crate) fn is_past_window(&self, page: usize) -> bool {
        page >= self.limit
    }

    /// The pages that it can show: the first one, and the one after the last.
    #[inline]
    pub(crate) fn bounds(&self) -> (usize, usize) {
        (self.pages.0, self.pages.1.min(self.eof))
    }
}

/// How a page is charged that has to be preserved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// Within the limit of the superblock, else the change fails with `ENOSPC`.
    Limited,
    /// Always: the change takes pages away, and must not need space.
    Anyway,
}

impl Snapshots {
    /// No snapshots.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            lock <- RwSem::new(),
            epoch: Atomic::new(1),
            modified: Atomic::new(false),
            newest: Atomic::new(0),
            versions: Atomic::new(0),
            late: Atomic::new(0),
            merging <- new_mutex!((), "Snapshots::merging"),
            live_readers: Atomic::new(false),
            filing: Atomic::new(0),
            refreshing <- new_mutex!((), "Snapshots::refreshing"),
            store <- RwLock::new(Store::new()),
        })
    }

    /// Whether there are any snapshots. With S held none are added.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.newest.load(Relaxed) != 0
    }

    /// Notes that a mapping of the live file is being made that [`AddressSpace::is_writably_mapped`] will not see.
    pub(super) fn note_live_reader(&self) {
        self.live_readers.store(true, Relaxed);
    }

    /// Counts `n` more pages, or less, that have left the file and may still be stored into.
    pub(super) fn note_late(&self, n: isize) {
        self.late.fetch_add(n.cast_unsigned(), Full);
    }

    /// Lets nobody else look at the pages that have left the file and may still be stored into. S must be held. May sleep.
    pub(super) fn merging(&self) -> MutexGuard<'_, ()> {
        self.merging.lock()
    }

    /// What the snapshots of `epoch` see of `page`, if it has changed.
    ///
    /// The answer is final if the live page is locked, or is no longer in the page cache.
    #[inline]
    pub(crate) fn find(&self, page: usize, epoch: Epoch) -> Option<Found<Page>> {
        if self.versions.load(Acquire) == 0 {
            return None;
        }
        self.store.read().lookup(page, epoch)
    }

    /// Calls `f` if `snapshot` still covers all pages from `first` to `last` and none of them has changed, and keeps both
    /// so meanwhile. `None` if not, or if it cannot be found out without waiting. `f` must not sleep.
    #[inline]
    pub(crate) fn with_unchanged<R>(
        &self,
        snapshot: &Snapshot,
        first: usize,
        last: usize,
        f: impl FnOnce() -> R,
    ) -> Option<R> {
        let store = self.store.try_read()?;
        if store.any(first, last, snapshot.epoch()) {
            return None;
        }
        if snapshot.trimmed.load(Relaxed)
            && !(first..=last).all(|page| store.covers(snapshot.id, page))
        {
            return None;
        }
        Some(f())
    }

    /// Whether `page` was unmapped, so that nothing was kept of it since, and came back with a growing mremap.
    #[inline]
    pub(crate) fn has_lost(&self, snapshot: &Snapshot, page: usize) -> bool {
        snapshot.trimmed.load(Relaxed) && !self.store.read().covers(snapshot.id, page)
    }
}

/// The right to change an inode's data: S is held for reading.
pub(crate) struct Change<'a> {
    /// The file, or the segment of it.
    inode: &'a Inode,
    snapshots: &'a Snapshots,
    /// Where the epoch is.
    clock: &'a Snapshots,
    /// Whether the file has views. None is added with S held.
    viewed: bool,
    /// The view that the change is made through, which keeps its pages, and the one of them that the caller has a reference to.
    sparing: Option<(&'a Inode, usize)>,
    _lock: Option<RwSemReadGuard<'a>>,
}

/// Begins to change the data of `inode`, a file or a segment. May sleep.
#[inline(always)]
pub(crate) fn change(inode: &Inode) -> Change<'_> {
    merge_late(inode);
    change_merging(inode)
}

/// Brings the file of `inode` what was stored to pages that have left it, if there are any; see [`late`]. May sleep; S must not
/// be held.
#[inline]
pub(super) fn merge_late(inode: &Inode) {
    if has_late(inode) {
        late::merge(inode.base());
    }
}

/// Whether pages that have left the file of `inode` may still be stored into.
#[inline]
pub(super) fn has_late(inode: &Inode) -> bool {
    inode.clock().late.load(Relaxed) != 0
}

/// As [`change`], for what changes because somebody stores late.
#[inline]
pub(super) fn change_merging(inode: &Inode) -> Change<'_> {
    let lock = inode.clock().lock.read();
    change_with(inode, Some(lock))
}

/// As [`change`], with S held, by `lock` or by the caller.
#[inline(always)]
fn change_with<'a>(inode: &'a Inode, lock: Option<RwSemReadGuard<'a>>) -> Change<'a> {
    let base = inode.base();
    let clock = base.snapshots();
    if !clock.modified.load(Relaxed) {
        clock.modified.store(true, Relaxed);
    }
    Change {
        inode,
        snapshots: inode.snapshots(),
        clock,
        viewed: base.has_extensions(),
        sparing: None,
        _lock: lock,
    }
}

/// Calls `f` while nobody changes the file `base`, takes a snapshot of it or adds an extension to it. May sleep; `EINTR` for a
/// fatal signal.
pub(crate) fn exclusively<R>(base: &Inode, f: impl FnOnce() -> R) -> Result<R> {
    let _lock = base.clock().lock.write_killable()?;
    Ok(f())
}

/// Begins to change the data of `inode` through the page `page` of `view`, which the caller has a reference to. May sleep.
pub(crate) fn change_sparing<'a>(inode: &'a Inode, view: &'a Inode, page: usize) -> Change<'a> {
    let mut change = change(inode);
    change.sparing = Some((view, page));
    change
}

impl Change<'_> {
    /// The same right, for `inode`, another segment of the file.
    pub(crate) fn of<'b>(&'b self, inode: &'b Inode) -> Change<'b> {
        Change {
            inode,
            snapshots: inode.snapshots(),
            clock: self.clock,
            viewed: self.viewed,
            sparing: self.sparing,
            _lock: None,
        }
    }

    /// The current epoch.
    #[inline]
    pub(crate) fn epoch(&self) -> Epoch {
        self.clock.epoch.load(Relaxed)
    }

    /// Sees to it that nobody needs `folio`, which is in the page cache, as it is any more. The caller has `refs`
    /// references to it.
    ///
    /// Two loads and a compare if there is no snapshot or the page was settled in this epoch. Where somebody reads the
    /// page through a pin, such as direct I/O from a private mapping, `folio` becomes another one in the same place, and
    /// the pin keeps what it pinned. `ENOSPC`, `ENOMEM`, and `EIO` for broken memory; then nothing has changed.
    #[inline]
    pub(crate) fn settle(&self, folio: &mut LockedFolio, refs: i32, charge: Charge) -> Result {
        self.settle_or_fill(folio, refs, charge, None).map(|_| ())
    }

    /// Whether [`Change::settle`] would do nothing, which takes two loads and a compare.
    #[inline]
    pub(super) fn is_settled(&self, folio: &LockedFolio) -> bool {
        !folio.is_hwpoison()
            && !self.viewed
            && (self.snapshots.newest.load(Relaxed) == 0 || folio.stamp() == self.epoch())
    }

    /// As [`Change::settle`], for a page that will be written as a whole: if another one takes its place anyway, `fill` gives
    /// that its contents, and returns how much of them. Returns that, or `None` if `fill` was not called.
    #[inline]
    pub(super) fn settle_or_fill(
        &self,
        folio: &mut LockedFolio,
        refs: i32,
        charge: Charge,
        fill: Option<&mut Fill<'_>>,
    ) -> Result<Option<usize>> {
        if folio.is_hwpoison() {
            return Err(EIO);
        }
        let newest = self.snapshots.newest.load(Relaxed);
        if newest == 0 && !self.viewed {
            return Ok(None);
        }
        let epoch = self.epoch();
        let stamp = folio.stamp();
        if self.viewed {
            views::part_with(self.inode, folio, stamp == epoch, self.sparing, charge)?;
        }
        if stamp == epoch {
            return Ok(None);
        }
        let mut filled = None;
        if newest > stamp {
            filled = self.keep_or_replace(folio, refs, charge, fill)?;
        }
        folio.set_stamp(epoch);
        Ok(filled)
    }

    /// As [`Change::settle`], for a page that nobody but its caller has locked. Waits for memory if it has to.
    pub(crate) fn settle_anyway(&self, mut folio: LockedFolio) {
        insist(|| self.settle(&mut folio, 1, Charge::Anyway));
    }

    /// The slow part of [`Change::settle`].
    #[cold]
    #[inline(never)]
    fn keep_or_replace(
        &self,
        folio: &mut LockedFolio,
        refs: i32,
        charge: Charge,
        fill: Option<&mut Fill<'_>>,
    ) -> Result<Option<usize>> {
        let mapping = self.inode.mapping();
        // Who may write to the page through a pin has to go on writing to the file.
        let replace = if mapping.is_writable(folio) {
            None
        } else {
            Some(Replace {
                refs,
                live: self.may_be_mapped_live(),
                fill,
                filled: None,
            })
        };
        let (new, filled) = self.snapshots.keep(self.inode, folio, charge, replace)?;
        if new.is_some_and(|new| folio.replace(new)) {
            folio.mark_dirty();
        }
        Ok(filled)
    }

    /// Whether anybody but snapshots may have mapped a page of the file that is locked. Who maps the file for the first time
    /// after this waits for the lock, and finds what is there then.
    fn may_be_mapped_live(&self) -> bool {
        self.viewed
            || self.inode.mapping().is_writably_mapped()
            || self.snapshots.live_readers.load(Relaxed)
    }

    /// As [`Change::settle`], for a page where the file had a hole until now.
    #[inline]
    pub(crate) fn settle_hole(&self, folio: &LockedFolio) -> Result {
        if self.viewed {
            views::part_with(self.inode, folio, false, self.sparing, Charge::Limited)?;
        }
        if self.snapshots.newest.load(Relaxed) == 0 {
            return Ok(());
        }
        // Nobody can have mapped the new page, and who mapped zeros for the hole keeps them.
        self.snapshots
            .preserve(self.inode, folio.index(), 0, |_| Ok(Found::Hole))?;
        folio.set_stamp(self.epoch());
        Ok(())
    }

    /// Takes `folio` out of the page cache, and gives it to the snapshots that need it.
    ///
    /// It costs no copy and no memory but for the entry in the version store, unless somebody may be writing to the page
    /// through a pin. Cannot fail; waits for memory if it has to.
    pub(crate) fn discard(&self, folio: &LockedFolio) {
        let mapping = self.inode.mapping();
        if self.viewed {
            let settled = folio.stamp() == self.epoch();
            insist(|| views::part_with(self.inode, folio, settled, self.sparing, Charge::Anyway));
        }
        let writable = mapping.is_writable(folio);
        let charged = folio.is_dirty();
        // The page will not change, so a stale translation of a reader does no harm. One of a writer would.
        if writable || folio.is_mapped() {
            mapping.unmap(folio.index(), 1);
        }
        let given = self.snapshots.newest.load(Relaxed) > folio.stamp()
            && self.give(folio, writable && folio.has_other_users(1));
        // A locked folio of ours is still there.
        let _ = mapping.remove(folio);
        folio.set_stamp(0);
        if given {
            self.inode.stats().pages_given.add(1);
        }
        if charged && !given {
            self.inode.space().uncharge(1);
        }
    }

    /// Files `folio` itself, or a copy. Returns whether the folio and its charge went to the store.
    fn give(&self, folio: &LockedFolio, copy: bool) -> bool {
        // Broken memory is not copied; who maps it will be told.
        if (copy && !folio.is_hwpoison()) || !folio.is_uptodate() {
            insist(|| self.snapshots.keep(self.inode, folio, Charge::Anyway, None));
            return false;
        }
        insist(|| {
            self.snapshots
                .preserve(self.inode, folio.index(), folio.stamp(), |_| {
                    Ok(Found::Page(folio.reference()))
                })
        }) == Some(Outcome::Filed)
    }
}

/// Writes to the start of a page that nobody else knows. Returns how much.
pub(super) type Fill<'a> = dyn FnMut(&LockedFolio) -> usize + 'a;

/// How another page may take the place of one that has to be kept.
struct Replace<'a, 'b> {
    /// The references to it that the caller has.
    refs: i32,
    /// Whether others than snapshots may have mapped it.
    live: bool,
    /// What the new page holds instead of a copy.
    fill: Option<&'a mut Fill<'b>>,
    /// What that has returned.
    filled: Option<usize>,
}

/// What became of a version that was to be filed.
#[derive(PartialEq, Eq)]
enum Outcome {
    /// It is in the store.
    Filed,
    /// Nobody needs one, and none was made.
    NotNeeded,
    /// One was made, but who needed it is gone.
    Spare,
}

/// Repeats what fails for want of memory. The kernel frees memory, or ends processes, until it succeeds. `None` if it fails
/// for another reason.
pub(super) fn insist<R>(mut f: impl FnMut() -> Result<R>) -> Option<R> {
    loop {
        match f() {
            Err(err) if err == ENOMEM => task::cond_resched(),
            ret => return ret.ok(),
        }
    }
}

impl Snapshots {
    /// Keeps the locked page `copy` of `view` for those who need it, and leaves it in the view.
    pub(super) fn keep_view(&self, view: &Inode, copy: &LockedFolio, charge: Charge) -> Result {
        self.keep(view, copy, charge, None).map(|_| ())
    }

    /// As [`Snapshots::keep_view`], for a page to which the caller has `refs` references and that nobody may store into yet. Who
    /// reads it through a pin goes on with that page, and `copy` becomes another one.
    pub(super) fn keep_view_read(
        &self,
        view: &Inode,
        copy: &mut LockedFolio,
        refs: i32,
        charge: Charge,
    ) -> Result {
        let replace = Replace {
            refs,
            live: true,
            fill: None,
            filled: None,
        };
        if let (Some(new), _) = self.keep(view, copy, charge, Some(replace))? {
            let stamp = copy.stamp();
            copy.set_stamp(0);
            // A locked folio of ours is still there.
            let _ = copy.replace(new);
            copy.set_stamp(stamp);
        }
        Ok(())
    }

    /// Gives the locked page `copy` of `view`, which is about to leave that, to those who need it; a copy if somebody else has
    /// it.
    pub(super) fn give_view(&self, view: &Inode, copy: &LockedFolio, charge: Charge) -> Result {
        view.mapping().unmap(copy.index(), 1);
        if copy.has_other_users(1) {
            return self.keep_view(view, copy, charge);
        }
        let outcome = self.preserve(view, copy.index(), copy.stamp(), |_| {
            self.charge(view, charge)?;
            Ok(Found::Page(copy.reference()))
        })?;
        match outcome {
            Outcome::Filed => view.stats().pages_given.add(1),
            Outcome::Spare => view.space().uncharge(1),
            Outcome::NotNeeded => (),
        }
        Ok(())
    }

    /// Keeps what `make` returns as the page `page` of `view`, which is not there, for those who need it; a hole if that is
    /// nothing.
    pub(super) fn keep_made(
        &self,
        view: &Inode,
        page: usize,
        charge: Charge,
        make: impl FnOnce() -> Result<Option<Page>>,
    ) -> Result {
        let mut pages = 0;
        let outcome = self.preserve(view, page, 0, |_| {
            let Some(made) = make()? else {
                return Ok(Found::Hole);
            };
            self.charge(view, charge)?;
            pages = 1;
            Ok(Found::Page(made))
        })?;
        match outcome {
            Outcome::Filed => view.stats().pages_copied.add(pages),
            Outcome::Spare => view.space().uncharge(pages),
            Outcome::NotNeeded => (),
        }
        Ok(())
    }

    /// Charges a page that is to be kept.
    fn charge(&self, inode: &Inode, charge: Charge) -> Result {
        match charge {
            Charge::Limited => inode.space().charge(1).inspect_err(|_| {
                inode.stats().enospc.add(1);
            })?,
            Charge::Anyway => inode.space().charge_anyway(1),
        }
        Ok(())
    }

    /// Keeps the locked `folio` for those who need it: as a copy, or, where that is possible and better, itself. Then the
    /// folio to put in its place is returned, and what filled that.
    fn keep(
        &self,
        inode: &Inode,
        folio: &LockedFolio,
        charge: Charge,
        mut replace: Option<Replace<'_, '_>>,
    ) -> Result<(Option<Replacement>, Option<usize>)> {
        let uptodate = folio.is_uptodate();
        let mut new = None;
        let outcome = self.preserve(inode, folio.index(), folio.stamp(), |account| {
            // What is not uptodate was never written to, nor mapped.
            if !uptodate {
                return Ok(Found::Hole);
            }
            // If only snapshots have mapped the page they may go on with that: all of them want this version. It stays
            // charged to whom it was charged, so that has to be who pays for the version. For the new page he is charged past
            // his limit, so he must not have reached it.
            let itself = replace.as_ref().is_some_and(|replace| !replace.live)
                && account.is_none_or(|account| account.pays_for(folio));
            if !itself {
                // Nobody can map it again before it is unlocked. Then he will find the version.
                inode.mapping().unmap(folio.index(), 1);
                inode.stats().unmaps.add(1);
            }
            self.charge(inode, charge)?;
            let kept = match &mut replace {
                // Who reads the page through a pin is better off with the old page, too.
                Some(replace) if itself || folio.has_other_users(replace.refs) => {
                    Folio::replacement_of(folio, |page| match replace.fill.take() {
                        Some(fill) => *replace.filled.insert(fill(page)),
                        None => 0,
                    })
                    .map(|page| {
                        new = Some(page);
                        folio.reference()
                    })
                }
                _ => Folio::copy_of(folio),
            };
            kept.map(Found::Page)
                .inspect_err(|_| inode.space().uncharge(1))
        })?;
        let filled = replace.and_then(|replace| replace.filled);
        match outcome {
            Outcome::Filed if filled == Some(PAGE_SIZE) => inode.stats().pages_given.add(1),
            Outcome::Filed if uptodate => inode.stats().pages_copied.add(1),
            Outcome::Spare if uptodate => {
                inode.space().uncharge(1);
                // What was written to it is part of the file.
                new = new.filter(|_| filled.is_some());
            }
            _ => (),
        }
        Ok((new, filled))
    }

    /// Files what `make` returns as the version of `page` that the snapshots above `stamp` see, if any of them needs one. It is
    /// told who pays for that.
    ///
    /// S is held, and the live page is locked if there is one.
    fn preserve(
        &self,
        inode: &Inode,
        page: usize,
        stamp: Epoch,
        make: impl FnOnce(Option<&MemCg>) -> Result<Found<Page>>,
    ) -> Result<Outcome> {
        let epoch = inode.clock().epoch.load(Relaxed);
        // Who unmaps a part meanwhile sees to the coverage himself, so that this comes to an end.
        self.filing.fetch_add(1, Full);
        let _filing = ScopeGuard::new(|| {
            self.filing.fetch_sub(1, Full);
        });
        // A page of a view may have been made anew since its version was filed.
        let since = |store: &Store<Page, MemCg>| {
            if inode.is_view() {
                stamp.max(store.settled(page))
            } else {
                store.settled_since(page, stamp)
            }
        };
        let mut make = Some(make);
        let mut made = None;
        loop {
            let (claim, account) = {
                let store = self.store.read();
                match store.claim(page, since(&store)) {
                    claim @ Claim::By(id) => (claim, store.account(id)),
                    claim => (claim, None),
                }
            };
            match claim {
                Claim::By(_) => (),
                Claim::Stale => {
                    self.refresh_all(inode);
                    continue;
                }
                Claim::Nobody if made.is_some() => return Ok(Outcome::Spare),
                Claim::Nobody => return Ok(Outcome::NotNeeded),
            }
            if let Some(make) = make.take() {
                let make = || {
                    let slot = memcg::alloc(Slot::new)?;
                    Ok::<_, Error>((make(account.as_ref())?, slot))
                };
                made = Some(match &account {
                    Some(account) => account.charge(make),
                    None => make(),
                }?);
            }
            let mut store = self.store.write();
            let lo = since(&store);
            // Who needs it may be gone by now.
            if let Claim::By(owner) = store.claim(page, lo) {
                if let Some((content, slot)) = made.take() {
                    let is_page = matches!(content, Found::Page(_));
                    store.file(page, lo, epoch, content, owner, slot);
                    self.versions.store(store.count(), Release);
                    drop(store);
                    inode.stats().preserved_pages.add(usize::from(is_page));
                    trace::preserve(inode, page, lo, epoch, !is_page);
                }
                return Ok(Outcome::Filed);
            }
        }
    }

    /// Finds out which pages the mappings of a snapshot still cover. Calls `f` with those that they have from `pages.0` to before
    /// `pages.1`, whether or not the snapshot always had them, while no mapping can change; not if there are no such pages.
    fn refresh(&self, inode: &Inode, id: Id, pages: (usize, usize), f: impl FnOnce(&Builder)) {
        let (first, end) = self.store.read().hull(id).unwrap_or(pages);
        let (first, end) = (first.min(pages.0), end.max(pages.1));
        let Some(last) = end.checked_sub(1) else {
            return;
        };
        // Stored before the mappings may change again: the last one computed has to be the last one stored.
        inode.mapping().with_vmas(first, last, |vmas| {
            let (mut seen, mut there) = (Builder::new(), Builder::new());
            for vma in vmas {
                if vma.with_snapshot::<super::mmap::Private, _>(|s| s.id) == Some(id) {
                    let (first, end) = vma.pages();
                    seen.add(first, end);
                    there.add(first.max(pages.0), end.min(pages.1));
                }
            }
            self.store.write().refresh(id, &seen);
            f(&there);
        });
    }

    /// Finds out which pages the mappings still cover of all snapshots that have lost some, in one go over the mappings.
    fn refresh_all(&self, inode: &Inode) {
        let _refreshing = self.refreshing.lock();
        if !self.store.read().is_stale() {
            // Another one has done it meanwhile.
            return;
        }
        inode.mapping().with_vmas(0, usize::MAX, |vmas| {
            let mut next = self.store.write().begin_refresh(None);
            while next.is_some() {
                next = self.store.write().begin_refresh(next);
            }
            for vma in vmas {
                if let Some(id) = vma.with_snapshot::<super::mmap::Private, _>(|s| s.id) {
                    let (first, end) = vma.pages();
                    self.store.write().see(id, first, end);
                }
            }
            let mut next = self.store.write().end_refresh(None);
            while next.is_some() {
                next = self.store.write().end_refresh(next);
            }
        });
    }

    /// Drops what `freed` holds, outside of all locks.
    fn discharge(inode: &Inode, mut freed: Freed<Page, MemCg>) {
        let pages = freed.len();
        FolioBatch::put_all(freed.take_pages());
        drop(freed);
        if pages != 0 {
            inode.space().uncharge(pages);
            inode.stats().preserved_pages.sub(pages);
        }
    }

    /// Repeats `f`, a batch of work with the store locked, until it says that all is done.
    fn in_batches(
        &self,
        inode: &Inode,
        mut f: impl FnMut(&mut Store<Page, MemCg>, &mut Freed<Page, MemCg>) -> bool,
    ) {
        loop {
            let mut freed = Freed::new();
            let done = {
                let mut store = self.store.write();
                let done = f(&mut store, &mut freed);
                self.versions.store(store.count(), Release);
                self.newest.store(store.newest(), Relaxed);
                done
            };
            Self::discharge(inode, freed);
            if done {
                break;
            }
            task::cond_resched();
        }
    }
}

/// Takes a snapshot of the pages from `pages.0` to before `pages.1` of `inode`, as far as they lie before `limit`.
/// `mmap_lock` is held for writing.
///
/// The work does not depend on the number of pages, but on those that shared mappings may be writing to: these are
/// unmapped, and copied at once where somebody has pinned them. `ENOMEM`, `ENOSPC`, `EOVERFLOW`, and `EINTR` for a fatal
/// signal.
pub(crate) fn take(inode: &Inode, pages: (usize, usize), limit: usize) -> Result<Arc<Snapshot>> {
    let this = inode.snapshots();
    let slot = LiveSlot::new(GFP_KERNEL_ACCOUNT)?;
    let memory = UniqueArc::<Snapshot>::new_uninit(GFP_KERNEL_ACCOUNT)?;
    let account = MemCg::current();

    let clock = inode.clock();
    merge_late(inode);
    // Most of the work while others need not wait for it. They may undo some.
    views::for_each_part(inode, pages, |part, range| {
        if part.mapping().any_writable() {
            Snapshots::protect(part, range, Protect::Ahead)?;
        }
        Ok(())
    })?;
    let lock = clock.lock.write_killable()?;
    let size = inode.size();
    let eof = size_in_pages(size).min(limit);
    let end = pages.1.min(eof).max(pages.0);
    let range = (pages.0, end);
    let (mut writable, mut lent) = (false, false);
    let _ = views::for_each_part(inode, range, |part, range| {
        lent |= views::unmap_lent(part, range);
        writable |= part.mapping().any_writable();
        Ok(())
    });
    let protect = |how| {
        views::for_each_part(inode, range, |part, range| {
            Snapshots::protect(part, range, how)
        })
    };
    if writable || lent {
        protect(Protect::All)?;
        views::for_each_part(inode, range, |part, range| {
            views::take_back_all(part, range);
            Ok(())
        })?;
    }
    // What has been stored when nobody can begin to store any more.
    if has_late(inode) {
        late::merge_by(&change_with(inode.base(), None), inode.base(), 0);
    }
    let mut epoch = clock.epoch.load(Relaxed);
    if clock.modified.load(Relaxed) {
        epoch = epoch.checked_add(1).ok_or(EOVERFLOW)?;
        clock.epoch.store(epoch, Relaxed);
        clock.modified.store(false, Relaxed);
        inode.stats().epochs.add(1);
    }
    inode.stats().snapshots.add(1);
    let id = {
        let mut store = this.store.write();
        let id = store.insert(epoch, pages.0, end, account, slot);
        this.newest.store(store.newest(), Relaxed);
        id
    };
    let snapshot = memory.pin_init_with(pin_init!(Snapshot {
        id,
        pages,
        eof,
        limit,
        touched <- new_mutex!(RBTree::new(), "Snapshot::touched"),
        split: Atomic::new(false),
        trimmed: Atomic::new(false),
        any_touched: Atomic::new(false),
    }));
    let Ok(snapshot): Result<_, core::convert::Infallible> = snapshot;
    let snapshot = Arc::from(snapshot);
    if writable || lent {
        // Copied are the pages only when nobody can begin to store any more. Else a mapping could show a store that began
        // when an earlier one, to a page that was copied already, had ended.
        if let Err(err) = protect(Protect::OrCopy(id.epoch)) {
            // Pages may have been stamped for a snapshot that will not be.
            clock.modified.store(true, Relaxed);
            drop(lock);
            release(inode, snapshot);
            return Err(err);
        }
    }
    trace::snapshot(inode, epoch, pages);
    Ok(snapshot)
}

/// What becomes of pages that are taken away from those who may be writing to them.
#[derive(Clone, Copy)]
enum Protect {
    /// S is not held: leave out those that are not that easy. Who may write to a page has its lock when he begins to, so one that
    /// nobody may is as good as any other whenever that was found out.
    Ahead,
    /// All that are not pinned.
    All,
    /// And those that are pinned are copied for the snapshots up to this epoch.
    OrCopy(Epoch),
}

impl Snapshots {
    /// Takes the pages from `pages.0` to before `pages.1` of a file or segment away from those who may be writing to them. S is
    /// held for writing, unless it is done ahead.
    fn protect(inode: &Inode, pages: (usize, usize), how: Protect) -> Result {
        let mapping = inode.mapping();
        let mut next = pages.0;
        let Some(last) = pages.1.checked_sub(1) else {
            return Ok(());
        };
        while next <= last {
            let batch = mapping.batch_marked(&mut next, last, Mark::Writable);
            if batch.is_empty() {
                break;
            }
            if task::fatal_signal_pending() {
                return Err(EINTR);
            }
            task::cond_resched();
            // A page that is about to become writable is locked until it is mapped so. In the order of their index.
            let mut found = batch.into_folios();
            let folios: [Option<LockedFolio>; FOLIO_BATCH_SIZE] = core::array::from_fn(|_| {
                found.find_map(|folio| {
                    let index = folio.index();
                    // It may have moved meanwhile.
                    Some(Folio::lock(folio))
                        .filter(|folio| mapping.contains(folio))
                        .or_else(|| mapping.lock(index))
                })
            });
            // Not just write-protect: references can be told only from each other on an unmapped page. Flushing the TLBs of
            // other CPUs is what costs, so once for all pages in a row.
            let mut run = (0, 0);
            for index in folios.iter().flatten().map(|folio| folio.index()) {
                if index != run.1 {
                    Self::unmap_run(inode, run);
                    run.0 = index;
                }
                run.1 = index + 1;
            }
            Self::unmap_run(inode, run);
            for folio in folios.into_iter().flatten() {
                if let Protect::Ahead = how {
                    // At the end of the file there may be something to clear, when its size does not change.
                    if folio.index() < file::page_of(file::unsigned(inode.size())).0
                        && !folio.has_other_users(1)
                    {
                        mapping.set_writable(&folio, false);
                    }
                    continue;
                }
                clear_past(&folio, inode.size());
                if !folio.has_other_users(1) {
                    mapping.set_writable(&folio, false);
                } else if let Protect::OrCopy(epoch) = how {
                    // It may be pinned for writing. Now is the last time that its contents are known.
                    if inode.has_views() {
                        views::part_with(inode, &folio, false, None, Charge::Limited)?;
                    }
                    inode
                        .snapshots()
                        .keep(inode, &folio, Charge::Limited, None)?;
                    inode.stats().eager_copies.add(1);
                    folio.set_stamp(epoch);
                    inode.clock().modified.store(true, Relaxed);
                }
            }
        }
        Ok(())
    }

    /// Unmaps the pages from `run.0` to before `run.1`.
    fn unmap_run(inode: &Inode, run: (usize, usize)) {
        if run.0 < run.1 {
            inode.mapping().unmap(run.0, run.1 - run.0);
            inode.stats().unmaps.add(1);
        }
    }
}

/// Clears what stores through shared mappings have left on an unmapped page behind the end of a file or view of `size`
/// bytes: they are no part of it.
pub(super) fn clear_past(folio: &LockedFolio, size: i64) {
    let from = (size as usize) % PAGE_SIZE;
    if from != 0
        && usize::try_from(size >> PAGE_SHIFT) == Ok(folio.index())
        && !folio.is_hwpoison()
        && !folio.is_zero_from(from)
    {
        folio.zero_range(from, PAGE_SIZE);
    }
}

/// Drops a snapshot whose last mapping is gone, and all that was kept for it alone. Takes no lock that a writer waits for.
pub(crate) fn release(inode: &Inode, snapshot: Arc<Snapshot>) {
    let this = inode.snapshots();
    inode.stats().snapshots.sub(1);
    trace::release(inode, snapshot.epoch(), snapshot.pages);
    let gone = {
        let mut store = this.store.write();
        let gone = store.retire(snapshot.id);
        this.newest.store(store.newest(), Relaxed);
        gone
    };
    if gone.is_none() {
        this.in_batches(inode, |store, freed| store.drain(snapshot.id, freed));
    }
    drop(gone);
    if !snapshot.has_touched() {
        return;
    }
    let touched = core::mem::replace(&mut *snapshot.touched.lock(), RBTree::new());
    let pages = touched
        .values()
        .filter(|found| matches!(found, Found::Page(_)))
        .count();
    drop(touched);
    inode.space().uncharge(pages);
    inode.stats().preserved_pages.sub(pages);
}

/// Frees what was kept for the part `pages` of a snapshot's mapping that was unmapped, while other parts remain.
pub(crate) fn trim(inode: &Inode, snapshot: &Snapshot, pages: (usize, usize)) {
    let this = inode.snapshots();
    // Those that are left are whole, as when a child exits. Who splits one after this looks at the mappings later than that,
    // and this one left their tree before.
    if !snapshot.split.load(Relaxed) && !snapshot.has_touched() {
        return;
    }
    snapshot.trimmed.store(true, Relaxed);
    let lost;
    {
        let mut store = this.store.write();
        store.mark_stale(snapshot.id);
        // Without versions nothing depends on the coverage, until the first is filed.
        if store.count() == 0 && this.filing.load(Acquire) == 0 && !snapshot.has_touched() {
            return;
        }
        lost = pages.0 < pages.1 && store.any(pages.0, pages.1 - 1, snapshot.epoch());
    }
    // Before another mapping can grow to where they are, and show them.
    this.refresh(inode, snapshot.id, pages, |there| {
        snapshot.forget(inode, pages, there);
    });
    if !lost {
        return;
    }
    let mut next = pages.0;
    let mut shared = false;
    this.in_batches(inode, |store, freed| {
        store.strip(snapshot.id, &mut next, pages.1, &mut shared, freed)
    });
    // What others need as well has to become theirs, or it would stay for as long as this snapshot does.
    if shared {
        this.in_batches(inode, |store, freed| store.disown(snapshot.id, freed));
    }
}

impl Snapshot {
    /// Whether there are pages that were kept when they were first touched.
    fn has_touched(&self) -> bool {
        self.any_touched.load(Relaxed)
    }

    /// Notes that a mapping is about to be split.
    pub(crate) fn split(&self) {
        self.split.store(true, Relaxed);
    }

    /// What was kept when `page` was first touched.
    pub(crate) fn touched(&self, page: usize) -> Option<Found<Page>> {
        self.touched.lock().get(&page).cloned()
    }

    /// Frees the pages from `pages.0` to before `pages.1` that were kept when they were first touched, and that are not in
    /// `there`, which are still mapped.
    fn forget(&self, inode: &Inode, pages: (usize, usize), there: &Builder) {
        let mut next = pages.0;
        loop {
            let node = {
                let mut touched = self.touched.lock();
                let found = touched.cursor_lower_bound(&next).map(|at| *at.current().0);
                match found {
                    Some(page) if page < pages.1 => {
                        next = page.saturating_add(1);
                        if there.contains(page) {
                            continue;
                        }
                        touched.remove_node(&page)
                    }
                    _ => return,
                }
            };
            if let Some(Found::Page(_)) = node.map(|node| node.to_key_value().1) {
                inode.space().uncharge(1);
                inode.stats().preserved_pages.sub(1);
            }
        }
    }

    /// Keeps the locked live page `folio` of `inode` as it is now, for `page`, which the snapshot has nothing of. `ENOMEM`,
    /// `ENOSPC`.
    pub(crate) fn touch(
        &self,
        page: usize,
        inode: &Inode,
        folio: &LockedFolio,
    ) -> Result<Found<Page>> {
        let mapping = inode.mapping();
        if mapping.is_writable(folio) || inode.is_view() {
            // Against stores during the copy.
            mapping.unmap(folio.index(), 1);
            // Who changes the size looks at this page afterwards, or has done so.
            clear_past(folio, inode.size());
        }
        inode.space().charge(1)?;
        let kept =
            Folio::copy_of(folio).and_then(|copy| self.keep_touched(page, Found::Page(copy)));
        match kept {
            Ok((_, true)) => inode.stats().preserved_pages.add(1),
            _ => inode.space().uncharge(1),
        }
        kept.map(|(found, _)| found)
    }

    /// As [`Snapshot::touch`], for a page where the file has a hole. It takes no page.
    pub(crate) fn touch_hole(&self, page: usize) -> Result<Found<Page>> {
        self.keep_touched(page, Found::Hole).map(|(found, _)| found)
    }

    /// Keeps `found` for `page`, unless somebody was here first. Returns what is kept, and whether it is `found`.
    fn keep_touched(&self, page: usize, found: Found<Page>) -> Result<(Found<Page>, bool)> {
        let node = RBTreeNode::new(page, found.clone(), GFP_KERNEL_ACCOUNT)?;
        let mut touched = self.touched.lock();
        if let Some(first) = touched.get(&page) {
            return Ok((first.clone(), false));
        }
        touched.insert(node);
        self.any_touched.store(true, Relaxed);
        Ok((found, true))
    }
}

impl Inode {
    /// The snapshots of a regular file.
    #[inline]
    pub(super) fn snapshots(&self) -> &Snapshots {
        &self.data().file.snapshots
    }

    /// Where S and the epoch are: those of a view or segment are the file's.
    #[inline]
    fn clock(&self) -> &Snapshots {
        self.base().snapshots()
    }

    /// What the snapshots of the superblock have cost.
    #[inline]
    pub(super) fn stats(&self) -> &Stats {
        &self.super_block().data().stats
    }

    /// The pages of the superblock.
    #[inline]
    pub(super) fn space(&self) -> &Space {
        &self.super_block().data().space
    }
}

/// The number of pages that a file of `size` bytes has, the last one perhaps in part.
pub(crate) fn size_in_pages(size: i64) -> usize {
    let size = u64::try_from(size).unwrap_or(0);
    usize::try_from(size.div_ceil(PAGE_SIZE as u64)).unwrap_or(usize::MAX)
}
