/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/dir_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/utf16.h"

/* Where a path leads: found by walking, host and staged state merged. */
struct dir_loc {
	char *path;	 /* spelling; of a missing last component as asked */
	char *host_path; /* on the host, NULL when it is only staged or missing */
	enum dir_what now;
	struct dir_entry *entry; /* NULL when untouched */
};

static void clear_loc(struct dir_loc *l)
{
	free(l->path);
	free(l->host_path);
	*l = (struct dir_loc){0};
}

static struct dir_entry *find_entry(struct dir_be *d, const char *path)
{
	for (size_t i = 0; i < d->n; i++)
		if (ibb_caseeq(d->entries[i].path, path))
			return &d->entries[i];
	return NULL;
}

static enum dir_what what_of(const struct stat *st)
{
	return S_ISREG(st->st_mode) ? DIR_FILE : S_ISDIR(st->st_mode) ? DIR_DIRECTORY : DIR_OTHER;
}

static char *join(const char *dir, const char *name)
{
	return *dir ? ibb_asprintf("%s/%s", dir, name) : ibb_strdup(name);
}

static int host_stat(struct dir_be *d, const char *path, struct stat *st, struct ibb_error *err)
{
	if (fstatat(d->fd, *path ? path : ".", st, AT_SYMLINK_NOFOLLOW))
		return ibb_err_os(err, errno, "%s/%s", d->root, path);
	return IBB_OK;
}

static int open_host_dir(struct dir_be *d, const char *path, DIR **ret, struct ibb_error *err)
{
	int fd = openat(d->fd, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		int e = errno;

		ibb_close_fd(&fd);
		return ibb_err_os(err, e, "%s/%s", d->root, path);
	}
	*ret = dir;
	return IBB_OK;
}

/*
 * The host's spelling of a name; *ret stays NULL when there is none. Two names that differ in case
 * only cannot both be meant, and Windows would see one of them.
 */
static int scan_host(struct dir_be *d, const char *host_dir, const char *name, char **ret,
		     struct ibb_error *err)
{
	IBB_AUTO_FREE char *found = NULL;
	DIR *dir = NULL;
	struct dirent *e;
	int rc = open_host_dir(d, host_dir, &dir, err);

	if (rc)
		return rc;
	while (!rc && (errno = 0, e = readdir(dir))) {
		if (!ibb_caseeq(e->d_name, name))
			continue;
		if (found)
			rc = ibb_err(err, IBB_E_CONFLICT,
				     "%s/%s: '%s' and '%s' differ in case only", d->root, host_dir,
				     found, e->d_name);
		else if (!(found = ibb_strdup(e->d_name)))
			rc = ibb_err_nomem(err);
	}
	if (!rc && errno)
		rc = ibb_err_os(err, errno, "%s/%s", d->root, host_dir);
	closedir(dir);
	if (!rc)
		*ret = IBB_TAKE(found);
	return rc;
}

/* From `at`, an existing directory, one name further. */
static int step(struct dir_be *d, struct dir_loc *at, const char *name, struct ibb_error *err)
{
	IBB_AUTO_FREE char *asked = join(at->path, name), *spelt = NULL;
	struct dir_loc next = {0};
	struct stat st;
	int rc = IBB_OK;

	if (!asked)
		return ibb_err_nomem(err);
	next.entry = find_entry(d, asked);
	if (next.entry) {
		next.now = next.entry->now;
		next.path = ibb_strdup(next.entry->path);
		/* What the host has under this name counts only while it is of the same kind. */
		if (next.entry->host_path && next.entry->host == next.entry->now &&
		    !(next.host_path = ibb_strdup(next.entry->host_path)))
			rc = ibb_err_nomem(err);
	} else {
		if (at->host_path)
			rc = scan_host(d, at->host_path, name, &spelt, err);
		if (!rc && spelt) {
			next.path = join(at->path, spelt);
			next.host_path = join(at->host_path, spelt);
			if (!next.host_path)
				rc = ibb_err_nomem(err);
			else if (!(rc = host_stat(d, next.host_path, &st, err)))
				next.now = what_of(&st);
		} else if (!rc) {
			next.path = IBB_TAKE(asked);
		}
	}
	if (!rc && !next.path)
		rc = ibb_err_nomem(err);
	if (rc) {
		clear_loc(&next);
		return rc;
	}
	clear_loc(at);
	*at = next;
	return IBB_OK;
}

