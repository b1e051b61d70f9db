// SPDX-License-Identifier: GPL-2.0
/*
 * Several processes at once, on as many processors: by the clock, since -icount has
 * only one processor.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define PAGES 64L
#define LEN (PAGES * PAGE)
#define MOST 4
/* How long is measured. */
#define DURATION 0.3e9

static struct shared {
	atomic_int ready, go, stop;
	/* On cache lines of their own. */
	struct {
		_Alignas(128) atomic_long ops;
	} done[MOST];
} *shared;

/* What process @i of a benchmark does, over and over: returns how many operations it was. */
typedef long (*work_fn)(struct run *run, int i);

static int fds[MOST];

static long write_own_file(struct run *run, int i)
{
	(void)run;
	for (long j = 0; j < PAGES; j++)
		put(fds[i], buffer, PAGE, j * PAGE);
	return PAGES;
}

static long write_own_pages(struct run *run, int i)
{
	for (long j = 0; j < PAGES; j++)
		put(run->fd, buffer, PAGE, (i * PAGES + j) * PAGE);
	return PAGES;
}

static long read_by_faults(struct run *run, int i)
{
	static char *at;

	(void)i;
	if (!at)
		at = map(run->fd, LEN, PROT_READ, MAP_PRIVATE);
	touch(at, PAGES);
	if (madvise(at, LEN, MADV_DONTNEED))
		die("madvise");
	return PAGES;
}

/* The first writes, the second maps, looks and unmaps. */
static long write_or_map(struct run *run, int i)
{
	char *at;

	if (!i)
		return write_own_pages(run, 0);
	at = map(run->fd, LEN, PROT_READ, MAP_PRIVATE);
	touch(at, PAGES);
	unmap(at, LEN);
	return 1;
}

static void work(struct run *run, work_fn fn, int i)
{
	struct sched_param param = {};
	cpu_set_t cpus;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&cpus);
	CPU_SET(i, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) || sched_setscheduler(0, SCHED_OTHER, &param))
		die("scheduling");
	fn(run, i);
	shared->ready++;
	while (!shared->go)
		;
	while (!shared->stop)
		shared->done[i].ops += fn(run, i);
	_exit(0);
}

/* The time per operation of the first @count of @n processes together. */
static double together(struct run *run, work_fn fn, int n, int count)
{
	pid_t pids[MOST];
	double start;
	long ops = 0;

	shared->ready = 0;
	shared->go = 0;
	shared->stop = 0;
	for (int i = 0; i < n; i++) {
		shared->done[i].ops = 0;
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork");
		if (!pids[i])
			work(run, fn, i);
	}
	while (shared->ready < n)
		usleep(1000);
	start = now();
	shared->go = 1;
	usleep(DURATION / 1e3);
	for (int i = 0; i < count; i++)
		ops += shared->done[i].ops;
	start = now() - start;
	shared->stop = 1;
	for (int i = 0; i < n; i++)
		waitpid(pids[i], NULL, 0);
	return start / ops;
}

void bench_parallel(struct run *run)
{
	int most = sysconf(_SC_NPROCESSORS_ONLN);

	if (!shared) {
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (shared == MAP_FAILED)
			die("mmap");
	}
	fill(run->fd, MOST * PAGES);
	for (int i = 0; i < MOST; i++) {
		char path[300];

		snprintf(path, sizeof(path), "%s.%d", run->path, i);
		fds[i] = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (fds[i] < 0 || unlink(path))
			die(path);
	}
	for (int n = 1; n <= MOST && n <= most; n *= 2) {
		report(run, "ns", together(run, write_own_file, n, n),
		       "by the clock: write 4 KiB, %d writers of a file each", n);
		report(run, "ns", together(run, write_own_pages, n, n),
		       "by the clock: write 4 KiB, %d writers of one file", n);
		report(run, "ns/page", together(run, read_by_faults, n, n),
		       "by the clock: private load, %d readers of one file", n);
	}
	if (most >= 2)
		report(run, "ns", together(run, write_or_map, 2, 1),
		       "by the clock: write 4 KiB while another process maps in a loop");
	for (int i = 0; i < MOST; i++)
		close(fds[i]);
}
