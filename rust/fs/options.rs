// SPDX-License-Identifier: GPL-2.0

//! Mount options.

use super::segments::MAX_BITS;
use crate::vfs::{
    bindings,
    fs_context::{FsContext, Parameter, Spec},
    idmap::{Kgid, Kuid},
    inode::mode,
    super_block::MemoryPages, //
};
use core::ffi::CStr;
use kernel::prelude::*;

/// What one inode and its name count for when inodes are limited, in bytes (tmpfs: `BOGO_INODE_SIZE`).
pub(super) const INODE_SIZE: usize = 1024;

/// The mode of a root directory for which none is given.
pub(super) const DEFAULT_MODE: u16 = 0o777 | mode::S_ISVTX;

// The numbers of the options.
const GID: u8 = 0;
const MODE: u8 = 1;
const NR_INODES: u8 = 2;
const PRIVATE: u8 = 3;
const SEGMENT: u8 = 4;
const SIZE: u8 = 5;
const UID: u8 = 6;

/// The options that are known.
pub(super) const PARAMETERS: &[Spec] = &[
    Spec::gid(c"gid", GID),
    Spec::u32oct(c"mode", MODE),
    Spec::string(c"nr_inodes", NR_INODES),
    Spec::string(c"private", PRIVATE),
    Spec::string(c"segment", SEGMENT),
    Spec::string(c"size", SIZE),
    Spec::uid(c"uid", UID),
    Spec::END,
];

/// What a new private mapping shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PrivateMode {
    /// The file as it is when the mapping is made (`private=snapshot`).
    Snapshot,
    /// The file as it is when a page is touched, as on other filesystems (`private=live`).
    Live,
}

/// The options of a mount or remount. What was not given is `None`.
pub(crate) struct Options {
    /// The limit on pages; 0: none.
    pub(super) size: Option<usize>,
    /// The limit on inodes; 0: none.
    pub(super) nr_inodes: Option<usize>,
    /// What private mappings show.
    pub(super) private: Option<PrivateMode>,
    /// Binary logarithm of the size of a segment.
    pub(super) segment_bits: Option<u32>,
    /// The permissions of the root directory.
    pub(super) mode: u16,
    /// The owner of the root directory.
    pub(super) uid: Kuid,
    /// The group of the root directory.
    pub(super) gid: Kgid,
}

impl Options {
    /// Returns the options of a mount for which none is given, on behalf of the current task.
    pub(super) fn new() -> Self {
        Self {
            size: None,
            nr_inodes: None,
            private: None,
            segment_bits: None,
            mode: DEFAULT_MODE,
            uid: Kuid::current_fsuid(),
            gid: Kgid::current_fsgid(),
        }
    }

    /// Takes note of an option.
    ///
    /// Errors: `ENOPARAM` if it is unknown, `EINVAL` with a message in the context's log if its value is bad.
    pub(super) fn parse(&mut self, fc: &FsContext, param: &Parameter) -> Result {
        let parsed = fc.parse(PARAMETERS, param)?;
        match parsed.id() {
            SIZE => {
                let pages = param.string().and_then(parse_pages);
                self.size = Some(pages.ok_or_else(|| fc.invalid(c"Bad value for 'size'"))?);
            }
            NR_INODES => {
                let inodes = param.string().and_then(parse_inodes);
                self.nr_inodes =
                    Some(inodes.ok_or_else(|| fc.invalid(c"Bad value for 'nr_inodes'"))?);
            }
            PRIVATE => {
                self.private = Some(match param.string().map(CStr::to_bytes) {
                    Some(b"snapshot") => PrivateMode::Snapshot,
                    Some(b"live") => PrivateMode::Live,
                    _ => return Err(fc.invalid(c"Bad value for 'private'")),
                });
            }
            SEGMENT => {
                let bits = param.string().and_then(parse_segment);
                self.segment_bits =
                    Some(bits.ok_or_else(|| fc.invalid(c"Bad value for 'segment'"))?);
            }
            MODE => {
                // tmpfs cuts off what is not a permission.
                self.mode = u16::try_from(parsed.uint_32())
                    .ok()
                    .filter(|&mode| mode <= 0o7777)
                    .ok_or_else(|| fc.invalid(c"Bad value for 'mode'"))?;
            }
            UID => {
                // The owner has to exist in the filesystem's user namespace.
                let uid = parsed.uid();
                if !fc.kuid_has_mapping(uid) {
                    return Err(fc.invalid(c"Bad value for 'uid'"));
                }
                self.uid = uid;
            }
            GID => {
                let gid = parsed.gid();
                if !fc.kgid_has_mapping(gid) {
                    return Err(fc.invalid(c"Bad value for 'gid'"));
                }
                self.gid = gid;
            }
            _ => return Err(ENOPARAM),
        }
        Ok(())
    }
}

