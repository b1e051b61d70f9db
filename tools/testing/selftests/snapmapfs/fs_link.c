// SPDX-License-Identifier: GPL-2.0
/*
 * Symbolic links, hard links, unnamed files, and the nodes that are no files:
 * devices, FIFOs and sockets.
 */
#include "fs.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

FS_FIXTURE(link)

TEST_F(link, symlink)
{
	char buf[32] = "", abs[FS_PATH + 2];
	struct stat st;

	ASSERT_EQ(0, fs_puts("f", "target"));
	ASSERT_EQ(0, symlink("f", "l"));
	ASSERT_EQ(0, lstat("l", &st));
	EXPECT_TRUE(S_ISLNK(st.st_mode));
	EXPECT_EQ(0777, st.st_mode & 07777);
	EXPECT_EQ(1, st.st_size);
	EXPECT_EQ(1, st.st_nlink);
	EXPECT_NE(fs_ino("f"), st.st_ino);
	EXPECT_EQ(1, readlink("l", buf, sizeof(buf)));
	EXPECT_STREQ("f", buf);
	EXPECT_TRUE(fs_holds("l", "target"));
	EXPECT_ERRNO(EEXIST, symlink("g", "l"));
	EXPECT_ERRNO(EEXIST, symlink("g", "f"));
	EXPECT_ERRNO(ENOENT, symlink("", "m"));
	EXPECT_ERRNO(ENOENT, symlink("g", "none/m"));
	EXPECT_ERRNO(EINVAL, readlink("f", buf, sizeof(buf)));
	EXPECT_ERRNO(EINVAL, readlink(".", buf, sizeof(buf)));

	/* The link goes, not its target; chown can reach either. */
	EXPECT_EQ(0, lchown("l", 7, 8));
	ASSERT_EQ(0, lstat("l", &st));
	EXPECT_EQ(7, st.st_uid);
	ASSERT_EQ(0, stat("l", &st));
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, unlink("l"));
	EXPECT_TRUE(fs_holds("f", "target"));

	/* A write through a link, and a target that is absolute. */
	snprintf(abs, sizeof(abs), "%s/f", self->dir);
	ASSERT_EQ(0, symlink(abs, "abs"));
	ASSERT_EQ(0, fs_puts("abs", "new"));
	EXPECT_TRUE(fs_holds("f", "new"));
}

TEST_F(link, symlink_lengths)
{
	static const int lens[] = {
		1, 2, 31, 32, 59, 60, 61, 127, 128, 129, 255, 256, 1023, 2048,
		4094, 4095,
	};
	char target[PATH_MAX + 1], back[PATH_MAX + 1];
	size_t i;
	int len;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = lens[i];
		memset(target, 'a' + i, len);
		target[len] = '\0';
		ASSERT_EQ(0, symlink(target, "l")) TH_LOG("length %d", len);
		EXPECT_EQ(len, fs_size("l"));
		memset(back, 'X', sizeof(back));
		EXPECT_EQ(len, readlink("l", back, sizeof(back)));
		EXPECT_EQ(0, memcmp(target, back, len));
		EXPECT_EQ('X', back[len]);
		/* A small buffer gets the beginning. */
		EXPECT_EQ(1, readlink("l", back, 1));
		ASSERT_EQ(0, unlink("l"));
	}
	memset(target, 't', PATH_MAX);
	target[PATH_MAX] = '\0';
	EXPECT_ERRNO(ENAMETOOLONG, symlink(target, "l"));
	EXPECT_FALSE(fs_exists("l"));
}

TEST_F(link, long_symlink_resolves)
{
	char target[PATH_MAX];
	int i;

	ASSERT_EQ(0, fs_puts("f", "far"));
	for (i = 0; i + 2 < PATH_MAX; i += 2)
		memcpy(target + i, "./", 2);
	memcpy(target + PATH_MAX - 2, "f", 2);
	ASSERT_EQ(PATH_MAX - 1, strlen(target));
	ASSERT_EQ(0, symlink(target, "l"));
	EXPECT_TRUE(fs_holds("l", "far"));
}

