/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asserting that a volume is sound, or that an edit did not make it worse. */
#ifndef IBB_TEST_SOUNDTEST_H
#define IBB_TEST_SOUNDTEST_H

#include "test.h"

#include "ntfscheck.h"

static inline struct ntfscheck findings(struct ibb_disk *d)
{
	struct ibb_error err = {0};
	struct ntfscheck r = {0};

	assert_ok(ntfscheck_run(d, &r, &err), err);
	return r;
}

/* Stop with all that is wrong: every error, or those which `before` does not have. */
static inline void expect_not_worse(const struct ntfscheck *before, const struct ntfscheck *after)
{
	struct ibb_buf b = {0};

	if (!ntfscheck_worse(before, after))
		return;
	for (size_t i = 0; i < after->n && i < 60; i++)
		if (!after->items[i].note) {
			assert_int_equal(ntfscheck_line(&after->items[i], &b), 0);
			assert_int_equal(ibb_buf_append_str(&b, "\n"), 0);
		}
	print_message("%s", ibb_buf_cstr(&b));
	ibb_buf_clear(&b);
	fail_msg("the volume is not sound: %s", ntfscheck_worse(before, after)->code);
}

static inline void expect_sound(struct ibb_disk *d)
{
	struct ntfscheck none = {0}, r = findings(d);

	expect_not_worse(&none, &r);
	ntfscheck_clear(&r);
}

#endif
