/* SPDX-License-Identifier: GPL-3.0-or-later */
/* --lock FILE: what is locked by digest, read and written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api/doc.h"
#include "api/lockfile.h"
#include "api/trust.h"
#include "base/limits.h"
#include "base/utf16.h"

#define SCHEMA "ibbake-lock/1"

struct ibb_lockfile {
	char *path;
	struct ibb_json *doc;
};

void ibb_lockfile_free(struct ibb_lockfile *l)
{
	if (!l)
		return;
	ibb_json_free(l->doc);
	free(l->path);
	free(l);
}

/* One digest for a release: two would leave the choice to chance. */
static bool named_before(const struct ibb_json *doc, const struct ibb_json *d)
{
	ibb_json_foreach (e, ibb_json_get(doc, "downloads")) {
		if (e == d)
			return false;
		if (strcmp(ibb_json_str(e, "release"), ibb_json_str(d, "release")) == 0)
			return true;
	}
	return false;
}

static int check_downloads(const char *path, const struct ibb_json *doc, struct ibb_error *err)
{
	const struct ibb_json *list = ibb_json_get(doc, "downloads");
	struct ibb_sha256 d;

	if (list && !ibb_json_is_array(list))
		return ibb_err(err, IBB_E_CORRUPT, "%s: \"downloads\" is no list", path);
	ibb_json_foreach (e, list) {
		const char *digest = ibb_json_str(e, "sha256");

		if (!ibb_json_str(e, "release") || !digest || !ibb_sha256_parse(digest, &d))
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: a download lacks \"release\" or \"sha256\"", path);
		if (named_before(doc, e))
			return ibb_err(err, IBB_E_CORRUPT, "%s: release %s is pinned twice", path,
				       ibb_json_str(e, "release"));
	}
	return IBB_OK;
}

static int check(const char *path, const struct ibb_json *doc, struct ibb_error *err)
{
	const struct ibb_json *packages = ibb_json_get(doc, "packages");
	const char *schema = ibb_json_str(doc, "schema");
	struct ibb_sha256 d;

	if (!schema || strcmp(schema, SCHEMA) != 0)
		return ibb_err(err, IBB_E_CORRUPT, "%s: no lock file of ibbake (schema %s)", path,
			       SCHEMA);
	if (packages ? !ibb_json_is_array(packages) : !ibb_json_get(doc, "downloads"))
		return ibb_err(err, IBB_E_CORRUPT, "%s: no \"packages\"", path);
	ibb_json_foreach (p, packages) {
		const char *digest = ibb_json_str(p, "sha256");

		if (!ibb_json_str(p, "inf") || !digest || !ibb_sha256_parse(digest, &d))
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: a package lacks \"inf\" or \"sha256\"", path);
	}
	return check_downloads(path, doc, err);
}

int ibb_lockfile_read_as(const char *path, const char *name, struct ibb_lockfile **ret,
			 struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf text = {0};
	struct ibb_lockfile *l;
	struct stat st;
	int r;

	if (stat(path, &st) && errno == ENOENT)
		return IBB_E_NOTFOUND;
	l = ibb_zalloc(sizeof(*l));
	if (!l)
		return ibb_err_nomem(err);
	l->path = ibb_strdup(name);
	r = l->path ? ibb_read_file(path, IBB_LIMIT_JSON_BYTES, &text, err) : ibb_err_nomem(err);
	if (!r)
		r = ibb_json_parse(name, text.data, text.len, &l->doc, err);
	if (!r)
		r = check(name, l->doc, err);
	if (r)
		ibb_lockfile_free(l);
	else
		*ret = l;
	return r;
}

int ibb_lockfile_read(const char *path, struct ibb_lockfile **ret, struct ibb_error *err)
{
	return ibb_lockfile_read_as(path, path, ret, err);
}

int ibb_lockfile_check(const struct ibb_lockfile *l, const struct ibb_package *p,
		       struct ibb_error *err)
{
	char hex[IBB_SHA256_HEX_SIZE];
	bool named = false;

	ibb_sha256_hex(&p->digest, hex);
	ibb_json_foreach (e, ibb_json_get(l->doc, "packages")) {
		struct ibb_sha256 d;

		if (!ibb_caseeq(ibb_json_str(e, "inf"), p->inf_name))
			continue;
		named = true;
		if (ibb_sha256_parse(ibb_json_str(e, "sha256"), &d) &&
		    memcmp(&d, &p->digest, sizeof(d)) == 0)
			return IBB_OK;
	}
	ibb_err(err, IBB_E_UNTRUSTED, "%s/%s has the digest %s, which %s %s", p->dir, p->inf_name,
		hex, l->path, named ? "does not lock: it locks another one" : "does not know");
	return ibb_err_hint(err, IBB_E_UNTRUSTED,
			    "take the package that was locked, or remove %s to lock this one",
			    l->path);
}

