// SPDX-License-Identifier: GPL-2.0
/*
 * W3, P1-P10: mappings of a file that lie in one of its segments, or in two.
 */
#include "seg.h"

#include <linux/falloc.h>

FIXTURE(seg)
{
	struct seg s;
	ssize_t at;	/* where the window begins, of what is written */
	ssize_t len;	/* whole pages from there on */
};

FIXTURE_VARIANT(seg)
{
	const char *options;
	off_t border;
	ssize_t shift;
};

#define VARIANT(name, opts, pos, by)		\
	FIXTURE_VARIANT_ADD(seg, name)		\
	{					\
		.options = opts,		\
		.border = pos,			\
		.shift = by,			\
	}

VARIANT(pages_of_4k, "segment=4k", 8 * 4096, 0);
VARIANT(pages_of_4k_at_512, "segment=4k", 8 * 4096, 512);
VARIANT(of_16k, "segment=16k", 3 * 16384, 0);
VARIANT(of_16k_at_2048, "segment=16k", 3 * 16384, 2048);
VARIANT(of_64k, "segment=64k", 65536, 0);
VARIANT(of_64k_at_512, "segment=64k", 65536, 512);
VARIANT(of_64k_at_1024, "segment=64k", 3 * 65536, 1024);
VARIANT(of_64k_far, "segment=64k", (off_t)1 << 44, 0);
VARIANT(of_64k_far_at_2048, "segment=64k", (off_t)1 << 44, 2048);
VARIANT(at_8_tib, NULL, (off_t)1 << 43, 0);
VARIANT(at_8_tib_at_512, NULL, (off_t)1 << 43, 512);
VARIANT(at_16_tib, NULL, (off_t)1 << 44, 0);
VARIANT(at_16_tib_at_1024, NULL, (off_t)1 << 44, 1024);
VARIANT(at_1_pib, NULL, (off_t)1 << 50, 0);
VARIANT(at_1_pib_at_3584, NULL, (off_t)1 << 50, 3584);

FIXTURE_SETUP(seg)
{
	ASSERT_EQ(0, seg_create(&self->s, variant->options, variant->border));
	self->at = variant->shift;
	self->len = LEN - (variant->shift ? page_size : 0);
	self->s.win = window(self->s.s.fd, self->s.start + self->at, 0);
	ASSERT_LE(0, self->s.win);
}

FIXTURE_TEARDOWN(seg)
{
	seg_destroy(&self->s);
}

#define FD	(self->s.s.fd)

#define MAP(map, off, len) ({					\
	char *__map = map(self->s.win, off, len);		\
								\
	ASSERT_TRUE(mapped(__map));				\
	__map;							\
})

/* @map, at @off in the window, is as generation @gen of the file. */
#define EXPECT_MAP(map, gen, off, len) \
	ASSERT_EQ(SAME, differs(map, gen, self->at + (off), len))
#define EXPECT_FILE(gen, off, len) \
	ASSERT_EQ(SAME, seg_differs(&self->s, gen, off, len))
#define WRITE(gen, off, len) \
	ASSERT_EQ(len, seg_write(&self->s, gen, off, len))

/* Where in the window to map: before the border, at both sides of it, behind it, and all; a range is (off, len). */
static bool place(int i, ssize_t all, ssize_t *off, ssize_t *len)
{
	const ssize_t half = HALF / page_size;
	const ssize_t offs[] = { 0, 1, half - 1, half, 0 };
	const ssize_t lens[] = { 2, 3, 2, 3, all / page_size };

	if (i == 5)
		return false;
	*off = offs[i] * page_size;
	*len = lens[i] * page_size;
	return true;
}

#define EACH(off, length) \
	for (ssize_t __i = 0, off, length; place(__i, self->len, &off, &length); __i++)

