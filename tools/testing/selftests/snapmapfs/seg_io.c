// SPDX-License-Identifier: GPL-2.0
/*
 * W3: what the system calls do to a file whose data lie in several segments.
 */
#include "seg.h"

#include <linux/falloc.h>
#include <sys/sendfile.h>

FIXTURE(io)
{
	struct seg s;
};

FIXTURE_VARIANT(io)
{
	const char *options;
	off_t border;
};

SEG_VARIANTS(io);

FIXTURE_SETUP(io)
{
	ASSERT_EQ(0, seg_create(&self->s, variant->options, variant->border));
}

FIXTURE_TEARDOWN(io)
{
	seg_destroy(&self->s);
}

#define FD		(self->s.s.fd)
#define START		(self->s.start)
#define PAGE_BLOCKS	(page_size / 512)

#define EXPECT_FILE(gen, off, len) \
	ASSERT_EQ(SAME, seg_differs(&self->s, gen, off, len))
#define EXPECT_ZERO(off, len) \
	ASSERT_EQ(SAME, seg_not_zero(&self->s, off, len))
#define WRITE(gen, off, len) \
	ASSERT_EQ(len, seg_write(&self->s, gen, off, len))

TEST_F(io, written)
{
	ssize_t i;

	ASSERT_EQ(START + LEN, file_size(FD));
	EXPECT_FILE(0, 0, LEN);
	for (i = 1; i < LEN; i += 777)
		EXPECT_FILE(0, i, LEN - i);
	WRITE(1, HALF - 100, 200);
	EXPECT_FILE(0, 0, HALF - 100);
	EXPECT_FILE(1, HALF - 100, 200);
	EXPECT_FILE(0, HALF + 100, HALF - 100);
	WRITE(2, HALF, 1);
	WRITE(3, HALF - 1, 1);
	EXPECT_FILE(3, HALF - 1, 1);
	EXPECT_FILE(2, HALF, 1);
	EXPECT_FILE(1, HALF + 1, 99);
	ASSERT_EQ(START + LEN, file_size(FD));
}

TEST_F(io, holes_before)
{
	char *buf = alloc(LEN);

	if (START < HALF)
		return;
	ASSERT_EQ(page_size, pread(FD, buf, page_size, 0));
	ASSERT_EQ(SAME, not_zero(buf, page_size));
	EXPECT_ZERO(-page_size, page_size);
	ASSERT_EQ(LEN, pread(FD, buf, LEN, START - HALF));
	ASSERT_EQ(SAME, not_zero(buf, HALF));
	ASSERT_EQ(SAME, differs(buf + HALF, 0, 0, HALF));
}

TEST_F(io, vectors)
{
	char *a = alloc(HALF), *b = alloc(HALF + 5), *c = alloc(LEN);
	struct iovec v[3] = { { a, HALF - 3 }, { b, 10 }, { c, HALF } };

	ASSERT_EQ(LEN, preadv(FD, v, 3, START));
	ASSERT_EQ(SAME, differs(a, 0, 0, HALF - 3));
	ASSERT_EQ(SAME, differs(b, 0, HALF - 3, 10));
	ASSERT_EQ(SAME, differs(c, 0, HALF + 7, HALF - 7));
	gen_fill(a, 1, 0, HALF - 3);
	gen_fill(b, 1, HALF - 3, 10);
	gen_fill(c, 1, HALF + 7, HALF);
	ASSERT_EQ(LEN + 7, pwritev(FD, v, 3, START));
	EXPECT_FILE(1, 0, LEN + 7);
	ASSERT_EQ(START + LEN + 7, file_size(FD));
}

/* A read ends where the file does, on either side of the border. */
TEST_F(io, end_of_the_file)
{
	static const int ends[] = { 5, 1, 0, -1, -5, -5000 };
	char *buf = alloc(LEN);
	unsigned int i;

	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		ASSERT_EQ(0, ftruncate(FD, START + HALF + ends[i]));
		ASSERT_EQ(START + HALF + ends[i], file_size(FD));
		ASSERT_EQ(HALF + ends[i], pread(FD, buf, LEN, START));
		ASSERT_EQ(SAME, differs(buf, 0, 0, HALF + ends[i]));
		ASSERT_EQ(0, pread(FD, buf, LEN, START + HALF + ends[i]));
		ASSERT_EQ(0, pread(FD, buf, LEN, START + LEN));
	}
	/* What comes back is zeros. */
	ASSERT_EQ(0, ftruncate(FD, START + LEN));
	EXPECT_FILE(0, 0, HALF - 5000);
	EXPECT_ZERO(HALF - 5000, HALF + 5000);
	WRITE(1, LEN - 10, 10);
	EXPECT_ZERO(HALF - 5000, HALF + 5000 - 10);
}

