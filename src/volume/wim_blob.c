/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The content of a file from its resource. wimlib knows where the resource lies and decompresses
 * chunks; it offers no way to read a file but to extract it into a directory.
 *
 * Sources: "Windows Imaging File Format (WIM)", Microsoft, 2007, for the chunk table; wimlib's
 * source for what is newer: sizes of chunks other than 32 KiB, solid and pipable resources.
 *
 *     plain      the bytes
 *     chunked    where each chunk but the first starts (counted from behind this table, 4 bytes
 *                each, 8 when the content is larger than 4 GiB - 1), chunks
 *     pipable    chunks, each behind its packed size (4 bytes); the same table at the end
 *     solid      size, size of a chunk, compression; packed size of every chunk (4 bytes each);
 *                chunks. Many files lie in one such resource.
 *
 * A chunk that is as long as its content is stored as it is.
 */
#include "volume/wim_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/le.h"
#include "base/limits.h"

#define PIECE_BYTES	   (256u << 10)
#define SOLID_HEADER_BYTES 16u
#define CHUNK_HEADER_BYTES 4u /* of a pipable resource */
#define MIN_CHUNK_BYTES	   4096u

/* What the caller gets, and the digest of it. */
struct sink {
	ibb_piece_fn fn;
	void *ctx;
	struct ibb_hasher *hash;
	uint64_t done;
};

struct source {
	struct ibb_wim *w;
	const struct wimlib_resource_entry *blob;
	const char *path;
	struct ibb_disk *disk;
	struct sink *sink;
	/* of the resource */
	uint64_t off, packed, size, n_chunks;
	enum wimlib_compression_type type;
	uint32_t chunk;
	struct wimlib_decompressor *decompressor;
	uint8_t *in;
	/* a window of its table */
	uint64_t table_off, n_entries;
	unsigned entry;
	uint64_t first, n;
	uint8_t window[4096];
};

static int corrupt(const struct source *s, struct ibb_error *err, const char *what)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s: %s: resource at offset %llu, %llu bytes: %s",
		       s->disk->name, s->path, (unsigned long long)s->off,
		       (unsigned long long)s->packed, what);
}

static int give(struct sink *k, const uint8_t *p, size_t n, struct ibb_error *err)
{
	int rc;

	if (!n)
		return IBB_OK;
	if (ibb_hasher_update(k->hash, p, n))
		return ibb_err_nomem(err);
	rc = k->fn(k->ctx, k->done, (struct ibb_bytes){p, n}, err);
	k->done += n;
	return rc;
}

static int stream_plain(struct source *s, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *buf = NULL;
	size_t n = s->size < PIECE_BYTES ? (size_t)s->size : PIECE_BYTES;
	int rc = IBB_OK;

	if (s->packed != s->size)
		return corrupt(s, err, "not compressed, but of another size than the file");
	buf = ibb_alloc(n);
	if (!buf)
		return ibb_err_nomem(err);
	for (uint64_t done = 0; !rc && done < s->size; done += n) {
		n = s->size - done < n ? (size_t)(s->size - done) : n;
		rc = ibb_disk_pread(s->disk, buf, n, s->off + done, err);
		if (!rc)
			rc = give(s->sink, buf, n, err);
	}
	return rc;
}

/* ---- chunks ---- */

static int open_chunks(struct source *s, struct ibb_error *err)
{
	int code = 0;

	if (s->chunk < MIN_CHUNK_BYTES || s->chunk & (s->chunk - 1))
		return corrupt(s, err, "impossible size of its chunks");
	if (s->chunk > IBB_LIMIT_WIM_CHUNK)
		return ibb_err(err, IBB_E_LIMIT, "%s: %s: chunks of %u bytes (limit %u)",
			       s->disk->name, s->path, s->chunk, IBB_LIMIT_WIM_CHUNK);
	s->n_chunks = s->size / s->chunk + (s->size % s->chunk != 0);
	if (s->type != WIMLIB_COMPRESSION_TYPE_NONE)
		code = wimlib_create_decompressor(s->type, s->chunk, &s->decompressor);
	if (code == WIMLIB_ERR_NOMEM)
		return ibb_err_nomem(err);
	if (code)
		return corrupt(s, err, "a size of chunks that its compression does not have");
	return IBB_OK;
}

