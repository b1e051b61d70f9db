/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * User-space interface of snapmapfs, a filesystem whose private mappings are snapshots.
 */
#ifndef _UAPI_LINUX_SNAPMAPFS_H
#define _UAPI_LINUX_SNAPMAPFS_H

/* What statfs() returns in f_type: "snap" read as a little-endian number. */
#define SNAPMAPFS_MAGIC		0x70616e73

#endif /* _UAPI_LINUX_SNAPMAPFS_H */
