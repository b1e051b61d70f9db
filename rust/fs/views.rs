// SPDX-License-Identifier: GPL-2.0

//! Views: what mappings of a window show that does not begin with a page of the file.
//!
//! All windows whose start is the same number of bytes, the *shift*, behind the start of a page have one view of the file:
//! an extension inode, whose page `j` holds the end of page `j` of the file and the beginning of page `j + 1`. Its pages are
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
//! Pages of the file, in the order of their index; then one page of one view. The locks before and after are those in
//! [`super::snapshots`]; S, the epoch and `i_rwsem` are the file's, and a view has a version store of its own.

use super::{
    file, inode,
    snapshots::{
        change_sparing,
        clear_past,
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
        PAGE_SIZE, //
    },
    task,
    vma::{
        code,
        error_code,
        Fault,
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
/// The mark of a page of a view that the page of the file with the same index is lent to.
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

/// What a view with `shift` has of the page `index` of the file.
fn pieces(shift: usize, index: usize) -> impl Iterator<Item = Piece> {
    let low = Piece {
        page: index,
        at: 0,
        from: shift,
        len: PAGE_SIZE - shift,
        mark: LOW,
    };
    let high = index.checked_sub(1).map(|page| Piece {
        page,
        at: PAGE_SIZE - shift,
        from: 0,
        len: shift,
        mark: HIGH,
    });
    Iterator::chain(high.into_iter(), Some(low))
}

/// The bytes between the start of a page of the file and that of a page of `view`.
fn shift_of(view: &Inode) -> usize {
    view.data().file.shift()
}

/// The view of a file with `shift`, made if there is none yet. `ENOSPC` if there are too many inodes, `ENOMEM`.
pub(super) fn get(base: &Inode, shift: usize) -> Result<&Inode> {
    if shift == 0 {
        return Ok(base);
    }
    let find = || base.extensions().find(|view| shift_of(view) == shift);
    if let Some(view) = find() {
        return Ok(view);
    }
    let locked = base.lock();
    if let Some(view) = find() {
        return Ok(view);
    }
    let new = inode::new_extension(&locked)?;
    new.data().file.set_shift(shift);
    new.set_size(size_of(shift, locked.size()));
    locked.add_extension(new);
    find().ok_or(ENOMEM)
}

/// The size of a view with `shift` of a file of `size` bytes.
fn size_of(shift: usize, size: i64) -> i64 {
    file::signed(file::unsigned(size).saturating_sub(shift as u64))
}

/// Sets the size of a file and of its views.
pub(super) fn resize(base: &Locked, size: i64) {
    base.set_size(size);
    for view in base.extensions() {
        base.set_extension_size(view, size_of(shift_of(view), size));
    }
}

/// Takes away from mappings what lies behind the end of a file that has become shorter.
pub(super) fn unmap_past_end(base: &Locked) {
    for view in base.extensions() {
        view.mapping().unmap(size_in_pages(view.size()), 0);
    }
}

/// Whether the file has no page for any of what is on the page `page` of `inode`, a file or a view.
pub(super) fn is_hole(inode: &Inode, page: usize) -> bool {
    let mapping = inode.base().mapping();
    mapping.get(page).is_none()
        && (!inode.is_extension()
            || page
                .checked_add(1)
                .is_none_or(|next| mapping.get(next).is_none()))
}

impl Inode {
    /// The page `index` of a file, locked and with all that it has lent, if there is one. May sleep.
    #[inline]
    pub(super) fn lock_page(&self, index: usize) -> Option<LockedFolio> {
        let folio = self.mapping().lock(index)?;
        take_back(self, &folio);
        Some(folio)
    }

    /// Gets back what the page `index` of a file has lent. Returns whether it is uptodate then; if not, there is a hole.
    pub(super) fn take_back_page(&self, index: usize) -> bool {
        self.has_extensions()
            && self
                .lock_page(index)
                .is_some_and(|folio| folio.is_uptodate())
    }

    /// Whether the page `index` of a file is lent, and thus not uptodate though it has contents.
    #[inline]
    fn is_lent(&self, index: usize) -> bool {
        self.has_extensions() && self.mapping().is_marked(index, LENT)
    }
}

/// Gets back what `folio` of the file `base` has lent. Then it is uptodate, and nobody can change what it holds any more.
#[inline]
pub(super) fn take_back(base: &Inode, folio: &LockedFolio) {
    if !folio.is_uptodate() && base.is_lent(folio.index()) {
        take_back_slow(base, folio);
    }
}

/// How many milliseconds are waited for those who have pinned a page that is to show up elsewhere.
const PATIENCE: u32 = 100;

/// The page `page` of `view`, locked and unmapped. Who has pinned it may be storing into it: waits for him, but not for ever.
/// May sleep.
fn lock_unpinned(view: &Inode, page: usize) -> Option<LockedFolio> {
    let mut waited = 0;
    loop {
        let copy = view.mapping().lock(page)?;
        view.mapping().unmap(page, 1);
        if waited == PATIENCE || !copy.maybe_pinned() {
            return Some(copy);
        }
        // He may want the lock.
        drop(copy);
        task::sleep_ms();
        waited += 1;
    }
}

fn take_back_slow(base: &Inode, folio: &LockedFolio) {
    for view in base.extensions() {
        for piece in pieces(shift_of(view), folio.index()) {
            if !view.mapping().is_marked(piece.page, piece.mark) {
                continue;
            }
            let Some(copy) = lock_unpinned(view, piece.page) else {
                continue;
            };
            base.stats().unmaps.add(1);
            if !copy.is_hwpoison() {
                // A snapshot takes care only of pages that somebody may be storing into; soon nobody can.
                clear_past(&copy, view.size());
                folio.copy_piece(piece.from, &copy, piece.at, piece.len);
            }
            view.mapping().set_mark(&copy, piece.mark, false);
            if !is_borrower(view, &copy) {
                copy.cancel_dirty();
            }
        }
    }
    clear_past(folio, base.size());
    folio.mark_uptodate();
    base.mapping().set_mark(folio, LENT, false);
}

/// Whether anything is lent to the page `copy` of `view`.
fn is_borrower(view: &Inode, copy: &LockedFolio) -> bool {
    let mapping = view.mapping();
    mapping.is_marked(copy.index(), LOW) || mapping.is_marked(copy.index(), HIGH)
}

/// Gets back all that the pages from `pages.0` to before `pages.1` of a file have lent. S is held for writing, so nothing is
/// lent meanwhile.
pub(super) fn take_back_all(base: &Inode, pages: (usize, usize)) {
    let mapping = base.mapping();
    let Some(last) = pages.1.checked_sub(1) else {
        return;
    };
    if !base.has_extensions() || !mapping.any_marked(LENT) {
        return;
    }
    let mut next = pages.0;
    while next <= last {
        let batch = mapping.batch_marked(&mut next, last, LENT);
        if batch.is_empty() {
            break;
        }
        for index in batch.into_indices() {
            drop(base.lock_page(index));
        }
        task::cond_resched();
    }
}

/// Sees to it that nobody needs what the views have of `folio`, which is locked and is about to change, and that they do not
/// have it any more. `sparing` is a view that the change is made through, which keeps its pages. With `settled`, no snapshot needs anything.
///
/// `ENOSPC`, `ENOMEM`; then nothing has changed.
pub(super) fn part_with(
    base: &Inode,
    folio: &LockedFolio,
    settled: bool,
    sparing: Option<&Inode>,
    charge: Charge,
) -> Result {
    // If the page was just added: who made a page of a view without it looks for it again once that page can be found.
    smp_mb();
    for view in base.extensions() {
        let shift = shift_of(view);
        for piece in pieces(shift, folio.index()) {
            let copy = view.mapping().lock(piece.page);
            let spared = sparing.is_some_and(|v| core::ptr::eq(v, view));
            // Then the other half is still wanted.
            let stays = spared || copy.as_ref().is_some_and(|copy| is_borrower(view, copy));
            if !settled && view.snapshots().any() {
                let snapshots = view.snapshots();
                match copy.as_ref().filter(|copy| copy.is_uptodate()) {
                    Some(copy) if stays => snapshots.keep_view(view, copy, charge)?,
                    Some(copy) => snapshots.give_view(view, copy, charge)?,
                    None => snapshots.keep_made(view, piece.page, charge, || {
                        make(base, folio, shift, piece.page)
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
                // A locked folio of ours is still there.
                let _ = view.mapping().remove(&copy);
                copy.set_stamp(0);
            }
        }
    }
    Ok(())
}

/// Makes what the page `page` of the view with `shift` shows, of which `folio` is a part. The other part is not locked: who
/// changes it files a version first, so if there is none afterwards, this is right. `None` if the file has holes there.
fn make(
    base: &Inode,
    folio: &LockedFolio,
    shift: usize,
    page: usize,
) -> Result<Option<ARef<Folio>>> {
    let other = if folio.index() == page {
        page.checked_add(1)
    } else {
        Some(page)
    };
    let other = other
        .and_then(|index| base.mapping().get(index))
        .filter(|other| other.is_uptodate());
    let this: Option<&Folio> = folio.is_uptodate().then_some(folio);
    let (low, high) = if folio.index() == page {
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

/// The page `page` of a file or a view, as [`VmFault::live`].
pub(super) fn live(inode: &Inode, vmf: &mut VmFault) -> Fault {
    if inode.is_extension() {
        match fill(inode, vmf.index()) {
            Ok(Some(copy)) => Fault::Live(copy),
            Ok(None) => Fault::Code(code::SIGBUS),
            Err(err) => Fault::Code(error_code(err)),
        }
    } else {
        vmf.live()
    }
}

/// The page `page` of `view`, locked and uptodate; `None` behind the end. `ENOMEM`, and `EIO` for broken memory.
fn fill(view: &Inode, page: usize) -> Result<Option<LockedFolio>> {
    let base = view.base();
    let mapping = view.mapping();
    let shift = shift_of(view);
    let next = page.checked_add(1).ok_or(EIO)?;
    let mut waited = 0;
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
        let low = base.lock_page(page);
        let high = base.lock_page(next);
        let mut pinned = false;
        for folio in [&low, &high].into_iter().flatten() {
            if folio.is_hwpoison() {
                return Err(EIO);
            }
            pinned |= write_protect(base, folio);
        }
        if pinned && waited < PATIENCE {
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
            // Who adds a page to the file looks for this one after that.
            smp_mb();
            let added = |folio: &Option<LockedFolio>, index| {
                folio.is_none() && base.mapping().get(index).is_some()
            };
            if added(&low, page) || added(&high, next) {
                continue;
            }
            let from = |folio: &Option<LockedFolio>, to, at, len| match folio {
                Some(folio) if folio.is_uptodate() => copy.copy_piece(to, folio, at, len),
                _ => copy.zero_range(to, len),
            };
            from(&low, 0, shift, PAGE_SIZE - shift);
            from(&high, PAGE_SIZE - shift, 0, shift);
            clear_past(&copy, view.size());
            copy.mark_uptodate();
        }
        if page >= size_in_pages(view.size()) {
            return Ok(None);
        }
        return Ok(Some(copy));
    }
}

/// Takes a page of the file away from those who may be storing into it. Returns whether it may be pinned for that.
fn write_protect(base: &Inode, folio: &LockedFolio) -> bool {
    let mapping = base.mapping();
    if !mapping.is_writable(folio) {
        return false;
    }
    mapping.unmap(folio.index(), 1);
    base.stats().unmaps.add(1);
    if !folio.has_other_users(1) {
        clear_past(folio, base.size());
        mapping.set_writable(folio, false);
    }
    folio.maybe_pinned()
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
    let next = page.checked_add(1).ok_or(EIO)?;
    // As filemap_page_mkwrite(): a store does not fail for its time.
    let _ = file.update_time();
    let change = change_sparing(base, view);
    if page >= size_in_pages(view.size()) {
        return Ok(None);
    }
    let has_next = next < size_in_pages(base.size());
    // It may have all of it already, so that another process can store into it, too.
    if let Some(copy) = fault.lock_page(mapping) {
        if copy.is_uptodate()
            && copy.stamp() == change.epoch()
            && mapping.is_marked(page, LOW)
            && (!has_next || mapping.is_marked(page, HIGH))
        {
            return Ok(Some(copy));
        }
    }
    let low = borrow(&change, view, page)?;
    let high = if has_next {
        Some(borrow(&change, view, next)?)
    } else {
        None
    };
    let Some(copy) = fault.lock_page(mapping) else {
        return Ok(None);
    };
    if !copy.is_uptodate() || page >= size_in_pages(view.size()) {
        return Ok(None);
    }
    lend(base, &low);
    mapping.set_writable(&copy, true);
    if let Some(high) = &high {
        lend(base, high);
        mapping.set_mark(&copy, HIGH, true);
    }
    copy.set_stamp(change.epoch());
    copy.mark_dirty();
    Ok(Some(copy))
}

/// The page `index` of the file, locked and settled, to be lent to `view`. It may be lent to that already: two pages of a view
/// have different bytes of it, so it need not be taken back from one for the other.
fn borrow(change: &Change<'_>, view: &Inode, index: usize) -> Result<LockedFolio> {
    let base = view.base();
    if let Some(folio) = base.mapping().lock(index) {
        let lent_to_others = || {
            base.extensions()
                .filter(|other| !core::ptr::eq(*other, view))
                .any(|other| {
                    pieces(shift_of(other), index)
                        .any(|piece| other.mapping().is_marked(piece.page, piece.mark))
                })
        };
        if !folio.is_uptodate()
            && base.is_lent(index)
            && folio.stamp() == change.epoch()
            && !lent_to_others()
        {
            return Ok(folio);
        }
    }
    file::grab(change, base, index)
}

/// Marks a locked and settled page of the file as lent.
fn lend(base: &Inode, folio: &LockedFolio) {
    let mapping = base.mapping();
    if base.is_lent(folio.index()) {
        return;
    }
    if !folio.is_uptodate() {
        // It was a hole.
        folio.zero_range(0, PAGE_SIZE);
    }
    mapping.unmap(folio.index(), 1);
    base.stats().unmaps.add(1);
    mapping.set_writable(folio, false);
    mapping.set_mark(folio, LENT, true);
    folio.clear_uptodate();
}
