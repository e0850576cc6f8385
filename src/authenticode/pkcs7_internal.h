/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files behind signature.h share. OpenSSL's types stay inside this layer. */
#ifndef IBB_AUTHENTICODE_PKCS7_INTERNAL_H
#define IBB_AUTHENTICODE_PKCS7_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "authenticode/roots.h"
#include "authenticode/signature.h"
#include "base/limits.h"

#define IBB_OID_CTL		 "1.3.6.1.4.1.311.10.1"
#define IBB_OID_CATALOG_LIST	 "1.3.6.1.4.1.311.12.1.1"
#define IBB_OID_TST_INFO	 "1.2.840.113549.1.9.16.1.4"
#define IBB_OID_COUNTERSIGNATURE "1.2.840.113549.1.9.6"
#define IBB_OID_RFC3161		 "1.3.6.1.4.1.311.3.3.1"
#define IBB_OID_NESTED		 "1.3.6.1.4.1.311.2.4.1"
#define IBB_OID_CODE_SIGNING	 "1.3.6.1.5.5.7.3.3"
#define IBB_OID_TIME_STAMPING	 "1.3.6.1.5.5.7.3.8"
#define IBB_OID_ANY_USAGE	 "2.5.29.37.0"
#define IBB_OID_LIFETIME	 "1.3.6.1.4.1.311.10.3.13"
#define IBB_OID_WHQL		 "1.3.6.1.4.1.311.10.3.5"
#define IBB_OID_ATTESTED	 "1.3.6.1.4.1.311.10.3.5.1"
#define IBB_OID_WINDOWS_SYSTEM	 "1.3.6.1.4.1.311.10.3.6"

/*
 * The functions below return IBB_OK or an error that ends the whole check (lack of memory, limits).
 * What is wrong with a signature is a finding: the first one stays.
 */
struct ibb_finding {
	enum ibb_signature_fault fault;
	char why[256];
};
void ibb_finding_set(struct ibb_finding *f, enum ibb_signature_fault fault, const char *fmt, ...)
	IBB_PRINTF(3, 4);

/* ---- OpenSSL ---- */

/* Empty OpenSSL's error queue; did it hold a lack of memory? */
bool ibb_openssl_ran_out(void);
/* Damaged input, unless OpenSSL ran out of memory; empties its error queue. */
int ibb_openssl_failed(const char *name, const char *what, struct ibb_error *err);
bool ibb_oid_is(const ASN1_OBJECT *o, const char *dotted);
/* Enter one DER element of this universal tag at *p; its content's length, or -1. */
long ibb_asn1_enter(const unsigned char **p, const unsigned char *end, int tag);
/* Seconds since 1970; false when it is no time. */
bool ibb_asn1_time(const ASN1_TIME *t, int64_t *ret);

/* ---- certificates (signer.c) ---- */

/* What Windows shows for a name: common name, else organisational unit, else organisation. */
int ibb_name_display(const char *name, const char *whose, const X509_NAME *n, char *out,
		     size_t size, struct ibb_error *err) IBB_MUST_CHECK;
