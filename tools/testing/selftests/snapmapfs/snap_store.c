// SPDX-License-Identifier: GPL-2.0
/*
 * P4 for stores through shared mappings, of this and other processes: a store
 * is a change of the file like any write, though no system call announces it.
 */
#include "snap.h"

#include <linux/falloc.h>

#define PAGES 8

FIXTURE(store)
{
	struct snap s;
	char *shared;
};

FIXTURE_VARIANT(store)
{
	bool touch;	/* the private mapping is */
	bool dirty;	/* the shared one is writable in the page tables at T */
};

FIXTURE_VARIANT_ADD(store, touched_clean)
{
	.touch = true,
	.dirty = false,
};

FIXTURE_VARIANT_ADD(store, touched_dirty)
{
	.touch = true,
	.dirty = true,
};

FIXTURE_VARIANT_ADD(store, untouched_clean)
{
	.touch = false,
	.dirty = false,
};

FIXTURE_VARIANT_ADD(store, untouched_dirty)
{
	.touch = false,
	.dirty = true,
};

FIXTURE_SETUP(store)
{
	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->shared = map_shared(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->shared));
	if (variant->dirty)
		gen_fill(self->shared, 0, 0, self->s.len);
	self->s.map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->s.map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
}

FIXTURE_TEARDOWN(store)
{
	snap_destroy(&self->s);
}

/* The file is of generation @gen, and the mapping still of generation 0. */
static void check(struct __test_metadata *_metadata, const struct snap *s,
		  unsigned int gen)
{
	ASSERT_EQ(SAME, file_differs(s->fd, gen, 0, s->len));
	ASSERT_EQ(SAME, differs(s->map, 0, 0, s->len));
}

TEST_F(store, into_every_page)
{
	gen_fill(self->shared, 1, 0, self->s.len);
	check(_metadata, &self->s, 1);
}

TEST_F(store, of_one_byte)
{
	self->shared[3 * page_size + 5] ^= 0xff;
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(3 * page_size + 5, file_differs(self->s.fd, 0, 0,
						  self->s.len));
}

TEST_F(store, twice)
{
	gen_fill(self->shared, 2, 0, self->s.len);
	gen_fill(self->shared, 1, 0, self->s.len);
	check(_metadata, &self->s, 1);
}

TEST_F(store, then_write)
{
	gen_fill(self->shared, 1, 0, self->s.len);
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	check(_metadata, &self->s, 2);
	ASSERT_EQ(SAME, differs(self->shared, 2, 0, self->s.len));
}

TEST_F(store, after_write)
{
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	gen_fill(self->shared, 1, 0, self->s.len);
	check(_metadata, &self->s, 1);
}

TEST_F(store, then_truncate)
{
	gen_fill(self->shared, 1, 0, self->s.len);
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(store, after_truncate_and_extend)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	gen_fill(self->shared, 1, 0, self->s.len);
	check(_metadata, &self->s, 1);
}

/* The last page of the file, and what lies behind its end. */
TEST_F(store, behind_the_end)
{
	ssize_t size = self->s.len - 100, tail = self->s.len - page_size;
	char *map;

	ASSERT_EQ(0, ftruncate(self->s.fd, size));
	if (variant->dirty)
		self->shared[tail] = gen_byte(0, tail);
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, self->s.len));
	gen_fill(self->shared + tail, 1, tail, page_size);
	ASSERT_EQ(SAME, not_zero(map + size, 100));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_EQ(SAME, not_zero(map + size, 100));
	ASSERT_EQ(SAME, differs(map, 0, 0, size));
}

/*
 * What was stored behind the end before T is no part of the file at T: there are
 * zeros, as P5 has it.
 */
TEST_F(store, behind_the_end_before)
{
	ssize_t size = self->s.len - 100, tail = self->s.len - page_size;
	char *map;

	ASSERT_EQ(0, ftruncate(self->s.fd, size));
	if (variant->dirty)
		gen_fill(self->shared + tail, 0, tail, page_size);
	else
		gen_fill(self->shared + size, 0, size, 100);
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(SAME, not_zero(map + size, 100));
	ASSERT_EQ(SAME, differs(map, 0, 0, size));
	gen_fill(self->shared + size, 1, size, 100);
	ASSERT_EQ(SAME, not_zero(map + size, 100));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_EQ(SAME, not_zero(map + size, 100));
}

/* A store into a hole makes a page; a mapping from before has none. */
TEST_F(store, into_a_hole)
{
	char *map;

	ASSERT_EQ(0, fallocate(self->s.fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 0, self->s.len));
	if (variant->dirty)
		ASSERT_EQ(SAME, touch(self->shared, self->s.len));
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, self->s.len));
	gen_fill(self->shared, 1, 0, self->s.len);
	ASSERT_EQ(SAME, not_zero(map, self->s.len));
	check(_metadata, &self->s, 1);
}

