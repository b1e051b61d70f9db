// SPDX-License-Identifier: GPL-2.0
/*
 * P1 under load: mappings are made, touched, split and dropped while the file
 * is written, truncated and punched by other threads.
 */
#include "snap.h"

#include <linux/falloc.h>
#include <semaphore.h>

#define PAGES	12
#define READERS	3
#define ENOUGH	5	/* a run with fewer rounds has shown nothing */

struct race {
	struct snap s;
	long rounds;		/* of the changing thread */
	long base;		/* number that frozen pages must show */
	bool stop;
	bool failed;		/* the changing thread got an error */
	long wrong;		/* pages that readers found changed */
	long right;
	pthread_barrier_t barrier;
	void (*change)(struct race *r, long n);
	void (*look)(struct race *r, int reader);
};

FIXTURE(race)
{
	struct race r;
};

FIXTURE_SETUP(race)
{
	ASSERT_EQ(0, snap_create(&self->r.s, 0));
	ASSERT_EQ(0, ftruncate(self->r.s.fd, PAGES * page_size));
	self->r.s.len = PAGES * page_size;
}

FIXTURE_TEARDOWN(race)
{
	snap_destroy(&self->r.s);
}

static bool stopped(struct race *r)
{
	return __atomic_load_n(&r->stop, __ATOMIC_ACQUIRE);
}

/* Ways to change the file */
static void change_write(struct race *r, long n)
{
	int i;

	for (i = 0; i < PAGES; i++)
		r->failed |= !seq_write(r->s.fd, i, n);
}

static void change_truncate(struct race *r, long n)
{
	r->failed |= !!ftruncate(r->s.fd, n * 1777 % (PAGES * page_size));
	r->failed |= !!ftruncate(r->s.fd, PAGES * page_size);
	change_write(r, n);
}

static void change_punch(struct race *r, long n)
{
	r->failed |= !!fallocate(r->s.fd, FALLOC_FL_PUNCH_HOLE |
				 FALLOC_FL_KEEP_SIZE, n * 1777 % page_size,
				 PAGES * page_size - page_size);
	change_write(r, n);
}

/* Ways to look at a mapping that must show r->base in every page */
static void judge(struct race *r, long seen)
{
	__atomic_add_fetch(seen == r->base ? &r->right : &r->wrong, 1,
			   __ATOMIC_RELAXED);
}

static void look_at_pages(struct race *r, int reader)
{
	int i;

	for (i = 0; i < PAGES; i++) {
		int page = (i * 5 + reader * 3) % PAGES;

		judge(r, seq_of(r->s.map + page * page_size));
	}
}

static void look_and_drop(struct race *r, int reader)
{
	look_at_pages(r, reader);
	if (madvise(r->s.map, PAGES * page_size, MADV_DONTNEED))
		r->failed = true;
}

/* The first store of a mapping copies the page while it is being changed. */
static void look_and_store(struct race *r, int reader)
{
	int i;

	for (i = reader; i < PAGES; i += READERS) {
		char *page = r->s.map + i * page_size;

		if (write_byte_or_sigbus(page + 64, page[64]) == BUS)
			judge(r, BUS);
		judge(r, seq_of(page));
	}
}

/*
 * Rounds in which the file holds still while it is mapped, so that it is known
 * what the mapping must show; then one thread changes the file and others look,
 * all at once, and once more when it is quiet again.
 */
static void *changer(void *arg)
{
	struct race *r = arg;

	for (;;) {
		pthread_barrier_wait(&r->barrier);
		if (stopped(r))
			return NULL;
		r->change(r, r->base + 1);
		r->change(r, r->base + 2);
		pthread_barrier_wait(&r->barrier);
	}
}

struct reader {
	struct race *r;
	int number;
	pthread_t thread;
};

static void *reader(void *arg)
{
	struct reader *self = arg;
	struct race *r = self->r;

	for (;;) {
		pthread_barrier_wait(&r->barrier);
		if (stopped(r))
			return NULL;
		r->look(r, self->number);
		r->look(r, self->number);
		pthread_barrier_wait(&r->barrier);
	}
}

