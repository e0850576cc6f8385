/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole packages: every file of one is vouched for, and no changed bit of one is accepted. Where a
 * PE digest looks away is worked out here, from the bytes; there only a pinned digest helps.
 */
#include "driver/trust.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "base/le.h"
#include "mkcat.h"
#include "mkpki.h"
#include "pkgtest.h"
#include "test.h"

#define NOW 1790000000

static struct ibb_error e;
static struct ibb_trust_store *store;

static int open_store(void **state)
{
	struct ibb_buf pem = {0};

	(void)state;
	assert_ok(ibb_trust_store_new(&store, &e), e);
	assert_ok(mkcat_root_pem(PKGTEST_KEYS, &pem, &e), e);
	assert_ok(ibb_trust_store_add(store, "demo", ibb_buf_bytes(&pem), &e), e);
	ibb_buf_clear(&pem);
	return 0;
}

static int close_store(void **state)
{
	(void)state;
	ibb_trust_store_free(store);
	return 0;
}

static void judge(struct ibb_package *p, unsigned allow)
{
	struct ibb_trust_policy policy = {.store = store, .now = NOW, .allow = allow};

	assert_ok(ibb_package_judge(p, &policy, &e), e);
}

/* ---- flips ---- */

static unsigned long rounds(void)
{
	const char *s = getenv("IBB_TEST_FLIPS");

	return s ? strtoul(s, NULL, 10) : 200;
}

static uint64_t seed_of_run(void)
{
	const char *s = getenv("IBB_TEST_SEED");

	return s ? strtoull(s, NULL, 10) : 77;
}

static uint32_t rnd(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33) % below;
}

/* "Windows Authenticode Portable Executable Signature Format", "Calculating the PE image hash". */
static bool looked_away(const struct ibb_buf *b, size_t at)
{
	size_t opt, dir, table, size;

	if (b->len < 0x40 || memcmp(b->data, "MZ", 2) != 0)
		return false;
	opt = ibb_get_le32(b->data + 0x3c) + 24;
	dir = opt + (ibb_get_le16(b->data + opt) == 0x20b ? 112 : 96) + 8 * 4;
	table = ibb_get_le32(b->data + dir);
	size = ibb_get_le32(b->data + dir + 4);
	return (at >= opt + 64 && at < opt + 68) || (at >= dir && at < dir + 8) ||
	       (at >= table && at - table < size);
}

static void flips(const char *name, struct ibb_package *p)
{
	uint64_t state = seed_of_run();
	unsigned long n = rounds(), outside = 0;

	if (!p)
		skip();
	judge(p, 0);
	assert_true(p->trust->accepted && !p->trust->allowed);
	for (unsigned long i = 0; i < n;) {
		size_t k = rnd(&state, (uint32_t)p->n_files);
		struct ibb_package_file *f = &p->files[k];
		size_t at = rnd(&state, (uint32_t)f->bytes.len);
		uint8_t bit = (uint8_t)(1u << rnd(&state, 8));

		if (k == 1) /* the catalog: test_signature_bad */
			continue;
		i++;
		if (looked_away(&f->bytes, at)) {
			outside++;
			continue;
		}
		f->bytes.data[at] ^= bit;
		judge(p, UINT_MAX);
		if (p->trust->accepted)
			fail_msg("%s: seed %" PRIu64 ", flip %lu: bit 0x%02x of byte %zu of %s was "
				 "changed, and the package accepted",
				 name, seed_of_run(), i, bit, at, f->path);
		assert_int_equal(p->trust->judgement.verdict, IBB_VERDICT_TAMPERED);
		assert_non_null(strstr(p->trust->judgement.reason, f->path));
		f->bytes.data[at] ^= bit;
	}
	judge(p, 0);
	assert_true(p->trust->accepted);
	print_message("%s: seed %" PRIu64 ", %lu flips, %lu of them where the digest looks away: "
		      "none accepted\n",
		      name, seed_of_run(), n, outside);
	ibb_package_free(p);
}

static void flipped_made(void **state)
{
	struct mkpkg_opts o = {.pad_bytes = 100};

	(void)state;
	flips("made", pkgtest_make(&o, &server_2022));
}

static void flipped_real(void **state)
{
	static const char *const real[][2] = {{"mlx5-24.4.26429", "mlx5.inf"},
					      {"netkvm-100.94.104", "netkvm.inf"},
					      {"pvscsi-1.3.28", "pvscsi.inf"},
					      {"wintun-0.14", "wintun.inf"}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(real); i++)
		flips(real[i][1], pkgtest_real(real[i][0], real[i][1], &server_2022));
}

/* Every bit of a small INF; every byte of the headers of its driver. */
static void every_bit(void **state)
{
	struct mkpkg_opts o = {0};
	struct ibb_package *p = pkgtest_make(&o, &server_2022);

	(void)state;
	for (size_t k = 0; k < p->n_files; k++)
		for (size_t at = 0; k != 1 && at < p->files[k].bytes.len; at++) {
			uint8_t *b = &p->files[k].bytes.data[at];

			if (looked_away(&p->files[k].bytes, at))
				continue;
			*b ^= (uint8_t)(1u << at % 8);
			judge(p, UINT_MAX);
			assert_false(p->trust->accepted);
			*b ^= (uint8_t)(1u << at % 8);
		}
	ibb_package_free(p);
}

