// SPDX-License-Identifier: GPL-2.0
/*
 * R2: a full filesystem. A write that would need a preserved page too many
 * fails with ENOSPC, truncation never does, and neither the file nor a mapping
 * is the worse for it.
 */
#include "snap.h"

#include <linux/falloc.h>

#define PAGES 16

FIXTURE(full)
{
	char dir[DIR_MAX];
	struct snap s;
	struct snap ballast;	/* takes up the rest */
};

FIXTURE_VARIANT(full)
{
	bool touch;
};

FIXTURE_VARIANT_ADD(full, touched)
{
	.touch = true,
};

FIXTURE_VARIANT_ADD(full, untouched)
{
	.touch = false,
};

static long pages_free(const char *path)
{
	struct statfs st;

	if (statfs(path, &st))
		return -1;
	return st.f_bfree * st.f_bsize / page_size;
}

FIXTURE_SETUP(full)
{
	char *page = alloc(page_size);
	off_t off = 0;

	ASSERT_EQ(0, snap_mount(self->dir, "size=1m"));
	ASSERT_EQ(0, snap_create_in(&self->s, self->dir, PAGES * page_size));
	self->s.map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->s.map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
	ASSERT_EQ(0, snap_create_in(&self->ballast, self->dir, 0));
	gen_fill(page, 7, 0, page_size);
	while (pwrite(self->ballast.fd, page, page_size, off) == page_size)
		off += page_size;
	ASSERT_EQ(ENOSPC, errno);
	ASSERT_EQ(0, pages_free(self->dir));
	self->ballast.len = off;
}

FIXTURE_TEARDOWN(full)
{
	snap_destroy(&self->ballast);
	snap_destroy(&self->s);
	snap_umount(self->dir);
}

/* Gives @n pages back. */
static int make_room(struct snap *ballast, int n)
{
	ballast->len -= n * page_size;
	return ftruncate(ballast->fd, ballast->len);
}

/* Nothing has happened: neither to the file nor to the mapping. */
static void check(struct __test_metadata *_metadata, struct snap *s)
{
	ASSERT_EQ(s->len, file_size(s->fd));
	ASSERT_EQ(SAME, file_differs(s->fd, 0, 0, s->len));
	ASSERT_EQ(SAME, differs(s->map, 0, 0, s->len));
}

TEST_F(full, write_fails)
{
	ASSERT_EQ(-1, write_gen(self->s.fd, 1, 0, page_size));
	ASSERT_EQ(ENOSPC, errno);
	check(_metadata, &self->s);
}

TEST_F(full, write_of_a_byte_fails)
{
	ASSERT_EQ(-1, write_gen(self->s.fd, 1, page_size + 10, 1));
	ASSERT_EQ(ENOSPC, errno);
	check(_metadata, &self->s);
}

TEST_F(full, write_of_everything_fails)
{
	ASSERT_EQ(-1, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(ENOSPC, errno);
	check(_metadata, &self->s);
}

/* The failure leaves nothing behind that a later write would trip over. */
TEST_F(full, write_fails_until_there_is_room)
{
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(-1, write_gen(self->s.fd, 1, 0, page_size));
		ASSERT_EQ(ENOSPC, errno);
	}
	ASSERT_EQ(0, make_room(&self->ballast, 1));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, 0, page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, page_size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(0, pages_free(self->dir));
}

TEST_F(full, write_succeeds_when_nobody_needs_the_page)
{
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
}

TEST_F(full, second_write_needs_no_page)
{
	ASSERT_EQ(0, make_room(&self->ballast, 1));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, 0, page_size));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 2, 0, page_size));
	ASSERT_EQ(-1, write_gen(self->s.fd, 1, page_size, page_size));
	ASSERT_EQ(ENOSPC, errno);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 2, 0, page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, page_size,
				     self->s.len - page_size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* Room for two of four pages: two are written, or none. */
