/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers for the tests of what a mapping promises. The numbers the tests cite
 * (P1, L1, R2 ...) are those of the contract in Documentation/filesystems/snapmapfs.rst.
 *
 * Environment:
 *   SNAP_DIR     the directory under test            (/mnt/snap)
 *   PEER_DIR     a tmpfs to compare with             (/mnt/tmpfs)
 *   SNAP_FSTYPE  what tests mount for themselves     (snapmapfs)
 *   SNAP_SECONDS how long one stress test may stress (2)
 */
#ifndef SNAP_H
#define SNAP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"

/* What the checkers below return instead of the offset of a wrong byte. */
#define SAME	((ssize_t)-1)
#define BUS	((ssize_t)-2)

/* Lengths are signed, to compare with what the system calls return. */
static ssize_t page_size __maybe_unused;
static __thread sigjmp_buf *bus_env;

static inline const char *env_or(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

static inline const char *snap_dir(void)
{
	return env_or("SNAP_DIR", "/mnt/snap");
}

static inline const char *peer_dir(void)
{
	return env_or("PEER_DIR", "/mnt/tmpfs");
}

static inline const char *snap_fstype(void)
{
	return env_or("SNAP_FSTYPE", "snapmapfs");
}

static inline long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000L + ts.tv_nsec / 1000;
}

static inline long now_ms(void)
{
	return now_us() / 1000;
}

static inline long stress_ms(void)
{
	return atoi(env_or("SNAP_SECONDS", "2")) * 1000L;
}

/*
 * SIGBUS
 *
 * Only accesses made through the helpers survive one. Anywhere else it kills
 * the test, as it should.
 */
static void snap_on_bus(int sig)
{
	if (bus_env)
		siglongjmp(*bus_env, 1);
	/* Raised, not just returned from: the harness sends signals on. */
	signal(sig, SIG_DFL);
	raise(sig);
}

/* The fences keep gcc from dropping a store that only the handler reads. */
static inline void bus_catch(sigjmp_buf *env)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	bus_env = env;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void __attribute__((constructor)) snap_init(void)
{
	struct sigaction sa = { .sa_handler = snap_on_bus };

	page_size = sysconf(_SC_PAGESIZE);
	sigaction(SIGBUS, &sa, NULL);
}

/* The byte at @p, or BUS. */
static inline ssize_t read_byte_or_sigbus(const void *p)
{
	sigjmp_buf env;
	ssize_t byte;

	if (sigsetjmp(env, 1)) {
		bus_catch(NULL);
		return BUS;
	}
	bus_catch(&env);
	byte = __atomic_load_n((const unsigned char *)p, __ATOMIC_RELAXED);
	bus_catch(NULL);
	return byte;
}

/* Stores @byte at @p; 0, or BUS. */
static inline ssize_t write_byte_or_sigbus(void *p, unsigned char byte)
{
	sigjmp_buf env;

	if (sigsetjmp(env, 1)) {
		bus_catch(NULL);
		return BUS;
	}
	bus_catch(&env);
	__atomic_store_n((unsigned char *)p, byte, __ATOMIC_RELAXED);
	bus_catch(NULL);
	return 0;
}

/*
 * Contents
 *
 * A file's bytes are a function of a generation and the offset: two generations
 * differ in every byte, and so do two pages of one generation.
 */
static inline unsigned char gen_byte(unsigned int gen, ssize_t off)
{
	return gen * 37 + off / 4096 * 17 + off + 1;
}

/* The comparison is for gcc, which warns where it cannot see it. */
static inline void *alloc(ssize_t len)
{
	return malloc(len < 0 ? 0 : len);
}

static inline void gen_fill(void *buf, unsigned int gen, ssize_t off, ssize_t len)
{
	unsigned char *p = buf;
	ssize_t i;

	for (i = 0; i < len; i++)
		p[i] = gen_byte(gen, off + i);
}

static ssize_t __differs(const unsigned char *p, bool zero, unsigned int gen,
			 ssize_t off, ssize_t len)
{
	sigjmp_buf env;
	ssize_t i;

	if (sigsetjmp(env, 1)) {
		bus_catch(NULL);
		return BUS;
	}
	bus_catch(&env);
	for (i = 0; i < len; i++)
		if (p[i] != (zero ? 0 : gen_byte(gen, off + i)))
			break;
	bus_catch(NULL);
	return i == len ? SAME : i;
}

