/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which rule decides, when several speak of the same size and Windows and may contradict each
 * other. All that apply are kept in the trace, in this order; the first decides:
 *
 * 1. what is impossible stays impossible, whoever says otherwise;
 * 2. the rule with the narrower target: sizes, series, NICs, families, driver sets, everything. A
 *    table by NIC comes before a family page, which is an overview;
 * 3. the rule with the narrower range of Windows builds, one for clients or servers alone before
 *    one for both;
 * 4. the rule of the catalog that was laid over the other;
 * 5. the rule with the newer source (undated ones are oldest);
 * 6. the rule that stands first in the catalog.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "catalog/model.h"

struct resolution {
	struct ibb_resolution pub;
	struct ibb_arena arena;
};

static const char *arch_of(const struct ibb_windows *w)
{
	return w->arch ? w->arch : "x64";
}

bool cat_range_covers(const struct cat_range *r, const struct ibb_windows *w)
{
	if (w->build < r->min_build || w->build > r->max_build)
		return false;
	if (r->product && (strcmp(r->product, "server") == 0) != w->server)
		return false;
	return !r->arch || strcasecmp(r->arch, arch_of(w)) == 0;
}

static bool among(const struct cat_refs *refs, const void *rec)
{
	for (size_t i = 0; i < refs->n; i++)
		if (refs->v[i] == rec)
			return true;
	return false;
}

static bool targets(const struct cat_rule *u, const struct cat_size *s)
{
	switch (u->scope) {
	case CAT_SCOPE_SIZE:
		return among(&u->sizes, s);
	case CAT_SCOPE_SERIES:
		return among(&u->series, s->series);
	case CAT_SCOPE_NIC:
		return among(&u->nics, s->series->nic);
	case CAT_SCOPE_FAMILY:
		for (size_t i = 0; i < u->families.n; i++)
			if (strcmp(u->families.v[i], s->series->family) == 0)
				return true;
		return false;
	case CAT_SCOPE_DRIVER_SET:
		return among(&u->driver_sets, s->series->driver_set);
	case CAT_SCOPE_ALL:
		return true;
	}
	return false;
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static uint64_t width(const struct cat_range *r)
{
	uint64_t builds = (uint64_t)r->max_build - r->min_build;

	return builds * 4 + (r->product ? 0 : 2) + (r->arch ? 0 : 1);
}

static int precedence(const void *pa, const void *pb)
{
	const struct cat_rule *a = *(const struct cat_rule *const *)pa;
	const struct cat_rule *b = *(const struct cat_rule *const *)pb;
	bool a_possible = a->state != IBB_SUPPORT_IMPOSSIBLE;
	bool b_possible = b->state != IBB_SUPPORT_IMPOSSIBLE;
	const char *a_date = a->source->date ? a->source->date : "";
	const char *b_date = b->source->date ? b->source->date : "";
	int by = a_possible - b_possible;

	if (!by)
		by = (int)a->scope - (int)b->scope;
	if (!by)
		by = compare_u64(width(&a->windows), width(&b->windows));
	if (!by)
		by = compare_u64(b->layer, a->layer);
	if (!by)
		by = strcmp(b_date, a_date);
	return by ? by : compare_u64(a->index, b->index);
}

/* The rules that apply, the deciding one first. */
static int applying(const struct ibb_catalog *c, const struct cat_size *s,
		    const struct ibb_windows *w, const struct cat_rule **rules, size_t *ret_n)
{
	const struct cat_rule *u = CAT_ITEMS(c, CAT_RULE, struct cat_rule);
	size_t n = 0;

	for (size_t i = 0; i < c->tables[CAT_RULE].n; i++)
		if (targets(&u[i], s) && cat_range_covers(&u[i].windows, w))
			rules[n++] = &u[i];
	qsort(rules, n, sizeof(*rules), precedence);
	*ret_n = n;
	return n ? IBB_OK : IBB_E_INTERNAL; /* the loader made sure that one always applies */
}

static int trace(const struct ibb_catalog *c, const struct cat_size *s, struct resolution *r)
{
	size_t n_rules = c->tables[CAT_RULE].n, n = 0;
	struct ibb_rule_trace *t;
	IBB_AUTO_FREE const struct cat_rule **rules = ibb_calloc_array(n_rules, sizeof(*rules));
	int rc;

	if (!rules)
		return IBB_E_NOMEM;
	rc = applying(c, s, &r->pub.windows, rules, &n);
	if (rc)
		return rc;
	t = ibb_arena_array(&r->arena, n, sizeof(*t));
	if (!t)
		return IBB_E_NOMEM;
	for (size_t i = 0; i < n; i++)
		t[i] = (struct ibb_rule_trace){
			.rule = rules[i]->id,
			.decided = i == 0,
			.state = rules[i]->state,
			.reason = rules[i]->reason,
			.confidence = rules[i]->confidence,
			.source = rules[i]->source,
		};
	r->pub.trace = t;
	r->pub.n_trace = n;
	r->pub.state = t[0].state;
	return IBB_OK;
}

/* Of the latest catalog that has one: later files win. */
const struct cat_recommendation *cat_recommendation_for(const struct ibb_catalog *c,
							const struct cat_driver_set *set,
							const struct ibb_windows *w)
{
	const struct cat_recommendation *k =
		CAT_ITEMS(c, CAT_RECOMMENDATION, struct cat_recommendation);
	const struct cat_table *t = &c->tables[CAT_RECOMMENDATION];
	const struct cat_recommendation *best = NULL;
	unsigned layer = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (k[i].driver_set != set || !cat_range_covers(&k[i].windows, w))
			continue;
		if (!best || t->from[i].layer > layer) {
			best = &k[i];
			layer = t->from[i].layer;
		}
	}
	return best;
}

