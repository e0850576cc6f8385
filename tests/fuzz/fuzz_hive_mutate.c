/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Damaging a hive on purpose, so that most of the damage hits something. */
#include "fuzz_hive.h"

#include "base/le.h"
#include "base/utf16.h"

#define MAX_CELLS 2048

/* What is mutated: cells by offset from the first bin, as far as their chain can be followed. */
struct hive_map {
	uint8_t *p; /* the file */
	size_t n, max;
	uint32_t bins; /* bytes of bins */
	uint64_t *rnd;
	uint32_t off[MAX_CELLS];
	unsigned n_cells;
};

static uint32_t rnd(struct hive_map *m, uint32_t below)
{
	return fuzz_rnd(m->rnd, below);
}

static uint8_t *at(struct hive_map *m, uint32_t off)
{
	return m->p + FUZZ_HIVE_BASE + off;
}

static int32_t raw_size(struct hive_map *m, uint32_t off)
{
	return (int32_t)ibb_get_le32(at(m, off));
}

/* Bytes behind the size field; 0 for what does not fit. */
static uint32_t room(struct hive_map *m, uint32_t off)
{
	int64_t raw = raw_size(m, off), size = raw < 0 ? -raw : raw;

	return size < 8 || size > m->bins - off ? 0 : (uint32_t)size - 4;
}

static void map_cells(struct hive_map *m)
{
	uint32_t bin = 0;

	m->bins = (uint32_t)((m->n - FUZZ_HIVE_BASE) / 4096 * 4096);
	m->n_cells = 0;
	while (bin < m->bins) {
		uint32_t size = ibb_get_le32(at(m, bin) + 8), off = bin + 32;

		if (!size || size % 4096 || size > m->bins - bin)
			size = 4096;
		while (off <= bin + size - 8 && m->n_cells < MAX_CELLS) {
			uint32_t n = room(m, off);

			m->off[m->n_cells++] = off;
			off += n && n % 8 == 4 ? n + 4 : size;
		}
		bin += size;
	}
}

static bool is(struct hive_map *m, uint32_t off, const char *sig)
{
	return raw_size(m, off) < 0 && room(m, off) >= 20 && !memcmp(at(m, off) + 4, sig, 2);
}

/* Some cell; with a signature one that has it, if chance finds it. */
static uint32_t pick(struct hive_map *m, const char *sig)
{
	uint32_t off = m->off[rnd(m, m->n_cells)];

	for (unsigned i = 0; i < 16 && sig && !is(m, off, sig); i++)
		off = m->off[rnd(m, m->n_cells)];
	return off;
}

/* Fields that matter, by signature: where, how wide, what they refer to (NULL: a number). */
static const struct field {
	char sig[3];
	uint8_t off, width;
	const char *to;
} fields[] = {
	{"nk", 2, 2, NULL},  {"nk", 16, 4, "nk"}, {"nk", 20, 4, NULL}, {"nk", 24, 4, NULL},
	{"nk", 28, 4, "lh"}, {"nk", 28, 4, "ri"}, {"nk", 32, 4, "lh"}, {"nk", 36, 4, NULL},
	{"nk", 40, 4, ""},   {"nk", 44, 4, "sk"}, {"nk", 48, 4, ""},   {"nk", 52, 4, NULL},
	{"nk", 60, 4, NULL}, {"nk", 64, 4, NULL}, {"nk", 72, 2, NULL}, {"nk", 74, 2, NULL},
	{"vk", 2, 2, NULL},  {"vk", 4, 4, NULL},  {"vk", 8, 4, ""},    {"vk", 8, 4, "db"},
	{"vk", 12, 4, NULL}, {"vk", 16, 2, NULL}, {"sk", 4, 4, "sk"},  {"sk", 8, 4, "sk"},
	{"sk", 12, 4, NULL}, {"sk", 16, 4, NULL}, {"lh", 2, 2, NULL},  {"lf", 2, 2, NULL},
	{"li", 2, 2, NULL},  {"ri", 2, 2, NULL},  {"ri", 4, 4, "lh"},  {"ri", 8, 4, "lh"},
	{"lh", 4, 4, "nk"},  {"lf", 4, 4, "nk"},  {"li", 4, 4, "nk"},  {"db", 2, 2, NULL},
	{"db", 4, 4, ""},
};

