/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IBB_PLAN_REMOVE_H
#define IBB_PLAN_REMOVE_H

#include "plan/build.h"

/* Remember which keys the operations so far need; called once, before the first removal. */
int ibb_pb_note_used(struct ibb_pb *b) IBB_MUST_CHECK;
int ibb_pb_remove(struct ibb_pb *b, const struct ibb_removal *x) IBB_MUST_CHECK;

#endif
