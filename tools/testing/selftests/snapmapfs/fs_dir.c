// SPDX-License-Identifier: GPL-2.0
/*
 * Directories: link counts, what readdir tells, and positions that stay valid
 * while others create, remove and rename entries.
 */
#include "fs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

/* As getdents64() lays it out. */
struct entry {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static long getdents(int fd, void *buf, size_t len)
{
	return syscall(SYS_getdents64, fd, buf, len);
}

/*
 * Reads a directory from the descriptor's position with a buffer of this size
 * and counts, for names "<prefix><number>", how often each was seen.
 */
static int tally(int fd, size_t len, char prefix, int *seen, int max)
{
	char *buf = malloc(len);
	int total = 0;
	long n, at;

	while ((n = getdents(fd, buf, len)) > 0) {
		for (at = 0; at < n;) {
			struct entry *e = (struct entry *)(buf + at);

			if (e->name[0] == prefix) {
				int i = atoi(e->name + 1);

				if (i >= 0 && i < max)
					seen[i]++;
			}
			total++;
			at += e->reclen;
		}
	}
	free(buf);
	return n ? -1 : total;
}

static int touch(char prefix, int i)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "%c%d", prefix, i);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
	return fd < 0 ? -1 : close(fd);
}

static int drop(char prefix, int i)
{
	char name[32];

	snprintf(name, sizeof(name), "%c%d", prefix, i);
	return unlink(name);
}

FS_FIXTURE(dir)

TEST_F(dir, mkdir_rmdir)
{
	struct stat st;

	umask(027);
	ASSERT_EQ(0, mkdir("d", 01777));
	ASSERT_EQ(0, stat("d", &st));
	EXPECT_TRUE(S_ISDIR(st.st_mode));
	EXPECT_EQ(01750, st.st_mode & 07777);
	EXPECT_EQ(2, st.st_nlink);
	EXPECT_EQ(3, fs_nlink("."));
	EXPECT_ERRNO(EEXIST, mkdir("d", 0755));
	EXPECT_ERRNO(EEXIST, mkdir(".", 0755));
	EXPECT_ERRNO(ENOENT, mkdir("none/d", 0755));
	EXPECT_EQ(0, mkdir("d/e/", 0755));
	EXPECT_EQ(3, fs_nlink("d"));
	EXPECT_ERRNO(ENOTEMPTY, rmdir("d"));
	EXPECT_EQ(0, rmdir("d/e"));
	ASSERT_EQ(0, fs_puts("d/f", ""));
	EXPECT_EQ(2, fs_nlink("d"));
	EXPECT_ERRNO(ENOTEMPTY, rmdir("d"));
	EXPECT_ERRNO(ENOTDIR, rmdir("d/f"));
	EXPECT_ERRNO(ENOTDIR, mkdir("d/f/g", 0755));
	EXPECT_ERRNO(EEXIST, mkdir("d/f", 0755));
	EXPECT_EQ(0, unlink("d/f"));
	EXPECT_ERRNO(EISDIR, unlink("d"));
	EXPECT_ERRNO(EINVAL, rmdir("d/."));
	EXPECT_ERRNO(ENOTEMPTY, rmdir("d/.."));
	EXPECT_ERRNO(ENOENT, rmdir("none"));
	ASSERT_EQ(0, symlink("d", "l"));
	EXPECT_ERRNO(ENOTDIR, rmdir("l"));
	EXPECT_EQ(0, rmdir("d"));
	EXPECT_EQ(2, fs_nlink("."));
	EXPECT_ERRNO(ENOENT, rmdir("d"));
}

TEST_F(dir, link_count_of_many)
{
	char name[32];
	int i;

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		ASSERT_EQ(0, mkdir(name, 0755));
	}
	EXPECT_EQ(202, fs_nlink("."));
	for (i = 0; i < 200; i += 2) {
		snprintf(name, sizeof(name), "d%d", i);
		ASSERT_EQ(0, rmdir(name));
	}
	EXPECT_EQ(102, fs_nlink("."));
}

