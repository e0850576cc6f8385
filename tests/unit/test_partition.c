/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disktest.h"

#include "base/le.h"
#include "disk/crc32.h"
#include "disk/partition.h"
#include "mkdisk.h"

#define MIB 1048576ull

static const struct ibb_guid disk_guid = {
	{0xd1, 0xd2, 0xd3, 0xd4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* ESP, MSR, a free slot, Windows: the order of numbers is not that of offsets. */
static struct mkdisk_part gpt_parts[] = {
	{.off_bytes = 64 * MIB, .len_bytes = 64 * MIB, .name = "EFI system partition"},
	{.off_bytes = 128 * MIB, .len_bytes = 16 * MIB, .name = NULL},
	{.len_bytes = 0},
	{.off_bytes = 1 * MIB,
	 .len_bytes = 63 * MIB,
	 .attributes = 1ull << 63,
	 .name = "123456789012345678901234567890123456"},
};

static struct ibb_disk *gpt_disk(uint32_t sector, uint64_t size)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;

	gpt_parts[0].type = mkdisk_esp;
	gpt_parts[1].type = mkdisk_msr;
	gpt_parts[3].type = mkdisk_data;
	for (size_t i = 0; i < 4; i++)
		gpt_parts[i].id.b[15] = (uint8_t)(0xa0 + i);
	assert_ok(ibb_disk_mem_new(size, sector, &d, &err), err);
	assert_ok(mkdisk_gpt(d, gpt_parts, 4, &disk_guid, &err), err);
	return d;
}

static void assert_gpt_parts(const struct ibb_ptable *t)
{
	static const size_t slot[] = {0, 1, 3};

	assert_int_equal(t->kind, IBB_PTABLE_GPT);
	assert_true(ibb_guid_equal(&t->disk_id, &disk_guid));
	assert_int_equal(t->n, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct mkdisk_part *want = &gpt_parts[slot[i]];
		const struct ibb_partition *p = &t->parts[i];

		assert_int_equal(p->number, slot[i] + 1);
		assert_int_equal(p->off_bytes, want->off_bytes);
		assert_int_equal(p->len_bytes, want->len_bytes);
		assert_true(ibb_guid_equal(&p->type, &want->type));
		assert_true(ibb_guid_equal(&p->id, &want->id));
		assert_true(p->attributes == want->attributes);
		assert_string_equal(p->name, want->name ? want->name : "");
		assert_int_equal(p->mbr_type, 0);
		assert_false(p->active);
	}
}

static void peek(struct ibb_disk *d, uint64_t off, void *p, size_t n)
{
	struct ibb_error err = {0};

	assert_ok(ibb_disk_pread(d, p, n, off, &err), err);
}

static void poke(struct ibb_disk *d, uint64_t off, const void *p, size_t n)
{
	struct ibb_error err = {0};

	assert_ok(ibb_disk_pwrite(d, p, n, off, &err), err);
}

static void flip(struct ibb_disk *d, uint64_t off, uint8_t mask)
{
	uint8_t b;

	peek(d, off, &b, 1);
	b ^= mask;
	poke(d, off, &b, 1);
}

static void assert_refused(struct ibb_disk *d, int code, const char *text)
{
	struct ibb_ptable t = {.n = 77};
	struct ibb_error err = {0};

	assert_fails(ibb_ptable_read(d, &t, &err), code, err, text);
	assert_int_equal(t.n, 77); /* untouched */
	assert_int_equal(err.code, code);
}

static void test_crc32(void **state)
{
	(void)state;
	/* the check value of CRC-32/ISO-HDLC */
	assert_int_equal(ibb_crc32(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(mkdisk_crc32("123456789", 9), 0xcbf43926);
	assert_int_equal(ibb_crc32(ibb_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
	assert_int_equal(ibb_crc32(0, "", 0), 0);
}

/* --- GPT --- */

static void test_gpt(void **state)
{
	static const uint32_t sectors[] = {512, 4096};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ibb_disk *d = gpt_disk(sectors[i], 256 * MIB);
		struct ibb_error err = {0};
		struct ibb_ptable t;

		/* whatever the disk believes, the table decides */
		for (size_t k = 0; k < 2; k++) {
			d->sector_bytes = sectors[k];
			assert_ok(ibb_ptable_read(d, &t, &err), err);
			assert_gpt_parts(&t);
			assert_int_equal(t.sector_bytes, sectors[i]);
			assert_int_equal(d->sector_bytes, sectors[i]);
			assert_false(t.primary_damaged);
			assert_false(t.backup_damaged);
			ibb_ptable_clear(&t);
			assert_null(t.parts);
		}
		ibb_disk_unref(d);
	}
}

/* Any flipped bit of the primary header or its entries: the backup serves the same table. */
static void test_gpt_flipped_primary(void **state)
{
	static const uint32_t sectors[] = {512, 4096};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const uint32_t s = sectors[i];
		struct ibb_disk *d = gpt_disk(s, 256 * MIB);
		struct ibb_error err = {0};
		struct ibb_ptable t;

		for (unsigned bit = 0; bit < (92 + 16384) * 8; bit += bit < 92 * 8 ? 1 : 511) {
			const uint64_t at = bit < 92 * 8 ? s + bit / 8 : 2 * s + bit / 8 - 92;

			flip(d, at, (uint8_t)(1u << bit % 8));
			assert_ok(ibb_ptable_read(d, &t, &err), err);
			assert_gpt_parts(&t);
			assert_true(t.primary_damaged);
			assert_false(t.backup_damaged);
			ibb_ptable_clear(&t);
			flip(d, at, (uint8_t)(1u << bit % 8));
		}
		ibb_disk_unref(d);
	}
}

static void test_gpt_flipped_backup(void **state)
{
	struct ibb_disk *d = gpt_disk(512, 256 * MIB);
	struct ibb_error err = {0};
	struct ibb_ptable t;

	(void)state;
	for (unsigned byte = 0; byte < 92 + 512; byte++) {
		const uint64_t at = byte < 92 ? d->size_bytes - 512 + byte
					      : d->size_bytes - 512 - 16384 + byte - 92;

		flip(d, at, 0x10);
		assert_ok(ibb_ptable_read(d, &t, &err), err);
		assert_gpt_parts(&t);
		assert_false(t.primary_damaged);
		assert_true(t.backup_damaged);
		ibb_ptable_clear(&t);
		flip(d, at, 0x10);
	}
	ibb_disk_unref(d);
}

/* A valid backup that tells of another disk: reported, the primary counts. */
static void test_gpt_backup_disagrees(void **state)
{
	struct ibb_disk *d = gpt_disk(512, 256 * MIB), *other = gpt_disk(512, 256 * MIB);
	struct ibb_guid id = disk_guid;
	struct ibb_error err = {0};
	struct ibb_ptable t;
	uint8_t b[512];

	(void)state;
	id.b[0]++;
	assert_ok(mkdisk_gpt(other, gpt_parts, 4, &id, &err), err);
	peek(other, other->size_bytes - 512, b, 512);
	poke(d, d->size_bytes - 512, b, 512);
	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_gpt_parts(&t);
	assert_true(t.backup_damaged);
	ibb_ptable_clear(&t);
	ibb_disk_unref(d);
	ibb_disk_unref(other);
}

/* Disks that were enlarged: the backup is not at the end. */
static void test_gpt_enlarged(void **state)
{
	struct ibb_disk *small = gpt_disk(512, 256 * MIB), *d = NULL;
	struct ibb_error err = {0};
	struct ibb_ptable t;
	static uint8_t b[17408];

	(void)state;
	assert_ok(ibb_disk_mem_new(300 * MIB, 512, &d, &err), err);
	peek(small, 0, b, sizeof(b));
	poke(d, 0, b, sizeof(b));
	peek(small, 256 * MIB - sizeof(b), b, sizeof(b));
	poke(d, 256 * MIB - sizeof(b), b, sizeof(b));
	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_gpt_parts(&t);
	assert_true(t.backup_damaged);
	assert_int_equal(t.backup_lba, 256 * MIB / 512 - 1);
	assert_false(t.primary_damaged);
	ibb_ptable_clear(&t);
	/* and the primary's checksum is wrong, but it still says where the backup was */
	flip(d, 512 + 16, 1);
	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_gpt_parts(&t);
	assert_true(t.backup_damaged);
	assert_true(t.primary_damaged);
	ibb_ptable_clear(&t);
	flip(d, 512 + 32, 1);
	assert_refused(d, IBB_E_CORRUPT, "backup GPT header at offset 314572288: no signature");
	ibb_disk_unref(small);
	ibb_disk_unref(d);
}

static void test_gpt_both_damaged(void **state)
{
	struct ibb_disk *d = gpt_disk(512, 256 * MIB);

	(void)state;
	flip(d, 512 + 56, 1);
	flip(d, d->size_bytes - 512, 1);
	assert_refused(d, IBB_E_CORRUPT,
		       "memory: primary GPT header at offset 512: checksum is 0x");
	assert_refused(d, IBB_E_CORRUPT,
		       "; backup GPT header at offset 268434944: no signature \"EFI PART\"");
	flip(d, 512 + 56, 1);
	flip(d, 1024, 1);
	assert_refused(d, IBB_E_CORRUPT,
		       "primary GPT header at offset 512: checksum of the entries is 0x");
	ibb_disk_unref(d);
}

static void test_gpt_truncated(void **state)
{
	struct ibb_disk *d = gpt_disk(512, 256 * MIB), *cut = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_disk_slice_new(d, 0, 200 * MIB, &cut, &err), err);
	assert_refused(cut, IBB_E_CORRUPT,
		       "primary GPT header at offset 512: usable up to LBA 524254, but the disk "
		       "ends at 409599: truncated?");
	ibb_disk_unref(cut);
	assert_ok(ibb_disk_slice_new(d, 0, 512, &cut, &err), err);
	assert_refused(cut, IBB_E_CORRUPT, "the primary GPT header would lie past the end");
	ibb_disk_unref(cut);
	assert_ok(ibb_disk_slice_new(d, 0, 511, &cut, &err), err);
	assert_refused(cut, IBB_E_CORRUPT, "511 bytes has no room for a partition table");
	ibb_disk_unref(cut);
	ibb_disk_unref(d);
}

/* Change a field of both headers and put the right checksums under it. */
static void set_both(struct ibb_disk *d, unsigned at, uint64_t v, unsigned len)
{
	const uint32_t s = d->sector_bytes;
	const uint64_t headers[] = {s, d->size_bytes - s};

	for (size_t i = 0; i < 2; i++) {
		uint8_t b[4096];

		peek(d, headers[i], b, s);
		for (unsigned k = 0; k < len; k++)
			b[at + k] = (uint8_t)(v >> 8 * k);
		memset(b + 16, 0, 4);
		ibb_put_le32(b + 16, mkdisk_crc32(b, 92));
		poke(d, headers[i], b, s);
	}
}

/* Change both arrays of entries, and their checksum in both headers. */
static void set_entry(struct ibb_disk *d, unsigned entry, unsigned at, uint64_t v, unsigned len)
{
	static uint8_t b[16384];
	const uint32_t s = d->sector_bytes;
	const uint64_t arrays[] = {2 * s, d->size_bytes - s - sizeof(b)};

	for (size_t i = 0; i < 2; i++) {
		peek(d, arrays[i], b, sizeof(b));
		for (unsigned k = 0; k < len; k++)
			b[entry * 128 + at + k] = (uint8_t)(v >> 8 * k);
		poke(d, arrays[i], b, sizeof(b));
	}
	set_both(d, 88, mkdisk_crc32(b, sizeof(b)), 4);
}

static void test_gpt_bad_fields(void **state)
{
	static const struct {
		unsigned at, len;
		uint64_t v;
		int code;
		const char *text;
	} bad[] = {
		{8, 4, 0x00020000, IBB_E_CORRUPT, "revision is 0x20000 instead of 0x10000"},
		{12, 4, 91, IBB_E_CORRUPT, "header size is 0x5b instead of 0x5c"},
		{12, 4, 513, IBB_E_CORRUPT, "header size is 0x201"},
		{12, 4, UINT32_MAX, IBB_E_CORRUPT, "header size is 0xffffffff"},
		{24, 8, 7, IBB_E_CORRUPT, "own LBA is 0x7 instead of 0x1"},
		{40, 8, 0, IBB_E_CORRUPT, "impossible first usable LBA 0"},
		{40, 8, 600000, IBB_E_CORRUPT, "impossible first usable LBA 600000"},
		{48, 8, UINT64_MAX, IBB_E_CORRUPT, "usable up to LBA 18446744073709551615"},
		{48, 8, 1, IBB_E_CORRUPT, "impossible first usable LBA 34"},
		{72, 8, 1, IBB_E_CORRUPT, "impossible LBA of the entries 1"},
		{72, 8, UINT64_MAX / 2, IBB_E_CORRUPT, "impossible LBA of the entries 92233"},
		{72, 8, 524287, IBB_E_CORRUPT, "impossible LBA of the entries 524287"},
		{72, 8, 40, IBB_E_CORRUPT, "impossible LBA of the entries 40"},
		{80, 4, 1025, IBB_E_LIMIT, "offset 512: 1025 entries, more than 1024"},
		{80, 4, UINT32_MAX, IBB_E_LIMIT, "4294967295 entries, more than 1024"},
		{84, 4, 0, IBB_E_CORRUPT, "impossible entry size 0"},
		{84, 4, 64, IBB_E_CORRUPT, "impossible entry size 64"},
		{84, 4, 192, IBB_E_CORRUPT, "impossible entry size 192"},
		{84, 4, 8192, IBB_E_CORRUPT, "impossible entry size 8192"},
		{88, 4, 1, IBB_E_CORRUPT, "checksum of the entries is 0x1 instead of 0x"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		struct ibb_disk *d = gpt_disk(512, 256 * MIB);

		set_both(d, bad[i].at, bad[i].v, bad[i].len);
		assert_refused(d, bad[i].code, bad[i].text);
		ibb_disk_unref(d);
	}
}

static void test_gpt_bad_entries(void **state)
{
	static const struct {
		unsigned entry, at;
		uint64_t v;
		const char *text;
	} bad[] = {
		{0, 32, 33, "GPT partition 1 (LBA 33 to 262143) lies outside the usable LBA 34"},
		{0, 32, 262144, "GPT partition 1 (LBA 262144 to 262143) lies outside"},
		{0, 40, 524255,
		 "GPT partition 1 (LBA 131072 to 524255) lies outside the usable "
		 "LBA 34 to 524254"},
		{0, 40, UINT64_MAX, "to 18446744073709551615) lies outside"},
		{0, 40, 262144, "partitions 1 and 2 overlap at offset 134217728"},
		{0, 32, 131071, "partitions 4 and 1 overlap at offset 67108352"},
		{3, 32, 131072, "partition 4 (LBA 131072 to 131071)"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		struct ibb_disk *d = gpt_disk(512, 256 * MIB);

		set_entry(d, bad[i].entry, bad[i].at, bad[i].v, 8);
		assert_refused(d, IBB_E_CORRUPT, bad[i].text);
		ibb_disk_unref(d);
	}
}

static void test_gpt_names(void **state)
{
	struct ibb_disk *d = gpt_disk(512, 256 * MIB);
	struct ibb_error err = {0};
	struct ibb_ptable t;

	(void)state;
	set_entry(d, 0, 56, 0x0000d83d20ac00e4, 8); /* U+00E4 U+20AC, half a pair, the end */
	for (unsigned i = 0; i < 36; i++)
		set_entry(d, 3, 56 + 2 * i, 0x20ac, 2);
	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_string_equal(t.parts[0].name, "\xc3\xa4\xe2\x82\xac\xed\xa0\xbd");
	assert_int_equal(strlen(t.parts[2].name), 108);
	ibb_ptable_clear(&t);
	ibb_disk_unref(d);
}

static void test_gpt_no_entries(void **state)
{
	struct ibb_disk *d = NULL;
	struct ibb_error err = {0};
	struct ibb_ptable t;

	(void)state;
	assert_ok(ibb_disk_mem_new(1 * MIB, 512, &d, &err), err);
	assert_ok(mkdisk_gpt(d, NULL, 0, &disk_guid, &err), err);
	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_int_equal(t.kind, IBB_PTABLE_GPT);
	assert_int_equal(t.n, 0);
	ibb_ptable_clear(&t);
	ibb_disk_unref(d);
}

static void test_gpt_without_mbr(void **state)
{
	struct ibb_disk *d = gpt_disk(4096, 256 * MIB);
	const uint8_t zeros[512] = {0};

	(void)state;
	poke(d, 0, zeros, 512);
	assert_refused(
		d, IBB_E_CORRUPT,
		"there is a GPT header (4096-byte sectors), but the protective MBR at offset "
		"0 is damaged");
	poke(d, 4096, zeros, 512); /* only the backup left */
	assert_refused(d, IBB_E_CORRUPT, "the protective MBR at offset 0 is damaged");
	ibb_disk_unref(d);
}

static void test_gpt_hybrid(void **state)
{
	struct ibb_disk *d = gpt_disk(512, 256 * MIB);
	struct ibb_error err = {0};
	struct ibb_ptable t;
	uint8_t b[16];

	(void)state;
	peek(d, 446, b, 16); /* the protective entry moves to the second slot */
	poke(d, 462, b, 16);
	poke(d, 446, "\x80\0\2\0\x07\xfe\xff\xff\0\x08\0\0\0\x10\0\0", 16);
	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_gpt_parts(&t);
	ibb_ptable_clear(&t);
	ibb_disk_unref(d);
}

/* --- MBR --- */

static const struct mkdisk_part mbr_parts[] = {
	{.off_bytes = 1 * MIB, .len_bytes = 50 * MIB, .mbr_type = 0x07, .active = true},
	{.off_bytes = 60 * MIB, .len_bytes = 10 * MIB, .mbr_type = 0x27},
	{.off_bytes = 81 * MIB, .len_bytes = 9 * MIB, .mbr_type = 0x07, .logical = true},
	{.off_bytes = 91 * MIB, .len_bytes = 9 * MIB, .mbr_type = 0x0c, .logical = true},
	{.off_bytes = 101 * MIB, .len_bytes = 19 * MIB, .mbr_type = 0x07, .logical = true},
};

static struct ibb_disk *mbr_disk(uint32_t sector)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;

	assert_ok(ibb_disk_mem_new(128 * MIB, sector, &d, &err), err);
	assert_ok(mkdisk_mbr(d, mbr_parts, 5, 0xdeadbeef, &err), err);
	return d;
}

static void test_mbr(void **state)
{
	static const uint32_t sectors[] = {512, 4096};
	static const unsigned numbers[] = {1, 2, 5, 6, 7};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ibb_disk *d = mbr_disk(sectors[i]);
		struct ibb_error err = {0};
		struct ibb_ptable t;

		assert_ok(ibb_ptable_read(d, &t, &err), err);
		assert_int_equal(t.kind, IBB_PTABLE_MBR);
		assert_int_equal(t.mbr_signature, 0xdeadbeef);
		assert_int_equal(t.sector_bytes, sectors[i]);
		assert_int_equal(t.n, 5);
		for (size_t k = 0; k < 5; k++) {
			assert_int_equal(t.parts[k].number, numbers[k]);
			assert_int_equal(t.parts[k].off_bytes, mbr_parts[k].off_bytes);
			assert_int_equal(t.parts[k].len_bytes, mbr_parts[k].len_bytes);
			assert_int_equal(t.parts[k].mbr_type, mbr_parts[k].mbr_type);
			assert_int_equal(t.parts[k].active, mbr_parts[k].active);
		}
		ibb_ptable_clear(&t);
		ibb_disk_unref(d);
	}
}

#define ENTRY(i) (446 + 16 * (i))

static void test_mbr_bad(void **state)
{
	/* the extended partition begins at LBA 163840 (80 MiB) and has 81920 sectors */
	static const struct {
		uint64_t at;
		unsigned len;
		uint64_t v;
		const char *text;
	} bad[] = {
		{ENTRY(0), 1, 0x42, "MBR partition 1 has the boot flag 0x42, not 0x00 or 0x80"},
		{ENTRY(0) + 8, 4, 0, "MBR partition 1 (LBA 0 to 102399) lies outside LBA 1 to "},
		{ENTRY(1) + 12, 4, 139265,
		 "MBR partition 2 (LBA 122880 to 262144) lies outside LBA 1 to 262143: truncated?"},
		{ENTRY(1) + 8, 4, UINT32_MAX, "MBR partition 2 (LBA 4294967295 to "},
		{ENTRY(1) + 8, 4, 104447, "partitions 1 and 2 overlap at offset 53476864"},
		{ENTRY(1) + 12, 4, 40961, "partitions 2 and 3 overlap at offset 83886080"},
		{80 * MIB + 510, 2, 0, "extended boot record at LBA 163840 lacks its signature"},
		{90 * MIB + 510, 2, 0, "extended boot record at LBA 184320 lacks its signature"},
		{90 * MIB + ENTRY(1) + 8, 4, 0,
		 "the chain of extended boot records in partition 3 loops at LBA 163840"},
		{100 * MIB + ENTRY(1) + 4, 1, 5, NULL}, /* still no length: the end */
		{90 * MIB + ENTRY(1) + 8, 4, 20480,
		 "the chain of extended boot records in partition 3 loops at LBA 184320"},
		{90 * MIB + ENTRY(1) + 8, 4, 81920,
		 "the chain of extended boot records leaves partition 3 at LBA 245760"},
		{90 * MIB + ENTRY(1) + 8, 4, UINT32_MAX, "leaves partition 3 at LBA 4295131135"},
		{90 * MIB + ENTRY(0) + 8, 4, 0, "MBR partition 6 (LBA 184320 to 202751)"},
		{100 * MIB + ENTRY(0) + 12, 4, 38913,
		 "MBR partition 7 (LBA 206848 to 245760) lies outside LBA 163840 to 245759"},
		{80 * MIB + ENTRY(0) + 12, 4, 20481, "partitions 5 and 6 overlap"},
		{80 * MIB + ENTRY(0), 1, 1, "MBR partition 5 has the boot flag 0x01"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		struct ibb_disk *d = mbr_disk(512);
		struct ibb_error err = {0};
		struct ibb_ptable t;
		uint8_t b[8];

		ibb_put_le64(b, bad[i].v);
		poke(d, bad[i].at, b, bad[i].len);
		if (bad[i].text) {
			assert_refused(d, IBB_E_CORRUPT, bad[i].text);
		} else {
			assert_ok(ibb_ptable_read(d, &t, &err), err);
			assert_int_equal(t.n, 5);
			ibb_ptable_clear(&t);
		}
		ibb_disk_unref(d);
	}
}

/* Records without a partition, one behind the other: the chain is cut at the limit. */
static void test_mbr_long_chain(void **state)
{
	struct ibb_disk *d = mbr_disk(512);
	struct ibb_error err = {0};
	struct ibb_ptable t;

	(void)state;
	for (unsigned i = 0; i < 1024; i++) {
		uint8_t b[512] = {0};

		b[ENTRY(1) + 4] = 0x05;
		ibb_put_le32(b + ENTRY(1) + 8, i + 1);
		ibb_put_le32(b + ENTRY(1) + 12, 1);
		b[510] = 0x55;
		b[511] = 0xaa;
		poke(d, 80 * MIB + i * 512, b, 512);
	}
	assert_refused(d, IBB_E_LIMIT, "more than 1024 logical partitions in partition 3");
	poke(d, 80 * MIB + 1023 * 512 + ENTRY(1) + 4, "", 1); /* one less: all well */
	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_int_equal(t.n, 2);
	ibb_ptable_clear(&t);
	ibb_disk_unref(d);
}

static void test_mbr_empty(void **state)
{
	struct ibb_disk *d = NULL;
	struct ibb_error err = {0};
	struct ibb_ptable t;

	(void)state;
	assert_ok(ibb_disk_mem_new(1 * MIB, 512, &d, &err), err);
	assert_ok(mkdisk_mbr(d, NULL, 0, 1, &err), err);
	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_int_equal(t.kind, IBB_PTABLE_MBR);
	assert_int_equal(t.n, 0);
	ibb_ptable_clear(&t);
	ibb_disk_unref(d);
}

/* --- no table --- */

static void assert_bare(struct ibb_disk *d)
{
	struct ibb_error err = {0};
	struct ibb_ptable t;

	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_int_equal(t.kind, IBB_PTABLE_NONE);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.parts[0].number, 0);
	assert_int_equal(t.parts[0].off_bytes, 0);
	assert_int_equal(t.parts[0].len_bytes, d->size_bytes);
	ibb_ptable_clear(&t);
}

static void test_bare(void **state)
{
	static const char oem[][9] = {"NTFS    ", "-FVE-FS-", "EXFAT   ", "ReFS\0\0\0\0"};
	struct ibb_disk *d = NULL;
	struct ibb_error err = {0};
	uint8_t b[512];

	(void)state;
	assert_ok(ibb_disk_mem_new(8 * MIB, 512, &d, &err), err);
	assert_bare(d);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(oem); i++) {
		/* what stands in place of a table is code and text */
		memset(b, 0x6e, sizeof(b));
		memcpy(b, "\xeb\x52\x90", 3);
		memcpy(b + 3, oem[i], 8);
		memcpy(b + 510, "\x55\xaa", 2);
		poke(d, 0, b, 512);
		assert_bare(d);
	}
	ibb_disk_unref(d);
}

static void test_bare_fat(void **state)
{
	static const struct {
		unsigned at;
		const char *v;
	} breaks[] = {
		{0, "\x33"},  /* no jump */
		{2, "\x91"},  /* nor this one */
		{12, "\3"},   /* sector of 768 */
		{13, "\3"},   /* cluster of 3 sectors */
		{16, "\5"},   /* number of FATs */
		{21, "\x10"}, /* media */
		{54, "XAT"},  /* type */
	};
	struct ibb_disk *d = NULL;
	struct ibb_error err = {0};
	uint8_t b[512] = {0};

	(void)state;
	memcpy(b, "\xeb\x3c\x90MSDOS5.0\0\2\1\1\0\2\xe0\0\x40\x0b\xf0", 22);
	memcpy(b + 54, "FAT12   ", 8);
	memset(b + ENTRY(0), 0x6e, 64); /* as a table it would be nonsense */
	memcpy(b + 510, "\x55\xaa", 2);
	assert_ok(ibb_disk_mem_new(8 * MIB, 512, &d, &err), err);
	poke(d, 0, b, 512);
	assert_bare(d);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(breaks); i++) {
		poke(d, 0, b, 512);
		poke(d, breaks[i].at, breaks[i].v, 1);
		assert_refused(d, IBB_E_CORRUPT, "MBR partition 1 has the boot flag 0x6e");
	}
	ibb_disk_unref(d);
}

