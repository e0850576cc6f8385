/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "catalog/read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"

#define PATH_SIZE 192

static void *at(void *item, size_t off)
{
	return (char *)item + off;
}

static void put_str(void *item, size_t off, const char *s)
{
	memcpy(at(item, off), &s, sizeof(s));
}

int cat_fault(struct cat_reader *r, const char *path, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return ibb_err(r->err, IBB_E_CORRUPT, "%s: %s: %s", r->name, path, what);
}

/* Text ends up in one-line messages: no control characters, and never empty. */
static int check_text(struct cat_reader *r, const char *path, const struct ibb_json *j,
		      const char **ret)
{
	const char *s = ibb_json_value_str(j);

	if (!s)
		return cat_fault(r, path, "must be a string");
	if (!*s)
		return cat_fault(r, path, "is empty");
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return cat_fault(r, path, "holds a control character");
	*ret = s;
	return IBB_OK;
}

static bool digits(const char *s, size_t n, unsigned *ret)
{
	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		*ret = *ret * 10 + (unsigned)(s[i] - '0');
	}
	return true;
}

static bool is_date(const char *s)
{
	static const unsigned days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	size_t n = strlen(s);
	unsigned y, m = 1, d = 1;

	if (n != 4 && n != 7 && n != 10)
		return false;
	if (!digits(s, 4, &y) || y < 1990 || y > 2199)
		return false;
	if (n >= 7 && (s[4] != '-' || !digits(s + 5, 2, &m)))
		return false;
	if (n == 10 && (s[7] != '-' || !digits(s + 8, 2, &d)))
		return false;
	if (m < 1 || m > 12 || d < 1 || d > days[m - 1])
		return false;
	return m != 2 || d != 29 || (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
}

static bool is_url(const char *s)
{
	const char *host = strncmp(s, "https://", 8) == 0  ? s + 8
			   : strncmp(s, "http://", 7) == 0 ? s + 7
							   : NULL;

	return host && *host && *host != '/' && !strchr(s, ' ');
}

static int check_word(struct cat_reader *r, const char *path, const struct cat_field *f,
		      const char *s)
{
	char known[256] = "";

	for (const char *const *w = f->words; *w; w++) {
		size_t len = strlen(known);

		if (strcmp(*w, s) == 0)
			return IBB_OK;
		snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "", *w);
	}
	return cat_fault(r, path, "'%s' is none of %s", s, known);
}

static int read_text(struct cat_reader *r, const char *path, const struct ibb_json *j,
		     const struct cat_field *f, void *item)
{
	struct ibb_sha256 digest;
	const char *s = NULL;
	int rc = check_text(r, path, j, &s);

	if (rc)
		return rc;
	if (f->type == CAT_T_WORD)
		rc = check_word(r, path, f, s);
	else if (f->type == CAT_T_DATE && !is_date(s))
		rc = cat_fault(r, path, "'%s' is not a date (YYYY, YYYY-MM or YYYY-MM-DD)", s);
	else if (f->type == CAT_T_URL && !is_url(s))
		rc = cat_fault(r, path, "'%s' is not a URL with http or https", s);
	else if (f->type == CAT_T_SHA256 && !ibb_sha256_parse(s, &digest))
		rc = cat_fault(r, path, "'%s' is not a SHA-256 of 64 hex digits", s);
	if (!rc)
		put_str(item, f->off, s);
	return rc;
}

static int find_ref(struct cat_reader *r, const char *path, const struct ibb_json *j,
		    enum cat_kind kind, const void **ret)
{
	const char *s = NULL;
	const void *rec;
	int rc = check_text(r, path, j, &s);

	if (rc)
		return rc;
	rec = cat_lookup(r->c, kind, s);
	/* cat_lookup() ignores case for the command line's sake; the file itself is exact */
	if (!rec || strcmp(*(const char *const *)rec, s) != 0)
		return cat_fault(r, path, "no %s named '%s'", cat_lists[kind].what, s);
	*ret = rec;
	return IBB_OK;
}

