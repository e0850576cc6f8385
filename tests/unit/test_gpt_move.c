/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A GPT whose disk grew: found again by our reader, by the rules of the specification, and by the
 * rules only (what must not change did not). */
#include "disktest.h"

#include <errno.h>

#include "base/le.h"
#include "disk/partition.h"
#include "mkdisk.h"

#define MIB 1048576ull

static const struct ibb_guid disk_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static const struct mkdisk_part parts[] = {
	{.off_bytes = MIB, .len_bytes = 2 * MIB, .id = {{0x11}}, .name = "EFI system partition"},
	{.off_bytes = 3 * MIB, .len_bytes = MIB, .id = {{0x22}}, .name = "Microsoft reserved"},
	{.off_bytes = 4 * MIB, .len_bytes = 3 * MIB, .id = {{0x33}}, .name = "Basic data"},
};

static struct ibb_disk *new_disk(uint64_t size, uint32_t sector)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct mkdisk_part p[3];

	memcpy(p, parts, sizeof(p));
	p[0].type = mkdisk_esp;
	p[1].type = mkdisk_msr;
	p[2].type = mkdisk_data;
	assert_ok(ibb_disk_mem_new(size, sector, &d, &err), err);
	assert_ok(mkdisk_gpt(d, p, 3, &disk_id, &err), err);
	return d;
}

/* An overlay over the grown disk, as the output is made. */
static struct ibb_disk *grown(struct ibb_disk *d, uint64_t size)
{
	struct ibb_error err = {0};
	struct ibb_disk *g = NULL, *ov = NULL;

	assert_ok(ibb_disk_grow_new(d, size, &g, &err), err);
	assert_ok(ibb_disk_overlay_new(g, 16 * MIB, &ov, &err), err);
	ibb_disk_unref(g);
	return ov;
}

static void get(struct ibb_disk *d, void *b, size_t n, uint64_t off)
{
	struct ibb_error err = {0};

	assert_ok(ibb_disk_pread(d, b, n, off, &err), err);
}

/* One header, by UEFI 5.3.2, with a checksum that is not the library's. */
static void assert_header(struct ibb_disk *d, uint32_t sector, uint64_t lba, uint64_t other,
			  uint64_t entries, uint64_t last_usable)
{
	uint8_t b[4096], zero[4] = {0}, table[128 * 128];
	uint32_t crc;

	get(d, b, sector, lba * sector);
	assert_memory_equal(b, "EFI PART", 8);
	assert_int_equal(ibb_get_le64(b + 24), lba);
	assert_int_equal(ibb_get_le64(b + 32), other);
	assert_int_equal(ibb_get_le64(b + 40), 2 + 16384 / sector);
	assert_int_equal(ibb_get_le64(b + 48), last_usable);
	assert_memory_equal(b + 56, disk_id.b, 16);
	assert_int_equal(ibb_get_le64(b + 72), entries);
	get(d, table, sizeof(table), entries * sector);
	assert_int_equal(ibb_get_le32(b + 88), mkdisk_crc32(table, sizeof(table)));
	crc = ibb_get_le32(b + 16);
	memcpy(b + 16, zero, 4);
	assert_int_equal(crc, mkdisk_crc32(b, 92));
}

/* Was anything written to what grown() made? On failure *ret_moved is untouched. */
static int gpt_move(struct ibb_disk *g, uint64_t old_bytes, bool *ret_moved, struct ibb_error *err)
{
	const uint64_t before = ibb_disk_overlay_dirty_bytes(g);
	int r = ibb_gpt_move(g, old_bytes, err);

	if (!r)
		*ret_moved = ibb_disk_overlay_dirty_bytes(g) != before;
	return r;
}

