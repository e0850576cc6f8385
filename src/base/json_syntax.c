/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/json_syntax.h"

#include <stdbool.h>
#include <string.h>

#include "base/limits.h"

/* cJSON copies a number into a buffer of 64 bytes and takes what does not fit for something else.
 */
#define MAX_NUMBER_CHARS 63

struct scan {
	const char *s;
	size_t n, i;
	unsigned depth;
	int code;
	const char *why;
};

static bool bad(struct scan *c, const char *why)
{
	c->code = IBB_E_CORRUPT;
	c->why = why;
	return false;
}

/* The next byte, or NUL at the end (a NUL in the text is refused wherever it stands). */
static char peek(const struct scan *c)
{
	return c->i < c->n ? c->s[c->i] : '\0';
}

static void skip_space(struct scan *c)
{
	while (c->i < c->n && strchr(" \t\r\n", c->s[c->i]) && c->s[c->i])
		c->i++;
}

static bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static bool hex4(const struct scan *c, size_t at, unsigned *ret)
{
	unsigned v = 0;

	if (c->n < at || c->n - at < 4)
		return false;
	for (size_t i = at; i < at + 4; i++) {
		char ch = c->s[i], low = (char)(ch | 0x20);

		if (is_digit(ch))
			v = v << 4 | (unsigned)(ch - '0');
		else if (low >= 'a' && low <= 'f')
			v = v << 4 | (unsigned)(low - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return true;
}

/* At the backslash of an escape. */
static bool escape(struct scan *c)
{
	char ch = c->i + 1 < c->n ? c->s[c->i + 1] : '\0';
	unsigned u, low;

	if (ch && strchr("\"\\/bfnrt", ch)) {
		c->i += 2;
		return true;
	}
	if (ch != 'u' || !hex4(c, c->i + 2, &u))
		return bad(c, "an unknown escape in a string");
	if (!u)
		return bad(c, "\\u0000 in a string");
	if (u >= 0xd800 && u < 0xe000) {
		if (u >= 0xdc00 || c->n - c->i < 12 || memcmp(c->s + c->i + 6, "\\u", 2) != 0 ||
		    !hex4(c, c->i + 8, &low) || low < 0xdc00 || low >= 0xe000)
			return bad(c, "an unpaired surrogate in a string");
		c->i += 6;
	}
	c->i += 6;
	return true;
}

static bool string(struct scan *c)
{
	if (peek(c) != '"')
		return bad(c, "a string was expected");
	c->i++;
	while (peek(c) != '"') {
		unsigned char ch = (unsigned char)peek(c);

		if (c->i >= c->n)
			return bad(c, "the string is not closed");
		if (ch < 0x20)
			return bad(c, ch ? "a control character in a string" : "a NUL byte");
		if (ch == 0xed && (unsigned char)c->s[c->i + 1] >= 0xa0)
			return bad(c, "an unpaired surrogate in a string");
		if (ch != '\\')
			c->i++;
		else if (!escape(c))
			return false;
	}
	c->i++;
	return true;
}

static bool digits(struct scan *c)
{
	if (!is_digit(peek(c)))
		return bad(c, "a malformed number");
	while (is_digit(peek(c)))
		c->i++;
	return true;
}

static bool number(struct scan *c)
{
	size_t start = c->i;

	if (peek(c) == '-')
		c->i++;
	if (peek(c) == '0')
		c->i++;
	else if (!digits(c))
		return false;
	if (peek(c) == '.') {
		c->i++;
		if (!digits(c))
			return false;
	}
	if (peek(c) == 'e' || peek(c) == 'E') {
		c->i++;
		if (peek(c) == '+' || peek(c) == '-')
			c->i++;
		if (!digits(c))
			return false;
	}
	if (c->i - start > MAX_NUMBER_CHARS)
		return bad(c, "a number of more than 63 characters");
	return true;
}

static bool literal(struct scan *c, const char *word)
{
	size_t n = strlen(word);

	if (c->n - c->i < n || memcmp(c->s + c->i, word, n) != 0)
		return bad(c, "a value was expected");
	c->i += n;
	return true;
}

static bool value(struct scan *c);

/* The items of an array or the members of an object, from the opening bracket on. */
static bool container(struct scan *c, char close)
{
	if (++c->depth > IBB_LIMIT_JSON_DEPTH) {
		bad(c, "nested too deeply");
		c->code = IBB_E_LIMIT;
		return false;
	}
	c->i++;
	skip_space(c);
	if (peek(c) == close) {
		c->i++;
		c->depth--;
		return true;
	}
	for (;;) {
		skip_space(c);
		if (close == '}') {
			if (!string(c))
				return false;
			skip_space(c);
			if (peek(c) != ':')
				return bad(c, "':' was expected");
			c->i++;
		}
		if (!value(c))
			return false;
		skip_space(c);
		if (peek(c) == close)
			break;
		if (peek(c) != ',')
			return bad(c, close == '}' ? "',' or '}' was expected"
						   : "',' or ']' was expected");
		c->i++;
	}
	c->i++;
	c->depth--;
	return true;
}

static bool value(struct scan *c)
{
	skip_space(c);
	switch (peek(c)) {
	case '{':
		return container(c, '}');
	case '[':
		return container(c, ']');
	case '"':
		return string(c);
	case 't':
		return literal(c, "true");
	case 'f':
		return literal(c, "false");
	case 'n':
		return literal(c, "null");
	case '\0':
		return bad(c, c->i < c->n ? "a NUL byte" : "the text ends too early");
	default:
		if (peek(c) == '-' || is_digit(peek(c)))
			return number(c);
		return bad(c, "a value was expected");
	}
}

int ibb_json_syntax(const char *s, size_t n, const char **ret_why, size_t *ret_at)
{
	struct scan c = {.s = s, .n = n};
	bool ok;

	if (n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
		c.i = 3;
	ok = value(&c);
	if (ok)
		skip_space(&c);
	if (ok && c.i < n)
		ok = bad(&c, peek(&c) ? "something stands behind the end" : "a NUL byte");
	if (ok)
		return IBB_OK;
	*ret_why = c.why;
	*ret_at = c.i;
	return c.code;
}