TEST_F(link, symlink_loops)
{
	char a[16], b[16];
	int i;

	ASSERT_EQ(0, symlink("b", "a"));
	ASSERT_EQ(0, symlink("a", "b"));
	EXPECT_ERRNO(ELOOP, open("a", O_RDONLY));
	EXPECT_ERRNO(ELOOP, open("a", O_RDWR | O_CREAT, 0644));
	EXPECT_ERRNO(ELOOP, chdir("a"));
	ASSERT_EQ(0, symlink("self", "self"));
	EXPECT_ERRNO(ELOOP, access("self/x", F_OK));

	/* 40 links are followed, the 41st is not. */
	ASSERT_EQ(0, fs_puts("l0", "end"));
	for (i = 1; i <= 41; i++) {
		snprintf(a, sizeof(a), "l%d", i - 1);
		snprintf(b, sizeof(b), "l%d", i);
		ASSERT_EQ(0, symlink(a, b));
	}
	EXPECT_TRUE(fs_holds("l40", "end"));
	EXPECT_ERRNO(ELOOP, open("l41", O_RDONLY));
}

TEST_F(link, hard_link)
{
	struct stat a, b;

	ASSERT_EQ(0, fs_puts("f", "one"));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_EQ(0, link("f", "d/g"));
	ASSERT_EQ(0, stat("f", &a));
	ASSERT_EQ(0, stat("d/g", &b));
	EXPECT_EQ(a.st_ino, b.st_ino);
	EXPECT_EQ(2, a.st_nlink);
	EXPECT_EQ(2, b.st_nlink);
	ASSERT_EQ(0, fs_puts("d/g", "two"));
	EXPECT_TRUE(fs_holds("f", "two"));
	EXPECT_ERRNO(EEXIST, link("f", "d/g"));
	EXPECT_ERRNO(EEXIST, link("f", "f"));
	EXPECT_ERRNO(ENOENT, link("none", "x"));
	EXPECT_ERRNO(EPERM, link("d", "x"));
	EXPECT_ERRNO(EPERM, link("d", "d/x"));
	EXPECT_ERRNO(ENOTDIR, link("f", "f/x"));
	EXPECT_EQ(0, unlink("f"));
	EXPECT_TRUE(fs_holds("d/g", "two"));
	EXPECT_EQ(1, fs_nlink("d/g"));
	EXPECT_EQ(2, fs_nlink("d"));
}

TEST_F(link, hard_link_to_other_kinds)
{
	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_EQ(0, symlink("f", "l"));
	ASSERT_EQ(0, mkfifo("p", 0644));
	EXPECT_EQ(0, link("l", "l2"));
	EXPECT_EQ(fs_ino("l"), fs_ino("l2"));
	EXPECT_EQ(2, fs_nlink("l"));
	EXPECT_EQ(0, linkat(AT_FDCWD, "l", AT_FDCWD, "f2", AT_SYMLINK_FOLLOW));
	EXPECT_EQ(fs_ino("f"), fs_ino("f2"));
	EXPECT_EQ(0, link("p", "p2"));
	EXPECT_EQ(2, fs_nlink("p2"));
	EXPECT_ERRNO(EINVAL, linkat(AT_FDCWD, "f", AT_FDCWD, "f3", 1 << 30));
}

TEST_F(link, many_links)
{
	char name[32];
	int i;

	ASSERT_EQ(0, fs_puts("f", "many"));
	for (i = 1; i < 500; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		ASSERT_EQ(0, link("f", name));
	}
	EXPECT_EQ(500, fs_nlink("f"));
	for (i = 1; i < 500; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		ASSERT_EQ(0, unlink(name));
	}
	EXPECT_EQ(1, fs_nlink("f"));
	EXPECT_TRUE(fs_holds("f", "many"));
}

TEST_F(link, across_filesystems)
{
	char path[FS_PATH];
	const char *peer;

	ASSERT_EQ(0, fs_private_ns());
	peer = fs_peer();
	ASSERT_NE(NULL, peer);
	snprintf(path, sizeof(path), "%s/f", peer);
	ASSERT_EQ(0, fs_puts("f", "x"));
	EXPECT_ERRNO(EXDEV, link("f", path));
	EXPECT_ERRNO(EXDEV, rename("f", path));
	ASSERT_EQ(0, fs_puts(path, "y"));
	EXPECT_ERRNO(EXDEV, link(path, "g"));
	EXPECT_ERRNO(EXDEV, rename(path, "f"));
	EXPECT_TRUE(fs_holds("f", "x"));
	unlink(path);
}

