/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authenticode/spc.h"

#include "authenticode/pe.h"

#define OID_PE_IMAGE IBB_OID_MS("\x02\x01\x0f") /* 1.3.6.1.4.1.311.2.1.15 */
#define OID_FLAT     IBB_OID_MS("\x02\x01\x19") /* 1.3.6.1.4.1.311.2.1.25 */

/*
 * SpcAttributeTypeAndOptionalValue: SEQUENCE { type OID, value ANY OPTIONAL }. The value is flags
 * and an SpcLink: nothing of use ("<<<Obsolete>>>"), or page hashes, which Windows checks as it
 * loads pages of the file and which add nothing to a digest of all of it.
 */
static int read_type(struct ibb_der *d, enum ibb_cat_subject *ret, struct ibb_error *err)
{
	static const char what[] = "the type of indirect data";
	struct ibb_bytes oid, value;
	struct ibb_der in;
	int tag, r;

	r = ibb_der_enter(d, IBB_DER_SEQUENCE, what, &in, err);
	if (!r)
		r = ibb_der_get(&in, IBB_DER_OID, what, &oid, err);
	if (!r && ibb_der_more(&in))
		r = ibb_der_any(&in, what, &tag, &value, err);
	if (!r)
		r = ibb_der_end(&in, what, err);
	if (r)
		return r;
	*ret = IBB_DER_OID_IS(oid, OID_PE_IMAGE) ? IBB_SUBJECT_PE
	       : IBB_DER_OID_IS(oid, OID_FLAT)	 ? IBB_SUBJECT_FLAT
						 : IBB_SUBJECT_UNKNOWN;
	return IBB_OK;
}

/* DigestInfo: SEQUENCE { AlgorithmIdentifier, OCTET STRING } */
static int read_digest(struct ibb_der *d, struct ibb_spc *ret, struct ibb_error *err)
{
	static const char what[] = "the digest of indirect data";
	size_t at = ibb_der_offset(d);
	struct ibb_bytes oid;
	struct ibb_der in;
	int r;

	r = ibb_der_enter(d, IBB_DER_SEQUENCE, what, &in, err);
	if (!r)
		r = ibb_der_algorithm(&in, "the algorithm of indirect data", &oid, err);
	if (!r)
		r = ibb_der_get(&in, IBB_DER_OCTETS, what, &ret->digest, err);
	if (!r)
		r = ibb_der_end(&in, what, err);
	if (r)
		return r;
	if (IBB_DER_OID_IS(oid, IBB_OID_SHA1))
		ret->alg = IBB_ALG_SHA1;
	else if (IBB_DER_OID_IS(oid, IBB_OID_SHA256))
		ret->alg = IBB_ALG_SHA256;
	else
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: indirect data that is neither SHA-1 nor SHA-256 at 0x%zx",
			       d->name, at);
	if (ret->digest.len != ibb_alg_bytes(ret->alg))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: %s has %zu bytes, its algorithm makes %zu, at 0x%zx", d->name,
			       what, ret->digest.len, ibb_alg_bytes(ret->alg), at);
	return IBB_OK;
}

int ibb_spc_read(struct ibb_der *d, struct ibb_spc *ret, struct ibb_error *err)
{
	static const char what[] = "indirect data";
	struct ibb_spc spc = {0};
	struct ibb_der in;
	int r;

	r = ibb_der_enter(d, IBB_DER_SEQUENCE, what, &in, err);
	if (!r)
		r = read_type(&in, &spc.subject, err);
	if (!r)
		r = read_digest(&in, &spc, err);
	if (!r)
		r = ibb_der_end(&in, what, err);
	if (!r)
		*ret = spc;
	return r;
}

int ibb_spc_digest(const char *name, struct ibb_bytes content, enum ibb_digest_alg *ret_alg,
		   uint8_t ret[32], struct ibb_error *err)
{
	struct ibb_spc spc = {0};
	struct ibb_der d;
	int r;

	ibb_der_init(&d, name, content);
	r = ibb_spc_read(&d, &spc, err);
	if (!r)
		r = ibb_der_end(&d, "indirect data", err);
	if (r)
		return r;
	if (spc.subject != IBB_SUBJECT_PE)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the signature is not one of a PE image"
			       " (1.3.6.1.4.1.311.2.1.15)",
			       name);
	*ret_alg = spc.alg;
	memcpy(ret, spc.digest.data, spc.digest.len);
	return IBB_OK;
}
