// SPDX-License-Identifier: GPL-2.0
/*
 * What has the size of a GiB: views of it, its stores, and what is freed.
 *
 * Each of these is called once and does all runs, for it takes long to make a GiB.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define PAGES (GIB / PAGE)
/* How many pages are changed while there is a view: spread over all of it. */
#define CHANGES 256L
#define STRIDE (PAGES / CHANGES)

/* A number in /proc/meminfo, in bytes. */
static double counted(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "r");
	size_t len = strlen(name);
	char line[128];
	long value = -1;

	if (!file)
		die("/proc/meminfo");
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) && line[len] == ':')
			value = atol(line + len + 1);
	fclose(file);
	if (value < 0)
		errx(1, "no %s", name);
	return value * 1024.0;
}

static void write_file(int fd, long pages)
{
	for (long done = 0; done < pages * PAGE; done += MIB)
		put(fd, buffer, pages * PAGE - done < MIB ? pages * PAGE - done : MIB, done);
}

/* A preserved page costs an entry in the version store, and is freed. */
void bench_gc(struct run *run)
{
	const long pages = 100000;

	write_file(run->fd, pages);
	for_all_runs(run) {
		char *at = map(run->fd, pages * PAGE, PROT_READ, MAP_PRIVATE);
		double start, slab;

		settle();
		slab = counted("Slab");
		write_file(run->fd, pages);
		slab = counted("Slab") - slab;
		start = now();
		unmap(at, pages * PAGE);
		report(run, "ns/page", (now() - start) / pages, "munmap, %ld pages have changed", pages);
		if (!strcmp(run->fs->name, "snapmapfs"))
			report(run, "bytes/page", slab / pages, "memory per preserved page beside the page");
		settle();
	}
}

/* Somebody who writes a page each millisecond, whatever else there is to do. */
struct writer {
	struct run *run;
	double longest;
	long writes;
	bool stop;
};

