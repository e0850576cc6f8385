/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a catalog holds besides sizes and rules, as JSON. */
#include <string.h>

#include "base/url.h"
#include "catalog/model.h"
#include "catalog/show.h"

struct show {
	const struct ibb_catalog *c;
	struct ibb_jb *b;
};

static void layers(const struct show *s, struct ibb_json *root)
{
	struct ibb_json *list = ibb_jb_array(s->b, root, "catalogs");

	for (size_t i = 0; i < s->c->n_layers; i++) {
		const struct cat_layer *l = &s->c->layers[i];
		struct ibb_json *o = ibb_jb_object(s->b, list, NULL);

		ibb_jb_str(s->b, o, "file", l->name);
		ibb_jb_str(s->b, o, "title", l->title);
		ibb_jb_str(s->b, o, "as_of", l->as_of);
		ibb_jb_bool(s->b, o, "overlay", i > 0);
		ibb_jb_str(s->b, o, "sha256", l->sha256);
	}
}

static void windows_refs(const struct show *s, struct ibb_json *o, const struct cat_refs *refs)
{
	struct ibb_json *list = ibb_jb_array(s->b, o, "windows");

	for (size_t i = 0; i < refs->n; i++)
		ibb_jb_str(s->b, list, NULL, ((const struct cat_windows *)refs->v[i])->id);
}

static void origin(const struct show *s, struct ibb_json *o, enum cat_kind kind, size_t i)
{
	ibb_jb_str(s->b, o, "from", s->c->layers[s->c->tables[kind].from[i].layer].name);
}

/* Without what may be a secret. */
static void url_json(const struct show *s, struct ibb_json *o, const char *url)
{
	IBB_AUTO_FREE char *shown = ibb_url_public(url);

	if (!shown)
		s->b->rc = IBB_E_NOMEM;
	ibb_jb_str(s->b, o, "url", shown);
}

static void release_parts(const struct show *s, struct ibb_json *o, const struct ibb_release *r)
{
	struct ibb_json *list = ibb_jb_array(s->b, o, "urls");

	for (size_t i = 0; i < r->n_urls; i++) {
		struct ibb_json *u = ibb_jb_object(s->b, list, NULL);

		url_json(s, u, r->urls[i].url);
		ibb_jb_str(s->b, u, "basis", r->urls[i].basis);
		ibb_jb_str(s->b, u, "confidence", r->urls[i].confidence);
	}
	list = ibb_jb_array(s->b, o, "files");
	for (size_t i = 0; i < r->n_files; i++) {
		struct ibb_json *f = ibb_jb_object(s->b, list, NULL);

		ibb_jb_str(s->b, f, "name", r->files[i].name);
		ibb_jb_str(s->b, f, "sha256", r->files[i].sha256);
		ibb_jb_int(s->b, f, "bytes", r->files[i].size);
		ibb_jb_str(s->b, f, "note", r->files[i].note);
	}
}

static void releases(const struct show *s, struct ibb_json *root)
{
	const struct cat_release *r = CAT_ITEMS(s->c, CAT_RELEASE, struct cat_release);
	struct ibb_json *list = ibb_jb_array(s->b, root, "releases");

	for (size_t i = 0; i < s->c->tables[CAT_RELEASE].n; i++) {
		const struct ibb_release *p = &r[i].pub;
		struct ibb_json *o = ibb_jb_object(s->b, list, NULL);

		ibb_jb_str(s->b, o, "id", p->id);
		ibb_jb_str(s->b, o, "driver_set", p->driver_set);
		ibb_jb_str(s->b, o, "version", p->version);
		ibb_jb_str(s->b, o, "driver_version", p->driver_version);
		ibb_jb_str(s->b, o, "date", p->date);
		ibb_jb_str(s->b, o, "date_note", p->date_note);
		ibb_jb_bool(s->b, o, "lts", r[i].lts);
		ibb_jb_str(s->b, o, "package", p->package);
		ibb_jb_str(s->b, o, "sha256", p->sha256);
		ibb_jb_str(s->b, o, "sha256_basis", p->sha256_basis);
		if (p->size_bytes)
			ibb_jb_u64(s->b, o, "bytes", p->size_bytes);
		else
			ibb_jb_null(s->b, o, "bytes");
		if (p->size_mb)
			ibb_jb_int(s->b, o, "megabytes", p->size_mb);
		else
			ibb_jb_null(s->b, o, "megabytes");
		release_parts(s, o, p);
		windows_refs(s, o, &r[i].windows);
		ibb_jb_str(s->b, o, "windows_basis", p->windows_basis);
		ibb_jb_str(s->b, o, "confidence", p->confidence);
		ibb_jb_str(s->b, o, "note", p->note);
		ibb_jb_str(s->b, o, "source", p->source->title);
		origin(s, o, CAT_RELEASE, i);
	}
}

