/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/wof.h"

#include <stdlib.h>
#include <string.h>
#include <wimlib.h>

#include "base/le.h"

/* Reparse point: tag, length of the data, reserved; then the data. */
#define REPARSE_HEADER_BYTES 8u
#define EXTERNAL_INFO_BYTES  8u /* WOF_EXTERNAL_INFO: version, provider */
#define FILE_INFO_BYTES	     8u /* version, algorithm; the flags behind them are not always there */
#define WOF_VERSION	     1u
#define PROVIDER_WIM	     1u
#define PROVIDER_FILE	     2u
#define FILE_INFO_VERSION    1u

static const uint32_t chunk_bytes[] = {
	[IBB_WOF_XPRESS4K] = 4096,
	[IBB_WOF_LZX] = 32768,
	[IBB_WOF_XPRESS8K] = 8192,
	[IBB_WOF_XPRESS16K] = 16384,
};

int ibb_wof_parse(struct ibb_bytes reparse, const char *path, enum ibb_wof_algorithm *ret,
		  struct ibb_error *err)
{
	const uint8_t *p = reparse.data + REPARSE_HEADER_BYTES;
	uint32_t algorithm;
	size_t n;

	if (reparse.len < REPARSE_HEADER_BYTES + EXTERNAL_INFO_BYTES)
		return ibb_err(err, IBB_E_CORRUPT, "%s: WOF reparse point of %zu bytes", path,
			       reparse.len);
	n = ibb_get_le16(reparse.data + 4);
	if (n < EXTERNAL_INFO_BYTES || n > reparse.len - REPARSE_HEADER_BYTES)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: WOF reparse point: %zu bytes of data in an attribute of %zu",
			       path, n, reparse.len);
	if (ibb_get_le32(p) != WOF_VERSION)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: compressed by WOF of version %u", path,
			       ibb_get_le32(p));
	if (ibb_get_le32(p + 4) == PROVIDER_WIM) {
		(void)ibb_err(err, IBB_E_UNSUPPORTED,
			      "%s: its content lies in a WIM file (WOF provider 1, WIMBoot)", path);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "apply the image without WIMBoot (DISM /Apply-Image)");
	}
	if (ibb_get_le32(p + 4) != PROVIDER_FILE)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: unknown WOF provider %u", path,
			       ibb_get_le32(p + 4));
	if (n < EXTERNAL_INFO_BYTES + FILE_INFO_BYTES)
		return ibb_err(err, IBB_E_CORRUPT, "%s: WOF reparse point with %zu bytes of data",
			       path, n);
	algorithm = ibb_get_le32(p + 12);
	if (ibb_get_le32(p + 8) != FILE_INFO_VERSION || algorithm >= IBB_ARRAY_SIZE(chunk_bytes))
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: unknown WOF compression (version %u, algorithm %u)", path,
			       ibb_get_le32(p + 8), algorithm);
	*ret = (enum ibb_wof_algorithm)algorithm;
	return IBB_OK;
}

/* The stream begins with where each chunk but the first starts, counted from the table's end. */
struct ibb_wof {
	struct ibb_bytes stream;
	const char *path;
	uint64_t size, n_chunks, table_bytes;
	uint32_t chunk;
	unsigned entry; /* bytes */
	struct wimlib_decompressor *decompressor;
};

static uint64_t chunks_of(enum ibb_wof_algorithm algorithm, uint64_t size)
{
	return size / chunk_bytes[algorithm] + (size % chunk_bytes[algorithm] != 0);
}

static unsigned entry_bytes(uint64_t size)
{
	return size > UINT32_MAX ? 8 : 4;
}

static uint64_t table_bytes(enum ibb_wof_algorithm algorithm, uint64_t size)
{
	uint64_t n = chunks_of(algorithm, size);

	/* n <= 2^52, so the product fits */
	return n ? (n - 1) * entry_bytes(size) : 0;
}

uint64_t ibb_wof_max_stream(enum ibb_wof_algorithm algorithm, uint64_t size)
{
	uint64_t total;

	return ibb_add_u64(size, table_bytes(algorithm, size), &total) ? total : UINT64_MAX;
}

static int open_decompressor(struct ibb_wof *w, enum wimlib_compression_type type,
			     struct ibb_error *err)
{
	int code = wimlib_create_decompressor(type, w->chunk, &w->decompressor);

