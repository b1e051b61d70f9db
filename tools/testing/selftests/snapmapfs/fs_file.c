// SPDX-License-Identifier: GPL-2.0
/*
 * Regular files: creation, the ways to read and write them, offsets up to the
 * largest, limits, and what is refused.
 */
#include "fs.h"

#include <pthread.h>
#include <sys/resource.h>

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

FS_FIXTURE(file)

TEST_F(file, create)
{
	struct stat st;
	int fd;

	umask(027);
	fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0666);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_TRUE(S_ISREG(st.st_mode));
	EXPECT_EQ(0640, st.st_mode & 07777);
	EXPECT_EQ(1, st.st_nlink);
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(0, st.st_blocks);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
	EXPECT_EQ(fs_page(), st.st_blksize);
	EXPECT_NE(0, st.st_ino);
	EXPECT_EQ(st.st_ino, fs_ino("f"));

	/* The mode only binds later opens. */
	ASSERT_EQ(0, chmod("f", 0));
	EXPECT_EQ(3, write(fd, "abc", 3));
	EXPECT_EQ(3, fs_size("f"));
}

TEST_F(file, open_refused)
{
	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, symlink("f", "l"));
	ASSERT_EQ(0, symlink("nowhere", "dangling"));

	EXPECT_ERRNO(EEXIST, open("f", O_RDWR | O_CREAT | O_EXCL, 0644));
	EXPECT_ERRNO(EEXIST, open("l", O_RDWR | O_CREAT | O_EXCL, 0644));
	EXPECT_ERRNO(EEXIST, open("dangling", O_RDWR | O_CREAT | O_EXCL, 0644));
	EXPECT_ERRNO(EEXIST, open("d", O_RDWR | O_CREAT | O_EXCL, 0644));
	EXPECT_ERRNO(ENOENT, open("dangling", O_RDONLY));
	EXPECT_ERRNO(ENOENT, open("none", O_RDONLY));
	EXPECT_ERRNO(ENOENT, open("none/f", O_RDWR | O_CREAT, 0644));
	EXPECT_ERRNO(ENOENT, open("", O_RDONLY));
	EXPECT_ERRNO(ENOTDIR, open("f/g", O_RDONLY));
	EXPECT_ERRNO(ENOTDIR, open("f/", O_RDONLY));
	EXPECT_ERRNO(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
	EXPECT_ERRNO(ELOOP, open("l", O_RDONLY | O_NOFOLLOW));
	EXPECT_ERRNO(EISDIR, open("d", O_WRONLY));
	EXPECT_ERRNO(EISDIR, open("d", O_RDWR));
	EXPECT_ERRNO(EISDIR, open("d", O_RDONLY | O_CREAT, 0644));
	EXPECT_ERRNO(EISDIR, open("new/", O_RDWR | O_CREAT, 0644));
	EXPECT_FALSE(fs_exists("new"));
	EXPECT_FALSE(fs_exists("nowhere"));

	/* Creating through a dangling link makes the target. */
	EXPECT_LE(0, open("dangling", O_RDWR | O_CREAT, 0644));
	EXPECT_TRUE(fs_exists("nowhere"));
}

