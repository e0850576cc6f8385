/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authenticode/signer.h"

#include <limits.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/hash.h"
#include "base/limits.h"

#define OID_CTL		   "1.3.6.1.4.1.311.10.1"
#define OID_CATALOG_LIST   "1.3.6.1.4.1.311.12.1.1"
#define OID_WHQL	   "1.3.6.1.4.1.311.10.3.5"
#define OID_ATTESTED	   "1.3.6.1.4.1.311.10.3.5.1"
#define OID_WINDOWS_SYSTEM "1.3.6.1.4.1.311.10.3.6"

static void pkcs7_free(PKCS7 **p)
{
	PKCS7_free(*p);
}

static void eku_free(EXTENDED_KEY_USAGE **p)
{
	EXTENDED_KEY_USAGE_free(*p);
}

/* Turn OpenSSL's error queue into ours: damaged input, unless it ran out of memory. */
static int openssl_failed(const char *name, const char *what, struct ibb_error *err)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(e);
	int code = ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE ? IBB_E_NOMEM : IBB_E_CORRUPT;

	ibb_err_lib(err, code, "openssl", "%s: %s%s%s%s", name, what, reason ? " (" : "",
		    reason ? reason : "", reason ? ")" : "");
	ERR_clear_error();
	return code;
}

static bool oid_is(const ASN1_OBJECT *o, const char *dotted)
{
	char text[80];
	int n = OBJ_obj2txt(text, sizeof(text), o, 1);

	return n > 0 && (size_t)n < sizeof(text) && strcmp(text, dotted) == 0;
}

/* Enter one DER element of the wanted universal tag at *p; its content length, or -1. */
static long der_enter(const unsigned char **p, const unsigned char *end, int want)
{
	long len = 0;
	int tag = 0, class = 0;
	int r = ASN1_get_object(p, &len, &tag, &class, end - *p);

	/* 0x80: malformed; 1: indefinite length, which DER forbids. */
	if ((r & 0x81) || class != V_ASN1_UNIVERSAL || tag != want)
		return -1;
	return len;
}

/*
 * A CTL begins with subjectUsage; the catalog list OID there tells a security catalog from the
 * other lists Microsoft signs in this form (roots, disallowed certificates).
 */
static bool is_catalog_list(const ASN1_TYPE *content)
{
	const unsigned char *p, *end;
	ASN1_OBJECT *usage;
	bool ok;
	long n;

	if (!content || content->type != V_ASN1_SEQUENCE)
		return false;
	p = ASN1_STRING_get0_data(content->value.sequence);
	end = p + ASN1_STRING_length(content->value.sequence);
	if (der_enter(&p, end, V_ASN1_SEQUENCE) < 0)
		return false;
	n = der_enter(&p, end, V_ASN1_SEQUENCE);
	if (n <= 0)
		return false;
	usage = d2i_ASN1_OBJECT(NULL, &p, n);
	ok = usage && oid_is(usage, OID_CATALOG_LIST);
	ASN1_OBJECT_free(usage);
	return ok;
}

static int parse(const char *name, struct ibb_bytes cat, PKCS7 **ret, struct ibb_error *err)
{
	__attribute__((cleanup(pkcs7_free))) PKCS7 *p7 = NULL;
	const unsigned char *p = cat.data;
	const PKCS7 *content;

	if (cat.len > IBB_LIMIT_CAT_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "%s: %zu bytes are too many for a catalog", name,
			       cat.len);
	ERR_clear_error();
	p7 = d2i_PKCS7(NULL, &p, (long)cat.len);
	if (!p7)
		return openssl_failed(name, "not a security catalog: no PKCS#7 structure", err);
	if (p != cat.data + cat.len)
		return ibb_err(err, IBB_E_CORRUPT, "%s: %zu bytes follow the catalog's end at %zu",
			       name, (size_t)(cat.data + cat.len - p), (size_t)(p - cat.data));
	if (!PKCS7_type_is_signed(p7) || !p7->d.sign)
		return ibb_err(err, IBB_E_CORRUPT, "%s: PKCS#7, but no SignedData", name);
	content = p7->d.sign->contents;
	if (!content || !oid_is(content->type, OID_CTL))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: signed data that is no certificate trust list (" OID_CTL ")",
			       name);
	if (!is_catalog_list(content->d.other))
		return ibb_err(
			err, IBB_E_CORRUPT,
			"%s: a certificate trust list, but not a list of files (" OID_CATALOG_LIST
			")",
			name);
	*ret = IBB_TAKE(p7);
	return IBB_OK;
}

