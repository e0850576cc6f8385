/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libibbake: bakes InfiniBand drivers into Windows images, offline.
 *
 * One struct ibb_request says what to do, one function a task does it, and the answer is a JSON
 * document (UTF-8, NUL-terminated, owned by the caller: ibb_free()). The documents' schemas are
 * installed beside the driver catalog. Functions never print, never exit, and read no environment.
 * They may be called from several threads at once on different images, except that libntfs-3g's
 * message handler is process-wide (it is switched off).
 */
#ifndef IBBAKE_IBBAKE_H
#define IBBAKE_IBBAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ibbake/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0"; static storage. */
IBB_API const char *ibb_version(void);

/* Release what a function returned through a ret_ parameter. Accepts NULL. */
IBB_API void ibb_free(void *p);

/* Where a long task is. */
struct ibb_progress {
	/* "inspect", "unpack", "packages", "plan", "digest", "apply", "copy", "check", "sync",
	 * "fetch" */
	const char *phase;
	/* bytes while copying, digesting and checking; total 0 when there is nothing to count */
	uint64_t done, total;
};
/* Called now and then from the calling thread; non-zero stops the task: IBB_E_CANCELLED. */
typedef int (*ibb_progress_fn)(void *ctx, const struct ibb_progress *p);

enum ibb_digest { IBB_DIGEST_NONE, IBB_DIGEST_CONTENT, IBB_DIGEST_SHA256 };

/*
 * What to do with a package whose class is boot-critical in the image and whose service starts at
 * boot: configure it as Windows would (or refuse it where that is not known), or only stage it.
 */
enum ibb_reflect { IBB_REFLECT_AUTO, IBB_REFLECT_NEVER };

/* Bits of ibb_request.require: readiness lines that must not be missing. */
enum { IBB_REQUIRE_DRIVER = 1, IBB_REQUIRE_ADDRESS = 2, IBB_REQUIRE_USER_ND = 4 };

/* Bits of ibb_request.allow. What is tampered with, expired or revoked is never allowed. */
enum {
	IBB_ALLOW_UNSIGNED = 1,
	IBB_ALLOW_VENDOR_SIGNED = 2, /* also cross-signed where Windows asks for more */
	IBB_ALLOW_TEST_SIGNED = 4,
	IBB_ALLOW_UNTRUSTED_ROOT = 8
};

/* What kind of image is written. Azure takes fixed VHDs only, of whole MiB: a disk that is not
 * grows at its end, and a GPT's backup moves along. The others keep the size. */
enum ibb_output_format {
	IBB_OUTPUT_VHD,		/* fixed */
	IBB_OUTPUT_VHD_DYNAMIC, /* dynamic */
	IBB_OUTPUT_VHDX,	/* dynamic */
	IBB_OUTPUT_RAW
};

/* What becomes of zeros: holes of the source and runs of at least 64 KiB are holes of the output
 * (auto), every 4 KiB of them (always), none (never: all room is allocated). */
enum ibb_output_sparse {
	IBB_OUTPUT_SPARSE_AUTO,
	IBB_OUTPUT_SPARSE_ALWAYS,
	IBB_OUTPUT_SPARSE_NEVER
};