/* By Windows, as resolving sees it: what is recommended, not what is written. */
static void recommendations(const struct show *s, struct ibb_json *root)
{
	const struct cat_driver_set *d = CAT_ITEMS(s->c, CAT_DRIVER_SET, struct cat_driver_set);
	struct ibb_json *list = ibb_jb_array(s->b, root, "recommendations");

	for (size_t i = 0; i < s->c->tables[CAT_DRIVER_SET].n; i++)
		for (size_t k = 0; k < ibb_catalog_n_windows(s->c); k++) {
			const struct cat_recommendation *r;
			struct ibb_windows w;
			struct ibb_json *o;

			ibb_catalog_windows_at(s->c, k, &w);
			r = cat_recommendation_for(s->c, &d[i], &w);
			if (!r)
				continue;
			o = ibb_jb_object(s->b, list, NULL);
			ibb_jb_str(s->b, o, "driver_set", d[i].id);
			ibb_jb_str(s->b, o, "windows", w.id);
			ibb_jb_str(s->b, o, "release", r->release->pub.id);
			ibb_jb_str(s->b, o, "version", r->release->pub.version);
			ibb_jb_str(s->b, o, "recommendation", r->id);
			ibb_jb_str(s->b, o, "reason", r->reason);
			ibb_jb_str(s->b, o, "confidence", r->confidence);
		}
}

static void companions(const struct show *s, struct ibb_json *root)
{
	const struct cat_companion *k = CAT_ITEMS(s->c, CAT_COMPANION, struct cat_companion);
	struct ibb_json *list = ibb_jb_array(s->b, root, "companions");

	for (size_t i = 0; i < s->c->tables[CAT_COMPANION].n; i++) {
		struct ibb_json *o = ibb_jb_object(s->b, list, NULL);

		ibb_jb_str(s->b, o, "driver_set", k[i].driver_set->id);
		ibb_jb_str(s->b, o, "file", k[i].pub.file);
		ibb_jb_str(s->b, o, "role", k[i].pub.role);
		ibb_jb_str(s->b, o, "sha256", k[i].pub.sha256);
		ibb_jb_str(s->b, o, "confidence", k[i].pub.confidence);
		ibb_jb_str(s->b, o, "note", k[i].pub.note);
	}
}

static void entries(const struct show *s, struct ibb_json *root)
{
	const struct cat_ext_entry *e = CAT_ITEMS(s->c, CAT_EXT_ENTRY, struct cat_ext_entry);
	struct ibb_json *list = ibb_jb_array(s->b, root, "extension_entries");

	for (size_t i = 0; i < s->c->tables[CAT_EXT_ENTRY].n; i++) {
		struct ibb_json *o = ibb_jb_object(s->b, list, NULL), *names;

		ibb_jb_str(s->b, o, "id", e[i].id);
		ibb_jb_str(s->b, o, "nic", e[i].nic->id);
		names = ibb_jb_array(s->b, o, "distros");
		for (size_t k = 0; k < e[i].distros.n; k++)
			ibb_jb_str(s->b, names, NULL, e[i].distros.v[k]);
		ibb_jb_str(s->b, o, "version", e[i].version);
		url_json(s, o, e[i].url);
		ibb_jb_str(s->b, o, "release", e[i].release ? e[i].release->pub.id : NULL);
		ibb_jb_str(s->b, o, "first_commit", e[i].first_commit);
		ibb_jb_str(s->b, o, "first_date", e[i].first_date);
		ibb_jb_str(s->b, o, "last_commit", e[i].last_commit);
		ibb_jb_str(s->b, o, "last_date", e[i].last_date);
		ibb_jb_str(s->b, o, "note", e[i].note);
	}
}

static void support(const struct show *s, struct ibb_json *root)
{
	const struct cat_ext_support *e = CAT_ITEMS(s->c, CAT_EXT_SUPPORT, struct cat_ext_support);
	struct ibb_json *list = ibb_jb_array(s->b, root, "extension_support");

	for (size_t i = 0; i < s->c->tables[CAT_EXT_SUPPORT].n; i++) {
		struct ibb_json *o = ibb_jb_object(s->b, list, NULL), *nics;

		ibb_jb_str(s->b, o, "date", e[i].date);
		windows_refs(s, o, &e[i].windows);
		nics = ibb_jb_array(s->b, o, "nics");
		for (size_t k = 0; k < e[i].nics.n; k++)
			ibb_jb_str(s->b, nics, NULL, ((const struct cat_nic *)e[i].nics.v[k])->id);
		ibb_jb_str(s->b, o, "note", e[i].note);
		ibb_jb_str(s->b, o, "source", e[i].source->title);
	}
}

void ibb_catalog_show_json(const struct ibb_catalog *c, struct ibb_jb *b, struct ibb_json *root)
{
	const struct show s = {c, b};

	ibb_jb_str(b, root, "as_of", ibb_catalog_version(c));
	ibb_jb_str(b, root, "sha256", ibb_catalog_sha256(c));
	layers(&s, root);
	ibb_jb_int(b, root, "sizes", (int64_t)c->tables[CAT_SIZE].n);
	ibb_jb_int(b, root, "rules", (int64_t)c->tables[CAT_RULE].n);
	releases(&s, root);
	recommendations(&s, root);
	companions(&s, root);
	entries(&s, root);
	support(&s, root);
}
