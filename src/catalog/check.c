/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "catalog/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "catalog/model.h"
#include "catalog/read.h"

const char *ibb_severity_name(enum ibb_severity s)
{
	static const char *const names[] = {"error", "warning", "note"};

	return names[s];
}

void ibb_findings_clear(struct ibb_findings *f)
{
	free(f->v);
	ibb_arena_clear(&f->arena);
	*f = (struct ibb_findings){0};
}

int ibb_findings_add(struct ibb_findings *f, enum ibb_severity severity, const char *file,
		     const char *path, struct ibb_error *err, const char *fmt, ...)
{
	struct ibb_finding *x;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (ibb_grow(&f->v, &f->cap, f->n, sizeof(*f->v)))
		return ibb_err_nomem(err);
	x = &f->v[f->n];
	*x = (struct ibb_finding){.severity = severity,
				  .file = ibb_arena_strdup(&f->arena, file),
				  .path = ibb_arena_strdup(&f->arena, path),
				  .text = ibb_arena_strdup(&f->arena, text)};
	if (!x->file || !x->path || !x->text)
		return ibb_err_nomem(err);
	f->n++;
	return IBB_OK;
}

struct judge {
	const struct ibb_catalog *c;
	const char *today;
	struct ibb_findings *f;
	struct ibb_error *err;
};

/* A finding about record i of a list. */
#define FIND(g, severity, kind, i, ...)                         \
	ibb_findings_add((g)->f, severity, file_of(g, kind, i), \
			 place_of(g, kind, i, (char[64]){0}), (g)->err, __VA_ARGS__)

static const char *file_of(const struct judge *g, enum cat_kind kind, size_t i)
{
	return g->c->layers[g->c->tables[kind].from[i].layer].name;
}

static const char *place_of(const struct judge *g, enum cat_kind kind, size_t i, char out[64])
{
	snprintf(out, 64, "%s[%zu]", cat_lists[kind].key, g->c->tables[kind].from[i].index);
	return out;
}

/* ---- rules ---- */

/* The first rule of equal precedence that says something else than the deciding one. */
static const struct cat_rule *contradiction(const struct cat_rule *const *rules, size_t n)
{
	for (size_t i = 1; i < n && cat_rules_rank_alike(rules[0], rules[i]); i++)
		if (rules[i]->state != rules[0]->state)
			return rules[i];
	return NULL;
}

struct pair {
	const void *a, *b;
};

/* The same two records meet for many sizes and Windows: told once. */
static bool is_new_pair(struct pair *seen, size_t *n, size_t max, const void *a, const void *b)
{
	for (size_t i = 0; i < *n; i++)
		if ((seen[i].a == a && seen[i].b == b) || (seen[i].a == b && seen[i].b == a))
			return false;
	if (*n < max)
		seen[(*n)++] = (struct pair){a, b};
	return true;
}

#define MAX_PAIRS 256

struct size_walk {
	struct judge *g;
	const struct cat_rule **rules;
	struct pair pairs[MAX_PAIRS];
	size_t n_pairs;
};

struct names {
	char text[512];
	size_t used, n;
};

static void add_name(struct names *l, const char *name)
{
	size_t room = sizeof(l->text) - l->used;
	int n = snprintf(l->text + l->used, room, "%s%s", l->used ? ", " : "", name);

	l->n++;
	if (n > 0 && (size_t)n < room)
		l->used += (size_t)n;
	else
		l->text[l->used] = '\0';
}

static bool is_catch_all(const struct cat_rule *u)
{
	return u->scope == CAT_SCOPE_ALL && !u->windows.min_build &&
	       u->windows.max_build == UINT32_MAX && !u->windows.product && !u->windows.arch;
}

static bool in_service(const struct ibb_size *z)
{
	return strcmp(z->status, "current") == 0 || strcmp(z->status, "retiring") == 0;
}

