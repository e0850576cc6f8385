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

/*
 * Reads one file of the package directory; path relative to it, '/' separators, looked up
 * case-insensitively. *ret_spelling (free() it) is how the name is spelt there. IBB_E_NOTFOUND when
 * missing.
 *
 * A Linux directory may hold names that differ only in case (a real package has VBoxGuest.cat and
 * vboxguest.cat, signed by different people): the exact spelling asked for wins; when none is exact
 * and several match, the answer is IBB_E_CONFLICT naming them, never a guess.
 */
struct ibb_package_source {
	int (*read)(void *ctx, const char *path, uint64_t limit, struct ibb_buf *ret,
		    char **ret_spelling, struct ibb_error *err);
	/*
	 * May be NULL. The i-th of the files whose names differ from the one that read() gives for
	 * this path in case only. IBB_E_NOTFOUND when there are no more. Only asked for catalogs.
	 */
	int (*other)(void *ctx, const char *path, size_t i, uint64_t limit, struct ibb_buf *ret,
		     char **ret_spelling, struct ibb_error *err);
	/* May be NULL. Asked once the models of the INF are known and before any other file is
	 * read: false ends the load with IBB_E_UNSUPPORTED. */
	bool (*accept)(void *ctx, const struct ibb_inf_models *models);
	void *ctx;
	const char *dir; /* host path, for messages and OemPath */
};

struct ibb_package_file {
	char *path; /* relative, '/' separators, spelt as the INF spells it */
	struct ibb_buf bytes;
	struct ibb_sha256 sha256;
};

struct ibb_package_index; /* device IDs, sorted; made when first asked for */
struct ibb_package_trust; /* driver/trust.h */

struct ibb_package {
	char *dir;	    /* host directory */
	char *inf_name;	    /* "mlx5.inf", as spelt on the host */
	char *catalog_name; /* as the INF spells it; NULL when it names none */
	char *catalog_file; /* as it is spelt on the host */
	struct ibb_inf *inf;
	struct ibb_inf_target target;
	struct ibb_inf_version version;
	struct ibb_inf_models models;
	struct ibb_cat_signer signer; /* empty when there is no catalog */
	bool signed_;		      /* a catalog was read */
	size_t n_files, cap_files;
	/* [0] the INF, [1] the catalog if any, then the others by name, expanded if they were
	 * packed */
	struct ibb_package_file *files;
	/* catalogs that stand beside files[1] under a name that differs in case only */
	struct ibb_package_file *other_catalogs;
	size_t n_other_catalogs, cap_other_catalogs;
	struct ibb_sha256 digest; /* over names and digests of all files: identity */
	/* union over the chosen models' install sections */
	bool copies_files, outside_store, absolute_addreg, coinstallers, has_includes;
	bool boot_start_service; /* an associated service with StartType 0 */
	char **services;
	size_t n_services, cap_services;
	/* INFs that CopyINF of the chosen install sections names; owned by inf */
	size_t n_companions;
	const char *const *companions;
	struct ibb_package_index *index;
	/* what ibb_package_judge() found, once somebody asked; NULL: nobody vouches for anything */
	struct ibb_package_trust *trust;
};

/*
 * Load inf_name from the source for the target. A file that is not there by its name is taken from
 * its compressed form (a.sy_) or from the cabinet that its disk names, when these are cabinets.
 * IBB_E_CORRUPT (INF, catalog, cabinet), IBB_E_UNSUPPORTED (no models section for the target; files
 * compressed in another way), IBB_E_NOTFOUND naming the file the INF asks for and the package
 * lacks, IBB_E_CONFLICT (names that differ only in case), IBB_E_LIMIT.
 */
int ibb_package_load(const struct ibb_package_source *src, const char *inf_name,
		     const struct ibb_inf_target *target, struct ibb_package **ret,
		     struct ibb_error *err) IBB_MUST_CHECK;
void ibb_package_free(struct ibb_package *p);
IBB_DEFINE_CLEANUP(struct ibb_package *, ibb_package_free)

/*
 * Make other_catalogs[k] the package's catalog, and the one it had other_catalogs[k]. Signer and
 * digest change with it. IBB_E_CORRUPT (it is no catalog), IBB_E_NOMEM: then nothing changed.
 */
int ibb_package_take_catalog(struct ibb_package *p, size_t k, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * The packages that p's CopyINF directives name, those that theirs name, and so on: Windows imports
 * them together with p. Each once, in the order in which they are named; p itself is not among
 * them. From the same directory and for the same target; src->accept is not asked. The codes are
 * those of ibb_package_load(), with the INF that names the companion in front. free() the array,
 * each member with ibb_package_free(); NULL and 0 when there are none.
 */
int ibb_package_load_companions(const struct ibb_package_source *src, const struct ibb_package *p,
				struct ibb_package ***ret, size_t *ret_n,
				struct ibb_error *err) IBB_MUST_CHECK;

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

/* A device's IDs, each list in the bus driver's order (most specific first). */
struct ibb_device_ids {
	const char *const *hardware;
	size_t n_hardware;
	const char *const *compatible;
	size_t n_compatible;
};

/* The best of all matches between a device and a package. */
struct ibb_device_match {
	struct ibb_match match; /* match.model is NULL when the package does not serve the device */
	const char *id;		/* the device's ID that matched, borrowed from the list */
	/*
	 * Windows' driver rank without its signature byte, 0x00GGTHHH, lower is better: feature
	 * score GG, kind of match T (0 hardware ID with the INF's hardware ID, 1 hardware with
	 * compatible, 2 compatible with hardware, 3 compatible with compatible), position HHH.
	 * Microsoft, "Identifier Score", "Driver Package Rank Example".
	 */
	uint32_t rank;
};
int ibb_package_match_device(struct ibb_package *p, const struct ibb_device_ids *dev,
			     struct ibb_device_match *ret, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Would Windows rank `a` above `b` for the device? By the documented order: signed before unsigned
 * (all trusted signers are equal), feature score, identifier score, DriverVer date, version. A
 * package that serves the device is above one that does not. >0 a wins, <0 b wins, 0 equal.
 * *ret_reason is static text that says what decided.
 */
int ibb_package_rank_device(struct ibb_package *a, struct ibb_package *b,
			    const struct ibb_device_ids *dev, int *ret, const char **ret_reason,
			    struct ibb_error *err) IBB_MUST_CHECK;
/* The same for a device of which only hardware IDs are known: ids[0..n), most specific first. */
int ibb_package_rank(struct ibb_package *a, struct ibb_package *b, const char *const *ids, size_t n,
		     int *ret, const char **ret_reason, struct ibb_error *err) IBB_MUST_CHECK;

/* One device ID that the chosen models lines serve, with the best way it is served. */
struct ibb_served_id {
	const char *id;		/* as first spelt, borrowed from the INF */
	bool compatible;	/* no line has it as its hardware ID */
	size_t index;		/* position among the compatible IDs of its line, else 0 */
	unsigned feature_score; /* of that line's install section */
	unsigned line;		/* of the models line that decides the other members */
};
/* Every ID once, in the order of the INF. free() the array. */
int ibb_package_served_ids(struct ibb_package *p, struct ibb_served_id **ret, size_t *ret_n,
			   struct ibb_error *err) IBB_MUST_CHECK;

#endif
