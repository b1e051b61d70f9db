// SPDX-License-Identifier: GPL-2.0
/*
 * P1, P4 and P5 for everything that takes bytes away from a file or moves its
 * end: truncation, holes and what comes into them afterwards.
 */
#include "snap.h"

#include <linux/falloc.h>

#define PAGES 8
#define TAIL 700	/* bytes in the last, partial page of the fixture's file */

FIXTURE(shrunk)
{
	struct snap s;
	ssize_t len;	/* of the mapping: whole pages */
};

FIXTURE_VARIANT(shrunk)
{
	bool touch;
};

FIXTURE_VARIANT_ADD(shrunk, touched)
{
	.touch = true,
};

FIXTURE_VARIANT_ADD(shrunk, untouched)
{
	.touch = false,
};

FIXTURE_SETUP(shrunk)
{
	ASSERT_EQ(0, snap_create(&self->s, (PAGES - 1) * page_size + TAIL));
	self->len = PAGES * page_size;
	self->s.map = map_private(self->s.fd, 0, self->len);
	ASSERT_TRUE(mapped(self->s.map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(self->s.map, self->len));
}

FIXTURE_TEARDOWN(shrunk)
{
	snap_destroy(&self->s);
}

/* Everything as it was: the bytes, and the zeros behind the last of them. */
static void check(struct __test_metadata *_metadata, const struct snap *s)
{
	ASSERT_EQ(SAME, differs(s->map, 0, 0, s->len));
	ASSERT_EQ(SAME, not_zero(s->map + s->len, page_size - TAIL));
}

TEST_F(shrunk, truncate_to_0)
{
	ASSERT_EQ(0, truncate(self->s.path, 0));
	ASSERT_EQ(0, file_size(self->s.fd));
	check(_metadata, &self->s);
}

TEST_F(shrunk, ftruncate_to_0)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, file_size(self->s.fd));
	check(_metadata, &self->s);
}

TEST_F(shrunk, open_with_o_trunc)
{
	ASSERT_LE(0, open(self->s.path, O_RDWR | O_TRUNC));
	ASSERT_EQ(0, file_size(self->s.fd));
	check(_metadata, &self->s);
}

static int truncate_path(void *arg)
{
	return truncate(arg, 0) ? errno : 0;
}

TEST_F(shrunk, truncate_by_another_process)
{
	ASSERT_EQ(0, run_child(truncate_path, self->s.path));
	check(_metadata, &self->s);
}

TEST_F(shrunk, truncate_at_a_page_boundary)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 3 * page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, 3 * page_size));
	check(_metadata, &self->s);
}

TEST_F(shrunk, truncate_in_a_page)
{
	ssize_t size = 3 * page_size + 123;

	ASSERT_EQ(0, ftruncate(self->s.fd, size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, size));
	check(_metadata, &self->s);
}

TEST_F(shrunk, truncate_in_the_last_page)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len - 1));
	check(_metadata, &self->s);
}

TEST_F(shrunk, truncate_byte_by_byte_over_a_boundary)
{
	ssize_t size;

	for (size = page_size + 2; size >= page_size - 2; size--)
		ASSERT_EQ(0, ftruncate(self->s.fd, size));
	check(_metadata, &self->s);
}

TEST_F(shrunk, truncate_page_by_page)
{
	ssize_t size;

	for (size = 7 * page_size; size >= 0; size -= page_size) {
		ASSERT_EQ(0, ftruncate(self->s.fd, size));
		check(_metadata, &self->s);
	}
}

/* What is in the file afterwards is zeros, not what had been there. */
TEST_F(shrunk, truncate_and_extend)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, 0, self->s.len));
	check(_metadata, &self->s);
}

TEST_F(shrunk, truncate_extend_write)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->len));
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->len));
	check(_metadata, &self->s);
}

/* H17: the page that is new after a truncation has been settled all the same. */
TEST_F(shrunk, truncate_and_write)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(self->len, write_gen(self->s.fd, 2, 0, self->len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 2, 0, self->len));
	check(_metadata, &self->s);
}

TEST_F(shrunk, write_and_truncate)
{
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(0, ftruncate(self->s.fd, page_size + 1));
	check(_metadata, &self->s);
}

TEST_F(shrunk, truncate_in_a_page_and_extend)
{
	ssize_t size = 2 * page_size + 50;

	ASSERT_EQ(0, ftruncate(self->s.fd, size));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, size));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, size, self->s.len - size));
	check(_metadata, &self->s);
}

TEST_F(shrunk, truncate_in_a_page_extend_write)
{
	ssize_t size = 2 * page_size + 50;

	ASSERT_EQ(0, ftruncate(self->s.fd, size));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	check(_metadata, &self->s);
}

/* The page at the end is written beyond the end it had at T. */
TEST_F(shrunk, extend_over_the_tail)
{
	ssize_t size = self->s.len;

	ASSERT_EQ(0, ftruncate(self->s.fd, self->len + page_size));
	check(_metadata, &self->s);
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, size, page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, size, page_size));
	check(_metadata, &self->s);
}

