// SPDX-License-Identifier: GPL-2.0
/*
 * timeout: 900
 * bits: 64
 */
/*
 * Random system calls on the file system, from several processes of several
 * threads at once.
 *
 *	fuzz [--calls N] [--seconds N] [--seed N] [--procs N] [--threads N]
 *	     [--program TEXT] [--covered FILE] [--mount OPTIONS]
 *
 * A program is a short row of calls; a call is the number of an operation and
 * a number that all its arguments follow from. New programs are made up, or are
 * programs with changes that have reached code which none before had reached:
 * the kernel says what code was reached if it has KCOV and the module was built
 * with it. The seed is printed; with one process and one thread, and without
 * KCOV, the same seed makes the same calls. A thread that is stuck is shown with
 * its program, which --program runs again.
 *
 * Beside the kernel's own checkers these have to hold: what an untouched private
 * mapping shows does not change (P1, P5, P7), no call takes for ever, swapon()
 * fails, and at the end, when everything has been closed and removed, no page,
 * inode or snapshot is left, the file system can be unmounted, and kmemleak finds
 * nothing.
 *
 * Without arguments it is a short test.
 */
/* Of the harness there is no main(). */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "snap.h"
#include "leak.h"

#include <ftw.h>
#include <getopt.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/ioctl.h>
#include <linux/kcov.h>
#include <linux/userfaultfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "../../../../include/uapi/linux/snapmapfs.h"

#define PROCS		16
#define THREADS		4
#define CALLS		24		/* of a program, at most */
#define FDS		12
#define FD(slot)	(200 + (int)(slot))
#define ARENA		((char *)0x100000000000)
#define PAGES		64		/* of the arena */
#define CORPUS		4096
#define KCOV_SIZE	(64 << 10)
#define TEXT		(4 << 20)	/* the module's code is no longer */
#define WITNESSES	3
#define WITNESS_PAGES	6
#define OPS		128
#define STUCK_MS	120000

struct call {
	unsigned char op;
	uint64_t number;
};

struct program {
	int calls;
	struct call call[CALLS];
};

/* What all processes see. */
struct shared {
	long stop;
	long failed;			/* a promise was broken */
	uint64_t covered;
	uint64_t corpus;
	struct program program[CORPUS];
	unsigned char code[TEXT];
	struct slot {
		pid_t tid;
		uint64_t calls;
		uint64_t programs;
		uint64_t checked;	/* witnesses */
		int at;			/* call of the program */
		struct program now;
		uint64_t good[OPS], bad[OPS], ns[OPS];
	} slot[PROCS][THREADS];
};

static struct shared *shared;
static char base[DIR_MAX], tmp[64];
static unsigned long text, text_size;
static char static_buf[THREADS][65536];
static int pipes[2];
static int dir_fd;
static uint64_t seed = 1, want_calls = 60000, want_seconds;
static int procs = 3, threads = 2, me;
static const char *covered_file, *mount_options;

/* A thread of this process */
static __thread struct slot *self;
static __thread int thread;
static __thread char *buf;
static __thread unsigned long *kcov;
static __thread sigjmp_buf touch_env;
static __thread int touching;
static __thread int depth;

static void touch_state(int state)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&touching, state, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Numbers */

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static uint64_t draw(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15;
	return mix(*state);
}

/* One of @n. */
#define one(r, n)	((unsigned int)(draw(r) % (n)))
#define one_of(r, array) ((array)[one(r, ARRAY_SIZE(array))])

/* Some of the bits of an array of flags. */
#define some_of(r, array) __some_of(r, array, ARRAY_SIZE(array))
static unsigned long __some_of(uint64_t *r, const unsigned long *flags, int n)
{
	unsigned long got = 0;
	int i = one(r, 4);

	while (i-- > 0)
		got |= flags[one(r, n)];
	return one(r, 200) ? got : draw(r);
}

static const uint64_t edges[] = {
	0, 1, 511, 512, 4095, 4096, 4097, 0x7fffffff, 0x80000000, 0xffffffff,
	0x100000000, 0x100001000, 0x7fffffff000, 1ULL << 44, (1ULL << 44) + 1,
	0x7fffffffffffffff, 0x7ffffffffffff000, 0x7fffffffffffefff,
	0x8000000000000000, 0xffffffffffffffff, 0xfffffffffffff000,
};

static uint64_t offset(uint64_t *r)
{
	switch (one(r, 16)) {
	case 0:
		return one_of(r, edges);
	case 1 ... 5:
		return one(r, 40) * 4096;
	case 6:
		return one(r, 40) * 4096 - 1;
	default:
		return one(r, 24 * 4096);
	}
}

static uint64_t length(uint64_t *r)
{
	switch (one(r, 24)) {
	case 0:
		return one_of(r, edges);
	case 1 ... 8:
		return (1 + one(r, 8)) * 4096;
	case 9:
		return one(r, 64 * 4096);
	default:
		return one(r, 3 * 4096);
	}
}

/* A place in the arena. */
static char *place(uint64_t *r)
{
	char *p = ARENA + one(r, PAGES) * 4096;

	return one(r, 8) ? p : p + one(r, 4096);
}

/* How much of the arena from there on; never so much that it reaches our own memory. */
static uint64_t extent(uint64_t *r, const char *p)
{
	uint64_t len = (1 + one(r, 12)) * 4096, most = ARENA + PAGES * 4096 - p;

	switch (one(r, 32)) {
	case 0:
		return 0;
	case 1:
		/* Beyond the end of all address spaces, and round. */
		return one(r, 2) ? -1UL : -4096UL;
	case 2:
		len = one(r, 4096);
		break;
	case 3:
		len = most;
		break;
	}
	return len < most ? len : most;
}

/* Memory for data: the arena, or memory that is there. At most 64 KiB of that. */
static void *memory(uint64_t *r, uint64_t *len)
{
	if (one(r, 3) == 0)
		return place(r);
	if (one(r, 64) == 0)
		return (void *)(unsigned long)one_of(r, edges);
	if (*len > sizeof(static_buf[0]))
		*len = sizeof(static_buf[0]);
	return buf;
}

static int fd(uint64_t *r)
{
	switch (one(r, 64)) {
	case 0:
		return -1;
	case 1:
		return AT_FDCWD;
	case 2:
		return pipes[one(r, 2)];
	case 3:
		return dir_fd;
	default:
		return FD(one(r, FDS));
	}
}

/* Names: those at the front are files for most of the time. */
static const char *const names[] = {
	"a", "b", "c", "d", "e", "f", "a", "b", "p", "q", "p/a", "p/b", "q/a", "q/c",
	"p/r", "p/r/a", ".", "..", "", "p/..", "a/", "nowhere/a",
};

/* Four paths can be in use at the same time. */
static const char *path(uint64_t *r)
{
	static __thread char paths[4][600];
	static __thread unsigned int next;
	char *p = paths[next++ % 4];

	switch (one(r, 60)) {
	case 0:
		memset(p, 'n', 400);
		p[one(r, 2) ? 255 : 256] = '\0';
		break;
	case 1 ... 3:
		snprintf(p, 600, "%s/mp%d/%s", tmp, me % 2, one_of(r, names));
		break;
	case 5:
		snprintf(p, 600, "/proc/self/fd/%d", FD(one(r, FDS)));
		break;
	default:
		strcpy(p, one_of(r, names));
	}
	return p;
}

/* Calls */

static long said(int op, long ret)
{
	self->calls++;
	if (ret == -1)
		self->bad[op]++;
	else
		self->good[op]++;
	return ret;
}

static __thread int op_now;

#define S(nr, ...) said(op_now, syscall(SYS_##nr, ##__VA_ARGS__))

/* A new descriptor goes to a number of its own. */
static void keep(uint64_t *r, long ret)
{
	if (ret < 0 || (ret >= FD(0) && ret < FD(FDS)))
		return;
	syscall(SYS_dup3, ret, FD(one(r, FDS)), O_CLOEXEC);
	syscall(SYS_close, ret);
}

