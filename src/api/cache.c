/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_cache(). */
#include <stdlib.h>
#include <string.h>

#include "api/doc.h"
#include "api/fetch.h"
#include "api/session.h"
#include "base/path.h"
#include "base/time.h"
#include "base/utf16.h"

struct job {
	const struct ibb_request *q;
	struct ibb_cache *cache;
	struct ibb_jb b;
	struct ibb_json *root, *files, *warnings;
	uint64_t total;
	size_t n_wrong;
	struct ibb_error first; /* of the first wrong file */
};

static struct ibb_json *file_json(struct job *j, const struct ibb_cache_entry *e, const char *state)
{
	struct ibb_json *o = ibb_jb_object(&j->b, j->files, NULL);
	char hex[IBB_SHA256_HEX_SIZE], when[IBB_ISO8601_SIZE];

	ibb_sha256_hex(&e->sha256, hex);
	ibb_unix_format(e->added, when);
	ibb_jb_str(&j->b, o, "sha256", hex);
	ibb_jb_u64(&j->b, o, "size_bytes", e->size_bytes);
	ibb_jb_str(&j->b, o, "file", e->file_name);
	ibb_jb_str(&j->b, o, "release", e->release);
	ibb_jb_str(&j->b, o, "url", e->url);
	ibb_jb_bool(&j->b, o, "insecure", e->insecure);
	ibb_jb_str(&j->b, o, "added", when);
	ibb_jb_str(&j->b, o, "path", e->path);
	ibb_jb_str(&j->b, o, "state", state);
	return o;
}

/* ---- list, verify, prune ---- */

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
	const struct ibb_request *q = ctx;
	struct ibb_progress p = {.phase = "check", .done = done, .total = total};

	return q->progress ? q->progress(q->progress_ctx, &p) : 0;
}

static int verify_one(struct job *j, const struct ibb_cache_entry *e, struct ibb_error *err)
{
	struct ibb_error why = {0};
	struct ibb_sha256 actual;
	struct ibb_json *o;
	char hex[IBB_SHA256_HEX_SIZE] = "";
	bool removed = false;
	int r = ibb_cache_check(e, on_progress, (void *)j->q, &actual, &why);

	if (r == IBB_E_CANCELLED || r == IBB_E_NOMEM) {
		*err = why;
		return r;
	}
	if (!r) {
		file_json(j, e, "right");
		j->total += e->size_bytes;
		return IBB_OK;
	}
	if (r == IBB_E_CORRUPT)
		ibb_sha256_hex(&actual, hex);
	if (r == IBB_E_CORRUPT && j->q->remove_wrong) {
		int r2 = ibb_cache_remove(j->cache, e, &removed, err);

		if (r2)
			return r2;
	}
	o = file_json(j, e, removed ? "removed" : r == IBB_E_CORRUPT ? "wrong" : "unreadable");
	ibb_jb_str(&j->b, o, "actual_sha256", *hex ? hex : NULL);
	ibb_jb_fmt(&j->b, j->warnings, NULL, "%s%s", why.msg, removed ? "; removed" : "");
	if (!removed && !j->n_wrong++)
		j->first = why;
	return IBB_OK;
}

static int prune_one(struct job *j, const struct ibb_cache_entry *e, struct ibb_error *err)
{
	const int64_t now = j->q->now ? j->q->now : j->q->unix_time;
	bool removed = false;
	int r;

	if (j->q->prune_files && !e->strange && e->added <= now - j->q->older_than_s) {
		r = ibb_cache_remove(j->cache, e, &removed, err);
		if (r)
			return r;
	}
	file_json(j, e, removed ? "removed" : "present");
	if (!removed)
		j->total += e->size_bytes;
	return IBB_OK;
}

static int each_file(struct job *j, enum ibb_cache_task task, struct ibb_error *err)
{
	struct ibb_cache_entry *list = NULL;
	size_t n = 0;
	int r = ibb_cache_list(j->cache, &list, &n, err);

	for (size_t i = 0; i < n && !r; i++) {
		if (task == IBB_CACHE_VERIFY) {
			r = verify_one(j, &list[i], err);
		} else if (task == IBB_CACHE_PRUNE) {
			r = prune_one(j, &list[i], err);
		} else {
			file_json(j, &list[i], "present");
			j->total += list[i].size_bytes;
		}
	}
	ibb_cache_entries_free(list, n);
	return r;
}

static int sweep(struct job *j, struct ibb_error *err)
{
	const int64_t now = j->q->now ? j->q->now : j->q->unix_time;
	struct ibb_cache_swept s;
	struct ibb_json *o;
	/* a name that was made within the last hour may be somebody's who is just at work */
	int r = ibb_cache_sweep(j->cache, now - 3600, &s, err);

	if (r)
		return r;
	o = ibb_jb_object(&j->b, j->root, "leftovers");
	ibb_jb_int(&j->b, o, "removed", (int64_t)s.n);
	ibb_jb_int(&j->b, o, "in_use", (int64_t)s.n_in_use);
	ibb_jb_u64(&j->b, o, "bytes", s.bytes);
	return IBB_OK;
}

/* ---- add ---- */

/* Which release a file of the user is: what was said, else what its name says. NULL: none. */
static int release_of(const struct ibb_request *q, const struct ibb_catalog *c, const char *path,
		      const struct ibb_release **ret, struct ibb_error *err)
{
	const char *name = ibb_path_base(path);

	*ret = NULL;
	if (q->release)
		return ibb_catalog_find_release(c, q->release, ret, err);
	for (size_t i = 0; i < ibb_catalog_n_releases(c); i++) {
		const struct ibb_release *r = ibb_catalog_release_at(c, i);

		if (r->package && ibb_caseeq(r->package, name))
			*ret = r;
	}
	return IBB_OK;
}

