/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "apply/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"

static bool same_value(uint32_t ta, struct ibb_bytes a, uint32_t tb, struct ibb_bytes b)
{
	return ta == tb && a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0);
}

static int check_before(const struct ibb_op *op, struct ibb_hive *h, ibb_key k,
			struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint32_t type = 0;
	int r = ibb_hive_get(h, k, op->value, &type, &data, err);
	bool as_planned;

	if (r && r != IBB_E_NOTFOUND)
		return r;
	as_planned = r ? !op->had_before
		       : op->had_before && same_value(type, ibb_buf_bytes(&data), op->before_type,
						      op->before);
	if (!as_planned)
		return ibb_err(err, IBB_E_CONFLICT,
			       "%s: value '%s' of %s is not what the plan was made for",
			       ibb_hive_name(h), op->value, op->key);
	return IBB_OK;
}

static int apply_key(const struct ibb_plan *p, const struct ibb_op *op, struct ibb_hive *h,
		     ibb_key *donor, struct ibb_error *err)
{
	const struct ibb_key_security_plan *s = &p->security[op->hive];
	bool own = op->sd.len != 0, like = !own && !op->like_parent && *donor != 0;
	unsigned made = 0;
	ibb_key k;
	int r = ibb_hive_create(h, ibb_hive_root(h), op->key,
				like ? IBB_KEY_SECURITY_LIKE : IBB_KEY_SECURITY_PARENT, *donor,
				p->time, &k, &made, err);

	if (r)
		return r;
	if (made != 1)
		return ibb_err(err, IBB_E_CONFLICT, "%s: key %s %s", ibb_hive_name(h), op->key,
			       made ? "lacks its parent" : "exists already");
	if (own)
		return ibb_hive_set_security(h, k, op->sd, err);
	if (!like && !op->like_parent) {
		r = ibb_hive_set_security(h, k, ibb_buf_bytes(&s->sd), err);
		*donor = k; /* the next keys share its descriptor */
	}
	return r;
}

static int apply_delete_key(const struct ibb_plan *p, const struct ibb_op *op, struct ibb_hive *h,
			    struct ibb_error *err)
{
	struct ibb_key_info info;
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), op->key, &k, err);

	if (!r)
		r = ibb_hive_key_info(h, k, &info, err);
	if (!r && (info.n_subkeys || info.n_values))
		r = ibb_err(err, IBB_E_CONFLICT, "%s: key %s is not empty", ibb_hive_name(h),
			    op->key);
	return r ? r : ibb_hive_delete(h, k, p->time, err);
}

static int apply_value(const struct ibb_plan *p, const struct ibb_op *op, struct ibb_hive *h,
		       ibb_key k, struct ibb_error *err)
{
	int r = check_before(op, h, k, err);

	if (r)
		return r;
	if (op->kind == IBB_OP_UNSET)
		return ibb_hive_unset(h, k, op->value, p->time, err);
	return ibb_hive_set(h, k, op->value, op->type, op->data.data, op->data.len, p->time, err);
}

/* Is it an operation on this hive? */
static bool concerns(const struct ibb_op *op, enum ibb_hive_id hive)
{
	return op->key && op->hive == hive;
}

int ibb_apply_registry(const struct ibb_plan *p, enum ibb_hive_id hive, struct ibb_hive *h,
		       struct ibb_error *err)
{
	const struct ibb_key_security_plan *s = &p->security[hive];
	const char *last = NULL;
	ibb_key donor = 0, k = 0;
	int r = IBB_OK;

	if (s->needed && s->like)
		r = ibb_hive_find(h, ibb_hive_root(h), s->like, &donor, err);
	for (size_t i = 0; i < p->n_ops && !r; i++) {
		const struct ibb_op *op = &p->ops[i];

		if (!concerns(op, hive))
			continue;
		if (op->kind == IBB_OP_KEY || op->kind == IBB_OP_DELETE_KEY) {
			r = op->kind == IBB_OP_KEY ? apply_key(p, op, h, &donor, err)
						   : apply_delete_key(p, op, h, err);
			last = NULL; /* handles may have moved */
			continue;
		}
		if (!last || strcmp(last, op->key) != 0)
			r = ibb_hive_find(h, ibb_hive_root(h), op->key, &k, err);
		last = op->key;
		if (!r)
			r = apply_value(p, op, h, k, err);
	}
	if (r == IBB_E_NOTFOUND)
		r = ibb_err_prefix(err, IBB_E_CONFLICT, "the plan does not fit the image");
	return r;
}

/* ---- the proof ---- */

/* Operations sorted by (key, value), so that a difference finds its operation by bisection. */
struct expected {
	const struct ibb_op **ops;
	size_t n;
	size_t seen;
	const char *hive;
	const struct ibb_hive *before, *after;
	const struct ibb_key_security_plan *security;
};

