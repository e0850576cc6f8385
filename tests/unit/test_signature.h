/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The usual cast of the tests of signatures: root, CA, publisher, timestamping authority. */
#ifndef IBB_TEST_SIGNATURE_H
#define IBB_TEST_SIGNATURE_H

#include "authenticode/signature.h"

#include "test.h"

#include "mkpki.h"

#define ROOT	  "ibbake test root"
#define CA	  "ibbake test CA"
#define PUBLISHER "ibbake test publisher"
#define TSA	  "ibbake test authority"

#define ROOT_KEY "demo-root-key.pem"
#define CA_KEY	 "pki-ca-key.pem"
#define KEY	 "demo-key.pem"
#define TSA_KEY	 "pki-tsa-key.pem"

#define SERIAL_CA	 0x1001
#define SERIAL_PUBLISHER 0x1002
#define SERIAL_TSA	 0x1003

/* 2026-06-01, in the validity of everything that has no date of its own */
#define NOW 1780272000

static const struct mkpki_cert root_spec = {
	.cn = ROOT,
	.key = ROOT_KEY,
	.serial = 0x1000,
	.constraints = "critical,CA:TRUE",
	.usage = "critical,keyCertSign,cRLSign",
};
static const struct mkpki_cert ca_spec = {
	.cn = CA,
	.key = CA_KEY,
	.issuer = ROOT,
	.issuer_key = ROOT_KEY,
	.serial = SERIAL_CA,
	.constraints = "critical,CA:TRUE",
	.usage = "critical,keyCertSign,cRLSign",
};
static const struct mkpki_cert publisher_spec = {
	.cn = PUBLISHER,
	.key = KEY,
	.issuer = CA,
	.issuer_key = CA_KEY,
	.serial = SERIAL_PUBLISHER,
	.constraints = "critical,CA:FALSE",
	.usage = "critical,digitalSignature",
	.extended_usage = "codeSigning",
};
static const struct mkpki_cert tsa_spec = {
	.cn = TSA,
	.key = TSA_KEY,
	.issuer = ROOT,
	.issuer_key = ROOT_KEY,
	.serial = SERIAL_TSA,
	.usage = "critical,digitalSignature",
	.extended_usage = "critical,timeStamping",
};

/* What a field says that is set; else the usual. */
static inline struct mkpki_cert merged(const struct mkpki_cert *own, const struct mkpki_cert *usual)
{
	struct mkpki_cert c = *usual;

#define TAKE(f) c.f = own->f ? own->f : c.f
	TAKE(cn);
	TAKE(key);
	TAKE(issuer);
	TAKE(issuer_key);
	TAKE(serial);
	TAKE(from);
	TAKE(to);
	TAKE(hash);
	TAKE(constraints);
	TAKE(usage);
	TAKE(extended_usage);
	TAKE(name_constraints);
	TAKE(unknown);
#undef TAKE
	if (c.issuer && !*c.issuer) /* "": by itself */
		c.issuer = NULL;
	return c;
}

/* A list as a catalog has it, but for what only cat.c looks at. */
static const uint8_t list_der[] = {0x30, 0x10, 0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01,
				   0x04, 0x01, 0x82, 0x37, 0x0c, 0x01, 0x01, 0x05, 0x00};
static const struct ibb_bytes list = {list_der, sizeof(list_der)};

static inline struct ibb_buf signed_list(const struct mkpki_message *m)
{
	struct ibb_buf b = {0};

	assert_int_equal(mkpki_sign(m, MKPKI_CTL, list, &b), 0);
	return b;
}

static inline struct ibb_trust_store *store_with(X509 *root)
{
	struct ibb_trust_store *s = NULL;
	struct ibb_error err = {0};
	struct ibb_buf pem = {0};

	assert_ok(ibb_trust_store_new(&s, &err), err);
	if (root) {
		mkpki_pem(root, &pem);
		assert_ok(ibb_trust_store_add(s, "root.pem", ibb_buf_bytes(&pem), &err), err);
		ibb_buf_clear(&pem);
	}
	return s;
}

struct result {
	struct ibb_signature *sigs;
	size_t n;
};

static inline struct result verify(const struct ibb_buf *b, const struct ibb_trust_store *s,
				   int64_t now)
{
	struct ibb_buf content = {0};
	struct ibb_error err = {0};
	struct result r = {0};
	char type[64];

	assert_ok(ibb_signature_verify("t.cat", ibb_buf_bytes(b), s, now, &r.sigs, &r.n, &content,
				       type, &err),
		  err);
	assert_string_equal(type, MKPKI_CTL);
	assert_int_equal(content.len, list.len);
	assert_memory_equal(content.data, list.data, list.len);
	ibb_buf_clear(&content);
	return r;
}

#endif
