/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkcorpus.h"

#include <string.h>

#include "base/le.h"
#include "fuzz_hive.h"

#define NONE	0xffffffffu
#define MAX_SK	64
#define MAX_SUB 4096

struct cut {
	const uint8_t *bins; /* of the source */
	uint32_t n_bins;
	const struct cut_how *how;
	uint8_t *out; /* a file of CUT_MAX bytes */
	uint32_t used, bin_end;
	uint32_t sk_old[MAX_SK], sk_new[MAX_SK], sk_refs[MAX_SK];
	unsigned n_sk;
	bool big_done;
};

/* The data of an allocated cell, or NULL. */
static const uint8_t *cell(const struct cut *c, uint32_t off, uint32_t min, uint32_t *ret_len)
{
	int64_t n;

	if (off % 8 || off < 32 || off > c->n_bins - 8)
		return NULL;
	n = -(int64_t)(int32_t)ibb_get_le32(c->bins + off);
	if (n < 8 || n > c->n_bins - off || (uint64_t)n < min + 4ull)
		return NULL;
	*ret_len = (uint32_t)n - 4;
	return c->bins + off + 4;
}

static uint8_t *out_at(struct cut *c, uint32_t off)
{
	return c->out + FUZZ_HIVE_BASE + off + 4;
}

static void free_rest(struct cut *c)
{
	if (c->bin_end > c->used)
		ibb_put_le32(c->out + FUZZ_HIVE_BASE + c->used, c->bin_end - c->used);
	c->used = c->bin_end;
}

static bool fits(const struct cut *c, uint32_t len)
{
	return FUZZ_HIVE_BASE + c->bin_end + len + 8192 <= CUT_MAX;
}

/* A new cell, as Windows lays them out: in bins of 4096 bytes, larger ones for large cells. */
static uint32_t put(struct cut *c, const void *p, uint32_t len)
{
	uint32_t size = (len + 4 + 7) / 8 * 8, off;
	uint8_t *bin;

	if (c->bin_end - c->used < size) {
		free_rest(c);
		bin = c->out + FUZZ_HIVE_BASE + c->bin_end;
		FUZZ_CHECK(fits(c, len), "the seed gets too large");
		memcpy(bin, "hbin", 4);
		ibb_put_le32(bin + 4, c->bin_end);
		ibb_put_le32(bin + 8, (size + 32 + 4095) / 4096 * 4096);
		c->used = c->bin_end + 32;
		c->bin_end += ibb_get_le32(bin + 8);
	}
	off = c->used;
	ibb_put_le32(c->out + FUZZ_HIVE_BASE + off, (uint32_t) - (int32_t)size);
	memcpy(out_at(c, off), p, len);
	c->used += size;
	return off;
}

/* Room for these bytes, and not over the budget. */
static bool affordable(const struct cut *c, uint32_t len)
{
	return c->used + len <= c->how->budget && fits(c, len);
}

static uint32_t copy_sk(struct cut *c, uint32_t off)
{
	uint32_t len;
	const uint8_t *p = cell(c, off, 20, &len);
	unsigned i = 0;

	while (i < c->n_sk && c->sk_old[i] != off)
		i++;
	if (!p || i == MAX_SK || (i == c->n_sk && !fits(c, len)))
		i = 0; /* the root's */
	FUZZ_CHECK(p || c->n_sk, "the key has no security cell");
	if (i == c->n_sk) {
		c->sk_old[i] = off;
		c->sk_new[i] = put(c, p, len);
		c->n_sk++;
	}
	c->sk_refs[i]++;
	return c->sk_new[i];
}

static void link_sk(struct cut *c)
{
	for (unsigned i = 0; i < c->n_sk; i++) {
		uint8_t *p = out_at(c, c->sk_new[i]);

		ibb_put_le32(p + 4, c->sk_new[(i + 1) % c->n_sk]);
		ibb_put_le32(p + 8, c->sk_new[(i + c->n_sk - 1) % c->n_sk]);
		ibb_put_le32(p + 12, c->sk_refs[i]);
	}
}

/* ---- values ---- */

static uint32_t put_big(struct cut *c, uint32_t *ret_size)
{
	static uint8_t data[16344];
	uint8_t list[8], db[8] = {'d', 'b', 2, 0};

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	ibb_put_le32(list, put(c, data, sizeof(data)));
	ibb_put_le32(list + 4, put(c, data, 600));
	ibb_put_le32(db + 4, put(c, list, sizeof(list)));
	*ret_size = sizeof(data) + 600;
	return put(c, db, sizeof(db));
}

