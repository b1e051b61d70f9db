// SPDX-License-Identifier: GPL-2.0
/*
 * R4: private=live turns snapshots off. These are the rules of every other
 * filesystem, and what the rest of the tests must not see.
 */
#include "snap.h"

#define PAGES 4

FIXTURE(live)
{
	char dir[DIR_MAX];
	struct snap s;
};

FIXTURE_SETUP(live)
{
	ASSERT_EQ(0, snap_mount(self->dir, "size=4m,private=live"));
	ASSERT_EQ(0, snap_create_in(&self->s, self->dir, PAGES * page_size));
	self->s.map = mmap(NULL, 2 * self->s.len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE, self->s.fd, 0);
	ASSERT_TRUE(mapped(self->s.map));
}

FIXTURE_TEARDOWN(live)
{
	snap_destroy(&self->s);
	snap_umount(self->dir);
}

TEST_F(live, write_is_seen)
{
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 1, 0, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 2, 0, self->s.len));
}

TEST_F(live, store_is_seen)
{
	char *shared = map_shared(self->s.fd, 0, self->s.len);

	ASSERT_TRUE(mapped(shared));
	ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
	gen_fill(shared, 1, 0, self->s.len);
	ASSERT_EQ(SAME, differs(self->s.map, 1, 0, self->s.len));
}

TEST_F(live, own_stores_are_private)
{
	self->s.map[0] = 'x';
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ('x', self->s.map[0]);
	ASSERT_EQ(SAME, differs(self->s.map + 1, 0, 1, page_size - 1));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
}

TEST_F(live, truncated_pages_are_gone)
{
	ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
	self->s.map[2 * page_size] = 'x';
	ASSERT_EQ(0, ftruncate(self->s.fd, page_size + 1));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, page_size + 1));
	ASSERT_EQ(BUS, read_byte_or_sigbus(self->s.map + 2 * page_size));
	ASSERT_EQ(BUS, read_byte_or_sigbus(self->s.map + 3 * page_size));
}

TEST_F(live, mapping_grows_with_the_file)
{
	ASSERT_EQ(BUS, read_byte_or_sigbus(self->s.map + self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, self->s.len,
					 self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map + self->s.len, 1, self->s.len,
				self->s.len));
}

TEST_F(live, nothing_is_preserved)
{
	long before = pages_used(self->dir);

	ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(before, pages_used(self->dir));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(before - PAGES, pages_used(self->dir));
}

/* Two mounts, two minds. */
TEST_F(live, another_mount_takes_snapshots)
{
	char dir[DIR_MAX];
	struct snap s;

	ASSERT_EQ(0, snap_mount(dir, "size=4m"));
	ASSERT_EQ(0, snap_create_in(&s, dir, PAGES * page_size));
	s.map = map_private(s.fd, 0, s.len);
	ASSERT_TRUE(mapped(s.map));
	ASSERT_EQ(s.len, write_gen(s.fd, 1, 0, s.len));
	ASSERT_EQ(SAME, differs(s.map, 0, 0, s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 1, 0, self->s.len));
	snap_destroy(&s);
	snap_umount(dir);
}

TEST(unknown_mind)
{
	char dir[DIR_MAX];

	ASSERT_EQ(-EINVAL, snap_mount(dir, "private=sometimes"));
}

TEST_HARNESS_MAIN
