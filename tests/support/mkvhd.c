/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkvhd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/le.h"
#include "base/utf16.h"
#include "imgfile.h"

enum { SECTOR = 512, FOOTER = 512, HEADER = 1024, PATH_ROOM = 2048 };

static uint32_t block_bytes(const struct mkvhd *v)
{
	return v->block_bytes ? v->block_bytes : 2u << 20;
}

static uint64_t up(uint64_t n)
{
	return (n + SECTOR - 1) / SECTOR * SECTOR;
}

void mkvhd_checksum(uint8_t *b, size_t n, size_t at)
{
	uint32_t sum = 0;

	memset(b + at, 0, 4);
	for (size_t i = 0; i < n; i++)
		sum += b[i];
	ibb_put_be32(b + at, ~sum);
}

void mkvhd_fill(uint64_t sector, uint8_t out[512])
{
	for (unsigned i = 0; i < 512; i += 8) {
		const uint64_t x = (sector + 1) * 0x9e3779b97f4a7c15u + i;

		memcpy(out + i, &x, 8);
	}
}

static bool has(const struct mkvhd *v, uint64_t sector)
{
	for (size_t i = 0; i < v->n_runs; i++)
		if (sector >= v->runs[i].sector && sector - v->runs[i].sector < v->runs[i].n)
			return true;
	return false;
}

static bool is_allocated(const struct mkvhd *v, uint32_t block)
{
	const uint64_t per = block_bytes(v) / SECTOR, first = block * per;

	for (size_t i = 0; i < v->n_runs; i++)
		if (v->runs[i].n && v->runs[i].sector < first + per &&
		    v->runs[i].sector + v->runs[i].n > first)
			return true;
	return false;
}

void mkvhd_plan(const struct mkvhd *v, struct mkvhd_places *ret)
{
	const uint32_t bytes = block_bytes(v);
	struct mkvhd_places p = {.header = FOOTER, .table = FOOTER + HEADER};

	p.n_blocks = (uint32_t)((v->disk_bytes + bytes - 1) / bytes);
	p.bitmap_bytes = (uint32_t)up((bytes / SECTOR + 7) / 8);
	p.blocks = p.table + up(p.n_blocks * 4ull);
	for (unsigned i = 0; i < MKVHD_LOCATORS && v->locators[i].code; i++) {
		p.locators[i] = p.blocks;
		p.blocks += PATH_ROOM;
	}
	p.footer = p.blocks;
	for (uint32_t i = 0; i < p.n_blocks; i++)
		p.footer += is_allocated(v, i) ? p.bitmap_bytes + bytes : 0;
	p.size_bytes = p.footer + FOOTER;
	*ret = p;
}

/* ---- structures ---- */

static void make_footer(const struct mkvhd *v, uint8_t b[FOOTER])
{
	memset(b, 0, FOOTER);
	memcpy(b, "conectix", 8);
	ibb_put_be32(b + 8, 2);
	ibb_put_be32(b + 12, 0x00010000);
	ibb_put_be64(b + 16, FOOTER);
	ibb_put_be32(b + 24, v->timestamp_s);
	memcpy(b + 28, "win \0\12\0\0Wi2k", 12);
	ibb_put_be64(b + 40, v->original_bytes ? v->original_bytes : v->disk_bytes);
	ibb_put_be64(b + 48, v->disk_bytes);
	memcpy(b + 56, "\x3f\xff\x10\x3f", 4); /* a geometry that is not this disk's */
	ibb_put_be32(b + 60, v->differencing ? 4 : 3);
	memcpy(b + 68, v->id.b, 16);
	mkvhd_checksum(b, FOOTER, 64);
}

static int utf16(const char *path, bool big, struct ibb_buf *ret, struct ibb_error *err)
{
	int r = ibb_utf16le_append(ret, path);

	if (r)
		return ibb_err(err, r, "no UTF-8: %s", path);
	for (size_t i = 0; big && i + 1 < ret->len; i += 2) {
		const uint8_t low = ret->data[i];

		ret->data[i] = ret->data[i + 1];
		ret->data[i + 1] = low;
	}
	return IBB_OK;
}