/* --- hostile --- */

static void try_read(struct ibb_disk *d)
{
	struct ibb_error err = {0};
	struct ibb_ptable t = {0};
	int r = ibb_ptable_read(d, &t, &err);

	if (r) {
		assert_true(r == IBB_E_CORRUPT || r == IBB_E_LIMIT);
		assert_true(err.msg[0]);
		return;
	}
	for (size_t i = 0; i < t.n; i++) {
		assert_true(t.parts[i].len_bytes > 0);
		assert_true(
			ibb_in_range(t.parts[i].off_bytes, t.parts[i].len_bytes, d->size_bytes));
	}
	ibb_ptable_clear(&t);
}

static void test_random_damage(void **state)
{
	struct ibb_disk *disks[] = {gpt_disk(512, 256 * MIB), gpt_disk(4096, 256 * MIB),
				    mbr_disk(512)};
	/* where there is something to break */
	const struct {
		uint64_t off;
		unsigned len;
	} spots[3][4] = {
		{{446, 66}, {512, 92}, {1024, 512}, {256 * MIB - 512, 92}},
		{{446, 66}, {4096, 92}, {8192, 512}, {256 * MIB - 4096, 92}},
		{{440, 72}, {80 * MIB + 446, 66}, {90 * MIB + 446, 66}, {100 * MIB + 446, 66}},
	};
	uint64_t seed = test_seed(), rng = seed;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < 3000; i++) {
		size_t k = (size_t)(test_rand(&rng) % 3);
		struct ibb_error err = {0};
		struct ibb_disk *ov = NULL;
		unsigned n = 1 + (unsigned)(test_rand(&rng) % 6);

		assert_ok(ibb_disk_overlay_new(disks[k], 4 * MIB, &ov, &err), err);
		while (n--) {
			size_t s = (size_t)(test_rand(&rng) % 4);
			uint64_t at = spots[k][s].off + test_rand(&rng) % spots[k][s].len;

			flip(ov, at, (uint8_t)(1 + test_rand(&rng) % 255));
		}
		/* half of the time with sound checksums, so that the fields themselves count */
		if (k < 2 && i % 2)
			set_both(ov, 32 + (unsigned)(test_rand(&rng) % 60), test_rand(&rng),
				 1 + (unsigned)(test_rand(&rng) % 8));
		try_read(ov);
		ibb_disk_unref(ov);
	}
	for (size_t k = 0; k < 3; k++)
		ibb_disk_unref(disks[k]);
}

