/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Between the files of the VHD reader and writer.
 *
 * A dynamic or differencing VHD is: copy of the footer at 0, dynamic disk header, block allocation
 * table (a sector number for each block), blocks (a bitmap with a bit for each sector, then the
 * sectors) in any order, footer. Integers are big endian.
 */
#ifndef IBB_DISK_VHD_INTERNAL_H
#define IBB_DISK_VHD_INTERNAL_H

#include "disk/vhd.h"

#define IBB_VHD_HEADER_BYTES 1024
#define IBB_VHD_SECTOR	     512u
#define IBB_VHD_LOCATORS     8
#define IBB_VHD_UNALLOCATED  0xffffffffu /* entry of the table */

/* The first sector's bit is the most significant one of the first byte. */
#define IBB_VHD_BIT(sector) ((uint8_t)(0x80u >> (sector) % 8))

/* One's complement of the sum of n bytes without the checksum itself, which stands at `at`. */
uint32_t ibb_vhd_checksum(const uint8_t *b, size_t n, size_t at);

/* IBB_E_UNSUPPORTED when the footer says that a machine in saved state owns the disk. */
int ibb_vhd_check_saved(const char *name, const struct ibb_vhd_footer *f,
			struct ibb_error *err) IBB_MUST_CHECK;

struct ibb_vhd_locator {
	uint32_t code; /* four characters; 0: the entry is not used */
	uint32_t len_bytes;
	uint64_t off_bytes;
};

struct ibb_vhd_header {
	uint64_t off; /* in the file, for messages */
	uint64_t table_off;
	uint32_t max_entries, block_bytes;
	/* of differencing disks */
	struct ibb_guid parent_id;
	uint32_t parent_time_s;
	uint8_t parent_name[512]; /* UTF-16, big endian */
	struct ibb_vhd_locator locators[IBB_VHD_LOCATORS];
};

/* Decode and check what can be checked without the disk's size. IBB_E_CORRUPT. */
int ibb_vhd_header_parse(const char *name, uint64_t off, const uint8_t b[IBB_VHD_HEADER_BYTES],
			 struct ibb_vhd_header *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* Encode with the right checksum; parent fields as they are. */
void ibb_vhd_header_encode(const struct ibb_vhd_header *h, uint8_t out[IBB_VHD_HEADER_BYTES]);

/* Is it a locator whose path can be read? Those of other programs' kinds are passed over. */
bool ibb_vhd_locator_known(const struct ibb_vhd_locator *l);
/* Read what the header of a differencing disk says of its parent. IBB_E_CORRUPT. */
int ibb_vhd_link_read(struct ibb_disk *file, const struct ibb_vhd_header *h,
		      struct ibb_parent_link *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* What of the file is taken, apart from the blocks. */
struct ibb_vhd_region {
	uint64_t off, len;
	const char *what;
	bool path; /* of a parent: two locators may be one and the same text */
};
struct ibb_vhd_layout {
	struct ibb_vhd_region region[4 + IBB_VHD_LOCATORS];
	size_t n;
	uint64_t block_bytes; /* in the file: bitmap and data */
	uint64_t end;	      /* blocks end here at the latest: the footer, or the file */
};

/* Bytes of a block's bitmap: a bit for each sector, padded to a sector. */
uint32_t ibb_vhd_bitmap_bytes(uint32_t block_bytes);

/*
 * The first n entries of the table at off, every one of them checked: inside the file, and sharing
 * no byte with a region or another block. Regions, too, must not share bytes. IBB_E_CORRUPT.
 * *ret is released with free().
 */
int ibb_vhd_bat_read(struct ibb_disk *file, uint64_t off, uint64_t n,
		     const struct ibb_vhd_layout *layout, uint32_t **ret, uint64_t *ret_allocated,
		     struct ibb_error *err) IBB_MUST_CHECK;

#endif