/* P1 */
TEST_F(seg, private)
{
	EACH(off, len) {
		char *map = MAP(map_private, off, len);
		char *touched = MAP(map_private, off, len);

		ASSERT_EQ(SAME, touch(touched, len));
		WRITE(1, 0, LEN);
		EXPECT_MAP(map, 0, off, len);
		EXPECT_MAP(touched, 0, off, len);
		munmap(touched, len);
		touched = MAP(map_private, off, len);
		EXPECT_MAP(touched, 1, off, len);
		WRITE(0, 0, LEN);
		EXPECT_MAP(map, 0, off, len);
		EXPECT_MAP(touched, 1, off, len);
		munmap(map, len);
		munmap(touched, len);
	}
}

/* P4: it is made shorter, holes, allocated. */
TEST_F(seg, private_against_holes)
{
	EACH(off, len) {
		char *map = MAP(map_private, off, len), *later;

		ASSERT_EQ(0, fallocate(FD, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       self->s.start + HALF - page_size - 5, 2 * page_size));
		EXPECT_MAP(map, 0, off, len);
		ASSERT_EQ(0, fallocate(FD, FALLOC_FL_ZERO_RANGE, self->s.start + 7,
				       LEN - 100));
		EXPECT_MAP(map, 0, off, len);
		WRITE(2, 0, LEN);
		later = MAP(map_private, off, len);
		ASSERT_EQ(0, ftruncate(FD, self->s.start + HALF + 9));
		ASSERT_EQ(0, ftruncate(FD, self->s.start + 9));
		EXPECT_MAP(map, 0, off, len);
		EXPECT_MAP(later, 2, off, len);
		WRITE(3, 0, LEN);
		EXPECT_MAP(map, 0, off, len);
		EXPECT_MAP(later, 2, off, len);
		munmap(map, len);
		munmap(later, len);
		WRITE(0, 0, LEN);
	}
}

TEST_F(seg, private_of_holes)
{
	char *map, *touched;

	ASSERT_EQ(0, ftruncate(FD, 0));
	ASSERT_EQ(0, ftruncate(FD, self->s.start + LEN));
	map = MAP(map_private, 0, self->len);
	touched = MAP(map_private, 0, self->len);
	ASSERT_EQ(SAME, not_zero(touched, self->len));
	ASSERT_EQ(0, seg_blocks(&self->s));
	WRITE(1, 0, LEN);
	ASSERT_EQ(SAME, not_zero(map, self->len));
	ASSERT_EQ(SAME, not_zero(touched, self->len));
	EXPECT_FILE(1, 0, LEN);
}

/* P6, P7 */
TEST_F(seg, own_stores)
{
	char *map = mmap(NULL, self->len, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->s.win, 0);
	ssize_t i;

	ASSERT_TRUE(mapped(map));
	for (i = 3; i < self->len; i += page_size)
		map[i] = 'x';
	WRITE(1, 0, LEN);
	ASSERT_EQ(0, ftruncate(FD, 0));
	for (i = 3; i < self->len; i += page_size) {
		ASSERT_EQ('x', map[i]);
		map[i] = gen_byte(0, self->at + i);
	}
	EXPECT_MAP(map, 0, 0, self->len);
	ASSERT_EQ(0, madvise(map, self->len, MADV_DONTNEED));
	EXPECT_MAP(map, 0, 0, self->len);
}

/* L1, both ways, and between mappings of different places. */
TEST_F(seg, shared)
{
	char *all = MAP(map_shared, 0, self->len);

	EACH(off, len) {
		char *map = MAP(map_shared, off, len);

		EXPECT_MAP(map, 0, off, len);
		WRITE(1, 0, LEN);
		EXPECT_MAP(map, 1, off, len);
		EXPECT_MAP(all, 1, 0, self->len);
		gen_fill(map, 2, self->at + off, len);
		EXPECT_FILE(2, self->at + off, len);
		EXPECT_MAP(all + off, 2, off, len);
		EXPECT_FILE(1, self->at + off + len, LEN - self->at - off - len);
		gen_fill(all, 3, self->at, self->len);
		EXPECT_MAP(map, 3, off, len);
		EXPECT_FILE(3, self->at, self->len);
		munmap(map, len);
		WRITE(0, 0, LEN);
		EXPECT_MAP(all, 0, 0, self->len);
	}
}

