/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Certificate chains, up to something pinned. OpenSSL builds them and checks signatures, CA bits,
 * path lengths and critical extensions (RFC 5280); times, usages, strength and revocation are
 * judged here, because Authenticode judges them at the time of signing and wants to know which.
 */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "authenticode/pkcs7_internal.h"
#include "base/limits.h"
#include "base/time.h"

/* What OpenSSL complained about. */
struct complaints {
	const STACK_OF(X509) * roots;
	int error;   /* ended the building, X509_V_OK: nothing */
	int depth;   /* of the certificate it is about */
	int when;    /* a certificate that is not valid at the time: X509_V_ERR_CERT_... */
	int when_at; /* its depth */
};

/* The root of 1997 has no basic constraints (RFC 5280 was five years away); it is one by its pin.
 */
static bool old_root(const struct complaints *c, int error, X509 *x)
{
	for (int i = 0; error == X509_V_ERR_INVALID_CA && i < sk_X509_num(c->roots); i++)
		if (X509_cmp(sk_X509_value(c->roots, i), x) == 0)
			return true;
	return false;
}

static int on_complaint(int ok, X509_STORE_CTX *ctx)
{
	struct complaints *c = X509_STORE_CTX_get_app_data(ctx);
	int e = X509_STORE_CTX_get_error(ctx);

	if (ok)
		return 1;
	if (e == X509_V_ERR_CERT_NOT_YET_VALID || e == X509_V_ERR_CERT_HAS_EXPIRED) {
		c->when = e; /* the last one: OpenSSL comes down from the root */
		c->when_at = X509_STORE_CTX_get_error_depth(ctx);
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1; /* go on: a chain is wanted even so, and its anchor */
	}
	if (old_root(c, e, X509_STORE_CTX_get_current_cert(ctx))) {
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	if (!c->error) {
		c->error = e;
		c->depth = X509_STORE_CTX_get_error_depth(ctx);
	}
	return 0;
}

static int push_ref(STACK_OF(X509) * sk, X509 *x, struct ibb_error *err)
{
	if (X509_add_cert(sk, x, X509_ADD_FLAG_UP_REF) == 1)
		return IBB_OK;
	ERR_clear_error();
	return ibb_err_nomem(err);
}

/*
 * Anchors for this purpose: the roots, the user's, and those certificates of the message that are
 * pinned by their fingerprint.
 */
static int anchors_for(const struct ibb_cert_chain_query *q, STACK_OF(X509) * to,
		       struct ibb_error *err)
{
	enum ibb_pin_kind kind = q->purpose == IBB_FOR_CODE ? IBB_PIN_CROSS : IBB_PIN_TSA;
	const STACK_OF(X509) * from[] = {q->store->roots, q->store->user};
	char sha1[41];
	int rc = IBB_OK;

	for (size_t k = 0; k < IBB_ARRAY_SIZE(from); k++)
		for (int i = 0; i < sk_X509_num(from[k]) && !rc; i++)
			rc = push_ref(to, sk_X509_value(from[k], i), err);
	for (int i = 0; i < sk_X509_num(q->others) && !rc; i++) {
		X509 *x = sk_X509_value(q->others, i);

		rc = ibb_x509_sha1(x, sha1, err);
		if (!rc && ibb_pin_find(kind, sha1))
			rc = push_ref(to, x, err);
	}
	return rc;
}

/* The chain as far as it goes; *c says what is wrong with it. */
static int build(const struct ibb_cert_chain_query *q, STACK_OF(X509) * anchors,
		 struct complaints *c, STACK_OF(X509) * *ret, struct ibb_error *err)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int r, rc = IBB_OK;

	if (!ctx || X509_STORE_CTX_init(ctx, NULL, q->leaf, q->others) != 1 ||
	    X509_STORE_CTX_set_app_data(ctx, c) != 1) {
		X509_STORE_CTX_free(ctx);
		ERR_clear_error();
		return ibb_err_nomem(err);
	}
	X509_STORE_CTX_set0_trusted_stack(ctx, anchors);
	X509_STORE_CTX_set_verify_cb(ctx, on_complaint);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
	X509_VERIFY_PARAM_set_auth_level(param, 0); /* SHA-1 and 1024 bits: see strength() */
	X509_VERIFY_PARAM_set_depth(param, (int)IBB_LIMIT_CHAIN_DEPTH);
	X509_VERIFY_PARAM_set_time(param, (time_t)q->at);
	r = X509_verify_cert(ctx);
	if (r != 1 && !c->error)
		c->error = X509_STORE_CTX_get_error(ctx);
	if (r < 0 || c->error == X509_V_ERR_OUT_OF_MEM || ibb_openssl_ran_out())
		rc = ibb_err_nomem(err);
	else if (r == 1 || X509_STORE_CTX_get0_chain(ctx))
		*ret = X509_STORE_CTX_get1_chain(ctx);
	X509_STORE_CTX_free(ctx);
	if (!rc && !*ret)
		rc = ibb_err_nomem(err);
	return rc;
}

