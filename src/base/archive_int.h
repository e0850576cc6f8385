/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the archive reader share. */
#ifndef IBB_BASE_ARCHIVE_INT_H
#define IBB_BASE_ARCHIVE_INT_H

#include "base/archive.h"

/*
 * Does a zip's central directory describe the file, the whole file, and nothing twice? Every entry
 * has a local header with the same name and method, no two of them share a byte, none is encrypted.
 * libarchive does not ask. *ret: how many there are. APPNOTE.TXT 4.3. IBB_E_CORRUPT,
 * IBB_E_UNSUPPORTED, IBB_E_LIMIT.
 */
int ibb_archive_check_zip(const struct ibb_archive_stretch *s, unsigned max_members, uint64_t *ret,
			  struct ibb_error *err) IBB_MUST_CHECK;

/*
 * A name whose entry does not say that it is UTF-8 is in code page 437 (APPNOTE.TXT 4.4.4 bit 11,
 * Appendix D). free() *ret. IBB_E_NOMEM.
 */
int ibb_archive_cp437(const char *name, char **ret) IBB_MUST_CHECK;

#endif
