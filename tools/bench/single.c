// SPDX-License-Identifier: GPL-2.0
/*
 * What one process sees.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

/* The pages of a file. */
#define PAGES (MIB / PAGE)

/* The pages in an order that is always the same. */
static const int *shuffled(void)
{
	static int order[PAGES];
	uint32_t x = 1;

	if (order[0] != order[1])
		return order;
	for (int i = 0; i < PAGES; i++)
		order[i] = i;
	for (int i = PAGES - 1; i > 0; i--) {
		int j, t = order[i];

		x = x * 1664525 + 1013904223;
		j = (x >> 8) % (i + 1);
		order[i] = order[j];
		order[j] = t;
	}
	return order;
}

static double overwrite(int fd, size_t len)
{
	double start = now();

	for (long i = 0; i < PAGES; i++)
		put(fd, buffer, len, i * PAGE);
	return (now() - start) / PAGES;
}

void bench_write(struct run *run)
{
	const int *order = shuffled();
	struct series series = {};
	double start;

	fill(run->fd, PAGES);
	for (int i = 0; i < BATCHES; i++)
		add(&series, overwrite(run->fd, PAGE));
	report_median(run, "ns", &series, "write 4 KiB in order");
	for (int i = 0; i < BATCHES; i++) {
		start = now();
		for (int j = 0; j < PAGES; j++)
			put(run->fd, buffer, PAGE, order[j] * PAGE);
		add(&series, (now() - start) / PAGES);
	}
	report_median(run, "ns", &series, "write 4 KiB at random");
	for (int i = 0; i < BATCHES; i++) {
		start = now();
		put(run->fd, buffer, MIB, 0);
		add(&series, now() - start);
	}
	report_median(run, "ns", &series, "write 1 MiB");
	for (int i = 0; i < BATCHES; i++)
		add(&series, overwrite(run->fd, 1));
	report_median(run, "ns", &series, "write 1 byte");
}

void bench_extend(struct run *run)
{
	struct series series = {};
	double start;

	for (int i = 0; i < BATCHES; i++) {
		if (ftruncate(run->fd, 0))
			die("ftruncate");
		settle();
		add(&series, overwrite(run->fd, PAGE));
	}
	report_median(run, "ns", &series, "write 4 KiB at the end");
	for (int i = 0; i < BATCHES; i++) {
		if (ftruncate(run->fd, 0))
			die("ftruncate");
		settle();
		start = now();
		put(run->fd, buffer, MIB, 0);
		add(&series, now() - start);
	}
	report_median(run, "ns", &series, "write 1 MiB at the end");
	for (int i = 0; i < BATCHES; i++) {
		fill(run->fd, PAGES);
		settle();
		start = now();
		if (ftruncate(run->fd, 0))
			die("ftruncate");
		add(&series, (now() - start) / PAGES);
	}
	report_median(run, "ns/page", &series, "truncate");
}

static void get(int fd, size_t len, off_t pos)
{
	if (pread(fd, buffer, len, pos) != (ssize_t)len)
		die("read");
}

void bench_read(struct run *run)
{
	const int *order = shuffled();
	struct series series = {};
	double start;

	fill(run->fd, PAGES);
	for (int i = 0; i < BATCHES; i++) {
		start = now();
		for (int j = 0; j < PAGES; j++)
			get(run->fd, PAGE, j * PAGE);
		add(&series, (now() - start) / PAGES);
	}
	report_median(run, "ns", &series, "read 4 KiB in order");
	for (int i = 0; i < BATCHES; i++) {
		start = now();
		for (int j = 0; j < PAGES; j++)
			get(run->fd, PAGE, order[j] * PAGE);
		add(&series, (now() - start) / PAGES);
	}
	report_median(run, "ns", &series, "read 4 KiB at random");
	for (int i = 0; i < BATCHES; i++) {
		start = now();
		get(run->fd, MIB, 0);
		add(&series, now() - start);
	}
	report_median(run, "ns", &series, "read 1 MiB");
}

/* The faults in a new mapping of PAGES pages. */
static void faults(struct run *run, const char *metric, int flags, bool write, long around)
{
	struct series series = {};

	fault_around(around);
	for (int i = 0; i < BATCHES; i++) {
		char *at = map(run->fd, MIB, PROT_READ | (write ? PROT_WRITE : 0), flags);
		double start = now();

		if (write)
			store(at, PAGES);
		else
			touch(at, PAGES);
		add(&series, (now() - start) / PAGES);
		unmap(at, MIB);
	}
	fault_around(FAULT_AROUND);
	report_median(run, "ns/page", &series, "%s", metric);
}

void bench_fault(struct run *run)
{
	struct series series = {};

	fill(run->fd, PAGES);
	faults(run, "private load, fault-around", MAP_PRIVATE, false, FAULT_AROUND);
	faults(run, "private load, single", MAP_PRIVATE, false, PAGE);
	faults(run, "private store", MAP_PRIVATE, true, FAULT_AROUND);
	faults(run, "shared load, fault-around", MAP_SHARED, false, FAULT_AROUND);
	faults(run, "shared load, single", MAP_SHARED, false, PAGE);
	faults(run, "shared store", MAP_SHARED, true, FAULT_AROUND);
	for (int i = 0; i < BATCHES; i++) {
		char *at = map(run->fd, MIB, PROT_READ | PROT_WRITE, MAP_SHARED);
		double start;

		touch(at, PAGES);
		start = now();
		store(at, PAGES);
		add(&series, (now() - start) / PAGES);
		unmap(at, MIB);
	}
	report_median(run, "ns/page", &series, "shared store after a load");
}

