/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The disk in a VHDX file: where each of its bytes comes from. */
#include "disk/vhdx.h"

#include <stdlib.h>
#include <string.h>

#include "disk/vhdx_internal.h"

struct vhdx {
	struct ibb_disk d;
	struct ibb_disk *file;	 /* its log replayed */
	struct ibb_disk *parent; /* NULL: none, or not given yet; at least as long as the disk */
	struct ibb_vhdx_bat bat;
	uint32_t block_bytes;
	bool differencing;
	uint8_t *bits;	     /* of one partially present block: a bit a sector */
	uint64_t bits_block; /* which; UINT64_MAX: none yet */
};

enum source { ZEROS, PARENT, FROM_FILE };
struct run {
	enum source from;
	uint64_t len_bytes;
	uint64_t file_off; /* FROM_FILE */
};

static size_t bits_bytes(const struct vhdx *v)
{
	return v->block_bytes / v->d.sector_bytes / 8;
}

static int load_bits(struct vhdx *v, uint64_t block, struct ibb_error *err)
{
	uint64_t chunk = block / v->bat.chunk_ratio;
	uint64_t at =
		v->bat.bitmaps[chunk] * IBB_VHDX_MIB + block % v->bat.chunk_ratio * bits_bytes(v);
	int r;

	if (v->bits_block == block)
		return IBB_OK;
	v->bits_block = UINT64_MAX;
	r = ibb_disk_pread(v->file, v->bits, bits_bytes(v), at, err);
	if (!r)
		v->bits_block = block;
	return r;
}

static bool bit(const struct vhdx *v, uint64_t sector)
{
	return v->bits[sector / 8] >> (sector % 8) & 1; /* 2.4.4: the least significant one first */
}

/* The end (in sectors of the block) of the run of equal bits that begins at `sector`. */
static uint64_t same_bits(const struct vhdx *v, uint64_t sector, uint64_t end)
{
	const bool value = bit(v, sector);
	const uint8_t whole = value ? 0xff : 0;

	while (sector < end && bit(v, sector) == value)
		sector += sector % 8 == 0 && v->bits[sector / 8] == whole ? 8 : 1;
	return sector < end ? sector : end;
}

/* What the disk has at off, inside one block. */
static int run_in_block(struct vhdx *v, uint64_t off, uint64_t n, struct run *ret,
			struct ibb_error *err)
{
	const uint64_t block = off / v->block_bytes, in = off % v->block_bytes;
	const uint32_t e = v->bat.blocks[block], sector = v->d.sector_bytes;
	const uint64_t left = v->block_bytes - in;
	struct run g = {ZEROS, n < left ? n : left, (e >> 3) * IBB_VHDX_MIB + in};
	uint64_t end;
	int r;

	/*
	 * 2.5.1.1: only in a block that is not present does a differencing disk show its parent;
	 * one that is zero, unmapped or undefined hides it.
	 */
	switch (e & 7) {
	case IBB_VHDX_NOT_PRESENT:
		g.from = v->differencing ? PARENT : ZEROS;
		break;
	case IBB_VHDX_FULL:
		g.from = FROM_FILE;
		break;
	case IBB_VHDX_PARTIAL:
		r = load_bits(v, block, err);
		if (r)
			return r;
		g.from = bit(v, in / sector) ? FROM_FILE : PARENT;
		end = same_bits(v, in / sector, v->block_bytes / sector) * sector - in;
		if (end < g.len_bytes)
			g.len_bytes = end;
		break;
	default:
		break;
	}
	*ret = g;
	return IBB_OK;
}

/* The longest run at off, over neighbouring blocks: a read of the file each. */
static int next_run(struct vhdx *v, uint64_t off, uint64_t n, struct run *ret,
		    struct ibb_error *err)
{
	int r = run_in_block(v, off, n, ret, err);

