/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authenticode/signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "authenticode/pkcs7_internal.h"
#include "base/limits.h"

const char *ibb_signature_fault_name(enum ibb_signature_fault f)
{
	static const char *const names[] = {
		[IBB_SIG_OK] = "ok",	       [IBB_SIG_NO_SIGNER] = "no-signer",
		[IBB_SIG_BROKEN] = "broken",   [IBB_SIG_UNTRUSTED] = "untrusted",
		[IBB_SIG_EXPIRED] = "expired", [IBB_SIG_USAGE] = "usage",
		[IBB_SIG_REVOKED] = "revoked", [IBB_SIG_WEAK] = "weak",
	};

	return (size_t)f < IBB_ARRAY_SIZE(names) ? names[f] : "unknown";
}

struct verify {
	const char *name;
	const struct ibb_trust_store *store;
	int64_t now;
	struct ibb_bytes value; /* of the outer message */
	const ASN1_OBJECT *type;
	struct ibb_signature *sigs;
	size_t n, cap;
};

/* The key and the digest, as far as they can be told. */
static void describe(const PKCS7_SIGNER_INFO *si, X509 *cert, struct ibb_signature *s)
{
	int nid = OBJ_obj2nid(si->digest_alg->algorithm);
	EVP_PKEY *key = X509_get0_pubkey(cert);
	const char *name = nid == NID_sha1     ? "sha1"
			   : nid == NID_sha256 ? "sha256"
			   : nid == NID_sha384 ? "sha384"
			   : nid == NID_sha512 ? "sha512"
			   : nid == NID_md5    ? "md5"
					       : "";

	s->digest = nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512 ? IBB_ALG_SHA256
										: IBB_ALG_SHA1;
	strncpy(s->digest_name, name, sizeof(s->digest_name) - 1);
	s->key_bits = key ? (unsigned)EVP_PKEY_get_bits(key) : 0;
	ibb_asn1_time(X509_get0_notBefore(cert), &s->leaf_not_before);
	ibb_asn1_time(X509_get0_notAfter(cert), &s->leaf_not_after);
}

/* When it was signed: what a trusted timestamp says, else it is judged now. */
static int date(const struct verify *v, const PKCS7_SIGNER_INFO *si, X509 *cert,
		STACK_OF(X509) * certs, struct ibb_signature *s, bool *ret_stamped,
		struct ibb_error *err)
{
	struct ibb_stamp stamp;
	bool lifetime = false;
	int rc = ibb_timestamp_find(v->store, si, certs, &stamp, err);

	if (rc == IBB_E_LIMIT)
		return ibb_err_prefix(err, rc, "%s", v->name);
	if (!rc)
		rc = ibb_usage_has(cert, IBB_OID_LIFETIME, &lifetime, err);
	if (rc)
		return rc;
	s->timestamped = stamp.trusted;
	s->signed_at = stamp.trusted ? stamp.at : v->now;
	memcpy(s->authority, stamp.authority, sizeof(s->authority));
	memcpy(s->timestamp_why, stamp.why, sizeof(s->timestamp_why));
	*ret_stamped = stamp.trusted && !lifetime;
	return IBB_OK;
}

static int note_anchor(const struct ibb_cert_chain *c, struct ibb_signature *s,
		       struct ibb_error *err)
{
	s->anchor = c->anchor;
	if (c->anchor == IBB_ANCHOR_NONE)
		return IBB_OK;
	ibb_name_text(X509_get_subject_name(c->top), s->anchor_name);
	return ibb_x509_sha1(c->top, s->anchor_sha1, err);
}

static int check_chain(const struct verify *v, X509 *cert, STACK_OF(X509) * certs, bool stamped,
		       struct ibb_signature *s, struct ibb_finding *f, struct ibb_error *err)
{
	/* A certificate for the lifetime of its signatures gains nothing from a timestamp. */
	struct ibb_cert_chain_query q = {
		v->store, cert, certs, IBB_FOR_CODE, stamped ? s->signed_at : v->now, stamped};
	struct ibb_cert_chain chain;
	int rc = ibb_cert_chain_check(&q, &s->signer, &chain, err);

