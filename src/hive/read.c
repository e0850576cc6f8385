/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reading half of hive.h. */
#include "hive/hive_int.h"

#include <string.h>

#include "base/utf16.h"

int ibb_hive_find(const struct ibb_hive *h, ibb_key from, const char *path, ibb_key *ret,
		  struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf buf = {0};
	struct hv_name rest, name;
	struct hv_pos pos;
	struct hv_key k;
	int r = hv_key(h, from, &k, err);

	if (!r)
		r = hv_name_encode(path, &buf, &rest, err);
	if (r)
		return r;
	while (rest.n) {
		r = hv_path_next(&rest, &name, err);
		if (!r)
			r = hv_find_child(h, &k, &name, &pos, err);
		if (r)
			return r;
		if (pos.child == HV_NONE)
			return ibb_err(err, IBB_E_NOTFOUND, "hive %s: no key '%s'", h->name, path);
		r = hv_key(h, pos.child, &k, err);
		if (r)
			return r;
	}
	*ret = k.off;
	return IBB_OK;
}

int ibb_hive_key_info(struct ibb_hive *h, ibb_key k, struct ibb_key_info *ret,
		      struct ibb_error *err)
{
	struct hv_key key;
	int r = hv_key(h, k, &key, err);

	if (r)
		return r;
	h->scratch.len = 0;
	if (hv_name_utf8(&key.name, &h->scratch))
		return ibb_err_nomem(err);
	*ret = (struct ibb_key_info){
		.name = (const char *)h->scratch.data,
		.last_written = ibb_get_le64(key.p + NK_TIME),
		.n_subkeys = hv_key_u32(&key, NK_N_SUBKEYS),
		.n_values = hv_n_values(&key),
		.flags = ibb_get_le16(key.p + NK_FLAGS),
		.security_cell = hv_key_u32(&key, NK_SECURITY),
		.is_link = hv_key_flag(&key, NK_SYM_LINK),
	};
	return IBB_OK;
}

int ibb_hive_subkeys(const struct ibb_hive *h, ibb_key k, ibb_subkey_fn fn, void *ctx,
		     struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf name = {0};
	struct hv_key key, child;
	struct hv_iter it;
	int r = hv_key(h, k, &key, err);

	if (!r)
		r = hv_iter_begin(&it, h, &key, err);
	while (!r) {
		r = hv_iter_next(&it, &child, err);
		if (r || child.off == HV_NONE)
			break;
		name.len = 0;
		if (hv_name_utf8(&child.name, &name))
			return ibb_err_nomem(err);
		r = fn(ctx, child.off, (const char *)name.data, err);
	}
	return r;
}

int ibb_hive_values(const struct ibb_hive *h, ibb_key k, ibb_value_fn fn, void *ctx,
		    struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf name = {0}, tmp = {0};
	struct ibb_bytes data;
	const uint8_t *list;
	struct hv_key key;
	struct hv_value v;
	uint32_t n = 0;
	int r = hv_key(h, k, &key, err);

	if (!r)
		r = hv_values(h, &key, &list, &n, err);
	for (uint32_t i = 0; i < n && !r; i++) {
		r = hv_value(h, ibb_get_le32(list + 4 * (size_t)i), &v, err);
		if (!r)
			r = hv_value_data(h, &v, &tmp, &data, err);
		if (r)
			return r;
		name.len = 0;
		if (hv_name_utf8(&v.name, &name))
			return ibb_err_nomem(err);
		r = fn(ctx, &(struct ibb_value){(const char *)name.data, v.type, data.data, v.size},
		       err);
	}
	return r;
}

/* A value of a key and its data. */
static int lookup(const struct ibb_hive *h, ibb_key k, const char *value, struct hv_value *ret,
		  struct ibb_buf *tmp, struct ibb_bytes *ret_data, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf buf = {0};
	struct hv_name name;
	struct hv_value v;
	struct hv_key key;
	uint32_t i;
	int r = hv_key(h, k, &key, err);

	if (!r)
		r = hv_name_encode(value, &buf, &name, err);
	if (!r)
		r = hv_find_value(h, &key, &name, &v, &i, err);
	if (r)
		return r;
	if (v.off == HV_NONE)
		return ibb_err(err, IBB_E_NOTFOUND, "hive %s: no value '%s'", h->name, value);
	r = hv_value_data(h, &v, tmp, ret_data, err);
	if (!r)
		*ret = v;
	return r;
}

int ibb_hive_get(const struct ibb_hive *h, ibb_key k, const char *value, uint32_t *ret_type,
		 struct ibb_buf *ret_data, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf tmp = {0};
	struct ibb_bytes data;
	struct hv_value v;
	int r = lookup(h, k, value, &v, &tmp, &data, err);

	if (r)
		return r;
	if (ret_data && ibb_buf_append(ret_data, data.data, data.len))
		return ibb_err_nomem(err);
	if (ret_type)
		*ret_type = v.type;
	return IBB_OK;
}

int ibb_hive_get_dword(const struct ibb_hive *h, ibb_key from, const char *path, const char *value,
		       uint32_t *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf tmp = {0};
	struct ibb_bytes data;
	struct hv_value v;
	ibb_key k;
	int r = ibb_hive_find(h, from, path, &k, err);

	if (!r)
		r = lookup(h, k, value, &v, &tmp, &data, err);
	if (r)
		return r;
	if (v.type != IBB_REG_DWORD || data.len != 4)
		return ibb_err(err, IBB_E_CORRUPT,
			       "hive %s: value '%s' of key '%s' should be a REG_DWORD of 4 bytes, "
			       "is type %u of %zu bytes",
			       h->name, value, path, v.type, data.len);
	*ret = ibb_get_le32(data.data);
	return IBB_OK;
}

int ibb_hive_get_string(const struct ibb_hive *h, ibb_key from, const char *path, const char *value,
			char **ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf tmp = {0};
	struct ibb_bytes data;
	struct hv_value v;
	ibb_key k;
	char *s;
	int r = ibb_hive_find(h, from, path, &k, err);

	if (!r)
		r = lookup(h, k, value, &v, &tmp, &data, err);
	if (r)
		return r;
	if ((v.type != IBB_REG_SZ && v.type != IBB_REG_EXPAND_SZ) || data.len % 2)
		return ibb_err(err, IBB_E_CORRUPT,
			       "hive %s: value '%s' of key '%s' should be a string, is type %u of "
			       "%zu bytes",
			       h->name, value, path, v.type, data.len);
	s = ibb_utf8_from_utf16le(data.data, data.len);
	if (!s)
		return ibb_err_nomem(err);
	*ret = s;
	return IBB_OK;
}

int ibb_hive_get_security(const struct ibb_hive *h, ibb_key k, struct ibb_bytes *ret,
			  struct ibb_error *err)
{
	struct hv_key key;
	struct hv_sk sk;
	int r = hv_key(h, k, &key, err);

	if (!r)
		r = hv_sk(h, hv_key_u32(&key, NK_SECURITY), &sk, err);
	if (!r)
		*ret = sk.sd;
	return r;
}
