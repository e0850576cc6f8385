/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "disk/journal_int.h"

#define UNIT	IBB_JOURNAL_UNIT
#define VERSION 1u
#define SEAL	480u /* where the digest of a head lies */

static const char head_magic[8] = {'i', 'b', 'b', 'a', 'k', 'e', 'R', 'J'};
static const char record_magic[8] = {'i', 'b', 'b', 'a', 'k', 'e', 'R', 'R'};
static const char trailer_magic[8] = {'i', 'b', 'b', 'a', 'k', 'e', 'R', 'T'};

static uint64_t round_up(uint64_t n)
{
	return (n + UNIT - 1) / UNIT * UNIT;
}

uint64_t ibb_journal_manifest_bytes(uint64_t path_bytes, uint64_t text_bytes)
{
	return round_up(path_bytes + text_bytes);
}

static size_t sums_bytes(size_t len_bytes)
{
	return (size_t)round_up(len_bytes / UNIT * JOURNAL_SUM_BYTES);
}

uint64_t ibb_journal_record_bytes(uint64_t len_bytes)
{
	return UNIT + round_up(len_bytes / UNIT * JOURNAL_SUM_BYTES) + len_bytes;
}

int ibb_journal_sum(const uint8_t *sector, uint8_t ret[JOURNAL_SUM_BYTES])
{
	struct ibb_sha256 d;
	int r = ibb_sha256(sector, UNIT, &d);

	if (!r)
		memcpy(ret, d.b, JOURNAL_SUM_BYTES);
	return r;
}

/* ---- writing ---- */

static int seal(uint8_t *unit)
{
	struct ibb_sha256 d;
	int r = ibb_sha256(unit, SEAL, &d);

	if (!r)
		memcpy(unit + SEAL, d.b, sizeof(d.b));
	return r;
}

int ibb_journal_put_head(struct journal_head *h, uint8_t *out)
{
	int r;

	memset(out, 0, UNIT);
	memcpy(out, head_magic, 8);
	ibb_put_le32(out + 8, VERSION);
	ibb_put_le32(out + 12, h->id.flags);
	ibb_put_le64(out + 16, h->id.image_bytes);
	ibb_put_le64(out + 24, h->journal_bytes);
	ibb_put_le64(out + 32, h->records);
	ibb_put_le64(out + 40, h->data_bytes);
	ibb_put_le32(out + 48, h->id.container);
	ibb_put_le32(out + 52, h->id.mbr_signature);
	memcpy(out + 56, h->id.vhd_id.b, 16);
	memcpy(out + 72, h->id.gpt_id.b, 16);
	ibb_put_le32(out + 88, h->path_bytes);
	ibb_put_le32(out + 92, h->text_bytes);
	memcpy(out + 96, h->manifest.b, sizeof(h->manifest.b));
	r = seal(out);
	if (!r)
		memcpy(h->digest, out + SEAL, sizeof(h->digest));
	return r;
}

int ibb_journal_put_record(const struct journal_record *rec, uint8_t *out,
			   uint8_t ret_digest[IBB_SHA256_SIZE])
{
	struct ibb_sha256 d;
	int r;

	memset(out, 0, UNIT);
	memcpy(out, record_magic, 8);
	ibb_put_le64(out + 8, rec->number);
	ibb_put_le64(out + 16, rec->off_bytes);
	ibb_put_le64(out + 24, rec->len_bytes);
	r = ibb_sha256(out + UNIT, sums_bytes(rec->len_bytes) + rec->len_bytes, &d);
	if (r)
		return r;
	memcpy(out + 32, d.b, sizeof(d.b));
	r = seal(out);
	if (!r)
		memcpy(ret_digest, out + SEAL, IBB_SHA256_SIZE);
	return r;
}

int ibb_journal_put_trailer(uint64_t records, const struct ibb_sha256 *all, uint8_t *out)
{
	memset(out, 0, UNIT);
	memcpy(out, trailer_magic, 8);
	ibb_put_le64(out + 8, records);
	memcpy(out + 32, all->b, sizeof(all->b));
	return seal(out);
}

