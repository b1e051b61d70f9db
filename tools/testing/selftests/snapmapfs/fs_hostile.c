// SPDX-License-Identifier: GPL-2.0
/*
 * Hostile input: arguments at and beyond their edges. Tables say what each call
 * must answer; then every call is made with all combinations of edges, on the
 * file system under test and on a tmpfs, which must agree. A call that fails has
 * changed nothing.
 */
#include "fs.h"
#include "image.h"

#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define MAX	0x7fffffffffffffffLL
#define MIN	(-MAX - 1)
#define PAGE	4096LL
#define SIZE	(3 * PAGE + 100)

/* Where everything is, so that a table can name it. */
enum {
	RW = 100, RO, WO, DIR_FD, PATH_FD, FIFO_FD, APPEND, NO_FD = 199,
};

#define BUF	0x20000000L	/* 16 pages that can be written to */
#define PRIVATE	0x21000000L	/* 8 pages of the file, private */
#define SHARED	0x22000000L	/* 8 pages of the file, shared */
#define NOTHING	0x23000000L

static char before_map[8 * PAGE];

/* A fresh directory @dir on @type, with the objects of the table. */
static int furnish(const char *dir, const char *type)
{
	char data[SIZE];
	int fd;

	if (mkdir(dir, 0755) || mount("none", dir, type, 0, "size=1m,nr_inodes=100") ||
	    chdir(dir))
		return -1;
	fs_fill(data, sizeof(data), 5);
	if (fs_put("f", data, sizeof(data)) || mkdir("d", 0755) || symlink("f", "l") ||
	    mkfifo("p", 0644) || setxattr("f", "user.a", "value", 5, 0))
		return -1;
	fd = open("f", O_RDWR);
	if (dup2(fd, RW) < 0 || close(fd))
		return -1;
	fd = open("f", O_RDONLY);
	if (dup2(fd, RO) < 0 || close(fd))
		return -1;
	fd = open("f", O_WRONLY);
	if (dup2(fd, WO) < 0 || close(fd))
		return -1;
	fd = open("f", O_WRONLY | O_APPEND);
	if (dup2(fd, APPEND) < 0 || close(fd))
		return -1;
	fd = open("d", O_RDONLY);
	if (dup2(fd, DIR_FD) < 0 || close(fd))
		return -1;
	fd = open("f", O_PATH);
	if (dup2(fd, PATH_FD) < 0 || close(fd))
		return -1;
	fd = open("p", O_RDWR | O_NONBLOCK);
	if (dup2(fd, FIFO_FD) < 0 || close(fd))
		return -1;
	if (mmap((void *)BUF, 16 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -1;
	fs_fill((void *)BUF, 16 * PAGE, 9);
	if (mmap((void *)PRIVATE, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
		 RW, 0) == MAP_FAILED)
		return -1;
	if (mmap((void *)SHARED, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, RW,
		 0) == MAP_FAILED)
		return -1;
	memset(before_map, 0, sizeof(before_map));
	memcpy(before_map, data, sizeof(data));
	return 0;
}

static void clear_out(const char *dir)
{
	int fd;

	munmap((void *)BUF, 16 * PAGE);
	munmap((void *)PRIVATE, 8 * PAGE);
	munmap((void *)SHARED, 8 * PAGE);
	for (fd = RW; fd <= APPEND; fd++)
		close(fd);
	(void)!chdir("..");
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

struct row {
	long nr;
	long long want;		/* a number, or -errno */
	unsigned long long arg[6];
};

/* A system call. At 32 bits the C library knows which registers hold an offset. */
static long long make_call(const struct row *row)
{
	const unsigned long long *a = row->arg;
#ifndef __LP64__
	void *p = (void *)(long)a[1];

	switch (row->nr) {
	case SYS_pread64:
		return pread(a[0], p, a[2], a[3]);
	case SYS_pwrite64:
		return pwrite(a[0], p, a[2], a[3]);
	case SYS_lseek:
		return lseek(a[0], a[1], a[2]);
	case SYS_ftruncate:
		return ftruncate(a[0], a[1]);
	case SYS_fallocate:
		return fallocate(a[0], a[1], a[2], a[3]);
	case SYS_fadvise64:
		errno = posix_fadvise(a[0], a[1], a[2], a[3]);
		return errno ? -1 : 0;
	case SYS_readahead:
		return readahead(a[0], a[1], a[2]);
	case SYS_sync_file_range:
		return sync_file_range(a[0], a[1], a[2], a[3]);
	case SYS_fchown:
		return fchown(a[0], a[1], a[2]);
	case SYS_mmap:
		/* It takes the number of a page, so there is none for the rest. */
		if (a[5] % PAGE || (a[5] >> 44 && ~a[5] >> 44)) {
			errno = EINVAL;
			return -1;
		}
		p = (void *)syscall(SYS_mmap2, (long)a[0], (long)a[1], (long)a[2], (long)a[3],
				    (long)a[4], (long)(a[5] / PAGE));
		return p == MAP_FAILED ? -1 : (long long)(unsigned long)p;
	}
#endif
	return syscall(row->nr, (long)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4],
		       (long)a[5]);
}

static long long do_row(const struct row *row)
{
	long long ret = make_call(row);

	return ret == -1 ? -errno : ret;
}

/* Whether all of a row's numbers are ones that this machine has. */
static bool has_row(const struct row *row)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(row->arg); i++)
		if (row->arg[i] != (unsigned long)row->arg[i] &&
		    (long long)row->arg[i] != (long)row->arg[i])
			return false;
	return true;
}

FIXTURE(hostile) {
	char dir[FS_PATH];
};

FIXTURE_SETUP(hostile)
{
	ASSERT_OK(fs_enter(self->dir));
	ASSERT_OK(fs_private_ns());
}

FIXTURE_TEARDOWN_PARENT(hostile)
{
	EXPECT_OK(fs_remove(self->dir));
}

#define S(x)	((unsigned long)(x))