TEST_F(file, names)
{
	char name[NAME_MAX + 2], path[PATH_MAX + 1];
	int i, fd;

	memset(name, 'n', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	EXPECT_ERRNO(ENAMETOOLONG, open(name, O_RDWR | O_CREAT, 0644));
	EXPECT_ERRNO(ENAMETOOLONG, mkdir(name, 0755));
	EXPECT_ERRNO(ENAMETOOLONG, symlink("x", name));
	EXPECT_ERRNO(ENAMETOOLONG, unlink(name));
	EXPECT_ERRNO(ENAMETOOLONG, access(name, F_OK));
	name[NAME_MAX] = '\0';
	ASSERT_EQ(0, fs_puts(name, "long"));
	EXPECT_TRUE(fs_holds(name, "long"));
	EXPECT_EQ(0, unlink(name));

	/* A name is any bytes but '/' and NUL, and case matters. */
	for (i = 1; i < 256; i++) {
		char odd[] = { i, 'z', '\0' };

		if (i == '/')
			continue;
		fd = open(odd, O_RDWR | O_CREAT | O_EXCL, 0644);
		ASSERT_LE(0, fd) TH_LOG("byte %d", i);
		close(fd);
	}
	EXPECT_NE(fs_ino("Az"), fs_ino("az"));

	/* A path of PATH_MAX bytes with its NUL is the longest. */
	for (i = 0; i < PATH_MAX; i += 2)
		memcpy(path + i, "./", 2);
	path[PATH_MAX] = '\0';
	EXPECT_ERRNO(ENAMETOOLONG, access(path, F_OK));
	memcpy(path + PATH_MAX - 4, "/Az", 4);
	EXPECT_EQ(0, access(path, F_OK));
	memcpy(path + PATH_MAX - 4, "/zZ", 4);
	EXPECT_ERRNO(ENOENT, access(path, F_OK));
}

TEST_F(file, read_write)
{
	char a[10000], b[10000];
	struct iovec in[3] = {
		{ a, 100 }, { a + 100, 5000 }, { a + 5100, 4900 },
	};
	struct iovec out[3] = {
		{ b, 4097 }, { b + 4097, 3 }, { b + 4100, 5900 },
	};
	int fd;

	fs_fill(a, sizeof(a), 1);
	fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);

	EXPECT_EQ(sizeof(a), write(fd, a, sizeof(a)));
	EXPECT_EQ(sizeof(a), lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(0, read(fd, b, 1));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(sizeof(b), read(fd, b, sizeof(b)));
	EXPECT_EQ(0, memcmp(a, b, sizeof(a)));

	/* Overwriting in the middle leaves the rest. */
	memset(a + 4000, 'm', 200);
	EXPECT_EQ(200, pwrite(fd, a + 4000, 200, 4000));
	EXPECT_EQ(sizeof(b), lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(sizeof(b) - 1, pread(fd, b, sizeof(b), 1));
	EXPECT_EQ(0, memcmp(a + 1, b, sizeof(a) - 1));

	ASSERT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(sizeof(a), writev(fd, in, 3));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
	memset(b, 0, sizeof(b));
	EXPECT_EQ(sizeof(a), readv(fd, out, 3));
	EXPECT_EQ(0, memcmp(a, b, sizeof(a)));

	EXPECT_EQ(sizeof(a), pwritev(fd, in, 3, 12345));
	EXPECT_EQ(12345 + sizeof(a), fs_size("f"));
	memset(b, 0, sizeof(b));
	EXPECT_EQ(sizeof(a), preadv(fd, out, 3, 12345));
	EXPECT_EQ(0, memcmp(a, b, sizeof(a)));
	/* Between the two is a hole. */
	EXPECT_EQ(2345, pread(fd, b, 2345, 10000));
	EXPECT_EQ(2345, fs_run(b, 0, 2345));

	EXPECT_ERRNO(EINVAL, pread(fd, b, 1, -1));
	EXPECT_ERRNO(EINVAL, pwrite(fd, b, 1, -1));
}

TEST_F(file, large_io)
{
	const size_t len = 4 << 20;
	struct iovec iov[IOV_MAX];
	char *a = malloc(len), *b = malloc(len);
	int fd, i;

	ASSERT_NE(NULL, a);
	ASSERT_NE(NULL, b);
	fs_fill(a, len, 2);
	fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);
	ASSERT_EQ(len, pwrite(fd, a, len, 1));
	ASSERT_EQ(len, pread(fd, b, len, 1));
	EXPECT_EQ(0, memcmp(a, b, len));

	for (i = 0; i < IOV_MAX; i++) {
		iov[i].iov_base = a + i * 777;
		iov[i].iov_len = 777;
	}
	ASSERT_EQ(IOV_MAX * 777, pwritev(fd, iov, IOV_MAX, 3000000));
	ASSERT_EQ(IOV_MAX * 777, pread(fd, b, IOV_MAX * 777, 3000000));
	EXPECT_EQ(0, memcmp(a, b, IOV_MAX * 777));
}

TEST_F(file, zero_length)
{
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;
	char c;
	int fd;

	fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);
	ASSERT_EQ(3, write(fd, "abc", 3));
	ASSERT_EQ(0, futimens(fd, old));
	EXPECT_EQ(0, write(fd, &c, 0));
	EXPECT_EQ(0, pwrite(fd, &c, 0, 100000));
	EXPECT_EQ(0, writev(fd, NULL, 0));
	EXPECT_EQ(0, pread(fd, &c, 0, 0));
	EXPECT_EQ(0, readv(fd, NULL, 0));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(3, st.st_size);
	EXPECT_EQ(1000, st.st_mtim.tv_sec);
}