/*
 * What the chain rests on: the pinned certificate at its end, else one that the user named. OpenSSL
 * goes on above the latter as far as there are certificates, and checks them, too.
 */
static int find_anchor(const struct ibb_trust_store *s, struct ibb_cert_chain *c,
		       struct ibb_error *err)
{
	X509 *top = sk_X509_value(c->certs, sk_X509_num(c->certs) - 1);
	char sha1[41];
	int rc = ibb_x509_sha1(top, sha1, err);

	if (rc)
		return rc;
	c->top = top;
	if (ibb_pin_find(IBB_PIN_ROOT, sha1))
		c->anchor = IBB_ANCHOR_MICROSOFT;
	else if (ibb_pin_find(IBB_PIN_CROSS, sha1))
		c->anchor = IBB_ANCHOR_CROSS;
	for (int i = sk_X509_num(c->certs) - 1; c->anchor == IBB_ANCHOR_NONE && i >= 0; i--)
		for (int k = 0; k < sk_X509_num(s->user); k++)
			if (X509_cmp(sk_X509_value(s->user, k), sk_X509_value(c->certs, i)) == 0) {
				c->anchor = IBB_ANCHOR_USER;
				c->top = sk_X509_value(c->certs, i);
			}
	return IBB_OK; /* IBB_ANCHOR_NONE: a timestamping CA */
}

/* The chain does not reach an anchor: where does it end instead? */
static void explain_end(STACK_OF(X509) * chain, struct ibb_cert_chain *ret)
{
	X509 *top = sk_X509_value(chain, sk_X509_num(chain) - 1);
	bool self = X509_NAME_cmp(X509_get_subject_name(top), X509_get_issuer_name(top)) == 0;
	char subject[256], issuer[256];

	ibb_name_text(X509_get_subject_name(top), subject);
	ibb_name_text(X509_get_issuer_name(top), issuer);
	ret->top = top;
	if (ibb_pin_test_name(issuer)) {
		ret->anchor = IBB_ANCHOR_TEST;
		ibb_finding_set(&ret->f, IBB_SIG_UNTRUSTED, "test-signed: '%.120s'", issuer);
	} else if (self && sk_X509_num(chain) == 1) {
		ret->anchor = IBB_ANCHOR_TEST;
		ibb_finding_set(&ret->f, IBB_SIG_UNTRUSTED,
				"test-signed: the certificate '%.120s' signed itself", subject);
	} else if (self) {
		ibb_finding_set(&ret->f, IBB_SIG_UNTRUSTED,
				"the chain ends at '%.120s', which is not trusted", subject);
	} else {
		ibb_finding_set(&ret->f, IBB_SIG_UNTRUSTED,
				"the issuer of '%.80s' is neither there nor trusted: '%.80s'",
				subject, issuer);
	}
}

static void explain_error(const struct complaints *c, STACK_OF(X509) * chain,
			  struct ibb_cert_chain *ret)
{
	int at = c->depth < sk_X509_num(chain) ? c->depth : sk_X509_num(chain) - 1;
	char subject[256];

