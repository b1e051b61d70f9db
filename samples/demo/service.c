// SPDX-License-Identifier: GPL-2.0
/*
 * service LIB FLAG: a program that runs for long, with a library.
 *
 * It uses the library, makes the file FLAG, waits until FLAG is gone, and uses
 * the library again. It says whether that went as before.
 */
#include <dlfcn.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	const char *(*currency)(void);
	int (*rate)(int amount);
	const char *unit;
	int fd, amount;
	void *lib;

	if (argc != 3)
		errx(2, "usage: service LIB FLAG");
	lib = dlopen(argv[1], RTLD_NOW);
	if (!lib)
		errx(2, "%s", dlerror());
	rate = (int (*)(int))dlsym(lib, "rate");
	currency = (const char *(*)(void))dlsym(lib, "currency");
	if (!rate || !currency || rate(21) != 42)
		errx(2, "not a library of mine");

	fd = open(argv[2], O_WRONLY | O_CREAT, 0600);
	if (fd < 0)
		err(2, "%s", argv[2]);
	close(fd);
	while (access(argv[2], F_OK) == 0)
		usleep(10000);

	amount = rate(21);
	unit = currency();
	if (amount == 42 && !strcmp(unit, "ducats")) {
		printf("runs on");
		return 0;
	}
	printf("says %d %s, not 42 ducats", amount, unit);
	return 1;
}
