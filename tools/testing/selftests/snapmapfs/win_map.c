// SPDX-License-Identifier: GPL-2.0
/*
 * W1, W2: mappings of windows, shared and private, are of the file, further on.
 */
#include "win.h"

#include <linux/falloc.h>
#include <sys/ptrace.h>

#define PAGES	8
#define LEN	(PAGES * page_size)

FIXTURE(mapping)
{
	struct snap s;
	ssize_t at;	/* where the windows begin */
	ssize_t len;	/* whole pages from there to the end of the file */
	int win;	/* to the end of the file */
	int part;	/* three pages */
};

WIN_VARIANTS(mapping);

FIXTURE_SETUP(mapping)
{
	self->at = variant->pages * page_size + variant->shift;
	self->len = 6 * page_size;
	ASSERT_EQ(0, snap_create(&self->s, self->at + self->len));
	self->win = window(self->s.fd, self->at, 0);
	ASSERT_LE(0, self->win);
	self->part = window(self->s.fd, self->at, 3 * page_size);
	ASSERT_LE(0, self->part);
}

FIXTURE_TEARDOWN(mapping)
{
	snap_destroy(&self->s);
}

#define MAP(map, fd, off, len) ({		\
	char *__map = map(fd, off, len);	\
						\
	ASSERT_TRUE(mapped(__map));		\
	__map;					\
})

/* @map, at @off in the window, is as generation @gen of the file. */
#define EXPECT_MAP(map, gen, off, len) \
	ASSERT_EQ(SAME, differs(map, gen, self->at + (off), len))

#define WRITE(gen, off, len) \
	ASSERT_EQ(len, write_gen(self->s.fd, gen, off, len))

TEST_F(mapping, shared)
{
	char *map = MAP(map_shared, self->win, 0, self->len);

	EXPECT_MAP(map, 0, 0, self->len);
	/* L1, both ways. */
	WRITE(1, 0, self->at + self->len);
	EXPECT_MAP(map, 1, 0, self->len);
	gen_fill(map, 2, self->at, self->len);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 2, self->at, self->len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->at));
	WRITE(3, self->at + 100, page_size);
	EXPECT_MAP(map + 100, 3, 100, page_size);
	EXPECT_MAP(map, 2, 0, 100);
	EXPECT_MAP(map + 100 + page_size, 2, 100 + page_size, page_size);
}

/* What a store has changed is no hole to be filled. */
TEST_F(mapping, shared_and_allocated)
{
	char *map = MAP(map_shared, self->win, 0, self->len);

	gen_fill(map, 1, self->at, self->len);
	ASSERT_EQ(0, fallocate(self->s.fd, 0, 0, self->at + self->len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, self->at));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, self->at, self->len));
	EXPECT_MAP(map, 1, 0, self->len);
}

/*
 * Pages of a view that hold nothing of their own may be reclaimed, which leaves
 * entries in the page cache that are no pages.
 */
TEST_F(mapping, reclaimed)
{
	char *map = MAP(map_shared, self->win, 0, self->len);
	char *private = MAP(map_private, self->win, 0, self->len);
	int i;

	for (i = 1; i < 5; i++) {
		EXPECT_MAP(map, i - 1, 0, self->len);
		EXPECT_MAP(private, 0, 0, self->len);
		ASSERT_EQ(0, madvise(map, self->len, MADV_PAGEOUT));
		ASSERT_EQ(0, madvise(private, self->len, MADV_PAGEOUT));
		if (i % 2)
			EXPECT_MAP(map, i - 1, 0, self->len);
		/* Lent pages stay. */
		gen_fill(map, i, self->at, self->len);
		ASSERT_EQ(0, madvise(map, self->len, MADV_PAGEOUT));
		ASSERT_EQ(SAME, file_differs(self->s.fd, i, self->at, self->len));
	}
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, self->at));
}

