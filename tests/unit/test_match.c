/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which IDs a package serves, and which package Windows prefers. */
#include "driver/package.h"

#include "test.h"

#include "pkgtest.h"

#define HEAD                                                       \
	"[Version]\r\nSignature=\"$Windows NT$\"\r\nClass=Net\r\n" \
	"ClassGuid={4d36e972-e325-11ce-bfc1-08002be10318}\r\nProvider=X\r\n"
#define MODELS                                                                        \
	"[Manufacturer]\r\nX=M,NTamd64\r\n"                                           \
	"[I]\r\nX=1\r\n[Good]\r\nFeatureScore=0x20\r\n[Bad]\r\nFeatureScore=0x90\r\n" \
	"[M.NTamd64]\r\n"

/* An INF with this DriverVer and these models lines. */
static struct ibb_package *pkg(const char *driver_ver, const char *models)
{
	struct memdir d = {.n = 0};
	struct ibb_package_source src = memsource(&d);
	struct ibb_package *p = NULL;
	struct ibb_error err = {0};
	char inf[2048];

	snprintf(inf, sizeof(inf), HEAD "DriverVer=%s\r\n" MODELS "%s", driver_ver, models);
	memdir_add(&d, "x.inf", inf, 0);
	assert_ok(ibb_package_load(&src, "x.inf", &server_2019, &p, &err), err);
	return p;
}

#define DATE "01/02/2024,1.0.0.0"

static const char *const hw[] = {"HW_1", "HW_2"};
static const char *const compat[] = {"CID_1", "CID_2"};
static const struct ibb_device_ids device = {hw, 2, compat, 2};

