/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Catalogs laid over each other; releases and companions. */
#include "test.h"

#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog_small.h"

#define HEAD "{'format': 1, 'overlay': true, 'as_of': '2026-12-01',"

static char *quoted(const char *s)
{
	char *q = strdup(s);

	assert_non_null(q);
	for (char *p = q; *p; p++)
		if (*p == '\'')
			*p = '"';
	return q;
}

/* The small catalog and up to two over it. */
static int load(const char *a, const char *b, struct ibb_catalog **c, struct ibb_error *err)
{
	char *text[3] = {quoted(SMALL_CATALOG), a ? quoted(a) : NULL, b ? quoted(b) : NULL};
	struct ibb_catalog_text t[3] = {{.name = "small.json"},
					{.name = "a.json", .dir = "/srv/a"},
					{.name = "b.json", .dir = "rel"}};
	size_t n = 0;
	int r;

	for (; n < 3 && text[n]; n++) {
		t[n].text = text[n];
		t[n].n = strlen(text[n]);
	}
	r = ibb_catalog_load_all(t, n, c, err);
	for (size_t i = 0; i < 3; i++)
		free(text[i]);
	return r;
}

static struct ibb_catalog *loaded(const char *a, const char *b)
{
	struct ibb_catalog *c = NULL;
	struct ibb_error err = {0};

	assert_ok(load(a, b, &c, &err), err);
	return c;
}

static void expect_fault(const char *overlay, int code, const char *message)
{
	struct ibb_catalog *c = NULL;
	struct ibb_error err = {0};
	int r = load(overlay, NULL, &c, &err);

	if (r != code || strcmp(err.msg, message) != 0)
		fail_msg("%s: %d '%s', wanted %d '%s'", overlay, r, err.msg, code, message);
	assert_null(c);
}

static struct ibb_resolution *resolve(const struct ibb_catalog *c, const char *size, const char *os)
{
	const struct ibb_size *s = NULL;
	struct ibb_resolution *r = NULL;
	struct ibb_windows w;
	struct ibb_error err = {0};

	assert_ok(ibb_catalog_find_size(c, size, &s, &err), err);
	assert_ok(ibb_catalog_find_windows(c, os, &w, &err), err);
	assert_ok(ibb_catalog_resolve(c, s, &w, &r, &err), err);
	return r;
}

static void test_digest(void **state)
{
	struct ibb_catalog *alone = loaded(NULL, NULL), *two = loaded(HEAD "'local': []}", NULL);
	struct ibb_catalog *three = loaded(HEAD "'local': []}", HEAD "'local': []}");
	struct ibb_catalog *c = NULL;
	struct ibb_error err = {0};
	char *text = quoted(SMALL_CATALOG);

	(void)state;
	assert_ok(ibb_catalog_load("small.json", text, strlen(text), &c, &err), err);
	assert_string_equal(ibb_catalog_sha256(alone), ibb_catalog_sha256(c));
	assert_string_not_equal(ibb_catalog_sha256(alone), ibb_catalog_sha256(two));
	assert_string_not_equal(ibb_catalog_sha256(three), ibb_catalog_sha256(two));
	assert_string_equal(ibb_catalog_version(alone), "2026-11-20");
	assert_string_equal(ibb_catalog_version(two), "2026-12-01");
	assert_int_equal(ibb_catalog_n_conflicts(two), 0);
	free(text);
	ibb_catalog_free(c);
	ibb_catalog_free(alone);
	ibb_catalog_free(two);
	ibb_catalog_free(three);
}