	if (rc)
		return rc;
	rc = note_anchor(&chain, s, err);
	if (!rc && chain.f.fault)
		ibb_finding_set(f, chain.f.fault, "%s", chain.f.why);
	ibb_cert_chain_clear(&chain);
	return rc;
}

/* One SignerInfo of one message. */
static int check_signer(const struct verify *v, const struct ibb_p7 *m,
			const struct ibb_signer *signer, struct ibb_signature *s,
			struct ibb_error *err)
{
	const PKCS7_SIGNER_INFO *si = signer->si;
	STACK_OF(X509) *certs = m->certs;
	X509 *cert = ibb_signer_certificate(si, certs);
	struct ibb_finding f = {0};
	bool stamped = false;
	int rc;

	s->signed_at = v->now;
	if (!cert) {
		s->fault = IBB_SIG_NO_SIGNER;
		strcpy(s->why, "the signer's certificate is missing");
		return IBB_OK;
	}
	describe(si, cert, s);
	rc = ibb_signer_read(v->name, cert, &s->signer, NULL);
	if (rc == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (rc)
		ibb_finding_set(&f, IBB_SIG_NO_SIGNER, "the signer's certificate is unreadable");
	rc = ibb_signer_verify(signer, cert, m->type, m->octets, &f, err);
	if (!rc && !f.fault)
		rc = date(v, si, cert, certs, s, &stamped, err);
	if (!rc && !f.fault)
		rc = check_chain(v, cert, certs, stamped, s, &f, err);
	s->fault = f.fault;
	memcpy(s->why, f.why, sizeof(s->why));
	return rc;
}

static int add(struct verify *v, bool nested, struct ibb_signature **ret, struct ibb_error *err)
{
	if (v->n >= IBB_LIMIT_SIGNATURES)
		return ibb_err(err, IBB_E_LIMIT, "%s: more than %u signatures", v->name,
			       IBB_LIMIT_SIGNATURES);
	if (ibb_grow(&v->sigs, &v->cap, v->n, sizeof(*v->sigs)))
		return ibb_err_nomem(err);
	*ret = &v->sigs[v->n++];
	**ret = (struct ibb_signature){.nested = nested, .signed_at = v->now};
	return IBB_OK;
}

static int check_message(struct verify *v, const struct ibb_p7 *m, bool nested,
			 struct ibb_error *err)
{
	bool same = m->value.len == v->value.len &&
		    memcmp(m->value.data, v->value.data, m->value.len) == 0 &&
		    OBJ_cmp(m->type, v->type) == 0;
	int n = m->n_signers, rc = IBB_OK;

	if (n < 1) {
		struct ibb_signature *s = NULL;

		rc = add(v, nested, &s, err);
		if (rc)
			return rc;
		s->fault = IBB_SIG_NO_SIGNER;
		strcpy(s->why, "nobody signed it");
	}
	for (int i = 0; i < n && !rc; i++) {
		struct ibb_signature *s = NULL;

		rc = add(v, nested, &s, err);
		if (!rc)
			rc = check_signer(v, m, &m->signers[i], s, err);
		if (!rc && !same && s->fault == IBB_SIG_OK) {
			s->fault = IBB_SIG_BROKEN;
			strcpy(s->why, "the nested signature is over other content");
		}
	}
	return rc;
}

static int check_nested(struct verify *v, const struct ibb_p7 *m, unsigned depth,
			struct ibb_error *err);

#define NESTED "nested: " /* in front of every message of ibb_p7_parse("nested", ...) */

/* One value of the attribute: a whole message. A damaged one is a signature that does not hold. */
static int check_one_nested(struct verify *v, const ASN1_TYPE *t, unsigned depth,
			    struct ibb_error *err)
{
	struct ibb_error e = {.msg = NESTED "no SEQUENCE"};
	struct ibb_signature *s = NULL;
	struct ibb_p7 m = {0};
	int rc = IBB_E_CORRUPT;

