/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The integrity table of a WIM: SHA-1 digests of all between its header and the end of its table of
 * contents, in chunks of (mostly) 10 MiB. wimlib, appending, keeps those of whole chunks, and
 * reckons the last one, which goes on behind the old end, anew from whatever bytes are there:
 * damage in it would get a digest that fits.
 *
 * Source: "Windows Imaging File Format (WIM)", Microsoft, 2007: the integrity table.
 */
#include "volume/wim_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/le.h"
#include "base/limits.h"

#define FIXED_BYTES 12u
#define PIECE_BYTES (256u << 10)
/* wimlib takes digests of no other chunks over */
#define MIN_CHUNK 4096u
#define MAX_CHUNK (128u << 20)

struct table {
	struct ibb_buf raw;
	uint32_t entries, chunk_bytes;
	uint64_t covered; /* bytes behind the header */
};

static int bad(const struct ibb_wim *w, const char *what, struct ibb_error *err)
{
	(void)ibb_err(err, IBB_E_CORRUPT, "%s: %s", w->name, what);
	return ibb_err_hint(
		err, IBB_E_CORRUPT,
		"nothing is appended to a damaged WIM; `wimlib-imagex verify` says what "
		"else of it is damaged");
}

static int read_table(const struct ibb_wim *w, uint64_t off, uint64_t n, uint64_t end,
		      struct table *t, struct ibb_error *err)
{
	uint8_t *p;
	int r;

	if (n < FIXED_BYTES || n > IBB_LIMIT_WIM_TABLE || end < WIM_HEADER_BYTES)
		return bad(w, "the integrity table is damaged", err);
	if (ibb_buf_append_zero(&t->raw, (size_t)n))
		return ibb_err_nomem(err);
	p = t->raw.data;
	r = ibb_disk_pread(w->file, p, (size_t)n, off, err);
	if (r)
		return r;
	t->entries = ibb_get_le32(p + 4);
	t->chunk_bytes = ibb_get_le32(p + 8);
	t->covered = end - WIM_HEADER_BYTES;
	if (ibb_get_le32(p) != n || n != FIXED_BYTES + (uint64_t)t->entries * IBB_SHA1_SIZE ||
	    !t->chunk_bytes ||
	    t->entries != t->covered / t->chunk_bytes + !!(t->covered % t->chunk_bytes))
		return bad(w, "the integrity table is damaged", err);
	return IBB_OK;
}

static int digest_of(const struct ibb_wim *w, uint64_t off, uint64_t n, uint8_t *buf,
		     struct ibb_sha1 *ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_hasher_free) struct ibb_hasher *h = NULL;

	if (ibb_hasher_new_sha1(&h))
		return ibb_err_nomem(err);
	for (size_t part; n; n -= part, off += part) {
		int r;

		part = n < PIECE_BYTES ? (size_t)n : PIECE_BYTES;
		r = ibb_disk_pread(w->file, buf, part, off, err);
		if (r)
			return r;
		if (ibb_hasher_update(h, buf, part))
			return ibb_err_nomem(err);
	}
	return ibb_hasher_final_sha1(IBB_TAKE(h), ret) ? ibb_err_nomem(err) : IBB_OK;
}

static int check_chunk(const struct ibb_wim *w, const struct table *t, uint32_t i, uint8_t *buf,
		       struct ibb_error *err)
{
	const uint64_t at = (uint64_t)i * t->chunk_bytes;
	const uint64_t n = t->covered - at < t->chunk_bytes ? t->covered - at : t->chunk_bytes;
	const uint8_t *want = t->raw.data + FIXED_BYTES + (size_t)i * IBB_SHA1_SIZE;
	struct ibb_sha1 got;
	char what[160];
	int r = digest_of(w, at + WIM_HEADER_BYTES, n, buf, &got, err);

	if (r || memcmp(got.b, want, sizeof(got.b)) == 0)
		return r;
	snprintf(what, sizeof(what),
		 "does not match its integrity table, between offset %llu and %llu: it is damaged",
		 (unsigned long long)(at + WIM_HEADER_BYTES),
		 (unsigned long long)(at + WIM_HEADER_BYTES + n));
	return bad(w, what, err);
}

int ibb_wim_check_integrity(const struct ibb_wim *w, uint64_t off, uint64_t n, uint64_t end,
			    struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *buf = ibb_alloc(PIECE_BYTES);
	struct table t = {0};
	uint32_t i;
	int r = buf ? read_table(w, off, n, end, &t, err) : ibb_err_nomem(err);

	/* a last chunk that is whole keeps its digest */
	i = !r && t.chunk_bytes >= MIN_CHUNK && t.chunk_bytes <= MAX_CHUNK
		    ? (uint32_t)(t.covered / t.chunk_bytes)
		    : 0;
	for (; !r && i < t.entries; i++)
		r = check_chunk(w, &t, i, buf, err);
	ibb_buf_clear(&t.raw);
	return r;
}
