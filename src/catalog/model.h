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
	CAT_COMPANION,
	CAT_EXT_ENTRY,
	CAT_EXT_SUPPORT,
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
	const struct ibb_companion_file *companions;
	size_t n_companions;
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
	struct ibb_release pub;
	const char *package_name, *old_url;
	unsigned size;
	bool lts;
	const struct cat_driver_set *driver_set;
	struct cat_refs windows;
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
	unsigned layer;
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

struct cat_companion {
	const char *id;
	struct ibb_companion_file pub;
	const struct cat_driver_set *driver_set;
};

/* A URL that the VM extension's list ever had, and for how long. */
struct cat_ext_entry {
	const char *id, *version, *package, *url, *note, *confidence;
	const char *first_commit, *first_date;
	const char *last_commit, *last_date; /* NULL: it still stands there */
	const struct cat_nic *nic;
	struct cat_strings distros;
	const struct cat_release *release;
	const struct ibb_source *source;
};

/* A row of the support table in the VM extension's documentation, as it was at a date. */
struct cat_ext_support {
	const char *id, *date, *note, *confidence;
	struct cat_refs windows, nics; /* no NICs: the table had no such column yet */
	const struct ibb_source *source;
};

/* Where a record comes from. */
struct cat_origin {
	unsigned layer;
	size_t index; /* in that layer's list */
	const struct ibb_json *json;
};

struct cat_table {
	void *items;
	size_t n;
	struct cat_origin *from; /* of every record, also of those not read yet */
	size_t n_from;
};

/* A catalog as it came; layers[0] is complete, others are laid over it. */
struct cat_layer {
	const char *name, *dir, *title, *as_of;
	char sha256[IBB_SHA256_HEX_SIZE];
	bool overlay; /* says that it is one */
	struct ibb_json *doc;
};

struct ibb_catalog {
	struct cat_layer *layers;
	size_t n_layers;
	struct ibb_arena arena;
	char sha256[IBB_SHA256_HEX_SIZE];
	const char *as_of;
	struct cat_table tables[CAT_N_KINDS];
	const char **conflicts;
	size_t n_conflicts, cap_conflicts;
};

/* The records of a list as an array of their type. */
#define CAT_ITEMS(c, kind, type) ((const type *)(c)->tables[kind].items)
/* ret is set to the record with that id, ignoring case, or to NULL. */
const void *cat_lookup(const struct ibb_catalog *c, enum cat_kind kind, const char *id);

size_t cat_record_size(enum cat_kind kind);

/* Does the range cover this Windows? An arch of NULL counts as x64. */
bool cat_range_covers(const struct cat_range *r, const struct ibb_windows *w);

/* What resolving recommends, or NULL. */
const struct cat_recommendation *cat_recommendation_for(const struct ibb_catalog *c,
							const struct cat_driver_set *set,
							const struct ibb_windows *w);

/* "A, B, C": the ids of a list nearest to an unknown name, best first; "" when none is near. */
int cat_nearest(const struct ibb_catalog *c, enum cat_kind kind, const char *name, char *out,
		size_t size);

#endif