/* ---- reading ---- */

void ibb_journal_clear(struct journal *j)
{
	free(j->path);
	free(j->text);
	*j = (struct journal){0};
}

static int damaged(const struct ibb_journal_io *io, uint64_t off, const char *what,
		   struct ibb_error *err)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s: offset %llu: %s", io->journal,
		       (unsigned long long)off, what);
}

/* Is this unit the head of that kind, and whole? */
static int is_unit(const uint8_t *b, const char magic[8], bool *ret)
{
	struct ibb_sha256 d;
	int r = ibb_sha256(b, SEAL, &d);

	if (!r)
		*ret = memcmp(b, magic, 8) == 0 && memcmp(b + SEAL, d.b, sizeof(d.b)) == 0;
	return r;
}

static int read_unit(struct ibb_journal_io *io, uint64_t off, const char magic[8], uint8_t *b,
		     bool *ret, struct ibb_error *err)
{
	int r = io->ops->pread(io, IBB_JOURNAL_SELF, b, UNIT, off, err);

	return r ? r : is_unit(b, magic, ret) ? ibb_err_nomem(err) : IBB_OK;
}

int ibb_journal_has_trailer(struct ibb_journal_io *io, bool *ret, uint64_t *ret_records,
			    struct ibb_sha256 *ret_all, struct ibb_error *err)
{
	uint8_t b[UNIT];
	uint64_t size;
	int r = io->ops->size(io, IBB_JOURNAL_SELF, &size, err);

	if (r)
		return r;
	*ret = false;
	if (size < 2 * UNIT || size % UNIT)
		return IBB_OK;
	r = read_unit(io, size - UNIT, trailer_magic, b, ret, err);
	if (!r && *ret) {
		*ret_records = ibb_get_le64(b + 8);
		memcpy(ret_all->b, b + 32, sizeof(ret_all->b));
	}
	return r;
}

static void get_head(const uint8_t *b, struct journal_head *h)
{
	*h = (struct journal_head){
		.id = {.image_bytes = ibb_get_le64(b + 16),
		       .flags = ibb_get_le32(b + 12),
		       .container = ibb_get_le32(b + 48),
		       .mbr_signature = ibb_get_le32(b + 52)},
		.journal_bytes = ibb_get_le64(b + 24),
		.records = ibb_get_le64(b + 32),
		.data_bytes = ibb_get_le64(b + 40),
		.path_bytes = ibb_get_le32(b + 88),
		.text_bytes = ibb_get_le32(b + 92),
	};
	memcpy(h->id.vhd_id.b, b + 56, 16);
	memcpy(h->id.gpt_id.b, b + 72, 16);
	memcpy(h->manifest.b, b + 96, sizeof(h->manifest.b));
	memcpy(h->digest, b + SEAL, sizeof(h->digest));
}

static int check_head(const struct ibb_journal_io *io, const uint8_t *b,
		      const struct journal_head *h, struct ibb_error *err)
{
	const bool manifest = h->id.flags & IBB_JOURNAL_HAS_MANIFEST;

	if (ibb_get_le32(b + 8) != VERSION || h->id.flags > 15) {
		ibb_err(err, IBB_E_UNSUPPORTED,
			"%s: offset 8: version %u, flags 0x%x; this ibbake knows version 1",
			io->journal, ibb_get_le32(b + 8), h->id.flags);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "recover the image with the ibbake that wrote it");
	}
	if (h->id.container > 1 || !h->id.image_bytes || h->id.image_bytes % UNIT)
		return damaged(io, 16, "no image that is changed in place is like this", err);
	if (h->data_bytes > h->id.image_bytes || h->records > h->data_bytes / UNIT)
		return damaged(io, 32, "more content than the image has", err);
	if (manifest ? !h->path_bytes || h->path_bytes > IBB_LIMIT_PATH_CHARS ||
			       h->text_bytes > IBB_LIMIT_JSON_BYTES
		     : h->path_bytes || h->text_bytes)
		return damaged(io, 88, "the lengths of the manifest cannot be right", err);
	return IBB_OK;
}

