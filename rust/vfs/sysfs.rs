// SPDX-License-Identifier: GPL-2.0

//! Directories under `/sys/fs`: one for a type of filesystem, and in it one for each superblock.
//!
//! C headers: [`include/linux/kobject.h`](srctree/include/linux/kobject.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use super::{
    bindings,
    file_system::FileSystem, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        Completion,
        SetOnce, //
    },
    types::Opaque,
};

/// A file in the directory of a superblock, which shows a number.
#[repr(transparent)]
pub(crate) struct Attribute(bindings::attribute);

// SAFETY: An attribute is constant, and its name lives for ever.
unsafe impl Sync for Attribute {}

impl Attribute {
    /// A file `name` that everybody may read.
    #[allow(clippy::needless_update, reason = "there are more fields with lockdep")]
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self(bindings::attribute {
            name: kernel::str::as_char_ptr_in_const_context(name),
            mode: 0o444,
            ..pin_init::zeroed()
        })
    }
}

/// The directory of a type of filesystem, which is removed when this is dropped.
pub(super) struct TypeDirectory(NonNull<bindings::kobject>);

// SAFETY: Objects are counted by atomic operations, and belong to no thread.
unsafe impl Send for TypeDirectory {}
// SAFETY: As above; a shared reference allows only to look at the pointer.
unsafe impl Sync for TypeDirectory {}

impl TypeDirectory {
    /// Makes the directory `name`. `ENOMEM`.
    pub(super) fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: The name is a string, and `fs_kobj` is there before any module.
        let kobj =
            unsafe { bindings::kobject_create_and_add(name.as_char_ptr(), bindings::fs_kobj) };
        NonNull::new(kobj).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for TypeDirectory {
    fn drop(&mut self) {
        // SAFETY: The reference was ours from the beginning.
        unsafe { bindings::kobject_put(self.0.as_ptr()) };
    }
}

/// The directory of a superblock, named after its device. It is gone when this has been dropped.
///
/// # Invariants
///
/// `data` is set before the directory is added, and what it points at outlives this.
#[pin_data(PinnedDrop)]
pub(super) struct Directory<T: FileSystem> {
    #[pin]
    kobj: Opaque<bindings::kobject>,
    #[pin]
    gone: Completion,
    data: SetOnce<NonNull<T::SuperData>>,
    _fs: PhantomData<fn() -> T>,
}

// SAFETY: The object is counted by atomic operations, and the data can be used from any thread.
unsafe impl<T: FileSystem> Send for Directory<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for Directory<T> {}

impl<T: FileSystem> Directory<T> {
    const OPS: bindings::sysfs_ops = bindings::sysfs_ops {
        show: Some(Self::show),
        ..pin_init::zeroed()
    };

    const TYPE: bindings::kobj_type = bindings::kobj_type {
        release: Some(Self::release),
        sysfs_ops: &Self::OPS,
        ..pin_init::zeroed()
    };

    /// A directory that is nowhere yet.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            kobj: Opaque::zeroed(),
            gone <- Completion::new(),
            data: SetOnce::new(),
            _fs: PhantomData,
        })
    }

    /// Adds the directory of `sb`, with the numbers of `data`. `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `sb` has to be a superblock of `T` with a device number. `data` has to outlive `self`. This is called once.
    pub(super) unsafe fn add(
        &self,
        parent: &TypeDirectory,
        sb: *mut bindings::super_block,
        data: NonNull<T::SuperData>,
    ) -> Result {
        self.data.populate(data);
        // SAFETY: The object is zeroed and stays where it is; the table lives for ever. Whether or not this succeeds, the
        // object has a reference now, which goes when `self` is dropped.
        to_result(unsafe {
            bindings::kobject_add_sb(self.kobj.get(), &Self::TYPE, parent.0.as_ptr(), sb)
        })?;
        for attribute in T::ATTRIBUTES {
            // SAFETY: The object has been added, and the attribute lives for ever.
            to_result(unsafe {
                bindings::sysfs_create_file_ns(
                    self.kobj.get(),
                    &raw const attribute.0,
                    core::ptr::null(),
                )
            })?;
        }
        Ok(())
    }

    /// Takes the directory away, if it was added, and waits for those who read its files.
    pub(super) fn remove(&self) {
        // SAFETY: The object is initialised, or zeroed and then not in sysfs, which the function looks at.
        unsafe { bindings::kobject_del_if_added(self.kobj.get()) };
    }

    /// # Safety
    ///
    /// `sysfs_ops.show`: `kobj` is that of a `Self`, `attr` one of `T::ATTRIBUTES`, and `buf` a page.
    unsafe extern "C" fn show(
        kobj: *mut bindings::kobject,
        attr: *mut bindings::attribute,
        buf: *mut kernel::ffi::c_char,
    ) -> isize {
        // SAFETY: By the function's contract. The object cannot go while somebody reads one of its files.
        let this = unsafe {
            &*kernel::container_of!(kobj.cast::<Opaque<bindings::kobject>>(), Self, kobj)
        };
        let index = T::ATTRIBUTES
            .iter()
            .position(|attribute| core::ptr::eq(&raw const attribute.0, attr));
        let (Some(index), Some(data)) = (index, this.data.as_ref()) else {
            return EIO.to_errno() as isize;
        };
        // SAFETY: By the type invariant.
        let value = T::show_attribute(unsafe { data.as_ref() }, index);
        // SAFETY: The buffer is a page, and the format fits the argument.
        unsafe { bindings::sysfs_emit(buf, c"%zu\n".as_char_ptr(), value) as isize }
    }

    /// # Safety
    ///
    /// `kobj_type.release`: `kobj` is that of a `Self`.
    unsafe extern "C" fn release(kobj: *mut bindings::kobject) {
        // SAFETY: By the function's contract. Whoever drops the object waits for this.
        let this = unsafe {
            &*kernel::container_of!(kobj.cast::<Opaque<bindings::kobject>>(), Self, kobj)
        };
        this.gone.complete_all();
    }
}

#[pinned_drop]
impl<T: FileSystem> PinnedDrop for Directory<T> {
    fn drop(self: Pin<&mut Self>) {
        if self.data.as_ref().is_some() {
            // SAFETY: `add` left us one reference, and nobody uses the object through us any more.
            unsafe { bindings::kobject_put(self.kobj.get()) };
            self.gone.wait_for_completion();
        }
    }
}

/// What a superblock has: the filesystem's data, and the directory that shows some of it.
#[pin_data]
pub(super) struct WithDirectory<T: FileSystem> {
    // The directory is dropped first: it looks at the data.
    #[pin]
    pub(super) directory: Directory<T>,
    #[pin]
    pub(super) data: T::SuperData,
}

impl<T: FileSystem> WithDirectory<T> {
    /// What has `data`, and a directory that is nowhere yet.
    pub(super) fn new(data: impl PinInit<T::SuperData, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            directory <- Directory::new(),
            data <- data,
        }? Error)
    }
}
