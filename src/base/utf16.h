/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * UTF-8 <-> UTF-16LE and Windows' case mapping.
 *
 * Windows names may hold unpaired surrogates. They travel through UTF-8 as the three bytes that
 * encode the surrogate itself (the WTF-8 scheme), so that every name survives the round trip.
 */
#ifndef IBB_BASE_UTF16_H
#define IBB_BASE_UTF16_H

#include "base/buf.h"

/* The upper-case partner of one UTF-16 code unit, as NTFS and the registry fold names. */
uint16_t ibb_upcase(uint16_t c);

/*
 * Append s, without a terminator, as UTF-16LE to *out.
 * IBB_E_INVALID when s is not UTF-8 (nothing appended), IBB_E_NOMEM.
 */
int ibb_utf16le_append(struct ibb_buf *out, const char *s) IBB_MUST_CHECK;

/*
 * Append n_bytes (even; an odd last byte is ignored) of UTF-16LE to *out as UTF-8. U+0000 becomes
 * a NUL byte: callers that need a C string check for it. IBB_E_NOMEM only.
 */
int ibb_utf8_append(struct ibb_buf *out, const uint8_t *p, size_t n_bytes) IBB_MUST_CHECK;

/* As above into a fresh C string that ends at the first U+0000; NULL when memory is short. */
char *ibb_utf8_from_utf16le(const uint8_t *p, size_t n_bytes) IBB_MUST_CHECK;

/* Is s well-formed UTF-8 (unpaired surrogates allowed, no overlong forms, no paired
 * surrogates of three bytes each, up to U+10FFFF)? */
bool ibb_utf8_valid(const char *s, size_t n);
/*
 * Is this well-formed UTF-8 free of what a terminal or an editor would obey: control characters
 * (C0, DEL, C1) and those that change the direction of text (U+200E and F, 202A to E, 2066 to 9)?
 */
bool ibb_utf8_is_plain(const char *s, size_t n);

/*
 * Compare two UTF-8 strings by their upper-cased UTF-16 code units, as Windows orders and equates
 * registry keys and file names: <0, 0, >0. Malformed bytes compare as themselves.
 */
int ibb_casecmp(const char *a, const char *b);
int ibb_ncasecmp(const char *a, size_t na, const char *b, size_t nb);

static inline bool ibb_caseeq(const char *a, const char *b)
{
	return ibb_casecmp(a, b) == 0;
}
/* Does s begin with, or end in, the given ASCII text, ignoring case? */
bool ibb_case_prefix(const char *s, const char *prefix);
bool ibb_case_suffix(const char *s, const char *suffix);

/* Lower-case the ASCII letters of s in place (device IDs, INF names: ASCII by definition). */
void ibb_ascii_lower(char *s);

#endif
