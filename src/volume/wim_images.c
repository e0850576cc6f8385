/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the XML data says of the images, and which of them somebody means. */
#include "volume/wim_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"

/* ---- XML data ---- */

/* Texts reach messages and terminals: what is not plain, or endless, is as if it were not said. */
static int text_of(const struct ibb_wim *w, unsigned index, const char *property, char **ret)
{
	const char *s = wimlib_get_image_property(w->lib, (int)index, property);

	if (!s || !*s || strlen(s) > IBB_LIMIT_WIM_TEXT || !ibb_utf8_is_plain(s, strlen(s)))
		return IBB_OK;
	*ret = ibb_strdup(s);
	return *ret ? IBB_OK : IBB_E_NOMEM;
}

static bool number_of(const struct ibb_wim *w, unsigned index, const char *property, uint64_t max,
		      uint64_t *ret)
{
	const char *s = wimlib_get_image_property(w->lib, (int)index, property);
	uint64_t v = 0;

	if (!s || !*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || !ibb_mul_u64(v, 10, &v) ||
		    !ibb_add_u64(v, (uint64_t)(*s - '0'), &v))
			return false;
	}
	if (v > max)
		return false;
	*ret = v;
	return true;
}

static unsigned small_number(const struct ibb_wim *w, unsigned index, const char *property)
{
	uint64_t v = 0;

	(void)number_of(w, index, property, UINT32_MAX, &v);
	return (unsigned)v;
}

static int read_texts(const struct ibb_wim *w, struct ibb_wim_image *im)
{
	const struct {
		const char *property;
		char **to;
	} texts[] = {
		{"NAME", &im->name},
		{"DESCRIPTION", &im->description},
		{"DISPLAYNAME", &im->display_name},
		{"FLAGS", &im->flags},
		{"WINDOWS/PRODUCTNAME", &im->product_name},
		{"WINDOWS/EDITIONID", &im->edition},
		{"WINDOWS/INSTALLATIONTYPE", &im->installation_type},
	};
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < IBB_ARRAY_SIZE(texts); i++)
		rc = text_of(w, im->index, texts[i].property, texts[i].to);
	return rc;
}

static void read_numbers(const struct ibb_wim *w, struct ibb_wim_image *im)
{
	uint64_t arch = 0;

	im->major = small_number(w, im->index, "WINDOWS/VERSION/MAJOR");
	im->minor = small_number(w, im->index, "WINDOWS/VERSION/MINOR");
	im->build = small_number(w, im->index, "WINDOWS/VERSION/BUILD");
	im->spbuild = small_number(w, im->index, "WINDOWS/VERSION/SPBUILD");
	im->arch = number_of(w, im->index, "WINDOWS/ARCH", UINT16_MAX, &arch) ? (int)arch : -1;
	(void)number_of(w, im->index, "FILECOUNT", UINT64_MAX, &im->files);
	(void)number_of(w, im->index, "DIRCOUNT", UINT64_MAX, &im->directories);
	(void)number_of(w, im->index, "TOTALBYTES", UINT64_MAX, &im->total_bytes);
}

int ibb_wim_images_read(struct ibb_wim *w, struct ibb_error *err)
{
	w->images = ibb_calloc_array(w->info.images, sizeof(*w->images));
	if (!w->images)
		return ibb_err_nomem(err);
	for (unsigned i = 0; i < w->info.images; i++) {
		w->images[i].index = i + 1;
		if (read_texts(w, &w->images[i]))
			return ibb_err_nomem(err);
		read_numbers(w, &w->images[i]);
	}
	return IBB_OK;
}

void ibb_wim_image_clear(struct ibb_wim_image *im)
{
	free(im->name);
	free(im->description);
	free(im->display_name);
	free(im->flags);
	free(im->product_name);
	free(im->edition);
	free(im->installation_type);
}

const struct ibb_wim_image *ibb_wim_image(const struct ibb_wim *w, unsigned index)
{
	return index >= 1 && index <= w->info.images ? &w->images[index - 1] : NULL;
}

/* ---- which image ---- */

static bool index_of(const char *s, unsigned images, unsigned *ret)
{
	unsigned v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > IBB_LIMIT_WIM_IMAGES)
			return false;
		v = v * 10 + (unsigned)(*s - '0');
	}
	*ret = v;
	return v >= 1 && v <= images;
}

/* "1 'Windows 11 Pro', 2 'Windows 11 Home'": of those named `which`, or of all. */
static int list_images(const struct ibb_wim *w, const char *which, struct ibb_buf *out)
{
	const char *comma = "";
	int rc = IBB_OK;

	for (unsigned i = 0; !rc && i < w->info.images; i++) {
		const char *name = w->images[i].name;

		if (which && !(name && ibb_caseeq(name, which)))
			continue;
		rc = ibb_buf_printf(out, "%s%u", comma, i + 1);
		if (!rc && name && !which)
			rc = ibb_buf_printf(out, " '%s'", name);
		comma = ", ";
	}
	return rc;
}

static int find_failed(const struct ibb_wim *w, const char *which, unsigned found,
		       struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf names = {0};
	bool plain = ibb_utf8_is_plain(which, strlen(which));
	const char *list;

	if (list_images(w, found ? which : NULL, &names))
		return ibb_err_nomem(err);
	list = ibb_buf_cstr(&names);
	if (!list)
		return ibb_err_nomem(err);
	if (!found)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no image '%s'; it has: %s", w->name,
			       plain ? which : "?", list);
	(void)ibb_err(err, IBB_E_CONFLICT, "%s: several images are named '%s': %s", w->name,
		      plain ? which : "?", list);
	return ibb_err_hint(err, IBB_E_CONFLICT, "choose the image by its number");
}

int ibb_wim_find(const struct ibb_wim *w, const char *which, unsigned *ret, struct ibb_error *err)
{
	unsigned found = 0, index = 0;

	if (index_of(which, w->info.images, &index)) {
		*ret = index;
		return IBB_OK;
	}
	for (unsigned i = 0; i < w->info.images; i++) {
		if (!w->images[i].name || !ibb_caseeq(w->images[i].name, which))
			continue;
		index = i + 1;
		found++;
	}
	if (found != 1)
		return find_failed(w, which, found, err);
	*ret = index;
	return IBB_OK;
}
