/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Timestamps of a signature, both over the octets of the signature itself (encryptedDigest): the
 * PKCS#9 countersignature of Authenticode's first years, and RFC 3161 tokens.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/ts.h>

#include "authenticode/pkcs7_internal.h"
#include "base/limits.h"

/* ESSCertID and ESSCertIDv2 of RFC 5035; OpenSSL hides what is in its own. */
typedef struct {
	X509_ALGOR *alg; /* v2 only, and there SHA-256 is the default */
	ASN1_OCTET_STRING *hash;
	ASN1_TYPE *issuer_serial;
} IBB_CERT_ID;
DEFINE_STACK_OF(IBB_CERT_ID)

typedef struct {
	STACK_OF(IBB_CERT_ID) * ids;
	ASN1_TYPE *policies;
} IBB_SIGNING_CERT;

/* clang-format off */
ASN1_SEQUENCE(IBB_CERT_ID) = {
	ASN1_OPT(IBB_CERT_ID, alg, X509_ALGOR),
	ASN1_SIMPLE(IBB_CERT_ID, hash, ASN1_OCTET_STRING),
	ASN1_OPT(IBB_CERT_ID, issuer_serial, ASN1_ANY)
} static_ASN1_SEQUENCE_END(IBB_CERT_ID)

ASN1_SEQUENCE(IBB_SIGNING_CERT) = {
	ASN1_SEQUENCE_OF(IBB_SIGNING_CERT, ids, IBB_CERT_ID),
	ASN1_OPT(IBB_SIGNING_CERT, policies, ASN1_ANY)
} static_ASN1_SEQUENCE_END(IBB_SIGNING_CERT)
	/* clang-format on */

	struct stamp_check {
	const struct ibb_trust_store *store;
	const PKCS7_SIGNER_INFO *si; /* what was stamped */
	STACK_OF(X509) * certs;	     /* of its message */
	struct ibb_finding f;
	int64_t at;
	char authority[256];
};

static struct ibb_bytes octets_of(const ASN1_STRING *s)
{
	return (struct ibb_bytes){ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
}

/* The chain of the authority, at the time that it certifies. Caller: ibb_cert_chain_clear(). */
static int check_authority(struct stamp_check *k, X509 *tsa, STACK_OF(X509) * others,
			   struct ibb_cert_chain *chain, struct ibb_error *err)
{
	struct ibb_cert_chain_query q = {k->store, tsa, others, IBB_FOR_TIME, k->at, true};
	int rc;

	ibb_name_text(X509_get_subject_name(tsa), k->authority);
	rc = ibb_cert_chain_check(&q, NULL, chain, err);
	if (!rc && chain->f.fault)
		ibb_finding_set(&k->f, chain->f.fault, "%s", chain->f.why);
	return rc;
}

/* RFC 2985, 5.3.6: a signature whose content is the stamped one; it needs no contentType, but
 * Authenticode's authorities write that of plain data. The time is an attribute. */
static int check_countersigner(struct stamp_check *k, const struct ibb_signer *cs,
			       struct ibb_error *err)
{
	const ASN1_TYPE *time = ibb_attribute(cs->si->auth_attr, "1.2.840.113549.1.9.5");
	X509 *tsa = ibb_signer_certificate(cs->si, k->certs);
	struct ibb_cert_chain chain = {0};
	int rc;