static int compare_names(const char *ka, const char *va, const char *kb, const char *vb)
{
	int c = ibb_casecmp(ka, kb);

	if (c)
		return c;
	if (!va || !vb)
		return (va != NULL) - (vb != NULL);
	return ibb_casecmp(va, vb);
}

static int compare_ops(const void *a, const void *b)
{
	const struct ibb_op *x = *(const struct ibb_op *const *)a;
	const struct ibb_op *y = *(const struct ibb_op *const *)b;

	return compare_names(x->key, x->value, y->key, y->value);
}

static const struct ibb_op *find_op(const struct expected *e, const char *key, const char *value)
{
	size_t lo = 0, hi = e->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct ibb_op *op = e->ops[mid];
		int c = compare_names(op->key, op->value, key, value);

		if (!c)
			return op;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* The descriptor that a new key was to get. */
static int planned_security(const struct expected *e, const struct ibb_op *op,
			    struct ibb_bytes *ret, struct ibb_error *err)
{
	const struct ibb_key_security_plan *s = e->security;
	const char *slash = strrchr(op->key, '\\');
	IBB_AUTO_FREE char *parent = NULL;
	ibb_key k;
	int r;

	if (op->sd.len || (!op->like_parent && !s->like)) {
		*ret = op->sd.len ? op->sd : ibb_buf_bytes(&s->sd);
		return IBB_OK;
	}
	if (!op->like_parent) {
		r = ibb_hive_find(e->before, ibb_hive_root(e->before), s->like, &k, err);
		return r ? r : ibb_hive_get_security(e->before, k, ret, err);
	}
	parent = ibb_strndup(op->key, slash ? (size_t)(slash - op->key) : 0);
	if (!parent)
		return ibb_err_nomem(err);
	r = ibb_hive_find(e->after, ibb_hive_root(e->after), parent, &k, err);
	return r ? r : ibb_hive_get_security(e->after, k, ret, err);
}

static int check_new_key(const struct expected *e, const struct ibb_op *op, struct ibb_error *err)
{
	struct ibb_bytes want = {0}, have = {0};
	ibb_key k;
	int r = planned_security(e, op, &want, err);

	if (!r)
		r = ibb_hive_find(e->after, ibb_hive_root(e->after), op->key, &k, err);
	if (!r)
		r = ibb_hive_get_security(e->after, k, &have, err);
	if (!r && (want.len != have.len || memcmp(want.data, have.data, want.len) != 0))
		r = ibb_err(err, IBB_E_INTERNAL,
			    "%s: new key %s has another security descriptor than planned", e->hive,
			    op->key);
	return r;
}

static int check_one(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	struct expected *e = ctx;
	const struct ibb_op *op = find_op(e, d->path, d->value);
	bool ok = false;

	if (op && d->kind == IBB_DIFF_KEY_ADDED)
		ok = op->kind == IBB_OP_KEY;
	else if (op && d->kind == IBB_DIFF_KEY_REMOVED)
		ok = op->kind == IBB_OP_DELETE_KEY;
	else if (op && d->kind == IBB_DIFF_VALUE_REMOVED)
		ok = op->kind == IBB_OP_UNSET;
	else if (op && (d->kind == IBB_DIFF_VALUE_ADDED || d->kind == IBB_DIFF_VALUE_CHANGED))
		ok = op->kind == IBB_OP_VALUE &&
		     op->had_before == (d->kind == IBB_DIFF_VALUE_CHANGED) &&
		     same_value(op->type, op->data, d->after.type,
				(struct ibb_bytes){d->after.data, d->after.size});
	if (!ok)
		return ibb_err(err, IBB_E_INTERNAL,
			       "%s: after the edit %s%s%s differs in a way nobody planned", e->hive,
			       d->path, d->value ? " value " : "", d->value ? d->value : "");
	e->seen++;
	return op->kind == IBB_OP_KEY ? check_new_key(e, op, err) : IBB_OK;
}

int ibb_apply_check_difference(const struct ibb_plan *p, enum ibb_hive_id hive,
			       const struct ibb_hive *before, const struct ibb_hive *after,
			       struct ibb_error *err)
{
	IBB_AUTO_FREE const struct ibb_op **ops = ibb_calloc_array(p->n_ops, sizeof(*ops));
	struct expected e = {.ops = ops,
			     .hive = ibb_hive_name(after),
			     .before = before,
			     .after = after,
			     .security = &p->security[hive]};
	int r;

	if (!ops)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < p->n_ops; i++) {
		const struct ibb_op *op = &p->ops[i];

		if (concerns(op, hive))
			ops[e.n++] = op;
	}
	qsort(ops, e.n, sizeof(*ops), compare_ops);
	r = ibb_hive_compare(before, after, check_one, &e, err);
	if (!r && e.seen != e.n)
		r = ibb_err(err, IBB_E_INTERNAL,
			    "%s: %zu of %zu planned changes are in the edited hive", e.hive, e.seen,
			    e.n);
	return r;
}
