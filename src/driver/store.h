/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a driver package goes in Windows, and what is recorded about it. The layout is Windows'
 * own as read out of real hives; the facts and their evidence are kept in src/driver/README.md.
 */
#ifndef IBB_DRIVER_STORE_H
#define IBB_DRIVER_STORE_H

#include "driver/package.h"

#define IBB_STORE_DIR	  "Windows/System32/DriverStore/FileRepository"
#define IBB_STORE_INF_DIR "Windows/INF"
#define IBB_STORE_CAT_DIR "Windows/System32/CatRoot/{F750E6C3-38EE-11D1-85E5-00C04FC295EE}"

#define IBB_VERSION_BLOB_SIZE 48

/* The 48-byte Version value of a DriverPackages key. */
struct ibb_version_blob {
	bool inbox, published;
	uint16_t arch;
	uint32_t locale;
	struct ibb_guid class_guid;
	uint64_t date; /* FILETIME */
	uint16_t version[4];
	uint32_t configurable_flags, class_version;
};
void ibb_version_blob_encode(const struct ibb_version_blob *v, uint8_t out[IBB_VERSION_BLOB_SIZE]);
void ibb_version_blob_decode(const uint8_t in[IBB_VERSION_BLOB_SIZE], struct ibb_version_blob *ret);

/*
 * "<inf>_<arch>_<16 hex digits>": the INF's name in lower case; the digits are the first 8 bytes of
 * SHA-256(INF || catalog). Windows does not verify the digits, but it does the form. free() it.
 */
int ibb_store_package_name(const struct ibb_package *p, char **ret,
			   struct ibb_error *err) IBB_MUST_CHECK;
/* Has the name the form Windows accepts? */
bool ibb_store_package_name_ok(const char *name);

/* What this Windows records that others do not. */
struct ibb_store_fields {
	bool import_date;  /* Windows 10 and later */
	bool catalog;	   /* build 18362 and later */
	bool include_flag; /* StatusFlags 0x100: Windows 10 and later */
	bool update_date;  /* Windows 10 and later, and only where the root value exists already */
};
struct ibb_store_fields ibb_store_fields_for(const struct ibb_inf_target *t);

/* StatusFlags from what the INF does; 0 means the value is not written. */
uint32_t ibb_store_status_flags(const struct ibb_package *p, const struct ibb_store_fields *f);
/* SignerScore: 0x0D000005 WHQL or attested by Microsoft's hardware publisher, 0x0F000000 another
 * signer (Authenticode), 0x80000000 unsigned. Never 0xFF000000. Not verified: it is what the
 * catalog claims. */
#define IBB_SIGNER_SCORE_WHQL	      0x0D000005u
#define IBB_SIGNER_SCORE_AUTHENTICODE 0x0F000000u
#define IBB_SIGNER_SCORE_UNSIGNED     0x80000000u
uint32_t ibb_store_signer_score(const struct ibb_package *p);

/* One value of DeviceIds: the key below DeviceIds and its 4 bytes. */
struct ibb_device_id {
	const char *id; /* borrowed from the INF */
	unsigned line;	/* of the models line it stands on */
	uint8_t data[4];
};
/* All IDs the chosen models section indexes, each once (hardware beats compatible), INF order.
 * free() the array. */
int ibb_store_device_ids(struct ibb_package *p, struct ibb_device_id **ret, size_t *ret_n,
			 struct ibb_error *err) IBB_MUST_CHECK;

/* OemInfMap: bit N is byte N/8, mask 0x80 >> N%8. */
bool ibb_oem_map_get(struct ibb_bytes map, unsigned n);
/* Sets the bit, growing the map with zero bytes. IBB_E_LIMIT over IBB_LIMIT_OEM_NUMBER, NOMEM. */
int ibb_oem_map_set(struct ibb_buf *map, unsigned n) IBB_MUST_CHECK;
/* Clears the bit. A map that ends with it becomes as short as the other bits allow: it was that
 * number that had made it longer. Zero bytes that Windows left at the end stay. */
void ibb_oem_map_clear(struct ibb_buf *map, unsigned n);
/* "oem12.inf" -> 12; false when it is not of that form. `suffix` ".inf", ".PNF", ".cat", any case.
 * "oem012.inf" is another file and not of that form. */
bool ibb_oem_number(const char *name, const char *suffix, unsigned *ret);

#endif
