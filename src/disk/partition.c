/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/partition.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "disk/ptable.h"

void ibb_ptable_clear(struct ibb_ptable *t)
{
	free(t->parts);
	*t = (struct ibb_ptable){0};
}

int ibb_ptable_add(struct ibb_ptable *t, size_t *cap, const struct ibb_partition *p,
		   struct ibb_error *err)
{
	if (ibb_grow(&t->parts, cap, t->n, sizeof(*t->parts)))
		return ibb_err_nomem(err);
	t->parts[t->n++] = *p;
	return IBB_OK;
}

static int by_offset(const void *a, const void *b)
{
	const struct ibb_partition *const *x = a, *const *y = b;

	if ((*x)->off_bytes != (*y)->off_bytes)
		return (*x)->off_bytes < (*y)->off_bytes ? -1 : 1;
	return (*x)->number < (*y)->number ? -1 : (*x)->number > (*y)->number;
}

int ibb_ptable_check_overlap(const char *name, const struct ibb_partition *parts, size_t n,
			     struct ibb_error *err)
{
	IBB_AUTO_FREE const struct ibb_partition **order = ibb_calloc_array(n, sizeof(*order));

	if (!order)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < n; i++)
		order[i] = &parts[i];
	qsort(order, n, sizeof(*order), by_offset);
	for (size_t i = 1; i < n; i++) {
		const struct ibb_partition *a = order[i - 1], *b = order[i];

		if (b->off_bytes - a->off_bytes < a->len_bytes)
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: partitions %u and %u overlap at offset %llu", name,
				       a->number, b->number, (unsigned long long)b->off_bytes);
	}
	return IBB_OK;
}

/* The BIOS parameter block of FAT, where a partition table's boot code would lie. */
static bool is_fat(const uint8_t *b)
{
	const uint16_t sector = ibb_get_le16(b + 11);

	if (b[0] != 0xe9 && (b[0] != 0xeb || b[2] != 0x90))
		return false;
	if (sector < 512 || sector > 4096 || !ibb_power_of_two(sector) || !ibb_power_of_two(b[13]))
		return false;
	if (!ibb_get_le16(b + 14) || b[16] < 1 || b[16] > 2 || b[21] < 0xf0)
		return false;
	return memcmp(b + 54, "FAT", 3) == 0 || memcmp(b + 82, "FAT32   ", 8) == 0;
}

/* A volume without a partition table: its boot sector ends in 55 AA like an MBR. */
static bool is_volume_boot_record(const uint8_t b[IBB_MBR_BYTES])
{
	static const char oem_ids[][9] = {"NTFS    ", "-FVE-FS-", "EXFAT   ", "ReFS\0\0\0\0"};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(oem_ids); i++)
		if (memcmp(b + 3, oem_ids[i], 8) == 0)
			return true;
	return is_fat(b);
}

static int bare_volume(const struct ibb_disk *d, struct ibb_ptable *t, struct ibb_error *err)
{
	const struct ibb_partition whole = {.len_bytes = d->size_bytes};
	size_t cap = 0;

	t->kind = IBB_PTABLE_NONE;
	return ibb_ptable_add(t, &cap, &whole, err);
}

static bool has_gpt_entry(const uint8_t *mbr)
{
	for (unsigned i = 0; i < 4; i++)
		if (mbr[IBB_MBR_ENTRIES + 16 * i + 4] == IBB_MBR_TYPE_GPT)
			return true;
	return false;
}

/* Neither a boot sector nor an MBR: a GPT whose first sector was lost is no bare volume. */
static int no_boot_sector(struct ibb_disk *d, struct ibb_ptable *t, struct ibb_error *err)
{
	uint32_t sector;
	bool found;
	int r = ibb_gpt_find(d, &found, &sector, err);

	if (r)
		return r;
	if (found)
		return ibb_err(
			err, IBB_E_CORRUPT,
			"%s: there is a GPT header (%u-byte sectors), but the protective MBR "
			"at offset 0 is damaged",
			d->name, sector);
	return bare_volume(d, t, err);
}

static int read_table(struct ibb_disk *d, struct ibb_ptable *t, struct ibb_error *err)
{
	uint8_t mbr[IBB_MBR_BYTES];
	int r;

	if (d->size_bytes < sizeof(mbr))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: a disk of %llu bytes has no room for a partition table",
			       d->name, (unsigned long long)d->size_bytes);
	r = ibb_disk_pread(d, mbr, sizeof(mbr), 0, err);
	if (r)
		return r;
	t->sector_bytes = d->sector_bytes;
	if (is_volume_boot_record(mbr))
		return bare_volume(d, t, err);
	if (mbr[510] != 0x55 || mbr[511] != 0xaa)
		return no_boot_sector(d, t, err);
	t->mbr_signature = ibb_get_le32(mbr + 440);
	/* a hybrid MBR's other entries are for systems that know no GPT */
	if (has_gpt_entry(mbr))
		return ibb_gpt_read(d, t, err);
	return ibb_mbr_read(d, mbr, t, err);
}

int ibb_ptable_read(struct ibb_disk *d, struct ibb_ptable *ret, struct ibb_error *err)
{
	struct ibb_ptable t = {0};
	int r = read_table(d, &t, err);

	if (!r)
		r = ibb_ptable_check_overlap(d->name, t.parts, t.n, err);
	if (r) {
		ibb_ptable_clear(&t);
		return r;
	}
	d->sector_bytes = t.sector_bytes;
	*ret = t;
	return IBB_OK;
}

int ibb_ptable_read_part(struct ibb_disk *d, uint64_t bytes, struct ibb_ptable *ret,
			 struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *part = NULL;
	int r = ibb_disk_slice_new(d, 0, bytes, &part, err);

	return r ? r : ibb_ptable_read(part, ret, err);
}
