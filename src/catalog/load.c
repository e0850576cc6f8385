/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "catalog/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "catalog/read.h"

#define CAT_FORMAT 1

const char *ibb_support_name(enum ibb_support s)
{
	static const char *const names[] = {"validated", "allowed", "unsupported", "impossible"};

	return names[s];
}

const void *cat_lookup(const struct ibb_catalog *c, enum cat_kind kind, const char *id)
{
	const struct cat_table *t = &c->tables[kind];
	const char *rec = t->items;

	for (size_t i = 0; i < t->n; i++, rec += cat_lists[kind].size) {
		const char *have = *(const char *const *)(const void *)rec;

		if (strcasecmp(have, id) == 0)
			return rec;
	}
	return NULL;
}

static int finish_function(struct cat_function *f)
{
	f->pub.source = f->source->id;
	return IBB_OK;
}

static int finish_series(struct cat_reader *r, const char *path, struct cat_series *s)
{
	struct ibb_size *p = &s->proto;

	if (s->function && !p->function_confidence)
		return cat_fault(r, path, "has a function, but function_confidence is null");
	if (strcmp(p->status, "retired") == 0 && !p->retire_date)
		return cat_fault(r, path, "is retired, but retire_date is null");
	p->series = s->id;
	p->nic = s->nic->id;
	p->driver_set = s->driver_set->id;
	p->function = s->function ? &s->function->pub : NULL;
	return IBB_OK;
}

/* What the series shares, before the size's own members are read. */
static int start_size(struct cat_reader *r, const char *path, const struct ibb_json *j,
		      struct cat_size *s)
{
	const char *name = ibb_json_str(j, "series");
	const struct cat_series *series = name ? cat_lookup(r->c, CAT_SERIES, name) : NULL;

	if (!ibb_json_is_object(j))
		return cat_fault(r, path, "must be an object");
	/* a missing or unknown series is reported by the field's own check */
	if (series)
		s->pub = series->proto;
	return IBB_OK;
}

static int finish_size(struct cat_reader *r, const char *path, struct cat_size *s)
{
	struct ibb_size *p = &s->pub;

	if (strncmp(p->name, "Standard_", 9) != 0)
		return cat_fault(r, path, "'%s' does not begin with Standard_", p->name);
	p->retired = strcmp(p->status, "retired") == 0;
	if (p->retired && !p->retire_date)
		return cat_fault(r, path, "is retired, but retire_date is null");
	return IBB_OK;
}

static bool family_exists(const struct ibb_catalog *c, const char *family)
{
	const struct cat_series *s = CAT_ITEMS(c, CAT_SERIES, struct cat_series);

	for (size_t i = 0; i < c->tables[CAT_SERIES].n; i++)
		if (strcmp(s[i].family, family) == 0)
			return true;
	return false;
}

static int finish_rule(struct cat_reader *r, const char *path, size_t index, struct cat_rule *u)
{
	const size_t n[] = {u->sizes.n, u->series.n, u->nics.n, u->families.n, u->driver_sets.n};
	unsigned targets = 0;

	u->scope = CAT_SCOPE_ALL;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(n); i++) {
		if (!n[i])
			continue;
		u->scope = (enum cat_scope)i;
		targets++;
	}
	if (targets > 1)
		return cat_fault(r, path,
				 "names more than one of sizes, series, nics, families, "
				 "driver_sets");
	for (size_t i = 0; i < u->families.n; i++)
		if (!family_exists(r->c, u->families.v[i]))
			return cat_fault(r, path, "no series of family '%s'", u->families.v[i]);
	for (u->state = IBB_SUPPORT_VALIDATED; u->state < IBB_SUPPORT_IMPOSSIBLE; u->state++)
		if (strcmp(ibb_support_name(u->state), u->state_name) == 0)
			break;
	u->index = index;
	return IBB_OK;
}

static int finish(struct cat_reader *r, enum cat_kind kind, const char *path, size_t i, void *rec)
{
	switch (kind) {
	case CAT_FUNCTION:
		return finish_function(rec);
	case CAT_SERIES:
		return finish_series(r, path, rec);
	case CAT_SIZE:
		return finish_size(r, path, rec);
	case CAT_RULE:
		return finish_rule(r, path, i, rec);
	default:
		return IBB_OK;
	}
}

static int read_item(struct cat_reader *r, enum cat_kind kind, size_t i, const struct ibb_json *j)
{
	const struct cat_list *l = &cat_lists[kind];
	struct cat_table *t = &r->c->tables[kind];
	void *rec = (char *)t->items + i * l->size;
	char path[64];
	int rc = IBB_OK;

	snprintf(path, sizeof(path), "%s[%zu]", l->key, i);
	if (kind == CAT_RULE)
		((struct cat_rule *)rec)->windows.max_build = UINT32_MAX;
	if (kind == CAT_SIZE)
		rc = start_size(r, path, j, rec);
	if (!rc)
		rc = cat_read_record(r, path, j, l->fields, l->n_fields, rec);
	if (!rc && !l->anonymous && cat_lookup(r->c, kind, *(const char *const *)rec))
		rc = cat_fault(r, path, "a second %s named '%s'", l->what,
			       *(const char *const *)rec);
	if (!rc)
		rc = finish(r, kind, path, i, rec);
	if (!rc)
		t->n = i + 1; /* from now on cat_lookup() finds it */
	return rc;
}

