// SPDX-License-Identifier: GPL-2.0
/*
 * P2: every mapping has an instant of its own, and any number of them live side
 * by side.
 */
#include "snap.h"

#define PAGES	4
#define GENS	50

FIXTURE(generations)
{
	struct snap s;
	ssize_t len;
	char *map[GENS];
};

FIXTURE_VARIANT(generations)
{
	bool touch;
};

FIXTURE_VARIANT_ADD(generations, touched)
{
	.touch = true,
};

FIXTURE_VARIANT_ADD(generations, untouched)
{
	.touch = false,
};

FIXTURE_SETUP(generations)
{
	self->len = PAGES * page_size;
	ASSERT_EQ(0, snap_create(&self->s, self->len));
}

FIXTURE_TEARDOWN(generations)
{
	snap_destroy(&self->s);
}

/* Numbers 0..@n - 1 in an order that is always the same and looks random. */
static void shuffle(int *order, int n)
{
	unsigned int seed = 12345;
	int i;

	for (i = 0; i < n; i++) {
		int j;

		seed = seed * 1103515245 + 12345;
		j = (seed >> 16) % (i + 1);
		order[i] = order[j];
		order[j] = i;
	}
}

/* Mapping i is of generation i. */
static void map_generations(struct __test_metadata *_metadata, struct snap *s,
			    char **map, int n, bool do_touch)
{
	int i;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(s->len, write_gen(s->fd, i, 0, s->len));
		map[i] = map_private(s->fd, 0, s->len);
		ASSERT_TRUE(mapped(map[i]));
		if (do_touch)
			ASSERT_EQ(SAME, touch(map[i], s->len));
	}
}

TEST_F(generations, in_random_order)
{
	int order[GENS], i;

	map_generations(_metadata, &self->s, self->map, GENS,
			variant->touch);
	ASSERT_EQ(self->len, write_gen(self->s.fd, GENS, 0, self->len));
	shuffle(order, GENS);
	for (i = 0; i < GENS; i++)
		ASSERT_EQ(SAME, differs(self->map[order[i]], order[i], 0,
					self->len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, GENS, 0, self->len));
}

/* What a mapping needed goes with it, and nothing else does. */
TEST_F(generations, every_second_unmapped)
{
	int order[GENS], i;

	map_generations(_metadata, &self->s, self->map, GENS,
			variant->touch);
	for (i = 0; i < GENS; i += 2)
		ASSERT_EQ(0, munmap(self->map[i], self->len));
	ASSERT_EQ(self->len, write_gen(self->s.fd, GENS, 0, self->len));
	shuffle(order, GENS);
	for (i = 0; i < GENS; i++)
		if (order[i] % 2)
			ASSERT_EQ(SAME, differs(self->map[order[i]], order[i],
						0, self->len));
}

TEST_F(generations, unmapped_in_random_order)
{
	int order[GENS], i, j;

	map_generations(_metadata, &self->s, self->map, GENS,
			variant->touch);
	shuffle(order, GENS);
	for (i = 0; i < GENS; i++) {
		ASSERT_EQ(SAME, differs(self->map[order[i]], order[i], 0,
					self->len));
		ASSERT_EQ(0, munmap(self->map[order[i]], self->len));
		if (i % 10)
			continue;
		for (j = i + 1; j < GENS; j++)
			ASSERT_EQ(SAME, differs(self->map[order[j]], order[j],
						0, self->len));
	}
}

/* New ones come while old ones go. */
TEST_F(generations, sliding_window)
{
	int i, j;

	for (i = 0; i < 3 * GENS; i++) {
		char **slot = &self->map[i % 10];

		if (i >= 10)
			ASSERT_EQ(0, munmap(*slot, self->len));
		ASSERT_EQ(self->len, write_gen(self->s.fd, i, 0, self->len));
		*slot = map_private(self->s.fd, 0, self->len);
		ASSERT_TRUE(mapped(*slot));
		if (variant->touch)
			ASSERT_EQ(SAME, touch(*slot, self->len));
		if (i % 7)
			continue;
		for (j = i; j >= 0 && j > i - 10; j--)
			ASSERT_EQ(SAME, differs(self->map[j % 10], j, 0,
						self->len));
	}
}

