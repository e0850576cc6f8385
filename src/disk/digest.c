/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/le.h"

#define CHUNK (1u << 20)

struct digest {
	struct ibb_disk *d;
	struct ibb_hasher *h;
	uint8_t *buf;	/* CHUNK bytes */
	uint64_t at;	/* content: offset of the chunk in buf */
	bool has_chunk; /* content: buf holds data of it, zeros elsewhere */
	bool flat;
	ibb_copy_progress_fn progress;
	void *ctx;
	uint64_t done, total; /* bytes of data; of a flat digest, of everything */
};

static int report(struct digest *g, uint64_t n, struct ibb_error *err)
{
	g->done += n;
	if (!g->progress || !g->progress(g->ctx, g->done, g->total))
		return IBB_OK;
	return ibb_err(err, IBB_E_CANCELLED, "%s: the digest was stopped", g->d->name);
}

static int add_len(void *ctx, const struct ibb_extent *e, IBB_UNUSED struct ibb_error *err)
{
	struct digest *g = ctx;

	if (e->data || g->flat)
		g->total += e->len_bytes;
	return IBB_OK;
}

static int update(const struct digest *g, const void *p, size_t n, struct ibb_error *err)
{
	return ibb_hasher_update(g->h, p, n) ? ibb_err_nomem(err) : IBB_OK;
}

static int flat_extent(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	static const uint8_t zeros[65536];
	struct digest *g = ctx;
	uint64_t off = e->off_bytes, left = e->len_bytes;
	const size_t step = e->data ? CHUNK : sizeof(zeros);
	int r = IBB_OK;

	while (!r && left) {
		size_t n = left < step ? (size_t)left : step;

		if (e->data)
			r = ibb_disk_pread(g->d, g->buf, n, off, err);
		if (!r)
			r = update(g, e->data ? g->buf : zeros, n, err);
		if (!r)
			r = report(g, n, err);
		off += n;
		left -= n;
	}
	return r;
}

static size_t chunk_len(const struct digest *g)
{
	uint64_t left = g->d->size_bytes - g->at;

	return left < CHUNK ? (size_t)left : CHUNK;
}

/* Chunks of zeros do not count, so that the digest does not depend on where the holes are. */
static int finish_chunk(struct digest *g, struct ibb_error *err)
{
	const size_t n = chunk_len(g);
	struct ibb_sha256 sum;
	uint8_t head[16];
	int r;

	if (!g->has_chunk || (g->buf[0] == 0 && memcmp(g->buf, g->buf + 1, n - 1) == 0))
		return IBB_OK;
	if (ibb_sha256(g->buf, n, &sum))
		return ibb_err_nomem(err);
	ibb_put_le64(head, g->at);
	ibb_put_le64(head + 8, n);
	r = update(g, head, sizeof(head), err);
	return r ? r : update(g, sum.b, sizeof(sum.b), err);
}

static int begin_chunk(struct digest *g, uint64_t at, struct ibb_error *err)
{
	int r;

	if (g->has_chunk && g->at == at)
		return IBB_OK;
	r = finish_chunk(g, err);
	g->has_chunk = true;
	g->at = at;
	memset(g->buf, 0, CHUNK);
	return r;
}

static int content_extent(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	struct digest *g = ctx;
	uint64_t off = e->off_bytes, end = off + e->len_bytes;

	while (e->data && off < end) {
		const uint64_t at = off / CHUNK * CHUNK;
		uint64_t n = at + CHUNK - off;
		int r = begin_chunk(g, at, err);

		if (n > end - off)
			n = end - off;
		if (!r)
			r = ibb_disk_pread(g->d, g->buf + (off - at), (size_t)n, off, err);
		if (!r)
			r = report(g, n, err);
		if (r)
			return r;
		off += n;
	}
	return IBB_OK;
}

static int run(struct digest *g, ibb_extent_fn fn, struct ibb_sha256 *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *buf = ibb_alloc(CHUNK);
	const uint64_t size = g->d->size_bytes;
	int r;

	g->buf = buf;
	if (!buf || ibb_hasher_new(&g->h))
		return ibb_err_nomem(err);
	r = g->progress ? ibb_disk_extents(g->d, 0, size, add_len, g, err) : IBB_OK;
	if (!r)
		r = ibb_disk_extents(g->d, 0, size, fn, g, err);
	if (!r)
		r = finish_chunk(g, err);
	if (r) {
		ibb_hasher_free(g->h);
		return r;
	}
	return ibb_hasher_final(g->h, ret) ? ibb_err_nomem(err) : IBB_OK;
}

int ibb_digest_flat(struct ibb_disk *d, ibb_copy_progress_fn progress, void *ctx,
		    struct ibb_sha256 *ret, struct ibb_error *err)
{
	struct digest g = {.d = d, .flat = true, .progress = progress, .ctx = ctx};

	return run(&g, flat_extent, ret, err);
}

int ibb_digest_content(struct ibb_disk *d, ibb_copy_progress_fn progress, void *ctx,
		       struct ibb_sha256 *ret, struct ibb_error *err)
{
	struct digest g = {.d = d, .progress = progress, .ctx = ctx};

	return run(&g, content_extent, ret, err);
}
