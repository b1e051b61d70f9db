// SPDX-License-Identifier: GPL-2.0
/*
 * P1 and P4 for everything that writes: a mapping keeps the bytes of the moment
 * it was made, whoever changes the file, by whichever call, and whether or not
 * the page had been touched before.
 */
#include "snap.h"

#include <sys/sendfile.h>

#define PAGES 8

FIXTURE(frozen)
{
	struct snap s;
};

FIXTURE_VARIANT(frozen)
{
	bool touch;
};

FIXTURE_VARIANT_ADD(frozen, touched)
{
	.touch = true,
};

FIXTURE_VARIANT_ADD(frozen, untouched)
{
	.touch = false,
};

FIXTURE_SETUP(frozen)
{
	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->s.map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->s.map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
}

FIXTURE_TEARDOWN(frozen)
{
	snap_destroy(&self->s);
}

/*
 * The file shows generation 1 in [@off, @off + @len) and is otherwise as it
 * was; the mapping shows nothing of it.
 */
static void check(struct __test_metadata *_metadata, struct snap *s,
		  ssize_t off, ssize_t len)
{
	ssize_t end = off + len;

	ASSERT_EQ(SAME, file_differs(s->fd, 1, off, len));
	ASSERT_EQ(SAME, file_differs(s->fd, 0, 0, off));
	if (end < s->len)
		ASSERT_EQ(SAME, file_differs(s->fd, 0, end, s->len - end));
	ASSERT_EQ(SAME, differs(s->map, 0, 0, s->len));
}

TEST_F(frozen, write)
{
	char *buf = alloc(self->s.len);

	gen_fill(buf, 1, 0, self->s.len);
	ASSERT_EQ(0, lseek(self->s.fd, 0, SEEK_SET));
	ASSERT_EQ(self->s.len, write(self->s.fd, buf, self->s.len));
	check(_metadata, &self->s, 0, self->s.len);
}

TEST_F(frozen, pwrite)
{
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, page_size, page_size));
	check(_metadata, &self->s, page_size, page_size);
}

TEST_F(frozen, one_byte)
{
	ASSERT_EQ(1, write_gen(self->s.fd, 1, 2 * page_size + 77, 1));
	check(_metadata, &self->s, 2 * page_size + 77, 1);
}

TEST_F(frozen, part_of_a_page)
{
	ASSERT_EQ(1000, write_gen(self->s.fd, 1, page_size + 100, 1000));
	check(_metadata, &self->s, page_size + 100, 1000);
}

TEST_F(frozen, mid_page_to_mid_page)
{
	ssize_t off = page_size + page_size / 2, len = 3 * page_size + 5;

	ASSERT_EQ(len, write_gen(self->s.fd, 1, off, len));
	check(_metadata, &self->s, off, len);
}

/* The second change of a page finds it settled, and must not settle it again. */
TEST_F(frozen, twice)
{
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	check(_metadata, &self->s, 0, self->s.len);
}

/* Half of a page before and half after: the copy is of the whole old page. */
TEST_F(frozen, in_two_halves)
{
	ssize_t half = page_size / 2;

	ASSERT_EQ(half, write_gen(self->s.fd, 1, page_size, half));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(half, write_gen(self->s.fd, 1, page_size + half, half));
	check(_metadata, &self->s, page_size, page_size);
}

/* Faults between the writes must keep taking the right page. */
TEST_F(frozen, page_by_page_backwards)
{
	ssize_t i, off;

	for (i = PAGES; i-- > 0;) {
		off = i * page_size;
		ASSERT_EQ(page_size, write_gen(self->s.fd, 1, off, page_size));
		ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	}
	check(_metadata, &self->s, 0, self->s.len);
}

TEST_F(frozen, writev)
{
	char *buf = alloc(self->s.len);
	struct iovec iov[3] = {
		{ buf, 10 },
		{ buf + 10, page_size },
		{ buf + 10 + page_size, 2 * page_size },
	};

	gen_fill(buf, 1, 0, self->s.len);
	ASSERT_EQ(0, lseek(self->s.fd, 0, SEEK_SET));
	ASSERT_EQ(10 + 3 * page_size, writev(self->s.fd, iov, 3));
	check(_metadata, &self->s, 0, 10 + 3 * page_size);
}

TEST_F(frozen, pwritev2)
{
	char *buf = alloc(self->s.len);
	struct iovec iov[2] = {
		{ buf, 100 },
		{ buf + 100, page_size },
	};

	gen_fill(buf, 1, page_size, 100 + page_size);
	ASSERT_EQ(100 + page_size,
		  pwritev2(self->s.fd, iov, 2, page_size, RWF_DSYNC));
	check(_metadata, &self->s, page_size, 100 + page_size);
}

