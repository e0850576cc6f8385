/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/bundle.h"
#include "api/cached.h"
#include "api/trust.h"
#include "api/winre.h"

int ibb_session_warn(struct ibb_session *s, struct ibb_error *err, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < s->n_warnings; i++)
		if (strcmp(s->warnings[i], text) == 0)
			return IBB_OK;
	if (ibb_grow(&s->warnings, &s->cap_warnings, s->n_warnings, sizeof(*s->warnings)))
		return ibb_err_nomem(err);
	s->warnings[s->n_warnings] = ibb_strdup(text);
	if (!s->warnings[s->n_warnings])
		return ibb_err_nomem(err);
	s->n_warnings++;
	return IBB_OK;
}

int ibb_session_phase(const struct ibb_request *q, const char *phase, uint64_t done, uint64_t total,
		      struct ibb_error *err)
{
	struct ibb_progress p = {.phase = phase, .done = done, .total = total};

	if (q->progress && q->progress(q->progress_ctx, &p))
		return ibb_err(err, IBB_E_CANCELLED, "stopped on request");
	return IBB_OK;
}

void ibb_session_warnings_json(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *list = ibb_jb_array(b, obj, "warnings");

	for (size_t i = 0; i < s->n_warnings; i++)
		ibb_jb_str(b, list, NULL, s->warnings[i]);
}

void ibb_session_windows(const struct ibb_session *s, struct ibb_windows *ret)
{
	const struct ibb_inf_target *t = &s->facts->target;

	*ret = (struct ibb_windows){.major = t->major,
				    .minor = t->minor,
				    .build = t->build,
				    .server = s->facts->server || s->facts->pe,
				    .arch = t->arch == IBB_ARCH_AMD64 ? "x64"
					    : t->arch == IBB_ARCH_X86 ? "x86"
								      : "arm64"};
	ibb_catalog_name_windows(s->catalog, ret);
	/*
	 * Every Windows PE says WinNT, also the one of a Server. What the catalog knows are sizes
	 * and the Windows they are meant for, so it is asked for the Server of that build, and
	 * where there is none for the client. What Windows itself decides by the product type (the
	 * INF's decorations, signatures) stays with what the image says.
	 */
	if (s->facts->pe && !ret->id) {
		ret->server = false;
		ibb_catalog_name_windows(s->catalog, ret);
	}
}

static int warn_pe(struct ibb_session *s, const struct ibb_windows *w, struct ibb_error *err)
{
	if (!s->facts->pe)
		return IBB_OK;
	return ibb_session_warn(
		s, err,
		"this is Windows PE: the sizes are judged for %s (build %u); it runs "
		"from memory, what is set up while it runs is gone afterwards",
		w->name	    ? w->name
		: w->server ? "Windows Server"
			    : "Windows",
		w->build);
}

static int resolve_all(struct ibb_session *s, struct ibb_error *err)
{
	struct ibb_select_options o = {.allow_unsupported = s->q->allow_unsupported};
	struct ibb_windows w;
	int r = IBB_OK;

	ibb_session_windows(s, &w);
	r = warn_pe(s, &w, err);
	if (r)
		return r;
	s->resolutions = ibb_calloc_array(s->q->n_sizes, sizeof(*s->resolutions));
	s->selections = ibb_calloc_array(s->q->n_sizes, sizeof(*s->selections));
	if (!s->resolutions || !s->selections)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < s->q->n_sizes && !r; i++) {
		const struct ibb_size *size;
		struct ibb_resolution *res;

		r = ibb_catalog_find_size(s->catalog, s->q->sizes[i], &size, err);
		if (!r)
			r = ibb_catalog_resolve(s->catalog, size, &w, &res, err);
		if (r)
			return r;
		s->resolutions[s->n_targets++] = res;
		r = ibb_opened_check(s->q, size->name, &w, err);
		if (!r)
			r = ibb_select_check(res, &o, err);
		if (!r && res->state == IBB_SUPPORT_UNSUPPORTED)
			r = ibb_session_warn(
				s, err,
				"%s on this Windows is not supported; going on because "
				"of --allow-unsupported",
				size->name);
		for (size_t k = 0; k < res->n_warnings && !r; k++)
			r = ibb_session_warn(s, err, "%s", res->warnings[k]);
	}
	return r;
}

