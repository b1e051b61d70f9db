/* SPDX-License-Identifier: GPL-2.0 */
/*
 * On a kernel full of checkers everything takes a multiple of its time.
 *
 * Environment:
 *   SNAP_SLOW    how many times slower than usual the kernel is (1)
 */
#ifndef SNAPMAPFS_SELFTESTS_SLOW_H
#define SNAPMAPFS_SELFTESTS_SLOW_H

#include <stdlib.h>

#include "kselftest_harness.h"

static inline int slow(void)
{
	const char *value = getenv("SNAP_SLOW");
	int factor = value ? atoi(value) : 1;

	return factor > 1 ? factor : 1;
}

/* The harness gives every test 30 seconds unless it says otherwise. */
static void __attribute__((constructor)) slow_timeouts(void)
{
	struct __fixture_metadata *f;
	struct __test_metadata *t;

	/* The tests registered themselves in constructors of higher priority. */
	for (f = __fixture_list; f; f = f->next)
		for (t = f->tests; t; t = t->next)
			t->timeout *= slow();
}

#endif
