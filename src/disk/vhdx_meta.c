/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "base/le.h"
#include "disk/vhdx_internal.h"

enum {
	T_COUNT = 10,
	T_ENTRIES = 32,
	T_ENTRY = 32,
	E_OFFSET = 16,
	E_LENGTH = 20,
	E_FLAGS = 24,
};
#define E_IS_USER     1u
#define E_IS_REQUIRED 4u
#define ITEM_MAX      (1u << 20) /* 2.6.1.2: of one item */
#define DISK_MAX      ((uint64_t)64 << 40)
#define BLOCK_MAX     (256u << 20)
#define LEAVE_BLOCKS  1u
#define HAS_PARENT    2u

const struct ibb_guid ibb_vhdx_item_file = {{0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3,
					     0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b}};
const struct ibb_guid ibb_vhdx_item_size = {{0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2,
					     0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8}};
const struct ibb_guid ibb_vhdx_item_id = {{0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45, 0x93,
					   0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46}};
const struct ibb_guid ibb_vhdx_item_logical = {{0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47,
						0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f}};
const struct ibb_guid ibb_vhdx_item_physical = {{0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44,
						 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56}};
const struct ibb_guid ibb_vhdx_item_parent = {{0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab,
					       0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c}};

enum item { FILE_PARAMETERS, DISK_SIZE, DISK_ID, LOGICAL, PHYSICAL, PARENT, N_ITEMS };
static const struct {
	const struct ibb_guid *id;
	const char *name;
	uint32_t len; /* 0: any */
} known[N_ITEMS] = {
	[FILE_PARAMETERS] = {&ibb_vhdx_item_file, "file parameters", 8},
	[DISK_SIZE] = {&ibb_vhdx_item_size, "virtual disk size", 8},
	[DISK_ID] = {&ibb_vhdx_item_id, "virtual disk ID", 16},
	[LOGICAL] = {&ibb_vhdx_item_logical, "logical sector size", 4},
	[PHYSICAL] = {&ibb_vhdx_item_physical, "physical sector size", 4},
	[PARENT] = {&ibb_vhdx_item_parent, "parent locator", 0},
};

struct reader {
	struct ibb_disk *file;
	struct ibb_vhdx_range region;
	struct ibb_vhdx_range at[N_ITEMS]; /* in the file; length 0: not there */
	bool empty_item;
};

static int entry_err(const struct reader *m, uint32_t in, int code, const uint8_t *e,
		     const char *what, struct ibb_error *err)
{
	return ibb_vhdx_entry_err(m->file->name, "metadata item", e, m->region.off_bytes + in, code,
				  what, err);
}

static enum item which(const uint8_t *e)
{
	unsigned i = 0;

	/* an item is known by its ID and the user flag together */
	if (ibb_get_le32(e + E_FLAGS) & E_IS_USER)
		return N_ITEMS;
	while (i < N_ITEMS && memcmp(e, known[i].id->b, 16) != 0)
		i++;
	return (enum item)i;
}

static int take_entry(struct reader *m, uint32_t in, const uint8_t *e, struct ibb_error *err)
{
	uint32_t off = ibb_get_le32(e + E_OFFSET), len = ibb_get_le32(e + E_LENGTH);
	enum item i = which(e);

	if (len > ITEM_MAX ||
	    (len && (off < IBB_VHDX_TABLE_BYTES || !ibb_in_range(off, len, m->region.len_bytes))))
		return entry_err(m, in, IBB_E_CORRUPT, e, "lies outside the metadata region", err);
	if (i == N_ITEMS) {
		if (ibb_get_le32(e + E_FLAGS) & E_IS_REQUIRED)
			return entry_err(m, in, IBB_E_UNSUPPORTED, e, "is required, but not known",
					 err);
		m->empty_item = m->empty_item || !len;
		return IBB_OK;
	}
	if (!len || (known[i].len && len != known[i].len))
		return entry_err(m, in, IBB_E_CORRUPT, e, "has the wrong length", err);
	if (m->at[i].len_bytes)
		return entry_err(m, in, IBB_E_CORRUPT, e, "is there twice", err);
	m->at[i] = (struct ibb_vhdx_range){m->region.off_bytes + off, len};
	return IBB_OK;
}