static void assert_moved(struct ibb_disk *before, struct ibb_disk *d, uint32_t sector)
{
	const uint64_t last = d->size_bytes / sector - 1, table = 16384 / sector;
	const uint64_t old_last = before->size_bytes / sector - 1;
	struct ibb_ptable a = {0}, b = {0};
	struct ibb_error err = {0};
	static uint8_t x[4 * MIB], y[4 * MIB];
	uint8_t mbr[512];

	assert_header(d, sector, 1, last, 2, last - table - 1);
	assert_header(d, sector, last, 1, last - table, last - table - 1);
	get(d, mbr, 512, 0);
	assert_int_equal(mbr[446 + 4], 0xee);
	assert_int_equal(ibb_get_le32(mbr + 446 + 8), 1);
	assert_int_equal(ibb_get_le32(mbr + 446 + 12), last);
	/* the old header is gone, unless the new entries lie there */
	get(d, x, sector, old_last * sector);
	assert_memory_not_equal(x, "EFI PART", 8);
	assert_ok(ibb_ptable_read(before, &a, &err), err);
	assert_ok(ibb_ptable_read(d, &b, &err), err);
	assert_false(b.primary_damaged);
	assert_false(b.backup_damaged);
	assert_int_equal(b.sector_bytes, sector);
	assert_int_equal(a.n, 3);
	assert_int_equal(b.n, 3);
	assert_memory_equal(&b.disk_id, &disk_id, sizeof(disk_id));
	for (size_t i = 0; i < 3; i++)
		assert_memory_equal(&a.parts[i], &b.parts[i], sizeof(a.parts[i]));
	/* between the first entries and the old backup nothing changed */
	get(before, x, 4 * MIB, 2 * sector);
	get(d, y, 4 * MIB, 2 * sector);
	assert_memory_equal(x, y, 4 * MIB);
	ibb_ptable_clear(&a);
	ibb_ptable_clear(&b);
}

static void test_moves(void **state)
{
	/* by one sector, by less than the table is long, by just that, by more */
	static const struct {
		uint64_t from, to;
		uint32_t sector;
	} t[] = {
		{8 * MIB - 512, 8 * MIB, 512},	    {8 * MIB - 16 * 512, 8 * MIB, 512},
		{8 * MIB - 33 * 512, 8 * MIB, 512}, {8 * MIB + 512, 9 * MIB, 512},
		{8 * MIB - 4096, 8 * MIB, 4096},    {8 * MIB - 5 * 4096, 8 * MIB, 4096},
		{8 * MIB + 4096, 9 * MIB, 4096},    {8 * MIB, 3ull << 40, 512}, /* past 32 bits */
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_disk *d = new_disk(t[i].from, t[i].sector), *g = grown(d, t[i].to);
		struct ibb_error err = {0};
		bool moved = false;
		uint8_t mbr[512];

		assert_ok(gpt_move(g, t[i].from, &moved, &err), err);
		assert_true(moved);
		if (t[i].to / t[i].sector > UINT32_MAX) {
			get(g, mbr, 512, 0);
			assert_int_equal(ibb_get_le32(mbr + 446 + 12), UINT32_MAX);
			assert_header(g, 512, 1, t[i].to / 512 - 1, 2, t[i].to / 512 - 34);
		} else {
			assert_moved(d, g, t[i].sector);
		}
		ibb_disk_unref(g);
		ibb_disk_unref(d);
	}
}

/* A disk whose sector size nobody told: 4096-byte sectors in a raw file. */
static void test_other_sector(void **state)
{
	struct ibb_disk *d = new_disk(8 * MIB + 4096, 4096), *g;
	struct ibb_error err = {0};
	bool moved = false;

	(void)state;
	d->sector_bytes = 512;
	g = grown(d, 9 * MIB);
	assert_ok(gpt_move(g, 8 * MIB + 4096, &moved, &err), err);
	assert_true(moved);
	assert_moved(d, g, 4096);
	ibb_disk_unref(g);
	ibb_disk_unref(d);
}

