/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Loader, lookup and resolution of driver catalogs, on a small one. */
#include "test.h"

#include "base/limits.h"
#include "catalog/catalog.h"
#include "catalog_small.h"

static char *quoted(const char *s)
{
	char *q = strdup(s);

	assert_non_null(q);
	for (char *p = q; *p; p++)
		if (*p == '\'')
			*p = '"';
	return q;
}

static int load_text(const char *text, struct ibb_catalog **c, struct ibb_error *err)
{
	char *q = quoted(text);
	int r = ibb_catalog_load("small.json", q, strlen(q), c, err);

	free(q);
	return r;
}

static struct ibb_catalog *load_small(void)
{
	struct ibb_error err = {0};
	struct ibb_catalog *c = NULL;

	assert_ok(load_text(SMALL_CATALOG, &c, &err), err);
	return c;
}

/* The small catalog with the first `from` replaced. */
static char *edited(const char *from, const char *to)
{
	const char *text = SMALL_CATALOG, *at = strstr(text, from);
	char *out = NULL;

	if (!at)
		fail_msg("the small catalog has no %s", from);
	else if (asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) < 0)
		fail_msg("asprintf");
	return out;
}

static void expect_fault(const char *from, const char *to, int code, const char *message)
{
	char *text = edited(from, to);
	struct ibb_error err = {0};
	struct ibb_catalog *c = NULL;
	int r = load_text(text, &c, &err);

	free(text);
	if (r != code || strcmp(err.msg, message) != 0)
		fail_msg("%s -> %s: %d '%s', wanted %d '%s'", from, to, r, err.msg, code, message);
	assert_null(c);
}

static void test_load(void **state)
{
	struct ibb_catalog *c = load_small();
	const struct ibb_size *s;

	(void)state;
	assert_string_equal(ibb_catalog_version(c), "2026-11-20");
	assert_int_equal(strlen(ibb_catalog_sha256(c)), 64);
	assert_int_equal(ibb_catalog_n_sizes(c), 6);
	s = ibb_catalog_size_at(c, 1);
	assert_string_equal(s->name, "Standard_X60-30rs_v3");
	assert_string_equal(s->series, "S1");
	assert_string_equal(s->nic, "N1");
	assert_string_equal(s->rate, "HDR");
	assert_int_equal(s->gbps_per_port, 200);
	assert_int_equal(s->ports, 1);
	assert_string_equal(s->driver_set, "drv");
	assert_string_equal(s->arch, "x64");
	assert_true(s->sriov && s->generation1 && s->generation2);
	assert_false(s->retired);
	assert_string_equal(s->constrained_of, "Standard_X60rs_v3");
	/* what the size says itself */
	assert_string_equal(s->note, "half");
	assert_string_equal(s->confidence, "B");
	assert_int_equal(s->n_sources, 1);
	assert_string_equal(s->sources[0]->title, "Old page");
	assert_string_equal(s->function->id, "f1");
	assert_string_equal(s->function->source, "new");
	assert_int_equal(s->function->n_ids, 2);
	assert_string_equal(s->function->hardware_ids[0],
			    "PCI\\VEN_15B3&DEV_0002&SUBSYS_000715B3&REV_00");
	assert_int_equal(s->function->n_bare, 1);
	assert_int_equal(s->function->n_an, 1);
	s = ibb_catalog_size_at(c, 4);
	assert_true(s->retired);
	assert_string_equal(s->retire_date, "2021-03-01");
	assert_null(s->rate);
	assert_int_equal(s->ports, 0);
	assert_false(s->generation1 || s->generation2 || s->sriov);
	assert_null(ibb_catalog_size_at(c, 5)->function);
	ibb_catalog_free(c);
}

