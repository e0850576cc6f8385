/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ibb_buf_clear(struct ibb_buf *b)
{
	free(b->data);
	*b = (struct ibb_buf){0};
}

int ibb_buf_reserve(struct ibb_buf *b, size_t total)
{
	uint8_t *p;
	size_t cap;

	if (total <= b->cap)
		return IBB_OK;
	cap = b->cap ? b->cap : 64;
	while (cap < total)
		cap = cap > SIZE_MAX / 2 ? total : cap * 2;
	p = ibb_realloc_array(b->data, cap, 1);
	if (!p)
		return IBB_E_NOMEM;
	b->data = p;
	b->cap = cap;
	return IBB_OK;
}

int ibb_buf_append(struct ibb_buf *b, const void *p, size_t n)
{
	if (n > SIZE_MAX - b->len || ibb_buf_reserve(b, b->len + n))
		return IBB_E_NOMEM;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	return IBB_OK;
}

int ibb_buf_append_zero(struct ibb_buf *b, size_t n)
{
	if (n > SIZE_MAX - b->len || ibb_buf_reserve(b, b->len + n))
		return IBB_E_NOMEM;
	if (n)
		memset(b->data + b->len, 0, n);
	b->len += n;
	return IBB_OK;
}

int ibb_buf_append_str(struct ibb_buf *b, const char *s)
{
	return ibb_buf_append(b, s, strlen(s));
}

int ibb_buf_printf(struct ibb_buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || ibb_buf_reserve(b, b->len + (size_t)n + 1))
		return IBB_E_NOMEM;
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return IBB_OK;
}

char *ibb_buf_cstr(struct ibb_buf *b)
{
	if (b->len == SIZE_MAX || ibb_buf_reserve(b, b->len + 1))
		return NULL;
	b->data[b->len] = '\0';
	return (char *)b->data;
}

char *ibb_buf_take_str(struct ibb_buf *b)
{
	char *s = ibb_buf_cstr(b);

	if (s)
		*b = (struct ibb_buf){0};
	return s;
}
