/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "catalog/model.h"

#define NAME_MAX_CHARS 64
#define NEAREST_MAX    5
#define NEAREST_MIN    3

static const char *bare(const char *name)
{
	return strncasecmp(name, "Standard_", 9) == 0 ? name + 9 : name;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein, ignoring case; both at most NAME_MAX_CHARS long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_CHARS + 1];
	size_t na = strlen(a), nb = strlen(b);

	for (size_t k = 0; k <= nb; k++)
		row[k] = (unsigned)k;
	for (size_t i = 1; i <= na; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t k = 1; k <= nb; k++) {
			unsigned above = row[k];
			bool same = tolower((unsigned char)a[i - 1]) ==
				    tolower((unsigned char)b[k - 1]);

			row[k] = min3(above + 1, row[k - 1] + 1, diagonal + !same);
			diagonal = above;
		}
	}
	return row[nb];
}

static size_t common_prefix(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && tolower((unsigned char)a[n]) == tolower((unsigned char)b[n]))
		n++;
	return n;
}

struct candidate {
	const char *name;
	unsigned far; /* a typing error away; or, past the limit, by how much of the start */
};

/* Keep the list sorted; of equals the earlier in the catalog stays first. */
static void keep(struct candidate *best, size_t *n, struct candidate new)
{
	size_t at = *n;

	while (at && best[at - 1].far > new.far)
		at--;
	if (at == NEAREST_MAX)
		return;
	if (*n < NEAREST_MAX)
		(*n)++;
	memmove(&best[at + 1], &best[at], (*n - at - 1) * sizeof(*best));
	best[at] = new;
}

int cat_nearest(const struct ibb_catalog *c, enum cat_kind kind, const char *name, char *out,
		size_t size)
{
	const char *rec = c->tables[kind].items;
	const char *want = bare(name);
	size_t want_len = strlen(want), n = 0, used = 0;
	unsigned limit = want_len < 6 ? 1 : want_len < 9 ? 2 : 3;
	struct candidate best[NEAREST_MAX];
	size_t shown = 0;

	out[0] = '\0';
	if (!want_len || want_len > NAME_MAX_CHARS)
		return 0;
	for (size_t i = 0; i < c->tables[kind].n; i++, rec += cat_record_size(kind)) {
		const char *id = *(const char *const *)(const void *)rec, *have = bare(id);
		size_t prefix = common_prefix(want, have);
		unsigned d;

		if (strlen(have) > NAME_MAX_CHARS)
			continue;
		d = distance(want, have);
		if (d <= limit)
			keep(best, &n, (struct candidate){id, d});
		else if (prefix >= 3 || prefix == want_len)
			keep(best, &n,
			     (struct candidate){id,
						1000 - (unsigned)prefix * 10 + (d < 9 ? d : 9)});
	}
	for (size_t i = 0; i < n; i++) {
		int len;

		/* names that only begin alike fill up to three */
		if (best[i].far > limit && shown >= NEAREST_MIN)
			break;
		len = snprintf(out + used, size - used, "%s%s", shown ? ", " : "", best[i].name);
		if (len < 0 || (size_t)len >= size - used) {
			out[used] = '\0';
			break;
		}
		used += (size_t)len;
		shown++;
	}
	return (int)shown;
}
