/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Authenticode digests of PE images. Source: Microsoft, "Windows Authenticode Portable Executable
 * Signature Format". Pure over bytes; every offset of the file is untrusted.
 */
#ifndef IBB_AUTHENTICODE_PE_H
#define IBB_AUTHENTICODE_PE_H

#include "authenticode/cat.h"

/* Does Windows digest this file as a PE image (MZ, PE\0\0, PE32 or PE32+ header in bounds)? What
 * does not look like one is digested flat. */
bool ibb_pe_is(struct ibb_bytes file);

/*
 * The digest as a catalog lists it: without CheckSum, the certificate table's directory entry and
 * the certificate table, padded to 8 bytes. IBB_E_CORRUPT with the reason (section or certificate
 * table outside the file, certificate table not at the end, bytes between sections...: whatever
 * might be digested in more than one way, see pe_layout.c), IBB_E_NOMEM.
 */
int ibb_pe_digest(const char *name, struct ibb_bytes file, enum ibb_digest_alg alg, uint8_t ret[32],
		  struct ibb_error *err) IBB_MUST_CHECK;
/* The same for any file: ibb_pe_digest() when ibb_pe_is(), else flat. */
int ibb_file_digest(const char *name, struct ibb_bytes file, enum ibb_digest_alg alg,
		    uint8_t ret[32], struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Bytes [begin, end) of the file that its digest does not cover: CheckSum, the directory entry and,
 * when there is one, the certificate table; ascending. 0 when there is no digest.
 */
struct ibb_pe_gap {
	size_t begin, end;
};
size_t ibb_pe_gaps(struct ibb_bytes file, struct ibb_pe_gap ret[4]);

/*
 * The first PKCS#7 signature embedded in a PE image (WIN_CERT_TYPE_PKCS_SIGNED_DATA, revision 2.0);
 * points into file, without what pads it. IBB_E_NOTFOUND when there is none; IBB_E_CORRUPT: no
 * digest (above), entries that do not fill the table, anything behind the signature but padding.
 */
int ibb_pe_signature(const char *name, struct ibb_bytes file, struct ibb_bytes *ret,
		     struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The digest that an embedded signature vouches for: the content of its SignedData (the DER of
 * SpcIndirectDataContent, 1.3.6.1.4.1.311.2.1.4, with its own tag; page hashes tolerated).
 * IBB_E_CORRUPT: damaged, or not of a PE image; IBB_E_UNSUPPORTED: neither SHA-1 nor SHA-256.
 */
int ibb_spc_digest(const char *name, struct ibb_bytes content, enum ibb_digest_alg *ret_alg,
		   uint8_t ret[32], struct ibb_error *err) IBB_MUST_CHECK;

#endif
