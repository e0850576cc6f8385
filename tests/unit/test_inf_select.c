/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decorations, the choice of models sections, models lines. */
#include "test_inf.h"

#define AMD64(major, minor, build, product)                     \
	{                                                       \
		IBB_ARCH_AMD64, major, minor, build, product, 0 \
	}
#define X86(major, minor, suite)                           \
	{                                                  \
		IBB_ARCH_X86, major, minor, 2600, 1, suite \
	}

static void parse_decorations(void **state)
{
	struct ibb_inf_decoration d;

	(void)state;
	assert_true(ibb_inf_decoration_parse("NTamd64.10.0.1..20287", &d));
	assert_true(d.nt && d.has_arch && d.has_version && d.has_product && d.has_build);
	assert_false(d.has_suite);
	assert_int_equal(d.arch, IBB_ARCH_AMD64);
	assert_int_equal(d.major, 10);
	assert_int_equal(d.minor, 0);
	assert_int_equal(d.product_type, 1);
	assert_int_equal(d.build, 20287);
	assert_true(ibb_inf_decoration_parse("ntX86.6.3.0x3.0X80", &d));
	assert_int_equal(d.product_type, 3);
	assert_int_equal(d.suite_mask, 0x80);
	assert_false(d.has_build);
	assert_true(ibb_inf_decoration_parse("NTx86....0x80", &d));
	assert_true(d.has_suite && !d.has_version && !d.has_product);
	assert_true(ibb_inf_decoration_parse("nt", &d));
	assert_true(d.nt && !d.has_arch && !d.has_version);
	assert_true(ibb_inf_decoration_parse("NT.5", &d));
	assert_int_equal(d.major, 5);
	assert_true(ibb_inf_decoration_parse("NTia64", &d));
	assert_string_equal(ibb_arch_name(d.arch), "ia64");
	assert_true(ibb_inf_decoration_parse("NTarm64.10.0...0x47C4", &d));
	assert_int_equal(d.build, 18372);
}

static void not_decorations(void **state)
{
	static const char *const bad[] = {
		"",
		"n",
		"x86",
		"NTmips",
		"NTamd64x",
		"NTamd64.ten",
		"NTamd64.10.0.1.2.3.4",
		"NTamd64..0",
		"NTamd64.10.0x",
		"NTamd64 .10",
		"NTamd64.99999999999",
		"NTamd64.-1",
		"NTamd64.10.0...0xg",
		"Co",
		"NTamd64,10",
		"NTamd64.000000000000000000000000000000000010",
	};
	struct ibb_inf_decoration d;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++)
		if (ibb_inf_decoration_parse(bad[i], &d))
			fail_msg("'%s' passed for a decoration", bad[i]);
}

