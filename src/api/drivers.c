/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_drivers_add() and ibb_drivers_remove(): the same machinery for any driver package. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/doc.h"
#include "api/session.h"
#include "api/trust.h"
#include "base/utf16.h"

/* ---- which staged packages go ---- */

static int add_removal(struct ibb_session *s, const struct ibb_fact_package *p,
		       struct ibb_error *err)
{
	struct ibb_removal *x;
	int r;

	for (size_t i = 0; i < s->n_removals; i++)
		if (s->removals[i].package == p)
			return IBB_OK;
	x = ibb_realloc_array(s->removals, s->n_removals + 1, sizeof(*x));
	if (!x)
		return ibb_err_nomem(err);
	s->removals = x;
	x = &s->removals[s->n_removals];
	*x = (struct ibb_removal){.package = p};
	r = ibb_facts_store_files(p, s->volume, &x->files, err);
	if (!r)
		r = ibb_facts_copied_files(s->facts, p, s->volume, &x->copied, err);
	if (r)
		ibb_removal_clear(x);
	else
		s->n_removals++;
	return r;
}

static int check_removable(const struct ibb_session *s, const struct ibb_fact_package *p,
			   struct ibb_error *err)
{
	if (!p->oem)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s came with Windows and is not removed",
			       p->published);
	if (p->in_use && !s->q->force) {
		ibb_err(err, IBB_E_UNSUPPORTED,
			"%s (%s) is in use: a device or service of the image is set up with it",
			p->published, p->inf_name ? p->inf_name : p->name);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "it loses its driver; --force removes it all the same");
	}
	return IBB_OK;
}

static int remove_one(struct ibb_session *s, const struct ibb_fact_package *p,
		      struct ibb_error *err)
{
	int r = check_removable(s, p, err);

	if (!r && p->in_use)
		r = ibb_session_warn(s, err,
				     "%s is in use by a device or service of the image; going on "
				     "because of --force",
				     p->published);
	return r ? r : add_removal(s, p, err);
}

/* By published name, or by the INF's original name, which may stand for several versions. */
static int remove_named(struct ibb_session *s, const char *name, struct ibb_error *err)
{
	bool found = false;
	int r = IBB_OK;

	for (size_t i = 0; i < s->facts->n_packages && !r; i++) {
		const struct ibb_fact_package *p = &s->facts->packages[i];

		if (!p->published || (!ibb_caseeq(p->published, name) &&
				      !(p->oem && p->inf_name && ibb_caseeq(p->inf_name, name))))
			continue;
		found = true;
		r = remove_one(s, p, err);
	}
	if (!r && !found)
		return ibb_err(err, IBB_E_UNSUPPORTED, "no driver package %s is staged in %s", name,
			       s->q->image);
	return r;
}

static int plan_remove(struct ibb_session *s, struct ibb_error *err)
{
	struct ibb_plan_opts o = ibb_session_plan_opts(s);
	int r = ibb_session_check(s, err);

	for (size_t i = 0; i < s->q->n_published && !r; i++)
		r = remove_named(s, s->q->published[i], err);
	if (!r)
		r = ibb_plan_build_changes(s->facts, NULL, 0, s->removals, s->n_removals, &o,
					   &s->plan, err);
	return r ? r : ibb_session_plan_warnings(s, err);
}

/* ---- which packages come ---- */

/* Can the one be in the way of the other? By the same INF name, or the same service. */
static bool may_collide(const struct ibb_package *a, const struct ibb_package *b)
{
	return ibb_caseeq(a->inf_name, b->inf_name) ||
	       (a->boot_start_service && b->boot_start_service);
}

/* Would this package be staged beside those in front of it? */
static int plan_alone(struct ibb_session *s, size_t i, struct ibb_error *err)
{
	IBB_AUTO_FREE struct ibb_package **list = ibb_calloc_array(i + 1, sizeof(*list));
	struct ibb_plan_opts o = ibb_session_plan_opts(s);
	struct ibb_plan *plan = NULL;
	size_t n = 0;
	int r;

	if (!list)
		return ibb_err_nomem(err);
	for (size_t k = 0; k <= i; k++)
		if (may_collide(s->chosen[k], s->chosen[i]))
			list[n++] = s->chosen[k];
	r = ibb_plan_build_changes(s->facts, list, n, s->removals, s->n_removals, &o, &plan, err);
	ibb_plan_free(plan);
	return r;
}

