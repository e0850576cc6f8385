/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SignedData as Authenticode and its timestamps write it. OpenSSL's parser does the work, but with
 * templates of ours: its PKCS7 (RFC 2315) refuses Microsoft's timestamps, whose set of certificates
 * holds an attribute certificate, and its CMS (RFC 5652) any content that is no octet string.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/asn1t.h>
#include <openssl/err.h>

#include "authenticode/pkcs7_internal.h"
#include "base/limits.h"

void ibb_finding_set(struct ibb_finding *f, enum ibb_signature_fault fault, const char *fmt, ...)
{
	va_list ap;

	if (f->fault != IBB_SIG_OK)
		return;
	f->fault = fault;
	va_start(ap, fmt);
	vsnprintf(f->why, sizeof(f->why), fmt, ap);
	va_end(ap);
}

bool ibb_openssl_ran_out(void)
{
	bool ran_out = false;
	unsigned long e;

	while ((e = ERR_get_error()))
		ran_out |= ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE;
	return ran_out;
}

int ibb_openssl_failed(const char *name, const char *what, struct ibb_error *err)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(e);

	if (ibb_openssl_ran_out())
		return ibb_err_nomem(err);
	return ibb_err_lib(err, IBB_E_CORRUPT, "openssl", "%s: %s%s%s%s", name, what,
			   reason ? " (" : "", reason ? reason : "", reason ? ")" : "");
}

/*
 * Compares encodings: OBJ_obj2txt() allocates, and a usage that is overlooked for lack of memory is
 * a wrong answer.
 */
bool ibb_oid_is(const ASN1_OBJECT *o, const char *dotted)
{
	uint8_t der[40], *p = der;
	unsigned long first = 0;

	for (unsigned i = 0; *dotted; i++) {
		char *end;
		unsigned long v = strtoul(dotted, &end, 10);

		IBB_ASSERT(end > dotted && p + 5 < der + sizeof(der));
		dotted = *end == '.' ? end + 1 : end;
		if (i == 0) {
			first = v * 40; /* X.690, 8.19.4: the first two share an octet */
			continue;
		}
		v += i == 1 ? first : 0;
		for (int shift = 28; shift > 0; shift -= 7)
			if (v >> shift)
				*p++ = (uint8_t)(0x80 | (v >> shift & 0x7f));
		*p++ = v & 0x7f;
	}
	return OBJ_length(o) == (size_t)(p - der) &&
	       memcmp(OBJ_get0_data(o), der, (size_t)(p - der)) == 0;
}

long ibb_asn1_enter(const unsigned char **p, const unsigned char *end, int tag)
{
	long len = 0;
	int found = 0, class = 0;
	int r = ASN1_get_object(p, &len, &found, &class, end - *p);

	/* 0x80: malformed; 1: indefinite length, which DER forbids. */
	if ((r & 0x81) || class != V_ASN1_UNIVERSAL || found != tag)
		return -1;
	return len;
}

bool ibb_asn1_time(const ASN1_TIME *t, int64_t *ret)
{
	struct tm tm = {0};

	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*ret = (int64_t)timegm(&tm);
	return true;
}

/* ContentInfo, and EncapsulatedContentInfo with any content */
typedef struct {
	ASN1_OBJECT *type;
	ASN1_TYPE *value;
} IBB_CONTENT;

typedef struct ibb_signed_data {
	ASN1_INTEGER *version;
	STACK_OF(X509_ALGOR) * digests;
	IBB_CONTENT *content;
	STACK_OF(ASN1_TYPE) * certs, *crls, *signers;
} IBB_SIGNED_DATA;

/* clang-format off */
ASN1_SEQUENCE(IBB_CONTENT) = {
	ASN1_SIMPLE(IBB_CONTENT, type, ASN1_OBJECT),
	ASN1_EXP_OPT(IBB_CONTENT, value, ASN1_ANY, 0)
} static_ASN1_SEQUENCE_END(IBB_CONTENT)

