/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * MBR and GPT reading, for 512- and 4096-byte logical sectors.
 * Sources: UEFI Specification 2.10, chapter 5 (GPT disk layout, protective MBR); the classic MBR
 * with logical partitions in a chain of extended boot records.
 */
#ifndef IBB_DISK_PARTITION_H
#define IBB_DISK_PARTITION_H

#include "disk/disk.h"

enum ibb_ptable_kind { IBB_PTABLE_NONE, IBB_PTABLE_MBR, IBB_PTABLE_GPT };

struct ibb_partition {
	unsigned number; /* 1-based: GPT entry index + 1; MBR 1-4, logical from 5; 0: no table */
	uint64_t off_bytes, len_bytes;
	uint8_t mbr_type;      /* MBR only */
	bool active;	       /* MBR boot flag */
	struct ibb_guid type;  /* GPT only */
	struct ibb_guid id;    /* GPT unique partition GUID */
	uint64_t attributes;   /* GPT */
	char name[36 * 3 + 1]; /* GPT, UTF-8 */
};

struct ibb_ptable {
	enum ibb_ptable_kind kind;
	uint32_t sector_bytes;	 /* the logical sector size the table was written for */
	struct ibb_guid disk_id; /* GPT */
	uint32_t mbr_signature;
	bool primary_damaged; /* GPT: read from the backup header */
	bool backup_damaged;  /* GPT: the backup is missing, damaged or not at the end */
	/* GPT: where a sound backup lies that the primary names: the last LBA, or an earlier one on
	 * a disk that was made larger since; 0: there is none, or the primary is damaged */
	uint64_t backup_lba;
	size_t n;
	struct ibb_partition *parts; /* ascending number; owned */
};

/*
 * Read the partition table of a disk. Overlapping partitions, partitions past the end, a chain of
 * extended records that loops, a GPT with both headers damaged: IBB_E_CORRUPT with the place.
 * No table at all (a bare volume): kind NONE and one partition spanning the disk, number 0.
 * Extended partitions are not listed, the logical ones in them are. Beside a hybrid MBR the GPT
 * counts. IBB_E_LIMIT beyond IBB_LIMIT_PARTITIONS.
 *
 * A raw file does not tell its sector size: a GPT is looked for with that of the disk, then with
 * the other one (512, 4096). On success d->sector_bytes is the one found, so that slices made
 * afterwards inherit it.
 */
int ibb_ptable_read(struct ibb_disk *d, struct ibb_ptable *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* The same of the disk that its first `bytes` bytes are; d->sector_bytes stays. */
int ibb_ptable_read_part(struct ibb_disk *d, uint64_t bytes, struct ibb_ptable *ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
void ibb_ptable_clear(struct ibb_ptable *t);

/*
 * The disk had old_bytes and has grown at its end: move the backup of its GPT to the new end, and
 * tell the primary header and the protective MBR (the old backup's header is wiped). Nothing is
 * written to a disk whose partition table is no GPT, whatever headers of an older table lie
 * around. Refused with IBB_E_UNSUPPORTED: a GPT of which one header is damaged, whose backup was
 * not at the end, or whose parts lie where the new backup cannot be made without touching a
 * partition; both headers damaged: IBB_E_CORRUPT.
 */
int ibb_gpt_move(struct ibb_disk *d, uint64_t old_bytes, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Does `grown`, as it was read back, have the partition table that the first old_bytes of `source`
 * have: of the same kind, undamaged, with the same partitions? IBB_E_IO. A source whose table
 * cannot be read is not compared.
 */
int ibb_ptable_check_grown(struct ibb_disk *source, uint64_t old_bytes, struct ibb_disk *grown,
			   struct ibb_error *err) IBB_MUST_CHECK;

#endif