static int put_locator(const struct mkvhd *v, unsigned i, uint64_t off, uint8_t *entry,
		       struct ibb_disk *out, struct ibb_error *err)
{
	const struct mkvhd_locator *l = &v->locators[i];
	IBB_AUTO_BUF struct ibb_buf b = {0};
	int r;

	if (memcmp(l->code, "W2", 2) == 0)
		r = utf16(l->path, false, &b, err);
	else
		r = ibb_buf_append_str(&b, l->path);
	if (r)
		return r;
	if (b.len > PATH_ROOM)
		return ibb_err(err, IBB_E_INVALID, "path too long: %s", l->path);
	memcpy(entry, l->code, 4);
	ibb_put_be32(entry + 4, PATH_ROOM);
	ibb_put_be32(entry + 8, (uint32_t)b.len);
	ibb_put_be64(entry + 16, off);
	return b.len ? ibb_disk_pwrite(out, b.data, b.len, off, err) : IBB_OK;
}

static int put_parent(const struct mkvhd *v, const struct mkvhd_places *p, uint8_t *b,
		      struct ibb_disk *out, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf name = {0};
	int r = IBB_OK;

	memcpy(b + 40, v->parent_id.b, 16);
	ibb_put_be32(b + 56, v->parent_time_s);
	if (v->parent_name)
		r = utf16(v->parent_name, true, &name, err);
	if (!r && name.len > 512)
		return ibb_err(err, IBB_E_INVALID, "name too long: %s", v->parent_name);
	if (!r && name.len)
		memcpy(b + 64, name.data, name.len);
	for (unsigned i = 0; !r && i < MKVHD_LOCATORS && v->locators[i].code; i++)
		r = put_locator(v, i, p->locators[i], b + 576 + i * 24, out, err);
	return r;
}

static int put_header(const struct mkvhd *v, const struct mkvhd_places *p, struct ibb_disk *out,
		      struct ibb_error *err)
{
	uint8_t b[HEADER] = {0};
	int r = IBB_OK;

	memcpy(b, "cxsparse\377\377\377\377\377\377\377\377", 16);
	ibb_put_be64(b + 16, p->table);
	ibb_put_be32(b + 24, 0x00010000);
	ibb_put_be32(b + 28, p->n_blocks);
	ibb_put_be32(b + 32, block_bytes(v));
	if (v->differencing)
		r = put_parent(v, p, b, out, err);
	mkvhd_checksum(b, HEADER, 36);
	return r ? r : ibb_disk_pwrite(out, b, HEADER, p->header, err);
}

/* ---- blocks ---- */

static int put_block(const struct mkvhd *v, const struct mkvhd_places *p, uint32_t block,
		     uint64_t off, struct ibb_disk *out, struct ibb_error *err)
{
	const uint32_t n = block_bytes(v) / SECTOR;
	const uint64_t first = (uint64_t)block * n;
	uint8_t *bitmap = ibb_zalloc(p->bitmap_bytes);
	uint8_t b[SECTOR];
	int r = bitmap ? IBB_OK : ibb_err_nomem(err);

	for (uint32_t i = 0; !r && i < n; i++) {
		if (v->whole_bitmaps || has(v, first + i))
			bitmap[i / 8] |= (uint8_t)(1u << (7 - i % 8));
		if (!has(v, first + i))
			continue;
		if (v->fill)
			v->fill(v->ctx, first + i, b);
		else
			mkvhd_fill(first + i, b);
		r = ibb_disk_pwrite(out, b, SECTOR, off + p->bitmap_bytes + i * (uint64_t)SECTOR,
				    err);
	}
	if (!r)
		r = ibb_disk_pwrite(out, bitmap, p->bitmap_bytes, off, err);
	free(bitmap);
	return r;
}

