/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Virtual Hard Disk v2.
 * Source: Microsoft, [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format"; libyal's "Virtual Hard
 * Disk (VHD) image format".
 */
#ifndef IBB_DISK_VHDX_H
#define IBB_DISK_VHDX_H

#include "disk/link.h"

struct ibb_vhdx_info {
	uint64_t disk_bytes;
	uint32_t block_bytes, logical_sector_bytes, physical_sector_bytes;
	bool fixed;		       /* LeaveBlockAllocated */
	struct ibb_guid disk_id;       /* virtual disk ID (page 83 data), bytes of the file */
	struct ibb_guid data_write_id; /* of the current header: what a child's linkage names */
	uint64_t allocated_blocks;
	uint64_t table_off; /* where the block allocation table begins in the file */
	bool log_replayed;  /* the log was not empty: its entries were laid over the file, in memory
			     */
	uint64_t log_bytes; /* how many bytes of the file it brought */
	/* offset of a header, and of a region table, that is damaged: its other copy is sound, and
	 * was used; 0: both copies are sound */
	uint32_t bad_header_at, bad_region_at;
	bool empty_item; /* the metadata have an item without content that nobody here knows */
};

/*
 * Any VHDX. Checked as a whole when opened: both headers (CRC-32C; the one with the higher
 * sequence number), region and metadata tables, every entry of the block allocation table (past
 * the end, overlapping, state): IBB_E_CORRUPT with the place. A required region or metadata item
 * that is not known: IBB_E_UNSUPPORTED. A log that is not empty is replayed in memory, in an
 * overlay over the file; the file is never written. A log without a valid sequence of entries, or
 * of a file that is shorter than the log knows it: IBB_E_CORRUPT. More blocks than
 * IBB_LIMIT_VHDX_BLOCKS, or a log made to be searched for hours: IBB_E_LIMIT. The disk's
 * sector_bytes are the logical ones. Parent as for VHD; its logical sectors have to be the child's
 * (IBB_E_UNSUPPORTED).
 */
int ibb_disk_vhdx_open(struct ibb_disk *file, struct ibb_vhdx_info *ret_info,
		       struct ibb_parent_link *ret_link, struct ibb_disk **ret,
		       struct ibb_error *err) IBB_MUST_CHECK;
int ibb_disk_vhdx_set_parent(struct ibb_disk *child, struct ibb_disk *parent,
			     struct ibb_error *err) IBB_MUST_CHECK;

#endif
