/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reader. It knows one form only: every header is made again from its path and size and has to
 * be that one, the files have to be those of bundle.json in the order of their names, and nothing
 * else may be there.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "bundle/internal.h"

#define PIECE (1u << 20)

struct reader {
	const char *name, *dir;
	int fd, dir_fd;
	uint64_t at, size;
	struct ibb_hasher *whole; /* over all bytes */
	uint8_t *piece;
	struct ibb_error *err;
};

/* What is read next: into buf, and into the digest of the whole. */
static int take(struct reader *r, void *buf, size_t n)
{
	int rc;

	if (!ibb_in_range(r->at, n, r->size))
		return ibb_err(r->err, IBB_E_CORRUPT, "%s: truncated: it ends at offset %llu",
			       r->name, (unsigned long long)r->size);
	rc = ibb_pread_full(r->fd, buf, n, r->at, r->name, r->err);
	if (!rc && ibb_hasher_update(r->whole, buf, n))
		rc = ibb_err_nomem(r->err);
	r->at += n;
	return rc;
}

static int bad_form(struct reader *r, const char *what)
{
	return ibb_err(r->err, IBB_E_CORRUPT, "%s: no bundle of ibbake: %s at offset %llu", r->name,
		       what, (unsigned long long)r->at);
}

/* The header of the file that has to come. */
static int take_header(struct reader *r, const char *path, uint64_t limit, uint64_t *ret_size)
{
	uint8_t h[IBB_BUNDLE_BLOCK], want[IBB_BUNDLE_BLOCK];
	char got[257];
	uint64_t size = 0, at = r->at;
	int rc = take(r, h, sizeof(h));

	if (rc)
		return rc;
	r->at = at;
	if (!ibb_bundle_header_parse(h, got, &size))
		return bad_form(r, "no file header");
	if (strcmp(got, path) != 0)
		return ibb_err(r->err, IBB_E_CORRUPT,
			       "%s: '%s' where '%s' has to be, at offset %llu", r->name, got, path,
			       (unsigned long long)at);
	rc = ibb_bundle_header(path, size, want, r->err);
	if (rc)
		return ibb_err_prefix(r->err, IBB_E_CORRUPT, "%s", r->name);
	if (memcmp(h, want, sizeof(h)) != 0)
		return bad_form(r, "a file header that ibbake would not write");
	if (size > limit)
		return ibb_err(r->err, IBB_E_LIMIT, "%s: %s has %llu bytes, more than %llu",
			       r->name, path, (unsigned long long)size, (unsigned long long)limit);
	r->at = at + sizeof(h);
	*ret_size = size;
	return IBB_OK;
}

static int take_padding(struct reader *r, uint64_t n)
{
	uint8_t pad[IBB_BUNDLE_END];
	uint64_t at = r->at;
	int rc = take(r, pad, n);

	if (rc || !n || ibb_all_zero(pad, n))
		return rc;
	r->at = at;
	return bad_form(r, "padding that is not zero");
}

/* ---- writing to the directory ---- */

