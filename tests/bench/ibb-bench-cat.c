/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a catalog costs: parse its list (OpenSSL only takes it out of the envelope, unmeasured),
 * look members up, digest the files named. The best of a hundred runs, of ten for files.
 *
 *   ibb-bench-cat CATALOG [FILE...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/objects.h>
#include <openssl/pkcs7.h>

#include "authenticode/pe.h"
#include "base/io.h"
#include "base/limits.h"

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int list_of(struct ibb_bytes cat, struct ibb_buf *ret)
{
	const unsigned char *p = cat.data;
	PKCS7 *p7 = d2i_PKCS7(NULL, &p, (long)cat.len);
	const ASN1_STRING *s;
	int r = IBB_E_CORRUPT;

	if (p7 && PKCS7_type_is_signed(p7) && p7->d.sign->contents->d.other) {
		s = p7->d.sign->contents->d.other->value.sequence;
		r = ibb_buf_append(ret, ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	}
	PKCS7_free(p7);
	return r;
}

static int bench_list(const char *name, struct ibb_bytes list, struct ibb_cat **ret,
		      struct ibb_error *err)
{
	double best = 1e9, find = 0;
	size_t found = 0;

	for (unsigned i = 0; i < 100; i++) {
		double from = now_ms();
		int r;

		ibb_cat_free(*ret);
		*ret = NULL;
		r = ibb_cat_parse(name, list, ret, err);
		if (r)
			return r;
		best = now_ms() - from < best ? now_ms() - from : best;
	}
	find = now_ms();
	for (unsigned i = 0; (*ret)->n_members && i < 1000000; i++) {
		const struct ibb_cat_member *m = &(*ret)->members[i % (*ret)->n_members];

		found += ibb_cat_find(*ret, m->digest, m->digest_bytes) != NULL;
	}
	find = now_ms() - find;
	printf("%s: %zu members, %zu attributes: parsed in %.3f ms, a look-up takes %.1f ns"
	       " (%zu found)\n",
	       name, (*ret)->n_members, (*ret)->n_attrs, best, find, found);
	return IBB_OK;
}

static int bench_file(const struct ibb_cat *c, const char *name, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	uint8_t digest[32];
	double best = 1e9;
	int r = ibb_read_file(name, IBB_LIMIT_PACKAGE_BYTES, &b, err);

	for (unsigned i = 0; !r && i < 10; i++) {
		double from = now_ms();

		r = ibb_file_digest(name, ibb_buf_bytes(&b), c->alg, digest, err);
		best = now_ms() - from < best ? now_ms() - from : best;
	}
	if (!r)
		printf("%s: %zu bytes, digested in %.3f ms, %s\n", name, b.len, best,
		       ibb_cat_find(c, digest, ibb_alg_bytes(c->alg)) ? "listed" : "not listed");
	return r;
}

int main(int argc, char **argv)
{
	IBB_AUTO(ibb_cat_free) struct ibb_cat *c = NULL;
	IBB_AUTO_BUF struct ibb_buf cat = {0}, list = {0};
	struct ibb_error err = {0};

	if (argc < 2) {
		fprintf(stderr, "usage: ibb-bench-cat CATALOG [FILE...]\n");
		return 2;
	}
	if (ibb_read_file(argv[1], IBB_LIMIT_CAT_BYTES, &cat, &err) ||
	    (list_of(ibb_buf_bytes(&cat), &list) &&
	     ibb_err(&err, IBB_E_CORRUPT, "%s: no PKCS#7", argv[1])) ||
	    bench_list(argv[1], ibb_buf_bytes(&list), &c, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	for (int i = 2; i < argc; i++)
		if (bench_file(c, argv[i], &err)) {
			fprintf(stderr, "%s\n", err.msg);
			return 1;
		}
	return 0;
}
