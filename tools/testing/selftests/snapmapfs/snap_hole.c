// SPDX-License-Identifier: GPL-2.0
/* P1 for holes: a hole at T reads as zeros, whatever is put into it later. */
#include "snap.h"

#include <linux/falloc.h>

#define PAGES 8

FIXTURE(hole)
{
	struct snap s;
	ssize_t len;
};

FIXTURE_VARIANT(hole)
{
	bool touch;
};

FIXTURE_VARIANT_ADD(hole, touched)
{
	.touch = true,
};

FIXTURE_VARIANT_ADD(hole, untouched)
{
	.touch = false,
};

FIXTURE_SETUP(hole)
{
	ASSERT_EQ(0, snap_create(&self->s, 0));
	self->len = PAGES * page_size;
	ASSERT_EQ(0, ftruncate(self->s.fd, self->len));
	self->s.map = map_private(self->s.fd, 0, self->len);
	ASSERT_TRUE(mapped(self->s.map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(self->s.map, self->len));
}

FIXTURE_TEARDOWN(hole)
{
	snap_destroy(&self->s);
}

TEST_F(hole, filled)
{
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
}

TEST_F(hole, filled_in_part)
{
	ASSERT_EQ(10, write_gen(self->s.fd, 1, page_size + 5, 10));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, 0, page_size + 5));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, page_size + 5, 10));
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
}

TEST_F(hole, filled_twice)
{
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(self->len, write_gen(self->s.fd, 2, 0, self->len));
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
}

/* A read() brings no change, but may bring a page. */
TEST_F(hole, read_and_filled)
{
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, 0, self->len));
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
}

TEST_F(hole, filled_and_truncated)
{
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
}

TEST_F(hole, truncated)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
}

TEST_F(hole, truncated_extended_filled)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->len));
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
}

TEST_F(hole, allocated_and_filled)
{
	ASSERT_EQ(0, fallocate(self->s.fd, 0, 0, self->len));
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
}

/* Zeros, data, zeros, data: four instants of one page. */
TEST_F(hole, comes_and_goes)
{
	char *map[4];
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, 0, self->len));
		if (i % 2)
			ASSERT_EQ(self->len,
				  write_gen(self->s.fd, i, 0, self->len));
		map[i] = map_private(self->s.fd, 0, self->len);
		ASSERT_TRUE(mapped(map[i]));
		if (variant->touch)
			ASSERT_EQ(SAME, touch(map[i], self->len));
	}
	ASSERT_EQ(self->len, write_gen(self->s.fd, 9, 0, self->len));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(SAME, i % 2 ? differs(map[i], i, 0, self->len) :
					not_zero(map[i], self->len));
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
}

/* Data and holes by turns, and the whole rewritten by one call. */
TEST_F(hole, among_data)
{
	char *map;
	int i;

	for (i = 0; i < PAGES; i += 2)
		ASSERT_EQ(page_size, write_gen(self->s.fd, 1, i * page_size,
					       page_size));
	map = map_private(self->s.fd, 0, self->len);
	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, self->len));
	ASSERT_EQ(self->len, write_gen(self->s.fd, 2, 0, self->len));
	for (i = 0; i < PAGES; i++) {
		char *p = map + i * page_size;

		ASSERT_EQ(SAME, i % 2 ? not_zero(p, page_size) :
					differs(p, 1, i * page_size, page_size));
	}
	ASSERT_EQ(SAME, not_zero(self->s.map, self->len));
}

/* Far from the start, where a file of bytes could not be. */
TEST_F(hole, far_out)
{
	off_t far = (off_t)1 << 40;
	char *map;

	ASSERT_EQ(0, ftruncate(self->s.fd, far + page_size));
	map = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE, self->s.fd, far);
	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, page_size));
	ASSERT_EQ(3, pwrite(self->s.fd, "new", 3, far + 10));
	ASSERT_EQ(SAME, not_zero(map, page_size));
}

TEST_HARNESS_MAIN
