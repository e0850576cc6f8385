/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of a catalog; mkcat.c signs it. */
#include "mkcat.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/le.h"
#include "base/utf16.h"
#include "mkder.h"

#define OID_SHA1	   "1.3.14.3.2.26"
#define OID_SHA256	   "2.16.840.1.101.3.4.2.1"
#define OID_CATALOG_LIST   "1.3.6.1.4.1.311.12.1.1"
#define OID_MEMBER_V1	   "1.3.6.1.4.1.311.12.1.2"
#define OID_MEMBER_V2	   "1.3.6.1.4.1.311.12.1.3"
#define OID_NAME_VALUE	   "1.3.6.1.4.1.311.12.2.1"
#define OID_MEMBER_INFO	   "1.3.6.1.4.1.311.12.2.2"
#define OID_MEMBER_INFO_V2 "1.3.6.1.4.1.311.12.2.3"
#define OID_INDIRECT_DATA  "1.3.6.1.4.1.311.2.1.4"
#define OID_SPC_PE_IMAGE   "1.3.6.1.4.1.311.2.1.15"
#define OID_SPC_FLAT	   "1.3.6.1.4.1.311.2.1.25"
#define OID_PAGE_HASHES	   "1.3.6.1.4.1.311.2.3.2" /* SHA-256 */

#define GUID_PE	  "{C689AAB8-8E78-11D0-8C47-00C04FC295EE}"
#define GUID_FLAT "{DE351A42-8E59-11D0-8C47-00C04FC295EE}"

#define NAME_VALUE_FLAGS 0x10010001 /* as in every catalog of Microsoft's hardware service */

struct member {
	const char *name;
	uint8_t digest[32];
	size_t n; /* bytes of digest */
	bool pe;
};

static void bmp_string(struct mkder *d, const char *s)
{
	IBB_AUTO_BUF struct ibb_buf n = {0};

	if (ibb_utf16le_append(&n, s)) {
		d->failed = true;
		return;
	}
	for (size_t i = 0; i + 1 < n.len; i += 2) { /* BMPString is big endian */
		uint8_t lo = n.data[i];

		n.data[i] = n.data[i + 1];
		n.data[i + 1] = lo;
	}
	mkder_primitive(d, MKDER_BMP_STRING, n.data, n.len);
}

/* CatNameValue: SEQUENCE { BMPString name, INTEGER flags, OCTET STRING UTF-16LE value } */
static void name_value(struct mkder *d, const struct mkcat_attr *a)
{
	IBB_AUTO_BUF struct ibb_buf v = {0};

	if (ibb_utf16le_append(&v, a->value) || ibb_buf_append_zero(&v, 2)) {
		d->failed = true;
		return;
	}
	mkder_open(d, MKDER_SEQUENCE);
	bmp_string(d, a->name);
	mkder_integer(d, a->flags ? a->flags : NAME_VALUE_FLAGS);
	mkder_primitive(d, MKDER_OCTETS, v.data, v.len);
	mkder_close(d);
}

static void attribute_name_value(struct mkder *d, const struct mkcat_attr *a)
{
	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, OID_NAME_VALUE);
	mkder_open(d, MKDER_SET);
	name_value(d, a);
	mkder_close(d);
	mkder_close(d);
}

/* SpcSerializedObject: the class of page hashes, then pairs of an offset and a digest */
static void page_hashes(struct mkder *d)
{
	static const uint8_t class[16] = {0xa6, 0xb5, 0x86, 0xd5, 0xb4, 0xa1, 0x24, 0x66,
					  0xae, 0x05, 0xa2, 0x17, 0xda, 0x8e, 0x60, 0xd6};
	static const uint8_t pages[2 * 36] = {[36] = 0x02};

	mkder_open(d, MKDER_CONTEXT(1));
	mkder_primitive(d, MKDER_OCTETS, class, sizeof(class));
	mkder_open(d, MKDER_OCTETS);
	mkder_open(d, MKDER_SET);
	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, OID_PAGE_HASHES);
	mkder_open(d, MKDER_SET);
	mkder_primitive(d, MKDER_OCTETS, pages, sizeof(pages));
	mkder_close(d);
	mkder_close(d);
	mkder_close(d);
	mkder_close(d);
	mkder_close(d);
}

/* SpcLink: a file without a name, as in real catalogs */
static void no_link(struct mkder *d)
{
	mkder_open(d, MKDER_CONTEXT(2));
	mkder_primitive(d, MKDER_IMPLICIT(0), NULL, 0);
	mkder_close(d);
}