/* Names have an address only when the program runs, and 64 bits of it even later. */
static size_t make_rows(const struct row **to)
{
	static struct row rows[400];
	const struct row table[] = {
		/* read, write */
		{ SYS_pread64, 0, { RW, BUF, 0, 0 } },
		{ SYS_pread64, 1, { RW, BUF, PAGE, SIZE - 1 } },
		{ SYS_pread64, 0, { RW, BUF, PAGE, SIZE } },
		{ SYS_pread64, 0, { RW, BUF, PAGE, MAX - PAGE } },
		{ SYS_pread64, -EINVAL, { RW, BUF, PAGE, -1 } },
		{ SYS_pread64, -EINVAL, { RW, BUF, PAGE, MIN } },
		{ SYS_pread64, -EBADF, { WO, BUF, PAGE, 0 } },
		{ SYS_pread64, -EBADF, { PATH_FD, BUF, PAGE, 0 } },
		{ SYS_pread64, -EBADF, { NO_FD, BUF, PAGE, 0 } },
		{ SYS_pread64, -EISDIR, { DIR_FD, BUF, PAGE, 0 } },
		{ SYS_pread64, -ESPIPE, { FIFO_FD, BUF, PAGE, 0 } },
		{ SYS_pread64, -EFAULT, { RW, NOTHING, PAGE, 0 } },
		{ SYS_pread64, -EFAULT, { RW, BUF, MIN, 0 } },
		{ SYS_pwrite64, 0, { RW, BUF, 0, 5 } },
		{ SYS_pwrite64, -EINVAL, { RW, BUF, PAGE, -1 } },
		{ SYS_pwrite64, -EINVAL, { RW, BUF, PAGE, MIN } },
		{ SYS_pwrite64, -EINVAL, { RW, BUF, PAGE, MAX } },
		{ SYS_pwrite64, -EFAULT, { RW, NOTHING, PAGE, 0 } },
		{ SYS_pwrite64, -EBADF, { RO, BUF, PAGE, 0 } },
		{ SYS_pwrite64, -EBADF, { DIR_FD, BUF, PAGE, 0 } },
		{ SYS_preadv2, -EINVAL, { RW, BUF, -1UL, 0, 0, 0 } },
		{ SYS_preadv2, -EINVAL, { RW, BUF, 1025, 0, 0, 0 } },
		/* lseek */
		{ SYS_lseek, MAX, { RW, MAX, SEEK_SET } },
		{ SYS_lseek, -EINVAL, { RW, -1, SEEK_SET } },
		{ SYS_lseek, -EINVAL, { RW, MIN, SEEK_CUR } },
		{ SYS_lseek, -EINVAL, { RW, 0, 5 } },
		{ SYS_lseek, -EINVAL, { RW, 0, -1 } },
		{ SYS_lseek, -EINVAL, { RW, 0, 0x7fffffff } },
		{ SYS_lseek, -ENXIO, { RW, -1, SEEK_DATA } },
		{ SYS_lseek, -ENXIO, { RW, MIN, SEEK_HOLE } },
		{ SYS_lseek, -ENXIO, { RW, SIZE, SEEK_DATA } },
		{ SYS_lseek, -ENXIO, { RW, SIZE, SEEK_HOLE } },
		{ SYS_lseek, -ENXIO, { RW, MAX, SEEK_DATA } },
		{ SYS_lseek, SIZE, { RW, 0, SEEK_HOLE } },
		{ SYS_lseek, SIZE - 1, { RW, SIZE - 1, SEEK_DATA } },
		{ SYS_lseek, -ESPIPE, { FIFO_FD, 0, SEEK_SET } },
		{ SYS_lseek, 0, { RW, 0, SEEK_SET } },
		/* truncate */
		{ SYS_ftruncate, -EINVAL, { RW, -1 } },
		{ SYS_ftruncate, -EINVAL, { RW, MIN } },
		{ SYS_ftruncate, -EINVAL, { RO, 0 } },
		{ SYS_ftruncate, -EINVAL, { DIR_FD, 0 } },
		{ SYS_ftruncate, -EINVAL, { FIFO_FD, 0 } },
		{ SYS_ftruncate, -EBADF, { PATH_FD, 0 } },
		{ SYS_ftruncate, -EBADF, { NO_FD, 0 } },
		/* fallocate */
		{ SYS_fallocate, -EINVAL, { RW, 0, 0, 0 } },
		{ SYS_fallocate, -EINVAL, { RW, 0, -1, 1 } },
		{ SYS_fallocate, -EINVAL, { RW, 0, 0, -1 } },
		{ SYS_fallocate, -EINVAL, { RW, 0, MIN, MIN } },
		{ SYS_fallocate, -EFBIG, { RW, 0, MAX, 1 } },
		{ SYS_fallocate, -EFBIG, { RW, 0, 1, MAX } },
		{ SYS_fallocate, -EFBIG, { RW, 0, MAX, MAX } },
		{ SYS_fallocate, -ENOSPC, { RW, 0, 0, MAX } },
		{ SYS_fallocate, -ENOSPC, { RW, 0, 0, 2 << 20 } },
		{ SYS_fallocate, -ENOSPC, { RW, 1, 1LL << 62, 2 << 20 } },
		{ SYS_fallocate, -EBADF, { RO, 0, 0, 1 } },
		{ SYS_fallocate, -EBADF, { DIR_FD, 0, 0, 1 } },
		{ SYS_fallocate, -ESPIPE, { FIFO_FD, 0, 0, 1 } },
		{ SYS_fallocate, -EOPNOTSUPP, { RW, FALLOC_FL_PUNCH_HOLE, 0, 1 } },
		{ SYS_fallocate, -EOPNOTSUPP, { RW, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE } },
		{ SYS_fallocate, -EOPNOTSUPP, { RW, FALLOC_FL_INSERT_RANGE, 0, PAGE } },
		{ SYS_fallocate, -EOPNOTSUPP, { RW, FALLOC_FL_UNSHARE_RANGE, 0, PAGE } },
		{ SYS_fallocate, -EOPNOTSUPP, { RW, 0x80, 0, PAGE } },
		{ SYS_fallocate, -EOPNOTSUPP, { RW, 0x04, 0, PAGE } },
		{ SYS_fallocate, -EOPNOTSUPP, { RW, -1, 0, PAGE } },
		{ SYS_fallocate, -EOPNOTSUPP, { RW, 0x80000000, 0, PAGE } },
		{ SYS_fallocate, 0, { RW, 3, SIZE, MAX - SIZE } },
		{ SYS_fallocate, -EFBIG, { RW, 3, SIZE, MAX } },
		/* mmap and what goes with it */
		{ SYS_mmap, -EINVAL, { 0, 0, PROT_READ, MAP_PRIVATE, RW, 0 } },
		{ SYS_mmap, -EINVAL, { 0, PAGE, PROT_READ, MAP_PRIVATE, RW, 1 } },
		{ SYS_mmap, -EINVAL, { 0, PAGE, PROT_READ, MAP_PRIVATE, RW, 512 } },
		{ SYS_mmap, -EINVAL, { 0, PAGE, PROT_READ, 0, RW, 0 } },
		{ SYS_mmap, -EINVAL, { 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, RW, 0 } },
		{ SYS_mmap, -ENOMEM, { 0, MAX, PROT_READ, MAP_PRIVATE, RW, 0 } },
		{ SYS_mmap, -ENOMEM, { 0, -1, PROT_READ, MAP_PRIVATE, RW, 0 } },
		{ SYS_mmap, -EOVERFLOW, { 0, 2 * PAGE, PROT_READ, MAP_PRIVATE, RW, -PAGE } },
		{ SYS_mmap, -EOVERFLOW, { 0, PAGE, PROT_READ, MAP_PRIVATE, RW, -PAGE } },
		{ SYS_mmap, -EOVERFLOW, { 0, PAGE, PROT_READ, MAP_PRIVATE, RW, MIN } },
		{ SYS_mmap, -EACCES, { 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, RO, 0 } },
		{ SYS_mmap, -EACCES, { 0, PAGE, PROT_READ, MAP_PRIVATE, WO, 0 } },
		{ SYS_mmap, -EACCES, { 0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, APPEND, 0 } },
		{ SYS_mmap, -EBADF, { 0, PAGE, PROT_READ, MAP_PRIVATE, PATH_FD, 0 } },
		{ SYS_mmap, -EBADF, { 0, PAGE, PROT_READ, MAP_PRIVATE, NO_FD, 0 } },
		{ SYS_mmap, -ENODEV, { 0, PAGE, PROT_READ, MAP_PRIVATE, DIR_FD, 0 } },
		{ SYS_mmap, -ENODEV, { 0, PAGE, PROT_READ, MAP_PRIVATE, FIFO_FD, 0 } },
		{ SYS_mmap, -EOPNOTSUPP, { 0, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, RW, 0 } },
		{ SYS_mmap, -EOPNOTSUPP, { 0, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 0x200000, RW, 0 } },
		{ SYS_mmap, -EINVAL, { 0, PAGE, PROT_READ, MAP_PRIVATE | MAP_HUGETLB, RW, 0 } },
		{ SYS_mmap, -EEXIST, { PRIVATE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, RW, 0 } },
		{ SYS_munmap, -EINVAL, { PRIVATE + 1, PAGE } },
		{ SYS_munmap, -EINVAL, { PRIVATE, 0 } },
		{ SYS_munmap, -EINVAL, { PRIVATE, -1 } },
		{ SYS_mremap, -EINVAL, { PRIVATE + 1, PAGE, PAGE, 0, 0 } },
		{ SYS_mremap, -EINVAL, { PRIVATE, PAGE, 0, 0, 0 } },
		{ SYS_mremap, -EINVAL, { PRIVATE, 0, PAGE, MREMAP_MAYMOVE, 0 } },
		{ SYS_mremap, -EINVAL, { PRIVATE, PAGE, PAGE, 8, 0 } },
		{ SYS_mremap, -EINVAL, { PRIVATE, PAGE, PAGE, MREMAP_FIXED, NOTHING } },
		{ SYS_mremap, -EINVAL, { PRIVATE, 2 * PAGE, PAGE, 5, NOTHING } },
		{ SYS_mremap, -EINVAL, { PRIVATE, 2 * PAGE, 2 * PAGE, 3, PRIVATE + PAGE } },
		{ SYS_mremap, -EFAULT, { NOTHING, PAGE, 2 * PAGE, 1, 0 } },
		{ SYS_mprotect, -EINVAL, { PRIVATE + 1, PAGE, PROT_READ } },
		{ SYS_mprotect, -EINVAL, { PRIVATE, PAGE, 0x100 } },
		{ SYS_mprotect, -ENOMEM, { NOTHING, PAGE, PROT_READ } },
		{ SYS_madvise, -EINVAL, { PRIVATE, PAGE, -1 } },
		{ SYS_madvise, -EINVAL, { PRIVATE, PAGE, 99 } },
		{ SYS_madvise, -EINVAL, { PRIVATE + 1, PAGE, MADV_DONTNEED } },
		{ SYS_madvise, -EINVAL, { PRIVATE, -1, MADV_DONTNEED } },
		{ SYS_madvise, -ENOMEM, { NOTHING, PAGE, MADV_DONTNEED } },
		{ SYS_madvise, -EACCES, { PRIVATE, PAGE, MADV_REMOVE } },
		{ SYS_madvise, -EFAULT, { PRIVATE + 6 * PAGE, PAGE, MADV_POPULATE_READ } },
		{ SYS_madvise, -EINVAL, { PRIVATE, PAGE, MADV_MERGEABLE + 0x1000 } },
		{ SYS_msync, -EINVAL, { SHARED, PAGE, MS_SYNC | MS_ASYNC } },
		{ SYS_msync, -EINVAL, { SHARED, PAGE, 8 } },
		{ SYS_msync, -ENOMEM, { NOTHING, PAGE, MS_SYNC } },
		{ SYS_mincore, -EINVAL, { PRIVATE + 1, PAGE, BUF } },
		{ SYS_mincore, -EFAULT, { PRIVATE, PAGE, NOTHING } },
		{ SYS_remap_file_pages, -EINVAL, { PRIVATE, PAGE, 0, 1, 0 } },
		{ SYS_remap_file_pages, -EINVAL, { SHARED, PAGE, 1, 1, 0 } },
		/* splice and the like */
		{ SYS_splice, -EINVAL, { RW, 0, RW, 0, PAGE, 0 } },
		{ SYS_splice, -EBADF, { WO, 0, FIFO_FD, 0, PAGE, 0 } },
		{ SYS_splice, -EBADF, { FIFO_FD, 0, RO, 0, PAGE, 0 } },
		{ SYS_splice, -EINVAL, { RW, 0, FIFO_FD, 0, PAGE, 0x100 } },
		{ SYS_splice, -EINVAL, { FIFO_FD, 0, APPEND, 0, PAGE, 2 } },
		{ SYS_splice, -EFAULT, { RW, NOTHING, FIFO_FD, 0, PAGE, 2 } },
		{ SYS_tee, -EINVAL, { RW, FIFO_FD, PAGE, 0 } },
		{ SYS_tee, -EINVAL, { FIFO_FD, FIFO_FD, PAGE, 0 } },
		{ SYS_sendfile, -EBADF, { RO, RW, 0, PAGE } },
		{ SYS_sendfile, -EINVAL, { APPEND, RW, 0, PAGE } },
		{ SYS_sendfile, -EFAULT, { RW, RO, NOTHING, PAGE } },
		{ SYS_copy_file_range, -EINVAL, { RW, 0, RW, 0, PAGE, 1 } },
		{ SYS_copy_file_range, -EBADF, { RW, 0, RO, 0, PAGE, 0 } },
		{ SYS_copy_file_range, -EBADF, { RW, 0, APPEND, 0, PAGE, 0 } },
		{ SYS_copy_file_range, -EISDIR, { DIR_FD, 0, RW, 0, PAGE, 0 } },
		{ SYS_copy_file_range, -EINVAL, { FIFO_FD, 0, RW, 0, PAGE, 0 } },
		/* ioctl: what nobody knows, and what is not for us */
		{ SYS_ioctl, -ENOTTY, { RW, 0, BUF } },
		{ SYS_ioctl, -ENOTTY, { RW, 0xffffffff, BUF } },
		{ SYS_ioctl, -ENOTTY, { RW, 0x5401, BUF } },
		{ SYS_ioctl, -ENOTTY, { RW, FITRIM, BUF } },
		{ SYS_ioctl, -ENOTTY, { RW, FS_IOC_GETVERSION, BUF } },
		{ SYS_ioctl, -ENOTTY, { RW, FS_IOC_SETVERSION, BUF } },
		{ SYS_ioctl, -ENOTTY, { RW, _IOWR('f', 133, char[128]), BUF } },
		{ SYS_ioctl, -ENOTTY, { RW, FS_IOC_GETFSLABEL, BUF } },
		{ SYS_ioctl, -ENOTTY, { DIR_FD, 0x12345678, BUF } },
		{ SYS_ioctl, -EBADF, { PATH_FD, FS_IOC_GETFLAGS, BUF } },
		{ SYS_ioctl, -EOPNOTSUPP, { RW, FS_IOC_FIEMAP, BUF } },
		{ SYS_ioctl, -EFAULT, { RW, FS_IOC_GETFLAGS, NOTHING } },
		{ SYS_ioctl, -EFAULT, { RW, FS_IOC_SETFLAGS, NOTHING } },
		{ SYS_ioctl, -EFAULT, { RW, FIONREAD, NOTHING } },
		{ SYS_ioctl, -EFAULT, { RW, FICLONERANGE, NOTHING } },
		{ SYS_ioctl, -EOPNOTSUPP, { RW, FICLONE, RO } },
		{ SYS_ioctl, -EBADF, { RW, FICLONE, NO_FD } },
		/* names, sizes and flags of attributes */
		{ SYS_fsetxattr, -ERANGE, { RW, S(""), BUF, 1, 0 } },
		{ SYS_fsetxattr, -EOPNOTSUPP, { RW, S("user"), BUF, 1, 0 } },
		{ SYS_fsetxattr, -EINVAL, { RW, S("user."), BUF, 1, 0 } },
		{ SYS_fsetxattr, -EINVAL, { RW, S("trusted."), BUF, 1, 0 } },
		{ SYS_fsetxattr, -EOPNOTSUPP, { RW, S("nobody.a"), BUF, 1, 0 } },
		{ SYS_fsetxattr, -EOPNOTSUPP, { RW, S("system.a"), BUF, 1, 0 } },
		{ SYS_fsetxattr, -E2BIG, { RW, S("user.b"), BUF, 65537, 0 } },
		{ SYS_fsetxattr, -E2BIG, { RW, S("user.b"), BUF, -1, 0 } },
		{ SYS_fsetxattr, -EFAULT, { RW, S("user.b"), NOTHING, 1, 0 } },
		{ SYS_fsetxattr, -EFAULT, { RW, NOTHING, BUF, 1, 0 } },
		{ SYS_fsetxattr, -EINVAL, { RW, S("user.b"), BUF, 1, 4 } },
		{ SYS_fsetxattr, -EINVAL, { RW, S("user.b"), BUF, 1, -1 } },
		{ SYS_fsetxattr, -EEXIST, { RW, S("user.a"), BUF, 1, XATTR_CREATE } },
		{ SYS_fsetxattr, -ENODATA, { RW, S("user.b"), BUF, 1, XATTR_REPLACE } },
		{ SYS_fsetxattr, -EBADF, { PATH_FD, S("user.b"), BUF, 1, 0 } },
		{ SYS_fsetxattr, -EOPNOTSUPP, { RW, S("system.posix_acl_access"), BUF, 4, 0 } },
		{ SYS_fsetxattr, -EINVAL, { RW, S("system.posix_acl_access"), BUF, 3, 0 } },
		{ SYS_lsetxattr, -EPERM, { S("l"), S("user.b"), BUF, 1, 0 } },
		{ SYS_lsetxattr, -EPERM, { S("p"), S("user.b"), BUF, 1, 0 } },
		{ SYS_fgetxattr, -ENODATA, { RW, S("user.b"), BUF, 100 } },
		{ SYS_fgetxattr, -ERANGE, { RW, S("user.a"), BUF, 4 } },
		{ SYS_fgetxattr, 5, { RW, S("user.a"), 0, 0 } },
		{ SYS_fgetxattr, 5, { RW, S("user.a"), BUF, 1 << 30 } },
		{ SYS_fgetxattr, -EFAULT, { RW, S("user.a"), NOTHING, 5 } },
		{ SYS_flistxattr, -ERANGE, { RW, BUF, 6 } },
		{ SYS_flistxattr, -EFAULT, { RW, NOTHING, 100 } },
		{ SYS_fremovexattr, -ENODATA, { RW, S("user.b") } },
		{ SYS_fremovexattr, -EINVAL, { RW, S("user.") } },
		/* names of files */
		{ SYS_open, -ENOENT, { S(""), O_RDONLY } },
		{ SYS_open, -EFAULT, { NOTHING, O_RDONLY } },
		{ SYS_open, -EISDIR, { S("d"), O_WRONLY } },
		{ SYS_open, -EISDIR, { S("."), O_CREAT | O_RDWR, 0600 } },
		{ SYS_open, -ENOTDIR, { S("f/x"), O_RDONLY } },
		{ SYS_open, -EINVAL, { S("f"), O_CREAT | O_DIRECTORY, 0600 } },
		{ SYS_open, -EINVAL, { S("d"), O_TMPFILE, 0600 } },
		{ SYS_open, -ENOTDIR, { S("f"), O_TMPFILE | O_RDWR, 0600 } },
		{ SYS_open, -ELOOP, { S("l"), O_NOFOLLOW } },
		{ SYS_mkdir, -EEXIST, { S("f"), 0700 } },
		{ SYS_mkdir, -EEXIST, { S("."), 0700 } },
		{ SYS_mkdir, -ENOENT, { S("x/y"), 0700 } },
		{ SYS_mknod, -EPERM, { S("x"), S_IFDIR | 0700, 0 } },
		{ SYS_mknod, -EINVAL, { S("x"), S_IFLNK | 0700, 0 } },
		{ SYS_mknod, -EINVAL, { S("x"), 0170000, 0 } },
		{ SYS_rmdir, -ENOTDIR, { S("f") } },
		{ SYS_rmdir, -EINVAL, { S("d/.") } },
		{ SYS_rmdir, -ENOTEMPTY, { S("d/..") } },
		{ SYS_unlink, -EISDIR, { S("d") } },
		{ SYS_unlink, -ENOENT, { S("x") } },
		{ SYS_link, -EPERM, { S("d"), S("x") } },
		{ SYS_link, -EEXIST, { S("f"), S("d") } },
		{ SYS_symlink, -ENOENT, { S(""), S("x") } },
		{ SYS_symlink, -EEXIST, { S("f"), S("l") } },
		{ SYS_renameat2, -EINVAL, { AT_FDCWD, S("f"), AT_FDCWD, S("x"), 8 } },
		{ SYS_renameat2, -EINVAL, { AT_FDCWD, S("f"), AT_FDCWD, S("x"), -1 } },
		{ SYS_renameat2, -EINVAL, { AT_FDCWD, S("f"), AT_FDCWD, S("x"), 3 } },
		{ SYS_renameat2, -EINVAL, { AT_FDCWD, S("f"), AT_FDCWD, S("x"), 6 } },
		{ SYS_renameat2, -EEXIST, { AT_FDCWD, S("f"), AT_FDCWD, S("d"), 1 } },
		{ SYS_renameat2, -ENOENT, { AT_FDCWD, S("f"), AT_FDCWD, S("x"), 2 } },
		{ SYS_renameat2, -EISDIR, { AT_FDCWD, S("f"), AT_FDCWD, S("d"), 0 } },
		{ SYS_renameat2, -ENOTDIR, { AT_FDCWD, S("d"), AT_FDCWD, S("f"), 0 } },
		{ SYS_renameat2, -EINVAL, { AT_FDCWD, S("d"), AT_FDCWD, S("d/x"), 0 } },
		{ SYS_renameat2, -EBUSY, { AT_FDCWD, S("."), AT_FDCWD, S("x"), 0 } },
		/* what is asked of files */
		{ SYS_statx, -EINVAL, { AT_FDCWD, S("f"), 0, 0x80000000, BUF } },
		{ SYS_statx, -EINVAL, { AT_FDCWD, S("f"), 0x6000, 0xfff, BUF } },
		{ SYS_statx, -EFAULT, { AT_FDCWD, S("f"), 0, 0xfff, NOTHING } },
		{ SYS_getdents64, -ENOTDIR, { RW, BUF, PAGE } },
		{ SYS_getdents64, -EINVAL, { DIR_FD, BUF, 1 } },
		{ SYS_getdents64, -EFAULT, { DIR_FD, NOTHING, PAGE } },
		{ SYS_readlink, -EINVAL, { S("l"), BUF, 0 } },
		{ SYS_readlink, -EINVAL, { S("f"), BUF, 100 } },
		{ SYS_readlink, 1, { S("l"), BUF, 1 } },
		{ SYS_utimensat, -EFAULT, { AT_FDCWD, S("f"), NOTHING, 0 } },
		{ SYS_utimensat, -EINVAL, { AT_FDCWD, S("f"), 0, 1 } },
		{ SYS_flock, -EINVAL, { RW, 0 } },
		{ SYS_flock, -EINVAL, { RW, 7 } },
		{ SYS_fcntl, -EINVAL, { RW, 9999, 0 } },
		{ SYS_fcntl, -EINVAL, { RW, F_SETLEASE, 7 } },
		{ SYS_fadvise64, -EINVAL, { RW, 0, 1, 99 } },
		{ SYS_fadvise64, -EINVAL, { RW, 0, -1, 0 } },
		{ SYS_sync_file_range, -EINVAL, { RW, -1, 1, 0 } },
		{ SYS_sync_file_range, -EINVAL, { RW, 0, -1, 0 } },
		{ SYS_sync_file_range, -EINVAL, { RW, 0, 1, 8 } },
		{ SYS_swapon, -EINVAL, { S("f"), 0 } },
		{ SYS_execve, -EACCES, { S("f"), 0, 0 } },
		{ SYS_execve, -EACCES, { S("d"), 0, 0 } },
		{ SYS_chroot, -ENOTDIR, { S("f") } },
		{ SYS_name_to_handle_at, -EINVAL, { AT_FDCWD, S("f"), BUF, BUF + PAGE, 1 } },
		{ SYS_name_to_handle_at, -EFAULT, { AT_FDCWD, S("f"), NOTHING, BUF, 0 } },
		{ SYS_open_by_handle_at, -EFAULT, { DIR_FD, NOTHING, 0 } },
	};

	memcpy(rows, table, sizeof(table));
	*to = rows;
	return ARRAY_SIZE(table);
}

