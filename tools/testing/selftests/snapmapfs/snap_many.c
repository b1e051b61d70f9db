// SPDX-License-Identifier: GPL-2.0
/*
 * L2 and L3: a writer makes progress, however many mappings there are and
 * however fast new ones come; and S2: what it costs is one copy of a page.
 *
 * timeout: 300
 */
#include "snap.h"

#define PAGES	16
#define MANY	10000

FIXTURE(many)
{
	char dir[DIR_MAX];
	struct snap s;
	char **map;
	long base;
};

FIXTURE_SETUP(many)
{
	ASSERT_EQ(0, snap_mount(self->dir, "size=128m"));
	ASSERT_EQ(0, snap_create_in(&self->s, self->dir,
				    (PAGES + 1) * page_size));
	self->base = pages_used(self->dir);
	self->map = alloc(MANY * sizeof(*self->map));
}

FIXTURE_TEARDOWN(many)
{
	snap_destroy(&self->s);
	snap_umount(self->dir);
}

/*
 * Maps all pages but the first @n times. Changes of the first make instants
 * without any page being needed for them.
 */
static bool map_many(struct snap *s, char **map, int n, bool change)
{
	int i;

	for (i = 0; i < n; i++) {
		if (change && write_gen(s->fd, i, 0, 1) != 1)
			return false;
		map[i] = map_private(s->fd, page_size, PAGES * page_size);
		if (!mapped(map[i]))
			return false;
	}
	return true;
}

/* Milliseconds for @times changes of each mapped page; -1 for a failure. */
static long write_all(struct snap *s, int times)
{
	long start = now_ms();
	int i, k;

	for (i = 0; i < times; i++)
		for (k = 1; k <= PAGES; k++)
			if (write_gen(s->fd, i + 1, k * page_size, page_size) !=
			    page_size)
				return -1;
	return now_ms() - start;
}

static ssize_t all_same(char **map, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		ssize_t ret = differs(map[i], 0, page_size,
				      i % 100 ? 64 : PAGES * page_size);

		if (ret != SAME)
			return ret;
	}
	return SAME;
}

static void write_under_many(struct __test_metadata *_metadata, struct snap *s,
			     char **map, const char *dir, long base,
			     bool change)
{
	long alone, first, later;

	/* Ten rewrites under one mapping, whose first has been paid. */
	ASSERT_TRUE(map_many(s, map, 1, change));
	ASSERT_LE(0, write_all(s, 1));
	alone = write_all(s, 10);
	ASSERT_EQ(0, munmap(map[0], PAGES * page_size));
	ASSERT_EQ(base, pages_used(dir));
	ASSERT_EQ(PAGES * page_size, write_gen(s->fd, 0, page_size,
					       PAGES * page_size));

	ASSERT_TRUE(map_many(s, map, MANY, change));
	ASSERT_EQ(base, pages_used(dir));
	/* Each page is unmapped from all of them, and copied once. */
	first = write_all(s, 1);
	ASSERT_LE(0, first);
	ASSERT_LT(first, 10000 * slow());
	ASSERT_EQ(base + PAGES, pages_used(dir));
	/* From then on the writer does not notice them. */
	later = write_all(s, 10);
	ASSERT_LE(0, later);
	ASSERT_LT(later, 20 * alone + 200 * slow());
	ASSERT_EQ(base + PAGES, pages_used(dir));
	ASSERT_EQ(SAME, all_same(map, MANY));
}

TEST_F_TIMEOUT(many, mappings_of_one_instant, 120)
{
	int i;

	write_under_many(_metadata, &self->s, self->map, self->dir, self->base,
			 false);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, munmap(self->map[i], PAGES * page_size));
	ASSERT_EQ(self->base, pages_used(self->dir));
}

TEST_F_TIMEOUT(many, mappings_of_many_instants, 120)
{
	int i;

	write_under_many(_metadata, &self->s, self->map, self->dir, self->base,
			 true);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, munmap(self->map[i], PAGES * page_size));
	ASSERT_EQ(self->base, pages_used(self->dir));
}

/* The mappings go with the process; none of them is asked one by one. */
static int hold_many(void *arg)
{
	char **map = alloc(MANY * sizeof(*map));

	return map_many(arg, map, MANY, true) ? 0 : 1;
}

