// SPDX-License-Identifier: GPL-2.0
// vm: --append movablecore=256M
/*
 * Preserved pages cannot be migrated, so they must not lie where memory has to
 * be: in ZONE_MOVABLE, as in CMA, pages are what can be moved elsewhere.
 */
#include "win.h"

#define LEN	(16 * page_size)

struct zone {
	uint64_t start, end;	/* in pages */
	int pagemap;
};

FIXTURE(zone)
{
	struct snap s;
	struct zone movable;
};

/* Where the zone with pages that can be moved is, on the first node. */
static bool find_movable(struct zone *zone)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	unsigned long spanned = 0, pfn = 0;
	bool there = false;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Node", 4)) {
			if (there)
				break;
			there = strstr(line, "Movable");
		}
		if (there && sscanf(line, " spanned %lu", &spanned) != 1 &&
		    sscanf(line, " start_pfn: %lu", &pfn) == 1)
			break;
	}
	if (f)
		fclose(f);
	zone->start = pfn;
	zone->end = pfn + spanned;
	return pfn && spanned;
}

FIXTURE_SETUP(zone)
{
	if (!find_movable(&self->movable))
		SKIP(return, "there is no such zone");
	self->movable.pagemap = open("/proc/self/pagemap", O_RDONLY);
	ASSERT_LE(0, self->movable.pagemap);
	ASSERT_EQ(0, snap_create(&self->s, LEN));
}

FIXTURE_TEARDOWN(zone)
{
	snap_destroy(&self->s);
	close(self->movable.pagemap);
}

/* How many of the pages at @map lie in @zone, -1 if that cannot be told. */
static int pages_in(const struct zone *zone, const char *map, ssize_t len)
{
	uint64_t entry, pfn;
	int found = 0;
	ssize_t i;

	for (i = 0; i < len; i += page_size) {
		if (pread(zone->pagemap, &entry, sizeof(entry),
			  ((uintptr_t)map + i) / page_size * sizeof(entry)) != sizeof(entry))
			return -1;
		pfn = entry & ((1ULL << 55) - 1);
		if (!(entry >> 63) || !pfn)
			return -1;
		found += pfn >= zone->start && pfn < zone->end;
	}
	return found;
}

/* The zone is there, and used for what can be moved. */
TEST_F(zone, anonymous)
{
	char *map = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	ASSERT_TRUE(mapped(map));
	ASSERT_LT(0, pages_in(&self->movable, map, LEN));
}

/* Maps the file or window @desc, which begins at @at, and changes the file. */
#define PRESERVE(desc, at, len) ({						\
	char *__map = map_private(desc, 0, len);				\
										\
	ASSERT_TRUE(mapped(__map));						\
	ASSERT_EQ(SAME, differs(__map, 0, at, len));				\
	ASSERT_EQ(LEN, write_gen(self->s.fd, 1, 0, LEN));			\
	ASSERT_EQ(SAME, differs(__map, 0, at, len));				\
	__map;									\
})

TEST_F(zone, of_a_file)
{
	char *map = PRESERVE(self->s.fd, 0, LEN);

	ASSERT_EQ(0, pages_in(&self->movable, map, LEN));
}

/* What is kept is the window's own copy. */
TEST_F(zone, of_a_window)
{
	int win = window(self->s.fd, 512, 0);
	char *map;

	ASSERT_LE(0, win);
	map = PRESERVE(win, 512, LEN - page_size);
	ASSERT_EQ(0, pages_in(&self->movable, map, LEN - page_size));
}

TEST_HARNESS_MAIN