/* Appending to a full last page adds pages that the mapping does not have. */
TEST_F(frozen, append)
{
	char *buf = alloc(2 * page_size);
	int fd = open(self->s.path, O_WRONLY | O_APPEND);

	gen_fill(buf, 1, self->s.len, 2 * page_size);
	ASSERT_EQ(2 * page_size, write(fd, buf, 2 * page_size));
	check(_metadata, &self->s, self->s.len, 2 * page_size);
}

TEST_F(frozen, append_into_the_last_page)
{
	ssize_t size = self->s.len - 100, tail = self->s.len - page_size;
	int fd = open(self->s.path, O_WRONLY | O_APPEND);
	char *map, buf[200];

	ASSERT_EQ(0, ftruncate(self->s.fd, size));
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, self->s.len));
	gen_fill(buf, 1, size, sizeof(buf));
	ASSERT_EQ(200, write(fd, buf, sizeof(buf)));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, size, sizeof(buf)));
	ASSERT_EQ(SAME, differs(map + tail, 0, tail, page_size - 100));
	ASSERT_EQ(SAME, not_zero(map + size, 100));
}

TEST_F(frozen, pwritev2_append)
{
	ssize_t size = self->s.len - 100;
	char *map, buf[100];
	struct iovec iov = { buf, sizeof(buf) };

	ASSERT_EQ(0, ftruncate(self->s.fd, size));
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, self->s.len));
	gen_fill(buf, 1, size, sizeof(buf));
	ASSERT_EQ(100, pwritev2(self->s.fd, &iov, 1, 0, RWF_APPEND));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, size, sizeof(buf)));
	ASSERT_EQ(SAME, differs(map, 0, 0, size));
	ASSERT_EQ(SAME, not_zero(map + size, 100));
}

TEST_F(frozen, splice_from_a_pipe)
{
	char *buf = alloc(2 * page_size);
	loff_t off = page_size + 10;
	ssize_t done = 0;
	int p[2];

	gen_fill(buf, 1, off, 2 * page_size);
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(2 * page_size, write(p[1], buf, 2 * page_size));
	while (done < 2 * page_size) {
		ssize_t n = splice(p[0], NULL, self->s.fd, &off,
				   2 * page_size - done, 0);

		ASSERT_LT(0, n);
		done += n;
	}
	check(_metadata, &self->s, page_size + 10, 2 * page_size);
}

/* A file in @dir whose bytes are those of generation 1. */
static void source(struct __test_metadata *_metadata, struct snap *src,
		   const char *dir, ssize_t len)
{
	ASSERT_EQ(0, snap_create_in(src, dir, 0));
	ASSERT_EQ(0, unlink(src->path));
	ASSERT_EQ(len, write_gen(src->fd, 1, 0, len));
}

static void do_sendfile(struct __test_metadata *_metadata,
			struct snap *s, const char *dir)
{
	struct snap src;
	off_t off = 0;

	source(_metadata, &src, dir, s->len);
	ASSERT_EQ(0, lseek(s->fd, 0, SEEK_SET));
	while (off < s->len)
		ASSERT_LT(0, sendfile(s->fd, src.fd, &off,
				      s->len - off));
	check(_metadata, s, 0, s->len);
}

TEST_F(frozen, sendfile_from_tmpfs)
{
	do_sendfile(_metadata, &self->s, peer_dir());
}

TEST_F(frozen, sendfile_from_here)
{
	do_sendfile(_metadata, &self->s, snap_dir());
}

TEST_F(frozen, copy_file_range)
{
	ssize_t len = 2 * page_size + 17;
	loff_t in = page_size, out = page_size;
	struct snap src;

	source(_metadata, &src, snap_dir(), self->s.len);
	while (in < page_size + len)
		ASSERT_LT(0, copy_file_range(src.fd, &in, self->s.fd, &out,
					     page_size + len - in, 0));
	check(_metadata, &self->s, page_size, len);
}

