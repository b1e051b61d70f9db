// SPDX-License-Identifier: GPL-2.0
/*
 * Space: what statfs() counts, the limits and what a full filesystem does,
 * fallocate(), and where SEEK_HOLE and SEEK_DATA find things.
 */
#include "fs.h"

#include <linux/magic.h>

enum { LIMIT_PAGES = 64, LIMIT_INODES = 32 };

/* Every test has an instance of its own in "m", limited to these. */
FIXTURE(space) {
	char dir[FS_PATH];
};

FIXTURE_SETUP(space)
{
	char options[64];

	ASSERT_OK(fs_enter(self->dir));
	ASSERT_OK(fs_private_ns());
	snprintf(options, sizeof(options), "size=%zu,nr_inodes=%d",
		 LIMIT_PAGES * fs_page(), LIMIT_INODES);
	ASSERT_OK(fs_mount("m", 0, options));
	ASSERT_OK(chdir("m"));
}

FIXTURE_TEARDOWN_PARENT(space)
{
	EXPECT_OK(fs_remove(self->dir));
}

static long long pages_free(void)
{
	struct statfs st;

	return statfs(".", &st) ? -1 : (long long)st.f_bfree;
}

static long long inodes_free(void)
{
	struct statfs st;

	return statfs(".", &st) ? -1 : (long long)st.f_ffree;
}

/* Writes this many pages of pattern @seed at a page offset; pages written. */
static int put_pages(int fd, int at, int n, unsigned int seed)
{
	const size_t page = fs_page();
	char *buf = malloc(page);
	int i;

	fs_fill(buf, page, seed);
	for (i = 0; i < n; i++)
		if (pwrite(fd, buf, page, (off_t)(at + i) * page) != page)
			break;
	free(buf);
	return i;
}

/* True when these pages hold pattern @seed, or zeros for seed 0. */
static bool pages_are(int fd, int at, int n, unsigned int seed)
{
	const size_t page = fs_page();
	char *want = calloc(1, page), *got = malloc(page);
	bool same = true;
	int i;

	if (seed)
		fs_fill(want, page, seed);
	for (i = 0; i < n && same; i++)
		same = pread(fd, got, page, (off_t)(at + i) * page) == page &&
		       !memcmp(want, got, page);
	free(want);
	free(got);
	return same;
}

static int new_file(const char *name)
{
	return open(name, O_RDWR | O_CREAT, 0644);
}

TEST_F(space, statfs)
{
	struct statfs st;

	ASSERT_EQ(0, statfs(".", &st));
	EXPECT_EQ(fs_page(), st.f_bsize);
	EXPECT_EQ(255, st.f_namelen);
	EXPECT_EQ(LIMIT_PAGES, st.f_blocks);
	EXPECT_EQ(LIMIT_PAGES, st.f_bfree);
	EXPECT_EQ(LIMIT_PAGES, st.f_bavail);
	EXPECT_EQ(LIMIT_INODES, st.f_files);
	/* The root directory is one. */
	EXPECT_EQ(LIMIT_INODES - 1, st.f_ffree);
	EXPECT_EQ(fs_is_tmpfs() ? TMPFS_MAGIC : SNAPMAPFS_MAGIC, st.f_type);
}