static uint32_t number(struct hive_map *m, uint32_t old, uint32_t cell)
{
	static const uint32_t edges[] = {0,	4,	5,	    8,		255,   256,
					 507,	508,	512,	    513,	16343, 16344,
					 16345, 0xffff, 0x80000000, 0x80000004, 32688, 0xffffffff};

	switch (rnd(m, 6)) {
	case 0:
		return edges[rnd(m, IBB_ARRAY_SIZE(edges))];
	case 1:
		return old ^ 1u << rnd(m, 32);
	case 2:
		return room(m, cell) - rnd(m, 90);
	case 3:
		return rnd(m, 16);
	default:
		return old + rnd(m, 9) - 4;
	}
}

static void change_field(struct hive_map *m)
{
	const struct field *f = &fields[rnd(m, IBB_ARRAY_SIZE(fields))];
	uint32_t cell = pick(m, f->sig), v;
	uint8_t *p;

	if (!is(m, cell, f->sig) || f->off + 4u > room(m, cell))
		return;
	p = at(m, cell) + 4 + f->off;
	if (f->to)
		v = rnd(m, 8) ? pick(m, *f->to ? f->to : NULL) : number(m, ibb_get_le32(p), cell);
	else
		v = number(m, f->width == 2 ? ibb_get_le16(p) : ibb_get_le32(p), cell);
	if (f->width == 2)
		ibb_put_le16(p, (uint16_t)v);
	else
		ibb_put_le32(p, v);
}

/* Split, join, free or allocate a cell, mostly so that the chain still holds. */
static void change_size(struct hive_map *m)
{
	uint32_t off = m->off[rnd(m, m->n_cells)], size = room(m, off) + 4, cut;
	int32_t sign = raw_size(m, off) < 0 ? -1 : 1;

	switch (rnd(m, 4)) {
	case 0:
		if (size < 24)
			return;
		cut = 8 * (1 + rnd(m, size / 8 - 1));
		ibb_put_le32(at(m, off), (uint32_t)(sign * (int32_t)cut));
		ibb_put_le32(at(m, off + cut),
			     (uint32_t)((rnd(m, 2) ? 1 : -1) * (int32_t)(size - cut)));
		return;
	case 1:
		if (off + size <= m->bins - 8 && room(m, off + size))
			ibb_put_le32(at(m, off),
				     (uint32_t)(sign * (int32_t)(size + 4 + room(m, off + size))));
		return;
	case 2:
		ibb_put_le32(at(m, off), 0u - (uint32_t)raw_size(m, off));
		return;
	default:
		ibb_put_le32(at(m, off), number(m, (uint32_t)raw_size(m, off), off));
	}
}

static void copy_cell(struct hive_map *m)
{
	uint32_t from = m->off[rnd(m, m->n_cells)], to = m->off[rnd(m, m->n_cells)];
	uint32_t n = room(m, from) < room(m, to) ? room(m, from) : room(m, to);

	memmove(at(m, to) + 4, at(m, from) + 4, n);
}

static void swap_elements(struct hive_map *m)
{
	uint32_t off = m->off[rnd(m, m->n_cells)], n = room(m, off) / 4, a, b, v;

	if (n < 2)
		return;
	a = 4 + 4 * rnd(m, n);
	b = 4 + 4 * rnd(m, n);
	v = ibb_get_le32(at(m, off) + a);
	ibb_put_le32(at(m, off) + a, ibb_get_le32(at(m, off) + b));
	ibb_put_le32(at(m, off) + b, v);
}

static void change_bytes(struct hive_map *m)
{
	uint32_t off = m->off[rnd(m, m->n_cells)], n = room(m, off), from = rnd(m, n);

	n = n - from < 64 ? n - from : 64;
	if (n)
		LLVMFuzzerMutate(at(m, off) + 4 + from, n, n);
}

/* One character of the name of a key or value. */
static void change_name(struct hive_map *m)
{
	static const uint8_t chars[] = {0, 'a', 'A', 'z', '\\', '_', 0x5f, 0xe4, 0xc4, 0xff, 0xd8};
	bool key = rnd(m, 2);
	uint32_t off = pick(m, key ? "nk" : "vk"), from = key ? 76 : 20, n;

	n = room(m, off) > from ? room(m, off) - from : 0;
	if (n)
		at(m, off)[4 + from + rnd(m, n)] = chars[rnd(m, sizeof(chars))];
}

static void change_base(struct hive_map *m)
{
	switch (rnd(m, 4)) {
	case 0:
		ibb_put_le32(m->p + 24, 3 + rnd(m, 4));
		return;
	case 1:
		ibb_put_le32(m->p + 36, pick(m, "nk"));
		return;
	case 2:
		ibb_put_le32(m->p + 40, 4096 * rnd(m, m->bins / 4096 + 2));
		return;
	default:
		LLVMFuzzerMutate(m->p + rnd(m, 500), 8, 8);
	}
}