ASN1_SEQUENCE(IBB_SIGNED_DATA) = {
	ASN1_SIMPLE(IBB_SIGNED_DATA, version, ASN1_INTEGER),
	ASN1_SET_OF(IBB_SIGNED_DATA, digests, X509_ALGOR),
	ASN1_SIMPLE(IBB_SIGNED_DATA, content, IBB_CONTENT),
	ASN1_IMP_SET_OF_OPT(IBB_SIGNED_DATA, certs, ASN1_ANY, 0),
	ASN1_IMP_SET_OF_OPT(IBB_SIGNED_DATA, crls, ASN1_ANY, 1),
	ASN1_SET_OF(IBB_SIGNED_DATA, signers, ASN1_ANY)
} static_ASN1_SEQUENCE_END(IBB_SIGNED_DATA)
		/* clang-format on */

		static void *
		decode(const ASN1_ITEM *it, struct ibb_bytes der, const unsigned char **end)
{
	*end = der.data;
	return ASN1_item_d2i(NULL, end, (long)der.len, it);
}

static struct ibb_bytes bytes_of(const ASN1_STRING *s)
{
	return (struct ibb_bytes){ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
}

/* The content: a SEQUENCE in catalogs and PE signatures, an octet string in RFC 3161 tokens. */
static int read_content(const char *name, struct ibb_p7 *p, struct ibb_error *err)
{
	const ASN1_TYPE *v = p->sd->content->value;
	const unsigned char *q;
	long n;

	p->type = p->sd->content->type;
	if (!v || (v->type != V_ASN1_SEQUENCE && v->type != V_ASN1_OCTET_STRING))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: SignedData without a content that is signed", name);
	p->value = bytes_of(v->value.asn1_string);
	p->octets = p->value;
	if (v->type == V_ASN1_OCTET_STRING)
		return IBB_OK;
	q = p->value.data;
	n = ibb_asn1_enter(&q, q + p->value.len, V_ASN1_SEQUENCE);
	if (n < 0 || q + n != p->value.data + p->value.len)
		return ibb_err(err, IBB_E_CORRUPT, "%s: the signed content is not DER", name);
	p->octets = (struct ibb_bytes){q, (size_t)n};
	return IBB_OK;
}

/*
 * The signed attributes are verified as they stand there: what OpenSSL encodes of them anew may be
 * other bytes, if they were not DER. In front of them: version, issuer and serial number, digest.
 */
static bool find_attributes(struct ibb_bytes der, struct ibb_bytes *ret)
{
	const unsigned char *p = der.data, *end = der.data + der.len, *start;
	long n = ibb_asn1_enter(&p, end, V_ASN1_SEQUENCE), len = 0;
	int tag, class, r;

	if (n < 0)
		return false;
	end = p + n;
	for (int i = 0; i < 3; i++) {
		n = ibb_asn1_enter(&p, end, i == 0 ? V_ASN1_INTEGER : V_ASN1_SEQUENCE);
		if (n < 0)
			return false;
		p += n;
	}
	start = p;
	r = ASN1_get_object(&p, &len, &tag, &class, end - p);
	if (r & 0x81)
		return false;
	if (*start == 0xa0)
		*ret = (struct ibb_bytes){start, (size_t)(p + len - start)};
	return true;
}

int ibb_signer_parse(const char *name, struct ibb_bytes der, struct ibb_signer *ret,
		     struct ibb_error *err)
{
	struct ibb_signer s = {0};
	const unsigned char *end;