static void recommend(const struct ibb_catalog *c, const struct cat_driver_set *set,
		      struct ibb_resolution *r)
{
	const struct cat_recommendation *k = cat_recommendation_for(c, set, &r->windows);

	if (!k)
		return;
	r->recommended = &k->release->pub;
	r->recommended_version = k->release->pub.version;
	r->recommended_reason = k->reason;
	r->recommended_confidence = k->confidence;
	r->recommended_sha256 = k->release->pub.sha256;
	for (size_t i = 0; i < k->release->pub.n_urls && !r->recommended_url; i++)
		if (strcmp(k->release->pub.urls[i].basis, "seen") == 0)
			r->recommended_url = k->release->pub.urls[i].url;
}

static int local_entries(const struct ibb_catalog *c, const struct cat_driver_set *set,
			 struct resolution *r)
{
	const struct cat_local *l = CAT_ITEMS(c, CAT_LOCAL, struct cat_local);
	size_t n = c->tables[CAT_LOCAL].n, used = 0;
	struct ibb_local_entry *e = ibb_arena_array(&r->arena, n, sizeof(*e));

	if (!e)
		return IBB_E_NOMEM;
	for (size_t i = 0; i < n; i++)
		if (l[i].driver_set == set)
			e[used++] = l[i].pub;
	r->pub.local = e;
	r->pub.n_local = used;
	return IBB_OK;
}

#define MAX_WARNINGS 8

/* text NULL: out of memory while it was formatted */
static int warn(const char **list, size_t *n, const char *text)
{
	if (!text || *n == MAX_WARNINGS)
		return IBB_E_NOMEM;
	list[(*n)++] = text;
	return IBB_OK;
}

static char *status_warning(struct ibb_arena *a, const struct ibb_size *s)
{
	if (s->retired)
		return ibb_arena_printf(a, "%s was retired on %s", s->name, s->retire_date);
	if (strcmp(s->status, "retiring") == 0)
		return ibb_arena_printf(a, "%s retires on %s", s->name,
					s->retire_date ? s->retire_date : "a date not yet known");
	return ibb_arena_printf(a, "%s is not a size that is generally available (%s)", s->name,
				s->status);
}

