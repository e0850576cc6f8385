/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seeds of vhd_footer, vhd_header and vhd_bat: small dynamic and differencing disks. */
#include "mkcorpus.h"

#include "fuzz.h"
#include "disk/vhd.h"
#include "mkvhd.h"

#define MAX_BYTES (96u << 10)

static void write_all(const char *name, const void *p, size_t n)
{
	static const char *const targets[] = {"vhd_footer", "vhd_header", "vhd_bat"};

	FUZZ_CHECK(n <= MAX_BYTES, "%s has %zu bytes", name, n);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(targets); i++)
		mkcorpus_write(targets[i], name, p, n);
}

/* The file, and the same without its last footer. */
static void write_vhd(const char *name, const struct mkvhd *v)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct ibb_buf b;
	char *cut = ibb_asprintf("%s-cut", name);

	FUZZ_CHECK(cut && !mkvhd_disk(v, name, &d, &err), "%s", err.msg);
	b = (struct ibb_buf){.data = malloc((size_t)d->size_bytes), .len = (size_t)d->size_bytes};
	FUZZ_CHECK(b.data && !ibb_disk_pread(d, b.data, b.len, 0, &err), "%s", err.msg);
	write_all(name, b.data, b.len);
	write_all(cut, b.data, b.len - 512);
	ibb_buf_clear(&b);
	ibb_disk_unref(d);
	free(cut);
}

static void fixed(void)
{
	static uint8_t b[4096 + 512];
	const struct ibb_guid id = {{1, 2, 3}};
	struct ibb_vhd_footer f;

	ibb_vhd_footer_init(&f, 4096, 1600000000, &id);
	ibb_vhd_footer_encode(&f, b + 4096);
	write_all("fixed", b, sizeof(b));
}

void mkcorpus_vhds(void)
{
	static const struct mkvhd_run runs[] = {{1, 2}, {9, 1}, {40, 7}, {63, 1}};
	const struct mkvhd dynamic = {.disk_bytes = 32768,
				      .block_bytes = 4096,
				      .whole_bitmaps = true,
				      .runs = runs,
				      .n_runs = 4};
	struct mkvhd v = dynamic;

	write_vhd("dynamic", &v);
	v.backwards = true;
	v.disk_bytes -= 512;
	write_vhd("backwards", &v);
	v.whole_bitmaps = false;
	v.block_bytes = 8192;
	write_vhd("clear-bits", &v);
	v.block_bytes = 512;
	write_vhd("small-blocks", &v);
	v = dynamic;
	v.n_runs = 0;
	write_vhd("empty", &v);
	v.disk_bytes = 64ull << 30; /* what it describes is larger than what it is */
	v.block_bytes = 16u << 20;
	write_vhd("large", &v);
	v = dynamic;
	v.whole_bitmaps = false;
	v.differencing = true;
	v.parent_id = (struct ibb_guid){{7, 8, 9}};
	v.parent_name = "b\xc3\xa4se.vhd";
	write_vhd("child", &v);
	v.locators[0] = (struct mkvhd_locator){"W2ru", "..\\b\xc3\xa4se.vhd"};
	v.locators[1] = (struct mkvhd_locator){"W2ku", "C:\\base.vhd"};
	v.locators[2] = (struct mkvhd_locator){"Wi2r", "base.vhd"};
	v.locators[3] = (struct mkvhd_locator){"MacX", "file:///base.vhd"};
	v.locators[4] = (struct mkvhd_locator){"Mac ", "?"};
	write_vhd("child-locators", &v);
	v.block_bytes = 32768;
	write_vhd("child-one-block", &v);
	fixed();
}