/* The same for messages, where an unreadable name is "(unreadable)". */
void ibb_name_text(const X509_NAME *n, char out[256]);
int ibb_signer_read(const char *name, X509 *x, struct ibb_cat_signer *ret,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* Lower-case hex of the SHA-1 over its DER. */
int ibb_x509_sha1(X509 *x, char ret[41], struct ibb_error *err) IBB_MUST_CHECK;

/* ---- usages (usage.c) ---- */

enum ibb_purpose { IBB_FOR_CODE, IBB_FOR_TIME };
/*
 * May this chain (leaf first) sign code, or time? `s` (NULL allowed) loses the usages that a CA
 * does not grant. The anchor is held to it like the rest.
 */
int ibb_usage_check(const STACK_OF(X509) * chain, enum ibb_purpose purpose,
		    struct ibb_cat_signer *s, struct ibb_finding *f,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* Does the leaf's extended key usage name it? */
int ibb_usage_has(X509 *x, const char *oid, bool *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- pins and store ---- */

enum ibb_pin_kind { IBB_PIN_ROOT, IBB_PIN_CROSS, IBB_PIN_TSA, IBB_PIN_TEST };
struct ibb_pin {
	enum ibb_pin_kind kind;
	const char *sha1, *sha256; /* lower-case hex; sha256: of roots only */
	const char *name;	   /* common name of the subject */
};
const struct ibb_pin *ibb_pin_find(enum ibb_pin_kind kind, const char *sha1);
bool ibb_pin_test_name(const char *common_name);

struct ibb_trust_store {
	STACK_OF(X509) * roots, *user;
	STACK_OF(X509_CRL) * crls;
};
/* Each PEM holds one certificate, which has the fingerprints of the pin its file is named after. */
int ibb_store_load_roots(struct ibb_trust_store *s, const struct ibb_root_pem *pems, size_t n,
			 struct ibb_error *err) IBB_MUST_CHECK;

/* ---- messages (pkcs7.c) ---- */

struct ibb_signed_data; /* an ASN.1 template of pkcs7.c */
struct ibb_signer {
	PKCS7_SIGNER_INFO *si;
	struct ibb_bytes attrs; /* the signed attributes as they stand there, or nothing */
};
/* One SignerInfo; ibb_signer_clear(). `der` has to outlive it. */
int ibb_signer_parse(const char *name, struct ibb_bytes der, struct ibb_signer *ret,
		     struct ibb_error *err) IBB_MUST_CHECK;
void ibb_signer_clear(struct ibb_signer *s);

struct ibb_p7 {
	struct ibb_signed_data *sd;
	const ASN1_OBJECT *type; /* of the content */
	struct ibb_signer signers[IBB_LIMIT_SIGNERS];
	int n_signers;
	STACK_OF(X509) * certs;
	struct ibb_bytes value;	 /* the content's DER */
	struct ibb_bytes octets; /* without tag and length: what is digested */
};
/* `what` it should be, for messages. */
int ibb_p7_parse(const char *name, const char *what, struct ibb_bytes der, struct ibb_p7 *ret,
		 struct ibb_error *err) IBB_MUST_CHECK;
void ibb_p7_clear(struct ibb_p7 *p);

/* ---- one signer (signer_info.c) ---- */

/* SHA-1, SHA-256, SHA-384, SHA-512; NULL with IBB_SIG_WEAK or IBB_SIG_BROKEN for others. */
const EVP_MD *ibb_digest_of(const X509_ALGOR *alg, struct ibb_finding *f);
/* The attribute of this type: the only one, with one value; NULL when it is not so. */
const ASN1_TYPE *ibb_attribute(const STACK_OF(X509_ATTRIBUTE) * attrs, const char *oid);
X509 *ibb_signer_certificate(const PKCS7_SIGNER_INFO *si, STACK_OF(X509) * certs);
/*
 * Does this signer vouch for these octets? `type` is what the attribute contentType must say.
 * Checks the signed attributes and the signature over them, not the chain.
 */
int ibb_signer_verify(const struct ibb_signer *s, X509 *cert, const ASN1_OBJECT *type,
		      struct ibb_bytes octets, struct ibb_finding *f,
		      struct ibb_error *err) IBB_MUST_CHECK;

/* ---- chains (chain.c) ---- */

struct ibb_cert_chain_query {
	const struct ibb_trust_store *store;
	X509 *leaf;
	STACK_OF(X509) * others; /* that came with the message */
	enum ibb_purpose purpose;
	int64_t at;   /* when it is judged */
	bool stamped; /* a trusted timestamp says that it existed at `at` */
};
struct ibb_cert_chain {
	struct ibb_finding f;
	enum ibb_anchor anchor; /* also when something else is wrong with the chain */
	X509 *top;		/* the anchor, of `certs`; or the last one */
	STACK_OF(X509) * certs; /* leaf first, up to the anchor or as far as it goes */
};
/* `s` as in ibb_usage_check(). */
int ibb_cert_chain_check(const struct ibb_cert_chain_query *q, struct ibb_cat_signer *s,
			 struct ibb_cert_chain *ret, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_cert_chain_clear(struct ibb_cert_chain *c);

/* ---- timestamps (timestamp.c) ---- */

struct ibb_stamp {
	bool trusted;
	int64_t at;
	char authority[256];
	char why[256]; /* why what is there does not count */
};
/* The first timestamp of this signer that counts; else why the first one does not. */
int ibb_timestamp_find(const struct ibb_trust_store *store, const PKCS7_SIGNER_INFO *si,
		       STACK_OF(X509) * certs, struct ibb_stamp *ret,
		       struct ibb_error *err) IBB_MUST_CHECK;

#endif
