/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What of a disk libvhdi is asked for: a few pieces, and not where it is known to be wrong. Those
 * cases were found in version 20210425, and each is reproduced by test_second_opinion.c:
 *
 * - Differencing VHD: the bit of a sector is taken as set when a bit before it in its byte is (the
 *   byte is shifted, not masked), so the parent's sectors behind a child's in a group of eight are
 *   read from the child. Left out: groups where a clear bit follows a set one.
 * - Differencing VHD with blocks below 2 MiB: the clear bits that fill a bitmap's last sector are
 *   counted as sectors, so a read from the end of a block into the next one takes what is in the
 *   latter from the parent. Nothing is left out: each read stays inside one block.
 * - Fixed VHDX: the entries of sector bitmap blocks, one behind each chunk, are not counted, so
 *   everything behind the first chunk is read from the wrong block. Left out: what lies there.
 * - Differencing VHDX: a chunk without a bitmap block has one read from offset 0 of the file, and
 *   blocks of zeros are taken from the parent. Left out: such chunks, blocks that are neither
 *   absent nor fully nor partially present, and absent ones that have bits all the same.
 * - A VHDX whose log is not empty: libvhdi does not replay it. Only what no log can change is
 *   asked: the type and the identifiers.
 * - A VHD whose last footer is damaged: libvhdi does not know the copy at offset 0. Not asked.
 * - A child that is larger than its parent: not asked for what lies behind the parent's end.
 * - A VHDX with a damaged header or region table, of which it has two each: libvhdi needs all of
 *   them. Not asked.
 * - A VHDX with a metadata item without content: libvhdi does not open it, and loses memory. Not
 *   asked.
 * - A differencing VHDX whose parent is known by parent_linkage2: libvhdi compares parent_linkage
 *   alone. Only the type and the identifiers are asked.
 * - A VHD that was made larger or smaller: the footer's "original size" is taken for the disk's.
 *   Left out: what lies behind the smaller one of that and the "current size".
 */
#include "disk/opinion.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "disk/vhd_internal.h"
#include "disk/vhdx_internal.h"

#define DATA_PIECES 32u
#define HOLE_PIECES 14u
#define RUNS_ASKED  65536u /* blocks of which it is known whether they hold data */

/* A part of a block allocation table. */
struct ibb_opinion_window {
	uint64_t off;
	size_t len;
	uint8_t bytes[4096];
};

/* A fixed VHD has none: any size will do. */
static uint32_t block_bytes(const struct ibb_link *l)
{
	if (l->kind == IBB_CONTAINER_VHDX)
		return l->vhdx.block_bytes;
	return l->vhd.block_bytes ? l->vhd.block_bytes : 2u << 20;
}

/* ---- where libvhdi can be asked ---- */

/* Where the block allocation table begins; 0: it has none. */
static uint64_t table_of(const struct ibb_link *l)
{
	return l->kind == IBB_CONTAINER_VHDX ? l->vhdx.table_off : l->vhd.table_off;
}

/* The block's entry. [MS-VHDX] 2.5: that of a chunk's sector bitmap follows those of its blocks. */
static uint64_t vhdx_entry_off(const struct ibb_link *l, uint64_t block)
{
	const uint32_t ratio = ibb_vhdx_chunk_ratio(l->vhdx.block_bytes, l->disk->sector_bytes);

	return l->vhdx.table_off + (block + block / ratio) * 8;
}

/* The entry of the bitmap of the block's chunk. */
static uint64_t vhdx_bitmap_off(const struct ibb_link *l, uint64_t block)
{
	const uint32_t ratio = ibb_vhdx_chunk_ratio(l->vhdx.block_bytes, l->disk->sector_bytes);

	return l->vhdx.table_off + ((block / ratio + 1) * (ratio + 1ull) - 1) * 8;
}

/* An entry, a bitmap: what our reader was content with lies inside; else nothing is asked. */
static int peek(const struct ibb_link *l, uint64_t off, uint8_t *b, size_t n, bool *ret,
		struct ibb_error *err)
{
	*ret = ibb_in_range(off, n, l->file->size_bytes);
	return *ret ? ibb_disk_pread(l->file, b, n, off, err) : IBB_OK;
}

static int ask_vhd(const struct ibb_link *l, uint64_t off, bool *ret, struct ibb_error *err)
{
	const uint64_t block = off / l->vhd.block_bytes;
	uint8_t entry[4], bits;
	int r;

	*ret = l->vhd.block_bytes % 4096 == 0; /* else a group of sectors may lie in two blocks */
	if (!*ret)
		return IBB_OK;
	r = peek(l, l->vhd.table_off + block * 4, entry, sizeof(entry), ret, err);
	if (r || !*ret || ibb_get_be32(entry) == IBB_VHD_UNALLOCATED)
		return r;
	r = peek(l, ibb_get_be32(entry) * 512ull + off % l->vhd.block_bytes / 4096, &bits, 1, ret,
		 err);
	if (!r && *ret)
		*ret = (bits & (bits + 1)) == 0; /* clear ones, then set ones */
	return r;
}

