/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the XML data says of a Windows. Whenever something is added to the root of an image, wimlib
 * (1.13.6) reads kernel32.dll and the hives and writes anew what it makes of them: DISPLAYNAME
 * becomes the registry's ProductName, which calls Windows 11 "Windows 10 Pro", FLAGS the EditionID,
 * and so on. Nothing of that is ours to change, so it is put back.
 */
#include "volume/wim_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"

/* Elements that it makes when they are not there, to hold the others. */
static const char *const holders[] = {"WINDOWS", "WINDOWS/VERSION", "WINDOWS/LANGUAGES"};
static const char *const names[] = {"FLAGS",
				    "DISPLAYNAME",
				    "DISPLAYDESCRIPTION",
				    "WINDOWS/ARCH",
				    "WINDOWS/EDITIONID",
				    "WINDOWS/INSTALLATIONTYPE",
				    "WINDOWS/PRODUCTNAME",
				    "WINDOWS/PRODUCTTYPE",
				    "WINDOWS/PRODUCTSUITE",
				    "WINDOWS/HAL",
				    "WINDOWS/SYSTEMROOT",
				    "WINDOWS/VERSION/MAJOR",
				    "WINDOWS/VERSION/MINOR",
				    "WINDOWS/VERSION/BUILD",
				    "WINDOWS/VERSION/SPBUILD",
				    "WINDOWS/VERSION/SPLEVEL",
				    "WINDOWS/LANGUAGES/DEFAULT"};
#define N_NAMES	      IBB_ARRAY_SIZE(names)
#define MAX_LANGUAGES 64u /* interface languages of one Windows; there are some forty */

_Static_assert(N_NAMES + MAX_LANGUAGES == WIM_PROPS, "one value each");

static const char *name_of(size_t i, char buf[48])
{
	if (i < N_NAMES)
		return names[i];
	snprintf(buf, 48, "WINDOWS/LANGUAGES/LANGUAGE[%zu]", i - N_NAMES + 1);
	return buf;
}

void ibb_wim_props_clear(struct wim_props *p)
{
	for (size_t i = 0; i < WIM_PROPS; i++)
		free(p->values[i]);
	*p = (struct wim_props){0};
}

/* Which of the holders there are, by the XML data as the file has it. */
static int look_for_holders(struct ibb_wim *w, unsigned index, struct wim_props *p,
			    struct ibb_error *err)
{
	static const char *const tags[] = {"<WINDOWS>", "<VERSION>", "<LANGUAGES>"};
	IBB_AUTO_BUF struct ibb_buf text = {0};
	IBB_AUTO_BUF struct ibb_buf image = {0};
	void *raw = NULL;
	size_t n = 0;
	int code = wimlib_get_xml_data(w->lib, &raw, &n), r;

	if (code)
		return ibb_wim_fail(w, code, err, "XML data");
	r = ibb_utf8_append(&text, raw, n) ? ibb_err_nomem(err) : IBB_OK;
	free(raw);
	if (!r)
		r = ibb_wim_xml_canonical((const char *)text.data, text.len, index, false, &image,
					  err);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(tags) && !r; i++)
		p->held[i] = image.len && memmem(image.data, image.len, tags[i], strlen(tags[i]));
	return r;
}

int ibb_wim_props_save(struct ibb_wim *w, unsigned index, struct wim_props *ret,
		       struct ibb_error *err)
{
	struct wim_props p = {0};
	char buf[48];
	int r = look_for_holders(w, index, &p, err);

	for (size_t i = 0; i < WIM_PROPS && !r; i++) {
		const char *v = wimlib_get_image_property(w->lib, (int)index, name_of(i, buf));

		p.values[i] = v ? ibb_strdup(v) : NULL;
		if (v && !p.values[i])
			r = ibb_err_nomem(err);
	}
	if (r)
		ibb_wim_props_clear(&p);
	else
		*ret = p;
	return r;
}

static int set(struct ibb_wim *w, unsigned index, const char *name, const char *value,
	       struct ibb_error *err)
{
	int code = wimlib_set_image_property(w->lib, (int)index, name, value);

	return code ? ibb_wim_fail(w, code, err, "image %u: keep its %s", index, name) : IBB_OK;
}

/* From the last language to the first: what is removed moves those behind it up. */
int ibb_wim_props_restore(struct ibb_wim *w, unsigned index, const struct wim_props *p,
			  struct ibb_error *err)
{
	char buf[48];
	int r = IBB_OK;

	for (size_t i = WIM_PROPS; i-- > 0 && !r;) {
		const char *name = name_of(i, buf), *was = p->values[i];
		const char *is = wimlib_get_image_property(w->lib, (int)index, name);

		if (was ? !is || strcmp(was, is) != 0 : is != NULL)
			r = set(w, index, name, was, err);
	}
	for (size_t i = IBB_ARRAY_SIZE(holders); i-- > 0 && !r;)
		if (!p->held[i])
			r = set(w, index, holders[i], NULL, err);
	return r;
}
