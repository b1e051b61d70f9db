// SPDX-License-Identifier: GPL-2.0
/*
 * Locks, leases, notification and freezing: what processes tell each other
 * through a filesystem.
 */
#include "fs.h"

#include <linux/fs.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

FS_FIXTURE(lock)

TEST_F(lock, flock)
{
	int a, b, c;

	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_LE(0, a = open("f", O_RDONLY));
	ASSERT_LE(0, b = open("f", O_RDWR));
	EXPECT_EQ(0, flock(a, LOCK_SH));
	EXPECT_EQ(0, flock(b, LOCK_SH | LOCK_NB));
	EXPECT_ERRNO(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
	EXPECT_EQ(0, flock(a, LOCK_UN));
	EXPECT_EQ(0, flock(b, LOCK_EX | LOCK_NB));
	EXPECT_ERRNO(EWOULDBLOCK, flock(a, LOCK_SH | LOCK_NB));
	/* The lock is the open file's: a duplicate keeps it. */
	ASSERT_LE(0, c = dup(b));
	close(b);
	EXPECT_ERRNO(EWOULDBLOCK, flock(a, LOCK_SH | LOCK_NB));
	close(c);
	EXPECT_EQ(0, flock(a, LOCK_EX | LOCK_NB));
	ASSERT_LE(0, c = open(".", O_RDONLY));
	EXPECT_EQ(0, flock(c, LOCK_EX | LOCK_NB));
}

static int setlk(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock fl = {
		.l_type = type, .l_whence = SEEK_SET,
		.l_start = start, .l_len = len,
	};

	return fcntl(fd, cmd, &fl);
}

TEST_F(lock, record_locks)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd, ready[2], done[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, fs_puts("f", "0123456789"));
	ASSERT_LE(0, fd = open("f", O_RDWR));
	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(done));
	pid = fork();
	if (!pid) {
		int other = open("f", O_RDWR);

		close(done[1]);
		if (setlk(other, F_SETLK, F_WRLCK, 2, 3) ||
		    setlk(other, F_SETLK, F_RDLCK, 7, 0))
			_exit(1);
		_exit(write(ready[1], "r", 1) != 1 || read(done[0], &c, 1));
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	EXPECT_EQ(0, fcntl(fd, F_GETLK, &fl));
	EXPECT_EQ(F_WRLCK, fl.l_type);
	EXPECT_EQ(2, fl.l_start);
	EXPECT_EQ(3, fl.l_len);
	EXPECT_EQ(pid, fl.l_pid);
	EXPECT_EQ(0, setlk(fd, F_SETLK, F_WRLCK, 0, 2));
	EXPECT_ERRNO(EAGAIN, setlk(fd, F_SETLK, F_RDLCK, 4, 1));
	EXPECT_EQ(0, setlk(fd, F_SETLK, F_WRLCK, 5, 2));
	EXPECT_EQ(0, setlk(fd, F_SETLK, F_RDLCK, 8, 100));
	EXPECT_ERRNO(EAGAIN, setlk(fd, F_SETLK, F_WRLCK, 1000, 1));
	/* They are advice only, and die with their process. */
	EXPECT_EQ(1, pwrite(fd, "x", 1, 3));
	close(done[1]);
	EXPECT_EQ(0, fs_wait(pid));
	EXPECT_EQ(0, setlk(fd, F_SETLK, F_WRLCK, 0, 0));
	EXPECT_ERRNO(EINVAL, setlk(fd, F_SETLK, F_WRLCK, -1, 1));
}

