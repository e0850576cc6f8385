/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cabinets for tests, after [MS-CAB]; one folder, checksums set. */
#ifndef IBB_TEST_MKCAB_H
#define IBB_TEST_MKCAB_H

#include "base/buf.h"

enum mkcab_method {
	MKCAB_STORED = 0,
	MKCAB_MSZIP = 1,   /* as stored deflate blocks */
	MKCAB_QUANTUM = 2, /* the number only: the data is stored */
	MKCAB_LZX = 0x0f03 /* one uncompressed LZX block: at most 32768 bytes of files */
};
struct mkcab_file {
	const char *name;
	const void *data;
	size_t len; /* 0: strlen(data) */
};
/* Aborts the test when memory is short. */
struct ibb_buf mkcab(const struct mkcab_file *files, size_t n, enum mkcab_method method);

#endif
