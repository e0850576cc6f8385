/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a file is, by its bytes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/le.h"
#include "unpack/cfb.h"
#include "unpack/tree.h"

#define HEAD	    512u
#define PIECE	    65536u
#define CAB_HEADER  36u
#define END_7Z	    32u
#define EOCD	    22u /* of a zip, APPNOTE.TXT 4.3.16; a comment may follow */
#define EOCD_SEARCH 16384u
#define PADDING	    7u

const char *ibb_unpack_kind_name(enum ibb_unpack_kind k)
{
	static const char *const names[] = {"none", "zip", "cab",	    "7z",
					    "tar",  "MSI", "InstallShield", "self-extracting"};

	return (size_t)k < IBB_ARRAY_SIZE(names) ? names[k] : "?";
}

static bool begins(const uint8_t *p, size_t n, const char *magic, size_t len)
{
	return n >= len && memcmp(p, magic, len) == 0;
}

/* The sum of a tar header counts its own eight bytes as spaces (POSIX.1 pax). */
static bool is_tar_header(const uint8_t *p)
{
	unsigned long sum = 0, said = 0;
	size_t i = 148;

	for (size_t k = 0; k < HEAD; k++)
		sum += k >= 148 && k < 156 ? ' ' : p[k];
	while (i < 156 && p[i] == ' ')
		i++;
	for (; i < 156 && p[i] >= '0' && p[i] <= '7'; i++)
		said = said * 8 + (unsigned long)(p[i] - '0');
	return sum == said && sum > 8 * ' ';
}

static enum ibb_unpack_kind by_magic(const uint8_t *p, size_t n)
{
	if (begins(p, n, "PK\3\4", 4) || begins(p, n, "PK\5\6", 4))
		return IBB_UNPACK_ZIP;
	if (begins(p, n, "MSCF\0\0\0\0", 8))
		return IBB_UNPACK_CAB;
	if (begins(p, n, "7z\xbc\xaf\x27\x1c", 6))
		return IBB_UNPACK_7Z;
	if (begins(p, n, "\x1f\x8b\x08", 3) || begins(p, n, "BZh", 3) ||
	    begins(p, n, "\xfd\x37zXZ\0", 6) || begins(p, n, "\x28\xb5\x2f\xfd", 4) ||
	    (n >= HEAD && is_tar_header(p)))
		return IBB_UNPACK_TAR;
	return IBB_UNPACK_NONE;
}

/* ---- self-extracting programs ---- */

/* [MS-CAB] 2.1: a plausible header, and the length of the cabinet. */
static bool is_cab_at(const struct unpack_source *s, uint64_t at, uint64_t *ret_size)
{
	uint8_t b[CAB_HEADER];
	uint64_t size;

	if (!ibb_in_range(at, sizeof(b), s->size_bytes) || unpack_read(s, at, b, sizeof(b), NULL))
		return false;
	size = ibb_get_le32(b + 8);
	*ret_size = size;
	return begins(b, sizeof(b), "MSCF\0\0\0\0", 8) && b[24] == 3 && b[25] == 1 &&
	       size > sizeof(b) && ibb_in_range(at, size, s->size_bytes);
}

/* 7zFormat.txt: the length is where the "next header" ends. */
static bool is_7z_at(const struct unpack_source *s, uint64_t at, uint64_t *ret_size)
{
	uint8_t b[END_7Z];
	uint64_t size;

	if (!ibb_in_range(at, sizeof(b), s->size_bytes) || unpack_read(s, at, b, sizeof(b), NULL))
		return false;
	if (!begins(b, sizeof(b), "7z\xbc\xaf\x27\x1c", 6) || b[6] != 0 ||
	    !ibb_add_u64(ibb_get_le64(b + 12), ibb_get_le64(b + 20), &size) ||
	    !ibb_add_u64(size, sizeof(b), &size))
		return false;
	*ret_size = size;
	return ibb_in_range(at, size, s->size_bytes);
}

static bool is_zip_at(const struct unpack_source *s, uint64_t at)
{
	uint8_t b[30];

	return ibb_in_range(at, sizeof(b), s->size_bytes) &&
	       !unpack_read(s, at, b, sizeof(b), NULL) && begins(b, sizeof(b), "PK\3\4", 4) &&
	       ibb_get_le16(b + 8) <= 99; /* the highest method that APPNOTE.TXT knows */
}

