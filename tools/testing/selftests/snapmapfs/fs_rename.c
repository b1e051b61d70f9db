// SPDX-License-Identifier: GPL-2.0
/*
 * rename() with every flag: what may replace what, link counts that follow a
 * moved directory, and that nobody ever sees a name missing in between.
 */
#include "fs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/sysmacros.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#define RENAME_WHITEOUT 4
#endif

static int rename2(const char *from, const char *to, unsigned int flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

/* True when "<dir>/.." is this inode. */
static bool parent_is(const char *dir, const char *parent)
{
	char path[FS_PATH];

	snprintf(path, sizeof(path), "%s/..", dir);
	return fs_ino(path) && fs_ino(path) == fs_ino(parent);
}

FS_FIXTURE(rename)

TEST_F(rename, file)
{
	uint64_t ino;

	ASSERT_EQ(0, fs_puts("f", "data"));
	ASSERT_EQ(0, mkdir("d", 0755));
	ino = fs_ino("f");
	EXPECT_EQ(0, rename("f", "g"));
	EXPECT_FALSE(fs_exists("f"));
	EXPECT_EQ(ino, fs_ino("g"));
	EXPECT_EQ(0, rename("g", "d/h"));
	EXPECT_FALSE(fs_exists("g"));
	EXPECT_EQ(ino, fs_ino("d/h"));
	EXPECT_TRUE(fs_holds("d/h", "data"));
	EXPECT_EQ(0, rename("d/h", "d/h"));
	EXPECT_ERRNO(ENOENT, rename("f", "x"));
	EXPECT_ERRNO(ENOENT, rename("d/h", "none/x"));
	EXPECT_ERRNO(ENOENT, rename("d/h", ""));
	EXPECT_ERRNO(ENOTDIR, rename("d/h", "d/h/x"));
	EXPECT_ERRNO(ENOTDIR, rename("d/h", "x/"));
	EXPECT_EQ(1, fs_nlink("d/h"));
}

TEST_F(rename, over_file)
{
	char buf[8] = "";
	struct stat st;
	int fd;

	ASSERT_EQ(0, fs_puts("f", "new"));
	ASSERT_EQ(0, fs_puts("g", "old"));
	ASSERT_LE(0, fd = open("g", O_RDONLY));
	EXPECT_EQ(0, rename("f", "g"));
	EXPECT_FALSE(fs_exists("f"));
	EXPECT_TRUE(fs_holds("g", "new"));
	EXPECT_EQ(3, read(fd, buf, sizeof(buf)));
	EXPECT_STREQ("old", buf);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0, st.st_nlink);
}

TEST_F(rename, same_inode)
{
	/* Two names of one inode: nothing happens, both stay. */
	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_EQ(0, link("f", "g"));
	EXPECT_EQ(0, rename("f", "g"));
	EXPECT_TRUE(fs_exists("f"));
	EXPECT_TRUE(fs_exists("g"));
	EXPECT_EQ(2, fs_nlink("f"));
	/* But a link can be replaced, and its target lives on. */
	ASSERT_EQ(0, fs_puts("h", "h"));
	EXPECT_EQ(0, rename("h", "g"));
	EXPECT_EQ(1, fs_nlink("f"));
	EXPECT_TRUE(fs_holds("g", "h"));
}

TEST_F(rename, other_kinds)
{
	ASSERT_EQ(0, symlink("nowhere", "l"));
	ASSERT_EQ(0, mkfifo("p", 0644));
	ASSERT_EQ(0, fs_puts("f", "x"));
	EXPECT_EQ(0, rename("l", "l2"));
	EXPECT_EQ(7, fs_size("l2"));
	EXPECT_EQ(0, rename("p", "l2"));
	EXPECT_EQ(0, rename("f", "l2"));
	EXPECT_TRUE(fs_holds("l2", "x"));
	/* A symlink as the target is replaced, not followed. */
	ASSERT_EQ(0, symlink("l2", "s"));
	ASSERT_EQ(0, fs_puts("f", "y"));
	EXPECT_EQ(0, rename("f", "s"));
	EXPECT_TRUE(fs_holds("l2", "x"));
	EXPECT_TRUE(fs_holds("s", "y"));
}