static void race(struct __test_metadata *_metadata, struct race *r,
		 void (*change)(struct race *r, long n),
		 void (*look)(struct race *r, int reader))
{
	struct reader readers[READERS];
	long end = now_ms() + stress_ms();
	pthread_t thread;
	int i, k;

	r->change = change;
	r->look = look;
	ASSERT_EQ(0, pthread_barrier_init(&r->barrier, NULL, READERS + 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, changer, r));
	for (i = 0; i < READERS; i++) {
		readers[i] = (struct reader) { .r = r, .number = i };
		ASSERT_EQ(0, pthread_create(&readers[i].thread, NULL, reader,
					    &readers[i]));
	}
	for (i = 0; i < 2000 && (i < ENOUGH || now_ms() < end); i++) {
		r->base = 10 * (i + 1);
		change_write(r, r->base);
		r->s.map = mmap(NULL, r->s.len, PROT_READ | PROT_WRITE,
				MAP_PRIVATE, r->s.fd, 0);
		ASSERT_TRUE(mapped(r->s.map));
		pthread_barrier_wait(&r->barrier);
		pthread_barrier_wait(&r->barrier);
		for (k = 0; k < PAGES; k++)
			judge(r, seq_of(r->s.map + k * page_size));
		ASSERT_EQ(0, r->wrong);
		ASSERT_FALSE(r->failed);
		ASSERT_EQ(0, munmap(r->s.map, r->s.len));
	}
	ASSERT_LE(ENOUGH * PAGES, r->right);
	__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
	pthread_barrier_wait(&r->barrier);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

TEST_F(race, faults_and_write)
{
	race(_metadata, &self->r, change_write, look_at_pages);
}

TEST_F(race, faults_and_truncate)
{
	race(_metadata, &self->r, change_truncate, look_at_pages);
}

TEST_F(race, faults_and_punch)
{
	race(_metadata, &self->r, change_punch, look_at_pages);
}

TEST_F(race, dropped_pages_and_write)
{
	race(_metadata, &self->r, change_write, look_and_drop);
}

TEST_F(race, dropped_pages_and_truncate)
{
	race(_metadata, &self->r, change_truncate, look_and_drop);
}

TEST_F(race, stores_and_write)
{
	race(_metadata, &self->r, change_write, look_and_store);
}

TEST_F(race, stores_and_truncate)
{
	race(_metadata, &self->r, change_truncate, look_and_store);
}

/*
 * Mappings made while the file changes. Nobody knows what they must show, only
 * that they go on showing it.
 */
static void *change_for_ever(void *arg)
{
	struct race *r = arg;
	long n;

	for (n = 1; !stopped(r); n++) {
		r->change(r, n);
		__atomic_add_fetch(&r->rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void settle(struct __test_metadata *_metadata, struct race *r,
		   pthread_t thread)
{
	__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_FALSE(r->failed);
}

static void map_and_compare(struct __test_metadata *_metadata, struct race *r,
			    void (*change)(struct race *r, long n))
{
	long end = now_ms() + stress_ms(), first, tail;
	char *old = alloc(r->s.len);
	pthread_t thread;
	ssize_t off;
	int i;

	r->change = change;
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_for_ever, r));
	ASSERT_TRUE(wait_for(&r->rounds, 1));
	for (i = 0; i < 2000 && (i < ENOUGH || now_ms() < end); i++) {
		char *map = map_private(r->s.fd, 0, r->s.len);

		ASSERT_TRUE(mapped(map));
		/* Every second mapping leaves half of itself untouched. */
		first = i % 2 ? PAGES / 2 : PAGES;
		for (tail = 0; tail < first; tail++) {
			off = tail * page_size;
			if (read_byte_or_sigbus(map + off) == BUS)
				break;
			memcpy(old + off, map + off, page_size);
		}
		ASSERT_TRUE(wait_for(&r->rounds, 2));
		ASSERT_EQ(0, memcmp(old, map, tail * page_size));
		/* The end stays where it is too. */
		for (off = tail * page_size; off < first * page_size;
		     off += page_size)
			ASSERT_EQ(BUS, read_byte_or_sigbus(map + off));
		ASSERT_EQ(0, munmap(map, r->s.len));
	}
	settle(_metadata, r, thread);
}

TEST_F(race, mappings_and_write)
{
	map_and_compare(_metadata, &self->r, change_write);
}

TEST_F(race, mappings_and_truncate)
{
	map_and_compare(_metadata, &self->r, change_truncate);
}

TEST_F(race, mappings_and_punch)
{
	map_and_compare(_metadata, &self->r, change_punch);
}

/* A whole page written from resident memory is there or it is not. */
TEST_F(race, no_torn_page)
{
	long end = now_ms() + stress_ms(), seq;
	struct race *r = &self->r;
	pthread_t thread;
	int i, k;

	r->change = change_write;
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_for_ever, r));
	ASSERT_TRUE(wait_for(&r->rounds, 1));
	for (i = 0; i < 2000 && (i < ENOUGH || now_ms() < end); i++) {
		char *map = map_private(r->s.fd, 0, r->s.len);
		long last = LONG_MAX;

		ASSERT_TRUE(mapped(map));
		for (k = 0; k < PAGES; k++) {
			seq = seq_of(map + k * page_size);
			ASSERT_LE(0, seq);
			/* Pages are written in order, so this is P3 too. */
			ASSERT_LE(seq, last);
			last = seq;
		}
		ASSERT_LE(seq_of(map), last + 1);
		ASSERT_EQ(0, munmap(map, r->s.len));
	}
	settle(_metadata, r, thread);
}

