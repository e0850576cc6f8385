/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_bundle_create(): what a bake of some sizes on some Windows versions needs, in one file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/bundle.h"
#include "api/cached.h"
#include "api/catalogs.h"
#include "api/doc.h"
#include "api/trust.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/utf16.h"

/* A directory of packages, and where it is in the bundle. */
struct home {
	const char *shown; /* borrowed from a package */
	char *path;	   /* "packages/mlx5-25.10.51000.0" */
};
/* An INF of the bundle, with what is said of it. */
struct record {
	const char *dir, *inf; /* borrowed: as in the bundle */
	struct ibb_json *targets;
};
struct make {
	const struct ibb_request *q;
	struct ibb_error *err;
	struct ibb_catalog_files texts;
	struct ibb_catalog *catalog;
	struct ibb_windows *windows;
	const struct ibb_size **sizes;
	size_t n_windows, n_sizes;
	struct ibb_sources sources;
	struct ibb_trust_policy policy;
	struct ibb_lockfile *wanted;
	struct ibb_package_set *sets; /* one a Windows: they own the bytes */
	struct home *homes;
	size_t n_homes, cap_homes;
	struct record *records;
	size_t n_records, cap_records;
	struct ibb_bundle_file *files; /* paths are owned */
	size_t n_files, cap_files;
	struct ibb_buf *bytes; /* owned, of files that belong to no package */
	size_t n_bytes, cap_bytes;
	struct ibb_lock_entry *locked;
	size_t n_locked, cap_locked;
	bool anchored, allowed;
	struct ibb_jb b;
	struct ibb_json *resolutions, *packages, *companions, *crls, *warnings;
};

/* ---- files ---- */

/* The same file again is no second one. */
static int add_file(struct make *m, const char *path, struct ibb_bytes bytes)
{
	for (size_t i = 0; i < m->n_files; i++) {
		const struct ibb_bundle_file *f = &m->files[i];

		if (!ibb_caseeq(f->path, path))
			continue;
		if (f->bytes.len == bytes.len &&
		    (!bytes.len || memcmp(f->bytes.data, bytes.data, bytes.len) == 0))
			return IBB_OK;
		return ibb_err(m->err, IBB_E_CONFLICT,
			       "%s: the Windows versions want different files of this name; make a "
			       "bundle for each of them",
			       path);
	}
	if (ibb_grow(&m->files, &m->cap_files, m->n_files, sizeof(*m->files)))
		return ibb_err_nomem(m->err);
	m->files[m->n_files] = (struct ibb_bundle_file){ibb_strdup(path), bytes};
	if (!m->files[m->n_files].path)
		return ibb_err_nomem(m->err);
	m->n_files++;
	return IBB_OK;
}

/* Takes what is in the buffer. */
static int add_owned(struct make *m, const char *path, struct ibb_buf *bytes)
{
	if (ibb_grow(&m->bytes, &m->cap_bytes, m->n_bytes, sizeof(*m->bytes)))
		return ibb_err_nomem(m->err);
	m->bytes[m->n_bytes] = *bytes;
	*bytes = (struct ibb_buf){0};
	return add_file(m, path, ibb_buf_bytes(&m->bytes[m->n_bytes++]));
}

/* The name of a file of the host as a part of a path: plain characters only. */
static char *plain(const char *name)
{
	char *s = ibb_strdup(name);

	for (char *p = s; p && *p; p++)
		if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
		      (*p >= 'A' && *p <= 'Z') || *p == '-' || *p == '_' ||
		      (*p == '.' && p != s && p[1])))
			*p = '_';
	return s;
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int warn(void *ctx, const char *text, struct ibb_error *err)
{
	struct make *m = ctx;

	(void)err;
	ibb_json_foreach (w, m->warnings)
		if (strcmp(ibb_json_value_str(w), text) == 0)
			return IBB_OK;
	ibb_jb_str(&m->b, m->warnings, NULL, text);
	return IBB_OK;
}

