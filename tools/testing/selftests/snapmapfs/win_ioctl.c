// SPDX-License-Identifier: GPL-2.0
/*
 * W1, W2: how a window is opened, what it refuses, and what it says of itself.
 */
#include "win.h"

#include <linux/falloc.h>
#include <sys/resource.h>

#define LEN	(8 * page_size)

FIXTURE(win)
{
	struct snap s;
};

FIXTURE_SETUP(win)
{
	ASSERT_EQ(0, snap_create(&self->s, LEN));
}

FIXTURE_TEARDOWN(win)
{
	snap_destroy(&self->s);
}

#define NEW(fd, offset, length) ({				\
	int __fd = window(fd, offset, length);			\
								\
	ASSERT_LE(0, __fd) TH_LOG("%s", strerror(-__fd));	\
	__fd;							\
})

static int call(int fd, struct snapmapfs_window w)
{
	int win = ioctl(fd, SNAPMAPFS_IOC_OPEN_WINDOW, &w);

	return win < 0 ? -errno : win;
}

TEST_F(win, number)
{
	ASSERT_EQ(24, (int)sizeof(struct snapmapfs_window));
	ASSERT_EQ(0x4018b701U, (unsigned int)SNAPMAPFS_IOC_OPEN_WINDOW);
}

TEST_F(win, is_closed_on_exec)
{
	int fd = NEW(self->s.fd, 0, 0);

	ASSERT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
}

TEST_F(win, access_mode)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	char byte = 0;
	int i, fd, win;

	for (i = 0; i < 3; i++) {
		fd = open(self->s.path, modes[i]);
		ASSERT_LE(0, fd);
		win = NEW(fd, BLOCK, 0);
		ASSERT_EQ(modes[i], fcntl(win, F_GETFL) & O_ACCMODE);
		ASSERT_EQ(modes[i] == O_WRONLY ? -1 : 1, read(win, &byte, 1));
		ASSERT_EQ(modes[i] == O_RDONLY ? -1 : 1, pwrite(win, &byte, 1, 0));
		close(win);
		close(fd);
	}
}

TEST_F(win, flags_are_kept)
{
	int fd = open(self->s.path, O_RDWR | O_APPEND | O_NONBLOCK);

	ASSERT_LE(0, fd);
	fd = NEW(fd, 0, 0);
	ASSERT_EQ(O_APPEND | O_NONBLOCK,
		  fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK | O_TRUNC | O_CREAT));
}

TEST_F(win, starts_at_0)
{
	char byte;

	ASSERT_EQ(1, pread(self->s.fd, &byte, 1, 100));
	ASSERT_EQ(100, lseek(self->s.fd, 100, SEEK_SET));
	ASSERT_EQ(0, lseek(NEW(self->s.fd, BLOCK, 0), 0, SEEK_CUR));
	ASSERT_EQ(100, lseek(self->s.fd, 0, SEEK_CUR));
}

TEST_F(win, unknown_flags)
{
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		ASSERT_EQ(-EINVAL, call(self->s.fd, (struct snapmapfs_window) {
			.flags = 1U << bit }));
		ASSERT_EQ(-EINVAL, call(self->s.fd, (struct snapmapfs_window) {
			.reserved = 1U << bit }));
	}
}

TEST_F(win, offset_within_a_block)
{
	static const uint64_t bad[] = { 1, 2, 255, 256, 511, 513, 1023, 4095, 4097,
		(1ULL << 44) + 1, INT64_MAX };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_EQ(-EINVAL, window(self->s.fd, bad[i], 0));
}