	if (depth > IBB_LIMIT_SIGNATURE_DEPTH)
		return ibb_err(err, IBB_E_LIMIT, "%s: signatures nest more than %u deep", v->name,
			       IBB_LIMIT_SIGNATURE_DEPTH);
	if (t && t->type == V_ASN1_SEQUENCE) {
		struct ibb_bytes der = {ASN1_STRING_get0_data(t->value.sequence),
					(size_t)ASN1_STRING_length(t->value.sequence)};

		rc = ibb_p7_parse("nested", "signature", der, &m, &e);
	}
	if (rc == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (rc == IBB_E_LIMIT)
		return ibb_err(err, rc, "%s: %s", v->name, e.msg);
	if (rc) {
		rc = add(v, true, &s, err);
		if (!rc) {
			s->fault = IBB_SIG_BROKEN;
			snprintf(s->why, sizeof(s->why), "the nested signature is damaged: %.180s",
				 e.msg + strlen(NESTED));
		}
		return rc;
	}
	rc = check_message(v, &m, true, err);
	if (!rc)
		rc = check_nested(v, &m, depth, err);
	ibb_p7_clear(&m);
	return rc;
}

static int check_nested(struct verify *v, const struct ibb_p7 *m, unsigned depth,
			struct ibb_error *err)
{
	for (int i = 0; i < m->n_signers; i++) {
		const STACK_OF(X509_ATTRIBUTE) *attrs = m->signers[i].si->unauth_attr;

		for (int k = 0; k < sk_X509_ATTRIBUTE_num(attrs); k++) {
			X509_ATTRIBUTE *a = sk_X509_ATTRIBUTE_value(attrs, k);

			if (!ibb_oid_is(X509_ATTRIBUTE_get0_object(a), IBB_OID_NESTED))
				continue;
			for (int n = 0; n < X509_ATTRIBUTE_count(a); n++) {
				int rc = check_one_nested(v, X509_ATTRIBUTE_get0_type(a, n),
							  depth + 1, err);

				if (rc)
					return rc;
			}
		}
	}
	return IBB_OK;
}

static int type_text(const char *name, const ASN1_OBJECT *o, char ret[64], struct ibb_error *err)
{
	int n = OBJ_obj2txt(ret, 64, o, 1);

	if (n <= 0 || n >= 64)
		return ibb_err(err, IBB_E_CORRUPT, "%s: the content's type is %d characters long",
			       name, n);
	return IBB_OK;
}

int ibb_signature_verify(const char *name, struct ibb_bytes pkcs7,
			 const struct ibb_trust_store *store, int64_t now,
			 struct ibb_signature **ret, size_t *ret_n, struct ibb_buf *ret_content,
			 char ret_type[64], struct ibb_error *err)
{
	struct verify v = {.name = name, .store = store, .now = now};
	struct ibb_p7 m = {0};
	char type[64];
	int rc = ibb_p7_parse(name, "signature", pkcs7, &m, err);

	if (rc) {
		ERR_clear_error();
		return rc;
	}
	v.value = m.value;
	v.type = m.type;
	rc = type_text(name, v.type, type, err);
	if (!rc)
		rc = check_message(&v, &m, false, err);
	if (!rc)
		rc = check_nested(&v, &m, 0, err);
	if (!rc) {
		ibb_buf_clear(ret_content);
		if (ibb_buf_append(ret_content, v.value.data, v.value.len))
			rc = ibb_err_nomem(err);
	}
	ibb_p7_clear(&m);
	ERR_clear_error();
	if (rc) {
		free(v.sigs);
		return rc;
	}
	*ret = v.sigs;
	*ret_n = v.n;
	memcpy(ret_type, type, sizeof(type));
	return IBB_OK;
}
