/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lists of a catalog, field by field; catalogs/azure-rdma.schema.json says the same. */
#include "catalog/read.h"

static const char *const confidences[] = {"A", "B", "C", NULL};
static const char *const products[] = {"client", "server", NULL};
static const char *const size_arches[] = {"x64", "arm64", NULL};
static const char *const statuses[] = {"current", "retiring", "retired", "preview-or-internal",
				       NULL};
static const char *const states[] = {"validated", "allowed", "unsupported", "impossible", NULL};
static const char *const rates[] = {"QDR", "FDR", "EDR", "HDR", "NDR", "XDR", NULL};
static const char *const roles[] = {"nd-provider", "nd-registration", NULL};
static const char *const name_bases[] = {"seen", "pattern", NULL};

#define TYPED(key, type, flags, s, m)                                    \
	{                                                                \
		key, type, flags, offsetof(s, m), 0, 0, NULL, 0, 0, NULL \
	}
#define STR(key, flags, s, m)	 TYPED(key, CAT_T_STR, flags, s, m)
#define DATE(key, flags, s, m)	 TYPED(key, CAT_T_DATE, flags, s, m)
#define URL(key, flags, s, m)	 TYPED(key, CAT_T_URL, flags, s, m)
#define SHA256(key, flags, s, m) TYPED(key, CAT_T_SHA256, flags, s, m)
#define BOOL(key, flags, s, m)	 TYPED(key, CAT_T_BOOL, flags, s, m)
#define RANGE(key, flags, s, m)	 TYPED(key, CAT_T_RANGE, flags, s, m)
#define WORD(key, flags, s, m, words)                                           \
	{                                                                       \
		key, CAT_T_WORD, flags, offsetof(s, m), 0, 0, words, 0, 0, NULL \
	}
#define CONF(s, m) WORD("confidence", 0, s, m, confidences)
#define UINT(key, flags, s, m, min, max)                                           \
	{                                                                          \
		key, CAT_T_UINT, flags, offsetof(s, m), 0, 0, NULL, min, max, NULL \
	}
#define REF(key, flags, s, m, kind)                                              \
	{                                                                        \
		key, CAT_T_REF, flags, offsetof(s, m), 0, kind, NULL, 0, 0, NULL \
	}
#define LIST(key, type, flags, s, v, n, kind)                                            \
	{                                                                                \
		key, type, flags, offsetof(s, v), offsetof(s, n), kind, NULL, 0, 0, NULL \
	}
#define RECORDS(key, flags, s, v, n, sub)                                                        \
	{                                                                                        \
		key, CAT_T_RECORDS, flags, offsetof(s, v), offsetof(s, n), 0, NULL, 0, 0, &(sub) \
	}

#define S struct ibb_source
static const struct cat_field source_fields[] = {
	STR("id", 0, S, id),
	STR("title", 0, S, title),
	STR("locator", 0, S, locator),
	DATE("date", CAT_NULL, S, date),
};
#undef S

#define S struct cat_windows
static const struct cat_field windows_fields[] = {
	STR("id", 0, S, id),
	STR("name", 0, S, name),
	UINT("major", 0, S, major, 6, 99),
	UINT("minor", 0, S, minor, 0, 99),
	UINT("build", 0, S, build, 1000, 999999),
	WORD("product", 0, S, product, products),
	LIST("aliases", CAT_T_STRINGS, 0, S, aliases.v, aliases.n, 0),
};
#undef S

#define S struct cat_driver_set
static const struct cat_field driver_set_fields[] = {
	STR("id", 0, S, id),
	STR("name", 0, S, name),
	STR("service", CAT_NULL, S, service),
	STR("inf", CAT_NULL, S, inf),
	STR("what", 0, S, what),
	STR("note", CAT_OPT, S, note),
	STR("fetch_note", CAT_OPT, S, fetch_note),
	CONF(S, confidence),
	REF("source", 0, S, source, CAT_SOURCE),
};
#undef S

#define S struct cat_nic
static const struct cat_field nic_fields[] = {
	STR("id", 0, S, id),
	STR("name", 0, S, name),
	LIST("pf", CAT_T_STRINGS, 0, S, pf.v, pf.n, 0),
	STR("vf", CAT_NULL, S, vf),
	REF("driver_set", 0, S, driver_set, CAT_DRIVER_SET),
	STR("note", CAT_OPT, S, note),
	CONF(S, confidence),
	REF("source", 0, S, source, CAT_SOURCE),
};
#undef S

