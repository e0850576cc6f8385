/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Setting and removing values. */
#include "hive/hive_int.h"

#include <string.h>

void hv_set_time(struct ibb_hive *h, uint32_t key, uint64_t time)
{
	ibb_put_le64(hv_ptr(h, key) + NK_TIME, time);
	h->edited = true;
}

static void raise(uint8_t *field, uint32_t v)
{
	if (ibb_get_le32(field) < v)
		ibb_put_le32(field, v);
}

/* Give a value its data; the cell of the old data is used again where it fits well. */
static void store_data(struct ibb_hive *h, uint32_t vk, uint32_t old, uint32_t type,
		       struct ibb_bytes data)
{
	uint32_t n = (uint32_t)data.len, cell = HV_NONE;
	uint8_t *p = hv_ptr(h, vk);

	ibb_put_le32(p + VK_TYPE, type);
	if (old != HV_NONE && n > 4 && hv_capacity(h, old) >= n && hv_capacity(h, old) - n < 256) {
		cell = old;
		memset(hv_ptr(h, cell) + n, 0, hv_capacity(h, cell) - n);
	} else {
		if (old != HV_NONE)
			hv_free(h, old);
		if (n > 4)
			cell = hv_alloc(h, n);
	}
	if (cell != HV_NONE) {
		memcpy(hv_ptr(h, cell), data.data, n);
		ibb_put_le32(p + VK_SIZE, n);
		ibb_put_le32(p + VK_DATA, cell);
		return;
	}
	ibb_put_le32(p + VK_SIZE, n | VK_RESIDENT);
	ibb_put_le32(p + VK_DATA, 0);
	if (n)
		memcpy(p + VK_DATA, data.data, n);
}

static uint32_t new_vk(struct ibb_hive *h, const struct hv_name *name)
{
	bool comp = hv_name_compressible(name);
	uint32_t vk = hv_alloc(h, VK_NAME + (comp ? name->n : 2 * name->n));
	uint8_t *p = hv_ptr(h, vk);

	memcpy(p, "vk", 2);
	ibb_put_le16(p + VK_NAME_LEN, (uint16_t)hv_name_store(name, comp, p + VK_NAME));
	/* the default value has no name and no flag */
	ibb_put_le16(p + VK_FLAGS, comp && name->n ? VK_COMP_NAME : 0);
	return vk;
}

/* Append to the value list of a key that has n values. */
static void list_append(struct ibb_hive *h, uint32_t key, uint32_t n, uint32_t vk)
{
	uint8_t *nk = hv_ptr(h, key);
	uint32_t list;

	if (n)
		list = hv_regrow(h, ibb_get_le32(nk + NK_VALUES), 4 * (n + 1), 4 * n);
	else
		list = hv_alloc(h, 4);
	ibb_put_le32(hv_ptr(h, list) + 4 * (size_t)n, vk);
	ibb_put_le32(nk + NK_VALUES, list);
	ibb_put_le32(nk + NK_N_VALUES, n + 1);
}

static int refuse_big(const struct ibb_hive *h, uint32_t off, uint32_t size, struct ibb_error *err)
{
	return ibb_err(err, IBB_E_UNSUPPORTED,
		       "hive %s: value at 0x%x holds big data (%u bytes), which is not replaced or "
		       "deleted",
		       h->name, off, size);
}

static int set_value(struct ibb_hive *h, ibb_key k, const struct hv_name *name, uint32_t type,
		     struct ibb_bytes data, uint64_t time, struct ibb_error *err)
{
	struct hv_need need = {0};
	struct hv_value v;
	struct hv_key key;
	uint32_t i;
	int r = hv_key(h, k, &key, err);

