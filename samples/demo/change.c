// SPDX-License-Identifier: GPL-2.0
/*
 * change HOW DIR: map a file in DIR with MAP_PRIVATE, change the file, and say
 * what the mapping shows.
 *
 * Half of the pages are read before the change, the other half only after it.
 * The exit status is 0 if the mapping shows the file as it was mapped.
 */
#include <err.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 16
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static size_t page;
static char path[4096];
static sigjmp_buf on_bus;

static void bus(int sig)
{
	siglongjmp(on_bus, sig);
}

/* Fill the file with @byte through @fd. */
static void fill(int fd, int byte)
{
	char *buf = malloc(PAGES * page);

	if (!buf)
		err(2, "malloc");
	memset(buf, byte, PAGES * page);
	if (pwrite(fd, buf, PAGES * page, 0) != (ssize_t)(PAGES * page))
		err(2, "write");
	free(buf);
}

static void *map(int fd, int prot, int flags)
{
	void *p = mmap(NULL, PAGES * page, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		err(2, "mmap");
	return p;
}

static char load(const char *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* Whether the page at @p is as it was: 1, 0, or -1 if there is none. */
static int same(const char *p)
{
	if (sigsetjmp(on_bus, 1))
		return -1;
	return load(p) == 'A' && load(p + page - 1) == 'A';
}

/* Say what the mapping shows. */
static int show(const char *p)
{
	int i, changed = 0;

	for (i = 0; i < PAGES; i++) {
		switch (same(p + i * page)) {
		case -1:
			printf("SIGBUS on page %d of %d", i, PAGES);
			return 1;
		case 0:
			changed++;
		}
	}
	if (changed)
		printf("%d of %d pages changed", changed, PAGES);
	else
		printf("as it was");
	return changed != 0;
}

static void overwrite(int fd)
{
	fill(fd, 'B');
}

static void truncated(int fd)
{
	if (ftruncate(fd, 0))
		err(2, "ftruncate");
}

/* As cp, a shell's > and most editors and compilers do. */
static void rewrite(int fd)
{
	int again = open(path, O_WRONLY | O_TRUNC);

	(void)fd;
	if (again < 0)
		err(2, "open");
	fill(again, 'B');
	close(again);
}

static void punch(int fd)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGES * page))
		err(2, "fallocate");
}

/* Another process, which has had the file mapped for writing all along. */
static void store(int fd)
{
	(void)fd;
}

static const struct {
	const char *how;
	void (*change)(int fd);
} changes[] = {
	{ "overwrite", overwrite },
	{ "truncate", truncated },
	{ "rewrite", rewrite },
	{ "punch", punch },
	{ "store", store },
	{ "own", truncated },
};

/* Another process with a shared mapping: stores once it is told to. */
static int writer(int fd, pid_t *pid)
{
	int ready[2], go[2];
	char c, *p;

	if (pipe(ready) || pipe(go))
		err(2, "pipe");
	*pid = fork();
	if (*pid < 0)
		err(2, "fork");
	if (*pid == 0) {
		close(go[1]);
		p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
		/* Its pages are there, and writable. */
		memset(p, 'A', PAGES * page);
		if (write(ready[1], "", 1) == 1 && read(go[0], &c, 1) == 1)
			memset(p, 'B', PAGES * page);
		_exit(0);
	}
	close(go[0]);
	if (read(ready[0], &c, 1) != 1)
		err(2, "read");
	return go[1];
}

/*
 * The pages that mappings cost: as statfs() counts them after the file was
 * mapped 200 times, after it was overwritten, and after the last munmap().
 */
static int cost(const char *dir, int fd)
{
	void *maps[200];
	struct statfs st[4];
	size_t i;

	statfs(dir, &st[0]);
	for (i = 0; i < 200; i++)
		maps[i] = map(fd, PROT_READ, MAP_PRIVATE);
	statfs(dir, &st[1]);
	fill(fd, 'B');
	fill(fd, 'C');
	statfs(dir, &st[2]);
	for (i = 0; i < 200; i++)
		munmap(maps[i], PAGES * page);
	statfs(dir, &st[3]);
	printf("+%ld, +%ld, +%ld pages",
	       (long)(st[0].f_bfree - st[1].f_bfree),
	       (long)(st[0].f_bfree - st[2].f_bfree),
	       (long)(st[0].f_bfree - st[3].f_bfree));
	return st[0].f_bfree != st[1].f_bfree || st[0].f_bfree != st[3].f_bfree;
}

int main(int argc, char *argv[])
{
	struct sigaction sa = { .sa_handler = bus };
	int fd, go = -1, status;
	pid_t pid;
	size_t i;
	char *p;

	if (argc != 3)
		errx(2, "usage: change HOW DIR");
	page = sysconf(_SC_PAGESIZE);
	snprintf(path, sizeof(path), "%s/change.%d", argv[2], getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		err(2, "%s", path);
	fill(fd, 'A');
	if (!strcmp(argv[1], "cost")) {
		status = cost(argv[2], fd);
		unlink(path);
		return status;
	}
	for (i = 0; i < ARRAY_SIZE(changes); i++)
		if (!strcmp(argv[1], changes[i].how))
			break;
	if (i == ARRAY_SIZE(changes))
		errx(2, "%s: no such change", argv[1]);

	sigaction(SIGBUS, &sa, NULL);
	if (changes[i].change == store)
		go = writer(fd, &pid);
	p = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	if (!strcmp(argv[1], "own"))
		/* What the program stored itself, over other contents. */
		memset(p, 'A', PAGES * page);
	else
		for (status = 0; status < PAGES / 2; status++)
			if (load(p + status * page) != 'A')
				errx(2, "the mapping is wrong to begin with");
	if (go >= 0) {
		if (write(go, "", 1) != 1 || waitpid(pid, NULL, 0) != pid)
			err(2, "write");
	} else {
		changes[i].change(fd);
	}
	status = show(p);
	unlink(path);
	return status;
}
