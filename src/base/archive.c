/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/limits.h"
#include "base/utf16.h"

#define PIECE 65536u

struct reading {
	struct archive *a;
	const char *name;
	uint64_t room; /* bytes of content that may still come */
	struct ibb_archive *out;
	struct ibb_error *err;
};

bool ibb_archive_is_cab(struct ibb_bytes bytes)
{
	return bytes.len >= 4 && memcmp(bytes.data, "MSCF", 4) == 0;
}

void ibb_archive_clear(struct ibb_archive *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->members[i].name);
		ibb_buf_clear(&a->members[i].bytes);
	}
	free(a->members);
	*a = (struct ibb_archive){0};
}

/* ARCHIVE_FAILED says of one member that it cannot be read; all else below ARCHIVE_OK is damage. */
static int failed(struct reading *r, int status, const char *member)
{
	const char *why = archive_error_string(r->a);

	if (archive_errno(r->a) == ENOMEM)
		return ibb_err_nomem(r->err);
	return ibb_err(r->err, status == ARCHIVE_FAILED ? IBB_E_UNSUPPORTED : IBB_E_CORRUPT,
		       "%s: %s%s%.200s", r->name, member ? member : "",
		       member ? ": " : "damaged cabinet: ", why ? why : "unknown error");
}

static int read_content(struct reading *r, struct archive_entry *e, const char *member,
			struct ibb_buf *out)
{
	la_int64_t size = archive_entry_size(e);
	la_ssize_t got;

	if (size < 0 || (uint64_t)size > r->room)
		return ibb_err(r->err, IBB_E_LIMIT, "%s: %s: its %lld bytes are too many", r->name,
			       member, (long long)size);
	/* Grown as content comes: a size in a header costs nothing, nor do 65 535 empty members.
	 * The byte more than is announced tells a member that is longer. */
	do {
		uint64_t left = (uint64_t)size - out->len + 1;
		size_t piece = left < PIECE ? (size_t)left : PIECE;

		if (ibb_buf_reserve(out, out->len + piece))
			return ibb_err_nomem(r->err);
		got = archive_read_data(r->a, out->data + out->len, piece);
		if (got < 0)
			return failed(r, (int)got, member);
		out->len += (size_t)got;
		if (out->len > (uint64_t)size)
			break;
	} while (got > 0);
	if (out->len != (uint64_t)size)
		return ibb_err(r->err, IBB_E_CORRUPT, "%s: %s: %zu bytes instead of %lld", r->name,
			       member, out->len, (long long)size);
	r->room -= out->len;
	return IBB_OK;
}

static int add_member(struct reading *r, struct archive_entry *e, const char *name)
{
	struct ibb_archive *out = r->out;
	struct ibb_archive_member m = {.name = ibb_strdup(name)};
	int rc;

	if (!m.name || ibb_grow(&out->members, &out->cap, out->n, sizeof(m))) {
		free(m.name);
		return ibb_err_nomem(r->err);
	}
	rc = read_content(r, e, m.name, &m.bytes);
	if (rc) {
		free(m.name);
		ibb_buf_clear(&m.bytes);
		return rc;
	}
	out->members[out->n++] = m;
	return IBB_OK;
}

static int read_members(struct reading *r, ibb_archive_want_fn want, void *ctx)
{
	for (unsigned n = 0;; n++) {
		struct archive_entry *e;
		int status = archive_read_next_header(r->a, &e);
		const char *name;
		int rc = IBB_OK;

		if (status == ARCHIVE_EOF)
			return IBB_OK;
		/* ARCHIVE_WARN: the name could not be converted to the locale */
		if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
			return failed(r, status, NULL);
		if (n >= IBB_LIMIT_ARCHIVE_MEMBERS)
			return ibb_err(r->err, IBB_E_LIMIT, "%s: more than %u members", r->name,
				       IBB_LIMIT_ARCHIVE_MEMBERS);
		name = archive_entry_pathname(e);
		if (name && ibb_utf8_valid(name, strlen(name)) && (!want || want(ctx, name)))
			rc = add_member(r, e, name);
		if (rc)
			return rc;
	}
}

static int open_cab(struct reading *r, struct ibb_bytes bytes)
{
	int status = archive_read_support_format_cab(r->a);

	if (status == ARCHIVE_OK)
		status = archive_read_open_memory(r->a, bytes.data, bytes.len);
	return status == ARCHIVE_OK ? IBB_OK : failed(r, ARCHIVE_FATAL, NULL);
}

int ibb_archive_read_cab(const char *name, struct ibb_bytes bytes, ibb_archive_want_fn want,
			 void *ctx, uint64_t limit, struct ibb_archive *ret, struct ibb_error *err)
{
	struct ibb_archive out = {0};
	struct reading r = {.name = name, .room = limit, .out = &out, .err = err};
	int rc;

	if (!ibb_archive_is_cab(bytes))
		return ibb_err(err, IBB_E_CORRUPT, "%s: not a cabinet", name);
	r.a = archive_read_new();
	if (!r.a)
		return ibb_err_nomem(err);
	rc = open_cab(&r, bytes);
	if (!rc)
		rc = read_members(&r, want, ctx);
	archive_read_free(r.a);
	if (rc) {
		ibb_archive_clear(&out);
		return rc;
	}
	*ret = out;
	return IBB_OK;
}
