/* SPDX-License-Identifier: GPL-3.0-or-later */
/* WIMs of every kind, read: the content, the names and the metadata are those of their source. */
#include "wim_image.h"

static const struct {
	const char *name;
	struct mkwim m;
	const char *compression;
	uint32_t chunk;
} kinds[] = {
	{"none.wim", {.compression = WIMLIB_COMPRESSION_TYPE_NONE}, "none", 0},
	{"xpress.wim", {.compression = WIMLIB_COMPRESSION_TYPE_XPRESS}, "XPRESS", 32768},
	{"xpress4k.wim",
	 {.compression = WIMLIB_COMPRESSION_TYPE_XPRESS, .chunk_bytes = 4096},
	 "XPRESS",
	 4096},
	{"lzx.wim", {.compression = WIMLIB_COMPRESSION_TYPE_LZX, .integrity = true}, "LZX", 32768},
	{"lzms.wim", {.compression = WIMLIB_COMPRESSION_TYPE_LZMS}, "LZMS", 131072},
	{"solid.esd",
	 {.compression = WIMLIB_COMPRESSION_TYPE_LZMS, .solid = true, .solid_chunk_bytes = 1 << 20},
	 "LZMS",
	 131072},
	{"solid-lzx.esd",
	 {.compression = WIMLIB_COMPRESSION_TYPE_LZX,
	  .solid = true,
	  .solid_compression = WIMLIB_COMPRESSION_TYPE_LZX,
	  .solid_chunk_bytes = 32768},
	 "LZX",
	 32768},
	{"pipable.wim",
	 {.compression = WIMLIB_COMPRESSION_TYPE_LZX, .pipable = true, .integrity = true},
	 "LZX",
	 32768},
	{"pipable-none.wim",
	 {.compression = WIMLIB_COMPRESSION_TYPE_NONE, .pipable = true},
	 "none",
	 0},
	{"split.swm",
	 {.compression = WIMLIB_COMPRESSION_TYPE_XPRESS, .part_bytes = 300000},
	 "XPRESS",
	 32768},
};

static void check_content(struct ibb_volume *v)
{
	char path[64];

	for (size_t i = 0; i < WIM_N_SIZES; i++) {
		uint8_t *p = wim_content(i);

		snprintf(path, sizeof(path), "DATA/F%zu", i);
		expect_bytes(v, path, p, wim_sizes[i]);
		assert_int_equal(stat_of(v, path).size_bytes, wim_sizes[i]);
		free(p);
	}
	expect(v, "windows/system32/LONG name of a driver.sys", "driver");
	expect(v, "data/\xc3\xbcML\xc3\x84ut \xf0\x9f\x90\xa7/\xd0\xb4.TXT", "unicode");
	expect(v, "Windows/hard link.txt", "main");
}

static void every_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(kinds); i++) {
		struct ibb_wim *w = wim_open(wim_make(kinds[i].name, kinds[i].m));
		const struct ibb_wim_info *in = ibb_wim_info(w);

		struct ibb_volume *v = wim_volume(w, 1);

		assert_string_equal(in->compression, kinds[i].compression);
		assert_int_equal(in->chunk_bytes, kinds[i].chunk);
		assert_int_equal(in->solid, kinds[i].m.solid);
		assert_int_equal(in->pipable, kinds[i].m.pipable);
		assert_int_equal(in->integrity, kinds[i].m.integrity);
		assert_int_equal(in->images, 1);
		assert_int_equal(in->parts > 1, kinds[i].m.part_bytes != 0);
		assert_false(in->write_in_progress);
		check_content(v);
		/* and backwards, so that a chunk that is kept is not the next one */
		for (size_t k = WIM_N_SIZES; k-- > 0;) {
			uint8_t *p = wim_content(k);
			char path[64];

			snprintf(path, sizeof(path), "data/f%zu", k);
			expect_bytes(v, path, p, wim_sizes[k]);
			free(p);
		}
		ibb_volume_close(v);
		ibb_wim_close(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
