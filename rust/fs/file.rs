// SPDX-License-Identifier: GPL-2.0

//! Regular files: their data live in the page cache, and nowhere else.
//!
//! Everything that changes data is in this file and in [`super::mmap`], and goes through a [`Change`].

use super::{
    mmap,
    segments::{
        self,
        Place, //
    },
    snapshots::{
        change,
        merge_late,
        size_in_pages,
        Change,
        Charge,
        Fill,
        Snapshots, //
    },
    views,
    window::{
        self,
        Windows, //
    },
    Inode, Locked, New, SnapmapFs,
};
use crate::vfs::{
    address_space::AddressSpaceOperations,
    bindings::{
        FALLOC_FL_KEEP_SIZE,
        FALLOC_FL_PUNCH_HOLE,
        FALLOC_FL_ZERO_RANGE,
        SEEK_DATA,
        SEEK_HOLE, //
    },
    errno::Errno,
    file::{
        File,
        FileOperations,
        IovIter,
        Kiocb, //
    },
    folio::{
        LockedFolio,
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    inode::{
        kind::RegularFile,
        Table, //
    },
    task,
    vma::MmapDesc,
};
use kernel::prelude::*;

/// What a regular file has beside its page cache.
#[pin_data]
pub(crate) struct FileData {
    #[pin]
    pub(super) snapshots: Snapshots,
    pub(super) place: Place,
}

impl FileData {
    /// A file without snapshots.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            snapshots <- Snapshots::new(),
            place: Place::new(),
        })
    }
}

/// The callbacks of regular files.
struct Regular;

/// Sets up the inode of a new regular file. Errors: `EINVAL` if it is something else.
pub(super) fn init(inode: &New<'_>, operations: &'static Table<SnapmapFs, RegularFile>) -> Result {
    let bits = inode.super_block().data().segment_bits;
    inode.data().file.place.set_segment(bits, 0);
    inode.init_file::<Regular, Regular>(operations)
}

/// How many blocks of 512 bytes a page is.
pub(super) const BLOCKS_PER_PAGE: u64 = (PAGE_SIZE / 512) as u64;

/// Returns how many blocks of 512 bytes a file has.
pub(super) fn blocks(inode: &Inode) -> u64 {
    let mut pages = 0;
    let _ = inode.for_each_part(0, u64::MAX, |part, _, _| {
        pages += part.mapping().nr_pages() as u64;
        Ok(())
    });
    pages * BLOCKS_PER_PAGE
}

/// Drops the pages of a file or segment that nobody uses any more. It has no mappings, so no snapshots.
pub(crate) fn evict(inode: &Inode) {
    let mapping = inode.mapping();
    let mut charged = 0;
    let mut next = 0;
    loop {
        let batch = mapping.batch(&mut next, usize::MAX);
        if batch.is_empty() {
            break;
        }
        charged += batch.iter().filter(|folio| folio.is_dirty()).count();
    }
    mapping.truncate_final();
    inode.space().uncharge(charged);
}

/// The page that holds `pos`, and the byte in it.
#[inline]
pub(super) fn page_of(pos: u64) -> (usize, usize) {
    (
        usize::try_from(pos >> PAGE_SHIFT).unwrap_or(usize::MAX),
        // The remainder is smaller than a page.
        (pos & (PAGE_SIZE as u64 - 1)) as usize,
    )
}

/// A position or length that the VFS has checked not to be negative.
#[inline]
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A position that lies within the limits of the filesystem, for C.
#[inline]
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Changes the size of a file. `i_rwsem` is held for writing.
///
/// `ENOMEM`; then nothing has changed. Never `ENOSPC`.
pub(crate) fn set_size(inode: &Locked, size: i64) -> Result {
    let old = inode.size();
    if size > old {
        let change = change(inode);
        clear_tail(&change, inode, old)?;
        views::resize(inode, size);
        settle_old_tail(&change, inode, old);
        return Ok(());
    }
    let _invalidate = inode.mapping().invalidate_lock();
    let change = change(inode);
    let byte = page_of(unsigned(size)).1;
    let tail = match inode.part_at(unsigned(size)) {
        Some((part, at)) if byte != 0 => settled(&change.of(part), part, page_of(at).0)?,
        _ => None,
    };
    views::resize(inode, size);
    views::unmap_past_end(inode);
    if let Some(folio) = tail {
        folio.zero_range(byte, PAGE_SIZE);
    }
    inode.for_each_part(unsigned(size), u64::MAX, |part, start, _| {
        cut(&change.of(part), part, size_in_pages(signed(start)));
        Ok(())
    })
}

