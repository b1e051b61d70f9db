// SPDX-License-Identifier: GPL-2.0
/*
 * One file against a model in memory: random operations of every kind that
 * changes or reads it, each compared. What fsx.sh lacks is here: fallocate in
 * all modes, O_DIRECT, splice, stores through a mapping that stays, and
 * SEEK_DATA. A failure prints the seed and the last operations; run again with
 * FS_SEED=<seed>.
 */
#include "fs.h"

#include <sys/sendfile.h>

enum { MAX = 160 * 1024, HISTORY = 30 };

struct model {
	int fd;
	int direct;
	int pipe[2];
	off_t base;		/* where the file's used part begins */
	size_t size;		/* of the used part */
	unsigned char *want;	/* its bytes; zero past size */
	unsigned char *buf;
	unsigned char *map;	/* all of MAX, shared, for the whole run */
	bool no_zero_range;
	unsigned int seed;
	unsigned int align;
	char history[HISTORY][80];
	int done;
};

static size_t pick(struct model *m, size_t limit)
{
	return limit ? rand_r(&m->seed) % limit / m->align * m->align : 0;
}

/* Fills the buffer with bytes that are never zero. */
static void fresh(struct model *m, size_t len)
{
	unsigned int salt = rand_r(&m->seed);
	size_t i;

	for (i = 0; i < len; i++)
		m->buf[i] = 1 + (i * 7 + salt) % 255;
}

static void wrote(struct model *m, size_t at, size_t len)
{
	memcpy(m->want + at, m->buf, len);
	if (len && at + len > m->size)
		m->size = at + len;
}

/* One operation; NULL when it did what the model did, else what it was. */
static const char *operate(struct model *m)
{
	size_t at = pick(m, MAX), len = 1 + pick(m, 20000);
	off_t off, to;
	size_t avail, dst;
	int what = rand_r(&m->seed) % 16, mode;
	char *note = m->history[m->done++ % HISTORY];
	bool direct = rand_r(&m->seed) % 4 == 0;
	int fd = direct ? m->direct : m->fd;

	if (m->align > 1)
		len += m->align - 1;
	if (at + len > MAX)
		len = MAX - at;
	off = m->base + at;
	avail = at < m->size ? m->size - at : 0;
	if (avail > len)
		avail = len;
	snprintf(note, sizeof(m->history[0]), "op %d at %#zx len %#zx size %#zx%s",
		 what, at, len, m->size, direct ? " direct" : "");

	switch (what) {
	case 0:
	case 1:
		fresh(m, len);
		if (pwrite(fd, m->buf, len, off) != (ssize_t)len)
			return "pwrite";
		wrote(m, at, len);
		break;
	case 2:
	case 3:
		memset(m->buf, 0xee, len);
		if (pread(fd, m->buf, len, off) != (ssize_t)avail)
			return "pread";
		if (memcmp(m->buf, m->want + at, avail))
			return "data of pread";
		break;
	case 4:
		if (ftruncate(m->fd, off))
			return "ftruncate";
		if (at < m->size)
			memset(m->want + at, 0, m->size - at);
		m->size = at;
		break;
	case 5:
	case 6:
		mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		if (fallocate(m->fd, mode, off, len))
			return "punch hole";
		memset(m->want + at, 0, len);
		break;
	case 7:
		mode = rand_r(&m->seed) % 2 ? FALLOC_FL_KEEP_SIZE : 0;
		if (fallocate(m->fd, mode, off, len))
			return "fallocate";
		if (!mode && at + len > m->size)
			m->size = at + len;
		break;
	case 8:
		if (m->no_zero_range)
			break;
		mode = rand_r(&m->seed) % 2 ? FALLOC_FL_KEEP_SIZE : 0;
		if (fallocate(m->fd, FALLOC_FL_ZERO_RANGE | mode, off, len))
			return "zero range";
		memset(m->want + at, 0, len);
		if (!mode && at + len > m->size)
			m->size = at + len;
		break;
	case 9:
		dst = pick(m, MAX);
		if (dst + avail > MAX)
			avail = MAX - dst;
		if (!avail || (dst < at + avail && at < dst + avail))
			break;
		to = m->base + dst;
		if (copy_file_range(m->fd, &off, m->fd, &to, avail, 0) !=
		    (ssize_t)avail)
			return "copy_file_range";
		memcpy(m->buf, m->want + at, avail);
		wrote(m, dst, avail);
		break;
	case 10:
	case 11:
		/* Stores go no further than the end of the file. */
		if (!avail)
			break;
		fresh(m, avail);
		memcpy(m->map + at, m->buf, avail);
		wrote(m, at, avail);
		break;
	case 12:
	case 13:
		if (memcmp(m->map + at, m->want + at, avail))
			return "data of the mapping";
		break;
	case 14:
		if (len > 32768)
			len = 32768;
		fresh(m, len);
		if (write(m->pipe[1], m->buf, len) != (ssize_t)len)
			return "write to the pipe";
		for (dst = 0; dst < len;) {
			ssize_t n = splice(m->pipe[0], NULL, m->fd, &off,
					   len - dst, 0);

			if (n <= 0)
				return "splice";
			dst += n;
		}
		wrote(m, at, len);
		break;
	default:
		if (avail > 32768)
			avail = 32768;
		if (!avail)
			break;
		if (sendfile(m->pipe[1], m->fd, &off, avail) != (ssize_t)avail)
			return "sendfile";
		if (read(m->pipe[0], m->buf, avail) != (ssize_t)avail)
			return "read from the pipe";
		if (memcmp(m->buf, m->want + at, avail))
			return "data of sendfile";
		break;
	}
	return NULL;
}

