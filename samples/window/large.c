// SPDX-License-Identifier: GPL-2.0
/*
 * large [FILE]: map pieces of a sparse file of 40 TiB, most of which a 32-bit
 * program cannot name to mmap(). Prints what it sees; the exit status is 0 if that
 * is what it should be.
 */
#define _FILE_OFFSET_BITS 64
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../include/uapi/linux/snapmapfs.h"

#define TIB	((off_t)1 << 40)
#define PAGE	4096
#define LEN	(2 * PAGE)

/* Two pages from each of these places on are mapped. */
static const struct {
	off_t at;
	const char *what;
} places[] = {
	{ 1 * TIB, "1 TiB" },
	{ 8 * TIB - PAGE, "8 TiB, less a page" },
	{ 16 * TIB - PAGE, "16 TiB, less a page" },
	{ 16 * TIB, "16 TiB" },
	{ 16 * TIB + 512, "16 TiB and a block" },
	{ 39 * TIB + 1024, "39 TiB and two blocks" },
	{ 40 * TIB - LEN, "40 TiB, less two pages" },
};

#define PLACES	(sizeof(places) / sizeof(*places))

static int fd;
static int failed;

/* What mmap() of the file itself says to this place. */
static const char *mapped_directly(off_t at)
{
	void *map = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, fd, at);

	if (map == MAP_FAILED)
		return at % PAGE ? "no: not a page" : "no: too far";
	munmap(map, LEN);
	return "yes";
}

/* The file from @at on, through a window. */
static char *map_window(off_t at, int flags)
{
	struct snapmapfs_window w = { .offset = at, .length = LEN };
	int win = ioctl(fd, SNAPMAPFS_IOC_OPEN_WINDOW, &w);
	char *map;

	if (win < 0)
		err(2, "window");
	map = mmap(NULL, LEN, PROT_READ | (flags & MAP_SHARED ? PROT_WRITE : 0), flags, win, 0);
	if (map == MAP_FAILED)
		err(2, "mmap");
	close(win);
	return map;
}

static const char *is(const char *map, const char *text)
{
	if (!strcmp(map, text))
		return text;
	failed = 1;
	return "something else";
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/mnt/snap/large";
	struct stat st;
	unsigned int i;
	off_t size;

	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, 40 * TIB))
		err(2, "%s", path);
	size = lseek(fd, 0, SEEK_END);
	printf("A program of %zu bits, and a file of %d TiB.\n\n", sizeof(long) * 8,
	       (int)(size / TIB));
	printf("%-24s  %-14s  %-10s  %s\n", "two pages at", "mmap() of it", "a snapshot",
	       "the file");
	printf("%-24s  %-14s  %-10s  %s\n", "------------------------", "--------------",
	       "----------", "----------");
	for (i = 0; i < PLACES; i++) {
		off_t at = places[i].at;
		char *shared, *snapshot;

		shared = map_window(at, MAP_SHARED);
		memcpy(shared + PAGE - 5, "was here", 8);
		snapshot = map_window(at, MAP_PRIVATE);
		if (pwrite(fd, "is here", 8, at + PAGE - 5) != 8)
			err(2, "pwrite");
		printf("%-24s  %-14s  %-10s  %s\n", places[i].what, mapped_directly(at),
		       is(snapshot + PAGE - 5, "was here"), is(shared + PAGE - 5, "is here"));
		munmap(shared, LEN);
		munmap(snapshot, LEN);
	}
	if (fstat(fd, &st))
		err(2, "fstat");
	printf("\nThe file has %d pages of memory.\n", (int)(st.st_blocks * 512 / PAGE));
	unlink(path);
	return failed;
}
