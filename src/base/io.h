/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of the host: whole reads, atomic replacement, locks, identity. */
#ifndef IBB_BASE_IO_H
#define IBB_BASE_IO_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"

/* Close and forget; keeps errno. *fd may be -1. */
void ibb_close_fd(int *fd);
#define IBB_AUTO_FD __attribute__((cleanup(ibb_close_fd)))

/* The whole range or an error; a short read (end of file) is IBB_E_CORRUPT "truncated". */
int ibb_pread_full(int fd, void *buf, size_t n, uint64_t off, const char *name,
		   struct ibb_error *err) IBB_MUST_CHECK;
int ibb_pwrite_full(int fd, const void *buf, size_t n, uint64_t off, const char *name,
		    struct ibb_error *err) IBB_MUST_CHECK;

/* Read a regular file of at most `limit` bytes. IBB_E_LIMIT beyond it, IBB_E_IO. */
int ibb_read_file(const char *path, uint64_t limit, struct ibb_buf *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;

/* The directory part of a path of the host, "." when there is none. NULL: no memory. */
char *ibb_dir_of(const char *path);

/*
 * A directory with all that is in it, links not followed. What is not there is no error; IBB_E_IO
 * for the first thing that cannot be removed, after all else was tried.
 */
int ibb_remove_tree(const char *path, struct ibb_error *err) IBB_MUST_CHECK;

/* Files and directories of a tree, durable; links and the like are not in it. IBB_E_IO. */
int ibb_sync_tree(const char *path, struct ibb_error *err) IBB_MUST_CHECK;

/* What identifies a file and its state, to notice that it changed under us. */
struct ibb_file_id {
	uint64_t dev, ino;
	uint64_t size_bytes;
	int64_t mtime_s, ctime_s;
	long mtime_ns, ctime_ns;
};
int ibb_file_id_fd(int fd, const char *name, struct ibb_file_id *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* True when dev and inode are the same: the same file under whatever name. */
bool ibb_same_file(const struct ibb_file_id *a, const struct ibb_file_id *b);
/* True when also size and modification time are unchanged. */
bool ibb_same_state(const struct ibb_file_id *a, const struct ibb_file_id *b);
/* Does `path` (symlinks followed) name the file `id`? False when it does not exist. */
bool ibb_path_is(const char *path, const struct ibb_file_id *id);
/* Do both name the same file or directory? False when one does not exist. */
bool ibb_same_path(const char *a, const char *b);

/*
 * A file that appears under its name whole or not at all: written to an unnamed file of the same
 * directory where the file system has O_TMPFILE, else to a hidden temporary name.
 * commit: fsync, link (or rename, when replacing was allowed) into place, fsync of the directory.
 * As long as somebody works on it, it has a shared flock, from before it has any name.
 */
struct ibb_atomic {
	int fd;
	int dir_fd;
	char *path; /* the final name */
	char *tmp;  /* temporary name beside it, NULL for an unnamed file */
	bool replace;
	bool keep;	/* when the last step of a commit fails: the hint says where the file is */
	bool prepared;	/* durable, and with a name to rename */
	bool published; /* it has its final name; stays after commit */
};
/* IBB_E_EXISTS when path exists and !replace, or when it is no regular file. */
int ibb_atomic_begin(struct ibb_atomic *a, const char *path, bool replace,
		     struct ibb_error *err) IBB_MUST_CHECK;
/* A name to open it by again before it has its own: by the descriptor, or in a bare chroot the
 * temporary one. NULL: no memory. */
char *ibb_atomic_open_name(const struct ibb_atomic *a) IBB_MUST_CHECK;
/*
 * The same when it has to be a name that can be resolved: gives the file its temporary one, for
 * good; a process that is killed from then on leaves it behind. *ret is a->tmp.
 */
int ibb_atomic_tmp_name(struct ibb_atomic *a, const char **ret,
			struct ibb_error *err) IBB_MUST_CHECK;
/* What of a commit can be done before anything that is there is touched: all but the last rename
 * (or link) and the fsync of the directory. */
int ibb_atomic_prepare(struct ibb_atomic *a, struct ibb_error *err) IBB_MUST_CHECK;
/* Prepares, when that was not done. */
int ibb_atomic_commit(struct ibb_atomic *a, struct ibb_error *err) IBB_MUST_CHECK;
/* Drop it; harmless after commit. */
void ibb_atomic_abort(struct ibb_atomic *a);
/*
 * Remove what killed processes left under temporary names of `path`: regular files of ours that
 * nobody holds a lock on (flock or fcntl), and only on file systems that are known to be of this
 * machine alone: elsewhere the locks of others may not be seen. The caller holds
 * the lock of `path` (ibb_lock_take()). Only for an image, whose temporary file is nothing without
 * its name: that of a manifest may be the only one of an image that is complete, or the one that
 * `keep` spoke of, and so is what was put aside (ibb_aside_put()). What cannot be
 * removed stays, for the next name is taken then; the only failure is IBB_E_NOMEM.
 */
int ibb_atomic_sweep(const char *path, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * A file taken out of the way, under a hidden name beside it, until it is known whether it has to
 * come back: durable when put returns, so that nothing that is done afterwards can survive a power
 * cut without it. No such file: nothing to do, and OK.
 */
struct ibb_aside {
	char *path, *tmp; /* NULL: nothing was put aside */
};
int ibb_aside_put(struct ibb_aside *a, const char *path, struct ibb_error *err) IBB_MUST_CHECK;
/* Back to its name, unless there is another file by now: then, or when it fails otherwise, *err (of
 * what made it necessary) gets the hint where the file is. */
void ibb_aside_back(struct ibb_aside *a, struct ibb_error *err);
/* Away with it. */
void ibb_aside_drop(struct ibb_aside *a);

/*
 * Exclusive right to write `path`, held through a lock on ".<name>.ibbake-lock" beside it; the lock
 * file is removed on release, and a lock file left behind by a killed process does not block.
 * IBB_E_CONFLICT when another process holds it.
 */
struct ibb_lock {
	int fd;
	char *path;
};
int ibb_lock_take(struct ibb_lock *l, const char *path, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_lock_release(struct ibb_lock *l);
/* Does somebody hold that of `path`, which we may be ourselves? False when it cannot be told. */
bool ibb_lock_held(const char *path);

#endif