	while (!r && ret->len_bytes < n) {
		struct run more;

		r = run_in_block(v, off + ret->len_bytes, n - ret->len_bytes, &more, err);
		if (r || more.from != ret->from ||
		    (more.from == FROM_FILE && more.file_off != ret->file_off + ret->len_bytes))
			break;
		ret->len_bytes += more.len_bytes;
	}
	return r;
}

static int need_parent(const struct vhdx *v, struct ibb_error *err)
{
	if (!v->differencing || v->parent)
		return IBB_OK;
	return ibb_err(err, IBB_E_INTERNAL, "%s: read without its parent disk", v->d.name);
}

static int vhdx_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	struct vhdx *v = (struct vhdx *)d;
	uint8_t *out = buf;
	int r = need_parent(v, err);

	while (!r && n) {
		struct run g;
		size_t k;

		r = next_run(v, off, n, &g, err);
		if (r)
			break;
		k = (size_t)g.len_bytes;
		if (g.from == ZEROS)
			memset(out, 0, k);
		else if (g.from == PARENT)
			r = ibb_disk_pread(v->parent, out, k, off, err);
		else
			r = ibb_disk_pread(v->file, out, k, g.file_off, err);
		out += k;
		off += k;
		n -= k;
	}
	return r;
}

static int run_extents(struct vhdx *v, uint64_t off, const struct run *g, ibb_extent_fn fn,
		       void *ctx, struct ibb_error *err)
{
	if (g->from == FROM_FILE)
		return ibb_disk_extents_as(v->file, g->file_off, g->len_bytes, off, fn, ctx, err);
	if (g->from == PARENT)
		return ibb_disk_extents(v->parent, off, g->len_bytes, fn, ctx, err);
	return fn(ctx, &(struct ibb_extent){off, g->len_bytes, false}, err);
}

static int vhdx_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
			struct ibb_error *err)
{
	struct vhdx *v = (struct vhdx *)d;
	int r = need_parent(v, err);

	while (!r && n) {
		struct run g;

		r = next_run(v, off, n, &g, err);
		if (!r)
			r = run_extents(v, off, &g, fn, ctx, err);
		if (r)
			break;
		off += g.len_bytes;
		n -= g.len_bytes;
	}
	return r;
}

static void vhdx_close(struct ibb_disk *d)
{
	struct vhdx *v = (struct vhdx *)d;

	ibb_vhdx_bat_clear(&v->bat);
	free(v->bits);
	ibb_disk_unref(v->parent);
	ibb_disk_unref(v->file);
}

static const struct ibb_disk_ops vhdx_ops = {
	.name = "vhdx",
	.pread = vhdx_pread,
	.extents = vhdx_extents,
	.close = vhdx_close,
};

/* Takes over what is in *bat, on success. */
static int make_disk(struct ibb_disk *file, const struct ibb_vhdx_meta *m, struct ibb_vhdx_bat *bat,
		     struct ibb_disk **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE struct vhdx *v = ibb_zalloc(sizeof(*v));
	IBB_AUTO_FREE uint8_t *bits = NULL;
	int r;

	if (!v)
		return ibb_err_nomem(err);
	v->block_bytes = m->block_bytes;
	v->differencing = m->has_parent;
	v->bits_block = UINT64_MAX;
	v->d.sector_bytes = m->logical_bytes;
	if (m->has_parent) {
		bits = ibb_alloc(bits_bytes(v));
		if (!bits)
			return ibb_err_nomem(err);
	}
	r = ibb_disk_init(&v->d, &vhdx_ops, file->name, m->disk_bytes, m->logical_bytes, err);
	if (r)
		return r;
	v->bits = IBB_TAKE(bits);
	v->file = ibb_disk_ref(file);
	v->bat = *bat;
	*bat = (struct ibb_vhdx_bat){0};
	*ret = &IBB_TAKE(v)->d;
	return IBB_OK;
}

/* Everything behind the log, which is replayed already. */
struct tables {
	struct ibb_vhdx_map map;
	struct ibb_vhdx_regions regions;
	struct ibb_vhdx_meta meta;
	struct ibb_vhdx_bat bat;
	struct ibb_parent_link link;
};