static int ask_vhdx_bitmap(const struct ibb_link *l, uint64_t entry_off, uint64_t off,
			   unsigned state, bool *ret, struct ibb_error *err)
{
	uint8_t entry[8], bits;
	uint64_t e;
	int r = peek(l, entry_off, entry, sizeof(entry), ret, err);

	e = !r && *ret ? ibb_get_le64(entry) : 0;
	*ret = (e & 7) == IBB_VHDX_FULL;
	if (r || !*ret)
		return r;
	off /= l->disk->sector_bytes;
	r = peek(l, (e & ~((1ull << 20) - 1)) + off % (1u << 23) / 8, &bits, 1, ret, err);
	if (!r && *ret)
		*ret = state != IBB_VHDX_NOT_PRESENT || !bits;
	return r;
}

static int ask_vhdx(const struct ibb_link *l, uint64_t off, bool *ret, struct ibb_error *err)
{
	const uint64_t block = off / l->vhdx.block_bytes;
	uint8_t entry[8];
	unsigned state;
	int r;

	*ret = false;
	/* of a fixed one only the first chunk, which has 2^23 sectors */
	if (l->vhdx.fixed && off >> 23 >= l->disk->sector_bytes)
		return IBB_OK;
	r = peek(l, vhdx_entry_off(l, block), entry, sizeof(entry), ret, err);
	if (r || !*ret)
		return r;
	state = entry[0] & 7;
	if (!l->parent.differencing) {
		*ret = state == IBB_VHDX_NOT_PRESENT || state == IBB_VHDX_ZERO ||
		       state == IBB_VHDX_FULL;
		return IBB_OK;
	}
	*ret = state == IBB_VHDX_NOT_PRESENT || state == IBB_VHDX_FULL || state == IBB_VHDX_PARTIAL;
	if (!*ret)
		return IBB_OK;
	return ask_vhdx_bitmap(l, vhdx_bitmap_off(l, block), off, state, ret, err);
}

int ibb_opinion_may_ask(const struct ibb_opinion_sample *s, uint64_t off, uint64_t n, bool *ret,
			struct ibb_error *err)
{
	const struct ibb_chain *c = s->c;
	bool ok = true;
	int r = IBB_OK;

	for (size_t i = 0; i < c->n && ok && !r; i++) {
		const struct ibb_link *l = &c->links[i];

		if (l->kind == IBB_CONTAINER_VHDX)
			r = ask_vhdx(l, off, &ok, err);
		else if (l->parent.differencing)
			r = ask_vhd(l, off, &ok, err);
		if (l->kind != IBB_CONTAINER_VHDX)
			ok = ok && ibb_in_range(off, n, l->vhd.footer.original_size_bytes);
		if (i + 1 < c->n)
			ok = ok && ibb_in_range(off, n, c->links[i + 1].disk->size_bytes);
	}
	*ret = ok;
	return r;
}

/* ---- the sample ---- */

struct picker {
	uint64_t bytes[2]; /* of holes, of data */
	bool picking;
	uint64_t seen[2], next[2]; /* bytes gone by, pieces picked */
	uint64_t block_bytes, last_border;
	struct ibb_opinion_sample *to;
};

/* The kth of n positions, from the first byte to the last. */
static uint64_t spread(uint64_t bytes, uint64_t k, uint64_t n)
{
	return k + 1 == n ? bytes - 1 : bytes / (n - 1) * k;
}

/* Every other piece of data lies over the border of its block, once a border. */
static void pick(struct picker *s, uint64_t off, bool over_border)
{
	const uint64_t border = off / s->block_bytes * s->block_bytes;

	if (over_border && border >= IBB_OPINION_PIECE / 2 && border != s->last_border) {
		s->last_border = border;
		off = border - IBB_OPINION_PIECE / 2;
	} else {
		off = off / IBB_OPINION_PIECE * IBB_OPINION_PIECE;
	}
	s->to->at[s->to->n++] = off;
}

static int sample_run(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	const uint64_t n = e->data ? DATA_PIECES : HOLE_PIECES;
	struct picker *s = ctx;

	(void)err;
	if (!s->picking)
		s->bytes[e->data] += e->len_bytes;
	while (s->picking && s->next[e->data] < n) {
		const uint64_t want = spread(s->bytes[e->data], s->next[e->data], n);

		if (want >= s->seen[e->data] + e->len_bytes)
			break;
		pick(s, e->off_bytes + (want - s->seen[e->data]), e->data && s->next[1] % 2);
		s->next[e->data]++;
	}
	s->seen[e->data] += s->picking ? e->len_bytes : 0;
	return IBB_OK;
}

