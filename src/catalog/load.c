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

size_t cat_record_size(enum cat_kind kind)
{
	return cat_lists[kind].size;
}

static int finish_function(struct cat_function *f)
{
	f->pub.source = f->source->id;
	return IBB_OK;
}

/* It is looked for, and shown, as a file's name: never as a path. */
static bool is_file_name(const char *name)
{
	return !strpbrk(name, "/\\:") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int finish_release(struct cat_reader *r, const char *path, struct cat_release *e)
{
	struct ibb_release *p = &e->pub;
	struct ibb_release_url *u;

	p->driver_set = e->driver_set->id;
	p->driver_set_name = e->driver_set->name;
	p->size_bytes = e->size;
	if (p->package && !e->package_name)
		return cat_fault(r, path, "has a package, but package_name is null");
	if (p->package && !is_file_name(p->package))
		return cat_fault(r, path, "package: '%s' is not the name of a file", p->package);
	if (p->sha256_basis && !p->sha256)
		return cat_fault(r, path, "has a sha256_basis, but sha256 is null");
	if (p->sha256 && !p->sha256_basis)
		return cat_fault(r, path,
				 "has a sha256, but no sha256_basis that says whose it is");
	if (!e->old_url)
		return IBB_OK;
	if (p->n_urls)
		return cat_fault(r, path, "has both url and urls");
	u = ibb_arena_array(&r->c->arena, 1, sizeof(*u));
	if (!u)
		return ibb_err_nomem(r->err);
	*u = (struct ibb_release_url){e->old_url, "seen", p->confidence};
	p->urls = u;
	p->n_urls = 1;
	return IBB_OK;
}

static int finish_recommendation(struct cat_reader *r, const char *path,
				 const struct cat_recommendation *e)
{
	if (e->release->driver_set == e->driver_set)
		return IBB_OK;
	return cat_fault(r, path, "is for %s, but release '%s' is of %s", e->driver_set->id,
			 e->release->pub.id, e->release->driver_set->id);
}

static bool is_absolute(const char *path)
{
	return *path == '/';
}

static int finish_local(struct cat_reader *r, size_t i, struct cat_local *l)
{
	const struct cat_origin *from = &r->c->tables[CAT_LOCAL].from[i];
	const char *dir = r->c->layers[from->layer].dir;

	if (!dir || is_absolute(l->pub.path))
		return IBB_OK;
	l->pub.path = ibb_arena_printf(&r->c->arena, "%s/%s", dir, l->pub.path);
	return l->pub.path ? IBB_OK : ibb_err_nomem(r->err);
}

static int finish_ext_entry(struct cat_reader *r, const char *path, const struct cat_ext_entry *e)
{
	if (!e->last_commit != !e->last_date)
		return cat_fault(r, path, "last_commit and last_date go together");
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
	u->layer = r->c->tables[CAT_RULE].from[index].layer;
	return IBB_OK;
}

static int finish(struct cat_reader *r, enum cat_kind kind, const char *path, size_t i, void *rec)
{
	switch (kind) {
	case CAT_FUNCTION:
		return finish_function(rec);
	case CAT_RELEASE:
		return finish_release(r, path, rec);
	case CAT_RECOMMENDATION:
		return finish_recommendation(r, path, rec);
	case CAT_LOCAL:
		return finish_local(r, i, rec);
	case CAT_EXT_ENTRY:
		return finish_ext_entry(r, path, rec);
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

static int read_item(struct cat_reader *r, enum cat_kind kind, size_t i)
{
	const struct cat_list *l = &cat_lists[kind];
	struct cat_table *t = &r->c->tables[kind];
	const struct ibb_json *j = t->from[i].json;
	void *rec = (char *)t->items + i * l->size;
	char path[64];
	int rc = IBB_OK;

	cat_place(r, kind, i, path, sizeof(path));
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

static int read_list(struct cat_reader *r, enum cat_kind kind)
{
	const struct cat_list *l = &cat_lists[kind];
	struct cat_table *t = &r->c->tables[kind];
	int rc = IBB_OK;

	for (size_t i = 0; i < t->n_from && !rc;) {
		rc = cat_go_on(r, read_item(r, kind, i));
		if (rc || t->n > i) {
			i++;
			continue;
		}
		/* its fault was noted: the list closes up */
		memset((char *)t->items + i * l->size, 0, l->size);
		memmove(&t->from[i], &t->from[i + 1], (t->n_from - i - 1) * sizeof(*t->from));
		t->n_from--;
	}
	return rc;
}

/* The companions of each driver set, one behind the other. */
static int gather_companions(struct cat_reader *r)
{
	const struct cat_companion *k = CAT_ITEMS(r->c, CAT_COMPANION, struct cat_companion);
	struct cat_driver_set *d = r->c->tables[CAT_DRIVER_SET].items;
	const size_t n = r->c->tables[CAT_COMPANION].n;

	for (size_t i = 0; i < r->c->tables[CAT_DRIVER_SET].n && n; i++) {
		struct ibb_companion_file *v = ibb_arena_array(&r->c->arena, n, sizeof(*v));

		if (!v)
			return ibb_err_nomem(r->err);
		d[i].companions = v;
		for (size_t m = 0; m < n; m++)
			if (k[m].driver_set == &d[i])
				v[d[i].n_companions++] = k[m].pub;
	}
	return IBB_OK;
}

/* Checks that need a whole list. */
static int check_windows(struct cat_reader *r)
{
	const struct cat_windows *w = CAT_ITEMS(r->c, CAT_WINDOWS, struct cat_windows);
	char path[64];

	for (size_t i = 0; i < r->c->tables[CAT_WINDOWS].n; i++) {
		cat_place(r, CAT_WINDOWS, i, path, sizeof(path));
		for (size_t k = 0; k < i; k++) {
			int rc;

			if (w[k].build != w[i].build || strcmp(w[k].product, w[i].product) != 0)
				continue;
			rc = cat_go_on(r, cat_fault(r, path, "build and product are those of '%s'",
						    w[k].id));
			if (rc)
				return rc;
		}
	}
	return IBB_OK;
}

static int check_sizes(struct cat_reader *r)
{
	const struct cat_size *s = CAT_ITEMS(r->c, CAT_SIZE, struct cat_size);
	char path[64];

	for (size_t i = 0; i < r->c->tables[CAT_SIZE].n; i++) {
		const struct cat_size *of;
		int rc;

		if (!s[i].pub.constrained_of)
			continue;
		cat_place(r, CAT_SIZE, i, path, sizeof(path));
		strcat(path, ".constrained_of");
		of = cat_lookup(r->c, CAT_SIZE, s[i].pub.constrained_of);
		rc = IBB_OK;
		if (!of)
			rc = cat_fault(r, path, "no size named '%s'", s[i].pub.constrained_of);
		else if (of->series != s[i].series || of->pub.constrained_of)
			rc = cat_fault(r, path, "'%s' is not a full size of the same series",
				       of->pub.name);
		rc = cat_go_on(r, rc);
		if (rc)
			return rc;
	}
	return IBB_OK;
}

static int check_not_rdma(struct cat_reader *r)
{
	const struct cat_not_rdma *n = CAT_ITEMS(r->c, CAT_NOT_RDMA, struct cat_not_rdma);
	const struct cat_misprint *m = CAT_ITEMS(r->c, CAT_MISPRINT, struct cat_misprint);
	char path[64];
	int rc;

	for (size_t i = 0; i < r->c->tables[CAT_NOT_RDMA].n; i++) {
		cat_place(r, CAT_NOT_RDMA, i, path, sizeof(path));
		strcat(path, ".name");
		if (!cat_lookup(r->c, CAT_SIZE, n[i].name))
			continue;
		rc = cat_go_on(r, cat_fault(r, path, "'%s' is among the sizes too", n[i].name));
		if (rc)
			return rc;
	}
	for (size_t i = 0; i < r->c->tables[CAT_MISPRINT].n; i++) {
		cat_place(r, CAT_MISPRINT, i, path, sizeof(path));
		strcat(path, ".name");
		if (!cat_lookup(r->c, CAT_SIZE, m[i].name))
			continue;
		rc = cat_go_on(r, cat_fault(r, path, "'%s' is among the sizes too", m[i].name));
		if (rc)
			return rc;
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
	r->name = r->c->layers[0].name;
	return cat_go_on(r, cat_fault(r, "rules", "none is for every size and every Windows"));
}

struct header {
	const char *schema, *title, *as_of;
	unsigned format;
	bool overlay;
};
#define HEADER(key, type, flags, m, max)                                               \
	{                                                                              \
		key, type, flags, offsetof(struct header, m), 0, 0, NULL, 0, max, NULL \
	}
static const struct cat_field header_fields[] = {
	HEADER("$schema", CAT_T_STR, CAT_OPT, schema, 0),
	HEADER("title", CAT_T_STR, CAT_OPT, title, 0),
	HEADER("as_of", CAT_T_DATE, 0, as_of, 0),
	HEADER("format", CAT_T_UINT, 0, format, 1000000),
	HEADER("overlay", CAT_T_BOOL, CAT_OPT, overlay, 0),
};

static const struct cat_field confidence_fields[] = {
	{"A", CAT_T_STR, 0, 0, 0, 0, NULL, 0, 0, NULL},
	{"B", CAT_T_STR, 0, 0, 0, 0, NULL, 0, 0, NULL},
	{"C", CAT_T_STR, 0, 0, 0, 0, NULL, 0, 0, NULL},
};

static int check_header_members(struct cat_reader *r, const struct ibb_json *doc)
{
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
	return IBB_OK;
}

static int read_header_fields(struct cat_reader *r, const struct ibb_json *doc, struct header *h)
{
	const char *legend = NULL; /* only checked: it explains the letters to a reader */
	int rc = IBB_OK;

	for (size_t k = 0; k < IBB_ARRAY_SIZE(header_fields) && !rc; k++) {
		const struct cat_field *f = &header_fields[k];
		const struct ibb_json *v = ibb_json_get(doc, f->key);

		if (!v && !(f->flags & CAT_OPT))
			rc = cat_fault(r, f->key, "is missing");
		else if (v)
			rc = cat_read_field(r, f->key, v, f, h);
	}
	if (!rc && ibb_json_get(doc, "confidences"))
		rc = cat_read_record(r, "confidences", ibb_json_get(doc, "confidences"),
				     confidence_fields, IBB_ARRAY_SIZE(confidence_fields), &legend);
	return rc;
}

static int read_header(struct cat_reader *r, struct cat_layer *l)
{
	struct header h = {0};
	int rc = check_header_members(r, l->doc);

	if (!rc)
		rc = read_header_fields(r, l->doc, &h);
	if (rc)
		return rc;
	if (h.format != CAT_FORMAT) {
		ibb_err(r->err, IBB_E_UNSUPPORTED, "%s: format %u, this ibbake reads format %d",
			r->name, h.format, CAT_FORMAT);
		return ibb_err_hint(r->err, IBB_E_UNSUPPORTED,
				    "use the catalog that came with this ibbake, or a newer "
				    "ibbake");
	}
	if (h.overlay && l == r->c->layers) {
		ibb_err(r->err, IBB_E_UNSUPPORTED,
			"%s: is an overlay, which only adds to another catalog", r->name);
		return ibb_err_hint(r->err, IBB_E_UNSUPPORTED, "give it with --catalog-dir");
	}
	l->as_of = h.as_of;
	l->title = h.title;
	l->overlay = h.overlay;
	/* the newest of them */
	if (!r->c->as_of || strcmp(h.as_of, r->c->as_of) > 0)
		r->c->as_of = h.as_of;
	return IBB_OK;
}

static int read_text(struct cat_reader *r, const struct ibb_catalog_text *t, struct cat_layer *l)
{
	struct ibb_sha256 digest;
	int rc = ibb_sha256(t->text, t->n, &digest);

	l->name = ibb_arena_strdup(&r->c->arena, t->name);
	l->dir = t->dir ? ibb_arena_strdup(&r->c->arena, t->dir) : NULL;
	if (rc || !l->name || (t->dir && !l->dir))
		return ibb_err_nomem(r->err);
	r->name = l->name;
	ibb_sha256_hex(&digest, l->sha256);
	rc = ibb_json_parse(r->name, t->text, t->n, &l->doc, r->err);
	return rc ? rc : read_header(r, l);
}

static int digest_all(struct cat_reader *r)
{
	IBB_AUTO_BUF struct ibb_buf lines = {0};
	struct ibb_catalog *c = r->c;
	struct ibb_sha256 digest;

	if (c->n_layers == 1) {
		memcpy(c->sha256, c->layers[0].sha256, sizeof(c->sha256));
		return IBB_OK;
	}
	for (size_t i = 0; i < c->n_layers; i++)
		if (ibb_buf_printf(&lines, "%s\n", c->layers[i].sha256))
			return ibb_err_nomem(r->err);
	if (ibb_sha256(lines.data, lines.len, &digest))
		return ibb_err_nomem(r->err);
	ibb_sha256_hex(&digest, c->sha256);
	return IBB_OK;
}

static int read_all(struct cat_reader *r)
{
	int rc = digest_all(r);

	if (!rc)
		rc = cat_merge(r);
	for (unsigned k = 0; k < CAT_N_KINDS && !rc; k++)
		rc = read_list(r, (enum cat_kind)k);
	if (!rc)
		rc = gather_companions(r);
	if (!rc)
		rc = check_windows(r);
	if (!rc)
		rc = check_sizes(r);
	if (!rc)
		rc = check_not_rdma(r);
	return rc ? rc : check_rules(r);
}

static int load_texts(const struct ibb_catalog_text *texts, size_t n, struct ibb_findings *sink,
		      struct ibb_catalog **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_catalog_free) struct ibb_catalog *c = ibb_zalloc(sizeof(*c));
	struct cat_reader r = {.c = c, .err = err, .sink = sink};
	int rc = IBB_OK;

	if (!n)
		return ibb_err(err, IBB_E_INVALID, "no driver catalog was given");
	if (!c)
		return ibb_err_nomem(err);
	c->layers = ibb_calloc_array(n, sizeof(*c->layers));
	if (!c->layers)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < n && !rc; i++) {
		c->n_layers = i + 1;
		rc = read_text(&r, &texts[i], &c->layers[i]);
	}
	if (!rc)
		rc = read_all(&r);
	if (rc)
		return rc;
	if (!sink || !sink->n)
		*ret = IBB_TAKE(c);
	return IBB_OK;
}

int ibb_catalog_load_all(const struct ibb_catalog_text *texts, size_t n, struct ibb_catalog **ret,
			 struct ibb_error *err)
{
	return load_texts(texts, n, NULL, ret, err);
}

int ibb_catalog_load_checked(const struct ibb_catalog_text *texts, size_t n, struct ibb_findings *f,
			     struct ibb_catalog **ret, struct ibb_error *err)
{
	struct ibb_error local = {0}; /* the sink copies messages out of it */
	int rc;

	*ret = NULL;
	rc = load_texts(texts, n, f, ret, &local);
	if (rc && err)
		*err = local;
	return rc;
}

int ibb_catalog_load(const char *name, const void *text, size_t n, struct ibb_catalog **ret,
		     struct ibb_error *err)
{
	const struct ibb_catalog_text one = {.name = name, .text = text, .n = n};

	return ibb_catalog_load_all(&one, 1, ret, err);
}

void ibb_catalog_free(struct ibb_catalog *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_layers; i++)
		ibb_json_free(c->layers[i].doc);
	free(c->layers);
	free(c->conflicts);
	free(c->conflict_files);
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
