/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An output takes its place, and that of the image and the manifest that were there before. */
#ifndef IBB_API_REPLACE_H
#define IBB_API_REPLACE_H

#include "base/io.h"
#include "ibbake/ibbake.h"

/* The image that is to be replaced. */
struct ibb_replace {
	const struct ibb_request *q; /* borrowed */
	int fd;			     /* of it, with an exclusive lock; -1: there is none */
	struct ibb_file_id id;
	const struct ibb_file_id *expected; /* what it has to be still; borrowed; NULL: any file */
};

/*
 * Before the work: refuse with IBB_E_CONFLICT to replace an image that somebody uses, asked as for
 * a change in place (disk/inuse.h), or beside which a journal lies. The lock of the output's name
 * is held by the caller; the one of the image that this takes is kept until release, which has to
 * follow.
 * What killed runs left under temporary names of the output is removed.
 * IBB_E_EXISTS without q->overwrite when OUT.manifest.json is a manifest of ours: an older image's.
 */
int ibb_replace_begin(struct ibb_replace *x, const struct ibb_request *q,
		      struct ibb_error *err) IBB_MUST_CHECK;
void ibb_replace_release(struct ibb_replace *x);

/*
 * Ask again whether the old image is in use; give the finished one its name, and then the manifest
 * its own: q->manifest with `text`; NULL: none. An image may lack its manifest, but never has that
 * of another one: everything is durable under temporary names before the old manifest (q->manifest,
 * and OUT.manifest.json if it is one of ours) is put aside, and it comes back when the image cannot
 * be renamed. Only who is killed between these two renames leaves the old image without its
 * manifest, which then lies beside it as
 * ".NAME.ibbake-PID-0.old".
 * IBB_E_CHANGED, and nothing replaced, when the old image is no longer x->expected.
 */
int ibb_replace_publish(struct ibb_replace *x, struct ibb_atomic *image, const char *text,
			struct ibb_error *err) IBB_MUST_CHECK;

/*
 * The manifest of an image that was changed in place (`text`; NULL: none) takes its place. Before
 * that, with everything else durable and the old manifest put aside, `seal` makes the change final;
 * when that fails the old manifest comes back.
 */
int ibb_replace_manifest(const struct ibb_request *q, const char *text,
			 int (*seal)(void *ctx, struct ibb_error *err), void *ctx,
			 struct ibb_error *err) IBB_MUST_CHECK;

/* A manifest of any version of ours, of a disk or a WIM. Whatever else lies there is not our
 * affair: *ret is NULL then. */
struct ibb_json;
int ibb_replace_load_manifest(const char *path, struct ibb_json **ret,
			      struct ibb_error *err) IBB_MUST_CHECK;

#endif
