/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "driver/store.h"

#include "test.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/time.h"
#include "pkgtest.h"

static void unhex(const char *hex, uint8_t *out, size_t n)
{
	assert_int_equal(strlen(hex), 2 * n);
	for (size_t i = 0; i < n; i++) {
		unsigned v = 0;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
}

/* The fields of one line of the vectors, made into a struct. */
static struct ibb_version_blob fields(unsigned inbox, unsigned published, unsigned arch,
				      unsigned locale, const char *guid, const char *date,
				      const char *version, unsigned flags, unsigned class_version)
{
	struct ibb_version_blob v = {
		.inbox = inbox,
		.published = published,
		.arch = (uint16_t)arch,
		.locale = locale,
		.configurable_flags = flags,
		.class_version = class_version,
	};
	unsigned n[4];
	int year, month, day;

	assert_true(ibb_guid_parse(guid, &v.class_guid));
	assert_int_equal(sscanf(date, "%d-%d-%d", &year, &month, &day), 3);
	assert_true(ibb_filetime_from_date(year, month, day, &v.date));
	assert_int_equal(sscanf(version, "%u.%u.%u.%u", &n[0], &n[1], &n[2], &n[3]), 4);
	for (unsigned i = 0; i < 4; i++)
		v.version[i] = (uint16_t)n[i];
	return v;
}

static void same_fields(const struct ibb_version_blob *a, const struct ibb_version_blob *b)
{
	assert_int_equal(a->inbox, b->inbox);
	assert_int_equal(a->published, b->published);
	assert_int_equal(a->arch, b->arch);
	assert_int_equal(a->locale, b->locale);
	assert_true(ibb_guid_equal(&a->class_guid, &b->class_guid));
	assert_int_equal(a->date, b->date);
	assert_memory_equal(a->version, b->version, sizeof(a->version));
	assert_int_equal(a->configurable_flags, b->configurable_flags);
	assert_int_equal(a->class_version, b->class_version);
}

static void check_vector(const char *line)
{
	char hex[128], guid[64], date[32], version[64];
	unsigned inbox, published, arch, locale, flags, class_version;
	uint8_t want[IBB_VERSION_BLOB_SIZE], got[IBB_VERSION_BLOB_SIZE];
	struct ibb_version_blob v, back;

	assert_int_equal(sscanf(line, "%127s %u %u %u %u %63s %31s %63s %i %u", hex, &inbox,
				&published, &arch, &locale, guid, date, version, (int *)&flags,
				&class_version),
			 10);
	v = fields(inbox, published, arch, locale, guid, date, version, flags, class_version);
	unhex(hex, want, sizeof(want));
	ibb_version_blob_encode(&v, got);
	assert_memory_equal(got, want, sizeof(want));
	ibb_version_blob_decode(want, &back);
	same_fields(&back, &v);
}

static void version_vectors(void **state)
{
	struct ibb_buf b = {0};
	unsigned n = 0;

	(void)state;
	TEST_DATA_OR_SKIP("golden/version-vectors.txt", &b);
	assert_non_null(ibb_buf_cstr(&b));
	for (char *save = NULL, *line = strtok_r((char *)b.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		check_vector(line);
		n++;
	}
	assert_int_equal(n, 310);
	ibb_buf_clear(&b);
}

/* Two public facts (pvscsi staged by VMware Tools, the inbox mlx4_bus), so that the encoder is
 * tested without the real material as well. */
static void version_known(void **state)
{
	(void)state;
	check_vector("00ff0900000000007be9364d25e3ce11bfc108002be1031800003b3ac548d501"
		     "00000f00030001000000000000000000 0 1 9 0 "
		     "{4d36e97b-e325-11ce-bfc1-08002be10318} 2019-08-02 1.3.15.0 0 0");
	check_vector("ffff0900000000007de9364d25e3ce11bfc108002be1031800008f5a28dcd301"
		     "00003339320005000000000000000000 1 1 9 0 "
		     "{4d36e97d-e325-11ce-bfc1-08002be10318} 2018-04-25 5.50.14643.0 0 0");
	check_vector("000005007856341233221100554477668899aabbccddeeff0000000000000000"
		     "0400030002000100a0000000ffffffff 0 0 5 305419896 "
		     "{00112233-4455-6677-8899-aabbccddeeff} 1601-01-01 1.2.3.4 160 4294967295");
}

static void package_name_form(void **state)
{
	static const struct {
		const char *name;
		bool ok;
	} t[] = {
		{"pvscsi.inf_amd64_b0d59727d712523f", true},
		{"a.inf_x86_0000000000000000", true},
		{"a.inf_arm_0000000000000000", true},
		{"a b.inf_arm64_0123456789abcdef", true},
		{"guestor.inf_tmp", false},
		{"a.inf_amd64_000000000000000", false},
		{"a.inf_amd64_00000000000000000", false},
		{"a.inf_amd64_000000000000000G", false},
		{"a.inf_amd64_000000000000000A", false},
		{"a.inf_ia64_0000000000000000", false},
		{"a.txt_amd64_0000000000000000", false},
		{".inf_amd64_0000000000000000", false},
		{"_amd64_0000000000000000", false},
		{"0000000000000000", false},
		{"a\\b.inf_amd64_0000000000000000", false},
		{"a/b.inf_amd64_0000000000000000", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++)
		if (ibb_store_package_name_ok(t[i].name) != t[i].ok)
			fail_msg("'%s' should be %d", t[i].name, t[i].ok);
}

static void package_name(void **state)
{
	struct mkpkg_opts o = {.inf_name = "MixedCase.INF"};
	struct ibb_package *p = pkgtest_make(&o, &server_2019);
	struct ibb_error err = {0};
	struct ibb_sha256 digest;
	struct ibb_buf both = {0};
	char hex[17], want[64];
	char *name = NULL;

	(void)state;
	assert_int_equal(ibb_buf_append(&both, p->files[0].bytes.data, p->files[0].bytes.len), 0);
	assert_int_equal(ibb_buf_append(&both, p->files[1].bytes.data, p->files[1].bytes.len), 0);
	assert_int_equal(ibb_sha256(both.data, both.len, &digest), 0);
	ibb_hex(digest.b, 8, hex);
	snprintf(want, sizeof(want), "mixedcase.inf_amd64_%s", hex);
	assert_ok(ibb_store_package_name(p, &name, &err), err);
	assert_string_equal(name, want);
	assert_true(ibb_store_package_name_ok(name));
	free(name);
	ibb_buf_clear(&both);
	ibb_package_free(p);
}

static void status_flags(void **state)
{
	static const struct {
		bool copies, outside, absolute, coinstallers, includes;
		uint32_t ten, eight;
	} t[] = {
		{false, false, false, false, false, 0, 0},
		{true, false, false, false, false, 0x10, 0x10},
		{true, true, false, false, false, 0x12, 0x12},
		{true, true, false, false, true, 0x112, 0x12}, /* pvscsi, plain NIC with Include */
		{true, true, true, false, true, 0x116, 0x16},  /* mlx4_bus, mlx5 */
		{true, true, false, true, false, 0x1a, 0x1a},
		{false, false, true, false, true, 0x104, 0x04},
		{true, true, true, true, true, 0x11e, 0x1e},
	};
	struct ibb_store_fields ten = ibb_store_fields_for(&server_2022);
	struct ibb_store_fields eight = ibb_store_fields_for(&windows_81);

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_package p = {
			.copies_files = t[i].copies,
			.outside_store = t[i].outside,
			.absolute_addreg = t[i].absolute,
			.coinstallers = t[i].coinstallers,
			.has_includes = t[i].includes,
		};

		assert_int_equal(ibb_store_status_flags(&p, &ten), t[i].ten);
		assert_int_equal(ibb_store_status_flags(&p, &eight), t[i].eight);
	}
}

static void fields_per_windows(void **state)
{
	static const struct {
		unsigned major, minor, build;
		bool import_date, catalog, include_flag, update_date;
	} t[] = {
		{6, 2, 9200, false, false, false, false}, {6, 3, 9600, false, false, false, false},
		{10, 0, 14393, true, false, true, true},  {10, 0, 17763, true, false, true, true},
		{10, 0, 18361, true, false, true, true},  {10, 0, 18362, true, true, true, true},
		{10, 0, 26100, true, true, true, true},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_inf_target w = {IBB_ARCH_AMD64, t[i].major, t[i].minor,
					   t[i].build,	   3,	       0};
		struct ibb_store_fields f = ibb_store_fields_for(&w);

		assert_int_equal(f.import_date, t[i].import_date);
		assert_int_equal(f.catalog, t[i].catalog);
		assert_int_equal(f.include_flag, t[i].include_flag);
		assert_int_equal(f.update_date, t[i].update_date);
	}
}

static void signer_score(void **state)
{
#define MS "Microsoft Windows Hardware Compatibility Publisher"
	static const struct {
		struct ibb_cat_signer signer;
		bool is_signed;
		uint32_t want;
	} t[] = {
		{{.name = MS, .whql = true}, true, 0x0D000005},
		{{.name = MS, .attested = true}, true, 0x0D000005},
		{{.name = MS, .whql = true, .attested = true}, true, 0x0D000005},
		{{.name = MS}, true, 0x0F000000},
		{{.name = "Oracle Corporation"}, true, 0x0F000000},
		{{.name = "Somebody", .whql = true}, true, 0x0F000000},
		{{.name = ""}, false, 0x80000000},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_package p = {.signer = t[i].signer, .signed_ = t[i].is_signed};

		assert_int_equal(ibb_store_signer_score(&p), t[i].want);
	}
}

static void oem_map(void **state)
{
	static const uint8_t e0[] = {0xe0}, fff0[] = {0xff, 0xf0};
	struct ibb_bytes three = {e0, 1}, twelve = {fff0, 2};
	struct ibb_buf map = {0};

	(void)state;
	for (unsigned n = 0; n < 40; n++) {
		assert_int_equal(ibb_oem_map_get(three, n), n < 3);
		assert_int_equal(ibb_oem_map_get(twelve, n), n < 12);
		assert_false(ibb_oem_map_get((struct ibb_bytes){NULL, 0}, n));
	}
	assert_int_equal(ibb_oem_map_set(&map, 0), IBB_OK);
	assert_int_equal(map.len, 1);
	assert_int_equal(map.data[0], 0x80);
	assert_int_equal(ibb_oem_map_set(&map, 7), IBB_OK);
	assert_int_equal(map.len, 1);
	assert_int_equal(map.data[0], 0x81);
	assert_int_equal(ibb_oem_map_set(&map, 26), IBB_OK);
	assert_int_equal(map.len, 4);
	assert_memory_equal(map.data, "\x81\x00\x00\x20", 4);
	assert_true(ibb_oem_map_get(ibb_buf_bytes(&map), 26));
	assert_false(ibb_oem_map_get(ibb_buf_bytes(&map), 25));
	assert_int_equal(ibb_oem_map_set(&map, IBB_LIMIT_OEM_NUMBER), IBB_OK);
	assert_int_equal(map.len, 8192);
	assert_int_equal(ibb_oem_map_set(&map, IBB_LIMIT_OEM_NUMBER + 1), IBB_E_LIMIT);
	assert_int_equal(map.len, 8192);
	ibb_buf_clear(&map);
}

/* The map gets back the length it had before the number was taken. */
static void oem_map_cleared(void **state)
{
	static const struct {
		const char *before;
		size_t len;
		unsigned n;
		const char *after;
		size_t after_len;
	} t[] = {
		{"\x80", 1, 0, "\0", 1},	   {"\xe0", 1, 2, "\xc0", 1},
		{"\xff\x80", 2, 8, "\xff", 1},	   {"\xff\0\0\x20", 4, 26, "\xff", 1},
		{"\xe0\0\0", 3, 1, "\xa0\0\0", 3}, {"\x80", 1, 1, "\x80", 1},
		{"\x80", 1, 8, "\x80", 1},	   {"", 0, 0, "", 0},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_buf map = {0};

		assert_int_equal(ibb_buf_append(&map, t[i].before, t[i].len), 0);
		ibb_oem_map_clear(&map, t[i].n);
		assert_int_equal(map.len, t[i].after_len);
		if (map.len)
			assert_memory_equal(map.data, t[i].after, map.len);
		ibb_buf_clear(&map);
	}
}

static void oem_numbers(void **state)
{
	static const struct {
		const char *name, *suffix;
		int want;
	} t[] = {
		{"oem0.inf", ".inf", 0},      {"oem12.inf", ".inf", 12},
		{"OEM12.INF", ".inf", 12},    {"oem12.PNF", ".PNF", 12},
		{"oem12.pnf", ".PNF", 12},    {"oem65535.cat", ".cat", 65535},
		{"oem65536.cat", ".cat", -1}, {"oem4294967297.inf", ".inf", -1},
		{"oem.inf", ".inf", -1},      {"oem012.inf", ".inf", -1},
		{"oem00.inf", ".inf", -1},    {"oem1.inf.bak", ".inf", -1},
		{"oem1.cat", ".inf", -1},     {"xoem1.inf", ".inf", -1},
		{"oem-1.inf", ".inf", -1},    {"oem1", ".inf", -1},
		{"oemsetup.inf", ".inf", -1}, {"", ".inf", -1},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		unsigned n = 77;
		bool ok = ibb_oem_number(t[i].name, t[i].suffix, &n);

		if (ok != (t[i].want >= 0) || n != (ok ? (unsigned)t[i].want : 77))
			fail_msg("%s: %d %u", t[i].name, ok, n);
	}
}

struct want_id {
	const char *id;
	uint8_t data[4];
};

static void check_ids(struct ibb_package *p, const struct want_id *want, size_t n_want)
{
	struct ibb_device_id *ids = NULL;
	struct ibb_error err = {0};
	size_t n = 0;

	assert_ok(ibb_store_device_ids(p, &ids, &n, &err), err);
	assert_int_equal(n, n_want);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(ids[i].id, want[i].id);
		assert_memory_equal(ids[i].data, want[i].data, 4);
	}
	free(ids);
}

#define INF_HEAD(class, guid)                                                                     \
	"[Version]\r\nSignature=\"$Windows NT$\"\r\nClass=" class "\r\nClassGuid={" guid          \
								  "}\r\nProvider=X\r\nDriverVer=" \
								  "01/02/2024,1.2.3.4\r\n"        \
								  "[Manufacturer]\r\nX=M,"        \
								  "NTamd64\r\n[M.NTamd64]\r\n"
#define GUID_NET "4d36e972-e325-11ce-bfc1-08002be10318"
#define GUID_EXT "e2f84ce7-8efa-411c-aa69-97454ca4cb57"

static struct ibb_package *load_inf(const char *inf)
{
	struct memdir d = {.n = 0};
	struct ibb_package_source src = memsource(&d);
	struct ibb_package *p = NULL;
	struct ibb_error err = {0};

	memdir_add(&d, "x.inf", inf, 0);
	assert_ok(ibb_package_load(&src, "x.inf", &server_2019, &p, &err), err);
	return p;
}

static void device_ids(void **state)
{
	static const struct want_id want[] = {
		{"PCI\\VEN_1&DEV_1", {1, 0x80, 0, 0}}, {"PCI\\VEN_1", {2, 0x80, 0, 0}},
		{"PCI\\CC_1", {2, 0x80, 1, 0}},	       {"PCI\\VEN_2", {1, 0xff, 0, 0}},
		{"*PNP0F03", {1, 0x10, 0, 0}},
	};
	struct ibb_package *p = load_inf(INF_HEAD(
		"Net",
		GUID_NET) "D=A,PCI\\VEN_1&DEV_1,PCI\\VEN_1,PCI\\CC_1\r\n"
			  "D=B,PCI\\ven_2,PCI\\ven_1&dev_1,PCI\\cc_1\r\n" /* a hardware ID already
									   */
			  "D=B,*PNP0F03\r\n"
			  "D=C,*pnp0f03,PCI\\VEN_2\r\n" /* better score; but compatible */
			  "[A]\r\nFeatureScore=0x80\r\n[B]\r\nX=1\r\n[C]\r\nFeatureScore=0x10\r\n");
	struct want_id spelt[IBB_ARRAY_SIZE(want)];

	(void)state;
	memcpy(spelt, want, sizeof(want));
	spelt[3].id = "PCI\\ven_2";
	check_ids(p, spelt, IBB_ARRAY_SIZE(spelt));
	ibb_package_free(p);
}

static void extension_ids(void **state)
{
	static const struct want_id want[] = {
		{"PCI\\VEN_1&DEV_1", {3, 0xff, 0, 0}},
		{"PCI\\VEN_1", {2, 0xff, 0, 0}},
	};
	struct ibb_package *p = load_inf(INF_HEAD(
		"Extension", GUID_EXT) "D=A,PCI\\VEN_1&DEV_1,PCI\\VEN_1\r\n[A]\r\nX=1\r\n");

	(void)state;
	check_ids(p, want, IBB_ARRAY_SIZE(want));
	ibb_package_free(p);
}

/* The registry of a Windows that VMware Tools staged vmci into holds just these. */
static void vmci_ids(void **state)
{
	static const struct want_id want[] = {
		{"PCI\\VEN_15AD&DEV_0740&SUBSYS_074015AD", {1, 0xff, 0, 0}},
		{"PCI\\VEN_15AD&DEV_0740", {2, 0xff, 0, 0}},
		{"ROOT\\VMWVMCIHOSTDEV", {1, 0xff, 0, 0}},
	};
	struct ibb_package *p = pkgtest_real("vmci-9.8.18", "vmci.inf", &server_2019);

	(void)state;
	if (!p)
		skip();
	check_ids(p, want, IBB_ARRAY_SIZE(want));
	ibb_package_free(p);
}

/*
 * pvscsi as Windows 10 1903 recorded it, staged and not installed; the package at hand is a later
 * release, so version, date and provider ("VMware, Inc." then) are its own.
 */
static void pvscsi_record(void **state)
{
	struct ibb_package *p = pkgtest_real("pvscsi-1.3.28", "pvscsi.inf", &server_2022);
	struct ibb_store_fields f = ibb_store_fields_for(&server_2022);
	static const struct want_id want[] = {{"PCI\\VEN_15AD&DEV_07C0", {1, 0xff, 0, 0}}};
	uint8_t golden[IBB_VERSION_BLOB_SIZE], blob[IBB_VERSION_BLOB_SIZE];
	struct ibb_version_blob v = {.published = true, .arch = 9};
	uint64_t date;

	(void)state;
	if (!p)
		skip();
	v.class_guid = p->version.class_guid;
	v.date = p->version.date;
	memcpy(v.version, p->version.version, sizeof(v.version));
	ibb_version_blob_encode(&v, blob);
	unhex("00ff0900000000007be9364d25e3ce11bfc108002be1031800003b3ac548d501"
	      "00000f00030001000000000000000000",
	      golden, sizeof(golden));
	assert_memory_equal(blob, golden, 24);
	assert_memory_equal(blob + 40, golden + 40, 8);
	assert_true(ibb_filetime_from_date(2024, 6, 6, &date));
	assert_int_equal(p->version.date, date);
	assert_string_equal(p->version.version_text, "1.3.28.0");
	assert_string_equal(p->inf_name, "pvscsi.inf");
	assert_string_equal(p->catalog_name, "pvscsi.cat");
	assert_string_equal(p->signer.name, MS);
	assert_int_equal(ibb_store_signer_score(p), 0x0d000005);
	assert_int_equal(ibb_store_status_flags(p, &f), 0x112);
	check_ids(p, want, 1);
	ibb_package_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_vectors),   cmocka_unit_test(version_known),
		cmocka_unit_test(package_name_form), cmocka_unit_test(package_name),
		cmocka_unit_test(status_flags),	     cmocka_unit_test(fields_per_windows),
		cmocka_unit_test(signer_score),	     cmocka_unit_test(oem_map),
		cmocka_unit_test(oem_map_cleared),   cmocka_unit_test(oem_numbers),
		cmocka_unit_test(device_ids),	     cmocka_unit_test(extension_ids),
		cmocka_unit_test(vmci_ids),	     cmocka_unit_test(pvscsi_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