TEST_F(rename, directory)
{
	ASSERT_EQ(0, mkdir("a", 0755));
	ASSERT_EQ(0, mkdir("b", 0755));
	ASSERT_EQ(0, mkdir("a/sub", 0755));
	ASSERT_EQ(0, fs_puts("a/sub/f", "x"));
	EXPECT_EQ(3, fs_nlink("a"));
	EXPECT_EQ(2, fs_nlink("b"));
	EXPECT_EQ(0, rename("a/sub", "b/moved"));
	EXPECT_EQ(2, fs_nlink("a"));
	EXPECT_EQ(3, fs_nlink("b"));
	EXPECT_TRUE(parent_is("b/moved", "b"));
	EXPECT_TRUE(fs_holds("b/moved/f", "x"));
	/* Within one directory nothing changes. */
	EXPECT_EQ(0, rename("b/moved", "b/again"));
	EXPECT_EQ(3, fs_nlink("b"));
	EXPECT_EQ(2, fs_nlink("b/again"));
	EXPECT_EQ(0, rmdir("a"));
	EXPECT_ERRNO(ENOTEMPTY, rmdir("b"));
}

TEST_F(rename, over_directory)
{
	ASSERT_EQ(0, mkdir("a", 0755));
	ASSERT_EQ(0, mkdir("b", 0755));
	ASSERT_EQ(0, mkdir("p", 0755));
	ASSERT_EQ(0, mkdir("p/q", 0755));
	ASSERT_EQ(0, fs_puts("a/f", "x"));
	ASSERT_EQ(0, fs_puts("f", "y"));

	EXPECT_ERRNO(ENOTDIR, rename("a", "f"));
	EXPECT_ERRNO(EISDIR, rename("f", "b"));
	EXPECT_ERRNO(ENOTEMPTY, rename("b", "a"));
	EXPECT_ERRNO(ENOTEMPTY, rename("b", "p"));
	EXPECT_EQ(5, fs_nlink("."));

	EXPECT_EQ(0, rename("a", "b"));
	EXPECT_EQ(4, fs_nlink("."));
	EXPECT_TRUE(fs_holds("b/f", "x"));
	/* Over an empty one in another directory. */
	EXPECT_EQ(0, rename("b", "p/q"));
	EXPECT_EQ(3, fs_nlink("."));
	EXPECT_EQ(3, fs_nlink("p"));
	EXPECT_TRUE(fs_holds("p/q/f", "x"));
	EXPECT_TRUE(parent_is("p/q", "p"));
}

TEST_F(rename, into_itself)
{
	ASSERT_EQ(0, mkdir("a", 0755));
	ASSERT_EQ(0, mkdir("a/b", 0755));
	ASSERT_EQ(0, mkdir("a/b/c", 0755));
	EXPECT_ERRNO(EINVAL, rename("a", "a/x"));
	EXPECT_ERRNO(EINVAL, rename("a", "a/b/c/x"));
	EXPECT_ERRNO(EINVAL, rename("a", "a/b"));
	EXPECT_ERRNO(ENOTEMPTY, rename("a/b", "a"));
	EXPECT_ERRNO(ENOTEMPTY, rename("a/b/c", "a"));
	EXPECT_ERRNO(EBUSY, rename("a/.", "x"));
	EXPECT_ERRNO(EBUSY, rename("a/b/..", "x"));
	EXPECT_ERRNO(EBUSY, rename("a", "."));
	EXPECT_EQ(3, fs_nlink("a"));
	EXPECT_TRUE(fs_exists("a/b/c"));
}

TEST_F(rename, noreplace)
{
	ASSERT_EQ(0, fs_puts("f", "f"));
	ASSERT_EQ(0, fs_puts("g", "g"));
	ASSERT_EQ(0, mkdir("d", 0755));
	EXPECT_ERRNO(EEXIST, rename2("f", "g", RENAME_NOREPLACE));
	EXPECT_ERRNO(EEXIST, rename2("f", "d", RENAME_NOREPLACE));
	EXPECT_ERRNO(EEXIST, rename2("d", "f", RENAME_NOREPLACE));
	EXPECT_ERRNO(EEXIST, rename2("f", "f", RENAME_NOREPLACE));
	EXPECT_TRUE(fs_holds("f", "f"));
	EXPECT_TRUE(fs_holds("g", "g"));
	EXPECT_EQ(0, rename2("f", "d/f", RENAME_NOREPLACE));
	EXPECT_EQ(0, rename2("d", "e", RENAME_NOREPLACE));
	EXPECT_TRUE(fs_holds("e/f", "f"));
}

