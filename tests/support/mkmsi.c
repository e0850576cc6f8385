/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tables of an MSI that say where files go, in the form that unpack/msi_internal.h describes.
 */
#include "mkmsi.h"

#include <stdlib.h>

#include "base/le.h"

#define TEXT 0x0d00u /* a string column; 0x0900 would be a stream */
#define INT2 0x0502u
#define INT4 0x0104u

static void need(bool ok)
{
	if (!ok)
		abort();
}

struct making {
	bool long_refs;
	char **strings;
	size_t n, cap;
	struct ibb_buf columns[4]; /* of _Columns */
	struct ibb_buf tables;
};

static uint32_t ref(struct making *m, const char *s)
{
	if (!s || !*s)
		return 0;
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->strings[i], s) == 0)
			return (uint32_t)i + 1;
	need(!ibb_grow(&m->strings, &m->cap, m->n, sizeof(*m->strings)));
	m->strings[m->n] = strdup(s);
	need(m->strings[m->n]);
	return (uint32_t)++m->n;
}

static void put_str(struct making *m, struct ibb_buf *b, const char *s)
{
	uint8_t v[4];

	ibb_put_le32(v, ref(m, s));
	need(!ibb_buf_append(b, v, m->long_refs ? 3 : 2));
}

static void put_2(struct ibb_buf *b, int v)
{
	uint8_t x[2];

	ibb_put_le16(x, (uint16_t)(v + 0x8000));
	need(!ibb_buf_append(b, x, 2));
}

static void put_4(struct ibb_buf *b, int32_t v)
{
	uint8_t x[4];

	ibb_put_le32(x, (uint32_t)v ^ 0x80000000u);
	need(!ibb_buf_append(b, x, 4));
}

static void define(struct making *m, const char *table, const char *const *names,
		   const unsigned *types, size_t n)
{
	put_str(m, &m->tables, table);
	for (size_t i = 0; i < n; i++) {
		put_str(m, &m->columns[0], table);
		put_2(&m->columns[1], (int)i + 1);
		put_str(m, &m->columns[2], names[i]);
		put_2(&m->columns[3], (int)(types[i] + (i ? 0 : 0x2000)));
	}
}

static struct ibb_buf join(struct ibb_buf *c, size_t n)
{
	struct ibb_buf b = {0};

	for (size_t i = 0; i < n; i++) {
		need(!ibb_buf_append(&b, c[i].len ? c[i].data : (const uint8_t *)"", c[i].len));
		ibb_buf_clear(&c[i]);
	}
	return b;
}

static struct ibb_buf files(struct making *m, const struct mkmsi *w)
{
	static const char *const names[] = {"File",	"Component_", "FileName",
					    "FileSize", "Attributes", "Sequence"};
	static const unsigned types[] = {TEXT | 72, TEXT | 72, TEXT | 255, INT4, INT2, INT4};
	struct ibb_buf c[6] = {{0}};

	if (!w->no_file_table)
		define(m, "File", names, types, 6);
	for (size_t i = 0; i < w->n_files; i++) {
		put_str(m, &c[0], w->files[i].key);
		put_str(m, &c[1], w->files[i].component);
		put_str(m, &c[2], w->files[i].name);
		put_4(&c[3], w->files[i].size);
		put_2(&c[4], w->files[i].attributes);
		put_4(&c[5], w->files[i].sequence);
	}
	return join(c, 6);
}

static struct ibb_buf components(struct making *m, const struct mkmsi *w)
{
	static const char *const names[] = {"Component", "Directory_", "Condition"};
	static const unsigned types[] = {TEXT | 72, TEXT | 72, TEXT | 255};
	struct ibb_buf c[3] = {{0}};
	bool any = false;

	for (size_t i = 0; i < w->n_components; i++)
		any |= w->components[i].condition != NULL;
	define(m, "Component", names, types, any ? 3 : 2);
	for (size_t i = 0; i < w->n_components; i++) {
		put_str(m, &c[0], w->components[i].key);
		put_str(m, &c[1], w->components[i].directory);
		if (any)
			put_str(m, &c[2], w->components[i].condition);
	}
	return join(c, 3);
}

static struct ibb_buf features(struct making *m, const struct mkmsi *w)
{
	static const char *const names[] = {"Feature_", "Component_"};
	static const unsigned types[] = {TEXT | 38, TEXT | 72};
	struct ibb_buf c[2] = {{0}};
	bool any = false;

