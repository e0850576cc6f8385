/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/io.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

void ibb_close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int ibb_pread_full(int fd, void *buf, size_t n, uint64_t off, const char *name,
		   struct ibb_error *err)
{
	size_t done = 0;

	if (off > INT64_MAX || n > INT64_MAX - off)
		return ibb_err(err, IBB_E_INVALID, "%s: read past the end of any file", name);
	while (done < n) {
		ssize_t k = pread(fd, (char *)buf + done, n - done, (off_t)(off + done));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return ibb_err_os(err, errno, "%s: read at offset %llu", name,
					  (unsigned long long)(off + done));
		if (!k)
			return ibb_err(err, IBB_E_CORRUPT, "%s: truncated: no data at offset %llu",
				       name, (unsigned long long)(off + done));
		done += (size_t)k;
	}
	return IBB_OK;
}

int ibb_pwrite_full(int fd, const void *buf, size_t n, uint64_t off, const char *name,
		    struct ibb_error *err)
{
	size_t done = 0;

	if (off > INT64_MAX || n > INT64_MAX - off)
		return ibb_err(err, IBB_E_INVALID, "%s: write past the end of any file", name);
	while (done < n) {
		ssize_t k = pwrite(fd, (const char *)buf + done, n - done, (off_t)(off + done));

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return ibb_err_os(err, k < 0 ? errno : EIO, "%s: write at offset %llu",
					  name, (unsigned long long)(off + done));
		done += (size_t)k;
	}
	return IBB_OK;
}

int ibb_read_file(const char *path, uint64_t limit, struct ibb_buf *ret, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	IBB_AUTO_BUF struct ibb_buf b = {0};
	struct stat st;
	int r;

	if (fd < 0)
		return ibb_err_os(err, errno, "%s: open", path);
	if (fstat(fd, &st))
		return ibb_err_os(err, errno, "%s: stat", path);
	if (!S_ISREG(st.st_mode))
		return ibb_err(err, IBB_E_INVALID, "%s: not a regular file", path);
	if ((uint64_t)st.st_size > limit)
		return ibb_err(err, IBB_E_LIMIT, "%s: %lld bytes, more than the limit of %llu",
			       path, (long long)st.st_size, (unsigned long long)limit);
	if (ibb_buf_reserve(&b, (size_t)st.st_size + 1))
		return ibb_err_nomem(err);
	r = ibb_pread_full(fd, b.data, (size_t)st.st_size, 0, path, err);
	if (r)
		return r;
	b.len = (size_t)st.st_size;
	ibb_buf_clear(ret);
	*ret = b;
	b = (struct ibb_buf){0};
	return IBB_OK;
}

static void fill_id(const struct stat *st, struct ibb_file_id *id)
{
	*id = (struct ibb_file_id){
		.dev = (uint64_t)st->st_dev,
		.ino = (uint64_t)st->st_ino,
		.size_bytes = (uint64_t)st->st_size,
		.mtime_s = st->st_mtim.tv_sec,
		.mtime_ns = st->st_mtim.tv_nsec,
		.ctime_s = st->st_ctim.tv_sec,
		.ctime_ns = st->st_ctim.tv_nsec,
	};
}

int ibb_file_id_fd(int fd, const char *name, struct ibb_file_id *ret, struct ibb_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return ibb_err_os(err, errno, "%s: stat", name);
	fill_id(&st, ret);
	return IBB_OK;
}

