/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_plan(). */
#include "api/azure.h"
#include "api/doc.h"
#include "api/parts.h"
#include "api/target.h"
#include "api/wims.h"

/* Azure's judgement, of a disk, stands behind the image. */
static void image_json(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj)
{
	ibb_facts_json(s->facts, b, ibb_jb_object(b, obj, "image"));
	if (!s->wim)
		ibb_azure_json(&s->azure, s->q->azure, b, ibb_jb_object(b, obj, "azure"));
}

void ibb_plan_part_json(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *list, *o;

	image_json(s, b, obj);
	list = ibb_jb_array(b, obj, "targets");
	for (size_t i = 0; i < s->n_targets; i++) {
		o = ibb_jb_object(b, list, NULL);
		ibb_resolution_json(s->resolutions[i], b, ibb_jb_object(b, o, "resolution"));
		ibb_selection_json(&s->selections[i], b, ibb_jb_object(b, o, "selection"));
	}
	ibb_plan_json(s->plan, b, obj);
	ibb_session_warnings_json(s, b, obj);
}

static int plan_doc(struct ibb_session *s, char **ret_json, struct ibb_error *err)
{
	struct ibb_identity id = {0};
	struct ibb_jb b = {0};
	struct ibb_json *root;
	int r = ibb_image_identity(s->image, s->q->image, &id, err);

	if (r)
		return r;
	root = ibb_doc_begin(&b, "ibbake-plan/1");
	ibb_jb_str(&b, root, "signature", ibb_plan_signature(s->plan));
	ibb_identity_json(&id, &b, ibb_jb_object(&b, root, "input"));
	ibb_identity_clear(&id);
	ibb_session_archives_json(s, &b, ibb_jb_array(&b, root, "archives"));
	ibb_plan_part_json(s, &b, root);
	return ibb_doc_print(&b, ret_json, err);
}

/* What bake could not write is refused here as well. */
static int check_target(struct ibb_session *s, struct ibb_error *err)
{
	struct ibb_target t = {0};
	int r = ibb_target_open(s->q, &s->image->chain, s->image->overlay, &t, err);

	ibb_target_close(&t);
	return r;
}

int ibb_do_plan(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_session s = {.q = q};
	bool wim = false;
	int r = ibb_doc_check_request(q, true, true, err);

	if (!r)
		r = ibb_wims_asked(q, false, &wim, err);
	if (r)
		return r;
	if (wim)
		return ibb_wims_plan(q, ret_json, err);
	r = ibb_session_open(&s, false, err);
	if (!r)
		r = ibb_session_azure_enforce(&s, true, err);
	if (!r)
		r = check_target(&s, err);
	if (!r)
		r = ibb_session_plan(&s, err);
	if (!r)
		r = plan_doc(&s, ret_json, err);
	ibb_session_clear(&s);
	return r;
}
