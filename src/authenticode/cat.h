/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a security catalog lists: the certificate trust list (CTL, OID 1.3.6.1.4.1.311.10.1) that
 * its PKCS#7 envelope signs. Pure over bytes; whether anybody vouches for them is signature.h.
 */
#ifndef IBB_AUTHENTICODE_CAT_H
#define IBB_AUTHENTICODE_CAT_H

#include "base/buf.h"

enum ibb_digest_alg { IBB_ALG_SHA1, IBB_ALG_SHA256 };
static inline size_t ibb_alg_bytes(enum ibb_digest_alg a)
{
	return a == IBB_ALG_SHA256 ? 32 : 20;
}

/* How the digest of a member was made, as its SpcIndirectDataContent says. */
enum ibb_cat_subject {
	IBB_SUBJECT_UNKNOWN, /* no indirect data, or of another type */
	IBB_SUBJECT_FLAT,    /* 1.3.6.1.4.1.311.2.1.25: over the whole file */
	IBB_SUBJECT_PE	     /* 1.3.6.1.4.1.311.2.1.15: Authenticode digest of a PE image */
};

struct ibb_cat_member {
	uint8_t digest[32];
	uint8_t digest_bytes; /* 20 or 32 */
	enum ibb_cat_subject subject;
	const char *file;    /* attribute File, UTF-8, or NULL */
	const char *os_attr; /* attribute OSAttr, "2:6.1,2:10.0", or NULL */
};

struct ibb_cat_attr {
	const char *name, *value; /* UTF-8 */
};

struct ibb_cat {
	unsigned version;	 /* 1 (1.3.6.1.4.1.311.12.1.2) or 2 (...12.1.3) */
	enum ibb_digest_alg alg; /* of the members that count: SHA-1 in version 1, SHA-256 in 2 */
	int64_t created;	 /* thisUpdate, seconds since 1970 */
	struct ibb_cat_member *members; /* sorted by digest_bytes, digest, file */
	size_t n_members;
	struct ibb_cat_attr *attrs; /* of the catalog: OS, Submission ID, HWID1, ... in its order */
	size_t n_attrs;
	struct ibb_arena arena; /* owns all of it */
};

/*
 * Parse the content of a catalog's SignedData (the DER of CertificateTrustList, as
 * ibb_signature_verify() returns it: with its own tag, nothing behind it). IBB_E_CORRUPT: not DER,
 * not a CTL, not a list of files (1.3.6.1.4.1.311.12.1.1), a member whose tag and indirect data
 * contradict each other, a digest that is listed twice under different conditions, text with a
 * control character. IBB_E_UNSUPPORTED: neither version, another digest than SHA-1 and SHA-256, an
 * unknown critical extension. IBB_E_LIMIT, IBB_E_NOMEM. `name` is used in messages.
 *
 * Text is one line of UTF-8; an unpaired surrogate is kept as base/utf16.h does. Attributes whose
 * flags say that they are no text (Base64) are left out.
 */
int ibb_cat_parse(const char *name, struct ibb_bytes ctl, struct ibb_cat **ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
void ibb_cat_free(struct ibb_cat *c);
IBB_DEFINE_CLEANUP(struct ibb_cat *, ibb_cat_free)

/* The member with this digest of the catalog's own algorithm, or NULL. Version 2 catalogs list each
 * file again under its SHA-1: those do not count. */
const struct ibb_cat_member *ibb_cat_find(const struct ibb_cat *c, const uint8_t *digest, size_t n);
/* An attribute of the catalog (case-sensitive; the first of several), or NULL. */
const char *ibb_cat_attr(const struct ibb_cat *c, const char *name);

#endif
