// SPDX-License-Identifier: GPL-2.0
/*
 * W4: pages of a window that are loaded in a row are made several at a time. Only those
 * that a load may want soon, and none that show anything but what the file holds.
 */
#include "win.h"

#include <linux/falloc.h>

#define PAGES	64
#define LEN	(PAGES * page_size)
#define AROUND	16	/* pages that the kernel maps with one fault */
#define SHIFT	(2 * BLOCK)

/* Pages from 0 to before @n. */
#define FIRST(n)	(((uint64_t)1 << (n)) - 1)

FIXTURE(ahead)
{
	struct snap s;
	int win;
	char *all;	/* a mapping that nobody loads from */
};

FIXTURE_VARIANT(ahead)
{
	int flags;
};

FIXTURE_VARIANT_ADD(ahead, private)
{
	.flags = MAP_PRIVATE,
};

FIXTURE_VARIANT_ADD(ahead, shared)
{
	.flags = MAP_SHARED,
};

FIXTURE_SETUP(ahead)
{
	ASSERT_EQ(0, snap_create(&self->s, LEN + page_size));
	self->win = window(self->s.fd, SHIFT, 0);
	ASSERT_LE(0, self->win);
	self->all = map_shared(self->win, 0, LEN);
	ASSERT_TRUE(mapped(self->all));
}

FIXTURE_TEARDOWN(ahead)
{
	munmap(self->all, LEN);
	close(self->win);
	snap_destroy(&self->s);
}

/* Where the kernel maps around a fault by the address, too. */
static char *map_aligned(int fd, int flags, int pages)
{
	ssize_t align = AROUND * page_size;
	char *room = reserve((pages + 2 * AROUND) * page_size);

	if (!mapped(room))
		return room;
	room += -(uintptr_t)room % align;
	return mmap(room, pages * page_size, PROT_READ, flags | MAP_FIXED, fd, 0);
}

#define MAP(fd, pages) ({					\
	char *__map = map_aligned(fd, variant->flags, pages);	\
								\
	ASSERT_TRUE(mapped(__map));				\
	__map;							\
})

#define LOAD(map, page) \
	ASSERT_EQ(gen_byte(0, SHIFT + (page) * page_size), \
		  read_byte_or_sigbus((map) + (page) * page_size))

/* The pages of the window that there are, a bit for each. */
static uint64_t made(char *all)
{
	unsigned char core[PAGES];
	uint64_t pages = 0;
	int i;

	if (mincore(all, LEN, core))
		return ~0ULL;
	for (i = 0; i < PAGES; i++)
		pages |= (uint64_t)(core[i] & 1) << i;
	return pages;
}

#define MADE(pages) \
	ASSERT_EQ((uint64_t)(pages), made(self->all))

TEST_F(ahead, in_a_row)
{
	char *map = MAP(self->win, PAGES);
	int i;

	MADE(0);
	LOAD(map, 0);
	MADE(1);
	for (i = 1; i < AROUND; i++) {
		LOAD(map, i);
		MADE(FIRST(AROUND));
	}
	LOAD(map, AROUND);
	MADE(FIRST(2 * AROUND));
	ASSERT_EQ(SAME, differs(map, 0, SHIFT, LEN));
	MADE(~0ULL);
	/* They are no better than others. */
	ASSERT_EQ(LEN, write_gen(self->s.fd, 1, 0, LEN));
	ASSERT_EQ(SAME, differs(map, variant->flags == MAP_SHARED, SHIFT, LEN - SHIFT));
	ASSERT_EQ(SAME, differs(self->all, 1, SHIFT, LEN - SHIFT));
}

static int load_a_row(void *map)
{
	int i;

	for (i = 0; i < AROUND; i++)
		if (read_byte_or_sigbus((char *)map + i * page_size) !=
		    gen_byte(0, SHIFT + i * page_size))
			return 1;
	return 0;
}

/* Whoever maps the window has the pages that there are. */
TEST_F(ahead, pages_are_shared)
{
	char *map = MAP(self->win, PAGES), *other;
	long used;

	ASSERT_EQ(0, load_a_row(map));
	MADE(FIRST(AROUND));
	used = pages_used(snap_dir());
	other = MAP(self->win, PAGES);
	ASSERT_EQ(0, load_a_row(other));
	ASSERT_EQ(0, run_child(load_a_row, map));
	ASSERT_EQ(0, run_child(load_a_row, other));
	MADE(FIRST(AROUND));
	ASSERT_EQ(used, pages_used(snap_dir()));
}