static int warn_lock(struct make *m)
{
	IBB_AUTO_FREE char *text = NULL;

	if (!m->wanted || ibb_lockfile_locks_packages(m->wanted))
		return IBB_OK;
	text = ibb_asprintf("%s locks no packages: those of the bundle are held against nothing",
			    m->q->lock);
	return text ? warn(m, text, m->err) : ibb_err_nomem(m->err);
}

/* ---- packages ---- */

static bool path_taken(const struct make *m, const char *path)
{
	for (size_t i = 0; i < m->n_homes; i++)
		if (ibb_caseeq(m->homes[i].path, path))
			return true;
	return false;
}

/* Named after what is in it, so that the place it came from does not matter. */
static char *home_path(const struct make *m, const struct ibb_package *p)
{
	IBB_AUTO_FREE char *name = NULL, *version = plain(p->version.version_text);
	IBB_AUTO_FREE char *stem = ibb_strndup(p->inf_name, strcspn(p->inf_name, "."));

	name = stem ? plain(stem) : NULL;
	for (unsigned i = 1; name && version; i++) {
		char *path = i == 1 ? ibb_asprintf("packages/%s-%s", name, version)
				    : ibb_asprintf("packages/%s-%s-%u", name, version, i);

		if (!path || !path_taken(m, path))
			return path;
		free(path);
	}
	return NULL;
}

static int find_home(struct make *m, const struct ibb_package *p, const char **ret)
{
	for (size_t i = 0; i < m->n_homes; i++)
		if (strcmp(m->homes[i].shown, p->dir) == 0) {
			*ret = m->homes[i].path;
			return IBB_OK;
		}
	if (ibb_grow(&m->homes, &m->cap_homes, m->n_homes, sizeof(*m->homes)))
		return ibb_err_nomem(m->err);
	m->homes[m->n_homes] = (struct home){p->dir, home_path(m, p)};
	if (!m->homes[m->n_homes].path)
		return ibb_err_nomem(m->err);
	*ret = m->homes[m->n_homes++].path;
	return IBB_OK;
}

static struct record *find_record(struct make *m, const char *dir, const char *inf)
{
	for (size_t i = 0; i < m->n_records; i++)
		if (strcmp(m->records[i].dir, dir) == 0 && strcmp(m->records[i].inf, inf) == 0)
			return &m->records[i];
	return NULL;
}

static int new_record(struct make *m, const char *dir, const struct ibb_package *p,
		      struct record **ret)
{
	struct ibb_json *o;

	if (ibb_grow(&m->records, &m->cap_records, m->n_records, sizeof(*m->records)))
		return ibb_err_nomem(m->err);
	o = ibb_jb_object(&m->b, m->packages, NULL);
	ibb_jb_str(&m->b, o, "inf", p->inf_name);
	ibb_jb_str(&m->b, o, "directory", dir);
	ibb_jb_str(&m->b, o, "provider", p->version.provider);
	ibb_jb_str(&m->b, o, "version", p->version.version_text);
	m->records[m->n_records] =
		(struct record){dir, p->inf_name, ibb_jb_array(&m->b, o, "targets")};
	*ret = &m->records[m->n_records++];
	return IBB_OK;
}

static void target_json(struct make *m, const struct ibb_windows *w, const struct ibb_package *p,
			struct ibb_json *list)
{
	const struct ibb_judgement *g = &p->trust->judgement;
	struct ibb_json *o = ibb_jb_object(&m->b, list, NULL);

	ibb_jb_str(&m->b, o, "windows", w->id);
	ibb_jb_hex(&m->b, o, "sha256", p->digest.b, sizeof(p->digest.b));
	ibb_jb_str(&m->b, o, "verdict", ibb_verdict_name(g->verdict));
	ibb_jb_bool(&m->b, o, "allowed", p->trust->allowed);
	ibb_jb_str(&m->b, o, "signer", g->signature ? g->signature->signer.name : NULL);
}

struct adding {
	struct make *m;
	const struct ibb_windows *w;
};

