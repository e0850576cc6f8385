/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A little writer of DER, for catalogs and for what only looks like one. */
#ifndef IBB_TEST_MKDER_H
#define IBB_TEST_MKDER_H

#include "base/buf.h"

/* DER tags */
#define MKDER_INTEGER	  0x02
#define MKDER_BIT_STRING  0x03
#define MKDER_OCTETS	  0x04
#define MKDER_UTC_TIME	  0x17
#define MKDER_BMP_STRING  0x1e
#define MKDER_SEQUENCE	  0x30
#define MKDER_SET	  0x31
#define MKDER_CONTEXT(n)  (0xa0 | (n)) /* constructed */
#define MKDER_IMPLICIT(n) (0x80 | (n)) /* primitive */

/*
 * Like the JSON builder it keeps its first failure: elements are opened and closed on a stack of
 * start offsets, so that no step needs a check of its own.
 */
struct mkder {
	struct ibb_buf b;
	size_t start[32];
	unsigned depth;
	bool failed;
};

void mkder_put(struct mkder *d, const void *p, size_t n);
void mkder_open(struct mkder *d, int tag);
void mkder_close(struct mkder *d);
void mkder_primitive(struct mkder *d, int tag, const void *p, size_t n);
void mkder_integer(struct mkder *d, uint32_t v);
void mkder_oid(struct mkder *d, const char *dotted);
/* AlgorithmIdentifier with NULL as its parameters */
void mkder_algorithm(struct mkder *d, const char *dotted);
/* DER wants the elements of a SET OF, here all bytes behind the last mkder_open(), in order. */
void mkder_sort(struct mkder *d);

#endif
