/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manifest: what was done to which image, with which packages, and how the result can be
 * checked. Schema: catalogs/manifest.schema.json. The same bake gives the same bytes.
 */
#ifndef IBB_MANIFEST_MANIFEST_H
#define IBB_MANIFEST_MANIFEST_H

#include "apply/apply.h"
#include "driver/trust.h"
#include "inspect/azure.h"

#define IBB_MANIFEST_SCHEMA	"ibbake-manifest/1"
#define IBB_WIM_MANIFEST_SCHEMA "ibbake-wim-manifest/1"

/* A parent of a differencing disk. */
struct ibb_identity_parent {
	char *file_name; /* without directory */
	const char *container, *found_by;
	char id[40]; /* what its child names it by */
	uint64_t file_bytes, disk_bytes;
	bool has_time, time_agrees; /* VHD: is it as old as its child says? */
	struct ibb_sha256 digest;   /* of the kind that the identity names, if any */
};

/* Whether another reader sees the same disk. */
struct ibb_identity_opinion {
	const char *result;  /* "agrees", "agrees-in-part", "off", "not-asked" */
	const char *version; /* of libvhdi, when it was asked, else NULL */
	uint64_t blocks;     /* pieces of the disk that were compared */
	char reason[400];    /* why it says less than it could, or "" */
};
/* As "second_opinion" of obj. */
void ibb_opinion_json(const struct ibb_identity_opinion *o, struct ibb_jb *b, struct ibb_json *obj);

/* What tells one image from another without reading all of it. */
struct ibb_identity {
	char *file_name;       /* without directory */
	const char *container; /* "raw disk", "fixed VHD", "dynamic VHDX", ... */
	uint64_t file_bytes, disk_bytes;
	uint32_t sector_bytes;
	bool has_vhd_id;
	struct ibb_guid vhd_id; /* bytes as in the footer */
	bool has_vhdx_id;
	struct ibb_guid vhdx_id; /* virtual disk ID */
	uint32_t block_bytes;	 /* 0: the container has no blocks */
	bool log_replayed;	 /* VHDX */
	uint64_t log_bytes;
	struct ibb_identity_parent *parents; /* owned */
	size_t n_parents;
	struct ibb_identity_opinion opinion;
	const char *table; /* "GPT", "MBR", "none" */
	bool has_disk_guid;
	struct ibb_guid disk_guid; /* GPT */
	uint32_t mbr_signature;
	unsigned partition;
	uint64_t partition_off, partition_bytes;
	bool has_partition_guid;
	struct ibb_guid partition_guid;
	char ntfs_serial[17];
	const char *digest_kind; /* NULL, "content" or "sha256" */
	struct ibb_sha256 digest;
};
void ibb_identity_clear(struct ibb_identity *id);
void ibb_identity_json(const struct ibb_identity *id, struct ibb_jb *b, struct ibb_json *obj);
void ibb_facts_json(const struct ibb_facts *f, struct ibb_jb *b, struct ibb_json *obj);

/* A file that changed whom to trust, by what it held when it was read. */
struct ibb_trust_file {
	const char *path; /* borrowed */
	struct ibb_sha256 digest;
};

/* Options that weakened a check, for the record. */
struct ibb_manifest_options {
	bool force, allow_unsupported, accept_dirty_hives, second_opinion_off;
	bool accept_changed_parent, dry_run;
	unsigned allow; /* IBB_TRUST_ALLOW_* */
	const struct ibb_trust_file *trust_anchors, *crls;
	size_t n_trust_anchors, n_crls;
	const char *catalog_as_of, *catalog_sha256;
	/* what catalog, lock file and packages came from; NULL: no bundle */
	const char *bundle, *bundle_sha256;
	const char *bundle_key; /* who signed it, or NULL */
	bool bundle_key_known;	/* and was asked for */
	const char *version;	/* of ibbake */
	int64_t unix_time;
};

/* How the output was written. */
struct ibb_manifest_writing {
	const char *format, *sparse; /* as on the command line; format may be "in-place" */
	uint64_t grown_bytes;	     /* put to the end of the disk, for whole MiB */
};

/* A bad package that --keep-going left out. */
struct ibb_left_out {
	const char *path, *reason;
};

struct ibb_manifest_input {
	const struct ibb_identity *input, *output;
	const struct ibb_facts *facts;
	const struct ibb_azure *azure; /* of the output */
	bool azure_enforced;
	const struct ibb_selection *selections;
	size_t n_selections;
	const struct ibb_plan *plan;
	const struct ibb_applied *applied;
	char *const *warnings;
	size_t n_warnings;
	const struct ibb_left_out *left_out;
	size_t n_left_out;
	struct ibb_manifest_options options;
	struct ibb_manifest_writing writing;
	const struct ibb_json *archives; /* that packages came out of, a list; NULL: none */
	const struct ibb_json *winre;	 /* the recovery images, a list; NULL: not asked for */
};
/* The parts of it that the manifest of a WIM has as well: what made it, when; the options and the
 * driver catalog; and of every Windows "targets", "packages", "removed", "key_security",
 * "operations", "files", "left_out", "warnings". */
void ibb_manifest_head_json(const char *schema, const struct ibb_manifest_options *options,
			    struct ibb_jb *b, struct ibb_json *root);
void ibb_manifest_options_json(const struct ibb_manifest_options *o, struct ibb_jb *b,
			       struct ibb_json *obj);
void ibb_manifest_part_json(const struct ibb_manifest_input *in, struct ibb_jb *b,
			    struct ibb_json *obj);
/* "archives" of obj. */
void ibb_manifest_archives_json(const struct ibb_json *archives, struct ibb_jb *b,
				struct ibb_json *obj);
/* "digest" of obj; kind NULL: null. */
void ibb_digest_json(struct ibb_jb *b, struct ibb_json *obj, const char *kind,
		     const struct ibb_sha256 *d);
int ibb_manifest_build(const struct ibb_manifest_input *in, struct ibb_json **ret,
		       struct ibb_error *err) IBB_MUST_CHECK;

/* ---- verify ---- */

/* Parse and check the parts that verify relies on. IBB_E_CORRUPT with the place. */
int ibb_manifest_parse(const char *name, const void *text, size_t n, struct ibb_json **ret,
		       struct ibb_error *err) IBB_MUST_CHECK;

struct ibb_verify_options {
	bool booted; /* Windows has run since: hives may have changed around the recorded values */
};
/* Is it the manifest of a WIM? Then "images" has what the others have in the root. */
bool ibb_manifest_is_wim(const struct ibb_json *m);
/*
 * `id` NULL: nothing is asked about the container and where the volume lies in it; `m` may also be
 * an item of "images" then.
 * Compare the image with the manifest. Adds "checked" and "differences" to obj; *ret_differences
 * is their number.
 */
int ibb_manifest_verify(const struct ibb_json *m, const struct ibb_identity *id,
			const struct ibb_facts *f, struct ibb_volume *v,
			const struct ibb_verify_options *o, struct ibb_jb *b, struct ibb_json *obj,
			size_t *ret_differences, struct ibb_error *err) IBB_MUST_CHECK;

#endif
