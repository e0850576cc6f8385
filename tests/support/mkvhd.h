/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Make dynamic and differencing VHD from a description, for tests and generators. Shares no code
 * with the reader and the writer that are tested with it (checksums included).
 */
#ifndef IBB_MKVHD_H
#define IBB_MKVHD_H

#include "disk/disk.h"

#define MKVHD_LOCATORS 8

/* Sectors (512 bytes) that are in the file. Runs may overlap and come in any order. */
struct mkvhd_run {
	uint64_t sector, n;
};

struct mkvhd_locator {
	const char *code; /* "W2ru", ...; those that begin with W2 become UTF-16LE, others stay */
	const char *path; /* UTF-8 */
};

struct mkvhd {
	uint64_t disk_bytes;
	uint64_t original_bytes; /* as large as it was made; 0: disk_bytes */
	uint32_t block_bytes;	 /* 0: 2 MiB */
	struct ibb_guid id;
	uint32_t timestamp_s;
	bool whole_bitmaps; /* every bit of a block in the file is set, as in a dynamic disk */
	bool backwards;	    /* the last block comes first in the file */
	/* a differencing disk */
	bool differencing;
	struct ibb_guid parent_id;
	uint32_t parent_time_s;
	const char *parent_name;		       /* UTF-8; NULL: none */
	struct mkvhd_locator locators[MKVHD_LOCATORS]; /* up to the first without code */
	/* contents: the blocks that hold any of these sectors are allocated */
	const struct mkvhd_run *runs;
	size_t n_runs;
	/* what is in a sector; NULL: eight-byte words that differ by sector and place */
	void (*fill)(void *ctx, uint64_t sector, uint8_t out[512]);
	void *ctx;
};

/* Where things are in the file. */
struct mkvhd_places {
	uint64_t header, table, locators[MKVHD_LOCATORS], blocks, footer;
	uint64_t size_bytes; /* of the file */
	uint32_t bitmap_bytes, n_blocks;
};

/* Plan it: *ret is filled. */
void mkvhd_plan(const struct mkvhd *v, struct mkvhd_places *ret);
/* Write it over zeros: `out` has at least the size that is planned. */
int mkvhd_write(const struct mkvhd *v, struct ibb_disk *out, struct ibb_error *err) IBB_MUST_CHECK;
/* Plan and write a new disk in memory, or a new file with holes where nothing is. */
int mkvhd_disk(const struct mkvhd *v, const char *name, struct ibb_disk **ret,
	       struct ibb_error *err) IBB_MUST_CHECK;
int mkvhd_file(const struct mkvhd *v, const char *path, struct ibb_error *err) IBB_MUST_CHECK;

/* Where a block's bitmap begins, read from the table; all ones times 512 when it has none. */
int mkvhd_block(struct ibb_disk *d, const struct mkvhd_places *p, uint32_t block, uint64_t *ret,
		struct ibb_error *err) IBB_MUST_CHECK;
/* After a change: the checksums of the header and of both footers. */
int mkvhd_seal(struct ibb_disk *d, const struct mkvhd_places *p,
	       struct ibb_error *err) IBB_MUST_CHECK;
/* The same for one structure of n bytes whose checksum stands at `at`. */
void mkvhd_checksum(uint8_t *b, size_t n, size_t at);
/* The contents of a sector where no `fill` is given. */
void mkvhd_fill(uint64_t sector, uint8_t out[512]);

#endif