TEST_F(lock, open_file_description_locks)
{
	int a, b;

	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_LE(0, a = open("f", O_RDWR));
	ASSERT_LE(0, b = open("f", O_RDWR));
	EXPECT_EQ(0, setlk(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	EXPECT_ERRNO(EAGAIN, setlk(b, F_OFD_SETLK, F_RDLCK, 9, 1));
	EXPECT_ERRNO(EAGAIN, setlk(b, F_SETLK, F_RDLCK, 9, 1));
	EXPECT_EQ(0, setlk(b, F_OFD_SETLK, F_WRLCK, 10, 1));
	EXPECT_EQ(0, setlk(a, F_OFD_SETLK, F_UNLCK, 5, 5));
	EXPECT_EQ(0, setlk(b, F_OFD_SETLK, F_RDLCK, 9, 1));
	close(a);
	EXPECT_EQ(0, setlk(b, F_OFD_SETLK, F_WRLCK, 0, 0));
}

TEST_F(lock, leases)
{
	struct timespec soon = { 5, 0 };
	sigset_t set;
	pid_t pid;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	ASSERT_EQ(0, fs_puts("f", "x"));
	ASSERT_LE(0, fd = open("f", O_RDONLY));
	EXPECT_EQ(F_UNLCK, fcntl(fd, F_GETLEASE));
	ASSERT_EQ(0, fcntl(fd, F_SETLEASE, F_RDLCK));
	EXPECT_EQ(F_RDLCK, fcntl(fd, F_GETLEASE));
	/* Another reader does not disturb it, a writer breaks it. */
	EXPECT_TRUE(fs_holds("f", "x"));
	EXPECT_EQ(F_RDLCK, fcntl(fd, F_GETLEASE));
	pid = fork();
	if (!pid)
		_exit(open("f", O_WRONLY | O_NONBLOCK) >= 0 ? 1 :
		      errno != EWOULDBLOCK);
	EXPECT_EQ(0, fs_wait(pid));
	EXPECT_EQ(SIGIO, sigtimedwait(&set, NULL, &soon));
	EXPECT_EQ(0, fcntl(fd, F_SETLEASE, F_UNLCK));
	EXPECT_EQ(F_UNLCK, fcntl(fd, F_GETLEASE));
	EXPECT_LE(0, open("f", O_WRONLY));
	/* With a writer about there is nothing to lease. */
	EXPECT_ERRNO(EAGAIN, fcntl(fd, F_SETLEASE, F_RDLCK));
	/* For writing: the only opener. */
	ASSERT_LE(0, fd = open("g", O_RDWR | O_CREAT, 0644));
	EXPECT_EQ(0, fcntl(fd, F_SETLEASE, F_WRLCK));
	EXPECT_EQ(0, fcntl(fd, F_SETLEASE, F_UNLCK));
	EXPECT_LE(0, open("g", O_RDONLY));
	EXPECT_ERRNO(EAGAIN, fcntl(fd, F_SETLEASE, F_WRLCK));
}

TEST_F(lock, poll)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct pollfd pfd = { .events = POLLIN | POLLOUT };
	int ep;

	ASSERT_LE(0, pfd.fd = open("f", O_RDWR | O_CREAT, 0644));
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLIN | POLLOUT, pfd.revents);
	ASSERT_LE(0, ep = epoll_create1(0));
	EXPECT_ERRNO(EPERM, epoll_ctl(ep, EPOLL_CTL_ADD, pfd.fd, &ev));
}

/* Takes the next event; true when it has these bits and this name. */
static bool event_is(int fd, uint32_t mask, const char *name, uint32_t *cookie)
{
	static uint64_t buf[1024];
	static ssize_t at, end;
	struct inotify_event *e;

	if (at >= end) {
		at = 0;
		end = read(fd, buf, sizeof(buf));
		if (end <= 0)
			return false;
	}
	e = (struct inotify_event *)((char *)buf + at);
	at += sizeof(*e) + e->len;
	if (cookie)
		*cookie = e->cookie;
	if (e->mask == mask && !strcmp(e->len ? e->name : "", name))
		return true;
	fprintf(stderr, "# event %#x of '%s' instead of %#x of '%s'\n",
		e->mask, e->len ? e->name : "", mask, name);
	return false;
}

