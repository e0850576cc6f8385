/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unpack/cfb.h"

#include <stdlib.h>

#include "base/le.h"
#include "base/limits.h"

/* [MS-CFB] 2.1, 2.2, 2.6.1 */
#define MAXREGSECT   0xfffffffau
#define FREESECT     0xffffffffu
#define NOSTREAM     0xffffffffu
#define HEADER_BYTES 512u
#define DIFAT_HEADER 109u
#define ENTRY_BYTES  128u
#define MINI_SHIFT   6u
#define MINI_CUTOFF  4096u

static const uint8_t magic[8] = {0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1};

enum object { STORAGE = 1, STREAM = 2, ROOT = 5 };

static int corrupt(const struct cfb *c, struct ibb_error *err, const char *what)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s: damaged compound file: %s", c->s.name, what);
}

static uint64_t sector_at(const struct cfb *c, uint32_t sector)
{
	return ((uint64_t)sector + 1) << c->shift;
}

static size_t sector_bytes(const struct cfb *c)
{
	return (size_t)1 << c->shift;
}

/* ---- chains ---- */

/* A sector for one purpose, and for no second one. */
static int claim(struct cfb *c, uint32_t sector, const char *what, struct ibb_error *err)
{
	if (sector >= c->n_sectors)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: damaged compound file: %s: sector %u lies behind the end",
			       c->s.name, what, sector);
	if (c->used[sector / 8] & 1u << sector % 8)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: damaged compound file: %s: sector %u is used twice", c->s.name,
			       what, sector);
	c->used[sector / 8] |= (uint8_t)(1u << sector % 8);
	return IBB_OK;
}

/* The one behind `sector`; the end of the chain is >= MAXREGSECT. */
static uint32_t next_sector(const struct cfb *c, uint32_t sector)
{
	return sector < c->n_fat ? c->fat[sector] : NOSTREAM;
}

/* Claims the chain that `n_bytes` need; longer ones are nobody's concern. */
static int claim_chain(struct cfb *c, uint32_t start, uint64_t n_bytes, const char *what,
		       struct ibb_error *err)
{
	for (uint64_t done = 0; done < n_bytes; done += sector_bytes(c)) {
		int rc = claim(c, start, what, err);

		if (rc)
			return rc;
		start = next_sector(c, start);
	}
	return IBB_OK;
}

/* The sectors of a chain up to its end, as an array. */
static int list_chain(struct cfb *c, uint32_t start, size_t limit, const char *what, uint32_t **ret,
		      size_t *ret_n, struct ibb_error *err)
{
	IBB_AUTO_FREE uint32_t *list = NULL;
	size_t n = 0, cap = 0;
	int rc;

	for (; start < MAXREGSECT; start = next_sector(c, start)) {
		if (n == limit)
			return ibb_err(err, IBB_E_LIMIT, "%s: %s: more than %zu sectors", c->s.name,
				       what, limit);
		rc = claim(c, start, what, err);
		if (rc)
			return rc;
		if (ibb_grow(&list, &cap, n, sizeof(*list)))
			return ibb_err_nomem(err);
		list[n++] = start;
	}
	*ret = IBB_TAKE(list);
	*ret_n = n;
	return IBB_OK;
}

/* ---- header, FAT ---- */