/* A size in service, and a Windows that is validated for it: what would drive it there? */
static int judge_driver(struct size_walk *w, size_t size, const struct ibb_windows *win)
{
	const struct cat_size *z = &CAT_ITEMS(w->g->c, CAT_SIZE, struct cat_size)[size];
	const struct cat_recommendation *k;

	if (!z->series->driver_set->inf || !z->series->function)
		return FIND(w->g, IBB_SEV_ERROR, CAT_SIZE, size,
			    "%s is %s and %s is validated for it by %s, but nothing is known that "
			    "would drive it",
			    z->pub.name, z->pub.status, win->name, w->rules[0]->id);
	k = cat_recommendation_for(w->g->c, z->series->driver_set, win);
	if (!k)
		return FIND(w->g, IBB_SEV_ERROR, CAT_SIZE, size,
			    "%s is %s and %s is validated for it by %s, but no release of %s is "
			    "recommended there",
			    z->pub.name, z->pub.status, win->name, w->rules[0]->id,
			    z->series->driver_set->id);
	if (!k->release->pub.package && !k->release->pub.n_urls)
		return FIND(w->g, IBB_SEV_ERROR, CAT_SIZE, size,
			    "%s is %s and %s is validated for it by %s, but %s recommends %s, of "
			    "which neither a file nor a URL is known",
			    z->pub.name, z->pub.status, win->name, w->rules[0]->id, k->id,
			    k->release->pub.id);
	return IBB_OK;
}

static int judge_pair(struct size_walk *w, size_t size, const struct ibb_windows *win,
		      struct names *silent)
{
	const struct cat_size *z = &CAT_ITEMS(w->g->c, CAT_SIZE, struct cat_size)[size];
	const struct cat_rule *other;
	size_t n = 0;
	int rc = cat_rules_for(w->g->c, z, win, w->rules, &n);

	if (rc)
		return ibb_err(w->g->err, rc, "no rule applies to %s", z->pub.name);
	if (is_catch_all(w->rules[0]))
		add_name(silent, win->id);
	other = contradiction(w->rules, n);
	if (other && is_new_pair(w->pairs, &w->n_pairs, MAX_PAIRS, w->rules[0], other))
		rc = FIND(w->g, IBB_SEV_WARNING, CAT_RULE, other->index,
			  "rule %s says %s and rule %s says %s of %s on %s with equal right: only "
			  "their order decides",
			  w->rules[0]->id, ibb_support_name(w->rules[0]->state), other->id,
			  ibb_support_name(other->state), z->pub.name, win->name);
	if (rc || w->rules[0]->state != IBB_SUPPORT_VALIDATED || !in_service(&z->pub))
		return rc;
	return judge_driver(w, size, win);
}

static int judge_size(struct size_walk *w, size_t i)
{
	const struct ibb_size *z = ibb_catalog_size_at(w->g->c, i);
	struct names silent = {.used = 0};
	int rc = IBB_OK;

	for (size_t k = 0; k < ibb_catalog_n_windows(w->g->c) && !rc; k++) {
		struct ibb_windows win;

		ibb_catalog_windows_at(w->g->c, k, &win);
		rc = judge_pair(w, i, &win, &silent);
	}
	if (!rc && silent.n)
		rc = FIND(w->g, IBB_SEV_NOTE, CAT_SIZE, i, "nobody speaks of %s with %s", z->name,
			  silent.text);
	return rc;
}

static int judge_sizes(struct judge *g)
{
	struct size_walk *w = ibb_zalloc(sizeof(*w));
	int rc = IBB_OK;

	if (!w)
		return ibb_err_nomem(g->err);
	w->g = g;
	w->rules = ibb_calloc_array(g->c->tables[CAT_RULE].n, sizeof(*w->rules));
	if (!w->rules)
		rc = ibb_err_nomem(g->err);
	for (size_t i = 0; i < ibb_catalog_n_sizes(g->c) && !rc; i++)
		rc = judge_size(w, i);
	free(w->rules);
	free(w);
	return rc;
}

/* ---- recommendations ---- */

static bool meet(const struct cat_range *a, const struct cat_range *b, const struct ibb_windows *w)
{
	return cat_range_covers(a, w) && cat_range_covers(b, w);
}

/* The Windows for which both speak; NULL when there is none. */
static const char *common_windows(const struct judge *g, const struct cat_range *a,
				  const struct cat_range *b)
{
	for (size_t k = 0; k < ibb_catalog_n_windows(g->c); k++) {
		struct ibb_windows w;

		ibb_catalog_windows_at(g->c, k, &w);
		if (meet(a, b, &w))
			return w.name;
	}
	return NULL;
}

