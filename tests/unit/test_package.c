/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "driver/package.h"

#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/utf16.h"
#include "dirsource.h"
#include "driver/store.h"
#include "pkgtest.h"

#define IB_VF "PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00"

/*
 * Counted and read by hand out of the INFs; IDs are distinct ones (broadcom repeats four). Order
 * of files: INF, catalog, the others by name.
 */
static const struct {
	const char *dir, *inf;
	const struct ibb_inf_target *target;
	size_t n_ids;
	uint32_t flags;
	const char *files[6];
	const char *service;
	bool boot_start;
	const char *section;
} real[] = {
	{"mlx5-24.4.26429",
	 "mlx5.inf",
	 &server_2019,
	 4255,
	 0x116,
	 {"mlx5.inf", "mlx5.cat", "mlx5.sys", "mlx5ui.dll"},
	 "mlx5",
	 false,
	 "Mellanox.NTamd64.10.0...17763"},
	{"mlx5-24.4.26429",
	 "mlx5.inf",
	 &server_2022,
	 4255,
	 0x116,
	 {"mlx5.inf", "mlx5.cat", "mlx5.sys", "mlx5ui.dll"},
	 "mlx5",
	 false,
	 "Mellanox.NTamd64.10.0...20287"},
	{"mlx5-24.4.26429",
	 "mlx5.inf",
	 &client_22h2,
	 4255,
	 0x116,
	 {"mlx5.inf", "mlx5.cat", "mlx5.sys", "mlx5ui.dll"},
	 "mlx5",
	 false,
	 "Mellanox.NTamd64.10.0...18305"},
	{"pvscsi-1.3.28",
	 "pvscsi.inf",
	 &server_2022,
	 1,
	 0x112,
	 {"pvscsi.inf", "pvscsi.cat", "pvscsi.sys"},
	 "pvscsi",
	 true,
	 "pvscsi.NTamd64.10.0...20124"},
	{"vmci-9.8.18",
	 "vmci.inf",
	 &server_2019,
	 3,
	 0x12,
	 {"vmci.inf", "vmci.cat", "vmci.sys"},
	 "vmci",
	 true,
	 "VMware.NTamd64.6.2"},
	{"netkvm-100.94.104",
	 "netkvm.inf",
	 &server_2019,
	 4,
	 0x12,
	 {"netkvm.inf", "netkvm.cat", "netkvm.sys"},
	 "netkvm",
	 false,
	 "NetKVM.NTamd64.6.3"},
	{"netkvm-100.94.104",
	 "netkvm.inf",
	 &windows_81,
	 4,
	 0x12,
	 {"netkvm.inf", "netkvm.cat", "netkvm.sys"},
	 "netkvm",
	 false,
	 "NetKVM.NTamd64.6.3"},
	{"broadcom-5720",
	 "b57nd60a.inf",
	 &server_2022,
	 689,
	 0x12,
	 {"b57nd60a.inf", "b57nd60a.cat", "b57nd60a.sys"},
	 "b57nd60a",
	 false,
	 "Broadcom.NTamd64.6.1"},
	{"wintun-0.14",
	 "wintun.inf",
	 &server_2019,
	 1,
	 0x12,
	 {"wintun.inf", "wintun.cat", "wintun.sys"},
	 "wintun",
	 false,
	 "Wintun.NTamd64"},
	{"asix-win7-utf16",
	 "Ax88772.inf",
	 &server_2019,
	 5,
	 0x1a,
	 {"Ax88772.inf", "ax88772ex.cat", "ax88772.sys", "WdfCoInstaller01009.dll"},
	 "AX88772",
	 false,
	 "USB.NTamd64.6.1"},
	{"extension-surfacecoverclick",
	 "SurfaceCoverClick.inf",
	 &server_2019,
	 1,
	 0,
	 {"SurfaceCoverClick.inf", "SurfaceCoverClick.cat"},
	 NULL,
	 false,
	 "Microsoft.NTamd64"},
	{"softwarecomponent-iastorhsa",
	 "iaStorHsaComponent.inf",
	 &server_2022,
	 1,
	 0,
	 {"iaStorHsaComponent.inf", "iaStorHsaComponent.cat"},
	 NULL,
	 false,
	 "INTEL.ntamd64.10.0...19041"},
};

