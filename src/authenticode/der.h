/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A strict reader of DER (ITU-T X.690): one byte of tag, definite lengths in their shortest form,
 * every element inside its parent. It allocates nothing and follows no nesting of its own accord;
 * whoever enters elements is stopped at IBB_LIMIT_DER_DEPTH. Messages are `NAME: what is wrong at
 * offset`, the offset counted from the beginning of what ibb_der_init() got.
 */
#ifndef IBB_AUTHENTICODE_DER_H
#define IBB_AUTHENTICODE_DER_H

#include <string.h>

#include "base/buf.h"

enum {
	IBB_DER_BOOLEAN = 0x01,
	IBB_DER_INTEGER = 0x02,
	IBB_DER_BIT_STRING = 0x03,
	IBB_DER_OCTETS = 0x04,
	IBB_DER_NULL = 0x05,
	IBB_DER_OID = 0x06,
	IBB_DER_UTC_TIME = 0x17,
	IBB_DER_TIME = 0x18, /* GeneralizedTime */
	IBB_DER_BMP_STRING = 0x1e,
	IBB_DER_SEQUENCE = 0x30,
	IBB_DER_SET = 0x31
};
#define IBB_DER_CONTEXT(n)  (0x80 | (n)) /* primitive */
#define IBB_DER_EXPLICIT(n) (0xa0 | (n)) /* constructed */

/* What is left of the inside of one element. */
struct ibb_der {
	const char *name;
	const uint8_t *origin;
	struct ibb_bytes rest;
	unsigned depth;
};

void ibb_der_init(struct ibb_der *d, const char *name, struct ibb_bytes all);
/* The inside of bytes that came out of d (DER in an OCTET STRING). IBB_E_CORRUPT: too deep. */
int ibb_der_inside(const struct ibb_der *d, struct ibb_bytes v, struct ibb_der *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;

/* IBB_E_CORRUPT with "NAME: WHAT is damaged" and why, at the place that d has reached. */
int ibb_der_bad(const struct ibb_der *d, const char *what, const char *why, struct ibb_error *err);
size_t ibb_der_offset(const struct ibb_der *d);

static inline bool ibb_der_more(const struct ibb_der *d)
{
	return d->rest.len != 0;
}
/* Does an element with this tag come next? Only its tag has been looked at. */
static inline bool ibb_der_is(const struct ibb_der *d, int tag)
{
	return d->rest.len && d->rest.data[0] == tag;
}

/* `what` names the element wanted, in messages. All move on only when they succeed. */

/* The next element, whatever its tag. */
int ibb_der_any(struct ibb_der *d, const char *what, int *ret_tag, struct ibb_bytes *ret,
		struct ibb_error *err) IBB_MUST_CHECK;
/* The next element, which has to have this tag. */
int ibb_der_get(struct ibb_der *d, int tag, const char *what, struct ibb_bytes *ret,
		struct ibb_error *err) IBB_MUST_CHECK;
int ibb_der_enter(struct ibb_der *d, int tag, const char *what, struct ibb_der *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
/* A non-negative INTEGER below 2^32. */
int ibb_der_u32(struct ibb_der *d, const char *what, uint32_t *ret,
		struct ibb_error *err) IBB_MUST_CHECK;
/* AlgorithmIdentifier with parameters NULL or none: its OID. */
int ibb_der_algorithm(struct ibb_der *d, const char *what, struct ibb_bytes *ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* UTCTime or GeneralizedTime to the second, in UTC, as RFC 5280 (4.1.2.5) wants it: since 1970. */
int ibb_der_time(struct ibb_der *d, const char *what, int64_t *ret,
		 struct ibb_error *err) IBB_MUST_CHECK;
/* Nothing may follow. */
int ibb_der_end(const struct ibb_der *d, const char *what, struct ibb_error *err) IBB_MUST_CHECK;

/* Is this the OID whose content octets are the string literal? */
#define IBB_DER_OID_IS(v, literal) \
	((v).len == sizeof(literal) - 1 && memcmp((v).data, literal, sizeof(literal) - 1) == 0)

#define IBB_OID_SHA1	"\x2b\x0e\x03\x02\x1a"			   /* 1.3.14.3.2.26 */
#define IBB_OID_SHA256	"\x60\x86\x48\x01\x65\x03\x04\x02\x01"	   /* 2.16.840.1.101.3.4.2.1 */
#define IBB_OID_MS(...) "\x2b\x06\x01\x04\x01\x82\x37" __VA_ARGS__ /* 1.3.6.1.4.1.311... */

#endif
