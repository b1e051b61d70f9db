// SPDX-License-Identifier: GPL-2.0
/*
 * What is mapped of a page whose memory breaks: SIGBUS, and no more than that.
 */
#include "held.h"
#include "seg.h"

#define PAGES	4
#define BAD	2	/* the page of the file that breaks */
#define SIZE	(PAGES * page_size)

FIXTURE(poison)
{
	char dir[DIR_MAX];
	int fd, win;
	ssize_t len;	/* what the window has of the file, in whole pages */
	char *live;
};

/* On a mount of its own or not, with a mapping of a window there. */
FIXTURE_VARIANT(poison)
{
	const char *options;
	int shift;
	bool copy;	/* what breaks is a copy, of which there can be another one */
};

FIXTURE_VARIANT_ADD(poison, of_the_file) { .shift = 0 };
FIXTURE_VARIANT_ADD(poison, of_a_window) { .shift = 512 };
FIXTURE_VARIANT_ADD(poison, of_a_segment) { .options = "segment=64k" };
FIXTURE_VARIANT_ADD(poison, of_segments) { .options = "segment=4k", .copy = true };

/* Whether page @i of the mapping has a part of the bad one: those of a window have parts of two. */
#define IS_BAD(i) \
	(!variant->copy && ((i) == BAD || (variant->shift && (i) == BAD - 1)))

/* Breaks a page in the memory of a process that may be killed for it. 0, or 1 if that cannot be done. */
static int break_page(char *p)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		(void)__atomic_load_n(p, __ATOMIC_RELAXED);
		_exit(madvise(p, page_size, MADV_HWPOISON) ? 1 : 0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
		return 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

FIXTURE_SETUP(poison)
{
	char path[2 * DIR_MAX], *probe = anonymous(page_size);

	/* Not the page of zeros. */
	probe[0] = 1;
	if (break_page(probe) == 1)
		SKIP(return, "memory cannot be made to fail");
	munmap(probe, page_size);
	snprintf(self->dir, sizeof(self->dir), "%.*s", DIR_MAX - 1, snap_dir());
	if (variant->options)
		ASSERT_EQ(0, snap_mount(self->dir, variant->options));
	snprintf(path, sizeof(path), "%s/poison.%d", self->dir, getpid());
	self->fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, unlink(path));
	ASSERT_EQ(SIZE, write_gen(self->fd, 1, 0, SIZE));
	self->win = window(self->fd, variant->shift, 0);
	ASSERT_LE(0, self->win);
	self->len = SIZE - (variant->shift ? page_size : 0);
	self->live = map_shared(self->fd, 0, SIZE);
	ASSERT_TRUE(mapped(self->live));
}

FIXTURE_TEARDOWN(poison)
{
	close(self->win);
	close(self->fd);
	munmap(self->live, SIZE);
	if (variant->options)
		snap_umount(self->dir);
}

/* 0 if the page @p is as the file was made, 1 for SIGBUS, 2 for other bytes. */
static int look(const char *p, ssize_t off)
{
	ssize_t at = differs(p, 1, off, page_size);

	return at == SAME ? 0 : at == BUS ? 1 : 2;
}

/* What another process finds of the page @p, SAME or BUS; it may never come back. */
static ssize_t look_at(const char *p, ssize_t off)
{
	long end = now_ms() + 20000 * slow();
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(look(p, off));
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (now_ms() > end) {
			kill(pid, SIGKILL);
			return -1000;
		}
		usleep(1000);
	}
	if (!WIFEXITED(status))
		return -2000 - WTERMSIG(status);
	return WEXITSTATUS(status) == 0 ? SAME : WEXITSTATUS(status) == 1 ? BUS : -3000;
}

/* Of the mapping @map what had a part of the page is gone, and nothing else is. */
#define EXPECT_BAD(map) do { \
	ssize_t i; \
	for (i = 0; i < self->len; i += page_size) \
		ASSERT_EQ(IS_BAD(i / page_size) ? BUS : SAME, \
			  look_at((map) + i, variant->shift + i)) \
			TH_LOG("page %zd", i / page_size); \
} while (0)

TEST_F(poison, private_mapping)
{
	char *map = map_private(self->win, 0, self->len);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, break_page(self->live + BAD * page_size));
	EXPECT_BAD(map);
}

TEST_F(poison, live_mapping)
{
	char *map = map_shared(self->win, 0, self->len);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, break_page(self->live + BAD * page_size));
	EXPECT_BAD(map);
}

/* The page can be given up. */
TEST_F(poison, is_truncated)
{
	char *map, c;

	ASSERT_EQ(0, break_page(self->live + BAD * page_size));
	if (!variant->copy) {
		ASSERT_EQ(-1, pread(self->fd, &c, 1, BAD * page_size));
		ASSERT_EQ(EIO, errno);
	}
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(SIZE, write_gen(self->fd, 2, 0, SIZE));
	ASSERT_EQ(SAME, file_differs(self->fd, 2, 0, SIZE));
	map = map_shared(self->fd, 0, SIZE);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(SAME, differs(map, 2, 0, SIZE));
	munmap(map, SIZE);
}

TEST_HARNESS_MAIN
