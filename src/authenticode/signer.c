/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "authenticode/pkcs7_internal.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/utf16.h"

static void eku_free(EXTENDED_KEY_USAGE **p)
{
	EXTENDED_KEY_USAGE_free(*p);
}

/*
 * A CTL begins with subjectUsage; the catalog list OID there tells a security catalog from the
 * other lists Microsoft signs in this form (roots, disallowed certificates).
 */
static bool is_catalog_list(struct ibb_bytes ctl)
{
	const unsigned char *p = ctl.data, *end = ctl.data + ctl.len;
	ASN1_OBJECT *usage;
	bool ok;
	long n;

	if (ibb_asn1_enter(&p, end, V_ASN1_SEQUENCE) < 0)
		return false;
	n = ibb_asn1_enter(&p, end, V_ASN1_SEQUENCE);
	if (n <= 0)
		return false;
	usage = d2i_ASN1_OBJECT(NULL, &p, n);
	ok = usage && ibb_oid_is(usage, IBB_OID_CATALOG_LIST);
	ASN1_OBJECT_free(usage);
	return ok;
}

static int parse(const char *name, struct ibb_bytes cat, struct ibb_p7 *ret, struct ibb_error *err)
{
	struct ibb_p7 p = {0};
	int rc = ibb_p7_parse(name, "security catalog", cat, &p, err);

	if (rc)
		return rc;
	if (!ibb_oid_is(p.type, IBB_OID_CTL))
		rc = ibb_err(err, IBB_E_CORRUPT,
			     "%s: signed data that is no certificate trust list (" IBB_OID_CTL ")",
			     name);
	else if (!is_catalog_list(p.value))
		rc = ibb_err(err, IBB_E_CORRUPT,
			     "%s: a certificate trust list, but not a list of files "
			     "(" IBB_OID_CATALOG_LIST ")",
			     name);
	if (rc) {
		ibb_p7_clear(&p);
		return rc;
	}
	*ret = p;
	return IBB_OK;
}

/* One attribute of a distinguished name as text; IBB_E_NOTFOUND when it has none of that kind. */
static int name_entry(const X509_NAME *n, int nid, char *out, size_t size)
{
	int i = X509_NAME_get_index_by_NID((X509_NAME *)n, nid, -1);
	unsigned char *utf8 = NULL;
	int len, rc = IBB_OK;

	if (i < 0)
		return IBB_E_NOTFOUND;
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(n, i)));
	if (len <= 0 || (size_t)len >= size)
		rc = IBB_E_CORRUPT;
	if (rc == IBB_OK && !ibb_utf8_is_plain((const char *)utf8, (size_t)len))
		rc = IBB_E_CORRUPT;
	if (rc == IBB_OK) {
		memcpy(out, utf8, (size_t)len);
		out[len] = '\0';
	}
	OPENSSL_free(utf8);
	return rc;
}

int ibb_name_display(const char *name, const char *whose, const X509_NAME *n, char *out,
		     size_t size, struct ibb_error *err)
{
	static const int nids[] = {NID_commonName, NID_organizationalUnitName,
				   NID_organizationName};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(nids); i++) {
		int rc = name_entry(n, nids[i], out, size);

		if (rc == IBB_OK)
			return IBB_OK;
		if (rc != IBB_E_NOTFOUND)
			return ibb_openssl_failed(name, whose, err);
	}
	return ibb_err(err, IBB_E_CORRUPT, "%s: %s (it is empty)", name, whose);
}

static int read_serial(const char *name, X509 *x, char *out, size_t size, struct ibb_error *err)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	int len = serial ? ASN1_STRING_length(serial) : 0;

	if (len <= 0 || (size_t)len * 2 + 1 > size)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the signer's serial number has %d bytes, which none has", name,
			       len);
	ibb_hex(ASN1_STRING_get0_data(serial), (size_t)len, out);
	return IBB_OK;
}

static int read_usages(const char *name, X509 *x, struct ibb_cat_signer *s, struct ibb_error *err)
{
	__attribute__((cleanup(eku_free))) EXTENDED_KEY_USAGE *eku = NULL;
	int critical = 0;

	eku = X509_get_ext_d2i(x, NID_ext_key_usage, &critical, NULL);
	if (!eku && critical != -1) /* -1: the certificate has no such extension */
		return ibb_openssl_failed(name, "the signer's extended key usage is unreadable",
					  err);
	for (int i = 0; i < sk_ASN1_OBJECT_num(eku); i++) {
		const ASN1_OBJECT *o = sk_ASN1_OBJECT_value(eku, i);

		s->whql |= ibb_oid_is(o, IBB_OID_WHQL);
		s->attested |= ibb_oid_is(o, IBB_OID_ATTESTED);
		s->windows_system |= ibb_oid_is(o, IBB_OID_WINDOWS_SYSTEM);
	}
	return IBB_OK;
}

void ibb_name_text(const X509_NAME *n, char out[256])
{
	if (ibb_name_display("", "", n, out, 256, NULL))
		strcpy(out, "(unreadable)");
}

int ibb_signer_read(const char *name, X509 *x, struct ibb_cat_signer *ret, struct ibb_error *err)
{
	struct ibb_cat_signer s = {0};
	int rc;

	rc = ibb_name_display(name, "the signer's name is unreadable", X509_get_subject_name(x),
			      s.name, sizeof(s.name), err);
	if (!rc)
		rc = ibb_name_display(name, "the name of the signer's issuer is unreadable",
				      X509_get_issuer_name(x), s.issuer, sizeof(s.issuer), err);
	if (!rc)
		rc = read_serial(name, x, s.serial, sizeof(s.serial), err);
	if (!rc)
		rc = read_usages(name, x, &s, err);
	if (!rc)
		*ret = s;
	return rc;
}

int ibb_cat_signer(const char *name, struct ibb_bytes cat, struct ibb_cat_signer *ret,
		   struct ibb_error *err)
{
	struct ibb_p7 p = {0};
	X509 *x = NULL;
	int rc;

	rc = parse(name, cat, &p, err);
	if (rc) {
		ERR_clear_error();
		return rc;
	}
	if (p.n_signers < 1)
		rc = ibb_err(err, IBB_E_CORRUPT, "%s: nobody signed this catalog", name);
	else
		x = ibb_signer_certificate(p.signers[0].si, p.certs);
	if (!rc && !x)
		rc = ibb_err(err, IBB_E_CORRUPT, "%s: the signer's certificate is not in it", name);
	if (!rc)
		rc = ibb_signer_read(name, x, ret, err);
	ibb_p7_clear(&p);
	ERR_clear_error();
	return rc;
}