static int pin(struct job *j, const struct ibb_release *rel, const struct ibb_cache_entry *e,
	       const char **pinned, struct ibb_error *err)
{
	const bool published = strcmp(*pinned, "published") == 0;
	const struct ibb_lock_download d = {.release = rel->id,
					    .file = e->file_name,
					    .sha256 = e->sha256,
					    .size_bytes = e->size_bytes,
					    .pinned = published ? "published" : "first-import"};
	int r;

	if (!j->q->lock || strcmp(*pinned, "lock") == 0)
		return IBB_OK;
	r = ibb_lockfile_pin(j->q->lock, &d, err);
	if (!r && !published)
		*pinned = d.pinned;
	return r;
}

static int add_one(struct job *j, const struct ibb_catalog *c, const struct ibb_lockfile *lock,
		   const char *path, struct ibb_error *err)
{
	struct ibb_cache_entry e = {.file_name = (char *)ibb_path_base(path),
				    .added = j->q->unix_time};
	struct ibb_cache_entry got = {0};
	const struct ibb_release *rel;
	const char *pinned = "none";
	struct ibb_sha256 d;
	bool known = false;
	int r = release_of(j->q, c, path, &rel, err);

	if (!r && rel) {
		e.release = (char *)rel->id;
		r = ibb_fetch_expected(rel, lock, j->q->lock, &known, &d, &pinned, err);
	}
	if (!r)
		r = ibb_cache_add(j->cache, path, known ? &d : NULL, &e, &got, err);
	if (r == IBB_E_UNTRUSTED && rel && strcmp(pinned, "lock") == 0)
		ibb_err_hint(err, r,
			     "the second digest is the one that %s pins for release %s; where the "
			     "pin is wrong, take that entry out of the file",
			     j->q->lock, rel->id);
	if (!r && rel)
		r = pin(j, rel, &got, &pinned, err);
	if (!r) {
		ibb_jb_str(&j->b, file_json(j, &got, "added"), "pinned", pinned);
		j->total += got.size_bytes;
		if (!rel)
			ibb_jb_fmt(&j->b, j->warnings, NULL,
				   "%s: its name is of no release that the driver catalog knows; "
				   "--release ID says what it is",
				   path);
	}
	ibb_cache_entry_clear(&got);
	return r;
}

static int add(struct job *j, struct ibb_error *err)
{
	IBB_AUTO(ibb_catalog_free) struct ibb_catalog *c = NULL;
	IBB_AUTO(ibb_lockfile_free) struct ibb_lockfile *lock = NULL;
	int r = ibb_session_catalog(j->q, &c, err);

	if (!r)
		r = ibb_fetch_lock(j->q, &lock, err);
	for (size_t i = 0; i < j->q->n_inputs && !r; i++)
		r = add_one(j, c, lock, j->q->inputs[i], err);
	return r;
}

/* ---- all ---- */

static int run(struct job *j, enum ibb_cache_task task, struct ibb_error *err)
{
	int r = IBB_OK;

	if (task == IBB_CACHE_ADD)
		return add(j, err);
	if (task == IBB_CACHE_PRUNE)
		r = sweep(j, err);
	return r ? r : each_file(j, task, err);
}

static int check_request(const struct ibb_request *q, enum ibb_cache_task task,
			 struct ibb_error *err)
{
	int r = ibb_doc_check_request(q, false, false, err);

	if (r)
		return r;
	if (!q->cache_dir)
		return ibb_err(err, IBB_E_INVALID, "no package cache was named");
	if (task == IBB_CACHE_ADD && !q->n_inputs)
		return ibb_err(err, IBB_E_INVALID, "no file was named");
	if (task == IBB_CACHE_ADD && q->release && q->n_inputs > 1)
		return ibb_err(err, IBB_E_INVALID, "one release is one file");
	return IBB_OK;
}

int ibb_do_cache(const struct ibb_request *q, enum ibb_cache_task task, char **ret_json,
		 struct ibb_error *err)
{
	static const char *const names[] = {"list", "verify", "prune", "add"};
	IBB_AUTO(ibb_cache_close) struct ibb_cache *cache = NULL;
	struct job j = {.q = q};
	int r = check_request(q, task, err);

	if (!r)
		r = ibb_cache_open(q->cache_dir, task == IBB_CACHE_ADD, &cache, err);
	if (r && r != IBB_E_NOTFOUND)
		return r;
	j.cache = cache;
	j.root = ibb_doc_begin(&j.b, "ibbake-cache/1");
	ibb_jb_str(&j.b, j.root, "action", names[task]);
	ibb_jb_str(&j.b, j.root, "cache", q->cache_dir);
	j.files = ibb_jb_array(&j.b, j.root, "files");
	j.warnings = ibb_jb_array(&j.b, j.root, "warnings");
	if (cache && ibb_cache_shared(cache))
		ibb_jb_fmt(&j.b, j.warnings, NULL,
			   "the package cache %s %s: what is in it can be changed at any moment",
			   q->cache_dir, ibb_cache_shared(cache));
	r = cache ? run(&j, task, err) : IBB_OK; /* no cache so far: it is empty */
	if (r) {
		ibb_jb_clear(&j.b);
		return r;
	}
	ibb_jb_u64(&j.b, j.root, "total_bytes", j.total);
	r = ibb_doc_print(&j.b, ret_json, err);
	if (!r && j.n_wrong) {
		*err = j.first;
		r = j.first.code == IBB_E_CORRUPT ? IBB_E_CORRUPT : j.first.code;
	}
	return r;
}
