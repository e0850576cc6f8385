/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/cached.h"

#include <stdio.h>
#include <string.h>

#include "api/fetch.h"
#include "api/sources.h"

struct taking {
	const struct ibb_request *q;
	struct ibb_sources *to;
	ibb_cached_warn_fn warn;
	void *ctx;
	struct ibb_error *err;
};

static bool is_source(const struct ibb_sources *from, const char *sha256)
{
	for (size_t i = 0; i < from->n_archives; i++)
		if (from->archives[i].sha256 && strcmp(from->archives[i].sha256, sha256) == 0)
			return true;
	return false;
}

/* The rule of fetch: what nobody vouches for is not taken unless that is asked for. */
static int refuse_insecure(const struct ibb_release *rel, const struct ibb_cache_entry *e,
			   struct ibb_error *err)
{
	ibb_err(err, IBB_E_UNTRUSTED,
		"%s, release %s, is in the package cache, but came over http while nobody knew its "
		"digest",
		e->file_name ? e->file_name : rel->id, rel->id);
	return ibb_err_hint(
		err, IBB_E_UNTRUSTED,
		"'ibbake fetch %s --allow-insecure-fetch --lock FILE' pins it as it is, "
		"for --lock FILE here; --drivers DIR|FILE names a package instead",
		rel->id);
}

static int take(struct taking *t, const struct ibb_release *rel, const struct ibb_cache_entry *e,
		const char *pinned)
{
	const bool none = strcmp(pinned, "none") == 0;
	const char *name = e->file_name ? e->file_name : rel->package ? rel->package : rel->id;
	IBB_AUTO_FREE char *text = NULL;
	char hex[IBB_SHA256_HEX_SIZE];
	int r = IBB_OK;

	ibb_sha256_hex(&e->sha256, hex);
	if (!is_source(t->to, hex)) {
		r = ibb_sources_add(t->to, e->path, name, t->err);
		if (!r && !is_source(t->to, hex)) /* it was right a moment ago */
			r = ibb_err(t->err, IBB_E_UNTRUSTED, "%s was changed while it was read",
				    e->path);
	}
	if (r)
		return ibb_err_prefix(t->err, r, "%s, of the package cache", name);
	text = ibb_asprintf("taken from the package cache: %s, release %s; %s%s", name, rel->id,
			    none ? "nothing pins it (--lock FILE of ibbake fetch does)"
			    : strcmp(pinned, "lock") == 0 ? "its digest is the one of the lock file"
							  : "its digest is the published one",
			    none && e->insecure ? "; it came over http, unchecked" : "");
	return text ? t->warn(t->ctx, text, t->err) : ibb_err_nomem(t->err);
}

static int add(struct taking *t, struct ibb_cache *c, const struct ibb_lockfile *lock,
	       const struct ibb_release *rel)
{
	struct ibb_cache_entry e = {0};
	struct ibb_sha256 d, actual;
	const char *pinned;
	bool known;
	int r = ibb_fetch_expected(rel, lock, t->q->lock, &known, &d, &pinned, t->err);

	if (r)
		return r;
	r = known ? ibb_cache_find(c, &d, false, &e, t->err)
		  : ibb_cache_find_release(c, rel->id, &e, t->err);
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r; /* who needs it says what is missing */
	if (!known && e.insecure && !t->q->allow_insecure_fetch)
		r = refuse_insecure(rel, &e, t->err);
	if (!r)
		r = ibb_cache_check(&e, NULL, NULL, &actual, t->err);
	if (!r)
		r = take(t, rel, &e, pinned);
	ibb_cache_entry_clear(&e);
	return r;
}

static int warn_shared(struct taking *t, const struct ibb_cache *c)
{
	IBB_AUTO_FREE char *text = NULL;

	if (!ibb_cache_shared(c))
		return IBB_OK;
	text = ibb_asprintf("the package cache %s %s: what is in it can be changed at any moment",
			    t->q->cache_dir, ibb_cache_shared(c));
	return text ? t->warn(t->ctx, text, t->err) : ibb_err_nomem(t->err);
}

