// SPDX-License-Identifier: GPL-2.0
/*
 * POSIX ACLs, as the raw system.posix_acl_* attributes.
 */
#include "fs.h"

#include <endian.h>
#include <sys/sysmacros.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

enum { MAX_ENTRIES = 16 };

struct acl {
	uint32_t version;
	struct {
		uint16_t tag;
		uint16_t perm;
		uint32_t id;
	} entry[MAX_ENTRIES];
	int n;
};

static struct acl acl_new(void)
{
	struct acl acl = { .version = htole32(2) };

	return acl;
}

static void acl_add(struct acl *acl, int tag, int perm, uint32_t id)
{
	acl->entry[acl->n].tag = htole16(tag);
	acl->entry[acl->n].perm = htole16(perm);
	acl->entry[acl->n].id = htole32(id);
	acl->n++;
}

/* The minimal ACL, which says what mode bits say. */
static struct acl acl_of_mode(int mode)
{
	struct acl acl = acl_new();

	acl_add(&acl, USER_OBJ, mode >> 6 & 7, -1);
	acl_add(&acl, GROUP_OBJ, mode >> 3 & 7, -1);
	acl_add(&acl, OTHER, mode & 7, -1);
	return acl;
}

/* u::rw-, u:@uid:@perm, g::r--, g:@gid:@gperm, m::@mask, o::--- */
static struct acl acl_extended(uint32_t uid, int perm, uint32_t gid, int gperm,
			       int mask)
{
	struct acl acl = acl_new();

	acl_add(&acl, USER_OBJ, 6, -1);
	acl_add(&acl, USER, perm, uid);
	acl_add(&acl, GROUP_OBJ, 4, -1);
	acl_add(&acl, GROUP, gperm, gid);
	acl_add(&acl, MASK, mask, -1);
	acl_add(&acl, OTHER, 0, -1);
	return acl;
}

static size_t acl_bytes(const struct acl *acl)
{
	return 4 + 8 * acl->n;
}

static int acl_set(const char *path, const char *name, const struct acl *acl)
{
	return setxattr(path, name, acl, acl_bytes(acl), 0);
}

/* True when the file has exactly this ACL. */
static bool acl_is(const char *path, const char *name, const struct acl *acl)
{
	struct acl got;
	ssize_t n = getxattr(path, name, &got, sizeof(got));

	return n == (ssize_t)acl_bytes(acl) && !memcmp(&got, acl, n);
}

static bool acl_none(const char *path, const char *name)
{
	return getxattr(path, name, NULL, 0) == -1 && errno == ENODATA;
}

FS_FIXTURE(acl)

TEST_F(acl, minimal_is_the_mode)
{
	struct acl acl = acl_of_mode(0640);

	ASSERT_EQ(0, fs_puts("f", ""));
	EXPECT_TRUE(acl_none("f", ACCESS));
	ASSERT_EQ(0, acl_set("f", ACCESS, &acl));
	EXPECT_EQ(0640, fs_mode("f"));
	/* Nothing beyond the mode: nothing to keep. */
	EXPECT_TRUE(acl_none("f", ACCESS));
	EXPECT_FALSE(fs_listed("f", ACCESS));
}

TEST_F(acl, set_get_remove)
{
	struct acl acl = acl_extended(1001, 6, 2001, 4, 7), got;

	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_EQ(0, acl_set("f", ACCESS, &acl));
	EXPECT_TRUE(acl_is("f", ACCESS, &acl));
	EXPECT_TRUE(fs_listed("f", ACCESS));
	/* The group bits of the mode show the mask. */
	EXPECT_EQ(0670, fs_mode("f"));
	EXPECT_ERRNO(ERANGE, getxattr("f", ACCESS, &got, 10));
	EXPECT_EQ(acl_bytes(&acl), getxattr("f", ACCESS, NULL, 0));

	/* And chmod changes the mask, not the owning group's entry. */
	ASSERT_EQ(0, chmod("f", 0641));
	acl.entry[4].perm = htole16(4);
	acl.entry[5].perm = htole16(1);
	EXPECT_TRUE(acl_is("f", ACCESS, &acl));

	ASSERT_EQ(0, removexattr("f", ACCESS));
	EXPECT_TRUE(acl_none("f", ACCESS));
	EXPECT_FALSE(fs_listed("f", ACCESS));
	/* The kernel does not fail a second removal. */
	EXPECT_EQ(0, removexattr("f", ACCESS));

	/* It goes with the inode. */
	ASSERT_EQ(0, acl_set("f", ACCESS, &acl));
	ASSERT_EQ(0, rename("f", "g"));
	EXPECT_TRUE(acl_is("g", ACCESS, &acl));
	ASSERT_EQ(0, unlink("g"));
	ASSERT_EQ(0, fs_puts("g", ""));
	EXPECT_TRUE(acl_none("g", ACCESS));
}

