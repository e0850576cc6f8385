/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which models section Windows takes: a table written by hand from Microsoft's rule ("INF
 * Manufacturer Section", "Combining Platform Extensions with Operating System Versions") and from
 * the [Manufacturer] line of mlx5.inf, before the code was asked. Lines and counts were taken from
 * the file with another tool (Python, a regular expression a line).
 *
 * The rule: a decoration applies when its architecture is the target's, its version is not above
 * the target's, its minimum build is not above the target's (looked at only when the versions are
 * equal), its product type is the target's and all its suites are the target's. Of those that
 * apply, the highest version wins; then the one that "most closely matches". Microsoft does not say
 * whether the build or the product type is closer. No row of mlx5 depends on it; the rows below
 * marked "ours" do.
 */
#include "test_inf.h"

#include <stdlib.h>

#include "base/utf16.h"

#define MLX5	    "drivers/mlx5-24.4.26429/mlx5.inf"
#define N_FUNCTIONS 8

/* The functions of Azure's sizes, and the install section (before its decoration) of each: v is a
 * VF seen by Windows itself, hv one that Hyper-V hands over beside a synthetic adapter. */
static const struct {
	const char *id, *install;
} functions[N_FUNCTIONS] = {
	{"PCI\\VEN_15B3&DEV_1018&SUBSYS_000715B3&REV_00", "mlx5.vMlx5install."}, /* HB, HC */
	{"PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00", "mlx5.vMlx5install."}, /* HBv2, HBv3 */
	{"PCI\\VEN_15B3&DEV_101E&SUBSYS_000715B3&REV_00",
	 "mlx5.vMlx5install."}, /* HBv4, HX, HBv5 */
	{"PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_80", "mlx5.hvMlx5install."}, /* accelerated */
	{"PCI\\VEN_15B3&DEV_1016&REV_80", "mlx5.hvMlx5install."},
	{"PCI\\VEN_15B3&DEV_101A&REV_80", "mlx5.hvMlx5install."},
	{"PCI\\VEN_15B3&DEV_1018&REV_80", "mlx5.hvMlx5install."},
	{"PCI\\VEN_15B3&DEV_101E&REV_80", "mlx5.hvMlx5install."},
};

/* The seven sections of mlx5.inf: where each begins, and the models lines of the functions. */
static const struct section {
	const char *decoration; /* behind NTamd64. and the install sections' names */
	unsigned line, functions[N_FUNCTIONS];
} sections[] = {
	{"10.0", 21, {801, 1215, 1912, 1216, 593, 1063, 1056, 3927}},
	{"10.0...17763", 4282, {5062, 5476, 6173, 5477, 4854, 5324, 5317, 8188}},
	{"10.0...18305", 8542, {9322, 9736, 10433, 9737, 9114, 9584, 9577, 12448}},
	{"10.0...20287", 12801, {13581, 13995, 14692, 13996, 13373, 13843, 13836, 16707}},
	{"10.0.1..20287", 17061, {17841, 18255, 18952, 18256, 17633, 18103, 18096, 20967}},
	{"10.0...26020", 21320, {22100, 22514, 23211, 22515, 21892, 22362, 22355, 25226}},
	{"10.0.1..26020", 25580, {26360, 26774, 27471, 26775, 26152, 26622, 26615, 29486}},
};
enum { S_10, S_17763, S_18305, S_20287, S_20287_CLIENT, S_26020, S_26020_CLIENT };

