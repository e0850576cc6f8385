/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What differs between two hives. */
#include "hive/hive_int.h"

#include <string.h>

struct compare {
	const struct ibb_hive *a, *b;
	ibb_hive_diff_fn fn;
	void *ctx;
	struct ibb_buf path, name, tmp_a, tmp_b;
	struct ibb_error *err;
};

/* One side of the comparison: a key and its values. */
struct side {
	const struct ibb_hive *h;
	struct hv_key key;
	const uint8_t *list;
	uint32_t n;
};

static int load(struct compare *c, const struct ibb_hive *h, const struct hv_key *k,
		struct side *ret)
{
	ret->h = h;
	ret->key = *k;
	return hv_values(h, k, &ret->list, &ret->n, c->err);
}

static int value_at(struct compare *c, const struct side *s, uint32_t i, struct hv_value *ret)
{
	return hv_value(s->h, ibb_get_le32(s->list + 4 * (size_t)i), ret, c->err);
}

/* Report; names and path are put in shape only here. */
static int tell(struct compare *c, enum ibb_hive_diff_kind kind, const struct hv_name *value,
		const struct ibb_value *before, const struct ibb_value *after)
{
	struct ibb_hive_diff d = {.kind = kind};

	c->name.len = 0;
	if ((value && hv_name_utf8(value, &c->name)) || !ibb_buf_cstr(&c->path))
		return ibb_err_nomem(c->err);
	d.path = (const char *)c->path.data;
	d.value = value ? (const char *)c->name.data : NULL;
	if (before)
		d.before = *before;
	if (after)
		d.after = *after;
	if (value)
		d.before.name = d.after.name = d.value;
	return c->fn(c->ctx, &d, c->err);
}

static int path_push(struct compare *c, const struct hv_name *name)
{
	if ((c->path.len && ibb_buf_append(&c->path, "\\", 1)) || hv_name_utf8(name, &c->path))
		return ibb_err_nomem(c->err);
	return IBB_OK;
}

/* ---- a whole subtree that is only on one side ---- */

static int tell_value(struct compare *c, bool added, const struct ibb_hive *h,
		      const struct hv_value *v)
{
	struct ibb_value val = {.type = v->type, .size = v->size};
	struct ibb_bytes data;
	int r = hv_value_data(h, v, &c->tmp_a, &data, c->err);

	if (r)
		return r;
	val.data = data.data;
	return added ? tell(c, IBB_DIFF_VALUE_ADDED, &v->name, NULL, &val)
		     : tell(c, IBB_DIFF_VALUE_REMOVED, &v->name, &val, NULL);
}

static int tell_tree(struct compare *c, bool added, const struct ibb_hive *h,
		     const struct hv_key *k, unsigned depth)
{
	size_t path_len = c->path.len;
	struct hv_key child;
	struct hv_iter it;
	struct hv_value v;
	struct side s;
	int r = load(c, h, k, &s);

	if (!r && depth > IBB_LIMIT_HIVE_DEPTH)
		r = hv_bad(h, k->off, c->err, "keys are nested too deeply");
	if (!r)
		r = path_push(c, &k->name);
	if (!r)
		r = tell(c, added ? IBB_DIFF_KEY_ADDED : IBB_DIFF_KEY_REMOVED, NULL, NULL, NULL);
	for (uint32_t i = 0; !r && i < s.n; i++) {
		r = value_at(c, &s, i, &v);
		if (!r)
			r = tell_value(c, added, h, &v);
	}
	if (!r)
		r = hv_iter_begin(&it, h, k, c->err);
	while (!r) {
		r = hv_iter_next(&it, &child, c->err);
		if (r || child.off == HV_NONE)
			break;
		r = tell_tree(c, added, h, &child, depth + 1);
	}
	c->path.len = path_len;
	return r;
}

/* ---- a key that is on both sides ---- */

static int compare_data(struct compare *c, const struct hv_value *va, const struct hv_value *vb)
{
	struct ibb_bytes da, db;
	struct ibb_value before = {.type = va->type, .size = va->size};
	struct ibb_value after = {.type = vb->type, .size = vb->size};
	int r = hv_value_data(c->a, va, &c->tmp_a, &da, c->err);

	if (!r)
		r = hv_value_data(c->b, vb, &c->tmp_b, &db, c->err);
	if (r)
		return r;
	if (va->type == vb->type && da.len == db.len && memcmp(da.data, db.data, da.len) == 0)
		return IBB_OK;
	before.data = da.data;
	after.data = db.data;
	return tell(c, IBB_DIFF_VALUE_CHANGED, &va->name, &before, &after);
}

/* The value of this name; most often at the place where it is looked for first. */
static int find_value(struct compare *c, const struct side *s, const struct hv_name *name,
		      uint32_t *hint, struct hv_value *ret)
{
	for (uint32_t step = 0; step < s->n; step++) {
		uint32_t i = (uint32_t)(((uint64_t)*hint + step) % s->n);
		int r = value_at(c, s, i, ret);

		if (r)
			return r;
		if (hv_name_eq(&ret->name, name)) {
			*hint = i + 1;
			return IBB_OK;
		}
	}
	ret->off = HV_NONE;
	return IBB_OK;
}