/* What is hashed, and how: SpcPeImageData or SpcLink. */
static void spc_type(struct mkder *d, bool pe, bool pages)
{
	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, pe ? OID_SPC_PE_IMAGE : OID_SPC_FLAT);
	if (pe) {
		mkder_open(d, MKDER_SEQUENCE);
		mkder_primitive(d, MKDER_BIT_STRING, "\x05\xa0", 2);
		mkder_open(d, MKDER_CONTEXT(0));
		if (pages)
			page_hashes(d);
		else
			no_link(d);
		mkder_close(d);
		mkder_close(d);
	} else {
		no_link(d);
	}
	mkder_close(d);
}

void mkctl_indirect(struct mkder *d, const uint8_t *digest, size_t n, bool pe, bool pages)
{
	mkder_open(d, MKDER_SEQUENCE);
	spc_type(d, pe, pages);
	mkder_open(d, MKDER_SEQUENCE);
	mkder_algorithm(d, n == 20 ? OID_SHA1 : OID_SHA256);
	mkder_primitive(d, MKDER_OCTETS, digest, n);
	mkder_close(d);
	mkder_close(d);
}

static void indirect_data(struct mkder *d, const struct member *m, bool pages)
{
	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, OID_INDIRECT_DATA);
	mkder_open(d, MKDER_SET);
	mkctl_indirect(d, m->digest, m->n, m->pe, pages);
	mkder_close(d);
	mkder_close(d);
}

static void member_info(struct mkder *d, unsigned version, bool pe)
{
	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, version == 1 ? OID_MEMBER_INFO : OID_MEMBER_INFO_V2);
	mkder_open(d, MKDER_SET);
	if (version == 1) {
		mkder_open(d, MKDER_SEQUENCE);
		bmp_string(d, pe ? GUID_PE : GUID_FLAT);
		mkder_integer(d, 0x200);
		mkder_close(d);
	} else {
		mkder_primitive(d, MKDER_IMPLICIT(pe ? 0 : 2), NULL, 0);
	}
	mkder_close(d);
	mkder_close(d);
}

static void tag(struct mkder *d, unsigned version, const struct member *m)
{
	IBB_AUTO_BUF struct ibb_buf t = {0};
	char hex[65];

	if (version != 1) {
		mkder_primitive(d, MKDER_OCTETS, m->digest, m->n);
		return;
	}
	ibb_hex(m->digest, m->n, hex);
	for (char *p = hex; *p; p++)
		*p = *p >= 'a' ? (char)(*p - 'a' + 'A') : *p;
	d->failed |= ibb_utf16le_append(&t, hex) || ibb_buf_append_zero(&t, 2);
	mkder_primitive(d, MKDER_OCTETS, t.data, t.len);
}

static void member(struct mkder *d, const struct mkcat_opts *o, const struct member *m)
{
	unsigned version = o->version == 1 ? 1 : 2;
	const struct mkcat_attr file = {"File", m->name, 0};
	const struct mkcat_attr os = {"OSAttr",
				      o->os_attr ? o->os_attr : "2:6.1,2:6.2,2:6.3,2:10.0", 0};

	mkder_open(d, MKDER_SEQUENCE);
	tag(d, version, m);
	mkder_open(d, MKDER_SET);
	member_info(d, version, m->pe);
	attribute_name_value(d, &file);
	attribute_name_value(d, &os);
	for (size_t i = 0; i < o->n_member_attrs; i++)
		attribute_name_value(d, &o->member_attrs[i]);
	if (version == 1 || m->n == 32) /* else it is the bare SHA-1 of a version 2 catalog */
		indirect_data(d, m, o->page_hashes);
	mkder_sort(d);
	mkder_close(d);
	mkder_close(d);
}

/* Extensions: [0] SEQUENCE OF { OID, OCTET STRING { CatNameValue } } */
static void list_attribute(struct mkder *d, const char *name, const char *value, uint32_t flags)
{
	const struct mkcat_attr a = {name, value, flags};

	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, OID_NAME_VALUE);
	mkder_open(d, MKDER_OCTETS);
	name_value(d, &a);
	mkder_close(d);
	mkder_close(d);
}

static void list_attributes(struct mkder *d, const struct mkcat_opts *o)
{
	mkder_open(d, MKDER_CONTEXT(0));
	mkder_open(d, MKDER_SEQUENCE);
	list_attribute(d, "OS", o->os ? o->os : "_v63_X64,_v100_X64,Server_v100_X64_21H2", 0);
	if (o->submission)
		list_attribute(d, "Submission ID", o->submission, 0);
	for (size_t i = 0; i < o->n_attrs; i++)
		list_attribute(d, o->attrs[i].name, o->attrs[i].value, o->attrs[i].flags);
	for (size_t i = 0; i < o->n_hwids; i++) {
		IBB_AUTO_FREE char *id = ibb_strdup(o->hwids[i]);
		IBB_AUTO_FREE char *name = ibb_asprintf("HWID%zu", i + 1);

		if (!id || !name) {
			d->failed = true;
			break;
		}
		ibb_ascii_lower(id);
		list_attribute(d, name, id, 0);
	}
	mkder_close(d);
	mkder_close(d);
}

