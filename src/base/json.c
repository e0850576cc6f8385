/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json_syntax.h"
#include "base/limits.h"
#include "base/utf16.h"

static const cJSON *in(const struct ibb_json *j)
{
	return (const cJSON *)j;
}

static struct ibb_json *out(cJSON *j)
{
	return (struct ibb_json *)j;
}

static void position(const char *text, size_t at, unsigned *line, unsigned *col)
{
	*line = 1;
	*col = 1;
	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n') {
			(*line)++;
			*col = 1;
		} else {
			(*col)++;
		}
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

#define FEW_MEMBERS 16

static int check_object(const char *name, const cJSON *j, struct ibb_error *err)
{
	const char *few[FEW_MEMBERS], **keys = few;
	size_t n = 0, i = 0;
	IBB_AUTO_FREE const char **many = NULL;

	for (const cJSON *c = j->child; c; c = c->next)
		n++;
	if (n > FEW_MEMBERS) {
		many = ibb_calloc_array(n, sizeof(*many));
		if (!many)
			return ibb_err_nomem(err);
		keys = many;
	}
	for (const cJSON *c = j->child; c; c = c->next)
		keys[i++] = c->string;
	qsort(keys, n, sizeof(*keys), by_name);
	for (i = 1; i < n; i++)
		if (strcmp(keys[i - 1], keys[i]) == 0)
			return ibb_err(err, IBB_E_CORRUPT, "%s: the member \"%s\" stands twice",
				       name, keys[i]);
	return IBB_OK;
}

static int check_tree(const char *name, const cJSON *j, struct ibb_error *err)
{
	int r = cJSON_IsObject(j) ? check_object(name, j, err) : IBB_OK;

	if (!cJSON_IsObject(j) && !cJSON_IsArray(j))
		return IBB_OK;
	for (const cJSON *c = j->child; c && !r; c = c->next)
		r = check_tree(name, c, err);
	return r;
}

int ibb_json_parse(const char *name, const void *text, size_t n, struct ibb_json **ret,
		   struct ibb_error *err)
{
	const char *s = n ? text : "", *why = NULL;
	IBB_AUTO_FREE char *copy = NULL;
	unsigned line, col;
	size_t at = 0;
	cJSON *j;
	int r;

	if (n > IBB_LIMIT_JSON_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "%s: %zu bytes is more than a JSON file may have",
			       name, n);
	if (!ibb_utf8_valid(s, n))
		return ibb_err(err, IBB_E_CORRUPT, "%s: not UTF-8", name);
	r = ibb_json_syntax(s, n, &why, &at);
	if (r) {
		position(s, at, &line, &col);
		return ibb_err(err, r, "%s:%u:%u: not valid JSON: %s", name, line, col, why);
	}
	copy = ibb_strndup(s, n);
	j = copy ? cJSON_ParseWithOpts(copy, NULL, 1) : NULL;
	if (!j)
		return ibb_err_nomem(err);
	r = check_tree(name, j, err);
	if (r) {
		cJSON_Delete(j);
		return r;
	}
	*ret = out(j);
	return IBB_OK;
}

void ibb_json_free(struct ibb_json *j)
{
	cJSON_Delete((cJSON *)j);
}

bool ibb_json_is_object(const struct ibb_json *j)
{
	return cJSON_IsObject(in(j));
}

bool ibb_json_is_array(const struct ibb_json *j)
{
	return cJSON_IsArray(in(j));
}

bool ibb_json_is_string(const struct ibb_json *j)
{
	return cJSON_IsString(in(j));
}

bool ibb_json_is_number(const struct ibb_json *j)
{
	return cJSON_IsNumber(in(j));
}

bool ibb_json_is_bool(const struct ibb_json *j)
{
	return cJSON_IsBool(in(j));
}

bool ibb_json_is_null(const struct ibb_json *j)
{
	return cJSON_IsNull(in(j));
}

const struct ibb_json *ibb_json_get(const struct ibb_json *obj, const char *key)
{
	if (!ibb_json_is_object(obj))
		return NULL;
	return out(cJSON_GetObjectItemCaseSensitive(in(obj), key));
}

