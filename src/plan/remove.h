/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IBB_PLAN_REMOVE_H
#define IBB_PLAN_REMOVE_H

#include "plan/build.h"

/*
 * Take x[0..n) out; called once, after everything that the plan adds. IBB_E_CONFLICT: the driver
 * database contradicts itself about one of them; IBB_E_UNSUPPORTED: its published name stands for
 * other packages as well.
 */
int ibb_pb_remove(struct ibb_pb *b, const struct ibb_removal *x, size_t n) IBB_MUST_CHECK;

/* One file, and a key with everything in it but what the plan otherwise uses. */
int ibb_pb_remove_file(struct ibb_pb *b, const char *path, const char *why) IBB_MUST_CHECK;
int ibb_pb_take_out_key(struct ibb_pb *b, enum ibb_hive_id hive, const char *key,
			const char *why) IBB_MUST_CHECK;

#endif
