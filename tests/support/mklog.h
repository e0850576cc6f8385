/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Transaction logs as Windows writes them, made from two images of a hive (base block and bins):
 * what changes from one to the other is what the log holds.
 */
#ifndef MKLOG_H
#define MKLOG_H

#include "base/buf.h"

enum { MKLOG_OLD = 1, MKLOG_NEW = 6 };

/* Make an image dirty (or not): both sequence numbers, and the checksum. */
void mklog_mark(struct ibb_buf *image, uint32_t seq1, uint32_t seq2);
void mklog_checksum(uint8_t *base);

/* Start a log: the base block of `image` as a log has it; factor 1 for sectors of 512 bytes. */
int mklog_begin(struct ibb_bytes image, unsigned type, uint32_t seq, unsigned factor,
		struct ibb_buf *ret);
/* Append one entry with every page that changes. */
int mklog_entry(struct ibb_bytes before, struct ibb_bytes after, uint32_t seq, struct ibb_buf *log);
/* Make the hashes of the entry at off right again. */
void mklog_seal(struct ibb_buf *log, size_t off);

/* A whole log of the new format: the changed pages, spread over n entries. */
int mklog_new(struct ibb_bytes before, struct ibb_bytes after, uint32_t first_seq,
	      unsigned n_entries, struct ibb_buf *ret);
/*
 * A whole log of the old format. Windows marks 4096 bytes at a time as dirty; `ragged` marks only
 * the 512-byte pages that change.
 */
int mklog_old(struct ibb_bytes before, struct ibb_bytes after, uint32_t seq, unsigned factor,
	      bool ragged, struct ibb_buf *ret);

#endif