/* Stores into holes, where there may not be a segment yet. */
TEST_F(seg, shared_holes)
{
	char *map;

	ASSERT_EQ(0, ftruncate(FD, 0));
	ASSERT_EQ(0, ftruncate(FD, self->s.start + LEN));
	map = MAP(map_shared, 0, self->len);
	ASSERT_EQ(SAME, not_zero(map, self->len));
	gen_fill(map, 1, self->at, self->len);
	EXPECT_FILE(1, self->at, self->len);
	ASSERT_EQ(0, madvise(map + page_size, self->len - 2 * page_size, MADV_REMOVE));
	ASSERT_EQ(SAME, not_zero(map + page_size, self->len - 2 * page_size));
	ASSERT_EQ(SAME, seg_not_zero(&self->s, self->at + page_size,
				     self->len - 2 * page_size));
	EXPECT_MAP(map, 1, 0, page_size);
	EXPECT_MAP(map + self->len - page_size, 1, self->len - page_size, page_size);
}

/* A store is a change for snapshots of any place. */
TEST_F(seg, stores_against_snapshots)
{
	char *shared = MAP(map_shared, 0, self->len);

	EACH(off, len) {
		char *map = MAP(map_private, off, len), *later;

		gen_fill(shared, 1, self->at, self->len);
		EXPECT_MAP(map, 0, off, len);
		later = MAP(map_private, off, len);
		gen_fill(shared, 2, self->at, self->len);
		EXPECT_MAP(map, 0, off, len);
		EXPECT_MAP(later, 1, off, len);
		EXPECT_MAP(shared, 2, 0, self->len);
		munmap(map, len);
		munmap(later, len);
		WRITE(0, 0, LEN);
	}
}

/* P5 */
TEST_F(seg, end_of_the_file)
{
	static const int ends[] = { 700, 0, -700, 4096 + 9, -4096 - 9 };
	unsigned int i;

	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		ssize_t end = HALF + ends[i] - self->at;
		ssize_t page = (end + page_size - 1) / page_size * page_size;
		char *map, *shared;

		ASSERT_EQ(0, ftruncate(FD, self->s.start + HALF + ends[i]));
		map = MAP(map_private, 0, self->len);
		shared = MAP(map_shared, 0, self->len);
		EXPECT_MAP(map, 0, 0, end);
		EXPECT_MAP(shared, 0, 0, end);
		ASSERT_EQ(SAME, not_zero(map + end, page - end));
		ASSERT_EQ(SAME, not_zero(shared + end, page - end));
		ASSERT_EQ(BUS, read_byte_or_sigbus(map + page));
		ASSERT_EQ(BUS, read_byte_or_sigbus(shared + page));
		/* It grows, by what is written behind. */
		WRITE(0, LEN - 10, 10);
		ASSERT_EQ(BUS, read_byte_or_sigbus(map + page));
		ASSERT_EQ(SAME, not_zero(shared + end, self->len - end - 1000));
		/* Stores behind the end do not come back. */
		ASSERT_EQ(0, ftruncate(FD, self->s.start + HALF + ends[i]));
		if (page > end)
			memset(shared + end, 'x', page - end);
		ASSERT_EQ(0, ftruncate(FD, self->s.start + LEN));
		ASSERT_EQ(SAME, seg_not_zero(&self->s, HALF + ends[i], HALF - ends[i]));
		ASSERT_EQ(SAME, not_zero(shared + end, self->len - end));
		EXPECT_MAP(map, 0, 0, end);
		munmap(map, self->len);
		munmap(shared, self->len);
		WRITE(0, 0, LEN);
	}
}

/* P8 */
static int look(void *arg)
{
	struct snap *s = arg;

	return differs(s->map, 0, s->fd, s->len) != SAME;
}