static int read_manifest(struct journal *j, struct ibb_error *err)
{
	const struct journal_head *h = &j->head;
	const size_t n = (size_t)ibb_journal_manifest_bytes(h->path_bytes, h->text_bytes);
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(n);
	struct ibb_sha256 d;
	int r;

	if (!b)
		return ibb_err_nomem(err);
	r = n ? j->io->ops->pread(j->io, IBB_JOURNAL_SELF, b, n, UNIT, err) : IBB_OK;
	if (r)
		return r;
	if (ibb_sha256(b, n, &d))
		return ibb_err_nomem(err);
	if (memcmp(d.b, h->manifest.b, sizeof(d.b)) != 0)
		return damaged(j->io, UNIT, "the digest of the manifest is not the header's", err);
	if (!n)
		return IBB_OK;
	if (memchr(b, 0, (size_t)h->path_bytes + h->text_bytes))
		return damaged(j->io, UNIT, "a NUL in the manifest", err);
	j->path = ibb_strndup((char *)b, h->path_bytes);
	j->text = ibb_strndup((char *)b + h->path_bytes, h->text_bytes);
	return j->path && j->text ? IBB_OK : ibb_err_nomem(err);
}

int ibb_journal_read_head(struct ibb_journal_io *io, struct journal *ret, struct ibb_error *err)
{
	struct journal j = {.io = io};
	uint8_t b[UNIT];
	uint64_t size = 0;
	bool sound = false;
	int r = io->ops->size(io, IBB_JOURNAL_SELF, &size, err);

	if (r)
		return r;
	if (size < UNIT)
		return damaged(io, 0, "too short for a header", err);
	r = read_unit(io, 0, head_magic, b, &sound, err);
	if (r)
		return r;
	if (!sound)
		return damaged(io, 0, "no sound header", err);
	get_head(b, &j.head);
	r = check_head(io, b, &j.head, err);
	if (!r && UNIT + ibb_journal_manifest_bytes(j.head.path_bytes, j.head.text_bytes) > size)
		r = damaged(io, UNIT, "the manifest lies beyond the end", err);
	if (!r)
		r = read_manifest(&j, err);
	if (r) {
		ibb_journal_clear(&j);
		return r;
	}
	*ret = j;
	return IBB_OK;
}

struct reader {
	const struct journal *j;
	uint8_t *buf;	 /* sums and content of one record */
	uint64_t pos;	 /* in the journal */
	uint64_t end;	 /* of the image, as far as records have come */
	uint64_t total;	 /* content so far */
	uint64_t size;	 /* of the journal, without a trailer */
	uint64_t number; /* of the record */
};

static int check_record(const struct reader *rd, const uint8_t *b, struct journal_record *ret,
			struct ibb_error *err)
{
	const struct ibb_journal_io *io = rd->j->io;
	uint64_t off = ibb_get_le64(b + 16), len = ibb_get_le64(b + 24);

	if (ibb_get_le64(b + 8) != rd->number)
		return damaged(io, rd->pos + 8, "the record has another number", err);
	if (!len || len > IBB_LIMIT_JOURNAL_RECORD || len % UNIT || off % UNIT)
		return damaged(io, rd->pos + 16, "the record's place is no run of sectors", err);
	if (!ibb_in_range(off, len, rd->j->head.id.image_bytes))
		return damaged(io, rd->pos + 16, "the record lies outside the image", err);
	if (off < rd->end)
		return damaged(io, rd->pos + 16, "the record overlaps the one before it", err);
	if (!ibb_in_range(rd->pos, ibb_journal_record_bytes(len), rd->size))
		return damaged(io, rd->pos + 24, "the record goes beyond the end", err);
	*ret = (struct journal_record){
		.number = rd->number, .off_bytes = off, .len_bytes = (size_t)len};
	return IBB_OK;
}

