// SPDX-License-Identifier: GPL-2.0
/*
 * C inlines and macros as functions that Rust can call, and callbacks of C that carry 64-bit values.
 *
 * No 64-bit value crosses between C and Rust by value: up to rustc 1.98 the two disagree on 32-bit x86 about where
 * such an argument lives (-mregparm=3). Pass a pointer.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

void snapmapfs_helper_i_size_read(const struct inode *inode, loff_t *size)
{
	*size = i_size_read(inode);
}

void snapmapfs_helper_i_size_write(struct inode *inode, const loff_t *size)
{
	i_size_write(inode, *size);
}

#include "helpers/mm.c"
