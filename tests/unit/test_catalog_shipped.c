/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The catalog that ibbake ships: every size against what was read in the sources. */
#include "test.h"

#include "catalog/builtin.h"
#include "catalog/model.h"
#include "catalog/catalog.h"

#define GOLDEN IBB_SOURCE_DIR "/tests/golden/resolve-matrix.txt"

static struct ibb_catalog *shipped(void)
{
	struct ibb_catalog *c = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_catalog_load(IBB_CATALOG_BUILTIN_NAME, ibb_catalog_builtin,
				   ibb_catalog_builtin_len, &c, &err),
		  err);
	return c;
}

static struct ibb_windows windows(const struct ibb_catalog *c, const char *id)
{
	struct ibb_windows w = {0};
	struct ibb_error err = {0};

	assert_ok(ibb_catalog_find_windows(c, id, &w, &err), err);
	return w;
}

static struct ibb_resolution *resolve(const struct ibb_catalog *c, const char *size,
				      const struct ibb_windows *w)
{
	struct ibb_resolution *r = NULL;
	const struct ibb_size *s = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_catalog_find_size(c, size, &s, &err), err);
	assert_string_equal(s->name, size);
	assert_ok(ibb_catalog_resolve(c, s, w, &r, &err), err);
	return r;
}

static void test_builtin_is_the_file(void **state)
{
	struct ibb_buf file = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_read_file(IBB_SOURCE_DIR "/catalogs/azure-rdma.json", 1u << 24, &file, &err),
		  err);
	assert_int_equal(file.len, ibb_catalog_builtin_len);
	assert_memory_equal(file.data, ibb_catalog_builtin, file.len);
	assert_true(file.len < 150000);
	ibb_buf_clear(&file);
}

/*
 * By hand, from the series pages and tables. V, A, U, I for Server 2012 R2, 2016, 2019, 2022,
 * 2025, Windows 10 22H2, Windows 11 23H2.
 */
static const char *const os[] = {"server2012r2", "server2016", "server2019", "server2022",
				 "server2025",	 "win10-22h2", "win11-23h2"};

