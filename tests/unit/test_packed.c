/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packages that are not simply files beside an INF: cabinets, a.sy_, companions, architectures. */
#include "driver/package.h"

#include "test.h"

#include "base/le.h"
#include "driver/store.h"
#include "mkcab.h"
#include "pkgtest.h"

#define HEAD(class, guid)                                                                         \
	"[Version]\r\nSignature=\"$Windows NT$\"\r\nClass=" class "\r\n"                          \
								  "ClassGuid={" guid              \
								  "}\r\nProvider=X\r\nDriverVer=" \
								  "01/02/2024,1.2.3\r"            \
								  "\n"
#define NET	  HEAD("Net", "4d36e972-e325-11ce-bfc1-08002be10318")
#define EXTENSION HEAD("Extension", "e2f84ce7-8efa-411c-aa69-97454ca4cb57")
#define COMPONENT HEAD("SoftwareComponent", "5c4c3332-344d-483c-8739-259e934c9cc8")
#define MODELS                                                             \
	"[Manufacturer]\r\nX=M,NTamd64\r\n[M.NTamd64]\r\nD=I,PCI\\X1\r\n"  \
	"[I]\r\nCopyFiles=F\r\n[F]\r\na.sys\r\nb.dll\r\n[DestinationDirs]" \
	"\r\nF=13\r\n"

static const struct ibb_inf_target arm64_11 = {IBB_ARCH_ARM64, 10, 0, 22631, 1, 0};
static const struct ibb_inf_target x86_10 = {IBB_ARCH_X86, 10, 0, 19045, 1, 0};

static int load_for(struct memdir *d, const struct ibb_inf_target *t, struct ibb_package **p,
		    struct ibb_error *err)
{
	struct ibb_package_source src = memsource(d);

	return ibb_package_load(&src, "x.inf", t, p, err);
}

static int load(struct memdir *d, struct ibb_package **p, struct ibb_error *err)
{
	return load_for(d, &server_2022, p, err);
}

/* "path=content" of every file but the INF. */
static void assert_files(struct ibb_package *p, const char *want)
{
	struct ibb_buf b = {0};

	for (size_t i = 1; i < p->n_files; i++)
		assert_int_equal(ibb_buf_printf(&b, "%s%s=%.*s", i > 1 ? "|" : "", p->files[i].path,
						(int)p->files[i].bytes.len,
						(const char *)p->files[i].bytes.data),
				 0);
	assert_string_equal(b.len ? ibb_buf_cstr(&b) : "", want);
	ibb_buf_clear(&b);
}

static void assert_loads(struct memdir *d, const char *want)
{
	struct ibb_package *p = NULL;
	struct ibb_error err = {0};

	assert_ok(load(d, &p, &err), err);
	assert_files(p, want);
	ibb_package_free(p);
}

static void assert_refused(struct memdir *d, int code, const char *msg)
{
	struct ibb_package *p = NULL;
	struct ibb_error err = {0};

	assert_fails(load(d, &p, &err), code, err, msg);
	assert_null(p);
}

/* ---- cabinets ---- */

static const struct mkcab_file flat[] = {
	{"A.SYS", "MZ a", 0}, {"unused.txt", "-", 0}, {"b.dll", "MZ b", 0}};

static void cabinet_beside_the_inf(void **state)
{
	static const char inf[] = NET MODELS "[SourceDisksNames]\r\n1=Disk,Data.cab\r\n"
					     "[SourceDisksFiles]\r\na.sys=1\r\nb.dll=1\r\n";
	static const enum mkcab_method methods[] = {MKCAB_STORED, MKCAB_MSZIP, MKCAB_LZX};
	struct ibb_package *packed = NULL, *loose = NULL;
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(methods); i++) {
		struct ibb_buf cab = mkcab(flat, 3, methods[i]);
		struct memdir d = {.n = 0};

		memdir_add(&d, "x.inf", inf, 0);
		memdir_add(&d, "data.CAB", cab.data, cab.len);
		assert_ok(load(&d, &packed, &err), err);
		assert_files(packed, "a.sys=MZ a|b.dll=MZ b");
		/* the same package expanded has the same identity and the same name in Windows */
		d.files[1] = (struct memfile){"a.sys", "MZ a", 4};
		memdir_add(&d, "b.dll", "MZ b", 0);
		assert_ok(load(&d, &loose, &err), err);
		assert_memory_equal(&packed->digest, &loose->digest, sizeof(loose->digest));
		ibb_package_free(IBB_TAKE(packed));
		ibb_package_free(IBB_TAKE(loose));
		ibb_buf_clear(&cab);
	}
}

