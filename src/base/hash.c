/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/hash.h"

#include <openssl/evp.h>
#include <string.h>

int ibb_sha256(const void *p, size_t n, struct ibb_sha256 *ret)
{
	unsigned len = 0;

	if (EVP_Digest(n ? p : "", n, ret->b, &len, EVP_sha256(), NULL) != 1)
		return IBB_E_NOMEM;
	return IBB_OK;
}

static int new_of(const EVP_MD *md, struct ibb_hasher **ret)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	if (!c || EVP_DigestInit_ex(c, md, NULL) != 1) {
		EVP_MD_CTX_free(c);
		return IBB_E_NOMEM;
	}
	*ret = (struct ibb_hasher *)c;
	return IBB_OK;
}

int ibb_hasher_new(struct ibb_hasher **ret)
{
	return new_of(EVP_sha256(), ret);
}

int ibb_hasher_new_sha1(struct ibb_hasher **ret)
{
	return new_of(EVP_sha1(), ret);
}

int ibb_hasher_update(struct ibb_hasher *h, const void *p, size_t n)
{
	return EVP_DigestUpdate((EVP_MD_CTX *)h, p, n) == 1 ? IBB_OK : IBB_E_NOMEM;
}

static int final_of(struct ibb_hasher *h, uint8_t *out, size_t n)
{
	bool right = EVP_MD_CTX_size((EVP_MD_CTX *)h) == (int)n;
	int ok = right && EVP_DigestFinal_ex((EVP_MD_CTX *)h, out, NULL) == 1;

	IBB_ASSERT(right);
	ibb_hasher_free(h);
	return ok ? IBB_OK : IBB_E_NOMEM;
}

int ibb_hasher_final(struct ibb_hasher *h, struct ibb_sha256 *ret)
{
	return final_of(h, ret->b, sizeof(ret->b));
}

int ibb_hasher_final_sha1(struct ibb_hasher *h, struct ibb_sha1 *ret)
{
	return final_of(h, ret->b, sizeof(ret->b));
}

void ibb_hasher_free(struct ibb_hasher *h)
{
	EVP_MD_CTX_free((EVP_MD_CTX *)h);
}

void ibb_hex(const void *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[b[i] >> 4];
		*out++ = digits[b[i] & 15];
	}
	*out = '\0';
}

void ibb_sha256_hex(const struct ibb_sha256 *d, char out[IBB_SHA256_HEX_SIZE])
{
	ibb_hex(d->b, sizeof(d->b), out);
}

int ibb_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ibb_sha256_parse(const char *s, struct ibb_sha256 *ret)
{
	struct ibb_sha256 d;

	if (strlen(s) != 2 * sizeof(d.b))
		return false;
	for (size_t i = 0; i < sizeof(d.b); i++) {
		int hi = ibb_hex_digit(s[2 * i]), lo = ibb_hex_digit(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		d.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*ret = d;
	return true;
}
