// SPDX-License-Identifier: GPL-2.0
/*
 * S1, S2 and R1 by counting pages: what mappings share, what a change costs and
 * when it is given back. S3 and S5 by time and by faults.
 */
#include "snap.h"

#include <linux/falloc.h>
#include <sys/resource.h>

#define PAGES	64
#define MAPS	200

FIXTURE(cost)
{
	char dir[DIR_MAX];	/* an instance that nobody else uses */
	struct snap s;
	long base;		/* pages in use with the file alone */
};

FIXTURE_SETUP(cost)
{
	ASSERT_EQ(0, snap_mount(self->dir, "size=16m"));
	ASSERT_EQ(0, snap_create_in(&self->s, self->dir, PAGES * page_size));
	self->base = pages_used(self->dir);
}

FIXTURE_TEARDOWN(cost)
{
	snap_destroy(&self->s);
	snap_umount(self->dir);
}

/* Pages that are in use beyond those of the file as it was made. */
#define EXTRA() (pages_used(self->dir) - self->base)

static bool map_all(struct snap *s, char **map, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		map[i] = map_private(s->fd, 0, s->len);
		if (map[i] == MAP_FAILED)
			return false;
	}
	return true;
}

static bool unmap_all(struct snap *s, char **map, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (munmap(map[i], s->len))
			return false;
	return true;
}

static ssize_t rewrite(struct snap *s, unsigned int gen)
{
	return write_gen(s->fd, gen, 0, s->len);
}

/* The counting itself: one page is one page. */
TEST_F(cost, of_a_page)
{
	ASSERT_EQ(page_size, write_gen(self->s.fd, 0, self->s.len, page_size));
	ASSERT_EQ(1, EXTRA());
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, of_mappings_is_nothing)
{
	char *map[MAPS];
	int i;

	ASSERT_TRUE(map_all(&self->s, map, MAPS));
	ASSERT_EQ(0, EXTRA());
	for (i = 0; i < 10; i++)
		ASSERT_EQ(SAME, touch(map[i], self->s.len));
	ASSERT_EQ(0, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, map, MAPS));
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, of_a_change_is_paid_once)
{
	char *map[MAPS];

	ASSERT_TRUE(map_all(&self->s, map, MAPS));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(PAGES, EXTRA());
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(PAGES, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, map, MAPS - 1));
	ASSERT_EQ(PAGES, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, map + MAPS - 1, 1));
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, of_one_byte_is_a_page)
{
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(1, write_gen(self->s.fd, 1, 3 * page_size, 1));
	ASSERT_EQ(1, EXTRA());
	ASSERT_EQ(2, write_gen(self->s.fd, 1, 5 * page_size - 1, 2));
	ASSERT_EQ(3, EXTRA());
}

/* Looking at what was preserved adds nothing. */
TEST_F(cost, of_reading_is_nothing)
{
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_EQ(0, madvise(map, self->s.len, MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_EQ(PAGES, EXTRA());
}

TEST_F(cost, of_each_generation_is_its_own_change)
{
	char *map[3];

	ASSERT_TRUE(map_all(&self->s, map, 1));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, 0, page_size));
	ASSERT_EQ(1, EXTRA());
	ASSERT_TRUE(map_all(&self->s, map + 1, 1));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 2, 0, page_size));
	ASSERT_EQ(2, EXTRA());
	ASSERT_TRUE(map_all(&self->s, map + 2, 1));
	ASSERT_EQ(2, EXTRA());
	/* All three see the same page 1. */
	ASSERT_EQ(page_size, write_gen(self->s.fd, 3, page_size, page_size));
	ASSERT_EQ(3, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, map + 2, 1));
	ASSERT_EQ(3, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, map, 1));
	ASSERT_EQ(2, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, map + 1, 1));
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, is_shared_between_generations)
{
	char *map[20];
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(page_size, write_gen(self->s.fd, i, 0, page_size));
		ASSERT_TRUE(map_all(&self->s, map + i, 1));
	}
	ASSERT_EQ(19, EXTRA());
	ASSERT_EQ(self->s.len, rewrite(&self->s, 50));
	ASSERT_EQ(20 + PAGES - 1, EXTRA());
	/* The last of them still needs all that they share. */
	ASSERT_TRUE(unmap_all(&self->s, map, 19));
	ASSERT_EQ(PAGES, EXTRA());
	ASSERT_EQ(SAME, differs(map[19], 19, 0, page_size));
	ASSERT_EQ(SAME, differs(map[19] + page_size, 0, page_size,
				self->s.len - page_size));
	ASSERT_TRUE(unmap_all(&self->s, map + 19, 1));
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, of_a_generation_goes_with_it)
{
	static const int order[] = { 1, 0, 2 };
	char *map[3];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(map_all(&self->s, map + i, 1));
		ASSERT_EQ(self->s.len, rewrite(&self->s, i + 1));
	}
	ASSERT_EQ(3 * PAGES, EXTRA());
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(unmap_all(&self->s, map + order[i], 1));
		ASSERT_EQ((2 - i) * PAGES, EXTRA());
	}
}

