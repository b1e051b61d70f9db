// SPDX-License-Identifier: GPL-2.0
/*
 * P10: programs and libraries live here, and overwriting a library in place
 * leaves the processes alone that run it.
 */
#include "snap.h"

#include <elf.h>
#include <limits.h>
#include <link.h>
#include <sys/sendfile.h>

#define HELPER	"--exit-with-42"
#define EHDR	ElfW(Ehdr)
#define PHDR	ElfW(Phdr)

/* What a copy of this program does: glibc hands main()'s arguments down. */
static void __attribute__((constructor)) helper(int argc, char **argv)
{
	char byte;

	if (argc == 2 && !strcmp(argv[1], HELPER))
		_exit(read(0, &byte, 1) < 0 ? 1 : 42);
}

/* Copies a file; 0 or -errno. */
static int copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out, err = 0;
	ssize_t n;

	out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	if (in < 0 || out < 0)
		return -errno;
	do {
		n = sendfile(out, in, NULL, 1 << 20);
	} while (n > 0);
	if (n < 0)
		err = -errno;
	close(in);
	close(out);
	return err;
}

FIXTURE(program)
{
	char path[PATH_MAX];	/* this very program, copied here */
};

FIXTURE_SETUP(program)
{
	snprintf(self->path, sizeof(self->path), "%s/program.%d", snap_dir(),
		 getpid());
	ASSERT_EQ(0, copy("/proc/self/exe", self->path));
}

FIXTURE_TEARDOWN(program)
{
	unlink(self->path);
}

/* Runs the copy, with @in as its standard input, or with none. */
static pid_t run(const char *path, int in)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	dup2(in < 0 ? open("/dev/null", O_RDONLY) : in, 0);
	execl(path, path, HELPER, NULL);
	_exit(errno);
}

TEST_F(program, runs)
{
	ASSERT_EQ(42, reap(run(self->path, -1)));
}

TEST_F(program, runs_after_it_was_replaced)
{
	char other[PATH_MAX + 8];

	ASSERT_EQ(42, reap(run(self->path, -1)));
	snprintf(other, sizeof(other), "%s.new", self->path);
	ASSERT_EQ(0, copy("/proc/self/exe", other));
	ASSERT_EQ(0, rename(other, self->path));
	ASSERT_EQ(42, reap(run(self->path, -1)));
}

TEST_F(program, runs_on_after_unlink)
{
	int p[2], ready[2];
	pid_t pid;
	char byte;

	/* The program waits for its input to end. */
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
	pid = run(self->path, p[0]);
	/* The other end closes when the program has been executed. */
	close(ready[1]);
	ASSERT_EQ(0, read(ready[0], &byte, 1));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, close(p[1]));
	ASSERT_EQ(42, reap(pid));
}

/* errno of opening the copy in @dir for writing while it runs. */
static int open_running(struct __test_metadata *_metadata, const char *dir)
{
	char path[PATH_MAX], byte;
	int p[2], ready[2], err = 0;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/running.%d", dir, getpid());
	ASSERT_EQ(0, copy("/proc/self/exe", path));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
	pid = run(path, p[0]);
	/* The other end closes when the program has been executed. */
	close(ready[1]);
	ASSERT_EQ(0, read(ready[0], &byte, 1));
	if (open(path, O_WRONLY) < 0)
		err = errno;
	close(p[1]);
	ASSERT_EQ(42, reap(pid));
	unlink(path);
	return err;
}

TEST_F(program, is_busy_as_on_tmpfs)
{
	ASSERT_EQ(open_running(_metadata, peer_dir()),
		  open_running(_metadata, snap_dir()));
}

static int run_open(struct __test_metadata *_metadata, const char *dir)
{
	char path[PATH_MAX];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/open.%d", dir, getpid());
	ASSERT_EQ(0, copy("/proc/self/exe", path));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ret = reap(run(path, -1));
	close(fd);
	unlink(path);
	return ret;
}

TEST_F(program, open_for_writing_runs_as_on_tmpfs)
{
	ASSERT_EQ(run_open(_metadata, peer_dir()),
		  run_open(_metadata, snap_dir()));
}

/*
 * A library of one function, which returns a number, and one datum. mov $n,
 * %eax; ret is the same in 32 and 64 bits.
 */
FIXTURE(library)
{
	struct snap s;
	int (*function)(void);
	int *datum;
};