struct fault {
	const char *from, *to, *message;
};
static const struct fault faults[] = {
	/* types and presence */
	{"'id': 'old', ", "", "small.json: sources[0].id: is missing"},
	{"'title': 'Old page'", "'title': 7", "small.json: sources[0].title: must be a string"},
	{"'title': 'Old page'", "'title': ''", "small.json: sources[0].title: is empty"},
	{"'title': 'Old page'", "'title': 'a\\nb'",
	 "small.json: sources[0].title: holds a control character"},
	{"'title': 'Old page'", "'titel': 'x'", "small.json: sources[0]: unknown member 'titel'"},
	{"'date': '2020'}", "'date': 2020}", "small.json: sources[0].date: must be a string"},
	{"'facts': [", "'remarks': [], 'facts': [", "small.json: unknown member 'remarks'"},
	{"'as_of': '2026-11-20',", "", "small.json: as_of: is missing"},
	{"'title': 'Small'", "'title': []", "small.json: title: must be a string"},
	{"'C': 'c'", "'D': 'c'", "small.json: confidences: unknown member 'D'"},
	{"'major': 6", "'major': '6'",
	 "small.json: windows[0].major: must be a whole number from 6 to 99"},
	{"'build': 9600", "'build': 9600.5",
	 "small.json: windows[0].build: must be a whole number from 1000 to 999999"},
	{"'ports': 4,", "'ports': 65,",
	 "small.json: series[1].ports: must be a whole number from 1 to 64"},
	{"'lts': true", "'lts': 1", "small.json: releases[0].lts: must be true or false"},
	{"'aliases': ['2012r2']", "'aliases': '2012r2'",
	 "small.json: windows[0].aliases: must be a list"},
	{"['2022', '2k22']", "['2022', 22]", "small.json: windows[2].aliases[1]: must be a string"},
	{"['2022', '2k22']", "['2022', '2022']", "small.json: windows[2].aliases[1]: stands twice"},
	{"'generations': [1, 2]", "'generations': [1, 3]",
	 "small.json: series[0].generations: a generation is 1 or 2"},
	{"'generations': [1, 2]", "'generations': [2, 2]",
	 "small.json: series[0].generations: 2 stands twice"},
	{"'generations': [1, 2]", "'generations': 2",
	 "small.json: series[0].generations: must be a list"},
	{"'sources': ['new', 'old']", "'sources': []", "small.json: series[0].sources: is empty"},
	{"'retire_date': '2027-05-31'", "'retire_date': '2027-02-29'",
	 "small.json: series[1].retire_date: '2027-02-29' is not a date (YYYY, YYYY-MM or "
	 "YYYY-MM-DD)"},
	{"'date': '2020'}", "'date': '2020-13'}",
	 "small.json: sources[0].date: '2020-13' is not a date (YYYY, YYYY-MM or YYYY-MM-DD)"},
	{"'date': '2020'}", "'date': '20 20'}",
	 "small.json: sources[0].date: '20 20' is not a date (YYYY, YYYY-MM or YYYY-MM-DD)"},
	{"'00112233", "'0011223",
	 "small.json: releases[0].sha256: "
	 "'0011223445566778899aabbccddeeff00112233445566778899aabbccddeeff' is not a SHA-256 of "
	 "64 hex digits"},
	{"'FF112233", "'GG112233",
	 "small.json: local[1].sha256: "
	 "'GG112233445566778899aabbccddeeff00112233445566778899aabbccddeeff' is not a SHA-256 of "
	 "64 hex digits"},
	{"'https://download", "'ftp://download",
	 "small.json: releases[0].url: 'ftp://download.example/drv.exe' is not a URL with http or "
	 "https"},
	{"'https://download.example/", "'http:///",
	 "small.json: releases[0].url: 'http:///drv.exe' is not a URL with http or https"},
	{"'product': 'server', 'aliases': ['2012r2']", "'product': 'host', 'aliases': []",
	 "small.json: windows[0].product: 'host' is none of client, server"},
	{"'confidence': 'A', 'source': 'new'}", "'confidence': 'D', 'source': 'new'}",
	 "small.json: driver_sets[0].confidence: 'D' is none of A, B, C"},
	{"'state': 'impossible'", "'state': 'forbidden'",
	 "small.json: rules[1].state: 'forbidden' is none of validated, allowed, unsupported, "
	 "impossible"},
	/* references */
	{"'confidence': 'A', 'source': 'new'}", "'confidence': 'A', 'source': 'NEW'}",
	 "small.json: driver_sets[0].source: no source named 'NEW'"},
	{"'series': 'S2'}", "'series': 'HBv9'}",
	 "small.json: sizes[3].series: no series named 'HBv9'"},
	{"'series': 'S2'}", "'sizes': 'S2'}", "small.json: sizes[3]: unknown member 'sizes'"},
	{"'nic': 'N1'", "'nic': 'N3'", "small.json: series[0].nic: no NIC named 'N3'"},
	{"'function': 'f1'", "'function': 'f2'",
	 "small.json: series[0].function: no function named 'f2'"},
	{"'driver_set': 'drv', 'confidence'", "'driver_set': 'x', 'confidence'",
	 "small.json: nics[0].driver_set: no driver set named 'x'"},
	{"'windows': ['server2019', 'server2022']", "'windows': ['server2020']",
	 "small.json: releases[0].windows[0]: no Windows named 'server2020'"},
	{"'only': 'server2022'", "'only': 'server2028'",
	 "small.json: rules[3].windows.only: no Windows named 'server2028'"},
	{"'release': 'r1'", "'release': 'r2'",
	 "small.json: recommendations[0].release: no release named 'r2'"},
	{"'sizes': ['Standard_X80rs_v3']", "'sizes': ['Standard_X99']",
	 "small.json: rules[4].sizes[0]: no size named 'Standard_X99'"},
	{"'families': ['F']", "'families': ['Q']", "small.json: rules[8]: no series of family 'Q'"},
	{"'size': 'Standard_X60rs_v3'", "'size': 'Standard_X61rs_v3'",
	 "small.json: misprints[0].size: no size named 'Standard_X61rs_v3'"},
	{"'driver_set': 'nd', 'path'", "'driver_set': 'dn', 'path'",
	 "small.json: local[0].driver_set: no driver set named 'dn'"},
	/* duplicates, also when only the case differs */
	{"'id': 'new'", "'id': 'old'", "small.json: sources[1]: a second source named 'old'"},
	{"'name': 'Standard_Y9r'", "'name': 'Standard_X60RS_v3'",
	 "small.json: sizes[3]: a second size named 'Standard_X60RS_v3'"},
	{"'id': 'x86'", "'id': 'all'", "small.json: rules[1]: a second rule named 'all'"},
	{"'build': 19045", "'build': 17763",
	 "small.json: windows[4]: build and product are those of 'win10-1809'"},
	/* what only the whole shows */
	{"'Standard_X60rs_v3', 'note'", "'Standard_Y9r', 'note'",
	 "small.json: sizes[1].constrained_of: 'Standard_Y9r' is not a full size of the same "
	 "series"},
	{"'Standard_X60rs_v3', 'note'", "'Standard_Y8r', 'note'",
	 "small.json: sizes[1].constrained_of: no size named 'Standard_Y8r'"},
	{"'name': 'Standard_Y9r'", "'name': 'Y9r'",
	 "small.json: sizes[3]: 'Y9r' does not begin with Standard_"},
	{"'name': 'Standard_X60s'", "'name': 'Standard_Y9r'",
	 "small.json: not_rdma[0].name: 'Standard_Y9r' is among the sizes too"},
	{"'name': 'Standard_X60rs_v4'", "'name': 'Standard_Y9r'",
	 "small.json: misprints[0].name: 'Standard_Y9r' is among the sizes too"},
	{"'retire_date': '2021-03-01'", "'retire_date': null",
	 "small.json: series[2]: is retired, but retire_date is null"},
	{"'function_confidence': 'A'", "'function_confidence': null",
	 "small.json: series[0]: has a function, but function_confidence is null"},
	{"'nics': ['N1', 'N2']", "'nics': ['N1'], 'series': ['S1']",
	 "small.json: rules[7]: names more than one of sizes, series, nics, families, "
	 "driver_sets"},
	{"'id': 'all', 'state'", "'id': 'all', 'windows': {'product': 'server'}, 'state'",
	 "small.json: rules: none is for every size and every Windows"},
	{"{'product': 'client'}, 'release'", "{}, 'release'",
	 "small.json: recommendations[1].windows: is empty: leave it out when every Windows is "
	 "meant"},
	{"{'only': 'server2022'}", "{'only': 'server2022', 'from': 'server2019'}",
	 "small.json: rules[3].windows: 'only' stands alone"},
	{"{'only': 'server2022'}", "{'to': 'server2022', 'before': 'server2019'}",
	 "small.json: rules[3].windows: either 'to' or 'before', not both"},
	{"{'only': 'server2022'}", "{'from': 'server2022', 'before': 'server2022'}",
	 "small.json: rules[3].windows: covers no Windows"},
	{"{'only': 'server2022'}", "'server2022'",
	 "small.json: rules[3].windows: must be an object"},
	{"{'name': 'Standard_Y9r', 'series': 'S2'}", "'Standard_Y9r'",
	 "small.json: sizes[3]: must be an object"},
};

