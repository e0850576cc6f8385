/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/keysec.h"

#include <string.h>

#include "base/le.h"

/* [MS-DTYP] 2.4.6: revision, sbz, control, then the offsets of owner, group, SACL and DACL. */
#define SD_HEADER	       20
#define SE_DACL_PRESENT	       0x0004
#define SE_DACL_AUTO_INHERITED 0x0400
#define SE_SELF_RELATIVE       0x8000

static const uint8_t sid_system[12] = {1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0}; /* S-1-5-18 */

int ibb_keysec_owned_by_system(struct ibb_bytes sd, struct ibb_buf *ret, struct ibb_error *err)
{
	uint8_t head[SD_HEADER] = {1};
	uint32_t dacl;
	uint16_t control, acl_bytes;
	int r;

	if (sd.len < SD_HEADER || sd.data[0] != 1)
		return ibb_err(err, IBB_E_CORRUPT, "security descriptor of %zu bytes is malformed",
			       sd.len);
	control = ibb_get_le16(sd.data + 2);
	dacl = ibb_get_le32(sd.data + 16);
	if (!(control & SE_DACL_PRESENT) || !dacl || !ibb_in_range(dacl, 8, sd.len))
		return ibb_err(err, IBB_E_CORRUPT, "security descriptor has no DACL");
	acl_bytes = ibb_get_le16(sd.data + dacl + 2);
	if (acl_bytes < 8 || !ibb_in_range(dacl, acl_bytes, sd.len))
		return ibb_err(err, IBB_E_CORRUPT, "security descriptor's DACL leaves it");
	control &= SE_DACL_PRESENT | SE_DACL_AUTO_INHERITED;
	ibb_put_le16(head + 2, control | SE_SELF_RELATIVE);
	ibb_put_le32(head + 4, SD_HEADER + acl_bytes);
	ibb_put_le32(head + 8, SD_HEADER + acl_bytes + (uint32_t)sizeof(sid_system));
	ibb_put_le32(head + 16, SD_HEADER);
	r = ibb_buf_append(ret, head, sizeof(head));
	if (!r)
		r = ibb_buf_append(ret, sd.data + dacl, acl_bytes);
	for (int i = 0; i < 2 && !r; i++)
		r = ibb_buf_append(ret, sid_system, sizeof(sid_system));
	return r ? ibb_err_nomem(err) : IBB_OK;
}

static bool is_system(struct ibb_bytes sd, uint32_t off)
{
	return ibb_in_range(off, sizeof(sid_system), sd.len) &&
	       memcmp(sd.data + off, sid_system, sizeof(sid_system)) == 0;
}

/*
 * The package whose key is the model: an OEM one that Windows' own import made, so that owner and
 * group are SYSTEM. Keys that other tools made may have any descriptor, even one that grants
 * everybody everything. *ret NULL when there is none.
 */
static int oem_sibling(const struct ibb_hive *h, const struct ibb_facts *f, enum ibb_node node,
		       const struct ibb_fact_package **ret, struct ibb_error *err)
{
	static const char packages[] = "DriverDatabase\\DriverPackages";
	ibb_key parent, k;
	int r = ibb_hive_find(h, ibb_hive_root(h), packages, &parent, err);

	*ret = NULL;
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	for (size_t i = 0; i < f->n_packages; i++) {
		struct ibb_bytes sd;

		if (f->packages[i].node != node || !f->packages[i].oem)
			continue;
		r = ibb_hive_find(h, parent, f->packages[i].name, &k, err);
		if (!r)
			r = ibb_hive_get_security(h, k, &sd, err);
		if (r)
			return r;
		if (sd.len < SD_HEADER || !is_system(sd, ibb_get_le32(sd.data + 4)) ||
		    !is_system(sd, ibb_get_le32(sd.data + 8)))
			continue;
		*ret = &f->packages[i];
		return IBB_OK;
	}
	return IBB_OK;
}

int ibb_keysec_plan(struct ibb_hive *h, const struct ibb_facts *f, enum ibb_node node,
		    struct ibb_key_security_plan *ret, struct ibb_error *err)
{
	const struct ibb_fact_package *p;
	struct ibb_bytes sd;
	ibb_key k;
	int r = oem_sibling(h, f, node, &p, err);

	if (r)
		return r;
	if (p) {
		ret->like = ibb_asprintf("DriverDatabase\\DriverPackages\\%s", p->name);
		return ret->like ? IBB_OK : ibb_err_nomem(err);
	}
	r = ibb_hive_find(h, ibb_hive_root(h), "DriverDatabase\\DriverPackages", &k, err);
	if (r == IBB_E_NOTFOUND)
		r = ibb_hive_find(h, ibb_hive_root(h), "DriverDatabase", &k, err);
	if (!r)
		r = ibb_hive_get_security(h, k, &sd, err);
	return r ? r : ibb_keysec_owned_by_system(sd, &ret->sd, err);
}
