/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"
#include "manifest/manifest.h"

static int bad(const char *name, const char *what, struct ibb_error *err)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s: %s: not a manifest of ibbake, or damaged", name,
		       what);
}

static bool one_of(const char *s, const char *const *words, size_t n)
{
	for (size_t i = 0; s && i < n; i++)
		if (strcmp(s, words[i]) == 0)
			return true;
	return false;
}

/* Names between single backslashes, as ibb_hive_find() wants them. */
static bool key_ok(const char *key)
{
	size_t n = key ? strlen(key) : 0;

	return n && key[0] != '\\' && key[n - 1] != '\\' && !strstr(key, "\\\\");
}

static int check_file(const char *name, const struct ibb_json *f, struct ibb_error *err)
{
	const struct ibb_json *after = ibb_json_get(f, "after");
	const char *sha = ibb_json_str(after, "sha256"), *path = ibb_json_str(f, "path");
	static const char *const kinds[] = {"driver", "hive", "log"};
	IBB_AUTO_FREE char *norm = NULL;
	struct ibb_sha256 d;
	int r;

	if (!path || !one_of(ibb_json_str(f, "kind"), kinds, IBB_ARRAY_SIZE(kinds)) ||
	    (!ibb_json_is_null(after) && (!sha || !ibb_sha256_parse(sha, &d))))
		return bad(name, "\"files\" has an item without path, kind or digest", err);
	r = ibb_path_normalize(path, &norm, err);
	return r && r != IBB_E_NOMEM ? ibb_err_prefix(err, IBB_E_CORRUPT, "%s", name) : r;
}

static bool is_registry_op(const char *kind)
{
	return !strcmp(kind, "key") || !strcmp(kind, "value") || !strcmp(kind, "unset") ||
	       !strcmp(kind, "delete-key");
}

static int check_op(const char *name, const struct ibb_json *op, struct ibb_error *err)
{
	static const char *const kinds[] = {"mkdir", "put",	   "key",
					    "value", "clear-log",  "remove",
					    "unset", "delete-key", "mark-clean"};
	static const char *const hives[] = {"SYSTEM", "DRIVERS", "SOFTWARE"};
	const char *kind = ibb_json_str(op, "op");
	const struct ibb_json *after = ibb_json_get(op, "after");

	/* what is not known cannot be verified, and must not count as verified */
	if (!one_of(kind, kinds, IBB_ARRAY_SIZE(kinds)))
		return bad(name, "\"operations\" has an item with no \"op\" that is known", err);
	if (!is_registry_op(kind))
		return IBB_OK;
	if (!key_ok(ibb_json_str(op, "key")) ||
	    !one_of(ibb_json_str(op, "hive"), hives, IBB_ARRAY_SIZE(hives)))
		return bad(name, "a registry operation lacks hive or key", err);
	if ((!strcmp(kind, "value") || !strcmp(kind, "unset")) && !ibb_json_str(op, "value"))
		return bad(name, "a value operation lacks its value", err);
	if (!strcmp(kind, "value") &&
	    (!ibb_json_str(after, "type") || !ibb_json_str(after, "data")))
		return bad(name, "a value operation lacks its value", err);
	return IBB_OK;
}

bool ibb_manifest_is_wim(const struct ibb_json *m)
{
	const char *schema = ibb_json_str(m, "schema");

	return schema && strcmp(schema, IBB_WIM_MANIFEST_SCHEMA) == 0;
}

/* What a disk's manifest has in its root, and that of a WIM in every image. */
static int check_part(const char *name, const struct ibb_json *m, struct ibb_error *err)
{
	int r = IBB_OK;

	if (!ibb_json_is_array(ibb_json_get(m, "files")) ||
	    !ibb_json_is_array(ibb_json_get(m, "operations")) ||
	    !ibb_json_is_array(ibb_json_get(m, "targets")))
		return bad(name, "no \"files\", \"operations\", \"output\" or \"targets\"", err);
	ibb_json_foreach (f, ibb_json_get(m, "files")) {
		if (!r)
			r = check_file(name, f, err);
	}
	ibb_json_foreach (op, ibb_json_get(m, "operations")) {
		if (!r)
			r = check_op(name, op, err);
	}
	return r;
}