/* "If Windows cannot find installation files by name" it looks into the cabinet, not before. */
static void loose_file_first(void **state)
{
	static const char inf[] = NET MODELS "[SourceDisksNames]\r\n1=Disk,data.cab\r\n"
					     "[SourceDisksFiles]\r\na.sys=1\r\nb.dll=1\r\n";
	struct ibb_buf cab = mkcab(flat, 3, MKCAB_MSZIP);
	struct memdir d = {.n = 0};

	(void)state;
	memdir_add(&d, "x.inf", inf, 0);
	memdir_add(&d, "data.cab", cab.data, cab.len);
	memdir_add(&d, "a.sys", "loose", 0);
	assert_loads(&d, "a.sys=loose|b.dll=MZ b");
	ibb_buf_clear(&cab);
}

/* Flag 0x10: the cabinet, whatever its name; the last field is then the tag file. */
static void cabinet_by_flag(void **state)
{
	static const char inf[] = NET MODELS "[SourceDisksNames]\r\n1=Disk,data.bin,,,0x10,x.tag\r"
					     "\n[SourceDisksFiles]\r\na.sys=1\r\nb.dll=1\r\n";
	struct ibb_buf cab = mkcab(flat, 3, MKCAB_MSZIP);
	struct memdir d = {.n = 0};

	(void)state;
	memdir_add(&d, "x.inf", inf, 0);
	memdir_add(&d, "a.sys", "loose", 0);
	assert_refused(&d, IBB_E_NOTFOUND,
		       "x.inf:22 asks for b.dll, but DIR has neither it nor the cabinet data.bin");
	memdir_add(&d, "b.dll", "loose b", 0);
	assert_loads(&d, "a.sys=loose|b.dll=loose b"); /* somebody expanded it */
	memdir_add(&d, "data.bin", cab.data, cab.len);
	assert_loads(&d, "a.sys=MZ a|b.dll=MZ b");
	ibb_buf_clear(&cab);
}

/* A tag file is no cabinet. */
static void tag_file(void **state)
{
	static const char inf[] = NET MODELS "[SourceDisksNames]\r\n1=Disk,x.tag\r\n"
					     "[SourceDisksFiles]\r\na.sys=1\r\nb.dll=1\r\n";
	struct ibb_buf cab = mkcab(flat, 3, MKCAB_STORED);
	struct memdir d = {.n = 0};

	(void)state;
	memdir_add(&d, "x.inf", inf, 0);
	memdir_add(&d, "x.tag", cab.data, cab.len);
	assert_refused(&d, IBB_E_NOTFOUND, "x.inf:21 asks for a.sys, which DIR lacks");
	ibb_buf_clear(&cab);
}

