/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key values (vk), value lists, big data (db). */
#include "hive/hive_int.h"

#include <string.h>

static int value_data_cell(const struct ibb_hive *h, struct hv_value *v, const uint8_t *vk,
			   struct ibb_error *err)
{
	uint32_t raw = ibb_get_le32(vk + VK_SIZE), off = ibb_get_le32(vk + VK_DATA);
	int r;

	v->data_cell = HV_NONE;
	v->size = raw & ~VK_RESIDENT;
	if (raw & VK_RESIDENT) {
		if (v->size > 4)
			return hv_bad(h, v->off, err, "value keeps %u bytes in a field of 4",
				      v->size);
		v->data = vk + VK_DATA;
		return IBB_OK;
	}
	if (!v->size) { /* whatever the offset says, there is no cell to look at */
		v->data = vk + VK_DATA;
		return IBB_OK;
	}
	v->data_cell = off;
	v->big = v->size > DB_SEGMENT && h->header.minor >= 4;
	r = hv_cell(h, off, v->big ? DB_LEN : v->size, "value data", &v->data, NULL, err);
	if (!r && v->big) {
		if (v->data[0] != 'd' || v->data[1] != 'b')
			return hv_bad(h, off, err, "big data of %u bytes lacks its 'db' record",
				      v->size);
		v->data = NULL;
	}
	return r;
}

int hv_value(const struct ibb_hive *h, uint32_t off, struct hv_value *ret, struct ibb_error *err)
{
	struct hv_value v = {.off = off};
	const uint8_t *p;
	uint32_t len, n;
	bool comp;
	int r = hv_cell(h, off, VK_NAME, "key value", &p, &len, err);

	if (r)
		return r;
	if (p[0] != 'v' || p[1] != 'k')
		return hv_bad(h, off, err, "key value expected, signature is 0x%02x%02x", p[0],
			      p[1]);
	n = ibb_get_le16(p + VK_NAME_LEN);
	comp = ibb_get_le16(p + VK_FLAGS) & VK_COMP_NAME;
	if (n > len - VK_NAME)
		return hv_bad(h, off, err, "value name of %u bytes, the cell has room for %u", n,
			      len - VK_NAME);
	if (!comp && n % 2)
		return hv_bad(h, off, err, "value name length %u is odd", n);
	v.name = (struct hv_name){p + VK_NAME, comp ? n : n / 2, comp};
	v.type = ibb_get_le32(p + VK_TYPE);
	r = value_data_cell(h, &v, p, err);
	if (!r)
		*ret = v;
	return r;
}

int hv_values(const struct ibb_hive *h, const struct hv_key *k, const uint8_t **ret,
	      uint32_t *ret_n, struct ibb_error *err)
{
	uint32_t n = hv_n_values(k), len;
	const uint8_t *p = NULL;
	int r;

	if (n) {
		r = hv_cell(h, hv_key_u32(k, NK_VALUES), 4, "value list", &p, &len, err);
		if (r)
			return r;
		if (n > len / 4)
			return hv_bad(h, hv_key_u32(k, NK_VALUES), err,
				      "value list of %u entries, the cell has room for %u", n,
				      len / 4);
	}
	*ret = p;
	*ret_n = n;
	return IBB_OK;
}

int hv_find_value(const struct ibb_hive *h, const struct hv_key *k, const struct hv_name *name,
		  struct hv_value *ret, uint32_t *ret_i, struct ibb_error *err)
{
	const uint8_t *list;
	struct hv_value v;
	uint32_t n, i;
	int r = hv_values(h, k, &list, &n, err);

	if (r)
		return r;
	for (i = 0; i < n; i++) {
		r = hv_value(h, ibb_get_le32(list + 4 * (size_t)i), &v, err);
		if (r)
			return r;
		if (hv_name_eq(&v.name, name))
			break;
	}
	if (i == n)
		v = (struct hv_value){.off = HV_NONE};
	*ret = v;
	*ret_i = i;
	return IBB_OK;
}

int hv_big(const struct ibb_hive *h, const struct hv_value *v, const uint8_t **ret_segments,
	   uint32_t *ret_n, uint32_t *ret_list, struct ibb_error *err)
{
	const uint8_t *db = hv_ptr(h, v->data_cell), *list, *seg;
	uint32_t n = ibb_get_le16(db + DB_N), at = ibb_get_le32(db + DB_LIST), left = v->size;
	int r;

	if (n != (v->size + DB_SEGMENT - 1) / DB_SEGMENT)
		return hv_bad(h, v->data_cell, err, "big data of %u bytes in %u segments", v->size,
			      n);
	r = hv_cell(h, at, 4 * n, "list of big data segments", &list, NULL, err);
	for (uint32_t i = 0; i < n && !r; i++) {
		uint32_t part = left < DB_SEGMENT ? left : DB_SEGMENT;

		r = hv_cell(h, ibb_get_le32(list + 4 * (size_t)i), part, "big data segment", &seg,
			    NULL, err);
		left -= part;
	}
	if (r)
		return r;
	*ret_segments = list;
	*ret_n = n;
	*ret_list = at;
	return IBB_OK;
}

int hv_value_data(const struct ibb_hive *h, const struct hv_value *v, struct ibb_buf *tmp,
		  struct ibb_bytes *ret, struct ibb_error *err)
{
	const uint8_t *segments;
	uint32_t n, list, left = v->size;
	int r;

	if (!v->big) {
		*ret = (struct ibb_bytes){v->data, v->size};
		return IBB_OK;
	}
	r = hv_big(h, v, &segments, &n, &list, err);
	if (r)
		return r;
	tmp->len = 0;
	if (ibb_buf_reserve(tmp, v->size))
		return ibb_err_nomem(err);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t part = left < DB_SEGMENT ? left : DB_SEGMENT;

		memcpy(tmp->data + tmp->len, hv_ptr(h, ibb_get_le32(segments + 4 * (size_t)i)),
		       part);
		tmp->len += part;
		left -= part;
	}
	*ret = ibb_buf_bytes(tmp);
	return IBB_OK;
}
