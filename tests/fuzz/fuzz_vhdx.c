/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX files. An open one can be read everywhere: runs without a gap, holes that are zeros, the
 * same bytes in whatever pieces; a failure has a code, one line, and leaves nothing. The file is
 * never changed. FUZZ_VHDX_PART (set by fuzz.cmake) says where the mutator works most.
 */
#include "fuzz_vhdx.h"

#include "base/le.h"
#include "disk/crc32c.h"
#include "disk/vhdx.h"

#define MIB 1048576ull

static int check_run(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	uint64_t *pos = ctx;

	(void)err;
	FUZZ_CHECK(e->off_bytes == *pos && e->len_bytes, "a gap at %llu", (unsigned long long)*pos);
	*pos += e->len_bytes;
	return IBB_OK;
}

static int is_hole(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	(void)err;
	*(bool *)ctx &= !e->data;
	return IBB_OK;
}

/* The same bytes whole and in two pieces; zeros where there is a hole. */
static void check_read(struct ibb_disk *d, uint64_t off)
{
	static uint8_t a[12345], b[12345];
	struct ibb_error err = {0};
	uint64_t left = d->size_bytes - off;
	size_t n = left < sizeof(a) ? (size_t)left : sizeof(a), k = n / 3;
	bool hole = true;
	int r = ibb_disk_pread(d, a, n, off, &err);

	FUZZ_CHECK(!r, "%d %s", r, err.msg);
	FUZZ_CHECK(!ibb_disk_pread(d, b + k, n - k, off + k, &err), "%s", err.msg);
	FUZZ_CHECK(!ibb_disk_pread(d, b, k, off, &err), "%s", err.msg);
	FUZZ_CHECK(!memcmp(a, b, n), "other bytes at %llu", (unsigned long long)off);
	FUZZ_CHECK(!ibb_disk_extents(d, off, n, is_hole, &hole, &err), "%s", err.msg);
	for (size_t i = 0; hole && i < n; i++)
		FUZZ_CHECK(!a[i], "no zeros in a hole");
}

static void check_disk(struct ibb_disk *d, const struct ibb_vhdx_info *i,
		       const struct ibb_parent_link *l)
{
	struct ibb_disk *parent = NULL;
	struct ibb_error err = {0};
	/* the runs of the largest disks would be counted for minutes */
	uint64_t pos = 0, most = d->size_bytes < 1024 * MIB ? d->size_bytes : 1024 * MIB;

	FUZZ_CHECK(i->disk_bytes == d->size_bytes && i->logical_sector_bytes == d->sector_bytes,
		   "info");
	FUZZ_CHECK(l->n <= IBB_PARENT_LOCATORS, "%zu locators", l->n);
	if (l->differencing) {
		FUZZ_CHECK(!ibb_disk_mem_new(8 * MIB, d->sector_bytes, &parent, &err) &&
				   !ibb_disk_pwrite(parent, "parent", 6, MIB, &err),
			   "%s", err.msg);
		FUZZ_CHECK(!ibb_disk_vhdx_set_parent(d, parent, &err), "%s", err.msg);
		ibb_disk_unref(parent);
	}
	FUZZ_CHECK(!ibb_disk_extents(d, 0, most, check_run, &pos, &err), "%s", err.msg);
	FUZZ_CHECK(pos == most, "runs end at %llu", (unsigned long long)pos);
	for (uint64_t off = 0; off < most && off < 8 * MIB; off += MIB)
		check_read(d, off);
	check_read(d, d->size_bytes - d->sector_bytes);
}

struct sum {
	struct ibb_disk *file;
	uint32_t value;
};

static int add_run(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	static uint8_t b[65536];
	struct sum *s = ctx;

	for (uint64_t at = 0; e->data && at < e->len_bytes; at += sizeof(b)) {
		uint64_t left = e->len_bytes - at;
		size_t n = left < sizeof(b) ? (size_t)left : sizeof(b);

		FUZZ_CHECK(!ibb_disk_pread(s->file, b, n, e->off_bytes + at, err), "read");
		s->value = ibb_crc32c(s->value, b, n);
	}
	return IBB_OK;
}