/* The cabinet lies in the disk's path or beside the INF; its members below directories or not. */
static void cabinet_directories(void **state)
{
	static const char inf[] =
		NET MODELS "[SourceDisksNames.amd64]\r\n1=Disk,data.cab,,\\amd64\r"
			   "\n[SourceDisksFiles]\r\na.sys=1,sub\r\nb.dll=1\r\n";
	static const struct mkcab_file deep[] = {
		{"other\\a.sys", "wrong", 0}, {"sub\\a.sys", "right", 0}, {"b.dll", "MZ b", 0}};
	static const struct mkcab_file twice[] = {
		{"one\\a.sys", "1", 0}, {"two\\A.sys", "2", 0}, {"b.dll", "3", 0}};
	struct ibb_buf cab = mkcab(deep, 3, MKCAB_LZX), bad = mkcab(twice, 3, MKCAB_STORED);
	struct ibb_buf top = mkcab(flat, 3, MKCAB_STORED);
	struct memdir d = {.n = 0};

	(void)state;
	memdir_add(&d, "x.inf", inf, 0);
	memdir_add(&d, "Data.cab", top.data, top.len);
	assert_loads(&d, "amd64/b.dll=MZ b|amd64/sub/a.sys=MZ a");
	memdir_add(&d, "AMD64/data.cab", cab.data, cab.len);
	assert_loads(&d, "amd64/b.dll=MZ b|amd64/sub/a.sys=right");
	d.files[2] = (struct memfile){"amd64/data.cab", bad.data, bad.len};
	assert_refused(&d, IBB_E_CORRUPT, "DIR: amd64/data.cab: two members fit amd64/sub/a.sys");
	ibb_buf_clear(&cab);
	ibb_buf_clear(&bad);
	ibb_buf_clear(&top);
}

static void bad_cabinets(void **state)
{
	static const char inf[] = NET MODELS "[SourceDisksNames]\r\n1=Disk,data.cab\r\n"
					     "[SourceDisksFiles]\r\na.sys=1\r\nb.dll=1\r\n";
	static const char leaves[] = NET MODELS "[SourceDisksNames]\r\n1=Disk,..\\data.cab\r\n"
						"[SourceDisksFiles]\r\na.sys=1\r\nb.dll=1\r\n";
	struct ibb_buf cab = mkcab(flat, 2, MKCAB_MSZIP), quantum = mkcab(flat, 3, MKCAB_QUANTUM);
	struct ibb_error err = {0};
	struct ibb_package *p = NULL;
	struct memdir d = {.n = 0};

	(void)state;
	memdir_add(&d, "x.inf", inf, 0);
	memdir_add(&d, "data.cab", cab.data, cab.len);
	assert_refused(&d, IBB_E_NOTFOUND,
		       "x.inf:22 asks for b.dll, which neither DIR nor its cabinet data.cab holds");
	d.files[1] = (struct memfile){"data.cab", quantum.data, quantum.len};
	assert_fails(load(&d, &p, &err), IBB_E_UNSUPPORTED, err, "DIR: data.cab: A.SYS: ");
	assert_string_equal(err.hint, "expand the cabinet in DIR first: cabextract data.cab");
	d.files[1] = (struct memfile){"data.cab", "PK\3\4", 4};
	assert_refused(&d, IBB_E_CORRUPT, "DIR: data.cab: not a cabinet");
	d.files[1] = (struct memfile){"data.cab", cab.data, cab.len - 3};
	assert_refused(&d, IBB_E_CORRUPT, "DIR: data.cab: ");
	d.files[0] = (struct memfile){"x.inf", leaves, sizeof(leaves) - 1};
	assert_refused(&d, IBB_E_CORRUPT, "DIR/x.inf:21: ");
	ibb_buf_clear(&cab);
	ibb_buf_clear(&quantum);
}

/* ---- a.sy_ ---- */

