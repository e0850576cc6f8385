/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "disk/inuse.h"
#include "disk/journal.h"

struct file {
	struct ibb_disk d;
	int fd;
};

static int file_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	return ibb_pread_full(((struct file *)d)->fd, buf, n, off, d->name, err);
}

/* No data from pos on: a last hole, unless the file shrank under us. */
static int check_size(const struct file *f, uint64_t pos, struct ibb_error *err)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return ibb_err_os(err, errno, "%s: stat", f->d.name);
	if ((uint64_t)st.st_size < f->d.size_bytes)
		return ibb_err(err, IBB_E_CHANGED,
			       "%s: shrank while it was read: no data at offset %llu", f->d.name,
			       (unsigned long long)pos);
	return IBB_OK;
}

/*
 * Where the run that begins at pos ends. A file system without SEEK_DATA says EINVAL or
 * EOPNOTSUPP: then everything is data. ENXIO: no data up to the end.
 */
static int next_run(struct file *f, uint64_t pos, uint64_t end, struct ibb_extent *ret,
		    struct ibb_error *err)
{
	off_t at = lseek(f->fd, (off_t)pos, SEEK_DATA);
	bool data = at == (off_t)pos;

	if (at < 0 && (errno == EINVAL || errno == EOPNOTSUPP)) {
		*ret = (struct ibb_extent){pos, end - pos, true};
		return IBB_OK;
	}
	if (data)
		at = lseek(f->fd, (off_t)pos, SEEK_HOLE);
	if (at < 0 && errno == ENXIO) {
		int r = check_size(f, pos, err);

		if (r)
			return r;
		at = (off_t)end;
	}
	if (at < 0)
		return ibb_err_os(err, errno, "%s: look for holes at offset %llu", f->d.name,
				  (unsigned long long)pos);
	if ((uint64_t)at <= pos || (uint64_t)at > end)
		at = (off_t)end;
	*ret = (struct ibb_extent){pos, (uint64_t)at - pos, data};
	return IBB_OK;
}

static int file_extents(struct ibb_disk *d, uint64_t off, uint64_t n, ibb_extent_fn fn, void *ctx,
			struct ibb_error *err)
{
	struct file *f = (struct file *)d;
	uint64_t end = off + n;
	struct ibb_extent e;
	int r = IBB_OK;

	for (; !r && off < end; off += e.len_bytes) {
		r = next_run(f, off, end, &e, err);
		if (r)
			return r;
		r = fn(ctx, &e, err);
	}
	return r;
}

static void file_close(struct ibb_disk *d)
{
	ibb_close_fd(&((struct file *)d)->fd);
}

static const struct ibb_disk_ops file_ops = {
	.name = "file",
	.pread = file_pread,
	.extents = file_extents,
	.close = file_close,
};

static const char *kind_of(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISBLK(mode) || S_ISCHR(mode))
		return "a device";
	return "no regular file";
}

static int check_kind(const char *path, mode_t mode, struct ibb_error *err)
{
	if (S_ISREG(mode))
		return IBB_OK;
	ibb_err(err, IBB_E_UNSUPPORTED, "%s: is %s; ibbake reads image files", path, kind_of(mode));
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "give the path of a disk image (VHD, VHDX or raw)");
}

/* Cooperation only: where the file system has no locks, ibb_disk_file_unchanged() must do. */
static int lock_shared(int fd, const char *path, struct ibb_error *err)
{
	if (flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return IBB_OK;
	ibb_err(err, IBB_E_CONFLICT, "%s: another program has it locked for writing", path);
	return ibb_err_hint(
		err, IBB_E_CONFLICT,
		"wait until it is done, or stop the virtual machine that uses the image");
}

/* A journal of somebody who is at work: nothing was interrupted. */
static int at_work(const char *path, struct ibb_error *err)
{
	IBB_AUTO_FREE char *real = realpath(path, NULL);

	if (!real || !ibb_lock_held(real))
		return IBB_E_CONFLICT;
	ibb_err(err, IBB_E_CONFLICT, "%s: another ibbake is changing it", path);
	return ibb_err_hint(err, IBB_E_CONFLICT, "wait until it is done");
}

/* An image whose change was interrupted is not to be read, but for finishing the change. */
static int check_state(int fd, const char *path, bool journal, struct ibb_error *err)
{
	int r = lock_shared(fd, path, err);

	if (!r)
		r = ibb_inuse_check_writer(fd, path, err);
	/* with the lock: who changes the image in place holds it until the journal is gone */
	if (r || journal)
		return r;
	r = ibb_journal_check(path, err);
	return r == IBB_E_CONFLICT ? at_work(path, err) : r;
}

static int open_checked(const char *path, bool journal, int *ret_fd, struct ibb_file_id *ret_id,
			struct ibb_error *err)
{
	/* O_NONBLOCK: a pipe without a writer must not hang the open that refuses it */
	IBB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return ibb_err_os(err, errno, "%s: open", path);
	if (fstat(fd, &st))
		return ibb_err_os(err, errno, "%s: stat", path);
	r = check_kind(path, st.st_mode, err);
	if (!r)
		r = check_state(fd, path, journal, err);
	if (!r)
		r = ibb_file_id_fd(fd, path, ret_id, err);
	if (r)
		return r;
	if (!ret_id->size_bytes)
		return ibb_err(err, IBB_E_CORRUPT, "%s: the file is empty", path);
	*ret_fd = fd;
	fd = -1;
	return IBB_OK;
}

static int file_open(const char *path, bool journal, struct ibb_file_id *ret_id,
		     struct ibb_disk **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE struct file *f = ibb_zalloc(sizeof(*f));
	IBB_AUTO_FD int fd = -1;
	struct ibb_file_id id;
	int r;

	if (!f)
		return ibb_err_nomem(err);
	r = open_checked(path, journal, &fd, &id, err);
	if (!r)
		r = ibb_disk_init(&f->d, &file_ops, path, id.size_bytes, 512, err);
	if (r)
		return r;
	f->fd = fd;
	fd = -1;
	*ret_id = id;
	*ret = &IBB_TAKE(f)->d;
	return IBB_OK;
}

int ibb_disk_file_open(const char *path, struct ibb_file_id *ret_id, struct ibb_disk **ret,
		       struct ibb_error *err)
{
	return file_open(path, false, ret_id, ret, err);
}

int ibb_disk_file_open_with_journal(const char *path, struct ibb_file_id *ret_id,
				    struct ibb_disk **ret, struct ibb_error *err)
{
	return file_open(path, true, ret_id, ret, err);
}

int ibb_disk_file_unchanged(struct ibb_disk *file, const struct ibb_file_id *id,
			    struct ibb_error *err)
{
	struct ibb_file_id now;
	int r = ibb_file_id_fd(ibb_disk_file_fd(file), file->name, &now, err);

	if (r)
		return r;
	if (now.size_bytes != id->size_bytes)
		return ibb_err(err, IBB_E_CHANGED,
			       "%s: changed while it was read: %llu bytes before, %llu now",
			       file->name, (unsigned long long)id->size_bytes,
			       (unsigned long long)now.size_bytes);
	if (!ibb_same_state(&now, id))
		return ibb_err(err, IBB_E_CHANGED, "%s: was written to while it was read",
			       file->name);
	if (!ibb_path_is(file->name, id))
		return ibb_err(err, IBB_E_CHANGED,
			       "%s: was moved, removed or replaced while it was read", file->name);
	return IBB_OK;
}

int ibb_disk_file_fd(struct ibb_disk *file)
{
	IBB_ASSERT(file->ops == &file_ops);
	return ((struct file *)file)->fd;
}
