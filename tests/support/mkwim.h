/* SPDX-License-Identifier: GPL-3.0-or-later */
/* WIM files for tests, made by wimlib from NTFS volumes (security, attributes, short names, links
 * and streams as they are there) or from directories. */
#ifndef IBB_TEST_MKWIM_H
#define IBB_TEST_MKWIM_H

#include <wimlib.h>

#include "base/error.h"

struct mkwim_property {
	const char *name, *value; /* "WINDOWS/ARCH", "9" */
};

struct mkwim_image {
	const char *ntfs;      /* a file with an NTFS volume */
	const char *directory; /* or a directory of the host */
	const char *name;      /* may be NULL */
	const struct mkwim_property *properties;
	size_t n_properties;
};

struct mkwim {
	enum wimlib_compression_type compression;
	uint32_t chunk_bytes; /* 0: wimlib's default */
	bool solid;	      /* LZMS as in ESD files, whatever `compression` says of the rest */
	enum wimlib_compression_type solid_compression; /* NONE: LZMS */
	uint32_t solid_chunk_bytes;			/* 0: 1 MiB */
	bool pipable, integrity;
	bool readonly;	     /* marked as such in the header */
	unsigned boot_index; /* 0: none */
	uint64_t part_bytes; /* not 0: split into parts of about this size, `path` the first */
	const struct mkwim_image *images;
	size_t n_images;
};

/* Replaces what is at `path`. */
int mkwim(const char *path, const struct mkwim *m, struct ibb_error *err) IBB_MUST_CHECK;

#endif