TEST_F(frozen, copy_file_range_within_the_file)
{
	ssize_t size = 4 * page_size;
	loff_t in = 0, out = size;
	char *copy = alloc(size);

	while (in < size)
		ASSERT_LT(0, copy_file_range(self->s.fd, &in, self->s.fd, &out,
					     size - in, 0));
	ASSERT_EQ(size, pread(self->s.fd, copy, size, size));
	ASSERT_EQ(SAME, differs(copy, 0, 0, size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(frozen, direct)
{
	int fd = open(self->s.path, O_RDWR | O_DIRECT);
	char *buf = reserve(2 * page_size);

	if (fd < 0 && errno == EINVAL)
		SKIP(return, "the filesystem does not take O_DIRECT");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, mprotect(buf, 2 * page_size, PROT_READ | PROT_WRITE));
	gen_fill(buf, 1, page_size, 2 * page_size);
	ASSERT_EQ(2 * page_size, pwrite(fd, buf, 2 * page_size, page_size));
	check(_metadata, &self->s, page_size, 2 * page_size);
}

TEST_F(frozen, io_uring)
{
	ssize_t off = page_size / 2, len = 3 * page_size;
	char *buf = alloc(len);
	struct uring u;
	int err;

	err = uring_setup(&u);
	if (err)
		SKIP(return, "no io_uring here: %s", strerror(-err));
	gen_fill(buf, 1, off, len);
	ASSERT_EQ(len, uring_rw(&u, IORING_OP_WRITE, self->s.fd, buf, len,
				off));
	check(_metadata, &self->s, off, len);
}

/* Another name and another descriptor are still the same file. */
TEST_F(frozen, hard_link)
{
	char other[PATH_MAX + 8];
	int fd;

	snprintf(other, sizeof(other), "%s.link", self->s.path);
	ASSERT_EQ(0, link(self->s.path, other));
	fd = open(other, O_WRONLY);
	ASSERT_EQ(0, unlink(other));
	ASSERT_EQ(page_size, write_gen(fd, 1, 0, page_size));
	check(_metadata, &self->s, 0, page_size);
}

static int write_all_of_1(void *arg)
{
	struct snap *s = arg;
	int fd = open(s->path, O_WRONLY);

	munmap(s->map, s->len);
	return write_gen(fd, 1, 0, s->len) != s->len;
}

TEST_F(frozen, another_process)
{
	ASSERT_EQ(0, run_child(write_all_of_1, &self->s));
	check(_metadata, &self->s, 0, self->s.len);
}

TEST_F(frozen, unlinked)
{
	ASSERT_EQ(0, unlink(self->s.path));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	check(_metadata, &self->s, 0, self->s.len);
}

/* Nothing but the mapping holds the file any more. */
TEST_F(frozen, unlinked_and_closed)
{
	int fd = open(self->s.path, O_RDWR);

	ASSERT_EQ(0, unlink(self->s.path));
	ASSERT_EQ(page_size, write_gen(fd, 1, 0, page_size));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, close(self->s.fd));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	self->s.fd = -1;
}

TEST_F(frozen, renamed_over)
{
	struct snap other;

	ASSERT_EQ(0, snap_create(&other, 0));
	ASSERT_EQ(self->s.len, write_gen(other.fd, 2, 0, self->s.len));
	ASSERT_EQ(0, rename(other.path, self->s.path));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	check(_metadata, &self->s, 0, self->s.len);
	ASSERT_EQ(SAME, file_differs(other.fd, 2, 0, self->s.len));
}

/* The descriptor that made the mapping need not live as long as it does. */
TEST_F(frozen, mapped_by_a_read_only_descriptor)
{
	int fd = open(self->s.path, O_RDONLY);
	char *map = map_private(fd, 0, self->s.len);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, close(fd));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	check(_metadata, &self->s, 0, self->s.len);
}

TEST_F(frozen, writable_private_mapping)
{
	char *map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			 self->s.fd, 0);

	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	check(_metadata, &self->s, 0, self->s.len);
}

/* An offset that is not zero, in a mapping that ends before the file does. */
TEST_F(frozen, middle_of_the_file)
{
	ssize_t off = 2 * page_size, len = 3 * page_size;
	char *map = map_private(self->s.fd, off, len);

	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(map, 0, off, len));
	check(_metadata, &self->s, 0, self->s.len);
}

TEST_F(frozen, several_files)
{
	struct snap other[3];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, snap_create(&other[i], 2 * page_size));
		ASSERT_EQ(2 * page_size,
			  write_gen(other[i].fd, 10 + i, 0, 2 * page_size));
		other[i].map = map_private(other[i].fd, 0, 2 * page_size);
		ASSERT_TRUE(mapped(other[i].map));
		ASSERT_EQ(0, unlink(other[i].path));
		if (variant->touch)
			ASSERT_EQ(SAME, touch(other[i].map, 2 * page_size));
	}
	for (i = 0; i < 3; i++)
		ASSERT_EQ(2 * page_size,
			  write_gen(other[i].fd, 20 + i, 0, 2 * page_size));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, 0, page_size));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(SAME, differs(other[i].map, 10 + i, 0, 2 * page_size));
		ASSERT_EQ(SAME, file_differs(other[i].fd, 20 + i, 0,
					     2 * page_size));
	}
	check(_metadata, &self->s, 0, page_size);
}

/* One call, many folios. */
TEST_F(frozen, mebibyte)
{
	ssize_t len = 1 << 20;
	char *map;

	ASSERT_EQ(len, write_gen(self->s.fd, 0, 0, len));
	map = map_private(self->s.fd, 0, len);
	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, len));
	ASSERT_EQ(len - 1000, write_gen(self->s.fd, 1, 500, len - 1000));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 500, len - 1000));
	ASSERT_EQ(SAME, differs(map, 0, 0, len));
}

TEST_HARNESS_MAIN
