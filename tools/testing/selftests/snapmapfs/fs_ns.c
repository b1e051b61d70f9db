// SPDX-License-Identifier: GPL-2.0
/*
 * Namespaces: instances mounted inside a user namespace, and mounts that map
 * the owners of files.
 */
#include "fs.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* Ids 0-65535 of the namespace are these outside. */
enum { SHIFT = 100000 };

static int put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/*
 * A child in a user and a mount namespace of its own, as root there. Returns 0
 * in the child, its pid in the parent, -1 if there is no such thing.
 */
static pid_t fork_into_user_ns(void)
{
	int ready[2], mapped[2];
	char path[64], map[64], c;
	pid_t pid;

	if (pipe(ready) || pipe(mapped))
		return -1;
	pid = fork();
	if (!pid) {
		close(mapped[1]);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) ||
		    write(ready[1], "r", 1) != 1 || read(mapped[0], &c, 1) != 1)
			_exit(250);
		if (setgroups(0, NULL) || setresgid(0, 0, 0) ||
		    setresuid(0, 0, 0))
			_exit(251);
		return 0;
	}
	close(ready[1]);
	close(mapped[0]);
	snprintf(map, sizeof(map), "0 %d 65536\n", SHIFT);
	if (pid > 0 && read(ready[0], &c, 1) == 1) {
		bool ok;

		snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
		ok = !put_text(path, map);
		snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
		ok = ok && !put_text(path, map);
		if (!ok || write(mapped[1], "m", 1) != 1)
			kill(pid, SIGKILL);
	}
	close(ready[0]);
	close(mapped[1]);
	return pid;
}

/* A descriptor of a user namespace that maps as above. */
static int user_ns_fd(void)
{
	char path[64];
	int fd, hold[2];
	char c;
	pid_t pid;

	if (pipe(hold))
		return -1;
	pid = fork_into_user_ns();
	if (!pid) {
		close(hold[1]);
		_exit(read(hold[0], &c, 1));
	}
	if (pid < 0)
		return -1;
	/* The ids are mapped before fork_into_user_ns() returns. */
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	close(hold[1]);
	close(hold[0]);
	waitpid(pid, NULL, 0);
	return fd;
}

FS_FIXTURE(ns)

TEST_F(ns, mount_in_user_namespace)
{
	struct stat st;
	pid_t pid;
	int status;

	ASSERT_EQ(0, mkdir("m", 0755));
	ASSERT_EQ(0, chmod(".", 0755));
	pid = fork_into_user_ns();
	ASSERT_NE(-1, pid);
	if (!pid) {
		if (mount("x", "m", fs_type(), 0, "size=1m"))
			_exit(errno == EPERM ? 101 : 102);
		EXPECT_EQ(0, fs_puts("m/f", "inside"));
		EXPECT_EQ(0, stat("m/f", &st));
		EXPECT_EQ(0, st.st_uid);
		EXPECT_EQ(0, stat("m", &st));
		EXPECT_EQ(0, st.st_uid);
		EXPECT_EQ(0, chown("m/f", 1000, 1000));
		EXPECT_EQ(0, stat("m/f", &st));
		EXPECT_EQ(1000, st.st_uid);
		/* Ids that the namespace does not have cannot be given. */
		EXPECT_ERRNO(EINVAL, chown("m/f", 70000, 0));
		/* Nor devices, nor attributes of the real root. */
		EXPECT_ERRNO(EPERM, mknod("m/c", S_IFCHR | 0666, makedev(1, 3)));
		EXPECT_ERRNO(EPERM, setxattr("m/f", "trusted.a", "x", 1, 0));
		EXPECT_EQ(0, setxattr("m/f", "user.a", "x", 1, 0));
		EXPECT_EQ(0, umount("m"));
		EXPECT_EQ(0, mount("x", "m", fs_type(), 0, "uid=5,gid=6"));
		EXPECT_EQ(0, stat("m", &st));
		EXPECT_EQ(5, st.st_uid);
		EXPECT_EQ(6, st.st_gid);
		EXPECT_EQ(0, umount("m"));
		EXPECT_ERRNO(EINVAL, mount("x", "m", fs_type(), 0, "uid=70000"));
		_exit(0);
	}
	status = fs_wait(pid);
	if (status == 250)
		SKIP(return, "no user namespaces here");
	if (status == 101 && !fs_is_tmpfs())
		SKIP(return, "%s is not for user namespaces (FS_USERNS_MOUNT)",
		     fs_type());
	EXPECT_EQ(0, status);
}

