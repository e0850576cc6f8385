/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A public key infrastructure for tests: certificates, revocation lists, signed messages as
 * Authenticode writes them, and timestamps, each with the faults that a test wants. Keys are the
 * throw-away ones beside this file: the same input always gives the same bytes. Everything aborts
 * when OpenSSL fails.
 */
#ifndef IBB_TEST_MKPKI_H
#define IBB_TEST_MKPKI_H

#include <openssl/x509.h>

#include "base/buf.h"

#define MKPKI_CTL "1.3.6.1.4.1.311.10.1"

struct mkpki_cert {
	const char *cn;
	const char *key;	/* file name of the key: "demo-key.pem" */
	const char *issuer;	/* its common name; NULL: signed by itself */
	const char *issuer_key; /* its key */
	long serial;
	const char *from, *to; /* NULL: "20200101000000Z", "20491231235959Z" */
	const char *hash;      /* NULL: "SHA256" */
	/* Extensions as in openssl.cnf; NULL or "": none. */
	const char *constraints, *usage, *extended_usage, *name_constraints;
	const char
		*unknown; /* DER, in text, of an extension 1.2.3.4.5; with "critical," in front */
};
X509 *mkpki_cert(const struct mkpki_cert *c);

struct mkpki_crl {
	const char *issuer, *issuer_key;
	long serial;	  /* of what is revoked */
	const char *date; /* when */
	int reason;	  /* CRL_REASON_..., or -1 */
};
/* DER, to be released by the caller. */
struct ibb_buf mkpki_crl(const struct mkpki_crl *c);
void mkpki_pem(X509 *x, struct ibb_buf *to); /* appends */

enum mkpki_fault {
	MKPKI_NO_ATTRIBUTES = 1,
	MKPKI_NO_DIGEST = 2,
	MKPKI_NO_TYPE = 4,
	MKPKI_WRONG_DIGEST = 8,
	MKPKI_WRONG_TYPE = 16,
	MKPKI_TWO_DIGESTS = 32,
	MKPKI_BAD_SIGNATURE = 64,
	MKPKI_OTHER_ALGORITHM = 128, /* the signature is named RSA-PSS */
	MKPKI_MANY_ATTRIBUTES = 256,
	/* of stamps */
	MKPKI_WRONG_IMPRINT = 512,
	MKPKI_NO_TIME = 1024,
	MKPKI_NO_CERT_ID = 2048,
	MKPKI_WRONG_CERT_ID = 4096,
	MKPKI_DAMAGED = 8192
};

struct mkpki_stamp {
	bool rfc3161; /* else a countersignature: its certificates go into the outer message */
	X509 *cert;
	const char *key;
	X509 *others[4];  /* that the token carries beside it */
	const char *time; /* "20210601120000Z" */
	const char *hash; /* NULL: SHA256 */
	unsigned faults;
};
struct mkpki_signer {
	X509 *cert;
	const char *key;
	const char *hash; /* NULL: SHA256 */
	unsigned faults;
	const struct mkpki_stamp *stamps[12];
	struct ibb_bytes nested; /* a message to nest, or none */
};
struct mkpki_message {
	struct mkpki_signer signers[12];
	size_t n_signers;
	X509 *certs[80];
	size_t n_certs;
};
/* The value is DER (SEQUENCE). Fits struct mkcat_opts. */
int mkpki_sign(const void *message, const char *type, struct ibb_bytes value, struct ibb_buf *ret);
void mkpki_cleanup(void); /* the keys that were read */

#endif
