/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one form of a bundle, for its writer and its reader. */
#ifndef IBB_BUNDLE_INTERNAL_H
#define IBB_BUNDLE_INTERNAL_H

#include "bundle/bundle.h"

#define IBB_BUNDLE_BLOCK 512u
#define IBB_BUNDLE_ABOUT "bundle.json"
#define IBB_BUNDLE_SIG	 "bundle.sig"
#define IBB_BUNDLE_END	 (2 * IBB_BUNDLE_BLOCK) /* of zeros, behind the last file */

/*
 * The header of a file (POSIX.1-2017, pax, "ustar Interchange Format"): mode 0644, everything else
 * zero. IBB_E_UNSUPPORTED: the path does not fit.
 */
int ibb_bundle_header(const char *path, uint64_t size, uint8_t ret[IBB_BUNDLE_BLOCK],
		      struct ibb_error *err) IBB_MUST_CHECK;
/* The path and size that a header names; false: nothing that ibb_bundle_header() could have made
 * (what is not asked for here is found by making it again). */
bool ibb_bundle_header_parse(const uint8_t h[IBB_BUNDLE_BLOCK], char ret_path[257], uint64_t *size);
/* Up to the next block. */
uint64_t ibb_bundle_padding(uint64_t size);

/* Is this the name of a file in a bundle? IBB_E_UNSUPPORTED with the reason. */
int ibb_bundle_check_path(const char *path, struct ibb_error *err) IBB_MUST_CHECK;
/* Names that Windows or a directory could not hold together. IBB_E_CONFLICT. */
int ibb_bundle_check_paths(const char *const *paths, size_t n,
			   struct ibb_error *err) IBB_MUST_CHECK;

struct ibb_bundle_signature {
	struct ibb_sha256 about; /* of bundle.json */
	bool is_signed;
	struct ibb_public_key key;
	uint8_t signature[IBB_SIGNATURE_SIZE];
};
/* The text of bundle.sig; and back, from that very text only. */
int ibb_bundle_sig_print(const struct ibb_bundle_signature *s, struct ibb_buf *ret) IBB_MUST_CHECK;
int ibb_bundle_sig_parse(const char *name, struct ibb_bytes text, struct ibb_bundle_signature *ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
/* What is signed: a line that no other use of the key has in front, and bundle.json. */
int ibb_bundle_message(struct ibb_bytes about, struct ibb_buf *ret) IBB_MUST_CHECK;

#endif