struct group {
	const char *series, *nic, *driver_set, *function, *states;
	unsigned gbps, ports;
	const char *rate, *retire_date;
	bool gen1, gen2;
	const char *names[9];
};
static const struct group groups[] = {
	{"A8-A9",
	 "unknown-nd",
	 "nd",
	 "nd-vmbus",
	 "AUUUUUU",
	 40,
	 1,
	 "QDR",
	 "2021-03-01",
	 true,
	 false,
	 {"A8", "A9"}},
	{"H",
	 "unknown-nd",
	 "nd",
	 "nd-vmbus",
	 "AAUUUUU",
	 56,
	 1,
	 "FDR",
	 "2022-08-31",
	 true,
	 false,
	 {"H16r", "H16mr", "H16r_Promo", "H16mr_Promo"}},
	{"HB",
	 "CX5",
	 "winof2",
	 "ib-vf-cx5",
	 "AVVVAAA",
	 100,
	 1,
	 "EDR",
	 "2024-08-31",
	 true,
	 true,
	 {"HB60rs", "HB60-45rs", "HB60-30rs", "HB60-15rs"}},
	{"HC",
	 "CX5",
	 "winof2",
	 "ib-vf-cx5",
	 "AVVVAAA",
	 100,
	 1,
	 "EDR",
	 "2027-05-31",
	 true,
	 true,
	 {"HC44rs", "HC44-32rs", "HC44-16rs"}},
	{"HBv2",
	 "CX6",
	 "winof2",
	 "ib-vf-cx6",
	 "UAAVVAA",
	 200,
	 1,
	 "HDR",
	 "2027-05-31",
	 true,
	 true,
	 {"HB120rs_v2", "HB120-96rs_v2", "HB120-64rs_v2", "HB120-32rs_v2", "HB120-16rs_v2"}},
	{"HBv3",
	 "CX6",
	 "winof2",
	 "ib-vf-cx6",
	 "UAAVVAA",
	 200,
	 1,
	 "HDR",
	 NULL,
	 true,
	 true,
	 {"HB120rs_v3", "HB120-96rs_v3", "HB120-64rs_v3", "HB120-32rs_v3", "HB120-16rs_v3"}},
	{"HBv4",
	 "CX7",
	 "winof2",
	 "ib-vf-cx7",
	 "UAAVVUU",
	 400,
	 1,
	 "NDR",
	 NULL,
	 false,
	 true,
	 {"HB176rs_v4", "HB176-144rs_v4", "HB176-96rs_v4", "HB176-48rs_v4", "HB176-24rs_v4"}},
	{"HX",
	 "CX7",
	 "winof2",
	 "ib-vf-cx7",
	 "UUUAAUU",
	 400,
	 1,
	 "NDR",
	 NULL,
	 false,
	 true,
	 {"HX176rs", "HX176-144rs"}},
	{"HX",
	 "CX7",
	 "winof2",
	 "ib-vf-cx7",
	 "UAAAAUU",
	 400,
	 1,
	 "NDR",
	 NULL,
	 false,
	 true,
	 {"HX176-96rs", "HX176-48rs", "HX176-24rs"}},
	{"HBv5",
	 "CX7",
	 "winof2",
	 "ib-vf-cx7",
	 "UUUVVUU",
	 200,
	 4,
	 "NDR",
	 NULL,
	 false,
	 true,
	 {"HB368rs_v5", "HB368-336rs_v5", "HB368-288rs_v5", "HB368-240rs_v5", "HB368-192rs_v5",
	  "HB368-144rs_v5", "HB368-96rs_v5", "HB368-48rs_v5"}},
	{"NC",
	 "unknown-nd",
	 "nd",
	 "nd-vmbus",
	 "AAUUUUU",
	 56,
	 1,
	 "FDR",
	 "2022-08-31",
	 true,
	 false,
	 {"NC24r", "NC24r_Promo"}},
	{"NCv2",
	 "CX3-Pro",
	 "winof",
	 "ib-vf-cx3pro",
	 "AAAUUAU",
	 56,
	 1,
	 "FDR",
	 "2022-08-31",
	 false,
	 false,
	 {"NC24rs_v2"}},
	{"NCv3",
	 "CX3-Pro",
	 "winof",
	 "ib-vf-cx3pro",
	 "AAAUUAU",
	 56,
	 1,
	 "FDR",
	 "2025-09-30",
	 true,
	 true,
	 {"NC24rs_v3"}},
	{"ND",
	 "CX3-Pro",
	 "winof",
	 "ib-vf-cx3pro",
	 "AAAUUAU",
	 56,
	 1,
	 "FDR",
	 "2023-09-06",
	 false,
	 false,
	 {"ND24rs"}},
	{"NDv2",
	 "CX5",
	 "winof2",
	 "ib-vf-cx5",
	 "AAAAAAA",
	 100,
	 1,
	 "EDR",
	 NULL,
	 false,
	 true,
	 {"ND40rs_v2"}},
	{"ND A100 v4",
	 "CX6",
	 "winof2",
	 "ib-vf-cx6",
	 "UUUUUUU",
	 200,
	 8,
	 "HDR",
	 NULL,
	 false,
	 true,
	 {"ND96asr_v4"}},
	{"NDm A100 v4",
	 "CX6",
	 "winof2",
	 "ib-vf-cx6",
	 "UUUUUUU",
	 200,
	 8,
	 "HDR",
	 NULL,
	 false,
	 true,
	 {"ND96amsr_A100_v4"}},
	{"ND H100 v5",
	 "CX7",
	 "winof2",
	 "ib-vf-cx7",
	 "UUUUUUU",
	 400,
	 8,
	 "NDR",
	 NULL,
	 false,
	 true,
	 {"ND96isr_H100_v5", "ND96isrf_H100_v5"}},
	{"ND H200 v5",
	 "CX7",
	 "winof2",
	 "ib-vf-cx7",
	 "UUUUUUU",
	 400,
	 8,
	 "NDR",
	 NULL,
	 false,
	 true,
	 {"ND96isr_H200_v5", "ND96isrf_H200_v5"}},
	{"ND MI300X v5",
	 "CX7",
	 "winof2",
	 "ib-vf-cx7",
	 "UUUUUUU",
	 400,
	 8,
	 "NDR",
	 NULL,
	 false,
	 true,
	 {"ND96isr_MI300X_v5"}},
	{"ND GB200 v6",
	 "CX7",
	 "none",
	 "ib-vf-cx7",
	 "IIIIIII",
	 400,
	 4,
	 "NDR",
	 NULL,
	 false,
	 true,
	 {"ND128isr_NDR_GB200_v6"}},
	{"ND GB300 v6",
	 "CX8",
	 "none",
	 "ib-vf-cx8",
	 "IIIIIII",
	 800,
	 4,
	 "XDR",
	 NULL,
	 false,
	 true,
	 {"ND128isr_GB300_v6", "ND128isrG5_GB300_v6"}},
	{"ND VR200 v6",
	 "CX8",
	 "none",
	 "ib-vf-cx8",
	 "IIIIIII",
	 0,
	 0,
	 NULL,
	 NULL,
	 false,
	 true,
	 {"ND128isr_VR200_v6"}},
};

