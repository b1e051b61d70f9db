/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers for the tests of windows (W1-W4).
 */
#ifndef WIN_H
#define WIN_H

#include "snap.h"

#include <sys/ioctl.h>

#include "../../../../include/uapi/linux/snapmapfs.h"

#define BLOCK	SNAPMAPFS_WINDOW_BLOCK

/* The new descriptor, or -errno. */
static inline int window(int fd, uint64_t offset, uint64_t length)
{
	struct snapmapfs_window w = { .offset = offset, .length = length };
	int win = ioctl(fd, SNAPMAPFS_IOC_OPEN_WINDOW, &w);

	return win < 0 ? -errno : win;
}

/* As file_differs(), for a file that has at @pos what generation @gen has at @off. */
static inline ssize_t shows_not(int fd, off_t pos, unsigned int gen, ssize_t off,
				ssize_t len)
{
	char *buf = alloc(len);
	ssize_t ret = BUS;

	if (pread(fd, buf, len, pos) == len)
		ret = differs(buf, gen, off, len);
	free(buf);
	return ret;
}

/* Mounts with small segments are for smaller files on 32-bit machines. */
static inline bool has_all_offsets(int fd)
{
	return sizeof(long) == 8 || lseek(fd, INT64_MAX, SEEK_SET) == INT64_MAX;
}

/* Where windows begin. */
#define WIN_VARIANT(fixture, name, p, s)	\
	FIXTURE_VARIANT_ADD(fixture, name)	\
	{					\
		.pages = p,			\
		.shift = s,			\
	}

#define WIN_VARIANTS(fixture)			\
	FIXTURE_VARIANT(fixture)		\
	{					\
		int pages;			\
		int shift;			\
	};					\
	WIN_VARIANT(fixture, at_0, 0, 0);	\
	WIN_VARIANT(fixture, at_a_page, 2, 0);	\
	WIN_VARIANT(fixture, at_512, 2, 512);	\
	WIN_VARIANT(fixture, at_1024, 0, 1024);	\
	WIN_VARIANT(fixture, at_2048, 1, 2048);	\
	WIN_VARIANT(fixture, at_3584, 0, 3584)

#endif /* WIN_H */
