// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints, and what Rust calls to hit them.
 */
#define CREATE_TRACE_POINTS
#include "trace.h"
#include "vfs_ext.h"

void snapmapfs_trace_snapshot(const struct inode *inode, unsigned long epoch,
			      unsigned long first, unsigned long end)
{
	trace_snapmapfs_snapshot(inode, epoch, first, end);
}

void snapmapfs_trace_release(const struct inode *inode, unsigned long epoch, unsigned long first,
			     unsigned long end)
{
	trace_snapmapfs_release(inode, epoch, first, end);
}

void snapmapfs_trace_preserve(const struct inode *inode, unsigned long page, unsigned long lo,
			      unsigned long hi, bool hole)
{
	trace_snapmapfs_preserve(inode, page, lo, hi, hole);
}

void snapmapfs_trace_serve(const struct inode *inode, unsigned long page, unsigned long epoch,
			   bool hole)
{
	trace_snapmapfs_serve(inode, page, epoch, hole);
}
