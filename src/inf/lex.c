/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text to sections, lines and fields. The text is cut in place: every field is compacted towards
 * its beginning and ended with a NUL that overwrites its delimiter, which was read already.
 *
 * Rules: Microsoft, "General Syntax Rules for INF Files". What those leave open follows setupapi
 * as it is known to behave: a quote that is not closed ends with its line; text behind "]" is
 * ignored; backslashes and blanks in front of a continuing backslash are dropped.
 */
#include "inf/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#define SECTION_NAME_CHARS 255 /* Microsoft, "General Syntax Rules for INF Files" */

struct raw_line {
	unsigned line, section;
	size_t first, n;
	const char *key;
};

struct lexer {
	struct ibb_inf *inf;
	struct ibb_error *err;
	char *p, *end; /* *end is the '\n' that closes the text */
	unsigned line;
	struct raw_line *lines;
	size_t n, cap;
	size_t *counts; /* lines of each section */
	size_t counts_cap;
	bool in_section;
	size_t section;
};

enum delim { END_OF_LINE, COMMA, EQUALS };

/* What a character may mean outside quotes; 0: nothing but itself. */
enum { BLANK = 1, EOL, QUOTE, BACKSLASH, SEMICOLON, DELIM, PERCENT };
static const uint8_t class_of[256] = {
	[' '] = BLANK,	   ['\t'] = BLANK, ['\v'] = BLANK, ['\f'] = BLANK,
	['\r'] = EOL,	   ['\n'] = EOL,   ['"'] = QUOTE,  ['\\'] = BACKSLASH,
	[';'] = SEMICOLON, [','] = DELIM,  ['='] = DELIM,  ['%'] = PERCENT,
};

static int class(char c)
{
	return class_of[(unsigned char)c];
}

static char *skip_blanks(char *p)
{
	while (class(*p) == BLANK)
		p++;
	return p;
}

/* Not strcspn(): checkers measure its whole argument, here the rest of the file, each time. */
static char *to_eol(char *p)
{
	while (class(*p) != EOL)
		p++;
	return p;
}

/* Step over one line end. */
static char *next_line(struct lexer *lx, char *p)
{
	lx->line++;
	return *p == '\r' && p[1] == '\n' && p < lx->end ? p + 2 : p + 1;
}

/*
 * p is at a backslash. If only backslashes, blanks and a comment follow on the line, then it goes
 * on in the next one: return where. Else NULL, and *ret_run is the end of the run that was looked
 * at, so that no run is looked at twice.
 */
static char *continuation(struct lexer *lx, char *p, char **ret_run)
{
	char *q = p;

	while (*q == '\\' || class(*q) == BLANK)
		q++;
	*ret_run = q;
	if (*q == ';')
		q = to_eol(q);
	if (class(*q) != EOL)
		return NULL;
	q = next_line(lx, q);
	return q > lx->end ? q : skip_blanks(q);
}

/*
 * p is at a '%'. A semicolon inside a %token% does not begin a comment. A token that holds one is
 * taken for a token only if it has no blank and no delimiter: prose such as "50% ; 60%" is not
 * one. Returns the end of the token, or p + 1.
 */
static char *token_end(char *p)
{
	char *q = p + 1;

	while (!class(*q) || *q == ';')
		q++;
	return *q == '%' ? q + 1 : p + 1;
}

/* r is behind an opening quote. Copies to *w; returns the place behind the closing quote. */
static char *quoted(char *r, char **w)
{
	for (; class(*r) != EOL; r++) {
		if (*r == '"' && *++r != '"')
			return r;
		*(*w)++ = *r;
	}
	return r;
}

static char *copy_to(char *r, const char *end, char **w)
{
	while (r < end)
		*(*w)++ = *r++;
	return r;
}

/*
 * One field from lx->p on: blanks around it trimmed, quotes taken off. lx->p is left behind its
 * delimiter; '=' is one only where a key may stand.
 */
static enum delim lex_field(struct lexer *lx, bool key, const char **ret)
{
	char *r = skip_blanks(lx->p), *start = r, *w = r, *keep = r, *q, *run;
	enum delim delim = END_OF_LINE;

	for (;;) {
		switch (class(*r)) {
		case BLANK:
			*w++ = *r++;
			continue;
		case QUOTE:
			r = quoted(r + 1, &w);
			break;
		case PERCENT:
			r = copy_to(r, token_end(r), &w);
			break;
		case BACKSLASH:
			q = continuation(lx, r, &run);
			if (!q) {
				while (r < run) {
					bool blank = class(*r) == BLANK;

					*w++ = *r++;
					keep = blank ? keep : w;
				}
				continue;
			}
			w = keep;
			r = q;
			if (r > lx->end)
				goto out;
			continue;
		case DELIM:
			if (*r == ',' || key) {
				delim = *r++ == ',' ? COMMA : EQUALS;
				goto out;
			}
			*w++ = *r++;
			break;
		case SEMICOLON:
			r = to_eol(r);
			/* fall through */
		case EOL:
			r = next_line(lx, r);
			goto out;
		default:
			do
				*w++ = *r++;
			while (!class(*r));
			break;
		}
		keep = w;
	}
out:
	lx->p = r;
	*keep = '\0';
	*ret = start;
	return delim;
}

