// SPDX-License-Identifier: GPL-2.0
/*
 * W1: what the system calls read and write through a window.
 */
#include "win.h"

#include <sys/sendfile.h>

#define LEN	(8 * page_size)

FIXTURE(io)
{
	struct snap s;
	ssize_t at;	/* where the windows begin */
	int win;	/* to the end of the file */
	int part;	/* three pages */
};

WIN_VARIANTS(io);

FIXTURE_SETUP(io)
{
	ASSERT_EQ(0, snap_create(&self->s, LEN));
	self->at = variant->pages * page_size + variant->shift;
	self->win = window(self->s.fd, self->at, 0);
	ASSERT_LE(0, self->win);
	self->part = window(self->s.fd, self->at, 3 * page_size);
	ASSERT_LE(0, self->part);
}

FIXTURE_TEARDOWN(io)
{
	snap_destroy(&self->s);
}

/* Bytes of the window are those of the file, further on. */
#define EXPECT_FILE(gen, off, len) \
	ASSERT_EQ(SAME, file_differs(self->s.fd, gen, off, len))

TEST_F(io, read)
{
	ssize_t len = LEN - self->at, i;
	char *buf = alloc(LEN);

	ASSERT_EQ(len, pread(self->win, buf, LEN, 0));
	ASSERT_EQ(SAME, differs(buf, 0, self->at, len));
	for (i = 1; i < len; i += 511) {
		ASSERT_EQ(len - i, pread(self->win, buf, LEN, i));
		ASSERT_EQ(SAME, differs(buf, 0, self->at + i, len - i));
	}
	ASSERT_EQ(0, pread(self->win, buf, LEN, len));
	ASSERT_EQ(0, pread(self->win, buf, LEN, len + 1));
	ASSERT_EQ(0, pread(self->win, buf, 1, INT64_MAX - 1));
}

TEST_F(io, read_to_the_end_of_the_window)
{
	char *buf = alloc(LEN);

	ASSERT_EQ(3 * page_size, pread(self->part, buf, LEN, 0));
	ASSERT_EQ(SAME, differs(buf, 0, self->at, 3 * page_size));
	ASSERT_EQ(5, pread(self->part, buf, LEN, 3 * page_size - 5));
	ASSERT_EQ(0, pread(self->part, buf, LEN, 3 * page_size));
	ASSERT_EQ(0, pread(self->part, buf, LEN, INT64_MAX - 100000));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->at + page_size + 7));
	ASSERT_EQ(page_size + 7, pread(self->part, buf, LEN, 0));
}

TEST_F(io, read_on)
{
	char *buf = alloc(LEN);
	ssize_t n, all = 0;

	while ((n = read(self->part, buf + all, 777)) > 0) {
		all += n;
		ASSERT_EQ(all, lseek(self->part, 0, SEEK_CUR));
	}
	ASSERT_EQ(0, n);
	ASSERT_EQ(3 * page_size, all);
	ASSERT_EQ(SAME, differs(buf, 0, self->at, all));
}

TEST_F(io, readv)
{
	char *a = alloc(page_size), *b = alloc(LEN);
	struct iovec v[2] = { { a, page_size }, { b, LEN } };

	ASSERT_EQ(3 * page_size, readv(self->part, v, 2));
	ASSERT_EQ(SAME, differs(a, 0, self->at, page_size));
	ASSERT_EQ(SAME, differs(b, 0, self->at + page_size, 2 * page_size));
}

TEST_F(io, write)
{
	char *buf = alloc(LEN);

	gen_fill(buf, 1, self->at + 100, page_size);
	ASSERT_EQ(page_size, pwrite(self->win, buf, page_size, 100));
	EXPECT_FILE(0, 0, self->at + 100);
	EXPECT_FILE(1, self->at + 100, page_size);
	EXPECT_FILE(0, self->at + 100 + page_size, LEN - self->at - 100 - page_size);
	ASSERT_EQ(LEN, file_size(self->s.fd));
}