/* A changed checksum is no part of the digest that the catalog has, but of the one that is pinned.
 */
static void looked_away_but_pinned(void **state)
{
	struct mkpkg_opts o = {0};
	struct ibb_package *p = pkgtest_make(&o, &server_2022);
	struct ibb_sha256 changed;
	struct ibb_buf *sys = &p->files[2].bytes;
	size_t at = ibb_get_le32(sys->data + 0x3c) + 24 + 64;

	(void)state;
	assert_true(looked_away(sys, at));
	sys->data[at] ^= 1;
	judge(p, 0);
	assert_true(p->trust->accepted);
	assert_int_equal(ibb_sha256(sys->data, sys->len, &changed), 0);
	assert_memory_not_equal(&changed, &p->files[2].sha256, sizeof(changed));
	ibb_package_free(p);
}

/* ---- files and catalogs of different packages ---- */

static void exchanged(void **state)
{
	struct mkpkg_opts a = {0}, b = {.version = "2.0.0.0"};
	struct ibb_package *p = pkgtest_make(&a, &server_2022), *q = pkgtest_make(&b, &server_2022);

	(void)state;
	for (size_t k = 0; k < p->n_files; k++) {
		struct ibb_package_file f = p->files[k];

		p->files[k] = q->files[k];
		judge(p, UINT_MAX);
		assert_int_equal(p->trust->judgement.verdict, IBB_VERDICT_TAMPERED);
		assert_false(p->trust->accepted);
		p->files[k] = f;
	}
	judge(p, 0);
	assert_true(p->trust->accepted);
	ibb_package_free(p);
	ibb_package_free(q);
}

/* OSAttr is a condition that no signature lifts. */
static void os_condition(void **state)
{
	struct ibb_package *p = pkgtest_real("mlx5-24.4.26429", "mlx5.inf", &server_2022);

	(void)state;
	if (!p)
		skip();
	p->target = windows_81;
	judge(p, UINT_MAX);
	assert_false(p->trust->accepted);
	assert_non_null(strstr(p->trust->judgement.reason, "2:10.0 (OSAttr)"));
	ibb_package_free(p);
}

/* ---- whose name is written ---- */

/* The demonstration's root, and somebody who signed with it as his own. */
static int sign_twice(const void *arg, const char *type, struct ibb_bytes value,
		      struct ibb_buf *ret)
{
	const bool *both = arg;
	static const struct mkpki_cert root = {.cn = "anchored root",
					       .key = "demo-root-key.pem",
					       .serial = 1,
					       .constraints = "critical,CA:TRUE",
					       .usage = "critical,keyCertSign"};
	static const struct mkpki_cert leaf = {.cn = "anchored publisher",
					       .key = "demo-key.pem",
					       .issuer = "anchored root",
					       .issuer_key = "demo-root-key.pem",
					       .serial = 2,
					       .usage = "critical,digitalSignature",
					       .extended_usage =
						       "codeSigning,1.3.6.1.4.1.311.10.3.5"};
	static const struct mkpki_cert liar = {
		.cn = "Microsoft Windows Hardware Compatibility Publisher",
		.key = "pki-tsa-key.pem",
		.serial = 3,
		.usage = "critical,digitalSignature",
		.extended_usage = "codeSigning,1.3.6.1.4.1.311.10.3.5"};
	struct mkpki_message m = {.n_signers = *both ? 2 : 1, .n_certs = *both ? 3 : 2};
	struct ibb_buf pem = {0};
	int r;

	m.certs[0] = mkpki_cert(&leaf);
	m.certs[1] = mkpki_cert(&root);
	m.certs[2] = mkpki_cert(&liar);
	m.signers[0] = (struct mkpki_signer){.cert = m.certs[0], .key = leaf.key};
	m.signers[1] = (struct mkpki_signer){.cert = m.certs[2], .key = liar.key};
	mkpki_pem(m.certs[1], &pem);
	assert_ok(ibb_trust_store_add(store, "anchored", ibb_buf_bytes(&pem), &e), e);
	r = mkpki_sign(&m, type, value, ret);
	ibb_buf_clear(&pem);
	for (size_t i = 0; i < 3; i++)
		X509_free(m.certs[i]);
	return r;
}

/* The catalog of p, signed anew. */
static void sign_anew(struct ibb_package *p, bool both)
{
	const struct mkcat_member members[] = {
		{p->files[0].path, ibb_buf_bytes(&p->files[0].bytes)},
		{p->files[2].path, ibb_buf_bytes(&p->files[2].bytes)}};
	const struct mkcat_opts o = {.key_dir = PKGTEST_KEYS,
				     .members = members,
				     .n_members = 2,
				     .os_attr = "2:10.0",
				     .sign = sign_twice,
				     .sign_arg = &both};

	ibb_buf_clear(&p->files[1].bytes);
	assert_ok(mkcat(&o, &p->files[1].bytes, &e), e);
	assert_ok(ibb_cat_signer("c", ibb_buf_bytes(&p->files[1].bytes), &p->signer, &e), e);
}

