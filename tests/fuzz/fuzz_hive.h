/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the hive targets share: repairing a base block, damaging a hive on purpose. */
#ifndef IBB_FUZZ_HIVE_H
#define IBB_FUZZ_HIVE_H

#include "fuzz.h"
#include "hive/hive.h"

#define FUZZ_HIVE_BASE 4096u

void fuzz_fix_checksum(uint8_t *base);
/*
 * Blind damage would nearly always end at the base block. This makes it acceptable: signature,
 * equal sequence numbers, version, type, a size that is there, checksum.
 */
void fuzz_repair_base(uint8_t *hive, size_t n);
/* Open a copy, the base block repaired when asked; NULL. */
struct ibb_hive *fuzz_open(const uint8_t *p, size_t n, bool repair, struct ibb_error *err);
/* The caller clears the buffer. */
/* Empty when the hive has no higher sequence number to be written with. */
struct ibb_buf fuzz_serialize(struct ibb_hive *h);

/*
 * Change fields, sizes, references and names of cells, now and then whole bins; often repair
 * afterwards what would hide the rest (checksum, hashes of names, counts of users of security
 * cells). The new size, at most max.
 */
size_t fuzz_mutate_hive(uint8_t *p, size_t n, size_t max, uint64_t *rnd);

#endif
