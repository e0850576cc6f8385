/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "plan/rank.h"

struct expect {
	const char *id;
	bool compatible;
	unsigned place;
};

static void expect_ids(const char *id, const struct expect *want, size_t n)
{
	struct ibb_rank_ids r;

	ibb_rank_ids_of(id, &r);
	assert_int_equal(r.n, n);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(r.ids[i], want[i].id);
		assert_int_equal(r.compatible[i], want[i].compatible);
		assert_int_equal(r.place[i], want[i].place);
	}
}

/* Microsoft, "Identifiers for PCI Devices": which forms are hardware and which compatible IDs. */
static void pci_forms(void **state)
{
	static const struct expect full[] = {
		{"PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00", false, 0},
		{"PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3", false, 1},
		{"PCI\\VEN_15B3&DEV_101C&REV_00", true, 0},
		{"PCI\\VEN_15B3&DEV_101C", true, 1},
	};
	static const struct expect no_subsys[] = {
		{"PCI\\VEN_15B3&DEV_1016&REV_80", true, 0},
		{"PCI\\VEN_15B3&DEV_1016", true, 1},
	};
	static const struct expect no_rev[] = {
		{"PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3", false, 0},
		{"PCI\\VEN_15B3&DEV_101C", true, 0},
	};
	static const struct expect bare[] = {{"PCI\\VEN_15B3&DEV_1004", true, 0}};

	(void)state;
	expect_ids(full[0].id, full, 4);
	expect_ids(no_subsys[0].id, no_subsys, 2);
	expect_ids(no_rev[0].id, no_rev, 2);
	expect_ids(bare[0].id, bare, 1);
}

/* What is no PCI ID of that form stands alone, as a hardware ID. */
static void other_forms(void **state)
{
	static const char *const ids[] = {
		"VMBUS\\{8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501}",
		"PCI\\VEN_15B3",
		"PCI\\VEN_15B3&CC_0207",
		"PCI\\VEN_15B3&DEV_101C&CC_020700",
		"PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00&X",
		"*PNP0F03",
		"",
	};
	char longest[300];

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		const struct expect alone = {ids[i], false, 0};

		expect_ids(ids[i], &alone, 1);
	}
	snprintf(longest, sizeof(longest), "PCI\\VEN_15B3&DEV_101C&SUBSYS_%0250d", 1);
	expect_ids(longest, &(struct expect){longest, false, 0}, 1);
}

/* The table of Microsoft, "Driver Package Rank Example", row by row. */
static void identifier_scores(void **state)
{
	static const struct {
		bool dev_compatible;
		unsigned place, hw, cid_1, cid_2;
	} rows[] = {
		{false, 0, 0x0000, 0x1000, 0x1000},
		{false, 1, 0x0001, 0x1001, 0x1001},
		{true, 0, 0x2000, 0x3000, 0x3100},
		{true, 1, 0x2001, 0x3001, 0x3101},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool c = rows[i].dev_compatible;
		unsigned at = rows[i].place;

		assert_int_equal(ibb_rank_identifier(c, at, false, 0), rows[i].hw);
		assert_int_equal(ibb_rank_identifier(c, at, true, 0), rows[i].cid_1);
		assert_int_equal(ibb_rank_identifier(c, at, true, 1), rows[i].cid_2);
	}
	/* an index out of a hive does not leave its kind of match */
	assert_int_equal(ibb_rank_identifier(false, 0, true, 0xffff), 0x1000);
	assert_int_equal(ibb_rank_identifier(true, 1, true, 0xffff), 0x3f01);
}

static void order(void **state)
{
	/* each beats the next */
	static const struct ibb_rank by[] = {
		{0x10, 0x2001, 1, 1, false}, /* a feature score beats everything but a signature */
		{0xff, 0x0000, 1, 1, false}, {0xff, 0x0001, 9, 9, false},
		{0xff, 0x1000, 9, 9, false}, {0xff, 0x2000, 9, 9, false},
		{0xff, 0x2000, 8, 9, false}, /* a date beats a version */
		{0xff, 0x2000, 8, 8, false}, {0xff, 0x3000, 9, 9, false},
		{0x00, 0x0000, 9, 9, true},
	};
	const char *why;

	(void)state;
	for (size_t a = 0; a < sizeof(by) / sizeof(by[0]); a++)
		for (size_t b = 0; b < sizeof(by) / sizeof(by[0]); b++) {
			int want = a < b ? -1 : a > b;

			assert_int_equal(ibb_rank_compare(&by[a], &by[b], &why), want);
		}
	assert_int_equal(ibb_rank_compare(&by[4], &by[5], &why), -1);
	assert_string_equal(why, "a later DriverVer date");
	assert_int_equal(ibb_rank_compare(&by[5], &by[6], &why), -1);
	assert_string_equal(why, "a higher DriverVer version");
	assert_int_equal(ibb_rank_compare(&by[6], &by[6], &why), 0);
	assert_int_equal(ibb_rank_compare(&by[8], &by[0], &why), 1);
	assert_string_equal(why, "a signature");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(pci_forms),
	cmocka_unit_test(other_forms),
	cmocka_unit_test(identifier_scores),
	cmocka_unit_test(order),
};
IBB_TEST_MAIN(tests)
