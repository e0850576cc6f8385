/* SPDX-License-Identifier: GPL-3.0-or-later */
/* meta/<digest>.json: how a file came in. A comfort: nothing that is trusted rests on it alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

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
	return r;
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