/// Takes the pages from `first` on out of a file or segment that has become shorter.
fn cut(change: &Change<'_>, inode: &Inode, first: usize) {
    let mapping = inode.mapping();
    if inode.super_block().data().private_live() && !inode.snapshots().any() {
        // As everywhere else: what a private mapping holds past the end of the file goes. Once more at the end for what
        // was copied meanwhile.
        mapping.unmap_with_copies(first);
        discard_range(change, inode, first, usize::MAX);
        mapping.unmap_with_copies(first);
    } else {
        mapping.unmap(first, 0);
        discard_range(change, inode, first, usize::MAX);
    }
}

/// Takes back what was lent of the page that a file of `size` bytes ended with before it grew, since the page of a view that it
/// is on has more of the file now. Who lends from here on knows.
fn settle_old_tail(change: &Change<'_>, inode: &Inode, size: i64) {
    if !inode.has_extensions() {
        return;
    }
    let Some((part, last)) = inode.part_at(unsigned(size).saturating_sub(1)) else {
        return;
    };
    if let Some(folio) = part.lock_page(page_of(last).0) {
        change.of(part).settle_anyway(folio);
    }
}

/// The page `index`, locked and free to be changed, if it has any contents. `ENOMEM`.
fn settled(change: &Change<'_>, inode: &Inode, index: usize) -> Result<Option<LockedFolio>> {
    match inode.lock_page(index) {
        Some(mut folio) if folio.is_uptodate() => {
            change.settle(&mut folio, 1, Charge::Anyway)?;
            Ok(Some(folio))
        }
        _ => Ok(None),
    }
}

/// Clears what stores through shared mappings have left behind the end of a file that is about to grow past it.
fn clear_tail(change: &Change<'_>, inode: &Inode, size: i64) -> Result {
    let byte = page_of(unsigned(size)).1;
    let Some((part, last)) = inode.part_at(unsigned(size).saturating_sub(1)) else {
        return Ok(());
    };
    let (change, page) = (change.of(part), page_of(last).0);
    if inode.has_extensions() {
        // Views show the end of the file within a page, too.
        if let Some(mut folio) = part.lock_page(page) {
            change.settle(&mut folio, 1, Charge::Anyway)?;
        }
    }
    if byte == 0 {
        return Ok(());
    }
    if let Some(mut folio) = part.lock_page(page) {
        if folio.is_uptodate() && !folio.is_zero_from(byte) {
            change.settle(&mut folio, 1, Charge::Anyway)?;
            folio.zero_range(byte, PAGE_SIZE);
        }
    }
    Ok(())
}

/// Calls `f` with each page from `first` to before `end` that is in the page cache, locked, until it fails.
fn for_each_page(
    inode: &Inode,
    first: usize,
    end: usize,
    mut f: impl FnMut(LockedFolio) -> Result,
) -> Result {
    let mapping = inode.mapping();
    let mut next = first;
    let Some(last) = end.checked_sub(1) else {
        return Ok(());
    };
    while next <= last {
        let batch = mapping.batch(&mut next, last);
        if batch.is_empty() {
            break;
        }
        for index in batch.into_indices() {
            if let Some(folio) = inode.lock_page(index) {
                f(folio)?;
            }
        }
        task::cond_resched();
    }
    Ok(())
}

/// Takes the pages from `first` to before `end` out of the page cache.
fn discard_range(change: &Change<'_>, inode: &Inode, first: usize, end: usize) {
    let _ = for_each_page(inode, first, end, |folio| {
        change.discard(&folio);
        Ok(())
    });
}

/// Finds the page `index` for somebody who will write all or part of it, or adds it. It is locked and settled.
///
/// A page that is not uptodate has undefined contents. `ENOSPC`, `ENOMEM`; then nothing has changed.
pub(super) fn grab(change: &Change<'_>, inode: &Inode, index: usize) -> Result<LockedFolio> {
    let found = inode.lock_page(index);
    grab_or_fill(change, inode, index, found, None).map(|(folio, _)| folio)
}