TEST_F(seg, of_a_child)
{
	char *map = MAP(map_private, 0, self->len);
	struct snap s = { .map = map, .fd = self->at, .len = self->len };
	struct child c;

	ASSERT_EQ(0, child_start(&c, look, &s));
	WRITE(1, 0, LEN);
	ASSERT_EQ(0, ftruncate(FD, 0));
	munmap(map, self->len);
	ASSERT_EQ(0, child_finish(&c));
}

/* P9, R1 */
TEST_F(seg, grown_and_unmapped)
{
	char *map = MAP(map_private, 0, 2 * page_size);
	long used;

	if (!self->s.dir[0])
		return;
	used = pages_used(self->s.dir);
	WRITE(1, 0, LEN);
	map = mremap(map, 2 * page_size, self->len, MREMAP_MAYMOVE);
	ASSERT_TRUE(mapped(map));
	EXPECT_MAP(map, 0, 0, 2 * page_size);
	EXPECT_MAP(map + 2 * page_size, 1, 2 * page_size, self->len - 3 * page_size);
	WRITE(2, 0, LEN);
	EXPECT_MAP(map, 0, 0, 2 * page_size);
	EXPECT_MAP(map + 2 * page_size, 1, 2 * page_size, self->len - 3 * page_size);
	EXPECT_MAP(map + self->len - page_size, 2, self->len - page_size, page_size);
	ASSERT_EQ(0, munmap(map, self->len));
	ASSERT_EQ(used, pages_used(self->s.dir));
	map = MAP(map_private, 0, self->len);
	WRITE(3, 0, LEN);
	ASSERT_EQ(0, munmap(map + page_size, self->len - 2 * page_size));
	ASSERT_LE(pages_used(self->s.dir), used + 2);
	EXPECT_MAP(map, 2, 0, page_size);
	EXPECT_MAP(map + self->len - page_size, 2, self->len - page_size, page_size);
	ASSERT_EQ(0, munmap(map, page_size));
	ASSERT_EQ(0, munmap(map + self->len - page_size, page_size));
	ASSERT_EQ(used, pages_used(self->s.dir));
}

TEST_F(seg, outlives_the_file)
{
	char *map = MAP(map_private, 0, self->len);
	char *shared = MAP(map_shared, 0, self->len);

	WRITE(1, 0, LEN);
	close(self->s.win);
	self->s.win = -1;
	snap_destroy(&self->s.s);
	EXPECT_MAP(map, 0, 0, self->len);
	EXPECT_MAP(shared, 1, 0, self->len);
	gen_fill(shared, 2, self->at, self->len);
	EXPECT_MAP(map, 0, 0, self->len);
	munmap(map, self->len);
	munmap(shared, self->len);
	if (self->s.dir[0])
		ASSERT_EQ(0, pages_used(self->s.dir));
}

/* The file itself, where mmap() can name the place. */
TEST_F(seg, direct)
{
	char *map, *shared, *win;

	if (sizeof(long) == 4 && self->s.start >= (off_t)1 << 42)
		return;
	map = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, FD, self->s.start);
	ASSERT_TRUE(mapped(map));
	shared = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, FD, self->s.start);
	ASSERT_TRUE(mapped(shared));
	win = MAP(map_shared, 0, self->len);
	gen_fill(shared, 1, 0, LEN);
	EXPECT_MAP(win, 1, 0, self->len);
	EXPECT_FILE(1, 0, LEN);
	ASSERT_EQ(SAME, differs(map, 0, 0, LEN));
	gen_fill(win, 2, self->at, self->len);
	ASSERT_EQ(SAME, differs(shared + self->at, 2, self->at, self->len));
	munmap(map, LEN);
	map = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE, FD, self->s.start + HALF);
	ASSERT_TRUE(mapped(map));
	WRITE(3, 0, LEN);
	ASSERT_EQ(SAME, differs(map + self->at, 2, HALF + self->at, page_size - self->at));
	ASSERT_EQ(SAME, differs(shared, 3, 0, LEN));
}

/* Several processes with a mapping each. */
static int store_all(void *arg)
{
	struct snap *s = arg;

	gen_fill(s->map, 5, s->fd, s->len);
	return 0;
}

