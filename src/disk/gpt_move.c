/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A GPT after its disk has grown: the backup belongs to the last block of the disk (UEFI
 * Specification 2.10, section 5.3.1), and the primary header says where that is.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "disk/ptable.h"

/* Offsets in a header, section 5.3.2. */
enum {
	H_SIZE = 12,
	H_CRC = 16,
	H_MY_LBA = 24,
	H_ALTERNATE_LBA = 32,
	H_LAST_USABLE = 48,
	H_ENTRIES_LBA = 72,
	H_N_ENTRIES = 80,
	H_ENTRY_BYTES = 84,
};

struct move {
	struct ibb_disk *d;
	uint32_t sector;
	uint64_t old_last, new_last; /* LBA */
	uint64_t old_backup;	     /* LBA: old_last, or earlier when the disk grew before */
	uint64_t grown_bytes;
	size_t entries_bytes;
	uint64_t entries_sectors;
	uint8_t header[4096]; /* of the primary, a sector */
	uint8_t mbr[512];
};

/* Is there anything of a GPT? Then a table that cannot be read is one that cannot be moved. */
static int unreadable(struct ibb_disk *d, uint64_t old_bytes, int why, struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *old = NULL;
	struct ibb_error ignored = {0};
	bool found = false;
	uint32_t sector;
	int r = why;

	if (why == IBB_E_CORRUPT || why == IBB_E_LIMIT)
		r = ibb_disk_slice_new(d, 0, old_bytes, &old, &ignored);
	if (!r)
		r = ibb_gpt_find(old, &found, &sector, &ignored);
	if (r && r != why && err)
		*err = ignored;
	return r || !found ? r : why;
}

static IBB_PRINTF(4, 5) int refuse(const struct move *m, const char *remedy, struct ibb_error *err,
				   const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s: the disk has to grow by %llu bytes to whole MiB, but %s", m->d->name,
		(unsigned long long)m->grown_bytes, why);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED, "%s", remedy);
}

/*
 * What the disk's own table says, not what lies around: an MBR disk may well have the headers of a
 * GPT that it had before. *ret: it is a GPT, and both headers were found sound.
 */
static int check_table(struct move *m, uint64_t old_bytes, bool *ret, struct ibb_error *err)
{
	struct ibb_ptable t = {0};
	int r = ibb_ptable_read_part(m->d, old_bytes, &t, err);

	*ret = false;
	if (r)
		return unreadable(m->d, old_bytes, r, err);
	m->sector = t.sector_bytes;
	if (t.kind == IBB_PTABLE_GPT && m->d->size_bytes / m->sector != old_bytes / m->sector) {
		*ret = true;
		m->old_backup = t.backup_lba;
		/* not sgdisk on the image itself: it would write over a VHD's footer */
		if (!t.backup_lba)
			r = refuse(m,
				   "make a raw disk of it (ibbake convert IMAGE --format=raw -o "
				   "disk.raw), repair that (sgdisk -e disk.raw) and use it instead",
				   err, "the %s GPT header is damaged, missing or not at its place",
				   t.primary_damaged ? "primary" : "backup");
	}
	ibb_ptable_clear(&t);
	return r;
}

static const char other_layout[] =
	"keep the size: convert or bake with --format=raw, or --format=vhdx";

/* Some tools lay a GPT out otherwise than all others; a partition must not be touched for that. */
static int check_room(const struct move *m, struct ibb_error *err)
{
	const uint64_t last_usable = ibb_get_le64(m->header + H_LAST_USABLE);
	const uint64_t entries = ibb_get_le64(m->header + H_ENTRIES_LBA);

	/* the new backup is written to the end, where the primary's entries have to stay */
	if (entries > last_usable)
		return refuse(m, other_layout, err,
			      "the partition entries of its primary GPT header lie at the end of "
			      "the disk (LBA %llu)",
			      (unsigned long long)entries);
	if (last_usable >= m->old_backup)
		return refuse(m, other_layout, err,
			      "its GPT lets partitions reach over its backup header at LBA %llu",
			      (unsigned long long)m->old_backup);
	if (m->new_last < m->entries_sectors + 1 ||
	    m->new_last - m->entries_sectors - 1 < last_usable)
		return refuse(m, other_layout, err,
			      "its GPT lets partitions reach to LBA %llu, which leaves no room for "
			      "the backup behind it",
			      (unsigned long long)last_usable);
	return IBB_OK;
}

static int load(struct move *m, struct ibb_error *err)
{
	const uint8_t *h = m->header;
	int r = ibb_disk_pread(m->d, m->header, m->sector, m->sector, err);

	if (!r)
		r = ibb_disk_pread(m->d, m->mbr, sizeof(m->mbr), 0, err);
	if (r)
		return r;
	m->entries_bytes = (size_t)ibb_get_le32(h + H_N_ENTRIES) * ibb_get_le32(h + H_ENTRY_BYTES);
	m->entries_sectors = (m->entries_bytes + m->sector - 1) / m->sector;
	/* ibb_ptable_read() accepted the header, so these hold; nothing is written if not */
	if (ibb_get_le32(h + H_SIZE) < IBB_GPT_HEADER_BYTES ||
	    ibb_get_le32(h + H_SIZE) > m->sector ||
	    ibb_get_le32(h + H_N_ENTRIES) > IBB_LIMIT_PARTITIONS)
		return ibb_err(err, IBB_E_INTERNAL,
			       "%s: the GPT header at offset %u is not the one that was read",
			       m->d->name, m->sector);
	return check_room(m, err);
}

static int put_header(struct move *m, uint64_t lba, uint64_t other, uint64_t entries_lba,
		      struct ibb_error *err)
{
	uint8_t *h = m->header;

