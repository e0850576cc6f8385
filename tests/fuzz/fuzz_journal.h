/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small image in memory and what a change makes of it, for the target and for its seeds. */
#ifndef IBB_FUZZ_JOURNAL_H
#define IBB_FUZZ_JOURNAL_H

#include "fuzz.h"

#include "disk/journal.h"

#define FUZZ_IMAGE   (64u << 10)
#define FUZZ_JOURNAL (256u << 10)

struct fuzz_world {
	struct ibb_journal_io io;
	uint8_t image[FUZZ_IMAGE];
	uint8_t *journal;
	size_t journal_len;
	bool exists, begun, prepared, manifest;
	unsigned writes; /* to the image */
	bool stop;	 /* begin() fails: the journal is wanted, not the change */
};

/* The old image, or the new one. */
static inline void fuzz_image(uint8_t *out, bool changed)
{
	for (size_t i = 0; i < FUZZ_IMAGE; i++) {
		out[i] = (uint8_t)(i * 7 + i / 512 * 3);
		if (changed &&
		    (i / 4096 == 1 || i / 4096 == 5 || i / 4096 == 6 || i / 4096 == 15) &&
		    i / 512 % 3)
			out[i] ^= (uint8_t)(0x5a + i / 4096);
	}
}

static const struct ibb_journal_id fuzz_id = {
	.image_bytes = FUZZ_IMAGE,
	.flags = IBB_JOURNAL_HAS_GPT_ID,
	.gpt_id = {{0x49, 0x42, 0x42}},
};

void fuzz_world_init(struct fuzz_world *w);
/* A journal on its way from the old image to the new one; NULL manifest: without. */
void fuzz_make_journal(const char *manifest, struct ibb_buf *ret);
/* Make every digest right again, as far as the structure can be followed. */
void fuzz_reseal_journal(uint8_t *p, size_t n);

#endif
