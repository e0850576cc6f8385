/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_bake(). */
#include <stdlib.h>

#include "api/azure.h"
#include "api/bundle.h"
#include "api/doc.h"
#include "api/inplace.h"
#include "api/output.h"
#include "api/trust.h"
#include "api/wims.h"
#include "api/winre.h"

static int apply_all(struct ibb_session *s, struct ibb_applied *applied, struct ibb_error *err)
{
	int r = ibb_session_phase(s->q, "apply", 0, 0, err);

	if (!r)
		r = ibb_apply(s->plan, s->facts, s->volume, applied, err);
	if (!r && s->winre)
		r = ibb_winre_put(s->winre, s, err);
	if (!r)
		r = ibb_volume_commit(s->volume, err);
	if (!r)
		r = ibb_session_reopen(s, err);
	if (!r)
		r = ibb_apply_read_back(applied, s->volume, err);
	if (!r && s->winre)
		r = ibb_winre_read_back(s->winre, s->image, err);
	return r;
}

/* A change in place has no format to choose, and does not make the disk larger. */
static struct ibb_manifest_writing writing(const struct ibb_request *q,
					   const struct ibb_identity *in)
{
	if (q->in_place)
		return (struct ibb_manifest_writing){.format = "in-place", .sparse = "auto"};
	return (struct ibb_manifest_writing){
		.format = ibb_target_format_name(q->format),
		.sparse = ibb_target_sparse_name(q->sparse),
		.grown_bytes = ibb_target_bytes(q->format, in->disk_bytes) - in->disk_bytes};
}

/* What --keep-going left out. */
static int left_out(const struct ibb_session *s, struct ibb_left_out **ret, size_t *ret_n,
		    struct ibb_error *err)
{
	struct ibb_left_out *list = ibb_calloc_array(s->found.n_passed, sizeof(*list));
	size_t n = 0;

	if (!list)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < s->found.n_passed; i++)
		if (s->found.passed[i].bad)
			list[n++] = (struct ibb_left_out){s->found.passed[i].path,
							  s->found.passed[i].reason};
	*ret = list;
	*ret_n = n;
	return IBB_OK;
}

struct ibb_manifest_options ibb_session_options(const struct ibb_session *s)
{
	const struct ibb_request *q = s->q;

	return (struct ibb_manifest_options){
		.force = q->force,
		.allow_unsupported = q->allow_unsupported,
		.accept_dirty_hives = q->accept_dirty_hives,
		.second_opinion_off = q->second_opinion_off,
		.accept_changed_parent = q->accept_changed_parent,
		.allow = q->allow,
		.trust_anchors = s->trust_files,
		.n_trust_anchors = s->trust_files ? q->n_trust_anchors : 0,
		.crls = s->trust_files ? s->trust_files + q->n_trust_anchors : NULL,
		.n_crls = s->trust_files ? q->n_crls : 0,
		.bundle = q->opened ? q->opened->path : NULL,
		.bundle_sha256 = q->opened ? q->opened->digest : NULL,
		.bundle_key = q->opened && q->opened->b.is_signed ? q->opened->key : NULL,
		.bundle_key_known = q->opened && q->opened->b.key_known,
		.dry_run = q->dry_run || (!q->output && !q->in_place),
		.catalog_as_of = ibb_catalog_version(s->catalog),
		.catalog_sha256 = ibb_catalog_sha256(s->catalog),
		.version = ibb_version(),
		.unix_time = q->unix_time};
}

int ibb_session_manifest(const struct ibb_session *s, const struct ibb_applied *applied,
			 struct ibb_manifest_input *m, struct ibb_left_out **ret_left_out,
			 struct ibb_error *err)
{
	*m = (struct ibb_manifest_input){.facts = s->facts,
					 .azure = &s->azure,
					 .azure_enforced = s->q->azure,
					 .selections = s->selections,
					 .n_selections = s->n_targets,
					 .plan = s->plan,
					 .applied = applied,
					 .warnings = s->warnings,
					 .n_warnings = s->n_warnings,
					 .options = ibb_session_options(s)};
	int r = left_out(s, ret_left_out, &m->n_left_out, err);

	if (!r)
		m->left_out = *ret_left_out;
	return r;
}

static int manifest_text(struct ibb_session *s, const struct ibb_applied *applied,
			 const struct ibb_identity *in, const struct ibb_identity *out, char **ret,
			 struct ibb_error *err)
{
	IBB_AUTO_FREE struct ibb_left_out *left = NULL;
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL, *archives = NULL;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	struct ibb_manifest_input m;
	int r = ibb_session_manifest(s, applied, &m, &left, err);