#define S struct cat_function
static const struct cat_field function_fields[] = {
	STR("id", 0, S, pub.id),
	STR("description", 0, S, pub.description),
	LIST("hardware_ids", CAT_T_STRINGS, CAT_NONEMPTY, S, pub.hardware_ids, pub.n_ids, 0),
	LIST("bare_ids", CAT_T_STRINGS, 0, S, pub.bare_ids, pub.n_bare, 0),
	LIST("an_ids", CAT_T_STRINGS, 0, S, pub.an_ids, pub.n_an, 0),
	STR("caveat", CAT_OPT, S, pub.caveat),
	STR("note", CAT_OPT, S, note),
	CONF(S, pub.confidence),
	REF("source", 0, S, source, CAT_SOURCE),
};
#undef S

#define S struct ibb_release_url
static const struct cat_field url_fields[] = {
	URL("url", 0, S, url),
	WORD("basis", 0, S, basis, name_bases),
	CONF(S, confidence),
};
static const struct cat_sub url_record = {sizeof(S), url_fields, IBB_ARRAY_SIZE(url_fields)};
#undef S

#define S struct ibb_release_file
static const struct cat_field file_fields[] = {
	STR("name", 0, S, name),
	SHA256("sha256", 0, S, sha256),
	UINT("size", 0, S, size, 1, UINT32_MAX),
	STR("note", CAT_OPT, S, note),
};
static const struct cat_sub file_record = {sizeof(S), file_fields, IBB_ARRAY_SIZE(file_fields)};
#undef S

/* `url` is what `urls` was while there was one at most. */
#define S struct cat_release
static const struct cat_field release_fields[] = {
	STR("id", 0, S, pub.id),
	REF("driver_set", 0, S, driver_set, CAT_DRIVER_SET),
	STR("version", 0, S, pub.version),
	STR("driver_version", CAT_NULL, S, pub.driver_version),
	DATE("date", CAT_NULL, S, pub.date),
	STR("date_note", CAT_OPT, S, pub.date_note),
	BOOL("lts", 0, S, lts),
	STR("package", CAT_NULL, S, pub.package),
	WORD("package_name", CAT_NULL, S, package_name, name_bases),
	URL("url", CAT_OPT | CAT_NULL, S, old_url),
	RECORDS("urls", CAT_OPT, S, pub.urls, pub.n_urls, url_record),
	SHA256("sha256", CAT_NULL, S, pub.sha256),
	STR("sha256_basis", CAT_OPT, S, pub.sha256_basis),
	UINT("size", CAT_OPT, S, size, 1, UINT32_MAX),
	UINT("size_mb", CAT_OPT, S, pub.size_mb, 1, 100000),
	LIST("windows", CAT_T_REFS, CAT_NULL, S, windows.v, windows.n, CAT_WINDOWS),
	STR("windows_basis", 0, S, pub.windows_basis),
	RECORDS("files", CAT_OPT, S, pub.files, pub.n_files, file_record),
	STR("note", CAT_OPT, S, pub.note),
	CONF(S, pub.confidence),
	REF("source", 0, S, pub.source, CAT_SOURCE),
};
#undef S

#define S struct cat_recommendation
static const struct cat_field recommendation_fields[] = {
	STR("id", 0, S, id),
	REF("driver_set", 0, S, driver_set, CAT_DRIVER_SET),
	RANGE("windows", 0, S, windows),
	REF("release", 0, S, release, CAT_RELEASE),
	STR("reason", 0, S, reason),
	CONF(S, confidence),
	REF("source", 0, S, source, CAT_SOURCE),
};
#undef S

