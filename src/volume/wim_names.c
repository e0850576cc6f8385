/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of an image, looked at in the metadata resource itself. wimlib leaves "..", nameless
 * entries and duplicates out when it reads an image, says so on stderr only, and writes the image
 * without them: such an image is refused here.
 *
 * Source: "Windows Imaging File Format (WIM)", Microsoft, 2007: SECURITYBLOCK_DISK, DIRENTRY,
 * STREAMENTRY; what came behind the names of an entry later, as wimlib has it (tagged items).
 */
#include "volume/wim_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/utf16.h"

#define ENTRY_BYTES	  102u /* up to the name */
#define STREAM_BYTES	  38u
#define ENTRY_ATTRIBUTES  8u
#define ENTRY_CHILDREN	  16u
#define ENTRY_STREAMS	  96u
#define ENTRY_SHORT_BYTES 98u
#define ENTRY_NAME_BYTES  100u

/* Items behind the names of an entry. */
#define TAG_OBJECT_ID 1u
#define TAG_EAS	      2u
#define TAG_UNIX_DATA 0x337dd873u /* wimlib's: owner, group, mode, device */
#define TAG_XATTRS    0x337dd874u /* wimlib's, up to 1.12 */

struct dir {
	uint64_t at;	/* where its list of children starts */
	uint64_t chars; /* of its path, with a '/' behind it */
};

struct names {
	const struct ibb_wim *w;
	unsigned index;
	const uint8_t *p;
	uint64_t n;
	struct dir *dirs; /* that were not looked at yet */
	size_t n_dirs, cap_dirs;
	const uint8_t **list; /* of one directory: entries */
	size_t n_list, cap_list;
	uint64_t left;	/* entries there can be in n bytes: more are met twice */
	uint64_t chars; /* of all paths */
	struct ibb_error *err;
};

static int bad(struct names *m, uint64_t at, const char *what)
{
	return ibb_err(m->err, IBB_E_CORRUPT,
		       "%s: image %u: %s (metadata, offset %llu); it is damaged, or made to harm",
		       m->w->name, m->index, what, (unsigned long long)at);
}

static bool align8(uint64_t v, uint64_t *ret)
{
	if (!ibb_add_u64(v, 7, &v))
		return false;
	*ret = v & ~7ull;
	return true;
}

static bool is_forbidden(uint16_t c)
{
	return c == 0 || c == '/' || c == '\\';
}

static int check_name(struct names *m, uint64_t at)
{
	const uint8_t *name = m->p + at + ENTRY_BYTES;
	unsigned n = ibb_get_le16(m->p + at + ENTRY_NAME_BYTES) / 2u, dots = 0;

	if (!n)
		return bad(m, at, "a file without a name");
	for (unsigned i = 0; i < n; i++) {
		uint16_t c = ibb_get_le16(name + i * 2u);

		if (is_forbidden(c))
			return bad(m, at, "a name with a character that no name has");
		dots += c == '.';
	}
	return dots == n && n <= 2 ? bad(m, at, "a file named '.' or '..'") : IBB_OK;
}

/* Behind the entry and its streams. */
static int skip_entry(struct names *m, uint64_t at, uint64_t *ret)
{
	unsigned streams = ibb_get_le16(m->p + at + ENTRY_STREAMS);
	uint64_t len, next;

	len = ibb_get_le64(m->p + at);
	if (!align8(len, &len) || !ibb_add_u64(at, len, &next) || next > m->n)
		return bad(m, at, "an entry that is longer than the list of files");
	for (unsigned i = 0; i < streams; i++) {
		if (!ibb_in_range(next, STREAM_BYTES, m->n))
			return bad(m, at, "streams outside of the list of files");
		len = ibb_get_le64(m->p + next);
		if (len < STREAM_BYTES || !align8(len, &len) || !ibb_in_range(next, len, m->n))
			return bad(m, at, "streams outside of the list of files");
		next += len;
	}
	*ret = next;
	return IBB_OK;
}

