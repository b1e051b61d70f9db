// SPDX-License-Identifier: GPL-2.0
/*
 * P4 for stores that go past the page tables: the kernel holds the page itself
 * and stores into it whenever it gets round to it. And the other way about,
 * what is read through pages that the kernel holds of a private mapping.
 */
#include "held.h"

#include <sys/ptrace.h>

#define PAGES 8

FIXTURE(pin)
{
	struct snap s;
	char *shared;
	char *bytes;	/* generation 1, page aligned */
};

FIXTURE_VARIANT(pin)
{
	bool touch;
};

FIXTURE_VARIANT_ADD(pin, touched)
{
	.touch = true,
};

FIXTURE_VARIANT_ADD(pin, untouched)
{
	.touch = false,
};

/* A private mapping, touched as the variant wants it. */
static char *map_now(struct snap *s, bool do_touch)
{
	char *map = map_private(s->fd, 0, s->len);

	return mapped(map) && do_touch && touch(map, s->len) != SAME ?
	       MAP_FAILED : map;
}

FIXTURE_SETUP(pin)
{
	ASSERT_EQ(0, snap_create(&self->s, PAGES * page_size));
	self->shared = map_shared(self->s.fd, 0, self->s.len);
	ASSERT_TRUE(mapped(self->shared));
	gen_fill(self->shared, 0, 0, self->s.len);
	self->s.map = map_now(&self->s, variant->touch);
	ASSERT_TRUE(mapped(self->s.map));
	self->bytes = anonymous(self->s.len);
	ASSERT_TRUE(mapped(self->bytes));
	gen_fill(self->bytes, 1, 0, self->s.len);
}

FIXTURE_TEARDOWN(pin)
{
	snap_destroy(&self->s);
}

static void check(struct __test_metadata *_metadata, const struct snap *s,
		  ssize_t off, ssize_t len)
{
	ASSERT_EQ(SAME, file_differs(s->fd, 1, off, len));
	ASSERT_EQ(SAME, differs(s->map, 0, 0, s->len));
}

TEST_F(pin, process_vm_writev)
{
	struct iovec local = { self->bytes, self->s.len };
	struct iovec remote = { self->shared, self->s.len };

	ASSERT_EQ(self->s.len,
		  process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	check(_metadata, &self->s, 0, self->s.len);
}

TEST_F(pin, proc_mem)
{
	int fd = open("/proc/self/mem", O_RDWR);

	ASSERT_LE(0, fd);
	ASSERT_EQ(self->s.len, pwrite(fd, self->bytes, self->s.len,
				      (uintptr_t)self->shared));
	check(_metadata, &self->s, 0, self->s.len);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

TEST_F(pin, ptrace)
{
	struct child c;
	long word;

	memcpy(&word, self->bytes + page_size, sizeof(word));
	ASSERT_EQ(0, child_start(&c, nothing, NULL));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, c.pid, NULL, NULL));
	ASSERT_EQ(c.pid, waitpid(c.pid, NULL, 0));
	ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, c.pid, self->shared + page_size,
			    word));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, c.pid, NULL, NULL));
	ASSERT_EQ(0, child_finish(&c));
	check(_metadata, &self->s, page_size, sizeof(word));
}

TEST_F(pin, vmsplice_out_of_a_pipe)
{
	struct iovec iov = { self->shared + page_size, page_size };
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(page_size, write(p[1], self->bytes + page_size, page_size));
	ASSERT_EQ(page_size, vmsplice(p[0], &iov, 1, 0));
	check(_metadata, &self->s, page_size, page_size);
}

