// SPDX-License-Identifier: GPL-2.0
/*
 * P3: all pages of a mapping show one instant. Writers make changes in an order
 * they wait for; a mapper looks at the later ones long after the earlier ones.
 * Each test is run with changes by write(), by stores through a shared mapping,
 * and by both in turn.
 */
#include "snap.h"

#define PAGES		64
#define MAPPINGS	2000
#define ENOUGH		20	/* a run with fewer has shown nothing */

struct order {
	struct snap s;
	char *shared;
	bool store[2];		/* the even and the odd changes of a round */
	long rounds;		/* finished by the writer */
	long turn;		/* for writers that wait for each other */
	bool stop;
	bool failed;
};

FIXTURE(order)
{
	struct order *o;	/* shared with the test's processes */
	pthread_t writer;
};

FIXTURE_VARIANT(order)
{
	bool store[2];
};

FIXTURE_VARIANT_ADD(order, write)
{
	.store = { false, false },
};

FIXTURE_VARIANT_ADD(order, store)
{
	.store = { true, true },
};

FIXTURE_VARIANT_ADD(order, write_store)
{
	.store = { false, true },
};

FIXTURE_VARIANT_ADD(order, store_write)
{
	.store = { true, false },
};

FIXTURE_SETUP(order)
{
	self->o = mmap(NULL, sizeof(*self->o), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(mapped(self->o));
	ASSERT_EQ(0, snap_create(&self->o->s, 0));
	ASSERT_EQ(0, ftruncate(self->o->s.fd, PAGES * page_size));
	self->o->shared = map_shared(self->o->s.fd, 0, PAGES * page_size);
	ASSERT_TRUE(mapped(self->o->shared));
	memcpy(self->o->store, variant->store, sizeof(variant->store));
}

FIXTURE_TEARDOWN(order)
{
	snap_destroy(&self->o->s);
}

static bool go_on(struct order *o)
{
	return !__atomic_load_n(&o->stop, __ATOMIC_ACQUIRE);
}

static void round_done(struct order *o)
{
	__atomic_add_fetch(&o->rounds, 1, __ATOMIC_RELEASE);
}

/* The @nth change of a round: @n into @page. */
static bool put(struct order *o, int nth, int page, long n)
{
	if (!o->store[nth % 2])
		return pwrite(o->s.fd, &n, sizeof(n), page * page_size) ==
		       sizeof(n);
	__atomic_store_n((long *)(o->shared + page * page_size), n,
			 __ATOMIC_RELEASE);
	return true;
}

static long get(const char *map, int page)
{
	return *(const long *)(map + page * page_size);
}

/* 1 into each of @chain's pages in turn, then 2, and so on. */
static void write_chain(struct order *o, const int *chain, int len)
{
	long n;
	int i;

	for (n = 1; go_on(o) && !o->failed; n++) {
		for (i = 0; i < len; i++)
			if (!put(o, i, chain[i], n))
				o->failed = true;
		round_done(o);
	}
}

/*
 * Numbers along the chain never rise, and the last is at most one behind the
 * first. Between looking at one page and the next the writer moves on.
 */
static void map_chain(struct __test_metadata *_metadata, struct order *o,
		      const int *chain, int len, bool backwards)
{
	long n[8], end = now_ms() + stress_ms();
	char *map;
	int i, k;

	ASSERT_TRUE(wait_for(&o->rounds, 1));
	for (i = 0; i < MAPPINGS && (i < ENOUGH || now_ms() < end); i++) {
		map = map_private(o->s.fd, 0, PAGES * page_size);
		ASSERT_TRUE(mapped(map));
		for (k = 0; k < len; k++) {
			int at = backwards ? len - 1 - k : k;

			n[at] = get(map, chain[at]);
			if (k < 2)
				ASSERT_TRUE(wait_for(&o->rounds, 2));
		}
		for (k = 1; k < len; k++)
			ASSERT_LE(n[k], n[k - 1]);
		ASSERT_LE(n[0], n[len - 1] + 1);
		ASSERT_EQ(0, munmap(map, PAGES * page_size));
	}
	__atomic_store_n(&o->stop, true, __ATOMIC_RELEASE);
}

static const int near[] = { 0, 1 };
static const int far[] = { 0, 50 };
static const int far_back[] = { 50, 0 };
static const int many[] = { 3, 60, 1, 17, 33, 2, 40, 8 };

static void *write_near(void *o)
{
	write_chain(o, near, 2);
	return NULL;
}

static void *write_far(void *o)
{
	write_chain(o, far, 2);
	return NULL;
}

static void *write_far_back(void *o)
{
	write_chain(o, far_back, 2);
	return NULL;
}

static void *write_many(void *o)
{
	write_chain(o, many, 8);
	return NULL;
}

TEST_F(order, neighbouring_pages)
{
	ASSERT_EQ(0, pthread_create(&self->writer, NULL, write_near, self->o));
	map_chain(_metadata, self->o, near, 2, false);
	ASSERT_EQ(0, pthread_join(self->writer, NULL));
	ASSERT_FALSE(self->o->failed);
}

TEST_F(order, distant_pages)
{
	ASSERT_EQ(0, pthread_create(&self->writer, NULL, write_far, self->o));
	map_chain(_metadata, self->o, far, 2, false);
	ASSERT_EQ(0, pthread_join(self->writer, NULL));
	ASSERT_FALSE(self->o->failed);
}

TEST_F(order, distant_pages_written_backwards)
{
	ASSERT_EQ(0, pthread_create(&self->writer, NULL, write_far_back,
				    self->o));
	map_chain(_metadata, self->o, far_back, 2, false);
	ASSERT_EQ(0, pthread_join(self->writer, NULL));
	ASSERT_FALSE(self->o->failed);
}

TEST_F(order, distant_pages_read_backwards)
{
	ASSERT_EQ(0, pthread_create(&self->writer, NULL, write_far, self->o));
	map_chain(_metadata, self->o, far, 2, true);
	ASSERT_EQ(0, pthread_join(self->writer, NULL));
	ASSERT_FALSE(self->o->failed);
}

TEST_F(order, chain_of_pages)
{
	ASSERT_EQ(0, pthread_create(&self->writer, NULL, write_many, self->o));
	map_chain(_metadata, self->o, many, 8, false);
	ASSERT_EQ(0, pthread_join(self->writer, NULL));
	ASSERT_FALSE(self->o->failed);
}

/* Two processes, one page each, the second waiting for the first. */
static int write_by_turns(struct order *o, int self, int page)
{
	long n;

	for (n = 1; !o->failed; n++) {
		while (__atomic_load_n(&o->turn, __ATOMIC_ACQUIRE) != self) {
			if (!go_on(o))
				return 0;
			sched_yield();
		}
		if (!put(o, self, page, n))
			o->failed = true;
		if (self)
			round_done(o);
		__atomic_store_n(&o->turn, !self, __ATOMIC_RELEASE);
	}
	return 1;
}

static int write_first(void *o)
{
	return write_by_turns(o, 0, far[0]);
}

static int write_second(void *o)
{
	return write_by_turns(o, 1, far[1]);
}

static bool start(struct child *c, int (*fn)(void *), void *arg)
{
	return !child_start(c, fn, arg) && write(c->go, "", 1) == 1;
}

TEST_F(order, two_processes)
{
	struct child a, b;

	ASSERT_TRUE(start(&a, write_first, self->o));
	ASSERT_TRUE(start(&b, write_second, self->o));
	map_chain(_metadata, self->o, far, 2, false);
	ASSERT_EQ(0, reap(a.pid));
	ASSERT_EQ(0, reap(b.pid));
}

/*
 * A log whose header says how many records follow, each a page. It is written
 * after the record, and before the log starts over with a truncation.
 */
static void *write_log(void *arg)
{
	struct order *o = arg;
	long n;

	while (go_on(o) && !o->failed) {
		if (!put(o, 0, 0, 0) || ftruncate(o->s.fd, page_size))
			o->failed = true;
		for (n = 1; n < 8 && !o->failed; n++)
			if (!seq_write(o->s.fd, n, n) || !put(o, n, 0, n))
				o->failed = true;
		round_done(o);
	}
	return NULL;
}

TEST_F(order, log_with_header)
{
	long n, k, end = now_ms() + stress_ms();
	struct order *o = self->o;
	int i;

	ASSERT_EQ(0, pthread_create(&self->writer, NULL, write_log, o));
	ASSERT_TRUE(wait_for(&o->rounds, 1));
	for (i = 0; i < MAPPINGS && (i < ENOUGH || now_ms() < end); i++) {
		char *map = map_private(o->s.fd, 0, PAGES * page_size);

		ASSERT_TRUE(mapped(map));
		n = get(map, 0);
		/* Until the writer is somewhere else, also in the log. */
		ASSERT_TRUE(wait_for(&o->rounds, 2));
		ASSERT_EQ(n, get(map, 0));
		for (k = 1; k <= n; k++)
			ASSERT_EQ(k, seq_of(map + k * page_size));
		/*
		 * The record after the last may be there, and all of the log
		 * before when this one has only just been begun.
		 */
		for (k = n + 2; n && k < 8; k++)
			ASSERT_EQ(BUS, seq_of(map + k * page_size));
		ASSERT_EQ(0, munmap(map, PAGES * page_size));
	}
	__atomic_store_n(&o->stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(self->writer, NULL));
	ASSERT_FALSE(o->failed);
}

TEST_HARNESS_MAIN
