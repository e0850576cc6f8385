/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file on its way into the cache: one process at a time writes to partial/<key>.data, under a
 * lock that a kill releases. What is whole is digested from the file itself, made durable and
 * renamed, so that nothing but right files ever stands below sha256/.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/internal.h"

#define STATE_BYTES 65536

static void name_of(const struct ibb_partial *p, const char *suffix, char out[IBB_CACHE_NAME])
{
	snprintf(out, IBB_CACHE_NAME, "partial/%s%s", p->key, suffix);
}

static int failed(const struct ibb_partial *p, const char *name, const char *what,
		  struct ibb_error *err)
{
	return ibb_err_os(err, errno, "%s/%s: %s", p->cache->dir, name, what);
}

/* One attempt: *ret_got, or it is somebody else's just now. */
static int try_lock(struct ibb_partial *p, const char *name, bool *ret_got, struct ibb_error *err)
{
	struct stat a, b;

	*ret_got = false;
	p->lock_fd = openat(p->cache->fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (p->lock_fd < 0)
		return failed(p, name, "lock", err);
	if (flock(p->lock_fd, LOCK_EX | LOCK_NB)) {
		const int saved = errno;

		ibb_close_fd(&p->lock_fd);
		errno = saved;
		return saved == EWOULDBLOCK || saved == EINTR ? IBB_OK
							      : failed(p, name, "lock", err);
	}
	/* the holder may have removed the name between our open and our lock */
	*ret_got = fstat(p->lock_fd, &a) == 0 &&
		   fstatat(p->cache->fd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
		   a.st_ino == b.st_ino && a.st_dev == b.st_dev;
	if (!*ret_got)
		ibb_close_fd(&p->lock_fd);
	return IBB_OK;
}

static int lock(struct ibb_partial *p, int (*wait)(void *ctx), void *ctx, struct ibb_error *err)
{
	const struct timespec tenth = {.tv_nsec = 100000000};
	char name[IBB_CACHE_NAME];
	bool got = false;
	int r;

	name_of(p, ".lock", name);
	for (;;) {
		r = try_lock(p, name, &got, err);
		if (r || got)
			return r;
		p->waited = true;
		r = wait ? wait(ctx) : 0;
		if (r == IBB_E_TIMEOUT)
			return ibb_err(err, r, "%s/%s: another process is still fetching it",
				       p->cache->dir, name);
		if (r)
			return ibb_err(err, IBB_E_CANCELLED, "stopped on request");
		nanosleep(&tenth, NULL);
	}
}

int ibb_partial_take(struct ibb_cache *c, const char *key, int (*wait)(void *ctx), void *ctx,
		     struct ibb_partial *ret, struct ibb_error *err)
{
	struct ibb_partial p = {.cache = c, .lock_fd = -1, .fd = -1};
	char name[IBB_CACHE_NAME];
	int r = ibb_cache_mkdir(c, "partial", err);

	snprintf(p.key, sizeof(p.key), "%s", key);
	if (!r)
		r = lock(&p, wait, ctx, err);
	if (!r) {
		name_of(&p, ".data", name);
		p.fd = openat(c->fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (p.fd < 0)
			r = failed(&p, name, "open", err);
	}
	if (r)
		ibb_partial_release(&p);
	else
		*ret = p;
	return r;
}

int ibb_partial_state(struct ibb_partial *p, struct ibb_json **ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf text = {0};
	IBB_AUTO_FREE char *path = NULL;
	char name[IBB_CACHE_NAME];
	int r;

	name_of(p, ".json", name);
	*ret = NULL;
	path = ibb_asprintf("%s/%s", p->cache->dir, name);
	if (!path)
		return ibb_err_nomem(err);
	r = ibb_read_file(path, STATE_BYTES, &text, NULL);
	if (!r)
		r = ibb_json_parse(path, text.data, text.len, ret, NULL);
	return r == IBB_E_NOMEM ? ibb_err_nomem(err) : IBB_OK;
}

static int unlink_part(struct ibb_partial *p, const char *suffix, struct ibb_error *err)
{
	char name[IBB_CACHE_NAME];

	name_of(p, suffix, name);
	if (unlinkat(p->cache->fd, name, 0) && errno != ENOENT)
		return failed(p, name, "remove", err);
	return IBB_OK;
}

static int write_state(struct ibb_partial *p, const struct ibb_json *state, struct ibb_error *err)
{
	struct ibb_atomic a = {.fd = -1, .dir_fd = -1};
	IBB_AUTO_BUF struct ibb_buf text = {0};
	IBB_AUTO_FREE char *path = NULL;
	char name[IBB_CACHE_NAME];
	int r = ibb_json_print(state, &text, err);

	name_of(p, ".json", name);
	path = ibb_asprintf("%s/%s", p->cache->dir, name);
	if (!r && !path)
		r = ibb_err_nomem(err);
	if (!r)
		r = ibb_atomic_begin(&a, path, true, err);
	if (!r)
		r = ibb_pwrite_full(a.fd, text.data, text.len, 0, path, err);
	if (!r)
		r = ibb_atomic_commit(&a, err);
	ibb_atomic_abort(&a);
	return r;
}

/* The old state goes first and the data next, so that data never stands beside another's state. */
int ibb_partial_restart(struct ibb_partial *p, struct ibb_json *state, struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *owned = state;
	char name[IBB_CACHE_NAME];
	int r = unlink_part(p, ".json", err);

	name_of(p, ".data", name);
	if (!r && ftruncate(p->fd, 0))
		r = failed(p, name, "truncate", err);
	if (!r && owned)
		r = write_state(p, owned, err);
	return r;
}

char *ibb_partial_path(const struct ibb_partial *p)
{
	char name[IBB_CACHE_NAME];

	name_of(p, ".data", name);
	return ibb_asprintf("%s/%s", p->cache->dir, name);
}

int ibb_partial_drop(struct ibb_partial *p, struct ibb_error *err)
{
	int r = unlink_part(p, ".json", err);

	if (!r)
		r = unlink_part(p, ".data", err);
	if (!r)
		ibb_close_fd(&p->fd);
	return r;
}

static uint64_t now_ns(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The same bytes may be there already, for another release: what is known of them stays known. */
static int merge(struct ibb_cache *c, const char *name, struct ibb_cache_entry *e,
		 struct ibb_error *err)
{
	struct ibb_cache_entry old = {.sha256 = e->sha256};
	const uint64_t order = now_ns();
	struct stat st;
	int r = IBB_OK;

	if (fstatat(c->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		r = ibb_cache_meta_read(c, &old, err);
	if (!r && old.added)
		e->insecure = e->insecure && old.insecure;
	for (size_t i = 0; i < old.n_releases && !r; i++)
		r = ibb_cache_entry_release(e, old.releases[i].id, old.releases[i].order, err);
	if (!r && e->release)
		r = ibb_cache_entry_release(e, e->release, order, err);
	if (!r && !e->release)
		e->release = IBB_TAKE(old.release);
	ibb_cache_entry_clear(&old);
	return r;
}

/* The directories, the metadata, then the file: what is in the cache has its metadata. A sweep or a
 * removal at this moment would take away what is just coming in: it asks for the other lock. */
static int publish(struct ibb_partial *p, struct ibb_cache_entry *e, struct ibb_error *err)
{
	struct ibb_cache *c = p->cache;
	char from[IBB_CACHE_NAME], to[IBB_CACHE_NAME], folder[IBB_CACHE_NAME];
	int r;

	name_of(p, ".data", from);
	ibb_cache_file_name(&e->sha256, to);
	snprintf(folder, sizeof(folder), "%.9s", to);
	r = ibb_cache_mkdir(c, "sha256", err);
	if (!r)
		r = ibb_cache_mkdir(c, folder, err);
	if (!r)
		r = ibb_cache_mkdir(c, "meta", err);
	if (!r && flock(c->fd, LOCK_EX))
		r = ibb_err_os(err, errno, "%s: lock", c->dir);
	if (r)
		return r;
	r = merge(c, to, e, err);
	if (!r)
		r = ibb_cache_meta_write(c, e, err);
	if (!r && renameat(c->fd, from, c->fd, to))
		r = ibb_err_os(err, errno, "%s/%s: put into the cache", c->dir, to);
	if (!r)
		r = ibb_cache_fsync_dir(c, folder, err);
	if (!r)
		r = ibb_cache_fsync_dir(c, "sha256", err);
	flock(c->fd, LOCK_UN);
	return r;
}

static int copy_text(const char *s, char **ret, struct ibb_error *err)
{
	if (!s)
		return IBB_OK;
	*ret = ibb_strdup(s);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

/* What the cache will say of it. */
static int make_entry(struct ibb_cache *c, const struct ibb_cache_entry *from,
		      const struct ibb_sha256 *d, uint64_t size, struct ibb_cache_entry *ret,
		      struct ibb_error *err)
{
	struct ibb_cache_entry e = {
		.sha256 = *d, .size_bytes = size, .added = from->added, .insecure = from->insecure};
	char name[IBB_CACHE_NAME];
	int r = copy_text(from->file_name, &e.file_name, err);

	if (!r)
		r = copy_text(from->release, &e.release, err);
	if (!r)
		r = copy_text(from->url, &e.url, err);
	if (!r)
		r = copy_text(from->url_sha256, &e.url_sha256, err);
	ibb_cache_file_name(d, name);
	if (!r) {
		e.path = ibb_asprintf("%s/%s", c->dir, name);
		r = e.path ? IBB_OK : ibb_err_nomem(err);
	}
	if (r)
		ibb_cache_entry_clear(&e);
	else
		*ret = e;
	return r;
}

int ibb_partial_insert(struct ibb_partial *p, const struct ibb_sha256 *expected,
		       const struct ibb_cache_entry *e, ibb_cache_progress_fn progress, void *ctx,
		       struct ibb_sha256 *ret_digest, struct ibb_cache_entry *ret,
		       struct ibb_error *err)
{
	char name[IBB_CACHE_NAME], hex[IBB_SHA256_HEX_SIZE], want[IBB_SHA256_HEX_SIZE];
	struct ibb_cache_entry made = {0};
	struct ibb_sha256 d;
	uint64_t size;
	int r;

	name_of(p, ".data", name);
	r = ibb_digest_fd(p->fd, name, progress, ctx, &d, &size, err);
	if (r)
		return r;
	*ret_digest = d;
	if (expected && memcmp(expected, &d, sizeof(d)) != 0) {
		ibb_sha256_hex(&d, hex);
		ibb_sha256_hex(expected, want);
		return ibb_err(err, IBB_E_UNTRUSTED, "has the digest %s, not %s", hex, want);
	}
	if (fsync(p->fd))
		return failed(p, name, "make durable", err);
	r = make_entry(p->cache, e, &d, size, &made, err);
	if (!r)
		r = publish(p, &made, err);
	if (!r)
		r = unlink_part(p, ".json", err);
	if (r) {
		ibb_cache_entry_clear(&made);
		return r;
	}
	(void)fchmod(p->fd, 0400); /* a kill before this leaves it writable for its owner */
	ibb_close_fd(&p->fd);
	*ret = made;
	return IBB_OK;
}

/* The lock's name goes while it is held: try_lock() of others notices. Empty data goes, too. */
void ibb_partial_release(struct ibb_partial *p)
{
	char name[IBB_CACHE_NAME];
	struct stat st;

	if (p->fd >= 0 && fstat(p->fd, &st) == 0 && !st.st_size && p->lock_fd >= 0) {
		(void)!unlink_part(p, ".data", NULL);
		(void)!unlink_part(p, ".json", NULL);
	}
	ibb_close_fd(&p->fd);
	if (p->lock_fd >= 0) {
		name_of(p, ".lock", name);
		(void)unlinkat(p->cache->fd, name, 0);
	}
	ibb_close_fd(&p->lock_fd);
}
