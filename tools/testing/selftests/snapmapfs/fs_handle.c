// SPDX-License-Identifier: GPL-2.0
/*
 * File handles, as file servers use them: an inode found again without its
 * name, for as long as it exists and not a moment longer.
 */
#include "fs.h"

struct handle {
	struct file_handle fh;
	unsigned char bytes[MAX_HANDLE_SZ];
};

static int name_to(const char *path, struct handle *h, int flags)
{
	int mount_id;

	h->fh.handle_bytes = MAX_HANDLE_SZ;
	return name_to_handle_at(AT_FDCWD, path, &h->fh, &mount_id, flags);
}

static bool same(const struct handle *a, const struct handle *b)
{
	return a->fh.handle_type == b->fh.handle_type &&
	       a->fh.handle_bytes == b->fh.handle_bytes &&
	       !memcmp(a->fh.f_handle, b->fh.f_handle, a->fh.handle_bytes);
}

static uint64_t fd_ino(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

static void forget_dentries(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, "2", 1) != 1)
		perror("drop_caches");
	close(fd);
}

FIXTURE(handle) {
	char dir[FS_PATH];
	int mount;
};

FIXTURE_SETUP(handle)
{
	ASSERT_OK(fs_enter(self->dir));
	self->mount = open(".", O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, self->mount);
}

FIXTURE_TEARDOWN_PARENT(handle)
{
	EXPECT_OK(fs_remove(self->dir));
}

TEST_F(handle, file)
{
	struct handle h, again;
	char buf[8] = "";
	int fd;

	ASSERT_EQ(0, fs_puts("f", "found"));
	ASSERT_EQ(0, name_to("f", &h, 0));
	ASSERT_EQ(0, name_to("f", &again, 0));
	EXPECT_TRUE(same(&h, &again));
	fd = open_by_handle_at(self->mount, &h.fh, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(5, read(fd, buf, sizeof(buf)));
	EXPECT_STREQ("found", buf);
	EXPECT_EQ(fs_ino("f"), fd_ino(fd));
	EXPECT_EQ(5, pwrite(fd, "FOUND", 5, 0));
	EXPECT_TRUE(fs_holds("f", "FOUND"));
	/* The handle is the inode's, whatever it is called. */
	ASSERT_EQ(0, link("f", "g"));
	ASSERT_EQ(0, name_to("g", &again, 0));
	EXPECT_TRUE(same(&h, &again));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, rename("f", "d/h"));
	ASSERT_EQ(0, unlink("g"));
	ASSERT_EQ(0, name_to("d/h", &again, 0));
	EXPECT_TRUE(same(&h, &again));
	EXPECT_LE(0, open_by_handle_at(self->mount, &h.fh, O_RDONLY));
}

TEST_F(handle, other_kinds)
{
	struct handle d, l, p, f;
	struct stat st;
	char buf[16], list[512];
	int fd;

	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, fs_puts("d/f", "x"));
	ASSERT_EQ(0, symlink("d/f", "l"));
	ASSERT_EQ(0, mkfifo("p", 0644));
	ASSERT_EQ(0, name_to("d", &d, 0));
	ASSERT_EQ(0, name_to("l", &l, 0));
	ASSERT_EQ(0, name_to("l", &f, AT_SYMLINK_FOLLOW));
	ASSERT_EQ(0, name_to("p", &p, 0));
	EXPECT_FALSE(same(&l, &f));

	ASSERT_LE(0, fd = open_by_handle_at(self->mount, &d.fh, O_RDONLY));
	EXPECT_EQ(fs_ino("d"), fd_ino(fd));
	EXPECT_EQ(0, faccessat(fd, "f", F_OK, 0));
	EXPECT_LT(0, syscall(SYS_getdents64, fd, list, sizeof(list)));
	ASSERT_LE(0, fd = open_by_handle_at(self->mount, &l.fh, O_PATH));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_TRUE(S_ISLNK(st.st_mode));
	EXPECT_EQ(3, readlinkat(fd, "", buf, sizeof(buf)));
	ASSERT_LE(0, fd = open_by_handle_at(self->mount, &p.fh, O_PATH));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_TRUE(S_ISFIFO(st.st_mode));
	ASSERT_LE(0, fd = open_by_handle_at(self->mount, &f.fh, O_RDONLY));
	EXPECT_EQ(fs_ino("d/f"), fd_ino(fd));
}