TEST_F(dir, entry_types)
{
	static const struct {
		const char *name;
		unsigned char type;
	} want[] = {
		{ ".", DT_DIR }, { "..", DT_DIR }, { "reg", DT_REG },
		{ "dir", DT_DIR }, { "lnk", DT_LNK }, { "fifo", DT_FIFO },
		{ "sock", DT_SOCK }, { "chr", DT_CHR }, { "blk", DT_BLK },
	};
	struct dirent *e;
	unsigned int seen = 0;
	DIR *d;
	size_t i;

	ASSERT_EQ(0, fs_puts("reg", ""));
	ASSERT_EQ(0, mkdir("dir", 0755));
	ASSERT_EQ(0, symlink("reg", "lnk"));
	ASSERT_EQ(0, mkfifo("fifo", 0644));
	ASSERT_EQ(0, mknod("sock", S_IFSOCK | 0644, 0));
	ASSERT_EQ(0, mknod("chr", S_IFCHR | 0644, makedev(1, 3)));
	ASSERT_EQ(0, mknod("blk", S_IFBLK | 0644, makedev(7, 0)));

	d = opendir(".");
	ASSERT_NE(NULL, d);
	while ((e = readdir(d))) {
		for (i = 0; i < ARRAY_SIZE(want); i++)
			if (!strcmp(e->d_name, want[i].name))
				break;
		ASSERT_LT(i, ARRAY_SIZE(want)) TH_LOG("name %s", e->d_name);
		EXPECT_EQ(want[i].type, e->d_type) TH_LOG("name %s", e->d_name);
		EXPECT_EQ(fs_ino(e->d_name), e->d_ino);
		EXPECT_EQ(0, seen & 1 << i);
		seen |= 1 << i;
	}
	EXPECT_EQ((1 << ARRAY_SIZE(want)) - 1, seen);
	closedir(d);
}

TEST_F(dir, many_entries)
{
	enum { MANY = 5000 };
	static const size_t sizes[] = { 65536, 4096, 200 };
	int *seen, i, fd;
	size_t s;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, touch('f', i));
	ASSERT_LE(0, fd = open(".", O_RDONLY | O_DIRECTORY));
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		seen = calloc(MANY, sizeof(*seen));
		EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
		EXPECT_EQ(MANY + 2, tally(fd, sizes[s], 'f', seen, MANY));
		for (i = 0; i < MANY; i++)
			ASSERT_EQ(1, seen[i]);
		free(seen);
	}
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, drop('f', i));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(2, tally(fd, 4096, 'f', NULL, 0));
}

TEST_F(dir, getdents_refused)
{
	char buf[4096];
	int fd, file;

	ASSERT_EQ(0, fs_puts("f", ""));
	ASSERT_LE(0, fd = open(".", O_RDONLY));
	ASSERT_LE(0, file = open("f", O_RDONLY));
	EXPECT_ERRNO(EINVAL, getdents(fd, buf, 10));
	EXPECT_ERRNO(EFAULT, getdents(fd, NULL, 4096));
	EXPECT_ERRNO(ENOTDIR, getdents(file, buf, sizeof(buf)));
	EXPECT_ERRNO(EINVAL, lseek(fd, -1, SEEK_SET));
	/* None of that moved the position. */
	EXPECT_EQ(3, tally(fd, 4096, 'f', NULL, 0));
	EXPECT_EQ(0, getdents(fd, buf, sizeof(buf)));
	EXPECT_EQ(0, getdents(fd, buf, sizeof(buf)));
}

TEST_F(dir, rewind_sees_changes)
{
	int seen[3] = { 0 };
	int fd;

	ASSERT_LE(0, fd = open(".", O_RDONLY));
	ASSERT_EQ(0, touch('f', 0));
	EXPECT_EQ(3, tally(fd, 4096, 'f', seen, 3));
	ASSERT_EQ(0, touch('f', 1));
	ASSERT_EQ(0, drop('f', 0));
	ASSERT_EQ(0, touch('f', 2));
	memset(seen, 0, sizeof(seen));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(4, tally(fd, 4096, 'f', seen, 3));
	EXPECT_EQ(0, seen[0]);
	EXPECT_EQ(1, seen[1]);
	EXPECT_EQ(1, seen[2]);
}

TEST_F(dir, remove_while_reading)
{
	char buf[256];
	int i, fd, removed = 0;
	long n, at;

	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, chdir("d"));
	for (i = 0; i < 500; i++)
		ASSERT_EQ(0, touch('f', i));
	ASSERT_LE(0, fd = open(".", O_RDONLY));
	while ((n = getdents(fd, buf, sizeof(buf))) > 0) {
		for (at = 0; at < n;) {
			struct entry *e = (struct entry *)(buf + at);

			if (e->name[0] == 'f') {
				ASSERT_EQ(0, unlink(e->name));
				removed++;
			}
			at += e->reclen;
		}
	}
	EXPECT_EQ(0, n);
	EXPECT_EQ(500, removed);
	ASSERT_EQ(0, chdir(".."));
	EXPECT_EQ(0, rmdir("d"));
}

