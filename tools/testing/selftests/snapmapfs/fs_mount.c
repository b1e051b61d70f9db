// SPDX-License-Identifier: GPL-2.0
/*
 * Mounting: every option, right and wrong, by mount(2) and by fsopen(2);
 * remounting; and what a mount is good for and what keeps it busy.
 */
#include "fs.h"

#include <linux/magic.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>

FIXTURE(mounts) {
	char dir[FS_PATH];
	char m[FS_PATH];
	dev_t below;
};

/* The two ways to say the same. */
FIXTURE_VARIANT(mounts) {
	bool fsopen;
};

FIXTURE_VARIANT_ADD(mounts, mount2) {
	.fsopen = false,
};

FIXTURE_VARIANT_ADD(mounts, fsopen) {
	.fsopen = true,
};

FIXTURE_SETUP(mounts)
{
	struct stat st;

	ASSERT_OK(fs_enter(self->dir));
	ASSERT_OK(fs_private_ns());
	ASSERT_OK(mkdir("m", 0755));
	ASSERT_OK(stat("m", &st));
	self->below = st.st_dev;
	snprintf(self->m, FS_PATH, "%.500s/m", self->dir);
}

FIXTURE_TEARDOWN_PARENT(mounts)
{
	EXPECT_OK(fs_remove(self->dir));
}

/* Gives a comma-separated list to a configuration descriptor. */
static int configure(int fd, const char *options)
{
	char list[1024], *key, *value, *rest = list;

	snprintf(list, sizeof(list), "%s", options);
	while ((key = strsep(&rest, ","))) {
		value = strchr(key, '=');
		if (value)
			*value++ = '\0';
		if (!*key)
			continue;
		if (fsconfig(fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
			     key, value, 0))
			return -1;
	}
	return 0;
}

