// SPDX-License-Identifier: GPL-2.0
/*
 * bench RUNS PATTERNS NAME=DIR...: measure the file systems in DIR.
 *
 * PATTERNS are names of benchmarks, with wildcards and separated by commas. Prints
 * lines of `metric TAB unit TAB file system TAB run TAB value`.
 *
 * With QEMU's -icount the clock counts instructions, and what is left of chance is
 * what else runs, and in what state the kernel's caches are. So: nothing but
 * interrupts comes before us (SCHED_FIFO), everything is touched before the clock
 * starts, a run's value is the median of several short batches, most of which see
 * no tick of the timer, and the file systems take turns within each run, in
 * another order in each.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

char buffer[MIB];

static const struct bench benches[] = {
	{ "write", bench_write, 0 },
	{ "extend", bench_extend, 0 },
	{ "read", bench_read, 0 },
	{ "fault", bench_fault, 0 },
	{ "mmap", bench_mmap, 0 },
	{ "exec", bench_exec, 0 },
	{ "snapshot", bench_snapshot, FEW },
	{ "store", bench_store, FEW },
	{ "many", bench_many, FEW | ONCE },
	{ "instants", bench_instants, FEW | ONCE },
	{ "processes", bench_processes, FEW | ONCE },
	{ "gc", bench_gc, FEW | ONCE },
	{ "stall", bench_stall, FEW | ONCE },
	{ "view", bench_view, ONCE },
	{ "parallel", bench_parallel, FEW },
};

_Noreturn void die(const char *what)
{
	err(1, "%s", what);
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

void add(struct series *series, double value)
{
	if (series->count == ARRAY_SIZE(series->values))
		errx(1, "too many values");
	series->values[series->count++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(struct series *series)
{
	int n = series->count;

	if (!n)
		errx(1, "nothing was measured");
	qsort(series->values, n, sizeof(series->values[0]), compare);
	return (series->values[(n - 1) / 2] + series->values[n / 2]) / 2;
}

static void say(struct run *run, const char *unit, double value, const char *metric, va_list args)
{
	vprintf(metric, args);
	printf("\t%s\t%s\t%d\t%.2f\n", unit, run->fs->name, run->number, value);
	fflush(stdout);
}

void report(struct run *run, const char *unit, double value, const char *metric, ...)
{
	va_list args;

	va_start(args, metric);
	say(run, unit, value, metric, args);
	va_end(args);
}

void report_median(struct run *run, const char *unit, struct series *series, const char *metric, ...)
{
	va_list args;

	va_start(args, metric);
	say(run, unit, median(series), metric, args);
	va_end(args);
	series->count = 0;
}

void settle(void)
{
	usleep(100000);
}

void put(int fd, const void *data, size_t len, off_t pos)
{
	if (pwrite(fd, data, len, pos) != (ssize_t)len)
		die("write");
}

void fill(int fd, long pages)
{
	for (long i = 0; i < pages; i++)
		put(fd, buffer, PAGE, i * PAGE);
}

char *map(int fd, size_t len, int prot, int flags)
{
	char *at = mmap(NULL, len, prot, flags, fd, 0);

	if (at == MAP_FAILED)
		die("mmap");
	return at;
}

void unmap(char *at, size_t len)
{
	if (munmap(at, len))
		die("munmap");
}

void touch(const char *at, long pages)
{
	for (long i = 0; i < pages; i++)
		asm("" : : "r"(__atomic_load_n(at + i * PAGE, __ATOMIC_RELAXED)));
}

void store(char *at, long pages)
{
	for (long i = 0; i < pages; i++)
		__atomic_store_n(at + i * PAGE, 2, __ATOMIC_RELAXED);
}

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die(path);
	close(fd);
}

void fault_around(long bytes)
{
	char text[32];

	sprintf(text, "%ld", bytes);
	set("/sys/kernel/debug/fault_around_bytes", text);
}

static bool wanted(char *patterns, const char *name)
{
	char *copy = strdup(patterns), *state, *p;
	bool yes = false;

	for (p = strtok_r(copy, ",", &state); p; p = strtok_r(NULL, ",", &state))
		yes |= !fnmatch(p, name, 0);
	free(copy);
	return yes;
}

/* Those whose times say what the semantics cost here. */
static bool is_ours(const struct fs *fs)
{
	return !strcmp(fs->name, "snapmapfs") || !strcmp(fs->name, "private=live") ||
	       !strcmp(fs->name, "tmpfs");
}

static void measure(const struct bench *bench, const struct fs *fs, int number, int runs)
{
	struct run run = { .fs = fs, .number = number, .runs = runs };

	snprintf(run.path, sizeof(run.path), "%s/bench", fs->dir);
	run.fd = open(run.path, O_RDWR | O_CREAT | O_TRUNC, 0700);
	if (run.fd < 0)
		die(run.path);
	settle();
	bench->run(&run);
	close(run.fd);
	if (unlink(run.path))
		die(run.path);
	settle();
}

int main(int argc, char **argv)
{
	struct sched_param param = { .sched_priority = 1 };
	struct fs all[16];
	int n = 0, runs;
	cpu_set_t cpus;

	/* For the benchmark of execve(). */
	if (argc == 2 && !strcmp(argv[1], "nothing"))
		_exit(0);
	if (argc < 4)
		errx(2, "usage: bench RUNS PATTERNS NAME=DIR...");
	runs = atoi(argv[1]);
	for (int i = 3; i < argc; i++, n++) {
		char *dir = strrchr(argv[i], '=');

		if (!dir || n == 16)
			errx(2, "%s?", argv[i]);
		*dir = 0;
		all[n] = (struct fs) { .name = argv[i], .dir = dir + 1 };
	}

	memset(buffer, 1, sizeof(buffer));
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("sched_setaffinity");
	set("/proc/sys/kernel/sched_rt_runtime_us", "-1");
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		die("sched_setscheduler");
	fault_around(FAULT_AROUND);
	/* The kernel still tests its ciphers when init starts. */
	sleep(5);

	/* Run -1 warms up: its numbers are left out. */
	for (int run = -1; run < runs; run++) {
		for (size_t j = 0; j < ARRAY_SIZE(benches); j++) {
			const struct bench *b = &benches[j];

			if (!wanted(argv[2], b->name) || (b->flags & ONCE && run >= 0))
				continue;
			for (int i = 0; i < n; i++) {
				const struct fs *fs = &all[run & 1 ? n - 1 - i : i];

				if (!(b->flags & FEW) || is_ours(fs))
					measure(b, fs, run, runs);
			}
		}
	}
	return 0;
}
