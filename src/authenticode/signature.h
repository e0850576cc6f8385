/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who signed PKCS#7 SignedData, up to which pinned root, and when: Authenticode's view of it, with
 * OpenSSL's arithmetic. Facts, not policy: what Windows makes of them is trust.h.
 */
#ifndef IBB_AUTHENTICODE_SIGNATURE_H
#define IBB_AUTHENTICODE_SIGNATURE_H

#include "authenticode/cat.h"
#include "authenticode/signer.h"

/* ---- what is trusted ---- */

struct ibb_trust_store;
/* The pinned roots and cross certificates that ibbake comes with (catalogs/trust). What a store
 * holds is only read afterwards: threads may share one. */
int ibb_trust_store_new(struct ibb_trust_store **ret, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_trust_store_free(struct ibb_trust_store *s);
IBB_DEFINE_CLEANUP(struct ibb_trust_store *, ibb_trust_store_free)
/* A further root (one or more certificates, PEM), by the user's word: chains that end there have
 * the anchor IBB_ANCHOR_USER. IBB_E_CORRUPT. */
int ibb_trust_store_add(struct ibb_trust_store *s, const char *name, struct ibb_bytes pem,
			struct ibb_error *err) IBB_MUST_CHECK;
/* Certificate revocation lists (PEM or DER) that are held against every chain they are about. */
int ibb_trust_store_add_crl(struct ibb_trust_store *s, const char *name, struct ibb_bytes crl,
			    struct ibb_error *err) IBB_MUST_CHECK;

enum ibb_anchor {
	IBB_ANCHOR_NONE,      /* no pinned root */
	IBB_ANCHOR_MICROSOFT, /* a Microsoft root of 1997, 2001, 2010 or 2011 */
	IBB_ANCHOR_CROSS,     /* a CA that Microsoft cross-certified for kernel-mode code signing */
	IBB_ANCHOR_TEST, /* a Microsoft test root, or a signer's certificate that signed itself;
			    the fault is IBB_SIG_UNTRUSTED all the same */
	IBB_ANCHOR_USER	 /* added by the user */
};

/* ---- one signature ---- */

enum ibb_signature_fault {
	IBB_SIG_OK,
	IBB_SIG_NO_SIGNER, /* nobody signed, or the certificate is missing */
	IBB_SIG_BROKEN,	   /* the digest or the signature does not verify: changed since */
	IBB_SIG_UNTRUSTED, /* the chain does not reach a pinned root; the signature itself holds */
	IBB_SIG_EXPIRED,   /* a certificate was not valid when it was signed, or, without a trusted
			      timestamp, is not valid now */
	IBB_SIG_USAGE,	   /* a certificate is not for signing code (or its CA no CA) */
	IBB_SIG_REVOKED,   /* by a CRL that was given */
	IBB_SIG_WEAK	   /* MD5 or weaker, RSA below 1024 bits */
};
const char *ibb_signature_fault_name(enum ibb_signature_fault f); /* "ok", "broken", ... */

struct ibb_signature {
	enum ibb_signature_fault fault;
	char why[256]; /* what exactly, "" when fault is IBB_SIG_OK */
	/* Filled as far as there is a certificate. A usage counts here only when every CA of the
	 * chain may grant it. */
	struct ibb_cat_signer signer;
	enum ibb_digest_alg
		digest;	     /* of the signed attributes; SHA-384 and -512 count as SHA-256 */
	char digest_name[8]; /* "sha1", "sha256", "sha384", "sha512" or, refused, "md5" */
	unsigned key_bits;
	enum ibb_anchor anchor;
	char anchor_name[256];			 /* common name of the pinned certificate */
	char anchor_sha1[41];			 /* its fingerprint, lower-case hex */
	int64_t leaf_not_before, leaf_not_after; /* of the signer's certificate */
	bool timestamped;    /* by an authority that chains to a pinned root or is pinned itself */
	int64_t signed_at;   /* that time; without: the time it was judged at */
	char authority[256]; /* who stamped */
	char timestamp_why[256]; /* why a timestamp that is there does not count, else "" */
	bool nested;		 /* a secondary signature (1.3.6.1.4.1.311.2.4.1) */
};

/*
 * Check every signature of a PKCS#7 SignedData: all SignerInfos, then nested ones. `now` (seconds
 * since 1970) is when signatures without a trusted timestamp are judged. *ret_content (emptied
 * first) gets the signed content, the DER of the eContent's value, and ret_type its OID. A
 * signature that does not hold is a result (its fault), not an error. IBB_E_CORRUPT: no PKCS#7
 * SignedData, trailing bytes; IBB_E_LIMIT; IBB_E_NOMEM. free() *ret. A nested signature is over
 * content of its own; ret_content is that of the outer one, and a nested signature counts only when
 * its content is the same list (else it is reported with IBB_SIG_BROKEN).
 */
int ibb_signature_verify(const char *name, struct ibb_bytes pkcs7,
			 const struct ibb_trust_store *store, int64_t now,
			 struct ibb_signature **ret, size_t *ret_n, struct ibb_buf *ret_content,
			 char ret_type[64], struct ibb_error *err) IBB_MUST_CHECK;

#endif
