/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The driver catalog: which sizes exist, what their InfiniBand function is, which driver set they
 * need on which Windows, and how far that is supported; every rule with source and confidence.
 * Loaded from catalogs/azure-rdma.json (schema beside it). Pure over text.
 */
#ifndef IBB_CATALOG_CATALOG_H
#define IBB_CATALOG_CATALOG_H

#include "base/buf.h"

struct ibb_catalog;

/* `name` for messages. Validates everything the resolver relies on: IBB_E_CORRUPT with the JSON
 * path of the fault. */
int ibb_catalog_load(const char *name, const void *text, size_t n, struct ibb_catalog **ret,
		     struct ibb_error *err) IBB_MUST_CHECK;
void ibb_catalog_free(struct ibb_catalog *c);
IBB_DEFINE_CLEANUP(struct ibb_catalog *, ibb_catalog_free)
const char *ibb_catalog_version(const struct ibb_catalog *c); /* "as of" date */
const char *ibb_catalog_sha256(const struct ibb_catalog *c);  /* of the text, hex */

enum ibb_support {
	IBB_SUPPORT_VALIDATED,	 /* a vendor says it is tested */
	IBB_SUPPORT_ALLOWED,	 /* goes on, with a warning */
	IBB_SUPPORT_UNSUPPORTED, /* refused (100) unless --allow-unsupported */
	IBB_SUPPORT_IMPOSSIBLE	 /* always refused */
};
const char *ibb_support_name(enum ibb_support s);

struct ibb_source {
	const char *id, *title, *locator, *date;
};

/* One function (device) a size exposes and the driver must serve. */
struct ibb_function {
	const char *id; /* "ib-vf-cx6" */
	const char *description;
	size_t n_ids;
	const char *const *hardware_ids; /* full IDs, most specific first (SUBSYS and REV_00) */
	size_t n_bare;
	const char *const *bare_ids; /* IDs that match but are not enough (bare DEV_xxxx) */
	size_t n_an;
	const char *const *an_ids; /* accelerated-networking IDs of the same NIC, taken over too */
	const char *caveat;	   /* what makes the IDs doubtful, or NULL */
	const char *confidence, *source;
};

struct ibb_size {
	const char *name;		 /* "Standard_HB120rs_v3" */
	const char *series, *nic, *rate; /* "HBv3", "CX6", "HDR" */
	unsigned gbps_per_port, ports;
	const char *driver_set; /* "winof2", "winof", "nd", "none" */
	const char *arch;	/* "x64", "arm64" */
	bool sriov;
	bool generation1, generation2;
	bool retired;
	const char *status, *retire_date; /* date NULL when unknown or none */
	const char *constrained_of; /* the full size a constrained variant belongs to, or NULL */
	const struct ibb_function *function; /* NULL when none is known */
	const char *function_confidence;     /* that this size exposes it; NULL without function */
	const char *confidence, *note;
	size_t n_sources;
	const struct ibb_source *const *sources;
};
size_t ibb_catalog_n_sizes(const struct ibb_catalog *c);
const struct ibb_size *ibb_catalog_size_at(const struct ibb_catalog *c, size_t i);
/*
 * By ARM name, case-insensitive, with or without "Standard_"; in constrained names '-' and '_' do
 * not count, for the documentation prints them in several ways. Known but not InfiniBand capable,
 * or a known misprint: IBB_E_UNSUPPORTED with the catalog's reason. Unknown: IBB_E_UNSUPPORTED with
 * the nearest names. A size no Windows runs on (Arm64) is found; resolving it says impossible.
 */
int ibb_catalog_find_size(const struct ibb_catalog *c, const char *name,
			  const struct ibb_size **ret, struct ibb_error *err) IBB_MUST_CHECK;

/* The Windows to resolve for. */
struct ibb_windows {
	const char *id,
		*name; /* "server2022", "Windows Server 2022"; NULL when only build is known */
	unsigned major, minor, build;
	bool server;
	const char *arch; /* "x64", "x86", "arm64" */
};
size_t ibb_catalog_n_windows(const struct ibb_catalog *c);
/* As x64. */
void ibb_catalog_windows_at(const struct ibb_catalog *c, size_t i, struct ibb_windows *ret);
/* --os NAME|BUILD: "server2022", "2022", "win11-22h2", "20348", "10.0.20348"; the result is x64. A
 * bare build that both a client and a server have is IBB_E_INVALID naming both. Unknown:
 * IBB_E_INVALID with what there is. */
int ibb_catalog_find_windows(const struct ibb_catalog *c, const char *name, struct ibb_windows *ret,
			     struct ibb_error *err) IBB_MUST_CHECK;
/* Name an image's Windows (id and name filled from version, build and product type; NULL when the
 * catalog has no name for it, which does not hinder resolving). */
void ibb_catalog_name_windows(const struct ibb_catalog *c, struct ibb_windows *w);