/* Microsoft's table ("Driver Package Rank Example"), for a FeatureScore of 0x20. */
static void documented_ranks(void **state)
{
	static const struct {
		const char *models;
		uint32_t rank;
		const char *id;
		bool compatible;
		size_t index;
	} t[] = {
		{"D=Good,HW_1,X,Y", 0x200000, "HW_1", false, 0},
		{"D=Good,X,HW_1,Y", 0x201000, "HW_1", true, 0},
		{"D=Good,X,Y,HW_1", 0x201000, "HW_1", true, 1},
		{"D=Good,HW_2,X,Y", 0x200001, "HW_2", false, 0},
		{"D=Good,X,HW_2,Y", 0x201001, "HW_2", true, 0},
		{"D=Good,X,Y,HW_2", 0x201001, "HW_2", true, 1},
		{"D=Good,CID_1,X,Y", 0x202000, "CID_1", false, 0},
		{"D=Good,X,CID_1,Y", 0x203000, "CID_1", true, 0},
		{"D=Good,X,Y,CID_1", 0x203100, "CID_1", true, 1},
		{"D=Good,CID_2,X,Y", 0x202001, "CID_2", false, 0},
		{"D=Good,X,CID_2,Y", 0x203001, "CID_2", true, 0},
		{"D=Good,X,Y,CID_2", 0x203101, "CID_2", true, 1},
		/* no FeatureScore: 0xFF */
		{"D=I,hw_1", 0xff0000, "HW_1", false, 0},
		/* the best of several lines; the feature score weighs most */
		{"D=I,HW_1\r\nD=Good,CID_2", 0x202001, "CID_2", false, 0},
		{"D=Good,CID_1,CID_2,HW_2", 0x201001, "HW_2", true, 1},
		{"D=Bad,HW_2\r\nD=Good,HW_2", 0x200001, "HW_2", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_package *p = pkg(DATE, t[i].models);
		struct ibb_device_match m;
		struct ibb_error err = {0};

		assert_ok(ibb_package_match_device(p, &device, &m, &err), err);
		assert_non_null(m.match.model);
		if (m.rank != t[i].rank)
			fail_msg("%s: 0x%08x, not 0x%08x", t[i].models, m.rank, t[i].rank);
		assert_string_equal(m.id, t[i].id);
		assert_int_equal(m.match.compatible, t[i].compatible);
		assert_int_equal(m.match.index, t[i].index);
		ibb_package_free(p);
	}
}

static void one_id(void **state)
{
	struct ibb_package *p = pkg(DATE, "D=I,A\\1,B\\1,C\\1\r\nD=Bad,c\\1\r\nD=I,a\\1\r\n"
					  "E=Good,z,C\\1\r\n");
	struct ibb_error err = {0};
	struct ibb_match m;

	(void)state;
	assert_ok(ibb_package_match(p, "a\\1", &m, &err), err);
	assert_false(m.compatible);
	assert_ptr_equal(m.model, &p->models.models[0]); /* the first of equals */
	assert_ok(ibb_package_match(p, "b\\1", &m, &err), err);
	assert_true(m.compatible);
	assert_int_equal(m.index, 0);
	assert_int_equal(m.feature_score, 0xff);
	assert_ok(ibb_package_match(p, "C\\1", &m, &err), err); /* feature score decides */
	assert_ptr_equal(m.model, &p->models.models[3]);
	assert_true(m.compatible);
	assert_int_equal(m.feature_score, 0x20);
	for (size_t i = 0; i < 4; i++) {
		static const char *const none[] = {"A", "A\\11", "", "\xc3\xa4"};

		assert_ok(ibb_package_match(p, none[i], &m, &err), err);
		assert_null(m.model);
	}
	ibb_package_free(p);
}

static void ranking(void **state)
{
	static const struct {
		const char *ver_a, *a, *ver_b, *b;
		int want;
		const char *reason;
	} t[] = {
		{DATE, "D=I,HW_1", DATE, "D=I,HW_1", 0, "equal"},
		{DATE, "D=I,HW_1", DATE, "D=I,OTHER", 1, "only one of them serves"},
		{DATE, "D=I,OTHER", DATE, "D=I,CID_2", -1, "only one of them serves"},
		{DATE, "D=I,OTHER", "01/03/2024,1.0", "D=I,OTHER", 0, "neither serves"},
		/* feature score beats ID and date */
		{"01/01/2010,1.0.0.0", "D=Good,CID_2", "01/01/2024,9.0.0.0", "D=I,HW_1", 1,
		 "better feature score"},
		{DATE, "D=Bad,HW_1", DATE, "D=Good,HW_1", -1, "better feature score"},
		/* ID beats date: T, then the position */
		{"01/01/2010,1.0.0.0", "D=I,HW_1", "01/01/2024,9.0.0.0", "D=I,HW_2", 1,
		 "more specific device ID"},
		{"01/01/2010,1.0.0.0", "D=I,HW_2", "01/01/2024,9.0.0.0", "D=I,X,HW_1", 1,
		 "more specific device ID"},
		{"01/01/2010,1.0.0.0", "D=I,X,HW_2", "01/01/2024,9.0.0.0", "D=I,CID_1", 1,
		 "more specific device ID"},
		{"01/01/2010,1.0.0.0", "D=I,CID_2", "01/01/2024,9.0.0.0", "D=I,X,CID_1", 1,
		 "more specific device ID"},
		/* date beats version */
		{"01/02/2024,1.0.0.0", "D=I,HW_1", "01/01/2024,9.9.9.9", "D=I,HW_1", 1,
		 "newer DriverVer date"},
		{"12/31/2023,9.0.0.0", "D=I,HW_1", "01/01/2024,1.0.0.0", "D=I,HW_1", -1,
		 "newer DriverVer date"},
		{"01/02/2024,1.2.3.5", "D=I,HW_1", "01/02/2024,1.2.3.4", "D=I,HW_1", 1,
		 "higher DriverVer version"},
		{"01/02/2024,1.9.0.0", "D=I,HW_1", "01/02/2024,1.10.0.0", "D=I,HW_1", -1,
		 "higher DriverVer version"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_package *a = pkg(t[i].ver_a, t[i].a), *b = pkg(t[i].ver_b, t[i].b);
		const char *reason = NULL;
		struct ibb_error err = {0};
		int r = 99;

		assert_ok(ibb_package_rank_device(a, b, &device, &r, &reason, &err), err);
		if (r != t[i].want || !strstr(reason, t[i].reason))
			fail_msg("case %zu: %d, %s", i, r, reason);
		assert_ok(ibb_package_rank_device(b, a, &device, &r, &reason, &err), err);
		assert_int_equal(r, -t[i].want);
		assert_non_null(strstr(reason, t[i].reason));
		ibb_package_free(a);
		ibb_package_free(b);
	}
}

/* A signature outweighs everything else: an unsigned package's rank has a bit no signed one has. */
static void signed_first(void **state)
{
	static const char *const ids[] = {"PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00"};
	struct mkpkg_opts old = {.date = "01/01/2010"};
	struct mkpkg_opts fresh = {.date = "01/01/2026", .no_catalog = true};
	struct ibb_package *a = pkgtest_make(&old, &server_2022);
	struct ibb_package *b = pkgtest_make(&fresh, &server_2022);
	const char *reason = NULL;
	struct ibb_error err = {0};
	int r = 0;

	(void)state;
	assert_ok(ibb_package_rank(a, b, ids, 1, &r, &reason, &err), err);
	assert_int_equal(r, 1);
	assert_string_equal(reason, "it is signed and the other is not");
	ibb_package_free(a);
	ibb_package_free(b);
}

/* What the demonstration's options promise about the size's function. */
static void generated_ids(void **state)
{
	static const char *const ids[] = {"PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00",
					  "PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3"};
	static const char *const bare[] = {"PCI\\VEN_15B3&DEV_101C&REV_00",
					   "PCI\\VEN_15B3&DEV_101C"};
	const struct ibb_device_ids dev = {ids, 2, bare, 2};
	struct mkpkg_opts o = {.inf_name = NULL};
	struct ibb_package *full = pkgtest_make(&o, &server_2022), *only_bare;
	struct ibb_device_match m;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_package_match_device(full, &dev, &m, &err), err);
	assert_int_equal(m.rank, 0xff0000);
	assert_string_equal(m.match.model->install_section, "Demo.Vf");
	o.bare_only = true;
	only_bare = pkgtest_make(&o, &server_2022);
	assert_ok(ibb_package_match_device(only_bare, &dev, &m, &err), err);
	assert_int_equal(m.rank, 0xff2001);
	assert_string_equal(m.id, bare[1]);
	ibb_package_free(full);
	ibb_package_free(only_bare);
}

/* The real package: the function of an HBv3 size, and the accelerated-networking ones. */
static void mlx5_ids(void **state)
{
	static const struct {
		const char *id, *section;
	} t[] = {
		{"PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00", "mlx5.vMlx5install"},
		{"PCI\\VEN_15B3&DEV_1018&SUBSYS_000715B3&REV_00", "mlx5.vMlx5install"},
		{"PCI\\VEN_15B3&DEV_101E&SUBSYS_000715B3&REV_00", "mlx5.vMlx5install"},
		{"pci\\ven_15b3&dev_101c&subsys_000715b3&rev_80", "mlx5.hvMlx5install"},
		{"PCI\\VEN_15B3&DEV_101C", "mlx5.hvMlx5install"},
		{"PCI\\VEN_15B3&DEV_1016", "mlx5.hvMlx5install"},
		{"PCI\\VEN_15B3&DEV_1004", NULL},
	};
	struct ibb_package *p = pkgtest_real("mlx5-24.4.26429", "mlx5.inf", &client_22h2);
	struct ibb_error err = {0};
	struct ibb_match m;

	(void)state;
	if (!p)
		skip();
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		assert_ok(ibb_package_match(p, t[i].id, &m, &err), err);
		if (!t[i].section) {
			assert_null(m.model);
			continue;
		}
		assert_non_null(m.model);
		assert_ptr_equal(strstr(m.model->install_section, t[i].section),
				 m.model->install_section);
		assert_false(m.compatible);
	}
	assert_ok(ibb_package_match(p, t[0].id, &m, &err), err);
	assert_string_equal(m.model->hardware_id, "PCI\\VEN_15B3&DEV_101c&SUBSYS_000715B3&REV_00");
	ibb_package_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documented_ranks), cmocka_unit_test(one_id),
		cmocka_unit_test(ranking),	    cmocka_unit_test(signed_first),
		cmocka_unit_test(generated_ids),    cmocka_unit_test(mlx5_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
