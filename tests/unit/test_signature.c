/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signatures that hold, and why others do not: certificates, chains, times, revocation. */
#include "test_signature.h"

#include <openssl/x509v3.h>

#include "authenticode/pkcs7_internal.h"
#include "mkcat.h"
#include "signature_rows.h"

static struct ibb_buf crl_of(const struct row *r)
{
	return mkpki_crl(&(struct mkpki_crl){CA, CA_KEY, r->revoked_serial, r->revoked, -1});
}

static void check_signature_of(const struct row *r, const struct ibb_signature *s)
{
	if (s->fault != r->fault || s->anchor != r->anchor || !strstr(s->why, r->why ? r->why : ""))
		fail_msg("%s: %s, anchor %d: %s", r->name, ibb_signature_fault_name(s->fault),
			 s->anchor, s->why);
	if (!r->why && s->why[0])
		fail_msg("%s: why '%s'", r->name, s->why);
	if (r->timestamp_why ? !strstr(s->timestamp_why, r->timestamp_why) : s->timestamp_why[0])
		fail_msg("%s: timestamp '%s'", r->name, s->timestamp_why);
	if (s->signer.whql != r->whql || s->signer.attested != r->attested)
		fail_msg("%s: whql %d attested %d", r->name, s->signer.whql, s->signer.attested);
	if (s->timestamped != (r->stamped && !r->timestamp_why))
		fail_msg("%s: timestamped %d", r->name, s->timestamped);
	if (s->anchor == IBB_ANCHOR_USER) {
		assert_string_equal(s->anchor_name, ROOT);
		assert_int_equal(strlen(s->anchor_sha1), 40);
	}
	if (s->timestamped)
		assert_string_equal(s->authority, TSA);
	else
		assert_int_equal(s->signed_at, NOW);
}

static void one_row(const struct row *r)
{
	struct mkpki_cert specs[] = {merged(&r->publisher, &publisher_spec),
				     merged(&r->ca, &ca_spec), merged(&r->root, &root_spec),
				     merged(&r->tsa, &tsa_spec)};
	X509 *leaf = mkpki_cert(&specs[0]), *ca = mkpki_cert(&specs[1]);
	X509 *root = mkpki_cert(&specs[2]), *tsa = mkpki_cert(&specs[3]);
	struct mkpki_stamp stamp = {
		.rfc3161 = !r->countersigned, .cert = tsa, .key = TSA_KEY, .time = r->stamped};
	struct mkpki_message m = {.n_signers = 1};
	struct ibb_trust_store *s = store_with(r->no_root ? NULL : root);
	struct ibb_error err = {0};
	struct ibb_buf b, crl = {0};
	struct result v;

	m.signers[0] = (struct mkpki_signer){
		.cert = leaf, .key = specs[0].key, .hash = r->hash, .faults = r->faults};
	if (r->stamped)
		m.signers[0].stamps[0] = &stamp;
	if (!r->no_leaf)
		m.certs[m.n_certs++] = leaf;
	if (!r->no_ca)
		m.certs[m.n_certs++] = ca;
	if (r->countersigned)
		m.certs[m.n_certs++] = tsa;
	if (r->revoked) {
		crl = crl_of(r);
		assert_ok(ibb_trust_store_add_crl(s, "crl", ibb_buf_bytes(&crl), &err), err);
	}
	b = signed_list(&m);
	v = verify(&b, s, NOW);
	assert_int_equal(v.n, 1);
	check_signature_of(r, &v.sigs[0]);
	free(v.sigs);
	ibb_buf_clear(&b);
	ibb_buf_clear(&crl);
	ibb_trust_store_free(s);
	X509_free(leaf);
	X509_free(ca);
	X509_free(root);
	X509_free(tsa);
}

static void certificates(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++)
		one_row(&rows[i]);
}

/* ---- the usual cast, for what the table does not hold ---- */

static struct {
	X509 *root, *ca, *leaf, *tsa;
	struct ibb_trust_store *store;
} cast;

