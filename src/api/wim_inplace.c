/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing a WIM itself: appending to it under an undo record, or writing it anew. */
#include <errno.h>
#include <stdlib.h>

#include "api/access.h"
#include "api/inplace.h"
#include "api/output.h"
#include "api/wims.h"
#include "disk/undo.h"

int ibb_wims_claim(const struct ibb_request *q, struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *file = NULL;
	IBB_AUTO_FREE char *real = realpath(q->image, NULL);
	struct ibb_file_id id;
	int r;

	if (!real)
		return ibb_err_os(err, errno, "%s: resolve its path", q->image);
	r = ibb_disk_file_open(q->image, &id, &file, err);
	if (!r)
		r = ibb_access_check(ibb_disk_file_fd(file), real, q->compact, err);
	/* the lock goes again with `file`: the shared ones of who reads the WIM follow it */
	return r ? r : ibb_inplace_claim(q, file, &id, err);
}

static bool nothing_to_do(const struct ibb_wims *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->items[i].n_ops)
			return false;
	return true;
}

static int seal_nothing(void *ctx, struct ibb_error *err)
{
	(void)ctx;
	(void)err;
	return IBB_OK;
}

/* The file stays as it is; only the manifest is new. */
static int leave(struct ibb_wims *set, char **ret_text, struct ibb_error *err)
{
	const struct ibb_request *q = set->q;
	int r = ibb_wims_manifest(set, set->wim, q->image, ret_text, err);

	return r ? r
		 : ibb_replace_manifest(q, q->manifest ? *ret_text : NULL, seal_nothing, NULL, err);
}

/* ---- behind the old end ---- */

struct seal {
	struct ibb_undo *undo;
	const char *real;
	struct ibb_error late; /* the change counts, but that may not be durable */
};

/* With the record gone the WIM is the new one, and so has to be the manifest. */
static int seal(void *ctx, struct ibb_error *err)
{
	struct seal *x = ctx;
	struct ibb_error ignored = {0};
	bool found = true;
	int r = ibb_undo_done(x->undo, err);

	if (!r || ibb_undo_found(x->real, &found, &ignored) || found)
		return r;
	if (err)
		x->late = *err;
	x->late.code = r;
	return IBB_OK;
}

static int publish(struct ibb_wims *set, struct seal *x, const char *text, struct ibb_error *err)
{
	int r = ibb_replace_manifest(set->q, set->q->manifest ? text : NULL, seal, x, err);

	if (r || !x->late.code)
		return r;
	if (err)
		*err = x->late;
	return x->late.code;
}

static int append_and_check(struct ibb_wims *set, struct ibb_wim *before, struct seal *x,
			    char **ret_text, struct ibb_error *err)
{
	const struct ibb_wim_write_opts o = ibb_wims_write_opts(set);
	IBB_AUTO(ibb_wim_close) struct ibb_wim *now = NULL;
	const struct ibb_request *q = set->q;
	int r;

	/* wimlib wants the only lock; the record keeps everybody else of ours out */
	ibb_wim_unlock(before);
	r = ibb_wim_append(set->wim, &o, err);
	if (r)
		return r;
	/* three trees of names at a time are one too many */
	ibb_wim_close(set->wim);
	set->wim = NULL;
	r = ibb_wim_open_held(q->image, NULL, &now, err);
	if (!r)
		r = ibb_wims_check(set, before, now, err);
	if (!r)
		r = ibb_wims_manifest(set, now, q->image, ret_text, err);
	if (!r)
		r = ibb_session_phase(q, "sync", 0, 0, err);
	return r ? r : publish(set, x, *ret_text, err);
}

/* Go back; what went wrong before is what is said, unless that fails as well. */
static void go_back(struct ibb_undo *undo, struct ibb_error *err)
{
	struct ibb_error why = {0};

	if (ibb_undo_back(undo, &why) && err) {
		(void)ibb_err_prefix(&why, err->code, "%s; and going back failed", err->msg);
		*err = why;
	}
}

static int append(struct ibb_wims *set, const char *real, char **ret_text, struct ibb_error *err)
{
	/* the undo record works on it, and set->wim goes before */
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *file = ibb_disk_ref(ibb_wim_file(set->wim));
	IBB_AUTO(ibb_wim_close) struct ibb_wim *before = NULL;
	struct ibb_undo undo = {0};
	struct seal x = {.undo = &undo, .real = real};
	int r = ibb_wims_check_room(set, real, 0, err);

	/* for the comparison: set->wim knows the new state only */
	if (!r)
		r = ibb_wim_open(set->q->image, NULL, &before, err);
	if (!r)
		r = ibb_session_phase(set->q, "copy", 0, 0, err);
	if (!r)
		r = ibb_disk_file_unchanged(file, ibb_wim_file_id(set->wim), err);
	if (!r)
		r = ibb_undo_begin(&undo, real, ibb_disk_file_fd(file), IBB_WIM_HEADER_BYTES, err);
	if (r)
		return r;
	r = append_and_check(set, before, &x, ret_text, err);
	if (r && undo.host)
		go_back(&undo, err);
	ibb_undo_clear(&undo);
	return r;
}

/* ---- anew ---- */

static int rewrite_to(struct ibb_wims *set, struct ibb_atomic *out, char **ret_text,
		      struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *file = ibb_disk_ref(ibb_wim_file(set->wim));
	IBB_AUTO(ibb_wim_close) struct ibb_wim *now = NULL;
	int r = ibb_wims_write(set, out, set->q->image, &now, err);

	if (!r)
		r = ibb_access_keep(ibb_disk_file_fd(file), set->q->image, out, err);
	if (!r)
		r = ibb_wims_manifest(set, now, set->q->image, ret_text, err);
	return r ? r : ibb_session_phase(set->q, "sync", 0, 0, err);
}

static int rewrite(struct ibb_wims *set, const char *real, char **ret_text, struct ibb_error *err)
{
	struct ibb_request q = *set->q;
	const struct ibb_file_id was = *ibb_wim_file_id(set->wim);
	struct ibb_replace old = {.q = &q, .fd = -1, .expected = &was};
	struct ibb_atomic out;
	int r;

	/* from here on as with `-o IMAGE --overwrite` */
	q.output = real;
	q.overwrite = true;
	q.in_place = false;
	r = ibb_atomic_sweep(real, err);
	if (!r)
		r = ibb_atomic_begin(&out, real, true, err);
	if (r)
		return r;
	r = rewrite_to(set, &out, ret_text, err);
	/* everything of ours that had the old file open is closed by now */
	if (!r)
		r = ibb_replace_publish(&old, &out, q.manifest ? *ret_text : NULL, err);
	ibb_atomic_abort(&out);
	ibb_replace_release(&old);
	return r;
}

int ibb_wims_inplace(struct ibb_wims *set, char **ret_text, struct ibb_error *err)
{
	IBB_AUTO_FREE char *real = realpath(set->q->image, NULL);

	if (!real)
		return ibb_err_os(err, errno, "%s: resolve its path", set->q->image);
	if (set->q->compact)
		return rewrite(set, real, ret_text, err);
	return nothing_to_do(set) ? leave(set, ret_text, err) : append(set, real, ret_text, err);
}