TEST_F(ahead, not_here_and_there)
{
	char *map = MAP(self->win, PAGES);

	LOAD(map, 5);
	LOAD(map, 20);
	LOAD(map, 18);
	MADE(1 << 5 | 1 << 18 | 1 << 20);
	ASSERT_EQ(0, madvise(map, LEN, MADV_RANDOM));
	LOAD(map, 6);
	LOAD(map, 7);
	MADE(7 << 5 | 1 << 18 | 1 << 20);
}

TEST_F(ahead, not_for_stores)
{
	char *map = MAP(self->win, PAGES);
	int i;

	ASSERT_EQ(0, mprotect(map, LEN, PROT_READ | PROT_WRITE));
	for (i = 0; i < 3; i++)
		map[i * page_size] = 'x';
	MADE(FIRST(3));
}

TEST_F(ahead, not_behind_the_mapping)
{
	char *map = MAP(self->win, 6);

	LOAD(map, 0);
	LOAD(map, 1);
	MADE(FIRST(6));
}

TEST_F(ahead, not_behind_the_window)
{
	int win = window(self->s.fd, SHIFT, 5 * page_size);
	char *map;

	ASSERT_LE(0, win);
	map = MAP(win, AROUND);
	LOAD(map, 0);
	LOAD(map, 1);
	MADE(FIRST(5));
	ASSERT_EQ(BUS, read_byte_or_sigbus(map + 5 * page_size));
	close(win);
}

TEST_F(ahead, not_behind_the_end)
{
	bool shared;
	char *map;

	ASSERT_EQ(0, ftruncate(self->s.fd, 9 * page_size + SHIFT + 100));
	map = MAP(self->win, AROUND);
	LOAD(map, 0);
	LOAD(map, 1);
	MADE(FIRST(10));
	ASSERT_EQ(SAME, differs(map, 0, SHIFT, 9 * page_size + 100));
	ASSERT_EQ(SAME, not_zero(map + 9 * page_size + 100, page_size - 100));
	ASSERT_EQ(BUS, read_byte_or_sigbus(map + 10 * page_size));
	ASSERT_EQ(LEN, write_gen(self->s.fd, 1, 0, LEN));
	shared = variant->flags == MAP_SHARED;
	ASSERT_EQ(SAME, differs(map, shared, SHIFT,
				shared ? AROUND * page_size : 9 * page_size + 100));
}

/* Zeros need no page. */
TEST_F(ahead, not_past_a_hole)
{
	char *map;

	ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       6 * page_size, 4 * page_size));
	map = MAP(self->win, PAGES);
	LOAD(map, 0);
	LOAD(map, 1);
	MADE(FIRST(6));
	ASSERT_EQ(SAME, differs(map, 0, SHIFT, 6 * page_size - SHIFT));
	ASSERT_EQ(SAME, not_zero(map + 6 * page_size - SHIFT, 4 * page_size));
	ASSERT_EQ(SAME, differs(map + 10 * page_size - SHIFT, 0, 10 * page_size,
				LEN - 10 * page_size));
	/* What is no hole any more. */
	ASSERT_EQ(4 * page_size, write_gen(self->s.fd, 1, 6 * page_size, 4 * page_size));
	ASSERT_EQ(SAME, differs(self->all + 6 * page_size - SHIFT, 1, 6 * page_size,
				4 * page_size));
}

/*
 * Nobody loses a page that he is storing into for one that may be of use. The private mapping
 * has a version of it, so that the kernel would map no page beside it either.
 */
TEST_F(ahead, not_what_is_stored_into)
{
	int other = window(self->s.fd, 5 * BLOCK, 0);
	char *base = map_shared(self->s.fd, 0, LEN), *lent;
	bool shared = variant->flags == MAP_SHARED;
	char *map = MAP(self->win, PAGES);

	ASSERT_TRUE(mapped(base));
	ASSERT_LE(0, other);
	lent = map_shared(other, 0, LEN);
	ASSERT_TRUE(mapped(lent));
	base[8 * page_size] = 'x';
	lent[21 * page_size] = 'y';
	LOAD(map, 0);
	LOAD(map, 1);
	MADE(FIRST(shared ? 7 : 2));
	LOAD(map, 16);
	LOAD(map, 17);
	MADE(FIRST(shared ? 7 : 2) | FIRST(shared ? 4 : 2) << 16);
	base[8 * page_size + 1] = 'z';
	ASSERT_EQ(shared ? 'x' : gen_byte(0, 8 * page_size),
		  read_byte_or_sigbus(map + 8 * page_size - SHIFT));
	ASSERT_EQ('z', read_byte_or_sigbus(self->all + 8 * page_size - SHIFT + 1));
	ASSERT_EQ('y', read_byte_or_sigbus(self->all + 21 * page_size + 3 * BLOCK));
	munmap(base, LEN);
	munmap(lent, LEN);
	close(other);
}

