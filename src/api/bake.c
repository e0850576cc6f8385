/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_bake(). */
#include <stdlib.h>

#include "api/azure.h"
#include "api/doc.h"
#include "api/inplace.h"
#include "api/output.h"
#include "api/trust.h"

static int apply_all(struct ibb_session *s, struct ibb_applied *applied, struct ibb_error *err)
{
	int r = ibb_session_phase(s->q, "apply", 0, 0, err);

	if (!r)
		r = ibb_apply(s->plan, s->facts, s->image->volume, applied, err);
	if (!r)
		r = ibb_volume_commit(s->image->volume, err);
	if (!r)
		r = ibb_image_reopen(s->image, err);
	if (!r)
		r = ibb_apply_read_back(applied, s->image->volume, err);
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

static int manifest_text(struct ibb_session *s, const struct ibb_applied *applied,
			 const struct ibb_identity *in, const struct ibb_identity *out, char **ret,
			 struct ibb_error *err)
{
	IBB_AUTO_FREE struct ibb_left_out *left_out = NULL;
	size_t n_left_out = 0;

	left_out = ibb_calloc_array(s->found.n_passed, sizeof(*left_out));
	if (!left_out)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < s->found.n_passed; i++)
		if (s->found.passed[i].bad)
			left_out[n_left_out++] = (struct ibb_left_out){s->found.passed[i].path,
								       s->found.passed[i].reason};
	struct ibb_manifest_input m = {
		.input = in,
		.writing = writing(s->q, in),
		.output = out,
		.facts = s->facts,
		.azure = &s->azure,
		.azure_enforced = s->q->azure,
		.selections = s->selections,
		.n_selections = s->n_targets,
		.plan = s->plan,
		.applied = applied,
		.warnings = s->warnings,
		.n_warnings = s->n_warnings,
		.left_out = left_out,
		.n_left_out = n_left_out,
		.options = {.force = s->q->force,
			    .allow_unsupported = s->q->allow_unsupported,
			    .accept_dirty_hives = s->q->accept_dirty_hives,
			    .second_opinion_off = s->q->second_opinion_off,
			    .accept_changed_parent = s->q->accept_changed_parent,
			    .allow = s->q->allow,
			    .trust_anchors = s->trust_files,
			    .n_trust_anchors = s->trust_files ? s->q->n_trust_anchors : 0,
			    .crls = s->trust_files ? s->trust_files + s->q->n_trust_anchors : NULL,
			    .n_crls = s->trust_files ? s->q->n_crls : 0,
			    .dry_run = !s->q->output && !s->q->in_place,
			    .catalog_as_of = ibb_catalog_version(s->catalog),
			    .catalog_sha256 = ibb_catalog_sha256(s->catalog),
			    .version = ibb_version(),
			    .unix_time = s->q->unix_time},
	};
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	int r = ibb_manifest_build(&m, &doc, err);

	if (!r)
		r = ibb_json_print(doc, &text, err);
	if (r)
		return r;
	*ret = ibb_buf_take_str(&text);
	return *ret ? IBB_OK : ibb_err_nomem(err);
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

	if (s->q->in_place)
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
	if (!r)
		r = ibb_image_identity(s->image, s->q->image, &in, err);
	if (!r)
		r = ibb_output_digest_chain(s->q, &s->image->chain, &in, err);
	if (!r)
		r = apply_all(s, &applied, err);
	if (!r)
		r = finish(s, &old, &applied, &in, &text, err);
	if (!r && s->q->lock && (s->q->output || s->q->in_place) && !s->lockfile && s->n_chosen) {
		r = ibb_lockfile_write(s->q->lock, s->chosen, s->n_chosen, err);
		if (r)
			(void)ibb_err_prefix(
				err, r,
				"the image %s is complete, but the lock file is not written",
				s->q->output ? s->q->output : s->q->image);
	}
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
	int r = ibb_target_check_name(q, err);

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
