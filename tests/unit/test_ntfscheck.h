/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A volume to plant errors in, and where its bytes lie; for the tests of the NTFS checker. */
#ifndef IBB_TEST_NTFSCHECK_VOLUME_H
#define IBB_TEST_NTFSCHECK_VOLUME_H

#include "ntfs_raw.h"

#include "ntfscheck_internal.h"

#define N_MANY	60
#define N_LINKS 24

static struct ibb_disk *sound; /* the volume that errors are planted in */
/* records of it */
static uint64_t r_big, r_other, r_small, r_dir, r_sub, r_many, r_links, r_point;

static inline uint64_t record_of(struct ibb_volume *v, const char *path)
{
	return stat_of(v, path).id & 0xffffffffffff;
}

static inline void fill(struct ibb_volume *v)
{
	uint8_t *p = pattern(40000, 7);
	char name[40];

	put_bytes(v, "big", p, 40000, IBB_PUT_REPLACE);
	put_bytes(v, "other", p, 30000, IBB_PUT_REPLACE);
	free(p);
	put(v, "small", "small");
	put(v, "links", "a file with an attribute list");
	put(v, "point", "behind a reparse point");
	make_dir(v, "dir");
	make_dir(v, "dir/sub");
	make_dir(v, "many");
	for (unsigned i = 0; i < N_MANY; i++) {
		snprintf(name, sizeof(name), "many/file-%02u", i);
		put(v, name, "x");
	}
}

static inline void raw_fill(struct raw *r)
{
	char name[100];

	for (unsigned i = 0; i < N_LINKS; i++) {
		snprintf(name, sizeof(name), "dir/a name so long that a record is soon full %02u",
			 i);
		raw_link(r, "links", name);
	}
	raw_reparse(r, "point", TAG_SYMLINK);
}

static inline int setup(void **state)
{
	struct ibb_volume *v;
	struct raw *r;

	(void)state;
	sound = make_ntfs(16, 512, 4096);
	v = open_rw(sound);
	fill(v);
	r_big = record_of(v, "big");
	r_other = record_of(v, "other");
	r_small = record_of(v, "small");
	r_dir = record_of(v, "dir");
	r_sub = record_of(v, "dir/sub");
	r_many = record_of(v, "many");
	r_links = record_of(v, "links");
	r_point = record_of(v, "point");
	commit_close(v);
	r = raw_open(sound);
	raw_fill(r);
	raw_close(r);
	return 0;
}

static inline int teardown(void **state)
{
	ibb_disk_unref(sound);
	return img_teardown(state);
}

/* ---- finding the bytes ---- */

/* Where a byte of a stream that is not resident lies on the disk. */
static inline uint64_t stream_at(struct ibb_disk *d, uint64_t no, uint32_t type, const char *name,
				 uint64_t off)
{
	struct ibb_error err = {0};
	struct ntfscheck out = {0};
	struct nc c = {.d = d, .err = &err, .out = &out};
	struct nc_inode in;
	struct nc_attr *a;
	uint64_t at = 0;

	assert_true(nc_boot(&c) && nc_mft_load(&c));
	nc_assemble(&c, no, &in);
	a = nc_attr(&in, type, name);
	assert_true(a && !a->resident);
	for (size_t i = 0; i < a->n_runs; i++)
		if (off / c.cluster >= a->runs[i].vcn &&
		    off / c.cluster < a->runs[i].vcn + a->runs[i].len)
			at = (a->runs[i].lcn - a->runs[i].vcn) * c.cluster + off;
	assert_true(at > 0);
	nc_inode_clear(&in);
	free(c.mft);
	free(c.recs);
	ibb_unmap_zeroed(c.owned, c.owned_bytes);
	ntfscheck_clear(&out);
	return at;
}

static inline void get(struct ibb_disk *d, uint64_t at, void *p, size_t n)
{
	struct ibb_error err = {0};

	assert_ok(ibb_disk_pread(d, p, n, at, &err), err);
}

static inline void set(struct ibb_disk *d, uint64_t at, const void *p, size_t n)
{
	struct ibb_error err = {0};

	assert_ok(ibb_disk_pwrite(d, p, n, at, &err), err);
}

static inline void flip(struct ibb_disk *d, uint64_t at, uint8_t mask)
{
	uint8_t b;

	get(d, at, &b, 1);
	b ^= mask;
	set(d, at, &b, 1);
}

/* A record or index block, its fixups undone; saved with them again. */
struct block {
	struct ibb_disk *d;
	uint64_t at;
	size_t size;
	uint8_t p[4096];
};

static inline void fix(struct block *b, bool undo)
{
	uint8_t *usa = b->p + ibb_get_le16(b->p + 4);

	for (size_t i = 1; i <= b->size / 512; i++) {
		if (undo) {
			memcpy(b->p + 512 * i - 2, usa + 2 * i, 2);
			continue;
		}
		memcpy(usa + 2 * i, b->p + 512 * i - 2, 2);
		memcpy(b->p + 512 * i - 2, usa, 2);
	}
}

static inline struct block load(struct ibb_disk *d, uint64_t at, size_t size)
{
	struct block b = {.d = d, .at = at, .size = size};

	get(d, at, b.p, size);
	fix(&b, true);
	return b;
}

static inline struct block record(struct ibb_disk *d, uint64_t no)
{
	return load(d, stream_at(d, REC_MFT, AT_STREAM, "", no * 1024), 1024);
}

static inline void save(struct block *b)
{
	fix(b, false);
	set(b->d, b->at, b->p, b->size);
}

static inline uint8_t *attr(struct block *b, uint32_t type)
{
	uint8_t *a = b->p + ibb_get_le16(b->p + 0x14);

	while (ibb_get_le32(a) != type) {
		assert_true(ibb_get_le32(a) != AT_END);
		a += ibb_get_le32(a + 4);
	}
	return a;
}

static inline uint8_t *value(struct block *b, uint32_t type)
{
	uint8_t *a = attr(b, type);

	return a + ibb_get_le16(a + 0x14);
}

/* The entry of a name in the blocks of the directory "many". */
static inline struct block entry_block(struct ibb_disk *d, const char *name, uint8_t **ret)
{
	for (unsigned i = 0; i < 16; i++) {
		struct block b =
			load(d, stream_at(d, r_many, AT_INDEX_BLOCKS, "$I30", 4096ull * i), 4096);
		uint8_t *e = b.p + 0x18 + ibb_get_le32(b.p + 0x18);

		for (; !(e[12] & 2); e += ibb_get_le16(e + 8)) {
			size_t n = 0;

			while (name[n] && n < e[0x50] && e[0x52 + 2 * n] == (uint8_t)name[n])
				n++;
			if (!name[n] && n == e[0x50]) {
				*ret = (uint8_t *)(uintptr_t)(e - b.p); /* b is copied */
				return b;
			}
		}
	}
	fail_msg("no entry %s", name);
	return (struct block){0};
}

#define ENTRY(d, b, e, name)                                 \
	uint8_t *e##_off;                                    \
	struct block b = entry_block((d), (name), &e##_off); \
	uint8_t *e = b.p + (size_t)(uintptr_t)e##_off

#endif
