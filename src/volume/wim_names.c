/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of an image, looked at in the metadata resource itself. wimlib leaves "..", nameless
 * entries and duplicates out when it reads an image, says so on stderr only, and writes the image
 * without them: such an image is refused here.
 *
 * Source: "Windows Imaging File Format (WIM)", Microsoft, 2007: SECURITYBLOCK_DISK, DIRENTRY,
 * STREAMENTRY.
 */
#include "volume/wim_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"

#define ENTRY_BYTES	  102u /* up to the name */
#define STREAM_BYTES	  38u
#define ENTRY_ATTRIBUTES  8u
#define ENTRY_CHILDREN	  16u
#define ENTRY_STREAMS	  96u
#define ENTRY_SHORT_BYTES 98u
#define ENTRY_NAME_BYTES  100u

struct names {
	const struct ibb_wim *w;
	unsigned index;
	const uint8_t *p;
	uint64_t n;
	uint64_t *dirs; /* where lists of children start that were not looked at yet */
	size_t n_dirs, cap_dirs;
	const uint8_t **list; /* of one directory: entries */
	size_t n_list, cap_list;
	uint64_t left; /* entries there can be in n bytes: more are met twice */
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
static int push(struct names *m, uint64_t at)
{
	uint64_t children = ibb_get_le64(m->p + at + ENTRY_CHILDREN);

	if (!children ||
	    !(ibb_get_le32(m->p + at + ENTRY_ATTRIBUTES) & WIMLIB_FILE_ATTRIBUTE_DIRECTORY))
		return IBB_OK;
	if (ibb_grow(&m->dirs, &m->cap_dirs, m->n_dirs, sizeof(*m->dirs)))
		return ibb_err_nomem(m->err);
	m->dirs[m->n_dirs++] = children;
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

static int check_list(struct names *m, uint64_t at)
{
	uint64_t len = 0;
	int rc = IBB_OK;

	m->n_list = 0;
	for (;;) {
		rc = entry_at(m, at, &len);
		if (rc || !len)
			break;
		rc = check_name(m, at);
		if (!rc)
			rc = push(m, at);
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

/* The root stands behind the security descriptors. */
static int check_tree(struct names *m)
{
	uint64_t root, len = 0;
	int rc;

	if (m->n < 8)
		return bad(m, 0, "no list of files");
	root = ibb_get_le32(m->p);
	if (!align8(root < 8 ? 8 : root, &root))
		return bad(m, 0, "no list of files");
	rc = entry_at(m, root, &len);
	/* an image without anything has no root, either */
	if (rc || !len)
		return rc;
	rc = push(m, root);
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

int ibb_wim_check_names(struct ibb_wim *w, unsigned index, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	struct names m = {.w = w, .index = index, .err = err};
	struct search s = {.left = index};
	int rc, code = wimlib_iterate_lookup_table(w->lib, 0, on_metadata, &s);

	if (code)
		return ibb_wim_fail(w, code, err, "table of contents");
	if (!s.found)
		return ibb_err(err, IBB_E_CORRUPT, "%s: image %u has no metadata", w->name, index);
	rc = ibb_wim_blob_read(w, "metadata of the image", &s.e, IBB_LIMIT_WIM_METADATA, &b, err);
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