static void check_real(size_t i, struct ibb_package *p)
{
	struct ibb_store_fields f = ibb_store_fields_for(real[i].target);
	struct ibb_served_id *ids = NULL;
	struct ibb_error err = {0};
	size_t n = 0;

	print_message("%s for build %u\n", real[i].inf, real[i].target->build);
	assert_ok(ibb_package_served_ids(p, &ids, &n, &err), err);
	free(ids);
	assert_int_equal(n, real[i].n_ids);
	assert_int_equal(ibb_store_status_flags(p, &f), real[i].flags);
	assert_true(p->signed_ && p->signer.whql);
	for (n = 0; n < IBB_ARRAY_SIZE(real[i].files) && real[i].files[n]; n++) {
		assert_true(n < p->n_files);
		assert_string_equal(p->files[n].path, real[i].files[n]);
		assert_true(p->files[n].bytes.len > 0);
	}
	assert_int_equal(p->n_files, n);
	assert_int_equal(p->n_services, real[i].service ? 1 : 0);
	if (real[i].service)
		assert_string_equal(p->services[0], real[i].service);
	assert_int_equal(p->boot_start_service, real[i].boot_start);
	assert_int_equal(p->models.n_sections, 1);
	assert_string_equal(p->models.sections[0], real[i].section);
}

static void real_packages(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(real); i++) {
		struct ibb_package *p = pkgtest_real(real[i].dir, real[i].inf, real[i].target);

		if (!p)
			skip();
		check_real(i, p);
		ibb_package_free(p);
	}
}

