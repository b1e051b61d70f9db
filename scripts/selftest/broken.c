// SPDX-License-Identifier: GPL-2.0
/* Does not compile. */
#include "kselftest_harness.h"
#error "on purpose"
TEST_HARNESS_MAIN
