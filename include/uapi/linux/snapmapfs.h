/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * User-space interface of snapmapfs, a filesystem whose private mappings are snapshots.
 */
#ifndef _UAPI_LINUX_SNAPMAPFS_H
#define _UAPI_LINUX_SNAPMAPFS_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* What statfs() returns in f_type: "snap" read as a little-endian number. */
#define SNAPMAPFS_MAGIC		0x70616e73

/* What the offset and the length of a window are multiples of. */
#define SNAPMAPFS_WINDOW_BLOCK	512

/**
 * struct snapmapfs_window - what part of a file a window shows
 * @offset: the byte of the file that is byte 0 of the window.
 * @length: the bytes of the window; 0: to the end of the file, growing with it.
 * @flags: 0.
 * @reserved: 0.
 */
struct snapmapfs_window {
	__u64 offset;
	__u64 length;
	__u32 flags;
	__u32 reserved;
};

/* Opens a window on the file that a descriptor is open on. Returns the new descriptor, which is closed on exec. */
#define SNAPMAPFS_IOC_OPEN_WINDOW	_IOW(0xB7, 1, struct snapmapfs_window)

#endif /* _UAPI_LINUX_SNAPMAPFS_H */
