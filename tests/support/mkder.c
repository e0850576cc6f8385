/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkder.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/objects.h>

void mkder_put(struct mkder *d, const void *p, size_t n)
{
	if (!d->failed && ibb_buf_append(&d->b, p, n))
		d->failed = true;
}

void mkder_open(struct mkder *d, int tag)
{
	uint8_t t = (uint8_t)tag;

	mkder_put(d, &t, 1);
	IBB_ASSERT(d->depth < IBB_ARRAY_SIZE(d->start));
	d->start[d->depth++] = d->b.len;
}

void mkder_close(struct mkder *d)
{
	size_t start = d->start[--d->depth], n = d->b.len - start, more = 0;
	uint8_t len[5];

	if (n < 0x80) {
		len[0] = (uint8_t)n;
	} else {
		for (size_t v = n; v; v >>= 8)
			more++;
		len[0] = (uint8_t)(0x80 | more);
		for (size_t i = 0; i < more; i++)
			len[1 + i] = (uint8_t)(n >> 8 * (more - 1 - i));
	}
	mkder_put(d, len, 1 + more); /* makes room; the content then moves up over it */
	if (d->failed)
		return;
	memmove(d->b.data + start + 1 + more, d->b.data + start, n);
	memcpy(d->b.data + start, len, 1 + more);
}

void mkder_primitive(struct mkder *d, int tag, const void *p, size_t n)
{
	mkder_open(d, tag);
	mkder_put(d, p, n);
	mkder_close(d);
}

void mkder_integer(struct mkder *d, uint32_t v)
{
	uint8_t be[5] = {0, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	size_t skip = 0;

	while (skip < 4 && be[skip] == 0 && !(be[skip + 1] & 0x80))
		skip++;
	mkder_primitive(d, MKDER_INTEGER, be + skip, 5 - skip);
}

void mkder_oid(struct mkder *d, const char *dotted)
{
	ASN1_OBJECT *o = OBJ_txt2obj(dotted, 1);
	uint8_t bytes[64], *p = bytes;
	int n = o ? i2d_ASN1_OBJECT(o, NULL) : 0;

	if (n > 0 && (size_t)n <= sizeof(bytes) && i2d_ASN1_OBJECT(o, &p) == n)
		mkder_put(d, bytes, (size_t)n);
	else
		d->failed = true;
	ASN1_OBJECT_free(o);
}

void mkder_algorithm(struct mkder *d, const char *dotted)
{
	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, dotted);
	mkder_primitive(d, 0x05, NULL, 0);
	mkder_close(d);
}

static int compare_chunks(const void *pa, const void *pb)
{
	const struct ibb_bytes *a = pa, *b = pb;
	size_t n = a->len < b->len ? a->len : b->len;
	int r = memcmp(a->data, b->data, n);

	return r ? r : (a->len > b->len) - (a->len < b->len);
}

void mkder_sort(struct mkder *d)
{
	struct ibb_bytes chunks[64];
	size_t start = d->start[d->depth - 1], n = 0;
	IBB_AUTO_BUF struct ibb_buf sorted = {0};
	const unsigned char *p = d->b.data + start, *end = d->b.data + d->b.len;

	while (!d->failed && p < end) {
		const unsigned char *q = p;
		long len = 0;
		int tag = 0, class = 0;

		if ((ASN1_get_object(&q, &len, &tag, &class, end - p) & 0x80) ||
		    n == IBB_ARRAY_SIZE(chunks)) {
			d->failed = true;
			return;
		}
		chunks[n++] = (struct ibb_bytes){p, (size_t)(q + len - p)};
		p = q + len;
	}
	qsort(chunks, n, sizeof(chunks[0]), compare_chunks);
	for (size_t i = 0; i < n; i++)
		if (ibb_buf_append(&sorted, chunks[i].data, chunks[i].len))
			d->failed = true;
	if (!d->failed)
		memcpy(d->b.data + start, sorted.data, sorted.len);
}