static size_t chunk_bytes(const struct source *s, uint64_t i)
{
	uint64_t left = s->size - i * s->chunk;

	return left < s->chunk ? (size_t)left : s->chunk;
}

/* Entry i of the table; it lies in the file. */
static int entry(struct source *s, uint64_t i, uint64_t *ret, struct ibb_error *err)
{
	const uint8_t *p;

	if (i < s->first || i - s->first >= s->n) {
		uint64_t n = sizeof(s->window) / s->entry;
		int rc;

		n = s->n_entries - i < n ? s->n_entries - i : n;
		s->n = 0;
		rc = ibb_disk_pread(s->disk, s->window, (size_t)(n * s->entry),
				    s->table_off + i * s->entry, err);
		if (rc)
			return rc;
		s->first = i;
		s->n = n;
	}
	p = s->window + (i - s->first) * s->entry;
	*ret = s->entry == 8 ? ibb_get_le64(p) : ibb_get_le32(p);
	return IBB_OK;
}

/* `packed` bytes at `off`, inside the resource, into out[0..size). */
static int unpack(struct source *s, uint64_t off, uint64_t packed, uint8_t *out, size_t size,
		  struct ibb_error *err)
{
	int rc;

	if (!packed || packed > size)
		return corrupt(s, err, "a chunk of impossible size");
	if (packed == size)
		return ibb_disk_pread(s->disk, out, size, off, err);
	if (!s->decompressor)
		return corrupt(s, err, "not compressed, but a chunk is shorter than its content");
	if (!s->in && !(s->in = ibb_alloc(chunk_bytes(s, 0))))
		return ibb_err_nomem(err);
	rc = ibb_disk_pread(s->disk, s->in, (size_t)packed, off, err);
	if (rc)
		return rc;
	if (wimlib_decompress(s->in, (size_t)packed, out, size, s->decompressor))
		return corrupt(s, err, "a chunk does not decompress");
	return IBB_OK;
}

/* ---- a resource of one file ---- */

struct chunk_place {
	uint64_t off, end; /* of the data of the resource, in the file */
};

/* The next chunk starts at at->off; afterwards at->off is where the one behind it does. */
typedef int (*next_fn)(struct source *s, uint64_t i, struct chunk_place *at, uint64_t *ret_packed,
		       struct ibb_error *err);

static int next_chunked(struct source *s, uint64_t i, struct chunk_place *at, uint64_t *ret_packed,
			struct ibb_error *err)
{
	uint64_t end = at->end, rel = 0;
	int rc;

	if (i + 1 < s->n_chunks) {
		rc = entry(s, i, &rel, err);
		if (rc)
			return rc;
		if (!ibb_add_u64(s->table_off + s->n_entries * s->entry, rel, &end) ||
		    end > at->end)
			return corrupt(s, err, "a chunk lies outside of it");
	}
	if (end <= at->off)
		return corrupt(s, err, "its chunks are not in order");
	*ret_packed = end - at->off;
	return IBB_OK;
}

static int next_pipable(struct source *s, uint64_t i, struct chunk_place *at, uint64_t *ret_packed,
			struct ibb_error *err)
{
	uint8_t p[CHUNK_HEADER_BYTES];
	int rc;

	if (!ibb_in_range(at->off, sizeof(p), at->end))
		return corrupt(s, err, "a chunk lies outside of it");
	rc = ibb_disk_pread(s->disk, p, sizeof(p), at->off, err);
	if (rc)
		return rc;
	at->off += sizeof(p);
	*ret_packed = ibb_get_le32(p);
	if (!ibb_in_range(at->off, *ret_packed, at->end) ||
	    (i + 1 == s->n_chunks && at->off + *ret_packed != at->end))
		return corrupt(s, err, "a chunk lies outside of it");
	return IBB_OK;
}

static int stream_chunks(struct source *s, struct chunk_place at, next_fn next,
			 struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *out = ibb_alloc(chunk_bytes(s, 0));
	uint64_t packed = 0;
	int rc = IBB_OK;

	if (!out)
		return ibb_err_nomem(err);
	for (uint64_t i = 0; !rc && i < s->n_chunks; i++) {
		rc = next(s, i, &at, &packed, err);
		if (!rc)
			rc = unpack(s, at.off, packed, out, chunk_bytes(s, i), err);
		if (!rc)
			rc = give(s->sink, out, chunk_bytes(s, i), err);
		at.off += packed;
	}
	return rc;
}

