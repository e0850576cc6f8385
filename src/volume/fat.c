/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The volume: boot sector, allocation table, chains of clusters. Directories: fat_dir.c. */
#include "volume/fat_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"

#define BOOT_BYTES  512u
#define FAT16_ABOVE 4085u /* clusters: fewer are FAT12 */
#define FAT32_ABOVE 65525u

static int bad_boot(const struct ibb_disk *d, struct ibb_error *err, const char *what, uint64_t v)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s: FAT boot sector: %s (%llu)", d->name, what,
		       (unsigned long long)v);
}

/* Does it claim to be FAT? Other file systems keep zeros, or something else, in these fields. */
static bool looks_like_fat(const uint8_t *b)
{
	if (b[510] != 0x55 || b[511] != 0xaa || (b[0] != 0xeb && b[0] != 0xe9))
		return false;
	if (!memcmp(b + 3, "NTFS    ", 8) || !memcmp(b + 3, "EXFAT   ", 8) ||
	    !memcmp(b + 3, "-FVE-FS-", 8))
		return false;
	return b[16] && b[21] >= 0xf0 && ibb_get_le16(b + 11);
}

/* What the boot sector says, before anything of it is believed. */
struct boot {
	uint32_t sector, per_cluster, reserved, tables, root_entries, table_sectors;
	uint64_t sectors;
	bool large; /* FAT32: the size of the tables is in the second field */
};

static void parse_boot(const uint8_t *b, struct boot *ret)
{
	*ret = (struct boot){.sector = ibb_get_le16(b + 11),
			     .per_cluster = b[13],
			     .reserved = ibb_get_le16(b + 14),
			     .tables = b[16],
			     .root_entries = ibb_get_le16(b + 17),
			     .table_sectors = ibb_get_le16(b + 22),
			     .sectors = ibb_get_le16(b + 19),
			     .large = !ibb_get_le16(b + 22)};
	if (ret->large)
		ret->table_sectors = ibb_get_le32(b + 36);
	if (!ret->sectors)
		ret->sectors = ibb_get_le32(b + 32);
}

static int check_boot(const struct ibb_disk *d, const struct boot *b, struct ibb_error *err)
{
	if (!ibb_power_of_two(b->sector) || b->sector < 512 || b->sector > 4096)
		return bad_boot(d, err, "bytes per sector", b->sector);
	if (!ibb_power_of_two(b->per_cluster))
		return bad_boot(d, err, "sectors per cluster", b->per_cluster);
	if (!b->reserved)
		return bad_boot(d, err, "reserved sectors", b->reserved);
	if (!b->table_sectors)
		return bad_boot(d, err, "sectors of an allocation table", b->table_sectors);
	if (!b->large && !b->root_entries)
		return bad_boot(d, err, "entries of the root directory", b->root_entries);
	if (!b->sectors || b->sectors * b->sector > d->size_bytes)
		return bad_boot(d, err, "sectors do not fit the partition", b->sectors);
	return IBB_OK;
}

/*
 * Which of the three it is follows from the number of clusters. Firmware and Linux take a volume
 * without a 16-bit table size as FAT32 also when it is smaller than the document wants.
 */
static int lay_out(struct ibb_fat *f, const struct boot *b, const uint8_t *raw,
		   struct ibb_error *err)
{
	const uint64_t root_sectors =
		b->large ? 0 : ((uint64_t)b->root_entries * 32 + b->sector - 1) / b->sector;
	const uint64_t root = b->reserved + (uint64_t)b->tables * b->table_sectors;
	const uint64_t data = root + root_sectors;
	const uint64_t table_bytes = (uint64_t)b->table_sectors * b->sector;
	uint64_t clusters, mapped;

	if (data >= b->sectors)
		return bad_boot(f->disk, err, "the data area begins past the end, sector", data);
	clusters = (b->sectors - data) / b->per_cluster;
	f->bits = b->large ? 32 : clusters < FAT16_ABOVE ? 12 : 16;
	if (!b->large && clusters >= FAT32_ABOVE)
		return bad_boot(f->disk, err, "too many clusters for FAT16", clusters);
	mapped = table_bytes * 8 / f->bits; /* entries, the two in front of the first among them */
	if (mapped <= 2)
		return bad_boot(f->disk, err, "sectors of an allocation table", b->table_sectors);
	f->n_clusters = (uint32_t)(clusters < mapped - 2 ? clusters : mapped - 2);
	if (f->n_clusters > 0x0ffffff5)
		return bad_boot(f->disk, err, "too many clusters", clusters);
	f->cluster_bytes = b->per_cluster * b->sector;
	f->table_off = (uint64_t)b->reserved * b->sector;
	f->root_off = root * b->sector;
	f->root_bytes = b->large ? 0 : (uint64_t)b->root_entries * 32;
	f->data_off = data * b->sector;
	if (b->large) {
		const uint16_t flags = ibb_get_le16(raw + 40);

		f->root_cluster = ibb_get_le32(raw + 44);
		/* without mirroring, one table is the current one */
		if ((flags & 0x80) && (flags & 0x0f) < b->tables)
			f->table_off += (flags & 0x0f) * table_bytes;
	}
	return IBB_OK;
}

