// SPDX-License-Identifier: GPL-2.0
/*
 * What snapshots cost, as the filesystem itself tells it: the numbers in
 * /sys/fs/snapmapfs/MAJOR:MINOR, the tracepoints, and who pays (R3).
 */
#include "snap.h"

#include <sys/sysmacros.h>

#define PAGES 16

FIXTURE(stats)
{
	struct snap s;
	char dir[128];	/* in sysfs */
};

/* A number of the superblock, or -1. */
static long stat_of(const char *dir, const char *name)
{
	char path[256];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%ld", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

#define STAT(name) stat_of(self->dir, name)

FIXTURE_SETUP(stats)
{
	struct stat st;

	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	ASSERT_EQ(0, fstat(self->s.fd, &st));
	snprintf(self->dir, sizeof(self->dir), "/sys/fs/snapmapfs/%u:%u",
		 major(st.st_dev), minor(st.st_dev));
}

FIXTURE_TEARDOWN(stats)
{
	snap_destroy(&self->s);
}

static char *map_all(struct snap *s)
{
	return map_private(s->fd, 0, s->len);
}

TEST_F(stats, live_pages)
{
	long before = STAT("live_pages");

	ASSERT_LE(PAGES, before);
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, self->s.len, page_size));
	EXPECT_EQ(before + 1, STAT("live_pages"));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	EXPECT_EQ(before - PAGES, STAT("live_pages"));
}

TEST_F(stats, copies)
{
	long epochs = STAT("epochs"), copied = STAT("pages_copied");
	long live = STAT("live_pages"), snapshots = STAT("snapshots");
	char *a = map_all(&self->s), *b = map_all(&self->s);
	int i;

	ASSERT_TRUE(mapped(a) && mapped(b));
	EXPECT_EQ(snapshots + 2, STAT("snapshots"));
	/* The file was written before the first, and not between the two. */
	EXPECT_EQ(epochs + 1, STAT("epochs"));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(1, write_gen(self->s.fd, 1, i * page_size, 1));
		ASSERT_EQ(1, write_gen(self->s.fd, 2, i * page_size + i, 1));
	}
	EXPECT_EQ(copied + PAGES, STAT("pages_copied"));
	EXPECT_EQ(PAGES, STAT("preserved_pages"));
	EXPECT_EQ(live, STAT("live_pages"));
	ASSERT_EQ(SAME, differs(a, 0, 0, self->s.len));
	ASSERT_EQ(0, munmap(a, self->s.len));
	EXPECT_EQ(PAGES, STAT("preserved_pages"));
	ASSERT_EQ(0, munmap(b, self->s.len));
	EXPECT_EQ(0, STAT("preserved_pages"));
	EXPECT_EQ(snapshots, STAT("snapshots"));
}

TEST_F(stats, given_pages_are_not_copied)
{
	long copied = STAT("pages_copied"), given = STAT("pages_given");
	char *map = map_all(&self->s);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	EXPECT_EQ(given + PAGES, STAT("pages_given"));
	EXPECT_EQ(copied, STAT("pages_copied"));
	EXPECT_EQ(PAGES, STAT("preserved_pages"));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_EQ(0, munmap(map, self->s.len));
	EXPECT_EQ(0, STAT("preserved_pages"));
}

/* Nor are those that are written as a whole, unless the live file is mapped. */
TEST_F(stats, whole_pages_are_not_copied)
{
	long copied = STAT("pages_copied"), given = STAT("pages_given");
	long unmaps = STAT("unmaps"), live = STAT("live_pages");
	char *map = map_all(&self->s), *shared;

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(SAME, touch(map, self->s.len));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	EXPECT_EQ(given + PAGES, STAT("pages_given"));
	EXPECT_EQ(copied, STAT("pages_copied"));
	EXPECT_EQ(unmaps, STAT("unmaps"));
	EXPECT_EQ(PAGES, STAT("preserved_pages"));
	EXPECT_EQ(live, STAT("live_pages"));
	ASSERT_EQ(0, munmap(map, self->s.len));
	EXPECT_EQ(0, STAT("preserved_pages"));

	shared = map_shared(self->s.fd, 0, self->s.len);
	map = map_all(&self->s);
	ASSERT_TRUE(mapped(shared) && mapped(map));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	EXPECT_EQ(given + PAGES, STAT("pages_given"));
	EXPECT_EQ(copied + PAGES, STAT("pages_copied"));
	EXPECT_EQ(unmaps + PAGES, STAT("unmaps"));
}

