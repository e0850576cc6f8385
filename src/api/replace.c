/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/replace.h"

#include <errno.h>
#include <string.h>

/* What was put aside goes when the image has its name, or comes back. */
static int commit_image(struct ibb_atomic *image, struct ibb_aside *old, size_t n,
			struct ibb_error *err)
{
	int r = ibb_atomic_commit(image, err);

	for (size_t i = 0; i < n; i++)
		if (image->published)
			ibb_aside_drop(&old[i]);
		else
			ibb_aside_back(&old[i]);
	return r;
}

static int put_aside(const struct ibb_request *q, struct ibb_aside *old, struct ibb_error *err)
{
	if (!q->overwrite || !q->manifest)
		return IBB_OK;
	return ibb_aside_put(old, q->manifest, err);
}

static int prepare_manifest(const struct ibb_request *q, struct ibb_atomic *man, const char *text,
			    struct ibb_error *err)
{
	int r = ibb_atomic_begin(man, q->manifest, q->overwrite, err);

	if (!r)
		r = ibb_pwrite_full(man->fd, text, strlen(text), 0, q->manifest, err);
	return r ? r : ibb_atomic_prepare(man, err);
}

int ibb_replace_publish(const struct ibb_request *q, struct ibb_atomic *image, const char *text,
			struct ibb_error *err)
{
	struct ibb_atomic man = {.fd = -1, .dir_fd = -1};
	struct ibb_aside old = {0};
	int r = text ? prepare_manifest(q, &man, text, err) : IBB_OK;

	if (!r)
		r = ibb_atomic_prepare(image, err);
	if (!r)
		r = put_aside(q, &old, err);
	if (!r)
		r = commit_image(image, &old, 1, err);
	if (!r && text) {
		r = ibb_atomic_commit(&man, err);
		if (r)
			(void)ibb_err_prefix(err, r,
					     "the image %s is complete, but its manifest is not",
					     q->output);
	}
	ibb_atomic_abort(&man);
	return r;
}
