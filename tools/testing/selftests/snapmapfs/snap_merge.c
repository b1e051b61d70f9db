// SPDX-License-Identifier: GPL-2.0
/*
 * P8: two mappings with different instants never become one, however well they
 * would fit together in memory and in the file. One half of a merged mapping
 * would show the instant of the other.
 */
#include "snap.h"

#define PAGES	12
#define PART	4

FIXTURE(neighbours)
{
	struct snap s;
	char *at;	/* room for the whole file */
};

FIXTURE_VARIANT(neighbours)
{
	bool touch;
};

FIXTURE_VARIANT_ADD(neighbours, touched)
{
	.touch = true,
};

FIXTURE_VARIANT_ADD(neighbours, untouched)
{
	.touch = false,
};

FIXTURE_SETUP(neighbours)
{
	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->at = reserve(self->s.len);
	ASSERT_TRUE(mapped(self->at));
}

FIXTURE_TEARDOWN(neighbours)
{
	snap_destroy(&self->s);
}

/* Part @n of the file at its place, where it adjoins the other parts. */
static bool map_part(struct snap *s, char *at, int n, int prot, bool do_touch)
{
	ssize_t off = n * PART * page_size, len = PART * page_size;
	char *p = mmap(at + off, len, prot, MAP_PRIVATE | MAP_FIXED, s->fd,
		       off);

	return mapped(p) && (!do_touch || touch(p, len) == SAME);
}

static ssize_t part_differs(const char *at, int n, unsigned int gen)
{
	ssize_t off = n * PART * page_size;

	return differs(at + off, gen, off, PART * page_size);
}

static ssize_t rewrite(struct snap *s, unsigned int gen)
{
	return write_gen(s->fd, gen, 0, s->len);
}