static const struct row {
	unsigned build, product; /* 1 client, 2 domain controller, 3 server; all 10.0 */
	int section;
	const char *reason; /* what the code must say */
} rows[] = {
	/* Server 2016 and 10 1607: above 14310, so builds are read, but each is above 14393 */
	{14393, 1, S_10, "the only one of 7 that applies"},
	{14393, 2, S_10, "the only one of 7 that applies"},
	{14393, 3, S_10, "the only one of 7 that applies"},
	/* Server 2019 and 10 1809: the minimum build is reached exactly */
	{17763, 1, S_17763, "of 2 that apply"},
	{17763, 2, S_17763, "the highest build (17763) not above the target's"},
	{17763, 3, S_17763, "next is NTamd64.10.0"},
	/* 10 2004 and Server, version 2004: 18305 is the highest not above 19041 */
	{19041, 1, S_18305, "of 3 that apply"},
	{19041, 3, S_18305, "the highest build (18305) not above the target's"},
	/* Server 2022: the section for clients is out; of the others the highest */
	{20348, 2, S_20287, "of 4 that apply"},
	{20348, 3, S_20287, "the highest build (20287) not above the target's"},
	/* no client has this build; it would be the first to be told apart by its product type */
	{20348, 1, S_20287_CLIENT, "the target's product type (1)"},
	/* 11 21H2: 20287 twice, and the client's names its product type. A server would not match
	 */
	{22000, 1, S_20287_CLIENT, "of 5 that apply"},
	{22000, 3, S_20287, "next is NTamd64.10.0...18305"},
	/* 11 23H2: 26020 is still above */
	{22631, 1, S_20287_CLIENT, "next is NTamd64.10.0...20287"},
	{22631, 3, S_20287, "of 4 that apply"},
	/* Server 2025, 11 24H2 */
	{26100, 1, S_26020_CLIENT, "of 7 that apply"},
	{26100, 2, S_26020, "of 5 that apply"},
	{26100, 3, S_26020, "the highest build (26020) not above the target's"},
};

static int compare_ids(const void *a, const void *b)
{
	return ibb_casecmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t distinct_ids(const struct ibb_inf_models *m)
{
	const char **ids = calloc(m->n, sizeof(*ids));
	size_t n = 0;

	assert_non_null(ids);
	for (size_t i = 0; i < m->n; i++) {
		ids[i] = m->models[i].hardware_id;
		assert_int_equal(m->models[i].n_compatible, 0);
	}
	qsort(ids, m->n, sizeof(*ids), compare_ids);
	for (size_t i = 0; i < m->n; i++)
		n += !i || ibb_casecmp(ids[i], ids[i - 1]) != 0;
	free(ids);
	return n;
}

static void check_function(struct ibb_inf *inf, const struct ibb_inf_target *t,
			   const struct ibb_inf_models *m, const struct section *s, size_t f)
{
	const struct ibb_inf_install *in = NULL;
	struct ibb_error err = {0};
	size_t found = 0;
	char want[80];

	snprintf(want, sizeof(want), "%s%s", functions[f].install, s->decoration);
	for (size_t i = 0; i < m->n; i++) {
		if (!ibb_caseeq(m->models[i].hardware_id, functions[f].id))
			continue;
		found++;
		assert_int_equal(m->models[i].line, s->functions[f]);
		assert_string_equal(m->models[i].install_section, want);
		assert_ok(ibb_inf_install(inf, t, m->models[i].install_section, &in, &err), err);
		assert_string_equal(in->section, want);
		assert_string_equal(in->service, "mlx5");
	}
	assert_int_equal(found, 1);
}

static void mlx5_table(void **state)
{
	struct ibb_buf b = {0};
	struct ibb_inf *inf;

	(void)state;
	TEST_DATA_OR_SKIP(MLX5, &b);
	inf = parse_data(MLX5, &b);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		struct ibb_inf_target t = {IBB_ARCH_AMD64,  10, 0, rows[i].build,
					   rows[i].product, 0};
		const struct section *s = &sections[rows[i].section];
		struct ibb_inf_models m;
		struct ibb_error err = {0};
		char name[64];

		assert_ok(ibb_inf_models(inf, &t, &m, &err), err);
		snprintf(name, sizeof(name), "Mellanox.NTamd64.%s", s->decoration);
		if (m.n_sections != 1 || strcmp(m.sections[0], name) != 0)
			fail_msg("build %u, product %u: %s, wanted %s", rows[i].build,
				 rows[i].product, m.sections[0], name);
		assert_int_equal(m.section_lines[0], s->line);
		if (!strstr(m.reasons[0], rows[i].reason))
			fail_msg("build %u, product %u: '%s' lacks '%s'", rows[i].build,
				 rows[i].product, m.reasons[0], rows[i].reason);
		assert_int_equal(m.n, 4255);
		assert_int_equal(distinct_ids(&m), 4255);
		for (size_t f = 0; f < N_FUNCTIONS; f++)
			check_function(inf, &t, &m, s, f);
	}
	ibb_inf_free(inf);
	ibb_buf_clear(&b);
}

