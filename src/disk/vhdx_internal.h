/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the VHDX reader and writer share. Section numbers are those of Microsoft's
 * [MS-VHDX], "Virtual Hard Disk v2 (VHDX) File Format".
 */
#ifndef IBB_DISK_VHDX_INTERNAL_H
#define IBB_DISK_VHDX_INTERNAL_H

#include "disk/vhdx.h"

#define IBB_VHDX_MIB                                                                 \
	((uint64_t)1 << 20) /* everything behind the header section is aligned to it \
			     */

/* 2.2: where the structures of the header section lie, and how long they are. */
#define IBB_VHDX_HEADER1       (64u << 10)
#define IBB_VHDX_HEADER2       (128u << 10)
#define IBB_VHDX_HEADER_BYTES  4096u
#define IBB_VHDX_REGION1       (192u << 10)
#define IBB_VHDX_REGION2       (256u << 10)
#define IBB_VHDX_TABLE_BYTES   (64u << 10) /* a region table, and the metadata table */
#define IBB_VHDX_TABLE_ENTRIES 2047u	   /* of either table */

/* 2.5.1: states of an entry of the block allocation table. */
enum ibb_vhdx_state {
	IBB_VHDX_NOT_PRESENT = 0,
	IBB_VHDX_UNDEFINED = 1,
	IBB_VHDX_ZERO = 2,
	IBB_VHDX_UNMAPPED = 3,
	IBB_VHDX_FULL = 6, /* of a sector bitmap: present */
	IBB_VHDX_PARTIAL = 7
};

/* A CRC-32C with its own field (at byte 4) taken as zero, of the structure at b; and is it right?
 */
uint32_t ibb_vhdx_sum(const uint8_t *b, size_t n);
bool ibb_vhdx_sum_ok(const uint8_t *b, size_t n);

struct ibb_vhdx_range {
	uint64_t off_bytes, len_bytes;
};

/* ---- vhdx_map.c: which MiB of the file are taken ---- */

struct ibb_vhdx_map {
	uint8_t *bits; /* one bit a MiB; mapped */
	uint64_t n_mib;
};
/* For a file of this size; IBB_E_LIMIT when it is too large for the compact tables. */
int ibb_vhdx_map_init(struct ibb_vhdx_map *m, const struct ibb_disk *file,
		      struct ibb_error *err) IBB_MUST_CHECK;
void ibb_vhdx_map_clear(struct ibb_vhdx_map *m);
/* Take [first, first+n) MiB, as far as they lie in the file. False when one is taken already. */
bool ibb_vhdx_map_take(struct ibb_vhdx_map *m, uint64_t first, uint64_t n);

/* ---- vhdx_header.c: 2.2.1, 2.2.2 ---- */

struct ibb_vhdx_header {
	uint64_t at; /* which of the two */
	uint64_t sequence;
	struct ibb_guid data_write_id, log_id;
	uint16_t log_version, version;
	struct ibb_vhdx_range log;
	uint32_t bad_at; /* where the other one is when that is damaged, else 0 */
};
/* The current header, with a log that lies in the file. */
int ibb_vhdx_header_read(struct ibb_disk *file, struct ibb_vhdx_header *ret,
			 struct ibb_error *err) IBB_MUST_CHECK;

/* ---- vhdx_log.c: 2.3 ---- */

/*
 * The file as it is once the header's log is replayed: an overlay over it, or the file itself when
 * the log is empty; a reference of the caller's own. *ret_bytes: how many bytes of the file
 * the entries brought.
 */
int ibb_vhdx_log_replay(struct ibb_disk *file, const struct ibb_vhdx_header *h,
			struct ibb_disk **ret, uint64_t *ret_bytes,
			struct ibb_error *err) IBB_MUST_CHECK;

/* ---- vhdx_region.c: 2.2.3 ---- */

struct ibb_vhdx_regions {
	struct ibb_vhdx_range bat, metadata;
	uint32_t bad_at; /* where the damaged one of the two tables is, else 0 */
};
/* An entry of a region or metadata table, which begins with an identifier, `what` is wrong. */
int ibb_vhdx_entry_err(const char *name, const char *kind, const uint8_t *e, uint64_t at, int code,
		       const char *what, struct ibb_error *err);
/* Both tables; every region is taken in the map. */
int ibb_vhdx_region_read(struct ibb_disk *file, struct ibb_vhdx_map *map,
			 struct ibb_vhdx_regions *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- vhdx_meta.c, vhdx_parent.c: 2.6 ---- */

struct ibb_vhdx_meta {
	uint64_t disk_bytes;
	uint32_t block_bytes, logical_bytes, physical_bytes;
	bool fixed, has_parent;
	bool empty_item; /* one that is not known has no content */
	struct ibb_guid disk_id;
};
/* *ret_link is filled when the disk has a parent; the caller clears it. */
int ibb_vhdx_meta_read(struct ibb_disk *file, const struct ibb_vhdx_range *region,
		       struct ibb_vhdx_meta *ret, struct ibb_parent_link *ret_link,
		       struct ibb_error *err) IBB_MUST_CHECK;
/* Decode a parent locator item (2.6.2.6) that lies at offset `at` of the file. */
int ibb_vhdx_parent_parse(const char *name, uint64_t at, const uint8_t *b, size_t n,
			  struct ibb_parent_link *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- vhdx_bat.c: 2.5 ---- */

/*
 * The table in memory: 4 bytes a block, MiB in the file << 3 | state. Pages of a mostly empty disk
 * are never touched.
 */
struct ibb_vhdx_bat {
	uint32_t *blocks; /* mapped; payload blocks */
	uint64_t n_blocks;
	uint32_t *
		bitmaps; /* mapped; MiB of each chunk's sector bitmap, 0: none. Differencing only */
	uint64_t n_chunks;
	uint32_t chunk_ratio; /* payload blocks of one sector bitmap */
	uint64_t allocated;   /* payload blocks */
};
/* 2.4.5: how many payload blocks one sector bitmap of 1 MiB describes. */
static inline uint32_t ibb_vhdx_chunk_ratio(uint32_t block_bytes, uint32_t logical_bytes)
{
	return (uint32_t)(((uint64_t)logical_bytes << 23) / block_bytes);
}
int ibb_vhdx_bat_read(struct ibb_disk *file, const struct ibb_vhdx_range *region,
		      const struct ibb_vhdx_meta *meta, struct ibb_vhdx_map *map,
		      struct ibb_vhdx_bat *ret, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_vhdx_bat_clear(struct ibb_vhdx_bat *b);

/* Identifiers (2.2.3.2, 2.6.2), in the bytes of the file. */
extern const struct ibb_guid ibb_vhdx_region_bat, ibb_vhdx_region_metadata;
extern const struct ibb_guid ibb_vhdx_item_file, ibb_vhdx_item_size, ibb_vhdx_item_id,
	ibb_vhdx_item_logical, ibb_vhdx_item_physical, ibb_vhdx_item_parent;

#endif
