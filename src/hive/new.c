/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A new, empty hive. */
#include "hive/hive_int.h"

#include <string.h>

/* O:BA G:SY D:(A;CI;KA;;;SY)(A;CI;KA;;;BA), self-relative */
static const uint8_t root_sd[] = {
	1, 0, 0x04, 0x80, 0x48, 0, 0, 0, 0x58, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0,
	/* ACL: revision 2, 0x34 bytes, two entries */
	2, 0, 0x34, 0, 2, 0, 0, 0,
	/* allow, container inherit, KEY_ALL_ACCESS, S-1-5-18 */
	0, 2, 0x14, 0, 0x3f, 0, 0x0f, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
	/* the same for S-1-5-32-544 */
	0, 2, 0x18, 0, 0x3f, 0, 0x0f, 0, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0,
	/* owner S-1-5-32-544, group S-1-5-18 */
	1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};

enum { ROOT = HV_BIN_HEAD };

static void base_block(uint8_t *p, const struct hv_name *name, uint64_t time)
{
	memcpy(p, "regf", 4);
	ibb_put_le32(p + 4, 1);
	ibb_put_le32(p + 8, 1);
	ibb_put_le64(p + 12, time);
	ibb_put_le32(p + 20, 1);
	ibb_put_le32(p + 24, 5);
	ibb_put_le32(p + 32, 1);
	ibb_put_le32(p + 36, ROOT);
	ibb_put_le32(p + 40, HV_BIN_ALIGN);
	ibb_put_le32(p + 44, 1);
	/* the file name, for debugging only: at most 31 characters and a NUL */
	hv_name_store(&(struct hv_name){name->p, name->n < 31 ? name->n : 31, false}, false,
		      p + 48);
	ibb_put_le32(p + 508, hv_checksum(p));
}

static uint32_t put_cell(uint8_t *bin, uint32_t off, uint32_t len)
{
	uint32_t size = (len + 4 + 7) / 8 * 8;

	ibb_put_le32(bin + off, 0u - size);
	return off + size;
}

static void root_key(uint8_t *bin, const struct hv_name *name, uint64_t time)
{
	bool comp = hv_name_compressible(name);
	uint8_t *p = bin + ROOT + 4;
	uint32_t n = hv_name_store(name, comp, p + NK_NAME);
	uint32_t sk = put_cell(bin, ROOT, NK_NAME + n), rest;

	memcpy(p, "nk", 2);
	ibb_put_le16(p + NK_FLAGS, NK_HIVE_ENTRY | NK_NO_DELETE | (comp ? NK_COMP_NAME : 0));
	ibb_put_le64(p + NK_TIME, time);
	ibb_put_le32(p + NK_PARENT, HV_NONE);
	ibb_put_le32(p + NK_LIST, HV_NONE);
	ibb_put_le32(p + NK_VOLATILE_LIST, HV_NONE);
	ibb_put_le32(p + NK_VALUES, HV_NONE);
	ibb_put_le32(p + NK_SECURITY, sk);
	ibb_put_le32(p + NK_CLASS, HV_NONE);
	ibb_put_le16(p + NK_NAME_LEN, (uint16_t)n);

	rest = put_cell(bin, sk, SK_SD + sizeof(root_sd));
	p = bin + sk + 4;
	memcpy(p, "sk", 2);
	ibb_put_le32(p + SK_FLINK, sk);
	ibb_put_le32(p + SK_BLINK, sk);
	ibb_put_le32(p + SK_REFS, 1);
	ibb_put_le32(p + SK_SIZE, sizeof(root_sd));
	memcpy(p + SK_SD, root_sd, sizeof(root_sd));
	ibb_put_le32(bin + rest, HV_BIN_ALIGN - rest);
}

int ibb_hive_new(const char *root_name, uint64_t time, struct ibb_hive **ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf img = {0}, buf = {0};
	struct hv_name name;
	uint8_t *bin;
	int r = hv_name_encode(root_name, &buf, &name, err);

	if (r)
		return r;
	if (!name.n || name.n > 255)
		return ibb_err(err, IBB_E_INVALID, "name '%s' of the root key is empty or too long",
			       root_name);
	if (ibb_buf_append_zero(&img, HV_BASE + HV_BIN_ALIGN))
		return ibb_err_nomem(err);
	base_block(img.data, &name, time);
	bin = img.data + HV_BASE;
	memcpy(bin, "hbin", 4);
	ibb_put_le32(bin + 8, HV_BIN_ALIGN);
	ibb_put_le64(bin + 20, time);
	root_key(bin, &name, time);
	return ibb_hive_open(root_name, &img, ret, err);
}
