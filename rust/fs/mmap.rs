// SPDX-License-Identifier: GPL-2.0

//! Mappings: shared ones of the live file, private ones of a snapshot.

use super::{
    segments::{
        self,
        Target, //
    },
    snapshots::{
        self,
        change,
        size_in_pages,
        Charge,
        Snapshot, //
    },
    views,
    window::{
        self,
        Windows, //
    },
    Inode, SnapmapFs,
};
use crate::{
    snapshot::Found,
    vfs::{
        file::File,
        folio::{
            Folio,
            LockedFolio, //
        },
        trace,
        vma::{
            Fault,
            FaultAround,
            FaultError,
            Finished,
            Live,
            Mapped,
            Mkwrite,
            MmapDesc,
            PrivateMapping,
            PrivateTables,
            SharedMapping,
            VmFault,
            WindowMapping, //
        },
        window::Window,
    },
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        barrier::smp_rmb,
        Arc, //
    },
};

/// Makes a mapping: `file_operations.mmap_prepare`.
pub(super) fn prepare(
    inode: &Inode,
    file: &File<SnapmapFs>,
    desc: &mut MmapDesc<SnapmapFs>,
) -> Result {
    if inode.is_row() {
        return prepare_window(inode, file, &Window::WHOLE, desc, false);
    }
    file.accessed();
    if desc.is_shared() || inode.super_block().data().private_live() {
        note_live(inode, desc);
        desc.set_shared::<Shared>();
        return Ok(());
    }
    let snapshot = snapshots::take(inode, desc.pages(), usize::MAX)?;
    desc.set_private::<Private>(inode, 0, snapshot)
}

/// Notes that the live pages of `inode` will be mapped.
fn note_live(inode: &Inode, desc: &MmapDesc<SnapmapFs>) {
    if !desc.may_be_written() {
        inode.snapshots().note_live_reader();
    }
}

/// Makes a mapping of `window` on the file `base`, which `file` `is_window` or is, by way of whatever has the pages.
pub(super) fn prepare_window(
    base: &Inode,
    file: &File<SnapmapFs>,
    window: &Window,
    desc: &mut MmapDesc<SnapmapFs>,
    is_window: bool,
) -> Result {
    file.accessed();
    let Target { inode, first } = segments::target(base, window.start, desc.pages())?;
    desc.set_first(first)?;
    if desc.is_shared() || base.super_block().data().private_live() {
        note_live(inode, desc);
        if !is_window && !inode.is_extension() {
            desc.set_found::<Shared>();
            return Ok(());
        }
        return desc.set_window::<Shared, Windows>(inode, inode.origin());
    }
    let snapshot = snapshots::take(inode, desc.pages(), window::pages(window, inode))?;
    desc.set_private::<Private>(inode, inode.origin(), snapshot)
}

/// Mappings of the live file.
pub(super) struct Shared;

impl SharedMapping for Shared {
    type Fs = SnapmapFs;

    fn page_mkwrite(
        inode: &Inode,
        file: &File<SnapmapFs>,
        fault: &mut Mkwrite<'_>,
    ) -> Result<Option<LockedFolio>> {
        if inode.is_view() {
            return views::page_mkwrite(inode, file, fault);
        }
        let mapping = inode.mapping();
        // As filemap_page_mkwrite(): a store does not fail for its time.
        let _ = file.update_time();
        let change = change(inode);
        let Some(mut folio) = fault.lock_page(mapping) else {
            return Ok(None);
        };
        if folio.index() >= size_in_pages(inode.size()) {
            return Ok(None);
        }
        views::take_back(inode, &folio);
        // The fault has a reference, too.
        change.settle(&mut folio, 2, Charge::Limited)?;
        if !fault.is_of(&folio) {
            // Another one took its place.
            return Ok(None);
        }
        mapping.set_writable(&folio, true);
        Ok(Some(folio))
    }
}

impl WindowMapping for Shared {
    fn fault<'a>(fault: VmFault<'a, SnapmapFs, File<SnapmapFs>>) -> Finished<'a> {
        let end = Self::end(fault.inode(), fault.context());
        if fault.index() >= end {
            return fault.finish(Fault::Failed(FaultError::SIGBUS));
        }
        if fault.inode().is_view() {
            views::fill_ahead(&fault, end, |_, _| true);
        }
        match views::live(fault) {
            Live::Found(fault, folio) => fault.finish(Fault::Live(folio)),
            Live::Failed(fault, error) => fault.finish(Fault::Failed(error)),
            Live::Gone(finished) => finished,
        }
    }

    fn end(view: &Inode, file: &File<SnapmapFs>) -> usize {
        window::pages(&file.window(), view).min(view.room_in_pages())
    }
}

/// Mappings of a snapshot.
pub(super) struct Private;

impl Private {
    /// The page that holds what was found.
    fn serve(inode: &Inode, snapshot: &Snapshot, page: usize, found: Found<ARef<Folio>>) -> Fault {
        let hole = matches!(found, Found::Hole);
        trace::serve(inode, page, snapshot.epoch(), hole);
        match found {
            Found::Page(folio) => Fault::Page(folio),
            Found::Hole => match inode.space().zero_page() {
                Some(folio) => Fault::Page(folio),
                // It is mapped a thousand million times; one more page does not count.
                None => match Folio::zeroed() {
                    Ok(folio) => Fault::Page(folio),
                    Err(err) => Fault::Failed(err.into()),
                },
            },
        }
    }

