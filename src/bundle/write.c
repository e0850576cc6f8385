/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>

#include "base/io.h"
#include "base/limits.h"
#include "bundle/internal.h"

struct writer {
	struct ibb_atomic out;
	const char *path;
	uint64_t at;
	struct ibb_error *err;
};

static int by_path(const void *a, const void *b)
{
	const struct ibb_bundle_file *const *x = a, *const *y = b;

	return strcmp((*x)->path, (*y)->path);
}

/* ---- bundle.json ---- */

static int check_files(const struct ibb_bundle_file *const *files, size_t n, struct ibb_error *err)
{
	IBB_AUTO_FREE const char **paths = ibb_calloc_array(n, sizeof(*paths));
	int r = paths ? IBB_OK : ibb_err_nomem(err);

	if (n > IBB_LIMIT_BUNDLE_FILES)
		r = ibb_err(err, IBB_E_LIMIT, "more than %u files for a bundle",
			    IBB_LIMIT_BUNDLE_FILES);
	for (size_t i = 0; i < n && !r; i++) {
		paths[i] = files[i]->path;
		r = ibb_bundle_check_path(paths[i], err);
	}
	return r ? r : ibb_bundle_check_paths(paths, n, err);
}

static int about_text(const struct ibb_json *about, const struct ibb_bundle_file *const *files,
		      size_t n, struct ibb_buf *ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_jb_object(&b, NULL, NULL), *list;
	int r;

	ibb_json_foreach (m, about)
		ibb_jb_copy(&b, root, ibb_json_key(m), m);
	list = ibb_jb_array(&b, root, "files");
	for (size_t i = 0; i < n; i++) {
		struct ibb_json *o = ibb_jb_object(&b, list, NULL);
		struct ibb_sha256 d;

		if (ibb_sha256(files[i]->bytes.data, files[i]->bytes.len, &d)) {
			ibb_jb_clear(&b);
			return ibb_err_nomem(err);
		}
		ibb_jb_str(&b, o, "path", files[i]->path);
		ibb_jb_u64(&b, o, "bytes", files[i]->bytes.len);
		ibb_jb_hex(&b, o, "sha256", d.b, sizeof(d.b));
	}
	r = ibb_jb_done(&b, &doc, err);
	if (!r)
		r = ibb_json_print(doc, ret, err);
	if (!r && ret->len > IBB_LIMIT_JSON_BYTES)
		r = ibb_err(err, IBB_E_LIMIT, "the list of a bundle has more than %u bytes",
			    IBB_LIMIT_JSON_BYTES);
	return r;
}

static int sig_text(struct ibb_bytes about, const char *key_name, struct ibb_bytes key_pem,
		    struct ibb_buf *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf message = {0};
	struct ibb_bundle_signature s = {.is_signed = key_pem.data != NULL};
	int r;

	if (ibb_sha256(about.data, about.len, &s.about) || ibb_bundle_message(about, &message))
		return ibb_err_nomem(err);
	r = s.is_signed
		    ? ibb_sign(key_name, key_pem, ibb_buf_bytes(&message), s.signature, &s.key, err)
		    : IBB_OK;
	if (!r && ibb_bundle_sig_print(&s, ret))
		r = ibb_err_nomem(err);
	return r;
}

/* ---- the archive ---- */

static int put(struct writer *w, const void *p, size_t n)
{
	int r = n ? ibb_pwrite_full(w->out.fd, p, n, w->at, w->path, w->err) : IBB_OK;

	w->at += n;
	return r;
}

static int put_file(struct writer *w, const char *path, struct ibb_bytes bytes)
{
	static const uint8_t zero[IBB_BUNDLE_BLOCK];
	uint8_t header[IBB_BUNDLE_BLOCK];
	int r = ibb_bundle_header(path, bytes.len, header, w->err);

	if (!r && w->at + bytes.len + 4 * IBB_BUNDLE_BLOCK > IBB_LIMIT_BUNDLE_BYTES)
		r = ibb_err(w->err, IBB_E_LIMIT, "%s: a bundle may have %llu bytes", w->path,
			    (unsigned long long)IBB_LIMIT_BUNDLE_BYTES);
	if (!r)
		r = put(w, header, sizeof(header));
	if (!r)
		r = put(w, bytes.data, bytes.len);
	return r ? r : put(w, zero, ibb_bundle_padding(bytes.len));
}

/* What the reader would refuse gets no name. */
static int read_back(struct writer *w)
{
	IBB_AUTO_FREE char *name = ibb_atomic_open_name(&w->out);
	struct ibb_bundle b = {0};
	int r = name ? ibb_bundle_read(name, NULL, 0, NULL, &b, w->err) : ibb_err_nomem(w->err);

	ibb_bundle_clear(&b);
	return r ? ibb_err_prefix(w->err, r, "%s: read back", w->path) : IBB_OK;
}

int ibb_bundle_write(const char *path, bool replace, const struct ibb_json *about,
		     const struct ibb_bundle_file *files, size_t n, const char *key_name,
		     struct ibb_bytes key_pem, struct ibb_error *err)
{
	IBB_AUTO_FREE const struct ibb_bundle_file **sorted = ibb_calloc_array(n, sizeof(*sorted));
	IBB_AUTO_BUF struct ibb_buf text = {0}, sig = {0};
	struct writer w = {.out = {.fd = -1, .dir_fd = -1}, .path = path, .err = err};
	static const uint8_t end[IBB_BUNDLE_END];
	int r;

	if (!sorted)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < n; i++)
		sorted[i] = &files[i];
	qsort(sorted, n, sizeof(*sorted), by_path);
	r = check_files(sorted, n, err);
	if (!r)
		r = about_text(about, sorted, n, &text, err);
	if (!r)
		r = sig_text(ibb_buf_bytes(&text), key_name, key_pem, &sig, err);
	if (!r)
		r = ibb_atomic_begin(&w.out, path, replace, err);
	if (r)
		return r;
	r = put_file(&w, IBB_BUNDLE_ABOUT, ibb_buf_bytes(&text));
	if (!r)
		r = put_file(&w, IBB_BUNDLE_SIG, ibb_buf_bytes(&sig));
	for (size_t i = 0; i < n && !r; i++)
		r = put_file(&w, sorted[i]->path, sorted[i]->bytes);
	if (!r)
		r = put(&w, end, sizeof(end));
	if (!r)
		r = read_back(&w);
	if (!r)
		r = ibb_atomic_commit(&w.out, err);
	ibb_atomic_abort(&w.out);
	return r;
}