/// As [`grab`] where the page was `found`, for somebody who will write all of the page; see [`Change::settle_or_fill`].
#[inline(never)]
fn grab_or_fill(
    change: &Change<'_>,
    inode: &Inode,
    index: usize,
    mut found: Option<LockedFolio>,
    fill: Option<&mut Fill<'_>>,
) -> Result<(LockedFolio, Option<usize>)> {
    let mapping = inode.mapping();
    loop {
        if let Some(mut folio) = found {
            if !folio.is_dirty() {
                // A fault has added it, and lost it before it was read.
                inode.space().charge(1)?;
                folio.mark_dirty();
            }
            let filled = change.settle_or_fill(&mut folio, 1, Charge::Limited, fill)?;
            return Ok((folio, filled));
        }
        inode.space().charge(1)?;
        match mapping.add(index) {
            Ok(folio) => {
                if let Err(err) = change.settle_hole(&folio) {
                    let _ = mapping.remove(&folio);
                    inode.space().uncharge(1);
                    return Err(err);
                }
                folio.mark_dirty();
                return Ok((folio, None));
            }
            Err(err) => {
                inode.space().uncharge(1);
                if err != EEXIST {
                    return Err(err);
                }
            }
        }
        found = inode.lock_page(index);
    }
}

/// Copies from `source` to the page of `inode`, a segment of `base`, that holds `pos`, at most to its end. Returns how much.
///
/// `source` is given the page, the offset and the length, and says how much it copied.
#[inline(always)]
fn write_page(
    change: &Change<'_>,
    base: &Locked,
    inode: &Inode,
    pos: u64,
    len: usize,
    mut source: impl FnMut(&LockedFolio, usize, usize) -> usize,
) -> Result<usize> {
    let (index, offset) = page_of(pos);
    let len = len.min(PAGE_SIZE - offset);
    let (folio, filled) = match inode.lock_page(index) {
        Some(folio) if folio.is_dirty() && change.is_settled(&folio) => (folio, None),
        found if len == PAGE_SIZE => {
            let mut fill = |page: &LockedFolio| source(page, 0, PAGE_SIZE).min(PAGE_SIZE);
            grab_or_fill(change, inode, index, found, Some(&mut fill))?
        }
        found => grab_or_fill(change, inode, index, found, None)?,
    };
    let fresh = !folio.is_uptodate();
    if fresh && len != PAGE_SIZE {
        folio.zero_range(0, offset);
        folio.zero_range(offset + len, PAGE_SIZE);
    }
    let copied = match filled {
        Some(filled) => filled,
        None => source(&folio, offset, len).min(len),
    };
    if fresh {
        folio.zero_range(offset + copied, len - copied);
        folio.mark_uptodate();
    }
    let end = pos + copied as u64;
    if copied != 0 && end > unsigned(inode.size()) {
        views::resize(base, signed(inode.origin() + end));
    }
    Ok(copied)
}

/// How many pages are written without giving a mapper the chance to take a snapshot in between.
const STRETCH: usize = 64;

/// What ended a stretch of a write.
pub(super) enum Stop {
    /// All of it is written, or a mapper may have its turn.
    Done,
    /// The source is not in memory.
    Source,
    /// The file could not be changed.
    Failed(Error),
}

/// Writes pages from `from` at `pos` on with S held, up to the first that cannot be copied without a fault.
fn write_stretch(inode: &Locked, pos: u64, from: &mut IovIter) -> (usize, Stop) {
    if inode.is_row() && !inode.in_first(pos, from.count()) {
        segments::write_stretch(inode, pos, from, STRETCH)
    } else {
        write_pages_inline(&change(inode), inode, inode, pos, from, STRETCH)
    }
}

/// Writes at most `pages` pages of `inode`, a segment of `base`, from `from` at `pos` on.
#[inline(never)]
pub(super) fn write_pages(
    change: &Change<'_>,
    base: &Locked,
    inode: &Inode,
    pos: u64,
    from: &mut IovIter,
    pages: usize,
) -> (usize, Stop) {
    write_pages_inline(change, base, inode, pos, from, pages)
}