static int read_header(struct cfb *c, uint8_t h[HEADER_BYTES], struct ibb_error *err)
{
	int rc = unpack_read(&c->s, 0, h, HEADER_BYTES, err);
	unsigned version, shift;
	uint64_t bytes;

	if (rc)
		return rc;
	if (memcmp(h, magic, sizeof(magic)) != 0)
		return ibb_err(err, IBB_E_CORRUPT, "%s: not a compound file", c->s.name);
	version = ibb_get_le16(h + 26);
	shift = ibb_get_le16(h + 30);
	if (version != 3 && version != 4)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: a compound file of version %u",
			       c->s.name, version);
	if (ibb_get_le16(h + 28) != 0xfffe || shift != (version == 3 ? 9u : 12u) ||
	    ibb_get_le16(h + 32) != MINI_SHIFT || ibb_get_le32(h + 56) != MINI_CUTOFF)
		return corrupt(c, err, "its header contradicts itself");
	if (c->s.size_bytes > IBB_LIMIT_CFB_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "%s: its %llu bytes are too many", c->s.name,
			       (unsigned long long)c->s.size_bytes);
	c->shift = shift;
	bytes = c->s.size_bytes >> shift ? c->s.size_bytes - sector_bytes(c) : 0;
	/* the last one may be cut short: who needs its end will meet the end of the file */
	c->n_sectors = (bytes + sector_bytes(c) - 1) >> shift;
	c->used = ibb_zalloc((size_t)c->n_sectors / 8 + 1);
	return c->used ? IBB_OK : ibb_err_nomem(err);
}

static int read_fat_sector(struct cfb *c, uint32_t sector, size_t i, struct ibb_error *err)
{
	size_t per = sector_bytes(c) / 4;
	uint32_t *to = c->fat + i * per;
	int rc = claim(c, sector, "the allocation table", err);

	if (!rc)
		rc = unpack_read(&c->s, sector_at(c, sector), to, sector_bytes(c), err);
	if (rc)
		return rc;
	for (size_t k = 0; k < per; k++)
		to[k] = le32toh(to[k]);
	return IBB_OK;
}

/* The sectors of the FAT that the header has no room for ([MS-CFB] 2.5). */
static int read_difat(struct cfb *c, uint32_t sector, size_t i, size_t n, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *difat = ibb_alloc(sector_bytes(c));
	size_t per = sector_bytes(c) / 4 - 1;

	if (!difat)
		return ibb_err_nomem(err);
	while (i < n) {
		int rc = claim(c, sector, "the table of the allocation table", err);

		if (!rc)
			rc = unpack_read(&c->s, sector_at(c, sector), difat, sector_bytes(c), err);
		for (size_t k = 0; !rc && k < per && i < n; k++, i++)
			rc = read_fat_sector(c, ibb_get_le32(difat + 4 * k), i, err);
		if (rc)
			return rc;
		sector = ibb_get_le32(difat + 4 * per);
	}
	return IBB_OK;
}

static int read_fat(struct cfb *c, const uint8_t *h, struct ibb_error *err)
{
	size_t per = sector_bytes(c) / 4, n = (size_t)(c->n_sectors + per - 1) / per;
	int rc = IBB_OK;

	/* entries for sectors that the file does not have say nothing */
	if (ibb_get_le32(h + 44) < n)
		n = ibb_get_le32(h + 44);
	c->fat = ibb_calloc_array(n, sector_bytes(c));
	if (!c->fat)
		return ibb_err_nomem(err);
	c->n_fat = n * per;
	for (size_t i = 0; !rc && i < n && i < DIFAT_HEADER; i++)
		rc = read_fat_sector(c, ibb_get_le32(h + 76 + 4 * i), i, err);
	if (!rc && n > DIFAT_HEADER)
		rc = read_difat(c, ibb_get_le32(h + 68), DIFAT_HEADER, n, err);
	return rc;
}

/* ---- mini FAT ([MS-CFB] 2.4) ---- */

static int read_minifat(struct cfb *c, const uint8_t *h, struct ibb_error *err)
{
	IBB_AUTO_FREE uint32_t *list = NULL;
	size_t n = 0, per = sector_bytes(c) / 4;
	int rc = list_chain(c, ibb_get_le32(h + 60), IBB_LIMIT_CFB_MINIFAT, "the mini FAT", &list,
			    &n, err);

	if (rc)
		return rc;
	c->minifat = ibb_calloc_array(n, sector_bytes(c));
	c->mini_used = ibb_zalloc(n * per / 8 + 1);
	if (!c->minifat || !c->mini_used)
		return ibb_err_nomem(err);
	c->n_minifat = n * per;
	for (size_t i = 0; i < n; i++) {
		rc = unpack_read(&c->s, sector_at(c, list[i]), c->minifat + i * per,
				 sector_bytes(c), err);
		if (rc)
			return rc;
	}
	for (size_t i = 0; i < c->n_minifat; i++)
		c->minifat[i] = le32toh(c->minifat[i]);
	return IBB_OK;
}

