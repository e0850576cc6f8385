/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/select.h"

#include "disktest.h"
#include "test.h"

#include "base/time.h"
#include "catalog/builtin.h"
#include "pkgtest.h"
#include "plan/plan.h"
#include "wintree.h"

#define HB	"Standard_HB120rs_v3"
#define IB_FULL "PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00"
#define IB_REV	"PCI\\VEN_15B3&DEV_101C&REV_00"
#define IB_BARE "PCI\\VEN_15B3&DEV_101C"
#define AN_FULL "PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_80"
#define IDS	"DriverDatabase\\DeviceIds\\"

static struct ibb_catalog *catalog;

static int setup(void **state)
{
	struct ibb_error err = {0};

	if (test_dir_setup(state))
		return -1;
	return ibb_catalog_load("catalog", ibb_catalog_builtin, ibb_catalog_builtin_len, &catalog,
				&err);
}

static int teardown(void **state)
{
	ibb_catalog_free(catalog);
	return test_dir_teardown(state);
}

static struct ibb_resolution *resolve(const char *size, const char *os)
{
	const struct ibb_size *z = NULL;
	struct ibb_resolution *r = NULL;
	struct ibb_windows w;
	struct ibb_error err = {0};

	assert_ok(ibb_catalog_find_size(catalog, size, &z, &err), err);
	assert_ok(ibb_catalog_find_windows(catalog, os, &w, &err), err);
	assert_ok(ibb_catalog_resolve(catalog, z, &w, &r, &err), err);
	return r;
}

static struct ibb_facts *facts_of(const struct wintree *t)
{
	struct ibb_volume *v = wintree_open(t);
	struct ibb_facts *f = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_facts_read(v, false, &f, &err), err);
	ibb_volume_close(v);
	return f;
}

static struct ibb_facts *plain(void)
{
	struct wintree t;

	wintree_plain(&t, test_dir(), "server2022");
	return facts_of(&t);
}

static struct ibb_package *package(const struct mkpkg_opts *o)
{
	return pkgtest_make(o, &server_2022);
}

/* ---- may it go on? ---- */

static void support_states(void **state)
{
	static const struct {
		const char *size, *os;
		enum ibb_support want;
		int code, with_allow;
		const char *text;
	} t[] = {
		{HB, "server2022", IBB_SUPPORT_VALIDATED, 0, 0, ""},
		{HB, "win11-23h2", IBB_SUPPORT_ALLOWED, 0, 0, ""},
		{HB, "win7", IBB_SUPPORT_UNSUPPORTED, IBB_E_UNSUPPORTED, 0,
		 HB " on Windows 7 (6.1.7601) is not supported: "},
		{"Standard_ND128isr_NDR_GB200_v6", "server2025", IBB_SUPPORT_IMPOSSIBLE,
		 IBB_E_UNSUPPORTED, IBB_E_UNSUPPORTED, "is impossible: "},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_resolution *r = resolve(t[i].size, t[i].os);
		struct ibb_select_options strict = {0}, allow = {.allow_unsupported = true};
		struct ibb_error err = {0};

		assert_int_equal(r->state, t[i].want);
		assert_fails(ibb_select_check(r, &strict, &err), t[i].code, err, t[i].text);
		/* the deciding rule's own words, and the way out where there is one */
		if (t[i].code)
			assert_non_null(strstr(err.msg, r->trace[0].reason));
		if (t[i].code && !t[i].with_allow)
			assert_non_null(strstr(err.hint, "--allow-unsupported"));
		err = (struct ibb_error){0};
		assert_fails(ibb_select_check(r, &allow, &err), t[i].with_allow, err, "");
		ibb_resolution_free(r);
	}
}

/* ---- which package ---- */

