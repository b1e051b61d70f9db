// SPDX-License-Identifier: GPL-2.0
/*
 * P8: what is done to a mapping after it was made does not change its instant:
 * fork, split, mprotect, mremap, mlock, and the ways to look into it from
 * elsewhere.
 */
#include "snap.h"

#include <sys/ptrace.h>

#define PAGES 8

FIXTURE(life)
{
	struct snap s;
};

FIXTURE_VARIANT(life)
{
	bool touch;
};

FIXTURE_VARIANT_ADD(life, touched)
{
	.touch = true,
};

FIXTURE_VARIANT_ADD(life, untouched)
{
	.touch = false,
};

FIXTURE_SETUP(life)
{
	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->s.map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE, self->s.fd, 0);
	ASSERT_TRUE(mapped(self->s.map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(self->s.map, self->s.len));
}

FIXTURE_TEARDOWN(life)
{
	snap_destroy(&self->s);
}

static ssize_t rewrite(struct snap *s, unsigned int gen)
{
	return write_gen(s->fd, gen, 0, s->len);
}

/* Generation 0 in [@from, @to), counted in pages. */
static ssize_t pages_differ(const struct snap *s, int from, int to)
{
	return differs(s->map + from * page_size, 0, from * page_size,
		       (to - from) * page_size);
}

static int see_0(void *arg)
{
	return pages_differ(arg, 0, PAGES) != SAME;
}

TEST_F(life, child_after_fork)
{
	struct child c;

	ASSERT_EQ(0, child_start(&c, see_0, &self->s));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, child_finish(&c));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

TEST_F(life, child_forked_after_the_change)
{
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, run_child(see_0, &self->s));
}

TEST_F(life, child_after_the_parent_unmapped)
{
	struct child c;

	ASSERT_EQ(0, child_start(&c, see_0, &self->s));
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, child_finish(&c));
}

TEST_F(life, parent_after_the_child_died)
{
	ASSERT_EQ(0, run_child(see_0, &self->s));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

/* The child forks again before anything has changed, and dies first. */
static int grandchild(void *arg)
{
	struct snap *s = arg;
	struct child c;

	if (child_start(&c, see_0, s))
		return 10;
	if (rewrite(s, 1) != s->len || see_0(s))
		return 11;
	munmap(s->map, s->len);
	return child_finish(&c);
}

TEST_F(life, grandchild)
{
	ASSERT_EQ(0, run_child(grandchild, &self->s));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

static int store_and_see(void *arg)
{
	struct snap *s = arg;

	gen_fill(s->map, 7, 0, page_size);
	return differs(s->map, 7, 0, page_size) != SAME ||
	       pages_differ(s, 1, PAGES) != SAME;
}

TEST_F(life, stores_of_a_child)
{
	struct child c;

	ASSERT_EQ(0, child_start(&c, store_and_see, &self->s));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, child_finish(&c));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, self->s.len));
}

/* A child's own mapping is later than the one it inherited. */
static int map_again(void *arg)
{
	struct snap *s = arg;
	char *map = map_private(s->fd, 0, s->len);

	if (write_gen(s->fd, 2, 0, s->len) != s->len)
		return 10;
	return differs(map, 1, 0, s->len) != SAME || see_0(s);
}

TEST_F(life, child_maps_again)
{
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, run_child(map_again, &self->s));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

TEST_F(life, middle_unmapped)
{
	ASSERT_EQ(0, munmap(self->s.map + 3 * page_size, 2 * page_size));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, 3));
	ASSERT_EQ(SAME, pages_differ(&self->s, 5, PAGES));
}

TEST_F(life, middle_unmapped_after_the_change)
{
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, munmap(self->s.map + 3 * page_size, 2 * page_size));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, 3));
	ASSERT_EQ(SAME, pages_differ(&self->s, 5, PAGES));
}

