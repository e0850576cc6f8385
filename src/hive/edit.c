/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Setting and removing values. */
#include "hive/hive_int.h"

#include <string.h>

void hv_set_time(struct ibb_hive *h, uint32_t key, uint64_t time)
{
	ibb_put_le64(hv_mut(h, key) + NK_TIME, time);
	h->edited = true;
}

static void raise(uint8_t *field, uint32_t v)
{
	if (ibb_get_le32(field) < v)
		ibb_put_le32(field, v);
}

/* ---- data ---- */

static bool is_big(const struct ibb_hive *h, size_t n)
{
	return n > DB_SEGMENT && h->header.minor >= 4;
}

static uint32_t n_segments(size_t n)
{
	return (uint32_t)((n + DB_SEGMENT - 1) / DB_SEGMENT);
}

static void need_data(const struct ibb_hive *h, struct hv_need *need, size_t n)
{
	if (!is_big(h, n)) {
		hv_need_cell(need, n);
		return;
	}
	hv_need_cell(need, DB_LEN);
	hv_need_cell(need, 4ull * n_segments(n));
	for (uint32_t i = 0; i < n_segments(n); i++)
		hv_need_cell(need, DB_SEGMENT);
}

static uint32_t alloc_data(struct ibb_hive *h, struct ibb_bytes data)
{
	uint32_t cell, list, n = n_segments(data.len);

	if (!is_big(h, data.len)) {
		cell = hv_alloc(h, (uint32_t)data.len);
		memcpy(hv_mut(h, cell), data.data, data.len);
		return cell;
	}
	cell = hv_alloc(h, DB_LEN);
	list = hv_alloc(h, 4 * n);
	memcpy(hv_mut(h, cell), "db", 2);
	ibb_put_le16(hv_mut(h, cell) + DB_N, (uint16_t)n);
	ibb_put_le32(hv_mut(h, cell) + DB_LIST, list);
	for (uint32_t i = 0; i < n; i++) {
		size_t at = (size_t)i * DB_SEGMENT, left = data.len - at;
		size_t part = left < DB_SEGMENT ? left : DB_SEGMENT;
		/* A whole cell for the last segment as well: so does Windows, and other readers
		 * count on four bytes behind the data. */
		uint32_t seg = hv_alloc(h, DB_SEGMENT);

		memcpy(hv_mut(h, seg), data.data + at, part);
		ibb_put_le32(hv_mut(h, list) + 4 * (size_t)i, seg);
	}
	return cell;
}

static void free_data(struct ibb_hive *h, const struct hv_value *v)
{
	const uint8_t *segments;
	uint32_t n, list;

	if (v->data_cell == HV_NONE)
		return;
	if (v->big) {
		IBB_ASSERT(!hv_big(h, v, &segments, &n, &list, NULL));
		for (uint32_t i = 0; i < n; i++)
			hv_free(h, ibb_get_le32(hv_ptr(h, list) + 4 * (size_t)i));
		hv_free(h, list);
	}
	hv_free(h, v->data_cell);
}

/* Give a value its data; the cell of the old data is used again where it fits well. */
static void store_data(struct ibb_hive *h, const struct hv_value *v, uint32_t type,
		       struct ibb_bytes data)
{
	uint32_t n = (uint32_t)data.len, old = v->data_cell;
	uint8_t *p = hv_mut(h, v->off);

	ibb_put_le32(p + VK_TYPE, type);
	if (old != HV_NONE && !v->big && n > 4 && !is_big(h, n) && hv_capacity(h, old) >= n &&
	    hv_capacity(h, old) - n < 256) {
		memcpy(hv_mut(h, old), data.data, n);
		memset(hv_mut(h, old) + n, 0, hv_capacity(h, old) - n);
		ibb_put_le32(p + VK_SIZE, n);
		return;
	}
	free_data(h, v);
	if (n > 4) {
		ibb_put_le32(p + VK_SIZE, n);
		ibb_put_le32(p + VK_DATA, alloc_data(h, data));
		return;
	}
	ibb_put_le32(p + VK_SIZE, n | VK_RESIDENT);
	ibb_put_le32(p + VK_DATA, 0);
	if (n)
		memcpy(p + VK_DATA, data.data, n);
}