static void test_load_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(faults); i++)
		expect_fault(faults[i].from, faults[i].to, IBB_E_CORRUPT, faults[i].message);
}

static void test_load_lists(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"{'format': 1, 'as_of': '2026'}", "small.json: sources: is missing"},
		{"{'format': 1, 'as_of': '2026', 'sources': {}}",
		 "small.json: sources: must be a list"},
		{"[]", "small.json: not a driver catalog: no object"},
		{"{'format': '1', 'as_of': '2026'}",
		 "small.json: format: must be a whole number from 0 to 1000000"},
	};
	struct ibb_error err = {0};
	struct ibb_catalog *c = NULL;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		assert_fails(load_text(cases[i].text, &c, &err), IBB_E_CORRUPT, err,
			     cases[i].message);
		assert_null(c);
	}
	assert_fails(load_text("{'format': 1,", &c, &err), IBB_E_CORRUPT, err, "not valid JSON");
	assert_fails(load_text("", &c, &err), IBB_E_CORRUPT, err, "small.json");
}

static void test_load_newer_format(void **state)
{
	(void)state;
	expect_fault("'format': 1", "'format': 2", IBB_E_UNSUPPORTED,
		     "small.json: format 2, this ibbake reads format 1");
}

static void test_load_too_many(void **state)
{
	struct ibb_buf text = {0};
	struct ibb_error err = {0};
	struct ibb_catalog *c = NULL;

	(void)state;
	assert_int_equal(
		ibb_buf_append_str(&text, "{\"format\":1,\"as_of\":\"2026\",\"sources\":["), 0);
	for (unsigned i = 0; i <= IBB_LIMIT_CATALOG_ENTRIES; i++)
		assert_int_equal(ibb_buf_append_str(&text, i ? ",0" : "0"), 0);
	assert_int_equal(ibb_buf_append_str(&text, "]}"), 0);
	assert_fails(ibb_catalog_load("big.json", text.data, text.len, &c, &err), IBB_E_LIMIT, err,
		     "big.json: sources: 4097 entries are too many");
	ibb_buf_clear(&text);
}

