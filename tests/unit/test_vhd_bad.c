/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Damaged and hostile VHD: every field that the reader believes. */
#include "vhdtest.h"

#include "base/le.h"

/* Four blocks of 64 KiB, of which 0, 1 and 3 are in the file; two locators. */
static const struct mkvhd_run runs[] = {{0, 3}, {130, 2}, {400, 1}};
static const struct mkvhd base = {.disk_bytes = 256 * KIB - 512,
				  .block_bytes = 64 * KIB,
				  .id = {{1}},
				  .differencing = true,
				  .parent_id = {{2}},
				  .parent_name = "p.vhd",
				  .locators = {{"W2ru", ".\\p.vhd"}, {"MacX", "file:///p.vhd"}},
				  .runs = runs,
				  .n_runs = 3};
/* header 512, table 1536, locators 2048 and 4096, blocks 6144 and then every 66048, footer */
#define BLOCKS 6144
#define FOOTER (BLOCKS + 3 * 66048)

enum place {
	END = 1,    /* the footer */
	COPY = 2,   /* its copy at offset 0 */
	HEADER = 4, /* dynamic disk header */
	FILE_ = 8   /* any offset */
};

struct bad {
	unsigned places;
	unsigned at, len;
	const char *bytes;
	bool seal; /* put the right checksums under it */
	int code;  /* 0: it is fine all the same */
	const char *text;
};

static void apply(struct ibb_disk *d, const struct mkvhd_places *p, const struct bad *b)
{
	const uint64_t off[] = {p->footer, 0, p->header, 0};
	struct ibb_error err = {0};

	for (unsigned i = 0; i < 4; i++)
		if (b->places & 1u << i)
			assert_ok(ibb_disk_pwrite(d, b->bytes, b->len, off[i] + b->at, &err), err);
	if (b->seal)
		assert_ok(mkvhd_seal(d, p, &err), err);
}

static void try_one(const struct mkvhd *v, const struct bad *b)
{
	struct ibb_parent_link link = {0};
	struct ibb_disk *file = NULL, *d = NULL;
	struct ibb_error err = {0};
	struct ibb_vhd_info info;
	struct mkvhd_places p;

	mkvhd_plan(v, &p);
	assert_ok(mkvhd_disk(v, "bad.vhd", &file, &err), err);
	apply(file, &p, b);
	memset(&info, 0xa5, sizeof(info));
	if (b->code) {
		assert_fails(ibb_disk_vhd_open(file, &info, &link, &d, &err), b->code, err,
			     b->text);
		assert_null(d);
		assert_int_equal(link.n, 0);
		assert_int_equal(info.block_bytes, 0xa5a5a5a5);
		assert_int_equal(file->refs, 1);
		assert_memory_equal(err.msg, "bad.vhd: ", 9);
		assert_null(strchr(err.msg, '\n'));
	} else {
		assert_ok(ibb_disk_vhd_open(file, &info, &link, &d, &err), err);
	}
	ibb_disk_unref(d);
	ibb_parent_link_clear(&link);
	ibb_disk_unref(file);
}

static void try_all(const struct mkvhd *v, const struct bad *b, size_t n)
{
	struct mkvhd_places p;

	mkvhd_plan(&base, &p);
	assert_int_equal(p.blocks, BLOCKS);
	assert_int_equal(p.footer, FOOTER);
	for (size_t i = 0; i < n; i++)
		try_one(v, &b[i]);
}