TEST_F(handle, survives_drop_caches)
{
	struct handle f, d;
	int fd;

	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, mkdir("d/e", 0755));
	ASSERT_EQ(0, fs_puts("d/e/f", "deep"));
	ASSERT_EQ(0, name_to("d/e/f", &f, 0));
	ASSERT_EQ(0, name_to("d/e", &d, 0));
	forget_dentries();
	ASSERT_LE(0, fd = open_by_handle_at(self->mount, &f.fh, O_RDONLY));
	EXPECT_EQ(fs_ino("d/e/f"), fd_ino(fd));
	ASSERT_LE(0, fd = open_by_handle_at(self->mount, &d.fh, O_RDONLY));
	EXPECT_EQ(0, faccessat(fd, "f", F_OK, 0));
	/* The parent is known as well. */
	EXPECT_EQ(0, fchdir(fd));
	EXPECT_EQ(0, chdir(".."));
	EXPECT_EQ(0, access("e/f", F_OK));
	ASSERT_EQ(0, chdir(self->dir));
	EXPECT_EQ(fs_ino("d/e"), fd_ino(fd));
}

TEST_F(handle, stale)
{
	struct handle f, d, again;
	char name[32];
	int i, fd;

	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, name_to("f", &f, 0));
	ASSERT_EQ(0, name_to("d", &d, 0));
	ASSERT_EQ(0, unlink("f"));
	ASSERT_EQ(0, rmdir("d"));
	EXPECT_ERRNO(ESTALE, open_by_handle_at(self->mount, &f.fh, O_RDONLY));
	EXPECT_ERRNO(ESTALE, open_by_handle_at(self->mount, &d.fh, O_RDONLY));
	/* New inodes, even under a reused number, are not the old one. */
	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		ASSERT_EQ(0, fs_puts(name, ""));
		ASSERT_EQ(0, name_to(name, &again, 0));
		EXPECT_FALSE(same(&f, &again));
		fd = open_by_handle_at(self->mount, &f.fh, O_RDONLY);
		ASSERT_EQ(-1, fd);
		ASSERT_EQ(ESTALE, errno);
		if (i % 2)
			ASSERT_EQ(0, unlink(name));
	}
}

TEST_F(handle, refused)
{
	struct handle h, small, bad;
	int mount_id;

	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_EQ(0, name_to("f", &h, 0));
	/* A buffer that is too small is told how large it should be. */
	small.fh.handle_bytes = 0;
	EXPECT_ERRNO(EOVERFLOW, name_to_handle_at(AT_FDCWD, "f", &small.fh,
						  &mount_id, 0));
	EXPECT_EQ(h.fh.handle_bytes, small.fh.handle_bytes);
	EXPECT_ERRNO(ENOENT, name_to("none", &small, 0));

	bad = h;
	memset(bad.fh.f_handle, 0xa5, bad.fh.handle_bytes);
	EXPECT_ERRNO(ESTALE, open_by_handle_at(self->mount, &bad.fh, O_RDONLY));
	bad = h;
	bad.fh.handle_bytes = 1;
	EXPECT_ERRNO(ESTALE, open_by_handle_at(self->mount, &bad.fh, O_RDONLY));
	bad.fh.handle_bytes = 0;
	EXPECT_ERRNO(EINVAL, open_by_handle_at(self->mount, &bad.fh, O_RDONLY));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_ERRNO(EPERM, open_by_handle_at(self->mount, &h.fh, O_RDONLY));
	EXPECT_ERRNO(EPERM, open_by_handle_at(AT_FDCWD, &h.fh, O_RDONLY));
	ASSERT_EQ(0, fs_root());
	EXPECT_LE(0, open_by_handle_at(AT_FDCWD, &h.fh, O_RDONLY));
}

/* One instance does not find what another handed out. */
TEST_F(handle, of_another_instance)
{
	struct handle h;
	char name[32];
	int a, b, fd, i;

	ASSERT_EQ(0, fs_private_ns());
	ASSERT_EQ(0, fs_mount("a", 0, "size=1m"));
	ASSERT_EQ(0, fs_mount("b", 0, "size=1m"));
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%s/f%d", i % 2 ? "a" : "b", i);
		ASSERT_EQ(0, fs_puts(name, name));
	}
	ASSERT_LE(0, a = open("a", O_RDONLY));
	ASSERT_LE(0, b = open("b", O_RDONLY));
	for (i = 1; i < 20; i += 2) {
		snprintf(name, sizeof(name), "a/f%d", i);
		ASSERT_EQ(0, name_to(name, &h, 0));
		ASSERT_LE(0, fd = open_by_handle_at(a, &h.fh, O_RDONLY));
		EXPECT_EQ(fs_ino(name), fd_ino(fd));
		EXPECT_ERRNO(ESTALE, open_by_handle_at(b, &h.fh, O_RDONLY));
	}
}

TEST_HARNESS_MAIN