TEST_F(win, length_within_a_block)
{
	static const uint64_t bad[] = { 1, 2, 511, 513, 4095, 4097 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_EQ(-EINVAL, window(self->s.fd, 0, bad[i]));
}

TEST_F(win, past_the_largest_offset)
{
	const uint64_t max = INT64_MAX;
	const uint64_t last = max - max % BLOCK;

	close(NEW(self->s.fd, last, 0));
	close(NEW(self->s.fd, last - BLOCK, BLOCK));
	close(NEW(self->s.fd, 0, last));
	ASSERT_EQ(-EINVAL, window(self->s.fd, last, BLOCK));
	ASSERT_EQ(-EINVAL, window(self->s.fd, BLOCK, last));
	ASSERT_EQ(-EINVAL, window(self->s.fd, last + BLOCK, 0));
	ASSERT_EQ(-EINVAL, window(self->s.fd, -(uint64_t)BLOCK, 0));
	ASSERT_EQ(-EINVAL, window(self->s.fd, -(uint64_t)BLOCK, BLOCK));
	ASSERT_EQ(-EINVAL, window(self->s.fd, -(uint64_t)BLOCK, 2 * BLOCK));
	ASSERT_EQ(-EINVAL, window(self->s.fd, BLOCK, -(uint64_t)BLOCK));
	ASSERT_EQ(-EINVAL, window(self->s.fd, 1ULL << 63, 0));
}

TEST_F(win, bad_address)
{
	ASSERT_EQ(-1, ioctl(self->s.fd, SNAPMAPFS_IOC_OPEN_WINDOW, NULL));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, ioctl(self->s.fd, SNAPMAPFS_IOC_OPEN_WINDOW, (void *)-4096L));
	ASSERT_EQ(EFAULT, errno);
}

TEST_F(win, not_here)
{
	struct snapmapfs_window w = {};
	char path[PATH_MAX];
	int fd;

	ASSERT_EQ(-1, ioctl(self->s.fd, SNAPMAPFS_IOC_OPEN_WINDOW + 1, &w));
	ASSERT_EQ(ENOTTY, errno);
	fd = open(snap_dir(), O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(-ENOTTY, window(fd, 0, 0));
	fd = open(peer_dir(), O_TMPFILE | O_RDWR, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(-ENOTTY, window(fd, 0, 0));
	fd = open(self->s.path, O_PATH);
	ASSERT_LE(0, fd);
	ASSERT_EQ(-EBADF, window(fd, 0, 0));
	ASSERT_EQ(-EBADF, window(-1, 0, 0));
	snprintf(path, sizeof(path), "%s.fifo", self->s.path);
	ASSERT_EQ(0, mkfifo(path, 0600));
	fd = open(path, O_RDWR);
	unlink(path);
	ASSERT_LE(0, fd);
	ASSERT_EQ(-ENOTTY, window(fd, 0, 0));
}

static int as_nobody(void *arg)
{
	struct snap *s = arg;

	if (setresuid(65534, 65534, 65534))
		return 1;
	return window(s->fd, 0, 0) == -EACCES ? 0 : 2;
}

/* The checks are those of opening the file again. */
TEST_F(win, permission)
{
	ASSERT_EQ(0, fchmod(self->s.fd, 0600));
	ASSERT_EQ(0, run_child(as_nobody, &self->s));
	ASSERT_EQ(0, fchmod(self->s.fd, 0444));
	ASSERT_EQ(0, run_child(as_nobody, &self->s));
}

TEST_F(win, many_files)
{
	struct rlimit rl = { 8, 8 };
	int fd = self->s.fd, win, n = 0;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &rl));
	while ((win = window(fd, BLOCK, 0)) >= 0)
		n++;
	ASSERT_EQ(-EMFILE, win);
	ASSERT_LT(0, n);
}

TEST_F(win, size)
{
	struct stat st, base;
	int fd;

	ASSERT_EQ(0, fstat(self->s.fd, &base));
	fd = NEW(self->s.fd, BLOCK, 0);
	ASSERT_EQ(LEN - BLOCK, file_size(fd));
	ASSERT_EQ(0, fstat(fd, &st));
	ASSERT_EQ(base.st_dev, st.st_dev);
	ASSERT_EQ(base.st_ino, st.st_ino);
	ASSERT_EQ(base.st_mode, st.st_mode);
	ASSERT_EQ(0, ftruncate(self->s.fd, 2 * LEN));
	ASSERT_EQ(2 * LEN - BLOCK, file_size(fd));
	ASSERT_EQ(0, ftruncate(self->s.fd, BLOCK));
	ASSERT_EQ(0, file_size(fd));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, file_size(fd));
}