TEST_F(io, appended)
{
	int fd = open(self->s.s.path, O_WRONLY | O_APPEND);
	ssize_t i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(FD, START + HALF - 1000));
	for (i = HALF - 1000; i < HALF + 1000; i += 500) {
		char buf[500];

		gen_fill(buf, 1, i, 500);
		ASSERT_EQ(500, write(fd, buf, 500));
	}
	EXPECT_FILE(0, 0, HALF - 1000);
	EXPECT_FILE(1, HALF - 1000, 2000);
	ASSERT_EQ(START + HALF + 1000, file_size(FD));
	close(fd);
}

/* What is not accessible ends a write, not before. */
TEST_F(io, source_that_ends)
{
	char *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_TRUE(mapped(p));
	gen_fill(p, 1, 0, LEN);
	ASSERT_EQ(0, munmap(p + HALF + page_size, HALF - page_size));
	ASSERT_EQ(HALF + page_size, pwrite(FD, p, LEN, START));
	EXPECT_FILE(1, 0, HALF + page_size);
	EXPECT_FILE(0, HALF + page_size, HALF - page_size);
	ASSERT_EQ(HALF + page_size, pread(FD, p, LEN, START));
	ASSERT_EQ(HALF, pwrite(FD, p + page_size, LEN, START + page_size));
	ASSERT_EQ(-1, pwrite(FD, p + HALF + page_size, 10, START + HALF));
	ASSERT_EQ(EFAULT, errno);
}

TEST_F(io, blocks)
{
	long used = pages_used(self->s.dir[0] ? self->s.dir : snap_dir());

	ASSERT_EQ(LEN / 512, seg_blocks(&self->s));
	if (self->s.dir[0])
		ASSERT_EQ(LEN / page_size, used);
	ASSERT_EQ(0, ftruncate(FD, START + HALF + 1));
	ASSERT_EQ(HALF / 512 + PAGE_BLOCKS, seg_blocks(&self->s));
	ASSERT_EQ(0, ftruncate(FD, START + HALF));
	ASSERT_EQ(HALF / 512, seg_blocks(&self->s));
	ASSERT_EQ(0, ftruncate(FD, START + 1));
	ASSERT_EQ(PAGE_BLOCKS, seg_blocks(&self->s));
	ASSERT_EQ(0, ftruncate(FD, 0));
	ASSERT_EQ(0, seg_blocks(&self->s));
	if (self->s.dir[0])
		ASSERT_EQ(0, pages_used(self->s.dir));
}

/* Nothing is left of a file that goes. */
TEST_F(io, removed)
{
	if (!self->s.dir[0])
		return;
	ASSERT_EQ(LEN / page_size, pages_used(self->s.dir));
	snap_destroy(&self->s.s);
	ASSERT_EQ(0, pages_used(self->s.dir));
}