static int make_cast(void **state)
{
	(void)state;
	cast.root = mkpki_cert(&root_spec);
	cast.ca = mkpki_cert(&ca_spec);
	cast.leaf = mkpki_cert(&publisher_spec);
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

static void everything_said(void **state)
{
	struct mkpki_stamp stamp = {true, cast.tsa, TSA_KEY, {0}, "20240102030405.678Z", NULL, 0};
	struct mkpki_message m = usual();
	struct ibb_buf b;
	struct result v;

	(void)state;
	m.signers[0].stamps[0] = &stamp;
	m.signers[0].hash = "SHA512";
	b = signed_list(&m);
	v = verify(&b, cast.store, NOW);
	assert_int_equal(v.n, 1);
	assert_int_equal(v.sigs[0].fault, IBB_SIG_OK);
	assert_string_equal(v.sigs[0].signer.name, PUBLISHER);
	assert_string_equal(v.sigs[0].signer.issuer, CA);
	assert_string_equal(v.sigs[0].signer.serial, "1002");
	assert_string_equal(v.sigs[0].digest_name, "sha512");
	assert_int_equal(v.sigs[0].digest, IBB_ALG_SHA256);
	assert_int_equal(v.sigs[0].key_bits, 2048);
	assert_int_equal(v.sigs[0].leaf_not_before, 1577836800); /* 2020-01-01 */
	assert_int_equal(v.sigs[0].leaf_not_after, 2524607999);
	assert_true(v.sigs[0].timestamped);
	assert_int_equal(v.sigs[0].signed_at, 1704164645); /* a fraction is dropped */
	assert_string_equal(v.sigs[0].authority, TSA);
	assert_false(v.sigs[0].nested);
	free(v.sigs);
	ibb_buf_clear(&b);
}

/* Two signers, one of them unknown: both are reported, in their order. */
static void two_signers(void **state)
{
	struct mkpki_cert spec = merged(
		&(struct mkpki_cert){.issuer = "", .key = TSA_KEY, .cn = "somebody", .serial = 77},
		&publisher_spec);
	X509 *other = mkpki_cert(&spec);
	struct mkpki_message m = usual();
	int ok = 0, test = 0;
	struct ibb_buf b;
	struct result v;

	(void)state;
	m.n_signers = 2;
	m.signers[1] = (struct mkpki_signer){.cert = other, .key = TSA_KEY, .hash = "SHA1"};
	m.certs[m.n_certs++] = other;
	b = signed_list(&m);
	v = verify(&b, cast.store, NOW);
	assert_int_equal(v.n, 2);
	for (size_t i = 0; i < v.n; i++) { /* the encoder sorts them */
		assert_false(v.sigs[i].nested);
		ok += v.sigs[i].fault == IBB_SIG_OK && !strcmp(v.sigs[i].signer.name, PUBLISHER);
		test += v.sigs[i].anchor == IBB_ANCHOR_TEST &&
			v.sigs[i].fault == IBB_SIG_UNTRUSTED &&
			!strcmp(v.sigs[i].signer.name, "somebody");
	}
	assert_int_equal(ok, 1);
	assert_int_equal(test, 1);
	free(v.sigs);
	ibb_buf_clear(&b);
	X509_free(other);
}

static void nested(void **state)
{
	static const uint8_t other[] = {0x30, 0x02, 0x05, 0x00};
	struct mkpki_message in = usual(), out = usual();
	struct ibb_buf inner, b, foreign = {0};
	struct result v;

	(void)state;
	out.signers[0].hash = "SHA1";
	inner = signed_list(&in);
	out.signers[0].nested = ibb_buf_bytes(&inner);
	b = signed_list(&out);
	v = verify(&b, cast.store, NOW);
	assert_int_equal(v.n, 2);
	assert_int_equal(v.sigs[0].fault, IBB_SIG_OK);
	assert_string_equal(v.sigs[0].digest_name, "sha1");
	assert_false(v.sigs[0].nested);
	assert_int_equal(v.sigs[1].fault, IBB_SIG_OK);
	assert_string_equal(v.sigs[1].digest_name, "sha256");
	assert_true(v.sigs[1].nested);
	free(v.sigs);
	ibb_buf_clear(&b);

	assert_int_equal(
		mkpki_sign(&in, MKPKI_CTL, (struct ibb_bytes){other, sizeof(other)}, &foreign), 0);
	out.signers[0].nested = ibb_buf_bytes(&foreign);
	b = signed_list(&out);
	v = verify(&b, cast.store, NOW);
	assert_int_equal(v.n, 2);
	assert_int_equal(v.sigs[0].fault, IBB_SIG_OK);
	assert_int_equal(v.sigs[1].fault, IBB_SIG_BROKEN);
	assert_string_equal(v.sigs[1].why, "the nested signature is over other content");
	free(v.sigs);
	ibb_buf_clear(&b);
	ibb_buf_clear(&foreign);
	ibb_buf_clear(&inner);
}

/* A stamp that does not count does not spoil one that does. */
static void several_stamps(void **state)
{
	struct mkpki_stamp bad = {true, cast.tsa,	    TSA_KEY, {0}, "20210601120000Z",
				  NULL, MKPKI_WRONG_IMPRINT};
	struct mkpki_stamp token = {true, cast.tsa, TSA_KEY, {0}, "20220601120000Z", NULL, 0};
	struct mkpki_stamp counter = {false, cast.tsa, TSA_KEY, {0}, "20230601120000Z", "SHA1", 0};
	struct mkpki_message m = usual();
	struct ibb_buf b;
	struct result v;

	(void)state;
	m.signers[0].stamps[0] = &counter;
	m.signers[0].stamps[1] = &bad;
	m.signers[0].stamps[2] = &token;
	m.certs[m.n_certs++] = cast.tsa;
	b = signed_list(&m);
	v = verify(&b, cast.store, NOW);
	assert_int_equal(v.sigs[0].fault, IBB_SIG_OK);
	assert_true(v.sigs[0].timestamped);
	assert_int_equal(v.sigs[0].signed_at, 1654084800); /* tokens go before countersignatures */
	assert_string_equal(v.sigs[0].timestamp_why, "");
	free(v.sigs);
	ibb_buf_clear(&b);

	m.signers[0].stamps[1] = NULL;
	b = signed_list(&m);
	v = verify(&b, cast.store, NOW);
	assert_true(v.sigs[0].timestamped);
	assert_int_equal(v.sigs[0].signed_at, 1685620800);
	free(v.sigs);
	ibb_buf_clear(&b);
}

/* RFC 3161, 4: whether a revoked authority's stamps stay good depends on why it was revoked. */
static void revoked_authority(void **state)
{
	static const struct {
		const char *date;
		int reason;
		bool counts;
	} t[] = {
		{"20230101000000Z", CRL_REASON_SUPERSEDED, false},
		{"20250101000000Z", CRL_REASON_SUPERSEDED, true},
		{"20250101000000Z", CRL_REASON_CESSATION_OF_OPERATION, true},
		{"20250101000000Z", CRL_REASON_KEY_COMPROMISE, false},
		{"20250101000000Z", -1, false},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct mkpki_stamp stamp = {true, cast.tsa, TSA_KEY, {0}, "20240101000000Z",
					    NULL, 0};
		struct ibb_trust_store *s = store_with(cast.root);
		struct mkpki_crl list_of = {ROOT, ROOT_KEY, SERIAL_TSA, t[i].date, t[i].reason};
		struct ibb_buf crl = mkpki_crl(&list_of), b;
		struct mkpki_message m = usual();
		struct ibb_error err = {0};
		struct result v;

		assert_ok(ibb_trust_store_add_crl(s, "crl", ibb_buf_bytes(&crl), &err), err);
		m.signers[0].stamps[0] = &stamp;
		b = signed_list(&m);
		v = verify(&b, s, NOW);
		assert_int_equal(v.sigs[0].fault, IBB_SIG_OK);
		if (v.sigs[0].timestamped != t[i].counts)
			fail_msg("%zu: %s", i, v.sigs[0].timestamp_why);
		if (!t[i].counts)
			assert_string_equal(v.sigs[0].timestamp_why,
					    "the certificate 'ibbake test authority' was revoked");
		free(v.sigs);
		ibb_buf_clear(&b);
		ibb_buf_clear(&crl);
		ibb_trust_store_free(s);
	}
}

/* A list in the CA's name that it did not sign: damaged or false, but nothing to pass over. */
static void forged_crl(void **state)
{
	struct mkpki_crl list_of = {CA, TSA_KEY, SERIAL_PUBLISHER, "20210101000000Z", -1};
	struct ibb_trust_store *s = store_with(cast.root);
	struct ibb_buf crl = mkpki_crl(&list_of), b;
	struct mkpki_message m = usual();
	struct ibb_error err = {0};
	struct result v;

	(void)state;
	assert_ok(ibb_trust_store_add_crl(s, "crl", ibb_buf_bytes(&crl), &err), err);
	b = signed_list(&m);
	v = verify(&b, s, NOW);
	assert_int_equal(v.sigs[0].fault, IBB_SIG_REVOKED);
	assert_non_null(strstr(v.sigs[0].why, "whose signature does not verify"));
	free(v.sigs);
	ibb_buf_clear(&b);
	ibb_buf_clear(&crl);
	ibb_trust_store_free(s);
}

/* An intermediate or a leaf that the user names is an anchor, too. */
static void trusted_below_the_root(void **state)
{
	X509 *named[] = {cast.ca, cast.leaf};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(named); i++) {
		struct ibb_trust_store *s = store_with(named[i]);
		struct mkpki_message m = usual();
		struct ibb_buf b = signed_list(&m);
		struct result v = verify(&b, s, NOW);

		assert_int_equal(v.sigs[0].fault, IBB_SIG_OK);
		assert_int_equal(v.sigs[0].anchor, IBB_ANCHOR_USER);
		assert_string_equal(v.sigs[0].anchor_name, i ? PUBLISHER : CA);
		free(v.sigs);
		ibb_buf_clear(&b);
		ibb_trust_store_free(s);
	}
}

