/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The proof that every reachable cell is sound and used once. */
#include "hive/hive_int.h"

#include <stdlib.h>
#include <string.h>

struct sk_count {
	uint32_t off, stored, found;
};

struct check {
	const struct ibb_hive *h;
	uint64_t *used; /* one bit per 8 bytes, as h->starts */
	struct sk_count *sk;
	size_t n_sk, cap_sk, last_sk;
	struct ibb_hive_check sum;
};

static int claim(struct check *c, uint32_t off, const char *what, struct ibb_error *err)
{
	uint64_t bit = (uint64_t)1 << (off / 8 % 64);

	if (c->used[off / 512] & bit)
		return hv_bad(c->h, off, err, "used twice, the second time as %s", what);
	c->used[off / 512] |= bit;
	return IBB_OK;
}

static int by_offset(const void *a, const void *b)
{
	const struct sk_count *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

/* Follow the ring from the root's cell; claim() ends it when it does not close. */
static int check_ring(struct check *c, uint32_t start, struct ibb_error *err)
{
	uint32_t off = start, from = HV_NONE;
	struct hv_sk sk, first;
	int r = hv_sk(c->h, start, &first, err);

	while (!r) {
		r = hv_sk(c->h, off, &sk, err);
		if (!r && from != HV_NONE && sk.blink != from)
			r = hv_bad(c->h, off, err,
				   "security cell: previous is 0x%x, should be 0x%x", sk.blink,
				   from);
		if (!r && off == start && from != HV_NONE)
			break;
		if (!r)
			r = claim(c, off, "security descriptor", err);
		if (!r && ibb_grow(&c->sk, &c->cap_sk, c->n_sk, sizeof(*c->sk)))
			r = ibb_err_nomem(err);
		if (r)
			break;
		c->sk[c->n_sk++] = (struct sk_count){off, sk.refs, 0};
		from = off;
		off = sk.flink;
	}
	if (!r)
		qsort(c->sk, c->n_sk, sizeof(*c->sk), by_offset);
	return r;
}

static int count_sk(struct check *c, const struct hv_key *k, struct ibb_error *err)
{
	struct sk_count want = {.off = hv_key_u32(k, NK_SECURITY)}, *found;

	if (c->sk[c->last_sk].off != want.off) {
		found = bsearch(&want, c->sk, c->n_sk, sizeof(*c->sk), by_offset);
		if (!found)
			return hv_bad(c->h, k->off, err,
				      "key's security cell 0x%x is not in the ring of the root key",
				      want.off);
		c->last_sk = (size_t)(found - c->sk);
	}
	c->sk[c->last_sk].found++;
	return IBB_OK;
}

static int check_big(struct check *c, const struct hv_value *v, struct ibb_error *err)
{
	const uint8_t *segments;
	uint32_t n, list;
	int r = hv_big(c->h, v, &segments, &n, &list, err);

	if (!r)
		r = claim(c, list, "list of big data segments", err);
	for (uint32_t i = 0; !r && i < n; i++)
		r = claim(c, ibb_get_le32(segments + 4 * (size_t)i), "big data segment", err);
	if (!r)
		c->sum.big_values++;
	return r;
}

static int check_values(struct check *c, const struct hv_key *k, struct ibb_error *err)
{
	const uint8_t *list;
	struct hv_value v;
	uint32_t n;
	int r = hv_values(c->h, k, &list, &n, err);

	if (r || !n)
		return r;
	r = claim(c, hv_key_u32(k, NK_VALUES), "value list", err);
	for (uint32_t i = 0; !r && i < n; i++) {
		r = hv_value(c->h, ibb_get_le32(list + 4 * (size_t)i), &v, err);
		if (!r)
			r = claim(c, v.off, "value", err);
		if (!r && v.data_cell != HV_NONE)
			r = claim(c, v.data_cell, "value data", err);
		if (!r && v.big)
			r = check_big(c, &v, err);
		c->sum.values++;
	}
	return r;
}

static int check_class(struct check *c, const struct hv_key *k, struct ibb_error *err)
{
	struct ibb_bytes class;
	int r = hv_class(c->h, k, &class, err);

	return r || !class.len ? r : claim(c, hv_key_u32(k, NK_CLASS), "class name", err);
}

static int check_key(struct check *c, const struct hv_key *k, unsigned depth,
		     struct ibb_error *err);

static int check_subkeys(struct check *c, const struct hv_key *k, unsigned depth,
			 struct ibb_error *err)
{
	struct hv_key child;
	struct hv_iter it;
	uint32_t leaf = HV_NONE;
	int r = hv_iter_begin(&it, c->h, k, err);

	if (!r && it.root.n)
		r = claim(c, it.root.off, "subkey list", err);
	while (!r) {
		r = hv_iter_next(&it, &child, err);
		if (r || child.off == HV_NONE)
			break;
		if (it.leaf.off != leaf && it.leaf.off != it.root.off)
			r = claim(c, it.leaf.off, "subkey list", err);
		leaf = it.leaf.off;
		if (!r && !hv_iter_hash_ok(&it, &child))
			r = hv_bad(c->h, it.leaf.off, err, "hash of subkey list entry %u is wrong",
				   it.leaf_i - 1);
		if (!r)
			r = check_key(c, &child, depth + 1, err);
	}
	return r;
}

static int check_key(struct check *c, const struct hv_key *k, unsigned depth, struct ibb_error *err)
{
	int r;

	if (depth > IBB_LIMIT_HIVE_DEPTH)
		return hv_bad(c->h, k->off, err, "keys are nested deeper than %u levels",
			      IBB_LIMIT_HIVE_DEPTH);
	c->sum.keys++;
	r = claim(c, k->off, "key", err);
	if (!r)
		r = count_sk(c, k, err);
	if (!r)
		r = check_class(c, k, err);
	if (!r)
		r = check_values(c, k, err);
	return r ? r : check_subkeys(c, k, depth, err);
}

/*
 * A count that is too high only wastes a cell; one too low would let a cell in use be freed, and
 * an absurd one would wrap around.
 */
static int check_refs(struct check *c, struct ibb_error *err)
{
	for (size_t i = 0; i < c->n_sk; i++) {
		const struct sk_count *s = &c->sk[i];

		c->sum.excess_counts += s->found < s->stored;
		if (s->found > s->stored || s->stored > INT32_MAX)
			return hv_bad(c->h, s->off, err, "security cell says %u keys use it, %u do",
				      s->stored, s->found);
	}
	c->sum.security_cells = c->n_sk;
	return IBB_OK;
}

static void count_rest(struct check *c)
{
	const struct ibb_hive *h = c->h;

	for (size_t w = 0; w < h->bins_bytes / 512; w++) {
		for (uint64_t bits = h->starts[w]; bits; bits &= bits - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(bits);
			uint32_t off = (uint32_t)(w * 512) + 8 * bit;

			if (hv_raw_size(h, off) > 0)
				c->sum.free_bytes += (uint32_t)hv_raw_size(h, off);
			else
				c->sum.leaked_cells += !(c->used[w] >> bit & 1);
		}
	}
}

static int check_all(const struct ibb_hive *h, struct check *c, struct ibb_error *err)
{
	struct hv_key root;
	int r = hv_key(h, h->header.root_cell, &root, err);

	if (r)
		return r;
	c->h = h;
	c->used = ibb_calloc_array(h->bins_bytes / 512, sizeof(*c->used));
	if (!c->used)
		return ibb_err_nomem(err);
	r = check_ring(c, hv_key_u32(&root, NK_SECURITY), err);
	if (!r)
		r = check_key(c, &root, 1, err);
	return r ? r : check_refs(c, err);
}

static void clear(struct check *c)
{
	free(c->used);
	free(c->sk);
}

int ibb_hive_check(const struct ibb_hive *h, struct ibb_hive_check *ret, struct ibb_error *err)
{
	struct check c = {0};
	int r = check_all(h, &c, err);

	if (!r) {
		count_rest(&c);
		*ret = c.sum;
	}
	clear(&c);
	return r;
}

static int note_excess(struct ibb_hive *h, const struct check *c, struct ibb_error *err)
{
	struct hv_excess *list = ibb_calloc_array(c->n_sk, sizeof(*list));
	size_t n = 0;

	if (!list)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < c->n_sk; i++)
		if (c->sk[i].stored != c->sk[i].found)
			list[n++] =
				(struct hv_excess){c->sk[i].off, c->sk[i].stored - c->sk[i].found};
	free(h->excess);
	h->excess = list;
	h->n_excess = n;
	return IBB_OK;
}

int hv_begin_edit(struct ibb_hive *h, struct ibb_error *err)
{
	struct check c = {0};
	int r;

	if (h->sound && h->before)
		return IBB_OK;
	if (!h->own || h->now)
		return ibb_err(err, IBB_E_INVALID, "hive %s: is open for reading only", h->name);
	r = check_all(h, &c, err);
	if (!r)
		r = note_excess(h, &c, err);
	if (!r)
		r = hv_keep_before(h, err);
	if (!r)
		h->sound = true;
	clear(&c);
	return r;
}
