/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal's two files as the machine has them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "disk/inuse.h"
#include "disk/journal.h"

struct ibb_journal_host {
	struct ibb_journal_io io;
	char *image, *journal; /* real paths */
	char *dir;	       /* of both, ends in '/' */
	int image_fd;	       /* for reading; borrowed */
	int write_fd;	       /* of the image; -1 until begin() */
	int journal_fd;
	int dir_fd;
	bool ours; /* the journal belongs to us */
};

char *ibb_journal_path(const char *image)
{
	char *real = realpath(image, NULL);
	char *path = ibb_asprintf("%s" IBB_JOURNAL_SUFFIX, real ? real : image);

	free(real);
	return path;
}

int ibb_journal_check(const char *image, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_journal_path(image);
	struct stat st;

	if (!path)
		return ibb_err_nomem(err);
	if (lstat(path, &st))
		return errno == ENOENT || errno == ENAMETOOLONG || errno == ENOTDIR
			       ? IBB_OK
			       : ibb_err_os(err, errno, "%s: look for a journal", path);
	ibb_err(err, IBB_E_CONFLICT, "%s: a change in place was interrupted: %s lies beside it",
		image, path);
	return ibb_err_hint(err, IBB_E_CONFLICT, "finish or drop it first: ibbake recover '%s'",
			    image);
}

static int fd_of(const struct ibb_journal_host *h, enum ibb_journal_file f)
{
	return f == IBB_JOURNAL_SELF ? h->journal_fd : h->image_fd;
}

static const char *name_of(const struct ibb_journal_io *io, enum ibb_journal_file f)
{
	return f == IBB_JOURNAL_SELF ? io->journal : io->image;
}

static int host_size(struct ibb_journal_io *io, enum ibb_journal_file f, uint64_t *ret,
		     struct ibb_error *err)
{
	struct ibb_file_id id;
	int r = ibb_file_id_fd(fd_of((struct ibb_journal_host *)io, f), name_of(io, f), &id, err);

	if (!r)
		*ret = id.size_bytes;
	return r;
}

static int host_pread(struct ibb_journal_io *io, enum ibb_journal_file f, void *buf, size_t n,
		      uint64_t off, struct ibb_error *err)
{
	return ibb_pread_full(fd_of((struct ibb_journal_host *)io, f), buf, n, off, name_of(io, f),
			      err);
}

static int host_pwrite(struct ibb_journal_io *io, enum ibb_journal_file f, const void *buf,
		       size_t n, uint64_t off, struct ibb_error *err)
{
	const struct ibb_journal_host *h = (struct ibb_journal_host *)io;

	return ibb_pwrite_full(f == IBB_JOURNAL_SELF ? h->journal_fd : h->write_fd, buf, n, off,
			       name_of(io, f), err);
}

/* The page cache lets go of clean pages when asked; what is read then comes from the medium. */
static int host_sync(struct ibb_journal_io *io, enum ibb_journal_file f, struct ibb_error *err)
{
	const struct ibb_journal_host *h = (struct ibb_journal_host *)io;
	const int fd = f == IBB_JOURNAL_SELF ? h->journal_fd : h->write_fd;

	if (f == IBB_JOURNAL_SELF ? fsync(fd) : fdatasync(fd))
		return ibb_err_os(err, errno, "%s: fsync", name_of(io, f));
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return IBB_OK;
}

static int host_sync_dir(struct ibb_journal_io *io, struct ibb_error *err)
{
	const struct ibb_journal_host *h = (struct ibb_journal_host *)io;

	/* EINVAL: a file system that has nothing to sync there */
	if (fsync(h->dir_fd) && errno != EINVAL)
		return ibb_err_os(err, errno, "%s: fsync of its directory", io->journal);
	return IBB_OK;
}

