/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key nodes and reading their subkey lists (li, lf, lh, ri). */
#include "hive/hive_int.h"

int hv_key(const struct ibb_hive *h, uint32_t off, struct hv_key *ret, struct ibb_error *err)
{
	const uint8_t *p;
	uint32_t len, n;
	bool comp;
	int r = hv_cell(h, off, NK_NAME, "key node", &p, &len, err);

	if (r)
		return r;
	if (p[0] != 'n' || p[1] != 'k')
		return hv_bad(h, off, err, "key node expected, signature is 0x%02x%02x", p[0],
			      p[1]);
	n = ibb_get_le16(p + NK_NAME_LEN);
	comp = ibb_get_le16(p + NK_FLAGS) & NK_COMP_NAME;
	if (n > len - NK_NAME)
		return hv_bad(h, off, err, "key name of %u bytes, the cell has room for %u", n,
			      len - NK_NAME);
	if (n > HV_NAME_BYTES || (!comp && n % 2) || (!n && off != h->header.root_cell))
		return hv_bad(h, off, err, "key name length %u is wrong", n);
	*ret = (struct hv_key){off, p, {p + NK_NAME, comp ? n : n / 2, comp}};
	return IBB_OK;
}

int hv_class(const struct ibb_hive *h, const struct hv_key *k, struct ibb_bytes *ret,
	     struct ibb_error *err)
{
	uint32_t n = ibb_get_le16(k->p + NK_CLASS_LEN), off = hv_key_u32(k, NK_CLASS);
	const uint8_t *p = NULL;
	int r;

	if (off == HV_NONE)
		n = 0;
	r = n ? hv_cell(h, off, n, "class name", &p, NULL, err) : IBB_OK;
	if (!r)
		*ret = (struct ibb_bytes){p, n};
	return r;
}

int hv_list(const struct ibb_hive *h, uint32_t off, bool root_allowed, struct hv_list *ret,
	    struct ibb_error *err)
{
	struct hv_list l = {.off = off};
	const uint8_t *p;
	uint32_t len;
	int r = hv_cell(h, off, 4, "subkey list", &p, &len, err);

	if (r)
		return r;
	if (p[0] == 'l' && (p[1] == 'f' || p[1] == 'h')) {
		l.kind = p[1] == 'f' ? HV_LF : HV_LH;
		l.elem_bytes = 8;
	} else if (p[1] == 'i' && (p[0] == 'l' || (p[0] == 'r' && root_allowed))) {
		l.kind = p[0] == 'l' ? HV_LI : HV_RI;
		l.elem_bytes = 4;
	} else {
		return hv_bad(h, off, err, "subkey list expected, signature is 0x%02x%02x", p[0],
			      p[1]);
	}
	l.n = ibb_get_le16(p + 2);
	l.elems = p + 4;
	if (l.n * l.elem_bytes > len - 4)
		return hv_bad(h, off, err, "subkey list of %u entries, the cell has room for %u",
			      l.n, (len - 4) / l.elem_bytes);
	if (!l.n)
		return hv_bad(h, off, err, "subkey list is empty");
	*ret = l;
	return IBB_OK;
}

/* A subkey as an element of a list: also says who its parent is. */
static int child_at(const struct ibb_hive *h, const struct hv_key *parent, const struct hv_list *l,
		    uint32_t i, struct hv_key *ret, struct ibb_error *err)
{
	uint32_t off = hv_elem(l, i);
	struct hv_key k;
	int r = hv_key(h, off, &k, err);

	if (r)
		return r;
	if (off == h->header.root_cell)
		return hv_bad(h, l->off, err, "subkey list entry %u leads back to the root key", i);
	if (hv_key_u32(&k, NK_PARENT) != parent->off)
		return hv_bad(h, off, err,
			      "key names 0x%x as its parent, but 0x%x lists it as a subkey",
			      hv_key_u32(&k, NK_PARENT), parent->off);
	*ret = k;
	return IBB_OK;
}

/* ---- going through ---- */

int hv_iter_begin(struct hv_iter *it, const struct ibb_hive *h, const struct hv_key *k,
		  struct ibb_error *err)
{
	*it = (struct hv_iter){.h = h, .parent = *k};
	if (!hv_key_u32(k, NK_N_SUBKEYS))
		return IBB_OK;
	return hv_list(h, hv_key_u32(k, NK_LIST), true, &it->root, err);
}

static int next_leaf(struct hv_iter *it, struct ibb_error *err)
{
	if (it->root.kind != HV_RI) {
		if (!it->root_i)
			it->leaf = it->root;
	} else if (it->root_i < it->root.n) {
		int r = hv_list(it->h, hv_elem(&it->root, it->root_i), false, &it->leaf, err);

		if (r)
			return r;
		it->leaf_i = 0;
	}
	it->root_i++;
	return IBB_OK;
}