int ibb_lock_entries_copy(struct ibb_lock_entry **list, size_t *n, size_t *cap,
			  const struct ibb_lock_entry *from, struct ibb_error *err)
{
	struct ibb_lock_entry e;

	for (size_t i = 0; i < *n; i++)
		if (strcmp((*list)[i].inf, from->inf) == 0 &&
		    memcmp(&(*list)[i].digest, &from->digest, sizeof(from->digest)) == 0)
			return IBB_OK;
	if (ibb_grow(list, cap, *n, sizeof(**list)))
		return ibb_err_nomem(err);
	e = (struct ibb_lock_entry){.inf = ibb_strdup(from->inf),
				    .version = ibb_strdup(from->version),
				    .digest = from->digest};
	if (!e.inf || !e.version) {
		ibb_lock_entry_clear(&e);
		return ibb_err_nomem(err);
	}
	(*list)[(*n)++] = e;
	return IBB_OK;
}

int ibb_lock_entries_add(struct ibb_lock_entry **list, size_t *n, size_t *cap,
			 const struct ibb_package *p, struct ibb_error *err)
{
	const struct ibb_lock_entry e = {.inf = p->inf_name,
					 .version = (char *)p->version.version_text,
					 .digest = p->digest};

	return ibb_lock_entries_copy(list, n, cap, &e, err);
}

void ibb_lock_entry_clear(struct ibb_lock_entry *e)
{
	free(e->inf);
	free(e->version);
}

bool ibb_lockfile_locks_packages(const struct ibb_lockfile *l)
{
	/* an empty list locks out everything, whatever is pinned beside it */
	return l && ibb_json_get(l->doc, "packages");
}

bool ibb_lockfile_download(const struct ibb_lockfile *l, const char *release,
			   struct ibb_lock_download *ret)
{
	struct ibb_lock_download d = {0};
	const char *size;

	ibb_json_foreach (e, l ? ibb_json_get(l->doc, "downloads") : NULL) {
		d.release = ibb_json_str(e, "release");
		if (strcmp(d.release, release) != 0 ||
		    !ibb_sha256_parse(ibb_json_str(e, "sha256"), &d.sha256))
			continue;
		size = ibb_json_str(e, "size_bytes");
		d.size_bytes = size ? strtoull(size, NULL, 10) : 0;
		d.file = ibb_json_str(e, "file");
		d.url = ibb_json_str(e, "url");
		d.pinned = ibb_json_str(e, "pinned");
		d.insecure = ibb_json_bool(e, "insecure", false);
		*ret = d;
		return true;
	}
	return false;
}

bool ibb_lockfile_digest(const struct ibb_lockfile *l, const char *sha256,
			 struct ibb_lock_download *ret)
{
	ibb_json_foreach (e, l ? ibb_json_get(l->doc, "downloads") : NULL)
		if (ibb_caseeq(ibb_json_str(e, "sha256"), sha256))
			return ibb_lockfile_download(l, ibb_json_str(e, "release"), ret);
	return false;
}

bool ibb_lockfile_pinned_name(const struct ibb_lockfile *l, const char *file, const char *sha256,
			      const char **ret_release, const char **ret_sha256)
{
	const struct ibb_json *first = NULL;

	ibb_json_foreach (e, ibb_json_get(l->doc, "downloads")) {
		const char *name = ibb_json_str(e, "file");

		if (!name || !ibb_caseeq(name, file))
			continue;
		if (ibb_caseeq(ibb_json_str(e, "sha256"), sha256))
			return false;
		first = first ? first : e;
	}
	if (!first)
		return false;
	*ret_release = ibb_json_str(first, "release");
	*ret_sha256 = ibb_json_str(first, "sha256");
	return true;
}

/* ---- writing ---- */

static void packages_json(const struct ibb_lock_entry *entries, size_t n, struct ibb_jb *b,
			  struct ibb_json *root)
{
	struct ibb_json *list = ibb_jb_array(b, root, "packages"), *o;
	char hex[IBB_SHA256_HEX_SIZE];

	for (size_t i = 0; i < n; i++) {
		ibb_sha256_hex(&entries[i].digest, hex);
		o = ibb_jb_object(b, list, NULL);
		ibb_jb_str(b, o, "inf", entries[i].inf);
		ibb_jb_str(b, o, "version", entries[i].version);
		ibb_jb_str(b, o, "sha256", hex);
	}
}

int ibb_lockfile_text(const struct ibb_lock_entry *entries, size_t n, char **ret,
		      struct ibb_error *err)
{
	struct ibb_jb b = {0};

	packages_json(entries, n, &b, ibb_doc_begin(&b, SCHEMA));
	return ibb_doc_print(&b, ret, err);
}