TEST_F(io, write_past_the_end_of_the_file)
{
	char *buf = alloc(LEN);

	gen_fill(buf, 1, LEN + page_size, page_size);
	ASSERT_EQ(page_size, pwrite(self->win, buf, page_size, LEN + page_size - self->at));
	ASSERT_EQ(LEN + 2 * page_size, file_size(self->s.fd));
	ASSERT_EQ(LEN + 2 * page_size - self->at, file_size(self->win));
	EXPECT_FILE(0, 0, LEN);
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, LEN, page_size));
	EXPECT_FILE(1, LEN + page_size, page_size);
}

TEST_F(io, write_past_the_end_of_the_window)
{
	char *buf = alloc(LEN);

	gen_fill(buf, 1, self->at + 2 * page_size, LEN);
	ASSERT_EQ(page_size, pwrite(self->part, buf, LEN, 2 * page_size));
	EXPECT_FILE(1, self->at + 2 * page_size, page_size);
	EXPECT_FILE(0, self->at + 3 * page_size, LEN - self->at - 3 * page_size);
	ASSERT_EQ(-1, pwrite(self->part, buf, 1, 3 * page_size));
	ASSERT_EQ(EFBIG, errno);
	ASSERT_EQ(-1, pwrite(self->part, buf, LEN, 100 * page_size));
	ASSERT_EQ(EFBIG, errno);
	ASSERT_EQ(0, pwrite(self->part, buf, 0, 3 * page_size));
	if (!self->at)
		return;
	ASSERT_EQ(-1, pwrite(self->win, buf, 1, INT64_MAX - 1));
	ASSERT_EQ(EFBIG, errno);
}

TEST_F(io, write_on)
{
	char *buf = alloc(LEN);
	ssize_t n, all = 0;

	gen_fill(buf, 1, self->at, LEN);
	while ((n = write(self->part, buf + all, 777)) > 0) {
		all += n;
		ASSERT_EQ(all, lseek(self->part, 0, SEEK_CUR));
	}
	ASSERT_EQ(EFBIG, errno);
	ASSERT_EQ(3 * page_size, all);
	EXPECT_FILE(1, self->at, all);
	EXPECT_FILE(0, self->at + all, LEN - self->at - all);
}

TEST_F(io, append)
{
	char *buf = alloc(LEN);

	ASSERT_EQ(0, fcntl(self->win, F_SETFL, O_APPEND));
	ASSERT_EQ(0, fcntl(self->part, F_SETFL, O_APPEND));
	gen_fill(buf, 1, LEN, page_size);
	ASSERT_EQ(page_size, write(self->win, buf, page_size));
	ASSERT_EQ(LEN + page_size, file_size(self->s.fd));
	ASSERT_EQ(LEN + page_size - self->at, lseek(self->win, 0, SEEK_CUR));
	EXPECT_FILE(0, 0, LEN);
	EXPECT_FILE(1, LEN, page_size);
	/* The file goes on behind the window, so there is no room at its end. */
	ASSERT_EQ(-1, write(self->part, buf, 1));
	ASSERT_EQ(EFBIG, errno);
	ASSERT_EQ(0, ftruncate(self->s.fd, self->at + 10));
	gen_fill(buf, 1, self->at + 10, LEN);
	ASSERT_EQ(3 * page_size - 10, write(self->part, buf, LEN));
	EXPECT_FILE(1, self->at + 10, 3 * page_size - 10);
	ASSERT_EQ(self->at + 3 * page_size, file_size(self->s.fd));
}

/* A window that begins behind the end of the file. */
TEST_F(io, append_behind_the_end)
{
	ASSERT_EQ(0, fcntl(self->win, F_SETFL, O_APPEND));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->at / 2));
	ASSERT_EQ(1, write(self->win, "x", 1));
	ASSERT_EQ(self->at + 1, file_size(self->s.fd));
	ASSERT_EQ(1, file_size(self->win));
}

