/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkcat.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/io.h"
#include "base/le.h"
#include "base/utf16.h"

/* DER tags */
#define INTEGER	    0x02
#define BIT_STRING  0x03
#define OCTETS	    0x04
#define UTC_TIME    0x17
#define BMP_STRING  0x1e
#define SEQUENCE    0x30
#define SET	    0x31
#define CONTEXT(n)  (0xa0 | (n)) /* constructed */
#define IMPLICIT(n) (0x80 | (n)) /* primitive */

#define OID_SIGNED_DATA	   "1.2.840.113549.1.7.2"
#define OID_CONTENT_TYPE   "1.2.840.113549.1.9.3"
#define OID_MESSAGE_DIGEST "1.2.840.113549.1.9.4"
#define OID_RSA		   "1.2.840.113549.1.1.1"
#define OID_SHA256	   "2.16.840.1.101.3.4.2.1"
#define OID_CTL		   "1.3.6.1.4.1.311.10.1"
#define OID_CATALOG_LIST   "1.3.6.1.4.1.311.12.1.1"
#define OID_MEMBER_V2	   "1.3.6.1.4.1.311.12.1.3"
#define OID_NAME_VALUE	   "1.3.6.1.4.1.311.12.2.1"
#define OID_MEMBER_INFO	   "1.3.6.1.4.1.311.12.2.3"
#define OID_INDIRECT_DATA  "1.3.6.1.4.1.311.2.1.4"
#define OID_SPC_PE_IMAGE   "1.3.6.1.4.1.311.2.1.15"
#define OID_SPC_FLAT	   "1.3.6.1.4.1.311.2.1.25"

#define NAME_VALUE_FLAGS 0x10010001 /* as in every catalog of Microsoft's hardware service */

/*
 * A little DER writer. Like the JSON builder it keeps its first failure: elements are opened and
 * closed on a stack of start offsets, so that no step needs a check of its own.
 */
struct der {
	struct ibb_buf b;
	size_t start[32];
	unsigned depth;
	bool failed;
};

static void put(struct der *d, const void *p, size_t n)
{
	if (!d->failed && ibb_buf_append(&d->b, p, n))
		d->failed = true;
}

static void open_tag(struct der *d, int tag)
{
	uint8_t t = (uint8_t)tag;

	put(d, &t, 1);
	IBB_ASSERT(d->depth < IBB_ARRAY_SIZE(d->start));
	d->start[d->depth++] = d->b.len;
}

static void close_tag(struct der *d)
{
	size_t start = d->start[--d->depth], n = d->b.len - start, more = 0;
	uint8_t len[5];

	if (n < 0x80) {
		len[0] = (uint8_t)n;
	} else {
		for (size_t v = n; v; v >>= 8)
			more++;
		len[0] = (uint8_t)(0x80 | more);
		for (size_t i = 0; i < more; i++)
			len[1 + i] = (uint8_t)(n >> 8 * (more - 1 - i));
	}
	put(d, len, 1 + more); /* makes room; the content then moves up over it */
	if (d->failed)
		return;
	memmove(d->b.data + start + 1 + more, d->b.data + start, n);
	memcpy(d->b.data + start, len, 1 + more);
}

static void primitive(struct der *d, int tag, const void *p, size_t n)
{
	open_tag(d, tag);
	put(d, p, n);
	close_tag(d);
}