/* The certificate that the first signer info names by issuer and serial number. */
static X509 *signer_certificate(const PKCS7_SIGNED *sd)
{
	PKCS7_SIGNER_INFO *si = sk_PKCS7_SIGNER_INFO_value(sd->signer_info, 0);
	PKCS7_ISSUER_AND_SERIAL *ias = si ? si->issuer_and_serial : NULL;

	return ias ? X509_find_by_issuer_and_serial(sd->cert, ias->issuer, ias->serial) : NULL;
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
	for (int k = 0; rc == IBB_OK && k < len; k++)
		if (utf8[k] < 0x20 || utf8[k] == 0x7f)
			rc = IBB_E_CORRUPT;
	if (rc == IBB_OK) {
		memcpy(out, utf8, (size_t)len);
		out[len] = '\0';
	}
	OPENSSL_free(utf8);
	return rc;
}

/* What Windows shows for a name: common name, else organisational unit, else organisation. */
static int display_name(const char *name, const char *whose, const X509_NAME *n, char *out,
			size_t size, struct ibb_error *err)
{
	static const int nids[] = {NID_commonName, NID_organizationalUnitName,
				   NID_organizationName};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(nids); i++) {
		int rc = name_entry(n, nids[i], out, size);

		if (rc == IBB_OK)
			return IBB_OK;
		if (rc != IBB_E_NOTFOUND)
			return openssl_failed(name, whose, err);
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
		return openssl_failed(name, "the signer's extended key usage is unreadable", err);
	for (int i = 0; i < sk_ASN1_OBJECT_num(eku); i++) {
		const ASN1_OBJECT *o = sk_ASN1_OBJECT_value(eku, i);

		s->whql |= oid_is(o, OID_WHQL);
		s->attested |= oid_is(o, OID_ATTESTED);
		s->windows_system |= oid_is(o, OID_WINDOWS_SYSTEM);
	}
	return IBB_OK;
}

int ibb_cat_signer(const char *name, struct ibb_bytes cat, struct ibb_cat_signer *ret,
		   struct ibb_error *err)
{
	__attribute__((cleanup(pkcs7_free))) PKCS7 *p7 = NULL;
	struct ibb_cat_signer s = {0};
	X509 *x;
	int rc;

	rc = parse(name, cat, &p7, err);
	if (rc)
		return rc;
	if (sk_PKCS7_SIGNER_INFO_num(p7->d.sign->signer_info) < 1)
		return ibb_err(err, IBB_E_CORRUPT, "%s: nobody signed this catalog", name);
	x = signer_certificate(p7->d.sign);
	if (!x)
		return ibb_err(err, IBB_E_CORRUPT, "%s: the signer's certificate is not in it",
			       name);
	rc = display_name(name, "the signer's name is unreadable", X509_get_subject_name(x), s.name,
			  sizeof(s.name), err);
	if (rc)
		return rc;
	rc = display_name(name, "the name of the signer's issuer is unreadable",
			  X509_get_issuer_name(x), s.issuer, sizeof(s.issuer), err);
	if (rc)
		return rc;
	rc = read_serial(name, x, s.serial, sizeof(s.serial), err);
	if (rc)
		return rc;
	rc = read_usages(name, x, &s, err);
	if (rc)
		return rc;
	*ret = s;
	return IBB_OK;
}