TEST_F(hostile, table)
{
	static struct image before, after;
	const struct row *rows;
	size_t i, n = make_rows(&rows);

	ASSERT_OK(furnish("m", fs_type()));
	image_take(&before, ".");
	for (i = 0; i < n; i++) {
		const struct row *row = &rows[i];
		long long got;

		/* What offsets there are depends on the machine: see like_tmpfs. */
		if (!has_row(row))
			continue;
		got = do_row(row);
		EXPECT_EQ(row->want, got)
			TH_LOG("row %zu: call %ld (%llx, %llx, %llx, %llx, %llx, %llx)", i, row->nr,
			       row->arg[0], row->arg[1], row->arg[2], row->arg[3], row->arg[4],
			       row->arg[5]);
		image_take(&after, ".");
		EXPECT_TRUE(image_same(&before, &after))
			TH_LOG("row %zu changed something: %s", i,
			       image_differs(&before, &after));
		if (!image_same(&before, &after)) {
			clear_out("m");
			ASSERT_OK(furnish("m", fs_type()));
		}
		ASSERT_EQ(0, memcmp((void *)PRIVATE, before_map, 4 * PAGE))
			TH_LOG("row %zu changed the private mapping", i);
		ASSERT_EQ(0, memcmp((void *)SHARED, before_map, 4 * PAGE))
			TH_LOG("row %zu changed the shared mapping", i);
	}
	clear_out("m");
}