static int compare_values(struct compare *c, const struct side *a, const struct side *b)
{
	struct hv_value va, vb;
	uint32_t hint = 0, common = 0;
	int r = IBB_OK;

	for (uint32_t i = 0; i < a->n && !r; i++) {
		r = value_at(c, a, i, &va);
		if (!r)
			r = find_value(c, b, &va.name, &hint, &vb);
		if (r)
			break;
		if (vb.off == HV_NONE) {
			r = tell_value(c, false, a->h, &va);
		} else {
			common++;
			r = compare_data(c, &va, &vb);
		}
	}
	hint = 0;
	if (common == b->n)
		return r;
	for (uint32_t i = 0; i < b->n && !r; i++) {
		r = value_at(c, b, i, &vb);
		if (!r)
			r = find_value(c, a, &vb.name, &hint, &va);
		if (!r && va.off == HV_NONE)
			r = tell_value(c, true, b->h, &vb);
	}
	return r;
}

static int compare_security(struct compare *c, const struct side *a, const struct side *b)
{
	struct hv_sk sa, sb;
	int r = hv_sk(a->h, hv_key_u32(&a->key, NK_SECURITY), &sa, c->err);

	if (!r)
		r = hv_sk(b->h, hv_key_u32(&b->key, NK_SECURITY), &sb, c->err);
	if (r || (sa.sd.len == sb.sd.len && memcmp(sa.sd.data, sb.sd.data, sa.sd.len) == 0))
		return r;
	return tell(c, IBB_DIFF_KEY_SECURITY, NULL, NULL, NULL);
}

/* What the flags say of a key, how its name is stored left out; then virtualisation and user flags.
 */
static uint32_t kind_of(const struct hv_key *k)
{
	uint32_t flags =
		ibb_get_le16(k->p + NK_FLAGS) & (NK_VOLATILE | NK_HIVE_EXIT | NK_HIVE_ENTRY |
						 NK_NO_DELETE | NK_SYM_LINK | NK_PREDEF_HANDLE);

	return flags | (uint32_t)ibb_get_le16(k->p + NK_MAX_NAME + 2) << 16;
}

static int compare_kind(struct compare *c, const struct side *a, const struct side *b)
{
	struct ibb_bytes ca, cb;
	int r = hv_class(a->h, &a->key, &ca, c->err);

	if (!r)
		r = hv_class(b->h, &b->key, &cb, c->err);
	if (r || (kind_of(&a->key) == kind_of(&b->key) && ca.len == cb.len &&
		  (!ca.len || memcmp(ca.data, cb.data, ca.len) == 0)))
		return r;
	return tell(c, IBB_DIFF_KEY_KIND, NULL, NULL, NULL);
}

static int compare_keys(struct compare *c, const struct hv_key *ka, const struct hv_key *kb,
			unsigned depth);

/* Both lists ascend: merge them. */
static int compare_subkeys(struct compare *c, const struct hv_key *ka, const struct hv_key *kb,
			   unsigned depth)
{
	struct hv_key ca = {.off = HV_NONE}, cb = {.off = HV_NONE};
	struct hv_iter ia, ib;
	int r = hv_iter_begin(&ia, c->a, ka, c->err), cmp = 0;

	if (!r)
		r = hv_iter_begin(&ib, c->b, kb, c->err);
	while (!r) {
		size_t path_len = c->path.len;

		if (cmp <= 0)
			r = hv_iter_next(&ia, &ca, c->err);
		if (!r && cmp >= 0)
			r = hv_iter_next(&ib, &cb, c->err);
		if (r || (ca.off == HV_NONE && cb.off == HV_NONE))
			break;
		cmp = ca.off == HV_NONE	  ? 1
		      : cb.off == HV_NONE ? -1
					  : hv_name_cmp(&ca.name, &cb.name);
		if (cmp < 0) {
			r = tell_tree(c, false, c->a, &ca, depth + 1);
		} else if (cmp > 0) {
			r = tell_tree(c, true, c->b, &cb, depth + 1);
		} else {
			r = path_push(c, &ca.name);
			if (!r)
				r = compare_keys(c, &ca, &cb, depth + 1);
			c->path.len = path_len;
		}
	}
	return r;
}

static int compare_keys(struct compare *c, const struct hv_key *ka, const struct hv_key *kb,
			unsigned depth)
{
	struct side a, b;
	int r;

	if (depth > IBB_LIMIT_HIVE_DEPTH)
		return hv_bad(c->a, ka->off, c->err, "keys are nested too deeply");
	r = load(c, c->a, ka, &a);
	if (!r)
		r = load(c, c->b, kb, &b);
	if (!r)
		r = compare_security(c, &a, &b);
	if (!r)
		r = compare_kind(c, &a, &b);
	if (!r)
		r = compare_values(c, &a, &b);
	return r ? r : compare_subkeys(c, ka, kb, depth);
}

int ibb_hive_compare(const struct ibb_hive *before, const struct ibb_hive *after,
		     ibb_hive_diff_fn fn, void *ctx, struct ibb_error *err)
{
	struct compare c = {.a = before, .b = after, .fn = fn, .ctx = ctx, .err = err};
	struct hv_key ra, rb;
	int r = hv_key(before, before->header.root_cell, &ra, err);

	if (!r)
		r = hv_key(after, after->header.root_cell, &rb, err);
	if (!r)
		r = compare_keys(&c, &ra, &rb, 1);
	ibb_buf_clear(&c.path);
	ibb_buf_clear(&c.name);
	ibb_buf_clear(&c.tmp_a);
	ibb_buf_clear(&c.tmp_b);
	return r;
}