TEST_F(mapping, shared_in_the_middle)
{
	char *map = MAP(map_shared, self->win, 2 * page_size, page_size);

	EXPECT_MAP(map, 0, 2 * page_size, page_size);
	map[5] = 'x';
	ASSERT_EQ(5, file_differs(self->s.fd, 0, self->at + 2 * page_size, page_size));
}

/* Mappings of the file and of the window show the stores of each other. */
TEST_F(mapping, shared_with_the_file)
{
	char *map = MAP(map_shared, self->win, 0, self->len);
	char *base = MAP(map_shared, self->s.fd, 0, self->at + self->len);
	ssize_t off;
	int i;

	for (i = 0; i < 200; i++) {
		off = i * 337 % self->len;
		map[off] = i;
		ASSERT_EQ((char)i, base[self->at + off]);
		off = i * 911 % self->len;
		base[self->at + off] = i + 1;
		ASSERT_EQ((char)(i + 1), map[off]);
	}
	ASSERT_EQ(0, memcmp(map, base + self->at, self->len));
}

/* The same in another process. */
static int store_all(void *arg)
{
	struct snap *s = arg;

	gen_fill(s->map, 5, s->len, 6 * page_size);
	return 0;
}

TEST_F(mapping, shared_between_processes)
{
	char *map = MAP(map_shared, self->win, 0, self->len);
	char *base = MAP(map_shared, self->s.fd, 0, self->at + self->len);
	struct snap s = { .map = map, .len = self->at };

	EXPECT_MAP(map, 0, 0, self->len);
	ASSERT_EQ(0, run_child(store_all, &s));
	EXPECT_MAP(map, 5, 0, self->len);
	ASSERT_EQ(SAME, differs(base + self->at, 5, self->at, self->len));
}

TEST_F(mapping, shared_read_only)
{
	int fd = open(self->s.path, O_RDONLY);
	char *map;

	ASSERT_LE(0, fd);
	fd = window(fd, self->at, 0);
	ASSERT_LE(0, fd);
	ASSERT_FALSE(mapped(map_shared(fd, 0, self->len)));
	ASSERT_EQ(EACCES, errno);
	map = mmap(NULL, self->len, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_TRUE(mapped(map));
	EXPECT_MAP(map, 0, 0, self->len);
	WRITE(1, 0, self->at + self->len);
	EXPECT_MAP(map, 1, 0, self->len);
}

/* P1 */
TEST_F(mapping, private)
{
	char *map = MAP(map_private, self->win, 0, self->len);
	char *half = MAP(map_private, self->win, 0, self->len);

	ASSERT_EQ(SAME, touch(half, self->len / 2));
	WRITE(1, 0, self->at + self->len);
	EXPECT_MAP(map, 0, 0, self->len);
	EXPECT_MAP(half, 0, 0, self->len);
	map = MAP(map_private, self->win, page_size, 2 * page_size);
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	EXPECT_MAP(map, 1, page_size, 2 * page_size);
	EXPECT_MAP(half, 0, 0, self->len);
}

TEST_F(mapping, private_against_stores)
{
	char *shared = MAP(map_shared, self->win, 0, self->len);
	char *base = MAP(map_shared, self->s.fd, 0, self->at + self->len);
	char *map, *later;

	gen_fill(shared, 1, self->at, self->len);
	map = MAP(map_private, self->win, 0, self->len);
	gen_fill(base, 2, 0, self->at + self->len);
	later = MAP(map_private, self->win, 0, self->len);
	gen_fill(shared, 3, self->at, self->len);
	EXPECT_MAP(map, 1, 0, self->len);
	EXPECT_MAP(later, 2, 0, self->len);
	EXPECT_MAP(shared, 3, 0, self->len);
	ASSERT_EQ(SAME, differs(base + self->at, 3, self->at, self->len));
}

/* A store through the window is a change of the file (P4). */
TEST_F(mapping, store_against_the_file)
{
	char *shared = MAP(map_shared, self->win, 0, self->len);
	char *map = MAP(map_private, self->s.fd, 0, self->at + self->len), *dirty;

	gen_fill(shared, 1, self->at, self->len);
	ASSERT_EQ(SAME, differs(map, 0, 0, self->at + self->len));
	dirty = MAP(map_private, self->s.fd, 0, self->at + self->len);
	gen_fill(shared, 2, self->at, self->len);
	ASSERT_EQ(SAME, differs(map, 0, 0, self->at + self->len));
	ASSERT_EQ(SAME, differs(dirty + self->at, 1, self->at, self->len));
	ASSERT_EQ(SAME, differs(dirty, 0, 0, self->at));
}

/* P6, P7 */
TEST_F(mapping, private_stores)
{
	char *map = mmap(NULL, self->len, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			 self->win, 0);

	ASSERT_TRUE(mapped(map));
	map[page_size + 7] = 'x';
	WRITE(1, 0, self->at + self->len);
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ('x', map[page_size + 7]);
	map[page_size + 7] = gen_byte(0, self->at + page_size + 7);
	EXPECT_MAP(map, 0, 0, self->len);
	map[2 * page_size] = 'y';
	ASSERT_EQ(0, madvise(map, self->len, MADV_DONTNEED));
	EXPECT_MAP(map, 0, 0, self->len);
}

/* P4: every way to change it that is not a write. */
TEST_F(mapping, private_against_holes)
{
	char *map = MAP(map_private, self->win, 0, self->len);

	ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       self->at + page_size, 2 * page_size));
	EXPECT_MAP(map, 0, 0, self->len);
	ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_ZERO_RANGE, 0, 3 * page_size));
	EXPECT_MAP(map, 0, 0, self->len);
	ASSERT_EQ(0, ftruncate(self->s.fd, self->at + 3 * page_size + 9));
	EXPECT_MAP(map, 0, 0, self->len);
	ASSERT_EQ(0, ftruncate(self->s.fd, LEN));
	WRITE(1, 0, LEN);
	EXPECT_MAP(map, 0, 0, self->len);
}