/* A whole entry lies at `at`, or the end of a list: *ret_len is 0 then. */
static int entry_at(struct names *m, uint64_t at, uint64_t *ret_len)
{
	uint64_t len, names;

	if (!ibb_in_range(at, 8, m->n))
		return bad(m, at, "a list of files without an end");
	len = ibb_get_le64(m->p + at);
	if (len > 8) {
		if (len < ENTRY_BYTES || !ibb_in_range(at, len, m->n))
			return bad(m, at, "an entry of impossible length");
		names = ibb_get_le16(m->p + at + ENTRY_NAME_BYTES);
		names += ibb_get_le16(m->p + at + ENTRY_SHORT_BYTES);
		if (names > len - ENTRY_BYTES)
			return bad(m, at, "a name that is longer than its entry");
		if (!m->left--)
			return bad(m, at, "a directory that lies in itself");
	}
	*ret_len = len > 8 ? len : 0;
	return IBB_OK;
}

/* The list of what a directory holds; wimlib does not look at it in other entries either. */
static int push(struct names *m, uint64_t at, uint64_t chars)
{
	uint64_t children = ibb_get_le64(m->p + at + ENTRY_CHILDREN);

	if (!children ||
	    !(ibb_get_le32(m->p + at + ENTRY_ATTRIBUTES) & WIMLIB_FILE_ATTRIBUTE_DIRECTORY))
		return IBB_OK;
	if (ibb_grow(&m->dirs, &m->cap_dirs, m->n_dirs, sizeof(*m->dirs)))
		return ibb_err_nomem(m->err);
	m->dirs[m->n_dirs++] = (struct dir){children, chars};
	return IBB_OK;
}

static int compare_entries(const void *a, const void *b)
{
	const uint8_t *x = *(const uint8_t *const *)a, *y = *(const uint8_t *const *)b;
	unsigned nx = ibb_get_le16(x + ENTRY_NAME_BYTES), ny = ibb_get_le16(y + ENTRY_NAME_BYTES);
	int c = memcmp(x + ENTRY_BYTES, y + ENTRY_BYTES, nx < ny ? nx : ny);

	return c ? c : nx < ny ? -1 : nx > ny;
}

static int check_duplicates(struct names *m)
{
	if (m->n_list > 1)
		qsort(m->list, m->n_list, sizeof(*m->list), compare_entries);
	for (size_t i = 1; i < m->n_list; i++) {
		if (compare_entries(&m->list[i - 1], &m->list[i]) == 0)
			return bad(m, (uint64_t)(m->list[i] - m->p),
				   "two files of the same name in one directory");
	}
	return IBB_OK;
}

/* Paths are kept whole, by wimlib as well: a few names, one in the other, make many bytes. */
static int check_path(struct names *m, uint64_t chars)
{
	m->chars += chars;
	if (chars <= IBB_LIMIT_WIM_PATH && m->chars <= IBB_LIMIT_WIM_PATHS)
		return IBB_OK;
	return ibb_err(m->err, IBB_E_LIMIT, "%s: image %u: %s of more than %u characters",
		       m->w->name, m->index,
		       chars > IBB_LIMIT_WIM_PATH ? "a path" : "paths that are together",
		       chars > IBB_LIMIT_WIM_PATH ? IBB_LIMIT_WIM_PATH : IBB_LIMIT_WIM_PATHS);
}

static int check_list(struct names *m, struct dir dir)
{
	uint64_t at = dir.at, len = 0, chars;
	int rc = IBB_OK;

	m->n_list = 0;
	for (;;) {
		rc = entry_at(m, at, &len);
		if (rc || !len)
			break;
		chars = dir.chars + ibb_get_le16(m->p + at + ENTRY_NAME_BYTES) / 2u;
		rc = check_name(m, at);
		if (!rc)
			rc = check_path(m, chars);
		if (!rc)
			rc = push(m, at, chars + 1);
		if (!rc && ibb_grow(&m->list, &m->cap_list, m->n_list, sizeof(*m->list)))
			rc = ibb_err_nomem(m->err);
		if (rc)
			return rc;
		m->list[m->n_list++] = m->p + at;
		rc = skip_entry(m, at, &at);
		if (rc)
			return rc;
	}
	return rc ? rc : check_duplicates(m);
}

/* The root stands behind the security descriptors; *ret_len 0: there is none. */
static int find_root(struct names *m, uint64_t *ret, uint64_t *ret_len)
{
	if (m->n < 8)
		return bad(m, 0, "no list of files");
	*ret = ibb_get_le32(m->p);
	if (!align8(*ret < 8 ? 8 : *ret, ret))
		return bad(m, 0, "no list of files");
	return entry_at(m, *ret, ret_len);
}

