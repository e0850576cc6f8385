/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dynamic disk header, and what it says of a parent. */
#include "disk/vhd_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/utf16.h"

/* Offsets of "Dynamic Disk Header Format". */
enum {
	H_COOKIE = 0,
	H_DATA_OFFSET = 8, /* of a structure that nobody defined: all ones */
	H_TABLE_OFFSET = 16,
	H_VERSION = 24,
	H_MAX_ENTRIES = 28,
	H_BLOCK_SIZE = 32,
	H_CHECKSUM = 36,
	H_PARENT_ID = 40,
	H_PARENT_TIME = 56,
	H_PARENT_NAME = 64,
	H_LOCATORS = 576,
	LOCATOR_BYTES = 24, /* code, data space, data length, reserved, data offset */
};

#define VERSION_1_0 0x00010000u

static const uint8_t cookie[8] = {'c', 'x', 's', 'p', 'a', 'r', 's', 'e'};

static void decode(const uint8_t *b, struct ibb_vhd_header *h)
{
	*h = (struct ibb_vhd_header){
		.table_off = ibb_get_be64(b + H_TABLE_OFFSET),
		.max_entries = ibb_get_be32(b + H_MAX_ENTRIES),
		.block_bytes = ibb_get_be32(b + H_BLOCK_SIZE),
		.parent_time_s = ibb_get_be32(b + H_PARENT_TIME),
	};
	memcpy(h->parent_id.b, b + H_PARENT_ID, sizeof(h->parent_id.b));
	memcpy(h->parent_name, b + H_PARENT_NAME, sizeof(h->parent_name));
	for (unsigned i = 0; i < IBB_VHD_LOCATORS; i++) {
		const uint8_t *l = b + H_LOCATORS + i * LOCATOR_BYTES;

		/* "data space" at 4 is bytes here and sectors there: nobody can rely on it */
		h->locators[i] = (struct ibb_vhd_locator){
			.code = ibb_get_be32(l),
			.len_bytes = ibb_get_be32(l + 8),
			.off_bytes = ibb_get_be64(l + 16),
		};
	}
}

void ibb_vhd_header_encode(const struct ibb_vhd_header *h, uint8_t out[IBB_VHD_HEADER_BYTES])
{
	memset(out, 0, IBB_VHD_HEADER_BYTES);
	memcpy(out + H_COOKIE, cookie, sizeof(cookie));
	ibb_put_be64(out + H_DATA_OFFSET, UINT64_MAX);
	ibb_put_be64(out + H_TABLE_OFFSET, h->table_off);
	ibb_put_be32(out + H_VERSION, VERSION_1_0);
	ibb_put_be32(out + H_MAX_ENTRIES, h->max_entries);
	ibb_put_be32(out + H_BLOCK_SIZE, h->block_bytes);
	ibb_put_be32(out + H_CHECKSUM, ibb_vhd_checksum(out, IBB_VHD_HEADER_BYTES, H_CHECKSUM));
}

int ibb_vhd_header_parse(const char *name, uint64_t off, const uint8_t b[IBB_VHD_HEADER_BYTES],
			 struct ibb_vhd_header *ret, struct ibb_error *err)
{
	const unsigned long long at = off;
	const uint32_t sum = ibb_vhd_checksum(b, IBB_VHD_HEADER_BYTES, H_CHECKSUM);
	const uint32_t version = ibb_get_be32(b + H_VERSION);
	struct ibb_vhd_header h;

	decode(b, &h);
	h.off = off;
	if (memcmp(b + H_COOKIE, cookie, sizeof(cookie)) != 0)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: no VHD dynamic disk header at offset %llu: the cookie is not "
			       "\"cxsparse\"",
			       name, at);
	if (ibb_get_be32(b + H_CHECKSUM) != sum)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD dynamic disk header at offset %llu is damaged: checksum "
			       "0x%08x, computed 0x%08x",
			       name, at, ibb_get_be32(b + H_CHECKSUM), sum);
	if (version >> 16 != VERSION_1_0 >> 16)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD dynamic disk header at offset %llu: unknown version %u.%u",
			       name, at, version >> 16, version & 0xffff);
	if (h.block_bytes < IBB_VHD_SECTOR || !ibb_power_of_two(h.block_bytes) ||
	    h.block_bytes > IBB_LIMIT_VHD_BLOCK_BYTES)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD dynamic disk header at offset %llu: a block size of %u "
			       "bytes is no power of two from 512 to %u",
			       name, at, h.block_bytes, IBB_LIMIT_VHD_BLOCK_BYTES);
	if (h.table_off % IBB_VHD_SECTOR)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD dynamic disk header at offset %llu: the table's offset "
			       "%llu is no multiple of 512",
			       name, at, (unsigned long long)h.table_off);
	*ret = h;
	return IBB_OK;
}

/* ---- the parent ---- */

#define CODE(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

enum encoding { UTF16, OLD, UTF8 };

