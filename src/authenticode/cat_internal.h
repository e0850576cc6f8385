/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the two halves of the reader of catalogs: the list (cat.c), its members (cat_member.c).
 */
#ifndef IBB_AUTHENTICODE_CAT_INTERNAL_H
#define IBB_AUTHENTICODE_CAT_INTERNAL_H

#include "authenticode/cat.h"
#include "authenticode/der.h"

#define IBB_OID_NAME_VALUE IBB_OID_MS("\x0c\x02\x01") /* 1.3.6.1.4.1.311.12.2.1 */

struct ibb_cat_reader {
	struct ibb_cat *c;
	struct ibb_buf scratch;
};

/*
 * A CatalogNameValue: SEQUENCE { BMPString name, INTEGER flags, OCTET STRING value }, nothing
 * behind it in d. ret->value is NULL when the flags say that it is no text.
 */
int ibb_cat_name_value(struct ibb_cat_reader *r, struct ibb_der *d, struct ibb_cat_attr *ret,
		       struct ibb_error *err) IBB_MUST_CHECK;
/* All of a SEQUENCE OF TrustedSubject. */
int ibb_cat_members(struct ibb_cat_reader *r, struct ibb_der d,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* How many elements there are; IBB_E_LIMIT. */
int ibb_cat_count(struct ibb_der d, const char *what, size_t limit, size_t *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;

#endif