/* Whole catalogs, signed by such a publisher through mkcat. */
static void catalog(void **state)
{
	struct mkpki_stamp stamp = {false, cast.tsa, TSA_KEY, {0}, "20240101000000Z", NULL, 0};
	static const struct mkcat_member member = {"a.txt", {(const uint8_t *)"hello", 5}};
	struct mkpki_message m = usual();
	struct mkcat_opts o = {.key_dir = IBB_SOURCE_DIR "/tests/support",
			       .members = &member,
			       .n_members = 1,
			       .sign = mkpki_sign,
			       .sign_arg = &m};
	struct ibb_buf b = {0}, again = {0}, content = {0};
	struct ibb_signature *sigs = NULL;
	struct ibb_error err = {0};
	struct ibb_cat_signer who;
	char type[64];
	size_t n = 0;

	(void)state;
	m.signers[0].stamps[0] = &stamp;
	m.certs[m.n_certs++] = cast.tsa;
	assert_ok(mkcat(&o, &b, &err), err);
	assert_ok(mkcat(&o, &again, &err), err);
	assert_int_equal(b.len, again.len);
	assert_memory_equal(b.data, again.data, b.len);
	assert_ok(ibb_cat_signer("a.cat", ibb_buf_bytes(&b), &who, &err), err);
	assert_string_equal(who.name, PUBLISHER);
	assert_ok(ibb_signature_verify("a.cat", ibb_buf_bytes(&b), cast.store, NOW, &sigs, &n,
				       &content, type, &err),
		  err);
	assert_int_equal(n, 1);
	assert_int_equal(sigs[0].fault, IBB_SIG_OK);
	assert_int_equal(sigs[0].signed_at, 1704067200);
	assert_string_equal(type, MKPKI_CTL);
	assert_int_equal(content.data[0], 0x30);
	free(sigs);
	ibb_buf_clear(&b);
	ibb_buf_clear(&again);
	ibb_buf_clear(&content);
}

