/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A zip's central directory against its local headers; field offsets after APPNOTE.TXT 4.3. */
#include <stdlib.h>
#include <string.h>

#include "base/archive_int.h"
#include "base/io.h"
#include "base/le.h"
#include "base/limits.h"
#include "base/utf16.h"

#define EOCD_SIZE      22u
#define EOCD_SEARCH    16384u /* libarchive looks no farther for it */
#define LOCATOR64_SIZE 20u
#define EOCD64_SIZE    56u
#define CENTRAL_SIZE   46u
#define LOCAL_SIZE     30u
#define UTF8_NAMES     0x0800u

/* The upper half of code page 437, of the original IBM PC. */
static const uint16_t cp437[128] = {
	0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8,
	0x00ef, 0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2,
	0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1,
	0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd,
	0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562,
	0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534,
	0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560,
	0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b,
	0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df, 0x0393,
	0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6,
	0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248, 0x00b0,
	0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};

struct span {
	uint64_t from, to; /* of the stretch */
};
struct zip {
	const struct ibb_archive_stretch *s;
	uint64_t n, dir_at, dir_size; /* of the central directory */
	uint64_t base;		      /* what the offsets count from: a program may lie in front */
	struct ibb_buf dir;
	struct span *spans;
	struct ibb_error *err;
};
struct central {
	unsigned flags, method;
	uint64_t packed, unpacked, local;
	size_t name_len;
	const uint8_t *name;
	size_t size; /* of the whole entry */
};

static int damaged(struct zip *z, const char *what)
{
	return ibb_err(z->err, IBB_E_CORRUPT, "%s: damaged or truncated: %s", z->s->name, what);
}

static int read_at(struct zip *z, uint64_t off, void *buf, size_t n)
{
	if (!ibb_in_range(off, n, z->s->size_bytes))
		return damaged(z, "it refers to bytes outside of it");
	return ibb_pread_full(z->s->fd, buf, n, z->s->offset + off, z->s->name, z->err);
}

/* ---- where the directory is ---- */

static int read_end64(struct zip *z, uint64_t end_at)
{
	uint8_t b[EOCD64_SIZE];
	uint64_t at;
	int rc;

	if (end_at < LOCATOR64_SIZE)
		return damaged(z, "no zip64 end of the central directory");
	rc = read_at(z, end_at - LOCATOR64_SIZE, b, LOCATOR64_SIZE);
	if (rc)
		return rc;
	if (ibb_get_le32(b) != 0x07064b50)
		return damaged(z, "no zip64 end of the central directory");
	at = ibb_get_le64(b + 8);
	rc = read_at(z, at, b, sizeof(b));
	if (rc)
		return rc;
	if (ibb_get_le32(b) != 0x06064b50)
		return damaged(z, "no zip64 end of the central directory");
	z->n = ibb_get_le64(b + 32);
	z->dir_size = ibb_get_le64(b + 40);
	z->dir_at = ibb_get_le64(b + 48);
	return IBB_OK;
}

static int take_end(struct zip *z, const uint8_t *e, uint64_t end_at)
{
	bool wide;
	int rc = IBB_OK;

	z->n = ibb_get_le16(e + 10);
	z->dir_size = ibb_get_le32(e + 12);
	z->dir_at = ibb_get_le32(e + 16);
	if (ibb_get_le16(e + 4) || ibb_get_le16(e + 6))
		return ibb_err(z->err, IBB_E_UNSUPPORTED, "%s: one part of a zip of several",
			       z->s->name);
	wide = z->n == 0xffff || z->dir_size == 0xffffffff || z->dir_at == 0xffffffff;
	if (wide)
		rc = read_end64(z, end_at);
	if (rc)
		return rc;
	if (!ibb_in_range(z->dir_at, z->dir_size, end_at))
		return damaged(z, "the central directory lies outside of it");
	if (!wide)
		z->base = end_at - z->dir_size - z->dir_at;
	if (z->dir_size > IBB_LIMIT_ZIP_DIRECTORY)
		return ibb_err(z->err, IBB_E_LIMIT, "%s: a central directory of %llu bytes",
			       z->s->name, (unsigned long long)z->dir_size);
	return IBB_OK;
}

