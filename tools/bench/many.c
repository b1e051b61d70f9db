// SPDX-License-Identifier: GPL-2.0
/*
 * Writes to a file that has many mappings.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

/* Each mapping is of these pages. The last is what tells two instants apart. */
#define PAGES 16L
#define MEASURED (PAGES - 1)
#define LEN (PAGES * PAGE)
#define MOST 10000
#define MOST_PROCESSES 1000

static char *maps[MOST];
static pid_t children[MOST_PROCESSES];

static char *map_and_touch(int fd)
{
	char *at = map(fd, LEN, PROT_READ, MAP_PRIVATE);

	touch(at, PAGES);
	return at;
}

/* What /sys/fs/snapmapfs counts, 0 on other file systems. */
static long statistic(struct run *run, const char *name)
{
	char path[128];
	struct stat st;
	long value = 0;
	FILE *file;

	if (fstat(run->fd, &st))
		die("fstat");
	snprintf(path, sizeof(path), "/sys/fs/snapmapfs/%u:%u/%s", major(st.st_dev),
		 minor(st.st_dev), name);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%ld", &value) != 1)
		errx(1, "%s?", path);
	fclose(file);
	return value;
}

static double write_all(int fd)
{
	double start = now();

	for (long i = 0; i < MEASURED; i++)
		put(fd, buffer, PAGE, i * PAGE);
	return (now() - start) / MEASURED;
}

static void make(struct run *run, int count, bool instants)
{
	for (int i = 0; i < count; i++) {
		maps[i] = map_and_touch(run->fd);
		if (instants)
			put(run->fd, buffer, 1, (PAGES - 1) * PAGE);
	}
}

static void drop(int count)
{
	for (int i = 0; i < count; i++)
		unmap(maps[i], LEN);
}

/* Lets each of @processes make its part of @count mappings, of its own. */
static void make_elsewhere(struct run *run, int count, int processes)
{
	int ready[2];
	char c;

	if (pipe(ready))
		die("pipe");
	for (int i = 0; i < processes; i++) {
		children[i] = fork();
		if (children[i] < 0)
			die("fork");
		if (!children[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (int j = 0; j < count / processes; j++)
				map_and_touch(run->fd);
			if (write(ready[1], "", 1) != 1)
				_exit(1);
			pause();
			_exit(0);
		}
	}
	for (int i = 0; i < processes; i++)
		if (read(ready[0], &c, 1) != 1)
			die("read");
	close(ready[0]);
	close(ready[1]);
}

static void drop_elsewhere(int processes)
{
	for (int i = 0; i < processes; i++)
		kill(children[i], SIGKILL);
	for (int i = 0; i < processes; i++)
		waitpid(children[i], NULL, 0);
}

enum where { HERE, INSTANTS, ELSEWHERE };

static void many(struct run *run, int count, enum where where)
{
	static const char * const how[] = {
		"%s write 4 KiB, %d mappings", "%s write 4 KiB, %d mappings of as many instants",
		"%s write 4 KiB, %d mappings in %d processes",
	};
	int processes = count < MOST_PROCESSES ? count : MOST_PROCESSES;
	struct series first = {}, second = {}, copies = {};
	int batches = count <= 100 ? BATCHES : count <= 1000 ? 3 : 1;

	fill(run->fd, PAGES);
	for (int i = 0; i < batches; i++) {
		long copied;

		if (where == ELSEWHERE)
			make_elsewhere(run, count, processes);
		else
			make(run, count, where == INSTANTS);
		settle();
		copied = statistic(run, "pages_copied");
		add(&first, write_all(run->fd));
		add(&copies, (double)(statistic(run, "pages_copied") - copied) / MEASURED);
		add(&second, write_all(run->fd));
		if (where == ELSEWHERE)
			drop_elsewhere(processes);
		else
			drop(count);
		settle();
	}
	report_median(run, "ns", &first, how[where], "first", count, processes);
	report_median(run, "ns", &second, how[where], "second", count, processes);
	if (where == HERE && count == MOST)
		report_median(run, "copies/page", &copies, "copies, %d mappings of one instant", count);
}

void bench_many(struct run *run)
{
	for (int count = 1; count <= MOST; count *= 10)
		many(run, count, HERE);
}

void bench_instants(struct run *run)
{
	static const int counts[] = { 1, 10, 100, 1000, 2000, 10000 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		many(run, counts[i], INSTANTS);
}

void bench_processes(struct run *run)
{
	for (int count = 1; count <= MOST; count *= 10)
		many(run, count, ELSEWHERE);
}