/* STRINGS and REFS: both are arrays of pointers. */
static int read_list(struct cat_reader *r, const char *path, const struct ibb_json *j,
		     const struct cat_field *f, void *item)
{
	size_t n = ibb_json_count(j), i = 0;
	char sub[PATH_SIZE];
	const void **v;

	if (!ibb_json_is_array(j))
		return cat_fault(r, path, "must be a list");
	if (n > IBB_LIMIT_CATALOG_ENTRIES)
		return ibb_err(r->err, IBB_E_LIMIT, "%s: %s: %zu entries are too many", r->name,
			       path, n);
	if (!n && (f->flags & CAT_NONEMPTY))
		return cat_fault(r, path, "is empty");
	v = ibb_arena_array(&r->c->arena, n, sizeof(*v));
	if (!v)
		return ibb_err_nomem(r->err);
	ibb_json_foreach (it, j) {
		const char *s = NULL;
		int rc;

		snprintf(sub, sizeof(sub), "%s[%zu]", path, i);
		if (f->type == CAT_T_REFS) {
			rc = find_ref(r, sub, it, f->kind, &v[i]);
		} else {
			rc = check_text(r, sub, it, &s);
			v[i] = s;
		}
		if (rc)
			return rc;
		for (size_t k = 0; k < i; k++)
			if (v[k] == v[i] || (s && strcmp(v[k], s) == 0))
				return cat_fault(r, sub, "stands twice");
		i++;
	}
	memcpy(at(item, f->off), &v, sizeof(v));
	memcpy(at(item, f->off_n), &n, sizeof(n));
	return IBB_OK;
}

static int read_generations(struct cat_reader *r, const char *path, const struct ibb_json *j,
			    const struct cat_field *f, void *item)
{
	bool gen[2] = {false, false};

	if (!ibb_json_is_array(j))
		return cat_fault(r, path, "must be a list");
	ibb_json_foreach (it, j) {
		int64_t g;

		if (!ibb_json_value_int(it, 1, 2, &g))
			return cat_fault(r, path, "a generation is 1 or 2");
		if (gen[g - 1])
			return cat_fault(r, path, "%d stands twice", (int)g);
		gen[g - 1] = true;
	}
	memcpy(at(item, f->off), &gen[0], sizeof(bool));
	memcpy(at(item, f->off_n), &gen[1], sizeof(bool));
	return IBB_OK;
}

/* The range as written: by names of the windows list. */
struct range_text {
	const char *product, *arch;
	const struct cat_windows *only, *from, *to, *before;
};

static const char *const products[] = {"client", "server", NULL};
static const char *const arches[] = {"x64", "x86", "arm64", NULL};

#define RANGE_REF(m)                                                                             \
	{                                                                                        \
#m, CAT_T_REF, CAT_OPT, offsetof(struct range_text, m), 0, CAT_WINDOWS, NULL, 0, \
			0, NULL                                                                  \
	}
static const struct cat_field range_fields[] = {
	{"product", CAT_T_WORD, CAT_OPT, offsetof(struct range_text, product), 0, 0, products, 0, 0,
	 NULL},
	{"arch", CAT_T_WORD, CAT_OPT, offsetof(struct range_text, arch), 0, 0, arches, 0, 0, NULL},
	RANGE_REF(only),
	RANGE_REF(from),
	RANGE_REF(to),
	RANGE_REF(before),
};

static int read_range(struct cat_reader *r, const char *path, const struct ibb_json *j,
		      const struct cat_field *f, void *item)
{
	struct cat_range range = {0, UINT32_MAX, NULL, NULL};
	struct range_text t = {0};
	int rc;

	rc = cat_read_record(r, path, j, range_fields, IBB_ARRAY_SIZE(range_fields), &t);
	if (rc)
		return rc;
	if (!ibb_json_count(j))
		return cat_fault(r, path, "is empty: leave it out when every Windows is meant");
	if (t.only && (t.from || t.to || t.before))
		return cat_fault(r, path, "'only' stands alone");
	if (t.to && t.before)
		return cat_fault(r, path, "either 'to' or 'before', not both");
	range.product = t.product;
	range.arch = t.arch;
	if (t.only)
		range.min_build = range.max_build = t.only->build;
	if (t.from)
		range.min_build = t.from->build;
	if (t.to)
		range.max_build = t.to->build;
	if (t.before)
		range.max_build = t.before->build - 1;
	if (range.min_build > range.max_build)
		return cat_fault(r, path, "covers no Windows");
	memcpy(at(item, f->off), &range, sizeof(range));
	return IBB_OK;
}