    /// A page that was not mapped when the snapshot was taken: it is as it was when it is first touched.
    #[cold]
    #[inline(never)]
    fn first_touch(fault: VmFault<'_, SnapmapFs, Snapshot>) -> Finished<'_> {
        let page = fault.index();
        let (inode, snapshot) = (fault.inode(), fault.context());
        if snapshot.is_past_window(page) {
            return fault.finish(Fault::Failed(FaultError::SIGBUS));
        }
        if let Some(found) = snapshot.touched(page) {
            let found = Self::serve(inode, snapshot, page, found);
            return fault.finish(found);
        }
        let (fault, kept) = if page >= inode.room_in_pages() {
            // It has grown over the end of its segment.
            let kept = match segments::live_behind(inode, page) {
                Ok(Some((part, folio))) => snapshot.touch(page, part, &folio),
                Ok(None) => return fault.finish(Fault::Failed(FaultError::SIGBUS)),
                Err(err) => Err(err),
            };
            (fault, kept)
        } else if page < size_in_pages(inode.size()) && views::is_hole(inode, page) {
            let kept = snapshot.touch_hole(page);
            (fault, kept)
        } else {
            match views::live(fault) {
                Live::Found(fault, folio) => {
                    let (inode, snapshot) = (fault.inode(), fault.context());
                    let kept = match snapshot.touched(page) {
                        Some(found) => Ok(found),
                        None => snapshot.touch(page, inode, &folio),
                    };
                    (fault, kept)
                }
                Live::Failed(fault, error) => return fault.finish(Fault::Failed(error)),
                Live::Gone(finished) => return finished,
            }
        };
        let found = match kept {
            Ok(found) => Self::serve(fault.inode(), fault.context(), page, found),
            Err(err) => Fault::Failed(err.into()),
        };
        fault.finish(found)
    }
}

impl PrivateMapping for Private {
    type Fs = SnapmapFs;
    type Snapshot = Snapshot;

    fn tables() -> &'static PrivateTables<Self> {
        static TABLES: PrivateTables<Private> = PrivateTables::new();
        &TABLES
    }

    #[inline(always)]
    fn fault<'a>(mut fault: VmFault<'a, SnapmapFs, Snapshot>) -> Finished<'a> {
        let page = fault.index();
        if !fault.context().covers(page) {
            return Self::first_touch(fault);
        }
        if page >= fault.context().bounds().1 {
            return fault.finish(Fault::Failed(FaultError::SIGBUS));
        }
        loop {
            let (inode, snapshot) = (fault.inode(), fault.context());
            let this = inode.snapshots();
            if this.has_lost(snapshot, page) {
                return Self::first_touch(fault);
            }
            if let Some(found) = this.find(page, snapshot.epoch()) {
                let found = Self::serve(inode, snapshot, page, found);
                return fault.finish(found);
            }
            if page < size_in_pages(inode.size()) && views::is_hole(inode, page) {
                // A hole. If it was made just now, the version was filed before the page went.
                smp_rmb();
                let found = this.find(page, snapshot.epoch());
                let found = Self::serve(inode, snapshot, page, found.unwrap_or(Found::Hole));
                return fault.finish(found);
            }
            if inode.is_view() {
                views::fill_ahead(&fault, snapshot.bounds().1, |first, last| {
                    this.with_unchanged(snapshot, first, last, || ()).is_some()
                });
            }
            let error;
            (fault, error) = match views::live(fault) {
                Live::Found(fault, folio) => {
                    let (inode, snapshot) = (fault.inode(), fault.context());
                    let this = inode.snapshots();
                    let found = match this.find(page, snapshot.epoch()) {
                        Some(found) => {
                            drop(folio);
                            Self::serve(inode, snapshot, page, found)
                        }
                        None if this.has_lost(snapshot, page) => {
                            drop(folio);
                            return Self::first_touch(fault);
                        }
                        None => Fault::Live(folio),
                    };
                    return fault.finish(found);
                }
                Live::Failed(fault, error) => (fault, error),
                Live::Gone(finished) => return finished,
            };
            if !error.is_sigbus() {
                return fault.finish(Fault::Failed(error));
            }
            // The live file has become shorter than the page. Who made it so has filed the page once the lock is free.
            let (inode, snapshot) = (fault.inode(), fault.context());
            let lock = inode.base().mapping().invalidate_lock_shared();
            let found = match inode.snapshots().find(page, snapshot.epoch()) {
                // Or there was no room to fill a hole, which nobody needs to be filled.
                None if page >= size_in_pages(inode.size()) || views::is_hole(inode, page) => {
                    Some(Found::Hole)
                }
                found => found,
            };
            if let Some(found) = found {
                let found = Self::serve(inode, snapshot, page, found);
                drop(lock);
                return fault.finish(found);
            }
            // The file has grown again.
        }
    }

    #[inline(always)]
    fn map_pages(inode: &Inode, snapshot: &Snapshot, mut around: FaultAround<'_>) -> Mapped {
        let (from, end) = snapshot.bounds();
        let page = around.index();
        if page < from || page >= end {
            return Mapped::NOTHING;
        }
        around.limit(from, end.saturating_sub(1));
        let (first, last) = around.pages();
        inode
            .snapshots()
            .with_unchanged(snapshot, first, last, || around.map_live())
            .unwrap_or(Mapped::NOTHING)
    }

    fn split(snapshot: &Snapshot) {
        snapshot.split();
    }

    fn close(inode: &Inode, snapshot: &Snapshot, pages: (usize, usize)) {
        snapshots::trim(inode, snapshot, pages);
    }

    fn release(inode: &Inode, snapshot: Arc<Snapshot>) {
        snapshots::release(inode, snapshot);
    }
}
