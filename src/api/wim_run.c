/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every image that is meant: planned, changed in memory, described. */
#include <malloc.h>
#include <string.h>

#include "api/lockfile.h"
#include "api/output.h"
#include "api/wims.h"
#include "base/utf16.h"

static int add_path(struct ibb_wim_item *it, const char *path, struct ibb_error *err)
{
	if (ibb_grow(&it->paths, &it->cap_paths, it->n_paths, sizeof(*it->paths)))
		return ibb_err_nomem(err);
	it->paths[it->n_paths] = ibb_strdup(path);
	if (!it->paths[it->n_paths])
		return ibb_err_nomem(err);
	it->n_paths++;
	return IBB_OK;
}

static int note_paths(struct ibb_wim_item *it, struct ibb_error *err)
{
	const struct ibb_plan *p = it->s.plan;
	int r = IBB_OK;

	it->n_ops = p->n_ops;
	for (size_t i = 0; i < p->n_ops && !r; i++)
		if (p->ops[i].path)
			r = add_path(it, p->ops[i].path, err);
	for (size_t i = 0; i < it->applied.n_files && !r; i++)
		r = add_path(it, it->applied.files[i].path, err);
	return r;
}

/* The weakest comes first in the list. */
static const char *weaker(const char *a, const char *b)
{
	static const char *const order[] = {"test trust", "allowed", "not verified", "verified"};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(order); i++)
		if (strcmp(a, order[i]) == 0 || strcmp(b, order[i]) == 0)
			return order[i];
	return a;
}

static int note_packages(struct ibb_wims *set, const struct ibb_session *s, struct ibb_error *err)
{
	int r = IBB_OK;

	set->signature = weaker(set->signature, ibb_plan_signature(s->plan));
	/* there is a lock file: it stays as it is */
	for (size_t i = 0; i < s->n_chosen && !ibb_lockfile_locks_packages(s->lockfile) && !r; i++)
		r = ibb_lock_entries_add(&set->locked, &set->n_locked, &set->cap_locked,
					 s->chosen[i], err);
	return r;
}

static int make_doc(struct ibb_wims *set, struct ibb_wim_item *it, struct ibb_error *err)
{
	IBB_AUTO_FREE struct ibb_left_out *left = NULL;
	struct ibb_manifest_input m;
	struct ibb_jb b = {0};
	struct ibb_json *o;
	int r = ibb_session_manifest(&it->s, &it->applied, &m, &left, err);

	if (r)
		return r;
	o = ibb_jb_object(&b, NULL, NULL);
	ibb_wim_image_json(ibb_wim_image(set->wim, it->index), &b, o);
	ibb_jb_str(&b, o, "signature", ibb_plan_signature(it->s.plan));
	ibb_facts_json(it->s.facts, &b, ibb_jb_object(&b, o, "image"));
	ibb_manifest_part_json(&m, &b, o);
	return ibb_jb_done(&b, &it->doc, err);
}

static int skipped_doc(struct ibb_wims *set, struct ibb_wim_item *it, struct ibb_error *err)
{
	struct ibb_jb b = {0};
	struct ibb_json *o = ibb_jb_object(&b, NULL, NULL);

	ibb_wim_image_json(ibb_wim_image(set->wim, it->index), &b, o);
	ibb_jb_str(&b, o, "skipped", it->skipped);
	return ibb_jb_done(&b, &it->doc, err);
}

static int apply(struct ibb_wim_item *it, struct ibb_error *err)
{
	struct ibb_session *s = &it->s;
	int r = ibb_session_phase(s->q, "apply", 0, 0, err);

	if (!r)
		r = ibb_apply(s->plan, s->facts, s->volume, &it->applied, err);
	return r || !s->plan->n_ops ? r : ibb_volume_commit(s->volume, err);
}