	if (!r)
		r = ibb_session_archives(s, &archives, err);
	if (r)
		return r;
	m.archives = archives;
	m.input = in;
	m.output = out;
	m.writing = writing(s->q, in);
	m.winre = s->winre ? ibb_winre_json(s->winre) : NULL;
	r = ibb_manifest_build(&m, &doc, err);
	if (!r)
		r = ibb_json_print(doc, &text, err);
	if (r)
		return r;
	*ret = ibb_buf_take_str(&text);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

static int write_lock(struct ibb_session *s, struct ibb_error *err)
{
	struct ibb_lock_entry *list = NULL;
	size_t n = 0, cap = 0;
	int r = IBB_OK;

	for (size_t i = 0; i < s->n_chosen && !r; i++)
		r = ibb_lock_entries_add(&list, &n, &cap, s->chosen[i], err);
	if (!r && s->winre)
		r = ibb_winre_locked(s->winre, &list, &n, &cap, err);
	if (!r)
		r = ibb_session_lock(s->q, list, n, err);
	for (size_t i = 0; i < n; i++)
		ibb_lock_entry_clear(&list[i]);
	free(list);
	return r;
}

int ibb_session_lock(const struct ibb_request *q, const struct ibb_lock_entry *list, size_t n,
		     struct ibb_error *err)
{
	int r = ibb_lockfile_write(q->lock, list, n, err);

	return r ? ibb_err_prefix(err, r,
				  "the image %s is complete, but the lock file is not written",
				  q->output ? q->output : q->image)
		 : IBB_OK;
}

/* The manifest's text once the output's identity is known; called before anything is published. */
struct manifest_ctx {
	const struct ibb_applied *applied;
	const struct ibb_identity *input;
	char **text;
};

static int make_manifest(void *ctx, struct ibb_session *s, const struct ibb_identity *out,
			 const char **ret_text, struct ibb_error *err)
{
	struct manifest_ctx *c = ctx;
	int r = manifest_text(s, c->applied, c->input, out, c->text, err);

	if (!r)
		*ret_text = *c->text;
	return r;
}

static int finish(struct ibb_session *s, struct ibb_replace *old, const struct ibb_applied *applied,
		  const struct ibb_identity *in, char **ret_text, struct ibb_error *err)
{
	struct manifest_ctx c = {applied, in, ret_text};
	struct ibb_identity out = {0};
	int r;

	if (s->q->in_place && !s->q->dry_run)
		return ibb_inplace_write(s, make_manifest, &c, err);
	if (s->q->output)
		return ibb_output_write(s, old, applied, make_manifest, &c, err);
	/* a dry run's result is the input with the overlay over it: its identity is the input's */
	r = ibb_image_identity(s->image, s->q->image, &out, err);
	if (!r)
		r = manifest_text(s, applied, in, &out, ret_text, err);
	ibb_identity_clear(&out);
	return r;
}

static int change(struct ibb_session *s, ibb_planner_fn planner, char **ret_json,
		  struct ibb_error *err)
{
	struct ibb_identity in = {0};
	struct ibb_applied applied = {0};
	struct ibb_lock lock = {.fd = -1};
	struct ibb_replace old = {.fd = -1};
	IBB_AUTO_FREE char *text = NULL;
	int r = IBB_OK;

	if (s->q->in_place && (s->q->output || s->q->format != IBB_OUTPUT_VHD || s->q->sparse))
		r = ibb_err(
			err, IBB_E_INVALID,
			"an output, its format or its holes, and a change in place exclude each "
			"other");
	if (!r)
		r = ibb_session_open(s, true, err);
	if (!r && s->q->in_place)
		r = ibb_inplace_lock(&lock, s->q->image, err);
	if (!r && s->q->in_place)
		r = ibb_inplace_begin(s, err);
	if (!r)
		r = ibb_session_azure_enforce(s, true, err);
	if (!r)
		r = ibb_output_check(s, err);
	if (!r && s->q->output)
		r = ibb_lock_take(&lock, s->q->output, err);
	if (!r && s->q->output)
		r = ibb_replace_begin(&old, s->q, err);
	if (!r)
		r = planner(s, err);
	if (!r && s->q->winre)
		r = ibb_winre_begin(s, planner, &s->winre, err);
	if (!r)
		r = ibb_image_identity(s->image, s->q->image, &in, err);
	if (!r)
		r = ibb_output_digest_chain(s->q, &s->image->chain, &in, err);
	if (!r)
		r = apply_all(s, &applied, err);
	if (!r)
		r = finish(s, &old, &applied, &in, &text, err);
	if (!r && s->q->lock && (s->q->output || s->q->in_place) && !s->q->dry_run &&
	    !ibb_lockfile_locks_packages(s->lockfile) && s->n_chosen)
		r = write_lock(s, err);
	ibb_replace_release(&old);
	ibb_lock_release(&lock);
	ibb_applied_clear(&applied);
	ibb_identity_clear(&in);
	if (!r)
		*ret_json = IBB_TAKE(text);
	return r;
}

int ibb_session_change(const struct ibb_request *q, ibb_planner_fn planner, char **ret_json,
		       struct ibb_error *err)
{
	struct ibb_session s = {.q = q};
	bool wim;
	int r;

	if (q->dry_run && !q->in_place)
		return ibb_err(err, IBB_E_INVALID,
			       "a dry run is of a change in place, or one without an output");
	r = ibb_wims_asked(q, false, &wim, err);
	if (!r && wim)
		return ibb_wims_change(q, planner, ret_json, err);
	if (!r)
		r = ibb_target_check_name(q, err);
	if (!r)
		r = change(&s, planner, ret_json, err);
	ibb_session_clear(&s);
	return r;
}

int ibb_do_bake(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	int r = ibb_doc_check_request(q, true, true, err);

	return r ? r : ibb_session_change(q, ibb_session_plan, ret_json, err);
}
