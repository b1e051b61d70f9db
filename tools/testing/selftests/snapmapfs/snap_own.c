// SPDX-License-Identifier: GPL-2.0
/*
 * P6: a mapping's own stores stay its own and survive whatever happens to the
 * file. P7: dropping the pages brings back the bytes of T.
 */
#include "snap.h"

#include <linux/falloc.h>

#define PAGES 6

FIXTURE(own)
{
	struct snap s;
};

FIXTURE_SETUP(own)
{
	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->s.map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE, self->s.fd, 0);
	ASSERT_TRUE(mapped(self->s.map));
}

FIXTURE_TEARDOWN(own)
{
	snap_destroy(&self->s);
}

/* Generation 5 into every second page. */
static void store(struct snap *s)
{
	ssize_t off;

	for (off = 0; off < s->len; off += 2 * page_size)
		gen_fill(s->map + off, 5, off, page_size);
}

static void check(struct __test_metadata *_metadata, const struct snap *s)
{
	ssize_t off;

	for (off = 0; off < s->len; off += page_size)
		ASSERT_EQ(SAME, differs(s->map + off,
					off / page_size % 2 ? 0 : 5, off,
					page_size));
}

TEST_F(own, stay_private)
{
	store(&self->s);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, self->s.len));
	check(_metadata, &self->s);
}

TEST_F(own, survive_write)
{
	store(&self->s);
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
	check(_metadata, &self->s);
}

/* A plain truncate would take away the pages that are only the mapping's. */
TEST_F(own, survive_truncate)
{
	store(&self->s);
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	check(_metadata, &self->s);
}

TEST_F(own, survive_truncate_in_a_page)
{
	store(&self->s);
	ASSERT_EQ(0, ftruncate(self->s.fd, page_size / 2));
	check(_metadata, &self->s);
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	check(_metadata, &self->s);
}

TEST_F(own, survive_o_trunc_and_rewrite)
{
	store(&self->s);
	ASSERT_LE(0, open(self->s.path, O_WRONLY | O_TRUNC));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	check(_metadata, &self->s);
}

TEST_F(own, survive_punch)
{
	store(&self->s);
	ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 0, self->s.len));
	check(_metadata, &self->s);
}

TEST_F(own, survive_unlink)
{
	store(&self->s);
	ASSERT_EQ(0, unlink(self->s.path));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, close(self->s.fd));
	self->s.fd = -1;
	check(_metadata, &self->s);
}

/* The first store into a page that the file has changed meanwhile. */
TEST_F(own, made_after_write)
{
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	store(&self->s);
	check(_metadata, &self->s);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
}

TEST_F(own, made_after_truncate)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	store(&self->s);
	check(_metadata, &self->s);
	ASSERT_EQ(0, file_size(self->s.fd));
}

/* One byte of each page is stored, the others must be those of T. */
TEST_F(own, of_one_byte)
{
	ssize_t off;

	ASSERT_EQ(self->s.len / 2, write_gen(self->s.fd, 1, 0,
					     self->s.len / 2));
	for (off = 0; off < self->s.len; off += page_size)
		self->s.map[off + 100] = ~gen_byte(0, off + 100);
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	for (off = 0; off < self->s.len; off += page_size) {
		ASSERT_EQ(SAME, differs(self->s.map + off, 0, off, 100));
		ASSERT_EQ((char)~gen_byte(0, off + 100),
			  self->s.map[off + 100]);
		ASSERT_EQ(SAME, differs(self->s.map + off + 101, 0, off + 101,
					page_size - 101));
	}
}

/* A read-only page that is written to after the file changed. */
TEST_F(own, made_after_mprotect)
{
	char *map = map_private(self->s.fd, 0, self->s.len);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(SAME, touch(map, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(0, mprotect(map, self->s.len, PROT_READ | PROT_WRITE));
	self->s.map = map;
	store(&self->s);
	check(_metadata, &self->s);
}

/* The kernel stores for us. */
TEST_F(own, made_by_read)
{
	char *bytes = alloc(page_size);
	int p[2];

	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(0, pipe(p));
	gen_fill(bytes, 5, 10, 50);
	ASSERT_EQ(50, write(p[1], bytes, 50));
	ASSERT_EQ(50, read(p[0], self->s.map + 10, 50));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, 10));
	ASSERT_EQ(SAME, differs(self->s.map + 10, 5, 10, 50));
	ASSERT_EQ(SAME, differs(self->s.map + 60, 0, 60, page_size - 60));
}

/* read() of the file itself into a mapping of it. */
TEST_F(own, made_by_reading_the_file)
{
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(2 * page_size, pread(self->s.fd, self->s.map, 2 * page_size,
				       0));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 1, 0, 2 * page_size));
	ASSERT_EQ(SAME, differs(self->s.map + 2 * page_size, 0, 2 * page_size,
				self->s.len - 2 * page_size));
}

TEST_F(own, dontneed_brings_back_unchanged)
{
	store(&self->s);
	ASSERT_EQ(0, madvise(self->s.map, self->s.len, MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(own, dontneed_after_write)
{
	store(&self->s);
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(0, madvise(self->s.map, self->s.len, MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(own, dontneed_before_write)
{
	store(&self->s);
	ASSERT_EQ(0, madvise(self->s.map, self->s.len, MADV_DONTNEED));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/*
 * Every page has a private copy when the file changes, so nothing in the page
 * tables says that the old page is still wanted.
 */
TEST_F(own, dontneed_after_every_page_was_copied)
{
	ssize_t off;

	for (off = 0; off < self->s.len; off += page_size)
		self->s.map[off] = 'x';
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	ASSERT_EQ(0, madvise(self->s.map, self->s.len, MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(own, dontneed_after_truncate)
{
	store(&self->s);
	ASSERT_EQ(0, ftruncate(self->s.fd, 100));
	ASSERT_EQ(0, madvise(self->s.map, self->s.len, MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(own, dontneed_after_punch)
{
	store(&self->s);
	ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 0, self->s.len));
	ASSERT_EQ(0, madvise(self->s.map, self->s.len, MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(own, dontneed_of_some_pages)
{
	store(&self->s);
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(0, madvise(self->s.map + 2 * page_size, page_size,
			     MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(self->s.map, 5, 0, page_size));
	ASSERT_EQ(SAME, differs(self->s.map + 2 * page_size, 0, 2 * page_size,
				page_size));
	ASSERT_EQ(SAME, differs(self->s.map + 4 * page_size, 5, 4 * page_size,
				page_size));
}

TEST_F(own, dontneed_again_and_again)
{
	int i;

	for (i = 1; i <= 20; i++) {
		store(&self->s);
		ASSERT_EQ(self->s.len, write_gen(self->s.fd, i, 0,
						 self->s.len));
		check(_metadata, &self->s);
		ASSERT_EQ(0, madvise(self->s.map, self->s.len, MADV_DONTNEED));
		ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	}
}

/* Advice that drops nothing must change nothing. */
TEST_F(own, other_advice)
{
	static const int advice[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
		MADV_COLD, MADV_PAGEOUT, MADV_DONTFORK, MADV_DOFORK,
	};
	int i;

	store(&self->s);
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	for (i = 0; i < (int)ARRAY_SIZE(advice); i++) {
		/* Some are refused for such a mapping, which is as good. */
		madvise(self->s.map, self->s.len, advice[i]);
		check(_metadata, &self->s);
	}
}

TEST_HARNESS_MAIN
