/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every public function begins and ends with. */
#ifndef IBB_API_DOC_H
#define IBB_API_DOC_H

#include "base/json.h"
#include "ibbake/ibbake.h"

/* Is the request of this library version, and has it what the task needs? IBB_E_INVALID. */
int ibb_doc_check_request(const struct ibb_request *q, bool image, bool sizes,
			  struct ibb_error *err) IBB_MUST_CHECK;
/* A document's root object with its schema. */
struct ibb_json *ibb_doc_begin(struct ibb_jb *b, const char *schema);
/* The finished document as text for the caller. */
int ibb_doc_print(struct ibb_jb *b, char **ret, struct ibb_error *err) IBB_MUST_CHECK;

/* The public functions behind their argument checks; err is never NULL here. */
int ibb_do_sizes(const struct ibb_request *q, char **ret_json,
		 struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_resolve(const struct ibb_request *q, char **ret_json,
		   struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_inspect(const struct ibb_request *q, char **ret_json,
		   struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_plan(const struct ibb_request *q, char **ret_json, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_bake(const struct ibb_request *q, char **ret_json, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_recover(const struct ibb_request *q, char **ret_json,
		   struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_verify(const struct ibb_request *q, char **ret_json,
		  struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_convert(const struct ibb_request *q, char **ret_json,
		   struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_drivers_list(const struct ibb_request *q, char **ret_json,
			struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_drivers_add(const struct ibb_request *q, char **ret_json,
		       struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_drivers_check(const struct ibb_request *q, char **ret_json,
			 struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_drivers_unpack(const struct ibb_request *q, char **ret_json,
			  struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_drivers_remove(const struct ibb_request *q, char **ret_json,
			  struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_catalog_show(const struct ibb_request *q, char **ret_json,
			struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_catalog_check(const struct ibb_request *q, char **ret_json,
			 struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_catalog_import(const struct ibb_request *q, char **ret_json,
			  struct ibb_error *err) IBB_MUST_CHECK;

int ibb_do_bundle_create(const struct ibb_request *q, char **ret_json,
			 struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_bundle_check(const struct ibb_request *q, char **ret_json,
			struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_bundle_unpack(const struct ibb_request *q, char **ret_json,
			 struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_fetch(const struct ibb_request *q, char **ret_json,
		 struct ibb_error *err) IBB_MUST_CHECK;
int ibb_do_cache(const struct ibb_request *q, enum ibb_cache_task task, char **ret_json,
		 struct ibb_error *err) IBB_MUST_CHECK;

#endif