static void same(const char *what, const char *name, const char *got, const char *want)
{
	if (!got != !want || (got && strcmp(got, want) != 0))
		fail_msg("%s of %s: %s, wanted %s", what, name, got ? got : "none",
			 want ? want : "none");
}

static void check_facts(const struct group *g, const struct ibb_size *s)
{
	same("series", s->name, s->series, g->series);
	same("NIC", s->name, s->nic, g->nic);
	same("driver set", s->name, s->driver_set, g->driver_set);
	same("function", s->name, s->function->id, g->function);
	same("rate", s->name, s->rate, g->rate);
	same("date", s->name, s->retire_date, g->retire_date);
	assert_int_equal(s->gbps_per_port, g->gbps);
	assert_int_equal(s->ports, g->ports);
	assert_int_equal(s->generation1, g->gen1);
	assert_int_equal(s->generation2, g->gen2);
	assert_int_equal(s->sriov, strcmp(g->driver_set, "nd") != 0);
	assert_int_equal(s->retired, g->retire_date && strcmp(g->retire_date, "2026-11-20") < 0);
	same("arch", s->name, s->arch, strcmp(g->driver_set, "none") ? "x64" : "arm64");
	/* Standard_HB60-45rs belongs to Standard_HB60rs */
	assert_int_equal(s->constrained_of != NULL, strchr(s->name, '-') != NULL);
}

static void test_every_size(void **state)
{
	struct ibb_catalog *c = shipped();
	size_t n = 0;
	char name[64];

	(void)state;
	for (const struct group *g = groups; g < groups + IBB_ARRAY_SIZE(groups); g++) {
		for (unsigned i = 0; i < IBB_ARRAY_SIZE(g->names) && g->names[i]; i++) {
			snprintf(name, sizeof(name), "Standard_%s", g->names[i]);
			for (unsigned k = 0; k < IBB_ARRAY_SIZE(os); k++) {
				struct ibb_windows w = windows(c, os[k]);
				struct ibb_resolution *r = resolve(c, name, &w);
				char got = "VAUI"[r->state];

				if (!k)
					check_facts(g, r->size);
				same("driver set", name, r->driver_set, g->driver_set);
				if (got != g->states[k])
					fail_msg("%s on %s: %c by %s, wanted %c", name, os[k], got,
						 r->trace[0].rule, g->states[k]);
				ibb_resolution_free(r);
			}
			n++;
		}
	}
	assert_int_equal(n, 58);
	assert_int_equal(ibb_catalog_n_sizes(c), 58);
	ibb_catalog_free(c);
}

static void test_impossible_everywhere(void **state)
{
	struct ibb_catalog *c = shipped();

	(void)state;
	for (size_t i = 0; i < ibb_catalog_n_sizes(c); i++) {
		static const char *const arches[] = {"x86", "arm64"};
		const char *name = ibb_catalog_size_at(c, i)->name;

		for (unsigned a = 0; a < 2; a++) {
			struct ibb_windows w = windows(c, "server2022");
			struct ibb_resolution *r;

			w.arch = arches[a];
			r = resolve(c, name, &w);
			assert_int_equal(r->state, IBB_SUPPORT_IMPOSSIBLE);
			ibb_resolution_free(r);
		}
	}
	ibb_catalog_free(c);
}