/*
 * A signature begins at a multiple of 8 bytes, and zeros fill up to there: they are not the zip's.
 * Nothing is cut when no end of a central directory stands before them.
 */
static uint64_t without_padding(const struct unpack_source *zip)
{
	uint8_t b[EOCD_SEARCH];
	size_t n = (size_t)ibb_min_u64(sizeof(b), zip->size_bytes), zeros = 0;

	if (n < EOCD || unpack_read(zip, zip->size_bytes - n, b, n, NULL))
		return zip->size_bytes;
	while (zeros < PADDING && zeros < n && !b[n - 1 - zeros])
		zeros++;
	for (size_t i = n - EOCD + 1; i-- > 0;) {
		size_t end = i + EOCD + ibb_get_le16(b + i + 20);

		if (memcmp(b + i, "PK\5\6", 4) == 0 && end <= n && end + zeros >= n)
			return zip->size_bytes - (n - end);
	}
	return zip->size_bytes;
}

/* What is looked for, and where: `where` lies inside of the program `s`. */
struct search {
	const struct unpack_source *s, *where;
	bool behind; /* the last section: there are zips and 7z as well */
	bool found;
	int failed; /* what ended it, in err */
	struct unpack_found *f;
	struct unpack_tree *t; /* for its tick, or NULL */
	struct ibb_error *err;
};

/*
 * A compound file: an MSI, or something that is none, but may have cabinets in it which are no
 * archives of the program: an MSI's without its tables are files without names.
 */
static bool is_compound_at(struct search *q, uint64_t at, uint64_t *ret_size)
{
	struct unpack_source c = *q->where;
	int rc;

	c.offset += at;
	c.size_bytes -= at;
	if (!cfb_is_plausible(&c))
		return false;
	rc = cfb_extent(&c, ret_size, q->err);
	if (rc == IBB_E_NOMEM || rc == IBB_E_IO) {
		q->failed = rc;
		*ret_size = c.size_bytes;
	} else if (rc) {
		q->f->refused = "it holds an MSI, or another compound file, that cannot be read "
				"from here";
		*ret_size = c.size_bytes;
	} else if (!q->found) {
		c.size_bytes = *ret_size;
		q->f->inner = unpack_is_msi(&c) ? IBB_UNPACK_MSI : IBB_UNPACK_NONE;
	}
	q->f->compound = true;
	return true;
}

static bool archive_at(struct search *q, const uint8_t *p, uint64_t at, uint64_t *ret_size)
{
	enum ibb_unpack_kind inner = IBB_UNPACK_NONE;
	struct unpack_source source = *q->where;

	source.offset += at;
	if (p[0] == 0xd0) {
		if (!is_compound_at(q, at, ret_size))
			return false;
		inner = q->f->inner;
	} else if (p[0] == 'M' && is_cab_at(q->where, at, ret_size)) {
		inner = IBB_UNPACK_CAB;
	} else if (p[0] == '7' && is_7z_at(q->where, at, ret_size)) {
		inner = IBB_UNPACK_7Z;
	} else if (p[0] == 'P' && is_zip_at(q->where, at)) {
		/* its offsets may count from the begin of the program */
		inner = IBB_UNPACK_ZIP;
		source = *q->s;
		source.size_bytes = q->where->offset - q->s->offset + q->where->size_bytes;
		source.size_bytes = without_padding(&source);
		*ret_size = q->where->size_bytes - at;
	} else {
		return false;
	}
	if (q->found) {
		q->f->refused = "it holds several archives";
		return true;
	}
	if (inner != IBB_UNPACK_ZIP)
		source.size_bytes = *ret_size;
	q->found = true;
	q->f->kind = IBB_UNPACK_SFX;
	q->f->inner = inner;
	q->f->source = source;
	return true;
}

static bool is_magic(const struct search *q, const uint8_t *p)
{
	if (p[0] == 0xd0)
		return memcmp(p, "\xd0\xcf\x11\xe0", 4) == 0;
	if (p[0] == 'M')
		return memcmp(p, "MSCF", 4) == 0;
	return q->behind && (memcmp(p, "7z\xbc\xaf", 4) == 0 || memcmp(p, "PK\3\4", 4) == 0);
}

