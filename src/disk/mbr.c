/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "disk/ptable.h"

struct entry {
	uint8_t flag, type;
	uint32_t start_lba, n_sectors;
};

struct reader {
	struct ibb_disk *d;
	struct ibb_ptable *t;
	size_t cap;
};

static struct entry get_entry(const uint8_t *sector, unsigned i)
{
	const uint8_t *b = sector + IBB_MBR_ENTRIES + 16 * i;

	return (struct entry){b[0], b[4], ibb_get_le32(b + 8), ibb_get_le32(b + 12)};
}

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static bool is_empty(const struct entry *e)
{
	return !e->type || !e->n_sectors;
}

/* Turn an entry of the record at base_lba into a partition inside [first, end) of the disk. */
static int place(const struct reader *r, const struct entry *e, unsigned number, uint64_t base_lba,
		 uint64_t first_lba, uint64_t end_lba, struct ibb_partition *ret,
		 struct ibb_error *err)
{
	const uint64_t start = base_lba + e->start_lba, end = start + e->n_sectors;

	if (e->flag & 0x7f)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: MBR partition %u has the boot flag 0x%02x, not 0x00 or 0x80",
			       r->d->name, number, e->flag);
	if (!e->start_lba || start < first_lba || end > end_lba)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: MBR partition %u (LBA %llu to %llu) lies outside LBA %llu to "
			       "%llu: truncated?",
			       r->d->name, number, (unsigned long long)start,
			       (unsigned long long)(end - 1), (unsigned long long)first_lba,
			       (unsigned long long)(end_lba - 1));
	*ret = (struct ibb_partition){
		.number = number,
		.off_bytes = start * r->t->sector_bytes,
		.len_bytes = (uint64_t)e->n_sectors * r->t->sector_bytes,
		.mbr_type = e->type,
		.active = e->flag == 0x80,
	};
	return IBB_OK;
}

static int read_record(const struct reader *r, uint64_t lba, uint8_t *sector, struct ibb_error *err)
{
	uint64_t off = lba * r->t->sector_bytes;
	int code = ibb_disk_pread(r->d, sector, IBB_MBR_BYTES, off, err);

	if (!code && (sector[510] != 0x55 || sector[511] != 0xaa))
		code = ibb_err(err, IBB_E_CORRUPT,
			       "%s: the extended boot record at LBA %llu lacks its signature 55 AA",
			       r->d->name, (unsigned long long)lba);
	return code;
}

static int add_logical(struct reader *r, const struct ibb_partition *ext, const struct entry *e,
		       uint64_t lba, unsigned *number, struct ibb_error *err)
{
	const uint64_t base = ext->off_bytes / r->t->sector_bytes;
	const uint64_t end = base + ext->len_bytes / r->t->sector_bytes;
	struct ibb_partition p;
	int code;

	if (is_empty(e))
		return IBB_OK;
	code = place(r, e, *number, lba, base, end, &p, err);
	if (!code)
		code = ibb_ptable_add(r->t, &r->cap, &p, err);
	if (!code)
		++*number;
	return code;
}

/* Where the chain goes on, as LBA relative to the extended partition. */
static int check_next(const struct reader *r, const struct ibb_partition *ext, uint32_t next,
		      const uint32_t *seen, size_t n_seen, struct ibb_error *err)
{
	const unsigned long long lba = ext->off_bytes / r->t->sector_bytes + next;

	if (next >= ext->len_bytes / r->t->sector_bytes)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the chain of extended boot records leaves partition %u at LBA "
			       "%llu",
			       r->d->name, ext->number, lba);
	for (size_t i = 0; i < n_seen; i++)
		if (seen[i] == next)
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: the chain of extended boot records in partition %u "
				       "loops at LBA %llu",
				       r->d->name, ext->number, lba);
	return IBB_OK;
}

/*
 * The chain inside one extended partition. Each record holds one logical partition, relative to
 * itself, and the way to the next record, relative to the extended partition.
 */
static int read_chain(struct reader *r, const struct ibb_partition *ext, unsigned *number,
		      struct ibb_error *err)
{
	const uint64_t base = ext->off_bytes / r->t->sector_bytes;
	uint32_t seen[IBB_LIMIT_PARTITIONS];
	uint8_t sector[IBB_MBR_BYTES];
	uint32_t rel = 0;

	for (size_t n = 0; n < IBB_LIMIT_PARTITIONS; n++) {
		struct entry e, next;
		int code = read_record(r, base + rel, sector, err);

		if (code)
			return code;
		e = get_entry(sector, 0);
		next = get_entry(sector, 1);
		code = add_logical(r, ext, &e, base + rel, number, err);
		if (code || !is_extended(next.type) || !next.n_sectors)
			return code;
		seen[n] = rel;
		code = check_next(r, ext, next.start_lba, seen, n + 1, err);
		if (code)
			return code;
		rel = next.start_lba;
	}
	return ibb_err(err, IBB_E_LIMIT, "%s: more than %u logical partitions in partition %u",
		       r->d->name, IBB_LIMIT_PARTITIONS, ext->number);
}

int ibb_mbr_read(struct ibb_disk *d, const uint8_t mbr[IBB_MBR_BYTES], struct ibb_ptable *t,
		 struct ibb_error *err)
{
	const uint64_t n_lbas = d->size_bytes / t->sector_bytes;
	struct reader r = {.d = d, .t = t};
	struct ibb_partition prim[4];
	unsigned number = 5;
	size_t n = 0;
	int code;

	t->kind = IBB_PTABLE_MBR;
	for (unsigned i = 0; i < 4; i++) {
		struct entry e = get_entry(mbr, i);

		if (is_empty(&e))
			continue;
		code = place(&r, &e, i + 1, 0, 1, n_lbas, &prim[n], err);
		if (code)
			return code;
		n++;
	}
	/* here with the extended partitions, which the list does not hold */
	code = ibb_ptable_check_overlap(d->name, prim, n, err);
	for (size_t i = 0; !code && i < n; i++)
		if (!is_extended(prim[i].mbr_type))
			code = ibb_ptable_add(t, &r.cap, &prim[i], err);
	for (size_t i = 0; !code && i < n; i++)
		if (is_extended(prim[i].mbr_type))
			code = read_chain(&r, &prim[i], &number, err);
	return code;
}