static int judge_two(struct judge *g, size_t i, size_t k)
{
	const struct cat_recommendation *r =
		CAT_ITEMS(g->c, CAT_RECOMMENDATION, struct cat_recommendation);
	const struct cat_table *t = &g->c->tables[CAT_RECOMMENDATION];
	const struct cat_recommendation *a = &r[k], *b = &r[i];
	const char *where;

	if (a->driver_set != b->driver_set || a->release == b->release)
		return IBB_OK;
	where = common_windows(g, &a->windows, &b->windows);
	if (!where)
		return IBB_OK;
	if (t->from[i].layer != t->from[k].layer)
		return FIND(g, IBB_SEV_NOTE, CAT_RECOMMENDATION,
			    t->from[i].layer > t->from[k].layer ? i : k,
			    "recommendations %s (%s) and %s (%s) both speak of %s: that of the "
			    "later catalog counts",
			    a->id, a->release->pub.id, b->id, b->release->pub.id, where);
	return FIND(
		g, IBB_SEV_WARNING, CAT_RECOMMENDATION, i,
		"recommendations %s (%s) and %s (%s) both speak of %s: only their order decides",
		a->id, a->release->pub.id, b->id, b->release->pub.id, where);
}

/* Vendors name the builds that they tested: one between two of them runs the same driver. */
static bool is_listed(const struct cat_release *r, const struct ibb_windows *w)
{
	bool before = false, after = false;

	for (size_t i = 0; i < r->windows.n; i++) {
		const struct cat_windows *x = r->windows.v[i];

		if ((strcmp(x->product, "server") == 0) != w->server)
			continue;
		before |= x->build <= w->build;
		after |= x->build >= w->build;
	}
	return before && after;
}

/* For a Windows that its release's list, which is known, leaves out. */
static int judge_listed(struct judge *g, size_t i)
{
	const struct cat_recommendation *k =
		&CAT_ITEMS(g->c, CAT_RECOMMENDATION, struct cat_recommendation)[i];
	struct names missing = {.used = 0};

	for (size_t m = 0; k->release->windows.n && m < ibb_catalog_n_windows(g->c); m++) {
		struct ibb_windows w;

		ibb_catalog_windows_at(g->c, m, &w);
		if (cat_recommendation_for(g->c, k->driver_set, &w) == k &&
		    !is_listed(k->release, &w))
			add_name(&missing, w.id);
	}
	if (!missing.n)
		return IBB_OK;
	/* one of confidence C is a guess by its own word */
	return FIND(g, *k->confidence == 'C' ? IBB_SEV_NOTE : IBB_SEV_WARNING, CAT_RECOMMENDATION,
		    i, "%s recommends %s for %s, which its list of Windows leaves out", k->id,
		    k->release->pub.id, missing.text);
}

/* A Windows without one, between two that have one. */
static int judge_gap(struct judge *g, const struct cat_driver_set *set, size_t index)
{
	struct ibb_windows w;
	bool before = false, after = false;

	ibb_catalog_windows_at(g->c, index, &w);
	if (cat_recommendation_for(g->c, set, &w))
		return IBB_OK;
	for (size_t k = 0; k < ibb_catalog_n_windows(g->c); k++) {
		struct ibb_windows o;

		ibb_catalog_windows_at(g->c, k, &o);
		if (o.server != w.server || !cat_recommendation_for(g->c, set, &o))
			continue;
		before |= o.build < w.build;
		after |= o.build > w.build;
	}
	if (!before || !after)
		return IBB_OK;
	return FIND(
		g, IBB_SEV_WARNING, CAT_WINDOWS, index,
		"no release of %s is recommended for %s, though for Windows before and after it",
		set->id, w.name);
}

static int judge_recommendations(struct judge *g)
{
	const struct cat_driver_set *d = CAT_ITEMS(g->c, CAT_DRIVER_SET, struct cat_driver_set);
	size_t n = g->c->tables[CAT_RECOMMENDATION].n;
	int rc = IBB_OK;

	for (size_t i = 0; i < n && !rc; i++)
		for (size_t k = 0; k < i && !rc; k++)
			rc = judge_two(g, i, k);
	for (size_t i = 0; i < n && !rc; i++)
		rc = judge_listed(g, i);
	for (size_t i = 0; i < g->c->tables[CAT_DRIVER_SET].n && !rc; i++)
		for (size_t k = 0; k < ibb_catalog_n_windows(g->c) && !rc; k++)
			rc = judge_gap(g, &d[i], k);
	return rc;
}

/* ---- dates ---- */

/* As far as both are known: "2024" is not after "2024-03". */
static bool is_after(const char *a, const char *b)
{
	size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

	return strncmp(a, b, n) > 0;
}

