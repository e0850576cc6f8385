/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input of target wim_blob: what the table of contents says of a file, and the WIM's bytes. */
#ifndef IBB_FUZZ_WIM_H
#define IBB_FUZZ_WIM_H

enum { FUZZ_WIM_PLAIN, FUZZ_WIM_CHUNKED, FUZZ_WIM_PIPABLE, FUZZ_WIM_SOLID, FUZZ_WIM_KINDS };

#define FUZZ_WIM_KIND	0  /* 1 byte, modulo FUZZ_WIM_KINDS */
#define FUZZ_WIM_TYPE	1  /* 1 byte, modulo 4: enum wimlib_compression_type */
#define FUZZ_WIM_CHUNK	2  /* 4 bytes: of a chunk; a solid resource has its own */
#define FUZZ_WIM_SIZE	6  /* 4 bytes: of the file */
#define FUZZ_WIM_OFFSET 10 /* 4 bytes: in the solid resource */
#define FUZZ_WIM_WHOLE	14 /* 4 bytes: size of the solid resource when it is decompressed */
#define FUZZ_WIM_PACKED 18 /* 4 bytes: size of the resource */
#define FUZZ_WIM_AT	22 /* 4 bytes: where it starts */
#define FUZZ_WIM_HEAD	26
#define FUZZ_WIM_MAX	(4u << 20) /* larger files are not read */

#endif