static int add_field(struct lexer *lx, const char *field)
{
	struct ibb_inf *inf = lx->inf;

	if (inf->n_fields >= IBB_LIMIT_INF_FIELDS)
		return ibb_inf_err(inf, lx->line, IBB_E_LIMIT, lx->err,
				   "more than %u values in the file", IBB_LIMIT_INF_FIELDS);
	if (ibb_grow(&inf->fields, &inf->fields_cap, inf->n_fields, sizeof(*inf->fields)))
		return ibb_err_nomem(lx->err);
	inf->fields[inf->n_fields++] = field;
	return IBB_OK;
}

static int lex_line(struct lexer *lx)
{
	struct raw_line l = {lx->line, (unsigned)lx->section, lx->inf->n_fields, 0, NULL};
	const char *field, *start = lx->p;
	enum delim d = lex_field(lx, true, &field);
	int r;

	if (d == EQUALS) {
		l.key = field;
		d = lex_field(lx, false, &field);
	}
	for (;;) {
		r = add_field(lx, field);
		if (r)
			return r;
		if (d == END_OF_LINE)
			break;
		d = lex_field(lx, false, &field);
	}
	if (lx->p - start > (ptrdiff_t)IBB_LIMIT_INF_LINE_CHARS)
		return ibb_inf_err(lx->inf, l.line, IBB_E_LIMIT, lx->err,
				   "line of more than %u characters", IBB_LIMIT_INF_LINE_CHARS);
	if (lx->n >= IBB_LIMIT_INF_LINES)
		return ibb_inf_err(lx->inf, l.line, IBB_E_LIMIT, lx->err, "more than %u lines",
				   IBB_LIMIT_INF_LINES);
	if (ibb_grow(&lx->lines, &lx->cap, lx->n, sizeof(*lx->lines)))
		return ibb_err_nomem(lx->err);
	l.n = lx->inf->n_fields - l.first;
	lx->lines[lx->n++] = l;
	lx->counts[lx->section]++;
	return IBB_OK;
}

static int add_section(struct lexer *lx, const char *name)
{
	struct ibb_inf *inf = lx->inf;
	size_t i = inf->n_sections;

	if (ibb_grow(&inf->sections, &inf->sections_cap, i, sizeof(*inf->sections)) ||
	    ibb_grow(&lx->counts, &lx->counts_cap, i, sizeof(*lx->counts)) ||
	    ibb_inf_map_put(&inf->section_map, name, i))
		return ibb_err_nomem(lx->err);
	inf->sections[i] = (struct ibb_inf_section){.name = name, .line = lx->line};
	lx->counts[i] = 0;
	lx->section = i;
	inf->n_sections++;
	return IBB_OK;
}

/* lx->p is at '['. A name met before takes its section up again: duplicates are merged. */
static int lex_section(struct lexer *lx)
{
	char *name = lx->p + 1, *close = name;
	int r = IBB_OK;

	while (*close != ']' && class(*close) != EOL)
		close++;
	if (*close != ']')
		return ibb_inf_err(lx->inf, lx->line, IBB_E_CORRUPT, lx->err,
				   "section name without its closing ']'");
	if (close - name > SECTION_NAME_CHARS)
		return ibb_inf_err(lx->inf, lx->line, IBB_E_CORRUPT, lx->err,
				   "section name of more than %d characters", SECTION_NAME_CHARS);
	*close = '\0';
	if (!ibb_inf_map_get(&lx->inf->section_map, name, (size_t)(close - name), &lx->section))
		r = add_section(lx, name);
	lx->in_section = true;
	lx->p = next_line(lx, to_eol(close + 1));
	return r;
}

static int lex_all(struct lexer *lx)
{
	int r = IBB_OK;

	while (!r && lx->p < lx->end) {
		lx->p = skip_blanks(lx->p);
		if (class(*lx->p) == EOL)
			lx->p = next_line(lx, lx->p);
		else if (*lx->p == ';')
			lx->p = next_line(lx, to_eol(lx->p));
		else if (*lx->p == '[')
			r = lex_section(lx);
		else if (!lx->in_section)
			r = ibb_inf_err(lx->inf, lx->line, IBB_E_CORRUPT, lx->err,
					"text before the first [section]: not an INF?");
		else
			r = lex_line(lx);
	}
	return r;
}

/* Lines in the order of their sections; within one, the order of the file stays. */
static int arrange(struct lexer *lx)
{
	struct ibb_inf *inf = lx->inf;
	size_t at = 0;

	inf->lines = ibb_calloc_array(lx->n, sizeof(*inf->lines));
	if (!inf->lines)
		return ibb_err_nomem(lx->err);
	inf->n_lines = lx->n;
	for (size_t i = 0; i < inf->n_sections; i++) {
		inf->sections[i].lines = inf->lines + at;
		at += lx->counts[i];
	}
	for (size_t i = 0; i < lx->n; i++) {
		const struct raw_line *l = &lx->lines[i];
		struct ibb_inf_section *s = &inf->sections[l->section];

		inf->lines[(size_t)(s->lines - inf->lines) + s->n++] =
			(struct ibb_inf_line){.line = l->line,
					      .raw_key = l->key,
					      .n = l->n,
					      .raw_fields = inf->fields + l->first};
	}
	return IBB_OK;
}

int ibb_inf_lex(struct ibb_inf *inf, struct ibb_error *err)
{
	struct lexer lx = {.inf = inf, .err = err, .line = 1};
	int r;

	lx.p = (char *)inf->text.data;
	lx.end = lx.p + inf->text.len - 1;
	r = lex_all(&lx);
	if (!r)
		r = arrange(&lx);
	free(lx.lines);
	free(lx.counts);
	return r;
}