static const struct code {
	uint32_t code;
	enum ibb_locator_kind kind;
	enum encoding encoding;
} codes[] = {
	{CODE('W', '2', 'r', 'u'), IBB_LOCATOR_RELATIVE, UTF16},
	{CODE('W', '2', 'k', 'u'), IBB_LOCATOR_ABSOLUTE, UTF16},
	/* deprecated by version 1.0 of the format, which says nothing of their encoding */
	{CODE('W', 'i', '2', 'r'), IBB_LOCATOR_RELATIVE, OLD},
	{CODE('W', 'i', '2', 'k'), IBB_LOCATOR_ABSOLUTE, OLD},
	{CODE('M', 'a', 'c', 'X'), IBB_LOCATOR_URL, UTF8},
};

static const struct code *code_of(const struct ibb_vhd_locator *l)
{
	for (unsigned k = 0; k < IBB_ARRAY_SIZE(codes); k++)
		if (codes[k].code == l->code)
			return &codes[k];
	return NULL;
}

bool ibb_vhd_locator_known(const struct ibb_vhd_locator *l)
{
	return l->len_bytes && code_of(l);
}

/* ASCII in UTF-16LE has a zero in every second byte; a path in 8 bits has no zeros inside. */
static bool looks_utf16(const uint8_t *p, size_t n)
{
	return n >= 2 && p[0] && !p[1];
}

/* *ret NULL: the text is empty, or in an encoding that nobody can know. */
static int to_text(const uint8_t *p, size_t n, enum encoding encoding, char **ret,
		   struct ibb_error *err)
{
	IBB_AUTO_FREE char *s = NULL;

	*ret = NULL;
	if (encoding == UTF16 || (encoding == OLD && looks_utf16(p, n)))
		s = ibb_utf8_from_utf16le(p, n);
	else
		s = ibb_strndup((const char *)p, strnlen((const char *)p, n));
	if (!s)
		return ibb_err_nomem(err);
	if (*s && ibb_utf8_valid(s, strlen(s)))
		*ret = IBB_TAKE(s);
	return IBB_OK;
}

/* Takes `path`, NULL included. No program makes a path with control characters in it. */
static int add(struct ibb_parent_link *l, const char *name, uint64_t off,
	       enum ibb_locator_kind kind, char *path, struct ibb_error *err)
{
	if (!path)
		return IBB_OK;
	if (!ibb_utf8_is_plain(path, strlen(path))) {
		free(path);
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the parent's path at offset %llu has a control character in it",
			       name, (unsigned long long)off);
	}
	l->locators[l->n++] = (struct ibb_locator){kind, path};
	return IBB_OK;
}

static int read_locator(struct ibb_disk *file, const struct ibb_vhd_locator *loc, unsigned i,
			struct ibb_parent_link *l, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *data = NULL;
	char *path = NULL;
	int r;

	if (!ibb_vhd_locator_known(loc))
		return IBB_OK;
	if (loc->len_bytes > IBB_LIMIT_VHD_PATH_BYTES ||
	    !ibb_in_range(loc->off_bytes, loc->len_bytes, file->size_bytes))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: parent locator %u: %u bytes at offset %llu are no path inside "
			       "the file",
			       file->name, i, loc->len_bytes, (unsigned long long)loc->off_bytes);
	data = ibb_alloc(loc->len_bytes);
	if (!data)
		return ibb_err_nomem(err);
	r = ibb_disk_pread(file, data, loc->len_bytes, loc->off_bytes, err);
	if (!r)
		r = to_text(data, loc->len_bytes, code_of(loc)->encoding, &path, err);
	return r ? r : add(l, file->name, loc->off_bytes, code_of(loc)->kind, path, err);
}

/* Unlike the locators, "Parent Unicode Name" is big endian. */
static int add_name(const char *name, const struct ibb_vhd_header *h, struct ibb_parent_link *l,
		    struct ibb_error *err)
{
	uint8_t le[sizeof(h->parent_name)];
	char *path = NULL;
	int r;

	for (size_t i = 0; i < sizeof(le); i++)
		le[i] = h->parent_name[i ^ 1];
	r = to_text(le, sizeof(le), UTF16, &path, err);
	return r ? r : add(l, name, h->off + H_PARENT_NAME, IBB_LOCATOR_NAME, path, err);
}

int ibb_vhd_link_read(struct ibb_disk *file, const struct ibb_vhd_header *h,
		      struct ibb_parent_link *ret, struct ibb_error *err)
{
	struct ibb_parent_link l = {
		.differencing = true,
		.id = h->parent_id,
		/* 0 is what tools write that do not know it */
		.has_timestamp = h->parent_time_s != 0,
		.timestamp_s = h->parent_time_s,
	};
	int r = IBB_OK;

	for (unsigned i = 0; !r && i < IBB_VHD_LOCATORS; i++)
		r = read_locator(file, &h->locators[i], i, &l, err);
	if (!r)
		r = add_name(file->name, h, &l, err);
	if (r) {
		ibb_parent_link_clear(&l);
		return r;
	}
	*ret = l;
	return IBB_OK;
}
