/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disktest.h"

#include "base/le.h"
#include "base/time.h"
#include "disk/vhd.h"

#define MIB (1024u * 1024u)

static const struct ibb_guid some_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* What opening an image does first: look at it, then open it, or say why not. */
static int open_container(struct ibb_disk *file, enum ibb_container *ret_kind,
			  struct ibb_vhd_footer *ret_footer, struct ibb_disk **ret,
			  struct ibb_error *err)
{
	struct ibb_parent_link link = {0};
	struct ibb_vhd_info info = {0};
	int r = ibb_container_detect(file, ret_kind, err);

	if (r)
		return r;
	if (*ret_kind == IBB_CONTAINER_RAW) {
		*ret = ibb_disk_ref(file);
		return IBB_OK;
	}
	if (*ret_kind > IBB_CONTAINER_VHD_DIFFERENCING)
		return ibb_container_refuse(file, *ret_kind, err);
	r = ibb_disk_vhd_open(file, &info, &link, ret, err);
	*ret_footer = info.footer;
	ibb_parent_link_clear(&link);
	return r;
}

/* A disk in memory with this content at the end and zeros before it. */
static struct ibb_disk *disk_with_tail(const char *name, uint64_t size, const void *tail, size_t n)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;

	assert_ok(ibb_disk_mem_new(size, 512, &d, &err), err);
	if (n)
		assert_ok(ibb_disk_pwrite(d, tail, n, size - n, &err), err);
	free(d->name);
	d->name = ibb_strdup(name);
	assert_non_null(d->name);
	return d;
}

static void new_footer(uint64_t size, uint8_t out[512])
{
	struct ibb_vhd_footer f;

	ibb_vhd_footer_init(&f, size, 1600000000, &some_id);
	ibb_vhd_footer_encode(&f, out);
}

/* Put the right checksum under changed bytes, computed here by itself. */
static void fix_checksum(uint8_t b[512])
{
	uint32_t sum = 0;

	memset(b + 64, 0, 4);
	for (unsigned i = 0; i < 512; i++)
		sum += b[i];
	ibb_put_be32(b + 64, ~sum);
}

static void test_geometry(void **state)
{
	/* worked out by hand from the appendix "CHS Calculation" */
	static const struct {
		uint64_t size;
		unsigned c, h, s;
	} want[] = {
		{512, 0, 4, 17},
		{4 * MIB, 120, 4, 17}, /* as Windows wrote it */
		{10 * MIB, 301, 4, 17},
		{100 * MIB, 1003, 12, 17},
		{200 * MIB, 825, 16, 31},
		{504ull * MIB, 1024, 16, 63},
		{8ull << 30, 16644, 16, 63},
		{65535ull * 16 * 63 * 512 - 512, 65534, 16, 63},
		{65535ull * 16 * 63 * 512, 16191, 16, 255},
		{127ull << 30, 65278, 16, 255},
		{2040ull << 30, 65535, 16, 255},
		{UINT64_MAX, 65535, 16, 255},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(want); i++) {
		uint16_t c;
		uint8_t h, s;

		ibb_vhd_geometry(want[i].size, &c, &h, &s);
		assert_int_equal(c, want[i].c);
		assert_int_equal(h, want[i].h);
		assert_int_equal(s, want[i].s);
	}
}

static void test_new_footer(void **state)
{
	uint8_t b[512], again[512];
	struct ibb_error err = {0};
	struct ibb_vhd_footer f;

	(void)state;
	new_footer(30ull << 30, b);
	assert_memory_equal(b, "conectix\0\0\0\2\0\1\0\0\377\377\377\377\377\377\377\377", 24);
	assert_ok(ibb_vhd_footer_parse("x", 0, b, &f, &err), err);
	assert_int_equal(f.timestamp_s, 1600000000 - 946684800);
	assert_int_equal(f.current_size_bytes, 30ull << 30);
	assert_int_equal(f.original_size_bytes, 30ull << 30);
	assert_int_equal(f.type, IBB_VHD_FIXED);
	/* any other creator, and qemu-img takes the size from the geometry */
	assert_string_equal(f.creator_app, "win ");
	assert_int_equal(f.creator_version, 0x000a0000);
	assert_string_equal(f.creator_os, "Wi2k");
	assert_memory_equal(f.unique_id.b, some_id.b, 16);
	memcpy(again, b, 512);
	fix_checksum(again);
	assert_memory_equal(again, b, 512);
	ibb_vhd_footer_encode(&f, again);
	assert_memory_equal(again, b, 512);
	/* times outside the field's range are clipped, not wrapped */
	ibb_vhd_footer_init(&f, MIB, 0, &some_id);
	assert_int_equal(f.timestamp_s, 0);
	ibb_vhd_footer_init(&f, MIB, INT64_MAX, &some_id);
	assert_int_equal(f.timestamp_s, UINT32_MAX);
}