TEST_F_TIMEOUT(many, mappings_of_a_process_that_exits, 120)
{
	ASSERT_EQ(0, run_child(hold_many, &self->s));
	ASSERT_EQ(self->base, pages_used(self->dir));
	ASSERT_LE(0, write_all(&self->s, 1));
	ASSERT_EQ(self->base, pages_used(self->dir));
}

/*
 * Mappings of the whole file, each of an instant of its own and with a page
 * kept for it alone.
 */
static bool map_generations(struct snap *s, char **map, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		map[i] = map_private(s->fd, 0, page_size);
		if (!mapped(map[i]) || write_gen(s->fd, i, 0, 1) != 1)
			return false;
	}
	return true;
}

static int nothing(void *arg)
{
	return 0;
}

/* Milliseconds for @times children that have all mappings, and exit, when least else is going on. */
static long fork_ms(int times)
{
	long best = -1;
	int i, turn;

	for (turn = 0; turn < 3; turn++) {
		long ms, start = now_ms();

		for (i = 0; i < times; i++)
			if (run_child(nothing, NULL))
				return -1;
		ms = now_ms() - start;
		if (best < 0 || ms < best)
			best = ms;
	}
	return best;
}

/* What a child costs grows with its mappings, not with their square. */
TEST_F_TIMEOUT(many, children_with_mappings_of_many_instants, 120)
{
	long few, many;
	int i;

	ASSERT_TRUE(map_generations(&self->s, self->map, 500));
	few = fork_ms(8);
	ASSERT_TRUE(map_generations(&self->s, self->map + 500, 3500));
	many = fork_ms(1);
	ASSERT_LE(0, few);
	ASSERT_LE(0, many);
	ASSERT_LT(many, 3 * few + 50 * slow());
	ASSERT_EQ(self->base + 4000, pages_used(self->dir));
	for (i = 0; i < 4000; i++)
		ASSERT_EQ(0, munmap(self->map[i], page_size));
	ASSERT_EQ(self->base, pages_used(self->dir));
}

/* Microseconds for unmapping the first 256 of @n kept pages one by one. */
static long unmap_us(struct snap *s, const char *dir, int n)
{
	char *map = map_private(s->fd, 0, n * page_size);
	long base, start, us;
	int i;

	if (!mapped(map) || write_gen(s->fd, n, 0, n * page_size) !=
	    n * page_size)
		return -1;
	base = pages_used(dir);
	start = now_us();
	for (i = 0; i < 256; i++)
		if (munmap(map + i * page_size, page_size) ||
		    pages_used(dir) != base - i - 1)
			return -1;
	us = now_us() - start;
	munmap(map + i * page_size, (n - i) * page_size);
	return us;
}

/* Who is through with a part gives it back for what that part costs. */
TEST_F_TIMEOUT(many, unmapping_of_part_after_part, 120)
{
	const int large = 8192;
	long few, many;

	ASSERT_EQ(large * page_size,
		  write_gen(self->s.fd, 0, 0, large * page_size));
	few = unmap_us(&self->s, self->dir, 512);
	many = unmap_us(&self->s, self->dir, large);
	ASSERT_LT(0, few);
	ASSERT_LT(0, many);
	ASSERT_LT(many, 3 * few + 20000 * slow());
}

/* 200 generations in which each page was needed: 200 copies of each page. */
TEST_F(many, generations_of_every_page)
{
	const int gens = 200;
	int i;

	for (i = 0; i < gens; i++) {
		ASSERT_EQ(PAGES * page_size,
			  write_gen(self->s.fd, i, page_size,
				    PAGES * page_size));
		ASSERT_TRUE(map_many(&self->s, self->map + i, 1, false));
	}
	ASSERT_EQ(self->base + (gens - 1) * PAGES, pages_used(self->dir));
	for (i = 0; i < gens; i++)
		ASSERT_EQ(SAME, differs(self->map[i], i, page_size,
					PAGES * page_size));
	for (i = 0; i < gens; i++)
		ASSERT_EQ(0, munmap(self->map[i], PAGES * page_size));
	ASSERT_EQ(self->base, pages_used(self->dir));
}

/* A process that does nothing but map the file. */
struct mapper {
	struct snap *s;
	bool stop;
	bool touch;
	long maps;
	pthread_t thread;
};