static uint32_t sum_of(struct ibb_disk *file)
{
	struct sum s = {file, 0};

	FUZZ_CHECK(!ibb_disk_extents(file, 0, file->size_bytes, add_run, &s, NULL), "runs");
	return s.value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ibb_disk *file = fuzz_vhdx_file(data, size), *d = NULL;
	struct ibb_parent_link link = {0};
	struct ibb_vhdx_info info;
	struct ibb_error err = {0};
	uint32_t before;
	int r;

	if (!file)
		return 0;
	before = sum_of(file);
	if (size % 4 == 3) { /* out of memory on the way: an error like any other */
		ibb_mem_fail_at((long)(data[size - 1] % 40), false);
		r = ibb_disk_vhdx_open(file, &info, &link, &d, &err);
		ibb_mem_fail_at(-1, false);
	} else {
		r = ibb_disk_vhdx_open(file, &info, &link, &d, &err);
	}
	FUZZ_CHECK(r == 0 || r == IBB_E_CORRUPT || r == IBB_E_UNSUPPORTED || r == IBB_E_LIMIT ||
			   r == IBB_E_NOMEM,
		   "%d %s", r, err.msg);
	if (r) {
		FUZZ_CHECK(!d && !link.n && err.msg[0] && !strchr(err.msg, '\n'), "%s", err.msg);
	} else {
		check_disk(d, &info, &link);
		ibb_parent_link_clear(&link);
		ibb_disk_unref(d);
	}
	FUZZ_CHECK(sum_of(file) == before, "the file was changed");
	ibb_disk_unref(file);
	return 0;
}

/* ---- damage: fields of the structure the target is for ---- */

enum part { PART_HEADER, PART_REGION, PART_META, PART_BAT, PART_LOG };
#ifndef FUZZ_VHDX_PART
#define FUZZ_VHDX_PART PART_HEADER
#endif

/* Is this piece of the file (as mkvhdx lays it out) of the part? */
static bool of_part(uint32_t unit)
{
	switch (FUZZ_VHDX_PART) {
	case PART_HEADER:
		return unit == 0 || unit == 16 || unit == 32;
	case PART_REGION:
		return unit == 48 || unit == 64;
	case PART_LOG:
		return unit == 32 || (unit >= 256 && unit < 512);
	case PART_META:
		return unit >= 512 && unit < 768;
	default:
		return unit >= 768 && unit < 1024;
	}
}

static uint64_t odd_value(uint64_t v, uint64_t *rnd)
{
	static const uint64_t edges[] = {0,	1,	    2,		6,	 7,
					 4096,	MIB,	    3 * MIB,	4 * MIB, 1ull << 40,
					 ~0ull, 0xfffff000, 0xfff00006, 0 - MIB, 8 * MIB | 6};

	switch (fuzz_rnd(rnd, 7)) {
	case 0:
		return edges[fuzz_rnd(rnd, IBB_ARRAY_SIZE(edges))];
	case 1:
		return v + fuzz_rnd(rnd, 5) - 2;
	case 2:
		return v ^ 1ull << fuzz_rnd(rnd, 64);
	case 3:
		return v + 4096 * (fuzz_rnd(rnd, 9) - 4ull);
	case 4:
		return v + MIB * (fuzz_rnd(rnd, 9) - 4ull);
	case 5:
		return fuzz_rnd(rnd, 24) * MIB | fuzz_rnd(rnd, 8);
	default:
		return v * 2;
	}
}

/* A field of 4 or 8 bytes of a piece of the part, and its twin in the second table. */
static void damage(uint8_t *data, size_t size, uint64_t *rnd)
{
	unsigned n = 0, start;
	size_t at, len;

	while (fuzz_vhdx_piece(data, size, n))
		n++;
	start = fuzz_rnd(rnd, n);
	for (unsigned i = 0; i < n; i++) {
		at = fuzz_vhdx_piece(data, size, (start + i) % n);
		if (!of_part(ibb_get_le32(data + at)))
			continue;
		len = ibb_get_le16(data + at + 4);
		at += FUZZ_VHDX_PIECE;
		if (len < 8 || len > size - at)
			return;
		at += fuzz_rnd(rnd, (uint32_t)(len < 512 || fuzz_rnd(rnd, 4) ? len : 512)) / 4 * 4;
		if (fuzz_rnd(rnd, 2) && at + 8 <= size)
			ibb_put_le64(data + at, odd_value(ibb_get_le64(data + at), rnd));
		else if (at + 4 <= size)
			ibb_put_le32(data + at, (uint32_t)odd_value(ibb_get_le32(data + at), rnd));
		return;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t rnd = seed;

	if (size < FUZZ_VHDX_HEAD + FUZZ_VHDX_PIECE || !fuzz_rnd(&rnd, 6))
		return LLVMFuzzerMutate(data, size, max_size);
	if (!fuzz_rnd(&rnd, 8))
		data[0] ^= FUZZ_VHDX_SEAL;
	if (!fuzz_rnd(&rnd, 16))
		ibb_put_le16(data + 2, (uint16_t)(ibb_get_le16(data + 2) + fuzz_rnd(&rnd, 5) - 2));
	for (unsigned k = 1 + fuzz_rnd(&rnd, 3); k--;)
		damage(data, size, &rnd);
	return size;
}