/* Names that are too long by one, and as long as they may be. */
TEST_F(hostile, long_names)
{
	char name[300], attr[300], target[5000];

	ASSERT_OK(furnish("m", fs_type()));
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	EXPECT_ERRNO(ENAMETOOLONG, mkdir(name, 0700));
	name[255] = '\0';
	EXPECT_EQ(0, mkdir(name, 0700));
	memset(attr, 'a', sizeof(attr));
	memcpy(attr, "user.", 5);
	attr[256] = '\0';
	EXPECT_ERRNO(ERANGE, setxattr("f", attr, "1", 1, 0));
	attr[255] = '\0';
	EXPECT_EQ(0, setxattr("f", attr, "1", 1, 0));
	EXPECT_EQ(0, removexattr("f", attr));
	memset(target, 't', sizeof(target));
	target[4096] = '\0';
	EXPECT_ERRNO(ENAMETOOLONG, symlink(target, "long"));
	target[4095] = '\0';
	EXPECT_EQ(0, symlink(target, "long"));
	EXPECT_EQ(4095, readlink("long", (char *)BUF, 8192));
	clear_out("m");
}

/* All answers to the commands of a type and number, as one number. */
static int ioctls_of(unsigned int type, unsigned int nr)
{
	static const unsigned int sizes[] = { 0, 4, 8, 24, 200 };
	unsigned int i, command;
	int ret, said = 0;

	for (i = 0; i < 4 * ARRAY_SIZE(sizes); i++) {
		command = _IOC(i % 4, type, nr, sizes[i / 4]);
		/* tmpfs can be frozen no more than it can zero a range. */
		if (command == FIFREEZE || command == FITHAW ||
		    command == _IOW('X', 57, char[48]))
			continue;
		ret = ioctl(RO, command, BUF);
		said = said * 31 + (ret == -1 ? -errno : ret);
	}
	return said;
}