/*
 * A position handed out by readdir names the same next entry for as long as
 * that entry exists, whatever happens to all the others.
 */
TEST_F(dir, position_survives_unlink)
{
	enum { N = 300 };
	long pos[N + 2];
	char name[N + 2][32];
	struct dirent *e;
	int i, n = 0;
	DIR *d;

	for (i = 0; i < N; i++)
		ASSERT_EQ(0, touch('f', i));
	d = opendir(".");
	ASSERT_NE(NULL, d);
	for (;;) {
		long at = telldir(d);

		e = readdir(d);
		if (!e)
			break;
		ASSERT_LT(n, N + 2);
		pos[n] = at;
		snprintf(name[n++], sizeof(name[0]), "%.31s", e->d_name);
	}
	ASSERT_EQ(N + 2, n);

	/* Remove all but every seventh, in both directions. */
	for (i = 0; i < n; i++)
		if (i % 7 && name[i][0] == 'f')
			ASSERT_EQ(0, unlink(name[i]));
	for (i = n - 1; i >= 0; i--) {
		if (i % 7)
			continue;
		seekdir(d, pos[i]);
		EXPECT_EQ(pos[i], telldir(d));
		e = readdir(d);
		ASSERT_NE(NULL, e);
		EXPECT_STREQ(name[i], e->d_name);
	}
	/* The position of a removed entry leads to the next that is left. */
	for (i = 2; i + 7 < n; i++) {
		int next = (i + 6) / 7 * 7;

		seekdir(d, pos[i]);
		e = readdir(d);
		ASSERT_NE(NULL, e);
		EXPECT_STREQ(name[next], e->d_name);
	}
	closedir(d);
}

/* NFS servers come back with an offset and a newly opened directory. */
TEST_F(dir, position_survives_reopen)
{
	enum { N = 200 };
	char buf[4096], name[N + 2][32];
	int64_t off[N + 2];
	int i, n = 0, fd;
	struct entry *e;
	long got, at;

	for (i = 0; i < N; i++)
		ASSERT_EQ(0, touch('f', i));
	ASSERT_LE(0, fd = open(".", O_RDONLY));
	while ((got = getdents(fd, buf, sizeof(buf))) > 0) {
		for (at = 0; at < got; at += e->reclen) {
			e = (struct entry *)(buf + at);
			ASSERT_LT(n, N + 2);
			off[n] = e->off;
			snprintf(name[n++], sizeof(name[0]), "%.31s", e->name);
		}
	}
	ASSERT_EQ(N + 2, n);
	close(fd);

	/* Others come and go meanwhile. */
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, touch('g', i));
	for (i = 2; i < n; i += 3)
		ASSERT_EQ(0, unlink(name[i]));

	for (i = 0; i + 1 < n; i++) {
		int next = i + 1;

		if (next >= 2 && next % 3 == 2)
			next++;
		if (next >= n)
			continue;
		ASSERT_LE(0, fd = open(".", O_RDONLY));
		ASSERT_EQ(off[i], lseek(fd, off[i], SEEK_SET));
		ASSERT_LT(0, getdents(fd, buf, sizeof(buf)));
		/* New entries may come before the next old one. */
		e = (struct entry *)buf;
		while (e->name[0] == 'g')
			e = (struct entry *)((char *)e + e->reclen);
		EXPECT_STREQ(name[next], e->name);
		close(fd);
	}
}

enum { STABLE = 400, MOVING = 64 };

static atomic_int stop;

/* Creates, renames and removes entries of its own until told to stop. */
static void *churn(void *arg)
{
	unsigned int seed = (uintptr_t)arg;
	char a[32], b[32];
	long errors = 0;
	int i;

	for (i = 0; i < MOVING; i++)
		errors += touch('a' + seed, i) != 0;
	while (!stop) {
		i = rand_r(&seed) % MOVING;
		snprintf(a, sizeof(a), "%c%d", (int)('a' + (uintptr_t)arg), i);
		snprintf(b, sizeof(b), "%c%d", (int)('a' + (uintptr_t)arg),
			 i + MOVING);
		errors += rename(a, b) != 0;
		errors += unlink(b) != 0;
		errors += touch('a' + (uintptr_t)arg, i) != 0;
	}
	return (void *)errors;
}