TEST_F(space, accounting)
{
	const size_t page = fs_page();
	int fd, tmp;

	ASSERT_LE(0, fd = new_file("f"));
	EXPECT_EQ(LIMIT_PAGES, pages_free());
	EXPECT_EQ(LIMIT_INODES - 2, inodes_free());
	ASSERT_EQ(10, put_pages(fd, 0, 10, 1));
	EXPECT_EQ(LIMIT_PAGES - 10, pages_free());
	ASSERT_EQ(10, put_pages(fd, 0, 10, 2));
	EXPECT_EQ(LIMIT_PAGES - 10, pages_free());
	ASSERT_EQ(1, put_pages(fd, 1000, 1, 1));
	EXPECT_EQ(LIMIT_PAGES - 11, pages_free());
	ASSERT_EQ(0, ftruncate(fd, 5 * page));
	EXPECT_EQ(LIMIT_PAGES - 5, pages_free());
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       page, 2 * page));
	EXPECT_EQ(LIMIT_PAGES - 3, pages_free());

	/* An open file keeps its space until it is closed. */
	ASSERT_EQ(0, unlink("f"));
	EXPECT_EQ(LIMIT_PAGES - 3, pages_free());
	EXPECT_EQ(LIMIT_INODES - 2, inodes_free());
	ASSERT_EQ(4, put_pages(fd, 0, 4, 3));
	EXPECT_EQ(LIMIT_PAGES - 5, pages_free());
	close(fd);
	EXPECT_EQ(LIMIT_PAGES, pages_free());
	EXPECT_EQ(LIMIT_INODES - 1, inodes_free());

	ASSERT_LE(0, tmp = open(".", O_RDWR | O_TMPFILE, 0644));
	ASSERT_EQ(7, put_pages(tmp, 0, 7, 1));
	EXPECT_EQ(LIMIT_PAGES - 7, pages_free());
	EXPECT_EQ(LIMIT_INODES - 2, inodes_free());
	close(tmp);
	EXPECT_EQ(LIMIT_PAGES, pages_free());
	EXPECT_EQ(LIMIT_INODES - 1, inodes_free());

	/* rename() over a file frees it. */
	ASSERT_LE(0, fd = new_file("a"));
	ASSERT_EQ(3, put_pages(fd, 0, 3, 1));
	close(fd);
	ASSERT_LE(0, fd = new_file("b"));
	ASSERT_EQ(4, put_pages(fd, 0, 4, 1));
	ASSERT_EQ(0, rename("a", "b"));
	EXPECT_EQ(LIMIT_PAGES - 7, pages_free());
	close(fd);
	EXPECT_EQ(LIMIT_PAGES - 3, pages_free());
	EXPECT_EQ(LIMIT_INODES - 2, inodes_free());
}

TEST_F(space, mapped_file_keeps_space)
{
	const size_t page = fs_page();
	char *p;
	int fd;

	ASSERT_LE(0, fd = new_file("f"));
	ASSERT_EQ(4, put_pages(fd, 0, 4, 1));
	p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(fd);
	ASSERT_EQ(0, unlink("f"));
	EXPECT_EQ(LIMIT_PAGES - 4, pages_free());
	fs_store(p, 1);
	ASSERT_EQ(0, munmap(p, 4 * page));
	EXPECT_EQ(LIMIT_PAGES, pages_free());
}

TEST_F(space, full)
{
	const size_t page = fs_page();
	char *buf = calloc(LIMIT_PAGES + 2, page);
	int fd, other;

	ASSERT_LE(0, other = new_file("other"));
	ASSERT_EQ(4, put_pages(other, 0, 4, 7));
	ASSERT_LE(0, fd = new_file("f"));
	memset(buf, 'w', (LIMIT_PAGES + 2) * page);

	/* What fits is written and counted, the rest refused. */
	EXPECT_EQ((LIMIT_PAGES - 4) * page,
		  pwrite(fd, buf, (LIMIT_PAGES + 2) * page, 0));
	EXPECT_EQ((LIMIT_PAGES - 4) * page, fs_size("f"));
	EXPECT_EQ(0, pages_free());
	EXPECT_ERRNO(ENOSPC, pwrite(fd, buf, 1, (LIMIT_PAGES - 4) * page));
	EXPECT_ERRNO(ENOSPC, pwrite(fd, buf, 1, 1000 * page));
	EXPECT_EQ((LIMIT_PAGES - 4) * page, fs_size("f"));
	/* From inside a page, the short write ends with the page. */
	EXPECT_EQ(10, pwrite(fd, buf, 100, (LIMIT_PAGES - 4) * page - 10));
	EXPECT_ERRNO(ENOSPC, fallocate(other, 0, 4 * page, 1));
	EXPECT_EQ(4 * page, fs_size("other"));

	/* What is there can be read and overwritten, and names be made. */
	EXPECT_TRUE(pages_are(other, 0, 4, 7));
	EXPECT_EQ(4, put_pages(other, 0, 4, 8));
	EXPECT_TRUE(pages_are(other, 0, 4, 8));
	EXPECT_EQ(0, ftruncate(other, 100 * page));
	EXPECT_TRUE(pages_are(other, 4, 96, 0));
	EXPECT_EQ(0, mkdir("d", 0755));
	EXPECT_EQ(0, rename("other", "d/other"));
	EXPECT_EQ(0, symlink("f", "l"));

	/* Space comes back and can be used again. */
	ASSERT_EQ(0, ftruncate(fd, 2 * page));
	EXPECT_EQ(LIMIT_PAGES - 6, pages_free());
	EXPECT_EQ(3, put_pages(other, 4, 3, 9));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, unlink("f"));
	EXPECT_EQ(LIMIT_PAGES - 7, pages_free());
	ASSERT_EQ(0, fallocate(other, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 0, 7 * page));
	EXPECT_EQ(LIMIT_PAGES, pages_free());
}

