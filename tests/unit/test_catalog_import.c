/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The VM extension's driver list becomes an overlay: every form it ever had, and strange ones. */
#include "test.h"

#include "base/io.h"
#include "base/mem.h"
#include "catalog/builtin.h"
#include "catalog/import.h"

/* Every version of the list: what it holds was counted by other means. */
static const struct {
	const char *file;
	size_t windows, others; /* entries */
	size_t files;		/* NICs and links for Windows */
	size_t commas;		/* before a closing bracket */
} lists[] = {
	{"InfiniBand-2019-10-07-4e9411c.json", 4, 6, 3, 0},
	{"InfiniBand-2019-10-08-0ede30c.json", 4, 6, 3, 0},
	{"InfiniBand-2019-11-04-113be69.json", 4, 7, 3, 0},
	{"InfiniBand-2020-01-30-d7da8aa.json", 6, 12, 4, 0},
	{"InfiniBand-2020-02-05-4f008e3.json", 6, 12, 4, 1},
	{"InfiniBand-2020-02-05-b0e0f16.json", 6, 12, 4, 0},
	{"InfiniBand-2020-02-05-f01ec53.json", 6, 12, 4, 1},
	{"InfiniBand-2020-02-19-613c23e.json", 6, 12, 4, 0},
	{"InfiniBand-2021-01-27-bcece65.json", 6, 18, 4, 0},
	{"InfiniBand-2021-02-02-9f79ab8.json", 6, 18, 4, 0},
	{"InfiniBand-2021-08-03-d7e404a.json", 7, 18, 5, 0},
	{"InfiniBand-2021-08-03-fcdf29a.json", 7, 18, 5, 0},
	{"InfiniBand-2021-08-24-0bbbba1.json", 9, 18, 5, 0},
	{"InfiniBand-2022-01-06-33b65d3.json", 9, 33, 5, 0},
	{"InfiniBand-2022-01-07-9cbd899.json", 9, 33, 5, 0},
	{"InfiniBand_Linux-2020-02-20-3e5b98b.json", 4, 7, 3, 0},
	{"InfiniBand_Linux-2020-02-20-7440586.json", 4, 7, 3, 0},
	{"InfiniBand_Linux-2020-02-20-7df11a8.json", 4, 7, 3, 4},
	{"InfiniBand_Linux-2020-02-21-14d74d4.json", 4, 7, 3, 0},
	{"InfiniBand_Linux-2020-02-21-23337d2.json", 4, 7, 3, 0},
	{"InfiniBand_Linux-2020-02-21-bc599e7.json", 4, 7, 3, 0},
	{"InfiniBand_Linux-2020-02-25-ef673bb.json", 4, 7, 3, 0},
	{"InfiniBand_Linux-2020-03-11-467f729.json", 4, 7, 3, 0},
	{"InfiniBand_Linux-2020-03-17-e6c5161.json", 4, 9, 3, 0},
	{"InfiniBand_Linux-2020-05-05-6b937d8.json", 4, 9, 3, 0},
	{"InfiniBand_Windows-2021-08-03-fcdf29a.json", 7, 12, 5, 0},
	{"InfiniBand_Windows-2021-08-24-0bbbba1.json", 9, 12, 5, 0},
};

struct imported {
	struct ibb_import_counts n;
	struct ibb_json *overlay, *report;
};

static void clear(struct imported *m)
{
	ibb_json_free(m->overlay);
	ibb_json_free(m->report);
	*m = (struct imported){.overlay = NULL};
}

static int import(const char *name, const void *text, size_t n, struct imported *m,
		  struct ibb_error *err)
{
	const struct ibb_catalog_text file = {.name = name, .text = text, .n = n};
	struct ibb_catalog *base = NULL;
	struct ibb_jb b = {0};
	struct ibb_json *root;
	int r = ibb_catalog_load("built-in", ibb_catalog_builtin, ibb_catalog_builtin_len, &base,
				 err);

	if (r)
		return r;
	root = ibb_jb_object(&b, NULL, NULL);
	r = ibb_catalog_import_text(base, &file, &b, root, &m->n, &m->overlay, err);
	if (r)
		ibb_jb_clear(&b);
	else
		r = ibb_jb_done(&b, &m->report, err);
	ibb_catalog_free(base);
	if (r)
		clear(m);
	return r;
}

static struct imported import_text(const char *text)
{
	struct imported m = {.overlay = NULL};
	struct ibb_error err = {0};

