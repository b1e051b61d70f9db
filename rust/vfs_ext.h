/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What C and Rust share: callbacks of `struct file_operations` that carry 64-bit values, in a form that Rust can
 * implement (see helpers.c), and tracepoints.
 */
#ifndef SNAPMAPFS_VFS_EXT_H
#define SNAPMAPFS_VFS_EXT_H

#include <linux/fs.h>
#include <linux/path.h>

/**
 * struct snapmapfs_file_operations - file operations with their 64-bit arguments by pointer
 * @fops: what struct file points at; its llseek and fallocate are the shims that call the two below.
 * @llseek: stores the new position, or a negative errno, in @pos.
 * @fallocate: as in struct file_operations.
 */
struct snapmapfs_file_operations {
	const struct file_operations fops;
	void (*llseek)(struct file *file, loff_t *pos, int whence);
	long (*fallocate)(struct file *file, int mode, const loff_t *offset, const loff_t *len);
};

/**
 * struct snapmapfs_window_info - what the dentry of a window stands for, in its d_fsdata
 * @path: the file.
 * @start: the byte of the file that is the first one of the window.
 * @end: the byte after the last one, negative for the end of the file.
 * @mapping: the pages that its mappings have.
 * @view: the dentry for its shared mappings, NULL in one that is for mappings.
 */
struct snapmapfs_window_info {
	struct path path;
	loff_t start;
	loff_t end;
	struct address_space *mapping;
	struct dentry *view;
};

/* Tracepoints: trace.h says what they mean. */
void snapmapfs_trace_snapshot(const struct inode *inode, unsigned long epoch,
			      unsigned long first, unsigned long end);
void snapmapfs_trace_release(const struct inode *inode, unsigned long epoch, unsigned long first,
			     unsigned long end);
void snapmapfs_trace_preserve(const struct inode *inode, unsigned long page, unsigned long lo,
			      unsigned long hi, bool hole);
void snapmapfs_trace_serve(const struct inode *inode, unsigned long page, unsigned long epoch,
			   bool hole);

#endif /* SNAPMAPFS_VFS_EXT_H */