static int host_create(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct ibb_journal_host *h = (struct ibb_journal_host *)io;

	h->journal_fd = open(h->journal, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (h->journal_fd >= 0) {
		h->ours = true;
		return IBB_OK;
	}
	if (errno == EEXIST)
		return ibb_err(err, IBB_E_CONFLICT, "%s: appeared while the change was prepared",
			       io->journal);
	ibb_err_os(err, errno, "%s: create the journal", io->journal);
	return ibb_err_hint(err, IBB_E_IO,
			    "a change in place needs a journal in the image's directory; make a "
			    "new image with -o instead");
}

static int host_begin(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct ibb_journal_host *h = (struct ibb_journal_host *)io;
	struct ibb_file_id read_id, write_id;
	int r;

	if (h->write_fd >= 0)
		return IBB_OK;
	h->write_fd = open(h->image, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (h->write_fd < 0)
		return ibb_err_os(err, errno, "%s: open for writing", io->image);
	r = ibb_file_id_fd(h->image_fd, io->image, &read_id, err);
	if (!r)
		r = ibb_file_id_fd(h->write_fd, io->image, &write_id, err);
	if (!r && !ibb_same_state(&read_id, &write_id))
		r = ibb_err(err, IBB_E_CHANGED, "%s: was replaced while it was read", io->image);
	return r ? r : ibb_inuse_lock(h->write_fd, io->image, err);
}

static int host_unlink(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct ibb_journal_host *h = (struct ibb_journal_host *)io;

	if (unlink(h->journal) && errno != ENOENT)
		return ibb_err_os(err, errno, "%s: remove the journal", io->journal);
	return IBB_OK;
}

static int host_manifest(struct ibb_journal_io *io, const char *path, const void *text, size_t n,
			 struct ibb_error *err)
{
	struct ibb_journal_host *h = (struct ibb_journal_host *)io;
	const bool beside = !strchr(path, '/');
	IBB_AUTO_FREE char *full = beside ? ibb_asprintf("%s%s", h->dir, path) : ibb_strdup(path);
	struct ibb_atomic man;
	int r;

	if (!full)
		return ibb_err_nomem(err);
	if (!beside && !h->ours)
		return ibb_err(err, IBB_E_CONFLICT,
			       "%s: its manifest %s lies in another directory, and the journal is "
			       "somebody else's: only its owner can finish it",
			       io->journal, path);
	if (strcmp(full, h->image) == 0 || strcmp(full, h->journal) == 0)
		return ibb_err(err, IBB_E_CONFLICT, "%s: names %s as its manifest", io->journal,
			       path);
	r = ibb_atomic_begin(&man, full, true, err);
	if (r)
		return r;
	r = ibb_pwrite_full(man.fd, text, n, 0, full, err);
	if (!r)
		r = ibb_atomic_commit(&man, err);
	ibb_atomic_abort(&man);
	return r;
}

static const struct ibb_journal_ops host_ops = {
	.size = host_size,
	.pread = host_pread,
	.pwrite = host_pwrite,
	.sync = host_sync,
	.sync_dir = host_sync_dir,
	.create = host_create,
	.begin = host_begin,
	.unlink = host_unlink,
	.manifest = host_manifest,
};

int ibb_journal_host_new(const char *image, int image_fd, struct ibb_journal_host **ret,
			 struct ibb_error *err)
{
	IBB_AUTO(ibb_journal_host_free) struct ibb_journal_host *h = ibb_zalloc(sizeof(*h));

	if (!h)
		return ibb_err_nomem(err);
	h->write_fd = h->journal_fd = h->dir_fd = -1;
	h->image_fd = image_fd;
	h->image = realpath(image, NULL);
	if (!h->image)
		return ibb_err_os(err, errno, "%s: resolve its path", image);
	h->journal = ibb_asprintf("%s" IBB_JOURNAL_SUFFIX, h->image);
	h->dir = ibb_strndup(h->image, (size_t)(strrchr(h->image, '/') - h->image) + 1);
	if (!h->journal || !h->dir)
		return ibb_err_nomem(err);
	h->dir_fd = open(h->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->dir_fd < 0)
		return ibb_err_os(err, errno, "%s: open its directory", image);
	h->io = (struct ibb_journal_io){h->image, h->journal, &host_ops};
	*ret = IBB_TAKE(h);
	return IBB_OK;
}

struct ibb_journal_io *ibb_journal_host_io(struct ibb_journal_host *h)
{
	return &h->io;
}

static int not_ours(const struct ibb_journal_host *h, const char *why, struct ibb_error *err)
{
	ibb_err(err, IBB_E_CONFLICT, "%s: %s: not a journal that ibbake made", h->journal, why);
	return ibb_err_hint(err, IBB_E_CONFLICT, "nothing was written; look at it and remove it");
}

int ibb_journal_host_open(struct ibb_journal_host *h, bool *ret_found, struct ibb_error *err)
{
	struct stat st, image;

	*ret_found = false;
	h->journal_fd = open(h->journal, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (h->journal_fd < 0 && errno == ENOENT)
		return IBB_OK;
	if (h->journal_fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO))
		return not_ours(h, "is no regular file", err);
	if (h->journal_fd < 0)
		return ibb_err_os(err, errno, "%s: open", h->journal);
	if (fstat(h->journal_fd, &st) || fstat(h->image_fd, &image))
		return ibb_err_os(err, errno, "%s: stat", h->journal);
	if (!S_ISREG(st.st_mode))
		return not_ours(h, "is no regular file", err);
	if (st.st_nlink != 1)
		return not_ours(h, "has more than one name", err);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return not_ours(h, "others may write to it", err);
	if (st.st_uid != geteuid() && st.st_uid != image.st_uid)
		return not_ours(h, "belongs to another user", err);
	h->ours = st.st_uid == geteuid();
	*ret_found = true;
	return IBB_OK;
}

void ibb_journal_host_free(struct ibb_journal_host *h)
{
	if (!h)
		return;
	ibb_close_fd(&h->journal_fd);
	ibb_close_fd(&h->write_fd);
	ibb_close_fd(&h->dir_fd);
	free(h->image);
	free(h->journal);
	free(h->dir);
	free(h);
}
