/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything an install section draws on: its own parts (.HW, .Services, ...), and what Include and
 * Needs add to them from other INFs of the target. Microsoft, "INF DDInstall Section", "INF
 * DDInstall.HW Section" and the pages of the other parts.
 */
#ifndef IBB_DRIVER_INF_MERGE_H
#define IBB_DRIVER_INF_MERGE_H

#include "inf/inf.h"

/*
 * The INFs of the target's own Windows\INF. get: *ret belongs to the provider and lives as long as
 * it. IBB_E_NOTFOUND when the target has none of that name. get may be NULL: there are none.
 */
struct ibb_inf_provider {
	int (*get)(void *ctx, const char *name, struct ibb_inf **ret, struct ibb_error *err);
	void *ctx;
};

enum ibb_install_part {
	IBB_PART_MAIN, /* DDInstall */
	IBB_PART_HW,
	IBB_PART_SERVICES,
	IBB_PART_INTERFACES,
	IBB_PART_WDF,
	IBB_N_PARTS
};

/* One section whose directives take part. */
struct ibb_merge_step {
	struct ibb_inf *inf;
	const struct ibb_inf_section *section;
	enum ibb_install_part part;
	bool own; /* it stands in the package's INF */
};
struct ibb_merge {
	size_t n_steps;
	const struct ibb_merge_step *steps; /* by part; a section before what it needs */
	size_t n_included;
	const char *const *included; /* INFs, as first spelt, each once, in the order met */
	uint32_t parts;		     /* bit 1 << part: the package's INF has that part */
};

/*
 * section is the DDInstall section as ibb_inf_install() chose it. All memory comes from the arena.
 * IBB_E_UNSUPPORTED, with file, line and directive: a part that is not understood (.CoInstallers
 * and others), an included INF that the target lacks, Needs whose section nobody has or more than
 * one file has, and Needs from DDInstall to a .HW or other part, which Windows does not merge as
 * it stands (its own pci.inf does that, and no Driver values come of it). IBB_E_CORRUPT: a circle.
 */
int ibb_inf_merge(struct ibb_inf *inf, const char *section, const struct ibb_inf_provider *included,
		  struct ibb_arena *arena, struct ibb_merge *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;

#endif