TEST_F(space, full_for_a_mapped_store)
{
	const size_t page = fs_page();
	int fd, other;
	pid_t pid;
	char *p;

	ASSERT_LE(0, fd = new_file("f"));
	ASSERT_EQ(2, put_pages(fd, 0, 2, 1));
	ASSERT_EQ(0, ftruncate(fd, 4 * page));
	ASSERT_LE(0, other = new_file("other"));
	ASSERT_EQ(LIMIT_PAGES - 2, put_pages(other, 0, LIMIT_PAGES, 2));
	p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);

	/* A page that exists takes stores, a hole has no room. */
	fs_store(p, 'x');
	pid = fork();
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		fs_store(p + 2 * page, 'y');
		_exit(0);
	}
	EXPECT_EQ(-SIGBUS, fs_wait(pid));
	EXPECT_EQ('x', fs_load(p));
	EXPECT_TRUE(pages_are(fd, 1, 1, 1));
	EXPECT_EQ(4 * page, fs_size("f"));
	EXPECT_EQ(2 * page / 512, fs_blocks("f"));
	EXPECT_TRUE(pages_are(other, 0, LIMIT_PAGES - 2, 2));

	/* With room again the same store succeeds. */
	ASSERT_EQ(0, ftruncate(other, 0));
	fs_store(p + 2 * page, 'y');
	EXPECT_EQ('y', fs_load(p + 2 * page));
	EXPECT_EQ(3 * page / 512, fs_blocks("f"));
}

TEST_F(space, out_of_inodes)
{
	char name[32];
	int i;

	for (i = 0; i < LIMIT_INODES - 1; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ASSERT_LE(0, close(new_file(name)));
	}
	EXPECT_EQ(0, inodes_free());
	EXPECT_ERRNO(ENOSPC, new_file("g"));
	EXPECT_ERRNO(ENOSPC, mkdir("g", 0755));
	EXPECT_ERRNO(ENOSPC, symlink("x", "g"));
	EXPECT_ERRNO(ENOSPC, mkfifo("g", 0644));
	EXPECT_ERRNO(ENOSPC, open(".", O_RDWR | O_TMPFILE, 0644));
	EXPECT_FALSE(fs_exists("g"));
	EXPECT_EQ(2, fs_nlink("."));
	EXPECT_EQ(0, fs_puts("f0", "still writable"));
	EXPECT_EQ(0, rename("f0", "f1"));
	EXPECT_EQ(1, inodes_free());
	EXPECT_EQ(0, mkdir("g", 0755));
	EXPECT_ERRNO(ENOSPC, mkdir("h", 0755));
	EXPECT_EQ(0, rmdir("g"));
	EXPECT_EQ(0, symlink("x", "g"));
}