static void test_footers(void **state)
{
	static const struct bad bad[] = {
		/* both damaged: what is wrong with the last one is said */
		{END | COPY, 0, 1, "C", false, IBB_E_CORRUPT,
		 "no VHD footer at offset 204288: the cookie is not \"conectix\""},
		{END | COPY, 200, 1, "\1", false, IBB_E_CORRUPT,
		 "VHD footer at offset 204288 is damaged: checksum 0x"},
		{END | COPY, 12, 4, "\0\2\0\0", true, IBB_E_CORRUPT, "unknown format version 2.0"},
		{END | COPY, 60, 4, "\0\0\0\1", true, IBB_E_CORRUPT, "unknown disk type 1"},
		{END | COPY, 60, 4, "\0\0\0\6", true, IBB_E_CORRUPT, "unknown disk type 6"},
		/* an unknown minor version is the same format */
		{END | COPY, 12, 4, "\0\1\0\7", true, 0, NULL},
		{END | COPY, 84, 1, "\1", true, IBB_E_UNSUPPORTED,
		 "the VHD belongs to a virtual machine in saved state"},
		{END | COPY, 48, 8, "\0\0\0\0\0\0\0\0", true, IBB_E_CORRUPT,
		 "a disk of 0 bytes is no multiple of 512"},
		{END | COPY, 48, 8, "\0\0\0\0\0\1\0\1", true, IBB_E_CORRUPT,
		 "a disk of 65537 bytes is no multiple of 512"},
		{END | COPY, 48, 8, "\0\0\1\xfe\0\0\2\0", true, IBB_E_LIMIT,
		 "a VHD of 2190433321472 bytes; dynamic ones go up to 2190433320960"},
		{END | COPY, 48, 8, "\377\377\377\377\377\377\376\0", true, IBB_E_LIMIT,
		 "a VHD of 18446744073709551104 bytes"},
		/* a table for four blocks, a disk of five */
		{END | COPY, 48, 8, "\0\0\0\0\0\4\2\0", true, IBB_E_CORRUPT,
		 "a table of 4 entries is too short for 5 blocks"},
		/* one of fewer blocks: what is left over is not looked at */
		{END | COPY, 48, 8, "\0\0\0\0\0\1\0\0", true, 0, NULL},
		/* a fixed disk of another size; its copy does not make it a dynamic one */
		{END | COPY, 60, 4, "\0\0\0\2", true, IBB_E_CORRUPT,
		 "says 261632 bytes of data, the file has 204288"},
		{END, 60, 4, "\0\0\0\3", true, IBB_E_CORRUPT,
		 "the VHD footer (type 3, 261632 bytes, header at 512) and its copy at offset 0 "
		 "(type 4, 261632 bytes, header at 512) contradict each other"},
		{COPY, 48, 8, "\0\0\0\0\0\1\0\0", true, IBB_E_CORRUPT,
		 "its copy at offset 0 (type 4, 65536 bytes, header at 512) contradict"},
		{COPY, 16, 8, "\0\0\0\0\0\0\4\0", true, IBB_E_CORRUPT,
		 "header at 1024) contradict"},
		/* where the header is */
		{END | COPY, 16, 8, "\0\0\0\0\0\0\2\1", true, IBB_E_CORRUPT,
		 "no dynamic disk header can be at its data offset 513"},
		{END | COPY, 16, 8, "\0\0\0\0\0\0\0\0", true, IBB_E_CORRUPT,
		 "at its data offset 0"},
		{END | COPY, 16, 8, "\377\377\377\377\377\377\377\377", true, IBB_E_CORRUPT,
		 "at its data offset 18446744073709551615"},
		{END | COPY, 16, 8, "\377\377\377\377\377\377\376\0", true, IBB_E_CORRUPT,
		 "at its data offset 18446744073709551104"},
		{END | COPY, 16, 8, "\0\0\0\0\0\3\x1c\0", true, IBB_E_CORRUPT,
		 "at its data offset 203776"}, /* its end would be in the footer */
		{END | COPY, 16, 8, "\0\0\0\0\0\0\6\0", true, IBB_E_CORRUPT,
		 "no VHD dynamic disk header at offset 1536: the cookie is not \"cxsparse\""},
	};

	(void)state;
	try_all(&base, bad, IBB_ARRAY_SIZE(bad));
}

