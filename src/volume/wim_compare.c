/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is everything that nobody asked to change as it was? The header, the XML data, the names. */
#include "volume/wim_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"

#define FLAG_WRITE 0x40u /* of the header: write in progress */

struct pair {
	struct ibb_wim *before, *now;
	unsigned index;
	bool changed; /* the image: its counts may be others */
	struct ibb_error *err;
};

/* ---- XML data ---- */

static int xml_of(struct ibb_wim *w, struct ibb_buf *ret, struct ibb_error *err)
{
	void *raw = NULL;
	size_t n = 0, bom;
	int code = wimlib_get_xml_data(w->lib, &raw, &n), r;

	if (code)
		return ibb_wim_fail(w, code, err, "XML data");
	bom = n >= 2 && memcmp(raw, "\xff\xfe", 2) == 0 ? 2 : 0;
	r = ibb_utf8_append(ret, (const uint8_t *)raw + bom, n - bom);
	free(raw);
	return r ? ibb_err_nomem(err) : IBB_OK;
}

/* The element in which two texts differ, at `at`: the last tag before it. */
static void element_at(const struct ibb_buf *b, size_t at, char ret[64])
{
	size_t from = at < b->len ? at : b->len, n = 0;

	while (from && b->data[from - 1] != '<')
		from--;
	from += from < b->len && b->data[from] == '/';
	while (n < 63 && from + n < b->len && !strchr(" >/", b->data[from + n])) {
		ret[n] = (char)b->data[from + n];
		n++;
	}
	ret[n] = '\0';
}

static int compare_element(const struct pair *x, const struct ibb_buf *a, const struct ibb_buf *b,
			   unsigned image)
{
	IBB_AUTO_BUF struct ibb_buf was = {0};
	IBB_AUTO_BUF struct ibb_buf is = {0};
	const bool counts = !x->changed;
	char name[64];
	size_t at = 0;
	int r = ibb_wim_xml_canonical((const char *)a->data, a->len, image, counts, &was, x->err);

	if (!r)
		r = ibb_wim_xml_canonical((const char *)b->data, b->len, image, counts, &is,
					  x->err);
	if (r || (was.len == is.len && (!was.len || memcmp(was.data, is.data, was.len) == 0)))
		return r;
	while (at < was.len && at < is.len && was.data[at] == is.data[at])
		at++;
	element_at(was.len ? &was : &is, at, name);
	return ibb_err(x->err, IBB_E_DIFFERS,
		       "%s: image %u: the XML data%s is another one at element '%s'", x->now->name,
		       x->index, image ? "" : " outside of images",
		       ibb_utf8_is_plain(name, strlen(name)) ? name : "?");
}

static int compare_xml(const struct pair *x)
{
	IBB_AUTO_BUF struct ibb_buf was = {0};
	IBB_AUTO_BUF struct ibb_buf is = {0};
	int r = xml_of(x->before, &was, x->err);

	if (!r)
		r = xml_of(x->now, &is, x->err);
	if (!r)
		r = compare_element(x, &was, &is, x->index);
	return r ? r : compare_element(x, &was, &is, 0);
}

/* ---- the file ---- */

static int compare_header(const struct pair *x)
{
	const struct ibb_wim_info *a = &x->before->info, *b = &x->now->info;
	const uint32_t flags = x->before->header.flags ^ x->now->header.flags;
	const char *what = NULL;

	if (a->images != b->images)
		what = "the number of images";
	else if (!ibb_guid_equal(&a->guid, &b->guid))
		what = "the GUID";
	else if (strcmp(a->compression, b->compression) != 0)
		what = "the compression";
	else if (a->chunk_bytes != b->chunk_bytes)
		what = "the chunk size";
	else if (a->solid != b->solid)
		what = "whether it is solid";
	else if (a->pipable != b->pipable)
		what = "whether it is pipable";
	else if (a->integrity != b->integrity)
		what = "whether it has an integrity table";
	else if (a->boot_index != b->boot_index)
		what = "the image that boots";
	else if (a->part != b->part || a->parts != b->parts)
		what = "the number of its parts";
	else if (flags & ~FLAG_WRITE)
		what = "a flag of the header";
	else if (b->write_in_progress)
		what = "the flag of an unfinished write";
	return what ? ibb_err(x->err, IBB_E_DIFFERS, "%s: %s is another one than before",
			      x->now->name, what)
		    : IBB_OK;
}

int ibb_wim_compare(struct ibb_wim *before, struct ibb_wim *now, unsigned index,
		    const struct ibb_wim_changed *changed, struct ibb_error *err)
{
	const struct pair x = {.before = before,
			       .now = now,
			       .index = index,
			       .changed = changed && changed->n,
			       .err = err};
	int r;

	if (!index || index > before->info.images)
		return ibb_err(err, IBB_E_INVALID, "%s: no image %u", before->name, index);
	r = compare_header(&x);
	if (!r)
		r = compare_xml(&x);
	return r ? r : ibb_wim_compare_trees(before, now, index, changed, err);
}