/* What was mapped elsewhere goes. */
static void keep_map(long ret, uint64_t len)
{
	char *p = (char *)ret;

	if (ret != -1 && (p < ARENA || p >= ARENA + PAGES * 4096))
		syscall(SYS_munmap, p, len);
}

static const unsigned long open_flags[] = {
	O_CREAT, O_CREAT, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECT, O_NOATIME, O_PATH,
	O_DIRECTORY, O_NOFOLLOW, O_SYNC, O_DSYNC, O_CLOEXEC, O_TMPFILE, O_ASYNC,
};

static void op_open(uint64_t *r)
{
	static const int modes[] = { O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY, 3 };
	int flags = one_of(r, modes) | some_of(r, open_flags) | O_NONBLOCK | O_NOCTTY;

	keep(r, S(openat, one(r, 32) ? AT_FDCWD : fd(r), path(r), flags, 0644 | one(r, 010000)));
}

/* Most of the files there are should be open, and have something in them. */
static void op_open_plain(uint64_t *r)
{
	long ret = S(openat, AT_FDCWD, names[one(r, 8)], O_RDWR | O_CREAT | O_NONBLOCK, 0666);

	keep(r, ret);
}

static void op_close(uint64_t *r)
{
	S(close, FD(one(r, FDS)));
}

static void op_dup(uint64_t *r)
{
	S(dup3, FD(one(r, FDS)), FD(one(r, FDS)), one(r, 2) ? O_CLOEXEC : 0);
}

static void op_read(uint64_t *r)
{
	uint64_t len = length(r);
	void *p = memory(r, &len);

	S(read, fd(r), p, len);
}

static void op_pread(uint64_t *r)
{
	uint64_t len = length(r);
	void *p = memory(r, &len);

	S(pread64, fd(r), p, len, offset(r));
}

static void op_write(uint64_t *r)
{
	uint64_t len = length(r);
	void *p = memory(r, &len);

	if (p == buf)
		buf[one(r, 65536)] = draw(r);
	S(write, fd(r), p, len);
}

static void op_pwrite(uint64_t *r)
{
	uint64_t len = length(r);
	void *p = memory(r, &len);

	if (p == buf)
		buf[one(r, 65536)] = draw(r);
	S(pwrite64, fd(r), p, len, offset(r));
}

static const unsigned long rwf[] = {
	RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND, 0x20, 0x40, 0x80, 0x100,
};

static void op_vector(uint64_t *r)
{
	struct iovec iov[4];
	int i, n = one(r, 5);

	for (i = 0; i < n; i++) {
		uint64_t len = length(r);

		iov[i].iov_base = memory(r, &len);
		iov[i].iov_len = len;
	}
	if (one(r, 2))
		S(preadv2, fd(r), iov, n, offset(r), 0, some_of(r, rwf));
	else
		S(pwritev2, fd(r), iov, n, offset(r), 0, some_of(r, rwf));
}

static void op_seek(uint64_t *r)
{
	S(lseek, fd(r), offset(r), (int)(one(r, 16) ? one(r, 6) : draw(r)));
}

static void op_truncate(uint64_t *r)
{
	if (one(r, 3))
		S(ftruncate, fd(r), offset(r));
	else
		S(truncate, path(r), offset(r));
}

static const unsigned long falloc[] = {
	FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE,
	FALLOC_FL_ZERO_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE, 0x80, 0x04,
};

static void op_fallocate(uint64_t *r)
{
	static const int usual[] = {
		0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};

	S(fallocate, fd(r), one(r, 4) ? one_of(r, usual) : (int)some_of(r, falloc), offset(r),
	  length(r));
}

static const unsigned long protections[] = {
	PROT_READ, PROT_READ, PROT_WRITE, PROT_WRITE, PROT_EXEC, 8, PROT_GROWSDOWN,
};

static const unsigned long map_flags[] = {
	MAP_POPULATE, MAP_POPULATE, MAP_LOCKED, MAP_NORESERVE, MAP_NONBLOCK, MAP_STACK,
	MAP_HUGETLB, MAP_SYNC, MAP_GROWSDOWN, MAP_DENYWRITE, MAP_EXECUTABLE, 0x4000000,
};

static void op_mmap(uint64_t *r)
{
	static const int kinds[] = {
		MAP_PRIVATE, MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED,
		MAP_SHARED_VALIDATE, 0,
	};
	char *p = (char *)((unsigned long)place(r) & ~4095UL);
	uint64_t len = extent(r, p);
	int flags = one_of(r, kinds);

	flags |= one(r, 16) ? MAP_FIXED : one(r, 2) ? MAP_FIXED_NOREPLACE : 0;
	if (one(r, 8) == 0)
		flags |= some_of(r, map_flags);
	if (one(r, 32) == 0)
		flags |= MAP_ANONYMOUS;
	/* The 2^63 of extent() is for those who take a range. */
	if (len >> 62)
		flags &= ~(MAP_FIXED | MAP_FIXED_NOREPLACE);
	keep_map(S(mmap, p, len, one(r, 3) ? PROT_READ | PROT_WRITE : some_of(r, protections),
		   flags, one(r, 16) ? FD(one(r, FDS)) : fd(r),
		   one(r, 16) ? one(r, 24) * 4096UL : offset(r)), len);
}

static void op_munmap(uint64_t *r)
{
	char *p = place(r);

	S(munmap, p, extent(r, p));
}

static void op_mprotect(uint64_t *r)
{
	char *p = place(r);

	S(mprotect, p, extent(r, p), some_of(r, protections));
}

static void op_mremap(uint64_t *r)
{
	char *p = place(r), *to = (char *)((unsigned long)place(r) & ~4095UL);
	uint64_t old = extent(r, p), new = extent(r, to);
	int flags = one(r, 3) ? MREMAP_MAYMOVE | MREMAP_FIXED : one(r, 8);

	if (new >> 62 || one(r, 4) == 0)
		new = (1 + one(r, 8)) * 4096;
	/* It must not leave the arena by growing where it is. */
	if (!(flags & MREMAP_FIXED) && p + new > ARENA + PAGES * 4096)
		return;
	if (to + new > ARENA + PAGES * 4096)
		new = ARENA + PAGES * 4096 - to;
	if (one(r, 4))
		p = (char *)((unsigned long)p & ~4095UL);
	if (one(r, 8) == 0)
		flags |= MREMAP_DONTUNMAP;
	keep_map(S(mremap, p, old, new, flags, to), new);
}

static void op_madvise(uint64_t *r)
{
	/* All but those that break memory for good. */
	static const int advice[] = {
		0, 1, 2, 3, 4, 8, 9, 9, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
		22, 23, 23, 24, 25, 26, 99, 102, 103, -1,
	};
	char *p = place(r);

	S(madvise, p, extent(r, p), one(r, 3) ? one_of(r, advice) : MADV_DONTNEED);
}

static void op_msync(uint64_t *r)
{
	char *p = place(r);

	S(msync, p, extent(r, p), one(r, 9));
}

static void op_mlock(uint64_t *r)
{
	char *p = place(r);

	if (one(r, 2))
		S(mlock2, p, extent(r, p), one(r, 3));
	else
		S(munlock, p, extent(r, p));
}

static void op_mincore(uint64_t *r)
{
	char *p = place(r);

	S(mincore, p, extent(r, p), buf);
}

static void op_remap_pages(uint64_t *r)
{
	char *p = place(r);

	S(remap_file_pages, p, extent(r, p), 0, one(r, 30), one(r, 2) ? MAP_NONBLOCK : 0);
}

static void op_mbind(uint64_t *r)
{
	unsigned long nodes = 1;
	char *p = place(r);

	S(mbind, p, extent(r, p), one(r, 6), &nodes, 8, one(r, 8));
}

static void op_move_pages(uint64_t *r)
{
	int i, nodes[8], status[8];
	void *pages[8];

	for (i = 0; i < 8; i++) {
		pages[i] = place(r);
		nodes[i] = one(r, 2);
	}
	S(move_pages, 0, 8, pages, one(r, 2) ? nodes : NULL, status, one(r, 2) ? 2 : 4);
}

