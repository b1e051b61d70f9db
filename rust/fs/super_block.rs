// SPDX-License-Identifier: GPL-2.0

//! A mounted filesystem: its limits, and what `mount` and `statfs` say about it.
//!
//! Lock order: `s_umount` -> [`SuperData::inodes`], which is a leaf but for the lock of [`Space`]. For [`LateStores`] see there.

use super::{
    inode,
    late::LateStores,
    options::{self, Options, PrivateMode, DEFAULT_MODE, INODE_SIZE},
    segments::MAX_BITS,
    space::Space,
    stats::Stats,
    New,
    SuperBlock, //
};
use crate::vfs::{
    bindings,
    fs_context::FsContext,
    idmap::{Kgid, Kuid, MntIdmap},
    inode::mode,
    super_block::Statfs, //
};
use core::ffi::CStr;
use kernel::{
    new_spinlock,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
        SpinLock, //
    },
};

/// What a superblock of ours has.
#[pin_data]
pub(crate) struct SuperData {
    /// The pages that files use.
    pub(crate) space: Space,
    /// Pages of files that may be stored into though they are no longer part of them.
    pub(super) late: Arc<LateStores>,
    /// What snapshots cost.
    pub(crate) stats: Stats,
    /// The inodes that exist.
    #[pin]
    inodes: SpinLock<Inodes>,
    /// Whether new private mappings are live ones.
    private_live: Atomic<bool>,
    /// Binary logarithm of the size of the segments of files.
    pub(super) segment_bits: u32,
    mode: u16,
    uid: Kuid,
    gid: Kgid,
}

/// How many inodes there are, and may be.
///
/// What they use is counted in bytes, [`INODE_SIZE`] for each inode and each further name, so that extended
/// attributes can be counted along with them.
struct Inodes {
    /// The limit in inodes; 0: none.
    max: usize,
    /// The bytes that are used.
    used: usize,
    /// The number that the next inode gets, if it is not 0.
    next_ino: usize,
}

impl Inodes {
    /// Counts `bytes` more. Errors: `ENOSPC`.
    fn charge(&mut self, bytes: usize) -> Result {
        let used = self.used.checked_add(bytes).ok_or(ENOSPC)?;
        if self.max != 0 && used > limit(self.max) {
            return Err(ENOSPC);
        }
        self.used = used;
        Ok(())
    }

    /// Returns an inode number that has not been used, until all have been.
    fn next(&mut self) -> usize {
        loop {
            let ino = self.next_ino;
            self.next_ino = ino.wrapping_add(1);
            // Programs that know only 32 bits of it have to see that there is a file.
            // CAST: Cuts off what they do not see.
            if ino as u32 != 0 {
                return ino;
            }
        }
    }
}

/// Returns how many bytes `inodes` stand for.
fn limit(inodes: usize) -> usize {
    // The options allow no number for which this would overflow.
    inodes.saturating_mul(INODE_SIZE)
}

/// Returns how many KiB `pages` are.
fn kib(pages: usize) -> u64 {
    // CAST: A `u64` holds every `usize`.
    (pages as u64).saturating_mul(bindings::PAGE_SIZE as u64 / 1024)
}

impl SuperData {
    /// Returns the data of a superblock that is mounted with `options`.
    pub(super) fn new(options: &Options) -> impl PinInit<Self, Error> {
        let size = options.size.unwrap_or_else(options::default_pages);
        let nr_inodes = options.nr_inodes.unwrap_or_else(options::default_inodes);
        let private = options.private.unwrap_or(PrivateMode::Snapshot);
        let segment_bits = options.segment_bits.unwrap_or(MAX_BITS);
        let (mode, uid, gid) = (options.mode, options.uid, options.gid);
        try_pin_init!(Self {
            space: Space::new(size)?,
            late: LateStores::new()?,
            stats: Stats::new(),
            inodes <- new_spinlock!(Inodes {
                max: nr_inodes,
                used: 0,
                next_ino: 0,
            }),
            private_live: Atomic::new(private == PrivateMode::Live),
            segment_bits,
            mode,
            uid,
            gid,
        })
    }

    /// Returns whether a new private mapping shows the live file instead of a snapshot.
    pub(crate) fn private_live(&self) -> bool {
        self.private_live.load(Relaxed)
    }

    /// Counts an inode, and returns a number for it.
    ///
    /// Errors: `ENOSPC` if there are too many.
    pub(super) fn reserve_inode(&self) -> Result<usize> {
        let mut inodes = self.inodes.lock();
        inodes.charge(INODE_SIZE)?;
        Ok(inodes.next())
    }

