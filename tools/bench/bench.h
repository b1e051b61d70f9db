/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmarks share. A benchmark is a function that is called once per
 * run and file system, and reports numbers; see bench.c.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define PAGE 4096L
#define KIB (1L << 10)
#define MIB (1L << 20)
#define GIB (1L << 30)
#define TIB (1L << 40)

/* How many times a thing is measured within a run; the median counts. */
#define BATCHES 9

/* A file system in the comparison. */
struct fs {
	const char *name;
	const char *dir;
};

/* What a benchmark is given. */
struct run {
	const struct fs *fs;
	/* Which run this is, and how many there are. */
	int number, runs;
	/* A file on it, open for reading and writing, empty. */
	int fd;
	char path[256];
};

struct bench {
	const char *name;
	void (*run)(struct run *run);
	unsigned int flags;
};

/* Only on snapmapfs and tmpfs: it says what the semantics cost. */
#define FEW 1
/* Called once, and does all runs itself. */
#define ONCE 2
#define for_all_runs(run) for ((run)->number = -1; (run)->number < (run)->runs; (run)->number++)

void bench_write(struct run *run);
void bench_extend(struct run *run);
void bench_read(struct run *run);
void bench_fault(struct run *run);
void bench_mmap(struct run *run);
void bench_exec(struct run *run);
void bench_snapshot(struct run *run);
void bench_store(struct run *run);
void bench_many(struct run *run);
void bench_instants(struct run *run);
void bench_processes(struct run *run);
void bench_gc(struct run *run);
void bench_stall(struct run *run);
void bench_view(struct run *run);
void bench_parallel(struct run *run);

/* Values of which the median counts. */
struct series {
	double values[64];
	int count;
};

_Noreturn void die(const char *what);

/* Nanoseconds; with -icount, instructions. */
double now(void);

void add(struct series *series, double value);
double median(struct series *series);

/* Say what was measured. Lower is better. */
void report(struct run *run, const char *unit, double value, const char *metric, ...);
void report_median(struct run *run, const char *unit, struct series *series, const char *metric, ...);

/* A buffer of 1 MiB that is in memory. */
extern char buffer[];

/* Let the kernel finish what it has put off: RCU, workers. */
void settle(void);

/* Writes all of it, or dies. */
void put(int fd, const void *data, size_t len, off_t pos);
/* Makes the file @pages long, all of them written. */
void fill(int fd, long pages);
/* Maps, or dies. */
char *map(int fd, size_t len, int prot, int flags);
void unmap(char *at, size_t len);
/* Loads from each page, stores into each. */
void touch(const char *at, long pages);
void store(char *at, long pages);
/* How much a fault maps, in bytes. */
void fault_around(long bytes);

#define FAULT_AROUND (64 * KIB)

#endif