/* Loads and stores */
static bool touch_one(char *p, bool store, char value)
{
	if (sigsetjmp(touch_env, 0)) {
		touch_state(0);
		said(op_now, -1);
		return false;
	}
	touch_state(1);
	if (store)
		__atomic_store_n(p, value, __ATOMIC_RELAXED);
	else
		__atomic_load_n(p, __ATOMIC_RELAXED);
	touch_state(0);
	said(op_now, 0);
	return true;
}

/* Up to the first signal: what is not mapped takes long, and none of the module. */
static void touch_some(uint64_t *r, bool store)
{
	int i, n = 1 + one(r, 8);
	char *p = place(r);

	for (i = 0; i < n && p < ARENA + PAGES * 4096; i++, p += 4096)
		if (!touch_one(p, store, i))
			return;
}

static void op_load(uint64_t *r)
{
	touch_some(r, false);
}

static void op_store(uint64_t *r)
{
	touch_some(r, true);
}

static void op_splice(uint64_t *r)
{
	loff_t in = offset(r), out = offset(r);
	int flags = SPLICE_F_NONBLOCK | one(r, 16);
	uint64_t len = length(r);

	switch (one(r, 4)) {
	case 0:
		S(splice, fd(r), one(r, 4) ? &in : NULL, pipes[1], NULL, len, flags);
		break;
	case 1:
		S(splice, pipes[0], NULL, fd(r), one(r, 4) ? &out : NULL, len, flags);
		break;
	case 2:
		S(tee, pipes[0], pipes[1], len, flags);
		break;
	default:
		S(splice, fd(r), &in, fd(r), &out, len, flags);
	}
}

static void op_vmsplice(uint64_t *r)
{
	struct iovec iov[2];
	int i;

	for (i = 0; i < 2; i++) {
		iov[i].iov_base = place(r);
		iov[i].iov_len = extent(r, iov[i].iov_base);
	}
	S(vmsplice, pipes[one(r, 2)], iov, 1 + one(r, 2), SPLICE_F_NONBLOCK | one(r, 16));
}

static void op_sendfile(uint64_t *r)
{
	off_t off = offset(r);
	uint64_t len = length(r);

	/* Not without end: the source may be what is written to. */
	S(sendfile, fd(r), fd(r), one(r, 2) ? &off : NULL, len > 1 << 20 ? 1 << 20 : len);
}

static void op_copy_range(uint64_t *r)
{
	loff_t in = offset(r), out = offset(r);
	uint64_t len = length(r);

	S(copy_file_range, fd(r), one(r, 4) ? &in : NULL, fd(r), one(r, 4) ? &out : NULL,
	  len > 1 << 20 ? 1 << 20 : len, one(r, 16) ? 0 : draw(r));
}

static void op_process_vm(uint64_t *r)
{
	uint64_t len = length(r);
	struct iovec mine = { .iov_base = memory(r, &len) };
	struct iovec other = { .iov_base = place(r) };
	pid_t pid = getpid();

	if (one(r, 2))
		pid = shared->slot[one(r, procs)][0].tid;
	mine.iov_len = len;
	other.iov_len = extent(r, other.iov_base);
	if (one(r, 2))
		S(process_vm_readv, pid, &mine, 1, &other, 1, 0);
	else
		S(process_vm_writev, pid, &mine, 1, &other, 1, 0);
}

static void op_proc_mem(uint64_t *r)
{
	char *p = place(r);
	uint64_t len = extent(r, p);
	int mem = open("/proc/self/mem", O_RDWR);

	if (len > 65536)
		len = 65536;
	if (one(r, 2))
		S(pread64, mem, buf, len, p);
	else
		S(pwrite64, mem, buf, len, p);
	close(mem);
}

/* Names */

static void op_mkdir(uint64_t *r)
{
	S(mkdirat, AT_FDCWD, path(r), 0777 & ~one(r, 0100));
}

static void op_mknod(uint64_t *r)
{
	static const int types[] = {
		S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFDIR, S_IFLNK, 0, 0170000,
	};

	/* No device that would do something. */
	S(mknodat, AT_FDCWD, path(r), one_of(r, types) | 0666, one(r, 2) ? makedev(1, 3) : 0);
}

static void op_unlink(uint64_t *r)
{
	S(unlinkat, AT_FDCWD, path(r), one(r, 3) ? 0 : AT_REMOVEDIR);
}

static void op_rename(uint64_t *r)
{
	S(renameat2, AT_FDCWD, path(r), AT_FDCWD, path(r), one(r, 2) ? 0 : one(r, 16));
}

static void op_link(uint64_t *r)
{
	static const unsigned long flags[] = { AT_SYMLINK_FOLLOW, AT_EMPTY_PATH };

	S(linkat, one(r, 8) ? AT_FDCWD : fd(r), path(r), AT_FDCWD, path(r), some_of(r, flags));
}

static void op_symlink(uint64_t *r)
{
	char target[4200];
	int len = one(r, 4) ? 0 : one(r, 8) ? one(r, 300) : 4000 + one(r, 120);

	memset(target, 't', len);
	target[len] = '\0';
	S(symlinkat, len ? target : path(r), AT_FDCWD, path(r));
}

static void op_readlink(uint64_t *r)
{
	S(readlinkat, AT_FDCWD, path(r), buf, one(r, 5000));
}

static void op_getdents(uint64_t *r)
{
	int dir = one(r, 2) ? openat(AT_FDCWD, path(r), O_RDONLY | O_DIRECTORY) : fd(r);

	if (one(r, 4) == 0)
		S(lseek, dir, one(r, 2) ? one(r, 20) : offset(r), one(r, 3));
	S(getdents64, dir, one(r, 8) ? buf : place(r), one(r, 8) ? 1024 : length(r) % 65536);
	if (dir >= 0 && dir != dir_fd && (dir < FD(0) || dir >= FD(FDS)) &&
	    dir != pipes[0] && dir != pipes[1])
		close(dir);
}

static void op_stat(uint64_t *r)
{
	static const unsigned long flags[] = {
		AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT, AT_STATX_FORCE_SYNC,
		AT_STATX_DONT_SYNC,
	};

	switch (one(r, 4)) {
	case 0:
		S(fstat, fd(r), buf);
		break;
	case 1:
		S(fstatfs, fd(r), buf);
		break;
	default:
		S(statx, one(r, 4) ? AT_FDCWD : fd(r), path(r), some_of(r, flags),
		  one(r, 4) ? 0xfff : draw(r), buf);
	}
}

static void op_attributes(uint64_t *r)
{
	struct timespec times[2] = {
		{ .tv_sec = one_of(r, edges), .tv_nsec = one(r, 4) ? 5 : UTIME_NOW },
		{ .tv_sec = one_of(r, edges), .tv_nsec = one(r, 4) ? UTIME_OMIT : draw(r) },
	};

	switch (one(r, 5)) {
	case 0:
		S(fchmodat, AT_FDCWD, path(r), one(r, 010000) | 0600);
		break;
	case 1:
		S(fchmod, fd(r), one(r, 010000) | 0600);
		break;
	case 2:
		S(fchownat, AT_FDCWD, path(r), one(r, 3) * 1000 - 1, one(r, 3) * 1000 - 1,
		  one(r, 2) ? AT_SYMLINK_NOFOLLOW : 0);
		break;
	case 3:
		S(utimensat, AT_FDCWD, path(r), one(r, 2) ? times : NULL, one(r, 3) << 8);
		break;
	default:
		S(faccessat2, AT_FDCWD, path(r), one(r, 8), one(r, 4) << 8);
	}
}