FIXTURE_VARIANT(library)
{
	bool touch;
};

FIXTURE_VARIANT_ADD(library, touched)
{
	.touch = true,
};

FIXTURE_VARIANT_ADD(library, untouched)
{
	.touch = false,
};

static void make_library(char *pages, unsigned char n)
{
	const unsigned char code[] = { 0xb8, n, 0, 0, 0, 0xc3 };

	memset(pages, 0xcc, 2 * page_size);
	memcpy(pages + 16, code, sizeof(code));
	memset(pages + page_size, n, page_size);
}

static bool load(struct snap *s, int (**function)(void), int **datum)
{
	char *p;

	p = mmap(NULL, page_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, s->fd, 0);
	*function = (int (*)(void))(p + 16);
	s->map = p;
	*datum = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		      s->fd, page_size);
	return mapped(p) && mapped(*datum);
}

FIXTURE_SETUP(library)
{
	char *pages = alloc(2 * page_size);

	ASSERT_EQ(0, snap_create(&self->s, 0));
	make_library(pages, 7);
	ASSERT_EQ(2 * page_size, write(self->s.fd, pages, 2 * page_size));
	ASSERT_TRUE(load(&self->s, &self->function, &self->datum));
	if (variant->touch) {
		ASSERT_EQ(7, self->function());
		ASSERT_EQ(0x07070707, *self->datum);
	}
}

FIXTURE_TEARDOWN(library)
{
	snap_destroy(&self->s);
}

TEST_F(library, overwritten_in_place)
{
	char *pages = alloc(2 * page_size);
	int (*function)(void), *datum;

	make_library(pages, 8);
	ASSERT_EQ(2 * page_size, pwrite(self->s.fd, pages, 2 * page_size, 0));
	ASSERT_EQ(7, self->function());
	ASSERT_EQ(0x07070707, *self->datum);
	/* Who loads it now gets the new one. */
	ASSERT_TRUE(load(&self->s, &function, &datum));
	ASSERT_EQ(8, function());
	ASSERT_EQ(0x08080808, *datum);
	ASSERT_EQ(7, self->function());
}

/* cp over a library: first it is empty, then it is another one. */
TEST_F(library, truncated_and_rewritten)
{
	char *pages = alloc(2 * page_size);

	self->datum[1] = 1234;	/* a relocation */
	ASSERT_EQ(0, ftruncate(self->s.fd, 0));
	ASSERT_EQ(7, read_byte_or_sigbus(self->datum));
	ASSERT_EQ(0xb8, read_byte_or_sigbus(self->s.map + 16));
	ASSERT_EQ(7, self->function());
	make_library(pages, 8);
	ASSERT_EQ(2 * page_size, pwrite(self->s.fd, pages, 2 * page_size, 0));
	ASSERT_EQ(7, self->function());
	ASSERT_EQ(0x07070707, *self->datum);
	ASSERT_EQ(1234, self->datum[1]);
}

static int call(void *arg)
{
	int (**function)(void) = arg;

	return (*function)();
}

TEST_F(library, overwritten_under_a_child)
{
	char *pages = alloc(2 * page_size);
	struct child c;

	ASSERT_EQ(0, child_start(&c, call, &self->function));
	make_library(pages, 8);
	ASSERT_EQ(2 * page_size, pwrite(self->s.fd, pages, 2 * page_size, 0));
	ASSERT_EQ(7, child_finish(&c));
}

/*
 * The real thing: a program of the system runs with a libc from here. The
 * program waits for input when the libc is overwritten, and must still find its
 * way to exit().
 */
FIXTURE(libc)
{
	char dir[PATH_MAX / 2];	/* here, */
	char copy[PATH_MAX];	/* and here is the copy of the system's libc */
	int in;			/* what is written there the program reads */
	pid_t pid;
};

/* The interpreter that a program of our own kind asks for. */
static bool find_interp(const char *program, char interp[PATH_MAX])
{
	char head[4096] = {};
	EHDR *eh = (void *)head;
	PHDR *ph;
	int fd, i;

	fd = open(program, O_RDONLY);
	if (fd < 0 || read(fd, head, sizeof(head)) <= 0)
		return false;
	close(fd);
	if (memcmp(head, ELFMAG, SELFMAG) ||
	    head[EI_CLASS] != (sizeof(long) == 8 ? ELFCLASS64 : ELFCLASS32) ||
	    eh->e_phoff + eh->e_phnum * sizeof(*ph) > sizeof(head))
		return false;
	ph = (void *)(head + eh->e_phoff);
	for (i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type != PT_INTERP ||
		    ph[i].p_offset + ph[i].p_filesz > sizeof(head))
			continue;
		snprintf(interp, PATH_MAX, "%s", head + ph[i].p_offset);
		return true;
	}
	return false;
}