static void serves_the_function(void **state)
{
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct mkpkg_opts o = {0};
	struct ibb_package *p = package(&o);
	struct ibb_facts *f = plain();
	struct ibb_selection s = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_select(f, r, &p, 1, &s, &err), err);
	assert_ptr_equal(s.package, p);
	assert_string_equal(s.matched_id, IB_FULL);
	assert_string_equal(s.match.model->install_section, "Demo.Vf");
	assert_true(s.match.model->line > 0);
	assert_int_equal(s.n_taken_over, 1);
	assert_string_equal(s.taken_over[0].id, AN_FULL);
	assert_string_equal(s.taken_over[0].install_section, "Demo.An");
	assert_int_equal(s.taken_over[0].line, s.match.model->line + 1);
	assert_int_equal(s.n_rejected, 0);
	assert_int_equal(s.n_bound, 0);
	assert_true(s.wins);
	assert_null(s.rival);
	assert_string_equal(s.rank_reason,
			    "no other package of the image is registered for the function");
	ibb_selection_clear(&s);
	ibb_facts_free(f);
	ibb_package_free(p);
	ibb_resolution_free(r);
}

/* A second ID of the function is as good when the first is not served. */
static void serves_the_second_id(void **state)
{
	static const char *const ids[] = {IB_REV};
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct mkpkg_opts o = {.ids = ids, .n_ids = 1};
	struct ibb_package *p = package(&o);
	struct ibb_facts *f = plain();
	struct ibb_selection s = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_select(f, r, &p, 1, &s, &err), err);
	assert_string_equal(s.matched_id, IB_REV);
	assert_int_equal(s.n_taken_over, 0);
	ibb_selection_clear(&s);
	ibb_facts_free(f);
	ibb_package_free(p);
	ibb_resolution_free(r);
}

static void assert_none(struct ibb_resolution *r, struct ibb_package **p, size_t n,
			const char *text, const char *hint)
{
	struct ibb_facts *f = plain();
	struct ibb_selection s = {0};
	struct ibb_error err = {0};

	assert_fails(ibb_select(f, r, p, n, &s, &err), IBB_E_UNSUPPORTED, err, text);
	if (!strstr(err.hint, hint))
		fail_msg("hint '%s' lacks '%s'", err.hint, hint);
	assert_null(s.package); /* untouched on failure */
	ibb_facts_free(f);
}

static void only_the_bare_id(void **state)
{
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct mkpkg_opts bare = {.bare_only = true}, full = {.service = "other"};
	struct ibb_package *p[2] = {package(&bare), package(&full)};
	struct ibb_facts *f = plain();
	struct ibb_selection s = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_none(r, p, 1, "serves the function only as " IB_BARE " (ibbdemo.inf:", "");
	assert_none(r, p, 1, "section Demo.Vf), which is the accelerated-networking binding", "");
	/* beside one that serves it, it is just left out */
	assert_ok(ibb_select(f, r, p, 2, &s, &err), err);
	assert_ptr_equal(s.package, p[1]);
	assert_int_equal(s.n_rejected, 1);
	assert_ptr_equal(s.rejected[0].package, p[0]);
	assert_non_null(strstr(s.rejected[0].reason, "only as " IB_BARE));
	ibb_selection_clear(&s);
	ibb_facts_free(f);
	ibb_package_free(p[0]);
	ibb_package_free(p[1]);
	ibb_resolution_free(r);
}

static void none_serves_it(void **state)
{
	static const char *const ids[] = {"PCI\\VEN_8086&DEV_1234"};
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct mkpkg_opts o = {.ids = ids, .n_ids = 1};
	struct ibb_package *p = package(&o);

	(void)state;
	assert_none(r, NULL, 0,
		    "no driver package was given for " HB ", whose InfiniBand function is " IB_FULL,
		    "--drivers DIR");
	assert_none(r, &p, 1,
		    "none of the 1 driver package(s) given serves the InfiniBand function",
		    r->recommended_version);
	ibb_package_free(p);
	ibb_resolution_free(r);
}

/* Retired sizes whose driver was never published: a package of the user's own serves them. */
static void network_direct(void **state)
{
	struct ibb_resolution *r = resolve("Standard_A8", "server2012r2");
	const char *ids[1];
	struct mkpkg_opts o = {.ids = ids, .n_ids = 1};
	struct ibb_package *p;
	struct ibb_facts *f = plain();
	struct ibb_selection s = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_non_null(r->nd_note);
	assert_none(r, NULL, 0, "Standard_A8 needs the Network Direct driver (VMBUS\\{",
		    "--drivers");
	assert_none(r, NULL, 0, r->nd_note, "if you have the package");
	ids[0] = r->size->function->hardware_ids[0];
	p = package(&o);
	assert_ok(ibb_select(f, r, &p, 1, &s, &err), err);
	assert_string_equal(s.matched_id, ids[0]);
	ibb_selection_clear(&s);
	ibb_facts_free(f);
	ibb_package_free(p);
	ibb_resolution_free(r);
}