static void compressed_files(void **state)
{
	static const char inf[] =
		NET "[Manufacturer]\r\nX=M,NTamd64\r\n[M.NTamd64]\r\nD=I,PCI\\X1\r\n[I]\r\n"
		    "[SourceDisksNames]\r\n1=Disk\r\n[SourceDisksFiles]\r\na.sys=1\r\nb.gz=1,s\r\n"
		    "plain=1\r\n";
	static const struct mkcab_file one[] = {{"a.sys", "MZ a", 0}};
	struct ibb_buf cab = mkcab(one, 1, MKCAB_MSZIP), two = mkcab(flat, 2, MKCAB_MSZIP);
	struct memdir d = {.n = 0};

	(void)state;
	memdir_add(&d, "x.inf", inf, 0);
	memdir_add(&d, "A.SY_", cab.data, cab.len);
	memdir_add(&d, "s/b.gz_", cab.data, cab.len);
	assert_refused(&d, IBB_E_NOTFOUND, "x.inf:17 asks for plain, which DIR lacks");
	memdir_add(&d, "plain._", cab.data, cab.len);
	assert_loads(&d, "a.sys=MZ a|plain=MZ a|s/b.gz=MZ a");
	memdir_add(&d, "a.sys", "not packed", 0);
	assert_loads(&d, "a.sys=not packed|plain=MZ a|s/b.gz=MZ a");
	d.n--;
	d.files[1] = (struct memfile){"a.sy_", two.data, two.len};
	assert_refused(&d, IBB_E_CORRUPT, "DIR: a.sy_: a compressed file holds one file, not 2");
	d.files[1] = (struct memfile){"a.sy_", "SZDD\x88\xf0\x27\x33", 8};
	assert_refused(&d, IBB_E_UNSUPPORTED,
		       "x.inf:15 asks for a.sys, which DIR has only compressed, as a.sy_");
	ibb_buf_clear(&cab);
	ibb_buf_clear(&two);
}

/* ---- CopyINF ---- */

#define COPYING(names)                                                   \
	NET "[Manufacturer]\r\nX=M,NTamd64\r\n[M.NTamd64]\r\nD=I,PCI\\X" \
	    "\r\n[I]\r\n" names

static int companions_of(struct memdir *d, struct ibb_buf *names, struct ibb_error *err)
{
	struct ibb_package_source src = memsource(d);
	struct ibb_package **list = NULL;
	struct ibb_package *p = NULL;
	size_t n = 0;
	int rc = ibb_package_load(&src, "x.inf", &server_2022, &p, err);

	if (!rc)
		rc = ibb_package_load_companions(&src, p, &list, &n, err);
	for (size_t i = 0; i < n; i++) {
		if (ibb_buf_printf(names, "%s%s", i ? " " : "", list[i]->inf_name))
			abort();
		ibb_package_free(list[i]);
	}
	free(list);
	ibb_package_free(p);
	return rc;
}

static bool accept_none(void *ctx, const struct ibb_inf_models *models)
{
	(void)ctx;
	(void)models;
	return false;
}

static void companions(void **state)
{
	struct memdir d = {.n = 0};
	struct ibb_package_source src = memsource(&d);
	struct ibb_package **list = NULL;
	struct ibb_package *p = NULL;
	struct ibb_error err = {0};
	struct ibb_buf names = {0};
	size_t n = 7;

	(void)state;
	memdir_add(&d, "x.inf", COPYING("CopyINF=b.inf,C.INF\r\n"), 0);
	memdir_add(&d, "B.inf", COPYING("CopyINF=d.inf,x.inf\r\n"), 0); /* a circle */
	memdir_add(&d, "c.inf", COPYING("CopyINF=b.inf\r\n"), 0);
	memdir_add(&d, "d.inf", COPYING(""), 0);
	assert_ok(companions_of(&d, &names, &err), err);
	assert_string_equal(ibb_buf_cstr(&names), "B.inf c.inf d.inf");
	ibb_buf_clear(&names);

	assert_ok(ibb_package_load(&src, "x.inf", &server_2022, &p, &err), err);
	assert_int_equal(p->n_companions, 2);
	assert_string_equal(p->companions[0], "b.inf");
	assert_string_equal(p->companions[1], "C.INF");
	/* they need not serve the device that x.inf was chosen for */
	src.accept = accept_none;
	assert_ok(ibb_package_load_companions(&src, p, &list, &n, &err), err);
	assert_int_equal(n, 3);
	while (n)
		ibb_package_free(list[--n]);
	free(list);
	ibb_package_free(IBB_TAKE(p));

	assert_ok(ibb_package_load(
			  &(struct ibb_package_source){.read = src.read, .ctx = &d, .dir = "DIR"},
			  "d.inf", &server_2022, &p, &err),
		  err);
	n = 7;
	assert_ok(ibb_package_load_companions(&src, p, &list, &n, &err), err);
	assert_int_equal(n, 0);
	assert_null(list);
	ibb_package_free(p);
}

