/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cache as it lies there: opened, looked into, listed. */
#include "net/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/http.h"
#include "net/internal.h"

/* ---- the directory ---- */

/* With its parents, for ~/.cache may be missing as well. */
static int make_dirs(const char *dir, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_strdup(dir);

	if (!path)
		return ibb_err_nomem(err);
	for (char *p = path + 1; *path; p++) {
		const char was = *p;

		if (was && was != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			return ibb_err_os(err, errno, "%s: make the package cache", path);
		*p = was;
		if (!was)
			break;
	}
	return IBB_OK;
}

int ibb_cache_open(const char *dir, bool create, struct ibb_cache **ret, struct ibb_error *err)
{
	struct ibb_cache *c;
	int fd, r;

	if (!*dir)
		return ibb_err(err, IBB_E_INVALID, "the package cache has an empty name");
	if (create) {
		r = make_dirs(dir, err);
		if (r)
			return r;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && create)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: the package cache is a symbolic link that leads nowhere", dir);
	if (fd < 0 && errno == ENOENT)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: there is no package cache", dir);
	if (fd < 0)
		return ibb_err_os(err, errno, "%s: open the package cache", dir);
	c = ibb_zalloc(sizeof(*c));
	if (c) {
		c->fd = fd;
		c->dir = ibb_strdup(dir);
	}
	if (!c || !c->dir) {
		ibb_close_fd(&fd);
		free(c);
		return ibb_err_nomem(err);
	}
	*ret = c;
	return IBB_OK;
}

void ibb_cache_close(struct ibb_cache *c)
{
	if (!c)
		return;
	ibb_close_fd(&c->fd);
	free(c->dir);
	free(c);
}

const char *ibb_cache_shared(const struct ibb_cache *c)
{
	static const char *const names[] = {".", "sha256", "meta"};
	struct stat st;

	for (size_t i = 0; i < IBB_ARRAY_SIZE(names); i++) {
		if (fstatat(c->fd, names[i], &st, 0))
			continue; /* not made so far */
		if (st.st_uid != geteuid() && st.st_uid != 0)
			return "belongs to another user";
		if (st.st_mode & 022)
			return "may be written to by others";
	}
	return NULL;
}

const char *ibb_cache_dir(const struct ibb_cache *c)
{
	return c->dir;
}

int ibb_cache_mkdir(struct ibb_cache *c, const char *name, struct ibb_error *err)
{
	if (mkdirat(c->fd, name, 0700) && errno != EEXIST)
		return ibb_err_os(err, errno, "%s/%s: make a directory of the package cache",
				  c->dir, name);
	return IBB_OK;
}

int ibb_cache_fsync_dir(struct ibb_cache *c, const char *name, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = openat(c->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		return ibb_err_os(err, errno, "%s/%s: make durable", c->dir, name);
	return IBB_OK;
}

void ibb_cache_file_name(const struct ibb_sha256 *d, char out[IBB_CACHE_NAME])
{
	char hex[IBB_SHA256_HEX_SIZE];

	ibb_sha256_hex(d, hex);
	snprintf(out, IBB_CACHE_NAME, "sha256/%.2s/%s", hex, hex);
}

void ibb_cache_meta_name(const struct ibb_sha256 *d, char out[IBB_CACHE_NAME])
{
	char hex[IBB_SHA256_HEX_SIZE];

	ibb_sha256_hex(d, hex);
	snprintf(out, IBB_CACHE_NAME, "meta/%s.json", hex);
}

/* ---- entries ---- */

void ibb_cache_entry_clear(struct ibb_cache_entry *e)
{
	free(e->path);
	free(e->file_name);
	free(e->release);
	for (size_t i = 0; i < e->n_releases; i++)
		free(e->releases[i].id);
	free(e->releases);
	free(e->url);
	free(e->url_sha256);
	*e = (struct ibb_cache_entry){0};
}

void ibb_cache_entries_free(struct ibb_cache_entry *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ibb_cache_entry_clear(&list[i]);
	free(list);
}

void ibb_cache_seen(struct ibb_cache_entry *e, const struct stat *st)
{
	e->inode = st->st_ino;
	e->changed = (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec;
}

/* What lies there under a digest, without a look at its bytes. */
static int look(struct ibb_cache *c, const struct ibb_sha256 *d, struct ibb_cache_entry *ret,
		struct ibb_error *err)
{
	struct ibb_cache_entry e = {.sha256 = *d};
	char name[IBB_CACHE_NAME];
	struct stat st;
	int r;

	ibb_cache_file_name(d, name);
	if (fstatat(c->fd, name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT || errno == ENOTDIR)
			return ibb_err(err, IBB_E_NOTFOUND, "%s/%s: not in the package cache",
				       c->dir, name);
		return ibb_err_os(err, errno, "%s/%s", c->dir, name);
	}
	if (!S_ISREG(st.st_mode))
		return ibb_err(err, IBB_E_CORRUPT, "%s/%s: no regular file", c->dir, name);
	e.size_bytes = (uint64_t)st.st_size;
	e.added = st.st_mtime;
	ibb_cache_seen(&e, &st);
	e.path = ibb_asprintf("%s/%s", c->dir, name);
	r = e.path ? ibb_cache_meta_read(c, &e, err) : ibb_err_nomem(err);
	if (r) {
		ibb_cache_entry_clear(&e);
		return r;
	}
	*ret = e;
	return IBB_OK;
}

int ibb_digest_fd(int fd, const char *name, ibb_cache_progress_fn progress, void *ctx,
		  struct ibb_sha256 *ret, uint64_t *ret_size, struct ibb_error *err)
{
	const size_t room = 1 << 20;
	IBB_AUTO_FREE uint8_t *buf = ibb_alloc(room);
	IBB_AUTO(ibb_hasher_free) struct ibb_hasher *h = NULL;
	uint64_t at = 0;
	struct stat st;

	if (!buf || ibb_hasher_new(&h))
		return ibb_err_nomem(err);
	if (fstat(fd, &st))
		return ibb_err_os(err, errno, "%s", name);
	for (;;) {
		ssize_t n = pread(fd, buf, room, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ibb_err_os(err, errno, "%s: read", name);
		if (!n)
			break;
		if (ibb_hasher_update(h, buf, (size_t)n))
			return ibb_err_nomem(err);
		at += (uint64_t)n;
		if (progress && progress(ctx, at, (uint64_t)st.st_size))
			return ibb_err(err, IBB_E_CANCELLED, "stopped on request");
	}
	if (ibb_hasher_final(IBB_TAKE(h), ret))
		return ibb_err_nomem(err);
	*ret_size = at;
	return IBB_OK;
}

int ibb_cache_check(const struct ibb_cache_entry *e, ibb_cache_progress_fn progress, void *ctx,
		    struct ibb_sha256 *ret_actual, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(e->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char hex[IBB_SHA256_HEX_SIZE];
	struct ibb_sha256 d;
	uint64_t size;
	int r;

	if (e->strange) {
		ibb_err(err, IBB_E_IO, "%s: no regular file", e->path);
		return ibb_err_hint(err, IBB_E_IO, "take it away by hand");
	}
	if (fd < 0)
		return ibb_err_os(err, errno, "%s: open", e->path);
	r = ibb_digest_fd(fd, e->path, progress, ctx, &d, &size, err);
	if (r)
		return r;
	*ret_actual = d;
	if (memcmp(&d, &e->sha256, sizeof(d)) == 0)
		return IBB_OK;
	ibb_sha256_hex(&d, hex);
	ibb_err(err, IBB_E_CORRUPT, "%s: its bytes have the digest %s, not that of its name",
		e->path, hex);
	return ibb_err_hint(err, IBB_E_CORRUPT, "'ibbake cache verify --remove' takes it out");
}

int ibb_cache_find(struct ibb_cache *c, const struct ibb_sha256 *d, bool check,
		   struct ibb_cache_entry *ret, struct ibb_error *err)
{
	struct ibb_cache_entry e;
	struct ibb_sha256 actual;
	int r = look(c, d, &e, err);

	if (r)
		return r;
	if (check)
		r = ibb_cache_check(&e, NULL, NULL, &actual, err);
	if (r)
		ibb_cache_entry_clear(&e);
	else
		*ret = e;
	return r;
}

/* ---- all of them ---- */

struct list {
	struct ibb_cache_entry *items;
	size_t n, cap;
};

static int by_digest(const void *a, const void *b)
{
	const struct ibb_cache_entry *x = a, *y = b;

	return memcmp(&x->sha256, &y->sha256, sizeof(x->sha256));
}

/* It takes the place of a file, so that whoever lists the cache has to see it. */
static int strange(struct ibb_cache *c, const struct ibb_sha256 *d, struct ibb_cache_entry *ret,
		   struct ibb_error *err)
{
	struct ibb_cache_entry e = {.sha256 = *d, .strange = true};
	char name[IBB_CACHE_NAME];

	ibb_cache_file_name(d, name);
	e.path = ibb_asprintf("%s/%s", c->dir, name);
	if (!e.path)
		return ibb_err_nomem(err);
	*ret = e;
	return IBB_OK;
}

static int add_name(struct ibb_cache *c, const char *folder, const char *name, struct list *l,
		    struct ibb_error *err)
{
	struct ibb_sha256 d;
	int r;

	if (!ibb_sha256_parse(name, &d) || strncmp(name, folder, 2) != 0)
		return IBB_OK;
	if (l->n >= IBB_LIMIT_CACHE_FILES)
		return ibb_err(err, IBB_E_LIMIT, "%s: more than %u files in the package cache",
			       c->dir, IBB_LIMIT_CACHE_FILES);
	if (ibb_grow(&l->items, &l->cap, l->n, sizeof(*l->items)))
		return ibb_err_nomem(err);
	r = look(c, &d, &l->items[l->n], err);
	if (r == IBB_E_CORRUPT)
		r = strange(c, &d, &l->items[l->n], err);
	if (!r)
		l->n++;
	return r == IBB_E_NOTFOUND ? IBB_OK : r; /* it may go while we look */
}

static DIR *open_dir(struct ibb_cache *c, const char *name)
{
	int fd = openat(c->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		ibb_close_fd(&fd);
	return d;
}

static int list_folder(struct ibb_cache *c, const char *folder, struct list *l,
		       struct ibb_error *err)
{
	char name[IBB_CACHE_NAME];
	struct dirent *e;
	int r = IBB_OK;
	DIR *d;

	snprintf(name, sizeof(name), "sha256/%.2s", folder);
	d = open_dir(c, name);
	if (!d)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			       ? IBB_OK
			       : ibb_err_os(err, errno, "%s/%s", c->dir, name);
	while (!r && (e = readdir(d)))
		r = add_name(c, folder, e->d_name, l, err);
	closedir(d);
	return r;
}

int ibb_cache_list(struct ibb_cache *c, struct ibb_cache_entry **ret, size_t *ret_n,
		   struct ibb_error *err)
{
	struct list l = {0};
	struct dirent *e;
	int r = IBB_OK;
	DIR *d = open_dir(c, "sha256");

	if (!d && errno != ENOENT)
		return ibb_err_os(err, errno, "%s/sha256", c->dir);
	while (d && !r && (e = readdir(d)))
		if (strlen(e->d_name) == 2 && ibb_hex_digit(e->d_name[0]) >= 0 &&
		    ibb_hex_digit(e->d_name[1]) >= 0)
			r = list_folder(c, e->d_name, &l, err);
	if (d)
		closedir(d);
	if (r) {
		ibb_cache_entries_free(l.items, l.n);
		return r;
	}
	if (l.n)
		qsort(l.items, l.n, sizeof(*l.items), by_digest);
	*ret = l.items;
	*ret_n = l.n;
	return IBB_OK;
}

/* How late a file came in for a release; 0: never. */
static uint64_t order_of_release(const struct ibb_cache_entry *e, const char *release)
{
	for (size_t i = 0; i < e->n_releases; i++)
		if (strcmp(e->releases[i].id, release) == 0)
			return e->releases[i].order;
	return 0;
}

static uint64_t order_of_url(const struct ibb_cache_entry *e, const char *hex)
{
	return e->url_sha256 && strcmp(e->url_sha256, hex) == 0 ? (uint64_t)e->added + 1 : 0;
}

/* The one that came in last; of several the one with the smallest digest. */
static int find_last(struct ibb_cache *c,
		     uint64_t (*order)(const struct ibb_cache_entry *e, const char *text),
		     const char *text, const char *shown, struct ibb_cache_entry *ret,
		     struct ibb_error *err)
{
	struct ibb_cache_entry *list = NULL, *best = NULL;
	size_t n = 0;
	uint64_t last = 0;
	int r = ibb_cache_list(c, &list, &n, err);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		const uint64_t o = order(&list[i], text);

		if (o > last) {
			last = o;
			best = &list[i];
		}
	}
	if (best) {
		*ret = *best;
		*best = (struct ibb_cache_entry){0};
	} else {
		r = ibb_err(err, IBB_E_NOTFOUND, "%s: nothing of %s in the package cache", c->dir,
			    shown);
	}
	ibb_cache_entries_free(list, n);
	return r;
}

int ibb_cache_find_release(struct ibb_cache *c, const char *release, struct ibb_cache_entry *ret,
			   struct ibb_error *err)
{
	return find_last(c, order_of_release, release, release, ret, err);
}

int ibb_cache_find_url(struct ibb_cache *c, const char *url, struct ibb_cache_entry *ret,
		       struct ibb_error *err)
{
	IBB_AUTO_FREE char *shown = ibb_url_shown(url);
	char hex[IBB_SHA256_HEX_SIZE];

	if (!shown || ibb_url_sha256(url, hex))
		return ibb_err_nomem(err);
	return find_last(c, order_of_url, hex, shown, ret, err);
}
