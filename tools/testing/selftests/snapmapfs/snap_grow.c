// SPDX-License-Identifier: GPL-2.0
/*
 * P9: a mapping that mremap() grows. Each page of the grown part takes its own
 * instant when it is first touched, and is frozen from then on.
 */
#include "snap.h"

#define PAGES	8
#define PART	3	/* pages mapped to begin with */

FIXTURE(grown)
{
	struct snap s;
};

FIXTURE_VARIANT(grown)
{
	bool move;
	bool touch;
};

FIXTURE_VARIANT_ADD(grown, in_place)
{
	.move = false,
	.touch = true,
};

FIXTURE_VARIANT_ADD(grown, in_place_untouched)
{
	.move = false,
	.touch = false,
};

FIXTURE_VARIANT_ADD(grown, and_moved)
{
	.move = true,
	.touch = true,
};

FIXTURE_VARIANT_ADD(grown, and_moved_untouched)
{
	.move = true,
	.touch = false,
};

FIXTURE_SETUP(grown)
{
	char *room;

	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	/* Nothing lies behind the mapping, or something that is in its way. */
	room = reserve(2 * self->s.len);
	self->s.map = mmap(room, PART * page_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_FIXED, self->s.fd, 0);
	ASSERT_TRUE(mapped(self->s.map));
	if (!variant->move)
		ASSERT_EQ(0, munmap(room + PART * page_size,
				    2 * self->s.len - PART * page_size));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(self->s.map, PART * page_size));
}

FIXTURE_TEARDOWN(grown)
{
	snap_destroy(&self->s);
}

static bool grow(struct snap *s, ssize_t from, ssize_t to, bool move)
{
	char *p = mremap(s->map, from * page_size, to * page_size,
			 move ? MREMAP_MAYMOVE : 0);

	if (!mapped(p))
		return false;
	s->map = p;
	return true;
}

static ssize_t page_differs(const struct snap *s, int page, unsigned int gen)
{
	return differs(s->map + page * page_size, gen, page * page_size,
		       page_size);
}

static ssize_t rewrite(struct snap *s, unsigned int gen)
{
	return write_gen(s->fd, gen, 0, s->len);
}

/* The part from before is what it was, whatever happens to the new one. */
TEST_F(grown, old_part)
{
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, PART * page_size));
	ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, PART * page_size));
}

TEST_F(grown, then_written)
{
	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* Not stale: a page not yet touched is the file's page of now. */
TEST_F(grown, after_a_write)
{
	int i;

	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, PART * page_size));
}

TEST_F(grown, page_by_page)
{
	int i, k;

	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	for (i = PART; i < PAGES; i++) {
		ASSERT_EQ(self->s.len, rewrite(&self->s, i));
		/* First touch of page i; those before stay what they were. */
		ASSERT_EQ(SAME, page_differs(&self->s, i, i));
		for (k = PART; k < i; k++)
			ASSERT_EQ(SAME, page_differs(&self->s, k, k));
	}
	ASSERT_EQ(self->s.len, rewrite(&self->s, 99));
	for (k = PART; k < PAGES; k++)
		ASSERT_EQ(SAME, page_differs(&self->s, k, k));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, PART * page_size));
}

/* Dropped page table entries are not a second first touch. */
TEST_F(grown, then_dontneed)
{
	int i;

	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(0, madvise(self->s.map, self->s.len, MADV_DONTNEED));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	ASSERT_EQ(0, madvise(self->s.map, self->s.len, MADV_DONTNEED));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 3));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
}

TEST_F(grown, and_stored_into)
{
	ssize_t off = PART * page_size;

	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	self->s.map[off] = 'x';
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ('x', self->s.map[off]);
	ASSERT_EQ(SAME, differs(self->s.map + off + 1, 1, off + 1,
				page_size - 1));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ('x', self->s.map[off]);
}

TEST_F(grown, then_truncated)
{
	int i;

	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, PART * page_size));
}