/* A hybrid entry that does not span the disk, and a size of all ones, stay. */
static void test_protective_mbr(void **state)
{
	struct ibb_disk *d = new_disk(8 * MIB - 512, 512), *g;
	struct ibb_error err = {0};
	uint8_t a[512], b[512];
	bool moved = false;

	(void)state;
	get(d, a, 512, 0);
	memset(a + 446 + 12, 0xff, 4);
	a[462 + 4] = 0x07;
	ibb_put_le32(a + 462 + 8, 2048);
	ibb_put_le32(a + 462 + 12, 8 * MIB / 512 - 2);
	assert_ok(ibb_disk_pwrite(d, a, 512, 0, &err), err);
	g = grown(d, 8 * MIB);
	assert_ok(gpt_move(g, 8 * MIB - 512, &moved, &err), err);
	assert_true(moved);
	get(g, b, 512, 0);
	assert_memory_equal(a, b, 512);
	ibb_disk_unref(g);
	ibb_disk_unref(d);
}

static void test_nothing_to_move(void **state)
{
	struct ibb_disk *d = NULL, *g;
	struct ibb_error err = {0};
	struct mkdisk_part p = {.off_bytes = MIB, .len_bytes = MIB, .mbr_type = 7};
	bool moved = true;

	(void)state;
	/* nothing at all, then an MBR */
	assert_ok(ibb_disk_mem_new(4 * MIB - 512, 512, &d, &err), err);
	for (int i = 0; i < 2; i++) {
		g = grown(d, 4 * MIB);
		moved = true;
		assert_ok(gpt_move(g, 4 * MIB - 512, &moved, &err), err);
		assert_false(moved);
		assert_int_equal(ibb_disk_overlay_dirty_bytes(g), 0);
		ibb_disk_unref(g);
		assert_ok(mkdisk_mbr(d, &p, 1, 0x12345678, &err), err);
	}
	ibb_disk_unref(d);
	/* the same size */
	d = new_disk(8 * MIB, 512);
	g = grown(d, 8 * MIB);
	moved = true;
	assert_ok(gpt_move(g, 8 * MIB, &moved, &err), err);
	assert_false(moved);
	ibb_disk_unref(g);
	ibb_disk_unref(d);
}