static void real_refused(void **state)
{
	static const struct {
		const char *dir, *inf;
		const struct ibb_inf_target *target;
		int code;
		const char *text;
	} t[] = {
		/* made for build 20124 and later */
		{"pvscsi-1.3.28", "pvscsi.inf", &server_2019, IBB_E_UNSUPPORTED, "pvscsi.inf"},
		{"mlx5-24.4.26429", "mlx5.inf", &windows_81, IBB_E_UNSUPPORTED, "mlx5.inf"},
		{"mlx5-24.4.26429", "mlx4.inf", &server_2019, IBB_E_NOTFOUND, "mlx4.inf"},
		{"mlx5-24.4.26429", "mlx5.sys", &server_2019, IBB_E_INVALID, "no INF file name"},
		{"mlx5-24.4.26429", "../x.inf", &server_2019, IBB_E_INVALID, "no INF file name"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_package *p = NULL;
		struct ibb_package_source src;
		struct ibb_error err = {0};
		char rel[256];
		const char *path;

		snprintf(rel, sizeof(rel), "drivers/%s", t[i].dir);
		path = test_data(rel);
		if (!path)
			skip();
		src = dirsource(path);
		assert_fails(ibb_package_load(&src, t[i].inf, t[i].target, &p, &err), t[i].code,
			     err, t[i].text);
		assert_null(p);
	}
}

/* VBoxGuest.inf names VBoxGuest.cat (Oracle's); vboxguest.cat beside it is Microsoft's. */
static void two_catalogs(void **state)
{
	struct ibb_package *p =
		pkgtest_real("vboxguest-attested-and-cross-signed", "VBoxGuest.inf", &server_2019);

	(void)state;
	if (!p)
		skip();
	assert_string_equal(p->catalog_name, "VBoxGuest.cat");
	assert_string_equal(p->signer.name, "Oracle Corporation");
	assert_int_equal(ibb_store_signer_score(p), 0x0f000000);
	ibb_package_free(p);
}

/* ---- INFs made for the case ---- */

#define HEAD                                                                 \
	"[Version]\r\nSignature=\"$Windows NT$\"\r\nClass=Net\r\n"           \
	"ClassGuid={4d36e972-e325-11ce-bfc1-08002be10318}\r\nProvider=X\r\n" \
	"DriverVer=01/02/2024,1.2.3.4\r\n"
#define MODELS                                                                      \
	"[Manufacturer]\r\nX=M,NTamd64\r\n[M.NTamd64]\r\nD=I," IB_VF "\r\n"         \
	"[I]\r\nCopyFiles=F\r\n[DestinationDirs]\r\nF=13\r\n[SourceDisksNames]\r\n" \
	"1=Disk\r\n"

static int load_mem(struct memdir *d, struct ibb_package **p, struct ibb_error *err)
{
	struct ibb_package_source src = memsource(d);

	return ibb_package_load(&src, "x.inf", &server_2019, p, err);
}

static void missing_files(void **state)
{
	static const char plain[] = HEAD MODELS "[F]\r\na.sys\r\n[SourceDisksFiles]\r\na.sys=1\r\n";
	static const char cat[] = HEAD "CatalogFile=x.cat\r\n" MODELS
				       "[F]\r\na.sys\r\n[SourceDisksFiles]\r\na.sys=1\r\n";
	static const char cab[] =
		HEAD MODELS "2=Disk,data.cab\r\n[F]\r\na.sys\r\n[SourceDisksFiles]\r\na.sys=2\r\n";
	struct memdir d = {.n = 0};
	struct ibb_package *p = NULL;
	struct ibb_error err = {0};

	(void)state;
	memdir_add(&d, "x.inf", plain, 0);
	assert_fails(load_mem(&d, &p, &err), IBB_E_NOTFOUND, err,
		     "x.inf:20 asks for a.sys, which DIR lacks");
	memdir_add(&d, "A.SY_", "SZDD", 0);
	assert_fails(load_mem(&d, &p, &err), IBB_E_UNSUPPORTED, err,
		     "x.inf:20 asks for a.sys, which DIR has only compressed, as a.sy_");
	assert_non_null(strstr(err.hint, "expand it there first: msexpand"));

	d.n = 0;
	memdir_add(&d, "x.inf", cat, 0);
	memdir_add(&d, "a.sys", "MZ", 0);
	assert_fails(load_mem(&d, &p, &err), IBB_E_NOTFOUND, err,
		     "x.inf:7 names the catalog x.cat, which DIR lacks");
	memdir_add(&d, "x.cat", "garbage", 0);
	assert_fails(load_mem(&d, &p, &err), IBB_E_CORRUPT, err,
		     "DIR: x.cat: not a security catalog");

	d.n = 0;
	memdir_add(&d, "x.inf", cab, 0);
	assert_fails(load_mem(&d, &p, &err), IBB_E_NOTFOUND, err,
		     "x.inf:21 asks for a.sys, but DIR has neither it nor the cabinet data.cab");
	memdir_add(&d, "data.cab", "MSCF", 0);
	assert_fails(load_mem(&d, &p, &err), IBB_E_CORRUPT, err, "DIR: data.cab: damaged cabinet");
	memdir_add(&d, "A.sys", "MZ", 0); /* expanded: fine */
	assert_ok(load_mem(&d, &p, &err), err);
	assert_string_equal(p->files[1].path, "a.sys");
	ibb_package_free(p);
}

/* Files below directories, asked for twice, in several spellings; sorted, each once. */
static void file_list(void **state)
{
	static const char inf[] = HEAD MODELS "2=Disk,,,amd64\r\n[F]\r\nb.sys\r\nB.SYS\r\nx.inf\r\n"
					      "[SourceDisksFiles]\r\nz.dll=2,sub\r\nb.sys=1\r\n"
					      "A.dll=1\r\nx.inf=1\r\n";
	struct memdir d = {.n = 0};
	struct ibb_package *p = NULL, *q = NULL;
	struct ibb_error err = {0};

	(void)state;
	memdir_add(&d, "X.inf", inf, 0);
	memdir_add(&d, "amd64/Sub/z.dll", "z", 0);
	memdir_add(&d, "b.sys", "b", 0);
	memdir_add(&d, "a.dll", "a", 0);
	assert_ok(load_mem(&d, &p, &err), err);
	assert_string_equal(p->inf_name, "X.inf");
	assert_int_equal(p->n_files, 4);
	assert_string_equal(p->files[0].path, "X.inf");
	assert_string_equal(p->files[1].path, "A.dll");
	assert_string_equal(p->files[2].path, "amd64/sub/z.dll");
	assert_string_equal(p->files[3].path, "b.sys");
	assert_memory_equal(p->files[3].bytes.data, "b", 1);
	assert_false(p->signed_);
	assert_null(p->catalog_name);
	assert_int_equal(ibb_store_signer_score(p), 0x80000000);
	assert_false(p->outside_store);

	/* The identity is that of names and contents, whatever the case of the names. */
	d.files[0].path = "x.INF";
	assert_ok(load_mem(&d, &q, &err), err);
	assert_memory_equal(&p->digest, &q->digest, sizeof(p->digest));
	ibb_package_free(q);
	d.files[2].data = "c";
	assert_ok(load_mem(&d, &q, &err), err);
	assert_memory_not_equal(&p->digest, &q->digest, sizeof(p->digest));
	ibb_package_free(q);
	ibb_package_free(p);
}

static void names_that_leave(void **state)
{
	static const struct {
		const char *name, *why;
	} bad[] = {
		{"..\\evil.sys", "the name holds one of"},
		{"..", "'.' and '..' are not names"},
		{"c:evil.sys", "the name holds one of"},
		{"\\Windows\\evil.sys", "the name holds one of"},
		{"con.sys", "the name is a DOS device name"},
		{"LPT1", "the name is a DOS device name"},
		{"a\\..\\b.sys", "the name holds one of"},
		{"a.sys:evil", "the name holds one of"},
		{"evil.sys.", "the name ends in a dot or a space"},
	};
	char inf[2048];

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		struct memdir d = {.n = 0};
		struct ibb_package *p = NULL;
		struct ibb_error err = {0};
		char want[300];

		snprintf(inf, sizeof(inf),
			 HEAD MODELS "[F]\r\na.sys\r\n[SourceDisksFiles]\r\n%s=1\r\na.sys=1\r\n",
			 bad[i].name);
		memdir_add(&d, "x.inf", inf, 0);
		memdir_add(&d, "a.sys", "x", 0);
		snprintf(want, sizeof(want), "DIR: x.inf:20: file '%s': %s", bad[i].name,
			 bad[i].why);
		assert_fails(load_mem(&d, &p, &err), IBB_E_CORRUPT, err, want);
		snprintf(inf, sizeof(inf),
			 HEAD "CatalogFile=\"%s\"\r\n" MODELS
			      "[F]\r\na.sys\r\n[SourceDisksFiles]\r\na.sys=1\r\n",
			 bad[i].name);
		d.n = 0;
		memdir_add(&d, "x.inf", inf, 0);
		memdir_add(&d, "a.sys", "x", 0);
		snprintf(want, sizeof(want), "DIR: x.inf:7: CatalogFile '%s': %s", bad[i].name,
			 bad[i].why);
		assert_fails(load_mem(&d, &p, &err), IBB_E_CORRUPT, err, want);
		assert_null(p);
	}
}