	if (!r)
		r = hv_find_value(h, &key, name, &v, &i, err);
	if (r)
		return r;
	if (v.off != HV_NONE && v.big)
		return refuse_big(h, v.off, v.size, err);
	hv_need_cell(&need, data.len);
	if (v.off == HV_NONE) {
		hv_need_cell(&need, VK_NAME + 2ull * name->n);
		hv_need_regrow(&need, 4ull * (i + 1));
	}
	r = hv_reserve(h, &need, err);
	if (r)
		return r;
	if (v.off == HV_NONE) {
		v.off = new_vk(h, name);
		v.data_cell = HV_NONE;
		list_append(h, k, i, v.off);
	}
	store_data(h, v.off, v.data_cell, type, data);
	raise(hv_ptr(h, k) + NK_MAX_VALUE_NAME, 2 * name->n);
	raise(hv_ptr(h, k) + NK_MAX_VALUE_DATA, (uint32_t)data.len);
	hv_set_time(h, k, time);
	return IBB_OK;
}

int ibb_hive_set(struct ibb_hive *h, ibb_key k, const char *value, uint32_t type, const void *data,
		 size_t n, uint64_t time, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *copy = NULL;
	IBB_AUTO_BUF struct ibb_buf buf = {0};
	const uint8_t *p = data;
	struct hv_name name;
	int r;

	if (n > IBB_LIMIT_HIVE_VALUE_BYTES)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "hive %s: value '%s' of %zu bytes is larger than %u, which is not "
			       "supported",
			       h->name, value, n, IBB_LIMIT_HIVE_VALUE_BYTES);
	r = hv_begin_edit(h, err);
	if (!r)
		r = hv_name_encode(value, &buf, &name, err);
	if (r)
		return r;
	if (name.n > 16383)
		return ibb_err(err, IBB_E_INVALID,
			       "hive %s: value name of %u characters (16383 are allowed)", h->name,
			       name.n);
	/* data of another value of this hive moves when the hive grows */
	if (n && p >= h->img && p < h->img + h->cap) {
		copy = ibb_memdup(p, n);
		if (!copy)
			return ibb_err_nomem(err);
		p = copy;
	}
	return set_value(h, k, &name, type, (struct ibb_bytes){p, n}, time, err);
}

static void remove_value(struct ibb_hive *h, uint32_t key, const struct hv_value *v, uint32_t i)
{
	uint8_t *nk = hv_ptr(h, key), *p;
	uint32_t n = ibb_get_le32(nk + NK_N_VALUES), list = ibb_get_le32(nk + NK_VALUES);

	if (v->data_cell != HV_NONE)
		hv_free(h, v->data_cell);
	hv_free(h, v->off);
	ibb_put_le32(nk + NK_N_VALUES, n - 1);
	if (n == 1) {
		hv_free(h, list);
		ibb_put_le32(nk + NK_VALUES, HV_NONE);
		ibb_put_le32(nk + NK_MAX_VALUE_NAME, 0);
		ibb_put_le32(nk + NK_MAX_VALUE_DATA, 0);
		return;
	}
	p = hv_ptr(h, list);
	memmove(p + 4 * (size_t)i, p + 4 * (size_t)(i + 1), 4 * (size_t)(n - i - 1));
	ibb_put_le32(p + 4 * (size_t)(n - 1), 0);
}

int ibb_hive_unset(struct ibb_hive *h, ibb_key k, const char *value, uint64_t time,
		   struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf buf = {0};
	struct hv_name name;
	struct hv_value v;
	struct hv_key key;
	uint32_t i;
	int r = hv_begin_edit(h, err);

	if (!r)
		r = hv_name_encode(value, &buf, &name, err);
	if (!r)
		r = hv_key(h, k, &key, err);
	if (!r)
		r = hv_find_value(h, &key, &name, &v, &i, err);
	if (r)
		return r;
	if (v.off == HV_NONE)
		return ibb_err(err, IBB_E_NOTFOUND, "hive %s: no value '%s'", h->name, value);
	if (v.big)
		return refuse_big(h, v.off, v.size, err);
	remove_value(h, k, &v, i);
	hv_set_time(h, k, time);
	return IBB_OK;
}
