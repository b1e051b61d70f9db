// SPDX-License-Identifier: GPL-2.0

//! Folios of one page.
//!
//! Every folio that this module puts into a page cache or keeps has order 0. Several Rust types stand for the C type
//! `struct folio`, by what their holder may do: [`Folio`] may be looked at, [`LockedFolio`] may be changed.
//!
//! C headers: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h),
//! [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use super::{
    bindings,
    memcg,
    task, //
};
use core::{
    ffi::c_void,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull,
    sync::atomic::{
        AtomicUsize,
        Ordering, //
    },
};
use kernel::{
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// Binary logarithm of [`PAGE_SIZE`].
pub(crate) use kernel::page::PAGE_SHIFT;
/// Bytes in a page.
pub(crate) use kernel::page::PAGE_SIZE;

/// A `struct folio` of order 0 that somebody holds a reference to.
#[repr(transparent)]
pub(crate) struct Folio(Opaque<bindings::folio>);

// SAFETY: Folios are reference-counted by atomic operations and belong to no thread.
unsafe impl Send for Folio {}
// SAFETY: What a shared reference allows is done by atomic operations, or on fields that only change under the folio
// lock, which `LockedFolio` stands for.
unsafe impl Sync for Folio {}

// SAFETY: `folio_get` and `folio_put` count references, and a folio lives while there are some.
unsafe impl AlwaysRefCounted for Folio {
    fn inc_ref(&self) {
        // SAFETY: `self` is a reference, so the count is not zero.
        unsafe { bindings::folio_get(self.as_ptr()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up the reference that it owns.
        unsafe { bindings::folio_put(obj.as_ptr().cast()) };
    }
}

impl Folio {
    /// Borrows a folio from C.
    ///
    /// # Safety
    ///
    /// `folio` has to be valid, of order 0 and referenced by somebody for all of `'a`.
    #[inline]
    pub(super) unsafe fn from_raw<'a>(folio: *mut bindings::folio) -> &'a Self {
        // SAFETY: The wrapper is transparent, and the caller vouches for the rest.
        unsafe { &*folio.cast() }
    }

    /// Takes over a reference that a C function returned, `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// If not null, `folio` has to be a valid folio of order 0, and the caller has to own a reference to it.
    #[inline]
    pub(super) unsafe fn take_raw(folio: *mut bindings::folio) -> Option<ARef<Self>> {
        // SAFETY: The caller gives away the reference that it owns.
        NonNull::new(folio).map(|folio| unsafe { ARef::from_raw(folio.cast()) })
    }

    /// Returns the C object.
    #[inline]
    pub(super) fn as_ptr(&self) -> *mut bindings::folio {
        self.0.get()
    }

    /// Makes a page with the contents of `source`, for somebody who keeps it outside of any page cache: it has no place
    /// in a file and on no list, and cannot be moved.
    ///
    /// The memory is charged to the active memory cgroup. If that is not the one of the running task or above it, it may
    /// exceed its limit by it: the task must not fail, let alone be killed, for the limits of others. If there is so little
    /// memory that the kernel would have to end a process for it, nobody is charged. `ENOMEM`, and `EIO` for broken memory.
    pub(crate) fn copy_of(source: &LockedFolio) -> Result<ARef<Self>> {
        let folio = Self::alloc_kept()?;
        folio.fill_from(source)?;
        Ok(folio)
    }

    /// As [`Folio::copy_of`], a page that is put together of pieces of others: of each, where it goes, where from, and how
    /// many bytes. The rest is zeros.
    pub(crate) fn put_together(
        pieces: &[(usize, Option<&Folio>, usize, usize)],
    ) -> Result<ARef<Self>> {
        let folio = Self::alloc_kept()?;
        // SAFETY: Nobody else has the folio.
        unsafe { bindings::folio_zero_range(folio.as_ptr(), 0, PAGE_SIZE) };
        for &(to, source, from, len) in pieces {
            let Some(source) = source else { continue };
            let (to, from) = (to.min(PAGE_SIZE), from.min(PAGE_SIZE));
            let len = len.min(PAGE_SIZE - to).min(PAGE_SIZE - from);
            // SAFETY: Both folios are valid pages, nobody else has this one, and the ranges lie within them.
            unsafe {
                bindings::folio_copy_piece(folio.as_ptr(), to, source.as_ptr(), from, len);
            }
        }
        // SAFETY: The folio is valid, and its contents are what they should be.
        unsafe { bindings::folio_mark_uptodate(folio.as_ptr()) };
        Ok(folio)
    }

    /// Memory for [`Folio::copy_of`].
    fn alloc_kept() -> Result<ARef<Self>> {
        // `__GFP_HIGH` is what lets a charge exceed a limit, `__GFP_NORETRY` what keeps the OOM killer out.
        if memcg::is_of_other() {
            Self::alloc(bindings::SNAPMAPFS_GFP_PRESERVE)
                .or_else(|_| Self::alloc(bindings::GFP_HIGHUSER))
        } else {
            Self::alloc(bindings::GFP_HIGHUSER | bindings::__GFP_ACCOUNT).or_else(|err| {
                // As in `memcg::alloc`.
                if task::fatal_signal_pending() {
                    Self::alloc(bindings::GFP_HIGHUSER)
                } else {
                    Err(err)
                }
            })
        }
    }

    /// Copies the contents of `source` to a folio that nobody else has. `EIO` if the memory is broken.
    fn fill_from(&self, source: &LockedFolio) -> Result {
        // SAFETY: Both are folios of order 0; nobody else has this one, and the lock of `source` keeps its contents.
        if !unsafe { bindings::folio_copy_page(self.as_ptr(), source.as_ptr()) } {
            return Err(EIO);
        }
        // SAFETY: The folio is valid, and its contents are what they should be.
        unsafe { bindings::folio_mark_uptodate(self.as_ptr()) };
        Ok(())
    }

    /// Makes a page that can take the place of `source` in the page cache: `fill` may write to its start and returns how
    /// much it has, and the rest of the contents is that of `source`. `ENOMEM`, and `EIO` for broken memory.
    pub(crate) fn replacement_of(
        source: &LockedFolio,
        fill: impl FnOnce(&LockedFolio) -> usize,
    ) -> Result<Replacement> {
        // SAFETY: A new folio of order 0 comes with one reference and its lock, or is null.
        let folio =
            unsafe { LockedFolio::take_raw(bindings::folio_alloc_locked(bindings::GFP_HIGHUSER)) }
                .ok_or(ENOMEM)?;
        match fill(&folio) {
            0 => folio.fill_from(source)?,
            filled => {
                if filled < PAGE_SIZE {
                    folio.copy_piece(filled, source, filled, PAGE_SIZE);
                }
                folio.mark_uptodate();
            }
        }
        Ok(Replacement(folio))
    }

    fn alloc(gfp: bindings::gfp_t) -> Result<ARef<Self>> {
        // SAFETY: A new folio of order 0 comes with one reference, or is null.
        unsafe { Self::take_raw(bindings::folio_alloc(gfp)) }.ok_or(ENOMEM)
    }

    /// Makes a page of zeros, for somebody who keeps it outside of any page cache.
    pub(crate) fn zeroed() -> Result<ARef<Self>> {
        let gfp = bindings::GFP_HIGHUSER | bindings::__GFP_ZERO | bindings::__GFP_ACCOUNT;
        let folio = Self::alloc(gfp)?;
        // SAFETY: The folio is valid, and its contents are what they should be.
        unsafe { bindings::folio_mark_uptodate(folio.as_ptr()) };
        Ok(folio)
    }

    /// Its flags, by the numbers of `enum pageflags`. They may change at any time. Read here and not by C: each call would
    /// cost more than the test.
    #[inline]
    fn flags(&self, order: Ordering) -> usize {
        // SAFETY: The folio is valid, and its flags are a word that is changed by atomic operations only.
        let flags = unsafe {
            let fields = &raw mut (*self.as_ptr()).__bindgen_anon_1.__bindgen_anon_1;
            AtomicUsize::from_ptr((&raw mut (*fields).flags.f).cast())
        };
        flags.load(order)
    }

    /// The number of references. It may change at any time.
    #[inline]
    pub(crate) fn ref_count(&self) -> i32 {
        // SAFETY: The folio is valid, and the count is read atomically.
        unsafe { bindings::folio_ref_count(self.as_ptr()) }
    }

    /// Whether the contents are valid. What is not uptodate has never been written to, and stands for zeros.
    #[inline]
    pub(crate) fn is_uptodate(&self) -> bool {
        // Acquire: what is read of the contents after this is not older. The flag is set after a barrier.
        self.flags(Ordering::Acquire) & (1 << bindings::pageflags_PG_uptodate) != 0
    }

    /// Whether the memory was found to be broken.
    #[inline]
    pub(crate) fn is_hwpoison(&self) -> bool {
        #[cfg(CONFIG_MEMORY_FAILURE)]
        return self.flags(Ordering::Relaxed) & (1 << bindings::pageflags_PG_hwpoison) != 0;
        #[cfg(not(CONFIG_MEMORY_FAILURE))]
        return false;
    }

    /// Whether the folio is dirty. This module keeps dirty what it has charged to the superblock; see
    /// `fs::space::Space`.
    #[inline]
    pub(crate) fn is_dirty(&self) -> bool {
        self.flags(Ordering::Relaxed) & (1 << bindings::pageflags_PG_dirty) != 0
    }

    /// Its page number in the file. Meaningful while the folio is in a page cache, which its lock or an index of the
    /// caller's own has to tell.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        // SAFETY: The folio is valid, and the index of a referenced folio of order 0 does not change while it matters. It is
        // read once.
        unsafe {
            let fields = &raw const (*self.as_ptr()).__bindgen_anon_1.__bindgen_anon_1;
            (&raw const (*fields).__bindgen_anon_2.index).read_volatile()
        }
    }

    /// Waits for the lock of the folio and takes it.
    #[inline]
    pub(crate) fn lock(this: ARef<Self>) -> LockedFolio {
        // SAFETY: The folio is valid, and the caller may sleep.
        unsafe { bindings::folio_lock(this.as_ptr()) };
        // INVARIANT: Locked just now.
        LockedFolio(this, NotThreadSafe)
    }
}

/// A page that somebody may go on storing into by a reference of his own, though it is not part of a file any more, and what
/// it held when it was last looked at.
///
/// The idea is that of twins and diffs in distributed shared memory (Carter, Bennett, Zwaenepoel: Implementation and
/// Performance of Munin, SOSP 1991).
pub(crate) struct LatePage {
    folio: ARef<Folio>,
    seen: ARef<Folio>,
}

impl LatePage {
    /// What becomes of `folio`, which no page table maps, when it leaves its file. `ENOMEM`, and `EIO` for broken memory.
    pub(crate) fn new(folio: &LockedFolio) -> Result<Self> {
        let seen = Folio::alloc(bindings::GFP_HIGHUSER)?;
        seen.fill_from(folio)?;
        Ok(Self {
            folio: folio.reference(),
            seen,
        })
    }

    /// What it held when it was last looked at.
    pub(crate) fn seen(&self) -> ARef<Folio> {
        self.seen.clone()
    }

    /// Whether nobody else has it any more, so that it will not change. For a page that has left the page cache.
    pub(crate) fn is_final(&self) -> bool {
        // SAFETY: The folio is valid.
        !unsafe { bindings::folio_has_other_users(self.folio.as_ptr(), 1) }
    }

    /// Whether anybody may have pinned it.
    pub(crate) fn maybe_pinned(&self) -> bool {
        // SAFETY: The folio is valid.
        unsafe { bindings::folio_maybe_pinned(self.folio.as_ptr()) }
    }

    /// Whether any of `len` bytes from `from` on is not as it was seen. What is past the page is left out.
    pub(crate) fn differs(&self, from: usize, len: usize) -> bool {
        let from = from.min(PAGE_SIZE);
        let len = len.min(PAGE_SIZE - from);
        // SAFETY: Both folios are valid pages, and the range lies within them.
        unsafe { bindings::folio_differs(self.folio.as_ptr(), self.seen.as_ptr(), from, len) }
    }

    /// Writes those of `len` bytes from `from` on that are not as they were seen to `page` at `to`. From here on they are seen.
    /// What is past either page is left out. `to` and `from` are multiples of 8.
    pub(crate) fn merge_into(&mut self, page: &LockedFolio, to: usize, from: usize, len: usize) {
        // Words have to be aligned.
        let (to, from) = (to.min(PAGE_SIZE) & !7, from.min(PAGE_SIZE) & !7);
        let len = len.min(PAGE_SIZE - to).min(PAGE_SIZE - from);
        // SAFETY: All three are valid pages, `page` is locked, nobody else has what was seen, and the ranges lie within them.
        unsafe {
            bindings::folio_merge(
                page.as_ptr(),
                to,
                self.folio.as_ptr(),
                self.seen.as_ptr(),
                from,
                len,
            );
        }
    }
}

/// A folio that nobody else knows, for [`LockedFolio::replace`].
pub(crate) struct Replacement(LockedFolio);

/// A folio and its lock, which is released when this is dropped.
///
/// # Invariants
///
/// The folio is locked, by this object, which stays with its thread.
pub(crate) struct LockedFolio(ARef<Folio>, NotThreadSafe);

impl Deref for LockedFolio {
    type Target = Folio;

    #[inline]
    fn deref(&self) -> &Folio {
        &self.0
    }
}

impl Drop for LockedFolio {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The folio is locked by the type invariant, and the reference goes after this.
        unsafe { bindings::folio_unlock(self.as_ptr()) };
    }
}

impl LockedFolio {
    /// Takes over the lock and a reference from C, `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// If not null, `folio` has to be a valid folio of order 0, and the caller has to own a reference to it and its
    /// lock.
    #[inline]
    pub(super) unsafe fn take_raw(folio: *mut bindings::folio) -> Option<Self> {
        // INVARIANT: The caller owns the lock.
        // SAFETY: The caller owns the reference.
        unsafe { Folio::take_raw(folio) }.map(|folio| Self(folio, NotThreadSafe))
    }

    /// Gives reference and lock to C.
    #[inline]
    pub(super) fn into_raw(self) -> *mut bindings::folio {
        ManuallyDrop::new(self).as_ptr()
    }

    /// Another reference to the folio.
    #[inline]
    pub(crate) fn reference(&self) -> ARef<Folio> {
        self.0.clone()
    }

    /// Whether anybody may have pinned the folio (`FOLL_PIN`). Unlike [`LockedFolio::has_other_users`] it does not take a
    /// fault for that, nor somebody who has taken just a reference.
    #[inline]
    pub(crate) fn maybe_pinned(&self) -> bool {
        // SAFETY: The folio is valid.
        unsafe { bindings::folio_maybe_pinned(self.as_ptr()) }
    }

    /// Whether [`super::address_space::AddressSpace::set_writable`] has marked it.
    #[inline]
    pub(super) fn is_checked(&self) -> bool {
        self.flags(Ordering::Relaxed) & (1 << bindings::pageflags_PG_checked) != 0
    }

    /// Declares the contents not to be valid any more.
    #[inline]
    pub(crate) fn clear_uptodate(&self) {
        // SAFETY: The folio is valid and locked.
        unsafe { bindings::folio_clear_uptodate(self.as_ptr()) };
    }

    /// Declares that nothing is lost with the folio.
    #[inline]
    pub(crate) fn cancel_dirty(&self) {
        // SAFETY: The folio is valid and locked.
        unsafe { bindings::folio_cancel_dirty(self.as_ptr()) };
    }

    /// Copies `len` bytes at `from` in `source`, another folio, to `to` in this one. What is past either page is left out.
    pub(crate) fn copy_piece(&self, to: usize, source: &Folio, from: usize, len: usize) {
        if core::ptr::eq(source, &*self.0) {
            return;
        }
        let (to, from) = (to.min(PAGE_SIZE), from.min(PAGE_SIZE));
        let len = len.min(PAGE_SIZE - to).min(PAGE_SIZE - from);
        // SAFETY: These are two valid pages, this one is locked, and the ranges lie within them.
        unsafe {
            bindings::folio_copy_piece(self.as_ptr(), to, source.as_ptr(), from, len);
        }
    }

    /// Declares the contents valid.
    #[inline]
    pub(crate) fn mark_uptodate(&self) {
        // SAFETY: The folio is valid and locked.
        unsafe { bindings::folio_mark_uptodate(self.as_ptr()) };
    }

    /// Marks the folio dirty.
    #[inline]
    pub(crate) fn mark_dirty(&self) {
        // SAFETY: The folio is valid and locked.
        unsafe { bindings::folio_mark_dirty(self.as_ptr()) };
    }

    /// The epoch for which the page was settled last, 0 if that is not known; see [`crate::snapshot::Store`].
    ///
    /// It is kept in `folio->private` without `PG_private`. The page cache then neither counts a reference for it nor
    /// asks to have it released, and migration loses it, which is as good as not knowing.
    #[inline]
    pub(crate) fn stamp(&self) -> usize {
        // SAFETY: The folio is valid, and its lock protects the field.
        unsafe { *self.private() as usize }
    }

    /// Sets the stamp.
    #[inline]
    pub(crate) fn set_stamp(&self, stamp: usize) {
        // SAFETY: The folio is valid, and its lock protects the field.
        unsafe { *self.private() = stamp as *mut c_void };
    }

    /// `folio->private`.
    #[inline]
    fn private(&self) -> *mut *mut c_void {
        // SAFETY: The folio is valid.
        unsafe {
            let fields = &raw mut (*self.as_ptr()).__bindgen_anon_1.__bindgen_anon_1;
            &raw mut (*fields).__bindgen_anon_3.private
        }
    }

    /// Whether some page table maps the folio.
    #[inline]
    pub(crate) fn is_mapped(&self) -> bool {
        // SAFETY: The folio is valid.
        unsafe { bindings::folio_mapped(self.as_ptr()) }
    }

    /// Whether anybody beside the page cache and the caller may have a reference.
    ///
    /// The answer counts only for a folio that is in the page cache, was unmapped under this lock and to which the
    /// caller has `refs` references. It may be yes without a reason: somebody may be reading it.
    #[inline]
    pub(crate) fn has_other_users(&self, refs: i32) -> bool {
        // SAFETY: The folio is valid.
        unsafe { bindings::folio_has_other_users(self.as_ptr(), refs) }
    }

    /// Puts `new` in the place of this folio, which leaves the page cache. The old folio stays locked until then, and keeps
    /// its contents for those who have references; page tables that map it are not changed.
    /// Returns `false`, and nothing happens, if this folio is not in the page cache any more.
    pub(crate) fn replace(&mut self, new: Replacement) -> bool {
        // SAFETY: Both are valid and locked folios of order 0, and nobody else knows the new one.
        if !unsafe { bindings::filemap_replace(self.as_ptr(), new.0.as_ptr()) } {
            return false;
        }
        *self = new.0;
        true
    }

    /// Writes zeros to `len` bytes from `start` on. What is past the page is left out.
    #[inline]
    pub(crate) fn zero_range(&self, start: usize, len: usize) {
        let start = start.min(PAGE_SIZE);
        let len = len.min(PAGE_SIZE - start);
        // SAFETY: The folio is valid and locked, and the range lies within its one page.
        unsafe { bindings::folio_zero_range(self.as_ptr(), start, len) };
    }

    /// Whether the page holds only zeros from `start` on.
    pub(crate) fn is_zero_from(&self, start: usize) -> bool {
        let start = start.min(PAGE_SIZE);
        // SAFETY: The folio is valid and locked, and the range lies within its one page.
        unsafe { bindings::folio_is_zero(self.as_ptr(), start, PAGE_SIZE - start) }
    }
}
