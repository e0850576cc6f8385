/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cells: the map of where they are, allocation, release. */
#include "hive/hive_int.h"

#include <stdlib.h>
#include <string.h>

static uint64_t round_up(uint64_t n, uint32_t to)
{
	return (n + to - 1) / to * to;
}

static void set_start(struct ibb_hive *h, uint32_t off, bool on)
{
	uint64_t bit = (uint64_t)1 << (off / 8 % 64);

	if (on)
		h->starts[off / 512] |= bit;
	else
		h->starts[off / 512] &= ~bit;
}

static void put_size(struct ibb_hive *h, uint32_t off, int32_t size)
{
	ibb_put_le32(hv_mut_at(h, off), (uint32_t)size);
}

int hv_cell(const struct ibb_hive *h, uint32_t off, uint32_t min, const char *what,
	    const uint8_t **ret, uint32_t *ret_len, struct ibb_error *err)
{
	if (off >= h->bins_bytes)
		return hv_bad(h, off, err, "%s lies outside the hive (0x%x bytes)", what,
			      h->bins_bytes);
	if (!hv_is_start(h, off) || hv_raw_size(h, off) > 0)
		return hv_bad(h, off, err, "%s expected, but no allocated cell begins here", what);
	if (hv_capacity(h, off) < min)
		return hv_bad(h, off, err, "%s needs %u bytes, the cell holds %u", what, min,
			      hv_capacity(h, off));
	*ret = hv_ptr(h, off);
	if (ret_len)
		*ret_len = hv_capacity(h, off);
	return IBB_OK;
}

/* ---- the map ---- */

static int map_bin(struct ibb_hive *h, uint32_t bin, uint32_t size, struct ibb_error *err)
{
	uint32_t off = bin + HV_BIN_HEAD, end = bin + size;

	while (off < end) {
		int32_t raw = hv_raw_size(h, off);
		uint32_t n = raw < 0 ? 0u - (uint32_t)raw : (uint32_t)raw;

		if (n < 8 || n % 8 || n > end - off)
			return hv_bad(h, off, err, "cell size %d does not fit its bin at 0x%x", raw,
				      bin);
		set_start(h, off, true);
		off += n;
	}
	return IBB_OK;
}

int hv_map_bins(struct ibb_hive *h, struct ibb_error *err)
{
	uint32_t bin = 0;

	h->n_words = h->bins_bytes / 512;
	h->starts = ibb_calloc_array(h->n_words, sizeof(*h->starts));
	h->in_order = ibb_calloc_array(h->n_words, sizeof(*h->in_order));
	h->bins = ibb_calloc_array(h->bins_bytes / HV_PAGE / 64 + 1, sizeof(*h->bins));
	if (!h->starts || !h->in_order || !h->bins)
		return ibb_err_nomem(err);
	while (bin < h->bins_bytes) {
		const uint8_t *p = hv_at(h, bin);
		uint32_t size = ibb_get_le32(p + 8);
		int r;

		if (memcmp(p, "hbin", 4) != 0)
			return ibb_err(err, IBB_E_CORRUPT,
				       "hive %s: bin at 0x%x: no 'hbin' signature", h->name, bin);
		if (ibb_get_le32(p + 4) != bin)
			return ibb_err(err, IBB_E_CORRUPT,
				       "hive %s: bin at 0x%x: its header says 0x%x", h->name, bin,
				       ibb_get_le32(p + 4));
		if (!size || size % HV_BIN_ALIGN || size > h->bins_bytes - bin)
			return ibb_err(err, IBB_E_CORRUPT,
				       "hive %s: bin at 0x%x: size 0x%x is wrong (0x%x bytes are "
				       "left)",
				       h->name, bin, size, h->bins_bytes - bin);
		h->bins[bin / HV_PAGE / 64] |= (uint64_t)1 << (bin / HV_PAGE % 64);
		r = map_bin(h, bin, size, err);
		if (r)
			return r;
		bin += size;
	}
	return IBB_OK;
}

/* ---- the index of free cells ---- */

static unsigned class_of(uint32_t size)
{
	if (size <= HV_EXACT_CLASSES * 8)
		return size / 8 - 1;
	return HV_EXACT_CLASSES + 31u - (unsigned)__builtin_clz(size) - 10u;
}