TEST_F(space, fallocate)
{
	const size_t page = fs_page();
	int fd;

	ASSERT_LE(0, fd = new_file("f"));
	ASSERT_EQ(0, fallocate(fd, 0, 0, 4 * page));
	EXPECT_EQ(4 * page, fs_size("f"));
	EXPECT_EQ(4 * page / 512, fs_blocks("f"));
	EXPECT_EQ(LIMIT_PAGES - 4, pages_free());
	EXPECT_TRUE(pages_are(fd, 0, 4, 0));

	/* Partial pages count whole; the size is the byte that was asked. */
	ASSERT_EQ(0, fallocate(fd, 0, 8 * page - 1, page));
	EXPECT_EQ(9 * page - 1, fs_size("f"));
	EXPECT_EQ(LIMIT_PAGES - 6, pages_free());
	/* Allocating again costs and changes nothing. */
	ASSERT_EQ(4, put_pages(fd, 0, 4, 1));
	ASSERT_EQ(0, fallocate(fd, 0, 0, 4 * page));
	EXPECT_TRUE(pages_are(fd, 0, 4, 1));
	EXPECT_EQ(LIMIT_PAGES - 6, pages_free());
	EXPECT_EQ(9 * page - 1, fs_size("f"));

	/* KEEP_SIZE allocates beyond the end, and a truncate frees it. */
	ASSERT_EQ(0, ftruncate(fd, 4 * page));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 4 * page, 4 * page));
	EXPECT_EQ(4 * page, fs_size("f"));
	EXPECT_EQ(8 * page / 512, fs_blocks("f"));
	EXPECT_EQ(LIMIT_PAGES - 8, pages_free());
	ASSERT_EQ(0, ftruncate(fd, 6 * page));
	EXPECT_TRUE(pages_are(fd, 4, 2, 0));
	ASSERT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(LIMIT_PAGES, pages_free());
}

TEST_F(space, fallocate_reserves)
{
	const size_t page = fs_page();
	int fd, other;

	ASSERT_LE(0, fd = new_file("f"));
	ASSERT_LE(0, other = new_file("other"));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LIMIT_PAGES * page));
	EXPECT_EQ(0, pages_free());
	EXPECT_EQ(0, fs_size("f"));
	EXPECT_EQ(0, put_pages(other, 0, 1, 1));
	/* The space is there for whom it was reserved. */
	EXPECT_EQ(LIMIT_PAGES, put_pages(fd, 0, LIMIT_PAGES, 2));
	EXPECT_TRUE(pages_are(fd, 0, LIMIT_PAGES, 2));
	EXPECT_EQ(0, pages_free());
}

TEST_F(space, fallocate_all_or_nothing)
{
	const size_t page = fs_page();
	int fd;

	ASSERT_LE(0, fd = new_file("f"));
	ASSERT_EQ(2, put_pages(fd, 10, 2, 5));
	/* More than there is at all, then more than is left. */
	EXPECT_ERRNO(ENOSPC, fallocate(fd, 0, 0, (LIMIT_PAGES + 1) * page));
	EXPECT_EQ(LIMIT_PAGES - 2, pages_free());
	EXPECT_ERRNO(ENOSPC, fallocate(fd, 0, 12 * page,
				       (LIMIT_PAGES - 1) * page));
	EXPECT_EQ(LIMIT_PAGES - 2, pages_free());
	EXPECT_EQ(12 * page, fs_size("f"));
	EXPECT_EQ(2 * page / 512, fs_blocks("f"));
	EXPECT_TRUE(pages_are(fd, 0, 10, 0));
	EXPECT_TRUE(pages_are(fd, 10, 2, 5));
	EXPECT_EQ(0, fallocate(fd, 0, 12 * page, (LIMIT_PAGES - 2) * page));
	EXPECT_EQ(0, pages_free());
}