/* Ten instants, and no system call on the file but the mmap() itself. */
TEST_F(store, between_generations)
{
	char *map[10];
	int i;

	for (i = 0; i < 10; i++) {
		gen_fill(self->shared, i + 1, 0, self->s.len);
		map[i] = map_private(self->s.fd, 0, self->s.len);
		ASSERT_TRUE(mapped(map[i]));
		if (variant->touch)
			ASSERT_EQ(SAME, touch(map[i], self->s.len));
	}
	gen_fill(self->shared, 20, 0, self->s.len);
	for (i = 0; i < 10; i++)
		ASSERT_EQ(SAME, differs(map[i], i + 1, 0, self->s.len));
	check(_metadata, &self->s, 20);
}

static int store_1(void *arg)
{
	struct snap *s = arg;
	char *shared = map_shared(s->fd, 0, s->len);

	gen_fill(shared, 1, 0, s->len);
	return 0;
}

TEST_F(store, of_another_process)
{
	ASSERT_EQ(0, run_child(store_1, &self->s));
	check(_metadata, &self->s, 1);
	ASSERT_EQ(SAME, differs(self->shared, 1, 0, self->s.len));
}

struct inherited {
	char *map;
	ssize_t len;
};

static int store_inherited(void *arg)
{
	struct inherited *i = arg;

	gen_fill(i->map, 1, 0, i->len);
	return 0;
}

/* The child had the page writable before the snapshot. */
TEST_F(store, of_a_child_with_inherited_pages)
{
	struct inherited i = { self->shared, self->s.len };
	struct child c;
	char *map;

	ASSERT_EQ(0, child_start(&c, store_inherited, &i));
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, child_finish(&c));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	check(_metadata, &self->s, 1);
}

/*
 * H7: write protection must take the dirty bit along, or the page tables let a
 * page become writable again without asking the filesystem.
 */
TEST_F(store, after_protection_and_back)
{
	char *map;

	ASSERT_EQ(0, mprotect(self->shared, self->s.len, PROT_READ));
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, mprotect(self->shared, self->s.len,
			      PROT_READ | PROT_WRITE));
	gen_fill(self->shared, 1, 0, self->s.len);
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	check(_metadata, &self->s, 1);
}

TEST_F(store, after_protection_there_and_back)
{
	ASSERT_EQ(0, mprotect(self->shared, self->s.len, PROT_READ));
	ASSERT_EQ(0, mprotect(self->shared, self->s.len,
			      PROT_READ | PROT_WRITE));
	gen_fill(self->shared, 1, 0, self->s.len);
	check(_metadata, &self->s, 1);
}

/* A shared mapping that is made after the private one. */
TEST_F(store, through_a_new_mapping)
{
	char *shared = map_shared(self->s.fd, 0, self->s.len);

	ASSERT_TRUE(mapped(shared));
	gen_fill(shared, 1, 0, self->s.len);
	check(_metadata, &self->s, 1);
	ASSERT_EQ(SAME, differs(self->shared, 1, 0, self->s.len));
}

TEST_F(store, through_a_populated_mapping)
{
	char *map, *shared = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_POPULATE, self->s.fd, 0);

	ASSERT_TRUE(mapped(shared));
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	gen_fill(shared, 1, 0, self->s.len);
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	check(_metadata, &self->s, 1);
}

TEST_F(store, through_a_locked_mapping)
{
	char *map;

	ASSERT_EQ(0, mlock(self->shared, self->s.len));
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	gen_fill(self->shared, 1, 0, self->s.len);
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	check(_metadata, &self->s, 1);
}

