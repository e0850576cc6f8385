/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Carrying a plan out on a volume, and proving that just the plan was carried out. Everything goes
 * into the volume's staging layer; the output image is made by commit.h.
 */
#ifndef IBB_APPLY_APPLY_H
#define IBB_APPLY_APPLY_H

#include "plan/plan.h"
#include "volume/volume.h"

/* A file of the volume that was written. */
struct ibb_applied_file {
	char *path;
	const char *kind;      /* "driver", "hive", "log" */
	bool existed, removed; /* before; now */
	uint64_t before_bytes, after_bytes;
	struct ibb_sha256 before, after;
};

struct ibb_applied {
	struct ibb_applied_file *files; /* order of writing */
	size_t n_files, cap_files;
	unsigned hives_edited;
};

/*
 * 1. Edit the hives of `f` in memory, checking every precondition (IBB_E_CONFLICT).
 * 2. Seal, parse again, check the cell graph, compare with the hive before: the difference must be
 *    the plan's operations and nothing else; pages that no edit touched must be those of the file
 *    (IBB_E_INTERNAL when not).
 * 3. Stage directories, files, hives and logs in the volume and read each back.
 * The volume is not committed.
 */
int ibb_apply(const struct ibb_plan *p, struct ibb_facts *f, struct ibb_volume *v,
	      struct ibb_applied *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* Read every file again, from a volume opened anew, and compare digests. IBB_E_IO. */
int ibb_apply_read_back(const struct ibb_applied *a, struct ibb_volume *v,
			struct ibb_error *err) IBB_MUST_CHECK;
void ibb_applied_clear(struct ibb_applied *a);

#endif