#define AMD64(major, minor, build, product, suite)                  \
	{                                                           \
		IBB_ARCH_AMD64, major, minor, build, product, suite \
	}
#define ARM64(build)                               \
	{                                          \
		IBB_ARCH_ARM64, 10, 0, build, 1, 0 \
	}

/* Every field of a decoration, and what happens when two are equally near. */
static const struct choice {
	const char *line; /* of [Manufacturer], behind "%x%=M," */
	struct ibb_inf_target t;
	const char *chosen; /* NULL: none applies */
	const char *reason;
} choices[] = {
	/* architecture: the target's own, even when the other is nearer in all else */
	{"NTarm64.10.0...22000,NTamd64", AMD64(10, 0, 22631, 1, 0), "NTamd64", "only one of 2"},
	{"NTarm64.10.0...22000,NTamd64", ARM64(22631), "NTarm64.10.0...22000", "only one of 2"},
	{"NTamd64,NTx86,NTarm", ARM64(22631), NULL, "offers NTamd64, NTx86, NTarm"},
	/* major version: numbers, not text ("6" is above "10" as text) */
	{"NTamd64.6.3,NTamd64.10.0", AMD64(10, 0, 17763, 3, 0), "NTamd64.10.0", "version (10.0)"},
	{"NTamd64.6.3,NTamd64.10.0", AMD64(6, 3, 9600, 3, 0), "NTamd64.6.3", "only one of 2"},
	{"NTamd64.10.0,NTamd64.6.3", AMD64(6, 2, 9200, 3, 0), NULL, "Windows 6.2 build 9200"},
	/* minor version: above within the major; no minor is 0 */
	{"NTamd64.6.1,NTamd64.6.2,NTamd64.6.3", AMD64(6, 2, 9200, 1, 0), "NTamd64.6.2",
	 "version (6.2)"},
	{"NTamd64.6,NTamd64.6.1", AMD64(6, 1, 7601, 1, 0), "NTamd64.6.1", "version (6.1)"},
	{"NTamd64.6,NTamd64.6.1", AMD64(6, 0, 6002, 1, 0), "NTamd64.6", "only one of 2"},
	{"NTamd64,NTamd64.6", AMD64(10, 0, 17763, 1, 0), "NTamd64.6", "version (6.0)"},
	/* product type: exactly; a domain controller is no server here */
	{"NTamd64.10.0.1,NTamd64.10.0.2,NTamd64.10.0.3", AMD64(10, 0, 17763, 2, 0),
	 "NTamd64.10.0.2", "only one of 3"},
	{"NTamd64.10.0.1,NTamd64.10.0.3", AMD64(10, 0, 17763, 2, 0), NULL, "no models section"},
	{"NTamd64.10.0,NTamd64.10.0.3", AMD64(10, 0, 17763, 3, 0), "NTamd64.10.0.3",
	 "product type (3)"},
	{"NTamd64.10.0,NTamd64.10.0.0x3", AMD64(10, 0, 17763, 1, 0), "NTamd64.10.0", "only one"},
	/* "a specific version number takes precedence over the product type and suite mask" */
	{"NTamd64...3,NTamd64.6.3", AMD64(10, 0, 17763, 3, 0), "NTamd64.6.3", "version (6.3)"},
	{"NTamd64....0x80,NTamd64.6.3", AMD64(10, 0, 17763, 3, 0x80), "NTamd64.6.3",
	 "version (6.3)"},
	/* suites: all of the mask; more of them are nearer */
	{"NTamd64.10.0,NTamd64.10.0..0x80", AMD64(10, 0, 17763, 3, 0x80), "NTamd64.10.0..0x80",
	 "product suite (0x80)"},
	{"NTamd64.10.0,NTamd64.10.0..0x80", AMD64(10, 0, 17763, 3, 0x10), "NTamd64.10.0",
	 "only one of 2"},
	{"NTamd64.10.0..0x80,NTamd64.10.0..0x82", AMD64(10, 0, 17763, 3, 0x92),
	 "NTamd64.10.0..0x82", "product suite (0x82)"},
	{"NTamd64.10.0.3.0x80,NTamd64.10.0.3", AMD64(10, 0, 17763, 3, 0x80), "NTamd64.10.0.3.0x80",
	 "product suite (0x80)"},
	/* build: minimum, decimal or hexadecimal, not looked at for a newer version */
	{"NTamd64.10.0...17763,NTamd64.10.0...0x4563", AMD64(10, 0, 17762, 1, 0), NULL,
	 "no models section for Windows 10.0 build 17762"},
	{"NTamd64.10.0,NTamd64.10.0...0x47bc", AMD64(10, 0, 18364, 1, 0), "NTamd64.10.0...0x47bc",
	 "build (18364)"},
	{"NTamd64.10.0...99999", AMD64(10, 1, 14310, 1, 0), "NTamd64.10.0...99999",
	 "the only section offered"},
	{"NTamd64.10.0...99999,NTamd64.10.1", AMD64(10, 1, 14310, 1, 0), "NTamd64.10.1",
	 "version (10.1)"},
	/* "will not parse unknown decorations": before 14310 a build makes it no decoration */
	{"NTamd64.10.0,NTamd64.10.0...10240", AMD64(10, 0, 10586, 1, 0), "NTamd64.10.0",
	 "only one of 2"},
	/* ours: the build goes before the product type, that before the suite */
	{"NTamd64.10.0.1,NTamd64.10.0...17763", AMD64(10, 0, 19041, 1, 0), "NTamd64.10.0...17763",
	 "build (17763)"},
	{"NTamd64.10.0..0x80,NTamd64.10.0.3", AMD64(10, 0, 17763, 3, 0x80), "NTamd64.10.0.3",
	 "product type (3)"},
	/* ours: ties go to the one that stands first */
	{"NTamd64.10.0...0x4563,NTamd64.10.0...17763", AMD64(10, 0, 17763, 1, 0),
	 "NTamd64.10.0...0x4563", "the same decoration and stands first"},
	{"NTamd64.10.0...17763,NTamd64.10.0...0x4563", AMD64(10, 0, 17763, 1, 0),
	 "NTamd64.10.0...17763", "the same decoration and stands first"},
	{"NTamd64.10,NTamd64.10.0", AMD64(10, 0, 17763, 1, 0), "NTamd64.10",
	 "the same decoration and stands first"},
	{"NTamd64.10.0..0x80,NTamd64.10.0..0x10", AMD64(10, 0, 17763, 3, 0x90),
	 "NTamd64.10.0..0x80", "product suite (0x80)"},
	{"NTAMD64.10.0,NTamd64.10.0", AMD64(10, 0, 17763, 1, 0), "NTAMD64.10.0",
	 "the same decoration and stands first"},
};

