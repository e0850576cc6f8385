/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/le.h"
#include "base/utf16.h"

struct ibb_hive *ibb_pb_hive(const struct ibb_pb *b, enum ibb_hive_id hive)
{
	return b->f->hives[hive].hive;
}

char *ibb_pb_fmt(struct ibb_pb *b, const char *format, ...)
{
	char text[2 * IBB_LIMIT_PATH_CHARS];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return n < 0 ? NULL : ibb_arena_strndup(&b->plan->arena, text, strlen(text));
}

struct ibb_op *ibb_pb_op(struct ibb_pb *b, enum ibb_op_kind kind)
{
	struct ibb_plan *p = b->plan;
	struct ibb_op *op;

	if (ibb_grow(&p->ops, &p->cap_ops, p->n_ops, sizeof(*p->ops))) {
		(void)ibb_err_nomem(b->err);
		return NULL;
	}
	op = &p->ops[p->n_ops++];
	*op = (struct ibb_op){.kind = kind};
	return op;
}

int ibb_pb_finish(struct ibb_pb *b, const struct ibb_op *op)
{
	bool on_key = op->kind == IBB_OP_KEY || op->kind == IBB_OP_VALUE ||
		      op->kind == IBB_OP_UNSET || op->kind == IBB_OP_DELETE_KEY;

	if (!op->reason || !op->evidence || (on_key ? !op->key : !op->path) ||
	    (op->kind == IBB_OP_VALUE && (!op->value || (op->data.len && !op->data.data))))
		return ibb_err_nomem(b->err);
	return IBB_OK;
}

/* Bytes of the parent's path and its backslash, 0 for a key of one component. */
static size_t parent_len(const char *key)
{
	const char *end = strrchr(key, '\\');

	return end ? (size_t)(end - key) + 1 : 0;
}

/* Elsewhere Windows leaves new keys what they inherit. */
static bool in_database(const char *key)
{
	size_t n = strlen(IBB_DATABASE);

	return strncasecmp(key, IBB_DATABASE, n) == 0 && (!key[n] || key[n] == '\\');
}

/*
 * Below a package's key, Properties and what lies below it have descriptors of their own: full
 * control for SYSTEM, nobody else; Properties itself does not inherit (three real hives, 1709 to
 * 19041). O:SYG:SYD:P(A;CI;KA;;;SY) and the same without P.
 */
#define PROPERTY_SD(control_high)                                                                 \
	{                                                                                         \
		1, 0, 4, control_high, 48, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0,            \
			0, /* ACL: one entry: allow, container inherit, KEY_ALL_ACCESS, S-1-5-18  \
			    */                                                                    \
			2, 0, 28, 0, 1, 0, 0, 0, 0, 2, 20, 0, 0x3f, 0, 0x0f, 0, 1, 1, 0, 0, 0, 0, \
			0, 5, 18, 0, 0, 0, /* owner and group S-1-5-18 */ 1, 1, 0, 0, 0, 0, 0, 5, \
			18, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0                          \
	}
static struct ibb_bytes property_security(const char *key)
{
	static const uint8_t protected[] = PROPERTY_SD(0x90), inheriting[] = PROPERTY_SD(0x80);
	static const char packages[] = IBB_DATABASE "\\DriverPackages\\";
	const char *p;

	if (strncasecmp(key, packages, sizeof(packages) - 1) != 0)
		return (struct ibb_bytes){0};
	p = strchr(key + sizeof(packages) - 1, '\\');
	if (!p || strncasecmp(p, "\\Properties", 11) != 0 || (p[11] && p[11] != '\\'))
		return (struct ibb_bytes){0};
	return p[11] ? (struct ibb_bytes){inheriting, sizeof(inheriting)}
		     : (struct ibb_bytes){protected, sizeof(protected)};
}

static int add_key(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, size_t len,
		   const char *reason, const char *evidence)
{
	const char *prefix = ibb_arena_strndup(&b->plan->arena, key, len);
	struct ibb_op *op;
	bool had;
	int r;

	if (!prefix)
		return ibb_err_nomem(b->err);
	r = ibb_keyset_add(&b->made[hive], prefix, &had, b->err);
	if (r || had)
		return r;
	op = ibb_pb_op(b, IBB_OP_KEY);
	if (!op)
		return IBB_E_NOMEM;
	op->hive = hive;
	op->key = prefix;
	op->reason = reason;
	op->evidence = evidence;
	op->like_parent = !in_database(prefix);
	op->sd = property_security(prefix);
	b->plan->security[hive].needed |= !op->like_parent && !op->sd.len;
	b->plan->registry_bytes += 128 + 2 * (len - parent_len(prefix));
	return IBB_OK;
}

/*
 * A KEY operation for every key on the way that neither the hive nor the plan has. *ret is the key
 * in the hive, 0 when it is not there. `key` lives as long as the plan.
 */
static int need_key(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *reason,
		    const char *evidence, ibb_key *ret)
{
	struct ibb_hive *h = ibb_pb_hive(b, hive);
	const char *last = b->last[hive].key, *s = key;
	size_t parent = parent_len(key);
	ibb_key at = ibb_hive_root(h);

	if (last && parent && parent == parent_len(last) && memcmp(last, key, parent) == 0) {
		at = b->last[hive].at;
		s += parent;
	}
	while (*s) {
		size_t n = strcspn(s, "\\");
		int r = IBB_OK;

		if (at && (size_t)(s - key) == parent) {
			b->last[hive].key = key;
			b->last[hive].at = at;
		}
		if (at) {
			IBB_AUTO_FREE char *name = ibb_strndup(s, n);

			if (!name)
				return ibb_err_nomem(b->err);
			r = ibb_hive_find(h, at, name, &at, b->err);
			if (r && r != IBB_E_NOTFOUND)
				return r;
			at = r ? 0 : at;
		}
		r = at ? IBB_OK : add_key(b, hive, key, (size_t)(s - key) + n, reason, evidence);
		if (r)
			return r;
		s += n + (s[n] == '\\');
	}
	*ret = at;
	return IBB_OK;
}

