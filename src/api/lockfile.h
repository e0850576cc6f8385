/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * --lock FILE: driver packages by their digest, written by the first bake, and files that were
 * downloaded or imported, written by `ibbake fetch` and `ibbake cache add`. Each part is written
 * once: a file that locks packages never gets others, a release that is pinned never gets another
 * digest. A file with downloads alone, without a list of packages, does not lock packages; the
 * first bake adds its own. An empty list locks out every package, and stays.
 */
#ifndef IBB_API_LOCKFILE_H
#define IBB_API_LOCKFILE_H

#include "base/hash.h"
#include "base/json.h"

struct ibb_lockfile;
/* IBB_E_NOTFOUND, and nothing else, when there is no such file. _as: messages call it `name`. */
int ibb_lockfile_read_as(const char *path, const char *name, struct ibb_lockfile **ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
int ibb_lockfile_read(const char *path, struct ibb_lockfile **ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
void ibb_lockfile_free(struct ibb_lockfile *l);
IBB_DEFINE_CLEANUP(struct ibb_lockfile *, ibb_lockfile_free)
/* Does it say which driver packages may be used? False for NULL, and when it pins downloads alone.
 */
bool ibb_lockfile_locks_packages(const struct ibb_lockfile *l);

/* A file that a release is to be. */
struct ibb_lock_download {
	const char *release;	/* the catalog's id */
	const char *file, *url; /* NULL: unknown; came from a file of the user */
	struct ibb_sha256 sha256;
	uint64_t size_bytes;
	const char *pinned; /* "published", "first-fetch", "first-import" */
	bool insecure;
};
/* What is pinned for a release; l may be NULL. Strings are borrowed. */
bool ibb_lockfile_download(const struct ibb_lockfile *l, const char *release,
			   struct ibb_lock_download *ret);
/* The same for a file of this digest, whatever release it is. */
bool ibb_lockfile_digest(const struct ibb_lockfile *l, const char *sha256,
			 struct ibb_lock_download *ret);
/*
 * Is a file of this name pinned, and none of that name with this digest? Then release and digest of
 * the first that is; borrowed.
 */
bool ibb_lockfile_pinned_name(const struct ibb_lockfile *l, const char *file, const char *sha256,
			      const char **ret_release, const char **ret_sha256);
/*
 * Pin one more, in a file that is made when it is missing. IBB_E_UNTRUSTED when another digest is
 * pinned for the release; nothing is changed when the same one is.
 */
int ibb_lockfile_pin(const char *path, const struct ibb_lock_download *d,
		     struct ibb_error *err) IBB_MUST_CHECK;

#endif