static void op_xattr(uint64_t *r)
{
	static const char *const attrs[] = {
		"user.a", "user.b", "user.c", "user.", "user", "", "trusted.a", "security.a",
		"security.capability", "system.posix_acl_access", "system.posix_acl_default",
		"system.a", "unknown.a", "trusted.overlay.opaque", "security.selinux",
	};
	static const unsigned char acl[] = {
		2, 0, 0, 0,
		1, 0, 7, 0, 255, 255, 255, 255,
		2, 0, 7, 0, 1, 0, 0, 0,
		4, 0, 4, 0, 255, 255, 255, 255,
		16, 0, 7, 0, 255, 255, 255, 255,
		32, 0, 4, 0, 255, 255, 255, 255,
	};
	const char *name = one_of(r, attrs);
	uint64_t len = one(r, 4) ? one(r, 300) : one(r, 70000);
	char *value = buf;

	if (one(r, 8) == 0) {
		memset(buf, 'x', 300);
		memcpy(buf, "user.", 5);
		buf[254 + one(r, 3)] = '\0';
		name = buf;
	}
	if (strncmp(name, "system.posix", 12) == 0 && one(r, 4)) {
		memcpy(buf, acl, sizeof(acl));
		len = one(r, 4) ? sizeof(acl) : one(r, sizeof(acl));
		if (one(r, 4) == 0)
			buf[one(r, sizeof(acl))] ^= 1 << one(r, 8);
	}
	if (one(r, 16) == 0)
		value = place(r);
	switch (one(r, 8)) {
	case 0 ... 2:
		S(lsetxattr, path(r), name, value, len, one(r, 2) ? 0 : one(r, 5));
		break;
	case 3:
		S(fsetxattr, fd(r), name, value, len, one(r, 2) ? 0 : one(r, 5));
		break;
	case 4:
		S(getxattr, path(r), name, value, one(r, 4) ? len % 65536 : 0);
		break;
	case 5:
		S(flistxattr, fd(r), value, one(r, 4) ? len % 65536 : 0);
		break;
	case 6:
		S(llistxattr, path(r), value, one(r, 4) ? len % 65536 : 0);
		break;
	default:
		S(removexattr, path(r), name);
	}
}

/* Of include/linux/falloc.h, which is not for users; fs/ioctl.c. */
struct space {
	short type, whence;
	loff_t start, len;
	unsigned int sysid, pid, pad[4];
};

#define FS_IOC_RESVSP		_IOW('X', 40, struct space)
#define FS_IOC_UNRESVSP		_IOW('X', 42, struct space)
#define FS_IOC_ZERO_RANGE	_IOW('X', 57, struct space)

static void op_ioctl(uint64_t *r)
{
	static const unsigned int commands[] = {
		FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR,
		FS_IOC_GETVERSION, FS_IOC_SETVERSION, FS_IOC_FIEMAP, FIBMAP, FIGETBSZ, FIONREAD,
		FITRIM, FICLONE, FICLONERANGE, FIDEDUPERANGE, FIONBIO, FIOASYNC, FIOQSIZE,
		FS_IOC_GETFSLABEL, FS_IOC_SETFSLABEL, FS_IOC_GETFSUUID, FS_IOC_GETFSSYSFSPATH,
		FS_IOC_ENABLE_VERITY, FS_IOC_RESVSP, FS_IOC_UNRESVSP, FS_IOC_ZERO_RANGE, TCGETS,
		0x5401, 0, 0xffffffff, FIOCLEX,
	};
	struct space space = { .whence = one(r, 4), .start = offset(r), .len = length(r) };
	unsigned int command = one(r, 8) ? one_of(r, commands) : draw(r);

	/* Flags that forbid everything are for the tests. */
	memcpy(buf, &space, sizeof(space));
	if (command == FS_IOC_SETFLAGS)
		*(int *)buf = one(r, 4) ? 0x40 : draw(r) & ~0x30;
	S(ioctl, fd(r), command, one(r, 16) ? (void *)buf : place(r));
}

/* A window is one more file to do all this with. */
static void op_window(uint64_t *r)
{
	struct snapmapfs_window w = {
		.offset = one(r, 16) ? one(r, 160) * SNAPMAPFS_WINDOW_BLOCK : offset(r),
		.length = one(r, 2) ? 0 : one(r, 16) ? one(r, 96) * SNAPMAPFS_WINDOW_BLOCK : length(r),
		.flags = one(r, 64) ? 0 : draw(r),
		.reserved = one(r, 64) ? 0 : draw(r),
	};

	keep(r, S(ioctl, fd(r), SNAPMAPFS_IOC_OPEN_WINDOW, one(r, 64) ? (void *)&w : place(r)));
}

static void op_fcntl(uint64_t *r)
{
	struct flock lock = {
		.l_type = one(r, 4), .l_whence = one(r, 4), .l_start = offset(r),
		.l_len = one(r, 2) ? length(r) : 0,
	};

	switch (one(r, 10)) {
	case 0 ... 1:
		S(fcntl, fd(r), one(r, 2) ? F_SETLK : F_GETLK, &lock);
		break;
	case 2:
		S(fcntl, fd(r), one(r, 2) ? F_OFD_SETLK : F_OFD_GETLK, &lock);
		break;
	case 3:
		S(fcntl, fd(r), F_SETLEASE, one(r, 4));
		break;
	case 4:
		S(fcntl, fd(r), F_GETLEASE, 0);
		break;
	case 5:
		S(fcntl, fd(r), F_SETFL, (one(r, 2) ? O_APPEND : 0) | O_NONBLOCK |
		  (one(r, 2) ? O_DIRECT : 0) | (one(r, 2) ? O_NOATIME : 0));
		break;
	case 6:
		S(fcntl, fd(r), one(r, 2) ? F_ADD_SEALS : F_GET_SEALS, one(r, 64));
		break;
	case 7:
		S(fcntl, fd(r), one(r, 2) ? F_SET_RW_HINT : F_GET_RW_HINT, buf);
		break;
	case 8:
		S(fcntl, fd(r), F_NOTIFY, one(r, 64));
		break;
	default:
		S(fcntl, fd(r), F_GETFL, 0);
	}
}

static void op_flock(uint64_t *r)
{
	S(flock, fd(r), one(r, 9) | LOCK_NB);
}

static void op_sync(uint64_t *r)
{
	switch (one(r, 6)) {
	case 0:
		S(fsync, fd(r));
		break;
	case 1:
		S(fdatasync, fd(r));
		break;
	case 2:
		S(sync_file_range, fd(r), offset(r), length(r), one(r, 9));
		break;
	case 3:
		S(fadvise64, fd(r), offset(r), length(r), one(r, 8));
		break;
	case 4:
		S(readahead, fd(r), offset(r), length(r));
		break;
	default:
		S(syncfs, fd(r));
	}
}

static void op_cachestat(uint64_t *r)
{
	uint64_t range[2] = { offset(r), length(r) };

	S(cachestat, fd(r), range, buf, 0);
}

static void op_handle(uint64_t *r)
{
	struct {
		struct file_handle h;
		unsigned char bytes[128];
	} handle = { .h.handle_bytes = one(r, 4) ? 128 : one(r, 200) };
	int id, ret, open_flags = O_NONBLOCK | one(r, 3);

	ret = S(name_to_handle_at, AT_FDCWD, path(r), &handle, &id,
		one(r, 4) ? 0 : one(r, 2) ? AT_HANDLE_FID : AT_EMPTY_PATH);
	if (ret)
		handle.h.handle_type = one(r, 256);
	if (one(r, 3) == 0)
		handle.bytes[one(r, 24)] ^= 1 << one(r, 8);
	if (one(r, 16) == 0)
		handle.h.handle_type = one(r, 256);
	if (one(r, 16) == 0)
		handle.h.handle_bytes = one(r, 129);
	keep(r, S(open_by_handle_at, dir_fd, &handle, open_flags));
}

static void op_notify(uint64_t *r)
{
	int fd, fan = one(r, 2);

	if (fan) {
		fd = S(fanotify_init, FAN_CLASS_NOTIF | FAN_NONBLOCK | (one(r, 2) ? 0x200 : 0),
		       O_RDONLY);
		S(fanotify_mark, fd, FAN_MARK_ADD | (one(r, 4) ? 0 : FAN_MARK_FILESYSTEM),
		  FAN_OPEN | FAN_MODIFY | FAN_ACCESS | FAN_CLOSE, AT_FDCWD, path(r));
	} else {
		fd = S(inotify_init1, IN_NONBLOCK);
		S(inotify_add_watch, fd, path(r), IN_ALL_EVENTS);
	}
	if (fd >= 0) {
		S(openat, -1, path(r), 0, 0);
		S(read, fd, buf, 4096);
		close(fd);
	}
}

