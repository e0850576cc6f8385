/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/doc.h"

int ibb_doc_check_request(const struct ibb_request *q, bool image, bool sizes,
			  struct ibb_error *err)
{
	if (!q || q->struct_bytes != sizeof(*q))
		return ibb_err(err, IBB_E_INVALID, "request of another version of the library");
	if (image && !q->image)
		return ibb_err(err, IBB_E_INVALID, "no image was named");
	if (sizes && !q->n_sizes)
		return ibb_err(err, IBB_E_INVALID, "no size was named");
	return IBB_OK;
}

int ibb_doc_print(struct ibb_jb *b, char **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	IBB_AUTO_BUF struct ibb_buf text = {0};
	int r = ibb_jb_done(b, &doc, err);

	if (!r)
		r = ibb_json_print(doc, &text, err);
	if (r)
		return r;
	*ret = ibb_buf_take_str(&text);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

struct ibb_json *ibb_doc_begin(struct ibb_jb *b, const char *schema)
{
	struct ibb_json *root = ibb_jb_object(b, NULL, NULL);

	ibb_jb_str(b, root, "schema", schema);
	return root;
}
