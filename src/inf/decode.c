/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inf/internal.h"

#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"

#define CTRL_Z 0x1a

/* Windows-1252, 0x80 to 0x9f; the five holes map to themselves, as Windows maps them. */
static const uint16_t cp1252[32] = {
	0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
	0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
	0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

static bool has_bom(struct ibb_bytes b, const char *bom, size_t n)
{
	return b.len >= n && memcmp(b.data, bom, n) == 0;
}

/* An INF begins with ASCII: two characters with a zero high byte are UTF-16LE, never ANSI. */
static bool looks_like_utf16le(struct ibb_bytes b)
{
	return b.len >= 4 && b.data[0] && !b.data[1] && b.data[2] && !b.data[3];
}

static bool is_ascii(struct ibb_bytes b)
{
	uint64_t high = 0, w;
	size_t i = 0;

	for (; b.len - i >= sizeof(w); i += sizeof(w)) {
		memcpy(&w, b.data + i, sizeof(w));
		high |= w;
	}
	for (; i < b.len; i++)
		high |= b.data[i];
	return !(high & 0x8080808080808080u);
}

static enum ibb_inf_encoding detect(struct ibb_bytes b, size_t *ret_skip)
{
	*ret_skip = 2;
	if (has_bom(b, "\xff\xfe", 2))
		return IBB_INF_UTF16LE;
	if (has_bom(b, "\xfe\xff", 2))
		return IBB_INF_UTF16BE;
	*ret_skip = 3;
	if (has_bom(b, "\xef\xbb\xbf", 3))
		return IBB_INF_UTF8;
	*ret_skip = 0;
	if (looks_like_utf16le(b))
		return IBB_INF_UTF16LE;
	if (is_ascii(b) || !ibb_utf8_valid((const char *)b.data, b.len))
		return IBB_INF_ANSI;
	return IBB_INF_UTF8;
}

static int from_ansi(struct ibb_buf *out, struct ibb_bytes b)
{
	size_t from = 0;

	for (size_t i = 0; i <= b.len; i++) {
		uint8_t le[2], c = i < b.len ? b.data[i] : 0x80;
		uint16_t u;

		if (c < 0x80)
			continue;
		if (ibb_buf_append(out, b.data + from, i - from))
			return IBB_E_NOMEM;
		from = i + 1;
		if (i == b.len)
			break;
		u = c < 0xa0 ? cp1252[c - 0x80] : c;
		le[0] = (uint8_t)u;
		le[1] = (uint8_t)(u >> 8);
		if (ibb_utf8_append(out, le, 2))
			return IBB_E_NOMEM;
	}
	return IBB_OK;
}

static int from_utf16be(struct ibb_buf *out, struct ibb_bytes b)
{
	IBB_AUTO_FREE uint8_t *le = ibb_alloc(b.len);

	if (!le)
		return IBB_E_NOMEM;
	for (size_t i = 0; i + 1 < b.len; i += 2) {
		le[i] = b.data[i + 1];
		le[i + 1] = b.data[i];
	}
	return ibb_utf8_append(out, le, b.len);
}

static unsigned line_of(const char *text, const char *at)
{
	unsigned line = 1;

	for (const char *p = text; p < at; p++)
		line += *p == '\n' || (*p == '\r' && p[1] != '\n');
	return line;
}

static int convert(struct ibb_inf *inf, struct ibb_bytes b)
{
	switch (inf->encoding) {
	case IBB_INF_UTF16LE:
		return ibb_utf8_append(&inf->text, b.data, b.len);
	case IBB_INF_UTF16BE:
		return from_utf16be(&inf->text, b);
	case IBB_INF_ANSI:
		if (!is_ascii(b))
			return from_ansi(&inf->text, b);
		break;
	case IBB_INF_UTF8:
		break;
	}
	return ibb_buf_append(&inf->text, b.data, b.len);
}

int ibb_inf_decode(struct ibb_inf *inf, struct ibb_bytes bytes, struct ibb_error *err)
{
	size_t skip;
	const char *text, *nul;
	char *eof;

	if (bytes.len > IBB_LIMIT_INF_BYTES)
		return ibb_inf_err(inf, 0, IBB_E_LIMIT, err, "%zu bytes are too many for an INF",
				   bytes.len);
	inf->encoding = detect(bytes, &skip);
	bytes.data += skip;
	bytes.len -= skip;
	if ((inf->encoding == IBB_INF_UTF16LE || inf->encoding == IBB_INF_UTF16BE) && bytes.len % 2)
		return ibb_inf_err(inf, 0, IBB_E_CORRUPT, err,
				   "UTF-16 text of an odd number of bytes: truncated?");
	if (inf->encoding == IBB_INF_UTF8 && !ibb_utf8_valid((const char *)bytes.data, bytes.len))
		return ibb_inf_err(inf, 0, IBB_E_CORRUPT, err,
				   "begins with a UTF-8 mark but is not UTF-8");
	if (ibb_buf_reserve(&inf->text, bytes.len + 2) || convert(inf, bytes))
		return ibb_err_nomem(err);
	if (inf->text.len) {
		eof = memchr(inf->text.data, CTRL_Z, inf->text.len);
		if (eof)
			inf->text.len = (size_t)(eof - (char *)inf->text.data);
	}
	text = (const char *)inf->text.data;
	nul = inf->text.len ? memchr(text, '\0', inf->text.len) : NULL;
	if (nul)
		return ibb_inf_err(inf, line_of(text, nul), IBB_E_CORRUPT, err,
				   "NUL character in the text");
	if (ibb_buf_append(&inf->text, "\n", 2))
		return ibb_err_nomem(err);
	inf->text.len--;
	return IBB_OK;
}
