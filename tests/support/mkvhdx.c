/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkvhdx.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/le.h"
#include "base/utf16.h"

#define MIB 1048576ull

/* Identifiers as text, as the specification prints them. */
#define REGION_BAT	"2dc27766-f623-4200-9d64-115e9bfd4a08"
#define REGION_METADATA "8b7ca206-4790-4b9a-b8fe-575f050f886e"
#define ITEM_FILE	"caa16737-fa36-4d43-b3b6-33f0aa44e76b"
#define ITEM_SIZE	"2fa54224-cd1b-4876-b211-5dbed83bf4b8"
#define ITEM_ID		"beca12ab-b2e6-4523-93ef-c309e000c746"
#define ITEM_LOGICAL	"8141bf1d-a96f-4709-ba47-f233a8faab5f"
#define ITEM_PHYSICAL	"cda348c7-445d-4471-9cc9-e9885251c556"
#define ITEM_PARENT	"a8d35f2d-b30b-454d-abf7-d3d84834ab0c"
#define LOCATOR_TYPE	"b04aefb7-d19e-4a81-b789-25b8e9445913"

uint32_t mkvhdx_crc32c(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < n; i++) {
		crc ^= b[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void guid(uint8_t *out, const char *text)
{
	struct ibb_guid g;

	IBB_ASSERT(ibb_guid_parse(text, &g));
	memcpy(out, g.b, 16);
}

int mkvhdx_put(struct mkvhdx *m, const void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	return ibb_disk_pwrite(m->file, buf, n, off, err);
}

int mkvhdx_put32(struct mkvhdx *m, uint32_t v, uint64_t off, struct ibb_error *err)
{
	uint8_t b[4];

	ibb_put_le32(b, v);
	return mkvhdx_put(m, b, sizeof(b), off, err);
}

int mkvhdx_put64(struct mkvhdx *m, uint64_t v, uint64_t off, struct ibb_error *err)
{
	uint8_t b[8];

	ibb_put_le64(b, v);
	return mkvhdx_put(m, b, sizeof(b), off, err);
}

static int seal_one(struct mkvhdx *m, uint64_t at, size_t n, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(n);
	int r = b ? ibb_disk_pread(m->file, b, n, at, err) : ibb_err_nomem(err);

	if (r)
		return r;
	ibb_put_le32(b + 4, 0);
	return mkvhdx_put32(m, mkvhdx_crc32c(b, n), at + 4, err);
}

int mkvhdx_seal(struct mkvhdx *m, struct ibb_error *err)
{
	int r = seal_one(m, MKVHDX_HEADER1, 4096, err);

	if (!r)
		r = seal_one(m, MKVHDX_HEADER2, 4096, err);
	if (!r)
		r = seal_one(m, MKVHDX_REGION1, MKVHDX_TABLE, err);
	if (!r)
		r = seal_one(m, MKVHDX_REGION2, MKVHDX_TABLE, err);
	return r;
}

/* ---- an empty disk ---- */

static int put_headers(struct mkvhdx *m, struct ibb_error *err)
{
	int r = mkvhdx_put(m, "vhdxfileT\0e\0s\0t\0", 16, 0, err);

	for (uint64_t i = 0; !r && i < 2; i++) {
		uint8_t h[80] = "head";

		ibb_put_le64(h + 8, 7 + i); /* the second one is current */
		memset(h + 16, 0x11, 16);
		memcpy(h + 32, m->o.data_write_id.b, 16);
		ibb_put_le16(h + 66, 1);
		ibb_put_le32(h + 68, m->o.log_bytes);
		ibb_put_le64(h + 72, m->log_at);
		r = mkvhdx_put(m, h, sizeof(h), i ? MKVHDX_HEADER2 : MKVHDX_HEADER1, err);
	}
	return r;
}

static int put_regions(struct mkvhdx *m, struct ibb_error *err)
{
	uint8_t t[80] = "regi";
	int r;

	ibb_put_le32(t + 8, 2);
	guid(t + 16, REGION_BAT);
	ibb_put_le64(t + 32, m->bat_at);
	ibb_put_le32(t + 40, (uint32_t)m->bat_bytes);
	ibb_put_le32(t + 44, 1);
	guid(t + 48, REGION_METADATA);
	ibb_put_le64(t + 64, m->metadata_at);
	ibb_put_le32(t + 72, (uint32_t)MIB);
	ibb_put_le32(t + 76, 1);
	r = mkvhdx_put(m, t, sizeof(t), MKVHDX_REGION1, err);
	return r ? r : mkvhdx_put(m, t, sizeof(t), MKVHDX_REGION2, err);
}

struct locator {
	struct ibb_buf entries, texts;
	unsigned n;
};

static int add_key(struct locator *l, const char *key, const char *value, size_t texts_at)
{
	struct ibb_buf k = {0}, v = {0};
	uint8_t e[12];
	int r = ibb_utf16le_append(&k, key);

	if (!r)
		r = ibb_utf16le_append(&v, value);
	ibb_put_le32(e, (uint32_t)(texts_at + l->texts.len));
	ibb_put_le32(e + 4, (uint32_t)(texts_at + l->texts.len + k.len));
	ibb_put_le16(e + 8, (uint16_t)k.len);
	ibb_put_le16(e + 10, (uint16_t)v.len);
	if (!r)
		r = ibb_buf_append(&l->entries, e, sizeof(e));
	if (!r)
		r = ibb_buf_append(&l->texts, k.data, k.len);
	if (!r && v.len)
		r = ibb_buf_append(&l->texts, v.data, v.len);
	l->n++;
	ibb_buf_clear(&k);
	ibb_buf_clear(&v);
	return r;
}

static int make_locator(const struct mkvhdx_opts *o, struct ibb_buf *out)
{
	const char *const pairs[][2] = {
		{"parent_linkage", o->linkage},	      {"parent_linkage2", o->linkage2},
		{"relative_path", o->relative},	      {"volume_path", o->volume},
		{"absolute_win32_path", o->absolute},
	};
	struct locator l = {0};
	uint8_t head[20] = {0};
	int r = IBB_OK;

	guid(head, LOCATOR_TYPE);
	for (size_t i = 0; !r && i < IBB_ARRAY_SIZE(pairs); i++)
		if (pairs[i][1])
			r = add_key(&l, pairs[i][0], pairs[i][1], 20 + 12 * 5);
	ibb_put_le16(head + 18, (uint16_t)l.n);
	if (!r)
		r = ibb_buf_append(out, head, sizeof(head));
	if (!r && l.entries.len)
		r = ibb_buf_append(out, l.entries.data, l.entries.len);
	if (!r)
		r = ibb_buf_append_zero(out, 20 + 12 * 5 - out->len);
	if (!r && l.texts.len)
		r = ibb_buf_append(out, l.texts.data, l.texts.len);
	ibb_buf_clear(&l.entries);
	ibb_buf_clear(&l.texts);
	return r;
}

static int put_item(struct mkvhdx *m, unsigned i, const char *id, const void *value, size_t n,
		    uint32_t flags, struct ibb_error *err)
{
	uint32_t at = MKVHDX_TABLE + i * 4096;
	uint8_t e[32] = {0};
	int r;

	guid(e, id);
	ibb_put_le32(e + 16, at);
	ibb_put_le32(e + 20, (uint32_t)n);
	ibb_put_le32(e + 24, flags);
	r = mkvhdx_put(m, e, sizeof(e), m->metadata_at + 32 + i * 32, err);
	return r ? r : mkvhdx_put(m, value, n, m->metadata_at + at, err);
}

static int put_metadata(struct mkvhdx *m, struct ibb_error *err)
{
	struct ibb_buf locator = {0};
	uint8_t t[32] = "metadata", b[8];
	int r;

	ibb_put_le16(t + 10, m->o.differencing ? 6 : 5);
	r = mkvhdx_put(m, t, sizeof(t), m->metadata_at, err);
	ibb_put_le32(b, m->o.block_bytes);
	ibb_put_le32(b + 4, (m->o.fixed ? 1 : 0) | (m->o.differencing ? 2 : 0));
	if (!r)
		r = put_item(m, 0, ITEM_FILE, b, 8, 4, err);
	ibb_put_le64(b, m->o.disk_bytes);
	if (!r)
		r = put_item(m, 1, ITEM_SIZE, b, 8, 6, err);
	if (!r)
		r = put_item(m, 2, ITEM_ID, m->o.disk_id.b, 16, 6, err);
	ibb_put_le32(b, m->o.logical_bytes);
	if (!r)
		r = put_item(m, 3, ITEM_LOGICAL, b, 4, 6, err);
	ibb_put_le32(b, m->o.physical_bytes);
	if (!r)
		r = put_item(m, 4, ITEM_PHYSICAL, b, 4, 6, err);
	if (!r && m->o.differencing) {
		r = make_locator(&m->o, &locator) ? ibb_err_nomem(err) : IBB_OK;
		if (!r)
			r = put_item(m, 5, ITEM_PARENT, locator.data, locator.len, 4, err);
		ibb_buf_clear(&locator);
	}
	return r;
}

static void lay_out(struct mkvhdx *m)
{
	struct mkvhdx_opts *o = &m->o;
	uint64_t n;

	o->block_bytes = o->block_bytes ? o->block_bytes : (uint32_t)MIB;
	o->logical_bytes = o->logical_bytes ? o->logical_bytes : 512;
	o->physical_bytes = o->physical_bytes ? o->physical_bytes : 4096;
	o->log_bytes = o->log_bytes ? o->log_bytes : (uint32_t)MIB;
	m->n_blocks = (o->disk_bytes + o->block_bytes - 1) / o->block_bytes;
	m->chunk_ratio = (uint32_t)(((uint64_t)o->logical_bytes << 23) / o->block_bytes);
	m->n_chunks = (m->n_blocks + m->chunk_ratio - 1) / m->chunk_ratio;
	n = m->n_chunks * (m->chunk_ratio + 1ull);
	m->log_at = MIB;
	m->metadata_at = MIB + o->log_bytes;
	m->bat_at = m->metadata_at + MIB;
	m->bat_bytes = (n * 8 + MIB - 1) / MIB * MIB;
	m->next = m->bat_at + m->bat_bytes;
	if (!o->room_bytes)
		o->room_bytes = m->next + m->n_blocks * o->block_bytes + m->n_chunks * MIB;
}

int mkvhdx_begin(struct mkvhdx *m, const struct mkvhdx_opts *o, struct ibb_error *err)
{
	int r;

	*m = (struct mkvhdx){.o = *o};
	lay_out(m);
	r = ibb_disk_mem_new(m->o.room_bytes, 512, &m->file, err);
	if (r)
		return r;
	m->file->size_bytes = m->next;
	r = put_headers(m, err);
	if (!r)
		r = put_regions(m, err);
	if (!r)
		r = put_metadata(m, err);
	for (uint64_t i = 0; !r && o->fixed && i < m->n_blocks; i++)
		r = mkvhdx_state(m, i, MKVHDX_FULL, err);
	return r ? r : mkvhdx_seal(m, err);
}

void mkvhdx_clear(struct mkvhdx *m)
{
	ibb_disk_unref(m->file);
	*m = (struct mkvhdx){0};
}

/* ---- blocks ---- */

uint64_t mkvhdx_entry_at(const struct mkvhdx *m, uint64_t block)
{
	return m->bat_at + 8 * (block + block / m->chunk_ratio);
}

uint64_t mkvhdx_bitmap_entry_at(const struct mkvhdx *m, uint64_t chunk)
{
	return m->bat_at + 8 * (chunk * (m->chunk_ratio + 1ull) + m->chunk_ratio);
}

static int get64(struct mkvhdx *m, uint64_t at, uint64_t *ret, struct ibb_error *err)
{
	uint8_t b[8];
	int r = ibb_disk_pread(m->file, b, sizeof(b), at, err);

	if (!r)
		*ret = ibb_get_le64(b);
	return r;
}

int mkvhdx_place(struct mkvhdx *m, uint64_t block, uint64_t *ret, struct ibb_error *err)
{
	uint64_t e = 0;
	int r = get64(m, mkvhdx_entry_at(m, block), &e, err);

	if (!r)
		*ret = e >> 20 << 20;
	return r;
}

/* Give the entry a place of n bytes, if it has none, and this state. */
static int give_place(struct mkvhdx *m, uint64_t at, uint64_t n, enum mkvhdx_state state,
		      struct ibb_error *err)
{
	uint64_t e = 0;
	int r = get64(m, at, &e, err);

	if (r)
		return r;
	if (!(e >> 20)) {
		if (m->next + n > m->o.room_bytes)
			return ibb_err(err, IBB_E_INVALID, "mkvhdx: no room for another block");
		e = m->next;
		m->next += n;
		m->file->size_bytes = m->next;
	}
	return mkvhdx_put64(m, e >> 20 << 20 | state, at, err);
}

int mkvhdx_state(struct mkvhdx *m, uint64_t block, enum mkvhdx_state state, struct ibb_error *err)
{
	uint64_t at = mkvhdx_entry_at(m, block);
	int r = IBB_OK;

	if (state != MKVHDX_FULL && state != MKVHDX_PARTIAL)
		return mkvhdx_put64(m, state, at, err);
	if (state == MKVHDX_PARTIAL)
		r = give_place(m, mkvhdx_bitmap_entry_at(m, block / m->chunk_ratio), MIB,
			       MKVHDX_FULL, err);
	return r ? r : give_place(m, at, m->o.block_bytes, state, err);
}

/* Mark [off, off+n) of the disk as the child's own, sector by sector. */
static int mark(struct mkvhdx *m, uint64_t off, size_t n, struct ibb_error *err)
{
	uint64_t chunk_bytes = (uint64_t)m->chunk_ratio * m->o.block_bytes, at = 0;
	int r = get64(m, mkvhdx_bitmap_entry_at(m, off / chunk_bytes), &at, err);

	at = at >> 20 << 20;
	for (uint64_t s = off; !r && s < off + n; s += m->o.logical_bytes) {
		uint64_t i = s % chunk_bytes / m->o.logical_bytes;
		uint8_t b;

		r = ibb_disk_pread(m->file, &b, 1, at + i / 8, err);
		b = (uint8_t)(b | 1u << i % 8);
		if (!r)
			r = mkvhdx_put(m, &b, 1, at + i / 8, err);
	}
	return r;
}

static int write_in_block(struct mkvhdx *m, const uint8_t *b, size_t n, uint64_t off,
			  struct ibb_error *err)
{
	uint64_t block = off / m->o.block_bytes, e = 0, place = 0;
	int r = get64(m, mkvhdx_entry_at(m, block), &e, err);

	if (!r && (e & 7) != MKVHDX_FULL)
		r = mkvhdx_state(m, block, m->o.differencing ? MKVHDX_PARTIAL : MKVHDX_FULL, err);
	if (!r && (e & 7) != MKVHDX_FULL && m->o.differencing)
		r = mark(m, off, n, err);
	if (!r)
		r = mkvhdx_place(m, block, &place, err);
	return r ? r : mkvhdx_put(m, b, n, place + off % m->o.block_bytes, err);
}

int mkvhdx_write(struct mkvhdx *m, const void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	const uint8_t *b = buf;
	int r = IBB_OK;

	if (off % m->o.logical_bytes || n % m->o.logical_bytes)
		return ibb_err(err, IBB_E_INVALID, "mkvhdx: no whole sectors");
	while (!r && n) {
		uint64_t left = m->o.block_bytes - off % m->o.block_bytes;
		size_t k = n < left ? n : (size_t)left;

		r = write_in_block(m, b, k, off, err);
		b += k;
		off += k;
		n -= k;
	}
	return r;
}

/* ---- saving ---- */

struct save {
	int fd;
	struct ibb_disk *d;
	const char *path;
};

static int save_run(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	const struct save *s = ctx;
	static uint8_t b[65536];
	int r = IBB_OK;

	for (uint64_t at = 0; !r && e->data && at < e->len_bytes; at += sizeof(b)) {
		uint64_t left = e->len_bytes - at;
		size_t k = left < sizeof(b) ? (size_t)left : sizeof(b);

		r = ibb_disk_pread(s->d, b, k, e->off_bytes + at, err);
		if (!r)
			r = ibb_pwrite_full(s->fd, b, k, e->off_bytes + at, s->path, err);
	}
	return r;
}

int mkvhdx_save(const struct mkvhdx *m, const char *path, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct save s = {fd, m->file, path};

	if (fd < 0 || ftruncate(fd, (off_t)m->file->size_bytes) != 0)
		return ibb_err(err, IBB_E_IO, "mkvhdx: cannot make %s", path);
	return ibb_disk_extents(m->file, 0, m->file->size_bytes, save_run, &s, err);
}

/* ---- the log ---- */

void mkvhdx_ring_init(struct mkvhdx_ring *r, struct mkvhdx *m, const struct ibb_guid *id,
		      uint32_t at, uint64_t sequence)
{
	*r = (struct mkvhdx_ring){.m = m,
				  .id = *id,
				  .at = at,
				  .tail = at,
				  .sequence = sequence,
				  .flushed = m->file->size_bytes,
				  .last = m->file->size_bytes};
}

static void put_change(const struct mkvhdx_ring *r, const struct mkvhdx_change *c, uint8_t *d,
		       uint8_t *s)
{
	memcpy(d, c->data ? "desc" : "zero", 4);
	ibb_put_le64(d + 16, c->off_bytes);
	ibb_put_le64(d + 24, r->sequence);
	if (!c->data) {
		ibb_put_le64(d + 8, c->len_bytes);
		return;
	}
	memcpy(d + 4, c->data + 4092, 4); /* trailing bytes */
	memcpy(d + 8, c->data, 8);	  /* leading bytes */
	memcpy(s, "data", 4);
	ibb_put_le32(s + 4, (uint32_t)(r->sequence >> 32));
	memcpy(s + 8, c->data + 8, 4084);
	ibb_put_le32(s + 4092, (uint32_t)r->sequence);
}

static int put_entry(struct mkvhdx_ring *r, const uint8_t *b, uint32_t sectors,
		     struct ibb_error *err)
{
	uint32_t n = r->m->o.log_bytes / 4096;
	int e = IBB_OK;

	for (uint32_t i = 0; !e && i < sectors; i++)
		e = mkvhdx_put(r->m, b + (size_t)i * 4096, 4096,
			       r->m->log_at + (uint64_t)((r->at + i) % n) * 4096, err);
	r->at = (r->at + sectors) % n;
	r->sequence++;
	return e;
}

int mkvhdx_ring_add(struct mkvhdx_ring *r, const struct mkvhdx_change *c, size_t n,
		    uint32_t *ret_sectors, struct ibb_error *err)
{
	uint32_t head = (uint32_t)((64 + 32 * n + 4095) / 4096), sectors = head + r->padding;
	IBB_AUTO_FREE uint8_t *b = NULL;
	uint8_t *data;

	for (size_t i = 0; i < n; i++)
		sectors += c[i].data != NULL;
	b = ibb_zalloc((size_t)sectors * 4096);
	if (!b)
		return ibb_err_nomem(err);
	memcpy(b, "loge", 4);
	ibb_put_le32(b + 8, sectors * 4096);
	ibb_put_le32(b + 12, r->tail * 4096);
	ibb_put_le64(b + 16, r->sequence);
	ibb_put_le32(b + 24, (uint32_t)n);
	memcpy(b + 32, r->id.b, 16);
	ibb_put_le64(b + 48, r->flushed);
	ibb_put_le64(b + 56, r->last);
	data = b + (size_t)head * 4096;
	for (size_t i = 0; i < n; i++) {
		put_change(r, &c[i], b + 64 + 32 * i, data);
		data += c[i].data ? 4096 : 0;
	}
	ibb_put_le32(b + 4, mkvhdx_crc32c(b, (size_t)sectors * 4096));
	if (ret_sectors)
		*ret_sectors = sectors;
	return put_entry(r, b, sectors, err);
}

int mkvhdx_set_log(struct mkvhdx *m, const struct ibb_guid *id, struct ibb_error *err)
{
	int r = mkvhdx_put(m, id->b, 16, MKVHDX_HEADER1 + 48, err);

	if (!r)
		r = mkvhdx_put(m, id->b, 16, MKVHDX_HEADER2 + 48, err);
	return r ? r : mkvhdx_seal(m, err);
}
