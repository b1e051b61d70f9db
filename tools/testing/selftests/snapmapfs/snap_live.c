// SPDX-License-Identifier: GPL-2.0
/*
 * L1 and L2: the live file knows nothing of its generations. read(), shared
 * mappings and every way to write stay coherent, and the writer gets no new
 * error. What is written here out of private mappings must be the bytes of T.
 */
#include "snap.h"

#define PAGES	4
#define GENS	20

FIXTURE(live)
{
	struct snap s;
	char *shared;
};

FIXTURE_SETUP(live)
{
	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->s.map = map_private(self->s.fd, 0, self->s.len);
	self->shared = map_shared(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->s.map) && mapped(self->shared));
}

FIXTURE_TEARDOWN(live)
{
	snap_destroy(&self->s);
}

/* Another instant, whose mapping lives on. */
static bool new_generation(struct snap *s, int i)
{
	char *map = map_private(s->fd, 0, s->len);

	return mapped(map) && (i % 2 || touch(map, s->len) == SAME);
}

TEST_F(live, write_is_seen_through_shared)
{
	int i;

	for (i = 0; i < GENS; i++) {
		ASSERT_TRUE(new_generation(&self->s, i));
		ASSERT_EQ(self->s.len, write_gen(self->s.fd, i, 0,
						 self->s.len));
		ASSERT_EQ(SAME, differs(self->shared, i, 0, self->s.len));
		ASSERT_EQ(SAME, file_differs(self->s.fd, i, 0, self->s.len));
	}
}

TEST_F(live, store_is_seen_by_read)
{
	int i;

	for (i = 0; i < GENS; i++) {
		ASSERT_TRUE(new_generation(&self->s, i));
		gen_fill(self->shared, i, 0, self->s.len);
		ASSERT_EQ(SAME, file_differs(self->s.fd, i, 0, self->s.len));
		ASSERT_EQ(SAME, differs(self->shared, i, 0, self->s.len));
	}
}

/* Both in one page, by turns. */
TEST_F(live, stores_and_writes_in_one_page)
{
	int i;

	for (i = 0; i < GENS; i++) {
		ASSERT_TRUE(new_generation(&self->s, i));
		gen_fill(self->shared, i, 0, 100);
		ASSERT_EQ(100, write_gen(self->s.fd, i, 100, 100));
		gen_fill(self->shared + 200, i, 200, 100);
		ASSERT_EQ(SAME, file_differs(self->s.fd, i, 0, 300));
		ASSERT_EQ(SAME, differs(self->shared, i, 0, 300));
	}
}

TEST_F(live, two_shared_mappings)
{
	char *other = map_shared(self->s.fd, 0, self->s.len);
	int i;

	ASSERT_TRUE(mapped(other));
	for (i = 0; i < GENS; i++) {
		ASSERT_TRUE(new_generation(&self->s, i));
		gen_fill(i % 2 ? other : self->shared, i, 0, self->s.len);
		ASSERT_EQ(SAME, differs(i % 2 ? self->shared : other, i, 0,
					self->s.len));
	}
}

/*
 * H16: the kernel clears VM_SHARED where the descriptor cannot write, yet the
 * mapping is live.
 */
TEST_F(live, shared_mapping_of_a_read_only_descriptor)
{
	int fd = open(self->s.path, O_RDONLY), i;
	char *map = mmap(NULL, self->s.len, PROT_READ, MAP_SHARED, fd, 0);

	ASSERT_TRUE(mapped(map));
	for (i = 0; i < GENS; i++) {
		ASSERT_TRUE(new_generation(&self->s, i));
		ASSERT_EQ(self->s.len, write_gen(self->s.fd, i, 0,
						 self->s.len));
		ASSERT_EQ(SAME, differs(map, i, 0, self->s.len));
	}
	ASSERT_EQ(-1, mprotect(map, self->s.len, PROT_READ | PROT_WRITE));
	ASSERT_EQ(EACCES, errno);
}

