/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/winre.h"
#include "base/path.h"

/* Is it one of the files that the run reads? Known once the packages are loaded. */
static int check_inputs(const struct ibb_session *s, const char *path, const char *what,
			struct ibb_error *err)
{
	if (s->q->catalog && ibb_same_path(path, s->q->catalog))
		return ibb_err(err, IBB_E_EXISTS, "%s: the %s is the driver catalog", path, what);
	if (s->q->bundle && ibb_same_path(path, s->q->bundle))
		return ibb_err(err, IBB_E_EXISTS, "%s: the %s is the bundle", path, what);
	for (size_t i = 0; i < s->q->n_trust_anchors; i++)
		if (ibb_same_path(path, s->q->trust_anchors[i]))
			return ibb_err(err, IBB_E_EXISTS, "%s: the %s is a trust anchor", path,
				       what);
	for (size_t i = 0; i < s->q->n_crls; i++)
		if (ibb_same_path(path, s->q->crls[i]))
			return ibb_err(err, IBB_E_EXISTS, "%s: the %s is a revocation list", path,
				       what);
	for (size_t i = 0; i < s->found.n_read; i++)
		if (ibb_same_path(path, s->found.read[i]))
			return ibb_err(err, IBB_E_EXISTS,
				       "%s: the %s is %s, a file of a driver package", path, what,
				       s->found.read[i]);
	return IBB_OK;
}

static int check_path(const struct ibb_session *s, const char *path, const char *what,
		      struct ibb_error *err)
{
	int r = check_inputs(s, path, what, err);

	if (r)
		return r;
	if (!s->wim)
		return ibb_target_check_path(&s->image->chain, path, what, s->q->overwrite, err);
	if (ibb_path_is(path, ibb_wim_file_id(s->wim)))
		return ibb_err(err, IBB_E_EXISTS, "%s: the %s is the input image %s itself", path,
			       what, s->q->image);
	return ibb_target_check_file(path, what, s->q->overwrite, err);
}

/* The same name in the same directory, though the file does not exist yet. */
static bool same_new_file(const char *a, const char *b)
{
	IBB_AUTO_FREE char *dir_a = NULL, *dir_b = NULL;

	if (strcmp(ibb_path_base(a), ibb_path_base(b)) != 0)
		return false;
	dir_a = ibb_dir_of(a);
	dir_b = ibb_dir_of(b);
	/* without memory for the comparison, rather refuse */
	return !dir_a || !dir_b || ibb_same_path(dir_a, dir_b);
}

/* A lock file is written when the image is done: better learnt before that it cannot be. */
static int check_lock(const struct ibb_request *q, struct ibb_error *err)
{
	const char *const others[] = {q->output, q->manifest};
	IBB_AUTO_FREE char *dir = ibb_dir_of(q->lock);
	struct stat st;

	if (!dir)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(others); i++)
		if (others[i] &&
		    (ibb_same_path(q->lock, others[i]) || same_new_file(q->lock, others[i])))
			return ibb_err(err, IBB_E_EXISTS, "%s: lock file and %s are the same file",
				       q->lock, i ? "manifest" : "output");
	if (stat(q->lock, &st) && access(dir, W_OK))
		return ibb_err_os(err, errno, "%s: the lock file cannot be made there", q->lock);
	return IBB_OK;
}

/* Learnt at the end this would be too late: the image is complete by then. */
static int check_manifest_dir(const struct ibb_request *q, struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(q->manifest);

	if (!dir)
		return ibb_err_nomem(err);
	return access(dir, W_OK | X_OK)
		       ? ibb_err_os(err, errno, "%s: the manifest cannot be made there",
				    q->manifest)
		       : IBB_OK;
}

int ibb_output_check_paths(const struct ibb_session *s, struct ibb_error *err)
{
	const struct ibb_request *q = s->q;
	int r = IBB_OK;

	if (q->output)
		r = check_path(s, q->output, "output", err);
	if (!r && q->manifest)
		r = check_path(s, q->manifest, "manifest", err);
	if (!r && q->manifest && (q->output || q->in_place))
		r = check_manifest_dir(q, err);
	if (!r && q->output && q->manifest &&
	    (ibb_same_path(q->output, q->manifest) || same_new_file(q->output, q->manifest)))
		r = ibb_err(err, IBB_E_EXISTS, "%s: output and manifest are the same file",
			    q->output);
	if (!r && q->lock && (q->output || q->in_place))
		r = check_lock(q, err);
	return r;
}

