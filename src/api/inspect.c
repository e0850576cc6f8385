/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_inspect(). */
#include <stdlib.h>
#include <string.h>

#include "api/azure.h"
#include "api/doc.h"
#include "api/parts.h"
#include "api/wims.h"
#include "api/winre.h"

static void partitions_json(const struct ibb_image *im, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *list = ibb_jb_array(b, obj, "partitions");
	char guid[IBB_GUID_STR_SIZE];

	ibb_jb_bool(b, obj, "gpt_primary_damaged", im->table.primary_damaged);
	ibb_jb_bool(b, obj, "gpt_backup_damaged", im->table.backup_damaged);
	for (size_t i = 0; i < im->table.n; i++) {
		const struct ibb_partition *p = &im->table.parts[i];
		const struct ibb_found *f = &im->found[i];
		struct ibb_json *o = ibb_jb_object(b, list, NULL);

		ibb_jb_int(b, o, "number", p->number);
		ibb_jb_u64(b, o, "offset_bytes", p->off_bytes);
		ibb_jb_u64(b, o, "bytes", p->len_bytes);
		if (im->table.kind == IBB_PTABLE_GPT) {
			ibb_guid_format(&p->type, guid);
			ibb_jb_str(b, o, "type", guid);
			ibb_jb_str(b, o, "name", p->name);
		} else {
			ibb_jb_fmt(b, o, "type", "0x%02x", p->mbr_type);
		}
		ibb_jb_bool(b, o, "ntfs", f->ntfs);
		ibb_jb_bool(b, o, "windows", f->windows);
		ibb_jb_str(b, o, "problem", f->problem.code ? f->problem.msg : NULL);
	}
}

int ibb_inspect_functions(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj,
			  struct ibb_error *err)
{
	struct ibb_json *list = ibb_jb_array(b, obj, "infiniband");
	const struct ibb_function *seen[64];
	size_t n_seen = 0;

	for (size_t i = 0; i < ibb_catalog_n_sizes(s->catalog); i++) {
		const struct ibb_function *fn = ibb_catalog_size_at(s->catalog, i)->function;
		struct ibb_readiness ready;
		struct ibb_fact_match m;
		struct ibb_json *o;
		bool bare, known = !fn;
		int r;

		for (size_t k = 0; k < n_seen; k++)
			known |= seen[k] == fn;
		if (known || n_seen == IBB_ARRAY_SIZE(seen))
			continue;
		seen[n_seen++] = fn;
		r = ibb_select_in_image(s->facts, fn, &m, &bare, err);
		if (r)
			return r;
		o = ibb_jb_object(b, list, NULL);
		ibb_jb_str(b, o, "function", fn->id);
		ibb_jb_str(b, o, "description", fn->description);
		ibb_jb_bool(b, o, "driver_staged", m.package && !bare);
		ibb_jb_str(b, o, "published", m.package ? m.package->published : NULL);
		ibb_jb_str(b, o, "matched_id", m.package ? m.id : NULL);
		ibb_jb_bool(b, o, "only_bare_id", bare);
		ibb_plan_readiness_in_image(s->facts, &m, bare, &ready);
		ibb_readiness_json(&ready, b, ibb_jb_object(b, o, "readiness"));
	}
	return IBB_OK;
}

void ibb_inspect_problem_json(int problem, const struct ibb_error *why, struct ibb_jb *b,
			      struct ibb_json *obj)
{
	struct ibb_json *o;

	if (!problem) {
		ibb_jb_null(b, obj, "problem");
		return;
	}
	o = ibb_jb_object(b, obj, "problem");
	ibb_jb_str(b, o, "code", ibb_code_name(problem));
	ibb_jb_str(b, o, "message", why->msg);
	ibb_jb_str(b, o, "hint", *why->hint ? why->hint : NULL);
}