static int judge(struct make *m, const struct ibb_windows *w, struct ibb_package *p)
{
	int r = ibb_package_judge(p, &m->policy, m->err);

	if (!r)
		r = ibb_package_trust_check(p, m->err);
	if (!r && ibb_lockfile_locks_packages(m->wanted))
		r = ibb_lockfile_check(m->wanted, p, m->err);
	if (!r)
		r = ibb_lock_entries_add(&m->locked, &m->n_locked, &m->cap_locked, p, m->err);
	if (r == IBB_E_UNTRUSTED)
		r = ibb_err_prefix(m->err, r, "for %s", w->id);
	if (r)
		return r;
	m->anchored |= p->trust->judgement.verdict == IBB_VERDICT_ANCHORED;
	m->allowed |= p->trust->allowed;
	return IBB_OK;
}

/* Judged once a Windows; its files are the very bytes that were judged. */
static int add_package(struct make *m, const struct ibb_windows *w, struct ibb_package *p)
{
	const char *dir = NULL;
	struct record *record;
	int r;

	if (p->trust)
		return IBB_OK;
	r = judge(m, w, p);
	if (!r)
		r = find_home(m, p, &dir);
	if (r)
		return r;
	record = find_record(m, dir, p->inf_name);
	if (!record)
		r = new_record(m, dir, p, &record);
	if (!r)
		target_json(m, w, p, record->targets);
	for (size_t i = 0; i < p->n_files && !r; i++) {
		IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", dir, p->files[i].path);

		r = path ? add_file(m, path, ibb_buf_bytes(&p->files[i].bytes))
			 : ibb_err_nomem(m->err);
	}
	return r;
}

static int add_copied(void *ctx, struct ibb_package *p, struct ibb_error *err)
{
	struct adding *a = ctx;

	(void)err;
	return add_package(a->m, a->w, p);
}

/* ---- companions that the driver catalog names ---- */

static bool in_package(const struct ibb_package *p, const char *name)
{
	for (size_t i = 0; i < p->n_files; i++)
		if (ibb_caseeq(p->files[i].path, name))
			return true;
	return false;
}

static int judge_companion(struct make *m, const struct ibb_companion_file *c, const char *set,
			   const char *shown, struct ibb_buf *bytes)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("companions/%s/%s", set, c->file);
	struct ibb_companion verdict;
	struct ibb_sha256 pin, d;
	struct ibb_json *o;
	bool pinned = c->sha256 && ibb_sha256_parse(c->sha256, &pin);
	int r = path ? ibb_companion_judge(shown, ibb_buf_bytes(bytes), pinned ? &pin : NULL,
					   &m->policy, &verdict, m->err)
		     : ibb_err_nomem(m->err);

	if (!r && ibb_sha256(bytes->data, bytes->len, &d))
		r = ibb_err_nomem(m->err);
	if (r)
		return r;
	if (!verdict.accepted) {
		IBB_AUTO_FREE char *text =
			ibb_asprintf("%s left out: %s", file_name(shown), verdict.reason);

		return text ? warn(m, text, m->err) : ibb_err_nomem(m->err);
	}
	for (size_t i = 0; i < m->n_files; i++)
		if (ibb_caseeq(m->files[i].path, path))
			return IBB_OK;
	o = ibb_jb_object(&m->b, m->companions, NULL);
	ibb_jb_str(&m->b, o, "path", path);
	ibb_jb_str(&m->b, o, "role", c->role);
	ibb_jb_hex(&m->b, o, "sha256", d.b, sizeof(d.b));
	ibb_jb_str(&m->b, o, "signer",
		   verdict.has_signature ? verdict.signature.signer.name : NULL);
	return add_owned(m, path, bytes);
}

/* Beside the package, whatever the case of their names. */
static int add_companions(struct make *m, const struct ibb_package_set *set,
			  const struct ibb_package *p, const char *driver_set)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;
	size_t n = 0;
	const struct ibb_companion_file *list = ibb_catalog_companions(m->catalog, driver_set, &n);
	int r = n ? ibb_volume_open_dir(ibb_package_set_host(set, p->dir), &v, m->err) : IBB_OK;

	for (size_t i = 0; i < n && !r; i++) {
		IBB_AUTO_FREE char *spelling = NULL, *shown = NULL;
		IBB_AUTO_BUF struct ibb_buf bytes = {0};

		if (in_package(p, list[i].file))
			continue;
		r = ibb_volume_spelling(v, list[i].file, &spelling, m->err);
		if (r == IBB_E_NOTFOUND) {
			r = IBB_OK;
			continue;
		}
		if (!r)
			r = ibb_volume_read(v, spelling, IBB_LIMIT_PACKAGE_BYTES, &bytes, m->err);
		shown = r ? NULL : ibb_asprintf("%s/%s", p->dir, spelling);
		if (!r)
			r = shown ? judge_companion(m, &list[i], driver_set, shown, &bytes)
				  : ibb_err_nomem(m->err);
	}
	return r;
}

