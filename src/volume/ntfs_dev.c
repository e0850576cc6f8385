/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/ntfs_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/*
 * What the library logged first in this operation: its errno is mostly EIO, only the text tells.
 * The handler is process-wide, the line belongs to the thread that runs the operation.
 */
static _Thread_local char log_line[256];

static int __attribute__((format(printf, 6, 0)))
keep_log_line(const char *function, const char *file, int line, u32 level, void *data,
	      const char *format, va_list args)
{
	const u32 wanted = NTFS_LOG_LEVEL_ERROR | NTFS_LOG_LEVEL_PERROR | NTFS_LOG_LEVEL_CRITICAL;
	char *p;

	(void)function;
	(void)file;
	(void)line;
	(void)data;
	if (!(level & wanted) || log_line[0])
		return 0;
	/* The library goes on to use errno after logging. */
	int saved = errno;
	vsnprintf(log_line, sizeof(log_line), format, args);
	p = log_line + strcspn(log_line, "\r\n");
	while (p > log_line && (p[-1] == '.' || p[-1] == ' '))
		p--;
	*p = '\0';
	errno = saved;
	return 0;
}

void ibb_ntfs_log_install(void)
{
	ntfs_log_set_handler(keep_log_line);
}

void ibb_ntfs_log_reset(void)
{
	log_line[0] = '\0';
}

const char *ibb_ntfs_log_line(void)
{
	return log_line;
}

void ibb_ntfs_begin(struct ntfs_be *n)
{
	n->dev.code = 0;
	ibb_ntfs_log_reset();
	errno = 0;
}

static int code_of_errno(int e)
{
	switch (e) {
	case ENOSPC:
		return IBB_E_NOSPACE;
	case ENOMEM:
		return IBB_E_NOMEM;
	case EOPNOTSUPP:
	case EACCES:
		return IBB_E_UNSUPPORTED;
	case EROFS:
		return IBB_E_READONLY;
	default:
		/* The disk had no error of its own, so it is the file system that is wrong. */
		return IBB_E_CORRUPT;
	}
}

/*
 * The library allocates as much as a table of the volume says, and calls it EIO in one place and
 * ENOMEM in another when that fails; but it always logs how much it was. Nothing of a sound volume
 * takes more than ALLOC_MAX at once.
 */
#define ALLOC_MAX (16u << 20)

static bool failed_to_allocate(const char *log, bool *ret_absurd)
{
	long long n;

	if (sscanf(log, "Failed to malloc %lld bytes", &n) != 1 &&
	    sscanf(log, "Failed to calloc %lld bytes", &n) != 1)
		return false;
	*ret_absurd = n < 0 || n > ALLOC_MAX;
	return true;
}

int ibb_ntfs_fail(struct ntfs_be *n, int os_errno, struct ibb_error *err, const char *fmt, ...)
{
	char what[IBB_LIMIT_PATH_CHARS + 128];
	const char *log = ibb_ntfs_log_line(), *why = os_errno ? strerror(os_errno) : "failed";
	bool absurd = false;
	va_list ap;
	int code;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (n->dev.code) {
		if (err)
			*err = n->dev.first;
		return ibb_err_prefix(err, n->dev.code, "%.700s", what);
	}
	code = failed_to_allocate(log, &absurd) ? IBB_E_NOMEM : code_of_errno(os_errno);
	if (code == IBB_E_NOMEM && !absurd)
		return ibb_err_nomem(err);
	if (absurd) {
		code = IBB_E_CORRUPT;
		why = "a damaged table asks for more memory than any needs";
	}
	ibb_err_lib(err, code, "ntfs-3g", "NTFS of %s: %.700s: %s%s%s%s", n->lower->name, what, why,
		    *log ? " (" : "", log, *log ? ")" : "");
	if (err)
		err->os_errno = os_errno;
	if (code == IBB_E_CORRUPT)
		return ibb_err_hint(err, code,
				    "attach the image to Windows and run chkdsk /f on the volume");
	if (code == IBB_E_NOSPACE)
		return ibb_err_hint(err, code, "free space in the volume or make it larger");
	return code;
}

int ibb_ntfs_end(struct ntfs_be *n, int rc, const char *path, struct ibb_error *err)
{
	if (rc || !n->dev.code)
		return rc;
	return ibb_ntfs_fail(n, 0, err, "%s", path);
}