/* Zero-initialise, set struct_bytes, fill what the task needs. All pointers are borrowed. */
struct ibb_opened_bundle;
struct ibb_request {
	size_t struct_bytes; /* sizeof(struct ibb_request) */
	const char *image;   /* path of the image; written with in_place only */
	unsigned partition;  /* number of the Windows partition; 0: look inside all */
	/*
	 * image is a WIM: numbers or names of its images, or "all", which skips those without
	 * Windows. None: the only one; of several ibb_inspect(), ibb_drivers_list() and
	 * ibb_verify() take all, the others IBB_E_INVALID. ibb_verify() of a disk: the image of the
	 * manifest that it was made from.
	 */
	const char *const *images;
	size_t n_images;
	const char *const *sizes; /* ARM size names */
	size_t n_sizes;
	/* searched recursively for driver packages; also archives of vendors (zip, cab, 7z, MSI,
	 * installers), which are taken apart in temp_dir */
	const char *const *driver_dirs;
	size_t n_driver_dirs;
	const char *catalog; /* path of a driver catalog; NULL: the built-in one */
	/* catalogs laid over that one, in this order: files, or directories whose *.json are taken
	 * by name; a later record takes the place of an earlier one with its id */
	const char *const *catalog_dirs;
	size_t n_catalog_dirs;
	const char *os;		 /* ibb_resolve(): Windows by name or build */
	const char *const *oses; /* ibb_fetch(), ibb_bundle_create(): the same, several */
	size_t n_oses;
	const char *output;   /* ibb_bake(): the image to make; NULL: in_place, or a dry run */
	const char *manifest; /* ibb_bake(): written; ibb_verify(): read */
	bool overwrite;	      /* replace an existing output and manifest */
	enum ibb_output_format format; /* of the output; its name must not contradict it */
	enum ibb_output_sparse sparse;
	bool format_given; /* these two were asked for: refused with a WIM, which has neither */
	bool winre; /* ibb_bake() of a disk: treat the recovery images on it (Winre.wim) as well */
	bool force; /* go on although servicing is pending */
	bool allow_unsupported; /* go on although the catalog says unsupported */
	/* take a hive that was not cleanly closed as it is when no transaction log of it is usable
	 */
	bool accept_dirty_hives;
	/* take a parent that, by its time, was changed after its differencing VHD was made;
	 * recorded
	 */
	bool accept_changed_parent;
	bool second_opinion_off; /* do not ask libvhdi whether it sees the same disk; recorded */
	bool check_hives; /* ibb_inspect(): check every cell of the hives; unsound: IBB_E_CORRUPT */
	/* refuse what is not fit for Azure: ibb_inspect() the image, the others what they would
	 * write
	 */
	bool azure;
	unsigned allow; /* IBB_ALLOW_*: signatures that Windows does not accept */
	/* PEM files with roots that count like the pinned ones (tests); CRLs, PEM or DER */
	const char *const *trust_anchors;
	size_t n_trust_anchors;
	const char *const *crls;
	size_t n_crls;
	/* packages by digest: must match when the file is there, is written by ibb_bake() and
	 * ibb_drivers_add() when it is not; NULL: neither. Also files by release: ibb_fetch() and
	 * ibb_cache() hold them against it, and add those that are not in it. */
	const char *lock;
	/* catalog, lock file and packages come from this bundle, and from nowhere else */
	const char *bundle;
	/* PEM files with Ed25519 public keys, one of which must have signed the bundle */
	const char *const *bundle_keys;
	size_t n_bundle_keys;
	const char *sign_key; /* ibb_bundle_create(): PEM file with an Ed25519 private key */
	/* the package cache; ibb_plan() and ibb_bake() take the recommended releases from there
	 * when neither driver_dirs nor a bundle is given; NULL: none */
	const char *cache_dir;
	/* what a command works on besides images: ibb_fetch() releases; ibb_catalog_import(),
	 * ibb_cache(), ibb_drivers_unpack() files; ibb_bundle_check(), ibb_bundle_unpack() one
	 */
	const char *const *inputs;
	size_t n_inputs;
	/* ibb_fetch(): as curl's environment variables of these names; NULL: none */
	const char *http_proxy, *https_proxy, *no_proxy;
	const char *ca_file, *ca_dir; /* PEM; NULL: those of the system */
	unsigned timeout_s, stall_s;  /* of a download: in all (0: none), without a byte (0: 60) */
	unsigned tries;		      /* 0: 5 */
	bool offline;		      /* use the cache alone */
	bool allow_insecure_fetch;    /* http although nobody knows the file's digest; and what
				       * came so, out of the cache */
	const char *release;	      /* ibb_cache(): what inputs[0] is of; NULL: by its name */
	bool remove_wrong;	      /* ibb_cache(): take out what is not what its name says */
	/* ibb_cache(): also take out files that came in so many seconds ago or earlier */
	bool prune_files;
	int64_t older_than_s;
	int64_t now; /* signatures without a timestamp are judged at this time; 0: unix_time */
	const char *const *filters; /* ibb_drivers_list(): "KEY=PATTERN", all must match */
	size_t n_filters;
	const char *const *published; /* ibb_drivers_remove(): oemN.inf or original INF names */
	size_t n_published;
	bool recurse;		  /* ibb_drivers_add(): search below driver_dirs as well */
	bool keep_going;	  /* ibb_drivers_add(): leave a bad package out whole */
	bool replace;		  /* ibb_drivers_add(): remove other versions of the same INF */
	enum ibb_reflect reflect; /* ibb_drivers_add() */
	bool booted;		  /* ibb_verify(): Windows has run since the bake */
	unsigned require;	  /* IBB_REQUIRE_* */
	enum ibb_digest digest;	  /* also digest whole images, for the manifest */
	/* identifiers that have to be made up come from input, changes and unix_time; false: they
	 * are random */
	bool reproducible;
	int64_t unix_time; /* time stamped on everything written, seconds since 1970 */
	/* ibb_bake(), ibb_drivers_*(): change the image itself, by way of a journal beside it; raw
	 * disks, fixed VHDs and WIMs only; output must be NULL. A WIM grows at its end. */
	bool in_place;
	bool compact; /* with in_place, a WIM: written anew and put in its place, nothing dead in it
		       */
	bool dry_run; /* with in_place: judge whether it could be done, and write nothing */
	bool drop;    /* ibb_recover(): give the change up instead of finishing it */
	bool no_manifest; /* ibb_recover(): finish it without writing its manifest */
	/* a directory for what does not fit into memory; NULL: the one of the result */
	const char *temp_dir;
	ibb_progress_fn progress;
	void *progress_ctx;
	const struct ibb_opened_bundle *opened; /* the library's own; NULL */
};