static int find_end(struct zip *z)
{
	size_t n = z->s->size_bytes < EOCD_SEARCH ? (size_t)z->s->size_bytes : EOCD_SEARCH;
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(n);
	int rc;

	if (!b)
		return ibb_err_nomem(z->err);
	rc = read_at(z, z->s->size_bytes - n, b, n);
	for (size_t i = n < EOCD_SIZE ? 0 : n - EOCD_SIZE + 1; !rc && i-- > 0;) {
		if (ibb_get_le32(b + i) != 0x06054b50)
			continue;
		if (i + EOCD_SIZE + ibb_get_le16(b + i + 20) != n)
			break;
		return take_end(z, b + i, z->s->size_bytes - n + i);
	}
	return rc ? rc : damaged(z, "no end of the central directory");
}

/* ---- entries ---- */

/* What does not fit into 32 bits stands in extra field 1, in this order. */
static int take_extra64(struct zip *z, const uint8_t *p, size_t n, struct central *c)
{
	uint64_t *const wide[] = {&c->unpacked, &c->packed, &c->local};

	while (n >= 4) {
		size_t len = ibb_get_le16(p + 2), at = 4;

		if (len > n - 4)
			return damaged(z, "an extra field is longer than its entry");
		for (size_t i = 0; ibb_get_le16(p) == 1 && i < 3; i++) {
			if (*wide[i] != 0xffffffff)
				continue;
			if (at + 8 > len + 4)
				return damaged(z, "a zip64 field is too short");
			*wide[i] = ibb_get_le64(p + at);
			at += 8;
		}
		p += len + 4;
		n -= len + 4;
	}
	return IBB_OK;
}

static int read_central(struct zip *z, size_t at, struct central *c)
{
	const uint8_t *p = z->dir.data + at;
	size_t extra, left = z->dir.len - at;

	if (left < CENTRAL_SIZE || ibb_get_le32(p) != 0x02014b50)
		return damaged(z, "an entry of the central directory");
	*c = (struct central){.flags = ibb_get_le16(p + 8),
			      .method = ibb_get_le16(p + 10),
			      .packed = ibb_get_le32(p + 20),
			      .unpacked = ibb_get_le32(p + 24),
			      .local = ibb_get_le32(p + 42),
			      .name_len = ibb_get_le16(p + 28),
			      .name = p + CENTRAL_SIZE};
	extra = ibb_get_le16(p + 30);
	c->size = CENTRAL_SIZE + c->name_len + extra + ibb_get_le16(p + 32);
	if (c->size > left)
		return damaged(z, "an entry of the central directory");
	if (memchr(c->name, 0, c->name_len))
		return ibb_err(z->err, IBB_E_UNSUPPORTED, "%s: a member's name holds a NUL",
			       z->s->name);
	if ((c->flags & UTF8_NAMES) && !ibb_utf8_valid((const char *)c->name, c->name_len))
		return ibb_err(z->err, IBB_E_UNSUPPORTED,
			       "%s: a member's name cannot be read: it is not UTF-8, as it claims",
			       z->s->name);
	if (c->flags & 0x2041) { /* encrypted, strongly encrypted, the directory encrypted */
		ibb_err(z->err, IBB_E_UNSUPPORTED, "%s: %.*s: encrypted", z->s->name,
			c->name_len < 300 ? (int)c->name_len : 300, (const char *)c->name);
		return ibb_err_hint(z->err, IBB_E_UNSUPPORTED,
				    "take it apart with a tool that knows the password");
	}
	return take_extra64(z, c->name + c->name_len, extra, c);
}

