/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Make VHDX files of every kind, sound and otherwise, for tests and generators. Shares no code
 * with the reader that is tested with them (checksums and identifiers included). Section numbers
 * are those of [MS-VHDX].
 *
 *     struct mkvhdx m;
 *     mkvhdx_begin(&m, &(struct mkvhdx_opts){.disk_bytes = ..., .block_bytes = ...}, &err);
 *     mkvhdx_write(&m, data, n, off, &err);     the disk's bytes, as often as you like
 *     mkvhdx_state(&m, block, MKVHDX_ZERO, &err);
 *     mkvhdx_save(&m, path, &err);              or read m.file, a disk of memory
 *     mkvhdx_clear(&m);
 *
 * A differencing disk marks exactly the sectors that are written as its own. To damage a file,
 * mkvhdx_put() bytes anywhere and mkvhdx_seal() the checksums again (or do not).
 */
#ifndef IBB_MKVHDX_H
#define IBB_MKVHDX_H

#include "disk/disk.h"

#define MKVHDX_HEADER1 (64u << 10)
#define MKVHDX_HEADER2 (128u << 10)
#define MKVHDX_REGION1 (192u << 10)
#define MKVHDX_REGION2 (256u << 10)
#define MKVHDX_TABLE   (64u << 10) /* the length of a table; where items begin in the metadata */

enum mkvhdx_state {
	MKVHDX_NOT_PRESENT = 0,
	MKVHDX_UNDEFINED = 1,
	MKVHDX_ZERO = 2,
	MKVHDX_UNMAPPED = 3,
	MKVHDX_FULL = 6,
	MKVHDX_PARTIAL = 7
};

struct mkvhdx_opts {
	uint64_t disk_bytes;
	uint32_t block_bytes;	 /* 0: 1 MiB */
	uint32_t logical_bytes;	 /* 0: 512 */
	uint32_t physical_bytes; /* 0: 4096 */
	bool fixed;		 /* LeaveBlockAllocated; every block is there from the start */
	bool differencing;
	struct ibb_guid disk_id, data_write_id;
	/* of the parent locator; NULL: the key is left out */
	const char *linkage, *linkage2, *relative, *volume, *absolute;
	uint64_t room_bytes; /* of the file; 0: for all blocks */
	uint32_t log_bytes;  /* 0: 1 MiB */
};

struct mkvhdx {
	struct mkvhdx_opts o;
	struct ibb_disk *file; /* as large as what is in it */
	uint64_t log_at, metadata_at, bat_at, bat_bytes;
	uint64_t next; /* where the next block will lie */
	uint32_t chunk_ratio;
	uint64_t n_blocks, n_chunks;
};

/* The structures of an empty disk (or of a fixed one full of zeros). */
int mkvhdx_begin(struct mkvhdx *m, const struct mkvhdx_opts *o,
		 struct ibb_error *err) IBB_MUST_CHECK;
void mkvhdx_clear(struct mkvhdx *m);

/* Put whole sectors onto the disk; blocks, and sector bitmaps if need be, come into being. */
int mkvhdx_write(struct mkvhdx *m, const void *buf, size_t n, uint64_t off,
		 struct ibb_error *err) IBB_MUST_CHECK;
/* Set the state of a block; FULL and PARTIAL give it a place, PARTIAL a sector bitmap as well. */
int mkvhdx_state(struct mkvhdx *m, uint64_t block, enum mkvhdx_state state,
		 struct ibb_error *err) IBB_MUST_CHECK;

/* Where the entries of the block allocation table are in the file. */
uint64_t mkvhdx_entry_at(const struct mkvhdx *m, uint64_t block);
uint64_t mkvhdx_bitmap_entry_at(const struct mkvhdx *m, uint64_t chunk);
/* Where a block's bytes are in the file; 0: nowhere. */
int mkvhdx_place(struct mkvhdx *m, uint64_t block, uint64_t *ret,
		 struct ibb_error *err) IBB_MUST_CHECK;

/* Any bytes of the file; integers little endian. */
int mkvhdx_put(struct mkvhdx *m, const void *buf, size_t n, uint64_t off,
	       struct ibb_error *err) IBB_MUST_CHECK;
int mkvhdx_put32(struct mkvhdx *m, uint32_t v, uint64_t off, struct ibb_error *err) IBB_MUST_CHECK;
int mkvhdx_put64(struct mkvhdx *m, uint64_t v, uint64_t off, struct ibb_error *err) IBB_MUST_CHECK;
/* Refresh the checksums of both headers and both region tables. */
int mkvhdx_seal(struct mkvhdx *m, struct ibb_error *err) IBB_MUST_CHECK;
/* Write the file, its holes as holes. */
int mkvhdx_save(const struct mkvhdx *m, const char *path, struct ibb_error *err) IBB_MUST_CHECK;

/* CRC-32C, bit by bit. */
uint32_t mkvhdx_crc32c(const void *p, size_t n);

/* ---- the log, 2.3 ---- */

/* What an entry brings: a sector of 4096 bytes, or zeros. */
struct mkvhdx_change {
	uint64_t off_bytes;
	const uint8_t *data; /* NULL: zeros */
	uint64_t len_bytes;  /* of the zeros */
};

/* Where the next entry goes, and what stands in it. Change anything between two entries. */
struct mkvhdx_ring {
	struct mkvhdx *m;
	struct ibb_guid id;
	uint32_t at, tail; /* sectors of the ring; it wraps */
	uint64_t sequence; /* of the next entry */
	uint64_t flushed, last;
	uint32_t padding; /* sectors without a use at the end of an entry */
};
/* An empty sequence that begins at this sector. */
void mkvhdx_ring_init(struct mkvhdx_ring *r, struct mkvhdx *m, const struct ibb_guid *id,
		      uint32_t at, uint64_t sequence);
/* Add an entry with these changes; *ret_sectors (may be NULL): how long it is. */
int mkvhdx_ring_add(struct mkvhdx_ring *r, const struct mkvhdx_change *c, size_t n,
		    uint32_t *ret_sectors, struct ibb_error *err) IBB_MUST_CHECK;
/* Name this log in both headers: it has to be replayed from now on (all zeros: it is empty). */
int mkvhdx_set_log(struct mkvhdx *m, const struct ibb_guid *id,
		   struct ibb_error *err) IBB_MUST_CHECK;

#endif
