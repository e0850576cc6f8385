/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What bundle.json says besides its list of files. Nobody has to have signed it: it is shown, so it
 * has to be of the form that bundle.schema.json has, and to speak of files that are there.
 */
#include <stdlib.h>
#include <string.h>

#include "api/bundle.h"
#include "authenticode/trust.h"

struct about {
	const char *name; /* of the bundle */
	const char **paths;
	size_t n_paths;
	struct ibb_error *err;
};

static int bad(const struct about *a, const char *part, const char *what)
{
	return ibb_err(a->err, IBB_E_CORRUPT, "%s: bundle.json: \"%s\" %s", a->name, part, what);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_there(const struct about *a, const char *path)
{
	return bsearch(&path, a->paths, a->n_paths, sizeof(*a->paths), compare) != NULL;
}

/* ---- members ---- */

enum kind { TEXT = 1, TEXT_OR_NULL, DIGEST, FLAG, LIST, PATH, VERDICT };
struct member {
	const char *name;
	enum kind kind;
};

static bool is_verdict(const char *s)
{
	for (int v = IBB_VERDICT_WHQL; v <= IBB_VERDICT_TAMPERED; v++)
		if (strcmp(ibb_verdict_name((enum ibb_verdict)v), s) == 0)
			return true;
	return false;
}

static bool fits(const struct about *a, const struct ibb_json *x, enum kind kind)
{
	const char *s = ibb_json_value_str(x);
	struct ibb_sha256 d;

	switch (kind) {
	case TEXT:
		return s != NULL;
	case TEXT_OR_NULL:
		return s || (x && ibb_json_is_null(x));
	case DIGEST:
		return s && ibb_sha256_parse(s, &d);
	case FLAG:
		return ibb_json_is_bool(x);
	case LIST:
		return ibb_json_is_array(x);
	case PATH:
		return s && is_there(a, s);
	case VERDICT:
		return s && is_verdict(s);
	}
	return false;
}

static int object(const struct about *a, const char *part, const struct ibb_json *o,
		  const struct member *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!fits(a, ibb_json_get(o, m[i].name), m[i].kind))
			return bad(a, part,
				   m[i].kind == PATH
					   ? "names a file that is not in the bundle"
					   : "lacks something, or has something of another form");
	return IBB_OK;
}

static int list(const struct about *a, const char *part, const struct ibb_json *l,
		const struct member *m, size_t n)
{
	int r = ibb_json_is_array(l) ? IBB_OK : bad(a, part, "is no list");

	ibb_json_foreach (o, l)
		if (!r)
			r = object(a, part, o, m, n);
	return r;
}

static int values(const struct about *a, const char *part, const struct ibb_json *l, enum kind kind)
{
	int r = ibb_json_is_array(l) ? IBB_OK : bad(a, part, "is no list");

	ibb_json_foreach (x, l)
		if (!r && !fits(a, x, kind))
			r = bad(a, part,
				kind == PATH ? "names a file that is not in the bundle"
					     : "has something that is no text");
	return r;
}

/* ---- parts ---- */

#define OBJECT(a, part, o, m)  object(a, part, o, m, IBB_ARRAY_SIZE(m))
#define LIST_OF(a, part, l, m) list(a, part, l, m, IBB_ARRAY_SIZE(m))

static int packages(const struct about *a, const struct ibb_json *l)
{
	static const struct member of[] = {{"inf", TEXT},
					   {"directory", TEXT},
					   {"provider", TEXT_OR_NULL},
					   {"version", TEXT},
					   {"targets", LIST}};
	static const struct member target[] = {{"windows", TEXT},
					       {"sha256", DIGEST},
					       {"verdict", VERDICT},
					       {"allowed", FLAG},
					       {"signer", TEXT_OR_NULL}};
	int r = LIST_OF(a, "packages", l, of);

	ibb_json_foreach (p, l) {
		IBB_AUTO_FREE char *path = NULL;

		if (r)
			return r;
		path = ibb_asprintf("%s/%s", ibb_json_str(p, "directory"), ibb_json_str(p, "inf"));
		if (!path)
			return ibb_err_nomem(a->err);
		if (!is_there(a, path))
			return bad(a, "packages", "names a file that is not in the bundle");
		r = LIST_OF(a, "packages", ibb_json_get(p, "targets"), target);
	}
	return r;
}