int ibb_fat_open(struct ibb_disk *d, struct ibb_fat **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_fat_close) struct ibb_fat *f = NULL;
	uint8_t raw[BOOT_BYTES];
	struct boot b;
	int r;

	if (d->size_bytes < BOOT_BYTES)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no FAT volume", d->name);
	r = ibb_disk_pread(d, raw, sizeof(raw), 0, err);
	if (r)
		return r;
	if (!looks_like_fat(raw))
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no FAT volume", d->name);
	parse_boot(raw, &b);
	r = check_boot(d, &b, err);
	if (r)
		return r;
	f = ibb_zalloc(sizeof(*f));
	if (!f)
		return ibb_err_nomem(err);
	f->disk = ibb_disk_ref(d);
	r = lay_out(f, &b, raw, err);
	if (!r && f->bits == 32)
		r = ibb_fat_check_cluster(f, f->root_cluster, "the root directory", err);
	if (r)
		return r;
	*ret = IBB_TAKE(f);
	return IBB_OK;
}

void ibb_fat_close(struct ibb_fat *f)
{
	if (!f)
		return;
	ibb_disk_unref(f->disk);
	free(f);
}

unsigned ibb_fat_bits(const struct ibb_fat *f)
{
	return f->bits;
}

int ibb_fat_check_cluster(const struct ibb_fat *f, uint32_t c, const char *what,
			  struct ibb_error *err)
{
	if (c >= 2 && c - 2 < f->n_clusters)
		return IBB_OK;
	return ibb_err(err, IBB_E_CORRUPT, "%s: %s leads to cluster %u, and the volume has 2 to %u",
		       f->disk->name, what, c, f->n_clusters + 1);
}

uint64_t ibb_fat_cluster_off(const struct ibb_fat *f, uint32_t c)
{
	return f->data_off + (uint64_t)(c - 2) * f->cluster_bytes;
}

int ibb_fat_next(const struct ibb_fat *f, uint32_t c, uint32_t *ret, struct ibb_error *err)
{
	const uint64_t at = f->table_off + (uint64_t)c * f->bits / 8;
	const size_t n = f->bits == 32 ? 4 : 2;
	uint8_t b[4] = {0};
	uint32_t v, end;
	int r = ibb_disk_pread(f->disk, b, n, at, err);

	if (r)
		return r;
	v = ibb_get_le32(b);
	if (f->bits == 12)
		v = c & 1 ? v >> 4 : v & 0xfff;
	v &= 0x0fffffff;
	end = f->bits == 12 ? 0xff8 : f->bits == 16 ? 0xfff8 : 0x0ffffff8;
	if (v >= end) {
		*ret = 0;
		return IBB_OK;
	}
	r = ibb_fat_check_cluster(f, v, "the allocation table", err);
	if (!r)
		*ret = v;
	return r;
}

int ibb_fat_read(struct ibb_fat *f, const char *path, uint32_t limit, struct ibb_buf *ret,
		 struct ibb_error *err)
{
	struct ibb_fat_entry e;
	uint32_t left, c;
	int r = ibb_fat_lookup(f, path, &e, err);

	if (r)
		return r;
	if (e.directory)
		return ibb_err(err, IBB_E_CONFLICT, "%s: %s is a directory", f->disk->name, path);
	left = e.size_bytes < limit ? e.size_bytes : limit;
	c = e.cluster;
	if (left)
		r = ibb_fat_check_cluster(f, c, path, err);
	/* ends by itself: every round takes something off */
	while (left && !r) {
		uint32_t n = left < f->cluster_bytes ? left : f->cluster_bytes;

		if (ibb_buf_reserve(ret, ret->len + n))
			return ibb_err_nomem(err);
		r = ibb_disk_pread(f->disk, ret->data + ret->len, n, ibb_fat_cluster_off(f, c),
				   err);
		if (r)
			break;
		ret->len += n;
		left -= n;
		if (left)
			r = ibb_fat_next(f, c, &c, err);
		if (left && !r && !c)
			r = ibb_err(err, IBB_E_CORRUPT,
				    "%s: %s: the chain of clusters ends before its %u bytes",
				    f->disk->name, path, e.size_bytes);
	}
	return r;
}