TEST_F(file, wrong_descriptor)
{
	char c = 'x';
	int rd, wr, dir, path;

	ASSERT_EQ(0, fs_puts("f", "abc"));
	ASSERT_LE(0, rd = open("f", O_RDONLY));
	ASSERT_LE(0, wr = open("f", O_WRONLY));
	ASSERT_LE(0, dir = open(".", O_RDONLY));
	ASSERT_LE(0, path = open("f", O_PATH));

	EXPECT_ERRNO(EBADF, write(rd, &c, 1));
	EXPECT_ERRNO(EBADF, pwrite(rd, &c, 1, 0));
	EXPECT_ERRNO(EBADF, fallocate(rd, 0, 0, 1));
	EXPECT_ERRNO(EINVAL, ftruncate(rd, 0));
	EXPECT_ERRNO(EBADF, read(wr, &c, 1));
	EXPECT_ERRNO(EBADF, pread(wr, &c, 1, 0));
	EXPECT_ERRNO(EISDIR, read(dir, &c, 1));
	EXPECT_ERRNO(EISDIR, pread(dir, &c, 1, 0));
	EXPECT_ERRNO(EBADF, write(dir, &c, 1));
	EXPECT_ERRNO(EBADF, read(path, &c, 1));
	EXPECT_ERRNO(EINVAL, ftruncate(dir, 0));
	EXPECT_ERRNO(EISDIR, truncate(".", 0));
	EXPECT_ERRNO(EBADF, fchmod(path, 0600));
	EXPECT_TRUE(fs_holds("f", "abc"));
}

TEST_F(file, bad_buffer)
{
	const size_t page = fs_page();
	char *buf, back[100];
	ssize_t n;
	int fd;

	buf = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, buf);
	fs_fill(buf, page, 3);
	ASSERT_EQ(0, munmap(buf + page, page));
	fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);

	EXPECT_ERRNO(EFAULT, write(fd, buf + page, 1));
	EXPECT_ERRNO(EFAULT, write(fd, buf + page, 3 * page));
	EXPECT_EQ(0, fs_size("f"));

	/* What can be copied may be written, nothing else and no more. */
	n = write(fd, buf + page - 100, 3 * page);
	EXPECT_TRUE((n == -1 && errno == EFAULT) || (n > 0 && n <= 100));
	n = n == -1 ? 0 : n;
	EXPECT_EQ(n, fs_size("f"));
	EXPECT_EQ(n, pread(fd, back, sizeof(back), 0));
	EXPECT_EQ(0, memcmp(back, buf + page - 100, n));

	ASSERT_EQ(100, pwrite(fd, buf, 100, 0));
	EXPECT_ERRNO(EFAULT, pread(fd, buf + page, 100, 0));
	n = pread(fd, buf + page - 10, 100, 0);
	EXPECT_TRUE(n == 10 || (n == -1 && errno == EFAULT));
}

