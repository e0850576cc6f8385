/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk over an archive in a file. libarchive converts names to the character set of the
 * thread's locale and puts '?' where that has no such character; a program that never called
 * setlocale() has ASCII. So the walk runs in C.UTF-8 (built into glibc from 2.35 on, and of every
 * Debian before that). Where even that is missing, '?' is no character of a Windows name, and
 * whoever makes a file of it refuses it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/archive_int.h"
#include "base/io.h"
#include "base/utf16.h"

#define PIECE 65536u

struct walk {
	struct archive *a;
	const struct ibb_archive_stretch *s;
	const struct ibb_archive_visitor *v;
	enum ibb_archive_format format;
	uint64_t at;   /* where libarchive reads next, from the begin of the stretch */
	uint64_t room; /* bytes of content that may still come */
	bool opened;
	int read_errno;	   /* of the host */
	uint8_t *in, *out; /* PIECE bytes each: of the file, of a member */
	struct ibb_error *err;
};

/* ---- what libarchive reads ---- */

static la_ssize_t give(struct archive *a, void *ctx, const void **ret)
{
	struct walk *w = ctx;
	uint64_t left = w->s->size_bytes - w->at;
	size_t n = left < PIECE ? (size_t)left : PIECE;
	ssize_t got;

	do
		got = n ? pread(w->s->fd, w->in, n, (off_t)(w->s->offset + w->at)) : 0;
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		w->read_errno = errno;
		archive_set_error(a, errno, "read error");
		return -1;
	}
	w->at += (uint64_t)got;
	*ret = w->in;
	return got;
}

static la_int64_t pass_over(struct archive *a, void *ctx, la_int64_t n)
{
	struct walk *w = ctx;
	uint64_t left = w->s->size_bytes - w->at, step = n > 0 ? (uint64_t)n : 0;

	(void)a;
	step = step < left ? step : left;
	w->at += step;
	return (la_int64_t)step;
}

static la_int64_t go_to(struct archive *a, void *ctx, la_int64_t off, int whence)
{
	struct walk *w = ctx;
	la_int64_t base = whence == SEEK_SET   ? 0
			  : whence == SEEK_CUR ? (la_int64_t)w->at
					       : (la_int64_t)w->s->size_bytes;
	la_int64_t to;

	if (__builtin_add_overflow(base, off, &to) || to < 0 || (uint64_t)to > w->s->size_bytes) {
		archive_set_error(a, EINVAL, "it refers to bytes outside of it");
		return ARCHIVE_FATAL;
	}
	w->at = (uint64_t)to;
	return to;
}

/* ---- what it says ---- */

static bool says(const char *why, const char *what)
{
	return strstr(why, what) != NULL;
}

static int encrypted(struct walk *w, const char *member)
{
	ibb_err(w->err, IBB_E_UNSUPPORTED, "%s: %s%sencrypted", w->s->name, member ? member : "",
		member ? ": " : "");
	return ibb_err_hint(w->err, IBB_E_UNSUPPORTED,
			    "take it apart with a tool that knows the password");
}

/*
 * libarchive's numbers do not tell damage from what it lacks: a bad CRC and an unknown method both
 * are ARCHIVE_FAILED. Its texts do.
 */
static int failed(struct walk *w, const char *member)
{
	const char *why = archive_error_string(w->a);
	int code = IBB_E_CORRUPT;

	why = why ? why : "unknown error";
	if (archive_errno(w->a) == ENOMEM)
		return ibb_err_nomem(w->err);
	if (w->read_errno)
		return ibb_err_os(w->err, w->read_errno, "%s: read", w->s->name);
	if (says(why, "ncrypted") || says(why, "assphrase") ||
	    /* which follows a wild pointer before there is a format */
	    (w->opened && archive_read_has_encrypted_entries(w->a) > 0))
		return encrypted(w, member);
	if (says(why, "nsupported") || says(why, "not supported") || says(why, "not available"))
		code = IBB_E_UNSUPPORTED;
	if (says(why, "Unrecognized archive format"))
		why = "damaged or truncated";
	return ibb_err(w->err, code, "%s: %s%s%.200s", w->s->name, member ? member : "",
		       member ? ": " : "", why);
}

/* ---- members ---- */

static int read_content(struct walk *w, const char *name, bool want)
{
	int rc = IBB_OK;

	while (!rc) {
		la_ssize_t got = archive_read_data(w->a, w->out, PIECE);

		if (got < 0)
			return failed(w, name);
		if (!got)
			break;
		if ((uint64_t)got > w->room)
			return ibb_err(w->err, IBB_E_LIMIT,
				       "%s: %s: more content than may be unpacked", w->s->name,
				       name);
		w->room -= (uint64_t)got;
		if (want)
			rc = w->v->data(w->v->ctx, w->out, (size_t)got, w->err);
	}
	return !rc && want ? w->v->end(w->v->ctx, w->err) : rc;
}

static enum ibb_archive_kind kind_of(struct archive_entry *e)
{
	if (archive_entry_hardlink(e) || archive_entry_symlink(e))
		return IBB_ARCHIVE_LINK;
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return IBB_ARCHIVE_FILE;
	case AE_IFDIR:
		return IBB_ARCHIVE_DIRECTORY;
	case AE_IFLNK:
		return IBB_ARCHIVE_LINK;
	default:
		return IBB_ARCHIVE_SPECIAL;
	}
}