static int mount_by_fsopen(const char *dir, const char *options)
{
	int fd, mnt, ret = -1, err;

	fd = fsopen(fs_type(), FSOPEN_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!configure(fd, options) &&
	    !fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) {
		mnt = fsmount(fd, FSMOUNT_CLOEXEC, 0);
		if (mnt >= 0) {
			ret = move_mount(mnt, "", AT_FDCWD, dir,
					 MOVE_MOUNT_F_EMPTY_PATH);
			err = errno;
			close(mnt);
			errno = err;
		}
	}
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

static int do_mount(bool by_fsopen, const char *options)
{
	if (by_fsopen)
		return mount_by_fsopen("m", options);
	return mount("fs-test", "m", fs_type(), 0, options);
}

static int do_remount(bool by_fspick, const char *options)
{
	int fd, ret, err;

	if (!by_fspick)
		return mount(NULL, "m", NULL, MS_REMOUNT, options);
	fd = fspick(AT_FDCWD, "m", FSPICK_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = configure(fd, options);
	if (!ret)
		ret = fsconfig(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

/* The option list that /proc/self/mounts shows for a mount point. */
static const char *shown_for(const char *m)
{
	static char text[65536];
	char *line, *rest = text;
	int fd = open("/proc/self/mounts", O_RDONLY);
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	close(fd);
	text[n] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		char *where, *options;

		strsep(&line, " ");
		where = strsep(&line, " ");
		strsep(&line, " ");
		options = strsep(&line, " ");
		if (where && options && !strcmp(where, m))
			return options;
	}
	return NULL;
}

/* The value of an option as shown, "" for a bare one, NULL without it. */
static const char *shown(const char *m, const char *key)
{
	static char list[4096];
	char *word, *rest = list;
	const char *options = shown_for(m);

	snprintf(list, sizeof(list), "%s", options ? options : "");
	while ((word = strsep(&rest, ","))) {
		size_t n = strlen(key);

		if (!strncmp(word, key, n) && word[n] == '=')
			return word + n + 1;
		if (!strcmp(word, key))
			return "";
	}
	return NULL;
}

static bool shows(const char *m, const char *key, const char *value)
{
	const char *got = shown(m, key);

	return got && !strcmp(got, value);
}

/* A shown size in bytes, whatever unit it is shown in. */
static long long shown_size(const char *m)
{
	const char *got = shown(m, "size");
	long long n;
	char *unit;

	if (!got)
		return -1;
	n = strtoll(got, &unit, 10);
	switch (*unit) {
	case 'g':
		n <<= 10;
		/* fall through */
	case 'm':
		n <<= 10;
		/* fall through */
	case 'k':
		n <<= 10;
	}
	return n;
}

static long long limit(void)
{
	struct statfs st;

	return statfs("m", &st) ? -1 : (long long)st.f_blocks * st.f_bsize;
}

static long long inode_limit(void)
{
	struct statfs st;

	return statfs("m", &st) ? -1 : (long long)st.f_files;
}

TEST_F(mounts, sizes)
{
	static const struct {
		const char *option;
		long long bytes;
	} cases[] = {
		{ "size=1048576", 1 << 20 }, { "size=1024k", 1 << 20 },
		{ "size=1m", 1 << 20 }, { "size=3M", 3 << 20 },
		{ "size=1g", 1 << 30 }, { "size=4G", 4LL << 30 },
		{ "size=0x100000", 1 << 20 },
	};
	struct sysinfo si;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ASSERT_EQ(0, do_mount(variant->fsopen, cases[i].option))
			TH_LOG("%s", cases[i].option);
		EXPECT_EQ(cases[i].bytes, limit());
		EXPECT_EQ(cases[i].bytes, shown_size(self->m));
		ASSERT_EQ(0, umount("m"));
	}
	/* Any number of bytes is rounded up to whole pages. */
	ASSERT_EQ(0, do_mount(variant->fsopen, "size=100"));
	EXPECT_EQ(fs_page(), limit());
	ASSERT_EQ(0, umount("m"));

	/* A percentage is of this machine's memory. */
	ASSERT_EQ(0, sysinfo(&si));
	ASSERT_EQ(0, do_mount(variant->fsopen, "size=10%"));
	EXPECT_LT(si.totalram * si.mem_unit / 100 * 9, limit());
	EXPECT_GT(si.totalram * si.mem_unit / 100 * 11, limit());
	ASSERT_EQ(0, umount("m"));
	ASSERT_EQ(0, do_mount(variant->fsopen, ""));
	EXPECT_LT(0, limit());
	EXPECT_GE(si.totalram * si.mem_unit, limit());
	EXPECT_LT(0, inode_limit());
}

TEST_F(mounts, options_of_the_root)
{
	struct stat st;

	ASSERT_EQ(0, do_mount(variant->fsopen,
			      "mode=2750,uid=1000,gid=1001,nr_inodes=100"));
	ASSERT_EQ(0, stat("m", &st));
	EXPECT_EQ(02750, st.st_mode & 07777);
	EXPECT_EQ(1000, st.st_uid);
	EXPECT_EQ(1001, st.st_gid);
	EXPECT_EQ(100, inode_limit());
	EXPECT_TRUE(shows(self->m, "mode", "2750"));
	EXPECT_TRUE(shows(self->m, "uid", "1000"));
	EXPECT_TRUE(shows(self->m, "gid", "1001"));
	EXPECT_TRUE(shows(self->m, "nr_inodes", "100"));
	/* They are the root's alone. */
	ASSERT_EQ(0, mkdir("m/d", 0755));
	ASSERT_EQ(0, stat("m/d", &st));
	EXPECT_EQ(0, st.st_uid);
	ASSERT_EQ(0, umount("m"));

	/* By default it is like /tmp. */
	ASSERT_EQ(0, do_mount(variant->fsopen, ""));
	ASSERT_EQ(0, stat("m", &st));
	EXPECT_EQ(01777, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_gid);
	EXPECT_EQ(NULL, shown(self->m, "uid"));
	EXPECT_EQ(NULL, shown(self->m, "mode"));
	ASSERT_EQ(0, umount("m"));
	ASSERT_EQ(0, do_mount(variant->fsopen, "mode=0"));
	EXPECT_EQ(0, fs_mode("m"));
	ASSERT_EQ(0, umount("m"));
	ASSERT_EQ(0, do_mount(variant->fsopen, "nr_inodes=2k,size=2m"));
	EXPECT_EQ(2048, inode_limit());
}

TEST_F(mounts, what_is_shown_can_be_given)
{
	char first[1024];

	ASSERT_EQ(0, do_mount(variant->fsopen,
			      "size=12345678,nr_inodes=77,mode=711,uid=12,gid=34"));
	ASSERT_NE(NULL, shown_for(self->m));
	EXPECT_GE(12345678 + fs_page(), shown_size(self->m));
	EXPECT_LE(12345678, shown_size(self->m));
	snprintf(first, sizeof(first), "%s", shown_for(self->m));
	ASSERT_EQ(0, umount("m"));
	/* "rw,relatime" are not the filesystem's to read. */
	ASSERT_NE(NULL, strstr(first, "size="));
	ASSERT_EQ(0, do_mount(variant->fsopen, strstr(first, "size=")));
	EXPECT_STREQ(first, shown_for(self->m));
}

TEST_F(mounts, private_option)
{
	if (fs_is_tmpfs()) {
		ASSERT_ERRNO(EINVAL, do_mount(variant->fsopen, "private=live"));
		SKIP(return, "tmpfs has no private=");
	}
	ASSERT_EQ(0, do_mount(variant->fsopen, "private=live,size=1m"));
	EXPECT_TRUE(shows(self->m, "private", "live"));
	ASSERT_EQ(0, umount("m"));
	ASSERT_EQ(0, do_mount(variant->fsopen,
			      "private=live,private=snapshot"));
	EXPECT_FALSE(shows(self->m, "private", "live"));
	ASSERT_EQ(0, umount("m"));
	ASSERT_EQ(0, do_mount(variant->fsopen, "size=1m"));
	EXPECT_FALSE(shows(self->m, "private", "live"));
}

TEST_F(mounts, segment_option)
{
	static const char * const bad[] = {
		"segment", "segment=", "segment=0", "segment=x", "segment=2k", "segment=1",
		"segment=5000", "segment=12k", "segment=64k ", "segment=-4096",
		"segment=16e", "segment=18446744073709551616", "segment=1%%",
	};
	size_t i;

	if (fs_is_tmpfs()) {
		ASSERT_ERRNO(EINVAL, do_mount(variant->fsopen, "segment=64k"));
		SKIP(return, "tmpfs has no segment=");
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_ERRNO(EINVAL, do_mount(variant->fsopen, bad[i]));
	ASSERT_EQ(0, do_mount(variant->fsopen, "segment=65536,size=1m"));
	EXPECT_TRUE(shows(self->m, "segment", "64k"));
	/* For good. */
	ASSERT_ERRNO(EINVAL, do_remount(variant->fsopen, "segment=32k"));
	ASSERT_ERRNO(EINVAL, do_remount(variant->fsopen, "segment=32k,size=2m"));
	EXPECT_EQ(1 << 20, limit());
	ASSERT_EQ(0, do_remount(variant->fsopen, "segment=64k,size=2m"));
	EXPECT_EQ(2 << 20, limit());
	EXPECT_TRUE(shows(self->m, "segment", "64k"));
	ASSERT_EQ(0, umount("m"));
	ASSERT_EQ(0, do_mount(variant->fsopen, "segment=4k"));
	EXPECT_TRUE(shows(self->m, "segment", "4k"));
	ASSERT_EQ(0, umount("m"));
	ASSERT_EQ(0, do_mount(variant->fsopen, ""));
	EXPECT_EQ(NULL, shown(self->m, "segment"));
	ASSERT_ERRNO(EINVAL, do_remount(variant->fsopen, "segment=64k"));
}

TEST_F(mounts, refused)
{
	/* tmpfs is more generous with some. */
	static const struct {
		const char *options;
		bool tmpfs;
	} cases[] = {
		{ "size" }, { "size=" }, { "size=x" }, { "size=-1" },
		{ "size=1x" }, { "size=1mm" }, { "size=1m " }, { "size= 1m" },
		{ "size=1.5m" }, { "size=1%%" }, { "size=%", true }, { "size=+1" },
		{ "size=18446744073709551616", true },
		{ "size=99999999999999999999999", true },
		{ "size=16e", true }, { "size=1844674407370956%", true },
		{ "nr_inodes" }, { "nr_inodes=" }, { "nr_inodes=-1" },
		{ "nr_inodes=many" }, { "nr_inodes=10%" },
		{ "nr_inodes=18446744073709551616", true },
		{ "mode" }, { "mode=" }, { "mode=8" }, { "mode=-1" },
		{ "mode=rwx" }, { "mode=777 " }, { "mode=0o777" },
		{ "mode=10000", true }, { "mode=77777777777777" },
		{ "uid" }, { "uid=" }, { "uid=-1" }, { "uid=root" },
		{ "uid=4294967295" }, { "uid=4294967296" }, { "uid=1 " },
		{ "gid" }, { "gid=" }, { "gid=-1" }, { "gid=root" },
		{ "gid=4294967295" }, { "gid=4294967296" },
		{ "private" }, { "private=" }, { "private=none" },
		{ "private=Live" }, { "private=live " }, { "private=1" },
		{ "unknown" }, { "unknown=1" }, { "SIZE=1m" }, { "sizes=1m" },
		{ "size=1m,unknown" }, { "size=1m,mode=9" },
		{ "size=1m,size=x" }, { "size=x,size=1m" },
	};
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].tmpfs && fs_is_tmpfs())
			continue;
		EXPECT_ERRNO(EINVAL, do_mount(variant->fsopen, cases[i].options));
		ASSERT_EQ(0, stat("m", &st));
		EXPECT_EQ(self->below, st.st_dev) {
			TH_LOG("mounted with '%s'", cases[i].options);
			umount("m");
		}
		EXPECT_EQ(NULL, shown_for(self->m));
	}
}

