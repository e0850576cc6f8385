/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/guid.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"

/* Where the text's hex pairs go: the first three fields are stored little endian. */
static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

bool ibb_guid_parse(const char *s, struct ibb_guid *ret)
{
	bool braces = *s == '{';
	struct ibb_guid g;

	s += braces;
	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10) {
			if (*s++ != '-')
				return false;
		}
		if (ibb_hex_digit(s[0]) < 0 || ibb_hex_digit(s[1]) < 0)
			return false;
		g.b[order[i]] = (uint8_t)(ibb_hex_digit(s[0]) << 4 | ibb_hex_digit(s[1]));
		s += 2;
	}
	if (braces && *s++ != '}')
		return false;
	if (*s)
		return false;
	*ret = g;
	return true;
}

void ibb_guid_format(const struct ibb_guid *g, char out[IBB_GUID_STR_SIZE])
{
	const uint8_t *b = g->b;

	snprintf(out, IBB_GUID_STR_SIZE,
		 "{%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x}", b[3],
		 b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13],
		 b[14], b[15]);
}

bool ibb_guid_equal(const struct ibb_guid *a, const struct ibb_guid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool ibb_guid_is_zero(const struct ibb_guid *g)
{
	static const struct ibb_guid zero;

	return ibb_guid_equal(g, &zero);
}
