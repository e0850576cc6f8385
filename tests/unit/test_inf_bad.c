/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Damaged and hostile INFs: one clear error each, no crash, no leak, no endless work. */
#include "test_inf.h"

#include "base/limits.h"

#define GUID "ClassGuid={4d36e972-e325-11ce-bfc1-08002be10318}\n"

static void unreadable_text(void **state)
{
	static const struct {
		const char *p;
		size_t n;
		int code;
		const char *text;
	} cases[] = {
		{"\r\n\r\nhello\r\n", 11, IBB_E_CORRUPT,
		 "t.inf:3: text before the first [section]"},
		{"MZ\x90", 3, IBB_E_CORRUPT, "t.inf:1: text before the first [section]"},
		{"[a]\nk=v\n[Versi", 14, IBB_E_CORRUPT,
		 "t.inf:3: section name without its closing"},
		{"[a\n]", 4, IBB_E_CORRUPT, "t.inf:1: section name without its closing"},
		{"[a]\nk=\0v\n", 9, IBB_E_CORRUPT, "t.inf:2: NUL character"},
		{"[a]\r\nk\r\n\0", 9, IBB_E_CORRUPT, "t.inf:3: NUL character"},
		{"\xff\xfe[\0a\0]\0\n", 9, IBB_E_CORRUPT, "odd number of bytes: truncated?"},
		{"\xff\xfe[\0\0\0", 6, IBB_E_CORRUPT, "t.inf:1: NUL character"},
		{"\xef\xbb\xbf[a]\nk=\xe4\n", 11, IBB_E_CORRUPT, "is not UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++)
		assert_no_parse(cases[i].p, cases[i].n, cases[i].code, cases[i].text);
}

static void error_with_control_characters(void **state)
{
	struct ibb_inf *inf = parse("[Version]\nSignature=a\x1b[31m\x7f\n");
	struct ibb_inf_version v;
	struct ibb_error err = {0};

	(void)state;
	assert_fails(ibb_inf_version(inf, &win10_19041, &v, &err), IBB_E_CORRUPT, err,
		     "t.inf:2: Signature must be $Windows NT$ or $Chicago$, not 'a?[31m?'");
	ibb_inf_free(inf);
}

static void bad_versions(void **state)
{
	static const struct {
		const char *text, *msg;
	} cases[] = {
		{"", "t.inf: no [Version] section"},
		{"[Versions]\nSignature=$Chicago$\n", "t.inf: no [Version] section"},
		{"[Version]\n", "t.inf:1: [Version] has no Signature"},
		{"\n[Version]\nSignature=\n", "t.inf:3: Signature is empty"},
		{"[Version]\nSignature=$Windows 95$\n", "t.inf:2: Signature must be"},
		{"[Version]\nSignature=$Chicago$\n", "t.inf:1: [Version] has no ClassGuid"},
		{"[Version]\nSignature=$Chicago$\nClassGuid=\n", "t.inf:3: ClassGuid is empty"},
		{"[Version]\nSignature=$Chicago$\nClassGuid={4d36e972-e325-11ce-bfc1}\n",
		 "t.inf:3: ClassGuid is not a GUID: '{4d36e972-e325-11ce-bfc1}'"},
		{"[Version]\nSignature=$Chicago$\nClassGuid={xd36e972-e325-11ce-bfc1-08002be10318}"
		 "\n",
		 "t.inf:3: ClassGuid is not a GUID"},
		{"[Version]\nSignature=$Chicago$\n" GUID, "t.inf:1: [Version] has no Provider"},
		{"[Version]\nSignature=$Chicago$\n" GUID "Provider=\"\"\n",
		 "t.inf:4: Provider is empty"},
		{"[Version]\nSignature=$Chicago$\n" GUID "Provider=p\n",
		 "t.inf:1: [Version] has no DriverVer"},
		{"[Version]\nSignature=$Chicago$\n" GUID "Provider=p\nDriverVer=13/45/2020\n",
		 "t.inf:5: DriverVer needs a date mm/dd/yyyy that exists, not '13/45/2020'"},
		{"[Version]\nSignature=$Chicago$\n" GUID "Provider=p\nDriverVer=01/01/2020,1.x\n",
		 "t.inf:5: DriverVer needs a version w.x.y.z, parts up to 65535, not '1.x'"},
		{"[Version]\nSignature=$Chicago$\n" GUID
		 "Provider=p\nDriverVer=01/01/2020\nCatalogFile=..\\x.cat\n",
		 "t.inf:6: CatalogFile '..\\x.cat'"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_inf *inf = parse(cases[i].text);
		struct ibb_inf_version v = {.year = 1};
		struct ibb_error err = {0};

		assert_fails(ibb_inf_version(inf, &win10_19041, &v, &err), IBB_E_CORRUPT, err,
			     cases[i].msg);
		assert_int_equal(v.year, 1);
		ibb_inf_free(inf);
	}
}

static void bad_models(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *msg;
	} cases[] = {
		{"[Version]\n", IBB_E_UNSUPPORTED, "t.inf: no [Manufacturer] section"},
		{"[Manufacturer]\n", IBB_E_UNSUPPORTED,
		 "t.inf:1: no models section for Windows 10.0 build 19041 amd64 workstation; "
		 "[Manufacturer] offers nothing"},
		{"[Manufacturer]\n%x%=\n", IBB_E_CORRUPT,
		 "t.inf:2: [Manufacturer] line without the name of a models section"},
		{"[Manufacturer]\nx=M,NTamd64\n[M.NTamd64]\nno equals sign\n", IBB_E_CORRUPT,
		 "t.inf:4: models line is not"},
		{"[Manufacturer]\nx=M,NTamd64\n[M.NTamd64]\nd=,ID\n", IBB_E_CORRUPT,
		 "t.inf:4: models line is not"},
		{"[Manufacturer]\nx=M,NTamd64\n[M.NTamd64]\nd=i,ID\nd=i,\"a\tb\"\n", IBB_E_CORRUPT,
		 "t.inf:5: device ID with a control character: 'a?b'"},
		{"[Manufacturer]\nx=M,NTamd64\n[M.NTamd64]\nd=i,ID,C\x7f\n", IBB_E_CORRUPT,
		 "t.inf:4: device ID with a control character"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_inf *inf = parse(cases[i].text);
		struct ibb_inf_models m = {0};
		struct ibb_error err = {0};

		assert_fails(ibb_inf_models(inf, &win10_19041, &m, &err), cases[i].code, err,
			     cases[i].msg);
		assert_null(m.models);
		ibb_inf_free(inf);
	}
}

static void device_id_length(void **state)
{
	static const struct {
		size_t n;
		bool umlauts, ok;
	} cases[] = {
		{200, false, true}, {201, false, false}, {200, true, true}, {201, true, false}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_buf b = {0};
		struct ibb_inf *inf;
		struct ibb_inf_models m;
		struct ibb_error err = {0};

		assert_int_equal(ibb_buf_append_str(&b, "[Manufacturer]\nx=M,NTamd64\n"
							"[M.NTamd64]\nd=i,"),
				 0);
		for (size_t k = 0; k < cases[i].n; k++)
			assert_int_equal(
				ibb_buf_append_str(&b, cases[i].umlauts ? "\xc3\xa4" : "A"), 0);
		inf = parse_bytes(b.data, b.len);
		if (cases[i].ok)
			assert_ok(ibb_inf_models(inf, &win10_19041, &m, &err), err);
		else
			assert_fails(ibb_inf_models(inf, &win10_19041, &m, &err), IBB_E_CORRUPT,
				     err,
				     "t.inf:4: device ID of 201 characters, Windows allows 200");
		ibb_inf_free(inf);
		ibb_buf_clear(&b);
	}
}

/* The parts of an ID become registry keys, which have names. */
static void malformed_ids(void **state)
{
	static const struct {
		const char *id;
		bool ok;
	} cases[] = {{"PCI\\", false}, {"\\VEN_15B3", false},	{"PCI\\\\VEN_15B3", false},
		     {"\\", false},    {"PCI\\VEN_15B3", true}, {"*PNP0F03", true},
		     {"A\\B\\C", true}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_error err = {0};
		struct ibb_inf_models m;
		struct ibb_buf b = {0};
		struct ibb_inf *inf;
		int r;

		assert_int_equal(ibb_buf_printf(&b,
						"[Manufacturer]\nx=M,NTamd64\n"
						"[M.NTamd64]\nd=i,USB\\X,\"%s\"\n",
						cases[i].id),
				 0);
		inf = parse_bytes(b.data, b.len);
		r = ibb_inf_models(inf, &win10_19041, &m, &err);
		if (cases[i].ok)
			assert_ok(r, err);
		else
			assert_fails(r, IBB_E_CORRUPT, err,
				     "t.inf:4: device ID with nothing before or behind a "
				     "backslash: '");
		ibb_inf_free(inf);
		ibb_buf_clear(&b);
	}
}

static void fill(struct ibb_buf *b, const char *head, const char *piece, size_t total)
{
	size_t n = strlen(piece);

	assert_int_equal(ibb_buf_append_str(b, head), 0);
	assert_int_equal(ibb_buf_reserve(b, total + n), 0);
	while (b->len < total)
		assert_int_equal(ibb_buf_append(b, piece, n), 0);
}

/* Sizes that would cost memory or time without a limit. */
static void limits(void **state)
{
	static const struct {
		const char *head, *piece;
		size_t total;
		int code; /* 0: parses */
		const char *text;
	} cases[] = {
		{"[s]\nk=", "x", IBB_LIMIT_INF_LINE_CHARS + 100, IBB_E_LIMIT,
		 "t.inf:2: line of more than 65536 characters"},
		{"[s]\nk=", "a\\\n", 200000, IBB_E_LIMIT, "t.inf:2: line of more than"},
		{"[", "x", 1000, IBB_E_CORRUPT, "section name without"},
		{"[s]\n", "a,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\n", 5000000, IBB_E_LIMIT,
		 "more than 4000000 values in the file"},
		{"[s]\n", "\n", 10 << 20, 0, NULL},
		{"[s]\n", "[t]\n", 4 << 20, 0, NULL},
		{"[s]\nk=", "\\ \\ ", 60000, 0, NULL},
		{"[s]\nk=", "%", 60000, 0, NULL},
		{"[s]\nk=", "\"", 60000, 0, NULL},
		{"", "\x8f\xe3garbage", 10 << 20, IBB_E_CORRUPT, "t.inf:1: text before"},
		{"[Strings]\nA=0123456789012345678901234567890123456789\n[s]\nk=", "%A%", 60000,
		 IBB_E_LIMIT, "t.inf:4: value of more than 65536 characters after expansion"},
		{"", ";", IBB_LIMIT_INF_BYTES + 1, IBB_E_LIMIT, "33554433 bytes are too many"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_buf b = {0};

		fill(&b, cases[i].head, cases[i].piece, cases[i].total);
		if (cases[i].code)
			assert_no_parse(b.data, b.len, cases[i].code, cases[i].text);
		else
			ibb_inf_free(parse_bytes(b.data, b.len));
		ibb_buf_clear(&b);
	}
}

/* Sections that stand twice are one, as for setupapi: what comes first counts, nothing is lost. */
static void duplicate_sections(void **state)
{
	struct ibb_inf *inf = parse(
		"[Version]\nSignature=$Chicago$\n" GUID "Provider=one\nDriverVer=01/01/2020,1\n"
		"[Manufacturer]\nx=M,NTamd64\n[M.NTamd64]\na=I,ID1\n[I]\nFeatureScore=10\n"
		"CopyFiles=@a.sys\n[DestinationDirs]\nDefaultDestDir=13\n"
		"[VERSION]\nProvider=two\nDriverVer=01/01/2024,9\nCatalogFile=late.cat\n"
		"[manufacturer]\ny=M,NTamd64\nz=N,NTamd64\n[m.ntamd64]\nb=I,ID2\na=I,ID1\n"
		"[i]\nFeatureScore=20\nCopyFiles=@b.sys\n[N.NTamd64]\nc=I,ID3\n");
	const struct ibb_inf_install *in = NULL;
	struct ibb_inf_version v;
	struct ibb_inf_models m;
	struct ibb_inf_files f;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_inf_version(inf, &win10_19041, &v, &err), err);
	assert_string_equal(v.provider, "one");
	assert_string_equal(v.version_text, "1.0.0.0");
	assert_string_equal(v.catalog, "late.cat");
	assert_ok(ibb_inf_models(inf, &win10_19041, &m, &err), err);
	assert_int_equal(m.n_sections, 2);
	assert_int_equal(m.n, 4);
	assert_string_equal(m.models[1].hardware_id, "ID2");
	assert_string_equal(m.models[3].hardware_id, "ID3");
	assert_ok(ibb_inf_install(inf, &win10_19041, "I", &in, &err), err);
	assert_int_equal(in->feature_score, 0x10);
	assert_ok(ibb_inf_files(inf, &win10_19041, &f, &err), err);
	assert_int_equal(f.n, 2);
	assert_string_equal(f.files[1].source, "b.sys");
	ibb_inf_free(inf);
}

/* 10 MB of noise as text, as UTF-16, behind a section: an answer with a line, at once. */
static void ten_megabytes_of_garbage(void **state)
{
	static const char *const heads[] = {
		"", "[s]\n", "\xff\xfe[", "\xfe\xff", "\xef\xbb\xbf[s]\n", "[Version]\nSignature="};
	const size_t n = 10u << 20;
	uint8_t *b = malloc(n);
	uint32_t x = 99;

	(void)state;
	assert_non_null(b);
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		b[i] = (uint8_t)(x >> 24);
	}
	for (size_t h = 0; h < IBB_ARRAY_SIZE(heads); h++) {
		struct ibb_error err = {0};
		struct ibb_inf *inf = NULL;
		struct ibb_inf_version v;
		int rc;

		memcpy(b, heads[h], strlen(heads[h]));
		rc = ibb_inf_parse("t.inf", (struct ibb_bytes){b, n}, &inf, &err);
		/* a Ctrl-Z among the first bytes ends the text before it can be wrong */
		if (!rc)
			rc = ibb_inf_version(inf, &win10_19041, &v, &err);
		assert_true(rc == IBB_E_CORRUPT || rc == IBB_E_LIMIT);
		assert_memory_equal(err.msg, "t.inf:", 6);
		ibb_inf_free(inf);
	}
	free(b);
}

/* An INF that includes itself: this layer opens nothing, so only Needs can go round. */
static void includes_itself(void **state)
{
	struct ibb_inf *inf = parse("[I]\nInclude=t.inf,T.INF\nNeeds=I\n[J]\nInclude=t.inf\n"
				    "Needs=K\n[K]\nInclude=t.inf\nNeeds=J\n");
	const struct ibb_inf_install *in = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_fails(ibb_inf_install(inf, &win10_19041, "I", &in, &err), IBB_E_CORRUPT, err,
		     "t.inf:3: Needs goes round in a circle through [I]");
	assert_fails(ibb_inf_install(inf, &win10_19041, "J", &in, &err), IBB_E_CORRUPT, err,
		     "t.inf:9: Needs goes round in a circle through [J]");
	assert_null(in);
	ibb_inf_free(inf);
}

static void total_expansion(void **state)
{
	struct ibb_buf b = {0};

	(void)state;
	fill(&b, "[Strings]\nA=", "x", 30000);
	fill(&b, "\n[s]\n", "k=%A%%A%\n", b.len + 20000);
	assert_no_parse(b.data, b.len, IBB_E_LIMIT, "%strings% expand to more than 33554432 bytes");
	ibb_buf_clear(&b);
}

static void long_section_name(void **state)
{
	struct ibb_buf b = {0};

	(void)state;
	fill(&b, "[", "x", 257);
	assert_int_equal(ibb_buf_append_str(&b, "]\n"), 0);
	assert_no_parse(b.data, b.len, IBB_E_CORRUPT,
			"t.inf:1: section name of more than 255 characters");
	ibb_buf_clear(&b);
}

/* A whole small package, for mutations and failing allocations. */
static const char whole[] = INF_VERSION
	"CatalogFile.NTamd64 = \"y.cat\" ; comment\r\nPnpLockDown=1\r\n"
	"[Manufacturer]\r\n%P%=M,NTamd64.10.0,NTamd64.10.0.1..17763, NTx86\r\n"
	"[M.NTamd64.10.0]\r\n%D% = I.10, PCI\\VEN_15B3&DEV_1015\r\n"
	"[M.NTamd64.10.0.1..17763]\r\n%D% = I, PCI\\VEN_15B3&DEV_1015, PCI\\CC_0200,,X\r\n"
	"\"odd ; name\" = I, \\\r\n  PCI\\VEN_15B3&DEV_101c&SUBSYS_000715B3&REV_00\r\n"
	"[I.NT]\r\nCopyFiles=c.list,@m.dll\r\nAddReg=r\r\nFeatureScore=F0\r\nCopyINF=o.inf\r\n"
	"[I.NT.HW]\r\nInclude=pci.inf\r\nNeeds=PciIoSpaceNotRequired.HW,Own\r\n"
	"[I.NT.Services]\r\nAddService=m,0x2,Svc,Log\r\n[I.NT.CoInstallers]\r\nAddReg=r2\r\n"
	"[Own]\r\nAddReg=r2\r\n[Svc]\r\nStartType=3\r\nServiceBinary=%12%\\m.sys\r\n[Log]\r\n"
	"[r]\r\nHKR,,x,0x10001,1\r\n[r2]\r\nHKLM,\"S\\%%x%%\",y,,\"%P%\"\r\n"
	"[c.list]\r\nm.sys,,,2\r\nn2.sys,n.sys\r\n[DestinationDirs]\r\nc.list=12\r\n"
	"DefaultDestDir=13,sub\r\n[SourceDisksNames]\r\n1=%D%,tag,,\\d\r\n"
	"[SourceDisksFiles.amd64]\r\nm.sys=1,x\r\nn.sys=1\r\n[SourceDisksFiles]\r\nm.sys=1\r\n"
	"[Strings.0409]\r\nD=\"Device \"\"A\"\"\"\r\n[Strings]\r\nP=\"P, Inc.\"\r\nD=no\r\n";

/* Everything the layer can do with one INF; the first error, or 0. */
static int use(const void *p, size_t n, struct ibb_error *err)
{
	IBB_AUTO(ibb_inf_free) struct ibb_inf *inf = NULL;
	const struct ibb_inf_install *in;
	struct ibb_inf_version v;
	struct ibb_inf_models m;
	struct ibb_inf_files f;
	const char *const *names;
	size_t n_names;
	int r, first;

	first = ibb_inf_parse("t.inf", (struct ibb_bytes){p, n}, &inf, err);
	if (first)
		return first;
	first = ibb_inf_version(inf, &win10_19041, &v, err);
	r = ibb_inf_models(inf, &win10_19041, &m, err);
	first = first ? first : r;
	for (size_t i = 0; !r && i < m.n; i++)
		r = ibb_inf_install(inf, &win10_19041, m.models[i].install_section, &in, err);
	first = first ? first : r;
	r = ibb_inf_files(inf, &win10_19041, &f, err);
	first = first ? first : r;
	r = ibb_inf_copyinf(inf, &win10_19041, &n_names, &names, err);
	return first ? first : r;
}

static bool expected(int code)
{
	return code == IBB_OK || code == IBB_E_CORRUPT || code == IBB_E_UNSUPPORTED ||
	       code == IBB_E_LIMIT;
}

static void whole_package_is_sound(void **state)
{
	struct ibb_error err = {0};

	(void)state;
	assert_ok(use(whole, sizeof(whole) - 1, &err), err);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static size_t mutate(uint8_t *b, size_t n, uint32_t *seed)
{
	static const char special[] = "\r\n\t ;\"%\\[]=,.@0x\x1a\xff\xe4\xc3";
	size_t at = next_random(seed) % n, other = next_random(seed) % n, k;

	switch (next_random(seed) % 6) {
	case 0:
		b[at] = (uint8_t)next_random(seed);
		return n;
	case 1:
		b[at] = (uint8_t)special[next_random(seed) % (sizeof(special) - 1)];
		return n;
	case 2: /* cut a piece out */
		k = next_random(seed) % 40;
		k = k < n - at ? k : n - at - 1;
		memmove(b + at, b + at + k, n - at - k);
		return n - k;
	case 3: /* copy a piece over another */
		k = next_random(seed) % 40;
		k = k < n - (at > other ? at : other) ? k : n - (at > other ? at : other);
		memmove(b + at, b + other, k);
		return n;
	case 4: /* truncate, rarely */
		return next_random(seed) % 8 ? n : at + 1;
	}
	b[at] ^= (uint8_t)(1u << next_random(seed) % 8);
	return n;
}

static void mutations(void **state)
{
	unsigned counts[2] = {0};
	uint32_t seed = 20261120;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct ibb_error err = {0};
		uint8_t *b = ibb_memdup(whole, sizeof(whole) - 1); /* exact, so ASan sees the end */
		size_t n = sizeof(whole) - 1;
		int r;

		assert_non_null(b);
		for (uint32_t k = 0; k <= next_random(&seed) % 4; k++)
			n = mutate(b, n, &seed);
		r = use(b, n, &err);
		free(b);
		if (!expected(r))
			fail_msg("mutation %d: %d %s", i, r, err.msg);
		if (r && (strncmp(err.msg, "t.inf", 5) || strpbrk(err.msg, "\n\r\x1b")))
			fail_msg("mutation %d: message '%s'", i, err.msg);
		counts[r != 0]++;
	}
	assert_true(counts[0] > 1000); /* both ways are walked */
	assert_true(counts[1] > 1000);
}

static void every_truncation(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		struct ibb_error err = {0};
		uint8_t *b = ibb_memdup(whole, n);

		assert_non_null(b);
		assert_true(expected(use(b, n, &err)));
		free(b);
	}
}

/* The nth allocation fails, for every n; also in UTF-16BE, which takes another way in. */
static void failing_allocations(void **state)
{
	uint8_t wide[2 * sizeof(whole)] = {0xfe, 0xff};
	const struct {
		const void *p;
		size_t n;
	} texts[] = {{whole, sizeof(whole) - 1}, {wide, sizeof(wide)}};

	(void)state;
	for (size_t i = 0; i < sizeof(whole) - 1; i++)
		wide[3 + 2 * i] = (uint8_t)whole[i];
	for (size_t t = 0; t < IBB_ARRAY_SIZE(texts); t++) {
		struct ibb_error err = {0};
		long count;

		(void)ibb_mem_count();
		assert_ok(use(texts[t].p, texts[t].n, &err), err);
		count = ibb_mem_count();
		assert_true(count > 20);
		for (long n = 0; n < count; n++) {
			for (int persistent = 0; persistent < 2; persistent++) {
				int r;

				ibb_mem_fail_at(n, persistent);
				r = use(texts[t].p, texts[t].n, &err);
				ibb_mem_fail_at(-1, false);
				if (r != IBB_E_NOMEM)
					fail_msg("allocation %ld: %d %s", n, r, err.msg);
			}
		}
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(unreadable_text),     cmocka_unit_test(error_with_control_characters),
	cmocka_unit_test(bad_versions),	       cmocka_unit_test(bad_models),
	cmocka_unit_test(device_id_length),    cmocka_unit_test(limits),
	cmocka_unit_test(malformed_ids),       cmocka_unit_test(total_expansion),
	cmocka_unit_test(long_section_name),   cmocka_unit_test(whole_package_is_sound),
	cmocka_unit_test(mutations),	       cmocka_unit_test(every_truncation),
	cmocka_unit_test(failing_allocations), cmocka_unit_test(duplicate_sections),
	cmocka_unit_test(includes_itself),     cmocka_unit_test(ten_megabytes_of_garbage),
};

IBB_TEST_MAIN(tests)