/* ---- one size on one Windows ---- */

static int serves(struct ibb_package *p, const struct ibb_function *f, bool *ret,
		  struct ibb_error *err)
{
	int r = IBB_OK;

	*ret = false;
	for (size_t i = 0; i < f->n_ids && !*ret && !r; i++) {
		struct ibb_match match;

		r = ibb_package_match(p, f->hardware_ids[i], &match, err);
		*ret = !r && match.model;
	}
	return r;
}

/* The one that Windows ranks highest, as plan/select.c has it. */
static int best(struct make *m, const struct ibb_package_set *set, const struct ibb_function *f,
		struct ibb_package **ret)
{
	struct ibb_package *found = NULL;

	for (size_t i = 0; i < set->n; i++) {
		const char *why;
		int order = 1, r;
		bool yes;

		r = serves(set->packages[i], f, &yes, m->err);
		if (!r && yes && found)
			r = ibb_package_rank(set->packages[i], found, f->hardware_ids, f->n_ids,
					     &order, &why, m->err);
		if (r)
			return r;
		if (yes && order > 0)
			found = set->packages[i];
	}
	*ret = found;
	return IBB_OK;
}

/* Packages that nobody named come from the package cache. */
static bool from_cache(const struct ibb_request *q)
{
	return !q->n_driver_dirs && q->cache_dir;
}

static int nobody_serves(struct make *m, const struct ibb_package_set *set,
			 const struct ibb_size *size, const struct ibb_windows *w)
{
	const struct ibb_passed_over *p = set->n_passed ? &set->passed[0] : NULL;

	ibb_err(m->err, IBB_E_UNSUPPORTED,
		"%s on %s: none of the %zu INF file(s) found serves its InfiniBand function, "
		"%s%s%s%s%s",
		size->name, w->id, set->n + set->n_passed, size->function->hardware_ids[0],
		p ? "; " : "", p ? p->path : "", p ? ": " : "", p ? p->reason : "");
	if (from_cache(m->q) && !m->sources.n_dirs)
		return ibb_cached_hint(m->q, size->name, w->id, IBB_E_UNSUPPORTED, m->err);
	return ibb_err_hint(m->err, IBB_E_UNSUPPORTED,
			    "give packages that do with --drivers, or make the bundle without this "
			    "size or Windows");
}

static int add_pair(struct make *m, const struct ibb_package_set *set,
		    const struct ibb_resolution *res, const struct ibb_windows *w)
{
	struct adding a = {m, w};
	struct ibb_package *p = NULL;
	const char *dir = NULL;
	struct ibb_json *o;
	int r = best(m, set, res->size->function, &p);

	if (!r && !p)
		return nobody_serves(m, set, res->size, w);
	if (!r)
		r = add_package(m, w, p);
	if (!r)
		r = ibb_packages_companions((struct ibb_package_set *)(uintptr_t)set, p, add_copied,
					    &a, m->err);
	if (!r)
		r = add_companions(m, set, p, res->driver_set);
	if (!r)
		r = find_home(m, p, &dir);
	if (r)
		return r;
	o = ibb_jb_object(&m->b, m->resolutions, NULL);
	ibb_jb_str(&m->b, o, "size", res->size->name);
	ibb_jb_str(&m->b, o, "windows", w->id);
	ibb_jb_str(&m->b, o, "state", ibb_support_name(res->state));
	ibb_jb_str(&m->b, o, "driver_set", res->driver_set);
	ibb_jb_fmt(&m->b, o, "package", "%s/%s", dir, p->inf_name);
	return IBB_OK;
}

/* ---- one Windows ---- */

