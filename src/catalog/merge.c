/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Catalogs laid over each other, record by record. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "catalog/read.h"

static bool same_value(const struct ibb_json *a, const struct ibb_json *b);

static bool same_list(const struct ibb_json *a, const struct ibb_json *b)
{
	const struct ibb_json *x = ibb_json_first(a), *y = ibb_json_first(b);

	for (; x && y; x = ibb_json_next(x), y = ibb_json_next(y))
		if (!same_value(x, y))
			return false;
	return !x && !y;
}

static bool same_object(const struct ibb_json *a, const struct ibb_json *b)
{
	if (ibb_json_count(a) != ibb_json_count(b))
		return false;
	ibb_json_foreach (it, a)
		if (!same_value(it, ibb_json_get(b, ibb_json_key(it))))
			return false;
	return true;
}

/* NULL (a member that is absent) and null say the same. Numbers of a catalog are whole. */
static bool same_value(const struct ibb_json *a, const struct ibb_json *b)
{
	const char *x = ibb_json_value_str(a), *y = ibb_json_value_str(b);
	const int64_t limit = (int64_t)1 << 53;
	int64_t m, n;

	if (!a || !b || ibb_json_is_null(a) || ibb_json_is_null(b))
		return (!a || ibb_json_is_null(a)) && (!b || ibb_json_is_null(b));
	if (x || y)
		return x && y && strcmp(x, y) == 0;
	if (ibb_json_is_bool(a) || ibb_json_is_bool(b))
		return ibb_json_is_bool(a) && ibb_json_is_bool(b) &&
		       ibb_json_value_bool(a) == ibb_json_value_bool(b);
	if (ibb_json_is_array(a) || ibb_json_is_array(b))
		return ibb_json_is_array(a) && ibb_json_is_array(b) && same_list(a, b);
	if (ibb_json_is_object(a) || ibb_json_is_object(b))
		return ibb_json_is_object(a) && ibb_json_is_object(b) && same_object(a, b);
	return ibb_json_value_int(a, -limit, limit, &m) &&
	       ibb_json_value_int(b, -limit, limit, &n) && m == n;
}

struct member_list {
	char text[256];
	size_t used;
};

static void add_member(struct member_list *l, const char *key)
{
	size_t room = sizeof(l->text) - l->used;
	int n = snprintf(l->text + l->used, room, "%s%s", l->used ? ", " : "", key);

	if (n > 0 && (size_t)n < room)
		l->used += (size_t)n;
	else
		l->text[l->used] = '\0'; /* the first ones tell enough */
}

/* The members in which two records differ; none: they say the same. */
static void differing(const struct ibb_json *old, const struct ibb_json *new,
		      struct member_list *ret)
{
	ibb_json_foreach (it, old)
		if (!same_value(it, ibb_json_get(new, ibb_json_key(it))))
			add_member(ret, ibb_json_key(it));
	ibb_json_foreach (it, new)
		if (!ibb_json_get(old, ibb_json_key(it)) && !ibb_json_is_null(it))
			add_member(ret, ibb_json_key(it));
}

static int note_conflict(struct cat_reader *r, enum cat_kind kind, const char *id,
			 const struct cat_origin *old, const struct cat_origin *new)
{
	struct ibb_catalog *c = r->c;
	struct member_list l = {.used = 0};
	const char *text;

	differing(old->json, new->json, &l);
	if (!l.used)
		return IBB_OK;
	text = ibb_arena_printf(&c->arena, "%s: %s %s replaces that of %s: %s differ%s",
				c->layers[new->layer].name, cat_lists[kind].key, id,
				c->layers[old->layer].name, l.text, strchr(l.text, ',') ? "" : "s");
	if (!text ||
	    ibb_grow(&c->conflicts, &c->cap_conflicts, c->n_conflicts, sizeof(*c->conflicts)))
		return ibb_err_nomem(r->err);
	c->conflicts[c->n_conflicts++] = text;
	return IBB_OK;
}

/* A record of an earlier layer with this id; its reading tells of two in one layer. */
static struct cat_origin *find_earlier(struct cat_table *t, enum cat_kind kind, unsigned layer,
				       const char *id)
{
	for (size_t i = 0; id && i < t->n_from; i++) {
		const char *have = ibb_json_str(t->from[i].json, cat_lists[kind].fields[0].key);

		if (have && t->from[i].layer < layer && strcasecmp(have, id) == 0)
			return &t->from[i];
	}
	return NULL;
}

static int merge_list(struct cat_reader *r, enum cat_kind kind, unsigned layer,
		      const struct ibb_json *list)
{
	const struct cat_list *l = &cat_lists[kind];
	struct cat_table *t = &r->c->tables[kind];
	size_t i = 0;
	int rc = IBB_OK;

	ibb_json_foreach (it, list) {
		const char *id = l->anonymous ? NULL : ibb_json_str(it, l->fields[0].key);
		struct cat_origin new = {layer, i++, it};
		struct cat_origin *old = find_earlier(t, kind, layer, id);

		if (old) {
			rc = note_conflict(r, kind, id, old, &new);
			*old = new;
		} else {
			t->from[t->n_from++] = new;
		}
		if (rc)
			break;
	}
	return rc;
}

/* How many records the layers have together; each list is one, and there where it has to be. */
static int count_list(struct cat_reader *r, enum cat_kind kind, size_t *ret)
{
	const struct cat_list *l = &cat_lists[kind];
	size_t n = 0;

	for (size_t i = 0; i < r->c->n_layers; i++) {
		const struct ibb_json *j = ibb_json_get(r->c->layers[i].doc, l->key);

		r->name = r->c->layers[i].name;
		if (!j && !i && !l->optional)
			return cat_fault(r, l->key, "is missing");
		if (j && !ibb_json_is_array(j))
			return cat_fault(r, l->key, "must be a list");
		n += ibb_json_count(j);
		if (n > IBB_LIMIT_CATALOG_ENTRIES)
			return ibb_err(r->err, IBB_E_LIMIT, "%s: %s: %zu entries are too many",
				       r->name, l->key, n);
	}
	*ret = n;
	return IBB_OK;
}

static int merge_kind(struct cat_reader *r, enum cat_kind kind)
{
	struct cat_table *t = &r->c->tables[kind];
	size_t n = 0;
	int rc = count_list(r, kind, &n);

	if (rc)
		return rc;
	t->from = ibb_arena_array(&r->c->arena, n, sizeof(*t->from));
	t->items = ibb_arena_array(&r->c->arena, n, cat_lists[kind].size);
	if (!t->from || !t->items)
		return ibb_err_nomem(r->err);
	memset(t->items, 0, n * cat_lists[kind].size);
	for (size_t i = 0; i < r->c->n_layers && !rc; i++)
		rc = merge_list(r, kind, (unsigned)i,
				ibb_json_get(r->c->layers[i].doc, cat_lists[kind].key));
	return rc;
}

int cat_merge(struct cat_reader *r)
{
	int rc = IBB_OK;

	for (unsigned k = 0; k < CAT_N_KINDS && !rc; k++)
		rc = merge_kind(r, (enum cat_kind)k);
	return rc;
}

void cat_place(struct cat_reader *r, enum cat_kind kind, size_t i, char *path, size_t size)
{
	const struct cat_origin *from = &r->c->tables[kind].from[i];

	r->name = r->c->layers[from->layer].name;
	snprintf(path, size, "%s[%zu]", cat_lists[kind].key, from->index);
}