int ibb_output_check(const struct ibb_session *s, struct ibb_error *err)
{
	struct ibb_target t = {0};
	int r = IBB_OK;

	if (!s->q->in_place)
		r = ibb_target_open(s->q, &s->image->chain, s->image->overlay, &t, err);
	ibb_target_close(&t);
	return r ? r : ibb_output_check_paths(s, err);
}

static int digest_progress(void *ctx, uint64_t done, uint64_t total)
{
	const struct ibb_request *q = ctx;
	struct ibb_progress p = {.phase = "digest", .done = done, .total = total};

	return q->progress ? q->progress(q->progress_ctx, &p) : 0;
}

static int digest(const struct ibb_request *q, struct ibb_disk *d, struct ibb_sha256 *ret,
		  struct ibb_error *err)
{
	return q->digest == IBB_DIGEST_CONTENT
		       ? ibb_digest_content(d, digest_progress, (void *)q, ret, err)
		       : ibb_digest_flat(d, digest_progress, (void *)q, ret, err);
}

int ibb_output_digest(const struct ibb_request *q, struct ibb_disk *d, struct ibb_identity *id,
		      struct ibb_error *err)
{
	if (q->digest == IBB_DIGEST_NONE)
		return IBB_OK;
	id->digest_kind = q->digest == IBB_DIGEST_CONTENT ? "content" : "sha256";
	return digest(q, d, &id->digest, err);
}

int ibb_output_digest_chain(const struct ibb_request *q, const struct ibb_chain *c,
			    struct ibb_identity *id, struct ibb_error *err)
{
	int r = ibb_output_digest(q, c->links[0].file, id, err);

	for (size_t i = 1; i < c->n && !r && q->digest != IBB_DIGEST_NONE; i++)
		r = digest(q, c->links[i].file, &id->parents[i - 1].digest, err);
	return r;
}

/* The output opened again, before it has its name. */
static int check_output(struct ibb_session *s, const struct ibb_atomic *file,
			const struct ibb_applied *applied, struct ibb_identity *ret,
			struct ibb_error *err)
{
	IBB_AUTO_FREE char *name = ibb_atomic_open_name(file);
	const struct ibb_image_opts o = {.second_opinion_off = s->q->second_opinion_off};
	IBB_AUTO(ibb_image_close) struct ibb_image *im = NULL;
	unsigned number = s->image->table.parts[s->image->windows].number;
	uint64_t compared;
	int r = name ? ibb_image_open(name, &o, &im, err) : ibb_err_nomem(err);

	if (!r)
		r = ibb_image_open_windows(im, number, false, err);
	if (!r)
		r = ibb_target_check(&s->target, &im->chain, &compared, err);
	if (!r)
		r = ibb_apply_read_back(applied, im->volume, err);
	if (!r && s->winre)
		r = ibb_winre_read_back(s->winre, im, err);
	if (!r)
		r = ibb_image_identity(im, s->q->output, ret, err);
	if (!r)
		r = ibb_output_digest(s->q, ibb_image_file(im), ret, err);
	return r ? ibb_err_prefix(err, r, "%s: the finished output does not check", s->q->output)
		 : IBB_OK;
}

int ibb_output_write(struct ibb_session *s, struct ibb_replace *old,
		     const struct ibb_applied *applied, ibb_manifest_fn fn, void *ctx,
		     struct ibb_error *err)
{
	struct ibb_identity id = {0};
	struct ibb_atomic out;
	const char *text = NULL;
	int r = ibb_output_check_paths(s, err);

	if (!r)
		r = ibb_atomic_begin(&out, s->q->output, s->q->overwrite, err);
	if (r)
		return r;
	r = ibb_target_open(s->q, &s->image->chain, s->image->overlay, &s->target, err);
	if (!r)
		r = ibb_target_fill(&s->target, &out, err);
	if (!r)
		r = check_output(s, &out, applied, &id, err);
	if (!r)
		r = fn(ctx, s, &id, &text, err);
	if (!r)
		r = ibb_session_phase(s->q, "sync", 0, 0, err);
	if (!r)
		r = ibb_replace_publish(old, &out, s->q->manifest ? text : NULL, err);
	ibb_atomic_abort(&out);
	ibb_identity_clear(&id);
	return r;
}
