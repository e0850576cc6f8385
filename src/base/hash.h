/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Digests, from OpenSSL. */
#ifndef IBB_BASE_HASH_H
#define IBB_BASE_HASH_H

#include "base/buf.h"

#define IBB_SHA256_SIZE	    32
#define IBB_SHA256_HEX_SIZE 65

struct ibb_sha256 {
	uint8_t b[IBB_SHA256_SIZE];
};

/* What WIM files name their content by; not for trust. */
#define IBB_SHA1_SIZE 20

struct ibb_sha1 {
	uint8_t b[IBB_SHA1_SIZE];
};

struct ibb_hasher;

/* One shot. IBB_E_NOMEM when OpenSSL has no memory. */
int ibb_sha256(const void *p, size_t n, struct ibb_sha256 *ret) IBB_MUST_CHECK;

/* In pieces: new, update..., final (which frees), or free. */
int ibb_hasher_new(struct ibb_hasher **ret) IBB_MUST_CHECK;
int ibb_hasher_update(struct ibb_hasher *h, const void *p, size_t n) IBB_MUST_CHECK;
int ibb_hasher_final(struct ibb_hasher *h, struct ibb_sha256 *ret) IBB_MUST_CHECK;
void ibb_hasher_free(struct ibb_hasher *h);
/* The same for SHA-1: each kind of hasher has its own new and final. */
int ibb_hasher_new_sha1(struct ibb_hasher **ret) IBB_MUST_CHECK;
int ibb_hasher_final_sha1(struct ibb_hasher *h, struct ibb_sha1 *ret) IBB_MUST_CHECK;
IBB_DEFINE_CLEANUP(struct ibb_hasher *, ibb_hasher_free)

/* Lower-case hex with NUL. */
void ibb_hex(const void *p, size_t n, char *out);
/* The value of one hex digit, any case; -1 when it is none. */
int ibb_hex_digit(char c);
void ibb_sha256_hex(const struct ibb_sha256 *d, char out[IBB_SHA256_HEX_SIZE]);
/* Exactly 64 hex digits, any case; a digest string is never trusted to be one. */
bool ibb_sha256_parse(const char *s, struct ibb_sha256 *ret);

#endif