void bench_mmap(struct run *run)
{
	static const struct {
		const char *name;
		long len;
	} sizes[] = {
		{ "4 KiB", 4 * KIB }, { "1 MiB", MIB }, { "1 GiB", GIB }, { "1 TiB", TIB },
	};
	struct series series = {};

	if (ftruncate(run->fd, TIB))
		die("ftruncate");
	put(run->fd, buffer, PAGE, 0);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (int i = 0; i < BATCHES; i++) {
			double start = now();

			for (int j = 0; j < 16; j++)
				unmap(map(run->fd, sizes[s].len, PROT_READ, MAP_PRIVATE),
				      sizes[s].len);
			add(&series, (now() - start) / 16);
		}
		report_median(run, "ns", &series, "mmap and munmap %s", sizes[s].name);
	}
	for (int i = 0; i < BATCHES; i++) {
		double start = now();

		for (int j = 0; j < 16; j++)
			unmap(map(run->fd, PAGE, PROT_READ, MAP_SHARED), PAGE);
		add(&series, (now() - start) / 16);
	}
	report_median(run, "ns", &series, "mmap and munmap 4 KiB, shared");
}

void bench_exec(struct run *run)
{
	static char * const args[] = { "bench", "nothing", NULL }, * const environment[] = { NULL };
	struct series series = {};
	char program[300];
	int from, to;
	ssize_t n;

	snprintf(program, sizeof(program), "%s/program", run->fs->dir);
	from = open("/proc/self/exe", O_RDONLY);
	to = open(program, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	if (from < 0 || to < 0)
		die(program);
	while ((n = read(from, buffer, MIB)) > 0)
		if (write(to, buffer, n) != n)
			die(program);
	close(from);
	close(to);
	for (int i = 0; i < BATCHES; i++) {
		double start = now();

		for (int j = 0; j < 4; j++) {
			int status;
			pid_t pid = vfork();

			if (!pid) {
				execve(program, args, environment);
				_exit(1);
			}
			if (waitpid(pid, &status, 0) != pid || status)
				errx(1, "%s failed", program);
		}
		add(&series, (now() - start) / 4);
	}
	if (unlink(program))
		die(program);
	report_median(run, "ns", &series, "vfork, exec and exit");
}

/* One step of bench_snapshot, of which there are several. */
enum step { FIRST, SECOND, SERVED, SERVED_AROUND, GONE, STEPS };

static void snapshot(struct run *run, bool touched, size_t len)
{
	const char *how = touched ? "touched" : "untouched";
	struct series steps[STEPS] = {};

	for (int i = 0; i < BATCHES; i++) {
		char *at = map(run->fd, MIB, PROT_READ, MAP_PRIVATE);
		double start;

		if (touched)
			touch(at, PAGES);
		start = now();
		for (long done = 0; done < MIB; done += len)
			put(run->fd, buffer, len, done);
		add(&steps[FIRST], (now() - start) / PAGES);
		start = now();
		for (long done = 0; done < MIB; done += len)
			put(run->fd, buffer, len, done);
		add(&steps[SECOND], (now() - start) / PAGES);
		/* The same faults where the page is still mapped. */
		madvise(at, MIB, MADV_DONTNEED);
		fault_around(PAGE);
		start = now();
		touch(at, PAGES);
		add(&steps[SERVED], (now() - start) / PAGES);
		madvise(at, MIB, MADV_DONTNEED);
		fault_around(FAULT_AROUND);
		start = now();
		touch(at, PAGES);
		add(&steps[SERVED_AROUND], (now() - start) / PAGES);
		start = now();
		unmap(at, MIB);
		add(&steps[GONE], (now() - start) / PAGES);
		settle();
	}
	if (len == PAGE) {
		report_median(run, "ns", &steps[FIRST], "first write 4 KiB after a mapping, %s", how);
		report_median(run, "ns", &steps[SECOND], "second write 4 KiB after a mapping, %s", how);
	} else {
		report_median(run, "ns/page", &steps[FIRST], "first write 1 MiB after a mapping, %s", how);
	}
	if (len == PAGE && touched) {
		report_median(run, "ns/page", &steps[SERVED], "load of a page that has changed, single");
		report_median(run, "ns/page", &steps[SERVED_AROUND],
			      "load of a page that has changed, fault-around");
		report_median(run, "ns/page", &steps[GONE], "munmap of pages that have changed");
	}
}

void bench_snapshot(struct run *run)
{
	fill(run->fd, PAGES);
	snapshot(run, true, PAGE);
	snapshot(run, false, PAGE);
	snapshot(run, true, MIB);
}

/* Stores through a shared mapping, while there is a private one. */
void bench_store(struct run *run)
{
	struct series first = {}, made = {};
	char *shared;

	fill(run->fd, PAGES);
	shared = map(run->fd, MIB, PROT_READ | PROT_WRITE, MAP_SHARED);
	store(shared, PAGES);
	for (int i = 0; i < BATCHES; i++) {
		double start = now();
		char *at = map(run->fd, MIB, PROT_READ, MAP_PRIVATE);

		add(&made, now() - start);
		touch(at, PAGES);
		start = now();
		store(shared, PAGES);
		add(&first, (now() - start) / PAGES);
		unmap(at, MIB);
		settle();
	}
	unmap(shared, MIB);
	report_median(run, "ns", &made, "mmap of 256 pages that a shared mapping has written");
	report_median(run, "ns/page", &first, "first shared store after a mapping");
}
