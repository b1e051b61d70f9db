// SPDX-License-Identifier: GPL-2.0

//! Segments: a file is a row of address spaces.
//!
//! The number of a page in an address space has as many bits as a pointer. So on 32-bit machines a file is cut into segments
//! of [`MAX_BITS`]: the first is the file's own address space, the others are those of extension inodes, which are made when
//! they are first needed and live as long as the file. The mount option `segment=` makes them smaller, for tests. Elsewhere
//! all of a file is in its first segment, which is found out by one compare.
//!
//! What is in this module takes positions in the file apart into segments and positions in these; the functions that it
//! calls know of one address space only. Each segment has its own version store. S, the epoch, `i_rwsem` and
//! `invalidate_lock` are the file's, so what happens to several segments under one hold of S happens at one instant.

use super::{
    file::{
        self,
        page_of,
        signed,
        unsigned,
        Stop, //
    },
    inode,
    snapshots::{
        change,
        exclusively,
        size_in_pages, //
    },
    views, Inode, Locked,
};
use crate::vfs::{
    file::IovIter,
    folio::{
        LockedFolio,
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    task,
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// Binary logarithm of the size of the largest address space, in bytes: all of a file on 64-bit machines, and half of what
/// the number of a page reaches on 32-bit ones. The last number, `ULONG_MAX`, is no good there: the size of a file that has it
/// would have more pages than can be counted, which `filemap_map_pages()` and others do.
pub(super) const MAX_BITS: u32 = if usize::BITS >= 64 {
    63
} else {
    usize::BITS - 1 + PAGE_SHIFT as u32
};

/// Which part of a file an inode has the pages of.
pub(crate) struct Place {
    /// Binary logarithm of the size of a segment.
    bits: Atomic<u32>,
    /// The number of the segment; of a view, of the half segment where it begins.
    number: Atomic<usize>,
    /// How many bytes behind the start of a page of the file the pages of a view begin.
    shift: Atomic<usize>,
    is_view: Atomic<bool>,
}

impl Place {
    /// All of a file.
    pub(super) const fn new() -> Self {
        Self {
            bits: Atomic::new(MAX_BITS),
            number: Atomic::new(0),
            shift: Atomic::new(0),
            is_view: Atomic::new(false),
        }
    }

    /// Sets that this is the segment `number` of a file with segments of 2^`bits` bytes, which nobody knows yet.
    pub(super) fn set_segment(&self, bits: u32, number: usize) {
        self.bits.store(bits, Relaxed);
        self.number.store(number, Relaxed);
    }

    /// Sets that this is a view that nobody knows yet, of all from `shift` bytes behind the start of the half segment `number`
    /// on.
    pub(super) fn set_view(&self, bits: u32, number: usize, shift: usize) {
        self.set_segment(bits, number);
        self.shift.store(shift, Relaxed);
        self.is_view.store(true, Relaxed);
    }

    /// The number, and the shift of a view.
    pub(super) fn number(&self) -> (usize, usize) {
        (self.number.load(Relaxed), self.shift.load(Relaxed))
    }
}

/// Binary logarithm of the bytes from the beginning of a view to that of the next one with the same shift, for segments of
/// 2^`bits` bytes: so much less than what a view has that each mapping fits into one.
fn stride(bits: u32) -> u32 {
    bits.saturating_sub(1).max(PAGE_SHIFT as u32)
}

/// The largest size of a file with segments of 2^`bits` bytes: the numbers of segments and views have the bits of a pointer.
pub(super) fn max_file_size(bits: u32) -> i64 {
    1_i64
        .checked_shl(bits.saturating_add(usize::BITS - 2))
        .filter(|size| *size > 0)
        .unwrap_or(i64::MAX)
}

impl Inode {
    /// Binary logarithm of the size of the file's segments.
    #[inline]
    pub(super) fn bits(&self) -> u32 {
        self.data().file.place.bits.load(Relaxed)
    }

    /// Whether the file may have more segments than one.
    #[inline]
    pub(super) fn is_row(&self) -> bool {
        self.bits() < 63
    }

    /// Whether this is a view, and not a file or segment.
    #[inline]
    pub(super) fn is_view(&self) -> bool {
        self.data().file.place.is_view.load(Relaxed)
    }

    /// Whether the file that this is, or is a segment of, has views.
    #[inline]
    pub(super) fn has_views(&self) -> bool {
        self.base().has_extensions()
    }

    /// Whether `len` bytes from `pos` on are all in the first segment.
    #[inline]
    pub(super) fn in_first(&self, pos: u64, len: usize) -> bool {
        pos.saturating_add(len as u64) >> self.bits() == 0
    }

    /// The page of the file that the first one of this begins in.
    #[inline]
    pub(super) fn first_page(&self) -> u64 {
        let place = &self.data().file.place;
        let bits = place.bits.load(Relaxed);
        let bits = if place.is_view.load(Relaxed) {
            stride(bits)
        } else {
            bits
        };
        (place.number.load(Relaxed) as u64) << (bits - PAGE_SHIFT as u32)
    }

    /// The byte of the file that is the first one of this.
    #[inline]
    pub(super) fn origin(&self) -> u64 {
        (self.first_page() << PAGE_SHIFT) + self.data().file.place.shift.load(Relaxed) as u64
    }

    /// How many bytes this can have.
    pub(super) fn room(&self) -> u64 {
        1 << if self.is_view() {
            MAX_BITS
        } else {
            self.bits()
        }
    }

    /// How many pages this can have.
    pub(super) fn room_in_pages(&self) -> usize {
        page_of(self.room()).0
    }

    /// How many bytes this has of a file of `size` bytes.
    pub(super) fn size_within(&self, size: i64) -> i64 {
        signed(
            unsigned(size)
                .saturating_sub(self.origin())
                .min(self.room()),
        )
    }

    /// The number of the segment that has the byte `pos`, and where in it.
    fn split(&self, pos: u64) -> (usize, u64) {
        let bits = self.bits();
        (
            usize::try_from(pos >> bits).unwrap_or(usize::MAX),
            pos & ((1 << bits) - 1),
        )
    }

    /// The segment `number` of the file, if there is one.
    fn part(&self, number: usize) -> Option<&Self> {
        if number == 0 {
            Some(self)
        } else {
            self.segment(number)
        }
    }

    /// The segment that has the byte `pos` of the file, if there is one, and where in it that is.
    pub(super) fn part_at(&self, pos: u64) -> Option<(&Self, u64)> {
        let (number, at) = self.split(pos);
        Some((self.part(number)?, at))
    }

    /// The segment that has the page `page` of the file, if there is one, and which page of that it is.
    pub(super) fn part_of_page(&self, page: u64) -> Option<(&Self, usize)> {
        let bits = self.bits() - PAGE_SHIFT as u32;
        let part = self.part(usize::try_from(page >> bits).ok()?)?;
        Some((part, usize::try_from(page & ((1 << bits) - 1)).ok()?))
    }

    /// As [`Inode::part_of_page`], makes the segment if there is none. Errors: those of [`get`].
    pub(super) fn make_part_of_page(&self, page: u64) -> Result<(&Self, usize)> {
        let bits = self.bits() - PAGE_SHIFT as u32;
        get(self, usize::try_from(page >> bits)?)?;
        self.part_of_page(page).ok_or(EIO)
    }

    /// Calls `f` with each segment that there is of the file from the byte `start` to before `end`, and which of its bytes
    /// those are, until it fails.
    pub(super) fn for_each_part<'a>(
        &'a self,
        start: u64,
        end: u64,
        mut f: impl FnMut(&'a Self, u64, u64) -> Result,
    ) -> Result {
        let Some(last) = end.checked_sub(1).filter(|last| start <= *last) else {
            return Ok(());
        };
        let (mut number, last) = (self.split(start).0, self.split(last).0);
        loop {
            let (at, part) = if number == 0 {
                (0, self)
            } else {
                match self.segment_from(number, last) {
                    Some(found) => found,
                    None => return Ok(()),
                }
            };
            let origin = part.origin();
            f(
                part,
                start.saturating_sub(origin),
                (end - origin).min(part.room()),
            )?;
            if at >= last {
                return Ok(());
            }
            number = at + 1;
        }
    }
}

/// The segment `number` of the file `base`, made if there is none yet. S must not be held.
///
/// Errors: `ENOSPC` if there are too many inodes, `ENOMEM`; `EINTR` for a fatal signal.
pub(super) fn get(base: &Inode, number: usize) -> Result<&Inode> {
    if let Some(part) = base.part(number) {
        return Ok(part);
    }
    let new = inode::new_segment(base, number)?;
    exclusively(base, || {
        new.set_size(new.size_within(base.size()));
        match base.add_segment(number, new) {
            Err(err) if err != EBUSY => Err(err),
            _ => Ok(()),
        }
    })??;
    base.part(number).ok_or(EIO)
}

/// The segment that has the byte `pos` of the file `base`, made if there is none yet, and where in it that is. Errors: those of
/// [`get`].
pub(super) fn get_at(base: &Inode, pos: u64) -> Result<(&Inode, u64)> {
    let (number, at) = base.split(pos);
    Ok((get(base, number)?, at))
}

/// Sets the sizes of the segments of a file that changes its size from `old` to `new` bytes.
pub(super) fn resize(base: &Locked, old: i64, new: i64) {
    let (old, size) = (unsigned(old), unsigned(new));
    let _ = base.for_each_part(old.min(size), old.max(size), |part, _, _| {
        if part.is_extension() {
            base.set_extension_size(part, part.size_within(new));
        }
        Ok(())
    });
}

/// As [`file::perform_read`], of a file with several segments.
pub(super) fn read(base: &Inode, pos: u64, to: &mut IovIter) -> Result<usize> {
    let mut read = 0;
    while to.count() != 0 {
        let pos = pos.saturating_add(read as u64);
        let (number, at) = base.split(pos);
        let room = usize::try_from(base.room() - at).unwrap_or(usize::MAX);
        let want = to.count().min(room);
        let ret = to.with_limit(want, |to| match base.part(number) {
            Some(part) => file::read_part(part, at, to),
            None => read_hole(base, pos, to),
        });
        match ret {
            Ok(n) => {
                read += n;
                if n < want {
                    break;
                }
            }
            Err(err) if read == 0 => return Err(err),
            Err(_) => break,
        }
    }
    Ok(read)
}

/// Reads zeros up to the end of the file.
fn read_hole(base: &Inode, pos: u64, to: &mut IovIter) -> Result<usize> {
    let mut read = 0;
    while to.count() != 0 {
        let left = unsigned(base.size()).saturating_sub(pos.saturating_add(read as u64));
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        if left == 0 {
            break;
        }
        let want = to.count().min(PAGE_SIZE).min(left);
        let copied = to.copy_zeros(want);
        read += copied;
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

/// As [`file::write_stretch`], where it is not all in the first segment. One stretch may be in two segments.
pub(super) fn write_stretch(
    base: &Locked,
    pos: u64,
    from: &mut IovIter,
    pages: usize,
) -> (usize, Stop) {
    let (number, at) = base.split(pos);
    let room = usize::try_from(base.room() - at).unwrap_or(usize::MAX);
    let first = match get(base, number) {
        Ok(part) => part,
        Err(err) => return (0, Stop::Failed(err)),
    };
    let want = from.count().min(pages.saturating_mul(PAGE_SIZE));
    // If there cannot be one, what is before can be written.
    let next = if room < want {
        get(base, number.saturating_add(1)).ok()
    } else {
        None
    };
    let whole = usize::try_from(base.room()).unwrap_or(usize::MAX);
    let want = want.min(if next.is_some() {
        room.saturating_add(whole)
    } else {
        room
    });
    let change = change(base);
    let (mut written, mut stop) = from.with_limit(want.min(room), |from| {
        file::write_pages(&change.of(first), base, first, at, from, pages)
    });
    if let (Some(next), Stop::Done) = (next, &stop) {
        if written == room {
            let (n, end) = from.with_limit(want - room, |from| {
                file::write_pages(&change.of(next), base, next, 0, from, pages)
            });
            written += n;
            stop = end;
        }
    }
    (written, stop)
}

/// As [`file::seek_part`], in a file with several segments.
pub(super) fn seek(base: &Inode, mut pos: u64, size: u64, data: bool) -> Result<u64> {
    while pos < size {
        let (number, at) = base.split(pos);
        let start = pos - at;
        let end = size.min(start.saturating_add(base.room()));
        match base.part(number) {
            Some(part) => match file::seek_part(part, at, end - start, data) {
                Ok(found) if data || found < end - start => return Ok(start + found),
                // Full up to its end, or without data.
                _ => pos = end,
            },
            None if !data => return Ok(pos),
            None => {
                let (next, _) = base
                    .segment_from(number, base.split(size - 1).0)
                    .ok_or(ENXIO)?;
                pos = (next as u64) << base.bits();
            }
        }
    }
    if data {
        Err(ENXIO)
    } else {
        Ok(size)
    }
}

/// Where the pages of a mapping are.
pub(super) struct Target<'a> {
    /// The file, a segment or a view.
    pub(super) inode: &'a Inode,
    /// Its first page there.
    pub(super) first: usize,
}

/// Where the pages are of a mapping that begins with the byte `start + pages.0 * PAGE_SIZE` of the file, and has the pages
/// from `pages.0` to before `pages.1`. May sleep; S must not be held.
///
/// Errors: `EOVERFLOW` if it does not end within what a file can have; those of [`get`] and [`views::get`].
pub(super) fn target(base: &Inode, start: u64, pages: (usize, usize)) -> Result<Target<'_>> {
    let (page, shift) = (start >> PAGE_SHIFT, page_of(start).1);
    let first = page.checked_add(pages.0 as u64).ok_or(EOVERFLOW)?;
    let end = page.checked_add(pages.1 as u64).ok_or(EOVERFLOW)?;
    if end > unsigned(i64::MAX) >> PAGE_SHIFT {
        return Err(EOVERFLOW);
    }
    let bits = base.bits() - PAGE_SHIFT as u32;
    let number = first >> bits;
    let inode = if shift == 0 && number == end.saturating_sub(1).max(first) >> bits {
        get(base, usize::try_from(number).map_err(|_| EOVERFLOW)?)?
    } else {
        views::get(base, first, shift)?
    };
    Ok(Target {
        inode,
        first: usize::try_from(first - inode.first_page()).map_err(|_| EOVERFLOW)?,
    })
}

/// The number of the view that has the page `page` of the file.
pub(super) fn view_number(base: &Inode, page: u64) -> Result<usize> {
    let bits = stride(base.bits()) - PAGE_SHIFT as u32;
    usize::try_from(page >> bits).map_err(|_| EOVERFLOW)
}

/// The page `index` of `inode`, a file or segment, locked and uptodate, for a fault; `None` behind the end. `filemap_fault()`
/// would do the same, but counts the pages of the whole file where `inode` is its first segment.
///
/// Errors: `ENOSPC`, `ENOMEM`, and `EIO` for broken memory.
pub(super) fn live(inode: &Inode, index: usize) -> Result<Option<LockedFolio>> {
    let mapping = inode.mapping();
    let is_past = || index >= size_in_pages(inode.size()).min(inode.room_in_pages());
    loop {
        if is_past() {
            return Ok(None);
        }
        if let Some(folio) = inode.lock_page(index) {
            if folio.is_hwpoison() {
                return Err(EIO);
            }
            file::fill_hole(inode, &folio)?;
            // Who makes the file shorter takes the page away after the size.
            return Ok((!is_past()).then_some(folio));
        }
        // Who makes it shorter has the lock, so that nothing is added behind the end.
        let _invalidate = inode.base().mapping().invalidate_lock_shared();
        if is_past() {
            return Ok(None);
        }
        match mapping.add(index) {
            Ok(folio) => {
                file::fill_hole(inode, &folio)?;
                return Ok(Some(folio));
            }
            Err(err) if err == EEXIST => (),
            Err(err) => return Err(err),
        }
    }
}

/// As [`live`], with the segment, of a page that `inode`, a file or segment, would have if it did not end before it.
///
/// Errors: those of [`get`] and [`live`].
pub(super) fn live_behind(inode: &Inode, index: usize) -> Result<Option<(&Inode, LockedFolio)>> {
    let base = inode.base();
    let page = inode.first_page().saturating_add(index as u64);
    if page.saturating_mul(PAGE_SIZE as u64) >= unsigned(base.size()) {
        return Ok(None);
    }
    let (part, index) = base.make_part_of_page(page)?;
    Ok(live(part, index)?.map(|folio| (part, folio)))
}