/* The location before the next step must be a directory that is really one. */
static int check_way(const struct dir_loc *at, const char *path, struct ibb_error *err)
{
	if (at->now == DIR_OTHER)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: a symbolic link or special file",
			       at->path);
	if (at->now == DIR_NOTHING)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no directory '%s'", path, at->path);
	if (at->now == DIR_FILE)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: %s is no directory", path, at->path);
	return IBB_OK;
}

static int walk(struct dir_be *d, const char *path, struct dir_loc *ret, struct ibb_error *err)
{
	struct dir_loc at = {.path = ibb_strdup(""), .host_path = ibb_strdup("")};
	int rc = at.path && at.host_path ? IBB_OK : ibb_err_nomem(err);

	at.now = DIR_DIRECTORY;
	at.entry = find_entry(d, "");
	while (!rc && *path) {
		size_t len = strcspn(path, "/");
		IBB_AUTO_FREE char *name = ibb_strndup(path, len);

		rc = name ? check_way(&at, path, err) : ibb_err_nomem(err);
		if (!rc)
			rc = step(d, &at, name, err);
		path += len + (path[len] == '/');
	}
	if (rc) {
		clear_loc(&at);
		return rc;
	}
	*ret = at;
	return IBB_OK;
}

static int find(struct dir_be *d, const char *path, struct dir_loc *ret, struct ibb_error *err)
{
	int rc = walk(d, path, ret, err);

	if (!rc && ret->now == DIR_NOTHING) {
		clear_loc(ret);
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no such file", path);
	}
	return rc;
}

/* The entry of a location, made when there is none. Invalidates other entry pointers. */
static int touch_entry(struct dir_be *d, struct dir_loc *l, struct ibb_error *err)
{
	struct dir_entry e = {.now = l->now, .host = l->host_path ? l->now : DIR_NOTHING};

	if (l->entry)
		return IBB_OK;
	if (ibb_grow(&d->entries, &d->cap, d->n, sizeof(d->entries[0])))
		return ibb_err_nomem(err);
	e.path = ibb_strdup(l->path);
	e.host_path = l->host_path ? ibb_strdup(l->host_path) : NULL;
	if (!e.path || (l->host_path && !e.host_path)) {
		free(e.path);
		free(e.host_path);
		return ibb_err_nomem(err);
	}
	d->entries[d->n] = e;
	l->entry = &d->entries[d->n++];
	return IBB_OK;
}

static int dir_info(struct ibb_volume *v, struct ibb_volume_info *ret, struct ibb_error *err)
{
	struct dir_be *d = to_dir(v);
	struct statvfs st;

	if (fstatvfs(d->fd, &st))
		return ibb_err_os(err, errno, "%s", d->root);
	*ret = (struct ibb_volume_info){
		.kind = "dir",
		.cluster_bytes = (uint32_t)st.f_frsize,
		.size_bytes = (uint64_t)st.f_blocks * st.f_frsize,
		.free_bytes = (uint64_t)st.f_bavail * st.f_frsize,
		.case_sensitive_host = true,
	};
	return IBB_OK;
}

static enum ibb_file_type type_of(enum dir_what w)
{
	return w == DIR_FILE	    ? IBB_FILE_REGULAR
	       : w == DIR_DIRECTORY ? IBB_FILE_DIRECTORY
				    : IBB_FILE_OTHER;
}

static int dir_stat(struct ibb_volume *v, const char *path, struct ibb_stat *ret,
		    struct ibb_error *err)
{
	struct dir_be *d = to_dir(v);
	struct dir_loc l = {0};
	struct stat st;
	int rc = find(d, path, &l, err);