/* Does the decoration apply? The reasons are Microsoft's, "INF Manufacturer Section". */
static void applicability(void **state)
{
	static const struct {
		const char *decoration;
		struct ibb_inf_target t;
		bool applies;
	} cases[] = {
		/* the architecture must be the target's */
		{"NTamd64", AMD64(10, 0, 19041, 1), true},
		{"NTx86", AMD64(10, 0, 19041, 1), false},
		{"NTia64", AMD64(10, 0, 19041, 1), false},
		{"NTarm64", {IBB_ARCH_ARM64, 10, 0, 22000, 1, 0}, true},
		{"NTarm", {IBB_ARCH_ARM64, 10, 0, 22000, 1, 0}, false},
		/* and may be left out only for x86 (Server 2003 SP1 and later) */
		{"NT", AMD64(10, 0, 19041, 1), false},
		{"NT.10.0", AMD64(10, 0, 19041, 1), false},
		{"NT", X86(5, 1, 0), true},
		{"NT.5", X86(5, 1, 0), true},
		/* version not above the target's, compared major first */
		{"NTamd64.6.3", AMD64(10, 0, 10240, 1), true},
		{"NTamd64.10.0", AMD64(6, 3, 9600, 3), false},
		{"NTamd64.6.4", AMD64(6, 3, 9600, 3), false},
		{"NTamd64.6", AMD64(6, 0, 6002, 3), true},
		{"NTamd64.10.1", AMD64(10, 0, 26100, 3), false},
		/* a minimum build counts only at exactly the target's version */
		{"NTamd64.10.0...18305", AMD64(10, 0, 18305, 1), true},
		{"NTamd64.10.0...18305", AMD64(10, 0, 18304, 1), false},
		{"NTamd64.10.0...18305", AMD64(10, 1, 14310, 1), true},
		{"NTamd64.10.0...18305", AMD64(11, 0, 1, 1), true},
		/* builds before 14310 do not parse a decoration with a build number */
		{"NTamd64.10.0...10000", AMD64(10, 0, 10240, 1), false},
		{"NTamd64.6.1...7600", AMD64(6, 1, 7601, 1), false},
		{"NTamd64.6.1...7600", AMD64(10, 0, 14309, 1), false},
		{"NTamd64.6.1...7600", AMD64(10, 0, 14310, 1), true},
		/* the product type must match */
		{"NTamd64.10.0.1", AMD64(10, 0, 17763, 1), true},
		{"NTamd64.10.0.1", AMD64(10, 0, 17763, 3), false},
		{"NTamd64.10.0.3", AMD64(10, 0, 17763, 2), false},
		{"NTamd64...3", AMD64(10, 0, 17763, 3), true},
		/* all suites of the mask must be there; unknown suites are none */
		{"NTx86....0x80", X86(5, 1, 0), false},
		{"NTx86....0x80", X86(5, 1, 0x82), true},
		{"NTx86....0x82", X86(5, 1, 0x80), false},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_inf_decoration d;

		assert_true(ibb_inf_decoration_parse(cases[i].decoration, &d));
		if ((ibb_inf_decoration_rank(&d, &cases[i].t) != 0) != cases[i].applies)
			fail_msg("case %zu, %s: %s", i, cases[i].decoration,
				 cases[i].applies ? "should apply" : "should not apply");
	}
}

/* Each list from the farthest to the nearest; every one applies to the target. */
static void ranking(void **state)
{
	static const struct {
		struct ibb_inf_target t;
		const char *order[8];
	} cases[] = {
		/* version, then build, then product type */
		{AMD64(10, 0, 26100, 1),
		 {"NTamd64", "NTamd64.6.1", "NTamd64.6.3", "NTamd64.10.0", "NTamd64.10.0.1",
		  "NTamd64.10.0...17763", "NTamd64.10.0...26020", "NTamd64.10.0.1..26020"}},
		/* "a specific version number takes precedence over the product type and suite" */
		{X86(5, 1, 0x80), {"NT", "NTx86", "NT....0x80", "NTx86...1", "NT.5", "NTx86.5"}},
		/* more of the target's suites are nearer */
		{X86(5, 1, 0x82), {"NTx86.5.1", "NTx86.5.1..0x80", "NTx86.5.1..0x82"}},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		uint64_t before = 0;

		for (size_t k = 0; k < 8 && cases[i].order[k]; k++) {
			struct ibb_inf_decoration d;
			uint64_t rank;

			assert_true(ibb_inf_decoration_parse(cases[i].order[k], &d));
			rank = ibb_inf_decoration_rank(&d, &cases[i].t);
			if (rank <= before)
				fail_msg("%s should beat the one before", cases[i].order[k]);
			before = rank;
		}
	}
}

/* [Manufacturer] and sections named M and M.<decoration>, each with one line "x=<name>,id". */
static struct ibb_inf *manufacturer(const char *line, const char *const *sections)
{
	char text[4096];
	int n = snprintf(text, sizeof(text), "[Manufacturer]\n%s\n", line);

	for (; *sections; sections++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "[%s]\nx=inst,ID\\%s\n",
			      *sections, *sections);
	return parse(text);
}

