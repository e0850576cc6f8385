/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every CMocka test includes, in the order CMocka wants it, and the door to real material. */
#ifndef IBB_TEST_H
#define IBB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/io.h"

/* CMocka returns the number of failed tests: 256 failures would exit 0. */
#define IBB_TEST_MAIN(tests)                                              \
	int main(void)                                                    \
	{                                                                 \
		return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0; \
	}

/* Assert success and print the error otherwise. */
#define assert_ok(expr, err)                                                                 \
	do {                                                                                 \
		int r_ = (expr);                                                             \
		if (r_)                                                                      \
			fail_msg("%s: %d (%s) %s", #expr, r_, ibb_code_name(r_), (err).msg); \
	} while (0)
/* Assert this code, and that the message holds the text. */
#define assert_fails(expr, want, err, text)                                                  \
	do {                                                                                 \
		int r_ = (expr);                                                             \
		if (r_ != (want))                                                            \
			fail_msg("%s: %d (%s), wanted %d: %s", #expr, r_, ibb_code_name(r_), \
				 (want), (err).msg);                                         \
		if (!strstr((err).msg, (text)))                                              \
			fail_msg("%s: message '%s' lacks '%s'", #expr, (err).msg, (text));   \
	} while (0)

/*
 * The path of a file of the real material, or NULL when it is not at hand (then the case calls
 * skip(), unless IBB_REQUIRE_DATA=1, which makes its absence a failure). Static storage.
 */
static inline const char *test_data(const char *rel)
{
	static char path[4][1024];
	static unsigned slot;
	const char *root = getenv("IBB_TEST_DATA");
	char *p = path[slot++ % 4];

	if (!root || !*root)
		root = IBB_TEST_DATA_DEFAULT;
	snprintf(p, sizeof(path[0]), "%s/%s", root, rel);
	if (access(p, R_OK) == 0)
		return p;
	if (getenv("IBB_REQUIRE_DATA") && strcmp(getenv("IBB_REQUIRE_DATA"), "1") == 0)
		fail_msg("IBB_REQUIRE_DATA=1, but %s is missing", p);
	return NULL;
}
/* Read it, or skip the case. */
#define TEST_DATA_OR_SKIP(rel, buf)                                            \
	do {                                                                   \
		const char *path_ = test_data(rel);                            \
		struct ibb_error err_ = {0};                                   \
		if (!path_) {                                                  \
			print_message("SKIPPED: no test data (%s)\n", (rel));  \
			skip();                                                \
		}                                                              \
		assert_ok(ibb_read_file(path_, 1u << 30, (buf), &err_), err_); \
	} while (0)

#endif
