/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <iconv.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/le.h"
#include "base/utf16.h"
#include "unpack/msi_internal.h"

#define ONE_LETTER 0x4800u
#define TWO_LETTER 0x3800u
#define TABLE_MARK 0x4840u

static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";

/* Windows-1252 where it differs from Latin-1; 0 where it has nothing. */
static const uint16_t cp1252[32] = {
	0x20ac, 0,	0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
	0x2039, 0x0152, 0,	0x017d, 0,	0,	0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
	0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,	0x017e, 0x0178,
};

int msi_refuse(struct ibb_error *err, const char *fmt, ...)
{
	char why[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	ibb_err(err, IBB_E_UNSUPPORTED, "%s", why);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "extract it on any Windows: msiexec /a FILE.msi /qb TARGETDIR=C:\\x, "
			    "and give that directory to --drivers");
}

char *msi_stream_name(const struct cfb_stream *s)
{
	uint8_t units[2 * 2 * CFB_NAME_UNITS];
	size_t n = 0;

	for (unsigned i = 0; i < s->n_name; i++) {
		uint16_t c = s->name[i];

		if (c >= TWO_LETTER && c < ONE_LETTER) {
			ibb_put_le16(units + 2 * n++, (uint8_t)letters[(c - TWO_LETTER) & 0x3f]);
			c = (uint8_t)letters[(c - TWO_LETTER) >> 6 & 0x3f];
		} else if (c >= ONE_LETTER && c < TABLE_MARK) {
			c = (uint8_t)letters[c - ONE_LETTER];
		} else if (c == TABLE_MARK) {
			c = '!';
		}
		ibb_put_le16(units + 2 * n++, c);
	}
	return ibb_utf8_from_utf16le(units, 2 * n);
}

const struct cfb_stream *msi_find_stream(const struct cfb *c, const char *name, bool *ret_oom)
{
	for (size_t i = 0; i < c->n_streams; i++) {
		IBB_AUTO_FREE char *have = msi_stream_name(&c->streams[i]);

		if (!have) {
			*ret_oom = true;
			return NULL;
		}
		if (strcmp(have, name) == 0)
			return &c->streams[i];
	}
	return NULL;
}

static bool is_ascii(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)p[i] >= 0x80)
			return false;
	return true;
}

/* Windows-1252 needs no table of the system's. */
static int from_1252(const char *p, size_t n, struct ibb_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t b = (uint8_t)p[i], unit[2];
		uint16_t c = b >= 0x80 && b < 0xa0 ? cp1252[b - 0x80] : b;

		if (!c)
			return IBB_E_CORRUPT;
		ibb_put_le16(unit, c);
		if (ibb_utf8_append(out, unit, 2))
			return IBB_E_NOMEM;
	}
	return IBB_OK;
}

static int from_system(unsigned code_page, const char *p, size_t n, struct ibb_buf *out)
{
	char name[24], *in = (char *)(uintptr_t)p, *to;
	size_t room, left = n, got;
	iconv_t cd;
	int saved;

	snprintf(name, sizeof(name), "CP%u", code_page);
	cd = iconv_open("UTF-8", name);
	if (cd == (iconv_t)-1)
		return errno == ENOMEM ? IBB_E_NOMEM : IBB_E_UNSUPPORTED;
	if (ibb_buf_reserve(out, 4 * n + 16)) {
		iconv_close(cd);
		return IBB_E_NOMEM;
	}
	to = (char *)out->data;
	room = out->cap;
	got = iconv(cd, &in, &left, &to, &room);
	saved = errno;
	iconv_close(cd);
	if (got == (size_t)-1)
		return saved == ENOMEM ? IBB_E_NOMEM : IBB_E_CORRUPT;
	out->len = out->cap - room;
	return IBB_OK;
}

int msi_text(const char *name, unsigned code_page, const char *p, size_t n, char **ret,
	     struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	char *text;
	int rc;

	if (memchr(p, 0, n))
		return ibb_err(err, IBB_E_CORRUPT, "%s: a name with a NUL in it", name);
	if (is_ascii(p, n) || code_page == 65001)
		rc = ibb_buf_append(&b, p, n);
	else if (code_page == 1252 || !code_page) /* 0: the reader's own; msitools writes Western */
		rc = from_1252(p, n, &b);
	else
		rc = from_system(code_page, p, n, &b);
	if (rc == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (rc == IBB_E_UNSUPPORTED)
		return msi_refuse(err, "%s: file names in code page %u", name, code_page);
	if (rc || !ibb_utf8_valid((const char *)b.data, b.len))
		return ibb_err(err, IBB_E_CORRUPT, "%s: a name that is not in its code page %u",
			       name, code_page);
	text = ibb_buf_take_str(&b);
	if (!text)
		return ibb_err_nomem(err);
	*ret = text;
	return IBB_OK;
}