static void integer(struct der *d, uint32_t v)
{
	uint8_t be[5] = {0, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	size_t skip = 0;

	while (skip < 4 && be[skip] == 0 && !(be[skip + 1] & 0x80))
		skip++;
	primitive(d, INTEGER, be + skip, 5 - skip);
}

static void oid(struct der *d, const char *dotted)
{
	ASN1_OBJECT *o = OBJ_txt2obj(dotted, 1);
	uint8_t bytes[64], *p = bytes;
	int n = o ? i2d_ASN1_OBJECT(o, NULL) : 0;

	if (n > 0 && (size_t)n <= sizeof(bytes) && i2d_ASN1_OBJECT(o, &p) == n)
		put(d, bytes, (size_t)n);
	else
		d->failed = true;
	ASN1_OBJECT_free(o);
}

static void algorithm(struct der *d, const char *dotted)
{
	open_tag(d, SEQUENCE);
	oid(d, dotted);
	primitive(d, 0x05, NULL, 0);
	close_tag(d);
}

static int compare_chunks(const void *pa, const void *pb)
{
	const struct ibb_bytes *a = pa, *b = pb;
	size_t n = a->len < b->len ? a->len : b->len;
	int r = memcmp(a->data, b->data, n);

	return r ? r : (a->len > b->len) - (a->len < b->len);
}

/* DER wants the elements of a SET OF, here all bytes behind the last open_tag, in order. */
static void sort_set(struct der *d)
{
	struct ibb_bytes chunks[8];
	size_t start = d->start[d->depth - 1], n = 0;
	IBB_AUTO_BUF struct ibb_buf sorted = {0};
	const unsigned char *p = d->b.data + start, *end = d->b.data + d->b.len;

	while (!d->failed && p < end) {
		const unsigned char *q = p;
		long len = 0;
		int tag = 0, class = 0;

		if ((ASN1_get_object(&q, &len, &tag, &class, end - p) & 0x80) ||
		    n == IBB_ARRAY_SIZE(chunks)) {
			d->failed = true;
			return;
		}
		chunks[n++] = (struct ibb_bytes){p, (size_t)(q + len - p)};
		p = q + len;
	}
	qsort(chunks, n, sizeof(chunks[0]), compare_chunks);
	for (size_t i = 0; i < n; i++)
		if (ibb_buf_append(&sorted, chunks[i].data, chunks[i].len))
			d->failed = true;
	if (!d->failed)
		memcpy(d->b.data + start, sorted.data, sorted.len);
}

/* CatNameValue: SEQUENCE { BMPString name, INTEGER flags, OCTET STRING UTF-16LE value } */
static void name_value(struct der *d, const char *name, const char *value)
{
	IBB_AUTO_BUF struct ibb_buf n = {0};
	IBB_AUTO_BUF struct ibb_buf v = {0};

	if (ibb_utf16le_append(&n, name) || ibb_utf16le_append(&v, value) ||
	    ibb_buf_append_zero(&v, 2)) {
		d->failed = true;
		return;
	}
	for (size_t i = 0; i + 1 < n.len; i += 2) { /* BMPString is big endian */
		uint8_t lo = n.data[i];

		n.data[i] = n.data[i + 1];
		n.data[i + 1] = lo;
	}
	open_tag(d, SEQUENCE);
	primitive(d, BMP_STRING, n.data, n.len);
	integer(d, NAME_VALUE_FLAGS);
	primitive(d, OCTETS, v.data, v.len);
	close_tag(d);
}

static void attribute_name_value(struct der *d, const char *name, const char *value)
{
	open_tag(d, SEQUENCE);
	oid(d, OID_NAME_VALUE);
	open_tag(d, SET);
	name_value(d, name, value);
	close_tag(d);
	close_tag(d);
}

/* What is hashed, and how: SpcPeImageData or SpcLink, both empty as in real catalogs. */
static void indirect_data(struct der *d, const struct ibb_sha256 *digest, bool pe)
{
	open_tag(d, SEQUENCE);
	oid(d, OID_INDIRECT_DATA);
	open_tag(d, SET);
	open_tag(d, SEQUENCE);
	open_tag(d, SEQUENCE);
	oid(d, pe ? OID_SPC_PE_IMAGE : OID_SPC_FLAT);
	if (pe) {
		open_tag(d, SEQUENCE);
		primitive(d, BIT_STRING, "\x05\xa0", 2);
		open_tag(d, CONTEXT(0));
	}
	open_tag(d, CONTEXT(2));
	primitive(d, IMPLICIT(0), NULL, 0);
	close_tag(d);
	if (pe) {
		close_tag(d);
		close_tag(d);
	}
	close_tag(d);
	open_tag(d, SEQUENCE);
	algorithm(d, OID_SHA256);
	primitive(d, OCTETS, digest->b, sizeof(digest->b));
	close_tag(d);
	close_tag(d);
	close_tag(d);
	close_tag(d);
}

struct member {
	const char *name;
	struct ibb_sha256 digest;
	bool pe;
};

static void member(struct der *d, const struct member *m)
{
	open_tag(d, SEQUENCE);
	primitive(d, OCTETS, m->digest.b, sizeof(m->digest.b));
	open_tag(d, SET);
	open_tag(d, SEQUENCE);
	oid(d, OID_MEMBER_INFO);
	open_tag(d, SET);
	primitive(d, IMPLICIT(m->pe ? 0 : 2), NULL, 0);
	close_tag(d);
	close_tag(d);
	attribute_name_value(d, "File", m->name);
	attribute_name_value(d, "OSAttr", "2:10.0");
	indirect_data(d, &m->digest, m->pe);
	sort_set(d);
	close_tag(d);
	close_tag(d);
}

/* Extensions: [0] SEQUENCE OF { OID, OCTET STRING { CatNameValue } } */
static void list_attribute(struct der *d, const char *name, const char *value)
{
	open_tag(d, SEQUENCE);
	oid(d, OID_NAME_VALUE);
	open_tag(d, OCTETS);
	name_value(d, name, value);
	close_tag(d);
	close_tag(d);
}

static void list_attributes(struct der *d, const struct mkcat_opts *o)
{
	open_tag(d, CONTEXT(0));
	open_tag(d, SEQUENCE);
	list_attribute(d, "OS", "_v63_X64,_v100_X64");
	for (size_t i = 0; i < o->n_hwids; i++) {
		IBB_AUTO_FREE char *id = ibb_strdup(o->hwids[i]);
		IBB_AUTO_FREE char *name = ibb_asprintf("HWID%zu", i + 1);

		if (!id || !name) {
			d->failed = true;
			break;
		}
		ibb_ascii_lower(id);
		list_attribute(d, name, id);
	}
	close_tag(d);
	close_tag(d);
}

static int compare_members(const void *pa, const void *pb)
{
	const struct member *a = pa, *b = pb;

	return memcmp(a->digest.b, b->digest.b, IBB_SHA256_SIZE);
}

/* The CTL without its own tag: PKCS#7 (v1.5, section 9.3) digests the content octets only. */
static void list_content(struct der *d, const struct mkcat_opts *o, const struct member *m)
{
	static const uint8_t no_members[16];

	open_tag(d, SEQUENCE);
	oid(d, o->list_usage ? o->list_usage : OID_CATALOG_LIST);
	close_tag(d);
	/* the list's identifier: any 16 bytes that tell lists apart */
	primitive(d, OCTETS, o->n_members ? m[0].digest.b : no_members, 16);
	primitive(d, UTC_TIME, "260101000000Z", 13);
	algorithm(d, OID_MEMBER_V2);
	open_tag(d, SEQUENCE);
	for (size_t i = 0; i < o->n_members; i++)
		member(d, &m[i]);
	close_tag(d);
	list_attributes(d, o);
}

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

static void certificate(struct der *d, X509 *x)
{
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);

	if (n > 0)
		put(d, der, (size_t)n);
	else
		d->failed = true;
	OPENSSL_free(der);
}