static int one_member(struct walk *w, struct archive_entry *e, int status)
{
	struct ibb_archive_entry m = {.name = archive_entry_pathname(e), .kind = kind_of(e)};
	IBB_AUTO_FREE char *converted = NULL;
	bool want = false;
	int rc;

	/* libarchive leaves bytes of another character set as they are */
	if (m.name && w->format == IBB_ARCHIVE_ZIP && !ibb_utf8_valid(m.name, strlen(m.name))) {
		if (ibb_archive_cp437(m.name, &converted))
			return ibb_err_nomem(w->err);
		m.name = converted;
		m.cp437 = true;
	}
	if (!m.name || !ibb_utf8_valid(m.name, strlen(m.name)))
		return ibb_err(w->err, IBB_E_UNSUPPORTED,
			       "%s: a member's name cannot be read: it is not UTF-8", w->s->name);
	/* a warning about one that can be read is about headers that contradict each other */
	if (status == ARCHIVE_WARN)
		return failed(w, m.name);
	m.encrypted = archive_entry_is_encrypted(e);
	if (m.encrypted)
		return encrypted(w, m.name);
	m.has_size = archive_entry_size_is_set(e) && archive_entry_size(e) >= 0;
	m.size_bytes = m.has_size ? (uint64_t)archive_entry_size(e) : 0;
	rc = w->v->begin(w->v->ctx, &m, &want, w->err);
	if (rc || m.kind != IBB_ARCHIVE_FILE)
		return rc;
	if (m.has_size && m.size_bytes > w->room)
		return ibb_err(w->err, IBB_E_LIMIT,
			       "%s: %s: its %llu bytes are more than may be unpacked", w->s->name,
			       m.name, (unsigned long long)m.size_bytes);
	return read_content(w, m.name, want);
}

static int all_members(struct walk *w, unsigned limit)
{
	for (unsigned n = 0;; n++) {
		struct archive_entry *e;
		int rc, status = archive_read_next_header(w->a, &e);

		if (status == ARCHIVE_EOF)
			return IBB_OK;
		if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
			return failed(w, NULL);
		if (n >= limit)
			return ibb_err(w->err, IBB_E_LIMIT, "%s: more than %u members", w->s->name,
				       limit);
		rc = one_member(w, e, status);
		if (rc)
			return rc;
	}
}

/* ---- the whole ---- */

/* Only what was asked for: what an archive is was told by its first bytes, and libarchive's bids
 * for other formats have no part in it. */
static int support(struct walk *w)
{
	switch (w->format) {
	case IBB_ARCHIVE_ZIP: /* the streaming reader would take a truncated one for a whole one */
		return archive_read_support_format_zip_seekable(w->a);
	case IBB_ARCHIVE_CAB:
		return archive_read_support_format_cab(w->a);
	case IBB_ARCHIVE_7Z:
		return archive_read_support_format_7zip(w->a);
	default:
		break;
	}
	archive_read_support_filter_gzip(w->a);
	archive_read_support_filter_bzip2(w->a);
	archive_read_support_filter_xz(w->a);
	archive_read_support_filter_zstd(w->a);
	return archive_read_support_format_tar(w->a);
}

static int open_it(struct walk *w)
{
	struct archive *a = w->a;

	if (support(w) != ARCHIVE_OK || archive_read_set_read_callback(a, give) ||
	    archive_read_set_skip_callback(a, pass_over) ||
	    archive_read_set_seek_callback(a, go_to) || archive_read_set_callback_data(a, w) ||
	    archive_read_open1(a) != ARCHIVE_OK)
		return failed(w, NULL);
	w->opened = true;
	return IBB_OK;
}

/*
 * libarchive takes the end of the file for the end of a tar. One that is not compressed says
 * nothing about its length but for the two zero blocks at its end (POSIX.1 pax); a compressed one
 * has that of its compression.
 */
static int check_tar_end(struct walk *w)
{
	uint8_t end[1024];
	int rc;

	if (archive_filter_count(w->a) > 1)
		return IBB_OK;
	if (w->s->size_bytes < sizeof(end) || w->s->size_bytes % 512)
		return ibb_err(w->err, IBB_E_CORRUPT, "%s: truncated", w->s->name);
	rc = ibb_pread_full(w->s->fd, end, sizeof(end),
			    w->s->offset + w->s->size_bytes - sizeof(end), w->s->name, w->err);
	if (!rc && !ibb_all_zero(end, sizeof(end)))
		rc = ibb_err(w->err, IBB_E_CORRUPT, "%s: truncated: the tar has no end mark",
			     w->s->name);
	return rc;
}

static int walk_in_locale(struct walk *w, unsigned members)
{
	int rc;

	w->a = archive_read_new();
	w->in = ibb_alloc(PIECE);
	w->out = ibb_alloc(PIECE);
	if (!w->a || !w->in || !w->out)
		rc = ibb_err_nomem(w->err);
	else
		rc = open_it(w);
	if (!rc && w->format == IBB_ARCHIVE_TAR)
		rc = check_tar_end(w);
	if (!rc)
		rc = all_members(w, members);
	archive_read_free(w->a);
	free(w->in);
	free(w->out);
	return rc;
}

int ibb_archive_walk(const struct ibb_archive_stretch *s, enum ibb_archive_format format,
		     const struct ibb_archive_limits *limits, const struct ibb_archive_visitor *v,
		     struct ibb_error *err)
{
	struct ibb_error local;
	struct walk w = {
		.s = s, .v = v, .format = format, .room = limits->bytes, .err = err ? err : &local};
	locale_t utf8, before = (locale_t)0;
	uint64_t n = 1;
	int rc = IBB_OK;

	if (format == IBB_ARCHIVE_ZIP)
		rc = ibb_archive_check_zip(s, limits->members, &n, w.err);
	if (rc || !n) /* libarchive takes no zip without members for one */
		return rc;
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (utf8)
		before = uselocale(utf8);
	rc = walk_in_locale(&w, limits->members);
	if (utf8) {
		uselocale(before);
		freelocale(utf8);
	}
	return rc;
}