static int find_packages(struct make *m, const struct ibb_windows *w, struct ibb_package_set *set)
{
	const struct ibb_inf_target t = {.arch = IBB_ARCH_AMD64,
					 .major = w->major,
					 .minor = w->minor,
					 .build = w->build,
					 .product_type = w->server ? 3 : 1};
	IBB_AUTO_FREE const char **ids = NULL;
	size_t n = 0;

	for (size_t i = 0; i < m->n_sizes; i++)
		n += m->sizes[i]->function ? m->sizes[i]->function->n_ids : 0;
	ids = ibb_calloc_array(n, sizeof(*ids));
	if (!ids)
		return ibb_err_nomem(m->err);
	n = 0;
	for (size_t i = 0; i < m->n_sizes; i++)
		for (size_t k = 0; m->sizes[i]->function && k < m->sizes[i]->function->n_ids; k++)
			ids[n++] = m->sizes[i]->function->hardware_ids[k];
	struct ibb_package_search how = {.dirs = (const char *const *)m->sources.dirs,
					 .names = (const char *const *)m->sources.names,
					 .n_dirs = m->sources.n_dirs,
					 .recurse = true,
					 .ids = ids,
					 .n_ids = n};

	return ibb_packages_find(&how, &t, set, m->err);
}

static int add_windows(struct make *m, const struct ibb_windows *w, struct ibb_package_set *set)
{
	const struct ibb_select_options o = {.allow_unsupported = m->q->allow_unsupported};
	int r = find_packages(m, w, set);

	for (size_t i = 0; i < m->n_sizes && !r; i++) {
		IBB_AUTO(ibb_resolution_free) struct ibb_resolution *res = NULL;

		r = ibb_catalog_resolve(m->catalog, m->sizes[i], w, &res, m->err);
		if (!r)
			r = ibb_select_check(res, &o, m->err);
		for (size_t k = 0; !r && k < res->n_warnings; k++)
			r = warn(m, res->warnings[k], m->err);
		if (!r)
			r = add_pair(m, set, res, w);
	}
	return r;
}

/* The recommended release of each size on each Windows. */
static int add_cached(struct make *m)
{
	IBB_AUTO_FREE const struct ibb_release **list = NULL;
	size_t n = 0;
	int r = IBB_OK;

	if (!from_cache(m->q))
		return IBB_OK;
	list = ibb_calloc_array(m->n_windows * m->n_sizes, sizeof(*list));
	if (!list)
		return ibb_err_nomem(m->err);
	for (size_t i = 0; i < m->n_windows && !r; i++)
		for (size_t k = 0; k < m->n_sizes && !r; k++) {
			IBB_AUTO(ibb_resolution_free) struct ibb_resolution *res = NULL;

			r = ibb_catalog_resolve(m->catalog, m->sizes[k], &m->windows[i], &res,
						m->err);
			if (!r)
				list[n++] = res->recommended; /* the catalog's */
		}
	return r ? r : ibb_cached_add(m->q, list, n, &m->sources, warn, m, m->err);
}

/* ---- what was asked for ---- */

static int choose_windows(struct make *m)
{
	int r = IBB_OK;

	m->windows = ibb_calloc_array(m->q->n_oses, sizeof(*m->windows));
	m->sets = ibb_calloc_array(m->q->n_oses, sizeof(*m->sets));
	if (!m->windows || !m->sets)
		return ibb_err_nomem(m->err);
	for (size_t i = 0; i < m->q->n_oses && !r; i++) {
		struct ibb_windows w;
		bool twice = false;

		r = ibb_catalog_find_windows(m->catalog, m->q->oses[i], &w, m->err);
		if (!r && !w.id)
			r = ibb_err(m->err, IBB_E_UNSUPPORTED,
				    "%s: a Windows that the driver catalog has no name for",
				    m->q->oses[i]);
		for (size_t k = 0; k < m->n_windows && !r; k++)
			twice |= strcmp(m->windows[k].id, w.id) == 0;
		if (!r && !twice)
			m->windows[m->n_windows++] = w;
	}
	return r;
}

