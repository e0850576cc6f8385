/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The public functions: sizes and resolve; the others are in inspect.c, plan.c, bake.c and
 * verify.c. */
#include <stdlib.h>

#include "api/catalogs.h"
#include "api/bundle.h"
#include "api/doc.h"
#include "api/session.h"

const char *ibb_version(void)
{
	return IBB_VERSION;
}

void ibb_free(void *p)
{
	free(p);
}

/* ---- sizes, resolve ---- */

static void size_json(const struct ibb_size *z, struct ibb_jb *b, struct ibb_json *arr)
{
	struct ibb_json *o = ibb_jb_object(b, arr, NULL), *list;

	ibb_jb_str(b, o, "name", z->name);
	ibb_jb_str(b, o, "series", z->series);
	ibb_jb_str(b, o, "nic", z->nic);
	ibb_jb_str(b, o, "rate", z->rate);
	ibb_jb_int(b, o, "gbps_per_port", z->gbps_per_port);
	ibb_jb_int(b, o, "ports", z->ports);
	ibb_jb_bool(b, o, "sriov", z->sriov);
	ibb_jb_str(b, o, "driver_set", z->driver_set);
	ibb_jb_str(b, o, "arch", z->arch);
	list = ibb_jb_array(b, o, "generations");
	if (z->generation1)
		ibb_jb_str(b, list, NULL, "V1");
	if (z->generation2)
		ibb_jb_str(b, list, NULL, "V2");
	ibb_jb_str(b, o, "status", z->status);
	ibb_jb_bool(b, o, "retired", z->retired);
	ibb_jb_str(b, o, "retire_date", z->retire_date);
	ibb_jb_str(b, o, "constrained_of", z->constrained_of);
	ibb_jb_str(b, o, "confidence", z->confidence);
	ibb_jb_str(b, o, "note", z->note);
	list = ibb_jb_array(b, o, "function_ids");
	for (size_t i = 0; z->function && i < z->function->n_ids; i++)
		ibb_jb_str(b, list, NULL, z->function->hardware_ids[i]);
	list = ibb_jb_array(b, o, "sources");
	for (size_t i = 0; i < z->n_sources; i++)
		ibb_jb_str(b, list, NULL, z->sources[i]->title);
}

int ibb_do_sizes(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO(ibb_catalog_free) struct ibb_catalog *c = NULL;
	struct ibb_jb b = {0};
	struct ibb_json *root, *list;
	int r = ibb_doc_check_request(q, false, false, err);

	if (!r)
		r = ibb_session_catalog(q, &c, err);
	if (r)
		return r;
	root = ibb_doc_begin(&b, "ibbake-sizes/1");
	ibb_jb_str(&b, root, "catalog_as_of", ibb_catalog_version(c));
	list = ibb_jb_array(&b, root, "sizes");
	for (size_t i = 0; i < ibb_catalog_n_sizes(c); i++)
		size_json(ibb_catalog_size_at(c, i), &b, list);
	ibb_catalog_conflicts_json(c, &b, ibb_jb_array(&b, root, "warnings"));
	return ibb_doc_print(&b, ret_json, err);
}

int ibb_do_resolve(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO(ibb_catalog_free) struct ibb_catalog *c = NULL;
	struct ibb_select_options o = {0};
	struct ibb_windows w;
	struct ibb_jb b = {0};
	struct ibb_json *root, *list;
	struct ibb_error refusal = {0};
	int r = ibb_doc_check_request(q, false, true, err), refused = 0;

	if (!r && !q->os)
		r = ibb_err(err, IBB_E_INVALID, "no Windows was named");
	if (!r)
		r = ibb_session_catalog(q, &c, err);
	if (!r)
		r = ibb_catalog_find_windows(c, q->os, &w, err);
	if (r)
		return r;
	o.allow_unsupported = q->allow_unsupported;
	root = ibb_doc_begin(&b, "ibbake-resolve/1");
	list = ibb_jb_array(&b, root, "resolutions");
	for (size_t i = 0; i < q->n_sizes && !r; i++) {
		IBB_AUTO(ibb_resolution_free) struct ibb_resolution *res = NULL;
		const struct ibb_size *size;

		r = ibb_catalog_find_size(c, q->sizes[i], &size, err);
		if (!r)
			r = ibb_opened_check(q, size->name, &w, err);
		if (!r)
			r = ibb_catalog_resolve(c, size, &w, &res, err);
		if (r)
			break;
		ibb_resolution_json(res, &b, ibb_jb_object(&b, list, NULL));
		if (!refused)
			refused = ibb_select_check(res, &o, &refusal);
	}
	ibb_catalog_conflicts_json(c, &b, ibb_jb_array(&b, root, "warnings"));
	if (r) {
		ibb_jb_clear(&b);
		return r;
	}
	r = ibb_doc_print(&b, ret_json, err);
	if (!r && refused && err)
		*err = refusal;
	return r ? r : refused;
}
