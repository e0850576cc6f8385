/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Digests of PE images: against the digests that catalogs and embedded signatures hold, and bit by
 * bit: every bit that is not in a gap counts.
 */
#include "test_pe.h"

#include "base/hash.h"

static void expect(const struct ibb_buf *b, enum ibb_digest_alg alg, const char *hex)
{
	struct ibb_error err = {0};
	uint8_t digest[32];
	char got[65];

	assert_ok(ibb_file_digest("x", ibb_buf_bytes(b), alg, digest, &err), err);
	ibb_hex(digest, ibb_alg_bytes(alg), got);
	assert_string_equal(got, hex);
}

/* From coreutils: sha1sum, sha256sum. */
static void flat(void **state)
{
	struct ibb_buf b = {0};

	(void)state;
	expect(&b, IBB_ALG_SHA1, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	expect(&b, IBB_ALG_SHA256,
	       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_int_equal(ibb_buf_append(&b, "abc", 3), 0);
	expect(&b, IBB_ALG_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d");
	expect(&b, IBB_ALG_SHA256,
	       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_false(ibb_pe_is(ibb_buf_bytes(&b)));
	ibb_buf_clear(&b);
}

static void digest(const struct ibb_buf *b, uint8_t ret[32])
{
	struct ibb_error err = {0};

	assert_ok(ibb_pe_digest("x.sys", ibb_buf_bytes(b), IBB_ALG_SHA256, ret, &err), err);
}

/* What signing does to a file leaves its digest alone. */
static void signing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 32; i++) {
		struct ibb_buf b = i & 1 ? pe32("signing") : pe64("signing");
		struct ibb_error err = {0};
		struct ibb_bytes sig;
		struct ibb_sha256 by_mkcat;
		uint8_t before[32], after[32];
		bool pe;

		/* data behind the last section; not always a multiple of 8 bytes */
		assert_int_equal(ibb_buf_append(&b, "overlay", i / 2 % 8), 0);
		digest(&b, before);
		assert_int_equal(mkcat_digest(ibb_buf_bytes(&b), &by_mkcat, &pe), 0);
		assert_true(pe && !memcmp(by_mkcat.b, before, 32));
		assert_fails(ibb_pe_signature("x.sys", ibb_buf_bytes(&b), &sig, &err),
			     IBB_E_NOTFOUND, err, "x.sys: no signature is embedded");
		pe_sign(&b,
			i & 16 ? "\x30\x03"
				 "abc"
			       : "\x30\x06"
				 "abcdef",
			i & 16 ? 5 : 8);
		ibb_put_le32(b.data + PE_CHECKSUM, 0xdeadbeef);
		digest(&b, after);
		assert_memory_equal(before, after, 32);
		assert_ok(ibb_pe_signature("x.sys", ibb_buf_bytes(&b), &sig, &err), err);
		assert_int_equal(sig.len, i & 16 ? 5 : 8);
		assert_memory_equal(sig.data,
				    i & 16 ? "\x30\x03"
					     "abc"
					   : "\x30\x06"
					     "abcdef",
				    sig.len);
		ibb_buf_clear(&b);
	}
}

/* Of several entries, the first PKCS#7 one of the revision that counts. */
static void several_certificates(void **state)
{
	struct ibb_buf b = pe64("several");
	struct ibb_error err = {0};
	struct ibb_bytes sig;
	size_t first = b.len;

	(void)state;
	pe_sign(&b,
		"\x30\x01"
		"1",
		3);
	pe_add_certificate(&b,
			   "\x30\x01"
			   "2",
			   3);
	pe_add_certificate(&b,
			   "\x30\x01"
			   "3",
			   3);
	assert_ok(ibb_pe_signature("x.sys", ibb_buf_bytes(&b), &sig, &err), err);
	assert_int_equal(sig.data[2], '1');
	ibb_put_le16(b.data + first + 6, 1); /* X.509 */
	assert_ok(ibb_pe_signature("x.sys", ibb_buf_bytes(&b), &sig, &err), err);
	assert_int_equal(sig.data[2], '2');
	ibb_put_le16(b.data + first + 16 + 4, 0x100);
	assert_ok(ibb_pe_signature("x.sys", ibb_buf_bytes(&b), &sig, &err), err);
	assert_int_equal(sig.data[2], '3');
	ibb_put_le16(b.data + first + 32 + 6, 4); /* terminal services stack */
	assert_fails(ibb_pe_signature("x.sys", ibb_buf_bytes(&b), &sig, &err), IBB_E_NOTFOUND, err,
		     "no signature is embedded");
	assert_int_equal(sig.data[2], '3');
	ibb_buf_clear(&b);
}

/* Which bytes count is what the gaps say. */
static void check_flips(const char *name, struct ibb_buf *b, enum ibb_digest_alg alg,
			unsigned rounds, uint64_t *rnd)
{
	struct ibb_pe_gap gaps[4];
	size_t n = ibb_pe_gaps(ibb_buf_bytes(b), gaps);
	struct ibb_error err = {0};
	uint8_t before[32], after[32];

	assert_in_range(n, 2, 3);
	assert_ok(ibb_pe_digest(name, ibb_buf_bytes(b), alg, before, &err), err);
	for (unsigned i = 0; i < rounds; i++) {
		/* every fourth one into a gap; not the directory entry, which says where one is */
		unsigned g = i % 8 == 0 && n > 2 ? 2 : 0;
		size_t at =
			i % 4 ? test_random(rnd) % b->len
			      : gaps[g].begin + test_random(rnd) % (gaps[g].end - gaps[g].begin);
		bool covered = true;
		int r;

		for (size_t k = 0; k < n; k++)
			covered &= at < gaps[k].begin || at >= gaps[k].end;
		if (at >= gaps[1].begin && at < gaps[1].end)
			continue;
		b->data[at] ^= (uint8_t)(1u << i % 8);
		r = ibb_file_digest(name, ibb_buf_bytes(b), alg, after, &err);
		b->data[at] ^= (uint8_t)(1u << i % 8);
		if (covered ? !r && !memcmp(before, after, ibb_alg_bytes(alg))
			    : r || memcmp(before, after, ibb_alg_bytes(alg)) != 0)
			fail_msg("%s: a flip at 0x%zx (round %u): %d, covered: %d, seed %llu", name,
				 at, i, r, covered, (unsigned long long)test_seed());
	}
}

static unsigned flips(void)
{
	const char *s = getenv("IBB_TEST_FLIPS"); /* how many for each file */

	return s ? (unsigned)strtoul(s, NULL, 0) : 200;
}

/* Of a small image, every bit. */
static void every_flip(void **state)
{
	struct ibb_buf b = pe64("every flip");
	struct ibb_pe_gap gaps[4];
	uint8_t before[32], after[32];

	(void)state;
	pe_sign(&b,
		"\x30\x06"
		"abcdef",
		8);
	assert_int_equal(ibb_pe_gaps(ibb_buf_bytes(&b), gaps), 3);
	assert_int_equal(gaps[0].begin, PE_CHECKSUM);
	assert_int_equal(gaps[0].end, PE_CHECKSUM + 4);
	assert_int_equal(gaps[1].begin, PE_DIRS + 32);
	assert_int_equal(gaps[1].end, PE_DIRS + 40);
	assert_int_equal(gaps[2].begin, b.len - 16);
	assert_int_equal(gaps[2].end, b.len);
	digest(&b, before);
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		size_t at = bit / 8;
		bool covered = !((at >= gaps[0].begin && at < gaps[0].end) || at >= gaps[2].begin);
		int r;

		if (at >= gaps[1].begin && at < gaps[1].end)
			covered = true; /* says where the certificates are: not without a trace */
		b.data[at] ^= (uint8_t)(1u << bit % 8);
		r = ibb_file_digest("x.sys", ibb_buf_bytes(&b), IBB_ALG_SHA256, after, NULL);
		b.data[at] ^= (uint8_t)(1u << bit % 8);
		if (covered ? !r && !memcmp(before, after, 32) : r || memcmp(before, after, 32))
			fail_msg("bit %zu at 0x%zx: %d", bit % 8, at, r);
	}
	ibb_buf_clear(&b);
}

static void made_flips(void **state)
{
	uint64_t rnd = test_seed();

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct ibb_buf b = i & 1 ? pe32("flips") : pe64("flips");

		assert_int_equal(ibb_buf_append(&b, "overlay", i & 2 ? 7 : 0), 0);
		if (i & 4)
			pe_sign(&b,
				"\x30\x03"
				"abc",
				5);
		check_flips("made.sys", &b, i & 1 ? IBB_ALG_SHA1 : IBB_ALG_SHA256, flips(), &rnd);
		ibb_buf_clear(&b);
	}
}

