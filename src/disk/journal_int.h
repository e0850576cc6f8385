/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The form of a journal: writing it and reading it, without a thought about the image. */
#ifndef IBB_DISK_JOURNAL_INT_H
#define IBB_DISK_JOURNAL_INT_H

#include <sys/stat.h>

#include "base/hash.h"
#include "disk/journal.h"

#define JOURNAL_SUM_BYTES 8u

/* What the header says. */
struct journal_head {
	struct ibb_journal_id id;
	uint64_t journal_bytes, records, data_bytes;
	uint32_t path_bytes, text_bytes;
	struct ibb_sha256 manifest;
	uint8_t digest[IBB_SHA256_SIZE];
};

/* One record. The pointers are valid until the next one is read. */
struct journal_record {
	uint64_t number, off_bytes;
	size_t len_bytes;
	const uint8_t *sums; /* JOURNAL_SUM_BYTES for each sector */
	const uint8_t *data;
};

/* Bytes of the manifest's part, and of a record, with head and padding. */
uint64_t ibb_journal_manifest_bytes(uint64_t path_bytes, uint64_t text_bytes);
uint64_t ibb_journal_record_bytes(uint64_t len_bytes);
/* The sum of one sector. */
int ibb_journal_sum(const uint8_t *sector, uint8_t ret[JOURNAL_SUM_BYTES]) IBB_MUST_CHECK;

/* The parts as they are written; `out` is IBB_JOURNAL_UNIT bytes, but for a record's whole. */
int ibb_journal_put_head(struct journal_head *h, uint8_t *out) IBB_MUST_CHECK;
/* r->sums and r->data lie already in `out` behind the head, zeros between them; ret_digest: what
 * the trailer's digest takes. */
int ibb_journal_put_record(const struct journal_record *r, uint8_t *out,
			   uint8_t ret_digest[IBB_SHA256_SIZE]) IBB_MUST_CHECK;
int ibb_journal_put_trailer(uint64_t records, const struct ibb_sha256 *all,
			    uint8_t *out) IBB_MUST_CHECK;

/* A journal that was read. */
struct journal {
	struct ibb_journal_io *io;
	struct journal_head head;
	char *path, *text; /* of the manifest, or NULL */
};
void ibb_journal_clear(struct journal *j);

/* Does it end with a sound trailer? *ret_all is what the trailer vouches for. */
int ibb_journal_has_trailer(struct ibb_journal_io *io, bool *ret, uint64_t *ret_records,
			    struct ibb_sha256 *ret_all, struct ibb_error *err) IBB_MUST_CHECK;
/* Header and manifest. IBB_E_CORRUPT with the place. */
int ibb_journal_read_head(struct ibb_journal_io *io, struct journal *ret,
			  struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Every record, checked, in order; IBB_E_CORRUPT at the first that is not sound. ret_all (may be
 * NULL) is what the trailer has to vouch for.
 */
typedef int (*journal_record_fn)(void *ctx, const struct journal_record *r, struct ibb_error *err);
int ibb_journal_each(const struct journal *j, journal_record_fn fn, void *ctx,
		     struct ibb_sha256 *ret_all, struct ibb_error *err) IBB_MUST_CHECK;

/* ibb_journal_check_place() with the journal's directory open. */
int ibb_journal_check_dir(int dir_fd, const char *image, int image_fd,
			  struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Could somebody have written this file who could not as well write to the image? What is wrong
 * with it, for a message; NULL: nothing.
 */
const char *ibb_journal_suspect(const struct stat *st, const struct stat *image);
/* It is ours, and nobody else may write to it. */
bool ibb_journal_only_ours(const struct stat *st);

#endif