/*
 * Where memory at @p differs from bytes @off... of @gen: SAME, the first wrong
 * place relative to @p, or BUS.
 */
static inline ssize_t differs(const void *p, unsigned int gen, ssize_t off,
			      ssize_t len)
{
	return __differs(p, false, gen, off, len);
}

static inline ssize_t not_zero(const void *p, ssize_t len)
{
	return __differs(p, true, 0, 0, len);
}

/* The same two for the live file, by pread(); -errno or BUS if it is short. */
static ssize_t __file_differs(int fd, bool zero, unsigned int gen, ssize_t off,
			      ssize_t len)
{
	ssize_t n, ret = SAME;
	char *buf = alloc(len);

	n = pread(fd, buf, len, off);
	if (n < 0)
		ret = -1000 - errno;
	else if (n != len)
		ret = BUS;
	else
		ret = __differs((unsigned char *)buf, zero, gen, off, len);
	free(buf);
	return ret;
}

static inline ssize_t file_differs(int fd, unsigned int gen, ssize_t off,
				   ssize_t len)
{
	return __file_differs(fd, false, gen, off, len);
}

static inline ssize_t file_not_zero(int fd, ssize_t off, ssize_t len)
{
	return __file_differs(fd, true, 0, off, len);
}

/* One pwrite() of generation @gen; its result. */
static inline ssize_t write_gen(int fd, unsigned int gen, ssize_t off, ssize_t len)
{
	char *buf = alloc(len);
	ssize_t n;

	gen_fill(buf, gen, off, len);
	n = pwrite(fd, buf, len, off);
	free(buf);
	return n;
}

static inline off_t file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

/* Reads one byte of every page in; SAME or BUS. */
static inline ssize_t touch(const void *p, ssize_t len)
{
	ssize_t i;

	for (i = 0; i < len; i += page_size)
		if (read_byte_or_sigbus((const char *)p + i) == BUS)
			return BUS;
	return SAME;
}

/*
 * Sequence numbers, for tests in which many things happen at once: a page is
 * one number from end to end.
 */
#define TORN	((long)-3)

static inline void seq_fill(void *page, long seq)
{
	ssize_t i;

	for (i = 0; i < page_size / (ssize_t)sizeof(seq); i++)
		((long *)page)[i] = seq;
}

/* The number of a page, TORN if there are several, or BUS. */
static inline long seq_of(const void *page)
{
	const long *p = page;
	sigjmp_buf env;
	ssize_t i;
	long seq;

	if (sigsetjmp(env, 1)) {
		bus_catch(NULL);
		return BUS;
	}
	bus_catch(&env);
	seq = __atomic_load_n(p, __ATOMIC_RELAXED);
	for (i = 1; i < page_size / (ssize_t)sizeof(seq); i++)
		if (__atomic_load_n(p + i, __ATOMIC_RELAXED) != seq)
			break;
	bus_catch(NULL);
	return i == page_size / (ssize_t)sizeof(seq) ? seq : TORN;
}

/* One pwrite() of a whole page, from memory that is resident. */
static inline bool seq_write(int fd, int page, long seq)
{
	static __thread char *buf;

	if (!buf) {
		buf = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (buf == MAP_FAILED || mlock(buf, page_size))
			return false;
	}
	seq_fill(buf, seq);
	return pwrite(fd, buf, page_size, (off_t)page * page_size) ==
	       page_size;
}

/* Waits until *@counter has moved on by @n, but not for ever. */
static inline bool wait_for(const long *counter, long n)
{
	long start = __atomic_load_n(counter, __ATOMIC_ACQUIRE);
	long end = now_ms() + 10000;

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) - start < n) {
		if (now_ms() > end)
			return false;
		sched_yield();
	}
	return true;
}

/* Files and mappings */
struct snap {
	char path[PATH_MAX];
	int fd;
	ssize_t len;
	char *map;
};

/* A fresh file in @dir with @len bytes of generation 0. */
static inline int snap_create_in(struct snap *s, const char *dir, ssize_t len)
{
	s->map = MAP_FAILED;
	s->len = len;
	snprintf(s->path, sizeof(s->path), "%s/snap.XXXXXX", dir);
	s->fd = mkstemp(s->path);
	if (s->fd < 0)
		return -errno;
	if (len && write_gen(s->fd, 0, 0, len) != len)
		return -EIO;
	return 0;
}

