// SPDX-License-Identifier: GPL-2.0

//! Memory cgroups: who pays for a page.
//!
//! C header: [`include/linux/memcontrol.h`](srctree/include/linux/memcontrol.h)

use super::bindings;
use core::ptr::NonNull;
use kernel::types::NotThreadSafe;

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

    /// Has the memory that the running task allocates with `__GFP_ACCOUNT` charged to this cgroup, until the guard is
    /// dropped.
    #[inline]
    pub(crate) fn charge_here(&self) -> ActiveMemCg<'_> {
        let memcg = self.0.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        ActiveMemCg {
            // SAFETY: The cgroup outlives the guard, which ends this.
            old: unsafe { bindings::set_active_memcg(memcg) },
            _memcg: self,
            _not_send: NotThreadSafe,
        }
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

/// Ends what [`MemCg::charge_here`] began.
pub(crate) struct ActiveMemCg<'a> {
    old: *mut bindings::mem_cgroup,
    _memcg: &'a MemCg,
    _not_send: NotThreadSafe,
}

impl Drop for ActiveMemCg<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: This is what was active before, and whoever set it keeps it.
        unsafe { bindings::set_active_memcg(self.old) };
    }
}