static void choice(void **state)
{
	static const char *const all[] = {"M",
					  "M.NT",
					  "M.NT.5",
					  "M.NT.5.5",
					  "M.NT....0x80",
					  "M.NTx86....0x80",
					  "M.NTamd64",
					  "M.NTamd64.10.0",
					  "M.NTamd64.10.0...17763",
					  "M.NTamd64.10.0.1..20287",
					  "M.NTamd64.10.0...20287",
					  "M.NTamd64.6.1",
					  NULL};
	static const struct {
		const char *line;
		struct ibb_inf_target t;
		const char *chosen; /* NULL: none applies */
		const char *why;
	} cases[] = {
		/* the examples of "INF Manufacturer Section" */
		{"%x%=M, NT, NT.5, NT.5.5, NT....0x80", X86(5, 1, 0), "M.NT.5",
		 "highest version (5.0)"},
		{"%x%=M, NT, NT.5, NT.5.5, NT....0x80", X86(5, 1, 0x80), "M.NT.5", "version"},
		{"%x%=M, NTx86....0x80, NTamd64", X86(5, 1, 0x80), "M.NTx86....0x80", "suite"},
		{"%x%=M, NTx86....0x80, NTamd64", AMD64(5, 2, 3790, 3), "M.NTamd64", "only one"},
		{"%x%=M, NTamd64.6.1, NTamd64.10.0, NTamd64.10.0...17763", AMD64(6, 3, 9600, 3),
		 "M.NTamd64.6.1", "only one"},
		{"%x%=M, NTamd64.6.1, NTamd64.10.0, NTamd64.10.0...17763", AMD64(10, 0, 14393, 3),
		 "M.NTamd64.10.0", "highest version (10.0)"},
		{"%x%=M, NTamd64.6.1, NTamd64.10.0, NTamd64.10.0...17763", AMD64(10, 0, 19041, 1),
		 "M.NTamd64.10.0...17763", "highest build (17763)"},
		/* client and server at the same build */
		{"%x%=M,NTamd64.10.0...20287,NTamd64.10.0.1..20287", AMD64(10, 0, 22000, 1),
		 "M.NTamd64.10.0.1..20287", "product type (1)"},
		{"%x%=M,NTamd64.10.0...20287,NTamd64.10.0.1..20287", AMD64(10, 0, 20348, 3),
		 "M.NTamd64.10.0...20287", "only one"},
		/* undecorated is x86 only, and the last resort there */
		{"%x%=M", X86(5, 0, 0), "M", "only section"},
		{"%x%=M,NTamd64", X86(5, 1, 0), "M", "only one"},
		{"%x%=M", AMD64(10, 0, 19041, 1), NULL, "undecorated"},
		{"%x%=M,NTx86", AMD64(10, 0, 19041, 1), NULL, "NTx86, an undecorated section"},
		{"M", X86(5, 0, 0), "M", "only section"}, /* "manufacturer-name" alone */
		/* what cannot be read is not valid; empty fields are nothing */
		{"%x%=M,,NTamd64.10.0x,NTamd64,", AMD64(10, 0, 19041, 1), "M.NTamd64", "only one"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_inf *inf = manufacturer(cases[i].line, all);
		struct ibb_inf_models m = {0};
		struct ibb_error err = {0};

		if (cases[i].chosen) {
			assert_ok(ibb_inf_models(inf, &cases[i].t, &m, &err), err);
			assert_int_equal(m.n_sections, 1);
			assert_string_equal(m.sections[0], cases[i].chosen);
			assert_int_equal(m.n, 1);
			assert_string_equal(m.models[0].hardware_id + 3, cases[i].chosen);
			if (!strstr(m.reasons[0], cases[i].why))
				fail_msg("case %zu: '%s' lacks '%s'", i, m.reasons[0],
					 cases[i].why);
		} else {
			assert_fails(ibb_inf_models(inf, &cases[i].t, &m, &err), IBB_E_UNSUPPORTED,
				     err, cases[i].why);
			assert_int_equal(m.n, 0);
		}
		ibb_inf_free(inf);
	}
}

static void several_manufacturers(void **state)
{
	struct ibb_inf *inf =
		parse("[Manufacturer]\n%A%=SecA,NTamd64\nB Inc.=%SecB%,NTamd64,NTx86\n"
		      "%C%=SecC,NTx86\n%D%=seca,NTAMD64\n"
		      "[SecB.NTamd64]\nb=ib,B1\n[SecA.ntamd64]\na1=ia,A1\na2=ia,A2\n"
		      "[Strings]\nA=\"Alpha, Inc.\"\nSecB=SecB\n");
	struct ibb_inf_models m, again;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_inf_models(inf, &win10_19041, &m, &err), err);
	assert_int_equal(m.n_sections, 2); /* SecA once, although two lines name it */
	assert_string_equal(m.sections[0], "SecA.ntamd64"); /* spelt as in the file */
	assert_int_equal(m.section_lines[0], 8);
	assert_string_equal(m.sections[1], "SecB.NTamd64");
	assert_int_equal(m.n, 3);
	assert_string_equal(m.models[0].manufacturer, "Alpha, Inc.");
	assert_string_equal(m.models[1].hardware_id, "A2");
	assert_string_equal(m.models[2].manufacturer, "B Inc.");
	assert_int_equal(m.models[2].line, 7);
	assert_ok(ibb_inf_models(inf, &win10_19041, &again, &err), err);
	assert_ptr_equal(again.models, m.models);
	ibb_inf_free(inf);
}