/* Every number that is one for an ioctl of a file system. */
TEST_F(hostile, ioctls)
{
	static const unsigned int types[] = { 'f', 'X', 'v', 0x12, 0x94, 'T', 0 };
	static int said[2][ARRAY_SIZE(types)][256];
	static struct image before, after;
	unsigned int t, nr;
	int pass;

	/* What the one has the other has, and answers the same. */
	for (pass = 0; pass < 2; pass++) {
		ASSERT_OK(furnish("m", pass ? "tmpfs" : fs_type()));
		memset((void *)BUF, 0, 16 * PAGE);
		image_take(&before, ".");
		for (t = 0; t < ARRAY_SIZE(types); t++)
			for (nr = 0; nr < 256; nr++)
				said[pass][t][nr] = ioctls_of(types[t], nr);
		image_take(&after, ".");
		EXPECT_TRUE(image_same(&before, &after))
			TH_LOG("%s", image_differs(&before, &after));
		clear_out("m");
	}
	for (t = 0; t < ARRAY_SIZE(types); t++)
		for (nr = 0; nr < 256; nr++)
			EXPECT_EQ(said[1][t][nr], said[0][t][nr])
				TH_LOG("type %#x, number %u", types[t], nr);
}

/* All combinations of edges, on both. */

static const long long edges[] = {
	0, 1, 511, PAGE - 1, PAGE, PAGE + 1, SIZE - 1, SIZE, SIZE + 1, 4 * PAGE, 0x7fffffff,
	0x80000000, 0xffffffff, 0x100000000, 1LL << 44, MAX - PAGE, MAX - 1, MAX, -1, -PAGE, MIN,
};