TEST_F(file, append)
{
	int a, b;

	ASSERT_LE(0, a = open("f", O_RDWR | O_CREAT | O_APPEND, 0644));
	ASSERT_LE(0, b = open("f", O_WRONLY | O_APPEND));
	EXPECT_EQ(1, write(a, "1", 1));
	EXPECT_EQ(1, write(b, "2", 1));
	EXPECT_EQ(0, lseek(a, 0, SEEK_SET));
	EXPECT_EQ(1, write(a, "3", 1));
	EXPECT_EQ(3, lseek(a, 0, SEEK_CUR));
	/* On Linux pwrite() appends as well, without moving the offset. */
	EXPECT_EQ(1, pwrite(b, "4", 1, 0));
	EXPECT_EQ(2, lseek(b, 0, SEEK_CUR));
	EXPECT_TRUE(fs_holds("f", "1234"));
	EXPECT_EQ(0, fcntl(a, F_SETFL, 0));
	EXPECT_EQ(1, pwrite(a, "x", 1, 0));
	EXPECT_TRUE(fs_holds("f", "x234"));
}

TEST_F(file, append_concurrent)
{
	enum { WRITERS = 4, RECORDS = 100, SIZE = 97 };
	char record[SIZE], *all;
	int seen[WRITERS] = { 0 };
	int w, i, fd;
	pid_t pid[WRITERS];

	ASSERT_EQ(0, fs_puts("f", ""));
	for (w = 0; w < WRITERS; w++) {
		pid[w] = fork();
		if (!pid[w]) {
			fd = open("f", O_WRONLY | O_APPEND);
			memset(record, 'a' + w, SIZE);
			for (i = 0; i < RECORDS; i++)
				if (write(fd, record, SIZE) != SIZE)
					_exit(1);
			_exit(0);
		}
	}
	for (w = 0; w < WRITERS; w++)
		EXPECT_EQ(0, fs_wait(pid[w]));
	ASSERT_EQ(WRITERS * RECORDS * SIZE, fs_size("f"));
	all = malloc(WRITERS * RECORDS * SIZE);
	fd = open("f", O_RDONLY);
	ASSERT_EQ(WRITERS * RECORDS * SIZE,
		  read(fd, all, WRITERS * RECORDS * SIZE));
	for (i = 0; i < WRITERS * RECORDS; i++) {
		char *p = all + i * SIZE;

		ASSERT_EQ(SIZE, fs_run(p, *p, SIZE));
		ASSERT_TRUE(*p >= 'a' && *p < 'a' + WRITERS);
		seen[*p - 'a']++;
	}
	for (w = 0; w < WRITERS; w++)
		EXPECT_EQ(RECORDS, seen[w]);
}

TEST_F(file, rwf_flags)
{
	struct iovec iov = { "xyz", 3 };
	char buf[4] = "";
	struct iovec in = { buf, 3 };
	ssize_t n;
	int fd, ap;

	ASSERT_EQ(0, fs_puts("f", "0123456789"));
	ASSERT_LE(0, fd = open("f", O_RDWR));
	ASSERT_LE(0, ap = open("f", O_WRONLY | O_APPEND));

	/* -1 uses and moves the file offset. */
	EXPECT_EQ(3, preadv2(fd, &in, 1, -1, 0));
	EXPECT_STREQ("012", buf);
	EXPECT_EQ(3, lseek(fd, 0, SEEK_CUR));

	EXPECT_EQ(3, pwritev2(fd, &iov, 1, 0, RWF_APPEND));
	EXPECT_TRUE(fs_holds("f", "0123456789xyz"));
	EXPECT_EQ(3, pwritev2(ap, &iov, 1, 1, RWF_NOAPPEND));
	EXPECT_TRUE(fs_holds("f", "0xyz456789xyz"));
	EXPECT_ERRNO(EINVAL, pwritev2(fd, &iov, 1, 0,
				      RWF_APPEND | RWF_NOAPPEND));
	EXPECT_EQ(3, pwritev2(fd, &iov, 1, 4, RWF_DSYNC));
	EXPECT_EQ(3, pwritev2(fd, &iov, 1, 7, RWF_SYNC));
	EXPECT_TRUE(fs_holds("f", "0xyzxyzxyzxyz"));

	/* Data in memory: served at once, or the flag is refused as such. */
	n = preadv2(fd, &in, 1, 1, RWF_NOWAIT);
	EXPECT_TRUE(n == 3 || (n == -1 && errno == EOPNOTSUPP));
	n = pwritev2(fd, &iov, 1, 10, RWF_NOWAIT);
	EXPECT_TRUE(n == 3 || (n == -1 && (errno == EOPNOTSUPP ||
					   errno == EAGAIN)));
	EXPECT_TRUE(fs_holds("f", "0xyzxyzxyzxyz"));

	EXPECT_ERRNO(EOPNOTSUPP, preadv2(fd, &in, 1, 0, 0x40000000));
	EXPECT_ERRNO(EOPNOTSUPP, pwritev2(fd, &iov, 1, 0, 0x40000000));
}

