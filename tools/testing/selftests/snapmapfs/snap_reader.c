// SPDX-License-Identifier: GPL-2.0
/*
 * P1 for those who read a private mapping through pages that the kernel holds:
 * the page is the live one when they take hold of it, and must not become what
 * the file becomes.
 */
#include "snap.h"

#define PAGES 4

FIXTURE(reader)
{
	struct snap s;
	char *copy;
	int p[2];
};

/* All pages of the mapping are in a pipe, before the file changes. */
FIXTURE_SETUP(reader)
{
	struct iovec iov;

	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->s.map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->s.map));
	self->copy = alloc(self->s.len);
	ASSERT_EQ(0, pipe(self->p));
	iov = (struct iovec) { self->s.map, self->s.len };
	ASSERT_EQ(self->s.len, vmsplice(self->p[1], &iov, 1, 0));
}

FIXTURE_TEARDOWN(reader)
{
	free(self->copy);
	snap_destroy(&self->s);
}

/* The pipe and the mapping hold generation 0. */
static void check(struct __test_metadata *_metadata, struct snap *s, int pipe,
		  char *copy)
{
	ssize_t n, got;

	for (got = 0; got < s->len; got += n) {
		n = read(pipe, copy + got, s->len - got);
		ASSERT_LT(0, n);
	}
	ASSERT_EQ(SAME, differs(copy, 0, 0, s->len));
	ASSERT_EQ(SAME, differs(s->map, 0, 0, s->len));
}

TEST_F(reader, write)
{
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	check(_metadata, &self->s, self->p[0], self->copy);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
}

TEST_F(reader, store)
{
	char *shared = map_shared(self->s.fd, 0, self->s.len);

	ASSERT_TRUE(mapped(shared));
	ASSERT_EQ(SAME, touch(shared, self->s.len));
	gen_fill(shared, 1, 0, self->s.len);
	check(_metadata, &self->s, self->p[0], self->copy);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(shared, 1, 0, self->s.len));
}

TEST_F(reader, truncate)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, page_size / 2));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	check(_metadata, &self->s, self->p[0], self->copy);
}

TEST_F(reader, zero_range)
{
	ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_ZERO_RANGE, 0,
			       self->s.len));
	check(_metadata, &self->s, self->p[0], self->copy);
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, 0, self->s.len));
}

TEST_F(reader, punch_part_of_a_page)
{
	ASSERT_EQ(0, fallocate(self->s.fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       100, page_size));
	check(_metadata, &self->s, self->p[0], self->copy);
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, 100, page_size));
}

/* The file's new pages count like the old ones, and the old ones go. */
TEST_F(reader, accounting)
{
	long used = pages_used(snap_dir());

	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(used + PAGES, pages_used(snap_dir()));
	check(_metadata, &self->s, self->p[0], self->copy);
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	self->s.map = NULL;
	ASSERT_EQ(used, pages_used(snap_dir()));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(used - PAGES, pages_used(snap_dir()));
}

TEST_HARNESS_MAIN