/* `path` was checked: it stays below the directory, and whatever is there we made. */
static int create(struct reader *r, const char *path, int *ret)
{
	IBB_AUTO_FREE char *dir = ibb_strdup(path);

	if (!dir)
		return ibb_err_nomem(r->err);
	for (char *p = strchr(dir, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		if (mkdirat(r->dir_fd, dir, 0700) && errno != EEXIST)
			return ibb_err_os(r->err, errno, "%s/%s: make the directory", r->dir, dir);
		*p = '/';
	}
	*ret = openat(r->dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *ret < 0 ? ibb_err_os(r->err, errno, "%s/%s: make the file", r->dir, path) : IBB_OK;
}

static int put(struct reader *r, const char *path, const void *p, size_t n)
{
	IBB_AUTO_FD int fd = -1;
	int rc;

	if (r->dir_fd < 0)
		return IBB_OK;
	rc = create(r, path, &fd);
	return rc ? rc : ibb_pwrite_full(fd, p, n, 0, path, r->err);
}

/* ---- the two files in front ---- */

static int take_text(struct reader *r, const char *path, uint64_t limit, struct ibb_buf *ret)
{
	uint64_t size = 0;
	int rc = take_header(r, path, limit, &size);

	if (!rc && !ibb_in_range(r->at, size, r->size))
		rc = ibb_err(r->err, IBB_E_CORRUPT, "%s: truncated inside of %s", r->name, path);
	if (!rc && ibb_buf_append_zero(ret, size))
		rc = ibb_err_nomem(r->err);
	if (!rc)
		rc = take(r, ret->data, size);
	if (!rc)
		rc = take_padding(r, ibb_bundle_padding(size));
	return rc ? rc : put(r, path, ret->data, size);
}

static int not_signed_by(struct reader *r, const struct ibb_bundle *b)
{
	char hex[2 * IBB_PUBLIC_KEY_SIZE + 1];

	ibb_hex(b->key.b, sizeof(b->key.b), hex);
	if (b->is_signed)
		ibb_err(r->err, IBB_E_UNTRUSTED,
			"%s: signed by %s, which is none of the keys given", r->name, hex);
	else
		ibb_err(r->err, IBB_E_UNTRUSTED, "%s: not signed, and a key was given", r->name);
	return ibb_err_hint(r->err, IBB_E_UNTRUSTED,
			    "get the bundle from who holds the key; without --bundle-key any "
			    "bundle that is whole is taken");
}

static int check_signature(struct reader *r, struct ibb_bytes about, struct ibb_bytes sig,
			   const struct ibb_public_key *keys, size_t n_keys, struct ibb_bundle *b)
{
	IBB_AUTO_FREE char *name = ibb_asprintf("%s: " IBB_BUNDLE_SIG, r->name);
	IBB_AUTO_BUF struct ibb_buf message = {0};
	struct ibb_bundle_signature s;
	struct ibb_sha256 d;
	int rc = name ? ibb_bundle_sig_parse(name, sig, &s, r->err) : ibb_err_nomem(r->err);

	if (!rc && (ibb_sha256(about.data, about.len, &d) || ibb_bundle_message(about, &message)))
		rc = ibb_err_nomem(r->err);
	if (rc)
		return rc;
	if (memcmp(&d, &s.about, sizeof(d)) != 0)
		return ibb_err(r->err, IBB_E_UNTRUSTED,
			       "%s: " IBB_BUNDLE_ABOUT " is not the one that " IBB_BUNDLE_SIG
			       " is for: it was changed",
			       r->name);
	if (s.is_signed && ibb_sign_verify(&s.key, ibb_buf_bytes(&message), s.signature))
		return ibb_err(r->err, IBB_E_UNTRUSTED,
			       "%s: the signature is not of this " IBB_BUNDLE_ABOUT
			       ": it was changed",
			       r->name);
	b->is_signed = s.is_signed;
	b->key = s.key;
	for (size_t i = 0; i < n_keys && s.is_signed; i++)
		b->key_known |= memcmp(&keys[i], &s.key, sizeof(s.key)) == 0;
	return n_keys && !b->key_known ? not_signed_by(r, b) : IBB_OK;
}

/* ---- the list ---- */

struct entry {
	const char *path;
	uint64_t size;
	struct ibb_sha256 digest;
};

static bool parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s || !*s || (s[0] == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || !ibb_mul_u64(v, 10, &v) ||
		    !ibb_add_u64(v, (uint64_t)(*s - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

static int bad_list(struct reader *r, const char *what)
{
	return ibb_err(r->err, IBB_E_CORRUPT, "%s: " IBB_BUNDLE_ABOUT ": %s", r->name, what);
}

static int list_entry(struct reader *r, const struct ibb_json *o, struct entry *e)
{
	const char *digest = ibb_json_str(o, "sha256");
	int rc;

	e->path = ibb_json_str(o, "path");
	if (!e->path || !digest || !ibb_sha256_parse(digest, &e->digest) ||
	    !parse_u64(ibb_json_str(o, "bytes"), &e->size))
		return bad_list(r, "a file lacks \"path\", \"bytes\" or \"sha256\"");
	rc = ibb_bundle_check_path(e->path, r->err);
	return rc == IBB_E_UNSUPPORTED ? ibb_err_prefix(r->err, IBB_E_CORRUPT, "%s", r->name) : rc;
}

/* In the order of their names, each once, and none in the way of another one. */
static int check_list(struct reader *r, const struct entry *list, size_t n)
{
	IBB_AUTO_FREE const char **paths = ibb_calloc_array(n, sizeof(*paths));
	int rc = paths ? IBB_OK : ibb_err_nomem(r->err);

	for (size_t i = 0; i < n && !rc; i++) {
		paths[i] = list[i].path;
		if (i && strcmp(paths[i - 1], paths[i]) >= 0)
			rc = ibb_err(r->err, IBB_E_CORRUPT,
				     "%s: " IBB_BUNDLE_ABOUT ": '%s' is not behind '%s'", r->name,
				     paths[i], paths[i - 1]);
	}
	if (!rc)
		rc = ibb_bundle_check_paths(paths, n, r->err);
	return rc == IBB_E_CONFLICT ? ibb_err_prefix(r->err, IBB_E_CORRUPT, "%s", r->name) : rc;
}

static int read_list(struct reader *r, const struct ibb_json *doc, struct entry **ret,
		     size_t *ret_n)
{
	const struct ibb_json *files = ibb_json_get(doc, "files");
	const char *schema = ibb_json_str(doc, "schema");
	IBB_AUTO_FREE struct entry *list = NULL;
	size_t n = 0;
	int rc = IBB_OK;

	if (!schema || strcmp(schema, IBB_BUNDLE_SCHEMA) != 0)
		return bad_list(r, "it is not of schema " IBB_BUNDLE_SCHEMA);
	if (!ibb_json_is_array(files))
		return bad_list(r, "no \"files\"");
	if (ibb_json_count(files) > IBB_LIMIT_BUNDLE_FILES)
		return ibb_err(r->err, IBB_E_LIMIT, "%s: more than %u files", r->name,
			       IBB_LIMIT_BUNDLE_FILES);
	list = ibb_calloc_array(ibb_json_count(files), sizeof(*list));
	if (!list)
		return ibb_err_nomem(r->err);
	ibb_json_foreach (o, files)
		if (!rc)
			rc = list_entry(r, o, &list[n++]);
	if (!rc)
		rc = check_list(r, list, n);
	if (rc)
		return rc;
	*ret = IBB_TAKE(list);
	*ret_n = n;
	return IBB_OK;
}

/* ---- the files ---- */

static int take_content(struct reader *r, const struct entry *e, int fd, struct ibb_sha256 *ret)
{
	IBB_AUTO(ibb_hasher_free) struct ibb_hasher *h = NULL;
	int rc = ibb_hasher_new(&h) ? ibb_err_nomem(r->err) : IBB_OK;

	for (uint64_t done = 0; done < e->size && !rc;) {
		size_t n = (size_t)ibb_min_u64(PIECE, e->size - done);

		rc = take(r, r->piece, n);
		if (!rc && ibb_hasher_update(h, r->piece, n))
			rc = ibb_err_nomem(r->err);
		if (!rc && fd >= 0)
			rc = ibb_pwrite_full(fd, r->piece, n, done, e->path, r->err);
		done += n;
	}
	if (!rc && ibb_hasher_final(IBB_TAKE(h), ret))
		rc = ibb_err_nomem(r->err);
	return rc;
}

static int take_file(struct reader *r, const struct entry *e)
{
	IBB_AUTO_FD int fd = -1;
	struct ibb_sha256 d = {{0}};
	uint64_t size = 0;
	int rc = take_header(r, e->path, IBB_LIMIT_BUNDLE_BYTES, &size);

	if (!rc && size != e->size)
		rc = ibb_err(r->err, IBB_E_CORRUPT,
			     "%s: %s has %llu bytes, " IBB_BUNDLE_ABOUT " says %llu", r->name,
			     e->path, (unsigned long long)size, (unsigned long long)e->size);
	if (!rc && !ibb_in_range(r->at, size, r->size))
		rc = ibb_err(r->err, IBB_E_CORRUPT, "%s: truncated inside of %s", r->name, e->path);
	if (!rc && r->dir_fd >= 0)
		rc = create(r, e->path, &fd);
	if (!rc)
		rc = take_content(r, e, fd, &d);
	if (!rc && memcmp(&d, &e->digest, sizeof(d)) != 0)
		rc = ibb_err(r->err, IBB_E_UNTRUSTED,
			     "%s: %s is not the file that " IBB_BUNDLE_ABOUT
			     " names: it was changed",
			     r->name, e->path);
	return rc ? rc : take_padding(r, ibb_bundle_padding(size));
}

static int read_all(struct reader *r, const struct ibb_public_key *keys, size_t n_keys,
		    struct ibb_bundle *b)
{
	IBB_AUTO_BUF struct ibb_buf about = {0}, sig = {0};
	IBB_AUTO_FREE struct entry *list = NULL;
	IBB_AUTO_FREE char *name = ibb_asprintf("%s: " IBB_BUNDLE_ABOUT, r->name);
	size_t n = 0;
	int rc = name ? take_text(r, IBB_BUNDLE_ABOUT, IBB_LIMIT_JSON_BYTES, &about)
		      : ibb_err_nomem(r->err);

	if (!rc)
		rc = take_text(r, IBB_BUNDLE_SIG, IBB_BUNDLE_BLOCK, &sig);
	if (!rc)
		rc = check_signature(r, ibb_buf_bytes(&about), ibb_buf_bytes(&sig), keys, n_keys,
				     b);
	if (!rc)
		rc = ibb_json_parse(name, about.data, about.len, &b->doc, r->err);
	if (!rc)
		rc = read_list(r, b->doc, &list, &n);
	for (size_t i = 0; i < n && !rc; i++)
		rc = take_file(r, &list[i]);
	if (!rc)
		rc = take_padding(r, IBB_BUNDLE_END);
	if (!rc && r->at != r->size)
		rc = bad_form(r, "something behind the end");
	b->n_files = n;
	b->size_bytes = r->size;
	return rc;
}

static int open_all(struct reader *r, const char *path)
{
	struct stat st;

	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (r->fd < 0 || fstat(r->fd, &st))
		return errno == ENOENT ? ibb_err(r->err, IBB_E_UNSUPPORTED,
						 "%s: there is no such file", path)
				       : ibb_err_os(r->err, errno, "%s: open", path);
	if (!S_ISREG(st.st_mode))
		return ibb_err(r->err, IBB_E_UNSUPPORTED, "%s: not a file", path);
	r->size = (uint64_t)st.st_size;
	if (r->size > IBB_LIMIT_BUNDLE_BYTES)
		return ibb_err(r->err, IBB_E_LIMIT, "%s: more than %llu bytes", path,
			       (unsigned long long)IBB_LIMIT_BUNDLE_BYTES);
	r->piece = ibb_alloc(PIECE);
	if (!r->piece || ibb_hasher_new(&r->whole))
		return ibb_err_nomem(r->err);
	if (!r->dir)
		return IBB_OK;
	r->dir_fd = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return r->dir_fd < 0 ? ibb_err_os(r->err, errno, "%s: open the directory", r->dir) : IBB_OK;
}

int ibb_bundle_read(const char *path, const struct ibb_public_key *keys, size_t n_keys,
		    const char *dir, struct ibb_bundle *ret, struct ibb_error *err)
{
	struct reader r = {.name = path, .dir = dir, .fd = -1, .dir_fd = -1, .err = err};
	struct ibb_bundle b = {0};
	int rc = open_all(&r, path);

	if (!rc)
		rc = read_all(&r, keys, n_keys, &b);
	if (!rc && ibb_hasher_final(IBB_TAKE(r.whole), &b.digest))
		rc = ibb_err_nomem(err);
	ibb_hasher_free(r.whole);
	free(r.piece);
	ibb_close_fd(&r.fd);
	ibb_close_fd(&r.dir_fd);
	if (rc)
		ibb_bundle_clear(&b);
	else
		*ret = b;
	return rc;
}

void ibb_bundle_clear(struct ibb_bundle *b)
{
	ibb_json_free(b->doc);
	*b = (struct ibb_bundle){0};
}
