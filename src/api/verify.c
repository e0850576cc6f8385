/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_verify(). */
#include <stdlib.h>
#include <string.h>

#include "api/doc.h"
#include "api/output.h"
#include "api/parts.h"
#include "api/wims.h"
#include "api/winre.h"
#include "base/limits.h"
#include "base/utf16.h"

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

/* Nothing is said without hives. */
int ibb_verify_readiness(const struct ibb_session *s, const struct ibb_json *part, struct ibb_jb *b,
			 struct ibb_json *obj, struct ibb_error *err)
{
	struct ibb_json *list = ibb_jb_array(b, obj, "readiness");
	int r = IBB_OK;

	if (!s->facts->hives[IBB_HIVE_SYSTEM].hive || !s->facts->hives[IBB_HIVE_DRIVERS].hive)
		return IBB_OK;
	ibb_json_foreach (t, ibb_json_get(part, "targets")) {
		const char *name = ibb_json_str(ibb_json_get(t, "resolution"), "size");

		if (!r)
			r = target_json(s, name, b, ibb_jb_object(b, list, NULL), err);
	}
	return r;
}

/* The digest of the whole image, when the manifest has one. Windows changes it with every start. */
int ibb_verify_digest(const struct ibb_request *request, struct ibb_disk *file,
		      const struct ibb_json *manifest, struct ibb_jb *b, struct ibb_json *obj,
		      size_t *n, struct ibb_error *err)
{
	const struct ibb_json *want = ibb_json_get(ibb_json_get(manifest, "output"), "digest");
	const char *kind = ibb_json_str(want, "kind"), *hex = ibb_json_str(want, "sha256");
	struct ibb_identity id = {0};
	struct ibb_request q = *request;
	struct ibb_sha256 d;
	struct ibb_json *o;
	int r;

	if (!kind || !hex || q.booted)
		return IBB_OK;
	q.digest = strcmp(kind, "content") == 0	 ? IBB_DIGEST_CONTENT
		   : strcmp(kind, "sha256") == 0 ? IBB_DIGEST_SHA256
						 : IBB_DIGEST_NONE;
	if (q.digest == IBB_DIGEST_NONE || !ibb_sha256_parse(hex, &d))
		return ibb_err(err, IBB_E_CORRUPT, "%s: \"output\" has no digest that is known",
			       q.manifest);
	r = ibb_output_digest(&q, file, &id, err);
	if (r || memcmp(&id.digest, &d, sizeof(d)) == 0)
		return r;
	o = ibb_jb_object(b, (struct ibb_json *)ibb_json_get(obj, "differences"), NULL);
	ibb_jb_str(b, o, "what", "identity");
	ibb_jb_str(b, o, "where", "digest");
	ibb_jb_fmt(b, o, "difference", "the %s digest of the image is not the manifest's %s", kind,
		   hex);
	(*n)++;
	return IBB_OK;
}

/* The only image of the manifest that was worked on. */
static const struct ibb_json *only_image(const struct ibb_json *m)
{
	const struct ibb_json *found = NULL;

	ibb_json_foreach (i, ibb_json_get(m, "images")) {
		if (ibb_json_str(i, "skipped"))
			continue;
		if (found)
			return NULL;
		found = i;
	}
	return found;
}

/* By number, or by a name that one image alone has; which may look like a number. */
static const struct ibb_json *image_named(const struct ibb_json *m, const char *which)
{
	const struct ibb_json *found = NULL;
	char *end;
	unsigned long n = strtoul(which, &end, 10);

	if (*which >= '0' && *which <= '9' && !*end && n <= IBB_LIMIT_WIM_IMAGES)
		found = ibb_wim_manifest_image(m, (unsigned)n);
	if (found)
		return found;
	ibb_json_foreach (i, ibb_json_get(m, "images")) {
		const char *name = ibb_json_str(i, "name");

		if (!name || !ibb_caseeq(name, which))
			continue;
		if (found)
			return NULL;
		found = i;
	}
	return found;
}