TEST_F(seg, shared_between_processes)
{
	char *map = MAP(map_shared, 0, self->len);
	struct snap s = { .map = map, .fd = self->at, .len = self->len };

	EXPECT_MAP(map, 0, 0, self->len);
	ASSERT_EQ(0, run_child(store_all, &s));
	EXPECT_MAP(map, 5, 0, self->len);
	EXPECT_FILE(5, self->at, self->len);
}

/*
 * P3: one writer, who writes a number to a page before the border, and then to
 * one behind it, by one way or the other.
 */
struct writer {
	struct seg *s;
	char *map;
	ssize_t at;
	long n;
	bool stop;
	bool failed;
};

static void *write_both(void *arg)
{
	struct writer *w = arg;
	int half = HALF / page_size, by;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		long n = w->n + 1;
		int i;

		for (i = 0; i < 2; i++) {
			off_t at = w->at + (half - 2 + 3 * i) * page_size;

			by = (n / 3 + i * n) % 2;
			if (by)
				__atomic_store_n((long *)(w->map + at - w->at), n,
						 __ATOMIC_RELEASE);
			else if (pwrite(w->s->s.fd, &n, sizeof(n), w->s->start + at) !=
				 sizeof(n))
				w->failed = true;
		}
		__atomic_store_n(&w->n, n, __ATOMIC_RELEASE);
	}
	return NULL;
}

TEST_F(seg, one_instant)
{
	struct writer w = { .s = &self->s, .at = self->at };
	int half = HALF / page_size;
	long end = now_ms() + stress_ms() / 4, last = 0;
	pthread_t thread;
	int i = 0;

	WRITE(0, 0, LEN);
	w.map = MAP(map_shared, 0, self->len);
	memset(w.map, 0, self->len);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_both, &w));
	while (now_ms() < end || last < 3) {
		long before = __atomic_load_n(&w.n, __ATOMIC_ACQUIRE), a, b;
		char *map = MAP(map_private, 0, self->len);
		long after;

		if (i++ % 2) {
			b = *(long *)(map + (half + 1) * page_size);
			usleep(100);
			a = *(long *)(map + (half - 2) * page_size);
		} else {
			a = *(long *)(map + (half - 2) * page_size);
			usleep(100);
			b = *(long *)(map + (half + 1) * page_size);
		}
		after = __atomic_load_n(&w.n, __ATOMIC_ACQUIRE);
		ASSERT_LE(before, b);
		ASSERT_LE(b, a);
		ASSERT_LE(a, b + 1);
		ASSERT_LE(a, after + 1);
		ASSERT_LE(last, b);
		last = b;
		munmap(map, self->len);
		ASSERT_LT(now_ms(), end + 60000);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ASSERT_FALSE(w.failed);
}

/* R4: without snapshots, truncation takes own stores as well, also across a border. */
TEST(live)
{
	struct seg s = {};
	char *map, *win;

	ASSERT_EQ(0, seg_create(&s, "segment=16k,private=live", 3 * 16384));
	s.win = window(s.s.fd, s.start + 512, 0);
	map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, s.s.fd, s.start);
	ASSERT_TRUE(mapped(map));
	win = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, s.win, 0);
	ASSERT_TRUE(mapped(win));
	ASSERT_EQ(LEN, seg_write(&s, 1, 0, LEN));
	ASSERT_EQ(SAME, differs(map, 1, 0, LEN));
	ASSERT_EQ(SAME, differs(win, 1, 512, LEN - 512));
	map[HALF + page_size] = 'x';
	win[HALF + page_size] = 'x';
	ASSERT_EQ(0, ftruncate(s.s.fd, s.start + HALF));
	ASSERT_EQ(SAME, differs(map, 1, 0, HALF));
	ASSERT_EQ(BUS, read_byte_or_sigbus(map + HALF + page_size));
	ASSERT_EQ(BUS, read_byte_or_sigbus(win + HALF + page_size));
	seg_destroy(&s);
}

TEST_HARNESS_MAIN
