// SPDX-License-Identifier: GPL-2.0
// vm: --no-mount --mem 1G
// timeout: 600
/*
 * A thousand mounts and unmounts, with something of everything in each: no
 * memory may be left behind. Alone in its machine, so that MemFree means
 * something; loads the module itself.
 */
#include "fs.h"

#include <sys/xattr.h>

enum {
	MOUNTS = 1000,
	/* What a machine's caches may keep by themselves. A page lost by each
	 * mount would be as much.
	 */
	SLACK_KIB = 3000,
};

/* Bits of /proc/meminfo, in KiB. */
static long memory(const char *key)
{
	const char *text = fs_gets("/proc/meminfo");
	const char *at = text ? strstr(text, key) : NULL;

	return at ? atol(at + strlen(key)) : -1;
}

static void put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "# %s: %s\n", path, strerror(errno));
	close(fd);
}

/* Whether a slab cache belongs to the type under test. */
static bool is_ours(const char *name)
{
	if (fs_is_tmpfs())
		return !strncmp(name, "shmem_inode_cache", 17);
	return !strncmp(name, "snapmapfs", 9);
}

/* Objects in use in the type's slab caches; -1 if there is no such cache. */
static long objects(void)
{
	char line[512], name[64], path[128];
	FILE *f = fopen("/proc/slabinfo", "r");
	long active, sum = -1;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %ld", name, &active) != 2 ||
		    !is_ours(name))
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", name);
		put_text(path, "1");
		sum = 0;
	}
	rewind(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", name, &active) == 2 &&
		    is_ours(name))
			sum += active;
	fclose(f);
	return sum;
}

/* Everything that is only kept for later use goes; inodes die after RCU. */
static void settle(void)
{
	int i;

	for (i = 0; i < 4; i++) {
		sync();
		put_text("/proc/sys/vm/drop_caches", "3");
		fs_sleep_ms(150);
	}
	put_text("/proc/sys/vm/compact_memory", "1");
}

static int load_module(void)
{
	const char *have = fs_gets("/proc/filesystems");
	char line[64];
	int fd;

	snprintf(line, sizeof(line), "\t%s\n", fs_type());
	if (have && strstr(have, line))
		return 0;
	fd = open("/snapmapfs.ko", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	return syscall(SYS_finit_module, fd, "", 0);
}

FIXTURE(leak) {
	char m[64];
	long free, slab, objects;
};

FIXTURE_SETUP(leak)
{
	snprintf(self->m, sizeof(self->m), "/tmp/fs_mounts.XXXXXX");
	ASSERT_OK(fs_private_ns());
	ASSERT_NE(NULL, mkdtemp(self->m));
	ASSERT_OK(chdir(self->m));
	ASSERT_OK(load_module());
}

FIXTURE_TEARDOWN_PARENT(leak)
{
	EXPECT_OK(fs_remove(self->m));
}

#define REMEMBER() do {							\
	settle();							\
	self->objects = objects();					\
	self->slab = memory("SUnreclaim:");				\
	self->free = memory("MemFree:");				\
	ASSERT_LT(0, self->free);					\
	ASSERT_LT(0, self->slab);					\
} while (0)

/* Nothing is missing; on a noisy machine, look again before saying so. */
#define EXPECT_NOTHING_LOST() do {					\
	int __try;							\
									\
	for (__try = 0; __try < 10; __try++) {				\
		settle();						\
		if (objects() <= self->objects &&			\
		    memory("SUnreclaim:") - self->slab < SLACK_KIB &&	\
		    self->free - memory("MemFree:") < SLACK_KIB)	\
			break;						\
	}								\
	EXPECT_LE(objects(), self->objects);				\
	EXPECT_GT(SLACK_KIB, memory("SUnreclaim:") - self->slab);	\
	EXPECT_GT(SLACK_KIB, self->free - memory("MemFree:"));		\
} while (0)

