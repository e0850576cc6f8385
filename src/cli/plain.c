/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text of files, archives and servers on a terminal: what it would act on, or what changes the
 * order of what is read, is written out as \uXXXX, so that nothing can look like a line of ours.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* C0, C1, DEL; U+061C, U+200E-F, U+2028-E, U+2066-9 (Unicode, UAX #9, and line separators). */
static bool acts(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Bytes of such a character at p, and which; 0: another one. */
static size_t acting(const char *s, unsigned *ret)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = 1;

	*ret = p[0];
	if ((p[0] & 0xe0) == 0xc0 && (p[1] & 0xc0) == 0x80) {
		*ret = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
		n = 2;
	} else if ((p[0] & 0xf0) == 0xe0 && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80) {
		*ret = (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
		n = 3;
	}
	return acts(*ret) ? n : 0;
}

int cli_plain(const char *text, struct ibb_buf *out)
{
	int r = 0;

	while (*text && !r) {
		unsigned c;
		size_t n = acting(text, &c);

		r = n ? ibb_buf_printf(out, "\\u%04x", c) : ibb_buf_append(out, text, 1);
		text += n ? n : 1;
	}
	return r;
}

/* What an escape of JSON stands for; 0: nothing that acts. */
static unsigned escaped(const char *p, size_t *n)
{
	static const char names[] = "bfnrt", are[] = "\b\f\n\r\t";
	const char *name = p[1] ? strchr(names, p[1]) : NULL;
	char hex[5] = "";
	unsigned c;

	*n = 2;
	if (name)
		return (unsigned char)are[name - names];
	if (p[1] != 'u')
		return 0;
	memcpy(hex, p + 2, strnlen(p + 2, 4));
	c = (unsigned)strtoul(hex, NULL, 16);
	*n += strlen(hex);
	return acts(c) ? c : 0;
}

/* A backslash is in strings alone, and what is below a blank is between them. */
int cli_plain_json(const char *json, struct ibb_buf *out)
{
	int r = 0;

	while (*json && !r) {
		size_t n = 1;
		unsigned c = 0;

		if (*json == '\\')
			c = escaped(json, &n);
		else if ((unsigned char)*json >= ' ')
			n = acting(json, &c);
		if (!n) {
			n = 1;
			c = 0;
		}
		r = c ? ibb_buf_printf(out, "\\\\u%04x", c) : ibb_buf_append(out, json, n);
		json += n;
	}
	return r;
}
