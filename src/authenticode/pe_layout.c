/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Microsoft's description ("Windows Authenticode Portable Executable Signature Format", appendix
 * "Calculating the Authenticode Digest") digests the headers, then every section by its place in
 * the file, then what is left behind them; it calls itself a simplification of what
 * ImageGetDigestStream does. Other programs (osslsigncode, pesign, sbsign) digest the whole file
 * but for three gaps. Both come to the same when headers, sections, further data and certificates
 * follow each other without a hole and without an overlap, as linkers write them. For any other
 * file it is not known what Windows would do: it gets no digest.
 */
#include "authenticode/pe_internal.h"

#include "base/le.h"
#include "base/limits.h"

#define CERTIFICATES 4u /* index in the data directory */

struct headers {
	const char *name;
	struct ibb_bytes file;
	size_t optional, dirs; /* offsets */
	unsigned optional_bytes, n_sections;
	uint32_t n_dirs, headers_bytes;
};

/* COFF and optional header up to the data directory; false when the file does not look like one. */
static bool find_headers(const char *name, struct ibb_bytes file, struct headers *ret)
{
	struct headers h = {.name = name, .file = file};
	const uint8_t *p;
	uint32_t pe;
	size_t fixed;

	if (file.len < 0x40 || memcmp(file.data, "MZ", 2) != 0)
		return false;
	pe = ibb_get_le32(file.data + 0x3c);
	if (!ibb_in_range(pe, 24 + 2, file.len) || memcmp(file.data + pe, "PE\0\0", 4) != 0)
		return false;
	h.optional = (size_t)pe + 24;
	p = file.data + h.optional;
	fixed = ibb_get_le16(p) == 0x10b ? 96 : ibb_get_le16(p) == 0x20b ? 112 : 0;
	if (!fixed || !ibb_in_range(h.optional, fixed, file.len))
		return false;
	h.dirs = h.optional + fixed;
	h.n_dirs = ibb_get_le32(file.data + h.dirs - 4);
	h.headers_bytes = ibb_get_le32(p + 60);
	h.n_sections = ibb_get_le16(file.data + pe + 6);
	h.optional_bytes = ibb_get_le16(file.data + pe + 20);
	*ret = h;
	return true;
}

bool ibb_pe_is(struct ibb_bytes file)
{
	struct headers h;

	return find_headers("", file, &h);
}

/* Are the headers where the headers say, and is there an entry for certificates? */
static int check_headers(const struct headers *h, size_t *ret_sections, struct ibb_error *err)
{
	uint64_t dirs_end = h->dirs + 8 * (uint64_t)h->n_dirs;
	uint64_t sections = (uint64_t)h->optional + h->optional_bytes;
	uint64_t end = sections + 40 * (uint64_t)h->n_sections;

	if (h->n_dirs <= CERTIFICATES)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: a data directory of %u entries, too few to be signed, at 0x%zx",
			       h->name, h->n_dirs, h->dirs - 4);
	if (dirs_end > sections)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the data directory reaches beyond the optional header at 0x%zx",
			       h->name, h->dirs);
	/* winnt.h, IMAGE_FILE_HEADER: "the Windows loader limits the number of sections to 96" */
	if (h->n_sections > IBB_LIMIT_PE_SECTIONS)
		return ibb_err(err, IBB_E_CORRUPT, "%s: %u sections are more than Windows loads",
			       h->name, h->n_sections);
	if (end > h->headers_bytes || h->headers_bytes > h->file.len)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: headers of 0x%x bytes, but the section table ends at 0x%llx"
			       " and the file at 0x%zx",
			       h->name, h->headers_bytes, (unsigned long long)end, h->file.len);
	*ret_sections = (size_t)sections;
	return IBB_OK;
}

struct extent {
	uint32_t at, bytes;
};

/* The sections that have bytes in the file, by their place there. */
static size_t sort_sections(const struct headers *h, size_t table,
			    struct extent ret[IBB_LIMIT_PE_SECTIONS])
{
	size_t n = 0;

	for (unsigned i = 0; i < h->n_sections; i++) {
		const uint8_t *p = h->file.data + table + 40 * (size_t)i;
		struct extent s = {ibb_get_le32(p + 20), ibb_get_le32(p + 16)};
		size_t k = n;

		if (!s.bytes)
			continue;
		for (; k && ret[k - 1].at > s.at; k--)
			ret[k] = ret[k - 1];
		ret[k] = s;
		n++;
	}
	return n;
}

/* Where the last section ends; each has to begin where the one before ends. */
static int check_sections(const struct headers *h, size_t table, uint64_t *ret,
			  struct ibb_error *err)
{
	struct extent s[IBB_LIMIT_PE_SECTIONS];
	size_t n = sort_sections(h, table, s);
	uint64_t at = h->headers_bytes;

	for (size_t i = 0; i < n; i++) {
		if (s[i].at < at)
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: a section overlaps with what is before it at 0x%x",
				       h->name, s[i].at);
		if (s[i].at > at)
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: 0x%llx bytes before a section belong to nothing at"
				       " 0x%llx",
				       h->name, (unsigned long long)(s[i].at - at),
				       (unsigned long long)at);
		at += s[i].bytes;
		if (at > h->file.len)
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: a section of 0x%x bytes reaches beyond the end of the"
				       " file at 0x%x",
				       h->name, s[i].bytes, s[i].at);
	}
	*ret = at;
	return IBB_OK;
}

/*
 * The certificate table, which stands last: what Windows makes of data behind it depends on its
 * updates (MS12-024), and what of a table that begins at an odd place, on who looks.
 */
static int check_certificates(const struct headers *h, uint64_t image_end, struct ibb_pe_layout *l,
			      struct ibb_error *err)
{
	uint32_t at = ibb_get_le32(h->file.data + l->entry);
	uint32_t bytes = ibb_get_le32(h->file.data + l->entry + 4);
	const char *why = NULL;

	l->end = h->file.len;
	if (!at && !bytes)
		return IBB_OK;
	if (!at || !bytes)
		why = "has a place or a size, but not both";
	else if (at % 8)
		why = "is not aligned to 8 bytes";
	else if (at < image_end)
		why = "overlaps with the image";
	else if (!ibb_in_range(at, bytes, h->file.len))
		why = "reaches beyond the end of the file";
	else if (at + (uint64_t)bytes != h->file.len)
		why = "is not at the end of the file";
	if (why)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the certificate table (0x%x bytes) %s at 0x%x", h->name, bytes,
			       why, at);
	l->end = at;
	l->certificates = (struct ibb_bytes){h->file.data + at, bytes};
	return IBB_OK;
}

int ibb_pe_layout(const char *name, struct ibb_bytes file, struct ibb_pe_layout *ret,
		  struct ibb_error *err)
{
	struct ibb_pe_layout l = {0};
	struct headers h;
	uint64_t image_end = 0;
	size_t table = 0;
	int r;

	if (!find_headers(name, file, &h))
		return ibb_err(err, IBB_E_CORRUPT, "%s: not a PE image at 0x0", name);
	r = check_headers(&h, &table, err);
	if (!r)
		r = check_sections(&h, table, &image_end, err);
	l.checksum = h.optional + 64;
	l.entry = h.dirs + 8 * CERTIFICATES;
	if (!r)
		r = check_certificates(&h, image_end, &l, err);
	if (!r)
		*ret = l;
	return r;
}