/* Real images: their embedded signature, when there is one, holds their digest. */
static const struct {
	const char *file;
	bool is_signed;
} real[] = {
	{"asix-win7-utf16/AX88172A.sys", false},
	{"asix-win7-utf16/WdfCoInstaller01009.dll", true},
	{"broadcom-5720/b57nd60a.sys", true},
	{"mlx5-24.4.26429/mlx5.sys", true},
	{"mlx5-24.4.26429/mlx5ui.dll", true},
	{"netkvm-100.94.104/netkvm.sys", true},
	{"netkvm-100.94.104/netkvmco.exe", true},
	{"netkvm-100.94.104/netkvmno.dll", true},
	{"netkvm-100.94.104/netkvmp.exe", true},
	{"pvscsi-1.3.28/pvscsi.sys", true},
	{"tampered-nvidia-65.6.5/nvefdxp.sys", false}, /* sections aligned to 128 bytes */
	{"tampered-nvidia-65.6.5/nvnrm.sys", false},
	{"vboxguest-attested-and-cross-signed/VBoxControl.exe", true},
	{"vboxguest-attested-and-cross-signed/VBoxGuest.sys", true},
	{"vboxguest-attested-and-cross-signed/VBoxHook.dll", true},
	{"vboxguest-attested-and-cross-signed/VBoxTray.exe", true},
	{"vmci-9.8.18/vmci.sys", true},
	{"vmxnet3-inbox-1.8.17/vmxnet3.sys", false},
	{"wintun-0.14/wintun.sys", true},
	{"wintun-0.7-cross-signed/wintun.sys", true},
	{"wireguard-nt-attested/mullvad-wireguard.sys", true},
};

