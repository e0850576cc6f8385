/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a check of driver catalogs finds: every kind of finding provoked once. */
#include "test.h"

#include "base/mem.h"
#include "catalog/builtin.h"
#include "catalog/check.h"
#include "catalog_small.h"

#define HEAD "{'format': 1, 'overlay': true, 'as_of': '2026-11-20',"

static char *quoted(const char *s)
{
	char *q = strdup(s);

	assert_non_null(q);
	for (char *p = q; *p; p++)
		if (*p == '\'')
			*p = '"';
	return q;
}

static int check(const char *overlay, const char *today, struct ibb_findings *f,
		 struct ibb_error *err)
{
	char *base = quoted(SMALL_CATALOG), *over = quoted(overlay);
	struct ibb_catalog_text t[2] = {
		{.name = "small.json", .text = base, .n = strlen(base)},
		{.name = "o.json", .text = over, .n = strlen(over)},
	};
	struct ibb_catalog *c = NULL;
	int r = ibb_catalog_load_checked(t, 2, f, &c, err);

	if (!r && c)
		r = ibb_catalog_judge(c, today, f, err);
	ibb_catalog_free(c);
	free(base);
	free(over);
	return r;
}

/* Among the findings there is exactly one like this. */
static void has(const struct ibb_findings *f, enum ibb_severity s, const char *file,
		const char *path, const char *text)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].severity == s && strcmp(f->v[i].file, file) == 0 &&
		     strcmp(f->v[i].path, path) == 0 && strcmp(f->v[i].text, text) == 0;
	if (n == 1)
		return;
	for (size_t i = 0; i < f->n; i++)
		print_message("%s: %s: %s: %s\n", ibb_severity_name(f->v[i].severity), f->v[i].file,
			      f->v[i].path, f->v[i].text);
	fail_msg("%u times: %s: %s", n, path, text);
}

static void expect(const char *overlay, enum ibb_severity s, const char *file, const char *path,
		   const char *text)
{
	struct ibb_findings f = {0};
	struct ibb_error err = {0};

	assert_ok(check(overlay, "2026-12-24", &f, &err), err);
	has(&f, s, file, path, text);
	ibb_findings_clear(&f);
}

/* What the small catalog has anyway. */
static void test_small(void **state)
{
	struct ibb_findings f = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_ok(check(HEAD "'local': []}", "2026-12-24", &f, &err), err);
	assert_int_equal(f.n, 2);
	has(&f, IBB_SEV_WARNING, "small.json", "rules[11]",
	    "rule set-old says allowed and rule set-old-2 says unsupported of Standard_Z7r on "
	    "Windows Server 2012 R2 with equal right: only their order decides");
	has(&f, IBB_SEV_NOTE, "small.json", "sizes[4]",
	    "nobody speaks of Standard_Z7r with server2019, server2022");
	ibb_findings_clear(&f);
}

/* All faults are told, each at its place; what refers to a record with a fault has one too. */
static void test_all_faults(void **state)
{
	struct ibb_findings f = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_ok(check(HEAD
			"'series': [{'id': 'half'}],"
			"'sizes': [{'name': 'Standard_A', 'series': 'half'},"
			"{'name': 'A8', 'series': 'S1'},"
			"{'name': 'Standard_B', 'series': 'S1', 'constrained_of': 'Standard_C'},"
			"{'name': 'Standard_X60s', 'series': 'S1'}],"
			"'facts': {},"
			"'recommendations': [{'id': 'r', 'driver_set': 'drv', 'windows': {},"
			"'release': 'r0', 'reason': 'x', 'confidence': 'A', 'source': 'new'}]}",
			"2026-12-24", &f, &err),
		  err);
	assert_int_equal(f.n, 7);
	has(&f, IBB_SEV_ERROR, "o.json", "series[0].family", "is missing");
	has(&f, IBB_SEV_ERROR, "o.json", "sizes[0].series", "no series named 'half'");
	has(&f, IBB_SEV_ERROR, "o.json", "sizes[1]", "'A8' does not begin with Standard_");
	has(&f, IBB_SEV_ERROR, "o.json", "sizes[2].constrained_of", "no size named 'Standard_C'");
	has(&f, IBB_SEV_ERROR, "small.json", "not_rdma[0].name",
	    "'Standard_X60s' is among the sizes too");
	has(&f, IBB_SEV_ERROR, "o.json", "facts", "must be a list");
	has(&f, IBB_SEV_ERROR, "o.json", "recommendations[0].windows",
	    "is empty: leave it out when every Windows is meant");
	ibb_findings_clear(&f);
	/* without JSON there is nothing to go on with */
	assert_fails(check("{", "2026-12-24", &f, &err), IBB_E_CORRUPT, err,
		     "o.json:1:2: not valid JSON");
	assert_int_equal(f.n, 0);
}

