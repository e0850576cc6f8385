/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tree that is written. Every name is checked, every directory on the way is opened anew from
 * the top without following links, and every file is made with O_EXCL: nothing outside of the
 * directory can be reached, and nothing inside of it is written twice.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "unpack/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/le.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"

struct unpack_tree {
	int top; /* the directory */
	const char *dir, *temp_dir, *host_path;
	struct ibb_unpack_limits limits;
	struct ibb_unpack_result *out;
	uint64_t bytes; /* written so far, also what was removed */
	struct unpack_node *nodes;
	size_t n, cap;
	uint32_t *slots; /* of a hash table: index of a node + 1 */
	size_t n_slots;
	const char *archive; /* that is being taken apart, in the tree; NULL: the outermost */
	bool hostile;
	/* the file being written */
	int fd;
	size_t file;
	bool announced;
	uint64_t announced_bytes;
};

/* ---- nodes by name ---- */

static int hash_of(const char *path, uint64_t *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf units = {0};
	uint64_t h = 1469598103934665603u;

	if (ibb_utf16le_append(&units, path))
		return ibb_err_nomem(err);
	for (size_t i = 0; i + 1 < units.len; i += 2) {
		h ^= ibb_upcase(ibb_get_le16(units.data + i));
		h *= 1099511628211u;
	}
	*ret = h;
	return IBB_OK;
}

/* NULL: there is none. */
static struct unpack_node *find(const struct unpack_tree *t, const char *path, uint64_t hash)
{
	if (!t->n_slots)
		return NULL;
	for (size_t i = hash & (t->n_slots - 1); t->slots[i]; i = (i + 1) & (t->n_slots - 1)) {
		struct unpack_node *n = &t->nodes[t->slots[i] - 1];

		if (n->hash == hash && !n->removed && ibb_caseeq(n->path, path))
			return n;
	}
	return NULL;
}

static void put_slot(uint32_t *slots, size_t n_slots, uint64_t hash, size_t node)
{
	size_t i = hash & (n_slots - 1);

	while (slots[i])
		i = (i + 1) & (n_slots - 1);
	slots[i] = (uint32_t)node + 1;
}

static int widen(struct unpack_tree *t)
{
	size_t n = t->n_slots ? 2 * t->n_slots : 256;
	uint32_t *slots;

	if (2 * (t->n + 1) <= t->n_slots)
		return IBB_OK;
	slots = ibb_calloc_array(n, sizeof(*slots));
	if (!slots)
		return IBB_E_NOMEM;
	for (size_t i = 0; i < t->n; i++)
		put_slot(slots, n, t->nodes[i].hash, i);
	free(t->slots);
	t->slots = slots;
	t->n_slots = n;
	return IBB_OK;
}

/* Takes the path, also on failure. */
static int add_node(struct unpack_tree *t, char *path, uint64_t hash, bool dir,
		    struct ibb_error *err)
{
	if (t->n >= t->limits.files) {
		free(path);
		t->hostile = true;
		return ibb_err(err, IBB_E_LIMIT, "more than %u files and directories",
			       t->limits.files);
	}
	if (widen(t) || ibb_grow(&t->nodes, &t->cap, t->n, sizeof(*t->nodes))) {
		free(path);
		return ibb_err_nomem(err);
	}
	t->nodes[t->n] = (struct unpack_node){.path = path, .dir = dir, .hash = hash};
	put_slot(t->slots, t->n_slots, hash, t->n);
	t->n++;
	return IBB_OK;
}

/* ---- opening ---- */

/* The directory that holds `path`, which is one that add_node() was told of. */
static int open_parent(struct unpack_tree *t, const char *path, int *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *copy = ibb_strdup(path);
	int fd = fcntl(t->top, F_DUPFD_CLOEXEC, 0);
	char *p = copy, *slash;

	if (!copy || fd < 0) {
		ibb_close_fd(&fd);
		return copy ? ibb_err_os(err, errno, "%s", t->dir) : ibb_err_nomem(err);
	}
	while ((slash = strchr(p, '/'))) {
		int next;

		*slash = '\0';
		next = openat(fd, p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0) {
			ibb_err_os(err, errno, "%s/%s: open the directory", t->dir, copy);
			close(fd);
			return err ? err->code : IBB_E_IO;
		}
		close(fd);
		fd = next;
		*slash = '/';
		p = slash + 1;
	}
	*ret = fd;
	return IBB_OK;
}

/* ---- names ---- */

