/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between second_opinion.c and opinion_sample.c: what of a disk libvhdi is asked for. */
#ifndef IBB_DISK_OPINION_H
#define IBB_DISK_OPINION_H

#include "disk/chain.h"

#define IBB_OPINION_PIECE  65536u
#define IBB_OPINION_PIECES 48u

struct ibb_opinion_window;
struct ibb_opinion_sample {
	const struct ibb_chain *c;
	uint32_t block_bytes; /* the smallest of the chain's; the others are multiples of it */
	struct ibb_opinion_window *windows; /* one a link */
	size_t n;
	uint64_t at[IBB_OPINION_PIECES]; /* ascending; a piece goes to the disk's end at most */
};

/*
 * Where to look: the first and the last data, more spread over the data and over the holes, some at
 * the borders of blocks; the same places each time. *ret is zero before, and cleared by the caller
 * on failure as well.
 */
int ibb_opinion_sample(const struct ibb_chain *c, struct ibb_opinion_sample *ret,
		       struct ibb_error *err) IBB_MUST_CHECK;
/* Is libvhdi known to read n bytes at off, a group of eight sectors, as it should? */
int ibb_opinion_may_ask(const struct ibb_opinion_sample *s, uint64_t off, uint64_t n, bool *ret,
			struct ibb_error *err) IBB_MUST_CHECK;
void ibb_opinion_sample_clear(struct ibb_opinion_sample *s);

#endif