/* A host directory with names that differ only in case: exact first, never a guess. */
static void ambiguous_names(void **state)
{
	static const char *const names[] = {"Data.bin", "data.BIN"};
	char *dir = pkgtest_dir();
	struct ibb_package_source src = dirsource(dir);
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	char *spelling = NULL;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *path = NULL;
		int fd;

		assert_true(asprintf(&path, "%s/%s", dir, names[i]) > 0);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, names[i], 1), 1);
		close(fd);
		free(path);
	}
	assert_ok(src.read(src.ctx, "data.BIN", 10, &b, &spelling, &err), err);
	assert_int_equal(b.data[0], 'd');
	assert_string_equal(spelling, "data.BIN");
	free(spelling);
	ibb_buf_clear(&b);
	assert_fails(src.read(src.ctx, "DATA.BIN", 10, &b, &spelling, &err), IBB_E_CONFLICT, err,
		     "DATA.BIN could be Data.bin or data.BIN");
	assert_fails(src.read(src.ctx, "other", 10, &b, &spelling, &err), IBB_E_NOTFOUND, err,
		     "not there");
	pkgtest_rmdir(dir);
}

/* A source that has every file, one byte long, beside the INF of its context. */
static int endless_read(void *ctx, const char *path, uint64_t limit, struct ibb_buf *ret,
			char **ret_spelling, struct ibb_error *err)
{
	const struct ibb_buf *inf = ctx;
	int rc;

	(void)limit;
	if (ibb_case_suffix(path, ".inf"))
		rc = ibb_buf_append(ret, inf->data, inf->len);
	else
		rc = ibb_buf_append(ret, "x", 1);
	*ret_spelling = ibb_strdup(path);
	return rc ? ibb_err_nomem(err) : IBB_OK;
}