/* Holes: what is written there later is not in the mapping. */
TEST_F(mapping, private_of_holes)
{
	char *map, *touched;

	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->at + self->len));
	map = MAP(map_private, self->win, 0, self->len);
	touched = MAP(map_private, self->win, 0, self->len);
	ASSERT_EQ(SAME, not_zero(touched, self->len));
	WRITE(1, 0, self->at + self->len);
	ASSERT_EQ(SAME, not_zero(map, self->len));
	ASSERT_EQ(SAME, not_zero(touched, self->len));
}

/* P5, and the same for a shared mapping of the live file. */
TEST_F(mapping, end_of_the_file)
{
	char *map, *shared;

	ASSERT_EQ(0, ftruncate(self->s.fd, self->at + 2 * page_size + 100));
	map = MAP(map_private, self->win, 0, self->len);
	shared = MAP(map_shared, self->win, 0, self->len);
	EXPECT_MAP(map, 0, 0, 2 * page_size + 100);
	EXPECT_MAP(shared, 0, 0, 2 * page_size + 100);
	ASSERT_EQ(SAME, not_zero(map + 2 * page_size + 100, page_size - 100));
	ASSERT_EQ(SAME, not_zero(shared + 2 * page_size + 100, page_size - 100));
	ASSERT_EQ(BUS, read_byte_or_sigbus(map + 3 * page_size));
	ASSERT_EQ(BUS, read_byte_or_sigbus(shared + 3 * page_size));
	/* It grows: one with it, the other not. */
	WRITE(1, self->at + 2 * page_size + 100, 2 * page_size);
	EXPECT_MAP(map, 0, 0, 2 * page_size + 100);
	ASSERT_EQ(SAME, not_zero(map + 2 * page_size + 100, page_size - 100));
	ASSERT_EQ(BUS, read_byte_or_sigbus(map + 3 * page_size));
	EXPECT_MAP(shared, 0, 0, 2 * page_size + 100);
	EXPECT_MAP(shared + 2 * page_size + 100, 1, 2 * page_size + 100, 2 * page_size);
	/* And shrinks. */
	ASSERT_EQ(0, ftruncate(self->s.fd, self->at + page_size));
	EXPECT_MAP(map, 0, 0, 2 * page_size + 100);
	EXPECT_MAP(shared, 0, 0, page_size);
	ASSERT_EQ(BUS, read_byte_or_sigbus(shared + page_size));
}