TEST_F(acl, decides_access)
{
	struct acl acl = acl_extended(1001, 6, 2001, 4, 7);
	gid_t group = 2001;

	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_EQ(0, acl_set("f", ACCESS, &acl));

	ASSERT_EQ(0, fs_become(1001, 1001));
	EXPECT_LE(0, open("f", O_RDWR));
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, fs_become(1002, 1002));
	EXPECT_ERRNO(EACCES, open("f", O_RDONLY));
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, fs_become(1002, 2001));
	EXPECT_LE(0, open("f", O_RDONLY));
	EXPECT_ERRNO(EACCES, open("f", O_WRONLY));
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, setgroups(1, &group));
	ASSERT_EQ(0, setresuid(-1, 1002, -1));
	EXPECT_LE(0, open("f", O_RDONLY));

	/* The mask caps all of them, the owner not. */
	ASSERT_EQ(0, fs_root());
	acl = acl_extended(1001, 6, 2001, 4, 2);
	ASSERT_EQ(0, acl_set("f", ACCESS, &acl));
	ASSERT_EQ(0, fs_become(1001, 1001));
	EXPECT_ERRNO(EACCES, open("f", O_RDONLY));
	EXPECT_LE(0, open("f", O_WRONLY));
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, fs_become(1002, 2001));
	EXPECT_ERRNO(EACCES, open("f", O_RDONLY));
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, chown("f", 1003, 1003));
	ASSERT_EQ(0, fs_become(1003, 1));
	EXPECT_LE(0, open("f", O_RDWR));

	/* A named user is judged by that entry alone. */
	ASSERT_EQ(0, fs_root());
	acl = acl_extended(1001, 0, 2001, 7, 7);
	ASSERT_EQ(0, acl_set("f", ACCESS, &acl));
	ASSERT_EQ(0, fs_become(1001, 2001));
	EXPECT_ERRNO(EACCES, open("f", O_RDONLY));
}

TEST_F(acl, on_directories)
{
	struct acl acl = acl_extended(1001, 7, 2001, 5, 7);

	ASSERT_EQ(0, mkdir("d", 0700));
	ASSERT_EQ(0, fs_puts("d/f", "x"));
	acl.entry[0].perm = htole16(7);
	ASSERT_EQ(0, acl_set("d", ACCESS, &acl));
	ASSERT_EQ(0, fs_become(1001, 1001));
	EXPECT_EQ(0, mkdir("d/mine", 0755));
	EXPECT_EQ(0, unlink("d/f"));
	EXPECT_LE(0, open("d", O_RDONLY));
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, fs_become(1002, 2001));
	EXPECT_TRUE(fs_exists("d/mine"));
	EXPECT_ERRNO(EACCES, rmdir("d/mine"));
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, fs_become(1002, 1002));
	EXPECT_FALSE(fs_exists("d/mine"));
}

TEST_F(acl, default_is_inherited)
{
	struct acl acl = acl_extended(1001, 7, 2001, 5, 7);
	struct acl want;
	struct stat st;
	int fd;

	/* With a default ACL the umask does not count. */
	umask(077);
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, acl_set("d", DEFAULT, &acl));
	EXPECT_TRUE(acl_is("d", DEFAULT, &acl));
	EXPECT_TRUE(acl_none("d", ACCESS));
	EXPECT_EQ(0700, fs_mode("d"));

	/* The creation mode caps owner, mask and other. */
	ASSERT_LE(0, open("d/f", O_RDWR | O_CREAT, 0664));
	want = acl_extended(1001, 7, 2001, 5, 6);
	EXPECT_TRUE(acl_is("d/f", ACCESS, &want));
	EXPECT_EQ(0660, fs_mode("d/f"));
	EXPECT_TRUE(acl_none("d/f", DEFAULT));

	ASSERT_EQ(0, mknod("d/p", S_IFIFO | 0444, 0));
	want = acl_extended(1001, 7, 2001, 5, 4);
	want.entry[0].perm = htole16(4);
	EXPECT_TRUE(acl_is("d/p", ACCESS, &want));
	EXPECT_EQ(0440, fs_mode("d/p"));

	/* Directories get both, and pass the default on. */
	ASSERT_EQ(0, mkdir("d/e", 0777));
	want = acl;
	EXPECT_TRUE(acl_is("d/e", ACCESS, &want));
	EXPECT_TRUE(acl_is("d/e", DEFAULT, &acl));
	EXPECT_EQ(0670, fs_mode("d/e"));
	ASSERT_EQ(0, mkdir("d/e/g", 0755));
	EXPECT_TRUE(acl_is("d/e/g", DEFAULT, &acl));
	EXPECT_EQ(0650, fs_mode("d/e/g"));

	ASSERT_EQ(0, symlink("f", "d/l"));
	EXPECT_EQ(0777, fs_mode("d/l"));

	ASSERT_LE(0, fd = open("d", O_RDWR | O_TMPFILE, 0664));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0660, st.st_mode & 07777);
	EXPECT_LT(0, fgetxattr(fd, ACCESS, NULL, 0));

	/* A move and a link inherit nothing. */
	ASSERT_EQ(0, fs_puts("g", ""));
	ASSERT_EQ(0, rename("g", "d/g"));
	EXPECT_TRUE(acl_none("d/g", ACCESS));

	ASSERT_EQ(0, removexattr("d", DEFAULT));
	ASSERT_LE(0, open("d/h", O_RDWR | O_CREAT, 0664));
	EXPECT_TRUE(acl_none("d/h", ACCESS));
	EXPECT_EQ(0600, fs_mode("d/h"));
}

