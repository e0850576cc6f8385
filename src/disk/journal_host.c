/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal's two files as the machine has them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "disk/inuse.h"
#include "disk/journal_int.h"
#include "disk/undo_int.h"

struct ibb_journal_host {
	struct ibb_journal_io io;
	char *image, *journal; /* real paths */
	char *dir;	       /* of both, ends in '/' */
	const char *sys;       /* borrowed */
	struct ibb_file_id opened;
	int image_fd; /* for reading; borrowed */
	int write_fd; /* of the image; -1 until begin() */
	int journal_fd;
	int dir_fd;
	struct ibb_atomic manifest; /* written, without its name */
	bool ours;		    /* the journal belongs to us, and nobody else may write to it */
};

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

/* Of the image: what was not begun is as it has to be, and durable by any descriptor. */
static int sync_fd(const struct ibb_journal_host *h)
{
	return h->write_fd >= 0 ? h->write_fd : h->image_fd;
}

/* The page cache lets go of clean pages when asked; what is read then comes from the medium. */
static int host_sync(struct ibb_journal_io *io, enum ibb_journal_file f, struct ibb_error *err)
{
	const struct ibb_journal_host *h = (struct ibb_journal_host *)io;
	const int fd = f == IBB_JOURNAL_SELF ? h->journal_fd : sync_fd(h);

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

static int host_limits(struct ibb_journal_io *io, uint64_t image_end, uint64_t journal_bytes,
		       struct ibb_error *err)
{
	const uint64_t most = image_end > journal_bytes ? image_end : journal_bytes;
	struct rlimit l;

	if (getrlimit(RLIMIT_FSIZE, &l) || l.rlim_cur == RLIM_INFINITY || most <= l.rlim_cur)
		return IBB_OK;
	ibb_err(err, IBB_E_IO,
		"%s: the limit for the size of files is %llu bytes, and the change writes up to "
		"offset %llu",
		most == image_end ? io->image : io->journal, (unsigned long long)l.rlim_cur,
		(unsigned long long)most);
	return ibb_err_hint(err, IBB_E_IO, "raise it (ulimit -f)");
}

/*
 * A hole is given its blocks, which read as zeros; what is allocated stays as it is. Where the file
 * system cannot do that, the write will have to find the room.
 */
static int host_reserve(struct ibb_journal_io *io, uint64_t off, uint64_t n, struct ibb_error *err)
{
	struct ibb_journal_host *h = (struct ibb_journal_host *)io;
	int r;

	do {
		r = fallocate(h->write_fd, FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)n);
	} while (r && errno == EINTR);
	if (!r || errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS || errno == ENODEV)
		return IBB_OK;
	return ibb_err_os(err, errno, "%s: no room for what is a hole at offset %llu", io->image,
			  (unsigned long long)off);
}

/* fsync, for a size that shrinks is nothing that fdatasync would have to care about. */
static int host_cut(struct ibb_journal_io *io, uint64_t size, struct ibb_error *err)
{
	struct ibb_journal_host *h = (struct ibb_journal_host *)io;
	const int fd = sync_fd(h);
	struct ibb_file_id now;
	int r = ibb_file_id_fd(fd, io->image, &now, err);

	if (r)
		return r;
	IBB_ASSERT(size <= now.size_bytes);
	if (size != now.size_bytes && ftruncate(fd, (off_t)size))
		return ibb_err_os(err, errno, "%s: cut to %llu bytes", io->image,
				  (unsigned long long)size);
	if (fsync(fd))
		return ibb_err_os(err, errno, "%s: fsync", io->image);
	return IBB_OK;
}

static int whose(struct ibb_journal_host *h, const char **ret_suspect, struct ibb_error *err)
{
	struct stat st, image;

	if (fstat(h->journal_fd, &st) || fstat(h->image_fd, &image))
		return ibb_err_os(err, errno, "%s: stat", h->journal);
	*ret_suspect = ibb_journal_suspect(&st, &image);
	h->ours = ibb_journal_only_ours(&st);
	return IBB_OK;
}

/* A journal that recovery will not take is better not begun. */
static int check_created(struct ibb_journal_host *h, struct ibb_error *err)
{
	const char *why;
	int r = whose(h, &why, err);

	if (!r && why) {
		ibb_err(err, IBB_E_UNSUPPORTED,
			"%s: a journal made there %s, or so the file system shows it: it could not "
			"be told from somebody else's",
			h->journal, why);
		r = ibb_err_hint(err, IBB_E_UNSUPPORTED,
				 "the image is unchanged; make a new image with -o, or move it to "
				 "another file system");
	}
	if (r)
		(void)unlink(h->journal);
	return r;
}