TEST_F(file, sparse)
{
	const size_t page = fs_page();
	char buf[100];
	int fd;

	fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);
	ASSERT_EQ(3, pwrite(fd, "end", 3, 1LL << 40));
	EXPECT_EQ((1LL << 40) + 3, fs_size("f"));
	EXPECT_EQ(page / 512, fs_blocks("f"));
	memset(buf, 1, sizeof(buf));
	EXPECT_EQ(100, pread(fd, buf, 100, 0));
	EXPECT_EQ(100, fs_run(buf, 0, 100));
	memset(buf, 1, sizeof(buf));
	EXPECT_EQ(53, pread(fd, buf, 100, (1LL << 40) - 50));
	EXPECT_EQ(50, fs_run(buf, 0, 100));
	EXPECT_EQ(0, memcmp(buf + 50, "end", 3));
	EXPECT_EQ(4, pwrite(fd, "here", 4, 1LL << 33));
	EXPECT_EQ(2 * page / 512, fs_blocks("f"));
	EXPECT_EQ(4, pread(fd, buf, 4, 1LL << 33));
	EXPECT_EQ(0, memcmp(buf, "here", 4));
}

TEST_F(file, largest_offset)
{
	const off_t max = LLONG_MAX;
	char c = 0;
	int fd;

	fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);
	if (sizeof(long) == 4 && lseek(fd, max, SEEK_SET) == -1)
		SKIP(return, "this file system is for smaller files at 32 bits");
	EXPECT_EQ(1, pwrite(fd, "x", 1, max - 1));
	EXPECT_EQ(max, fs_size("f"));
	EXPECT_EQ(1, pread(fd, &c, 1, max - 1));
	EXPECT_EQ('x', c);
	EXPECT_EQ(max, lseek(fd, 0, SEEK_END));
	/* Here the VFS refuses an end beyond 2^63-1 as invalid. */
	EXPECT_ERRNO(EINVAL, read(fd, &c, 1));
	EXPECT_ERRNO(EINVAL, write(fd, "y", 1));
	EXPECT_ERRNO(EINVAL, pwrite(fd, "y", 2, max - 1));
	EXPECT_ERRNO(EINVAL, lseek(fd, 1, SEEK_END));
	EXPECT_ERRNO(EINVAL, lseek(fd, -1, SEEK_SET));
	EXPECT_EQ(3, pwrite(fd, "abc", 3, max - 3));
	EXPECT_EQ(1, pread(fd, &c, 1, max - 1));
	EXPECT_EQ('c', c);
	EXPECT_EQ(fs_page() / 512, fs_blocks("f"));
	EXPECT_ERRNO(EFBIG, fallocate(fd, 0, max - 1, 2));

	EXPECT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(0, fs_blocks("f"));
	EXPECT_EQ(0, ftruncate(fd, max));
	EXPECT_EQ(max, fs_size("f"));
	EXPECT_EQ(0, fs_blocks("f"));
	EXPECT_EQ(1, pread(fd, &c, 1, max - 1));
	EXPECT_EQ(0, c);
	EXPECT_ERRNO(EINVAL, ftruncate(fd, -1));
	EXPECT_ERRNO(EINVAL, truncate("f", LLONG_MIN));
	EXPECT_EQ(max, fs_size("f"));
}

