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

/* ---- the XML data as the file has it, in canonical form ---- */

struct element {
	const char *p; /* its content */
	size_t n;
	bool attributes;
};

/*
 * The nth element of this name (from 1) right in `in`. Only tags have '<' and '>' in canonical
 * form.
 */
static bool child(struct element in, const char *name, size_t n_name, size_t nth,
		  struct element *ret)
{
	const char *const end = in.p + in.n, *p = in.p, *close;
	size_t depth = 0;
	bool found = false;

	while (in.n && (p = memchr(p, '<', (size_t)(end - p))) &&
	       (close = memchr(p, '>', (size_t)(end - p)))) {
		if (p[1] == '/') {
			if (!depth--)
				return false;
			if (found && !depth) {
				ret->n = (size_t)(p - ret->p);
				return true;
			}
		} else if (p[1] != '?' && p[1] != '!') {
			const size_t n = (size_t)(close - p) - 1;

			if (!found && !depth && n >= n_name && !memcmp(p + 1, name, n_name) &&
			    (n == n_name || p[1 + n_name] == ' ') && !--nth) {
				*ret = (struct element){close + 1, 0, n != n_name};
				found = true;
			}
			depth++;
		}
		p = close + 1;
	}
	return false;
}

/* "WINDOWS/LANGUAGES/LANGUAGE[2]" in an image, as wimlib names it. */
static bool find(const struct ibb_buf *image, const char *path, struct element *ret)
{
	struct element e = {(const char *)image->data, image->len, false};
	bool found = image->len && child(e, "IMAGE", 5, 1, &e);

	while (found && *path) {
		const size_t all = strcspn(path, "/"), n = strcspn(path, "/[");
		const size_t nth = n < all ? strtoul(path + n + 1, NULL, 10) : 1;

		found = child(e, path, n, nth, &e);
		path += all + (path[all] == '/');
	}
	if (found)
		*ret = e;
	return found;
}

/* As text: canonical form has three references. */
static char *text_of(const struct element *e)
{
	char *s = ibb_strndup(e->p, e->n), *to = s;

	for (const char *p = s; s && *p; to++) {
		const unsigned n = !strncmp(p, "&lt;", 4)    ? 4
				   : !strncmp(p, "&gt;", 4)  ? 4
				   : !strncmp(p, "&amp;", 5) ? 5
							     : 1;

		*to = n == 1 ? *p : n == 5 ? '&' : p[1] == 'l' ? '<' : '>';
		p += n;
	}
	if (s)
		*to = '\0';
	return s;
}

static int canonical_image(struct ibb_wim *w, unsigned index, struct ibb_buf *ret,
			   struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf text = {0};
	void *raw = NULL;
	size_t n = 0;
	int code = wimlib_get_xml_data(w->lib, &raw, &n), r;

	if (code)
		return ibb_wim_fail(w, code, err, "XML data");
	r = ibb_utf8_append(&text, raw, n) ? ibb_err_nomem(err) : IBB_OK;
	free(raw);
	return r ? r
		 : ibb_wim_xml_canonical((const char *)text.data, text.len, index, false, ret, err);
}

/*
 * wimlib_get_image_property() does not see CDATA, and no text behind a comment. What is empty is
 * not there: wimlib takes an empty value as an order to remove the element.
 */
static int value_of(struct ibb_wim *w, unsigned index, const struct ibb_buf *image,
		    const char *name, char **ret, struct ibb_error *err)
{
	struct element e;

	if (!find(image, name, &e))
		return IBB_OK;
	if (memchr(e.p, '<', e.n) || !e.n)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s, image %u: its XML data has %s in element '%s', which a change "
			       "of the image would lose",
			       w->name, index, e.n ? "other elements" : "nothing but attributes",
			       name);
	*ret = text_of(&e);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

int ibb_wim_props_save(struct ibb_wim *w, unsigned index, struct wim_props *ret,
		       struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf image = {0};
	struct wim_props p = {0};
	struct element e;
	char buf[48];
	int r = canonical_image(w, index, &image, err);

	for (size_t i = 0; i < IBB_ARRAY_SIZE(holders) && !r; i++)
		p.held[i] = find(&image, holders[i], &e);
	for (size_t i = 0; i < WIM_PROPS && !r; i++)
		r = value_of(w, index, &image, name_of(i, buf), &p.values[i], err);
	if (r)
		ibb_wim_props_clear(&p);
	else
		*ret = p;
	return r;
}

/* ---- the XML data as wimlib has it in memory ---- */

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
