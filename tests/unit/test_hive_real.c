/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hives that Windows wrote. */
#include "test_hive_util.h"

static struct ibb_hive *open_real(const char *rel)
{
	struct ibb_hive *h = NULL;
	struct ibb_buf b = {0};

	TEST_DATA_OR_SKIP(rel, &b);
	assert_ok(ibb_hive_open(rel, &b, &h, &E), E);
	return h;
}

static void refused(const char *rel, int code, const char *text)
{
	struct ibb_hive *h = NULL;
	struct ibb_buf b = {0};

	TEST_DATA_OR_SKIP(rel, &b);
	assert_fails(ibb_hive_open(rel, &b, &h, &E), code, E, text);
	ibb_buf_clear(&b);
}

static void counts(const char *rel, uint64_t keys, uint64_t values, uint64_t sk, uint64_t big)
{
	struct ibb_hive *h = open_real(rel);
	struct ibb_hive_check sum;

	assert_ok(ibb_hive_check(h, &sum, &E), E);
	assert_int_equal(sum.keys, keys);
	assert_int_equal(sum.values, values);
	assert_int_equal(sum.security_cells, sk);
	assert_int_equal(sum.big_values, big);
	has_diff(h, h, "");
	ibb_hive_close(h);
}

/* The numbers of keys are those that regfexport and hivexml find. */
static void test_counts(void **state)
{
	(void)state;
	counts("hives/win10-19041/SYSTEM", 33317, 74454, 283, 3);
	counts("hives/win7/SYSTEM", 30756, 73456, 193, 8);
	counts("hives/win10-1709-dirty-with-logs/SYSTEM.recovered", 35595, 78901, 263, 5);
	counts("hives/win10mobile/DRIVERS", 77, 73, 3, 0);
	counts("hives/odd/ManySubkeysHive", 5003, 0, 1, 0);
	counts("hives/odd/BigDataHive", 2, 2, 1, 2);
	counts("hives/odd/UnicodeHive", 3, 0, 2, 0);
	counts("hives/odd/EmptyHive", 1, 0, 1, 0);
}

static void test_refused(void **state)
{
	(void)state;
	refused("hives/win10-1709-dirty-with-logs/SYSTEM", IBB_E_DIRTY,
		"sequence numbers 1622 and 1621 differ");
	refused("hives/win10-1903-dirty-no-logs/SYSTEM", IBB_E_DIRTY,
		"sequence numbers 4317 and 4316 differ");
	refused("hives/win10-1709-dirty-with-logs/SYSTEM.LOG1", IBB_E_UNSUPPORTED, "file type 6");
	refused("hives/odd/TruncatedHive", IBB_E_CORRUPT,
		"truncated: the header promises 0x77000 bytes of hive bins, the file has 0x2000");
	refused("hives/odd/TruncatedDirtyHive", IBB_E_DIRTY, "sequence numbers 5 and 4");
}

static void damaged(const char *rel, const char *text)
{
	struct ibb_hive *h = open_real(rel);
	struct ibb_hive_check sum;
	ibb_key k;

	assert_fails(ibb_hive_check(h, &sum, &E), IBB_E_CORRUPT, E, text);
	assert_fails(ibb_hive_create(h, ibb_hive_root(h), "x", IBB_KEY_SECURITY_PARENT, 0, T0, &k,
				     NULL, &E),
		     IBB_E_CORRUPT, E, text);
	ibb_hive_close(h);
}

static void test_damaged(void **state)
{
	(void)state;
	damaged("hives/odd/BadListHive", "key names 0x380 as its parent");
	damaged("hives/odd/BadSubkeyHive", "key names 0x380 as its parent");
	damaged("hives/odd/WrongOrderHive", "names are not in ascending order");
}

static void test_reading(void **state)
{
	struct ibb_hive *h = open_real("hives/win10-19041/SYSTEM");
	struct ibb_buf b;
	const char *rel = "hives/win10-19041/SYSTEM";
	struct ibb_buf raw = {0};
	uint32_t v = 0;
	char *s = NULL;
	ibb_key k;

	(void)state;
	assert_int_equal(ibb_hive_header(h)->seq1, 228);
	assert_non_null(strstr(ibb_hive_header(h)->file_name, "SYSTEM"));
	assert_ok(ibb_hive_get_dword(h, ibb_hive_root(h), "Select", "Current", &v, &E), E);
	assert_int_equal(v, 1);
	assert_ok(ibb_hive_get_string(h, ibb_hive_root(h), "controlset001\\control\\productoptions",
				      "producttype", &s, &E),
		  E);
	assert_string_equal(s, "WinNT");
	free(s);
	assert_fails(ibb_hive_find(h, ibb_hive_root(h), "ControlSet001\\Services\\mlx9", &k, &E),
		     IBB_E_NOTFOUND, E, "no key 'ControlSet001\\Services\\mlx9'");
	find(h, "ControlSet001\\Services\\mlx4_bus");
	/* unedited: the same bytes */
	TEST_DATA_OR_SKIP(rel, &raw);
	b = serialized(h);
	assert_int_equal(b.len, raw.len);
	assert_memory_equal(b.data, raw.data, raw.len);
	ibb_buf_clear(&b);
	ibb_buf_clear(&raw);
	ibb_hive_close(h);
}

