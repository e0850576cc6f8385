/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/access.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACL "system.posix_acl_access"

static int keep_owner(const struct stat *was, const char *name, const struct ibb_atomic *out,
		      struct ibb_error *err)
{
	struct stat st;

	(void)!fchown(out->fd, was->st_uid, was->st_gid);
	if (fstat(out->fd, &st))
		return ibb_err_os(err, errno, "%s: stat", out->path);
	if (st.st_uid == was->st_uid && st.st_gid == was->st_gid)
		return IBB_OK;
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s: belongs to user %lu and group %lu, and a file that is written anew cannot be "
		"given to them",
		name, (unsigned long)was->st_uid, (unsigned long)was->st_gid);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "run it as the owner, leave out --compact, or make a new file: -o OUT");
}

static bool begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* What the kernel makes of the content or of who writes is not for the new content. */
static bool is_kernels(const char *attr)
{
	return strcmp(attr, "security.ima") == 0 || strcmp(attr, "security.evm") == 0;
}

/* `value` has room for XATTR_SIZE_MAX. *ret_lost is set when access depends on it. */
static int keep_attr(int fd, const char *name, const char *attr, void *value,
		     const struct ibb_atomic *out, bool *ret_lost, struct ibb_error *err)
{
	const bool users = begins(attr, "user.");
	ssize_t n;

	if (is_kernels(attr))
		return IBB_OK;
	n = fgetxattr(fd, attr, value, XATTR_SIZE_MAX);
	if (n < 0 && errno == ENODATA)
		return IBB_OK;
	if (n >= 0 && fsetxattr(out->fd, attr, value, (size_t)n, 0) == 0)
		return IBB_OK;
	if (begins(attr, "system."))
		*ret_lost = true;
	if (!users)
		return IBB_OK;
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s: its extended attribute %s cannot be given to a file that is written anew: %s",
		name, attr, strerror(errno));
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "leave out --compact, make a new file with -o OUT, or remove the "
			    "attribute (setfattr -x)");
}

static int keep_attrs(int fd, const char *name, const struct ibb_atomic *out, bool *ret_lost,
		      struct ibb_error *err)
{
	IBB_AUTO_FREE char *list = ibb_alloc(XATTR_LIST_MAX), *value = ibb_alloc(XATTR_SIZE_MAX);
	bool acl = false;
	ssize_t n;
	int r = IBB_OK;

	if (!list || !value)
		return ibb_err_nomem(err);
	n = flistxattr(fd, list, XATTR_LIST_MAX);
	if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		return IBB_OK;
	if (n < 0)
		return ibb_err_os(err, errno, "%s: list its extended attributes", name);
	for (const char *p = list; p < list + n && !r; p += strlen(p) + 1) {
		acl |= strcmp(p, ACL) == 0;
		r = keep_attr(fd, name, p, value, out, ret_lost, err);
	}
	/* one that the directory gives to all that is made in it */
	if (!r && !acl && fremovexattr(out->fd, ACL) && errno != ENODATA && errno != EOPNOTSUPP)
		*ret_lost = true;
	return r;
}

int ibb_access_keep(int fd, const char *name, const struct ibb_atomic *out, struct ibb_error *err)
{
	bool lost = false;
	struct stat was;
	mode_t mode;
	int r;

	if (fstat(fd, &was))
		return ibb_err_os(err, errno, "%s: stat", name);
	r = keep_owner(&was, name, out, err);
	if (!r)
		r = keep_attrs(fd, name, out, &lost, err);
	if (r)
		return r;
	mode = was.st_mode & 07777 & ~(lost ? (mode_t)070 : 0);
	if (fchmod(out->fd, mode) && errno != EPERM && errno != EOPNOTSUPP)
		return ibb_err_os(err, errno, "%s: set its mode", out->path);
	return IBB_OK;
}

/* Nobody else may have it open when it is claimed: not even we. */
static int check_writable(const char *path, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

	if (fd >= 0)
		return IBB_OK;
	r = ibb_err_os(err, errno, "%s: open for writing", path);
	return ibb_err_hint(err, r,
			    "a change in place needs write permission; make a new file: -o OUT");
}

int ibb_access_check(int fd, const char *path, bool anew, struct ibb_error *err)
{
	struct ibb_atomic trial;
	int r = check_writable(path, err);

	if (r || !anew)
		return r;
	r = ibb_atomic_begin(&trial, path, true, err);
	if (r)
		return r;
	r = ibb_access_keep(fd, path, &trial, err);
	ibb_atomic_abort(&trial);
	return r;
}
