/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The driver catalogs of a request: the built-in one or q->catalog, and those laid over it. */
#ifndef IBB_API_CATALOGS_H
#define IBB_API_CATALOGS_H

#include "base/json.h"
#include "catalog/catalog.h"
#include "ibbake/ibbake.h"

/* Their texts, in the order of ibb_catalog_load_all(). Zero-initialise. */
struct ibb_catalog_files {
	struct ibb_catalog_text *texts;
	size_t n, cap;
	struct ibb_buf *owned; /* one a text; empty: it is borrowed from the program */
	size_t cap_owned;
};
/* Of q->catalog_dirs files are taken as they are, of directories their *.json by name (not hidden
 * ones); a directory without any is IBB_E_UNSUPPORTED. */
int ibb_catalog_files_read(const struct ibb_request *q, struct ibb_catalog_files *ret,
			   struct ibb_error *err) IBB_MUST_CHECK;
void ibb_catalog_files_clear(struct ibb_catalog_files *f);

/* What the overlays changed, as strings into a list. */
void ibb_catalog_conflicts_json(const struct ibb_catalog *c, struct ibb_jb *b,
				struct ibb_json *list);
/* URLs with a user name or password, for what takes the catalog to others. */
void ibb_catalog_secrets_json(const struct ibb_catalog *c, struct ibb_jb *b, struct ibb_json *list);

#endif