	assert_ok(import("list.json", text, strlen(text), &m, &err), err);
	return m;
}

/* The built-in catalog with the overlay on it. */
static struct ibb_catalog *over_builtin(const struct imported *m)
{
	struct ibb_buf text = {0};
	struct ibb_catalog_text t[2] = {
		{.name = "built-in", .text = ibb_catalog_builtin, .n = ibb_catalog_builtin_len},
		{.name = "overlay"}};
	struct ibb_catalog *c = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_json_print(m->overlay, &text, &err), err);
	t[1].text = text.data;
	t[1].n = text.len;
	assert_ok(ibb_catalog_load_all(t, 2, &c, &err), err);
	assert_int_equal(ibb_catalog_n_conflicts(c), 0);
	ibb_buf_clear(&text);
	return c;
}

static void test_every_version(void **state)
{
	size_t commas = 0;

	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(lists); i++) {
		struct imported m = {.overlay = NULL};
		struct ibb_buf text = {0};
		struct ibb_error err = {0};
		char path[128];

		snprintf(path, sizeof(path), "extension-catalog/%s", lists[i].file);
		TEST_DATA_OR_SKIP(path, &text);
		assert_ok(import(path, text.data, text.len, &m, &err), err);
		assert_int_equal(m.n.used, lists[i].windows);
		assert_int_equal(m.n.entries - m.n.used, lists[i].others);
		assert_int_equal(m.n.new_entries, lists[i].files);
		assert_int_equal(m.n.repairs, lists[i].commas);
		/* the built-in catalog knows every link */
		assert_int_equal(m.n.new_releases, 0);
		assert_int_equal(m.n.recommendations, 0);
		commas += m.n.repairs;
		ibb_catalog_free(over_builtin(&m));
		clear(&m);
		ibb_buf_clear(&text);
	}
	assert_int_equal(commas, 1 + 1 + 4);
}

static void test_where_the_commas_are(void **state)
{
	static const struct {
		const char *file;
		int64_t line, column;
	} broken[] = {
		{"InfiniBand-2020-02-05-4f008e3.json", 67, 70},
		{"InfiniBand-2020-02-05-f01ec53.json", 66, 70},
		{"InfiniBand_Linux-2020-02-20-7df11a8.json", 59, 137},
	};

	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(broken); i++) {
		struct imported m = {.overlay = NULL};
		struct ibb_buf text = {0};
		struct ibb_error err = {0};
		const struct ibb_json *first;
		int64_t line = 0, column = 0;
		char path[128];

		snprintf(path, sizeof(path), "extension-catalog/%s", broken[i].file);
		TEST_DATA_OR_SKIP(path, &text);
		assert_ok(import(path, text.data, text.len, &m, &err), err);
		first = ibb_json_first(ibb_json_get(m.report, "repairs"));
		assert_true(ibb_json_int(first, "line", 1, 1000, &line));
		assert_true(ibb_json_int(first, "column", 1, 1000, &column));
		assert_int_equal(line, broken[i].line);
		assert_int_equal(column, broken[i].column);
		clear(&m);
		ibb_buf_clear(&text);
	}
}

#define ENTRY(distro, rest) \
	"{\"Name\": \"" distro "\", \"Version\": [{\"Num\": \"All\", " rest "}]}"
#define LIST(type, os, entries)                                               \
	"{\"Driver\": [{\"Name\": \"OFED\", \"Version\": [{\"Type\": \"" type \
	"\", \"OS\": [{\"Name\": \"" os "\", \"Comment\": \"c\", \"Distro\": [" entries "]}]}]}]}"
#define LINK(url) "\"FwLink\": \"" url "\""