static int check_tree(struct names *m)
{
	uint64_t root = 0, len = 0;
	int rc = find_root(m, &root, &len);

	/* an image without anything has no root, either */
	if (rc || !len)
		return rc;
	rc = push(m, root, 0);
	while (!rc && m->n_dirs)
		rc = check_list(m, m->dirs[--m->n_dirs]);
	return rc;
}

/* ---- the metadata resource ---- */

struct search {
	unsigned left; /* metadata resources before the one; they come in the order of the images */
	bool found;
	struct wimlib_resource_entry e;
};

static int on_metadata(const struct wimlib_resource_entry *e, void *ctx)
{
	struct search *s = ctx;

	if (!e->is_metadata || s->found)
		return 0;
	if (--s->left == 0) {
		s->found = true;
		s->e = *e;
	}
	return 0;
}

/* ibb_buf_clear() the buffer in any case. */
static int read_metadata(struct ibb_wim *w, unsigned index, struct ibb_buf *ret,
			 struct ibb_error *err)
{
	struct search s = {.left = index};
	int code = wimlib_iterate_lookup_table(w->lib, 0, on_metadata, &s);

	if (code)
		return ibb_wim_fail(w, code, err, "table of contents");
	if (!s.found)
		return ibb_err(err, IBB_E_CORRUPT, "%s: image %u has no metadata", w->name, index);
	return ibb_wim_blob_read(w, "metadata of the image", &s.e, IBB_LIMIT_WIM_METADATA, ret,
				 err);
}

int ibb_wim_check_names(struct ibb_wim *w, unsigned index, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	struct names m = {.w = w, .index = index, .err = err};
	int rc = read_metadata(w, index, &b, err);

	if (rc)
		return rc;
	m.p = b.data;
	m.n = b.len;
	m.left = b.len / ENTRY_BYTES;
	rc = check_tree(&m);
	free(m.dirs);
	free(m.list);
	return rc;
}

/* ---- what else an entry has ---- */

static bool begins(const uint8_t *name, size_t n, const char *prefix)
{
	const size_t len = strlen(prefix);

	return n >= len && !ibb_ncasecmp((const char *)name, len, prefix, len);
}

/*
 * What Windows notes of content that it has looked at, "$KERNEL." and "$CI.", means nothing once
 * that is another one (Microsoft: "Kernel Extended Attributes"). Linux' security attributes go with
 * the owner and mode.
 */
static bool may_go(const uint8_t *name, size_t n)
{
	static const char *const prefixes[] = {"$KERNEL.", "$CI.", "security.", "system."};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(prefixes); i++)
		if (begins(name, n, prefixes[i]))
			return true;
	return false;
}

struct lost {
	const uint8_t *name; /* NULL: something that nobody knows */
	size_t n;
};

/* Windows' form: value length, name length, flags, name with a NUL, value. */
static bool loses_ea(const uint8_t *p, uint64_t n, struct lost *ret)
{
	while (n >= 6 && p[2]) {
		const uint64_t all = 4u + p[2] + 1u + ibb_get_le16(p);

		*ret = (struct lost){p + 4, p[2] <= n - 4 ? p[2] : (size_t)n - 4};
		if (all > n || !may_go(ret->name, ret->n))
			break;
		p += all;
		n -= all;
		*ret = (struct lost){0};
	}
	return ret->name;
}

/* wimlib's older form: name length, 0, value length, name, value, up to 4 bytes. */
static bool loses_xattr(const uint8_t *p, uint64_t n, struct lost *ret)
{
	while (n >= 8 && ibb_get_le16(p)) {
		const uint64_t name = ibb_get_le16(p);
		const uint64_t all = (8u + name + ibb_get_le32(p + 4) + 3) & ~3ull;

		*ret = (struct lost){p + 8, name <= n - 8 ? (size_t)name : (size_t)n - 8};
		if (all > n || !may_go(p + 8, ret->n))
			break;
		p += all;
		n -= all;
		*ret = (struct lost){0};
	}
	return ret->name;
}

