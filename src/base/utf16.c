/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/utf16.h"

#include <string.h>

#include "base/le.h"
#include "base/upcase_table.h"

uint16_t ibb_upcase(uint16_t c)
{
	size_t lo = 0, hi = IBB_ARRAY_SIZE(upcase_ranges);

	if (c < 0x80)
		return c >= 'a' && c <= 'z' ? (uint16_t)(c - 32) : c;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c > upcase_ranges[mid].last)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == IBB_ARRAY_SIZE(upcase_ranges) || c < upcase_ranges[lo].first ||
	    (c - upcase_ranges[lo].first) % upcase_ranges[lo].step)
		return c;
	return (uint16_t)(c + upcase_ranges[lo].delta);
}

/* Decode one code point; *n is the bytes taken, 0 at the end. Malformed: false, one byte taken. */
static bool decode(const unsigned char *s, size_t left, uint32_t *cp, size_t *n)
{
	unsigned len;

	*n = left ? 1 : 0;
	if (!left)
		return true;
	*cp = s[0];
	if (s[0] < 0x80)
		return true;
	if (s[0] >= 0xc2 && s[0] < 0xe0)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] < 0xf0)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] < 0xf5)
		len = 4;
	else
		return false;
	if (left < len)
		return false;
	uint32_t v = s[0] & (0xffu >> (len + 1));

	for (unsigned i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return false;
		v = v << 6 | (s[i] & 0x3f);
	}
	if ((len == 3 && v < 0x800) || (len == 4 && (v < 0x10000 || v > 0x10ffff)))
		return false;
	*cp = v;
	*n = len;
	return true;
}

/* A pair of surrogates in six bytes (CESU-8) would be a second spelling of a four-byte character.
 */
static bool is_split_pair(uint32_t before, uint32_t cp)
{
	return (before & 0xfffffc00) == 0xd800 && (cp & 0xfffffc00) == 0xdc00;
}

/* Nearly all text is ASCII: eight bytes of it at once. */
static inline bool eight_ascii(const void *p, uint64_t *ret)
{
	memcpy(ret, p, sizeof(*ret));
	return !(*ret & 0x8080808080808080u);
}

bool ibb_utf8_valid(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t cp = 0, before;
	uint64_t eight;
	size_t k;

	while (n) {
		while (n >= 8 && eight_ascii(p, &eight)) {
			cp = 0;
			p += 8;
			n -= 8;
		}
		before = cp;
		if (!decode(p, n, &cp, &k) || is_split_pair(before, cp))
			return false;
		p += k;
		n -= k;
	}
	return true;
}

/* Into room that was reserved. */
static void put_unit(struct ibb_buf *out, uint32_t u)
{
	ibb_put_le16(out->data + out->len, (uint16_t)u);
	out->len += 2;
}

int ibb_utf16le_append(struct ibb_buf *out, const char *s)
{
	size_t left = strlen(s), k, start = out->len;
	const unsigned char *p = (const unsigned char *)s;
	uint32_t cp = 0, before;

	/* no UTF-8 sequence takes more than twice its bytes in UTF-16 */
	if (left > (SIZE_MAX - start) / 2 || ibb_buf_reserve(out, start + 2 * left))
		return IBB_E_NOMEM;
	while (left) {
		before = cp;
		if (!decode(p, left, &cp, &k) || is_split_pair(before, cp)) {
			out->len = start;
			return IBB_E_INVALID;
		}
		if (cp < 0x10000) {
			put_unit(out, cp);
		} else {
			put_unit(out, 0xd800 + ((cp - 0x10000) >> 10));
			put_unit(out, 0xdc00 + ((cp - 0x10000) & 0x3ff));
		}
		p += k;
		left -= k;
	}
	return IBB_OK;
}