static void test_before_windows_8(void **state)
{
	static const char *const old[] = {"server2008r2", "win7"};
	struct ibb_catalog *c = shipped();

	(void)state;
	for (size_t i = 0; i < ibb_catalog_n_sizes(c); i++) {
		const struct ibb_size *s = ibb_catalog_size_at(c, i);

		for (unsigned k = 0; k < 2; k++) {
			struct ibb_windows w = windows(c, old[k]);
			struct ibb_resolution *r = resolve(c, s->name, &w);

			assert_int_equal(r->state, strcmp(s->arch, "arm64") == 0
							   ? IBB_SUPPORT_IMPOSSIBLE
							   : IBB_SUPPORT_UNSUPPORTED);
			ibb_resolution_free(r);
		}
	}
	ibb_catalog_free(c);
}

static void test_functions(void **state)
{
	static const struct {
		const char *size, *confidence, *id, *bare, *an;
	} cases[] = {
		{"Standard_HC44rs", "A", "PCI\\VEN_15B3&DEV_1018&SUBSYS_000715B3&REV_00",
		 "PCI\\VEN_15B3&DEV_1018", "PCI\\VEN_15B3&DEV_1018&REV_80"},
		{"Standard_HB60rs", "B", "PCI\\VEN_15B3&DEV_1018&SUBSYS_000715B3&REV_00",
		 "PCI\\VEN_15B3&DEV_1018", "PCI\\VEN_15B3&DEV_1018&REV_80"},
		{"Standard_HB120rs_v3", "B", "PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00",
		 "PCI\\VEN_15B3&DEV_101C", "PCI\\VEN_15B3&DEV_101C&REV_80"},
		{"Standard_HB176rs_v4", "C", "PCI\\VEN_15B3&DEV_101E&SUBSYS_000715B3&REV_00",
		 "PCI\\VEN_15B3&DEV_101E", "PCI\\VEN_15B3&DEV_101E&REV_80"},
	};
	struct ibb_catalog *c = shipped();
	const struct ibb_size *s = NULL;
	struct ibb_error err = {0};

	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		const struct ibb_function *f;

		assert_ok(ibb_catalog_find_size(c, cases[i].size, &s, &err), err);
		f = s->function;
		assert_string_equal(s->function_confidence, cases[i].confidence);
		assert_string_equal(f->hardware_ids[0], cases[i].id);
		assert_int_equal(f->n_ids, 2);
		assert_non_null(strstr(f->hardware_ids[1], "&REV_00"));
		assert_string_equal(f->bare_ids[f->n_bare - 1], cases[i].bare);
		assert_string_equal(f->an_ids[1], cases[i].an);
		for (size_t k = 0; k < f->n_an; k++)
			assert_non_null(strstr(f->an_ids[k], "&REV_80"));
	}
	assert_ok(ibb_catalog_find_size(c, "H16r", &s, &err), err);
	assert_string_equal(s->function->hardware_ids[0],
			    "VMBUS\\{8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501}");
	assert_string_equal(s->function->confidence, "C");
	assert_non_null(strstr(s->function->caveat, "guess"));
	assert_ok(ibb_catalog_find_size(c, "NC24rs_v3", &s, &err), err);
	assert_string_equal(s->function->hardware_ids[0], "PCI\\VEN_15B3&DEV_1004&REV_00");
	assert_string_equal(s->function->hardware_ids[1], "PCI\\VEN_15B3&DEV_1004");
	ibb_catalog_free(c);
}

static void test_refused_names(void **state)
{
	static const char *const names[][2] = {
		{"Standard_A10", "Standard_A10 is not InfiniBand capable: "},
		{"Standard_A11", "Standard_A11 is not InfiniBand capable: "},
		{"Standard_H8", "Standard_H8 is not InfiniBand capable: "},
		{"standard_h8m", "Standard_H8m is not InfiniBand capable: "},
		{"H16", "Standard_H16 is not InfiniBand capable: "},
		{"Standard_H16m", "Standard_H16m is not InfiniBand capable: "},
		{"Standard_ND96is_H100_v5", "Standard_ND96is_H100_v5 is not InfiniBand capable: "},
		{"Standard_ND96is_flex_H100_v5", "not InfiniBand capable: "},
		{"Standard_ND96is_MI300X_v5", "not InfiniBand capable: "},
		{"Standard_A8_v2", "Standard_A8_v2 is not InfiniBand capable: a third-party"},
		{"Standard_HB120rs_v4", "a misprint of Standard_HB176rs_v4"},
		{"Standard_ND96isr_v5", "a misprint of Standard_ND96isr_H100_v5"},
		{"Standard_HB120rs_v33", "unknown size 'Standard_HB120rs_v33'; the nearest: "
					 "Standard_HB120rs_v3, Standard_HB120rs_v2"},
		{"Standard_D4s_v5", "unknown size 'Standard_D4s_v5'"},
	};
	struct ibb_catalog *c = shipped();
	const struct ibb_size *s = NULL;
	struct ibb_error err = {0};

	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(names); i++)
		assert_fails(ibb_catalog_find_size(c, names[i][0], &s, &err), IBB_E_UNSUPPORTED,
			     err, names[i][1]);
	assert_null(s);
	/* a spelling that the HBv5 page prints */
	assert_ok(ibb_catalog_find_size(c, "Standard_HB368_336rsv5", &s, &err), err);
	assert_string_equal(s->name, "Standard_HB368-336rs_v5");
	ibb_catalog_free(c);
}

