// SPDX-License-Identifier: GPL-2.0
/*
 * Timestamps: which operation moves which of them, how precise they are and
 * how far they reach; and what statx() adds.
 */
#include "fs.h"

#include <linux/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

enum { OLD = 1000 };

/* A and M are compared with OLD, C with the time before the operation. */
enum { A = 1, M = 2, C = 4 };

static const struct timespec old_times[2] = { { OLD, 0 }, { OLD, 0 } };

static struct timespec ctime_before;

/* Makes atime and mtime old and remembers ctime. */
static int age(const char *path)
{
	struct stat st;

	if (utimensat(AT_FDCWD, path, old_times, AT_SYMLINK_NOFOLLOW) ||
	    lstat(path, &st))
		return -1;
	ctime_before = st.st_ctim;
	/* Longer than a tick, which is what file times are taken from. */
	fs_sleep_ms(15);
	return 0;
}

/* Which of the three moved since age(). */
static int moved(const char *path)
{
	struct stat st;
	int which = 0;

	if (lstat(path, &st))
		return -1;
	if (st.st_atim.tv_sec != OLD)
		which |= A;
	if (st.st_mtim.tv_sec != OLD)
		which |= M;
	if (st.st_ctim.tv_sec != ctime_before.tv_sec ||
	    st.st_ctim.tv_nsec != ctime_before.tv_nsec)
		which |= C;
	return which;
}

/* After ageing @path, doing this moves exactly these. */
#define EXPECT_MOVES(_which, _path, _do) do {				\
	ASSERT_EQ(0, age(_path));					\
	EXPECT_NE(-1, (long)(_do)) TH_LOG("%s: %s", #_do, strerror(errno)); \
	EXPECT_EQ(_which, moved(_path)) TH_LOG("%s", #_do);		\
} while (0)

static int fs_statx(const char *path, struct statx *stx)
{
	return syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW,
		       STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, stx);
}

FS_FIXTURE(times)

TEST_F(times, utimensat)
{
	struct timespec ts[2] = { { 12345, 678901234 }, { 23456, 999999999 } };
	struct timespec now;
	struct stat st;

	ASSERT_EQ(0, fs_puts("f", ""));
	ASSERT_EQ(0, utimensat(AT_FDCWD, "f", ts, 0));
	ASSERT_EQ(0, stat("f", &st));
	EXPECT_EQ(12345, st.st_atim.tv_sec);
	EXPECT_EQ(678901234, st.st_atim.tv_nsec);
	EXPECT_EQ(23456, st.st_mtim.tv_sec);
	EXPECT_EQ(999999999, st.st_mtim.tv_nsec);

	ts[0].tv_nsec = UTIME_OMIT;
	ts[1] = (struct timespec){ 7, 1 };
	ASSERT_EQ(0, utimensat(AT_FDCWD, "f", ts, 0));
	ASSERT_EQ(0, stat("f", &st));
	EXPECT_EQ(12345, st.st_atim.tv_sec);
	EXPECT_EQ(7, st.st_mtim.tv_sec);
	EXPECT_EQ(1, st.st_mtim.tv_nsec);

	ts[0].tv_nsec = UTIME_NOW;
	ts[1].tv_nsec = UTIME_OMIT;
	ASSERT_EQ(0, utimensat(AT_FDCWD, "f", ts, 0));
	clock_gettime(CLOCK_REALTIME, &now);
	ASSERT_EQ(0, stat("f", &st));
	EXPECT_LE(now.tv_sec - 5, st.st_atim.tv_sec);
	EXPECT_LE(st.st_atim.tv_sec, now.tv_sec);
	EXPECT_EQ(7, st.st_mtim.tv_sec);

	ts[0].tv_nsec = 1000000000;
	EXPECT_ERRNO(EINVAL, utimensat(AT_FDCWD, "f", ts, 0));
	EXPECT_ERRNO(EINVAL, utimensat(AT_FDCWD, "f", NULL, 1 << 20));
}

