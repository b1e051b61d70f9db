// SPDX-License-Identifier: GPL-2.0
/*
 * The other ways to move bytes: O_DIRECT, splice and its relatives,
 * copy_file_range(), and what ioctl() answers.
 */
#include "fs.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

FS_FIXTURE(io)

TEST_F(io, o_direct)
{
	const size_t page = fs_page();
	char *buf, *back;
	int fd, plain;

	ASSERT_EQ(0, posix_memalign((void **)&buf, page, 4 * page));
	ASSERT_EQ(0, posix_memalign((void **)&back, page, 4 * page));
	fs_fill(buf, 4 * page, 1);
	ASSERT_LE(0, fd = open("f", O_RDWR | O_CREAT | O_DIRECT, 0644));
	ASSERT_LE(0, plain = open("f", O_RDWR));
	EXPECT_EQ(4 * page, pwrite(fd, buf, 4 * page, 0));
	EXPECT_EQ(4 * page, pread(fd, back, 4 * page, 0));
	EXPECT_EQ(0, memcmp(buf, back, 4 * page));

	/* Nothing asks for alignment, and the cache is one and the same. */
	EXPECT_EQ(1001, pwrite(fd, buf + 3, 1001, 501));
	EXPECT_EQ(1001, pread(plain, back, 1001, 501));
	EXPECT_EQ(0, memcmp(buf + 3, back, 1001));
	EXPECT_EQ(7, pwrite(plain, "mixture", 7, 2 * page - 3));
	EXPECT_EQ(7, pread(fd, back + 1, 7, 2 * page - 3));
	EXPECT_EQ(0, memcmp(back + 1, "mixture", 7));
	EXPECT_EQ(5, pread(fd, back, 4 * page, 4 * page - 5));
	EXPECT_EQ(0, pread(fd, back, 4 * page, 4 * page));
	EXPECT_EQ(4 * page, fs_size("f"));

	/* The flag can be set and cleared on an open file. */
	EXPECT_EQ(0, fcntl(plain, F_SETFL, O_DIRECT));
	EXPECT_EQ(O_DIRECT, fcntl(plain, F_GETFL) & O_DIRECT);
	EXPECT_EQ(3, pwrite(plain, "odd", 3, 1));
	EXPECT_EQ(0, fcntl(plain, F_SETFL, 0));
	EXPECT_EQ(3, pread(plain, back, 3, 1));
	EXPECT_EQ(0, memcmp(back, "odd", 3));
}

