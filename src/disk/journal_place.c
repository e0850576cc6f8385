/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a journal lies, and whether to trust the file that lies there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
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