static void real_signatures(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(real); i++) {
		struct ibb_buf b = {0}, content = {0};
		struct ibb_error err = {0};
		enum ibb_digest_alg alg;
		uint8_t want[32], got[32];
		struct ibb_bytes sig;
		char rel[256];

		snprintf(rel, sizeof(rel), "drivers/%s", real[i].file);
		TEST_DATA_OR_SKIP(rel, &b);
		assert_true(ibb_pe_is(ibb_buf_bytes(&b)));
		if (!real[i].is_signed) {
			assert_fails(ibb_pe_signature(rel, ibb_buf_bytes(&b), &sig, &err),
				     IBB_E_NOTFOUND, err, "no signature is embedded");
			ibb_buf_clear(&b);
			continue;
		}
		assert_ok(ibb_pe_signature(rel, ibb_buf_bytes(&b), &sig, &err), err);
		test_content(sig, &content);
		assert_ok(ibb_spc_digest(rel, ibb_buf_bytes(&content), &alg, want, &err), err);
		assert_ok(ibb_pe_digest(rel, ibb_buf_bytes(&b), alg, got, &err), err);
		assert_memory_equal(got, want, ibb_alg_bytes(alg));
		ibb_buf_clear(&content);
		ibb_buf_clear(&b);
	}
}

static void real_flips(void **state)
{
	uint64_t rnd = test_seed();

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(real); i++) {
		struct ibb_buf b = {0};
		char rel[256];

		snprintf(rel, sizeof(rel), "drivers/%s", real[i].file);
		TEST_DATA_OR_SKIP(rel, &b);
		check_flips(rel, &b, i % 2 ? IBB_ALG_SHA1 : IBB_ALG_SHA256,
			    b.len > 300000 ? flips() / 4 : flips(), &rnd);
		ibb_buf_clear(&b);
	}
}

/* ---- OpenSSL without memory ---- */

static long fail_in = -1, n_allocations;

static void *ossl_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	n_allocations++;
	return fail_in >= 0 && fail_in-- == 0 ? NULL : malloc(n);
}

static void *ossl_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	n_allocations++;
	return fail_in >= 0 && fail_in-- == 0 ? NULL : realloc(p, n);
}

static void ossl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static void allocations(void **state)
{
	struct ibb_buf b = pe64("allocations");
	uint8_t want[32], got[32];
	unsigned failed = 0;
	long n;

	(void)state;
	for (unsigned i = 0; i < 2; i++) { /* the first one loads the algorithm */
		n_allocations = 0;
		digest(&b, want);
	}
	n = n_allocations;
	assert_true(n > 0);
	for (long i = 0; i < n; i++) {
		struct ibb_error err = {0};
		int r;

		memset(got, 0x5a, sizeof(got));
		fail_in = i;
		r = ibb_pe_digest("x.sys", ibb_buf_bytes(&b), IBB_ALG_SHA256, got, &err);
		fail_in = -1;
		if (r) {
			assert_int_equal(r, IBB_E_NOMEM);
			assert_int_equal(got[0], 0x5a);
			failed++;
		} else {
			assert_memory_equal(got, want, 32);
		}
	}
	assert_true(failed > 0);
	ibb_buf_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flat),
		cmocka_unit_test(signing),
		cmocka_unit_test(several_certificates),
		cmocka_unit_test(every_flip),
		cmocka_unit_test(made_flips),
		cmocka_unit_test(real_signatures),
		cmocka_unit_test(real_flips),
		cmocka_unit_test(allocations),
	};

	/* before OpenSSL allocates anything */
	if (!CRYPTO_set_mem_functions(ossl_malloc, ossl_realloc, ossl_free))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