static const char *windows_label(struct ibb_arena *a, const struct ibb_windows *w)
{
	if (w->name)
		return w->name;
	return ibb_arena_printf(a, "Windows %s build %u", w->server ? "Server" : "client",
				w->build);
}

static int size_warnings(const struct ibb_size *s, enum ibb_support state, struct ibb_arena *a,
			 const char **list, size_t *n)
{
	int rc = IBB_OK;

	if (strcmp(s->status, "current") != 0)
		rc = warn(list, n, status_warning(a, s));
	if (!rc && *s->confidence == 'C')
		rc = warn(list, n,
			  ibb_arena_printf(a, "what is known of %s is inferred (confidence C)",
					   s->name));
	if (rc || !s->function || state == IBB_SUPPORT_IMPOSSIBLE)
		return rc;
	if (s->function->caveat)
		rc = warn(list, n, ibb_arena_printf(a, "%s", s->function->caveat));
	else if (*s->function_confidence == 'C')
		rc = warn(list, n,
			  ibb_arena_printf(a,
					   "the hardware ID of the InfiniBand function of %s is "
					   "inferred (confidence C): check it on a VM",
					   s->name));
	return rc;
}

static int warnings(const struct ibb_size *s, struct resolution *r)
{
	const struct ibb_rule_trace *by = &r->pub.trace[0];
	const char **list = ibb_arena_array(&r->arena, MAX_WARNINGS, sizeof(*list));
	const char *label = windows_label(&r->arena, &r->pub.windows);
	size_t n = 0;
	int rc;

	if (!list || !label)
		return IBB_E_NOMEM;
	rc = size_warnings(s, r->pub.state, &r->arena, list, &n);
	if (!rc && r->pub.state == IBB_SUPPORT_ALLOWED)
		rc = warn(list, &n,
			  ibb_arena_printf(&r->arena, "%s on %s is allowed, not validated: %s",
					   label, s->name, by->reason));
	if (!rc && *by->confidence == 'C' && r->pub.state != IBB_SUPPORT_IMPOSSIBLE)
		rc = warn(list, &n,
			  ibb_arena_printf(&r->arena,
					   "the deciding rule %s is an inference (confidence C)",
					   by->rule));
	r->pub.warnings = list;
	r->pub.n_warnings = n;
	return rc;
}

static int fill(const struct ibb_catalog *c, const struct cat_size *s, struct resolution *r)
{
	const struct cat_driver_set *set = s->series->driver_set;
	int rc = trace(c, s, r);

	if (rc)
		return rc;
	r->pub.driver_set = set->id;
	r->pub.driver_set_name = set->name;
	r->pub.service = set->service;
	r->pub.package_inf = set->inf;
	r->pub.nd_note = set->fetch_note;
	recommend(c, set, &r->pub);
	rc = local_entries(c, set, r);
	return rc ? rc : warnings(&s->pub, r);
}

int ibb_catalog_resolve(const struct ibb_catalog *c, const struct ibb_size *size,
			const struct ibb_windows *w, struct ibb_resolution **ret,
			struct ibb_error *err)
{
	IBB_AUTO(ibb_resolution_free) struct ibb_resolution *out = NULL;
	const struct cat_size *s = cat_lookup(c, CAT_SIZE, size->name);
	struct resolution *r = ibb_zalloc(sizeof(*r));
	int rc;

	if (!r)
		return ibb_err_nomem(err);
	out = &r->pub;
	if (!s || &s->pub != size)
		return ibb_err(err, IBB_E_INTERNAL, "resolve: %s is not of this catalog",
			       size->name);
	r->pub.size = size;
	r->pub.windows = *w;
	rc = fill(c, s, r);
	if (rc)
		return rc == IBB_E_NOMEM
			       ? ibb_err_nomem(err)
			       : ibb_err(err, rc, "resolve: no rule applies to %s", size->name);
	*ret = IBB_TAKE(out);
	return IBB_OK;
}

void ibb_resolution_free(struct ibb_resolution *res)
{
	struct resolution *r = (struct resolution *)res;

	if (!r)
		return;
	ibb_arena_clear(&r->arena);
	free(r);
}