static struct ibb_inf *inf_for(const char *line)
{
	struct ibb_buf b = {0};
	struct ibb_inf *inf;
	const char *p = line;

	assert_int_equal(ibb_buf_printf(&b, "[Manufacturer]\n%%x%%=M,%s\n", line), 0);
	while (*p) {
		size_t n = strcspn(p, ",");

		assert_int_equal(ibb_buf_printf(&b, "[M.%.*s]\nd=i,%.*s\n", (int)n, p, (int)n, p),
				 0);
		p += n + (p[n] == ',');
	}
	inf = parse_bytes(b.data, b.len);
	ibb_buf_clear(&b);
	return inf;
}

static void fields_and_ties(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(choices); i++) {
		const struct choice *c = &choices[i];
		struct ibb_inf *inf = inf_for(c->line);
		struct ibb_inf_models m = {0};
		struct ibb_error err = {0};
		int rc = ibb_inf_models(inf, &c->t, &m, &err);

		if (rc != (c->chosen ? IBB_OK : IBB_E_UNSUPPORTED))
			fail_msg("%s: %d %s", c->line, rc, err.msg);
		if (c->chosen && (m.n_sections != 1 || strcmp(m.sections[0] + 2, c->chosen) != 0))
			fail_msg("%s: %s, wanted M.%s", c->line, m.sections[0], c->chosen);
		if (!strstr(c->chosen ? m.reasons[0] : err.msg, c->reason))
			fail_msg("%s: '%s' lacks '%s'", c->line, c->chosen ? m.reasons[0] : err.msg,
				 c->reason);
		ibb_inf_free(inf);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(mlx5_table),
	cmocka_unit_test(fields_and_ties),
};

IBB_TEST_MAIN(tests)