static void the_higher_ranked_of_two(void **state)
{
	static const char *const ids[] = {IB_REV};
	static const struct {
		struct mkpkg_opts better, worse;
		const char *why;
	} t[] = {
		{{.version = "2.0.0.0"}, {.version = "1.9.9.9"}, "version"},
		{{.date = "04/17/2026"}, {.version = "9.0.0.0"}, "date"},
		{{.feature_score = "0x10"}, {.date = "05/01/2026"}, "feature score"},
		{{.version = "1.0.0.0"}, {.ids = ids, .n_ids = 1, .date = "06/01/2026"}, ""},
		{{.version = "1.0.0.0"}, {.no_catalog = true, .date = "06/01/2026"}, "signed"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_resolution *r = resolve(HB, "server2022");
		struct ibb_package *better = package(&t[i].better), *worse = package(&t[i].worse);
		struct ibb_package *orders[2][2] = {{better, worse}, {worse, better}};
		struct ibb_facts *f = plain();

		for (int k = 0; k < 2; k++) {
			struct ibb_selection s = {0};
			struct ibb_error err = {0};
			char want[128];

			assert_ok(ibb_select(f, r, orders[k], 2, &s, &err), err);
			assert_ptr_equal(s.package, better);
			assert_int_equal(s.n_rejected, 1);
			assert_ptr_equal(s.rejected[0].package, worse);
			snprintf(want, sizeof(want), "Windows ranks ibbdemo.inf %s (",
				 better->version.version_text);
			assert_int_equal(strncmp(s.rejected[0].reason, want, strlen(want)), 0);
			if (!strstr(s.rejected[0].reason, t[i].why))
				fail_msg("case %zu: '%s' lacks '%s'", i, s.rejected[0].reason,
					 t[i].why);
			ibb_selection_clear(&s);
		}
		ibb_facts_free(f);
		ibb_package_free(better);
		ibb_package_free(worse);
		ibb_resolution_free(r);
	}
}

/* Packages Windows would not distinguish: the first one stays, and nobody claims it ranks higher.
 */
static void two_alike(void **state)
{
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct mkpkg_opts a = {.service = "one"}, b = {.service = "two"};
	struct ibb_package *p[2] = {package(&a), package(&b)};
	struct ibb_facts *f = plain();
	struct ibb_selection s = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_select(f, r, p, 2, &s, &err), err);
	assert_ptr_equal(s.package, p[0]);
	assert_int_equal(s.n_rejected, 1);
	assert_null(strstr(s.rejected[0].reason, "higher"));
	assert_non_null(strstr(s.rejected[0].reason, "alike"));
	ibb_selection_clear(&s);
	ibb_facts_free(f);
	ibb_package_free(p[0]);
	ibb_package_free(p[1]);
	ibb_resolution_free(r);
}

/* ---- rivals in the image ---- */

struct rival {
	const char *id;
	uint8_t data[4];
	int day; /* of April 2026 */
	uint16_t version;
};

static void add_rival(struct ibb_hive *h, const char *name, const char *published,
		      const struct rival *v)
{
	struct ibb_version_blob blob = {
		.published = true, .arch = 9, .version = {v->version, 0, 0, 0}};
	uint8_t raw[IBB_VERSION_BLOB_SIZE];
	char key[256];

	assert_true(ibb_filetime_from_date(2026, 4, v->day, &blob.date));
	assert_true(ibb_guid_parse("{4d36e972-e325-11ce-bfc1-08002be10318}", &blob.class_guid));
	ibb_version_blob_encode(&blob, raw);
	snprintf(key, sizeof(key), "DriverDatabase\\DriverPackages\\%s", name);
	wintree_set_sz(h, key, "", published);
	wintree_set_sz(h, key, "InfName", "rival.inf");
	wintree_set_sz(h, key, "SignerName", "Somebody");
	wintree_set(h, key, "Version", IBB_REG_BINARY, raw, sizeof(raw));
	snprintf(key, sizeof(key), "DriverDatabase\\DriverInfFiles\\%s", published);
	wintree_set_sz(h, key, "Active", name);
	snprintf(key, sizeof(key), IDS "%s", v->id);
	wintree_set(h, key, published, IBB_REG_BINARY, v->data, 4);
}

