/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/wim.h"

#include "base/limits.h"

void ibb_wim_identity_json(const struct ibb_wim_identity *id, struct ibb_jb *b,
			   struct ibb_json *obj)
{
	const struct ibb_wim_info *w = &id->info;
	char guid[IBB_GUID_STR_SIZE];

	ibb_guid_format(&w->guid, guid);
	ibb_jb_str(b, obj, "file", id->file_name);
	ibb_jb_str(b, obj, "container", "WIM");
	ibb_jb_u64(b, obj, "file_bytes", w->file_bytes);
	ibb_jb_str(b, obj, "guid", guid);
	ibb_jb_str(b, obj, "compression", w->compression);
	ibb_jb_int(b, obj, "chunk_bytes", w->chunk_bytes);
	ibb_jb_bool(b, obj, "solid", w->solid);
	ibb_jb_bool(b, obj, "pipable", w->pipable);
	ibb_jb_bool(b, obj, "integrity", w->integrity);
	ibb_jb_bool(b, obj, "marked_readonly", w->marked_readonly);
	ibb_jb_bool(b, obj, "write_in_progress", w->write_in_progress);
	ibb_jb_int(b, obj, "part", w->part);
	ibb_jb_int(b, obj, "parts", w->parts);
	ibb_jb_int(b, obj, "boot_index", w->boot_index);
	ibb_jb_int(b, obj, "images", w->images);
	ibb_digest_json(b, obj, id->digest_kind, &id->digest);
}

void ibb_wim_image_json(const struct ibb_wim_image *x, struct ibb_jb *b, struct ibb_json *obj)
{
	ibb_jb_int(b, obj, "index", x->index);
	ibb_jb_str(b, obj, "name", x->name);
}

/* PROCESSOR_ARCHITECTURE_* of the XML data are the numbers that the registry uses. */
static const char *arch_name(int arch)
{
	return arch < 0 ? NULL : ibb_arch_name((enum ibb_arch)arch);
}

void ibb_wim_xml_json(const struct ibb_wim_image *x, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *o = ibb_jb_object(b, obj, "xml");

	ibb_jb_str(b, o, "description", x->description);
	ibb_jb_str(b, o, "display_name", x->display_name);
	ibb_jb_str(b, o, "flags", x->flags);
	ibb_jb_str(b, o, "product", x->product_name);
	ibb_jb_str(b, o, "edition", x->edition);
	ibb_jb_str(b, o, "installation_type", x->installation_type);
	if (x->major)
		ibb_jb_fmt(b, o, "version", "%u.%u.%u", x->major, x->minor, x->build);
	else
		ibb_jb_null(b, o, "version");
	ibb_jb_int(b, o, "ubr", x->spbuild);
	ibb_jb_str(b, o, "arch", arch_name(x->arch));
	ibb_jb_u64(b, o, "files", x->files);
	ibb_jb_u64(b, o, "directories", x->directories);
	ibb_jb_u64(b, o, "bytes", x->total_bytes);
}

static void writing_json(const struct ibb_wim_manifest_input *in, struct ibb_jb *b,
			 struct ibb_json *root)
{
	struct ibb_json *o;

	if (!in->mode) {
		ibb_jb_null(b, root, "output");
		ibb_jb_null(b, root, "writing");
		return;
	}
	ibb_wim_identity_json(in->output, b, ibb_jb_object(b, root, "output"));
	o = ibb_jb_object(b, root, "writing");
	ibb_jb_str(b, o, "mode", in->mode);
	ibb_jb_u64(b, o, "grown_bytes", in->grown_bytes);
	ibb_jb_u64(b, o, "dead_bytes", in->dead_bytes);
}

int ibb_wim_manifest_build(const struct ibb_wim_manifest_input *in, struct ibb_json **ret,
			   struct ibb_error *err)
{
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_jb_object(&b, NULL, NULL), *list;

	ibb_manifest_head_json(IBB_WIM_MANIFEST_SCHEMA, &in->options, &b, root);
	ibb_jb_str(&b, root, "signature", in->signature);
	/* the number the VM extension would have returned */
	ibb_jb_int(&b, root, "extension_exit_code", 0);
	ibb_wim_identity_json(in->input, &b, ibb_jb_object(&b, root, "input"));
	writing_json(in, &b, root);
	ibb_manifest_options_json(&in->options, &b, root);
	ibb_manifest_archives_json(in->archives, &b, root);
	list = ibb_jb_array(&b, root, "images");
	for (size_t i = 0; i < in->n_images; i++)
		ibb_jb_copy(&b, list, NULL, in->images[i]);
	list = ibb_jb_array(&b, root, "warnings");
	for (size_t i = 0; i < in->n_warnings; i++)
		ibb_jb_str(&b, list, NULL, in->warnings[i]);
	return ibb_jb_done(&b, ret, err);
}

const struct ibb_json *ibb_wim_manifest_image(const struct ibb_json *m, unsigned index)
{
	int64_t n;

	ibb_json_foreach (i, ibb_json_get(m, "images")) {
		if (ibb_json_int(i, "index", 1, IBB_LIMIT_WIM_IMAGES, &n) && n == index)
			return i;
	}
	return NULL;
}
