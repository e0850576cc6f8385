/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The public edge: what the caller may leave out is put in, then the task is done elsewhere. */
#include "api/bundle.h"
#include "api/doc.h"

/* A caller who does not want the error still gets the code. */
int ibb_sizes(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_bundle_task(q, ibb_do_sizes, ret_json, err ? err : &unwanted);
}

int ibb_resolve(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_bundle_task(q, ibb_do_resolve, ret_json, err ? err : &unwanted);
}

int ibb_inspect(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_inspect(q, ret_json, err ? err : &unwanted);
}

int ibb_plan(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_bundle_task(q, ibb_do_plan, ret_json, err ? err : &unwanted);
}

int ibb_bake(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_bundle_task(q, ibb_do_bake, ret_json, err ? err : &unwanted);
}

int ibb_verify(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_bundle_task(q, ibb_do_verify, ret_json, err ? err : &unwanted);
}

int ibb_recover(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_recover(q, ret_json, err ? err : &unwanted);
}

int ibb_convert(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_convert(q, ret_json, err ? err : &unwanted);
}

int ibb_drivers_list(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_drivers_list(q, ret_json, err ? err : &unwanted);
}

int ibb_drivers_add(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_bundle_task(q, ibb_do_drivers_add, ret_json, err ? err : &unwanted);
}

int ibb_drivers_check(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_bundle_task(q, ibb_do_drivers_check, ret_json, err ? err : &unwanted);
}

int ibb_drivers_remove(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_drivers_remove(q, ret_json, err ? err : &unwanted);
}

int ibb_fetch(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_fetch(q, ret_json, err ? err : &unwanted);
}

int ibb_cache(const struct ibb_request *q, enum ibb_cache_task task, char **ret_json,
	      struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_cache(q, task, ret_json, err ? err : &unwanted);
}

int ibb_drivers_unpack(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_drivers_unpack(q, ret_json, err ? err : &unwanted);
}

int ibb_catalog_show(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_catalog_show(q, ret_json, err ? err : &unwanted);
}

int ibb_catalog_check(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_catalog_check(q, ret_json, err ? err : &unwanted);
}

int ibb_catalog_import(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_catalog_import(q, ret_json, err ? err : &unwanted);
}

int ibb_bundle_create(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_bundle_create(q, ret_json, err ? err : &unwanted);
}

int ibb_bundle_check(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_bundle_check(q, ret_json, err ? err : &unwanted);
}

int ibb_bundle_unpack(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error unwanted = {0};

	return ibb_do_bundle_unpack(q, ret_json, err ? err : &unwanted);
}
