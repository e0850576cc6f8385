/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which bytes of a PKCS#7 message its signature vouches for: the signed content, the signed
 * attributes, the signature, and the certificates that lead from the signer to one that is not in
 * the message; and the same of its timestamps. Worked out from the bytes, with nothing of src/.
 */
#ifndef IBB_TEST_SIGNATURE_COVER_H
#define IBB_TEST_SIGNATURE_COVER_H

#include <openssl/x509v3.h>

#include "test.h"

struct cover {
	struct {
		size_t begin, end;
		const char *what;
	} range[32];
	size_t n, bytes;
};

struct element {
	size_t begin, value, end; /* tag, content, behind */
	int tag;		  /* with its class: 0xa0 for [0] */
};

static inline struct element element_at(struct ibb_bytes b, size_t at)
{
	const unsigned char *p = b.data + at;
	struct element e = {.begin = at};
	long len = 0;
	int tag = 0, class = 0;

	assert_true(at < b.len);
	e.tag = b.data[at];
	assert_int_equal(ASN1_get_object(&p, &len, &tag, &class, (long)(b.len - at)) & 0x81, 0);
	e.value = (size_t)(p - b.data);
	e.end = e.value + (size_t)len;
	assert_true(e.end <= b.len);
	return e;
}

static inline void cover_add(struct cover *c, size_t begin, size_t end, const char *what)
{
	assert_true(c->n < IBB_ARRAY_SIZE(c->range) && begin < end);
	for (size_t i = 0; i < c->n; i++)
		if (c->range[i].begin == begin && c->range[i].end == end)
			return;
	c->range[c->n].begin = begin;
	c->range[c->n].end = end;
	c->range[c->n++].what = what;
	c->bytes += end - begin;
}

static inline const char *covered(const struct cover *c, size_t at)
{
	for (size_t i = 0; i < c->n; i++)
		if (at >= c->range[i].begin && at < c->range[i].end)
			return c->range[i].what;
	return NULL;
}

struct cert_at {
	X509 *x;
	struct element e;
};
struct certs_at {
	struct cert_at c[64];
	size_t n;
};

static inline void certs_read(struct ibb_bytes b, struct element set, struct certs_at *to)
{
	for (size_t at = set.value; at < set.end;) {
		struct element e = element_at(b, at);
		const unsigned char *p = b.data + at;

		if (e.tag == 0x30) {
			assert_true(to->n < IBB_ARRAY_SIZE(to->c));
			to->c[to->n].x = d2i_X509(NULL, &p, (long)(e.end - e.begin));
			assert_non_null(to->c[to->n].x);
			to->c[to->n++].e = e;
		}
		at = e.end;
	}
}

static inline void certs_free(struct certs_at *c)
{
	for (size_t i = 0; i < c->n; i++)
		X509_free(c->c[i].x);
}

/* Up from this certificate; one that signed itself is the root, for which ibbake has its own copy.
 */
static inline void cover_chain(const struct certs_at *certs, const struct cert_at *from,
			       struct cover *c)
{
	while (from && X509_check_issued(from->x, from->x) != X509_V_OK) {
		const struct cert_at *up = NULL;

		cover_add(c, from->e.begin, from->e.end, "certificate");
		for (size_t i = 0; i < certs->n && !up; i++)
			if (X509_check_issued(certs->c[i].x, from->x) == X509_V_OK &&
			    X509_verify(from->x, X509_get0_pubkey(certs->c[i].x)) == 1)
				up = &certs->c[i];
		from = up;
	}
}

static inline void cover_message(struct ibb_bytes b, size_t at, const struct certs_at *outer,
				 struct cover *c);

/* SignerInfo: version, issuer and serial number, digest algorithm, [0], algorithm, signature, [1]
 */
static inline void cover_signer(struct ibb_bytes b, size_t at, const struct certs_at *certs,
				struct cover *c)
{
	struct element si = element_at(b, at), version = element_at(b, si.value);
	struct element ias = element_at(b, version.end), alg = element_at(b, ias.end);
	struct element issuer = element_at(b, ias.value), attrs = element_at(b, alg.end);
	struct element sig = element_at(b, element_at(b, attrs.end).end);
	const unsigned char *p = b.data + issuer.begin, *q = b.data + issuer.end;
	X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)(issuer.end - issuer.begin));
	ASN1_INTEGER *serial = d2i_ASN1_INTEGER(NULL, &q, (long)(ias.end - issuer.end));

	assert_non_null(name);
	assert_non_null(serial);
	assert_int_equal(attrs.tag, 0xa0);
	assert_int_equal(sig.tag, 0x04);
	cover_add(c, attrs.begin, attrs.end, "signed attributes");
	cover_add(c, sig.value, sig.end, "signature");
	for (size_t i = 0; i < certs->n; i++)
		if (X509_NAME_cmp(X509_get_issuer_name(certs->c[i].x), name) == 0 &&
		    ASN1_INTEGER_cmp(X509_get_serialNumber(certs->c[i].x), serial) == 0) {
			cover_chain(certs, &certs->c[i], c);
			break;
		}
	X509_NAME_free(name);
	ASN1_INTEGER_free(serial);
	if (sig.end >= si.end)
		return;
	attrs = element_at(b, sig.end); /* those that are not signed: timestamps among them */
	assert_int_equal(attrs.tag, 0xa1);
	for (at = attrs.value; at < attrs.end; at = element_at(b, at).end) {
		static const uint8_t token[] = {0x2b, 0x06, 0x01, 0x04, 0x01,
						0x82, 0x37, 0x03, 0x03, 0x01};
		static const uint8_t counter[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
						  0x0d, 0x01, 0x09, 0x06};
		struct element oid = element_at(b, element_at(b, at).value);
		size_t value = element_at(b, oid.end).value, n = oid.end - oid.value;

		if (n == sizeof(token) && memcmp(b.data + oid.value, token, n) == 0)
			cover_message(b, value, certs, c);
		else if (n == sizeof(counter) && memcmp(b.data + oid.value, counter, n) == 0)
			cover_signer(b, value, certs, c);
	}
}

static inline void cover_message(struct ibb_bytes b, size_t at, const struct certs_at *outer,
				 struct cover *c)
{
	struct element ci = element_at(b, at), oid = element_at(b, ci.value);
	struct element sd = element_at(b, element_at(b, oid.end).value);
	struct element digests = element_at(b, element_at(b, sd.value).end);
	struct element content = element_at(b, digests.end);
	struct element value = element_at(b, element_at(b, content.value).end);
	struct certs_at certs = {.n = 0};
	size_t own;

	cover_add(c, value.value, value.end, "content");
	for (at = content.end; at < sd.end; at = element_at(b, at).end)
		if (b.data[at] == 0xa0)
			certs_read(b, element_at(b, at), &certs);
	own = certs.n;
	for (size_t i = 0; outer && i < outer->n; i++)
		certs.c[certs.n++] = outer->c[i];
	for (at = content.end; at < sd.end; at = element_at(b, at).end)
		if (b.data[at] == 0x31) {
			struct element set = element_at(b, at);

			for (size_t s = set.value; s < set.end; s = element_at(b, s).end)
				cover_signer(b, s, &certs, c);
		}
	certs.n = own;
	certs_free(&certs);
}

static inline struct cover cover_of(struct ibb_bytes b)
{
	struct cover c = {.n = 0};

	cover_message(b, 0, NULL, &c);
	return c;
}

#endif