static void fault_names(void **state)
{
	(void)state;
	for (int f = IBB_SIG_OK; f <= IBB_SIG_WEAK; f++)
		for (int g = IBB_SIG_OK; g < f; g++)
			assert_string_not_equal(
				ibb_signature_fault_name((enum ibb_signature_fault)f),
				ibb_signature_fault_name((enum ibb_signature_fault)g));
	assert_string_equal(ibb_signature_fault_name((enum ibb_signature_fault)99), "unknown");
	assert_string_equal(ibb_signature_fault_name(IBB_SIG_NO_SIGNER), "no-signer");
}

/* ---- the store ---- */

static void pinned_roots(void **state)
{
	(void)state;
	assert_int_equal(ibb_root_pems_n, 4);
	assert_int_equal(sk_X509_num(cast.store->roots), 4);
	for (size_t i = 0; i < ibb_root_pems_n; i++) {
		char sha1[41] = "";

		memcpy(sha1, ibb_root_pems[i].name, 40);
		assert_string_equal(ibb_root_pems[i].name + 40, ".pem");
		assert_non_null(ibb_pin_find(IBB_PIN_ROOT, sha1));
		assert_null(ibb_pin_find(IBB_PIN_CROSS, sha1));
	}
}

/* A root that is not the one its file is named after is a broken build. */
static void swapped_root(void **state)
{
	struct ibb_root_pem p = {ibb_root_pems[0].name, ibb_root_pems[1].pem};
	struct ibb_buf pem = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_fails(ibb_store_load_roots(cast.store, &p, 1, &err), IBB_E_INTERNAL, err,
		     "which is not pinned");
	p = (struct ibb_root_pem){"1000.pem", ibb_root_pems[1].pem};
	assert_fails(ibb_store_load_roots(cast.store, &p, 1, &err), IBB_E_INTERNAL, err,
		     "1000.pem: the certificate has the fingerprint");
	mkpki_pem(cast.root, &pem);
	p = (struct ibb_root_pem){ibb_root_pems[0].name, ibb_buf_bytes(&pem)};
	assert_fails(ibb_store_load_roots(cast.store, &p, 1, &err), IBB_E_INTERNAL, err,
		     "which is not pinned");
	mkpki_pem(cast.root, &pem);
	p.pem = ibb_buf_bytes(&pem);
	assert_fails(ibb_store_load_roots(cast.store, &p, 1, &err), IBB_E_INTERNAL, err,
		     "more than one certificate");
	assert_int_equal(sk_X509_num(cast.store->roots), 4);
	ibb_buf_clear(&pem);
}