TEST_F(link, tmpfile)
{
	char path[64], buf[8] = "";
	struct stat st;
	int fd;

	fd = open(".", O_RDWR | O_TMPFILE, 0640);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_TRUE(S_ISREG(st.st_mode));
	EXPECT_EQ(0640, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_nlink);
	EXPECT_EQ(4, write(fd, "anon", 4));
	EXPECT_EQ(4, pread(fd, buf, sizeof(buf), 0));
	EXPECT_STREQ("anon", buf);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ASSERT_EQ(0, linkat(AT_FDCWD, path, AT_FDCWD, "named",
			    AT_SYMLINK_FOLLOW));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(1, st.st_nlink);
	EXPECT_EQ(st.st_ino, fs_ino("named"));
	EXPECT_TRUE(fs_holds("named", "anon"));
	ASSERT_EQ(0, linkat(AT_FDCWD, path, AT_FDCWD, "again",
			    AT_SYMLINK_FOLLOW));
	EXPECT_EQ(2, fs_nlink("named"));
	close(fd);
	EXPECT_TRUE(fs_holds("again", "anon"));

	/* By descriptor, which root may. */
	fd = open(".", O_WRONLY | O_TMPFILE, 0644);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, linkat(fd, "", AT_FDCWD, "empty", AT_EMPTY_PATH));
	EXPECT_EQ(0, fs_size("empty"));
}