static int open_mini(struct cfb *c, uint32_t start, uint64_t size, struct ibb_error *err)
{
	uint64_t most = (uint64_t)c->n_minifat << MINI_SHIFT;
	int rc;

	if (!size || !c->n_minifat)
		return IBB_OK;
	c->mini_size = ibb_min_u64(size, most);
	rc = list_chain(c, start, (size_t)c->n_sectors + 1, "the mini stream", &c->mini, &c->n_mini,
			err);
	if (!rc && (uint64_t)c->n_mini << c->shift < c->mini_size)
		rc = corrupt(c, err, "its mini stream is cut short");
	return rc;
}

static int claim_mini(struct cfb *c, uint32_t m, uint64_t n_bytes, struct ibb_error *err)
{
	for (uint64_t done = 0; done < n_bytes; done += 1u << MINI_SHIFT) {
		if (m >= c->n_minifat || ((uint64_t)m + 1) << MINI_SHIFT > c->mini_size)
			return corrupt(c, err, "a short stream leaves the mini stream");
		if (c->mini_used[m / 8] & 1u << m % 8)
			return corrupt(c, err, "a mini sector is used twice");
		c->mini_used[m / 8] |= (uint8_t)(1u << m % 8);
		m = c->minifat[m];
	}
	return IBB_OK;
}

/* ---- directory ([MS-CFB] 2.6) ---- */

struct directory {
	uint8_t *entries;
	size_t n;
	uint32_t *todo; /* entries that the walk has met: each gets here once */
	size_t n_todo;
	uint8_t *met;
};

static void directory_clear(struct directory *d)
{
	free(d->entries);
	free(d->todo);
	free(d->met);
}

static int read_directory(struct cfb *c, uint32_t start, struct directory *d, struct ibb_error *err)
{
	IBB_AUTO_FREE uint32_t *list = NULL;
	size_t n = 0, per = sector_bytes(c) / ENTRY_BYTES;
	int rc = list_chain(c, start, IBB_LIMIT_CFB_ENTRIES / per, "the directory", &list, &n, err);

	if (rc)
		return rc;
	if (!n)
		return corrupt(c, err, "it has no directory");
	d->n = n * per;
	d->entries = ibb_calloc_array(n, sector_bytes(c));
	d->todo = ibb_calloc_array(d->n, sizeof(*d->todo));
	d->met = ibb_zalloc(d->n);
	if (!d->entries || !d->todo || !d->met)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		rc = unpack_read(&c->s, sector_at(c, list[i]), d->entries + i * sector_bytes(c),
				 sector_bytes(c), err);
		if (rc)
			return rc;
	}
	return IBB_OK;
}

/* An entry that the tree names. The tree has each of them once, or it is none. */
static int meet(const struct cfb *c, struct directory *d, uint32_t id, struct ibb_error *err)
{
	if (id == NOSTREAM)
		return IBB_OK;
	if (id >= d->n || d->met[id])
		return corrupt(c, err,
			       id >= d->n ? "a directory entry that there is not"
					  : "its directory runs in a circle");
	d->met[id] = 1;
	d->todo[d->n_todo++] = id;
	return IBB_OK;
}

static uint64_t entry_size(const struct cfb *c, const uint8_t *e)
{
	/* [MS-CFB] 2.6.3: with sectors of 512 bytes the upper half may be anything */
	return c->shift == 9 ? ibb_get_le32(e + 120) : ibb_get_le64(e + 120);
}