static inline int snap_create(struct snap *s, ssize_t len)
{
	return snap_create_in(s, snap_dir(), len);
}

static inline void snap_destroy(struct snap *s)
{
	if (s->fd < 0)
		return;
	close(s->fd);
	unlink(s->path);
	s->fd = -1;
}

static inline void *map_private(int fd, ssize_t off, ssize_t len)
{
	return mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, off);
}

static inline void *map_shared(int fd, ssize_t off, ssize_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off);
}

/* The harness cannot compare pointers on 32 bits without a warning. */
static inline bool mapped(const void *p)
{
	return p != MAP_FAILED;
}

/* Address space that nothing else will be mapped into. */
static inline char *reserve(ssize_t len)
{
	return mmap(NULL, len, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Processes */
struct child {
	pid_t pid;
	int go;
};

/*
 * Forks a child that waits until child_finish(), then runs @fn and exits with
 * what it returns.
 */
static inline int child_start(struct child *c, int (*fn)(void *), void *arg)
{
	int p[2];
	char byte;

	*c = (struct child) { .pid = -1, .go = -1 };
	if (pipe(p))
		return -errno;
	c->pid = fork();
	if (c->pid < 0)
		return -errno;
	if (!c->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(p[1]);
		_exit(read(p[0], &byte, 1) == 1 ? fn(arg) : 99);
	}
	close(p[0]);
	c->go = p[1];
	return 0;
}

/* Exit status of @pid, or 128 and the signal that killed it. */
static inline int reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int child_finish(struct child *c)
{
	if (write(c->go, "", 1) != 1)
		return -1;
	close(c->go);
	return reap(c->pid);
}

static inline int run_child(int (*fn)(void *), void *arg)
{
	struct child c;

	return child_start(&c, fn, arg) ?: child_finish(&c);
}

/* io_uring, by hand: one request at a time */
struct uring {
	int fd;
	unsigned int *tail;
	unsigned int *head;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
};

/* 0 or -errno. */
static inline int uring_setup(struct uring *u)
{
	struct io_uring_params p = {};
	char *sq, *cq;

	*u = (struct uring) {};
	u->fd = syscall(__NR_io_uring_setup, 1, &p);
	if (u->fd < 0)
		return -errno;
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(unsigned int),
		  PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
		  IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*u->cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
		  IORING_OFF_CQ_RING);
	u->sqe = mmap(NULL, p.sq_entries * sizeof(*u->sqe),
		      PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
		      IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || u->sqe == MAP_FAILED)
		return -errno;
	u->tail = (unsigned int *)(sq + p.sq_off.tail);
	u->head = (unsigned int *)(cq + p.cq_off.head);
	u->cqe = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	*(unsigned int *)(sq + p.sq_off.array) = 0;
	return 0;
}

/* The result of one request; buffers that are registered have number 0. */
static inline int uring_rw(struct uring *u, int op, int fd, const void *buf,
			   unsigned int len, off_t off)
{
	unsigned int head = *u->head;

	*u->sqe = (struct io_uring_sqe) {
		.opcode = op,
		.fd = fd,
		.addr = (uintptr_t)buf,
		.len = len,
		.off = off,
	};
	__atomic_store_n(u->tail, *u->tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, u->fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		return -errno;
	__atomic_store_n(u->head, head + 1, __ATOMIC_RELEASE);
	/* The completion queue is twice as long as the other. */
	return u->cqe[head % 2].res;
}

/* Mounts */
#define DIR_MAX 128

/*
 * Mounts a fresh instance with @opts in a namespace of the test's own, so that
 * nothing is left behind however the test ends. 0 or -errno.
 */
static inline int snap_mount(char dir[DIR_MAX], const char *opts)
{
	snprintf(dir, DIR_MAX, "%s/snap.XXXXXX", env_or("TMPDIR", "/tmp"));
	mkdir(env_or("TMPDIR", "/tmp"), 01777);
	if (!mkdtemp(dir))
		return -errno;
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", dir, snap_fstype(), 0, opts)) {
		int err = -errno;

		rmdir(dir);
		return err;
	}
	return 0;
}

static inline void snap_umount(const char *dir)
{
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

/* Pages in use on the filesystem at @path. */
static inline long pages_used(const char *path)
{
	struct statfs st;

	if (statfs(path, &st))
		return -1;
	return (st.f_blocks - st.f_bfree) * st.f_bsize / page_size;
}

#endif /* SNAP_H */
