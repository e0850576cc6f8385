/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A disk in an unnamed temporary file: it goes with the process, however that ends. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk/disk.h"

struct temp {
	struct ibb_disk d;
	int fd;
};

/* Nothing is read that was not written: the file ends where it was last written to. */
static int temp_pread(struct ibb_disk *d, void *buf, size_t n, uint64_t off, struct ibb_error *err)
{
	return ibb_pread_full(((struct temp *)d)->fd, buf, n, off, d->name, err);
}

static int temp_pwrite(struct ibb_disk *d, const void *buf, size_t n, uint64_t off,
		       struct ibb_error *err)
{
	return ibb_pwrite_full(((struct temp *)d)->fd, buf, n, off, d->name, err);
}

static void temp_close(struct ibb_disk *d)
{
	ibb_close_fd(&((struct temp *)d)->fd);
}

static const struct ibb_disk_ops temp_ops = {
	.name = "temporary file",
	.pread = temp_pread,
	.pwrite = temp_pwrite,
	.close = temp_close,
};

/* Where the file system has no unnamed files, the name is taken away at once. */
static int open_temp(const char *dir, const char *name, int *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = NULL;

	*ret = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (*ret >= 0)
		return IBB_OK;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return ibb_err_os(err, errno, "%s: create", name);
	path = ibb_asprintf("%s/.ibbake-XXXXXX", dir);
	if (!path)
		return ibb_err_nomem(err);
	*ret = mkostemp(path, O_CLOEXEC);
	if (*ret < 0)
		return ibb_err_os(err, errno, "%s: create", name);
	(void)unlink(path);
	return IBB_OK;
}

int ibb_disk_temp_new(const char *dir, uint64_t size_bytes, struct ibb_disk **ret,
		      struct ibb_error *err)
{
	IBB_AUTO_FREE char *name = ibb_asprintf("temporary file in %s", dir);
	IBB_AUTO_FREE struct temp *t = ibb_zalloc(sizeof(*t));
	IBB_AUTO_FD int fd = -1;
	int r;

	if (!name || !t)
		return ibb_err_nomem(err);
	r = open_temp(dir, name, &fd, err);
	if (!r)
		r = ibb_disk_init(&t->d, &temp_ops, name, size_bytes, 512, err);
	if (r)
		return r;
	t->fd = fd;
	fd = -1;
	*ret = &IBB_TAKE(t)->d;
	return IBB_OK;
}
