/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkpki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ess.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/ts.h>
#include <openssl/x509v3.h>

#define OID_RFC3161 "1.3.6.1.4.1.311.3.3.1"
#define OID_NESTED  "1.3.6.1.4.1.311.2.4.1"

#define MUST(e) ((e) ? (void)0 : must_failed(#e, __LINE__))
static void must_failed(const char *what, int line)
{
	fprintf(stderr, "mkpki.c:%d: %s\n", line, what);
	abort();
}

static struct {
	char name[64];
	EVP_PKEY *key;
} keys[8];

static EVP_PKEY *key_of(const char *name)
{
	char path[1024];
	size_t i = 0;
	FILE *f;

	while (i < IBB_ARRAY_SIZE(keys) && keys[i].key && strcmp(keys[i].name, name) != 0)
		i++;
	MUST(i < IBB_ARRAY_SIZE(keys));
	if (keys[i].key)
		return keys[i].key;
	snprintf(path, sizeof(path), "%s/tests/support/%s", IBB_SOURCE_DIR, name);
	f = fopen(path, "r");
	MUST(f);
	keys[i].key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	MUST(keys[i].key);
	snprintf(keys[i].name, sizeof(keys[i].name), "%s", name);
	return keys[i].key;
}

void mkpki_cleanup(void)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(keys); i++) {
		EVP_PKEY_free(keys[i].key);
		keys[i].key = NULL;
	}
}

/* ---- certificates ---- */

static void extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	if (!value || !*value)
		return;
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	MUST(e && X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

static void unknown_extension(X509 *x, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	if (!value || !*value)
		return;
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf(NULL, &ctx, "1.2.3.4.5", value);
	MUST(e && X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

static void name(X509_NAME *n, const char *cn)
{
	MUST(X509_NAME_add_entry_by_txt(n, "O", MBSTRING_UTF8, (const uint8_t *)"ibbake", -1, -1,
					0));
	MUST(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0));
}

static const EVP_MD *md_of(const char *hash)
{
	const EVP_MD *md = EVP_get_digestbyname(hash ? hash : "SHA256");

	MUST(md);
	return md;
}

X509 *mkpki_cert(const struct mkpki_cert *c)
{
	X509 *x = X509_new();

	MUST(x && X509_set_version(x, X509_VERSION_3));
	MUST(ASN1_INTEGER_set(X509_get_serialNumber(x), c->serial));
	MUST(ASN1_TIME_set_string_X509(X509_getm_notBefore(x),
				       c->from ? c->from : "20200101000000Z"));
	MUST(ASN1_TIME_set_string_X509(X509_getm_notAfter(x), c->to ? c->to : "20491231235959Z"));
	name(X509_get_subject_name(x), c->cn);
	name(X509_get_issuer_name(x), c->issuer ? c->issuer : c->cn);
	MUST(X509_set_pubkey(x, key_of(c->key)));
	extension(x, NID_basic_constraints, c->constraints);
	extension(x, NID_key_usage, c->usage);
	extension(x, NID_ext_key_usage, c->extended_usage);
	extension(x, NID_name_constraints, c->name_constraints);
	unknown_extension(x, c->unknown);
	MUST(X509_sign(x, key_of(c->issuer ? c->issuer_key : c->key), md_of(c->hash)));
	return x;
}

void mkpki_pem(X509 *x, struct ibb_buf *to)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n;

	MUST(bio && PEM_write_bio_X509(bio, x));
	n = BIO_get_mem_data(bio, &text);
	MUST(!ibb_buf_append(to, text, (size_t)n));
	BIO_free(bio);
}

struct ibb_buf mkpki_crl(const struct mkpki_crl *c)
{
	X509_CRL *crl = X509_CRL_new();
	X509_REVOKED *r = X509_REVOKED_new();
	X509_NAME *issuer = X509_NAME_new();
	ASN1_TIME *t = ASN1_TIME_new();
	ASN1_INTEGER *serial = ASN1_INTEGER_new();
	ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
	struct ibb_buf b = {0};
	uint8_t *der = NULL;
	int n;

	MUST(crl && r && issuer && t && serial && reason);
	name(issuer, c->issuer);
	MUST(X509_CRL_set_version(crl, 1) && X509_CRL_set_issuer_name(crl, issuer));
	MUST(ASN1_TIME_set_string_X509(t, "20260101000000Z") && X509_CRL_set1_lastUpdate(crl, t) &&
	     X509_CRL_set1_nextUpdate(crl, t));
	MUST(ASN1_TIME_set_string_X509(t, c->date) && X509_REVOKED_set_revocationDate(r, t));
	MUST(ASN1_INTEGER_set(serial, c->serial) && X509_REVOKED_set_serialNumber(r, serial));
	MUST(ASN1_ENUMERATED_set(reason, c->reason));
	if (c->reason >= 0)
		MUST(X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, reason, 0, 0));
	MUST(X509_CRL_add0_revoked(crl, r));
	MUST(X509_CRL_sign(crl, key_of(c->issuer_key), EVP_sha256()));
	n = i2d_X509_CRL(crl, &der);
	MUST(n > 0 && !ibb_buf_append(&b, der, (size_t)n));
	OPENSSL_free(der);
	X509_CRL_free(crl);
	X509_NAME_free(issuer);
	ASN1_TIME_free(t);
	ASN1_INTEGER_free(serial);
	ASN1_ENUMERATED_free(reason);
	return b;
}