/* The size, and that whatever is not zero counts as data. */
static const char *inspect(struct model *m)
{
	struct stat st;
	size_t at;

	if (fstat(m->fd, &st))
		return "fstat";
	if (st.st_size != m->base + (off_t)m->size)
		return "the size";
	at = pick(m, m->size);
	if (at < m->size && m->want[at] &&
	    lseek(m->fd, m->base + at, SEEK_DATA) != m->base + (off_t)at)
		return "SEEK_DATA";
	return NULL;
}

static const char *everything(struct model *m)
{
	if (pread(m->fd, m->buf, MAX, m->base) != (ssize_t)m->size)
		return "the final size";
	if (memcmp(m->buf, m->want, m->size))
		return "the final data";
	if (memcmp(m->map, m->want, m->size))
		return "the final data of the mapping";
	return NULL;
}

FIXTURE(model) {
	char dir[FS_PATH];
};

FIXTURE_VARIANT(model) {
	unsigned int align;
	off_t base;
	unsigned int seed;
};

FIXTURE_VARIANT_ADD(model, bytes) {
	.align = 1, .base = 0, .seed = 1,
};

FIXTURE_VARIANT_ADD(model, more_bytes) {
	.align = 1, .base = 0, .seed = 2,
};

FIXTURE_VARIANT_ADD(model, pages) {
	.align = 4096, .base = 0, .seed = 3,
};

FIXTURE_VARIANT_ADD(model, sectors) {
	.align = 512, .base = 0, .seed = 4,
};

FIXTURE_VARIANT_ADD(model, far_out) {
	.align = 1, .base = 1LL << 41, .seed = 5,
};

FIXTURE_SETUP(model)
{
	ASSERT_OK(fs_enter(self->dir));
}

FIXTURE_TEARDOWN_PARENT(model)
{
	EXPECT_OK(fs_remove(self->dir));
}

TEST_F(model, random_operations)
{
	const unsigned int seed = atoi(fs_env("FS_SEED", "0")) ?: variant->seed;
	struct model m = {
		.base = variant->base, .align = variant->align, .seed = seed,
	};
	const char *wrong = NULL;
	int i;

	ASSERT_LE(0, m.fd = open("f", O_RDWR | O_CREAT, 0644));
	ASSERT_LE(0, m.direct = open("f", O_RDWR | O_DIRECT));
	ASSERT_EQ(0, pipe(m.pipe));
	ASSERT_EQ(65536, fcntl(m.pipe[0], F_GETPIPE_SZ));
	m.want = calloc(1, MAX);
	m.buf = malloc(MAX);
	m.map = mmap(NULL, MAX, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd,
		     m.base);
	ASSERT_NE(MAP_FAILED, m.map);
	ASSERT_EQ(0, ftruncate(m.fd, m.base));
	if (fs_is_tmpfs())
		m.no_zero_range = fallocate(m.fd, FALLOC_FL_ZERO_RANGE |
					    FALLOC_FL_KEEP_SIZE, 0, 1) &&
				  errno == EOPNOTSUPP;

	for (i = 0; i < 10000 && !wrong; i++) {
		wrong = operate(&m);
		if (!wrong)
			wrong = inspect(&m);
	}
	if (!wrong)
		wrong = everything(&m);
	ASSERT_EQ(NULL, wrong) {
		TH_LOG("%s, errno %d, after %d operations, seed %u", wrong,
		       errno, i, seed);
		for (i = m.done > HISTORY ? m.done - HISTORY : 0; i < m.done; i++)
			TH_LOG("%d: %s", i, m.history[i % HISTORY]);
	}
}

TEST_HARNESS_MAIN