static void bad_companions(void **state)
{
	struct memdir d = {.n = 0};
	struct ibb_error err = {0};
	struct ibb_buf names = {0};

	(void)state;
	memdir_add(&d, "x.inf", COPYING("CopyINF=b.inf\r\n"), 0);
	assert_fails(companions_of(&d, &names, &err), IBB_E_NOTFOUND, err,
		     "x.inf names b.inf by CopyINF: b.inf: not there");
	memdir_add(&d, "b.inf", COPYING("CopyFiles=@gone.sys\r\n"), 0);
	assert_fails(companions_of(&d, &names, &err), IBB_E_NOTFOUND, err,
		     "x.inf names b.inf by CopyINF: b.inf:12 asks for gone.sys, which DIR lacks");
	d.files[1] = (struct memfile){
		"b.inf", NET "[Manufacturer]\r\nX=M,NTx86\r\n[M.NTx86]\r\nD=I,X\r\n[I]\r\n", 0};
	d.files[1].len = strlen(d.files[1].data);
	assert_fails(companions_of(&d, &names, &err), IBB_E_UNSUPPORTED, err,
		     "x.inf names b.inf by CopyINF: DIR: b.inf:");
	d.n = 0;
	memdir_add(&d, "x.inf", COPYING("CopyINF=sub\\b.inf\r\n"), 0);
	assert_fails(companions_of(&d, &names, &err), IBB_E_CORRUPT, err,
		     "DIR: x.inf:11: CopyINF 'sub\\b.inf'");
	d.n = 0;
	memdir_add(&d, "x.inf", COPYING("CopyINF=b.txt\r\n"), 0);
	assert_fails(companions_of(&d, &names, &err), IBB_E_INVALID, err,
		     "x.inf names b.txt by CopyINF: 'b.txt' is no INF file name");
	assert_int_equal(names.len, 0);
}

/* ---- architectures, classes ---- */

/* One INF for three architectures: only the files and the catalog of the target are asked for. */
static void several_architectures(void **state)
{
	static const char inf[] = NET
		"CatalogFile.NTx86=x86.cat\r\nCatalogFile.NTamd64=amd64.cat\r\n"
		"CatalogFile.NTarm64=arm64.cat\r\n"
		"[Manufacturer]\r\nX=M,NTx86,NTamd64.10.0,NTarm64.10.0...17134\r\n"
		"[M.NTx86]\r\nD=I,PCI\\X86\r\n[M.NTamd64.10.0]\r\nD=I,PCI\\AMD64\r\n"
		"[M.NTarm64.10.0...17134]\r\nD=I,PCI\\ARM64\r\n"
		"[I.NTx86]\r\nCopyFiles=@a.sys\r\n[I.NTamd64]\r\nCopyFiles=@a.sys,@b.sys\r\n"
		"[I.NT]\r\nCopyFiles=@a.sys\r\n[DestinationDirs]\r\nDefaultDestDir=12\r\n"
		"[SourceDisksNames]\r\n1=D\r\n[SourceDisksNames.amd64]\r\n1=D,,,\\x64\r\n"
		"[SourceDisksFiles.x86]\r\na.sys=1,i386\r\n[SourceDisksFiles.amd64]\r\na.sys=1\r\n"
		"b.sys=1,extra\r\n[SourceDisksFiles.arm64]\r\na.sys=1,arm64\r\n";
	static const struct {
		const struct ibb_inf_target *t;
		const char *catalog, *id, *file, *second;
	} rows[] = {
		{&x86_10, "x86.cat", "PCI\\X86", "i386/a.sys", NULL},
		{&server_2022, "amd64.cat", "PCI\\AMD64", "x64/a.sys", "x64/extra/b.sys"},
		{&arm64_11, "arm64.cat", "PCI\\ARM64", "arm64/a.sys", NULL},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		struct ibb_package *p = NULL;
		struct ibb_error err = {0};
		struct memdir d = {.n = 0};
		char want[64];

		memdir_add(&d, "x.inf", inf, 0);
		/* the catalog that is asked for is the architecture's own */
		snprintf(want, sizeof(want), "names the catalog %s", rows[i].catalog);
		assert_fails(load_for(&d, rows[i].t, &p, &err), IBB_E_NOTFOUND, err, want);
		memdir_add(&d, rows[i].catalog, "not DER", 0);
		snprintf(want, sizeof(want), "DIR: %s: not a security catalog", rows[i].catalog);
		assert_fails(load_for(&d, rows[i].t, &p, &err), IBB_E_CORRUPT, err, want);
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		struct ibb_buf plain = {0};
		struct ibb_package *p = NULL;
		struct ibb_error err = {0};
		struct memdir d = {.n = 0};
		const char *at = strstr(inf, "CatalogFile"), *rest = strstr(inf, "[Manu");

		/* without catalogs the rest of the load shows */
		assert_int_equal(ibb_buf_append(&plain, inf, (size_t)(at - inf)), 0);
		assert_int_equal(ibb_buf_append_str(&plain, rest), 0);
		memdir_add(&d, "x.inf", plain.data, plain.len);
		memdir_add(&d, rows[i].file, "MZ", 0);
		if (rows[i].second)
			memdir_add(&d, rows[i].second, "MZ2", 0);
		assert_ok(load_for(&d, rows[i].t, &p, &err), err);
		assert_int_equal(p->models.n, 1);
		assert_string_equal(p->models.models[0].hardware_id, rows[i].id);
		assert_int_equal(p->n_files, rows[i].second ? 3 : 2);
		assert_string_equal(p->files[1].path, rows[i].file);
		if (rows[i].second)
			assert_string_equal(p->files[2].path, rows[i].second);
		ibb_package_free(p);
		ibb_buf_clear(&plain);
	}
}