/* Each change touches one page: a mapping is made of many ages. */
TEST_F(generations, one_page_at_a_time)
{
	int i, p;

	for (i = 0; i < GENS; i++) {
		ssize_t off = i % PAGES * page_size;

		ASSERT_EQ(page_size, write_gen(self->s.fd, i + 1, off,
					       page_size));
		self->map[i] = map_private(self->s.fd, 0, self->len);
		ASSERT_TRUE(mapped(self->map[i]));
		if (variant->touch)
			ASSERT_EQ(SAME, touch(self->map[i], self->len));
	}
	for (p = 0; p < PAGES; p++)
		ASSERT_EQ(page_size, write_gen(self->s.fd, 99, p * page_size,
					       page_size));
	for (i = 0; i < GENS; i++) {
		for (p = 0; p < PAGES; p++) {
			ssize_t off = p * page_size;
			/* The last change of p up to and including i. */
			int gen = i - (i - p + PAGES) % PAGES + 1;

			ASSERT_EQ(SAME, differs(self->map[i] + off,
						gen < 1 ? 0 : gen, off,
						page_size));
		}
	}
}

/* Many mappings of one instant, dropped while the file changes. */
TEST_F(generations, of_an_unchanged_file)
{
	int i;

	for (i = 0; i < GENS; i++) {
		self->map[i] = map_private(self->s.fd, 0, self->len);
		ASSERT_TRUE(mapped(self->map[i]));
		if (variant->touch)
			ASSERT_EQ(SAME, touch(self->map[i], self->len));
	}
	for (i = 0; i < GENS; i++) {
		ASSERT_EQ(self->len, write_gen(self->s.fd, i + 1, 0,
					       self->len));
		ASSERT_EQ(SAME, differs(self->map[i], 0, 0, self->len));
		ASSERT_EQ(0, munmap(self->map[i], self->len));
	}
}

/* A rewrite with the very same bytes, an fsync and a chmod are no new bytes. */
TEST_F(generations, changes_without_change)
{
	map_generations(_metadata, &self->s, self->map, 2, variant->touch);
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(0, fsync(self->s.fd));
	ASSERT_EQ(0, fchmod(self->s.fd, 0644));
	ASSERT_EQ(SAME, differs(self->map[0], 0, 0, self->len));
	ASSERT_EQ(SAME, differs(self->map[1], 1, 0, self->len));
}

/* Different parts of a file at different times, in one process. */
TEST_F(generations, of_different_ranges)
{
	ssize_t off;
	int i;

	for (i = 0; i < PAGES; i++) {
		off = i * page_size;
		ASSERT_EQ(self->len, write_gen(self->s.fd, i, 0, self->len));
		self->map[i] = map_private(self->s.fd, off, page_size);
		ASSERT_TRUE(mapped(self->map[i]));
		if (variant->touch)
			ASSERT_EQ(SAME, touch(self->map[i], page_size));
	}
	ASSERT_EQ(self->len, write_gen(self->s.fd, 9, 0, self->len));
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(SAME, differs(self->map[i], i, i * page_size,
					page_size));
}

/*
 * A version is shared by mappings of different ranges: the one that outlives
 * the others keeps it.
 */
TEST_F(generations, overlapping_ranges_dropped_in_turn)
{
	char *head, *all, *tail;

	head = map_private(self->s.fd, 0, 2 * page_size);
	all = map_private(self->s.fd, 0, self->len);
	tail = map_private(self->s.fd, page_size, 3 * page_size);
	ASSERT_TRUE(mapped(head) && mapped(all) && mapped(tail));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(all, self->len));
	ASSERT_EQ(self->len, write_gen(self->s.fd, 1, 0, self->len));
	ASSERT_EQ(0, munmap(all, self->len));
	ASSERT_EQ(SAME, differs(head, 0, 0, 2 * page_size));
	ASSERT_EQ(SAME, differs(tail, 0, page_size, 3 * page_size));
	ASSERT_EQ(0, munmap(head, 2 * page_size));
	ASSERT_EQ(SAME, differs(tail, 0, page_size, 3 * page_size));
	ASSERT_EQ(self->len, write_gen(self->s.fd, 2, 0, self->len));
	ASSERT_EQ(SAME, differs(tail, 0, page_size, 3 * page_size));
}

/*
 * The page changes for a new generation while an older one is still there that
 * does not cover it.
 */
TEST_F(generations, version_moves_to_the_older_mapping)
{
	char *old = map_private(self->s.fd, 0, self->len), *new;

	ASSERT_TRUE(mapped(old));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, 0, page_size));
	new = map_private(self->s.fd, 0, self->len);
	ASSERT_TRUE(mapped(new));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 2, 2 * page_size,
				       page_size));
	/* Both need the old page 2; filed for the newer, it must not go. */
	ASSERT_EQ(0, munmap(new, self->len));
	ASSERT_EQ(SAME, differs(old, 0, 0, self->len));
}

TEST_HARNESS_MAIN
