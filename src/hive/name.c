/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of keys and values. */
#include "hive/hive_int.h"

#include <string.h>

#include "base/utf16.h"

static inline uint16_t up(uint16_t c)
{
	if (c < 0x80)
		return c >= 'a' && c <= 'z' ? (uint16_t)(c - 32) : c;
	return ibb_upcase(c);
}

int hv_name_cmp(const struct hv_name *a, const struct hv_name *b)
{
	uint32_t n = a->n < b->n ? a->n : b->n;

	for (uint32_t i = 0; i < n; i++) {
		uint16_t ca = hv_unit(a, i), cb = hv_unit(b, i);

		if (ca != cb && (ca = up(ca)) != (cb = up(cb)))
			return ca < cb ? -1 : 1;
	}
	return a->n == b->n ? 0 : a->n < b->n ? -1 : 1;
}

bool hv_name_eq(const struct hv_name *a, const struct hv_name *b)
{
	return a->n == b->n && hv_name_cmp(a, b) == 0;
}

uint32_t hv_name_hash(const struct hv_name *s)
{
	uint32_t hash = 0;

	for (uint32_t i = 0; i < s->n; i++)
		hash = hash * 37 + up(hv_unit(s, i));
	return hash;
}

void hv_name_hint(const struct hv_name *name, uint8_t hint[4])
{
	memset(hint, 0, 4);
	for (uint32_t i = 0; i < 4 && i < name->n; i++) {
		if (hv_unit(name, i) > 0xff) {
			memset(hint, 0, 4);
			return;
		}
		hint[i] = (uint8_t)hv_unit(name, i);
	}
}

bool hv_name_compressible(const struct hv_name *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (hv_unit(s, i) > 0xff)
			return false;
	return true;
}

uint32_t hv_name_store(const struct hv_name *s, bool latin1, uint8_t *p)
{
	for (uint32_t i = 0; i < s->n; i++) {
		if (latin1)
			p[i] = (uint8_t)hv_unit(s, i);
		else
			ibb_put_le16(p + 2 * (size_t)i, hv_unit(s, i));
	}
	return latin1 ? s->n : 2 * s->n;
}

static int append_latin1(const struct hv_name *s, struct ibb_buf *out)
{
	for (uint32_t i = 0; i < s->n; i++) {
		uint8_t unit[2] = {s->p[i], 0};

		if (s->p[i] && s->p[i] < 0x80)
			out->data[out->len++] = s->p[i];
		else if (s->p[i] ? ibb_utf8_append(out, unit, 2)
				 : ibb_buf_append_str(out, "\xe2\x90\x80"))
			return IBB_E_NOMEM;
	}
	return IBB_OK;
}

static int append_utf16(const struct hv_name *s, struct ibb_buf *out)
{
	uint32_t from = 0;
	int r = IBB_OK;

	for (uint32_t i = 0; i <= s->n && !r; i++) {
		if (i < s->n && hv_unit(s, i))
			continue;
		r = ibb_utf8_append(out, s->p + 2 * (size_t)from, 2 * (size_t)(i - from));
		if (!r && i < s->n)
			r = ibb_buf_append_str(out, "\xe2\x90\x80");
		from = i + 1;
	}
	return r;
}

int hv_name_utf8(const struct hv_name *s, struct ibb_buf *out)
{
	/* three bytes at most for each unit, so that nothing below allocates */
	if (ibb_buf_reserve(out, out->len + 3 * (size_t)s->n + 1) ||
	    (s->latin1 ? append_latin1(s, out) : append_utf16(s, out)) || !ibb_buf_cstr(out))
		return IBB_E_NOMEM;
	return IBB_OK;
}

int hv_name_encode(const char *s, struct ibb_buf *buf, struct hv_name *ret, struct ibb_error *err)
{
	size_t n = strlen(s);
	int r;

	if (n > 3 * 32767u)
		return ibb_err(err, IBB_E_INVALID, "registry name of %zu bytes is too long", n);
	if (ibb_buf_reserve(buf, buf->len + 2 * n))
		return ibb_err_nomem(err);
	size_t start = buf->len;

	r = ibb_utf16le_append(buf, s);
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (r)
		return ibb_err(err, r, "registry name '%s' is not UTF-8", s);
	*ret = (struct hv_name){buf->data ? buf->data + start : NULL,
				(uint32_t)((buf->len - start) / 2), false};
	return IBB_OK;
}

int hv_path_next(struct hv_name *path, struct hv_name *ret, struct ibb_error *err)
{
	uint32_t n = 0;

	while (n < path->n && hv_unit(path, n) != '\\')
		n++;
	if (!n)
		return ibb_err(err, IBB_E_INVALID, "registry path holds an empty key name");
	if (n > 255)
		return ibb_err(err, IBB_E_INVALID,
			       "registry path holds a key name of %u characters (255 are allowed)",
			       n);
	if (n + 1 == path->n)
		return ibb_err(err, IBB_E_INVALID, "registry path ends in '\\'");
	*ret = (struct hv_name){path->p, n, false};
	n += n < path->n;
	path->p += 2 * (size_t)n;
	path->n -= n;
	return IBB_OK;
}
