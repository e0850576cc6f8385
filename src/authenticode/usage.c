/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a chain of certificates may be used for. Microsoft, "Windows Authenticode Portable
 * Executable Signature Format": the signing certificate names the usage for code signing, or no
 * certificate of the chain names any. A CA that names usages grants no other (RFC 5280, 4.2.1.12,
 * as Windows reads it). Windows' policy for drivers takes a usage of its own in place of code
 * signing.
 */
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "authenticode/pkcs7_internal.h"

static const char *const code_usages[] = {IBB_OID_CODE_SIGNING, IBB_OID_WHQL, IBB_OID_ATTESTED,
					  IBB_OID_WINDOWS_SYSTEM, NULL};
static const char *const time_usages[] = {IBB_OID_TIME_STAMPING, NULL};

/* The extended key usage; *ret stays NULL when there is none. */
static int usage_of(X509 *x, EXTENDED_KEY_USAGE **ret, struct ibb_finding *f, struct ibb_error *err)
{
	int state = 0;

	*ret = X509_get_ext_d2i(x, NID_ext_key_usage, &state, NULL);
	if (*ret || state == -1) /* -1: there is no such extension */
		return IBB_OK;
	if (ibb_openssl_ran_out())
		return ibb_err_nomem(err);
	ibb_finding_set(f, IBB_SIG_USAGE, "a certificate's extended key usage is unreadable");
	return IBB_OK;
}

static bool names(const EXTENDED_KEY_USAGE *eku, const char *oid)
{
	for (int i = 0; i < sk_ASN1_OBJECT_num(eku); i++)
		if (ibb_oid_is(sk_ASN1_OBJECT_value(eku, i), oid))
			return true;
	return false;
}

int ibb_usage_has(X509 *x, const char *oid, bool *ret, struct ibb_error *err)
{
	struct ibb_finding ignored = {0};
	EXTENDED_KEY_USAGE *eku = NULL;
	int rc = usage_of(x, &eku, &ignored, err);

	*ret = names(eku, oid);
	EXTENDED_KEY_USAGE_free(eku);
	return rc;
}

/* Does every CA above the leaf grant it? Those without an extended key usage grant everything. */
static bool granted(EXTENDED_KEY_USAGE *const *ekus, int n, const char *oid)
{
	for (int i = 1; i < n; i++)
		if (ekus[i] && !names(ekus[i], oid) && !names(ekus[i], IBB_OID_ANY_USAGE))
			return false;
	return true;
}

static bool may(EXTENDED_KEY_USAGE *const *ekus, int n, enum ibb_purpose purpose)
{
	const char *const *u = purpose == IBB_FOR_CODE ? code_usages : time_usages;
	bool any = false;

	for (int i = 0; i < n; i++)
		any |= ekus[i] != NULL;
	if (!any)
		return purpose == IBB_FOR_CODE;
	for (; *u; u++)
		if (names(ekus[0], *u) && granted(ekus, n, *u))
			return true;
	return false;
}

static void check_leaf_key_usage(X509 *leaf, struct ibb_finding *f)
{
	uint32_t ku = X509_get_key_usage(leaf); /* all bits when there is no such extension */

	if (!(ku & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)))
		ibb_finding_set(f, IBB_SIG_USAGE, "the certificate's key is not for signatures");
}

int ibb_usage_check(const STACK_OF(X509) * chain, enum ibb_purpose purpose,
		    struct ibb_cat_signer *s, struct ibb_finding *f, struct ibb_error *err)
{
	int n = sk_X509_num(chain), rc = IBB_OK;
	EXTENDED_KEY_USAGE **ekus = ibb_calloc_array((size_t)n, sizeof(*ekus));

	if (!ekus)
		return ibb_err_nomem(err);
	for (int i = 0; i < n && !rc; i++)
		rc = usage_of(sk_X509_value(chain, i), &ekus[i], f, err);
	if (!rc) {
		check_leaf_key_usage(sk_X509_value(chain, 0), f);
		if (!may(ekus, n, purpose))
			ibb_finding_set(f, IBB_SIG_USAGE, "the certificate is not for %s",
					purpose == IBB_FOR_CODE ? "signing code" : "timestamps");
		if (s) {
			s->whql &= granted(ekus, n, IBB_OID_WHQL);
			s->attested &= granted(ekus, n, IBB_OID_ATTESTED);
			s->windows_system &= granted(ekus, n, IBB_OID_WINDOWS_SYSTEM);
		}
	}
	for (int i = 0; i < n; i++)
		EXTENDED_KEY_USAGE_free(ekus[i]);
	free(ekus);
	return rc;
}