TEST_F(io, punched)
{
	static const struct {
		ssize_t from, to;
	} cases[] = {
		{ -4096, 4096 }, { -100, 100 }, { -4096 - 1, 1 }, { -1, 2 * 4096 + 5 },
		{ 0, 4096 }, { -4096, 0 }, { -1, 0 }, { 0, 1 }, { -5 * 4096, 5 * 4096 + 7 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ssize_t from = HALF + cases[i].from, to = HALF + cases[i].to;
		ssize_t whole = to / page_size - (from + page_size - 1) / page_size;

		WRITE(i, 0, LEN);
		ASSERT_EQ(0, fallocate(FD, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       START + from, to - from));
		EXPECT_FILE(i, 0, from);
		EXPECT_ZERO(from, to - from);
		EXPECT_FILE(i, to, LEN - to);
		ASSERT_EQ(LEN / 512 - (whole > 0 ? whole : 0) * PAGE_BLOCKS,
			  seg_blocks(&self->s));
		WRITE(i, 0, LEN);
		ASSERT_EQ(0, fallocate(FD, FALLOC_FL_ZERO_RANGE, START + from, to - from));
		EXPECT_FILE(i, 0, from);
		EXPECT_ZERO(from, to - from);
		EXPECT_FILE(i, to, LEN - to);
		ASSERT_EQ(LEN / 512, seg_blocks(&self->s));
	}
	/* Everything there can be. */
	ASSERT_EQ(0, fallocate(FD, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			       seg_max(variant->options)));
	ASSERT_EQ(0, seg_blocks(&self->s));
	ASSERT_EQ(START + LEN, file_size(FD));
	EXPECT_ZERO(0, LEN);
}

TEST_F(io, allocated)
{
	ASSERT_EQ(0, ftruncate(FD, START));
	ASSERT_EQ(0, fallocate(FD, FALLOC_FL_KEEP_SIZE, START + 100, LEN - 200));
	ASSERT_EQ(LEN / 512, seg_blocks(&self->s));
	ASSERT_EQ(START, file_size(FD));
	/* The size that it has takes them away again. */
	ASSERT_EQ(0, ftruncate(FD, START));
	ASSERT_EQ(0, seg_blocks(&self->s));
	ASSERT_EQ(0, fallocate(FD, 0, START + 100, LEN - 200));
	ASSERT_EQ(LEN / 512, seg_blocks(&self->s));
	ASSERT_EQ(START + LEN - 100, file_size(FD));
	EXPECT_ZERO(0, LEN - 100);
	WRITE(1, HALF - 7, 14);
	ASSERT_EQ(0, fallocate(FD, 0, START, LEN));
	EXPECT_ZERO(0, HALF - 7);
	EXPECT_FILE(1, HALF - 7, 14);
	EXPECT_ZERO(HALF + 7, HALF - 7);
	/* More than there is. */
	ASSERT_EQ(0, ftruncate(FD, START));
	ASSERT_EQ(-1, fallocate(FD, 0, START, seg_max(variant->options) / 8));
	ASSERT_EQ(ENOSPC, errno);
	ASSERT_EQ(0, seg_blocks(&self->s));
	ASSERT_EQ(START, file_size(FD));
}

TEST_F(io, seek)
{
	off_t at, far = (off_t)1 << (seg_max(variant->options) >> 46 ? 45 : 41);

	if (START) {
		ASSERT_EQ(START, lseek(FD, 0, SEEK_DATA));
		ASSERT_EQ(0, lseek(FD, 0, SEEK_HOLE));
		ASSERT_EQ(START - 1, lseek(FD, START - 1, SEEK_HOLE));
	}
	for (at = START; at < START + LEN; at += 1000) {
		ASSERT_EQ(at, lseek(FD, at, SEEK_DATA));
		ASSERT_EQ(START + LEN, lseek(FD, at, SEEK_HOLE));
	}
	ASSERT_EQ(-1, lseek(FD, START + LEN, SEEK_HOLE));
	ASSERT_EQ(ENXIO, errno);
	/* A hole behind the data, many segments long. */
	ASSERT_EQ(0, ftruncate(FD, START + LEN + far));
	ASSERT_EQ(START + LEN, lseek(FD, START, SEEK_HOLE));
	ASSERT_EQ(-1, lseek(FD, START + LEN, SEEK_DATA));
	ASSERT_EQ(ENXIO, errno);
	ASSERT_EQ(1, pwrite(FD, "x", 1, START + LEN + far));
	ASSERT_EQ(START + LEN + far, lseek(FD, START + LEN, SEEK_DATA));
	ASSERT_EQ(START + LEN + 12345, lseek(FD, START + LEN + 12345, SEEK_HOLE));
	/* Holes that begin and end at the border. */
	ASSERT_EQ(0, fallocate(FD, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       START + HALF, page_size));
	ASSERT_EQ(START + HALF, lseek(FD, START, SEEK_HOLE));
	ASSERT_EQ(START + HALF + page_size, lseek(FD, START + HALF, SEEK_DATA));
	ASSERT_EQ(0, fallocate(FD, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       START + page_size, HALF - page_size));
	ASSERT_EQ(START + page_size, lseek(FD, START, SEEK_HOLE));
	ASSERT_EQ(START + HALF + page_size, lseek(FD, START + page_size, SEEK_DATA));
	ASSERT_EQ(START + LEN - 1, lseek(FD, START + LEN - 1, SEEK_SET));
	ASSERT_EQ(START + LEN + 4, lseek(FD, 5, SEEK_CUR));
}

TEST_F(io, read_and_written_on)
{
	char buf[777];
	ssize_t all = 0, n;

	ASSERT_EQ(START, lseek(FD, START, SEEK_SET));
	while ((n = read(FD, buf, sizeof(buf))) > 0) {
		ASSERT_EQ(SAME, differs(buf, 0, all, n));
		all += n;
	}
	ASSERT_EQ(0, n);
	ASSERT_EQ(LEN, all);
	ASSERT_EQ(START, lseek(FD, START, SEEK_SET));
	for (all = 0; all < LEN; all += 512) {
		gen_fill(buf, 1, all, 512);
		ASSERT_EQ(512, write(FD, buf, 512));
	}
	EXPECT_FILE(1, 0, LEN);
}

/* Into a file and back. */
TEST_F(io, copied)
{
	loff_t from = START, to = 0;
	struct snap other;
	off_t pos = START;
	ssize_t all = 0, n;

	ASSERT_EQ(0, snap_create_in(&other, self->s.dir[0] ? self->s.dir : snap_dir(), 0));
	while ((n = sendfile(other.fd, FD, &pos, LEN)) > 0)
		all += n;
	ASSERT_EQ(LEN, all);
	ASSERT_EQ(SAME, file_differs(other.fd, 0, 0, LEN));
	ASSERT_EQ(0, ftruncate(FD, START));
	for (all = 0; all < LEN; all += n) {
		n = copy_file_range(other.fd, &to, FD, &from, LEN - all, 0);
		ASSERT_LT(0, n);
	}
	EXPECT_FILE(0, 0, LEN);
	/* And within the file. */
	from = START;
	to = START + LEN;
	for (all = 0; all < LEN; all += n) {
		n = copy_file_range(FD, &from, FD, &to, LEN - all, 0);
		ASSERT_LT(0, n);
	}
	ASSERT_EQ(SAME, shows_not(FD, START + LEN, 0, 0, LEN));
	snap_destroy(&other);
}

TEST_F(io, spliced)
{
	ssize_t all, n;
	off_t pos = START;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	for (all = 0; all < LEN; all += n) {
		char buf[3000];

		n = splice(FD, &pos, p[1], NULL, sizeof(buf), 0);
		ASSERT_LT(0, n);
		ASSERT_EQ(n, read(p[0], buf, n));
		ASSERT_EQ(SAME, differs(buf, 0, all, n));
	}
	pos = START;
	for (all = 0; all < LEN; all += n) {
		char buf[3000];

		n = LEN - all < 3000 ? LEN - all : 3000;
		gen_fill(buf, 1, all, n);
		ASSERT_EQ(n, write(p[1], buf, n));
		ASSERT_EQ(n, splice(p[0], NULL, FD, &pos, n, 0));
	}
	EXPECT_FILE(1, 0, LEN);
}

TEST_F(io, synced)
{
	ASSERT_EQ(0, fsync(FD));
	ASSERT_EQ(0, fdatasync(FD));
	ASSERT_EQ(0, sync_file_range(FD, START, LEN, SYNC_FILE_RANGE_WRITE));
	ASSERT_EQ(0, posix_fadvise(FD, 0, START + 2 * LEN, POSIX_FADV_WILLNEED));
	ASSERT_EQ(0, posix_fadvise(FD, START, LEN, POSIX_FADV_DONTNEED));
	ASSERT_EQ(LEN / 512, seg_blocks(&self->s));
	EXPECT_FILE(0, 0, LEN);
}

/* Through windows that begin before the border, at it, and behind it. */
TEST_F(io, windows)
{
	static const int starts[] = { -8192, -512, 0, 512, 4096, -1536 };
	unsigned int i;

	for (i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		ssize_t at = HALF + starts[i];
		int win = window(FD, START + at, 0);
		char buf[700];

		ASSERT_LE(0, win);
		ASSERT_EQ(LEN - at, file_size(win));
		ASSERT_EQ(SAME, shows_not(win, 0, i, at, LEN - at));
		gen_fill(buf, i, at + 5000, 700);
		ASSERT_EQ(700, pwrite(win, buf, 700, 5000));
		EXPECT_FILE(i, at + 5000, 700);
		ASSERT_EQ(0, fallocate(win, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				       page_size));
		EXPECT_ZERO(at, page_size);
		ASSERT_EQ(page_size + 1, lseek(win, page_size + 1, SEEK_DATA));
		WRITE(i + 1, 0, LEN);
		ASSERT_EQ(0, ftruncate(win, 2 * page_size));
		ASSERT_EQ(START + at + 2 * page_size, file_size(FD));
		WRITE(i + 1, 0, LEN);
		close(win);
	}
}

/* The end of what is written is the limit's, wherever that is. */
TEST(full)
{
	char dir[DIR_MAX];
	struct seg s = { .start = 0 };

	ASSERT_EQ(0, snap_mount(dir, "segment=16k,size=28k"));
	ASSERT_EQ(0, snap_create_in(&s.s, dir, 0));
	ASSERT_EQ(28 * 1024, seg_write(&s, 0, 0, 8 * page_size));
	ASSERT_EQ(28 * 1024, file_size(s.s.fd));
	ASSERT_EQ(-1, seg_write(&s, 0, 28 * 1024, 1));
	ASSERT_EQ(ENOSPC, errno);
	ASSERT_EQ(SAME, seg_differs(&s, 0, 0, 28 * 1024));
	ASSERT_EQ(0, ftruncate(s.s.fd, 0));
	/* It has no page of it then. */
	ASSERT_EQ(-1, fallocate(s.s.fd, 0, 0, 28 * 1024 + 1));
	ASSERT_EQ(ENOSPC, errno);
	ASSERT_EQ(0, pages_used(dir));
	ASSERT_EQ(2 * page_size, seg_write(&s, 0, 5 * page_size, 2 * page_size));
	ASSERT_EQ(0, fallocate(s.s.fd, 0, 0, 28 * 1024));
	ASSERT_EQ(7, pages_used(dir));
	snap_destroy(&s.s);
	ASSERT_EQ(0, pages_used(dir));
	snap_umount(dir);
}

/* Each segment takes an inode, and a file without is still a file. */
TEST(inodes)
{
	char dir[DIR_MAX];
	struct seg s = { .start = 0 };

	ASSERT_EQ(0, snap_mount(dir, "segment=16k,nr_inodes=4"));
	ASSERT_EQ(0, snap_create_in(&s.s, dir, 0));
	ASSERT_EQ(48 * 1024, seg_write(&s, 0, 0, 20 * page_size));
	ASSERT_EQ(48 * 1024, file_size(s.s.fd));
	ASSERT_EQ(-1, seg_write(&s, 0, 48 * 1024, 1));
	ASSERT_EQ(ENOSPC, errno);
	ASSERT_EQ(-1, fallocate(s.s.fd, 0, 0, 64 * 1024));
	ASSERT_EQ(ENOSPC, errno);
	ASSERT_EQ(0, fallocate(s.s.fd, 0, 0, 48 * 1024));
	ASSERT_EQ(SAME, seg_differs(&s, 0, 0, 48 * 1024));
	snap_destroy(&s.s);
	ASSERT_EQ(0, snap_create_in(&s.s, dir, 0));
	ASSERT_EQ(1, pwrite(s.s.fd, "x", 1, 40 * 1024));
	snap_destroy(&s.s);
	snap_umount(dir);
}

/* Up to the last byte that a file can have. */
FIXTURE(last)
{
	char dir[DIR_MAX];
	struct snap s;
};

FIXTURE_VARIANT(last)
{
	const char *options;
};

FIXTURE_VARIANT_ADD(last, of_64k)
{
	.options = "segment=64k",
};

FIXTURE_VARIANT_ADD(last, of_any)
{
	.options = "size=1m",
};

FIXTURE_SETUP(last)
{
	ASSERT_EQ(0, snap_mount(self->dir, variant->options));
	ASSERT_EQ(0, snap_create_in(&self->s, self->dir, 0));
	if (seg_max(variant->options) != INT64_MAX)
		SKIP(return, "the numbers of such segments have 32 bits");
}

FIXTURE_TEARDOWN(last)
{
	snap_destroy(&self->s);
	snap_umount(self->dir);
}

TEST_F(last, byte)
{
	off_t at = INT64_MAX - 9000 + 1;	/* 2^63 - 9000 */
	char buf[9000], got[9000];
	int fd = self->s.fd;

	gen_fill(buf, 1, 0, 9000);
	ASSERT_EQ(8000, pwrite(fd, buf, 8000, at));
	ASSERT_EQ(at + 8000, file_size(fd));
	ASSERT_EQ(8000, pread(fd, got, 8999, at));
	ASSERT_EQ(0, memcmp(buf, got, 8000));
	ASSERT_EQ(at / page_size * page_size, lseek(fd, 0, SEEK_DATA));
	ASSERT_EQ(at + 8000, lseek(fd, at, SEEK_HOLE));
	/* No further. */
	ASSERT_EQ(8999, pwrite(fd, buf, 8999, at));
	ASSERT_EQ(INT64_MAX, file_size(fd));
	ASSERT_EQ(-1, pwrite(fd, buf, 9000, at));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, pwrite(fd, buf, 1, INT64_MAX));
	ASSERT_EQ(8999, pread(fd, got, 8999, at));
	ASSERT_EQ(0, memcmp(buf, got, 8999));
	ASSERT_EQ(0, ftruncate(fd, INT64_MAX));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, at));
	ASSERT_EQ(8999, pread(fd, got, 8999, at));
	ASSERT_EQ(0, memcmp(buf, got, 8999));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, 8999));
	ASSERT_EQ(8999, pread(fd, got, 8999, at));
	ASSERT_EQ(SAME, not_zero(got, 8999));
	ASSERT_EQ(0, ftruncate(fd, 0));
	ASSERT_EQ(0, pages_used(self->dir));
	ASSERT_EQ(INT64_MAX, lseek(fd, INT64_MAX, SEEK_SET));
}