static int refuse_name(struct unpack_tree *t, struct ibb_error *err)
{
	t->hostile = true;
	return ibb_err_prefix(err, IBB_E_UNSUPPORTED, "refused");
}

/* X:\ and \\server\share\ normalize to relative paths or names with a colon; say what they are. */
static int check_raw(struct unpack_tree *t, const char *path, struct ibb_error *err)
{
	const char *why = NULL;

	if (path[0] == '/' || path[0] == '\\')
		why = "an absolute path";
	else if (path[0] && path[1] == ':')
		why = "a path with a drive letter";
	if (!why)
		return IBB_OK;
	ibb_err(err, IBB_E_UNSUPPORTED, "path '%.300s': %s", path, why);
	return refuse_name(t, err);
}

/*
 * "./a" is how tar names what it was told to pack as "."; zip does not, but it means no harm. The
 * name of the top itself is passed on as "".
 */
static const char *without_dots(const char *path)
{
	while (path[0] == '.' && (path[1] == '/' || path[1] == '\\')) {
		path += 2;
		path += strspn(path, "/\\");
	}
	return strcmp(path, ".") == 0 ? "" : path;
}

static int too_deep(struct unpack_tree *t, const char *path, struct ibb_error *err)
{
	unsigned n = 0;

	for (const char *p = path; (p = strchr(p, '/')); p++)
		n++;
	if (n < IBB_LIMIT_UNPACK_DIRS && strlen(path) <= IBB_LIMIT_PATH_CHARS)
		return IBB_OK;
	t->hostile = true;
	return ibb_err(err, IBB_E_LIMIT, "path '%.300s...' is too long or nested too deeply", path);
}

/* The path in the tree; *ret is NULL for the top of the archive. */
static int place(struct unpack_tree *t, const char *raw, char **ret, struct ibb_error *err)
{
	struct ibb_error local;
	IBB_AUTO_FREE char *norm = NULL, *joined = NULL;
	const char *path = without_dots(raw);
	int rc = check_raw(t, raw, err);

	err = err ? err : &local;
	if (rc)
		return rc;
	if (!*path) {
		*ret = NULL;
		return IBB_OK;
	}
	rc = ibb_path_normalize(path, &norm, err);
	if (rc == IBB_E_INVALID)
		return refuse_name(t, err);
	if (rc)
		return rc;
	joined = t->archive ? ibb_asprintf("%s.d/%s", t->archive, norm) : IBB_TAKE(norm);
	if (!joined)
		return ibb_err_nomem(err);
	rc = too_deep(t, joined, err);
	if (!rc)
		*ret = IBB_TAKE(joined);
	return rc;
}

static int collision(struct unpack_tree *t, const char *path, const struct unpack_node *n,
		     struct ibb_error *err)
{
	t->hostile = true;
	if (n->dir)
		return ibb_err(err, IBB_E_CONFLICT, "%s is a file and a directory", path);
	return ibb_err(err, IBB_E_CONFLICT, "two members have the name %s (as Windows compares)",
		       path);
}

/* 255 letters, which Windows allows, may be 765 bytes, which Linux does not. */
static int cannot_make(struct unpack_tree *t, const char *path, const char *what,
		       struct ibb_error *err)
{
	if (errno == ENAMETOOLONG) {
		t->hostile = true;
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "path '%.300s...': a name that is too long for this system", path);
	}
	return ibb_err_os(err, errno, "%s/%s: %s", t->dir, path, what);
}

static int make_dir(struct unpack_tree *t, const char *path, uint64_t hash, struct ibb_error *err)
{
	IBB_AUTO_FD int parent = -1;
	char *copy = ibb_strdup(path);
	int rc = copy ? open_parent(t, path, &parent, err) : ibb_err_nomem(err);

	if (!rc && mkdirat(parent, ibb_path_base(path), 0700))
		rc = cannot_make(t, path, "make the directory", err);
	if (rc) {
		free(copy);
		return rc;
	}
	return add_node(t, copy, hash, true, err);
}

/*
 * All directories of path[0..n), with the spelling that they got first put into it: upper-casing
 * keeps neither the number of bytes, so the result is a new string.
 */
static int make_dirs(struct unpack_tree *t, const char *path, size_t n, char **ret,
		     struct ibb_error *err)
{
	IBB_AUTO_FREE char *done = ibb_strdup("");

