/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The header of a WIM, read by ourselves before wimlib sees the file: what it says about sizes
 * decides how much memory wimlib asks for.
 */
#include "volume/wim_internal.h"

#include <string.h>

#include "base/le.h"
#include "base/limits.h"

#define VERSION_DEFAULT 0x10d00u
#define VERSION_SOLID	0xe00u

static const char magic_wim[8] = "MSWIM\0\0";
static const char magic_pipable[8] = "WLPWM\0\0";

bool ibb_wim_is(struct ibb_disk *file)
{
	struct ibb_error err;
	char magic[8];

	if (file->size_bytes < WIM_HEADER_BYTES || ibb_disk_pread(file, magic, 8, 0, &err))
		return false;
	return memcmp(magic, magic_wim, 8) == 0 || memcmp(magic, magic_pipable, 8) == 0;
}

/* A resource header: size in the file (7 bytes), flags, offset, size when it is decompressed. */
static int check_resource(const struct ibb_disk *d, const uint8_t *p, const char *what,
			  uint64_t limit, struct ibb_error *err)
{
	uint64_t packed = ibb_get_le64(p) & 0xffffffffffffffull, off = ibb_get_le64(p + 8);
	uint64_t size = ibb_get_le64(p + 16);

	if (!ibb_in_range(off, packed, d->size_bytes))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: %s at offset %llu, %llu bytes, lies outside of the file (%llu "
			       "bytes): it is truncated or damaged",
			       d->name, what, (unsigned long long)off, (unsigned long long)packed,
			       (unsigned long long)d->size_bytes);
	if (size > limit || packed > limit)
		return ibb_err(err, IBB_E_LIMIT, "%s: %s of %llu bytes (limit %llu)", d->name, what,
			       (unsigned long long)(size > packed ? size : packed),
			       (unsigned long long)limit);
	return IBB_OK;
}

static int check_fixed(const struct ibb_disk *d, const uint8_t *p, struct ibb_error *err)
{
	uint32_t version = ibb_get_le32(p + 12);

	if (ibb_get_le32(p + 8) != WIM_HEADER_BYTES)
		return ibb_err(err, IBB_E_CORRUPT, "%s: WIM header of %u bytes, %u are expected",
			       d->name, ibb_get_le32(p + 8), WIM_HEADER_BYTES);
	if (version != VERSION_DEFAULT && version != VERSION_SOLID)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: WIM of unknown version 0x%x", d->name,
			       version);
	if (ibb_get_le32(p + 44) > IBB_LIMIT_WIM_IMAGES)
		return ibb_err(err, IBB_E_LIMIT, "%s: %u images (limit %u)", d->name,
			       ibb_get_le32(p + 44), IBB_LIMIT_WIM_IMAGES);
	return IBB_OK;
}

int ibb_wim_header_read(struct ibb_disk *d, struct wim_header *ret, struct ibb_error *err)
{
	uint8_t p[WIM_HEADER_BYTES];
	struct wim_header h = {0};
	int rc;

	if (d->size_bytes < sizeof(p))
		return ibb_err(err, IBB_E_CORRUPT, "%s: too short for a WIM: %llu bytes", d->name,
			       (unsigned long long)d->size_bytes);
	rc = ibb_disk_pread(d, p, sizeof(p), 0, err);
	if (rc)
		return rc;
	h.pipable = memcmp(p, magic_pipable, 8) == 0;
	/* the first header of a pipable WIM was written before anything else was known */
	if (h.pipable)
		rc = ibb_disk_pread(d, p, sizeof(p), d->size_bytes - sizeof(p), err);
	if (rc)
		return rc;
	if (memcmp(p, h.pipable ? magic_pipable : magic_wim, 8) != 0)
		return ibb_err(err, IBB_E_CORRUPT, "%s: %s", d->name,
			       h.pipable ? "a pipable WIM without its header at the end: it is "
					   "truncated"
					 : "is no WIM file");
	rc = check_fixed(d, p, err);
	if (!rc)
		rc = check_resource(d, p + 48, "the table of contents", IBB_LIMIT_WIM_TABLE, err);
	if (!rc)
		rc = check_resource(d, p + 72, "the XML data", IBB_LIMIT_WIM_XML, err);
	/* it comes last: when a file was cut off, this is what is not there */
	if (!rc && ibb_get_le64(p + 132))
		rc = check_resource(d, p + 124, "the integrity table", IBB_LIMIT_WIM_TABLE, err);
	if (rc)
		return rc;
	h.flags = ibb_get_le32(p + 16);
	h.chunk_bytes = ibb_get_le32(p + 20);
	memcpy(h.guid.b, p + 24, sizeof(h.guid.b));
	h.part = ibb_get_le16(p + 40);
	h.parts = ibb_get_le16(p + 42);
	h.images = ibb_get_le32(p + 44);
	h.table_end = ibb_get_le64(p + 56) + (ibb_get_le64(p + 48) & 0xffffffffffffffull);
	h.integrity_off = ibb_get_le64(p + 132);
	h.integrity_bytes = h.integrity_off ? ibb_get_le64(p + 124) & 0xffffffffffffffull : 0;
	if (!h.part || h.part > h.parts)
		return ibb_err(err, IBB_E_CORRUPT, "%s: says that it is part %u of %u", d->name,
			       h.part, h.parts);
	*ret = h;
	return IBB_OK;
}
