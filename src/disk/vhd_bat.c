/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The block allocation table, and that nothing in the file lies over something else. */
#include "disk/vhd_internal.h"

#include <stdlib.h>

#include "base/le.h"

uint32_t ibb_vhd_bitmap_bytes(uint32_t block_bytes)
{
	const uint32_t bytes = (block_bytes / IBB_VHD_SECTOR + 7) / 8;

	return (bytes + IBB_VHD_SECTOR - 1) / IBB_VHD_SECTOR * IBB_VHD_SECTOR;
}

static int check_regions(const char *name, const struct ibb_vhd_layout *l, struct ibb_error *err)
{
	for (size_t i = 0; i < l->n; i++) {
		for (size_t k = 0; k < i; k++) {
			const struct ibb_vhd_region *a = &l->region[k], *b = &l->region[i];

			if (!(a->path && b->path) && a->off < b->off + b->len &&
			    b->off < a->off + a->len)
				return ibb_err(err, IBB_E_CORRUPT,
					       "%s: the %s at offset %llu and the %s at offset "
					       "%llu overlap",
					       name, a->what, (unsigned long long)a->off, b->what,
					       (unsigned long long)b->off);
		}
	}
	return IBB_OK;
}

static int check_entry(const char *name, uint64_t block, uint32_t entry,
		       const struct ibb_vhd_layout *l, struct ibb_error *err)
{
	const uint64_t off = (uint64_t)entry * IBB_VHD_SECTOR;

	if (!ibb_in_range(off, l->block_bytes, l->end))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: block %llu (%llu bytes at offset %llu) lies past offset %llu, "
			       "where the blocks end: truncated, or a damaged table",
			       name, (unsigned long long)block, (unsigned long long)l->block_bytes,
			       (unsigned long long)off, (unsigned long long)l->end);
	for (size_t i = 0; i < l->n; i++) {
		const struct ibb_vhd_region *r = &l->region[i];

		if (off < r->off + r->len && r->off < off + l->block_bytes)
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: block %llu at offset %llu overlaps the %s at offset "
				       "%llu",
				       name, (unsigned long long)block, (unsigned long long)off,
				       r->what, (unsigned long long)r->off);
	}
	return IBB_OK;
}

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* For the message: which block has its second appearance, or its first, at this sector? */
static uint64_t find(const uint32_t *bat, uint64_t n, uint32_t entry, bool last)
{
	uint64_t found = 0;

	for (uint64_t i = 0; i < n; i++) {
		if (bat[i] != entry)
			continue;
		found = i;
		if (!last)
			break;
	}
	return found;
}

static int check_overlap(const char *name, const uint32_t *bat, uint64_t n, uint64_t allocated,
			 uint64_t block_bytes, struct ibb_error *err)
{
	IBB_AUTO_FREE uint32_t *sorted = NULL;
	bool in_order = true;
	size_t k = 0;

	if (allocated < 2)
		return IBB_OK;
	sorted = ibb_calloc_array((size_t)allocated, sizeof(*sorted));
	if (!sorted)
		return ibb_err_nomem(err);
	for (uint64_t i = 0; i < n; i++) {
		if (bat[i] == IBB_VHD_UNALLOCATED)
			continue;
		in_order = in_order && (!k || sorted[k - 1] < bat[i]);
		sorted[k++] = bat[i];
	}
	if (!in_order)
		qsort(sorted, k, sizeof(*sorted), compare);
	for (size_t i = 1; i < k; i++) {
		const uint64_t a = (uint64_t)sorted[i - 1] * IBB_VHD_SECTOR,
			       b = (uint64_t)sorted[i] * IBB_VHD_SECTOR;

		if (a + block_bytes > b)
			return ibb_err(
				err, IBB_E_CORRUPT,
				"%s: block %llu at offset %llu and block %llu at offset %llu "
				"overlap",
				name, (unsigned long long)find(bat, n, sorted[i - 1], false),
				(unsigned long long)a,
				(unsigned long long)find(bat, n, sorted[i], true),
				(unsigned long long)b);
	}
	return IBB_OK;
}

int ibb_vhd_bat_read(struct ibb_disk *file, uint64_t off, uint64_t n,
		     const struct ibb_vhd_layout *layout, uint32_t **ret, uint64_t *ret_allocated,
		     struct ibb_error *err)
{
	IBB_AUTO_FREE uint32_t *bat = NULL;
	uint64_t allocated = 0;
	int r = check_regions(file->name, layout, err);

	if (r)
		return r;
	bat = ibb_calloc_array((size_t)n, sizeof(*bat));
	if (!bat)
		return ibb_err_nomem(err);
	r = ibb_disk_pread(file, bat, (size_t)n * sizeof(*bat), off, err);
	for (uint64_t i = 0; !r && i < n; i++) {
		bat[i] = ibb_get_be32(&bat[i]);
		if (bat[i] == IBB_VHD_UNALLOCATED)
			continue;
		allocated++;
		r = check_entry(file->name, i, bat[i], layout, err);
	}
	if (!r)
		r = check_overlap(file->name, bat, n, allocated, layout->block_bytes, err);
	if (r)
		return r;
	*ret = IBB_TAKE(bat);
	*ret_allocated = allocated;
	return IBB_OK;
}
