/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/volume.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"
#include "volume/backend.h"

int ibb_dirents_add(struct ibb_dirents *l, char *name, enum ibb_file_type type,
		    struct ibb_error *err)
{
	if (!name)
		return ibb_err_nomem(err);
	if (l->n >= IBB_LIMIT_DIRENTS) {
		free(name);
		return ibb_err(err, IBB_E_LIMIT, "directory of more than %u names",
			       IBB_LIMIT_DIRENTS);
	}
	if (ibb_grow(&l->items, &l->cap, l->n, sizeof(l->items[0]))) {
		free(name);
		return ibb_err_nomem(err);
	}
	l->items[l->n++] = (struct ibb_dirent){name, type};
	return IBB_OK;
}

void ibb_dirents_clear(struct ibb_dirents *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i].name);
	free(l->items);
	*l = (struct ibb_dirents){0};
}

/* Case decides only between names that are equal without it, so that the order is total. */
static int compare_dirents(const void *a, const void *b)
{
	const struct ibb_dirent *x = a, *y = b;
	int c = ibb_casecmp(x->name, y->name);

	return c ? c : strcmp(x->name, y->name);
}

/*
 * Paths come from our own code in normal form; this is the last look before they reach a file
 * system. The full check of a name is for names that will be created.
 */
static int check_path(const char *path, bool create, struct ibb_error *err)
{
	size_t len = strlen(path);

	if (len > IBB_LIMIT_PATH_CHARS)
		return ibb_err(err, IBB_E_LIMIT, "path of %zu bytes (limit %u): %.60s...", len,
			       IBB_LIMIT_PATH_CHARS, path);
	if (!ibb_utf8_valid(path, len))
		return ibb_err(err, IBB_E_INVALID, "path is not UTF-8");
	for (const char *p = path; *path;) {
		size_t n = strcspn(p, "/");
		const char *problem = create ? ibb_name_problem(p, n) : NULL;

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			problem = "empty, '.' or '..'";
		if (problem)
			return ibb_err(err, IBB_E_INVALID, "%s: name '%.*s': %s", path, (int)n, p,
				       problem);
		if (!p[n])
			break;
		p += n + 1;
	}
	return IBB_OK;
}

static int check_open(const struct ibb_volume *v, struct ibb_error *err)
{
	if (v->committed)
		return ibb_err(err, IBB_E_INVALID, "the volume was already committed");
	return IBB_OK;
}

static int begin_read(struct ibb_volume *v, const char *path, struct ibb_error *err)
{
	int rc = check_open(v, err);

	return rc ? rc : check_path(path, false, err);
}

static int begin_change(struct ibb_volume *v, const char *path, bool create, struct ibb_error *err)
{
	int rc = check_open(v, err);

	if (rc)
		return rc;
	if (!v->writable)
		return ibb_err(err, IBB_E_READONLY, "%s: the volume was opened read-only", path);
	if (v->failed_code) {
		if (err)
			*err = v->failed;
		return ibb_err_prefix(err, v->failed_code, "an earlier change failed");
	}
	if (create && !*path)
		return ibb_err(err, IBB_E_INVALID, "the root of a volume cannot be changed");
	v->changed = false;
	return check_path(path, create, err);
}

/* A failure after the first change leaves half of something staged; remember that. */
static int end_change(struct ibb_volume *v, int rc, struct ibb_error *err)
{
	if (rc && v->changed && !v->failed_code) {
		v->failed_code = rc;
		if (err)
			v->failed = *err;
		else
			(void)ibb_err(&v->failed, rc, "a change of the volume failed");
	}
	return rc;
}

int ibb_volume_info(struct ibb_volume *v, struct ibb_volume_info *ret, struct ibb_error *err)
{
	int rc = check_open(v, err);

	return rc ? rc : v->ops->info(v, ret, err);
}

