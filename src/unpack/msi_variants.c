/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files with one target path. Components that exclude one another (Microsoft, "Component Table":
 * Condition) install different files under one name; Windows gets one of them, here all of them
 * are wanted. So each variant but the first has directories of its own: DIR.COMPONENT beside DIR,
 * named after its first component.
 *
 * A variant is all components with one condition. Only where such components still have a path in
 * common they are told apart by feature (table FeatureComponents), then by directory, then one by
 * one. Of two variants the one without a condition stays where it is, else the one whose files come
 * first.
 *
 * A driver package must stay together: when a path of a variant is taken, all its files in that
 * directory and below move; and where it has an INF in a directory above, from there on.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* qsort_r */
#endif
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"
#include "unpack/msi_internal.h"

#define LEVELS	    4u /* condition, feature, directory, component */
#define MAX_WARNING 16u
#define NAME_BYTES  80u

struct variant {
	uint32_t condition, component; /* of its first file */
	int32_t sequence;
};
/* A directory that a variant moves out of, or has an INF in. */
struct place {
	uint32_t variant;
	char *dir;
	bool warned;
};
struct places {
	struct place *v;
	size_t n, cap;
};
struct apart {
	const struct msi_db *db;
	struct msi_plan *p;
	struct unpack_tree *t;
	struct ibb_error *err;
	uint32_t *of[LEVELS]; /* by the number of a component's key */
	uint8_t *level;	      /* by the number of a condition: what tells its components apart */
	struct msi_file **list;
	struct variant *variants;
	size_t n_variants;
	struct places moved, infs;
	unsigned n_warned;
};

static const char *show(const struct apart *a, uint32_t string, char out[NAME_BYTES])
{
	struct ibb_bytes b = msi_string(a->db, string);

	snprintf(out, NAME_BYTES, "%.*s", (int)ibb_min_u64(b.len, NAME_BYTES - 8),
		 (const char *)b.data);
	for (char *c = out; *c; c++)
		if ((uint8_t)*c < 0x20 || (uint8_t)*c >= 0x7f)
			*c = '?';
	return out;
}

/* ---- what the tables say of components ---- */

static bool has_column(const struct msi_db *db, const struct msi_table *t, const char *name,
		       unsigned *ret)
{
	return msi_column(db, t, name, true, ret, NULL) == IBB_OK;
}

/* A column that is not there says nothing of any component. */
static int read_column(struct apart *a, const struct msi_table *t, unsigned key, const char *name,
		       uint32_t *to)
{
	unsigned column = 0;
	int rc = IBB_OK;

	if (!has_column(a->db, t, name, &column))
		return IBB_OK;
	for (uint32_t i = 0; i < t->n_rows && !rc; i++) {
		uint32_t k = 0, v = 0;

		rc = msi_str(a->db, t, i, key, &k, a->err);
		if (!rc)
			rc = msi_str(a->db, t, i, column, &v, a->err);
		if (!rc && v && (!to[k] || v < to[k])) /* of several features: always the same */
			to[k] = v;
	}
	return rc;
}

static int read_table(struct apart *a, const char *table, const char *key_name,
		      const char *const names[2], uint32_t *const to[2])
{
	struct msi_table t = {0};
	unsigned key = 0;
	int rc = msi_load(a->db, table, &t, a->err);

	if (!rc && has_column(a->db, &t, key_name, &key))
		for (unsigned i = 0; i < 2 && names[i] && !rc; i++)
			rc = read_column(a, &t, key, names[i], to[i]);
	msi_table_clear(&t);
	return rc;
}

static int read_tables(struct apart *a)
{
	int rc;

	for (unsigned i = 0; i < LEVELS; i++) {
		a->of[i] = ibb_calloc_array(a->db->n_strings, sizeof(uint32_t));
		if (!a->of[i])
			return ibb_err_nomem(a->err);
	}
	a->level = ibb_calloc_array(a->db->n_strings, 1);
	if (!a->level)
		return ibb_err_nomem(a->err);
	for (uint32_t i = 0; i < a->db->n_strings; i++)
		a->of[3][i] = i;
	rc = read_table(a, "Component", "Component",
			(const char *const[]){"Condition", "Directory_"},
			(uint32_t *const[]){a->of[0], a->of[2]});
	return rc ? rc
		  : read_table(a, "FeatureComponents", "Component_",
			       (const char *const[]){"Feature_", NULL},
			       (uint32_t *const[]){a->of[1], NULL});
}