static int check_images(const char *name, const struct ibb_json *images, struct ibb_error *err)
{
	int64_t last = 0;
	int r = IBB_OK;
	bool any = false;

	if (!ibb_json_is_array(images))
		return bad(name, "no \"images\"", err);
	ibb_json_foreach (i, images) {
		/* ascending, so that none is there twice */
		if (!r && !ibb_json_int(i, "index", last + 1, IBB_LIMIT_WIM_IMAGES, &last))
			r = bad(name, "\"images\" has an item without its number", err);
		if (r || ibb_json_str(i, "skipped"))
			continue;
		any = true;
		r = check_part(name, i, err);
	}
	/* no bake writes such a one, and with nothing compared everything would be as it was */
	return r || any ? r : bad(name, "\"images\" has none that was worked on", err);
}

static int check_recovery(const char *name, const struct ibb_json *x, struct ibb_error *err)
{
	const char *path = ibb_json_str(x, "path"), *hex = ibb_json_str(x, "after_sha256");
	IBB_AUTO_FREE char *norm = NULL;
	struct ibb_sha256 d;
	int64_t number;
	int r;

	if (!path || !hex || !ibb_sha256_parse(hex, &d) ||
	    !ibb_json_int(x, "partition", 0, INT32_MAX, &number))
		return bad(name, "an item of \"winre\" lacks partition, path or digest", err);
	r = ibb_path_normalize(path, &norm, err);
	if (!r && strcmp(path, norm) != 0)
		return bad(name, "\"winre\" has a path that is not in its normal form", err);
	return r && r != IBB_E_NOMEM ? ibb_err_prefix(err, IBB_E_CORRUPT, "%s", name) : r;
}

/* The recovery images; null or nothing: not asked for. */
static int check_winre(const char *name, const struct ibb_json *list, struct ibb_error *err)
{
	if (!list || ibb_json_is_null(list))
		return IBB_OK;
	if (!ibb_json_is_array(list))
		return bad(name, "\"winre\" is no list", err);
	ibb_json_foreach (x, list) {
		int r = check_recovery(name, x, err);

		if (r)
			return r;
	}
	return IBB_OK;
}

int ibb_manifest_parse(const char *name, const void *text, size_t n, struct ibb_json **ret,
		       struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *m = NULL;
	const char *schema;
	int r = ibb_json_parse(name, text, n, &m, err);

	if (r)
		return r;
	schema = ibb_json_str(m, "schema");
	if (!schema)
		return bad(name, "no \"schema\"", err);
	if (ibb_manifest_is_wim(m)) {
		r = check_images(name, ibb_json_get(m, "images"), err);
	} else if (strcmp(schema, IBB_MANIFEST_SCHEMA) != 0) {
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: schema '%s'; this version of ibbake reads %s and %s", name,
			       schema, IBB_MANIFEST_SCHEMA, IBB_WIM_MANIFEST_SCHEMA);
	} else {
		r = check_part(name, m, err);
		if (!r && !ibb_json_is_object(ibb_json_get(m, "output")))
			r = bad(name, "no \"files\", \"operations\", \"output\" or \"targets\"",
				err);
		if (!r)
			r = check_winre(name, ibb_json_get(m, "winre"), err);
	}
	if (r)
		return r;
	*ret = IBB_TAKE(m);
	return IBB_OK;
}

struct verify {
	const struct ibb_facts *f;
	struct ibb_volume *v;
	const struct ibb_verify_options *o;
	struct ibb_jb *b;
	struct ibb_json *list;
	size_t n;
	struct ibb_error *err;
};

static void differs(struct verify *w, const char *what, const char *where, const char *fmt, ...)
	IBB_PRINTF(4, 5);