TEST_F(life, all_but_one_page_unmapped)
{
	ASSERT_EQ(0, munmap(self->s.map, 4 * page_size));
	ASSERT_EQ(0, munmap(self->s.map + 5 * page_size, 3 * page_size));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(SAME, pages_differ(&self->s, 4, 5));
}

TEST_F(life, half_protected)
{
	ASSERT_EQ(0, mprotect(self->s.map, 4 * page_size, PROT_READ));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
	/* Back in one piece. */
	ASSERT_EQ(0, mprotect(self->s.map, 4 * page_size,
			      PROT_READ | PROT_WRITE));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

TEST_F(life, hidden_while_the_file_changed)
{
	ASSERT_EQ(0, mprotect(self->s.map, self->s.len, PROT_NONE));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, mprotect(self->s.map, self->s.len, PROT_READ));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

/* Made without any access, as ld.so reserves room for a library. */
TEST_F(life, mapped_with_prot_none)
{
	char *map = mmap(NULL, self->s.len, PROT_NONE, MAP_PRIVATE, self->s.fd,
			 0);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, mprotect(map, self->s.len, PROT_READ));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
}

TEST_F(life, moved)
{
	char *to = reserve(self->s.len);

	to = mremap(self->s.map, self->s.len, self->s.len,
		    MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ASSERT_TRUE(mapped(to));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, differs(to, 0, 0, self->s.len));
}

TEST_F(life, moved_after_the_change)
{
	char *to = reserve(self->s.len);

	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	to = mremap(self->s.map, self->s.len, self->s.len,
		    MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ASSERT_TRUE(mapped(to));
	ASSERT_EQ(SAME, differs(to, 0, 0, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, differs(to, 0, 0, self->s.len));
}

TEST_F(life, part_moved)
{
	char *to = reserve(2 * page_size);

	to = mremap(self->s.map + 2 * page_size, 2 * page_size, 2 * page_size,
		    MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ASSERT_TRUE(mapped(to));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, differs(to, 0, 2 * page_size, 2 * page_size));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, 2));
	ASSERT_EQ(SAME, pages_differ(&self->s, 4, PAGES));
}

TEST_F(life, shrunk_in_place)
{
	ASSERT_TRUE(mapped(mremap(self->s.map, self->s.len, 3 * page_size, 0)));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, 3));
}

