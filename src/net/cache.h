/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The package cache: files by their SHA-256. A file is in it whole and right, or not at all;
 * several processes may use one cache at the same time.
 */
#ifndef IBB_NET_CACHE_H
#define IBB_NET_CACHE_H

#include "base/buf.h"
#include "base/hash.h"

struct ibb_cache;

/* Open a cache; with `create` the directory is made (0700) when it is missing, without it that is
 * IBB_E_NOTFOUND. */
int ibb_cache_open(const char *dir, bool create, struct ibb_cache **ret,
		   struct ibb_error *err) IBB_MUST_CHECK;
void ibb_cache_close(struct ibb_cache *c);
IBB_DEFINE_CLEANUP(struct ibb_cache *, ibb_cache_close)

/* What the cache knows of a file: how it came in. */
struct ibb_cache_entry {
	struct ibb_sha256 sha256;
	uint64_t size_bytes;
	char *path;	 /* where it lies, readable */
	char *file_name; /* "MLNX_WinOF2-..._x64.exe", or NULL */
	char *release;	 /* the catalog's id of the release, or NULL */
	char *url;	 /* where it came from; NULL: from a file of the user */
	int64_t added;	 /* seconds since 1970 */
};
void ibb_cache_entry_clear(struct ibb_cache_entry *e);

/* The file with this digest. IBB_E_NOTFOUND. With `check` its bytes are digested (IBB_E_CORRUPT
 * when they are others: it is left where it is, `cache verify` deals with it). */
int ibb_cache_find(struct ibb_cache *c, const struct ibb_sha256 *d, bool check,
		   struct ibb_cache_entry *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* The file that was last added for this release. IBB_E_NOTFOUND. */
int ibb_cache_find_release(struct ibb_cache *c, const char *release, struct ibb_cache_entry *ret,
			   struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Take a file of the user in (copied, digested, compared). `expected` may be NULL. `e` says what is
 * known of it: file_name, release, url, added. IBB_E_UNTRUSTED when the digest is another one.
 */
int ibb_cache_add(struct ibb_cache *c, const char *path, const struct ibb_sha256 *expected,
		  const struct ibb_cache_entry *e, struct ibb_cache_entry *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
/* All files, by digest; free each with ibb_cache_entry_clear(), and the array. */
int ibb_cache_list(struct ibb_cache *c, struct ibb_cache_entry **ret, size_t *ret_n,
		   struct ibb_error *err) IBB_MUST_CHECK;

#endif