int ibb_cached_add(const struct ibb_request *q, const struct ibb_release *const *releases, size_t n,
		   struct ibb_sources *to, ibb_cached_warn_fn warn, void *ctx,
		   struct ibb_error *err)
{
	IBB_AUTO(ibb_cache_close) struct ibb_cache *c = NULL;
	IBB_AUTO(ibb_lockfile_free) struct ibb_lockfile *lock = NULL;
	struct taking t = {q, to, warn, ctx, err};
	int r = ibb_cache_open(q->cache_dir, false, &c, err);

	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	r = warn_shared(&t, c);
	if (!r)
		r = ibb_fetch_lock(q, &lock, err);
	for (size_t i = 0; i < n && !r; i++) {
		bool seen = false;

		for (size_t k = 0; k < i; k++)
			seen |= releases[k] == releases[i];
		if (releases[i] && !seen)
			r = add(&t, c, lock, releases[i]);
	}
	return r;
}

int ibb_cached_hint(const struct ibb_request *q, const char *size, const char *windows, int r,
		    struct ibb_error *err)
{
	return ibb_err_hint(err, r,
			    "--drivers names packages; without it they are taken from the package "
			    "cache %s, which 'ibbake fetch --size %s --os %s' fills",
			    q->cache_dir, size, windows);
}

/* ---- sessions ---- */

static bool asked(const struct ibb_session *s)
{
	return !s->q->n_driver_dirs && !s->q->bundle && !s->q->opened && s->q->cache_dir;
}

/* Was it for an earlier target? */
static bool seen(const struct ibb_session *s, size_t target)
{
	for (size_t i = 0; i < target; i++)
		if (s->resolutions[i]->recommended == s->resolutions[target]->recommended)
			return true;
	return false;
}

/* Does any target need a file of the cache at all? */
static bool needed(const struct ibb_session *s)
{
	for (size_t i = 0; i < s->n_targets; i++)
		if (s->resolutions[i]->recommended && !s->resolutions[i]->n_local)
			return true;
	return false;
}

/* "24.4.26429" is what an INF calls 24.4.26429.0. */
static bool is_version(const char *have, const char *want)
{
	const size_t n = strlen(want);

	return strncmp(have, want, n) == 0 && (!have[n] || have[n] == '.');
}

int ibb_session_check_cached(struct ibb_session *s, size_t target, struct ibb_error *err)
{
	const struct ibb_release *rel = s->resolutions[target]->recommended;
	const struct ibb_package *p = s->selections[target].package;

	if (!asked(s) || !rel || !rel->driver_version || s->resolutions[target]->n_local ||
	    seen(s, target) || is_version(p->version.version_text, rel->driver_version))
		return IBB_OK;
	return ibb_session_warn(s, err,
				"%s, taken from the package cache for release %s, has the driver "
				"version %s, but the driver catalog says %s of that release: is it "
				"the right file?",
				p->inf_name, rel->id,
				*p->version.version_text ? p->version.version_text : "(none)",
				rel->driver_version);
}

static int warn_session(void *ctx, const char *text, struct ibb_error *err)
{
	return ibb_session_warn(ctx, err, "%s", text);
}

int ibb_session_add_cached(struct ibb_session *s, struct ibb_error *err)
{
	IBB_AUTO_FREE const struct ibb_release **list = NULL;
	const struct ibb_sources *opened;
	int r;

	if (!asked(s) || !needed(s))
		return IBB_OK;
	list = ibb_calloc_array(s->n_targets, sizeof(*list));
	if (!list)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < s->n_targets; i++)
		if (!s->resolutions[i]->n_local)
			list[i] = s->resolutions[i]->recommended;
	r = ibb_session_sources(s, &opened, err);
	return r ? r
		 : ibb_cached_add(s->q, list, s->n_targets, ibb_session_shared_sources(s),
				  warn_session, s, err);
}

int ibb_session_hint_fetch(const struct ibb_session *s, int r, struct ibb_error *err)
{
	char build[16];

	if (r != IBB_E_UNSUPPORTED || s->found.n || !asked(s))
		return r;
	for (size_t i = 0; i < s->n_targets; i++) {
		const struct ibb_resolution *res = s->resolutions[i];

		if (!res->recommended || res->n_local)
			continue;
		snprintf(build, sizeof(build), "%u", res->windows.build);
		return ibb_cached_hint(s->q, res->size->name,
				       res->windows.id ? res->windows.id : build, r, err);
	}
	return r;
}