static int compare_members(const void *pa, const void *pb)
{
	const struct member *a = pa, *b = pb;
	int r = memcmp(a->digest, b->digest, a->n < b->n ? a->n : b->n);

	return r ? r : (a->n > b->n) - (a->n < b->n);
}

static void list_content(struct mkder *d, const struct mkcat_opts *o, const struct member *m,
			 size_t n)
{
	static const uint8_t no_members[16];

	mkder_open(d, MKDER_SEQUENCE);
	mkder_oid(d, o->list_usage ? o->list_usage : OID_CATALOG_LIST);
	mkder_close(d);
	/* the list's identifier: any 16 bytes that tell lists apart */
	mkder_primitive(d, MKDER_OCTETS, n ? m[0].digest : no_members, 16);
	mkder_primitive(d, MKDER_UTC_TIME, "260101000000Z", 13);
	mkder_algorithm(d, o->version == 1 ? OID_MEMBER_V1 : OID_MEMBER_V2);
	mkder_open(d, MKDER_SEQUENCE);
	for (size_t i = 0; i < n; i++)
		member(d, o, &m[i]);
	mkder_close(d);
	list_attributes(d, o);
}

static int digest_file(struct ibb_bytes file, const EVP_MD *md, uint8_t ret[32], bool *ret_pe);

static int digest_members(const struct mkcat_opts *o, struct member **ret, size_t *ret_n,
			  struct ibb_error *err)
{
	struct member *m = ibb_calloc_array(2 * o->n_members + 1, sizeof(*m));
	size_t n = 0;

	for (size_t i = 0; m && i < o->n_members; i++) {
		for (unsigned sha1 = 0; sha1 < 2; sha1++) {
			if (o->version == 1 ? !sha1 : sha1 && !o->bare_sha1)
				continue;
			m[n].name = o->members[i].name;
			m[n].n = sha1 ? 20 : 32;
			if (digest_file(o->members[i].bytes, sha1 ? EVP_sha1() : EVP_sha256(),
					m[n].digest, &m[n].pe)) {
				free(m);
				return ibb_err_nomem(err);
			}
			n++;
		}
	}
	if (!m)
		return ibb_err_nomem(err);
	qsort(m, n, sizeof(*m), compare_members);
	*ret = m;
	*ret_n = n;
	return IBB_OK;
}

int mkctl(const struct mkcat_opts *o, struct ibb_buf *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE struct member *m = NULL;
	struct mkder d = {0};
	size_t n = 0;
	int rc = digest_members(o, &m, &n, err);

	if (rc)
		return rc;
	mkder_open(&d, MKDER_SEQUENCE);
	list_content(&d, o, m, n);
	mkder_close(&d);
	if (d.failed || ibb_buf_append(ret, d.b.data, d.b.len))
		rc = ibb_err_nomem(err);
	ibb_buf_clear(&d.b);
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

static int digest_file(struct ibb_bytes file, const EVP_MD *md, uint8_t ret[32], bool *ret_pe)
{
	static const uint8_t zeros[8];
	size_t opt = optional_header(file), checksum, security, end = file.len;
	EVP_MD_CTX *c;
	bool ok;

	*ret_pe = opt != 0;
	if (!opt)
		return EVP_Digest(file.data, file.len, ret, NULL, md, NULL) ? IBB_OK : IBB_E_NOMEM;
	checksum = opt + 64;
	security = opt + (ibb_get_le16(file.data + opt) == 0x20b ? 112 : 96) + 4 * 8;
	if (ibb_get_le32(file.data + security)) /* certificates stand at the end */
		end = ibb_get_le32(file.data + security);
	if (end < security + 8 || end > file.len)
		end = file.len;
	c = EVP_MD_CTX_new();
	ok = c && EVP_DigestInit_ex(c, md, NULL) && EVP_DigestUpdate(c, file.data, checksum) &&
	     EVP_DigestUpdate(c, file.data + checksum + 4, security - checksum - 4) &&
	     EVP_DigestUpdate(c, file.data + security + 8, end - security - 8) &&
	     EVP_DigestUpdate(c, zeros, (8 - end % 8) % 8) && EVP_DigestFinal_ex(c, ret, NULL);
	EVP_MD_CTX_free(c);
	return ok ? IBB_OK : IBB_E_NOMEM;
}

int mkcat_digest(struct ibb_bytes file, struct ibb_sha256 *ret, bool *ret_pe)
{
	return digest_file(file, EVP_sha256(), ret->b, ret_pe);
}
