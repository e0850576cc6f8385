/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Members of an archive that lies in memory, through libarchive. Cabinets: stored, MSZIP and LZX;
 * not Quantum, and no cabinet that goes on in another one.
 */
#ifndef IBB_BASE_ARCHIVE_H
#define IBB_BASE_ARCHIVE_H

#include "base/buf.h"

struct ibb_archive_member {
	char *name; /* UTF-8, '/' separators; as the archive has it, so check it before use */
	struct ibb_buf bytes;
};

struct ibb_archive {
	size_t n, cap;
	struct ibb_archive_member *members;
};

/* Is a member wanted? Called once for each, in the archive's order. */
typedef bool (*ibb_archive_want_fn)(void *ctx, const char *name);

bool ibb_archive_is_cab(struct ibb_bytes bytes);
/*
 * The wanted members of a cabinet (all when want is NULL), in its order, each with its content;
 * names that are not UTF-8 after libarchive's conversion are passed over. `name` is for messages.
 * IBB_E_CORRUPT when it is no cabinet, truncated or damaged; IBB_E_UNSUPPORTED for a compression
 * that libarchive does not know; IBB_E_LIMIT beyond `limit` bytes of content together.
 */
int ibb_archive_read_cab(const char *name, struct ibb_bytes bytes, ibb_archive_want_fn want,
			 void *ctx, uint64_t limit, struct ibb_archive *ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
void ibb_archive_clear(struct ibb_archive *a);

#endif