void hv_classes_clear(struct ibb_hive *h)
{
	for (unsigned c = 0; c < HV_CLASSES; c++)
		free(h->classes[c].off);
	memset(h->classes, 0, sizeof(h->classes));
	h->n_entries = 0;
	h->indexed = false;
}

static void push(struct ibb_hive *h, uint32_t off, uint32_t size)
{
	struct hv_class *c = &h->classes[class_of(size)];

	if (ibb_grow(&c->off, &c->cap, c->n, sizeof(*c->off))) {
		h->indexed = false; /* built again by the next edit */
		return;
	}
	c->off[c->n++] = off;
	h->n_entries++;
}

static int build_index(struct ibb_hive *h, struct ibb_error *err)
{
	hv_classes_clear(h);
	h->indexed = true;
	for (size_t w = 0; w < h->bins_bytes / 512; w++) {
		for (uint64_t bits = h->starts[w]; bits; bits &= bits - 1) {
			uint32_t off = (uint32_t)(w * 512) + 8u * (uint32_t)__builtin_ctzll(bits);

			if (hv_raw_size(h, off) > 0)
				push(h, off, (uint32_t)hv_raw_size(h, off));
		}
	}
	return h->indexed ? IBB_OK : ibb_err_nomem(err);
}

/* A free cell of at least `size` bytes, taken off the index; HV_NONE. */
static uint32_t take_free(struct ibb_hive *h, uint32_t size)
{
	for (unsigned k = class_of(size); k < HV_CLASSES; k++) {
		struct hv_class *c = &h->classes[k];

		/* the newest first: cells that are made together stay together */
		for (size_t i = c->n; i-- > 0;) {
			uint32_t off = c->off[i];
			int32_t have = hv_is_start(h, off) ? hv_raw_size(h, off) : -1;
			bool valid = have > 0 && class_of((uint32_t)have) == k;

			if (valid && (uint32_t)have < size)
				continue;
			c->off[i] = c->off[--c->n];
			h->n_entries--;
			if (valid)
				return off;
		}
	}
	return HV_NONE;
}

/* ---- allocation ---- */

static uint64_t bin_size(uint64_t cell_bytes)
{
	return round_up(cell_bytes + HV_BIN_HEAD, HV_BIN_ALIGN);
}

static uint64_t with_slack(uint64_t len)
{
	return len + len / 8;
}

void hv_need_cell(struct hv_need *need, uint64_t len)
{
	/* at worst every cell gets a bin of its own */
	need->bytes += bin_size(round_up(len + 4, 8));
}

void hv_need_regrow(struct hv_need *need, uint64_t len)
{
	hv_need_cell(need, with_slack(len));
}

static int grow_map(struct ibb_hive *h, size_t cap, struct ibb_error *err)
{
	size_t n = (cap - HV_BASE + 511) / 512;
	uint64_t *p;

	if (n <= h->n_words)
		return IBB_OK;
	p = ibb_realloc_array(h->starts, n, sizeof(*p));
	if (!p)
		return ibb_err_nomem(err);
	memset(p + h->n_words, 0, (n - h->n_words) * sizeof(*p));
	h->starts = p;
	h->n_words = n;
	return IBB_OK;
}

int hv_reserve(struct ibb_hive *h, const struct hv_need *need, struct ibb_error *err)
{
	uint64_t want = (uint64_t)HV_BASE + h->bins_bytes + need->bytes;
	size_t cap;
	uint8_t *p;

	if (want > IBB_LIMIT_HIVE_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "hive %s: would grow beyond the limit of %u bytes",
			       h->name, IBB_LIMIT_HIVE_BYTES);
	if (want > h->cap) {
		cap = (size_t)want + h->bins_bytes / 16 + 65536;
		p = ibb_realloc_array(h->own, cap, 1);
		if (!p)
			return ibb_err_nomem(err);
		h->img = h->own = p;
		h->cap = cap;
	}
	if (grow_map(h, h->cap, err))
		return IBB_E_NOMEM;
	/* entries out of date are dropped now and then */
	if (h->indexed && h->n_entries <= 4096 + (size_t)h->bins_bytes / 64)
		return IBB_OK;
	return build_index(h, err);
}