/// [`write_pages`], where it has to be fast.
#[inline(always)]
fn write_pages_inline(
    change: &Change<'_>,
    base: &Locked,
    inode: &Inode,
    pos: u64,
    from: &mut IovIter,
    pages: usize,
) -> (usize, Stop) {
    let mut written = 0;
    for _ in 0..pages {
        let left = from.count();
        if left == 0 {
            break;
        }
        let at = pos + written as u64;
        let want = left.min(PAGE_SIZE - page_of(at).1);
        match write_page(change, base, inode, at, want, |folio, offset, len| {
            from.copy_to_folio(folio, offset, len)
        }) {
            Ok(copied) => {
                written += copied;
                if copied < want {
                    return (written, Stop::Source);
                }
            }
            Err(err) => return (written, Stop::Failed(err)),
        }
    }
    (written, Stop::Done)
}

/// Writes one page through a page of our own, which can be filled without locks. That always gets on, even if the source
/// is a private mapping of the very page that is written, which loses it to each attempt.
fn write_bounced(inode: &Locked, pos: u64, from: &mut IovIter) -> Result<usize> {
    from.bounce(PAGE_SIZE - page_of(pos).1, |bounce| {
        let (part, at) = segments::get_at(inode, pos)?;
        let change = change(part);
        write_page(
            &change,
            inode,
            part,
            at,
            bounce.len(),
            |folio, offset, len| bounce.copy_to(folio, offset, len),
        )
    })
}

/// Writes all of `from` at `pos`. Returns how much was written, or the error if that is nothing.
pub(super) fn perform_write(inode: &Locked, pos: u64, from: &mut IovIter) -> Result<usize> {
    let old = inode.size();
    if pos <= unsigned(old) {
        return write_all(inode, pos, from);
    }
    clear_tail(&change(inode), inode, old)?;
    let ret = write_all(inode, pos, from);
    settle_old_tail(&change(inode), inode, old);
    ret
}

/// As [`perform_write`], where the file is not left with a gap before `pos`.
fn write_all(inode: &Locked, pos: u64, from: &mut IovIter) -> Result<usize> {
    let mut written = 0;
    let mut faulted_in = false;
    let error = loop {
        let (n, stop) = write_stretch(inode, pos + written as u64, from);
        written += n;
        match stop {
            Stop::Done if from.count() == 0 => return Ok(written),
            Stop::Done => (),
            Stop::Failed(err) => break err,
            Stop::Source if n != 0 || !faulted_in => {
                let want = from.count().min(STRETCH * PAGE_SIZE);
                if from.fault_in(want) == want {
                    break EFAULT;
                }
                faulted_in = true;
            }
            Stop::Source => match write_bounced(inode, pos + written as u64, from) {
                Ok(n) => {
                    written += n;
                    faulted_in = false;
                }
                Err(err) => break err,
            },
        }
        task::cond_resched();
        if task::fatal_signal_pending() {
            break EINTR;
        }
    };
    if written != 0 {
        Ok(written)
    } else {
        Err(error)
    }
}

/// Copies from the file at `pos` to `to`. Returns how much, or `EFAULT`, or `EIO` for broken memory, if that is nothing.
#[inline(always)]
pub(super) fn perform_read(inode: &Inode, pos: u64, to: &mut IovIter) -> Result<usize> {
    merge_late(inode);
    if inode.is_row() && !inode.in_first(pos, to.count()) {
        segments::read(inode, pos, to)
    } else {
        read_part(inode, pos, to)
    }
}

/// As [`perform_read`], of a segment.
pub(super) fn read_part(inode: &Inode, mut pos: u64, to: &mut IovIter) -> Result<usize> {
    let mapping = inode.mapping();
    let mut read = 0;
    while to.count() != 0 {
        let (index, offset) = page_of(pos);
        let folio = mapping.get(index);
        // Look at the size after the page: what a truncate cleared is not read as data.
        let left = unsigned(inode.size()).saturating_sub(pos);
        if left == 0 {
            break;
        }
        let want = to
            .count()
            .min(PAGE_SIZE - offset)
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let copied = match folio {
            Some(folio) if folio.is_hwpoison() => {
                return if read == 0 { Err(EIO) } else { Ok(read) };
            }
            Some(folio) if folio.is_uptodate() => to.copy_from_folio(&folio, offset, want),
            Some(_) if inode.take_back_page(index) => continue,
            _ => to.copy_zeros(want),
        };
        read += copied;
        pos += copied as u64;
        if copied < want {
            if read == 0 {
                return Err(EFAULT);
            }
            break;
        }
        task::cond_resched();
    }
    Ok(read)
}

