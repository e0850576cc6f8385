/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ed25519: the vectors of RFC 8032, section 7.1, and keys that are none. */
#include "test.h"

#include "base/hash.h"
#include "base/sign.h"

struct vector {
	const char *secret, *public_key, *message, *signature;
};
static const struct vector vectors[] = {
	{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	 "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	 "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
	 "cf9b46bd25bf5f0595bbe24655141438e7a100b"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	 "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
	 "0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	 "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	 "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
	 "84dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static size_t unhex(const char *s, uint8_t *out)
{
	size_t n = strlen(s) / 2;

	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(ibb_hex_digit(s[2 * i]) << 4 | ibb_hex_digit(s[2 * i + 1]));
	return n;
}

static void base64(const uint8_t *p, size_t n, char *out)
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? p[i + 1] << 8 : 0) |
			     (i + 2 < n ? p[i + 2] : 0);

		*out++ = set[v >> 18];
		*out++ = set[v >> 12 & 63];
		*out++ = i + 1 < n ? set[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? set[v & 63] : '=';
	}
	*out = 0;
}

/* RFC 8410: the DER around the 32 bytes. */
static struct ibb_bytes pem_of(const char *hex, bool private_key, char *text, size_t size)
{
	static const uint8_t secret[] = {0x30, 0x2e, 2,	   1,	 0, 0x30, 5, 6,
					 3,    0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20};
	static const uint8_t open[] = {0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0};
	const char *what = private_key ? "PRIVATE" : "PUBLIC";
	size_t n = private_key ? sizeof(secret) : sizeof(open);
	uint8_t der[64];
	char b64[128];

	memcpy(der, private_key ? secret : open, n);
	n += unhex(hex, der + n);
	base64(der, n, b64);
	n = (size_t)snprintf(text, size, "-----BEGIN %s KEY-----\n%s\n-----END %s KEY-----\n", what,
			     b64, what);
	return (struct ibb_bytes){(const uint8_t *)text, n};
}

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(vectors); i++) {
		const struct vector *v = &vectors[i];
		uint8_t message[8], want[64], got[64], raw[32];
		struct ibb_public_key key, same;
		struct ibb_error err = {0};
		char secret[256], open[256];
		struct ibb_bytes m = {message, unhex(v->message, message)};

		assert_ok(ibb_sign("k", pem_of(v->secret, true, secret, sizeof(secret)), m, got,
				   &key, &err),
			  err);
		unhex(v->signature, want);
		unhex(v->public_key, raw);
		assert_memory_equal(got, want, sizeof(want));
		assert_memory_equal(key.b, raw, sizeof(raw));
		assert_ok(ibb_sign_public_key("k", pem_of(v->public_key, false, open, sizeof(open)),
					      &same, &err),
			  err);
		assert_memory_equal(&key, &same, sizeof(key));
		assert_ok(ibb_sign_public_key("k", pem_of(v->secret, true, secret, sizeof(secret)),
					      &same, &err),
			  err);
		assert_memory_equal(&key, &same, sizeof(key));
		assert_int_equal(ibb_sign_verify(&key, m, got), IBB_OK);
	}
}

/* Every bit of signature, key and message counts. */
static void test_bits(void **state)
{
	const struct vector *v = &vectors[2];
	uint8_t message[2], signature[64];
	struct ibb_public_key key;
	struct ibb_bytes m = {message, unhex(v->message, message)};

	(void)state;
	unhex(v->signature, signature);
	unhex(v->public_key, key.b);
	assert_int_equal(ibb_sign_verify(&key, m, signature), IBB_OK);
	for (size_t i = 0; i < 64 * 8; i++) {
		signature[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(ibb_sign_verify(&key, m, signature), IBB_E_UNTRUSTED);
		signature[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t i = 0; i < 32 * 8; i++) {
		key.b[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(ibb_sign_verify(&key, m, signature), IBB_E_UNTRUSTED);
		key.b[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t i = 0; i < 2 * 8; i++) {
		message[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(ibb_sign_verify(&key, m, signature), IBB_E_UNTRUSTED);
		message[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	m.len--;
	assert_int_equal(ibb_sign_verify(&key, m, signature), IBB_E_UNTRUSTED);
}

static struct ibb_bytes text(const char *s)
{
	return (struct ibb_bytes){(const uint8_t *)s, strlen(s)};
}

/* An encrypted one (openssl genpkey -algorithm ed25519 -aes256), and one for another
 * purpose. */
static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
				"MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhWzVeMhgJ9mAICCAAw\n"
				"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEENKnS0VEgyWpzioHcjjNNyYEQGtQ\n"
				"dFkgEI4/pHYWACvQKfKUH4+9fwQ/6I2FmY53chH3AcMyOrJRpwRBvaXtv9Uo1BcD\n"
				"UTxweDlTTk2MmRJk7IA=\n"
				"-----END ENCRYPTED PRIVATE KEY-----\n";
static const char x25519[] = "-----BEGIN PUBLIC KEY-----\n"
			     "MCowBQYDK2VuAyEABDrH/CoFeOycSjolrHb8Y7bPXHOLTPD87cNAQsbi9gc=\n"
			     "-----END PUBLIC KEY-----\n";

static void test_no_keys(void **state)
{
	static const char *const bad[] = {
		"", "hello", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		x25519};
	uint8_t signature[64], before[64];
	struct ibb_public_key key, zero = {{0}};
	struct ibb_error err = {0};
	char open[256];

	(void)state;
	memset(signature, 7, sizeof(signature));
	memcpy(before, signature, sizeof(before));
	key = zero;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		assert_fails(ibb_sign_public_key("a.pem", text(bad[i]), &key, &err), IBB_E_INVALID,
			     err, "a.pem: no Ed25519 public key in PEM");
		assert_fails(ibb_sign("a.pem", text(bad[i]), text("m"), signature, &key, &err),
			     IBB_E_INVALID, err, "a.pem: no Ed25519 private key in PEM");
	}
	assert_fails(ibb_sign("a.pem", pem_of(vectors[0].public_key, false, open, sizeof(open)),
			      text("m"), signature, &key, &err),
		     IBB_E_INVALID, err, "no Ed25519 private key");
	assert_fails(ibb_sign("a.pem", text(encrypted), text("m"), signature, &key, &err),
		     IBB_E_INVALID, err, "a.pem: the private key is encrypted");
	assert_non_null(strstr(err.hint, "no password is asked for"));
	assert_fails(ibb_sign_public_key("a.pem", text(encrypted), &key, &err), IBB_E_INVALID, err,
		     "a.pem: the private key is encrypted");
	assert_memory_equal(&key, &zero, sizeof(key));
	assert_memory_equal(signature, before, sizeof(before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_no_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