/* A record takes the place of the one with its id; what refers to it sees the new one. */
static void test_replace(void **state)
{
	struct ibb_catalog *c = loaded(
		HEAD "'sizes': [{'name': 'Standard_Armr', 'series': 'S2'},"
		     "{'name': 'Standard_New', 'series': 'mine', 'note': 'n'}],"
		     "'series': [{'id': 'mine', 'family': 'F', 'arch': 'x64', 'nic': 'N1',"
		     "'rate': 'HDR', 'gbps_per_port': 1, 'ports': 1, 'sriov': true,"
		     "'driver_set': 'drv', 'function': 'f1', 'function_confidence': 'A',"
		     "'generations': [2], 'status': 'current', 'retire_date': null,"
		     "'confidence': 'A', 'sources': ['mine']}],"
		     "'sources': [{'id': 'mine', 'title': 'Mine', 'locator': 'x', 'date': null},"
		     "{'id': 'old', 'title': 'Old page', 'locator': 'old.md', 'date': '2020'}]}",
		HEAD "'sizes': [{'name': 'Standard_New', 'series': 'mine'}]}");
	const struct ibb_size *s = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_int_equal(ibb_catalog_n_sizes(c), 7);
	assert_string_equal(ibb_catalog_size_at(c, 5)->series, "S2");
	assert_ok(ibb_catalog_find_size(c, "New", &s, &err), err);
	assert_null(s->note);
	assert_string_equal(s->sources[0]->title, "Mine");
	/* the source 'old' was said again in the same words */
	assert_int_equal(ibb_catalog_n_conflicts(c), 2);
	assert_string_equal(ibb_catalog_conflict_at(c, 0),
			    "a.json: sizes Standard_Armr replaces that of small.json: series "
			    "differs");
	assert_string_equal(ibb_catalog_conflict_at(c, 1),
			    "b.json: sizes Standard_New replaces that of a.json: note differs");
	ibb_catalog_free(c);
}

static void test_faults(void **state)
{
	(void)state;
	expect_fault(HEAD "'sizes': [{'name': 'Standard_A', 'series': 'S1'},"
			  "{'name': 'Standard_A', 'series': 'S1'}]}",
		     IBB_E_CORRUPT, "a.json: sizes[1]: a second size named 'Standard_A'");
	expect_fault(HEAD "'sizes': [{'name': 'Standard_A', 'series': 'none'}]}", IBB_E_CORRUPT,
		     "a.json: sizes[0].series: no series named 'none'");
	expect_fault(HEAD "'windows': [{'id': 'w', 'name': 'W', 'major': 10, 'minor': 0,"
			  "'build': 20348, 'product': 'server', 'aliases': []}]}",
		     IBB_E_CORRUPT,
		     "a.json: windows[0]: build and product are those of 'server2022'");
	/* ids are exact in a file, though not on the command line */
	expect_fault(HEAD "'sizes': [{'name': 'Standard_x80RS_v3', 'series': 'S2'}]}",
		     IBB_E_CORRUPT, "a.json: sizes[0]: a second size named 'Standard_x80RS_v3'");
	expect_fault(HEAD "'sizes': {}}", IBB_E_CORRUPT, "a.json: sizes: must be a list");
	expect_fault("{'format': 1, 'overlay': 1, 'as_of': '2026'}", IBB_E_CORRUPT,
		     "a.json: overlay: must be true or false");
	expect_fault("{'format': 2, 'as_of': '2026'}", IBB_E_UNSUPPORTED,
		     "a.json: format 2, this ibbake reads format 1");
	/* the catch-all of the base must stay one */
	expect_fault(HEAD "'rules': [{'id': 'all', 'series': ['S1'], 'state': 'allowed',"
			  "'reason': 'r', 'confidence': 'A', 'source': 'new'}]}",
		     IBB_E_CORRUPT, "small.json: rules: none is for every size and every Windows");
	expect_fault(HEAD "'releases': [{'id': 'r', 'driver_set': 'drv', 'version': '1',"
			  "'driver_version': null, 'date': null, 'lts': false, 'package': null,"
			  "'package_name': null, 'url': 'https://x/y', 'urls': [{'url':"
			  "'https://x/z', 'basis': 'seen', 'confidence': 'A'}], 'sha256': null,"
			  "'windows': null, 'windows_basis': 'b', 'confidence': 'A',"
			  "'source': 'new'}]}",
		     IBB_E_CORRUPT, "a.json: releases[0]: has both url and urls");
}

static void test_overlay_alone(void **state)
{
	char *text = quoted(HEAD "'local': []}");
	struct ibb_catalog *c = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_fails(ibb_catalog_load("o.json", text, strlen(text), &c, &err), IBB_E_UNSUPPORTED,
		     err, "o.json: is an overlay, which only adds to another catalog");
	assert_string_equal(err.hint, "give it with --catalog-dir");
	assert_fails(ibb_catalog_load_all(NULL, 0, &c, &err), IBB_E_INVALID, err,
		     "no driver catalog was given");
	free(text);
}