/* The grown part knows the live end, the old part its own. */
TEST_F(grown, over_the_end)
{
	int i;

	ASSERT_EQ(0, ftruncate(self->s.fd, 5 * page_size));
	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	for (i = 5; i < PAGES; i++)
		ASSERT_EQ(BUS, read_byte_or_sigbus(self->s.map +
						   i * page_size));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, PART * page_size));
}

/*
 * Two mappings of one instant. The page that the grown one takes later is not
 * the one that the other has had all along.
 */
TEST_F(grown, beside_one_of_the_same_instant)
{
	char *other = map_private(self->s.fd, 0, self->s.len);
	int i;

	ASSERT_TRUE(mapped(other));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	ASSERT_EQ(SAME, differs(other, 0, 0, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	ASSERT_EQ(SAME, differs(other, 0, 0, self->s.len));
}

/* H15: the write after the first touch finds the page stamped already. */
TEST_F(grown, touched_between_two_writes_of_one_epoch)
{
	char *other = map_private(self->s.fd, 0, self->s.len);

	ASSERT_TRUE(mapped(other));
	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, page_differs(&self->s, 5, 1));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, page_differs(&self->s, 5, 1));
	ASSERT_EQ(SAME, differs(other, 0, 0, self->s.len));
}

static int see_1(void *arg)
{
	return page_differs(arg, 5, 1) != SAME ||
	       page_differs(arg, 0, 0) != SAME;
}

TEST_F(grown, and_forked)
{
	struct child c;

	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, page_differs(&self->s, 5, 1));
	ASSERT_EQ(0, child_start(&c, see_1, &self->s));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(0, child_finish(&c));
	ASSERT_EQ(SAME, page_differs(&self->s, 5, 1));
}

/* What was unmapped and is mapped again shows T or the present, never both. */
TEST_F(grown, shrunk_and_regrown)
{
	int i, gen[PART];

	ASSERT_TRUE(grow(&self->s, PART, 1, false));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(grow(&self->s, 1, PART, variant->move));
	ASSERT_EQ(SAME, page_differs(&self->s, 0, 0));
	for (i = 1; i < PART; i++) {
		gen[i] = page_differs(&self->s, i, 0) == SAME ? 0 : 1;
		ASSERT_EQ(SAME, page_differs(&self->s, i, gen[i]));
	}
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	for (i = 1; i < PART; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, gen[i]));
}

/* A store through a shared mapping is a change here too. */
TEST_F(grown, then_stored_to_the_file)
{
	char *shared = map_shared(self->s.fd, 0, self->s.len);
	int i;

	ASSERT_TRUE(mapped(shared));
	gen_fill(shared, 1, 0, self->s.len);
	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	gen_fill(shared, 2, 0, self->s.len);
	for (i = PART; i < PAGES; i++)
		ASSERT_EQ(SAME, page_differs(&self->s, i, 1));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, PART * page_size));
}

/* P5: what a shared mapping stores past the end of the file is no part of it. */
TEST_F(grown, over_stores_past_the_end)
{
	ssize_t end = (PART + 1) * page_size + 100;
	char *shared = map_shared(self->s.fd, 0, self->s.len);

	ASSERT_TRUE(mapped(shared));
	ASSERT_EQ(0, ftruncate(self->s.fd, end));
	memset(shared + end, 0x11, page_size - 100);
	ASSERT_TRUE(grow(&self->s, PART, PART + 2, variant->move));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, end));
	ASSERT_EQ(SAME, not_zero(self->s.map + end, page_size - 100));
}

/* The grown part of a sparse file: nothing there is also frozen. */
TEST_F(grown, over_a_hole)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, PART * page_size));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
	ASSERT_EQ(SAME, not_zero(self->s.map + PART * page_size,
				 self->s.len - PART * page_size));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, not_zero(self->s.map + PART * page_size,
				 self->s.len - PART * page_size));
}

/* First touches while the file is written: neither torn nor taken back. */
struct writer {
	struct snap *s;
	long rounds;
	bool stop;
	bool failed;
};

