/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seeds of unpack: every form, alone and in another one. */
#include "mkcorpus.h"

#include <stdio.h>

#include "mkarchive.h"

static struct ibb_buf package(enum mkarchive_form f)
{
	static const struct mkarchive_entry e[] = {
		{.name = "Drivers/a.inf", .data = "[Version]"},
		{.name = "Drivers/a.sys", .data = "MZ and so on, and so on, and so on"},
		{.name = "empty", .data = ""},
	};

	return mkarchive(f, e, 3);
}

void mkcorpus_unpack(void)
{
	for (int f = 0; f < MKARCHIVE_N; f++) {
		struct ibb_buf in = package((enum mkarchive_form)f), out;
		char name[64];
		struct mkarchive_entry e[] = {{.name = "in.bin", .data = in.data, .len = in.len},
					      {.name = "readme.txt", .data = "x"}};

		mkcorpus_write("unpack", mkarchive_name((enum mkarchive_form)f), in.data, in.len);
		out = mkarchive(MKARCHIVE_ZIP_STORED, e, 2);
		ibb_buf_clear(&in);
		snprintf(name, sizeof(name), "zip-of-%s", mkarchive_name((enum mkarchive_form)f));
		mkcorpus_write("unpack", name, out.data, out.len);
		ibb_buf_clear(&out);
	}
}