TEST_F(io, splice_out)
{
	const size_t page = fs_page();
	char *buf = malloc(4 * page), *back = malloc(4 * page);
	off_t off = 100;
	int fd, p[2];

	fs_fill(buf, 4 * page, 2);
	ASSERT_EQ(0, fs_put("f", buf, 4 * page));
	ASSERT_LE(0, fd = open("f", O_RDWR));
	ASSERT_EQ(0, pipe(p));
	EXPECT_EQ(2 * page, splice(fd, &off, p[1], NULL, 2 * page, 0));
	EXPECT_EQ(100 + 2 * page, off);
	EXPECT_EQ(0, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(2 * page, read(p[0], back, 4 * page));
	EXPECT_EQ(0, memcmp(buf + 100, back, 2 * page));

	/* With the file's own offset, up to the end and no further. */
	EXPECT_EQ(4 * page, splice(fd, NULL, p[1], NULL, 8 * page, 0));
	EXPECT_EQ(4 * page, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(4 * page, read(p[0], back, 4 * page));
	EXPECT_EQ(0, memcmp(buf, back, 4 * page));
	EXPECT_EQ(0, splice(fd, NULL, p[1], NULL, page, 0));
	off = 4 * page - 10;
	EXPECT_EQ(10, splice(fd, &off, p[1], NULL, page, 0));
	EXPECT_EQ(10, read(p[0], back, page));

	/* Holes are zeros, and stay holes. */
	ASSERT_EQ(0, ftruncate(fd, 0));
	ASSERT_EQ(0, ftruncate(fd, 4 * page));
	off = 50;
	EXPECT_EQ(2 * page, splice(fd, &off, p[1], NULL, 2 * page, 0));
	memset(back, 1, 2 * page);
	EXPECT_EQ(2 * page, read(p[0], back, 2 * page));
	EXPECT_EQ(2 * page, fs_run(back, 0, 2 * page));
	EXPECT_EQ(0, fs_blocks("f"));
}

TEST_F(io, splice_in)
{
	const size_t page = fs_page();
	char *buf = malloc(4 * page), *back = malloc(4 * page);
	struct iovec iov = { buf, 2 * page };
	off_t off = 1000;
	int fd, ap, p[2];

	fs_fill(buf, 4 * page, 3);
	ASSERT_LE(0, fd = open("f", O_RDWR | O_CREAT, 0644));
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(2 * page, write(p[1], buf, 2 * page));
	EXPECT_EQ(2 * page, splice(p[0], NULL, fd, &off, 4 * page, 0));
	EXPECT_EQ(1000 + 2 * page, off);
	EXPECT_EQ(1000 + 2 * page, fs_size("f"));
	EXPECT_EQ(2 * page, pread(fd, back, 4 * page, 1000));
	EXPECT_EQ(0, memcmp(buf, back, 2 * page));

	/* Pages of this process, by vmsplice. */
	ASSERT_EQ(2 * page, vmsplice(p[1], &iov, 1, 0));
	EXPECT_EQ(2 * page, splice(p[0], NULL, fd, NULL, 2 * page, 0));
	EXPECT_EQ(2 * page, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(2 * page, pread(fd, back, 2 * page, 0));
	EXPECT_EQ(0, memcmp(buf, back, 2 * page));

	/* Not where O_APPEND decides the place, not backwards. */
	ASSERT_LE(0, ap = open("f", O_WRONLY | O_APPEND));
	ASSERT_EQ(1, write(p[1], buf, 1));
	EXPECT_ERRNO(EINVAL, splice(p[0], NULL, ap, NULL, 1, 0));
	EXPECT_ERRNO(EINVAL, splice(fd, NULL, ap, NULL, 1, 0));
	EXPECT_EQ(1, read(p[0], back, 1));
}

TEST_F(io, tee)
{
	char back[16] = "";
	off_t off = 0;
	int fd, a[2], b[2];

	ASSERT_EQ(0, fs_puts("f", "one for two"));
	ASSERT_LE(0, fd = open("f", O_RDWR));
	ASSERT_EQ(0, pipe(a));
	ASSERT_EQ(0, pipe(b));
	ASSERT_EQ(11, splice(fd, NULL, a[1], NULL, 100, 0));
	ASSERT_EQ(11, tee(a[0], b[1], 100, 0));
	EXPECT_EQ(11, read(a[0], back, sizeof(back)));
	EXPECT_EQ(0, memcmp(back, "one for two", 11));
	ASSERT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(11, splice(b[0], NULL, fd, &off, 100, 0));
	EXPECT_TRUE(fs_holds("f", "one for two"));
}

TEST_F(io, sendfile)
{
	const size_t len = 1 << 20;
	char *buf = malloc(len), *back = malloc(len);
	off_t off = 12345;
	int in, out, s[2];
	pid_t pid;
	size_t n;

	fs_fill(buf, len, 4);
	ASSERT_EQ(0, fs_put("f", buf, len));
	ASSERT_LE(0, in = open("f", O_RDONLY));
	ASSERT_LE(0, out = open("g", O_RDWR | O_CREAT, 0644));
	EXPECT_EQ(len - 12345, sendfile(out, in, &off, 2 * len));
	EXPECT_EQ(len, off);
	EXPECT_EQ(0, lseek(in, 0, SEEK_CUR));
	EXPECT_EQ(len - 12345, lseek(out, 0, SEEK_CUR));
	EXPECT_EQ(len - 12345, pread(out, back, len, 0));
	EXPECT_EQ(0, memcmp(buf + 12345, back, len - 12345));
	EXPECT_EQ(0, sendfile(out, in, &off, 10));
	EXPECT_EQ(10, sendfile(out, in, NULL, 10));
	EXPECT_EQ(10, lseek(in, 0, SEEK_CUR));

	/* To a socket, with a reader at the other end. */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	pid = fork();
	if (!pid) {
		for (n = 0; n < len; n += 65536)
			if (recv(s[1], back, 65536, MSG_WAITALL) != 65536 ||
			    memcmp(back, buf + n, 65536))
				_exit(1);
		_exit(0);
	}
	ASSERT_EQ(0, lseek(in, 0, SEEK_SET));
	for (n = 0; n < len;) {
		ssize_t sent = sendfile(s[0], in, NULL, len - n);

		ASSERT_LT(0, sent);
		n += sent;
	}
	EXPECT_EQ(0, fs_wait(pid));
}

TEST_F(io, copy_file_range)
{
	const size_t page = fs_page(), len = 10 * page;
	char *buf = malloc(len), *back = malloc(len);
	off_t in_off = 5, out_off = 3 * page + 1;
	int in, out;

	fs_fill(buf, len, 5);
	ASSERT_EQ(0, fs_put("f", buf, len));
	ASSERT_LE(0, in = open("f", O_RDWR));
	ASSERT_LE(0, out = open("g", O_RDWR | O_CREAT, 0644));

	EXPECT_EQ(len, copy_file_range(in, NULL, out, NULL, 2 * len, 0));
	EXPECT_EQ(len, lseek(in, 0, SEEK_CUR));
	EXPECT_EQ(len, lseek(out, 0, SEEK_CUR));
	EXPECT_EQ(0, copy_file_range(in, NULL, out, NULL, 1, 0));
	EXPECT_EQ(len, pread(out, back, len, 0));
	EXPECT_EQ(0, memcmp(buf, back, len));

	/* Between given offsets, the files' own do not move. */
	EXPECT_EQ(2 * page, copy_file_range(in, &in_off, out, &out_off,
					    2 * page, 0));
	EXPECT_EQ(5 + 2 * page, in_off);
	EXPECT_EQ(5 * page + 1, out_off);
	EXPECT_EQ(len, lseek(in, 0, SEEK_CUR));
	EXPECT_EQ(2 * page, pread(out, back, 2 * page, 3 * page + 1));
	EXPECT_EQ(0, memcmp(buf + 5, back, 2 * page));

	/* Within one file when the ranges are apart, else not. */
	in_off = 0;
	out_off = 2 * page;
	EXPECT_EQ(2 * page, copy_file_range(in, &in_off, in, &out_off,
					    2 * page, 0));
	EXPECT_EQ(2 * page, pread(in, back, 2 * page, 2 * page));
	EXPECT_EQ(0, memcmp(buf, back, 2 * page));
	in_off = 0;
	out_off = page;
	EXPECT_ERRNO(EINVAL, copy_file_range(in, &in_off, in, &out_off,
					     page + 1, 0));
	EXPECT_EQ(0, in_off);
	EXPECT_EQ(page, out_off);

	/* Past the end of the target leaves a hole. */
	in_off = 0;
	out_off = 100 * page;
	EXPECT_EQ(1, copy_file_range(in, &in_off, out, &out_off, 1, 0));
	EXPECT_EQ(100 * page + 1, fs_size("g"));
	EXPECT_EQ(11 * page / 512, fs_blocks("g"));
}

TEST_F(io, copy_file_range_refused)
{
	int in, out, ap, dir, rd, fifo;

	ASSERT_EQ(0, fs_puts("f", "from"));
	ASSERT_EQ(0, fs_puts("g", "to"));
	ASSERT_EQ(0, mkfifo("p", 0644));
	ASSERT_LE(0, in = open("f", O_RDONLY));
	ASSERT_LE(0, out = open("g", O_WRONLY));
	ASSERT_LE(0, ap = open("g", O_WRONLY | O_APPEND));
	ASSERT_LE(0, rd = open("g", O_RDONLY));
	ASSERT_LE(0, dir = open(".", O_RDONLY));
	ASSERT_LE(0, fifo = open("p", O_RDWR));
	EXPECT_ERRNO(EBADF, copy_file_range(in, NULL, ap, NULL, 4, 0));
	EXPECT_ERRNO(EBADF, copy_file_range(in, NULL, rd, NULL, 4, 0));
	EXPECT_ERRNO(EBADF, copy_file_range(out, NULL, out, NULL, 4, 0));
	EXPECT_ERRNO(EISDIR, copy_file_range(dir, NULL, out, NULL, 4, 0));
	EXPECT_ERRNO(EINVAL, copy_file_range(fifo, NULL, out, NULL, 4, 0));
	EXPECT_ERRNO(EINVAL, copy_file_range(in, NULL, out, NULL, 4, 1));
	EXPECT_TRUE(fs_holds("g", "to"));
}

TEST_F(io, to_and_from_another_filesystem)
{
	const size_t len = 300000;
	char *buf = malloc(len), *back = malloc(len);
	char path[FS_PATH];
	int here, there;
	const char *peer;
	ssize_t n;

	ASSERT_EQ(0, fs_private_ns());
	ASSERT_EQ(0, fs_mount("m", 0, "size=8m"));
	peer = fs_peer();
	ASSERT_NE(NULL, peer);
	snprintf(path, sizeof(path), "%s/fs_io", peer);
	fs_fill(buf, len, 6);
	ASSERT_EQ(0, fs_put("m/f", buf, len));

	/* Out: the copy may be refused across types, sendfile() works. */
	ASSERT_LE(0, here = open("m/f", O_RDWR));
	ASSERT_LE(0, there = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644));
	n = copy_file_range(here, NULL, there, NULL, len, 0);
	EXPECT_TRUE(n == (ssize_t)len || (n == -1 && errno == EXDEV));
	ASSERT_EQ(0, lseek(here, 0, SEEK_SET));
	ASSERT_EQ(0, lseek(there, 0, SEEK_SET));
	EXPECT_EQ(len, sendfile(there, here, NULL, len));
	EXPECT_EQ(len, pread(there, back, len, 0));
	EXPECT_EQ(0, memcmp(buf, back, len));

	/* And back in. */
	ASSERT_EQ(0, ftruncate(here, 0));
	ASSERT_EQ(0, lseek(here, 0, SEEK_SET));
	ASSERT_EQ(0, lseek(there, 0, SEEK_SET));
	EXPECT_EQ(len, sendfile(here, there, NULL, len));
	memset(back, 0, len);
	EXPECT_EQ(len, pread(here, back, len, 0));
	EXPECT_EQ(0, memcmp(buf, back, len));
	unlink(path);

	/* Another instance of the same type is another filesystem, too. */
	ASSERT_EQ(0, fs_mount("n", 0, "size=8m"));
	ASSERT_LE(0, there = open("n/g", O_RDWR | O_CREAT, 0644));
	ASSERT_EQ(0, lseek(here, 0, SEEK_SET));
	n = copy_file_range(here, NULL, there, NULL, len, 0);
	EXPECT_TRUE(n == (ssize_t)len || (n == -1 && errno == EXDEV));
	ASSERT_EQ(0, lseek(here, 0, SEEK_SET));
	ASSERT_EQ(0, lseek(there, 0, SEEK_SET));
	EXPECT_EQ(len, sendfile(there, here, NULL, len));
	memset(back, 0, len);
	EXPECT_EQ(len, pread(there, back, len, 0));
	EXPECT_EQ(0, memcmp(buf, back, len));
}

TEST_F(io, no_clones)
{
	struct file_clone_range range = { 0 };
	int in, out;

	ASSERT_EQ(0, fs_puts("f", "from"));
	ASSERT_EQ(0, fs_puts("g", "to"));
	ASSERT_LE(0, in = open("f", O_RDONLY));
	ASSERT_LE(0, out = open("g", O_RDWR));
	range.src_fd = in;
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(out, FICLONE, in));
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(out, FICLONERANGE, &range));
	EXPECT_TRUE(fs_holds("g", "to"));
}