static int add_stream(struct cfb *c, const uint8_t *e, struct ibb_error *err)
{
	struct cfb_stream s = {.start = ibb_get_le32(e + 116), .size_bytes = entry_size(c, e)};
	unsigned bytes = ibb_get_le16(e + 64);
	int rc;

	if (bytes < 4 || bytes > 64 || bytes % 2 || ibb_get_le16(e + bytes - 2))
		return corrupt(c, err, "the name of a stream is none");
	s.n_name = bytes / 2 - 1;
	for (unsigned i = 0; i < s.n_name; i++)
		s.name[i] = ibb_get_le16(e + (size_t)2 * i);
	if (s.size_bytes > c->n_sectors << c->shift)
		return corrupt(c, err, "a stream is longer than the file");
	rc = s.size_bytes < MINI_CUTOFF ? claim_mini(c, s.start, s.size_bytes, err)
					: claim_chain(c, s.start, s.size_bytes, "a stream", err);
	if (rc)
		return rc;
	if (ibb_grow(&c->streams, &c->cap_streams, c->n_streams, sizeof(s)))
		return ibb_err_nomem(err);
	c->streams[c->n_streams++] = s;
	return IBB_OK;
}

/* The tree below the root. What lies in storages of it is no part of an installer's tables. */
static int walk(struct cfb *c, struct directory *d, struct ibb_error *err)
{
	int rc;

	d->met[0] = 1;
	rc = meet(c, d, ibb_get_le32(d->entries + 76), err);
	while (!rc && d->n_todo) {
		const uint8_t *e = d->entries + (size_t)d->todo[--d->n_todo] * ENTRY_BYTES;

		if (e[66] != STORAGE && e[66] != STREAM)
			return corrupt(c, err, "a directory entry is neither stream nor storage");
		if (e[66] == STREAM)
			rc = add_stream(c, e, err);
		if (!rc)
			rc = meet(c, d, ibb_get_le32(e + 68), err);
		if (!rc)
			rc = meet(c, d, ibb_get_le32(e + 72), err);
	}
	return rc;
}

static int read_tree(struct cfb *c, const uint8_t *h, struct ibb_error *err)
{
	struct directory d = {0};
	int rc = read_directory(c, ibb_get_le32(h + 48), &d, err);

	if (!rc && d.entries[66] != ROOT)
		rc = corrupt(c, err, "its first directory entry is not the root");
	if (!rc) {
		memcpy(c->clsid, d.entries + 80, sizeof(c->clsid));
		rc = open_mini(c, ibb_get_le32(d.entries + 116), entry_size(c, d.entries), err);
	}
	if (!rc)
		rc = walk(c, &d, err);
	directory_clear(&d);
	return rc;
}

int cfb_open(const struct unpack_source *s, struct cfb *ret, struct ibb_error *err)
{
	struct cfb c = {.s = *s};
	uint8_t h[HEADER_BYTES];
	int rc = read_header(&c, h, err);

	if (!rc)
		rc = read_fat(&c, h, err);
	if (!rc)
		rc = read_minifat(&c, h, err);
	if (!rc)
		rc = read_tree(&c, h, err);
	if (rc) {
		cfb_clear(&c);
		return rc;
	}
	*ret = c;
	return IBB_OK;
}

void cfb_clear(struct cfb *c)
{
	free(c->fat);
	free(c->minifat);
	free(c->mini);
	free(c->streams);
	free(c->used);
	free(c->mini_used);
	*c = (struct cfb){0};
}

bool cfb_is_one(const struct unpack_source *s)
{
	uint8_t h[sizeof(magic)];

	return s->size_bytes >= HEADER_BYTES && !unpack_read(s, 0, h, sizeof(h), NULL) &&
	       memcmp(h, magic, sizeof(magic)) == 0;
}

bool cfb_peek_clsid(const struct unpack_source *s, uint8_t clsid[16])
{
	struct cfb c = {.s = *s};
	uint8_t h[HEADER_BYTES], e[ENTRY_BYTES];
	bool is = cfb_is_one(s) && !read_header(&c, h, NULL) &&
		  !unpack_read(s, sector_at(&c, ibb_get_le32(h + 48)), e, sizeof(e), NULL) &&
		  e[66] == ROOT;

	if (is)
		memcpy(clsid, e + 80, 16);
	cfb_clear(&c);
	return is;
}

