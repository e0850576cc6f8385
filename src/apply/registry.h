/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The registry half of apply. */
#ifndef IBB_APPLY_REGISTRY_H
#define IBB_APPLY_REGISTRY_H

#include "plan/plan.h"

/* Carry out the KEY and VALUE operations of one hive on it. */
int ibb_apply_registry(const struct ibb_plan *p, enum ibb_hive_id hive, struct ibb_hive *h,
		       struct ibb_error *err) IBB_MUST_CHECK;

/* Is the difference between the two hives exactly that hive's operations? IBB_E_INTERNAL. */
int ibb_apply_check_difference(const struct ibb_plan *p, enum ibb_hive_id hive,
			       const struct ibb_hive *before, const struct ibb_hive *after,
			       struct ibb_error *err) IBB_MUST_CHECK;

#endif