/// The first byte of data, or of a hole, at or after `pos` in a file of `size` bytes. `ENXIO`.
pub(super) fn seek_hole_data(inode: &Inode, pos: u64, size: u64, data: bool) -> Result<u64> {
    if pos >= size {
        Err(ENXIO)
    } else if inode.is_row() {
        segments::seek(inode, pos, size, data)
    } else {
        seek_part(inode, pos, size, data)
    }
}

/// As [`seek_hole_data`], in a segment of which `size` bytes are looked at.
pub(super) fn seek_part(inode: &Inode, pos: u64, size: u64, data: bool) -> Result<u64> {
    let mapping = inode.mapping();
    let mut next = page_of(pos).0;
    // Where a hole would begin, as far as has been looked.
    let mut hole = next;
    let last = page_of(size - 1).0;
    while next <= last {
        let batch = mapping.batch(&mut next, last);
        if batch.is_empty() {
            break;
        }
        for folio in batch
            .iter()
            .filter(|folio| folio.is_uptodate() || inode.take_back_page(folio.index()))
        {
            let index = folio.index();
            if data {
                return Ok(pos.max((index as u64) << PAGE_SHIFT));
            }
            if index != hole {
                return Ok(pos.max((hole as u64) << PAGE_SHIFT));
            }
            hole = index + 1;
        }
    }
    if data {
        return Err(ENXIO);
    }
    Ok(size.min(pos.max((hole as u64) << PAGE_SHIFT)))
}

/// Turns the bytes from `start` to before `end` into zeros, and the pages that lie within them into holes. `ENOMEM`; then
/// nothing has changed.
fn punch(change: &Change<'_>, inode: &Inode, start: u64, end: u64) -> Result {
    if inode.is_row() {
        // As in a segment: settle both ends before either changes.
        for pos in [start, end] {
            if let (Some((part, at)), true) = (inode.part_at(pos), page_of(pos).1 != 0) {
                drop(settled(&change.of(part), part, page_of(at).0)?);
            }
        }
    }
    inode.for_each_part(start, end, |part, start, end| {
        punch_part(&change.of(part), part, start, end)
    })
}

/// As [`punch`], in a segment.
fn punch_part(change: &Change<'_>, inode: &Inode, start: u64, end: u64) -> Result {
    let mapping = inode.mapping();
    let (first, head) = page_of(start);
    let (last, tail) = page_of(end);
    // Whole pages.
    let from = if head != 0 { first + 1 } else { first };
    // Settle both ends before either changes.
    if head != 0 || first == last {
        drop(settled(change, inode, first)?);
    }
    if tail != 0 && last != first {
        drop(settled(change, inode, last)?);
    }
    if head != 0 || first == last {
        if let Some(folio) = settled(change, inode, first)? {
            let to = if first == last { tail } else { PAGE_SIZE };
            folio.zero_range(head, to - head);
        }
    }
    if tail != 0 && last != first {
        if let Some(folio) = settled(change, inode, last)? {
            folio.zero_range(0, tail);
        }
    }
    if from < last {
        mapping.unmap(from, last - from);
        discard_range(change, inode, from, last);
    }
    Ok(())
}

/// Gives the file a page of zeros wherever it has a hole in the pages that have the bytes from `start` to before `end`.
/// `ENOSPC`, `ENOMEM`, `EINTR`; then it has none of them.
fn reserve(inode: &Inode, start: u64, end: u64) -> Result {
    let limit = inode.space().limit();
    let pages = end.div_ceil(PAGE_SIZE as u64) - (start >> PAGE_SHIFT);
    if limit != 0 && pages > limit as u64 {
        return Err(ENOSPC);
    }
    let mut done = start;
    while done < end {
        let ret = segments::get_at(inode, done).and_then(|(part, at)| {
            let stop = at.saturating_add(end - done).min(part.room());
            reserve_part(part, page_of(at).0, size_in_pages(signed(stop)))?;
            Ok(stop - at)
        });
        match ret {
            Ok(len) => done += len,
            Err(err) => {
                unreserve(inode, start, done);
                return Err(err);
            }
        }
    }
    Ok(())
}