TEST_F(times, range)
{
	static const long long secs[] = {
		-1, 0, INT32_MIN, INT32_MAX, INT32_MAX + 1LL, UINT32_MAX,
		UINT32_MAX + 1LL, 1LL << 34, -(1LL << 34), 253402300800LL,
	};
	struct timespec ts[2];
	struct stat st;
	size_t i;

	ASSERT_EQ(0, fs_puts("f", ""));
	for (i = 0; i < ARRAY_SIZE(secs); i++) {
		if ((time_t)secs[i] != secs[i])
			continue;
		ts[0] = (struct timespec){ secs[i], 1 };
		ts[1] = (struct timespec){ secs[i], 2 };
		ASSERT_EQ(0, utimensat(AT_FDCWD, "f", ts, 0));
		ASSERT_EQ(0, stat("f", &st));
		EXPECT_EQ(secs[i], st.st_atim.tv_sec);
		EXPECT_EQ(1, st.st_atim.tv_nsec);
		EXPECT_EQ(secs[i], st.st_mtim.tv_sec);
		EXPECT_EQ(2, st.st_mtim.tv_nsec);
	}
	/* What no clock will show is kept, or clamped on its own side. */
	ts[0] = (struct timespec){ 1LL << 60, 0 };
	ts[1] = (struct timespec){ -(1LL << 60), 0 };
	ASSERT_EQ(0, utimensat(AT_FDCWD, "f", ts, 0));
	ASSERT_EQ(0, stat("f", &st));
	EXPECT_LE(1LL << 34, st.st_atim.tv_sec);
	EXPECT_GE(-(1LL << 34), st.st_mtim.tv_sec);
}

TEST_F(times, new_inodes_are_of_now)
{
	struct timespec before, after;
	struct stat st;
	size_t i;
	static const char * const names[] = { "f", "d", "l", "p" };

	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, symlink("x", "l"));
	ASSERT_EQ(0, mkfifo("p", 0644));
	clock_gettime(CLOCK_REALTIME, &after);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_EQ(0, lstat(names[i], &st));
		EXPECT_LE(before.tv_sec, st.st_atim.tv_sec);
		EXPECT_LE(before.tv_sec, st.st_mtim.tv_sec);
		EXPECT_LE(before.tv_sec, st.st_ctim.tv_sec);
		EXPECT_GE(after.tv_sec, st.st_atim.tv_sec);
		EXPECT_GE(after.tv_sec, st.st_mtim.tv_sec);
		EXPECT_GE(after.tv_sec, st.st_ctim.tv_sec);
	}
}

TEST_F(times, contents)
{
	struct timespec atime;
	struct stat st;
	char c = 'x';
	int fd, ap;

	ASSERT_EQ(0, fs_puts("f", "abc"));
	ASSERT_LE(0, fd = open("f", O_RDWR));
	ASSERT_LE(0, ap = open("f", O_WRONLY | O_APPEND));
	EXPECT_MOVES(M | C, "f", pwrite(fd, &c, 1, 0));
	EXPECT_MOVES(M | C, "f", write(ap, &c, 1));
	EXPECT_MOVES(M | C, "f", ftruncate(fd, 100));
	EXPECT_MOVES(M | C, "f", ftruncate(fd, 10));
	EXPECT_MOVES(M | C, "f", ftruncate(fd, 10));
	EXPECT_MOVES(M | C, "f", truncate("f", 0));
	EXPECT_MOVES(M | C, "f", open("f", O_WRONLY | O_TRUNC));
	EXPECT_MOVES(M | C, "f", fallocate(fd, 0, 0, 8192));
	EXPECT_MOVES(M | C, "f", fallocate(fd, FALLOC_FL_PUNCH_HOLE |
					   FALLOC_FL_KEEP_SIZE, 0, 4096));
	EXPECT_MOVES(0, "f", fsync(fd));
	EXPECT_MOVES(0, "f", open("f", O_RDWR));
	EXPECT_MOVES(A, "f", pread(fd, &c, 1, 0));
	/* relatime: once accessed after the last change is enough. */
	EXPECT_EQ(1, pread(fd, &c, 1, 0));
	ASSERT_EQ(0, stat("f", &st));
	atime = st.st_atim;
	fs_sleep_ms(15);
	EXPECT_EQ(1, pread(fd, &c, 1, 0));
	ASSERT_EQ(0, stat("f", &st));
	EXPECT_EQ(atime.tv_sec, st.st_atim.tv_sec);
	EXPECT_EQ(atime.tv_nsec, st.st_atim.tv_nsec);
}

TEST_F(times, mapped_store)
{
	const size_t page = fs_page();
	char *p;
	int fd;

	ASSERT_LE(0, fd = open("f", O_RDWR | O_CREAT, 0644));
	ASSERT_EQ(0, ftruncate(fd, 4 * page));
	p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);

	/* Into a hole, and into a page that has data. */
	EXPECT_MOVES(M | C, "f", fs_store(p, 1));
	ASSERT_EQ(1, pwrite(fd, "x", 1, page));
	EXPECT_MOVES(M | C, "f", fs_store(p + page, 1));
	/* A load is an access at most. */
	ASSERT_EQ(0, age("f"));
	EXPECT_EQ(0, fs_load(p + 2 * page));
	EXPECT_EQ(0, moved("f") & (M | C));

	/* A store to a page that was loaded first. */
	ASSERT_EQ(0, age("f"));
	fs_store(p + 2 * page, 1);
	if (!fs_is_tmpfs())
		EXPECT_EQ(M | C, moved("f") & (M | C));

	/* A private store is none of the file's business. */
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, age("f"));
	fs_store(p, 2);
	EXPECT_EQ(0, moved("f") & (M | C));
}

