/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_convert(). */
#include <string.h>

#include "api/azure.h"
#include "api/doc.h"
#include "api/replace.h"
#include "api/session.h"
#include "api/target.h"
#include "base/path.h"

struct convert {
	const struct ibb_request *q;
	struct ibb_session s; /* its warnings alone */
	struct ibb_chain chain;
	struct ibb_opinion_result opinion;
	struct ibb_target target;
	uint64_t compared, out_bytes;
};

/* What libvhdi says of the output, before it has a name. */
static int second_opinion(struct convert *c, const struct ibb_chain *out, struct ibb_error *err)
{
	struct ibb_opinion_result said;
	const char *why;
	int r;

	if (c->q->second_opinion_off)
		return IBB_OK;
	r = ibb_chain_second_opinion(out, &said, err);
	if (r || said.scope == ibb_chain_opinion(out, &why))
		return r;
	return ibb_session_warn(&c->s, err, "%s: there is no second opinion of the output: %s",
				c->q->output, said.why);
}

/* The output opened again, before it has its name. */
static int check(struct convert *c, const struct ibb_atomic *file, struct ibb_error *err)
{
	IBB_AUTO_FREE char *name = ibb_atomic_open_name(file);
	struct ibb_chain out = {0};
	int r = name ? ibb_chain_open(name, &out, err) : ibb_err_nomem(err);

	if (!r) {
		c->out_bytes = out.links[0].file->size_bytes;
		r = ibb_target_check(&c->target, &out, &c->compared, err);
		if (!r)
			r = second_opinion(c, &out, err);
		ibb_chain_clear(&out);
	}
	return r ? ibb_err_prefix(err, r, "%s: the finished output does not check", c->q->output)
		 : IBB_OK;
}

static int write_output(struct convert *c, struct ibb_replace *old, struct ibb_error *err)
{
	struct ibb_atomic out;
	int r = ibb_atomic_begin(&out, c->q->output, c->q->overwrite, err);

	if (r)
		return r;
	r = ibb_target_fill(&c->target, &out, err);
	if (!r)
		r = check(c, &out, err);
	if (!r)
		r = ibb_session_phase(c->q, "sync", 0, 0, err);
	if (!r)
		r = ibb_replace_publish(old, &out, NULL, err);
	ibb_atomic_abort(&out);
	return r;
}

/* `child` is NULL for the image itself. */
static void link_json(const struct ibb_link *l, const struct ibb_link *child, struct ibb_jb *b,
		      struct ibb_json *list)
{
	struct ibb_json *o = ibb_jb_object(b, list, NULL);
	char id[IBB_LINK_ID_SIZE];

	ibb_link_id_text(l, id);
	ibb_jb_str(b, o, "file", ibb_path_base(l->path));
	ibb_jb_str(b, o, "container", ibb_link_kind_name(l));
	ibb_jb_u64(b, o, "file_bytes", l->id.size_bytes);
	ibb_jb_u64(b, o, "disk_bytes", l->disk->size_bytes);
	ibb_jb_str(b, o, "id", *id ? id : NULL);
	ibb_jb_str(b, o, "found_by", ibb_found_by_name(l->found_by));
	if (child && child->parent.has_timestamp && child->parent.timestamp_s)
		ibb_jb_bool(b, o, "time_agrees", ibb_link_time_agrees(child, l));
	else
		ibb_jb_null(b, o, "time_agrees");
}

static int document(const struct convert *c, char **ret_json, struct ibb_error *err)
{
	const struct ibb_target *t = &c->target;
	struct ibb_identity_opinion opinion;
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_doc_begin(&b, "ibbake-convert/1"), *list, *o;

	list = ibb_jb_array(&b, root, "input");
	for (size_t i = 0; i < c->chain.n; i++)
		link_json(&c->chain.links[i], i ? &c->chain.links[i - 1] : NULL, &b, list);
	ibb_image_opinion(&c->chain, c->q->second_opinion_off, &c->opinion, &opinion);
	ibb_opinion_json(&opinion, &b, root);
	o = ibb_jb_object(&b, root, "output");
	ibb_jb_str(&b, o, "file", ibb_path_base(c->q->output));
	ibb_jb_str(&b, o, "format", ibb_target_format_name(c->q->format));
	ibb_jb_str(&b, o, "sparse", ibb_target_sparse_name(c->q->sparse));
	ibb_jb_u64(&b, o, "file_bytes", c->out_bytes);
	ibb_jb_u64(&b, o, "disk_bytes", t->write.disk_bytes);
	ibb_jb_int(&b, o, "sector_bytes", t->write.sector_bytes);
	ibb_jb_u64(&b, o, "grown_bytes", t->grown_bytes);
	o = ibb_jb_object(&b, root, "copy");
	ibb_jb_bool(&b, o, "reflink", t->stats.reflink);
	ibb_jb_u64(&b, o, "read_bytes", t->stats.read_bytes);
	ibb_jb_u64(&b, o, "written_bytes", t->stats.copied_bytes + t->stats.overlay_bytes);
	ibb_jb_u64(&b, o, "compared_bytes", c->compared);
	ibb_session_warnings_json(&c->s, &b, root);
	return ibb_doc_print(&b, ret_json, err);
}

static int convert(struct convert *c, char **ret_json, struct ibb_error *err)
{
	const struct ibb_image_opts o = {.second_opinion_off = c->q->second_opinion_off,
					 .accept_changed_parent = c->q->accept_changed_parent};
	struct ibb_lock lock = {.fd = -1};
	struct ibb_replace old = {.fd = -1};
	int r = ibb_session_phase(c->q, "inspect", 0, 0, err);

	if (!r)
		r = ibb_image_open_chain(c->q->image, &o, &c->chain, &c->opinion, err);
	if (!r)
		r = ibb_session_warn_chain(&c->s, &c->chain, &c->opinion, err);
	if (!r)
		r = ibb_target_check_path(&c->chain, c->q->output, "output", c->q->overwrite, err);
	if (!r)
		r = ibb_target_open(c->q, &c->chain, NULL, &c->target, err);
	if (!r)
		r = ibb_lock_take(&lock, c->q->output, err);
	if (!r)
		r = ibb_replace_begin(&old, c->q, err);
	if (!r)
		r = write_output(c, &old, err);
	ibb_replace_release(&old);
	ibb_lock_release(&lock);
	return r ? r : document(c, ret_json, err);
}

int ibb_do_convert(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct convert c = {.q = q, .s = {.q = q}};
	int r = ibb_doc_check_request(q, true, false, err);

	if (!r && !q->output)
		r = ibb_err(err, IBB_E_INVALID, "no output was named");
	if (!r)
		r = ibb_target_check_name(q, err);
	if (!r)
		r = ibb_azure_check_convert(q, err);
	if (!r)
		r = convert(&c, ret_json, err);
	ibb_target_close(&c.target);
	ibb_chain_clear(&c.chain);
	ibb_session_clear(&c.s);
	return r;
}
