/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making the output image: a copy of the source file's allocated extents with the overlay's
 * blocks laid over it. Holes are neither read nor written.
 */
#ifndef IBB_DISK_COPY_H
#define IBB_DISK_COPY_H

#include "disk/disk.h"

struct ibb_copy_stats {
	uint64_t copied_bytes;	/* data of the source written to the output; 0 for a reflink */
	uint64_t overlay_bytes; /* changed blocks written */
	bool reflink;
};
/* done of total bytes (0 of 0 for a reflink), called before the first byte and after each piece;
 * non-zero stops with IBB_E_CANCELLED. May be NULL. */
typedef int (*ibb_copy_progress_fn)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);

/*
 * Copy `file` (a file disk) whole into out_fd, replacing what that held: FICLONE when the file
 * system can, else a SEEK_DATA/SEEK_HOLE loop; never copy_file_range over holes (it fills them).
 * Data blocks of zeros are copied as they are. Then ftruncate to the source's size.
 * IBB_E_NOSPACE says how much is missing; IBB_E_CHANGED when the source shrank meanwhile.
 * The caller syncs out_fd.
 */
int ibb_copy_file(struct ibb_disk *file, int out_fd, const char *out_name,
		  ibb_copy_progress_fn progress, void *ctx, struct ibb_copy_stats *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Write the overlay's dirty blocks into out_fd at base_off (where the overlay's disk begins in the
 * file), then read them back and compare: IBB_E_IO when they differ. out_fd must be open for
 * reading as well. Adds to stats->overlay_bytes.
 */
int ibb_copy_overlay(struct ibb_disk *overlay, int out_fd, const char *out_name, uint64_t base_off,
		     struct ibb_copy_stats *stats, struct ibb_error *err) IBB_MUST_CHECK;

/* Digests of a whole image file (see the manifest): flat SHA-256, or "content": SHA-256 over
 * (offset le64, length le64, SHA-256) of each 1 MiB chunk that is not all zero; holes not read. */
struct ibb_sha256;
int ibb_digest_flat(struct ibb_disk *d, struct ibb_sha256 *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
int ibb_digest_content(struct ibb_disk *d, struct ibb_sha256 *ret,
		       struct ibb_error *err) IBB_MUST_CHECK;

#endif
