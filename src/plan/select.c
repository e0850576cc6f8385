/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/select.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "base/utf16.h"
#include "plan/rank.h"

/* The reason of the rule that decided. */
static const char *deciding_reason(const struct ibb_resolution *r)
{
	for (size_t i = 0; i < r->n_trace; i++)
		if (r->trace[i].decided)
			return r->trace[i].reason;
	return "no rule of the catalog covers it";
}

static const char *windows_text(const struct ibb_windows *w, char *buf, size_t n)
{
	snprintf(buf, n, "%s (%u.%u.%u)",
		 w->name     ? w->name
		 : w->server ? "Windows Server"
			     : "Windows",
		 w->major, w->minor, w->build);
	return buf;
}

int ibb_select_check(const struct ibb_resolution *r, const struct ibb_select_options *o,
		     struct ibb_error *err)
{
	char win[160];

	windows_text(&r->windows, win, sizeof(win));
	if (r->state == IBB_SUPPORT_IMPOSSIBLE)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s on %s is impossible: %s", r->size->name,
			       win, deciding_reason(r));
	if (r->state == IBB_SUPPORT_UNSUPPORTED && !o->allow_unsupported) {
		ibb_err(err, IBB_E_UNSUPPORTED, "%s on %s is not supported: %s", r->size->name, win,
			deciding_reason(r));
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "--allow-unsupported goes on all the same and is recorded in "
				    "the manifest");
	}
	if (!r->size->function)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: the catalog knows no InfiniBand function for it",
			       r->size->name);
	return IBB_OK;
}

static int reject(struct ibb_selection *s, const struct ibb_package *p, struct ibb_error *err,
		  const char *fmt, ...) IBB_PRINTF(4, 5);
static int reject(struct ibb_selection *s, const struct ibb_package *p, struct ibb_error *err,
		  const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (ibb_grow(&s->rejected, &s->cap_rejected, s->n_rejected, sizeof(*s->rejected)))
		return ibb_err_nomem(err);
	s->rejected[s->n_rejected] = (struct ibb_rejected){p, ibb_strdup(text)};
	if (!s->rejected[s->n_rejected].reason)
		return ibb_err_nomem(err);
	s->n_rejected++;
	return IBB_OK;
}

/* The first of ids[0..n) that the package serves. */
static int first_match(struct ibb_package *p, const char *const *ids, size_t n, const char **ret_id,
		       struct ibb_match *ret, struct ibb_error *err)
{
	*ret_id = NULL;
	for (size_t i = 0; i < n; i++) {
		struct ibb_match m;
		int r = ibb_package_match(p, ids[i], &m, err);

		if (r)
			return r;
		if (m.model) {
			*ret_id = ids[i];
			*ret = m;
			return IBB_OK;
		}
	}
	return IBB_OK;
}

/* Puts the better of s->package and p into s, the other among the rejected. */
static int contend(struct ibb_selection *s, struct ibb_package *p, const char *id,
		   const struct ibb_match *m, struct ibb_error *err)
{
	const struct ibb_function *f = s->resolution->size->function;
	struct ibb_package *loser = p, *winner;
	const char *why = NULL;
	int order = 0, r;

	if (s->package) {
		r = ibb_package_rank(p, s->package, f->hardware_ids, f->n_ids, &order, &why, err);
		if (r)
			return r;
	}
	if (!s->package || order > 0) {
		loser = s->package;
		s->package = p;
		s->matched_id = id;
		s->match = *m;
	}
	if (!loser)
		return IBB_OK;
	winner = s->package;
	if (!order)
		return reject(s, loser, err,
			      "it ranks alike with %s %s (%s), which was found first",
			      winner->inf_name, winner->version.version_text, winner->dir);
	return reject(s, loser, err, "Windows ranks %s %s (%s) higher: %s", winner->inf_name,
		      winner->version.version_text, winner->dir, why);
}

static int consider(struct ibb_selection *s, struct ibb_package *p, bool *ret_bare,
		    struct ibb_error *err)
{
	const struct ibb_function *f = s->resolution->size->function;
	struct ibb_match m, bare;
	const char *id, *bare_id;
	int r = first_match(p, f->hardware_ids, f->n_ids, &id, &m, err);

	if (r)
		return r;
	if (id)
		return contend(s, p, id, &m, err);
	r = first_match(p, f->bare_ids, f->n_bare, &bare_id, &bare, err);
	if (r)
		return r;
	if (bare_id) {
		*ret_bare = true;
		return reject(s, p, err,
			      "serves the function only as %s (%s:%u, section %s), which is the "
			      "accelerated-networking binding and not InfiniBand",
			      bare_id, p->inf_name, bare.model->line, bare.model->install_section);
	}
	return reject(s, p, err, "does not serve %s", f->hardware_ids[0]);
}