static void op_uffd(uint64_t *r)
{
	char *p = place(r);
	struct uffdio_api api = { .api = UFFD_API, .features = one(r, 4) ? 1 << 15 : draw(r) };
	struct uffdio_register range = {
		.range = { (unsigned long)p & ~4095UL, 4096 * (1 + one(r, 8)) },
		.mode = one(r, 8),
	};
	struct uffdio_copy copy = {
		.dst = range.range.start, .src = (unsigned long)buf & ~4095UL, .len = 4096,
		.mode = one(r, 2),
	};
	struct uffdio_writeprotect protect = { .range = range.range, .mode = one(r, 3) };
	int fd;

	if (range.range.start + range.range.len > (unsigned long)ARENA + PAGES * 4096)
		return;
	fd = S(userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	if (S(ioctl, fd, UFFDIO_API, &api)) {
		api.features = 0;
		S(ioctl, fd, UFFDIO_API, &api);
	}
	S(ioctl, fd, UFFDIO_REGISTER, &range);
	switch (one(r, 3)) {
	case 0:
		S(ioctl, fd, UFFDIO_COPY, &copy);
		break;
	case 1:
		S(ioctl, fd, UFFDIO_WRITEPROTECT, &protect);
		break;
	default:
		S(ioctl, fd, UFFDIO_CONTINUE, &copy);
	}
	/* A fault of the other thread waits no longer than this. */
	close(fd);
}

static void op_freeze(uint64_t *r)
{
	int fd = open(one(r, 2) ? "." : tmp, O_RDONLY);

	if (one(r, 2)) {
		close(fd);
		fd = open(path(r), O_RDONLY | O_NONBLOCK);
	}
	if (fd < 0)
		return;
	S(ioctl, fd, FIFREEZE, 0);
	S(ioctl, fd, FITHAW, 0);
	close(fd);
}

static void options(uint64_t *r, char *text, size_t size)
{
	static const char *const some[] = {
		"size=1", "size=4k", "size=1m", "size=101%", "size=-1", "size=1e", "size=16e",
		"size=99999999999999999999", "size=", "size", "size=1k1", "size=%",
		"nr_inodes=10", "nr_inodes=1k", "nr_inodes=x", "nr_inodes=-1", "mode=0",
		"mode=7777", "mode=10000", "mode=9", "mode=", "uid=0", "uid=-1", "uid=4294967295",
		"uid=1000", "gid=0", "gid=x", "private=snapshot", "private=live", "private=",
		"private", "huge=always", "mpol=bind:0", "segment=4k",
		"segment=64k", "segment=5000", "noswap", "a", "a=b", "=", ",", "source=x",
	};
	int i = one(r, 4);

	text[0] = '\0';
	while (i-- > 0) {
		strcat(text, one_of(r, some));
		strcat(text, ",");
	}
	/* Not so much that we run out of memory. */
	strcat(text, one(r, 2) ? "size=1m" : "size=64k");
}

static const unsigned long mount_flags[] = {
	MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS, MS_DIRSYNC,
	MS_NOATIME, MS_NODIRATIME, MS_SILENT, MS_RELATIME, MS_STRICTATIME, MS_LAZYTIME,
	MS_NOSYMFOLLOW, MS_REMOUNT, MS_REMOUNT,
};

static void op_mount(uint64_t *r)
{
	char text[512], point[128];
	unsigned long flags;

	snprintf(point, sizeof(point), "%s/mp%d", tmp, one(r, 2));
	options(r, text, sizeof(text));
	switch (one(r, 8)) {
	case 0 ... 2:
		S(umount2, point, one(r, 2) ? MNT_DETACH : one(r, 16));
		break;
	case 3:
		/* The file system itself: limits only, and private mappings stay frozen. */
		snprintf(text, sizeof(text), "size=%um,nr_inodes=%u", 6 + one(r, 3),
			 1000 + one(r, 1000));
		S(mount, "none", base, NULL, MS_REMOUNT | (one(r, 8) ? 0 : MS_RDONLY), text);
		S(mount, "none", base, NULL, MS_REMOUNT, NULL);
		break;
	default:
		flags = some_of(r, mount_flags);
		/* Of mandatory locks the kernel says that they are gone. */
		flags &= 0x3ffffff & ~(MS_BIND | MS_MOVE | MS_MANDLOCK);
		S(mount, "none", point, snap_fstype(), flags,
		  one(r, 16) ? text : NULL + (one(r, 2) ? 0 : 1));
		break;
	}
}

static void op_fsopen(uint64_t *r)
{
	char text[512], *key, *value, *rest;
	int i, fs;

	fs = S(fsopen, snap_fstype(), one(r, 4) ? 1 : one(r, 4));
	if (fs < 0)
		return;
	options(r, text, sizeof(text));
	for (key = strtok_r(text, ",", &rest); key; key = strtok_r(NULL, ",", &rest)) {
		value = strchr(key, '=');
		if (value)
			*value++ = '\0';
		S(fsconfig, fs, one(r, 8) ? !!value : one(r, 9), key, value, 0);
	}
	if (one(r, 2)) {
		S(fsconfig, fs, 6 + one(r, 2), NULL, NULL, 0);
		i = S(fsmount, fs, one(r, 2), one(r, 2) ? 0 : one(r, 512));
		if (i >= 0) {
			S(openat, i, "a", O_CREAT, 0600);
			S(statx, i, "", AT_EMPTY_PATH, 0xfff, buf);
			close(i);
		}
	}
	S(read, fs, buf, 200);
	close(fs);
}

static void op_swapon(uint64_t *r)
{
	if (S(swapon, path(r), one(r, 2) ? 0 : one(r, 0x80000)) == 0)
		__atomic_store_n(&shared->failed, 2, __ATOMIC_RELAXED);
}

static void op_acct(uint64_t *r)
{
	S(acct, path(r));
	S(acct, NULL);
}

static void op_whole(uint64_t *r)
{
	int fd = -1;

	switch (one(r, 3)) {
	case 0:
		fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
		S(write, fd, one(r, 2) ? "1" : "2", 1);
		break;
	case 1:
		fd = open("/proc/sys/vm/compact_memory", O_WRONLY);
		S(write, fd, "1", 1);
		break;
	default:
		fd = open("/proc/self/smaps", O_RDONLY);
		S(read, fd, buf, 60000);
	}
	if (fd >= 0)
		close(fd);
}

static void run_call(const struct call *call);

/* A child has everything of ours, and does a few things more. */
static void op_fork(uint64_t *r)
{
	struct call call = { .op = 0 };
	int i, n = one(r, 6), status;
	pid_t pid;

	if (depth)
		return;
	pid = fork();
	said(op_now, pid);
	if (pid < 0)
		return;
	if (!pid) {
		depth++;
		alarm(20);
		for (i = 0; i < n; i++) {
			uint64_t number = draw(r);

			call.op = number % OPS;
			call.number = number;
			run_call(&call);
		}
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

static void op_exec(uint64_t *r)
{
	const char *file = one(r, 2) ? path(r) : "x";
	int status, self_fd, x;
	pid_t pid;

	if (depth)
		return;
	if (one(r, 8) == 0) {
		self_fd = open("/proc/self/exe", O_RDONLY);
		x = open("x", O_CREAT | O_WRONLY | O_TRUNC, 0755);
		sendfile(x, self_fd, NULL, 2 << 20);
		close(x);
		close(self_fd);
	}
	pid = vfork();
	said(op_now, pid);
	if (pid == 0) {
		execve(file, (char *[]) { "fuzz", "--nothing", NULL }, (char *[]) { NULL });
		_exit(1);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* Witnesses: private mappings that are looked at again. */
static __thread struct {
	char *map;
	uint64_t sum[WITNESS_PAGES];
} witness[WITNESSES];

static uint64_t sum_of(const char *page)
{
	const uint64_t *p = (const uint64_t *)page;
	uint64_t sum = 0;
	int i;

	if (sigsetjmp(touch_env, 0)) {
		touch_state(0);
		return 1;
	}
	touch_state(1);
	for (i = 0; i < 512; i += 7)
		sum = (sum ^ __atomic_load_n(p + i, __ATOMIC_RELAXED)) * 0x100000001b3;
	touch_state(0);
	return sum;
}

static void op_witness(uint64_t *r)
{
	int i, n = one(r, WITNESSES), file;
	struct statx stx;
	char *p;

	if (depth)
		return;
	p = witness[n].map;
	if (p) {
		if (one(r, 2))
			S(madvise, p, WITNESS_PAGES * 4096, MADV_DONTNEED);
		for (i = 0; i < WITNESS_PAGES; i++) {
			if (sum_of(p + i * 4096) == witness[n].sum[i])
				continue;
			__atomic_store_n(&shared->failed, 1, __ATOMIC_RELAXED);
			printf("# process %d, thread %d: page %d of a private mapping has changed\n",
			       me, thread, i);
			fflush(stdout);
		}
		self->checked++;
		if (one(r, 3) == 0)
			return;
		witness[n].map = NULL;
		S(munmap, p, WITNESS_PAGES * 4096);
	}
	file = S(openat, AT_FDCWD, names[one(r, 6)],
		 O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
	if (file < 0)
		return;
	p = MAP_FAILED;
	if (!statx(file, "", AT_EMPTY_PATH, STATX_TYPE, &stx) && S_ISREG(stx.stx_mode))
		p = (char *)S(mmap, NULL, WITNESS_PAGES * 4096, PROT_READ, MAP_PRIVATE, file,
			      one(r, 6) * 4096);
	close(file);
	if (p == MAP_FAILED)
		return;
	for (i = 0; i < WITNESS_PAGES; i++)
		witness[n].sum[i] = sum_of(p + i * 4096);
	witness[n].map = p;
}

static const struct {
	const char *name;
	void (*run)(uint64_t *r);
	int weight;
} ops[] = {
	{ "open", op_open, 6 },
	{ "open_plain", op_open_plain, 12 },
	{ "close", op_close, 3 },
	{ "dup", op_dup, 1 },
	{ "read", op_read, 4 },
	{ "pread", op_pread, 6 },
	{ "write", op_write, 6 },
	{ "pwrite", op_pwrite, 14 },
	{ "vector", op_vector, 6 },
	{ "seek", op_seek, 4 },
	{ "truncate", op_truncate, 8 },
	{ "fallocate", op_fallocate, 10 },
	{ "mmap", op_mmap, 24 },
	{ "munmap", op_munmap, 8 },
	{ "mprotect", op_mprotect, 4 },
	{ "mremap", op_mremap, 8 },
	{ "madvise", op_madvise, 8 },
	{ "msync", op_msync, 1 },
	{ "mlock", op_mlock, 2 },
	{ "mincore", op_mincore, 1 },
	{ "remap_pages", op_remap_pages, 1 },
	{ "mbind", op_mbind, 0 },
	{ "move_pages", op_move_pages, 0 },
	{ "load", op_load, 14 },
	{ "store", op_store, 14 },
	{ "splice", op_splice, 5 },
	{ "vmsplice", op_vmsplice, 3 },
	{ "sendfile", op_sendfile, 2 },
	{ "copy_range", op_copy_range, 3 },
	{ "process_vm", op_process_vm, 4 },
	{ "proc_mem", op_proc_mem, 2 },
	{ "mkdir", op_mkdir, 3 },
	{ "mknod", op_mknod, 2 },
	{ "unlink", op_unlink, 4 },
	{ "rename", op_rename, 5 },
	{ "link", op_link, 3 },
	{ "symlink", op_symlink, 3 },
	{ "readlink", op_readlink, 1 },
	{ "getdents", op_getdents, 3 },
	{ "stat", op_stat, 3 },
	{ "attributes", op_attributes, 4 },
	{ "xattr", op_xattr, 8 },
	{ "ioctl", op_ioctl, 4 },
	{ "window", op_window, 6 },
	{ "fcntl", op_fcntl, 4 },
	{ "flock", op_flock, 2 },
	{ "sync", op_sync, 3 },
	{ "cachestat", op_cachestat, 1 },
	{ "handle", op_handle, 3 },
	{ "notify", op_notify, 0 },
	{ "uffd", op_uffd, 2 },
	{ "freeze", op_freeze, 0 },
	{ "mount", op_mount, 0 },
	{ "fsopen", op_fsopen, 0 },
	{ "swapon", op_swapon, 0 },
	{ "acct", op_acct, 0 },
	{ "whole", op_whole, 0 },
	{ "fork", op_fork, 0 },
	{ "exec", op_exec, 0 },
	{ "witness", op_witness, 8 },
};

static unsigned char by_weight[512], rare[OPS];
static int all_weights, all_rare;

static void weigh(void)
{
	unsigned int i;
	int j;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		for (j = 0; j < ops[i].weight; j++)
			by_weight[all_weights++] = i;
		if (!ops[i].weight)
			rare[all_rare++] = i;
	}
}

static void run_call(const struct call *call)
{
	uint64_t r = call->number;
	struct timespec from, to;

	op_now = call->op % ARRAY_SIZE(ops);
	clock_gettime(CLOCK_MONOTONIC, &from);
	ops[op_now].run(&r);
	clock_gettime(CLOCK_MONOTONIC, &to);
	self->ns[op_now] += (to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec;
}

/* Programs */

static void make_call(uint64_t *r, struct call *call)
{
	/* What takes long has no weight, and is rare. */
	call->op = one(r, 250) ? by_weight[one(r, all_weights)] : rare[one(r, all_rare)];
	call->number = draw(r);
}

static void make_program(uint64_t *r, struct program *p)
{
	uint64_t known = __atomic_load_n(&shared->corpus, __ATOMIC_ACQUIRE);
	int i;

	if (known > CORPUS)
		known = CORPUS;
	if (!known || one(r, 3) == 0) {
		p->calls = 8 + one(r, CALLS - 7);
		for (i = 0; i < p->calls; i++)
			make_call(r, &p->call[i]);
		return;
	}
	*p = shared->program[one(r, known)];
	/* Another thread may be writing it; anything is a program. */
	if (p->calls < 1 || p->calls > CALLS)
		p->calls = 1;
	for (i = 1 + one(r, 4); i > 0; i--) {
		int at = one(r, p->calls);

		switch (one(r, 5)) {
		case 0:
			make_call(r, &p->call[at]);
			break;
		case 1:
			p->call[at].number = draw(r);
			break;
		case 2:
			if (p->calls < CALLS) {
				memmove(&p->call[at + 1], &p->call[at],
					(p->calls - at) * sizeof(p->call[0]));
				make_call(r, &p->call[at]);
				p->calls++;
			}
			break;
		case 3:
			if (p->calls > 1) {
				p->calls--;
				memmove(&p->call[at], &p->call[at + 1],
					(p->calls - at) * sizeof(p->call[0]));
			}
			break;
		default: {
			const struct program *other = &shared->program[one(r, known)];
			int n = other->calls;

			if (n < 1 || n > CALLS)
				break;
			for (; at < n; at++)
				p->call[at] = other->call[at];
			if (p->calls < n)
				p->calls = n;
		}
		}
	}
}

static void print_program(const struct program *p)
{
	int i;

	for (i = 0; i < p->calls && i < CALLS; i++)
		printf("%s%s:%llx", i ? "," : "", ops[p->call[i].op % ARRAY_SIZE(ops)].name,
		       (unsigned long long)p->call[i].number);
	printf("\n");
}

/* The reverse of print_program(). */
static bool read_program(char *text, struct program *p)
{
	char *word, *rest, *number;
	unsigned int i;

	p->calls = 0;
	for (word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		number = strchr(word, ':');
		if (!number || p->calls == CALLS)
			return false;
		*number++ = '\0';
		for (i = 0; i < ARRAY_SIZE(ops); i++)
			if (!strcmp(ops[i].name, word))
				break;
		if (i == ARRAY_SIZE(ops))
			return false;
		p->call[p->calls].op = i;
		p->call[p->calls++].number = strtoull(number, NULL, 16);
	}
	return p->calls;
}

/* Coverage */

static void kcov_open(void)
{
	int fd;

	if (!text)
		return;
	fd = open("/sys/kernel/debug/kcov", O_RDWR);
	if (fd < 0)
		return;
	if (!ioctl(fd, KCOV_INIT_TRACE, KCOV_SIZE)) {
		kcov = mmap(NULL, KCOV_SIZE * sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED,
			    fd, 0);
		if (kcov == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
			kcov = NULL;
	}
	/* The descriptor stays open, out of the way. */
	fcntl(fd, F_DUPFD_CLOEXEC, 300);
	close(fd);
}

/* Whether the program has reached something new. */
static bool kcov_new(void)
{
	unsigned long i, n = __atomic_load_n(kcov, __ATOMIC_RELAXED);
	bool new = false;

	for (i = 1; i <= n; i++) {
		unsigned long at = kcov[i] - text;

		if (at < text_size && !shared->code[at]) {
			shared->code[at] = 1;
			__atomic_fetch_add(&shared->covered, 1, __ATOMIC_RELAXED);
			new = true;
		}
	}
	return new;
}

static void kcov_find_text(void)
{
	char line[512];
	unsigned long size;
	FILE *file = fopen("/proc/modules", "r");
	const char *p;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "snapmapfs %lu", &size) != 1)
			continue;
		p = strstr(line, "0x");
		if (p)
			text = strtoul(p, NULL, 16);
		text_size = size < TEXT ? size : TEXT;
	}
	if (file)
		fclose(file);
}

/* Threads and processes */

static void on_fault(int sig)
{
	if (__atomic_load_n(&touching, __ATOMIC_RELAXED))
		siglongjmp(touch_env, 1);
	printf("# process %d, thread %d: signal %d\n", me, thread, sig);
	fflush(stdout);
	_exit(99);
}

static void on_poke(int sig)
{
}

static void fresh_arena(void)
{
	if (mmap(ARENA, PAGES * 4096, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		_exit(98);
}

/* Most calls want a descriptor of a file. */
static void fresh_files(void)
{
	int i, fd;

	for (i = 0; i < FDS; i++) {
		close(FD(i));
		if (i % 4 == 3)
			continue;
		fd = openat(AT_FDCWD, names[i % 6],
			    O_RDWR | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0666);
		if (fd < 0)
			continue;
		dup3(fd, FD(i), O_CLOEXEC);
		close(fd);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	remove(path);
	return 0;
}

static int show_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	ksft_print_msg("  %s: mode %o, %lu links, %lld bytes\n", path, st->st_mode,
		       (unsigned long)st->st_nlink, (long long)st->st_size);
	return 0;
}

static void remove_all(void)
{
	char names[1000], *name;
	ssize_t n;

	nftw(".", remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	/* What the root directory has counts as inodes, too. */
	while ((n = listxattr(".", names, sizeof(names))) > 0)
		for (name = names; name < names + n; name += strlen(name) + 1)
			if (removexattr(".", name))
				return;
}

static void run_program(const struct program *p, uint64_t number)
{
	bool user = number % 16 == 3;
	int i;

	self->now = *p;
	if (user) {
		setfsgid(1000);
		setfsuid(1000);
	}
	if (kcov)
		__atomic_store_n(kcov, 0, __ATOMIC_RELAXED);
	for (i = 0; i < p->calls; i++) {
		__atomic_store_n(&self->at, i, __ATOMIC_RELAXED);
		run_call(&p->call[i]);
	}
	if (user) {
		setfsuid(0);
		setfsgid(0);
	}
	if (kcov && kcov_new()) {
		uint64_t at = __atomic_fetch_add(&shared->corpus, 1, __ATOMIC_RELEASE);

		shared->program[at < CORPUS ? at : number % CORPUS] = *p;
	}
	__atomic_store_n(&self->programs, self->programs + 1, __ATOMIC_RELAXED);
}

static void *run_thread(void *arg)
{
	uint64_t state, number = 0;
	struct program p;

	thread = (long)arg;
	self = &shared->slot[me][thread];
	self->tid = syscall(SYS_gettid);
	buf = static_buf[thread];
	kcov_open();
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		state = mix(seed) ^ mix(me * THREADS + thread + 1) ^ mix(number);
		make_program(&state, &p);
		run_program(&p, number++);
		if (number % 64 == 0 && !thread) {
			fresh_files();
			fresh_arena();
		}
		if (number % 512 == 1 && !thread && !me) {
			remove_all();
			mkdir("p", 0777);
			mkdir("q", 0777);
			mkdir("p/r", 0777);
		}
	}
	return NULL;
}

static int run_process(void)
{
	pthread_t other[THREADS];
	long i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fresh_arena();
	if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
		return 97;
	dir_fd = open(".", O_RDONLY | O_CLOEXEC);
	for (i = 1; i < threads; i++)
		if (pthread_create(&other[i], NULL, run_thread, (void *)i))
			return 96;
	run_thread(NULL);
	for (i = 1; i < threads; i++)
		pthread_join(other[i], NULL);
	return 0;
}

static uint64_t total(size_t field)
{
	uint64_t sum = 0;
	int i, j;

	for (i = 0; i < PROCS; i++)
		for (j = 0; j < THREADS; j++)
			sum += __atomic_load_n((uint64_t *)((char *)&shared->slot[i][j] + field),
					       __ATOMIC_RELAXED);
	return sum;
}

#define TOTAL(field) total(offsetof(struct slot, field))

static void show_file(const char *path)
{
	char line[256];
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file))
		ksft_print_msg("  %s", line);
	if (file)
		fclose(file);
}

/* Wakes who sleeps for long; tells of who sleeps for too long. */
static bool watch(pid_t *pid, long now)
{
	static uint64_t seen[PROCS][THREADS];
	static long since[PROCS][THREADS];
	char path[64];
	int i, j;

	for (i = 0; i < procs; i++) {
		for (j = 0; j < threads; j++) {
			struct slot *s = &shared->slot[i][j];
			uint64_t programs = __atomic_load_n(&s->programs, __ATOMIC_RELAXED);

			if (programs != seen[i][j] || !since[i][j]) {
				seen[i][j] = programs;
				since[i][j] = now;
				continue;
			}
			if (!pid[i] || now - since[i][j] < 2000)
				continue;
			syscall(SYS_tgkill, pid[i], s->tid, SIGUSR1);
			if (now - since[i][j] < STUCK_MS * slow())
				continue;
			ksft_print_msg("process %d, thread %d is stuck in call %d of\n", i, j, s->at);
			printf("# ");
			print_program(&s->now);
			snprintf(path, sizeof(path), "/proc/%d/task/%d/stack", pid[i], s->tid);
			show_file(path);
			snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid[i], s->tid);
			show_file(path);
			return false;
		}
	}
	return true;
}

/* Starts them, and waits until they have made enough calls. */
static bool run_all(void)
{
	pid_t pid[PROCS] = {};
	long start = now_ms(), told = start;
	bool good = true;
	int i, status, left = 0;

	fflush(stdout);
	for (me = 0; me < procs; me++) {
		pid[me] = fork();
		if (!pid[me])
			_exit(run_process());
		left++;
	}
	while (left) {
		long now = now_ms();
		bool enough = (want_calls && TOTAL(calls) >= want_calls) ||
			      (want_seconds && now - start >= (long)want_seconds * 1000);

		if (enough || !good || shared->failed)
			__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
		if (now - told > 30000) {
			told = now;
			ksft_print_msg("%llu calls, %llu programs, %llu in the corpus, %llu places reached, %ld s\n",
				       (unsigned long long)TOTAL(calls),
				       (unsigned long long)TOTAL(programs),
				       (unsigned long long)shared->corpus,
				       (unsigned long long)shared->covered, (now - start) / 1000);
		}
		for (i = 0; i < procs; i++) {
			if (!pid[i] || waitpid(pid[i], &status, WNOHANG) != pid[i])
				continue;
			left--;
			pid[i] = 0;
			if (!status)
				continue;
			/* For want of memory it may be killed. That is not our doing. */
			ksft_print_msg("process %d: status %x\n", i, status);
			if (WIFEXITED(status))
				good = false;
		}
		if (!watch(pid, now)) {
			good = false;
			break;
		}
		usleep(50000);
	}
	for (i = 0; i < procs; i++)
		if (pid[i])
			kill(pid[i], SIGKILL);
	ksft_print_msg("%llu calls in %ld s, %llu programs, %llu looks at private mappings\n",
		       (unsigned long long)TOTAL(calls), (now_ms() - start) / 1000,
		       (unsigned long long)TOTAL(programs), (unsigned long long)TOTAL(checked));
	return good;
}

/* Afterwards */

static void show_calls(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		uint64_t good = total(offsetof(struct slot, good) + i * sizeof(uint64_t));
		uint64_t bad = total(offsetof(struct slot, bad) + i * sizeof(uint64_t));

		uint64_t ns = total(offsetof(struct slot, ns) + i * sizeof(uint64_t));

		ksft_print_msg("%-12s %10llu succeeded %10llu failed, %llu ms\n", ops[i].name,
			       (unsigned long long)good, (unsigned long long)bad,
			       (unsigned long long)ns / 1000000);
	}
}

static void save_covered(void)
{
	FILE *file = fopen(covered_file, "w");
	unsigned long i;

	for (i = 0; file && i < text_size; i++)
		if (shared->code[i])
			fprintf(file, "%lx\n", i);
	if (file)
		fclose(file);
}

static long statistic(const char *what)
{
	char path[PATH_MAX];
	struct stat st;
	long n = -1;
	FILE *file;

	if (stat(base, &st))
		return -1;
	snprintf(path, sizeof(path), "/sys/fs/snapmapfs/%u:%u/%s", major(st.st_dev),
		 minor(st.st_dev), what);
	file = fopen(path, "r");
	if (file && fscanf(file, "%ld", &n) != 1)
		n = -1;
	if (file)
		fclose(file);
	return n;
}

static bool all_free(void)
{
	struct statfs st;
	long snapshots, preserved;
	int i;

	/* What goes last may go by itself, after a while. */
	for (i = 0; i < 50; i++) {
		if (statfs(base, &st))
			return false;
		snapshots = statistic("snapshots");
		preserved = statistic("preserved_pages");
		if (st.f_bfree == st.f_blocks && st.f_ffree == st.f_files - 1 && !snapshots &&
		    !preserved)
			return true;
		usleep(100000);
	}
	ksft_print_msg("left behind: %ld pages, %ld inodes, %ld snapshots, %ld preserved pages\n",
		       (long)(st.f_blocks - st.f_bfree), (long)(st.f_files - st.f_ffree - 1),
		       snapshots, preserved);
	nftw(".", show_one, 16, FTW_PHYS);
	return false;
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		ksft_print_msg("%s: %s\n", path, strerror(errno));
	close(fd);
}

/* One program, over and over. */
static bool run_one(char *program)
{
	struct program p;
	uint64_t i, times = want_calls;

	if (!read_program(program, &p))
		ksft_exit_fail_msg("not a program\n");
	self = &shared->slot[0][0];
	buf = static_buf[0];
	fresh_arena();
	if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
		return false;
	dir_fd = open(".", O_RDONLY | O_CLOEXEC);
	for (i = 0; i < times && TOTAL(calls) < want_calls && !shared->failed; i++)
		run_program(&p, 0);
	for (i = 0; i < FDS; i++)
		close(FD(i));
	for (i = 0; i < WITNESSES; i++)
		if (witness[i].map)
			munmap(witness[i].map, WITNESS_PAGES * 4096);
	close(dir_fd);
	close(pipes[0]);
	close(pipes[1]);
	fresh_arena();
	return true;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "calls", 1, NULL, 'c' }, { "seconds", 1, NULL, 't' }, { "seed", 1, NULL, 's' },
		{ "procs", 1, NULL, 'p' }, { "threads", 1, NULL, 'n' },
		{ "program", 1, NULL, 'r' }, { "covered", 1, NULL, 'o' },
		{ "mount", 1, NULL, 'm' },
		{ "nothing", 0, NULL, 'x' }, {},
	};
	struct sigaction fault = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	struct sigaction poke = { .sa_handler = on_poke };
	char *program = NULL, point[128], opts[256];
	bool good;
	int c, i, err;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'c':
			want_calls = strtoull(optarg, NULL, 0);
			break;
		case 't':
			want_seconds = strtoull(optarg, NULL, 0);
			want_calls = 0;
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			procs = atoi(optarg);
			break;
		case 'n':
			threads = atoi(optarg);
			break;
		case 'r':
			program = optarg;
			break;
		case 'o':
			covered_file = optarg;
			break;
		case 'm':
			mount_options = optarg;
			break;
		case 'x':
			return 0;
		default:
			return 1;
		}
	}
	if (procs < 1 || procs > PROCS || threads < 1 || threads > THREADS)
		ksft_exit_fail_msg("1 to %d processes of 1 to %d threads\n", PROCS, THREADS);
	ksft_print_header();
	if (sizeof(long) == 4)
		ksft_exit_skip("an offset is more than one argument at 32 bits\n");
	ksft_set_plan(5);
	weigh();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	kcov_find_text();
	ksft_print_msg("--seed %llu --procs %d --threads %d, %s\n", (unsigned long long)seed, procs,
		       threads, access("/sys/kernel/debug/kcov", R_OK) ? "no KCOV" : "KCOV");

	for (i = 1; i < NSIG; i++)
		if (i == SIGIO || i == SIGXFSZ || i == SIGPIPE || i == SIGURG || i == SIGALRM)
			signal(i, SIG_IGN);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGUSR1, &poke, NULL);
	write_to("/proc/sys/fs/lease-break-time", "1");
	snprintf(opts, sizeof(opts), "size=8m,nr_inodes=2000,mode=777%s%s",
		 mount_options ? "," : "", mount_options ?: "");
	err = snap_mount(base, opts);
	if (err)
		ksft_exit_fail_msg("mount: %s\n", strerror(-err));
	snprintf(tmp, sizeof(tmp), "%s/fuzz.XXXXXX", env_or("TMPDIR", "/tmp"));
	if (!mkdtemp(tmp) || chdir(base))
		ksft_exit_fail_perror(tmp);
	chmod(tmp, 0755);
	for (i = 0; i < 2; i++) {
		snprintf(point, sizeof(point), "%s/mp%d", tmp, i);
		mkdir(point, 0777);
	}
	leak_begin();

	good = program ? run_one(program) : run_all();
	show_calls();
	ksft_print_msg("%llu places of the module reached, %llu programs in the corpus\n",
		       (unsigned long long)shared->covered, (unsigned long long)shared->corpus);
	if (covered_file)
		save_covered();
	ksft_test_result(good, "no_one_is_stuck\n");
	ksft_test_result(!shared->failed, "promises\n");
	if (shared->failed == 2)
		ksft_print_msg("swapon() succeeded\n");

	err = open(".", O_RDONLY);
	ioctl(err, FITHAW, 0);
	close(err);
	if (mount("none", base, NULL, MS_REMOUNT, NULL))
		ksft_print_msg("remount: %s\n", strerror(errno));
	for (i = 0; i < 2; i++) {
		snprintf(point, sizeof(point), "%s/mp%d", tmp, i);
		while (!umount2(point, MNT_DETACH))
			;
		rmdir(point);
	}
	rmdir(tmp);
	remove_all();
	ksft_test_result(all_free(), "all_is_free\n");
	ksft_test_result(!chdir("/") && !umount(base), "umount\n");
	rmdir(base);
	leak_result();
	ksft_finished();
}
