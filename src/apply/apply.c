/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "apply/apply.h"

#include <stdlib.h>
#include <string.h>

#include "apply/work.h"
#include "base/limits.h"

/* Base block and, in the newer format, the first log entry: without them a log is never replayed.
 */
#define LOG_CLEAR_BYTES 4096

/* `before` is NULL for a new file. */
int ibb_apply_record(struct work *w, const char *path, const char *kind,
		     const struct content *before, const struct content *after)
{
	struct ibb_applied *a = w->out;
	struct ibb_applied_file *f;

	if (ibb_grow(&a->files, &a->cap_files, a->n_files, sizeof(*a->files)))
		return ibb_err_nomem(w->err);
	f = &a->files[a->n_files];
	*f = (struct ibb_applied_file){.path = ibb_strdup(path),
				       .kind = kind,
				       .existed = before != NULL,
				       .removed = after == NULL};
	if (!f->path)
		return ibb_err_nomem(w->err);
	if (after) {
		f->after_bytes = after->n_bytes;
		f->after = after->sha256;
	}
	if (before) {
		f->before_bytes = before->n_bytes;
		f->before = before->sha256;
	}
	a->n_files++;
	return IBB_OK;
}

/* ---- logs ---- */

/* The log must be the one that the hive's sequence number was chosen above. */
static int log_as_read(struct work *w, const char *path, const struct ibb_sha256 *have)
{
	for (int id = 0; id < IBB_N_HIVES; id++)
		for (size_t i = 0; i < w->f->hives[id].n_logs; i++) {
			const struct ibb_fact_log *l = &w->f->hives[id].logs[i];

			if (strcmp(l->path, path) == 0 &&
			    memcmp(&l->sha256, have, sizeof(*have)) == 0)
				return IBB_OK;
		}
	return ibb_err(w->err, IBB_E_CONFLICT, "%s changed while the plan was made", path);
}

static int clear_log(struct work *w, const struct ibb_op *op)
{
	IBB_AUTO_BUF struct ibb_buf log = {0};
	struct content old, new;
	int r = ibb_volume_read(w->v, op->path, IBB_LIMIT_HIVE_BYTES, &log, w->err);

	if (r == IBB_E_NOTFOUND)
		return ibb_err_prefix(w->err, IBB_E_CONFLICT, "the plan does not fit the image");
	if (!r)
		r = ibb_apply_content(w, ibb_buf_bytes(&log), &old);
	if (!r)
		r = log_as_read(w, op->path, &old.sha256);
	if (r)
		return r;
	if (log.len)
		memset(log.data, 0, log.len < LOG_CLEAR_BYTES ? log.len : LOG_CLEAR_BYTES);
	r = ibb_apply_put(w, op->path, ibb_buf_bytes(&log), IBB_PUT_IN_PLACE);
	if (!r)
		r = ibb_apply_content(w, ibb_buf_bytes(&log), &new);
	return r ? r : ibb_apply_record(w, op->path, "log", &old, &new);
}

/* ---- files ---- */

static int absent(struct work *w, const char *path)
{
	struct ibb_stat st;
	int r = ibb_volume_stat(w->v, path, &st, w->err);

	if (r == IBB_E_NOTFOUND)
		return IBB_OK;
	if (r)
		return r;
	ibb_err(w->err, IBB_E_CONFLICT, "%s exists already in the image", path);
	return ibb_err_hint(w->err, IBB_E_CONFLICT,
			    "it belongs to no driver package the database knows; remove it from "
			    "the image first");
}

static int content_before(struct work *w, const char *path, bool *ret_had, struct content *ret)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	int r = ibb_volume_read(w->v, path, IBB_LIMIT_PACKAGE_BYTES, &data, w->err);

	*ret_had = !r;
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	return ibb_apply_content(w, ibb_buf_bytes(&data), ret);
}

static int put_file(struct work *w, const struct ibb_op *op)
{
	/* the digest was made when the file was read: a byte that changed in memory since will show
	 * at the read-back */
	struct content new = {op->file->bytes.len, op->file->sha256}, old;
	bool had = false;
	int r = op->may_replace ? content_before(w, op->path, &had, &old) : absent(w, op->path);

	if (!r)
		r = ibb_apply_put(w, op->path, ibb_buf_bytes(&op->file->bytes), IBB_PUT_REPLACE);
	return r ? r : ibb_apply_record(w, op->path, "driver", had ? &old : NULL, &new);
}

static int make_dir(struct work *w, const struct ibb_op *op)
{
	struct ibb_meta meta = {.time = w->p->time};
	int r = absent(w, op->path);

	return r ? r : ibb_volume_mkdir(w->v, op->path, &meta, w->err);
}