static void name_of_the_signer(void **state)
{
	struct mkpkg_opts o = {0};
	struct ibb_package *p = pkgtest_make(&o, &server_2022);

	(void)state;
	sign_anew(p, false);
	assert_true(p->signer.whql); /* says the certificate */
	judge(p, 0);
	assert_int_equal(p->trust->judgement.verdict, IBB_VERDICT_ANCHORED);
	assert_true(p->trust->accepted);
	assert_string_equal(p->signer.name, "anchored publisher");
	assert_false(p->signer.whql);
	/* somebody who calls himself Microsoft beside him: neither name is taken for the other's */
	sign_anew(p, true);
	judge(p, 0);
	assert_false(p->trust->accepted);
	judge(p, UINT_MAX);
	assert_string_equal(p->signer.name, "Microsoft Windows Hardware Compatibility Publisher");
	assert_false(p->signer.whql);
	assert_int_equal(p->trust->judgement.verdict, IBB_VERDICT_TEST_SIGNED);
	ibb_package_free(p);
}

/* Who signed it may be allowed; a Windows that it is not for may not. */
static void allowed_for_its_windows(void **state)
{
	struct ibb_trust_store *empty, *full = store;
	struct mkpkg_opts o = {0};
	struct ibb_package *p = pkgtest_make(&o, &server_2022);

	(void)state;
	sign_anew(p, false);
	assert_ok(ibb_trust_store_new(&empty, &e), e);
	store = empty;
	judge(p, UINT_MAX);
	assert_true(p->trust->accepted && p->trust->allowed);
	p->target = windows_81;
	judge(p, UINT_MAX);
	assert_false(p->trust->accepted);
	assert_non_null(strstr(p->trust->judgement.reason, "OSAttr"));
	store = full;
	ibb_trust_store_free(empty);
	ibb_package_free(p);
}

/* ---- companions ---- */

static void companions(void **state)
{
	struct ibb_trust_policy policy = {.store = store, .now = NOW};
	struct ibb_companion c;
	struct ibb_sha256 pin;
	struct ibb_buf b = {0};

	(void)state;
	TEST_DATA_OR_SKIP("drivers/mlx5-24.4.26429/mlx5ui.dll", &b);
	assert_ok(ibb_companion_judge("x", ibb_buf_bytes(&b), NULL, &policy, &c, &e), e);
	assert_true(c.accepted && c.has_signature && !c.pinned);
	assert_int_equal(c.signature.anchor, IBB_ANCHOR_MICROSOFT);
	assert_int_equal(ibb_sha256(b.data, b.len, &pin), 0);
	assert_ok(ibb_companion_judge("x", ibb_buf_bytes(&b), &pin, &policy, &c, &e), e);
	assert_true(c.accepted && c.pinned);
	/* one bit of the code: neither the signature nor the pin */
	b.data[b.len / 4] ^= 1;
	assert_ok(ibb_companion_judge("x", ibb_buf_bytes(&b), NULL, &policy, &c, &e), e);
	assert_false(c.accepted);
	assert_int_equal(c.signature.fault, IBB_SIG_BROKEN);
	assert_ok(ibb_companion_judge("x", ibb_buf_bytes(&b), &pin, &policy, &c, &e), e);
	assert_false(c.accepted);
	/* a pin beats a signature: other bytes that the same vendor signed are not what was pinned
	 */
	b.data[b.len / 4] ^= 1;
	pin.b[0] ^= 1;
	assert_ok(ibb_companion_judge("x", ibb_buf_bytes(&b), &pin, &policy, &c, &e), e);
	assert_false(c.accepted);
	/* no signature, no pin */
	assert_ok(ibb_companion_judge("x", (struct ibb_bytes){(const uint8_t *)"text", 4}, NULL,
				      &policy, &c, &e),
		  e);
	assert_false(c.accepted);
	ibb_buf_clear(&b);
}

/* ---- no memory ---- */

static void out_of_memory(void **state)
{
	struct ibb_trust_policy policy = {.store = store, .now = NOW};
	struct mkpkg_opts o = {0};
	struct ibb_package *p = pkgtest_make(&o, &server_2022);
	long at = 0;

	(void)state;
	for (int r = -1; r; at++) {
		ibb_mem_fail_at(at, false);
		r = ibb_package_judge(p, &policy, &e);
		ibb_mem_fail_at(-1, false);
		if (r) {
			assert_int_equal(r, IBB_E_NOMEM);
			assert_null(p->trust);
		}
	}
	assert_true(p->trust->accepted);
	assert_true(at > 10);
	ibb_package_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flipped_made),	      cmocka_unit_test(flipped_real),
		cmocka_unit_test(every_bit),	      cmocka_unit_test(looked_away_but_pinned),
		cmocka_unit_test(exchanged),	      cmocka_unit_test(os_condition),
		cmocka_unit_test(name_of_the_signer), cmocka_unit_test(allowed_for_its_windows),
		cmocka_unit_test(companions),	      cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, open_store, close_store) ? 1 : 0;
}