const char *ibb_json_value_str(const struct ibb_json *j)
{
	return ibb_json_is_string(j) ? in(j)->valuestring : NULL;
}

const char *ibb_json_str(const struct ibb_json *obj, const char *key)
{
	return ibb_json_value_str(ibb_json_get(obj, key));
}

bool ibb_json_value_int(const struct ibb_json *j, int64_t min, int64_t max, int64_t *ret)
{
	double d;

	if (!ibb_json_is_number(j))
		return false;
	d = in(j)->valuedouble;
	if (!(fabs(d) <= 9007199254740991.0) || d != floor(d))
		return false;
	if ((int64_t)d < min || (int64_t)d > max)
		return false;
	*ret = (int64_t)d;
	return true;
}

bool ibb_json_int(const struct ibb_json *obj, const char *key, int64_t min, int64_t max,
		  int64_t *ret)
{
	return ibb_json_value_int(ibb_json_get(obj, key), min, max, ret);
}

bool ibb_json_bool(const struct ibb_json *obj, const char *key, bool dflt)
{
	const struct ibb_json *j = ibb_json_get(obj, key);

	return ibb_json_is_bool(j) ? cJSON_IsTrue(in(j)) : dflt;
}

bool ibb_json_value_bool(const struct ibb_json *j)
{
	return cJSON_IsTrue(in(j));
}

size_t ibb_json_count(const struct ibb_json *j)
{
	return ibb_json_is_array(j) || ibb_json_is_object(j) ? (size_t)cJSON_GetArraySize(in(j))
							     : 0;
}

const struct ibb_json *ibb_json_first(const struct ibb_json *j)
{
	return ibb_json_is_array(j) || ibb_json_is_object(j) ? out(in(j)->child) : NULL;
}

const struct ibb_json *ibb_json_next(const struct ibb_json *j)
{
	return out(in(j)->next);
}

const char *ibb_json_key(const struct ibb_json *j)
{
	return j ? in(j)->string : NULL;
}

static struct ibb_json *attach(struct ibb_jb *b, struct ibb_json *parent, const char *key,
			       cJSON *item)
{
	bool ok;

	if (!item) {
		b->rc = IBB_E_NOMEM;
		return NULL;
	}
	if (!b->rc && !parent && b->root)
		b->rc = IBB_E_INTERNAL; /* a second root: the caller lost a parent */
	if (b->rc) {
		cJSON_Delete(item);
		return NULL;
	}
	if (!parent) {
		b->root = out(item);
		return b->root;
	}
	if (key)
		ok = cJSON_AddItemToObject((cJSON *)parent, key, item);
	else
		ok = cJSON_AddItemToArray((cJSON *)parent, item);
	if (!ok) {
		cJSON_Delete(item);
		b->rc = IBB_E_NOMEM;
		return NULL;
	}
	return out(item);
}

struct ibb_json *ibb_jb_object(struct ibb_jb *b, struct ibb_json *parent, const char *key)
{
	return attach(b, parent, key, cJSON_CreateObject());
}

struct ibb_json *ibb_jb_array(struct ibb_jb *b, struct ibb_json *parent, const char *key)
{
	return attach(b, parent, key, cJSON_CreateArray());
}

/* Replace what is not UTF-8; unpaired surrogates are not allowed in JSON text either. */
static char *sanitize(const char *s)
{
	struct ibb_buf o = {0};
	size_t left = strlen(s);
	int r = ibb_buf_reserve(&o, left + 1);

	for (size_t i = 0; i < left && !r;) {
		unsigned char lead = (unsigned char)s[i];
		size_t n = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
		bool whole = n <= left - i && ibb_utf8_valid(s + i, n);

		if (whole && !(lead == 0xed && (unsigned char)s[i + 1] >= 0xa0))
			r = ibb_buf_append(&o, s + i, n);
		else
			r = ibb_buf_append(&o, "\xef\xbf\xbd", 3);
		n = whole ? n : 1;
		i += n;
	}
	if (r) {
		ibb_buf_clear(&o);
		return NULL;
	}
	return ibb_buf_take_str(&o);
}