/* Takes a blocked, pending SIGXFSZ; 0 when there is none. */
static int take_xfsz(void)
{
	struct timespec none = { 0, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	return sigtimedwait(&set, NULL, &none) == SIGXFSZ;
}

TEST_F(file, rlimit_fsize)
{
	struct rlimit limit = { 8192, RLIM_INFINITY };
	char buf[6000] = "";
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	EXPECT_EQ(6000, write(fd, buf, 6000));
	EXPECT_EQ(2192, write(fd, buf, 6000));
	EXPECT_EQ(0, take_xfsz());
	EXPECT_ERRNO(EFBIG, write(fd, buf, 1));
	EXPECT_EQ(1, take_xfsz());
	EXPECT_ERRNO(EFBIG, ftruncate(fd, 8193));
	EXPECT_EQ(1, take_xfsz());
	EXPECT_ERRNO(EFBIG, fallocate(fd, 0, 8000, 193));
	EXPECT_EQ(1, take_xfsz());
	EXPECT_EQ(8192, fs_size("f"));
	EXPECT_EQ(0, ftruncate(fd, 8191));
	EXPECT_EQ(0, ftruncate(fd, 8192));

	/* A file that is already longer may still be overwritten below. */
	limit.rlim_cur = 100;
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	EXPECT_EQ(100, pwrite(fd, buf, 200, 0));
	EXPECT_EQ(8192, fs_size("f"));
}

TEST_F(file, read_of_hole_allocates_nothing)
{
	const size_t len = 1 << 20;
	struct statfs before, after;
	char *buf = malloc(len);
	int fd;

	fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, len));
	ASSERT_EQ(0, statfs(".", &before));
	ASSERT_EQ(len, pread(fd, buf, len, 0));
	EXPECT_EQ(len, fs_run(buf, 0, len));
	ASSERT_EQ(0, statfs(".", &after));
	EXPECT_EQ(0, fs_blocks("f"));
	EXPECT_EQ(before.f_bfree, after.f_bfree);
}

TEST_F(file, blocks)
{
	const size_t page = fs_page();
	char *buf = calloc(10, page);
	int fd;

	fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, pwrite(fd, "x", 1, 0));
	EXPECT_EQ(page / 512, fs_blocks("f"));
	EXPECT_EQ(1, pwrite(fd, "x", 1, page - 1));
	EXPECT_EQ(page / 512, fs_blocks("f"));
	EXPECT_EQ(10 * page, pwrite(fd, buf, 10 * page, 0));
	EXPECT_EQ(10 * page / 512, fs_blocks("f"));
	EXPECT_EQ(0, ftruncate(fd, page + 1));
	EXPECT_EQ(2 * page / 512, fs_blocks("f"));
	EXPECT_EQ(0, ftruncate(fd, 100 * page));
	EXPECT_EQ(2 * page / 512, fs_blocks("f"));
	EXPECT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(0, fs_blocks("f"));
}

TEST_F(file, truncate_zeroes)
{
	const size_t page = fs_page();
	char *buf = malloc(4 * page), *ff = malloc(4 * page);
	size_t cut;
	int fd;

	fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, fd);
	memset(ff, 0xff, 4 * page);
	for (cut = 0; cut <= 2 * page; cut += page / 4 + 1) {
		ASSERT_EQ(4 * page, pwrite(fd, ff, 4 * page, 0));
		ASSERT_EQ(0, ftruncate(fd, cut));
		EXPECT_EQ(cut, pread(fd, buf, 4 * page, 0));
		ASSERT_EQ(0, ftruncate(fd, 3 * page));
		EXPECT_EQ(3 * page, pread(fd, buf, 4 * page, 0));
		EXPECT_EQ(cut, fs_run(buf, 0xff, 4 * page));
		EXPECT_EQ(3 * page - cut,
			  fs_run(buf + cut, 0, 3 * page - cut));

		/* The same when a write beyond the end extends the file. */
		ASSERT_EQ(0, ftruncate(fd, 0));
		ASSERT_EQ(4 * page, pwrite(fd, ff, 4 * page, 0));
		ASSERT_EQ(0, ftruncate(fd, cut));
		ASSERT_EQ(1, pwrite(fd, "e", 1, 3 * page));
		EXPECT_EQ(3 * page + 1, pread(fd, buf, 4 * page, 0));
		EXPECT_EQ(3 * page - cut,
			  fs_run(buf + cut, 0, 3 * page - cut));
		EXPECT_EQ('e', buf[3 * page]);
	}
}

