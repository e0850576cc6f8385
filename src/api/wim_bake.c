/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bake and drivers add|remove of a WIM: one write of all that was changed, and its manifest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "api/inplace.h"
#include "api/output.h"
#include "api/wims.h"
#include "base/limits.h"

/* ---- writing ---- */

static int progress(void *ctx, const char *phase, uint64_t done, uint64_t total)
{
	const struct ibb_wims *set = ctx;
	struct ibb_progress p = {.phase = strcmp(phase, "integrity") == 0 ? "digest"
					  : strcmp(phase, "check") == 0	  ? "check"
									  : "copy",
				 .done = done,
				 .total = total};

	return set->q->progress ? set->q->progress(set->q->progress_ctx, &p) : 0;
}

struct ibb_wim_write_opts ibb_wims_write_opts(const struct ibb_wims *set)
{
	return (struct ibb_wim_write_opts){
		.progress = progress, .ctx = (void *)set, .unix_time = set->q->unix_time};
}

/* What a name and its security take in the metadata of an image, without compression. */
#define NAME_BYTES 512u

/* The counts come from the file: a wrong one must not ask for the impossible. */
static uint64_t metadata_bytes(const struct ibb_wim_image *x)
{
	uint64_t n;

	return ibb_add_u64(x->files, x->directories, &n) && ibb_mul_u64(n, NAME_BYTES, &n) &&
			       n < IBB_LIMIT_WIM_METADATA
		       ? n
		       : IBB_LIMIT_WIM_METADATA;
}

int ibb_wims_check_room(const struct ibb_wims *set, const char *path, uint64_t base,
			struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(path);
	uint64_t need = base, room;
	struct statvfs fs;

	if (!dir)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < set->n; i++) {
		const struct ibb_wim_item *it = &set->items[i];

		if (!it->n_ops)
			continue;
		for (size_t k = 0; k < it->applied.n_files; k++)
			if (!it->applied.files[k].removed)
				need += it->applied.files[k].after_bytes;
		need += metadata_bytes(ibb_wim_image(set->wim, it->index));
	}
	if (statvfs(dir, &fs) || !fs.f_blocks)
		return IBB_OK; /* it does not tell */
	if (!ibb_mul_u64(fs.f_bavail, fs.f_frsize, &room) || need <= room)
		return IBB_OK;
	return ibb_err(err, IBB_E_NOSPACE,
		       "%s: there are %llu MiB free, and up to %llu MiB may be written", dir,
		       (unsigned long long)(room >> 20), (unsigned long long)(need >> 20));
}

static int same_form(const struct ibb_wim_info *a, const struct ibb_wim_info *b, const char *name,
		     struct ibb_error *err)
{
	const char *what = strcmp(a->compression, b->compression) != 0	 ? "compression"
			   : a->chunk_bytes != b->chunk_bytes		 ? "chunk size"
			   : a->solid != b->solid			 ? "kind of resources"
			   : a->pipable != b->pipable			 ? "pipable form"
			   : a->integrity != b->integrity		 ? "integrity table"
			   : a->boot_index != b->boot_index		 ? "boot index"
			   : a->images != b->images			 ? "number of images"
			   : a->marked_readonly != b->marked_readonly	 ? "read-only mark"
			   : memcmp(&a->guid, &b->guid, sizeof(a->guid)) ? "GUID"
									 : NULL;

	return what ? ibb_err(err, IBB_E_IO, "%s: its %s is not that of the source", name, what)
		    : IBB_OK;
}

static const struct ibb_wim_item *item_of(const struct ibb_wims *set, unsigned index)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->items[i].index == index)
			return &set->items[i];
	return NULL;
}

static int check_image(const struct ibb_wims *set, struct ibb_wim *before, struct ibb_wim *now,
		       unsigned index, struct ibb_error *err)
{
	const struct ibb_wim_item *it = item_of(set, index);
	struct ibb_wim_changed changed = {0};
	int r = IBB_OK;

	if (it && it->n_ops) {
		IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;

		changed.paths = (const char *const *)it->paths;
		changed.n = it->n_paths;
		r = ibb_volume_open_wim(now, index, false, NULL, &v, err);
		if (!r)
			r = ibb_apply_read_back(&it->applied, v, err);
	}
	if (!r)
		r = ibb_wim_compare(before, now, index, &changed, err);
	/* the bake is at fault, not the image that was verified */
	return r == IBB_E_DIFFERS ? ibb_err_prefix(err, IBB_E_IO, "image %u", index) : r;
}

