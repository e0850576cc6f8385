/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_fetch(). */
#include "api/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/doc.h"
#include "api/session.h"

void ibb_wanted_clear(struct ibb_wanted_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->items[i].targets);
		ibb_fetched_clear(&l->items[i].got);
	}
	free(l->items);
	*l = (struct ibb_wanted_list){0};
}

/* ---- what is wanted ---- */

static int want(struct ibb_wanted_list *l, const struct ibb_release *r, struct ibb_wanted **ret,
		struct ibb_error *err)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].release == r) {
			*ret = &l->items[i];
			return IBB_OK;
		}
	if (ibb_grow(&l->items, &l->cap, l->n, sizeof(*l->items)))
		return ibb_err_nomem(err);
	*ret = &l->items[l->n++];
	**ret = (struct ibb_wanted){.release = r, .pinned = "none"};
	return IBB_OK;
}

static int want_for(struct ibb_wanted_list *l, const struct ibb_resolution *res,
		    struct ibb_error *err)
{
	struct ibb_wanted *w;
	struct ibb_wanted_for *f;
	int r = want(l, res->recommended, &w, err);

	if (r)
		return r;
	if (ibb_grow(&w->targets, &w->cap_targets, w->n_targets, sizeof(*w->targets)))
		return ibb_err_nomem(err);
	f = &w->targets[w->n_targets++];
	f->size = res->size->name;
	if (res->windows.id)
		snprintf(f->windows, sizeof(f->windows), "%s", res->windows.id);
	else
		snprintf(f->windows, sizeof(f->windows), "%u", res->windows.build);
	return IBB_OK;
}

static int check_resolution(const struct ibb_resolution *res, const struct ibb_request *q,
			    const char *os, struct ibb_error *err)
{
	const struct ibb_select_options o = {.allow_unsupported = q->allow_unsupported};
	int r = ibb_select_check(res, &o, err);

	if (r)
		return r;
	if (res->nd_note)
		r = ibb_err(err, IBB_E_UNSUPPORTED, "%s: %s", res->size->name, res->nd_note);
	else if (!res->recommended)
		r = ibb_err(err, IBB_E_UNSUPPORTED,
			    "%s on %s: the driver catalog recommends no release", res->size->name,
			    os);
	return r ? ibb_err_hint(err, r, "give bake a package of your own: --drivers DIR|FILE")
		 : IBB_OK;
}

static int want_size(const struct ibb_request *q, const struct ibb_catalog *c, const char *name,
		     const char *os, struct ibb_wanted_list *l, struct ibb_error *err)
{
	IBB_AUTO(ibb_resolution_free) struct ibb_resolution *res = NULL;
	const struct ibb_size *size;
	struct ibb_windows w;
	int r = ibb_catalog_find_size(c, name, &size, err);

	if (!r)
		r = ibb_catalog_find_windows(c, os, &w, err);
	if (!r)
		r = ibb_catalog_resolve(c, size, &w, &res, err);
	if (!r)
		r = check_resolution(res, q, os, err);
	return r ? r : want_for(l, res, err);
}

int ibb_fetch_wanted(const struct ibb_request *q, const struct ibb_catalog *c,
		     struct ibb_wanted_list *ret, struct ibb_error *err)
{
	struct ibb_wanted_list l = {0};
	const struct ibb_release *release;
	struct ibb_wanted *w;
	int r = IBB_OK;

	for (size_t i = 0; i < q->n_inputs && !r; i++) {
		r = ibb_catalog_find_release(c, q->inputs[i], &release, err);
		if (!r)
			r = want(&l, release, &w, err);
	}
	for (size_t i = 0; i < q->n_sizes && !r; i++)
		for (size_t k = 0; k < q->n_oses && !r; k++)
			r = want_size(q, c, q->sizes[i], q->oses[k], &l, err);
	if (r)
		ibb_wanted_clear(&l);
	else
		*ret = l;
	return r;
}

/* ---- what it has to be ---- */