static uint32_t device_id(struct ibb_package *p, const char *id)
{
	struct ibb_device_id *ids = NULL;
	struct ibb_error err = {0};
	uint32_t v = 0;
	size_t n = 0;

	assert_ok(ibb_store_device_ids(p, &ids, &n, &err), err);
	for (size_t i = 0; i < n; i++)
		if (strcmp(ids[i].id, id) == 0)
			v = ibb_get_le32(ids[i].data);
	free(ids);
	return v;
}

/* An Extension's hardware IDs have type 3; it needs no files and no service of its own. */
static void extension(void **state)
{
	static const char inf[] =
		EXTENSION "ExtensionId={01234567-89ab-cdef-0123-456789abcdef}\r\n"
			  "[Manufacturer]\r\nX=M,NTamd64\r\n[M.NTamd64]\r\nD=I,PCI\\X1,PCI\\C1\r\n"
			  "[I]\r\nAddReg=R\r\n[R]\r\nHKR,,x,,y\r\n[I.Components]\r\n"
			  "AddComponent=c,,Comp\r\n[Comp]\r\nComponentIds=VID0001&PID0001\r\n";
	struct ibb_store_fields f = ibb_store_fields_for(&server_2022);
	struct ibb_package *p = NULL;
	struct ibb_error err = {0};
	struct memdir d = {.n = 0};

	(void)state;
	memdir_add(&d, "x.inf", inf, 0);
	assert_ok(load(&d, &p, &err), err);
	assert_string_equal(p->version.class_name, "Extension");
	assert_string_equal(p->version.extension_id, "{01234567-89ab-cdef-0123-456789abcdef}");
	assert_int_equal(device_id(p, "PCI\\X1"), 0x0000ff03);
	assert_int_equal(device_id(p, "PCI\\C1"), 0x0000ff02);
	assert_int_equal(ibb_store_status_flags(p, &f), 0);
	assert_int_equal(p->n_services, 0);
	ibb_package_free(p);
}