#define EDGES	ARRAY_SIZE(edges)

/*
 * Who takes an offset and a length, or one of them. 0 stands for the offset, 1
 * for the length.
 */
static const struct shape {
	const char *name;
	long nr;
	long arg[6];
	int off, len;
} shapes[] = {
	{ "pread", SYS_pread64, { RW, BUF, 1 }, 3, -1 },
	{ "pread_len", SYS_pread64, { RW, BUF }, 3, 2 },
	{ "pwrite", SYS_pwrite64, { RW, BUF, 1 }, 3, -1 },
	{ "pwrite_none", SYS_pwrite64, { RW, BUF, 0 }, 3, -1 },
	{ "lseek_set", SYS_lseek, { RW, 0, SEEK_SET }, 1, -1 },
	{ "lseek_cur", SYS_lseek, { RW, 0, SEEK_CUR }, 1, -1 },
	{ "lseek_end", SYS_lseek, { RW, 0, SEEK_END }, 1, -1 },
	{ "lseek_data", SYS_lseek, { RW, 0, SEEK_DATA }, 1, -1 },
	{ "lseek_hole", SYS_lseek, { RW, 0, SEEK_HOLE }, 1, -1 },
	{ "lseek_whence", SYS_lseek, { RW, 0 }, 1, 2 },
	{ "lseek_dir", SYS_lseek, { DIR_FD, 0, SEEK_SET }, 1, -1 },
	{ "ftruncate", SYS_ftruncate, { RW }, 1, -1 },
	{ "fallocate", SYS_fallocate, { RW, 0 }, 2, 3 },
	{ "fallocate_keep", SYS_fallocate, { RW, 1 }, 2, 3 },
	{ "fallocate_punch", SYS_fallocate, { RW, 3 }, 2, 3 },
	{ "fallocate_mode", SYS_fallocate, { RW, 0, 0, 1 }, 1, -1 },
	{ "mmap_private", SYS_mmap, { 0, 0, PROT_READ, MAP_PRIVATE, RW }, 5, 1 },
	{ "mmap_shared", SYS_mmap, { 0, 0, PROT_READ, MAP_SHARED, RW }, 5, 1 },
	{ "madvise", SYS_madvise, { PRIVATE, PAGE }, 2, -1 },
	{ "msync", SYS_msync, { SHARED, 0, MS_SYNC }, -1, 1 },
	{ "mincore", SYS_mincore, { PRIVATE, 0, BUF }, -1, 1 },
	{ "fadvise", SYS_fadvise64, { RW, 0, 0, 4 }, 1, 2 },
	{ "readahead", SYS_readahead, { RW }, 1, 2 },
	{ "sync_file_range", SYS_sync_file_range, { RW, 0, 0, 7 }, 1, 2 },
	{ "fchmod", SYS_fchmod, { RW }, 1, -1 },
	{ "fchown", SYS_fchown, { RW }, 1, 2 },
	{ "getdents", SYS_getdents64, { DIR_FD, BUF }, -1, 2 },
	{ "fgetxattr", SYS_fgetxattr, { RW, (long)"user.a", BUF }, -1, 3 },
	{ "fsetxattr", SYS_fsetxattr, { RW, (long)"user.b", BUF }, 4, 3 },
	{ "flistxattr", SYS_flistxattr, { RW, BUF }, -1, 2 },
	{ "readlink", SYS_readlink, { (long)"l", BUF }, -1, 2 },
	{ "flock", SYS_flock, { RW }, 1, -1 },
	{ "statx", SYS_statx, { AT_FDCWD, (long)"f", 0, 0, BUF }, 2, 3 },
	{ "rename", SYS_renameat2, { AT_FDCWD, (long)"f", AT_FDCWD, (long)"x" }, 4, -1 },
	{ "ioctl", SYS_ioctl, { RW, 0, BUF }, 1, -1 },
	{ "mknod", SYS_mknod, { (long)"x" }, 1, 2 },
	{ "open", SYS_open, { (long)"f", 0, 0600 }, 1, -1 },
	{ "umask", SYS_mkdir, { (long)"x" }, 1, -1 },
};