static void test_headers(void **state)
{
	static const struct bad bad[] = {
		{HEADER, 3, 1, "S", true, IBB_E_CORRUPT, "the cookie is not \"cxsparse\""},
		{HEADER, 1023, 1, "\1", false, IBB_E_CORRUPT,
		 "VHD dynamic disk header at offset 512 is damaged: checksum 0x"},
		{HEADER, 24, 4, "\0\2\0\3", true, IBB_E_CORRUPT, "unknown version 2.3"},
		{HEADER, 24, 4, "\0\1\0\3", true, 0, NULL},
		{HEADER, 8, 8, "\0\0\0\0\0\0\0\0", true, 0, NULL}, /* nobody uses it */
		{HEADER, 32, 4, "\0\0\0\0", true, IBB_E_CORRUPT,
		 "a block size of 0 bytes is no power of two from 512 to 268435456"},
		{HEADER, 32, 4, "\0\0\1\0", true, IBB_E_CORRUPT, "a block size of 256 bytes"},
		{HEADER, 32, 4, "\0\1\2\0", true, IBB_E_CORRUPT, "a block size of 66048 bytes"},
		{HEADER, 32, 4, "\x20\0\0\0", true, IBB_E_CORRUPT,
		 "a block size of 536870912 bytes"},
		{HEADER, 32, 4, "\377\377\377\377", true, IBB_E_CORRUPT,
		 "a block size of 4294967295 bytes"},
		/* smaller blocks: more of them than the table has */
		{HEADER, 32, 4, "\0\0\x80\0", true, IBB_E_CORRUPT,
		 "a table of 4 entries is too short for 8 blocks"},
		/* larger ones: they overlap */
		{HEADER, 32, 4, "\0\2\0\0", true, IBB_E_CORRUPT,
		 "and block 1 at offset 72192 overlap"},
		{HEADER, 28, 4, "\0\0\0\3", true, IBB_E_CORRUPT,
		 "a table of 3 entries is too short for 4 blocks"},
		{HEADER, 28, 4, "\0\0\0\0", true, IBB_E_CORRUPT, "a table of 0 entries"},
		{HEADER, 28, 4, "\377\377\377\377", true, IBB_E_CORRUPT,
		 "VHD block allocation table of 4294967295 entries at offset 1536 goes past the "
		 "end"},
		/* more than needed, in the same sector */
		{HEADER, 28, 4, "\0\0\0\x80", true, 0, NULL},
		{HEADER, 28, 4, "\0\0\0\x81", true, IBB_E_CORRUPT,
		 "the block allocation table at offset 1536 and the parent locator at offset 2048 "
		 "overlap"},
		{HEADER, 16, 8, "\0\0\0\0\0\0\6\1", true, IBB_E_CORRUPT,
		 "the table's offset 1537 is no multiple of 512"},
		{HEADER, 16, 8, "\377\377\377\377\377\377\376\0", true, IBB_E_CORRUPT,
		 "at offset 18446744073709551104 goes past the end of the file"},
		{HEADER, 16, 8, "\0\0\0\0\0\3\x1e\0", true, IBB_E_CORRUPT,
		 "at offset 204288 goes past the end"}, /* that is the footer */
		{HEADER, 16, 8, "\0\0\0\0\0\0\0\0", true, IBB_E_CORRUPT,
		 "the copy of the footer at offset 0 and the block allocation table at offset 0 "
		 "overlap"},
		{HEADER, 16, 8, "\0\0\0\0\0\0\4\0", true, IBB_E_CORRUPT,
		 "the dynamic disk header at offset 512 and the block allocation table at offset "
		 "1024 overlap"},
	};

	(void)state;
	try_all(&base, bad, IBB_ARRAY_SIZE(bad));
}