static int put_blocks(const struct mkvhd *v, const struct mkvhd_places *p, struct ibb_disk *out,
		      struct ibb_error *err)
{
	const size_t table_bytes = (size_t)up(p->n_blocks * 4ull);
	uint8_t *table = ibb_alloc(table_bytes);
	uint64_t off = p->blocks;
	int r = table ? IBB_OK : ibb_err_nomem(err);

	if (table)
		memset(table, 0xff, table_bytes);
	for (uint32_t i = 0; !r && i < p->n_blocks; i++) {
		const uint32_t block = v->backwards ? p->n_blocks - 1 - i : i;

		if (!is_allocated(v, block))
			continue;
		ibb_put_be32(table + block * 4ull, (uint32_t)(off / SECTOR));
		r = put_block(v, p, block, off, out, err);
		off += p->bitmap_bytes + block_bytes(v);
	}
	if (!r)
		r = ibb_disk_pwrite(out, table, table_bytes, p->table, err);
	free(table);
	return r;
}

int mkvhd_write(const struct mkvhd *v, struct ibb_disk *out, struct ibb_error *err)
{
	struct mkvhd_places p;
	uint8_t footer[FOOTER];
	int r;

	mkvhd_plan(v, &p);
	make_footer(v, footer);
	r = ibb_disk_pwrite(out, footer, FOOTER, 0, err);
	if (!r)
		r = put_header(v, &p, out, err);
	if (!r)
		r = put_blocks(v, &p, out, err);
	return r ? r : ibb_disk_pwrite(out, footer, FOOTER, p.footer, err);
}

/* ---- whole files ---- */

int mkvhd_disk(const struct mkvhd *v, const char *name, struct ibb_disk **ret,
	       struct ibb_error *err)
{
	struct ibb_disk *d = NULL;
	struct mkvhd_places p;
	char *copy;
	int r;

	mkvhd_plan(v, &p);
	r = ibb_disk_mem_new(p.size_bytes, SECTOR, &d, err);
	if (r)
		return r;
	copy = ibb_strdup(name);
	if (copy) {
		free(d->name);
		d->name = copy;
	}
	r = copy ? mkvhd_write(v, d, err) : ibb_err_nomem(err);
	if (r)
		ibb_disk_unref(d);
	else
		*ret = d;
	return r;
}

int mkvhd_file(const struct mkvhd *v, const char *path, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct ibb_disk *d = NULL;
	struct mkvhd_places p;
	int r;

	mkvhd_plan(v, &p);
	if (fd < 0 || ftruncate(fd, (off_t)p.size_bytes))
		return ibb_err_os(err, errno, "%s: create", path);
	r = imgfile_disk(fd, path, p.size_bytes, SECTOR, &d, err);
	if (!r)
		r = mkvhd_write(v, d, err);
	ibb_disk_unref(d);
	return r;
}

int mkvhd_block(struct ibb_disk *d, const struct mkvhd_places *p, uint32_t block, uint64_t *ret,
		struct ibb_error *err)
{
	uint8_t b[4];
	int r = ibb_disk_pread(d, b, 4, p->table + block * 4ull, err);

	if (!r)
		*ret = (uint64_t)ibb_get_be32(b) * SECTOR;
	return r;
}

static int seal(struct ibb_disk *d, uint64_t off, size_t n, size_t at, struct ibb_error *err)
{
	uint8_t b[HEADER];
	int r = ibb_disk_pread(d, b, n, off, err);

	if (r)
		return r;
	mkvhd_checksum(b, n, at);
	return ibb_disk_pwrite(d, b, n, off, err);
}

int mkvhd_seal(struct ibb_disk *d, const struct mkvhd_places *p, struct ibb_error *err)
{
	int r = seal(d, 0, FOOTER, 64, err);

	if (!r)
		r = seal(d, p->header, HEADER, 36, err);
	return r ? r : seal(d, p->footer, FOOTER, 64, err);
}
