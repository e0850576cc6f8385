/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The document of ibb_fetch(). */
#include <string.h>

#include "api/catalogs.h"
#include "api/doc.h"
#include "api/fetch.h"
#include "net/http.h"

static const char *state_name(enum ibb_wanted_state s)
{
	static const char *const names[] = {"missing", "cached", "fetched", "failed"};

	return names[s];
}

static void urls_json(const struct ibb_release *rel, struct ibb_jb *b, struct ibb_json *o)
{
	struct ibb_json *list = ibb_jb_array(b, o, "urls"), *u;

	for (size_t i = 0; i < rel->n_urls; i++) {
		IBB_AUTO_FREE char *shown = ibb_url_shown(rel->urls[i].url);

		if (!shown)
			b->rc = IBB_E_NOMEM;
		u = ibb_jb_object(b, list, NULL);
		ibb_jb_str(b, u, "url", shown);
		ibb_jb_str(b, u, "basis", rel->urls[i].basis);
		ibb_jb_str(b, u, "confidence", rel->urls[i].confidence);
	}
}

static void got_json(const struct ibb_wanted *w, struct ibb_jb *b, struct ibb_json *o)
{
	const bool there = w->state == IBB_WANTED_CACHED || w->state == IBB_WANTED_FETCHED;
	char hex[IBB_SHA256_HEX_SIZE] = "";

	if (there)
		ibb_sha256_hex(&w->got.entry.sha256, hex);
	ibb_jb_str(b, o, "sha256", there ? hex : w->release->sha256);
	if (there)
		ibb_jb_u64(b, o, "size_bytes", w->got.entry.size_bytes);
	else
		ibb_jb_null(b, o, "size_bytes");
	ibb_jb_str(b, o, "path", w->got.entry.path);
	ibb_jb_str(b, o, "url", there ? w->got.url ? w->got.url : w->got.entry.url : NULL);
	ibb_jb_str(b, o, "pinned", w->pinned);
	ibb_jb_bool(b, o, "insecure", w->insecure);
	ibb_jb_bool(b, o, "resumed", w->got.resumed);
	ibb_jb_int(b, o, "requests", w->got.tries);
}

static void wanted_json(const struct ibb_wanted *w, struct ibb_jb *b, struct ibb_json *o)
{
	struct ibb_json *list, *t;

	ibb_jb_str(b, o, "release", w->release->id);
	ibb_jb_str(b, o, "version", w->release->version);
	ibb_jb_str(b, o, "driver_set", w->release->driver_set);
	ibb_jb_str(b, o, "file", w->release->package);
	ibb_jb_str(b, o, "state", state_name(w->state));
	got_json(w, b, o);
	urls_json(w->release, b, o);
	list = ibb_jb_array(b, o, "for");
	for (size_t i = 0; i < w->n_targets; i++) {
		t = ibb_jb_object(b, list, NULL);
		ibb_jb_str(b, t, "size", w->targets[i].size);
		ibb_jb_str(b, t, "windows", w->targets[i].windows);
	}
	ibb_jb_str(b, o, "error", w->state == IBB_WANTED_FAILED ? w->err.msg : NULL);
	ibb_jb_str(b, o, "hint",
		   w->state == IBB_WANTED_FAILED && *w->err.hint ? w->err.hint : NULL);
}

static void warn_of(const struct ibb_request *q, const struct ibb_wanted *w, struct ibb_jb *b,
		    struct ibb_json *list)
{
	const char *name = w->release->package ? w->release->package : w->release->id;

	if (w->state != IBB_WANTED_CACHED && w->state != IBB_WANTED_FETCHED)
		return;
	if (strcmp(w->pinned, "none") == 0)
		ibb_jb_fmt(b, list, NULL,
			   "nothing pins %s: nobody published its digest%s; its drivers are judged "
			   "by their signatures when they are baked",
			   name, q->lock ? "" : " (--lock FILE pins it)");
	if (w->insecure)
		ibb_jb_fmt(b, list, NULL,
			   "%s came over http while nobody knew its digest: anybody on the way may "
			   "have changed it",
			   name);
}

int ibb_fetch_print(const struct ibb_request *q, const struct ibb_catalog *c,
		    const struct ibb_wanted_list *l, char **ret_json, struct ibb_error *err)
{
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_doc_begin(&b, "ibbake-fetch/1"), *list;

	ibb_jb_str(&b, root, "catalog_as_of", ibb_catalog_version(c));
	ibb_jb_str(&b, root, "cache", q->cache_dir);
	ibb_jb_str(&b, root, "lock", q->lock);
	ibb_jb_bool(&b, root, "dry_run", q->dry_run);
	list = ibb_jb_array(&b, root, "files");
	for (size_t i = 0; i < l->n; i++)
		wanted_json(&l->items[i], &b, ibb_jb_object(&b, list, NULL));
	list = ibb_jb_array(&b, root, "warnings");
	ibb_catalog_conflicts_json(c, &b, list);
	for (size_t i = 0; i < l->n; i++)
		warn_of(q, &l->items[i], &b, list);
	return ibb_doc_print(&b, ret_json, err);
}