    /// Counts a name beyond the first of an inode: it takes memory that cannot be reclaimed.
    ///
    /// Errors: `ENOSPC` if there are too many.
    pub(super) fn reserve_link(&self) -> Result {
        self.inodes.lock().charge(INODE_SIZE)
    }

    /// Counts `bytes` of extended attributes.
    ///
    /// Errors: `ENOSPC` if there are too many.
    pub(super) fn reserve_xattr(&self, bytes: usize) -> Result {
        self.inodes.lock().charge(bytes)
    }

    /// Takes back an inode or name that was counted, and `bytes` of extended attributes.
    pub(super) fn free_inode(&self, bytes: usize) {
        self.free_xattr(bytes.saturating_add(INODE_SIZE));
    }

    /// Takes back `bytes` of extended attributes that were counted.
    pub(super) fn free_xattr(&self, bytes: usize) {
        let mut inodes = self.inodes.lock();
        inodes.used = inodes.used.saturating_sub(bytes);
    }

    /// Fills in the numbers of blocks and inodes. Without a limit they are 0, as on tmpfs.
    pub(super) fn statfs(&self, statfs: &mut Statfs) {
        let size = self.space.limit();
        if size != 0 {
            statfs.set_blocks(size, size.saturating_sub(self.space.used()));
        }
        let inodes = self.inodes.lock();
        if inodes.max != 0 {
            let free = limit(inodes.max).saturating_sub(inodes.used) / INODE_SIZE;
            statfs.set_files(inodes.max, free);
        }
    }

    /// Prints the options that are not the default.
    pub(super) fn show_options(&self, seq: &SeqFile) {
        let size = self.space.limit();
        if size != options::default_pages() {
            seq_print!(seq, ",size={}k", kib(size));
        }
        let nr_inodes = self.inodes.lock().max;
        if nr_inodes != options::default_inodes() {
            seq_print!(seq, ",nr_inodes={}", nr_inodes);
        }
        if self.mode != DEFAULT_MODE {
            seq_print!(seq, ",mode={:03o}", self.mode);
        }
        if self.uid != Kuid::GLOBAL_ROOT {
            seq_print!(seq, ",uid={}", self.uid.munged());
        }
        if self.gid != Kgid::GLOBAL_ROOT {
            seq_print!(seq, ",gid={}", self.gid.munged());
        }
        if self.private_live() {
            seq_print!(seq, ",private=live");
        }
        if self.segment_bits != MAX_BITS {
            seq_print!(seq, ",segment={}k", (1_u64 << self.segment_bits) / 1024);
        }
    }

    /// Changes the limits; all of them or none. On failure returns what to tell the user.
    fn reconfigure(&self, options: &Options) -> Result<(), &'static CStr> {
        if options
            .segment_bits
            .is_some_and(|bits| bits != self.segment_bits)
        {
            return Err(c"Cannot change the size of segments");
        }
        let mut inodes = self.inodes.lock();
        if let Some(nr_inodes) = options.nr_inodes.filter(|&nr_inodes| nr_inodes != 0) {
            if inodes.max == 0 {
                return Err(c"Cannot retroactively limit inodes");
            }
            if limit(nr_inodes) < inodes.used {
                return Err(c"Too few inodes for current use");
            }
        }
        if let Some(size) = options.size {
            if size != 0 && self.space.limit() == 0 {
                return Err(c"Cannot retroactively limit size");
            }
            self.space
                .set_limit(size)
                .map_err(|_| c"Too small a size for current use")?;
        }
        if let Some(nr_inodes) = options.nr_inodes {
            inodes.max = nr_inodes;
        }
        if let Some(private) = options.private {
            self.private_live
                .store(private == PrivateMode::Live, Relaxed);
        }
        Ok(())
    }
}

/// Makes the root directory.
///
/// Errors: `ENOMEM`; `ENOSPC` if not even one inode is allowed.
pub(super) fn root(sb: &SuperBlock) -> Result<New<'_>> {
    let data = sb.data();
    let root = inode::new(MntIdmap::nop(), sb, None, mode::S_IFDIR | data.mode, 0)?;
    root.set_owner(data.uid, data.gid);
    Ok(root)
}

/// Changes the options of a mounted filesystem. As on tmpfs, `mode`, `uid` and `gid` are only for the root directory
/// to begin with, and ignored here.
///
/// Errors: `EINVAL` with a message in the context's log if a limit is below what is used, or comes too late.
pub(super) fn reconfigure(fc: &FsContext, sb: &SuperBlock, options: &Options) -> Result {
    sb.data()
        .reconfigure(options)
        .map_err(|message| fc.invalid(message))
}
