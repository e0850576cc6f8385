/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The package cache: files by their SHA-256. A file is in it whole and right, or not at all;
 * several processes may use one cache at the same time.
 */
#ifndef IBB_NET_CACHE_H
#define IBB_NET_CACHE_H

#include "base/buf.h"
#include "base/hash.h"

/*
 * DIR/sha256/ab/<digest>     the files, mode 0400
 * DIR/meta/<digest>.json     how they came in; lost, the file is still found by its digest
 * DIR/partial/<key>.data     a file that is coming in, .json what the server said of it, .lock who
 *                            is at it
 */

struct ibb_cache;

/* Open a cache; with `create` the directory is made (0700) when it is missing, without it that is
 * IBB_E_NOTFOUND. */
int ibb_cache_open(const char *dir, bool create, struct ibb_cache **ret,
		   struct ibb_error *err) IBB_MUST_CHECK;
void ibb_cache_close(struct ibb_cache *c);
IBB_DEFINE_CLEANUP(struct ibb_cache *, ibb_cache_close)

/* A release that a file is of; `order` grows with every file that comes in: nanoseconds of the
 * clock, as two may come in within one second. */
struct ibb_cache_release {
	char *id;
	uint64_t order;
};

/* What the cache knows of a file: how it came in. */
struct ibb_cache_entry {
	struct ibb_sha256 sha256;
	uint64_t size_bytes;
	char *path;	 /* where it lies, readable */
	char *file_name; /* "MLNX_WinOF2-..._x64.exe", or NULL */
	char *release;	 /* the catalog's id of the release it last came in for, or NULL */
	struct ibb_cache_release *releases; /* all that it came in for */
	size_t n_releases;
	char *url;	  /* where it came from; NULL: from a file of the user */
	char *url_sha256; /* of the whole URL, with what ibb_url_shown() leaves out; or NULL */
	int64_t added;	  /* seconds since 1970 */
	bool insecure;	  /* came over http, and never otherwise, while nobody knew its digest */
	bool strange; /* no regular file: a link, a directory; ibb_cache_list() alone tells of it */
	uint64_t inode, changed; /* of the file that was looked at; changed: nanoseconds */
};
void ibb_cache_entry_clear(struct ibb_cache_entry *e);

/* The file with this digest. IBB_E_NOTFOUND. With `check` its bytes are digested (IBB_E_CORRUPT
 * when they are others: it is left where it is, `cache verify` deals with it). */
int ibb_cache_find(struct ibb_cache *c, const struct ibb_sha256 *d, bool check,
		   struct ibb_cache_entry *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* The file that was last added for this release. IBB_E_NOTFOUND. */
int ibb_cache_find_release(struct ibb_cache *c, const char *release, struct ibb_cache_entry *ret,
			   struct ibb_error *err) IBB_MUST_CHECK;
/* The file that was last added from this URL, the whole of it: what stands in a query may well
 * name the file. IBB_E_NOTFOUND. */
int ibb_cache_find_url(struct ibb_cache *c, const char *url, struct ibb_cache_entry *ret,
		       struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Take a file of the user in (copied, digested, compared). `expected` may be NULL. `e` says what is
 * known of it: file_name, release, url, added. A file that is there already gets another release;
 * none is taken from it. A copy of the user's own is not `insecure`. IBB_E_UNTRUSTED when the
 * digest is another one.
 */
int ibb_cache_add(struct ibb_cache *c, const char *path, const struct ibb_sha256 *expected,
		  const struct ibb_cache_entry *e, struct ibb_cache_entry *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
/* All files, by digest; free each with ibb_cache_entry_clear(), and the array. */
int ibb_cache_list(struct ibb_cache *c, struct ibb_cache_entry **ret, size_t *ret_n,
		   struct ibb_error *err) IBB_MUST_CHECK;
void ibb_cache_entries_free(struct ibb_cache_entry *list, size_t n);

/* Non-zero: stop, IBB_E_CANCELLED. */
typedef int (*ibb_cache_progress_fn)(void *ctx, uint64_t done, uint64_t total);
/* Digest a file that is in the cache; is it what its name says? IBB_E_CORRUPT with *ret_actual set
 * when not. */
int ibb_cache_check(const struct ibb_cache_entry *e, ibb_cache_progress_fn progress, void *ctx,
		    struct ibb_sha256 *ret_actual, struct ibb_error *err) IBB_MUST_CHECK;
/* Take a file out, if it is still the one that was seen: *ret_removed. */
int ibb_cache_remove(struct ibb_cache *c, const struct ibb_cache_entry *e, bool *ret_removed,
		     struct ibb_error *err) IBB_MUST_CHECK;
/* What a pass over the leftovers did: downloads that were given up, and what a killed process left
 * behind. Those that a running process is at stay. */
struct ibb_cache_swept {
	size_t n, n_in_use;
	uint64_t bytes;
};
int ibb_cache_sweep(struct ibb_cache *c, int64_t before, struct ibb_cache_swept *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* NULL, or who else may change what is in it: between a look at a file and its use anything may
 * happen then. */
const char *ibb_cache_shared(const struct ibb_cache *c) IBB_MUST_CHECK;
const char *ibb_cache_dir(const struct ibb_cache *c);

#endif
