/* SPDX-License-Identifier: GPL-3.0-or-later */
/* meta/<digest>.json: how a file came in. A comfort: nothing that is trusted rests on it alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "net/http.h"
#include "net/internal.h"

#define META_BYTES 65536

static int take(const struct ibb_json *doc, const char *key, char **ret, struct ibb_error *err)
{
	const char *s = ibb_json_str(doc, key);

	if (!s)
		return IBB_OK;
	*ret = ibb_strdup(s);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

/* More of one file are dropped, those first that came in first. */
#define RELEASES_MAX 128

int ibb_cache_entry_release(struct ibb_cache_entry *e, const char *id, uint64_t order,
			    struct ibb_error *err)
{
	struct ibb_cache_release *grown;
	char *copy;

	for (size_t i = 0; i < e->n_releases; i++)
		if (strcmp(e->releases[i].id, id) == 0) {
			e->releases[i].order = order;
			return IBB_OK;
		}
	copy = ibb_strdup(id);
	grown = copy ? ibb_realloc_array(e->releases, e->n_releases + 1, sizeof(*grown)) : NULL;
	if (!grown) {
		free(copy);
		return ibb_err_nomem(err);
	}
	e->releases = grown;
	grown[e->n_releases++] = (struct ibb_cache_release){copy, order};
	return IBB_OK;
}

static bool parse_order(const char *s, uint64_t *ret)
{
	return s && ibb_http_u64(s, ret) && *ret;
}

static int read_releases(const struct ibb_json *doc, struct ibb_cache_entry *e,
			 struct ibb_error *err)
{
	const struct ibb_json *list = ibb_json_get(doc, "releases");
	uint64_t order;
	int r = IBB_OK;

	if (!ibb_json_is_array(list)) /* of an older ibbake */
		return e->release
			       ? ibb_cache_entry_release(e, e->release,
							 (uint64_t)e->added * 1000000000u + 1, err)
			       : IBB_OK;
	ibb_json_foreach (it, list) {
		const char *id = ibb_json_str(it, "id");

		if (!r && id && parse_order(ibb_json_str(it, "order"), &order))
			r = ibb_cache_entry_release(e, id, order, err);
	}
	return r;
}

static void write_releases(struct ibb_jb *b, struct ibb_json *root, const struct ibb_cache_entry *e)
{
	struct ibb_json *list = ibb_jb_array(b, root, "releases");
	const size_t first = e->n_releases > RELEASES_MAX ? e->n_releases - RELEASES_MAX : 0;

	for (size_t i = first; i < e->n_releases; i++) {
		struct ibb_json *o = ibb_jb_object(b, list, NULL);

		ibb_jb_str(b, o, "id", e->releases[i].id);
		ibb_jb_u64(b, o, "order", e->releases[i].order);
	}
}

int ibb_cache_meta_read(struct ibb_cache *c, struct ibb_cache_entry *e, struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	IBB_AUTO_FREE char *path = NULL;
	char name[IBB_CACHE_NAME];
	int64_t added;
	int r;

	ibb_cache_meta_name(&e->sha256, name);
	path = ibb_asprintf("%s/%s", c->dir, name);
	if (!path)
		return ibb_err_nomem(err);
	r = ibb_read_file(path, META_BYTES, &text, NULL);
	if (!r)
		r = ibb_json_parse(path, text.data, text.len, &doc, NULL);
	if (r)
		return r == IBB_E_NOMEM ? ibb_err_nomem(err) : IBB_OK;
	r = take(doc, "file", &e->file_name, err);
	if (!r)
		r = take(doc, "release", &e->release, err);
	if (!r)
		r = take(doc, "url", &e->url, err);
	if (!r)
		r = take(doc, "url_sha256", &e->url_sha256, err);
	if (ibb_json_int(doc, "added", 0, INT64_C(253402300799), &added))
		e->added = added;
	e->insecure = ibb_json_bool(doc, "insecure", false);
	return r ? r : read_releases(doc, e, err);
}

int ibb_cache_meta_write(struct ibb_cache *c, const struct ibb_cache_entry *e,
			 struct ibb_error *err)
{
	struct ibb_atomic a = {.fd = -1, .dir_fd = -1};
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	IBB_AUTO_FREE char *path = NULL;
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_jb_object(&b, NULL, NULL);
	char name[IBB_CACHE_NAME];
	int r;

	ibb_jb_str(&b, root, "file", e->file_name);
	ibb_jb_str(&b, root, "release", e->release);
	write_releases(&b, root, e);
	ibb_jb_str(&b, root, "url", e->url);
	ibb_jb_str(&b, root, "url_sha256", e->url_sha256);
	ibb_jb_int(&b, root, "added", e->added);
	ibb_jb_bool(&b, root, "insecure", e->insecure);
	ibb_cache_meta_name(&e->sha256, name);
	path = ibb_asprintf("%s/%s", c->dir, name);
	r = ibb_jb_done(&b, &doc, err);
	if (!r && !path)
		r = ibb_err_nomem(err);
	if (!r)
		r = ibb_json_print(doc, &text, err);
	if (!r)
		r = ibb_atomic_begin(&a, path, true, err);
	if (!r)
		r = ibb_pwrite_full(a.fd, text.data, text.len, 0, path, err);
	if (!r)
		r = ibb_atomic_commit(&a, err);
	ibb_atomic_abort(&a);
	return r;
}