/* Stores behind the end of the file do not become data when it grows. */
TEST_F(mapping, stores_behind_the_end)
{
	char *shared;

	ASSERT_EQ(0, ftruncate(self->s.fd, self->at + page_size + 100));
	shared = MAP(map_shared, self->win, 0, self->len);
	memset(shared + page_size + 100, 'x', page_size - 100);
	ASSERT_EQ(0, ftruncate(self->s.fd, self->at + self->len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, self->at + page_size + 100));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, self->at + page_size + 100,
				      self->len - page_size - 100));
	ASSERT_EQ(SAME, not_zero(shared + page_size + 100, self->len - page_size - 100));
	memset(shared + 2 * page_size, 'y', page_size);
	ASSERT_EQ(0, ftruncate(self->s.fd, self->at + 2 * page_size + 5));
	memset(shared + 2 * page_size, 'z', page_size);
	WRITE(1, self->at + 2 * page_size + 10, 10);
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, self->at + 2 * page_size + 5, 5));
	EXPECT_MAP(shared + 2 * page_size + 10, 1, 2 * page_size + 10, 10);
}

/* SIGBUS behind the window, whatever the file has there. */
TEST_F(mapping, end_of_the_window)
{
	char *map = MAP(map_private, self->part, 0, self->len);
	char *shared = MAP(map_shared, self->part, 0, self->len);

	EXPECT_MAP(map, 0, 0, 3 * page_size);
	EXPECT_MAP(shared, 0, 0, 3 * page_size);
	ASSERT_EQ(BUS, read_byte_or_sigbus(map + 3 * page_size));
	ASSERT_EQ(BUS, read_byte_or_sigbus(shared + 3 * page_size));
	ASSERT_EQ(BUS, write_byte_or_sigbus(shared + 3 * page_size, 0));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, self->at + self->len));
	/* Fault-around does not go past it either. */
	map = MAP(map_private, self->part, 2 * page_size, 2 * page_size);
	shared = MAP(map_shared, self->part, 2 * page_size, 2 * page_size);
	EXPECT_MAP(map, 0, 2 * page_size, page_size);
	EXPECT_MAP(shared, 0, 2 * page_size, page_size);
	ASSERT_EQ(BUS, read_byte_or_sigbus(map + page_size));
	ASSERT_EQ(BUS, read_byte_or_sigbus(shared + page_size));
}

/* P9, and mremap() of a shared mapping. */
TEST_F(mapping, grown)
{
	char *map = MAP(map_private, self->part, 0, page_size);
	char *shared = MAP(map_shared, self->part, 0, page_size);

	WRITE(1, 0, self->at + self->len);
	map = mremap(map, page_size, 4 * page_size, MREMAP_MAYMOVE);
	ASSERT_TRUE(mapped(map));
	shared = mremap(shared, page_size, 4 * page_size, MREMAP_MAYMOVE);
	ASSERT_TRUE(mapped(shared));
	EXPECT_MAP(map, 0, 0, page_size);
	EXPECT_MAP(map + page_size, 1, page_size, page_size);
	EXPECT_MAP(shared, 1, 0, 3 * page_size);
	WRITE(2, 0, self->at + self->len);
	EXPECT_MAP(map, 0, 0, page_size);
	EXPECT_MAP(map + page_size, 1, page_size, page_size);
	EXPECT_MAP(map + 2 * page_size, 2, 2 * page_size, page_size);
	EXPECT_MAP(shared, 2, 0, 3 * page_size);
	ASSERT_EQ(BUS, read_byte_or_sigbus(map + 3 * page_size));
	ASSERT_EQ(BUS, read_byte_or_sigbus(shared + 3 * page_size));
}

