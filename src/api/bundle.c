/* SPDX-License-Identifier: GPL-3.0-or-later */
/* --bundle FILE: from a request to one that names the files of the bundle. */
#include "api/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/lockfile.h"
#include "base/limits.h"

/* ---- keys ---- */

int ibb_bundle_keys(const struct ibb_request *q, struct ibb_public_key **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE struct ibb_public_key *keys =
		ibb_calloc_array(q->n_bundle_keys, sizeof(*keys));
	int r = keys ? IBB_OK : ibb_err_nomem(err);

	for (size_t i = 0; i < q->n_bundle_keys && !r; i++) {
		IBB_AUTO_BUF struct ibb_buf pem = {0};

		r = ibb_read_file(q->bundle_keys[i], IBB_LIMIT_CAT_BYTES, &pem, err);
		if (!r)
			r = ibb_sign_public_key(q->bundle_keys[i], ibb_buf_bytes(&pem), &keys[i],
						err);
	}
	if (!r)
		*ret = IBB_TAKE(keys);
	return r;
}

/* ---- names ---- */

const char *ibb_opened_name(const struct ibb_request *q, const char *host)
{
	const struct ibb_opened_bundle *o = q->opened;

	for (size_t i = 0; o && i < o->n_names; i++)
		if (strcmp(o->names[i].host, host) == 0)
			return o->names[i].shown;
	return host;
}

static int name_file(struct ibb_opened_bundle *o, const char *path, const char **ret,
		     struct ibb_error *err)
{
	struct ibb_opened_name n;

	if (ibb_grow(&o->names, &o->cap_names, o->n_names, sizeof(n)))
		return ibb_err_nomem(err);
	n = (struct ibb_opened_name){ibb_asprintf("%s/%s", o->home.scratch, path),
				     ibb_asprintf("%s!/%s", o->path, path)};
	if (!n.host || !n.shown) {
		free(n.host);
		free(n.shown);
		return ibb_err_nomem(err);
	}
	o->names[o->n_names++] = n;
	*ret = n.host;
	return IBB_OK;
}

static int add_name(struct ibb_opened_bundle *o, const char *path, const char ***list, size_t *cap,
		    size_t *n, struct ibb_error *err)
{
	int r = ibb_grow(list, cap, *n, sizeof(**list)) ? ibb_err_nomem(err) : IBB_OK;

	if (!r)
		r = name_file(o, path, &(*list)[*n], err);
	if (!r)
		++*n;
	return r;
}

static int place(struct ibb_opened_bundle *o, const char *path, struct ibb_error *err)
{
	if (strncmp(path, "catalog/", 8) == 0)
		return add_name(o, path, &o->catalogs, &o->cap_catalogs, &o->n_catalogs, err);
	if (strncmp(path, "crls/", 5) == 0)
		return add_name(o, path, &o->crls, &o->cap_crls, &o->n_crls, err);
	if (strcmp(path, "lock.json") == 0)
		return name_file(o, path, &o->lock, err);
	if (strncmp(path, "packages/", 9) == 0 && !o->packages)
		return name_file(o, "packages", &o->packages, err);
	return IBB_OK;
}

/* The list of files is in the order of their names, and was checked. */
static int place_all(struct ibb_opened_bundle *o, const struct ibb_request *q,
		     struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < q->n_crls && !r; i++)
		if (ibb_grow(&o->crls, &o->cap_crls, o->n_crls, sizeof(*o->crls)))
			r = ibb_err_nomem(err);
		else
			o->crls[o->n_crls++] = q->crls[i];
	ibb_json_foreach (f, ibb_json_get(o->b.doc, "files"))
		if (!r)
			r = place(o, ibb_json_str(f, "path"), err);
	if (!r && (!o->n_catalogs || !o->lock || !o->packages))
		r = ibb_err(err, IBB_E_CORRUPT,
			    "%s: no bundle to bake from: driver catalog, lock file or packages are "
			    "not in it",
			    o->path);
	return r;
}

/* Any package would be taken otherwise. */
static int check_lock(const struct ibb_opened_bundle *o, struct ibb_error *err)
{
	IBB_AUTO(ibb_lockfile_free) struct ibb_lockfile *l = NULL;
	IBB_AUTO_FREE char *name = ibb_asprintf("%s!/lock.json", o->path);
	int r = name ? ibb_lockfile_read_as(o->lock, name, &l, err) : ibb_err_nomem(err);

	if (!r && !ibb_lockfile_locks_packages(l))
		r = ibb_err(err, IBB_E_CORRUPT, "%s: locks no packages", name);
	return r;
}

/* ---- the request ---- */

static int check_request(const struct ibb_request *q, struct ibb_error *err)
{
	const char *with = q->n_driver_dirs    ? "driver packages"
			   : q->catalog	       ? "a driver catalog"
			   : q->n_catalog_dirs ? "driver catalogs"
			   : q->lock	       ? "a lock file"
					       : NULL;

	if (with)
		return ibb_err(err, IBB_E_INVALID,
			       "a bundle has catalog, lock file and packages of its own: %s cannot "
			       "be given with it",
			       with);
	return IBB_OK;
}