/* Relative paths are from the catalog's own directory. */
static void test_local(void **state)
{
	struct ibb_catalog *c =
		loaded(HEAD "'local': [{'driver_set': 'drv', 'path': 'pkg', 'sha256': null},"
			    "{'driver_set': 'drv', 'path': '/abs', 'sha256': null}]}",
		       HEAD "'local': [{'driver_set': 'drv', 'path': 'more', 'sha256': null}]}");
	struct ibb_resolution *r = resolve(c, "X60rs_v3", "server2022");

	(void)state;
	assert_int_equal(r->n_local, 4);
	assert_string_equal(r->local[0].path, "/srv/drv.exe");
	assert_string_equal(r->local[1].path, "/srv/a/pkg");
	assert_string_equal(r->local[2].path, "/abs");
	assert_string_equal(r->local[3].path, "rel/more");
	ibb_resolution_free(r);
	ibb_catalog_free(c);
}

/* Of the same reach, the later catalog's rule and recommendation count. */
static void test_later_wins(void **state)
{
	struct ibb_catalog *c = loaded(
		HEAD "'rules': [{'id': 'mine', 'series': ['S1'], 'windows': {'product': 'server',"
		     "'from': 'server2019'}, 'state': 'unsupported', 'reason': 'Ours.',"
		     "'confidence': 'A', 'source': 'undated'},"
		     "{'id': 'wide', 'state': 'validated', 'windows': {'from': 'server2012r2'},"
		     "'reason': 'All.', 'confidence': 'A', 'source': 'new'}],"
		     "'recommendations': [{'id': 'mine', 'driver_set': 'drv', 'windows': {'only':"
		     "'server2022'}, 'release': 'r0', 'reason': 'Ours.', 'confidence': 'A',"
		     "'source': 'new'}]}",
		NULL);
	struct ibb_resolution *r = resolve(c, "X60rs_v3", "server2022");

	(void)state;
	assert_string_equal(r->trace[0].rule, "mine");
	assert_string_equal(r->recommended->id, "r0");
	assert_null(r->recommended_url);
	ibb_resolution_free(r);
	/* what is narrower still comes first, whoever says it */
	r = resolve(c, "X80rs_v3", "server2019");
	assert_string_equal(r->trace[0].rule, "size");
	assert_string_equal(r->recommended->id, "r1");
	assert_string_equal(r->recommended_url, "https://download.example/drv.exe");
	ibb_resolution_free(r);
	ibb_catalog_free(c);
}

#define RELEASES                                                                                   \
	HEAD "'releases': [{'id': 'new', 'driver_set': 'drv', 'version': '2.0',"                   \
	     "'driver_version': '2.0.1', 'date': '2026-05-01', 'date_note': 'about',"              \
	     "'lts': false, 'package': 'Drv2.exe', 'package_name': 'pattern', 'urls': [{'url':"    \
	     "'http://a.example/Drv2.exe', 'basis': 'seen', 'confidence': 'B'}, {'url':"           \
	     "'https://b.example/Drv2.exe', 'basis': 'pattern', 'confidence': 'C'}], 'sha256':"    \
	     "'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff', 'sha256_basis':" \
	     "'he says', 'size': 4294967295, 'size_mb': 4096, 'windows': null,"                    \
	     "'windows_basis': 'b', 'files': [{'name': 'drv.sys', 'sha256':"                       \
	     "'ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff', 'size': 7}],"    \
	     "'confidence': 'A', 'source': 'new'},"                                                \
	     "{'id': 'twin', 'driver_set': 'drv', 'version': '2.0', 'driver_version': null,"       \
	     "'date': null, 'lts': false, 'package': null, 'package_name': null, 'sha256': null,"  \
	     "'windows': null, 'windows_basis': 'b', 'confidence': 'A', 'source': 'new'}],"        \
	     "'companions': [{'id': 'c1', 'driver_set': 'drv', 'file': 'nd.dll', 'role':"          \
	     "'nd-provider', 'sha256': null, 'confidence': 'B', 'source': 'new'},"                 \
	     "{'id': 'c2', 'driver_set': 'nd', 'file': 'reg.exe', 'role': 'nd-registration',"      \
	     "'sha256': null, 'confidence': 'C', 'note': 'n', 'source': 'old'},"                   \
	     "{'id': 'c3', 'driver_set': 'drv', 'file': 'reg.exe', 'role': 'nd-registration',"     \
	     "'sha256': null, 'confidence': 'C', 'source': 'old'}]}"