	switch (c->error) {
	case X509_V_OK:
		return;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		ibb_finding_set(&ret->f, IBB_SIG_UNTRUSTED,
				"the chain has more than %u certificates between its ends",
				IBB_LIMIT_CHAIN_DEPTH);
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_CERT_UNTRUSTED:
		explain_end(chain, ret);
		return;
	default:
		break;
	}
	ibb_name_text(X509_get_subject_name(sk_X509_value(chain, at)), subject);
	ibb_finding_set(&ret->f,
			c->error == X509_V_ERR_CERT_SIGNATURE_FAILURE ? IBB_SIG_BROKEN
								      : IBB_SIG_USAGE,
			"the certificate '%.100s': %.100s", subject,
			X509_verify_cert_error_string(c->error));
}

/* The signature of the anchor itself counts for nothing; its key does. */
static void strength(STACK_OF(X509) * chain, bool anchored, struct ibb_finding *f)
{
	int n = sk_X509_num(chain);

	for (int i = 0; i < n; i++) {
		X509 *x = sk_X509_value(chain, i);
		EVP_PKEY *key = X509_get0_pubkey(x);
		int bits = key ? EVP_PKEY_get_bits(key) : 0, md = NID_undef;
		char subject[256];

		ibb_name_text(X509_get_subject_name(x), subject);
		if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && bits < 1024)
			ibb_finding_set(f, IBB_SIG_WEAK,
					"the RSA key of '%.120s' has %d bits, fewer than 1024",
					subject, bits);
		else if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && bits < 256)
			ibb_finding_set(f, IBB_SIG_WEAK,
					"the EC key of '%.120s' has %d bits, fewer than 256",
					subject, bits);
		else if (!key || (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA &&
				  EVP_PKEY_get_base_id(key) != EVP_PKEY_EC))
			ibb_finding_set(f, IBB_SIG_WEAK,
					"the key of '%.120s' is neither RSA nor EC", subject);
		if (anchored && i == n - 1)
			break;
		OBJ_find_sigid_algs(X509_get_signature_nid(x), &md, NULL);
		if (md == NID_md5 || md == NID_md4 || md == NID_md2)
			ibb_finding_set(f, IBB_SIG_WEAK,
					"the certificate of '%.120s' is signed with %s", subject,
					OBJ_nid2sn(md));
	}
}

/* A constrained name says whom a CA may certify; no CA for signing code is known that has one. */
static void name_constraints(STACK_OF(X509) * chain, struct ibb_finding *f)
{
	for (int i = 0; i < sk_X509_num(chain); i++)
		if (X509_get_ext_by_NID(sk_X509_value(chain, i), NID_name_constraints, -1) >= 0)
			ibb_finding_set(f, IBB_SIG_USAGE,
					"a certificate of the chain constrains names, which is not "
					"supported");
}

static void explain_time(const struct ibb_cert_chain_query *q, const struct complaints *c,
			 STACK_OF(X509) * chain, struct ibb_finding *f)
{
	X509 *x = sk_X509_value(chain, c->when_at);
	char subject[256], at[IBB_ISO8601_SIZE], limit[IBB_ISO8601_SIZE];
	bool early = c->when == X509_V_ERR_CERT_NOT_YET_VALID;
	int64_t t = 0;

	if (!c->when || !x)
		return;
	ibb_name_text(X509_get_subject_name(x), subject);
	ibb_asn1_time(early ? X509_get0_notBefore(x) : X509_get0_notAfter(x), &t);
	ibb_unix_format(t, limit);
	ibb_unix_format(q->at, at);
	ibb_finding_set(f, IBB_SIG_EXPIRED, "the certificate '%.100s' %s %s; %s %s", subject,
			early ? "was not valid before" : "expired on", limit,
			q->stamped ? "it was signed on" : "it is judged at", at);
}

/*
 * RFC 3161, 4: what an authority stamped before its key was given up stays good only if the list
 * says that the key was not lost. A signer's certificate is judged by the date alone.
 */