/* Several mappers, with mappings of all ages that go in no order. */
#define SLOTS 8

struct mapper {
	struct race *r;
	unsigned int seed;
	long wrong;
	long maps;
	pthread_t thread;
};

static unsigned int next(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16;
}

static void *mapper(void *arg)
{
	struct mapper *m = arg;
	char *map[SLOTS] = {};
	long seen[SLOTS][PAGES];
	int i, k;

	while (!stopped(m->r)) {
		i = next(&m->seed) % SLOTS;
		if (map[i]) {
			/* What was seen once must be seen now. */
			for (k = 0; k < PAGES; k++) {
				long now = seq_of(map[i] + k * page_size);

				m->wrong += now < 0;
				m->wrong += seen[i][k] && seen[i][k] != now;
			}
			munmap(map[i], m->r->s.len);
		}
		map[i] = map_private(m->r->s.fd, 0, m->r->s.len);
		if (map[i] == MAP_FAILED) {
			m->wrong++;
			map[i] = NULL;
			continue;
		}
		m->maps++;
		for (k = 0; k < PAGES; k++)
			seen[i][k] = next(&m->seed) % 2 ?
				seq_of(map[i] + k * page_size) : 0;
		sched_yield();
	}
	return NULL;
}

TEST_F(race, mappings_of_all_ages)
{
	struct mapper m[3] = {};
	struct race *r = &self->r;
	pthread_t thread;
	long maps = 0;
	int i, k;

	r->change = change_write;
	change_write(r, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_for_ever, r));
	for (i = 0; i < 3; i++) {
		m[i].r = r;
		m[i].seed = i;
		ASSERT_EQ(0, pthread_create(&m[i].thread, NULL, mapper, &m[i]));
	}
	usleep(stress_ms() * 1000);
	/* Longer where that was too short to show anything. */
	for (i = 0; i < 100 * slow(); i++) {
		maps = 0;
		for (k = 0; k < 3; k++)
			maps += __atomic_load_n(&m[k].maps, __ATOMIC_RELAXED);
		if (maps >= 3 * SLOTS)
			break;
		usleep(100000);
	}
	settle(_metadata, r, thread);
	maps = 0;
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_join(m[i].thread, NULL));
		EXPECT_EQ(0, m[i].wrong);
		maps += m[i].maps;
	}
	ASSERT_LE(3 * SLOTS, maps);
	ASSERT_LT(ENOUGH, r->rounds);
}

/* Children come and go with mappings they inherited. */
static int look_twice(void *arg)
{
	struct race *r = arg;
	long seen[PAGES];
	int k;

	for (k = 0; k < PAGES; k++)
		seen[k] = seq_of(r->s.map + k * page_size);
	usleep(2000);
	for (k = 0; k < PAGES; k++)
		if (seen[k] < 0 || seq_of(r->s.map + k * page_size) != seen[k])
			return 1;
	return 0;
}

TEST_F(race, forks_and_write)
{
	long end = now_ms() + stress_ms();
	struct race *r = &self->r;
	pthread_t thread;
	int i;

	r->change = change_write;
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_for_ever, r));
	ASSERT_TRUE(wait_for(&r->rounds, 1));
	for (i = 0; i < 500 && (i < ENOUGH || now_ms() < end); i++) {
		struct child c;

		r->s.map = map_private(r->s.fd, 0, r->s.len);
		ASSERT_TRUE(mapped(r->s.map));
		ASSERT_EQ(0, child_start(&c, look_twice, r));
		ASSERT_EQ(0, look_twice(r));
		ASSERT_EQ(0, munmap(r->s.map, r->s.len));
		ASSERT_EQ(0, child_finish(&c));
	}
	settle(_metadata, r, thread);
}