/*
 * The last one counts. It must: "mount -o remount,size=2m" of util-linux gives
 * what /proc/self/mounts shows before what was asked for.
 */
TEST_F(mounts, repeated_options)
{
	char options[1200];

	ASSERT_EQ(0, do_mount(variant->fsopen,
			      "size=1m,uid=1,mode=700,size=2m,mode=711,uid=2"));
	EXPECT_EQ(2 << 20, limit());
	EXPECT_EQ(0711, fs_mode("m"));
	EXPECT_TRUE(shows(self->m, "uid", "2"));
	snprintf(options, sizeof(options), "%s,size=3m,nr_inodes=5,nr_inodes=6",
		 strstr(shown_for(self->m), "size="));
	EXPECT_EQ(0, do_remount(variant->fsopen, options));
	EXPECT_EQ(3 << 20, limit());
	EXPECT_EQ(6, inode_limit());
}

TEST_F(mounts, remount_size)
{
	char buf[4096] = "";
	int i, fd;

	ASSERT_EQ(0, do_mount(variant->fsopen, "size=1m,nr_inodes=50"));
	ASSERT_LE(0, fd = open("m/f", O_RDWR | O_CREAT, 0644));
	for (i = 0; i < 128; i++)
		ASSERT_EQ(sizeof(buf), write(fd, buf, sizeof(buf)));

	EXPECT_EQ(0, do_remount(variant->fsopen, "size=2m"));
	EXPECT_EQ(2 << 20, limit());
	EXPECT_EQ(2 << 20, shown_size(self->m));
	EXPECT_EQ(50, inode_limit());
	EXPECT_EQ(0, do_remount(variant->fsopen, "size=512k"));
	EXPECT_EQ(512 << 10, limit());
	EXPECT_ERRNO(ENOSPC, write(fd, buf, 1));

	/* Below what is in use nothing changes. */
	EXPECT_ERRNO(EINVAL, do_remount(variant->fsopen, "size=508k"));
	EXPECT_EQ(512 << 10, limit());
	EXPECT_ERRNO(EINVAL, do_remount(variant->fsopen, "size=4k,nr_inodes=60"));
	EXPECT_EQ(50, inode_limit());
	ASSERT_EQ(0, ftruncate(fd, 4096));
	EXPECT_EQ(0, do_remount(variant->fsopen, "size=4k"));
	EXPECT_EQ(4096, limit());

	/* The same for inodes; two are in use. */
	EXPECT_EQ(0, do_remount(variant->fsopen, "nr_inodes=3"));
	EXPECT_EQ(3, inode_limit());
	EXPECT_EQ(4096, limit());
	EXPECT_ERRNO(EINVAL, do_remount(variant->fsopen, "nr_inodes=1"));
	EXPECT_EQ(3, inode_limit());
	EXPECT_TRUE(shows(self->m, "nr_inodes", "3"));
	EXPECT_EQ(0, mkdir("m/d", 0755));
	EXPECT_ERRNO(ENOSPC, mkdir("m/e", 0755));
	EXPECT_EQ(0, do_remount(variant->fsopen, "nr_inodes=4"));
	EXPECT_EQ(0, mkdir("m/e", 0755));
	EXPECT_EQ(4096, fs_size("m/f"));
}

