/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * %strkey% tokens. Microsoft, "INF Strings Section": Windows looks for [Strings.<LanguageID>] of
 * its own locale, then of the same language without a sublanguage, then of any sublanguage, then
 * for [Strings]. The image's locale is not asked: en-US. What the chosen language section leaves
 * out is looked up in [Strings] too. A value is not expanded again, and a token that nobody
 * defines stays as it is written, as setupapi leaves both.
 */
#include "inf/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"

#define LANG_EN_US  0x0409u
#define LANG_EN	    0x0009u
#define PRIMARY(id) ((id)&0x3ffu)

/* How near [Strings...] is to en-US: 4 exact, 3 neutral, 2 the language, 1 no language, 0 none. */
static int nearness(const char *name)
{
	const char *id = name + strlen("Strings");
	char *end;
	unsigned long v;

	if (!ibb_case_prefix(name, "Strings"))
		return 0;
	if (!*id)
		return 1;
	if (*id++ != '.' || !*id || strspn(id, "0123456789abcdefABCDEFxX") != strlen(id))
		return 0;
	v = strtoul(id, &end, 16);
	if (*end)
		return 0;
	if (v == LANG_EN_US)
		return 4;
	if (v == LANG_EN)
		return 3;
	return v <= 0xffff && PRIMARY(v) == LANG_EN ? 2 : 0;
}

static int add_strings(struct ibb_inf *inf, const struct ibb_inf_section *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->lines[i].raw_key && ibb_inf_map_put(&inf->strings, s->lines[i].raw_key,
							   (size_t)(&s->lines[i] - inf->lines)))
			return IBB_E_NOMEM;
	return IBB_OK;
}

static int load_strings(struct ibb_inf *inf)
{
	const struct ibb_inf_section *language = NULL, *plain = NULL;
	int best = 1;

	for (size_t i = 0; i < inf->n_sections; i++) {
		int near = nearness(inf->sections[i].name);

		if (near == 1)
			plain = &inf->sections[i];
		if (near > best) {
			best = near;
			language = &inf->sections[i];
		}
	}
	if (language && add_strings(inf, language))
		return IBB_E_NOMEM;
	return plain ? add_strings(inf, plain) : IBB_OK;
}

static const char *lookup(const struct ibb_inf *inf, const char *token, size_t n)
{
	size_t i;

	return ibb_inf_map_get(&inf->strings, token, n, &i) ? inf->lines[i].raw_fields[0] : NULL;
}

const char *ibb_inf_string(const struct ibb_inf *inf, const char *token)
{
	return lookup(inf, token, strlen(token));
}

struct expander {
	struct ibb_inf *inf;
	struct ibb_error *err;
	struct ibb_buf scratch;
	size_t total; /* bytes that expansion made */
};

/* Append one piece that begins with '%' to the scratch; *ret is where the next one begins. */
static int expand_token(struct expander *x, const char *s, const char **ret)
{
	const char *close = strchr(s + 1, '%'), *value;

	if (!close) {
		*ret = s + strlen(s);
		return ibb_buf_append_str(&x->scratch, s);
	}
	*ret = close + 1;
	if (close == s + 1)
		return ibb_buf_append(&x->scratch, "%", 1);
	value = lookup(x->inf, s + 1, (size_t)(close - s - 1));
	if (value)
		return ibb_buf_append_str(&x->scratch, value);
	return ibb_buf_append(&x->scratch, s, (size_t)(*ret - s));
}

static int expand_mixed(struct expander *x, const char *s, unsigned line, const char **ret)
{
	char *p;

	x->scratch.len = 0;
	while (*s) {
		size_t plain = strcspn(s, "%");

		if (plain && ibb_buf_append(&x->scratch, s, plain))
			return ibb_err_nomem(x->err);
		s += plain;
		if (*s && expand_token(x, s, &s))
			return ibb_err_nomem(x->err);
		if (x->scratch.len > IBB_LIMIT_INF_LINE_CHARS)
			return ibb_inf_err(x->inf, line, IBB_E_LIMIT, x->err,
					   "value of more than %u characters after expansion",
					   IBB_LIMIT_INF_LINE_CHARS);
	}
	x->total += x->scratch.len;
	if (x->total > IBB_LIMIT_INF_BYTES)
		return ibb_inf_err(x->inf, line, IBB_E_LIMIT, x->err,
				   "%%strings%% expand to more than %u bytes", IBB_LIMIT_INF_BYTES);
	p = ibb_arena_strndup(&x->inf->arena, (const char *)x->scratch.data, x->scratch.len);
	if (!p)
		return ibb_err_nomem(x->err);
	*ret = p;
	return IBB_OK;
}

/* *s to its expansion; the usual case, one token and nothing else, costs a look-up and no copy. */
static int expand(struct expander *x, const char **s, unsigned line)
{
	const char *first = strchr(*s, '%'), *close, *value;

	if (!first)
		return IBB_OK;
	close = first == *s ? strchr(first + 1, '%') : NULL;
	if (close && !close[1] && close > first + 1) {
		value = lookup(x->inf, first + 1, (size_t)(close - first - 1));
		*s = value ? value : *s;
		return IBB_OK;
	}
	return expand_mixed(x, *s, line, s);
}

static int expand_line(struct expander *x, struct ibb_inf_line *l)
{
	const char **fields = NULL;
	int r;

	l->key = l->raw_key;
	l->fields = l->raw_fields;
	if (l->key) {
		r = expand(x, &l->key, l->line);
		if (r)
			return r;
	}
	for (size_t i = 0; i < l->n; i++) {
		const char *s = l->raw_fields[i];

		r = expand(x, &s, l->line);
		if (r)
			return r;
		if (s == l->raw_fields[i])
			continue;
		if (!fields) {
			fields = ibb_arena_alloc(&x->inf->arena, l->n * sizeof(*fields));
			if (!fields)
				return ibb_err_nomem(x->err);
			memcpy(fields, l->raw_fields, l->n * sizeof(*fields));
			l->fields = fields;
		}
		fields[i] = s;
	}
	return IBB_OK;
}

int ibb_inf_expand(struct ibb_inf *inf, struct ibb_error *err)
{
	struct expander x = {.inf = inf, .err = err};
	int r = IBB_OK;

	if (load_strings(inf))
		return ibb_err_nomem(err);
	for (size_t i = 0; !r && i < inf->n_lines; i++)
		r = expand_line(&x, &inf->lines[i]);
	ibb_buf_clear(&x.scratch);
	return r;
}