	if (rc)
		return rc;
	ret->type = type_of(l.now);
	ret->links = 1;
	if (l.host_path) {
		rc = host_stat(d, l.host_path, &st, err);
		if (!rc) {
			ret->size_bytes = l.now == DIR_FILE ? (uint64_t)st.st_size : 0;
			ret->id = st.st_ino;
			ret->links = l.now == DIR_FILE ? (unsigned)st.st_nlink : 1;
			ret->mtime = ibb_filetime_from_unix(st.st_mtim.tv_sec) +
				     (uint64_t)(st.st_mtim.tv_nsec / 100);
		}
	}
	if (l.entry && l.entry->written)
		ret->size_bytes = l.entry->data.len;
	if (l.entry && l.entry->has_time)
		ret->mtime = l.entry->time;
	clear_loc(&l);
	return rc;
}

static int dir_spelling(struct ibb_volume *v, const char *path, char **ret, struct ibb_error *err)
{
	struct dir_loc l = {0};
	int rc = find(to_dir(v), path, &l, err);

	if (!rc)
		*ret = IBB_TAKE(l.path);
	clear_loc(&l);
	return rc;
}

static int list_host(struct dir_be *d, const struct dir_loc *l, struct ibb_dirents *out,
		     struct ibb_error *err)
{
	DIR *dir = NULL;
	struct dirent *e;
	int rc = open_host_dir(d, l->host_path, &dir, err);

	if (rc)
		return rc;
	while (!rc && (errno = 0, e = readdir(dir))) {
		IBB_AUTO_FREE char *path = NULL, *host = NULL;
		struct stat st;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!ibb_utf8_valid(e->d_name, strlen(e->d_name))) {
			rc = ibb_err(err, IBB_E_UNSUPPORTED, "%s/%s: a name that is not UTF-8",
				     d->root, l->path);
			break;
		}
		path = join(l->path, e->d_name);
		host = join(l->host_path, e->d_name);
		if (!path || !host)
			rc = ibb_err_nomem(err);
		else if (!find_entry(d, path) && !(rc = host_stat(d, host, &st, err)))
			rc = ibb_dirents_add(out, ibb_strdup(e->d_name), type_of(what_of(&st)),
					     err);
	}
	if (!rc && errno)
		rc = ibb_err_os(err, errno, "%s/%s", d->root, l->host_path);
	closedir(dir);
	return rc;
}

/* Is the entry's path directly inside the directory? Then its name, else NULL. */
static const char *child_name(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t dir_len = slash ? (size_t)(slash - path) : 0;

	if (!*path || ibb_ncasecmp(path, dir_len, dir, n))
		return NULL;
	return name;
}

static int dir_list(struct ibb_volume *v, const char *dir, struct ibb_dirents *out,
		    struct ibb_error *err)
{
	struct dir_be *d = to_dir(v);
	struct dir_loc l = {0};
	int rc = find(d, dir, &l, err);

	if (!rc)
		rc = check_way(&l, dir, err);
	if (!rc && l.host_path)
		rc = list_host(d, &l, out, err);
	for (size_t i = 0; !rc && i < d->n; i++) {
		const char *name = child_name(d->entries[i].path, l.path);

		if (name && d->entries[i].now != DIR_NOTHING)
			rc = ibb_dirents_add(out, ibb_strdup(name), type_of(d->entries[i].now),
					     err);
	}
	clear_loc(&l);
	return rc;
}

static int read_host(struct dir_be *d, const char *host_path, uint64_t limit, struct ibb_buf *ret,
		     struct ibb_error *err)
{
	IBB_AUTO_FD int fd = openat(d->fd, host_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	IBB_AUTO_FREE char *name = ibb_asprintf("%s/%s", d->root, host_path);
	struct stat st;

	if (!name)
		return ibb_err_nomem(err);
	if (fd < 0 || fstat(fd, &st))
		return ibb_err_os(err, errno, "%s", name);
	if (!S_ISREG(st.st_mode))
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: no regular file", name);
	if ((uint64_t)st.st_size > limit)
		return ibb_err(err, IBB_E_LIMIT, "%s: %lld bytes, the limit is %llu", name,
			       (long long)st.st_size, (unsigned long long)limit);
	if (ibb_buf_append_zero(ret, (size_t)st.st_size))
		return ibb_err_nomem(err);
	return ibb_pread_full(fd, ret->data, ret->len, 0, name, err);
}

/* A file whose content can be read or replaced. */
static int check_file(const struct dir_loc *l, struct ibb_error *err)
{
	if (l->now == DIR_DIRECTORY)
		return ibb_err(err, IBB_E_CONFLICT, "%s: is a directory", l->path);
	if (l->now == DIR_OTHER)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: a symbolic link or special file",
			       l->path);
	return IBB_OK;
}