static int check_local(struct zip *z, const struct central *c, struct span *ret)
{
	IBB_AUTO_FREE uint8_t *name = NULL;
	uint8_t b[LOCAL_SIZE];
	uint64_t at, data;
	int rc;

	if (!ibb_add_u64(c->local, z->base, &at))
		return damaged(z, "a member lies outside of it");
	rc = read_at(z, at, b, sizeof(b));
	if (rc)
		return rc;
	name = ibb_alloc(c->name_len);
	if (!name)
		return ibb_err_nomem(z->err);
	if (ibb_get_le32(b) != 0x04034b50 || ibb_get_le16(b + 8) != c->method ||
	    ibb_get_le16(b + 26) != c->name_len)
		return damaged(z, "the headers of a member contradict each other");
	rc = read_at(z, at + sizeof(b), name, c->name_len);
	if (rc)
		return rc;
	if (memcmp(name, c->name, c->name_len) != 0)
		return damaged(z, "the headers of a member contradict each other");
	data = at + sizeof(b) + c->name_len + ibb_get_le16(b + 28);
	if (!ibb_in_range(data, c->packed, z->base + z->dir_at))
		return damaged(z, "a member reaches into the central directory");
	*ret = (struct span){at, data + c->packed};
	return IBB_OK;
}

static int by_begin(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

static int check_entries(struct zip *z)
{
	size_t at = 0;
	int rc = IBB_OK;

	for (uint64_t i = 0; i < z->n && !rc; i++) {
		struct central c;

		rc = read_central(z, at, &c);
		if (!rc)
			rc = check_local(z, &c, &z->spans[i]);
		if (!rc)
			at += c.size;
	}
	if (!rc && at != z->dir.len && memcmp(z->dir.data + at, "PK\5\5", 4) != 0)
		rc = damaged(z, "the central directory is longer than its entries");
	if (rc)
		return rc;
	qsort(z->spans, (size_t)z->n, sizeof(*z->spans), by_begin);
	for (uint64_t i = 1; i < z->n; i++)
		if (z->spans[i].from < z->spans[i - 1].to)
			return ibb_err(z->err, IBB_E_CORRUPT, "%s: members that overlap",
				       z->s->name);
	return IBB_OK;
}

static int check(struct zip *z, unsigned max_members)
{
	int rc = find_end(z);

	if (rc)
		return rc;
	if (z->n > max_members)
		return ibb_err(z->err, IBB_E_LIMIT, "%s: more than %u members", z->s->name,
			       max_members);
	if (!z->n)
		return IBB_OK;
	z->spans = ibb_calloc_array((size_t)z->n, sizeof(*z->spans));
	/* four more, for the signature that may follow the entries */
	if (!z->spans || ibb_buf_append_zero(&z->dir, (size_t)z->dir_size + 4))
		return ibb_err_nomem(z->err);
	z->dir.len -= 4;
	rc = read_at(z, z->base + z->dir_at, z->dir.data, z->dir.len);
	return rc ? rc : check_entries(z);
}

int ibb_archive_check_zip(const struct ibb_archive_stretch *s, unsigned max_members, uint64_t *ret,
			  struct ibb_error *err)
{
	struct zip z = {.s = s, .err = err};
	int rc = check(&z, max_members);

	ibb_buf_clear(&z.dir);
	free(z.spans);
	if (!rc)
		*ret = z.n;
	return rc;
}

int ibb_archive_cp437(const char *name, char **ret)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};

	for (; *name; name++) {
		uint8_t c = (uint8_t)*name, unit[2];

		ibb_put_le16(unit, c < 0x80 ? c : cp437[c - 0x80]);
		if (ibb_utf8_append(&b, unit, 2))
			return IBB_E_NOMEM;
	}
	*ret = ibb_buf_take_str(&b);
	return *ret ? IBB_OK : IBB_E_NOMEM;
}