#define RIVAL "rival.inf_amd64_00000000000000aa"

/* Ours: 16 April 2026, version 1.0.0.0, the full ID as hardware ID, no feature score. */
static void against_one_rival(void **state)
{
	static const struct {
		struct rival rival;
		bool wins;
		const char *reason;
	} t[] = {
		{{IB_FULL, {1, 0xff}, 15, 9},
		 true,
		 "ibbdemo.inf ranks above oem5.inf of the image by a later DriverVer date"},
		{{IB_FULL, {1, 0xff}, 17, 0},
		 false,
		 "ibbdemo.inf ranks below oem5.inf of the image by a later DriverVer date"},
		{{IB_FULL, {1, 0xff}, 16, 0},
		 true,
		 "ibbdemo.inf ranks above oem5.inf of the image by a higher DriverVer version"},
		{{IB_FULL, {1, 0xff}, 16, 2},
		 false,
		 "ibbdemo.inf ranks below oem5.inf of the image by a higher DriverVer version"},
		{{IB_FULL, {1, 0xff}, 16, 1},
		 false,
		 "ibbdemo.inf is not distinguished from oem5.inf of the image by nothing: they "
		 "rank "
		 "alike"},
		{{IB_FULL, {1, 0x80}, 1, 0},
		 false,
		 "ibbdemo.inf ranks below oem5.inf of the image by feature score"},
		{{IB_REV, {1, 0xff}, 30, 9},
		 true,
		 "ibbdemo.inf ranks above oem5.inf of the image by a more specific device ID"},
		{{IB_BARE, {1, 0xff}, 30, 9},
		 true,
		 "ibbdemo.inf ranks above oem5.inf of the image by a more specific device ID"},
		{{IB_BARE, {1, 0x10}, 1, 0},
		 false,
		 "ibbdemo.inf ranks below oem5.inf of the image by feature score"},
		{{IB_FULL, {2, 0xff}, 30, 9},
		 true,
		 "ibbdemo.inf ranks above oem5.inf of the image by a more specific device ID"},
	};
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct mkpkg_opts o = {0};
	struct ibb_package *p = package(&o);

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_selection s = {0};
		struct ibb_error err = {0};
		struct wintree w;
		struct ibb_hive *h;
		struct ibb_facts *f;

		wintree_plain(&w, test_dir(), "server2022");
		h = wintree_hive(&w, "DRIVERS");
		add_rival(h, RIVAL, "oem5.inf", &t[i].rival);
		wintree_save(&w, "DRIVERS", h);
		f = facts_of(&w);
		assert_ok(ibb_select(f, r, &p, 1, &s, &err), err);
		assert_non_null(s.rival);
		assert_string_equal(s.rival->name, RIVAL);
		assert_string_equal(s.rank_reason, t[i].reason);
		assert_int_equal(s.wins, t[i].wins);
		ibb_selection_clear(&s);
		ibb_facts_free(f);
	}
	ibb_package_free(p);
	ibb_resolution_free(r);
}

/* The best of several counts, in either node. */
static void against_several_rivals(void **state)
{
	static const struct rival weak = {IB_BARE, {1, 0xff}, 30, 9};
	static const struct rival strong = {IB_FULL, {1, 0xff}, 20, 3};
	static const struct rival middle = {IB_FULL, {1, 0xff}, 20, 2};
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct mkpkg_opts o = {0};
	struct ibb_package *p = package(&o);
	struct ibb_selection s = {0};
	struct ibb_error err = {0};
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	h = wintree_hive(&w, "DRIVERS");
	add_rival(h, "rival.inf_amd64_0000000000000001", "oem1.inf", &weak);
	add_rival(h, "rival.inf_amd64_0000000000000002", "oem2.inf", &middle);
	wintree_save(&w, "DRIVERS", h);
	h = wintree_hive(&w, "SYSTEM");
	add_rival(h, "rival.inf_amd64_0000000000000003", "oem3.inf", &strong);
	wintree_save(&w, "SYSTEM", h);
	f = facts_of(&w);
	assert_ok(ibb_select(f, r, &p, 1, &s, &err), err);
	assert_string_equal(s.rival->published, "oem3.inf");
	assert_false(s.wins);
	ibb_selection_clear(&s);
	ibb_facts_free(f);
	ibb_package_free(p);
	ibb_resolution_free(r);
}