static int dir_read(struct ibb_volume *v, const char *path, uint64_t limit, struct ibb_buf *ret,
		    struct ibb_error *err)
{
	struct dir_be *d = to_dir(v);
	struct dir_loc l = {0};
	int rc = find(d, path, &l, err);

	if (!rc)
		rc = check_file(&l, err);
	if (!rc && l.entry && l.entry->written) {
		const struct ibb_buf *b = &l.entry->data;

		if (b->len > limit)
			rc = ibb_err(err, IBB_E_LIMIT, "%s: %zu bytes, the limit is %llu", path,
				     b->len, (unsigned long long)limit);
		else if (ibb_buf_append(ret, b->data, b->len))
			rc = ibb_err_nomem(err);
	} else if (!rc) {
		rc = read_host(d, l.host_path, limit, ret, err);
	}
	clear_loc(&l);
	return rc;
}

static int stage_file(struct dir_be *d, struct dir_loc *l, struct ibb_bytes content, bool in_place,
		      const struct ibb_meta *meta, struct ibb_error *err)
{
	struct ibb_buf data = {0};
	char *path;

	if (ibb_buf_append(&data, content.data, content.len) || touch_entry(d, l, err)) {
		ibb_buf_clear(&data);
		return ibb_err_nomem(err);
	}
	/* A name that was removed before comes back in the new spelling. */
	path = ibb_strdup(l->path);
	if (!path) {
		ibb_buf_clear(&data);
		return ibb_err_nomem(err);
	}
	free(l->entry->path);
	ibb_buf_clear(&l->entry->data);
	l->entry->path = path;
	l->entry->now = DIR_FILE;
	l->entry->in_place = in_place && (l->entry->in_place || !l->entry->written);
	l->entry->written = true;
	l->entry->has_time = true;
	l->entry->time = meta->time;
	l->entry->data = data;
	return IBB_OK;
}

/* After removal the asked spelling counts, not the old one. */
static int respell_missing(struct dir_loc *l, const char *path, struct ibb_error *err)
{
	const char *base = strrchr(path, '/');
	size_t name_len = strlen(base ? base + 1 : path), len = strlen(l->path);

	if (l->now != DIR_NOTHING || len < name_len)
		return IBB_OK;
	(void)err;
	memcpy(l->path + len - name_len, base ? base + 1 : path, name_len);
	return IBB_OK;
}

static int dir_put(struct ibb_volume *v, const char *path, struct ibb_bytes content,
		   enum ibb_put_mode mode, const struct ibb_meta *meta, struct ibb_error *err)
{
	struct dir_be *d = to_dir(v);
	struct dir_loc l = {0};
	int rc = mode == IBB_PUT_IN_PLACE ? find(d, path, &l, err) : walk(d, path, &l, err);

	if (!rc)
		rc = check_file(&l, err);
	if (!rc)
		rc = respell_missing(&l, path, err);
	if (!rc)
		rc = stage_file(d, &l, content, mode == IBB_PUT_IN_PLACE, meta, err);
	clear_loc(&l);
	return rc;
}