int ibb_volume_stat(struct ibb_volume *v, const char *path, struct ibb_stat *ret,
		    struct ibb_error *err)
{
	struct ibb_stat st = {0};
	int rc = begin_read(v, path, err);

	if (!rc)
		rc = v->ops->stat(v, path, &st, err);
	if (!rc)
		*ret = st;
	return rc;
}

int ibb_volume_spelling(struct ibb_volume *v, const char *path, char **ret, struct ibb_error *err)
{
	int rc = begin_read(v, path, err);

	return rc ? rc : v->ops->spelling(v, path, ret, err);
}

int ibb_volume_list(struct ibb_volume *v, const char *dir, ibb_dirent_fn fn, void *ctx,
		    struct ibb_error *err)
{
	struct ibb_dirents l = {0};
	int rc = begin_read(v, dir, err);

	if (!rc)
		rc = v->ops->list(v, dir, &l, err);
	if (!rc && l.n)
		qsort(l.items, l.n, sizeof(l.items[0]), compare_dirents);
	for (size_t i = 0; !rc && i < l.n; i++)
		rc = fn(ctx, l.items[i].name, l.items[i].type, err);
	ibb_dirents_clear(&l);
	return rc;
}

int ibb_volume_read(struct ibb_volume *v, const char *path, uint64_t limit, struct ibb_buf *ret,
		    struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	int rc = begin_read(v, path, err);

	if (!rc)
		rc = v->ops->read(v, path, limit, &b, err);
	if (rc)
		return rc;
	ibb_buf_clear(ret);
	*ret = b;
	b = (struct ibb_buf){0};
	return IBB_OK;
}

int ibb_volume_stream(struct ibb_volume *v, const char *path, uint64_t limit, ibb_piece_fn fn,
		      void *ctx, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	int rc = begin_read(v, path, err);

	if (!rc && v->ops->stream)
		return v->ops->stream(v, path, limit, fn, ctx, err);
	if (!rc)
		rc = v->ops->read(v, path, limit, &b, err);
	return rc || !b.len ? rc : fn(ctx, 0, ibb_buf_bytes(&b), err);
}

int ibb_volume_put(struct ibb_volume *v, const char *path, struct ibb_bytes content,
		   enum ibb_put_mode mode, const struct ibb_meta *meta, struct ibb_error *err)
{
	int rc = begin_change(v, path, true, err);

	return rc ? rc : end_change(v, v->ops->put(v, path, content, mode, meta, err), err);
}

int ibb_volume_mkdir(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		     struct ibb_error *err)
{
	int rc = begin_change(v, path, true, err);

	return rc ? rc : end_change(v, v->ops->mkdir(v, path, meta, err), err);
}

int ibb_volume_remove(struct ibb_volume *v, const char *path, struct ibb_error *err)
{
	int rc = begin_change(v, path, true, err);

	return rc ? rc : end_change(v, v->ops->remove(v, path, err), err);
}

int ibb_volume_security(struct ibb_volume *v, const char *path, struct ibb_buf *ret,
			struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	int rc = begin_read(v, path, err);

	if (!rc)
		rc = v->ops->security(v, path, &b, err);
	if (rc)
		return rc;
	ibb_buf_clear(ret);
	*ret = b;
	b = (struct ibb_buf){0};
	return IBB_OK;
}

int ibb_volume_touch(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		     struct ibb_error *err)
{
	int rc = begin_change(v, path, false, err);

	return rc ? rc : end_change(v, v->ops->touch(v, path, meta, err), err);
}

int ibb_volume_commit(struct ibb_volume *v, struct ibb_error *err)
{
	int rc = check_open(v, err);

	if (rc)
		return rc;
	if (v->failed_code) {
		if (err)
			*err = v->failed;
		return ibb_err_prefix(err, v->failed_code,
				      "nothing is committed, because an earlier change failed");
	}
	v->committed = true;
	return v->ops->commit(v, err);
}

void ibb_volume_close(struct ibb_volume *v)
{
	if (v)
		v->ops->close(v);
}