/* A file, or a directory that its files have left; files are recorded with what they held. */
static int remove_one(struct work *w, const struct ibb_op *op)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	struct content before;
	struct ibb_stat st;
	int r = ibb_volume_stat(w->v, op->path, &st, w->err);

	if (r == IBB_E_NOTFOUND)
		return ibb_err(w->err, IBB_E_CONFLICT, "%s is not in the image any more", op->path);
	if (!r && st.type == IBB_FILE_REGULAR) {
		r = ibb_volume_read(w->v, op->path, IBB_LIMIT_PACKAGE_BYTES, &data, w->err);
		if (!r && ibb_sha256(data.data, data.len, &before.sha256))
			r = ibb_err_nomem(w->err);
		before.n_bytes = data.len;
		if (!r)
			r = ibb_apply_record(w, op->path, "driver", &before, NULL);
	}
	return r ? r : ibb_volume_remove(w->v, op->path, w->err);
}

/* The directories that received files get the run's time, so that two runs give equal bytes. */
static int touch_parents(struct work *w)
{
	struct ibb_meta meta = {.time = w->p->time};
	IBB_AUTO_FREE char *last = NULL;
	int r = IBB_OK;

	for (size_t i = 0; i < w->p->n_ops && !r; i++) {
		const struct ibb_op *op = &w->p->ops[i];
		char *dir;

		if (op->kind != IBB_OP_PUT && op->kind != IBB_OP_MKDIR && op->kind != IBB_OP_REMOVE)
			continue;
		dir = ibb_strndup(op->path, (size_t)(strrchr(op->path, '/') - op->path));
		if (!dir)
			return ibb_err_nomem(w->err);
		if (!last || strcmp(last, dir) != 0)
			r = ibb_volume_touch(w->v, dir, &meta, w->err);
		/* a directory that was itself removed */
		if (r == IBB_E_NOTFOUND && op->kind == IBB_OP_REMOVE)
			r = IBB_OK;
		free(last);
		last = dir;
	}
	return r;
}

static int apply_files(struct work *w)
{
	int r = IBB_OK;

	for (size_t i = 0; i < w->p->n_ops && !r; i++) {
		const struct ibb_op *op = &w->p->ops[i];

		if (op->kind == IBB_OP_MKDIR)
			r = make_dir(w, op);
		else if (op->kind == IBB_OP_PUT)
			r = put_file(w, op);
		else if (op->kind == IBB_OP_CLEAR_LOG)
			r = clear_log(w, op);
		else if (op->kind == IBB_OP_REMOVE)
			r = remove_one(w, op);
	}
	return r ? r : touch_parents(w);
}

int ibb_apply(const struct ibb_plan *p, struct ibb_facts *f, struct ibb_volume *v,
	      struct ibb_applied *ret, struct ibb_error *err)
{
	struct ibb_applied out = {0};
	struct work w = {p, f, v, &out, err};
	int r = IBB_OK;

	if (p->n_ops) {
		for (int id = 0; id < IBB_N_HIVES && !r; id++)
			r = ibb_apply_hive(&w, (enum ibb_hive_id)id);
		if (!r)
			r = apply_files(&w);
	}
	if (r) {
		ibb_applied_clear(&out);
		return r;
	}
	*ret = out;
	return IBB_OK;
}

static int check_removed(const struct ibb_applied_file *f, struct ibb_volume *v,
			 struct ibb_error *err)
{
	struct ibb_stat st;
	int r = ibb_volume_stat(v, f->path, &st, err);

	if (r == IBB_E_NOTFOUND)
		return IBB_OK;
	return r ? r : ibb_err(err, IBB_E_IO, "read-back: %s is still there", f->path);
}

static int hash_piece(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	(void)off;
	return ibb_hasher_update(ctx, piece.data, piece.len) ? ibb_err_nomem(err) : IBB_OK;
}

static int check_written(const struct ibb_applied_file *f, struct ibb_volume *v,
			 struct ibb_error *err)
{
	IBB_AUTO(ibb_hasher_free) struct ibb_hasher *hash = NULL;
	struct ibb_sha256 d;
	int r;

	if (ibb_hasher_new(&hash))
		return ibb_err_nomem(err);
	r = ibb_volume_stream(v, f->path, f->after_bytes, hash_piece, hash, err);
	if (r)
		return r == IBB_E_NOMEM ? r : ibb_err_prefix(err, IBB_E_IO, "read-back");
	if (ibb_hasher_final(IBB_TAKE(hash), &d))
		return ibb_err_nomem(err);
	if (memcmp(&d, &f->after, sizeof(d)) != 0)
		return ibb_err(err, IBB_E_IO, "read-back: %s is not what was written", f->path);
	return IBB_OK;
}

int ibb_apply_read_back(const struct ibb_applied *a, struct ibb_volume *v, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < a->n_files && !r; i++)
		r = a->files[i].removed ? check_removed(&a->files[i], v, err)
					: check_written(&a->files[i], v, err);
	return r;
}

void ibb_applied_clear(struct ibb_applied *a)
{
	for (size_t i = 0; i < a->n_files; i++)
		free(a->files[i].path);
	free(a->files);
	*a = (struct ibb_applied){0};
}