	ibb_put_le64(h + H_MY_LBA, lba);
	ibb_put_le64(h + H_ALTERNATE_LBA, other);
	ibb_put_le64(h + H_LAST_USABLE, m->new_last - m->entries_sectors - 1);
	ibb_put_le64(h + H_ENTRIES_LBA, entries_lba);
	ibb_put_le32(h + H_CRC, ibb_gpt_header_crc(h));
	return ibb_disk_pwrite(m->d, h, m->sector, lba * m->sector, err);
}

/* Of the protective entry, the size: the whole disk, as far as 32 bits go (table 5-4). */
static int put_mbr(struct move *m, struct ibb_error *err)
{
	const uint64_t before = m->old_last < UINT32_MAX ? m->old_last : UINT32_MAX;
	const uint64_t first = m->old_backup < UINT32_MAX ? m->old_backup : UINT32_MAX;
	bool changed = false;

	for (unsigned i = 0; i < 4; i++) {
		uint8_t *e = m->mbr + IBB_MBR_ENTRIES + 16 * i;

		if (e[4] != IBB_MBR_TYPE_GPT || ibb_get_le32(e + 8) != 1 ||
		    (ibb_get_le32(e + 12) != before && ibb_get_le32(e + 12) != first))
			continue;
		ibb_put_le32(e + 12, m->new_last < UINT32_MAX ? (uint32_t)m->new_last : UINT32_MAX);
		changed = true;
	}
	return changed ? ibb_disk_pwrite(m->d, m->mbr, sizeof(m->mbr), 0, err) : IBB_OK;
}

static int move(struct move *m, struct ibb_error *err)
{
	const uint64_t entries_lba = ibb_get_le64(m->header + H_ENTRIES_LBA);
	const uint64_t new_entries = m->new_last - m->entries_sectors;
	IBB_AUTO_FREE uint8_t *entries = ibb_zalloc((size_t)m->entries_sectors * m->sector);
	static const uint8_t nothing[4096];
	int r;

	if (!entries)
		return ibb_err_nomem(err);
	r = ibb_disk_pread(m->d, entries, m->entries_bytes, entries_lba * m->sector, err);
	/* the old header first: the new entries may lie over it */
	if (!r)
		r = ibb_disk_pwrite(m->d, nothing, m->sector, m->old_backup * m->sector, err);
	if (!r)
		r = ibb_disk_pwrite(m->d, entries, (size_t)m->entries_sectors * m->sector,
				    new_entries * m->sector, err);
	if (!r)
		r = put_header(m, m->new_last, 1, new_entries, err);
	if (!r)
		r = put_header(m, 1, m->new_last, entries_lba, err);
	return r ? r : put_mbr(m, err);
}

int ibb_gpt_move(struct ibb_disk *d, uint64_t old_bytes, struct ibb_error *err)
{
	IBB_AUTO_FREE struct move *m = ibb_zalloc(sizeof(*m));
	bool is_gpt;
	int r;

	if (!m)
		return ibb_err_nomem(err);
	m->d = d;
	m->grown_bytes = d->size_bytes - old_bytes;
	r = check_table(m, old_bytes, &is_gpt, err);
	if (!r && is_gpt) {
		m->old_last = old_bytes / m->sector - 1;
		m->new_last = d->size_bytes / m->sector - 1;
		r = load(m, err);
		if (!r)
			r = move(m, err);
	}
	return r;
}

/* ---- read back ---- */

static bool same_partition(const struct ibb_partition *a, const struct ibb_partition *b)
{
	return a->number == b->number && a->off_bytes == b->off_bytes &&
	       a->len_bytes == b->len_bytes && a->mbr_type == b->mbr_type &&
	       a->active == b->active && a->attributes == b->attributes &&
	       ibb_guid_equal(&a->type, &b->type) && ibb_guid_equal(&a->id, &b->id) &&
	       strcmp(a->name, b->name) == 0;
}

/* What is wrong with b, which was made from a; NULL: nothing. */
static const char *difference(const struct ibb_ptable *a, const struct ibb_ptable *b)
{
	if (a->kind != b->kind)
		return "is of another kind";
	if (b->primary_damaged || b->backup_damaged)
		return b->primary_damaged ? "has a damaged primary header"
					  : "has a damaged backup header";
	/* without a table the one partition is the disk, which has grown */
	if (a->kind == IBB_PTABLE_NONE)
		return NULL;
	if (a->sector_bytes != b->sector_bytes || !ibb_guid_equal(&a->disk_id, &b->disk_id) ||
	    a->mbr_signature != b->mbr_signature)
		return "has another sector size or identity";
	if (a->n != b->n)
		return "has another number of partitions";
	for (size_t i = 0; i < a->n; i++)
		if (!same_partition(&a->parts[i], &b->parts[i]))
			return "has another partition";
	return NULL;
}

int ibb_ptable_check_grown(struct ibb_disk *source, uint64_t old_bytes, struct ibb_disk *grown,
			   struct ibb_error *err)
{
	struct ibb_ptable a = {0}, b = {0};
	struct ibb_error own = {0};
	const char *what;
	int r = ibb_ptable_read_part(source, old_bytes, &a, &own);

	if (r == IBB_E_CORRUPT || r == IBB_E_LIMIT)
		return IBB_OK;
	if (!r)
		r = ibb_ptable_read_part(grown, grown->size_bytes, &b, &own);
	if (r && err)
		*err = own;
	what = r ? NULL : difference(&a, &b);
	ibb_ptable_clear(&a);
	ibb_ptable_clear(&b);
	return what ? ibb_err(err, IBB_E_IO, "%s: the partition table reads back wrong: it %s",
			      grown->name, what)
		    : r;
}
