/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules of libntfs-3g, each with the case that a broken rule would spoil. */
#include "volume_image.h"

static void smoke(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);

	(void)state;
	make_dir(v, "Windows");
	make_dir(v, "windows/INF");
	put(v, "WINDOWS/inf/oem0.inf", "hello");
	expect(v, "Windows/INF/OEM0.INF", "hello");
	put(v, "WINDOWS/inf/OEM0.inf", "other");
	expect_list(v, "", "Windows/");
	expect_list(v, "windows/inf", "oem0.inf");
	commit_close(v);
	v = open_rw(d);
	expect(v, "Windows/INF/OEM0.INF", "other");
	ibb_volume_close(v);
	check_ntfs(d);
	ibb_disk_unref(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smoke),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