TEST_F(times, inode)
{
	char buf[8];

	ASSERT_EQ(0, fs_puts("f", "abc"));
	ASSERT_EQ(0, symlink("f", "l"));
	EXPECT_MOVES(C, "f", chmod("f", 0600));
	EXPECT_MOVES(C, "f", chown("f", 1, 1));
	EXPECT_MOVES(C, "f", link("f", "g"));
	EXPECT_MOVES(C, "f", unlink("g"));
	EXPECT_MOVES(C, "f", setxattr("f", "user.a", "1", 1, 0));
	EXPECT_MOVES(C, "f", removexattr("f", "user.a"));
	EXPECT_MOVES(0, "f", getxattr("f", "user.a", buf, 0) + 1);
	EXPECT_MOVES(0, "f", access("f", R_OK));
	EXPECT_MOVES(C, "f", utimensat(AT_FDCWD, "f", old_times, 0));
	EXPECT_MOVES(A, "l", readlink("l", buf, sizeof(buf)));
	EXPECT_MOVES(C, "l", lchown("l", 1, 1));
	ASSERT_EQ(0, age("f"));
	ASSERT_EQ(0, rename("f", "g"));
	EXPECT_EQ(C, moved("g"));
	ASSERT_EQ(0, fs_puts("f", ""));
	ASSERT_EQ(0, age("g"));
	ASSERT_EQ(0, syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "g",
			     RENAME_EXCHANGE));
	EXPECT_EQ(C, moved("f"));
}

TEST_F(times, directory)
{
	char buf[1024];
	int fd;

	ASSERT_EQ(0, mkdir("d", 0755));
	EXPECT_MOVES(M | C, "d", open("d/f", O_RDWR | O_CREAT, 0644));
	EXPECT_MOVES(0, "d", fs_puts("d/f", "abc"));
	EXPECT_MOVES(0, "d", chmod("d/f", 0600));
	EXPECT_MOVES(M | C, "d", link("d/f", "d/g"));
	EXPECT_MOVES(M | C, "d", unlink("d/g"));
	EXPECT_MOVES(M | C, "d", symlink("x", "d/l"));
	EXPECT_MOVES(M | C, "d", mknod("d/p", S_IFIFO | 0644, 0));
	EXPECT_MOVES(M | C, "d", rename("d/f", "d/g"));
	EXPECT_MOVES(M | C, "d", mkdir("d/e", 0755));
	EXPECT_MOVES(M | C, "d", rmdir("d/e"));
	EXPECT_MOVES(0, "d", access("d/none", F_OK) + 1);
	EXPECT_MOVES(0, "d", open("d", O_RDWR | O_TMPFILE, 0644));
	EXPECT_MOVES(C, "d", chmod("d", 0700));
	ASSERT_LE(0, fd = open("d", O_RDONLY));
	EXPECT_MOVES(A, "d", syscall(SYS_getdents64, fd, buf, sizeof(buf)));
}

TEST_F(times, two_directories)
{
	struct stat a, b;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, mkdir("a", 0755));
		ASSERT_EQ(0, mkdir("b", 0755));
		ASSERT_EQ(0, fs_puts("a/f", ""));
		ASSERT_EQ(0, fs_puts("b/f", ""));
		ASSERT_EQ(0, age("a"));
		ASSERT_EQ(0, age("b"));
		ASSERT_EQ(0, syscall(SYS_renameat2, AT_FDCWD, "a/f", AT_FDCWD,
				     "b/f", i ? RENAME_EXCHANGE : 0));
		ASSERT_EQ(0, stat("a", &a));
		ASSERT_EQ(0, stat("b", &b));
		EXPECT_NE(OLD, a.st_mtim.tv_sec);
		EXPECT_NE(OLD, b.st_mtim.tv_sec);
		EXPECT_EQ(M | C, moved("b"));
		ASSERT_EQ(0, fs_remove("a"));
		ASSERT_EQ(0, fs_remove("b"));
	}
}

TEST_F(times, atime_by_mount_option)
{
	struct stat st, again;
	int i;

	ASSERT_EQ(0, fs_private_ns());
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, fs_mount("m", i ? MS_STRICTATIME : MS_NOATIME,
				      "size=1m"));
		ASSERT_EQ(0, fs_puts("m/f", "abc"));
		ASSERT_EQ(0, age("m/f"));
		ASSERT_TRUE(fs_holds("m/f", "abc"));
		EXPECT_EQ(i ? A : 0, moved("m/f"));
		/* Once more, now that atime is later than mtime. */
		ASSERT_EQ(0, stat("m/f", &st));
		fs_sleep_ms(15);
		ASSERT_TRUE(fs_holds("m/f", "abc"));
		ASSERT_EQ(0, stat("m/f", &again));
		EXPECT_EQ(i, st.st_atim.tv_sec != again.st_atim.tv_sec ||
			     st.st_atim.tv_nsec != again.st_atim.tv_nsec);
		ASSERT_EQ(0, umount("m"));
	}
}