/* ---- signed messages ---- */

static ASN1_STRING *string(int type, const void *p, size_t n)
{
	ASN1_STRING *s = ASN1_STRING_type_new(type);

	MUST(s && ASN1_STRING_set(s, p, (int)n));
	return s;
}

static void digest(const EVP_MD *md, struct ibb_bytes b, uint8_t out[EVP_MAX_MD_SIZE], unsigned *n)
{
	MUST(EVP_Digest(b.data, b.len, out, n, md, NULL) == 1);
}

static void sign_attributes(PKCS7_SIGNER_INFO *si, const char *key, const EVP_MD *md,
			    unsigned faults)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	uint8_t *set = NULL, sig[512];
	size_t n = sizeof(sig);
	int len = ASN1_item_i2d((ASN1_VALUE *)si->auth_attr, &set, ASN1_ITEM_rptr(PKCS7_ATTR_SIGN));

	MUST(c && len > 0 && EVP_DigestSignInit(c, NULL, md, NULL, key_of(key)) == 1);
	MUST(EVP_DigestSign(c, sig, &n, set, (size_t)len) == 1);
	if (faults & MKPKI_BAD_SIGNATURE)
		sig[7] ^= 1;
	MUST(ASN1_STRING_set(si->enc_digest, sig, (int)n));
	OPENSSL_free(set);
	EVP_MD_CTX_free(c);
}