TEST_F(space, punch_hole)
{
	const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	const size_t page = fs_page();
	char *buf = malloc(8 * page);
	size_t from, len;
	int fd, i;

	ASSERT_LE(0, fd = new_file("f"));
	for (i = 0; i < 30; i++) {
		from = i * 997 % (6 * page);
		len = 1 + i * 1777 % (3 * page);
		memset(buf, 0xff, 8 * page);
		ASSERT_EQ(8 * page, pwrite(fd, buf, 8 * page, 0));
		ASSERT_EQ(0, fallocate(fd, mode, from, len));
		if (from + len > 8 * page)
			len = 8 * page - from;
		ASSERT_EQ(8 * page, pread(fd, buf, 8 * page, 0));
		EXPECT_EQ(from, fs_run(buf, 0xff, from));
		EXPECT_EQ(len, fs_run(buf + from, 0, len));
		EXPECT_EQ(8 * page - from - len,
			  fs_run(buf + from + len, 0xff, 8 * page - from - len));
	}
	ASSERT_EQ(0, fallocate(fd, mode, 0, 8 * page));
	EXPECT_EQ(8 * page, fs_size("f"));
	EXPECT_EQ(0, fs_blocks("f"));

	/* Beyond the end it only frees what was preallocated there. */
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 8 * page, 2 * page));
	ASSERT_EQ(0, fallocate(fd, mode, 8 * page, 100 * page));
	EXPECT_EQ(8 * page, fs_size("f"));
	EXPECT_EQ(0, fs_blocks("f"));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, page));
}

TEST_F(space, zero_range)
{
	const size_t page = fs_page();
	char *buf = malloc(8 * page);
	int fd, i, ret;

	ASSERT_LE(0, fd = new_file("f"));
	memset(buf, 0xff, 8 * page);
	ASSERT_EQ(8 * page, pwrite(fd, buf, 8 * page, 0));
	ret = fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 1);
	if (ret && errno == EOPNOTSUPP && fs_is_tmpfs())
		SKIP(return, "tmpfs has no FALLOC_FL_ZERO_RANGE");
	ASSERT_EQ(0, ret);

	for (i = 0; i < 30; i++) {
		size_t from = i * 997 % (6 * page);
		size_t len = 1 + i * 1777 % (2 * page);

		memset(buf, 0xff, 8 * page);
		ASSERT_EQ(8 * page, pwrite(fd, buf, 8 * page, 0));
		ASSERT_EQ(0, fallocate(fd, FALLOC_FL_ZERO_RANGE, from, len));
		ASSERT_EQ(8 * page, pread(fd, buf, 8 * page, 0));
		EXPECT_EQ(from, fs_run(buf, 0xff, from));
		EXPECT_EQ(len, fs_run(buf + from, 0, len));
		EXPECT_EQ(8 * page - from - len,
			  fs_run(buf + from + len, 0xff, 8 * page - from - len));
	}
	/* Zeroed, but still allocated. */
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 8 * page));
	EXPECT_EQ(8 * page / 512, fs_blocks("f"));
	EXPECT_TRUE(pages_are(fd, 0, 8, 0));

	/* It extends the file unless told to keep the size. */
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
			       7 * page, 3 * page));
	EXPECT_EQ(8 * page, fs_size("f"));
	EXPECT_EQ(10 * page / 512, fs_blocks("f"));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_ZERO_RANGE, 7 * page,
			       2 * page + 5));
	EXPECT_EQ(9 * page + 5, fs_size("f"));

	/* No room: nothing allocated, no size changed, data intact. */
	ASSERT_EQ(0, ftruncate(fd, 0));
	ASSERT_EQ(2, put_pages(fd, 0, 2, 3));
	EXPECT_ERRNO(ENOSPC, fallocate(fd, FALLOC_FL_ZERO_RANGE, 2 * page,
				       LIMIT_PAGES * page));
	EXPECT_EQ(2 * page, fs_size("f"));
	EXPECT_EQ(LIMIT_PAGES - 2, pages_free());
	EXPECT_TRUE(pages_are(fd, 0, 2, 3));
}

