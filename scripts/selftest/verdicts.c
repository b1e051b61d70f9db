// SPDX-License-Identifier: GPL-2.0
/* One test for each verdict the harness can give. */
#include "kselftest_harness.h"

TEST(passes)
{
	EXPECT_EQ(1, 1);
}

TEST(fails)
{
	EXPECT_EQ(1, 2);
}

TEST(is_skipped)
{
	SKIP(return, "for a reason");
}

TEST(crashes)
{
	raise(SIGSEGV);
}

FIXTURE(kind) {};
FIXTURE_VARIANT(kind) { int number; };
FIXTURE_VARIANT_ADD(kind, one) { .number = 1 };
FIXTURE_VARIANT_ADD(kind, two) { .number = 2 };
FIXTURE_SETUP(kind) {}
FIXTURE_TEARDOWN(kind) {}

TEST_F(kind, is_one)
{
	EXPECT_EQ(1, variant->number);
}

TEST_HARNESS_MAIN
