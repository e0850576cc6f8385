/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which published INFs a device of the image is bound to, and which files a package consists of. */
#include "inspect/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/utf16.h"

/* ---- in use ---- */

struct usage {
	struct ibb_facts *f;
	const struct ibb_hive *h;
};

static void mark(struct ibb_facts *f, const char *inf)
{
	for (size_t i = 0; i < f->n_packages; i++)
		if (f->packages[i].published && ibb_caseeq(f->packages[i].published, inf))
			f->packages[i].in_use = true;
}

/* Control\Class\{guid}\NNNN is the software key of one device that has a driver; its InfPath is the
 * published INF that driver came from. */
static int look_at_driver_key(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct usage *u = ctx;
	IBB_AUTO_FREE char *inf = NULL;
	int r;

	if (name[0] < '0' || name[0] > '9')
		return IBB_OK;
	r = ibb_hive_get_string(u->h, k, "", "InfPath", &inf, err);
	if (r)
		return r == IBB_E_NOTFOUND || r == IBB_E_CORRUPT ? IBB_OK : r;
	mark(u->f, inf);
	return IBB_OK;
}

static int look_at_class(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct usage *u = ctx;

	return name[0] == '{' ? ibb_hive_subkeys(u->h, k, look_at_driver_key, u, err) : IBB_OK;
}

int ibb_facts_read_usage(struct ibb_facts *f, struct ibb_error *err)
{
	struct usage u = {f, f->hives[IBB_HIVE_SYSTEM].hive};

	for (size_t i = 0; u.h && i < f->n_control_sets; i++) {
		IBB_AUTO_FREE char *path = ibb_asprintf("%s\\Control\\Class", f->control_sets[i]);
		ibb_key k;
		int r;

		if (!path)
			return ibb_err_nomem(err);
		r = ibb_hive_find(u.h, ibb_hive_root(u.h), path, &k, err);
		if (!r)
			r = ibb_hive_subkeys(u.h, k, look_at_class, &u, err);
		if (r && r != IBB_E_NOTFOUND)
			return r;
	}
	return IBB_OK;
}

/* ---- files ---- */

struct listing {
	struct ibb_volume *v;
	const char *dir;
	struct ibb_store_files *out;
};

static int add_entry(struct ibb_store_files *s, const char *dir, const char *name, bool is_dir,
		     struct ibb_error *err)
{
	if (ibb_grow(&s->entries, &s->cap, s->n, sizeof(*s->entries)))
		return ibb_err_nomem(err);
	s->entries[s->n].path = ibb_asprintf("%s%s%s", dir, *name ? "/" : "", name);
	s->entries[s->n].is_dir = is_dir;
	return s->entries[s->n].path ? (s->n++, IBB_OK) : ibb_err_nomem(err);
}

static int list_entry(void *ctx, const char *name, enum ibb_file_type type, struct ibb_error *err)
{
	struct listing *l = ctx;

	if (type == IBB_FILE_OTHER)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s/%s is neither file nor directory",
			       l->dir, name);
	return add_entry(l->out, l->dir, name, type == IBB_FILE_DIRECTORY, err);
}

/* Breadth first: what is found behind the directory that is being listed is listed in its turn. */
static int list_tree(struct ibb_volume *v, const char *dir, struct ibb_store_files *s,
		     struct ibb_error *err)
{
	struct ibb_stat st;
	int r = ibb_volume_stat(v, dir, &st, err);

	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	r = add_entry(s, dir, "", st.type == IBB_FILE_DIRECTORY, err);
	for (size_t i = s->n - 1; !r && i < s->n; i++) {
		struct listing l = {v, s->entries[i].path, s};

		if (s->entries[i].is_dir)
			r = ibb_volume_list(v, l.dir, list_entry, &l, err);
	}
	return r;
}

int ibb_facts_store_files(const struct ibb_fact_package *p, struct ibb_volume *v,
			  struct ibb_store_files *ret, struct ibb_error *err)
{
	static const struct {
		const char *dir, *suffix;
	} published[] = {{IBB_STORE_INF_DIR, ".inf"},
			 {IBB_STORE_INF_DIR, ".PNF"},
			 {IBB_STORE_CAT_DIR, ".cat"}};
	struct ibb_store_files s = {0};
	IBB_AUTO_FREE char *dir = NULL;
	int stem = (int)(strlen(p->published) - 4), r;

	if (ibb_name_problem(p->name, strlen(p->name)))
		return ibb_err(err, IBB_E_CORRUPT, "driver package key '%s' is no directory name",
			       p->name);
	dir = ibb_asprintf("%s/%s", IBB_STORE_DIR, p->name);
	r = dir ? list_tree(v, dir, &s, err) : ibb_err_nomem(err);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(published) && !r; i++) {
		IBB_AUTO_FREE char *path = ibb_asprintf("%s/%.*s%s", published[i].dir, stem,
							p->published, published[i].suffix);

		r = path ? list_tree(v, path, &s, err) : ibb_err_nomem(err);
	}
	if (r) {
		ibb_store_files_clear(&s);
		return r;
	}
	*ret = s;
	return IBB_OK;
}

void ibb_store_files_clear(struct ibb_store_files *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->entries[i].path);
	free(s->entries);
	*s = (struct ibb_store_files){0};
}
