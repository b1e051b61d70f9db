// SPDX-License-Identifier: GPL-2.0

//! Stores that come late: to a page that has left the page cache while somebody had it pinned.
//!
//! A page that is to show up elsewhere in other pages, as in a view, cannot be followed there while somebody stores into it by
//! a pin, of which nobody is told when it ends. If it lasts too long, a copy takes the place of the page, and the page itself is
//! kept here, with what it held then. What differs later was stored by the pin. It becomes part of the file as if it was written
//! by `write()`: when the pin has gone, or when somebody is about to read or change the file.
//!
//! # Lock order
//!
//! [`LateStores::sweeping`], before S; S; `merging` of the file, before the locks that come after S, see [`super::snapshots`].
//! [`LateStores::pages`] is a leaf.

use super::{
    file,
    snapshots::{
        change_merging,
        insist,
        Change,
        Charge, //
    },
    views, Inode,
};
use crate::vfs::{
    folio::{
        Folio,
        LatePage,
        LockedFolio,
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    work,
};
use kernel::{
    impl_has_delayed_work, new_delayed_work, new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::{
        msecs_to_jiffies,
        Instant,
        Monotonic,
        Msecs, //
    },
    workqueue::{
        self,
        DelayedWork,
        WorkItem, //
    },
};

/// How many milliseconds after a page was added it is looked at, and how many it is at most until the next look: it takes twice
/// as long each time.
const PERIOD: (Msecs, Msecs) = (1, 16);

/// How many milliseconds somebody is waited for who has a reference but no pin, such as `ptrace()` while it copies. Others have
/// one for long and do not store: a pipe, for instance.
const MAX_REFERENCE: i64 = 1000;

/// A page that has left a file.
struct Page {
    /// The file.
    base: ARef<Inode>,
    /// The byte of the file that its first one is.
    pos: u64,
    /// How many of its bytes are part of the file.
    len: usize,
    page: LatePage,
    since: Instant<Monotonic>,
}

impl Page {
    /// Whether it has left the file `base`.
    fn is_of(&self, base: &Inode) -> bool {
        core::ptr::eq::<Inode>(&*self.base, base)
    }

    /// Whether nobody will store into it any more.
    fn is_final(&self) -> bool {
        self.page.is_final()
            || (!self.page.maybe_pinned() && self.since.elapsed().as_millis() > MAX_REFERENCE)
    }

    /// Brings the file what was stored since the last look. Waits `patience` ms at most for who has pinned a page.
    fn merge(&mut self, change: &Change<'_>, patience: u32) {
        let base: &Inode = &self.base;
        let mut from = 0;
        while from < self.len {
            let pos = self.pos + from as u64;
            let (page, at) = (pos >> PAGE_SHIFT, file::page_of(pos).1);
            let len = (self.len - from).min(PAGE_SIZE - at);
            if self.page.differs(from, len) {
                if let Some((part, index)) = base.part_of_page(page) {
                    // Where the file has become shorter, or has a hole now, the store was before that.
                    let folio = part.lock_page_within(index, patience);
                    if let Some(mut folio) = folio.filter(|folio| folio.is_uptodate()) {
                        let change = change.of(part);
                        let settled = insist(|| change.settle(&mut folio, 1, Charge::Anyway));
                        let left = file::unsigned(base.size()).saturating_sub(pos);
                        let len = len.min(usize::try_from(left).unwrap_or(usize::MAX));
                        if settled.is_some() {
                            self.page.merge_into(&folio, at, from, len);
                        }
                    }
                }
            }
            from += len;
        }
    }
}

/// Where a page is that has left a file, for as long as it is kept.
enum Slot {
    Free,
    /// It is being looked at.
    Taken,
    Page(KBox<Page>),
}

/// The slots of [`LateStores`].
struct Slots {
    slots: KVVec<Slot>,
    /// How many are free.
    free: usize,
}

impl Slots {
    const fn new() -> Self {
        Self {
            slots: KVVec::new(),
            free: 0,
        }
    }

    /// Keeps `page`. `ENOMEM`.
    fn add(&mut self, page: KBox<Page>) -> Result {
        let is_free = |slot: &&mut Slot| matches!(slot, Slot::Free);
        if self.free > 0 {
            if let Some(slot) = self.slots.iter_mut().find(is_free) {
                *slot = Slot::Page(page);
                self.free -= 1;
                return Ok(());
            }
        }
        Ok(self.slots.push(Slot::Page(page), GFP_KERNEL)?)
    }

    /// The first page from `next` on for which `f` returns anything: which slot it is in, and what `f` has returned.
    fn find<R>(&self, next: usize, f: impl Fn(&Page) -> Option<R>) -> Option<(usize, R)> {
        let mut rest = self.slots.iter().enumerate().skip(next);
        rest.find_map(|(index, slot)| match slot {
            Slot::Page(page) => Some((index, f(page)?)),
            _ => None,
        })
    }

    /// The page in slot `index`, to be put back, if it is one of the file `base`.
    fn take(&mut self, index: usize, base: &Inode) -> Option<KBox<Page>> {
        let slot = self.slots.get_mut(index)?;
        match core::mem::replace(slot, Slot::Taken) {
            Slot::Page(page) if page.is_of(base) => Some(page),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// Puts back what was taken from slot `index`, or frees the slot.
    fn put(&mut self, index: usize, page: Option<KBox<Page>>) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        self.free += usize::from(page.is_none());
        *slot = page.map_or(Slot::Free, Slot::Page);
        while matches!(self.slots.last(), Some(Slot::Free)) {
            self.slots.truncate(self.slots.len() - 1);
            self.free -= 1;
        }
    }
}

/// The pages that have left the files of a superblock while somebody may have been storing into them.
#[pin_data]
pub(crate) struct LateStores {
    /// Held while the pages of all files are looked at.
    #[pin]
    sweeping: Mutex<()>,
    #[pin]
    pages: Mutex<Slots>,
    /// The milliseconds to the next look.
    period: Atomic<Msecs>,
    #[pin]
    work: DelayedWork<Self>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for LateStores { self.work }
}

impl WorkItem for LateStores {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if this.sweep() {
            let period = this.period.load(Relaxed);
            this.period.store((period * 2).min(PERIOD.1), Relaxed);
            this.start();
        }
    }
}

impl LateStores {
    /// None yet. `ENOMEM`.
    pub(super) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                sweeping <- new_mutex!((), "LateStores::sweeping"),
                pages <- new_mutex!(Slots::new(), "LateStores::pages"),
                period: Atomic::new(PERIOD.0),
                work <- new_delayed_work!("LateStores::work"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Looks at the pages in a while.
    fn start(self: Arc<Self>) {
        let delay = msecs_to_jiffies(self.period.load(Relaxed));
        // If it is queued already, that will do. The kernel warns of some of the other queues.
        let _ = workqueue::system_long().enqueue_delayed(self, delay);
    }

    /// Takes note of `folio`, which no page table maps, before it leaves the file `base` or a view of that: its first `len` bytes
    /// are those of the file from `pos` on. Returns what it holds now; what comes later is merged once it has been unlocked.
    ///
    /// `ENOMEM`, and `EIO` for broken memory; then nothing has happened.
    pub(super) fn add(
        self: &Arc<Self>,
        base: &Inode,
        pos: u64,
        len: usize,
        folio: &LockedFolio,
    ) -> Result<ARef<Folio>> {
        let boxed = KBox::<Page>::new_uninit(GFP_KERNEL)?;
        // Before the look: who finds that nothing is late has stored before that, or it was not he who did. And he who finds
        // that something is waits for the list.
        base.snapshots().note_late(1);
        let mut pages = self.pages.lock();
        let added = LatePage::new(folio).and_then(|page| {
            let seen = page.seen();
            let page = Page {
                base: base.into(),
                pos,
                len: len.min(PAGE_SIZE),
                page,
                since: Instant::now(),
            };
            pages.add(boxed.write(page))?;
            Ok(seen)
        });
        drop(pages);
        if added.is_err() {
            base.snapshots().note_late(-1);
        } else {
            self.period.store(PERIOD.0, Relaxed);
            self.clone().start();
        }
        added
    }

    /// Looks at all pages. Returns whether there are any yet. May sleep.
    fn sweep(&self) -> bool {
        let _sweeping = self.sweeping.lock();
        let mut next = 0;
        loop {
            let found = self.pages.lock().find(next, |page| Some(page.base.clone()));
            let Some((index, base)) = found else {
                break;
            };
            let change = change_merging(&base);
            let _merging = base.snapshots().merging();
            self.merge_slot(index, &base, &change, views::PATIENCE);
            next = index + 1;
        }
        !self.pages.lock().slots.is_empty()
    }

    /// Looks at the pages of the file `base`, which `change` is the right to change. May sleep.
    fn merge(&self, change: &Change<'_>, base: &Inode, patience: u32) {
        let _merging = base.snapshots().merging();
        let mut next = 0;
        loop {
            let found = (self.pages.lock()).find(next, |page| page.is_of(base).then_some(()));
            let Some((index, ())) = found else {
                break;
            };
            self.merge_slot(index, base, change, patience);
            next = index + 1;
        }
    }

    /// Looks at the page in a slot, if there is one of the file `base`, which `change` is the right to change and whose pages
    /// nobody else looks at. May sleep.
    fn merge_slot(&self, index: usize, base: &Inode, change: &Change<'_>, patience: u32) {
        let taken = self.pages.lock().take(index, base);
        let Some(mut page) = taken else {
            return;
        };
        // Asked first: what is stored after that will be found the next time.
        let is_final = page.is_final();
        page.merge(change, patience);
        if is_final {
            base.snapshots().note_late(-1);
            self.pages.lock().put(index, None);
        } else {
            self.pages.lock().put(index, Some(page));
        }
    }

    /// Drops all pages, when nobody uses the superblock any more. May sleep.
    pub(super) fn close(self: &Arc<Self>) {
        {
            let _sweeping = self.sweeping.lock();
            let pages = core::mem::replace(&mut *self.pages.lock(), Slots::new());
            drop(pages);
        }
        // One that was under way may have queued itself again.
        while work::flush_delayed(self) {}
    }
}

/// Brings the file `base` what was stored to pages that have left it. May sleep; S must not be held.
#[cold]
#[inline(never)]
pub(super) fn merge(base: &Inode) {
    merge_by(&change_merging(base), base, views::PATIENCE);
}

/// As [`merge`], by who has the right to change the file, and waits `patience` ms at most for who has pinned a page.
pub(super) fn merge_by(change: &Change<'_>, base: &Inode, patience: u32) {
    (base.super_block().data().late).merge(change, base, patience);
}
