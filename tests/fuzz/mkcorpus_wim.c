/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seeds of wim_blob: resources of every kind and compression. */
#include "mkcorpus.h"

#include <wimlib.h>

#include "base/le.h"
#include "fuzz.h"
#include "fuzz_wim.h"

#define CONTENT 40000u

struct form {
	const char *name;
	unsigned kind;
	enum wimlib_compression_type type;
	uint32_t chunk;
};

static void fill(uint8_t *p)
{
	uint32_t x = 1;

	for (size_t i = 0; i < CONTENT; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = i / 5000 % 4 == 3 ? (uint8_t)(x >> 24) : (uint8_t) "abcd"[x >> 30];
	}
}

static void add(struct ibb_buf *b, const void *p, size_t n)
{
	FUZZ_CHECK(!ibb_buf_append(b, p, n), "out of memory");
}

static void add32(struct ibb_buf *b, uint32_t v)
{
	uint8_t p[4];

	ibb_put_le32(p, v);
	add(b, p, sizeof(p));
}

/* The table that the kind has, and the chunks. */
static void resource(const struct form *f, const uint8_t *content, struct ibb_buf *out)
{
	struct ibb_buf chunks = {0}, table = {0};
	struct wimlib_compressor *c = NULL;
	static uint8_t packed[65536];

	FUZZ_CHECK(!wimlib_create_compressor(f->type, f->chunk, 20, &c), "no compressor");
	for (size_t off = 0; off < CONTENT; off += f->chunk) {
		size_t n = CONTENT - off < f->chunk ? CONTENT - off : f->chunk;
		size_t got = wimlib_compress(content + off, n, packed, n - 1, c);

		if (f->kind == FUZZ_WIM_SOLID)
			add32(&table, (uint32_t)(got ? got : n));
		else if (off)
			add32(&table, (uint32_t)chunks.len);
		if (f->kind == FUZZ_WIM_PIPABLE)
			add32(&chunks, (uint32_t)(got ? got : n));
		add(&chunks, got ? packed : content + off, got ? got : n);
	}
	if (f->kind == FUZZ_WIM_PIPABLE) {
		add(out, chunks.data, chunks.len);
		add(out, table.data, table.len);
	} else {
		add(out, table.data, table.len);
		add(out, chunks.data, chunks.len);
	}
	wimlib_free_compressor(c);
	ibb_buf_clear(&chunks);
	ibb_buf_clear(&table);
}

static void one(const struct form *f, const uint8_t *content)
{
	struct ibb_buf b = {0}, r = {0};
	uint8_t head[FUZZ_WIM_HEAD] = {0};

	if (f->kind == FUZZ_WIM_SOLID) {
		add32(&r, CONTENT);
		add32(&r, 0);
		add32(&r, f->chunk);
		add32(&r, f->type);
	}
	if (f->kind == FUZZ_WIM_PLAIN)
		add(&r, content, CONTENT);
	else
		resource(f, content, &r);
	head[FUZZ_WIM_KIND] = (uint8_t)f->kind;
	head[FUZZ_WIM_TYPE] = (uint8_t)f->type;
	ibb_put_le32(head + FUZZ_WIM_CHUNK, f->chunk);
	ibb_put_le32(head + FUZZ_WIM_SIZE, f->kind == FUZZ_WIM_SOLID ? 20000 : CONTENT);
	ibb_put_le32(head + FUZZ_WIM_OFFSET, 10001);
	ibb_put_le32(head + FUZZ_WIM_WHOLE, CONTENT);
	ibb_put_le32(head + FUZZ_WIM_PACKED, (uint32_t)r.len);
	ibb_put_le32(head + FUZZ_WIM_AT, 0);
	add(&b, head, sizeof(head));
	add(&b, r.data, r.len);
	mkcorpus_write("wim_blob", f->name, b.data, b.len);
	ibb_buf_clear(&b);
	ibb_buf_clear(&r);
}

void mkcorpus_wim(void)
{
	static const struct form forms[] = {
		{"plain", FUZZ_WIM_PLAIN, WIMLIB_COMPRESSION_TYPE_NONE, 0},
		{"xpress", FUZZ_WIM_CHUNKED, WIMLIB_COMPRESSION_TYPE_XPRESS, 4096},
		{"lzx", FUZZ_WIM_CHUNKED, WIMLIB_COMPRESSION_TYPE_LZX, 32768},
		{"lzms", FUZZ_WIM_CHUNKED, WIMLIB_COMPRESSION_TYPE_LZMS, 32768},
		{"pipable", FUZZ_WIM_PIPABLE, WIMLIB_COMPRESSION_TYPE_XPRESS, 4096},
		{"solid-lzms", FUZZ_WIM_SOLID, WIMLIB_COMPRESSION_TYPE_LZMS, 32768},
		{"solid-xpress", FUZZ_WIM_SOLID, WIMLIB_COMPRESSION_TYPE_XPRESS, 4096},
	};
	static uint8_t content[CONTENT];

	fill(content);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(forms); i++)
		one(&forms[i], content);
}
