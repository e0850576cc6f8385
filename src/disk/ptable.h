/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between partition.c, gpt.c and mbr.c. */
#ifndef IBB_DISK_PTABLE_H
#define IBB_DISK_PTABLE_H

#include "disk/partition.h"

#define IBB_MBR_BYTES	     512
#define IBB_MBR_ENTRIES	     446
#define IBB_MBR_TYPE_GPT     0xee
#define IBB_GPT_HEADER_BYTES 92

/* Fill an empty *t. `mbr` is the disk's first sector. */
int ibb_gpt_read(struct ibb_disk *d, struct ibb_ptable *t, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_mbr_read(struct ibb_disk *d, const uint8_t mbr[IBB_MBR_BYTES], struct ibb_ptable *t,
		 struct ibb_error *err) IBB_MUST_CHECK;

/* The checksum of a header whose size (at byte 12) is IBB_GPT_HEADER_BYTES at least. */
uint32_t ibb_gpt_header_crc(const uint8_t *b);

/*
 * Is there a GPT header's signature at LBA 1, or else at the last LBA, for one of the two sector
 * sizes? *ret_sector is the one, or that of the disk when there is none.
 */
int ibb_gpt_find(struct ibb_disk *d, bool *ret_found, uint32_t *ret_sector,
		 struct ibb_error *err) IBB_MUST_CHECK;

/* Append a partition; *cap is the capacity of t->parts. */
int ibb_ptable_add(struct ibb_ptable *t, size_t *cap, const struct ibb_partition *p,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* IBB_E_CORRUPT when two of n partitions share a byte. */
int ibb_ptable_check_overlap(const char *name, const struct ibb_partition *parts, size_t n,
			     struct ibb_error *err) IBB_MUST_CHECK;

#endif
