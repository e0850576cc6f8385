/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The integrity table: SHA-1 of every piece of the file, from behind the header to the end of the
 * table of contents ("Windows Imaging File Format", 2007). Its own size, the number of digests and
 * the size of a piece, 4 bytes each, then the digests.
 */
#include <string.h>

#include "base/hash.h"
#include "base/le.h"
#include "base/limits.h"
#include "volume/wim_internal.h"

#define HEADER_BYTES 12u
#define PIECE_BYTES  (1u << 20)
/* wimlib takes digests of no other pieces over */
#define MIN_KEPT 4096u
#define MAX_KEPT (128u << 20)

struct digests {
	struct ibb_buf b;
	uint32_t n, chunk;
	uint64_t covered;
};

static int load(const struct ibb_wim *w, struct digests *ret, struct ibb_error *err)
{
	const struct wim_header *h = &w->header;
	const uint64_t n = h->integrity_bytes;
	uint8_t *p;
	int r;

	if (n < HEADER_BYTES || n > IBB_LIMIT_WIM_TABLE || h->table_end < WIM_HEADER_BYTES)
		return ibb_err(err, IBB_E_CORRUPT, "%s: the integrity table is damaged", w->name);
	if (ibb_buf_reserve(&ret->b, (size_t)n))
		return ibb_err_nomem(err);
	p = ret->b.data;
	r = ibb_disk_pread(w->file, p, (size_t)n, h->integrity_off, err);
	if (r)
		return r;
	ret->covered = h->table_end - WIM_HEADER_BYTES;
	ret->n = ibb_get_le32(p + 4);
	ret->chunk = ibb_get_le32(p + 8);
	if (ibb_get_le32(p) != n || !ret->chunk ||
	    n != HEADER_BYTES + (uint64_t)ret->n * IBB_SHA1_SIZE ||
	    ret->n != ret->covered / ret->chunk + (ret->covered % ret->chunk != 0))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the integrity table at offset %llu is damaged", w->name,
			       (unsigned long long)h->integrity_off);
	return IBB_OK;
}

static const uint8_t *digest(const struct digests *d, uint32_t i)
{
	return d->b.data + HEADER_BYTES + (size_t)i * IBB_SHA1_SIZE;
}

static uint64_t end_of(const struct digests *d, uint32_t i)
{
	const uint64_t end = ((uint64_t)i + 1) * d->chunk;

	return end < d->covered ? end : d->covered;
}

static int hash_chunk(const struct ibb_wim *w, uint64_t off, uint64_t end, uint8_t *buf,
		      struct wim_checking *p, struct ibb_sha1 *ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_hasher_free) struct ibb_hasher *h = NULL;
	int r = ibb_hasher_new_sha1(&h) ? ibb_err_nomem(err) : IBB_OK;

	while (!r && off < end) {
		const size_t n = end - off < PIECE_BYTES ? (size_t)(end - off) : PIECE_BYTES;

		r = ibb_disk_pread(w->file, buf, n, WIM_HEADER_BYTES + off, err);
		if (!r && ibb_hasher_update(h, buf, n))
			r = ibb_err_nomem(err);
		if (!r)
			r = ibb_wim_checking_step(p, n, err);
		off += n;
	}
	if (!r && ibb_hasher_final_sha1(IBB_TAKE(h), ret))
		r = ibb_err_nomem(err);
	return r;
}

/* The same piece of the file as before, with the same digest? */
static bool is_old(const struct digests *old, const struct digests *d, uint32_t i)
{
	return old->chunk == d->chunk && i < old->n && end_of(old, i) == end_of(d, i) &&
	       memcmp(digest(old, i), digest(d, i), IBB_SHA1_SIZE) == 0;
}

static int check_chunks(struct ibb_wim *w, const struct digests *old, const struct digests *d,
			struct wim_checking *p, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *buf = ibb_alloc(PIECE_BYTES);
	struct ibb_sha1 sha;

	if (!buf)
		return ibb_err_nomem(err);
	for (uint32_t i = 0; i < d->n; i++) {
		const uint64_t off = (uint64_t)i * d->chunk;
		int r;

		if (is_old(old, d, i))
			continue;
		r = hash_chunk(w, off, end_of(d, i), buf, p, &sha, err);
		if (r)
			return r;
		if (memcmp(sha.b, digest(d, i), sizeof(sha.b)) != 0)
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: the integrity table has another digest for the %llu "
				       "bytes at offset %llu",
				       w->name, (unsigned long long)(end_of(d, i) - off),
				       (unsigned long long)(WIM_HEADER_BYTES + off));
	}
	return IBB_OK;
}

uint64_t ibb_wim_integrity_bytes(const struct ibb_wim *old, const struct ibb_wim *w)
{
	uint64_t from = old && old->info.integrity ? old->header.table_end : WIM_HEADER_BYTES;

	return w->info.integrity && w->header.table_end > from ? w->header.table_end - from : 0;
}

int ibb_wim_check_integrity(struct ibb_wim *old, struct ibb_wim *w, struct wim_checking *p,
			    struct ibb_error *err)
{
	struct digests was = {0}, is = {0};
	int r = IBB_OK;

	if (!w->info.integrity)
		return IBB_OK;
	/* wimlib does without an old table that is damaged, and so do we */
	if (old && old->info.integrity) {
		r = load(old, &was, err);
		if (r == IBB_E_CORRUPT) {
			was.n = 0;
			r = IBB_OK;
		}
	}
	if (!r)
		r = load(w, &is, err);
	if (!r)
		r = check_chunks(w, &was, &is, p, err);
	ibb_buf_clear(&was.b);
	ibb_buf_clear(&is.b);
	return r;
}

static int damaged(int r, struct ibb_error *err)
{
	return r == IBB_E_CORRUPT
		       ? ibb_err_hint(err, r,
				      "nothing is appended to a damaged WIM; `wimlib-imagex "
				      "verify` says what else of it is damaged")
		       : r;
}

/* The first piece of which wimlib, appending, reckons the digest anew. */
static uint32_t first_anew(const struct digests *d)
{
	return d->chunk >= MIN_KEPT && d->chunk <= MAX_KEPT ? (uint32_t)(d->covered / d->chunk) : 0;
}

int ibb_wim_check_appendable(const struct ibb_wim *w, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *buf = ibb_alloc(PIECE_BYTES);
	struct wim_checking silent = {.name = w->name};
	struct digests d = {0};
	struct ibb_sha1 sha;
	int r = buf ? load(w, &d, err) : ibb_err_nomem(err);

	for (uint32_t i = r ? 0 : first_anew(&d); !r && i < d.n; i++) {
		const uint64_t off = (uint64_t)i * d.chunk, end = end_of(&d, i);

		r = hash_chunk(w, off, end, buf, &silent, &sha, err);
		if (!r && memcmp(sha.b, digest(&d, i), sizeof(sha.b)) != 0)
			r = ibb_err(err, IBB_E_CORRUPT,
				    "%s: does not match its integrity table, between offset %llu "
				    "and %llu: it is damaged",
				    w->name, (unsigned long long)(WIM_HEADER_BYTES + off),
				    (unsigned long long)(WIM_HEADER_BYTES + end));
	}
	ibb_buf_clear(&d.b);
	return damaged(r, err);
}