TEST_F(times, ctime_and_mtime_never_go_back)
{
	struct stat prev, st;
	int i, fd;

	ASSERT_LE(0, fd = open("f", O_RDWR | O_CREAT, 0644));
	ASSERT_EQ(0, fstat(fd, &prev));
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(1, write(fd, "x", 1));
		ASSERT_EQ(0, fstat(fd, &st));
		EXPECT_TRUE(st.st_mtim.tv_sec > prev.st_mtim.tv_sec ||
			    (st.st_mtim.tv_sec == prev.st_mtim.tv_sec &&
			     st.st_mtim.tv_nsec >= prev.st_mtim.tv_nsec));
		EXPECT_EQ(st.st_mtim.tv_sec, st.st_ctim.tv_sec);
		EXPECT_EQ(st.st_mtim.tv_nsec, st.st_ctim.tv_nsec);
		prev = st;
	}
}

TEST_F(times, statx)
{
	struct timespec before;
	struct statx stx, later;
	struct stat st;

	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	ASSERT_EQ(0, fs_puts("f", "hello"));
	ASSERT_EQ(0, fs_statx("f", &stx));
	ASSERT_EQ(0, stat("f", &st));
	EXPECT_EQ(STATX_BASIC_STATS, stx.stx_mask & STATX_BASIC_STATS);
	EXPECT_EQ(5, stx.stx_size);
	EXPECT_EQ(st.st_ino, stx.stx_ino);
	EXPECT_EQ(st.st_blocks, stx.stx_blocks);
	EXPECT_EQ(st.st_blksize, stx.stx_blksize);
	EXPECT_EQ(st.st_mode, stx.stx_mode);
	EXPECT_EQ(1, stx.stx_nlink);
	EXPECT_EQ(major(st.st_dev), stx.stx_dev_major);
	EXPECT_EQ(minor(st.st_dev), stx.stx_dev_minor);
	EXPECT_EQ(0, stx.stx_attributes & (STATX_ATTR_APPEND |
					   STATX_ATTR_IMMUTABLE |
					   STATX_ATTR_MOUNT_ROOT));

	/* The birth time: there, of now, and for good. */
	ASSERT_TRUE(stx.stx_mask & STATX_BTIME);
	EXPECT_LE(before.tv_sec, stx.stx_btime.tv_sec);
	EXPECT_GE(before.tv_sec + 5, stx.stx_btime.tv_sec);
	fs_sleep_ms(15);
	ASSERT_EQ(0, fs_puts("f", "rewritten"));
	ASSERT_EQ(0, chmod("f", 0600));
	ASSERT_EQ(0, utimensat(AT_FDCWD, "f", old_times, 0));
	ASSERT_EQ(0, rename("f", "g"));
	ASSERT_EQ(0, fs_statx("g", &later));
	EXPECT_EQ(stx.stx_btime.tv_sec, later.stx_btime.tv_sec);
	EXPECT_EQ(stx.stx_btime.tv_nsec, later.stx_btime.tv_nsec);
	EXPECT_NE(stx.stx_ctime.tv_nsec, later.stx_ctime.tv_nsec);
}

TEST_F(times, statx_of_mounts)
{
	struct statx dir, root;

	ASSERT_EQ(0, fs_private_ns());
	ASSERT_EQ(0, fs_mount("m", 0, "size=1m"));
	ASSERT_EQ(0, fs_statx(".", &dir));
	ASSERT_EQ(0, fs_statx("m", &root));
	EXPECT_TRUE(dir.stx_mask & STATX_MNT_ID);
	EXPECT_TRUE(root.stx_mask & STATX_MNT_ID);
	EXPECT_NE(dir.stx_mnt_id, root.stx_mnt_id);
	EXPECT_TRUE(root.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT);
	EXPECT_TRUE(root.stx_attributes & STATX_ATTR_MOUNT_ROOT);
	EXPECT_FALSE(dir.stx_attributes & STATX_ATTR_MOUNT_ROOT);
	EXPECT_TRUE(dir.stx_dev_major != root.stx_dev_major ||
		    dir.stx_dev_minor != root.stx_dev_minor);
	/* A filesystem in memory has an unnamed device. */
	EXPECT_EQ(0, root.stx_dev_major);
	EXPECT_TRUE(root.stx_mask & STATX_BTIME);
}

TEST_HARNESS_MAIN
