/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making the output image from a disk: a clone of the source's file where the file system can and
 * both lie in it alike, else the disk's data given to a writer. Holes are neither read nor written.
 */
#ifndef IBB_DISK_COPY_H
#define IBB_DISK_COPY_H

#include "disk/writer.h"

/* What becomes of zeros. */
enum ibb_sparse {
	IBB_SPARSE_AUTO,   /* holes of the source, and runs of zeros of at least 64 KiB */
	IBB_SPARSE_ALWAYS, /* every 4 KiB of zeros */
	IBB_SPARSE_NEVER   /* nothing becomes a hole */
};

struct ibb_copy_opts {
	enum ibb_sparse sparse;
	bool room_taken; /* NEVER: holes of the source have their room already; skip them */
	bool one_thread; /* tests: no thread for the writer */
};

struct ibb_copy_stats {
	uint64_t read_bytes;	/* data of the source that was read; 0 for a reflink */
	uint64_t copied_bytes;	/* of that written to the output */
	uint64_t overlay_bytes; /* changed blocks written over a clone */
	bool reflink;
};
/* done of total bytes (0 of 0 for a reflink), called before the first byte and after each piece
 * that was read; non-zero stops with IBB_E_CANCELLED. From the calling thread. May be NULL. */
typedef int (*ibb_copy_progress_fn)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);

/*
 * Give the data of `disk` to the writer (the caller finishes it). The disk is read by the calling
 * thread; with two processors or more the writer runs in a thread of its own beside it. The first
 * error of either side stops both. `fd` is that of the output, -1 when there is none: it only tells
 * how much room is missing after IBB_E_NOSPACE. Sets read_bytes and copied_bytes of *stats.
 */
int ibb_copy_disk(struct ibb_disk *disk, struct ibb_writer *w, const struct ibb_copy_opts *o,
		  int fd, ibb_copy_progress_fn progress, void *ctx, struct ibb_copy_stats *stats,
		  struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Clone the whole file into out_fd (FICLONE), where the file system can: *ret_cloned. What out_fd
 * held is gone either way. IBB_E_CHANGED when the source has another size than at open time.
 */
int ibb_copy_clone(struct ibb_disk *file, int out_fd, const char *out_name, bool *ret_cloned,
		   struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Write the overlay's dirty blocks into out_fd, then read them back and compare: IBB_E_IO when they
 * differ. out_fd must be open for reading as well. Adds to stats->overlay_bytes.
 */
int ibb_copy_overlay(struct ibb_disk *overlay, int out_fd, const char *out_name,
		     struct ibb_copy_stats *stats, struct ibb_error *err) IBB_MUST_CHECK;
/* Where the overlay has dirty blocks, does `out` hold what `want` does (the overlay, or what lies
 * over it)? IBB_E_IO with the place when not. */
int ibb_copy_check_overlay(struct ibb_disk *overlay, struct ibb_disk *want, struct ibb_disk *out,
			   struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Does `out` hold what `source` does? The first and the last 4 KiB of every run of data of the
 * source, and in between of every 2 MiB; its holes, where `out` has data, alike. IBB_E_IO with the
 * place when not. *ret_bytes: how much was compared.
 */
int ibb_copy_check_sample(struct ibb_disk *source, struct ibb_disk *out, uint64_t *ret_bytes,
			  struct ibb_error *err) IBB_MUST_CHECK;

/* Digests of a whole image file (see the manifest): flat SHA-256, or "content": SHA-256 over
 * (offset le64, length le64, SHA-256) of each 1 MiB chunk that is not all zero; holes not read. */
struct ibb_sha256;
/* progress as in a copy; may be NULL */
int ibb_digest_flat(struct ibb_disk *d, ibb_copy_progress_fn progress, void *ctx,
		    struct ibb_sha256 *ret, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_digest_content(struct ibb_disk *d, ibb_copy_progress_fn progress, void *ctx,
		       struct ibb_sha256 *ret, struct ibb_error *err) IBB_MUST_CHECK;

#endif
