/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing dynamic VHD: copy of the footer, header, table, then blocks as their first data comes,
 * footer. The tables are written last, so that a file cut short is no disk.
 *
 * The format asks only that a block, which begins with the sector of its bitmap, lies at a sector.
 * We leave a gap before it so that its data lies at a multiple of 4096, as Windows 10 does (a disk
 * it made has blocks at sectors 0x0f, 0x1017 and 0x201f, and data one further): clusters of the
 * guest stay whole pages of the host, and holes inside a block can be holes of the file.
 */
#include "disk/vhd_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "disk/writer.h"

#define BLOCK_BYTES  (2u << 20) /* what every program expects */
#define BITMAP_BYTES 512u	/* a bit for each of 4096 sectors */
#define HEADER_OFF   512u
#define TABLE_OFF    1536u
#define DATA_ALIGN   4096u

struct vhd_writer {
	struct ibb_writer w;
	uint8_t *bat; /* as it goes into the file; padded to a sector */
	size_t bat_bytes;
	uint32_t n_blocks;
	uint64_t next; /* where the blocks end so far */
	uint64_t pos;  /* the disk is given up to here */
};

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* A new block at the end: all of its sectors count as written, those that stay holes are zeros. */
static int new_block(struct vhd_writer *v, uint64_t block, struct ibb_error *err)
{
	const uint64_t data = round_up(v->next + BITMAP_BYTES, DATA_ALIGN);
	uint8_t bitmap[BITMAP_BYTES];
	int r;

	memset(bitmap, 0xff, sizeof(bitmap));
	r = v->w.sink->pwrite(v->w.sink, bitmap, sizeof(bitmap), data - BITMAP_BYTES, err);
	if (r)
		return r;
	ibb_put_be32(v->bat + block * 4, (uint32_t)((data - BITMAP_BYTES) / IBB_VHD_SECTOR));
	v->next = data + BLOCK_BYTES;
	return IBB_OK;
}

static int write_in_block(struct vhd_writer *v, const uint8_t *buf, size_t n, uint64_t off,
			  struct ibb_error *err)
{
	const uint64_t block = off / BLOCK_BYTES;
	uint64_t at;
	int r = IBB_OK;

	if (ibb_get_be32(v->bat + block * 4) == IBB_VHD_UNALLOCATED)
		r = new_block(v, block, err);
	if (r)
		return r;
	at = (uint64_t)ibb_get_be32(v->bat + block * 4) * IBB_VHD_SECTOR + BITMAP_BYTES;
	return v->w.sink->pwrite(v->w.sink, buf, n, at + off % BLOCK_BYTES, err);
}

static int vhd_write(struct ibb_writer *w, const void *buf, size_t n, uint64_t off,
		     struct ibb_error *err)
{
	struct vhd_writer *v = (struct vhd_writer *)w;
	const uint8_t *in = buf;
	int r = IBB_OK;

	if (off < v->pos || off % IBB_VHD_SECTOR || n % IBB_VHD_SECTOR ||
	    !ibb_in_range(off, n, w->o.disk_bytes))
		return ibb_err(err, IBB_E_INTERNAL,
			       "%s: %zu bytes at offset %llu do not go on from %llu", w->sink->name,
			       n, (unsigned long long)off, (unsigned long long)v->pos);
	v->pos = off + n;
	while (!r && n) {
		const uint64_t left = BLOCK_BYTES - off % BLOCK_BYTES;
		const size_t k = n < left ? n : (size_t)left;

		r = write_in_block(v, in, k, off, err);
		in += k;
		off += k;
		n -= k;
	}
	return r;
}

static int vhd_finish(struct ibb_writer *w, struct ibb_error *err)
{
	struct vhd_writer *v = (struct vhd_writer *)w;
	const struct ibb_vhd_header h = {
		.table_off = TABLE_OFF, .max_entries = v->n_blocks, .block_bytes = BLOCK_BYTES};
	uint8_t head[TABLE_OFF];
	struct ibb_vhd_footer f;
	int r;

	ibb_vhd_footer_init(&f, w->o.disk_bytes, w->o.unix_time, &w->o.id);
	f.type = IBB_VHD_DYNAMIC;
	f.data_offset = HEADER_OFF;
	ibb_vhd_footer_encode(&f, head);
	ibb_vhd_header_encode(&h, head + HEADER_OFF);
	r = w->sink->pwrite(w->sink, v->bat, v->bat_bytes, TABLE_OFF, err);
	if (!r)
		r = w->sink->pwrite(w->sink, head, sizeof(head), 0, err);
	if (!r)
		r = w->sink->pwrite(w->sink, head, IBB_VHD_FOOTER_BYTES, v->next, err);
	return r;
}

static void vhd_free(struct ibb_writer *w)
{
	struct vhd_writer *v = (struct vhd_writer *)w;

	free(v->bat);
	free(v);
}

static const struct ibb_writer_ops vhd_ops = {
	.write = vhd_write, .finish = vhd_finish, .free = vhd_free};

static int check(const struct ibb_sink *sink, const struct ibb_write_opts *o, struct ibb_error *err)
{
	const unsigned long long size = o->disk_bytes;

	if (o->sector_bytes != IBB_VHD_SECTOR)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: the disk has sectors of %u bytes; VHD has only sectors of 512",
			       sink->name, o->sector_bytes);
	if (!size || size % IBB_VHD_SECTOR)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: a disk of %llu bytes is no whole number of 512-byte sectors",
			       sink->name, size);
	if (size > IBB_LIMIT_VHD_DISK_BYTES) {
		ibb_err(err, IBB_E_UNSUPPORTED, "%s: a disk of %llu bytes; VHD goes up to %llu",
			sink->name, size, (unsigned long long)IBB_LIMIT_VHD_DISK_BYTES);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED, "write it as VHDX");
	}
	return IBB_OK;
}

int ibb_writer_vhd_dynamic_new(struct ibb_sink *sink, const struct ibb_write_opts *o,
			       struct ibb_writer **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE struct vhd_writer *v = NULL;
	int r = check(sink, o, err);

	if (r)
		return r;
	v = ibb_zalloc(sizeof(*v));
	if (!v)
		return ibb_err_nomem(err);
	v->w = (struct ibb_writer){.ops = &vhd_ops, .sink = sink, .o = *o};
	v->n_blocks = (uint32_t)((o->disk_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES);
	v->bat_bytes = (size_t)round_up(v->n_blocks * 4ull, IBB_VHD_SECTOR);
	v->bat = ibb_alloc(v->bat_bytes);
	if (!v->bat)
		return ibb_err_nomem(err);
	memset(v->bat, 0xff, v->bat_bytes);
	v->next = TABLE_OFF + v->bat_bytes;
	*ret = &IBB_TAKE(v)->w;
	return IBB_OK;
}