static void models_lines(void **state)
{
	struct ibb_inf *inf = parse("[Manufacturer]\nM=M,NTamd64\n[M.NTamd64]\n"
				    "%D% = Inst, PCI\\VEN_15b3&DEV_101c, PCI\\C1, , \"PCI\\C2\"\n"
				    "\"No ID, at all\" = Inst\n"
				    "only = Inst,,  PCI\\VEN_15AD&DEV_07B0\n"
				    "comma = Inst,X,\n"
				    "[Strings]\nD = \"A device\"\n");
	struct ibb_inf_models m;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_inf_models(inf, &win10_19041, &m, &err), err);
	assert_int_equal(m.n, 4);
	assert_string_equal(m.models[0].description, "A device");
	assert_string_equal(m.models[0].install_section, "Inst");
	assert_string_equal(m.models[0].hardware_id, "PCI\\VEN_15b3&DEV_101c");
	assert_int_equal(m.models[0].n_compatible, 2);
	assert_string_equal(m.models[0].compatible_ids[0], "PCI\\C1");
	assert_string_equal(m.models[0].compatible_ids[1], "PCI\\C2");
	assert_string_equal(m.models[1].description, "No ID, at all");
	assert_string_equal(m.models[1].hardware_id, "");
	assert_int_equal(m.models[1].n_compatible, 0);
	assert_string_equal(m.models[2].hardware_id, "");
	assert_string_equal(m.models[2].compatible_ids[0], "PCI\\VEN_15AD&DEV_07B0");
	assert_int_equal(m.models[3].n_compatible, 0);
	ibb_inf_free(inf);
}

/* "an empty section named [FooMfg.NTx86.6.0] prohibits installation" */
static void exclusion(void **state)
{
	struct ibb_inf *inf = parse("[Manufacturer]\n%x%=M,NTamd64.6.1,NTamd64.10.0\n"
				    "[M.NTamd64.6.1]\nd=i,ID\n[M.NTamd64.10.0]\n");
	struct ibb_inf_target win7 = AMD64(6, 1, 7601, 1);
	struct ibb_inf_models m;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_inf_models(inf, &win7, &m, &err), err);
	assert_fails(ibb_inf_models(inf, &win10_19041, &m, &err), IBB_E_UNSUPPORTED, err,
		     "t.inf:5: models section [M.NTamd64.10.0] is empty: the INF excludes Windows "
		     "10.0 build 19041 amd64 workstation");
	ibb_inf_free(inf);
	inf = parse("[Manufacturer]\n%x%=M,NTamd64.10.0\n[M.NTamd64]\nd=i,ID\n");
	assert_fails(ibb_inf_models(inf, &win10_19041, &m, &err), IBB_E_UNSUPPORTED, err,
		     "[M.NTamd64.10.0], which the file does not have");
	ibb_inf_free(inf);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(parse_decorations),
	cmocka_unit_test(not_decorations),
	cmocka_unit_test(applicability),
	cmocka_unit_test(ranking),
	cmocka_unit_test(choice),
	cmocka_unit_test(several_manufacturers),
	cmocka_unit_test(models_lines),
	cmocka_unit_test(exclusion),
};

IBB_TEST_MAIN(tests)
