/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Catalogs whose names differ in case only. Windows knows no two such files; a directory that an
 * installer for several Windows versions was unpacked into does (VBoxGuest.cat signed by the
 * vendor, vboxguest.cat by Microsoft), and which is the right one the signatures tell.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "driver/loader.h"

#define MAX_OTHER_CATALOGS 8

int ibb_loader_other_catalogs(struct ibb_loader *l)
{
	struct ibb_package *p = l->p;

	for (size_t i = 0; l->src->other && i < MAX_OTHER_CATALOGS; i++) {
		IBB_AUTO_FREE char *spelling = NULL;
		IBB_AUTO_BUF struct ibb_buf bytes = {0};
		struct ibb_package_file *f;
		struct ibb_error why = {0};
		int rc = l->src->other(l->src->ctx, p->catalog_name, i, IBB_LIMIT_CAT_BYTES, &bytes,
				       &spelling, &why);

		if (rc == IBB_E_NOTFOUND)
			return IBB_OK;
		if (rc) {
			*l->err = why;
			return rc;
		}
		if (ibb_grow(&p->other_catalogs, &p->cap_other_catalogs, p->n_other_catalogs,
			     sizeof(*f)))
			return ibb_err_nomem(l->err);
		f = &p->other_catalogs[p->n_other_catalogs];
		*f = (struct ibb_package_file){0};
		if (ibb_sha256(bytes.data, bytes.len, &f->sha256))
			return ibb_err_nomem(l->err);
		f->path = IBB_TAKE(spelling);
		f->bytes = bytes;
		bytes = (struct ibb_buf){0};
		p->n_other_catalogs++;
	}
	return IBB_OK;
}

static void exchange(struct ibb_package *p, size_t k)
{
	struct ibb_package_file *a = &p->files[1], *b = &p->other_catalogs[k];
	struct ibb_package_file was = *a;
	char *spelling = p->catalog_file;

	a->bytes = b->bytes;
	a->sha256 = b->sha256;
	p->catalog_file = b->path;
	b->bytes = was.bytes;
	b->sha256 = was.sha256;
	b->path = spelling;
}

int ibb_package_take_catalog(struct ibb_package *p, size_t k, struct ibb_error *err)
{
	struct ibb_cat_signer signer;
	struct ibb_sha256 digest;
	int r = ibb_cat_signer(p->other_catalogs[k].path,
			       ibb_buf_bytes(&p->other_catalogs[k].bytes), &signer, err);

	if (r)
		return r;
	exchange(p, k);
	r = ibb_package_make_digest(p, &digest, err);
	if (r) {
		exchange(p, k);
		return r;
	}
	p->signer = signer;
	p->digest = digest;
	return IBB_OK;
}
