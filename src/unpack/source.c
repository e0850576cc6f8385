/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the bytes of an archive come from, and what of a program file lies behind it. */
#include "unpack/internal.h"

#include "base/io.h"
#include "base/le.h"
#include "base/limits.h"

#define SECTION_SIZE 40u

int unpack_read(const struct unpack_source *s, uint64_t offset, void *buf, size_t n,
		struct ibb_error *err)
{
	if (!ibb_in_range(offset, n, s->size_bytes))
		return ibb_err(err, IBB_E_CORRUPT, "%s: truncated: no %zu bytes at offset %llu",
			       s->name, n, (unsigned long long)offset);
	return ibb_pread_full(s->fd, buf, n, s->offset + offset, s->name, err);
}

/* Microsoft, "PE Format". What is not that of a program is no error but none. */
static int none(struct ibb_error *err, const struct unpack_source *s)
{
	return ibb_err(err, IBB_E_NOTFOUND, "%s: nothing lies behind a program", s->name);
}

static int end_of_sections(const struct unpack_source *s, uint64_t table, unsigned n, uint64_t *ret,
			   struct ibb_error *err)
{
	uint64_t end = table + (uint64_t)n * SECTION_SIZE;

	for (unsigned i = 0; i < n; i++) {
		uint8_t b[SECTION_SIZE];
		uint64_t to;
		int rc;

		if (!ibb_in_range(table + i * SECTION_SIZE, sizeof(b), s->size_bytes))
			return none(err, s);
		rc = unpack_read(s, table + i * SECTION_SIZE, b, sizeof(b), err);
		if (rc)
			return rc;
		if (!ibb_get_le32(b + 16)) /* SizeOfRawData */
			continue;
		to = (uint64_t)ibb_get_le32(b + 16) + ibb_get_le32(b + 20);
		end = to > end ? to : end;
	}
	*ret = end;
	return IBB_OK;
}

/* The attribute certificates, whose "address" is an offset in the file: 0 when there are none. */
static uint64_t certificates(const uint8_t *opt, size_t n)
{
	size_t at = n >= 2 && ibb_get_le16(opt) == 0x20b ? 144 : 128;

	return at + 8 <= n && ibb_get_le32(opt + at + 4) ? ibb_get_le32(opt + at) : 0;
}

int unpack_pe_overlay(const struct unpack_source *s, struct unpack_source *ret,
		      struct ibb_error *err)
{
	uint8_t head[64], pe[24], opt[160];
	uint64_t at, end = 0, to = s->size_bytes, certs;
	size_t opt_size, n;
	int rc;

	if (s->size_bytes < sizeof(head))
		return none(err, s);
	rc = unpack_read(s, 0, head, sizeof(head), err);
	if (rc)
		return rc;
	at = ibb_get_le32(head + 60);
	if (ibb_get_le16(head) != 0x5a4d || !ibb_in_range(at, sizeof(pe), s->size_bytes))
		return none(err, s);
	rc = unpack_read(s, at, pe, sizeof(pe), err);
	if (rc)
		return rc;
	opt_size = ibb_get_le16(pe + 20);
	n = opt_size < sizeof(opt) ? opt_size : sizeof(opt);
	if (ibb_get_le32(pe) != 0x4550 || ibb_get_le16(pe + 6) > IBB_LIMIT_PE_SECTIONS ||
	    !ibb_in_range(at + sizeof(pe), n, s->size_bytes))
		return none(err, s);
	rc = unpack_read(s, at + sizeof(pe), opt, n, err);
	if (!rc)
		rc = end_of_sections(s, at + sizeof(pe) + opt_size, ibb_get_le16(pe + 6), &end,
				     err);
	if (rc)
		return rc;
	certs = certificates(opt, n);
	if (certs >= end && certs < to)
		to = certs;
	if (end >= to)
		return none(err, s);
	*ret = (struct unpack_source){
		.fd = s->fd, .offset = s->offset + end, .size_bytes = to - end, .name = s->name};
	return IBB_OK;
}
