// SPDX-License-Identifier: GPL-2.0
/*
 * Owners and modes as other users meet them: access by class, sticky and
 * setgid directories, and the bits that a change takes away.
 */
#include "fs.h"

#include <sys/sysmacros.h>

/* access(2) for the effective user. */
static int may(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}

static int make(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	if (fs_puts(path, "x") || chown(path, uid, gid))
		return -1;
	return chmod(path, mode);
}

static int make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	if (mkdir(path, 0755) || chown(path, uid, gid))
		return -1;
	return chmod(path, mode);
}

static gid_t gid_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? (gid_t)-1 : st.st_gid;
}

static uid_t uid_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? (uid_t)-1 : st.st_uid;
}

FS_FIXTURE(perm)

TEST_F(perm, file_classes)
{
	static const struct {
		mode_t mode;
		uid_t uid;
		gid_t gid;
		int can;
	} cases[] = {
		{ 0600, 1000, 1, R_OK | W_OK }, { 0400, 1000, 1, R_OK },
		{ 0200, 1000, 1, W_OK },	{ 0100, 1000, 1, X_OK },
		/* The owner's class counts alone, even if others may more. */
		{ 0077, 1000, 1000, 0 },
		{ 0640, 1, 1000, R_OK },	{ 0060, 1, 1000, R_OK | W_OK },
		{ 0707, 1, 1000, 0 },		{ 0010, 1, 1000, X_OK },
		{ 0604, 1, 1, R_OK },		{ 0002, 1, 1, W_OK },
		{ 0770, 1, 1, 0 },
	};
	size_t i;
	int bit;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, fs_root());
		ASSERT_EQ(0, make("f", cases[i].mode, cases[i].uid,
				  cases[i].gid));
		ASSERT_EQ(0, fs_become(1000, 1000));
		for (bit = 1; bit <= 4; bit <<= 1) {
			bool yes = cases[i].can & bit;

			EXPECT_EQ(yes, may("f", bit) == 0)
				TH_LOG("case %zu, bit %d", i, bit);
		}
		EXPECT_EQ(!!(cases[i].can & R_OK), open("f", O_RDONLY) >= 0);
		EXPECT_EQ(!!(cases[i].can & W_OK), open("f", O_WRONLY) >= 0);
		EXPECT_EQ(!!(cases[i].can & W_OK), truncate("f", 1) == 0);
	}
	/* Root passes, but executes only what someone may execute. */
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, make("f", 0, 1000, 1000));
	EXPECT_EQ(0, may("f", R_OK | W_OK));
	EXPECT_ERRNO(EACCES, may("f", X_OK));
	EXPECT_ERRNO(EACCES, execl("f", "f", NULL));
}

TEST_F(perm, directory_bits)
{
	ASSERT_EQ(0, make_dir("d", 0711, 0, 0));
	ASSERT_EQ(0, make("d/f", 0666, 0, 0));
	ASSERT_EQ(0, fs_become(1000, 1000));
	/* x: names can be used but not listed. */
	EXPECT_TRUE(fs_holds("d/f", "x"));
	EXPECT_ERRNO(EACCES, open("d", O_RDONLY));
	EXPECT_ERRNO(EACCES, unlink("d/f"));
	EXPECT_ERRNO(EACCES, rename("d/f", "d/g"));
	EXPECT_ERRNO(EACCES, mkdir("d/e", 0755));
	EXPECT_ERRNO(EACCES, open("d/new", O_RDWR | O_CREAT, 0644));
	EXPECT_ERRNO(EACCES, open("d", O_RDWR | O_TMPFILE, 0644));
	EXPECT_ERRNO(EACCES, symlink("x", "d/l"));
	EXPECT_ERRNO(EACCES, link("d/f", "d/g"));

	/* r: listed but not used. */
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, chmod("d", 0744));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_LE(0, open("d", O_RDONLY));
	EXPECT_ERRNO(EACCES, open("d/f", O_RDONLY));
	EXPECT_ERRNO(EACCES, may("d/f", F_OK));
	EXPECT_ERRNO(EACCES, chdir("d"));

	/* wx: used and changed, not listed. */
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, chmod("d", 0733));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_EQ(0, mkdir("d/e", 0755));
	EXPECT_EQ(0, rename("d/e", "d/e2"));
	EXPECT_EQ(0, unlink("d/f"));
	EXPECT_ERRNO(EACCES, open("d", O_RDONLY));
	EXPECT_EQ(1000, uid_of("d/e2"));
	EXPECT_EQ(1000, gid_of("d/e2"));
}

