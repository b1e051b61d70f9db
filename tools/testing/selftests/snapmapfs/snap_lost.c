// SPDX-License-Identifier: GPL-2.0
/*
 * P9 and R1 where a part of a mapping was unmapped, so that nothing is kept of
 * it, and comes back with a growing mremap: it takes a new instant when it is
 * first touched, and that is final.
 */
#include "snap.h"

#define PAGES 16

FIXTURE(lost)
{
	struct snap s;
};

FIXTURE_SETUP(lost)
{
	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->s.map = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->s.map));
}

FIXTURE_TEARDOWN(lost)
{
	snap_destroy(&self->s);
}

#define PAGE(n) (self->s.map + (n) * page_size)

static ssize_t write_page(struct snap *s, unsigned int gen, int page)
{
	return write_gen(s->fd, gen, page * page_size, page_size);
}

/* Unmaps pages [from, to), then grows the part before them over two of them. */
static void lose(struct __test_metadata *_metadata, struct snap *s, int from,
		 int to)
{
	ASSERT_EQ(0, munmap(s->map + from * page_size,
			    (to - from) * page_size));
}

static void grow(struct __test_metadata *_metadata, struct snap *s, int from)
{
	ASSERT_EQ(s->map, mremap(s->map, from * page_size,
				 (from + 2) * page_size, 0));
}