static void test_rules(void **state)
{
	(void)state;
	expect(HEAD "'rules': [{'id': 'p', 'nics': ['N1'], 'windows': {'only': 'server2012r2'},"
		    "'state': 'allowed', 'reason': 'x', 'confidence': 'A', 'source': 'new'},"
		    "{'id': 'q', 'nics': ['N1'], 'windows': {'only': 'server2012r2'},"
		    "'state': 'unsupported', 'reason': 'x', 'confidence': 'A', 'source': 'new'}]}",
	       IBB_SEV_WARNING, "o.json", "rules[1]",
	       "rule p says allowed and rule q says unsupported of Standard_X60rs_v3 on Windows "
	       "Server 2012 R2 with equal right: only their order decides");
}

/* Of a size that is in service. */
#define VALIDATED                                                                  \
	"'rules': [{'id': 'v', 'sizes': ['Standard_Y9r'], 'windows': {'only':"     \
	"'server2012r2'}, 'state': 'validated', 'reason': 'x', 'confidence': 'A'," \
	"'source': 'new'}],"

static void test_drivers(void **state)
{
	(void)state;
	expect(HEAD "'rules': [{'id': 'v', 'sizes': ['Standard_Y9r'], 'windows': {'only':"
		    "'server2012r2'}, 'state': 'validated', 'reason': 'x', 'confidence': 'A',"
		    "'source': 'new'}]}",
	       IBB_SEV_ERROR, "small.json", "sizes[3]",
	       "Standard_Y9r is retiring and Windows Server 2012 R2 is validated for it by v, but "
	       "no "
	       "release of drv is recommended there");
	expect(HEAD "'sizes': [{'name': 'Standard_Z8', 'series': 'SN', 'status': 'current'}],"
		    "'rules': [{'id': 'v', 'sizes': ['Standard_Z8'], 'windows': {'only':"
		    "'server2022'}, 'state': 'validated', 'reason': 'x', 'confidence': 'A',"
		    "'source': 'new'}]}",
	       IBB_SEV_ERROR, "o.json", "sizes[0]",
	       "Standard_Z8 is current and Windows Server 2022 is validated for it by v, but "
	       "nothing "
	       "is known that would drive it");
}

#define REC(id, windows, release)                                                            \
	"{'id': '" id "', 'driver_set': 'drv', 'windows': " windows ", 'release': '" release \
	"', 'reason': 'x', 'confidence': 'A', 'source': 'new'}"

static void test_recommendations(void **state)
{
	(void)state;
	expect(HEAD "'recommendations': [" REC("p", "{'only': 'server2012r2'}", "r1") "," REC(
		       "q", "{'to': 'server2012r2'}", "r0") "]}",
	       IBB_SEV_WARNING, "o.json", "recommendations[1]",
	       "recommendations p (r1) and q (r0) both speak of Windows Server 2012 R2: only their "
	       "order decides");
	expect(HEAD "'recommendations': [" REC("p", "{'only': 'server2022'}", "r0") "]}",
	       IBB_SEV_NOTE, "o.json", "recommendations[0]",
	       "recommendations rec1 (r1) and p (r0) both speak of Windows Server 2022: that of "
	       "the "
	       "later catalog counts");
	/* 2019 is between 2012 R2 and 2022 */
	expect(HEAD "'recommendations': [" REC("rec1", "{'only': 'server2022'}", "r1") "," REC(
		       "p", "{'only': 'server2012r2'}", "r1") "]}",
	       IBB_SEV_WARNING, "small.json", "windows[1]",
	       "no release of drv is recommended for Windows Server 2019, though for Windows "
	       "before "
	       "and after it");
}