static bool revocation_counts(const struct ibb_cert_chain_query *q, const X509_REVOKED *r)
{
	ASN1_ENUMERATED *reason;
	long why = -1;
	int64_t date;

	if (!q->stamped || !ibb_asn1_time(X509_REVOKED_get0_revocationDate(r), &date) ||
	    date <= q->at)
		return true;
	if (q->purpose == IBB_FOR_CODE)
		return false;
	reason = X509_REVOKED_get_ext_d2i(r, NID_crl_reason, NULL, NULL);
	if (reason)
		why = ASN1_ENUMERATED_get(reason);
	ASN1_ENUMERATED_free(reason);
	return why != CRL_REASON_UNSPECIFIED && why != CRL_REASON_AFFILIATION_CHANGED &&
	       why != CRL_REASON_SUPERSEDED && why != CRL_REASON_CESSATION_OF_OPERATION;
}

static int revocation_of(const struct ibb_cert_chain_query *q, X509 *x, X509 *issuer,
			 struct ibb_finding *f, struct ibb_error *err)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);

	for (int i = 0; key && i < sk_X509_CRL_num(q->store->crls); i++) {
		X509_CRL *crl = sk_X509_CRL_value(q->store->crls, i);
		X509_REVOKED *r = NULL;
		char subject[256];

		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) != 0 ||
		    X509_CRL_get0_by_cert(crl, &r, x) != 1 || !revocation_counts(q, r)) {
			if (ibb_openssl_ran_out())
				return ibb_err_nomem(err);
			continue;
		}
		ibb_name_text(X509_get_subject_name(x), subject);
		if (X509_CRL_verify(crl, key) != 1) {
			if (ibb_openssl_ran_out())
				return ibb_err_nomem(err);
			/* damaged, or of a key that the CA had before: the user gave it to be
			 * heeded */
			ibb_finding_set(f, IBB_SIG_REVOKED,
					"the certificate '%.100s' is in a revocation list of its "
					"issuer's name, whose signature does not verify",
					subject);
			continue;
		}
		ibb_finding_set(f, IBB_SIG_REVOKED, "the certificate '%.150s' was revoked",
				subject);
	}
	return IBB_OK;
}

static int revocation(const struct ibb_cert_chain_query *q, STACK_OF(X509) * chain,
		      struct ibb_finding *f, struct ibb_error *err)
{
	int rc = IBB_OK;

	for (int i = 0; i + 1 < sk_X509_num(chain) && !rc; i++)
		rc = revocation_of(q, sk_X509_value(chain, i), sk_X509_value(chain, i + 1), f, err);
	return rc;
}

static int judge(const struct ibb_cert_chain_query *q, const struct complaints *c,
		 struct ibb_cat_signer *s, struct ibb_cert_chain *ret, struct ibb_error *err)
{
	int rc = c->error ? IBB_OK : find_anchor(q->store, ret, err);

	if (rc)
		return rc;
	/* OpenSSL may have no MD2 at all and then says that the signature is wrong. */
	if (c->error == X509_V_ERR_CERT_SIGNATURE_FAILURE)
		strength(ret->certs, false, &ret->f);
	explain_error(c, ret->certs, ret);
	strength(ret->certs, !c->error, &ret->f);
	name_constraints(ret->certs, &ret->f);
	rc = ibb_usage_check(ret->certs, q->purpose, s, &ret->f, err);
	if (!rc)
		rc = revocation(q, ret->certs, &ret->f, err);
	if (!rc)
		explain_time(q, c, ret->certs, &ret->f);
	return rc;
}

int ibb_cert_chain_check(const struct ibb_cert_chain_query *q, struct ibb_cat_signer *s,
			 struct ibb_cert_chain *ret, struct ibb_error *err)
{
	STACK_OF(X509) *anchors = sk_X509_new_null();
	struct complaints c = {.roots = q->store->roots};
	int rc;

	*ret = (struct ibb_cert_chain){0};
	ERR_clear_error();
	rc = anchors ? anchors_for(q, anchors, err) : ibb_err_nomem(err);
	if (!rc)
		rc = build(q, anchors, &c, &ret->certs, err);
	if (!rc)
		rc = judge(q, &c, s, ret, err);
	sk_X509_pop_free(anchors, X509_free);
	if (rc)
		ibb_cert_chain_clear(ret);
	return rc;
}

void ibb_cert_chain_clear(struct ibb_cert_chain *c)
{
	sk_X509_pop_free(c->certs, X509_free);
	*c = (struct ibb_cert_chain){0};
}