/* A bake loads all that lies there: it is to be what is said. */
static int catalog(const struct about *a, const struct ibb_json *o)
{
	static const struct member of[] = {{"as_of", TEXT}, {"sha256", DIGEST}, {"files", LIST}};
	const struct ibb_json *files = ibb_json_get(o, "files");
	size_t n = 0;
	int r = OBJECT(a, "catalog", o, of);

	if (!r)
		r = values(a, "catalog", files, PATH);
	ibb_json_foreach (x, files) {
		if (r)
			return r;
		for (; n < a->n_paths && strncmp(a->paths[n], "catalog/", 8) != 0; n++)
			;
		if (n == a->n_paths || strcmp(a->paths[n++], ibb_json_value_str(x)) != 0)
			return bad(a, "catalog", "does not name the files of catalog/ in order");
	}
	for (; n < a->n_paths && !r; n++)
		if (strncmp(a->paths[n], "catalog/", 8) == 0)
			r = bad(a, "catalog", "does not name all files of catalog/");
	return r;
}

static int lists(const struct about *a, const struct ibb_json *doc)
{
	static const struct member windows[] = {
		{"id", TEXT}, {"name", TEXT}, {"version", TEXT}, {"kind", TEXT}};
	static const struct member resolution[] = {{"size", TEXT},
						   {"windows", TEXT},
						   {"state", TEXT},
						   {"driver_set", TEXT},
						   {"package", PATH}};
	static const struct member companion[] = {
		{"path", PATH}, {"role", TEXT}, {"sha256", DIGEST}, {"signer", TEXT_OR_NULL}};
	static const struct member source[] = {
		{"name", TEXT}, {"sha256", DIGEST}, {"pinned", TEXT_OR_NULL}, {"insecure", FLAG}};
	int r = values(a, "sizes", ibb_json_get(doc, "sizes"), TEXT);

	if (!r)
		r = LIST_OF(a, "windows", ibb_json_get(doc, "windows"), windows);
	if (!r)
		r = catalog(a, ibb_json_get(doc, "catalog"));
	if (!r)
		r = LIST_OF(a, "resolutions", ibb_json_get(doc, "resolutions"), resolution);
	if (!r)
		r = packages(a, ibb_json_get(doc, "packages"));
	if (!r)
		r = LIST_OF(a, "companions", ibb_json_get(doc, "companions"), companion);
	if (!r)
		r = values(a, "crls", ibb_json_get(doc, "crls"), PATH);
	if (!r)
		r = LIST_OF(a, "sources", ibb_json_get(doc, "sources"), source);
	return r ? r : values(a, "warnings", ibb_json_get(doc, "warnings"), TEXT);
}

int ibb_bundle_about_check(const char *name, const struct ibb_json *doc, struct ibb_error *err)
{
	static const struct member tool[] = {{"name", TEXT}, {"version", TEXT}};
	const struct ibb_json *files = ibb_json_get(doc, "files");
	const char *trust = ibb_json_str(doc, "trust");
	IBB_AUTO_FREE const char **paths = ibb_calloc_array(ibb_json_count(files), sizeof(*paths));
	struct about a = {.name = name, .paths = paths, .err = err};
	int r;

	if (!paths)
		return ibb_err_nomem(err);
	ibb_json_foreach (f, files)
		paths[a.n_paths++] = ibb_json_str(f, "path");
	r = OBJECT(&a, "tool", ibb_json_get(doc, "tool"), tool);
	if (!r && !fits(&a, ibb_json_get(doc, "time"), TEXT_OR_NULL))
		r = bad(&a, "time", "is no text");
	if (!r && (!trust || (strcmp(trust, "verified") != 0 && strcmp(trust, "test trust") != 0 &&
			      strcmp(trust, "allowed") != 0)))
		r = bad(&a, "trust", "is none of verified, test trust, allowed");
	return r ? r : lists(&a, doc);
}