static void test_locators(void **state)
{
	/* entries of 24 bytes at 576: code, space, length, reserved, offset */
	static const struct bad bad[] = {
		{HEADER, 576 + 8, 4, "\0\1\0\1", true, IBB_E_CORRUPT,
		 "parent locator 0: 65537 bytes at offset 2048 are no path inside the file"},
		{HEADER, 600 + 8, 4, "\377\377\377\377", true, IBB_E_CORRUPT,
		 "parent locator 1: 4294967295 bytes at offset 4096"},
		{HEADER, 576 + 16, 8, "\377\377\377\377\377\377\377\370", true, IBB_E_CORRUPT,
		 "parent locator 0: 14 bytes at offset 18446744073709551608"},
		{HEADER, 576 + 16, 8, "\0\0\0\0\0\3\x20\0", true, IBB_E_CORRUPT,
		 "parent locator 0: 14 bytes at offset 204800"}, /* the end of the file */
		{HEADER, 576 + 16, 8, "\0\0\0\0\0\0\2\0", true, IBB_E_CORRUPT,
		 "the dynamic disk header at offset 512 and the parent locator at offset 512"},
		{HEADER, 600 + 16, 8, "\0\0\0\0\0\0\x18\0", true, IBB_E_CORRUPT,
		 "block 0 at offset 6144 overlaps the parent locator at offset 6144"},
		{FILE_, 2048 + 4, 2, "\n", false, IBB_E_CORRUPT,
		 "the parent's path at offset 2048 has a control character in it"},
		{FILE_, 4096, 1, "\033", false, IBB_E_CORRUPT,
		 "path at offset 4096 has a control character in it"},
		{HEADER, 64, 2, "\0\177", true, IBB_E_CORRUPT,
		 "path at offset 576 has a control character in it"},
		{HEADER, 64, 2, "\x20\x2e", true, IBB_E_CORRUPT, /* right to left from here on */
		 "path at offset 576 has a control character in it"},
		/* kinds of locators that nobody knows point anywhere */
		{HEADER, 576, 24,
		 "XXXX\377\377\377\377\377\377\377\377\0\0\0\0\377\377\377\377\377\377"
		 "\377\377",
		 true, 0, NULL},
		/* no path, no place */
		{HEADER, 576 + 8, 16, "\0\0\0\0\0\0\0\0\377\377\377\377\377\377\377\377", true, 0,
		 NULL},
		/* two that share their text */
		{HEADER, 600, 24, "W2ku\0\0\2\0\0\0\0\16\0\0\0\0\0\0\0\0\0\0\10\0", true, 0, NULL},
		/* half a character, and what is no UTF-8 */
		{HEADER, 576 + 8, 4, "\0\0\0\3", true, 0, NULL},
		{FILE_, 4096, 4, "\377\376\300\200", false, 0, NULL},
	};

	(void)state;
	try_all(&base, bad, IBB_ARRAY_SIZE(bad));
}

static void test_tables(void **state)
{
	/* blocks at sectors 12, 141 and 270; the footer is at sector 399 */
	static const struct bad bad[] = {
		{FILE_, 1536, 4, "\0\0\0\0", false, IBB_E_CORRUPT,
		 "block 0 at offset 0 overlaps the copy of the footer at offset 0"},
		{FILE_, 1536, 4, "\0\0\0\1", false, IBB_E_CORRUPT,
		 "block 0 at offset 512 overlaps the dynamic disk header at offset 512"},
		{FILE_, 1536, 4, "\0\0\0\3", false, IBB_E_CORRUPT,
		 "block 0 at offset 1536 overlaps the block allocation table at offset 1536"},
		{FILE_, 1536, 4, "\0\0\0\4", false, IBB_E_CORRUPT,
		 "block 0 at offset 2048 overlaps the parent locator at offset 2048"},
		{FILE_, 1544, 4, "\0\0\1\x0e", false, IBB_E_CORRUPT,
		 "block 2 at offset 138240 and block 3 at offset 138240 overlap"},
		{FILE_, 1544, 4, "\0\0\1\x0d", false, IBB_E_CORRUPT,
		 "block 1 at offset 72192 and block 2 at offset 137728 overlap"},
		{FILE_, 1548, 4, "\0\0\1\x0f", false, IBB_E_CORRUPT,
		 "block 3 (66048 bytes at offset 138752) lies past offset 204288, where the blocks "
		 "end: truncated, or a damaged table"},
		{FILE_, 1548, 4, "\377\377\377\376", false, IBB_E_CORRUPT,
		 "block 3 (66048 bytes at offset 2199023254528) lies past"},
		/* into the gap that the second locator leaves: another order, no overlap */
		{FILE_, 1548, 4, "\377\377\377\377", false, 0, NULL},
		{FILE_, 1536, 16, "\0\0\1\x0e\0\0\0\x8d\377\377\377\377\0\0\0\x0c", false, 0, NULL},
	};

	(void)state;
	try_all(&base, bad, IBB_ARRAY_SIZE(bad));
}

/* A dynamic disk's locators are nobody's business. */
static void test_dynamic_has_no_link(void **state)
{
	const struct mkvhd v = {.disk_bytes = MIB, .runs = runs, .n_runs = 3};
	static const struct bad bad = {
		HEADER,
		576,
		24,
		"W2ru\0\0\0\0\377\377\377\377\0\0\0\0\377\377\377\377\377\377"
		"\377\377",
		true,
		0,
		NULL};

	(void)state;
	try_one(&v, &bad);
}

