/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files compressed by the Windows overlay filter ("compact /exe", Compact OS): the content lies in
 * a stream named WofCompressedData, a reparse point says how it is compressed, and the unnamed
 * stream is one hole of the right size.
 * Sources: ntifs.h, WOF_EXTERNAL_INFO and FILE_PROVIDER_EXTERNAL_INFO_V1; [MS-FSCC] 2.1.2.1 for
 * the tag. The layout of the stream is not in Microsoft's documents; it is described in
 * system_compression.c of the ntfs-3g system compression plugin.
 */
#ifndef IBB_VOLUME_WOF_H
#define IBB_VOLUME_WOF_H

#include "base/buf.h"

/* Values of FILE_PROVIDER_EXTERNAL_INFO_V1.Algorithm. */
enum ibb_wof_algorithm {
	IBB_WOF_XPRESS4K = 0,
	IBB_WOF_LZX = 1, /* chunks of 32 KiB */
	IBB_WOF_XPRESS8K = 2,
	IBB_WOF_XPRESS16K = 3,
};

/*
 * The algorithm that the whole reparse point attribute (header and data) names. IBB_E_CORRUPT when
 * it is too short; IBB_E_UNSUPPORTED for content that lies in a WIM file (WIMBoot), and for
 * versions and algorithms that are not known. `path` is for messages.
 */
int ibb_wof_parse(struct ibb_bytes reparse, const char *path, enum ibb_wof_algorithm *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;

/* The longest stream that a file of `size` bytes can have: nothing compressed. */
uint64_t ibb_wof_max_stream(enum ibb_wof_algorithm algorithm, uint64_t size);

/*
 * The file of `size` bytes from its stream; the caller has checked `size` against its limit.
 * IBB_E_CORRUPT when the stream's table or a chunk is damaged: nothing is returned then.
 */
int ibb_wof_decompress(struct ibb_bytes stream, enum ibb_wof_algorithm algorithm, uint64_t size,
		       const char *path, struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* The same chunk by chunk. `stream` and `path` are borrowed until close. */
struct ibb_wof;
int ibb_wof_open(struct ibb_bytes stream, enum ibb_wof_algorithm algorithm, uint64_t size,
		 const char *path, struct ibb_wof **ret, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_wof_close(struct ibb_wof *w); /* accepts NULL */
IBB_DEFINE_CLEANUP(struct ibb_wof *, ibb_wof_close)
uint64_t ibb_wof_chunks(const struct ibb_wof *w);
/* What chunk i holds: 0 for i beyond the last one, a whole chunk for all but the last. */
size_t ibb_wof_chunk_bytes(const struct ibb_wof *w, uint64_t i);
/* Chunk i < ibb_wof_chunks() into out[0..ibb_wof_chunk_bytes()). IBB_E_CORRUPT. */
int ibb_wof_read_chunk(struct ibb_wof *w, uint64_t i, uint8_t *out,
		       struct ibb_error *err) IBB_MUST_CHECK;

#endif