TEST_F(life, shrunk_and_moved)
{
	char *to = reserve(3 * page_size);

	to = mremap(self->s.map, self->s.len, 3 * page_size,
		    MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ASSERT_TRUE(mapped(to));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, differs(to, 0, 0, 3 * page_size));
}

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* The pages move away; what is left behind refaults the same bytes. */
TEST_F(life, moved_and_left_mapped)
{
	char *to;

	to = mremap(self->s.map, self->s.len, self->s.len,
		    MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ASSERT_TRUE(mapped(to));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, differs(to, 0, 0, self->s.len));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
	ASSERT_EQ(0, munmap(to, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

TEST_F(life, moved_and_left_mapped_after_the_change)
{
	char *to;

	self->s.map[0] = gen_byte(0, 0);	/* one page is the mapping's */
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	to = mremap(self->s.map, self->s.len, self->s.len,
		    MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ASSERT_TRUE(mapped(to));
	ASSERT_EQ(SAME, differs(to, 0, 0, self->s.len));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

TEST_F(life, locked)
{
	ASSERT_EQ(0, mlock(self->s.map, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
	ASSERT_EQ(0, munlock(self->s.map, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 2));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

/* A page of a read-only mapping is locked without being copied. */
TEST_F(life, locked_read_only)
{
	char *map = map_private(self->s.fd, 0, self->s.len);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, mlock(map, self->s.len));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_EQ(0, munlock(map, self->s.len));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
}

TEST_F(life, locked_after_the_change)
{
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, mlock(self->s.map, self->s.len));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

TEST_F(life, populated)
{
	char *map = mmap(NULL, self->s.len, PROT_READ,
			 MAP_PRIVATE | MAP_POPULATE, self->s.fd, 0);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
}

TEST_F(life, populated_writable)
{
	char *map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_POPULATE, self->s.fd, 0);

	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_EQ(0, madvise(map, self->s.len, MADV_DONTNEED));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
}

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

TEST_F(life, populated_after_the_change)
{
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, madvise(self->s.map, 4 * page_size, MADV_POPULATE_READ));
	ASSERT_EQ(0, madvise(self->s.map + 4 * page_size, 4 * page_size,
			     MADV_POPULATE_WRITE));
	ASSERT_EQ(SAME, pages_differ(&self->s, 0, PAGES));
}

TEST_F(life, read_by_process_vm_readv)
{
	char *buf = alloc(self->s.len);
	struct iovec local = { buf, self->s.len };
	struct iovec remote = { self->s.map, self->s.len };

	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(self->s.len,
		  process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	ASSERT_EQ(SAME, differs(buf, 0, 0, self->s.len));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(self->s.len,
		  process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	ASSERT_EQ(SAME, differs(buf, 0, 0, self->s.len));
}

TEST_F(life, read_by_proc_mem)
{
	int fd = open("/proc/self/mem", O_RDONLY);
	char *buf = alloc(self->s.len);

	ASSERT_LE(0, fd);
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(self->s.len, pread(fd, buf, self->s.len,
				     (uintptr_t)self->s.map));
	ASSERT_EQ(SAME, differs(buf, 0, 0, self->s.len));
}

TEST_F(life, read_by_ptrace)
{
	struct child c;
	ssize_t off;
	long word;

	ASSERT_EQ(0, child_start(&c, see_0, &self->s));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, c.pid, NULL, NULL));
	ASSERT_EQ(c.pid, waitpid(c.pid, NULL, 0));
	for (off = 0; off < self->s.len; off += page_size) {
		errno = 0;
		word = ptrace(PTRACE_PEEKDATA, c.pid, self->s.map + off, NULL);
		ASSERT_EQ(0, errno);
		ASSERT_EQ(SAME, differs(&word, 0, off, sizeof(word)));
	}
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, c.pid, NULL, NULL));
	ASSERT_EQ(0, child_finish(&c));
}

/* A debugger's breakpoint goes into a copy, even where we may not store. */
TEST_F(life, written_by_ptrace)
{
	char *map = map_private(self->s.fd, 0, self->s.len);
	struct child c;
	long word;

	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, self->s.len));
	ASSERT_EQ(0, child_start(&c, see_0, &self->s));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, c.pid, NULL, NULL));
	ASSERT_EQ(c.pid, waitpid(c.pid, NULL, 0));
	ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, c.pid, map + page_size, 0x5a5aL));
	ASSERT_EQ(0, ftruncate(self->s.fd, 2 * page_size));
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, c.pid, map + page_size, NULL);
	ASSERT_EQ(0, errno);
	ASSERT_EQ(0x5a5aL, word);
	word = ptrace(PTRACE_PEEKDATA, c.pid,
		      map + page_size + sizeof(word), NULL);
	ASSERT_EQ(SAME, differs(&word, 0, page_size + sizeof(word),
				sizeof(word)));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, c.pid, NULL, NULL));
	ASSERT_EQ(0, child_finish(&c));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 1, 0, 2 * page_size));
}

/* The mapping as the source of system calls. */
TEST_F(life, written_to_a_pipe)
{
	char *buf = alloc(self->s.len);
	ssize_t off;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(self->s.len, rewrite(&self->s, 1));
	for (off = 0; off < self->s.len; off += page_size) {
		ASSERT_EQ(page_size, write(p[1], self->s.map + off, page_size));
		ASSERT_EQ(page_size, read(p[0], buf + off, page_size));
	}
	ASSERT_EQ(SAME, differs(buf, 0, 0, self->s.len));
}

TEST_HARNESS_MAIN