static void differs(struct verify *w, const char *what, const char *where, const char *fmt, ...)
{
	struct ibb_json *o = ibb_jb_object(w->b, w->list, NULL);
	char text[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ibb_jb_str(w->b, o, "what", what);
	ibb_jb_str(w->b, o, "where", where);
	ibb_jb_str(w->b, o, "difference", text);
	w->n++;
}

/* ---- identity ---- */

static void same_text(struct verify *w, const struct ibb_json *want, const struct ibb_json *have,
		      const char *key)
{
	const char *a = ibb_json_str(want, key), *b = ibb_json_str(have, key);

	if (a && b && strcmp(a, b) != 0)
		differs(w, "identity", key, "the manifest says %s, the image has %s", a, b);
}

/* A fixed VHD is whole MiB: a disk that was converted to one may have grown at its end. */
static void same_size(struct verify *w, const struct ibb_json *want, uint64_t have)
{
	const char *text = ibb_json_str(want, "disk_bytes");
	const uint64_t n = text ? strtoull(text, NULL, 10) : have;

	if (n == have || (n + 0xfffff) / 0x100000 * 0x100000 == have)
		return;
	differs(w, "identity", "disk_bytes", "the manifest says %llu, the image has %llu",
		(unsigned long long)n, (unsigned long long)have);
}

static int verify_identity(struct verify *w, const struct ibb_json *m,
			   const struct ibb_identity *id)
{
	/* not the container's own identifiers: a conversion makes new ones for the same disk */
	static const char *const keys[] = {"disk_guid", "mbr_signature"};
	static const char *const part_keys[] = {"offset_bytes", "bytes", "guid", "ntfs_serial"};
	const struct ibb_json *want = ibb_json_get(m, "output");
	IBB_AUTO(ibb_json_free) struct ibb_json *have = NULL;
	struct ibb_jb b = {0};
	int r;

	ibb_identity_json(id, &b, ibb_jb_object(&b, NULL, NULL));
	r = ibb_jb_done(&b, &have, w->err);
	if (r)
		return r;
	same_size(w, want, id->disk_bytes);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(keys); i++)
		same_text(w, want, have, keys[i]);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(part_keys); i++)
		same_text(w, ibb_json_get(want, "partition"), ibb_json_get(have, "partition"),
			  part_keys[i]);
	return IBB_OK;
}

/* ---- files ---- */

static int verify_file(struct verify *w, const struct ibb_json *f)
{
	const char *path = ibb_json_str(f, "path"), *kind = ibb_json_str(f, "kind");
	const char *want = ibb_json_str(ibb_json_get(f, "after"), "sha256");
	IBB_AUTO_FREE char *norm = NULL;
	IBB_AUTO_BUF struct ibb_buf data = {0};
	char have[IBB_SHA256_HEX_SIZE];
	struct ibb_error sub = {0};
	struct ibb_sha256 d, wanted;
	int r;

	if (w->o->booted && strcmp(kind, "driver") != 0)
		return IBB_OK; /* Windows writes its hives and logs all the time */
	r = ibb_path_normalize(path, &norm, w->err);
	if (r)
		return r;
	r = ibb_volume_read(w->v, norm, IBB_LIMIT_HIVE_BYTES, &data, &sub);
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(w->err);
	if (r == IBB_E_NOTFOUND) {
		if (want)
			differs(w, "file", path, "missing");
		return IBB_OK;
	}
	if (!want) {
		differs(w, "file", path, "there again, though it was removed");
		return IBB_OK;
	}
	if (r == IBB_E_IO) {
		*w->err = sub;
		return r;
	}
	if (r) {
		differs(w, "file", path, "cannot be read: %s", sub.msg);
		return IBB_OK;
	}
	if (ibb_sha256(data.data, data.len, &d))
		return ibb_err_nomem(w->err);
	ibb_sha256_hex(&d, have);
	if (!ibb_sha256_parse(want, &wanted) || memcmp(&d, &wanted, sizeof(d)) != 0)
		differs(w, "file", path, "SHA-256 is %s, the manifest says %s", have, want);
	return IBB_OK;
}

/* ---- registry ---- */