/* ---- values ---- */

static uint32_t new_vk(struct ibb_hive *h, const struct hv_name *name)
{
	bool comp = hv_name_compressible(name);
	uint32_t vk = hv_alloc(h, VK_NAME + (comp ? name->n : 2 * name->n));
	uint8_t *p = hv_mut(h, vk);

	memcpy(p, "vk", 2);
	ibb_put_le16(p + VK_NAME_LEN, (uint16_t)hv_name_store(name, comp, p + VK_NAME));
	/* the default value has no name and no flag */
	ibb_put_le16(p + VK_FLAGS, comp && name->n ? VK_COMP_NAME : 0);
	return vk;
}

/* Append to the value list of a key that has n values. */
static void list_append(struct ibb_hive *h, uint32_t key, uint32_t n, uint32_t vk)
{
	uint8_t *nk = hv_mut(h, key);
	uint32_t list;

	if (n)
		list = hv_regrow(h, ibb_get_le32(nk + NK_VALUES), 4 * (n + 1), 4 * n);
	else
		list = hv_alloc(h, 4);
	ibb_put_le32(hv_mut(h, list) + 4 * (size_t)n, vk);
	ibb_put_le32(nk + NK_VALUES, list);
	ibb_put_le32(nk + NK_N_VALUES, n + 1);
}

static int check_value_key(const struct ibb_hive *h, const struct hv_key *k, struct ibb_error *err)
{
	if (!hv_key_flag(k, NK_PREDEF_HANDLE))
		return IBB_OK;
	return ibb_err(err, IBB_E_UNSUPPORTED,
		       "hive %s: key at 0x%x stands for a predefined handle and has no values of "
		       "its own",
		       h->name, k->off);
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
		r = check_value_key(h, &key, err);
	if (!r)
		r = hv_find_value(h, &key, name, &v, &i, err);
	if (r)
		return r;
	need_data(h, &need, data.len);
	if (v.off == HV_NONE) {
		hv_need_cell(&need, VK_NAME + 2ull * name->n);
		hv_need_regrow(&need, 4ull * (i + 1));
	}
	r = hv_reserve(h, &need, err);
	if (r)
		return r;
	if (v.off == HV_NONE) {
		v = (struct hv_value){.off = new_vk(h, name), .data_cell = HV_NONE};
		list_append(h, k, i, v.off);
	}
	store_data(h, &v, type, data);
	raise(hv_mut(h, k) + NK_MAX_VALUE_NAME, 2 * name->n);
	raise(hv_mut(h, k) + NK_MAX_VALUE_DATA, (uint32_t)data.len);
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

	size_t limit = h->header.minor >= 4 ? IBB_LIMIT_HIVE_VALUE_BYTES : IBB_LIMIT_HIVE_13_VALUE;

	if (n > limit)
		return ibb_err(err, IBB_E_LIMIT,
			       "hive %s: value '%s' of %zu bytes is larger than %zu, which is not "
			       "supported",
			       h->name, value, n, limit);
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
	uint8_t *nk = hv_mut(h, key), *p;
	uint32_t n = ibb_get_le32(nk + NK_N_VALUES), list = ibb_get_le32(nk + NK_VALUES);

	free_data(h, v);
	hv_free(h, v->off);
	ibb_put_le32(nk + NK_N_VALUES, n - 1);
	if (n == 1) {
		hv_free(h, list);
		ibb_put_le32(nk + NK_VALUES, HV_NONE);
		ibb_put_le32(nk + NK_MAX_VALUE_NAME, 0);
		ibb_put_le32(nk + NK_MAX_VALUE_DATA, 0);
		return;
	}
	p = hv_mut(h, list);
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
	/* only the index of free cells may want memory from here on */
	r = hv_reserve(h, &(struct hv_need){0}, err);
	if (r)
		return r;
	remove_value(h, k, &v, i);
	hv_set_time(h, k, time);
	return IBB_OK;
}