static int other_package(const struct ibb_session *s, const char *name,
			 const struct ibb_wim_removed *first, const char *inf,
			 struct ibb_error *err)
{
	ibb_err(err, IBB_E_CONFLICT, "%s is %s here, and %s in image %u", name, inf, first->inf,
		first->index);
	return ibb_err_hint(err, IBB_E_CONFLICT,
			    "every image numbers its packages for itself: name the package by its "
			    "INF (%s), or remove it image by image (--image %u)",
			    first->inf, s->index);
}

/* The number of oemN.inf is the image's own: it must not mean one package here, another there. */
static int check_removals(struct ibb_wims *set, const struct ibb_session *s, struct ibb_error *err)
{
	const struct ibb_request *q = set->q;

	if (!set->removed && s->n_removals && q->n_published) {
		set->removed = ibb_calloc_array(q->n_published, sizeof(*set->removed));
		if (!set->removed)
			return ibb_err_nomem(err);
	}
	for (size_t k = 0; k < s->n_removals * q->n_published; k++) {
		const struct ibb_fact_package *p = s->removals[k / q->n_published].package;
		struct ibb_wim_removed *x = &set->removed[k % q->n_published];
		const char *name = q->published[k % q->n_published];
		const char *inf = p->inf_name ? p->inf_name : p->name;

		x->met |= ibb_session_names(p, name);
		if (!ibb_caseeq(p->published, name))
			continue;
		if (x->inf && !ibb_caseeq(x->inf, inf))
			return other_package(s, name, x, inf, err);
		if (x->inf)
			continue;
		x->inf = ibb_strdup(inf);
		if (!x->inf)
			return ibb_err_nomem(err);
		x->index = s->index;
	}
	return IBB_OK;
}

/* What no image holds is a wrong name, also where each of them may lack it. */
static int check_met(const struct ibb_wims *set, struct ibb_error *err)
{
	for (size_t k = 0; set->lacking && k < set->q->n_published; k++)
		if (!set->removed || !set->removed[k].met)
			return ibb_err(err, IBB_E_UNSUPPORTED,
				       "%s: no driver package %s is staged in any of its images "
				       "with a Windows",
				       set->name, set->q->published[k]);
	return IBB_OK;
}

static int run_entered(struct ibb_wims *set, struct ibb_wim_item *it, ibb_planner_fn planner,
		       struct ibb_error *err)
{
	int r = planner(&it->s, err);

	set->lacking |= it->s.lacks;
	if (!r)
		r = check_removals(set, &it->s, err);
	/* the packages are known now: the outputs must not be one of their files */
	if (!r)
		r = ibb_output_check_paths(&it->s, err);
	if (!r)
		r = apply(it, err);
	if (!r)
		r = note_paths(it, err);
	if (!r)
		r = note_packages(set, &it->s, err);
	return r ? r : make_doc(set, it, err);
}

static int run_item(struct ibb_wims *set, struct ibb_wim_item *it, ibb_planner_fn planner,
		    struct ibb_error *err)
{
	int r = ibb_wims_enter(set, it, true, err);

	if (r)
		return r;
	if (it->skipped)
		return skipped_doc(set, it, err);
	r = run_entered(set, it, planner, err);
	ibb_wims_leave(set, it);
	return r ? ibb_wims_fail(set, it, r, err) : IBB_OK;
}

/*
 * Hives and packages are freed by now, but glibc keeps their pages, and what follows (wimlib's
 * trees, compressors) does not fit into the holes: measured, 20 MiB of 95 at the peak.
 */
static void give_back(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

int ibb_wims_run(struct ibb_wims *set, ibb_planner_fn planner, struct ibb_error *err)
{
	int r = ibb_wims_identity(set->q, set->wim, set->q->image, &set->input, err);

	for (size_t i = 0; i < set->n && !r; i++)
		r = run_item(set, &set->items[i], planner, err);
	give_back();
	if (!r)
		r = check_met(set, err);
	return r ? r : ibb_wims_any(set, err);
}
