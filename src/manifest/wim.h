/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manifest of a WIM: catalogs/wim-manifest.schema.json. What a disk's manifest says of its
 * Windows this one says of each image.
 */
#ifndef IBB_MANIFEST_WIM_H
#define IBB_MANIFEST_WIM_H

#include "manifest/manifest.h"
#include "volume/wim.h"

/* What tells one WIM from another; the texts are borrowed. */
struct ibb_wim_identity {
	const char *file_name; /* without directory */
	struct ibb_wim_info info;
	const char *digest_kind; /* NULL, "content" or "sha256" */
	struct ibb_sha256 digest;
};
void ibb_wim_identity_json(const struct ibb_wim_identity *id, struct ibb_jb *b,
			   struct ibb_json *obj);
/* "index" and "name" of obj. */
void ibb_wim_image_json(const struct ibb_wim_image *x, struct ibb_jb *b, struct ibb_json *obj);
/* What the XML data says of the image, as "xml" of obj. */
void ibb_wim_xml_json(const struct ibb_wim_image *x, struct ibb_jb *b, struct ibb_json *obj);

struct ibb_wim_manifest_input {
	const struct ibb_wim_identity *input, *output; /* output NULL: nothing was written */
	struct ibb_manifest_options options;
	const char *mode; /* "new-file", "in-place", "compact"; NULL: nothing was written */
	/* in place: how much longer the file is, and how much of it nothing refers to any more */
	uint64_t grown_bytes, dead_bytes;
	const char *signature;		 /* of all packages of all images */
	const struct ibb_json *archives; /* as struct ibb_manifest_input */
	struct ibb_json *const *images;
	size_t n_images;
	char *const *warnings;
	size_t n_warnings;
};
int ibb_wim_manifest_build(const struct ibb_wim_manifest_input *in, struct ibb_json **ret,
			   struct ibb_error *err) IBB_MUST_CHECK;

/* The item of "images" with this number, or NULL. */
const struct ibb_json *ibb_wim_manifest_image(const struct ibb_json *m, unsigned index);

#endif
