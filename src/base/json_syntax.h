/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RFC 8259 to the letter, as cJSON does not check it: private to base/json.c. */
#ifndef IBB_BASE_JSON_SYNTAX_H
#define IBB_BASE_JSON_SYNTAX_H

#include <stddef.h>

#include "base/error.h"

/*
 * Is s[0..n) one JSON value (a leading byte order mark is allowed), not nested deeper than
 * IBB_LIMIT_JSON_DEPTH, without "\u0000" and without unpaired surrogates? s is valid in the sense
 * of ibb_utf8_valid(). IBB_OK, or IBB_E_CORRUPT or IBB_E_LIMIT with the reason (static) and the
 * offset. What passes, cJSON parses unless memory is short.
 */
int ibb_json_syntax(const char *s, size_t n, const char **ret_why, size_t *ret_at) IBB_MUST_CHECK;

#endif
