/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small PE images for the tests of digests, and what may be wrong with them. */
#ifndef IBB_TEST_PE_H
#define IBB_TEST_PE_H

#include "test_cat.h"

#include "base/le.h"

/* Where mkpe puts things. */
#define PE_HEADER   0x80
#define PE_OPTIONAL (PE_HEADER + 24)
#define PE_CHECKSUM (PE_OPTIONAL + 64)
#define PE_DIRS	    (PE_OPTIONAL + 112) /* of a PE32+ image */
#define PE_SECTIONS (PE_OPTIONAL + 240)

static inline struct ibb_buf pe64(const char *tag)
{
	struct ibb_buf b = {0};

	assert_int_equal(mkpe_driver(tag, &b), 0);
	return b;
}

/* The same as PE32: the optional header is 16 bytes shorter in front of its data directory. */
static inline struct ibb_buf pe32(const char *tag)
{
	struct ibb_buf b = pe64(tag);
	uint8_t *o = b.data + PE_OPTIONAL;

	ibb_put_le16(o, 0x10b);
	ibb_put_le16(b.data + PE_HEADER + 20, 224);
	memmove(o + 92, o + 108, 4 + 128 + 80);
	memset(o + 92 + 4 + 128 + 80, 0, 16);
	return b;
}

static inline size_t pe_security(const struct ibb_buf *b)
{
	bool plus = ibb_get_le16(b->data + PE_OPTIONAL) == 0x20b;

	return PE_OPTIONAL + (plus ? 112 : 96) + 4 * 8;
}

/* A WIN_CERTIFICATE more, in the certificate table that stands last. */
static inline void pe_add_certificate(struct ibb_buf *b, const void *p, size_t n)
{
	size_t s = pe_security(b);
	uint8_t head[8];

	ibb_put_le32(head, (uint32_t)n + 8);
	ibb_put_le16(head + 4, 0x0200);
	ibb_put_le16(head + 6, 2);
	assert_int_equal(ibb_buf_append(b, head, 8), 0);
	assert_int_equal(ibb_buf_append(b, p, n), 0);
	assert_int_equal(ibb_buf_append_zero(b, (8 - n % 8) % 8), 0);
	ibb_put_le32(b->data + s + 4, (uint32_t)b->len - ibb_get_le32(b->data + s));
}

/* As signtool does: pad, then append. */
static inline void pe_sign(struct ibb_buf *b, const void *p, size_t n)
{
	assert_int_equal(ibb_buf_append_zero(b, (8 - b->len % 8) % 8), 0);
	ibb_put_le32(b->data + pe_security(b), (uint32_t)b->len);
	pe_add_certificate(b, p, n);
}

#endif