/* Pages of the file go into a pipe and from there into the file. */
TEST_F(pin, vmsplice_and_splice)
{
	struct iovec iov = { self->shared, page_size };
	loff_t off = 2 * page_size;
	char *copy = alloc(page_size);
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(page_size, vmsplice(p[1], &iov, 1, 0));
	ASSERT_EQ(page_size, splice(p[0], NULL, self->s.fd, &off, page_size,
				    0));
	ASSERT_EQ(page_size, pread(self->s.fd, copy, page_size,
				   2 * page_size));
	ASSERT_EQ(SAME, differs(copy, 0, 0, page_size));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

TEST_F(pin, direct_read_from_here)
{
	struct snap src;
	int fd;

	ASSERT_EQ(0, snap_create(&src, 0));
	ASSERT_EQ(self->s.len, write_gen(src.fd, 1, 0, self->s.len));
	fd = open(src.path, O_RDONLY | O_DIRECT);
	snap_destroy(&src);
	if (fd < 0 && errno == EINVAL)
		SKIP(return, "the filesystem does not take O_DIRECT");
	ASSERT_LE(0, fd);
	ASSERT_EQ(self->s.len, pread(fd, self->shared, self->s.len, 0));
	check(_metadata, &self->s, 0, self->s.len);
}

/* A block device in memory, with @len bytes of generation 1; -1 if none. */
static int open_disk(const char *bytes, ssize_t len)
{
	int fd;

	if (access("/dev/ram0", F_OK) &&
	    system("modprobe brd rd_nr=1 rd_size=1024 >/dev/null 2>&1"))
		return -1;
	fd = open("/dev/ram0", O_RDWR | O_DIRECT);
	if (fd < 0)
		return -1;
	return pwrite(fd, bytes, len, 0) == len ? fd : -1;
}

TEST_F(pin, direct_read_from_a_disk)
{
	int fd = open_disk(self->bytes, self->s.len);

	if (fd < 0)
		SKIP(return, "no /dev/ram0 to read from");
	ASSERT_EQ(self->s.len, pread(fd, self->shared, self->s.len, 0));
	check(_metadata, &self->s, 0, self->s.len);
}

TEST_F(pin, uring_read)
{
	struct snap src;
	struct uring u;
	int err;

	err = uring_setup(&u);
	if (err)
		SKIP(return, "no io_uring here: %s", strerror(-err));
	ASSERT_EQ(0, snap_create_in(&src, peer_dir(), 0));
	ASSERT_EQ(self->s.len, write_gen(src.fd, 1, 0, self->s.len));
	ASSERT_EQ(self->s.len, uring_rw(&u, IORING_OP_READ, src.fd,
					self->shared, self->s.len, 0));
	snap_destroy(&src);
	check(_metadata, &self->s, 0, self->s.len);
}

/*
 * A buffer registered once and stored into for ever would be a change that
 * nobody sees, so registration is refused. Should a kernel come to accept it,
 * the store must still not reach the mapping.
 */
TEST_F(pin, uring_fixed_buffer)
{
	struct iovec iov = { self->shared, self->s.len };
	struct snap src;
	struct uring u;
	char *map;
	int err;

	err = uring_setup(&u);
	if (err)
		SKIP(return, "no io_uring here: %s", strerror(-err));
	if (syscall(__NR_io_uring_register, u.fd, IORING_REGISTER_BUFFERS, &iov,
		    1)) {
		ASSERT_TRUE(errno == EFAULT || errno == EOPNOTSUPP);
		ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
		return;
	}
	map = map_now(&self->s, variant->touch);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, snap_create_in(&src, peer_dir(), 0));
	ASSERT_EQ(self->s.len, write_gen(src.fd, 1, 0, self->s.len));
	ASSERT_EQ(self->s.len, uring_rw(&u, IORING_OP_READ_FIXED, src.fd,
					self->shared, self->s.len, 0));
	snap_destroy(&src);
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	check(_metadata, &self->s, 0, self->s.len);
}

/* Registering a private mapping makes it the mapping's own: that of T. */
TEST_F(pin, uring_fixed_buffer_that_is_private)
{
	char *map = mmap(NULL, self->s.len, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			 self->s.fd, 0);
	struct iovec iov = { map, self->s.len };
	struct snap dst;
	struct uring u;
	int err;

	ASSERT_TRUE(mapped(map));
	err = uring_setup(&u);
	if (err)
		SKIP(return, "no io_uring here: %s", strerror(-err));
	ASSERT_EQ(self->s.len / 2, write_gen(self->s.fd, 1, 0,
					     self->s.len / 2));
	ASSERT_EQ(0, syscall(__NR_io_uring_register, u.fd,
			     IORING_REGISTER_BUFFERS, &iov, 1));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 2, 0, self->s.len));
	ASSERT_EQ(0, snap_create_in(&dst, peer_dir(), 0));
	ASSERT_EQ(self->s.len, uring_rw(&u, IORING_OP_WRITE_FIXED, dst.fd, map,
					self->s.len, 0));
	ASSERT_EQ(SAME, file_differs(dst.fd, 0, 0, self->s.len));
	snap_destroy(&dst);
}