static int choose_sizes(struct make *m)
{
	int r = IBB_OK;

	m->sizes = ibb_calloc_array(m->q->n_sizes, sizeof(*m->sizes));
	if (!m->sizes)
		return ibb_err_nomem(m->err);
	for (size_t i = 0; i < m->q->n_sizes && !r; i++) {
		const struct ibb_size *z = NULL;
		bool twice = false;

		r = ibb_catalog_find_size(m->catalog, m->q->sizes[i], &z, m->err);
		for (size_t k = 0; k < m->n_sizes; k++)
			twice |= m->sizes[k] == z;
		if (!r && !twice)
			m->sizes[m->n_sizes++] = z;
	}
	return r;
}

/* What is read must not be replaced. */
static int check_output(const struct ibb_request *q, struct ibb_error *err)
{
	const char *const files[] = {q->sign_key, q->lock, q->catalog};
	const struct {
		const char *const *v;
		size_t n;
	} lists[] = {{files, IBB_ARRAY_SIZE(files)},
		     {q->driver_dirs, q->n_driver_dirs},
		     {q->catalog_dirs, q->n_catalog_dirs},
		     {q->crls, q->n_crls},
		     {q->trust_anchors, q->n_trust_anchors}};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(lists); i++)
		for (size_t k = 0; k < lists[i].n; k++)
			if (lists[i].v[k] && ibb_same_path(q->output, lists[i].v[k]))
				return ibb_err(err, IBB_E_EXISTS,
					       "%s: the bundle would replace what it is made from",
					       q->output);
	return IBB_OK;
}

static int check_request(const struct ibb_request *q, struct ibb_error *err)
{
	int r = ibb_doc_check_request(q, false, true, err);

	if (!r && !q->n_oses)
		r = ibb_err(err, IBB_E_INVALID, "no Windows was named");
	if (!r && !q->n_driver_dirs && !q->cache_dir)
		r = ibb_err(err, IBB_E_INVALID, "no driver packages were named");
	if (!r && !q->output)
		r = ibb_err(err, IBB_E_INVALID, "no bundle to make was named");
	return r ? r : check_output(q, err);
}

/* ---- what is no package ---- */

static int add_catalogs(struct make *m, struct ibb_json *root)
{
	struct ibb_json *o = ibb_jb_object(&m->b, root, "catalog"), *list;
	int r = IBB_OK;

	ibb_catalog_secrets_json(m->catalog, &m->b, m->warnings);
	ibb_jb_str(&m->b, o, "as_of", ibb_catalog_version(m->catalog));
	ibb_jb_str(&m->b, o, "sha256", ibb_catalog_sha256(m->catalog));
	list = ibb_jb_array(&m->b, o, "files");
	for (size_t i = 0; i < m->texts.n && !r; i++) {
		const struct ibb_catalog_text *t = &m->texts.texts[i];
		bool own = m->q->catalog || i;
		IBB_AUTO_FREE char *name = plain(own ? file_name(t->name) : "builtin.json");
		IBB_AUTO_FREE char *path = name ? ibb_asprintf("catalog/%03zu-%s", i, name) : NULL;

		ibb_jb_str(&m->b, list, NULL, path);
		r = path ? add_file(m, path, (struct ibb_bytes){t->text, t->n})
			 : ibb_err_nomem(m->err);
	}
	return r;
}

static int add_crls(struct make *m)
{
	int r = IBB_OK;

	for (size_t i = 0; i < m->q->n_crls && !r; i++) {
		IBB_AUTO_FREE char *name = plain(file_name(m->q->crls[i]));
		IBB_AUTO_FREE char *path = name ? ibb_asprintf("crls/%03zu-%s", i, name) : NULL;
		IBB_AUTO_BUF struct ibb_buf bytes = {0};

		if (!path)
			return ibb_err_nomem(m->err);
		r = ibb_read_file(m->q->crls[i], IBB_LIMIT_CAT_BYTES, &bytes, m->err);
		if (!r)
			ibb_jb_str(&m->b, m->crls, NULL, path);
		if (!r)
			r = add_owned(m, path, &bytes);
	}
	return r;
}