TEST_F(perm, chmod_chown)
{
	gid_t groups[] = { 2000 };

	ASSERT_EQ(0, make("theirs", 0644, 1, 1));
	ASSERT_EQ(0, make("mine", 0644, 1000, 1000));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_ERRNO(EPERM, chmod("theirs", 0777));
	EXPECT_ERRNO(EPERM, chown("theirs", 1000, -1));
	EXPECT_ERRNO(EPERM, chown("theirs", -1, 1000));
	EXPECT_EQ(0, chmod("mine", 0600));
	EXPECT_ERRNO(EPERM, chown("mine", 1001, -1));
	EXPECT_ERRNO(EPERM, chown("mine", -1, 2000));
	EXPECT_EQ(0, chown("mine", 1000, 1000));
	EXPECT_EQ(0600, fs_mode("mine"));

	/* One of the own groups is fine. */
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, fs_become(1000, 1000));
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, setgroups(1, groups));
	ASSERT_EQ(0, setresuid(-1, 1000, -1));
	EXPECT_EQ(0, chown("mine", -1, 2000));
	EXPECT_EQ(2000, gid_of("mine"));
	ASSERT_EQ(0, fs_root());
	EXPECT_EQ(0, chown("mine", 4000000000U, 4000000001U));
	EXPECT_EQ(4000000000U, uid_of("mine"));
	EXPECT_EQ(4000000001U, gid_of("mine"));
}

TEST_F(perm, sticky)
{
	int i;

	ASSERT_EQ(0, make_dir("d", 01777, 0, 0));
	ASSERT_EQ(0, make("d/f", 0666, 1000, 1000));
	ASSERT_EQ(0, make_dir("d/e", 0777, 1000, 1000));
	ASSERT_EQ(0, make("d/mine", 0644, 1001, 1001));
	ASSERT_EQ(0, make_dir("d/own", 0755, 1001, 1001));

	ASSERT_EQ(0, fs_become(1001, 1001));
	EXPECT_ERRNO(EPERM, unlink("d/f"));
	EXPECT_ERRNO(EPERM, rmdir("d/e"));
	EXPECT_ERRNO(EPERM, rename("d/f", "d/g"));
	EXPECT_ERRNO(EPERM, rename("d/f", "d/own/f"));
	EXPECT_ERRNO(EPERM, rename("d/mine", "d/f"));
	EXPECT_ERRNO(EPERM, rename("d/own", "d/e"));
	EXPECT_ERRNO(EPERM, syscall(SYS_renameat2, AT_FDCWD, "d/mine",
				    AT_FDCWD, "d/f", RENAME_EXCHANGE));
	EXPECT_EQ(0, rename("d/mine", "d/mine2"));
	EXPECT_EQ(0, rename("d/mine2", "d/own/f"));
	EXPECT_EQ(0, unlink("d/own/f"));
	EXPECT_EQ(0, rmdir("d/own"));

	/* The owner of the entry, of the directory, and root may. */
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, fs_root());
		ASSERT_EQ(0, make("d/f", 0644, 1000, 1000));
		ASSERT_EQ(0, chown("d", i == 1 ? 1002 : 0, 0));
		ASSERT_EQ(01777, fs_mode("d"));
		if (i < 2)
			ASSERT_EQ(0, fs_become(i ? 1002 : 1000, 1002));
		EXPECT_EQ(0, unlink("d/f"));
	}
}

TEST_F(perm, setgid_directory)
{
	int fd;
	struct stat st;

	umask(0);
	ASSERT_EQ(0, make_dir("d", 02777, 0, 3000));
	ASSERT_EQ(0, fs_become(1000, 1000));
	ASSERT_EQ(0, fs_puts("d/f", ""));
	ASSERT_EQ(0, mkdir("d/e", 0755));
	ASSERT_EQ(0, symlink("f", "d/l"));
	ASSERT_EQ(0, mkfifo("d/p", 0644));
	ASSERT_LE(0, fd = open("d", O_RDWR | O_TMPFILE, 0644));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(3000, st.st_gid);
	EXPECT_EQ(1000, st.st_uid);
	EXPECT_EQ(3000, gid_of("d/f"));
	EXPECT_EQ(3000, gid_of("d/e"));
	EXPECT_EQ(3000, gid_of("d/l"));
	EXPECT_EQ(3000, gid_of("d/p"));
	EXPECT_EQ(0644, fs_mode("d/f"));
	/* Directories pass it on. */
	EXPECT_EQ(02755, fs_mode("d/e"));
	ASSERT_EQ(0, mkdir("d/e/f", 0755));
	EXPECT_EQ(3000, gid_of("d/e/f"));
	EXPECT_EQ(02755, fs_mode("d/e/f"));

	/* Nobody makes a setgid program of a group that is not theirs. */
	ASSERT_LE(0, open("d/s", O_RDWR | O_CREAT, 02755));
	EXPECT_EQ(0755, fs_mode("d/s"));
	EXPECT_EQ(0, mknod("d/t", S_IFREG | 02755, 0));
	EXPECT_EQ(0755, fs_mode("d/t"));
	ASSERT_LE(0, fd = open("d", O_RDWR | O_TMPFILE, 02755));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0755, st.st_mode & 07777);
	EXPECT_EQ(0, chmod("d/s", 02755));
	EXPECT_EQ(0755, fs_mode("d/s"));
	/* Root may. */
	ASSERT_EQ(0, fs_root());
	ASSERT_LE(0, open("d/r", O_RDWR | O_CREAT, 02755));
	EXPECT_EQ(02755, fs_mode("d/r"));
	EXPECT_EQ(3000, gid_of("d/r"));
	/* A move keeps the group. */
	ASSERT_EQ(0, fs_puts("g", ""));
	ASSERT_EQ(0, rename("g", "d/g"));
	EXPECT_EQ(0, gid_of("d/g"));
}

