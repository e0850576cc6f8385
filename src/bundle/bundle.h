/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bundle: driver catalog, lock file, driver packages and companions for some sizes and Windows
 * versions in one file, so that a bake needs nothing else. A tar archive (POSIX ustar) without
 * compression whose bytes depend on its content alone: "bundle.json" first, "bundle.sig" with its
 * digest and, when somebody signed it, key and signature next, then the files by name; times and
 * owners are zero. bundle.json lists every file with size and SHA-256: whoever vouches for it
 * vouches for all. There is one form for a content, and every other is refused.
 */
#ifndef IBB_BUNDLE_BUNDLE_H
#define IBB_BUNDLE_BUNDLE_H

#include "base/hash.h"
#include "base/json.h"
#include "base/sign.h"

#define IBB_BUNDLE_SCHEMA "ibbake-bundle/1"

/* A file that goes in. */
struct ibb_bundle_file {
	const char *path; /* in the bundle: "packages/mlx5/mlx5.inf" */
	struct ibb_bytes bytes;
};
/*
 * Write a bundle as a new file that appears whole or not at all; it is read back before it gets its
 * name. `about` (an object) is what bundle.json says besides its list of files: schema, sizes,
 * Windows versions, catalog, packages. `key_pem` without bytes: unsigned. The files may come in any
 * order. IBB_E_EXISTS, IBB_E_IO, IBB_E_LIMIT; IBB_E_UNSUPPORTED: a path that cannot be in a bundle;
 * IBB_E_CONFLICT: two of one name (upper and lower case do not differ).
 */
int ibb_bundle_write(const char *path, bool replace, const struct ibb_json *about,
		     const struct ibb_bundle_file *files, size_t n, const char *key_name,
		     struct ibb_bytes key_pem, struct ibb_error *err) IBB_MUST_CHECK;

struct ibb_bundle {
	struct ibb_json *doc;	  /* bundle.json */
	struct ibb_sha256 digest; /* of the whole file */
	bool is_signed;
	struct ibb_public_key key; /* who signed, when is_signed */
	bool key_known;		   /* it is one of the keys given */
	uint64_t size_bytes, n_files;
};
void ibb_bundle_clear(struct ibb_bundle *b);
/*
 * Read a bundle whole, and check every byte of it: form, list, digests, signature. With `dir` (an
 * empty directory of the caller) all of it is written there, also when it turns out to be bad: the
 * caller removes it then. keys: one of them has to have signed when n_keys is not 0.
 * IBB_E_UNTRUSTED: signature or digests are not right; IBB_E_CORRUPT, IBB_E_LIMIT, IBB_E_IO.
 */
int ibb_bundle_read(const char *path, const struct ibb_public_key *keys, size_t n_keys,
		    const char *dir, struct ibb_bundle *ret, struct ibb_error *err) IBB_MUST_CHECK;

#endif
