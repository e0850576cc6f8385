/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

/* The first failure wins; 0 or an errno. */
static int remove_at(int dir, const char *name)
{
	int first = 0, fd;
	struct dirent *e;
	DIR *d;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM) /* POSIX has EPERM for a directory */
		return errno;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		first = errno;
		ibb_close_fd(&fd);
		return first;
	}
	while ((e = readdir(d))) {
		int r = 0;

		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = remove_at(dirfd(d), e->d_name);
		first = first ? first : r;
	}
	closedir(d);
	if (unlinkat(dir, name, AT_REMOVEDIR) && !first)
		first = errno;
	return first;
}

int ibb_remove_tree(const char *path, struct ibb_error *err)
{
	int r = remove_at(AT_FDCWD, path);

	return r ? ibb_err_os(err, r, "%s: remove", path) : IBB_OK;
}

/* What lies in it first. 0 or an errno. */
static int sync_at(int dir, const char *name)
{
	IBB_AUTO_FD int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int first = fd < 0 ? errno : 0, again;
	struct dirent *e;
	struct stat st;
	DIR *d;

	if (!first && fstat(fd, &st))
		first = errno;
	if (!first && S_ISDIR(st.st_mode)) {
		again = dup(fd);
		d = again < 0 ? NULL : fdopendir(again);
		if (!d) {
			first = errno;
			ibb_close_fd(&again);
			return first;
		}
		while (!first && (e = readdir(d)))
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
				first = sync_at(fd, e->d_name);
		closedir(d);
	}
	if (!first && fsync(fd))
		first = errno;
	return first;
}

int ibb_sync_tree(const char *path, struct ibb_error *err)
{
	int r = sync_at(AT_FDCWD, path);

	return r ? ibb_err_os(err, r, "%s: flush to the disk", path) : IBB_OK;
}