static void too_many_files(void **state)
{
	struct ibb_buf inf = {0};
	struct ibb_package_source src = {.read = endless_read, .ctx = &inf, .dir = "DIR"};
	struct ibb_package *p = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_int_equal(ibb_buf_append_str(&inf, HEAD MODELS "[F]\r\n[SourceDisksFiles]\r\n"), 0);
	for (unsigned i = 0; i < IBB_LIMIT_PACKAGE_FILES; i++)
		assert_int_equal(ibb_buf_printf(&inf, "f%u.bin=1\r\n", i), 0);
	assert_fails(ibb_package_load(&src, "x.inf", &server_2019, &p, &err), IBB_E_LIMIT, err,
		     "4096 files");
	ibb_buf_clear(&inf);
}

/* ---- generated packages ---- */

static void generated(void **state)
{
	static const struct mkpkg_opts variants[] = {
		{.inf_name = NULL},
		{.utf16 = true},
		{.class = MKPKG_SYSTEM, .service = "other"},
		{.inf_name = "Other.inf", .no_catalog = true},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(variants); i++) {
		struct ibb_package *p = pkgtest_make(&variants[i], &server_2022);
		struct ibb_package *q = pkgtest_make(&variants[i], &server_2022);
		struct ibb_store_fields f = ibb_store_fields_for(&server_2022);
		struct ibb_error err = {0};
		struct ibb_match m;

		assert_memory_equal(&p->digest, &q->digest, sizeof(p->digest));
		assert_int_equal(p->n_files, variants[i].no_catalog ? 2 : 3);
		assert_int_equal(p->signed_, !variants[i].no_catalog);
		assert_string_equal(p->version.provider, MKPKG_PROVIDER);
		assert_string_equal(p->models.sections[0], "Demo.NTamd64.10.0...17763");
		assert_int_equal(ibb_store_status_flags(p, &f), 0x112);
		assert_ok(ibb_package_match(p, IB_VF, &m, &err), err);
		assert_string_equal(m.model->install_section, "Demo.Vf");
		ibb_package_free(p);
		ibb_package_free(q);
	}
}

static void generated_omits(void **state)
{
	struct mkpkg_opts o = {.key_dir = PKGTEST_KEYS, .omit = "ibbdemo.sys"};
	char *dir = pkgtest_dir();
	struct ibb_package_source src = dirsource(dir);
	struct ibb_package *p = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(mkpkg_write(dir, &o, &err), err);
	assert_fails(ibb_package_load(&src, "ibbdemo.inf", &server_2022, &p, &err), IBB_E_NOTFOUND,
		     err, "asks for ibbdemo.sys, which ");
	assert_non_null(strstr(err.msg, dir));
	pkgtest_rmdir(dir);
}

