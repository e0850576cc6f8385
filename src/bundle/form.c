/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Headers of the archive, and the text of bundle.sig. */
#include <stdio.h>

#include "bundle/internal.h"

/* ---- headers ---- */

#define NAME_AT	   0
#define NAME_MAX_  100u
#define SIZE_AT	   124
#define SUM_AT	   148
#define PREFIX_AT  345
#define PREFIX_MAX 155u

uint64_t ibb_bundle_padding(uint64_t size)
{
	return (IBB_BUNDLE_BLOCK - size % IBB_BUNDLE_BLOCK) % IBB_BUNDLE_BLOCK;
}

/* Where the prefix ends: nowhere, or at the first '/' behind which the rest fits. */
static bool split(const char *path, size_t *ret)
{
	size_t n = strlen(path);

	*ret = 0;
	if (n <= NAME_MAX_)
		return true;
	for (size_t i = n - NAME_MAX_ - 1; i <= PREFIX_MAX && i < n; i++)
		if (path[i] == '/' && i) {
			*ret = i;
			return true;
		}
	return false;
}

static void octal(uint8_t *at, size_t digits, uint64_t v)
{
	at[digits] = 0;
	while (digits--) {
		at[digits] = (uint8_t)('0' + (v & 7));
		v >>= 3;
	}
}

int ibb_bundle_header(const char *path, uint64_t size, uint8_t ret[IBB_BUNDLE_BLOCK],
		      struct ibb_error *err)
{
	size_t prefix, n = strlen(path);
	uint64_t sum = 0;
	uint8_t h[IBB_BUNDLE_BLOCK] = {0};

	if (!split(path, &prefix) || size >> 33)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: path or size is too long for a bundle (ustar)", path);
	memcpy(h + PREFIX_AT, path, prefix);
	if (prefix)
		memcpy(h + NAME_AT, path + prefix + 1, n - prefix - 1);
	else
		memcpy(h + NAME_AT, path, n);
	octal(h + 100, 7, 0644); /* mode */
	octal(h + 108, 7, 0);	 /* owner */
	octal(h + 116, 7, 0);	 /* group */
	octal(h + SIZE_AT, 11, size);
	octal(h + 136, 11, 0); /* time */
	memset(h + SUM_AT, ' ', 8);
	h[156] = '0'; /* a file */
	memcpy(h + 257, "ustar\00000", 8);
	octal(h + 329, 7, 0); /* device numbers */
	octal(h + 337, 7, 0);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += h[i];
	octal(h + SUM_AT, 6, sum); /* six digits, NUL, and the blank that is there */
	memcpy(ret, h, sizeof(h));
	return IBB_OK;
}

bool ibb_bundle_header_parse(const uint8_t h[IBB_BUNDLE_BLOCK], char ret_path[257], uint64_t *size)
{
	const char *name = (const char *)h + NAME_AT, *prefix = (const char *)h + PREFIX_AT;
	int n = (int)strnlen(name, NAME_MAX_), p = (int)strnlen(prefix, PREFIX_MAX);

	*size = 0;
	for (size_t i = SIZE_AT; i < SIZE_AT + 11; i++) {
		if (h[i] < '0' || h[i] > '7')
			return false;
		*size = *size << 3 | (uint64_t)(h[i] - '0');
	}
	snprintf(ret_path, 257, "%.*s%s%.*s", p, prefix, p ? "/" : "", n, name);
	return n > 0;
}

/* ---- bundle.sig ---- */

#define SIG_SCHEMA "ibbake-bundle-signature/1"
#define SIG_DOMAIN "ibbake bundle signature 1\n"

int ibb_bundle_message(struct ibb_bytes about, struct ibb_buf *ret)
{
	int r = ibb_buf_append_str(ret, SIG_DOMAIN);

	return r ? r : ibb_buf_append(ret, about.data, about.len);
}

int ibb_bundle_sig_print(const struct ibb_bundle_signature *s, struct ibb_buf *ret)
{
	char digest[IBB_SHA256_HEX_SIZE], key[2 * IBB_PUBLIC_KEY_SIZE + 1];
	char signature[2 * IBB_SIGNATURE_SIZE + 1];

	ibb_sha256_hex(&s->about, digest);
	ibb_hex(s->key.b, sizeof(s->key.b), key);
	ibb_hex(s->signature, sizeof(s->signature), signature);
	if (!s->is_signed)
		return ibb_buf_printf(ret,
				      "{\n\t\"schema\": \"" SIG_SCHEMA "\",\n\t\"sha256\": \"%s\","
				      "\n\t\"key\": null,\n\t\"signature\": null\n}\n",
				      digest);
	return ibb_buf_printf(ret,
			      "{\n\t\"schema\": \"" SIG_SCHEMA "\",\n\t\"sha256\": \"%s\","
			      "\n\t\"key\": \"%s\",\n\t\"signature\": \"%s\"\n}\n",
			      digest, key, signature);
}

/* Exactly n bytes of hexadecimal. */
static bool unhex(const char *s, uint8_t *out, size_t n)
{
	if (!s || strlen(s) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = ibb_hex_digit(s[2 * i]), lo = ibb_hex_digit(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

int ibb_bundle_sig_parse(const char *name, struct ibb_bytes text, struct ibb_bundle_signature *ret,
			 struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	IBB_AUTO_BUF struct ibb_buf again = {0};
	struct ibb_bundle_signature s = {.is_signed = false};
	int r = ibb_json_parse(name, text.data, text.len, &doc, err);

	if (r)
		return r;
	s.is_signed = ibb_json_str(doc, "key") != NULL;
	if (!unhex(ibb_json_str(doc, "sha256"), s.about.b, sizeof(s.about.b)) ||
	    (s.is_signed &&
	     (!unhex(ibb_json_str(doc, "key"), s.key.b, sizeof(s.key.b)) ||
	      !unhex(ibb_json_str(doc, "signature"), s.signature, sizeof(s.signature)))))
		return ibb_err(err, IBB_E_CORRUPT, "%s: digest, key or signature is none", name);
	if (ibb_bundle_sig_print(&s, &again))
		return ibb_err_nomem(err);
	if (again.len != text.len || memcmp(again.data, text.data, text.len) != 0)
		return ibb_err(err, IBB_E_CORRUPT, "%s: not as ibbake writes it", name);
	*ret = s;
	return IBB_OK;
}
