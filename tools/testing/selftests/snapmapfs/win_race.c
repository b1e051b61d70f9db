// SPDX-License-Identifier: GPL-2.0
/*
 * W1, P1-P3 with everything at once: one writer of each word, by a view of his
 * own, and readers by all views. A word only ever grows, so a reader that sees a
 * smaller one than before has been shown something stale. timeout: 120
 */
#include "win.h"

#include <semaphore.h>

#define PAGES	4
#define LEN	(PAGES * page_size)
#define VIEWS	8	/* the file, windows at every block of a page */
#define WORDS	(LEN / 4)

FIXTURE(race)
{
	struct snap s;
	int win[VIEWS];
	uint32_t *map[VIEWS];	/* of the file's byte 0, as it were */
};

FIXTURE_SETUP(race)
{
	char zero[16] = {};
	int i;

	ASSERT_EQ(0, snap_create(&self->s, 0));
	ASSERT_EQ(0, ftruncate(self->s.fd, LEN + page_size));
	ASSERT_EQ(16, pwrite(self->s.fd, zero, 16, 0));
	for (i = 0; i < VIEWS; i++) {
		char *map;

		self->win[i] = i ? window(self->s.fd, i * BLOCK, 0) : self->s.fd;
		ASSERT_LE(0, self->win[i]);
		map = map_shared(self->win[i], 0, LEN);
		ASSERT_TRUE(mapped(map));
		self->map[i] = (uint32_t *)(map - i * BLOCK);
	}
}

FIXTURE_TEARDOWN(race)
{
	snap_destroy(&self->s);
}

struct worker {
	pthread_t thread;
	struct worker *all;
	uint32_t **map;
	int fd;
	int id;
	int how;
	long *stop;
	const char *failed;
	long rounds;
};

/* The words of a worker: every eighth, from 4 KiB on, so that all views have it. */
static int word(int id, int i)
{
	return page_size / 4 + i * VIEWS + id;
}

#define MINE	((int)(2 * page_size / 4 / VIEWS))

static uint32_t look(struct worker *w, int view, int at)
{
	uint32_t v;

	if (view < VIEWS)
		return __atomic_load_n(&w->map[view][at], __ATOMIC_RELAXED);
	if (pread(w->fd, &v, 4, at * 4) != 4)
		w->failed = "pread";
	return v;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint32_t seen[MINE], value = 0;
	unsigned int rnd = w->id * 7919 + 1;
	int i;

	memset(seen, 0, sizeof(seen));
	while (!__atomic_load_n(w->stop, __ATOMIC_RELAXED) && !w->failed) {
		int other;

		rnd = rnd * 1103515245 + 12345;
		i = rnd / 65536 % MINE;
		value++;
		if (w->how && rnd / 8 % 4 == 0) {
			if (pwrite(w->fd, &value, 4, word(w->id, i) * 4) != 4)
				w->failed = "pwrite";
		} else {
			__atomic_store_n(&w->map[w->id][word(w->id, i)], value,
					 __ATOMIC_RELAXED);
		}
		/* Whatever it is looked at by, it is there. */
		other = rnd / 1024 % (VIEWS + 1);
		if (look(w, other, word(w->id, i)) != value)
			w->failed = "own store lost";
		/* Those of another do not go back. */
		other = (w->id + 1) % VIEWS;
		{
			uint32_t v = look(w, rnd / 4096 % (VIEWS + 1), word(other, i));

			if (v < seen[i])
				w->failed = "went back";
			seen[i] = v;
		}
		w->rounds++;
	}
	return NULL;
}

