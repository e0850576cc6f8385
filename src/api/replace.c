/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "disk/inuse.h"

/* ---- who uses it ---- */

/* For writing where that is allowed: NFS gives an exclusive lock to nobody else. */
static int open_old(const char *path)
{
	const int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
	int fd = open(path, O_RDWR | flags);

	return fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS)
		       ? open(path, O_RDONLY | flags)
		       : fd;
}

static int claim(struct ibb_replace *x, struct ibb_error *err)
{
	const char *path = x->q->output;
	int r;

	/* the first time, or another file has its name now */
	if (x->fd < 0 || !ibb_path_is(path, &x->id)) {
		ibb_replace_release(x);
		x->fd = open_old(path);
		if (x->fd < 0)
			return errno == ENOENT
				       ? IBB_OK
				       : ibb_err_os(err, errno,
						    "%s: open, to see whether it is in use", path);
		r = ibb_file_id_fd(x->fd, path, &x->id, err);
		if (r)
			return r;
	}
	r = ibb_inuse_claim(x->fd, path, "/sys", err);
	if (r == IBB_E_CONFLICT)
		ibb_err_hint(err, r,
			     "stop what uses it (fuser -v shows it), or choose another name");
	return r;
}

int ibb_replace_begin(struct ibb_replace *x, const struct ibb_request *q, struct ibb_error *err)
{
	int r;

	*x = (struct ibb_replace){.q = q, .fd = -1};
	if (!q->overwrite)
		return IBB_OK;
	r = claim(x, err);
	if (r)
		ibb_replace_release(x);
	return r;
}

void ibb_replace_release(struct ibb_replace *x)
{
	ibb_close_fd(&x->fd);
}

/* ---- taking its place ---- */

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

int ibb_replace_publish(struct ibb_replace *x, struct ibb_atomic *image, const char *text,
			struct ibb_error *err)
{
	struct ibb_atomic man = {.fd = -1, .dir_fd = -1};
	struct ibb_aside old = {0};
	const struct ibb_request *q = x->q;
	int r = text ? prepare_manifest(q, &man, text, err) : IBB_OK;

	if (!r)
		r = ibb_atomic_prepare(image, err);
	/* who came in the meantime */
	if (!r && q->overwrite)
		r = claim(x, err);
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
