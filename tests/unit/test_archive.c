/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cabinets in memory: every method libarchive knows, and what is wrong with hostile ones. */
#include "test.h"

#include "base/archive.h"
#include "base/le.h"
#include "base/utf16.h"
#include "mkcab.h"

static struct ibb_bytes bytes_of(const struct ibb_buf *b)
{
	return ibb_buf_bytes(b);
}

static bool want_sys(void *ctx, const char *name)
{
	++*(unsigned *)ctx;
	return ibb_case_suffix(name, ".sys");
}

static void members(void **state)
{
	static const enum mkcab_method methods[] = {MKCAB_STORED, MKCAB_MSZIP, MKCAB_LZX};
	static const struct mkcab_file files[] = {
		{"readme.txt", "read me", 0},
		{"amd64\\Driver.SYS", "MZ driver", 0},
		{"b.sys", "MZ b", 0},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(methods); i++) {
		struct ibb_buf cab = mkcab(files, 3, methods[i]);
		struct ibb_archive a = {0};
		struct ibb_error err = {0};
		unsigned asked = 0;

		assert_true(ibb_archive_is_cab(bytes_of(&cab)));
		assert_ok(ibb_archive_read_cab("x.cab", bytes_of(&cab), NULL, NULL, 100, &a, &err),
			  err);
		assert_int_equal(a.n, 3);
		assert_string_equal(a.members[0].name, "readme.txt");
		assert_int_equal(a.members[0].bytes.len, 7);
		assert_memory_equal(a.members[0].bytes.data, "read me", 7);
		assert_string_equal(a.members[1].name, "amd64/Driver.SYS");
		ibb_archive_clear(&a);
		assert_ok(ibb_archive_read_cab("x.cab", bytes_of(&cab), want_sys, &asked, 13, &a,
					       &err),
			  err);
		assert_int_equal(asked, 3);
		assert_int_equal(a.n, 2);
		assert_memory_equal(a.members[0].bytes.data, "MZ driver", 9);
		assert_memory_equal(a.members[1].bytes.data, "MZ b", 4);
		ibb_archive_clear(&a);
		assert_fails(ibb_archive_read_cab("x.cab", bytes_of(&cab), want_sys, &asked, 12, &a,
						  &err),
			     IBB_E_LIMIT, err, "x.cab: b.sys: its 4 bytes are too many");
		assert_int_equal(a.n, 0);
		ibb_buf_clear(&cab);
	}
}

/* Several blocks of 32 KiB, members across their borders. */
static void large(void **state)
{
	size_t n = 200001;
	uint8_t *p = malloc(n);
	const struct mkcab_file files[] = {{"a", p, 70000}, {"b", p, n}};

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 1000);
	for (int method = MKCAB_STORED; method <= MKCAB_MSZIP; method++) {
		struct ibb_buf cab = mkcab(files, 2, (enum mkcab_method)method);
		struct ibb_archive a = {0};
		struct ibb_error err = {0};

		assert_ok(ibb_archive_read_cab("x", bytes_of(&cab), NULL, NULL, 1 << 20, &a, &err),
			  err);
		assert_int_equal(a.n, 2);
		assert_int_equal(a.members[0].bytes.len, 70000);
		assert_memory_equal(a.members[0].bytes.data, p, 70000);
		assert_int_equal(a.members[1].bytes.len, n);
		assert_memory_equal(a.members[1].bytes.data, p, n);
		ibb_archive_clear(&a);
		ibb_buf_clear(&cab);
	}
	free(p);
}

/* "ibbake " sixty times as zlib packs it: real Huffman codes in an MSZIP block. */
static void deflated(void **state)
{
	static const char packed[] =
		"\x43\x4b\xcb\x4c\x4a\x4a\xcc\x4e\x55\xc8\x1c\xa5\x06\x2f\x05\x00";
	static const struct mkcab_file files[] = {{"t", packed, sizeof(packed) - 1}};
	struct ibb_buf cab = mkcab(files, 1, MKCAB_STORED);
	uint8_t *block = cab.data + cab.len - (sizeof(packed) - 1) - 8;
	struct ibb_archive a = {0};
	struct ibb_error err = {0};

	(void)state;
	ibb_put_le32(cab.data + 36 + 8, 420); /* CFFILE: size */
	ibb_put_le16(cab.data + 36 + 6, MKCAB_MSZIP);
	ibb_put_le32(block, 0); /* no checksum */
	ibb_put_le16(block + 6, 420);
	assert_ok(ibb_archive_read_cab("x", bytes_of(&cab), NULL, NULL, 1000, &a, &err), err);
	assert_int_equal(a.members[0].bytes.len, 420);
	for (unsigned i = 0; i < 60; i++)
		assert_memory_equal(a.members[0].bytes.data + 7 * i, "ibbake ", 7);
	ibb_archive_clear(&a);
	ibb_buf_clear(&cab);
}

