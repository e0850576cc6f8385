/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A growable byte buffer. Zero-initialise; ibb_buf_clear() when done. */
#ifndef IBB_BASE_BUF_H
#define IBB_BASE_BUF_H

#include "base/mem.h"

struct ibb_buf {
	uint8_t *data;
	size_t len, cap;
};

/* Bytes that somebody else owns. */
struct ibb_bytes {
	const uint8_t *data;
	size_t len;
};

void ibb_buf_clear(struct ibb_buf *b);
/* All return IBB_OK or IBB_E_NOMEM. */
int ibb_buf_reserve(struct ibb_buf *b, size_t total) IBB_MUST_CHECK;
int ibb_buf_append(struct ibb_buf *b, const void *p, size_t n) IBB_MUST_CHECK;
int ibb_buf_append_zero(struct ibb_buf *b, size_t n) IBB_MUST_CHECK;
int ibb_buf_append_str(struct ibb_buf *b, const char *s) IBB_MUST_CHECK;
int ibb_buf_printf(struct ibb_buf *b, const char *fmt, ...) IBB_PRINTF(2, 3) IBB_MUST_CHECK;

static inline struct ibb_bytes ibb_buf_bytes(const struct ibb_buf *b)
{
	return (struct ibb_bytes){b->data, b->len};
}

/* As a NUL-terminated string; NULL when memory is short. The buffer keeps ownership. */
char *ibb_buf_cstr(struct ibb_buf *b);
/* Hand the data over as a NUL-terminated string (free() it); the buffer is empty afterwards. */
char *ibb_buf_take_str(struct ibb_buf *b);

static inline IBB_UNUSED void ibb_buf_clear_scope(struct ibb_buf *b)
{
	ibb_buf_clear(b);
}
#define IBB_AUTO_BUF __attribute__((cleanup(ibb_buf_clear_scope)))

#endif
