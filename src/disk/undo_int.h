/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The form of an undo record: writing it and reading it. */
#ifndef IBB_DISK_UNDO_INT_H
#define IBB_DISK_UNDO_INT_H

#include "base/hash.h"
#include "disk/undo.h"

#define UNDO_UNIT	  512u
#define UNDO_SAMPLE_BYTES 4096u
#define UNDO_SAMPLE_ENTRY 40u
/* head, header, samples, trailer */
#define UNDO_MAX_BYTES (UNDO_UNIT + IBB_UNDO_MAX_HEADER + 5 * UNDO_UNIT + UNDO_UNIT)
_Static_assert(IBB_UNDO_MAX_SAMPLES *UNDO_SAMPLE_ENTRY <= 5 * UNDO_UNIT, "room for all samples");

struct undo_sample {
	uint64_t off_bytes;
	struct ibb_sha256 digest;
};

struct undo_record {
	uint64_t old_bytes;
	uint32_t header_bytes, n_samples;
	uint8_t header[IBB_UNDO_MAX_HEADER];
	struct undo_sample samples[IBB_UNDO_MAX_SAMPLES];
	/* of one that was read: which parts are sound, and whether all of them are and belong
	 * together */
	bool has_head, has_content, has_trailer, fits;
};

size_t ibb_undo_record_bytes(const struct undo_record *u);
/* How much of the file the sample at `off` covers. */
size_t ibb_undo_sample_bytes(const struct undo_record *u, uint64_t off);
/* `out` has room for ibb_undo_record_bytes(). IBB_E_NOMEM. */
int ibb_undo_put(const struct undo_record *u, uint8_t *out) IBB_MUST_CHECK;
/* Does this look like an undo record, whole or not? */
bool ibb_undo_is(const uint8_t *p, size_t n);
/* IBB_E_NOMEM; what is not sound is said by *ret. */
int ibb_undo_get(const uint8_t *p, size_t n, struct undo_record *ret) IBB_MUST_CHECK;

#endif
