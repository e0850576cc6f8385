/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "driver/store.h"

#include <string.h>

#include "base/guid.h"
#include "base/hash.h"
#include "base/le.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"

/* StatusFlags; names are ours, see README.md. 0x01, 0x20 and 0x400 exist, their rule is unknown. */
#define STATUS_OUTSIDE_STORE 0x02u
#define STATUS_ABS_ADDREG    0x04u
#define STATUS_COINSTALLERS  0x08u
#define STATUS_COPIES_FILES  0x10u
#define STATUS_INCLUDES	     0x100u

/* First byte of a DeviceIds value. */
#define ID_HARDWARE	      1
#define ID_COMPATIBLE	      2
#define ID_EXTENSION_HARDWARE 3

#define HARDWARE_PUBLISHER "Microsoft Windows Hardware Compatibility Publisher"

/* {e2f84ce7-8efa-411c-aa69-97454ca4cb57} */
static const struct ibb_guid extension_class = {{0xe7, 0x4c, 0xf8, 0xe2, 0xfa, 0x8e, 0x1c, 0x41,
						 0xaa, 0x69, 0x97, 0x45, 0x4c, 0xa4, 0xcb, 0x57}};

void ibb_version_blob_encode(const struct ibb_version_blob *v, uint8_t out[IBB_VERSION_BLOB_SIZE])
{
	out[0] = v->inbox ? 0xff : 0;
	out[1] = v->published ? 0xff : 0;
	ibb_put_le16(out + 2, v->arch);
	ibb_put_le32(out + 4, v->locale);
	memcpy(out + 8, v->class_guid.b, 16);
	ibb_put_le64(out + 24, v->date);
	for (unsigned i = 0; i < 4; i++)
		ibb_put_le16(out + 32 + 2 * i, v->version[3 - i]);
	ibb_put_le32(out + 40, v->configurable_flags);
	ibb_put_le32(out + 44, v->class_version);
}

void ibb_version_blob_decode(const uint8_t in[IBB_VERSION_BLOB_SIZE], struct ibb_version_blob *ret)
{
	ret->inbox = in[0] != 0;
	ret->published = in[1] != 0;
	ret->arch = ibb_get_le16(in + 2);
	ret->locale = ibb_get_le32(in + 4);
	memcpy(ret->class_guid.b, in + 8, 16);
	ret->date = ibb_get_le64(in + 24);
	for (unsigned i = 0; i < 4; i++)
		ret->version[3 - i] = ibb_get_le16(in + 32 + 2 * i);
	ret->configurable_flags = ibb_get_le32(in + 40);
	ret->class_version = ibb_get_le32(in + 44);
}

static int content_digest(const struct ibb_package *p, struct ibb_sha256 *ret)
{
	size_t n = p->signed_ ? 2 : 1; /* the INF, then its catalog */
	struct ibb_hasher *h = NULL;
	int rc = ibb_hasher_new(&h);

	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		rc = ibb_hasher_update(h, p->files[i].bytes.data, p->files[i].bytes.len);
		if (rc) {
			ibb_hasher_free(h);
			return rc;
		}
	}
	return ibb_hasher_final(h, ret);
}

int ibb_store_package_name(const struct ibb_package *p, char **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *inf = ibb_strdup(p->inf_name);
	IBB_AUTO_FREE char *name = NULL;
	struct ibb_sha256 digest;
	char hex[17];

	if (!inf || content_digest(p, &digest))
		return ibb_err_nomem(err);
	ibb_ascii_lower(inf);
	ibb_hex(digest.b, 8, hex);
	name = ibb_asprintf("%s_%s_%s", inf, ibb_arch_name(p->target.arch), hex);
	if (!name)
		return ibb_err_nomem(err);
	if (!ibb_store_package_name_ok(name))
		return ibb_err(err, IBB_E_INVALID,
			       "%s: Windows would refuse the package name '%s' made from it",
			       p->inf_name, name);
	*ret = IBB_TAKE(name);
	return IBB_OK;
}

bool ibb_store_package_name_ok(const char *name)
{
	static const char *const arches[] = {"_amd64_", "_x86_", "_arm_", "_arm64_"};
	size_t n = strlen(name);

	if (n < 17 || ibb_name_problem(name, n))
		return false;
	if (strspn(name + n - 16, "0123456789abcdef") != 16)
		return false;
	n -= 16;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(arches); i++) {
		size_t a = strlen(arches[i]);

		if (n > a + 4 && memcmp(name + n - a, arches[i], a) == 0)
			return memcmp(name + n - a - 4, ".inf", 4) == 0;
	}
	return false;
}