static void add_digest(PKCS7_SIGNER_INFO *si, const EVP_MD *md, struct ibb_bytes octets,
		       unsigned faults)
{
	uint8_t d[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	digest(md, octets, d, &n);
	if (faults & MKPKI_WRONG_DIGEST)
		d[0] ^= 1;
	MUST(PKCS7_add_signed_attribute(si, NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING,
					string(V_ASN1_OCTET_STRING, d, n)));
}

/* OpenSSL replaces an attribute of the same kind, so a second one is added by hand. */
static void add_second_digest(PKCS7_SIGNER_INFO *si)
{
	uint8_t zero[32] = {0};
	X509_ATTRIBUTE *a = X509_ATTRIBUTE_create_by_NID(NULL, NID_pkcs9_messageDigest,
							 V_ASN1_OCTET_STRING, zero, sizeof(zero));

	MUST(a && sk_X509_ATTRIBUTE_push(si->auth_attr, a) > 0);
}

static void add_many(PKCS7_SIGNER_INFO *si)
{
	for (int i = 0; i < 70; i++) {
		X509_ATTRIBUTE *a = X509_ATTRIBUTE_create_by_txt(
			NULL, "1.2.3.4", V_ASN1_PRINTABLESTRING, (const uint8_t *)"x", 1);

		MUST(a && sk_X509_ATTRIBUTE_push(si->auth_attr, a) > 0);
	}
}

struct signing {
	X509 *cert;
	const char *key, *hash, *type;
	struct ibb_bytes octets;
	unsigned faults;
};

/* A SignerInfo that is complete but for its unsigned attributes; `more` adds signed ones. */
static PKCS7_SIGNER_INFO *signer_info(const struct signing *s,
				      void (*more)(PKCS7_SIGNER_INFO *si, const void *arg),
				      const void *arg)
{
	const char *type = s->faults & MKPKI_WRONG_TYPE ? "1.2.3.4" : s->type;
	PKCS7_SIGNER_INFO *si = PKCS7_SIGNER_INFO_new();
	const EVP_MD *md = md_of(s->hash);

	MUST(si && PKCS7_SIGNER_INFO_set(si, s->cert, key_of(s->key), md));
	if (!(s->faults & MKPKI_NO_TYPE))
		MUST(PKCS7_add_signed_attribute(si, NID_pkcs9_contentType, V_ASN1_OBJECT,
						OBJ_txt2obj(type, 1)));
	else
		MUST(PKCS7_add_signed_attribute(si, NID_pkcs9_challengePassword,
						V_ASN1_PRINTABLESTRING,
						string(V_ASN1_PRINTABLESTRING, "x", 1)));
	if (!(s->faults & MKPKI_NO_DIGEST))
		add_digest(si, md, s->octets, s->faults);
	if (s->faults & MKPKI_TWO_DIGESTS)
		add_second_digest(si);
	if (s->faults & MKPKI_MANY_ATTRIBUTES)
		add_many(si);
	if (more)
		more(si, arg);
	sign_attributes(si, s->key, md, s->faults);
	if (s->faults & MKPKI_NO_ATTRIBUTES) {
		sk_X509_ATTRIBUTE_pop_free(si->auth_attr, X509_ATTRIBUTE_free);
		si->auth_attr = NULL;
	}
	if (s->faults & MKPKI_OTHER_ALGORITHM)
		MUST(X509_ALGOR_set0(si->digest_enc_alg, OBJ_nid2obj(NID_rsassaPss), V_ASN1_NULL,
				     NULL));
	return si;
}

static PKCS7 *message(const char *type, int tag, struct ibb_bytes value)
{
	PKCS7 *p = PKCS7_new(), *content = PKCS7_new();

	MUST(p && content && PKCS7_set_type(p, NID_pkcs7_signed));
	content->type = OBJ_txt2obj(type, 1);
	content->d.other = ASN1_TYPE_new();
	MUST(content->type && content->d.other);
	ASN1_TYPE_set(content->d.other, tag, string(tag, value.data, value.len));
	MUST(PKCS7_set_content(p, content));
	return p;
}

static struct ibb_buf encode(PKCS7 *p)
{
	struct ibb_buf b = {0};
	uint8_t *der = NULL;
	int n = i2d_PKCS7(p, &der);

	MUST(n > 0 && !ibb_buf_append(&b, der, (size_t)n));
	OPENSSL_free(der);
	PKCS7_free(p);
	return b;
}

static void unsigned_attribute(PKCS7_SIGNER_INFO *si, const char *oid, struct ibb_bytes der)
{
	X509_ATTRIBUTE *a =
		X509_ATTRIBUTE_create_by_txt(NULL, oid, V_ASN1_SEQUENCE, der.data, (int)der.len);

	if (!si->unauth_attr)
		si->unauth_attr = sk_X509_ATTRIBUTE_new_null();
	MUST(a && si->unauth_attr && sk_X509_ATTRIBUTE_push(si->unauth_attr, a) > 0);
}

/* ---- timestamps ---- */

static void add_time(PKCS7_SIGNER_INFO *si, const void *arg)
{
	const struct mkpki_stamp *t = arg;
	ASN1_UTCTIME *u = ASN1_UTCTIME_new();

	MUST(u && ASN1_UTCTIME_set_string(u, t->time + 2)); /* without the century */
	if (t->faults & MKPKI_NO_TIME)
		ASN1_UTCTIME_free(u);
	else
		MUST(PKCS7_add_signed_attribute(si, NID_pkcs9_signingTime, V_ASN1_UTCTIME, u));
}

static void countersign(PKCS7_SIGNER_INFO *si, const struct mkpki_stamp *t)
{
	struct ibb_bytes stamped = {ASN1_STRING_get0_data(si->enc_digest),
				    (size_t)ASN1_STRING_length(si->enc_digest)};
	struct signing s = {
		t->cert, t->key,
		t->hash, "1.2.840.113549.1.7.1",
		stamped, t->faults | (t->faults & MKPKI_WRONG_IMPRINT ? MKPKI_WRONG_DIGEST : 0)};
	PKCS7_SIGNER_INFO *cs = signer_info(&s, add_time, t);
	uint8_t *der = NULL;
	int n = i2d_PKCS7_SIGNER_INFO(cs, &der);

	MUST(n > 0);
	if (t->faults & MKPKI_DAMAGED)
		der[5] ^= 0x40;
	unsigned_attribute(si, "1.2.840.113549.1.9.6", (struct ibb_bytes){der, (size_t)n});
	OPENSSL_free(der);
	PKCS7_SIGNER_INFO_free(cs);
}

static void add_cert_id(PKCS7_SIGNER_INFO *si, const void *arg)
{
	const struct mkpki_stamp *t = arg;
	X509 *named = t->faults & MKPKI_WRONG_CERT_ID ? t->others[0] : t->cert;
	ESS_SIGNING_CERT_V2 *ess = OSSL_ESS_signing_cert_v2_new_init(EVP_sha256(), named, NULL, 1);
	uint8_t *der = NULL;
	int n;

	MUST(ess);
	n = i2d_ESS_SIGNING_CERT_V2(ess, &der);
	MUST(n > 0);
	if (!(t->faults & MKPKI_NO_CERT_ID))
		MUST(PKCS7_add_signed_attribute(si, NID_id_smime_aa_signingCertificateV2,
						V_ASN1_SEQUENCE,
						string(V_ASN1_SEQUENCE, der, (size_t)n)));
	OPENSSL_free(der);
	ESS_SIGNING_CERT_V2_free(ess);
}

/* TSTInfo of RFC 3161 */
static struct ibb_buf token_info(struct ibb_bytes stamped, const struct mkpki_stamp *t)
{
	TS_TST_INFO *info = TS_TST_INFO_new();
	TS_MSG_IMPRINT *mi = TS_MSG_IMPRINT_new();
	X509_ALGOR *alg = X509_ALGOR_new();
	ASN1_OBJECT *policy = OBJ_txt2obj("1.2.3.4.1", 1);
	ASN1_INTEGER *serial = ASN1_INTEGER_new();
	ASN1_GENERALIZEDTIME *time = ASN1_GENERALIZEDTIME_new();
	struct ibb_buf b = {0};
	uint8_t d[EVP_MAX_MD_SIZE], *der = NULL;
	unsigned n = 0;
	int len;

	MUST(info && mi && alg && policy && serial && time);
	digest(md_of(t->hash), stamped, d, &n);
	if (t->faults & MKPKI_WRONG_IMPRINT)
		d[0] ^= 1;
	X509_ALGOR_set_md(alg, md_of(t->hash));
	MUST(TS_MSG_IMPRINT_set_algo(mi, alg) && TS_MSG_IMPRINT_set_msg(mi, d, (int)n));
	MUST(ASN1_INTEGER_set(serial, 7) && ASN1_GENERALIZEDTIME_set_string(time, t->time));
	MUST(TS_TST_INFO_set_version(info, 1) && TS_TST_INFO_set_policy_id(info, policy));
	MUST(TS_TST_INFO_set_msg_imprint(info, mi) && TS_TST_INFO_set_serial(info, serial));
	MUST(TS_TST_INFO_set_time(info, time));
	len = i2d_TS_TST_INFO(info, &der);
	MUST(len > 0 && !ibb_buf_append(&b, der, (size_t)len));
	OPENSSL_free(der);
	TS_TST_INFO_free(info);
	TS_MSG_IMPRINT_free(mi);
	X509_ALGOR_free(alg);
	ASN1_OBJECT_free(policy);
	ASN1_INTEGER_free(serial);
	ASN1_GENERALIZEDTIME_free(time);
	return b;
}

static void token(PKCS7_SIGNER_INFO *si, const struct mkpki_stamp *t)
{
	struct ibb_bytes stamped = {ASN1_STRING_get0_data(si->enc_digest),
				    (size_t)ASN1_STRING_length(si->enc_digest)};
	struct ibb_buf info = token_info(stamped, t), b;
	PKCS7 *p = message("1.2.840.113549.1.9.16.1.4", V_ASN1_OCTET_STRING, ibb_buf_bytes(&info));
	struct signing s = {
		t->cert,  t->key, t->hash, "1.2.840.113549.1.9.16.1.4", ibb_buf_bytes(&info),
		t->faults};

	MUST(PKCS7_add_signer(p, signer_info(&s, add_cert_id, t)));
	MUST(PKCS7_add_certificate(p, t->cert));
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t->others) && t->others[i]; i++)
		MUST(PKCS7_add_certificate(p, t->others[i]));
	b = encode(p);
	if (t->faults & MKPKI_DAMAGED)
		b.data[30] ^= 0x40;
	unsigned_attribute(si, OID_RFC3161, ibb_buf_bytes(&b));
	ibb_buf_clear(&b);
	ibb_buf_clear(&info);
}

