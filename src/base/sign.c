/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/sign.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#define PEM_LIMIT 65536

/* Without a callback OpenSSL would ask for the password on the terminal. */
static int no_password(char *buf, int size, int rwflag, void *ctx)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)ctx = true;
	return -1;
}

static int refuse(const char *name, bool encrypted, const char *wanted, struct ibb_error *err)
{
	if (encrypted) {
		ibb_err(err, IBB_E_INVALID, "%s: the private key is encrypted", name);
		return ibb_err_hint(err, IBB_E_INVALID,
				    "no password is asked for: give a key without one "
				    "('openssl pkey -in %s -out PLAIN' takes it off)",
				    name);
	}
	ibb_err(err, IBB_E_INVALID, "%s: no Ed25519 %s key in PEM", name, wanted);
	return ibb_err_hint(err, IBB_E_INVALID,
			    "'openssl genpkey -algorithm ed25519 -out KEY' makes one, 'openssl "
			    "pkey -in KEY -pubout' prints its public part");
}

static EVP_PKEY *read_pem(struct ibb_bytes pem, bool private_key, bool *encrypted)
{
	EVP_PKEY *k;
	BIO *bio;

	if (!pem.len || pem.len > PEM_LIMIT)
		return NULL;
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	if (!bio)
		return NULL;
	k = private_key ? PEM_read_bio_PrivateKey(bio, NULL, no_password, encrypted)
			: PEM_read_bio_PUBKEY(bio, NULL, no_password, encrypted);
	BIO_free(bio);
	if (k && EVP_PKEY_get_base_id(k) != EVP_PKEY_ED25519) {
		EVP_PKEY_free(k);
		k = NULL;
	}
	return k;
}

static bool raw_public(const EVP_PKEY *k, struct ibb_public_key *ret)
{
	size_t n = sizeof(ret->b);

	return EVP_PKEY_get_raw_public_key(k, ret->b, &n) == 1 && n == sizeof(ret->b);
}

int ibb_sign_public_key(const char *name, struct ibb_bytes pem, struct ibb_public_key *ret,
			struct ibb_error *err)
{
	struct ibb_public_key key;
	bool encrypted = false, ok;
	EVP_PKEY *k = read_pem(pem, false, &encrypted);

	if (!k)
		k = read_pem(pem, true, &encrypted);
	ok = k && raw_public(k, &key);
	EVP_PKEY_free(k);
	if (!ok)
		return refuse(name, encrypted, "public", err);
	*ret = key;
	return IBB_OK;
}

int ibb_sign(const char *name, struct ibb_bytes private_pem, struct ibb_bytes message,
	     uint8_t ret[IBB_SIGNATURE_SIZE], struct ibb_public_key *ret_key, struct ibb_error *err)
{
	uint8_t signature[IBB_SIGNATURE_SIZE];
	struct ibb_public_key key;
	size_t n = sizeof(signature);
	bool encrypted = false, ok;
	EVP_PKEY *k = read_pem(private_pem, true, &encrypted);
	EVP_MD_CTX *c;

	if (!k)
		return refuse(name, encrypted, "private", err);
	c = EVP_MD_CTX_new();
	/* Ed25519 hashes for itself: no digest is named, and it takes one piece */
	ok = c && EVP_DigestSignInit(c, NULL, NULL, NULL, k) == 1 &&
	     EVP_DigestSign(c, signature, &n, message.data, message.len) == 1 &&
	     n == sizeof(signature) && raw_public(k, &key);
	EVP_MD_CTX_free(c);
	EVP_PKEY_free(k);
	if (!ok)
		return ibb_err_nomem(err);
	memcpy(ret, signature, sizeof(signature));
	*ret_key = key;
	return IBB_OK;
}

int ibb_sign_verify(const struct ibb_public_key *key, struct ibb_bytes message,
		    const uint8_t signature[IBB_SIGNATURE_SIZE])
{
	EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->b, sizeof(key->b));
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok =
		k && c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, k) == 1 &&
		EVP_DigestVerify(c, signature, IBB_SIGNATURE_SIZE, message.data, message.len) == 1;

	EVP_MD_CTX_free(c);
	EVP_PKEY_free(k);
	return ok ? IBB_OK : IBB_E_UNTRUSTED;
}
