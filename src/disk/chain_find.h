/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between chain.c and chain_find.c: where the parent of a differencing disk may lie. */
#ifndef IBB_DISK_CHAIN_FIND_H
#define IBB_DISK_CHAIN_FIND_H

#include "disk/chain.h"

struct ibb_candidate {
	char *path; /* as it is spelt on this machine, when it is there; owned */
	enum ibb_found_by by;
};

struct ibb_candidates {
	size_t n, cap;
	struct ibb_candidate *list; /* no path twice */
};

/* The places that the locators of a disk at `child` name, the likeliest first; none need exist. */
int ibb_candidates_named(const char *child, const struct ibb_parent_link *l,
			 struct ibb_candidates *ret, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The images (*.vhd, *.vhdx, *.avhd, *.avhdx) in the directory of `child`, by name.
 * *ret_too_many: there are more than IBB_LIMIT_CHAIN_SCAN, and none is given.
 */
int ibb_candidates_beside(const char *child, struct ibb_candidates *ret, bool *ret_too_many,
			  struct ibb_error *err) IBB_MUST_CHECK;
void ibb_candidates_clear(struct ibb_candidates *c);

#endif
