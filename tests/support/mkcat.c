/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkcat.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/io.h"
#include "mkder.h"

#define OID_SIGNED_DATA	   "1.2.840.113549.1.7.2"
#define OID_CONTENT_TYPE   "1.2.840.113549.1.9.3"
#define OID_MESSAGE_DIGEST "1.2.840.113549.1.9.4"
#define OID_RSA		   "1.2.840.113549.1.1.1"
#define OID_SHA256	   "2.16.840.1.101.3.4.2.1"
#define OID_CTL		   "1.3.6.1.4.1.311.10.1"

/* ---- the test PKI ---- */

struct pki {
	EVP_PKEY *root_key, *key;
	X509 *root, *leaf;
};

static void pki_clear(struct pki *p)
{
	EVP_PKEY_free(p->root_key);
	EVP_PKEY_free(p->key);
	X509_free(p->root);
	X509_free(p->leaf);
}

static int read_key(const char *dir, const char *name, EVP_PKEY **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", dir, name);
	IBB_AUTO_BUF struct ibb_buf pem = {0};
	BIO *bio;
	int rc;

	if (!path)
		return ibb_err_nomem(err);
	rc = ibb_read_file(path, 65536, &pem, err);
	if (rc)
		return rc;
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	*ret = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	return *ret ? IBB_OK : ibb_err(err, IBB_E_CORRUPT, "%s: no private key", path);
}

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e && X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	return ok;
}

static bool set_name(X509_NAME *n, const char *cn)
{
	return X509_NAME_add_entry_by_txt(n, "O", MBSTRING_UTF8, (const uint8_t *)"ibbake", -1, -1,
					  0) &&
	       X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0);
}

static X509 *bare_certificate(EVP_PKEY *key, const char *cn, long serial)
{
	X509 *x = X509_new();

	if (x && X509_set_version(x, X509_VERSION_3) &&
	    ASN1_INTEGER_set(X509_get_serialNumber(x), serial) &&
	    ASN1_TIME_set_string_X509(X509_getm_notBefore(x), "20200101000000Z") &&
	    ASN1_TIME_set_string_X509(X509_getm_notAfter(x), "20491231235959Z") &&
	    set_name(X509_get_subject_name(x), cn) && X509_set_pubkey(x, key))
		return x;
	X509_free(x);
	return NULL;
}

static bool make_root(struct pki *p)
{
	X509 *x = p->root = bare_certificate(p->root_key, MKCAT_ROOT, 0x1bba4e01);

	return x && X509_set_issuer_name(x, X509_get_subject_name(x)) &&
	       add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE") &&
	       add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       add_extension(x, x, NID_subject_key_identifier, "hash") &&
	       X509_sign(x, p->root_key, EVP_sha256());
}

static bool make_leaf(struct pki *p, const struct mkcat_opts *o)
{
	IBB_AUTO_FREE char *eku =
		ibb_asprintf("codeSigning%s%s", o->eku ? "," : "", o->eku ? o->eku : "");
	X509 *x;

	x = p->leaf =
		bare_certificate(p->key, o->publisher ? o->publisher : MKCAT_PUBLISHER, 0x1bba4e02);
	return x && eku && X509_set_issuer_name(x, X509_get_subject_name(p->root)) &&
	       add_extension(x, p->root, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(x, p->root, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(x, p->root, NID_ext_key_usage, eku) &&
	       add_extension(x, p->root, NID_subject_key_identifier, "hash") &&
	       add_extension(x, p->root, NID_authority_key_identifier, "keyid") &&
	       X509_sign(x, p->root_key, EVP_sha256());
}

static int make_pki(struct pki *p, const struct mkcat_opts *o, struct ibb_error *err)
{
	int rc = read_key(o->key_dir, "demo-root-key.pem", &p->root_key, err);

	if (!rc)
		rc = read_key(o->key_dir, "demo-key.pem", &p->key, err);
	if (rc)
		return rc;
	if (!make_root(p) || !make_leaf(p, o))
		return ibb_err(err, IBB_E_INTERNAL, "the test certificates could not be made");
	return IBB_OK;
}

int mkcat_root_pem(const char *key_dir, struct ibb_buf *ret, struct ibb_error *err)
{
	struct mkcat_opts o = {.key_dir = key_dir};
	struct pki p = {0};
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n = 0;
	int rc = make_pki(&p, &o, err);

	if (!rc && (!bio || !PEM_write_bio_X509(bio, p.root)))
		rc = ibb_err_nomem(err);
	if (!rc)
		n = BIO_get_mem_data(bio, &text);
	if (!rc && ibb_buf_append(ret, text, (size_t)n))
		rc = ibb_err_nomem(err);
	BIO_free(bio);
	pki_clear(&p);
	return rc;
}

/* ---- PKCS#7 ---- */

static void certificate(struct mkder *d, X509 *x)
{
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);

	if (n > 0)
		mkder_put(d, der, (size_t)n);
	else
		d->failed = true;
	OPENSSL_free(der);
}

static void issuer_and_serial(struct mkder *d, X509 *x)
{
	uint8_t *name = NULL;
	int n = i2d_X509_NAME(X509_get_issuer_name(x), &name);

	mkder_open(d, MKDER_SEQUENCE);
	if (n > 0)
		mkder_put(d, name, (size_t)n);
	else
		d->failed = true;
	mkder_integer(d, 0x1bba4e02);
	mkder_close(d);
	OPENSSL_free(name);
}

static void attribute(struct mkder *d, const char *type, const struct ibb_sha256 *digest,
		      const char *value_oid)
{
	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, type);
	mkder_open(d, MKDER_SET);
	if (digest)
		mkder_primitive(d, MKDER_OCTETS, digest->b, sizeof(digest->b));
	else
		mkder_oid(d, value_oid);
	mkder_close(d);
	mkder_close(d);
}