bool ibb_same_file(const struct ibb_file_id *a, const struct ibb_file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

bool ibb_same_state(const struct ibb_file_id *a, const struct ibb_file_id *b)
{
	return ibb_same_file(a, b) && a->size_bytes == b->size_bytes && a->mtime_s == b->mtime_s &&
	       a->mtime_ns == b->mtime_ns;
}

bool ibb_path_is(const char *path, const struct ibb_file_id *id)
{
	struct ibb_file_id other;
	struct stat st;

	if (stat(path, &st))
		return false;
	fill_id(&st, &other);
	return ibb_same_file(&other, id);
}

bool ibb_same_path(const char *a, const char *b)
{
	struct ibb_file_id id;
	struct stat st;

	if (stat(b, &st))
		return false;
	fill_id(&st, &id);
	return ibb_path_is(a, &id);
}

char *ibb_dir_of(const char *path)
{
	const char *s = strrchr(path, '/');

	if (!s)
		return ibb_strdup(".");
	return s == path ? ibb_strdup("/") : ibb_strndup(path, (size_t)(s - path));
}

static int check_target(const char *path, bool replace, struct ibb_error *err)
{
	struct stat st;

	if (!*ibb_path_base(path))
		return ibb_err(err, IBB_E_INVALID, "%s: the output must be a file name", path);
	if (lstat(path, &st))
		return errno == ENOENT ? IBB_OK : ibb_err_os(err, errno, "%s: stat", path);
	if (S_ISDIR(st.st_mode))
		return ibb_err(err, IBB_E_EXISTS, "%s: is a directory, not a file to write", path);
	if (!S_ISREG(st.st_mode))
		return ibb_err(err, IBB_E_EXISTS,
			       "%s: exists and is no regular file; it is left alone", path);
	if (!replace) {
		ibb_err(err, IBB_E_EXISTS, "%s: exists already", path);
		return ibb_err_hint(err, IBB_E_EXISTS,
				    "choose another name, or allow it with --overwrite");
	}
	return IBB_OK;
}

/*
 * Says that somebody is at work on it, see ibb_atomic_sweep(); shared, for it is opened again to be
 * checked. False: it is just being removed.
 */
static bool mark_alive(int fd)
{
	return flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

static bool has_name(int fd, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(name, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/* Both return 0 or an errno. */
static int create_named(struct ibb_atomic *a, const char *name)
{
	a->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (a->fd < 0)
		return errno;
	/* between the two it looked like one that a killed process left */
	if (mark_alive(a->fd) && has_name(a->fd, name))
		return 0;
	ibb_close_fd(&a->fd);
	return EEXIST;
}

static int link_unnamed(struct ibb_atomic *a, const char *name)
{
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", a->fd);
	return linkat(AT_FDCWD, proc, AT_FDCWD, name, AT_SYMLINK_FOLLOW) ? errno : 0;
}

/*
 * A hidden name beside the final one. It may be taken: by what a killed run left behind, for
 * process ids repeat (in a container it is the same each time). It may as well be somebody's who
 * is at work in another container, so it is stepped over; ibb_atomic_sweep() can tell the two
 * apart.
 */
static int take_tmp_name(struct ibb_atomic *a, const char *dir,
			 int (*make)(struct ibb_atomic *a, const char *name), struct ibb_error *err)
{
	int code = EEXIST;

	for (unsigned i = 0; i < 100 && code == EEXIST; i++) {
		char again[16] = "";

		if (i)
			snprintf(again, sizeof(again), "-%u", i);
		free(a->tmp);
		a->tmp = ibb_asprintf("%s/.%s.ibbake-%ld%s.tmp", dir, ibb_path_base(a->path),
				      (long)getpid(), again);
		if (!a->tmp)
			return ibb_err_nomem(err);
		code = make(a, a->tmp);
	}
	if (!code)
		return IBB_OK;
	free(a->tmp);
	a->tmp = NULL;
	return ibb_err_os(err, code, "%s: create a file in %s", a->path, dir);
}

static int open_tmp(struct ibb_atomic *a, const char *dir, struct ibb_error *err)
{
	/* an unnamed file gets its name through /proc, which a bare chroot lacks */
	if (access("/proc/self/fd", X_OK) == 0) {
		a->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
		if (a->fd >= 0) {
			(void)mark_alive(a->fd); /* without a name it is nobody else's */
			return IBB_OK;
		}
		if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
			return ibb_err_os(err, errno, "%s: create a file in %s", a->path, dir);
	}
	return take_tmp_name(a, dir, create_named, err); /* no unnamed files there */
}

int ibb_atomic_begin(struct ibb_atomic *a, const char *path, bool replace, struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(path);
	int r;

	*a = (struct ibb_atomic){.fd = -1, .dir_fd = -1, .replace = replace};
	r = check_target(path, replace, err);
	if (r)
		return r;
	a->path = ibb_strdup(path);
	if (!dir || !a->path) {
		ibb_atomic_abort(a);
		return ibb_err_nomem(err);
	}
	a->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->dir_fd < 0)
		r = ibb_err_os(err, errno, "%s: open the directory %s", path, dir);
	else
		r = open_tmp(a, dir, err);
	if (r)
		ibb_atomic_abort(a);
	return r;
}

char *ibb_atomic_open_name(const struct ibb_atomic *a)
{
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", a->fd);
	return ibb_strdup(a->tmp && access(proc, F_OK) ? a->tmp : proc);
}

/* rename() that never replaces, also where the file system (NFS, 9p) has no such flag. */
static int rename_new(const char *from, const char *to)
{
	struct stat st;

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	if (link(from, to) == 0) {
		int saved;

		if (unlink(from) == 0)
			return 0;
		/* both names would stand: whoever put a file aside counts on the first being gone
		 */
		saved = errno;
		(void)unlink(to);
		errno = saved;
		return -1;
	}
	if (errno == EEXIST)
		return -1;
	/* no hard links either: look first, the best that is left */
	if (lstat(to, &st) == 0) {
		errno = EEXIST;
		return -1;
	}
	return errno == ENOENT ? rename(from, to) : -1;
}

/* For the rename over the old file. */
static int give_tmp_name(struct ibb_atomic *a, struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(a->path);

	return dir ? take_tmp_name(a, dir, link_unnamed, err) : ibb_err_nomem(err);
}

int ibb_atomic_tmp_name(struct ibb_atomic *a, const char **ret, struct ibb_error *err)
{
	int r = a->tmp ? IBB_OK : give_tmp_name(a, err);

	if (!r)
		*ret = a->tmp;
	return r;
}

int ibb_atomic_prepare(struct ibb_atomic *a, struct ibb_error *err)
{
	int r = IBB_OK;

	if (a->prepared)
		return IBB_OK;
	if (fsync(a->fd))
		return ibb_err_os(err, errno, "%s: fsync", a->path);
	if (!a->tmp && a->replace)
		r = give_tmp_name(a, err);
	a->prepared = !r;
	return r;
}

static int publish(struct ibb_atomic *a, struct ibb_error *err)
{
	int code = 0;

	if (!a->tmp)
		code = link_unnamed(a, a->path);
	else if (a->replace ? rename(a->tmp, a->path) : rename_new(a->tmp, a->path))
		code = errno;
	if (code == EEXIST)
		return ibb_err(err, IBB_E_EXISTS, "%s: appeared while it was being written",
			       a->path);
	if (code)
		return ibb_err_os(err, code, "%s: %s into place", a->path,
				  a->tmp ? "rename" : "link");
	free(a->tmp);
	a->tmp = NULL;
	return IBB_OK;
}

/* It is whole and durable, and lacks its name only: not to be unlinked by the abort. */
static void keep_finished(struct ibb_atomic *a, struct ibb_error *err)
{
	struct ibb_error ignored = {0};

	if (!a->tmp && give_tmp_name(a, &ignored))
		return;
	ibb_err_hint(err, 0, "the finished file is %s: give it its name", a->tmp);
	free(a->tmp);
	a->tmp = NULL;
}

int ibb_atomic_commit(struct ibb_atomic *a, struct ibb_error *err)
{
	int r = ibb_atomic_prepare(a, err);

	if (!r) {
		r = publish(a, err);
		if (r && a->keep)
			keep_finished(a, err);
	}
	a->published = !r;
	if (!r && fsync(a->dir_fd) && errno != EINVAL) {
		r = ibb_err_os(err, errno,
			       "%s: the file is complete, but a power cut may still take its name: "
			       "fsync of its directory",
			       a->path);
		(void)ibb_err_hint(err, r, "sync that file system, then check that it is there");
	}
	ibb_atomic_abort(a);
	return r;
}

void ibb_atomic_abort(struct ibb_atomic *a)
{
	if (a->tmp)
		(void)unlink(a->tmp);
	ibb_close_fd(&a->fd);
	ibb_close_fd(&a->dir_fd);
	free(a->tmp);
	free(a->path);
	a->tmp = NULL;
	a->path = NULL;
}

/* ---- out of the way ---- */

static void forget(struct ibb_aside *a)
{
	free(a->path);
	free(a->tmp);
	*a = (struct ibb_aside){0};
}

static int sync_dir(const char *dir, const char *path, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ibb_err_os(err, errno, "%s: open the directory %s", path, dir);
	if (fsync(fd) && errno != EINVAL)
		return ibb_err_os(err, errno, "%s: fsync of its directory", path);
	return IBB_OK;
}

/* The hidden name may be taken by what a killed run left behind: then another one. */
static int rename_aside(struct ibb_aside *a, const char *dir, struct ibb_error *err)
{
	int saved = EEXIST;

	for (unsigned i = 0; i < 100 && saved == EEXIST; i++) {
		free(a->tmp);
		a->tmp = ibb_asprintf("%s/.%s.ibbake-%ld-%u.old", dir, ibb_path_base(a->path),
				      (long)getpid(), i);
		if (!a->tmp)
			return ibb_err_nomem(err);
		saved = rename_new(a->path, a->tmp) ? errno : 0;
	}
	if (saved == ENOENT) {
		forget(a);
		return IBB_OK;
	}
	return saved ? ibb_err_os(err, saved, "%s: put it aside", a->path) : IBB_OK;
}

int ibb_aside_put(struct ibb_aside *a, const char *path, struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(path);
	int r;

	*a = (struct ibb_aside){.path = ibb_strdup(path)};
	r = dir && a->path ? rename_aside(a, dir, err) : ibb_err_nomem(err);
	if (r) {
		forget(a);
		return r;
	}
	r = a->tmp ? sync_dir(dir, path, err) : IBB_OK;
	if (r)
		ibb_aside_back(a, err);
	return r;
}

void ibb_aside_back(struct ibb_aside *a, struct ibb_error *err)
{
	if (a->tmp && rename_new(a->tmp, a->path)) {
		const int why = errno;

		ibb_err_hint(err, 0, "%s is %s now, and could not get its name back: %s", a->path,
			     a->tmp, strerror(why));
	}
	forget(a);
}

void ibb_aside_drop(struct ibb_aside *a)
{
	if (a->tmp)
		(void)unlink(a->tmp);
	forget(a);
}

int ibb_lock_take(struct ibb_lock *l, const char *path, struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(path);
	struct stat a, b;

	*l = (struct ibb_lock){.fd = -1};
	if (dir)
		l->path = ibb_asprintf("%s/.%s.ibbake-lock", dir, ibb_path_base(path));
	if (!l->path)
		return ibb_err_nomem(err);
	for (;;) {
		int saved;

		l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (l->fd >= 0 && flock(l->fd, LOCK_EX | LOCK_NB) == 0) {
			/* the holder may have removed the name between our open and our lock */
			if (fstat(l->fd, &a) == 0 && stat(l->path, &b) == 0 &&
			    a.st_ino == b.st_ino && a.st_dev == b.st_dev)
				return IBB_OK;
			ibb_close_fd(&l->fd);
			continue;
		}
		saved = errno;
		ibb_close_fd(&l->fd);
		free(l->path);
		l->path = NULL;
		if (saved == EWOULDBLOCK)
			return ibb_err(err, IBB_E_CONFLICT, "%s: another ibbake is writing it",
				       path);
		if (saved == ENOENT || saved == ENOTDIR)
			return ibb_err_os(err, saved, "%s: its directory %s", path, dir);
		return ibb_err_os(err, saved, "%s: lock file .%s.ibbake-lock", path,
				  ibb_path_base(path));
	}
}

void ibb_lock_release(struct ibb_lock *l)
{
	if (l->path && l->fd >= 0)
		(void)unlink(l->path);
	ibb_close_fd(&l->fd);
	free(l->path);
	l->path = NULL;
}

bool ibb_lock_held(const char *path)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(path);
	IBB_AUTO_FREE char *name =
		dir ? ibb_asprintf("%s/.%s.ibbake-lock", dir, ibb_path_base(path)) : NULL;
	IBB_AUTO_FD int fd =
		name ? open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY) : -1;

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
}