static int host_create(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct ibb_journal_host *h = (struct ibb_journal_host *)io;

	h->journal_fd = open(h->journal, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (h->journal_fd >= 0)
		return check_created(h, err);
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
	struct ibb_file_id now;
	int r;

	IBB_ASSERT(h->write_fd < 0);
	h->write_fd = open(h->image, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (h->write_fd < 0)
		return ibb_err_os(err, errno, "%s: open for writing", io->image);
	r = ibb_inuse_lock(h->write_fd, io->image, err);
	/* with the lock: what came before it must show now, what does not know locks as well */
	if (!r)
		r = ibb_inuse_loops(h->write_fd, io->image, h->sys, err);
	if (!r)
		r = ibb_file_id_fd(h->write_fd, io->image, &now, err);
	if (!r && !ibb_same_file(&now, &h->opened))
		r = ibb_err(err, IBB_E_CHANGED, "%s: was replaced while it was read", io->image);
	if (!r && !ibb_same_state(&now, &h->opened))
		r = ibb_err(err, IBB_E_CHANGED, "%s: was written to while its change was prepared",
			    io->image);
	return r;
}

static int host_check_name(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct ibb_journal_host *h = (struct ibb_journal_host *)io;

	if (ibb_path_is(h->image, &h->opened))
		return IBB_OK;
	return ibb_err(err, IBB_E_CHANGED,
		       "%s: was moved, removed or replaced while it was changed", io->image);
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
	int r;

	if (!full)
		return ibb_err_nomem(err);
	if (!beside && !h->ours)
		return ibb_err(err, IBB_E_CONFLICT,
			       "%s: its manifest %s lies in another directory, and somebody else "
			       "may have written the journal: only its owner can finish it",
			       io->journal, path);
	if (strcmp(full, h->image) == 0 || strcmp(full, h->journal) == 0)
		return ibb_err(err, IBB_E_CONFLICT, "%s: names %s as its manifest", io->journal,
			       path);
	ibb_atomic_abort(&h->manifest);
	r = ibb_atomic_begin(&h->manifest, full, true, err);
	if (!r)
		r = ibb_pwrite_full(h->manifest.fd, text, n, 0, full, err);
	/* so that the file system has found the room for it */
	if (!r && fsync(h->manifest.fd))
		r = ibb_err_os(err, errno, "%s: fsync", full);
	return r;
}

static int host_publish(struct ibb_journal_io *io, struct ibb_error *err)
{
	return ibb_atomic_commit(&((struct ibb_journal_host *)io)->manifest, err);
}

static const struct ibb_journal_ops host_ops = {
	.size = host_size,
	.pread = host_pread,
	.pwrite = host_pwrite,
	.sync = host_sync,
	.sync_dir = host_sync_dir,
	.limits = host_limits,
	.create = host_create,
	.begin = host_begin,
	.reserve = host_reserve,
	.cut = host_cut,
	.check_name = host_check_name,
	.unlink = host_unlink,
	.manifest = host_manifest,
	.publish = host_publish,
};

int ibb_journal_host_new(const char *image, int image_fd, const struct ibb_file_id *opened,
			 const char *sys, struct ibb_journal_host **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_journal_host_free) struct ibb_journal_host *h = ibb_zalloc(sizeof(*h));
	int r;

	if (!h)
		return ibb_err_nomem(err);
	h->write_fd = h->journal_fd = h->dir_fd = -1;
	h->manifest.fd = h->manifest.dir_fd = -1;
	h->image_fd = image_fd;
	h->opened = *opened;
	h->sys = sys;
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
	r = ibb_journal_check_dir(h->dir_fd, image, image_fd, err);
	if (r)
		return r;
	h->io = (struct ibb_journal_io){h->image, h->journal, &host_ops};
	*ret = IBB_TAKE(h);
	return IBB_OK;
}

int ibb_journal_host_renew(struct ibb_journal_host *h, struct ibb_error *err)
{
	struct ibb_file_id now;
	int r = ibb_file_id_fd(h->image_fd, h->image, &now, err);

	if (!r && !ibb_same_file(&now, &h->opened))
		r = ibb_err(err, IBB_E_CHANGED, "%s: was replaced while it was changed", h->image);
	if (!r)
		h->opened = now;
	return r;
}

struct ibb_journal_io *ibb_journal_host_io(struct ibb_journal_host *h)
{
	return &h->io;
}

/* Whose journal ever it is: when the image may be half changed, nobody should take it away. */
static int not_ours(struct ibb_journal_host *h, const char *why, struct ibb_error *err)
{
	struct journal j = {0};
	uint8_t magic[8];
	const bool sound =
		h->journal_fd >= 0 &&
		(ibb_journal_read_head(&h->io, &j, NULL) == IBB_OK ||
		 (ibb_pread_full(h->journal_fd, magic, 8, 0, h->journal, NULL) == IBB_OK &&
		  ibb_undo_is(magic, 8)));

	ibb_journal_clear(&j);
	ibb_err(err, IBB_E_CONFLICT, "%s: %s: it is not taken for a journal that ibbake made",
		h->journal, why);
	return ibb_err_hint(
		err, IBB_E_CONFLICT,
		sound ? "nothing was written; it looks like the journal that the image needs: keep "
			"it, see who could write to it, and recover again when it belongs to you "
			"alone (chown, chmod 600, no other name)"
		      : "nothing was written; see what it is, and move it away");
}

int ibb_journal_host_open(struct ibb_journal_host *h, bool *ret_found, struct ibb_error *err)
{
	const char *why;
	struct stat st;
	int r;

	*ret_found = false;
	h->journal_fd = open(h->journal, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (h->journal_fd < 0 && errno == ENOENT)
		return IBB_OK;
	if (h->journal_fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO))
		return not_ours(h, "is no regular file", err);
	if (h->journal_fd < 0)
		return ibb_err_os(err, errno, "%s: open", h->journal);
	if (fstat(h->journal_fd, &st) == 0 && !S_ISREG(st.st_mode))
		ibb_close_fd(&h->journal_fd);
	if (h->journal_fd < 0)
		return not_ours(h, "is no regular file", err);
	r = whose(h, &why, err);
	if (!r && why)
		r = not_ours(h, why, err);
	if (!r)
		*ret_found = true;
	return r;
}

void ibb_journal_host_free(struct ibb_journal_host *h)
{
	if (!h)
		return;
	ibb_atomic_abort(&h->manifest);
	ibb_close_fd(&h->journal_fd);
	ibb_close_fd(&h->write_fd);
	ibb_close_fd(&h->dir_fd);
	free(h->image);
	free(h->journal);
	free(h->dir);
	free(h);
}