TEST_F(cost, does_not_pile_up)
{
	char *map;
	int i;

	for (i = 0; i < 200; i++) {
		ASSERT_TRUE(map_all(&self->s, &map, 1));
		ASSERT_EQ(page_size, write_gen(self->s.fd, i, 0, page_size));
		ASSERT_EQ(1, EXTRA());
		ASSERT_TRUE(unmap_all(&self->s, &map, 1));
	}
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, of_many_rewrites)
{
	char *map;
	int i;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(page_size, write_gen(self->s.fd, i, 0, page_size));
	ASSERT_EQ(1, EXTRA());
}

/* Only what a mapping covers. */
TEST_F(cost, of_a_change_outside_is_nothing)
{
	char *map = map_private(self->s.fd, 8 * page_size, 8 * page_size);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(8 * page_size, write_gen(self->s.fd, 1, 0, 8 * page_size));
	ASSERT_EQ(0, EXTRA());
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(8, EXTRA());
	ASSERT_EQ(0, munmap(map, 8 * page_size));
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, of_appending_is_the_new_pages)
{
	char *map = map_private(self->s.fd, 0, 2 * self->s.len);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(4 * page_size, write_gen(self->s.fd, 1, self->s.len,
					   4 * page_size));
	ASSERT_EQ(4, EXTRA());
	ASSERT_EQ(4 * page_size, write_gen(self->s.fd, 2, self->s.len,
					   4 * page_size));
	ASSERT_EQ(4, EXTRA());
}

/* Nobody had looked into the holes: there is nothing to preserve. */
TEST_F(cost, of_filling_holes_is_the_new_pages)
{
	char *map;

	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_EQ(-PAGES, EXTRA());
	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, EXTRA());
	ASSERT_EQ(SAME, not_zero(map, self->s.len));
}

/* The mapping takes over the pages that the file gives up. */
TEST_F(cost, of_truncation_is_nothing)
{
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, EXTRA());
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_EQ(0, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, &map, 1));
	ASSERT_EQ(-PAGES, EXTRA());
}

TEST_F(cost, of_truncation_in_a_page)
{
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(0, ftruncate(self->s.fd, page_size / 2));
	ASSERT_EQ(1, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, &map, 1));
	ASSERT_EQ(1 - PAGES, EXTRA());
}

TEST_F(cost, of_punching_is_nothing)
{
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 0, self->s.len / 2));
	ASSERT_EQ(0, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, &map, 1));
	ASSERT_EQ(-PAGES / 2, EXTRA());
}

/* Changed, then truncated: the changed pages are nobody's. */
TEST_F(cost, of_truncation_after_a_change)
{
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, &map, 1));
	ASSERT_EQ(-PAGES, EXTRA());
}

TEST_F(cost, of_an_unlinked_file)
{
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	snap_destroy(&self->s);
	ASSERT_EQ(PAGES, EXTRA());
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_TRUE(unmap_all(&self->s, &map, 1));
	ASSERT_EQ(-PAGES, EXTRA());
}

TEST_F(cost, of_half_a_mapping)
{
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, munmap(map, self->s.len / 2));
	ASSERT_EQ(PAGES / 2, EXTRA());
	ASSERT_EQ(0, munmap(map + self->s.len / 2, self->s.len / 2));
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, of_what_was_unmapped_before)
{
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(0, munmap(map + page_size, self->s.len - 2 * page_size));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(2, EXTRA());
	ASSERT_EQ(SAME, differs(map, 0, 0, page_size));
	ASSERT_EQ(0, munmap(map, self->s.len));
	ASSERT_EQ(0, EXTRA());
}

/* Half of the one and half of the other: between them they need all. */
TEST_F(cost, of_two_halves)
{
	ssize_t half = self->s.len / 2;
	char *map[2];

	ASSERT_TRUE(map_all(&self->s, map, 2));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, munmap(map[0], half));
	ASSERT_EQ(0, munmap(map[1] + half, half));
	ASSERT_EQ(PAGES, EXTRA());
	ASSERT_EQ(SAME, differs(map[0] + half, 0, half, half));
	ASSERT_EQ(SAME, differs(map[1], 0, 0, half));
	ASSERT_EQ(0, munmap(map[0] + half, half));
	ASSERT_EQ(PAGES / 2, EXTRA());
	ASSERT_EQ(0, munmap(map[1], half));
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, of_a_shrunk_mapping)
{
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(mapped(mremap(map, self->s.len, page_size, 0)));
	ASSERT_EQ(1, EXTRA());
	ASSERT_EQ(0, munmap(map, page_size));
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, of_a_moved_mapping)
{
	char *map, *to = reserve(self->s.len);

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	map = mremap(map, self->s.len, self->s.len,
		     MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(PAGES, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, &map, 1));
	ASSERT_EQ(0, EXTRA());
}