/* At 32 bits files of tmpfs end at 16 TiB, and directories at 2 GiB. */
static bool beyond_tmpfs(const struct shape *shape, long long edge)
{
	return sizeof(long) == 4 &&
	       edge >= (strcmp(shape->name, "lseek_dir") ? 0xffffffffLL * PAGE : 0x80000000LL);
}

static void make_shape(const struct shape *shape, size_t off, size_t len, struct row *row)
{
	size_t i;

	memset(row, 0, sizeof(*row));
	row->nr = shape->nr;
	for (i = 0; i < ARRAY_SIZE(row->arg); i++)
		row->arg[i] = shape->arg[i];
	if (shape->off >= 0)
		row->arg[shape->off] = edges[off];
	if (shape->len >= 0)
		row->arg[shape->len] = edges[len];
}

/* What a call answers. Where it put things does not matter. */
static long long answer(const struct row *row, const char *name)
{
	long long ret = do_row(row);

	if (ret < 0)
		return ret;
	if (row->nr == SYS_mmap) {
		munmap((void *)(long)ret, row->arg[1]);
		return 0;
	}
	if (row->nr == SYS_open) {
		close(ret);
		return 0;
	}
	/* Names and sizes of entries are the same, their order and offsets not. */
	if (row->nr == SYS_getdents64 || (!strcmp(name, "lseek_dir") && ret > 0))
		return 1;
	return ret;
}

/* What came of a call: its answer, and what there is then. */
struct came {
	long long said;
	uint64_t left;
};

TEST_F_TIMEOUT(hostile, like_tmpfs, 600)
{
	static struct came came[2][ARRAY_SIZE(shapes) * EDGES * EDGES];
	static struct image before, after;
	size_t i, off, len, calls = 0;
	const struct shape *shape;
	struct row row;
	int pass;

	for (pass = 0; pass < 2; pass++) {
		ASSERT_OK(furnish("m", pass ? "tmpfs" : fs_type()));
		image_take(&before, ".");
		for (i = 0; i < ARRAY_SIZE(came[0]); i++) {
			shape = &shapes[i / EDGES / EDGES];
			off = i / EDGES % EDGES;
			len = i % EDGES;
			if ((shape->off < 0 && off) || (shape->len < 0 && len) ||
			    beyond_tmpfs(shape, edges[off]) || beyond_tmpfs(shape, edges[len]))
				continue;
			make_shape(shape, off, len, &row);
			came[pass][i].said = answer(&row, shape->name);
			image_take(&after, ".");
			came[pass][i].left = image_hash(0, after.text, after.len);
			calls++;
			if (pass)
				EXPECT_EQ(came[1][i].said, came[0][i].said)
					TH_LOG("%s, %lld, %lld", shape->name, edges[off], edges[len]);
			if (pass)
				EXPECT_EQ(came[1][i].left, came[0][i].left)
					TH_LOG("%s, %lld, %lld: on tmpfs there is %s", shape->name,
					       edges[off], edges[len],
					       image_differs(&before, &after));
			lseek(RW, 0, SEEK_SET);
			lseek(DIR_FD, 0, SEEK_SET);
			if (image_same(&before, &after))
				continue;
			if (!pass)
				EXPECT_LE(0, came[0][i].said)
					TH_LOG("%s, %lld, %lld failed, and there is %s", shape->name,
					       edges[off], edges[len],
					       image_differs(&before, &after));
			clear_out("m");
			ASSERT_OK(furnish("m", pass ? "tmpfs" : fs_type()));
			image_take(&before, ".");
		}
		clear_out("m");
	}
	TH_LOG("%zu calls", calls / 2);
}

