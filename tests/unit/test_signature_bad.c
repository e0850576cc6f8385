/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Signatures that must not hold: each fault that a message or a timestamp can have, hostile sizes,
 * damage of any kind. What a signature covers is worked out here, from the bytes, and no flip there
 * may be accepted: 200 of them, IBB_TEST_FLIPS for more, IBB_TEST_SEED for others.
 */
#include "test_signature.h"

#include <inttypes.h>

#include "signature_cover.h"

static struct {
	X509 *root, *ca, *leaf, *expired, *tsa;
	struct ibb_trust_store *store;
} cast;

static int make_cast(void **state)
{
	struct mkpki_cert old =
		merged(&(struct mkpki_cert){.to = "20210101000000Z"}, &publisher_spec);

	(void)state;
	cast.root = mkpki_cert(&root_spec);
	cast.ca = mkpki_cert(&ca_spec);
	cast.leaf = mkpki_cert(&publisher_spec);
	cast.expired = mkpki_cert(&old);
	cast.tsa = mkpki_cert(&tsa_spec);
	cast.store = store_with(cast.root);
	return 0;
}

static int free_cast(void **state)
{
	(void)state;
	X509_free(cast.root);
	X509_free(cast.ca);
	X509_free(cast.leaf);
	X509_free(cast.expired);
	X509_free(cast.tsa);
	ibb_trust_store_free(cast.store);
	mkpki_cleanup();
	return 0;
}

static struct mkpki_message usual(void)
{
	struct mkpki_message m = {.n_signers = 1, .n_certs = 2};

	m.signers[0] = (struct mkpki_signer){.cert = cast.leaf, .key = KEY};
	m.certs[0] = cast.leaf;
	m.certs[1] = cast.ca;
	return m;
}