static void test_recommendations(void **state)
{
	static const struct {
		const char *size, *os, *version;
	} cases[] = {
		{"Standard_HC44rs", "server2012", "2.22.50000"},
		{"Standard_HC44rs", "server2012r2", "3.10.52010"},
		{"Standard_HC44rs", "server2016", "25.10.51000"},
		{"Standard_HB120rs_v3", "server2019", "25.10.51000"},
		{"Standard_HB120rs_v3", "server2022", "25.10.51000"},
		{"Standard_HB368rs_v5", "server2025", "25.10.51000"},
		{"Standard_HB120rs_v3", "win10-1607", "3.10.52010"},
		{"Standard_HB120rs_v3", "win10-1809", "25.7.50000"},
		{"Standard_HB120rs_v3", "win10-22h2", "25.7.50000"},
		{"Standard_HB120rs_v3", "win11-22h2", "25.7.50000"},
		{"Standard_HB120rs_v3", "win11-23h2", "25.7.50000"},
		{"Standard_HB120rs_v3", "win11-24h2", "25.10.51000"},
		{"Standard_HB120rs_v3", "win11-25h2", "25.10.51000"},
		{"Standard_HB120rs_v3", "win8.1", NULL},
		{"Standard_NC24rs_v3", "server2012r2", "5.65.51000"},
		{"Standard_NC24rs_v3", "win10-1809", "5.65.51000"},
		{"Standard_NC24rs_v3", "server2022", NULL},
		{"Standard_H16r", "server2012r2", NULL},
	};
	struct ibb_catalog *c = shipped();

	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_windows w = windows(c, cases[i].os);
		struct ibb_resolution *r = resolve(c, cases[i].size, &w);

		same(cases[i].os, cases[i].size, r->recommended_version, cases[i].version);
		assert_int_equal(r->recommended_reason != NULL, cases[i].version != NULL);
		assert_int_equal(r->n_local, 0);
		assert_int_equal(r->nd_note != NULL, strcmp(r->driver_set, "nd") == 0);
		if (strcmp(r->driver_set, "winof2") == 0) {
			assert_string_equal(r->service, "mlx5");
			assert_string_equal(r->package_inf, "mlx5.inf");
		}
		ibb_resolution_free(r);
	}
	ibb_catalog_free(c);
}

static bool in_trace(const struct ibb_resolution *r, const char *rule, const char *source,
		     enum ibb_support state)
{
	for (size_t i = 0; i < r->n_trace; i++)
		if (strcmp(r->trace[i].rule, rule) == 0)
			return strcmp(r->trace[i].source->id, source) == 0 &&
			       r->trace[i].state == state;
	return false;
}