/* A snapshot there stays as it was. */
TEST_F(last, page)
{
	off_t at = INT64_MAX - 9000 + 1;
	int fd = self->s.fd, win;
	char buf[9000], *map, *shared;

	gen_fill(buf, 1, 0, 8000);
	ASSERT_EQ(8000, pwrite(fd, buf, 8000, at));
	win = window(fd, at / 4096 * 4096, 0);
	ASSERT_LE(0, win);
	map = map_private(win, 0, page_size);
	ASSERT_TRUE(mapped(map));
	shared = map_shared(win, 0, page_size);
	ASSERT_TRUE(mapped(shared));
	gen_fill(buf, 2, 0, 8000);
	ASSERT_EQ(8000, pwrite(fd, buf, 8000, at));
	ASSERT_EQ(SAME, differs(map + at % 4096, 1, 0, page_size - at % 4096));
	ASSERT_EQ(SAME, differs(shared + at % 4096, 2, 0, page_size - at % 4096));
	ASSERT_EQ(0, ftruncate(fd, 0));
	ASSERT_EQ(SAME, differs(map + at % 4096, 1, 0, page_size - at % 4096));
	ASSERT_EQ(BUS, read_byte_or_sigbus(shared));
	/* By blocks, too. */
	gen_fill(buf, 3, 0, 8000);
	ASSERT_EQ(8000, pwrite(fd, buf, 8000, at));
	win = window(fd, at / 4096 * 4096 - 512, 0);
	ASSERT_LE(0, win);
	map = map_private(win, 0, page_size);
	ASSERT_TRUE(mapped(map));
	gen_fill(buf, 4, 0, 8000);
	ASSERT_EQ(8000, pwrite(fd, buf, 8000, at));
	ASSERT_EQ(SAME, differs(map + 512 + at % 4096, 3, 0, page_size - 512 - at % 4096));
}

TEST_HARNESS_MAIN