static int add_lock(struct make *m)
{
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	IBB_AUTO_FREE char *text = NULL;
	int r = ibb_lockfile_text(m->locked, m->n_locked, &text, m->err);

	if (!r && ibb_buf_append_str(&bytes, text))
		r = ibb_err_nomem(m->err);
	return r ? r : add_owned(m, "lock.json", &bytes);
}

/* What the lock file knows of them goes along: the lock file of the bundle has packages alone. */
static int sources_json(struct make *m, struct ibb_json *list)
{
	int r = IBB_OK;

	for (size_t i = 0; i < m->sources.n_archives && !r; i++) {
		const struct ibb_source_archive *a = &m->sources.archives[i];
		struct ibb_json *o = ibb_jb_object(&m->b, list, NULL);
		struct ibb_lock_download d = {0};
		IBB_AUTO_FREE char *text = NULL;

		(void)ibb_lockfile_digest(m->wanted, a->sha256, &d);
		ibb_jb_str(&m->b, o, "name", file_name(a->path));
		ibb_jb_str(&m->b, o, "sha256", a->sha256);
		ibb_jb_str(&m->b, o, "pinned", d.pinned);
		ibb_jb_bool(&m->b, o, "insecure", d.insecure);
		if (!d.insecure)
			continue;
		text = ibb_asprintf("%s, release %s, came over http while nobody knew its digest, "
				    "as %s has it",
				    file_name(a->path), d.release, m->q->lock);
		r = text ? warn(m, text, m->err) : ibb_err_nomem(m->err);
	}
	return r;
}

static void asked_json(struct make *m, struct ibb_json *root)
{
	struct ibb_json *list = ibb_jb_array(&m->b, root, "sizes");

	for (size_t i = 0; i < m->n_sizes; i++)
		ibb_jb_str(&m->b, list, NULL, m->sizes[i]->name);
	list = ibb_jb_array(&m->b, root, "windows");
	for (size_t i = 0; i < m->n_windows; i++) {
		const struct ibb_windows *w = &m->windows[i];
		struct ibb_json *o = ibb_jb_object(&m->b, list, NULL);

		ibb_jb_str(&m->b, o, "id", w->id);
		ibb_jb_str(&m->b, o, "name", w->name);
		ibb_jb_fmt(&m->b, o, "version", "%u.%u.%u", w->major, w->minor, w->build);
		ibb_jb_str(&m->b, o, "kind", w->server ? "server" : "client");
	}
}

/* ---- all of it ---- */

/* An object of the time would make two bundles of the same input differ: only one that was set. */
static void head_json(struct make *m, struct ibb_json *root)
{
	char when[IBB_ISO8601_SIZE];
	struct ibb_json *o = ibb_jb_object(&m->b, root, "tool");

	ibb_jb_str(&m->b, o, "name", "ibbake");
	ibb_jb_str(&m->b, o, "version", ibb_version());
	ibb_unix_format(m->q->unix_time, when);
	ibb_jb_str(&m->b, root, "time", m->q->reproducible ? when : NULL);
}

static int collect(struct make *m, struct ibb_json **ret)
{
	struct ibb_json *root = ibb_doc_begin(&m->b, IBB_BUNDLE_SCHEMA), *sources;
	int r;

	head_json(m, root);
	asked_json(m, root);
	m->resolutions = ibb_jb_array(&m->b, root, "resolutions");
	m->packages = ibb_jb_array(&m->b, root, "packages");
	m->companions = ibb_jb_array(&m->b, root, "companions");
	m->crls = ibb_jb_array(&m->b, root, "crls");
	sources = ibb_jb_array(&m->b, root, "sources");
	m->warnings = ibb_jb_array(&m->b, root, "warnings");
	ibb_catalog_conflicts_json(m->catalog, &m->b, m->warnings);
	r = warn_lock(m);
	if (!r)
		r = add_cached(m);
	if (!r)
		r = sources_json(m, sources);
	for (size_t i = 0; i < m->n_windows && !r; i++)
		r = add_windows(m, &m->windows[i], &m->sets[i]);
	if (!r)
		r = ibb_sources_warnings(&m->sources, warn, m, m->err);
	if (!r)
		r = add_catalogs(m, root);
	if (!r)
		r = add_crls(m);
	if (!r)
		r = add_lock(m);
	ibb_jb_str(&m->b, root, "trust",
		   m->anchored	? "test trust"
		   : m->allowed ? "allowed"
				: "verified");
	if (!r)
		r = ibb_jb_done(&m->b, ret, m->err);
	ibb_jb_clear(&m->b);
	return r;
}

