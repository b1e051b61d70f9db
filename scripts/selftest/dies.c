// SPDX-License-Identifier: GPL-2.0
/* A program that ends before its plan does. */
#include <signal.h>
#include "kselftest.h"

int main(void)
{
	ksft_print_header();
	ksft_set_plan(3);
	ksft_test_result_pass("first\n");
	raise(SIGABRT);
}
