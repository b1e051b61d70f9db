/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's search for memory that nobody refers to any more. */
#ifndef SNAPMAPFS_SELFTESTS_LEAK_H
#define SNAPMAPFS_SELFTESTS_LEAK_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"

#define LEAKS "/sys/kernel/debug/kmemleak"

static inline bool leak_command(const char *command)
{
	int fd = open(LEAKS, O_WRONLY);
	bool done = fd >= 0 && write(fd, command, strlen(command)) > 0;

	if (fd >= 0)
		close(fd);
	return done;
}

/* What there is already is not our doing. */
static inline void leak_begin(void)
{
	leak_command("clear");
}

/* One result: nothing has been lost since leak_begin(). */
static inline void leak_result(void)
{
	char line[256];
	int lines = 0;
	FILE *file;

	if (!leak_command("scan")) {
		ksft_test_result_skip("nothing_is_lost: the kernel has no kmemleak\n");
		return;
	}
	/* It tells of what is some seconds old, and what it saw twice. */
	sleep(6);
	leak_command("scan");
	sleep(1);
	leak_command("scan");
	file = fopen(LEAKS, "r");
	while (file && fgets(line, sizeof(line), file))
		if (lines++ < 60)
			ksft_print_msg("%s", line);
	if (file)
		fclose(file);
	ksft_test_result(!lines, "nothing_is_lost\n");
}

#endif
