/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is in a hive, one line for each key and each value, so that independent readers can be held
 * against each other; tests/oracle/hive_readers.py makes the same lines from theirs.
 *
 *   K <path> <FILETIME> <first 16 digits of the security descriptor's SHA-256>
 *   V <path of the key> <name> <type, 8 hex digits> <size> <data in hex>
 *
 * with tabs between. A path is names with '\' in front of each; in a name '%', '\', U+0000 to
 * U+001F and U+007F are written as %XX.
 */
#ifndef TEST_HIVEDUMP_H
#define TEST_HIVEDUMP_H

#include "hive/hive.h"

#define DUMP_SD_SIZE 17

struct dump {
	char **line;
	size_t n, cap;
	struct ibb_arena text;
};

void dump_clear(struct dump *d);
int dump_name(struct ibb_buf *b, const char *name) IBB_MUST_CHECK;
int dump_key(struct dump *d, const char *path, uint64_t time, const char *sd) IBB_MUST_CHECK;
int dump_value(struct dump *d, const char *path, const char *name, uint32_t type,
	       const uint8_t *data, size_t n) IBB_MUST_CHECK;
int dump_sd(struct ibb_bytes sd, char ret[DUMP_SD_SIZE]) IBB_MUST_CHECK;
/* All of a hive, in the order of the tree. */
int dump_hive(struct ibb_hive *h, struct dump *d, struct ibb_error *err) IBB_MUST_CHECK;
/* By bytes; the order in which readers list things is not part of what is compared. */
void dump_sort(struct dump *d);
int dump_write(const struct dump *d, const char *path, struct ibb_error *err) IBB_MUST_CHECK;

#endif
