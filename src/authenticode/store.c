/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is trusted: the pinned roots, and what the user adds to them or holds against them. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "authenticode/pkcs7_internal.h"
#include "base/hash.h"
#include "base/limits.h"

static int fingerprint(X509 *x, const EVP_MD *md, char *hex, struct ibb_error *err)
{
	uint8_t d[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (X509_digest(x, md, d, &n) != 1) {
		(void)ibb_openssl_ran_out();
		return ibb_err_nomem(err);
	}
	ibb_hex(d, n, hex);
	return IBB_OK;
}

int ibb_x509_sha1(X509 *x, char ret[41], struct ibb_error *err)
{
	return fingerprint(x, EVP_sha1(), ret, err);
}

void ibb_trust_store_free(struct ibb_trust_store *s)
{
	if (!s)
		return;
	sk_X509_pop_free(s->roots, X509_free);
	sk_X509_pop_free(s->user, X509_free);
	sk_X509_CRL_pop_free(s->crls, X509_CRL_free);
	free(s);
}

static BIO *reader(struct ibb_bytes b)
{
	ERR_clear_error();
	return b.len <= INT_MAX ? BIO_new_mem_buf(b.len ? (const void *)b.data : "", (int)b.len)
				: NULL;
}

/* Every certificate of a PEM file, in front of which text may stand. */
static int read_certificates(const char *name, struct ibb_bytes pem, STACK_OF(X509) * to,
			     struct ibb_error *err)
{
	BIO *bio = reader(pem);
	int before = sk_X509_num(to), rc = IBB_OK;
	unsigned long last;
	X509 *x;

	if (!bio)
		return ibb_err_nomem(err);
	while (!rc && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (sk_X509_num(to) >= (int)IBB_LIMIT_CERTIFICATES)
			rc = ibb_err(err, IBB_E_LIMIT, "%s: more than %u certificates", name,
				     IBB_LIMIT_CERTIFICATES);
		else if (sk_X509_push(to, x) > 0)
			continue;
		else
			rc = ibb_err_nomem(err);
		X509_free(x);
	}
	BIO_free(bio);
	last = ERR_peek_last_error();
	if (!rc && ERR_GET_REASON(last) != PEM_R_NO_START_LINE)
		rc = ibb_openssl_failed(name, "a certificate is damaged", err);
	else if (!rc && sk_X509_num(to) == before)
		rc = ibb_err(err, IBB_E_CORRUPT, "%s: no certificate in PEM form", name);
	ERR_clear_error();
	return rc;
}

static void drop_from(STACK_OF(X509) * sk, int n)
{
	while (sk_X509_num(sk) > n)
		X509_free(sk_X509_pop(sk));
}

static int check_root(const struct ibb_root_pem *p, X509 *x, struct ibb_error *err)
{
	char sha1[41] = "", sha256[65] = "", file[41] = "";
	const struct ibb_pin *pin;
	int rc = fingerprint(x, EVP_sha1(), sha1, err);

	if (!rc)
		rc = fingerprint(x, EVP_sha256(), sha256, err);
	if (rc)
		return rc;
	strncpy(file, p->name, sizeof(file) - 1);
	pin = ibb_pin_find(IBB_PIN_ROOT, file);
	if (!pin || strcmp(pin->sha1, sha1) != 0 || strcmp(pin->sha256, sha256) != 0)
		return ibb_err(err, IBB_E_INTERNAL,
			       "%s: the certificate has the fingerprint %s, which is not pinned",
			       p->name, sha1);
	return IBB_OK;
}

int ibb_store_load_roots(struct ibb_trust_store *s, const struct ibb_root_pem *pems, size_t n,
			 struct ibb_error *err)
{
	for (size_t i = 0; i < n; i++) {
		int before = sk_X509_num(s->roots);
		int rc = read_certificates(pems[i].name, pems[i].pem, s->roots, err);

		if (!rc && sk_X509_num(s->roots) != before + 1)
			rc = ibb_err(err, IBB_E_INTERNAL, "%s: more than one certificate",
				     pems[i].name);
		if (!rc)
			rc = check_root(&pems[i], sk_X509_value(s->roots, before), err);
		if (rc) {
			drop_from(s->roots, before);
			return rc;
		}
	}
	return IBB_OK;
}

int ibb_trust_store_new(struct ibb_trust_store **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_trust_store_free) struct ibb_trust_store *s = ibb_zalloc(sizeof(*s));
	int rc;

	if (!s)
		return ibb_err_nomem(err);
	s->roots = sk_X509_new_null();
	s->user = sk_X509_new_null();
	s->crls = sk_X509_CRL_new_null();
	if (!s->roots || !s->user || !s->crls) {
		ERR_clear_error();
		return ibb_err_nomem(err);
	}
	rc = ibb_store_load_roots(s, ibb_root_pems, ibb_root_pems_n, err);
	ERR_clear_error();
	if (rc)
		return rc;
	*ret = IBB_TAKE(s);
	return IBB_OK;
}

int ibb_trust_store_add(struct ibb_trust_store *s, const char *name, struct ibb_bytes pem,
			struct ibb_error *err)
{
	int before = sk_X509_num(s->user);
	int rc = read_certificates(name, pem, s->user, err);

	if (rc)
		drop_from(s->user, before);
	ERR_clear_error();
	return rc;
}

/* One in DER, or any number in PEM. */
static int read_crls(const char *name, struct ibb_bytes b, STACK_OF(X509_CRL) * to,
		     struct ibb_error *err)
{
	const unsigned char *p = b.data;
	bool der = b.len > 0 && b.data[0] == 0x30;
	BIO *bio = der ? NULL : reader(b);
	int before = sk_X509_CRL_num(to), rc = IBB_OK;
	X509_CRL *c;

	if (!der && !bio)
		return ibb_err_nomem(err);
	while (!rc && (c = der ? d2i_X509_CRL(NULL, &p, (long)b.len)
			       : PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
		if (sk_X509_CRL_num(to) >= (int)IBB_LIMIT_CERTIFICATES)
			rc = ibb_err(err, IBB_E_LIMIT, "%s: more than %u revocation lists", name,
				     IBB_LIMIT_CERTIFICATES);
		else if (sk_X509_CRL_push(to, c) <= 0)
			rc = ibb_err_nomem(err);
		else
			c = NULL;
		X509_CRL_free(c);
		if (der)
			break;
	}
	BIO_free(bio);
	if (!rc && der && p != b.data + b.len)
		rc = ibb_openssl_failed(name, "a damaged revocation list", err);
	else if (!rc && !der && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		rc = ibb_openssl_failed(name, "a revocation list is damaged", err);
	else if (!rc && sk_X509_CRL_num(to) == before)
		rc = ibb_err(err, IBB_E_CORRUPT, "%s: no certificate revocation list", name);
	ERR_clear_error();
	return rc;
}

int ibb_trust_store_add_crl(struct ibb_trust_store *s, const char *name, struct ibb_bytes crl,
			    struct ibb_error *err)
{
	int before = sk_X509_CRL_num(s->crls), rc;

	if (crl.len > IBB_LIMIT_CRL_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "%s: %zu bytes are too many for a revocation list",
			       name, crl.len);
	ERR_clear_error();
	rc = read_crls(name, crl, s->crls, err);
	while (rc && sk_X509_CRL_num(s->crls) > before)
		X509_CRL_free(sk_X509_CRL_pop(s->crls));
	ERR_clear_error();
	return rc;
}