	if (!done)
		return ibb_err_nomem(err);
	for (size_t at = 0; at < n;) {
		size_t len = strcspn(path + at, "/");
		IBB_AUTO_FREE char *next = NULL;
		const struct unpack_node *found;
		uint64_t hash;
		int rc;

		len = len < n - at ? len : n - at;
		next = ibb_asprintf("%s%s%.*s", done, *done ? "/" : "", (int)len, path + at);
		if (!next)
			return ibb_err_nomem(err);
		rc = hash_of(next, &hash, err);
		if (rc)
			return rc;
		found = find(t, next, hash);
		if (found && !found->dir) {
			t->hostile = true;
			return ibb_err(err, IBB_E_CONFLICT, "%s is a file and a directory", next);
		}
		rc = found ? IBB_OK : make_dir(t, next, hash, err);
		if (rc)
			return rc;
		free(done);
		done = found ? ibb_strdup(found->path) : IBB_TAKE(next);
		if (!done)
			return ibb_err_nomem(err);
		at += len + 1;
	}
	*ret = IBB_TAKE(done);
	return IBB_OK;
}

/* ---- the interface of the readers ---- */

int unpack_tree_tick(struct unpack_tree *t, struct ibb_error *err)
{
	return t->limits.tick ? t->limits.tick(t->limits.tick_ctx, err) : IBB_OK;
}

static int too_much(struct unpack_tree *t, struct ibb_error *err)
{
	t->hostile = true;
	return ibb_err(err, IBB_E_LIMIT, "more than %llu bytes would be unpacked",
		       (unsigned long long)t->limits.bytes);
}

static int count(struct unpack_tree *t, size_t n, struct ibb_error *err)
{
	if (n > unpack_tree_room(t))
		return too_much(t, err);
	t->bytes += n;
	return unpack_tree_tick(t, err);
}

static int make_file(struct unpack_tree *t, const char *path, struct ibb_error *err)
{
	IBB_AUTO_FD int parent = -1;
	int rc = open_parent(t, path, &parent, err);

	if (rc)
		return rc;
	t->fd = openat(parent, ibb_path_base(path),
		       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return t->fd < 0 ? cannot_make(t, path, "create", err) : IBB_OK;
}

static int begin_at(struct unpack_tree *t, const char *path, struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = NULL, *whole = NULL;
	const struct unpack_node *found;
	uint64_t hash = 0;
	int rc = make_dirs(t, path, ibb_path_dir_len(path), &dir, err);

	if (rc)
		return rc;
	whole = ibb_asprintf("%s%s%s", dir, *dir ? "/" : "", ibb_path_base(path));
	if (!whole)
		return ibb_err_nomem(err);
	rc = hash_of(whole, &hash, err);
	found = rc ? NULL : find(t, whole, hash);
	if (found)
		return collision(t, whole, found, err);
	if (!rc)
		rc = make_file(t, whole, err);
	if (rc)
		return rc;
	t->file = t->n;
	return add_node(t, IBB_TAKE(whole), hash, false, err);
}

int unpack_tree_begin(struct unpack_tree *t, const char *path, const uint64_t *size_bytes,
		      struct ibb_error *err)
{
	IBB_AUTO_FREE char *at = NULL;
	int rc = place(t, path, &at, err);

	IBB_ASSERT(t->fd < 0);
	if (rc)
		return rc;
	if (!at) {
		ibb_err(err, IBB_E_UNSUPPORTED, "a file without a name");
		return refuse_name(t, err);
	}
	if (size_bytes && *size_bytes > unpack_tree_room(t))
		return too_much(t, err);
	t->announced = size_bytes != NULL;
	t->announced_bytes = size_bytes ? *size_bytes : 0;
	return begin_at(t, at, err);
}

int unpack_tree_write(struct unpack_tree *t, const void *p, size_t n, struct ibb_error *err)
{
	struct unpack_node *f = &t->nodes[t->file];
	int rc = count(t, n, err);

	IBB_ASSERT(t->fd >= 0);
	if (!rc)
		rc = ibb_pwrite_full(t->fd, p, n, f->size_bytes, f->path, err);
	if (!rc)
		f->size_bytes += n;
	return rc;
}

int unpack_tree_end(struct unpack_tree *t, struct ibb_error *err)
{
	const struct unpack_node *f = &t->nodes[t->file];
	int fd = t->fd;

	IBB_ASSERT(fd >= 0);
	t->fd = -1;
	if (close(fd)) /* NFS reports a full disk here */
		return ibb_err_os(err, errno, "%s: close", f->path);
	if (t->announced && f->size_bytes != t->announced_bytes)
		return ibb_err(err, IBB_E_CORRUPT, "%s: %llu bytes instead of %llu", f->path,
			       (unsigned long long)f->size_bytes,
			       (unsigned long long)t->announced_bytes);
	return IBB_OK;
}

int unpack_tree_mkdir(struct unpack_tree *t, const char *path, struct ibb_error *err)
{
	IBB_AUTO_FREE char *at = NULL, *made = NULL;
	int rc = place(t, path, &at, err);

	return rc || !at ? rc : make_dirs(t, at, strlen(at), &made, err);
}

int unpack_tree_warn(struct unpack_tree *t, const char *path, const char *text,
		     struct ibb_error *err)
{
	struct ibb_unpack_result *r = t->out;
	char *whole = ibb_asprintf("%s%s%s: %s", t->archive ? t->archive : "",
				   t->archive ? ".d/" : "", path, text);

	if (!whole ||
	    ibb_grow(&r->warnings, &r->cap_warnings, r->n_warnings, sizeof(*r->warnings))) {
		free(whole);
		return ibb_err_nomem(err);
	}
	r->warnings[r->n_warnings++] = whole;
	return IBB_OK;
}

int unpack_tree_refuse(struct unpack_tree *t, const char *path, const char *what,
		       struct ibb_error *err)
{
	t->hostile = true;
	ibb_err(err, IBB_E_UNSUPPORTED, "refused: '%.300s' is %s", path, what);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "take the archive apart with a tool that you trust with it, look at "
			    "it, and name the directory");
}