TEST_F(file, o_trunc)
{
	int fd;

	ASSERT_EQ(0, fs_puts("f", "some bytes"));
	ASSERT_LE(0, fd = open("f", O_RDONLY));
	EXPECT_LE(0, open("f", O_WRONLY | O_TRUNC));
	EXPECT_EQ(0, fs_size("f"));
	EXPECT_EQ(0, fs_blocks("f"));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_END));
	EXPECT_EQ(0, truncate("f", 5));
	EXPECT_EQ(5, lseek(fd, 0, SEEK_END));
	EXPECT_ERRNO(ENOENT, truncate("none", 5));
}

TEST_F(file, unlinked_but_open)
{
	char buf[8] = "";
	struct stat st;
	int fd;

	ASSERT_EQ(0, fs_puts("f", "old"));
	ASSERT_LE(0, fd = open("f", O_RDWR));
	ASSERT_EQ(0, unlink("f"));
	EXPECT_ERRNO(ENOENT, open("f", O_RDONLY));
	ASSERT_EQ(0, fs_puts("f", "new"));
	EXPECT_EQ(3, pread(fd, buf, sizeof(buf), 0));
	EXPECT_STREQ("old", buf);
	EXPECT_EQ(3, pwrite(fd, "OLD", 3, 3));
	EXPECT_EQ(6, pread(fd, buf, sizeof(buf), 0));
	EXPECT_STREQ("oldOLD", buf);
	EXPECT_EQ(0, ftruncate(fd, 2));
	EXPECT_EQ(0, fchmod(fd, 0600));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0, st.st_nlink);
	EXPECT_EQ(2, st.st_size);
	EXPECT_NE(fs_ino("f"), st.st_ino);
	EXPECT_TRUE(fs_holds("f", "new"));
}

TEST_F(file, shared_offset)
{
	char c[4] = "";
	int fd, copy, own;
	pid_t pid;

	ASSERT_EQ(0, fs_puts("f", "abcdef"));
	ASSERT_LE(0, fd = open("f", O_RDONLY));
	ASSERT_LE(0, copy = dup(fd));
	ASSERT_LE(0, own = open("f", O_RDONLY));
	EXPECT_EQ(1, read(fd, c, 1));
	EXPECT_EQ(1, read(copy, c + 1, 1));
	EXPECT_EQ(1, read(own, c + 2, 1));
	EXPECT_STREQ("aba", c);
	pid = fork();
	if (!pid)
		_exit(lseek(fd, 2, SEEK_CUR) == 4 ? 0 : 1);
	EXPECT_EQ(0, fs_wait(pid));
	EXPECT_EQ(4, lseek(fd, 0, SEEK_CUR));
}

