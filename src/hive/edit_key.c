/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Creating and deleting keys. */
#include "hive/hive_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- create ---- */

static uint32_t new_nk(struct ibb_hive *h, uint32_t parent, const struct hv_name *name, uint32_t sk,
		       uint64_t time)
{
	bool comp = hv_name_compressible(name);
	uint32_t off = hv_alloc(h, NK_NAME + (comp ? name->n : 2 * name->n));
	uint8_t *p = hv_mut(h, off);

	memcpy(p, "nk", 2);
	ibb_put_le16(p + NK_FLAGS, comp ? NK_COMP_NAME : 0);
	ibb_put_le64(p + NK_TIME, time);
	ibb_put_le32(p + NK_PARENT, parent);
	ibb_put_le32(p + NK_LIST, HV_NONE);
	ibb_put_le32(p + NK_VOLATILE_LIST, HV_NONE);
	ibb_put_le32(p + NK_VALUES, HV_NONE);
	ibb_put_le32(p + NK_SECURITY, sk);
	ibb_put_le32(p + NK_CLASS, HV_NONE);
	ibb_put_le16(p + NK_NAME_LEN, (uint16_t)hv_name_store(name, comp, p + NK_NAME));
	p = hv_mut(h, sk) + SK_REFS;
	ibb_put_le32(p, ibb_get_le32(p) + 1);
	return off;
}

/* Levels from the root; a sound hive, so that parents lead to it. */
static unsigned depth_of(const struct ibb_hive *h, uint32_t key)
{
	unsigned depth = 1;

	while (key != h->header.root_cell) {
		key = ibb_get_le32(hv_ptr(h, key) + NK_PARENT);
		depth++;
	}
	return depth;
}

/* What the rest of the path needs; also checks that all of it is well-formed. */
static int plan_create(const struct ibb_hive *h, uint32_t at, const struct hv_pos *pos,
		       struct hv_name rest, struct hv_need *need, struct ibb_error *err)
{
	unsigned depth = depth_of(h, at);
	struct hv_name name;
	int r = hv_need_insert(h, pos, need, err);

	while (!r && rest.n) {
		r = hv_path_next(&rest, &name, err);
		if (r)
			break;
		if (++depth > IBB_LIMIT_HIVE_DEPTH)
			return ibb_err(err, IBB_E_LIMIT,
				       "hive %s: keys may be nested %u levels deep at most",
				       h->name, IBB_LIMIT_HIVE_DEPTH);
		hv_need_cell(need, NK_NAME + 2ull * name.n);
		hv_need_cell(need, 12); /* its own list, when a further key follows */
	}
	return r;
}

/* Walk as far as the path exists: where, and the rest of it. */
static int walk(const struct ibb_hive *h, struct hv_key *k, struct hv_name *rest,
		struct hv_pos *pos, struct ibb_error *err)
{
	while (rest->n) {
		struct hv_name next = *rest, name;
		int r = hv_path_next(&next, &name, err);

		if (!r && hv_key_flag(k, NK_SYM_LINK))
			r = ibb_err(err, IBB_E_UNSUPPORTED,
				    "hive %s: key at 0x%x is a symbolic link: Windows would look "
				    "for its subkeys elsewhere",
				    h->name, k->off);
		if (!r)
			r = hv_find_child(h, k, &name, pos, err);
		if (!r && pos->child == HV_NONE)
			break;
		if (!r)
			r = hv_key(h, pos->child, k, err);
		if (r)
			return r;
		*rest = next;
	}
	return IBB_OK;
}

/* Everything is checked and reserved. */
static uint32_t make_keys(struct ibb_hive *h, uint32_t at, struct hv_pos pos, struct hv_name rest,
			  uint32_t sk, uint64_t time, unsigned *ret_n)
{
	struct hv_name name;

	for (*ret_n = 0; rest.n; ++*ret_n) {
		uint32_t child;

		IBB_ASSERT(!hv_path_next(&rest, &name, NULL));
		child = new_nk(h, at, &name, sk, time);
		hv_list_insert(h, at, pos, child);
		hv_set_time(h, at, time);
		at = child;
		pos = (struct hv_pos){.root = HV_NONE, .leaf = HV_NONE, .child = HV_NONE};
	}
	return at;
}

int ibb_hive_create(struct ibb_hive *h, ibb_key from, const char *path,
		    enum ibb_key_security security, ibb_key like, uint64_t time, ibb_key *ret,
		    unsigned *ret_created, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf buf = {0};
	struct hv_key at, model;
	struct hv_need need = {0};
	struct hv_name rest;
	struct hv_pos pos;
	unsigned n = 0;
	uint32_t sk;
	int r = hv_begin_edit(h, err);

	if (!r)
		r = hv_key(h, from, &at, err);
	if (!r)
		r = hv_name_encode(path, &buf, &rest, err);
	if (!r)
		r = walk(h, &at, &rest, &pos, err);
	if (!r && security == IBB_KEY_SECURITY_LIKE)
		r = hv_key(h, like, &model, err);
	if (r)
		return r;
	if (rest.n) {
		r = plan_create(h, at.off, &pos, rest, &need, err);
		sk = hv_key_u32(security == IBB_KEY_SECURITY_LIKE ? &model : &at, NK_SECURITY);
		if (!r)
			r = hv_reserve(h, &need, err);
		if (r)
			return r;
		*ret = make_keys(h, at.off, pos, rest, sk, time, &n);
	} else {
		*ret = at.off;
	}
	if (ret_created)
		*ret_created = n;
	return IBB_OK;
}

