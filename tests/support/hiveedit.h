/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random edits of a hive and, the same, of a model of it. */
#ifndef TEST_HIVEEDIT_H
#define TEST_HIVEEDIT_H

#include "hivemodel.h"

#define EDIT_CELL_BYTES 16344u /* more data than that is big data, in hives of 1.4 and later */

struct edit {
	struct ibb_hive *h;
	struct ibb_buf opened; /* what h was opened from */
	struct model m;
	uint64_t rng;
	uint64_t time; /* of the next edit */
	bool big;      /* set values beyond EDIT_CELL_BYTES */
	unsigned long n_edits, n_refused;
	struct ibb_error err;
};

uint32_t edit_rnd(struct edit *e, uint32_t below);
/* One edit, or a few hundred that belong together. What goes wrong ends the program. */
void edit_once(struct edit *e);
/* Of script 0 (ASCII) to 6. */
uint32_t edit_letter(struct edit *e, unsigned script);
/* A name of 1 to `most` UTF-16 units in one script or several; static storage. */
const char *edit_name(struct edit *e, bool value, unsigned most);
/* The name of something that is there, in other letters; static storage. */
const char *edit_other_case(struct edit *e, const char *name);

#endif
