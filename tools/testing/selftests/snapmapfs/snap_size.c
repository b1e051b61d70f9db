// SPDX-License-Identifier: GPL-2.0
/*
 * P5: the size is frozen too. Inside the file's size at T there is never a
 * SIGBUS, past it are zeros to the end of the page, and SIGBUS from there on.
 */
#include "snap.h"

#include <linux/falloc.h>

FIXTURE(size)
{
	struct snap s;
};

FIXTURE_SETUP(size)
{
	ASSERT_EQ(0, snap_create(&self->s, page_size + 100));
}

FIXTURE_TEARDOWN(size)
{
	snap_destroy(&self->s);
}

/* A mapping of four pages, of which the file fills one and 100 bytes. */
static char *map_four(struct snap *s)
{
	return map_private(s->fd, 0, 4 * page_size);
}

/* What a mapping of @size bytes of generation @gen shows in four pages. */
static void check(struct __test_metadata *_metadata, const char *map,
		  unsigned int gen, ssize_t size)
{
	ssize_t end = (size + page_size - 1) / page_size * page_size, off;

	ASSERT_EQ(SAME, differs(map, gen, 0, size));
	ASSERT_EQ(SAME, not_zero(map + size, end - size));
	for (off = end; off < 4 * page_size; off += page_size) {
		ASSERT_EQ(BUS, read_byte_or_sigbus(map + off));
		ASSERT_EQ(BUS, read_byte_or_sigbus(map + off + page_size - 1));
	}
}

/* The rule of every filesystem, before anything changes. */
TEST_F(size, unchanged)
{
	char *map = map_four(&self->s);

	ASSERT_TRUE(mapped(map));
	check(_metadata, map, 0, self->s.len);
}

TEST_F(size, grown_by_write)
{
	char *map = map_four(&self->s);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(3 * page_size, write_gen(self->s.fd, 1, page_size,
					   3 * page_size));
	check(_metadata, map, 0, self->s.len);
}

TEST_F(size, grown_by_write_after_touch)
{
	char *map = map_four(&self->s);

	ASSERT_TRUE(mapped(map));
	check(_metadata, map, 0, self->s.len);
	ASSERT_EQ(3 * page_size, write_gen(self->s.fd, 1, page_size,
					   3 * page_size));
	check(_metadata, map, 0, self->s.len);
}

TEST_F(size, grown_by_truncate)
{
	char *map = map_four(&self->s);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, ftruncate(self->s.fd, 4 * page_size));
	check(_metadata, map, 0, self->s.len);
}

TEST_F(size, grown_by_fallocate)
{
	char *map = map_four(&self->s);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, fallocate(self->s.fd, 0, 0, 4 * page_size));
	check(_metadata, map, 0, self->s.len);
}

/* A later mapping has the size of its own instant. */
TEST_F(size, two_sizes)
{
	char *small = map_four(&self->s), *large;

	ASSERT_TRUE(mapped(small));
	ASSERT_EQ(3 * page_size, write_gen(self->s.fd, 0, page_size,
					   3 * page_size));
	large = map_four(&self->s);
	ASSERT_TRUE(mapped(large));
	ASSERT_EQ(0, ftruncate(self->s.fd, 1));
	check(_metadata, small, 0, self->s.len);
	check(_metadata, large, 0, 4 * page_size);
}

TEST_F(size, shrunk_and_grown)
{
	char *map = map_four(&self->s);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	check(_metadata, map, 0, self->s.len);
	ASSERT_EQ(4 * page_size, write_gen(self->s.fd, 1, 0, 4 * page_size));
	check(_metadata, map, 0, self->s.len);
}

TEST_F(size, mapping_of_an_empty_file)
{
	char *map;

	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	map = map_four(&self->s);
	ASSERT_TRUE(mapped(map));
	check(_metadata, map, 0, 0);
	ASSERT_EQ(4 * page_size, write_gen(self->s.fd, 1, 0, 4 * page_size));
	check(_metadata, map, 0, 0);
}

/* The whole mapping lies behind the end. */
TEST_F(size, mapping_behind_the_end)
{
	char *map = map_private(self->s.fd, 2 * page_size, page_size);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(BUS, read_byte_or_sigbus(map));
	ASSERT_EQ(4 * page_size, write_gen(self->s.fd, 1, 0, 4 * page_size));
	ASSERT_EQ(BUS, read_byte_or_sigbus(map));
}

TEST_F(size, mapping_at_an_offset)
{
	char *map = map_private(self->s.fd, page_size, 2 * page_size);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(3 * page_size, write_gen(self->s.fd, 1, page_size,
					   3 * page_size));
	ASSERT_EQ(SAME, differs(map, 0, page_size, 100));
	ASSERT_EQ(SAME, not_zero(map + 100, page_size - 100));
	ASSERT_EQ(BUS, read_byte_or_sigbus(map + page_size));
}

/* A whole last page has no tail. */
TEST_F(size, whole_pages)
{
	char *map;

	ASSERT_EQ(0, ftruncate(self->s.fd, page_size));
	map = map_four(&self->s);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, page_size, page_size));
	check(_metadata, map, 0, page_size);
}

/* Stores into the tail are the mapping's own; they reach no file. */
TEST_F(size, store_behind_the_end)
{
	char *map = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, self->s.fd, 0);

	ASSERT_TRUE(mapped(map));
	map[self->s.len + 5] = 'x';
	ASSERT_EQ(0, ftruncate(self->s.fd, 2 * page_size));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, self->s.len,
				      page_size - 100));
	ASSERT_EQ('x', map[self->s.len + 5]);
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
}

TEST_F(size, store_past_the_end)
{
	char *map = mmap(NULL, 4 * page_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, self->s.fd, 0);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(3 * page_size, write_gen(self->s.fd, 1, page_size,
					   3 * page_size));
	ASSERT_EQ(BUS, write_byte_or_sigbus(map + 2 * page_size, 'x'));
	ASSERT_EQ(0, write_byte_or_sigbus(map + page_size, 'x'));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, page_size, page_size));
}

/* A system call sees the same rule as a load. */
TEST_F(size, system_call_past_the_end)
{
	char *map = map_four(&self->s);
	int p[2];

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(3 * page_size, write_gen(self->s.fd, 1, page_size,
					   3 * page_size));
	ASSERT_EQ(-1, write(p[1], map + 2 * page_size, 1));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(1, write(p[1], map + self->s.len - 1, 1));
}

/* An end that moves back and forth while pages are touched one at a time. */
TEST_F(size, end_that_wanders)
{
	char *map = map_four(&self->s);
	int i;

	ASSERT_TRUE(mapped(map));
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, ftruncate(self->s.fd, i * 997 % (4 * page_size)));
		if (i % 3 == 0)
			ASSERT_EQ(50, write_gen(self->s.fd, i + 1,
						i * 331 % (3 * page_size), 50));
		if (i % 5 == 4)
			check(_metadata, map, 0, self->s.len);
	}
}

TEST_HARNESS_MAIN
