// SPDX-License-Identifier: GPL-2.0

//! Views: what mappings of a window show that does not begin with a page of the file.
//!
//! All windows whose start is the same number of bytes, the *shift*, behind the start of a page have one view of the file:
//! an extension inode, whose page `j` holds the end of page `j` of the file and the beginning of page `j + 1`. Where a file
//! has segments, a view begins at every half of one, so that each mapping fits into one of them; and a mapping that is in two
//! segments has a view, too, with the shift 0, each page of which is a copy of one of the file. The pages of views are
//! copies. They are made by faults, and are dropped when the file changes. While a page of a view is writable in a shared
//! mapping, it holds what the file holds there: the pages of the file are *lent*.
//!
//! # Invariants
//!
//! 1. A page of a view that is uptodate holds what the file holds there, the pages of the file are not mapped writable, and
//!    nobody is changing them.
//! 2. A page of the file that is lent is marked so and is not uptodate. So nobody maps it, and who reads it takes it back
//!    first. A page of a view says by a mark for each half which page of the file is lent to it.
//! 3. Both marks and whether a page of a view is uptodate change only with the page locked, and the page of the file in
//!    question locked before, if there is one.
//! 4. What changes a page of the file, or lends it, first files versions for the snapshots of all views that need one of
//!    what they have of that page, and takes those pages out of the views.
//!
//! # Lock order
//!
//! Pages of the file, in the order of their place in it; then one page of one view. The locks before and after are those in
//! [`super::snapshots`]; S, the epoch and `i_rwsem` are the file's, and a view has a version store of its own.