static void bad_pem(void **state)
{
	struct ibb_trust_store *s = store_with(NULL);
	struct ibb_error err = {0};
	struct ibb_buf pem = {0};

	(void)state;
	assert_fails(ibb_trust_store_add(s, "x.pem", (struct ibb_bytes){NULL, 0}, &err),
		     IBB_E_CORRUPT, err, "x.pem: no certificate in PEM form");
	assert_fails(ibb_trust_store_add(s, "x.pem", list, &err), IBB_E_CORRUPT, err,
		     "x.pem: no certificate in PEM form");
	mkpki_pem(cast.root, &pem);
	mkpki_pem(cast.ca, &pem);
	pem.data[pem.len - 200] = '*';
	assert_fails(ibb_trust_store_add(s, "x.pem", ibb_buf_bytes(&pem), &err), IBB_E_CORRUPT, err,
		     "x.pem: a certificate is damaged");
	assert_int_equal(sk_X509_num(s->user), 0); /* none of them, then */
	pem.len = 0;
	for (int i = 0; i < 70; i++)
		mkpki_pem(cast.root, &pem);
	assert_fails(ibb_trust_store_add(s, "x.pem", ibb_buf_bytes(&pem), &err), IBB_E_LIMIT, err,
		     "more than 64 certificates");
	assert_int_equal(sk_X509_num(s->user), 0);
	assert_fails(ibb_trust_store_add_crl(s, "x.crl", ibb_buf_bytes(&pem), &err), IBB_E_CORRUPT,
		     err, "x.crl: no certificate revocation list");
	assert_fails(ibb_trust_store_add_crl(s, "x.crl", list, &err), IBB_E_CORRUPT, err,
		     "x.crl: ");
	ibb_buf_clear(&pem);
	ibb_trust_store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates),	  cmocka_unit_test(everything_said),
		cmocka_unit_test(two_signers),	  cmocka_unit_test(nested),
		cmocka_unit_test(several_stamps), cmocka_unit_test(revoked_authority),
		cmocka_unit_test(forged_crl),	  cmocka_unit_test(trusted_below_the_root),
		cmocka_unit_test(catalog),	  cmocka_unit_test(fault_names),
		cmocka_unit_test(pinned_roots),	  cmocka_unit_test(swapped_root),
		cmocka_unit_test(bad_pem),
	};

	return cmocka_run_group_tests(tests, make_cast, free_cast) ? 1 : 0;
}
