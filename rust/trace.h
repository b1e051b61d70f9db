/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM snapmapfs

#if !defined(SNAPMAPFS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SNAPMAPFS_TRACE_H

#include <linux/fs.h>
#include <linux/tracepoint.h>

/* A snapshot of the pages from first to before end was taken (snapshot), or its last mapping is gone (release). */
DECLARE_EVENT_CLASS(snapmapfs_snapshot_class,
	TP_PROTO(const struct inode *inode, unsigned long epoch, unsigned long first,
		 unsigned long end),
	TP_ARGS(inode, epoch, first, end),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(unsigned long, epoch)
		__field(unsigned long, first)
		__field(unsigned long, end)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->epoch = epoch;
		__entry->first = first;
		__entry->end = end;
	),
	TP_printk("dev %u:%u ino %llu epoch %lu pages %lu-%lu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->epoch,
		  __entry->first, __entry->end)
);

DEFINE_EVENT(snapmapfs_snapshot_class, snapmapfs_snapshot,
	TP_PROTO(const struct inode *inode, unsigned long epoch, unsigned long first,
		 unsigned long end),
	TP_ARGS(inode, epoch, first, end)
);

DEFINE_EVENT(snapmapfs_snapshot_class, snapmapfs_release,
	TP_PROTO(const struct inode *inode, unsigned long epoch, unsigned long first,
		 unsigned long end),
	TP_ARGS(inode, epoch, first, end)
);

/* A page is kept as it was for the epochs after lo up to hi: preserve. */
TRACE_EVENT(snapmapfs_preserve,
	TP_PROTO(const struct inode *inode, unsigned long page, unsigned long lo,
		 unsigned long hi, bool hole),
	TP_ARGS(inode, page, lo, hi, hole),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(unsigned long, page)
		__field(unsigned long, lo)
		__field(unsigned long, hi)
		__field(bool, hole)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->page = page;
		__entry->lo = lo;
		__entry->hi = hi;
		__entry->hole = hole;
	),
	TP_printk("dev %u:%u ino %llu page %lu epochs (%lu, %lu]%s",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->page,
		  __entry->lo, __entry->hi, __entry->hole ? " hole" : "")
);

/* A fault found a page that was kept: serve. */
TRACE_EVENT(snapmapfs_serve,
	TP_PROTO(const struct inode *inode, unsigned long page, unsigned long epoch, bool hole),
	TP_ARGS(inode, page, epoch, hole),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(unsigned long, page)
		__field(unsigned long, epoch)
		__field(bool, hole)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->page = page;
		__entry->epoch = epoch;
		__entry->hole = hole;
	),
	TP_printk("dev %u:%u ino %llu page %lu epoch %lu%s",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, __entry->page,
		  __entry->epoch, __entry->hole ? " hole" : "")
);

#endif /* SNAPMAPFS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
