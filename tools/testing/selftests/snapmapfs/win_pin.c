// SPDX-License-Identifier: GPL-2.0
/*
 * L1, P4 and W2 for stores of the kernel that last: while it holds pages of a
 * window, which are copies, others use the file and its other windows.
 */
#include "held.h"
#include "win.h"

#include <sys/sysmacros.h>

#define PAGES	4
#define LEN	(PAGES * page_size)
/* How long a store by a pin may take to be seen in mappings that were there. */
#define SOON_MS	2000

FIXTURE(pin)
{
	struct snap s;
	ssize_t at;	/* where the window begins */
	char *map;	/* the window */
	char *other;	/* another one, half a block page behind it */
	struct held h;
};

FIXTURE_VARIANT(pin)
{
	int shift;
};

FIXTURE_VARIANT_ADD(pin, at_512)
{
	.shift = 512,
};

FIXTURE_VARIANT_ADD(pin, at_2048)
{
	.shift = 2048,
};

/* The other window begins so much further on. */
#define FURTHER	1024

FIXTURE_SETUP(pin)
{
	int win, other;

	self->at = page_size + variant->shift;
	ASSERT_EQ(0, snap_create(&self->s, 2 * page_size + LEN));
	win = window(self->s.fd, self->at, 0);
	ASSERT_LE(0, win);
	other = window(self->s.fd, self->at + FURTHER, 0);
	ASSERT_LE(0, other);
	self->map = map_shared(win, 0, LEN);
	ASSERT_TRUE(mapped(self->map));
	self->other = map_shared(other, 0, LEN - FURTHER);
	ASSERT_TRUE(mapped(self->other));
	close(win);
	close(other);
}

FIXTURE_TEARDOWN(pin)
{
	snap_destroy(&self->s);
}

/* The kernel is about to store @pieces times @len bytes at @map. */
#define HOLD(map, pieces, len) \
	ASSERT_EQ(0, held_start(&self->h, map, pieces, len, false))

/* Piece @i of those at @off in the file is stored, as generation @gen. */
#define FEED(i, gen, off) \
	ASSERT_TRUE(held_feed(&self->h, i, gen, (off) + (i) * self->h.len))

#define EXPECT_FILE(gen, off, len) \
	ASSERT_EQ(SAME, file_differs(self->s.fd, gen, off, len))

/* Where @p is not as @gen at @off, if it does not become so soon. */
static ssize_t differs_for_long(const void *p, unsigned int gen, ssize_t off, ssize_t len)
{
	long end = now_ms() + SOON_MS;
	ssize_t at;

	while ((at = differs(p, gen, off, len)) != SAME && now_ms() < end)
		usleep(1000);
	return at;
}

TEST_F(pin, file_is_read)
{
	int i;

	HOLD(self->map, PAGES, page_size);
	for (i = 0; i < PAGES; i++) {
		EXPECT_FILE(0, self->at + i * page_size, LEN - i * page_size);
		FEED(i, 1, self->at);
		EXPECT_FILE(1, self->at, (i + 1) * page_size);
	}
	EXPECT_FILE(0, 0, self->at);
	ASSERT_EQ(SAME, differs(self->map, 1, self->at, LEN));
	EXPECT_FILE(1, self->at, LEN);
	EXPECT_FILE(0, self->at + LEN, page_size - variant->shift);
}

/* What is written when the store has ended is newer. */
TEST_F(pin, file_is_written)
{
	HOLD(self->map, PAGES, page_size);
	FEED(0, 1, self->at);
	ASSERT_EQ(page_size, write_gen(self->s.fd, 2, self->at + 2 * page_size, page_size));
	FEED(1, 1, self->at);
	FEED(2, 1, self->at);
	ASSERT_EQ(100, write_gen(self->s.fd, 3, self->at + page_size, 100));
	FEED(3, 1, self->at);
	ASSERT_EQ(100, write_gen(self->s.fd, 3, self->at, 100));
	EXPECT_FILE(3, self->at, 100);
	EXPECT_FILE(1, self->at + 100, page_size - 100);
	EXPECT_FILE(3, self->at + page_size, 100);
	EXPECT_FILE(1, self->at + page_size + 100, LEN - page_size - 100);
	ASSERT_EQ(SAME, differs(self->map + LEN - page_size, 1, self->at + LEN - page_size,
				page_size));
}

