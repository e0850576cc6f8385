/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A driver package for one target: its INF understood, its files read, its records computed.
 * Pure over bytes: files come through a callback.
 */
#ifndef IBB_DRIVER_PACKAGE_H
#define IBB_DRIVER_PACKAGE_H

#include "authenticode/signer.h"
#include "base/hash.h"
#include "inf/inf.h"

/* Reads one file of the package directory; path relative to it, '/' separators, looked up
 * case-insensitively. *ret_spelling (free() it) is how the name is spelt there. IBB_E_NOTFOUND when
 * missing. */
struct ibb_package_source {
	int (*read)(void *ctx, const char *path, uint64_t limit, struct ibb_buf *ret,
		    char **ret_spelling, struct ibb_error *err);
	void *ctx;
	const char *dir; /* host path, for messages and OemPath */
};

struct ibb_package_file {
	char *path; /* relative, '/' separators, spelt as the INF spells it */
	struct ibb_buf bytes;
	struct ibb_sha256 sha256;
};

struct ibb_package {
	char *dir;	    /* host directory */
	char *inf_name;	    /* "mlx5.inf", as spelt on the host */
	char *catalog_name; /* as the INF spells it; NULL when it names none */
	struct ibb_inf *inf;
	struct ibb_inf_target target;
	struct ibb_inf_version version;
	struct ibb_inf_models models;
	struct ibb_cat_signer signer; /* empty when there is no catalog */
	bool signed_;		      /* a catalog was read */
	size_t n_files, cap_files;
	struct ibb_package_file *files; /* [0] the INF, [1] the catalog if any, then the others */
	struct ibb_sha256 digest;	/* over names and digests of all files: identity */
	/* union over the chosen models' install sections */
	bool copies_files, outside_store, absolute_addreg, coinstallers, has_includes;
	bool boot_start_service; /* an associated service with StartType 0 */
	char **services;
	size_t n_services, cap_services;
};

/*
 * Load inf_name from the source for the target. IBB_E_CORRUPT (INF), IBB_E_UNSUPPORTED (no models
 * section for the target, cabinets, several architectures...), IBB_E_NOTFOUND naming the file the
 * INF asks for and the package lacks.
 */
int ibb_package_load(const struct ibb_package_source *src, const char *inf_name,
		     const struct ibb_inf_target *target, struct ibb_package **ret,
		     struct ibb_error *err) IBB_MUST_CHECK;
void ibb_package_free(struct ibb_package *p);
IBB_DEFINE_CLEANUP(struct ibb_package *, ibb_package_free)

/* How a package serves one device ID. */
struct ibb_match {
	const struct ibb_inf_model *model;
	bool compatible; /* matched one of the INF's compatible IDs */
	size_t index;	 /* which compatible ID */
	unsigned feature_score;
};
/* The best models line whose hardware or compatible ID equals `id`; NULL model when none does. */
int ibb_package_match(struct ibb_package *p, const char *id, struct ibb_match *ret,
		      struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Would Windows rank `a` above `b` for a device whose IDs are ids[0..n) in order of preference?
 * By the documented order: feature score, identifier score, DriverVer date, version
 * (signature: all trusted packages equal). >0 a wins, <0 b wins, 0 equal. *ret_reason is static
 * text.
 */
int ibb_package_rank(struct ibb_package *a, struct ibb_package *b, const char *const *ids, size_t n,
		     int *ret, const char **ret_reason, struct ibb_error *err) IBB_MUST_CHECK;

#endif