TEST_F(space, fallocate_refused)
{
	const size_t page = fs_page();
	int fd, fifo;

	ASSERT_LE(0, fd = new_file("f"));
	ASSERT_EQ(2, put_pages(fd, 0, 2, 1));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0,
					   page));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_INSERT_RANGE, 0,
					   page));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, 1 << 20, 0, page));
	EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE |
					   FALLOC_FL_ZERO_RANGE |
					   FALLOC_FL_KEEP_SIZE, 0, page));
	EXPECT_ERRNO(EINVAL, fallocate(fd, 0, 0, 0));
	EXPECT_ERRNO(EINVAL, fallocate(fd, 0, -1, page));
	EXPECT_ERRNO(EINVAL, fallocate(fd, 0, 0, -1));
	EXPECT_ERRNO(EFBIG, fallocate(fd, 0, LLONG_MAX, 1));
	ASSERT_EQ(0, mkfifo("p", 0644));
	ASSERT_LE(0, fifo = open("p", O_RDWR));
	EXPECT_ERRNO(ESPIPE, fallocate(fifo, 0, 0, 1));
	EXPECT_TRUE(pages_are(fd, 0, 2, 1));
	EXPECT_EQ(2 * page, fs_size("f"));
}

TEST_F(space, seek_hole_and_data)
{
	const size_t page = fs_page();
	int fd;

	ASSERT_LE(0, fd = new_file("f"));
	/* Empty: beyond the end everywhere. */
	EXPECT_ERRNO(ENXIO, lseek(fd, 0, SEEK_DATA));
	EXPECT_ERRNO(ENXIO, lseek(fd, 0, SEEK_HOLE));

	/* All hole. */
	ASSERT_EQ(0, ftruncate(fd, 20 * page));
	EXPECT_ERRNO(ENXIO, lseek(fd, 0, SEEK_DATA));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_HOLE));
	EXPECT_EQ(5 * page + 7, lseek(fd, 5 * page + 7, SEEK_HOLE));

	/* Hole 0-4, data 5-6, hole 7-9, data 10, hole 11-19. */
	ASSERT_EQ(2, put_pages(fd, 5, 2, 1));
	ASSERT_EQ(1, put_pages(fd, 10, 1, 1));
	EXPECT_EQ(5 * page, lseek(fd, 0, SEEK_DATA));
	EXPECT_EQ(5 * page, lseek(fd, 5 * page, SEEK_DATA));
	EXPECT_EQ(5 * page + 100, lseek(fd, 5 * page + 100, SEEK_DATA));
	EXPECT_EQ(7 * page, lseek(fd, 5 * page, SEEK_HOLE));
	EXPECT_EQ(7 * page, lseek(fd, 7 * page - 1, SEEK_HOLE));
	EXPECT_EQ(7 * page, lseek(fd, 7 * page, SEEK_HOLE));
	EXPECT_EQ(10 * page, lseek(fd, 7 * page, SEEK_DATA));
	EXPECT_EQ(11 * page, lseek(fd, 10 * page + 1, SEEK_HOLE));
	EXPECT_ERRNO(ENXIO, lseek(fd, 11 * page, SEEK_DATA));
	EXPECT_EQ(19 * page, lseek(fd, 19 * page, SEEK_HOLE));
	EXPECT_EQ(19 * page, lseek(fd, 0, SEEK_CUR));
	EXPECT_ERRNO(ENXIO, lseek(fd, 20 * page, SEEK_HOLE));
	EXPECT_ERRNO(ENXIO, lseek(fd, 20 * page, SEEK_DATA));
	EXPECT_ERRNO(ENXIO, lseek(fd, 21 * page, SEEK_DATA));
	EXPECT_ERRNO(ENXIO, lseek(fd, -1, SEEK_DATA));
	EXPECT_ERRNO(ENXIO, lseek(fd, -1, SEEK_HOLE));
	EXPECT_EQ(19 * page, lseek(fd, 0, SEEK_CUR));

	/* The end counts as a hole. */
	ASSERT_EQ(0, ftruncate(fd, 10 * page + 100));
	EXPECT_EQ(10 * page + 100, lseek(fd, 10 * page, SEEK_HOLE));
	EXPECT_EQ(10 * page + 99, lseek(fd, 10 * page + 99, SEEK_DATA));
	EXPECT_ERRNO(ENXIO, lseek(fd, 10 * page + 100, SEEK_DATA));
	EXPECT_ERRNO(ENXIO, lseek(fd, 10 * page + 100, SEEK_HOLE));

	/* A punched hole is one, and a far page is found. */
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       5 * page, page));
	EXPECT_EQ(6 * page, lseek(fd, 0, SEEK_DATA));
	ASSERT_EQ(1, pwrite(fd, "x", 1, 1LL << 42));
	EXPECT_EQ(1LL << 42, lseek(fd, 11 * page, SEEK_DATA));
	EXPECT_EQ((1LL << 42) + 1, lseek(fd, 1LL << 42, SEEK_HOLE));
}