static void run(struct __test_metadata *_metadata, uint32_t **map, int fd, int how,
		bool snapshots)
{
	struct worker workers[VIEWS] = {};
	long end = now_ms() + stress_ms(), stop = 0, rounds = 0;
	int i, win;

	for (i = 0; i < VIEWS; i++) {
		workers[i] = (struct worker) {
			.map = map, .fd = fd, .id = i, .how = how, .stop = &stop,
		};
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	while (now_ms() < end) {
		uint32_t *a, *b, *copy;
		ssize_t n;

		if (!snapshots) {
			usleep(10000);
			continue;
		}
		/* A snapshot does not change while it is looked at. */
		i = rounds++ % VIEWS;
		win = window(fd, i * BLOCK, 0);
		ASSERT_LE(0, win);
		a = map_private(win, 0, LEN);
		ASSERT_TRUE(mapped(a));
		copy = alloc(LEN);
		memcpy(copy, a, LEN);
		b = map_private(win, 0, LEN);
		ASSERT_TRUE(mapped(b));
		usleep(1000);
		ASSERT_EQ(0, memcmp(copy, a, LEN));
		/* And the next is not older. */
		for (n = 0; n < WORDS; n++)
			ASSERT_LE(a[n], b[n]);
		ASSERT_EQ(0, madvise(a, LEN, MADV_DONTNEED));
		ASSERT_EQ(0, memcmp(copy, a, LEN));
		munmap(a, LEN);
		munmap(b, LEN);
		free(copy);
		close(win);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < VIEWS; i++) {
		pthread_join(workers[i].thread, NULL);
		ASSERT_EQ(NULL, workers[i].failed) TH_LOG("%d: %s", i, workers[i].failed);
		ASSERT_LT(0, workers[i].rounds);
	}
}

TEST_F(race, stores)
{
	run(_metadata, self->map, self->s.fd, 0, false);
}

TEST_F(race, stores_and_writes)
{
	run(_metadata, self->map, self->s.fd, 1, false);
}

TEST_F(race, stores_and_snapshots)
{
	run(_metadata, self->map, self->s.fd, 0, true);
}

TEST_F(race, stores_writes_and_snapshots)
{
	run(_metadata, self->map, self->s.fd, 1, true);
}

struct grow {
	struct snap *s;
	char *map;		/* of a window with the last byte of a page, and the next page */
	sem_t go, done;
	int how;
	bool failed;
};

/* Makes a file of two pages one of three, and leaves the third one a hole. */
static void *grow(void *arg)
{
	struct grow *g = arg;

	for (;;) {
		sem_wait(&g->go);
		if (g->how < 0)
			return NULL;
		if (g->how == 0)
			g->failed |= !!ftruncate(g->s->fd, 3 * page_size);
		else if (g->how == 1)
			g->failed |= pwrite(g->s->fd, "x", 1, 3 * page_size) != 1;
		else
			g->failed |= !!fallocate(g->s->fd, 0, 0, 3 * page_size);
		sem_post(&g->done);
	}
}

/*
 * What ends with the file is stored into while the file grows; what the view has more
 * of then is part of the file, too.
 */
static void grow_and_store(struct __test_metadata *_metadata, struct snap *s, int win, int how)
{
	struct grow g = { .s = s, .how = how };
	long end = now_ms() + stress_ms();
	pthread_t thread;
	int i, k;

	g.map = map_shared(win, 0, 3 * page_size);
	ASSERT_TRUE(mapped(g.map));
	ASSERT_EQ(0, sem_init(&g.go, 0, 0));
	ASSERT_EQ(0, sem_init(&g.done, 0, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, grow, &g));
	for (i = 0; now_ms() < end; i++) {
		char *low = g.map + page_size, *high = g.map + 2 * page_size - 100, byte;

		ASSERT_EQ(0, ftruncate(s->fd, 2 * page_size));
		ASSERT_EQ(0, sem_post(&g.go));
		for (k = 0; k < i % 64 * 50; k++)
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
		__atomic_store_n(low, i, __ATOMIC_RELAXED);
		ASSERT_EQ(0, sem_wait(&g.done));
		ASSERT_FALSE(g.failed);
		__atomic_store_n(high, i + 1, __ATOMIC_RELAXED);
		ASSERT_EQ(1, pread(s->fd, &byte, 1, 2 * page_size - 100 + BLOCK));
		ASSERT_EQ((char)(i + 1), byte) TH_LOG("in round %d", i);
		ASSERT_EQ(1, pread(s->fd, &byte, 1, page_size + BLOCK));
		ASSERT_EQ((char)i, byte) TH_LOG("in round %d", i);
	}
	g.how = -1;
	ASSERT_EQ(0, sem_post(&g.go));
	pthread_join(thread, NULL);
}

TEST_F(race, stores_and_truncate)
{
	grow_and_store(_metadata, &self->s, self->win[1], 0);
}

TEST_F(race, stores_and_write_behind_the_end)
{
	grow_and_store(_metadata, &self->s, self->win[1], 1);
}

TEST_F(race, stores_and_allocation)
{
	grow_and_store(_metadata, &self->s, self->win[1], 2);
}

static void *load_all(void *arg)
{
	struct grow *g = arg;
	int i;

	while (!sem_wait(&g->go) && !g->how) {
		for (i = 1; i < 3; i++)
			(void)read_byte_or_sigbus(g->map + i * page_size);
		sem_post(&g->done);
	}
	return NULL;
}

/* A hole is loaded while the file becomes shorter: what is behind the end is gone afterwards. */
TEST_F(race, loads_of_holes_and_truncate)
{
	struct grow g = { .s = &self->s };
	long end = now_ms() + stress_ms();
	pthread_t thread;
	int i, k;

	g.map = map_shared(self->win[1], 0, 3 * page_size);
	ASSERT_TRUE(mapped(g.map));
	ASSERT_EQ(0, sem_init(&g.go, 0, 0));
	ASSERT_EQ(0, sem_init(&g.done, 0, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, load_all, &g));
	for (i = 0; now_ms() < end; i++) {
		ASSERT_EQ(0, ftruncate(self->s.fd, 4 * page_size));
		ASSERT_EQ(0, sem_post(&g.go));
		for (k = 0; k < i % 64 * 100; k++)
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
		ASSERT_EQ(0, ftruncate(self->s.fd, page_size));
		ASSERT_EQ(0, sem_wait(&g.done));
		for (k = 1; k < 3; k++)
			ASSERT_EQ(BUS, read_byte_or_sigbus(g.map + k * page_size))
				TH_LOG("page %d in round %d", k, i);
	}
	g.how = -1;
	ASSERT_EQ(0, sem_post(&g.go));
	pthread_join(thread, NULL);
}

TEST_HARNESS_MAIN
