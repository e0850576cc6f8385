/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Write partition tables, for tests and generators. Shares no code with the reader that is tested
 * with them (checksums included).
 */
#ifndef IBB_MKDISK_H
#define IBB_MKDISK_H

#include "disk/disk.h"

struct mkdisk_part {
	uint64_t off_bytes, len_bytes; /* whole sectors */
	/* GPT */
	struct ibb_guid type, id;
	uint64_t attributes;
	const char *name; /* ASCII, at most 36; NULL: none */
	/* MBR */
	uint8_t mbr_type;
	bool active;
	bool logical; /* in an extended partition; its record lies 1 MiB before it */
};

/* Type GUIDs as Windows names them: EFI system, Microsoft reserved, basic data. */
extern const struct ibb_guid mkdisk_esp, mkdisk_msr, mkdisk_data;

/* CRC-32, bit by bit. */
uint32_t mkdisk_crc32(const void *p, size_t n);

/*
 * Protective MBR, primary and backup GPT with 128 entries, for d's sector size and size.
 * IBB_E_INVALID when a partition does not fit the usable range.
 */
int mkdisk_gpt(struct ibb_disk *d, const struct mkdisk_part *parts, size_t n,
	       const struct ibb_guid *disk_id, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * An MBR with up to four primary partitions; all logical ones, in ascending order, go into one
 * extended partition (type 0F), which takes the slot behind the primary ones.
 */
int mkdisk_mbr(struct ibb_disk *d, const struct mkdisk_part *parts, size_t n, uint32_t signature,
	       struct ibb_error *err) IBB_MUST_CHECK;

#endif
