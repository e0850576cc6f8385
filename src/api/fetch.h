/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What ibb_fetch() was asked for, and what became of it. */
#ifndef IBB_API_FETCH_H
#define IBB_API_FETCH_H

#include "api/lockfile.h"
#include "catalog/catalog.h"
#include "ibbake/ibbake.h"
#include "net/fetch.h"

/* A size on a Windows that a release is for. */
struct ibb_wanted_for {
	const char *size;
	char windows[64];
};
enum ibb_wanted_state {
	IBB_WANTED_MISSING,
	IBB_WANTED_CACHED,
	IBB_WANTED_FETCHED,
	IBB_WANTED_FAILED
};
struct ibb_wanted {
	const struct ibb_release *release;
	struct ibb_wanted_for *targets;
	size_t n_targets, cap_targets;
	enum ibb_wanted_state state;
	const char *pinned; /* "published", "lock", "first-fetch", "first-import", "none" */
	bool insecure;
	struct ibb_fetched got;
	struct ibb_error err; /* of IBB_WANTED_FAILED */
};
struct ibb_wanted_list {
	struct ibb_wanted *items;
	size_t n, cap;
};

/* Which releases, once each. IBB_E_UNSUPPORTED: the catalog refuses a size on a Windows, or
 * recommends nothing for it. */
int ibb_fetch_wanted(const struct ibb_request *q, const struct ibb_catalog *c,
		     struct ibb_wanted_list *ret, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_wanted_clear(struct ibb_wanted_list *l);
/* The digest that a release has to have: published, or pinned (l may be NULL). False: nobody knows.
 * IBB_E_UNTRUSTED when the two differ. */
int ibb_fetch_expected(const struct ibb_release *r, const struct ibb_lockfile *l,
		       const char *lock_path, bool *ret_known, struct ibb_sha256 *ret,
		       const char **ret_pinned, struct ibb_error *err) IBB_MUST_CHECK;
/* The lock file of the request; *ret NULL when there is none so far. */
int ibb_fetch_lock(const struct ibb_request *q, struct ibb_lockfile **ret,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* Is what came for a release whose digest nobody knows an archive or a program? IBB_E_UNSUPPORTED:
 * a web page or whatever else servers send in place of a file; the message says what. */
int ibb_fetch_accept(const char *path, struct ibb_error *err) IBB_MUST_CHECK;
int ibb_fetch_print(const struct ibb_request *q, const struct ibb_catalog *c,
		    const struct ibb_wanted_list *l, char **ret_json,
		    struct ibb_error *err) IBB_MUST_CHECK;

#endif
