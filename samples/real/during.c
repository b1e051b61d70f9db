// SPDX-License-Identifier: GPL-2.0
/*
 * during TIMES ORIGINAL FILE CHANGE COMMAND...: run COMMAND, which reads FILE, and
 * change FILE at the moment when COMMAND has mapped it. Do so TIMES times, each
 * time with FILE a new copy of ORIGINAL, and print how FILE was mapped (private,
 * shared, or not) and how often COMMAND died, or printed something else than it
 * does when FILE is left alone.
 *
 * CHANGE is `truncate` (to nothing) or `rewrite` (truncate, and write as many
 * other bytes). COMMAND is an unchanged program, which ptrace() stops after the
 * mmap() until the change is done.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Write all of @len bytes. */
static void put(int fd, const char *p, size_t len)
{
	ssize_t n;

	for (; len; p += n, len -= n) {
		n = write(fd, p, len);
		if (n <= 0)
			err(2, "write");
	}
}

/* The contents of an open file. */
static char *get(int fd, size_t *len)
{
	struct stat st;
	char *p;

	if (fd < 0 || fstat(fd, &st))
		err(2, "open");
	p = malloc(st.st_size + 1);
	if (!p || pread(fd, p, st.st_size, 0) != st.st_size)
		err(2, "read");
	*len = st.st_size;
	return p;
}

static void save(const char *path, const char *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0)
		err(2, "%s", path);
	put(fd, p, len);
	close(fd);
}

static void change(const char *path, const char *how)
{
	struct stat st;
	char *other;
	size_t len;

	if (!strcmp(how, "nothing"))
		return;
	if (stat(path, &st))
		err(2, "%s", path);
	len = strcmp(how, "rewrite") ? 0 : st.st_size;
	other = malloc(len + 1);
	if (!other)
		err(2, "malloc");
	memset(other, '\n', len);
	save(path, other, len);
	free(other);
}

/* Whether descriptor @fd of @pid is the file that @st is of. */
static int is_file(pid_t pid, int fd, const struct stat *st)
{
	struct stat other;
	char link[64];

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, fd);
	return !stat(link, &other) && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/*
 * Runs the stopped process @pid to its end, and changes the file @path in the way
 * @how when it has mapped it. Returns the flags of the mapping, or -1.
 */
static long run(pid_t pid, const char *path, const char *how, int *status)
{
	struct __ptrace_syscall_info info;
	long asked = 0, flags = -1;
	pid_t who = pid, thread = 0;
	struct stat st;
	int sig = 0;

	if (stat(path, &st))
		err(2, "%s", path);
	for (;;) {
		/* ESRCH: another thread has ended the process. */
		if (ptrace(flags == -1 ? PTRACE_SYSCALL : PTRACE_CONT, who, 0, (long)sig) &&
		    errno != ESRCH)
			err(2, "ptrace");
		sig = 0;
		do {
			who = waitpid(-1, status, __WALL);
			if (who < 0)
				err(2, "waitpid");
			if (who == pid && (WIFEXITED(*status) || WIFSIGNALED(*status)))
				return flags;
		} while (!WIFSTOPPED(*status));

		if (WSTOPSIG(*status) != (SIGTRAP | 0x80)) {
			/* Events, and new threads, stop without a signal of their own. */
			if (*status >> 16 == 0 && WSTOPSIG(*status) != SIGSTOP)
				sig = WSTOPSIG(*status);
			continue;
		}
		if (flags != -1)
			continue;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, who, sizeof(info), &info) < 0)
			err(2, "ptrace");
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_mmap &&
		    is_file(who, info.entry.args[4], &st)) {
			asked = info.entry.args[3];
			thread = who;
		} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && who == thread) {
			thread = 0;
			if (!info.exit.is_error) {
				flags = asked;
				change(path, how);
			}
		}
	}
}

/*
 * Run @command once. Returns what it printed, or NULL if it failed, and sets @how
 * to the way in which it mapped the file.
 */
static char *once(char *const command[], const char *path, const char *what, const char **how,
		  size_t *len)
{
	int out = memfd_create("out", MFD_CLOEXEC), status;
	char *printed = NULL;
	long flags;
	pid_t pid;

	if (out < 0)
		err(2, "memfd_create");
	pid = fork();
	if (pid < 0)
		err(2, "fork");
	if (pid == 0) {
		dup2(out, 1);
		dup2(open("/dev/null", O_WRONLY), 2);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execvp(command[0], command);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid)
		err(2, "waitpid");
	ptrace(PTRACE_SETOPTIONS, pid, 0,
	       PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE |
	       PTRACE_O_EXITKILL);
	flags = run(pid, path, what, &status);
	if (flags == -1)
		*how = "not";
	else
		*how = (flags & MAP_TYPE) == MAP_PRIVATE ? "private" : "shared";
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		printed = get(out, len);
	close(out);
	return printed;
}

int main(int argc, char *argv[])
{
	char *original, *expected, *printed;
	size_t original_len, expected_len, len;
	int failed = 0, i;
	const char *how;

	if (argc < 6)
		errx(2, "usage: during TIMES ORIGINAL FILE CHANGE COMMAND...");
	original = get(open(argv[2], O_RDONLY), &original_len);
	save(argv[3], original, original_len);
	expected = once(argv + 5, argv[3], "nothing", &how, &expected_len);
	if (!expected)
		errx(2, "%s fails by itself", argv[5]);
	for (i = 0; i < atoi(argv[1]); i++) {
		save(argv[3], original, original_len);
		printed = once(argv + 5, argv[3], argv[4], &how, &len);
		if (!printed || len != expected_len || memcmp(printed, expected, len))
			failed++;
		free(printed);
	}
	printf("%s %d\n", how, failed);
	return 0;
}