static void issuer_and_serial(struct der *d, X509 *x)
{
	uint8_t *name = NULL;
	int n = i2d_X509_NAME(X509_get_issuer_name(x), &name);

	open_tag(d, SEQUENCE);
	if (n > 0)
		put(d, name, (size_t)n);
	else
		d->failed = true;
	integer(d, 0x1bba4e02);
	close_tag(d);
	OPENSSL_free(name);
}

static void attribute(struct der *d, const char *type, const struct ibb_sha256 *digest,
		      const char *value_oid)
{
	open_tag(d, SEQUENCE);
	oid(d, type);
	open_tag(d, SET);
	if (digest)
		primitive(d, OCTETS, digest->b, sizeof(digest->b));
	else
		oid(d, value_oid);
	close_tag(d);
	close_tag(d);
}

/* Signed with the tag of a SET, stored with an implicit [0]. */
static void signed_attributes(struct der *d, const struct mkcat_opts *o,
			      const struct ibb_sha256 *digest)
{
	open_tag(d, SET);
	attribute(d, OID_CONTENT_TYPE, NULL, o->content_type ? o->content_type : OID_CTL);
	attribute(d, OID_MESSAGE_DIGEST, digest, NULL);
	sort_set(d);
	close_tag(d);
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

static void signer_info(struct der *d, const struct mkcat_opts *o, const struct pki *p,
			const struct ibb_sha256 *digest)
{
	struct der attrs = {0};
	uint8_t sig[256];

	signed_attributes(&attrs, o, digest);
	if (attrs.failed || !sign(p->key, &attrs.b, sig)) {
		d->failed = true;
	} else {
		attrs.b.data[0] = CONTEXT(0);
		open_tag(d, SEQUENCE);
		integer(d, 1);
		issuer_and_serial(d, p->leaf);
		algorithm(d, OID_SHA256);
		put(d, attrs.b.data, attrs.b.len);
		algorithm(d, OID_RSA);
		primitive(d, OCTETS, sig, sizeof(sig));
		close_tag(d);
	}
	ibb_buf_clear(&attrs.b);
}

static void signed_data(struct der *d, const struct mkcat_opts *o, const struct pki *p,
			const struct ibb_buf *list, const struct ibb_sha256 *digest)
{
	open_tag(d, SEQUENCE);
	oid(d, OID_SIGNED_DATA);
	open_tag(d, CONTEXT(0));
	open_tag(d, SEQUENCE);
	integer(d, 1);
	open_tag(d, SET);
	algorithm(d, OID_SHA256);
	close_tag(d);
	open_tag(d, SEQUENCE);
	oid(d, o->content_type ? o->content_type : OID_CTL);
	open_tag(d, CONTEXT(0));
	primitive(d, SEQUENCE, list->data, list->len);
	close_tag(d);
	close_tag(d);
	open_tag(d, CONTEXT(0));
	if (!o->no_certificate)
		certificate(d, p->leaf);
	certificate(d, p->root);
	close_tag(d);
	open_tag(d, SET);
	if (!o->no_signer)
		signer_info(d, o, p, digest);
	close_tag(d);
	close_tag(d);
	close_tag(d);
	close_tag(d);
}

static int digest_members(const struct mkcat_opts *o, struct member **ret, struct ibb_error *err)
{
	struct member *m = ibb_calloc_array(o->n_members, sizeof(*m));

	if (!m)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < o->n_members; i++) {
		m[i].name = o->members[i].name;
		if (mkcat_digest(o->members[i].bytes, &m[i].digest, &m[i].pe)) {
			free(m);
			return ibb_err_nomem(err);
		}
	}
	qsort(m, o->n_members, sizeof(*m), compare_members);
	*ret = m;
	return IBB_OK;
}

