/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bundle: driver catalog, lock file, driver packages and companions for some sizes and Windows
 * versions in one file, so that a bake needs nothing else. A tar archive (POSIX ustar) without
 * compression whose bytes depend on its content alone: "bundle.json" first, its signature
 * "bundle.sig" next when it is signed, then the files by name; times and owners are zero.
 * bundle.json lists every file with size and SHA-256: whoever vouches for it vouches for all.
 */
#ifndef IBB_BUNDLE_BUNDLE_H
#define IBB_BUNDLE_BUNDLE_H

#include "base/hash.h"
#include "base/json.h"
#include "base/sign.h"

/* A file that goes in. */
struct ibb_bundle_file {
	const char *path;	/* in the bundle: "packages/mlx5/mlx5.inf" */
	const char *host_path;	/* where its bytes are, or NULL: */
	struct ibb_bytes bytes; /* these */
};
/*
 * Write a bundle as a new file that appears whole or not at all. `about` (an object) is what
 * bundle.json says besides its list of files: sizes, Windows versions, catalog, packages.
 * `key_pem` NULL: unsigned. IBB_E_EXISTS, IBB_E_IO, IBB_E_CHANGED (a file while it was read).
 */
int ibb_bundle_write(const char *path, bool replace, const struct ibb_json *about,
		     const struct ibb_bundle_file *files, size_t n, const char *key_name,
		     struct ibb_bytes key_pem, struct ibb_sha256 *ret_digest,
		     struct ibb_error *err) IBB_MUST_CHECK;

struct ibb_bundle {
	struct ibb_json *doc;	  /* bundle.json */
	struct ibb_sha256 digest; /* of bundle.json */
	bool is_signed;
	struct ibb_public_key key; /* who signed, when is_signed */
	bool key_known;		   /* it is one of the keys given */
	uint64_t size_bytes;
};
void ibb_bundle_clear(struct ibb_bundle *b);
/*
 * Read a bundle whole, and check every byte of it: form, list, digests, signature. With `dir` (an
 * empty directory of the caller) its files are written there. keys: at least one has to have signed
 * when n_keys is not 0. IBB_E_UNTRUSTED (signature, digest), IBB_E_CORRUPT, IBB_E_LIMIT.
 */
int ibb_bundle_read(const char *path, const struct ibb_public_key *keys, size_t n_keys,
		    const char *dir, struct ibb_bundle *ret, struct ibb_error *err) IBB_MUST_CHECK;

#endif
