/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_verify() of a WIM: every image that its manifest says something of. */
#include <stdio.h>
#include <string.h>

#include "api/doc.h"
#include "api/parts.h"
#include "api/wims.h"
#include "base/limits.h"

struct verify {
	struct ibb_wims *set;
	const struct ibb_json *manifest;
	struct ibb_jb b;
	struct ibb_json *root, *images;
	size_t n; /* differences */
};

static void differs(struct verify *v, struct ibb_json *obj, const char *what, const char *where,
		    const char *text)
{
	struct ibb_json *o =
		ibb_jb_object(&v->b, (struct ibb_json *)ibb_json_get(obj, "differences"), NULL);

	ibb_jb_str(&v->b, o, "what", what);
	ibb_jb_str(&v->b, o, "where", where);
	ibb_jb_str(&v->b, o, "difference", text);
	v->n++;
}

static bool same_name(const struct ibb_wim_image *x, const struct ibb_json *part)
{
	const char *want = ibb_json_str(part, "name");

	return strcmp(x->name ? x->name : "", want ? want : "") == 0;
}

static int compare(struct verify *v, struct ibb_wim_item *it, const struct ibb_json *part,
		   struct ibb_json *o, struct ibb_error *err)
{
	struct ibb_verify_options opts = {.booted = v->set->q->booted};
	struct ibb_session *s = &it->s;
	size_t n = 0;
	int r = ibb_session_catalog(v->set->q, &s->catalog, err);

	if (!r)
		r = ibb_manifest_verify(part, NULL, s->facts, s->volume, &opts, &v->b, o, &n, err);
	v->n += n;
	if (!same_name(ibb_wim_image(v->set->wim, it->index), part))
		differs(v, o, "identity", "name", "the image has another name in the manifest");
	return r ? r : ibb_verify_readiness(s, part, &v->b, o, err);
}

/* No Windows any more: the hives are missing, and all that is in them. */
static void nothing_there(struct verify *v, struct ibb_json *o)
{
	struct ibb_json *checked = ibb_jb_object(&v->b, o, "checked");

	ibb_jb_int(&v->b, checked, "files", 0);
	ibb_jb_int(&v->b, checked, "operations", 0);
	ibb_jb_array(&v->b, o, "differences");
	differs(v, o, "hive", "SYSTEM", "missing");
	ibb_jb_array(&v->b, o, "readiness");
}

/* It was left out because it held no Windows. */
static int still_none(struct verify *v, struct ibb_wim_item *it, struct ibb_error *err)
{
	char where[32];
	int r = ibb_wims_enter(v->set, it, false, err);

	if (r || it->skipped)
		return r;
	snprintf(where, sizeof(where), "image %u", it->index);
	differs(v, v->root, "identity", where,
		"was skipped because it held no Windows, and holds one now");
	return IBB_OK;
}

static int verify_image(struct verify *v, struct ibb_wim_item *it, struct ibb_error *err)
{
	const struct ibb_json *part = ibb_wim_manifest_image(v->manifest, it->index);
	struct ibb_json *o;
	int r;

	if (!part || ibb_json_str(part, "skipped")) {
		if (!it->named)
			return part ? still_none(v, it, err) : IBB_OK;
		return ibb_err(err, IBB_E_INVALID, "%s: says nothing of image %u of %s",
			       v->set->q->manifest, it->index, v->set->q->image);
	}
	o = ibb_jb_object(&v->b, v->images, NULL);
	ibb_wim_image_json(ibb_wim_image(v->set->wim, it->index), &v->b, o);
	it->named = false;
	r = ibb_wims_enter(v->set, it, false, err);
	if (r)
		return r;
	if (it->skipped)
		nothing_there(v, o);
	else
		r = compare(v, it, part, o, err);
	ibb_session_warnings_json(&it->s, &v->b, o);
	return r ? ibb_wims_fail(v->set, it, r, err) : IBB_OK;
}

/* Images of the manifest that the WIM no longer has. */
static void missing_images(struct verify *v)
{
	int64_t n;

	ibb_json_foreach (i, ibb_json_get(v->manifest, "images")) {
		char where[32];

		if (!ibb_json_int(i, "index", 1, IBB_LIMIT_WIM_IMAGES, &n) ||
		    n <= ibb_wim_info(v->set->wim)->images)
			continue;
		snprintf(where, sizeof(where), "image %lld", (long long)n);
		differs(v, v->root, "identity", where, "missing");
	}
}

static int verify_all(struct verify *v, struct ibb_error *err)
{
	const struct ibb_request *q = v->set->q;
	int r = IBB_OK;

	ibb_jb_str(&v->b, v->root, "signature", ibb_json_str(v->manifest, "signature"));
	ibb_jb_array(&v->b, v->root, "differences");
	v->images = ibb_jb_array(&v->b, v->root, "images");
	if (!q->n_images)
		missing_images(v);
	for (size_t i = 0; i < v->set->n && !r; i++) {
		r = verify_image(v, &v->set->items[i], err);
		ibb_wims_leave(v->set, &v->set->items[i]);
	}
	if (!r && !q->n_images)
		r = ibb_verify_digest(q, ibb_wim_file(v->set->wim), v->manifest, &v->b, v->root,
				      &v->n, err);
	ibb_jb_bool(&v->b, v->root, "identical", v->n == 0);
	return r;
}

int ibb_wims_verify(const struct ibb_request *q, const struct ibb_json *manifest, char **ret_json,
		    struct ibb_error *err)
{
	struct ibb_wims set = {0};
	struct verify v = {.set = &set, .manifest = manifest};
	int r;

	if (!ibb_manifest_is_wim(manifest))
		return ibb_err(err, IBB_E_INVALID, "%s: is the manifest of a disk, and %s is a WIM",
			       q->manifest, q->image);
	r = ibb_wims_open(q, true, &set, err);
	if (r)
		return r;
	v.root = ibb_doc_begin(&v.b, "ibbake-wim-verify/1");
	r = verify_all(&v, err);
	if (r)
		ibb_jb_clear(&v.b);
	else
		r = ibb_doc_print(&v.b, ret_json, err);
	ibb_wims_close(&set);
	if (!r && v.n)
		r = ibb_err(err, IBB_E_DIFFERS, "%s differs from %s in %zu place(s)", q->image,
			    q->manifest, v.n);
	return r;
}
