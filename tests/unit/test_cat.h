/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of catalogs and of PE digests share. */
#ifndef IBB_TEST_CAT_H
#define IBB_TEST_CAT_H

#include "authenticode/cat.h"
#include "authenticode/pe.h"

#include "test.h"

#include <openssl/pkcs7.h>

#include "mkcat.h"
#include "mkder.h"
#include "mkpe.h"

/* The signed content of a PKCS#7 SignedData, with OpenSSL's own parser. */
static inline void test_content(struct ibb_bytes p7, struct ibb_buf *ret)
{
	const unsigned char *p = p7.data;
	PKCS7 *x = d2i_PKCS7(NULL, &p, (long)p7.len);
	const ASN1_TYPE *t;

	assert_non_null(x);
	t = x->d.sign->contents->d.other;
	assert_non_null(t);
	assert_int_equal(t->type, V_ASN1_SEQUENCE);
	assert_int_equal(ibb_buf_append(ret, ASN1_STRING_get0_data(t->value.sequence),
					(size_t)ASN1_STRING_length(t->value.sequence)),
			 0);
	PKCS7_free(x);
}

static inline uint64_t test_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	return *s ^= *s << 17;
}

/* IBB_TEST_SEED=N repeats a run of ci/campaign seeds. */
static inline uint64_t test_seed(void)
{
	const char *s = getenv("IBB_TEST_SEED");
	uint64_t seed = s ? strtoull(s, NULL, 0) : 20261120;

	return seed ? seed : 1;
}

#endif
