/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A dynamic VHDX with an empty log:
 *
 *     0      file identifier, headers, region tables
 *     1 MiB  log
 *     2 MiB  metadata
 *     3 MiB  block allocation table
 *     then   payload blocks, in the order in which they first got data
 *
 * What a block was not given is a hole in the file. The identifier comes last: a file that was not
 * finished is none.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/le.h"
#include "base/utf16.h"
#include "disk/vhdx_internal.h"
#include "disk/writer.h"

#define BLOCK	     (32u << 20)
#define PHYSICAL     4096u
#define DISK_MAX     ((uint64_t)64 << 40)
#define LOG_AT	     (1 * IBB_VHDX_MIB)
#define METADATA_AT  (2 * IBB_VHDX_MIB)
#define BAT_AT	     (3 * IBB_VHDX_MIB)
#define CREATOR_MAX  512u /* bytes of its UTF-16 text */
#define BAT_PIECE    (64u << 10)
#define ITEM_VIRTUAL 6u /* IsVirtualDisk, IsRequired */
#define ITEM_FILE    4u /* IsRequired */

struct vhdx_writer {
	struct ibb_writer w;
	uint32_t *blocks; /* mapped: MiB in the file, 0: no data yet */
	uint64_t n_blocks;
	uint32_t chunk_ratio;
	uint64_t bat_bytes; /* whole MiB */
	uint64_t next;	    /* where the next block will lie */
	struct ibb_guid file_write_id, data_write_id;
};

static int put(struct vhdx_writer *v, const void *b, size_t n, uint64_t off, struct ibb_error *err)
{
	return v->w.sink->pwrite(v->w.sink, b, n, off, err);
}

static int vhdx_write(struct ibb_writer *w, const void *buf, size_t n, uint64_t off,
		      struct ibb_error *err)
{
	struct vhdx_writer *v = (struct vhdx_writer *)w;
	const uint8_t *in = buf;

	if (!ibb_in_range(off, n, w->o.disk_bytes) || off % w->o.sector_bytes ||
	    n % w->o.sector_bytes)
		return ibb_err(err, IBB_E_INTERNAL,
			       "%s: %zu bytes at offset %llu are no whole sectors of the disk",
			       w->sink->name, n, (unsigned long long)off);
	while (n) {
		uint32_t *mib = &v->blocks[off / BLOCK];
		uint64_t left = BLOCK - off % BLOCK;
		size_t k = n < left ? n : (size_t)left;
		int r;

		if (!*mib) {
			*mib = (uint32_t)(v->next / IBB_VHDX_MIB);
			v->next += BLOCK;
		}
		r = put(v, in, k, *mib * IBB_VHDX_MIB + off % BLOCK, err);
		if (r)
			return r;
		in += k;
		off += k;
		n -= k;
	}
	return IBB_OK;
}

static uint64_t bat_entries(const struct vhdx_writer *v)
{
	return v->n_blocks + (v->n_blocks - 1) / v->chunk_ratio;
}

/* Pieces of the table without a present block stay the hole that they are. */
static int write_bat(struct vhdx_writer *v, uint8_t *b, struct ibb_error *err)
{
	const uint64_t n = bat_entries(v), group = v->chunk_ratio + 1ull;

	for (uint64_t i = 0; i < n; i += BAT_PIECE / 8) {
		bool any = false;

		memset(b, 0, BAT_PIECE);
		for (uint64_t k = i; k < n && k < i + BAT_PIECE / 8; k++) {
			uint64_t mib = k % group == v->chunk_ratio ? 0 : v->blocks[k - k / group];

			if (mib)
				ibb_put_le64(b + (k - i) * 8, mib << 20 | IBB_VHDX_FULL);
			any |= mib != 0;
		}
		if (any) {
			int r = put(v, b, BAT_PIECE, BAT_AT + i * 8, err);

			if (r)
				return r;
		}
	}
	return IBB_OK;
}

struct item {
	const struct ibb_guid *id;
	uint32_t len, flags;
	uint8_t value[16];
};