static void test_damaged(void **state)
{
	const uint64_t size = 8 * MIB - 512, last = size / 512 - 1;
	const struct {
		uint64_t off;
		int code;
		const char *text;
	} t[] = {
		{512 + 60, IBB_E_UNSUPPORTED, "the primary GPT header is damaged"},
		{512, IBB_E_UNSUPPORTED, "the primary GPT header is damaged"},
		{1024 + 5, IBB_E_UNSUPPORTED, "the primary GPT header is damaged"},
		{last * 512 + 60, IBB_E_UNSUPPORTED, "the backup GPT header is damaged"},
		{(last - 32) * 512 + 5, IBB_E_UNSUPPORTED, "the backup GPT header is damaged"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_disk *d = new_disk(size, 512), *g;
		struct ibb_error err = {0};
		bool moved = false;
		uint8_t b;

		get(d, &b, 1, t[i].off);
		b ^= 0x55;
		assert_ok(ibb_disk_pwrite(d, &b, 1, t[i].off, &err), err);
		g = grown(d, 8 * MIB);
		assert_fails(gpt_move(g, size, &moved, &err), t[i].code, err, t[i].text);
		assert_non_null(strstr(err.msg, "has to grow by 512 bytes to whole MiB"));
		assert_non_null(strstr(err.hint, "--format=raw"));
		assert_false(moved);
		assert_int_equal(ibb_disk_overlay_dirty_bytes(g), 0);
		ibb_disk_unref(g);
		ibb_disk_unref(d);
	}
}

/* A disk that was made larger before, without its GPT: the backup is fetched from where it is. */
static void test_enlarged_before(void **state)
{
	const uint64_t was = 8 * MIB - 40 * 512, size = was + 35 * 512;

	(void)state;
	for (int damaged = 0; damaged < 2; damaged++) {
		struct ibb_disk *d = new_disk(was, 512), *g, *g2;
		struct ibb_error err = {0};
		bool moved = false;
		uint8_t b[512], zero[512] = {0};

		if (damaged) {
			get(d, b, 1, was - 512 + 60);
			b[0] ^= 1;
			assert_ok(ibb_disk_pwrite(d, b, 1, was - 512 + 60, &err), err);
		}
		g = grown(d, size);
		g2 = grown(g, 8 * MIB);
		if (damaged) {
			assert_fails(gpt_move(g2, size, &moved, &err), IBB_E_UNSUPPORTED, err,
				     "the backup GPT header is damaged");
			assert_non_null(strstr(err.hint, "--format=raw"));
		} else {
			assert_ok(gpt_move(g2, size, &moved, &err), err);
			assert_true(moved);
			assert_header(g2, 512, 1, 8 * MIB / 512 - 1, 2, 8 * MIB / 512 - 34);
			assert_header(g2, 512, 8 * MIB / 512 - 1, 1, 8 * MIB / 512 - 33,
				      8 * MIB / 512 - 34);
			get(g2, b, 512, was - 512);
			assert_memory_equal(b, zero, 512);
			get(g2, b, 512, 0);
			assert_int_equal(ibb_get_le32(b + 446 + 12), 8 * MIB / 512 - 1);
			assert_ok(ibb_ptable_check_grown(g, size, g2, &err), err);
		}
		ibb_disk_unref(g2);
		ibb_disk_unref(g);
		ibb_disk_unref(d);
	}
}

/*
 * Headers of a GPT that the disk had before it was partitioned anew: the MBR counts, or the volume
 * that fills the disk, and what lies in the last sector is theirs.
 */
static void test_stale_headers(void **state)
{
	const uint64_t size = 8 * MIB - 512, last = size / 512 - 1;
	const struct mkdisk_part p = {.off_bytes = MIB, .len_bytes = size - MIB, .mbr_type = 7};
	static const uint8_t zero[512];
	uint8_t boot[512] = {0xeb, 0x52, 0x90};

	(void)state;
	memcpy(boot + 3, "NTFS    ", 8);
	boot[510] = 0x55;
	boot[511] = 0xaa;
	/* an MBR, then a bare volume; with both headers, without the backup, without the primary */
	for (unsigned i = 0; i < 6; i++) {
		struct ibb_disk *d = new_disk(size, 512), *g;
		struct ibb_error err = {0};
		bool moved = true;

		if (i < 3)
			assert_ok(mkdisk_mbr(d, &p, 1, 0x12345678, &err), err);
		else
			assert_ok(ibb_disk_pwrite(d, boot, 512, 0, &err), err);
		if (i % 3 == 1)
			assert_ok(ibb_disk_pwrite(d, "last of the volume", 18, last * 512, &err),
				  err);
		if (i % 3 == 2)
			assert_ok(ibb_disk_pwrite(d, zero, 512, 512, &err), err);
		g = grown(d, 8 * MIB);
		assert_ok(gpt_move(g, size, &moved, &err), err);
		assert_false(moved);
		assert_int_equal(ibb_disk_overlay_dirty_bytes(g), 0);
		assert_ok(ibb_ptable_check_grown(d, size, g, &err), err);
		ibb_disk_unref(g);
		ibb_disk_unref(d);
	}
}

/* Change a header's field of 64 bits, and its checksum. */
static void set_field(struct ibb_disk *d, uint64_t lba, size_t field, uint64_t v)
{
	struct ibb_error err = {0};
	uint8_t b[512];

	get(d, b, 512, lba * 512);
	ibb_put_le64(b + field, v);
	memset(b + 16, 0, 4);
	ibb_put_le32(b + 16, mkdisk_crc32(b, 92));
	assert_ok(ibb_disk_pwrite(d, b, 512, lba * 512, &err), err);
}

static void copy_entries(struct ibb_disk *d, uint64_t from, uint64_t to)
{
	static uint8_t b[128 * 128];
	struct ibb_error err = {0};

	get(d, b, sizeof(b), from * 512);
	assert_ok(ibb_disk_pwrite(d, b, sizeof(b), to * 512, &err), err);
}

/* Sound, but not as everybody lays a GPT out: refused before a partition or the table is hurt. */
static void test_odd_layouts(void **state)
{
	enum { LAST_USABLE = 48, ENTRIES = 72 };
	const uint64_t size = 8 * MIB - 512, last = size / 512 - 1;
	static const char *const text[] = {"entries of its primary GPT header lie at the end",
					   "which leaves no room for the backup",
					   "reach over its backup header"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(text); i++) {
		struct ibb_disk *d = new_disk(size, 512), *g;
		struct ibb_ptable t = {0};
		struct ibb_error err = {0};
		bool moved = false;

		if (i == 0) {
			copy_entries(d, 2, last - 64);
			set_field(d, 1, ENTRIES, last - 64);
			set_field(d, 1, LAST_USABLE, last - 65);
			set_field(d, last, LAST_USABLE, last - 65);
		} else { /* the backup's entries in front of the partitions */
			copy_entries(d, 2, 40);
			set_field(d, last, ENTRIES, 40);
			for (int k = 0; k < 2; k++) {
				set_field(d, k ? last : 1, LAST_USABLE, last + i - 2);
				set_field(d, k ? last : 1, 40, 100);
			}
		}
		assert_ok(ibb_ptable_read(d, &t, &err), err);
		assert_false(t.primary_damaged || t.backup_damaged);
		ibb_ptable_clear(&t);
		g = grown(d, 8 * MIB);
		assert_fails(gpt_move(g, size, &moved, &err), IBB_E_UNSUPPORTED, err, text[i]);
		assert_non_null(strstr(err.msg, "has to grow by 512 bytes to whole MiB"));
		assert_non_null(strstr(err.hint, "keep the size"));
		assert_int_equal(ibb_disk_overlay_dirty_bytes(g), 0);
		ibb_disk_unref(g);
		ibb_disk_unref(d);
	}
}

/* What is no partition table grows as it is, unless it has something of a GPT. */
static void test_unreadable(void **state)
{
	const uint64_t size = 8 * MIB - 512;
	struct ibb_disk *d = new_disk(size, 512), *g;
	struct ibb_error err = {0};
	static const uint8_t zero[512];
	uint8_t mbr[512] = {0};
	bool moved = true;

	(void)state;
	assert_ok(ibb_disk_pwrite(d, zero, 512, 0, &err), err);
	g = grown(d, 8 * MIB);
	assert_fails(gpt_move(g, size, &moved, &err), IBB_E_CORRUPT, err,
		     "the protective MBR at offset 0 is damaged");
	assert_true(moved);
	ibb_disk_unref(g);
	/* text where the entries would be */
	memset(mbr + 446, 'x', 64);
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
	assert_ok(ibb_disk_pwrite(d, mbr, 512, 0, &err), err);
	assert_ok(ibb_disk_pwrite(d, zero, 512, 512, &err), err);
	assert_ok(ibb_disk_pwrite(d, zero, 512, size - 512, &err), err);
	g = grown(d, 8 * MIB);
	assert_ok(gpt_move(g, size, &moved, &err), err);
	assert_false(moved);
	assert_int_equal(ibb_disk_overlay_dirty_bytes(g), 0);
	assert_ok(ibb_ptable_check_grown(d, size, g, &err), err);
	ibb_disk_unref(g);
	ibb_disk_unref(d);
}

/* The check of what was written notices whatever is not as it was. */
static void test_check_grown(void **state)
{
	const uint64_t size = 8 * MIB - 512, last = 8 * MIB / 512 - 1;
	static const struct {
		uint64_t off;
		const char *what;
	} t[] = {
		{512 + 16, "has a damaged primary header"},
		{last * 512 + 16, "has a damaged backup header"},
		{440, "has another sector size or identity"},
	};
	struct ibb_disk *d = new_disk(size, 512), *mbr = NULL;
	struct mkdisk_part p[2] = {{.off_bytes = MIB, .len_bytes = MIB, .mbr_type = 7},
				   {.off_bytes = 3 * MIB, .len_bytes = MIB, .mbr_type = 7}};
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_disk *g = grown(d, 8 * MIB);
		bool moved = false;
		uint8_t b;

		assert_ok(gpt_move(g, size, &moved, &err), err);
		assert_ok(ibb_ptable_check_grown(d, size, g, &err), err);
		get(g, &b, 1, t[i].off);
		b ^= 1;
		assert_ok(ibb_disk_pwrite(g, &b, 1, t[i].off, &err), err);
		assert_fails(ibb_ptable_check_grown(d, size, g, &err), IBB_E_IO, err, t[i].what);
		ibb_disk_unref(g);
	}
	assert_ok(ibb_disk_mem_new(8 * MIB, 512, &mbr, &err), err);
	assert_ok(mkdisk_mbr(mbr, p, 1, 7, &err), err);
	assert_fails(ibb_ptable_check_grown(d, size, mbr, &err), IBB_E_IO, err,
		     "is of another kind");
	ibb_disk_unref(d);
	assert_ok(ibb_disk_mem_new(size, 512, &d, &err), err);
	assert_ok(mkdisk_mbr(d, p, 2, 7, &err), err);
	assert_fails(ibb_ptable_check_grown(d, size, mbr, &err), IBB_E_IO, err,
		     "has another number of partitions");
	p[0].len_bytes -= 512;
	assert_ok(mkdisk_mbr(mbr, p, 2, 7, &err), err);
	assert_fails(ibb_ptable_check_grown(d, size, mbr, &err), IBB_E_IO, err,
		     "has another partition");
	ibb_disk_unref(mbr);
	ibb_disk_unref(d);
}