/// As [`reserve`], for the pages from `first` to before `end` of a segment.
fn reserve_part(inode: &Inode, first: usize, end: usize) -> Result {
    let mapping = inode.mapping();
    let space = inode.space();
    let mut failed = None;
    let mut index = first;
    while index < end {
        if task::fatal_signal_pending() {
            failed = Some(EINTR);
            break;
        }
        if mapping.get(index).is_some() {
            // One that was only reserved before must not go if we fail.
            if let Some(folio) = inode
                .lock_page(index)
                .filter(|f| !f.is_uptodate() && f.is_dirty())
            {
                folio.zero_range(0, PAGE_SIZE);
                folio.mark_uptodate();
            }
        } else {
            if let Err(err) = space.charge(1) {
                failed = Some(err);
                break;
            }
            match mapping.add(index) {
                // It stays a hole in all but the charge: not uptodate, which also tells it from others if we fail.
                Ok(folio) => folio.mark_dirty(),
                Err(err) => {
                    space.uncharge(1);
                    if err != EEXIST {
                        failed = Some(err);
                        break;
                    }
                }
            }
        }
        index += 1;
        task::cond_resched();
    }
    let Some(err) = failed else {
        return Ok(());
    };
    unreserve_part(inode, first, index);
    Err(err)
}

/// Takes back what [`reserve`] added, and nobody has used.
fn unreserve(inode: &Inode, start: u64, end: u64) {
    let _ = inode.for_each_part(start, end, |part, start, end| {
        unreserve_part(part, page_of(start).0, size_in_pages(signed(end)));
        Ok(())
    });
}

fn unreserve_part(inode: &Inode, first: usize, end: usize) {
    let _ = for_each_page(inode, first, end, |folio| {
        if !folio.is_uptodate() {
            let charged = folio.is_dirty();
            let _ = inode.mapping().remove(&folio);
            if charged {
                inode.space().uncharge(1);
            }
        }
        Ok(())
    });
}

/// Turns the bytes from `start` to before `end` into zeros, and keeps the pages. `ENOSPC`, `ENOMEM`; then nothing has
/// changed.
fn zero_range(change: &Change<'_>, inode: &Inode, start: u64, end: u64) -> Result {
    // All are settled before any changes. One that has to be settled again was replaced or has moved meanwhile, and needs no
    // more than the entry it has.
    inode.for_each_part(start, end, |part, start, end| {
        let change = change.of(part);
        let (first, after) = (page_of(start).0, size_in_pages(signed(end)));
        for_each_page(part, first, after, |mut folio| {
            if folio.is_uptodate() {
                change.settle(&mut folio, 1, Charge::Limited)?;
            }
            Ok(())
        })
    })?;
    inode.for_each_part(start, end, |part, start, end| {
        zero_part(&change.of(part), part, start, end)
    })
}

/// The last part of [`zero_range`], in a segment.
fn zero_part(change: &Change<'_>, inode: &Inode, start: u64, end: u64) -> Result {
    let (first, head) = page_of(start);
    let (last, tail) = page_of(end);
    let after = if tail != 0 { last + 1 } else { last };
    for_each_page(inode, first, after, |mut folio| {
        if folio.is_uptodate() {
            change.settle(&mut folio, 1, Charge::Anyway)?;
            let from = if folio.index() == first { head } else { 0 };
            let to = if folio.index() == last {
                tail
            } else {
                PAGE_SIZE
            };
            folio.zero_range(from, to - from);
        }
        Ok(())
    })
}

/// Ends an fallocate that has reserved its pages: clears them if `zero`, and makes the file `size` long if it is not yet.
/// `ENOSPC`, `ENOMEM`; then nothing has changed.
fn fill(inode: &Locked, start: u64, end: u64, zero: bool, size: Option<i64>) -> Result {
    let change = change(inode);
    let old = inode.size();
    let size = size.filter(|size| *size > old);
    if size.is_some() {
        clear_tail(&change, inode, old)?;
    }
    if zero {
        zero_range(&change, inode, start, end)?;
    }
    if let Some(size) = size {
        views::resize(inode, size);
        settle_old_tail(&change, inode, old);
    }
    Ok(())
}