/* --- the host fails --- */

static void test_read_errors(void **state)
{
	struct ibb_disk *disks[] = {gpt_disk(512, 256 * MIB), gpt_disk(4096, 256 * MIB),
				    mbr_disk(512)};

	(void)state;
	flip(disks[1], 4096 + 20, 1); /* goes through the backup */
	for (size_t k = 0; k < 3; k++) {
		struct ibb_fault plan = {.fail_at = {0, -1, -1}, .cut_after = -1, .os_errno = 5};
		struct ibb_error err = {0};
		struct ibb_disk *f = NULL;
		struct ibb_ptable t;

		assert_ok(ibb_disk_fault_new(disks[k], &plan, &f, &err), err);
		/* a failed read is never taken for a damaged table */
		while (ibb_ptable_read(f, &t, &err)) {
			assert_int_equal(err.code, IBB_E_IO);
			assert_non_null(strstr(err.msg, "injected failure of read"));
			plan.fail_at[IBB_FAULT_READ]++;
			plan.count[IBB_FAULT_READ] = 0;
		}
		assert_true(plan.fail_at[IBB_FAULT_READ] >= 4);
		ibb_ptable_clear(&t);
		ibb_disk_unref(f);
		ibb_disk_unref(disks[k]);
	}
}

static void test_no_memory(void **state)
{
	struct ibb_disk *disks[] = {gpt_disk(512, 256 * MIB), gpt_disk(4096, 256 * MIB),
				    mbr_disk(512)};
	struct ibb_ptable t;

	(void)state;
	flip(disks[1], 4096 + 20, 1);
	for (size_t k = 0; k < 3; k++) {
		struct ibb_error err = {0};
		long n = 0;

		for (;; n++) {
			int r;

			ibb_mem_fail_at(n, false);
			r = ibb_ptable_read(disks[k], &t, &err);
			if (!r)
				break;
			assert_fails(r, IBB_E_NOMEM, err, "out of memory");
		}
		assert_true(n >= 3);
		ibb_ptable_clear(&t);
		ibb_disk_unref(disks[k]);
	}
	ibb_mem_fail_at(-1, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32),
		cmocka_unit_test(test_gpt),
		cmocka_unit_test(test_gpt_flipped_primary),
		cmocka_unit_test(test_gpt_flipped_backup),
		cmocka_unit_test(test_gpt_backup_disagrees),
		cmocka_unit_test(test_gpt_enlarged),
		cmocka_unit_test(test_gpt_both_damaged),
		cmocka_unit_test(test_gpt_truncated),
		cmocka_unit_test(test_gpt_bad_fields),
		cmocka_unit_test(test_gpt_bad_entries),
		cmocka_unit_test(test_gpt_names),
		cmocka_unit_test(test_gpt_no_entries),
		cmocka_unit_test(test_gpt_without_mbr),
		cmocka_unit_test(test_gpt_hybrid),
		cmocka_unit_test(test_mbr),
		cmocka_unit_test(test_mbr_bad),
		cmocka_unit_test(test_mbr_long_chain),
		cmocka_unit_test(test_mbr_empty),
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_bare_fat),
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