static bool is_ascii(const char *s)
{
	while ((signed char)*s > 0)
		s++;
	return !*s;
}

void ibb_jb_str(struct ibb_jb *b, struct ibb_json *parent, const char *key, const char *value)
{
	IBB_AUTO_FREE char *clean = NULL;

	if (!value) {
		ibb_jb_null(b, parent, key);
		return;
	}
	if (is_ascii(value)) {
		attach(b, parent, key, cJSON_CreateString(value));
		return;
	}
	clean = sanitize(value);
	attach(b, parent, key, clean ? cJSON_CreateString(clean) : NULL);
}

void ibb_jb_fmt(struct ibb_jb *b, struct ibb_json *parent, const char *key, const char *fmt, ...)
{
	struct ibb_buf s = {0};
	char tmp[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(tmp, sizeof(tmp), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(tmp)) {
		ibb_jb_str(b, parent, key, tmp);
		return;
	}
	if (n < 0 || ibb_buf_reserve(&s, (size_t)n + 1)) {
		b->rc = IBB_E_NOMEM;
		return;
	}
	va_start(ap, fmt);
	vsnprintf((char *)s.data, s.cap, fmt, ap);
	va_end(ap);
	ibb_jb_str(b, parent, key, (char *)s.data);
	ibb_buf_clear(&s);
}

void ibb_jb_int(struct ibb_jb *b, struct ibb_json *parent, const char *key, int64_t value)
{
	char text[24];

	if (value > -1000000000000000 && value < 1000000000000000) {
		attach(b, parent, key, cJSON_CreateNumber((double)value));
		return;
	}
	/* cJSON prints doubles, with an exponent from 1e15 on */
	snprintf(text, sizeof(text), "%lld", (long long)value);
	attach(b, parent, key, cJSON_CreateRaw(text));
}

void ibb_jb_bool(struct ibb_jb *b, struct ibb_json *parent, const char *key, bool value)
{
	attach(b, parent, key, cJSON_CreateBool(value));
}

void ibb_jb_null(struct ibb_jb *b, struct ibb_json *parent, const char *key)
{
	attach(b, parent, key, cJSON_CreateNull());
}

void ibb_jb_u64(struct ibb_jb *b, struct ibb_json *parent, const char *key, uint64_t value)
{
	ibb_jb_fmt(b, parent, key, "%llu", (unsigned long long)value);
}

void ibb_jb_hex(struct ibb_jb *b, struct ibb_json *parent, const char *key, const void *p, size_t n)
{
	IBB_AUTO_FREE char *s = n > SIZE_MAX / 4 ? NULL : ibb_alloc(2 * n + 1);

	if (!s) {
		b->rc = IBB_E_NOMEM;
		return;
	}
	ibb_hex(p, n, s);
	attach(b, parent, key, cJSON_CreateString(s));
}

void ibb_jb_copy(struct ibb_jb *b, struct ibb_json *parent, const char *key,
		 const struct ibb_json *value)
{
	attach(b, parent, key, value ? cJSON_Duplicate(in(value), 1) : cJSON_CreateNull());
}

int ibb_jb_done(struct ibb_jb *b, struct ibb_json **ret, struct ibb_error *err)
{
	if (b->rc || !b->root) {
		ibb_jb_clear(b);
		if (b->rc == IBB_E_NOMEM)
			return ibb_err_nomem(err);
		return ibb_err(err, IBB_E_INTERNAL, "JSON: a document has one root");
	}
	*ret = b->root;
	b->root = NULL;
	return IBB_OK;
}

void ibb_jb_clear(struct ibb_jb *b)
{
	ibb_json_free(b->root);
	b->root = NULL;
}

int ibb_json_print(const struct ibb_json *j, struct ibb_buf *o, struct ibb_error *err)
{
	char *s = cJSON_Print(in(j));
	int r;

	if (!s)
		return ibb_err_nomem(err);
	r = ibb_buf_append(o, s, strlen(s));
	if (!r)
		r = ibb_buf_append(o, "\n", 1);
	free(s);
	return r ? ibb_err_nomem(err) : IBB_OK;
}