/* The live size is the live file's alone. */
TEST_F(live, shared_mapping_after_truncate)
{
	ASSERT_TRUE(new_generation(&self->s, 0));
	ASSERT_EQ(0, ftruncate(self->s.fd, page_size + 10));
	ASSERT_EQ(SAME, differs(self->shared, 0, 0, page_size + 10));
	ASSERT_EQ(SAME, not_zero(self->shared + page_size + 10,
				 page_size - 10));
	ASSERT_EQ(BUS, read_byte_or_sigbus(self->shared + 2 * page_size));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_EQ(SAME, not_zero(self->shared + page_size + 10,
				 self->s.len - page_size - 10));
}

static int store_3(void *arg)
{
	struct snap *s = arg;
	char *map = map_shared(s->fd, 0, s->len);

	gen_fill(map, 3, 0, s->len);
	return 0;
}

TEST_F(live, store_of_another_process)
{
	ASSERT_TRUE(new_generation(&self->s, 0));
	ASSERT_EQ(SAME, touch(self->shared, self->s.len));
	ASSERT_EQ(0, run_child(store_3, &self->s));
	ASSERT_EQ(SAME, differs(self->shared, 3, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 3, 0, self->s.len));
}

TEST_F(live, msync_and_fsync)
{
	ASSERT_TRUE(new_generation(&self->s, 0));
	gen_fill(self->shared, 2, 0, self->s.len);
	ASSERT_EQ(0, msync(self->shared, self->s.len, MS_SYNC));
	ASSERT_EQ(0, fsync(self->s.fd));
	gen_fill(self->shared, 3, 0, page_size);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 3, 0, page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 2, page_size,
				     self->s.len - page_size));
}

/* The same again, but what is compared is the mapping from before. */
TEST_F(live, frozen_beside_it)
{
	int i;

	for (i = 1; i < GENS; i++) {
		ASSERT_TRUE(new_generation(&self->s, i));
		ASSERT_EQ(self->s.len, write_gen(self->s.fd, i, 0,
						 self->s.len));
		ASSERT_EQ(SAME, differs(self->shared, i, 0, self->s.len));
		ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	}
}

/*
 * Where the bytes come from
 *
 * A write whose source is a mapping of its own target has its source taken away
 * when the target is settled. It must still end, and with the right bytes.
 */

/* Generation 0 at @shift.. written to 0.., @len bytes in one call. */
static void write_shifted(struct __test_metadata *_metadata, struct snap *s,
			  const char *source, ssize_t shift, ssize_t len)
{
	char *copy = alloc(len);

	ASSERT_EQ(len, pwrite(s->fd, source + shift, len, 0));
	ASSERT_EQ(len, pread(s->fd, copy, len, 0));
	ASSERT_EQ(SAME, differs(copy, 0, shift, len));
	ASSERT_EQ(SAME, differs(s->map, 0, 0, s->len));
}

TEST_F(live, write_from_own_private_page)
{
	write_shifted(_metadata, &self->s, self->s.map, 1, page_size - 1);
}

TEST_F(live, write_from_own_private_page_touched)
{
	ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
	write_shifted(_metadata, &self->s, self->s.map, 1, page_size - 1);
}

/* The page is in the copy-on-write state that is neither file nor version. */
TEST_F(live, write_from_own_private_copy)
{
	char *map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, self->s.fd, 0);

	ASSERT_TRUE(mapped(map));
	map[0] = gen_byte(0, 0);
	write_shifted(_metadata, &self->s, map, 1, page_size - 1);
}

/* Each page written is the source of the next. */
TEST_F(live, write_from_own_private_pages)
{
	write_shifted(_metadata, &self->s, self->s.map, page_size / 2,
		      3 * page_size);
}

TEST_F(live, write_from_own_private_pages_touched)
{
	ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
	write_shifted(_metadata, &self->s, self->s.map, page_size / 2,
		      3 * page_size);
}