/* The identical package, staged before, is no rival of itself. */
static void identical_is_no_rival(void **state)
{
	static const struct rival same = {IB_FULL, {1, 0xff}, 16, 1};
	static const char *const names[] = {"rival.inf"};
	static const char *const pci[] = {IB_FULL "=oem5.inf", AN_FULL "=oem4.inf"};
	struct winhives_spec spec = wintree_spec("server2022");
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct mkpkg_opts o = {.inf_name = "rival.inf"};
	struct ibb_package *p = package(&o);
	struct ibb_selection s = {0};
	struct ibb_error err = {0};
	struct ibb_volume *v;
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;

	(void)state;
	spec.pci = pci;
	spec.n_pci = 2;
	wintree_make(&w, test_dir(), &spec);
	h = wintree_hive(&w, "DRIVERS");
	add_rival(h, RIVAL, "oem5.inf", &same);
	wintree_save(&w, "DRIVERS", h);
	wintree_put(&w, WINTREE_STORE "/" RIVAL "/rival.inf", p->files[0].bytes.data,
		    p->files[0].bytes.len);
	wintree_put(&w, WINTREE_CAT "/oem5.cat", p->files[1].bytes.data, p->files[1].bytes.len);
	f = facts_of(&w);
	v = wintree_open(&w);
	assert_ok(ibb_facts_read_store(f, v, names, 1, &err), err);
	assert_ok(ibb_select(f, r, &p, 1, &s, &err), err);
	assert_null(s.rival);
	assert_true(s.wins);
	/* and a device that it drives needs nothing, though one of another package does */
	assert_int_equal(f->n_devices, 2);
	assert_string_equal(f->devices[0].inf, "oem5.inf");
	assert_int_equal(s.n_bound, 1);
	assert_ptr_equal(s.bound[0], &f->devices[1]);
	ibb_selection_clear(&s);
	ibb_volume_close(v);
	ibb_facts_free(f);
	ibb_package_free(p);
	ibb_resolution_free(r);
}

/* ---- the image as it is ---- */

static void in_image(void **state)
{
	static const struct rival bare = {IB_BARE, {1, 0xff}, 30, 9},
				  full = {IB_REV, {1, 0xff}, 1, 1};
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct ibb_error err = {0};
	struct ibb_fact_match m;
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f = plain();
	bool is_bare = true;

	(void)state;
	assert_ok(ibb_select_in_image(f, r->size->function, &m, &is_bare, &err), err);
	assert_null(m.package);
	assert_false(is_bare);
	ibb_facts_free(f);

	wintree_plain(&w, test_dir(), "server2022");
	h = wintree_hive(&w, "DRIVERS");
	add_rival(h, "rival.inf_amd64_0000000000000001", "oem1.inf", &bare);
	wintree_save(&w, "DRIVERS", h);
	f = facts_of(&w);
	assert_ok(ibb_select_in_image(f, r->size->function, &m, &is_bare, &err), err);
	assert_string_equal(m.package->published, "oem1.inf");
	assert_string_equal(m.id, IB_BARE);
	assert_true(is_bare);
	ibb_facts_free(f);

	h = wintree_hive(&w, "DRIVERS");
	add_rival(h, "rival.inf_amd64_0000000000000002", "oem2.inf", &full);
	wintree_save(&w, "DRIVERS", h);
	f = facts_of(&w);
	assert_ok(ibb_select_in_image(f, r->size->function, &m, &is_bare, &err), err);
	assert_string_equal(m.package->published, "oem2.inf");
	assert_string_equal(m.id, IB_REV);
	assert_false(is_bare);
	ibb_facts_free(f);

	/* its name is of another package now: the ID leads there no longer */
	wintree_edit_sz(&w, "DRIVERS", "DriverDatabase\\DriverInfFiles\\oem2.inf", "Active",
			"other.inf_amd64_0000000000000003");
	f = facts_of(&w);
	assert_ok(ibb_select_in_image(f, r->size->function, &m, &is_bare, &err), err);
	assert_string_equal(m.package->published, "oem1.inf");
	assert_true(is_bare);
	ibb_facts_free(f);
	wintree_edit_delete(&w, "DRIVERS", "DriverDatabase\\DriverInfFiles\\oem1.inf");
	f = facts_of(&w);
	assert_ok(ibb_select_in_image(f, r->size->function, &m, &is_bare, &err), err);
	assert_null(m.package);
	assert_false(is_bare);
	ibb_facts_free(f);
	ibb_resolution_free(r);
}