int hv_iter_next(struct hv_iter *it, struct hv_key *ret, struct ibb_error *err)
{
	uint32_t want = hv_key_u32(&it->parent, NK_N_SUBKEYS);
	int r = IBB_OK;

	if (want && it->leaf_i == it->leaf.n)
		r = next_leaf(it, err);
	if (r)
		return r;
	if (it->leaf_i == it->leaf.n) {
		if (it->seen != want)
			return hv_bad(it->h, it->parent.off, err,
				      "key says it has %u subkeys, its list holds %u", want,
				      it->seen);
		ret->off = HV_NONE;
		return IBB_OK;
	}
	if (it->seen == want)
		return hv_bad(it->h, it->parent.off, err,
			      "key says it has %u subkeys, its list holds more", want);
	r = child_at(it->h, &it->parent, &it->leaf, it->leaf_i, ret, err);
	if (r)
		return r;
	if (it->seen && hv_name_cmp(&it->prev, &ret->name) >= 0)
		return hv_bad(it->h, it->leaf.off, err,
			      "subkey list entry %u: names are not in ascending order", it->leaf_i);
	it->prev = ret->name;
	it->seen++;
	it->leaf_i++;
	return IBB_OK;
}

bool hv_iter_hash_ok(const struct hv_iter *it, const struct hv_key *child)
{
	const uint8_t *e = it->leaf.elems + (size_t)(it->leaf_i - 1) * it->leaf.elem_bytes;
	struct hv_name want, have = {e + 4, 4, true};
	uint8_t hint[4];

	if (it->leaf.kind == HV_LH)
		return ibb_get_le32(e + 4) == hv_name_hash(&child->name);
	if (it->leaf.kind == HV_LI || !e[4])
		return true; /* no hint */
	hv_name_hint(&child->name, hint);
	want = (struct hv_name){hint, 4, true};
	return hv_name_eq(&want, &have);
}

/* ---- searching ---- */

static int search_leaf(const struct ibb_hive *h, const struct hv_key *k, const struct hv_name *name,
		       struct hv_pos *pos, struct ibb_error *err)
{
	struct hv_list l;
	uint32_t lo = 0;
	int r = hv_list(h, pos->leaf, false, &l, err);

	if (r)
		return r;
	for (uint32_t hi = l.n; lo < hi;) {
		uint32_t mid = lo + (hi - lo) / 2;
		struct hv_key c;
		int cmp;

		r = child_at(h, k, &l, mid, &c, err);
		if (r)
			return r;
		cmp = hv_name_cmp(name, &c.name);
		if (!cmp) {
			pos->child = c.off;
			lo = hi = mid;
		} else if (cmp < 0) {
			hi = mid;
		} else {
			lo = mid + 1;
		}
	}
	pos->i = lo;
	return IBB_OK;
}

/* The first leaf of an index root that ends at `name` or behind it, else the last leaf. */
static int search_root(const struct ibb_hive *h, const struct hv_key *k, const struct hv_list *root,
		       const struct hv_name *name, struct hv_pos *pos, struct ibb_error *err)
{
	uint32_t lo = 0;

	for (uint32_t hi = root->n - 1; lo < hi;) {
		uint32_t mid = lo + (hi - lo) / 2;
		struct hv_list leaf;
		struct hv_key last;
		int r = hv_list(h, hv_elem(root, mid), false, &leaf, err);

		if (!r)
			r = child_at(h, k, &leaf, leaf.n - 1, &last, err);
		if (r)
			return r;
		if (hv_name_cmp(name, &last.name) <= 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	pos->leaf_i = lo;
	pos->leaf = hv_elem(root, lo);
	return IBB_OK;
}

/* A miss means nothing when the list is out of order: walk it, which checks the order. */
static int confirm_missing(const struct ibb_hive *h, const struct hv_key *k, struct ibb_error *err)
{
	uint64_t *word = &h->in_order[k->off / 512], bit = (uint64_t)1 << (k->off / 8 % 64);
	struct hv_iter it;
	struct hv_key c;
	int r;

	if (*word & bit)
		return IBB_OK;
	r = hv_iter_begin(&it, h, k, err);
	do {
		if (!r)
			r = hv_iter_next(&it, &c, err);
	} while (!r && c.off != HV_NONE);
	if (!r)
		*word |= bit; /* many misses in one long list are usual: device IDs */
	return r;
}

int hv_find_child(const struct ibb_hive *h, const struct hv_key *k, const struct hv_name *name,
		  struct hv_pos *ret, struct ibb_error *err)
{
	struct hv_pos pos = {.root = HV_NONE, .leaf = HV_NONE, .child = HV_NONE};
	struct hv_list l;
	int r;

	if (hv_key_u32(k, NK_N_SUBKEYS)) {
		pos.root = pos.leaf = hv_key_u32(k, NK_LIST);
		r = hv_list(h, pos.root, true, &l, err);
		if (r)
			return r;
		pos.is_ri = l.kind == HV_RI;
		if (pos.is_ri)
			r = search_root(h, k, &l, name, &pos, err);
		if (!r)
			r = search_leaf(h, k, name, &pos, err);
		if (!r && pos.child == HV_NONE && !h->sound)
			r = confirm_missing(h, k, err);
		if (r)
			return r;
	}
	*ret = pos;
	return IBB_OK;
}