static int dir_mkdir(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		     struct ibb_error *err)
{
	struct dir_be *d = to_dir(v);
	struct dir_loc l = {0};
	char *spelt = NULL;
	int rc = walk(d, path, &l, err);

	if (!rc && l.now != DIR_NOTHING)
		rc = ibb_err(err, IBB_E_EXISTS, "%s: exists already", path);
	if (!rc)
		rc = respell_missing(&l, path, err);
	if (!rc && !(spelt = ibb_strdup(l.path)))
		rc = ibb_err_nomem(err);
	if (!rc)
		rc = touch_entry(d, &l, err);
	if (!rc) {
		free(l.entry->path);
		l.entry->path = IBB_TAKE(spelt);
		l.entry->now = DIR_DIRECTORY;
		l.entry->has_time = true;
		l.entry->time = meta->time;
	}
	free(spelt);
	clear_loc(&l);
	return rc;
}

static int check_removable(struct ibb_volume *v, const struct dir_loc *l, struct ibb_error *err)
{
	struct ibb_dirents in = {0};
	size_t n;
	int rc;

	if (l->now == DIR_OTHER)
		return check_file(l, err);
	if (l->now != DIR_DIRECTORY)
		return IBB_OK;
	rc = dir_list(v, l->path, &in, err);
	n = in.n;
	ibb_dirents_clear(&in);
	if (!rc && n)
		return ibb_err(err, IBB_E_CONFLICT, "%s: the directory is not empty", l->path);
	return rc;
}

static int dir_remove(struct ibb_volume *v, const char *path, struct ibb_error *err)
{
	struct dir_be *d = to_dir(v);
	struct dir_loc l = {0};
	int rc = find(d, path, &l, err);

	if (!rc)
		rc = check_removable(v, &l, err);
	if (!rc)
		rc = touch_entry(d, &l, err);
	if (!rc) {
		ibb_buf_clear(&l.entry->data);
		l.entry->now = DIR_NOTHING;
		l.entry->written = l.entry->in_place = l.entry->has_time = false;
	}
	clear_loc(&l);
	return rc;
}

static int dir_security(struct ibb_volume *v, const char *path, struct ibb_buf *ret,
			struct ibb_error *err)
{
	(void)v;
	(void)ret;
	return ibb_err(err, IBB_E_UNSUPPORTED, "%s: a host directory has no Windows security",
		       path);
}

static int dir_touch(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		     struct ibb_error *err)
{
	struct dir_be *d = to_dir(v);
	struct dir_loc l = {0};
	int rc = find(d, path, &l, err);

	if (!rc && l.now == DIR_OTHER)
		rc = check_file(&l, err);
	if (!rc)
		rc = touch_entry(d, &l, err);
	if (!rc) {
		l.entry->has_time = true;
		l.entry->time = meta->time;
	}
	clear_loc(&l);
	return rc;
}

static void dir_close(struct ibb_volume *v)
{
	struct dir_be *d = to_dir(v);

	for (size_t i = 0; i < d->n; i++) {
		free(d->entries[i].path);
		free(d->entries[i].host_path);
		ibb_buf_clear(&d->entries[i].data);
	}
	free(d->entries);
	free(d->root);
	ibb_close_fd(&d->fd);
	free(d);
}

static const struct ibb_volume_ops dir_ops = {
	.info = dir_info,
	.stat = dir_stat,
	.spelling = dir_spelling,
	.list = dir_list,
	.read = dir_read,
	.put = dir_put,
	.mkdir = dir_mkdir,
	.remove = dir_remove,
	.security = dir_security,
	.touch = dir_touch,
	.commit = ibb_dir_commit,
	.close = dir_close,
};

int ibb_volume_open_dir(const char *path, struct ibb_volume **ret, struct ibb_error *err)
{
	struct dir_be *d = ibb_zalloc(sizeof(*d));

	if (!d)
		return ibb_err_nomem(err);
	d->base.ops = &dir_ops;
	d->base.writable = true;
	d->fd = -1;
	d->root = ibb_strdup(path);
	if (!d->root) {
		dir_close(&d->base);
		return ibb_err_nomem(err);
	}
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0) {
		int e = errno;

		dir_close(&d->base);
		if (e == ENOENT)
			return ibb_err(err, IBB_E_NOTFOUND, "%s: no such directory", path);
		return ibb_err_os(err, e, "%s", path);
	}
	*ret = &d->base;
	return IBB_OK;
}
