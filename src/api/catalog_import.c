/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_catalog_import(): the VM extension's driver list as an overlay. */
#include <stdlib.h>
#include <string.h>

#include "api/catalogs.h"
#include "api/doc.h"
#include "api/session.h"
#include "base/io.h"
#include "base/limits.h"
#include "catalog/import.h"

static int write_file(const struct ibb_request *q, const char *text, struct ibb_error *err)
{
	struct ibb_atomic a = {.fd = -1, .dir_fd = -1};
	int rc = ibb_atomic_begin(&a, q->output, q->overwrite, err);

	if (!rc)
		rc = ibb_pwrite_full(a.fd, text, strlen(text), 0, q->output, err);
	if (!rc)
		rc = ibb_atomic_commit(&a, err);
	ibb_atomic_abort(&a);
	return rc;
}

/* Nothing is given out that ibbake itself would not take on top of the same catalogs. */
static int try_overlay(struct ibb_catalog_files *files, const char *text, struct ibb_error *err)
{
	IBB_AUTO(ibb_catalog_free) struct ibb_catalog *c = NULL;
	IBB_AUTO_FREE struct ibb_catalog_text *all = ibb_calloc_array(files->n + 1, sizeof(*all));

	if (!all)
		return ibb_err_nomem(err);
	memcpy(all, files->texts, files->n * sizeof(*all));
	all[files->n] = (struct ibb_catalog_text){
		.name = "the imported catalog", .text = text, .n = strlen(text)};
	return ibb_catalog_load_all(all, files->n + 1, &c, err);
}

static void counts_json(const struct ibb_import_counts *n, struct ibb_jb *b, struct ibb_json *root)
{
	ibb_jb_int(b, root, "used", (int64_t)n->used);
	ibb_jb_int(b, root, "left_out", (int64_t)(n->entries - n->used));
	ibb_jb_int(b, root, "extension_entries", (int64_t)n->new_entries);
	ibb_jb_int(b, root, "releases", (int64_t)n->new_releases);
	ibb_jb_int(b, root, "recommendations", (int64_t)n->recommendations);
}

/* The report, and the overlay to where it belongs. */
static int deliver(const struct ibb_request *q, struct ibb_catalog_files *files, struct ibb_jb *b,
		   struct ibb_json *root, const struct ibb_json *overlay,
		   const struct ibb_import_counts *n, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf text = {0};
	IBB_AUTO_FREE char *json = NULL;
	int rc = overlay ? ibb_json_print(overlay, &text, err) : IBB_OK;

	if (!rc && overlay)
		rc = try_overlay(files, ibb_buf_cstr(&text), err);
	counts_json(n, b, root);
	ibb_jb_str(b, root, "output", overlay ? q->output : NULL);
	ibb_jb_str(b, root, "overlay", overlay && !q->output ? ibb_buf_cstr(&text) : NULL);
	if (rc) {
		ibb_jb_clear(b);
		return rc;
	}
	rc = ibb_doc_print(b, &json, err);
	if (!rc && overlay && q->output)
		rc = write_file(q, ibb_buf_cstr(&text), err);
	if (rc)
		return rc;
	*ret_json = IBB_TAKE(json);
	if (overlay)
		return IBB_OK;
	return ibb_err(err, IBB_E_UNSUPPORTED, "%s: none of its %zu entries can be used",
		       q->inputs[0], n->entries);
}

int ibb_do_catalog_import(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO(ibb_catalog_free) struct ibb_catalog *c = NULL;
	IBB_AUTO(ibb_json_free) struct ibb_json *overlay = NULL;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	struct ibb_catalog_files files = {0};
	struct ibb_import_counts n = {0};
	struct ibb_jb b = {0};
	struct ibb_json *root;
	int rc = ibb_doc_check_request(q, false, false, err);

	if (!rc && q->n_inputs != 1)
		rc = ibb_err(err, IBB_E_INVALID, "name one file to import");
	if (!rc)
		rc = ibb_catalog_files_read(q, &files, err);
	if (!rc)
		rc = ibb_catalog_load_all(files.texts, files.n, &c, err);
	if (!rc)
		rc = ibb_read_file(q->inputs[0], IBB_LIMIT_JSON_BYTES, &text, err);
	if (!rc) {
		const struct ibb_catalog_text file = {
			.name = q->inputs[0], .text = text.data, .n = text.len};

		root = ibb_doc_begin(&b, "ibbake-catalog-import/1");
		ibb_jb_str(&b, root, "file", q->inputs[0]);
		rc = ibb_catalog_import_text(c, &file, &b, root, &n, &overlay, err);
		if (rc)
			ibb_jb_clear(&b);
		else
			rc = deliver(q, &files, &b, root, overlay, &n, ret_json, err);
	}
	ibb_catalog_files_clear(&files);
	return rc;
}