static int none_serves(const struct ibb_selection *s, size_t n, bool bare, struct ibb_error *err)
{
	const struct ibb_resolution *r = s->resolution;
	const struct ibb_function *f = r->size->function;
	const struct ibb_rejected *x = NULL;
	IBB_AUTO_FREE char *url = NULL;

	for (size_t i = 0; i < s->n_rejected && bare && !x; i++)
		if (strstr(s->rejected[i].reason, "only as"))
			x = &s->rejected[i];
	if (x) {
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s/%s %s", x->package->dir,
			       x->package->inf_name, x->reason);
	}
	if (r->nd_note) {
		ibb_err(err, IBB_E_UNSUPPORTED, "%s needs the Network Direct driver (%s): %s",
			r->size->name, f->hardware_ids[0], r->nd_note);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "if you have the package, name its directory with --drivers");
	}
	if (n)
		ibb_err(err, IBB_E_UNSUPPORTED,
			"none of the %zu driver package(s) given serves the InfiniBand function of "
			"%s, %s",
			n, r->size->name, f->hardware_ids[0]);
	else
		ibb_err(err, IBB_E_UNSUPPORTED,
			"no driver package was given for %s, whose InfiniBand function is %s",
			r->size->name, f->hardware_ids[0]);
	if (r->recommended_url && !(url = ibb_url_public(r->recommended_url)))
		return ibb_err_nomem(err);
	if (r->recommended_version)
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "give the extracted %s %s package with --drivers DIR%s%s",
				    r->driver_set_name, r->recommended_version,
				    url ? "; published at " : "", url ? url : "");
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "give the extracted %s package with --drivers DIR",
			    r->driver_set_name ? r->driver_set_name : "driver");
}

/* Which driver the accelerated-networking function has now, and whether ours takes its place. */
static int judge_taken_over(const struct ibb_facts *f, struct ibb_package *p,
			    struct ibb_taken_over *t, struct ibb_error *err)
{
	struct ibb_rank ours, theirs;
	struct ibb_rank_ids dev;
	struct ibb_fact_match m;
	const char *id, *why;
	int r;

	ibb_rank_ids_of(t->id, &dev);
	r = ibb_rank_package(p, &dev, &ours, &id, err);
	if (!r)
		r = ibb_rank_image(f, &dev, p, &m, &theirs, err);
	if (r)
		return r;
	t->old = m.package;
	t->wins = !m.package || ibb_rank_compare(&ours, &theirs, &why) < 0;
	return IBB_OK;
}

static int list_taken_over(const struct ibb_facts *facts, struct ibb_selection *s,
			   struct ibb_error *err)
{
	const struct ibb_function *f = s->resolution->size->function;

	s->taken_over = ibb_calloc_array(f->n_an, sizeof(*s->taken_over));
	if (!s->taken_over)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < f->n_an; i++) {
		struct ibb_taken_over *t = &s->taken_over[s->n_taken_over];
		struct ibb_match m;
		int r = ibb_package_match(s->package, f->an_ids[i], &m, err);

		if (r)
			return r;
		if (!m.model)
			continue;
		*t = (struct ibb_taken_over){f->an_ids[i], m.model->install_section, m.model->line,
					     NULL, false};
		r = judge_taken_over(facts, s->package, t, err);
		if (r)
			return r;
		s->n_taken_over++;
	}
	return IBB_OK;
}

/* The function's most specific ID is what the device reports; the catalog's other IDs follow from
 * it or, where they do not (several IDs of one function), are added. */
static void function_ids(const struct ibb_function *fn, struct ibb_rank_ids *ret)
{
	ibb_rank_ids_of(fn->hardware_ids[0], ret);
	for (size_t i = 1; i < fn->n_ids && ret->n < IBB_MAX_RANK_IDS; i++) {
		bool known = false;

		for (size_t k = 0; k < ret->n; k++)
			known |= ibb_caseeq(ret->ids[k], fn->hardware_ids[i]);
		if (known)
			continue;
		ret->ids[ret->n] = fn->hardware_ids[i];
		ret->compatible[ret->n] = true;
		ret->place[ret->n] = (unsigned)ret->n;
		ret->n++;
	}
}

static bool is_bare(const struct ibb_function *fn, const char *id)
{
	for (size_t i = 0; i < fn->n_bare; i++)
		if (ibb_caseeq(fn->bare_ids[i], id))
			return true;
	return false;
}

/* An ID text that outlives the rank_ids it stood in. */
static const char *lasting_id(const struct ibb_function *fn, const char *id)
{
	for (size_t i = 0; i < fn->n_ids + fn->n_bare; i++) {
		const char *have =
			i < fn->n_ids ? fn->hardware_ids[i] : fn->bare_ids[i - fn->n_ids];

		if (ibb_caseeq(have, id))
			return have;
	}
	return fn->hardware_ids[0];
}