/* Goes on behind the end of what it found: a second archive must not be lost. */
static int search(struct search *q)
{
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(PIECE);
	uint64_t at = 0;

	if (!b)
		return ibb_err_nomem(q->err);
	while (at < q->where->size_bytes && !q->f->refused && !q->failed) {
		size_t n = (size_t)ibb_min_u64(q->where->size_bytes - at, PIECE), i;
		uint64_t size = 0;
		int rc = q->t ? unpack_tree_tick(q->t, q->err) : IBB_OK;

		if (!rc)
			rc = unpack_read(q->where, at, b, n, q->err);
		if (rc)
			return rc;
		for (i = 0; i + 4 <= n; i++)
			if (is_magic(q, b + i) && archive_at(q, b + i, at + i, &size))
				break;
		if (i + 4 > n && n < PIECE)
			break;
		at += size ? i + size : n - 3;
	}
	return q->failed;
}

/*
 * Behind the last section, or, for what IExpress makes, a cabinet among the resources, or an MSI
 * there: no file but a program holds one, so that is looked for in all of it.
 */
static int detect_program(const struct unpack_source *s, struct unpack_tree *t,
			  struct unpack_found *f, struct ibb_error *err)
{
	struct unpack_source overlay;
	struct search q = {.s = s, .where = &overlay, .behind = true, .f = f, .t = t, .err = err};
	int rc = unpack_pe_overlay(s, &overlay, err);

	if (rc && rc != IBB_E_NOTFOUND)
		return rc;
	if (!rc && unpack_is_installshield(&overlay)) {
		f->kind = f->inner = IBB_UNPACK_INSTALLSHIELD;
		f->source = overlay;
		return IBB_OK;
	}
	if (!rc)
		rc = search(&q);
	else
		rc = IBB_OK;
	if (!rc && !q.found) {
		q.where = s;
		q.behind = false;
		rc = search(&q);
	}
	if (!rc && (!q.found || (f->inner == IBB_UNPACK_NONE && !f->refused)))
		f->kind = IBB_UNPACK_NONE;
	return rc;
}

int unpack_detect(const struct unpack_source *s, struct unpack_tree *t, struct unpack_found *ret,
		  struct ibb_error *err)
{
	struct unpack_found f = {.source = *s};
	uint8_t b[HEAD];
	size_t n = s->size_bytes < sizeof(b) ? (size_t)s->size_bytes : sizeof(b);
	int rc = unpack_read(s, 0, b, n, err);

	if (rc)
		return rc;
	f.kind = f.inner = by_magic(b, n);
	if (begins(b, n, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8) && unpack_is_msi(s))
		f.kind = f.inner = IBB_UNPACK_MSI;
	else if (begins(b, n, "MZ", 2))
		rc = detect_program(s, t, &f, err);
	if (!rc)
		*ret = f;
	return rc;
}

bool unpack_is_document(const struct unpack_source *s)
{
	static const char *const first[] = {"[Content_Types].xml", "_rels/.rels", "docProps/",
					    "META-INF/", "mimetype"};
	uint8_t b[30 + 24];

	if (s->size_bytes < sizeof(b) || unpack_read(s, 0, b, sizeof(b), NULL) ||
	    !begins(b, sizeof(b), "PK\3\4", 4))
		return false;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(first); i++)
		if (ibb_get_le16(b + 26) >= strlen(first[i]) &&
		    memcmp(b + 30, first[i], strlen(first[i])) == 0)
			return true;
	return false;
}

int ibb_unpack_detect(const char *path, enum ibb_unpack_kind *ret, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct unpack_source s = {.fd = fd, .name = path};
	struct unpack_found f;
	struct stat st;
	int rc;

	if (fd < 0 && errno == ENOENT)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: there is no such file", path);
	if (fd < 0 || fstat(fd, &st))
		return ibb_err_os(err, errno, "%s: open", path);
	if (!S_ISREG(st.st_mode)) {
		*ret = IBB_UNPACK_NONE;
		return IBB_OK;
	}
	s.size_bytes = (uint64_t)st.st_size;
	rc = unpack_detect(&s, NULL, &f, err);
	if (!rc)
		*ret = f.kind;
	return rc;
}