/* The message without the path of the INF in front, which the list of what was left out has. */
static const char *reason_for(const struct ibb_package *p, const char *msg)
{
	size_t dir = strlen(p->dir), inf = strlen(p->inf_name);

	if (strncmp(msg, p->dir, dir) == 0 && msg[dir] == '/' &&
	    strncmp(msg + dir + 1, p->inf_name, inf) == 0 &&
	    strncmp(msg + dir + 1 + inf, ": ", 2) == 0)
		return msg + dir + inf + 3;
	return msg;
}

static int leave_out(struct ibb_session *s, size_t i, const char *reason, struct ibb_error *err)
{
	const struct ibb_package *p = s->chosen[i];
	int r = ibb_package_set_pass_over(&s->found, p->dir, p->inf_name, reason, true, err);

	if (r)
		return r;
	memmove(&s->chosen[i], &s->chosen[i + 1],
		(s->n_chosen - i - 1) * sizeof(struct ibb_package *));
	s->n_chosen--;
	return IBB_OK;
}

struct companion_search {
	const struct ibb_package *wanted;
	bool found;
};

static int is_companion(void *ctx, struct ibb_package *p, struct ibb_error *err)
{
	struct companion_search *c = ctx;

	(void)err;
	c->found |= p == c->wanted;
	return IBB_OK;
}

/* An equal package from another directory stands for the one that lies beside p. */
static bool names_companion(struct ibb_session *s, const struct ibb_package *p,
			    const struct ibb_package *companion)
{
	struct companion_search c = {.wanted = companion};
	struct ibb_error why = {0};
	bool named = false;

	for (size_t i = 0; i < p->n_companions && !named; i++)
		named = ibb_caseeq(p->companions[i], companion->inf_name);
	if (!named || strcmp(p->dir, companion->dir) == 0)
		return named;
	/* when it cannot be told, rather without it */
	return ibb_packages_companions(&s->found, p, is_companion, &c, &why) || c.found;
}

/* A package goes in together with what its CopyINF names, or not at all. */
static int leave_out_users(struct ibb_session *s, const struct ibb_package *gone,
			   struct ibb_error *err)
{
	for (size_t i = 0; i < s->n_chosen;) {
		const struct ibb_package *p = s->chosen[i];
		char reason[512];
		int r;

		if (!names_companion(s, p, gone)) {
			i++;
			continue;
		}
		snprintf(reason, sizeof(reason), "it names %s by CopyINF, which is left out",
			 gone->inf_name);
		r = leave_out(s, i, reason, err);
		if (!r)
			r = leave_out_users(s, p, err); /* each time one package less */
		if (r)
			return r;
		i = 0;
	}
	return IBB_OK;
}

static int leave_out_with_users(struct ibb_session *s, size_t i, const char *reason,
				struct ibb_error *err)
{
	const struct ibb_package *p = s->chosen[i];
	int r = leave_out(s, i, reason_for(p, reason), err);

	return r ? r : leave_out_users(s, p, err);
}

/* What only the plan finds out is bad as well. */
static int leave_out_unplannable(struct ibb_session *s, struct ibb_error *err)
{
	for (size_t i = 0; i < s->n_chosen;) {
		int r = plan_alone(s, i, err);

		if (r == IBB_E_NOMEM)
			return r;
		if (!r) {
			i++;
			continue;
		}
		r = leave_out_with_users(s, i, err->msg, err);
		if (r)
			return r;
		i = 0;
	}
	return IBB_OK;
}

static int ignore_companion(void *ctx, struct ibb_package *p, struct ibb_error *err)
{
	(void)ctx;
	(void)p;
	(void)err;
	return IBB_OK;
}

/* What lacks a companion is not whole. */
static int leave_out_unaccompanied(struct ibb_session *s, struct ibb_error *err)
{
	for (size_t i = 0; i < s->n_chosen;) {
		struct ibb_package *p = s->chosen[i];
		int r = ibb_packages_companions(&s->found, p, ignore_companion, NULL, err);

		if (r == IBB_E_NOMEM)
			return r;
		if (r)
			r = leave_out(s, i, reason_for(p, err->msg), err);
		else
			i++;
		if (r)
			return r;
	}
	return IBB_OK;
}

