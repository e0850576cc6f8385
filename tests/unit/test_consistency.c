/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inspect/facts.h"

#include "disktest.h"
#include "test.h"

#include "wintree.h"

#define DB   "DriverDatabase"
#define NAME "x.inf_amd64_0123456789abcdef"

static struct ibb_facts *check(const struct wintree *t, size_t *ret_before)
{
	struct ibb_volume *v = wintree_open(t);
	struct ibb_facts *f = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_facts_read(v, false, &f, &err), err);
	*ret_before = f->n_warnings;
	assert_ok(ibb_facts_check_database(f, v, &err), err);
	ibb_volume_close(v);
	return f;
}

/* Exactly these warnings, each holding its text, in any order. */
static void assert_found(const struct wintree *t, const char *const *texts, size_t n)
{
	size_t before;
	struct ibb_facts *f = check(t, &before);

	for (size_t i = before; i < f->n_warnings && n == 0; i++)
		fail_msg("unexpected: %s", f->warnings[i]);
	for (size_t i = 0; i < n; i++) {
		bool found = false;

		for (size_t k = before; k < f->n_warnings; k++)
			found |= strstr(f->warnings[k], texts[i]) != NULL;
		if (!found)
			fail_msg("no warning holds '%s'; the last is '%s'", texts[i],
				 f->n_warnings ? f->warnings[f->n_warnings - 1] : "none");
	}
	assert_int_equal(f->n_warnings - before, n);
	ibb_facts_free(f);
}

/* A third-party package in the DRIVERS node as an import leaves it. */
static void add_package(const struct wintree *t)
{
	static const uint8_t version[48] = {0, 0xff, 9}, id[4] = {1, 0xff}, map[1] = {0x80};
	static const char list[] = "x\0.\0i\0n\0f\0_\0a\0m\0d\0006\0004\0_\0000\0001\0002\0003\0004"
				   "\0005\0006\0007\0008\0009\0a\0b\0c\0d\0e\0f\0\0\0\0";
	struct ibb_hive *h = wintree_hive(t, "DRIVERS");

	wintree_set_sz(h, DB "\\DriverPackages\\" NAME, "", "oem0.inf");
	wintree_set_sz(h, DB "\\DriverPackages\\" NAME, "InfName", "x.inf");
	wintree_set(h, DB "\\DriverPackages\\" NAME, "Version", IBB_REG_BINARY, version, 48);
	wintree_set(h, DB "\\DriverInfFiles\\oem0.inf", "", IBB_REG_MULTI_SZ, list, sizeof(list));
	wintree_set_sz(h, DB "\\DriverInfFiles\\oem0.inf", "Active", NAME);
	wintree_set(h, DB "\\DeviceIds\\PCI\\VEN_1&DEV_2", "oem0.inf", IBB_REG_BINARY, id, 4);
	wintree_set(h, DB "\\DeviceIds\\{084f01fa-e634-4d77-83ee-074817c03581}", "oem0.inf",
		    IBB_REG_BINARY, id, 4);
	wintree_set(h, DB "\\DeviceIds\\{084f01fa-e634-4d77-83ee-074817c03581}", "monitor.inf",
		    IBB_REG_NONE, NULL, 0);
	wintree_set_sz(h, DB "\\DriverInfFiles\\monitor.inf", "Active", "none");
	wintree_save(t, "DRIVERS", h);
	h = wintree_hive(t, "SYSTEM");
	wintree_set(h, DB, "OemInfMap", IBB_REG_BINARY, map, 1);
	wintree_save(t, "SYSTEM", h);
	wintree_text(t, WINTREE_STORE "/" NAME "/x.inf", "x");
	wintree_text(t, "Windows/INF/oem0.inf", "x");
}

static void make(struct wintree *t)
{
	wintree_plain(t, test_dir(), "server2022");
	add_package(t);
}

/* A GUID-named key may be a class and a hardware ID at once: no fault. */
static void sound(void **state)
{
	struct wintree t;

	(void)state;
	make(&t);
	assert_found(&t, NULL, 0);
}

