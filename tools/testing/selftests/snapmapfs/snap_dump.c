// SPDX-License-Identifier: GPL-2.0
/* P8: a core dump shows the mapping as the process saw it, at T. */
#include "snap.h"

#include <elf.h>
#include <link.h>
#include <sys/resource.h>

#define PAGES	4
#define EHDR	ElfW(Ehdr)
#define PHDR	ElfW(Phdr)
#define PATTERN	"/proc/sys/kernel/core_pattern"

FIXTURE(dump)
{
	struct snap s;
	char pattern[256];	/* what it was before */
	char core[PATH_MAX];
};

FIXTURE_VARIANT(dump)
{
	bool touch;
};

FIXTURE_VARIANT_ADD(dump, touched)
{
	.touch = true,
};

FIXTURE_VARIANT_ADD(dump, untouched)
{
	.touch = false,
};

static ssize_t set_pattern(const char *pattern)
{
	int fd = open(PATTERN, O_WRONLY);
	ssize_t n = write(fd, pattern, strlen(pattern));

	close(fd);
	return n;
}

FIXTURE_SETUP(dump)
{
	int fd = open(PATTERN, O_RDONLY);
	char pattern[128];

	ASSERT_LT(0, read(fd, self->pattern, sizeof(self->pattern) - 1));
	close(fd);
	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->s.map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE, self->s.fd, 0);
	ASSERT_TRUE(mapped(self->s.map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
	snprintf(pattern, sizeof(pattern), "%.80s/core.%d", peer_dir(),
		 getpid());
	snprintf(self->core, sizeof(self->core), "%s", pattern);
	ASSERT_LT(0, set_pattern(pattern));
}

FIXTURE_TEARDOWN(dump)
{
	set_pattern(self->pattern);
	unlink(self->core);
	snap_destroy(&self->s);
}

/* Dies, leaving everything it has mapped in a core. */
static int die(void *arg)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = open("/proc/self/coredump_filter", O_WRONLY);

	(void)arg;
	if (write(fd, "0x7f", 4) != 4)
		return 1;
	setrlimit(RLIMIT_CORE, &unlimited);
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
	return 2;
}

/* Bytes of address @at of the core; how many there are. */
static ssize_t from_core(const char *core, const char *at, char *buf,
			 ssize_t len)
{
	int fd = open(core, O_RDONLY), i;
	ssize_t n = -1;
	EHDR eh;
	PHDR ph;

	if (fd < 0 || pread(fd, &eh, sizeof(eh), 0) != sizeof(eh))
		return -1;
	for (i = 0; i < eh.e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)) !=
		    sizeof(ph))
			break;
		if (ph.p_type == PT_LOAD && ph.p_vaddr == (uintptr_t)at)
			n = pread(fd, buf, ph.p_filesz < (size_t)len ?
				  (ssize_t)ph.p_filesz : len, ph.p_offset);
	}
	close(fd);
	return n;
}

static void check(struct __test_metadata *_metadata, const struct snap *s,
		  const char *core, struct child *c)
{
	char *buf = alloc(s->len);

	ASSERT_EQ(128 + SIGABRT, child_finish(c));
	ASSERT_EQ(s->len, from_core(core, s->map, buf, s->len));
	ASSERT_EQ(SAME, differs(buf, 0, 0, s->len));
}

TEST_F(dump, after_write)
{
	struct child c;

	ASSERT_EQ(0, child_start(&c, die, NULL));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	check(_metadata, &self->s, self->core, &c);
}

TEST_F(dump, after_truncate)
{
	struct child c;

	ASSERT_EQ(0, child_start(&c, die, NULL));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	check(_metadata, &self->s, self->core, &c);
}

TEST_F(dump, with_own_stores)
{
	struct child c;

	self->s.map[0] = gen_byte(0, 0);
	ASSERT_EQ(0, child_start(&c, die, NULL));
	ASSERT_EQ(0, ftruncate(self->s.fd, page_size));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 1, 0, page_size));
	check(_metadata, &self->s, self->core, &c);
}

TEST_HARNESS_MAIN
