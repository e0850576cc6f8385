/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making the output image and the manifest: the only place where bytes reach a result. */
#ifndef IBB_API_OUTPUT_H
#define IBB_API_OUTPUT_H

#include "api/replace.h"
#include "api/session.h"

/*
 * Refuse, before any work, an output or manifest that would destroy something: it exists without
 * --overwrite, is the input or the other one under any name, is no regular file.
 */
int ibb_output_check(const struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;
/* The same of the paths alone, once more before the first write: the packages are known now. */
int ibb_output_check_paths(const struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;

/* Gives the manifest's text for the finished output; *ret_text stays owned by the callee. */
typedef int (*ibb_manifest_fn)(void *ctx, struct ibb_session *s, const struct ibb_identity *out,
			       const char **ret_text, struct ibb_error *err);

/*
 * Copy the source's extents into an unnamed file, lay the overlay over it, open it as a stranger
 * would and read every written file back, check that the source did not change meanwhile; only
 * then give it its name, and directly afterwards the manifest its own. An image may lack its
 * manifest, never the reverse. `old` is what it replaces, begun before the work.
 */
int ibb_output_write(struct ibb_session *s, struct ibb_replace *old,
		     const struct ibb_applied *applied, ibb_manifest_fn fn, void *ctx,
		     struct ibb_error *err) IBB_MUST_CHECK;

/* The digest of a whole image that the request asks for, if any. */
int ibb_output_digest(const struct ibb_request *q, struct ibb_disk *d, struct ibb_identity *id,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* The same of every file of a chain; `id` is the identity of its image. */
int ibb_output_digest_chain(const struct ibb_request *q, const struct ibb_chain *c,
			    struct ibb_identity *id, struct ibb_error *err) IBB_MUST_CHECK;

#endif
