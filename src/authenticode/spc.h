/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SpcIndirectDataContent: what was digested, and to what. In signatures and in catalogs. */
#ifndef IBB_AUTHENTICODE_SPC_H
#define IBB_AUTHENTICODE_SPC_H

#include "authenticode/cat.h"
#include "authenticode/der.h"

struct ibb_spc {
	enum ibb_cat_subject subject;
	enum ibb_digest_alg alg;
	struct ibb_bytes digest; /* as long as the algorithm makes it */
};

/* Read the element that comes next in d. IBB_E_CORRUPT; IBB_E_UNSUPPORTED: another algorithm. */
int ibb_spc_read(struct ibb_der *d, struct ibb_spc *ret, struct ibb_error *err) IBB_MUST_CHECK;

#endif