/* Written bytes are data whatever way they came; reads make none. */
TEST_F(space, seek_data_by_every_way)
{
	const size_t page = fs_page();
	char c, *p;
	int fd;

	ASSERT_LE(0, fd = new_file("f"));
	ASSERT_EQ(0, ftruncate(fd, 10 * page));
	ASSERT_EQ(1, pread(fd, &c, 1, 2 * page));
	EXPECT_ERRNO(ENXIO, lseek(fd, 0, SEEK_DATA));
	p = mmap(NULL, 10 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	fs_store(p + 4 * page, 1);
	EXPECT_EQ(4 * page, lseek(fd, 0, SEEK_DATA));
	EXPECT_EQ(5 * page, lseek(fd, 4 * page, SEEK_HOLE));
	/* Preallocated pages that were written. */
	ASSERT_EQ(0, fallocate(fd, 0, 0, 3 * page));
	ASSERT_EQ(1, put_pages(fd, 1, 1, 0));
	EXPECT_GE(page, lseek(fd, 0, SEEK_DATA));
	EXPECT_EQ(page, lseek(fd, page, SEEK_DATA));
}

/* The model of a sparse file: every page data or hole, at random. */
TEST_F(space, seek_against_model)
{
	enum { PAGES = 40, ROUNDS = 150 };
	const size_t page = fs_page();
	bool data[PAGES] = { false };
	unsigned int seed = 42;
	int fd, i, round, at, n;

	ASSERT_LE(0, fd = new_file("f"));
	ASSERT_EQ(0, ftruncate(fd, PAGES * page));
	for (round = 0; round < ROUNDS; round++) {
		at = rand_r(&seed) % PAGES;
		n = 1 + rand_r(&seed) % 4;
		if (at + n > PAGES)
			n = PAGES - at;
		if (rand_r(&seed) % 2) {
			ASSERT_EQ(n, put_pages(fd, at, n, 1));
			memset(data + at, true, n);
		} else {
			ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE |
					       FALLOC_FL_KEEP_SIZE, at * page,
					       n * page));
			memset(data + at, false, n);
		}
		for (n = 0, i = 0; i < PAGES; i++)
			n += data[i];
		ASSERT_EQ(n * page / 512, fs_blocks("f"));
		at = rand_r(&seed) % PAGES;
		for (i = at; i < PAGES && !data[i]; i++)
			;
		ASSERT_EQ(i < PAGES ? i * (off_t)page : -1,
			  lseek(fd, at * page, SEEK_DATA));
		for (i = at; i < PAGES && data[i]; i++)
			;
		ASSERT_EQ(i * page, lseek(fd, at * page, SEEK_HOLE));
	}
}

TEST_HARNESS_MAIN
