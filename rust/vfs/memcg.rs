// SPDX-License-Identifier: GPL-2.0

//! Memory cgroups: who pays for a page.
//!
//! C header: [`include/linux/memcontrol.h`](srctree/include/linux/memcontrol.h)

use super::{
    bindings,
    folio::Folio,
    task, //
};
use core::ptr::NonNull;
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// A reference to a memory cgroup, or none where there are no memory cgroups.
pub(crate) struct MemCg(Option<NonNull<bindings::mem_cgroup>>);

// SAFETY: Memory cgroups are counted by atomic operations and belong to no thread.
unsafe impl Send for MemCg {}
// SAFETY: A shared reference allows only to count another one.
unsafe impl Sync for MemCg {}

impl MemCg {
    /// The memory cgroup of the running task's memory.
    pub(crate) fn current() -> Self {
        // SAFETY: There always is a running task; the function counts a reference for us.
        Self(NonNull::new(unsafe { bindings::current_memcg() }))
    }

    /// Whether `folio` is charged to this cgroup, and neither that nor any above it is at its limit.
    pub(crate) fn pays_for(&self, folio: &Folio) -> bool {
        let memcg = self.0.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        // SAFETY: Both are valid.
        unsafe { bindings::memcg_pays_for(memcg, folio.as_ptr()) }
    }

    /// Calls `f`, and has the memory that it allocates with `__GFP_ACCOUNT` charged to this cgroup.
    #[inline]
    pub(crate) fn charge<R>(&self, f: impl FnOnce() -> R) -> R {
        let memcg = self.0.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        // SAFETY: The cgroup outlives the call of `f`, after which another one is active.
        let old = unsafe { bindings::set_active_memcg(memcg) };
        let r = f();
        // SAFETY: This is what was active before, and whoever set it keeps it.
        unsafe { bindings::set_active_memcg(old) };
        r
    }
}

/// Whether [`MemCg::charge`] charges a cgroup that the running task is in neither itself nor below.
pub(crate) fn is_of_other() -> bool {
    // SAFETY: There always is a running task.
    unsafe { bindings::memcg_is_of_other() }
}

/// How to allocate small objects that the active memory cgroup pays for, with the same rule as for pages; see
/// [`super::folio::Folio::copy_of`].
pub(crate) fn alloc<R>(f: impl Fn(Flags) -> Result<R>) -> Result<R> {
    if is_of_other() {
        // `GFP_ATOMIC` is what lets a charge exceed a limit.
        let account = GFP_KERNEL_ACCOUNT & !GFP_KERNEL;
        f(GFP_ATOMIC | account | __GFP_NOWARN).or_else(|_| f(GFP_KERNEL))
    } else {
        f(GFP_KERNEL_ACCOUNT).or_else(|err| {
            // Who is being killed at the limit of his own cgroup will never get memory from it, but has to finish.
            if task::fatal_signal_pending() {
                f(GFP_KERNEL)
            } else {
                Err(err)
            }
        })
    }
}

impl Clone for MemCg {
    fn clone(&self) -> Self {
        if let Some(memcg) = self.0 {
            // SAFETY: We have a reference, so the count is not zero.
            unsafe { bindings::memcg_get(memcg.as_ptr()) };
        }
        Self(self.0)
    }
}

impl Drop for MemCg {
    fn drop(&mut self) {
        if let Some(memcg) = self.0 {
            // SAFETY: The reference is ours, and not used any more.
            unsafe { bindings::memcg_put(memcg.as_ptr()) };
        }
    }
}