/* Every ID that a target's function has, for the search. */
static int collect_ids(const struct ibb_session *s, const char ***ret, size_t *ret_n,
		       struct ibb_error *err)
{
	const char **ids;
	size_t n = 0;

	for (size_t i = 0; i < s->n_targets; i++) {
		const struct ibb_function *f = s->resolutions[i]->size->function;

		n += f->n_ids + f->n_bare;
	}
	ids = ibb_calloc_array(n, sizeof(*ids));
	if (!ids)
		return ibb_err_nomem(err);
	n = 0;
	for (size_t i = 0; i < s->n_targets; i++) {
		const struct ibb_function *f = s->resolutions[i]->size->function;

		for (size_t k = 0; k < f->n_ids; k++)
			ids[n++] = f->hardware_ids[k];
		for (size_t k = 0; k < f->n_bare; k++)
			ids[n++] = f->bare_ids[k];
	}
	*ret = ids;
	*ret_n = n;
	return IBB_OK;
}

/* What the user gave, and the catalog's entries on this machine. */
static int find_packages(struct ibb_session *s, struct ibb_error *err)
{
	IBB_AUTO_FREE const char **ids = NULL, **dirs = NULL;
	size_t n_ids = 0, n = 0, n_local = 0;
	int r = collect_ids(s, &ids, &n_ids, err);

	if (!r)
		r = ibb_session_add_cached(s, err);
	if (r)
		return r;
	/* from a bundle they come alone */
	for (size_t i = 0; i < s->n_targets && !s->q->opened; i++)
		n_local += s->resolutions[i]->n_local;
	dirs = ibb_calloc_array(n_local, sizeof(*dirs));
	if (!dirs)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < s->n_targets && n_local; i++)
		for (size_t k = 0; k < s->resolutions[i]->n_local; k++)
			dirs[n++] = s->resolutions[i]->local[k].path;
	struct ibb_package_search how = {
		.dirs = dirs, .n_dirs = n, .recurse = true, .ids = ids, .n_ids = n_ids};

	return ibb_session_find(s, &how, err);
}

static int warn_selection(struct ibb_session *s, const struct ibb_selection *sel,
			  struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < sel->n_rejected && !r; i++)
		r = ibb_session_warn(s, err, "%s/%s left out: %s", sel->rejected[i].package->dir,
				     sel->rejected[i].package->inf_name, sel->rejected[i].reason);
	for (size_t i = 0; i < sel->n_taken_over && !r; i++) {
		const struct ibb_taken_over *t = &sel->taken_over[i];

		r = ibb_session_warn(
			s, err, "%s also %s the accelerated-networking function %s%s%s",
			sel->package->inf_name, t->wins ? "takes over" : "serves", t->id,
			!t->old	  ? ""
			: t->wins ? " from "
				  : ", which stays with ",
			t->old ? t->old->published : "");
	}
	if (!r && !sel->wins)
		r = ibb_session_warn(s, err, "Windows may not choose this package: %s",
				     sel->rank_reason);
	for (size_t i = 0; i < sel->n_bound && !r; i++)
		r = ibb_session_warn(s, err,
				     "needs-install-at-boot: device %s\\%s (%s) already runs a "
				     "driver",
				     sel->bound[i]->device_id, sel->bound[i]->instance,
				     sel->bound[i]->control_set);
	return r;
}

int ibb_session_choose(struct ibb_session *s, struct ibb_package *p, struct ibb_error *err)
{
	for (size_t i = 0; i < s->n_chosen; i++)
		if (s->chosen[i] == p)
			return IBB_OK;
	if (ibb_grow(&s->chosen, &s->cap_chosen, s->n_chosen, sizeof(p)))
		return ibb_err_nomem(err);
	s->chosen[s->n_chosen++] = p;
	return IBB_OK;
}

static int choose_companion(void *ctx, struct ibb_package *p, struct ibb_error *err)
{
	return ibb_session_choose(ctx, p, err);
}