	if (code == WIMLIB_ERR_NOMEM)
		return ibb_err_nomem(err);
	if (code)
		return ibb_err(err, IBB_E_INTERNAL, "libwim: no decompressor of %u bytes: error %d",
			       w->chunk, code);
	return IBB_OK;
}

int ibb_wof_open(struct ibb_bytes stream, enum ibb_wof_algorithm algorithm, uint64_t size,
		 const char *path, struct ibb_wof **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_wof_close) struct ibb_wof *w = ibb_zalloc(sizeof(*w));
	int rc;

	if (!w)
		return ibb_err_nomem(err);
	w->stream = stream;
	w->path = path;
	w->size = size;
	w->n_chunks = chunks_of(algorithm, size);
	w->table_bytes = table_bytes(algorithm, size);
	w->chunk = chunk_bytes[algorithm];
	w->entry = entry_bytes(size);
	/* A chunk has one byte at least. */
	if (stream.len < w->table_bytes + w->n_chunks ||
	    stream.len > ibb_wof_max_stream(algorithm, size))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: WofCompressedData of %zu bytes for a file of %llu", path,
			       stream.len, (unsigned long long)size);
	rc = open_decompressor(w,
			       algorithm == IBB_WOF_LZX ? WIMLIB_COMPRESSION_TYPE_LZX
							: WIMLIB_COMPRESSION_TYPE_XPRESS,
			       err);
	if (!rc)
		*ret = IBB_TAKE(w);
	return rc;
}

void ibb_wof_close(struct ibb_wof *w)
{
	if (!w)
		return;
	wimlib_free_decompressor(w->decompressor);
	free(w);
}

uint64_t ibb_wof_chunks(const struct ibb_wof *w)
{
	return w->n_chunks;
}

size_t ibb_wof_chunk_bytes(const struct ibb_wof *w, uint64_t i)
{
	uint64_t left;

	if (i >= w->n_chunks)
		return 0;
	left = w->size - i * w->chunk;
	return left < w->chunk ? (size_t)left : w->chunk;
}

/* Where chunk i starts, counted from the start of the stream; for i == n_chunks its end. */
static bool chunk_start(const struct ibb_wof *w, uint64_t i, uint64_t *ret)
{
	const uint8_t *p;

	if (i == 0 || i == w->n_chunks) {
		*ret = i ? w->stream.len : w->table_bytes;
		return true;
	}
	p = w->stream.data + (i - 1) * w->entry;
	return ibb_add_u64(w->table_bytes, w->entry == 8 ? ibb_get_le64(p) : ibb_get_le32(p), ret);
}

int ibb_wof_read_chunk(struct ibb_wof *w, uint64_t i, uint8_t *out, struct ibb_error *err)
{
	size_t want = ibb_wof_chunk_bytes(w, i);
	uint64_t start, end;

	IBB_ASSERT(want);
	if (!chunk_start(w, i, &start) || !chunk_start(w, i + 1, &end) || start >= end ||
	    end > w->stream.len || end - start > want)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: WofCompressedData: wrong place of chunk %llu of %llu", w->path,
			       (unsigned long long)i, (unsigned long long)w->n_chunks);
	if (end - start == want)
		memcpy(out, w->stream.data + start, want);
	else if (wimlib_decompress(w->stream.data + start, (size_t)(end - start), out, want,
				   w->decompressor))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: WofCompressedData: chunk %llu of %llu, at offset %llu, does "
			       "not decompress",
			       w->path, (unsigned long long)i, (unsigned long long)w->n_chunks,
			       (unsigned long long)start);
	return IBB_OK;
}

int ibb_wof_decompress(struct ibb_bytes stream, enum ibb_wof_algorithm algorithm, uint64_t size,
		       const char *path, struct ibb_buf *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf out = {0};
	IBB_AUTO(ibb_wof_close) struct ibb_wof *w = NULL;
	int rc = ibb_wof_open(stream, algorithm, size, path, &w, err);

	/* memory grows with what was decompressed: the size is only what the file says of itself */
	for (uint64_t i = 0; !rc && i < w->n_chunks; i++) {
		const size_t n = ibb_wof_chunk_bytes(w, i), at = out.len;

		rc = ibb_buf_append_zero(&out, n) ? ibb_err_nomem(err)
						  : ibb_wof_read_chunk(w, i, out.data + at, err);
	}
	if (rc)
		return rc;
	ibb_buf_clear(ret);
	*ret = out;
	out = (struct ibb_buf){0};
	return IBB_OK;
}
