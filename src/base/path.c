/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/path.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"

/* Windows takes the superscripts one, two and three of Latin-1 for digits here. */
static bool is_device_digit(const char *s, size_t n)
{
	if (n == 1)
		return *s >= '0' && *s <= '9';
	return n == 2 && (memcmp(s, "\u00b9", 2) == 0 || memcmp(s, "\u00b2", 2) == 0 ||
			  memcmp(s, "\u00b3", 2) == 0);
}

static bool is_device_name(const char *name, size_t n)
{
	static const char *const plain[] = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};
	static const char *const numbered[] = {"COM", "LPT"};
	size_t stem = 0;

	while (stem < n && name[stem] != '.')
		stem++;
	while (stem && name[stem - 1] == ' ')
		stem--;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(plain); i++)
		if (ibb_ncasecmp(name, stem, plain[i], strlen(plain[i])) == 0)
			return true;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(numbered); i++)
		if (stem > 3 && ibb_ncasecmp(name, 3, numbered[i], 3) == 0 &&
		    is_device_digit(name + 3, stem - 3))
			return true;
	return false;
}

static size_t utf16_units(const char *s, size_t n)
{
	size_t units = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		units += (c & 0xc0) != 0x80;
		units += c >= 0xf0;
	}
	return units;
}

const char *ibb_name_problem(const char *name, size_t n)
{
	if (!n)
		return "the name is empty";
	if ((n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.'))
		return "'.' and '..' are not names";
	if (!ibb_utf8_valid(name, n))
		return "the name is not UTF-8";
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)name[i] < 0x20)
			return "the name holds a control character";
		if (strchr("<>:\"/\\|?*", name[i]))
			return "the name holds one of < > : \" / \\ | ? *";
	}
	if (name[n - 1] == '.' || name[n - 1] == ' ')
		return "the name ends in a dot or a space";
	if (utf16_units(name, n) > 255)
		return "the name is longer than 255 characters";
	if (is_device_name(name, n))
		return "the name is a DOS device name";
	return NULL;
}

int ibb_path_normalize(const char *in, char **ret, struct ibb_error *err)
{
	size_t len = strlen(in), out = 0;
	IBB_AUTO_FREE char *p = NULL;

	if (len > IBB_LIMIT_PATH_CHARS)
		return ibb_err(err, IBB_E_INVALID, "path of %zu characters is too long", len);
	p = ibb_alloc(len + 1);
	if (!p)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < len;) {
		size_t n = strcspn(in + i, "/\\");

		if (n) {
			const char *why = ibb_name_problem(in + i, n);

			if (why)
				return ibb_err(err, IBB_E_INVALID, "path '%.300s': '%.*s': %s", in,
					       n < 300 ? (int)n : 300, in + i, why);
			if (out)
				p[out++] = '/';
			memcpy(p + out, in + i, n);
			out += n;
		}
		i += n;
		while (in[i] == '/' || in[i] == '\\')
			i++;
	}
	if (!out)
		return ibb_err(err, IBB_E_INVALID, "path '%s' is empty", in);
	p[out] = '\0';
	*ret = IBB_TAKE(p);
	return IBB_OK;
}

const char *ibb_path_base(const char *path)
{
	const char *s = strrchr(path, '/');

	return s ? s + 1 : path;
}

size_t ibb_path_dir_len(const char *path)
{
	const char *s = strrchr(path, '/');

	return s ? (size_t)(s - path) : 0;
}
