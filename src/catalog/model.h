/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a loaded driver catalog looks like inside the catalog layer. */
#ifndef IBB_CATALOG_MODEL_H
#define IBB_CATALOG_MODEL_H

#include "catalog/catalog.h"
#include "base/hash.h"
#include "base/json.h"

/* The lists of a catalog, in loading order: a record refers only to lists before its own. */
enum cat_kind {
	CAT_SOURCE,
	CAT_WINDOWS,
	CAT_DRIVER_SET,
	CAT_NIC,
	CAT_FUNCTION,
	CAT_RELEASE,
	CAT_RECOMMENDATION,
	CAT_SERIES,
	CAT_SIZE,
	CAT_NOT_RDMA,
	CAT_MISPRINT,
	CAT_RULE,
	CAT_FACT,
	CAT_LOCAL,
	CAT_N_KINDS
};

/* Strings point into the JSON document; the arrays live in the catalog's arena. */
struct cat_strings {
	const char *const *v;
	size_t n;
};
struct cat_refs {
	const void *const *v; /* records of one list */
	size_t n;
};

/* Every record begins with its id, except `local` entries, which have none. */
struct cat_windows {
	const char *id, *name;
	unsigned major, minor, build;
	const char *product; /* "client", "server" */
	struct cat_strings aliases;
};

struct cat_driver_set {
	const char *id, *name, *service, *inf, *what, *note, *fetch_note, *confidence;
	const struct ibb_source *source;
};

struct cat_nic {
	const char *id, *name;
	struct cat_strings pf;
	const char *vf, *confidence, *note;
	const struct cat_driver_set *driver_set;
	const struct ibb_source *source;
};

struct cat_function {
	struct ibb_function pub;
	const struct ibb_source *source;
	const char *note;
};

struct cat_release {
	const char *id, *version, *driver_version, *date, *package, *package_name, *url, *sha256;
	const char *windows_basis, *confidence, *note;
	bool lts;
	const struct cat_driver_set *driver_set;
	struct cat_refs windows;
	const struct ibb_source *source;
};

/* Which Windows a rule or recommendation speaks of. */
struct cat_range {
	unsigned min_build, max_build;
	const char *product, *arch; /* NULL: any */
};

struct cat_recommendation {
	const char *id, *reason, *confidence;
	const struct cat_driver_set *driver_set;
	struct cat_range windows;
	const struct cat_release *release;
	const struct ibb_source *source;
};

struct cat_series {
	const char *id, *family;
	struct ibb_size proto; /* what its sizes share */
	const struct cat_nic *nic;
	const struct cat_driver_set *driver_set;
	const struct cat_function *function;
};

struct cat_size {
	struct ibb_size pub;
	const struct cat_series *series;
};

struct cat_not_rdma {
	const char *name, *reason, *confidence;
	const struct ibb_source *source;
};

struct cat_misprint {
	const char *name;
	const struct cat_size *size;
	const struct ibb_source *source;
};

/* Ordered: the narrower scope decides. */
enum cat_scope {
	CAT_SCOPE_SIZE,
	CAT_SCOPE_SERIES,
	CAT_SCOPE_NIC,
	CAT_SCOPE_FAMILY,
	CAT_SCOPE_DRIVER_SET,
	CAT_SCOPE_ALL
};

struct cat_rule {
	const char *id, *state_name, *reason, *confidence;
	struct cat_refs sizes, series, nics, driver_sets;
	struct cat_strings families;
	struct cat_range windows;
	const struct ibb_source *source;
	enum cat_scope scope;
	enum ibb_support state;
	size_t index;
};

struct cat_fact {
	const char *id, *says, *confidence;
	const struct ibb_source *source;
};

struct cat_local {
	struct ibb_local_entry pub;
	const struct cat_driver_set *driver_set;
};

struct cat_table {
	void *items;
	size_t n;
};

struct ibb_catalog {
	struct ibb_json *doc;
	struct ibb_arena arena;
	char sha256[IBB_SHA256_HEX_SIZE];
	const char *as_of;
	struct cat_table tables[CAT_N_KINDS];
};

/* The records of a list as an array of their type. */
#define CAT_ITEMS(c, kind, type) ((const type *)(c)->tables[kind].items)
/* ret is set to the record with that id, ignoring case, or to NULL. */
const void *cat_lookup(const struct ibb_catalog *c, enum cat_kind kind, const char *id);

/* Does the range cover this Windows? An arch of NULL counts as x64. */
bool cat_range_covers(const struct cat_range *r, const struct ibb_windows *w);

/* "A, B, C": the known names nearest to an unknown one, best first; "" when none is near. */
int cat_nearest(const struct ibb_catalog *c, const char *name, char *out, size_t size);

#endif