TEST_F(io, fadvise)
{
	EXPECT_EQ(0, posix_fadvise(self->win, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_EQ(0, posix_fadvise(self->win, page_size, page_size, POSIX_FADV_WILLNEED));
	EXPECT_EQ(EINVAL, posix_fadvise(self->win, 0, 0, 99));
	EXPECT_EQ(EINVAL, posix_fadvise(self->win, 0, -1, POSIX_FADV_NORMAL));
	EXPECT_EQ(SAME, file_differs(self->s.fd, 0, 0, LEN));
}

TEST_F(io, seek)
{
	ssize_t len = LEN - self->at;

	ASSERT_EQ(len, lseek(self->win, 0, SEEK_END));
	ASSERT_EQ(3 * page_size - 1, lseek(self->part, -1, SEEK_END));
	ASSERT_EQ(3 * page_size + 1, lseek(self->part, 2, SEEK_CUR));
	ASSERT_EQ(-1, lseek(self->part, -1, SEEK_SET));
	ASSERT_EQ(EINVAL, errno);
}

TEST_F(io, seek_hole_and_data)
{
	ssize_t at = self->at;

	/* A hole from page 4 on to page 6. */
	ASSERT_EQ(0, fallocate(self->s.fd, 3, 4 * page_size, 2 * page_size));
	ASSERT_EQ(0, lseek(self->win, 0, SEEK_DATA));
	ASSERT_EQ(4 * page_size - at, lseek(self->win, 0, SEEK_HOLE));
	ASSERT_EQ(4 * page_size - at, lseek(self->win, 4 * page_size - at, SEEK_HOLE));
	ASSERT_EQ(6 * page_size - at, lseek(self->win, 4 * page_size - at, SEEK_DATA));
	ASSERT_EQ(LEN - at, lseek(self->win, 6 * page_size - at, SEEK_HOLE));
	ASSERT_EQ(-1, lseek(self->win, LEN - at, SEEK_DATA));
	ASSERT_EQ(ENXIO, errno);
	ASSERT_EQ(-1, lseek(self->win, -1, SEEK_DATA));
	ASSERT_EQ(ENXIO, errno);
	/* The end of a window is the end of its data. */
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(LEN, write_gen(self->s.fd, 0, 0, LEN));
	ASSERT_EQ(3 * page_size, lseek(self->part, 0, SEEK_HOLE));
	ASSERT_EQ(-1, lseek(self->part, 3 * page_size, SEEK_HOLE));
	ASSERT_EQ(ENXIO, errno);
}

TEST_F(io, splice)
{
	char *buf = alloc(LEN);
	loff_t off = 100;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(page_size, splice(self->win, &off, p[1], NULL, page_size, 0));
	ASSERT_EQ(100 + page_size, off);
	ASSERT_EQ(page_size, read(p[0], buf, LEN));
	ASSERT_EQ(SAME, differs(buf, 0, self->at + 100, page_size));
	gen_fill(buf, 1, self->at + 50, page_size);
	ASSERT_EQ(page_size, write(p[1], buf, page_size));
	off = 50;
	ASSERT_EQ(page_size, splice(p[0], NULL, self->win, &off, page_size, 0));
	EXPECT_FILE(0, 0, self->at + 50);
	EXPECT_FILE(1, self->at + 50, page_size);
	EXPECT_FILE(0, self->at + 50 + page_size, page_size);
	off = 3 * page_size;
	ASSERT_EQ(0, splice(self->part, &off, p[1], NULL, page_size, 0));
}

TEST_F(io, sendfile)
{
	int fd = open(peer_dir(), O_TMPFILE | O_RDWR, 0600);
	off_t off = 9;

	ASSERT_LE(0, fd);
	ASSERT_EQ(3 * page_size - 9, sendfile(fd, self->part, &off, LEN));
	ASSERT_EQ(SAME, shows_not(fd, 0, 0, self->at + 9, 3 * page_size - 9));
	off = 0;
	ASSERT_EQ(0, ftruncate(fd, 0));
	ASSERT_EQ(3 * page_size, write_gen(fd, 1, 0, 3 * page_size));
	ASSERT_EQ(3 * page_size, sendfile(self->part, fd, &off, 3 * page_size));
	ASSERT_EQ(SAME, file_differs(self->part, 1, 0, 3 * page_size));
	EXPECT_FILE(0, self->at + 3 * page_size, LEN - self->at - 3 * page_size);
}

TEST_F(io, copy_file_range)
{
	loff_t in = 0, out = LEN;

	ASSERT_EQ(3 * page_size, copy_file_range(self->part, &in, self->s.fd, &out, LEN, 0));
	ASSERT_EQ(LEN + 3 * page_size, file_size(self->s.fd));
	ASSERT_EQ(SAME, shows_not(self->s.fd, LEN, 0, self->at, 3 * page_size));
	/* The core compares positions as numbers, so these must not overlap. */
	in = 6 * page_size;
	out = 0;
	ASSERT_EQ(BLOCK, copy_file_range(self->s.fd, &in, self->part, &out, BLOCK, 0));
	EXPECT_FILE(0, 0, self->at);
	ASSERT_EQ(SAME, shows_not(self->part, 0, 0, 6 * page_size, BLOCK));
	ASSERT_EQ(SAME, shows_not(self->part, BLOCK, 0, self->at + BLOCK, page_size));
}

TEST_F(io, direct)
{
	char *buf = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(self->s.path, O_RDWR | O_DIRECT);

	ASSERT_LE(0, fd);
	fd = window(fd, self->at, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(page_size, pread(fd, buf, page_size, page_size));
	ASSERT_EQ(SAME, differs(buf, 0, self->at + page_size, page_size));
	gen_fill(buf, 1, self->at, page_size);
	ASSERT_EQ(page_size, pwrite(fd, buf, page_size, 0));
	EXPECT_FILE(1, self->at, page_size);
}

TEST_F(io, io_uring)
{
	char *buf = alloc(LEN);
	struct uring u;

	ASSERT_EQ(0, uring_setup(&u));
	ASSERT_EQ(page_size, uring_rw(&u, IORING_OP_READ, self->win, buf, page_size, 33));
	ASSERT_EQ(SAME, differs(buf, 0, self->at + 33, page_size));
	gen_fill(buf, 1, self->at + 33, page_size);
	ASSERT_EQ(page_size, uring_rw(&u, IORING_OP_WRITE, self->win, buf, page_size, 33));
	EXPECT_FILE(1, self->at + 33, page_size);
	EXPECT_FILE(0, 0, self->at + 33);
	ASSERT_EQ(0, uring_rw(&u, IORING_OP_READ, self->part, buf, LEN, 3 * page_size));
}

/* P4: a write through a window is a change of the file. */
TEST_F(io, write_is_a_change)
{
	char *buf = alloc(LEN);
	char *map = map_private(self->s.fd, 0, LEN);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(SAME, touch(map, LEN / 2));
	gen_fill(buf, 1, self->at, 3 * page_size);
	ASSERT_EQ(3 * page_size, write(self->part, buf, LEN));
	ASSERT_EQ(SAME, differs(map, 0, 0, LEN));
	ASSERT_EQ(0, ftruncate(self->win, 1));
	ASSERT_EQ(SAME, differs(map, 0, 0, LEN));
}

/* Near the end of what a file can have. */
TEST_F(io, far_out)
{
	const off_t far = (1LL << 62) + self->at;
	int fd = window(self->s.fd, far, 0);
	char byte;

	if (!has_all_offsets(self->s.fd))
		SKIP(return, "no such offsets on this mount");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pread(fd, &byte, 1, 0));
	ASSERT_EQ(1, pwrite(fd, "x", 1, 5000));
	ASSERT_EQ(far + 5001, file_size(self->s.fd));
	ASSERT_EQ(1, pread(self->s.fd, &byte, 1, far + 5000));
	ASSERT_EQ('x', byte);
	/* Data begin with a page of the file. */
	ASSERT_EQ((far + 5000) / page_size * page_size - far > 0 ?
		  (far + 5000) / page_size * page_size - far : 0,
		  lseek(fd, 0, SEEK_DATA));
	ASSERT_EQ(-1, pwrite(fd, "x", 1, INT64_MAX - far));
	ASSERT_EQ(EFBIG, errno);
	ASSERT_EQ(0, ftruncate(fd, 0));
	ASSERT_EQ(far, file_size(self->s.fd));
}

TEST_HARNESS_MAIN