#define REL(id, set, windows)                                                                \
	"{'id': '" id "', 'driver_set': '" set "', 'version': '9', 'driver_version': null,"  \
	"'date': null, 'lts': false, 'package': null, 'package_name': null, 'sha256': null," \
	"'windows': " windows ", 'windows_basis': 'b', 'confidence': 'A', 'source': 'new'}"

/* Recommendations that cannot be right. */
static void test_wrong_recommendations(void **state)
{
	(void)state;
	expect(HEAD "'recommendations': [" REC("p", "{'only': 'server2012r2'}", "r1") "]}",
	       IBB_SEV_WARNING, "o.json", "recommendations[0]",
	       "p recommends r1 for server2012r2, which its list of Windows leaves out");
	expect(HEAD
	       "'releases': [" REL("none", "drv", "null") "]," VALIDATED "'recommendations': [" REC(
		       "p", "{'only': 'server2012r2'}", "none") "]}",
	       IBB_SEV_ERROR, "small.json", "sizes[3]",
	       "Standard_Y9r is retiring and Windows Server 2012 R2 is validated for it by v, but "
	       "p recommends none, of which neither a file nor a URL is known");
	expect(HEAD
	       "'releases': [" REL("of-nd", "nd", "null") "],"
							  "'recommendations': [" REC(
								  "p", "{'only': 'server2012r2'}",
								  "of-nd") "]}",
	       IBB_SEV_ERROR, "o.json", "recommendations[0]",
	       "is for drv, but release 'of-nd' is of nd");
	expect(HEAD "'releases': [{'id': 'r', 'driver_set': 'drv', 'version': '9',"
		    "'driver_version': null, 'date': null, 'lts': false, 'package': null,"
		    "'package_name': null, 'sha256':"
		    "'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',"
		    "'windows': null, 'windows_basis': 'b', 'confidence': 'A',"
		    "'source': 'new'}]}",
	       IBB_SEV_ERROR, "o.json", "releases[0]",
	       "has a sha256, but no sha256_basis that says whose it is");
}

static void test_package_name(void **state)
{
	static const char *const names[] = {"..", "../x.zip", "a/b.zip", "c:x.zip"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(names); i++) {
		char overlay[512], text[64];

		snprintf(overlay, sizeof(overlay),
			 HEAD "'releases': [{'id': 'r', 'driver_set': 'drv', 'version': '9',"
			      "'driver_version': null, 'date': null, 'lts': false, 'package': '%s',"
			      "'package_name': 'seen', 'sha256': null, 'windows': null,"
			      "'windows_basis': 'b', 'confidence': 'A', 'source': 'new'}]}",
			 names[i]);
		snprintf(text, sizeof(text), "package: '%s' is not the name of a file", names[i]);
		expect(overlay, IBB_SEV_ERROR, "o.json", "releases[0]", text);
	}
}

static void test_dates(void **state)
{
	(void)state;
	expect("{'format': 1, 'as_of': '2027-01-01'}", IBB_SEV_WARNING, "o.json", "as_of",
	       "the catalog is of 2027-01-01, today is 2026-12-24");
	expect(HEAD "'sources': [{'id': 's', 'title': 'T', 'locator': 'l', 'date': '2026-12'}]}",
	       IBB_SEV_WARNING, "o.json", "sources[0]",
	       "s has the date 2026-12, after that of the catalog, 2026-11-20");
	expect(HEAD "'releases': [{'id': 'r', 'driver_set': 'drv', 'version': '1',"
		    "'driver_version': null, 'date': '2027', 'lts': false, 'package': null,"
		    "'package_name': null, 'sha256': null, 'windows': null, 'windows_basis': 'b',"
		    "'confidence': 'A', 'source': 'new'}]}",
	       IBB_SEV_WARNING, "o.json", "releases[0]",
	       "r has the date 2027, after that of the catalog, 2026-11-20");
	expect(HEAD "'sizes': [{'name': 'Standard_A', 'series': 'S1', 'status': 'retired',"
		    "'retire_date': '2027-01-01'}]}",
	       IBB_SEV_WARNING, "o.json", "sizes[0]",
	       "Standard_A is called retired, but its date 2027-01-01 is after that of the "
	       "catalog, "
	       "2026-11-20");
	expect(HEAD "'sizes': [{'name': 'Standard_A', 'series': 'S1',"
		    "'retire_date': '2027-01-01'}]}",
	       IBB_SEV_WARNING, "o.json", "sizes[0]",
	       "Standard_A has the retire date 2027-01-01, but is called current");
	expect(HEAD "'sizes': [{'name': 'Standard_A', 'series': 'S2',"
		    "'retire_date': '2026-12-01'}]}",
	       IBB_SEV_WARNING, "o.json", "sizes[0]",
	       "Standard_A is called retiring, but its date 2026-12-01 has passed");
	expect(HEAD "'extension_entries': [{'id': 'e', 'nic': 'N1', 'distros': ['2019'],"
		    "'version': '1', 'package': 'p', 'url': 'https://x/p', 'release': null,"
		    "'first_commit': 'a', 'first_date': '2020-02-02', 'last_commit': 'b',"
		    "'last_date': '2020-01', 'confidence': 'A', 'source': 'new'}]}",
	       IBB_SEV_ERROR, "o.json", "extension_entries[0]",
	       "e came on 2020-02-02, after it went on 2020-01");
	/* an impossible date is a fault */
	expect(HEAD "'sources': [{'id': 's', 'title': 'T', 'locator': 'l', 'date': '2026-02-30'}]}",
	       IBB_SEV_ERROR, "o.json", "sources[0].date",
	       "'2026-02-30' is not a date (YYYY, YYYY-MM or YYYY-MM-DD)");
}

