/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_verify(). */
#include <string.h>

#include "api/doc.h"
#include "api/output.h"
#include "base/limits.h"

static int target_json(const struct ibb_session *s, const char *name, struct ibb_jb *b,
		       struct ibb_json *o, struct ibb_error *err)
{
	const struct ibb_size *size = NULL;
	struct ibb_fact_match m = {0};
	struct ibb_readiness ready;
	struct ibb_error sub = {0};
	bool bare = false;
	int r;

	ibb_jb_str(b, o, "size", name);
	if (!name || ibb_catalog_find_size(s->catalog, name, &size, &sub) || !size->function) {
		ibb_jb_null(b, o, "published");
		ibb_jb_null(b, o, "readiness");
		return IBB_OK;
	}
	r = ibb_select_in_image(s->facts, size->function, &m, &bare, err);
	if (r)
		return r;
	ibb_jb_str(b, o, "published", m.package ? m.package->published : NULL);
	ibb_plan_readiness_in_image(s->facts, &m, bare, &ready);
	ibb_readiness_json(&ready, b, ibb_jb_object(b, o, "readiness"));
	return IBB_OK;
}

/* How ready the image is now for each size of the manifest; nothing is said without hives. */
static int targets_json(const struct ibb_session *s, const struct ibb_json *manifest,
			struct ibb_jb *b, struct ibb_json *obj, struct ibb_error *err)
{
	struct ibb_json *list = ibb_jb_array(b, obj, "readiness");
	int r = IBB_OK;

	if (!s->facts->hives[IBB_HIVE_SYSTEM].hive || !s->facts->hives[IBB_HIVE_DRIVERS].hive)
		return IBB_OK;
	ibb_json_foreach (t, ibb_json_get(manifest, "targets")) {
		const char *name = ibb_json_str(ibb_json_get(t, "resolution"), "size");

		if (!r)
			r = target_json(s, name, b, ibb_jb_object(b, list, NULL), err);
	}
	return r;
}

/* The digest of the whole image, when the manifest has one. Windows changes it with every start. */
static int digest_differs(const struct ibb_session *s, const struct ibb_json *manifest,
			  struct ibb_jb *b, struct ibb_json *root, size_t *n, struct ibb_error *err)
{
	const struct ibb_json *want = ibb_json_get(ibb_json_get(manifest, "output"), "digest");
	const char *kind = ibb_json_str(want, "kind"), *hex = ibb_json_str(want, "sha256");
	struct ibb_identity id = {0};
	struct ibb_request q = *s->q;
	struct ibb_sha256 d;
	struct ibb_json *o;
	int r;

	if (!kind || !hex || s->q->booted)
		return IBB_OK;
	q.digest = strcmp(kind, "content") == 0	 ? IBB_DIGEST_CONTENT
		   : strcmp(kind, "sha256") == 0 ? IBB_DIGEST_SHA256
						 : IBB_DIGEST_NONE;
	if (q.digest == IBB_DIGEST_NONE || !ibb_sha256_parse(hex, &d))
		return ibb_err(err, IBB_E_CORRUPT, "%s: \"output\" has no digest that is known",
			       s->q->manifest);
	r = ibb_output_digest(&q, ibb_image_file(s->image), &id, err);
	if (r || memcmp(&id.digest, &d, sizeof(d)) == 0)
		return r;
	o = ibb_jb_object(b, (struct ibb_json *)ibb_json_get(root, "differences"), NULL);
	ibb_jb_str(b, o, "what", "identity");
	ibb_jb_str(b, o, "where", "digest");
	ibb_jb_fmt(b, o, "difference", "the %s digest of the image is not the manifest's %s", kind,
		   hex);
	(*n)++;
	return IBB_OK;
}

static int verify(struct ibb_session *s, char **ret_json, struct ibb_error *err)
{
	struct ibb_verify_options o = {.booted = s->q->booted};
	IBB_AUTO(ibb_json_free) struct ibb_json *m = NULL;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	struct ibb_identity id = {0};
	struct ibb_jb b = {0};
	struct ibb_json *root;
	size_t n = 0;
	int r = ibb_read_file(s->q->manifest, IBB_LIMIT_JSON_BYTES, &text, err);

	if (!r)
		r = ibb_manifest_parse(s->q->manifest, text.data, text.len, &m, err);
	if (!r)
		r = ibb_session_catalog(s->q, &s->catalog, err);
	if (!r)
		r = ibb_session_open(s, false, err);
	if (!r)
		r = ibb_image_identity(s->image, s->q->image, &id, err);
	if (r)
		return r;
	root = ibb_doc_begin(&b, "ibbake-verify/1");
	/* the image holds records of the packages, not the packages */
	ibb_jb_str(&b, root, "signature", ibb_json_str(m, "signature"));
	r = ibb_manifest_verify(m, &id, s->facts, s->image->volume, &o, &b, root, &n, err);
	if (!r)
		r = digest_differs(s, m, &b, root, &n, err);
	if (!r)
		r = targets_json(s, m, &b, root, err);
	ibb_jb_bool(&b, root, "identical", n == 0);
	ibb_session_source_json(s, &b, root);
	ibb_identity_clear(&id);
	if (r) {
		ibb_jb_clear(&b);
		return r;
	}
	r = ibb_doc_print(&b, ret_json, err);
	if (!r && n)
		r = ibb_err(err, IBB_E_DIFFERS, "%s differs from %s in %zu place(s)", s->q->image,
			    s->q->manifest, n);
	return r;
}

int ibb_do_verify(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct ibb_session s = {.q = q};
	int r = ibb_doc_check_request(q, true, false, err);

	if (!r && !q->manifest)
		r = ibb_err(err, IBB_E_INVALID, "no manifest was named");
	if (!r)
		r = verify(&s, ret_json, err);
	ibb_session_clear(&s);
	return r;
}
