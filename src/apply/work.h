/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this layer share while a plan is carried out. */
#ifndef IBB_APPLY_WORK_H
#define IBB_APPLY_WORK_H

#include "apply/apply.h"
#include "apply/registry.h"

struct work {
	const struct ibb_plan *p;
	struct ibb_facts *f;
	struct ibb_volume *v;
	struct ibb_applied *out;
	struct ibb_error *err;
};

/* What a file holds. */
struct content {
	uint64_t n_bytes;
	struct ibb_sha256 sha256;
};

int ibb_apply_content(struct work *w, struct ibb_bytes b, struct content *ret) IBB_MUST_CHECK;
/* `before` is NULL for a new file, `after` for one that was removed. */
int ibb_apply_record(struct work *w, const char *path, const char *kind,
		     const struct content *before, const struct content *after) IBB_MUST_CHECK;
/* Put, then read what the volume now says the file holds. */
int ibb_apply_put(struct work *w, const char *path, struct ibb_bytes bytes,
		  enum ibb_put_mode mode) IBB_MUST_CHECK;
/* Edit one hive as planned, prove it, put it into the volume. */
int ibb_apply_hive(struct work *w, enum ibb_hive_id id) IBB_MUST_CHECK;

#endif
