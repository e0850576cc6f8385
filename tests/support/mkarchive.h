/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Archives for tests, through libarchive's writers; cabinets through mkcab(). */
#ifndef IBB_TEST_MKARCHIVE_H
#define IBB_TEST_MKARCHIVE_H

#include "base/buf.h"

enum mkarchive_form {
	MKARCHIVE_ZIP,
	MKARCHIVE_ZIP_STORED,
	MKARCHIVE_7Z,
	MKARCHIVE_TAR_GZ,
	MKARCHIVE_TAR_XZ,
	MKARCHIVE_TAR_BZ2,
	MKARCHIVE_TAR_ZST,
	MKARCHIVE_GNUTAR, /* not compressed, like the next */
	MKARCHIVE_USTAR,
	MKARCHIVE_CAB, /* files only */
	MKARCHIVE_N
};
struct mkarchive_entry {
	const char *name;
	const void *data; /* of a file; NULL: a directory, when there is no target either */
	size_t len;	  /* 0: strlen(data) */
	const char *symlink, *hardlink;
	bool fifo;
};
const char *mkarchive_name(enum mkarchive_form f);
/* Aborts the test when it cannot be made. */
struct ibb_buf mkarchive(enum mkarchive_form f, const struct mkarchive_entry *e, size_t n);

#endif
