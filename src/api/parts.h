/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parts of documents that are about one Windows, whether a disk or an image of a WIM holds it. */
#ifndef IBB_API_PARTS_H
#define IBB_API_PARTS_H

#include "api/session.h"

/*
 * What is in the way of a bake, whatever it is asked: `problem` (of the opening) with `why`, else
 * what the facts, the driver database and with --hives the hives say. IBB_OK: nothing.
 */
int ibb_inspect_problem(struct ibb_session *s, int problem, struct ibb_error *why) IBB_MUST_CHECK;
/* "infiniband" of obj: what the image has for each function. */
int ibb_inspect_functions(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj,
			  struct ibb_error *err) IBB_MUST_CHECK;
/* "problem" of obj; null without one. */
void ibb_inspect_problem_json(int problem, const struct ibb_error *why, struct ibb_jb *b,
			      struct ibb_json *obj);
/* "image", "targets", the plan. */
void ibb_plan_part_json(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj);
/* "packages": what is staged and matches the filters. */
int ibb_drivers_list_json(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj,
			  struct ibb_error *err) IBB_MUST_CHECK;
/* "readiness" of obj, for the sizes of a manifest or of one of its images. */
int ibb_verify_readiness(const struct ibb_session *s, const struct ibb_json *part, struct ibb_jb *b,
			 struct ibb_json *obj, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Is the digest of the file the one of the manifest's "output"? A difference goes to the list
 * "differences" of obj and is counted in *n.
 */
int ibb_verify_digest(const struct ibb_request *q, struct ibb_disk *file,
		      const struct ibb_json *manifest, struct ibb_jb *b, struct ibb_json *obj,
		      size_t *n, struct ibb_error *err) IBB_MUST_CHECK;

#endif