int mkcat(const struct mkcat_opts *o, struct ibb_buf *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE struct member *m = NULL;
	struct der list = {0}, out = {0};
	struct ibb_sha256 digest;
	struct pki p = {0};
	int rc = digest_members(o, &m, err);

	if (!rc)
		rc = make_pki(&p, o, err);
	if (!rc) {
		list_content(&list, o, m);
		if (!list.failed && !ibb_sha256(list.b.data, list.b.len, &digest))
			signed_data(&out, o, &p, &list.b, &digest);
		else
			out.failed = true;
		if (out.failed || ibb_buf_append(ret, out.b.data, out.b.len))
			rc = ibb_err_nomem(err);
	}
	ibb_buf_clear(&list.b);
	ibb_buf_clear(&out.b);
	pki_clear(&p);
	return rc;
}

/* Where a PE image's optional header is; 0 when the bytes are no PE image. */
static size_t optional_header(struct ibb_bytes f)
{
	uint32_t pe;

	if (f.len < 0x40 || memcmp(f.data, "MZ", 2) != 0)
		return 0;
	pe = ibb_get_le32(f.data + 0x3c);
	if (!ibb_in_range(pe, 24 + 112 + 16 * 8, f.len) || memcmp(f.data + pe, "PE\0\0", 4) != 0)
		return 0;
	return (size_t)pe + 24;
}

int mkcat_digest(struct ibb_bytes file, struct ibb_sha256 *ret, bool *ret_pe)
{
	static const uint8_t zeros[8];
	size_t opt = optional_header(file), checksum, security, end = file.len;
	struct ibb_hasher *h = NULL;
	int rc;

	*ret_pe = opt != 0;
	if (!opt)
		return ibb_sha256(file.data, file.len, ret);
	checksum = opt + 64;
	security = opt + (ibb_get_le16(file.data + opt) == 0x20b ? 112 : 96) + 4 * 8;
	if (ibb_get_le32(file.data + security)) /* certificates stand at the end */
		end = ibb_get_le32(file.data + security);
	if (end < security + 8 || end > file.len)
		end = file.len;
	rc = ibb_hasher_new(&h);
	if (rc)
		return rc;
	if (ibb_hasher_update(h, file.data, checksum) ||
	    ibb_hasher_update(h, file.data + checksum + 4, security - checksum - 4) ||
	    ibb_hasher_update(h, file.data + security + 8, end - security - 8) ||
	    ibb_hasher_update(h, zeros, (8 - end % 8) % 8)) {
		ibb_hasher_free(h);
		return IBB_E_NOMEM;
	}
	return ibb_hasher_final(h, ret);
}