static void test_find_size(void **state)
{
	static const char *const good[][2] = {
		{"Standard_X60rs_v3", "Standard_X60rs_v3"},
		{"standard_x60RS_V3", "Standard_X60rs_v3"},
		{"X60rs_v3", "Standard_X60rs_v3"},
		{"Standard_X60-30rs_v3", "Standard_X60-30rs_v3"},
		{"Standard_X60_30rs_v3", "Standard_X60-30rs_v3"},
		{"standard_x60_30rsv3", "Standard_X60-30rs_v3"},
	};
	static const char *const bad[][2] = {
		{"Standard_X60s", "Standard_X60s is not InfiniBand capable: no r in its name"},
		{"x60S", "Standard_X60s is not InfiniBand capable: no r in its name"},
		{"X60rs_v4", "Standard_X60rs_v4 is not a size: a misprint of Standard_X60rs_v3 in "
			     "\"Old page\""},
		{"Standard_X60rs_v33", "unknown size 'Standard_X60rs_v33'; the nearest: "
				       "Standard_X60rs_v3, Standard_X80rs_v3, "
				       "Standard_X60-30rs_v3"},
		{"Y8r", "unknown size 'Y8r'; the nearest: Standard_Y9r"},
		/* separators count in names that are not constrained */
		{"X60rsv3", "unknown size 'X60rsv3'; the nearest: Standard_X60rs_v3, "
			    "Standard_X80rs_v3, Standard_X60-30rs_v3"},
		{"Standard_", "unknown size 'Standard_'"},
		{"", "unknown size ''"},
		{"q", "unknown size 'q'"},
		{"a", "unknown size 'a'; the nearest: Standard_Armr"},
	};
	struct ibb_catalog *c = load_small();
	const struct ibb_size *s = NULL;
	struct ibb_error err = {0};
	char longname[5000];

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(good); i++) {
		assert_ok(ibb_catalog_find_size(c, good[i][0], &s, &err), err);
		assert_string_equal(s->name, good[i][1]);
	}
	s = NULL;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		assert_int_equal(ibb_catalog_find_size(c, bad[i][0], &s, &err), IBB_E_UNSUPPORTED);
		assert_string_equal(err.msg, bad[i][1]);
		assert_null(s);
	}
	memset(longname, 'X', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	assert_fails(ibb_catalog_find_size(c, longname, &s, &err), IBB_E_UNSUPPORTED, err,
		     "unknown size 'XXXX");
	assert_true(strlen(err.msg) < 120);
	ibb_catalog_free(c);
}

