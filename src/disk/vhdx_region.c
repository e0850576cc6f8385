/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "base/le.h"
#include "disk/vhdx_internal.h"

enum { R_COUNT = 8, R_ENTRIES = 16, R_ENTRY = 32, E_OFFSET = 16, E_LENGTH = 24, E_FLAGS = 28 };
#define E_REQUIRED 1u

const struct ibb_guid ibb_vhdx_region_bat = {{0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d,
					      0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08}};
const struct ibb_guid ibb_vhdx_region_metadata = {{0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
						   0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e}};

static bool table_ok(const uint8_t *b)
{
	return memcmp(b, "regi", 4) == 0 && ibb_vhdx_sum_ok(b, IBB_VHDX_TABLE_BYTES);
}

/* The first valid one of the two. Updates go through the log, so both are equal when valid. */
static int choose(struct ibb_disk *file, uint8_t *one, uint8_t *two, const uint8_t **ret,
		  uint64_t *ret_at, uint32_t *ret_bad, struct ibb_error *err)
{
	bool ok1, ok2;
	int r = ibb_disk_pread(file, one, IBB_VHDX_TABLE_BYTES, IBB_VHDX_REGION1, err);

	if (!r)
		r = ibb_disk_pread(file, two, IBB_VHDX_TABLE_BYTES, IBB_VHDX_REGION2, err);
	if (r)
		return r;
	ok1 = table_ok(one);
	ok2 = table_ok(two);
	if (!ok1 && !ok2)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: both VHDX region tables (offsets %u and %u) are damaged: "
			       "signature or checksum",
			       file->name, IBB_VHDX_REGION1, IBB_VHDX_REGION2);
	if (ok1 && ok2 && memcmp(one, two, IBB_VHDX_TABLE_BYTES) != 0)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the two VHDX region tables (offsets %u and %u) differ",
			       file->name, IBB_VHDX_REGION1, IBB_VHDX_REGION2);
	*ret = ok1 ? one : two;
	*ret_bad = ok1 && ok2 ? 0 : ok1 ? IBB_VHDX_REGION2 : IBB_VHDX_REGION1;
	*ret_at = ok1 ? IBB_VHDX_REGION1 : IBB_VHDX_REGION2;
	return IBB_OK;
}

int ibb_vhdx_entry_err(const char *name, const char *kind, const uint8_t *e, uint64_t at, int code,
		       const char *what, struct ibb_error *err)
{
	char text[IBB_GUID_STR_SIZE];
	struct ibb_guid id;

	memcpy(id.b, e, 16);
	ibb_guid_format(&id, text);
	return ibb_err(err, code, "%s: %s %s (table entry at offset %llu) %s", name, kind, text,
		       (unsigned long long)at, what);
}

static int entry_err(const struct ibb_disk *file, uint64_t at, int code, const uint8_t *e,
		     const char *what, struct ibb_error *err)
{
	return ibb_vhdx_entry_err(file->name, "region", e, at, code, what, err);
}

static int take_entry(const struct ibb_disk *file, struct ibb_vhdx_map *map, uint64_t at,
		      const uint8_t *e, struct ibb_vhdx_regions *ret, struct ibb_error *err)
{
	struct ibb_vhdx_range g = {ibb_get_le64(e + E_OFFSET), ibb_get_le32(e + E_LENGTH)};
	struct ibb_vhdx_range *slot = NULL;

	if (!g.len_bytes || !g.off_bytes || g.off_bytes % IBB_VHDX_MIB ||
	    g.len_bytes % IBB_VHDX_MIB)
		return entry_err(file, at, IBB_E_CORRUPT, e, "is not aligned to 1 MiB", err);
	if (!ibb_in_range(g.off_bytes, g.len_bytes, file->size_bytes))
		return entry_err(file, at, IBB_E_CORRUPT, e,
				 "lies behind the end of the file, which is cut short", err);
	if (!ibb_vhdx_map_take(map, g.off_bytes / IBB_VHDX_MIB, g.len_bytes / IBB_VHDX_MIB))
		return entry_err(file, at, IBB_E_CORRUPT, e,
				 "overlaps the headers, the log or another region", err);
	if (memcmp(e, ibb_vhdx_region_bat.b, 16) == 0)
		slot = &ret->bat;
	else if (memcmp(e, ibb_vhdx_region_metadata.b, 16) == 0)
		slot = &ret->metadata;
	else if (ibb_get_le32(e + E_FLAGS) & E_REQUIRED)
		return entry_err(file, at, IBB_E_UNSUPPORTED, e, "is required, but not known", err);
	if (!slot)
		return IBB_OK;
	if (slot->len_bytes)
		return entry_err(file, at, IBB_E_CORRUPT, e, "is there twice", err);
	*slot = g;
	return IBB_OK;
}

int ibb_vhdx_region_read(struct ibb_disk *file, struct ibb_vhdx_map *map,
			 struct ibb_vhdx_regions *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(2 * IBB_VHDX_TABLE_BYTES);
	struct ibb_vhdx_regions g = {0};
	const uint8_t *t = NULL;
	uint64_t at = 0;
	uint32_t n;
	int r;

	if (!b)
		return ibb_err_nomem(err);
	r = choose(file, b, b + IBB_VHDX_TABLE_BYTES, &t, &at, &g.bad_at, err);
	if (r)
		return r;
	n = ibb_get_le32(t + R_COUNT);
	if (n > IBB_VHDX_TABLE_ENTRIES)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the VHDX region table at offset %llu has %u entries, at most "
			       "%u fit",
			       file->name, (unsigned long long)at, n, IBB_VHDX_TABLE_ENTRIES);
	for (uint32_t i = 0; !r && i < n; i++) {
		uint32_t in = R_ENTRIES + i * R_ENTRY;

		r = take_entry(file, map, at + in, t + in, &g, err);
	}
	if (!r && (!g.bat.len_bytes || !g.metadata.len_bytes))
		r = ibb_err(err, IBB_E_CORRUPT,
			    "%s: the VHDX region table at offset %llu names no %s", file->name,
			    (unsigned long long)at,
			    g.bat.len_bytes ? "metadata" : "block allocation table");
	if (!r)
		*ret = g;
	return r;
}