/* ---- variants ---- */

static int same_variant(const struct apart *a, uint32_t x, uint32_t y)
{
	unsigned level = a->level[a->of[0][x]];

	for (unsigned i = 0; i < LEVELS; i++) {
		if (a->of[i][x] != a->of[i][y])
			return a->of[i][x] < a->of[i][y] ? -1 : 1;
		if (i == level)
			break;
	}
	return 0;
}

static int by_variant(const void *x, const void *y, void *ctx)
{
	const struct msi_file *f = *(const struct msi_file *const *)x,
			      *g = *(const struct msi_file *const *)y;
	int c = same_variant(ctx, f->component, g->component);

	if (c)
		return c;
	if (f->sequence != g->sequence)
		return f->sequence < g->sequence ? -1 : 1;
	return (f->key > g->key) - (f->key < g->key);
}

static int by_path(const void *x, const void *y, void *ctx)
{
	const struct msi_file *f = *(const struct msi_file *const *)x,
			      *g = *(const struct msi_file *const *)y;
	int c = ibb_casecmp(f->path, g->path);

	return c ? c : by_variant(x, y, ctx);
}

static void sort_files(struct apart *a, int (*cmp)(const void *, const void *, void *))
{
	qsort_r(a->list, a->p->n_files, sizeof(struct msi_file *), cmp, a);
}

/* Components of one variant with one path: what else tells them apart? */
static void split(struct apart *a, unsigned level)
{
	sort_files(a, by_path);
	for (size_t i = 1; i < a->p->n_files; i++) {
		const struct msi_file *f = a->list[i - 1], *g = a->list[i];
		uint8_t *at = &a->level[a->of[0][g->component]];

		if (!ibb_caseeq(f->path, g->path) || *at > level ||
		    same_variant(a, f->component, g->component))
			continue;
		*at = (uint8_t)(level + 1);
	}
}

static int number_variants(struct apart *a)
{
	for (unsigned level = 0; level + 1 < LEVELS; level++)
		split(a, level);
	sort_files(a, by_variant);
	a->variants = ibb_calloc_array(a->p->n_files, sizeof(*a->variants));
	if (!a->variants)
		return ibb_err_nomem(a->err);
	for (size_t i = 0; i < a->p->n_files; i++) {
		struct msi_file *f = a->list[i];

		if (!i || same_variant(a, a->list[i - 1]->component, f->component))
			a->variants[a->n_variants++] =
				(struct variant){a->of[0][f->component], f->component, f->sequence};
		f->variant = (uint32_t)a->n_variants - 1;
	}
	return IBB_OK;
}

/* Which of two stays where it is? */
static bool goes_first(const struct apart *a, uint32_t x, uint32_t y)
{
	const struct variant *v = &a->variants[x], *w = &a->variants[y];

	if (!v->condition != !w->condition)
		return !v->condition;
	return v->sequence != w->sequence ? v->sequence < w->sequence : x < y;
}

/* ---- directories ---- */

static int by_place(const void *x, const void *y)
{
	const struct place *p = x, *q = y;

	if (p->variant != q->variant)
		return p->variant < q->variant ? -1 : 1;
	return ibb_casecmp(p->dir, q->dir);
}

static struct place *find_place(const struct places *l, uint32_t variant, const char *dir)
{
	struct place key = {.variant = variant, .dir = (char *)(uintptr_t)dir};

	return l->n ? bsearch(&key, l->v, l->n, sizeof(key), by_place) : NULL;
}

