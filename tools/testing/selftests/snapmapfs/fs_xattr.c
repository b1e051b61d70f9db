// SPDX-License-Identifier: GPL-2.0
/*
 * Extended attributes of the user, trusted and security namespaces. (ACLs are
 * in fs_acl.c.)
 */
#include "fs.h"

#include <linux/capability.h>
#include <sys/sysmacros.h>

#ifndef XATTR_SIZE_MAX
#define XATTR_SIZE_MAX 65536
#endif

/* Sets a string as the value. */
static int put(const char *path, const char *name, const char *value)
{
	return setxattr(path, name, value, strlen(value), 0);
}

/* True when the attribute has exactly this value. */
static bool has(const char *path, const char *name, const char *value)
{
	char buf[256];
	ssize_t n = lgetxattr(path, name, buf, sizeof(buf));

	return n == (ssize_t)strlen(value) && !memcmp(buf, value, n);
}

FS_FIXTURE(xattr)

TEST_F(xattr, set_get_remove)
{
	static const char * const names[] = {
		"user.name", "trusted.name", "security.name",
	};
	char buf[64];
	size_t i;
	int fd;

	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_LE(0, fd = open("f", O_RDONLY));
	EXPECT_EQ(0, listxattr("f", NULL, 0));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		const char *name = names[i];

		EXPECT_ERRNO(ENODATA, getxattr("f", name, buf, sizeof(buf)));
		EXPECT_ERRNO(ENODATA, removexattr("f", name));
		ASSERT_EQ(0, put("f", name, "value")) TH_LOG("%s", name);
		EXPECT_TRUE(has("f", name, "value"));
		EXPECT_TRUE(fs_listed("f", name));
		EXPECT_EQ(5, fgetxattr(fd, name, buf, sizeof(buf)));
		/* Replace by a longer, then a shorter one. */
		ASSERT_EQ(0, fsetxattr(fd, name, "a longer value", 14, 0));
		EXPECT_TRUE(has("f", name, "a longer value"));
		ASSERT_EQ(0, put("f", name, "s"));
		EXPECT_TRUE(has("f", name, "s"));
	}
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(0, removexattr("f", names[i]));
		EXPECT_FALSE(fs_listed("f", names[i]));
		EXPECT_ERRNO(ENODATA, getxattr("f", names[i], buf, 1));
		EXPECT_ERRNO(ENODATA, fremovexattr(fd, names[i]));
	}
	EXPECT_EQ(0, listxattr("f", NULL, 0));
	EXPECT_TRUE(fs_holds("f", "x"));
}

TEST_F(xattr, flags)
{
	ASSERT_EQ(0, fs_puts("f", ""));
	EXPECT_ERRNO(ENODATA, setxattr("f", "user.a", "1", 1, XATTR_REPLACE));
	EXPECT_EQ(0, setxattr("f", "user.a", "1", 1, XATTR_CREATE));
	EXPECT_ERRNO(EEXIST, setxattr("f", "user.a", "2", 1, XATTR_CREATE));
	EXPECT_TRUE(has("f", "user.a", "1"));
	EXPECT_EQ(0, setxattr("f", "user.a", "3", 1, XATTR_REPLACE));
	EXPECT_TRUE(has("f", "user.a", "3"));
	EXPECT_ERRNO(EINVAL, setxattr("f", "user.a", "4", 1, 4));
	EXPECT_TRUE(has("f", "user.a", "3"));
	EXPECT_EQ(0, removexattr("f", "user.a"));
	EXPECT_ERRNO(ENODATA, setxattr("f", "user.a", "5", 1, XATTR_REPLACE));
}

TEST_F(xattr, names)
{
	char name[300] = "user.";

	ASSERT_EQ(0, fs_puts("f", ""));
	memset(name + 5, 'n', 250);
	EXPECT_EQ(0, put("f", name, "longest"));
	EXPECT_TRUE(has("f", name, "longest"));
	EXPECT_TRUE(fs_listed("f", name));
	name[255] = 'n';
	EXPECT_ERRNO(ERANGE, put("f", name, "x"));
	EXPECT_ERRNO(ERANGE, put("f", "", "x"));
	EXPECT_ERRNO(EOPNOTSUPP, put("f", "nonsense.a", "x"));
	EXPECT_ERRNO(EOPNOTSUPP, put("f", "noprefix", "x"));
	EXPECT_ERRNO(EOPNOTSUPP, getxattr("f", "nonsense.a", NULL, 0));
	EXPECT_ERRNO(EINVAL, put("f", "user.", "x"));
	EXPECT_ERRNO(EINVAL, put("f", "trusted.", "x"));
	EXPECT_ERRNO(ENOENT, put("none", "user.a", "x"));

	/* Names are bytes, and one may begin another. */
	EXPECT_EQ(0, put("f", "user.a", "1"));
	EXPECT_EQ(0, put("f", "user.A", "2"));
	EXPECT_EQ(0, put("f", "user.aa", "3"));
	EXPECT_EQ(0, put("f", "user.a.b c\xff", "4"));
	EXPECT_TRUE(has("f", "user.a", "1"));
	EXPECT_TRUE(has("f", "user.A", "2"));
	EXPECT_TRUE(has("f", "user.aa", "3"));
	EXPECT_TRUE(has("f", "user.a.b c\xff", "4"));
}