TEST_F(cost, of_a_mapping_mapped_over)
{
	char *map, *p;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(PAGES, EXTRA());
	p = mmap(map, self->s.len, PROT_READ, MAP_PRIVATE | MAP_FIXED,
		 self->s.fd, 0);
	ASSERT_TRUE(mapped(p));
	ASSERT_EQ(0, EXTRA());
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

TEST_F(cost, of_a_child)
{
	struct child c;
	char *map;

	ASSERT_TRUE(map_all(&self->s, &map, 1));
	ASSERT_EQ(0, child_start(&c, nothing, NULL));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(PAGES, EXTRA());
	ASSERT_TRUE(unmap_all(&self->s, &map, 1));
	ASSERT_EQ(PAGES, EXTRA());
	ASSERT_EQ(0, child_finish(&c));
	ASSERT_EQ(0, EXTRA());
}

static int map_and_change(void *arg)
{
	struct snap *s = arg;
	long before = pages_used(s->path);
	char *map;

	return !map_all(s, &map, 1) || rewrite(s, 1) != s->len ||
	       pages_used(s->path) != before + PAGES;
}

TEST_F(cost, of_a_process_that_exits)
{
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, run_child(map_and_change, &self->s));
		ASSERT_EQ(0, EXTRA());
	}
}

/* Stores into a private mapping are paid for by the process, not from here. */
TEST_F(cost, of_own_stores_is_nothing)
{
	char *map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			 self->s.fd, 0);

	ASSERT_TRUE(mapped(map));
	gen_fill(map, 1, 0, self->s.len);
	ASSERT_EQ(0, EXTRA());
}

/* S5: faults for reading an unchanged mapping, against tmpfs. */
static long faults(struct snap *s)
{
	const size_t align = 2 << 20;
	struct rusage before, after;
	char *at = reserve(2 * align), *map;

	at = (char *)(((uintptr_t)at + align - 1) & ~(align - 1));
	map = mmap(at, s->len, PROT_READ, MAP_PRIVATE | MAP_FIXED, s->fd, 0);
	if (map == MAP_FAILED)
		return -1;
	getrusage(RUSAGE_THREAD, &before);
	touch(map, s->len);
	getrusage(RUSAGE_THREAD, &after);
	return after.ru_minflt - before.ru_minflt;
}

TEST_F(cost, in_faults_is_that_of_tmpfs)
{
	struct snap peer;
	long ours, theirs;

	ASSERT_EQ(0, snap_create_in(&peer, peer_dir(), self->s.len));
	/* The first round warms up what the test itself touches. */
	faults(&peer);
	theirs = faults(&peer);
	ours = faults(&self->s);
	snap_destroy(&peer);
	ASSERT_LT(0, theirs);
	ASSERT_LE(ours, theirs + 1);
}

/* S3: 4 KiB or 1 TiB, a mapping takes the same time. */
static long best_map_ns(int fd, off_t len)
{
	struct timespec a, b;
	long best = LONG_MAX, ns;
	char *map;
	int i;

	for (i = 0; i < 50; i++) {
		clock_gettime(CLOCK_MONOTONIC, &a);
		map = map_private(fd, 0, len);
		clock_gettime(CLOCK_MONOTONIC, &b);
		if (map == MAP_FAILED || munmap(map, len))
			return -1;
		ns = (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec -
		     a.tv_nsec;
		if (ns < best)
			best = ns;
		/* So that the mappings have instants of their own. */
		if (write_gen(fd, i, 0, 1) != 1)
			return -1;
	}
	return best;
}

TEST_F(cost, in_time_does_not_depend_on_the_size)
{
	off_t tib = (off_t)1 << 40;
	long small, large;

	if (sizeof(long) < 8)
		SKIP(return, "no room for 1 TiB in 32 bits");
	ASSERT_EQ(0, ftruncate(self->s.fd, tib));
	small = best_map_ns(self->s.fd, page_size);
	large = best_map_ns(self->s.fd, tib);
	ASSERT_LT(0, small);
	ASSERT_LT(0, large);
	/* Nothing that walks 2^28 pages comes near this. */
	ASSERT_LT(large, 10 * small + 100000);
}

TEST_HARNESS_MAIN