TEST_F(perm, suid_cleared)
{
	char buf[8] = "";
	int fd;

	ASSERT_EQ(0, make("f", 06777, 0, 0));

	/* Root's own writes leave the bits. */
	ASSERT_LE(0, fd = open("f", O_RDWR));
	EXPECT_EQ(1, write(fd, "y", 1));
	EXPECT_EQ(06777, fs_mode("f"));

	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_EQ(1, pread(fd, buf, 1, 0));
	EXPECT_EQ(06777, fs_mode("f"));
	EXPECT_EQ(1, pwrite(fd, "z", 1, 0));
	EXPECT_EQ(0777, fs_mode("f"));

	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, chmod("f", 06777));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_EQ(0, truncate("f", 0));
	EXPECT_EQ(0777, fs_mode("f"));

	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, chmod("f", 06777));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_EQ(0, fallocate(fd, 0, 0, 100));
	EXPECT_EQ(0777, fs_mode("f"));

	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, chmod("f", 06777));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_LE(0, open("f", O_WRONLY | O_TRUNC));
	EXPECT_EQ(0777, fs_mode("f"));

	/* A new owner is no reason to trust it, even when root says so. */
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, chmod("f", 06755));
	EXPECT_EQ(0, chown("f", 1000, 1000));
	EXPECT_EQ(0755, fs_mode("f"));
	ASSERT_EQ(0, make_dir("d", 06755, 0, 0));
	EXPECT_EQ(0, chown("d", 1000, 1000));
	EXPECT_EQ(06755, fs_mode("d"));
}

TEST_F(perm, times_and_noatime)
{
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };

	ASSERT_EQ(0, make("w", 0666, 0, 0));
	ASSERT_EQ(0, make("r", 0644, 0, 0));
	ASSERT_EQ(0, make("own", 0400, 1000, 0));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_ERRNO(EPERM, utimensat(AT_FDCWD, "w", old, 0));
	EXPECT_EQ(0, utimensat(AT_FDCWD, "w", now, 0));
	EXPECT_EQ(0, utimensat(AT_FDCWD, "w", NULL, 0));
	EXPECT_ERRNO(EACCES, utimensat(AT_FDCWD, "r", now, 0));
	EXPECT_EQ(0, utimensat(AT_FDCWD, "own", old, 0));
	EXPECT_ERRNO(EPERM, open("r", O_RDONLY | O_NOATIME));
	EXPECT_LE(0, open("own", O_RDONLY | O_NOATIME));
}

TEST_F(perm, umask_and_creation_mode)
{
	umask(0);
	ASSERT_LE(0, open("a", O_RDWR | O_CREAT, 07777));
	EXPECT_EQ(07777, fs_mode("a"));
	ASSERT_EQ(0, mkdir("d", 07777));
	EXPECT_EQ(01777, fs_mode("d"));
	umask(077);
	ASSERT_LE(0, open("b", O_RDWR | O_CREAT, 0777));
	EXPECT_EQ(0700, fs_mode("b"));
	ASSERT_EQ(0, mkfifo("p", 0666));
	EXPECT_EQ(0600, fs_mode("p"));
	ASSERT_EQ(0, symlink("x", "l"));
	EXPECT_EQ(0777, fs_mode("l"));
	ASSERT_EQ(0, chmod("b", 0777));
	EXPECT_EQ(0777, fs_mode("b"));
	/* chmod changes what chmod is about. */
	ASSERT_EQ(0, chmod("b", 0107777));
	EXPECT_EQ(07777, fs_mode("b"));
	EXPECT_ERRNO(EOPNOTSUPP, fchmodat(AT_FDCWD, "l", 0600,
					  AT_SYMLINK_NOFOLLOW));
}

TEST_HARNESS_MAIN