static void *write_on(void *data)
{
	struct sched_param param = { .sched_priority = 2 };
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct writer *writer = data;

	if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &param))
		errx(1, "pthread_setschedparam");
	while (!__atomic_load_n(&writer->stop, __ATOMIC_RELAXED)) {
		double start = now(), took;

		put(writer->run->fd, buffer, PAGE, (PAGES - 1) * PAGE);
		took = now() - start;
		if (took > writer->longest)
			writer->longest = took;
		__atomic_store_n(&writer->writes, writer->writes + 1, __ATOMIC_RELAXED);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* A snapshot takes every page away from those who may be writing to it. */
void bench_stall(struct run *run)
{
	char *shared, *at;
	double start;

	write_file(run->fd, PAGES);
	shared = map(run->fd, GIB, PROT_READ | PROT_WRITE, MAP_SHARED);
	for_all_runs(run) {
		struct writer writer = { .run = run };
		pthread_t thread;

		store(shared, PAGES);
		start = now();
		at = map(run->fd, GIB, PROT_READ, MAP_PRIVATE);
		report(run, "ns", now() - start, "mmap of 1 GiB that a shared mapping has written");
		unmap(at, GIB);

		store(shared, PAGES);
		if (pthread_create(&thread, NULL, write_on, &writer))
			errx(1, "pthread_create");
		/* It runs, and sleeps. */
		while (!__atomic_load_n(&writer.writes, __ATOMIC_RELAXED))
			nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
		writer.longest = 0;
		at = map(run->fd, GIB, PROT_READ, MAP_PRIVATE);
		__atomic_store_n(&writer.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		report(run, "ns", writer.longest, "longest write during that mmap");
		unmap(at, GIB);
	}
	unmap(shared, GIB);
}

/*
 * Ways to a consistent view of 1 GiB that somebody goes on writing to. A method makes
 * the view, @change changes a page, and @end drops the view.
 */
struct method {
	const char *name;
	void (*begin)(struct run *run);
	void (*view)(struct run *run);
	void (*change)(struct run *run, long page);
	void (*end)(struct run *run);
	void (*finish)(struct run *run);
};

/* The view or what it is made of; memory that the writer writes to. */
static char *view, *memory;
static pid_t child;
static int uffd, clone_fd;

static void file_begin(struct run *run)
{
	write_file(run->fd, PAGES);
}

static void file_change(struct run *run, long page)
{
	put(run->fd, buffer, PAGE, page * PAGE);
}

static void file_finish(struct run *run)
{
	if (ftruncate(run->fd, 0))
		die("ftruncate");
}

static void map_view(struct run *run)
{
	view = map(run->fd, GIB, PROT_READ, MAP_PRIVATE);
}

static void map_end(struct run *run)
{
	(void)run;
	unmap(view, GIB);
}

/* read(): into memory that is there already, which is the best case. */
static void read_begin(struct run *run)
{
	file_begin(run);
	view = map(-1, GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE);
}

static void read_view(struct run *run)
{
	for (long done = 0; done < GIB; done += MIB)
		if (pread(run->fd, view + done, MIB, done) != MIB)
			die("read");
}

static void nothing(struct run *run)
{
	(void)run;
}

static void read_finish(struct run *run)
{
	unmap(view, GIB);
	file_finish(run);
}

/* fork(): the data are in memory of the process that writes. */
static void memory_begin(struct run *run)
{
	(void)run;
	memory = map(-1, GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	/* In pages, as everywhere else. */
	madvise(memory, GIB, MADV_NOHUGEPAGE);
	store(memory, PAGES);
}

static void memory_change(struct run *run, long page)
{
	(void)run;
	memcpy(memory + page * PAGE, buffer, PAGE);
}

static void memory_finish(struct run *run)
{
	(void)run;
	unmap(memory, GIB);
}

static void fork_view(struct run *run)
{
	(void)run;
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
}

static void fork_end(struct run *run)
{
	(void)run;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* userfaultfd: all of the memory is write-protected; a thread keeps each page before its first store. */
static void protect(char *at, size_t len, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)at, .len = len },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	if (ioctl(uffd, UFFDIO_WRITEPROTECT, &wp))
		die("UFFDIO_WRITEPROTECT");
}

static void *keeper(void *kept)
{
	struct uffd_msg msg;
	long n = 0;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		char *at = (char *)(uintptr_t)(msg.arg.pagefault.address & -PAGE);

		memcpy((char *)kept + n++ % CHANGES * PAGE, at, PAGE);
		protect(at, PAGE, false);
	}
	return NULL;
}

static void uffd_begin(struct run *run)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	pthread_t thread;

	memory_begin(run);
	view = map(-1, CHANGES * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		die("userfaultfd");
	reg.range.start = (uintptr_t)memory;
	reg.range.len = GIB;
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		die("UFFDIO_REGISTER");
	if (pthread_create(&thread, NULL, keeper, view))
		errx(1, "pthread_create");
	pthread_detach(thread);
}

static void uffd_view(struct run *run)
{
	(void)run;
	protect(memory, GIB, true);
}

static void uffd_finish(struct run *run)
{
	/* The thread that reads from it stays where it is. */
	memory_finish(run);
}

/* FICLONE: a clone of the file, and a mapping of the clone. What is dirty is written first. */
static void clone_view(struct run *run)
{
	char path[300];

	snprintf(path, sizeof(path), "%s.clone", run->path);
	clone_fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (clone_fd < 0 || ioctl(clone_fd, FICLONE, run->fd))
		die("FICLONE");
	view = map(clone_fd, GIB, PROT_READ, MAP_PRIVATE);
	unlink(path);
}

static void clone_end(struct run *run)
{
	(void)run;
	unmap(view, GIB);
	close(clone_fd);
}

static const struct method methods[] = {
	{ "snapmapfs", file_begin, map_view, file_change, map_end, file_finish },
	{ "read()", read_begin, read_view, file_change, nothing, read_finish },
	{ "fork()", memory_begin, fork_view, memory_change, fork_end, memory_finish },
	{ "userfaultfd", uffd_begin, uffd_view, memory_change, nothing, uffd_finish },
};

static const struct method clone_method = {
	"FICLONE", file_begin, clone_view, file_change, clone_end, file_finish,
};

static double change_all(struct run *run, const struct method *method)
{
	double start = now();

	for (long i = 0; i < CHANGES; i++)
		method->change(run, i * STRIDE);
	return (now() - start) / CHANGES;
}

static void use(struct run *run, const struct method *method)
{
	struct fs fs = { .name = method->name };

	if (method == &clone_method)
		fs.name = strcmp(run->fs->name, "xfs") ? "FICLONE on btrfs" : "FICLONE on xfs";
	run->fs = &fs;
	method->begin(run);
	for_all_runs(run) {
		double before = change_all(run, method), free, start, after;

		settle();
		free = counted("MemFree");
		start = now();
		method->view(run);
		report(run, "ns", now() - start, "view of 1 GiB: until it is there");
		report(run, "MiB", (free - counted("MemFree")) / MIB, "view of 1 GiB: memory");
		after = change_all(run, method);
		report(run, "ns", before, "view of 1 GiB: writing 4 KiB before");
		report(run, "ns", after, "view of 1 GiB: writing 4 KiB the first time after");
		method->end(run);
		settle();
	}
	method->finish(run);
	settle();
}

void bench_view(struct run *run)
{
	const struct fs *fs = run->fs;

	if (!strcmp(fs->name, "snapmapfs")) {
		for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
			run->fs = fs;
			use(run, &methods[i]);
		}
	} else if (!strcmp(fs->name, "xfs") || !strcmp(fs->name, "btrfs")) {
		use(run, &clone_method);
	}
	run->fs = fs;
}
