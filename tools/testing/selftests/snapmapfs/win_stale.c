// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping at an offset that is a multiple of 1 KiB and not of a page goes
 * stale: Eric Biederman's test of Linux 2.0.32 (linux-mm, April 1998). There the
 * page cache had pages at any block (a.out binaries begin 1 KiB into their
 * file), and write() updated those at multiples of the page size only. Who
 * mapped the file at 1 KiB once got the same old page from then on.
 */
#include "win.h"

#define LEN	(4 * page_size)
#define AT	1024

FIXTURE(stale)
{
	struct snap s;
	int win;
};

FIXTURE_SETUP(stale)
{
	ASSERT_EQ(0, snap_create(&self->s, LEN));
	self->win = window(self->s.fd, AT, 0);
	ASSERT_LE(0, self->win);
}

FIXTURE_TEARDOWN(stale)
{
	snap_destroy(&self->s);
}

/* Maps the window, looks at all of it, and lets go of it. */
static ssize_t look(int fd, int flags, unsigned int gen)
{
	ssize_t len = LEN - page_size, ret;
	char *map = mmap(NULL, len, PROT_READ, flags, fd, 0);

	if (!mapped(map))
		return -errno;
	ret = differs(map, gen, AT, len);
	munmap(map, len);
	return ret;
}

TEST_F(stale, mapped_again)
{
	unsigned int gen;

	for (gen = 0; gen < 20; gen++) {
		ASSERT_EQ(LEN, write_gen(self->s.fd, gen, 0, LEN));
		ASSERT_EQ(SAME, look(self->win, MAP_PRIVATE, gen));
		ASSERT_EQ(SAME, look(self->win, MAP_SHARED, gen));
	}
}

TEST_F(stale, still_mapped)
{
	char *map = map_shared(self->win, 0, LEN - page_size);
	unsigned int gen;

	ASSERT_TRUE(mapped(map));
	for (gen = 0; gen < 20; gen++) {
		ASSERT_EQ(LEN, write_gen(self->s.fd, gen, 0, LEN));
		ASSERT_EQ(SAME, differs(map, gen, AT, LEN - page_size));
		ASSERT_EQ(SAME, look(self->win, MAP_PRIVATE, gen));
	}
}

/* The other way about: what is stored there is what read() reads. */
TEST_F(stale, stored)
{
	char *map = map_shared(self->win, 0, LEN - page_size);
	unsigned int gen;

	ASSERT_TRUE(mapped(map));
	for (gen = 1; gen < 20; gen++) {
		gen_fill(map, gen, AT, LEN - page_size);
		ASSERT_EQ(SAME, file_differs(self->s.fd, gen, AT, LEN - page_size));
		ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, AT));
	}
}

/* A program that begins 1 KiB into its file, as in 1998, and a new one in its place. */
TEST_F(stale, every_kib)
{
	char *maps[4], byte;
	int i, wins[4];

	for (i = 0; i < 4; i++) {
		wins[i] = window(self->s.fd, i * AT, 0);
		ASSERT_LE(0, wins[i]);
		maps[i] = map_shared(wins[i], 0, LEN - page_size);
		ASSERT_TRUE(mapped(maps[i]));
	}
	for (i = 0; i < 1000; i++) {
		ssize_t off = 4096 + i * 97 % (2 * 4096);

		maps[i % 4][off - i % 4 * AT] = i;
		ASSERT_EQ((char)i, maps[(i + 1) % 4][off - (i + 1) % 4 * AT]);
		ASSERT_EQ((char)i, maps[(i + 2) % 4][off - (i + 2) % 4 * AT]);
		ASSERT_EQ(1, pread(self->s.fd, &byte, 1, off));
		ASSERT_EQ((char)i, byte);
	}
}

TEST_HARNESS_MAIN