struct ibb_store_fields ibb_store_fields_for(const struct ibb_inf_target *t)
{
	bool ten = t->major >= 10;

	return (struct ibb_store_fields){
		.import_date = ten,
		.catalog = ten && t->build >= 18362,
		.include_flag = ten,
		.update_date = ten,
	};
}

uint32_t ibb_store_status_flags(const struct ibb_package *p, const struct ibb_store_fields *f)
{
	uint32_t flags = 0;

	if (p->copies_files)
		flags |= STATUS_COPIES_FILES;
	if (p->outside_store)
		flags |= STATUS_OUTSIDE_STORE;
	if (p->absolute_addreg)
		flags |= STATUS_ABS_ADDREG;
	if (p->coinstallers)
		flags |= STATUS_COINSTALLERS;
	if (p->has_includes && f->include_flag)
		flags |= STATUS_INCLUDES;
	return flags;
}

uint32_t ibb_store_signer_score(const struct ibb_package *p)
{
	const struct ibb_cat_signer *s = &p->signer;

	if (!p->signed_)
		return IBB_SIGNER_SCORE_UNSIGNED;
	if ((s->whql || s->attested) && strcmp(s->name, HARDWARE_PUBLISHER) == 0)
		return IBB_SIGNER_SCORE_WHQL;
	return IBB_SIGNER_SCORE_AUTHENTICODE;
}

int ibb_store_device_ids(struct ibb_package *p, struct ibb_device_id **ret, size_t *ret_n,
			 struct ibb_error *err)
{
	bool extension = ibb_guid_equal(&p->version.class_guid, &extension_class);
	IBB_AUTO_FREE struct ibb_served_id *ids = NULL;
	struct ibb_device_id *out;
	size_t n = 0;
	int rc = ibb_package_served_ids(p, &ids, &n, err);

	if (rc)
		return rc;
	out = ibb_calloc_array(n, sizeof(*out));
	if (!out)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		uint8_t hardware = extension ? ID_EXTENSION_HARDWARE : ID_HARDWARE;

		out[i].id = ids[i].id;
		out[i].line = ids[i].line;
		out[i].data[0] = ids[i].compatible ? ID_COMPATIBLE : hardware;
		out[i].data[1] = (uint8_t)ids[i].feature_score;
		ibb_put_le16(out[i].data + 2, (uint16_t)ids[i].index);
	}
	*ret = out;
	*ret_n = n;
	return IBB_OK;
}

bool ibb_oem_map_get(struct ibb_bytes map, unsigned n)
{
	return n / 8 < map.len && (map.data[n / 8] & 0x80u >> n % 8);
}

int ibb_oem_map_set(struct ibb_buf *map, unsigned n)
{
	size_t need = (size_t)n / 8 + 1;
	int rc;

	if (n > IBB_LIMIT_OEM_NUMBER)
		return IBB_E_LIMIT;
	if (map->len < need) {
		rc = ibb_buf_append_zero(map, need - map->len);
		if (rc)
			return rc;
	}
	map->data[n / 8] |= (uint8_t)(0x80u >> n % 8);
	return IBB_OK;
}

void ibb_oem_map_clear(struct ibb_buf *map, unsigned n)
{
	size_t was_last = map->len - 1;

	if (n / 8 >= map->len)
		return;
	map->data[n / 8] &= (uint8_t) ~(0x80u >> n % 8);
	while (n / 8 == was_last && map->len > 1 && !map->data[map->len - 1])
		map->len--;
}

bool ibb_oem_number(const char *name, const char *suffix, unsigned *ret)
{
	unsigned n = 0;
	size_t digits = 0;

	if (!ibb_case_prefix(name, "oem"))
		return false;
	name += 3;
	while (name[digits] >= '0' && name[digits] <= '9' && digits < 6) {
		n = n * 10 + (unsigned)(name[digits] - '0');
		digits++;
	}
	if (digits == 0 || (digits > 1 && name[0] == '0') || n > IBB_LIMIT_OEM_NUMBER)
		return false;
	if (!ibb_caseeq(name + digits, suffix))
		return false;
	*ret = n;
	return true;
}