#define S struct cat_series
static const struct cat_field series_fields[] = {
	STR("id", 0, S, id),
	STR("family", 0, S, family),
	WORD("arch", 0, S, proto.arch, size_arches),
	REF("nic", 0, S, nic, CAT_NIC),
	WORD("rate", CAT_NULL, S, proto.rate, rates),
	UINT("gbps_per_port", CAT_NULL, S, proto.gbps_per_port, 1, 100000),
	UINT("ports", CAT_NULL, S, proto.ports, 1, 64),
	BOOL("sriov", 0, S, proto.sriov),
	REF("driver_set", 0, S, driver_set, CAT_DRIVER_SET),
	REF("function", CAT_NULL, S, function, CAT_FUNCTION),
	WORD("function_confidence", CAT_NULL, S, proto.function_confidence, confidences),
	LIST("generations", CAT_T_GENS, 0, S, proto.generation1, proto.generation2, 0),
	WORD("status", 0, S, proto.status, statuses),
	DATE("retire_date", CAT_NULL, S, proto.retire_date),
	CONF(S, proto.confidence),
	LIST("sources", CAT_T_REFS, CAT_NONEMPTY, S, proto.sources, proto.n_sources, CAT_SOURCE),
	STR("note", CAT_OPT, S, proto.note),
};
#undef S

/* `series` is read first, by the loader, so that the rest overrides what the series gives. */
#define S struct cat_size
static const struct cat_field size_fields[] = {
	STR("name", 0, S, pub.name),
	REF("series", 0, S, series, CAT_SERIES),
	STR("constrained_of", CAT_OPT, S, pub.constrained_of),
	WORD("status", CAT_OPT, S, pub.status, statuses),
	DATE("retire_date", CAT_OPT, S, pub.retire_date),
	WORD("confidence", CAT_OPT, S, pub.confidence, confidences),
	LIST("sources", CAT_T_REFS, CAT_OPT | CAT_NONEMPTY, S, pub.sources, pub.n_sources,
	     CAT_SOURCE),
	STR("note", CAT_OPT, S, pub.note),
};
#undef S

#define S struct cat_not_rdma
static const struct cat_field not_rdma_fields[] = {
	STR("name", 0, S, name),
	STR("reason", 0, S, reason),
	CONF(S, confidence),
	REF("source", 0, S, source, CAT_SOURCE),
};
#undef S

#define S struct cat_misprint
static const struct cat_field misprint_fields[] = {
	STR("name", 0, S, name),
	REF("size", 0, S, size, CAT_SIZE),
	REF("source", 0, S, source, CAT_SOURCE),
};
#undef S

#define S struct cat_rule
static const struct cat_field rule_fields[] = {
	STR("id", 0, S, id),
	LIST("sizes", CAT_T_REFS, CAT_OPT | CAT_NONEMPTY, S, sizes.v, sizes.n, CAT_SIZE),
	LIST("series", CAT_T_REFS, CAT_OPT | CAT_NONEMPTY, S, series.v, series.n, CAT_SERIES),
	LIST("nics", CAT_T_REFS, CAT_OPT | CAT_NONEMPTY, S, nics.v, nics.n, CAT_NIC),
	LIST("families", CAT_T_STRINGS, CAT_OPT | CAT_NONEMPTY, S, families.v, families.n, 0),
	LIST("driver_sets", CAT_T_REFS, CAT_OPT | CAT_NONEMPTY, S, driver_sets.v, driver_sets.n,
	     CAT_DRIVER_SET),
	RANGE("windows", CAT_OPT, S, windows),
	WORD("state", 0, S, state_name, states),
	STR("reason", 0, S, reason),
	CONF(S, confidence),
	REF("source", 0, S, source, CAT_SOURCE),
};
#undef S

#define S struct cat_fact
static const struct cat_field fact_fields[] = {
	STR("id", 0, S, id),
	STR("says", 0, S, says),
	CONF(S, confidence),
	REF("source", 0, S, source, CAT_SOURCE),
};
#undef S

#define S struct cat_local
static const struct cat_field local_fields[] = {
	REF("driver_set", 0, S, driver_set, CAT_DRIVER_SET),
	STR("path", 0, S, pub.path),
	SHA256("sha256", CAT_NULL, S, pub.sha256),
};
#undef S

#define S struct cat_companion
static const struct cat_field companion_fields[] = {
	STR("id", 0, S, id),
	REF("driver_set", 0, S, driver_set, CAT_DRIVER_SET),
	STR("file", 0, S, pub.file),
	WORD("role", 0, S, pub.role, roles),
	SHA256("sha256", CAT_NULL, S, pub.sha256),
	STR("note", CAT_OPT, S, pub.note),
	CONF(S, pub.confidence),
	REF("source", 0, S, pub.source, CAT_SOURCE),
};
#undef S