/* A preserved page in a pipe outlives the mapping that it came from. */
TEST_F(pin, pipe_keeps_a_preserved_page)
{
	struct iovec iov = { self->s.map, 4 * page_size };
	char *copy = alloc(4 * page_size);
	int p[2], i;

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_EQ(4 * page_size, vmsplice(p[1], &iov, 1, 0));
	ASSERT_EQ(0, munmap(self->s.map, self->s.len));
	/* Whoever takes a page that was freed too early. */
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(self->s.len, write_gen(self->s.fd, i, 0,
						 self->s.len));
		ASSERT_TRUE(mapped(map_now(&self->s, true)));
	}
	ASSERT_EQ(4 * page_size, read(p[0], copy, 4 * page_size));
	ASSERT_EQ(SAME, differs(copy, 0, 0, 4 * page_size));
}

/* The page is held when the mapping is made, and stored into afterwards. */
TEST_F(pin, held_across_mmap)
{
	struct held h;
	char *map;
	int err;

	err = held_start(&h, self->shared, 1, page_size, false);
	if (err)
		SKIP(return, "no userfaultfd here: %s", strerror(-err));
	map = map_now(&self->s, variant->touch);
	ASSERT_TRUE(mapped(map));
	ASSERT_TRUE(held_feed(&h, 0, 1, 0));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	check(_metadata, &self->s, 0, page_size);
}

/* Each mapping shows what had been stored by then. */
TEST_F(pin, held_across_many_mmaps)
{
	ssize_t len = page_size / 4;
	char *map[4];
	struct held h;
	int err, i;

	err = held_start(&h, self->shared, 4, len, false);
	if (err)
		SKIP(return, "no userfaultfd here: %s", strerror(-err));
	for (i = 0; i < 4; i++) {
		map[i] = map_now(&self->s, variant->touch);
		ASSERT_TRUE(mapped(map[i]));
		ASSERT_TRUE(held_feed(&h, i, 1, i * len));
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(SAME, differs(map[i], 1, 0, i * len));
		ASSERT_EQ(SAME, differs(map[i] + i * len, 0, i * len,
					self->s.len - i * len));
	}
	check(_metadata, &self->s, 0, page_size);
}

/* A write() comes between: the page is settled, and then stored into. */
TEST_F(pin, held_across_write)
{
	struct held h;
	char *map;
	int err;

	err = held_start(&h, self->shared, 1, page_size / 2, false);
	if (err)
		SKIP(return, "no userfaultfd here: %s", strerror(-err));
	ASSERT_EQ(page_size, write_gen(self->s.fd, 2, 0, page_size));
	map = map_now(&self->s, variant->touch);
	ASSERT_TRUE(mapped(map));
	ASSERT_TRUE(held_feed(&h, 0, 1, 0));
	ASSERT_EQ(SAME, differs(map, 2, 0, page_size));
	ASSERT_EQ(SAME, file_differs(self->s.fd, 2, page_size / 2,
				     page_size / 2));
	check(_metadata, &self->s, 0, page_size / 2);
}

/* No page table mentions the page any more, and yet it is stored into. */
TEST_F(pin, held_across_munmap)
{
	struct held h;
	char *map;
	int err;

	err = held_start(&h, self->shared, 1, page_size, false);
	if (err)
		SKIP(return, "no userfaultfd here: %s", strerror(-err));
	ASSERT_EQ(0, munmap(self->shared, self->s.len));
	map = map_now(&self->s, variant->touch);
	ASSERT_TRUE(mapped(map));
	ASSERT_TRUE(held_feed(&h, 0, 1, 0));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	check(_metadata, &self->s, 0, page_size);
}

