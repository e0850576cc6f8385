/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packages from the package cache, for a request that names none. No network is used. */
#ifndef IBB_API_CACHED_H
#define IBB_API_CACHED_H

#include "api/session.h"

/* What each file that is taken is told by. */
typedef int (*ibb_cached_warn_fn)(void *ctx, const char *text, struct ibb_error *err);
/*
 * Put the files of releases (NULL ones are passed over) that q->cache_dir holds among the sources:
 * by the digest that is published or that q->lock pins, else by the release that they came in for.
 * A cache that does not exist, or lacks one, is no error.
 */
int ibb_cached_add(const struct ibb_request *q, const struct ibb_release *const *releases, size_t n,
		   struct ibb_sources *to, ibb_cached_warn_fn warn, void *ctx,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* How what is missing gets there; returns r. */
int ibb_cached_hint(const struct ibb_request *q, const char *size, const char *windows, int r,
		    struct ibb_error *err);

/*
 * Put the files of the recommended releases of all targets among the sources, those that the cache
 * of the request holds: by the digest that is published or locked, else by the release that they
 * came in for; either way each is warned of. Nothing with driver_dirs or a bundle.
 */
int ibb_session_add_cached(struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;
/* A target's package out of the cache that has another version than the catalog says of the
 * release: the file may have come in under a wrong name, which is warned of. */
int ibb_session_check_cached(struct ibb_session *s, size_t target,
			     struct ibb_error *err) IBB_MUST_CHECK;
/* No package was found: when the cache could have had one, the hint says how it gets there. */
int ibb_session_hint_fetch(const struct ibb_session *s, int r, struct ibb_error *err);

#endif