TEST_F(pin, other_window_is_read)
{
	int i;

	HOLD(self->map, PAGES, page_size);
	ASSERT_EQ(SAME, differs(self->other, 0, self->at + FURTHER, LEN - FURTHER));
	for (i = 0; i < PAGES; i++)
		FEED(i, 1, self->at);
	ASSERT_EQ(SAME, differs(self->map, 1, self->at, LEN));
	EXPECT_FILE(1, self->at, LEN);
	ASSERT_EQ(SAME, differs_for_long(self->other, 1, self->at + FURTHER, LEN - FURTHER));
	/* Nothing of what comes later is undone. */
	gen_fill(self->other, 2, self->at + FURTHER, LEN - FURTHER);
	usleep(20000);
	EXPECT_FILE(2, self->at + FURTHER, LEN - FURTHER);
	EXPECT_FILE(1, self->at, FURTHER);
}

/* Both store into the same pages, but not the same bytes. */
TEST_F(pin, other_window_is_stored_to)
{
	ssize_t off;

	HOLD(self->map, 2, page_size / 2);
	for (off = page_size; off < LEN - FURTHER; off += page_size)
		gen_fill(self->other + off, 2, self->at + FURTHER + off, 64);
	FEED(0, 1, self->at);
	self->other[page_size - FURTHER] = 'x';
	FEED(1, 1, self->at);
	EXPECT_FILE(1, self->at, page_size);
	for (off = page_size; off < LEN - FURTHER; off += page_size)
		EXPECT_FILE(2, self->at + FURTHER + off, 64);
	ASSERT_EQ('x', self->map[page_size]);
}

/* P1, P3: each mapping is of its instant, and the store is in those after it. */
TEST_F(pin, snapshots)
{
	char *file[3], *win[3], *next = NULL;
	int i, fd = window(self->s.fd, self->at, 0);
	ssize_t len = 2 * page_size;

	ASSERT_LE(0, fd);
	HOLD(self->map, 2, page_size);
	for (i = 0; i < 3; i++) {
		file[i] = map_private(self->s.fd, 0, self->s.len);
		ASSERT_TRUE(mapped(file[i]));
		win[i] = map_private(fd, 0, LEN);
		ASSERT_TRUE(mapped(win[i]));
		if (i < 2)
			FEED(i, 1, self->at);
	}
	/* The first is as before, the last has all of it. */
	ASSERT_EQ(SAME, differs(file[0], 0, 0, self->s.len));
	ASSERT_EQ(SAME, differs(win[0], 0, self->at, LEN));
	ASSERT_EQ(SAME, differs(file[2] + self->at, 1, self->at, len));
	ASSERT_EQ(SAME, differs(win[2], 1, self->at, len));
	ASSERT_EQ(SAME, differs(file[1] + self->at, 1, self->at, page_size));
	ASSERT_EQ(SAME, differs(win[1], 1, self->at, page_size));
	ASSERT_EQ(SAME, differs(win[1] + page_size, 0, self->at + page_size, page_size));
	EXPECT_FILE(1, self->at, len);
	next = map_private(fd, 0, LEN);
	ASSERT_TRUE(mapped(next));
	ASSERT_EQ(LEN, write_gen(self->s.fd, 4, self->at, LEN));
	ASSERT_EQ(SAME, differs(next, 1, self->at, len));
	ASSERT_EQ(SAME, differs(next + len, 0, self->at + len, LEN - len));
}