static int open_bundle(const struct ibb_request *q, struct ibb_opened_bundle *o,
		       struct ibb_error *err)
{
	IBB_AUTO_FREE struct ibb_public_key *keys = NULL;
	const char *dir = NULL;
	int r = check_request(q, err);

	o->path = q->bundle;
	ibb_sources_init(&o->home, q);
	if (!r)
		r = ibb_bundle_keys(q, &keys, err);
	if (!r)
		r = ibb_sources_scratch(&o->home, &dir, err);
	if (!r)
		r = ibb_bundle_read(q->bundle, keys, q->n_bundle_keys, dir, &o->b, err);
	if (!r)
		r = ibb_bundle_about_check(q->bundle, o->b.doc, err);
	if (!r)
		r = place_all(o, q, err);
	if (!r)
		r = check_lock(o, err);
	ibb_sha256_hex(&o->b.digest, o->digest);
	ibb_hex(o->b.key.b, sizeof(o->b.key.b), o->key);
	return r;
}

static void close_bundle(struct ibb_opened_bundle *o)
{
	for (size_t i = 0; i < o->n_names; i++) {
		free(o->names[i].host);
		free(o->names[i].shown);
	}
	free(o->names);
	free(o->catalogs);
	free(o->crls);
	ibb_bundle_clear(&o->b);
	ibb_sources_close(&o->home);
}

int ibb_bundle_task(const struct ibb_request *q, ibb_task_fn task, char **ret_json,
		    struct ibb_error *err)
{
	struct ibb_opened_bundle o = {0};
	struct ibb_request with;
	int r;

	if (!q || q->struct_bytes != sizeof(*q) || !q->bundle) {
		if (q && q->struct_bytes == sizeof(*q) && q->n_bundle_keys)
			return ibb_err(err, IBB_E_INVALID,
				       "a key of a bundle was given, but no bundle");
		return task(q, ret_json, err);
	}
	r = open_bundle(q, &o, err);
	if (!r) {
		with = *q;
		with.opened = &o;
		with.catalog = o.catalogs[0];
		with.catalog_dirs = o.catalogs + 1;
		with.n_catalog_dirs = o.n_catalogs - 1;
		with.crls = o.crls;
		with.n_crls = o.n_crls;
		with.lock = o.lock;
		with.driver_dirs = &o.packages;
		with.n_driver_dirs = 1;
		r = task(&with, ret_json, err);
	}
	close_bundle(&o);
	return r;
}

/* ---- what it was made for ---- */

static void append(char *text, size_t size, const char *what)
{
	size_t n = strlen(text);

	if (n + strlen(what) + 8 < size)
		snprintf(text + n, size - n, "%s%s", n ? ", " : "", what);
	else if (n + 6 < size && strcmp(text + n - 3, "...") != 0)
		snprintf(text + n, size - n, ", ...");
}

int ibb_opened_check(const struct ibb_request *q, const char *size, const struct ibb_windows *w,
		     struct ibb_error *err)
{
	char sizes[400] = "", windows[200] = "";
	bool size_ok = false, windows_ok = false;

	if (!q->opened)
		return IBB_OK;
	ibb_json_foreach (s, ibb_json_get(q->opened->b.doc, "sizes")) {
		const char *name = ibb_json_value_str(s);

		append(sizes, sizeof(sizes), name ? name : "?");
		size_ok |= name && strcmp(name, size) == 0;
	}
	ibb_json_foreach (x, ibb_json_get(q->opened->b.doc, "windows")) {
		const char *id = ibb_json_str(x, "id");

		append(windows, sizeof(windows), id ? id : "?");
		windows_ok |= id && w->id && strcmp(id, w->id) == 0;
	}
	if (size_ok && windows_ok)
		return IBB_OK;
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s was not made for %s on %s (build %u): it is for %s on %s", q->opened->path,
		size, w->name ? w->name : "this Windows", w->build, sizes, windows);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "make one that is: 'ibbake bundle create --size %s --os %s ...'", size,
			    w->id ? w->id : "NAME");
}

int ibb_opened_warn(struct ibb_session *s, struct ibb_error *err)
{
	const struct ibb_opened_bundle *o = s->q->opened;
	const char *trust = o ? ibb_json_str(o->b.doc, "trust") : NULL;
	int r = IBB_OK;

	if (o && !o->b.is_signed)
		r = ibb_session_warn(
			s, err, "%s is not signed: anybody can have made or changed it", o->path);
	if (o && o->b.is_signed && !o->b.key_known)
		r = ibb_session_warn(s, err,
				     "%s is signed by %s, a key that nobody asked for: anybody can "
				     "have made it; --bundle-key asks for yours",
				     o->path, o->key);
	if (!r && trust && strcmp(trust, "verified") != 0)
		r = ibb_session_warn(
			s, err,
			"%s was made with weakened trust (%s): its packages are judged "
			"anew",
			o->path, trust);
	return r;
}
