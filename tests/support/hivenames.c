/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "hiveedit.h"

/* splitmix64: runs repeat anywhere */
uint32_t edit_rnd(struct edit *e, uint32_t below)
{
	uint64_t z = e->rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) >> 16) % below;
}

/* ---- names ---- */

static size_t put_utf8(char *p, uint32_t c)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (n == 1) {
		*p = (char)c;
		return 1;
	}
	for (size_t i = n; i-- > 1; c >>= 6)
		p[i] = (char)(0x80 | (c & 0x3f));
	p[0] = (char)((0xf00u >> n) | c);
	return n;
}

/*
 * No characters about whose upper case Windows and others may disagree, or that have one in
 * another script (micro sign, y with diaeresis, final sigma): the model knows simple ones only.
 */
uint32_t edit_letter(struct edit *e, unsigned script)
{
	static const char ascii[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-&{}.#() ,%/\"'|=@~!$^+;[]";
	uint32_t c;

	switch (script) {
	case 0:
		return (unsigned char)ascii[edit_rnd(e, sizeof(ascii) - 1)];
	case 1:
		c = 0xc0 + edit_rnd(e, 0x3f);
		return c;
	case 2:
		c = 0x391 + edit_rnd(e, 0x39);
		return c == 0x3a2 || c == 0x3c2 || (c >= 0x3aa && c <= 0x3b0) ? 0x3a9 : c;
	case 3:
		return 0x400 + edit_rnd(e, 0x60);
	case 4:
		return 0x4e00 + edit_rnd(e, 0x5000);
	case 5:
		return 0xac00 + edit_rnd(e, 0x2ba4);
	default:
		return 0x1f300 + edit_rnd(e, 0x200); /* two UTF-16 units */
	}
}

const char *edit_name(struct edit *e, bool value, unsigned most)
{
	static char name[4 * 256];
	unsigned script = edit_rnd(e, 10) < 6 ? 0 : edit_rnd(e, 8), left = 1 + edit_rnd(e, 24);
	size_t len = 0;

	if (edit_rnd(e, 60) == 0)
		left = most;
	while (left) {
		uint32_t c = edit_letter(e, script == 7 ? edit_rnd(e, 7) : script);

		if (value && edit_rnd(e, 30) == 0)
			c = '\\';
		if (c > 0xffff && left == 1)
			c = 'z';
		left -= c > 0xffff ? 2 : 1;
		len += put_utf8(name + len, c);
	}
	name[len] = '\0';
	return name;
}

const char *edit_other_case(struct edit *e, const char *name)
{
	static char other[4 * 16384];

	if (strlen(name) >= sizeof(other))
		return name;
	strcpy(other, name);
	for (char *p = other; *p; p++)
		if (((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')) && edit_rnd(e, 2))
			*p ^= 0x20;
	return other;
}