TEST_F(link, tmpfile_refused)
{
	char path[64];
	int fd;

	ASSERT_EQ(0, fs_puts("f", "x"));
	EXPECT_ERRNO(EINVAL, open(".", O_RDONLY | O_TMPFILE, 0644));
	EXPECT_ERRNO(ENOTDIR, open("f", O_RDWR | O_TMPFILE, 0644));
	EXPECT_ERRNO(ENOENT, open("none", O_RDWR | O_TMPFILE, 0644));

	/* O_EXCL means: never to be linked. */
	fd = open(".", O_RDWR | O_TMPFILE | O_EXCL, 0644);
	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_ERRNO(ENOENT, linkat(AT_FDCWD, path, AT_FDCWD, "g",
				    AT_SYMLINK_FOLLOW));
	EXPECT_ERRNO(ENOENT, linkat(fd, "", AT_FDCWD, "g", AT_EMPTY_PATH));
	EXPECT_FALSE(fs_exists("g"));

	/* Nor can a file come back once its last name is gone. */
	ASSERT_LE(0, fd = open("f", O_RDWR));
	ASSERT_EQ(0, unlink("f"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_ERRNO(ENOENT, linkat(AT_FDCWD, path, AT_FDCWD, "g",
				    AT_SYMLINK_FOLLOW));
}

TEST_F(link, tmpfile_leaves_directory_alone)
{
	int i, fd[20];

	for (i = 0; i < 20; i++) {
		fd[i] = open(".", O_RDWR | O_TMPFILE, 0644);
		ASSERT_LE(0, fd[i]);
	}
	EXPECT_EQ(2, fs_nlink("."));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_LE(0, open("d", O_RDWR | O_TMPFILE, 0644));
	EXPECT_EQ(0, rmdir("d"));
}

TEST_F(link, device_nodes)
{
	char buf[16];
	struct stat st;
	int fd;

	ASSERT_EQ(0, mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	ASSERT_EQ(0, mknod("zero", S_IFCHR | 0600, makedev(1, 5)));
	ASSERT_EQ(0, mknod("full", S_IFCHR | 0600, makedev(1, 7)));
	ASSERT_EQ(0, mknod("blk", S_IFBLK | 0600, makedev(7, 200)));
	ASSERT_EQ(0, mknod("big", S_IFCHR | 0600, makedev(0xabc, 0xfabcd)));

	ASSERT_EQ(0, stat("null", &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(makedev(1, 3), st.st_rdev);
	EXPECT_EQ(0644, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_size);
	ASSERT_EQ(0, stat("blk", &st));
	EXPECT_TRUE(S_ISBLK(st.st_mode));
	EXPECT_EQ(makedev(7, 200), st.st_rdev);
	ASSERT_EQ(0, stat("big", &st));
	EXPECT_EQ(makedev(0xabc, 0xfabcd), st.st_rdev);

	ASSERT_LE(0, fd = open("null", O_RDWR));
	EXPECT_EQ(4, write(fd, "gone", 4));
	EXPECT_EQ(0, read(fd, buf, sizeof(buf)));
	ASSERT_LE(0, fd = open("zero", O_RDWR | O_TRUNC));
	memset(buf, 1, sizeof(buf));
	EXPECT_EQ(sizeof(buf), read(fd, buf, sizeof(buf)));
	EXPECT_EQ(sizeof(buf), fs_run(buf, 0, sizeof(buf)));
	ASSERT_LE(0, fd = open("full", O_RDWR));
	EXPECT_ERRNO(ENOSPC, write(fd, "x", 1));
	EXPECT_ERRNO(ENXIO, open("big", O_RDWR));

	/* They can be moved and changed like any inode. */
	EXPECT_EQ(0, rename("null", "null2"));
	EXPECT_EQ(0, chmod("null2", 0600));
	EXPECT_EQ(0600, fs_mode("null2"));
	EXPECT_EQ(0, link("null2", "null3"));
	EXPECT_EQ(2, fs_nlink("null2"));
}

TEST_F(link, mknod_refused)
{
	EXPECT_ERRNO(EPERM, mknod("d", S_IFDIR | 0755, 0));
	EXPECT_ERRNO(EINVAL, mknod("l", S_IFLNK | 0777, 0));
	EXPECT_EQ(0, mknod("f", S_IFREG | 0644, 0));
	EXPECT_EQ(0, mknod("g", 0644, 0));
	EXPECT_ERRNO(EEXIST, mknod("f", S_IFREG | 0644, 0));
	EXPECT_ERRNO(EEXIST, mkfifo("f", 0644));
	EXPECT_EQ(0, fs_size("f"));
	ASSERT_EQ(0, chmod(".", 0777));
	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_ERRNO(EPERM, mknod("c", S_IFCHR | 0666, makedev(1, 3)));
	EXPECT_ERRNO(EPERM, mknod("b", S_IFBLK | 0666, makedev(7, 0)));
	EXPECT_EQ(0, mkfifo("p", 0666));
	EXPECT_EQ(0, mknod("s", S_IFSOCK | 0666, 0));
	EXPECT_FALSE(fs_exists("c"));
}

TEST_F(link, fifo)
{
	char buf[16] = "";
	struct stat st;
	pid_t pid;
	int rd, wr;

	ASSERT_EQ(0, mkfifo("p", 0600));
	ASSERT_EQ(0, stat("p", &st));
	EXPECT_TRUE(S_ISFIFO(st.st_mode));
	EXPECT_ERRNO(ENXIO, open("p", O_WRONLY | O_NONBLOCK));
	pid = fork();
	if (!pid) {
		wr = open("p", O_WRONLY);
		_exit(wr < 0 || write(wr, "through", 7) != 7);
	}
	ASSERT_LE(0, rd = open("p", O_RDONLY));
	EXPECT_EQ(7, read(rd, buf, sizeof(buf)));
	EXPECT_STREQ("through", buf);
	EXPECT_EQ(0, fs_wait(pid));
	EXPECT_EQ(0, read(rd, buf, sizeof(buf)));
	EXPECT_ERRNO(ESPIPE, lseek(rd, 0, SEEK_CUR));
	EXPECT_EQ(0, fs_size("p"));

	/* Both ends live on without a name. */
	ASSERT_LE(0, wr = open("p", O_WRONLY));
	ASSERT_EQ(0, unlink("p"));
	EXPECT_EQ(2, write(wr, "ok", 2));
	EXPECT_EQ(2, read(rd, buf, sizeof(buf)));
	EXPECT_ERRNO(ESPIPE, fallocate(wr, 0, 0, 1));
}

TEST_F(link, socket)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "s" };
	int server, client, peer;
	char buf[8] = "";
	struct stat st;

	server = socket(AF_UNIX, SOCK_STREAM, 0);
	if (server < 0)
		SKIP(return, "no AF_UNIX: %s", strerror(errno));
	ASSERT_EQ(0, bind(server, (struct sockaddr *)&addr, sizeof(addr)));
	ASSERT_EQ(0, listen(server, 1));
	ASSERT_EQ(0, stat("s", &st));
	EXPECT_TRUE(S_ISSOCK(st.st_mode));
	EXPECT_ERRNO(ENXIO, open("s", O_RDWR));

	client = socket(AF_UNIX, SOCK_STREAM, 0);
	EXPECT_ERRNO(EADDRINUSE, bind(client, (struct sockaddr *)&addr,
				      sizeof(addr)));
	/* The address is the inode: a new name for it works, the old not. */
	ASSERT_EQ(0, rename("s", "t"));
	EXPECT_ERRNO(ENOENT, connect(client, (struct sockaddr *)&addr,
				     sizeof(addr)));
	addr.sun_path[0] = 't';
	ASSERT_EQ(0, connect(client, (struct sockaddr *)&addr, sizeof(addr)));
	ASSERT_LE(0, peer = accept(server, NULL, NULL));
	EXPECT_EQ(5, write(client, "hello", 5));
	EXPECT_EQ(5, read(peer, buf, sizeof(buf)));
	EXPECT_STREQ("hello", buf);
	close(server);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	EXPECT_ERRNO(ECONNREFUSED, connect(client, (struct sockaddr *)&addr,
					   sizeof(addr)));
	EXPECT_EQ(0, unlink("t"));
}

TEST_HARNESS_MAIN
