/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which of the given driver packages is staged for a size, and which are left out and why. Pure. */
#ifndef IBB_PLAN_SELECT_H
#define IBB_PLAN_SELECT_H

#include "catalog/catalog.h"
#include "driver/package.h"
#include "inspect/facts.h"

/* A package that was looked at and left out. */
struct ibb_rejected {
	const struct ibb_package *package;
	char *reason;
};

/* An ID the package registers for beyond the InfiniBand function. */
struct ibb_taken_over {
	const char *id;
	const char *install_section;
	unsigned line;
	const struct ibb_fact_package *old; /* what serves it in the image now, or NULL */
	bool wins;			    /* Windows will choose ours for it */
};

/* The decision for one size. */
struct ibb_selection {
	const struct ibb_facts *facts;		 /* borrowed: of the image */
	const struct ibb_resolution *resolution; /* borrowed */
	struct ibb_package *package;		 /* borrowed; the one to stage */
	const char *matched_id;			 /* the function's ID that it serves */
	struct ibb_match match;
	struct ibb_taken_over *taken_over; /* accelerated-networking IDs */
	size_t n_taken_over;
	struct ibb_rejected *rejected;
	size_t n_rejected, cap_rejected;
	/* which package Windows will choose once ours is staged */
	bool wins, loses;		      /* neither: they rank alike */
	const struct ibb_fact_package *rival; /* best other package of the image, or NULL */
	char *rank_reason;		      /* one sentence */
	/* device instances that already run another driver: staging alone does not change them */
	const struct ibb_fact_device **bound;
	size_t n_bound;
};

struct ibb_select_options {
	bool allow_unsupported;
};

/*
 * May this resolution go on? IBB_E_UNSUPPORTED with the deciding rule's reason when it is
 * impossible, or unsupported and not allowed.
 */
int ibb_select_check(const struct ibb_resolution *r, const struct ibb_select_options *o,
		     struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Choose among packages[0..n). IBB_E_UNSUPPORTED when none serves the size's InfiniBand function,
 * or only through a bare DEV_xxxx ID (the accelerated-networking binding, not InfiniBand).
 */
int ibb_select(const struct ibb_facts *f, const struct ibb_resolution *r,
	       struct ibb_package *const *packages, size_t n, struct ibb_selection *ret,
	       struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Which package of the image would Windows choose for a function? *ret->package is NULL when none
 * is registered for it; *ret_bare: only a bare DEV_xxxx ID is served, which is not InfiniBand.
 */
int ibb_select_in_image(const struct ibb_facts *f, const struct ibb_function *fn,
			struct ibb_fact_match *ret, bool *ret_bare,
			struct ibb_error *err) IBB_MUST_CHECK;
void ibb_selection_clear(struct ibb_selection *s);

#endif
