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
            code,
            error_code,
            Fault,
            FaultCode,
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
pub(super) fn prepare(inode: &Inode, file: &File<SnapmapFs>, desc: &mut MmapDesc) -> Result {
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
fn note_live(inode: &Inode, desc: &MmapDesc) {
    if !desc.may_be_written() {
        inode.snapshots().note_live_reader();
    }
}

/// Makes a mapping of `window` on the file `base`, which `file` `is_window` or is, by way of whatever has the pages.
pub(super) fn prepare_window(
    base: &Inode,
    file: &File<SnapmapFs>,
    window: &Window,
    desc: &mut MmapDesc,
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
    fn fault(view: &Inode, file: &File<SnapmapFs>, vmf: &mut VmFault) -> Fault {
        if vmf.index() >= Self::end(view, file) {
            return Fault::Code(code::SIGBUS);
        }
        views::live(view, vmf)
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
                    Err(err) => Fault::Code(error_code(err)),
                },
            },
        }
    }

    /// A page that was not mapped when the snapshot was taken: it is as it was when it is first touched.
    fn first_touch(inode: &Inode, snapshot: &Snapshot, vmf: &mut VmFault) -> Fault {
        let page = vmf.index();
        if snapshot.is_past_window(page) {
            return Fault::Code(code::SIGBUS);
        }
        if let Some(found) = snapshot.touched(page) {
            return Self::serve(inode, snapshot, page, found);
        }
        let kept = if page >= inode.room_in_pages() {
            // It has grown over the end of its segment.
            match segments::live_behind(inode, page) {
                Ok(Some((part, folio))) => snapshot.touch(page, part, &folio),
                Ok(None) => return Fault::Code(code::SIGBUS),
                Err(err) => Err(err),
            }
        } else if page < size_in_pages(inode.size()) && views::is_hole(inode, page) {
            snapshot.touch_hole(page)
        } else {
            match views::live(inode, vmf) {
                Fault::Live(folio) => match snapshot.touched(page) {
                    Some(found) => Ok(found),
                    None => snapshot.touch(page, inode, &folio),
                },
                other => return other,
            }
        };
        match kept {
            Ok(found) => Self::serve(inode, snapshot, page, found),
            Err(err) => Fault::Code(error_code(err)),
        }
    }
}

impl PrivateMapping for Private {
    type Fs = SnapmapFs;
    type Snapshot = Snapshot;

    fn tables() -> &'static PrivateTables<Self> {
        static TABLES: PrivateTables<Private> = PrivateTables::new();
        &TABLES
    }

    fn fault(inode: &Inode, snapshot: &Snapshot, vmf: &mut VmFault) -> Fault {
        let page = vmf.index();
        if !snapshot.covers(page) {
            return Self::first_touch(inode, snapshot, vmf);
        }
        if page >= snapshot.bounds().1 {
            return Fault::Code(code::SIGBUS);
        }
        let this = inode.snapshots();
        let mapping = inode.base().mapping();
        loop {
            if this.has_lost(snapshot, page) {
                return Self::first_touch(inode, snapshot, vmf);
            }
            if let Some(found) = this.find(page, snapshot.epoch()) {
                return Self::serve(inode, snapshot, page, found);
            }
            if page < size_in_pages(inode.size()) && views::is_hole(inode, page) {
                // A hole. If it was made just now, the version was filed before the page went.
                smp_rmb();
                let found = this.find(page, snapshot.epoch());
                return Self::serve(inode, snapshot, page, found.unwrap_or(Found::Hole));
            }
            match views::live(inode, vmf) {
                Fault::Live(folio) => {
                    return match this.find(page, snapshot.epoch()) {
                        Some(found) => {
                            drop(folio);
                            Self::serve(inode, snapshot, page, found)
                        }
                        None if this.has_lost(snapshot, page) => {
                            drop(folio);
                            Self::first_touch(inode, snapshot, vmf)
                        }
                        None => Fault::Live(folio),
                    };
                }
                // The lock on the mapping may be gone, and the mapping with it.
                Fault::Code(code) if code & code::RETRY != 0 => return Fault::Code(code),
                Fault::Code(code) if code & code::SIGBUS != 0 => {
                    // The live file has become shorter than the page. Who made it so has filed the page once the lock is
                    // free.
                    let _lock = mapping.invalidate_lock_shared();
                    if let Some(found) = this.find(page, snapshot.epoch()) {
                        return Self::serve(inode, snapshot, page, found);
                    }
                    // Or there was no room to fill a hole, which nobody needs to be filled.
                    if page >= size_in_pages(inode.size()) || views::is_hole(inode, page) {
                        return Self::serve(inode, snapshot, page, Found::Hole);
                    }
                    // The file has grown again.
                }
                other => return other,
            }
        }
    }

    fn map_pages(
        inode: &Inode,
        snapshot: &Snapshot,
        vmf: &mut VmFault,
        first: usize,
        last: usize,
    ) -> FaultCode {
        let (from, end) = snapshot.bounds();
        let page = vmf.index();
        if page < from || page >= end {
            return 0;
        }
        let first = first.max(from);
        let last = last.min(end.saturating_sub(1));
        inode
            .snapshots()
            .with_unchanged(snapshot, first, last, || vmf.map_live(first, last))
            .unwrap_or(0)
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