/* What is gone does not come back. */
TEST_F(pin, file_is_truncated)
{
	HOLD(self->map, PAGES, page_size);
	FEED(0, 1, self->at);
	ASSERT_EQ(0, ftruncate(self->s.fd, self->at + 100));
	FEED(1, 1, self->at);
	FEED(2, 1, self->at);
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	FEED(3, 1, self->at);
	usleep(20000);
	EXPECT_FILE(1, self->at, 100);
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, self->at + 100, self->s.len - self->at - 100));
}

/* The kernel holds pages of the file, and the window shows them. */
TEST_F(pin, of_the_file)
{
	char *map = map_shared(self->s.fd, page_size, LEN);

	ASSERT_TRUE(mapped(map));
	HOLD(map, PAGES, page_size);
	ASSERT_EQ(SAME, differs(self->map, 0, self->at, LEN));
	FEED(0, 1, page_size);
	gen_fill(self->map + page_size, 2, self->at + page_size, 64);
	FEED(1, 1, page_size);
	FEED(2, 1, page_size);
	ASSERT_EQ(SAME, differs_for_long(self->map + 2 * page_size, 1,
					 self->at + 2 * page_size,
					 page_size - variant->shift));
	FEED(3, 1, page_size);
	EXPECT_FILE(1, 3 * page_size, 2 * page_size);
	ASSERT_EQ(SAME, differs(map + 2 * page_size, 1, 3 * page_size, 2 * page_size));
	EXPECT_FILE(1, page_size, page_size);
}

/*
 * Two that hold pages the other one waits for, again and again: each stores
 * every second of these pieces.
 */
#define PIECE	128

struct storer {
	char *map;
	ssize_t len;
	int id;
	unsigned int gen;
	ssize_t at;
	bool failed;
};

static void *store_pieces(void *arg)
{
	struct storer *s = arg;
	int n = 0, max = s->len / (2 * PIECE);
	char *bytes = alloc(s->len);
	struct iovec *to = alloc(max * sizeof(*to)), from;
	ssize_t off;

	/* The pieces are counted from the same place of the file. */
	for (off = s->id * PIECE; off + PIECE <= s->len; off += 2 * PIECE) {
		to[n] = (struct iovec) { s->map + off, PIECE };
		gen_fill(bytes + n * PIECE, s->gen, s->at + off, PIECE);
		n++;
	}
	from = (struct iovec) { bytes, n * PIECE };
	s->failed = process_vm_writev(getpid(), &from, 1, to, n, 0) != n * PIECE;
	free(to);
	free(bytes);
	return NULL;
}

TEST_F(pin, two_that_wait_for_each_other)
{
	struct storer s[2] = {
		{ .map = self->map, .len = LEN, .at = self->at },
		{ .map = self->other, .len = LEN - FURTHER, .at = self->at + FURTHER, .id = 1 },
	};
	pthread_t threads[2];
	long end = now_ms() + stress_ms();
	unsigned int gen;
	ssize_t off;
	int i;

	for (gen = 1; now_ms() < end; gen++) {
		for (i = 0; i < 2; i++) {
			s[i].gen = gen;
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, store_pieces, &s[i]));
		}
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, pthread_join(threads[i], NULL));
			ASSERT_FALSE(s[i].failed);
		}
		for (i = 0; i < 2; i++) {
			for (off = i * PIECE; off + PIECE <= s[i].len; off += 2 * PIECE)
				EXPECT_FILE(gen, s[i].at + off, PIECE);
		}
	}
}

/* P8: what reads the pages of a private mapping reads what that shows, as long as it takes. */
#define HOLD_PRIVATE							\
	int fd = window(self->s.fd, self->at, 0), i;			\
	char *map = map_private(fd, 0, LEN);				\
									\
	ASSERT_TRUE(mapped(map));					\
	ASSERT_EQ(0, held_start(&self->h, map, PAGES, page_size, true))

