// SPDX-License-Identifier: GPL-2.0
/*
 * The promises through overlayfs, which maps a file for its user: the mapping is
 * made in another order there, and with one reference too many (H19).
 */
#include "snap.h"

#define PAGES 8

FIXTURE(overlay)
{
	char dir[DIR_MAX];	/* an instance of ours, */
	char merged[2 * DIR_MAX];	/* and the overlay on it */
	int missing;		/* errno if there is no overlayfs */
	struct snap s;		/* in the overlay */
	int real;		/* the same file without it */
	long base;
};

FIXTURE_VARIANT(overlay)
{
	bool upper;		/* the file is in the upper directory */
	bool touch;
};

FIXTURE_VARIANT_ADD(overlay, upper_touched)
{
	.upper = true,
	.touch = true,
};

FIXTURE_VARIANT_ADD(overlay, upper_untouched)
{
	.upper = true,
	.touch = false,
};

FIXTURE_VARIANT_ADD(overlay, lower_touched)
{
	.upper = false,
	.touch = true,
};

FIXTURE_VARIANT_ADD(overlay, lower_untouched)
{
	.upper = false,
	.touch = false,
};

static int sub(char *path, const char *dir, const char *name)
{
	snprintf(path, 2 * DIR_MAX, "%s/%s", dir, name);
	return mkdir(path, 0755);
}

FIXTURE_SETUP(overlay)
{
	char lower[2 * DIR_MAX], upper[2 * DIR_MAX], work[2 * DIR_MAX];
	char opts[8 * DIR_MAX];

	self->s.fd = -1;
	ASSERT_EQ(0, snap_mount(self->dir, "size=16m"));
	ASSERT_EQ(0, sub(lower, self->dir, "lower"));
	ASSERT_EQ(0, sub(upper, self->dir, "upper"));
	ASSERT_EQ(0, sub(work, self->dir, "work"));
	ASSERT_EQ(0, sub(self->merged, self->dir, "merged"));

	/* The file is there before the overlay is. */
	ASSERT_EQ(0, snap_create_in(&self->s, variant->upper ? upper : lower,
				    PAGES * page_size));
	self->real = self->s.fd;

	if (system("modprobe overlay >/dev/null 2>&1"))
		TH_LOG("modprobe overlay failed; it may be built in");
	snprintf(opts, sizeof(opts), "lowerdir=%s,upperdir=%s,workdir=%s",
		 lower, upper, work);
	if (mount("none", self->merged, "overlay", 0, opts)) {
		self->missing = errno;
		ASSERT_EQ(ENODEV, errno);
		return;
	}
	memmove(self->s.path + strlen(self->merged),
		strrchr(self->s.path, '/'), strlen(strrchr(self->s.path, '/')) +
		1);
	memcpy(self->s.path, self->merged, strlen(self->merged));
	/* What overlayfs made in its work directory is not ours to count. */
	self->base = pages_used(self->dir);
	self->s.fd = open(self->s.path, variant->upper ? O_RDWR : O_RDONLY);
	ASSERT_LE(0, self->s.fd);
	self->s.map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->s.map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
}

FIXTURE_TEARDOWN(overlay)
{
	umount2(self->merged, MNT_DETACH);
	snap_umount(self->dir);
}