int ibb_fetch_lock(const struct ibb_request *q, struct ibb_lockfile **ret, struct ibb_error *err)
{
	int r = q->lock ? ibb_lockfile_read(q->lock, ret, err) : IBB_E_NOTFOUND;

	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

int ibb_fetch_expected(const struct ibb_release *r, const struct ibb_lockfile *l,
		       const char *lock_path, bool *ret_known, struct ibb_sha256 *ret,
		       const char **ret_pinned, struct ibb_error *err)
{
	struct ibb_sha256 published;
	struct ibb_lock_download d;
	char hex[IBB_SHA256_HEX_SIZE];
	const bool is_published = r->sha256 && ibb_sha256_parse(r->sha256, &published);
	const bool is_locked = ibb_lockfile_download(l, r->id, &d);

	if (is_published && is_locked && memcmp(&published, &d.sha256, sizeof(published)) != 0) {
		ibb_sha256_hex(&d.sha256, hex);
		return ibb_err(err, IBB_E_UNTRUSTED,
			       "release %s: %s pins the digest %s, but the driver catalog says %s",
			       r->id, lock_path, hex, r->sha256);
	}
	*ret_known = is_published || is_locked;
	if (is_locked)
		*ret = d.sha256;
	else if (is_published)
		*ret = published;
	*ret_pinned = is_published ? "published" : is_locked ? "lock" : "none";
	return IBB_OK;
}

/* ---- one release ---- */

struct job {
	const struct ibb_request *q;
	struct ibb_cache *cache;
	struct ibb_lockfile *lock;
};

static int progress(void *ctx, uint64_t done, uint64_t total)
{
	const struct ibb_request *q = ctx;
	struct ibb_progress p = {.phase = "fetch", .done = done, .total = total};

	return q->progress ? q->progress(q->progress_ctx, &p) : 0;
}

static int waiting(void *ctx)
{
	const struct ibb_request *q = ctx;
	struct ibb_progress p = {.phase = "waiting for another process"};

	return q->progress ? q->progress(q->progress_ctx, &p) : 0;
}

static struct ibb_fetch_options fetch_options(const struct ibb_request *q)
{
	return (struct ibb_fetch_options){.http_proxy = q->http_proxy,
					  .https_proxy = q->https_proxy,
					  .no_proxy = q->no_proxy,
					  .ca_file = q->ca_file,
					  .ca_dir = q->ca_dir,
					  .stall_s = q->stall_s,
					  .total_s = q->timeout_s,
					  .tries = q->tries,
					  .offline = q->offline || q->dry_run,
					  .allow_insecure = q->allow_insecure_fetch,
					  .accept = ibb_fetch_accept,
					  .progress = progress,
					  .waiting = waiting,
					  .progress_ctx = (void *)q};
}

/* The file is there: into the lock file with it, unless it is there as well. */
static int pin(struct job *j, struct ibb_wanted *w, struct ibb_error *err)
{
	const bool imported = w->got.from_cache && !w->got.entry.url;
	const bool published = strcmp(w->pinned, "published") == 0;
	const struct ibb_lock_download d = {.release = w->release->id,
					    .file = w->release->package,
					    .url = w->got.entry.url,
					    .sha256 = w->got.entry.sha256,
					    .size_bytes = w->got.entry.size_bytes,
					    .pinned = published	 ? "published"
						      : imported ? "first-import"
								 : "first-fetch",
					    .insecure = w->insecure};
	int r;

	if (!j->q->lock || j->q->dry_run || strcmp(w->pinned, "lock") == 0)
		return IBB_OK;
	r = ibb_lockfile_pin(j->q->lock, &d, err);
	if (!r && !published)
		w->pinned = d.pinned;
	return r;
}

static int no_url(const struct ibb_release *rel, struct ibb_error *err)
{
	ibb_err(err, IBB_E_UNSUPPORTED,
		"release %s (%s) is not in the package cache, and no URL of it is known%s%s",
		rel->id, rel->package ? rel->package : rel->version, rel->note ? ": " : "",
		rel->note ? rel->note : "");
	return ibb_err_hint(
		err, IBB_E_UNSUPPORTED,
		"get the file from the vendor, then: ibbake cache add FILE --release %s", rel->id);
}

static int fetch_one(struct job *j, struct ibb_wanted *w, struct ibb_error *err)
{
	const struct ibb_release *rel = w->release;
	const struct ibb_fetch_options o = fetch_options(j->q);
	const char *urls[16];
	struct ibb_sha256 d;
	bool known;
	struct ibb_fetch_what what = {.urls = urls,
				      .size_bytes = rel->size_bytes,
				      .file_name = rel->package ? rel->package : rel->id,
				      .release = rel->id,
				      .now = j->q->unix_time};
	int r = ibb_fetch_expected(rel, j->lock, j->q->lock, &known, &d, &w->pinned, err);

	if (r)
		return r;
	what.sha256 = known ? &d : NULL;
	for (; what.n_urls < rel->n_urls && what.n_urls < IBB_ARRAY_SIZE(urls); what.n_urls++)
		urls[what.n_urls] = rel->urls[what.n_urls].url;
	r = j->cache ? ibb_fetch_file(j->cache, &what, &o, &w->got, err)
		     : ibb_err(err, IBB_E_UNSUPPORTED, "there is no package cache so far");
	if (r == IBB_E_UNSUPPORTED && !rel->n_urls)
		return no_url(rel, err);
	if ((r == IBB_E_UNSUPPORTED || (r == IBB_E_UNTRUSTED && rel->n_urls)) && j->q->dry_run)
		return IBB_OK; /* it would be fetched, also in place of one that is not taken */
	if (r)
		return r;
	w->state = w->got.from_cache ? IBB_WANTED_CACHED : IBB_WANTED_FETCHED;
	/* a published digest vouches for the bytes, however they came */
	w->insecure = w->got.entry.insecure && strcmp(w->pinned, "published") != 0;
	return pin(j, w, err);
}

static int fetch_all(struct job *j, struct ibb_wanted_list *l, struct ibb_error *err)
{
	int first = IBB_OK;

	for (size_t i = 0; i < l->n; i++) {
		struct ibb_wanted *w = &l->items[i];
		int r = ibb_session_phase(j->q, "fetch", 0, 0, &w->err);

		if (!r)
			r = fetch_one(j, w, &w->err);
		if (!r)
			continue;
		w->state = IBB_WANTED_FAILED;
		if (!first) {
			first = r;
			*err = w->err;
		}
		if (r == IBB_E_CANCELLED || r == IBB_E_NOMEM || r == IBB_E_NOSPACE ||
		    r == IBB_E_IO || r == IBB_E_INVALID)
			break;
	}
	return first;
}

static int check_request(const struct ibb_request *q, struct ibb_error *err)
{
	int r = ibb_doc_check_request(q, false, false, err);

	if (r)
		return r;
	if (!q->cache_dir)
		return ibb_err(err, IBB_E_INVALID, "no package cache was named");
	if (!q->n_sizes != !q->n_oses)
		return ibb_err(err, IBB_E_INVALID, "sizes and Windows versions go together");
	if (!q->n_sizes && !q->n_inputs)
		return ibb_err(err, IBB_E_INVALID, "nothing to fetch was named");
	return IBB_OK;
}

/* A dry run where there is no cache: everything is missing. */
static int fetch_into(const struct ibb_request *q, struct ibb_wanted_list *l, struct ibb_error *err)
{
	IBB_AUTO(ibb_cache_close) struct ibb_cache *cache = NULL;
	struct job j = {.q = q};
	int r = ibb_fetch_lock(q, &j.lock, err);

	if (!r)
		r = ibb_cache_open(q->cache_dir, !q->dry_run, &cache, err);
	if (r == IBB_E_NOTFOUND && q->dry_run)
		r = IBB_OK;
	j.cache = cache;
	if (!r)
		r = fetch_all(&j, l, err);
	ibb_lockfile_free(j.lock);
	return r;
}

int ibb_do_fetch(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO(ibb_catalog_free) struct ibb_catalog *c = NULL;
	struct ibb_wanted_list l = {0};
	struct ibb_error e = {0};
	int r = check_request(q, err), printed;

	if (!r)
		r = ibb_session_catalog(q, &c, err);
	if (!r)
		r = ibb_fetch_wanted(q, c, &l, err);
	if (r)
		return r;
	r = fetch_into(q, &l, err);
	printed = ibb_fetch_print(q, c, &l, ret_json, &e);
	if (!r && printed) {
		*err = e;
		r = printed;
	}
	ibb_wanted_clear(&l);
	return r;
}