TEST_F(xattr, sizes)
{
	static const int lens[] = { 1, 63, 64, 4095, 4096, 4097, 65535, 65536 };
	char *a = malloc(XATTR_SIZE_MAX + 1), *b = malloc(XATTR_SIZE_MAX);
	size_t i;

	ASSERT_EQ(0, fs_puts("f", ""));
	fs_fill(a, XATTR_SIZE_MAX, 5);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, setxattr("f", "user.v", a, lens[i], 0));
		EXPECT_EQ(lens[i], getxattr("f", "user.v", NULL, 0));
		memset(b, 0, XATTR_SIZE_MAX);
		EXPECT_EQ(lens[i], getxattr("f", "user.v", b, XATTR_SIZE_MAX));
		EXPECT_EQ(0, memcmp(a, b, lens[i]));
		EXPECT_EQ(lens[i], getxattr("f", "user.v", b, lens[i]));
		if (lens[i] > 1)
			EXPECT_ERRNO(ERANGE, getxattr("f", "user.v", b,
						      lens[i] - 1));
	}
	EXPECT_ERRNO(E2BIG, setxattr("f", "user.v", a, XATTR_SIZE_MAX + 1, 0));
	EXPECT_EQ(XATTR_SIZE_MAX, getxattr("f", "user.v", NULL, 0));
	/* An empty value is a value. */
	EXPECT_EQ(0, setxattr("f", "user.e", NULL, 0, 0));
	EXPECT_EQ(0, getxattr("f", "user.e", b, 10));
	EXPECT_TRUE(fs_listed("f", "user.e"));
	EXPECT_ERRNO(EFAULT, syscall(SYS_setxattr, "f", "user.v", 8, 5, 0));
}

TEST_F(xattr, list)
{
	char name[32], list[4096];
	ssize_t want, n;
	int i;

	ASSERT_EQ(0, fs_puts("f", ""));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user.name%02d", i);
		ASSERT_EQ(0, put("f", name, name));
	}
	want = 100 * strlen("user.name00") + 100;
	EXPECT_EQ(want, listxattr("f", NULL, 0));
	n = listxattr("f", list, sizeof(list));
	EXPECT_EQ(want, n);
	EXPECT_ERRNO(ERANGE, listxattr("f", list, want - 1));
	EXPECT_EQ(want, listxattr("f", list, want));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user.name%02d", i);
		EXPECT_TRUE(fs_listed("f", name));
		EXPECT_TRUE(has("f", name, name));
		if (i % 2)
			EXPECT_EQ(0, removexattr("f", name));
	}
	EXPECT_EQ(want / 2, listxattr("f", NULL, 0));
}

TEST_F(xattr, by_kind_of_inode)
{
	ASSERT_EQ(0, fs_puts("f", ""));
	ASSERT_EQ(0, symlink("f", "l"));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, mkfifo("p", 0644));
	ASSERT_EQ(0, mknod("c", S_IFCHR | 0644, makedev(1, 3)));

	EXPECT_EQ(0, put("d", "user.a", "dir"));
	EXPECT_TRUE(has("d", "user.a", "dir"));
	EXPECT_ERRNO(EPERM, lsetxattr("l", "user.a", "x", 1, 0));
	EXPECT_ERRNO(EPERM, put("p", "user.a", "x"));
	EXPECT_ERRNO(EPERM, put("c", "user.a", "x"));
	EXPECT_EQ(0, lsetxattr("l", "trusted.a", "link", 4, 0));
	EXPECT_TRUE(has("l", "trusted.a", "link"));
	EXPECT_TRUE(fs_listed("l", "trusted.a"));
	EXPECT_EQ(0, put("p", "trusted.a", "fifo"));
	EXPECT_TRUE(has("p", "trusted.a", "fifo"));
	/* Without l, it goes to the target. */
	EXPECT_ERRNO(ENODATA, getxattr("l", "trusted.a", NULL, 0));
	EXPECT_EQ(0, put("l", "user.b", "target"));
	EXPECT_TRUE(has("f", "user.b", "target"));
}

