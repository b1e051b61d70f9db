/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fs_* tests share.
 *
 * These tests describe an ordinary in-memory filesystem. They hold on tmpfs as
 * they hold on snapmapfs, so that either can be told by the other:
 *
 *	SNAP_DIR	the directory under test (/mnt/snap)
 *	SNAP_FSTYPE	the type that tests mount for themselves (snapmapfs)
 *	PEER_DIR	a directory of another filesystem (else an own tmpfs)
 *
 * Every test runs in a fresh directory below SNAP_DIR, as root, in a process of
 * its own and, where it mounts something, in a mount namespace of its own.
 */
#ifndef SNAPMAPFS_SELFTESTS_FS_H
#define SNAPMAPFS_SELFTESTS_FS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define _FILE_OFFSET_BITS 64
#define _TIME_BITS 64

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "slow.h"

#include "../../../../include/uapi/linux/snapmapfs.h"

/* Offsets, sizes and counts of every width are compared with each other. */
#pragma GCC diagnostic ignored "-Wsign-compare"

#define FS_PATH 512

/* ASSERT that a call did not return -1, and say why when it did. */
#define ASSERT_OK(_call) \
	ASSERT_NE(-1, (_call)) TH_LOG("%s: %s", #_call, strerror(errno))

#define EXPECT_OK(_call) \
	EXPECT_NE(-1, (_call)) TH_LOG("%s: %s", #_call, strerror(errno))

/* EXPECT that a call fails with exactly this errno. */
#define EXPECT_ERRNO(_err, _call) do {					\
	int __got = (_call) == -1 ? errno : 0;				\
									\
	EXPECT_EQ(_err, __got)						\
		TH_LOG("%s: %s", #_call, strerror(__got));		\
} while (0)

#define ASSERT_ERRNO(_err, _call) do {					\
	int __got = (_call) == -1 ? errno : 0;				\
									\
	ASSERT_EQ(_err, __got)						\
		TH_LOG("%s: %s", #_call, strerror(__got));		\
} while (0)

static inline const char *fs_env(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

static inline const char *fs_type(void)
{
	return fs_env("SNAP_FSTYPE", "snapmapfs");
}

/* For the few points where snapmapfs promises more than tmpfs does. */
static inline bool fs_is_tmpfs(void)
{
	return !strcmp(fs_type(), "tmpfs");
}

static inline size_t fs_page(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* Makes an empty directory of mode 0755 below SNAP_DIR and goes there. */
static inline int fs_enter(char dir[FS_PATH])
{
	umask(022);
	snprintf(dir, FS_PATH, "%s/fs.XXXXXX", fs_env("SNAP_DIR", "/mnt/snap"));
	if (!mkdtemp(dir))
		return -1;
	if (chmod(dir, 0755))
		return -1;
	return chdir(dir);
}

static int fs_remove_one(const char *path, const struct stat *st, int type,
			 struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) && errno != EBUSY ? -1 : 0;
}

static inline int fs_remove(const char *dir)
{
	return nftw(dir, fs_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/*
 * The fixture of all of them: self->dir is the test's directory and the current
 * one. It is removed by the parent, so also after a failed ASSERT.
 */
#define FS_FIXTURE(_name)						\
FIXTURE(_name) {							\
	char dir[FS_PATH];						\
};									\
FIXTURE_SETUP(_name)							\
{									\
	ASSERT_OK(fs_enter(self->dir));					\
}									\
FIXTURE_TEARDOWN_PARENT(_name)						\
{									\
	EXPECT_OK(fs_remove(self->dir));				\
}

/* A mount namespace that nobody else sees and that dies with this process. */
static inline int fs_private_ns(void)
{
	if (unshare(CLONE_NEWNS))
		return -1;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* Mounts an instance of the type under test on the new directory @dir. */
static inline int fs_mount(const char *dir, unsigned long flags,
			   const char *options)
{
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -1;
	return mount("fs-test", dir, fs_type(), flags, options);
}

/* A directory of another filesystem. Needs fs_private_ns(). */
static inline const char *fs_peer(void)
{
	const char *peer = fs_env("PEER_DIR", NULL);

	if (peer)
		return peer;
	if (mkdir("peer", 0755) && errno != EEXIST)
		return NULL;
	if (mount("fs-peer", "peer", "tmpfs", 0, "size=64m"))
		return NULL;
	return "peer";
}

/*
 * Acts as this user without any capability until fs_root(). Only the effective
 * ids change, which is what the VFS looks at.
 */
static inline int fs_become(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) || setresgid(-1, gid, -1))
		return -1;
	return setresuid(-1, uid, -1);
}

static inline int fs_root(void)
{
	if (setresuid(-1, 0, -1))
		return -1;
	return setresgid(-1, 0, -1);
}

/* Fills a buffer with bytes that depend on their place and on @seed. */
static inline void fs_fill(void *buf, size_t len, unsigned int seed)
{
	unsigned char *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (i * 31 + i / 251 + seed * 97 + 1) & 0xff;
}

/* The number of leading bytes that are @value. */
static inline size_t fs_run(const void *buf, int value, size_t len)
{
	const unsigned char *p = buf;
	size_t i;

	for (i = 0; i < len && p[i] == value; i++)
		;
	return i;
}

/* Makes (or replaces) a file with these bytes. */
static inline int fs_put(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, data, len);
	if (close(fd))
		return -1;
	return n == (ssize_t)len ? 0 : -1;
}

static inline int fs_puts(const char *path, const char *text)
{
	return fs_put(path, text, strlen(text));
}

/* Reads a small file into a static buffer; NULL when that fails. */
static inline const char *fs_gets(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return NULL;
	text[n] = '\0';
	return text;
}

/* True when @path holds exactly @text. */
static inline bool fs_holds(const char *path, const char *text)
{
	const char *got = fs_gets(path);

	return got && !strcmp(got, text);
}

static inline long long fs_size(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -1 : (long long)st.st_size;
}

static inline long long fs_blocks(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -1 : (long long)st.st_blocks;
}

static inline long fs_nlink(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -1 : (long)st.st_nlink;
}

static inline int fs_mode(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -1 : (int)(st.st_mode & 07777);
}

static inline uint64_t fs_ino(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_ino;
}

static inline bool fs_exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* True when llistxattr() names the attribute. */
static inline bool fs_listed(const char *path, const char *name)
{
	static char list[65536];
	ssize_t n = llistxattr(path, list, sizeof(list));
	char *p;

	for (p = list; p < list + n; p += strlen(p) + 1)
		if (!strcmp(p, name))
			return true;
	return false;
}

/* One load or store of a mapped byte, exactly where it is written. */
static inline int fs_load(const void *p)
{
	return __atomic_load_n((const unsigned char *)p, __ATOMIC_RELAXED);
}

static inline int fs_store(void *p, int value)
{
	__atomic_store_n((unsigned char *)p, value, __ATOMIC_RELAXED);
	return 0;
}

static inline void fs_sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* Waits for a child: its exit status, or minus the signal it died of. */
static inline int fs_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#endif