static int inspect_doc(struct ibb_session *s, bool readable, int problem,
		       const struct ibb_error *why, char **ret_json, struct ibb_error *err)
{
	struct ibb_identity id = {0};
	struct ibb_jb b = {0};
	struct ibb_json *root;
	int r = ibb_image_identity(s->image, s->q->image, &id, err);

	if (r)
		return r;
	root = ibb_doc_begin(&b, "ibbake-inspect/1");
	ibb_identity_json(&id, &b, ibb_jb_object(&b, root, "identity"));
	ibb_identity_clear(&id);
	ibb_jb_str(&b, root, "generation", ibb_boot_generation(&s->boot));
	partitions_json(s->image, &b, root);
	ibb_azure_json(&s->azure, s->q->azure, &b, ibb_jb_object(&b, root, "azure"));
	if (s->facts) {
		ibb_facts_json(s->facts, &b, ibb_jb_object(&b, root, "image"));
		ibb_jb_u64(&b, root, "free_bytes", s->info.free_bytes);
		/* what could not be read is not called absent */
		if (readable)
			r = ibb_inspect_functions(s, &b, root, err);
		if (!r && readable)
			r = ibb_winre_found(s, &b, root, err);
	}
	ibb_session_warnings_json(s, &b, root);
	ibb_inspect_problem_json(problem, why, &b, root);
	if (r) {
		ibb_jb_clear(&b);
		return r;
	}
	return ibb_doc_print(&b, ret_json, err);
}

/* Breaks of the database's own rules are warnings: such an image is described all the same. */
static int check_database(struct ibb_session *s, struct ibb_error *err)
{
	size_t n = s->facts->n_warnings;
	int r = ibb_facts_check_database(s->facts, s->volume, err);

	for (; !r && n < s->facts->n_warnings; n++)
		r = ibb_session_warn(s, err, "%s", s->facts->warnings[n]);
	return r;
}

/* What is wrong with a hive comes before anything that was said of the database in it. */
static int check_hives(struct ibb_session *s, int problem, struct ibb_error *why)
{
	int r = ibb_facts_check_hives(s->facts, why);

	if (r)
		return r;
	for (int i = 0; i < IBB_N_HIVES; i++) {
		const struct ibb_fact_hive *h = &s->facts->hives[i];

		if (!h->checked || !h->unsound.code)
			continue;
		*why = h->unsound;
		return why->code;
	}
	return problem;
}

int ibb_inspect_problem(struct ibb_session *s, int problem, struct ibb_error *why)
{
	if (!problem) {
		problem = ibb_facts_check(s->facts, true, why);
		if (problem && !s->wim)
			ibb_err_prefix(why, problem, "%s", s->q->image);
	}
	if (!problem)
		problem = check_database(s, why);
	if (s->facts && s->q->check_hives && problem != IBB_E_NOMEM)
		problem = check_hives(s, problem, why);
	return problem;
}

/* Unfit for Azure is a problem with --azure alone, and the last one to be named. */
static int describe(struct ibb_session *s, int *problem, struct ibb_error *why, char **ret_json,
		    struct ibb_error *err)
{
	const bool readable = !*problem;
	int r = ibb_session_azure(s, false, err);

	if (r)
		return r;
	if (readable && s->q->azure)
		*problem = ibb_azure_enforce(&s->azure, s->q->image, why);
	return inspect_doc(s, readable, *problem, why, ret_json, err);
}

int ibb_do_inspect(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_session s = {.q = q};
	struct ibb_error why = {0};
	char *json = NULL;
	bool wim = false;
	int r = ibb_doc_check_request(q, true, false, err), problem = 0;

	if (!r)
		r = ibb_wims_asked(q, false, &wim, err);
	if (r)
		return r;
	if (wim)
		return ibb_wims_inspect(q, ret_json, err);
	r = ibb_session_catalog(q, &s.catalog, err);
	if (!r) {
		problem = ibb_session_open(&s, false, &why);
		problem = ibb_inspect_problem(&s, problem, &why);
		if (problem && (!s.image || problem == IBB_E_NOMEM)) {
			if (err)
				*err = why;
			r = problem;
		} else {
			r = describe(&s, &problem, &why, &json, err);
		}
	}
	ibb_session_clear(&s);
	if (r)
		return r;
	*ret_json = json;
	if (problem && err)
		*err = why;
	return problem;
}