/* Where the libc of @program is, as its interpreter says. */
static bool find_libc(const char *interp, const char *program,
		      char libc[PATH_MAX])
{
	char line[PATH_MAX], *at;
	bool found = false;
	FILE *f;

	snprintf(line, sizeof(line), "%.1000s --list %.1000s", interp, program);
	f = popen(line, "r");
	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "libc.so.6 => ");
		if (at && sscanf(at, "libc.so.6 => %4095s", libc) == 1)
			found = true;
	}
	if (f)
		pclose(f);
	return found;
}

/* The program, with a pipe for its input and our libc. */
static pid_t run_with(const char *interp, const char *dir, const char *program,
		      int in)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	dup2(in, 0);
	dup2(open("/dev/null", O_WRONLY), 1);
	execl(interp, interp, "--library-path", dir, program, NULL);
	_exit(127);
}

/* Whether @pid has @file mapped. */
static bool has_mapped(pid_t pid, const char *file)
{
	char path[64], line[PATH_MAX];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, file);
	if (f)
		fclose(f);
	return found;
}

static bool sleeps(pid_t pid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f && fscanf(f, "%*d %*s %c", &state) != 1)
		state = 0;
	if (f)
		fclose(f);
	return state == 'S';
}

/*
 * Waits until @pid has mapped @file and sleeps, which it does in read(): five
 * looks in a row are not just a pause on the way there.
 */
static bool wait_for_input(pid_t pid, const char *file)
{
	int tries, asleep = 0;

	for (tries = 0; tries < 400 && asleep < 5; tries++) {
		asleep = sleeps(pid) && has_mapped(pid, file) ? asleep + 1 : 0;
		usleep(20000);
	}
	return asleep == 5;
}

FIXTURE_SETUP(libc)
{
	/* Programs that read their standard input and end with it. */
	static const char * const programs[] = {
		"/bin/cat", "/usr/bin/xfs_io", "/usr/bin/debugfs",
	};
	char interp[PATH_MAX], libc[PATH_MAX];
	int i, p[2];

	for (i = 0; i < (int)ARRAY_SIZE(programs); i++)
		if (find_interp(programs[i], interp) &&
		    find_libc(interp, programs[i], libc))
			break;
	if (i == (int)ARRAY_SIZE(programs))
		SKIP(return, "no program that loads libc and reads its input");
	snprintf(self->dir, sizeof(self->dir), "%.1000s/lib.%d", snap_dir(),
		 getpid());
	snprintf(self->copy, PATH_MAX, "%s/libc.so.6", self->dir);
	ASSERT_EQ(0, mkdir(self->dir, 0755));
	ASSERT_EQ(0, copy(libc, self->copy));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	self->in = p[1];
	self->pid = run_with(interp, self->dir, programs[i], p[0]);
	ASSERT_TRUE(wait_for_input(self->pid, self->copy));
}

FIXTURE_TEARDOWN(libc)
{
	unlink(self->copy);
	rmdir(self->dir);
}

static void let_end(struct __test_metadata *_metadata, pid_t pid, int in)
{
	ASSERT_EQ(5, write(in, "quit\n", 5));
	ASSERT_EQ(0, close(in));
	ASSERT_EQ(0, reap(pid));
}

TEST_F(libc, loads_from_here)
{
	let_end(_metadata, self->pid, self->in);
}

TEST_F(libc, overwritten_in_place)
{
	struct stat st;
	char *zeros;
	int fd;

	fd = open(self->copy, O_WRONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st));
	zeros = calloc(1, st.st_size);
	ASSERT_EQ(st.st_size, write(fd, zeros, st.st_size));
	let_end(_metadata, self->pid, self->in);
}

TEST_F(libc, truncated_in_place)
{
	ASSERT_EQ(0, truncate(self->copy, 0));
	let_end(_metadata, self->pid, self->in);
}

TEST_HARNESS_MAIN