static int read_table(struct reader *m, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(IBB_VHDX_TABLE_BYTES);
	unsigned n;
	int r;

	if (!b)
		return ibb_err_nomem(err);
	r = ibb_disk_pread(m->file, b, IBB_VHDX_TABLE_BYTES, m->region.off_bytes, err);
	if (r)
		return r;
	n = ibb_get_le16(b + T_COUNT);
	if (memcmp(b, "metadata", 8) != 0 || n > IBB_VHDX_TABLE_ENTRIES)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the VHDX metadata table at offset %llu is damaged: signature "
			       "or number of entries",
			       m->file->name, (unsigned long long)m->region.off_bytes);
	for (unsigned i = 0; !r && i < n; i++)
		r = take_entry(m, T_ENTRIES + i * T_ENTRY, b + T_ENTRIES + i * T_ENTRY, err);
	return r;
}

static int read_item(const struct reader *m, enum item i, uint8_t *b, struct ibb_error *err)
{
	if (!m->at[i].len_bytes)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the VHDX metadata (offset %llu) lack the item \"%s\"",
			       m->file->name, (unsigned long long)m->region.off_bytes,
			       known[i].name);
	return ibb_disk_pread(m->file, b, (size_t)m->at[i].len_bytes, m->at[i].off_bytes, err);
}

static int value_err(const struct reader *m, enum item i, uint64_t value, const char *want,
		     struct ibb_error *err)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s: VHDX %s at offset %llu is %llu, not %s",
		       m->file->name, known[i].name, (unsigned long long)m->at[i].off_bytes,
		       (unsigned long long)value, want);
}

static int read_sector(const struct reader *m, enum item i, uint32_t *ret, struct ibb_error *err)
{
	uint8_t b[4];
	int r = read_item(m, i, b, err);

	if (r)
		return r;
	*ret = ibb_get_le32(b);
	return *ret == 512 || *ret == 4096 ? IBB_OK : value_err(m, i, *ret, "512 or 4096", err);
}

static int read_file_parameters(const struct reader *m, struct ibb_vhdx_meta *v,
				struct ibb_error *err)
{
	uint8_t b[8];
	int r = read_item(m, FILE_PARAMETERS, b, err);

	if (r)
		return r;
	v->block_bytes = ibb_get_le32(b);
	v->fixed = ibb_get_le32(b + 4) & LEAVE_BLOCKS;
	v->has_parent = ibb_get_le32(b + 4) & HAS_PARENT;
	if (v->block_bytes < IBB_VHDX_MIB || v->block_bytes > BLOCK_MAX ||
	    !ibb_power_of_two(v->block_bytes))
		return value_err(m, FILE_PARAMETERS, v->block_bytes,
				 "a power of two from 1 to 256 MiB", err);
	return IBB_OK;
}

static int read_size(const struct reader *m, struct ibb_vhdx_meta *v, struct ibb_error *err)
{
	uint8_t b[8];
	int r = read_item(m, DISK_SIZE, b, err);

	if (r)
		return r;
	v->disk_bytes = ibb_get_le64(b);
	if (!v->disk_bytes || v->disk_bytes > DISK_MAX || v->disk_bytes % v->logical_bytes)
		return value_err(m, DISK_SIZE, v->disk_bytes,
				 "a number of whole sectors up to 64 TiB", err);
	return IBB_OK;
}

static int read_parent(const struct reader *m, struct ibb_parent_link *ret, struct ibb_error *err)
{
	const struct ibb_vhdx_range *at = &m->at[PARENT];
	IBB_AUTO_FREE uint8_t *b = ibb_alloc((size_t)at->len_bytes);
	int r;

	if (!b)
		return ibb_err_nomem(err);
	r = read_item(m, PARENT, b, err);
	if (r)
		return r;
	return ibb_vhdx_parent_parse(m->file->name, at->off_bytes, b, (size_t)at->len_bytes, ret,
				     err);
}

int ibb_vhdx_meta_read(struct ibb_disk *file, const struct ibb_vhdx_range *region,
		       struct ibb_vhdx_meta *ret, struct ibb_parent_link *ret_link,
		       struct ibb_error *err)
{
	struct reader m = {.file = file, .region = *region};
	struct ibb_vhdx_meta v = {0};
	int r = read_table(&m, err);

	if (!r)
		r = read_file_parameters(&m, &v, err);
	if (!r)
		r = read_sector(&m, LOGICAL, &v.logical_bytes, err);
	if (!r)
		r = read_sector(&m, PHYSICAL, &v.physical_bytes, err);
	if (!r)
		r = read_size(&m, &v, err);
	if (!r)
		r = read_item(&m, DISK_ID, v.disk_id.b, err);
	if (!r && v.has_parent)
		r = read_parent(&m, ret_link, err);
	v.empty_item = m.empty_item;
	if (!r)
		*ret = v;
	return r;
}