TEST_F(mapping, past_the_largest_offset)
{
	int fd = window(self->s.fd, INT64_MAX / 4096 * 4096 - 4 * page_size, 0);

	if (!has_all_offsets(self->s.fd))
		SKIP(return, "no such offsets on this mount");
	ASSERT_LE(0, fd);
	ASSERT_TRUE(mapped(map_private(fd, 0, page_size)));
	ASSERT_FALSE(mapped(map_private(fd, 0, 8 * page_size)));
	ASSERT_EQ(EOVERFLOW, errno);
	ASSERT_FALSE(mapped(map_shared(fd, 8 * page_size, page_size)));
	ASSERT_EQ(EOVERFLOW, errno);
}

/* P8: life of a mapping. */
TEST_F(mapping, partly_unmapped)
{
	char *map = MAP(map_private, self->win, 0, self->len);
	long used = pages_used(snap_dir());

	ASSERT_EQ(0, munmap(map + page_size, page_size));
	WRITE(1, 0, self->at + self->len);
	EXPECT_MAP(map, 0, 0, page_size);
	EXPECT_MAP(map + 2 * page_size, 0, 2 * page_size, self->len - 2 * page_size);
	ASSERT_EQ(0, munmap(map, page_size));
	ASSERT_EQ(0, munmap(map + 2 * page_size, self->len - 2 * page_size));
	ASSERT_EQ(used, pages_used(snap_dir()));
}

/* The file changes by a write and by stores: no private mapping of before shows it. */
static bool change(const struct snap *s, char *shared, ssize_t at, ssize_t len)
{
	if (write_gen(s->fd, 1, 0, at + len) != at + len)
		return false;
	gen_fill(shared + 2 * page_size, 2, at + 2 * page_size, page_size);
	return file_differs(s->fd, 1, 0, at) == SAME &&
	       file_differs(s->fd, 2, at + 2 * page_size, page_size) == SAME;
}

#define CHANGE(shared) ASSERT_TRUE(change(&self->s, shared, self->at, self->len))

/* @s has the window's place as its length. */
static int see_0(void *arg)
{
	struct snap *s = arg;

	return differs(s->map, 0, s->len, 6 * page_size) != SAME;
}

TEST_F(mapping, private_in_a_child)
{
	char *shared = MAP(map_shared, self->win, 0, self->len);
	char *map = MAP(map_private, self->win, 0, self->len);
	struct snap s = { .map = map, .len = self->at };
	struct child before;

	ASSERT_EQ(SAME, touch(map, self->len / 2));
	ASSERT_EQ(0, child_start(&before, see_0, &s));
	CHANGE(shared);
	ASSERT_EQ(0, child_finish(&before));
	ASSERT_EQ(0, run_child(see_0, &s));
	EXPECT_MAP(map, 0, 0, self->len);
	ASSERT_EQ(0, child_start(&before, see_0, &s));
	ASSERT_EQ(0, munmap(map, self->len));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, child_finish(&before));
}