TEST_F(win, size_with_an_end)
{
	int fd = NEW(self->s.fd, page_size, 2 * page_size);

	ASSERT_EQ(2 * page_size, file_size(fd));
	ASSERT_EQ(0, ftruncate(self->s.fd, 2 * LEN));
	ASSERT_EQ(2 * page_size, file_size(fd));
	ASSERT_EQ(0, ftruncate(self->s.fd, 2 * page_size + 7));
	ASSERT_EQ(page_size + 7, file_size(fd));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, file_size(fd));
	ASSERT_EQ(0, ftruncate(self->s.fd, LEN));
	ASSERT_EQ(2 * page_size, file_size(fd));
	/* One that is behind the end of the file. */
	fd = NEW(self->s.fd, 4 * LEN, page_size);
	ASSERT_EQ(0, file_size(fd));
}

TEST_F(win, of_a_window)
{
	int outer = NEW(self->s.fd, BLOCK, 0);
	int fd = NEW(outer, page_size, 0);

	ASSERT_EQ(LEN - BLOCK - page_size, file_size(fd));
	ASSERT_EQ(SAME, shows_not(fd, 0, 0, BLOCK + page_size, page_size));
	fd = NEW(fd, BLOCK, page_size);
	ASSERT_EQ(page_size, file_size(fd));
	/* The end of the outer window is the end of the inner one. */
	outer = NEW(self->s.fd, page_size, 2 * page_size);
	fd = NEW(outer, page_size, 0);
	ASSERT_EQ(page_size, file_size(fd));
	close(NEW(outer, page_size, page_size));
	ASSERT_EQ(-EINVAL, window(outer, page_size, page_size + BLOCK));
	ASSERT_EQ(-EINVAL, window(outer, 2 * page_size, 0));
	ASSERT_EQ(-EINVAL, window(outer, 2 * page_size, BLOCK));
	ASSERT_EQ(-EINVAL, window(NEW(self->s.fd, 1ULL << 62, 0), 1ULL << 62, 0));
	ASSERT_EQ(-EINVAL, window(NEW(self->s.fd, 1ULL << 62, 0), 0, 1ULL << 62));
}

/* A window of a window has the access mode of what it was opened through. */
TEST_F(win, of_a_read_only_window)
{
	int fd = open(self->s.path, O_RDONLY);

	ASSERT_LE(0, fd);
	fd = NEW(NEW(fd, BLOCK, 0), BLOCK, 0);
	ASSERT_EQ(-1, write(fd, "", 1));
	ASSERT_EQ(EBADF, errno);
}

/* It outlives the descriptor it was opened through, and the file's name. */
TEST_F(win, outlives_the_file)
{
	int fd = NEW(self->s.fd, BLOCK, 0);

	ASSERT_EQ(0, unlink(self->s.path));
	close(self->s.fd);
	ASSERT_EQ(LEN - BLOCK, file_size(fd));
	ASSERT_EQ(SAME, shows_not(fd, 0, 0, BLOCK, LEN - BLOCK));
	self->s.fd = -1;
}

/* What is done to the attributes is done to the file. */
TEST_F(win, attributes)
{
	struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	int fd = NEW(self->s.fd, BLOCK, 0);
	struct stat st;

	ASSERT_EQ(0, fchmod(fd, 0640));
	ASSERT_EQ(0, fchown(fd, 12, 34));
	ASSERT_EQ(0, futimens(fd, times));
	ASSERT_EQ(0, fstat(self->s.fd, &st));
	ASSERT_EQ(0640U, st.st_mode & 07777);
	ASSERT_EQ(12U, st.st_uid);
	ASSERT_EQ(34U, st.st_gid);
	ASSERT_EQ(2000, st.st_mtime);
	ASSERT_EQ(LEN, st.st_size);
}

