/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "driver/configure_int.h"

#include <string.h>

#include "base/le.h"
#include "base/utf16.h"

/* Move a scratch buffer into the arena. */
static int keep(struct ibb_arena *a, const struct ibb_buf *b, struct ibb_bytes *ret)
{
	uint8_t *p = ibb_arena_alloc(a, b->len);

	if (!p)
		return IBB_E_NOMEM;
	if (b->len)
		memcpy(p, b->data, b->len);
	*ret = (struct ibb_bytes){p, b->len};
	return IBB_OK;
}

static int fail(struct ibb_error *err, int rc, const char *s)
{
	if (rc == IBB_E_INVALID)
		return ibb_err(err, IBB_E_CORRUPT, "'%.80s' cannot be stored as UTF-16", s);
	return ibb_err_nomem(err);
}

int ibb_cfg_sz(struct ibb_arena *a, const char *s, struct ibb_bytes *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	int rc = ibb_utf16le_append(&b, s);

	if (!rc)
		rc = ibb_buf_append_zero(&b, 2);
	if (!rc)
		rc = keep(a, &b, ret);
	return rc ? fail(err, rc, s) : IBB_OK;
}

int ibb_cfg_multi_sz(struct ibb_arena *a, const struct ibb_string_list *list, struct ibb_bytes *ret,
		     struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	int rc = IBB_OK;

	for (size_t i = 0; i < list->n; i++) {
		rc = ibb_utf16le_append(&b, list->items[i]);
		if (!rc)
			rc = ibb_buf_append_zero(&b, 2);
		if (rc)
			return fail(err, rc, list->items[i]);
	}
	rc = ibb_buf_append_zero(&b, 2);
	if (!rc)
		rc = keep(a, &b, ret);
	return rc ? ibb_err_nomem(err) : IBB_OK;
}

int ibb_cfg_dword(struct ibb_arena *a, uint32_t v, struct ibb_bytes *ret, struct ibb_error *err)
{
	uint8_t *p = ibb_arena_alloc(a, 4);

	if (!p)
		return ibb_err_nomem(err);
	ibb_put_le32(p, v);
	*ret = (struct ibb_bytes){p, 4};
	return IBB_OK;
}

/* The text up to the first U+0000; *used is what it takes with its terminator. */
static int text(struct ibb_arena *a, struct ibb_bytes b, const char **ret, size_t *used)
{
	IBB_AUTO_BUF struct ibb_buf utf8 = {0};
	size_t n = 0;

	while (n + 2 <= b.len && ibb_get_le16(b.data + n))
		n += 2;
	if (n + 2 > b.len)
		return IBB_E_CORRUPT;
	if (ibb_utf8_append(&utf8, b.data, n))
		return IBB_E_NOMEM;
	*ret = ibb_arena_strndup(a, utf8.len ? (const char *)utf8.data : "", utf8.len);
	*used = n + 2;
	return *ret ? IBB_OK : IBB_E_NOMEM;
}

int ibb_cfg_read_sz(struct ibb_arena *a, struct ibb_bytes b, const char **ret)
{
	const char *s = NULL;
	size_t used;
	int rc = text(a, b, &s, &used);

	if (!rc && used != b.len)
		rc = IBB_E_CORRUPT;
	if (!rc)
		*ret = s;
	return rc;
}

int ibb_cfg_read_multi_sz(struct ibb_arena *a, struct ibb_bytes b, struct ibb_string_list *ret)
{
	size_t n = 0, used, off = 0;
	const char **items;

	for (size_t i = 0; i + 2 <= b.len; i += 2)
		n += !ibb_get_le16(b.data + i);
	if (!n)
		return IBB_E_CORRUPT;
	items = ibb_arena_array(a, n, sizeof(*items));
	if (!items)
		return IBB_E_NOMEM;
	for (size_t i = 0; i + 1 < n; i++) {
		int rc = text(a, (struct ibb_bytes){b.data + off, b.len - off}, &items[i], &used);

		if (rc)
			return rc;
		if (used <= 2) /* an empty string: not what a list is made of */
			return IBB_E_CORRUPT;
		off += used;
	}
	if (off + 2 != b.len)
		return IBB_E_CORRUPT;
	*ret = (struct ibb_string_list){n - 1, items};
	return IBB_OK;
}

int ibb_cfg_read_dword(struct ibb_bytes b, uint32_t *ret)
{
	if (b.len != 4)
		return IBB_E_CORRUPT;
	*ret = ibb_get_le32(b.data);
	return IBB_OK;
}

int ibb_cfg_push(struct ibb_configure_values *list, const struct ibb_configure_value *v,
		 struct ibb_error *err)
{
	if (ibb_grow(&list->items, &list->cap, list->n, sizeof(*list->items)))
		return ibb_err_nomem(err);
	list->items[list->n++] = *v;
	return IBB_OK;
}

int ibb_cfg_push_sz(struct ibb_configure_values *list, struct ibb_arena *a,
		    struct ibb_configure_value v, const char *s, struct ibb_error *err)
{
	int rc = ibb_cfg_sz(a, s, &v.data, err);

	v.type = v.type ? v.type : CFG_SZ;
	return rc ? rc : ibb_cfg_push(list, &v, err);
}

int ibb_cfg_push_dword(struct ibb_configure_values *list, struct ibb_arena *a,
		       struct ibb_configure_value v, uint32_t n, struct ibb_error *err)
{
	int rc = ibb_cfg_dword(a, n, &v.data, err);

	v.type = v.type ? v.type : CFG_DWORD;
	return rc ? rc : ibb_cfg_push(list, &v, err);
}

int ibb_cfg_push_multi(struct ibb_configure_values *list, struct ibb_arena *a,
		       struct ibb_configure_value v, const struct ibb_string_list *s,
		       struct ibb_error *err)
{
	int rc = ibb_cfg_multi_sz(a, s, &v.data, err);

	v.type = CFG_MULTI_SZ;
	return rc ? rc : ibb_cfg_push(list, &v, err);
}

const char *ibb_cfg_evidence(struct ibb_arena *a, const struct ibb_inf *inf, unsigned line,
			     const char *what)
{
	return ibb_arena_printf(a, "%s:%u: %s", ibb_inf_name(inf), line, what);
}