	s.si = decode(ASN1_ITEM_rptr(PKCS7_SIGNER_INFO), der, &end);
	if (!s.si)
		return ibb_openssl_failed(name, "a damaged SignerInfo", err);
	*ret = s;
	if (end != der.data + der.len || !find_attributes(der, &ret->attrs)) {
		ibb_signer_clear(ret);
		return ibb_err(err, IBB_E_CORRUPT, "%s: a SignerInfo that is not DER", name);
	}
	if (sk_X509_ATTRIBUTE_num(s.si->auth_attr) > (int)IBB_LIMIT_ATTRIBUTES ||
	    sk_X509_ATTRIBUTE_num(s.si->unauth_attr) > (int)IBB_LIMIT_ATTRIBUTES) {
		ibb_signer_clear(ret);
		return ibb_err(err, IBB_E_LIMIT, "%s: a signer has more than %u attributes", name,
			       IBB_LIMIT_ATTRIBUTES);
	}
	return IBB_OK;
}

void ibb_signer_clear(struct ibb_signer *s)
{
	PKCS7_SIGNER_INFO_free(s->si);
	*s = (struct ibb_signer){0};
}

static int read_signers(const char *name, struct ibb_p7 *p, struct ibb_error *err)
{
	int n = sk_ASN1_TYPE_num(p->sd->signers), rc = IBB_OK;

	if (n > (int)IBB_LIMIT_SIGNERS)
		return ibb_err(err, IBB_E_LIMIT, "%s: %d signers, more than %u", name, n,
			       IBB_LIMIT_SIGNERS);
	for (int i = 0; i < n && !rc; i++) {
		const ASN1_TYPE *t = sk_ASN1_TYPE_value(p->sd->signers, i);

		if (t->type != V_ASN1_SEQUENCE)
			return ibb_err(err, IBB_E_CORRUPT, "%s: a signer of ASN.1 type %d", name,
				       t->type);
		rc = ibb_signer_parse(name, bytes_of(t->value.sequence), &p->signers[i], err);
		p->n_signers += !rc;
	}
	return rc;
}

/* Those of the set that are X.509; tagged ones are attribute certificates and the like. */
static int read_certificates(const char *name, struct ibb_p7 *p, struct ibb_error *err)
{
	int n = sk_ASN1_TYPE_num(p->sd->certs);

	if (n > (int)IBB_LIMIT_CERTIFICATES)
		return ibb_err(err, IBB_E_LIMIT, "%s: %d certificates, more than %u", name, n,
			       IBB_LIMIT_CERTIFICATES);
	p->certs = sk_X509_new_null();
	if (!p->certs)
		return ibb_err_nomem(err);
	for (int i = 0; i < n; i++) {
		const ASN1_TYPE *t = sk_ASN1_TYPE_value(p->sd->certs, i);
		const unsigned char *q;
		X509 *x;

		if (t->type != V_ASN1_SEQUENCE)
			continue;
		x = decode(ASN1_ITEM_rptr(X509), bytes_of(t->value.sequence), &q);
		if (!x)
			return ibb_openssl_failed(name, "a damaged certificate", err);
		if (sk_X509_push(p->certs, x) <= 0) {
			X509_free(x);
			return ibb_err_nomem(err);
		}
	}
	return IBB_OK;
}

static int read_signed_data(const char *name, const char *what, const IBB_CONTENT *message,
			    struct ibb_p7 *p, struct ibb_error *err)
{
	const unsigned char *end;
	int rc;

	if (OBJ_obj2nid(message->type) != NID_pkcs7_signed || !message->value ||
	    message->value->type != V_ASN1_SEQUENCE)
		return ibb_err(err, IBB_E_CORRUPT, "%s: not a %s: PKCS#7, but no SignedData", name,
			       what);
	p->sd = decode(ASN1_ITEM_rptr(IBB_SIGNED_DATA), bytes_of(message->value->value.sequence),
		       &end);
	if (!p->sd) {
		char text[80];

		snprintf(text, sizeof(text), "not a %s: damaged SignedData", what);
		return ibb_openssl_failed(name, text, err);
	}
	rc = read_signers(name, p, err);
	if (!rc)
		rc = read_content(name, p, err);
	return rc ? rc : read_certificates(name, p, err);
}

int ibb_p7_parse(const char *name, const char *what, struct ibb_bytes der, struct ibb_p7 *ret,
		 struct ibb_error *err)
{
	const unsigned char *end;
	struct ibb_p7 p = {0};
	IBB_CONTENT *message;
	int rc;

	if (der.len > IBB_LIMIT_CAT_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "%s: %zu bytes are too many for a %s", name,
			       der.len, what);
	ERR_clear_error();
	message = decode(ASN1_ITEM_rptr(IBB_CONTENT), der, &end);
	if (!message) {
		char text[80];

		snprintf(text, sizeof(text), "not a %s: no PKCS#7 structure", what);
		return ibb_openssl_failed(name, text, err);
	}
	if (end != der.data + der.len)
		rc = ibb_err(err, IBB_E_CORRUPT, "%s: %zu bytes follow the %s's end at %zu", name,
			     (size_t)(der.data + der.len - end), what, (size_t)(end - der.data));
	else
		rc = read_signed_data(name, what, message, &p, err);
	ASN1_item_free((ASN1_VALUE *)message, ASN1_ITEM_rptr(IBB_CONTENT));
	if (rc) {
		ibb_p7_clear(&p);
		return rc;
	}
	*ret = p;
	return IBB_OK;
}

void ibb_p7_clear(struct ibb_p7 *p)
{
	for (int i = 0; i < p->n_signers; i++)
		ibb_signer_clear(&p->signers[i]);
	ASN1_item_free((ASN1_VALUE *)p->sd, ASN1_ITEM_rptr(IBB_SIGNED_DATA));
	sk_X509_pop_free(p->certs, X509_free);
	*p = (struct ibb_p7){0};
}