#define S struct cat_ext_entry
static const struct cat_field ext_entry_fields[] = {
	STR("id", 0, S, id),
	REF("nic", 0, S, nic, CAT_NIC),
	LIST("distros", CAT_T_STRINGS, CAT_NONEMPTY, S, distros.v, distros.n, 0),
	STR("version", 0, S, version),
	STR("package", 0, S, package),
	URL("url", 0, S, url),
	REF("release", CAT_NULL, S, release, CAT_RELEASE),
	STR("first_commit", 0, S, first_commit),
	DATE("first_date", 0, S, first_date),
	STR("last_commit", CAT_NULL, S, last_commit),
	DATE("last_date", CAT_NULL, S, last_date),
	STR("note", CAT_OPT, S, note),
	CONF(S, confidence),
	REF("source", 0, S, source, CAT_SOURCE),
};
#undef S

#define S struct cat_ext_support
static const struct cat_field ext_support_fields[] = {
	STR("id", 0, S, id),
	DATE("date", 0, S, date),
	LIST("windows", CAT_T_REFS, CAT_NONEMPTY, S, windows.v, windows.n, CAT_WINDOWS),
	LIST("nics", CAT_T_REFS, 0, S, nics.v, nics.n, CAT_NIC),
	STR("note", CAT_OPT, S, note),
	CONF(S, confidence),
	REF("source", 0, S, source, CAT_SOURCE),
};
#undef S

#define FIELDS(f) f, IBB_ARRAY_SIZE(f)
const struct cat_list cat_lists[CAT_N_KINDS] = {
	[CAT_SOURCE] = {"sources", "source", sizeof(struct ibb_source), FIELDS(source_fields),
			false, false},
	[CAT_WINDOWS] = {"windows", "Windows", sizeof(struct cat_windows), FIELDS(windows_fields),
			 false, false},
	[CAT_DRIVER_SET] = {"driver_sets", "driver set", sizeof(struct cat_driver_set),
			    FIELDS(driver_set_fields), false, false},
	[CAT_NIC] = {"nics", "NIC", sizeof(struct cat_nic), FIELDS(nic_fields), false, false},
	[CAT_FUNCTION] = {"functions", "function", sizeof(struct cat_function),
			  FIELDS(function_fields), false, false},
	[CAT_RELEASE] = {"releases", "release", sizeof(struct cat_release), FIELDS(release_fields),
			 true, false},
	[CAT_RECOMMENDATION] = {"recommendations", "recommendation",
				sizeof(struct cat_recommendation), FIELDS(recommendation_fields),
				true, false},
	[CAT_SERIES] = {"series", "series", sizeof(struct cat_series), FIELDS(series_fields), false,
			false},
	[CAT_SIZE] = {"sizes", "size", sizeof(struct cat_size), FIELDS(size_fields), false, false},
	[CAT_NOT_RDMA] = {"not_rdma", "size without RDMA", sizeof(struct cat_not_rdma),
			  FIELDS(not_rdma_fields), true, false},
	[CAT_MISPRINT] = {"misprints", "misprint", sizeof(struct cat_misprint),
			  FIELDS(misprint_fields), true, false},
	[CAT_RULE] = {"rules", "rule", sizeof(struct cat_rule), FIELDS(rule_fields), false, false},
	[CAT_FACT] = {"facts", "fact", sizeof(struct cat_fact), FIELDS(fact_fields), true, false},
	[CAT_COMPANION] = {"companions", "companion", sizeof(struct cat_companion),
			   FIELDS(companion_fields), true, false},
	[CAT_EXT_ENTRY] = {"extension_entries", "extension entry", sizeof(struct cat_ext_entry),
			   FIELDS(ext_entry_fields), true, false},
	[CAT_EXT_SUPPORT] = {"extension_support", "extension support row",
			     sizeof(struct cat_ext_support), FIELDS(ext_support_fields), true,
			     false},
	[CAT_LOCAL] = {"local", "local entry", sizeof(struct cat_local), FIELDS(local_fields), true,
		       true},
};