/* What nobody vouches for stays out, with what needs it. */
static int leave_out_untrusted(struct ibb_session *s, struct ibb_error *err)
{
	for (size_t i = 0; i < s->n_chosen;) {
		struct ibb_package *p = s->chosen[i];
		int r;

		if (p->trust) { /* before another one was left out */
			i++;
			continue;
		}
		r = ibb_session_judge(s, p, err);
		if (!r) {
			i++;
			continue;
		}
		if (r != IBB_E_UNTRUSTED && r != IBB_E_CORRUPT && r != IBB_E_UNSUPPORTED &&
		    r != IBB_E_LIMIT)
			return r;
		r = leave_out_with_users(s, i, err->msg, err);
		if (r)
			return r;
		i = 0;
	}
	return IBB_OK;
}

static int choose_all(struct ibb_session *s, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0, n = s->found.n; i < n && !r; i++)
		r = ibb_session_choose(s, s->found.packages[i], err);
	if (!r && s->q->keep_going)
		r = leave_out_unaccompanied(s, err);
	if (!r)
		r = ibb_session_choose_companions(s, err);
	if (r)
		return r;
	if (!s->q->keep_going)
		return ibb_session_judge_chosen(s, err);
	r = leave_out_untrusted(s, err);
	return r ? r : leave_out_unplannable(s, err);
}

/* INFs of two vendors may have the same name by chance. */
static bool same_driver(const struct ibb_fact_package *p, const struct ibb_package *added)
{
	return p->oem && p->inf_name && ibb_caseeq(p->inf_name, added->inf_name) && p->provider &&
	       ibb_caseeq(p->provider, added->version.provider);
}

/* Is it another version of something that is added, and not itself among what is added? */
static bool is_replaced(const struct ibb_session *s, const struct ibb_fact_package *p)
{
	bool other = false;

	for (size_t i = 0; i < s->n_chosen; i++) {
		if (ibb_plan_is_identical(p, s->chosen[i]))
			return false;
		other |= same_driver(p, s->chosen[i]);
	}
	return other;
}

static int choose_replaced(struct ibb_session *s, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < s->facts->n_packages && !r; i++)
		if (is_replaced(s, &s->facts->packages[i]))
			r = remove_one(s, &s->facts->packages[i], err);
	return r;
}

static int plan_add(struct ibb_session *s, struct ibb_error *err)
{
	struct ibb_package_search how = {.recurse = s->q->recurse, .keep_going = s->q->keep_going};
	struct ibb_plan_opts o = ibb_session_plan_opts(s);
	int r = ibb_session_check(s, err);

	if (!r)
		r = ibb_session_phase(s->q, "packages", 0, 0, err);
	if (!r)
		r = ibb_session_find(s, &how, err);
	if (!r)
		r = choose_all(s, err);
	for (size_t i = 0; i < s->found.n_passed && !r; i++)
		r = ibb_session_warn(s, err, "%s left out: %s", s->found.passed[i].path,
				     s->found.passed[i].reason);
	if (!r && !s->n_chosen) {
		ibb_err(err, IBB_E_UNSUPPORTED, "no driver package to add was found%s%s%s%s",
			s->found.n_passed ? "; " : "",
			s->found.n_passed ? s->found.passed[0].path : "",
			s->found.n_passed ? ": " : "",
			s->found.n_passed ? s->found.passed[0].reason : "");
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "name directories that hold an INF; --recurse searches below "
				    "them");
	}
	if (!r && s->q->replace)
		r = choose_replaced(s, err);
	if (!r)
		r = ibb_plan_build_changes(s->facts, s->chosen, s->n_chosen, s->removals,
					   s->n_removals, &o, &s->plan, err);
	if (!r)
		r = ibb_session_plan_warnings(s, err);
	return r ? r : ibb_session_check_plan(s, err);
}

/* ---- the public functions ---- */

int ibb_do_drivers_add(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	int r = ibb_doc_check_request(q, true, false, err);

	if (!r && !q->n_driver_dirs)
		r = ibb_err(err, IBB_E_INVALID, "no directory with driver packages was named");
	return r ? r : ibb_session_change(q, plan_add, ret_json, err);
}

int ibb_do_drivers_remove(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	int r = ibb_doc_check_request(q, true, false, err);

	if (!r && !q->n_published)
		r = ibb_err(err, IBB_E_INVALID, "no driver package to remove was named");
	return r ? r : ibb_session_change(q, plan_remove, ret_json, err);
}
