/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The undo record of a file that grows in place: new data goes behind the old end, and the first
 * bytes (the header, which says where everything is) change last. What it takes to go back is the
 * old header and the old size; both lie durable in a small file beside the image before its first
 * byte changes.
 *
 * Order, each step durable before the next:
 *
 *     - the record is written whole, fsync; directory fsync
 *     - the file is appended to, then its header written, fsync (by the caller, or by wimlib)
 *     - the result is read back (by the caller); the manifest gets its place
 *     - the record is removed, directory fsync
 *
 * While it is there the file counts as being changed: ibb_disk_file_open() refuses it, and
 * ibb_recover() makes it what it was (IBB_JOURNAL_DROP's meaning: the change is given up). wimlib
 * syncs nothing between data and header, so after a power cut the header may be new and the data
 * not there: only the record helps then. After a kill the file is whole without it.
 *
 * The file has the name of a journal, "<image>.ibbake-journal", and another magic. Little-endian:
 *
 *      0 magic "ibbakeUR"   8 u32 version 1   12 u32 header bytes (at most 4096)
 *     16 u64 old size of the file
 *     24 u32 number of samples, 28 zero
 *     32 the old header, zeros up to a multiple of 512
 *        samples of the old content, to tell this file from another one: each u64 offset and the
 *        SHA-256 of 4096 bytes there; zeros up to a multiple of 512
 *        32 bytes SHA-256 of all that is before it
 */
#ifndef IBB_DISK_UNDO_H
#define IBB_DISK_UNDO_H

#include "disk/disk.h"

#define IBB_UNDO_MAX_HEADER 4096u

struct ibb_undo {
	char *image, *path; /* the file, its record; NULL: nothing is held */
	uint64_t old_bytes;
	uint32_t header_bytes;
};

/*
 * Write the record for the file `fd` (open for reading) named `image`. IBB_E_CONFLICT when there is
 * a journal or record already.
 */
int ibb_undo_begin(struct ibb_undo *u, const char *image, int fd, uint32_t header_bytes,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* The change is complete and durable: the record goes. */
int ibb_undo_done(struct ibb_undo *u, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Go back: header, size, fsync, then the record goes. When that fails the record stays, and the
 * error's hint names `ibbake recover`.
 */
int ibb_undo_back(struct ibb_undo *u, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_undo_clear(struct ibb_undo *u);

/* Is what lies beside the image an undo record (and not a redo journal)? */
int ibb_undo_found(const char *image, bool *ret, struct ibb_error *err) IBB_MUST_CHECK;
struct ibb_undo_report {
	uint64_t old_bytes, found_bytes;
	bool header_changed;
};
/*
 * After a crash: check that the record is of this file, then go back. A record that is not whole
 * was never durable, so the file was not touched: it is removed. May be interrupted and repeated.
 * IBB_E_CONFLICT: the record is of another file, or the file is shorter than it was.
 */
int ibb_undo_recover(const char *image, struct ibb_undo_report *ret,
		     struct ibb_error *err) IBB_MUST_CHECK;

#endif
