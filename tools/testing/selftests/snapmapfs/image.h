/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A directory tree as a text: what stat(), readlink(), the extended attributes
 * and the bytes of the files say of it, without times. Two trees that look the
 * same to a program have the same text. Holes and zeros are the same.
 */
#ifndef SNAPMAPFS_SELFTESTS_IMAGE_H
#define SNAPMAPFS_SELFTESTS_IMAGE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "kselftest.h"

struct image {
	size_t len;
	char text[32768];
};

static inline __printf(2, 3) void image_add(struct image *image, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	image->len += vsnprintf(image->text + image->len,
				sizeof(image->text) - image->len, format, args);
	va_end(args);
	if (image->len >= sizeof(image->text))
		image->len = sizeof(image->text) - 1;
}

/* FNV-1a */
static inline uint64_t image_hash(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len--)
		hash = (hash ^ *p++) * 0x100000001b3;
	return hash;
}

static inline void image_xattrs(struct image *image, const char *path)
{
	static char names[65536], value[65536];
	ssize_t all = llistxattr(path, names, sizeof(names));
	const char *name;

	for (name = names; name < names + all; name += strlen(name) + 1) {
		ssize_t len = lgetxattr(path, name, value, sizeof(value));

		image_add(image, " %s=%zd:%llx", name, len,
			  (unsigned long long)image_hash(0, value, len > 0 ? len : 0));
	}
}

static inline void image_data(struct image *image, const char *path)
{
	static unsigned char page[4096], zeros[sizeof(page)];
	int fd = open(path, O_RDONLY | O_NOATIME | O_NONBLOCK);
	uint64_t hash = 0xcbf29ce484222325;
	off_t pos = 0;

	if (fd < 0) {
		image_add(image, " open: %s", strerror(errno));
		return;
	}
	while ((pos = lseek(fd, pos, SEEK_DATA)) >= 0) {
		ssize_t n;

		pos -= pos % sizeof(page);
		n = pread(fd, page, sizeof(page), pos);
		if (n <= 0)
			break;
		if (memcmp(page, zeros, n)) {
			hash = image_hash(hash, &pos, sizeof(pos));
			hash = image_hash(hash, page, n);
		}
		if (pos > INT64_MAX - (off_t)sizeof(page))
			break;
		pos += sizeof(page);
	}
	image_add(image, " data %llx", (unsigned long long)hash);
	close(fd);
}

static inline void image_walk(struct image *image, const char *path, int depth)
{
	char target[PATH_MAX] = "";
	struct dirent **names;
	struct stat st;
	int i, n;

	if (lstat(path, &st)) {
		image_add(image, "%s: %s\n", path, strerror(errno));
		return;
	}
	image_add(image, "%s %o nlink %lu %u:%u size %lld", path, st.st_mode,
		  (unsigned long)st.st_nlink, st.st_uid, st.st_gid,
		  (long long)st.st_size);
	image_xattrs(image, path);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof(target) - 1);
		image_add(image, " -> %llx", (unsigned long long)
			  image_hash(0, target, n > 0 ? n : 0));
	} else if (S_ISREG(st.st_mode)) {
		image_data(image, path);
	}
	image_add(image, "\n");
	if (!S_ISDIR(st.st_mode) || depth > 8)
		return;
	n = scandir(path, &names, NULL, alphasort);
	for (i = 0; i < n; i++) {
		const char *name = names[i]->d_name;

		if (strcmp(name, ".") && strcmp(name, "..")) {
			snprintf(target, sizeof(target), "%s/%s", path, name);
			image_walk(image, target, depth + 1);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

/* The tree below @dir, and how many inodes the filesystem still has. */
static inline void image_take(struct image *image, const char *dir)
{
	struct statfs st;

	image->len = 0;
	image_walk(image, dir, 0);
	if (!statfs(dir, &st))
		image_add(image, "inodes free %llu\n", (unsigned long long)st.f_ffree);
}

static inline int image_same(const struct image *a, const struct image *b)
{
	return a->len == b->len && !memcmp(a->text, b->text, a->len);
}

/* The first line that differs: what @b has instead. */
static inline char *image_differs(const struct image *a, const struct image *b)
{
	static char line[400];
	size_t i = 0, start = 0;

	while (i < a->len && a->text[i] == b->text[i])
		if (b->text[i++] == '\n')
			start = i;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(b->text + start, "\n"),
		 b->text + start);
	return line;
}

#endif