static uint32_t append_bin(struct ibb_hive *h, uint32_t cell_bytes)
{
	uint32_t bin = h->bins_bytes, size = (uint32_t)bin_size(cell_bytes);
	uint8_t *p = hv_mut_at(h, bin);

	IBB_ASSERT(size <= h->cap - HV_BASE - bin && (bin + size) / 512 <= h->n_words);
	memset(p, 0, size);
	memcpy(p, "hbin", 4);
	ibb_put_le32(p + 4, bin);
	ibb_put_le32(p + 8, size);
	h->bins_bytes = bin + size;
	h->header.bins_bytes = h->bins_bytes;
	put_size(h, bin + HV_BIN_HEAD, (int32_t)(size - HV_BIN_HEAD));
	set_start(h, bin + HV_BIN_HEAD, true);
	return bin + HV_BIN_HEAD;
}

/* Cut a free cell to `size` and mark it allocated; the rest stays free. */
static void carve(struct ibb_hive *h, uint32_t off, uint32_t have, uint32_t size)
{
	put_size(h, off, -(int32_t)size);
	if (have > size) {
		put_size(h, off + size, (int32_t)(have - size));
		set_start(h, off + size, true);
		push(h, off + size, have - size);
	}
}

uint32_t hv_alloc(struct ibb_hive *h, uint32_t len)
{
	uint32_t size = (uint32_t)round_up((uint64_t)len + 4, 8);
	uint32_t off = take_free(h, size);

	if (off == HV_NONE)
		off = append_bin(h, size);
	carve(h, off, (uint32_t)hv_raw_size(h, off), size);
	memset(hv_mut(h, off), 0, size - 4);
	return off;
}

/* The start of the cell before `off`, or HV_NONE. */
static uint32_t previous(const struct ibb_hive *h, uint32_t off)
{
	size_t w = off / 512;
	uint64_t bits = h->starts[w] & (((uint64_t)1 << (off / 8 % 64)) - 1);

	while (!bits && w)
		bits = h->starts[--w];
	if (!bits)
		return HV_NONE;
	return (uint32_t)(w * 512) + 8u * (63u - (uint32_t)__builtin_clzll(bits));
}

void hv_free(struct ibb_hive *h, uint32_t off)
{
	uint32_t size = hv_capacity(h, off) + 4, next = off + size, prev = previous(h, off);

	/* behind the last cell of a bin comes a bin header, which is no start */
	if (hv_is_start(h, next) && hv_raw_size(h, next) > 0) {
		size += (uint32_t)hv_raw_size(h, next);
		set_start(h, next, false);
	}
	if (prev != HV_NONE && hv_raw_size(h, prev) > 0 &&
	    prev + (uint32_t)hv_raw_size(h, prev) == off) {
		set_start(h, off, false);
		size += off - prev;
		off = prev;
	}
	put_size(h, off, (int32_t)size);
	push(h, off, size);
}

/* Take what is missing from the free cell behind, if there is one. */
static bool extend(struct ibb_hive *h, uint32_t off, uint32_t len)
{
	uint32_t have = hv_capacity(h, off) + 4, next = off + have;
	uint32_t size = (uint32_t)round_up((uint64_t)len + 4, 8), all;

	if (!hv_is_start(h, next) || hv_raw_size(h, next) <= 0)
		return false;
	all = have + (uint32_t)hv_raw_size(h, next);
	if (all < size)
		return false;
	set_start(h, next, false);
	carve(h, off, all, size);
	memset(hv_mut(h, off) + have - 4, 0, size - have);
	return true;
}

uint32_t hv_regrow(struct ibb_hive *h, uint32_t off, uint32_t len, uint32_t used)
{
	uint32_t roomy = (uint32_t)with_slack(len), moved;

	if (hv_capacity(h, off) >= len || extend(h, off, roomy) || extend(h, off, len))
		return off;
	moved = hv_alloc(h, roomy);
	memcpy(hv_mut(h, moved), hv_ptr(h, off), used);
	hv_free(h, off);
	return moved;
}