TEST_F(live, rewrite_with_own_private_pages)
{
	write_shifted(_metadata, &self->s, self->s.map, 0, self->s.len);
}

/* Upwards, where a plain copy would read what it has just written. */
TEST_F(live, write_upwards_from_own_private_pages)
{
	ssize_t len = 3 * page_size;
	char *copy = alloc(len);

	ASSERT_EQ(len, pwrite(self->s.fd, self->s.map, len, 100));
	ASSERT_EQ(len, pread(self->s.fd, copy, len, 100));
	ASSERT_EQ(SAME, differs(copy, 0, 0, len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* Again and again, with a generation between: every write has to settle. */
TEST_F(live, write_from_own_private_page_in_each_generation)
{
	int i;

	for (i = 0; i < GENS; i++) {
		char *map = map_private(self->s.fd, 0, self->s.len);
		char first = map[0];

		ASSERT_EQ(page_size - 1, pwrite(self->s.fd, map + 1,
						page_size - 1, 0));
		ASSERT_EQ(first, map[0]);
		ASSERT_EQ((char)gen_byte(0, i), first);
		ASSERT_EQ(SAME, differs(map, 0, i, page_size - i - 1));
	}
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* Two parts of one page; source and target do not overlap. */
TEST_F(live, write_from_shared_mapping_of_the_page)
{
	char *copy = alloc(1000);

	ASSERT_EQ(1000, pwrite(self->s.fd, self->shared + 2000, 1000, 0));
	ASSERT_EQ(1000, pread(self->s.fd, copy, 1000, 0));
	ASSERT_EQ(SAME, differs(copy, 0, 2000, 1000));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(live, write_from_dirty_shared_mapping_of_the_page)
{
	char *copy = alloc(1000);

	gen_fill(self->shared, 1, 0, page_size);
	ASSERT_TRUE(new_generation(&self->s, 0));
	ASSERT_EQ(1000, pwrite(self->s.fd, self->shared + 2000, 1000, 0));
	ASSERT_EQ(1000, pread(self->s.fd, copy, 1000, 0));
	ASSERT_EQ(SAME, differs(copy, 1, 2000, 1000));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* Half of the source is not there. */
TEST_F(live, write_with_partly_bad_buffer)
{
	char *buf = reserve(2 * page_size);
	ssize_t n;

	ASSERT_EQ(0, mprotect(buf, page_size, PROT_READ | PROT_WRITE));
	gen_fill(buf, 1, 0, page_size);
	n = pwrite(self->s.fd, buf, 2 * page_size, 0);
	ASSERT_EQ(page_size, n);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, n));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, n, self->s.len - n));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* The bad half begins in the middle of a page of the file. */
TEST_F(live, write_with_buffer_that_ends_in_a_page)
{
	char *buf = reserve(2 * page_size), *src = buf + page_size - 300;
	ssize_t n;

	ASSERT_EQ(0, mprotect(buf, page_size, PROT_READ | PROT_WRITE));
	gen_fill(src, 1, 0, 300);
	n = pwrite(self->s.fd, src, 2000, 0);
	ASSERT_EQ(300, n);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, n));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, n, self->s.len - n));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(live, write_with_bad_buffer)
{
	char *buf = reserve(page_size);

	ASSERT_EQ(-1, pwrite(self->s.fd, buf, page_size, 0));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, 0, page_size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* The source is past the end that a frozen mapping has. */
TEST_F(live, write_from_past_the_end_of_a_mapping)
{
	char *map;

	ASSERT_EQ(0, ftruncate(self->s.fd, page_size));
	map = map_private(self->s.fd, 0, 2 * page_size);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(2 * page_size, write_gen(self->s.fd, 1, 0, 2 * page_size));
	ASSERT_EQ(page_size, pwrite(self->s.fd, map, 2 * page_size, 0));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, page_size, page_size));
}

TEST_HARNESS_MAIN