static int stream_compressed(struct source *s, struct ibb_error *err)
{
	struct chunk_place at = {s->off, s->off + s->packed};
	uint64_t table;
	int rc;

	s->type = s->w->compression;
	s->chunk = s->w->info.chunk_bytes;
	if (s->type == WIMLIB_COMPRESSION_TYPE_NONE)
		return corrupt(s, err, "compressed, in a WIM that says it compresses nothing");
	rc = open_chunks(s, err);
	if (rc)
		return rc;
	s->entry = s->size > UINT32_MAX ? 8 : 4;
	s->n_entries = s->n_chunks - 1;
	/* n_chunks <= 2^52, so that the product fits */
	table = s->n_entries * s->entry;
	if (table > s->packed || s->n_chunks > s->packed - table)
		return corrupt(s, err, "too short for its chunks");
	if (s->w->info.pipable) {
		s->table_off = at.end - table;
		at.end = s->table_off;
		return stream_chunks(s, at, next_pipable, err);
	}
	s->table_off = s->off;
	at.off += table;
	return stream_chunks(s, at, next_chunked, err);
}

/* ---- a resource of many files ---- */

static int open_solid(struct source *s, struct ibb_error *err)
{
	uint8_t p[SOLID_HEADER_BYTES];
	uint32_t type;
	int rc;

	if (s->packed < sizeof(p))
		return corrupt(s, err, "too short for a solid resource");
	rc = ibb_disk_pread(s->disk, p, sizeof(p), s->off, err);
	if (rc)
		return rc;
	if (ibb_get_le64(p) != s->size)
		return corrupt(s, err, "its header and the table of contents differ in size");
	s->chunk = ibb_get_le32(p + 8);
	type = ibb_get_le32(p + 12);
	if (type > WIMLIB_COMPRESSION_TYPE_LZMS)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: %s: unknown compression %u",
			       s->disk->name, s->path, type);
	s->type = (enum wimlib_compression_type)type;
	rc = open_chunks(s, err);
	if (rc)
		return rc;
	s->entry = 4;
	s->n_entries = s->n_chunks;
	s->table_off = s->off + sizeof(p);
	if (s->n_chunks > (s->packed - sizeof(p)) / (s->entry + 1))
		return corrupt(s, err, "too short for its chunks");
	return IBB_OK;
}

/* From chunk i - 1 to chunk i, which lies behind it; for i = 0 at->end is where the data starts. */
static int solid_step(struct source *s, uint64_t i, struct chunk_place *at, struct ibb_error *err)
{
	uint64_t packed = 0;
	int rc = entry(s, i, &packed, err);

	if (rc)
		return rc;
	at->off = at->end;
	if (!ibb_in_range(at->off, packed, s->off + s->packed))
		return corrupt(s, err, "a chunk lies outside of it");
	at->end = at->off + packed;
	return IBB_OK;
}

/* Chunk i, decompressed, is in w->chunk then. */
static int solid_chunk(struct source *s, uint64_t i, struct chunk_place *at, struct ibb_error *err)
{
	struct wim_chunk *c = &s->w->chunk;
	int rc;

	if (c->data.len && c->part == s->blob->part_number && c->resource == s->off &&
	    c->index == i)
		return IBB_OK;
	c->data.len = 0;
	if (ibb_buf_reserve(&c->data, chunk_bytes(s, i)))
		return ibb_err_nomem(err);
	rc = unpack(s, at->off, at->end - at->off, c->data.data, chunk_bytes(s, i), err);
	if (rc)
		return rc;
	c->data.len = chunk_bytes(s, i);
	c->part = s->blob->part_number;
	c->resource = s->off;
	c->index = i;
	return IBB_OK;
}

/* What the file has of chunk i, at *from of the resource; moves on behind it. */
static int give_from(struct source *s, uint64_t i, struct chunk_place *at, uint64_t *from,
		     uint64_t *left, struct ibb_error *err)
{
	size_t skip = (size_t)(*from % s->chunk), n;
	int rc = solid_chunk(s, i, at, err);

	if (rc)
		return rc;
	n = s->w->chunk.data.len - skip;
	n = *left < n ? (size_t)*left : n;
	*from += n;
	*left -= n;
	return give(s->sink, s->w->chunk.data.data + skip, n, err);
}

