/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The undo record of a file that grows in place: new data goes behind the old end, and the first
 * bytes (the header, which says where everything is) change last. What it takes to go back is the
 * old header and the old size; both lie durable in a small file beside the image before its first
 * byte changes.
 *
 * Order, each step durable before the next:
 *
 *     - the record but its trailer, fsync; trailer, fsync; directory fsync; it is read back
 *     - the file is appended to, then its header written, fsync (by the caller, or by wimlib)
 *     - the result is read back (by the caller), and what goes with it is made ready
 *     - the record is removed, directory fsync: this is the moment at which the change counts
 *
 * While it is there the file counts as being changed: ibb_disk_file_open() refuses it, and
 * ibb_recover() makes it what it was (IBB_JOURNAL_DROP's meaning: the change is given up). wimlib
 * syncs nothing between data and header, so after a power cut the header may be new and the data
 * not there: only the record helps then. After a kill the file is whole without it.
 *
 * A trailer that is there proves that the record was whole, and a record without one that the file
 * was not touched. To go back, the header is written, the file cut to its old size, both durable
 * before the record goes; all of it may be interrupted and repeated.
 *
 * The file has the name of a journal, "<image>.ibbake-journal", and another magic. Little-endian,
 * in units of 512 bytes:
 *
 *     head      0 magic "ibbakeUR"     8 u32 version 1       12 u32 header bytes (1 to 4096)
 *              16 u64 old size of the file                   24 u32 samples (at most 64)
 *              32 SHA-256 of the units between head and trailer
 *             480 SHA-256 of bytes 0..480
 *     content   the old header, zeros up to a multiple of 512; then of each sample a u64 offset and
 *               the SHA-256 of what lies there (4096 bytes, or as many as there are up to the old
 *               end), zeros up to a multiple of 512
 *     trailer   0 magic "ibbakeUT"     8 u64 bytes of the record
 *              32 the last 32 bytes of the head
 *             480 SHA-256 of bytes 0..480
 *
 * The samples tell this file from another one; they lie behind the header, where a file that only
 * grows does not change. A record is untrusted input.
 */
#ifndef IBB_DISK_UNDO_H
#define IBB_DISK_UNDO_H

#include "disk/journal.h"

#define IBB_UNDO_MAX_HEADER  4096u
#define IBB_UNDO_MAX_SAMPLES 64u

struct ibb_undo {
	struct ibb_journal_host *host; /* NULL: nothing is held */
};

/*
 * Write the record for the file `fd` (open for reading; stays the caller's, and open until `u` is
 * done with) named `image`. IBB_E_CONFLICT when there is a journal or record already. Refused as by
 * ibb_journal_host_new() and its create(). When this fails there is no record.
 */
int ibb_undo_begin(struct ibb_undo *u, const char *image, int fd, uint32_t header_bytes,
		   struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The change is complete and durable: the record goes. IBB_E_CHANGED when the file has lost its
 * name meanwhile. When the record is removed but not for good, that is an error whose hint says
 * what a power cut may bring; the file is the new one.
 */
int ibb_undo_done(struct ibb_undo *u, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Go back: header, size, fsync, then the record goes. When that fails the record stays, and the
 * error's hint names `ibbake recover`. A file that is as it was is not opened for writing.
 */
int ibb_undo_back(struct ibb_undo *u, struct ibb_error *err) IBB_MUST_CHECK;
/* Let go of it; a record that is there stays. Harmless when nothing is held. */
void ibb_undo_clear(struct ibb_undo *u);

/* Is what lies beside the image an undo record (and not a redo journal)? */
int ibb_undo_found(const char *image, bool *ret, struct ibb_error *err) IBB_MUST_CHECK;
struct ibb_undo_report {
	bool complete; /* the record; false: the file was not touched */
	uint64_t old_bytes, found_bytes;
	bool header_changed; /* as found */
};
/*
 * After a crash: check that the record is of this file, then go back. A record that is not whole
 * was never durable, so the file was not touched: it is removed, unless what is left of it says
 * otherwise. May be interrupted and repeated. Takes the locks of ibb_inuse_claim(), for which
 * nobody may have the file open, us included; the record has to be one that
 * ibb_journal_host_open() takes.
 * IBB_E_NOTFOUND: there is none. IBB_E_CONFLICT: the record is of another file, or the file is
 * shorter than it was, or something contradicts the record. IBB_E_CORRUPT: it was complete and is
 * damaged.
 */
int ibb_undo_recover(const char *image, struct ibb_undo_report *ret,
		     struct ibb_error *err) IBB_MUST_CHECK;

/* ---- the same on any files, for tests that pretend ---- */

int ibb_undo_write(struct ibb_journal_io *io, uint32_t header_bytes,
		   struct ibb_error *err) IBB_MUST_CHECK;
int ibb_undo_is_record(struct ibb_journal_io *io, bool *ret, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_undo_finish(struct ibb_journal_io *io, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_undo_go_back(struct ibb_journal_io *io, struct ibb_undo_report *ret,
		     struct ibb_error *err) IBB_MUST_CHECK;

#endif