TEST_F(lock, inotify)
{
	uint32_t from, to;
	int in, fd, wd;

	in = inotify_init1(IN_NONBLOCK);
	if (in < 0)
		SKIP(return, "no inotify: %s", strerror(errno));
	ASSERT_EQ(0, mkdir("d", 0755));
	ASSERT_LE(0, inotify_add_watch(in, "d", IN_ALL_EVENTS & ~IN_ACCESS));

	ASSERT_LE(0, fd = open("d/f", O_RDWR | O_CREAT, 0644));
	EXPECT_TRUE(event_is(in, IN_CREATE, "f", NULL));
	EXPECT_TRUE(event_is(in, IN_OPEN, "f", NULL));
	ASSERT_EQ(1, write(fd, "x", 1));
	EXPECT_TRUE(event_is(in, IN_MODIFY, "f", NULL));
	ASSERT_EQ(0, ftruncate(fd, 0));
	EXPECT_TRUE(event_is(in, IN_MODIFY, "f", NULL));
	ASSERT_EQ(0, fchmod(fd, 0600));
	EXPECT_TRUE(event_is(in, IN_ATTRIB, "f", NULL));
	ASSERT_EQ(0, fallocate(fd, 0, 0, 10));
	EXPECT_TRUE(event_is(in, IN_MODIFY, "f", NULL));
	close(fd);
	EXPECT_TRUE(event_is(in, IN_CLOSE_WRITE, "f", NULL));
	ASSERT_EQ(0, rename("d/f", "d/g"));
	EXPECT_TRUE(event_is(in, IN_MOVED_FROM, "f", &from));
	EXPECT_TRUE(event_is(in, IN_MOVED_TO, "g", &to));
	EXPECT_EQ(from, to);
	ASSERT_EQ(0, link("d/g", "d/h"));
	EXPECT_TRUE(event_is(in, IN_CREATE, "h", NULL));
	ASSERT_EQ(0, unlink("d/g"));
	EXPECT_TRUE(event_is(in, IN_DELETE, "g", NULL));
	ASSERT_EQ(0, mkdir("d/e", 0755));
	EXPECT_TRUE(event_is(in, IN_CREATE | IN_ISDIR, "e", NULL));
	ASSERT_EQ(0, rmdir("d/e"));
	EXPECT_TRUE(event_is(in, IN_DELETE | IN_ISDIR, "e", NULL));
	ASSERT_EQ(0, symlink("x", "d/l"));
	EXPECT_TRUE(event_is(in, IN_CREATE, "l", NULL));
	ASSERT_EQ(0, rename("d/l", "l"));
	EXPECT_TRUE(event_is(in, IN_MOVED_FROM, "l", NULL));

	/* A file of its own, to its end. */
	ASSERT_LE(0, wd = inotify_add_watch(in, "d/h", IN_DELETE_SELF));
	ASSERT_EQ(0, unlink("d/h"));
	EXPECT_TRUE(event_is(in, IN_DELETE_SELF, "", NULL));
	EXPECT_TRUE(event_is(in, IN_IGNORED, "", NULL));
	EXPECT_TRUE(event_is(in, IN_DELETE, "h", NULL));
	ASSERT_EQ(0, rmdir("d"));
	EXPECT_TRUE(event_is(in, IN_DELETE_SELF, "", NULL));
	EXPECT_TRUE(event_is(in, IN_IGNORED, "", NULL));
	EXPECT_ERRNO(EAGAIN, read(in, &wd, 1));
}