/* An instance of the real root, entered from a namespace, is as it is. */
TEST_F(ns, seen_from_user_namespace)
{
	struct stat st;
	pid_t pid;
	int status;

	ASSERT_EQ(0, fs_puts("root", "x"));
	ASSERT_EQ(0, fs_puts("theirs", "x"));
	ASSERT_EQ(0, chown("theirs", SHIFT + 7, SHIFT + 8));
	ASSERT_EQ(0, chmod("root", 0600));
	pid = fork_into_user_ns();
	ASSERT_NE(-1, pid);
	if (!pid) {
		EXPECT_EQ(0, stat("theirs", &st));
		EXPECT_EQ(7, st.st_uid);
		EXPECT_EQ(8, st.st_gid);
		EXPECT_EQ(0, stat("root", &st));
		EXPECT_EQ(65534, st.st_uid);
		EXPECT_ERRNO(EACCES, open("root", O_RDONLY));
		EXPECT_ERRNO(EPERM, chmod("root", 0666));
		EXPECT_EQ(0, chmod("theirs", 0600));
		EXPECT_LE(0, open("theirs", O_RDWR));
		EXPECT_EQ(0, chown("theirs", 1, 2));
		_exit(0);
	}
	status = fs_wait(pid);
	if (status == 250)
		SKIP(return, "no user namespaces here");
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, stat("theirs", &st));
	EXPECT_EQ(SHIFT + 1, st.st_uid);
	EXPECT_EQ(SHIFT + 2, st.st_gid);
}

TEST_F(ns, idmapped_mount)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	int user_ns, tree, fd;
	struct stat st;

	ASSERT_EQ(0, fs_private_ns());
	user_ns = user_ns_fd();
	if (user_ns < 0)
		SKIP(return, "no user namespaces here");
	ASSERT_EQ(0, fs_mount("m", 0, "size=1m,mode=777"));
	ASSERT_EQ(0, fs_puts("m/f", "x"));
	ASSERT_EQ(0, chown("m/f", 1000, 1001));
	ASSERT_EQ(0, chmod("m/f", 0600));
	ASSERT_EQ(0, mkdir("mapped", 0755));
	tree = open_tree(AT_FDCWD, "m", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	ASSERT_LE(0, tree);
	attr.userns_fd = user_ns;
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr))) {
		ASSERT_EQ(EINVAL, errno);
		if (!fs_is_tmpfs())
			SKIP(return, "%s has no mapped mounts (FS_ALLOW_IDMAP)",
			     fs_type());
		ASSERT_FALSE(fs_is_tmpfs());
	}
	ASSERT_EQ(0, move_mount(tree, "", AT_FDCWD, "mapped",
				MOVE_MOUNT_F_EMPTY_PATH));

	/* Owners are shifted on the way out. */
	ASSERT_EQ(0, stat("mapped/f", &st));
	EXPECT_EQ(SHIFT + 1000, st.st_uid);
	EXPECT_EQ(SHIFT + 1001, st.st_gid);
	ASSERT_EQ(0, stat("m/f", &st));
	EXPECT_EQ(1000, st.st_uid);

	/* And back on the way in: creation, chown, and who may. */
	ASSERT_EQ(0, fs_become(SHIFT + 1000, SHIFT + 1001));
	EXPECT_LE(0, fd = open("mapped/f", O_RDWR));
	EXPECT_ERRNO(EACCES, open("m/f", O_RDWR));
	EXPECT_EQ(0, fs_puts("mapped/new", "x"));
	EXPECT_EQ(0, mkdir("mapped/d", 0755));
	EXPECT_EQ(0, symlink("x", "mapped/l"));
	EXPECT_EQ(0, mkfifo("mapped/p", 0644));
	EXPECT_LE(0, fd = open("mapped", O_RDWR | O_TMPFILE, 0644));
	EXPECT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(SHIFT + 1000, st.st_uid);
	EXPECT_EQ(0, chmod("mapped/f", 0640));
	EXPECT_EQ(0, setxattr("mapped/f", "user.a", "x", 1, 0));
	EXPECT_EQ(0, rename("mapped/new", "mapped/renamed"));
	ASSERT_EQ(0, fs_root());
	ASSERT_EQ(0, stat("m/renamed", &st));
	EXPECT_EQ(1000, st.st_uid);
	EXPECT_EQ(1001, st.st_gid);
	ASSERT_EQ(0, lstat("m/l", &st));
	EXPECT_EQ(1000, st.st_uid);
	ASSERT_EQ(0, stat("m/d", &st));
	EXPECT_EQ(1000, st.st_uid);
	EXPECT_EQ(0, chown("mapped/f", SHIFT + 5, SHIFT + 6));
	ASSERT_EQ(0, stat("m/f", &st));
	EXPECT_EQ(5, st.st_uid);
	EXPECT_EQ(6, st.st_gid);
	/* An id without a counterpart cannot own anything there. */
	EXPECT_ERRNO(EOVERFLOW, fs_puts("mapped/by_root", "x"));
	EXPECT_ERRNO(EOVERFLOW, chown("mapped/f", 3, 3));
}

TEST_HARNESS_MAIN