/* ---- unnamed files, and those beside the archive ---- */

int unpack_tree_spool(struct unpack_tree *t, int *ret_fd, struct ibb_error *err)
{
	const char *dir = t->temp_dir ? t->temp_dir : t->dir;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		IBB_AUTO_FREE char *name = ibb_asprintf("%s/.ibbake-XXXXXX", dir);

		if (!name)
			return ibb_err_nomem(err);
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			unlink(name);
	}
	if (fd < 0)
		return ibb_err_os(err, errno, "%s: make a temporary file", dir);
	*ret_fd = fd;
	return IBB_OK;
}

int unpack_tree_spool_write(struct unpack_tree *t, int fd, const void *p, size_t n,
			    struct ibb_error *err)
{
	off_t at = lseek(fd, 0, SEEK_END);
	int rc = count(t, n, err);

	if (rc)
		return rc;
	if (at < 0)
		return ibb_err_os(err, errno, "temporary file: seek");
	return ibb_pwrite_full(fd, p, n, (uint64_t)at, "temporary file", err);
}

static int open_regular(int dir, const char *name, int *ret_fd, uint64_t *ret_size,
			struct ibb_error *err)
{
	IBB_AUTO_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return ibb_err_os(err, errno, "%s: open", name);
	if (!S_ISREG(st.st_mode))
		return ibb_err(err, IBB_E_NOTFOUND, "%s is no regular file", name);
	*ret_fd = fd;
	*ret_size = (uint64_t)st.st_size;
	fd = -1;
	return IBB_OK;
}

/* The entry of a directory that Windows takes `name` for. */
static int find_entry(int dir, const char *name, char **ret, struct ibb_error *err)
{
	int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char *found = NULL;
	int rc = IBB_E_NOTFOUND;
	struct dirent *e;

	if (!d) {
		rc = ibb_err_os(err, errno, "%s: open the directory", name);
		ibb_close_fd(&fd);
		return rc;
	}
	rewinddir(d);
	for (unsigned n = 0; !found && n < IBB_LIMIT_SIBLINGS && (e = readdir(d)); n++)
		if (ibb_caseeq(e->d_name, name)) {
			found = ibb_strdup(e->d_name);
			rc = found ? IBB_OK : ibb_err_nomem(err);
			if (!found)
				break;
		}
	closedir(d);
	*ret = found;
	return rc;
}