static void test_fixed_open(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *file, *d = NULL;
	struct ibb_vhd_footer f;
	enum ibb_container kind;
	struct extents e = {0};
	uint8_t b[512];

	(void)state;
	new_footer(3 * MIB, b);
	file = disk_with_tail("a.vhd", 3 * MIB + 512, b, 512);
	assert_ok(ibb_container_detect(file, &kind, &err), err);
	assert_int_equal(kind, IBB_CONTAINER_VHD_FIXED);
	assert_ok(open_container(file, &kind, &f, &d, &err), err);
	assert_int_equal(kind, IBB_CONTAINER_VHD_FIXED);
	assert_int_equal(d->size_bytes, 3 * MIB);
	assert_int_equal(d->sector_bytes, 512);
	assert_string_equal(d->name, "a.vhd");
	assert_memory_equal(f.unique_id.b, some_id.b, 16);
	assert_fails(ibb_disk_pread(d, b, 1, 3 * MIB, &err), IBB_E_CORRUPT, err, "lies outside");
	assert_ok(ibb_disk_extents(d, 0, 3 * MIB, collect_extent, &e, &err), err);
	assert_int_equal(e.n, 1); /* the footer is not part of the disk */
	ibb_disk_unref(file);
	assert_ok(ibb_disk_pread(d, b, 1, 3 * MIB - 1, &err), err);
	ibb_disk_unref(d);
}