static int put_utf8(struct ibb_buf *out, uint32_t cp)
{
	uint8_t b[4];
	size_t n;

	if (cp < 0x80 && out->len < out->cap) {
		out->data[out->len++] = (uint8_t)cp;
		return IBB_OK;
	}
	if (cp < 0x80) {
		b[0] = (uint8_t)cp;
		n = 1;
	} else if (cp < 0x800) {
		b[0] = (uint8_t)(0xc0 | cp >> 6);
		b[1] = (uint8_t)(0x80 | (cp & 0x3f));
		n = 2;
	} else if (cp < 0x10000) {
		b[0] = (uint8_t)(0xe0 | cp >> 12);
		b[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		b[2] = (uint8_t)(0x80 | (cp & 0x3f));
		n = 3;
	} else {
		b[0] = (uint8_t)(0xf0 | cp >> 18);
		b[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
		b[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		b[3] = (uint8_t)(0x80 | (cp & 0x3f));
		n = 4;
	}
	return ibb_buf_append(out, b, n);
}

int ibb_utf8_append(struct ibb_buf *out, const uint8_t *p, size_t n_bytes)
{
	size_t n = n_bytes / 2;

	for (size_t i = 0; i < n; i++) {
		uint32_t cp = ibb_get_le16(p + 2 * i);

		if ((cp & 0xfc00) == 0xd800 && i + 1 < n) {
			uint32_t lo = ibb_get_le16(p + 2 * i + 2);

			if ((lo & 0xfc00) == 0xdc00) {
				cp = 0x10000 + ((cp & 0x3ff) << 10 | (lo & 0x3ff));
				i++;
			}
		}
		if (put_utf8(out, cp))
			return IBB_E_NOMEM;
	}
	return IBB_OK;
}

char *ibb_utf8_from_utf16le(const uint8_t *p, size_t n_bytes)
{
	struct ibb_buf b = {0};
	size_t n = 0;

	while (n + 1 < n_bytes && (p[n] || p[n + 1]))
		n += 2;
	if (ibb_buf_reserve(&b, n + 1) || ibb_utf8_append(&b, p, n)) {
		ibb_buf_clear(&b);
		return NULL;
	}
	return ibb_buf_take_str(&b);
}

/* Iterates over the upper-cased UTF-16 code units of a UTF-8 string. */
struct unit_iter {
	const unsigned char *p;
	size_t left;
	uint32_t low; /* pending low surrogate */
};

static int next_unit(struct unit_iter *it)
{
	uint32_t cp = 0;
	size_t k;

	if (it->low) {
		int u = (int)it->low;

		it->low = 0;
		return u;
	}
	if (!it->left)
		return -1;
	if (!decode(it->p, it->left, &cp, &k))
		cp = 0xdc00 + it->p[0]; /* never equal to a well-formed neighbour */
	it->p += k;
	it->left -= k;
	if (cp >= 0x10000) {
		it->low = 0xdc00 + ((cp - 0x10000) & 0x3ff);
		return (int)(0xd800 + ((cp - 0x10000) >> 10));
	}
	return ibb_upcase((uint16_t)cp);
}

static inline unsigned char ascii_upper(char c)
{
	return (unsigned char)(c >= 'a' && c <= 'z' ? c - 32 : c);
}

int ibb_ncasecmp(const char *a, size_t na, const char *b, size_t nb)
{
	size_t i = 0, n = na < nb ? na : nb;
	struct unit_iter ia, ib;
	uint64_t ea, eb;

	/* device IDs and registry names are nearly always ASCII, and those that are compared begin
	 * alike: only behind that the slow way */
	while (n - i >= 8 && eight_ascii(a + i, &ea) && eight_ascii(b + i, &eb) && ea == eb)
		i += 8;
	for (; i < n; i++) {
		unsigned char ca = ascii_upper(a[i]), cb = ascii_upper(b[i]);

		if ((ca | cb) >= 0x80)
			break;
		if (ca != cb)
			return ca < cb ? -1 : 1;
	}
	ia = (struct unit_iter){(const unsigned char *)a + i, na - i, 0};
	ib = (struct unit_iter){(const unsigned char *)b + i, nb - i, 0};
	for (;;) {
		int ua = next_unit(&ia), ub = next_unit(&ib);

		if (ua != ub)
			return ua < ub ? -1 : 1;
		if (ua < 0)
			return 0;
	}
}

int ibb_casecmp(const char *a, const char *b)
{
	return ibb_ncasecmp(a, strlen(a), b, strlen(b));
}

bool ibb_case_prefix(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strlen(s) >= n && ibb_ncasecmp(s, n, prefix, n) == 0;
}

bool ibb_case_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(suffix), len = strlen(s);

	return len >= n && ibb_ncasecmp(s + len - n, n, suffix, n) == 0;
}

void ibb_ascii_lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s + 32);
}

bool ibb_utf8_is_plain(const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;

	for (size_t i = 0; i < n; i++) {
		uint8_t a = i + 1 < n ? p[i + 1] : 0, b = i + 2 < n ? p[i + 2] : 0;

		if (p[i] < 0x20 || p[i] == 0x7f || (p[i] == 0xc2 && a >= 0x80 && a <= 0x9f))
			return false;
		if (p[i] == 0xe2 && a == 0x80 &&
		    (b == 0x8e || b == 0x8f || (b >= 0xaa && b <= 0xae)))
			return false;
		if (p[i] == 0xe2 && a == 0x81 && b >= 0xa6 && b <= 0xa9)
			return false;
	}
	return true;
}