static int read_list(struct cat_reader *r, enum cat_kind kind, const struct ibb_json *doc)
{
	const struct cat_list *l = &cat_lists[kind];
	const struct ibb_json *j = ibb_json_get(doc, l->key);
	size_t n = ibb_json_count(j), i = 0;
	int rc = IBB_OK;

	if (!j)
		return l->optional ? IBB_OK : cat_fault(r, l->key, "is missing");
	if (!ibb_json_is_array(j))
		return cat_fault(r, l->key, "must be a list");
	if (n > IBB_LIMIT_CATALOG_ENTRIES)
		return ibb_err(r->err, IBB_E_LIMIT, "%s: %s: %zu entries are too many", r->name,
			       l->key, n);
	r->c->tables[kind].items = ibb_arena_array(&r->c->arena, n, l->size);
	if (!r->c->tables[kind].items)
		return ibb_err_nomem(r->err);
	memset(r->c->tables[kind].items, 0, n * l->size);
	ibb_json_foreach (it, j) {
		rc = read_item(r, kind, i++, it);
		if (rc)
			break;
	}
	return rc;
}

/* Checks that need a whole list. */
static int check_windows(struct cat_reader *r)
{
	const struct cat_windows *w = CAT_ITEMS(r->c, CAT_WINDOWS, struct cat_windows);
	char path[64];

	for (size_t i = 0; i < r->c->tables[CAT_WINDOWS].n; i++) {
		snprintf(path, sizeof(path), "windows[%zu]", i);
		for (size_t k = 0; k < i; k++)
			if (w[k].build == w[i].build && strcmp(w[k].product, w[i].product) == 0)
				return cat_fault(r, path, "build and product are those of '%s'",
						 w[k].id);
	}
	return IBB_OK;
}

static int check_sizes(struct cat_reader *r)
{
	const struct cat_size *s = CAT_ITEMS(r->c, CAT_SIZE, struct cat_size);
	char path[64];

	for (size_t i = 0; i < r->c->tables[CAT_SIZE].n; i++) {
		const struct cat_size *of;

		if (!s[i].pub.constrained_of)
			continue;
		snprintf(path, sizeof(path), "sizes[%zu].constrained_of", i);
		of = cat_lookup(r->c, CAT_SIZE, s[i].pub.constrained_of);
		if (!of)
			return cat_fault(r, path, "no size named '%s'", s[i].pub.constrained_of);
		if (of->series != s[i].series || of->pub.constrained_of)
			return cat_fault(r, path, "'%s' is not a full size of the same series",
					 of->pub.name);
	}
	return IBB_OK;
}

static int check_not_rdma(struct cat_reader *r)
{
	const struct cat_not_rdma *n = CAT_ITEMS(r->c, CAT_NOT_RDMA, struct cat_not_rdma);
	const struct cat_misprint *m = CAT_ITEMS(r->c, CAT_MISPRINT, struct cat_misprint);
	char path[64];

	for (size_t i = 0; i < r->c->tables[CAT_NOT_RDMA].n; i++) {
		snprintf(path, sizeof(path), "not_rdma[%zu].name", i);
		if (cat_lookup(r->c, CAT_SIZE, n[i].name))
			return cat_fault(r, path, "'%s' is among the sizes too", n[i].name);
	}
	for (size_t i = 0; i < r->c->tables[CAT_MISPRINT].n; i++) {
		snprintf(path, sizeof(path), "misprints[%zu].name", i);
		if (cat_lookup(r->c, CAT_SIZE, m[i].name))
			return cat_fault(r, path, "'%s' is among the sizes too", m[i].name);
	}
	return IBB_OK;
}

/* Every resolution must end in a rule: one without target and without Windows is required. */
static int check_rules(struct cat_reader *r)
{
	const struct cat_rule *u = CAT_ITEMS(r->c, CAT_RULE, struct cat_rule);

	for (size_t i = 0; i < r->c->tables[CAT_RULE].n; i++) {
		const struct cat_range *w = &u[i].windows;

		if (u[i].scope == CAT_SCOPE_ALL && !w->min_build && w->max_build == UINT32_MAX &&
		    !w->product && !w->arch)
			return IBB_OK;
	}
	return cat_fault(r, "rules", "none is for every size and every Windows");
}

