/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests that take catalog, lock file and packages from a bundle. It is read once and checked
 * whole; its files lie in a private directory meanwhile, under which nobody sees them: messages and
 * documents say "FILE!/packages/...". The request that the work is done for names those files, and
 * has `opened` set.
 */
#ifndef IBB_API_BUNDLE_H
#define IBB_API_BUNDLE_H

#include "api/session.h"
#include "bundle/bundle.h"

struct ibb_opened_name {
	char *host, *shown;
};
struct ibb_opened_bundle {
	const char *path; /* as it was named */
	struct ibb_bundle b;
	char digest[IBB_SHA256_HEX_SIZE], key[2 * IBB_PUBLIC_KEY_SIZE + 1];
	struct ibb_sources home;       /* for its private directory */
	struct ibb_opened_name *names; /* what the request names */
	size_t n_names, cap_names;
	const char **catalogs, **crls; /* the bundle's, by name; the caller's CRLs in front */
	size_t n_catalogs, n_crls, cap_catalogs, cap_crls;
	const char *lock, *packages;
};

typedef int (*ibb_task_fn)(const struct ibb_request *q, char **ret_json, struct ibb_error *err);
/* Do it for the request, from its bundle if it has one. */
int ibb_bundle_task(const struct ibb_request *q, ibb_task_fn task, char **ret_json,
		    struct ibb_error *err) IBB_MUST_CHECK;

/* What a file that the request names is called. */
const char *ibb_opened_name(const struct ibb_request *q, const char *host);
/* Was the bundle of the request, if it has one, made for this? IBB_E_UNSUPPORTED. */
int ibb_opened_check(const struct ibb_request *q, const char *size, const struct ibb_windows *w,
		     struct ibb_error *err) IBB_MUST_CHECK;
/* What has to be known of it. */
int ibb_opened_warn(struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;

/* The keys of q->bundle_keys; free() them. */
int ibb_bundle_keys(const struct ibb_request *q, struct ibb_public_key **ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* Is what bundle.json says, besides its list of files (which was checked), of the form of its
 * schema, and of files that are there? IBB_E_CORRUPT. */
int ibb_bundle_about_check(const char *name, const struct ibb_json *doc,
			   struct ibb_error *err) IBB_MUST_CHECK;
/* What is said of a bundle: schema "ibbake-bundle-check/1". `to` NULL: it was not unpacked. */
int ibb_bundle_document(const char *path, const struct ibb_bundle *b, bool key_asked,
			const char *to, char **ret_json, struct ibb_error *err) IBB_MUST_CHECK;

#endif