/*
 * The sizes of the driver catalog. Schema "ibbake-sizes/1".
 * IBB_E_CORRUPT: the catalog given is faulty.
 */
IBB_API int ibb_sizes(const struct ibb_request *q, char **ret_json,
		      struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Which driver set sizes[] need on `os`, and every rule that decided. Schema "ibbake-resolve/1".
 * A refusal by the catalog is a result (state "unsupported" or "impossible") and an error:
 * *ret_json is set for IBB_OK and for IBB_E_UNSUPPORTED of a known size.
 */
IBB_API int ibb_resolve(const struct ibb_request *q, char **ret_json,
			struct ibb_error *err) IBB_MUST_CHECK;

/*
 * A WIM is an image like any other; its documents have an "images" list, and schemas of their own:
 * "ibbake-wim-inspect/1", "ibbake-wim-plan/1", "ibbake-wim-manifest/1", "ibbake-wim-verify/1",
 * "ibbake-wim-drivers/1". Nothing is written before all images are planned and changed in memory.
 * ibb_convert() refuses it.
 */

/*
 * What the image is. Schema "ibbake-inspect/1". *ret_json is set also when Windows could not be
 * looked at (then the error says why, and the document describes what was seen); NULL otherwise.
 */
IBB_API int ibb_inspect(const struct ibb_request *q, char **ret_json,
			struct ibb_error *err) IBB_MUST_CHECK;

/* Everything ibb_bake() would do; writes nothing. Schema "ibbake-plan/1". */
IBB_API int ibb_plan(const struct ibb_request *q, char **ret_json,
		     struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Bake: plan, carry out in memory, read back, write the output image whole, then the manifest.
 * The document is the manifest (schema "ibbake-manifest/1"); it is also written to q->manifest
 * when that is set. With q->in_place the image itself is changed: at any moment it is the old one,
 * the new one, or one that ibb_recover() makes the new one. Without q->output and q->in_place
 * nothing is written (dry run).
 */
IBB_API int ibb_bake(const struct ibb_request *q, char **ret_json,
		     struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Finish a change in place that was interrupted, or with q->drop give it up while nothing of it is
 * in the image; with q->no_manifest, finish it though its manifest cannot be written. The change of
 * a WIM is always given up: the file is what it was before. Schema
 * "ibbake-recover/1". IBB_E_CONFLICT: the journal belongs to another image, or
 * the image was changed by something else; nothing is written then. Until this is done every other
 * function refuses the image with IBB_E_CONFLICT.
 */
IBB_API int ibb_recover(const struct ibb_request *q, char **ret_json,
			struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Does the image still hold what the manifest says? Schema "ibbake-verify/1". IBB_E_DIFFERS when
 * not; *ret_json lists the differences then.
 */
IBB_API int ibb_verify(const struct ibb_request *q, char **ret_json,
		       struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Copy the disk of any image that can be read (with its parents) to a new image of q->format,
 * whatever is in it; no Windows is needed. The output appears whole or not at all and is read back.
 * Schema "ibbake-convert/1".
 */
IBB_API int ibb_convert(const struct ibb_request *q, char **ret_json,
			struct ibb_error *err) IBB_MUST_CHECK;

/*
 * The driver packages staged in the image, those that match every filter. Keys: published, inf,
 * package, provider, class (name or GUID), version, date, node, signer, inbox, in-use,
 * boot-critical (yes or no); patterns with * and ?, case-insensitive. Schema "ibbake-drivers/1".
 */
IBB_API int ibb_drivers_list(const struct ibb_request *q, char **ret_json,
			     struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Stage every driver package of driver_dirs, whatever it serves; output, manifest and dry run as in
 * ibb_bake(). With keep_going a bad package is left out whole and listed ("left_out").
 */
IBB_API int ibb_drivers_add(const struct ibb_request *q, char **ret_json,
			    struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Take staged packages out: exactly what their staging put in. Packages that came with Windows are
 * refused, those that a device of the image is bound to need `force`.
 */
IBB_API int ibb_drivers_remove(const struct ibb_request *q, char **ret_json,
			       struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Judge the driver packages of driver_dirs without an image: who vouches for them, and does Windows
 * (`os`, NULL: every one the catalog knows) load them? Files among driver_dirs that are no INF are
 * judged as companions, by their embedded signature. Schema "ibbake-check/1". IBB_E_UNTRUSTED when
 * there is one that none of these Windows accepts, IBB_E_CORRUPT when that is because it is
 * damaged; *ret_json is set then as well.
 */
IBB_API int ibb_drivers_check(const struct ibb_request *q, char **ret_json,
			      struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Have the releases of q->inputs, and those that the catalog recommends for every one of sizes[] on
 * every one of oses[], in the package cache: the only function that uses a network. With dry_run
 * nothing is fetched. Schema "ibbake-fetch/1"; *ret_json is set also when some could not be had.
 * IBB_E_TIMEOUT: a time limit ran out. IBB_E_UNTRUSTED: other bytes than those that are known.
 * IBB_E_UNSUPPORTED: not to be had, or not to be taken.
 */
IBB_API int ibb_fetch(const struct ibb_request *q, char **ret_json,
		      struct ibb_error *err) IBB_MUST_CHECK;

enum ibb_cache_task {
	IBB_CACHE_LIST,
	IBB_CACHE_VERIFY, /* digest every file; IBB_E_CORRUPT when a wrong one stays */
	IBB_CACHE_PRUNE,  /* downloads that were given up; with prune_files, old files */
	IBB_CACHE_ADD	  /* take in inputs[] */
};
/* See to the package cache. Schema "ibbake-cache/1". */
IBB_API int ibb_cache(const struct ibb_request *q, enum ibb_cache_task task, char **ret_json,
		      struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Take the archives and installers `inputs` apart into the directory `output`, which is not there
 * yet or empty and appears whole or not at all; of several each goes to a directory named after it.
 * Nothing is run. The document (schema "ibbake-unpack/1") lists the driver packages found, the
 * Windows they reach (or of `os` alone), and the companion files that the driver catalog names.
 * IBB_E_EXISTS; for the rest as src/unpack/unpack.h says: IBB_E_UNSUPPORTED, IBB_E_CORRUPT,
 * IBB_E_LIMIT, IBB_E_CONFLICT.
 */
IBB_API int ibb_drivers_unpack(const struct ibb_request *q, char **ret_json,
			       struct ibb_error *err) IBB_MUST_CHECK;

/*
 * What the driver catalog holds: releases with their URLs and pins, recommendations, the VM
 * extension's list and support table, companions. Schema "ibbake-catalog-show/1".
 */
IBB_API int ibb_catalog_show(const struct ibb_request *q, char **ret_json,
			     struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Is the driver catalog, with catalog_dirs laid over it, sound? And are the packages of driver_dirs
 * what it pins, and each pinned file a member of its own security catalog? Schema
 * "ibbake-catalog-check/1". IBB_E_CORRUPT when a finding is an error; *ret_json is set then too.
 */
IBB_API int ibb_catalog_check(const struct ibb_request *q, char **ret_json,
			      struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Make a catalog for catalog_dirs out of inputs[0], a list of drivers of the VM extension
 * (resources.json); written to `output`, else part of the document. Schema
 * "ibbake-catalog-import/1", which says what became of every entry. IBB_E_UNSUPPORTED when none
 * could be used (*ret_json is set), or when it is no such list.
 */
IBB_API int ibb_catalog_import(const struct ibb_request *q, char **ret_json,
			       struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Make a bundle (output) for all of sizes[] on all of oses[]: driver catalog, CRLs, the packages of
 * driver_dirs that serve the sizes, judged for each Windows as a bake would, and a lock file for
 * them; signed with sign_key. With `lock` the packages have to be those. The same input gives the
 * same bytes. Schema "ibbake-bundle-check/1" (as it was read back). IBB_E_UNSUPPORTED: a size on a
 * Windows that no package serves.
 */
IBB_API int ibb_bundle_create(const struct ibb_request *q, char **ret_json,
			      struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Is the bundle inputs[0] whole, and with bundle_keys: did one of them sign it? Schema
 * "ibbake-bundle-check/1". IBB_E_UNTRUSTED, IBB_E_CORRUPT.
 */
IBB_API int ibb_bundle_check(const struct ibb_request *q, char **ret_json,
			     struct ibb_error *err) IBB_MUST_CHECK;

/* The same, and then what is in it becomes the directory `output`, which must not be there. */
IBB_API int ibb_bundle_unpack(const struct ibb_request *q, char **ret_json,
			      struct ibb_error *err) IBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