static int write_bundle(struct make *m, const struct ibb_json *about, char **ret_json)
{
	const struct ibb_request *q = m->q;
	IBB_AUTO_BUF struct ibb_buf pem = {0};
	struct ibb_bundle b = {0};
	int r = q->sign_key ? ibb_read_file(q->sign_key, IBB_LIMIT_CAT_BYTES, &pem, m->err)
			    : IBB_OK;

	if (!r && q->sign_key && !pem.len)
		r = ibb_err(m->err, IBB_E_INVALID, "%s: empty", q->sign_key);
	if (!r)
		r = ibb_bundle_write(q->output, q->overwrite, about, m->files, m->n_files,
				     q->sign_key, ibb_buf_bytes(&pem), m->err);
	if (!r)
		r = ibb_bundle_read(q->output, NULL, 0, NULL, &b, m->err);
	if (!r)
		r = ibb_bundle_document(q->output, &b, b.is_signed, NULL, ret_json, m->err);
	ibb_bundle_clear(&b);
	if (pem.len)
		explicit_bzero(pem.data, pem.len); /* a private key, without a password */
	return r;
}

static void clear(struct make *m)
{
	for (size_t i = 0; i < m->n_files; i++)
		free((char *)m->files[i].path);
	for (size_t i = 0; i < m->n_bytes; i++)
		ibb_buf_clear(&m->bytes[i]);
	for (size_t i = 0; i < m->n_homes; i++)
		free(m->homes[i].path);
	for (size_t i = 0; i < m->n_locked; i++)
		ibb_lock_entry_clear(&m->locked[i]);
	for (size_t i = 0; i < m->n_windows; i++)
		ibb_package_set_clear(&m->sets[i]);
	free(m->files);
	free(m->bytes);
	free(m->homes);
	free(m->locked);
	free(m->records);
	free(m->sets);
	free(m->windows);
	free(m->sizes);
	ibb_lockfile_free(m->wanted);
	ibb_sources_close(&m->sources);
	ibb_catalog_free(m->catalog);
	ibb_catalog_files_clear(&m->texts);
	ibb_jb_clear(&m->b);
}

static int open_all(struct make *m)
{
	const struct ibb_request *q = m->q;
	int r = ibb_catalog_files_read(q, &m->texts, m->err);

	if (!r)
		r = ibb_catalog_load_all(m->texts.texts, m->texts.n, &m->catalog, m->err);
	if (!r)
		r = choose_windows(m);
	if (!r)
		r = choose_sizes(m);
	if (!r && q->lock)
		r = ibb_lockfile_read(q->lock, &m->wanted, m->err);
	if (r == IBB_E_NOTFOUND && m->n_sizes)
		r = ibb_err(m->err, IBB_E_UNSUPPORTED, "%s: there is no such lock file", q->lock);
	if (!r)
		r = ibb_session_phase(q, "packages", 0, 0, m->err);
	return r ? r : ibb_sources_open(q, &m->sources, m->err);
}

int ibb_do_bundle_create(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO(ibb_trust_store_free) struct ibb_trust_store *store = NULL;
	IBB_AUTO_FREE struct ibb_trust_file *files = NULL;
	IBB_AUTO(ibb_json_free) struct ibb_json *about = NULL;
	struct make m = {.q = q, .err = err};
	int r = check_request(q, err);

	if (!r)
		r = ibb_trust_open(q, &store, &files, err);
	if (r)
		return r;
	m.policy = (struct ibb_trust_policy){
		.store = store, .now = q->now ? q->now : q->unix_time, .allow = q->allow};
	r = open_all(&m);
	if (!r)
		r = collect(&m, &about);
	if (!r)
		r = write_bundle(&m, about, ret_json);
	clear(&m);
	return r;
}