/* ---- device instances ---- */

static void instances_that_run_a_driver(void **state)
{
	static const char *const pci[] = {
		IB_FULL "=oem9.inf",	       /* bound: needs an install at boot */
		AN_FULL,		       /* served, but runs nothing */
		"PCI\\VEN_15B3&DEV_A2D6=x.inf" /* runs something we do not serve */
	};
	struct winhives_spec spec = wintree_spec("server2022");
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct mkpkg_opts o = {0};
	struct ibb_package *p = package(&o);
	struct ibb_selection s = {0};
	struct ibb_error err = {0};
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;

	(void)state;
	spec.pci = pci;
	spec.n_pci = IBB_ARRAY_SIZE(pci);
	wintree_make(&w, test_dir(), &spec);
	h = wintree_hive(&w, "SYSTEM");
#define SET2 "ControlSet002\\Enum\\PCI\\VEN_15B3&DEV_1018\\7"
	wintree_set(h, SET2, "HardwareID", IBB_REG_MULTI_SZ,
		    "P\0C\0I\0\\\0V\0E\0N\0_\0001\0005\0B\0003\0&\0D\0E\0V\0_\0001\0000\0001\0008\0"
		    "\0\0\0",
		    46);
	wintree_set_sz(h, SET2, "Driver", "{4d36e972-e325-11ce-bfc1-08002be10318}\\0009");
	wintree_save(&w, "SYSTEM", h);
	f = facts_of(&w);
	assert_int_equal(f->n_devices, 4);
	assert_ok(ibb_select(f, r, &p, 1, &s, &err), err);
	assert_int_equal(s.n_bound, 2);
	assert_string_equal(s.bound[0]->device_id, IB_FULL);
	assert_string_equal(s.bound[0]->control_set, "ControlSet001");
	assert_string_equal(s.bound[1]->control_set, "ControlSet002");
	ibb_selection_clear(&s);
	ibb_facts_free(f);
	ibb_package_free(p);
	ibb_resolution_free(r);
}

/* ---- readiness ---- */

static void readiness(void **state)
{
	static const struct rival newer = {IB_FULL, {1, 0xff}, 20, 3};
	static const char *const pci[] = {IB_FULL "=oem9.inf"};
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct mkpkg_opts o = {0};
	struct ibb_package *p = package(&o);

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct winhives_spec spec = wintree_spec("server2022");
		struct ibb_selection s = {0};
		struct ibb_readiness ready;
		struct ibb_error err = {0};
		struct wintree w;
		struct ibb_facts *f;

		spec.pci = pci;
		spec.n_pci = i == 2;
		wintree_make(&w, test_dir(), &spec);
		if (i == 1) {
			struct ibb_hive *h = wintree_hive(&w, "DRIVERS");

			add_rival(h, RIVAL, "oem5.inf", &newer);
			wintree_save(&w, "DRIVERS", h);
		}
		f = facts_of(&w);
		if (i == 3)
			f->nd_provider = strdup("mlx5nd.dll");
		assert_ok(ibb_select(f, r, &p, 1, &s, &err), err);
		ibb_plan_readiness(&s, &ready);
		assert_int_equal(ready.driver, i == 1 || i == 2 ? IBB_READY_NO : IBB_READY_YES);
		assert_non_null(strstr(ready.driver_reason,
				       i == 1	? "ranks below oem5.inf"
				       : i == 2 ? "needs-install-at-boot: 1 device instance(s)"
						: "ibbdemo.inf 1.0.0.0 serves " IB_FULL));
		assert_int_equal(ready.address, IBB_READY_NO);
		assert_non_null(strstr(ready.address_reason, "address"));
		assert_int_equal(ready.user_nd, i == 3 ? IBB_READY_YES : IBB_READY_NO);
		assert_non_null(strstr(ready.user_nd_reason,
				       i == 3 ? "mlx5nd.dll" : "MS-MPI will not use RDMA"));
		ibb_selection_clear(&s);
		ibb_facts_free(f);
	}
	ibb_package_free(p);
	ibb_resolution_free(r);
}