static void download_json(const struct ibb_lock_download *d, struct ibb_jb *b, struct ibb_json *o)
{
	char hex[IBB_SHA256_HEX_SIZE];

	ibb_sha256_hex(&d->sha256, hex);
	ibb_jb_str(b, o, "release", d->release);
	ibb_jb_str(b, o, "file", d->file);
	ibb_jb_str(b, o, "url", d->url);
	ibb_jb_str(b, o, "sha256", hex);
	ibb_jb_u64(b, o, "size_bytes", d->size_bytes);
	ibb_jb_str(b, o, "pinned", d->pinned);
	ibb_jb_bool(b, o, "insecure", d->insecure);
}

static int write_text(const char *path, struct ibb_jb *b, bool replace, struct ibb_error *err)
{
	struct ibb_atomic a = {.fd = -1, .dir_fd = -1};
	IBB_AUTO_FREE char *text = NULL;
	int r = ibb_doc_print(b, &text, err);

	if (!r)
		r = ibb_atomic_begin(&a, path, replace, err);
	if (!r)
		r = ibb_pwrite_full(a.fd, text, strlen(text), 0, path, err);
	if (!r)
		r = ibb_atomic_commit(&a, err);
	ibb_atomic_abort(&a);
	return r;
}

/* What is there; NULL when nothing is. */
static int read_old(const char *path, struct ibb_lockfile **ret, struct ibb_error *err)
{
	int r = ibb_lockfile_read(path, ret, err);

	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}

/* Another process that pins into the same file is done in a moment. */
static int take_patiently(struct ibb_lock *l, const char *path, struct ibb_error *err)
{
	const struct timespec tick = {.tv_nsec = 20000000};
	int r;

	for (unsigned i = 0;; i++) {
		r = ibb_lock_take(l, path, err);
		if (r != IBB_E_CONFLICT || i == 500)
			return r;
		nanosleep(&tick, NULL);
	}
}

int ibb_lockfile_write(const char *path, const struct ibb_lock_entry *entries, size_t n,
		       struct ibb_error *err)
{
	IBB_AUTO(ibb_lockfile_free) struct ibb_lockfile *old = NULL;
	struct ibb_lock lock = {.fd = -1};
	struct ibb_jb b = {0};
	struct ibb_json *root;
	int r = take_patiently(&lock, path, err);

	if (!r)
		r = read_old(path, &old, err);
	if (!r && ibb_lockfile_locks_packages(old))
		r = ibb_err(err, IBB_E_EXISTS, "%s: locks packages already", path);
	if (!r) {
		root = ibb_doc_begin(&b, SCHEMA);
		packages_json(entries, n, &b, root);
		if (old)
			ibb_jb_copy(&b, root, "downloads", ibb_json_get(old->doc, "downloads"));
		r = write_text(path, &b, old != NULL, err);
	}
	ibb_lock_release(&lock);
	return r;
}

static int already(const char *path, const struct ibb_lock_download *has,
		   const struct ibb_lock_download *d, struct ibb_error *err)
{
	char hex[IBB_SHA256_HEX_SIZE], want[IBB_SHA256_HEX_SIZE];

	if (memcmp(&has->sha256, &d->sha256, sizeof(d->sha256)) == 0)
		return IBB_OK;
	ibb_sha256_hex(&d->sha256, hex);
	ibb_sha256_hex(&has->sha256, want);
	return ibb_err(err, IBB_E_UNTRUSTED, "release %s has the digest %s, but %s pins %s",
		       d->release, hex, path, want);
}

int ibb_lockfile_pin(const char *path, const struct ibb_lock_download *d, struct ibb_error *err)
{
	IBB_AUTO(ibb_lockfile_free) struct ibb_lockfile *old = NULL;
	struct ibb_lock lock = {.fd = -1};
	struct ibb_lock_download has;
	struct ibb_jb b = {0};
	struct ibb_json *root, *list;
	int r = take_patiently(&lock, path, err);

	if (!r)
		r = read_old(path, &old, err);
	if (!r && ibb_lockfile_download(old, d->release, &has)) {
		r = already(path, &has, d, err);
	} else if (!r) {
		root = ibb_doc_begin(&b, SCHEMA);
		if (ibb_lockfile_locks_packages(old))
			ibb_jb_copy(&b, root, "packages", ibb_json_get(old->doc, "packages"));
		list = ibb_jb_array(&b, root, "downloads");
		ibb_json_foreach (e, old ? ibb_json_get(old->doc, "downloads") : NULL)
			ibb_jb_copy(&b, list, NULL, e);
		download_json(d, &b, ibb_jb_object(&b, list, NULL));
		r = write_text(path, &b, old != NULL, err);
	}
	ibb_lock_release(&lock);
	return r;
}