TEST_F(file, sync_calls)
{
	int fd, dir;

	ASSERT_LE(0, fd = open("f", O_RDWR | O_CREAT | O_SYNC, 0644));
	ASSERT_LE(0, dir = open(".", O_RDONLY));
	EXPECT_EQ(3, write(fd, "abc", 3));
	EXPECT_EQ(0, fsync(fd));
	EXPECT_EQ(0, fdatasync(fd));
	EXPECT_EQ(0, sync_file_range(fd, 0, 100, SYNC_FILE_RANGE_WRITE |
				     SYNC_FILE_RANGE_WAIT_BEFORE |
				     SYNC_FILE_RANGE_WAIT_AFTER));
	EXPECT_ERRNO(EINVAL, sync_file_range(fd, 0, 100, 0x100));
	EXPECT_ERRNO(EINVAL, sync_file_range(fd, -1, 100, 0));
	EXPECT_EQ(0, syncfs(fd));
	EXPECT_EQ(0, fsync(dir));
	EXPECT_EQ(0, syncfs(dir));
	EXPECT_TRUE(fs_holds("f", "abc"));
}

TEST_F(file, fadvise)
{
	static const int advice[] = {
		POSIX_FADV_NORMAL, POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
		POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE,
	};
	size_t i;
	int fd;

	ASSERT_LE(0, fd = open("f", O_RDWR | O_CREAT, 0644));
	ASSERT_EQ(6, write(fd, "advice", 6));
	for (i = 0; i < ARRAY_SIZE(advice); i++)
		EXPECT_EQ(0, posix_fadvise(fd, 0, 0, advice[i]));
	EXPECT_EQ(EINVAL, posix_fadvise(fd, 0, 0, 99));
	/* The page cache is the only copy: DONTNEED must not drop it. */
	EXPECT_EQ(0, sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	EXPECT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_TRUE(fs_holds("f", "advice"));
}

TEST_F(file, survives_drop_caches)
{
	const size_t len = 1 << 20;
	char *a = malloc(len), *b = malloc(len);
	int fd;

	fs_fill(a, len, 9);
	ASSERT_EQ(0, fs_put("f", a, len));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, fs_puts("d/g", "g"));
	sync();
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	if (fd < 0)
		SKIP(return, "no /proc/sys/vm/drop_caches: %s", strerror(errno));
	EXPECT_EQ(1, write(fd, "3", 1));
	EXPECT_EQ(1, write(fd, "3", 1));
	close(fd);
	ASSERT_LE(0, fd = open("f", O_RDONLY));
	ASSERT_EQ(len, read(fd, b, len));
	EXPECT_EQ(0, memcmp(a, b, len));
	EXPECT_TRUE(fs_holds("d/g", "g"));
	EXPECT_ERRNO(ENOENT, open("d/h", O_RDONLY));
}

struct slice {
	int fd;
	unsigned int id;
	int bad;
};

enum { SLICES = 4, CHUNK = 1000, CHUNKS = 60 };

/* Writes every SLICES-th chunk, then checks them. Chunks share pages. */
static void *write_slice(void *arg)
{
	struct slice *s = arg;
	char buf[CHUNK], back[CHUNK];
	int i, round;

	for (round = 0; round < 5; round++) {
		for (i = s->id; i < CHUNKS; i += SLICES) {
			fs_fill(buf, CHUNK, i + round);
			if (pwrite(s->fd, buf, CHUNK, (off_t)i * CHUNK) != CHUNK)
				s->bad++;
		}
		for (i = s->id; i < CHUNKS; i += SLICES) {
			fs_fill(buf, CHUNK, i + round);
			if (pread(s->fd, back, CHUNK, (off_t)i * CHUNK) != CHUNK ||
			    memcmp(buf, back, CHUNK))
				s->bad++;
		}
	}
	return NULL;
}

TEST_F(file, concurrent_writers)
{
	pthread_t thread[SLICES];
	struct slice slice[SLICES];
	int i, fd;

	ASSERT_LE(0, fd = open("f", O_RDWR | O_CREAT, 0644));
	for (i = 0; i < SLICES; i++) {
		slice[i] = (struct slice){ fd, i, 0 };
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, write_slice,
					    &slice[i]));
	}
	for (i = 0; i < SLICES; i++) {
		pthread_join(thread[i], NULL);
		EXPECT_EQ(0, slice[i].bad);
	}
	EXPECT_EQ(CHUNKS * CHUNK, fs_size("f"));
}

TEST_HARNESS_MAIN