/* Another part is unmapped in between, so that all is looked at once more. */
TEST_F(lost, stays_lost)
{
	ASSERT_EQ(page_size, write_page(&self->s, 1, 15));
	lose(_metadata, &self->s, 4, 8);
	ASSERT_EQ(page_size, write_page(&self->s, 1, 5));
	grow(_metadata, &self->s, 4);
	ASSERT_EQ(0, munmap(PAGE(12), page_size));
	ASSERT_EQ(SAME, differs(PAGE(5), 1, 5 * page_size, page_size));
	ASSERT_EQ(page_size, write_page(&self->s, 2, 5));
	ASSERT_EQ(SAME, differs(PAGE(5), 1, 5 * page_size, page_size));
	ASSERT_EQ(0, madvise(PAGE(5), page_size, MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(PAGE(5), 1, 5 * page_size, page_size));
	ASSERT_EQ(SAME, differs(PAGE(0), 0, 0, 4 * page_size));
}

/* What was kept for a later mapping is not what this one shows. */
TEST_F(lost, not_what_others_kept)
{
	char *later;

	ASSERT_EQ(page_size, write_page(&self->s, 1, 15));
	lose(_metadata, &self->s, 4, 8);
	ASSERT_EQ(0, ftruncate(self->s.fd, 4 * page_size));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	later = map_private(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(later));
	ASSERT_EQ(page_size, write_page(&self->s, 1, 5));
	grow(_metadata, &self->s, 4);
	ASSERT_EQ(SAME, differs(PAGE(5), 1, 5 * page_size, page_size));
	ASSERT_EQ(SAME, not_zero(later + 5 * page_size, page_size));
	ASSERT_EQ(0, munmap(later, self->s.len));
	ASSERT_EQ(page_size, write_page(&self->s, 2, 5));
	ASSERT_EQ(0, madvise(PAGE(5), page_size, MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(PAGE(5), 1, 5 * page_size, page_size));
}

TEST_F(lost, a_hole_is_kept_too)
{
	ASSERT_EQ(page_size, write_page(&self->s, 1, 15));
	lose(_metadata, &self->s, 4, 8);
	ASSERT_EQ(0, ftruncate(self->s.fd, 4 * page_size));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	grow(_metadata, &self->s, 4);
	ASSERT_EQ(SAME, not_zero(PAGE(5), page_size));
	ASSERT_EQ(page_size, write_page(&self->s, 1, 5));
	ASSERT_EQ(SAME, not_zero(PAGE(5), page_size));
	ASSERT_EQ(0, madvise(PAGE(5), page_size, MADV_DONTNEED));
	ASSERT_EQ(SAME, not_zero(PAGE(5), page_size));
}

/* R1: what was kept on first touch goes with its part, not with the mapping. */
TEST_F(lost, touched_pages_go)
{
	long used;

	ASSERT_EQ(page_size, write_page(&self->s, 1, 15));
	lose(_metadata, &self->s, 4, 16);
	used = pages_used(snap_dir());
	grow(_metadata, &self->s, 4);
	ASSERT_EQ(SAME, touch(PAGE(4), 2 * page_size));
	ASSERT_EQ(used + 2, pages_used(snap_dir()));
	ASSERT_EQ(self->s.map, mremap(self->s.map, 6 * page_size,
				      4 * page_size, 0));
	ASSERT_EQ(used, pages_used(snap_dir()));
}

static void *unmap_and_exit(void *arg)
{
	struct snap *s = arg;
	long end = now_ms() + stress_ms();

	while (now_ms() < end) {
		pid_t pid = fork();

		if (!pid) {
			munmap(s->map + page_size, page_size);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	return NULL;
}

/* L3: a writer gets on while others unmap parts without end. */
TEST_F(lost, writer_gets_on)
{
	pthread_t thread[2];
	long i, end;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, unmap_and_exit,
					    &self->s));
	end = now_ms() + stress_ms();
	for (i = 0; now_ms() < end; i++) {
		char *map = map_private(self->s.fd, 0, self->s.len);

		ASSERT_TRUE(mapped(map));
		ASSERT_EQ(page_size, write_page(&self->s, i, 3));
		ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
		ASSERT_EQ(0, munmap(map, self->s.len));
	}
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/*
 * P1: two who change the file find out at once what the mappings have lost, of
 * which there are many, every other page being unmapped.
 */
#define MANY	512

struct changer {
	struct snap *s;
	pthread_barrier_t *start;
	int page;
	char *shared;		/* or NULL, to change it with write() */
	bool failed;
};

static void *change_page(void *arg)
{
	struct changer *c = arg;

	pthread_barrier_wait(c->start);
	if (c->shared)
		gen_fill(c->shared + c->page * page_size, 1,
			 c->page * page_size, page_size);
	else if (write_gen(c->s->fd, 1, c->page * page_size, page_size) !=
		 page_size)
		c->failed = true;
	return NULL;
}

TEST(found_out_by_two_at_once)
{
	long rounds = 0, end = now_ms() + stress_ms();
	pthread_barrier_t start;
	pthread_t thread[2];
	struct snap s;
	int i;

	ASSERT_EQ(0, pthread_barrier_init(&start, NULL, 2));
	for (; now_ms() < end; rounds++) {
		struct changer changer[2];
		char *shared;

		ASSERT_EQ(0, snap_create(&s, MANY * page_size));
		shared = map_shared(s.fd, 0, s.len);
		ASSERT_TRUE(mapped(shared));
		ASSERT_EQ(SAME, touch(shared, s.len));
		s.map = map_private(s.fd, 0, s.len);
		ASSERT_TRUE(mapped(s.map));
		for (i = 1; i < MANY; i += 2)
			ASSERT_EQ(0, munmap(s.map + i * page_size, page_size));
		for (i = 0; i < 2; i++) {
			changer[i] = (struct changer) {
				.s = &s,
				.start = &start,
				.page = 2 * i,
				.shared = i ? shared : NULL,
			};
			ASSERT_EQ(0, pthread_create(&thread[i], NULL,
						    change_page, &changer[i]));
		}
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, pthread_join(thread[i], NULL));
			ASSERT_FALSE(changer[i].failed);
		}
		ASSERT_EQ(s.len, write_gen(s.fd, 1, 0, s.len));
		for (i = 0; i < MANY; i += 2)
			ASSERT_EQ(SAME, differs(s.map + i * page_size, 0,
						i * page_size, page_size));
		ASSERT_EQ(0, munmap(s.map, s.len));
		ASSERT_EQ(0, munmap(shared, s.len));
		snap_destroy(&s);
	}
	TH_LOG("%ld rounds", rounds);
}

static long mem_free_kb(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kb = -1;

	while (f && kb < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "MemFree: %ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

static void write_all(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0)
			perror(path);
		close(fd);
	}
}

/* Pages that were moved in memory are still freed with their file. */
TEST(moved_pages_are_freed)
{
	const ssize_t len = 8 << 20;
	char *buf = calloc(1, len), *map;
	long before, after;
	struct snap s;
	int i;

	ASSERT_NE(NULL, buf);
	before = mem_free_kb();
	for (i = 0; i < 16; i++) {
		ASSERT_EQ(0, snap_create(&s, 0));
		ASSERT_EQ(len, write(s.fd, buf, len));
		map = map_private(s.fd, 0, len);
		ASSERT_TRUE(mapped(map));
		ASSERT_EQ(len, pwrite(s.fd, buf, len, 0));
		/* Holes in physical memory for the others to be moved to. */
		ASSERT_EQ(0, munmap(map, len));
		write_all("/proc/sys/vm/compact_memory", "1");
		snap_destroy(&s);
	}
	after = mem_free_kb();
	TH_LOG("MemFree %ld kB before, %ld kB after", before, after);
	/* All that was written is 128 MiB. MemFree goes up and down by 30. */
	ASSERT_LT(before - after, 64 << 10);
	free(buf);
}

TEST_HARNESS_MAIN
