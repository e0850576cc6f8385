/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inf/inf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"
#include "inf/internal.h"

int ibb_inf_err(const struct ibb_inf *inf, unsigned line, int code, struct ibb_error *err,
		const char *fmt, ...)
{
	char what[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (line)
		return ibb_err(err, code, "%s:%u: %s", inf->name, line, what);
	return ibb_err(err, code, "%s: %s", inf->name, what);
}

bool ibb_inf_number(const char *s, uint64_t max, uint64_t *ret)
{
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	const char *p = hex ? s + 2 : s;
	uint64_t v = 0;

	if (!*p)
		return false;
	for (; *p; p++) {
		unsigned char c = (unsigned char)*p;
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (hex && (c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (c | 0x20) - 'a' + 10u;
		else
			return false;
		if (!ibb_mul_u64(v, hex ? 16 : 10, &v) || !ibb_add_u64(v, digit, &v) || v > max)
			return false;
	}
	*ret = v;
	return true;
}

void ibb_inf_free(struct ibb_inf *inf)
{
	if (!inf)
		return;
	ibb_inf_map_clear(&inf->section_map);
	ibb_inf_map_clear(&inf->strings);
	ibb_inf_map_clear(&inf->install_map);
	ibb_inf_map_clear(&inf->dest_dirs);
	ibb_arena_clear(&inf->arena);
	ibb_buf_clear(&inf->text);
	free(inf->installs);
	free(inf->stamps);
	free(inf->addreg);
	free(inf->sections);
	free(inf->fields);
	free(inf->lines);
	free(inf->name);
	free(inf);
}

int ibb_inf_parse(const char *name, struct ibb_bytes bytes, struct ibb_inf **ret,
		  struct ibb_error *err)
{
	IBB_AUTO(ibb_inf_free) struct ibb_inf *inf = ibb_zalloc(sizeof(*inf));
	int r;

	if (!inf)
		return ibb_err_nomem(err);
	inf->name = ibb_strdup(name);
	if (!inf->name)
		return ibb_err_nomem(err);
	r = ibb_inf_decode(inf, bytes, err);
	if (!r)
		r = ibb_inf_lex(inf, err);
	if (!r)
		r = ibb_inf_expand(inf, err);
	if (r)
		return r;
	*ret = IBB_TAKE(inf);
	return IBB_OK;
}

const char *ibb_inf_name(const struct ibb_inf *inf)
{
	return inf->name;
}

enum ibb_inf_encoding ibb_inf_encoding(const struct ibb_inf *inf)
{
	return inf->encoding;
}

size_t ibb_inf_n_sections(const struct ibb_inf *inf)
{
	return inf->n_sections;
}

const struct ibb_inf_section *ibb_inf_section_at(const struct ibb_inf *inf, size_t i)
{
	return i < inf->n_sections ? &inf->sections[i] : NULL;
}

const struct ibb_inf_section *ibb_inf_section(const struct ibb_inf *inf, const char *name)
{
	size_t i;

	if (!ibb_inf_map_get(&inf->section_map, name, strlen(name), &i))
		return NULL;
	return &inf->sections[i];
}

const struct ibb_inf_line *ibb_inf_find(const struct ibb_inf *inf, const char *section,
					const char *key)
{
	const struct ibb_inf_section *s = ibb_inf_section(inf, section);

	for (size_t i = 0; s && i < s->n; i++)
		if (s->lines[i].key && ibb_caseeq(s->lines[i].key, key))
			return &s->lines[i];
	return NULL;
}

const char *ibb_inf_value(const struct ibb_inf *inf, const char *section, const char *key, size_t i)
{
	const struct ibb_inf_line *l = ibb_inf_find(inf, section, key);

	return l && i < l->n ? l->fields[i] : NULL;
}