static void orphans(void **state)
{
	static const char *const texts[] = {
		"DeviceIds\\PCI\\VEN_1&DEV_2 names oem7.inf, which DriverInfFiles lacks",
		"DeviceIds\\PCI\\VEN_1&DEV_2 has a value of an unknown form for oem0.inf",
		"package y.inf_amd64_0123456789abcdef is published as oem9.inf, which",
		"oem5.inf points to package nothing.inf, which DriverPackages lacks",
		"oem5.inf has other.inf as its active package, which is not in its list",
	};
	static const char list[] = "n\0o\0t\0h\0i\0n\0g\0.\0i\0n\0f\0\0\0\0";
	static const uint8_t id[4] = {1, 0xff}, five[5] = {1};
	struct ibb_hive *h;
	struct wintree t;

	(void)state;
	make(&t);
	h = wintree_hive(&t, "DRIVERS");
	wintree_set(h, DB "\\DeviceIds\\PCI\\VEN_1&DEV_2", "oem7.inf", IBB_REG_BINARY, id, 4);
	wintree_set(h, DB "\\DeviceIds\\PCI\\VEN_1&DEV_2", "oem0.inf", IBB_REG_BINARY, five, 5);
	wintree_set_sz(h, DB "\\DriverPackages\\y.inf_amd64_0123456789abcdef", "", "oem9.inf");
	wintree_set(h, DB "\\DriverInfFiles\\oem5.inf", "", IBB_REG_MULTI_SZ, list, sizeof(list));
	wintree_set_sz(h, DB "\\DriverInfFiles\\oem5.inf", "Active", "other.inf");
	wintree_save(&t, "DRIVERS", h);
	assert_found(&t, texts, 5);
}

static void files_and_map(void **state)
{
	static const char *const texts[] = {"OemInfMap calls oem0.inf free, but package " NAME,
					    "oem0.inf (" NAME ") lacks Windows/INF/oem0.inf"};
	static const uint8_t map[1] = {0x40};
	struct ibb_hive *h;
	struct wintree t;

	(void)state;
	make(&t);
	h = wintree_hive(&t, "SYSTEM");
	wintree_set(h, DB, "OemInfMap", IBB_REG_BINARY, map, 1);
	wintree_save(&t, "SYSTEM", h);
	wintree_remove(&t, "Windows/INF/oem0.inf");
	assert_found(&t, texts, 2);
}

/* Thousands of IDs of one lost INF are not thousands of lines. */
static void counted(void **state)
{
	static const char *const texts[] = {
		"VEN_2&DEV_0 names oem8.inf", "VEN_2&DEV_1 names oem8.inf",
		"VEN_2&DEV_10 names oem8.inf",
		"50 in all: device IDs that name an INF DriverInfFiles lacks"};
	static const uint8_t id[4] = {1, 0xff};
	struct ibb_hive *h;
	struct wintree t;

	(void)state;
	make(&t);
	h = wintree_hive(&t, "DRIVERS");
	for (unsigned i = 0; i < 50; i++) {
		char key[128];

		snprintf(key, sizeof(key), DB "\\DeviceIds\\PCI\\VEN_2&DEV_%u", i);
		wintree_set(h, key, "oem8.inf", IBB_REG_BINARY, id, 4);
	}
	wintree_save(&t, "DRIVERS", h);
	assert_found(&t, texts, 4);
}

static void node_without_keys(void **state)
{
	static const char *const texts[] = {"DRIVERS node: no DriverInfFiles key"};
	struct wintree t;

	(void)state;
	wintree_plain(&t, test_dir(), "server2022");
	wintree_edit_delete(&t, "DRIVERS", DB "\\DriverInfFiles");
	assert_found(&t, texts, 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(sound),
	cmocka_unit_test(orphans),
	cmocka_unit_test(files_and_map),
	cmocka_unit_test(counted),
	cmocka_unit_test(node_without_keys),
};
int main(void)
{
	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
