/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is planned for a boot-critical package beyond its staging, and how it is taken out again. */
#ifndef IBB_PLAN_REFLECT_H
#define IBB_PLAN_REFLECT_H

#include "driver/configure.h"
#include "plan/build.h"

/* Sets b->pkg->reflect, by the rule that is documented at struct ibb_plan_opts. */
int ibb_pb_decide_reflect(struct ibb_pb *b, bool class_is_critical) IBB_MUST_CHECK;
/* The same of a package that is staged already; warns when it lacks its configuration. */
int ibb_pb_decide_existing(struct ibb_pb *b) IBB_MUST_CHECK;
/*
 * The configuration of b->pkg, whose name and published name are known. IBB_E_UNSUPPORTED when
 * Windows' own would be guessed, or when what it makes is there and belongs to somebody else.
 */
int ibb_pb_configure(struct ibb_pb *b, struct ibb_configuration **ret) IBB_MUST_CHECK;
/* Its operations. IBB_E_CONFLICT: another package of the plan sets the same. */
int ibb_pb_reflect(struct ibb_pb *b, const struct ibb_configuration *c) IBB_MUST_CHECK;

/* Take out what the configuration of the packages x[0..n) made and nobody else owns. */
int ibb_pb_unreflect(struct ibb_pb *b, const struct ibb_removal *x, size_t n) IBB_MUST_CHECK;

/* A REG_MULTI_SZ value. */
enum ibb_pb_list_state { IBB_LIST_NO_KEY, IBB_LIST_NO_VALUE, IBB_LIST_OTHER_TYPE, IBB_LIST_THERE };
struct ibb_pb_list {
	enum ibb_pb_list_state state;
	size_t n;
	const char **items; /* in the plan's arena */
};
int ibb_pb_read_list(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		     struct ibb_pb_list *ret) IBB_MUST_CHECK;
int ibb_pb_parse_list(struct ibb_pb *b, struct ibb_bytes data,
		      struct ibb_pb_list *ret) IBB_MUST_CHECK;
int ibb_pb_write_list(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		      const char *const *items, size_t n, const char *reason,
		      const char *evidence) IBB_MUST_CHECK;
/* Is the package that an Owners list calls so taken out by the plan? */
bool ibb_pb_goes(const struct ibb_pb *b, const char *owner);

#endif