struct header {
	const char *schema, *title, *as_of;
	unsigned format;
};
static const struct cat_field header_fields[] = {
	{"$schema", CAT_T_STR, CAT_OPT, offsetof(struct header, schema), 0, 0, NULL, 0, 0},
	{"title", CAT_T_STR, CAT_OPT, offsetof(struct header, title), 0, 0, NULL, 0, 0},
	{"as_of", CAT_T_DATE, 0, offsetof(struct header, as_of), 0, 0, NULL, 0, 0},
	{"format", CAT_T_UINT, 0, offsetof(struct header, format), 0, 0, NULL, 0, 1000000},
};

static const struct cat_field confidence_fields[] = {
	{"A", CAT_T_STR, 0, 0, 0, 0, NULL, 0, 0},
	{"B", CAT_T_STR, 0, 0, 0, 0, NULL, 0, 0},
	{"C", CAT_T_STR, 0, 0, 0, 0, NULL, 0, 0},
};

static int read_header(struct cat_reader *r, const struct ibb_json *doc)
{
	struct header h = {0};
	const char *legend = NULL; /* only checked: it explains the letters to a reader */
	int rc = IBB_OK;

	if (!ibb_json_is_object(doc))
		return ibb_err(r->err, IBB_E_CORRUPT, "%s: not a driver catalog: no object",
			       r->name);
	ibb_json_foreach (it, doc) {
		const char *key = ibb_json_key(it);
		bool known = strcmp(key, "confidences") == 0;

		for (size_t k = 0; k < CAT_N_KINDS && !known; k++)
			known = strcmp(key, cat_lists[k].key) == 0;
		for (size_t k = 0; k < IBB_ARRAY_SIZE(header_fields) && !known; k++)
			known = strcmp(key, header_fields[k].key) == 0;
		if (!known)
			return ibb_err(r->err, IBB_E_CORRUPT, "%s: unknown member '%s'", r->name,
				       key);
	}
	for (size_t k = 0; k < IBB_ARRAY_SIZE(header_fields) && !rc; k++) {
		const struct cat_field *f = &header_fields[k];
		const struct ibb_json *v = ibb_json_get(doc, f->key);

		if (!v && !(f->flags & CAT_OPT))
			rc = cat_fault(r, f->key, "is missing");
		else if (v)
			rc = cat_read_field(r, f->key, v, f, &h);
	}
	if (!rc && ibb_json_get(doc, "confidences"))
		rc = cat_read_record(r, "confidences", ibb_json_get(doc, "confidences"),
				     confidence_fields, IBB_ARRAY_SIZE(confidence_fields), &legend);
	if (rc)
		return rc;
	if (h.format != CAT_FORMAT) {
		ibb_err(r->err, IBB_E_UNSUPPORTED, "%s: format %u, this ibbake reads format %d",
			r->name, h.format, CAT_FORMAT);
		return ibb_err_hint(r->err, IBB_E_UNSUPPORTED,
				    "use the catalog that came with this ibbake, or a newer "
				    "ibbake");
	}
	r->c->as_of = h.as_of;
	return IBB_OK;
}

static int load(struct cat_reader *r, const void *text, size_t n)
{
	struct ibb_sha256 digest;
	int rc = ibb_sha256(text, n, &digest);

	if (rc)
		return ibb_err_nomem(r->err);
	ibb_sha256_hex(&digest, r->c->sha256);
	rc = ibb_json_parse(r->name, text, n, &r->c->doc, r->err);
	if (!rc)
		rc = read_header(r, r->c->doc);
	for (unsigned k = 0; k < CAT_N_KINDS && !rc; k++)
		rc = read_list(r, (enum cat_kind)k, r->c->doc);
	if (!rc)
		rc = check_windows(r);
	if (!rc)
		rc = check_sizes(r);
	if (!rc)
		rc = check_not_rdma(r);
	if (!rc)
		rc = check_rules(r);
	return rc;
}

int ibb_catalog_load(const char *name, const void *text, size_t n, struct ibb_catalog **ret,
		     struct ibb_error *err)
{
	IBB_AUTO(ibb_catalog_free) struct ibb_catalog *c = ibb_zalloc(sizeof(*c));
	struct cat_reader r = {name, c, err};
	int rc;

	if (!c)
		return ibb_err_nomem(err);
	rc = load(&r, text, n);
	if (rc)
		return rc;
	*ret = IBB_TAKE(c);
	return IBB_OK;
}

void ibb_catalog_free(struct ibb_catalog *c)
{
	if (!c)
		return;
	ibb_json_free(c->doc);
	ibb_arena_clear(&c->arena);
	free(c);
}

const char *ibb_catalog_version(const struct ibb_catalog *c)
{
	return c->as_of;
}

const char *ibb_catalog_sha256(const struct ibb_catalog *c)
{
	return c->sha256;
}

size_t ibb_catalog_n_sizes(const struct ibb_catalog *c)
{
	return c->tables[CAT_SIZE].n;
}

const struct ibb_size *ibb_catalog_size_at(const struct ibb_catalog *c, size_t i)
{
	return &CAT_ITEMS(c, CAT_SIZE, struct cat_size)[i].pub;
}