/* ---- delete ---- */

struct doomed {
	const struct ibb_hive *h;
	uint32_t *cells, *sk;
	size_t n_cells, cap_cells, n_sk, cap_sk;
};

static int doom(struct doomed *d, uint32_t off, struct ibb_error *err)
{
	if (off == HV_NONE)
		return IBB_OK;
	if (ibb_grow(&d->cells, &d->cap_cells, d->n_cells, sizeof(*d->cells)))
		return ibb_err_nomem(err);
	d->cells[d->n_cells++] = off;
	return IBB_OK;
}

static int doom_big(struct doomed *d, const struct hv_value *v, struct ibb_error *err)
{
	const uint8_t *segments;
	uint32_t n, list;
	int r = hv_big(d->h, v, &segments, &n, &list, err);

	if (!r)
		r = doom(d, list, err);
	for (uint32_t i = 0; i < n && !r; i++)
		r = doom(d, ibb_get_le32(segments + 4 * (size_t)i), err);
	return r;
}

static int doom_values(struct doomed *d, const struct hv_key *k, struct ibb_error *err)
{
	const uint8_t *list;
	struct hv_value v;
	uint32_t n;
	int r = hv_values(d->h, k, &list, &n, err);

	if (!r && n)
		r = doom(d, hv_key_u32(k, NK_VALUES), err);
	for (uint32_t i = 0; i < n && !r; i++) {
		r = hv_value(d->h, ibb_get_le32(list + 4 * (size_t)i), &v, err);
		if (!r)
			r = doom(d, v.off, err);
		if (!r)
			r = doom(d, v.data_cell, err);
		if (!r && v.big)
			r = doom_big(d, &v, err);
	}
	return r;
}

static int doom_key(struct doomed *d, const struct hv_key *k, unsigned depth, struct ibb_error *err)
{
	uint32_t leaf = HV_NONE;
	struct hv_key child;
	struct hv_iter it;
	int r;

	if (hv_key_flag(k, NK_NO_DELETE))
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "hive %s: key at 0x%x is marked as not to be deleted", d->h->name,
			       k->off);
	if (depth > IBB_LIMIT_HIVE_DEPTH)
		return hv_bad(d->h, k->off, err, "keys are nested too deeply");
	if (ibb_grow(&d->sk, &d->cap_sk, d->n_sk, sizeof(*d->sk)))
		return ibb_err_nomem(err);
	d->sk[d->n_sk++] = hv_key_u32(k, NK_SECURITY);
	r = doom(d, k->off, err);
	if (!r && ibb_get_le16(k->p + NK_CLASS_LEN))
		r = doom(d, hv_key_u32(k, NK_CLASS), err);
	if (!r)
		r = doom_values(d, k, err);
	if (!r)
		r = hv_iter_begin(&it, d->h, k, err);
	if (!r && it.root.n)
		r = doom(d, it.root.off, err);
	while (!r) {
		r = hv_iter_next(&it, &child, err);
		if (r || child.off == HV_NONE)
			break;
		if (it.leaf.off != leaf && it.leaf.off != it.root.off)
			r = doom(d, it.leaf.off, err);
		leaf = it.leaf.off;
		if (!r)
			r = doom_key(d, &child, depth + 1, err);
	}
	return r;
}

static int delete_key(struct ibb_hive *h, const struct hv_key *k, uint64_t time, struct doomed *d,
		      struct ibb_error *err)
{
	struct hv_need need = {0};
	struct hv_key parent;
	struct hv_pos pos;
	int r = hv_key(h, hv_key_u32(k, NK_PARENT), &parent, err);

	if (!r)
		r = hv_find_child(h, &parent, &k->name, &pos, err);
	if (!r && pos.child != k->off)
		r = hv_bad(h, k->off, err, "key is not in the subkey list of its parent 0x%x",
			   parent.off);
	if (!r)
		r = doom_key(d, k, 1, err);
	hv_need_remove(&need);
	if (!r)
		r = hv_reserve(h, &need, err);
	if (r)
		return r;
	hv_list_remove(h, parent.off, &pos);
	hv_set_time(h, parent.off, time);
	for (size_t i = 0; i < d->n_cells; i++)
		hv_free(h, d->cells[i]);
	for (size_t i = 0; i < d->n_sk; i++)
		hv_sk_release(h, d->sk[i], 1);
	return IBB_OK;
}

int ibb_hive_delete(struct ibb_hive *h, ibb_key k, uint64_t time, struct ibb_error *err)
{
	struct doomed d = {.h = h};
	struct hv_key key;
	int r = hv_begin_edit(h, err);

	if (!r)
		r = hv_key(h, k, &key, err);
	if (!r && k == h->header.root_cell)
		r = ibb_err(err, IBB_E_INVALID, "hive %s: the root key cannot be deleted", h->name);
	if (!r)
		r = delete_key(h, &key, time, &d, err);
	free(d.cells);
	free(d.sk);
	return r;
}