use super::{
    file, inode, segments,
    snapshots::{
        change_sparing,
        clear_past,
        exclusively,
        has_late,
        insist,
        merge_late,
        size_in_pages,
        Change,
        Charge, //
    },
    Inode, Locked, SnapmapFs,
};
use crate::vfs::{
    address_space::Mark,
    file::File,
    folio::{
        Folio,
        LockedFolio,
        Replacement,
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    task,
    vma::{
        FaultError,
        Live,
        Mkwrite,
        VmFault, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        barrier::smp_mb, //
    },
};

/// The mark of a page of a file that is lent.
pub(super) const LENT: Mark = Mark::Second;
/// The mark of a page of a view that the page of the file is lent to that it begins in.
const LOW: Mark = Mark::Writable;
/// The mark of a page of a view that the next page of the file is lent to.
const HIGH: Mark = Mark::Second;

/// What a view has of a page of the file.
struct Piece {
    /// The page of the view.
    page: usize,
    /// Where in it.
    at: usize,
    /// Where in the page of the file.
    from: usize,
    len: usize,
    /// The mark that says that it was lent.
    mark: Mark,
}

/// What `view` has of the page `page` of the file.
fn pieces(view: &Inode, page: u64) -> impl Iterator<Item = Piece> {
    let shift = shift_of(view);
    let room = view.room_in_pages();
    // None if it is outside of the view.
    let index = |page: u64| usize::try_from(page).ok().filter(|page| *page < room);
    let page = page.checked_sub(view.first_page());
    let low = page.and_then(index).map(|page| Piece {
        page,
        at: 0,
        from: shift,
        len: PAGE_SIZE - shift,
        mark: LOW,
    });
    let high = page
        .filter(|_| shift != 0)
        .and_then(|page| page.checked_sub(1))
        .and_then(index)
        .map(|page| Piece {
            page,
            at: PAGE_SIZE - shift,
            from: 0,
            len: shift,
            mark: HIGH,
        });
    Iterator::chain(high.into_iter(), low)
}

/// Which page of the file the page `index` of `inode`, a file or segment, is.
fn page_of_file(inode: &Inode, index: usize) -> u64 {
    inode.first_page() + index as u64
}

/// The bytes between the start of a page of the file and that of a page of `view`.
fn shift_of(view: &Inode) -> usize {
    view.data().file.place.number().1
}

/// The pages of the file that the page `index` of `view` is made of. `EIO` if there are none.
fn made_of(view: &Inode, index: usize) -> Result<(u64, Option<u64>)> {
    if index >= view.room_in_pages() {
        return Err(EIO);
    }
    let page = page_of_file(view, index);
    Ok((page, (shift_of(view) != 0).then_some(page + 1)))
}

/// The page `page` of the file, locked and with all that it has lent, if there is one. May sleep.
fn lock_page_of_file(base: &Inode, page: u64) -> Option<LockedFolio> {
    let (part, index) = base.part_of_page(page)?;
    part.lock_page(index)
}

/// The page `page` of the file, if there is one.
fn get_page_of_file(base: &Inode, page: u64) -> Option<ARef<Folio>> {
    let (part, index) = base.part_of_page(page)?;
    part.mapping().get(index)
}

/// The view of a file with `shift` that has the page `page` of it, made if there is none yet. S must not be held. `ENOSPC` if
/// there are too many inodes, `ENOMEM`; `EINTR` for a fatal signal.
pub(super) fn get(base: &Inode, page: u64, shift: usize) -> Result<&Inode> {
    let number = segments::view_number(base, page)?;
    let find = || {
        base.extensions()
            .find(|view| view.data().file.place.number() == (number, shift))
    };
    if let Some(view) = find() {
        return Ok(view);
    }
    let new = inode::new_extension(base)?;
    new.data().file.place.set_view(base.bits(), number, shift);
    exclusively(base, || {
        if find().is_some() {
            return Ok(());
        }
        new.set_size(new.size_within(base.size()));
        base.add_extension(new)
    })??;
    find().ok_or(EIO)
}

/// Sets the size of a file and of its views and segments. What a reader finds within the size of the file is within theirs.
#[inline]
pub(super) fn resize(base: &Locked, size: i64) {
    if !base.has_segments() && !base.has_extensions() {
        base.set_size(size);
        return;
    }
    let old = base.size();
    if size < old {
        base.set_size(size);
    }
    if base.has_segments() {
        segments::resize(base, old, size);
    }
    for view in base.extensions() {
        base.set_extension_size(view, view.size_within(size));
    }
    if size >= old {
        base.set_size(size);
    }
}

/// Calls `f` with each part of the file that has some of the pages from `pages.0` to before `pages.1` of `inode`, which is that
/// part or a view, and with the pages of the part.
pub(super) fn for_each_part(
    inode: &Inode,
    pages: (usize, usize),
    mut f: impl FnMut(&Inode, (usize, usize)) -> Result,
) -> Result {
    if !inode.is_view() {
        return f(inode, pages);
    }
    // A page of a view is part of two pages of the file.
    let end = pages.1.saturating_add(usize::from(shift_of(inode) != 0));
    let byte = |page| page_of_file(inode, page).saturating_mul(PAGE_SIZE as u64);
    inode
        .base()
        .for_each_part(byte(pages.0), byte(end), |part, start, end| {
            f(part, (file::page_of(start).0, file::page_of(end).0))
        })
}

/// Takes away from mappings what lies behind the end of a file that has become shorter.
pub(super) fn unmap_past_end(base: &Locked) {
    for view in base.extensions() {
        let first = size_in_pages(view.size());
        if base.super_block().data().private_live() && !view.snapshots().any() {
            view.mapping().unmap_with_copies(first);
        } else {
            view.mapping().unmap(first, 0);
        }
        unmap_late(view, first);
    }
}

/// Takes the pages of `view` from `first` on away from who found them when the file was longer, and mapped them since it
/// was unmapped there: he has them locked until they are. Where the file has pages, who takes those away waits for that; here
/// it may have holes.
fn unmap_late(view: &Inode, first: usize) {
    let mapping = view.mapping();
    let mut next = first;
    loop {
        let batch = mapping.batch(&mut next, usize::MAX);
        if batch.is_empty() {
            break;
        }
        for index in batch.into_indices() {
            // A lock is all that it takes to have him finished.
            if mapping.lock(index).is_some_and(|copy| copy.is_mapped()) {
                mapping.unmap(index, 1);
            }
        }
        task::cond_resched();
    }
}

/// Whether the file has no page for any of what is on the page `page` of `inode`, a file, a segment or a view.
#[inline]
pub(super) fn is_hole(inode: &Inode, page: usize) -> bool {
    if !inode.is_view() {
        return inode.mapping().get(page).is_none();
    }
    let base = inode.base();
    let is_there = |page| get_page_of_file(base, page).is_some();
    made_of(inode, page).is_ok_and(|(low, high)| !is_there(low) && !high.is_some_and(is_there))
}

impl Inode {
    /// The page `index` of a file or segment, locked and with all that it has lent, if there is one. May sleep.
    #[inline]
    pub(super) fn lock_page(&self, index: usize) -> Option<LockedFolio> {
        self.lock_page_within(index, PATIENCE)
    }

    /// As [`Inode::lock_page`], and waits `patience` ms at most for who has pinned a page.
    #[inline]
    pub(super) fn lock_page_within(&self, index: usize, patience: u32) -> Option<LockedFolio> {
        let folio = self.mapping().lock(index)?;
        take_back_patiently(self, &folio, patience, None);
        Some(folio)
    }

    /// Gets back what the page `index` of a file or segment has lent. Returns whether it is uptodate then; if not, there is a
    /// hole.
    pub(super) fn take_back_page(&self, index: usize) -> bool {
        self.has_views()
            && self
                .lock_page(index)
                .is_some_and(|folio| folio.is_uptodate())
    }

    /// Whether the page `index` of a file or segment is lent, and thus not uptodate though it has contents.
    #[inline]
    fn is_lent(&self, index: usize) -> bool {
        self.has_views() && self.mapping().is_marked(index, LENT)
    }
}

/// Gets back what `folio` of `part`, a file or segment, has lent. Then it is uptodate, and nobody can change what it holds any
/// more.
#[inline]
pub(super) fn take_back(part: &Inode, folio: &LockedFolio) {
    take_back_patiently(part, folio, PATIENCE, None);
}

/// As [`take_back`], and waits `patience` ms at most. The caller has a reference to the page `held`, if he says so.
#[inline]
fn take_back_patiently(
    part: &Inode,
    folio: &LockedFolio,
    patience: u32,
    held: Option<(&Inode, usize)>,
) {
    if !folio.is_uptodate() && part.is_lent(folio.index()) {
        take_back_slow(part, folio, patience, held);
    }
}

/// How many milliseconds are waited for those who have pinned a page that is to show up elsewhere. Not longer, for they may be
/// waiting for a page that who waits has pinned: `pin_user_pages()` keeps those that it has while a fault brings the next.
pub(super) const PATIENCE: u32 = 20;

/// The page `page` of `view`, locked and unmapped. Who has pinned it may be storing into it: waits for him, but not longer than
/// `patience`. May sleep.
fn lock_unpinned(view: &Inode, page: usize, patience: u32) -> Option<LockedFolio> {
    let mut waited = 0;
    loop {
        let copy = view.mapping().lock(page)?;
        view.mapping().unmap(page, 1);
        // Whose pins last is not waited for at each page.
        if waited >= patience || !copy.maybe_pinned() || has_late(view) {
            return Some(copy);
        }
        // He may want the lock.
        drop(copy);
        task::sleep_ms();
        waited += 1;
    }
}

/// As [`take_back_patiently`], of what is lent.
#[cold]
#[inline(never)]
fn take_back_slow(part: &Inode, folio: &LockedFolio, patience: u32, held: Option<(&Inode, usize)>) {
    let page = page_of_file(part, folio.index());
    for view in part.base().extensions() {
        for piece in pieces(view, page) {
            if !view.mapping().is_marked(piece.page, piece.mark) {
                continue;
            }
            let Some(mut copy) = lock_unpinned(view, piece.page, patience) else {
                continue;
            };
            part.stats().unmaps.add(1);
            if !copy.is_hwpoison() {
                clear_past(&copy, view.size());
            }
            view.mapping().set_mark(&copy, piece.mark, false);
            let is_held =
                held.is_some_and(|(held, page)| core::ptr::eq(held, view) && page == piece.page);
            // Nobody maps the page any more, but who has it in his hands may store into it yet.
            let seen = if copy.has_other_users(1 + i32::from(is_held)) {
                part_from_late(view, &mut copy)
            } else {
                None
            };
            match seen {
                Some(seen) => folio.copy_piece(piece.from, &seen, piece.at, piece.len),
                None => {
                    if !copy.is_hwpoison() {
                        folio.copy_piece(piece.from, &copy, piece.at, piece.len);
                    }
                    if !is_borrower(view, &copy) {
                        copy.cancel_dirty();
                        if has_late(view) {
                            // It may have taken the place of one that is stored into, which its next fault is to ask for.
                            let _ = view.mapping().remove(&copy);
                            copy.set_stamp(0);
                        }
                    }
                }
            }
        }
    }
    clear_past(folio, part.size());
    folio.mark_uptodate();
    part.mapping().set_mark(folio, LENT, false);
}

/// Takes the page `copy` out of `view`, since somebody may store into it that nobody hears of. If anything is lent to it yet,
/// another one takes its place. Returns what it held; `None` for broken memory, and then nothing has happened.
fn part_from_late(view: &Inode, copy: &mut LockedFolio) -> Option<ARef<Folio>> {
    if !is_borrower(view, copy) {
        let seen = insist(|| note_late(view, copy))?;
        copy.set_stamp(0);
        copy.cancel_dirty();
        let _ = view.mapping().remove(copy);
        return Some(seen);
    }
    let (new, seen) = insist(|| late_replacement(view, copy))?;
    let stamp = copy.stamp();
    copy.set_stamp(0);
    copy.replace(new);
    copy.set_stamp(stamp);
    copy.mark_dirty();
    Some(seen)
}

/// Notes that `folio` of `inode`, a file, segment or view, may be stored into when it has left that. Returns what it holds.
fn note_late(inode: &Inode, folio: &LockedFolio) -> Result<ARef<Folio>> {
    let base = inode.base();
    let start = (folio.index() as u64) << PAGE_SHIFT;
    let len = file::unsigned(inode.size()).saturating_sub(start);
    let len = usize::try_from(len).unwrap_or(PAGE_SIZE);
    (base.super_block().data().late).add(base, inode.origin() + start, len, folio)
}

/// As [`note_late`], and makes what can take its place there.
fn late_replacement(inode: &Inode, folio: &LockedFolio) -> Result<(Replacement, ARef<Folio>)> {
    // Once it is noted nothing may fail.
    let mut seen = Err(ENOMEM);
    let new = Folio::replacement_of(folio, |new| {
        seen = note_late(inode, folio);
        match &seen {
            Ok(seen) => {
                new.copy_piece(0, seen, 0, PAGE_SIZE);
                PAGE_SIZE
            }
            Err(_) => 0,
        }
    })?;
    Ok((new, seen?))
}

/// Puts another page in the place of `folio` of `part`, a file or segment, which nobody maps, since somebody may store into it
/// that nobody hears of. `ENOMEM`, `EIO` for broken memory.
fn replace_late(part: &Inode, folio: &mut LockedFolio) -> Result {
    clear_past(folio, part.size());
    let (new, _) = late_replacement(part, folio)?;
    let stamp = folio.stamp();
    part.mapping().set_writable(folio, false);
    if folio.replace(new) {
        folio.set_stamp(stamp);
        folio.mark_dirty();
    }
    Ok(())
}

/// Whether anything is lent to the page `copy` of `view`.
fn is_borrower(view: &Inode, copy: &LockedFolio) -> bool {
    let mapping = view.mapping();
    mapping.is_marked(copy.index(), LOW) || mapping.is_marked(copy.index(), HIGH)
}

/// Unmaps what the pages from `pages.0` to before `pages.1` of a file or segment are lent to. Returns whether they may have lent
/// anything. S is held for writing, so nobody can begin to store there afterwards.
pub(super) fn unmap_lent(part: &Inode, pages: (usize, usize)) -> bool {
    if pages.0 >= pages.1 || !part.has_views() || !part.mapping().any_marked(LENT) {
        return false;
    }
    for view in part.base().extensions() {
        // A page of a view begins in the page of the file before.
        let first = page_of_file(part, pages.0).saturating_sub(1);
        let end = page_of_file(part, pages.1);
        let within = |page: u64| {
            usize::try_from(page.saturating_sub(view.first_page())).unwrap_or(usize::MAX)
        };
        let (first, end) = (within(first), within(end).min(view.room_in_pages()));
        if first < end {
            view.mapping().unmap(first, end - first);
        }
    }
    true
}

/// Gets back all that the pages from `pages.0` to before `pages.1` of a file or segment have lent, which [`unmap_lent`] has
/// unmapped. S is held for writing, so nothing is lent meanwhile.
pub(super) fn take_back_all(part: &Inode, pages: (usize, usize)) {
    let mapping = part.mapping();
    let Some(last) = pages.1.checked_sub(1) else {
        return;
    };
    if !part.has_views() || !mapping.any_marked(LENT) {
        return;
    }
    let mut next = pages.0;
    while next <= last {
        let batch = mapping.batch_marked(&mut next, last, LENT);
        if batch.is_empty() {
            break;
        }
        for index in batch.into_indices() {
            if let Some(folio) = mapping.lock(index) {
                // Mappers and writers wait for this.
                take_back_patiently(part, &folio, 0, None);
            }
        }
        task::cond_resched();
    }
}

/// Sees to it that nobody needs what the views have of `folio` of `part`, a file or segment, which is locked and is about to
/// change, and that they do not have it any more. `sparing` is a view that the change is made through, which keeps its pages, and
/// the one of them that the caller has a reference to. With `settled`, no snapshot needs anything.
///
/// `ENOSPC`, `ENOMEM`; then nothing has changed.
#[cold]
#[inline(never)]
pub(super) fn part_with(
    part: &Inode,
    folio: &LockedFolio,
    settled: bool,
    sparing: Option<(&Inode, usize)>,
    charge: Charge,
) -> Result {
    // If the page was just added: who made a page of a view without it looks for it again once that page can be found.
    smp_mb();
    let page = page_of_file(part, folio.index());
    for view in part.base().extensions() {
        let needed = !settled && view.snapshots().any();
        if !needed && view.mapping().nr_pages() == 0 {
            continue;
        }
        for piece in pieces(view, page) {
            let mut copy = view.mapping().lock(piece.page);
            let held = sparing
                .filter(|(v, _)| core::ptr::eq(*v, view))
                .map(|(_, held)| held == piece.page);
            let spared = held.is_some();
            // Then the other half is still wanted.
            let borrows = copy.as_ref().is_some_and(|copy| is_borrower(view, copy));
            let stays = spared || borrows;
            if needed {
                let snapshots = view.snapshots();
                match copy.as_mut().filter(|copy| copy.is_uptodate()) {
                    Some(copy) if borrows => snapshots.keep_view(view, copy, charge)?,
                    Some(copy) => match held {
                        Some(held) => {
                            snapshots.keep_view_read(view, copy, 1 + i32::from(held), charge)?;
                        }
                        None => snapshots.give_view(view, copy, charge)?,
                    },
                    None => snapshots.keep_made(view, piece.page, charge, || {
                        make(view, piece.page, page, folio)
                    })?,
                }
            }
            let Some(copy) = copy.filter(|_| !spared) else {
                continue;
            };
            if stays {
                view.mapping().unmap(piece.page, 1);
                copy.clear_uptodate();
            } else {
                // Also where no page table has it any more: a CPU may have. A locked folio of ours is still there.
                view.mapping().unmap(piece.page, 1);
                let _ = view.mapping().remove(&copy);
                copy.set_stamp(0);
            }
        }
    }
    Ok(())
}

/// Makes what the page `index` of `view` shows, of which `folio`, the page `page` of the file, is a part. The other part is
/// not locked: who changes it files a version first, so if there is none afterwards, this is right. `None` if the file has
/// holes there.
fn make(view: &Inode, index: usize, page: u64, folio: &LockedFolio) -> Result<Option<ARef<Folio>>> {
    let shift = shift_of(view);
    let (low, high) = made_of(view, index)?;
    let other = if page == low { high } else { Some(low) };
    let other = other
        .and_then(|page| get_page_of_file(view.base(), page))
        .filter(|other| other.is_uptodate());
    let this: Option<&Folio> = folio.is_uptodate().then_some(folio);
    let (low, high) = if page == low {
        (this, other.as_deref())
    } else {
        (other.as_deref(), this)
    };
    if low.is_none() && high.is_none() {
        return Ok(None);
    }
    let pieces = [
        (0, low, shift, PAGE_SIZE - shift),
        (PAGE_SIZE - shift, high, 0, shift),
    ];
    Folio::put_together(&pieces).map(Some)
}

/// The page that `fault` asks for, of a file, a segment or a view.
#[inline(always)]
pub(super) fn live<C>(fault: VmFault<'_, SnapmapFs, C>) -> Live<'_, SnapmapFs, C> {
    let (inode, page) = (fault.inode(), fault.index());
    let found = if inode.is_view() {
        fill(inode, page)
    } else if inode.is_row() {
        segments::live(inode, page)
    } else {
        return fault.live();
    };
    match found {
        Ok(Some(folio)) => Live::Found(fault, folio),
        Ok(None) => Live::Failed(fault, FaultError::SIGBUS),
        Err(err) => Live::Failed(fault, err.into()),
    }
}

/// The page `page` of `view`, locked and uptodate; `None` behind the end. `ENOMEM`, and `EIO` for broken memory.
fn fill(view: &Inode, page: usize) -> Result<Option<LockedFolio>> {
    let base = view.base();
    let mapping = view.mapping();
    let (first, next) = made_of(view, page)?;
    let mut waited = 0;
    merge_late(view);
    loop {
        if page >= size_in_pages(view.size()) {
            return Ok(None);
        }
        if let Some(copy) = mapping.lock(page).filter(|copy| copy.is_uptodate()) {
            // Who makes the file shorter takes the page away after the size.
            if page >= size_in_pages(view.size()) {
                return Ok(None);
            }
            return Ok(Some(copy));
        }
        let mut low = lock_page_of_file(base, first);
        let mut high = next.and_then(|next| lock_page_of_file(base, next));
        let mut pinned = false;
        for (folio, page) in [(&mut low, Some(first)), (&mut high, next)] {
            let (Some(folio), Some(page)) = (folio, page) else {
                continue;
            };
            if folio.is_hwpoison() {
                return Err(EIO);
            }
            if let Some((part, _)) = base.part_of_page(page) {
                pinned |= write_protect(part, folio, waited < PATIENCE)?;
            }
        }
        if pinned {
            drop((low, high));
            task::sleep_ms();
            waited += 1;
            continue;
        }
        let copy = match mapping.lock(page) {
            Some(copy) => copy,
            None => match mapping.add(page) {
                Ok(copy) => copy,
                Err(err) if err == EEXIST => continue,
                Err(err) => return Err(err),
            },
        };
        if !copy.is_uptodate() {
            if was_added(base, &low, first) || next.is_some_and(|next| was_added(base, &high, next))
            {
                continue;
            }
            put_together(view, &copy, &low, &high);
        }
        if page >= size_in_pages(view.size()) {
            return Ok(None);
        }
        return Ok(Some(copy));
    }
}

/// Makes the page that `fault` asks for and those behind it that the kernel can map with one fault then, up to before `end`, if
/// the one before it is there: who loads pages in a row has a fault for each of them otherwise. What fails is left to the
/// faults that need it. `is_wanted` says whether the pages from the first one to the last one will be mapped.
pub(super) fn fill_ahead<C>(
    fault: &VmFault<'_, SnapmapFs, C>,
    end: usize,
    is_wanted: impl FnOnce(usize, usize) -> bool,
) {
    let view = fault.inode();
    let mapping = view.mapping();
    let page = fault.index();
    let last = fault
        .around_end()
        .min(end)
        .min(view.room_in_pages())
        .saturating_sub(1);
    let is_there = |page: usize| mapping.get(page).is_some();
    if last <= page
        || is_there(page)
        || !page.checked_sub(1).is_some_and(is_there)
        || !is_wanted(page, last)
    {
        return;
    }
    let Ok(mut low) = lock_quiet(view.base(), page_of_file(view, page)) else {
        return;
    };
    for page in page..=last {
        match fill_quietly(view, page, low) {
            Ok(high) => low = high,
            Err(_) => return,
        }
    }
}

/// Makes the page `page` of `view` as [`fill`] does, if there is none and nobody has to lose a page for it. `low` is the page of
/// the file that it begins in, from [`lock_quiet`]. Returns the next one.
fn fill_quietly(
    view: &Inode,
    page: usize,
    low: Option<LockedFolio>,
) -> Result<Option<LockedFolio>> {
    let base = view.base();
    let (first, next) = made_of(view, page)?;
    if page >= size_in_pages(view.size()) {
        return Err(EFAULT);
    }
    let high = lock_quiet(base, first + 1)?;
    if low.is_none() && (next.is_none() || high.is_none()) {
        // Zeros need no page of their own.
        return Err(ENXIO);
    }
    let copy = view.mapping().add_ahead(page)?;
    if was_added(base, &low, first) || next.is_some_and(|next| was_added(base, &high, next)) {
        return Err(EAGAIN);
    }
    put_together(view, &copy, &low, &high);
    Ok(high)
}

/// The page `page` of the file, locked, if there is one. `EBUSY` if somebody may be storing into it or has it lent, or does so to
/// one that has left the file: what is mapped without a fault does not ask for that.
fn lock_quiet(base: &Inode, page: u64) -> Result<Option<LockedFolio>> {
    let Some((part, index)) = base.part_of_page(page) else {
        return Ok(None);
    };
    let Some(folio) = part.mapping().lock(index) else {
        return Ok(None);
    };
    let is_lent = !folio.is_uptodate() && part.is_lent(index);
    let is_stored_into = part.mapping().is_writable(&folio) || has_late(part);
    if is_lent || is_stored_into || folio.is_hwpoison() {
        return Err(EBUSY);
    }
    Ok(Some(folio))
}

/// Whether the page `page` of the file, which was looked for and is `folio`, has been added by now, after a page of a view that
/// is to have it. Who adds it looks for that one after that.
fn was_added(base: &Inode, folio: &Option<LockedFolio>, page: u64) -> bool {
    if folio.is_some() {
        return false;
    }
    smp_mb();
    get_page_of_file(base, page).is_some()
}

/// Makes the locked page `copy` of `view` of the pages of the file that it begins and ends in.
fn put_together(
    view: &Inode,
    copy: &LockedFolio,
    low: &Option<LockedFolio>,
    high: &Option<LockedFolio>,
) {
    let shift = shift_of(view);
    let from = |folio: &Option<LockedFolio>, to, at, len| match folio {
        Some(folio) if folio.is_uptodate() => copy.copy_piece(to, folio, at, len),
        _ => copy.zero_range(to, len),
    };
    from(low, 0, shift, PAGE_SIZE - shift);
    if shift != 0 {
        from(high, PAGE_SIZE - shift, 0, shift);
    }
    clear_past(copy, view.size());
    copy.mark_uptodate();
}

/// Takes a page of a file or segment away from those who may be storing into it. Returns whether it is pinned, and `patient` is
/// to wait for that. `ENOMEM`, `EIO` for broken memory.
fn write_protect(part: &Inode, folio: &mut LockedFolio, patient: bool) -> Result<bool> {
    let mapping = part.mapping();
    if !mapping.is_writable(folio) {
        return Ok(false);
    }
    mapping.unmap(folio.index(), 1);
    part.stats().unmaps.add(1);
    if !folio.has_other_users(1) {
        clear_past(folio, part.size());
        mapping.set_writable(folio, false);
        return Ok(false);
    }
    if patient && folio.maybe_pinned() {
        return Ok(true);
    }
    replace_late(part, folio)?;
    Ok(false)
}

/// Lets a page of `view` be changed in a shared mapping: the file lends it what it shows.
pub(super) fn page_mkwrite(
    view: &Inode,
    file: &File<SnapmapFs>,
    fault: &mut Mkwrite<'_>,
) -> Result<Option<LockedFolio>> {
    let base = view.base();
    let mapping = view.mapping();
    let page = fault.index();
    let (first, next) = made_of(view, page)?;
    let is_within = |page: u64| page << PAGE_SHIFT < file::unsigned(base.size());
    // Segments are not made with S held.
    let low_part = base.make_part_of_page(first)?;
    let high_part = match next.filter(|next| is_within(*next)) {
        Some(next) => Some(base.make_part_of_page(next)?),
        None => None,
    };
    // As filemap_page_mkwrite(): a store does not fail for its time.
    let _ = file.update_time();
    let change = change_sparing(base, view, page);
    if page >= size_in_pages(view.size()) {
        return Ok(None);
    }
    if next.is_some_and(is_within) != high_part.is_some() {
        // The file has grown or become shorter.
        return Ok(None);
    }
    // It may have all of it already, so that another process can store into it, too.
    if let Some(copy) = fault.lock_page(mapping) {
        if copy.is_uptodate()
            && copy.stamp() == change.epoch()
            && mapping.is_marked(page, LOW)
            && (high_part.is_none() || mapping.is_marked(page, HIGH))
        {
            return Ok(Some(copy));
        }
    }
    let low = borrow(&change, view, page, low_part)?;
    if next.is_some_and(is_within) != high_part.is_some() {
        // Who makes the file longer takes back the page that it ended with after that.
        return Ok(None);
    }
    let high = match high_part {
        Some(part) => Some((part.0, borrow(&change, view, page, part)?)),
        None => None,
    };
    let Some(copy) = fault.lock_page(mapping) else {
        return Ok(None);
    };
    if !copy.is_uptodate() || page >= size_in_pages(view.size()) {
        return Ok(None);
    }
    lend(low_part.0, &low);
    mapping.set_mark(&copy, LOW, true);
    if let Some((part, high)) = &high {
        lend(part, high);
        mapping.set_mark(&copy, HIGH, true);
    }
    copy.set_stamp(change.epoch());
    copy.mark_dirty();
    Ok(Some(copy))
}

/// The page `index` of a part of the file, locked and settled, to be lent to the page `at` of `view`, which the caller has a
/// reference to. It may be lent to that view already: two pages of a view have different bytes of it, so it need not be taken
/// back from one for the other.
fn borrow(
    change: &Change<'_>,
    view: &Inode,
    at: usize,
    (part, index): (&Inode, usize),
) -> Result<LockedFolio> {
    let page = page_of_file(part, index);
    if let Some(folio) = part.mapping().lock(index) {
        let lent_to_others = || {
            view.base()
                .extensions()
                .filter(|other| !core::ptr::eq(*other, view))
                .any(|other| {
                    pieces(other, page)
                        .any(|piece| other.mapping().is_marked(piece.page, piece.mark))
                })
        };
        if !folio.is_uptodate()
            && part.is_lent(index)
            && folio.stamp() == change.epoch()
            && !lent_to_others()
        {
            return Ok(folio);
        }
        take_back_patiently(part, &folio, PATIENCE, Some((view, at)));
    }
    file::grab(&change.of(part), part, index)
}

/// Marks a locked and settled page of a part of the file as lent.
fn lend(part: &Inode, folio: &LockedFolio) {
    let mapping = part.mapping();
    if part.is_lent(folio.index()) {
        return;
    }
    if !folio.is_uptodate() {
        // It was a hole.
        folio.zero_range(0, PAGE_SIZE);
    }
    mapping.unmap(folio.index(), 1);
    part.stats().unmaps.add(1);
    mapping.set_writable(folio, false);
    mapping.set_mark(folio, LENT, true);
    folio.clear_uptodate();
}