/* A page of which a snapshot has a version of its own is not what it will map. */
TEST_F(ahead, not_for_an_older_snapshot)
{
	char *map = MAP(self->win, PAGES);

	ASSERT_EQ(LEN, write_gen(self->s.fd, 1, 0, LEN));
	if (variant->flags == MAP_SHARED)
		return;
	ASSERT_EQ(SAME, differs(map, 0, SHIFT, LEN));
	MADE(0);
}

#define READERS	4

struct reader {
	pthread_t thread;
	char *map;
	int win;
	bool private;
	long *stop;
	long rounds;
	const char *failed;
};

/* Loads in a row, in the order in which pages are made ahead. */
static void load_all(char *map, unsigned char *to)
{
	int i;

	for (i = 0; i < PAGES; i++) {
		ssize_t byte = read_byte_or_sigbus(map + i * page_size);

		if (to)
			to[i] = byte == BUS ? 0 : byte;
	}
}

static void *read_on(void *arg)
{
	struct reader *r = arg;
	unsigned char a[PAGES], b[PAGES];

	while (!__atomic_load_n(r->stop, __ATOMIC_RELAXED) && !r->failed) {
		if (r->private) {
			char *map = map_private(r->win, 0, LEN);

			if (!mapped(map)) {
				r->failed = "mmap";
				break;
			}
			load_all(map, a);
			if (madvise(map, LEN, MADV_DONTNEED))
				r->failed = "madvise";
			load_all(map, b);
			if (memcmp(a, b, PAGES))
				r->failed = "a snapshot has changed";
			munmap(map, LEN);
		} else {
			load_all(r->map, NULL);
		}
		r->rounds++;
	}
	return NULL;
}

static bool change(int fd, char *base, unsigned int gen, unsigned int how)
{
	ssize_t at = how / 64 % PAGES * page_size, len = LEN - at;
	int i;

	switch (how % 6) {
	case 0:
		return !ftruncate(fd, at) && write_gen(fd, gen, at, len) == len &&
		       !ftruncate(fd, LEN + page_size);
	case 1:
		return !ftruncate(fd, at + 100) && !ftruncate(fd, LEN + page_size);
	case 2:
		return !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len);
	case 3:
		for (i = 0; i < PAGES; i++)
			__atomic_store_n(base + i * page_size + how % 4096, gen,
					 __ATOMIC_RELAXED);
		return true;
	default:
		for (i = 0; i < PAGES; i++)
			if (write_gen(fd, gen, i * page_size, page_size) != page_size)
				return false;
		return true;
	}
}

/* After each change the views hold what the file does, whatever was being made then. */
TEST_F(ahead, while_the_file_changes)
{
	struct reader readers[READERS] = {};
	long end = now_ms() + stress_ms(), stop = 0;
	char *base = map_shared(self->s.fd, 0, LEN), *now = alloc(LEN);
	unsigned int gen, how = 1;
	int i;

	ASSERT_TRUE(mapped(base));
	for (i = 0; i < READERS; i++) {
		struct reader *r = &readers[i];

		r->win = window(self->s.fd, (1 + i / 2) * SHIFT, 0);
		ASSERT_LE(0, r->win);
		r->map = map_shared(r->win, 0, LEN);
		ASSERT_TRUE(mapped(r->map));
		r->private = i % 2 && variant->flags == MAP_PRIVATE;
		r->stop = &stop;
		ASSERT_EQ(0, pthread_create(&r->thread, NULL, read_on, r));
	}
	for (gen = 1; now_ms() < end; gen++) {
		how = how * 1103515245 + 12345;
		ASSERT_TRUE(change(self->s.fd, base, gen, how / 65536)) TH_LOG("%m");
		for (i = 0; i < READERS; i += 2) {
			ssize_t at = (1 + i / 2) * SHIFT, off;

			ASSERT_EQ(LEN, pread(self->s.fd, now, LEN, at));
			for (off = 0; off < LEN; off += 128)
				ASSERT_EQ(now[off],
					  __atomic_load_n(readers[i].map + off, __ATOMIC_RELAXED))
					TH_LOG("change %u (%u), at %zd", gen, how / 65536, off);
		}
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		ASSERT_EQ(NULL, readers[i].failed) TH_LOG("%d: %s", i, readers[i].failed);
		ASSERT_LT(0, readers[i].rounds);
	}
	free(now);
	munmap(base, LEN);
}

TEST_HARNESS_MAIN