TEST_F(io, generic_ioctls)
{
	int fd, n = 0;

	ASSERT_EQ(0, fs_puts("f", "0123456789"));
	ASSERT_LE(0, fd = open("f", O_RDWR));
	ASSERT_EQ(3, lseek(fd, 3, SEEK_SET));
	EXPECT_EQ(0, ioctl(fd, FIONREAD, &n));
	EXPECT_EQ(7, n);
	EXPECT_EQ(0, ioctl(fd, FIGETBSZ, &n));
	EXPECT_EQ(fs_page(), n);
	n = 0;
	EXPECT_ERRNO(EINVAL, ioctl(fd, FIBMAP, &n));
	EXPECT_ERRNO(ENOTTY, ioctl(fd, 0x5401 /* TCGETS */, &n));
	n = 1;
	EXPECT_EQ(0, ioctl(fd, FIONBIO, &n));
	EXPECT_EQ(O_NONBLOCK, fcntl(fd, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(0, ioctl(fd, FIOCLEX));
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
}

/* Whoever answers FS_IOC_GETFLAGS must mean it. */
TEST_F(io, inode_flags)
{
	int fd, flags = -1, want;

	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_LE(0, fd = open("f", O_RDWR));
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags)) {
		ASSERT_TRUE(errno == ENOTTY || errno == EOPNOTSUPP);
		SKIP(return, "%s has no FS_IOC_GETFLAGS", fs_type());
	}
	EXPECT_EQ(0, flags & (FS_APPEND_FL | FS_IMMUTABLE_FL));
	want = flags | FS_APPEND_FL;
	if (ioctl(fd, FS_IOC_SETFLAGS, &want)) {
		ASSERT_TRUE(errno == ENOTTY || errno == EOPNOTSUPP);
		SKIP(return, "%s has no FS_APPEND_FL", fs_type());
	}
	EXPECT_ERRNO(EPERM, open("f", O_WRONLY));
	EXPECT_ERRNO(EPERM, open("f", O_WRONLY | O_APPEND | O_TRUNC));
	EXPECT_ERRNO(EPERM, unlink("f"));
	EXPECT_LE(0, open("f", O_WRONLY | O_APPEND));
	want = flags | FS_IMMUTABLE_FL;
	ASSERT_EQ(0, ioctl(fd, FS_IOC_SETFLAGS, &want));
	EXPECT_ERRNO(EPERM, open("f", O_WRONLY | O_APPEND));
	EXPECT_ERRNO(EPERM, chmod("f", 0600));
	EXPECT_ERRNO(EPERM, link("f", "g"));
	EXPECT_ERRNO(EPERM, rename("f", "g"));
	EXPECT_LE(0, open("f", O_RDONLY));
	ASSERT_EQ(0, ioctl(fd, FS_IOC_SETFLAGS, &flags));
	EXPECT_EQ(0, rename("f", "g"));
}

TEST_HARNESS_MAIN
