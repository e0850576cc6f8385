/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of VHDX share: opening, and comparing a disk with a model of it. */
#ifndef IBB_VHDX_UTIL_H
#define IBB_VHDX_UTIL_H

#include "disktest.h"

#include "base/le.h"
#include "disk/vhdx.h"
#include "mkvhdx.h"

#define MIB 1048576ull
#define GIB (1024 * MIB)

static const struct ibb_guid vhdx_disk_id = {
	{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
static const struct ibb_guid vhdx_data_id = {
	{0xa0, 0xa1, 0xa2, 0xa3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6}};
static const struct ibb_guid vhdx_log_id = {{9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 2, 3, 4, 5, 6, 7}};
#define VHDX_LINKAGE "{a3a2a1a0-0504-0706-0809-010203040506}" /* vhdx_data_id */

struct vhdx_opened {
	struct ibb_disk *d;
	struct ibb_vhdx_info info;
	struct ibb_parent_link link;
};

static inline int vhdx_open(struct ibb_disk *file, struct vhdx_opened *o, struct ibb_error *err)
{
	*o = (struct vhdx_opened){0};
	return ibb_disk_vhdx_open(file, &o->info, &o->link, &o->d, err);
}

static inline void vhdx_close(struct vhdx_opened *o)
{
	ibb_disk_unref(o->d);
	ibb_parent_link_clear(&o->link);
}

static inline struct mkvhdx vhdx_make(const struct mkvhdx_opts *o)
{
	struct ibb_error err = {0};
	struct mkvhdx_opts with = *o;
	struct mkvhdx m;

	with.disk_id = vhdx_disk_id;
	with.data_write_id = vhdx_data_id;
	if (with.differencing && !with.linkage)
		with.linkage = VHDX_LINKAGE;
	assert_ok(mkvhdx_begin(&m, &with, &err), err);
	return m;
}

static inline struct ibb_disk *vhdx_model(uint64_t size)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;

	assert_ok(ibb_disk_mem_new(size, 512, &d, &err), err);
	return d;
}

/* Random bytes onto the disk and onto its model. */
static inline void vhdx_scribble(struct mkvhdx *m, struct ibb_disk *model, uint64_t off, size_t n,
				 uint64_t *seed)
{
	struct ibb_error err = {0};
	uint8_t *b = malloc(n);

	assert_non_null(b);
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(test_rand(seed) | 1);
	assert_ok(mkvhdx_write(m, b, n, off, &err), err);
	assert_ok(ibb_disk_pwrite(model, b, n, off, &err), err);
	free(b);
}

static inline bool vhdx_any_data(struct ibb_disk *d, uint64_t off, uint64_t n)
{
	struct ibb_error err = {0};
	struct extents e = {0};
	bool any = false;

	assert_ok(ibb_disk_extents(d, off, n, collect_extent, &e, &err), err);
	assert_extents_cover(&e, off, n);
	for (size_t i = 0; i < e.n; i++)
		any |= e.e[i].data;
	return any;
}

/* Every byte, but for what both say is a hole. */
static inline void assert_disk_is(struct ibb_disk *d, struct ibb_disk *model)
{
	static uint8_t a[1048576], b[1048576];
	struct ibb_error err = {0};

	assert_int_equal(d->size_bytes, model->size_bytes);
	for (uint64_t off = 0; off < d->size_bytes; off += MIB) {
		size_t n = d->size_bytes - off < MIB ? (size_t)(d->size_bytes - off) : MIB;

		if (!vhdx_any_data(d, off, n) && !vhdx_any_data(model, off, n))
			continue;
		assert_ok(ibb_disk_pread(d, a, n, off, &err), err);
		assert_ok(ibb_disk_pread(model, b, n, off, &err), err);
		if (memcmp(a, b, n) != 0)
			fail_msg("differs in the MiB at offset %llu", (unsigned long long)off);
	}
}

/* Ranges of any size at any place, from both. */
static inline void assert_random_reads(struct ibb_disk *d, struct ibb_disk *model, unsigned n,
				       uint64_t *seed)
{
	static uint8_t a[200000], b[200000];
	struct ibb_error err = {0};

	while (n--) {
		uint64_t off = test_rand(seed) % d->size_bytes, left = d->size_bytes - off;
		size_t k = 1 + test_rand(seed) % (sizeof(a) - 1);

		k = k < left ? k : (size_t)left;
		assert_ok(ibb_disk_pread(d, a, k, off, &err), err);
		assert_ok(ibb_disk_pread(model, b, k, off, &err), err);
		assert_memory_equal(a, b, k);
	}
}

#endif