static void *map_for_ever(void *arg)
{
	struct mapper *m = arg;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		char *map = map_private(m->s->fd, 0, m->s->len);

		if (!mapped(map))
			break;
		if (m->touch)
			touch(map, m->s->len);
		munmap(map, m->s->len);
		__atomic_add_fetch(&m->maps, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void write_against_mappers(struct __test_metadata *_metadata,
				  struct snap *s, int n, bool do_touch)
{
	struct mapper m[3] = {};
	long ms, maps = 0;
	int i;

	for (i = 0; i < n; i++) {
		m[i].s = s;
		m[i].touch = do_touch;
		ASSERT_EQ(0, pthread_create(&m[i].thread, NULL, map_for_ever,
					    &m[i]));
	}
	ASSERT_TRUE(wait_for(&m[0].maps, 10));
	ms = write_all(s, 50);
	for (i = 0; i < n; i++)
		__atomic_store_n(&m[i].stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, pthread_join(m[i].thread, NULL));
		maps += m[i].maps;
	}
	/* 800 writes; they have to end, and the mappers to have had a say. */
	ASSERT_LE(0, ms);
	ASSERT_LT(ms, 15000 * slow());
	ASSERT_LT(5, maps);
}

TEST_F(many, mappings_all_the_time)
{
	write_against_mappers(_metadata, &self->s, 1, false);
	ASSERT_EQ(self->base, pages_used(self->dir));
}

TEST_F(many, touched_mappings_all_the_time)
{
	write_against_mappers(_metadata, &self->s, 1, true);
	ASSERT_EQ(self->base, pages_used(self->dir));
}

TEST_F(many, mappers)
{
	write_against_mappers(_metadata, &self->s, 3, true);
	ASSERT_EQ(self->base, pages_used(self->dir));
}

/* One write() of many pages against them: it has to come to an end too. */
TEST_F(many, mappings_during_one_long_write)
{
	struct mapper m = { .s = &self->s, .touch = true };
	ssize_t len = 4 << 20;

	ASSERT_EQ(len, write_gen(self->s.fd, 1, 0, len));
	ASSERT_EQ(0, pthread_create(&m.thread, NULL, map_for_ever, &m));
	ASSERT_TRUE(wait_for(&m.maps, 10));
	ASSERT_EQ(len, write_gen(self->s.fd, 2, 0, len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 2, 0, len));
	__atomic_store_n(&m.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(m.thread, NULL));
}

/*
 * A write takes its own source away when that is a private mapping of the page
 * it writes, and each new mapping makes it do so again.
 */
TEST_F(many, mappings_during_writes_from_a_mapping)
{
	struct mapper m = { .s = &self->s, .touch = true };
	ssize_t len = PAGES * page_size;
	char *map;
	int i;

	map = map_private(self->s.fd, 0, len);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, pthread_create(&m.thread, NULL, map_for_ever, &m));
	ASSERT_TRUE(wait_for(&m.maps, 10));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(len, pwrite(self->s.fd, map, len, 0));
		ASSERT_EQ(0, madvise(map, len, MADV_DONTNEED));
		ASSERT_EQ(len - page_size, pwrite(self->s.fd, map + 100,
						  len - page_size, page_size));
		ASSERT_EQ(SAME, differs(map, 0, 0, len));
	}
	__atomic_store_n(&m.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(m.thread, NULL));
}

/* The same for a store: the page is taken away, but not for ever. */
TEST_F(many, mappings_against_stores)
{
	char *shared = map_shared(self->s.fd, 0, self->s.len);
	struct mapper m = { .s = &self->s, .touch = true };
	long start;
	int i, k;

	ASSERT_TRUE(mapped(shared));
	ASSERT_EQ(0, pthread_create(&m.thread, NULL, map_for_ever, &m));
	ASSERT_TRUE(wait_for(&m.maps, 10));
	start = now_ms();
	for (i = 0; i < 50; i++)
		for (k = 0; k <= PAGES; k++)
			__atomic_store_n((long *)(shared + k * page_size), i,
					 __ATOMIC_RELAXED);
	ASSERT_LT(now_ms() - start, 15000 * slow());
	__atomic_store_n(&m.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(m.thread, NULL));
	for (k = 0; k <= PAGES; k++)
		ASSERT_EQ(49, *(long *)(shared + k * page_size));
	ASSERT_EQ(self->base, pages_used(self->dir));
}

TEST_HARNESS_MAIN
