// SPDX-License-Identifier: GPL-2.0
/*
 * Shared mappings: one and the same bytes as read() and write(), SIGBUS past
 * the end, and programs that run from the filesystem. (What private mappings
 * promise is in the snap_* tests.)
 */
#include "fs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static sigjmp_buf on_bus;

static void bus(int sig)
{
	(void)sig;
	siglongjmp(on_bus, 1);
}

/* Loads or stores a byte; true when that raised SIGBUS. */
static bool faults(char *p, bool store)
{
	struct sigaction old, sa = { .sa_handler = bus };
	bool hit = true;

	sigaction(SIGBUS, &sa, &old);
	if (!sigsetjmp(on_bus, 1)) {
		if (store)
			fs_store(p, 1);
		else
			fs_load(p);
		hit = false;
	}
	sigaction(SIGBUS, &old, NULL);
	return hit;
}

FIXTURE(mmap) {
	char dir[FS_PATH];
	size_t page;
	int fd;
};

FIXTURE_SETUP(mmap)
{
	ASSERT_OK(fs_enter(self->dir));
	self->page = fs_page();
	self->fd = open("f", O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN_PARENT(mmap)
{
	EXPECT_OK(fs_remove(self->dir));
}

static char *map(int fd, size_t len, int prot, off_t off)
{
	return mmap(NULL, len, prot, MAP_SHARED, fd, off);
}

#define RW (PROT_READ | PROT_WRITE)

TEST_F(mmap, coherent)
{
	const size_t page = self->page;
	char *p, *q, buf[16] = "";

	ASSERT_EQ(0, ftruncate(self->fd, 4 * page));
	p = map(self->fd, 4 * page, RW, 0);
	q = map(self->fd, 2 * page, PROT_READ, page);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);

	/* Stores are seen by read() and by the other mapping, and so on. */
	memcpy(p + page - 2, "store", 5);
	EXPECT_EQ(5, pread(self->fd, buf, 5, page - 2));
	EXPECT_STREQ("store", buf);
	EXPECT_EQ(0, memcmp(q, &"store"[2], 3));
	EXPECT_EQ(5, pwrite(self->fd, "WRITE", 5, page - 2));
	EXPECT_EQ(0, memcmp(p + page - 2, "WRITE", 5));
	EXPECT_EQ(0, memcmp(q, &"WRITE"[2], 3));

	/* A page that was mapped as a hole first. */
	EXPECT_EQ(0, fs_load(q + page));
	EXPECT_EQ(1, pwrite(self->fd, "h", 1, 2 * page));
	EXPECT_EQ('h', fs_load(q + page));
	EXPECT_EQ('h', fs_load(p + 2 * page));
	fs_store(p + 2 * page, 'i');
	EXPECT_EQ('i', fs_load(q + page));

	/* Dropping the pages of a mapping loses nothing. */
	EXPECT_EQ(0, madvise(p, 4 * page, MADV_DONTNEED));
	EXPECT_EQ('i', fs_load(p + 2 * page));
	EXPECT_EQ(0, memcmp(p + page - 2, "WRITE", 5));
	EXPECT_EQ(0, munmap(p, 4 * page));
	EXPECT_EQ(1, pread(self->fd, buf, 1, 2 * page));
	EXPECT_EQ('i', buf[0]);
}

TEST_F(mmap, between_processes)
{
	const size_t page = self->page;
	char *p;
	pid_t pid;

	ASSERT_EQ(0, ftruncate(self->fd, page));
	p = map(self->fd, page, RW, 0);
	ASSERT_NE(MAP_FAILED, p);
	pid = fork();
	if (!pid) {
		char *q = map(open("f", O_RDWR), page, RW, 0);

		fs_store(p, 'a');
		fs_store(q + 1, 'b');
		_exit(q == MAP_FAILED || pwrite(self->fd, "c", 1, 2) != 1);
	}
	EXPECT_EQ(0, fs_wait(pid));
	EXPECT_EQ(0, memcmp(p, "abc", 3));
}

TEST_F(mmap, store_to_hole_allocates)
{
	const size_t page = self->page;
	char *p;

	ASSERT_EQ(0, ftruncate(self->fd, 8 * page));
	p = map(self->fd, 8 * page, RW, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, fs_blocks("f"));
	fs_store(p + 3 * page, 1);
	EXPECT_EQ(page / 512, fs_blocks("f"));
	fs_store(p + 3 * page + 1, 1);
	fs_store(p + 7 * page, 1);
	EXPECT_EQ(2 * page / 512, fs_blocks("f"));
	EXPECT_EQ(8 * page, fs_size("f"));
}

TEST_F(mmap, past_the_end)
{
	const size_t page = self->page;
	char *p;

	ASSERT_EQ(10, pwrite(self->fd, "0123456789", 10, page));
	p = map(self->fd, 4 * page, RW, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_FALSE(faults(p, false));
	EXPECT_EQ('9', fs_load(p + page + 9));
	/* The rest of the last page is zeros, then comes SIGBUS. */
	EXPECT_EQ(page - 10, fs_run(p + page + 10, 0, page - 10));
	EXPECT_FALSE(faults(p + 2 * page - 1, true));
	EXPECT_TRUE(faults(p + 2 * page, false));
	EXPECT_TRUE(faults(p + 2 * page, true));
	EXPECT_TRUE(faults(p + 4 * page - 1, false));
	EXPECT_EQ(page + 10, fs_size("f"));

	/* What lies there becomes accessible when the file grows. */
	ASSERT_EQ(0, ftruncate(self->fd, 3 * page));
	EXPECT_FALSE(faults(p + 2 * page, true));
	EXPECT_TRUE(faults(p + 3 * page, false));
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 4 * page - 1));
	EXPECT_EQ('x', fs_load(p + 4 * page - 1));

	/* And not any more when it shrinks. */
	ASSERT_EQ(0, ftruncate(self->fd, page + 10));
	EXPECT_TRUE(faults(p + 2 * page, false));
	EXPECT_TRUE(faults(p + 4 * page - 1, true));
	EXPECT_EQ('9', fs_load(p + page + 9));
	ASSERT_EQ(0, ftruncate(self->fd, 4 * page));
	EXPECT_EQ(2 * page, fs_run(p + 2 * page, 0, 2 * page));
}