/* `name` may lead into directories; links are not followed. */
static int host_sibling(struct unpack_tree *t, char *name, int *ret_fd, uint64_t *ret_size,
			struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(t->host_path);
	IBB_AUTO_FD int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	char *slash;

	if (!dir)
		return ibb_err_nomem(err);
	if (fd < 0)
		return ibb_err_os(err, errno, "%s: open the directory", dir);
	for (;; name = slash + 1) {
		IBB_AUTO_FREE char *entry = NULL;
		int rc, next;

		slash = strchr(name, '/');
		if (slash)
			*slash = '\0';
		rc = find_entry(fd, name, &entry, err);
		if (!rc && !slash)
			return open_regular(fd, entry, ret_fd, ret_size, err);
		next = rc ? -1 : openat(fd, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (rc == IBB_E_NOTFOUND || (!rc && next < 0))
			return ibb_err(err, IBB_E_NOTFOUND, "%s: there is no %s beside it",
				       t->host_path, name);
		if (rc)
			return rc;
		close(fd);
		fd = next;
	}
}

int unpack_tree_sibling(struct unpack_tree *t, const char *name, int *ret_fd, uint64_t *ret_size,
			struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = NULL, *norm = NULL;
	const struct unpack_node *found;
	uint64_t hash;
	int rc = ibb_path_normalize(name, &norm, err);

	if (rc)
		return rc == IBB_E_INVALID ? ibb_err_prefix(err, IBB_E_UNSUPPORTED, "refused") : rc;
	if (!t->archive)
		return host_sibling(t, norm, ret_fd, ret_size, err);
	path = ibb_asprintf("%.*s%s%s", (int)ibb_path_dir_len(t->archive), t->archive,
			    ibb_path_dir_len(t->archive) ? "/" : "", norm);
	if (!path)
		return ibb_err_nomem(err);
	rc = hash_of(path, &hash, err);
	if (rc)
		return rc;
	found = find(t, path, hash);
	if (!found || found->dir)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: there is no %s beside it", t->archive,
			       name);
	rc = unpack_tree_open(t, (size_t)(found - t->nodes), ret_fd, err);
	if (!rc)
		*ret_size = found->size_bytes;
	return rc;
}

/* ---- the interface of the driver ---- */

int unpack_tree_new(const char *dir, const char *temp_dir, const char *host_path,
		    const struct ibb_unpack_limits *limits, struct ibb_unpack_result *out,
		    struct unpack_tree **ret, struct ibb_error *err)
{
	struct unpack_tree *t = ibb_zalloc(sizeof(*t));

	if (!t)
		return ibb_err_nomem(err);
	if (limits)
		t->limits = *limits;
	if (!t->limits.bytes)
		t->limits.bytes = IBB_LIMIT_UNPACK_BYTES;
	if (!t->limits.files)
		t->limits.files = IBB_LIMIT_UNPACK_FILES;
	t->out = out;
	t->dir = dir;
	t->temp_dir = temp_dir;
	t->host_path = host_path;
	t->fd = -1;
	t->top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->top < 0) {
		free(t);
		return ibb_err_os(err, errno, "%s: open the directory", dir);
	}
	*ret = t;
	return IBB_OK;
}

void unpack_tree_free(struct unpack_tree *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->nodes[i].path);
	free(t->nodes);
	free(t->slots);
	ibb_close_fd(&t->fd);
	ibb_close_fd(&t->top);
	free(t);
}

void unpack_tree_enter(struct unpack_tree *t, const char *archive)
{
	ibb_close_fd(&t->fd); /* of a file that its reader gave up */
	t->archive = archive;
}

size_t unpack_tree_n(const struct unpack_tree *t)
{
	return t->n;
}

const struct unpack_node *unpack_tree_at(const struct unpack_tree *t, size_t i)
{
	return &t->nodes[i];
}

uint64_t unpack_tree_room(const struct unpack_tree *t)
{
	return t->limits.bytes - t->bytes;
}

bool unpack_tree_is_hostile(const struct unpack_tree *t)
{
	return t->hostile;
}

int unpack_tree_open(struct unpack_tree *t, size_t i, int *ret_fd, struct ibb_error *err)
{
	const char *path = t->nodes[i].path;
	IBB_AUTO_FD int parent = -1;
	int fd, rc = open_parent(t, path, &parent, err);

	if (rc)
		return rc;
	fd = openat(parent, ibb_path_base(path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return ibb_err_os(err, errno, "%s/%s: open", t->dir, path);
	*ret_fd = fd;
	return IBB_OK;
}

int unpack_tree_remove(struct unpack_tree *t, size_t i, struct ibb_error *err)
{
	struct unpack_node *n = &t->nodes[i];
	IBB_AUTO_FD int parent = -1;
	int rc = n->removed ? IBB_OK : open_parent(t, n->path, &parent, err);

	if (rc || n->removed)
		return rc;
	if (unlinkat(parent, ibb_path_base(n->path), n->dir ? AT_REMOVEDIR : 0))
		return ibb_err_os(err, errno, "%s/%s: remove", t->dir, n->path);
	n->removed = true;
	return IBB_OK;
}

int unpack_tree_rewind(struct unpack_tree *t, size_t from, struct ibb_error *err)
{
	int rc = IBB_OK;

	for (size_t i = t->n; i-- > from && !rc;)
		rc = unpack_tree_remove(t, i, err);
	return rc;
}
