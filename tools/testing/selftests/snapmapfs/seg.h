/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers for the tests of segments (W3): files with something on both sides of
 * a border between two address spaces, and mounts on which these are small.
 */
#ifndef SEG_H
#define SEG_H

#include "win.h"

/* What the tests write: so much before and behind the border. */
#define HALF	(6 * page_size)
#define LEN	(2 * HALF)

struct seg {
	struct snap s;
	char dir[DIR_MAX];	/* of a mount of its own, else empty */
	off_t start;		/* of what is written */
	int win;		/* begins there, and goes on to the end of the file */
};

/* The largest file: on 32-bit machines so are the numbers of segments, with two bits to spare. */
static inline off_t seg_max(const char *options)
{
	if (sizeof(long) == 8 || !options || !strstr(options, "segment"))
		return INT64_MAX;
	return (off_t)1 << (strstr(options, "64k") ? 46 : 42);
}

/* Writes bytes @off... of @gen to where they belong. */
static inline ssize_t seg_write(struct seg *s, unsigned int gen, ssize_t off, ssize_t len)
{
	char *buf = alloc(len);
	ssize_t n;

	gen_fill(buf, gen, off, len);
	n = pwrite(s->s.fd, buf, len, s->start + off);
	free(buf);
	return n;
}

/* A fresh file with LEN bytes of generation 0 around @border, and holes before them. */
static inline int seg_create(struct seg *s, const char *options, off_t border)
{
	int err;

	s->dir[0] = '\0';
	s->win = -1;
	s->start = border - HALF;
	if (options) {
		err = snap_mount(s->dir, options);
		if (err)
			return err;
	}
	err = snap_create_in(&s->s, options ? s->dir : snap_dir(), 0);
	if (!err && seg_write(s, 0, 0, LEN) != LEN)
		err = -EIO;
	return err;
}

static inline void seg_destroy(struct seg *s)
{
	if (s->win >= 0)
		close(s->win);
	snap_destroy(&s->s);
	if (s->dir[0])
		snap_umount(s->dir);
}

/* As file_differs() and file_not_zero(). */
static inline ssize_t seg_differs(struct seg *s, unsigned int gen, ssize_t off, ssize_t len)
{
	return shows_not(s->s.fd, s->start + off, gen, off, len);
}

static inline ssize_t seg_not_zero(struct seg *s, ssize_t off, ssize_t len)
{
	char *buf = alloc(len);
	ssize_t ret = BUS;

	memset(buf, 'x', len);
	if (pread(s->s.fd, buf, len, s->start + off) == len)
		ret = not_zero(buf, len);
	free(buf);
	return ret;
}

static inline long long seg_blocks(struct seg *s)
{
	struct stat st;

	return fstat(s->s.fd, &st) ? -1 : st.st_blocks;
}

/*
 * Where the borders are: on mounts with small segments, and at places that are
 * within the one segment that a file has on 64-bit machines.
 */
#define SEG_VARIANTS(fixture)							\
	SEG_VARIANT(fixture, pages_of_4k, "segment=4k", 8 * 4096);		\
	SEG_VARIANT(fixture, first_of_64k, "segment=64k", 65536);		\
	SEG_VARIANT(fixture, third_of_64k, "segment=64k", 3 * 65536);		\
	SEG_VARIANT(fixture, far_of_64k, "segment=64k", (off_t)1 << 44);		\
	SEG_VARIANT(fixture, at_8_tib, NULL, (off_t)1 << 43);			\
	SEG_VARIANT(fixture, at_16_tib, NULL, (off_t)1 << 44);			\
	SEG_VARIANT(fixture, at_1_pib, NULL, (off_t)1 << 50)

#define SEG_VARIANT(fixture, name, opts, pos)					\
	FIXTURE_VARIANT_ADD(fixture, name)					\
	{									\
		.options = opts,						\
		.border = pos,							\
	}

#endif /* SEG_H */