static int write_metadata(struct vhdx_writer *v, uint8_t *b, struct ibb_error *err)
{
	struct item items[] = {
		{&ibb_vhdx_item_file, 8, ITEM_FILE, {0}},
		{&ibb_vhdx_item_size, 8, ITEM_VIRTUAL, {0}},
		{&ibb_vhdx_item_id, 16, ITEM_VIRTUAL, {0}},
		{&ibb_vhdx_item_logical, 4, ITEM_VIRTUAL, {0}},
		{&ibb_vhdx_item_physical, 4, ITEM_VIRTUAL, {0}},
	};
	uint8_t values[64] = {0};
	uint32_t at = 0;
	int r;

	ibb_put_le32(items[0].value, BLOCK);
	ibb_put_le64(items[1].value, v->w.o.disk_bytes);
	memcpy(items[2].value, v->w.o.id.b, 16);
	ibb_put_le32(items[3].value, v->w.o.sector_bytes);
	ibb_put_le32(items[4].value, PHYSICAL);
	memset(b, 0, IBB_VHDX_TABLE_BYTES);
	memcpy(b, "metadata", 8);
	ibb_put_le16(b + 10, IBB_ARRAY_SIZE(items));
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(items); i++) {
		uint8_t *e = b + 32 + i * 32;

		memcpy(e, items[i].id->b, 16);
		ibb_put_le32(e + 16, IBB_VHDX_TABLE_BYTES + at);
		ibb_put_le32(e + 20, items[i].len);
		ibb_put_le32(e + 24, items[i].flags);
		memcpy(values + at, items[i].value, items[i].len);
		at += items[i].len;
	}
	r = put(v, b, IBB_VHDX_TABLE_BYTES, METADATA_AT, err);
	return r ? r : put(v, values, sizeof(values), METADATA_AT + IBB_VHDX_TABLE_BYTES, err);
}

static void region(uint8_t *e, const struct ibb_guid *id, uint64_t off, uint64_t len)
{
	memcpy(e, id->b, 16);
	ibb_put_le64(e + 16, off);
	ibb_put_le32(e + 24, (uint32_t)len);
	ibb_put_le32(e + 28, 1); /* required */
}

static int write_regions(struct vhdx_writer *v, uint8_t *b, struct ibb_error *err)
{
	int r;

	memset(b, 0, IBB_VHDX_TABLE_BYTES);
	memcpy(b, "regi", 4);
	ibb_put_le32(b + 8, 2);
	region(b + 16, &ibb_vhdx_region_bat, BAT_AT, v->bat_bytes);
	region(b + 48, &ibb_vhdx_region_metadata, METADATA_AT, IBB_VHDX_MIB);
	ibb_put_le32(b + 4, ibb_vhdx_sum(b, IBB_VHDX_TABLE_BYTES));
	r = put(v, b, IBB_VHDX_TABLE_BYTES, IBB_VHDX_REGION1, err);
	return r ? r : put(v, b, IBB_VHDX_TABLE_BYTES, IBB_VHDX_REGION2, err);
}

static int write_header(struct vhdx_writer *v, uint8_t *b, uint64_t at, uint64_t sequence,
			struct ibb_error *err)
{
	memset(b, 0, IBB_VHDX_HEADER_BYTES);
	memcpy(b, "head", 4);
	ibb_put_le64(b + 8, sequence);
	memcpy(b + 16, v->file_write_id.b, 16);
	memcpy(b + 32, v->data_write_id.b, 16);
	ibb_put_le16(b + 66, 1); /* version; the log's identifier stays zero: it is empty */
	ibb_put_le32(b + 68, (uint32_t)IBB_VHDX_MIB);
	ibb_put_le64(b + 72, LOG_AT);
	ibb_put_le32(b + 4, ibb_vhdx_sum(b, IBB_VHDX_HEADER_BYTES));
	return put(v, b, IBB_VHDX_HEADER_BYTES, at, err);
}

static int write_identifier(struct vhdx_writer *v, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};

	if (ibb_buf_append(&b, "vhdxfile", 8) || ibb_utf16le_append(&b, "ibbake " IBB_VERSION) ||
	    ibb_buf_append_zero(&b, 8 + CREATOR_MAX - b.len))
		return ibb_err_nomem(err);
	return put(v, b.data, b.len, 0, err);
}