TEST_F(mapping, private_moved)
{
	char *shared = MAP(map_shared, self->win, 0, self->len);
	char *map = MAP(map_private, self->win, 0, self->len);
	char *to = reserve(self->len), *both;

	ASSERT_TRUE(mapped(to));
	ASSERT_EQ(SAME, touch(map, self->len / 2));
	ASSERT_TRUE(to == mremap(map, self->len, self->len, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	/* Both places are mapped then, and of one instant. */
	both = MAP(map_private, self->win, 0, self->len);
	ASSERT_EQ(SAME, touch(both, self->len / 2));
	map = mremap(both, self->len, self->len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ASSERT_TRUE(mapped(map));
	ASSERT_TRUE(both != map);
	CHANGE(shared);
	EXPECT_MAP(to, 0, 0, self->len);
	EXPECT_MAP(map, 0, 0, self->len);
	EXPECT_MAP(both, 0, 0, self->len);
}

TEST_F(mapping, private_populated)
{
	char *shared = MAP(map_shared, self->win, 0, self->len), *map;

	map = mmap(NULL, self->len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, self->win, 0);
	ASSERT_TRUE(mapped(map));
	CHANGE(shared);
	EXPECT_MAP(map, 0, 0, self->len);
	ASSERT_EQ(0, madvise(map, self->len, MADV_DONTNEED));
	ASSERT_EQ(0, madvise(map, self->len, MADV_POPULATE_READ));
	EXPECT_MAP(map, 0, 0, self->len);
}

TEST_F(mapping, private_locked)
{
	char *shared = MAP(map_shared, self->win, 0, self->len);
	char *map = MAP(map_private, self->win, 0, self->len);
	char *later = MAP(map_private, self->win, 0, self->len);

	ASSERT_EQ(0, mlock(map, self->len));
	CHANGE(shared);
	EXPECT_MAP(map, 0, 0, self->len);
	ASSERT_EQ(0, mlock(later, self->len));
	EXPECT_MAP(later, 0, 0, self->len);
	ASSERT_EQ(0, munlock(map, self->len));
	EXPECT_MAP(map, 0, 0, self->len);
}

TEST_F(mapping, private_from_elsewhere)
{
	char *shared = MAP(map_shared, self->win, 0, self->len);
	char *map = MAP(map_private, self->win, 0, self->len), *copy = alloc(self->len);
	struct iovec to = { copy, self->len }, from = { map, self->len };
	struct snap s = { .map = map, .len = self->at };
	struct child c;
	int status;
	long word;

	ASSERT_EQ(0, child_start(&c, see_0, &s));
	CHANGE(shared);
	ASSERT_EQ(self->len, process_vm_readv(c.pid, &to, 1, &from, 1, 0));
	ASSERT_EQ(SAME, differs(copy, 0, self->at, self->len));
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, c.pid, NULL, NULL));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, c.pid, NULL, NULL));
	ASSERT_EQ(c.pid, waitpid(c.pid, &status, 0));
	word = ptrace(PTRACE_PEEKDATA, c.pid, map + 2 * page_size, NULL);
	ASSERT_EQ(SAME, differs(&word, 0, self->at + 2 * page_size, sizeof(word)));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, c.pid, NULL, NULL));
	ASSERT_EQ(0, child_finish(&c));
	free(copy);
}

/* The mapping is a user of the file for itself. */
TEST_F(mapping, outlives_the_window)
{
	char *shared = MAP(map_shared, self->win, 0, self->len);
	char *map = MAP(map_private, self->part, 0, 3 * page_size);
	int fd = open(self->s.path, O_RDONLY);

	close(self->win);
	close(self->part);
	close(self->s.fd);
	ASSERT_EQ(0, unlink(self->s.path));
	gen_fill(shared, 1, self->at, self->len);
	EXPECT_MAP(map, 0, 0, 3 * page_size);
	ASSERT_EQ(SAME, file_differs(fd, 1, self->at, self->len));
	close(fd);
	EXPECT_MAP(shared, 1, 0, self->len);
	EXPECT_MAP(map, 0, 0, 3 * page_size);
	self->s.fd = -1;
}

