// SPDX-License-Identifier: GPL-2.0
/*
 * A page that nobody but snapshots has mapped is not copied before it is
 * written: it stays where it is mapped, and the file gets another one. So what
 * matters here is who else may have mapped it, and what is written of the page.
 */
#include "snap.h"

#define PAGES	32

FIXTURE(handover)
{
	struct snap s;
	char *more;	/* another mapping of the same instant, untouched */
};

FIXTURE_SETUP(handover)
{
	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->s.map = map_private(self->s.fd, 0, self->s.len);
	self->more = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->s.map) && mapped(self->more));
	ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
}

FIXTURE_TEARDOWN(handover)
{
	snap_destroy(&self->s);
}

static char *map_read_only(struct snap *s)
{
	int fd = open(s->path, O_RDONLY);
	char *map = mmap(NULL, s->len, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	return map;
}

/* Both mappings still show the instant, also where they lose their pages. */
#define FROZEN()							\
do {									\
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));	\
	ASSERT_EQ(SAME, differs(self->more, 0, 0, self->s.len));	\
	ASSERT_EQ(0, madvise(self->s.map, self->s.len, MADV_DONTNEED));	\
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));	\
} while (0)

TEST_F(handover, whole_pages)
{
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
	FROZEN();
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 2, 0, self->s.len));
	FROZEN();
}

TEST_F(handover, parts_of_pages)
{
	int i;

	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(100, write_gen(self->s.fd, 1, i * page_size + i * 10, 100));
	for (i = 0; i < PAGES; i++) {
		off_t at = i * page_size;

		ASSERT_EQ(SAME, file_differs(self->s.fd, 0, at, i * 10));
		ASSERT_EQ(SAME, file_differs(self->s.fd, 1, at + i * 10, 100));
		ASSERT_EQ(SAME, file_differs(self->s.fd, 0, at + i * 10 + 100,
					     page_size - i * 10 - 100));
	}
	FROZEN();
}

/* A truncation clears the rest of a page that stays mapped. */
TEST_F(handover, end_of_the_file)
{
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len - 100));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, self->s.len - 100, 100));
	FROZEN();
}

/* Live mappings are not left with the old page: a reader's, made before ... */
TEST_F(handover, shared_reader)
{
	char *live = map_read_only(&self->s);

	ASSERT_TRUE(mapped(live));
	ASSERT_EQ(SAME, touch(live, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(live, 1, 0, self->s.len));
	FROZEN();
}

/* ... or between two writes ... */
TEST_F(handover, shared_reader_meanwhile)
{
	ssize_t half = self->s.len / 2;
	char *live;

	ASSERT_EQ(half, write_gen(self->s.fd, 1, 0, half));
	live = map_read_only(&self->s);
	ASSERT_TRUE(mapped(live));
	ASSERT_EQ(SAME, differs(live, 1, 0, half));
	ASSERT_EQ(SAME, differs(live + half, 0, half, half));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	ASSERT_EQ(SAME, differs(live, 2, 0, self->s.len));
	FROZEN();
}

/* ... one of another process ... */
static int read_live(void *arg)
{
	struct snap *s = arg;
	char *live = map_read_only(s);
	int i;

	if (!mapped(live) || touch(live, s->len) != SAME)
		return 1;
	for (i = 1; i < 10; i++)
		if (write_gen(s->fd, i, 0, s->len) != s->len ||
		    differs(live, i, 0, s->len) != SAME)
			return 2;
	return 0;
}

TEST_F(handover, shared_reader_elsewhere)
{
	ASSERT_EQ(0, run_child(read_live, &self->s));
	FROZEN();
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 10, 0, self->s.len));
	FROZEN();
}

/* ... and one that can write, but has not. */
TEST_F(handover, shared_writer)
{
	char *live = map_shared(self->s.fd, 0, self->s.len);

	ASSERT_TRUE(mapped(live));
	ASSERT_EQ(SAME, touch(live, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(live, 1, 0, self->s.len));
	gen_fill(live, 2, 0, self->s.len);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 2, 0, self->s.len));
	FROZEN();
	/* Without it, while pages may still be writable for all that is known. */
	ASSERT_EQ(0, munmap(live, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 3, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 3, 0, self->s.len));
	FROZEN();
}

/* Stores through a mapping made afterwards go to the file. */
TEST_F(handover, shared_writer_afterwards)
{
	char *live;

	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	live = map_shared(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(live));
	ASSERT_EQ(SAME, differs(live, 1, 0, self->s.len));
	gen_fill(live, 2, 0, self->s.len);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 2, 0, self->s.len));
	FROZEN();
}