static void test_find_windows(void **state)
{
	static const struct {
		const char *name, *id;
		bool server;
	} good[] = {
		{"server2022", "server2022", true},
		{"SERVER2022", "server2022", true},
		{"2022", "server2022", true},
		{"2K22", "server2022", true},
		{"Windows 10 22h2", "win10-22h2", false},
		{"20348", "server2022", true},
		{"10.0.20348", "server2022", true},
		{"6.3.9600", "server2012r2", true},
		{"9600", "server2012r2", true},
	};
	struct ibb_catalog *c = load_small();
	struct ibb_windows w = {.build = 7};
	struct ibb_error err = {0};

	(void)state;
	assert_fails(ibb_catalog_find_windows(c, "17763", &w, &err), IBB_E_INVALID, err,
		     "build 17763 is both server2019 and win10-1809");
	assert_fails(ibb_catalog_find_windows(c, "win12", &w, &err), IBB_E_INVALID, err,
		     "unknown Windows 'win12'; known: server2012r2, server2019, server2022, "
		     "win10-1809, win10-22h2");
	assert_fails(ibb_catalog_find_windows(c, "20349", &w, &err), IBB_E_INVALID, err,
		     "unknown Windows '20349'");
	assert_fails(ibb_catalog_find_windows(c, "", &w, &err), IBB_E_INVALID, err, "unknown");
	assert_fails(ibb_catalog_find_windows(c, "10.0.", &w, &err), IBB_E_INVALID, err, "unknown");
	assert_fails(ibb_catalog_find_windows(c, "10.0.203480000000000", &w, &err), IBB_E_INVALID,
		     err, "unknown");
	assert_int_equal(w.build, 7);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(good); i++) {
		assert_ok(ibb_catalog_find_windows(c, good[i].name, &w, &err), err);
		assert_string_equal(w.id, good[i].id);
		assert_int_equal(w.server, good[i].server);
		assert_string_equal(w.arch, "x64");
	}
	assert_int_equal(w.major, 6);
	assert_int_equal(w.minor, 3);
	ibb_catalog_free(c);
}

static void test_name_windows(void **state)
{
	struct ibb_catalog *c = load_small();
	struct ibb_windows w = {.major = 10, .build = 17763, .server = true, .arch = "x86"};

	(void)state;
	ibb_catalog_name_windows(c, &w);
	assert_string_equal(w.id, "server2019");
	assert_string_equal(w.name, "Windows Server 2019");
	assert_string_equal(w.arch, "x86");
	w.server = false;
	ibb_catalog_name_windows(c, &w);
	assert_string_equal(w.id, "win10-1809");
	w.build = 17764;
	ibb_catalog_name_windows(c, &w);
	assert_null(w.id);
	assert_null(w.name);
	ibb_catalog_free(c);
}