TEST_F(lock, inotify_of_unmount)
{
	int in;

	in = inotify_init1(IN_NONBLOCK);
	if (in < 0)
		SKIP(return, "no inotify: %s", strerror(errno));
	ASSERT_EQ(0, fs_private_ns());
	ASSERT_EQ(0, fs_mount("m", 0, "size=1m"));
	ASSERT_EQ(0, fs_puts("m/f", "x"));
	ASSERT_LE(0, inotify_add_watch(in, "m/f", IN_DELETE_SELF));
	/* A watch does not keep the filesystem busy. */
	ASSERT_EQ(0, umount("m"));
	EXPECT_TRUE(event_is(in, IN_UNMOUNT, "", NULL));
	EXPECT_TRUE(event_is(in, IN_IGNORED, "", NULL));
}

/* One change each; run while the filesystem is frozen. */
static int change(int what, char *map)
{
	switch (what) {
	case 0: {
		int fd = open("m/f", O_RDWR);

		return fd < 0 || pwrite(fd, "W", 1, 0) != 1;
	}
	case 1:
		return fs_store(map, 'S');
	case 2:
		return mkdir("m/d", 0755);
	case 3:
		return rename("m/g", "m/h");
	case 4:
		return chmod("m/k", 0600);
	case 5:
		return truncate("m/t", 1);
	default:
		return unlink("m/u");
	}
}

enum { CHANGES = 7 };

TEST_F(lock, freeze)
{
	const size_t page = fs_page();
	pid_t pid[CHANGES];
	char *map;
	int i, root, fd;

	ASSERT_EQ(0, fs_private_ns());
	ASSERT_EQ(0, fs_mount("m", 0, "size=4m"));
	ASSERT_LE(0, root = open("m", O_RDONLY));
	ASSERT_EQ(0, fs_puts("m/f", "file"));
	ASSERT_EQ(0, truncate("m/f", 4 * page));
	ASSERT_EQ(0, fs_puts("m/g", ""));
	ASSERT_EQ(0, fs_puts("m/k", ""));
	ASSERT_EQ(0, fs_puts("m/t", "truncated"));
	ASSERT_EQ(0, fs_puts("m/u", ""));
	ASSERT_LE(0, fd = open("m/f", O_RDWR));
	map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page);
	ASSERT_NE(MAP_FAILED, map);

	ASSERT_EQ(0, fs_become(1000, 1000));
	EXPECT_ERRNO(EPERM, ioctl(root, FIFREEZE, 0));
	ASSERT_EQ(0, fs_root());
	if (fs_is_tmpfs()) {
		ASSERT_ERRNO(EOPNOTSUPP, ioctl(root, FIFREEZE, 0));
		SKIP(return, "tmpfs cannot be frozen");
	}
	EXPECT_ERRNO(EINVAL, ioctl(root, FITHAW, 0));
	ASSERT_EQ(0, ioctl(root, FIFREEZE, 0));
	EXPECT_ERRNO(EBUSY, ioctl(root, FIFREEZE, 0));
	for (i = 0; i < CHANGES; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(change(i, map));
	}
	/* Until thawed every change waits, and nothing is to be seen of it. */
	fs_sleep_ms(500);
	for (i = 0; i < CHANGES; i++)
		EXPECT_EQ(0, waitpid(pid[i], NULL, WNOHANG))
			TH_LOG("change %d", i);
	EXPECT_EQ(0, fs_load(map));
	EXPECT_TRUE(fs_exists("m/g"));
	EXPECT_TRUE(fs_exists("m/u"));
	EXPECT_FALSE(fs_exists("m/d"));
	EXPECT_EQ(9, fs_size("m/t"));
	EXPECT_EQ(0644, fs_mode("m/k"));

	EXPECT_EQ(0, ioctl(root, FITHAW, 0));
	for (i = 0; i < CHANGES; i++)
		EXPECT_EQ(0, fs_wait(pid[i])) TH_LOG("change %d", i);
	EXPECT_EQ('S', fs_load(map));
	EXPECT_EQ(1, fs_size("m/t"));
	EXPECT_FALSE(fs_exists("m/u"));
	EXPECT_ERRNO(EINVAL, ioctl(root, FITHAW, 0));
}

TEST_HARNESS_MAIN