/* The page leaves the file; the store goes nowhere. */
TEST_F(pin, held_across_truncate)
{
	struct held h;
	char *map;
	int err;

	err = held_start(&h, self->shared, 1, page_size, false);
	if (err)
		SKIP(return, "no userfaultfd here: %s", strerror(-err));
	map = map_now(&self->s, variant->touch);
	ASSERT_TRUE(mapped(map));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(0, ftruncate(self->s.fd, self->s.len));
	ASSERT_TRUE(held_feed(&h, 0, 1, 0));
	ASSERT_EQ(SAME, file_not_zero(self->s.fd, 0, self->s.len));
	ASSERT_EQ(SAME, differs(map, 0, 0, self->s.len));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* The mapping was made before, the truncation gives it the page itself. */
TEST_F(pin, held_and_given_over_by_truncate)
{
	struct held h;
	int err;

	err = held_start(&h, self->shared, 1, page_size, false);
	if (err)
		SKIP(return, "no userfaultfd here: %s", strerror(-err));
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_TRUE(held_feed(&h, 0, 1, 0));
	ASSERT_EQ(SAME, differs(self->s.map, 0, 0, self->s.len));
}

/* Several pages, of which the mapping covers the second. */
TEST_F(pin, held_pages)
{
	struct held h;
	char *map;
	int err, i;

	err = held_start(&h, self->shared, 4, page_size, false);
	if (err)
		SKIP(return, "no userfaultfd here: %s", strerror(-err));
	ASSERT_TRUE(held_feed(&h, 0, 1, 0));
	map = map_private(self->s.fd, page_size, page_size);
	ASSERT_TRUE(mapped(map));
	if (variant->touch)
		ASSERT_EQ(SAME, touch(map, page_size));
	for (i = 1; i < 4; i++)
		ASSERT_TRUE(held_feed(&h, i, 1, i * page_size));
	ASSERT_EQ(SAME, differs(map, 0, page_size, page_size));
	check(_metadata, &self->s, 0, 4 * page_size);
}

/*
 * P8: process_vm_readv() of a private mapping that is stopped half way, while
 * the file changes.
 */
TEST_F(pin, held_for_reading)
{
	struct held h;
	int err;

	err = held_start(&h, self->s.map, 4, page_size / 2, true);
	if (err)
		SKIP(return, "no userfaultfd here: %s", strerror(-err));
	ASSERT_EQ(self->s.len, write_gen(self->s.fd, 1, 0, self->s.len));
	ASSERT_TRUE(held_feed(&h, 0, 9, 0));
	ASSERT_TRUE(held_feed(&h, 1, 9, 0));
	ASSERT_TRUE(held_feed(&h, 2, 9, 0));
	ASSERT_TRUE(held_feed(&h, 3, 9, 0));
	ASSERT_EQ(SAME, differs(h.local, 0, 0, page_size / 2));
	ASSERT_EQ(SAME, differs(h.local + page_size, 0, page_size / 2,
				page_size / 2));
	ASSERT_EQ(SAME, differs(h.local + 2 * page_size, 0, page_size,
				page_size / 2));
	check(_metadata, &self->s, 0, self->s.len);
}

/*
 * P3: a store through a page that is held, and when that is over one through the
 * page tables. A mapping that is made meanwhile does not show the second alone.
 */
#define ORDERED	4096

struct ordered {
	struct snap s;
	bool go;
	long first;
	long second;
};

static void map_and_look(struct ordered *o)
{
	const char *map;

	while (!__atomic_load_n(&o->go, __ATOMIC_ACQUIRE))
		sched_yield();
	map = map_private(o->s.fd, 0, o->s.len);
	o->first = read_byte_or_sigbus(map);
	o->second = read_byte_or_sigbus(map + o->s.len - page_size);
}

static bool in_page_tables(int pagemap, const char *p)
{
	uint64_t entry;

	return pread(pagemap, &entry, sizeof(entry),
		     (uintptr_t)p / page_size * sizeof(entry)) == sizeof(entry) &&
	       entry >> 63;
}

TEST(held_store_and_a_later_one)
{
	struct ordered *o = mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	long end = now_ms() + stress_ms();
	char *shared, *last;
	struct held h;
	ssize_t i;
	pid_t pid;
	int err;

	ASSERT_TRUE(mapped(o));
	ASSERT_LE(0, pagemap);
	while (now_ms() < end) {
		ASSERT_EQ(0, snap_create(&o->s, 0));
		o->s.len = ORDERED * page_size;
		ASSERT_EQ(0, ftruncate(o->s.fd, o->s.len));
		shared = map_shared(o->s.fd, 0, o->s.len);
		ASSERT_TRUE(mapped(shared));
		last = shared + o->s.len - page_size;
		for (i = 0; i < o->s.len; i += page_size)
			shared[i] = 1;
		err = held_start(&h, shared, 1, page_size, false);
		if (err)
			SKIP(return, "no userfaultfd here: %s", strerror(-err));
		o->go = false;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			map_and_look(o);
			_exit(0);
		}
		__atomic_store_n(&o->go, true, __ATOMIC_RELEASE);
		while (in_page_tables(pagemap, shared))
			;
		/* Byte 0 of generation 1 is not the 1 that it was. */
		ASSERT_TRUE(held_feed(&h, 0, 1, 0));
		ASSERT_EQ(0, write_byte_or_sigbus(last, 2));
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		ASSERT_FALSE(o->first == 1 && o->second == 2);
		ASSERT_EQ(0, munmap(shared, o->s.len));
		close(h.uffd);
		snap_destroy(&o->s);
	}
}