/* Where pages disagree, both stay visible. */
static void test_contradictions(void **state)
{
	struct ibb_catalog *c = shipped();
	struct ibb_windows w2019 = windows(c, "server2019"), w2012r2 = windows(c, "server2012r2");
	struct ibb_windows w2022 = windows(c, "server2022");
	struct ibb_resolution *r = resolve(c, "Standard_HB120rs_v3", &w2019);

	(void)state;
	assert_string_equal(r->trace[0].rule, "hbv3-page-before-2022");
	assert_true(in_trace(r, "setup-ib-2016", "setup-ib", IBB_SUPPORT_ALLOWED));
	assert_true(in_trace(r, "ext-2024-servers", "ext-doc", IBB_SUPPORT_ALLOWED));
	ibb_resolution_free(r);
	r = resolve(c, "Standard_HB368rs_v5", &w2019);
	assert_string_equal(r->trace[0].rule, "hbv5-page-before-2022");
	assert_true(in_trace(r, "setup-ib-2016", "setup-ib", IBB_SUPPORT_ALLOWED));
	ibb_resolution_free(r);
	r = resolve(c, "Standard_HC44rs", &w2012r2);
	assert_string_equal(r->trace[0].rule, "setup-ib-2012r2-hb-hc");
	assert_true(in_trace(r, "hc-page-before-2016", "hc", IBB_SUPPORT_UNSUPPORTED));
	ibb_resolution_free(r);
	r = resolve(c, "Standard_ND96asr_v4", &w2022);
	assert_string_equal(r->trace[0].rule, "nd-a100-linux-only");
	assert_true(in_trace(r, "nd-family-tick", "nd-family", IBB_SUPPORT_ALLOWED));
	ibb_resolution_free(r);
	/* the newest table of the VM extension outweighs its predecessors */
	r = resolve(c, "Standard_ND40rs_v2", &w2012r2);
	assert_string_equal(r->trace[0].rule, "ext-2024-servers");
	ibb_resolution_free(r);
	ibb_catalog_free(c);
}

static const char *const all_windows[] = {
	"server2008r2", "server2012", "server2012r2", "server2016", "server2019", "server2022",
	"server2025",	"win7",	      "win8",	      "win8.1",	    "win10-1507", "win10-1511",
	"win10-1607",	"win10-1703", "win10-1709",   "win10-1803", "win10-1809", "win10-1903",
	"win10-1909",	"win10-2004", "win10-20h2",   "win10-21h1", "win10-21h2", "win10-22h2",
	"win11-21h2",	"win11-22h2", "win11-23h2",   "win11-24h2", "win11-25h2",
};

static const char *recommended(const struct ibb_resolution *r)
{
	return r->recommended ? r->recommended->id : "-";
}

/* One size: runs of Windows with the same state, rule and recommended release on one line. */
static void matrix_of(const struct ibb_catalog *c, const struct ibb_size *s, struct ibb_buf *out)
{
	struct ibb_resolution *run = NULL;
	const char *first = NULL;

	for (unsigned i = 0; i <= IBB_ARRAY_SIZE(all_windows); i++) {
		struct ibb_resolution *r = NULL;

		if (i < IBB_ARRAY_SIZE(all_windows)) {
			struct ibb_windows w = windows(c, all_windows[i]);

			r = resolve(c, s->name, &w);
		}
		if (run && r && run->windows.server == r->windows.server &&
		    strcmp(run->trace[0].rule, r->trace[0].rule) == 0 &&
		    strcmp(recommended(run), recommended(r)) == 0) {
			ibb_resolution_free(run);
			run = r;
			continue;
		}
		if (run) {
			const char *last = all_windows[i - 1];

			assert_int_equal(ibb_buf_printf(out, "  %-12s %-15s %-11s %-23s %s\n",
							first, first == last ? "" : last,
							ibb_support_name(run->state),
							run->trace[0].rule, recommended(run)),
					 0);
		}
		ibb_resolution_free(run);
		run = r;
		first = i < IBB_ARRAY_SIZE(all_windows) ? all_windows[i] : NULL;
	}
}

static void matrix(const struct ibb_catalog *c, struct ibb_buf *out)
{
	struct ibb_buf full = {0};

	for (size_t i = 0; i < ibb_catalog_n_sizes(c); i++) {
		const struct ibb_size *s = ibb_catalog_size_at(c, i);
		struct ibb_buf this = {0};

		matrix_of(c, s, &this);
		assert_int_equal(ibb_buf_printf(out, "%s (%s, %s, %s)", s->name, s->series, s->nic,
						s->driver_set),
				 0);
		if (s->constrained_of && full.len == this.len &&
		    memcmp(full.data, this.data, this.len) == 0) {
			assert_int_equal(ibb_buf_printf(out, " as %s\n", s->constrained_of), 0);
		} else {
			assert_int_equal(ibb_buf_append_str(out, "\n"), 0);
			assert_int_equal(ibb_buf_append(out, this.data, this.len), 0);
		}
		if (!s->constrained_of) {
			ibb_buf_clear(&full);
			full = this;
		} else {
			ibb_buf_clear(&this);
		}
	}
	ibb_buf_clear(&full);
}