/* Each field of the footer, damaged with and without a matching checksum. */
static void test_bad_footers(void **state)
{
	static const struct {
		unsigned at, len;
		const char *bytes;
		bool fix;
		int code;
		const char *text;
	} bad[] = {
		{0, 1, "C", true, IBB_E_CORRUPT,
		 "a.img: no VHD footer at offset 1048576: the cookie is not \"conectix\""},
		{0, 8, "\0\0\0\0\0\0\0\0", true, IBB_E_CORRUPT, "the cookie is not"},
		{67, 1, "\0", false, IBB_E_CORRUPT,
		 "VHD footer at offset 1048576 is damaged: checksum 0x"},
		{40, 1, "\1", false, IBB_E_CORRUPT, "is damaged: checksum 0xffff"},
		{12, 4, "\0\2\0\1", true, IBB_E_CORRUPT, "unknown format version 2.1"},
		{60, 4, "\0\0\0\1", true, IBB_E_CORRUPT, "unknown disk type 1"},
		{60, 4, "\0\0\0\5", true, IBB_E_CORRUPT, "unknown disk type 5"},
		{60, 4, "\0\0\0\3", true, IBB_E_CORRUPT,
		 "a.img: VHD footer: no dynamic disk header can be at its data offset"},
		{60, 4, "\0\0\0\4", true, IBB_E_CORRUPT, "no dynamic disk header can be at"},
		{48, 8, "\0\0\0\0\0\x20\0\0", true, IBB_E_CORRUPT,
		 "VHD footer at offset 1048576 says 2097152 bytes of data, the file has 1048576: "
		 "truncated, or grown"},
		{84, 1, "\1", true, IBB_E_UNSUPPORTED, "in saved state"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		struct ibb_error err = {0};
		struct ibb_disk *file, *d = NULL;
		struct ibb_vhd_footer f;
		enum ibb_container kind;
		uint8_t b[512];

		new_footer(MIB, b);
		memcpy(b + bad[i].at, bad[i].bytes, bad[i].len);
		if (bad[i].fix)
			fix_checksum(b);
		file = disk_with_tail("a.img", MIB + 512, b, 512);
		assert_fails(open_container(file, &kind, &f, &d, &err), bad[i].code, err,
			     bad[i].text);
		assert_null(d);
		ibb_disk_unref(file);
	}
}

static void test_checksum_message(void **state)
{
	struct ibb_error err = {0};
	struct ibb_vhd_footer f;
	uint8_t b[512];
	char want[128];
	uint32_t sum;

	(void)state;
	new_footer(MIB, b);
	sum = ibb_get_be32(b + 64);
	ibb_put_be32(b + 64, 0x12345678);
	snprintf(want, sizeof(want),
		 "disk.vhd: VHD footer at offset 7 is damaged: checksum 0x12345678, computed "
		 "0x%08x",
		 sum);
	assert_fails(ibb_vhd_footer_parse("disk.vhd", 7, b, &f, &err), IBB_E_CORRUPT, err, want);
}

static void test_odd_size(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *file, *d = NULL;
	struct ibb_vhd_footer f;
	uint8_t b[512];

	(void)state;
	new_footer(MIB + 100, b);
	file = disk_with_tail("a.vhd", MIB + 612, b, 512);
	assert_fails(ibb_disk_vhd_fixed_open(file, &f, &d, &err), IBB_E_CORRUPT, err,
		     "data size of 1048676 bytes is no multiple of 512");
	ibb_disk_unref(file);
	new_footer(0, b);
	file = disk_with_tail("a.vhd", 512, b, 512);
	assert_fails(ibb_disk_vhd_fixed_open(file, &f, &d, &err), IBB_E_CORRUPT, err,
		     "data size of 0 bytes");
	ibb_disk_unref(file);
	file = disk_with_tail("a.vhd", 511, NULL, 0);
	assert_fails(ibb_disk_vhd_fixed_open(file, &f, &d, &err), IBB_E_CORRUPT, err,
		     "511 bytes are too few for a VHD");
	ibb_disk_unref(file);
	assert_null(d);
}

/* --- what kind of file --- */

static void test_detect_magics(void **state)
{
	static const struct {
		unsigned at, len;
		const char *bytes, *name, *hint;
	} cases[] = {
		{0, 8, "MSWIM\0\0\0", "is a WIM archive;", "wimlib-imagex apply"},
		{0, 8, "WLPWM\0\0\0", "is a WIM archive;", "wimlib-imagex apply"},
		{0, 4, "QFI\xfb", "is a qcow2 image; ibbake reads VHD, VHDX and raw disks",
		 "qemu-img convert -f qcow2 -O vpc -o subformat=fixed,force_size=on 'some.img'"},
		{0, 4, "KDMV", "is a VMDK image;", "-f vmdk"},
		{0, 21, "# Disk DescriptorFile", "is a VMDK image;", "-f vmdk"},
		{0x8001, 5, "CD001", "is an ISO 9660 image;", "installation medium"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_disk *file = disk_with_tail("some.img", MIB, NULL, 0), *d = NULL;
		struct ibb_error err = {0};
		struct ibb_vhd_footer f;
		enum ibb_container kind;

		assert_ok(ibb_disk_pwrite(file, cases[i].bytes, cases[i].len, cases[i].at, &err),
			  err);
		assert_fails(open_container(file, &kind, &f, &d, &err), IBB_E_UNSUPPORTED, err,
			     cases[i].name);
		assert_non_null(strstr(err.hint, cases[i].hint));
		/* the last byte missing: no longer the signature */
		assert_ok(ibb_disk_pwrite(file, "", 1, cases[i].at + 3, &err), err);
		assert_ok(open_container(file, &kind, &f, &d, &err), err);
		assert_int_equal(kind, IBB_CONTAINER_RAW);
		assert_ptr_equal(d, file);
		ibb_disk_unref(d);
		ibb_disk_unref(file);
	}
}

static void test_detect_broken(void **state)
{
	static const struct {
		const char *name;
		uint64_t size;
		const char *text;
	} cases[] = {
		{"a.VHD", MIB,
		 "a.VHD: no VHD footer in the last 512 bytes (offset 1048064): truncated?"},
		{"a.vhdx", MIB, "is no VHDX"},
		{"a.avhdx", MIB, "is no VHDX"},
		{"a.avhd", MIB, "no VHD footer in the last 512 bytes"},
		{"a.img", MIB + 1, "1048577 bytes are no whole number of 512-byte sectors"},
		{"a.img", 100, "100 bytes are too few for a disk image"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_disk *file = disk_with_tail(cases[i].name, cases[i].size, NULL, 0);
		enum ibb_container kind = IBB_CONTAINER_ISO;
		struct ibb_error err = {0};

		assert_fails(ibb_container_detect(file, &kind, &err), IBB_E_CORRUPT, err,
			     cases[i].text);
		assert_int_equal(kind, IBB_CONTAINER_ISO); /* untouched */
		ibb_disk_unref(file);
	}
}

/* A dynamic VHD begins with a copy of its footer: with a sound one, the last one may be damaged. */
static void test_detect_by_copy(void **state)
{
	static const uint32_t types[] = {IBB_VHD_DYNAMIC, IBB_VHD_DIFFERENCING, IBB_VHD_FIXED};
	static const enum ibb_container kinds[] = {IBB_CONTAINER_VHD_DYNAMIC,
						   IBB_CONTAINER_VHD_DIFFERENCING};

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		const char *name = i % 3 == 2 ? "a.vhd" : "a.img";
		struct ibb_disk *file = disk_with_tail(name, MIB, NULL, 0);
		enum ibb_container kind = IBB_CONTAINER_ISO;
		struct ibb_error err = {0};
		uint8_t b[512];

		new_footer(MIB, b);
		ibb_put_be32(b + 60, types[i / 3]);
		fix_checksum(b);
		assert_ok(ibb_disk_pwrite(file, b, 512, 0, &err), err);
		b[67] ^= 1;
		if (i % 3 == 1) /* damaged, not gone */
			assert_ok(ibb_disk_pwrite(file, b, 512, MIB - 512, &err), err);
		if (i / 3 < 2) {
			assert_ok(ibb_container_detect(file, &kind, &err), err);
			assert_int_equal(kind, kinds[i / 3]);
		} else {
			assert_fails(ibb_container_detect(file, &kind, &err), IBB_E_CORRUPT, err,
				     i % 3 == 1 ? "VHD footer at offset 1048064 is damaged"
						: "begins as a VHD, but has no sound footer there");
		}
		/* and when the copy is damaged, too */
		assert_ok(ibb_disk_pwrite(file, "", 1, 66, &err), err);
		assert_fails(ibb_container_detect(file, &kind, &err), IBB_E_CORRUPT, err,
			     i % 3 == 1 ? "VHD footer at offset 1048064 is damaged"
					: "begins as a VHD, but has no sound footer");
		ibb_disk_unref(file);
	}
}

/* No single flipped bit may turn a VHD into a raw disk or go unnoticed. */
static void test_every_bit_flip(void **state)
{
	uint8_t b[512];

	(void)state;
	new_footer(MIB, b);
	for (unsigned bit = 0; bit < 512 * 8; bit++) {
		struct ibb_error err = {0};
		struct ibb_disk *file;
		enum ibb_container kind;

		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		file = disk_with_tail("a.img", MIB + 512, b, 512);
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_fails(ibb_container_detect(file, &kind, &err), IBB_E_CORRUPT, err,
			     "offset 1048576");
		ibb_disk_unref(file);
	}
}

static void test_read_error(void **state)
{
	struct ibb_fault plan = {.fail_at = {0, -1, -1}, .cut_after = -1, .os_errno = 5};
	struct ibb_disk *file = disk_with_tail("a.img", MIB, NULL, 0), *f = NULL;
	struct ibb_error err = {0};
	enum ibb_container kind;

	(void)state;
	assert_ok(ibb_disk_fault_new(file, &plan, &f, &err), err);
	for (;;) {
		int r = ibb_container_detect(f, &kind, &err);

		if (!r)
			break;
		assert_fails(r, IBB_E_IO, err, "injected failure of read");
		plan.fail_at[IBB_FAULT_READ]++;
		plan.count[IBB_FAULT_READ] = 0;
	}
	/* footer, its copy, seven signatures, first sector */
	assert_int_equal(plan.fail_at[IBB_FAULT_READ], 10);
	ibb_disk_unref(f);
	ibb_disk_unref(file);
}

static void test_no_memory(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *file, *d = NULL;
	struct ibb_vhd_footer f;
	enum ibb_container kind;
	uint8_t b[512];

	(void)state;
	new_footer(MIB, b);
	file = disk_with_tail("a.vhd", MIB + 512, b, 512);
	for (long i = 0; i < 2; i++) {
		ibb_mem_fail_at(i, false);
		assert_fails(open_container(file, &kind, &f, &d, &err), IBB_E_NOMEM, err,
			     "out of memory");
	}
	ibb_mem_fail_at(-1, false);
	assert_null(d);
	ibb_disk_unref(file);
}

/* --- real files, written by Windows --- */

static void test_real_fixed(void **state)
{
	const char *path = unpack_vhd("fixed.vhd");
	struct ibb_error err = {0};
	struct ibb_disk *file = NULL, *d = NULL;
	struct ibb_vhd_footer f;
	struct ibb_file_id id;
	enum ibb_container kind;
	uint8_t b[512], again[512], h, s;
	char date[IBB_ISO8601_SIZE];
	uint16_t c;

	(void)state;
	assert_ok(ibb_disk_file_open(path, &id, &file, &err), err);
	assert_ok(open_container(file, &kind, &f, &d, &err), err);
	assert_int_equal(kind, IBB_CONTAINER_VHD_FIXED);
	assert_int_equal(d->size_bytes, 10 * MIB);
	assert_string_equal(f.creator_app, "win ");
	assert_int_equal(f.checksum, 0xffffe5f7);
	ibb_unix_format((int64_t)f.timestamp_s + 946684800, date);
	assert_memory_equal(date, "2020-03-", 8);
	ibb_vhd_geometry(f.current_size_bytes, &c, &h, &s);
	assert_int_equal(c, f.cylinders);
	assert_int_equal(h, f.heads);
	assert_int_equal(s, f.sectors_per_track);
	/* our encoding is Windows' encoding */
	assert_ok(ibb_disk_pread(file, b, 512, 10 * MIB, &err), err);
	ibb_vhd_footer_encode(&f, again);
	assert_memory_equal(again, b, 512);
	ibb_disk_unref(d);
	ibb_disk_unref(file);
	/* cut anywhere, it is refused */
	assert_int_equal(truncate(path, 10 * MIB), 0);
	assert_ok(ibb_disk_file_open(path, &id, &file, &err), err);
	assert_fails(ibb_container_detect(file, &kind, &err), IBB_E_CORRUPT, err,
		     "no VHD footer in the last 512 bytes");
	ibb_disk_unref(file);
}

static void test_real_others(void **state)
{
	static const struct {
		const char *name;
		enum ibb_container kind;
	} files[] = {
		{"dynamic.vhd", IBB_CONTAINER_VHD_DYNAMIC},
		{"differencing-parent-absent.vhd", IBB_CONTAINER_VHD_DIFFERENCING},
		{"fixed.vhdx", IBB_CONTAINER_VHDX},
		{"dynamic.vhdx", IBB_CONTAINER_VHDX},
		{"differencing.avhdx", IBB_CONTAINER_VHDX},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(files); i++) {
		const char *path = unpack_vhd(files[i].name);
		struct ibb_disk *file = NULL;
		struct ibb_error err = {0};
		struct ibb_file_id id;
		enum ibb_container kind;

		assert_ok(ibb_disk_file_open(path, &id, &file, &err), err);
		assert_ok(ibb_container_detect(file, &kind, &err), err);
		assert_int_equal(kind, files[i].kind);
		ibb_disk_unref(file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_geometry),	 cmocka_unit_test(test_new_footer),
		cmocka_unit_test(test_fixed_open),	 cmocka_unit_test(test_bad_footers),
		cmocka_unit_test(test_checksum_message), cmocka_unit_test(test_odd_size),
		cmocka_unit_test(test_detect_magics),	 cmocka_unit_test(test_detect_broken),
		cmocka_unit_test(test_detect_by_copy),	 cmocka_unit_test(test_every_bit_flip),
		cmocka_unit_test(test_read_error),	 cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_real_fixed),	 cmocka_unit_test(test_real_others),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