TEST_F(dir, stable_under_concurrent_change)
{
	pthread_t thread[2];
	int seen[STABLE];
	int i, pass, fd;
	uintptr_t t;
	void *errors;

	for (i = 0; i < STABLE; i++)
		ASSERT_EQ(0, touch('s', i));
	for (t = 0; t < 2; t++)
		ASSERT_EQ(0, pthread_create(&thread[t], NULL, churn,
					    (void *)t));
	ASSERT_LE(0, fd = open(".", O_RDONLY));
	for (pass = 0; pass < 40; pass++) {
		memset(seen, 0, sizeof(seen));
		EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
		EXPECT_LT(STABLE, tally(fd, pass % 2 ? 300 : 4096, 's', seen,
					STABLE));
		for (i = 0; i < STABLE; i++)
			EXPECT_EQ(1, seen[i]) TH_LOG("s%d", i);
	}
	stop = 1;
	for (t = 0; t < 2; t++) {
		pthread_join(thread[t], &errors);
		EXPECT_EQ(NULL, errors);
	}
}

/* Several processes make and remove the same names: one of them wins. */
TEST_F(dir, create_race)
{
	enum { PROCS = 4, ROUNDS = 200 };
	pid_t pid[PROCS];
	int p, i, won = 0;

	for (p = 0; p < PROCS; p++) {
		pid[p] = fork();
		if (!pid[p]) {
			int mine = 0;
			char name[32];

			for (i = 0; i < ROUNDS; i++) {
				snprintf(name, sizeof(name), "d%d", i);
				if (!mkdir(name, 0755))
					mine++;
				else if (errno != EEXIST)
					_exit(255);
			}
			_exit(mine);
		}
	}
	for (p = 0; p < PROCS; p++) {
		i = fs_wait(pid[p]);
		EXPECT_NE(255, i);
		won += i;
	}
	EXPECT_EQ(ROUNDS, won);
	EXPECT_EQ(ROUNDS + 2, fs_nlink("."));
}

TEST_F(dir, removed_directory)
{
	char buf[4096];
	struct stat st;
	int fd;

	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_LE(0, fd = open("d", O_RDONLY));
	ASSERT_EQ(0, chdir("d"));
	ASSERT_EQ(0, rmdir("../d"));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0, st.st_nlink);
	EXPECT_ERRNO(ENOENT, getdents(fd, buf, sizeof(buf)));
	EXPECT_ERRNO(ENOENT, open("f", O_RDWR | O_CREAT, 0644));
	EXPECT_ERRNO(ENOENT, mkdir("e", 0755));
	EXPECT_ERRNO(ENOENT, symlink("x", "e"));
	EXPECT_EQ(NULL, getcwd(buf, sizeof(buf)));
	EXPECT_EQ(0, chdir(self->dir));
}

TEST_F(dir, deep)
{
	char cwd[PATH_MAX], back[PATH_MAX];
	int i;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, mkdir("a-level", 0755));
		ASSERT_EQ(0, chdir("a-level"));
	}
	ASSERT_NE(NULL, getcwd(cwd, sizeof(cwd)));
	EXPECT_EQ(strlen(self->dir) + 100 * strlen("/a-level"), strlen(cwd));
	ASSERT_EQ(0, fs_puts("bottom", "rock"));
	ASSERT_EQ(0, rename("../../a-level", "../../renamed"));
	ASSERT_NE(NULL, getcwd(back, sizeof(back)));
	EXPECT_EQ(NULL, strstr(cwd, "renamed"));
	EXPECT_NE(NULL, strstr(back, "/renamed/a-level"));
	EXPECT_TRUE(fs_holds("bottom", "rock"));
	ASSERT_EQ(0, chdir(self->dir));
	for (i = 0; i < 97; i++)
		ASSERT_EQ(0, chdir("a-level"));
	EXPECT_TRUE(fs_holds("a-level/renamed/a-level/bottom", "rock"));
	EXPECT_EQ(fs_ino("."), fs_ino("a-level/.."));
	ASSERT_EQ(0, chdir(self->dir));
}

/* A name looked up in vain is found once it exists, and the reverse. */
TEST_F(dir, negative_lookups)
{
	int i;

	for (i = 0; i < 50; i++) {
		EXPECT_FALSE(fs_exists("n"));
		ASSERT_EQ(0, fs_puts("n", "x"));
		EXPECT_TRUE(fs_exists("n"));
		ASSERT_EQ(0, unlink("n"));
		EXPECT_FALSE(fs_exists("n"));
		ASSERT_EQ(0, mkdir("n", 0755));
		EXPECT_EQ(2, fs_nlink("n"));
		ASSERT_EQ(0, rmdir("n"));
	}
}

TEST_HARNESS_MAIN
