/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Security of new DriverDatabase keys. Windows gives them owner and group SYSTEM and the DACL
 * inherited from \DriverDatabase; whether the ACEs carry the inherited flag differs by image, so a
 * key that Windows made for an OEM package is the model where there is one.
 */
#ifndef IBB_PLAN_KEYSEC_H
#define IBB_PLAN_KEYSEC_H

#include "plan/plan.h"

int ibb_keysec_plan(struct ibb_hive *h, const struct ibb_facts *f, enum ibb_node node,
		    struct ibb_key_security_plan *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* The same self-relative descriptor with owner and group SYSTEM, its DACL, no SACL. */
int ibb_keysec_owned_by_system(struct ibb_bytes sd, struct ibb_buf *ret,
			       struct ibb_error *err) IBB_MUST_CHECK;

#endif