static const struct ibb_fact_hive *hive_named(const struct ibb_facts *f, const char *name)
{
	for (int i = 0; i < IBB_N_HIVES; i++)
		if (strcmp(ibb_hive_id_name(i), name) == 0)
			return &f->hives[i];
	return NULL;
}

static int value_equals(const struct ibb_json *after, uint32_t type, const struct ibb_buf *data,
			bool *ret, struct ibb_error *err)
{
	const char *want = ibb_json_str(after, "data");
	IBB_AUTO_FREE char *hex = ibb_alloc(2 * data->len + 1);
	char name[24];

	if (!hex)
		return ibb_err_nomem(err);
	ibb_reg_type_name(type, name);
	ibb_hex(data->data, data->len, hex);
	*ret = strcmp(name, ibb_json_str(after, "type")) == 0 && strcmp(hex, want) == 0;
	return IBB_OK;
}

static int verify_op(struct verify *w, const struct ibb_json *op)
{
	const char *kind = ibb_json_str(op, "op"), *key = ibb_json_str(op, "key");
	const char *value = ibb_json_str(op, "value");
	IBB_AUTO_BUF struct ibb_buf data = {0};
	const struct ibb_fact_hive *fh;
	char where[1024];
	bool equal = true, gone = !strcmp(kind, "unset") || !strcmp(kind, "delete-key");
	uint32_t type;
	ibb_key k;
	int r;

	if (!is_registry_op(kind))
		return IBB_OK;
	fh = hive_named(w->f, ibb_json_str(op, "hive"));
	if (!fh || !fh->hive)
		return IBB_OK; /* reported once, below */
	snprintf(where, sizeof(where), "%s\\%s%s%s", ibb_json_str(op, "hive"), key,
		 value ? " : " : "", value ? *value ? value : "(default)" : "");
	r = ibb_hive_find(fh->hive, ibb_hive_root(fh->hive), key, &k, w->err);
	if (!r && value)
		r = ibb_hive_get(fh->hive, k, value, &type, &data, w->err);
	if (r == IBB_E_NOTFOUND) {
		if (!gone)
			differs(w, "registry", where, "missing");
		return IBB_OK;
	}
	if (!r && gone) {
		differs(w, "registry", where, "there again, though it was removed");
		return IBB_OK;
	}
	if (!r && value)
		r = value_equals(ibb_json_get(op, "after"), type, &data, &equal, w->err);
	if (!r && !equal)
		differs(w, "registry", where, "has another type or other data");
	return r;
}

static void verify_hives(struct verify *w)
{
	for (int i = 0; i < IBB_N_HIVES; i++) {
		const struct ibb_fact_hive *fh = &w->f->hives[i];

		if (!fh->present)
			differs(w, "hive", ibb_hive_id_name(i), "missing");
		else if (!fh->hive)
			differs(w, "hive", fh->path, "cannot be read: %s", fh->problem.msg);
	}
}

int ibb_manifest_verify(const struct ibb_json *m, const struct ibb_identity *id,
			const struct ibb_facts *f, struct ibb_volume *v,
			const struct ibb_verify_options *o, struct ibb_jb *b, struct ibb_json *obj,
			size_t *ret_differences, struct ibb_error *err)
{
	struct ibb_json *checked = ibb_jb_object(b, obj, "checked");
	struct verify w = {.f = f, .v = v, .o = o, .b = b, .err = err};
	int r;

	w.list = ibb_jb_array(b, obj, "differences");
	ibb_jb_int(b, checked, "files", (int64_t)ibb_json_count(ibb_json_get(m, "files")));
	ibb_jb_int(b, checked, "operations",
		   (int64_t)ibb_json_count(ibb_json_get(m, "operations")));
	r = id ? verify_identity(&w, m, id) : IBB_OK;
	verify_hives(&w);
	ibb_json_foreach (file, ibb_json_get(m, "files")) {
		if (!r)
			r = verify_file(&w, file);
	}
	ibb_json_foreach (op, ibb_json_get(m, "operations")) {
		if (!r)
			r = verify_op(&w, op);
	}
	if (!r)
		*ret_differences = w.n;
	return r;
}
