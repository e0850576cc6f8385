/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_catalog_show(): what is in the driver catalogs. */
#include "api/catalogs.h"
#include "api/doc.h"
#include "api/session.h"
#include "catalog/show.h"

int ibb_do_catalog_show(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO(ibb_catalog_free) struct ibb_catalog *c = NULL;
	struct ibb_jb b = {0};
	struct ibb_json *root;
	int rc = ibb_doc_check_request(q, false, false, err);

	if (!rc)
		rc = ibb_session_catalog(q, &c, err);
	if (rc)
		return rc;
	root = ibb_doc_begin(&b, "ibbake-catalog-show/1");
	ibb_catalog_show_json(c, &b, root);
	ibb_catalog_conflicts_json(c, &b, ibb_jb_array(&b, root, "warnings"));
	return ibb_doc_print(&b, ret_json, err);
}
