/* SPDX-License-Identifier: GPL-3.0-or-later */
/* --lock FILE: the packages of a bake by their digests, so that the next bake takes the same ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/doc.h"
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

static int check(const char *path, const struct ibb_json *doc, struct ibb_error *err)
{
	const char *schema = ibb_json_str(doc, "schema");
	struct ibb_sha256 d;

	if (!schema || strcmp(schema, SCHEMA) != 0)
		return ibb_err(err, IBB_E_CORRUPT, "%s: no lock file of ibbake (schema %s)", path,
			       SCHEMA);
	if (!ibb_json_is_array(ibb_json_get(doc, "packages")))
		return ibb_err(err, IBB_E_CORRUPT, "%s: no \"packages\"", path);
	ibb_json_foreach (p, ibb_json_get(doc, "packages")) {
		const char *digest = ibb_json_str(p, "sha256");

		if (!ibb_json_str(p, "inf") || !digest || !ibb_sha256_parse(digest, &d))
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: a package lacks \"inf\" or \"sha256\"", path);
	}
	return IBB_OK;
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

int ibb_lockfile_text(const struct ibb_lock_entry *entries, size_t n, char **ret,
		      struct ibb_error *err)
{
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_doc_begin(&b, SCHEMA), *list, *o;
	char hex[IBB_SHA256_HEX_SIZE];

	list = ibb_jb_array(&b, root, "packages");
	for (size_t i = 0; i < n; i++) {
		ibb_sha256_hex(&entries[i].digest, hex);
		o = ibb_jb_object(&b, list, NULL);
		ibb_jb_str(&b, o, "inf", entries[i].inf);
		ibb_jb_str(&b, o, "version", entries[i].version);
		ibb_jb_str(&b, o, "sha256", hex);
	}
	return ibb_doc_print(&b, ret, err);
}

int ibb_lockfile_write(const char *path, const struct ibb_lock_entry *entries, size_t n,
		       struct ibb_error *err)
{
	struct ibb_atomic a = {.fd = -1, .dir_fd = -1};
	IBB_AUTO_FREE char *text = NULL;
	int r = ibb_lockfile_text(entries, n, &text, err);

	if (!r)
		r = ibb_atomic_begin(&a, path, false, err);
	if (!r)
		r = ibb_pwrite_full(a.fd, text, strlen(text), 0, path, err);
	if (!r)
		r = ibb_atomic_commit(&a, err);
	ibb_atomic_abort(&a);
	return r;
}