static void test_releases(void **state)
{
	struct ibb_catalog *c = loaded(RELEASES, NULL);
	const struct ibb_release *r = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_int_equal(ibb_catalog_n_releases(c), 4);
	assert_ok(ibb_catalog_find_release(c, "drv2.EXE", &r, &err), err);
	assert_ptr_equal(r, ibb_catalog_release_at(c, 2));
	assert_int_equal(r->n_urls, 2);
	assert_string_equal(r->urls[1].url, "https://b.example/Drv2.exe");
	assert_string_equal(r->urls[1].basis, "pattern");
	assert_true(r->size_bytes == 4294967295u && r->size_mb == 4096);
	assert_string_equal(r->sha256_basis, "he says");
	assert_string_equal(r->driver_set_name, "The driver");
	assert_int_equal(r->n_files, 1);
	assert_string_equal(r->files[0].name, "drv.sys");
	assert_int_equal(r->files[0].size, 7);
	/* the short form of a URL */
	assert_ok(ibb_catalog_find_release(c, "1.2.3", &r, &err), err);
	assert_int_equal(r->n_urls, 1);
	assert_string_equal(r->urls[0].basis, "seen");
	assert_string_equal(r->urls[0].confidence, "A");
	assert_fails(ibb_catalog_find_release(c, "2.0", &r, &err), IBB_E_UNSUPPORTED, err,
		     "'2.0' is several releases: new, twin");
	assert_fails(ibb_catalog_find_release(c, "twim", &r, &err), IBB_E_UNSUPPORTED, err,
		     "unknown release 'twim'; the nearest: twin");
	assert_fails(ibb_catalog_find_release(c, "zzzzz", &r, &err), IBB_E_UNSUPPORTED, err,
		     "unknown release 'zzzzz'");
	ibb_catalog_free(c);
}

static void test_companions(void **state)
{
	struct ibb_catalog *c = loaded(RELEASES, NULL);
	const struct ibb_companion_file *f;
	size_t n;

	(void)state;
	f = ibb_catalog_companions(c, "drv", &n);
	assert_int_equal(n, 2);
	assert_string_equal(f[0].file, "nd.dll");
	assert_string_equal(f[1].role, "nd-registration");
	f = ibb_catalog_companions(c, "nd", &n);
	assert_int_equal(n, 1);
	assert_string_equal(f[0].note, "n");
	assert_null(ibb_catalog_companions(c, "none", &n));
	assert_int_equal(n, 0);
	ibb_catalog_free(c);
}

static void test_out_of_memory(void **state)
{
	long n = 0;

	(void)state;
	for (;; n++) {
		struct ibb_catalog *c = NULL;
		struct ibb_error err = {0};
		int r;

		ibb_mem_fail_at(n, false);
		r = load(RELEASES, HEAD "'sizes': [{'name': 'Standard_Y9r', 'series': 'S1'}]}", &c,
			 &err);
		ibb_mem_fail_at(-1, false);
		if (!r) {
			ibb_catalog_free(c);
			break;
		}
		assert_int_equal(r, IBB_E_NOMEM);
		assert_null(c);
	}
	assert_true(n > 8);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_digest),	      cmocka_unit_test(test_replace),
	cmocka_unit_test(test_faults),	      cmocka_unit_test(test_overlay_alone),
	cmocka_unit_test(test_local),	      cmocka_unit_test(test_later_wins),
	cmocka_unit_test(test_releases),      cmocka_unit_test(test_companions),
	cmocka_unit_test(test_out_of_memory),
};
IBB_TEST_MAIN(tests)
