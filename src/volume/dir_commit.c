/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Staged changes to the host. Each file appears whole or not at all; the set as a whole is not
 * atomic, which a directory cannot be: this back end serves tests and driver packages.
 */
#include "volume/dir_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/utf16.h"

/* Parents come before what they hold. */
static int by_path(const void *a, const void *b)
{
	const struct dir_entry *x = a, *y = b;

	return ibb_casecmp(x->path, y->path);
}

static void times_of(const struct dir_entry *e, struct timespec ret[2])
{
	int64_t s = ibb_filetime_to_unix(e->time);
	long ns = (long)(e->time % 10000000u) * 100;

	ret[0] = ret[1] = (struct timespec){.tv_sec = (time_t)s, .tv_nsec = ns};
}

/* What is on the host and is not to stay: gone, or of another kind, or under another spelling. */
static bool leaves(const struct dir_entry *e)
{
	return e->host_path && (e->now != e->host || strcmp(e->path, e->host_path) != 0);
}

static int remove_host(struct dir_be *d, const struct dir_entry *e, struct ibb_error *err)
{
	if (unlinkat(d->fd, e->host_path, e->host == DIR_DIRECTORY ? AT_REMOVEDIR : 0))
		return ibb_err_os(err, errno, "%s/%s: removing", d->root, e->host_path);
	return IBB_OK;
}

static int write_in_place(struct dir_be *d, const struct dir_entry *e, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = openat(d->fd, e->path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	struct timespec t[2];
	int rc;

	if (fd < 0)
		return ibb_err_os(err, errno, "%s/%s", d->root, e->path);
	rc = ibb_pwrite_full(fd, e->data.data, e->data.len, 0, e->path, err);
	if (rc)
		return rc;
	times_of(e, t);
	if (ftruncate(fd, (off_t)e->data.len) || futimens(fd, t) || fsync(fd))
		return ibb_err_os(err, errno, "%s/%s", d->root, e->path);
	return IBB_OK;
}

static int write_new(struct dir_be *d, const struct dir_entry *e, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", d->root, e->path);
	struct ibb_atomic a = {.fd = -1, .dir_fd = -1};
	struct timespec t[2];
	int rc;

	if (!path)
		return ibb_err_nomem(err);
	rc = ibb_atomic_begin(&a, path, true, err);
	if (rc)
		return rc;
	rc = ibb_pwrite_full(a.fd, e->data.data, e->data.len, 0, path, err);
	times_of(e, t);
	if (!rc && futimens(a.fd, t))
		rc = ibb_err_os(err, errno, "%s", path);
	if (!rc)
		rc = ibb_atomic_commit(&a, err);
	ibb_atomic_abort(&a);
	return rc;
}

static int make(struct dir_be *d, const struct dir_entry *e, struct ibb_error *err)
{
	bool there = e->host_path && !leaves(e);

	if (e->now == DIR_FILE && e->written)
		return e->in_place && there ? write_in_place(d, e, err) : write_new(d, e, err);
	if (e->now == DIR_DIRECTORY && !there && mkdirat(d->fd, e->path, 0777))
		return ibb_err_os(err, errno, "%s/%s: making the directory", d->root, e->path);
	return IBB_OK;
}

/* Of directories, and of files that were touched only: last, when nothing else changes them. */
static int set_time(struct dir_be *d, const struct dir_entry *e, struct ibb_error *err)
{
	struct timespec t[2];

	if (e->now == DIR_NOTHING || !e->has_time || e->written)
		return IBB_OK;
	times_of(e, t);
	if (utimensat(d->fd, *e->path ? e->path : ".", t, AT_SYMLINK_NOFOLLOW))
		return ibb_err_os(err, errno, "%s/%s: setting its time", d->root, e->path);
	return IBB_OK;
}

int ibb_dir_commit(struct ibb_volume *v, struct ibb_error *err)
{
	struct dir_be *d = to_dir(v);
	int rc = IBB_OK;

	if (d->n)
		qsort(d->entries, d->n, sizeof(d->entries[0]), by_path);
	for (size_t i = d->n; !rc && i-- > 0;)
		if (leaves(&d->entries[i]))
			rc = remove_host(d, &d->entries[i], err);
	for (size_t i = 0; !rc && i < d->n; i++)
		rc = make(d, &d->entries[i], err);
	for (size_t i = d->n; !rc && i-- > 0;)
		rc = set_time(d, &d->entries[i], err);
	if (!rc && fsync(d->fd))
		rc = ibb_err_os(err, errno, "%s", d->root);
	return rc;
}
