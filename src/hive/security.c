/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Security cells (sk): shared by keys, counted, linked in a ring. */
#include "hive/hive_int.h"

#include <string.h>

#define SE_SELF_RELATIVE 0x8000u

int hv_sk(const struct ibb_hive *h, uint32_t off, struct hv_sk *ret, struct ibb_error *err)
{
	const uint8_t *p;
	uint32_t len, n;
	int r = hv_cell(h, off, SK_SD, "security descriptor", &p, &len, err);

	if (r)
		return r;
	if (p[0] != 's' || p[1] != 'k')
		return hv_bad(h, off, err, "security descriptor expected, signature is 0x%02x%02x",
			      p[0], p[1]);
	n = ibb_get_le32(p + SK_SIZE);
	if (n > len - SK_SD)
		return hv_bad(h, off, err,
			      "security descriptor of %u bytes, the cell has room for %u", n,
			      len - SK_SD);
	*ret = (struct hv_sk){off,
			      ibb_get_le32(p + SK_FLINK),
			      ibb_get_le32(p + SK_BLINK),
			      ibb_get_le32(p + SK_REFS),
			      {p + SK_SD, n}};
	return IBB_OK;
}

void hv_sk_release(struct ibb_hive *h, uint32_t off, uint32_t n)
{
	uint8_t *p = hv_mut(h, off);
	uint32_t refs = ibb_get_le32(p + SK_REFS);
	uint32_t flink = ibb_get_le32(p + SK_FLINK), blink = ibb_get_le32(p + SK_BLINK);

	IBB_ASSERT(refs >= n);
	ibb_put_le32(p + SK_REFS, refs - n);
	if (refs != n)
		return;
	ibb_put_le32(hv_mut(h, blink) + SK_FLINK, flink);
	ibb_put_le32(hv_mut(h, flink) + SK_BLINK, blink);
	hv_free(h, off);
}

/* The sk cell of the ring that holds this descriptor, or HV_NONE. Sound hive: the ring closes. */
static uint32_t find_equal(const struct ibb_hive *h, uint32_t start, struct ibb_bytes sd)
{
	uint32_t off = start;
	struct hv_sk sk;

	do {
		IBB_ASSERT(!hv_sk(h, off, &sk, NULL));
		if (sk.sd.len == sd.len && memcmp(sk.sd.data, sd.data, sd.len) == 0)
			return off;
		off = sk.flink;
	} while (off != start);
	return HV_NONE;
}

static uint32_t add_sk(struct ibb_hive *h, uint32_t before, struct ibb_bytes sd)
{
	uint32_t off = hv_alloc(h, SK_SD + (uint32_t)sd.len);
	uint32_t after = ibb_get_le32(hv_ptr(h, before) + SK_FLINK);
	uint8_t *p = hv_mut(h, off);

	memcpy(p, "sk", 2);
	ibb_put_le32(p + SK_FLINK, after);
	ibb_put_le32(p + SK_BLINK, before);
	ibb_put_le32(p + SK_SIZE, (uint32_t)sd.len);
	memcpy(p + SK_SD, sd.data, sd.len);
	ibb_put_le32(hv_mut(h, before) + SK_FLINK, off);
	ibb_put_le32(hv_mut(h, after) + SK_BLINK, off);
	return off;
}

static int set_security(struct ibb_hive *h, ibb_key k, struct ibb_bytes sd, struct ibb_error *err)
{
	struct hv_need need = {0};
	struct hv_key key;
	uint32_t old, new;
	int r = hv_begin_edit(h, err);

	if (!r)
		r = hv_key(h, k, &key, err);
	if (r)
		return r;
	old = hv_key_u32(&key, NK_SECURITY);
	new = find_equal(h, old, sd);
	if (new == old)
		return IBB_OK;
	if (new == HV_NONE) {
		hv_need_cell(&need, SK_SD + sd.len);
		r = hv_reserve(h, &need, err);
		if (r)
			return r;
		new = add_sk(h, old, sd);
	}
	h->edited = true;
	ibb_put_le32(hv_mut(h, new) + SK_REFS, ibb_get_le32(hv_ptr(h, new) + SK_REFS) + 1);
	ibb_put_le32(hv_mut(h, k) + NK_SECURITY, new);
	hv_sk_release(h, old, 1);
	return IBB_OK;
}

int ibb_hive_set_security(struct ibb_hive *h, ibb_key k, struct ibb_bytes sd, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *copy = NULL;

	if (sd.len < 20 || sd.len > 65535 || sd.data[0] != 1 ||
	    !(ibb_get_le16(sd.data + 2) & SE_SELF_RELATIVE))
		return ibb_err(err, IBB_E_INVALID,
			       "hive %s: not a self-relative security descriptor (%zu bytes)",
			       h->name, sd.len);
	/* it may be one of this hive, whose bytes move when the hive grows */
	copy = ibb_memdup(sd.data, sd.len);
	if (!copy)
		return ibb_err_nomem(err);
	return set_security(h, k, (struct ibb_bytes){copy, sd.len}, err);
}