TEST_F(mounts, remount_refused)
{
	static const char * const bad[] = {
		"size=x", "size=2m,unknown", "unknown=1,size=2m", "size=-1",
		"size=2m,mode=9", "nr_inodes=x,size=2m",
	};
	char before[1024];
	size_t i;

	ASSERT_EQ(0, do_mount(variant->fsopen, "size=1m,nr_inodes=50,mode=755"));
	ASSERT_EQ(0, fs_puts("m/f", "kept"));
	snprintf(before, sizeof(before), "%s", shown_for(self->m));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_ERRNO(EINVAL, do_remount(variant->fsopen, bad[i]));
		EXPECT_EQ(1 << 20, limit());
		EXPECT_STREQ(before, shown_for(self->m));
	}
	EXPECT_EQ(0, do_remount(variant->fsopen, ""));
	EXPECT_STREQ(before, shown_for(self->m));
	EXPECT_TRUE(fs_holds("m/f", "kept"));
}

/* The rest does not depend on how it was mounted. */
FIXTURE(mounted) {
	char dir[FS_PATH];
};

FIXTURE_SETUP(mounted)
{
	ASSERT_OK(fs_enter(self->dir));
	ASSERT_OK(fs_private_ns());
	ASSERT_OK(fs_mount("m", 0, "size=4m"));
}

