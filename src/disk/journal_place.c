/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a journal lies, and whether to trust the file that lies there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/journal_int.h"

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

/* Linux 5.8 numbers mounts; before that only other devices can be told apart. */
static bool same_mount(int a, int b)
{
	struct statx x, y;

	if (statx(a, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) ||
	    statx(b, "", AT_EMPTY_PATH, STATX_MNT_ID, &y))
		return true;
	if (x.stx_mask & y.stx_mask & STATX_MNT_ID)
		return x.stx_mnt_id == y.stx_mnt_id;
	return x.stx_dev_major == y.stx_dev_major && x.stx_dev_minor == y.stx_dev_minor;
}

int ibb_journal_check_dir(int dir_fd, const char *image, int image_fd, struct ibb_error *err)
{
	if (same_mount(dir_fd, image_fd))
		return IBB_OK;
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s: is mounted here by itself: a journal beside it would not lie beside the image "
		"that others see",
		image);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "mount its directory instead of the file, or make a new image with -o");
}

int ibb_journal_check_place(const char *image, int image_fd, struct ibb_error *err)
{
	IBB_AUTO_FREE char *journal = ibb_journal_path(image);
	IBB_AUTO_FREE char *path = journal ? ibb_dir_of(journal) : NULL;
	IBB_AUTO_FD int dir = -1;

	if (!path)
		return ibb_err_nomem(err);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ibb_err_os(err, errno, "%s: open its directory", image);
	return ibb_journal_check_dir(dir, image, image_fd, err);
}

/*
 * File systems without owners and modes of their own (vfat, CIFS, a Windows drive under WSL, shared
 * folders of a virtual machine) show every file as everybody's: who may write to the journal may
 * write to the image there as well.
 */
static bool others_may_write(const struct stat *st, const struct stat *image)
{
	const bool all = image->st_mode & S_IWOTH;
	const bool group = all || (image->st_mode & S_IWGRP && image->st_gid == st->st_gid);

	return (st->st_mode & S_IWOTH && !all) || (st->st_mode & S_IWGRP && !group);
}

const char *ibb_journal_suspect(const struct stat *st, const struct stat *image)
{
	if (!S_ISREG(st->st_mode))
		return "is no regular file";
	if (st->st_nlink != 1)
		return "has more than one name";
	if (others_may_write(st, image))
		return "others may write to it";
	if (st->st_uid != geteuid() && st->st_uid != image->st_uid)
		return "belongs to another user";
	return NULL;
}

bool ibb_journal_only_ours(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH));
}