static void write_golden(const struct ibb_buf *text)
{
	FILE *f = fopen(GOLDEN, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text->data, 1, text->len, f), text->len);
	assert_int_equal(fclose(f), 0);
}

static void test_matrix(void **state)
{
	const char *update = getenv("IBB_GOLDEN_UPDATE");
	struct ibb_buf got = {0}, want = {0};
	struct ibb_catalog *c = shipped();
	struct ibb_error err = {0};
	unsigned line = 1;

	(void)state;
	matrix(c, &got);
	if (update && strcmp(update, "1") == 0)
		write_golden(&got);
	assert_ok(ibb_read_file(GOLDEN, 1u << 24, &want, &err), err);
	for (size_t i = 0; i < got.len && i < want.len; i++) {
		if (got.data[i] != want.data[i])
			fail_msg("%s:%u differs; IBB_GOLDEN_UPDATE=1 rewrites it", GOLDEN, line);
		line += got.data[i] == '\n';
	}
	assert_int_equal(got.len, want.len);
	ibb_buf_clear(&got);
	ibb_buf_clear(&want);
	ibb_catalog_free(c);
}

static void explained(const struct ibb_rule_trace *t, const char *size, const char *windows)
{
	if (!t->rule || !*t->rule || !t->reason || strlen(t->reason) < 20 || !t->source ||
	    !*t->source->title || !*t->source->locator || !strchr("ABC", *t->confidence))
		fail_msg("%s on %s: rule %s is not explained", size, windows, t->rule);
}

/* Every decision of the matrix has a rule with reason and source, and what goes on a driver. */
static void test_none_unexplained(void **state)
{
	static const char *const arches[] = {"x64", "x86", "arm64"};
	struct ibb_catalog *c = shipped();
	size_t n = 0, goes = 0;

	(void)state;
	for (size_t i = 0; i < ibb_catalog_n_sizes(c); i++)
		for (size_t k = 0; k < ibb_catalog_n_windows(c) * 3; k++) {
			const struct ibb_size *z = ibb_catalog_size_at(c, i);
			struct ibb_windows w;
			struct ibb_resolution *r;

			ibb_catalog_windows_at(c, k / 3, &w);
			w.arch = arches[k % 3];
			r = resolve(c, z->name, &w);
			assert_true(r->n_trace > 0 && r->trace[0].decided);
			for (size_t m = 0; m < r->n_trace; m++)
				explained(&r->trace[m], z->name, w.name);
			n++;
			/* what is supported has a driver; Network Direct was never published */
			if (r->state <= IBB_SUPPORT_ALLOWED && strcmp(r->driver_set, "nd") != 0) {
				if (!r->recommended || strlen(r->recommended_reason) < 20)
					fail_msg("%s on %s: no recommendation", z->name, w.name);
				goes++;
			}
			ibb_resolution_free(r);
		}
	assert_int_equal(n, 58 * 29 * 3);
	assert_int_equal(goes, 483);
	ibb_catalog_free(c);
}

static bool among(const struct cat_refs *refs, const void *rec)
{
	for (size_t i = 0; i < refs->n; i++)
		if (refs->v[i] == rec)
			return true;
	return false;
}

static bool speaks_of(const struct cat_rule *u, const struct cat_nic *nic,
		      const struct cat_windows *w)
{
	struct ibb_windows t = {
		.build = w->build, .server = strcmp(w->product, "server") == 0, .arch = "x64"};

	if (!cat_range_covers(&u->windows, &t))
		return false;
	return u->scope == CAT_SCOPE_NIC	  ? among(&u->nics, nic)
	       : u->scope == CAT_SCOPE_DRIVER_SET ? among(&u->driver_sets, nic->driver_set)
						  : false;
}

/* Does the table of this page have the NIC on this Windows? A table without NICs means all. */
static bool in_table(const struct ibb_catalog *c, const struct ibb_source *page,
		     const struct cat_nic *nic, const struct cat_windows *w)
{
	const struct cat_ext_support *s = CAT_ITEMS(c, CAT_EXT_SUPPORT, struct cat_ext_support);

	for (size_t i = 0; i < c->tables[CAT_EXT_SUPPORT].n; i++)
		if (s[i].source == page && among(&s[i].windows, w) &&
		    (!s[i].nics.n || among(&s[i].nics, nic)))
			return true;
	return false;
}