FIXTURE_TEARDOWN_PARENT(mounted)
{
	EXPECT_OK(fs_remove(self->dir));
}

TEST_F(mounted, source_and_type)
{
	char line[FS_PATH + 64], text[65536];
	ssize_t n = 0, got;
	int fd;

	ASSERT_LE(0, fd = open("/proc/self/mounts", O_RDONLY));
	while ((got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	text[n] = '\0';
	snprintf(line, sizeof(line), "fs-test %s/m %s rw,", self->dir,
		 fs_type());
	EXPECT_NE(NULL, strstr(text, line));
	n = 0;
	ASSERT_LE(0, fd = open("/proc/filesystems", O_RDONLY));
	while ((got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	text[n] = '\0';
	snprintf(line, sizeof(line), "nodev\t%s\n", fs_type());
	EXPECT_NE(NULL, strstr(text, line));
}

TEST_F(mounted, instances_are_separate)
{
	struct stat a, b;

	ASSERT_EQ(0, fs_mount("n", 0, "size=4m"));
	ASSERT_EQ(0, fs_puts("m/f", "m"));
	EXPECT_FALSE(fs_exists("n/f"));
	ASSERT_EQ(0, fs_puts("n/f", "n"));
	EXPECT_TRUE(fs_holds("m/f", "m"));
	ASSERT_EQ(0, stat("m", &a));
	ASSERT_EQ(0, stat("n", &b));
	EXPECT_NE(a.st_dev, b.st_dev);
	EXPECT_ERRNO(EXDEV, rename("m/f", "n/g"));
	EXPECT_ERRNO(EXDEV, link("m/f", "n/g"));
	ASSERT_EQ(0, umount("n"));
	EXPECT_FALSE(fs_exists("n/f"));
	/* A new one is empty. */
	ASSERT_EQ(0, fs_mount("n", 0, "size=4m"));
	EXPECT_FALSE(fs_exists("n/f"));
	EXPECT_TRUE(fs_holds("m/f", "m"));
	/* One over the other hides it, until it goes. */
	ASSERT_EQ(0, fs_mount("m", 0, "size=4m"));
	EXPECT_FALSE(fs_exists("m/f"));
	ASSERT_EQ(0, umount("m"));
	EXPECT_TRUE(fs_holds("m/f", "m"));
}

TEST_F(mounted, bind)
{
	ASSERT_EQ(0, mkdir("n", 0755));
	ASSERT_EQ(0, mkdir("m/sub", 0755));
	ASSERT_EQ(0, fs_puts("m/sub/f", "x"));
	ASSERT_EQ(0, mount("m/sub", "n", NULL, MS_BIND, NULL));
	EXPECT_TRUE(fs_holds("n/f", "x"));
	EXPECT_ERRNO(EXDEV, rename("m/sub/f", "n/g"));
	ASSERT_EQ(0, mount(NULL, "n", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY,
			   NULL));
	EXPECT_ERRNO(EROFS, fs_puts("n/f", "y"));
	EXPECT_EQ(0, fs_puts("m/sub/f", "z"));
	EXPECT_TRUE(fs_holds("n/f", "z"));
	/* The instance lives as long as any of its mounts. */
	ASSERT_EQ(0, umount("m"));
	EXPECT_TRUE(fs_holds("n/f", "z"));
	/* Mounts within it, on directories and on files. */
	ASSERT_EQ(0, mount(NULL, "n", NULL, MS_BIND | MS_REMOUNT, NULL));
	ASSERT_EQ(0, fs_puts("n/g", "g"));
	ASSERT_EQ(0, mount("n/g", "n/f", NULL, MS_BIND, NULL));
	EXPECT_TRUE(fs_holds("n/f", "g"));
	EXPECT_ERRNO(EBUSY, unlink("n/f"));
	EXPECT_ERRNO(EBUSY, rename("n/f", "n/h"));
	ASSERT_EQ(0, umount("n/f"));
	EXPECT_EQ(0, unlink("n/f"));
}

TEST_F(mounted, busy)
{
	char buf[8] = "";
	char *p;
	int fd;

	ASSERT_EQ(0, fs_puts("m/f", "open"));
	ASSERT_LE(0, fd = open("m/f", O_RDWR));
	EXPECT_ERRNO(EBUSY, umount("m"));
	p = mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(fd);
	EXPECT_ERRNO(EBUSY, umount("m"));
	ASSERT_EQ(0, munmap(p, 4));
	ASSERT_LE(0, fd = open("m/f", O_RDWR));
	p = mmap(NULL, 4, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(fd);
	EXPECT_ERRNO(EBUSY, umount("m"));
	ASSERT_EQ(0, munmap(p, 4));
	ASSERT_EQ(0, chdir("m"));
	EXPECT_ERRNO(EBUSY, umount2(".", 0));
	ASSERT_EQ(0, chdir(".."));

	/* Detached it is gone from sight and still works for who has it. */
	ASSERT_LE(0, fd = open("m/f", O_RDWR));
	ASSERT_EQ(0, umount2("m", MNT_DETACH));
	EXPECT_FALSE(fs_exists("m/f"));
	EXPECT_EQ(4, pread(fd, buf, sizeof(buf), 0));
	EXPECT_STREQ("open", buf);
	EXPECT_EQ(3, pwrite(fd, "new", 3, 100000));
	p = mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('o', fs_load(p));
	ASSERT_EQ(0, munmap(p, 4));
	ASSERT_EQ(0, close(fd));
	EXPECT_ERRNO(EINVAL, umount("m"));
}

TEST_F(mounted, umount_with_everything_in_it)
{
	char name[64];
	int i, fd;

	/* A tree with all kinds of inodes just goes away. */
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "m/d%d", i);
		ASSERT_EQ(0, mkdir(name, 0755));
		snprintf(name, sizeof(name), "m/d%d/f", i);
		ASSERT_EQ(0, fs_puts(name, "data"));
		ASSERT_LE(0, fd = open(name, O_RDWR));
		ASSERT_EQ(1, pwrite(fd, "x", 1, 10000));
		close(fd);
		snprintf(name, sizeof(name), "m/d%d/l", i);
		ASSERT_EQ(0, symlink(self->dir, name));
		snprintf(name, sizeof(name), "m/d%d/p", i);
		ASSERT_EQ(0, mkfifo(name, 0644));
	}
	EXPECT_EQ(0, umount("m"));
	EXPECT_ERRNO(EINVAL, umount("m"));
}

TEST_F(mounted, read_only)
{
	ASSERT_EQ(0, mkdir("ro", 0755));
	ASSERT_EQ(0, mount("fs-test", "ro", fs_type(), MS_RDONLY, "size=1m"));
	EXPECT_ERRNO(EROFS, fs_puts("ro/f", "x"));
	EXPECT_ERRNO(EROFS, mkdir("ro/d", 0755));
	ASSERT_EQ(0, mount(NULL, "ro", NULL, MS_REMOUNT, NULL));
	ASSERT_EQ(0, fs_puts("ro/f", "x"));
	ASSERT_EQ(0, mount(NULL, "ro", NULL, MS_REMOUNT | MS_RDONLY, NULL));

	EXPECT_TRUE(fs_holds("ro/f", "x"));
	EXPECT_ERRNO(EROFS, open("ro/f", O_RDWR));
	EXPECT_ERRNO(EROFS, open("ro/g", O_RDWR | O_CREAT, 0644));
	EXPECT_ERRNO(EROFS, open("ro", O_RDWR | O_TMPFILE, 0644));
	EXPECT_ERRNO(EROFS, truncate("ro/f", 0));
	EXPECT_ERRNO(EROFS, unlink("ro/f"));
	EXPECT_ERRNO(EROFS, rename("ro/f", "ro/g"));
	EXPECT_ERRNO(EROFS, link("ro/f", "ro/g"));
	EXPECT_ERRNO(EROFS, symlink("f", "ro/g"));
	EXPECT_ERRNO(EROFS, mkdir("ro/d", 0755));
	EXPECT_ERRNO(EROFS, mkfifo("ro/p", 0644));
	EXPECT_ERRNO(EROFS, chmod("ro/f", 0600));
	EXPECT_ERRNO(EROFS, chown("ro/f", 1, 1));
	EXPECT_ERRNO(EROFS, utimensat(AT_FDCWD, "ro/f", NULL, 0));
	EXPECT_ERRNO(EROFS, faccessat(AT_FDCWD, "ro/f", W_OK, AT_EACCESS));
	ASSERT_EQ(0, mount(NULL, "ro", NULL, MS_REMOUNT, NULL));
	EXPECT_EQ(0, fs_puts("ro/f", "y"));
}

TEST_F(mounted, read_only_remount_waits_for_writers)
{
	int fd;
	char *p;

	ASSERT_LE(0, fd = open("m/f", O_RDWR | O_CREAT, 0644));
	EXPECT_ERRNO(EBUSY, mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY,
				  NULL));
	EXPECT_EQ(1, write(fd, "x", 1));
	/* A writable shared mapping writes without a descriptor. */
	p = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(fd);
	EXPECT_ERRNO(EBUSY, mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY,
				  NULL));
	fs_store(p, 'y');
	ASSERT_EQ(0, munmap(p, 1));
	/* So does the removal that an unlinked file still waits for. */
	ASSERT_LE(0, fd = open("m/f", O_RDONLY));
	ASSERT_EQ(0, unlink("m/f"));
	EXPECT_ERRNO(EBUSY, mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY,
				  NULL));
	close(fd);
	EXPECT_EQ(0, mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	EXPECT_ERRNO(EROFS, mkdir("m/d", 0755));
}

TEST_F(mounted, flags)
{
	int fd;

	ASSERT_EQ(0, fs_mount("n", MS_NODEV | MS_NOEXEC | MS_NOSUID,
			      "size=4m"));
	ASSERT_EQ(0, mknod("n/null", S_IFCHR | 0666, makedev(1, 3)));
	EXPECT_ERRNO(EACCES, open("n/null", O_RDWR));
	ASSERT_EQ(0, fs_puts("n/x", "#!/bin/true\n"));
	ASSERT_EQ(0, chmod("n/x", 0755));
	EXPECT_ERRNO(EACCES, execl("n/x", "x", NULL));
	ASSERT_LE(0, fd = open("n/x", O_RDONLY));
	EXPECT_ERRNO(EPERM, (long)mmap(NULL, 1, PROT_READ | PROT_EXEC,
				       MAP_PRIVATE, fd, 0));
	EXPECT_NE(MAP_FAILED, mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0));
	ASSERT_LE(0, fd = open("m/x", O_RDWR | O_CREAT, 0755));
	ASSERT_EQ(1, write(fd, "x", 1));
	EXPECT_NE(MAP_FAILED, mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE,
				   fd, 0));
	/* Synchronous writing costs nothing here, but is allowed. */
	ASSERT_EQ(0, fs_mount("s", MS_SYNCHRONOUS | MS_DIRSYNC, "size=1m"));
	EXPECT_EQ(0, fs_puts("s/f", "x"));
	EXPECT_EQ(0, fs_mount("nf", MS_NOSYMFOLLOW, "size=1m"));
	ASSERT_EQ(0, fs_puts("nf/f", "x"));
	ASSERT_EQ(0, symlink("f", "nf/l"));
	EXPECT_ERRNO(ELOOP, open("nf/l", O_RDONLY));
}