	if (!tsa) {
		ibb_finding_set(&k->f, IBB_SIG_NO_SIGNER,
				"the certificate of the countersigner is missing");
		return IBB_OK;
	}
	ibb_name_text(X509_get_subject_name(tsa), k->authority);
	rc = ibb_signer_verify(cs, tsa, OBJ_nid2obj(NID_pkcs7_data), octets_of(k->si->enc_digest),
			       &k->f, err);
	if (rc || k->f.fault)
		return rc;
	if (!time || (time->type != V_ASN1_UTCTIME && time->type != V_ASN1_GENERALIZEDTIME) ||
	    !ibb_asn1_time(time->value.asn1_string, &k->at)) {
		ibb_finding_set(&k->f, IBB_SIG_BROKEN, "the countersignature has no time");
		return IBB_OK;
	}
	rc = check_authority(k, tsa, k->certs, &chain, err);
	ibb_cert_chain_clear(&chain);
	return rc;
}

static int countersignature(struct stamp_check *k, struct ibb_bytes der, struct ibb_error *err)
{
	struct ibb_signer cs = {0};
	int rc = ibb_signer_parse("countersignature", der, &cs, NULL);

	if (rc == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (rc) {
		ibb_finding_set(&k->f, IBB_SIG_BROKEN, "the countersignature is damaged");
		return IBB_OK;
	}
	rc = check_countersigner(k, &cs, err);
	ibb_signer_clear(&cs);
	return rc;
}

/* RFC 3161, 2.4.2: the digest of what was stamped, and when. */
static int check_info(struct stamp_check *k, TS_TST_INFO *info, struct ibb_error *err)
{
	TS_MSG_IMPRINT *mi = TS_TST_INFO_get_msg_imprint(info);
	const ASN1_OCTET_STRING *want = TS_MSG_IMPRINT_get_msg(mi);
	const EVP_MD *md = ibb_digest_of(TS_MSG_IMPRINT_get_algo(mi), &k->f);
	struct ibb_bytes stamped = octets_of(k->si->enc_digest);
	uint8_t is[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!md)
		return IBB_OK;
	if (EVP_Digest(stamped.data, stamped.len, is, &n, md, NULL) != 1)
		return ibb_err_nomem(err);
	if ((unsigned)ASN1_STRING_length(want) != n ||
	    memcmp(ASN1_STRING_get0_data(want), is, n) != 0)
		ibb_finding_set(&k->f, IBB_SIG_BROKEN, "the token stamps another signature");
	else if (!ibb_asn1_time(TS_TST_INFO_get_time(info), &k->at))
		ibb_finding_set(&k->f, IBB_SIG_BROKEN, "the token has no time");
	return IBB_OK;
}

/*
 * RFC 3161, 2.4.1: a signed attribute names the certificate of the token's signer by its digest
 * (RFC 5035). OpenSSL's check wants the further certificates that may be named in the chain, too;
 * Microsoft's tokens name an earlier certificate of their CA there. Only the first is the signer's.
 */
static int check_signing_certificate(struct stamp_check *k, const PKCS7_SIGNER_INFO *si, X509 *tsa,
				     struct ibb_error *err)
{
	const ASN1_TYPE *v2 = ibb_attribute(si->auth_attr, "1.2.840.113549.1.9.16.2.47");
	const ASN1_TYPE *v1 = ibb_attribute(si->auth_attr, "1.2.840.113549.1.9.16.2.12");
	const ASN1_TYPE *v = v2 ? v2 : v1;
	const EVP_MD *md = v2 ? EVP_sha256() : EVP_sha1();
	uint8_t is[EVP_MAX_MD_SIZE];
	IBB_SIGNING_CERT *sc = NULL;
	const IBB_CERT_ID *id;
	unsigned n = 0;
	int rc = IBB_OK;

	if (v && v->type == V_ASN1_SEQUENCE) {
		const unsigned char *p = ASN1_STRING_get0_data(v->value.sequence);

		sc = (IBB_SIGNING_CERT *)ASN1_item_d2i(NULL, &p,
						       ASN1_STRING_length(v->value.sequence),
						       ASN1_ITEM_rptr(IBB_SIGNING_CERT));
	}
	id = sc ? sk_IBB_CERT_ID_value(sc->ids, 0) : NULL;
	if (id && id->alg)
		md = ibb_digest_of(id->alg, &k->f);
	if ((!sc && ibb_openssl_ran_out()) || (md && X509_digest(tsa, md, is, &n) != 1))
		rc = ibb_err_nomem(err);
	else if (!id || !md || (unsigned)ASN1_STRING_length(id->hash) != n ||
		 memcmp(ASN1_STRING_get0_data(id->hash), is, n) != 0)
		ibb_finding_set(&k->f, IBB_SIG_BROKEN,
				"the token does not name the certificate of its signer");
	ASN1_item_free((ASN1_VALUE *)sc, ASN1_ITEM_rptr(IBB_SIGNING_CERT));
	return rc;
}

/* The token's own certificates come first; some authorities leave theirs to the outer message. */
static int check_token_signer(struct stamp_check *k, const struct ibb_p7 *t, struct ibb_error *err)
{
	const struct ibb_signer *signer = &t->signers[0];
	STACK_OF(X509) *all = sk_X509_new_null();
	struct ibb_cert_chain chain = {0};
	X509 *tsa;
	int rc;

	if (!all || X509_add_certs(all, t->certs, X509_ADD_FLAG_DEFAULT) != 1 ||
	    X509_add_certs(all, k->certs, X509_ADD_FLAG_DEFAULT) != 1) {
		sk_X509_free(all);
		ERR_clear_error();
		return ibb_err_nomem(err);
	}
	tsa = ibb_signer_certificate(signer->si, all);
	if (!tsa) {
		ibb_finding_set(&k->f, IBB_SIG_NO_SIGNER,
				"the certificate of the token's signer is missing");
		sk_X509_free(all);
		return IBB_OK;
	}
	ibb_name_text(X509_get_subject_name(tsa), k->authority);
	rc = ibb_signer_verify(signer, tsa, t->type, t->octets, &k->f, err);
	if (!rc && !k->f.fault)
		rc = check_authority(k, tsa, all, &chain, err);
	if (!rc && !k->f.fault)
		rc = check_signing_certificate(k, signer->si, tsa, err);
	ibb_cert_chain_clear(&chain);
	sk_X509_free(all);
	return rc;
}

static int check_token(struct stamp_check *k, const struct ibb_p7 *t, struct ibb_error *err)
{
	const unsigned char *p = t->octets.data;
	TS_TST_INFO *info;
	int rc;

	if (!ibb_oid_is(t->type, IBB_OID_TST_INFO) || t->n_signers != 1) {
		ibb_finding_set(&k->f, IBB_SIG_BROKEN, "the token is no timestamp with one signer");
		return IBB_OK;
	}
	info = d2i_TS_TST_INFO(NULL, &p, (long)t->octets.len);
	if (!info || p != t->octets.data + t->octets.len) {
		rc = !info && ibb_openssl_ran_out() ? ibb_err_nomem(err) : IBB_OK;
		ibb_finding_set(&k->f, IBB_SIG_BROKEN, "the token's content is damaged");
	} else {
		rc = check_info(k, info, err);
		if (!rc && !k->f.fault)
			rc = check_token_signer(k, t, err);
	}
	TS_TST_INFO_free(info);
	return rc;
}

static int token(struct stamp_check *k, struct ibb_bytes der, struct ibb_error *err)
{
	struct ibb_p7 t = {0};
	struct ibb_error e = {0};
	int rc = ibb_p7_parse("token", "timestamp token", der, &t, &e);

	if (rc == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (rc) {
		ibb_finding_set(&k->f, IBB_SIG_BROKEN, "%.200s", e.msg);
		return IBB_OK;
	}
	rc = check_token(k, &t, err);
	ibb_p7_clear(&t);
	return rc;
}

typedef int stamp_kind(struct stamp_check *k, struct ibb_bytes der, struct ibb_error *err);

static int check_value(const struct stamp_check *proto, X509_ATTRIBUTE *a, int i, stamp_kind *kind,
		       struct ibb_stamp *ret, struct ibb_error *err)
{
	const ASN1_TYPE *v = X509_ATTRIBUTE_get0_type(a, i);
	struct stamp_check k = *proto;
	int rc = IBB_OK;

	if (!v || v->type != V_ASN1_SEQUENCE)
		ibb_finding_set(&k.f, IBB_SIG_BROKEN, "the timestamp is damaged");
	else
		rc = kind(&k, octets_of(v->value.sequence), err);
	if (rc)
		return rc;
	if (!k.f.fault) {
		*ret = (struct ibb_stamp){.trusted = true, .at = k.at};
		memcpy(ret->authority, k.authority, sizeof(ret->authority));
	} else if (!ret->why[0]) {
		memcpy(ret->authority, k.authority, sizeof(ret->authority));
		memcpy(ret->why, k.f.why, sizeof(ret->why));
	}
	return IBB_OK;
}

int ibb_timestamp_find(const struct ibb_trust_store *store, const PKCS7_SIGNER_INFO *si,
		       STACK_OF(X509) * certs, struct ibb_stamp *ret, struct ibb_error *err)
{
	static const struct {
		const char *oid;
		stamp_kind *kind;
	} kinds[] = {{IBB_OID_RFC3161, token}, {IBB_OID_COUNTERSIGNATURE, countersignature}};
	const struct stamp_check proto = {.store = store, .si = si, .certs = certs};
	int seen = 0, rc = IBB_OK;

	*ret = (struct ibb_stamp){0};
	for (size_t n = 0; n < IBB_ARRAY_SIZE(kinds); n++) {
		for (int i = 0; i < sk_X509_ATTRIBUTE_num(si->unauth_attr); i++) {
			X509_ATTRIBUTE *a = sk_X509_ATTRIBUTE_value(si->unauth_attr, i);

			if (!ibb_oid_is(X509_ATTRIBUTE_get0_object(a), kinds[n].oid))
				continue;
			for (int v = 0; v < X509_ATTRIBUTE_count(a); v++) {
				if (++seen > (int)IBB_LIMIT_SIGNERS)
					return ibb_err(err, IBB_E_LIMIT,
						       "more than %u timestamps of one signature",
						       IBB_LIMIT_SIGNERS);
				rc = check_value(&proto, a, v, kinds[n].kind, ret, err);
				if (rc || ret->trusted)
					return rc;
			}
		}
	}
	return IBB_OK;
}