/* MADV_REMOVE finds its place. */
TEST_F(mapping, removed)
{
	char *shared = MAP(map_shared, self->win, 0, self->len);

	ASSERT_EQ(0, madvise(shared + page_size, page_size, MADV_REMOVE));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, self->at + page_size));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, self->at + page_size, page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, self->at + 2 * page_size,
				     self->len - 2 * page_size));
	ASSERT_EQ(SAME, not_zero(shared + page_size, page_size));
	EXPECT_MAP(shared, 0, 0, page_size);
	EXPECT_MAP(shared + 2 * page_size, 0, 2 * page_size, page_size);
}

/* Maps the file of the mapping once more. */
TEST_F(mapping, remapped)
{
	char *map = MAP(map_shared, self->win, 0, 4 * page_size);

	ASSERT_EQ(0, remap_file_pages(map, page_size, 0, variant->pages + 2, 0));
	EXPECT_MAP(map, 0, 2 * page_size, page_size);
	EXPECT_MAP(map + page_size, 0, page_size, 3 * page_size);
	map[7] = 'x';
	ASSERT_EQ('x', map[2 * page_size + 7]);
	ASSERT_EQ(7, file_differs(self->s.fd, 0, self->at + 2 * page_size, page_size));
}

/* How many files the kernel has open, those of mappings included, or -1. */
static long files(void)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	char line[300];
	long n = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "filp %ld", &n) == 1)
			break;
	}
	if (f)
		fclose(f);
	return n;
}

/* What was mapped is what is mapped again: that has one file each time, and not one more. */
TEST_F(mapping, remapped_often)
{
	char *map = MAP(map_shared, self->win, 0, 4 * page_size);
	long before = files();
	int i;

	if (before < 0)
		SKIP(return, "/proc/slabinfo cannot be read");
	if (slow() > 1)
		SKIP(return, "KASAN keeps what is freed");
	for (i = 0; i < 5000; i++)
		ASSERT_EQ(0, remap_file_pages(map, page_size, 0, i % 4, 0));
	/* Some are freed later. */
	ASSERT_GT(before + 1000, files());
}

/* What /proc/self/maps says of @p: the sum of the offset and what follows the name, and the inode. */
static bool find_in_maps(const void *p, const char *path, long *off, unsigned long *ino)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[PATH_MAX + 200];
	bool found = false;

	while (!found && f && fgets(line, sizeof(line), f)) {
		unsigned long from, to, at;
		char *name;

		if (sscanf(line, "%lx-%lx %*s %lx %*s %lu", &from, &to, &at, ino) != 4 ||
		    from != (unsigned long)p)
			continue;
		name = strstr(line, path);
		if (!name)
			break;
		*off = at;
		if (name[strlen(path)] == '+')
			*off += atol(name + strlen(path));
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

TEST_F(mapping, in_maps)
{
	int fds[] = { self->win, self->part }, i;
	unsigned long ino;
	struct stat st;
	char *map;
	long off;

	ASSERT_EQ(0, fstat(self->s.fd, &st));
	for (i = 0; i < 4; i++) {
		map = i & 1 ? MAP(map_private, fds[i / 2], page_size, page_size) :
			      MAP(map_shared, fds[i / 2], page_size, page_size);
		ASSERT_TRUE(find_in_maps(map, self->s.path, &off, &ino));
		ASSERT_EQ(self->at + page_size, off);
		ASSERT_EQ(st.st_ino, ino);
	}
}

/* The file behind a mapping has the mapping's offsets. */
TEST_F(mapping, map_files)
{
	char *map = MAP(map_shared, self->win, 0, 2 * page_size), path[128];
	unsigned long ino;
	char byte;
	long off;
	int fd;

	ASSERT_TRUE(find_in_maps(map, self->s.path, &off, &ino));
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
		 (unsigned long)map, (unsigned long)map + 2 * page_size);
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, pread(fd, &byte, 1, off / page_size * page_size + 3));
	ASSERT_EQ(gen_byte(0, self->at + 3), (unsigned char)byte);
}

TEST_HARNESS_MAIN