TEST_F(stats, eager_copies)
{
	char *shared = map_shared(self->s.fd, 0, self->s.len);
	long eager = STAT("eager_copies");
	struct iovec iov = { shared, page_size };
	char *map;
	int p[2];

	ASSERT_TRUE(mapped(shared));
	shared[0]++;
	shared[page_size]++;
	/* The first page is in a pipe, which might be written to for all we know. */
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(page_size, vmsplice(p[1], &iov, 1, 0));
	map = map_all(&self->s);
	ASSERT_TRUE(mapped(map));
	EXPECT_EQ(eager + 1, STAT("eager_copies"));
}

TEST_F(stats, unmaps)
{
	char *shared = map_shared(self->s.fd, 0, self->s.len);
	long unmaps = STAT("unmaps");
	char *map;

	ASSERT_TRUE(mapped(shared));
	shared[0]++;
	map = map_all(&self->s);
	ASSERT_TRUE(mapped(map));
	EXPECT_EQ(unmaps + 1, STAT("unmaps"));
	/* Only pages that are writable at that moment. */
	map = map_all(&self->s);
	ASSERT_TRUE(mapped(map));
	EXPECT_EQ(unmaps + 1, STAT("unmaps"));
	ASSERT_EQ(1, pwrite(self->s.fd, "x", 1, 0));
	EXPECT_EQ(unmaps + 2, STAT("unmaps"));
	ASSERT_EQ(1, pwrite(self->s.fd, "y", 1, 0));
	EXPECT_EQ(unmaps + 2, STAT("unmaps"));
}

/* Writes @text to a file. */
static bool put(const char *dir, const char *name, const char *text)
{
	ssize_t len = strlen(text);
	char path[256];
	bool done;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	done = write(fd, text, len) == len;
	close(fd);
	return done;
}

/* How often @event is in the trace. */
static int count_events(const char *event)
{
	FILE *f = fopen("/sys/kernel/tracing/trace", "r");
	char line[512];
	int n = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (strstr(line, event))
			n++;
	fclose(f);
	return n;
}

TEST_F(stats, tracepoints)
{
	const char *tracing = "/sys/kernel/tracing";
	char *map;

	ASSERT_TRUE(put(tracing, "trace", "\n"));
	ASSERT_TRUE(put(tracing, "events/snapmapfs/enable", "1"));
	map = map_all(&self->s);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(1, pwrite(self->s.fd, "x", 1, 0));
	ASSERT_EQ(SAME, differs(map, 0, 0, page_size));
	ASSERT_EQ(0, munmap(map, self->s.len));
	ASSERT_TRUE(put(tracing, "events/snapmapfs/enable", "0"));
	EXPECT_EQ(1, count_events("snapmapfs_snapshot: "));
	EXPECT_EQ(1, count_events("snapmapfs_preserve: "));
	EXPECT_EQ(1, count_events("snapmapfs_serve: "));
	EXPECT_EQ(1, count_events("snapmapfs_release: "));
}

/*
 * R3: a mapper in a cgroup of its own. The writer, who is not in it, makes the
 * copies.
 */
#define GROUP "/sys/fs/cgroup/snap_stats"

FIXTURE(cgroup)
{
	struct snap s;
	int to[2], from[2];
	pid_t mapper;
};

/* A number of memory.stat or memory.events, or -1. */
static long group_stat(const char *file, const char *name)
{
	char path[128], line[128];
	long value = -1;
	size_t len = strlen(name);
	FILE *f;

	snprintf(path, sizeof(path), GROUP "/%s", file);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ' ')
			value = atol(line + len);
	fclose(f);
	return value;
}

#define GROUP_PAGES 1024

/* Maps, says so, and says what it sees when it is told to look. */
static void mapper(const struct snap *s, int in, int out)
{
	char pid[16], answer = 'x', *map;

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (!put(GROUP, "cgroup.procs", pid))
		_exit(1);
	map = map_private(s->fd, 0, s->len);
	if (!mapped(map) || write(out, "m", 1) != 1)
		_exit(1);
	while (read(in, &answer, 1) == 1) {
		answer = differs(map, 0, 0, s->len) == SAME ? 'y' : 'n';
		if (write(out, &answer, 1) != 1)
			break;
	}
	_exit(0);
}