static int read_before(struct ibb_pb *b, struct ibb_op *op, ibb_key k)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint8_t *copy;
	int r;

	if (!k)
		return IBB_OK;
	r = ibb_hive_get(ibb_pb_hive(b, op->hive), k, op->value, &op->before_type, &data, b->err);
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	copy = ibb_arena_alloc(&b->plan->arena, data.len);
	if (!copy)
		return ibb_err_nomem(b->err);
	if (data.len)
		memcpy(copy, data.data, data.len);
	op->had_before = true;
	op->before = (struct ibb_bytes){copy, data.len};
	return IBB_OK;
}

/* A value; nothing when the hive holds just that already. */
int ibb_pb_value(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		 uint32_t type, const void *data, size_t n, const char *reason,
		 const char *evidence)
{
	uint8_t *copy = ibb_arena_alloc(&b->plan->arena, n);
	struct ibb_op *op;
	ibb_key k = 0;
	int r;

	if (!copy || !key)
		return ibb_err_nomem(b->err);
	if (n)
		memcpy(copy, data, n);
	r = need_key(b, hive, key, reason, evidence, &k);
	if (r)
		return r;
	op = ibb_pb_op(b, IBB_OP_VALUE);
	if (!op)
		return IBB_E_NOMEM;
	op->hive = hive;
	op->key = key;
	op->value = value;
	op->type = type;
	op->data = (struct ibb_bytes){copy, n};
	op->reason = reason;
	op->evidence = evidence;
	b->plan->registry_bytes += 64 + n;
	r = ibb_pb_finish(b, op);
	if (!r)
		r = read_before(b, op, k);
	if (!r && op->had_before && op->before_type == type && op->before.len == n &&
	    (!n || memcmp(op->before.data, data, n) == 0))
		b->plan->n_ops--;
	return r;
}

int ibb_pb_string(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		  uint32_t type, const char *text, const char *reason, const char *evidence)
{
	IBB_AUTO_BUF struct ibb_buf u = {0};
	int r = text ? ibb_utf16le_append(&u, text) : IBB_E_NOMEM;

	/* REG_SZ ends with one NUL, REG_MULTI_SZ with two */
	if (!r)
		r = ibb_buf_append_zero(&u, type == IBB_REG_MULTI_SZ ? 4 : 2);
	if (r)
		return ibb_err(b->err, r, "value %s of %s cannot be written as UTF-16", value, key);
	return ibb_pb_value(b, hive, key, value, type, u.data, u.len, reason, evidence);
}

int ibb_pb_dword(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		 uint32_t v, const char *reason, const char *evidence)
{
	uint8_t d[4];

	ibb_put_le32(d, v);
	return ibb_pb_value(b, hive, key, value, IBB_REG_DWORD, d, 4, reason, evidence);
}

int ibb_pb_filetime(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
		    const char *reason)
{
	uint8_t d[8];

	ibb_put_le64(d, b->plan->time);
	return ibb_pb_value(b, hive, key, value, IBB_REG_BINARY, d, 8, reason, "time of this run");
}

int ibb_pb_unset(struct ibb_pb *b, enum ibb_hive_id hive, const char *key,
		 const struct ibb_value *v, const char *reason)
{
	struct ibb_op *op = ibb_pb_op(b, IBB_OP_UNSET);
	uint8_t *copy = ibb_arena_alloc(&b->plan->arena, v->size);

	if (!op || !copy)
		return ibb_err_nomem(b->err);
	if (v->size)
		memcpy(copy, v->data, v->size);
	op->hive = hive;
	op->key = key;
	op->value = ibb_arena_strdup(&b->plan->arena, v->name);
	op->had_before = true;
	op->before_type = v->type;
	op->before = (struct ibb_bytes){copy, v->size};
	op->reason = reason;
	op->evidence = "recorded for the package";
	return op->value ? ibb_pb_finish(b, op) : ibb_err_nomem(b->err);
}

int ibb_pb_key(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *reason,
	       const char *evidence)
{
	ibb_key k;

	return key ? need_key(b, hive, key, reason, evidence, &k) : ibb_err_nomem(b->err);
}

int ibb_pb_get(struct ibb_pb *b, enum ibb_hive_id hive, const char *key, const char *value,
	       uint32_t *ret_type, struct ibb_buf *ret)
{
	struct ibb_hive *h = ibb_pb_hive(b, hive);
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), key, &k, b->err);

	return r ? r : ibb_hive_get(h, k, value, ret_type, ret, b->err);
}

int ibb_pb_warn(struct ibb_pb *b, const char *format, ...)
{
	struct ibb_plan *p = b->plan;
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0 || ibb_grow(&p->warnings, &p->cap_warnings, p->n_warnings, sizeof(*p->warnings)))
		return ibb_err_nomem(b->err);
	p->warnings[p->n_warnings] = ibb_arena_strdup(&p->arena, text);
	return p->warnings[p->n_warnings] ? (p->n_warnings++, IBB_OK) : ibb_err_nomem(b->err);
}