/* Each allocation fails in turn: always NOMEM, never a leak or a half-made package. */
static void allocation_failures(void **state)
{
	struct mkpkg_opts o = {.key_dir = PKGTEST_KEYS};
	char *dir = pkgtest_dir();
	struct ibb_package_source src = dirsource(dir);
	static const char *const ids[] = {IB_VF};
	struct ibb_error err = {0};
	long failed = 0;

	(void)state;
	assert_ok(mkpkg_write(dir, &o, &err), err);
	for (long n = 0;; n++) {
		struct ibb_package *p = NULL;
		struct ibb_device_id *recs = NULL;
		const char *why = NULL;
		char *name = NULL;
		size_t k = 0;
		int rc, r = 0;

		ibb_mem_fail_at(n, false);
		rc = ibb_package_load(&src, "ibbdemo.inf", &server_2022, &p, &err);
		if (!rc)
			rc = ibb_package_rank(p, p, ids, 1, &r, &why, &err);
		if (!rc)
			rc = ibb_store_device_ids(p, &recs, &k, &err);
		if (!rc)
			rc = ibb_store_package_name(p, &name, &err);
		ibb_mem_fail_at(-1, false);
		ibb_package_free(p);
		free(recs);
		free(name);
		if (!rc)
			break;
		assert_int_equal(rc, IBB_E_NOMEM);
		assert_int_equal(err.code, IBB_E_NOMEM);
		failed++;
	}
	assert_true(failed > 50);
	print_message("%ld allocations failed in turn\n", failed);
	pkgtest_rmdir(dir);
}

/* A package whose INF is damaged at random loads or is refused with a message; nothing else. */
static void flipped_inf(void **state)
{
	struct mkpkg_opts o = {.no_catalog = true};
	struct ibb_buf inf = {0}, bad = {0};
	struct ibb_error err = {0};
	uint32_t seed = 20261120;
	unsigned loaded = 0;

	(void)state;
	assert_ok(mkpkg_inf(&o, &inf, &err), err);
	assert_int_equal(ibb_buf_append(&bad, inf.data, inf.len), 0);
	for (unsigned i = 0; i < 1500; i++) {
		struct memdir d = {.n = 0};
		struct ibb_package *p = NULL;
		struct ibb_device_id *ids = NULL;
		size_t n = 0;
		int rc;

		memcpy(bad.data, inf.data, inf.len);
		for (unsigned k = 0; k <= i % 3; k++) {
			seed = seed * 1664525u + 1013904223u;
			bad.data[(seed >> 8) % bad.len] ^= (uint8_t)(1u << (seed >> 5) % 8);
		}
		memdir_add(&d, "x.inf", bad.data, bad.len);
		memdir_add(&d, "ibbdemo.sys", "MZ", 0);
		err.msg[0] = '\0';
		rc = load_mem(&d, &p, &err);
		if (!rc)
			rc = ibb_store_device_ids(p, &ids, &n, &err);
		loaded += rc == IBB_OK;
		if (rc && (rc == IBB_E_INTERNAL || rc == IBB_E_NOMEM || !err.msg[0]))
			fail_msg("round %u: %d %s", i, rc, err.msg);
		free(ids);
		ibb_package_free(p);
	}
	print_message("%u of 1500 loaded\n", loaded);
	assert_true(loaded > 100 && loaded < 1500);
	ibb_buf_clear(&inf);
	ibb_buf_clear(&bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_packages),   cmocka_unit_test(real_refused),
		cmocka_unit_test(two_catalogs),	   cmocka_unit_test(missing_files),
		cmocka_unit_test(file_list),	   cmocka_unit_test(names_that_leave),
		cmocka_unit_test(ambiguous_names), cmocka_unit_test(generated),
		cmocka_unit_test(generated_omits), cmocka_unit_test(allocation_failures),
		cmocka_unit_test(too_many_files),  cmocka_unit_test(flipped_inf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
