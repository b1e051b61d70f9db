// SPDX-License-Identifier: GPL-2.0
/* timeout: 1200 */
/*
 * Every allocation fails once, and every copy from and to the user.
 *
 * Each scenario is one operation on a small file system with three private
 * mappings of a file, each of another instant, and a shared one. It is done
 * again and again, with the first, the second ... allocation of the task
 * failing (/proc/self/fail-nth), until none is left to fail. Each time the
 * private mappings show what they showed (P1), a failed operation has changed
 * nothing, tried again it succeeds, and has the same result as without a
 * failure. Once all is removed, all pages and inodes are free.
 *
 * Needs FAULT_INJECTION with FAILSLAB, and better with FAIL_PAGE_ALLOC and
 * FAULT_INJECTION_USERCOPY.
 *
 *	fail_nth [--mount OPTIONS] [NAME...]
 *
 * runs only the scenarios that are named, on a mount with OPTIONS.
 */
/* Of the harness there is no main(). */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "held.h"
#include "win.h"
#include "image.h"
#include "leak.h"

#include <ftw.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define DATA	9		/* pages of the file, the last one in part */
#define TAIL	100
#define MAPS	3
#define TRIES	4000

static char mnt[DIR_MAX];
static int fail_fd;
static long sites, failures;

static ssize_t size_of_data(void)
{
	return (DATA - 1) * page_size + TAIL;
}

/* The file, its mappings, and what they have to show. */
static struct {
	int fd;
	int other;		/* not on the file system */
	int pipe[2];
	char *map[MAPS];	/* 0, 2: read-only; 1: with stores of its own */
	size_t mapped[MAPS];
	unsigned char show[MAPS][DATA * 4096];
	char *shared;
	unsigned char live[DATA * 4096];
	char *spare;		/* what an operation maps */
	ssize_t at;		/* where a window begins */
	int win;
	char *view;		/* a shared mapping of it */
	struct held held;	/* a store of two pages, which lasts */
	ssize_t held_at;	/* where in the file */
	bool holds;
	unsigned char *buf, *look;
	unsigned char kept[DATA * 4096];	/* what a mapping has to go on showing */
} w;

static char long_name[300], long_target[4000], big_value[60000];

/* What the next allocations are to do, and what came of it. */
static bool armed, hit;
static const sigset_t no_signals;

static int fail_after(int n)
{
	char number[16];
	int len = snprintf(number, sizeof(number), "%d", n);

	return pwrite(fail_fd, number, len, 0) == len ? 0 : -1;
}

static void arm(int n)
{
	hit = false;
	armed = n;
	if (n && fail_after(n))
		ksft_exit_fail_perror("fail-nth");
}

/*
 * Ends the injection. True if something was made to fail. The copy of this very
 * read can be what fails, and that of the write.
 */
static bool disarm(void)
{
	char number[16] = "";

	if (armed) {
		hit = pread(fail_fd, number, sizeof(number) - 1, 0) > 0 && !atoi(number);
		while (fail_after(0))
			;
		armed = false;
		/* fork() blocks all signals; what lets them in again may have failed. */
		sigprocmask(SIG_SETMASK, &no_signals, NULL);
	}
	return hit;
}

static void set_knob(const char *attr, const char *knob, const char *value)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", attr, knob);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		ksft_print_msg("%s: %s\n", path, strerror(errno));
	close(fd);
}

/* Setting up and checking, without any failures */

#define must(call) ({							\
	__auto_type __ret = (call);					\
									\
	if ((long)__ret == -1)						\
		ksft_exit_fail_msg("%s, line %d: %s\n", #call, __LINE__,	\
				   strerror(errno));			\
	__ret;								\
})

static void put(off_t off, const void *data, size_t len)
{
	must(pwrite(w.fd, data, len, off));
	memcpy(w.live + off, data, len);
}

static void put_gen(unsigned int gen, int page, int pages)
{
	gen_fill(w.buf, gen, page * page_size, pages * page_size);
	put(page * page_size, w.buf, pages * page_size);
}

static void take(int i)
{
	w.map[i] = must(mmap(NULL, DATA * page_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE, w.fd, 0));
	w.mapped[i] = DATA * page_size;
	memcpy(w.show[i], w.live, sizeof(w.live));
}

