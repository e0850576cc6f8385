/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sparse disk in memory: chunks exist once something was written to them. */
#include "disk/disk.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 65536u

struct mem {
	struct ibb_disk d;
	uint8_t **chunks;
	size_t n_chunks;
};

/* How much of [off, off+n) lies in the chunk that holds off. */
static size_t in_chunk(uint64_t off, uint64_t n)
{
	uint64_t left = CHUNK - off % CHUNK;

	return (size_t)(n < left ? n : left);
}

static int mem_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off,
		     IBB_UNUSED struct ibb_error *err)
{
	const struct mem *m = (const struct mem *)d;
	uint8_t *out = buf;

	while (n) {
		const uint8_t *c = m->chunks[off / CHUNK];
		size_t k = in_chunk(off, n);

		if (c)
			memcpy(out, c + off % CHUNK, k);
		else
			memset(out, 0, k);
		out += k;
		off += k;
		n -= k;
	}
	return IBB_OK;
}

static int mem_pwrite(struct ibb_disk *d, const void *buf, size_t n, uint64_t off,
		      struct ibb_error *err)
{
	struct mem *m = (struct mem *)d;
	const uint8_t *in = buf;

	while (n) {
		uint8_t **c = &m->chunks[off / CHUNK];
		size_t k = in_chunk(off, n);

		if (!*c)
			*c = ibb_zalloc(CHUNK);
		if (!*c)
			return ibb_err_nomem(err);
		memcpy(*c + off % CHUNK, in, k);
		in += k;
		off += k;
		n -= k;
	}
	return IBB_OK;
}

static int mem_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
		       struct ibb_error *err)
{
	const struct mem *m = (const struct mem *)d;
	int r = IBB_OK;

	while (!r && n) {
		size_t k = in_chunk(off, n);

		r = fn(ctx, &(struct ibb_extent){off, k, m->chunks[off / CHUNK] != NULL}, err);
		off += k;
		n -= k;
	}
	return r;
}

static void mem_close(struct ibb_disk *d)
{
	struct mem *m = (struct mem *)d;

	for (size_t i = 0; i < m->n_chunks; i++)
		free(m->chunks[i]);
	free(m->chunks);
}

static const struct ibb_disk_ops mem_ops = {
	.name = "mem",
	.pread = mem_pread,
	.pwrite = mem_pwrite,
	.extents = mem_extents,
	.close = mem_close,
};

int ibb_disk_mem_new(uint64_t size_bytes, uint32_t sector_bytes, struct ibb_disk **ret,
		     struct ibb_error *err)
{
	uint64_t n_chunks = size_bytes / CHUNK + (size_bytes % CHUNK != 0);
	IBB_AUTO_FREE struct mem *m = ibb_zalloc(sizeof(*m));
	int r;

	if (!m)
		return ibb_err_nomem(err);
	m->n_chunks = (size_t)n_chunks;
	m->chunks = ibb_calloc_array(m->n_chunks, sizeof(*m->chunks));
	if (!m->chunks)
		return ibb_err_nomem(err);
	r = ibb_disk_init(&m->d, &mem_ops, "memory", size_bytes, sector_bytes, err);
	if (r) {
		free(m->chunks);
		return r;
	}
	*ret = &IBB_TAKE(m)->d;
	return IBB_OK;
}