static int read_record(struct reader *rd, struct ibb_hasher *all, struct journal_record *ret,
		       struct ibb_error *err)
{
	struct ibb_journal_io *io = rd->j->io;
	uint8_t b[UNIT];
	struct ibb_sha256 d;
	bool sound = false;
	size_t sums, n;
	int r;

	if (!ibb_in_range(rd->pos, UNIT, rd->size))
		return damaged(io, rd->pos, "a record is missing", err);
	r = read_unit(io, rd->pos, record_magic, b, &sound, err);
	if (r)
		return r;
	if (!sound)
		return damaged(io, rd->pos, "no sound record", err);
	r = check_record(rd, b, ret, err);
	if (r)
		return r;
	sums = sums_bytes(ret->len_bytes);
	n = sums + ret->len_bytes;
	r = io->ops->pread(io, IBB_JOURNAL_SELF, rd->buf, n, rd->pos + UNIT, err);
	if (r)
		return r;
	if (ibb_sha256(rd->buf, n, &d) || ibb_hasher_update(all, b + SEAL, IBB_SHA256_SIZE))
		return ibb_err_nomem(err);
	if (memcmp(d.b, b + 32, sizeof(d.b)) != 0)
		return damaged(io, rd->pos + UNIT, "the content is not what its digest says", err);
	ret->sums = rd->buf;
	ret->data = rd->buf + sums;
	return IBB_OK;
}

static int each(struct reader *rd, struct ibb_hasher *all, journal_record_fn fn, void *ctx,
		struct ibb_error *err)
{
	const struct journal_head *h = &rd->j->head;
	int r = IBB_OK;

	for (; rd->number < h->records; rd->number++) {
		struct journal_record rec;

		r = read_record(rd, all, &rec, err);
		if (!r && fn)
			r = fn(ctx, &rec, err);
		if (r)
			return r;
		rd->pos += ibb_journal_record_bytes(rec.len_bytes);
		rd->end = rec.off_bytes + rec.len_bytes;
		rd->total += rec.len_bytes;
	}
	if (rd->total != h->data_bytes || rd->pos != rd->size)
		return damaged(rd->j->io, rd->pos, "the records are not what the header counts",
			       err);
	return IBB_OK;
}

int ibb_journal_each(const struct journal *j, journal_record_fn fn, void *ctx,
		     struct ibb_sha256 *ret_all, struct ibb_error *err)
{
	IBB_AUTO(ibb_hasher_free) struct ibb_hasher *all = NULL;
	IBB_AUTO_FREE uint8_t *buf = NULL;
	struct reader rd = {.j = j};
	struct ibb_sha256 d;
	int r = j->io->ops->size(j->io, IBB_JOURNAL_SELF, &rd.size, err);

	if (r)
		return r;
	/* without a trailer, the records of a torn journal end anywhere */
	if (rd.size == j->head.journal_bytes && rd.size >= 2 * UNIT)
		rd.size -= UNIT;
	buf = ibb_alloc(sums_bytes(IBB_LIMIT_JOURNAL_RECORD) + IBB_LIMIT_JOURNAL_RECORD);
	if (!buf || ibb_hasher_new(&all) ||
	    ibb_hasher_update(all, j->head.digest, sizeof(j->head.digest)))
		return ibb_err_nomem(err);
	rd.buf = buf;
	rd.pos = UNIT + ibb_journal_manifest_bytes(j->head.path_bytes, j->head.text_bytes);
	r = each(&rd, all, fn, ctx, err);
	if (r)
		return r;
	if (ibb_hasher_final(IBB_TAKE(all), &d))
		return ibb_err_nomem(err);
	if (ret_all)
		*ret_all = d;
	return IBB_OK;
}