/* A mapping is cut up, moved and protected while its pages change. */
TEST_F(race, splits_and_write)
{
	long end = now_ms() + stress_ms();
	struct race *r = &self->r;
	unsigned int seed = 1;
	pthread_t thread;
	int i, k;

	r->change = change_write;
	change_write(r, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_for_ever, r));
	for (i = 0; i < 1000 && (i < ENOUGH || now_ms() < end); i++) {
		char *at[PAGES], *map = map_private(r->s.fd, 0, r->s.len);
		long seen[PAGES];

		ASSERT_TRUE(mapped(map));
		for (k = 0; k < PAGES; k++) {
			at[k] = map + k * page_size;
			seen[k] = seq_of(at[k]);
			ASSERT_LE(0, seen[k]);
		}
		for (k = 0; k < PAGES; k++) {
			switch (next(&seed) % 4) {
			case 0:
				ASSERT_EQ(0, munmap(at[k], page_size));
				at[k] = NULL;
				break;
			case 1:
				ASSERT_EQ(0, mprotect(at[k], page_size,
						      PROT_READ | PROT_WRITE));
				break;
			case 2:
				at[k] = mremap(at[k], page_size, page_size,
					       MREMAP_MAYMOVE | MREMAP_FIXED,
					       reserve(page_size));
				ASSERT_TRUE(mapped(at[k]));
				break;
			}
		}
		ASSERT_TRUE(wait_for(&r->rounds, 2));
		for (k = 0; k < PAGES; k++) {
			if (!at[k])
				continue;
			ASSERT_EQ(seen[k], seq_of(at[k]));
			ASSERT_EQ(0, munmap(at[k], page_size));
		}
	}
	settle(_metadata, r, thread);
}

/*
 * Stopped anywhere
 *
 * Two threads on one processor. One has priority, and wakes up at any time: the
 * other stops wherever it is in the kernel, and goes on when the first has done all
 * that it wants to. So even a window of a few instructions, which two processors
 * hardly ever meet in, is met in some of the rounds.
 */
#define STOP_PAGES	6
#define STOP_ROUNDS	5	/* at least so many have to be stopped in */

struct stop {
	struct race *r;
	sem_t go, done;
	unsigned int seed;
	long span_ns;			/* what takes so long is stopped */
	int at;				/* page that the other one is at, or -1 */
	long stopped;
	void (*act)(struct stop *s);	/* with priority */
};

static long first_word(const char *page)
{
	return __atomic_load_n((const long *)page, __ATOMIC_RELAXED);
}

static void stop_at(struct stop *s, int page)
{
	__atomic_store_n(&s->at, page, __ATOMIC_RELAXED);
}

static void *stopper(void *arg)
{
	struct stop *s = arg;

	for (;;) {
		struct timespec ts = {};

		sem_wait(&s->go);
		if (stopped(s->r))
			return NULL;
		ts.tv_nsec = s->span_ns / 1000 * (next(&s->seed) % 1250);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		s->stopped += __atomic_load_n(&s->at, __ATOMIC_RELAXED) >= 0;
		s->act(s);
		sem_post(&s->done);
	}
}

static void stop_change(struct stop *s)
{
	s->r->change(s->r, s->r->base + 1);
}

/*
 * Each page comes by a fault of its own: for a store there is no fault-around. In
 * every fourth round it is loads, with fault-around.
 */
static void stop_look(struct stop *s)
{
	struct race *r = s->r;
	int i;

	for (i = 0; i < STOP_PAGES; i++) {
		char *page = r->s.map + i * page_size;

		stop_at(s, i);
		if (r->base / 10 % 4 && write_byte_or_sigbus(page + 64, r->base) == BUS)
			judge(r, BUS);
		judge(r, first_word(page));
	}
	stop_at(s, -1);
}

/* Some are loaded, with those around, others stored into. */
static void stop_look_on(struct stop *s)
{
	struct race *r = s->r;
	int i;

	for (i = 0; i < STOP_PAGES; i++) {
		char *page = r->s.map + (i * 5 + s->seed) % STOP_PAGES * page_size;

		if (s->seed & 64 && write_byte_or_sigbus(page + 64, r->base) == BUS)
			judge(r, BUS);
		judge(r, first_word(page));
	}
}