/*
 * The same without a script: somebody stores as fast as can be, and mappings
 * that are made meanwhile go on showing what they showed first.
 */
struct storm {
	struct snap *s;
	char *shared;
	char *bytes;
	int fd;
	long rounds;
	bool stop;
	bool failed;
	bool (*store)(struct storm *t, long n);
	pthread_t thread;
};

static void *storm_for_ever(void *arg)
{
	struct storm *t = arg;
	long n;

	for (n = 1; !__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE); n++) {
		if (!t->store(t, n))
			t->failed = true;
		__atomic_add_fetch(&t->rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static bool storm_vm(struct storm *t, long n)
{
	struct iovec local = { t->bytes, t->s->len };
	struct iovec remote = { t->shared, t->s->len };
	int i;

	for (i = 0; i < PAGES; i++)
		seq_fill(t->bytes + i * page_size, n);
	return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) ==
	       t->s->len;
}

static bool storm_proc(struct storm *t, long n)
{
	int i;

	for (i = 0; i < PAGES; i++) {
		seq_fill(t->bytes, n);
		if (pwrite(t->fd, t->bytes, page_size,
			   (uintptr_t)t->shared + i * page_size) != page_size)
			return false;
	}
	return true;
}

/* The disk's contents change with every second round, by the block. */
static bool storm_disk(struct storm *t, long n)
{
	return pread(t->fd, t->shared, t->s->len, n % 16 * 512) == t->s->len;
}

static void storm(struct __test_metadata *_metadata, struct storm *t)
{
	char *old = alloc(t->s->len);
	long end = now_ms() + stress_ms();
	int i;

	ASSERT_EQ(0, pthread_create(&t->thread, NULL, storm_for_ever, t));
	ASSERT_TRUE(wait_for(&t->rounds, 1));
	for (i = 0; i < 1000 && (i < 5 || now_ms() < end); i++) {
		char *map = map_private(t->s->fd, 0, t->s->len);

		ASSERT_TRUE(mapped(map));
		memcpy(old, map, i % 2 ? t->s->len : t->s->len / 2);
		ASSERT_TRUE(wait_for(&t->rounds, 2));
		ASSERT_EQ(0, memcmp(old, map, i % 2 ? t->s->len :
						      t->s->len / 2));
		ASSERT_EQ(0, munmap(map, t->s->len));
	}
	__atomic_store_n(&t->stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(t->thread, NULL));
	ASSERT_FALSE(t->failed);
}

TEST_F(pin, storm_of_process_vm_writev)
{
	struct storm t = {
		.s = &self->s,
		.shared = self->shared,
		.bytes = self->bytes,
		.store = storm_vm,
	};

	storm(_metadata, &t);
}

TEST_F(pin, storm_of_proc_mem)
{
	struct storm t = {
		.s = &self->s,
		.shared = self->shared,
		.bytes = self->bytes,
		.store = storm_proc,
		.fd = open("/proc/self/mem", O_RDWR),
	};

	ASSERT_LE(0, t.fd);
	storm(_metadata, &t);
}

TEST_F(pin, storm_of_direct_reads)
{
	char *bytes = anonymous(2 * self->s.len);
	struct storm t = {
		.s = &self->s,
		.shared = self->shared,
		.store = storm_disk,
	};

	gen_fill(bytes, 3, 0, 2 * self->s.len);
	t.fd = open_disk(bytes, 2 * self->s.len);
	if (t.fd < 0)
		SKIP(return, "no /dev/ram0 to read from");
	storm(_metadata, &t);
}

TEST_HARNESS_MAIN