/* A new package: a release, and a recommendation only where there was none and no rival is. */
static void test_new_release(void **state)
{
	struct imported m = import_text("\xef\xbb\xbf" LIST(
		"CX3-Pro", "Windows",
		ENTRY("2022/11",
		      LINK("https://x.example/"
			   "MLNX_VPI_WinOF-9_8_7_All_"
			   "x64.exe")) "," ENTRY("2012",
						 LINK("https://x.example/"
						      "MLNX_VPI_WinOF-9_8_7_All_x64.exe"))));
	struct ibb_catalog *c = over_builtin(&m);
	const struct ibb_release *r = NULL;
	struct ibb_error err = {0};
	struct ibb_windows w;
	const struct ibb_size *s = NULL;
	struct ibb_resolution *res = NULL;

	(void)state;
	assert_int_equal(m.n.repairs, 1); /* the byte order mark */
	assert_int_equal(m.n.used, 2);
	assert_int_equal(m.n.new_entries, 1);
	assert_int_equal(m.n.new_releases, 1);
	/* 2022 and 2012; "11" means nothing */
	assert_int_equal(m.n.recommendations, 2);
	assert_ok(ibb_catalog_find_release(c, "MLNX_VPI_WinOF-9_8_7_All_x64.exe", &r, &err), err);
	assert_string_equal(r->version, "9.8.7");
	assert_string_equal(r->driver_set, "winof");
	assert_string_equal(r->urls[0].basis, "seen");
	assert_ok(ibb_catalog_find_windows(c, "server2012", &w, &err), err);
	assert_ok(ibb_catalog_find_size(c, "NC24rs_v3", &s, &err), err);
	assert_ok(ibb_catalog_resolve(c, s, &w, &res, &err), err);
	assert_ptr_equal(res->recommended, r);
	ibb_resolution_free(res);
	ibb_catalog_free(c);
	clear(&m);
}

/* The form of the newer lists: a direct link, a size, and Windows by their names. */
static void test_newer_form(void **state)
{
	struct imported m = import_text(LIST(
		"CX6", "Windows",
		ENTRY("2025",
		      LINK("https://go.example/fwlink") ", \"DirLink\": "
							"\"https://x.example/"
							"MLNX_WinOF2-99_1_5_All_x64.exe\", "
							"\"DriverPath\": \"*.inf\", "
							"\"DriverFileSize\": 1234, "
							"\"SupportedOSVersions\": [\"Windows "
							"Server 2022\", "
							"\"Windows 11 24H2\", \"Windows 12\"]")));
	struct ibb_catalog *c = over_builtin(&m);
	const struct ibb_release *r = NULL;
	struct ibb_error err = {0};
	const struct ibb_json *windows;

	(void)state;
	assert_ok(ibb_catalog_find_release(c, "99.1.5", &r, &err), err);
	assert_true(r->size_bytes == 0);
	assert_string_equal(r->urls[0].url, "https://x.example/MLNX_WinOF2-99_1_5_All_x64.exe");
	windows = ibb_json_get(ibb_json_first(ibb_json_get(m.overlay, "releases")), "windows");
	assert_int_equal(ibb_json_count(windows), 3);
	assert_string_equal(ibb_json_value_str(ibb_json_first(windows)), "server2025");
	/* the built-in catalog recommends something for all of them */
	assert_int_equal(m.n.recommendations, 0);
	ibb_catalog_free(c);
	clear(&m);
}

/* What cannot be used, and why. */
static void test_left_out(void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{LIST("CX6", "Linux", ENTRY("Ubuntu", LINK("http://x/a.tgz"))), "for Linux"},
		{LIST("CX6", "BeOS", ENTRY("5", LINK("http://x/a"))), "not for Windows"},
		{LIST("CUDA", "Windows", ENTRY("2019", LINK("http://x/a"))),
		 "its type is no NIC of the driver catalog"},
		{LIST("CX6", "Windows", ENTRY("2019", "\"x\": 1")),
		 "it has no link (FwLink or DirLink)"},
		{LIST("CX6", "Windows", ENTRY("2019", LINK("ftp://x/a"))),
		 "its link is no http or https address of a file"},
		{LIST("CX6", "Windows", ENTRY("2019", LINK("https://x/"))),
		 "its link is no http or https address of a file"},
		{LIST("CX6", "Windows", ENTRY("2019", LINK("https://x/a\\u0007"))),
		 "its link is no http or https address of a file"},
		{LIST("CX6", "Windows", ENTRY("", LINK("https://x/a"))), "it names no Windows"},
	};

	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct imported m = import_text(cases[i].text);
		const struct ibb_json *e = ibb_json_first(ibb_json_get(m.report, "entries"));

		assert_int_equal(m.n.used, 0);
		assert_int_equal(m.n.entries, 1);
		assert_null(m.overlay);
		assert_string_equal(ibb_json_str(e, "reason"), cases[i].reason);
		assert_string_equal(ibb_json_str(e, "path"),
				    "Driver[0].Version[0].OS[0].Distro[0].Version[0]");
		assert_false(ibb_json_bool(e, "used", true));
		clear(&m);
	}
}

