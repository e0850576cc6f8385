/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A program of edits under way (fuzz_hive_edit.c), and what it works on (fuzz_edit_pick.c). */
#ifndef IBB_FUZZ_EDIT_H
#define IBB_FUZZ_EDIT_H

#include "fuzz_model.h"

#define MAX_PATHS 256u

struct fuzz_run {
	const uint8_t *p; /* what is left of the program */
	size_t n;
	struct ibb_hive *before, *h;
	struct ibb_hive *was; /* what h was opened from, last */
	bool clean; /* nothing was wrong with the hive before, not even a count that is too high */
	bool sound; /* clean, or an edit was accepted: nothing may be found damaged any more */
	bool refused;	 /* the hive is damaged: no edit is accepted */
	uint64_t leaked; /* cells without an owner before */
	long fail_at;	 /* this allocation of the next edit fails */
	bool fail_on;
	char *paths[MAX_PATHS]; /* keys to work on; some are gone by now */
	unsigned n_paths, n_creates;
	struct fuzz_model model;
};

/* What is next in the program; zeros behind its end. */
uint8_t fuzz_byte(struct fuzz_run *g);
unsigned fuzz_word(struct fuzz_run *g);

/* Remember a key to work on, or all of the hive's, up to a number. */
void fuzz_add_path(struct fuzz_run *g, const char *path);
void fuzz_add_paths(struct fuzz_run *g);
/* One of the known keys: its path, and where it is now; false when it is gone. */
bool fuzz_pick_key(struct fuzz_run *g, const char **path, ibb_key *k);
/* Write a name for a key or value; long ones, too. */
void fuzz_make_name(struct fuzz_run *g, char *out, size_t room);
/*
 * The name of a value: new, or one that is there. A name that stands in a hive twice is left out
 * (false), because it is not said which one is meant.
 */
bool fuzz_pick_value(struct fuzz_run *g, ibb_key k, char *out, size_t room);

/* For ibb_hive_values(): the value at i, or how many have a name. */
struct fuzz_nth {
	unsigned i, same;
	const char *name; /* to count */
	char *found;
	struct ibb_bytes data; /* in the hive, unless it is big data */
};

int fuzz_nth_value(void *ctx, const struct ibb_value *v, struct ibb_error *err);

#endif