TEST_F(rename, exchange)
{
	uint64_t f, g, d;

	ASSERT_EQ(0, fs_puts("f", "f"));
	ASSERT_EQ(0, fs_puts("g", "g"));
	f = fs_ino("f");
	g = fs_ino("g");
	EXPECT_EQ(0, rename2("f", "g", RENAME_EXCHANGE));
	EXPECT_EQ(g, fs_ino("f"));
	EXPECT_EQ(f, fs_ino("g"));
	EXPECT_TRUE(fs_holds("f", "g"));
	EXPECT_EQ(1, fs_nlink("f"));
	EXPECT_EQ(1, fs_nlink("g"));

	/* Any kind with any other. */
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, fs_puts("d/in", "in"));
	d = fs_ino("d");
	EXPECT_EQ(0, rename2("f", "d", RENAME_EXCHANGE));
	EXPECT_EQ(d, fs_ino("f"));
	EXPECT_EQ(g, fs_ino("d"));
	EXPECT_TRUE(fs_holds("f/in", "in"));
	EXPECT_EQ(3, fs_nlink("."));
	ASSERT_EQ(0, symlink("x", "l"));
	EXPECT_EQ(0, rename2("l", "f", RENAME_EXCHANGE));
	EXPECT_TRUE(fs_holds("l/in", "in"));
	EXPECT_EQ(1, fs_size("f"));
	EXPECT_EQ(0, rename2("g", "g", RENAME_EXCHANGE));
}

TEST_F(rename, exchange_across_directories)
{
	ASSERT_EQ(0, mkdir("a", 0755));
	ASSERT_EQ(0, mkdir("b", 0755));
	ASSERT_EQ(0, mkdir("a/d", 0755));
	ASSERT_EQ(0, fs_puts("b/f", "f"));

	/* A directory against a file moves one link. */
	EXPECT_EQ(0, rename2("a/d", "b/f", RENAME_EXCHANGE));
	EXPECT_EQ(2, fs_nlink("a"));
	EXPECT_EQ(3, fs_nlink("b"));
	EXPECT_TRUE(fs_holds("a/d", "f"));
	EXPECT_TRUE(parent_is("b/f", "b"));
	/* The other way round as well. */
	EXPECT_EQ(0, rename2("a/d", "b/f", RENAME_EXCHANGE));
	EXPECT_EQ(3, fs_nlink("a"));
	EXPECT_EQ(2, fs_nlink("b"));
	EXPECT_TRUE(parent_is("a/d", "a"));

	/* Two directories, neither empty. */
	ASSERT_EQ(0, mkdir("b/e", 0755));
	ASSERT_EQ(0, fs_puts("a/d/x", "x"));
	ASSERT_EQ(0, fs_puts("b/e/y", "y"));
	EXPECT_EQ(0, rename2("a/d", "b/e", RENAME_EXCHANGE));
	EXPECT_EQ(3, fs_nlink("a"));
	EXPECT_EQ(3, fs_nlink("b"));
	EXPECT_TRUE(fs_holds("a/d/y", "y"));
	EXPECT_TRUE(fs_holds("b/e/x", "x"));
	EXPECT_TRUE(parent_is("a/d", "a"));
	EXPECT_TRUE(parent_is("b/e", "b"));
}

TEST_F(rename, flags_refused)
{
	ASSERT_EQ(0, fs_puts("f", "f"));
	ASSERT_EQ(0, fs_puts("g", "g"));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, mkdir("d/e", 0755));
	EXPECT_ERRNO(ENOENT, rename2("f", "none", RENAME_EXCHANGE));
	EXPECT_ERRNO(ENOENT, rename2("none", "f", RENAME_EXCHANGE));
	EXPECT_ERRNO(EINVAL, rename2("d", "d/e", RENAME_EXCHANGE));
	EXPECT_ERRNO(EINVAL, rename2("d/e", "d", RENAME_EXCHANGE));
	EXPECT_ERRNO(EINVAL, rename2("f", "g", RENAME_EXCHANGE |
				     RENAME_NOREPLACE));
	EXPECT_ERRNO(EINVAL, rename2("f", "g", RENAME_EXCHANGE |
				     RENAME_WHITEOUT));
	EXPECT_ERRNO(EINVAL, rename2("f", "g", 1 << 10));
	EXPECT_TRUE(fs_holds("f", "f"));
	EXPECT_TRUE(fs_holds("g", "g"));
}