/* A Windows that nobody knows is no reason to lose the link. */
static void test_unknown_windows(void **state)
{
	struct imported m = import_text(
		LIST("CX6", "Windows", ENTRY("2031/10", LINK("https://x.example/new.exe"))));
	const struct ibb_json *e = ibb_json_first(ibb_json_get(m.report, "entries"));

	(void)state;
	assert_true(ibb_json_bool(e, "used", false));
	assert_string_equal(ibb_json_str(e, "reason"),
			    "its Windows is not wholly known to the driver catalog");
	ibb_catalog_free(over_builtin(&m));
	clear(&m);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *message;
		int code;
	} cases[] = {
		{"{\"Drivers\": []}",
		 "list.json: not the VM extension's driver list: it has no list \"Driver\"",
		 IBB_E_UNSUPPORTED},
		{"[]", "list.json: not the VM extension's driver list: it has no list \"Driver\"",
		 IBB_E_UNSUPPORTED},
		{"", "list.json:1:1: not valid JSON", IBB_E_CORRUPT},
		/* a missing comma has no single reading */
		{"{\"Driver\": [] \"x\": 1}", "list.json:1:", IBB_E_CORRUPT},
		/* nor has a comma too many */
		{"{\"Driver\": [,]}", "list.json:1:", IBB_E_CORRUPT},
		{"{\"Driver\": [1,,]}", "list.json:1:", IBB_E_CORRUPT},
		{"{\"Driver\": [\"a,]", "list.json:1:", IBB_E_CORRUPT},
	};

	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct imported m = {.overlay = NULL};
		struct ibb_error err = {0};
		int r = import("list.json", cases[i].text, strlen(cases[i].text), &m, &err);

		if (r != cases[i].code || !strstr(err.msg, cases[i].message))
			fail_msg("%s: %d '%s'", cases[i].text, r, err.msg);
	}
}

/* Commas in strings stay. */
static void test_commas_in_text(void **state)
{
	struct imported m = import_text(
		LIST("CX6", "Windows", ENTRY("2019", LINK("https://x.example/a,}b\\\",].exe"))));

	(void)state;
	assert_int_equal(m.n.repairs, 0);
	assert_int_equal(m.n.used, 1);
	clear(&m);
}

/* A list cut off anywhere, or with one byte changed, is read or refused. */
static void test_mangled(void **state)
{
	const char *whole = "\xef\xbb\xbf" LIST(
		"CX6", "Windows",
		ENTRY("2016/10", LINK("https://x.example/a\\\\_1_2_3_.exe")) "," ENTRY(
			"2019", "\"SupportedOSVersions\": [1, \"Windows 10 1809\",]"));
	const size_t n = strlen(whole);
	struct ibb_catalog *base = NULL;
	struct ibb_error err = {0};
	char *text = malloc(n);
	unsigned read = 0;

	(void)state;
	assert_non_null(text);
	assert_ok(ibb_catalog_load("built-in", ibb_catalog_builtin, ibb_catalog_builtin_len, &base,
				   &err),
		  err);
	for (size_t i = 0; i < 2 * n; i++) {
		struct ibb_catalog_text file = {.name = "list", .text = text, .n = i < n ? i : n};
		struct ibb_import_counts counts = {0};
		struct ibb_json *overlay = NULL;
		struct ibb_jb b = {0};
		int r;

		memcpy(text, whole, n);
		if (i >= n)
			text[i - n] ^= (char)(1 + i % 7);
		r = ibb_catalog_import_text(base, &file, &b, ibb_jb_object(&b, NULL, NULL), &counts,
					    &overlay, &err);
		assert_true(r == IBB_OK || r == IBB_E_CORRUPT || r == IBB_E_UNSUPPORTED);
		assert_true(r == IBB_OK || !overlay);
		read += r == IBB_OK;
		ibb_json_free(overlay);
		ibb_jb_clear(&b);
	}
	assert_true(read > 50 && read < n);
	free(text);
	ibb_catalog_free(base);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_every_version), cmocka_unit_test(test_where_the_commas_are),
	cmocka_unit_test(test_new_release),   cmocka_unit_test(test_newer_form),
	cmocka_unit_test(test_left_out),      cmocka_unit_test(test_unknown_windows),
	cmocka_unit_test(test_refused),	      cmocka_unit_test(test_commas_in_text),
	cmocka_unit_test(test_mangled),
};
IBB_TEST_MAIN(tests)