/* Objects inside a record, in an array of their own. */
static int read_records(struct cat_reader *r, const char *path, const struct ibb_json *j,
			const struct cat_field *f, void *item)
{
	size_t n = ibb_json_count(j), i = 0;
	char sub[PATH_SIZE];
	char *v;

	if (!ibb_json_is_array(j))
		return cat_fault(r, path, "must be a list");
	if (n > IBB_LIMIT_CATALOG_ENTRIES)
		return ibb_err(r->err, IBB_E_LIMIT, "%s: %s: %zu entries are too many", r->name,
			       path, n);
	v = ibb_arena_array(&r->c->arena, n, f->sub->size);
	if (!v)
		return ibb_err_nomem(r->err);
	memset(v, 0, n * f->sub->size);
	ibb_json_foreach (it, j) {
		int rc;

		snprintf(sub, sizeof(sub), "%s[%zu]", path, i);
		rc = cat_read_record(r, sub, it, f->sub->fields, f->sub->n_fields,
				     v + i * f->sub->size);
		if (rc)
			return rc;
		i++;
	}
	memcpy(at(item, f->off), &v, sizeof(v));
	memcpy(at(item, f->off_n), &n, sizeof(n));
	return IBB_OK;
}

int cat_read_field(struct cat_reader *r, const char *path, const struct ibb_json *j,
		   const struct cat_field *f, void *item)
{
	const void *rec = NULL;
	int64_t number;
	unsigned u;
	bool b;
	int rc;

	switch (f->type) {
	case CAT_T_STR:
	case CAT_T_WORD:
	case CAT_T_DATE:
	case CAT_T_URL:
	case CAT_T_SHA256:
		return read_text(r, path, j, f, item);
	case CAT_T_UINT:
		if (!ibb_json_value_int(j, f->min, f->max, &number))
			return cat_fault(r, path, "must be a whole number from %u to %u", f->min,
					 f->max);
		u = (unsigned)number;
		memcpy(at(item, f->off), &u, sizeof(u));
		return IBB_OK;
	case CAT_T_BOOL:
		if (!ibb_json_is_bool(j))
			return cat_fault(r, path, "must be true or false");
		b = ibb_json_value_bool(j);
		memcpy(at(item, f->off), &b, sizeof(b));
		return IBB_OK;
	case CAT_T_STRINGS:
	case CAT_T_REFS:
		return read_list(r, path, j, f, item);
	case CAT_T_REF:
		rc = find_ref(r, path, j, f->kind, &rec);
		if (!rc)
			memcpy(at(item, f->off), &rec, sizeof(rec));
		return rc;
	case CAT_T_RANGE:
		return read_range(r, path, j, f, item);
	case CAT_T_GENS:
		return read_generations(r, path, j, f, item);
	case CAT_T_RECORDS:
		return read_records(r, path, j, f, item);
	}
	return ibb_err(r->err, IBB_E_INTERNAL, "%s: %s: unknown field type", r->name, path);
}

static int check_members(struct cat_reader *r, const char *path, const struct ibb_json *j,
			 const struct cat_field *fields, size_t n)
{
	ibb_json_foreach (it, j) {
		const char *key = ibb_json_key(it);
		size_t i = 0;

		while (i < n && strcmp(fields[i].key, key) != 0)
			i++;
		if (i == n)
			return cat_fault(r, path, "unknown member '%s'", key);
	}
	return IBB_OK;
}

int cat_read_record(struct cat_reader *r, const char *path, const struct ibb_json *j,
		    const struct cat_field *fields, size_t n, void *item)
{
	char sub[PATH_SIZE];
	int rc;

	if (!ibb_json_is_object(j))
		return cat_fault(r, path, "must be an object");
	rc = check_members(r, path, j, fields, n);
	for (size_t i = 0; i < n && !rc; i++) {
		const struct cat_field *f = &fields[i];
		const struct ibb_json *v = ibb_json_get(j, f->key);

		snprintf(sub, sizeof(sub), "%s.%s", path, f->key);
		if (!v && !(f->flags & CAT_OPT))
			rc = cat_fault(r, sub, "is missing");
		else if (v && !(ibb_json_is_null(v) && (f->flags & CAT_NULL)))
			rc = cat_read_field(r, sub, v, f, item);
	}
	return rc;
}
