/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Subkey lists while they change. The hive is sound and memory is reserved: nothing can fail. */
#include "hive/hive_int.h"

#include <string.h>

/*
 * A leaf of hashes that is longer than this is split: it then no longer fits one 4096-byte bin.
 * Windows splits at 1012; leaves of that length are read and kept until they grow.
 */
#define LEAF_MAX    507u
#define LEAF_MAX_LI 1012u

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
	uint8_t *e = hv_mut(h, l->off) + 4 + (size_t)i * l->elem_bytes;
	struct hv_key k;

	ibb_put_le32(e, child);
	if (l->elem_bytes == 4)
		return;
	IBB_ASSERT(!hv_key(h, child, &k, NULL));
	if (l->kind == HV_LH)
		ibb_put_le32(e + 4, hv_name_hash(&k.name));
	else
		hv_name_hint(&k.name, e + 4);
}

static void set_count(struct ibb_hive *h, uint32_t list, uint32_t n)
{
	ibb_put_le16(hv_mut(h, list) + 2, (uint16_t)n);
}

/* Open a gap at i; the list's cell may move. */
static struct hv_list open_gap(struct ibb_hive *h, struct hv_list l, uint32_t i)
{
	uint8_t *p;

	l.off = hv_regrow(h, l.off, 4 + (l.n + 1) * l.elem_bytes, 4 + l.n * l.elem_bytes);
	p = hv_mut(h, l.off) + 4;
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
	memcpy(hv_mut(h, ret->off), sig[kind], 2);
	set_count(h, ret->off, n);
}

/* Tell who points to a leaf where it is. */
static void link_leaf(struct ibb_hive *h, uint32_t parent, const struct hv_pos *pos, uint32_t leaf)
{
	if (pos->is_ri)
		ibb_put_le32(hv_mut(h, pos->root) + 4 + 4 * (size_t)pos->leaf_i, leaf);
	else
		ibb_put_le32(hv_mut(h, parent) + NK_LIST, leaf);
}

/* Put a second leaf behind the one at pos, in the index root, which is made if need be. */
static void add_leaf(struct ibb_hive *h, uint32_t parent, struct hv_pos *pos, uint32_t leaf)
{
	struct hv_list root;

	if (!pos->is_ri) {
		new_list(h, HV_RI, 1, &root);
		ibb_put_le32(hv_mut(h, root.off) + 4, pos->leaf);
		pos->is_ri = true;
		pos->leaf_i = 0;
	} else {
		root = sound_list(h, pos->root, true);
	}
	root = open_gap(h, root, pos->leaf_i + 1);
	pos->root = root.off;
	ibb_put_le32(hv_mut(h, parent) + NK_LIST, root.off);
	ibb_put_le32(hv_mut(h, root.off) + 4 + 4 * (size_t)(pos->leaf_i + 1), leaf);
}

/* Split the leaf at pos and let pos name the half that the new subkey belongs to. */
static struct hv_list split_leaf(struct ibb_hive *h, uint32_t parent, struct hv_pos *pos,
				 struct hv_list l)
{
	/* names often come in order: then leave the old leaf full */
	uint32_t at = pos->i == l.n ? l.n - 1 : l.n / 2;
	struct hv_list tail;

	new_list(h, l.kind, l.n - at, &tail);
	memcpy(hv_mut(h, tail.off) + 4, hv_ptr(h, l.off) + 4 + (size_t)at * l.elem_bytes,
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
	uint8_t *nk = hv_mut(h, parent);
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
	uint8_t *p = hv_mut(h, l.off) + 4;

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

void hv_need_remove(struct hv_need *need)
{
	hv_need_regrow(need, 4 + 8ull * LEAF_MAX_LI);
}

static uint32_t leaf_max(const struct hv_list *l)
{
	return l->kind == HV_LI ? LEAF_MAX_LI : LEAF_MAX;
}

/*
 * Append the leaf behind `i` of an index root to the one at `i`, when both together are at most
 * half full: far enough from where leaves are split. True when it was done.
 */
static bool merge_leaves(struct ibb_hive *h, uint32_t root_off, uint32_t i)
{
	struct hv_list root = sound_list(h, root_off, true), a, b;

	if (i + 1 >= root.n)
		return false;
	a = sound_list(h, hv_elem(&root, i), false);
	b = sound_list(h, hv_elem(&root, i + 1), false);
	if (a.kind != b.kind || a.n + b.n > leaf_max(&a) / 2)
		return false;
	a.off = hv_regrow(h, a.off, 4 + (a.n + b.n) * a.elem_bytes, 4 + a.n * a.elem_bytes);
	memcpy(hv_mut(h, a.off) + 4 + (size_t)a.n * a.elem_bytes, hv_ptr(h, b.off) + 4,
	       (size_t)b.n * b.elem_bytes);
	set_count(h, a.off, a.n + b.n);
	hv_free(h, b.off);
	ibb_put_le32(hv_mut(h, root_off) + 4 + 4 * (size_t)i, a.off);
	drop_elem(h, sound_list(h, root_off, true), i + 1);
	return true;
}

/* An index root of one leaf is that leaf. */
static void collapse_root(struct ibb_hive *h, uint32_t parent, uint32_t root_off)
{
	struct hv_list root = sound_list(h, root_off, true);

	if (root.n > 1)
		return;
	ibb_put_le32(hv_mut(h, parent) + NK_LIST, hv_elem(&root, 0));
	hv_free(h, root_off);
}

void hv_list_remove(struct ibb_hive *h, uint32_t parent, const struct hv_pos *pos)
{
	bool empty = drop_elem(h, sound_list(h, pos->leaf, false), pos->i);
	uint8_t *nk;

	if (pos->is_ri) {
		if (empty)
			empty = drop_elem(h, sound_list(h, pos->root, true), pos->leaf_i);
		else if (!merge_leaves(h, pos->root, pos->leaf_i) && pos->leaf_i)
			merge_leaves(h, pos->root, pos->leaf_i - 1);
		if (!empty)
			collapse_root(h, parent, pos->root);
	}
	nk = hv_mut(h, parent);
	if (empty)
		ibb_put_le32(nk + NK_LIST, HV_NONE);
	ibb_put_le32(nk + NK_N_SUBKEYS, ibb_get_le32(nk + NK_N_SUBKEYS) - 1);
}