#define EXPECT_OLD							\
	for (i = 0; i < PAGES; i++) {					\
		ASSERT_TRUE(held_feed(&self->h, i, 9, 0));		\
		ASSERT_EQ(SAME, differs(self->h.local + i * page_size, 0,	\
					self->at + i * page_size, page_size)); \
	}								\
	ASSERT_EQ(SAME, differs(map, 0, self->at, LEN))

TEST_F(pin, private_and_store_in_its_window)
{
	HOLD_PRIVATE;
	gen_fill(self->map, 1, self->at, LEN);
	EXPECT_OLD;
	ASSERT_EQ(SAME, differs(self->map, 1, self->at, LEN));
	EXPECT_FILE(1, self->at, LEN);
}

TEST_F(pin, private_and_store_in_another_window)
{
	HOLD_PRIVATE;
	gen_fill(self->other, 1, self->at + FURTHER, LEN - FURTHER);
	EXPECT_OLD;
	EXPECT_FILE(1, self->at + FURTHER, LEN - FURTHER);
}

TEST_F(pin, private_and_store_in_the_file)
{
	HOLD_PRIVATE;
	char *file = map_shared(self->s.fd, 0, self->s.len);

	ASSERT_TRUE(mapped(file));
	gen_fill(file, 1, 0, self->s.len);
	EXPECT_OLD;
	ASSERT_EQ(SAME, differs(self->map, 1, self->at, LEN));
}

TEST_F(pin, private_and_write)
{
	HOLD_PRIVATE;
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	EXPECT_OLD;
	ASSERT_EQ(SAME, differs(self->map, 1, self->at, LEN));
}

/*
 * Somebody stores to one half of each word while the kernel, by a page that was
 * taken back, has stored to the other one, and that is brought to the file.
 */
struct halves {
	uint32_t *half;		/* every second is his, beginning with the second */
	int words;
	bool stop, hold, held;
	unsigned int rounds, lost;
};