/* A component device is matched by SWC\ IDs; its software stays in the package (DIRID 13). */
static void software_component(void **state)
{
	static const char inf[] = COMPONENT
		"[Manufacturer]\r\nX=M,NTamd64.10.0...16299\r\n"
		"[M.NTamd64.10.0...16299]\r\nD=I,SWC\\VID0001&PID0001\r\n"
		"[I]\r\nCopyFiles=F\r\n[I.Services]\r\nAddService=,2\r\n"
		"[I.Software]\r\nAddSoftware=app,,Soft\r\n[Soft]\r\nSoftwareType=1\r\n"
		"SoftwareBinary=%13%\\app.exe\r\n[F]\r\napp.exe\r\n[DestinationDirs]\r\nF=13\r\n"
		"[SourceDisksNames]\r\n1=D\r\n[SourceDisksFiles]\r\napp.exe=1\r\n";
	struct ibb_store_fields f = ibb_store_fields_for(&server_2022);
	struct ibb_inf_target old = {IBB_ARCH_AMD64, 10, 0, 15063, 1, 0};
	struct ibb_package *p = NULL;
	struct ibb_error err = {0};
	struct memdir d = {.n = 0};

	(void)state;
	memdir_add(&d, "x.inf", inf, 0);
	memdir_add(&d, "app.exe", "MZ", 0);
	assert_ok(load(&d, &p, &err), err);
	assert_int_equal(device_id(p, "SWC\\VID0001&PID0001"), 0x0000ff01);
	assert_int_equal(ibb_store_status_flags(p, &f), 0x10); /* files, all of them in the store */
	assert_int_equal(p->n_services, 0);		       /* the null driver has no service */
	assert_false(p->boot_start_service);
	ibb_package_free(IBB_TAKE(p));
	assert_fails(load_for(&d, &old, &p, &err), IBB_E_UNSUPPORTED, err, "build 15063");
}

/* ---- memory ---- */

static void out_of_memory(void **state)
{
	static const char inf[] =
		COPYING("CopyFiles=@a.sys,@b.dll,@c.txt\r\nCopyINF=y.inf\r\n[SourceDisksNames]\r\n"
			"1=D,data.cab\r\n[SourceDisksFiles]\r\na.sys=1\r\nb.dll=1\r\nc.txt=1\r\n");
	static const struct mkcab_file one[] = {{"c.txt", "c", 0}};
	struct ibb_buf cab = mkcab(flat, 3, MKCAB_MSZIP), c = mkcab(one, 1, MKCAB_STORED);
	struct ibb_buf names = {0};
	struct ibb_error err = {0};
	struct memdir d = {.n = 0};
	int rc = IBB_E_NOMEM;
	long n = 0;

	(void)state;
	memdir_add(&d, "x.inf", inf, 0);
	memdir_add(&d, "y.inf", COPYING(""), 0);
	memdir_add(&d, "data.cab", cab.data, cab.len);
	memdir_add(&d, "c.tx_", c.data, c.len);
	assert_int_equal(ibb_buf_reserve(&names, 100), 0);
	for (; rc == IBB_E_NOMEM; n++) {
		names.len = 0;
		ibb_mem_fail_at(n, false);
		rc = companions_of(&d, &names, &err);
		ibb_mem_fail_at(-1, false);
		assert_true(n < 2000);
	}
	assert_ok(rc, err);
	assert_string_equal(ibb_buf_cstr(&names), "y.inf");
	assert_true(n > 50);
	print_message("%ld allocations failed in turn\n", n - 1);
	ibb_buf_clear(&cab);
	ibb_buf_clear(&c);
	ibb_buf_clear(&names);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(cabinet_beside_the_inf),
	cmocka_unit_test(loose_file_first),
	cmocka_unit_test(cabinet_by_flag),
	cmocka_unit_test(tag_file),
	cmocka_unit_test(cabinet_directories),
	cmocka_unit_test(bad_cabinets),
	cmocka_unit_test(compressed_files),
	cmocka_unit_test(companions),
	cmocka_unit_test(bad_companions),
	cmocka_unit_test(several_architectures),
	cmocka_unit_test(extension),
	cmocka_unit_test(software_component),
	cmocka_unit_test(out_of_memory),
};

IBB_TEST_MAIN(tests)
