/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading dynamic and differencing VHD. A disk is a sequence of spans, each from one source: this
 * file, or what lies below (the parent, or zeros). Reads and runs are made of the same spans.
 *
 * A block's bitmap tells which of its sectors were written. In a differencing disk a clear bit
 * means the parent's sector. In a dynamic disk programs disagree about it: VirtualBox, Xen and
 * libvhdi return zeros, qemu-img what stands in the block. As long as these are zeros, too, it
 * makes no difference; where they are not, the read is refused.
 */
#include "disk/vhd_sparse.h"

#include <stdlib.h>
#include <string.h>

struct vhd {
	struct ibb_disk d;
	struct ibb_disk *file;
	struct ibb_disk *parent; /* NULL until it is set; at least as long as the disk */
	bool differencing;
	uint32_t block_bytes, bitmap_bytes;
	uint32_t *bat;
	uint8_t *full;	    /* a bit a block: its bitmap was read, and all its bits are set */
	uint8_t *bitmap;    /* of one block */
	uint64_t bitmap_of; /* UINT64_MAX: of none */
};

enum source {
	BELOW,	   /* the parent's, or zeros */
	WRITTEN,   /* in this file */
	UNWRITTEN, /* in this file, and zeros or a contradiction */
};

struct span {
	enum source source;
	uint64_t len, file_off;
};

/* ---- bitmaps ---- */

static bool is_set(const uint8_t *bitmap, uint32_t sector)
{
	return bitmap[sector / 8] & IBB_VHD_BIT(sector);
}

/* How many sectors from `from` on have the same bit as `from`, up to `to`. */
static uint32_t equal_bits(const uint8_t *bitmap, uint32_t from, uint32_t to)
{
	const bool set = is_set(bitmap, from);
	const uint8_t whole = set ? 0xff : 0;
	uint32_t at = from + 1;

	while (at < to) {
		if (at % 8 == 0 && bitmap[at / 8] == whole)
			at += 8;
		else if (is_set(bitmap, at) == set)
			at++;
		else
			break;
	}
	return (at < to ? at : to) - from;
}

/* Sectors of a block that the disk has: the last block may go past its end. */
static uint32_t sectors_of(const struct vhd *v, uint64_t block)
{
	const uint64_t left = v->d.size_bytes - block * v->block_bytes;

	return (uint32_t)(ibb_min_u64(left, v->block_bytes) / IBB_VHD_SECTOR);
}

static int load_bitmap(struct vhd *v, uint64_t block, struct ibb_error *err)
{
	const uint32_t n = sectors_of(v, block);
	int r;

	if (v->bitmap_of == block)
		return IBB_OK;
	v->bitmap_of = UINT64_MAX;
	r = ibb_disk_pread(v->file, v->bitmap, v->bitmap_bytes,
			   (uint64_t)v->bat[block] * IBB_VHD_SECTOR, err);
	if (r)
		return r;
	v->bitmap_of = block;
	if (is_set(v->bitmap, 0) && equal_bits(v->bitmap, 0, n) == n)
		v->full[block / 8] |= (uint8_t)(1u << block % 8);
	return IBB_OK;
}

/* ---- spans ---- */

static void unallocated_span(const struct vhd *v, uint64_t off, uint64_t n, struct span *ret)
{
	const uint64_t end = off + n;
	uint64_t block = off / v->block_bytes;

	do
		block++;
	while (block * v->block_bytes < end && v->bat[block] == IBB_VHD_UNALLOCATED);
	*ret = (struct span){BELOW, ibb_min_u64(block * v->block_bytes, end) - off, 0};
}

/* What [off, off+n) begins with. */
static int next_span(struct vhd *v, uint64_t off, uint64_t n, struct span *ret,
		     struct ibb_error *err)
{
	const uint64_t block = off / v->block_bytes, at = off % v->block_bytes;
	const uint32_t sector = (uint32_t)(at / IBB_VHD_SECTOR);
	struct span s = {.source = WRITTEN, .len = ibb_min_u64(n, v->block_bytes - at)};
	uint64_t run;
	int r;

	if (v->bat[block] == IBB_VHD_UNALLOCATED) {
		unallocated_span(v, off, n, ret);
		return IBB_OK;
	}
	s.file_off = (uint64_t)v->bat[block] * IBB_VHD_SECTOR + v->bitmap_bytes + at;
	if (!(v->full[block / 8] & 1u << block % 8)) {
		r = load_bitmap(v, block, err);
		if (r)
			return r;
		run = sector + equal_bits(v->bitmap, sector, sectors_of(v, block));
		s.len = ibb_min_u64(s.len, run * IBB_VHD_SECTOR - at);
		if (!is_set(v->bitmap, sector))
			s.source = v->differencing ? BELOW : UNWRITTEN;
	}
	*ret = s;
	return IBB_OK;
}

/* ---- reading ---- */

static int read_below(struct vhd *v, uint8_t *buf, uint64_t n, uint64_t off, struct ibb_error *err)
{
	if (v->parent)
		return ibb_disk_pread(v->parent, buf, (size_t)n, off, err);
	memset(buf, 0, (size_t)n);
	return IBB_OK;
}

