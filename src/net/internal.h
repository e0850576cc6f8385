/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cache from inside: names, and a file on its way in. */
#ifndef IBB_NET_INTERNAL_H
#define IBB_NET_INTERNAL_H

#include <sys/stat.h>

#include "base/io.h"
#include "base/json.h"
#include "net/cache.h"

#define IBB_CACHE_NAME 192 /* of a file below the cache's directory */

struct ibb_cache {
	char *dir;
	int fd;
};

/* "sha256/ab/<hex>" */
void ibb_cache_file_name(const struct ibb_sha256 *d, char out[IBB_CACHE_NAME]);
void ibb_cache_meta_name(const struct ibb_sha256 *d, char out[IBB_CACHE_NAME]);
/* A directory below the cache's, made when it is missing. */
int ibb_cache_mkdir(struct ibb_cache *c, const char *name, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_cache_fsync_dir(struct ibb_cache *c, const char *name,
			struct ibb_error *err) IBB_MUST_CHECK;

/* Which file that was, to be known again. */
void ibb_cache_seen(struct ibb_cache_entry *e, const struct stat *st);
/* Say that the file is of one more release, or of this one later than of any other. */
int ibb_cache_entry_release(struct ibb_cache_entry *e, const char *id, uint64_t order,
			    struct ibb_error *err) IBB_MUST_CHECK;
/* Fill e from the metadata of a file; what is missing or damaged there is left out. */
int ibb_cache_meta_read(struct ibb_cache *c, struct ibb_cache_entry *e,
			struct ibb_error *err) IBB_MUST_CHECK;
int ibb_cache_meta_write(struct ibb_cache *c, const struct ibb_cache_entry *e,
			 struct ibb_error *err) IBB_MUST_CHECK;

int ibb_digest_fd(int fd, const char *name, ibb_cache_progress_fn progress, void *ctx,
		  struct ibb_sha256 *ret, uint64_t *ret_size, struct ibb_error *err) IBB_MUST_CHECK;

/* A file on its way in; nobody else is at it. */
struct ibb_partial {
	struct ibb_cache *cache;
	char key[80];
	int lock_fd, fd; /* -1: none */
	bool waited;	 /* somebody else was at it before */
};
/*
 * Take the right to fetch what `key` names (letters, digits, '-'). While another process has it,
 * `wait` is called ten times a second; non-zero ends the wait with that code.
 */
int ibb_partial_take(struct ibb_cache *c, const char *key, int (*wait)(void *ctx), void *ctx,
		     struct ibb_partial *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* What the server said of it, as JSON; *ret NULL when there is nothing usable. */
int ibb_partial_state(struct ibb_partial *p, struct ibb_json **ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* Begin anew: the file is empty, then the state is `state` (which is freed). */
int ibb_partial_restart(struct ibb_partial *p, struct ibb_json *state,
			struct ibb_error *err) IBB_MUST_CHECK;
/*
 * It is whole: digest what is in the file, compare, and give it its name. IBB_E_UNTRUSTED when it
 * is another one than `expected` (may be NULL): *ret_digest is what it is; it stays partial.
 */
int ibb_partial_insert(struct ibb_partial *p, const struct ibb_sha256 *expected,
		       const struct ibb_cache_entry *e, ibb_cache_progress_fn progress, void *ctx,
		       struct ibb_sha256 *ret_digest, struct ibb_cache_entry *ret,
		       struct ibb_error *err) IBB_MUST_CHECK;
/* Where it lies; NULL: no memory. */
char *ibb_partial_path(const struct ibb_partial *p) IBB_MUST_CHECK;
/* Forget what there is of it. */
int ibb_partial_drop(struct ibb_partial *p, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_partial_release(struct ibb_partial *p);

#endif
