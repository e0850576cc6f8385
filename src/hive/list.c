/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key nodes and their subkey lists (li, lf, lh, ri). */
#include "hive/hive_int.h"

#include <string.h>

/*
 * A leaf of hashes that is longer than this is split: it then no longer fits one 4096-byte bin.
 * Windows splits at 1012; leaves of that length are read and kept until they grow.
 */
#define LEAF_MAX    507u
#define LEAF_MAX_LI 1012u

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

/* The hint of an lf entry: the first four characters, nothing when one is beyond U+00FF. */
static void name_hint(const struct hv_name *name, uint8_t hint[4])
{
	memset(hint, 0, 4);
	for (uint32_t i = 0; i < 4 && i < name->n; i++) {
		if (hv_unit(name, i) > 0xff) {
			memset(hint, 0, 4);
			return;
		}
		hint[i] = (uint8_t)hv_unit(name, i);
	}
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
	name_hint(&child->name, hint);
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
	struct hv_iter it;
	struct hv_key c;
	int r = hv_iter_begin(&it, h, k, err);

	do {
		if (!r)
			r = hv_iter_next(&it, &c, err);
	} while (!r && c.off != HV_NONE);
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

/* ---- editing; the hive is sound and memory is reserved ---- */

static struct hv_list sound_list(const struct ibb_hive *h, uint32_t off, bool root)
{
	struct hv_list l;

	IBB_ASSERT(!hv_list(h, off, root, &l, NULL));
	return l;
}

int hv_need_insert(const struct ibb_hive *h, const struct hv_pos *pos, struct hv_need *need,
		   struct ibb_error *err)
{
	struct hv_list root;

	uint64_t n = pos->root == HV_NONE ? 0 : sound_list(h, pos->leaf, false).n;

	/* a leaf (others than Windows make long ones) grows, or is split and one half grows */
	hv_need_regrow(need, 4 + 8 * (n + 1));
	hv_need_regrow(need, 4 + 8 * (n + 1));
	/* an index root comes into being, or grows */
	hv_need_cell(need, 8);
	hv_need_regrow(need, 12);
	if (!pos->is_ri)
		return IBB_OK;
	root = sound_list(h, pos->root, true);
	if (root.n == UINT16_MAX)
		return ibb_err(err, IBB_E_LIMIT,
			       "hive %s: cell at 0x%x: the index of subkey lists is full", h->name,
			       pos->root);
	hv_need_regrow(need, 8 + 4ull * root.n);
	return IBB_OK;
}

static void put_elem(struct ibb_hive *h, const struct hv_list *l, uint32_t i, uint32_t child)
{
	uint8_t *e = hv_ptr(h, l->off) + 4 + (size_t)i * l->elem_bytes;
	struct hv_key k;

	ibb_put_le32(e, child);
	if (l->elem_bytes == 4)
		return;
	IBB_ASSERT(!hv_key(h, child, &k, NULL));
	if (l->kind == HV_LH)
		ibb_put_le32(e + 4, hv_name_hash(&k.name));
	else
		name_hint(&k.name, e + 4);
}

static void set_count(struct ibb_hive *h, uint32_t list, uint32_t n)
{
	ibb_put_le16(hv_ptr(h, list) + 2, (uint16_t)n);
}

/* Open a gap at i; the list's cell may move. */
static struct hv_list open_gap(struct ibb_hive *h, struct hv_list l, uint32_t i)
{
	uint8_t *p;

	l.off = hv_regrow(h, l.off, 4 + (l.n + 1) * l.elem_bytes, 4 + l.n * l.elem_bytes);
	p = hv_ptr(h, l.off) + 4;
	memmove(p + (size_t)(i + 1) * l.elem_bytes, p + (size_t)i * l.elem_bytes,
		(size_t)(l.n - i) * l.elem_bytes);
	l.n++;
	set_count(h, l.off, l.n);
	return l;
}

static void new_list(struct ibb_hive *h, enum hv_list_kind kind, uint32_t n, struct hv_list *ret)
{
	static const char sig[][3] = {
		[HV_LI] = "li", [HV_LF] = "lf", [HV_LH] = "lh", [HV_RI] = "ri"};

	ret->kind = kind;
	ret->elem_bytes = kind == HV_LI || kind == HV_RI ? 4 : 8;
	ret->n = n;
	ret->off = hv_alloc(h, 4 + n * ret->elem_bytes);
	memcpy(hv_ptr(h, ret->off), sig[kind], 2);
	set_count(h, ret->off, n);
}

/* Tell who points to a leaf where it is. */
static void link_leaf(struct ibb_hive *h, uint32_t parent, const struct hv_pos *pos, uint32_t leaf)
{
	if (pos->is_ri)
		ibb_put_le32(hv_ptr(h, pos->root) + 4 + 4 * (size_t)pos->leaf_i, leaf);
	else
		ibb_put_le32(hv_ptr(h, parent) + NK_LIST, leaf);
}

/* Put a second leaf behind the one at pos, in the index root, which is made if need be. */
static void add_leaf(struct ibb_hive *h, uint32_t parent, struct hv_pos *pos, uint32_t leaf)
{
	struct hv_list root;

	if (!pos->is_ri) {
		new_list(h, HV_RI, 1, &root);
		ibb_put_le32(hv_ptr(h, root.off) + 4, pos->leaf);
		pos->is_ri = true;
		pos->leaf_i = 0;
	} else {
		root = sound_list(h, pos->root, true);
	}
	root = open_gap(h, root, pos->leaf_i + 1);
	pos->root = root.off;
	ibb_put_le32(hv_ptr(h, parent) + NK_LIST, root.off);
	ibb_put_le32(hv_ptr(h, root.off) + 4 + 4 * (size_t)(pos->leaf_i + 1), leaf);
}

/* Split the leaf at pos and let pos name the half that the new subkey belongs to. */
static struct hv_list split_leaf(struct ibb_hive *h, uint32_t parent, struct hv_pos *pos,
				 struct hv_list l)
{
	/* names often come in order: then leave the old leaf full */
	uint32_t at = pos->i == l.n ? l.n - 1 : l.n / 2;
	struct hv_list tail;

	new_list(h, l.kind, l.n - at, &tail);
	memcpy(hv_ptr(h, tail.off) + 4, hv_ptr(h, l.off) + 4 + (size_t)at * l.elem_bytes,
	       (size_t)tail.n * l.elem_bytes);
	l.n = at;
	set_count(h, l.off, at);
	add_leaf(h, parent, pos, tail.off);
	if (pos->i <= at)
		return l;
	pos->i -= at;
	pos->leaf_i++;
	pos->leaf = tail.off;
	return tail;
}

void hv_list_insert(struct ibb_hive *h, uint32_t parent, struct hv_pos pos, uint32_t child)
{
	uint8_t *nk = hv_ptr(h, parent);
	struct hv_list l;
	struct hv_key k;
	uint32_t name_bytes;

	if (pos.root == HV_NONE) {
		new_list(h, h->header.minor >= 5 ? HV_LH : HV_LF, 1, &l);
		ibb_put_le32(nk + NK_LIST, l.off);
	} else {
		l = sound_list(h, pos.leaf, false);
		if (l.n >= (l.kind == HV_LI ? LEAF_MAX_LI : LEAF_MAX))
			l = split_leaf(h, parent, &pos, l);
		l = open_gap(h, l, pos.i);
		link_leaf(h, parent, &pos, l.off);
	}
	put_elem(h, &l, pos.i, child);
	ibb_put_le32(nk + NK_N_SUBKEYS, ibb_get_le32(nk + NK_N_SUBKEYS) + 1);
	IBB_ASSERT(!hv_key(h, child, &k, NULL));
	name_bytes = 2 * k.name.n;
	if (ibb_get_le16(nk + NK_MAX_NAME) < name_bytes)
		ibb_put_le16(nk + NK_MAX_NAME, (uint16_t)name_bytes);
}

/* Close the gap of element i; true when the list is now empty, and freed. */
static bool drop_elem(struct ibb_hive *h, struct hv_list l, uint32_t i)
{
	uint8_t *p = hv_ptr(h, l.off) + 4;

	if (l.n == 1) {
		hv_free(h, l.off);
		return true;
	}
	memmove(p + (size_t)i * l.elem_bytes, p + (size_t)(i + 1) * l.elem_bytes,
		(size_t)(l.n - i - 1) * l.elem_bytes);
	memset(p + (size_t)(l.n - 1) * l.elem_bytes, 0, l.elem_bytes);
	set_count(h, l.off, l.n - 1);
	return false;
}

void hv_list_remove(struct ibb_hive *h, uint32_t parent, const struct hv_pos *pos)
{
	uint8_t *nk = hv_ptr(h, parent);
	bool empty = drop_elem(h, sound_list(h, pos->leaf, false), pos->i);

	if (empty && pos->is_ri)
		empty = drop_elem(h, sound_list(h, pos->root, true), pos->leaf_i);
	if (empty)
		ibb_put_le32(nk + NK_LIST, HV_NONE);
	ibb_put_le32(nk + NK_N_SUBKEYS, ibb_get_le32(nk + NK_N_SUBKEYS) - 1);
}