TEST_F(neighbours, above)
{
	ASSERT_TRUE(map_part(&self->s, self->at, 0, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(map_part(&self->s, self->at, 1, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 1));
}

TEST_F(neighbours, below)
{
	ASSERT_TRUE(map_part(&self->s, self->at, 1, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(map_part(&self->s, self->at, 0, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 1));
}

/* The third fills the gap between two that are older. */
TEST_F(neighbours, between)
{
	ASSERT_TRUE(map_part(&self->s, self->at, 0, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(map_part(&self->s, self->at, 2, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_TRUE(map_part(&self->s, self->at, 1, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 3));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 2));
	ASSERT_EQ(SAME, part_differs(self->at, 2, 1));
}

/* Nothing lies between the instants of the first two; they may be one. */
TEST_F(neighbours, unchanged_between)
{
	ASSERT_TRUE(map_part(&self->s, self->at, 0, PROT_READ, variant->touch));
	ASSERT_TRUE(map_part(&self->s, self->at, 1, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(map_part(&self->s, self->at, 2, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 2, 1));
	ASSERT_EQ(0, munmap(self->at, PART * page_size));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 3));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 0));
}

/* Equal protection again is when the kernel tries to merge. */
TEST_F(neighbours, protection_toggled_across)
{
	const ssize_t len = PART * page_size;
	int i;

	ASSERT_TRUE(map_part(&self->s, self->at, 0, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(map_part(&self->s, self->at, 1, PROT_READ, variant->touch));
	for (i = 2; i < 10; i++) {
		ASSERT_EQ(self->s.len, rewrite(&self->s, i));
		/* The upper half of one and the lower half of the other. */
		ASSERT_EQ(0, mprotect(self->at + len / 2, len, PROT_NONE));
		ASSERT_EQ(0, mprotect(self->at + len / 2, len, PROT_READ));
		ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
		ASSERT_EQ(SAME, part_differs(self->at, 1, 1));
	}
}

/*
 * Part of the second takes the protection of the first: the border between the
 * two could move over it.
 */
TEST_F(neighbours, half_protected_like_the_other)
{
	const ssize_t len = PART * page_size;

	ASSERT_TRUE(map_part(&self->s, self->at, 0, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(map_part(&self->s, self->at, 1, PROT_READ | PROT_WRITE,
			     variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(0, mprotect(self->at + len, len / 2, PROT_READ));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 3));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 1));
}

TEST_F(neighbours, other_half_protected_like_the_other)
{
	const ssize_t len = PART * page_size;

	ASSERT_TRUE(map_part(&self->s, self->at, 0, PROT_READ | PROT_WRITE,
			     variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(map_part(&self->s, self->at, 1, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(0, mprotect(self->at + len / 2, len / 2, PROT_READ));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 3));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 1));
}

/* Both with private pages, which is another road to merging. */
TEST_F(neighbours, both_stored_into)
{
	const ssize_t len = PART * page_size;

	ASSERT_TRUE(map_part(&self->s, self->at, 0, PROT_READ | PROT_WRITE,
			     variant->touch));
	self->at[0] = gen_byte(0, 0);
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(map_part(&self->s, self->at, 1, PROT_READ | PROT_WRITE,
			     variant->touch));
	self->at[len] = gen_byte(1, len);
	ASSERT_EQ(0, mprotect(self->at, 2 * len, PROT_READ));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(0, madvise(self->at, 2 * len, MADV_DONTNEED));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 1));
}

/* A mapping moved to where it continues another. */
TEST_F(neighbours, moved_together)
{
	const ssize_t len = PART * page_size;
	char *far = reserve(self->s.len), *p;

	ASSERT_TRUE(map_part(&self->s, self->at, 0, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(map_part(&self->s, far, 1, PROT_READ, variant->touch));
	p = mremap(far + len, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
		   self->at + len);
	ASSERT_TRUE(mapped(p));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 1));
}

/* A part unmapped and mapped anew has the new instant, its sides the old. */
TEST_F(neighbours, middle_mapped_anew)
{
	const ssize_t len = PART * page_size;
	char *p;

	p = mmap(self->at, self->s.len, PROT_READ, MAP_PRIVATE | MAP_FIXED,
		 self->s.fd, 0);
	ASSERT_TRUE(mapped(p));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(p, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, munmap(self->at + len, len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_TRUE(map_part(&self->s, self->at, 1, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 3));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 2));
	ASSERT_EQ(SAME, part_differs(self->at, 2, 0));
}

/* MAP_FIXED over part of an older mapping. */
TEST_F(neighbours, mapped_over)
{
	char *p;

	p = mmap(self->at, self->s.len, PROT_READ, MAP_PRIVATE | MAP_FIXED,
		 self->s.fd, 0);
	ASSERT_TRUE(mapped(p));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(p, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_TRUE(map_part(&self->s, self->at, 1, PROT_READ, variant->touch));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 1));
	ASSERT_EQ(SAME, part_differs(self->at, 2, 0));
}

/* A shared mapping next to private ones stays live, and they frozen. */
TEST_F(neighbours, shared_between)
{
	const ssize_t len = PART * page_size;
	char *p;

	ASSERT_TRUE(map_part(&self->s, self->at, 0, PROT_READ, variant->touch));
	ASSERT_TRUE(map_part(&self->s, self->at, 2, PROT_READ, variant->touch));
	p = mmap(self->at + len, len, PROT_READ, MAP_SHARED | MAP_FIXED,
		 self->s.fd, len);
	ASSERT_TRUE(mapped(p));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, part_differs(self->at, 0, 0));
	ASSERT_EQ(SAME, part_differs(self->at, 1, 1));
	ASSERT_EQ(SAME, part_differs(self->at, 2, 0));
}

/* Twelve neighbours of twelve instants. */
TEST_F(neighbours, a_page_each)
{
	int i;

	for (i = 0; i < PAGES; i++) {
		ssize_t off = i * page_size;
		char *p;

		ASSERT_EQ(self->s.len, rewrite(&self->s, i));
		p = mmap(self->at + off, page_size, PROT_READ,
			 MAP_PRIVATE | MAP_FIXED, self->s.fd, off);
		ASSERT_TRUE(mapped(p));
		if (variant->touch)
			ASSERT_EQ(SAME, touch(p, page_size));
	}
	ASSERT_EQ(self->s.len, rewrite(&self->s, PAGES));
	ASSERT_EQ(0, mprotect(self->at, self->s.len, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, mprotect(self->at, self->s.len, PROT_READ));
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(SAME, differs(self->at + i * page_size, i,
					i * page_size, page_size));
}

TEST_HARNESS_MAIN
