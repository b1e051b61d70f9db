// SPDX-License-Identifier: GPL-2.0
/*
 * columns DIR: a reader of a columnar file, in the manner of Arrow's IPC files,
 * while the file is written anew.
 *
 * The file is a footer at its end, which says where the columns are, and columns
 * of numbers, which are used where they are mapped. The reader loads the footer,
 * and sums up the columns; half way through, another process overwrites the file
 * with a table of another shape and other numbers. The exit status is 0 if the
 * reader got what was in the file when it was mapped.
 */
#include <err.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAGIC "COLUMN1"
#define MAX_COLUMNS 16

struct footer {
	uint64_t columns;
	uint64_t rows;
	uint64_t offset[MAX_COLUMNS];
	char magic[8];
};

static sigjmp_buf on_bus;

static void bus(int sig)
{
	siglongjmp(on_bus, sig);
}

static void put(int fd, const void *p, size_t len)
{
	if (write(fd, p, len) != (ssize_t)len)
		err(2, "write");
}

/* Write a table in which each number is @number. */
static void save(const char *path, uint64_t columns, uint64_t rows, uint64_t number)
{
	struct footer footer = { .columns = columns, .rows = rows, .magic = MAGIC };
	uint64_t *column = malloc(rows * sizeof(*column));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	uint64_t i;

	if (fd < 0 || !column)
		err(2, "%s", path);
	for (i = 0; i < rows; i++)
		column[i] = number;
	for (i = 0; i < columns; i++) {
		footer.offset[i] = i * rows * sizeof(*column);
		put(fd, column, rows * sizeof(*column));
	}
	put(fd, &footer, sizeof(footer));
	close(fd);
	free(column);
}

/* The sum of column @i, without a copy. */
static uint64_t sum(const char *table, const struct footer *footer, uint64_t i)
{
	const uint64_t *column = (const uint64_t *)(table + footer->offset[i]);
	uint64_t row, sum = 0;

	for (row = 0; row < footer->rows; row++)
		sum += column[row];
	return sum;
}

static int look(const char *table, const struct footer *footer, uint64_t first, uint64_t end)
{
	uint64_t i;

	if (sigsetjmp(on_bus, 1)) {
		printf("SIGBUS\n");
		return 1;
	}
	for (i = first; i < end; i++)
		if (sum(table, footer, i) != footer->rows * 7) {
			printf("wrong sum\n");
			return 1;
		}
	return 0;
}

int main(int argc, char *argv[])
{
	struct sigaction sa = { .sa_handler = bus };
	const struct footer *footer;
	char path[4096];
	struct stat st;
	char *table;
	pid_t pid;
	int fd;

	if (argc != 2)
		errx(2, "usage: columns DIR");
	snprintf(path, sizeof(path), "%s/columns.%d", argv[1], getpid());
	save(path, 8, 4096, 7);

	fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		err(2, "%s", path);
	table = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (table == MAP_FAILED)
		err(2, "mmap");
	close(fd);
	footer = (const struct footer *)(table + st.st_size - sizeof(*footer));
	sigaction(SIGBUS, &sa, NULL);
	if (memcmp(footer->magic, MAGIC, sizeof(footer->magic)) || look(table, footer, 0, 4))
		errx(2, "not a table");

	pid = fork();
	if (pid < 0)
		err(2, "fork");
	if (pid == 0) {
		save(path, 16, 1024, 9);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	unlink(path);
	/* The footer is used where it is mapped, too. */
	if (sigsetjmp(on_bus, 1)) {
		printf("SIGBUS\n");
		return 1;
	}
	if (memcmp(footer->magic, MAGIC, sizeof(footer->magic)) || footer->columns != 8) {
		printf("footer gone\n");
		return 1;
	}
	return look(table, footer, 4, 8);
}