static int check_zeros(const struct vhd *v, const uint8_t *buf, const struct span *s, uint64_t off,
		       struct ibb_error *err)
{
	size_t i = 0;

	while (i < s->len && !buf[i])
		i++;
	if (i == s->len)
		return IBB_OK;
	off += i;
	ibb_err(err, IBB_E_CORRUPT,
		"%s: block %llu, sector %llu (offset %llu of the disk, %llu of the file): marked "
		"as never written, but there is data; programs read such a disk differently",
		v->d.name, (unsigned long long)(off / v->block_bytes),
		(unsigned long long)(off % v->block_bytes / IBB_VHD_SECTOR),
		(unsigned long long)off, (unsigned long long)(s->file_off + i));
	return ibb_err_hint(err, IBB_E_CORRUPT,
			    "convert it with the program that it was made with, then try again");
}

static int check_parent(const struct vhd *v, struct ibb_error *err)
{
	if (!v->differencing || v->parent)
		return IBB_OK;
	return ibb_err(err, IBB_E_INTERNAL, "%s: a differencing disk without its parent",
		       v->d.name);
}

static int vhd_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	struct vhd *v = (struct vhd *)d;
	uint8_t *out = buf;
	int r = check_parent(v, err);

	while (!r && n) {
		struct span s;

		r = next_span(v, off, n, &s, err);
		if (r)
			return r;
		if (s.source == BELOW)
			r = read_below(v, out, s.len, off, err);
		else
			r = ibb_disk_pread(v->file, out, (size_t)s.len, s.file_off, err);
		if (!r && s.source == UNWRITTEN)
			r = check_zeros(v, out, &s, off, err);
		out += s.len;
		off += s.len;
		n -= (size_t)s.len;
	}
	return r;
}

/* ---- runs ---- */

static int extents_below(struct vhd *v, uint64_t n, uint64_t off, ibb_extent_fn fn, void *ctx,
			 struct ibb_error *err)
{
	if (v->parent)
		return ibb_disk_extents(v->parent, off, n, fn, ctx, err);
	return fn(ctx, &(struct ibb_extent){off, n, false}, err);
}

/*
 * Sectors of a dynamic disk that are marked as never written are as much data as the file has
 * there, so that who copies the runs reads them, and they are checked.
 */
static int vhd_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
		       struct ibb_error *err)
{
	struct vhd *v = (struct vhd *)d;
	int r = check_parent(v, err);

	while (!r && n) {
		struct span s;

		r = next_span(v, off, n, &s, err);
		if (r)
			return r;
		if (s.source == BELOW)
			r = extents_below(v, s.len, off, fn, ctx, err);
		else
			r = ibb_disk_extents_as(v->file, s.file_off, s.len, off, fn, ctx, err);
		off += s.len;
		n -= s.len;
	}
	return r;
}

static void vhd_close(struct ibb_disk *d)
{
	struct vhd *v = (struct vhd *)d;

	ibb_disk_unref(v->file);
	ibb_disk_unref(v->parent);
	free(v->bat);
	free(v->full);
	free(v->bitmap);
}

static const struct ibb_disk_ops vhd_ops = {
	.name = "vhd",
	.pread = vhd_pread,
	.extents = vhd_extents,
	.close = vhd_close,
};

int ibb_vhd_sparse_new(struct ibb_disk *file, const struct ibb_vhd_info *info, uint32_t *bat,
		       uint64_t n, struct ibb_disk **ret, struct ibb_error *err)
{
	const uint32_t bitmap_bytes = ibb_vhd_bitmap_bytes(info->block_bytes);
	IBB_AUTO_FREE struct vhd *v = ibb_zalloc(sizeof(*v));
	IBB_AUTO_FREE uint8_t *full = ibb_zalloc((size_t)(n + 7) / 8);
	IBB_AUTO_FREE uint8_t *bitmap = ibb_alloc(bitmap_bytes);
	int r;

	if (!v || !full || !bitmap)
		return ibb_err_nomem(err);
	r = ibb_disk_init(&v->d, &vhd_ops, file->name, info->footer.current_size_bytes,
			  IBB_VHD_SECTOR, err);
	if (r)
		return r;
	v->file = ibb_disk_ref(file);
	v->differencing = info->footer.type == IBB_VHD_DIFFERENCING;
	v->block_bytes = info->block_bytes;
	v->bitmap_bytes = bitmap_bytes;
	v->bat = bat;
	v->full = IBB_TAKE(full);
	v->bitmap = IBB_TAKE(bitmap);
	v->bitmap_of = UINT64_MAX;
	*ret = &IBB_TAKE(v)->d;
	return IBB_OK;
}

int ibb_disk_vhd_set_parent(struct ibb_disk *child, struct ibb_disk *parent, struct ibb_error *err)
{
	struct vhd *v = (struct vhd *)child;

	if (child->ops != &vhd_ops || !v->differencing || v->parent || parent == child)
		return ibb_err(err, IBB_E_INTERNAL, "%s: cannot be given a parent", child->name);
	if (parent->sector_bytes != IBB_VHD_SECTOR)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: has sectors of %u bytes; a VHD's parent has sectors of 512",
			       parent->name, parent->sector_bytes);
	return ibb_disk_at_least(parent, child->size_bytes, &v->parent, err);
}