int ibb_select_in_image(const struct ibb_facts *f, const struct ibb_function *fn,
			struct ibb_fact_match *ret, bool *ret_bare, struct ibb_error *err)
{
	struct ibb_rank_ids dev;
	struct ibb_fact_match m;
	struct ibb_rank rank;
	int r;

	function_ids(fn, &dev);
	r = ibb_rank_image(f, &dev, NULL, &m, &rank, err);
	if (r)
		return r;
	*ret_bare = m.package && is_bare(fn, m.id);
	if (m.package)
		m.id = lasting_id(fn, m.id);
	*ret = m;
	return IBB_OK;
}

static int judge_rival(const struct ibb_facts *f, struct ibb_selection *s, struct ibb_error *err)
{
	struct ibb_rank ours, theirs;
	struct ibb_rank_ids dev;
	struct ibb_fact_match m;
	const char *why, *id;
	int order, r;

	function_ids(s->resolution->size->function, &dev);
	r = ibb_rank_package(s->package, &dev, &ours, &id, err);
	if (!r)
		r = ibb_rank_image(f, &dev, s->package, &m, &theirs, err);
	if (r)
		return r;
	s->rival = m.package;
	if (!s->rival) {
		s->wins = true;
		s->rank_reason = ibb_strdup("no other package of the image is registered for the "
					    "function");
	} else {
		order = ibb_rank_compare(&ours, &theirs, &why);
		/* alike: Windows keeps whichever it finds first, so it is not a win to count on */
		s->wins = order < 0;
		s->loses = order > 0;
		s->rank_reason = ibb_asprintf(
			"%s %s %s of the image by %s", s->package->inf_name,
			order < 0   ? "ranks above"
			: order > 0 ? "ranks below"
				    : "is not distinguished from",
			s->rival->published ? s->rival->published : s->rival->name, why);
	}
	return s->rank_reason ? IBB_OK : ibb_err_nomem(err);
}

/* Would the package serve a device with these IDs? */
static int serves_device(struct ibb_package *p, const struct ibb_fact_device *d, bool *ret,
			 struct ibb_error *err)
{
	*ret = false;
	for (size_t i = 0; i < d->n_ids && !*ret; i++) {
		struct ibb_match m;
		int r = ibb_package_match(p, d->ids[i], &m, err);

		if (r)
			return r;
		*ret = m.model != NULL;
	}
	return IBB_OK;
}

/* Has the image the identical package, and is it what drives the device? */
static bool runs_it_already(const struct ibb_facts *f, const struct ibb_package *p,
			    const struct ibb_fact_device *d)
{
	for (size_t i = 0; d->inf && i < f->n_packages; i++) {
		const struct ibb_fact_package *e = &f->packages[i];

		if (e->digest_known && ibb_caseeq(e->published, d->inf) &&
		    memcmp(&e->inf_sha256, &p->files[0].sha256, sizeof(e->inf_sha256)) == 0)
			return true;
	}
	return false;
}

/* A device instance that has another driver is not searched again only because a better package
 * appeared in the store. */
static int list_bound(const struct ibb_facts *f, struct ibb_selection *s, struct ibb_error *err)
{
	s->bound = ibb_calloc_array(f->n_devices, sizeof(*s->bound));
	if (!s->bound)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < f->n_devices; i++) {
		bool serves;
		int r = serves_device(s->package, &f->devices[i], &serves, err);

		if (r)
			return r;
		if (serves && f->devices[i].driver &&
		    !runs_it_already(f, s->package, &f->devices[i]))
			s->bound[s->n_bound++] = &f->devices[i];
	}
	return IBB_OK;
}

int ibb_select(const struct ibb_facts *f, const struct ibb_resolution *r,
	       struct ibb_package *const *packages, size_t n, struct ibb_selection *ret,
	       struct ibb_error *err)
{
	struct ibb_selection s = {.facts = f, .resolution = r};
	bool bare = false;
	int rc = IBB_OK;

	for (size_t i = 0; i < n && !rc; i++)
		rc = consider(&s, packages[i], &bare, err);
	if (!rc && !s.package)
		rc = none_serves(&s, n, bare, err);
	if (!rc)
		rc = list_taken_over(f, &s, err);
	if (!rc)
		rc = judge_rival(f, &s, err);
	if (!rc)
		rc = list_bound(f, &s, err);
	if (rc) {
		ibb_selection_clear(&s);
		return rc;
	}
	*ret = s;
	return IBB_OK;
}

void ibb_selection_clear(struct ibb_selection *s)
{
	for (size_t i = 0; i < s->n_rejected; i++)
		free(s->rejected[i].reason);
	free(s->rejected);
	free(s->taken_over);
	free(s->rank_reason);
	free(s->bound);
	*s = (struct ibb_selection){0};
}