/* Mounts, uses and unmounts; the number of the step that failed. */
static int one_life(const char *m)
{
	const size_t page = fs_page();
	char name[128], target[200], buf[64];
	char *shared, *private;
	int fd, tmp;

	if (fs_mount(m, 0, "size=2m,nr_inodes=100,mode=700"))
		return 1;
	snprintf(name, sizeof(name), "%s/d", m);
	if (mkdir(name, 0755))
		return 2;
	snprintf(name, sizeof(name), "%s/d/f", m);
	fd = open(name, O_RDWR | O_CREAT, 0644);
	if (fd < 0 || ftruncate(fd, 8 * page))
		return 3;
	shared = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		       0);
	if (shared == MAP_FAILED || private == MAP_FAILED)
		return 4;
	memset(buf, 'b', sizeof(buf));
	if (pwrite(fd, buf, sizeof(buf), page - 10) != sizeof(buf) ||
	    pwrite(fd, buf, sizeof(buf), 5 * page) != sizeof(buf))
		return 5;
	/* Preserved pages, own copies, and pages that are both. */
	fs_load(private);
	fs_store(shared + 2 * page, 1);
	fs_store(private + 5 * page, 2);
	fs_store(shared + 5 * page, 3);
	if (ftruncate(fd, 3 * page) ||
	    (!fs_is_tmpfs() && fs_load(private + 5 * page) != 2))
		return 6;
	if (fsetxattr(fd, "user.name", buf, sizeof(buf), 0) ||
	    fsetxattr(fd, "trusted.name", buf, 3, 0))
		return 7;
	memset(target, 't', sizeof(target));
	target[sizeof(target) - 1] = '\0';
	snprintf(name, sizeof(name), "%s/l", m);
	if (symlink(target, name))
		return 8;
	snprintf(name, sizeof(name), "%s/s", m);
	if (symlink("short", name))
		return 9;
	snprintf(name, sizeof(name), "%s/p", m);
	if (mkfifo(name, 0644))
		return 10;
	tmp = open(m, O_RDWR | O_TMPFILE, 0644);
	if (tmp < 0 || write(tmp, buf, sizeof(buf)) != sizeof(buf))
		return 11;
	snprintf(name, sizeof(name), "%s/d/f", m);
	if (unlink(name))
		return 12;
	snprintf(name, sizeof(name), "%s/left", m);
	if (fs_put(name, buf, sizeof(buf)))
		return 13;
	if (munmap(shared, 8 * page) || munmap(private, 8 * page) ||
	    close(fd) || close(tmp))
		return 14;
	return umount(m) ? 15 : 0;
}

/* More time than usual: this is the load test. */
TEST_F_TIMEOUT(leak, thousand_mounts, 280)
{
	int i;

	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, one_life("m"));
	REMEMBER();
	if (!fs_is_tmpfs())
		EXPECT_EQ(0, self->objects);
	for (i = 0; i < MOUNTS / slow(); i++)
		ASSERT_EQ(0, one_life("m"))
			TH_LOG("mount %d: %s", i, strerror(errno));
	EXPECT_NOTHING_LOST();
}

/* A mount that fails takes back what it had done so far. */
TEST_F_TIMEOUT(leak, thousand_failed_mounts, 120)
{
	static const char * const bad[] = {
		"size=1m,unknown", "uid=1,gid=x", "mode=8", "nr_inodes=,size=1m",
	};
	int i, fd;

	for (i = 0; i < MOUNTS / slow() + 50; i++) {
		if (i == 50)
			REMEMBER();
		ASSERT_ERRNO(EINVAL, fs_mount("m", 0, bad[i % 4]));
		/* Given up before, and after, there is a superblock. */
		ASSERT_LE(0, fd = fsopen(fs_type(), FSOPEN_CLOEXEC));
		ASSERT_EQ(0, fsconfig(fd, FSCONFIG_SET_STRING, "size", "1m", 0));
		if (i % 2)
			ASSERT_EQ(0, fsconfig(fd, FSCONFIG_CMD_CREATE, NULL,
					      NULL, 0));
		ASSERT_EQ(0, close(fd));
	}
	EXPECT_NOTHING_LOST();
}

TEST_F_TIMEOUT(leak, many_at_once, 120)
{
	enum { AT_ONCE = 200 };
	char name[32];
	int i, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < AT_ONCE; i++) {
			snprintf(name, sizeof(name), "m%d", i);
			ASSERT_EQ(0, fs_mount(name, 0, "size=1m"));
			snprintf(name, sizeof(name), "m%d/f", i);
			ASSERT_EQ(0, fs_puts(name, name));
		}
		for (i = 0; i < AT_ONCE; i++) {
			snprintf(name, sizeof(name), "m%d/f", i);
			EXPECT_TRUE(fs_holds(name, name));
			snprintf(name, sizeof(name), "m%d", i);
			ASSERT_EQ(0, umount(name));
		}
		if (!round)
			REMEMBER();
	}
	EXPECT_NOTHING_LOST();
}

/* Several processes mount and unmount at the same time. */
TEST_F_TIMEOUT(leak, concurrent_mounts, 120)
{
	enum { PROCS = 3, EACH = 100 };
	pid_t pid[PROCS];
	int p, i, round;
	char name[32];

	for (round = 0; round < 2; round++) {
		for (p = 0; p < PROCS; p++) {
			pid[p] = fork();
			if (pid[p])
				continue;
			snprintf(name, sizeof(name), "c%d", p);
			for (i = 0; i < EACH / slow(); i++) {
				int step = one_life(name);

				if (step) {
					TH_LOG("step %d of mount %d: %s", step,
					       i, strerror(errno));
					_exit(step);
				}
			}
			_exit(0);
		}
		for (p = 0; p < PROCS; p++)
			EXPECT_EQ(0, fs_wait(pid[p]));
		if (!round)
			REMEMBER();
	}
	EXPECT_NOTHING_LOST();
}

TEST_HARNESS_MAIN
