/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading dynamic and differencing VHD. */
#include "vhdtest.h"

/* ---- real files, written by Windows ---- */

static void test_real_dynamic(void **state)
{
	const char *path = unpack_vhd("dynamic.vhd");
	struct opened o = open_vhd(path);
	struct extents e = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_int_equal(o.d->size_bytes, 10 * MIB);
	assert_int_equal(o.info.footer.type, IBB_VHD_DYNAMIC);
	assert_int_equal(o.info.block_bytes, 2 * MIB);
	assert_int_equal(o.info.allocated_blocks, 3);
	assert_false(o.info.footer_from_copy);
	assert_false(o.link.differencing);
	assert_int_equal(o.link.n, 0);
	/* blocks 2 and 4 have no place in the file */
	assert_ok(ibb_disk_extents(o.d, 0, o.d->size_bytes, collect_extent, &e, &err), err);
	assert_extents_cover(&e, 0, 10 * MIB);
	assert_false(extents_data_at(&e, 4 * MIB));
	assert_false(extents_data_at(&e, 6 * MIB - 1));
	assert_false(extents_data_at(&e, 8 * MIB));
	assert_false(extents_data_at(&e, 10 * MIB - 1));
	/* a partition table */
	assert_byte(o.d, 510, 0x55);
	assert_byte(o.d, 511, 0xaa);
	close_vhd(&o);
}

static void test_real_orphan(void **state)
{
	static const struct ibb_guid parent = {{0x5f, 0xa2, 0x1a, 0x55, 0xf3, 0x94, 0xaa, 0x4d,
						0x99, 0x58, 0x19, 0x51, 0xa6, 0x7d, 0x55, 0x40}};
	struct opened o = open_vhd(unpack_vhd("differencing-parent-absent.vhd"));
	struct ibb_error err = {0};
	uint8_t b[512];

	(void)state;
	assert_int_equal(o.d->size_bytes, 4 * MIB);
	assert_int_equal(o.info.footer.type, IBB_VHD_DIFFERENCING);
	assert_int_equal(o.info.block_bytes, 2 * MIB);
	assert_true(o.link.differencing);
	assert_memory_equal(&o.link.id, &parent, 16);
	assert_false(o.link.has_id2);
	assert_true(o.link.has_timestamp);
	assert_int_equal(o.link.timestamp_s, 0);
	assert_int_equal(o.link.n, 3);
	assert_int_equal(o.link.locators[0].kind, IBB_LOCATOR_ABSOLUTE);
	assert_string_equal(o.link.locators[0].path,
			    "C:\\Projects\\dfvfs\\test_data\\fat-parent.vhd");
	assert_int_equal(o.link.locators[1].kind, IBB_LOCATOR_RELATIVE);
	assert_string_equal(o.link.locators[1].path, ".\\fat-parent.vhd");
	assert_int_equal(o.link.locators[2].kind, IBB_LOCATOR_NAME);
	assert_string_equal(o.link.locators[2].path,
			    "C:\\Projects\\dfvfs\\test_data\\fat-parent.vhd");
	assert_fails(ibb_disk_pread(o.d, b, 512, 0, &err), IBB_E_INTERNAL, err,
		     "a differencing disk without its parent");
	close_vhd(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_dynamic),
		cmocka_unit_test(test_real_orphan),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
