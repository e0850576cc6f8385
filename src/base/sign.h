/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ed25519 signatures (RFC 8032), from OpenSSL. */
#ifndef IBB_BASE_SIGN_H
#define IBB_BASE_SIGN_H

#include "base/buf.h"

#define IBB_SIGNATURE_SIZE  64
#define IBB_PUBLIC_KEY_SIZE 32

struct ibb_public_key {
	uint8_t b[IBB_PUBLIC_KEY_SIZE];
};

/* A key in PEM ("openssl genpkey -algorithm ed25519"). `name` is for messages. IBB_E_INVALID when
 * it is no Ed25519 key, or is encrypted. A private key gives its public one as well. */
int ibb_sign_public_key(const char *name, struct ibb_bytes pem, struct ibb_public_key *ret,
			struct ibb_error *err) IBB_MUST_CHECK;
int ibb_sign(const char *name, struct ibb_bytes private_pem, struct ibb_bytes message,
	     uint8_t ret[IBB_SIGNATURE_SIZE], struct ibb_public_key *ret_key,
	     struct ibb_error *err) IBB_MUST_CHECK;
/* IBB_OK, or IBB_E_UNTRUSTED without a message. */
int ibb_sign_verify(const struct ibb_public_key *key, struct ibb_bytes message,
		    const uint8_t signature[IBB_SIGNATURE_SIZE]) IBB_MUST_CHECK;

#endif