/* All rules of a resolution, deciding one first: "a b c". */
static void assert_trace(const struct ibb_resolution *r, const char *want)
{
	char got[512] = "";

	for (size_t i = 0; i < r->n_trace; i++) {
		size_t len = strlen(got);

		snprintf(got + len, sizeof(got) - len, "%s%s", i ? " " : "", r->trace[i].rule);
		assert_int_equal(r->trace[i].decided, i == 0);
		assert_non_null(r->trace[i].source->title);
	}
	assert_string_equal(got, want);
	assert_int_equal(r->state, r->trace[0].state);
}

static struct ibb_resolution *resolve(struct ibb_catalog *c, const char *size, const char *os,
				      const char *arch)
{
	struct ibb_resolution *r = NULL;
	const struct ibb_size *s = NULL;
	struct ibb_error err = {0};
	struct ibb_windows w;

	assert_ok(ibb_catalog_find_size(c, size, &s, &err), err);
	assert_ok(ibb_catalog_find_windows(c, os, &w, &err), err);
	w.arch = arch;
	assert_ok(ibb_catalog_resolve(c, s, &w, &r, &err), err);
	return r;
}

static void test_resolve_order(void **state)
{
	static const struct {
		const char *size, *os, *arch;
		enum ibb_support state;
		const char *trace;
	} cases[] = {
		/* impossible before a size's own "validated" */
		{"Armr", "2022", "x64", IBB_SUPPORT_IMPOSSIBLE, "arm arm-vendor all"},
		/* two impossible ones: the narrower target */
		{"Armr", "2022", "x86", IBB_SUPPORT_IMPOSSIBLE, "arm x86 arm-vendor all"},
		{"X60rs_v3", "2022", "x86", IBB_SUPPORT_IMPOSSIBLE,
		 "x86 series series-wide family all"},
		/* size before series, though undated and without Windows */
		{"X80rs_v3", "2022", "x64", IBB_SUPPORT_UNSUPPORTED,
		 "size series series-wide family all"},
		/* same target and builds: servers alone before both */
		{"X60rs_v3", "2022", NULL, IBB_SUPPORT_VALIDATED, "series series-wide family all"},
		{"X60-30rs_v3", "2019", "x64", IBB_SUPPORT_VALIDATED,
		 "series series-wide family all"},
		/* series before NIC, NIC before family */
		{"X60rs_v3", "win10-22h2", "x64", IBB_SUPPORT_ALLOWED,
		 "series-wide nic family all"},
		{"Y9r", "win10-22h2", "x64", IBB_SUPPORT_ALLOWED, "nic family all"},
		{"Y9r", "2022", "x64", IBB_SUPPORT_ALLOWED, "family all"},
		/* family before everything */
		{"X60rs_v3", "2012r2", "x64", IBB_SUPPORT_ALLOWED, "family all"},
		/* same target and range: the newer source, then the first in the file */
		{"Z7r", "2012r2", "x64", IBB_SUPPORT_ALLOWED, "set-old set-old-2 set-undated all"},
		/* `before` leaves the build itself out */
		{"Z7r", "2019", "x64", IBB_SUPPORT_UNSUPPORTED, "all"},
	};
	struct ibb_catalog *c = load_small();

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_resolution *r = resolve(c, cases[i].size, cases[i].os, cases[i].arch);

		assert_trace(r, cases[i].trace);
		assert_string_equal(ibb_support_name(r->state), ibb_support_name(cases[i].state));
		ibb_resolution_free(r);
	}
	ibb_catalog_free(c);
}

static void assert_warnings(const struct ibb_resolution *r, const char *const *want)
{
	size_t n = 0;

	for (; want[n]; n++) {
		if (n >= r->n_warnings)
			fail_msg("no warning '%s'", want[n]);
		assert_string_equal(r->warnings[n], want[n]);
	}
	if (r->n_warnings > n)
		fail_msg("one warning too many: %s", r->warnings[n]);
}

