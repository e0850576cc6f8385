/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a user does with the cache: files put in, taken out, leftovers swept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/internal.h"

/* ---- a file of the user ---- */

static int copy(int from, const char *name, struct ibb_partial *p, struct ibb_error *err)
{
	const size_t room = 1 << 20;
	IBB_AUTO_FREE uint8_t *buf = ibb_alloc(room);
	uint64_t at = 0;
	int r = IBB_OK;

	if (!buf)
		return ibb_err_nomem(err);
	for (;;) {
		ssize_t n = read(from, buf, room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ibb_err_os(err, errno, "%s: read", name);
		if (!n || r)
			break;
		r = ibb_pwrite_full(p->fd, buf, (size_t)n, at, "file in the package cache", err);
		at += (uint64_t)n;
	}
	if (!r && !at)
		r = ibb_err(err, IBB_E_UNSUPPORTED, "%s: the file is empty", name);
	return r;
}

static int open_source(const char *path, int *ret, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: there is no such file", path);
	if (fd < 0 || fstat(fd, &st))
		return ibb_err_os(err, errno, "%s: open", path);
	if (!S_ISREG(st.st_mode))
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: no regular file", path);
	if ((uint64_t)st.st_size > IBB_LIMIT_DOWNLOAD_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "%s: more than %llu bytes", path,
			       (unsigned long long)IBB_LIMIT_DOWNLOAD_BYTES);
	*ret = fd;
	fd = -1;
	return IBB_OK;
}

int ibb_cache_add(struct ibb_cache *c, const char *path, const struct ibb_sha256 *expected,
		  const struct ibb_cache_entry *e, struct ibb_cache_entry *ret,
		  struct ibb_error *err)
{
	struct ibb_partial p = {.lock_fd = -1, .fd = -1};
	IBB_AUTO_FD int from = -1;
	struct ibb_sha256 d;
	uint8_t id[8];
	char key[40] = "add-";
	int r = open_source(path, &from, err);

	if (!r && getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		r = ibb_err_os(err, errno, "random bytes");
	if (r)
		return r;
	ibb_hex(id, sizeof(id), key + 4);
	r = ibb_partial_take(c, key, NULL, NULL, &p, err);
	if (r)
		return r;
	r = copy(from, path, &p, err);
	if (!r) {
		r = ibb_partial_insert(&p, expected, e, NULL, NULL, &d, ret, err);
		if (r == IBB_E_UNTRUSTED)
			r = ibb_err_prefix(err, r, "%s", path);
	}
	if (r)
		(void)!ibb_partial_drop(&p, NULL);
	ibb_partial_release(&p);
	return r;
}

/* ---- out again ---- */

int ibb_cache_remove(struct ibb_cache *c, const struct ibb_cache_entry *e, bool *ret_removed,
		     struct ibb_error *err)
{
	char name[IBB_CACHE_NAME], meta[IBB_CACHE_NAME];
	struct ibb_cache_entry now = {.sha256 = e->sha256};
	struct stat st;
	int r = IBB_OK;

	ibb_cache_file_name(&e->sha256, name);
	ibb_cache_meta_name(&e->sha256, meta);
	*ret_removed = false;
	/* alone with the cache: a process that puts the same file in anew comes before or after */
	if (flock(c->fd, LOCK_EX))
		return ibb_err_os(err, errno, "%s: lock", c->dir);
	if (fstatat(c->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		ibb_cache_seen(&now, &st);
		if (now.inode == e->inode && now.changed == e->changed) {
			if (unlinkat(c->fd, name, 0) && errno != ENOENT)
				r = ibb_err_os(err, errno, "%s/%s: remove", c->dir, name);
			else
				*ret_removed = true;
			if (!r && unlinkat(c->fd, meta, 0) && errno != ENOENT)
				r = ibb_err_os(err, errno, "%s/%s: remove", c->dir, meta);
		}
	}
	flock(c->fd, LOCK_UN);
	ibb_cache_entry_clear(&now);
	return r;
}

/* ---- leftovers ---- */

static uint64_t size_of(struct ibb_cache *c, const char *name)
{
	struct stat st;

	return fstatat(c->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;
}

static bool old(struct ibb_cache *c, const char *name, int64_t before)
{
	struct stat st;

	return fstatat(c->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (int64_t)st.st_mtime < before;
}

static int never(void *ctx)
{
	(void)ctx;
	return IBB_E_CANCELLED;
}

/* A download nobody is at. */
static int sweep_partial(struct ibb_cache *c, const char *file, size_t n_key,
			 struct ibb_cache_swept *s, struct ibb_error *err)
{
	struct ibb_partial p = {.lock_fd = -1, .fd = -1};
	char key[80], name[IBB_CACHE_NAME];
	struct stat st;
	uint64_t bytes;
	int r;

	snprintf(key, sizeof(key), "%.*s", (int)n_key, file);
	snprintf(name, sizeof(name), "partial/%s.data", key);
	if (fstatat(c->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
		return IBB_OK; /* none of ours */
	bytes = size_of(c, name);
	r = ibb_partial_take(c, key, never, NULL, &p, err);
	if (r == IBB_E_CANCELLED) {
		s->n_in_use++;
		return IBB_OK;
	}
	if (r)
		return r;
	r = ibb_partial_drop(&p, err);
	ibb_partial_release(&p);
	if (!r) {
		s->n++;
		s->bytes += bytes;
	}
	return r;
}

static bool is_meta(const char *name)
{
	char hex[IBB_SHA256_HEX_SIZE];
	struct ibb_sha256 d;

	if (strlen(name) != 64 + 5 || strcmp(name + 64, ".json") != 0)
		return false;
	memcpy(hex, name, 64);
	hex[64] = '\0';
	return ibb_sha256_parse(hex, &d);
}

/* Metadata whose file is gone, and temporary names of a process that was killed. */
static int sweep_meta(struct ibb_cache *c, const char *file, int64_t before,
		      struct ibb_cache_swept *s, struct ibb_error *err)
{
	char name[IBB_CACHE_NAME], of[IBB_CACHE_NAME];
	struct stat st;
	uint64_t bytes;

	snprintf(name, sizeof(name), "meta/%.150s", file);
	snprintf(of, sizeof(of), "sha256/%.2s/%.64s", file, file);
	if (is_meta(file) && fstatat(c->fd, of, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return IBB_OK;
	if (!old(c, name, before))
		return IBB_OK;
	bytes = size_of(c, name);
	if (unlinkat(c->fd, name, 0))
		return errno == ENOENT ? IBB_OK
				       : ibb_err_os(err, errno, "%s/%s: remove", c->dir, name);
	s->n++;
	s->bytes += bytes;
	return IBB_OK;
}

static int sweep_one(struct ibb_cache *c, bool meta, const char *file, int64_t before,
		     struct ibb_cache_swept *s, struct ibb_error *err)
{
	const char *dot = strrchr(file, '.');
	char name[IBB_CACHE_NAME];

	if (meta)
		return sweep_meta(c, file, before, s, err);
	snprintf(name, sizeof(name), "partial/%.150s", file);
	if (file[0] == '.' || !dot || dot - file >= 80) { /* the temporary name of a state */
		if (old(c, name, before) && unlinkat(c->fd, name, 0) == 0)
			s->n++;
		return IBB_OK;
	}
	/* a lock alone is somebody's, or goes with its data */
	if (strcmp(dot, ".data") != 0 && strcmp(dot, ".json") != 0 && !old(c, name, before))
		return IBB_OK;
	return sweep_partial(c, file, (size_t)(dot - file), s, err);
}

/* Names first, so that the directory is not read while it changes. */
static int sweep_dir(struct ibb_cache *c, bool meta, int64_t before, struct ibb_cache_swept *s,
		     struct ibb_error *err)
{
	int fd = openat(c->fd, meta ? "meta" : "partial", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char **names = NULL;
	size_t n = 0, cap = 0;
	struct dirent *e;
	int r = IBB_OK;

	if (!d) {
		ibb_close_fd(&fd);
		return errno == ENOENT ? IBB_OK : ibb_err_os(err, errno, "%s", c->dir);
	}
	while (!r && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (n >= IBB_LIMIT_CACHE_FILES * 4)
			break;
		if (ibb_grow(&names, &cap, n, sizeof(*names)) ||
		    !(names[n] = ibb_strdup(e->d_name)))
			r = ibb_err_nomem(err);
		else
			n++;
	}
	closedir(d);
	for (size_t i = 0; i < n; i++) {
		char name[IBB_CACHE_NAME];
		struct stat st;

		snprintf(name, sizeof(name), "%s/%.150s", meta ? "meta" : "partial", names[i]);
		if (!r && fstatat(c->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			r = sweep_one(c, meta, names[i], before, s, err);
		free(names[i]);
	}
	free(names);
	return r;
}

int ibb_cache_sweep(struct ibb_cache *c, int64_t before, struct ibb_cache_swept *ret,
		    struct ibb_error *err)
{
	struct ibb_cache_swept s = {0};
	int r = sweep_dir(c, false, before, &s, err);

	if (!r && flock(c->fd, LOCK_EX))
		r = ibb_err_os(err, errno, "%s: lock", c->dir);
	if (!r) {
		r = sweep_dir(c, true, before, &s, err);
		flock(c->fd, LOCK_UN);
	}
	if (!r)
		*ret = s;
	return r;
}