/* One more bin: empty, or the copy of a page that is there. */
static void add_bin(struct hive_map *m)
{
	uint32_t bin = m->bins;

	if (m->max < 4096 || FUZZ_HIVE_BASE + bin > m->max - 4096)
		return;
	memset(at(m, bin), 0, 4096);
	if (bin && rnd(m, 2))
		memcpy(at(m, bin), at(m, 4096 * rnd(m, bin / 4096)), 4096);
	else
		ibb_put_le32(at(m, bin) + 32, rnd(m, 2) ? 4064 : (uint32_t)-4064);
	memcpy(at(m, bin), "hbin", 4);
	ibb_put_le32(at(m, bin) + 4, bin);
	ibb_put_le32(at(m, bin) + 8, 4096);
	m->n = FUZZ_HIVE_BASE + bin + 4096;
	ibb_put_le32(m->p + 40, bin + 4096);
}

static void drop_bin(struct hive_map *m)
{
	if (m->bins < 8192)
		return;
	m->n = FUZZ_HIVE_BASE + m->bins - 4096;
	ibb_put_le32(m->p + 40, m->bins - 4096);
}

/* ---- repair ---- */

static uint32_t name_hash(const uint8_t *nk, uint32_t n, bool latin1)
{
	uint32_t hash = 0;

	for (uint32_t i = 0; i < n; i += latin1 ? 1 : 2)
		hash = hash * 37 + ibb_upcase(latin1 ? nk[76 + i] : ibb_get_le16(nk + 76 + i));
	return hash;
}

static void fix_element(struct hive_map *m, uint8_t *e, bool lh)
{
	uint32_t child = ibb_get_le32(e), n;
	const uint8_t *nk;
	bool latin1;

	if (child % 8 || child > m->bins - 8 || !is(m, child, "nk") || room(m, child) < 76)
		return;
	nk = at(m, child) + 4;
	latin1 = nk[2] & 0x20;
	n = ibb_get_le16(nk + 72);
	if (!latin1)
		n &= ~1u;
	if (n <= room(m, child) - 76)
		ibb_put_le32(e + 4, lh ? name_hash(nk, n, latin1) : 0 /* no hint */);
}

static void fix_hashes(struct hive_map *m)
{
	for (unsigned i = 0; i < m->n_cells; i++) {
		uint32_t off = m->off[i], n;
		bool lh = is(m, off, "lh");

		if (!lh && !is(m, off, "lf"))
			continue;
		n = ibb_get_le16(at(m, off) + 6);
		for (uint32_t k = 0; k < n && 4 + 8 * (k + 1) <= room(m, off); k++)
			fix_element(m, at(m, off) + 8 + 8 * (size_t)k, lh);
	}
}

static void fix_refs(struct hive_map *m)
{
	for (unsigned i = 0; i < m->n_cells; i++)
		if (is(m, m->off[i], "sk"))
			ibb_put_le32(at(m, m->off[i]) + 16, 0);
	for (unsigned i = 0; i < m->n_cells; i++) {
		uint32_t off = m->off[i], sk;

		if (!is(m, off, "nk") || room(m, off) < 76)
			continue;
		sk = ibb_get_le32(at(m, off) + 48);
		if (sk % 8 == 0 && sk <= m->bins - 8 && is(m, sk, "sk"))
			ibb_put_le32(at(m, sk) + 16, ibb_get_le32(at(m, sk) + 16) + 1);
	}
}

size_t fuzz_mutate_hive(uint8_t *p, size_t n, size_t max, uint64_t *state)
{
	static void (*const ways[])(struct hive_map *) = {
		change_field,  change_field, change_field, change_size, change_size, copy_cell,
		swap_elements, change_bytes, change_name,  change_base, add_bin,     drop_bin};
	static struct hive_map m; /* large */

	if (n < FUZZ_HIVE_BASE + 4096 || n > max)
		return LLVMFuzzerMutate(p, n, max);
	m.p = p;
	m.n = n;
	m.max = max;
	m.rnd = state;
	for (unsigned i = 1 + rnd(&m, 4); i--;) {
		map_cells(&m);
		ways[rnd(&m, IBB_ARRAY_SIZE(ways))](&m);
	}
	map_cells(&m);
	if (rnd(&m, 2))
		fix_hashes(&m);
	if (rnd(&m, 2))
		fix_refs(&m);
	if (rnd(&m, 8))
		fuzz_fix_checksum(p);
	return m.n;
}
