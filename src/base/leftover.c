/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What killed processes left of their struct ibb_atomic. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/path.h"

/*
 * Elsewhere another machine may hold locks that are not seen here, and the process id may be of a
 * process there: only what is known to belong to this machine alone. Numbers that linux/magic.h of
 * some distribution lacks are written out.
 */
static bool is_local(int dir_fd)
{
	static const unsigned long kinds[] = {
		EXT4_SUPER_MAGIC, /* ext2 and ext3 too */
		0x58465342 /* XFS */,
		BTRFS_SUPER_MAGIC,
		0xf2f52010 /* F2FS */,
		TMPFS_MAGIC,
		RAMFS_MAGIC,
		0x2fc12fc1 /* ZFS */,
		0xca451a4e /* bcachefs */,
		OVERLAYFS_SUPER_MAGIC,
	};
	struct statfs fs;

	if (fstatfs(dir_fd, &fs))
		return false;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(kinds); i++)
		if (((unsigned long)fs.f_type & 0xffffffff) == kinds[i])
			return true;
	return false;
}

static const char *skip_number(const char *s)
{
	size_t n = s ? strspn(s, "0123456789") : 0;

	return n ? s + n : NULL;
}

/* .BASE.ibbake-PID.tmp or .BASE.ibbake-PID-N.tmp, see take_tmp_name() in io.c. */
static bool is_temporary(const char *name, const char *base)
{
	static const char middle[] = ".ibbake-";
	const size_t n = strlen(base);

	if (*name != '.' || strncmp(name + 1, base, n) != 0 ||
	    strncmp(name + 1 + n, middle, strlen(middle)) != 0)
		return false;
	name = skip_number(name + 1 + n + strlen(middle));
	if (name && *name == '-')
		name = skip_number(name + 1);
	return name && strcmp(name, ".tmp") == 0;
}

/*
 * Whoever works on it holds a shared lock from before it has this name: no exclusive one, then. The
 * server of a network file system has the locks of its clients as record locks (fcntl(2)).
 */
static void remove_dead(int dir_fd, const char *name)
{
	IBB_AUTO_FD int fd =
		openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat st, now;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) || fcntl(fd, F_OFD_SETLK, &whole))
		return;
	/* still the file that is locked, not one that took its name meanwhile */
	if (fstatat(dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == st.st_ino &&
	    now.st_dev == st.st_dev)
		(void)unlinkat(dir_fd, name, 0);
}

int ibb_atomic_sweep(const char *path, struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(path);
	const char *base = ibb_path_base(path);
	DIR *d;

	if (!dir)
		return ibb_err_nomem(err);
	d = *base ? opendir(dir) : NULL;
	if (!d)
		return IBB_OK;
	if (is_local(dirfd(d)))
		for (struct dirent *e; (e = readdir(d));)
			if (is_temporary(e->d_name, base))
				remove_dead(dirfd(d), e->d_name);
	closedir(d);
	return IBB_OK;
}