static int stream_solid(struct source *s, struct ibb_error *err)
{
	uint64_t from = s->blob->offset, left = s->blob->uncompressed_size;
	struct chunk_place at = {0};
	int rc = open_solid(s, err);

	if (rc)
		return rc;
	if (!ibb_in_range(from, left, s->size))
		return corrupt(s, err, "the file lies outside of it");
	at.end = s->table_off + s->n_entries * s->entry;
	for (uint64_t i = 0; !rc && left; i++) {
		rc = solid_step(s, i, &at, err);
		if (!rc && i >= s->blob->offset / s->chunk)
			rc = give_from(s, i, &at, &from, &left, err);
	}
	return rc;
}

/* ---- the blob ---- */

static int check_digest(struct source *s, struct ibb_error *err)
{
	struct ibb_sha1 d;

	if (ibb_hasher_final_sha1(IBB_TAKE(s->sink->hash), &d))
		return ibb_err_nomem(err);
	if (memcmp(d.b, s->blob->sha1_hash, sizeof(d.b)) != 0)
		return corrupt(s, err,
			       "the content does not have the digest that the WIM has for it");
	return IBB_OK;
}

static int find_file(struct source *s, struct ibb_error *err)
{
	unsigned part = s->blob->part_number;

	if (part < 1 || part > s->w->header.parts)
		return ibb_err(err, IBB_E_CORRUPT, "%s: %s: its content lies in part %u of %u",
			       s->w->name, s->path, part, s->w->header.parts);
	s->disk = s->w->parts ? s->w->parts[part - 1] : s->w->file;
	s->off = s->blob->packed ? s->blob->raw_resource_offset_in_wim : s->blob->offset;
	s->packed =
		s->blob->packed ? s->blob->raw_resource_compressed_size : s->blob->compressed_size;
	s->size = s->blob->packed ? s->blob->raw_resource_uncompressed_size
				  : s->blob->uncompressed_size;
	if (!ibb_in_range(s->off, s->packed, s->disk->size_bytes))
		return corrupt(s, err,
			       "it lies outside of the file, which is truncated or damaged");
	return IBB_OK;
}

static int stream(struct source *s, struct ibb_error *err)
{
	int rc = find_file(s, err);

	if (!rc && ibb_hasher_new_sha1(&s->sink->hash))
		rc = ibb_err_nomem(err);
	if (rc)
		return rc;
	if (s->blob->packed)
		rc = stream_solid(s, err);
	else if (s->blob->is_compressed)
		rc = stream_compressed(s, err);
	else
		rc = stream_plain(s, err);
	return rc ? rc : check_digest(s, err);
}

int ibb_wim_blob_stream(struct ibb_wim *w, const char *path,
			const struct wimlib_resource_entry *blob, uint64_t limit, ibb_piece_fn fn,
			void *ctx, struct ibb_error *err)
{
	struct sink sink = {.fn = fn, .ctx = ctx};
	struct source s = {.w = w, .blob = blob, .path = path, .sink = &sink};
	int rc;

	if (blob->is_missing)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: %s: its content is not in the WIM (damaged, or a delta WIM)",
			       w->name, path);
	if (blob->uncompressed_size > limit)
		return ibb_err(err, IBB_E_LIMIT, "%s: %llu bytes, the limit is %llu", path,
			       (unsigned long long)blob->uncompressed_size,
			       (unsigned long long)limit);
	/* an empty file refers to nothing */
	if (!blob->uncompressed_size)
		return IBB_OK;
	rc = stream(&s, err);
	ibb_hasher_free(sink.hash);
	wimlib_free_decompressor(s.decompressor);
	free(s.in);
	return rc;
}

static int append_piece(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	(void)off;
	return ibb_buf_append(ctx, piece.data, piece.len) ? ibb_err_nomem(err) : IBB_OK;
}

int ibb_wim_blob_read(struct ibb_wim *w, const char *path, const struct wimlib_resource_entry *blob,
		      uint64_t limit, struct ibb_buf *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	int rc = ibb_wim_blob_stream(w, path, blob, limit, append_piece, &b, err);

	if (rc)
		return rc;
	ibb_buf_clear(ret);
	*ret = b;
	b = (struct ibb_buf){0};
	return IBB_OK;
}