static void *write_for_ever(void *arg)
{
	struct writer *w = arg;
	long n;
	int i;

	for (n = 1; !__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE); n++) {
		for (i = 0; i < PAGES; i++)
			w->failed |= !seq_write(w->s->fd, i, n);
		__atomic_add_fetch(&w->rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

TEST_F(grown, against_a_writer)
{
	struct writer w = { .s = &self->s };
	long end = now_ms() + stress_ms() / 2, seen[PAGES];
	pthread_t thread;
	int i, k;

	ASSERT_EQ(0, pthread_create(&thread, NULL, write_for_ever, &w));
	ASSERT_TRUE(wait_for(&w.rounds, 1));
	for (i = 0; i < 500 && (i < 5 || now_ms() < end); i++) {
		char *room = reserve(PAGES * page_size);

		self->s.map = mmap(room, PART * page_size, PROT_READ,
				   MAP_PRIVATE | MAP_FIXED, self->s.fd, 0);
		ASSERT_TRUE(mapped(self->s.map));
		if (!variant->move)
			ASSERT_EQ(0, munmap(room + PART * page_size,
					    (PAGES - PART) * page_size));
		ASSERT_TRUE(grow(&self->s, PART, PAGES, variant->move));
		for (k = 0; k < PAGES; k++) {
			seen[k] = seq_of(self->s.map + k * page_size);
			ASSERT_LE(0, seen[k]);
		}
		ASSERT_TRUE(wait_for(&w.rounds, 2));
		for (k = 0; k < PAGES; k++)
			ASSERT_EQ(seen[k],
				  seq_of(self->s.map + k * page_size));
		ASSERT_EQ(0, munmap(self->s.map, PAGES * page_size));
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_FALSE(w.failed);
}

/*
 * Another process that has the same mapping lets it grow and shrink again, while
 * ours does. As long as ours has the page, it is the one that was touched first.
 */
enum { FINE, NOT_GROWN, MIXED, CHANGED, NOT_SHRUNK };

static int grow_and_shrink(char *map, bool look)
{
	int i, ret = FINE;
	long seen;

	if (mremap(map, PART * page_size, (PART + 1) * page_size, 0) != map)
		return NOT_GROWN;
	seen = seq_of(map + PART * page_size);
	if (seen < 0)
		ret = MIXED;
	for (i = 0; look && i < 3; i++) {
		madvise(map + PART * page_size, page_size, MADV_DONTNEED);
		if (seq_of(map + PART * page_size) != seen)
			ret = CHANGED;
	}
	if (mremap(map, (PART + 1) * page_size, PART * page_size, 0) != map)
		return NOT_SHRUNK;
	return ret;
}

static int grow_for_ever(void *arg)
{
	int ret;

	do
		ret = grow_and_shrink(arg, false);
	while (ret == FINE);
	return ret;
}

TEST(two_that_grow)
{
	struct snap s;
	struct writer w = { .s = &s };
	long end = now_ms() + 3 * stress_ms();
	pthread_t thread;
	char *room;
	pid_t pid;

	ASSERT_EQ(0, snap_create(&s, PAGES * page_size));
	room = reserve(PAGES * page_size);
	s.map = mmap(room, PART * page_size, PROT_READ, MAP_PRIVATE | MAP_FIXED, s.fd, 0);
	ASSERT_TRUE(mapped(s.map));
	ASSERT_EQ(0, munmap(room + PART * page_size, (PAGES - PART) * page_size));
	ASSERT_TRUE(seq_write(s.fd, PART, 0));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(grow_for_ever(s.map));
	}
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_for_ever, &w));
	ASSERT_TRUE(wait_for(&w.rounds, 1));
	while (now_ms() < end)
		ASSERT_EQ(FINE, grow_and_shrink(s.map, true));
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	kill(pid, SIGKILL);
	ASSERT_EQ(128 + SIGKILL, reap(pid));
	ASSERT_FALSE(w.failed);
	snap_destroy(&s);
}

TEST_HARNESS_MAIN
