/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON, over cJSON. No other file sees cJSON, whose defaults are unfit for untrusted input
 * (case-insensitive lookup, trailing garbage, duplicate keys, "\u0000" and invalid UTF-8 accepted,
 * numbers are doubles). 64-bit numbers travel as strings.
 */
#ifndef IBB_BASE_JSON_H
#define IBB_BASE_JSON_H

#include "base/buf.h"

struct ibb_json;

/*
 * Parse a whole document: one value, nothing behind it, depth <= IBB_LIMIT_JSON_DEPTH, no
 * duplicate keys, UTF-8, no "\u0000". `name` is used in messages. ibb_json_free() the result.
 * Strictly RFC 8259. IBB_E_CORRUPT (with line and column, counted in bytes), IBB_E_LIMIT,
 * IBB_E_NOMEM.
 */
int ibb_json_parse(const char *name, const void *text, size_t n, struct ibb_json **ret,
		   struct ibb_error *err) IBB_MUST_CHECK;
void ibb_json_free(struct ibb_json *j);
IBB_DEFINE_CLEANUP(struct ibb_json *, ibb_json_free)

/* Reading; all accept NULL and the wrong type, and then give NULL, 0 or the default. */
bool ibb_json_is_object(const struct ibb_json *j);
bool ibb_json_is_array(const struct ibb_json *j);
bool ibb_json_is_string(const struct ibb_json *j);
bool ibb_json_is_number(const struct ibb_json *j);
bool ibb_json_is_bool(const struct ibb_json *j);
bool ibb_json_is_null(const struct ibb_json *j);
const struct ibb_json *ibb_json_get(const struct ibb_json *obj, const char *key);
const char *ibb_json_str(const struct ibb_json *obj, const char *key);
const char *ibb_json_value_str(const struct ibb_json *j);
/* True when the member is a whole number in [min, max]. */
bool ibb_json_int(const struct ibb_json *obj, const char *key, int64_t min, int64_t max,
		  int64_t *ret);
bool ibb_json_value_int(const struct ibb_json *j, int64_t min, int64_t max, int64_t *ret);
bool ibb_json_bool(const struct ibb_json *obj, const char *key, bool dflt);
bool ibb_json_value_bool(const struct ibb_json *j);
size_t ibb_json_count(const struct ibb_json *j);
/* Iterate over the members of an object or the items of an array. */
const struct ibb_json *ibb_json_first(const struct ibb_json *j);
const struct ibb_json *ibb_json_next(const struct ibb_json *j);
const char *ibb_json_key(const struct ibb_json *j); /* NULL for array items */
#define ibb_json_foreach(it, j) \
	for (const struct ibb_json *it = ibb_json_first(j); it; it = ibb_json_next(it))

/*
 * Building. A builder keeps the first failure, so that a document can be written without a check
 * a line: on failure the functions do nothing (and return NULL), ibb_jb_done() tells.
 * key is NULL when the parent is an array, parent is NULL for the root.
 */
struct ibb_jb {
	struct ibb_json *root;
	int rc;
};
struct ibb_json *ibb_jb_object(struct ibb_jb *b, struct ibb_json *parent, const char *key);
struct ibb_json *ibb_jb_array(struct ibb_jb *b, struct ibb_json *parent, const char *key);
/* NULL value writes JSON null. Bytes that are not UTF-8 are written as U+FFFD. */
void ibb_jb_str(struct ibb_jb *b, struct ibb_json *parent, const char *key, const char *value);
void ibb_jb_fmt(struct ibb_jb *b, struct ibb_json *parent, const char *key, const char *fmt, ...)
	IBB_PRINTF(4, 5);
void ibb_jb_int(struct ibb_jb *b, struct ibb_json *parent, const char *key, int64_t value);
void ibb_jb_bool(struct ibb_jb *b, struct ibb_json *parent, const char *key, bool value);
void ibb_jb_null(struct ibb_jb *b, struct ibb_json *parent, const char *key);
/* A byte count or similar that may pass 2^53: always a decimal string. */
void ibb_jb_u64(struct ibb_jb *b, struct ibb_json *parent, const char *key, uint64_t value);
void ibb_jb_hex(struct ibb_jb *b, struct ibb_json *parent, const char *key, const void *p,
		size_t n);
/* A deep copy of another document's value. */
void ibb_jb_copy(struct ibb_jb *b, struct ibb_json *parent, const char *key,
		 const struct ibb_json *value);
/* Hand the finished root over; IBB_E_NOMEM when any step failed (all is freed then),
 * IBB_E_INTERNAL when there is no root, or a second one. */
int ibb_jb_done(struct ibb_jb *b, struct ibb_json **ret, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_jb_clear(struct ibb_jb *b);

/* Text, indented, with a final newline; the same document always gives the same bytes. */
int ibb_json_print(const struct ibb_json *j, struct ibb_buf *out,
		   struct ibb_error *err) IBB_MUST_CHECK;

#endif