static ssize_t slurp(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY);
	ssize_t n, all = 0;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, buf + all, len - 1 - all)) > 0)
		all += n;
	close(fd);
	buf[all] = 0;
	return all;
}

TEST_F(win, fdinfo)
{
	char path[64], buf[4096], want[128];
	int fd = NEW(self->s.fd, page_size + BLOCK, 3 * BLOCK);

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	ASSERT_LT(0, slurp(path, buf, sizeof(buf)));
	snprintf(want, sizeof(want), "window_offset:\t%ld\nwindow_length:\t%d\n",
		 (long)page_size + BLOCK, 3 * BLOCK);
	ASSERT_NE(NULL, strstr(buf, want)) TH_LOG("%s", buf);
	fd = NEW(fd, BLOCK, 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	ASSERT_LT(0, slurp(path, buf, sizeof(buf)));
	snprintf(want, sizeof(want), "window_offset:\t%ld\nwindow_length:\t%d\n",
		 (long)page_size + 2 * BLOCK, 2 * BLOCK);
	ASSERT_NE(NULL, strstr(buf, want)) TH_LOG("%s", buf);
	fd = NEW(self->s.fd, 0, 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	ASSERT_LT(0, slurp(path, buf, sizeof(buf)));
	ASSERT_NE(NULL, strstr(buf, "window_offset:\t0\nwindow_length:\t0\n"));
}

TEST_F(win, name)
{
	char path[64], buf[PATH_MAX], want[PATH_MAX + 32];
	int fd = NEW(self->s.fd, page_size + BLOCK, 0);
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, buf, sizeof(buf) - 1);
	ASSERT_LT(0, n);
	buf[n] = 0;
	snprintf(want, sizeof(want), "%s+%ld", self->s.path, (long)page_size + BLOCK);
	ASSERT_STREQ(want, buf);
	ASSERT_EQ(0, unlink(self->s.path));
	n = readlink(path, buf, sizeof(buf) - 1);
	ASSERT_LT(0, n);
	buf[n] = 0;
	snprintf(want, sizeof(want), "%s (deleted)+%ld", self->s.path,
		 (long)page_size + BLOCK);
	ASSERT_STREQ(want, buf);
}

/* What /proc/PID/fd opens is the window, with an access mode of its own. */
TEST_F(win, opened_again)
{
	char path[64], byte;
	int fd = NEW(self->s.fd, page_size + BLOCK, 2 * page_size), again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY);
	ASSERT_LE(0, again);
	ASSERT_EQ(2 * page_size, file_size(again));
	ASSERT_EQ(1, pread(again, &byte, 1, 7));
	ASSERT_EQ(gen_byte(0, page_size + BLOCK + 7), (unsigned char)byte);
	ASSERT_EQ(-1, pwrite(again, &byte, 1, 0));
	ASSERT_EQ(0, pread(again, &byte, 1, 2 * page_size));
	again = open(path, O_WRONLY);
	ASSERT_LE(0, again);
	ASSERT_EQ(1, pwrite(again, "x", 1, 0));
	ASSERT_EQ(1, pread(self->s.fd, &byte, 1, page_size + BLOCK));
	ASSERT_EQ('x', byte);
	/* A window of it is one of the window. */
	again = NEW(open(path, O_RDONLY), BLOCK, 0);
	ASSERT_EQ(2 * page_size - BLOCK, file_size(again));
}

/* O_TRUNC of a window ends the file where the window begins. */
TEST_F(win, opened_again_and_truncated)
{
	char path[64];
	int fd = NEW(self->s.fd, page_size + BLOCK, 0);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ASSERT_LE(0, open(path, O_WRONLY | O_TRUNC));
	ASSERT_EQ(page_size + BLOCK, file_size(self->s.fd));
}