static void readiness_of_an_image(void **state)
{
	struct ibb_fact_package p = {.published = "oem5.inf"};
	struct ibb_fact_match none = {0}, m = {.package = &p, .id = IB_FULL};
	struct ibb_readiness ready;
	struct ibb_facts *f = plain();

	(void)state;
	ibb_plan_readiness_in_image(f, &none, false, &ready);
	assert_int_equal(ready.driver, IBB_READY_NO);
	assert_non_null(strstr(ready.driver_reason, "no package of the image"));
	ibb_plan_readiness_in_image(f, &m, true, &ready);
	assert_int_equal(ready.driver, IBB_READY_NO);
	assert_non_null(strstr(ready.driver_reason, "only the bare device ID"));
	ibb_plan_readiness_in_image(f, &m, false, &ready);
	assert_int_equal(ready.driver, IBB_READY_YES);
	assert_string_equal(ready.driver_reason, "oem5.inf serves " IB_FULL);
	assert_string_equal(ibb_ready_name(IBB_READY_YES), "ready");
	assert_string_equal(ibb_ready_name(IBB_READY_AT_BOOT), "at boot");
	assert_string_equal(ibb_ready_name(IBB_READY_NO), "absent");
	ibb_facts_free(f);
}

static void out_of_memory(void **state)
{
	static const char *const pci[] = {IB_FULL "=oem9.inf"};
	static const struct rival rival = {IB_FULL, {1, 0xff}, 20, 3};
	struct winhives_spec spec = wintree_spec("server2022");
	struct mkpkg_opts bare = {.bare_only = true}, o = {0}, newer = {.version = "2.0.0.0"};
	struct ibb_package *p[3] = {package(&bare), package(&o), package(&newer)};
	struct ibb_resolution *r = resolve(HB, "server2022");
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;
	long n, asked;

	(void)state;
	spec.pci = pci;
	spec.n_pci = 1;
	wintree_make(&w, test_dir(), &spec);
	h = wintree_hive(&w, "DRIVERS");
	add_rival(h, RIVAL, "oem5.inf", &rival);
	wintree_save(&w, "DRIVERS", h);
	f = facts_of(&w);
	for (n = 0;; n++) {
		struct ibb_selection s = {0};
		struct ibb_error err = {0};
		int rc;

		ibb_mem_fail_at(n, false);
		rc = ibb_select(f, r, p, 3, &s, &err);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		if (asked <= n) {
			assert_ok(rc, err);
			ibb_selection_clear(&s);
			break;
		}
		if (rc != IBB_E_NOMEM || s.package)
			fail_msg("allocation %ld failed: %d %s", n, rc, err.msg);
	}
	assert_true(n > 10);
	ibb_facts_free(f);
	for (int i = 0; i < 3; i++)
		ibb_package_free(p[i]);
	ibb_resolution_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(support_states),
		cmocka_unit_test(serves_the_function),
		cmocka_unit_test(serves_the_second_id),
		cmocka_unit_test(only_the_bare_id),
		cmocka_unit_test(none_serves_it),
		cmocka_unit_test(network_direct),
		cmocka_unit_test(the_higher_ranked_of_two),
		cmocka_unit_test(two_alike),
		cmocka_unit_test(against_one_rival),
		cmocka_unit_test(against_several_rivals),
		cmocka_unit_test(identical_is_no_rival),
		cmocka_unit_test(in_image),
		cmocka_unit_test(instances_that_run_a_driver),
		cmocka_unit_test(readiness),
		cmocka_unit_test(readiness_of_an_image),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