static void broken_messages(void **state)
{
	static const struct {
		unsigned faults;
		const char *why;
	} t[] = {
		{MKPKI_NO_ATTRIBUTES, "no attributes are signed"},
		{MKPKI_NO_DIGEST, "the signed attributes lack the content's type or digest"},
		{MKPKI_NO_TYPE, "the signed attributes lack the content's type or digest"},
		{MKPKI_TWO_DIGESTS, "the signed attributes lack the content's type or digest"},
		{MKPKI_WRONG_DIGEST,
		 "the content was changed after it was signed: its digest differs"},
		{MKPKI_WRONG_TYPE, "signed as content of another type"},
		{MKPKI_BAD_SIGNATURE, "the signature does not verify with the signer's key"},
		{MKPKI_OTHER_ALGORITHM, "the signature algorithm is not supported"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct mkpki_message m = usual();
		struct ibb_buf b;
		struct result v;

		m.signers[0].faults = t[i].faults;
		b = signed_list(&m);
		v = verify(&b, cast.store, NOW);
		assert_int_equal(v.n, 1);
		assert_int_equal(v.sigs[0].fault, IBB_SIG_BROKEN);
		assert_string_equal(v.sigs[0].why, t[i].why);
		assert_string_equal(v.sigs[0].signer.name, PUBLISHER); /* who claims it */
		assert_int_equal(v.sigs[0].anchor, IBB_ANCHOR_NONE);
		free(v.sigs);
		ibb_buf_clear(&b);
	}
}

static void broken_stamps(void **state)
{
	static const struct {
		bool rfc3161;
		unsigned faults;
		const char *hash, *why;
	} t[] = {
		{true, MKPKI_WRONG_IMPRINT, NULL, "the token stamps another signature"},
		{true, MKPKI_WRONG_DIGEST, NULL,
		 "the content was changed after it was signed: its digest differs"},
		{true, MKPKI_BAD_SIGNATURE, NULL,
		 "the signature does not verify with the signer's key"},
		{true, MKPKI_NO_CERT_ID, NULL,
		 "the token does not name the certificate of its signer"},
		{true, MKPKI_WRONG_CERT_ID, NULL,
		 "the token does not name the certificate of its signer"},
		{true, MKPKI_NO_ATTRIBUTES, NULL, "no attributes are signed"},
		{true, MKPKI_DAMAGED, NULL, "timestamp token"},
		{true, 0, "MD5", "signed with the digest MD5"},
		{false, MKPKI_WRONG_IMPRINT, NULL,
		 "the content was changed after it was signed: its digest differs"},
		{false, MKPKI_BAD_SIGNATURE, NULL,
		 "the signature does not verify with the signer's key"},
		{false, MKPKI_NO_TIME, NULL, "the countersignature has no time"},
		{false, MKPKI_WRONG_TYPE, NULL, "signed as content of another type"},
		{false, MKPKI_DAMAGED, NULL, "the countersignature is damaged"},
		{false, 0, "MD5", "signed with the digest MD5"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct mkpki_stamp stamp = {t[i].rfc3161,      cast.tsa,  TSA_KEY,    {cast.ca},
					    "20200601120000Z", t[i].hash, t[i].faults};
		struct mkpki_message m = usual();
		struct ibb_buf b;
		struct result v;

		m.signers[0].cert = m.certs[0] = cast.expired;
		m.certs[m.n_certs++] = cast.tsa;
		m.signers[0].stamps[0] = &stamp;
		b = signed_list(&m);
		v = verify(&b, cast.store, NOW);
		assert_int_equal(v.sigs[0].fault, IBB_SIG_EXPIRED);
		assert_false(v.sigs[0].timestamped);
		if (!strstr(v.sigs[0].timestamp_why, t[i].why))
			fail_msg("%zu: %s", i, v.sigs[0].timestamp_why);
		free(v.sigs);
		ibb_buf_clear(&b);
	}
}

static int verify_code(const struct ibb_buf *b, struct ibb_error *err)
{
	struct ibb_signature *sigs = (struct ibb_signature *)0x5a;
	struct ibb_buf content = {0};
	char type[64] = "untouched";
	size_t n = 77;
	int rc = ibb_signature_verify("t.cat", ibb_buf_bytes(b), cast.store, NOW, &sigs, &n,
				      &content, type, err);

	if (rc) {
		assert_ptr_equal(sigs, (void *)0x5a);
		assert_int_equal(n, 77);
		assert_string_equal(type, "untouched");
		assert_int_equal(content.len, 0);
	} else {
		free(sigs);
		ibb_buf_clear(&content);
	}
	return rc;
}

static void no_message(void **state)
{
	static const uint8_t data[] = {0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48,
				       0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
	static const uint8_t indefinite[] = {0x30, 0x80, 0x05, 0x00, 0x00, 0x00};
	struct mkpki_message m = usual();
	struct ibb_error err = {0};
	struct ibb_buf b = {0}, whole;

	(void)state;
	assert_fails(verify_code(&b, &err), IBB_E_CORRUPT, err,
		     "t.cat: not a signature: no PKCS#7 structure");
	assert_int_equal(ibb_buf_append(&b, data, sizeof(data)), 0);
	assert_fails(verify_code(&b, &err), IBB_E_CORRUPT, err,
		     "t.cat: not a signature: PKCS#7, but no SignedData");
	whole = signed_list(&m);
	assert_int_equal(ibb_buf_append(&whole, "xy", 2), 0);
	assert_fails(verify_code(&whole, &err), IBB_E_CORRUPT, err,
		     "t.cat: 2 bytes follow the signature's end");
	for (size_t n = 0; n < whole.len - 2; n += 7) {
		struct ibb_buf part = {whole.data, n, n};

		assert_int_equal(verify_code(&part, &err), IBB_E_CORRUPT);
	}
	ibb_buf_clear(&b);
	assert_int_equal(
		mkpki_sign(&m, MKPKI_CTL, (struct ibb_bytes){indefinite, sizeof(indefinite)}, &b),
		0);
	assert_fails(verify_code(&b, &err), IBB_E_CORRUPT, err,
		     "t.cat: the signed content is not DER");
	ibb_buf_clear(&b);
	ibb_buf_clear(&whole);
}

static void nobody_signed(void **state)
{
	struct mkpki_message m = usual();
	struct ibb_buf b;
	struct result v;

	(void)state;
	m.n_signers = 0;
	b = signed_list(&m);
	v = verify(&b, cast.store, NOW);
	assert_int_equal(v.n, 1);
	assert_int_equal(v.sigs[0].fault, IBB_SIG_NO_SIGNER);
	assert_string_equal(v.sigs[0].why, "nobody signed it");
	free(v.sigs);
	ibb_buf_clear(&b);
}

static void too_much(void **state)
{
	struct mkpki_message m = usual(), inner;
	struct ibb_error err = {0};
	struct ibb_buf b, deep = {0};

	(void)state;
	m.n_signers = 9;
	for (size_t i = 1; i < m.n_signers; i++)
		m.signers[i] = m.signers[0];
	b = signed_list(&m);
	assert_fails(verify_code(&b, &err), IBB_E_LIMIT, err, "t.cat: 9 signers, more than 8");
	ibb_buf_clear(&b);

	m.n_signers = 8; /* and eight nested ones in each */
	inner = m;
	deep = signed_list(&inner);
	for (size_t i = 0; i < m.n_signers; i++)
		m.signers[i].nested = ibb_buf_bytes(&deep);
	b = signed_list(&m);
	assert_fails(verify_code(&b, &err), IBB_E_LIMIT, err, "t.cat: more than 16 signatures");
	ibb_buf_clear(&b);
	ibb_buf_clear(&deep);

	m = usual();
	m.n_certs = 65;
	for (size_t i = 1; i < m.n_certs; i++)
		m.certs[i] = cast.ca;
	b = signed_list(&m);
	assert_fails(verify_code(&b, &err), IBB_E_LIMIT, err, "t.cat: 65 certificates, more than");
	ibb_buf_clear(&b);

	m = usual();
	m.signers[0].faults = MKPKI_MANY_ATTRIBUTES;
	b = signed_list(&m);
	assert_fails(verify_code(&b, &err), IBB_E_LIMIT, err,
		     "t.cat: a signer has more than 64 attributes");
	ibb_buf_clear(&b);

	m = usual();
	for (int i = 0; i < 6; i++) {
		m.signers[0].nested = ibb_buf_bytes(&deep);
		b = signed_list(&m);
		ibb_buf_clear(&deep);
		deep = b;
	}
	assert_fails(verify_code(&deep, &err), IBB_E_LIMIT, err,
		     "t.cat: signatures nest more than 4 deep");
	ibb_buf_clear(&deep);
}

static void too_many_stamps(void **state)
{
	struct mkpki_stamp bad = {true, cast.tsa,	    TSA_KEY, {NULL}, "20200601120000Z",
				  NULL, MKPKI_WRONG_IMPRINT};
	struct mkpki_message m = usual();
	struct ibb_error err = {0};
	struct ibb_buf b;

	(void)state;
	for (size_t i = 0; i < 9; i++)
		m.signers[0].stamps[i] = &bad;
	b = signed_list(&m);
	assert_fails(verify_code(&b, &err), IBB_E_LIMIT, err,
		     "t.cat: more than 8 timestamps of one signature");
	ibb_buf_clear(&b);
}

/* CAs that certify one another, all with one key: the root, twelve of them, the publisher. */
static void long_chain(void **state)
{
	struct mkpki_message m = {.n_signers = 1};
	char names[13][16];
	struct ibb_buf b;
	struct result v;

	(void)state;
	for (int i = 0; i < 13; i++) {
		struct mkpki_cert c = i < 12 ? ca_spec : publisher_spec;

		snprintf(names[i], sizeof(names[i]), "CA %d", i);
		c.cn = i < 12 ? names[i] : PUBLISHER;
		c.serial = 0x2000 + i;
		c.issuer = i ? names[i - 1] : ROOT;
		c.issuer_key = i ? CA_KEY : ROOT_KEY;
		m.certs[m.n_certs++] = mkpki_cert(&c);
	}
	m.signers[0] = (struct mkpki_signer){.cert = m.certs[12], .key = KEY};
	b = signed_list(&m);
	v = verify(&b, cast.store, NOW);
	assert_int_equal(v.sigs[0].fault, IBB_SIG_UNTRUSTED);
	assert_string_equal(v.sigs[0].why,
			    "the chain has more than 10 certificates between its ends");
	free(v.sigs);
	ibb_buf_clear(&b);
	for (size_t i = 0; i < m.n_certs; i++)
		X509_free(m.certs[i]);
}

static void damaged_nested(void **state)
{
	struct mkpki_message m = usual();
	struct ibb_buf inner = signed_list(&m), b;
	struct result v;

	(void)state;
	inner.data[4] ^= 1;
	m.signers[0].nested = ibb_buf_bytes(&inner);
	b = signed_list(&m);
	v = verify(&b, cast.store, NOW);
	assert_int_equal(v.n, 2);
	assert_int_equal(v.sigs[0].fault, IBB_SIG_OK);
	assert_int_equal(v.sigs[1].fault, IBB_SIG_BROKEN);
	assert_true(v.sigs[1].nested);
	assert_non_null(strstr(v.sigs[1].why, "the nested signature is damaged: not a signature"));
	free(v.sigs);
	ibb_buf_clear(&inner);
	ibb_buf_clear(&b);
}

/* ---- flips ---- */

static uint32_t xorshift(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

static unsigned long setting(const char *name, unsigned long usual_value)
{
	const char *s = getenv(name);

	return s && *s ? strtoul(s, NULL, 0) : usual_value;
}

/* How many of the signatures of this message hold; -1: it is none. */
static int holding(struct ibb_bytes b, const struct ibb_trust_store *store,
		   struct ibb_signature *first)
{
	struct ibb_signature *sigs = NULL;
	struct ibb_buf content = {0};
	struct ibb_error err = {0};
	char type[64];
	size_t n = 0;
	int ok = 0;
	int rc = ibb_signature_verify("f.cat", b, store, NOW, &sigs, &n, &content, type, &err);

	if (rc) {
		assert_true(rc == IBB_E_CORRUPT || rc == IBB_E_LIMIT);
		assert_memory_equal(err.msg, "f.cat: ", 7);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		ok += sigs[i].fault == IBB_SIG_OK;
		assert_int_equal(sigs[i].fault == IBB_SIG_OK, sigs[i].why[0] == '\0');
	}
	*first = sigs[0];
	free(sigs);
	ibb_buf_clear(&content);
	return ok;
}

/* The message holds; with any covered byte changed it does not. */
static void flips(const char *name, const struct ibb_buf *b, const struct ibb_trust_store *store,
		  unsigned long rounds)
{
	uint32_t seed = (uint32_t)setting("IBB_TEST_SEED", 20261120), s = seed ? seed : 1;
	struct cover c = cover_of(ibb_buf_bytes(b));
	struct ibb_signature first = {0};

	assert_true(c.n >= 4 && c.bytes > 500);
	assert_int_equal(holding(ibb_buf_bytes(b), store, &first), 1);
	for (unsigned long i = 0; i < rounds; i++) {
		size_t kind = i % c.n, off; /* small ranges as often as large ones */
		uint8_t bit = (uint8_t)(1u << xorshift(&s) % 8), was;

		off = c.range[kind].begin +
		      xorshift(&s) % (c.range[kind].end - c.range[kind].begin);
		was = b->data[off];
		b->data[off] ^= bit;
		if (holding(ibb_buf_bytes(b), store, &first) > 0)
			fail_msg("%s: seed %" PRIu32
				 ", flip %lu: bit 0x%02x of byte %zu (%s) was changed, and the "
				 "signature of '%s' holds",
				 name, seed, i, bit, off, c.range[kind].what, first.signer.name);
		b->data[off] = was;
	}
	print_message("%s: seed %" PRIu32 ", %lu flips in %zu of %zu bytes (%zu ranges): none "
		      "accepted\n",
		      name, seed, rounds, c.bytes, b->len, c.n);
}

static struct ibb_buf stamped_message(bool rfc3161)
{
	struct mkpki_stamp stamp = {rfc3161, cast.tsa, TSA_KEY, {NULL}, "20200601120000Z", NULL, 0};
	struct mkpki_message m = usual();

	m.signers[0].cert = m.certs[0] = cast.expired; /* nothing holds without the stamp */
	if (!rfc3161)
		m.certs[m.n_certs++] = cast.tsa;
	m.signers[0].stamps[0] = &stamp;
	return signed_list(&m);
}

static void flipped_made(void **state)
{
	unsigned long rounds = setting("IBB_TEST_FLIPS", 200);

	(void)state;
	for (int rfc3161 = 0; rfc3161 < 2; rfc3161++) {
		struct ibb_buf b = stamped_message(rfc3161);

		flips(rfc3161 ? "token" : "countersigned", &b, cast.store, rounds);
		ibb_buf_clear(&b);
	}
}

/* Every bit of a small message, once; what is not covered may be accepted, but says the same. */
static void every_bit(void **state)
{
	struct mkpki_message m = usual();
	struct ibb_buf b = signed_list(&m);
	struct cover c = cover_of(ibb_buf_bytes(&b));
	struct ibb_signature first;
	size_t accepted = 0;

	(void)state;
	for (size_t i = 0; i < b.len * 8; i++) {
		b.data[i / 8] ^= (uint8_t)(1u << i % 8);
		if (holding(ibb_buf_bytes(&b), cast.store, &first) > 0) {
			const char *what = covered(&c, i / 8);

			accepted++;
			if (what)
				fail_msg("bit %zu of byte %zu (%s) is covered", i % 8, i / 8, what);
			assert_string_equal(first.signer.name, PUBLISHER);
			assert_int_equal(first.anchor, IBB_ANCHOR_USER);
		}
		b.data[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	print_message("%zu of %zu flips were accepted, all outside of what is signed\n", accepted,
		      b.len * 8);
	assert_true(accepted < 400);
	ibb_buf_clear(&b);
}

static void flipped_real(void **state)
{
	static const char *const files[] = {
		"drivers/mlx5-24.4.26429/mlx5.cat",
		"drivers/wintun-0.7-cross-signed/wintun.cat",
		"drivers/asix-win7-utf16/ax88178ex.cat",
		"drivers/asix-win7-utf16/usbmac64.cat",
		"drivers/pvscsi-1.3.28/pvscsi.cat",
		"drivers/wireguard-nt-attested/mullvad-wireguard.cat",
	};
	unsigned long rounds = setting("IBB_TEST_FLIPS", 200);

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(files); i++) {
		struct ibb_buf b = {0};

		TEST_DATA_OR_SKIP(files[i], &b);
		flips(files[i] + 8, &b, cast.store, rounds);
		ibb_buf_clear(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_messages), cmocka_unit_test(broken_stamps),
		cmocka_unit_test(no_message),	   cmocka_unit_test(nobody_signed),
		cmocka_unit_test(too_much),	   cmocka_unit_test(too_many_stamps),
		cmocka_unit_test(long_chain),	   cmocka_unit_test(damaged_nested),
		cmocka_unit_test(flipped_made),	   cmocka_unit_test(every_bit),
		cmocka_unit_test(flipped_real),
	};

	return cmocka_run_group_tests(tests, make_cast, free_cast) ? 1 : 0;
}
