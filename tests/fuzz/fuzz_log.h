/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The input of hive_log, a container for a hive and its logs:
 *
 *   0  flags, 8 bits: FUZZ_LOG_...
 *   1  number of logs, 8 bits (modulo 4)
 *   2  zero
 *   4  length of the hive, of the first and of the second log, 32 bits each
 *  16  the hive, the first, the second, the third log (the rest)
 *
 * Lengths are cut to what is there.
 */
#ifndef IBB_FUZZ_LOG_H
#define IBB_FUZZ_LOG_H

#include "fuzz_hive.h"

enum {
	FUZZ_LOG_ACCEPT = 1, /* accept a dirty hive without a usable log */
	/*
	 * Checksums of the base blocks and the Marvin32 hashes of log entries are made right before
	 * the run: a fuzzer never guesses them, and everything behind them would stay dark.
	 */
	FUZZ_LOG_REPAIR = 2,
	FUZZ_LOG_PAGES = 4 /* ask which pages were written */
};
#define FUZZ_LOG_HEAD 16u

struct fuzz_log_parts {
	unsigned flags, n_logs;
	struct ibb_bytes hive, logs[3];
};
struct fuzz_log_parts fuzz_log_split(const uint8_t *data, size_t size);
/* The other way round: bytes written at most `room`. */
size_t fuzz_log_join(const struct fuzz_log_parts *parts, uint8_t *out, size_t room);
/* The checksum of a log's base block and the hashes of its entries. */
void fuzz_log_repair(uint8_t *log, size_t n);

#endif
