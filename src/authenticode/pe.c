/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authenticode/pe.h"

#include <openssl/evp.h>

#include "authenticode/der.h"
#include "authenticode/pe_internal.h"
#include "base/le.h"

/* ---- digests ---- */

static void md_free(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

/*
 * [0, end) of the file without the gaps in it; then zeros up to `pad` bytes. OpenSSL fails here
 * only when it has no memory.
 */
static int digest(struct ibb_bytes file, size_t end, const struct ibb_pe_gap *gaps, size_t n_gaps,
		  size_t pad, enum ibb_digest_alg alg, uint8_t ret[32])
{
	static const uint8_t zeros[8];
	__attribute__((cleanup(md_free))) EVP_MD_CTX *c = EVP_MD_CTX_new();
	size_t at = 0;
	uint8_t out[EVP_MAX_MD_SIZE];
	int ok = c && EVP_DigestInit_ex(c, alg == IBB_ALG_SHA256 ? EVP_sha256() : EVP_sha1(), NULL);

	for (size_t i = 0; ok && i <= n_gaps; i++) {
		size_t stop = i < n_gaps ? gaps[i].begin : end;

		if (stop > at)
			ok = EVP_DigestUpdate(c, file.data + at, stop - at);
		at = i < n_gaps ? gaps[i].end : end;
	}
	if (ok && pad)
		ok = EVP_DigestUpdate(c, zeros, pad);
	if (!ok || !EVP_DigestFinal_ex(c, out, NULL))
		return IBB_E_NOMEM;
	memcpy(ret, out, ibb_alg_bytes(alg));
	return IBB_OK;
}

/* Checksum, directory entry and, when there is one, the certificate table. */
static size_t layout_gaps(const struct ibb_pe_layout *l, struct ibb_pe_gap ret[4])
{
	ret[0] = (struct ibb_pe_gap){l->checksum, l->checksum + 4};
	ret[1] = (struct ibb_pe_gap){l->entry, l->entry + 8};
	if (!l->certificates.len)
		return 2;
	ret[2] = (struct ibb_pe_gap){l->end, l->end + l->certificates.len};
	return 3;
}

int ibb_pe_digest(const char *name, struct ibb_bytes file, enum ibb_digest_alg alg, uint8_t ret[32],
		  struct ibb_error *err)
{
	struct ibb_pe_gap gaps[4];
	struct ibb_pe_layout l;
	int r = ibb_pe_layout(name, file, &l, err);

	if (r)
		return r;
	layout_gaps(&l, gaps);
	/*
	 * Signing pads a file to 8 bytes, for the certificate table to begin there, and Windows
	 * digests one that is not signed as if it were (systeminformer issue 3073 compares the
	 * two). With a table the file is padded already.
	 */
	r = digest(file, l.end, gaps, 2, (8 - l.end % 8) % 8, alg, ret);
	return r ? ibb_err_nomem(err) : IBB_OK;
}

int ibb_file_digest(const char *name, struct ibb_bytes file, enum ibb_digest_alg alg,
		    uint8_t ret[32], struct ibb_error *err)
{
	if (ibb_pe_is(file))
		return ibb_pe_digest(name, file, alg, ret, err);
	return digest(file, file.len, NULL, 0, 0, alg, ret) ? ibb_err_nomem(err) : IBB_OK;
}

size_t ibb_pe_gaps(struct ibb_bytes file, struct ibb_pe_gap ret[4])
{
	struct ibb_pe_layout l;

	return ibb_pe_layout("", file, &l, NULL) ? 0 : layout_gaps(&l, ret);
}

/* ---- the embedded signature ---- */

#define WIN_CERTIFICATE_BYTES	       8u
#define WIN_CERT_REVISION_2_0	       0x0200
#define WIN_CERT_TYPE_PKCS_SIGNED_DATA 2

/*
 * The signature without what pads its entry to 8 bytes. Anything else behind it would be bytes that
 * nobody signed and that travel with the signature (CVE-2013-3900): refused, as by a Windows with
 * EnableCertPaddingCheck.
 */
static int trim(const struct ibb_der *file, struct ibb_bytes *v, struct ibb_error *err)
{
	struct ibb_bytes content;
	struct ibb_der d = *file;
	int tag, r;

	d.rest = *v;
	r = ibb_der_any(&d, "the embedded signature", &tag, &content, err);
	if (r)
		return r;
	for (size_t i = 0; i < d.rest.len; i++)
		if (d.rest.len > 7 || d.rest.data[i])
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: %zu bytes follow the embedded signature at 0x%zx",
				       file->name, d.rest.len, ibb_der_offset(&d));
	v->len -= d.rest.len;
	return IBB_OK;
}

/*
 * Microsoft, "PE Format", The Attribute Certificate Table: entries of dwLength bytes, each rounded
 * up to 8; their sum is the table's size, or one of the two is damaged.
 */
static int find_signature(const struct ibb_der *file, const struct ibb_pe_layout *l,
			  struct ibb_bytes *ret, struct ibb_error *err)
{
	struct ibb_bytes t = l->certificates, v, found = {0};
	size_t off = 0;

	while (off < t.len) {
		const uint8_t *p = t.data + off;
		size_t left = t.len - off, n;

		n = left < WIN_CERTIFICATE_BYTES ? 0 : ibb_get_le32(p);
		if (n < WIN_CERTIFICATE_BYTES || n > left)
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: no entry of the certificate table at 0x%zx", file->name,
				       l->end + off);
		v = (struct ibb_bytes){p + WIN_CERTIFICATE_BYTES, n - WIN_CERTIFICATE_BYTES};
		if (!found.data && ibb_get_le16(p + 4) == WIN_CERT_REVISION_2_0 &&
		    ibb_get_le16(p + 6) == WIN_CERT_TYPE_PKCS_SIGNED_DATA)
			found = v;
		n += (8 - n % 8) % 8;
		off += n < left ? n : left;
	}
	if (!found.data)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no signature is embedded", file->name);
	*ret = found;
	return trim(file, ret, err);
}

int ibb_pe_signature(const char *name, struct ibb_bytes file, struct ibb_bytes *ret,
		     struct ibb_error *err)
{
	struct ibb_bytes found;
	struct ibb_pe_layout l;
	struct ibb_der d;
	int r = ibb_pe_layout(name, file, &l, err);

	ibb_der_init(&d, name, file);
	if (!r)
		r = find_signature(&d, &l, &found, err);
	if (!r)
		*ret = found;
	return r;
}