int mkpki_sign(const void *arg, const char *type, struct ibb_bytes value, struct ibb_buf *ret)
{
	const struct mkpki_message *m = arg;
	PKCS7 *p = message(type, V_ASN1_SEQUENCE, value);
	const unsigned char *q = value.data;
	long len = 0;
	int tag, class;
	struct ibb_buf b;

	MUST(!(ASN1_get_object(&q, &len, &tag, &class, (long)value.len) & 0x80));
	for (size_t i = 0; i < m->n_signers; i++) {
		const struct mkpki_signer *from = &m->signers[i];
		struct signing s = {from->cert, from->key,	  from->hash,
				    type,	{q, (size_t)len}, from->faults};
		PKCS7_SIGNER_INFO *si = signer_info(&s, NULL, NULL);

		for (size_t k = 0; k < IBB_ARRAY_SIZE(from->stamps) && from->stamps[k]; k++)
			(from->stamps[k]->rfc3161 ? token : countersign)(si, from->stamps[k]);
		if (from->nested.len)
			unsigned_attribute(si, OID_NESTED, from->nested);
		MUST(PKCS7_add_signer(p, si));
	}
	for (size_t i = 0; i < m->n_certs; i++)
		MUST(PKCS7_add_certificate(p, m->certs[i]));
	b = encode(p);
	MUST(!ibb_buf_append(ret, b.data, b.len));
	ibb_buf_clear(&b);
	return IBB_OK;
}