static void stop_write(struct race *r, long n)
{
	int i;

	for (i = 0; i < STOP_PAGES; i++)
		r->failed |= !seq_write(r->s.fd, i, n);
}

static void stop_truncate(struct race *r, long n)
{
	r->failed |= !!ftruncate(r->s.fd, 0);
	r->failed |= !!ftruncate(r->s.fd, STOP_PAGES * page_size);
}

static void stop_punch(struct race *r, long n)
{
	r->failed |= !!fallocate(r->s.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				 STOP_PAGES * page_size);
}

static void stop_store(struct race *r, long n)
{
	char *map = map_shared(r->s.fd, 0, STOP_PAGES * page_size);
	int i;

	for (i = 0; i < STOP_PAGES; i++)
		__atomic_store_n((long *)(map + i * page_size), n, __ATOMIC_RELAXED);
	munmap(map, STOP_PAGES * page_size);
}

static void stop_to_change(struct stop *s)
{
	stop_at(s, 0);
	stop_change(s);
	stop_at(s, -1);
}

/* @act by the thread with priority, while the other does @slow. */
static void stop(struct __test_metadata *_metadata, struct race *r,
		 void (*change)(struct race *r, long n), void (*act)(struct stop *s),
		 void (*slow)(struct stop *s))
{
	struct stop s = { .r = r, .act = act, .seed = 1, .at = -1 };
	struct sched_param priority = { .sched_priority = 1 };
	long end = now_ms() + stress_ms();
	cpu_set_t cpu;
	pthread_t thread;
	int i, k;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
	r->change = change;
	r->s.len = STOP_PAGES * page_size;
	ASSERT_EQ(0, sem_init(&s.go, 0, 0));
	ASSERT_EQ(0, sem_init(&s.done, 0, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, stopper, &s));
	ASSERT_EQ(0, pthread_setschedparam(thread, SCHED_FIFO, &priority));
	for (i = 0; i < 20000 && (s.stopped < STOP_ROUNDS || now_ms() < end); i++) {
		long from;

		r->base = 10 * (i + 1);
		stop_write(r, r->base);
		r->s.map = mmap(NULL, r->s.len, PROT_READ | PROT_WRITE, MAP_PRIVATE,
				r->s.fd, 0);
		ASSERT_TRUE(mapped(r->s.map));
		/* The first rounds show how long it takes. */
		if (i >= 3)
			ASSERT_EQ(0, sem_post(&s.go));
		from = now_us();
		slow(&s);
		from = (now_us() - from) * 1000;
		if (i < 3)
			s.span_ns = s.span_ns && s.span_ns < from ? s.span_ns : from;
		else
			ASSERT_EQ(0, sem_wait(&s.done));
		for (k = 0; k < STOP_PAGES; k++)
			judge(r, first_word(r->s.map + k * page_size));
		ASSERT_EQ(0, r->wrong) {
			TH_LOG("in round %d, of which %ld were stopped", i, s.stopped);
		}
		ASSERT_FALSE(r->failed);
		ASSERT_EQ(0, munmap(r->s.map, r->s.len));
	}
	TH_LOG("%ld of %d rounds were stopped", s.stopped, i);
	ASSERT_LE(STOP_ROUNDS, s.stopped);
	__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, sem_post(&s.go));
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

TEST_F(race, fault_stopped_by_write)
{
	stop(_metadata, &self->r, stop_write, stop_change, stop_look);
}

TEST_F(race, fault_stopped_by_truncate)
{
	stop(_metadata, &self->r, stop_truncate, stop_change, stop_look);
}

TEST_F(race, fault_stopped_by_punch)
{
	stop(_metadata, &self->r, stop_punch, stop_change, stop_look);
}

TEST_F(race, fault_stopped_by_stores)
{
	stop(_metadata, &self->r, stop_store, stop_change, stop_look);
}

TEST_F(race, write_stopped_by_faults)
{
	stop(_metadata, &self->r, stop_write, stop_look_on, stop_to_change);
}

TEST_F(race, truncate_stopped_by_faults)
{
	stop(_metadata, &self->r, stop_truncate, stop_look_on, stop_to_change);
}

TEST_F(race, punch_stopped_by_faults)
{
	stop(_metadata, &self->r, stop_punch, stop_look_on, stop_to_change);
}

TEST_F(race, stores_stopped_by_faults)
{
	stop(_metadata, &self->r, stop_store, stop_look_on, stop_to_change);
}

TEST_HARNESS_MAIN
