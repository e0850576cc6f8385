/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What src/authenticode makes of files, for cat.py: lines of fields between tabs.
 *
 *   catdump_ours FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/objects.h>
#include <openssl/pkcs7.h>

#include "authenticode/pe.h"
#include "base/hash.h"
#include "base/io.h"

static void fail(const struct ibb_error *err)
{
	fprintf(stderr, "%s\n", err->msg);
	exit(1);
}

/* The signed content, with OpenSSL's own parser. */
static struct ibb_buf content(const char *name, struct ibb_bytes p7)
{
	const unsigned char *p = p7.data;
	PKCS7 *x = d2i_PKCS7(NULL, &p, (long)p7.len);
	struct ibb_buf b = {0};
	const ASN1_STRING *s;

	if (!x || !PKCS7_type_is_signed(x)) {
		fprintf(stderr, "%s: no PKCS#7\n", name);
		exit(1);
	}
	s = x->d.sign->contents->d.other->value.sequence;
	if (ibb_buf_append(&b, ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)))
		exit(1);
	PKCS7_free(x);
	return b;
}

static void dump_cat(const char *name, struct ibb_bytes file)
{
	static const char *const subjects[] = {"-", "flat", "pe"};
	struct ibb_buf ctl = content(name, file);
	struct ibb_error err = {0};
	struct ibb_cat *c = NULL;

	if (ibb_cat_parse(name, ibb_buf_bytes(&ctl), &c, &err))
		fail(&err);
	printf("catalog\t%s\t%u\t%lld\n", name, c->version, (long long)c->created);
	for (size_t i = 0; i < c->n_members; i++) {
		const struct ibb_cat_member *m = &c->members[i];
		char hex[65];

		ibb_hex(m->digest, m->digest_bytes, hex);
		printf("member\t%s\t%s\t%s\t%s\n", hex, subjects[m->subject],
		       m->file ? m->file : "-", m->os_attr ? m->os_attr : "-");
	}
	for (size_t i = 0; i < c->n_attrs; i++)
		printf("attr\t%s\t%s\n", c->attrs[i].name, c->attrs[i].value);
	ibb_cat_free(c);
	ibb_buf_clear(&ctl);
}

static void dump_signature(const char *name, struct ibb_bytes file)
{
	struct ibb_error err = {0};
	struct ibb_bytes sig;
	enum ibb_digest_alg alg;
	struct ibb_buf spc;
	uint8_t digest[32];
	char hex[65];
	int r = ibb_pe_signature(name, file, &sig, &err);

	if (r == IBB_E_NOTFOUND)
		return;
	if (r)
		fail(&err);
	spc = content(name, sig);
	if (ibb_spc_digest(name, ibb_buf_bytes(&spc), &alg, digest, &err))
		fail(&err);
	ibb_hex(digest, ibb_alg_bytes(alg), hex);
	printf("signed\t%s\t%s\n", alg == IBB_ALG_SHA256 ? "sha256" : "sha1", hex);
	ibb_buf_clear(&spc);
}

static void dump_file(const char *name, struct ibb_bytes file)
{
	printf("file\t%s\t%s", name, ibb_pe_is(file) ? "pe" : "flat");
	for (int alg = IBB_ALG_SHA1; alg <= IBB_ALG_SHA256; alg++) {
		struct ibb_error err = {0};
		uint8_t digest[32];
		char hex[65];

		if (ibb_file_digest(name, file, (enum ibb_digest_alg)alg, digest, &err))
			fail(&err);
		ibb_hex(digest, ibb_alg_bytes((enum ibb_digest_alg)alg), hex);
		printf("\t%s", hex);
	}
	printf("\n");
	if (ibb_pe_is(file))
		dump_signature(name, file);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct ibb_error err = {0};
		struct ibb_buf b = {0};
		size_t n = strlen(argv[i]);

		if (ibb_read_file(argv[i], 1u << 30, &b, &err))
			fail(&err);
		if (n > 4 && strcmp(argv[i] + n - 4, ".cat") == 0)
			dump_cat(argv[i], ibb_buf_bytes(&b));
		else
			dump_file(argv[i], ibb_buf_bytes(&b));
		ibb_buf_clear(&b);
	}
	return 0;
}
