/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compound files ([MS-CFB], versions 3 and 4), read only: the streams of the root storage. Opening
 * one follows every chain it has, so that no sector belongs to two of them and none runs in a
 * circle; what cfb_read() goes along afterwards is known to be sound.
 */
#ifndef IBB_UNPACK_CFB_H
#define IBB_UNPACK_CFB_H

#include "unpack/internal.h"

#define CFB_NAME_UNITS 31

struct cfb_stream {
	uint16_t name[CFB_NAME_UNITS]; /* UTF-16 */
	unsigned n_name;
	uint32_t start;
	uint64_t size_bytes;
};

struct cfb {
	struct unpack_source s; /* borrows descriptor and name */
	unsigned shift;		/* of a sector: 9 or 12 */
	uint64_t n_sectors;
	uint32_t *fat; /* one entry a sector of the file */
	size_t n_fat;
	uint32_t *minifat;
	size_t n_minifat;
	uint32_t *mini; /* the sectors of the mini stream, in its order */
	size_t n_mini;
	uint64_t mini_size;
	uint8_t clsid[16]; /* of the root storage, as it is stored */
	struct cfb_stream *streams;
	size_t n_streams, cap_streams;
	uint8_t *used, *mini_used; /* a bit a sector */
};

/* Does it begin as one? Never fails; false when it cannot be read. */
bool cfb_is_one(const struct unpack_source *s);
/* Has it a header that makes sense? Never fails. */
bool cfb_is_plausible(const struct unpack_source *s);
/* How many bytes of `s` are the file, by its allocation table: something else may follow. */
int cfb_extent(const struct unpack_source *s, uint64_t *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* The class of the root storage, found by the header alone; false when that cannot be. */
bool cfb_peek_clsid(const struct unpack_source *s, uint8_t clsid[16]);

/* IBB_E_CORRUPT, IBB_E_LIMIT, IBB_E_UNSUPPORTED (a version nobody knows). cfb_clear() it. */
int cfb_open(const struct unpack_source *s, struct cfb *ret, struct ibb_error *err) IBB_MUST_CHECK;
void cfb_clear(struct cfb *c);

/* Reads a stream from its begin to its end. */
struct cfb_cursor {
	const struct cfb *c;
	const struct cfb_stream *stream;
	uint32_t sector;
	uint64_t pos;
};
struct cfb_cursor cfb_begin(const struct cfb *c, const struct cfb_stream *s);
/* The next n bytes; there have to be as many. */
int cfb_read(struct cfb_cursor *cur, void *buf, size_t n, struct ibb_error *err) IBB_MUST_CHECK;
/* All of it. IBB_E_LIMIT beyond `limit` bytes; `what` is for the message. */
int cfb_load(const struct cfb *c, const struct cfb_stream *s, const char *what, uint64_t limit,
	     struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;

#endif
