/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/select.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"

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
	if (r->recommended_version)
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "give the extracted %s %s package with --drivers DIR%s%s",
				    r->driver_set_name, r->recommended_version,
				    r->recommended_url ? "; published at " : "",
				    r->recommended_url ? r->recommended_url : "");
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "give the extracted %s package with --drivers DIR",
			    r->driver_set_name ? r->driver_set_name : "driver");
}

static int list_taken_over(struct ibb_selection *s, struct ibb_error *err)
{
	const struct ibb_function *f = s->resolution->size->function;

	s->taken_over = ibb_calloc_array(f->n_an, sizeof(*s->taken_over));
	if (!s->taken_over)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < f->n_an; i++) {
		struct ibb_match m;
		int r = ibb_package_match(s->package, f->an_ids[i], &m, err);

		if (r)
			return r;
		if (m.model)
			s->taken_over[s->n_taken_over++] = (struct ibb_taken_over){
				f->an_ids[i], m.model->install_section, m.model->line};
	}
	return IBB_OK;
}

/*
 * Microsoft, "How Windows Ranks Drivers": feature score, then the identifier score, then date,
 * then version. The signature part is equal for all packages Windows trusts.
 */
struct rank {
	unsigned feature, type, position;
	uint64_t date, version;
};

static uint64_t version_number(const uint16_t v[4])
{
	return (uint64_t)v[0] << 48 | (uint64_t)v[1] << 32 | (uint64_t)v[2] << 16 | v[3];
}

/* <0 when a beats b */
static int rank_compare(const struct rank *a, const struct rank *b, const char **why)
{
	*why = "feature score";
	if (a->feature != b->feature)
		return a->feature < b->feature ? -1 : 1;
	*why = "a more specific device ID";
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->position != b->position)
		return a->position < b->position ? -1 : 1;
	*why = "a later DriverVer date";
	if (a->date != b->date)
		return a->date > b->date ? -1 : 1;
	*why = "a higher DriverVer version";
	if (a->version != b->version)
		return a->version > b->version ? -1 : 1;
	*why = "nothing: they rank alike";
	return 0;
}

static struct rank rank_of_match(const struct ibb_selection *s)
{
	const struct ibb_function *f = s->resolution->size->function;
	struct rank k = {.feature = s->match.feature_score,
			 .type = s->match.compatible,
			 .date = s->package->version.date,
			 .version = version_number(s->package->version.version)};

	while (k.position < f->n_ids && f->hardware_ids[k.position] != s->matched_id)
		k.position++;
	return k;
}

static struct rank rank_of_fact(const struct ibb_fact_match *m, unsigned position)
{
	return (struct rank){.feature = m->data[1],
			     .type = m->data[0] == 2,
			     .position = position,
			     .date = m->package->version.date,
			     .version = version_number(m->package->version.version)};
}

int ibb_select_in_image(const struct ibb_facts *f, const struct ibb_function *fn,
			struct ibb_fact_match *ret, bool *ret_bare, struct ibb_error *err)
{
	struct ibb_fact_match best = {0};
	struct rank best_rank = {0};
	bool bare = false;

	for (size_t i = 0; i < fn->n_ids + fn->n_bare; i++) {
		const char *id = i < fn->n_ids ? fn->hardware_ids[i] : fn->bare_ids[i - fn->n_ids];
		IBB_AUTO_FREE struct ibb_fact_match *m = NULL;
		size_t n;
		int r = ibb_facts_matches(f, id, &m, &n, err);

		if (r)
			return r;
		for (size_t k = 0; k < n; k++) {
			struct rank rank = rank_of_fact(&m[k], (unsigned)i);
			const char *why;

			/* nothing leads from the ID to a package that is not the active one */
			if (!m[k].package->active ||
			    (best.package && rank_compare(&rank, &best_rank, &why) >= 0))
				continue;
			best = m[k];
			best_rank = rank;
			bare = i >= fn->n_ids;
		}
	}
	*ret = best;
	*ret_bare = best.package && bare;
	return IBB_OK;
}

/* Find the best package the image holds for the function. Identical ones are no rivals. */
static int find_rival(const struct ibb_facts *f, struct ibb_selection *s, struct rank *best,
		      struct ibb_error *err)
{
	const struct ibb_function *fn = s->resolution->size->function;

	for (size_t i = 0; i < fn->n_ids + fn->n_bare; i++) {
		const char *id = i < fn->n_ids ? fn->hardware_ids[i] : fn->bare_ids[i - fn->n_ids];
		IBB_AUTO_FREE struct ibb_fact_match *m = NULL;
		size_t n;
		int r = ibb_facts_matches(f, id, &m, &n, err);

		if (r)
			return r;
		for (size_t k = 0; k < n; k++) {
			struct rank rank = rank_of_fact(&m[k], (unsigned)i);
			const char *why;

			if (m[k].package->digest_known &&
			    memcmp(&m[k].package->inf_sha256, &s->package->files[0].sha256,
				   sizeof(struct ibb_sha256)) == 0)
				continue;
			if (!s->rival || rank_compare(&rank, best, &why) < 0) {
				s->rival = m[k].package;
				*best = rank;
			}
		}
	}
	return IBB_OK;
}

static int judge_rival(const struct ibb_facts *f, struct ibb_selection *s, struct ibb_error *err)
{
	struct rank ours = rank_of_match(s), rival = {0};
	const char *why;
	int order, r = find_rival(f, s, &rival, err);

	if (r)
		return r;
	if (!s->rival) {
		s->wins = true;
		s->rank_reason = ibb_strdup("no other package of the image is registered for the "
					    "function");
	} else {
		order = rank_compare(&ours, &rival, &why);
		/* alike: Windows keeps whichever it finds first, so it is not a win to count on */
		s->wins = order < 0;
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
		rc = list_taken_over(&s, err);
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