/* A file of the vendor's that holds a driver release. */
struct ibb_release_url {
	const char *url;
	const char
		*basis; /* "seen": in public material; "pattern": made after the vendor's others */
	const char *confidence;
};
/* A file of the driver package inside it whose bytes are known. */
struct ibb_release_file {
	const char *name, *sha256, *note;
	unsigned size;
};
struct ibb_release {
	const char *id, *version;	   /* "winof2-25.10", "25.10.51000" */
	const char *driver_version, *date; /* NULL when unknown */
	const char *date_note;		   /* what else is said of the date, or NULL */
	const char *package;		   /* "MLNX_WinOF2-25_10_51000_All_x64.exe", or NULL */
	const char *driver_set, *driver_set_name;
	const char *sha256;	  /* of the file, as published; NULL: nobody published one */
	const char *sha256_basis; /* who says so; NULL without sha256 */
	uint64_t size_bytes;	  /* 0: unknown */
	unsigned size_mb;	  /* about, as a page or a person says; 0: unknown */
	size_t n_urls;
	const struct ibb_release_url *urls; /* to be tried in this order */
	size_t n_files;
	const struct ibb_release_file *files;
	const char *confidence, *note, *windows_basis;
	const struct ibb_source *source;
};
size_t ibb_catalog_n_releases(const struct ibb_catalog *c);
const struct ibb_release *ibb_catalog_release_at(const struct ibb_catalog *c, size_t i);
/* By id, version or file name, case-insensitive. IBB_E_UNSUPPORTED with the nearest ids, or with
 * the ids of all that have this version. */
int ibb_catalog_find_release(const struct ibb_catalog *c, const char *name,
			     const struct ibb_release **ret, struct ibb_error *err) IBB_MUST_CHECK;

/* A file beside the driver package that the user wants too, though no INF names it. */
struct ibb_companion_file {
	const char *file;   /* "mlx5nd.dll"; looked for by this name */
	const char *role;   /* "nd-provider", "nd-registration" */
	const char *sha256; /* pinned, or NULL */
	const char *note, *confidence;
	const struct ibb_source *source;
};
/* The companions of a driver set ("winof2"); NULL and 0 for an unknown one. */
const struct ibb_companion_file *ibb_catalog_companions(const struct ibb_catalog *c,
							const char *driver_set, size_t *ret_n);

/*
 * A catalog with others laid over it, in this order: a record of a later one takes the place of the
 * one with its id in an earlier one (rules and recommendations keep its place), others are added;
 * entries of "local" have no id and are all kept. Only the first needs all lists; any may refer to
 * records of any. What was replaced by something different is a conflict. The digest of one text is
 * its SHA-256, of several that of their digests in hex, each with a newline.
 */
struct ibb_catalog_text {
	const char *name; /* for messages */
	const void *text;
	size_t n;
	const char *dir; /* relative paths in "local" are from here; NULL: as they stand */
};
int ibb_catalog_load_all(const struct ibb_catalog_text *texts, size_t n, struct ibb_catalog **ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
/* "over.json: sizes Standard_X replaces that of built-in driver catalog: status differs" */
size_t ibb_catalog_n_conflicts(const struct ibb_catalog *c);
const char *ibb_catalog_conflict_at(const struct ibb_catalog *c, size_t i);

/* One rule that applies. A trace holds all of them in order of precedence (resolve.c), the deciding
 * one first; rules of sources that contradict it follow. */
struct ibb_rule_trace {
	const char *rule; /* its id */
	bool decided;	  /* false: applied, but another rule decided */
	enum ibb_support state;
	const char *reason, *confidence;
	const struct ibb_source *source;
};
struct ibb_local_entry { /* a package on this machine the catalog names, or NULL path */
	const char *path, *sha256;
};
struct ibb_resolution {
	const struct ibb_size *size;
	struct ibb_windows windows;
	enum ibb_support state;
	const char *driver_set;		 /* "winof2" ... */
	const char *driver_set_name;	 /* "WinOF-2 (mlx5)" */
	const char *service;		 /* "mlx5" */
	const char *package_inf;	 /* "mlx5.inf", the INF that serves the function */
	const char *recommended_version; /* "24.10.50010" or NULL; its reason in a trace */
	/* url: the first that was seen, not made after a pattern */
	const char *recommended_reason, *recommended_url, *recommended_confidence;
	const char *recommended_sha256;	       /* of the file at the URL, or NULL */
	const struct ibb_release *recommended; /* NULL: none */
	size_t n_trace;
	const struct ibb_rule_trace *trace;
	size_t n_warnings;
	const char *const *warnings; /* retired size, not validated, guessed ids, ... */
	const char *nd_note;	     /* why nothing can be fetched for "nd", or NULL */
	size_t n_local;
	const struct ibb_local_entry *local;
};
/*
 * Decide. Fails only for lack of memory: a refusal is a state. Deterministic; result owned by the
 * caller, ibb_resolution_free(); it borrows from the catalog.
 */
int ibb_catalog_resolve(const struct ibb_catalog *c, const struct ibb_size *size,
			const struct ibb_windows *w, struct ibb_resolution **ret,
			struct ibb_error *err) IBB_MUST_CHECK;
void ibb_resolution_free(struct ibb_resolution *r);
IBB_DEFINE_CLEANUP(struct ibb_resolution *, ibb_resolution_free)

#endif