static void refused(void **state)
{
	static const struct mkcab_file files[] = {{"a.sys", "0123456789", 0}};
	struct ibb_buf cab = mkcab(files, 1, MKCAB_STORED);
	struct ibb_buf quantum = mkcab(files, 1, MKCAB_QUANTUM);
	struct ibb_archive a = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_fails(ibb_archive_read_cab("x", (struct ibb_bytes){(const uint8_t *)"MSC", 3}, NULL,
					  NULL, 100, &a, &err),
		     IBB_E_CORRUPT, err, "x: not a cabinet");
	assert_fails(ibb_archive_read_cab("x", bytes_of(&quantum), NULL, NULL, 100, &a, &err),
		     IBB_E_UNSUPPORTED, err, "x: a.sys: ");
	cab.data[cab.len - 1] ^= 1;
	assert_fails(ibb_archive_read_cab("x", bytes_of(&cab), NULL, NULL, 100, &a, &err),
		     IBB_E_CORRUPT, err, "x: a.sys: ");
	cab.data[cab.len - 1] ^= 1;
	for (size_t n = 4; n < cab.len; n++)
		assert_fails(ibb_archive_read_cab("x", (struct ibb_bytes){cab.data, n}, NULL, NULL,
						  100, &a, &err),
			     IBB_E_CORRUPT, err, "x: ");
	/* a size that nothing stands behind */
	ibb_put_le32(cab.data + 36 + 8, 1u << 30);
	assert_int_not_equal(
		ibb_archive_read_cab("x", bytes_of(&cab), NULL, NULL, UINT64_MAX, &a, &err), 0);
	assert_fails(ibb_archive_read_cab("x", bytes_of(&cab), NULL, NULL, 100, &a, &err),
		     IBB_E_LIMIT, err, "x: a.sys: its 1073741824 bytes are too many");
	ibb_buf_clear(&cab);
	ibb_buf_clear(&quantum);
}

/* Any change of any byte: members or an error of ours, never a crash. */
static void flipped(void **state)
{
	static const struct mkcab_file files[] = {{"a.sys", "0123456789abcdef", 0},
						  {"sub\\b.dll", "content of b", 0}};
	static const enum mkcab_method methods[] = {MKCAB_STORED, MKCAB_MSZIP, MKCAB_LZX};
	unsigned counts[2] = {0};
	uint32_t x = 1;

	(void)state;
	for (size_t m = 0; m < IBB_ARRAY_SIZE(methods); m++) {
		struct ibb_buf cab = mkcab(files, 2, methods[m]);

		for (unsigned i = 0; i < 3000; i++) {
			uint8_t *b =
				ibb_memdup(cab.data, cab.len); /* exact, so ASan sees the end */
			struct ibb_archive a = {0};
			struct ibb_error err = {0};
			int rc;

			assert_non_null(b);
			for (unsigned k = 0; k <= i % 3; k++) {
				x = x * 1664525 + 1013904223;
				b[(x >> 8) % cab.len] ^= (uint8_t)(1u << (x >> 5) % 8);
			}
			rc = ibb_archive_read_cab("x", (struct ibb_bytes){b, cab.len}, NULL, NULL,
						  1 << 20, &a, &err);
			if (rc && rc != IBB_E_CORRUPT && rc != IBB_E_UNSUPPORTED &&
			    rc != IBB_E_LIMIT)
				fail_msg("round %u: %d %s", i, rc, err.msg);
			counts[rc != 0]++;
			ibb_archive_clear(&a);
			free(b);
		}
		ibb_buf_clear(&cab);
	}
	assert_true(counts[0] > 500 && counts[1] > 500);
}

static void out_of_memory(void **state)
{
	static const struct mkcab_file files[] = {{"a", "0123", 0}, {"b", "4567", 0}};
	struct ibb_buf cab = mkcab(files, 2, MKCAB_MSZIP);
	struct ibb_archive a = {0};
	struct ibb_error err = {0};
	int rc = IBB_E_NOMEM;
	long n = 0;

	(void)state;
	for (; rc == IBB_E_NOMEM; n++) {
		ibb_mem_fail_at(n, false);
		rc = ibb_archive_read_cab("x", bytes_of(&cab), NULL, NULL, 100, &a, &err);
		ibb_mem_fail_at(-1, false);
		assert_true(n < 50);
	}
	assert_int_equal(rc, 0);
	assert_true(n > 4);
	assert_int_equal(a.n, 2);
	ibb_archive_clear(&a);
	ibb_buf_clear(&cab);
}

/* A cabinet of a megabyte may hold 65 535 empty members. */
static void small_members_are_small(void **state)
{
	struct mkcab_file files[] = {{"full", "12345", 5}, {"empty", "", 0}};
	struct ibb_buf cab = mkcab(files, 2, MKCAB_STORED);
	struct ibb_archive a = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_archive_read_cab("x.cab", bytes_of(&cab), NULL, NULL, 100, &a, &err), err);
	assert_int_equal(a.n, 2);
	assert_int_equal(a.members[0].bytes.len, 5);
	assert_int_equal(a.members[1].bytes.len, 0);
	assert_in_range(a.members[0].bytes.cap, 5, 64);
	assert_in_range(a.members[1].bytes.cap, 0, 64);
	ibb_archive_clear(&a);
	ibb_buf_clear(&cab);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(members),	 cmocka_unit_test(small_members_are_small),
	cmocka_unit_test(large),	 cmocka_unit_test(deflated),
	cmocka_unit_test(refused),	 cmocka_unit_test(flipped),
	cmocka_unit_test(out_of_memory),
};

IBB_TEST_MAIN(tests)
