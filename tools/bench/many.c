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

/*
 * It takes long to make many mappings, so each run has some of the pages of the
 * same mappings: what comes first for one page says nothing of the next. The last
 * page is what tells two instants apart.
 */
#define PER_RUN 4L
#define MOST 10000
#define MOST_PROCESSES 1000

static long pages;
static char *maps[MOST];
static pid_t children[MOST_PROCESSES];

static char *map_and_touch(int fd)
{
	char *at = map(fd, pages * PAGE, PROT_READ, MAP_PRIVATE);

	touch(at, pages);
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

/* Writes the pages of a run. */
static double write_some(struct run *run)
{
	double start = now();

	for (long i = 0; i < PER_RUN; i++)
		put(run->fd, buffer, PAGE, ((run->number + 1) * PER_RUN + i) * PAGE);
	return (now() - start) / PER_RUN;
}

static void make(struct run *run, int count, bool instants)
{
	for (int i = 0; i < count; i++) {
		maps[i] = map_and_touch(run->fd);
		if (instants)
			put(run->fd, buffer, 1, (pages - 1) * PAGE);
	}
}

static void drop(int count)
{
	for (int i = 0; i < count; i++)
		unmap(maps[i], pages * PAGE);
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

static void write_to_mapped(struct run *run, int count, enum where where)
{
	int processes = count < MOST_PROCESSES ? count : MOST_PROCESSES;
	char how[64];

	if (where == ELSEWHERE)
		sprintf(how, "%d mappings in %d processes", count, processes);
	else if (where == INSTANTS)
		sprintf(how, "%d mappings of as many instants", count);
	else
		sprintf(how, "%d mappings", count);
	pages = (run->runs + 1) * PER_RUN + 1;
	fill(run->fd, pages);
	if (where == ELSEWHERE)
		make_elsewhere(run, count, processes);
	else
		make(run, count, where == INSTANTS);
	settle();
	for_all_runs(run) {
		long kept = statistic(run, "preserved_pages");
		double first = write_some(run);

		kept = statistic(run, "preserved_pages") - kept;
		report(run, "ns", first, "first write 4 KiB, %s", how);
		report(run, "ns", write_some(run), "second write 4 KiB, %s", how);
		if (count == MOST)
			report(run, "pages/page", (double)kept / PER_RUN, "pages kept, %s", how);
	}
	if (where == ELSEWHERE)
		drop_elsewhere(processes);
	else
		drop(count);
	settle();
}

void bench_many(struct run *run)
{
	for (int count = 1; count <= MOST; count *= 10)
		write_to_mapped(run, count, HERE);
}

void bench_instants(struct run *run)
{
	/* Making them takes time in proportion to the square: each change visits all before. */
	static const int counts[] = { 1, 10, 100, 1000, 2000 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		write_to_mapped(run, counts[i], INSTANTS);
}

void bench_processes(struct run *run)
{
	for (int count = 1; count <= MOST; count *= 10)
		write_to_mapped(run, count, ELSEWHERE);
}