/* Bytes of a table, n of them at a multiple of n, read a window at a time. */
static int table_entry(struct ibb_opinion_sample *s, size_t i, uint64_t off, size_t n,
		       const uint8_t **ret, struct ibb_error *err)
{
	const struct ibb_link *l = &s->c->links[i];
	struct ibb_opinion_window *w = &s->windows[i];
	int r = IBB_OK;

	if (off < w->off || !ibb_in_range(off - w->off, n, w->len)) {
		const uint64_t left = l->file->size_bytes - off;

		w->off = off;
		w->len = left < sizeof(w->bytes) ? (size_t)left : sizeof(w->bytes);
		r = ibb_disk_pread(l->file, w->bytes, w->len, off, err);
	}
	if (!r)
		*ret = w->bytes + (off - w->off);
	return r;
}

/* Has a file of the chain a place for the block at off? Of what has no table, yes. */
static int held(struct ibb_opinion_sample *s, uint64_t off, bool *ret, struct ibb_error *err)
{
	const struct ibb_chain *c = s->c;
	bool is = false;
	int r = IBB_OK;

	for (size_t i = 0; i < c->n && !is && !r; i++) {
		const struct ibb_link *l = &c->links[i];
		const bool vhdx = l->kind == IBB_CONTAINER_VHDX;
		const uint64_t block = off / block_bytes(l);
		const uint64_t at = vhdx ? vhdx_entry_off(l, block) : table_of(l) + block * 4;
		const uint8_t *e = NULL;

		if (off >= l->disk->size_bytes)
			break;
		if (table_of(l) && ibb_in_range(at, 8, l->file->size_bytes))
			r = table_entry(s, i, at, vhdx ? 8 : 4, &e, err);
		is = !e ||
		     (vhdx ? (e[0] & 7) >= IBB_VHDX_FULL : ibb_get_be32(e) != IBB_VHD_UNALLOCATED);
	}
	*ret = is;
	return r;
}

/*
 * Runs by the tables alone: the bitmaps, which lie all over the file, would cost a read each. Of
 * very large disks, not every block is looked at.
 */
static int each_run(struct ibb_opinion_sample *s, ibb_extent_fn fn, void *ctx,
		    struct ibb_error *err)
{
	const struct ibb_disk *d = s->c->disk;
	const uint64_t block = s->block_bytes, n = d->size_bytes / block;
	const uint64_t step = (n / RUNS_ASKED + 1) * block;
	int r = IBB_OK;

	if (s->c->n == 1 && !table_of(&s->c->links[0]))
		return ibb_disk_extents(s->c->disk, 0, d->size_bytes, fn, ctx, err);
	for (uint64_t off = 0; off < d->size_bytes && !r; off += step) {
		const uint64_t left = d->size_bytes - off;
		struct ibb_extent e = {off, left < block ? left : block, false};

		r = held(s, off, &e.data, err);
		if (!r)
			r = fn(ctx, &e, err);
	}
	return r;
}

static int by_offset(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sort(struct ibb_opinion_sample *s)
{
	size_t n = 0;

	qsort(s->at, s->n, sizeof(s->at[0]), by_offset);
	for (size_t i = 0; i < s->n; i++)
		if (!n || s->at[i] != s->at[n - 1])
			s->at[n++] = s->at[i];
	s->n = n;
}

int ibb_opinion_sample(const struct ibb_chain *c, struct ibb_opinion_sample *ret,
		       struct ibb_error *err)
{
	struct picker p = {.to = ret, .block_bytes = block_bytes(&c->links[0])};
	int r;

	ret->c = c;
	ret->windows = ibb_calloc_array(c->n, sizeof(*ret->windows));
	if (!ret->windows)
		return ibb_err_nomem(err);
	ret->block_bytes = UINT32_MAX;
	for (size_t i = 0; i < c->n; i++)
		if (block_bytes(&c->links[i]) < ret->block_bytes)
			ret->block_bytes = block_bytes(&c->links[i]);
	r = each_run(ret, sample_run, &p, err);
	p.picking = true;
	ret->at[ret->n++] = 0;
	ret->at[ret->n++] = (c->disk->size_bytes - 1) / IBB_OPINION_PIECE * IBB_OPINION_PIECE;
	if (!r)
		r = each_run(ret, sample_run, &p, err);
	sort(ret);
	return r;
}

void ibb_opinion_sample_clear(struct ibb_opinion_sample *s)
{
	free(s->windows);
	*s = (struct ibb_opinion_sample){0};
}
