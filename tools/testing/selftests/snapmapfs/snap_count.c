// SPDX-License-Identifier: GPL-2.0
/*
 * P3 in numbers: writers count on two pages, the first page first, and no
 * mapping shows the second page ahead of the first, or more than one behind it.
 *
 * SNAP_MAPPINGS says how many mappings each test makes (1000, fewer on
 * a slow kernel).
 */
#include "snap.h"

#define MOST_WRITERS	4

struct count {
	struct snap s;
	long *shared;
	bool store;
	int writer;
	bool *stop;
	bool failed;
	long rounds;
	pthread_t thread;
};

FIXTURE(count)
{
	struct snap s;
	long *shared;
	bool stop;
	struct count writers[MOST_WRITERS];
};

FIXTURE_VARIANT(count)
{
	bool store;
	int writers;
};

FIXTURE_VARIANT_ADD(count, write)
{
	.store = false,
	.writers = 1,
};

FIXTURE_VARIANT_ADD(count, store)
{
	.store = true,
	.writers = 1,
};

FIXTURE_VARIANT_ADD(count, four_write)
{
	.store = false,
	.writers = 4,
};

FIXTURE_VARIANT_ADD(count, four_store)
{
	.store = true,
	.writers = 4,
};

/* Writer n counts on pages 2n and 2n + 1. */
static bool put(struct count *c, int page, long value)
{
	off_t at = (off_t)(2 * c->writer + page) * page_size;

	if (!c->store)
		return pwrite(c->s.fd, &value, sizeof(value), at) ==
		       sizeof(value);
	__atomic_store_n(&c->shared[at / sizeof(long)], value,
			 __ATOMIC_SEQ_CST);
	return true;
}

static void *count_for_ever(void *arg)
{
	struct count *c = arg;
	long n;

	for (n = 1; !__atomic_load_n(c->stop, __ATOMIC_ACQUIRE); n++) {
		if (!put(c, 0, n) || !put(c, 1, n)) {
			c->failed = true;
			break;
		}
		__atomic_store_n(&c->rounds, n, __ATOMIC_RELEASE);
	}
	return NULL;
}

FIXTURE_SETUP(count)
{
	int i;

	ASSERT_EQ(0, snap_create(&self->s, 0));
	ASSERT_EQ(0, ftruncate(self->s.fd, 2 * MOST_WRITERS * page_size));
	self->shared = map_shared(self->s.fd, 0, 2 * MOST_WRITERS * page_size);
	ASSERT_TRUE(mapped(self->shared));
	for (i = 0; i < variant->writers; i++) {
		struct count *c = &self->writers[i];

		c->s = self->s;
		c->shared = self->shared;
		c->store = variant->store;
		c->writer = i;
		c->stop = &self->stop;
		ASSERT_EQ(0, pthread_create(&c->thread, NULL, count_for_ever,
					    c));
	}
}

FIXTURE_TEARDOWN(count)
{
	int i;

	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < variant->writers; i++)
		pthread_join(self->writers[i].thread, NULL);
	snap_destroy(&self->s);
}

static long count_at(const char *map, int page)
{
	return __atomic_load_n((const long *)(map + page * page_size),
			       __ATOMIC_SEQ_CST);
}

TEST_F_TIMEOUT(count, mappings, 3600)
{
	ssize_t len = 2 * MOST_WRITERS * page_size;
	int mappings = atoi(env_or("SNAP_MAPPINGS", "0"));
	long first, second, rounds = 0;
	int i, k;

	if (!mappings)
		mappings = 1000 / slow();
	ASSERT_LT(0, mappings);
	for (k = 0; k < variant->writers; k++)
		ASSERT_TRUE(wait_for(&self->writers[k].rounds, 1));
	for (i = 0; i < mappings; i++) {
		const char *map = map_private(self->s.fd, 0, len);

		ASSERT_TRUE(mapped(map));
		for (k = 0; k < variant->writers; k++) {
			/* The later page first, half of the time. */
			first = i & 1 ? count_at(map, 2 * k) : 0;
			second = i & 1 ? 0 : count_at(map, 2 * k + 1);
			/* Where the mapping is live it has to show. */
			if (i < 10)
				ASSERT_TRUE(wait_for(&self->writers[k].rounds, 3));
			if (i & 1)
				second = count_at(map, 2 * k + 1);
			else
				first = count_at(map, 2 * k);
			ASSERT_LE(second, first);
			ASSERT_LE(first, second + 1);
		}
		ASSERT_EQ(0, munmap((void *)map, len));
	}
	for (k = 0; k < variant->writers; k++) {
		ASSERT_FALSE(self->writers[k].failed);
		rounds += self->writers[k].rounds;
	}
	TH_LOG("%d mappings, %ld rounds of the writers", mappings, rounds);
}

TEST_HARNESS_MAIN
