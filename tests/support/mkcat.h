/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes signed security catalogs for tests and the demonstration. The keys are the throw-away ones
 * beside this file, serial numbers and dates are fixed: the same input always gives the same bytes.
 * What is not said is as in a catalog of version 2 (SHA-256).
 */
#ifndef IBB_TEST_MKCAT_H
#define IBB_TEST_MKCAT_H

#include "base/buf.h"
#include "base/hash.h"

#define MKCAT_PUBLISHER "ibbake demonstration publisher"
#define MKCAT_ROOT	"ibbake demonstration root"
#define MKCAT_SERIAL	"1bba4e02" /* of the publisher's certificate */

struct mkcat_member {
	const char *name;
	struct ibb_bytes bytes;
};

struct mkcat_attr {
	const char *name, *value;
	uint32_t flags; /* 0: those of text */
};

/* Signs in place of mkcat: see mkpki_sign(). */
typedef int mkcat_sign_fn(const void *arg, const char *type, struct ibb_bytes value,
			  struct ibb_buf *ret);

struct mkcat_opts {
	const char *key_dir; /* where demo-key.pem and demo-root-key.pem are */
	const struct mkcat_member *members;
	size_t n_members;
	const char *const *hwids; /* HWID1... attributes, lower-cased as Microsoft's service does */
	size_t n_hwids;
	unsigned version;	/* 1: SHA-1, tags in hexadecimal */
	bool bare_sha1;		/* version 2: each file again by its SHA-1, as Microsoft does */
	bool page_hashes;	/* of PE images, and not theirs */
	const char *os_attr;	/* of every member; NULL: "2:10.0" */
	const char *os;		/* OS attribute; NULL: 6.3 and 10.0 */
	const char *submission; /* Submission ID, or NULL */
	const struct mkcat_attr *attrs, *member_attrs; /* further ones: of the list, of members */
	size_t n_attrs, n_member_attrs;
	const char *publisher;	  /* common name; NULL: MKCAT_PUBLISHER */
	const char *eku;	  /* a further extended key usage (dotted OID), or NULL */
	const char *content_type; /* for hostile catalogs: instead of the CTL's OID, or NULL */
	const char *list_usage;	  /* instead of the catalog list's OID, or NULL */
	bool no_signer;		  /* no SignerInfo */
	bool no_certificate;	  /* the publisher's certificate is left out */
	mkcat_sign_fn *sign;	  /* who signs the list, and with what; NULL: the demo publisher */
	const void *sign_arg;
};

/* The list alone, which mkcat() signs: all of the CertificateTrustList. */
int mkctl(const struct mkcat_opts *o, struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* An SpcIndirectDataContent; SHA-1 when n is 20. */
struct mkder;
void mkctl_indirect(struct mkder *d, const uint8_t *digest, size_t n, bool pe, bool pages);
int mkcat(const struct mkcat_opts *o, struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* The root certificate as PEM, for whoever is to verify such a catalog. */
int mkcat_root_pem(const char *key_dir, struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * SHA-256 as a catalog lists a file: over the whole file, or, for a PE image, without checksum,
 * certificate directory entry and certificates, padded to 8 bytes (Microsoft, "Windows Authenticode
 * Portable Executable Signature Format"). *ret_pe says which.
 */
int mkcat_digest(struct ibb_bytes file, struct ibb_sha256 *ret, bool *ret_pe) IBB_MUST_CHECK;

#endif