/// fallocate() for the bytes from `start` to before `end`.
pub(super) fn allocate(file: &File<SnapmapFs>, mode: u32, start: u64, end: u64) -> Result {
    let keep_size = mode & FALLOC_FL_KEEP_SIZE != 0;
    let inode = file.lock();
    match mode & !FALLOC_FL_KEEP_SIZE {
        FALLOC_FL_PUNCH_HOLE => {
            let _invalidate = inode.mapping().invalidate_lock();
            punch(&change(&inode), &inode, start, end)?;
        }
        op @ (0 | FALLOC_FL_ZERO_RANGE) => {
            // Also with KEEP_SIZE, as on tmpfs.
            inode.newsize_ok(signed(end))?;
            // What a hole turns into reads the same, so a mapper need not wait for this.
            reserve(&inode, start, end)?;
            let size = (!keep_size).then_some(signed(end));
            fill(&inode, start, end, op == FALLOC_FL_ZERO_RANGE, size)
                .inspect_err(|_| unreserve(&inode, start, end))?;
        }
        _ => return Err(Errno::EOPNOTSUPP.into()),
    }
    inode.modified()
}

impl FileOperations for Regular {
    type Fs = SnapmapFs;
    type Windows = Windows;
    const IS_WINDOW: bool = false;

    fn read_iter(iocb: &mut Kiocb<'_, SnapmapFs>, to: &mut IovIter) -> Result<usize> {
        let file = iocb.file();
        let pos = iocb.pos();
        let ret = perform_read(file.inode(), unsigned(pos), to);
        if let Ok(read) = ret {
            iocb.set_pos(signed(unsigned(pos) + read as u64));
        }
        file.accessed();
        ret
    }

    #[inline]
    fn write_iter(iocb: &mut Kiocb<'_, SnapmapFs>, from: &mut IovIter) -> Result<usize> {
        let file = iocb.file();
        let inode = file.lock();
        if iocb.write_checks(from)? == 0 {
            return Ok(0);
        }
        inode.remove_privs()?;
        file.update_time()?;
        let pos = unsigned(iocb.pos());
        let written = perform_write(&inode, pos, from)?;
        iocb.set_pos(signed(pos + written as u64));
        Ok(written)
    }

    fn llseek(file: &File<SnapmapFs>, offset: i64, whence: i32) -> Result<i64> {
        let inode = file.inode();
        let max = inode.max_size();
        let data = match u32::try_from(whence) {
            Ok(SEEK_DATA) => true,
            Ok(SEEK_HOLE) => false,
            _ => return file.seek(offset, whence, max, inode.size()),
        };
        let pos = u64::try_from(offset).map_err(|_| ENXIO)?;
        let _lock = inode.lock();
        let found = seek_hole_data(inode, pos, unsigned(inode.size()), data)?;
        file.set_pos(signed(found), max)
    }

    fn fallocate(file: &File<SnapmapFs>, mode: u32, offset: i64, len: i64) -> Result {
        let start = unsigned(offset);
        let end = start.checked_add(unsigned(len)).ok_or(EFBIG)?;
        allocate(file, mode, start, end)
    }

    fn mmap_prepare(
        inode: &Inode,
        file: &File<SnapmapFs>,
        desc: &mut MmapDesc<SnapmapFs>,
    ) -> Result {
        mmap::prepare(inode, file, desc)
    }

    fn ioctl(file: &File<SnapmapFs>, cmd: u32, arg: usize) -> Result<i32> {
        window::ioctl(file, cmd, arg)
    }
}

impl AddressSpaceOperations for Regular {
    type Fs = SnapmapFs;

    /// A fault wants a page where there is a hole, or one that was only reserved.
    fn read_folio(inode: &Inode, folio: LockedFolio) -> Result {
        if folio.index() >= inode.room_in_pages() {
            // It belongs to another segment. A uprobe has no way to say so.
            let _ = inode.mapping().remove(&folio);
            return Err(EIO);
        }
        views::take_back(inode, &folio);
        fill_hole(inode, &folio)
    }
}

/// Fills a page with zeros if it is not uptodate, which has lent nothing. `ENOSPC`; then it is no longer there.
pub(super) fn fill_hole(inode: &Inode, folio: &LockedFolio) -> Result {
    if folio.is_uptodate() {
        return Ok(());
    }
    if !folio.is_dirty() {
        if let Err(err) = inode.space().charge(1) {
            let _ = inode.mapping().remove(folio);
            return Err(err);
        }
        folio.mark_dirty();
    }
    folio.zero_range(0, PAGE_SIZE);
    folio.mark_uptodate();
    Ok(())
}