TEST_F(full, write_is_cut_short)
{
	ssize_t n;

	ASSERT_EQ(0, make_room(&self->ballast, 2));
	n = write_gen(self->s.fd, 1, 0, 4 * page_size);
	if (n < 0) {
		ASSERT_EQ(ENOSPC, errno);
		check(_metadata, &self->s);
		return;
	}
	ASSERT_LT(0, n);
	ASSERT_LE(n, 2 * page_size);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, n));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, n, self->s.len - n));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(full, append_fails)
{
	ASSERT_EQ(-1, write_gen(self->s.fd, 1, self->s.len, page_size));
	ASSERT_EQ(ENOSPC, errno);
	check(_metadata, &self->s);
}

TEST_F(full, truncate_succeeds)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, file_size(self->s.fd));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	/* The mapping has the pages now, so there is no more room. */
	ASSERT_EQ(-1, write_gen(self->s.fd, 1, 0, page_size));
	ASSERT_EQ(ENOSPC, errno);
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, 0, page_size));
}

TEST_F(full, truncate_in_a_page_succeeds)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, page_size + 100));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, page_size + 100));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* With no whole page to give up, the limit is exceeded by one. */
TEST_F(full, truncate_in_the_last_page_succeeds)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len - 1));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(0, pages_free(self->dir));
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	ASSERT_EQ(0, pages_free(self->dir));
}

TEST_F(full, open_with_o_trunc_succeeds)
{
	ASSERT_LE(0, open(self->s.path, O_WRONLY | O_TRUNC));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(full, extending_succeeds)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 4 * self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(full, punch_succeeds)
{
	ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, page_size, 4 * page_size));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, page_size, 4 * page_size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* Two partial pages and nothing to give up. */
TEST_F(full, punch_of_two_ends_succeeds)
{
	ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, page_size / 2, page_size));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, page_size / 2, page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, page_size / 2));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(0, pages_free(self->dir));
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	ASSERT_EQ(0, pages_free(self->dir));
}

TEST_F(full, unlink_succeeds)
{
	ASSERT_EQ(0, unlink(self->s.path));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* What needs no page of the filesystem. */
TEST_F(full, mapping_and_own_stores_succeed)
{
	char *map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, self->s.fd, 0);

	ASSERT_TRUE(mapped(map));
	gen_fill(map, 3, 0, self->s.len);
	ASSERT_EQ(SAME, differs(map, 3, 0, self->s.len));
	check(_metadata, &self->s);
}

/* P5: inside the size there is no SIGBUS, also where nothing is stored. */
TEST_F(full, holes_can_be_read)
{
	char *map;

	ASSERT_EQ(0, ftruncate(self->s.fd, 2 * self->s.len));
	map = map_private(self->s.fd, self->s.len, self->s.len);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(SAME, not_zero(map, self->s.len));
}

/*
 * P9: a hole that a growing mapping brings in is looked at once, and takes no
 * page to be read.
 */
TEST_F(full, holes_of_a_grown_mapping_can_be_read)
{
	char *map;

	ASSERT_EQ(0, ftruncate(self->s.fd, 2 * self->s.len));
	map = mremap(self->s.map, self->s.len, 2 * self->s.len, MREMAP_MAYMOVE);
	ASSERT_TRUE(mapped(map));
	self->s.map = map;
	ASSERT_EQ(SAME, not_zero(map + self->s.len, self->s.len));
	ASSERT_EQ(0, pages_free(self->dir));
	ASSERT_EQ(0, make_room(&self->ballast, PAGES));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, self->s.len,
					 self->s.len));
	ASSERT_EQ(SAME, not_zero(map + self->s.len, self->s.len));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, self->s.len, self->s.len));
	ASSERT_EQ(0, munmap(map + self->s.len, self->s.len));
	ASSERT_EQ(0, pages_free(self->dir));
}

/* The older generation has its pages, the newer finds no room. */
TEST_F(full, second_generation)
{
	char *map;

	ASSERT_EQ(0, make_room(&self->ballast, 1));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, 0, page_size));
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, self->s.len));
	ASSERT_EQ(-1, write_gen(self->s.fd, 2, 0, page_size));
	ASSERT_EQ(ENOSPC, errno);
	ASSERT_EQ(SAME, differs(map, 1, 0, page_size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 2, 0, page_size));
	ASSERT_EQ(SAME, differs(map, 1, 0, page_size));
}

TEST_HARNESS_MAIN
