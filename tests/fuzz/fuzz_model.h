/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a program of edits should have made of a hive: every key and value that was touched, by
 * path. Held against ibb_hive_compare() (nothing else differs) and against the hive (all of it is
 * there).
 */
#ifndef IBB_FUZZ_MODEL_H
#define IBB_FUZZ_MODEL_H

#include "fuzz_hive.h"

struct fuzz_entry {
	char *path;
	char *value; /* NULL: the key itself */
	uint64_t hash;
	uint32_t next; /* of the same bucket, plus one */
	bool there;
	bool removed;  /* a key: it was deleted once, with all that was below */
	bool sd_set;   /* a key: data holds the descriptor it was given */
	uint32_t type; /* a value */
	struct ibb_buf data;
};
struct fuzz_model {
	struct fuzz_entry *entries;
	size_t n, cap;
	bool any_removed;
	uint32_t buckets[1024]; /* index of an entry plus one */
};

void fuzz_model_clear(struct fuzz_model *m);
/* The entry of a key or value, made when it is not there. */
struct fuzz_entry *fuzz_model_touch(struct fuzz_model *m, const char *path, const char *value);
void fuzz_model_put(struct fuzz_entry *e, const void *p, size_t n);
/* A key and everything below it is gone. */
void fuzz_model_delete(struct fuzz_model *m, const char *path);
/* Aborts on a difference that was not asked for, or one that was and is missing. */
void fuzz_model_verify(struct fuzz_model *m, const struct ibb_hive *before, struct ibb_hive *after);

#endif