	for (size_t i = 0; i < w->n_components; i++)
		any |= w->components[i].feature != NULL;
	if (any)
		define(m, "FeatureComponents", names, types, 2);
	for (size_t i = 0; i < w->n_components; i++) {
		if (!w->components[i].feature)
			continue;
		put_str(m, &c[0], w->components[i].feature);
		put_str(m, &c[1], w->components[i].key);
	}
	return join(c, 2);
}

static struct ibb_buf dirs(struct making *m, const struct mkmsi *w)
{
	static const char *const names[] = {"Directory", "Directory_Parent", "DefaultDir"};
	static const unsigned types[] = {TEXT | 72, TEXT | 72, TEXT | 255};
	struct ibb_buf c[3] = {{0}};

	define(m, "Directory", names, types, 3);
	for (size_t i = 0; i < w->n_dirs; i++) {
		put_str(m, &c[0], w->dirs[i].key);
		put_str(m, &c[1], w->dirs[i].parent);
		put_str(m, &c[2], w->dirs[i].name);
	}
	return join(c, 3);
}

static struct ibb_buf media(struct making *m, const struct mkmsi *w)
{
	static const char *const names[] = {"DiskId", "LastSequence", "Cabinet"};
	static const unsigned types[] = {INT2, INT4, TEXT | 255};
	struct ibb_buf c[3] = {{0}};

	define(m, "Media", names, types, 3);
	for (size_t i = 0; i < w->n_media; i++) {
		put_2(&c[0], w->media[i].disk);
		put_4(&c[1], w->media[i].last);
		put_str(m, &c[2], w->media[i].cabinet);
	}
	return join(c, 3);
}

/* [MS-OLEPS] 2.21: one set of one property, the word count. */
static struct ibb_buf summary(int words)
{
	static const uint8_t head[48] = {0xfe, 0xff, [24] = 1, [44] = 48};
	struct ibb_buf b = {0};
	uint8_t set[24] = {24, [4] = 1, [8] = 15, [12] = 16, [16] = 3};

	ibb_put_le32(set + 20, (uint32_t)words);
	need(!ibb_buf_append(&b, head, sizeof(head)) && !ibb_buf_append(&b, set, sizeof(set)));
	return b;
}

static void pool(struct making *m, unsigned code_page, struct ibb_buf *entries,
		 struct ibb_buf *data)
{
	uint8_t e[4];

	ibb_put_le32(e, code_page | (m->long_refs ? 0x80000000u : 0));
	need(!ibb_buf_append(entries, e, 4));
	for (size_t i = 0; i < m->n; i++) {
		size_t n = strlen(m->strings[i]);

		if (n >= 0x10000) {
			ibb_put_le16(e, 0);
			ibb_put_le16(e + 2, (uint16_t)(n >> 16));
			need(!ibb_buf_append(entries, e, 4));
		}
		ibb_put_le16(e, (uint16_t)n);
		ibb_put_le16(e + 2, 1);
		need(!ibb_buf_append(entries, e, 4) && !ibb_buf_append(data, m->strings[i], n));
		free(m->strings[i]);
	}
	free(m->strings);
}

struct ibb_buf mkmsi(const struct mkmsi *w, struct mkcfb *ret_how)
{
	struct making m = {.long_refs = w->long_refs};
	struct mkcfb how = {.version = w->version ? w->version : 3, .class = 0x84};
	struct ibb_buf b[10] = {files(&m, w), components(&m, w), dirs(&m, w), media(&m, w)}, out;
	static const char *const names[] = {"!File",
					    "!Component",
					    "!Directory",
					    "!Media",
					    "!_Tables",
					    "!_Columns",
					    "!_StringPool",
					    "!_StringData",
					    "\005SummaryInformation",
					    "!FeatureComponents"};
	size_t n = 10;
	struct mkcfb_stream *s = calloc(n + w->n_streams, sizeof(*s));

	need(s);
	b[9] = features(&m, w);
	b[4] = m.tables;
	b[5] = join(m.columns, 4);
	pool(&m, w->code_page || w->neutral ? w->code_page : 1252, &b[6], &b[7]);
	b[8] = summary(w->words);
	n = 0;
	for (size_t i = 0; i < 10; i++) {
		if ((i == 8 && w->words < 0) || (i == 9 && !b[i].len))
			continue;
		s[n++] = (struct mkcfb_stream){names[i], b[i].data, b[i].len};
	}
	for (size_t i = 0; i < w->n_streams; i++)
		s[n++] = w->streams[i];
	out = mkcfb(&how, s, n);
	for (size_t i = 0; i < 10; i++)
		ibb_buf_clear(&b[i]);
	free(s);
	if (ret_how)
		*ret_how = how;
	return out;
}