int ibb_wims_check(const struct ibb_wims *set, struct ibb_wim *before, struct ibb_wim *now,
		   struct ibb_error *err)
{
	const char *name = set->q->output ? set->q->output : set->name;
	int r = ibb_session_phase(set->q, "check", 0, 0, err);

	if (!r)
		r = same_form(ibb_wim_info(before), ibb_wim_info(now), name, err);
	if (!r)
		r = ibb_wim_check_content(before, now, progress, (void *)set, err);
	for (unsigned i = 1; i <= ibb_wim_info(before)->images && !r; i++) {
		r = check_image(set, before, now, i, err);
		if (!r)
			r = ibb_session_phase(set->q, "check", 0, 0, err);
	}
	return r && r != IBB_E_CANCELLED && r != IBB_E_NOMEM
		       ? ibb_err_prefix(err, r, "%s: the finished WIM does not check", name)
		       : r;
}

static int fill(struct ibb_wims *set, struct ibb_atomic *out, const char *name,
		struct ibb_error *err)
{
	const struct ibb_wim_write_opts o = ibb_wims_write_opts(set);
	struct ibb_disk *source = ibb_wim_file(set->wim);
	struct ibb_error changed = {0};
	int r = ibb_target_keep_private(source, out, err);

	if (!r)
		r = ibb_wims_check_room(set, out->path, source->size_bytes, err);
	if (!r)
		r = ibb_wim_write(set->wim, out->fd, name, &o, err);
	/* whatever went wrong: that the source was changed meanwhile explains it better */
	if (r != IBB_E_CANCELLED &&
	    ibb_disk_file_unchanged(source, ibb_wim_file_id(set->wim), &changed)) {
		if (err)
			*err = changed;
		return changed.code;
	}
	return r;
}

/* The source as it was takes the place of the one that was changed: two trees of names are enough.
 */
static int open_before(struct ibb_wims *set, struct ibb_wim **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_wim_close) struct ibb_wim *before = NULL;
	int r = ibb_wim_open(set->q->image, NULL, &before, err);

	if (!r && !ibb_same_state(ibb_wim_file_id(before), ibb_wim_file_id(set->wim)))
		r = ibb_err(err, IBB_E_CHANGED, "%s: was replaced while it was read",
			    set->q->image);
	if (r)
		return r;
	ibb_wim_close(set->wim);
	set->wim = NULL;
	*ret = IBB_TAKE(before);
	return IBB_OK;
}

int ibb_wims_write(struct ibb_wims *set, struct ibb_atomic *out, const char *name,
		   struct ibb_wim **ret_now, struct ibb_error *err)
{
	IBB_AUTO(ibb_wim_close) struct ibb_wim *before = NULL, *now = NULL;
	const char *tmp = NULL;
	int r = fill(set, out, name, err);

	if (!r)
		r = open_before(set, &before, err);
	if (!r)
		r = ibb_atomic_tmp_name(out, &tmp, err);
	if (!r)
		r = ibb_wim_open(tmp, name, &now, err);
	if (!r)
		r = ibb_wims_check(set, before, now, err);
	if (!r)
		*ret_now = IBB_TAKE(now);
	return r;
}

/* ---- the manifest ---- */

static const char *mode(const struct ibb_request *q)
{
	return q->compact ? "compact" : q->in_place ? "in-place" : "new-file";
}

static int written(const struct ibb_wims *set, struct ibb_wim *now, const char *path,
		   struct ibb_wim_identity *id, struct ibb_wim_manifest_input *m,
		   struct ibb_error *err)
{
	int r = ibb_wims_identity(set->q, now, path, id, err);

	if (!r)
		r = ibb_wim_dead_bytes(now, &m->dead_bytes, err);
	if (r)
		return r;
	m->output = id;
	m->mode = mode(set->q);
	if (set->q->in_place && id->info.file_bytes > set->input.info.file_bytes)
		m->grown_bytes = id->info.file_bytes - set->input.info.file_bytes;
	return IBB_OK;
}