/* A mapping that follows the file, made when the mount said so. */
TEST(private_live)
{
	char dir[DIR_MAX], *follows, *frozen;
	struct snap s;

	ASSERT_EQ(0, snap_mount(dir, "size=4m,private=live"));
	ASSERT_EQ(0, snap_create_in(&s, dir, PAGES * page_size));
	follows = map_private(s.fd, 0, s.len);
	ASSERT_TRUE(mapped(follows));
	ASSERT_EQ(SAME, touch(follows, s.len));
	ASSERT_EQ(0, mount(NULL, dir, NULL, MS_REMOUNT, "size=4m,private=snapshot"));
	frozen = map_private(s.fd, 0, s.len);
	ASSERT_TRUE(mapped(frozen));
	ASSERT_EQ(SAME, touch(frozen, s.len));
	ASSERT_EQ(s.len, write_gen(s.fd, 1, 0, s.len));
	EXPECT_EQ(SAME, differs(follows, 1, 0, s.len));
	EXPECT_EQ(SAME, differs(frozen, 0, 0, s.len));
	munmap(follows, s.len);
	munmap(frozen, s.len);
	snap_destroy(&s);
	snap_umount(dir);
}

/* The source cannot be read at once, or not at all after some bytes. */
TEST_F(handover, source_not_in_memory)
{
	struct snap from;

	ASSERT_EQ(0, snap_create_in(&from, peer_dir(), self->s.len + page_size));
	ASSERT_EQ(self->s.len, write_gen(from.fd, 1, 0, self->s.len));
	from.map = map_private(from.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(from.map));
	ASSERT_EQ(self->s.len, pwrite(self->s.fd, from.map, self->s.len, 0));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
	FROZEN();
	snap_destroy(&from);
}

TEST_F(handover, source_that_ends_in_a_page)
{
	char *from = reserve(2 * page_size);
	ssize_t some = page_size - 100;

	ASSERT_EQ(0, mprotect(from, page_size, PROT_READ | PROT_WRITE));
	gen_fill(from + 100, 1, 0, some);
	ASSERT_EQ(some, pwrite(self->s.fd, from + 100, page_size, 0));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, some));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, some, self->s.len - some));
	ASSERT_EQ(-1, pwrite(self->s.fd, from + page_size, page_size, page_size));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, some, self->s.len - some));
	FROZEN();
}

/* The source is what is written, seen through the mapping that keeps it. */
TEST_F(handover, from_its_own_mappings)
{
	int i;

	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(page_size, pwrite(self->s.fd, self->more + i * page_size,
					    page_size, (PAGES - 1 - i) * page_size));
	FROZEN();
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(page_size, pwrite(self->s.fd, self->s.map + i * page_size,
					    page_size, i * page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, self->s.len));
	FROZEN();
}

/* Own stores go to copies of what was handed over. */
TEST_F(handover, own_stores)
{
	char *own = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			 self->s.fd, 0);

	ASSERT_TRUE(mapped(own));
	ASSERT_EQ(SAME, touch(own, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	gen_fill(own, 2, 0, self->s.len);
	ASSERT_EQ(SAME, differs(own, 2, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->more, 0, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
}

static int look(void *arg)
{
	struct snap *s = arg;

	return differs(s->map, 0, 0, s->len) == SAME ? 0 : 1;
}

TEST_F(handover, locked_and_inherited)
{
	ASSERT_EQ(0, mlock(self->s.map, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(0, run_child(look, &self->s));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(0, munlock(self->s.map, self->s.len));
	FROZEN();
}

/* Each generation has what it needs, and no page is handed over twice. */
TEST_F(handover, generations)
{
	char *maps[10];
	int i, j;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(self->s.len, write_gen(self->s.fd, i + 1, 0, self->s.len));
		maps[i] = map_private(self->s.fd, 0, self->s.len);
		ASSERT_TRUE(mapped(maps[i]));
		if (i % 2)
			ASSERT_EQ(SAME, touch(maps[i], self->s.len));
	}
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 0, 0, self->s.len));
	for (i = 0; i < 10; i++)
		for (j = 0; j <= i; j++)
			ASSERT_EQ(SAME, differs(maps[j], j + 1, 0, self->s.len));
	FROZEN();
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, munmap(maps[i], self->s.len));
		for (j = i + 1; j < 10; j++)
			ASSERT_EQ(SAME, differs(maps[j], j + 1, 0, self->s.len));
	}
	FROZEN();
}

TEST_HARNESS_MAIN