static bool loses_item(uint32_t tag, const uint8_t *p, uint64_t n, struct lost *ret)
{
	switch (tag) {
	case TAG_OBJECT_ID:
	case TAG_UNIX_DATA:
		return false;
	case TAG_EAS:
		return loses_ea(p, n, ret);
	case TAG_XATTRS:
		return loses_xattr(p, n, ret);
	default:
		return tag || n;
	}
}

/* Tagged items: tag, bytes, data, up to 8 bytes. */
static bool loses(const uint8_t *p, uint64_t n, struct lost *ret)
{
	*ret = (struct lost){0};
	for (uint64_t all; n >= 8; p += all, n -= all) {
		const uint64_t len = ibb_get_le32(p + 4);

		if (len > n - 8 || loses_item(ibb_get_le32(p), p + 8, len, ret))
			return true;
		all = 8 + ((len + 7) & ~7ull);
		if (all > n)
			all = n;
	}
	return false;
}

static int check_extras(struct names *m, const char *path, uint64_t at, uint64_t len)
{
	const unsigned name = ibb_get_le16(m->p + at + ENTRY_NAME_BYTES);
	const unsigned dos = ibb_get_le16(m->p + at + ENTRY_SHORT_BYTES);
	uint64_t from = at + ENTRY_BYTES + (name ? name + 2u : 0) + (dos ? dos + 2u : 0);
	struct lost lost;
	IBB_AUTO_FREE char *text = NULL;

	if (!align8(from, &from) || from >= at + len || !loses(m->p + from, at + len - from, &lost))
		return IBB_OK;
	text = lost.name ? ibb_strndup((const char *)lost.name, lost.n) : NULL;
	if (lost.name && !text)
		return ibb_err_nomem(m->err);
	if (!text)
		return ibb_err(m->err, IBB_E_UNSUPPORTED,
			       "%s: has metadata of an unknown kind, so that it cannot be changed "
			       "in place in a WIM",
			       path);
	return ibb_err(m->err, IBB_E_UNSUPPORTED,
		       "%s: has the extended attribute '%s', so that it cannot be changed in place "
		       "in a WIM",
		       path, ibb_utf8_is_plain(text, strlen(text)) ? text : "?");
}

/* The entry of this name, to the bit, in a list. */
static int find_entry(struct names *m, uint64_t list, struct ibb_bytes name, uint64_t *ret,
		      uint64_t *ret_len)
{
	uint64_t at = list;
	int rc;

	while (!(rc = entry_at(m, at, ret_len)) && *ret_len) {
		if (ibb_get_le16(m->p + at + ENTRY_NAME_BYTES) == name.len &&
		    !memcmp(m->p + at + ENTRY_BYTES, name.data, name.len))
			break;
		rc = skip_entry(m, at, &at);
		if (rc)
			return rc;
	}
	*ret = at;
	return rc;
}

static int find_path(struct names *m, const char *path, uint64_t *ret, uint64_t *ret_len)
{
	IBB_AUTO_BUF struct ibb_buf name = {0};
	int rc = find_root(m, ret, ret_len);

	for (const char *p = path; !rc && *p && *ret_len;) {
		const size_t n = strcspn(p, "/");
		IBB_AUTO_FREE char *part = ibb_strndup(p, n);
		uint64_t list = ibb_get_le64(m->p + *ret + ENTRY_CHILDREN);

		name.len = 0;
		if (!part || ibb_utf16le_append(&name, part))
			return ibb_err_nomem(m->err);
		*ret_len = 0;
		if (list)
			rc = find_entry(m, list, ibb_buf_bytes(&name), ret, ret_len);
		p += n + (p[n] == '/');
	}
	return rc;
}

int ibb_wim_check_extras(struct ibb_wim *w, unsigned index, const char *path, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	struct names m = {.w = w, .index = index, .err = err};
	uint64_t at = 0, len = 0;
	int rc = read_metadata(w, index, &b, err);

	if (rc)
		return rc;
	m.p = b.data;
	m.n = b.len;
	m.left = b.len / ENTRY_BYTES;
	rc = find_path(&m, path, &at, &len);
	if (!rc && !len)
		rc = ibb_err(err, IBB_E_INTERNAL, "%s: image %u: %s: is not where it was", w->name,
			     index, path);
	return rc ? rc : check_extras(&m, path, at, len);
}