static int judge_status(struct judge *g, size_t i)
{
	const struct ibb_size *z = ibb_catalog_size_at(g->c, i);
	const char *as_of = g->c->layers[g->c->tables[CAT_SIZE].from[i].layer].as_of;

	if (!z->retire_date)
		return IBB_OK;
	if (z->retired && is_after(z->retire_date, as_of))
		return FIND(
			g, IBB_SEV_WARNING, CAT_SIZE, i,
			"%s is called retired, but its date %s is after that of the catalog, %s",
			z->name, z->retire_date, as_of);
	if (!z->retired && strcmp(z->status, "retiring") != 0)
		return FIND(g, IBB_SEV_WARNING, CAT_SIZE, i,
			    "%s has the retire date %s, but is called %s", z->name, z->retire_date,
			    z->status);
	if (!z->retired && is_after(g->today, z->retire_date))
		return FIND(g, IBB_SEV_WARNING, CAT_SIZE, i,
			    "%s is called %s, but its date %s has passed", z->name, z->status,
			    z->retire_date);
	return IBB_OK;
}

static int judge_entry(struct judge *g, size_t i)
{
	const struct cat_ext_entry *e = &CAT_ITEMS(g->c, CAT_EXT_ENTRY, struct cat_ext_entry)[i];

	if (!e->first_date || !e->last_date || !is_after(e->first_date, e->last_date))
		return IBB_OK;
	return FIND(g, IBB_SEV_ERROR, CAT_EXT_ENTRY, i, "%s came on %s, after it went on %s", e->id,
		    e->first_date, e->last_date);
}

static int judge_future(struct judge *g, enum cat_kind kind, size_t i, const char *what,
			const char *date)
{
	const char *as_of = g->c->layers[g->c->tables[kind].from[i].layer].as_of;

	if (!date || !is_after(date, as_of))
		return IBB_OK;
	return FIND(g, IBB_SEV_WARNING, kind, i,
		    "%s has the date %s, after that of the catalog, %s", what, date, as_of);
}

static int judge_dates(struct judge *g)
{
	const struct ibb_source *s = CAT_ITEMS(g->c, CAT_SOURCE, struct ibb_source);
	int rc = IBB_OK;

	for (size_t i = 0; i < g->c->n_layers && !rc; i++)
		if (is_after(g->c->layers[i].as_of, g->today))
			rc = ibb_findings_add(g->f, IBB_SEV_WARNING, g->c->layers[i].name, "as_of",
					      g->err, "the catalog is of %s, today is %s",
					      g->c->layers[i].as_of, g->today);
	for (size_t i = 0; i < g->c->tables[CAT_SOURCE].n && !rc; i++)
		rc = judge_future(g, CAT_SOURCE, i, s[i].id, s[i].date);
	for (size_t i = 0; i < ibb_catalog_n_releases(g->c) && !rc; i++)
		rc = judge_future(g, CAT_RELEASE, i, ibb_catalog_release_at(g->c, i)->id,
				  ibb_catalog_release_at(g->c, i)->date);
	for (size_t i = 0; i < ibb_catalog_n_sizes(g->c) && !rc; i++)
		rc = judge_status(g, i);
	for (size_t i = 0; i < g->c->tables[CAT_EXT_ENTRY].n && !rc; i++)
		rc = judge_entry(g, i);
	return rc;
}

/* ---- secrets ---- */

static int judge_urls(struct judge *g, size_t i)
{
	const struct ibb_release *r = ibb_catalog_release_at(g->c, i);

	for (size_t k = 0; k < r->n_urls; k++) {
		IBB_AUTO_FREE char *shown = NULL;

		if (!ibb_url_has_user(r->urls[k].url))
			continue;
		shown = ibb_url_public(r->urls[k].url);
		if (!shown)
			return ibb_err_nomem(g->err);
		return FIND(g, IBB_SEV_WARNING, CAT_RELEASE, i,
			    "%s: the URL %s has a user name or password, which go wherever the "
			    "catalog goes, into bundles too",
			    r->id, shown);
	}
	return IBB_OK;
}

int ibb_catalog_judge(const struct ibb_catalog *c, const char *today, struct ibb_findings *f,
		      struct ibb_error *err)
{
	struct judge g = {c, today, f, err};
	int rc = judge_sizes(&g);

	if (!rc)
		rc = judge_recommendations(&g);
	if (!rc)
		rc = judge_dates(&g);
	for (size_t i = 0; i < ibb_catalog_n_releases(c) && !rc; i++)
		rc = judge_urls(&g, i);
	for (size_t i = 0; i < c->n_conflicts && !rc; i++)
		rc = ibb_findings_add(f, IBB_SEV_WARNING, c->conflict_files[i], "", err, "%s",
				      c->conflicts[i] + strlen(c->conflict_files[i]) + 2);
	return rc;
}