TEST_F(rename, whiteout)
{
	struct stat st;

	ASSERT_EQ(0, fs_puts("f", "f"));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, rename2("f", "d/g", RENAME_WHITEOUT));
	EXPECT_TRUE(fs_holds("d/g", "f"));
	ASSERT_EQ(0, lstat("f", &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(makedev(0, 0), st.st_rdev);
	EXPECT_EQ(1, st.st_nlink);
	EXPECT_EQ(1, fs_nlink("d/g"));

	/* Of a directory, and together with NOREPLACE. */
	ASSERT_EQ(0, rename2("d", "e", RENAME_WHITEOUT | RENAME_NOREPLACE));
	EXPECT_TRUE(fs_holds("e/g", "f"));
	ASSERT_EQ(0, lstat("d", &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(3, fs_nlink("."));
	EXPECT_EQ(0, unlink("d"));
	EXPECT_EQ(0, unlink("f"));
}

TEST_F(rename, listing_follows)
{
	int seen_old = 0, seen_new = 0, n = 0;
	struct dirent *e;
	char name[32];
	DIR *d;
	int i;

	ASSERT_EQ(0, mkdir("a", 0755));
	ASSERT_EQ(0, mkdir("b", 0755));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "a/%d", i);
		ASSERT_EQ(0, fs_puts(name, ""));
	}
	for (i = 0; i < 100; i += 2) {
		char to[32];

		snprintf(name, sizeof(name), "a/%d", i);
		snprintf(to, sizeof(to), "b/%d", i);
		ASSERT_EQ(0, rename(name, to));
	}
	d = opendir("a");
	ASSERT_NE(NULL, d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			seen_old += atoi(e->d_name) % 2 ? 1 : 1000;
	closedir(d);
	EXPECT_EQ(50, seen_old);
	d = opendir("b");
	ASSERT_NE(NULL, d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			seen_new += atoi(e->d_name) % 2 ? 1000 : 1;
	EXPECT_EQ(50, seen_new);

	/* Renaming within a directory that is being read terminates. */
	rewinddir(d);
	while ((e = readdir(d)) && n < 10000) {
		char from[300], to[300];

		if (e->d_name[0] == '.')
			continue;
		snprintf(from, sizeof(from), "b/%s", e->d_name);
		snprintf(to, sizeof(to), "b/r%d", n++);
		ASSERT_EQ(0, rename(from, to));
	}
	EXPECT_LE(50, n);
	EXPECT_GT(10000, n);
	closedir(d);
}

static atomic_int stop;

/* Replaces "current" again and again, the way programs save files. */
static void *replace(void *arg)
{
	long errors = 0;

	(void)arg;
	while (!stop) {
		errors += fs_puts("next", "complete") != 0;
		errors += rename("next", "current") != 0;
	}
	return (void *)errors;
}

TEST_F(rename, atomic_replace)
{
	pthread_t thread;
	char buf[16];
	void *errors;
	int i, fd;

	ASSERT_EQ(0, fs_puts("current", "complete"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, replace, NULL));
	for (i = 0; i < 2000; i++) {
		ASSERT_LE(0, fd = open("current", O_RDONLY));
		ASSERT_EQ(8, read(fd, buf, sizeof(buf)));
		close(fd);
	}
	stop = 1;
	pthread_join(thread, &errors);
	EXPECT_EQ(NULL, errors);
}

/* Swaps two directories' contents crosswise: no deadlock, nothing lost. */
static void *swap(void *arg)
{
	bool odd = arg;
	long errors = 0;
	int i;

	for (i = 0; i < 1000; i++)
		errors += rename2(odd ? "a/x" : "b/y", odd ? "b/y" : "a/x",
				  RENAME_EXCHANGE) != 0;
	return (void *)errors;
}

TEST_F(rename, concurrent_exchange)
{
	pthread_t thread[2];
	void *errors;
	uintptr_t t;

	ASSERT_EQ(0, mkdir("a", 0755));
	ASSERT_EQ(0, mkdir("b", 0755));
	ASSERT_EQ(0, mkdir("a/x", 0755));
	ASSERT_EQ(0, fs_puts("b/y", "file"));
	for (t = 0; t < 2; t++)
		ASSERT_EQ(0, pthread_create(&thread[t], NULL, swap, (void *)t));
	for (t = 0; t < 2; t++) {
		pthread_join(thread[t], &errors);
		EXPECT_EQ(NULL, errors);
	}
	/* 2,000 exchanges are an even number. */
	EXPECT_EQ(3, fs_nlink("a"));
	EXPECT_EQ(2, fs_nlink("b"));
	EXPECT_TRUE(fs_holds("b/y", "file"));
	EXPECT_TRUE(parent_is("a/x", "a"));
}

TEST_HARNESS_MAIN
