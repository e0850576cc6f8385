/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What only looks at a WIM: inspect, plan, drivers list. */
#include <stdlib.h>

#include "api/doc.h"
#include "api/parts.h"
#include "api/wims.h"
#include "base/path.h"

/* The document up to its "images". */
static struct ibb_json *begin(struct ibb_wims *set, const char *schema, const char *key,
			      struct ibb_jb *b)
{
	struct ibb_wim_identity id = {.file_name = ibb_path_base(set->q->image),
				      .info = *ibb_wim_info(set->wim)};
	struct ibb_json *root = ibb_doc_begin(b, schema);

	ibb_wim_identity_json(&id, b, ibb_jb_object(b, root, key));
	return root;
}

static struct ibb_json *begin_image(const struct ibb_wims *set, const struct ibb_wim_item *it,
				    struct ibb_jb *b, struct ibb_json *list)
{
	struct ibb_json *o = ibb_jb_object(b, list, NULL);

	ibb_wim_image_json(ibb_wim_image(set->wim, it->index), b, o);
	return o;
}

static int end(struct ibb_jb *b, int r, char **ret_json, struct ibb_error *err)
{
	if (!r)
		return ibb_doc_print(b, ret_json, err);
	ibb_jb_clear(b);
	return r;
}

/* ---- inspect ---- */

/* The image's part; *why: what is in the way of a bake. The return value: no document at all. */
static int inspect_image(struct ibb_wims *set, struct ibb_wim_item *it, struct ibb_jb *b,
			 struct ibb_json *list, struct ibb_error *why, struct ibb_error *err)
{
	struct ibb_json *o = begin_image(set, it, b, list);
	int problem = ibb_wims_enter(set, it, false, why), r;
	bool readable = false;

	ibb_wim_xml_json(ibb_wim_image(set->wim, it->index), b, o);
	ibb_jb_str(b, o, "skipped", it->skipped);
	if (it->skipped) {
		ibb_inspect_problem_json(IBB_OK, why, b, o);
		return IBB_OK;
	}
	r = ibb_session_catalog(set->q, &it->s.catalog, err);
	if (r)
		return r;
	readable = !problem;
	problem = ibb_inspect_problem(&it->s, problem, why);
	if (problem == IBB_E_NOMEM || problem == IBB_E_CANCELLED) {
		*err = *why;
		return problem;
	}
	readable &= !problem;
	if (it->s.facts) {
		ibb_facts_json(it->s.facts, b, ibb_jb_object(b, o, "image"));
		if (readable)
			r = ibb_inspect_functions(&it->s, b, o, err);
	}
	ibb_session_warnings_json(&it->s, b, o);
	ibb_inspect_problem_json(problem, why, b, o);
	why->code = problem;
	return r;
}

/*
 * An image with a problem is described like the others. It counts as the result when it was named,
 * when it is damaged, or when no other image is without one.
 */
static int inspect_all(struct ibb_wims *set, struct ibb_jb *b, struct ibb_json *list,
		       struct ibb_error *ret_why, struct ibb_error *err)
{
	bool fine = false, named = false;
	int r = IBB_OK;

	for (size_t i = 0; i < set->n && !r; i++) {
		struct ibb_wim_item *it = &set->items[i];
		struct ibb_error why = {0};

		r = inspect_image(set, it, b, list, &why, err);
		ibb_wims_leave(set, it);
		if (r || it->skipped)
			continue;
		fine |= !why.code;
		named |= why.code && it->named;
		if (ibb_exit_status(why.code) <= ibb_exit_status(ret_why->code))
			continue;
		*ret_why = why;
		(void)ibb_wims_fail(set, it, why.code, ret_why);
	}
	if (!r && fine && !named && ibb_exit_status(ret_why->code) < 255)
		ret_why->code = IBB_OK;
	return r;
}

int ibb_wims_inspect(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_error why = {0};
	struct ibb_wims set;
	struct ibb_jb b = {0};
	struct ibb_json *root;
	int r = ibb_wims_open(q, true, &set, err);

	if (r)
		return r;
	root = begin(&set, "ibbake-wim-inspect/1", "identity", &b);
	r = inspect_all(&set, &b, ibb_jb_array(&b, root, "images"), &why, err);
	r = end(&b, r, ret_json, err);
	ibb_wims_close(&set);
	if (!r && why.code)
		*err = why;
	return r ? r : why.code;
}

/* ---- one document of every image ---- */

/* What is said of an image with a Windows, whose session is open. */
typedef int (*image_fn)(struct ibb_wim_item *it, struct ibb_jb *b, struct ibb_json *o,
			struct ibb_error *err);

static int one(struct ibb_wims *set, struct ibb_wim_item *it, image_fn fn, struct ibb_jb *b,
	       struct ibb_json *list, struct ibb_error *err)
{
	struct ibb_json *o = begin_image(set, it, b, list);
	int r = ibb_wims_enter(set, it, false, err);

	if (r)
		return r;
	if (it->skipped) {
		ibb_jb_str(b, o, "skipped", it->skipped);
		return IBB_OK;
	}
	r = fn(it, b, o, err);
	return r ? ibb_wims_fail(set, it, r, err) : IBB_OK;
}

static int each(struct ibb_wims *set, image_fn fn, struct ibb_jb *b, struct ibb_json *list,
		struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < set->n && !r; i++) {
		r = one(set, &set->items[i], fn, b, list, err);
		ibb_wims_leave(set, &set->items[i]);
	}
	return r ? r : ibb_wims_any(set, err);
}

/* ---- plan ---- */

static int plan_image(struct ibb_wim_item *it, struct ibb_jb *b, struct ibb_json *o,
		      struct ibb_error *err)
{
	int r = ibb_session_plan(&it->s, err);

	if (r)
		return r;
	ibb_jb_str(b, o, "signature", ibb_plan_signature(it->s.plan));
	ibb_plan_part_json(&it->s, b, o);
	return IBB_OK;
}

int ibb_wims_plan(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_wims set;
	struct ibb_jb b = {0};
	struct ibb_json *root, *archives;
	int r = ibb_wims_open(q, false, &set, err);

	if (r)
		return r;
	/* what bake could not write is refused here as well */
	r = ibb_wim_check_writable(set.wim, false, err);
	root = begin(&set, "ibbake-wim-plan/1", "input", &b);
	archives = ibb_jb_array(&b, root, "archives");
	if (!r)
		r = each(&set, plan_image, &b, ibb_jb_array(&b, root, "images"), err);
	if (!r) /* known by now */
		ibb_session_archives_json(&set.common, &b, archives);
	r = end(&b, r, ret_json, err);
	ibb_wims_close(&set);
	return r;
}

/* ---- drivers list ---- */

static int list_image(struct ibb_wim_item *it, struct ibb_jb *b, struct ibb_json *o,
		      struct ibb_error *err)
{
	int r = ibb_facts_check(it->s.facts, true, err);
	if (!r)
		r = ibb_drivers_list_json(&it->s, b, o, err);
	ibb_session_warnings_json(&it->s, b, o);
	return r;
}

int ibb_wims_drivers_list(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_wims set;
	struct ibb_jb b = {0};
	struct ibb_json *root;
	int r = ibb_wims_open(q, true, &set, err);

	if (r)
		return r;
	root = begin(&set, "ibbake-wim-drivers/1", "identity", &b);
	r = each(&set, list_image, &b, ibb_jb_array(&b, root, "images"), err);
	r = end(&b, r, ret_json, err);
	ibb_wims_close(&set);
	return r;
}