static void test_resolve_driver(void **state)
{
	struct ibb_catalog *c = load_small();
	struct ibb_resolution *r = resolve(c, "X60rs_v3", "2022", "x64");

	(void)state;
	assert_string_equal(r->size->name, "Standard_X60rs_v3");
	assert_string_equal(r->windows.id, "server2022");
	assert_string_equal(r->driver_set, "drv");
	assert_string_equal(r->driver_set_name, "The driver");
	assert_string_equal(r->service, "drv5");
	assert_string_equal(r->package_inf, "drv5.inf");
	assert_string_equal(r->recommended_version, "1.2.3");
	assert_string_equal(r->recommended_reason, "Newest.");
	assert_string_equal(r->recommended_url, "https://download.example/drv.exe");
	assert_string_equal(r->recommended_confidence, "A");
	assert_non_null(r->recommended_sha256);
	assert_null(r->nd_note);
	assert_int_equal(r->n_local, 1);
	assert_string_equal(r->local[0].path, "/srv/drv.exe");
	assert_memory_equal(r->local[0].sha256, "FF11", 4);
	assert_warnings(r, (const char *const[]){NULL});
	ibb_resolution_free(r);
	r = resolve(c, "X60rs_v3", "win10-1809", "x64");
	assert_string_equal(r->recommended_version, "1.0");
	assert_null(r->recommended_url);
	assert_null(r->recommended_sha256);
	ibb_resolution_free(r);
	r = resolve(c, "X60rs_v3", "2012r2", "x64");
	assert_null(r->recommended_version);
	ibb_resolution_free(r);
	ibb_catalog_free(c);
}

static void test_resolve_warnings(void **state)
{
	struct ibb_catalog *c = load_small();
	struct ibb_resolution *r = resolve(c, "Z7r", "2012r2", "x64");

	(void)state;
	assert_string_equal(r->driver_set, "nd");
	assert_null(r->service);
	assert_null(r->package_inf);
	assert_null(r->recommended_version);
	assert_string_equal(r->nd_note, "never published");
	assert_int_equal(r->n_local, 1);
	assert_string_equal(r->local[0].path, "/srv/nd");
	assert_null(r->local[0].sha256);
	assert_warnings(
		r, (const char *const[]){"Standard_Z7r was retired on 2021-03-01",
					 "what is known of Standard_Z7r is inferred (confidence C)",
					 "the spelling is a guess",
					 "Windows Server 2012 R2 on Standard_Z7r is allowed, not "
					 "validated: Old table.",
					 NULL});
	ibb_resolution_free(r);
	r = resolve(c, "Y9r", "2022", "x64");
	assert_warnings(r,
			(const char *const[]){
				"Standard_Y9r retires on 2027-05-31",
				"the hardware ID of the InfiniBand function of Standard_Y9r is "
				"inferred (confidence C): check it on a VM",
				"Windows Server 2022 on Standard_Y9r is allowed, not "
				"validated: Family.",
				"the deciding rule family is an inference (confidence C)", NULL});
	ibb_resolution_free(r);
	r = resolve(c, "Armr", "2022", "x64");
	assert_warnings(r, (const char *const[]){"Standard_Armr is not a size that is generally "
						 "available (preview-or-internal)",
						 NULL});
	ibb_resolution_free(r);
	ibb_catalog_free(c);
}

/* A build that has no name, and a size of another catalog. */
static void test_resolve_unnamed(void **state)
{
	struct ibb_catalog *c = load_small(), *other = load_small();
	struct ibb_windows w = {.major = 10, .build = 20400, .server = true, .arch = "x64"};
	struct ibb_resolution *r = NULL;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_catalog_resolve(c, ibb_catalog_size_at(c, 3), &w, &r, &err), err);
	assert_trace(r, "family all");
	assert_string_equal(r->warnings[2], "Windows Server build 20400 on Standard_Y9r is "
					    "allowed, not validated: Family.");
	ibb_resolution_free(r);
	r = NULL;
	assert_fails(ibb_catalog_resolve(c, ibb_catalog_size_at(other, 3), &w, &r, &err),
		     IBB_E_INTERNAL, err, "Standard_Y9r is not of this catalog");
	assert_null(r);
	ibb_catalog_free(c);
	ibb_catalog_free(other);
}