static struct ntfs_dev *priv(struct ntfs_device *dev)
{
	return dev->d_private;
}

/* The library knows errno only; the real error is kept beside it. */
static s64 failed(struct ntfs_dev *d, int code, const struct ibb_error *e)
{
	if (!d->code) {
		d->code = code;
		d->first = *e;
	}
	errno = code == IBB_E_NOSPACE || code == IBB_E_LIMIT ? ENOSPC : EIO;
	return -1;
}

static int dev_open(struct ntfs_device *dev, int flags)
{
	if (NDevOpen(dev)) {
		errno = EBUSY;
		return -1;
	}
	if ((flags & O_ACCMODE) == O_RDONLY)
		NDevSetReadOnly(dev);
	NDevSetOpen(dev);
	return 0;
}

static int dev_close(struct ntfs_device *dev)
{
	if (!NDevOpen(dev)) {
		errno = EBADF;
		return -1;
	}
	NDevClearOpen(dev);
	return 0;
}

static s64 dev_pread(struct ntfs_device *dev, void *buf, s64 count, s64 offset)
{
	struct ntfs_dev *d = priv(dev);
	struct ibb_error e = {0};
	int rc;

	if (count < 0 || offset < 0) {
		errno = EINVAL;
		return -1;
	}
	rc = ibb_disk_pread(d->disk, buf, (size_t)count, (uint64_t)offset, &e);
	return rc ? failed(d, rc, &e) : count;
}

static s64 dev_pwrite(struct ntfs_device *dev, const void *buf, s64 count, s64 offset)
{
	struct ntfs_dev *d = priv(dev);
	struct ibb_error e = {0};
	int rc;

	if (count < 0 || offset < 0) {
		errno = EINVAL;
		return -1;
	}
	if (NDevReadOnly(dev)) {
		errno = EROFS;
		return -1;
	}
	rc = ibb_disk_pwrite(d->disk, buf, (size_t)count, (uint64_t)offset, &e);
	if (rc)
		return failed(d, rc, &e);
	NDevSetDirty(dev);
	return count;
}

static s64 dev_seek(struct ntfs_device *dev, s64 offset, int whence)
{
	struct ntfs_dev *d = priv(dev);
	s64 base = whence == SEEK_CUR	? (s64)d->pos
		   : whence == SEEK_END ? (s64)d->disk->size_bytes
					: 0;

	if (__builtin_add_overflow(base, offset, &base) || base < 0) {
		errno = EINVAL;
		return -1;
	}
	d->pos = (uint64_t)base;
	return base;
}

static s64 dev_read(struct ntfs_device *dev, void *buf, s64 count)
{
	s64 got = dev_pread(dev, buf, count, (s64)priv(dev)->pos);

	if (got > 0)
		priv(dev)->pos += (uint64_t)got;
	return got;
}

static s64 dev_write(struct ntfs_device *dev, const void *buf, s64 count)
{
	s64 put = dev_pwrite(dev, buf, count, (s64)priv(dev)->pos);

	if (put > 0)
		priv(dev)->pos += (uint64_t)put;
	return put;
}

static int dev_sync(struct ntfs_device *dev)
{
	struct ibb_error e = {0};
	int rc = ibb_disk_flush(priv(dev)->disk, &e);

	if (rc)
		return (int)failed(priv(dev), rc, &e);
	NDevClearDirty(dev);
	return 0;
}

static int dev_stat(struct ntfs_device *dev, struct stat *buf)
{
	memset(buf, 0, sizeof(*buf));
	buf->st_mode = S_IFREG | S_IRUSR | S_IWUSR;
	buf->st_size = (off_t)priv(dev)->disk->size_bytes;
	return 0;
}

static int dev_ioctl(struct ntfs_device *dev, unsigned long request, void *argp)
{
	(void)dev;
	(void)request;
	(void)argp;
	errno = EOPNOTSUPP;
	return -1;
}

struct ntfs_device_operations ibb_ntfs_device_ops = {
	.open = dev_open,
	.close = dev_close,
	.seek = dev_seek,
	.read = dev_read,
	.write = dev_write,
	.pread = dev_pread,
	.pwrite = dev_pwrite,
	.sync = dev_sync,
	.stat = dev_stat,
	.ioctl = dev_ioctl,
};