TEST_F(xattr, by_user)
{
	char buf[16];

	ASSERT_EQ(0, fs_puts("f", ""));
	ASSERT_EQ(0, put("f", "user.a", "1"));
	ASSERT_EQ(0, put("f", "trusted.a", "2"));
	ASSERT_EQ(0, put("f", "security.a", "3"));
	ASSERT_EQ(0, chmod("f", 0644));
	ASSERT_EQ(0, mkdir("sticky", 0777));
	ASSERT_EQ(0, chmod("sticky", 01777));
	ASSERT_EQ(0, fs_become(1000, 1000));

	EXPECT_TRUE(has("f", "user.a", "1"));
	EXPECT_TRUE(fs_listed("f", "user.a"));
	EXPECT_ERRNO(EACCES, put("f", "user.a", "x"));
	EXPECT_ERRNO(EACCES, removexattr("f", "user.a"));
	/* Trusted ones do not exist for them. */
	EXPECT_ERRNO(ENODATA, getxattr("f", "trusted.a", buf, sizeof(buf)));
	EXPECT_ERRNO(EPERM, put("f", "trusted.b", "x"));
	EXPECT_ERRNO(EPERM, removexattr("f", "trusted.a"));
	EXPECT_FALSE(fs_listed("f", "trusted.a"));
	EXPECT_TRUE(has("f", "security.a", "3"));
	EXPECT_ERRNO(EPERM, put("f", "security.b", "x"));
	/* Whoever may write a sticky directory does not own it. */
	EXPECT_ERRNO(EPERM, put("sticky", "user.a", "x"));

	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, chmod("f", 0622));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_EQ(0, put("f", "user.a", "new"));
	EXPECT_ERRNO(EACCES, getxattr("f", "user.a", buf, sizeof(buf)));
}

TEST_F(xattr, belongs_to_inode)
{
	char buf[16];
	int fd;

	ASSERT_EQ(0, fs_puts("f", ""));
	ASSERT_EQ(0, put("f", "user.a", "1"));
	ASSERT_EQ(0, link("f", "g"));
	EXPECT_TRUE(has("g", "user.a", "1"));
	ASSERT_EQ(0, rename("f", "h"));
	EXPECT_TRUE(has("h", "user.a", "1"));
	ASSERT_LE(0, fd = open("h", O_RDWR));
	ASSERT_EQ(0, unlink("g"));
	ASSERT_EQ(0, unlink("h"));
	EXPECT_EQ(1, fgetxattr(fd, "user.a", buf, sizeof(buf)));
	EXPECT_EQ(0, fsetxattr(fd, "user.b", "2", 1, 0));
	EXPECT_EQ(2 * sizeof("user.a"), flistxattr(fd, buf, sizeof(buf)));
	close(fd);
	ASSERT_EQ(0, fs_puts("f", ""));
	EXPECT_ERRNO(ENODATA, getxattr("f", "user.a", NULL, 0));
	ASSERT_LE(0, fd = open(".", O_RDWR | O_TMPFILE, 0644));
	EXPECT_EQ(0, fsetxattr(fd, "user.t", "tmp", 3, 0));
	EXPECT_EQ(3, fgetxattr(fd, "user.t", buf, sizeof(buf)));
}

/* A file's capabilities are for the bytes they were given to. */
TEST_F(xattr, write_drops_capabilities)
{
	struct vfs_cap_data cap = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data[0].permitted = 1 << CAP_CHOWN,
	};
	int fd, round;

	ASSERT_EQ(0, fs_puts("f", "program"));
	ASSERT_LE(0, fd = open("f", O_RDWR));
	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, setxattr("f", "security.capability", &cap,
				      XATTR_CAPS_SZ_2, 0));
		ASSERT_EQ(XATTR_CAPS_SZ_2,
			  getxattr("f", "security.capability", NULL, 0));
		switch (round) {
		case 0:
			ASSERT_EQ(1, pwrite(fd, "x", 1, 0));
			break;
		case 1:
			ASSERT_EQ(0, ftruncate(fd, 3));
			break;
		case 2:
			ASSERT_EQ(0, chown("f", 1000, 1000));
			break;
		}
		EXPECT_ERRNO(ENODATA, getxattr("f", "security.capability",
					       NULL, 0));
	}
	/* Nothing to drop: a second write is the usual, quick case. */
	EXPECT_EQ(1, pwrite(fd, "y", 1, 0));
}

TEST_HARNESS_MAIN