/* System calls get EFAULT where a load would get SIGBUS. */
TEST_F(mmap, past_the_end_by_system_call)
{
	const size_t page = self->page;
	char *p;
	int out;

	ASSERT_EQ(0, ftruncate(self->fd, page));
	p = map(self->fd, 2 * page, RW, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_LE(0, out = open("g", O_RDWR | O_CREAT, 0644));
	EXPECT_ERRNO(EFAULT, write(out, p + page, 10));
	EXPECT_EQ(0, fs_size("g"));
	ASSERT_EQ(10, pwrite(out, "0123456789", 10, 0));
	EXPECT_ERRNO(EFAULT, pread(out, p + page, 10, 0));
	EXPECT_EQ(10, pread(out, p + page - 10, 10, 0));
	EXPECT_EQ(0, memcmp(p + page - 10, "0123456789", 10));
}

/* A file written from a mapping of itself, also of the very same page. */
TEST_F(mmap, write_from_own_mapping)
{
	const size_t page = self->page;
	char *p, *want = malloc(2 * page);

	fs_fill(want, 2 * page, 1);
	ASSERT_EQ(2 * page, pwrite(self->fd, want, 2 * page, 0));
	p = map(self->fd, 4 * page, RW, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(page, pwrite(self->fd, p, page, 0));
	EXPECT_EQ(0, memcmp(p, want, 2 * page));
	EXPECT_EQ(2 * page, pwrite(self->fd, p, 2 * page, 2 * page));
	EXPECT_EQ(0, memcmp(p + 2 * page, want, 2 * page));
	EXPECT_EQ(page, pread(self->fd, p + page, page, 0));
	EXPECT_EQ(0, memcmp(p + page, want, page));
	EXPECT_EQ(page, pread(self->fd, p, page, 0));
	EXPECT_EQ(0, memcmp(p, want, page));
}

TEST_F(mmap, msync)
{
	const size_t page = self->page;
	char *p;

	ASSERT_EQ(0, ftruncate(self->fd, 4 * page));
	p = map(self->fd, 4 * page, RW, 0);
	ASSERT_NE(MAP_FAILED, p);
	fs_store(p, 1);
	EXPECT_EQ(0, msync(p, 4 * page, MS_SYNC));
	EXPECT_EQ(0, msync(p, 4 * page, MS_ASYNC));
	EXPECT_EQ(0, msync(p, 4 * page, MS_SYNC | MS_INVALIDATE));
	EXPECT_ERRNO(EINVAL, msync(p, 4 * page, MS_SYNC | MS_ASYNC));
	EXPECT_ERRNO(EINVAL, msync(p + 1, page, MS_SYNC));
	ASSERT_EQ(0, munmap(p + page, page));
	EXPECT_ERRNO(ENOMEM, msync(p, 4 * page, MS_SYNC));
	EXPECT_EQ(1, fs_load(p));
	/* Stores after a sync are stores like any other. */
	fs_store(p, 2);
	EXPECT_EQ(0, fsync(self->fd));
	fs_store(p, 3);
	EXPECT_EQ(1, pread(self->fd, p + 2 * page, 1, 0));
	EXPECT_EQ(3, fs_load(p + 2 * page));
}

TEST_F(mmap, refused)
{
	const size_t page = self->page;
	int rd, wr, dir;

	ASSERT_EQ(0, ftruncate(self->fd, page));
	ASSERT_LE(0, rd = open("f", O_RDONLY));
	ASSERT_LE(0, wr = open("f", O_WRONLY));
	ASSERT_LE(0, dir = open(".", O_RDONLY));
	EXPECT_ERRNO(EACCES, (long)map(rd, page, RW, 0));
	EXPECT_ERRNO(EACCES, (long)map(wr, page, PROT_READ, 0));
	EXPECT_ERRNO(EACCES, (long)map(wr, page, PROT_WRITE, 0));
	EXPECT_ERRNO(ENODEV, (long)map(dir, page, PROT_READ, 0));
	EXPECT_ERRNO(EINVAL, (long)map(self->fd, page, RW, 1));
	EXPECT_ERRNO(EINVAL, (long)map(self->fd, 0, RW, 0));
	EXPECT_ERRNO(EOPNOTSUPP, (long)mmap(NULL, page, RW,
					    MAP_SHARED_VALIDATE | MAP_SYNC,
					    self->fd, 0));
	EXPECT_NE(MAP_FAILED, map(rd, page, PROT_READ, 0));
	EXPECT_ERRNO(EACCES, mprotect(map(rd, page, PROT_READ, 0), page, RW));
	EXPECT_NE(MAP_FAILED, mmap(NULL, page, RW, MAP_PRIVATE, rd, 0));
}

TEST_F(mmap, without_descriptor_and_name)
{
	const size_t page = self->page;
	char *p;

	ASSERT_EQ(0, ftruncate(self->fd, 2 * page));
	p = map(self->fd, 2 * page, RW, 0);
	ASSERT_NE(MAP_FAILED, p);
	fs_store(p, 'a');
	ASSERT_EQ(0, close(self->fd));
	ASSERT_EQ(0, unlink("f"));
	fs_store(p + page, 'b');
	EXPECT_EQ('a', fs_load(p));
	EXPECT_EQ('b', fs_load(p + page));
	EXPECT_FALSE(fs_exists("f"));
}

TEST_F(mmap, protection_changes)
{
	const size_t page = self->page;
	char *p;

	ASSERT_EQ(0, ftruncate(self->fd, 3 * page));
	p = map(self->fd, 3 * page, PROT_READ, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, fs_load(p + page));
	ASSERT_EQ(0, mprotect(p + page, page, RW));
	fs_store(p + page, 5);
	ASSERT_EQ(0, mprotect(p + page, page, PROT_NONE));
	ASSERT_EQ(0, mprotect(p, 3 * page, PROT_READ));
	EXPECT_EQ(5, fs_load(p + page));
	EXPECT_EQ(0, fs_load(p + 2 * page));
}

TEST_F(mmap, remap)
{
	const size_t page = self->page;
	char *p, *q;

	ASSERT_EQ(0, ftruncate(self->fd, 8 * page));
	ASSERT_EQ(1, pwrite(self->fd, "e", 1, 7 * page));
	p = map(self->fd, 2 * page, RW, 0);
	ASSERT_NE(MAP_FAILED, p);
	fs_store(p, 's');
	q = mremap(p, 2 * page, 8 * page, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ('s', fs_load(q));
	EXPECT_EQ('e', fs_load(q + 7 * page));
	fs_store(q + 5 * page, 'g');
	q = mremap(q, 8 * page, 6 * page, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(1, pread(self->fd, q, 1, 5 * page));
	EXPECT_EQ('g', fs_load(q));
}

TEST_F(mmap, advice)
{
	const size_t page = self->page;
	unsigned char core[4];
	char *p;

	ASSERT_EQ(0, ftruncate(self->fd, 4 * page));
	p = map(self->fd, 4 * page, RW, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, madvise(p, 4 * page, MADV_POPULATE_WRITE));
	EXPECT_EQ(4 * page / 512, fs_blocks("f"));
	EXPECT_EQ(0, mincore(p, 4 * page, core));
	EXPECT_EQ(1, core[3] & 1);
	EXPECT_EQ(0, mlock(p, 4 * page));
	EXPECT_EQ(0, munlock(p, 4 * page));
	EXPECT_EQ(0, madvise(p, 4 * page, MADV_WILLNEED));
	EXPECT_EQ(0, madvise(p, 4 * page, MADV_RANDOM));
	EXPECT_EQ(0, madvise(p, 4 * page, MADV_COLD));
	memset(p, 'm', 4 * page);
	/* MADV_REMOVE is a hole punched in the file. */
	EXPECT_EQ(0, madvise(p + page, page, MADV_REMOVE));
	EXPECT_EQ(0, fs_load(p + page));
	EXPECT_EQ('m', fs_load(p + 2 * page));
	EXPECT_EQ(4 * page, fs_size("f"));
	/* Past the end there is nothing to populate. */
	ASSERT_EQ(0, ftruncate(self->fd, 2 * page));
	EXPECT_ERRNO(EFAULT, madvise(p, 4 * page, MADV_POPULATE_READ));
}

TEST_F(mmap, far_out)
{
	const size_t page = self->page;
	static const off_t at[] = { 1LL << 32, 1LL << 40, 1LL << 43 };
	char *p, c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		ASSERT_EQ(0, ftruncate(self->fd, at[i] + 2 * page));
		p = map(self->fd, 2 * page, RW, at[i]);
		ASSERT_NE(MAP_FAILED, p);
		fs_store(p + page, 'f');
		EXPECT_EQ(1, pread(self->fd, &c, 1, at[i] + page));
		EXPECT_EQ('f', c);
		EXPECT_EQ(page / 512, fs_blocks("f"));
		ASSERT_EQ(0, ftruncate(self->fd, at[i]));
		EXPECT_TRUE(faults(p + page, false));
		EXPECT_EQ(0, fs_blocks("f"));
	}
}

/* A private mapping starts with the file's bytes and keeps its stores. */
TEST_F(mmap, private_store_stays_private)
{
	const size_t page = self->page;
	char *p, c;

	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 0));
	ASSERT_EQ(0, ftruncate(self->fd, 2 * page));
	p = mmap(NULL, 2 * page, RW, MAP_PRIVATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('x', fs_load(p));
	fs_store(p, 'y');
	fs_store(p + page, 'z');
	EXPECT_EQ(1, pread(self->fd, &c, 1, 0));
	EXPECT_EQ('x', c);
	EXPECT_EQ(1, pread(self->fd, &c, 1, page));
	EXPECT_EQ(0, c);
	EXPECT_EQ('y', fs_load(p));
}

enum { ADDERS = 4, ADDS = 20000 };

static void *add(void *arg)
{
	atomic_int *counter = arg;
	int i;

	for (i = 0; i < ADDS; i++)
		counter[i % 2 * 1024]++;
	return NULL;
}

/* Atomic additions of several threads while others write beside them. */
TEST_F(mmap, concurrent_stores)
{
	const size_t page = self->page;
	pthread_t thread[ADDERS];
	char *p, buf[100];
	int i;

	ASSERT_EQ(0, ftruncate(self->fd, 2 * page));
	p = map(self->fd, 2 * page, RW, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < ADDERS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, add, p));
	memset(buf, 'b', sizeof(buf));
	for (i = 0; i < 500; i++) {
		ASSERT_EQ(100, pwrite(self->fd, buf, 100, 64));
		ASSERT_EQ(100, pwrite(self->fd, buf, 100, page + 64));
		ASSERT_EQ(100, pread(self->fd, buf, 100, 64));
	}
	for (i = 0; i < ADDERS; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(ADDERS * ADDS, ((atomic_int *)p)[0] + ((atomic_int *)p)[1024]);
	EXPECT_EQ(100, fs_run(p + page + 64, 'b', 100));
}

/* Faults race with a file that shrinks and grows: data or SIGBUS, no more. */
static void *shrink_and_grow(void *arg)
{
	const int fd = (intptr_t)arg;
	char buf[64];
	int i;

	memset(buf, 0x55, sizeof(buf));
	for (i = 0; i < 300; i++) {
		if (ftruncate(fd, 0) || ftruncate(fd, 4 * fs_page()) ||
		    pwrite(fd, buf, sizeof(buf), fs_page()) != sizeof(buf))
			return (void *)1;
	}
	return NULL;
}

TEST_F(mmap, faults_against_truncate)
{
	const size_t page = self->page;
	pthread_t thread;
	void *failed;
	char *p;
	int i;

	ASSERT_EQ(0, ftruncate(self->fd, 4 * page));
	p = map(self->fd, 4 * page, PROT_READ, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, pthread_create(&thread, NULL, shrink_and_grow,
				    (void *)(intptr_t)self->fd));
	for (i = 0; i < 2000; i++) {
		struct sigaction sa = { .sa_handler = bus };

		sigaction(SIGBUS, &sa, NULL);
		if (!sigsetjmp(on_bus, 1)) {
			int c = fs_load(p + page + i % 64);

			EXPECT_TRUE(c == 0 || c == 0x55);
			EXPECT_EQ(0, fs_load(p + 2 * page));
		}
	}
	pthread_join(thread, &failed);
	EXPECT_EQ(NULL, failed);
	EXPECT_EQ(64, fs_run(p + page, 0x55, 64));
}

/* The part of a program that runs from the filesystem. */
static void __attribute__((constructor)) as_program(void)
{
	const char *wait = getenv("FS_MMAP_PROGRAM");
	char c;

	if (!wait)
		return;
	if (write(1, "r", 1) == 1 && *wait == 'w')
		while (read(0, &c, 1) > 0)
			;
	_exit(42);
}

static int copy_self(const char *to)
{
	int in = open("/proc/self/exe", O_RDONLY);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	char buf[65536];
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			return -1;
	close(in);
	return n ? -1 : close(out);
}

TEST_F(mmap, program)
{
	int in[2], out[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, copy_self("program"));
	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(out));
	pid = fork();
	if (!pid) {
		setenv("FS_MMAP_PROGRAM", "wait", 1);
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		execl("program", "program", NULL);
		_exit(1);
	}
	ASSERT_EQ(1, read(out[0], &c, 1));
	/* Nobody writes to a running program, but it can go away. */
	EXPECT_ERRNO(ETXTBSY, open("program", O_WRONLY));
	EXPECT_ERRNO(ETXTBSY, truncate("program", 0));
	EXPECT_EQ(0, unlink("program"));
	ASSERT_EQ(0, close(in[1]));
	EXPECT_EQ(42, fs_wait(pid));

	/* Nor runs a program that somebody writes. */
	ASSERT_EQ(0, copy_self("program"));
	ASSERT_LE(0, open("program", O_WRONLY));
	setenv("FS_MMAP_PROGRAM", "go", 1);
	EXPECT_ERRNO(ETXTBSY, execl("program", "program", NULL));
	EXPECT_ERRNO(EACCES, execl("f", "f", NULL));
}

TEST_HARNESS_MAIN
