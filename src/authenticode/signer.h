/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Security catalogs (.cat): PKCS#7 SignedData over a Microsoft certificate trust list. This module
 * reads; it does not yet decide trust: whoever uses it must say "signature: not verified".
 */
#ifndef IBB_AUTHENTICODE_SIGNER_H
#define IBB_AUTHENTICODE_SIGNER_H

#include "base/buf.h"

struct ibb_cat_signer {
	char name[256];	     /* the signer certificate's common name, UTF-8 */
	char issuer[256];    /* its issuer's common name */
	char serial[128];    /* hex */
	bool whql;	     /* EKU 1.3.6.1.4.1.311.10.3.5, Windows Hardware Driver Verification */
	bool attested;	     /* EKU 1.3.6.1.4.1.311.10.3.5.1 */
	bool windows_system; /* EKU 1.3.6.1.4.1.311.10.3.6, Windows System Component */
};
/*
 * Read who signed a security catalog. Nothing is verified. IBB_E_CORRUPT: no PKCS#7 SignedData, not
 * a CTL (OID 1.3.6.1.4.1.311.10.1), no signer or its certificate missing, trailing garbage.
 */
int ibb_cat_signer(const char *name, struct ibb_bytes cat, struct ibb_cat_signer *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;

#endif
