/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Does one SignerInfo vouch for the content? OpenSSL's own verification of messages is of no use
 * here: it digests octet strings, knows no usage but S/MIME's and no time but now.
 */
#include <string.h>

#include <openssl/err.h>

#include "authenticode/pkcs7_internal.h"

const EVP_MD *ibb_digest_of(const X509_ALGOR *alg, struct ibb_finding *f)
{
	int nid = alg && alg->algorithm ? OBJ_obj2nid(alg->algorithm) : NID_undef;
	char text[80] = "";

	switch (nid) {
	case NID_sha1:
		return EVP_sha1();
	case NID_sha256:
		return EVP_sha256();
	case NID_sha384:
		return EVP_sha384();
	case NID_sha512:
		return EVP_sha512();
	case NID_md2:
	case NID_md4:
	case NID_md5:
		ibb_finding_set(f, IBB_SIG_WEAK, "signed with the digest %s", OBJ_nid2sn(nid));
		return NULL;
	default:
		if (alg && alg->algorithm)
			OBJ_obj2txt(text, sizeof(text), alg->algorithm, 0);
		ibb_finding_set(f, IBB_SIG_BROKEN, "the digest algorithm %s is not supported",
				text);
		return NULL;
	}
}

const ASN1_TYPE *ibb_attribute(const STACK_OF(X509_ATTRIBUTE) * attrs, const char *oid)
{
	const ASN1_TYPE *found = NULL;

	for (int i = 0; i < sk_X509_ATTRIBUTE_num(attrs); i++) {
		X509_ATTRIBUTE *a = sk_X509_ATTRIBUTE_value(attrs, i);

		if (!ibb_oid_is(X509_ATTRIBUTE_get0_object(a), oid))
			continue;
		if (found || X509_ATTRIBUTE_count(a) != 1)
			return NULL;
		found = X509_ATTRIBUTE_get0_type(a, 0);
	}
	return found;
}

X509 *ibb_signer_certificate(const PKCS7_SIGNER_INFO *si, STACK_OF(X509) * certs)
{
	const PKCS7_ISSUER_AND_SERIAL *ias = si->issuer_and_serial;

	return ias ? X509_find_by_issuer_and_serial(certs, ias->issuer, ias->serial) : NULL;
}

/* RFC 2315, 9.2: contentType and messageDigest have to be among the signed attributes. */
static int check_attributes(const PKCS7_SIGNER_INFO *si, const EVP_MD *md, const ASN1_OBJECT *type,
			    struct ibb_bytes octets, struct ibb_finding *f, struct ibb_error *err)
{
	const ASN1_TYPE *ct = ibb_attribute(si->auth_attr, "1.2.840.113549.1.9.3");
	const ASN1_TYPE *digest = ibb_attribute(si->auth_attr, "1.2.840.113549.1.9.4");
	uint8_t is[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!ct || ct->type != V_ASN1_OBJECT || !digest || digest->type != V_ASN1_OCTET_STRING) {
		ibb_finding_set(f, IBB_SIG_BROKEN,
				"the signed attributes lack the content's type or digest");
		return IBB_OK;
	}
	if (OBJ_cmp(ct->value.object, type) != 0) {
		ibb_finding_set(f, IBB_SIG_BROKEN, "signed as content of another type");
		return IBB_OK;
	}
	if (EVP_Digest(octets.data, octets.len, is, &n, md, NULL) != 1)
		return ibb_err_nomem(err);
	if ((unsigned)ASN1_STRING_length(digest->value.octet_string) != n ||
	    memcmp(ASN1_STRING_get0_data(digest->value.octet_string), is, n) != 0)
		ibb_finding_set(f, IBB_SIG_BROKEN,
				"the content was changed after it was signed: its digest differs");
	return IBB_OK;
}

/* RSA with PKCS#1 v1.5 padding and ECDSA; what is named has to fit the key and the digest. */
static bool algorithm_fits(const PKCS7_SIGNER_INFO *si, const EVP_MD *md, EVP_PKEY *key)
{
	const X509_ALGOR *alg = si->digest_enc_alg;
	int nid = alg && alg->algorithm ? OBJ_obj2nid(alg->algorithm) : NID_undef;
	int base = EVP_PKEY_get_base_id(key), digest = NID_undef, sign = NID_undef;

	if (base != EVP_PKEY_RSA && base != EVP_PKEY_EC)
		return false;
	if (nid == base) /* rsaEncryption, id-ecPublicKey */
		return true;
	return OBJ_find_sigid_algs(nid, &digest, &sign) && digest == EVP_MD_get_type(md) &&
	       sign == base;
}

/* The signature is over the attributes with the tag of a SET in place of [0] (RFC 2315, 9.3). */
static int check_signature(const struct ibb_signer *s, const EVP_MD *md, EVP_PKEY *key,
			   struct ibb_finding *f, struct ibb_error *err)
{
	static const uint8_t set = V_ASN1_SET | V_ASN1_CONSTRUCTED;
	const ASN1_OCTET_STRING *sig = s->si->enc_digest;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int r = -1, rc = IBB_OK;

	if (c && EVP_DigestVerifyInit(c, NULL, md, NULL, key) == 1 &&
	    EVP_DigestVerifyUpdate(c, &set, 1) == 1 &&
	    EVP_DigestVerifyUpdate(c, s->attrs.data + 1, s->attrs.len - 1) == 1)
		r = EVP_DigestVerifyFinal(c, ASN1_STRING_get0_data(sig),
					  (size_t)ASN1_STRING_length(sig));
	if (!c || (r != 1 && ibb_openssl_ran_out()))
		rc = ibb_err_nomem(err);
	else if (r != 1)
		ibb_finding_set(f, IBB_SIG_BROKEN,
				"the signature does not verify with the signer's key");
	EVP_MD_CTX_free(c);
	return rc;
}

int ibb_signer_verify(const struct ibb_signer *s, X509 *cert, const ASN1_OBJECT *type,
		      struct ibb_bytes octets, struct ibb_finding *f, struct ibb_error *err)
{
	const PKCS7_SIGNER_INFO *si = s->si;
	const EVP_MD *md = ibb_digest_of(si->digest_alg, f);
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int rc;

	if (!md)
		return IBB_OK;
	if (!key) {
		if (ibb_openssl_ran_out())
			return ibb_err_nomem(err);
		ibb_finding_set(f, IBB_SIG_BROKEN, "the signer's key is unreadable");
		return IBB_OK;
	}
	if (!s->attrs.len || sk_X509_ATTRIBUTE_num(si->auth_attr) < 1) {
		ibb_finding_set(f, IBB_SIG_BROKEN, "no attributes are signed");
		return IBB_OK;
	}
	rc = check_attributes(si, md, type, octets, f, err);
	if (rc || f->fault)
		return rc;
	if (!algorithm_fits(si, md, key)) {
		ibb_finding_set(f, IBB_SIG_BROKEN, "the signature algorithm is not supported");
		return IBB_OK;
	}
	return check_signature(s, md, key, f, err);
}