TEST_F(shrunk, truncate_an_unlinked_file)
{
	ASSERT_EQ(0, unlink(self->s.path));
	ASSERT_EQ(0, ftruncate(self->s.fd, 10));
	check(_metadata, &self->s);
	ASSERT_EQ(0, close(self->s.fd));
	check(_metadata, &self->s);
	self->s.fd = -1;
}

/* Ten lives of one file; each is remembered by the mapping made in it. */
TEST_F(shrunk, ten_lives)
{
	char *map[10];
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, ftruncate(self->s.fd, 0));
		ASSERT_EQ(page_size * (i % 4 + 1),
			  write_gen(self->s.fd, i + 1, 0,
				    page_size * (i % 4 + 1)));
		map[i] = map_private(self->s.fd, 0, page_size * (i % 4 + 1));
		ASSERT_TRUE(mapped(map[i]));
		if (variant->touch)
			ASSERT_EQ(SAME, touch(map[i], page_size * (i % 4 + 1)));
	}
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(SAME, differs(map[i], i + 1, 0,
					page_size * (i % 4 + 1)));
	check(_metadata, &self->s);
}

static int punch(int fd, off_t off, off_t len)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off,
			 len);
}

TEST_F(shrunk, punch_a_page)
{
	ASSERT_EQ(0, punch(self->s.fd, page_size, page_size));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, page_size, page_size));
	check(_metadata, &self->s);
}

TEST_F(shrunk, punch_in_a_page)
{
	ASSERT_EQ(0, punch(self->s.fd, page_size + 10, 20));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, page_size + 10, 20));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, page_size + 10));
	check(_metadata, &self->s);
}

TEST_F(shrunk, punch_from_page_to_page)
{
	ssize_t off = page_size + 10, len = 3 * page_size;

	ASSERT_EQ(0, punch(self->s.fd, off, len));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, off, len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, off));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, off + len, page_size));
	check(_metadata, &self->s);
}

TEST_F(shrunk, punch_everything)
{
	ASSERT_EQ(0, punch(self->s.fd, 0, self->len));
	ASSERT_EQ(self->s.len, file_size(self->s.fd));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, 0, self->s.len));
	check(_metadata, &self->s);
}

TEST_F(shrunk, punch_and_refill)
{
	ASSERT_EQ(0, punch(self->s.fd, 0, self->len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
	check(_metadata, &self->s);
	ASSERT_EQ(0, punch(self->s.fd, 0, self->len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	check(_metadata, &self->s);
}

TEST_F(shrunk, write_and_punch)
{
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(0, punch(self->s.fd, 0, self->len));
	check(_metadata, &self->s);
}

TEST_F(shrunk, punch_and_truncate)
{
	ASSERT_EQ(0, punch(self->s.fd, page_size, 2 * page_size));
	ASSERT_EQ(0, ftruncate(self->s.fd, page_size / 2));
	check(_metadata, &self->s);
}

/*
 * Modes a filesystem may refuse: then that is no way to change a file, and the
 * test is skipped.
 */
static int try_fallocate(int fd, int mode, off_t off, off_t len)
{
	return fallocate(fd, mode, off, len) ? errno : 0;
}

TEST_F(shrunk, zero_range)
{
	int ret;

	ret = try_fallocate(self->s.fd, FALLOC_FL_ZERO_RANGE,
			    page_size + 10, 2 * page_size);
	if (ret == EOPNOTSUPP)
		SKIP(return, "FALLOC_FL_ZERO_RANGE is not supported");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, page_size + 10,
				      2 * page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, page_size + 10));
	check(_metadata, &self->s);
}

TEST_F(shrunk, zero_range_that_grows)
{
	int ret;

	ret = try_fallocate(self->s.fd, FALLOC_FL_ZERO_RANGE,
			    self->s.len - 100, 2 * page_size);
	if (ret == EOPNOTSUPP)
		SKIP(return, "FALLOC_FL_ZERO_RANGE is not supported");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(self->s.len - 100 + 2 * page_size, file_size(self->s.fd));
	check(_metadata, &self->s);
}

TEST_F(shrunk, collapse_range)
{
	int ret;

	ret = try_fallocate(self->s.fd, FALLOC_FL_COLLAPSE_RANGE,
			    page_size, page_size);
	if (ret == EOPNOTSUPP)
		SKIP(return, "FALLOC_FL_COLLAPSE_RANGE is not supported");
	ASSERT_EQ(0, ret);
	check(_metadata, &self->s);
}

TEST_F(shrunk, insert_range)
{
	int ret;

	ret = try_fallocate(self->s.fd, FALLOC_FL_INSERT_RANGE,
			    page_size, page_size);
	if (ret == EOPNOTSUPP)
		SKIP(return, "FALLOC_FL_INSERT_RANGE is not supported");
	ASSERT_EQ(0, ret);
	check(_metadata, &self->s);
}

/* Allocation changes no byte, but it may move the end. */
TEST_F(shrunk, allocate_and_write)
{
	int ret;

	ret = try_fallocate(self->s.fd, 0, 0, self->len + page_size);
	if (ret == EOPNOTSUPP)
		SKIP(return, "fallocate() is not supported");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(self->len + page_size, file_size(self->s.fd));
	check(_metadata, &self->s);
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	check(_metadata, &self->s);
}

TEST_HARNESS_MAIN