/* Options, right and wrong; what is refused leaves no mount behind. */
static const struct option_row {
	const char *options;
	int err;
	bool wide;	/* more pages than 32 bits can count */
} option_rows[] = {
	{ "", 0 }, { "size=1", 0 }, { "size=4096", 0 }, { "size=4k", 0 }, { "size=1K", 0 },
	{ "size=1e", 0, true }, { "size=7e", 0, true }, { "size=0", 0 }, { "size=0x1000", 0 },
	{ "size=010", 0 }, { "size=100%", 0 }, { "size=0%", 0 }, { "size=1000%", 0 },
	{ "size=9223372036854775807", 0, true }, { "size=18446744073709551615", 0, true },
	{ "size=18446744073709551616", EINVAL }, { "size=16e", EINVAL },
	{ "size=99999999999999999999e", EINVAL }, { "size=-1", EINVAL }, { "size=", EINVAL },
	{ "size", EINVAL }, { "size=k", EINVAL }, { "size=1kk", EINVAL }, { "size=1 ", EINVAL },
	{ "size= 1", EINVAL }, { "size=1%%", EINVAL }, { "size=%", EINVAL },
	{ "size=0x", EINVAL }, { "size=0xg", EINVAL }, { "size=09", EINVAL },
	{ "size=1.5m", EINVAL }, { "size=+1", EINVAL },
	{ "nr_inodes=1", 0 }, { "nr_inodes=0", 0 }, { "nr_inodes=2k", 0 },
	{ "nr_inodes=10%", EINVAL }, { "nr_inodes=-1", EINVAL }, { "nr_inodes=", EINVAL },
	{ "nr_inodes", EINVAL }, { "nr_inodes=18446744073709551615", EINVAL },
	{ "mode=0", 0 }, { "mode=7777", 0 }, { "mode=10000", EINVAL }, { "mode=8", EINVAL },
	{ "mode=-1", EINVAL }, { "mode=", EINVAL }, { "mode", EINVAL },
	{ "mode=37777777777", EINVAL }, { "mode=777777777777", EINVAL },
	{ "uid=0", 0 }, { "uid=4294967294", 0 }, { "uid=4294967295", EINVAL },
	{ "uid=4294967296", EINVAL }, { "uid=-1", EINVAL }, { "uid=root", EINVAL },
	{ "uid=", EINVAL }, { "uid", EINVAL }, { "gid=0", 0 }, { "gid=4294967295", EINVAL },
	{ "gid=x", EINVAL }, { "private=snapshot", 0 }, { "private=live", 0 },
	{ "private=", EINVAL }, { "private", EINVAL }, { "private=Snapshot", EINVAL },
	{ "private=snapshot ", EINVAL }, { "private=livelive", EINVAL },
	{ "huge=always", EINVAL }, { "mpol=local", EINVAL }, { "noswap", EINVAL },
	{ "nr_blocks=10", EINVAL }, { "inode64", EINVAL }, { "usrquota", EINVAL },
	{ "x", EINVAL }, { "x=y", EINVAL }, { "SIZE=1m", EINVAL },
	{ ",,size=1m,,", 0 }, { "size=1m,size=2m,size=3m", 0 }, { "size=1m,x", EINVAL },
};

TEST_F(hostile, mount_options)
{
	struct statfs below, st;
	size_t i;

	if (fs_is_tmpfs())
		SKIP(return, "other options");
	ASSERT_OK(mkdir("m", 0755));
	ASSERT_OK(statfs("m", &below));
	for (i = 0; i < ARRAY_SIZE(option_rows); i++) {
		const struct option_row *row = &option_rows[i];
		int err = mount("none", "m", fs_type(), 0, row->options) ? errno : 0;

		EXPECT_EQ(row->wide && sizeof(long) == 4 ? EINVAL : row->err, err) TH_LOG("mounting with '%s'", row->options);
		ASSERT_OK(statfs("m", &st));
		EXPECT_EQ(!err, memcmp(&st.f_fsid, &below.f_fsid, sizeof(st.f_fsid)) != 0);
		if (!err)
			EXPECT_OK(umount("m"));
	}
	/* The same by remounting: what is refused changes nothing. */
	ASSERT_OK(mount("none", "m", fs_type(), 0, "size=1m,nr_inodes=100,mode=751"));
	ASSERT_OK(statfs("m", &below));
	for (i = 0; i < ARRAY_SIZE(option_rows); i++) {
		const struct option_row *row = &option_rows[i];

		if (!row->err)
			continue;
		EXPECT_ERRNO(row->err, mount("none", "m", NULL, MS_REMOUNT, row->options));
		ASSERT_OK(statfs("m", &st));
		EXPECT_EQ(below.f_blocks, st.f_blocks) TH_LOG("'%s'", row->options);
		EXPECT_EQ(below.f_files, st.f_files);
		EXPECT_EQ(0751, fs_mode("m"));
	}
	EXPECT_ERRNO(EFAULT, mount("none", "m", fs_type(), 0, (void *)NOTHING));
	EXPECT_OK(umount("m"));
}

/* A page of nothing but one option, without an end. */
TEST_F(hostile, mount_option_too_long)
{
	char *page;

	ASSERT_OK(mkdir("m", 0755));
	page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_OK(munmap(page + PAGE, PAGE));
	memset(page, 'x', PAGE);
	EXPECT_ERRNO(EINVAL, mount("none", "m", fs_type(), 0, page));
	memcpy(page, "size=1m,", 8);
	memset(page + 8, ',', PAGE - 8);
	EXPECT_OK(mount("none", "m", fs_type(), 0, page));
	EXPECT_OK(umount("m"));
}

TEST_HARNESS_MAIN
