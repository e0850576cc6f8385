/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Content of a file from its resource. What is given comes in order and is no more than the file;
 * with the digest of just that it is read again, the same in one piece; any other digest refuses
 * it. A damaged resource gives no content by ibb_wim_blob_read().
 */
#include "fuzz.h"
#include "fuzz_wim.h"

#include "base/hash.h"
#include "base/le.h"
#include "volume/wim_internal.h"

struct got {
	struct ibb_buf b;
	uint64_t size;
};

static int on_piece(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	struct got *g = ctx;

	(void)err;
	FUZZ_CHECK(off == g->b.len && piece.len, "piece at %llu of %zu", (unsigned long long)off,
		   piece.len);
	FUZZ_CHECK(piece.len <= g->size - off, "more than the file");
	FUZZ_CHECK(!ibb_buf_append(&g->b, piece.data, piece.len), "out of memory");
	return IBB_OK;
}

static struct wimlib_resource_entry entry_of(const uint8_t *p)
{
	struct wimlib_resource_entry e = {.part_number = 1};
	unsigned kind = p[FUZZ_WIM_KIND] % FUZZ_WIM_KINDS;

	e.uncompressed_size = ibb_get_le32(p + FUZZ_WIM_SIZE);
	if (kind == FUZZ_WIM_SOLID) {
		e.packed = 1;
		e.offset = ibb_get_le32(p + FUZZ_WIM_OFFSET);
		e.raw_resource_offset_in_wim = ibb_get_le32(p + FUZZ_WIM_AT);
		e.raw_resource_compressed_size = ibb_get_le32(p + FUZZ_WIM_PACKED);
		e.raw_resource_uncompressed_size = ibb_get_le32(p + FUZZ_WIM_WHOLE);
	} else {
		e.is_compressed = kind != FUZZ_WIM_PLAIN;
		e.offset = ibb_get_le32(p + FUZZ_WIM_AT);
		e.compressed_size = ibb_get_le32(p + FUZZ_WIM_PACKED);
	}
	return e;
}

static void check_error(int rc, const struct ibb_error *err)
{
	FUZZ_CHECK(rc == IBB_E_CORRUPT || rc == IBB_E_UNSUPPORTED || rc == IBB_E_LIMIT, "%d %s", rc,
		   err->msg);
	FUZZ_CHECK(err->msg[0] && !strchr(err->msg, '\n'), "%s", err->msg);
}

static void set_digest(struct wimlib_resource_entry *e, const struct ibb_buf *b)
{
	struct ibb_hasher *h = NULL;
	struct ibb_sha1 d;

	FUZZ_CHECK(!ibb_hasher_new_sha1(&h) &&
			   (!b->len || !ibb_hasher_update(h, b->data, b->len)) &&
			   !ibb_hasher_final_sha1(h, &d),
		   "digest");
	memcpy(e->sha1_hash, d.b, sizeof(d.b));
}

static void read_whole(struct ibb_wim *w, const struct wimlib_resource_entry *e,
		       const struct ibb_buf *want)
{
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct wimlib_resource_entry other = *e;
	int rc = ibb_wim_blob_read(w, "f", e, FUZZ_WIM_MAX, &b, &err);

	FUZZ_CHECK(!rc && b.len == want->len, "not read again: %d %s", rc, err.msg);
	FUZZ_CHECK(!b.len || !memcmp(b.data, want->data, b.len), "read otherwise");
	ibb_buf_clear(&b);
	other.sha1_hash[19] ^= 1;
	rc = ibb_wim_blob_read(w, "f", &other, FUZZ_WIM_MAX, &b, &err);
	FUZZ_CHECK(!e->uncompressed_size || (rc == IBB_E_CORRUPT && !b.data),
		   "another digest: %d, %zu bytes", rc, b.len);
}

static void run(struct ibb_wim *w, struct wimlib_resource_entry *e)
{
	struct got g = {.size = e->uncompressed_size};
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	int rc = ibb_wim_blob_stream(w, "f", e, FUZZ_WIM_MAX, on_piece, &g, &err);

	if (rc)
		check_error(rc, &err);
	if (g.b.len == g.size) {
		/* all there; that nothing was wrong shows when the digest is right */
		set_digest(e, &g.b);
		read_whole(w, e, &g.b);
	} else {
		FUZZ_CHECK(rc, "%zu of %llu bytes without an error", g.b.len,
			   (unsigned long long)g.size);
		FUZZ_CHECK(ibb_wim_blob_read(w, "f", e, FUZZ_WIM_MAX, &b, &err) == rc && !b.data,
			   "another answer");
	}
	ibb_buf_clear(&g.b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ibb_error err = {0};
	struct ibb_wim w = {.header = {.part = 1, .parts = 1}, .name = (char *)"w"};
	struct wimlib_resource_entry e;

	if (size <= FUZZ_WIM_HEAD)
		return 0;
	e = entry_of(data);
	w.compression = (enum wimlib_compression_type)(data[FUZZ_WIM_TYPE] % 4);
	w.info.chunk_bytes = ibb_get_le32(data + FUZZ_WIM_CHUNK);
	w.info.pipable = data[FUZZ_WIM_KIND] % FUZZ_WIM_KINDS == FUZZ_WIM_PIPABLE;
	FUZZ_CHECK(!ibb_disk_mem_new(size - FUZZ_WIM_HEAD, 512, &w.file, &err) &&
			   !ibb_disk_pwrite(w.file, data + FUZZ_WIM_HEAD, size - FUZZ_WIM_HEAD, 0,
					    &err),
		   "%s", err.msg);
	run(&w, &e);
	ibb_buf_clear(&w.chunk.data);
	ibb_disk_unref(w.file);
	return 0;
}

/* ---- damage: what the table of contents says, the tables, the chunks ---- */

static void spoil_number(uint8_t *p, uint64_t *rnd)
{
	const uint32_t values[] = {0,	   1,	   4,	       15,	   16,	       4095,
				   0x8000, 0xffff, 0x04000000, 0x7fffffff, 0x80000000, 0xffffffff};
	uint32_t v = ibb_get_le32(p);

	switch (fuzz_rnd(rnd, 3)) {
	case 0:
		v = values[fuzz_rnd(rnd, IBB_ARRAY_SIZE(values))];
		break;
	case 1:
		v += fuzz_rnd(rnd, 9) - 4;
		break;
	default:
		v ^= 1u << fuzz_rnd(rnd, 32);
	}
	ibb_put_le32(p, v);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t state = seed;

	if (size < FUZZ_WIM_HEAD + 64 || !fuzz_rnd(&state, 6))
		return LLVMFuzzerMutate(data, size, max_size);
	for (unsigned k = 1 + fuzz_rnd(&state, 3); k--;) {
		size_t rest = size - FUZZ_WIM_HEAD - 4, at;

		switch (fuzz_rnd(&state, 4)) {
		case 0:
			spoil_number(data + FUZZ_WIM_CHUNK + 4 * fuzz_rnd(&state, 6), &state);
			break;
		case 1: /* headers and tables */
			at = fuzz_rnd(&state, rest < 64 ? (uint32_t)rest : 64) & ~3u;
			spoil_number(data + FUZZ_WIM_HEAD + at, &state);
			break;
		case 2:
			at = fuzz_rnd(&state, (uint32_t)rest);
			spoil_number(data + FUZZ_WIM_HEAD + at, &state);
			break;
		default:
			data[fuzz_rnd(&state, 2)] = (uint8_t)fuzz_rnd(&state, 4);
		}
	}
	return size;
}