/* Big data of the source: the record, the list, the segments. */
static uint32_t copy_big(struct cut *c, const uint8_t *db)
{
	uint32_t n = ibb_get_le16(db + 2), len, list, new_db;
	const uint8_t *p = cell(c, ibb_get_le32(db + 4), 4 * n, &len), *seg;

	if (!p || n > 4)
		return NONE;
	list = put(c, p, len);
	for (uint32_t i = 0; i < n; i++) {
		seg = cell(c, ibb_get_le32(p + 4 * (size_t)i), 0, &len);
		if (!seg || !affordable(c, len))
			return NONE;
		ibb_put_le32(out_at(c, list) + 4 * (size_t)i, put(c, seg, len));
	}
	new_db = put(c, db, 12);
	ibb_put_le32(out_at(c, new_db) + 4, list);
	return new_db;
}

static uint32_t copy_data(struct cut *c, uint32_t vk)
{
	uint32_t size = ibb_get_le32(out_at(c, vk) + 4), len, data;
	const uint8_t *p = cell(c, ibb_get_le32(out_at(c, vk) + 8), 0, &len);

	if (!p || !affordable(c, len))
		return NONE;
	if (size > 16344 && len >= 12 && !memcmp(p, "db", 2))
		data = copy_big(c, p);
	else
		data = put(c, p, len);
	if (c->how->big && !c->big_done && data != NONE) {
		c->big_done = true;
		data = put_big(c, &size);
		ibb_put_le32(out_at(c, vk) + 4, size);
	}
	ibb_put_le32(out_at(c, vk) + 8, data);
	return data;
}

/* NONE when it is damaged or does not fit. */
static uint32_t copy_value(struct cut *c, uint32_t off)
{
	uint32_t len, vk, size;
	const uint8_t *p = cell(c, off, 20, &len);

	if (!p || !affordable(c, len))
		return NONE;
	vk = put(c, p, len);
	size = ibb_get_le32(p + 4);
	if (size && !(size & 0x80000000) && copy_data(c, vk) == NONE)
		return NONE; /* its cell stays behind: Windows leaves some, too */
	return vk;
}

static void copy_values(struct cut *c, uint32_t nk)
{
	uint32_t n = ibb_get_le32(out_at(c, nk) + 36), len, list = NONE, got = 0, vk;
	const uint8_t *p = cell(c, ibb_get_le32(out_at(c, nk) + 40), 4, &len);

	if (n && p && n <= len / 4 && affordable(c, len)) {
		list = put(c, p, len);
		for (uint32_t i = 0; i < n; i++) {
			vk = copy_value(c, ibb_get_le32(p + 4 * (size_t)i));
			if (vk != NONE)
				ibb_put_le32(out_at(c, list) + 4 * (size_t)got++, vk);
		}
	}
	/* an empty list would be left over */
	ibb_put_le32(out_at(c, nk) + 36, got);
	ibb_put_le32(out_at(c, nk) + 40, got ? list : NONE);
}

/* ---- subkeys ---- */

struct subkey {
	uint32_t off, hint, leaf;
	uint8_t kind[2];
};

static void gather(const struct cut *c, uint32_t off, uint32_t leaf, struct subkey *ret,
		   unsigned *n)
{
	uint32_t len, count, width;
	const uint8_t *p = cell(c, off, 4, &len);

	if (!p)
		return;
	count = ibb_get_le16(p + 2);
	width = !memcmp(p, "lf", 2) || !memcmp(p, "lh", 2) ? 8 : 4;
	for (uint32_t i = 0; i < count && 4 + width * (i + 1) <= len && *n < MAX_SUB; i++) {
		const uint8_t *e = p + 4 + (size_t)width * i;

		if (!memcmp(p, "ri", 2) && leaf == NONE)
			gather(c, ibb_get_le32(e), i, ret, n);
		else
			ret[(*n)++] = (struct subkey){ibb_get_le32(e),
						      width == 8 ? ibb_get_le32(e + 4) : 0,
						      leaf,
						      {p[0], p[1]}};
	}
}

static uint32_t put_leaf(struct cut *c, const struct subkey *s, unsigned n)
{
	const char *kind = *c->how->list ? c->how->list : (const char *)s->kind;
	bool hashed = !strncmp(kind, "lf", 2) || !strncmp(kind, "lh", 2);
	uint8_t list[4 + 8 * MAX_SUB];
	uint32_t width = hashed ? 8 : 4;

	memcpy(list, kind, 2);
	ibb_put_le16(list + 2, (uint16_t)n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *e = list + 4 + (size_t)width * i;

		ibb_put_le32(e, s[i].off);
		if (!hashed)
			continue;
		ibb_put_le32(e + 4, *c->how->list ? 0 : s[i].hint);
		if (*c->how->list) /* "lf": the first characters, if they are of one byte each */
			memcpy(e + 4, out_at(c, s[i].off) + 76,
			       out_at(c, s[i].off)[2] & 0x20 ? 4 : 0);
	}
	return put(c, list, 4 + width * n);
}