/* Cut at every sector: the footer is found in its copy, but blocks are missing. */
static void test_truncated(void **state)
{
	struct ibb_disk *file = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(mkvhd_disk(&base, "cut.vhd", &file, &err), err);
	for (uint64_t size = 0; size < FOOTER; size += size < 4096 ? 100 : 512) {
		struct ibb_parent_link link = {0};
		struct ibb_disk *cut = NULL, *d = NULL;
		struct ibb_vhd_info info;

		assert_ok(ibb_disk_slice_new(file, 0, size, &cut, &err), err);
		assert_fails(ibb_disk_vhd_open(cut, &info, &link, &d, &err), IBB_E_CORRUPT, err,
			     "cut.vhd: ");
		if (size > BLOCKS)
			assert_non_null(strstr(err.msg, "where the blocks end: truncated"));
		assert_null(d);
		ibb_disk_unref(cut);
	}
	ibb_disk_unref(file);
}

/* No flipped bit of footer, header or table is taken for something else than it was. */
static void test_bit_flips(void **state)
{
	struct ibb_disk *file = NULL;
	struct ibb_error err = {0};
	unsigned from_copy = 0;

	(void)state;
	assert_ok(mkvhd_disk(&base, "flip.vhd", &file, &err), err);
	for (uint64_t at = 0; at < 1536 + 512; at++) {
		const uint64_t off = at < 1536 ? at : at - 1536 + FOOTER;
		const uint8_t bit = (uint8_t)(1u << at % 8);
		struct ibb_parent_link link = {0};
		struct ibb_disk *d = NULL;
		struct ibb_vhd_info info;
		uint8_t b;
		int r;

		assert_ok(ibb_disk_pread(file, &b, 1, off, &err), err);
		b ^= bit;
		assert_ok(ibb_disk_pwrite(file, &b, 1, off, &err), err);
		r = ibb_disk_vhd_open(file, &info, &link, &d, &err);
		if (at >= 512 && at < 1536) {
			assert_fails(r, IBB_E_CORRUPT, err, "dynamic disk header at offset 512");
		} else {
			assert_ok(r, err);
			assert_int_equal(d->size_bytes, base.disk_bytes);
			assert_int_equal(info.footer_from_copy, at >= 1536);
			from_copy += info.footer_from_copy;
		}
		ibb_disk_unref(d);
		ibb_parent_link_clear(&link);
		b ^= bit;
		assert_ok(ibb_disk_pwrite(file, &b, 1, off, &err), err);
	}
	assert_int_equal(from_copy, 512);
	ibb_disk_unref(file);
}

/* A disk with more blocks than ibbake keeps a table for, in a small sparse file. */
static void test_too_many_blocks(void **state)
{
	const struct mkvhd v = {.disk_bytes = MIB, .block_bytes = 512};
	struct ibb_parent_link link = {0};
	struct ibb_disk *file = NULL, *big = NULL, *d = NULL;
	struct ibb_error err = {0};
	struct ibb_vhd_info info;
	struct mkvhd_places p;
	uint8_t b[512], header[1024];

	(void)state;
	mkvhd_plan(&v, &p);
	assert_ok(mkvhd_disk(&v, "many.vhd", &file, &err), err);
	assert_ok(ibb_disk_pread(file, b, 512, 0, &err), err);
	assert_ok(ibb_disk_pread(file, header, 1024, p.header, &err), err);
	ibb_put_be64(b + 48, (uint64_t)((4u << 20) + 1) * 512);
	mkvhd_checksum(b, 512, 64);
	ibb_put_be32(header + 28, (4u << 20) + 1);
	mkvhd_checksum(header, 1024, 36);
	assert_ok(ibb_disk_mem_new(32 * MIB, 512, &big, &err), err);
	assert_ok(ibb_disk_pwrite(big, b, 512, 0, &err), err);
	assert_ok(ibb_disk_pwrite(big, header, 1024, 512, &err), err);
	assert_ok(ibb_disk_pwrite(big, b, 512, 32 * MIB - 512, &err), err);
	assert_fails(ibb_disk_vhd_open(big, &info, &link, &d, &err), IBB_E_LIMIT, err,
		     "memory: a VHD of 4194305 blocks (of 512 bytes); ibbake reads up to 4194304");
	assert_null(d);
	ibb_disk_unref(big);
	ibb_disk_unref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_footers),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_locators),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_dynamic_has_no_link),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_too_many_blocks),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