/* What CopyINF of a chosen package names is staged together with it, as Windows does. */
int ibb_session_choose_companions(struct ibb_session *s, struct ibb_error *err)
{
	IBB_AUTO_FREE const char **names = NULL;
	int r = IBB_OK;

	/* the list grows behind us, and companions of companions are among the first's already */
	for (size_t i = 0, n = s->n_chosen; i < n && !r; i++)
		r = ibb_packages_companions(&s->found, s->chosen[i], choose_companion, s, err);
	if (r)
		return r;
	names = ibb_calloc_array(s->n_chosen, sizeof(*names));
	if (!names)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < s->n_chosen; i++)
		names[i] = s->chosen[i]->inf_name;
	return ibb_facts_read_store(s->facts, s->volume, names, s->n_chosen, err);
}

/* No INF became a candidate: the reasons of those that were seen are what the user needs. */
static int none_fits(const struct ibb_session *s, size_t target, struct ibb_error *err)
{
	const struct ibb_size *size = s->resolutions[target]->size;
	const struct ibb_package_set *set = &s->found;
	char hint[sizeof(err->hint)] = "", list[600] = "";
	size_t n = 0, shown = set->n_passed < 4 ? set->n_passed : 4;

	if (err)
		memcpy(hint, err->hint, sizeof(hint));
	for (size_t i = 0; i < shown && n + 1 < sizeof(list); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "; %s: %s", set->passed[i].path,
				      set->passed[i].reason);
	if (s->resolutions[target]->nd_note)
		ibb_err(err, IBB_E_UNSUPPORTED,
			"%s needs the Network Direct driver for %s, which none of the %zu INF "
			"file(s) found is: %s",
			size->name, size->function->hardware_ids[0], set->n_passed,
			s->resolutions[target]->nd_note);
	else
		ibb_err(err, IBB_E_UNSUPPORTED,
			"none of the %zu INF file(s) found serves the InfiniBand function of %s, "
			"%s%s%s",
			set->n_passed, size->name, size->function->hardware_ids[0], list,
			shown < set->n_passed ? "; ..." : "");
	return ibb_err_hint(err, IBB_E_UNSUPPORTED, "%s", hint);
}

/* A package that Windows would not choose is dead weight, and the fabric would stay down. */
static int check_rank(const struct ibb_session *s, const struct ibb_selection *sel,
		      struct ibb_error *err)
{
	if (!sel->loses || s->q->force)
		return IBB_OK;
	ibb_err(err, IBB_E_UNSUPPORTED, "Windows would not choose %s/%s %s for %s: %s",
		sel->package->dir, sel->package->inf_name, sel->package->version.version_text,
		sel->matched_id, sel->rank_reason);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "give a newer package; --force stages this one all the same");
}

static int select_all(struct ibb_session *s, struct ibb_error *err)
{
	IBB_AUTO_FREE const char **names = ibb_calloc_array(s->found.n, sizeof(*names));
	int r;

	if (!names)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < s->found.n; i++)
		names[i] = s->found.packages[i]->inf_name;
	r = ibb_facts_read_store(s->facts, s->volume, names, s->found.n, err);
	for (size_t i = 0; i < s->n_targets && !r; i++) {
		r = ibb_select(s->facts, s->resolutions[i], s->found.packages, s->found.n,
			       &s->selections[i], err);
		if (r == IBB_E_UNSUPPORTED && !s->found.n && s->found.n_passed)
			return none_fits(s, i, err);
		if (!r)
			r = check_rank(s, &s->selections[i], err);
		if (!r)
			r = warn_selection(s, &s->selections[i], err);
		if (!r)
			r = ibb_session_check_cached(s, i, err);
		if (!r)
			r = ibb_session_choose(s, s->selections[i].package, err);
	}
	return r;
}