/* Lack of memory anywhere is an error like any other. */
static void test_no_memory(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d;
	long n;

	(void)state;
	d = new_disk(8 * MIB - 512, 512);
	for (n = 0;; n++) {
		struct ibb_disk *g = grown(d, 8 * MIB);
		int r;

		ibb_mem_fail_at(n, false);
		r = ibb_gpt_move(g, 8 * MIB - 512, &err);
		ibb_mem_fail_at(-1, false);
		ibb_disk_unref(g);
		if (!r)
			break;
		assert_fails(r, IBB_E_NOMEM, err, "out of memory");
	}
	assert_true(n > 3);
	ibb_disk_unref(d);
}

/* Every write that fails while the GPT is moved is an error. */
static void test_write_fails(void **state)
{
	struct ibb_fault plan = {.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
	const uint64_t old = 8 * MIB - 33 * 512;
	struct ibb_error err = {0};
	long n = 0;
	int r;

	(void)state;
	do {
		struct ibb_disk *d = new_disk(old, 512), *big = NULL, *f = NULL;
		static uint8_t b[MIB];

		assert_ok(ibb_disk_mem_new(8 * MIB, 512, &big, &err), err);
		for (uint64_t off = 0; off < old; off += sizeof(b)) {
			size_t k = old - off < sizeof(b) ? (size_t)(old - off) : sizeof(b);

			get(d, b, k, off);
			assert_ok(ibb_disk_pwrite(big, b, k, off, &err), err);
		}
		plan.fail_at[IBB_FAULT_WRITE] = n++;
		memset(plan.count, 0, sizeof(plan.count));
		assert_ok(ibb_disk_fault_new(big, &plan, &f, &err), err);
		r = ibb_gpt_move(f, old, &err);
		if (r)
			assert_fails(r, IBB_E_IO, err, "injected failure of write");
		ibb_disk_unref(f);
		ibb_disk_unref(big);
		ibb_disk_unref(d);
	} while (r);
	assert_int_equal(n, 6); /* old header, entries, two headers, MBR; then it works */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),	       cmocka_unit_test(test_other_sector),
		cmocka_unit_test(test_protective_mbr), cmocka_unit_test(test_nothing_to_move),
		cmocka_unit_test(test_damaged),	       cmocka_unit_test(test_enlarged_before),
		cmocka_unit_test(test_stale_headers),  cmocka_unit_test(test_odd_layouts),
		cmocka_unit_test(test_unreadable),     cmocka_unit_test(test_check_grown),
		cmocka_unit_test(test_no_memory),      cmocka_unit_test(test_write_fails),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
