/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A disk in an unnamed temporary file, or in one in memory: it goes with the process, however that
 * ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "disk/disk.h"

#define COPY_BYTES (256u << 10)

struct temp {
	struct ibb_disk d;
	int fd;
	bool in_memory;
};

/*
 * Of a temporary file nothing is read that was not written: it ends where it was last written to.
 * One in memory has its whole size.
 */
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

/*
 * A hole of that size. The limit for the size of files counts for those in memory, too, and
 * whoever passes it gets a signal, SIGXFSZ, that ends programs.
 */
static int set_size(int fd, const char *name, uint64_t bytes, struct ibb_error *err)
{
	struct rlimit l;

	if (!getrlimit(RLIMIT_FSIZE, &l) && l.rlim_cur != RLIM_INFINITY && bytes > l.rlim_cur) {
		ibb_err(err, IBB_E_IO,
			"%s: takes a file of %llu MiB (nearly all of it a hole), and the limit for "
			"the size of files is %llu bytes",
			name, (unsigned long long)(bytes >> 20), (unsigned long long)l.rlim_cur);
		return ibb_err_hint(err, IBB_E_IO, "raise the file size limit (ulimit -f)");
	}
	if (ftruncate(fd, (off_t)bytes))
		return ibb_err_os(err, errno, "%s: a hole of %llu MiB", name,
				  (unsigned long long)(bytes >> 20));
	return IBB_OK;
}

/* A kernel without files in memory, or a sandbox that forbids them. */
static int open_memfd(const char *name, const char *dir, int *ret, bool *ret_in_memory,
		      struct ibb_error *err)
{
	*ret = memfd_create("ibbake", MFD_CLOEXEC);
	*ret_in_memory = *ret >= 0;
	if (*ret >= 0)
		return IBB_OK;
	if (dir && (errno == ENOSYS || errno == EPERM || errno == EACCES))
		return open_temp(dir, name, ret, err);
	return ibb_err_os(err, errno, "%s: a file in memory", name);
}

int ibb_disk_memfd_new(const char *name, uint64_t size_bytes, const char *dir,
		       struct ibb_disk **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE struct temp *t = ibb_zalloc(sizeof(*t));
	IBB_AUTO_FD int fd = -1;
	int r;

	if (!t)
		return ibb_err_nomem(err);
	r = open_memfd(name, dir, &fd, &t->in_memory, err);
	if (!r)
		r = set_size(fd, name, size_bytes, err);
	if (!r)
		r = ibb_disk_init(&t->d, &temp_ops, name, size_bytes, 512, err);
	if (r)
		return r;
	t->fd = fd;
	fd = -1;
	*ret = &IBB_TAKE(t)->d;
	return IBB_OK;
}

/* Data, never holes. */
static int copy_data(int from, int to, const char *name, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *buf = ibb_alloc(COPY_BYTES);
	off_t at = 0, end;

	if (!buf)
		return ibb_err_nomem(err);
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			break;
		while (at < end) {
			size_t n = end - at < (off_t)COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
			int r = ibb_pread_full(from, buf, n, (uint64_t)at, name, err);

			if (!r)
				r = ibb_pwrite_full(to, buf, n, (uint64_t)at, name, err);
			if (r)
				return r;
			at += (off_t)n;
		}
	}
	return errno == ENXIO ? IBB_OK : ibb_err_os(err, errno, "%s: seek", name);
}

int ibb_disk_memfd_to_file(struct ibb_disk *d, const char *dir, struct ibb_error *err)
{
	struct temp *t = (struct temp *)d;
	IBB_AUTO_FREE char *name = ibb_asprintf("temporary file in %s", dir);
	IBB_AUTO_FD int fd = -1;
	int r;

	IBB_ASSERT(d->ops == &temp_ops && t->in_memory);
	if (!name)
		return ibb_err_nomem(err);
	r = open_temp(dir, name, &fd, err);
	if (!r)
		r = set_size(fd, name, d->size_bytes, err);
	if (!r)
		r = copy_data(t->fd, fd, name, err);
	if (r)
		return r;
	ibb_close_fd(&t->fd);
	t->fd = fd;
	t->in_memory = false;
	fd = -1;
	free(d->name);
	d->name = IBB_TAKE(name);
	return IBB_OK;
}

int ibb_disk_temp_fd(const struct ibb_disk *d)
{
	IBB_ASSERT(d->ops == &temp_ops);
	return ((const struct temp *)d)->fd;
}

uint64_t ibb_disk_memfd_bytes(const struct ibb_disk *d)
{
	const struct temp *t = (const struct temp *)d;
	struct stat st;

	IBB_ASSERT(d->ops == &temp_ops);
	return t->in_memory && !fstat(t->fd, &st) ? (uint64_t)st.st_blocks * 512 : 0;
}