/* Both ways, for one page: what the table has a rule says, and no rule says more. */
static unsigned hold_table(const struct ibb_catalog *c, const struct ibb_source *page)
{
	static const char *const nics[] = {"CX3-Pro", "CX5", "CX6"};
	const struct cat_rule *u = CAT_ITEMS(c, CAT_RULE, struct cat_rule);
	const struct cat_windows *w = CAT_ITEMS(c, CAT_WINDOWS, struct cat_windows);
	unsigned pairs = 0;

	for (size_t k = 0; k < c->tables[CAT_WINDOWS].n * 3; k++) {
		const struct cat_nic *nic = cat_lookup(c, CAT_NIC, nics[k % 3]);
		bool listed = in_table(c, page, nic, &w[k / 3]), said = false;

		for (size_t i = 0; i < c->tables[CAT_RULE].n; i++) {
			if (u[i].source != page || !speaks_of(&u[i], nic, &w[k / 3]))
				continue;
			if (u[i].state <= IBB_SUPPORT_ALLOWED && !listed)
				fail_msg("rule %s goes beyond %s: %s on %s", u[i].id, page->id,
					 nic->id, w[k / 3].id);
			if (u[i].state > IBB_SUPPORT_ALLOWED && listed)
				fail_msg("rule %s contradicts %s: %s on %s", u[i].id, page->id,
					 nic->id, w[k / 3].id);
			said |= u[i].state == IBB_SUPPORT_ALLOWED;
		}
		if (listed != said)
			fail_msg("%s has %s on %s, no rule says so", page->id, nic->id,
				 w[k / 3].id);
		pairs += listed;
	}
	return pairs;
}

static void test_extension_support(void **state)
{
	/* Windows 10 has twelve builds from 1607 on; Servers are one each */
	static const struct {
		const char *page;
		unsigned pairs;
	} pages[] = {
		{"ext-doc-2020", 3 * (12 + 4)},
		{"ext-doc-2021", 2 * (12 + 1) + 3 * 3},
		{"ext-doc-2022", 3 * (12 + 4)},
		{"ext-doc", 2 * (12 + 3)},
	};
	struct ibb_catalog *c = shipped();
	const struct cat_rule *u = CAT_ITEMS(c, CAT_RULE, struct cat_rule);

	(void)state;
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(pages); i++)
		assert_int_equal(hold_table(c, cat_lookup(c, CAT_SOURCE, pages[i].page)),
				 pages[i].pairs);
	/* other rules that name such a page call themselves inferences */
	for (size_t i = 0; i < c->tables[CAT_RULE].n; i++)
		if (strncmp(u[i].source->id, "ext-doc", 7) == 0 && u[i].scope != CAT_SCOPE_NIC &&
		    u[i].scope != CAT_SCOPE_DRIVER_SET)
			assert_string_equal(u[i].confidence, "C");
	ibb_catalog_free(c);
}

/* The matrix must not miss a Windows: one that is unknown here would be unknown to it. */
static void test_all_windows(void **state)
{
	struct ibb_catalog *c = shipped();
	struct ibb_windows w = {0};
	struct ibb_error err = {0};
	char *list;
	unsigned n = 0;

	(void)state;
	assert_fails(ibb_catalog_find_windows(c, "none", &w, &err), IBB_E_INVALID, err, "known: ");
	list = strstr(err.msg, "known: ") + 7;
	for (char *p = strtok(list, ", "); p; p = strtok(NULL, ", "), n++) {
		assert_true(n < IBB_ARRAY_SIZE(all_windows));
		assert_string_equal(p, all_windows[n]);
	}
	assert_int_equal(n, IBB_ARRAY_SIZE(all_windows));
	ibb_catalog_free(c);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_builtin_is_the_file),
	cmocka_unit_test(test_every_size),
	cmocka_unit_test(test_impossible_everywhere),
	cmocka_unit_test(test_before_windows_8),
	cmocka_unit_test(test_functions),
	cmocka_unit_test(test_refused_names),
	cmocka_unit_test(test_recommendations),
	cmocka_unit_test(test_contradictions),
	cmocka_unit_test(test_all_windows),
	cmocka_unit_test(test_matrix),
	cmocka_unit_test(test_none_unexplained),
	cmocka_unit_test(test_extension_support),
};
IBB_TEST_MAIN(tests)
