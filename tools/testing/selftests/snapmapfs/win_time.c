// SPDX-License-Identifier: GPL-2.0
/*
 * What a window costs that does not begin with a page of the file (W4), in
 * nanoseconds a page, beside one that does and beside copying a page. Run it
 * with --icount, where a nanosecond is an instruction:
 *
 *	scripts/vm --icount --tests build/tests -- /tests/win_time
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../../../include/uapi/linux/snapmapfs.h"

#define PAGES	2048
#define LEN	(PAGES * page_size)

static const ssize_t page_size = 4096;

static int fd;
static char *buf;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static char *map_at(int win, int flags)
{
	char *map = mmap(NULL, LEN, PROT_READ | (flags & MAP_SHARED ? PROT_WRITE : 0), flags,
			 win, 0);

	if (map == MAP_FAILED)
		die("mmap");
	return map;
}

static double read_all(char *map)
{
	double start = now();
	ssize_t i;

	for (i = 0; i < LEN; i += page_size)
		__atomic_load_n(map + i, __ATOMIC_RELAXED);
	return (now() - start) / PAGES;
}

static double store_all(char *map)
{
	double start = now();
	ssize_t i;

	for (i = 0; i < LEN; i += page_size)
		__atomic_store_n(map + i, 1, __ATOMIC_RELAXED);
	return (now() - start) / PAGES;
}

static double write_all(void)
{
	double start = now();
	ssize_t i;

	for (i = 0; i < LEN; i += page_size)
		if (pwrite(fd, buf, page_size, i) != page_size)
			die("pwrite");
	return (now() - start) / PAGES;
}

static double pread_all(int win)
{
	double start = now();
	ssize_t i;

	for (i = 0; i < LEN; i += page_size)
		if (pread(win, buf, page_size, i) != page_size)
			die("pread");
	return (now() - start) / PAGES;
}

static double copy_all(void)
{
	char *copy = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	double start = now();
	ssize_t i;

	for (i = 0; i < LEN; i += page_size) {
		memcpy(copy + i, buf, page_size);
		__asm__ volatile("" ::: "memory");
	}
	start = (now() - start) / PAGES;
	munmap(copy, LEN);
	return start;
}

static void one(int shift)
{
	char path[PATH_MAX], *a, *b;
	double t[11];
	int win, i = 0;

	snprintf(path, sizeof(path), "%s/time", getenv("SNAP_DIR") ?: "/mnt/snap");
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, LEN + page_size))
		die(path);
	write_all();
	win = shift < 0 ? fd : ioctl(fd, SNAPMAPFS_IOC_OPEN_WINDOW,
		&(struct snapmapfs_window) { .offset = shift });
	if (win < 0)
		die("window");
	t[i++] = pread_all(win);
	t[i++] = write_all();
	a = map_at(win, MAP_PRIVATE);
	t[i++] = read_all(a);
	b = map_at(win, MAP_PRIVATE);
	t[i++] = read_all(b);
	munmap(b, LEN);
	t[i++] = write_all();	/* keeps a page for a */
	t[i++] = read_all(a);
	t[i++] = write_all();
	munmap(a, LEN);
	a = map_at(win, MAP_SHARED);
	t[i++] = read_all(a);
	t[i++] = store_all(a);
	t[i++] = store_all(a);
	t[i++] = write_all();	/* takes it back */
	munmap(a, LEN);
	if (shift < 0)
		printf("%-12s", "file");
	else
		printf("%-12d", shift);
	for (i = 0; i < 11; i++)
		printf(" %7.0f", t[i]);
	printf("\n");
	close(win);
	if (win != fd)
		close(fd);
	unlink(path);
}

int main(void)
{
	static const int shifts[] = { -1, 0, 512, 1024, 2048, -2 };
	unsigned int i;

	buf = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	printf("copying a page: %.0f\n", copy_all());
	printf("window at       pread   write  priv.1  priv.2  keep    kept    again   shared  store   stored  back\n");
	one(-1);
	/* The first one warms up. */
	for (i = 0; shifts[i] != -2; i++)
		one(shifts[i]);
	return 0;
}