static int check_required(const struct ibb_session *s, struct ibb_error *err)
{
	for (size_t i = 0; i < s->n_targets; i++) {
		struct ibb_readiness ready;
		const char *line = NULL, *why = "";

		ibb_plan_readiness(&s->selections[i], &ready);
		if ((s->q->require & IBB_REQUIRE_USER_ND) && ready.user_nd == IBB_READY_NO) {
			line = "user-nd";
			why = ready.user_nd_reason;
		}
		if ((s->q->require & IBB_REQUIRE_ADDRESS) && ready.address == IBB_READY_NO) {
			line = "address";
			why = ready.address_reason;
		}
		if ((s->q->require & IBB_REQUIRE_DRIVER) && ready.driver == IBB_READY_NO) {
			line = "driver";
			why = ready.driver_reason;
		}
		if (line)
			return ibb_err(err, IBB_E_UNSUPPORTED,
				       "%s would not have '%s', which --require asks for: %s",
				       s->resolutions[i]->size->name, line, why);
	}
	return IBB_OK;
}

int ibb_session_check(struct ibb_session *s, struct ibb_error *err)
{
	int r = ibb_session_catalog(s->q, &s->catalog, err);

	if (!r)
		r = ibb_opened_warn(s, err);

	for (size_t i = 0; !r && i < ibb_catalog_n_conflicts(s->catalog); i++)
		r = ibb_session_warn(s, err, "%s", ibb_catalog_conflict_at(s->catalog, i));
	if (r)
		return r;
	r = ibb_facts_check(s->facts, s->q->force, err);
	if (r)
		return r == IBB_E_INVALID || r == IBB_E_NOMEM || s->wim
			       ? r
			       : ibb_err_prefix(err, r, "%s", s->q->image);
	if (s->facts->pending_xml || s->facts->reboot_pending)
		return ibb_session_warn(s, err,
					"Windows servicing is pending; going on because of "
					"--force");
	return IBB_OK;
}

int ibb_session_plan_warnings(struct ibb_session *s, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < s->plan->n_warnings && !r; i++)
		r = ibb_session_warn(s, err, "%s", s->plan->warnings[i]);
	return r;
}

int ibb_session_plan(struct ibb_session *s, struct ibb_error *err)
{
	struct ibb_plan_opts o = ibb_session_plan_opts(s);
	int r = ibb_session_check(s, err);

	if (!r)
		r = resolve_all(s, err);
	if (!r)
		r = ibb_session_phase(s->q, "packages", 0, 0, err);
	if (!r)
		r = find_packages(s, err);
	if (!r)
		r = ibb_session_hint_fetch(s, select_all(s, err), err);
	if (!r)
		r = ibb_session_choose_companions(s, err);
	if (!r)
		r = ibb_session_judge_chosen(s, err);
	if (!r)
		r = ibb_session_phase(s->q, "plan", 0, 0, err);
	if (!r)
		r = ibb_plan_build_changes(s->facts, s->chosen, s->n_chosen, NULL, 0, &o, &s->plan,
					   err);
	if (!r)
		r = ibb_session_plan_warnings(s, err);
	if (!r)
		r = ibb_session_check_plan(s, err);
	return r ? r : check_required(s, err);
}

void ibb_session_clear(struct ibb_session *s)
{
	ibb_winre_free(s->winre);
	ibb_target_close(&s->target);
	for (size_t i = 0; i < s->n_removals; i++)
		ibb_removal_clear(&s->removals[i]);
	free(s->removals);
	ibb_plan_free(s->plan);
	ibb_trust_store_free(s->trust);
	free(s->trust_files);
	ibb_lockfile_free(s->lockfile);
	ibb_session_clear_included(s);
	for (size_t i = 0; i < s->n_targets; i++) {
		ibb_selection_clear(&s->selections[i]);
		ibb_resolution_free(s->resolutions[i]);
	}
	free(s->selections);
	free(s->resolutions);
	free(s->chosen);
	ibb_package_set_clear(&s->found);
	ibb_sources_close(&s->own_sources);
	ibb_facts_free(s->facts);
	ibb_boot_clear(&s->boot);
	if (s->wim)
		ibb_volume_close(s->volume);
	ibb_image_close(s->image);
	ibb_catalog_free(s->catalog);
	for (size_t i = 0; i < s->n_warnings; i++)
		free(s->warnings[i]);
	free(s->warnings);
}