/* A disk that an image of a WIM was applied to: what the manifest says of that image. */
static int part_for_disk(const struct ibb_request *q, const struct ibb_json *m,
			 const struct ibb_json **ret, struct ibb_error *err)
{
	if (!ibb_manifest_is_wim(m)) {
		*ret = m;
		return q->n_images
			       ? ibb_err(err, IBB_E_INVALID,
					 "%s: is the manifest of a disk: no --image", q->manifest)
			       : IBB_OK;
	}
	if (q->n_images > 1)
		return ibb_err(err, IBB_E_INVALID,
			       "%s: is no WIM: one --image says which of the manifest it was made "
			       "from",
			       q->image);
	*ret = q->n_images ? image_named(m, q->images[0]) : only_image(m);
	if (!*ret) {
		ibb_err(err, IBB_E_INVALID, "%s: has %s", q->manifest,
			q->n_images ? "no image of that number, or not one of that name alone"
				    : "several images, or none that was worked on");
		return ibb_err_hint(err, IBB_E_INVALID,
				    "say which one the disk was made from: --image N");
	}
	if (ibb_json_str(*ret, "skipped"))
		return ibb_err(err, IBB_E_INVALID, "%s: that image was skipped: %s", q->manifest,
			       ibb_json_str(*ret, "skipped"));
	return IBB_OK;
}

static int warn_part(struct ibb_session *s, const struct ibb_json *part, struct ibb_error *err)
{
	const char *name = ibb_json_str(part, "name");
	int64_t n = 0;

	(void)ibb_json_int(part, "index", 1, IBB_LIMIT_WIM_IMAGES, &n);
	return ibb_session_warn(
		s, err,
		"compared with image %lld%s%s%s of the manifest of a WIM: what that "
		"says of the WIM itself does not apply to a disk and was left out",
		(long long)n, name ? " (" : "", name ? name : "", name ? ")" : "");
}

static int verify_disk(struct ibb_session *s, const struct ibb_json *m, char **ret_json,
		       struct ibb_error *err)
{
	struct ibb_verify_options o = {.booted = s->q->booted};
	const struct ibb_json *part = NULL;
	struct ibb_identity id = {0};
	struct ibb_jb b = {0};
	struct ibb_json *root;
	bool wim = ibb_manifest_is_wim(m);
	size_t n = 0;
	int r = part_for_disk(s->q, m, &part, err);

	if (!r)
		r = ibb_session_catalog(s->q, &s->catalog, err);
	if (!r)
		r = ibb_session_open(s, false, err);
	if (!r && wim)
		r = warn_part(s, part, err);
	if (!r)
		r = ibb_image_identity(s->image, s->q->image, &id, err);
	if (r)
		return r;
	root = ibb_doc_begin(&b, "ibbake-verify/1");
	/* the image holds records of the packages, not the packages */
	ibb_jb_str(&b, root, "signature", ibb_json_str(part, "signature"));
	r = ibb_manifest_verify(part, wim ? NULL : &id, s->facts, s->volume, &o, &b, root, &n, err);
	if (!r && !wim && !o.booted)
		r = ibb_winre_verify(s->image, m, &b, root, &n, err);
	if (!r && !wim)
		r = ibb_verify_digest(s->q, ibb_image_file(s->image), m, &b, root, &n, err);
	if (!r)
		r = ibb_verify_readiness(s, part, &b, root, err);
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

static int verify(struct ibb_session *s, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *m = NULL;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	bool wim = false;
	int r = ibb_read_file(s->q->manifest, IBB_LIMIT_JSON_BYTES, &text, err);

	if (!r)
		r = ibb_manifest_parse(s->q->manifest, text.data, text.len, &m, err);
	if (!r)
		r = ibb_wims_asked(s->q, true, &wim, err);
	if (r)
		return r;
	return wim ? ibb_wims_verify(s->q, m, ret_json, err) : verify_disk(s, m, ret_json, err);
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