TEST_F(store, through_a_moved_mapping)
{
	char *to = reserve(self->s.len);

	to = mremap(self->shared, self->s.len, self->s.len,
		    MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ASSERT_TRUE(mapped(to));
	gen_fill(to, 1, 0, self->s.len);
	check(_metadata, &self->s, 1);
}

TEST_F(store, through_another_offset)
{
	ssize_t off = 2 * page_size, len = 3 * page_size;
	char *shared = map_shared(self->s.fd, off, len);

	ASSERT_TRUE(mapped(shared));
	if (variant->dirty)
		gen_fill(shared, 0, off, len);
	gen_fill(shared, 1, off, len);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, off, len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* The kernel stores on our behalf. */
TEST_F(store, by_read)
{
	char *bytes = alloc(page_size);
	int p[2];

	ASSERT_EQ(0, pipe(p));
	gen_fill(bytes, 1, page_size, page_size);
	ASSERT_EQ(page_size, write(p[1], bytes, page_size));
	ASSERT_EQ(page_size, read(p[0], self->shared + page_size, page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, page_size, page_size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* read() of the file into its own shared mapping. */
TEST_F(store, by_reading_the_file)
{
	char *copy = alloc(page_size);

	ASSERT_EQ(page_size, pread(self->s.fd, self->shared, page_size,
				   page_size));
	ASSERT_EQ(page_size, pread(self->s.fd, copy, page_size, 0));
	ASSERT_EQ(SAME, differs(copy, 0, page_size, page_size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* write() from the private mapping into the file, through the page it frames. */
TEST_F(store, of_what_the_mapping_has)
{
	memcpy(self->shared, self->s.map + page_size, page_size);
	ASSERT_EQ(SAME, differs(self->shared, 0, page_size, page_size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* P6: own stores beside stores of the file. */
TEST_F(store, beside_own_stores)
{
	char *map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			 self->s.fd, 0);

	ASSERT_TRUE(mapped(map));
	map[0] = 'x';
	gen_fill(self->shared, 1, 0, self->s.len);
	map[page_size] = 'y';
	gen_fill(self->shared, 2, 0, self->s.len);
	ASSERT_EQ('x', map[0]);
	ASSERT_EQ('y', map[page_size]);
	ASSERT_EQ(SAME, differs(map + 1, 0, 1, page_size - 1));
	ASSERT_EQ(SAME, differs(map + page_size + 1, 0, page_size + 1,
				self->s.len - page_size - 1));
	check(_metadata, &self->s, 2);
}

TEST_F(store, madv_remove)
{
	ASSERT_EQ(0, madvise(self->shared + page_size, 2 * page_size,
			     MADV_REMOVE));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, page_size, 2 * page_size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	gen_fill(self->shared, 1, 0, self->s.len);
	check(_metadata, &self->s, 1);
}

/* Dropping the pages of a shared mapping drops no change. */
TEST_F(store, then_dontneed)
{
	gen_fill(self->shared, 1, 0, self->s.len);
	ASSERT_EQ(0, madvise(self->shared, self->s.len, MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(self->shared, 1, 0, self->s.len));
	check(_metadata, &self->s, 1);
}

TEST_F(store, then_msync_then_store)
{
	gen_fill(self->shared, 2, 0, self->s.len);
	ASSERT_EQ(0, msync(self->shared, self->s.len, MS_SYNC));
	gen_fill(self->shared, 1, 0, self->s.len);
	check(_metadata, &self->s, 1);
}

/* Unmapped with dirty pages that only the page tables knew of. */
TEST_F(store, then_munmap)
{
	char *map;

	gen_fill(self->shared, 1, 0, self->s.len);
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, munmap(self->shared, self->s.len));
	ASSERT_EQ(SAME, differs(map, 1, 0, self->s.len));
	check(_metadata, &self->s, 1);
}

TEST_F(store, by_atomic_operation)
{
	long *word = (long *)(self->shared + page_size);
	long before = *word;

	__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
	ASSERT_EQ(before, *(long *)(self->s.map + page_size));
	ASSERT_EQ(before + 1, *word);
}

/*
 * R2: at a full filesystem the store that would need a preserved page is a
 * SIGBUS, and nothing has changed.
 */
FIXTURE(full)
{
	char dir[DIR_MAX];
	struct snap s;
	struct snap ballast;
	char *shared;
};

FIXTURE_SETUP(full)
{
	char *page = alloc(page_size);
	off_t off = 0;

	ASSERT_EQ(0, snap_mount(self->dir, "size=1m"));
	ASSERT_EQ(0, snap_create_in(&self->s, self->dir, PAGES * page_size));
	self->shared = map_shared(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->shared));
	gen_fill(self->shared, 0, 0, self->s.len);
	self->s.map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->s.map));
	ASSERT_EQ(0, snap_create_in(&self->ballast, self->dir, 0));
	gen_fill(page, 7, 0, page_size);
	while (pwrite(self->ballast.fd, page, page_size, off) == page_size)
		off += page_size;
	ASSERT_EQ(ENOSPC, errno);
	self->ballast.len = off;
}

FIXTURE_TEARDOWN(full)
{
	snap_destroy(&self->ballast);
	snap_destroy(&self->s);
	snap_umount(self->dir);
}

TEST_F(full, store_is_a_bus_error)
{
	ASSERT_EQ(BUS, write_byte_or_sigbus(self->shared, 'x'));
	ASSERT_EQ(BUS, write_byte_or_sigbus(self->shared + page_size, 'x'));
	/* Reading is none. */
	ASSERT_EQ(SAME, differs(self->shared, 0, 0, self->s.len));
	check(_metadata, &self->s, 0);
}

TEST_F(full, store_succeeds_with_room)
{
	ASSERT_EQ(BUS, write_byte_or_sigbus(self->shared, 'x'));
	ASSERT_EQ(0, ftruncate(self->ballast.fd,
			       self->ballast.len - page_size));
	ASSERT_EQ(0, write_byte_or_sigbus(self->shared, 'x'));
	ASSERT_EQ(0, write_byte_or_sigbus(self->shared + 1, 'y'));
	ASSERT_EQ(BUS, write_byte_or_sigbus(self->shared + page_size, 'x'));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ('x', self->shared[0]);
}

TEST_F(full, store_succeeds_when_nobody_needs_the_page)
{
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	gen_fill(self->shared, 1, 0, self->s.len);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
}

/* A system call that stores gets EFAULT, as it does for any bad address. */
TEST_F(full, read_into_it_fails)
{
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(1, write(p[1], "x", 1));
	ASSERT_EQ(-1, read(p[0], self->shared, 1));
	ASSERT_EQ(EFAULT, errno);
	check(_metadata, &self->s, 0);
}

TEST_HARNESS_MAIN