TEST_F(mounted, by_a_user)
{
	ASSERT_EQ(0, mkdir("n", 0777));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_ERRNO(EPERM, mount("x", "n", fs_type(), 0, ""));
	EXPECT_ERRNO(EPERM, mount(NULL, "m", NULL, MS_REMOUNT, "size=8m"));
	EXPECT_ERRNO(EPERM, umount("m"));
	EXPECT_ERRNO(EPERM, fsopen(fs_type(), 0));
	EXPECT_EQ(0, fs_puts("m/f", "usable"));
}

TEST_F(mounted, fsconfig_misuse)
{
	int fd, mnt;

	ASSERT_LE(0, fd = fsopen(fs_type(), 0));
	EXPECT_ERRNO(EINVAL, fsconfig(fd, FSCONFIG_SET_FLAG, "size", NULL, 0));
	EXPECT_ERRNO(EINVAL, fsconfig(fd, FSCONFIG_SET_BINARY, "size", "1m", 2));
	EXPECT_ERRNO(EINVAL, fsconfig(fd, FSCONFIG_SET_FD, "size", NULL, fd));
	EXPECT_ERRNO(EINVAL, fsmount(fd, 0, 0));
	/* A refused value does not spoil what follows. */
	EXPECT_ERRNO(EINVAL, fsconfig(fd, FSCONFIG_SET_STRING, "size", "x", 0));
	EXPECT_EQ(0, fsconfig(fd, FSCONFIG_SET_STRING, "size", "1m", 0));
	EXPECT_EQ(0, fsconfig(fd, FSCONFIG_SET_STRING, "source", "me", 0));
	EXPECT_EQ(0, fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	EXPECT_ERRNO(EBUSY, fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	ASSERT_LE(0, mnt = fsmount(fd, 0, 0));
	/* A mount that was never attached works all the same. */
	EXPECT_EQ(0, mkdirat(mnt, "d", 0755));
	EXPECT_EQ(0, faccessat(mnt, "d", F_OK, 0));
	EXPECT_EQ(0, close(mnt));
	EXPECT_EQ(0, close(fd));
	/* And a configuration can be given up half-way. */
	ASSERT_LE(0, fd = fsopen(fs_type(), 0));
	EXPECT_EQ(0, fsconfig(fd, FSCONFIG_SET_STRING, "mode", "700", 0));
	EXPECT_EQ(0, close(fd));
}

TEST_HARNESS_MAIN