static int add_place(struct apart *a, struct places *l, const struct msi_file *f)
{
	struct place p = {.variant = f->variant,
			  .dir = ibb_strndup(f->path, ibb_path_dir_len(f->path))};

	if (!p.dir || ibb_grow(&l->v, &l->cap, l->n, sizeof(p))) {
		free(p.dir);
		return ibb_err_nomem(a->err);
	}
	l->v[l->n++] = p;
	return IBB_OK;
}

static void sort_places(struct places *l)
{
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_place);
}

static void clear_places(struct places *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].dir);
	free(l->v);
}

/*
 * The topmost directory above `path` (or that of itself) that the list has for a variant: how long
 * its name is, SIZE_MAX when there is none.
 */
static size_t topmost(const struct places *l, uint32_t variant, char *path, struct place **ret)
{
	size_t n = 0, whole = strlen(path);

	for (;;) {
		char saved = path[n];
		struct place *found;

		path[n] = '\0';
		found = find_place(l, variant, path);
		path[n] = saved;
		if (found) {
			*ret = found;
			return n;
		}
		if (n == whole)
			return SIZE_MAX;
		n += n ? 1 : 0;
		n += strcspn(path + n, "/");
	}
}

static int collect_infs(struct apart *a)
{
	int rc = IBB_OK;

	for (size_t i = 0; i < a->p->n_files && !rc; i++)
		if (ibb_case_suffix(a->p->files[i].path, ".inf"))
			rc = add_place(a, &a->infs, &a->p->files[i]);
	sort_places(&a->infs);
	return rc;
}

static int same_component(struct apart *a, const struct msi_file *f, const struct msi_file *g)
{
	char x[NAME_BYTES], y[NAME_BYTES];

	ibb_err(a->err, IBB_E_CONFLICT, "%s: the files '%s' and '%s' of one component are both %s",
		a->db->name, show(a, f->key, x), show(a, g->key, y), g->path);
	return ibb_err_hint(a->err, IBB_E_CONFLICT,
			    "extract it on any Windows: msiexec /a FILE.msi /qb TARGETDIR=C:\\x, "
			    "and give that directory to --drivers");
}

/* All files of list[from..to) have one path. */
static int clash(struct apart *a, size_t from, size_t to)
{
	size_t stays = from;
	int rc = IBB_OK;

	for (size_t i = from + 1; i < to; i++) {
		if (a->list[i]->variant == a->list[i - 1]->variant)
			return same_component(a, a->list[i - 1], a->list[i]);
		if (goes_first(a, a->list[i]->variant, a->list[stays]->variant))
			stays = i;
	}
	for (size_t i = from; i < to && !rc; i++)
		if (i != stays)
			rc = add_place(a, &a->moved, a->list[i]);
	return rc;
}

static int collect_moved(struct apart *a)
{
	int rc = IBB_OK;

	sort_files(a, by_path);
	for (size_t i = 0, k; i < a->p->n_files && !rc; i = k) {
		for (k = i + 1; k < a->p->n_files; k++)
			if (!ibb_caseeq(a->list[i]->path, a->list[k]->path))
				break;
		rc = clash(a, i, k);
	}
	for (size_t i = 0; i < a->moved.n && !rc; i++) {
		struct place *inf = NULL, *m = &a->moved.v[i];
		size_t n = topmost(&a->infs, m->variant, m->dir, &inf);

		if (n != SIZE_MAX)
			m->dir[n] = '\0';
	}
	sort_places(&a->moved);
	return rc;
}

/* ---- moving ---- */

/* A key has letters, digits, '_' and '.' ("Identifier"); whatever else it has is not passed on. */
static void plain_name(const struct apart *a, uint32_t key, char out[NAME_BYTES])
{
	size_t n;

	show(a, key, out);
	for (char *c = out; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || *c == '.'))
			*c = '_';
	n = strlen(out);
	if (n && out[n - 1] == '.')
		out[n - 1] = '_';
}

