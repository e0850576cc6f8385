/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the inf layer share. */
#ifndef IBB_TEST_INF_H
#define IBB_TEST_INF_H

#include "test.h"

#include "inf/inf.h"

/* The beginning that every INF needs. */
#define INF_VERSION                                              \
	"[Version]\r\n"                                          \
	"Signature = \"$Windows NT$\"\r\n"                       \
	"Class = Net\r\n"                                        \
	"ClassGuid = {4d36e972-e325-11ce-bfc1-08002be10318}\r\n" \
	"Provider = %P%\r\n"                                     \
	"DriverVer = 04/16/2024,24.4.26429.0\r\n"                \
	"CatalogFile = x.cat\r\n"
#define INF_STRINGS "[Strings]\r\nP = \"Provider, Inc.\"\r\n"

static const struct ibb_inf_target win10_19041 = {IBB_ARCH_AMD64, 10, 0, 19041, 1, 0};

static inline struct ibb_bytes bytes_of(const char *s)
{
	return (struct ibb_bytes){(const uint8_t *)s, strlen(s)};
}

static inline struct ibb_inf *parse_bytes(const void *p, size_t n)
{
	struct ibb_error err = {0};
	struct ibb_inf *inf = NULL;

	assert_ok(ibb_inf_parse("t.inf", (struct ibb_bytes){p, n}, &inf, &err), err);
	return inf;
}

static inline struct ibb_inf *parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static inline struct ibb_inf *parse_data(const char *rel, struct ibb_buf *b)
{
	struct ibb_error err = {0};
	struct ibb_inf *inf = NULL;
	const char *base = strrchr(rel, '/');

	assert_ok(ibb_inf_parse(base ? base + 1 : rel, ibb_buf_bytes(b), &inf, &err), err);
	return inf;
}

/* Parsing must fail with this code and text. */
static inline void assert_no_parse(const void *p, size_t n, int code, const char *text)
{
	struct ibb_error err = {0};
	struct ibb_inf *inf = NULL;

	assert_fails(ibb_inf_parse("t.inf", (struct ibb_bytes){p, n}, &inf, &err), code, err, text);
	assert_null(inf);
}

#endif