/* The real file is written, which is what an upper file's writer does. */
TEST_F(overlay, write_to_the_real_file)
{
	if (self->missing)
		SKIP(return, "the kernel has no overlayfs");
	ASSERT_EQ(self->s.len, write_gen(self->real, 1, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* Through the overlay; a lower file is copied up and left alone. */
TEST_F(overlay, write)
{
	int fd;

	if (self->missing)
		SKIP(return, "the kernel has no overlayfs");
	fd = open(self->s.path, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(self->s.len, write_gen(fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(fd, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(overlay, truncate)
{
	if (self->missing)
		SKIP(return, "the kernel has no overlayfs");
	ASSERT_EQ(0, ftruncate(self->real, 100));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(0, truncate(self->s.path, 0));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(overlay, store)
{
	char *shared;

	if (self->missing)
		SKIP(return, "the kernel has no overlayfs");
	shared = map_shared(variant->upper ? self->s.fd : self->real, 0,
			    self->s.len);
	ASSERT_TRUE(mapped(shared));
	gen_fill(shared, 1, 0, self->s.len);
	ASSERT_EQ(SAME, file_differs(self->real, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(overlay, own_stores)
{
	char *map;

	if (self->missing)
		SKIP(return, "the kernel has no overlayfs");
	map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		   self->s.fd, 0);
	ASSERT_TRUE(mapped(map));
	gen_fill(map, 3, 0, page_size);
	ASSERT_EQ(self->s.len, write_gen(self->real, 1, 0, self->s.len));
	ASSERT_EQ(0, ftruncate(self->real, 0));
	ASSERT_EQ(SAME, differs(map, 3, 0, page_size));
	ASSERT_EQ(SAME, differs(map + page_size, 0, page_size,
				self->s.len - page_size));
}

/* Generations through the overlay and beside it, of the same file. */
TEST_F(overlay, generations)
{
	char *map[10];
	int i;

	if (self->missing)
		SKIP(return, "the kernel has no overlayfs");
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(self->s.len, write_gen(self->real, i, 0,
						 self->s.len));
		map[i] = map_private(i % 2 ? self->s.fd : self->real, 0,
				     self->s.len);
		ASSERT_TRUE(mapped(map[i]));
		if (variant->touch)
			ASSERT_EQ(SAME, touch(map[i], self->s.len));
	}
	ASSERT_EQ(self->s.len, write_gen(self->real, 20, 0, self->s.len));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(SAME, differs(map[i], i, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

static int see_0(void *arg)
{
	struct snap *s = arg;

	return differs(s->map, 0, 0, s->len) != SAME;
}

TEST_F(overlay, fork_and_split)
{
	struct child c;

	if (self->missing)
		SKIP(return, "the kernel has no overlayfs");
	ASSERT_EQ(0, child_start(&c, see_0, &self->s));
	ASSERT_EQ(0, munmap(self->s.map + 2 * page_size, page_size));
	ASSERT_EQ(0, mprotect(self->s.map, page_size, PROT_NONE));
	ASSERT_EQ(self->s.len, write_gen(self->real, 1, 0, self->s.len));
	ASSERT_EQ(0, mprotect(self->s.map, page_size, PROT_READ));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, 2 * page_size));
	ASSERT_EQ(SAME, differs(self->s.map + 3 * page_size, 0, 3 * page_size,
				self->s.len - 3 * page_size));
	ASSERT_EQ(0, child_finish(&c));
}

/* R1, and H19: a reference too many would keep the pages for ever. */
TEST_F(overlay, pages_are_given_back)
{
	char *map;

	if (self->missing)
		SKIP(return, "the kernel has no overlayfs");
	ASSERT_EQ(self->s.len, write_gen(self->real, 1, 0, self->s.len));
	ASSERT_EQ(self->base + PAGES, pages_used(self->dir));
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	ASSERT_EQ(self->base, pages_used(self->dir));
	map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(self->s.len, write_gen(self->real, 2, 0, self->s.len));
	ASSERT_EQ(self->base + PAGES, pages_used(self->dir));
	ASSERT_EQ(0, munmap(map, self->s.len));
	ASSERT_EQ(self->base, pages_used(self->dir));
}

/* The same reference would keep the filesystem mounted. */
TEST_F(overlay, both_can_be_unmounted)
{
	if (self->missing)
		SKIP(return, "the kernel has no overlayfs");
	ASSERT_EQ(self->s.len, write_gen(self->real, 1, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	ASSERT_EQ(0, close(self->s.fd));
	ASSERT_EQ(0, close(self->real));
	ASSERT_EQ(0, umount2(self->merged, 0));
	ASSERT_EQ(0, umount2(self->dir, 0));
}

/* A mapping is not known before mmap() has finished; a writer may be quicker. */
struct racer {
	struct snap *s;
	int fd;
	long rounds;
	bool stop;
	bool failed;
};

static void *write_for_ever(void *arg)
{
	struct racer *r = arg;
	long n;
	int i;

	for (n = 1; !__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE); n++) {
		for (i = 0; i < PAGES; i++)
			r->failed |= !seq_write(r->fd, i, n);
		__atomic_add_fetch(&r->rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

TEST_F(overlay, mappings_and_write)
{
	struct racer r = { .s = &self->s, .fd = self->real };
	long end = now_ms() + stress_ms(), seen[PAGES];
	pthread_t thread;
	int i, k;

	if (self->missing)
		SKIP(return, "the kernel has no overlayfs");
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_for_ever, &r));
	ASSERT_TRUE(wait_for(&r.rounds, 1));
	for (i = 0; i < 1000 && (i < 5 || now_ms() < end); i++) {
		char *map = map_private(self->s.fd, 0, self->s.len);

		ASSERT_TRUE(mapped(map));
		for (k = 0; k < PAGES; k++) {
			seen[k] = seq_of(map + k * page_size);
			/* Pages are written in order: P3. */
			ASSERT_LE(0, seen[k]);
			ASSERT_LE(seen[k], seen[0]);
			ASSERT_LE(seen[0], seen[k] + 1);
		}
		ASSERT_TRUE(wait_for(&r.rounds, 2));
		for (k = 0; k < PAGES; k++)
			ASSERT_EQ(seen[k], seq_of(map + k * page_size));
		ASSERT_EQ(0, munmap(map, self->s.len));
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_FALSE(r.failed);
}

TEST_HARNESS_MAIN