static int warn_moved(struct apart *a, struct place *m, const char *to)
{
	const struct variant *v = &a->variants[m->variant];
	IBB_AUTO_FREE char *text = NULL;
	char condition[NAME_BYTES], component[NAME_BYTES];

	if (m->warned || a->n_warned > MAX_WARNING)
		return IBB_OK;
	m->warned = true;
	if (a->n_warned++ == MAX_WARNING)
		return unpack_tree_warn(a->t, to, "and more directories are kept apart like this",
					a->err);
	text = ibb_asprintf(
		"kept apart from %s, where the MSI installs other files under the same "
		"names: component %s%s%s",
		*m->dir ? m->dir : "its top directory", show(a, v->component, component),
		v->condition ? ", on the condition " : ", of another feature or directory",
		v->condition ? show(a, v->condition, condition) : "");
	return text ? unpack_tree_warn(a->t, to, text, a->err) : ibb_err_nomem(a->err);
}

static int move(struct apart *a, struct msi_file *f)
{
	struct place *m = NULL;
	IBB_AUTO_FREE char *dir = ibb_strndup(f->path, ibb_path_dir_len(f->path)), *to = NULL;
	size_t n = dir ? topmost(&a->moved, f->variant, dir, &m) : 0;
	char name[NAME_BYTES], *path;

	if (!dir)
		return ibb_err_nomem(a->err);
	if (n == SIZE_MAX)
		return IBB_OK;
	plain_name(a, a->variants[f->variant].component, name);
	to = ibb_asprintf("%.*s.%s", (int)n, n ? f->path : "", name);
	if (to && !n) /* the top has no name */
		memmove(to, to + 1, strlen(to));
	path = to ? ibb_asprintf("%s/%s", to, f->path + (n ? n + 1 : 0)) : NULL;
	if (!path)
		return ibb_err_nomem(a->err);
	free(f->path);
	f->path = path;
	return warn_moved(a, m, to);
}

/* Nobody else may have the names of the new directories. */
static int check_again(struct apart *a)
{
	char x[NAME_BYTES], y[NAME_BYTES];

	sort_files(a, by_path);
	for (size_t i = 1; i < a->p->n_files; i++)
		if (ibb_caseeq(a->list[i - 1]->path, a->list[i]->path))
			return ibb_err(a->err, IBB_E_CONFLICT,
				       "%s: the files '%s' and '%s' are both %s", a->db->name,
				       show(a, a->list[i - 1]->key, x), show(a, a->list[i]->key, y),
				       a->list[i]->path);
	return IBB_OK;
}

static int keep_apart(struct apart *a)
{
	int rc = read_tables(a);

	if (!rc)
		rc = number_variants(a);
	if (!rc)
		rc = collect_infs(a);
	if (!rc)
		rc = collect_moved(a);
	for (size_t i = 0; i < a->p->n_files && !rc; i++)
		rc = move(a, &a->p->files[i]);
	return rc ? rc : check_again(a);
}

static int by_path_alone(const void *x, const void *y)
{
	const struct msi_file *const *f = x, *const *g = y;

	return ibb_casecmp((*f)->path, (*g)->path);
}

static bool any_clash(struct apart *a)
{
	if (a->p->n_files > 1)
		qsort(a->list, a->p->n_files, sizeof(struct msi_file *), by_path_alone);
	for (size_t i = 1; i < a->p->n_files; i++)
		if (ibb_caseeq(a->list[i - 1]->path, a->list[i]->path))
			return true;
	return false;
}

int msi_keep_apart(const struct msi_db *db, struct msi_plan *p, struct unpack_tree *t,
		   struct ibb_error *err)
{
	struct apart a = {.db = db, .p = p, .t = t, .err = err};
	int rc = IBB_OK;

	a.list = ibb_calloc_array(p->n_files, sizeof(*a.list));
	if (!a.list)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < p->n_files; i++)
		a.list[i] = &p->files[i];
	if (any_clash(&a))
		rc = keep_apart(&a);
	for (unsigned i = 0; i < LEVELS; i++)
		free(a.of[i]);
	free(a.level);
	free(a.list);
	free(a.variants);
	clear_places(&a.moved);
	clear_places(&a.infs);
	return rc;
}