int ibb_wims_manifest(const struct ibb_wims *set, struct ibb_wim *now, const char *path,
		      char **ret_text, struct ibb_error *err)
{
	IBB_AUTO_FREE struct ibb_json **images = ibb_calloc_array(set->n, sizeof(*images));
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL, *archives = NULL;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	struct ibb_wim_identity out;
	struct ibb_wim_manifest_input m = {.input = &set->input,
					   .options = ibb_session_options(&set->common),
					   .signature = set->signature,
					   .images = images,
					   .n_images = set->n,
					   .warnings = set->common.warnings,
					   .n_warnings = set->common.n_warnings};
	int r = images ? ibb_session_archives(&set->common, &archives, err) : ibb_err_nomem(err);

	if (r)
		return r;
	m.archives = archives;
	for (size_t i = 0; i < set->n; i++)
		images[i] = set->items[i].doc;
	if (now)
		r = written(set, now, path, &out, &m, err);
	if (!r)
		r = ibb_wim_manifest_build(&m, &doc, err);
	if (!r)
		r = ibb_json_print(doc, &text, err);
	if (r)
		return r;
	*ret_text = ibb_buf_take_str(&text);
	return *ret_text ? IBB_OK : ibb_err_nomem(err);
}

/* ---- the commands ---- */

static int write_new(struct ibb_wims *set, struct ibb_replace *old, char **ret_text,
		     struct ibb_error *err)
{
	IBB_AUTO(ibb_wim_close) struct ibb_wim *now = NULL;
	const struct ibb_request *q = set->q;
	struct ibb_atomic out;
	int r = ibb_atomic_begin(&out, q->output, q->overwrite, err);

	if (r)
		return r;
	r = ibb_wims_write(set, &out, q->output, &now, err);
	if (!r)
		r = ibb_wims_manifest(set, now, q->output, ret_text, err);
	if (!r)
		r = ibb_session_phase(q, "sync", 0, 0, err);
	if (!r)
		r = ibb_replace_publish(old, &out, q->manifest ? *ret_text : NULL, err);
	ibb_atomic_abort(&out);
	return r;
}

static int change(struct ibb_wims *set, struct ibb_replace *old, ibb_planner_fn planner,
		  char **ret_text, struct ibb_error *err)
{
	const struct ibb_request *q = set->q;
	struct ibb_session s = {.q = q, .wim = set->wim};
	int r = IBB_OK;

	if (q->output || q->in_place)
		r = ibb_wim_check_writable(
			set->wim,
			q->in_place && (!q->compact || ibb_wim_info(set->wim)->marked_readonly),
			err);
	if (!r)
		r = ibb_output_check_paths(&s, err);
	if (!r && q->output)
		r = ibb_replace_begin(old, q, err);
	if (!r)
		r = ibb_wims_run(set, planner, err);
	if (r)
		return r;
	if (q->in_place && !q->dry_run)
		r = ibb_wims_inplace(set, ret_text, err);
	else if (q->output)
		r = write_new(set, old, ret_text, err);
	else
		r = ibb_wims_manifest(set, NULL, NULL, ret_text, err);
	if (!r && q->lock && (q->output || q->in_place) && !q->dry_run && set->n_locked)
		r = ibb_session_lock(q, set->locked, set->n_locked, err);
	return r;
}

static int lock(const struct ibb_request *q, struct ibb_lock *l, struct ibb_error *err)
{
	int r;

	if (!q->in_place)
		return q->output ? ibb_lock_take(l, q->output, err) : IBB_OK;
	r = ibb_inplace_lock(l, q->image, err);
	return r ? r : ibb_wims_claim(q, err);
}

int ibb_wims_change(const struct ibb_request *q, ibb_planner_fn planner, char **ret_json,
		    struct ibb_error *err)
{
	struct ibb_lock l = {.fd = -1};
	struct ibb_replace old = {.fd = -1};
	struct ibb_wims set = {0};
	IBB_AUTO_FREE char *text = NULL;
	int r = ibb_target_check_wim_name(q, err);

	if (!r && q->in_place && q->output)
		r = ibb_err(err, IBB_E_INVALID,
			    "an output and a change in place exclude each other");
	if (!r)
		r = lock(q, &l, err);
	if (!r)
		r = ibb_wims_open(q, false, &set, err);
	if (!r)
		r = change(&set, &old, planner, &text, err);
	ibb_wims_close(&set);
	ibb_replace_release(&old);
	ibb_lock_release(&l);
	if (!r)
		*ret_json = IBB_TAKE(text);
	return r;
}