static int read_tables(struct ibb_disk *file, const struct ibb_vhdx_header *h, struct tables *t,
		       struct ibb_error *err)
{
	int r = ibb_vhdx_map_init(&t->map, file, err);

	if (r)
		return r;
	/* the header section and the log are the first to take their places; the header is the
	 * first MiB, and a log's offset was checked to lie behind it */
	(void)ibb_vhdx_map_take(&t->map, 0, 1);
	(void)ibb_vhdx_map_take(&t->map, h->log.off_bytes / IBB_VHDX_MIB,
				h->log.len_bytes / IBB_VHDX_MIB);
	r = ibb_vhdx_region_read(file, &t->map, &t->regions, err);
	if (!r)
		r = ibb_vhdx_meta_read(file, &t->regions.metadata, &t->meta, &t->link, err);
	if (!r)
		r = ibb_vhdx_bat_read(file, &t->regions.bat, &t->meta, &t->map, &t->bat, err);
	return r;
}

static void fill_info(const struct ibb_vhdx_header *h, const struct tables *t, uint64_t log_bytes,
		      struct ibb_vhdx_info *i)
{
	*i = (struct ibb_vhdx_info){
		.disk_bytes = t->meta.disk_bytes,
		.block_bytes = t->meta.block_bytes,
		.logical_sector_bytes = t->meta.logical_bytes,
		.physical_sector_bytes = t->meta.physical_bytes,
		.fixed = t->meta.fixed,
		.disk_id = t->meta.disk_id,
		.data_write_id = h->data_write_id,
		.allocated_blocks = t->bat.allocated,
		.table_off = t->regions.bat.off_bytes,
		.log_replayed = !ibb_guid_is_zero(&h->log_id),
		.log_bytes = log_bytes,
		.bad_header_at = h->bad_at,
		.empty_item = t->meta.empty_item,
		.bad_region_at = t->regions.bad_at,
	};
}

int ibb_disk_vhdx_open(struct ibb_disk *file, struct ibb_vhdx_info *ret_info,
		       struct ibb_parent_link *ret_link, struct ibb_disk **ret,
		       struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *replayed = NULL;
	struct ibb_vhdx_header h;
	struct ibb_vhdx_info info;
	struct tables t = {0};
	uint64_t log_bytes = 0;
	int r = ibb_vhdx_header_read(file, &h, err);

	if (!r)
		r = ibb_vhdx_log_replay(file, &h, &replayed, &log_bytes, err);
	if (!r)
		r = read_tables(replayed, &h, &t, err);
	if (!r) {
		fill_info(&h, &t, log_bytes, &info);
		r = make_disk(replayed, &t.meta, &t.bat, ret, err);
	}
	ibb_vhdx_map_clear(&t.map);
	ibb_vhdx_bat_clear(&t.bat);
	if (r) {
		ibb_parent_link_clear(&t.link);
		return r;
	}
	*ret_info = info;
	*ret_link = t.link;
	return IBB_OK;
}

int ibb_disk_vhdx_set_parent(struct ibb_disk *child, struct ibb_disk *parent, struct ibb_error *err)
{
	struct vhdx *v = (struct vhdx *)child;
	struct ibb_disk *long_enough = NULL;
	int r;

	IBB_ASSERT(child->ops == &vhdx_ops);
	if (!v->differencing)
		return ibb_err(err, IBB_E_INTERNAL, "%s: is no differencing disk", child->name);
	if (parent->sector_bytes != child->sector_bytes)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: has logical sectors of %u bytes, its parent %s of %u",
			       child->name, child->sector_bytes, parent->name,
			       parent->sector_bytes);
	r = ibb_disk_at_least(parent, child->size_bytes, &long_enough, err);
	if (r)
		return r;
	ibb_disk_unref(v->parent);
	v->parent = long_enough;
	return IBB_OK;
}
