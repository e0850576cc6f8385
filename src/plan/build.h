/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The plan under construction; shared by the files that add operations to it. */
#ifndef IBB_PLAN_BUILD_H
#define IBB_PLAN_BUILD_H

#include "base/limits.h"
#include "plan/keyset.h"
#include "plan/plan.h"

#define IBB_DATABASE "DriverDatabase"

struct ibb_pb {
	const struct ibb_facts *f;
	struct ibb_plan *plan;
	const struct ibb_plan_opts *opts;
	const struct ibb_removal *removals;
	size_t n_removals;
	struct ibb_plan_package *pkg;
	struct ibb_store_fields fields;
	struct ibb_keyset made[IBB_N_HIVES]; /* keys that earlier operations create */
	struct ibb_keyset used[IBB_N_HIVES]; /* keys that removals must leave */
	struct ibb_keyset claimed;	     /* values that a package's configuration sets */
	struct {
		const char *key; /* its parent is `at`: that of the next key most often, too */
		ibb_key at;
	} last[IBB_N_HIVES];
	bool logs_planned[IBB_N_HIVES];
	struct ibb_buf oem_map; /* as the plan will leave it */
	bool oem_taken[IBB_LIMIT_OEM_NUMBER + 1];
	struct ibb_error *err;
};

struct ibb_hive *ibb_pb_hive(const struct ibb_pb *b, enum ibb_hive_id hive);
/* Text that lives as long as the plan; NULL without memory (ibb_pb_finish() notices). */
char *ibb_pb_fmt(struct ibb_pb *b, const char *format, ...) IBB_PRINTF(2, 3);
/* A new operation at the end; NULL (error set) without memory. */
struct ibb_op *ibb_pb_op(struct ibb_pb *b, enum ibb_op_kind kind);
/* Is everything there that its kind needs? IBB_E_NOMEM when not. */
int ibb_pb_finish(struct ibb_pb *b, const struct ibb_op *op) IBB_MUST_CHECK;

/* Set a value, creating the keys on the way; nothing when the hive holds just that already. */
int ibb_pb_value(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		 uint32_t type, const void *data, size_t n, const char *reason,
		 const char *evidence) IBB_MUST_CHECK;
int ibb_pb_string(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		  uint32_t type, const char *text, const char *reason,
		  const char *evidence) IBB_MUST_CHECK;
int ibb_pb_dword(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		 uint32_t v, const char *reason, const char *evidence) IBB_MUST_CHECK;
/* Remove a value that is there. `key` lives as long as the plan. */
int ibb_pb_unset(struct ibb_pb *b, enum ibb_hive_id hive, const char *key,
		 const struct ibb_value *v, const char *reason) IBB_MUST_CHECK;
/* The key must exist. */
int ibb_pb_key(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *reason,
	       const char *evidence) IBB_MUST_CHECK;
/* A value of the hive; IBB_E_NOTFOUND when it, or its key, is not there. */
int ibb_pb_get(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
	       uint32_t *ret_type, struct ibb_buf *ret) IBB_MUST_CHECK;
/* Something that the user should know. */
int ibb_pb_warn(struct ibb_pb *b, const char *format, ...) IBB_PRINTF(2, 3) IBB_MUST_CHECK;
/* The plan's time. */
int ibb_pb_filetime(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		    const char *reason) IBB_MUST_CHECK;

/* Everything that stages b->pkg. */
int ibb_pb_stage(struct ibb_pb *b) IBB_MUST_CHECK;

#endif
