/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing a hive from scratch without a check a line: the builder keeps the first failure, later
 * calls do nothing, hivebuild_done() tells.
 */
#ifndef IBB_TEST_HIVEBUILD_H
#define IBB_TEST_HIVEBUILD_H

#include "hive/hive.h"

struct hivebuild {
	struct ibb_hive *hive;
	uint64_t time; /* of every key */
	ibb_key key;   /* the current key */
	int rc;
	struct ibb_error err;
};

void hivebuild_begin(struct hivebuild *b, uint64_t time);
/* Make `path` (from the root, '\' separators, printf-like) exist and the current key. */
void hivebuild_key(struct hivebuild *b, const char *path, ...) IBB_PRINTF(2, 3);
/* Values of the current key. */
void hivebuild_raw(struct hivebuild *b, const char *name, uint32_t type, const void *data,
		   size_t n);
void hivebuild_sz(struct hivebuild *b, const char *name, const char *text);
void hivebuild_expand(struct hivebuild *b, const char *name, const char *text);
/* Items separated by '|'. */
void hivebuild_multi(struct hivebuild *b, const char *name, const char *items);
void hivebuild_dword(struct hivebuild *b, const char *name, uint32_t value);
void hivebuild_qword(struct hivebuild *b, const char *name, uint64_t value);
/* A security descriptor of its own for the current key; see mksd.h. */
void hivebuild_security(struct hivebuild *b, const char *sddl);
/* The hive's bytes, checked; closes the builder also on failure. */
int hivebuild_done(struct hivebuild *b, struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;

#endif
