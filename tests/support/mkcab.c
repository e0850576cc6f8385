/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkcab.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"

#define HEADER 36u
#define FOLDER 8u
#define BLOCK  32768u

static void add(struct ibb_buf *b, const void *p, size_t n)
{
	if (ibb_buf_append(b, p, n))
		abort();
}

static void add16(struct ibb_buf *b, unsigned v)
{
	uint8_t x[2];

	ibb_put_le16(x, (uint16_t)v);
	add(b, x, 2);
}

static void add32(struct ibb_buf *b, uint32_t v)
{
	uint8_t x[4];

	ibb_put_le32(x, v);
	add(b, x, 4);
}

/* [MS-CAB] 3.1: exclusive or of 32-bit words; the bytes left over count from the high end. */
static uint32_t checksum(const uint8_t *p, size_t n, uint32_t sum)
{
	uint32_t last = 0;

	for (; n >= 4; p += 4, n -= 4)
		sum ^= ibb_get_le32(p);
	while (n--)
		last = last << 8 | *p++;
	return sum ^ last;
}

/* CFDATA: what one block of at most 32 KiB becomes. */
static void add_block(struct ibb_buf *out, const uint8_t *p, size_t n, enum mkcab_method method)
{
	struct ibb_buf b = {0};
	uint8_t sizes[4];

	if (method == MKCAB_MSZIP) {
		add(&b, "CK\x01", 3); /* signature; last block, stored */
		add16(&b, (unsigned)n);
		add16(&b, ~(unsigned)n & 0xffff);
	} else if (method == MKCAB_LZX) {
		/* bits from the high end of 16-bit words: 0 no E8, 011 uncompressed, 24 size */
		uint32_t bits = 3u << 28 | (uint32_t)n << 4;

		add16(&b, bits >> 16);
		add16(&b, bits & 0xffff);
		for (unsigned i = 0; i < 3; i++)
			add32(&b, 1); /* R0 to R2 */
	}
	add(&b, p, n);
	if (method == MKCAB_LZX && n % 2)
		add(&b, "", 1);
	ibb_put_le16(sizes, (uint16_t)b.len);
	ibb_put_le16(sizes + 2, (uint16_t)n);
	add32(out, checksum(sizes, 4, checksum(b.data, b.len, 0)));
	add(out, sizes, 4);
	add(out, b.data, b.len);
	ibb_buf_clear(&b);
}

static size_t length(const struct mkcab_file *f)
{
	return f->len ? f->len : strlen(f->data);
}

struct ibb_buf mkcab(const struct mkcab_file *files, size_t n, enum mkcab_method method)
{
	struct ibb_buf b = {0}, data = {0};
	size_t names = 0;

	for (size_t i = 0; i < n; i++) {
		names += 16 + strlen(files[i].name) + 1;
		add(&data, files[i].data, length(&files[i]));
	}
	add(&b, "MSCF\0\0\0", 8);
	add32(&b, 0); /* size, below */
	add32(&b, 0);
	add32(&b, HEADER + FOLDER); /* of the first CFFILE */
	add32(&b, 0);
	add16(&b, 0x0103);
	add16(&b, 1);
	add16(&b, (unsigned)n);
	add16(&b, 0);
	add16(&b, 0x1234);
	add16(&b, 0);
	add32(&b, (uint32_t)(HEADER + FOLDER + names));
	add16(&b, (unsigned)((data.len + BLOCK - 1) / BLOCK));
	add16(&b, (unsigned)method);
	for (size_t i = 0, at = 0; i < n; at += length(&files[i++])) {
		add32(&b, (uint32_t)length(&files[i]));
		add32(&b, (uint32_t)at);
		add16(&b, 0);
		add16(&b, 0x5821); /* 2024-01-01 */
		add16(&b, 0);
		add16(&b, 0x20);
		add(&b, files[i].name, strlen(files[i].name) + 1);
	}
	for (size_t at = 0; at < data.len; at += BLOCK)
		add_block(&b, data.data + at, data.len - at < BLOCK ? data.len - at : BLOCK,
			  method);
	ibb_put_le32(b.data + 8, (uint32_t)b.len);
	ibb_buf_clear(&data);
	return b;
}