/* How many of these go into one leaf. */
static unsigned leaf_length(const struct cut *c, const struct subkey *s, unsigned n)
{
	unsigned k = 1;

	if (c->how->leaf)
		return n < c->how->leaf ? n : c->how->leaf;
	while (k < n && s[k].leaf == s[0].leaf)
		k++;
	return k;
}

static uint32_t put_lists(struct cut *c, const struct subkey *s, unsigned n)
{
	bool root = c->how->leaf || s[0].leaf != NONE;
	uint8_t ri[4 + 4 * 64] = {'r', 'i'};
	uint32_t leaves = 0;

	if (!root)
		return put_leaf(c, s, n);
	for (unsigned i = 0, k; i < n && leaves < 64; i += k) {
		k = leaf_length(c, s + i, n - i);
		ibb_put_le32(ri + 4 + 4 * (size_t)leaves++, put_leaf(c, s + i, k));
	}
	ibb_put_le16(ri + 2, (uint16_t)leaves);
	return put(c, ri, 4 + 4 * leaves);
}

static uint32_t copy_key(struct cut *c, uint32_t off, uint32_t parent, unsigned depth);

static void copy_subkeys(struct cut *c, uint32_t nk, uint32_t old_list, unsigned depth)
{
	struct subkey *s = calloc(MAX_SUB, sizeof(*s));
	unsigned n = 0, got = 0, max = c->how->max_subkeys;

	FUZZ_CHECK(s, "out of memory");
	if (ibb_get_le32(out_at(c, nk) + 20) && depth < 32)
		gather(c, old_list, NONE, s, &n);
	for (unsigned i = 0; i < n && (!max || got < max); i++) {
		struct subkey one = s[i];

		one.off = copy_key(c, one.off, nk, depth + 1);
		if (one.off != NONE)
			s[got++] = one;
	}
	ibb_put_le32(out_at(c, nk) + 20, got);
	ibb_put_le32(out_at(c, nk) + 28, got ? put_lists(c, s, got) : NONE);
	free(s);
}

static void copy_class(struct cut *c, uint32_t nk)
{
	uint32_t n = ibb_get_le16(out_at(c, nk) + 74), len;
	const uint8_t *p = n ? cell(c, ibb_get_le32(out_at(c, nk) + 48), n, &len) : NULL;

	if (c->how->classes) {
		p = (const uint8_t *)"c\0l\0a\0s\0s";
		n = len = 10;
	}
	if (!p || !fits(c, len))
		n = 0;
	ibb_put_le16(out_at(c, nk) + 74, (uint16_t)n);
	ibb_put_le32(out_at(c, nk) + 48, n ? put(c, p, len) : NONE);
}

static uint32_t copy_key(struct cut *c, uint32_t off, uint32_t parent, unsigned depth)
{
	uint32_t len, nk, list, sk;
	const uint8_t *p = cell(c, off, 76, &len);

	if (!p || memcmp(p, "nk", 2) != 0 || (depth && !affordable(c, len + 1024)))
		return NONE;
	nk = put(c, p, len);
	list = ibb_get_le32(p + 28);
	ibb_put_le32(out_at(c, nk) + 16, parent);
	ibb_put_le32(out_at(c, nk) + 24, 0);
	ibb_put_le32(out_at(c, nk) + 32, NONE);
	if (!depth) /* the root of a hive, which is not to be deleted */
		out_at(c, nk)[2] |= 0x0c;
	sk = copy_sk(c, ibb_get_le32(p + 44));
	ibb_put_le32(out_at(c, nk) + 44, sk);
	copy_class(c, nk);
	copy_values(c, nk);
	if (c->how->leak)
		put(c, "nobody's", 8);
	copy_subkeys(c, nk, list, depth);
	return nk;
}

int cut_hive(struct ibb_bytes hive, uint32_t key, const struct cut_how *how, struct ibb_buf *ret)
{
	struct cut c = {.bins = hive.data + FUZZ_HIVE_BASE, .how = how};
	uint32_t root;

	c.out = ibb_zalloc(CUT_MAX);
	FUZZ_CHECK(c.out, "out of memory");
	c.n_bins = (uint32_t)(hive.len - FUZZ_HIVE_BASE);
	memcpy(c.out, hive.data, FUZZ_HIVE_BASE);
	root = copy_key(&c, key, NONE, 0);
	if (root == NONE) {
		free(c.out);
		return -1;
	}
	free_rest(&c);
	link_sk(&c);
	memcpy(c.out + FUZZ_HIVE_BASE + 20, c.bins + 20, 8); /* its time */
	ibb_put_le32(c.out + 36, root);
	ibb_put_le32(c.out + 40, c.bin_end);
	if (how->minor)
		ibb_put_le32(c.out + 24, how->minor);
	fuzz_repair_base(c.out, FUZZ_HIVE_BASE + c.bin_end);
	*ret = (struct ibb_buf){c.out, FUZZ_HIVE_BASE + c.bin_end, CUT_MAX};
	return 0;
}