static void *store_halves(void *arg)
{
	struct halves *h = arg;
	int i;

	while (!__atomic_load_n(&h->stop, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&h->hold, __ATOMIC_ACQUIRE)) {
			__atomic_store_n(&h->held, true, __ATOMIC_RELEASE);
			sched_yield();
			continue;
		}
		__atomic_store_n(&h->held, false, __ATOMIC_RELEASE);
		for (i = 1; i < 2 * h->words; i += 2) {
			if (__atomic_load_n(&h->half[i], __ATOMIC_RELAXED) != h->rounds)
				h->lost++;
			__atomic_store_n(&h->half[i], h->rounds + 1, __ATOMIC_RELAXED);
		}
		__atomic_store_n(&h->rounds, h->rounds + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Whether he holds, or has stored for @rounds more. */
static bool has_held(struct halves *h, bool hold, unsigned int rounds)
{
	unsigned int start = __atomic_load_n(&h->rounds, __ATOMIC_ACQUIRE);
	long end = now_ms() + 60000;

	__atomic_store_n(&h->hold, hold, __ATOMIC_RELEASE);
	while (hold ? !__atomic_load_n(&h->held, __ATOMIC_ACQUIRE) :
		      __atomic_load_n(&h->rounds, __ATOMIC_ACQUIRE) - start < rounds) {
		if (now_ms() > end)
			return false;
		sched_yield();
	}
	return true;
}

TEST_F(pin, other_halves_of_words)
{
	struct halves h = { .words = page_size / 8 };
	uint32_t *page = (uint32_t *)anonymous(page_size), gen;
	long end = now_ms() + 2 * stress_ms();
	pthread_t thread;
	char *file, c;
	int i;

	file = map_shared(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(file));
	h.half = (uint32_t *)(file + self->at);
	memset(h.half, 0, page_size);
	ASSERT_EQ(0, pthread_create(&thread, NULL, store_halves, &h));
	for (gen = 1; gen <= 30 || now_ms() < end; gen++) {
		ASSERT_TRUE(has_held(&h, true, 0));
		ASSERT_EQ(page_size, pread(self->s.fd, page, page_size, self->at));
		HOLD(self->map, 1, page_size);
		/* It is taken back, and he may go on with the file's. */
		ASSERT_EQ(1, pread(self->s.fd, &c, 1, self->at));
		ASSERT_EQ(1, pread(self->s.fd, &c, 1, self->at + page_size - 1));
		ASSERT_TRUE(has_held(&h, false, 2));
		for (i = 0; i < 2 * h.words; i += 2)
			page[i] = gen;
		ASSERT_TRUE(held_feed_page(&self->h, 0, page));
		ASSERT_EQ(page_size, pread(self->s.fd, page, page_size, self->at));
		for (i = 0; i < 2 * h.words; i += 2)
			ASSERT_EQ(gen, page[i]);
		close(self->h.uffd);
		munmap(self->h.local, page_size);
	}
	__atomic_store_n(&h.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0U, h.lost) TH_LOG("%u turns", gen);
	munmap(page, page_size);
	munmap(file, self->s.len);
}

/* The store ends about when the page is taken back: who looks at the file after that finds it. */
static void *read_byte(void *arg)
{
	struct storer *s = arg;
	char c;

	s->failed = pread(s->id, &c, 1, s->at) != 1;
	return NULL;
}

TEST_F(pin, ends_while_it_is_taken_back)
{
	struct storer s = { .id = self->s.fd, .at = self->at };
	long end = now_ms() + stress_ms();
	unsigned int gen;
	pthread_t thread;

	for (gen = 1; now_ms() < end; gen++) {
		HOLD(self->map, 1, page_size);
		ASSERT_EQ(0, pthread_create(&thread, NULL, read_byte, &s));
		/* It is waited for so long, and not longer. */
		usleep(18000 + gen * 617 % 8000);
		FEED(0, gen, self->at);
		EXPECT_FILE(gen, self->at, page_size);
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_FALSE(s.failed);
		EXPECT_FILE(gen, self->at, page_size);
		close(self->h.uffd);
		munmap(self->h.local, page_size);
	}
}

/* What is late in one file is neither another one's nor lost when that is done with. */
TEST_F(pin, of_two_files)
{
	int i, fd, gen, last = PAGES - 1;
	struct held h;
	struct snap s;
	char *map;

	ASSERT_EQ(0, snap_create(&s, self->s.len));
	fd = window(s.fd, self->at, 0);
	ASSERT_LE(0, fd);
	map = map_shared(fd, 0, LEN);
	ASSERT_TRUE(mapped(map));
	close(fd);
	for (gen = 1; gen <= 3; gen++) {
		HOLD(self->map, PAGES, page_size);
		ASSERT_EQ(0, held_start(&h, map, PAGES, page_size, false));
		EXPECT_FILE(gen - 1, self->at, LEN);
		ASSERT_EQ(SAME, file_differs(s.fd, 2 * gen - 2, self->at, LEN));
		for (i = 0; i < last; i++)
			FEED(i, gen, self->at);
		for (i = 0; i < PAGES; i++) {
			ASSERT_TRUE(held_feed(&h, i, 2 * gen, self->at + i * page_size));
			ASSERT_EQ(SAME, file_differs(s.fd, 2 * gen, self->at,
						     (i + 1) * page_size));
		}
		EXPECT_FILE(gen, self->at, last * page_size);
		EXPECT_FILE(gen - 1, self->at + last * page_size, page_size);
		FEED(last, gen, self->at);
		EXPECT_FILE(gen, self->at, LEN);
		ASSERT_EQ(SAME, file_differs(s.fd, 2 * gen, self->at, LEN));
		close(self->h.uffd);
		munmap(self->h.local, LEN);
		close(h.uffd);
		munmap(h.local, LEN);
	}
	munmap(map, LEN);
	snap_destroy(&s);
}

/* The mapping and the file are gone before the store ends, then the mount. */
struct there {
	int fd;
	char *map;	/* where it has to be */
};

static int sleep_mapped(const struct there *t)
{
	char *map = map_shared(t->fd, 0, LEN);

	if (map != t->map && mapped(map))
		map = mremap(map, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, t->map);
	if (map != t->map)
		return 1;
	map[0] = 'c';
	pause();
	return 0;
}

/* A file in @dir, and a window of it, @win; its name is @path. -1 with errno. */
static int new_file(char path[DIR_MAX + 8], const char *dir, int *win)
{
	int fd;

	snprintf(path, DIR_MAX + 8, "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, 2 * LEN))
		return -1;
	*win = window(fd, 512, 0);
	return *win < 0 ? -1 : fd;
}

TEST(unmounted)
{
	char dir[DIR_MAX], path[DIR_MAX + 8], sysfs[64], c;
	struct there t = {};
	struct held h;
	struct stat st;
	int fd, err;
	pid_t pid;
	long end;

	if (snap_mount(dir, NULL))
		SKIP(return, "may not mount");
	fd = new_file(path, dir, &t.fd);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st));
	snprintf(sysfs, sizeof(sysfs), "/sys/fs/snapmapfs/%u:%u", major(st.st_dev),
		 minor(st.st_dev));
	ASSERT_EQ(0, access(sysfs, F_OK));
	t.map = reserve(LEN);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(sleep_mapped(&t));
	}
	ASSERT_LT(0, pid);
	do {
		ASSERT_EQ(0, waitpid(pid, NULL, WNOHANG));
		ASSERT_EQ(1, pread(fd, &c, 1, 512));
		usleep(1000);
	} while (c != 'c');
	err = held_start_in(&h, pid, t.map, 2, page_size, false);
	ASSERT_EQ(0, err);
	/* It is taken away from who stores. */
	ASSERT_EQ(1, pread(fd, &c, 1, 512));
	kill(pid, SIGKILL);
	reap(pid);
	close(t.fd);
	close(fd);
	ASSERT_EQ(0, unlink(path));
	/* The kernel keeps the memory of the process as long as it stores there. */
	ASSERT_EQ(0, umount2(dir, MNT_DETACH));
	ASSERT_EQ(0, access(sysfs, F_OK));
	ASSERT_TRUE(held_feed(&h, 0, 1, 0));
	ASSERT_TRUE(held_feed(&h, 1, 1, page_size));
	/* Then nothing uses the mount any more. */
	end = now_ms() + 10000 * slow();
	while (!access(sysfs, F_OK) && now_ms() < end)
		usleep(1000);
	ASSERT_EQ(-1, access(sysfs, F_OK));
	ASSERT_EQ(ENOENT, errno);
	rmdir(dir);
}

/* A pipe has a page that was taken back, and goes on having it. */
TEST(unmounted_while_it_waits)
{
	char dir[DIR_MAX], path[DIR_MAX + 8], *map, c;
	struct iovec iov;
	int fd, win, p[2];

	if (snap_mount(dir, NULL))
		SKIP(return, "may not mount");
	fd = new_file(path, dir, &win);
	ASSERT_LE(0, fd);
	map = map_shared(win, 0, LEN);
	ASSERT_TRUE(mapped(map));
	map[0] = 'c';
	ASSERT_EQ(0, pipe(p));
	iov = (struct iovec) { map, page_size };
	ASSERT_EQ(page_size, vmsplice(p[1], &iov, 1, 0));
	ASSERT_EQ(1, pread(fd, &c, 1, 512));
	ASSERT_EQ('c', c);
	ASSERT_EQ(0, munmap(map, LEN));
	close(win);
	close(fd);
	ASSERT_EQ(0, unlink(path));
	ASSERT_EQ(0, umount(dir));
	ASSERT_EQ(1, read(p[0], &c, 1));
	ASSERT_EQ('c', c);
	close(p[0]);
	close(p[1]);
	rmdir(dir);
}

TEST_HARNESS_MAIN