FIXTURE_SETUP(cgroup)
{
	char byte;

	put("/sys/fs/cgroup", "cgroup.subtree_control", "+memory");
	rmdir(GROUP);
	ASSERT_EQ(0, mkdir(GROUP, 0755));
	ASSERT_EQ(0, snap_create(&self->s, GROUP_PAGES * page_size));
	ASSERT_EQ(0, pipe(self->to));
	ASSERT_EQ(0, pipe(self->from));
	self->mapper = fork();
	if (!self->mapper) {
		close(self->to[1]);
		mapper(&self->s, self->to[0], self->from[1]);
	}
	close(self->to[0]);
	ASSERT_EQ(1, read(self->from[0], &byte, 1));
}

FIXTURE_TEARDOWN(cgroup)
{
	int tries;

	close(self->to[1]);
	waitpid(self->mapper, NULL, 0);
	snap_destroy(&self->s);
	for (tries = 0; rmdir(GROUP) && tries < 100; tries++)
		usleep(10000);
}

static bool mapper_is_content(int to, int from)
{
	char byte;

	return write(to, "?", 1) == 1 && read(from, &byte, 1) == 1 &&
	       byte == 'y';
}

TEST_F(cgroup, the_mapper_pays)
{
	long before = group_stat("memory.stat", "kernel"), enough;
	long end = now_ms() + 10000 * slow();

	ASSERT_LE(0, before);
	enough = before + GROUP_PAGES * page_size * 9 / 10;
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_TRUE(mapper_is_content(self->to[1], self->from[0]));
	/* Statistics are flushed every two seconds, or when there is much. */
	while (group_stat("memory.stat", "kernel") < enough && now_ms() < end)
		usleep(50000);
	EXPECT_LE(enough, group_stat("memory.stat", "kernel"));
}

/* The group is full: the writer goes on all the same, and nobody is killed. */
TEST_F(cgroup, the_writer_does_not_fail_for_it)
{
	long max = group_stat("memory.events", "max");

	ASSERT_TRUE(put(GROUP, "memory.max", "1M"));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	EXPECT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
	EXPECT_EQ(0, group_stat("memory.events", "oom_kill"));
	EXPECT_LT(max, group_stat("memory.events", "max"));
	ASSERT_TRUE(put(GROUP, "memory.max", "max"));
	EXPECT_TRUE(mapper_is_content(self->to[1], self->from[0]));
}

/* Fills the group, maps the file and changes it: that needs memory. */
static void change_in_full_group(const char *path, bool truncate, long room)
{
	char pid[16], page[4096], max[32];
	long i, pages = 4000;
	int fd;

	snprintf(pid, sizeof(pid), "%d", getpid());
	memset(page, 'x', sizeof(page));
	if (!put(GROUP, "cgroup.procs", pid))
		_exit(1);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (i = 0; i < pages; i++)
		if (pwrite(fd, page, sizeof(page), i * sizeof(page)) < 0)
			_exit(1);
	if (!mapped(map_private(fd, 0, pages * sizeof(page))))
		_exit(1);
	snprintf(max, sizeof(max), "%ld",
		 (long)stat_of(GROUP, "memory.current") + room);
	put(GROUP, "memory.max", max);
	if (truncate)
		_exit(ftruncate(fd, 0) ? 1 : 0);
	for (i = 0; i < pages; i++)
		if (pwrite(fd, page, sizeof(page), i * sizeof(page)) < 0)
			_exit(2);
	_exit(0);
}

/* Waits until that has ended. Returns its status, -1 if it stays. */
static int change_in_a_group(bool truncate, long room)
{
	char path[PATH_MAX];
	int tries, status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/full_group", snap_dir());
	pid = fork();
	if (!pid)
		change_in_full_group(path, truncate, room);
	for (tries = 0; pid > 0 && tries < 1200; tries++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		usleep(100000);
	}
	unlink(path);
	return pid > 0 && tries < 1200 ? status : -1;
}

/* It may be killed for that, but not stay. */
TEST_F(cgroup, truncate_in_a_full_group_ends)
{
	int status = change_in_a_group(true, 65536);

	put(GROUP, "memory.max", "max");
	ASSERT_NE(-1, status);
	if (WIFEXITED(status))
		ASSERT_EQ(0, WEXITSTATUS(status));
}

/* Who preserves pages of his own group stays within its limit, or is killed. */
TEST_F(cgroup, writes_in_a_full_group_stay_in_it)
{
	const long room = 4 << 20, slack = 256 << 10;
	int status = change_in_a_group(false, room);
	long max = stat_of(GROUP, "memory.max");

	EXPECT_GE(max + slack, stat_of(GROUP, "memory.peak"));
	put(GROUP, "memory.max", "max");
	ASSERT_NE(-1, status);
	if (WIFEXITED(status))
		ASSERT_EQ(2, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN
