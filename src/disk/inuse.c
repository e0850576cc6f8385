/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * qemu's locks (block/file-posix.c of its source; seen with qemu-io and qemu-nbd 7.2): for every
 * permission that a user of the image has, one byte from 100 on is locked, for every permission
 * that it does not share with others, one from 200 on; both as shared locks of an open file
 * description. The permissions count: 0 consistent read, 1 write, 2 write unchanged, 3 resize.
 */
#include "disk/inuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define QEMU_PERMISSION 100
#define QEMU_UNSHARED	200
#define QEMU_LOCKS_END	300
#define QEMU_WRITE	1
#define QEMU_RESIZE	3

static int busy(const char *path, const char *who, struct ibb_error *err)
{
	ibb_err(err, IBB_E_CONFLICT, "%s: is in use: %s", path, who);
	return ibb_err_hint(err, IBB_E_CONFLICT,
			    "stop what uses it (fuser -v shows it), or make a new image with -o");
}

/* Does somebody's lock stand against writing there? Where there are no locks: no. */
static bool locked(int fd, off_t start, off_t len, struct flock *ret)
{
	*ret = (struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	return fcntl(fd, F_OFD_GETLK, ret) == 0 && ret->l_type != F_UNLCK;
}

int ibb_inuse_check_writer(int fd, const char *path, struct ibb_error *err)
{
	struct flock l;

	if (!locked(fd, QEMU_PERMISSION + QEMU_WRITE, 1, &l) &&
	    !locked(fd, QEMU_PERMISSION + QEMU_RESIZE, 1, &l))
		return IBB_OK;
	ibb_err(err, IBB_E_CONFLICT, "%s: is in use: qemu has it open for writing", path);
	return ibb_err_hint(err, IBB_E_CONFLICT,
			    "stop the virtual machine (or qemu-nbd) that uses the image");
}

static int check_locks(int fd, const char *path, struct ibb_error *err)
{
	char who[96];
	struct flock l;

	if (!locked(fd, 0, 0, &l))
		return IBB_OK;
	if (l.l_start >= QEMU_PERMISSION && l.l_start < QEMU_LOCKS_END)
		snprintf(who, sizeof(who), "qemu has it open (a lock on byte %lld)",
			 (long long)l.l_start);
	else if (l.l_pid > 0)
		snprintf(who, sizeof(who), "process %ld holds a lock on it", (long)l.l_pid);
	else
		snprintf(who, sizeof(who), "another program holds a lock on it");
	return busy(path, who, err);
}

/* ---- loop devices ---- */

static int check_loop(const char *block, const char *name, const char *path,
		      const struct ibb_file_id *id, struct ibb_error *err)
{
	IBB_AUTO_FREE char *file = ibb_asprintf("%s/%s/loop/backing_file", block, name);
	IBB_AUTO_FREE char *backing = ibb_zalloc(PATH_MAX);
	char who[128];
	ssize_t n;
	int fd;

	if (!file || !backing)
		return ibb_err_nomem(err);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, backing, PATH_MAX - 1);
	ibb_close_fd(&fd);
	if (n <= 0)
		return IBB_OK;
	backing[strcspn(backing, "\n")] = '\0';
	if (!ibb_path_is(backing, id))
		return IBB_OK;
	snprintf(who, sizeof(who), "it is the backing file of /dev/%.32s (losetup -d ends that)",
		 name);
	return busy(path, who, err);
}

int ibb_inuse_loops(int fd, const char *path, const char *sys, struct ibb_error *err)
{
	IBB_AUTO_FREE char *block = ibb_asprintf("%s/block", sys);
	struct dirent *e;
	struct ibb_file_id id;
	int r = IBB_OK;
	DIR *d;

	if (!block)
		return ibb_err_nomem(err);
	r = ibb_file_id_fd(fd, path, &id, err);
	if (r)
		return r;
	d = opendir(block);
	if (!d)
		return IBB_OK;
	while (!r && (e = readdir(d)))
		if (strncmp(e->d_name, "loop", 4) == 0)
			r = check_loop(block, e->d_name, path, &id, err);
	closedir(d);
	return r;
}

/* ---- anybody ---- */

/*
 * A write lease is granted only to the one descriptor of a file. Should somebody open the file in
 * the moment that it is held, the kernel tells us by a signal: by one that is ignored, for the
 * usual one kills.
 */
static int check_openers(int fd, const char *path, struct ibb_error *err)
{
	if (fcntl(fd, F_SETSIG, SIGURG))
		return IBB_OK;
	if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0) {
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
		return IBB_OK;
	}
	return errno == EAGAIN || errno == EBUSY ? busy(path, "another program has it open", err)
						 : IBB_OK;
}

int ibb_inuse_claim(int fd, const char *path, const char *sys, struct ibb_error *err)
{
	int r;

	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return busy(path, "another program holds a lock (flock) on it", err);
	r = check_locks(fd, path, err);
	if (!r)
		r = ibb_inuse_loops(fd, path, sys, err);
	return r ? r : check_openers(fd, path, err);
}

int ibb_inuse_lock(int fd, const char *path, struct ibb_error *err)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &l) == 0 || (errno != EAGAIN && errno != EACCES))
		return IBB_OK;
	return check_locks(fd, path, err) ? IBB_E_CONFLICT
					  : busy(path, "another program locked it", err);
}