static void test_conflict(void **state)
{
	(void)state;
	expect(HEAD "'facts': [{'id': 'fact', 'says': 'Water is dry.', 'confidence': 'A',"
		    "'source': 'new'}]}",
	       IBB_SEV_WARNING, "o.json", "",
	       "facts fact replaces that of small.json: says differs");
}

/* The shipped catalog has a guess to admit on its own day, no more; later a retirement passes. */
static void test_shipped(void **state)
{
	struct ibb_catalog_text t = {
		.name = "shipped", .text = ibb_catalog_builtin, .n = ibb_catalog_builtin_len};
	struct ibb_findings f = {0};
	struct ibb_catalog *c = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_catalog_load_checked(&t, 1, &f, &c, &err), err);
	assert_non_null(c);
	assert_ok(ibb_catalog_judge(c, ibb_catalog_version(c), &f, &err), err);
	for (size_t i = 0; i < f.n; i++)
		print_message("%s: %s: %s\n", ibb_severity_name(f.v[i].severity), f.v[i].path,
			      f.v[i].text);
	assert_int_equal(f.n, 1);
	has(&f, IBB_SEV_NOTE, "shipped", "recommendations[8]",
	    "rec-win11-23h2 recommends winof2-25.7 for win11-23h2, which its list of Windows "
	    "leaves out");
	ibb_findings_clear(&f);
	assert_ok(ibb_catalog_judge(c, "2027-06-01", &f, &err), err);
	/* HC with its 3 and HBv2 with its 5 sizes */
	assert_int_equal(f.n, 1 + 3 + 5);
	assert_string_equal(f.v[1].text,
			    "Standard_HC44rs is called retiring, but its date 2027-05-31 has "
			    "passed");
	ibb_findings_clear(&f);
	ibb_catalog_free(c);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	for (long n = 0;; n++) {
		struct ibb_findings f = {0};
		struct ibb_error err = {0};
		int r;

		ibb_mem_fail_at(n, false);
		r = check(HEAD "'facts': [{'id': 'fact', 'says': 'x', 'confidence': 'A',"
			       "'source': 'new'}], 'sizes': [{'name': 'Standard_B', 'series': 'S1',"
			       "'retire_date': '2027'}]}",
			  "2026-12-24", &f, &err);
		ibb_mem_fail_at(-1, false);
		ibb_findings_clear(&f);
		if (!r)
			break;
		assert_int_equal(r, IBB_E_NOMEM);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_small),		cmocka_unit_test(test_all_faults),
	cmocka_unit_test(test_rules),		cmocka_unit_test(test_drivers),
	cmocka_unit_test(test_recommendations), cmocka_unit_test(test_wrong_recommendations),
	cmocka_unit_test(test_package_name),	cmocka_unit_test(test_dates),
	cmocka_unit_test(test_conflict),	cmocka_unit_test(test_shipped),
	cmocka_unit_test(test_out_of_memory),
};
IBB_TEST_MAIN(tests)
