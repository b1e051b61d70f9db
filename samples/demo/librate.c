// SPDX-License-Identifier: GPL-2.0
/*
 * The library of service.c, in two releases. In the second one the functions
 * lie elsewhere, as they do after every other change to a program. Each is on a
 * page of its own (see the Makefile).
 */
#include "librate.h"

#if RELEASE == 2
static int surcharge(int amount)
{
	return amount + 7;
}
#endif

int rate(int amount)
{
#if RELEASE == 2
	return surcharge(amount) * 3;
#else
	return amount * 2;
#endif
}

const char *currency(void)
{
	return RELEASE == 2 ? "euros" : "ducats";
}