static int everything(const char *text, size_t n, struct ibb_error *err)
{
	struct ibb_catalog *c = NULL;
	int rc = ibb_catalog_load("small.json", text, n, &c, err);

	if (rc) {
		assert_null(c);
		return rc;
	}
	for (size_t i = 0; i < ibb_catalog_n_sizes(c) && !rc; i++) {
		for (unsigned b = 7601; b < 30000 && !rc; b += 1300) {
			struct ibb_windows w = {.major = 10,
						.build = b,
						.server = b % 2,
						.arch = b % 3 ? "x64" : "x86"};
			struct ibb_resolution *r = NULL;

			ibb_catalog_name_windows(c, &w);
			rc = ibb_catalog_resolve(c, ibb_catalog_size_at(c, i), &w, &r, err);
			assert_true(rc ? !r : r->n_trace > 0);
			ibb_resolution_free(r);
		}
	}
	ibb_catalog_free(c);
	return rc;
}

static void test_no_memory(void **state)
{
	char *text = quoted(SMALL_CATALOG);
	struct ibb_error err = {0};
	long failed = 0;

	(void)state;
	for (long n = 0;; n++) {
		int r;

		ibb_mem_fail_at(n, n % 2);
		r = everything(text, strlen(text), &err);
		ibb_mem_fail_at(-1, false);
		if (!r)
			break;
		assert_int_equal(r, IBB_E_NOMEM);
		failed++;
	}
	/* catalog, JSON check, lists, and the resolutions' own */
	assert_true(failed > 100);
	free(text);
}

static uint32_t next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Damage that is still JSON reaches further than flipped bytes do. */
static size_t damage(char *text, size_t n, uint32_t *seed)
{
	static const char *const values[] = {"null", "0",      "\"\"",	    "[]", "{}",
					     "true", "\"S1\"", "[\"new\"]", "-1"};
	size_t at = next(seed) % n, len, end;
	const char *v;
	char *colon;

	switch (next(seed) % 4) {
	case 0: /* a byte */
		text[at] = (char)next(seed);
		return n;
	case 1: /* cut */
		len = next(seed) % 40;
		if (at + len > n)
			len = n - at;
		memmove(text + at, text + at + len, n - at - len);
		return n - len;
	default: /* another value */
		colon = memchr(text + at, ':', n - at);
		if (!colon)
			return at;
		at = (size_t)(colon - text) + 1;
		for (end = at; end < n && !strchr(",}]", text[end]);)
			end++;
		v = values[next(seed) % IBB_ARRAY_SIZE(values)];
		len = strlen(v);
		memmove(text + at + len, text + end, n - end);
		memcpy(text + at, v, len);
		return n - (end - at) + len;
	}
}

static void test_damaged(void **state)
{
	char *text = quoted(SMALL_CATALOG);
	size_t n = strlen(text);
	char *copy = malloc(n + 64);
	unsigned ok = 0, corrupt = 0;
	uint32_t seed = 20261120;

	(void)state;
	assert_non_null(copy);
	for (unsigned i = 0; i < 4000; i++) {
		struct ibb_error err = {0};
		size_t len = n;
		int r;

		memcpy(copy, text, n);
		for (unsigned k = next(&seed) % 3 + 1; k && len && len < n + 40; k--)
			len = damage(copy, len, &seed);
		r = everything(copy, len, &err);
		if (!r) {
			ok++;
			continue;
		}
		if (r != IBB_E_CORRUPT && r != IBB_E_UNSUPPORTED)
			fail_msg("round %u: %d %s", i, r, err.msg);
		assert_true(err.msg[0] != '\0' && !strchr(err.msg, '\n'));
		corrupt++;
	}
	/* both outcomes must be common, or the test does not test */
	assert_true(ok > 20);
	assert_true(corrupt > 1000);
	free(copy);
	free(text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_load),
	cmocka_unit_test(test_load_faults),
	cmocka_unit_test(test_load_lists),
	cmocka_unit_test(test_load_newer_format),
	cmocka_unit_test(test_load_too_many),
	cmocka_unit_test(test_find_size),
	cmocka_unit_test(test_find_windows),
	cmocka_unit_test(test_name_windows),
	cmocka_unit_test(test_resolve_order),
	cmocka_unit_test(test_resolve_driver),
	cmocka_unit_test(test_resolve_warnings),
	cmocka_unit_test(test_resolve_unnamed),
	cmocka_unit_test(test_no_memory),
	cmocka_unit_test(test_damaged),
};
IBB_TEST_MAIN(tests)