static int count_added(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	unsigned *n = ctx;

	(void)err;
	assert_int_equal(strncmp(d->path, "DriverDatabase\\DeviceIds\\PCI\\VEN_15B3&DEV_", 42), 0);
	n[d->kind]++;
	return 0;
}

/* The edit that ibbake is about, and its growth. */
static void test_device_ids(void **state)
{
	struct ibb_hive *h = open_real("hives/win10-19041/SYSTEM"), *old, *g;
	unsigned n[7] = {0}, had = 0;
	uint32_t before = ibb_hive_header(h)->bins_bytes;
	struct ibb_buf b = serialized(h);
	struct ibb_hive_check sum;

	(void)state;
	old = open_copy(b.data, b.len);
	for (unsigned i = 0; i < 4300; i++) {
		char path[100];
		unsigned made = 0;
		ibb_key k;

		snprintf(path, sizeof(path),
			 "DriverDatabase\\DeviceIds\\PCI\\VEN_15B3&DEV_%04X&SUBSYS_000715B3",
			 i * 1741 % 4300);
		assert_ok(ibb_hive_create(h, ibb_hive_root(h), path, IBB_KEY_SECURITY_PARENT, 0, T0,
					  &k, &made, &E),
			  E);
		had += !made;
		set(h, k, "oem7.inf", IBB_REG_BINARY, "\1\xff\0\0", 4);
	}
	assert_int_equal(had, 0);
	g = reopened(h, &sum);
	assert_int_equal(sum.keys, 33317 + 4300);
	assert_int_equal(sum.values, 74454 + 4300);
	assert_int_equal(sum.leaked_cells, 0);
	assert_int_equal(sum.big_values, 3);
	assert_ok(ibb_hive_compare(old, g, count_added, n, &E), E);
	assert_int_equal(n[IBB_DIFF_KEY_ADDED], 4300);
	assert_int_equal(n[IBB_DIFF_VALUE_ADDED], 4300);
	assert_int_equal(n[IBB_DIFF_KEY_REMOVED] + n[IBB_DIFF_VALUE_REMOVED] +
				 n[IBB_DIFF_VALUE_CHANGED] + n[IBB_DIFF_KEY_SECURITY] +
				 n[IBB_DIFF_KEY_KIND],
			 0);
	assert_true(ibb_hive_header(g)->bins_bytes - before < 4300 * 200);
	/* and back: what was added is deleted, what is left equals what was there */
	for (unsigned i = 0; i < 4300; i++) {
		char path[100];

		snprintf(path, sizeof(path),
			 "DriverDatabase\\DeviceIds\\PCI\\VEN_15B3&DEV_%04X&SUBSYS_000715B3", i);
		assert_ok(ibb_hive_delete(g, find(g, path), T1, &E), E);
	}
	ibb_hive_close(h);
	h = reopened(g, NULL);
	has_diff(old, h, "");
	ibb_buf_clear(&b);
	ibb_hive_close(old);
	ibb_hive_close(h);
	ibb_hive_close(g);
}

static void test_big(void **state)
{
	struct ibb_hive *h = open_real("hives/odd/BigDataHive"), *g;
	ibb_key root = ibb_hive_root(h);
	struct ibb_buf before, diff = {0};

	(void)state;
	before = serialized(h);
	/* whatever key holds the big values: their neighbours may be edited */
	set(h, root, "other", IBB_REG_SZ, "x\0\0\0", 4);
	for (unsigned i = 0; i < 200; i++) {
		char name[32];

		snprintf(name, sizeof(name), "bigkey\\k%u", i);
		make(h, name);
	}
	assert_ok(ibb_hive_delete(h, find(h, "bigkey\\k7"), T0, &E), E);
	g = open_copy(before.data, before.len);
	assert_ok(ibb_hive_compare(g, h, diff_line, &diff, &E), E);
	assert_null(strstr(ibb_buf_cstr(&diff), "~val"));
	assert_null(strstr(ibb_buf_cstr(&diff), "-val"));
	assert_non_null(strstr(ibb_buf_cstr(&diff), "+key bigkey\\k199\n"));
	ibb_hive_close(g);
	ibb_hive_close(reopened(h, NULL));
	ibb_hive_close(h);
	ibb_buf_clear(&before);
	ibb_buf_clear(&diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),	   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_damaged),	   cmocka_unit_test(test_reading),
		cmocka_unit_test(test_device_ids), cmocka_unit_test(test_big),
	};

	if (!test_data("hives/win10-19041/SYSTEM")) {
		puts("SKIPPED: no real hives (IBB_TEST_DATA)");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