TEST_F(acl, minimal_default_replaces_umask)
{
	struct acl acl = acl_of_mode(0750);

	umask(0);
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, acl_set("d", DEFAULT, &acl));
	ASSERT_LE(0, open("d/f", O_RDWR | O_CREAT, 0666));
	EXPECT_EQ(0640, fs_mode("d/f"));
	EXPECT_TRUE(acl_none("d/f", ACCESS));
	ASSERT_EQ(0, mkdir("d/e", 0777));
	EXPECT_EQ(0750, fs_mode("d/e"));
	EXPECT_TRUE(acl_is("d/e", DEFAULT, &acl));
}

TEST_F(acl, refused)
{
	struct acl good = acl_extended(1001, 6, 2001, 4, 7), acl;
	int fd;

	ASSERT_EQ(0, fs_puts("f", ""));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, symlink("f", "l"));

	acl = good;
	acl.version = htole32(1);
	EXPECT_ERRNO(EOPNOTSUPP, acl_set("f", ACCESS, &acl));
	EXPECT_ERRNO(EINVAL, setxattr("f", ACCESS, &good, 3, 0));
	EXPECT_ERRNO(EINVAL, setxattr("f", ACCESS, &good, 4 + 8 + 3, 0));
	acl = good;
	acl.entry[1].tag = htole16(64);
	EXPECT_ERRNO(EINVAL, acl_set("f", ACCESS, &acl));
	acl = good;
	acl.entry[1].perm = htole16(8);
	EXPECT_ERRNO(EINVAL, acl_set("f", ACCESS, &acl));
	/* Named entries need a mask, everything needs the three classes. */
	acl = acl_new();
	acl_add(&acl, USER_OBJ, 7, -1);
	acl_add(&acl, USER, 7, 1001);
	acl_add(&acl, GROUP_OBJ, 7, -1);
	acl_add(&acl, OTHER, 7, -1);
	EXPECT_ERRNO(EINVAL, acl_set("f", ACCESS, &acl));
	acl = acl_new();
	acl_add(&acl, USER_OBJ, 7, -1);
	acl_add(&acl, GROUP_OBJ, 7, -1);
	EXPECT_ERRNO(EINVAL, acl_set("f", ACCESS, &acl));
	/* The order is fixed. */
	acl = acl_new();
	acl_add(&acl, OTHER, 7, -1);
	acl_add(&acl, GROUP_OBJ, 7, -1);
	acl_add(&acl, USER_OBJ, 7, -1);
	EXPECT_ERRNO(EINVAL, acl_set("f", ACCESS, &acl));
	EXPECT_TRUE(acl_none("f", ACCESS));
	EXPECT_EQ(0644, fs_mode("f"));

	EXPECT_ERRNO(EACCES, acl_set("f", DEFAULT, &good));
	EXPECT_ERRNO(EOPNOTSUPP, lsetxattr("l", ACCESS, &good,
					   acl_bytes(&good), 0));
	ASSERT_LE(0, fd = open("f", O_RDONLY));
	ASSERT_EQ(0, chown("f", 1001, 1001));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_ERRNO(EPERM, acl_set("f", ACCESS, &good));
	EXPECT_ERRNO(EPERM, acl_set("d", DEFAULT, &good));
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, fs_become(1001, 1001));
	EXPECT_EQ(0, fsetxattr(fd, ACCESS, &good, acl_bytes(&good), 0));
}

/* Whoever sets an ACL outside their groups loses the setgid bit. */
TEST_F(acl, drops_setgid)
{
	struct acl acl = acl_of_mode(0755);

	ASSERT_EQ(0, fs_puts("f", ""));
	ASSERT_EQ(0, chown("f", 1000, 3000));
	ASSERT_EQ(0, chmod("f", 02755));
	ASSERT_EQ(0, acl_set("f", ACCESS, &acl));
	EXPECT_EQ(02755, fs_mode("f"));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_EQ(0, acl_set("f", ACCESS, &acl));
	EXPECT_EQ(0755, fs_mode("f"));
}

TEST_HARNESS_MAIN