/* Signed with the tag of a SET, stored with an implicit [0]. */
static void signed_attributes(struct mkder *d, const struct mkcat_opts *o,
			      const struct ibb_sha256 *digest)
{
	mkder_open(d, MKDER_SET);
	attribute(d, OID_CONTENT_TYPE, NULL, o->content_type ? o->content_type : OID_CTL);
	attribute(d, OID_MESSAGE_DIGEST, digest, NULL);
	mkder_sort(d);
	mkder_close(d);
}

static bool sign(EVP_PKEY *key, const struct ibb_buf *what, uint8_t sig[256])
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	size_t n = 256;
	bool ok = c && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) == 1 &&
		  EVP_DigestSign(c, sig, &n, what->data, what->len) == 1 && n == 256;

	EVP_MD_CTX_free(c);
	return ok;
}

static void signer_info(struct mkder *d, const struct mkcat_opts *o, const struct pki *p,
			const struct ibb_sha256 *digest)
{
	struct mkder attrs = {0};
	uint8_t sig[256];

	signed_attributes(&attrs, o, digest);
	if (attrs.failed || !sign(p->key, &attrs.b, sig)) {
		d->failed = true;
	} else {
		attrs.b.data[0] = MKDER_CONTEXT(0);
		mkder_open(d, MKDER_SEQUENCE);
		mkder_integer(d, 1);
		issuer_and_serial(d, p->leaf);
		mkder_algorithm(d, OID_SHA256);
		mkder_put(d, attrs.b.data, attrs.b.len);
		mkder_algorithm(d, OID_RSA);
		mkder_primitive(d, MKDER_OCTETS, sig, sizeof(sig));
		mkder_close(d);
	}
	ibb_buf_clear(&attrs.b);
}

static void signed_data(struct mkder *d, const struct mkcat_opts *o, const struct pki *p,
			const struct ibb_buf *list, const struct ibb_sha256 *digest)
{
	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, OID_SIGNED_DATA);
	mkder_open(d, MKDER_CONTEXT(0));
	mkder_open(d, MKDER_SEQUENCE);
	mkder_integer(d, 1);
	mkder_open(d, MKDER_SET);
	mkder_algorithm(d, OID_SHA256);
	mkder_close(d);
	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, o->content_type ? o->content_type : OID_CTL);
	mkder_open(d, MKDER_CONTEXT(0));
	mkder_put(d, list->data, list->len);
	mkder_close(d);
	mkder_close(d);
	mkder_open(d, MKDER_CONTEXT(0));
	if (!o->no_certificate)
		certificate(d, p->leaf);
	certificate(d, p->root);
	mkder_close(d);
	mkder_open(d, MKDER_SET);
	if (!o->no_signer)
		signer_info(d, o, p, digest);
	mkder_close(d);
	mkder_close(d);
	mkder_close(d);
	mkder_close(d);
}

/* PKCS#7 (v1.5, section 9.3) digests the content octets of the list, without its own tag. */
static int sign_list(const struct mkcat_opts *o, const struct pki *p, const struct ibb_buf *list,
		     struct ibb_buf *ret, struct ibb_error *err)
{
	const unsigned char *inner = list->data;
	struct ibb_sha256 digest;
	struct mkder out = {0};
	long n = 0;
	int rc = IBB_OK, tag, class;

	if (ASN1_get_object(&inner, &n, &tag, &class, (long)list->len) & 0x80 ||
	    ibb_sha256(inner, (size_t)n, &digest))
		out.failed = true;
	else
		signed_data(&out, o, p, list, &digest);
	if (out.failed || ibb_buf_append(ret, out.b.data, out.b.len))
		rc = ibb_err_nomem(err);
	ibb_buf_clear(&out.b);
	return rc;
}

int mkcat(const struct mkcat_opts *o, struct ibb_buf *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf list = {0};
	struct pki p = {0};
	int rc = mkctl(o, &list, err);

	if (!rc)
		rc = make_pki(&p, o, err);
	if (!rc && o->sign) {
		rc = o->sign(o->sign_arg, o->content_type ? o->content_type : OID_CTL,
			     ibb_buf_bytes(&list), ret);
		if (rc)
			rc = ibb_err(err, rc, "the catalog could not be signed");
	} else if (!rc) {
		rc = sign_list(o, &p, &list, ret, err);
	}
	pki_clear(&p);
	return rc;
}
