/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A disk whose machine lost power: what was to become of the file's structures stands in the log
 * only. The model has the disk as it is once the log is replayed.
 */
#ifndef IBB_VHDX_DIRTY_H
#define IBB_VHDX_DIRTY_H

#include "vhdx_util.h"

struct dirty {
	struct mkvhdx m;
	struct ibb_disk *model;
	struct mkvhdx_change c[512];
	uint8_t data[512][4096];
	size_t n;
};

/* Into the log with this sector of the file; in the file itself stands what `instead` says. */
static inline void dirty_sector(struct dirty *y, uint64_t off, const uint8_t *instead)
{
	struct ibb_error err = {0};

	assert_true(y->n < IBB_ARRAY_SIZE(y->c));
	assert_ok(ibb_disk_pread(y->m.file, y->data[y->n], 4096, off, &err), err);
	y->c[y->n] = (struct mkvhdx_change){off, y->data[y->n], 0};
	y->n++;
	assert_ok(mkvhdx_put(&y->m, instead, 4096, off, &err), err);
}

static inline void dirty_writes(struct dirty *y, unsigned n, uint64_t *seed)
{
	while (n--) {
		uint64_t len = 4096 * (1 + test_rand(seed) % 12);
		uint64_t at = test_rand(seed) % (y->m.o.disk_bytes - len) / 4096 * 4096;

		vhdx_scribble(&y->m, y->model, at, (size_t)len, seed);
	}
}

/* What the second round of writes did to the tables is taken back into the log. */
static inline void dirty_tables(struct dirty *y, const uint8_t *before, uint64_t at, uint64_t n)
{
	struct ibb_error err = {0};
	uint8_t b[4096];

	for (uint64_t off = 0; off < n; off += 4096) {
		assert_ok(ibb_disk_pread(y->m.file, b, 4096, at + off, &err), err);
		if (memcmp(b, before + off, 4096) != 0)
			dirty_sector(y, at + off, before + off);
	}
}

/* Sectors of blocks: some come with the log, some are zeroed by it. */
static inline void dirty_payload(struct dirty *y, unsigned n, uint64_t *seed)
{
	struct ibb_error err = {0};
	uint8_t junk[4096], zeros[4096 * 8] = {0};

	memset(junk, 0xee, sizeof(junk));
	while (n--) {
		uint64_t block = test_rand(seed) % y->m.n_blocks, place = 0, in;
		uint64_t sectors = 1 + test_rand(seed) % 8;

		assert_ok(mkvhdx_place(&y->m, block, &place, &err), err);
		if (!place || y->m.o.differencing || block == y->m.n_blocks - 1)
			continue;
		in = test_rand(seed) % (y->m.o.block_bytes - sizeof(zeros)) / 4096 * 4096;
		if (n % 2) {
			dirty_sector(y, place + in, junk);
			/* what the disk is to have: the place may have been dirtied before */
			assert_ok(ibb_disk_pread(y->model, y->data[y->n - 1], 4096,
						 block * y->m.o.block_bytes + in, &err),
				  err);
			continue;
		}
		/* zeros on the disk: the file keeps what it had, the log clears it */
		assert_ok(ibb_disk_pwrite(y->model, zeros, sectors * 4096,
					  block * y->m.o.block_bytes + in, &err),
			  err);
		for (uint64_t i = 0; i < sectors; i++)
			assert_ok(mkvhdx_put(&y->m, junk, 4096, place + in + i * 4096, &err), err);
		y->c[y->n++] = (struct mkvhdx_change){place + in, NULL, sectors * 4096};
	}
}

/*
 * The changes as entries of a few each from this sector of the ring on. Changes of one place are
 * to be replayed in their order, which the second half proves: it says something else first.
 */
static inline void dirty_ring(struct dirty *y, uint32_t at, uint64_t sequence, uint64_t *seed)
{
	struct mkvhdx_ring ring;
	struct ibb_error err = {0};
	struct mkvhdx_change old[3];
	size_t i = 0;

	mkvhdx_ring_init(&ring, &y->m, &vhdx_log_id, at, sequence);
	for (size_t k = 0; k < 3; k++)
		old[k] = (struct mkvhdx_change){y->c[k % y->n].off_bytes, NULL, 4096};
	assert_ok(mkvhdx_ring_add(&ring, old, 3, NULL, &err), err);
	while (i < y->n) {
		size_t k = 1 + test_rand(seed) % 9;

		k = k < y->n - i ? k : y->n - i;
		assert_ok(mkvhdx_ring_add(&ring, y->c + i, k, NULL, &err), err);
		i += k;
	}
	assert_ok(mkvhdx_set_log(&y->m, &vhdx_log_id, &err), err);
}

/* The caller clears it with dirty_clear(). */
static inline struct dirty *dirty_make(const struct mkvhdx_opts *o, uint32_t at, uint64_t sequence,
				       uint64_t *seed)
{
	struct dirty *y = calloc(1, sizeof(*y));
	struct ibb_error err = {0};
	uint8_t *before;

	assert_non_null(y);
	y->m = vhdx_make(o);
	y->model = vhdx_model(o->disk_bytes);
	dirty_writes(y, 6, seed);
	before = malloc(y->m.bat_bytes);
	assert_non_null(before);
	assert_ok(ibb_disk_pread(y->m.file, before, y->m.bat_bytes, y->m.bat_at, &err), err);
	dirty_writes(y, 12, seed);
	dirty_payload(y, 24, seed);
	dirty_tables(y, before, y->m.bat_at, y->m.bat_bytes);
	dirty_ring(y, at, sequence, seed);
	free(before);
	return y;
}

static inline void dirty_clear(struct dirty *y)
{
	mkvhdx_clear(&y->m);
	ibb_disk_unref(y->model);
	free(y);
}

#endif