/// Returns the limit on pages of a mount for which none is given: half of the memory.
pub(super) fn default_pages() -> usize {
    MemoryPages::get().total / 2
}

/// Returns the limit on inodes of a mount for which none is given: one per two pages of memory that the kernel can
/// address directly.
pub(super) fn default_inodes() -> usize {
    let memory = MemoryPages::get();
    memory
        .low
        .min(memory.total / 2)
        .min(usize::MAX / INODE_SIZE)
}

/// Parses a number of bytes, or of percents of the memory, and returns how many pages that is.
fn parse_pages(value: &CStr) -> Option<usize> {
    // CAST: A page is small, and a `u64` holds every `usize`.
    let page_size = bindings::PAGE_SIZE as u64;
    let bytes = match parse_number(value.to_bytes())? {
        (bytes, b"") => bytes,
        (percent, b"%") => {
            let memory = (MemoryPages::get().total as u64).checked_mul(page_size)?;
            percent.checked_mul(memory)? / 100
        }
        _ => return None,
    };
    // The pages are counted in a `long`.
    usize::try_from(bytes.div_ceil(page_size))
        .ok()
        .filter(|&pages| isize::try_from(pages).is_ok())
}

/// Parses the size of a segment, a power of two that is whole pages and not more than an address space has, and returns its
/// binary logarithm.
fn parse_segment(value: &CStr) -> Option<u32> {
    match parse_number(value.to_bytes())? {
        (size, b"") if size.is_power_of_two() => Some(size.trailing_zeros())
            .filter(|bits| (bindings::PAGE_SHIFT..=MAX_BITS).contains(bits)),
        _ => None,
    }
}

/// Parses a number of inodes.
fn parse_inodes(value: &CStr) -> Option<usize> {
    match parse_number(value.to_bytes())? {
        (inodes, b"") => usize::try_from(inodes)
            .ok()
            .filter(|&inodes| inodes <= usize::MAX / INODE_SIZE),
        _ => None,
    }
}

/// Parses the number that `text` begins with, as `memparse` does: decimal, hexadecimal after `0x` or octal after `0`,
/// and times a power of 1024 by a letter that follows. Returns it with the rest of the text.
///
/// In contrast to `memparse` there has to be a digit, and the number has to have no more than 64 bits.
fn parse_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (radix, mut rest) = match text {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        [b'0', ..] => (8, text),
        _ => (10, text),
    };
    let mut number: u64 = 0;
    let mut digits = 0_usize;
    while let [first, tail @ ..] = rest {
        let Some(digit) = char::from(*first).to_digit(radix) else {
            break;
        };
        number = number
            .checked_mul(radix.into())?
            .checked_add(digit.into())?;
        digits = digits.checked_add(1)?;
        rest = tail;
    }
    if digits == 0 {
        return None;
    }
    let shift = match rest.first().map(u8::to_ascii_lowercase) {
        Some(b'k') => 10,
        Some(b'm') => 20,
        Some(b'g') => 30,
        Some(b't') => 40,
        Some(b'p') => 50,
        Some(b'e') => 60,
        _ => return Some((number, rest)),
    };
    Some((number.checked_mul(1 << shift)?, rest.get(1..)?))
}