static int vhdx_finish(struct ibb_writer *w, struct ibb_error *err)
{
	struct vhdx_writer *v = (struct vhdx_writer *)w;
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(IBB_VHDX_TABLE_BYTES);
	int r;

	if (!b)
		return ibb_err_nomem(err);
	r = w->sink->truncate(w->sink, v->next, err);
	if (!r)
		r = write_bat(v, b, err);
	if (!r)
		r = write_metadata(v, b, err);
	if (!r)
		r = write_regions(v, b, err);
	if (!r)
		r = write_header(v, b, IBB_VHDX_HEADER1, 1, err);
	if (!r)
		r = write_header(v, b, IBB_VHDX_HEADER2, 2, err);
	return r ? r : write_identifier(v, err);
}

static void vhdx_free(struct ibb_writer *w)
{
	struct vhdx_writer *v = (struct vhdx_writer *)w;

	if (v->blocks)
		ibb_unmap_zeroed(v->blocks, (size_t)v->n_blocks * sizeof(*v->blocks));
	free(v);
}

static const struct ibb_writer_ops vhdx_writer_ops = {
	.write = vhdx_write,
	.finish = vhdx_finish,
	.free = vhdx_free,
};

/* The same disk always gets the same file: no clock, no random numbers. */
static int derive(const struct ibb_guid *id, const char *what, struct ibb_guid *ret,
		  struct ibb_error *err)
{
	uint8_t text[64] = {0};
	struct ibb_sha256 d;

	memcpy(text, id->b, 16);
	strncpy((char *)text + 16, what, sizeof(text) - 17);
	if (ibb_sha256(text, sizeof(text), &d))
		return ibb_err_nomem(err);
	memcpy(ret->b, d.b, 16);
	ret->b[7] = (uint8_t)((ret->b[7] & 0x0f) | 0x80); /* RFC 9562: version 8, "custom" */
	ret->b[8] = (uint8_t)((ret->b[8] & 0x3f) | 0x80);
	return IBB_OK;
}

static int check_opts(const struct ibb_sink *sink, const struct ibb_write_opts *o,
		      struct ibb_error *err)
{
	if (o->sector_bytes != 512 && o->sector_bytes != 4096)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: a VHDX has sectors of 512 or 4096 bytes, not %u", sink->name,
			       o->sector_bytes);
	if (!o->disk_bytes || o->disk_bytes % o->sector_bytes)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: a VHDX holds whole sectors of %u bytes, not %llu bytes",
			       sink->name, o->sector_bytes, (unsigned long long)o->disk_bytes);
	if (o->disk_bytes > DISK_MAX)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: a VHDX holds at most 64 TiB, not %llu bytes", sink->name,
			       (unsigned long long)o->disk_bytes);
	return IBB_OK;
}

int ibb_writer_vhdx_new(struct ibb_sink *sink, const struct ibb_write_opts *o,
			struct ibb_writer **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_writer_free) struct ibb_writer *w = NULL;
	struct vhdx_writer *v;
	int r = check_opts(sink, o, err);

	if (r)
		return r;
	v = ibb_zalloc(sizeof(*v));
	if (!v)
		return ibb_err_nomem(err);
	w = &v->w;
	v->w = (struct ibb_writer){&vhdx_writer_ops, sink, *o};
	v->n_blocks = (o->disk_bytes + BLOCK - 1) / BLOCK;
	v->chunk_ratio = ibb_vhdx_chunk_ratio(BLOCK, o->sector_bytes);
	v->bat_bytes = (bat_entries(v) * 8 + IBB_VHDX_MIB - 1) / IBB_VHDX_MIB * IBB_VHDX_MIB;
	v->next = BAT_AT + v->bat_bytes;
	v->blocks = ibb_map_zeroed((size_t)v->n_blocks * sizeof(*v->blocks));
	if (!v->blocks)
		return ibb_err_nomem(err);
	r = derive(&o->id, "VHDX FileWriteGuid", &v->file_write_id, err);
	if (!r)
		r = derive(&o->id, "VHDX DataWriteGuid", &v->data_write_id, err);
	if (!r)
		*ret = IBB_TAKE(w);
	return r;
}
