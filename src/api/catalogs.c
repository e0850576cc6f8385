/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/catalogs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/bundle.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/url.h"
#include "catalog/builtin.h"

static int add_slot(struct ibb_catalog_files *f, struct ibb_error *err)
{
	if (ibb_grow(&f->texts, &f->cap, f->n, sizeof(*f->texts)) ||
	    ibb_grow(&f->owned, &f->cap_owned, f->n, sizeof(*f->owned)))
		return ibb_err_nomem(err);
	f->texts[f->n] = (struct ibb_catalog_text){.name = NULL};
	f->owned[f->n] = (struct ibb_buf){0};
	return IBB_OK;
}

static int add_builtin(struct ibb_catalog_files *f, struct ibb_error *err)
{
	int r = add_slot(f, err);
	char *name;

	if (r)
		return r;
	name = ibb_strdup("built-in driver catalog");
	if (!name)
		return ibb_err_nomem(err);
	f->texts[f->n++] = (struct ibb_catalog_text){
		.name = name, .text = ibb_catalog_builtin, .n = ibb_catalog_builtin_len};
	return IBB_OK;
}

static int add_file(struct ibb_catalog_files *f, const struct ibb_request *q, const char *path,
		    struct ibb_error *err)
{
	IBB_AUTO_FREE char *name = NULL, *dir = NULL;
	int r = add_slot(f, err);

	if (!r && f->n >= IBB_LIMIT_CATALOG_FILES)
		r = ibb_err(err, IBB_E_LIMIT, "%s: more than %u driver catalogs", path,
			    IBB_LIMIT_CATALOG_FILES);
	if (!r)
		r = ibb_read_file(path, IBB_LIMIT_JSON_BYTES, &f->owned[f->n], err);
	if (r)
		return r;
	name = ibb_strdup(ibb_opened_name(q, path));
	dir = ibb_dir_of(path);
	if (!name || !dir) {
		ibb_buf_clear(&f->owned[f->n]);
		return ibb_err_nomem(err);
	}
	f->texts[f->n] = (struct ibb_catalog_text){.name = IBB_TAKE(name),
						   .text = f->owned[f->n].data,
						   .n = f->owned[f->n].len,
						   .dir = IBB_TAKE(dir)};
	f->n++;
	return IBB_OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_catalog_name(const char *name)
{
	size_t n = strlen(name);

	return *name != '.' && n > 5 && strcmp(name + n - 5, ".json") == 0;
}

struct paths {
	char **v;
	size_t n, cap;
};

static int list_dir(const char *dir, DIR *d, struct paths *p, struct ibb_error *err)
{
	struct dirent *e;

	while ((errno = 0, e = readdir(d))) {
		if (!is_catalog_name(e->d_name))
			continue;
		if (p->n >= IBB_LIMIT_CATALOG_FILES)
			return ibb_err(err, IBB_E_LIMIT, "%s: more than %u driver catalogs", dir,
				       IBB_LIMIT_CATALOG_FILES);
		if (ibb_grow(&p->v, &p->cap, p->n, sizeof(*p->v)) ||
		    !(p->v[p->n] = ibb_asprintf("%s/%s", dir, e->d_name)))
			return ibb_err_nomem(err);
		p->n++;
	}
	if (errno)
		return ibb_err_os(err, errno, "%s: read the directory", dir);
	if (!p->n) {
		ibb_err(err, IBB_E_UNSUPPORTED, "%s: no driver catalog in it (*.json)", dir);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "'ibbake catalog import FILE -o %s/NAME.json' makes one", dir);
	}
	return IBB_OK;
}

static int add_dir(struct ibb_catalog_files *f, const struct ibb_request *q, const char *dir,
		   struct ibb_error *err)
{
	DIR *d = opendir(dir);
	struct paths p = {0};
	int r;

	if (!d)
		return ibb_err_os(err, errno, "%s: open the directory", dir);
	r = list_dir(dir, d, &p, err);
	closedir(d);
	if (!r)
		qsort(p.v, p.n, sizeof(*p.v), by_name);
	for (size_t i = 0; i < p.n && !r; i++)
		r = add_file(f, q, p.v[i], err);
	for (size_t i = 0; i < p.n; i++)
		free(p.v[i]);
	free(p.v);
	return r;
}

static int add_overlay(struct ibb_catalog_files *f, const struct ibb_request *q, const char *path,
		       struct ibb_error *err)
{
	struct stat st;

	if (stat(path, &st))
		return ibb_err_os(err, errno, "%s: open the driver catalog", path);
	return S_ISDIR(st.st_mode) ? add_dir(f, q, path, err) : add_file(f, q, path, err);
}

int ibb_catalog_files_read(const struct ibb_request *q, struct ibb_catalog_files *ret,
			   struct ibb_error *err)
{
	struct ibb_catalog_files f = {0};
	int r = q->catalog ? add_file(&f, q, q->catalog, err) : add_builtin(&f, err);

	for (size_t i = 0; i < q->n_catalog_dirs && !r; i++)
		r = add_overlay(&f, q, q->catalog_dirs[i], err);
	if (r) {
		ibb_catalog_files_clear(&f);
		return r;
	}
	*ret = f;
	return IBB_OK;
}

void ibb_catalog_files_clear(struct ibb_catalog_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		ibb_buf_clear(&f->owned[i]);
		free((char *)f->texts[i].name);
		free((char *)f->texts[i].dir);
	}
	free(f->owned);
	free(f->texts);
	*f = (struct ibb_catalog_files){0};
}

void ibb_catalog_conflicts_json(const struct ibb_catalog *c, struct ibb_jb *b,
				struct ibb_json *list)
{
	for (size_t i = 0; i < ibb_catalog_n_conflicts(c); i++)
		ibb_jb_str(b, list, NULL, ibb_catalog_conflict_at(c, i));
}

void ibb_catalog_secrets_json(const struct ibb_catalog *c, struct ibb_jb *b, struct ibb_json *list)
{
	for (size_t i = 0; i < ibb_catalog_n_releases(c); i++) {
		const struct ibb_release *r = ibb_catalog_release_at(c, i);
		bool has = false;

		for (size_t k = 0; k < r->n_urls; k++)
			has |= ibb_url_has_user(r->urls[k].url);
		if (has)
			ibb_jb_fmt(b, list, NULL,
				   "a URL of release %s in the catalog has a user name or "
				   "password: whoever gets the bundle gets them",
				   r->id);
	}
}

int ibb_session_catalog(const struct ibb_request *q, struct ibb_catalog **ret,
			struct ibb_error *err)
{
	struct ibb_catalog_files f = {0};
	int r = ibb_catalog_files_read(q, &f, err);

	if (!r)
		r = ibb_catalog_load_all(f.texts, f.n, ret, err);
	ibb_catalog_files_clear(&f);
	return r;
}