bool cfb_is_plausible(const struct unpack_source *s)
{
	struct cfb c = {.s = *s};
	uint8_t h[HEADER_BYTES];
	bool is = cfb_is_one(s);

	c.s.size_bytes = ibb_min_u64(s->size_bytes, HEADER_BYTES); /* whatever its size */
	is = is && !read_header(&c, h, NULL);
	cfb_clear(&c);
	return is;
}

int cfb_extent(const struct unpack_source *s, uint64_t *ret, struct ibb_error *err)
{
	struct cfb c;
	size_t last = 0;
	int rc = cfb_open(s, &c, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < c.n_sectors; i++)
		if ((i < c.n_fat && c.fat[i] != FREESECT) || c.used[i / 8] & 1u << i % 8)
			last = i;
	*ret = ibb_min_u64(sector_at(&c, (uint32_t)last) + sector_bytes(&c), s->size_bytes);
	cfb_clear(&c);
	return IBB_OK;
}

/* ---- reading ---- */

struct cfb_cursor cfb_begin(const struct cfb *c, const struct cfb_stream *s)
{
	return (struct cfb_cursor){.c = c, .stream = s, .sector = s->start};
}

/* Where the cursor stands in the file, and how far it is to the end of the (mini) sector. */
static uint64_t where(const struct cfb_cursor *cur, size_t *room)
{
	const struct cfb *c = cur->c;
	uint64_t in;

	if (cur->stream->size_bytes >= MINI_CUTOFF) {
		in = cur->pos & (sector_bytes(c) - 1);
		*room = sector_bytes(c) - (size_t)in;
		return sector_at(c, cur->sector) + in;
	}
	in = cur->pos & ((1u << MINI_SHIFT) - 1);
	*room = (1u << MINI_SHIFT) - (size_t)in;
	in += (uint64_t)cur->sector << MINI_SHIFT;
	return sector_at(c, c->mini[in >> c->shift]) + (in & (sector_bytes(c) - 1));
}

static void advance(struct cfb_cursor *cur, size_t n)
{
	size_t room;

	(void)where(cur, &room);
	cur->pos += n;
	if (n < room || cur->pos >= cur->stream->size_bytes)
		return;
	if (cur->stream->size_bytes >= MINI_CUTOFF)
		cur->sector = next_sector(cur->c, cur->sector);
	else
		cur->sector = cur->c->minifat[cur->sector];
}

int cfb_read(struct cfb_cursor *cur, void *buf, size_t n, struct ibb_error *err)
{
	uint8_t *to = buf;

	if (!ibb_in_range(cur->pos, n, cur->stream->size_bytes))
		return corrupt(cur->c, err, "a stream ends too soon");
	while (n) {
		size_t room, run = 0;
		uint64_t at = where(cur, &room);
		int rc;

		/* neighbours in the file are read at once */
		do {
			size_t k = room < n - run ? room : n - run;

			advance(cur, k);
			run += k;
		} while (run < n && where(cur, &room) == at + run);
		rc = unpack_read(&cur->c->s, at, to, run, err);
		if (rc)
			return rc;
		to += run;
		n -= run;
	}
	return IBB_OK;
}

int cfb_load(const struct cfb *c, const struct cfb_stream *s, const char *what, uint64_t limit,
	     struct ibb_buf *ret, struct ibb_error *err)
{
	struct cfb_cursor cur = cfb_begin(c, s);
	struct ibb_buf b = {0};
	int rc;

	if (s->size_bytes > limit)
		return ibb_err(err, IBB_E_LIMIT, "%s: %s: its %llu bytes are too many", c->s.name,
			       what, (unsigned long long)s->size_bytes);
	if (ibb_buf_reserve(&b, (size_t)s->size_bytes + 1))
		return ibb_err_nomem(err);
	rc = cfb_read(&cur, b.data, (size_t)s->size_bytes, err);
	if (rc) {
		ibb_buf_clear(&b);
		return rc;
	}
	b.len = (size_t)s->size_bytes;
	*ret = b;
	return IBB_OK;
}