TEST_F(win, truncate)
{
	int fd = NEW(self->s.fd, page_size + BLOCK, 0);

	ASSERT_EQ(0, ftruncate(fd, BLOCK + 1));
	ASSERT_EQ(page_size + 2 * BLOCK + 1, file_size(self->s.fd));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, page_size + 2 * BLOCK + 1));
	ASSERT_EQ(0, ftruncate(fd, page_size));
	ASSERT_EQ(2 * page_size + BLOCK, file_size(self->s.fd));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, page_size + 2 * BLOCK + 1,
				      page_size - BLOCK - 1));
	ASSERT_EQ(0, ftruncate(fd, 0));
	ASSERT_EQ(page_size + BLOCK, file_size(self->s.fd));
	/* A window that the file does not reach has that size already. */
	ASSERT_EQ(0, ftruncate(self->s.fd, 5));
	ASSERT_EQ(0, ftruncate(fd, 0));
	ASSERT_EQ(5, file_size(self->s.fd));
	ASSERT_EQ(-1, ftruncate(fd, INT64_MAX));
	ASSERT_EQ(EFBIG, errno);
	ASSERT_EQ(5, file_size(self->s.fd));
}

TEST_F(win, truncate_with_an_end)
{
	int fd = NEW(self->s.fd, page_size, 2 * page_size);

	/* More than the window may have. */
	ASSERT_EQ(-1, ftruncate(fd, 2 * page_size + 1));
	ASSERT_EQ(EINVAL, errno);
	/* The file goes on behind the window. */
	ASSERT_EQ(-1, ftruncate(fd, page_size));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(0, ftruncate(fd, 2 * page_size));
	ASSERT_EQ(LEN, file_size(self->s.fd));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, LEN));
	/* The file ends within it. */
	ASSERT_EQ(0, ftruncate(self->s.fd, 3 * page_size));
	ASSERT_EQ(0, ftruncate(fd, page_size + 9));
	ASSERT_EQ(2 * page_size + 9, file_size(self->s.fd));
	ASSERT_EQ(0, ftruncate(fd, 2 * page_size));
	ASSERT_EQ(3 * page_size, file_size(self->s.fd));
}

TEST_F(win, allocate)
{
	int fd = NEW(self->s.fd, BLOCK, 0);

	ASSERT_EQ(0, fallocate(fd, 0, LEN, page_size));
	ASSERT_EQ(LEN + BLOCK + page_size, file_size(self->s.fd));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       100, 2 * page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 0, BLOCK + 100));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, BLOCK + 100, 2 * page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, BLOCK + 100 + 2 * page_size,
				     LEN - BLOCK - 100 - 2 * page_size));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_ZERO_RANGE, 4 * page_size, BLOCK));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, 4 * page_size + BLOCK, BLOCK));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 4 * page_size + 2 * BLOCK, BLOCK));
	ASSERT_EQ(-1, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, page_size));
	ASSERT_EQ(EOPNOTSUPP, errno);
	ASSERT_EQ(-1, fallocate(fd, 0, INT64_MAX - BLOCK, BLOCK));
	ASSERT_EQ(EFBIG, errno);
}

TEST_F(win, allocate_with_an_end)
{
	int fd = NEW(self->s.fd, page_size, page_size);

	ASSERT_EQ(0, fallocate(fd, 0, 0, page_size));
	ASSERT_EQ(-1, fallocate(fd, 0, 0, page_size + 1));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, fallocate(fd, FALLOC_FL_KEEP_SIZE, page_size, 1));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, fallocate(fd, FALLOC_FL_ZERO_RANGE, BLOCK, page_size));
	ASSERT_EQ(EINVAL, errno);
	/* As behind the end of a file, there is nothing to punch. */
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       0, LEN));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, page_size, page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 2 * page_size, LEN - 2 * page_size));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       page_size, LEN));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 0, 2 * page_size, LEN - 2 * page_size));
	ASSERT_EQ(LEN, file_size(self->s.fd));
}

TEST_HARNESS_MAIN