static void setup(void)
{
	memset(w.live, 0, sizeof(w.live));
	must(mkdir("w", 0755));
	must(chdir("w"));
	must(mkdir("dir", 0755));
	must(mkdir("empty", 0755));
	must(close(must(open("dir/over", O_CREAT | O_WRONLY, 0600))));
	must(symlink("file", "link"));
	w.fd = must(open("file", O_CREAT | O_RDWR, 0644));
	must(fsetxattr(w.fd, "user.one", "1", 1, 0));
	/* Data, a hole of two pages, data. */
	put_gen(1, 0, 5);
	put_gen(1, 7, 1);
	must(ftruncate(w.fd, size_of_data()));
	take(0);
	touch(w.map[0], 2 * page_size);
	touch(w.map[0] + 5 * page_size, page_size);
	put_gen(2, 1, 2);
	take(1);
	w.map[1][4 * page_size + 3] = 'o';
	w.show[1][4 * page_size + 3] = 'o';
	w.shared = must(mmap(NULL, DATA * page_size, PROT_READ | PROT_WRITE,
			     MAP_SHARED, w.fd, 0));
	w.shared[3 * page_size] = 's';
	w.live[3 * page_size] = 's';
	take(2);
	w.shared[7 * page_size + 5] = 't';
	w.live[7 * page_size + 5] = 't';
	must(pipe2(w.pipe, O_NONBLOCK));
	w.spare = MAP_FAILED;
	w.view = MAP_FAILED;
	w.win = -1;
	w.holds = false;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void cleanup(void)
{
	int i;

	for (i = 0; i < MAPS; i++)
		munmap(w.map[i], w.mapped[i]);
	munmap(w.shared, DATA * page_size);
	if (w.spare != MAP_FAILED)
		munmap(w.spare, DATA * page_size);
	if (w.view != MAP_FAILED)
		munmap(w.view, DATA * page_size);
	if (w.win >= 0)
		close(w.win);
	close(w.fd);
	close(w.pipe[0]);
	close(w.pipe[1]);
	must(chdir(".."));
	nftw("w", remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *mappings_differ(void)
{
	static char why[80];
	ssize_t off;
	int i;

	for (i = 0; i < MAPS; i++) {
		for (off = 0; off < (ssize_t)w.mapped[i]; off += page_size) {
			int byte = read_byte_or_sigbus(w.map[i] + off);

			if (byte == BUS || memcmp(w.map[i] + off, w.show[i] + off,
						  page_size)) {
				snprintf(why, sizeof(why), "mapping %d, page %zd: %s",
					 i, off / page_size,
					 byte == BUS ? "SIGBUS" : "other bytes");
				return why;
			}
		}
	}
	return NULL;
}

/* The shared mapping shows the file (L1). */
static const char *shared_differs(void)
{
	ssize_t off, size = file_size(w.fd);

	for (off = 0; off < DATA * page_size; off += page_size) {
		ssize_t n = pread(w.fd, w.look, page_size, off);
		int byte = read_byte_or_sigbus(w.shared + off);

		if (n < 0)
			return "the file cannot be read";
		if ((byte == BUS) != (off >= size))
			return "SIGBUS in the shared mapping, or none";
		if (n && memcmp(w.look, w.shared + off, n))
			return "the shared mapping is not the file";
	}
	return NULL;
}

static long number_of(const char *what)
{
	char path[PATH_MAX], text[32] = "";
	struct stat st;
	int fd;

	if (stat(mnt, &st))
		return -1;
	snprintf(path, sizeof(path), "/sys/fs/snapmapfs/%u:%u/%s",
		 major(st.st_dev), minor(st.st_dev), what);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		strcpy(text, "-1");
	close(fd);
	return atol(text);
}

static const char *not_all_free(void)
{
	static char why[120];
	struct statfs st;
	long snapshots, preserved;
	int i;

	/* A page that was pinned goes by itself, soon after the pin. */
	for (i = 0; i < 100; i++) {
		must(statfs(mnt, &st));
		snapshots = number_of("snapshots");
		preserved = number_of("preserved_pages");
		if (st.f_bfree == st.f_blocks && st.f_ffree == st.f_files - 1 &&
		    !snapshots && !preserved)
			return NULL;
		usleep(20000);
	}
	snprintf(why, sizeof(why),
		 "left behind: %ld pages, %ld inodes, %ld snapshots, %ld preserved pages",
		 (long)(st.f_blocks - st.f_bfree), (long)(st.f_files - st.f_ffree - 1),
		 snapshots, preserved);
	return why;
}

/*
 * Operations
 *
 * 0 or a number, or -1 with errno. What an operation has to clean up after
 * itself must not change errno; after a failure it has to be as before.
 */

static int keep_errno(int ret, int close_fd)
{
	int err = errno;

	if (close_fd >= 0)
		close(close_fd);
	errno = err;
	return ret;
}

static long op_create(void)
{
	int fd = open("new", O_CREAT | O_EXCL | O_WRONLY, 0600);

	return fd < 0 ? -1 : keep_errno(0, fd);
}

static long op_open(void)
{
	int fd = open("file", O_RDWR);

	return fd < 0 ? -1 : keep_errno(0, fd);
}

static long op_open_truncate(void)
{
	int fd = open("file", O_RDWR | O_TRUNC);

	return fd < 0 ? -1 : keep_errno(0, fd);
}

static long op_mkdir(void) { return mkdir("new", 0755); }
static long op_rmdir(void) { return rmdir("empty"); }
static long op_mknod(void) { return mknod("new", S_IFIFO | 0600, 0); }
static long op_symlink(void) { return symlink("file", "new"); }
static long op_symlink_long(void) { return symlink(long_name, "new"); }
static long op_symlink_page(void) { return symlink(long_target, "new"); }
static long op_link(void) { return link("file", "dir/new"); }
static long op_unlink(void) { return unlink("file"); }
static long op_rename(void) { return rename("file", "dir/new"); }
static long op_rename_over(void) { return rename("dir/over", "file"); }
static long op_rename_onto(void) { return rename("file", "dir/over"); }

static long op_rename_whiteout(void)
{
	return renameat2(AT_FDCWD, "file", AT_FDCWD, "dir/new", RENAME_WHITEOUT);
}

static long op_rename_exchange(void)
{
	return renameat2(AT_FDCWD, "file", AT_FDCWD, "dir", RENAME_EXCHANGE);
}

static long op_tmpfile(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	char path[64];
	int ret;

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = linkat(AT_FDCWD, path, AT_FDCWD, "new", AT_SYMLINK_FOLLOW);
	return keep_errno(ret, fd);
}

static long op_readdir(void)
{
	char buf[512];
	long n, got = 0;
	int fd = open(".", O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return -1;
	while ((n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0)
		got += n;
	return keep_errno(n < 0 ? -1 : got, fd);
}

static long op_stat(void)
{
	struct statfs fs;
	struct stat st;

	if (stat("file", &st) || statfs("file", &fs))
		return -1;
	return st.st_size;
}

static long op_statx(void)
{
	struct statx stx;

	if (statx(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_ALL, &stx))
		return -1;
	return stx.stx_size;
}

static long op_chmod(void) { return chmod("file", 0700); }
static long op_chown(void) { return chown("file", 12, 34); }
static long op_utimes(void) { return utimensat(AT_FDCWD, "file", NULL, 0); }

static long op_readlink(void)
{
	char target[64];

	return readlink("link", target, sizeof(target));
}

static long op_setxattr(void)
{
	return setxattr("file", "user.two", "22", 2, XATTR_CREATE);
}

static long op_setxattr_big(void)
{
	return setxattr("file", "user.big", big_value, sizeof(big_value), 0);
}

static long op_setxattr_replace(void)
{
	return setxattr("file", "user.one", big_value, 3000, XATTR_REPLACE);
}

static long op_removexattr(void) { return removexattr("file", "user.one"); }

static long op_getxattr(void)
{
	char value[8], names[64];
	long n = getxattr("file", "user.one", value, sizeof(value));

	return n < 0 ? n : listxattr("file", names, sizeof(names));
}

/* user::rwx user:1:rwx group::r-- mask::rwx other::r-- */
static const unsigned char acl[] = {
	2, 0, 0, 0,
	1, 0, 7, 0, 255, 255, 255, 255,
	2, 0, 7, 0, 1, 0, 0, 0,
	4, 0, 4, 0, 255, 255, 255, 255,
	16, 0, 7, 0, 255, 255, 255, 255,
	32, 0, 4, 0, 255, 255, 255, 255,
};

static long op_acl(void)
{
	return setxattr("file", "system.posix_acl_access", acl, sizeof(acl), 0);
}

static long op_acl_default(void)
{
	return setxattr("dir", "system.posix_acl_default", acl, sizeof(acl), 0);
}

static void pre_acl(void)
{
	must(op_acl());
	must(op_acl_default());
}

static long op_acl_inherit(void) { return mkdir("dir/new", 0777); }
static long op_acl_chmod(void) { return chmod("file", 0751); }

static long op_acl_get(void)
{
	char value[100];

	return getxattr("file", "system.posix_acl_access", value, sizeof(value));
}

/* Changing data. @w.buf has what is written; the image tells what came of it. */

static void pre_write(void)
{
	gen_fill(w.buf, 7, 0, DATA * page_size);
}

static long op_write(void) { return pwrite(w.fd, w.buf, DATA * page_size, 0); }

static long op_write_bytes(void)
{
	return pwrite(w.fd, w.buf, 100, 2 * page_size - 50);
}

static long op_write_hole(void)
{
	return pwrite(w.fd, w.buf, 2 * page_size, 5 * page_size);
}

static long op_write_behind(void)
{
	return pwrite(w.fd, w.buf, page_size, (DATA + 3) * page_size + 7);
}

/* What is appended in part is not to be appended again. */
static long op_append(void)
{
	int fd = open("file", O_WRONLY | O_APPEND);
	long n, done = 0;

	if (fd < 0)
		return -1;
	do {
		n = write(fd, w.buf + done, 2 * page_size - done);
		done += n > 0 ? n : 0;
	} while (done && done < 2 * page_size);
	return keep_errno(n < 0 ? -1 : done, fd);
}

static long op_write_new(void)
{
	int fd = open("dir/over", O_WRONLY);

	if (fd < 0)
		return -1;
	return keep_errno(write(fd, w.buf, 3 * page_size), fd);
}

static long op_writev(void)
{
	struct iovec iov[] = {
		{ w.buf, 10 }, { w.buf, page_size }, { w.buf, 2 * page_size },
	};

	return pwritev(w.fd, iov, 3, 17);
}

static long op_write_direct(void)
{
	int fd = open("file", O_RDWR | O_DIRECT);

	if (fd < 0)
		return -1;
	return keep_errno(pwrite(fd, w.buf, 3 * page_size, 0), fd);
}

/* From the very page that is written, by way of a private mapping. */
static long op_write_itself(void)
{
	return pwrite(w.fd, w.map[0], 2 * page_size, 0);
}

static long op_write_shifted(void)
{
	return pwrite(w.fd, w.map[2] + 1, 3 * page_size, 0);
}

/* Nothing of this call is left for the next one. Keeps errno. */
static void drain(void)
{
	int err = errno;
	char buf[4096];

	while (read(w.pipe[0], buf, sizeof(buf)) > 0)
		;
	errno = err;
}

static long op_splice(void)
{
	off_t off = 3 * page_size - 5;
	long n = write(w.pipe[1], w.buf, 2000);

	if (n > 0)
		n = splice(w.pipe[0], NULL, w.fd, &off, n, SPLICE_F_NONBLOCK);
	if (n < 0)
		drain();
	return n;
}

static long op_splice_out(void)
{
	off_t off = page_size;
	long n = splice(w.fd, &off, w.pipe[1], NULL, 2 * page_size, SPLICE_F_NONBLOCK);

	drain();
	return n;
}

static long op_sendfile(void)
{
	off_t off = 0;

	must(lseek(w.fd, page_size + 1, SEEK_SET));
	return sendfile(w.fd, w.other, &off, 2 * page_size);
}

static long op_copy_range(void)
{
	loff_t in = 0, out = 3 * page_size + 9;

	return copy_file_range(w.fd, &in, w.fd, &out, page_size, 0);
}

static long op_vmsplice(void)
{
	struct iovec iov = { w.map[0], 2 * page_size };
	off_t off = page_size;
	long n = vmsplice(w.pipe[1], &iov, 1, SPLICE_F_NONBLOCK);

	if (n > 0)
		n = splice(w.pipe[0], NULL, w.fd, &off, n, SPLICE_F_NONBLOCK);
	if (n < 0)
		drain();
	return n;
}

static long op_read(void)
{
	return pread(w.fd, w.buf, DATA * page_size, 0);
}

static long op_read_into_shared(void)
{
	return pread(w.other, w.shared + page_size, page_size, 0);
}

static long op_process_vm_writev(void)
{
	struct iovec from = { w.buf, 2 * page_size };
	struct iovec to = { w.shared + page_size, 2 * page_size };

	return process_vm_writev(getpid(), &from, 1, &to, 1, 0);
}

static long op_process_vm_readv(void)
{
	struct iovec to = { w.buf, DATA * page_size };
	struct iovec from = { w.map[0], DATA * page_size };
	long n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	if (n > 0 && memcmp(w.buf, w.show[0], n)) {
		errno = EUCLEAN;
		return -1;
	}
	return n;
}

static long op_shrink(void) { return ftruncate(w.fd, page_size + 10); }
static long op_empty(void) { return truncate("file", 0); }
static long op_grow(void) { return ftruncate(w.fd, 20 * page_size); }

/* A store behind the end, which must not become data. */
static void pre_tail(void)
{
	w.shared[size_of_data() + 50] = 'x';
}

static long op_allocate(void)
{
	return fallocate(w.fd, 0, 2 * page_size, (DATA + 5) * page_size);
}

static long op_allocate_keep(void)
{
	return fallocate(w.fd, FALLOC_FL_KEEP_SIZE, 5 * page_size,
			 (DATA + 5) * page_size);
}

static long op_punch(void)
{
	return fallocate(w.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 page_size - 20, 3 * page_size);
}

static long op_punch_bytes(void)
{
	return fallocate(w.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 page_size + 20, 30);
}

static long op_zero(void)
{
	return fallocate(w.fd, FALLOC_FL_ZERO_RANGE, page_size / 2,
			 (DATA + 2) * page_size);
}

static long op_madv_remove(void)
{
	return madvise(w.shared + page_size, 3 * page_size, MADV_REMOVE);
}

/* Stores and loads: a fault that cannot be served is taken again. */

static long store_all(char *map)
{
	long i;

	for (i = 0; i < DATA; i++) {
		if (write_byte_or_sigbus(map + i * page_size + 9, 'z')) {
			errno = EFAULT;
			return -1;
		}
	}
	return 0;
}

static long op_store(void) { return store_all(w.shared); }

static long op_store_private(void)
{
	long i;

	if (store_all(w.map[0]))
		return -1;
	for (i = 0; i < DATA; i++)
		w.show[0][i * page_size + 9] = 'z';
	return 0;
}

static long op_load(void)
{
	const char *why = mappings_differ();

	errno = EUCLEAN;
	return why ? -1 : 0;
}

static long op_load_shared(void)
{
	errno = EFAULT;
	return touch(w.shared, DATA * page_size) == SAME ? 0 : -1;
}

/* Changed after the mappings were made, so that these are served by versions. */
static void pre_changed(void)
{
	put_gen(5, 0, 5);
	must(fallocate(w.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       3 * page_size, 2 * page_size));
}

static void pre_cut(void)
{
	must(ftruncate(w.fd, page_size / 2));
}

/* Mappings */

static long op_map(void)
{
	long i;

	w.spare = mmap(NULL, DATA * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		       w.fd, 0);
	if (w.spare == MAP_FAILED)
		return -1;
	for (i = 0; i < DATA; i++) {
		if (memcmp(w.spare + i * page_size, w.live + i * page_size, page_size)) {
			errno = EUCLEAN;
			return -1;
		}
	}
	return 0;
}

static long op_map_populate(void)
{
	w.spare = mmap(NULL, DATA * page_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_POPULATE, w.fd, 0);
	return w.spare == MAP_FAILED ? -1 : 0;
}

static long op_map_shared(void)
{
	w.spare = mmap(NULL, DATA * page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       w.fd, 0);
	return w.spare == MAP_FAILED ? -1 : 0;
}

/* In the place of another mapping, which goes only if the new one comes. */
static long op_map_fixed(void)
{
	char *p = mmap(w.map[2], 2 * page_size, PROT_READ, MAP_PRIVATE | MAP_FIXED,
		       w.fd, 2 * page_size);

	if (p == MAP_FAILED)
		return -1;
	memcpy(w.show[2], w.live + 2 * page_size, 2 * page_size);
	return 0;
}

/* The middle goes. What is left is looked at by its bytes. */
static long op_unmap_part(void)
{
	long i;

	if (munmap(w.map[0] + 2 * page_size, 3 * page_size))
		return -1;
	for (i = 0; i < DATA; i++) {
		if (i >= 2 && i < 5)
			continue;
		if (memcmp(w.map[0] + i * page_size, w.show[0] + i * page_size,
			   page_size)) {
			errno = EUCLEAN;
			return -1;
		}
	}
	/* For the checks: the same bytes, from elsewhere. */
	disarm();
	must(mmap(w.map[0] + 2 * page_size, 3 * page_size, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	memcpy(w.map[0] + 2 * page_size, w.show[0] + 2 * page_size, 3 * page_size);
	return 0;
}

static long op_unmap(void)
{
	if (munmap(w.map[0], w.mapped[0]))
		return -1;
	w.mapped[0] = 0;
	return 0;
}

static long op_protect(void)
{
	if (mprotect(w.map[0] + page_size, page_size, PROT_READ))
		return -1;
	return mprotect(w.map[0] + page_size, page_size, PROT_READ | PROT_WRITE);
}

static long op_protect_shared(void)
{
	if (mprotect(w.shared + page_size, page_size, PROT_READ))
		return -1;
	return mprotect(w.shared + page_size, page_size, PROT_READ | PROT_WRITE);
}

static long op_move(void)
{
	char *p = mremap(w.map[0], w.mapped[0], w.mapped[0],
			 MREMAP_MAYMOVE | MREMAP_FIXED, w.spare);

	if (p == MAP_FAILED)
		return -1;
	w.map[0] = p;
	w.spare = MAP_FAILED;
	return 0;
}

static void pre_move(void)
{
	w.spare = reserve(2 * DATA * page_size);
}

static long op_shrink_map(void)
{
	if (mremap(w.map[0], w.mapped[0], 3 * page_size, 0) == MAP_FAILED)
		return -1;
	w.mapped[0] = 3 * page_size;
	return 0;
}

/* Grows a mapping of one page; each new page is frozen when it is touched. */
static void pre_grow(void)
{
	w.spare = must(mmap(NULL, page_size, PROT_READ, MAP_PRIVATE, w.fd, 0));
}

static long op_grow_map(void)
{
	char *p = mremap(w.spare, page_size, DATA * page_size, MREMAP_MAYMOVE);

	if (p == MAP_FAILED)
		return -1;
	w.spare = p;
	if (touch(p, DATA * page_size) != SAME || memcmp(p, w.live, DATA * page_size)) {
		errno = EUCLEAN;
		return -1;
	}
	return 0;
}

static long op_dontneed(void)
{
	if (madvise(w.map[0], DATA * page_size, MADV_DONTNEED))
		return -1;
	return op_load();
}

static long op_populate(void)
{
	return madvise(w.map[0], DATA * page_size, MADV_POPULATE_READ);
}

static long op_populate_shared(void)
{
	return madvise(w.shared, DATA * page_size, MADV_POPULATE_WRITE);
}

static long op_mlock(void)
{
	if (mlock(w.map[2], DATA * page_size))
		return -1;
	return munlock(w.map[2], DATA * page_size);
}

static long op_mincore(void)
{
	unsigned char vec[DATA];

	return mincore(w.map[0], DATA * page_size, vec);
}

static long op_msync(void) { return msync(w.shared, DATA * page_size, MS_SYNC); }
static long op_fsync(void) { return fsync(w.fd); }

static long op_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid)
		_exit(mappings_differ() ? 1 : 0);
	errno = EUCLEAN;
	return reap(pid) ? -1 : 0;
}

static long op_fork_and_write(void)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -1;
	if (!pid) {
		char byte = 0;
		int n = read(w.pipe[0], &byte, 1);

		while (n < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = w.pipe[0], .events = POLLIN };

			poll(&p, 1, -1);
			n = read(w.pipe[0], &byte, 1);
		}
		_exit(mappings_differ() ? 1 : 0);
	}
	while (pwrite(w.fd, w.buf, DATA * page_size, 0) != DATA * page_size)
		;
	while (write(w.pipe[1], "", 1) != 1)
		;
	status = reap(pid);
	errno = EUCLEAN;
	return status ? -1 : 0;
}

/* The program is this one, run from the file system. */
static int exec_n;

/* REFUSED and errno: refused, since something failed. */
enum { RAN = 10, RAN_NEVERTHELESS, REFUSED_FOR_NOTHING, REFUSED };

static void pre_exec(void)
{
	int from = must(open("/proc/self/exe", O_RDONLY));
	int to = must(open("prog", O_CREAT | O_WRONLY, 0755));

	while (must(sendfile(to, from, NULL, 1 << 20)) > 0)
		;
	close(from);
	close(to);
}

/* What is to fail fails in the child, which tells by its status. */
static long op_exec(void)
{
	int status;
	pid_t pid;

	disarm();
	pid = must(fork());
	if (!pid) {
		close(fail_fd);
		fail_fd = open("/proc/self/fail-nth", O_RDWR);
		arm(exec_n);
		execve("prog", (char *[]) { "prog", "--exec", NULL }, (char *[]) { NULL });
		status = errno;
		_exit(disarm() && status < 100 ? REFUSED + status : REFUSED_FOR_NOTHING);
	}
	status = reap(pid);
	hit = exec_n && status != RAN && status != REFUSED_FOR_NOTHING;
	if (status == RAN || status == RAN_NEVERTHELESS)
		return 0;
	/* A task that cannot go on after the point of no return is killed, or its C library ends it. */
	errno = status > 128 || status == 127 ? ENOMEM : status > REFUSED ? status - REFUSED : EUCLEAN;
	return -1;
}

static int exec_child(void)
{
	fail_fd = open("/proc/self/fail-nth", O_RDWR);
	armed = true;
	return disarm() ? RAN_NEVERTHELESS : RAN;
}

/* Windows. Each that is at another place in a page has a view of its own. */

static int open_window(ssize_t at)
{
	struct snapmapfs_window window = { .offset = at };

	return ioctl(w.fd, SNAPMAPFS_IOC_OPEN_WINDOW, &window);
}

/* A window and its view, of which no page has been made yet. */
static void pre_window(ssize_t at)
{
	w.at = at;
	w.win = must(open_window(at));
	w.view = must(mmap(NULL, DATA * page_size, PROT_READ | PROT_WRITE, MAP_SHARED, w.win,
			   0));
	gen_fill(w.buf, 7, 0, DATA * page_size);
}

static void pre_window_512(void) { pre_window(512); }
static void pre_window_1024(void) { pre_window(1024); }
static void pre_window_2048(void) { pre_window(2048); }

/* Whole pages of it that are within the file. */
#define SHOWN	(DATA - 2)

/* The file lends its pages to the view, which is stored to. */
static void lend(void)
{
	long i;

	for (i = 0; i < SHOWN; i++) {
		w.view[i * page_size + 77] = 'v';
		w.live[w.at + i * page_size + 77] = 'v';
	}
}

/* Who takes an image takes the pages back: they are lent again after it. */
static void pre_lent(void)
{
	pre_window(512);
	lend();
}

/* A private mapping of the window whose file has changed since. */
static void pre_window_changed(void)
{
	pre_window(1024);
	w.spare = must(mmap(NULL, DATA * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, w.win,
			    0));
	memcpy(w.kept, w.live + w.at, SHOWN * page_size);
	put_gen(5, 0, 5);
	must(fallocate(w.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * page_size,
		       2 * page_size));
}

static long op_window_open(void)
{
	int fd = open_window(512);

	return fd < 0 ? -1 : keep_errno(0, fd);
}

/* Of a view that there is not yet. */
static long op_window_map(void)
{
	if (w.win < 0)
		w.win = open_window(512);
	if (w.win < 0)
		return -1;
	w.spare = mmap(NULL, DATA * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, w.win, 0);
	if (w.spare == MAP_FAILED)
		return -1;
	errno = EUCLEAN;
	return memcmp(w.spare, w.live + 512, SHOWN * page_size) ? -1 : 0;
}

static long op_window_map_shared(void)
{
	if (w.win < 0)
		w.win = open_window(2048);
	if (w.win < 0)
		return -1;
	w.spare = mmap(NULL, DATA * page_size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, w.win, 0);
	return w.spare == MAP_FAILED ? -1 : 0;
}

static long differs_from_live(const char *map, ssize_t at)
{
	if (touch(map, SHOWN * page_size) != SAME) {
		errno = EFAULT;
		return -1;
	}
	errno = EUCLEAN;
	return memcmp(map, w.live + at, SHOWN * page_size) ? -1 : 0;
}

/* In a row, so that pages are made ahead. */
static long op_window_load(void) { return differs_from_live(w.view, w.at); }

static long op_window_load_back(void)
{
	long i;

	for (i = SHOWN - 1; i >= 0; i--) {
		if (memcmp(w.view + i * page_size, w.live + w.at + i * page_size, page_size)) {
			errno = EUCLEAN;
			return -1;
		}
	}
	return 0;
}

static long op_window_load_old(void)
{
	if (touch(w.spare, SHOWN * page_size) != SAME) {
		errno = EFAULT;
		return -1;
	}
	errno = EUCLEAN;
	return memcmp(w.spare, w.kept, SHOWN * page_size) ? -1 : 0;
}

static long op_window_store(void)
{
	long i;

	for (i = 0; i < SHOWN; i++) {
		if (write_byte_or_sigbus(w.view + i * page_size + 9, 'z')) {
			errno = EFAULT;
			return -1;
		}
		w.live[w.at + i * page_size + 9] = 'z';
	}
	return 0;
}

/* What the shared mapping of the file shows is lent to the view, and back. */
static long op_window_to_and_fro(void)
{
	long i;

	for (i = 0; i < 3; i++) {
		if (write_byte_or_sigbus(w.view + page_size + i, '1') ||
		    write_byte_or_sigbus(w.shared + page_size + 600 + i, '2')) {
			errno = EFAULT;
			return -1;
		}
	}
	return 0;
}

static long op_window_read(void)
{
	return pread(w.win, w.buf, SHOWN * page_size, 0);
}

static long op_window_write(void)
{
	return pwrite(w.win, w.buf, 3 * page_size, page_size);
}

static long op_write_from_view(void)
{
	return pwrite(w.fd, w.view, 2 * page_size, 3 * page_size);
}

static long op_window_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid)
		_exit(differs_from_live(w.view, w.at) ? 1 : 0);
	errno = EUCLEAN;
	return reap(pid) ? -1 : 0;
}

static long op_window_grow_map(void)
{
	char *p = mremap(w.spare, page_size, SHOWN * page_size, MREMAP_MAYMOVE);

	if (p == MAP_FAILED)
		return -1;
	w.spare = p;
	return differs_from_live(p, w.at);
}

static void pre_window_grow_map(void)
{
	pre_window(1024);
	w.spare = must(mmap(NULL, page_size, PROT_READ, MAP_PRIVATE, w.win, 0));
}

/* Two that grow: what one has brought is kept for the other as it changes. */
static void pre_grown(void)
{
	pre_write();
	w.spare = must(mmap(NULL, page_size, PROT_READ, MAP_PRIVATE, w.fd, 0));
	w.spare = must(mremap(w.spare, page_size, DATA * page_size, MREMAP_MAYMOVE));
	touch(w.spare, DATA * page_size);
	memcpy(w.kept, w.live, DATA * page_size);
}

static long op_grown_and_write(void)
{
	long n = pwrite(w.fd, w.buf, DATA * page_size, 0);
	int err = errno;

	if (memcmp(w.spare, w.kept, DATA * page_size)) {
		errno = EUCLEAN;
		return -1;
	}
	errno = err;
	return n;
}

/*
 * Stores that come late: they have pages of the view pinned while others take
 * these back.
 */

static void hold(char *map, ssize_t at)
{
	int err = held_start(&w.held, map, 2, page_size, false);

	if (err)
		ksft_exit_fail_msg("a store cannot be held: %s\n", strerror(-err));
	w.held_at = at;
	w.holds = true;
}

static void hold_view(void)
{
	lend();
	hold(w.view, w.at);
}

/* Of pages of the file, which the view is to show. */
static void hold_file(void)
{
	hold(w.shared + page_size, page_size);
}

/* Now they come, and have to be in the file. */
static void let_go(void)
{
	int i;

	if (!w.holds)
		return;
	w.holds = false;
	for (i = 0; i < 2; i++)
		if (!held_feed(&w.held, i, 11, w.held_at + i * page_size))
			ksft_exit_fail_msg("a store that was held fails\n");
	gen_fill(w.live + w.held_at, 11, w.held_at, 2 * page_size);
	close(w.held.uffd);
	munmap(w.held.local, 2 * page_size);
}

/* Ends an operation while which a store was held. Keeps errno. */
static long then_let_go(long ret)
{
	int err = errno;

	disarm();
	if (ret >= 0)
		let_go();
	errno = err;
	return ret;
}

static long op_late_load(void) { return then_let_go(op_window_load()); }

static long op_late_read(void)
{
	return then_let_go(pread(w.fd, w.buf, DATA * page_size, 0));
}

static long op_late_write(void)
{
	return then_let_go(pwrite(w.fd, w.buf, 2 * page_size, 4 * page_size - 1000));
}

static long op_late_punch(void) { return then_let_go(op_punch()); }
static long op_late_shrink(void) { return then_let_go(op_shrink()); }
static long op_late_sync(void) { return then_let_go(msync(w.view, DATA * page_size, MS_SYNC)); }

/* Of the instant before. */
static long op_late_map(void)
{
	long ret = op_map();

	if (!ret)
		memcpy(w.kept, w.live, sizeof(w.live));
	ret = then_let_go(ret);
	if (!ret && memcmp(w.spare, w.kept, DATA * page_size)) {
		errno = EUCLEAN;
		return -1;
	}
	return ret;
}

/* Another view has to have what the file has. */
static void pre_other_view(void)
{
	int fd = must(open_window(1024));

	pre_lent();
	w.spare = must(mmap(NULL, DATA * page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	close(fd);
}

static long op_late_other_view(void)
{
	long ret = differs_from_live(w.spare, 1024);

	return then_let_go(ret);
}

static long op_late_other_store(void)
{
	long i;

	for (i = 3; i < SHOWN; i++) {
		if (write_byte_or_sigbus(w.spare + i * page_size + 9, 'o')) {
			errno = EFAULT;
			return -1;
		}
	}
	if (write_byte_or_sigbus(w.spare + 9, 'o')) {
		errno = EFAULT;
		return -1;
	}
	return then_let_go(0);
}

/* What has come late is found by who reads, or changes the file. */
static void come_late(void)
{
	hold_view();
	must(pread(w.fd, w.look, DATA * page_size, 0));
	let_go();
}

/* The pages are in a pipe, which is no pin, but no one can tell. */
static void put_in_pipe(void)
{
	struct iovec iov = { w.view, 2 * page_size };

	lend();
	must(vmsplice(w.pipe[1], &iov, 1, SPLICE_F_NONBLOCK));
}

static long op_in_pipe_read(void)
{
	long n = pread(w.fd, w.buf, DATA * page_size, 0);
	int err = errno;

	disarm();
	errno = err;
	if (n >= 0)
		drain();
	return n;
}

static void post_held(void)
{
	let_go();
}

/* Handles, locks, notes */

static long op_handle(void)
{
	struct {
		struct file_handle h;
		unsigned char bytes[128];
	} handle = { .h.handle_bytes = sizeof(handle.bytes) };
	int id, fd, dir;

	if (name_to_handle_at(AT_FDCWD, "dir/over", &handle.h, &id, 0))
		return -1;
	dir = open(".", O_RDONLY);
	if (dir < 0)
		return -1;
	fd = open_by_handle_at(dir, &handle.h, O_RDONLY);
	keep_errno(0, dir);
	return fd < 0 ? -1 : keep_errno(0, fd);
}

static long op_flock(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };

	if (flock(w.fd, LOCK_EX | LOCK_NB) || fcntl(w.fd, F_SETLK, &lock))
		return -1;
	lock.l_type = F_UNLCK;
	if (fcntl(w.fd, F_SETLK, &lock))
		return -1;
	return flock(w.fd, LOCK_UN);
}

static long op_lease(void)
{
	int fd = open("dir/over", O_RDONLY);
	int ret;

	if (fd < 0)
		return -1;
	ret = fcntl(fd, F_SETLEASE, F_RDLCK);
	return keep_errno(ret, fd);
}

static long op_inotify(void)
{
	int fd = inotify_init1(IN_NONBLOCK);
	int ret;

	if (fd < 0)
		return -1;
	ret = inotify_add_watch(fd, "dir", IN_ALL_EVENTS);
	if (ret >= 0)
		ret = 0;
	return keep_errno(ret, fd);
}

static long op_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	char buf[4096];
	long n;

	if (fd < 0)
		return -1;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		;
	return keep_errno(n, fd);
}

static long op_statistics(void)
{
	return number_of("preserved_pages") < 0 ? -1 : 0;
}

/* Mounts */

static long op_mount(void)
{
	if (mount("none", "empty", snap_fstype(), 0,
		  "size=1m,nr_inodes=10,mode=700,uid=3,private=live"))
		return -1;
	disarm();
	must(umount("empty"));
	return 0;
}

static long op_mount_refused(void)
{
	if (!mount("none", "empty", snap_fstype(), 0, "size=1m,private=never"))
		return -1;
	return 0;
}

static long op_remount(void)
{
	return mount("none", mnt, snap_fstype(), MS_REMOUNT, "size=3m,nr_inodes=300");
}

static void post_remount(void)
{
	must(mount("none", mnt, snap_fstype(), MS_REMOUNT, "size=4m,nr_inodes=200"));
}

static void pre_umount(void)
{
	int fd;

	must(mount("none", "empty", snap_fstype(), 0, "size=1m"));
	fd = must(open("empty/file", O_CREAT | O_RDWR, 0600));
	must(write(fd, w.buf, 5 * page_size));
	must(setxattr("empty/file", "user.n", "5", 1, 0));
	close(fd);
}

static long op_umount(void) { return umount("empty"); }

static void post_umount(void)
{
	umount2("empty", MNT_DETACH);
}

static long op_overlay(void)
{
	if (mount("none", "empty", "overlay", 0, "lowerdir=.,upperdir=dir,workdir=empty,uuid=null"))
		return -1;
	disarm();
	must(umount("empty"));
	return 0;
}

#define WRITES	1	/* may be done in part; the result is a number of bytes */
#define TOUCHES	2	/* cannot fail: what lacks memory is tried again */
#define ALTERS	4	/* the mappings; not to be compared after a failure */
#define TELLS	8	/* EFAULT if all is done but that it cannot tell where it ended */
#define VIEWS	16	/* may leave an inode, a view's, that goes with the file */
#define LATE	32	/* has something come late, even if it fails */

static const struct scenario {
	const char *name;
	long (*op)(void);
	int flags;
	void (*pre)(void);
	void (*post)(void);
	void (*last)(void);	/* before it, after the image was taken */
} scenarios[] = {
	{ "open", op_open },
	{ "create", op_create },
	{ "open_truncate", op_open_truncate },
	{ "mkdir", op_mkdir },
	{ "rmdir", op_rmdir },
	{ "mknod", op_mknod },
	{ "symlink", op_symlink },
	{ "symlink_long", op_symlink_long },
	{ "symlink_page", op_symlink_page },
	{ "link", op_link },
	{ "unlink", op_unlink },
	{ "rename", op_rename },
	{ "rename_over", op_rename_over },
	{ "rename_onto", op_rename_onto },
	{ "rename_whiteout", op_rename_whiteout },
	{ "rename_exchange", op_rename_exchange },
	{ "tmpfile", op_tmpfile },
	{ "readdir", op_readdir },
	{ "stat", op_stat },
	{ "statx", op_statx },
	{ "chmod", op_chmod },
	{ "chown", op_chown },
	{ "utimes", op_utimes },
	{ "readlink", op_readlink },
	{ "setxattr", op_setxattr },
	{ "setxattr_big", op_setxattr_big },
	{ "setxattr_replace", op_setxattr_replace },
	{ "removexattr", op_removexattr },
	{ "getxattr", op_getxattr },
	{ "acl", op_acl },
	{ "acl_default", op_acl_default },
	{ "acl_inherit", op_acl_inherit, 0, pre_acl },
	{ "acl_chmod", op_acl_chmod, 0, pre_acl },
	{ "acl_get", op_acl_get, 0, pre_acl },
	{ "write", op_write, WRITES, pre_write },
	{ "write_bytes", op_write_bytes, WRITES, pre_write },
	{ "write_hole", op_write_hole, WRITES, pre_write },
	{ "write_behind", op_write_behind, WRITES, pre_write },
	{ "write_behind_tail", op_write_behind, WRITES, pre_tail },
	{ "append", op_append, 0, pre_write },
	{ "write_new", op_write_new, WRITES, pre_write },
	{ "writev", op_writev, WRITES, pre_write },
	{ "write_direct", op_write_direct, WRITES, pre_write },
	{ "write_itself", op_write_itself, WRITES },
	{ "write_shifted", op_write_shifted, WRITES },
	{ "splice", op_splice, WRITES | TELLS, pre_write },
	{ "splice_out", op_splice_out, WRITES },
	{ "sendfile", op_sendfile, WRITES },
	{ "copy_range", op_copy_range, WRITES | TELLS },
	{ "vmsplice", op_vmsplice, WRITES | TELLS },
	{ "read", op_read, WRITES },
	{ "read_into_shared", op_read_into_shared, WRITES },
	{ "process_vm_writev", op_process_vm_writev, WRITES, pre_write },
	{ "process_vm_readv", op_process_vm_readv, WRITES },
	{ "shrink", op_shrink },
	{ "empty", op_empty },
	{ "grow", op_grow, 0, pre_tail },
	{ "allocate", op_allocate, 0, pre_tail },
	{ "allocate_keep", op_allocate_keep },
	{ "punch", op_punch },
	{ "punch_bytes", op_punch_bytes },
	{ "zero", op_zero, 0, pre_tail },
	{ "madv_remove", op_madv_remove },
	{ "store", op_store, TOUCHES },
	{ "store_private", op_store_private, TOUCHES },
	{ "store_private_changed", op_store_private, TOUCHES, pre_changed },
	{ "load", op_load, TOUCHES },
	{ "load_changed", op_load, TOUCHES, pre_changed },
	{ "load_cut", op_load, TOUCHES, pre_cut },
	{ "load_shared", op_load_shared, TOUCHES },
	{ "map", op_map },
	{ "map_populate", op_map_populate },
	{ "map_shared", op_map_shared },
	{ "map_fixed", op_map_fixed, ALTERS },
	{ "unmap_part", op_unmap_part },
	{ "unmap_part_changed", op_unmap_part, 0, pre_changed },
	{ "unmap", op_unmap, 0, pre_changed },
	{ "protect", op_protect },
	{ "protect_shared", op_protect_shared },
	{ "move", op_move, 0, pre_move },
	{ "move_changed", op_move, 0, pre_move },
	{ "shrink_map", op_shrink_map, 0, pre_changed },
	{ "grow_map", op_grow_map, 0, pre_grow },
	{ "dontneed", op_dontneed, 0, pre_changed },
	{ "populate", op_populate, 0, pre_changed },
	{ "populate_shared", op_populate_shared },
	{ "mlock", op_mlock, 0, pre_changed },
	{ "mincore", op_mincore },
	{ "msync", op_msync },
	{ "fsync", op_fsync },
	{ "fork", op_fork },
	{ "fork_and_write", op_fork_and_write, 0, pre_write },
	{ "exec", op_exec, 0, pre_exec },
	{ "window_open", op_window_open, VIEWS },
	{ "window_map", op_window_map, VIEWS },
	{ "window_map_shared", op_window_map_shared, VIEWS },
	{ "window_load_512", op_window_load, TOUCHES, pre_window_512 },
	{ "window_load_1024", op_window_load, TOUCHES, pre_window_1024 },
	{ "window_load_2048", op_window_load, TOUCHES, pre_window_2048 },
	{ "window_load_back", op_window_load_back, TOUCHES, pre_window_2048 },
	{ "window_load_lent", op_window_load, TOUCHES, pre_lent, NULL, lend },
	{ "window_load_old", op_window_load_old, TOUCHES, pre_window_changed },
	{ "window_store_512", op_window_store, TOUCHES, pre_window_512 },
	{ "window_store_1024", op_window_store, TOUCHES, pre_window_1024 },
	{ "window_store_2048", op_window_store, TOUCHES, pre_window_2048 },
	{ "window_to_and_fro", op_window_to_and_fro, TOUCHES, pre_lent, NULL, lend },
	{ "window_read", op_window_read, WRITES, pre_lent, NULL, lend },
	{ "window_write", op_window_write, WRITES, pre_lent, NULL, lend },
	{ "write_from_view", op_write_from_view, WRITES, pre_lent, NULL, lend },
	{ "window_fork", op_window_fork, 0, pre_lent, NULL, lend },
	{ "window_grow_map", op_window_grow_map, 0, pre_window_grow_map },
	{ "lent_write", op_write, WRITES, pre_lent, NULL, lend },
	{ "lent_punch", op_punch, 0, pre_lent, NULL, lend },
	{ "lent_zero", op_zero, 0, pre_lent, NULL, lend },
	{ "lent_allocate", op_allocate, 0, pre_lent, NULL, lend },
	{ "lent_shrink", op_shrink, 0, pre_lent, NULL, lend },
	{ "lent_map", op_map, 0, pre_lent, NULL, lend },
	{ "grown_and_write", op_grown_and_write, WRITES, pre_grown },
	{ "late_read", op_late_read, WRITES, pre_lent, post_held, hold_view },
	{ "late_write", op_late_write, WRITES, pre_lent, post_held, hold_view },
	{ "late_punch", op_late_punch, 0, pre_lent, post_held, hold_view },
	{ "late_shrink", op_late_shrink, 0, pre_lent, post_held, hold_view },
	{ "late_sync", op_late_sync, 0, pre_lent, post_held, hold_view },
	{ "late_map", op_late_map, 0, pre_lent, post_held, hold_view },
	{ "late_other_view", op_late_other_view, TOUCHES, pre_other_view, post_held, hold_view },
	{ "late_other_store", op_late_other_store, TOUCHES, pre_other_view, post_held, hold_view },
	{ "late_of_file", op_late_load, TOUCHES, pre_window_512, post_held, hold_file },
	{ "late_merge_read", op_read, WRITES | LATE, pre_lent, NULL, come_late },
	{ "late_merge_write", op_write, WRITES | LATE, pre_lent, NULL, come_late },
	{ "late_merge_map", op_map, LATE, pre_lent, NULL, come_late },
	{ "late_merge_shrink", op_shrink, LATE, pre_lent, NULL, come_late },
	{ "in_pipe_read", op_in_pipe_read, WRITES, pre_lent, NULL, put_in_pipe },
	{ "in_pipe_write", op_write, WRITES, pre_lent, NULL, put_in_pipe },
	{ "handle", op_handle },
	{ "flock", op_flock },
	{ "lease", op_lease },
	{ "inotify", op_inotify },
	{ "maps", op_maps },
	{ "statistics", op_statistics },
	{ "mount", op_mount },
	{ "mount_refused", op_mount_refused },
	{ "remount", op_remount, 0, NULL, post_remount },
	{ "umount", op_umount, 0, pre_umount, post_umount },
	{ "overlay", op_overlay },
};

static struct image before, after, now;
static const char *mount_options;
static bool missing;		/* what the operation needs is not in this kernel */

/* Prints how two images differ, line by line as far as they have the same lines. */
static void explain(const struct image *want, const struct image *got)
{
	const char *a = want->text, *b = got->text;

	while (*a && *b) {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");

		if (la != lb || memcmp(a, b, la)) {
			ksft_print_msg("  expected %.*s\n", (int)la, a);
			ksft_print_msg("  there is %.*s\n", (int)lb, b);
		}
		a += la + (a[la] == '\n');
		b += lb + (b[lb] == '\n');
	}
}

/*
 * Whether nothing has changed. An inode that a file has inside, for a view or a
 * segment, may stay until the file goes.
 */
static bool nothing_changed(const struct scenario *s)
{
	size_t len;

	if (image_same(&before, &now))
		return true;
	if (!(s->flags & VIEWS) && !mount_options)
		return false;
	len = strstr(before.text, "\ninodes free") - before.text;
	return !strncmp(before.text, now.text, len) &&
	       !strncmp(now.text + len, "\ninodes free", 12);
}

/* Begins a round: all is new, and @before says what there is. */
static void begin(const struct scenario *s)
{
	setup();
	if (s->pre)
		s->pre();
	image_take(&before, ".");
	if (s->last)
		s->last();
}

/* Ends it; NULL, or what is wrong. */
static const char *end(const struct scenario *s, const char *why)
{
	if (s->post)
		s->post();
	cleanup();
	return why ?: not_all_free();
}

/* The VFS has other names for it in places. */
static bool for_want_of_memory(int err, const struct scenario *s)
{
	return err == ENOMEM || err == EFAULT || err == EAGAIN ||
	       (err == ENOLCK && s->op == op_flock) ||
	       ((err == E2BIG || err == ENOEXEC) && s->op == op_exec);
}

/* One round with the @n-th failing, 0: none. */
static const char *round_of(const struct scenario *s, int n, bool *injected)
{
	const char *why = NULL;
	long ret, full = 0;
	int err;

	*injected = false;
	begin(s);
	exec_n = n;
	errno = 0;
	arm(n);
	ret = s->op();
	err = errno;
	*injected = disarm();
	exec_n = 0;
	if (!n) {
		/* Neither the call nor the device is in every kernel. */
		missing = ret < 0 && (err == ENODEV || err == ENOSYS);
		if (ret < 0)
			why = strerror(err);
		image_take(&after, ".");
		why = why ?: mappings_differ() ?: shared_differs();
		return end(s, why);
	}
	if (ret < 0 && !*injected)
		why = "failed without a reason";
	else if (ret < 0 && !for_want_of_memory(err, s))
		why = strerror(err);
	else if (ret < 0 && (s->flags & TOUCHES))
		why = "a fault that must not fail";
	if (ret < 0) {
		failures++;
		image_take(&now, ".");
		if (!why && !(s->flags & LATE) && !nothing_changed(s) &&
		    !((s->flags & TELLS) && err == EFAULT && image_same(&after, &now))) {
			explain(&before, &now);
			why = "failed, and changed something";
		}
	}
	if (!why && (ret >= 0 || !(s->flags & ALTERS)))
		why = mappings_differ() ?: shared_differs();
	if (!why && (ret < 0 || (s->flags & WRITES))) {
		/* Again, now for good. */
		full = s->op();
		if (full < 0)
			why = "fails again";
		else if (full < ret)
			why = "does less when tried again";
	}
	if (!why) {
		image_take(&now, ".");
		if (!image_same(&after, &now)) {
			explain(&after, &now);
			why = "succeeded, and something else came out";
		}
	}
	return end(s, why ?: mappings_differ() ?: shared_differs());
}

static void sweep(const struct scenario *s)
{
	bool injected = true;
	const char *why;
	long failed = failures;
	int n;

	why = round_of(s, 0, &injected);
	if (missing) {
		ksft_test_result_skip("%s: %s\n", s->name, why);
		return;
	}
	if (why)
		ksft_print_msg("%s without any failure: %s\n", s->name, why);
	for (n = 1; !why && n < TRIES; n++) {
		why = round_of(s, n, &injected);
		if (why)
			ksft_print_msg("%s, n = %d: %s\n", s->name, n, why);
		if (!injected)
			break;
		sites++;
	}
	if (n == TRIES)
		ksft_print_msg("%s: there is no end to it\n", s->name);
	ksft_test_result(!why && n < TRIES, "%s # %d made to fail, %ld times the call failed\n",
			 s->name, n - 1, failures - failed);
}

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	while (*names)
		if (!strcmp(*names++, name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static const char *const attrs[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	unsigned int i, plan = 2;
	char other[] = "/tmp/fail_nth.XXXXXX", options[256];
	char **names = argv + 1;
	int err;

	if (argc > 1 && !strcmp(argv[1], "--exec"))
		return exec_child();
	if (argc > 2 && !strcmp(argv[1], "--mount")) {
		mount_options = argv[2];
		names += 2;
	}
	ksft_print_header();
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fail_fd < 0)
		ksft_exit_skip("no /proc/self/fail-nth: the kernel has no FAULT_INJECTION\n");
	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", attrs[i]);
		ksft_print_msg("%s: %s\n", attrs[i], access(path, F_OK) ? "no" : "yes");
		set_knob(attrs[i], "ignore-gfp-wait", "N");
		set_knob(attrs[i], "ignore-gfp-highmem", "N");
		set_knob(attrs[i], "min-order", "0");
		set_knob(attrs[i], "verbose", "0");
	}
	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		plan += wanted(scenarios[i].name, names);
	ksft_set_plan(plan);

	memset(long_name, 'n', sizeof(long_name) - 1);
	memset(long_target, 't', sizeof(long_target) - 1);
	memset(big_value, 'v', sizeof(big_value));
	w.buf = must(mmap(NULL, 2 * DATA * page_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
	w.look = w.buf + DATA * page_size;
	w.other = must(mkstemp(other));
	unlink(other);
	gen_fill(w.buf, 9, 0, DATA * page_size);
	must(write(w.other, w.buf, DATA * page_size));

	snprintf(options, sizeof(options), "size=4m,nr_inodes=200%s%s", mount_options ? "," : "",
		 mount_options ?: "");
	err = snap_mount(mnt, options);
	if (err)
		ksft_exit_fail_msg("mount: %s\n", strerror(-err));
	must(chdir(mnt));
	leak_begin();
	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (wanted(scenarios[i].name, names))
			sweep(&scenarios[i]);
	ksft_print_msg("%ld made to fail, %ld calls failed\n", sites, failures);
	must(chdir("/"));
	ksft_test_result(!umount(mnt), "umount_at_the_end\n");
	rmdir(mnt);
	leak_result();
	ksft_finished();
}
