/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Verification under lack of memory: ibbake's own allocations, and OpenSSL's, which go through the
 * same hook here. The nth allocation fails, for every n, once and with all later ones. It ends as
 * an error, and never as a signature that holds where it does not; OpenSSL swallows some failures,
 * so a signature that holds may come out as one that does not.
 */
#include "test_signature.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

static bool hooked; /* OpenSSL's allocations count as well */

static void *hook_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return hooked ? ibb_alloc(n) : malloc(n);
}

static void *hook_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	if (n == 0) {
		free(p);
		return NULL;
	}
	return hooked ? ibb_realloc_array(p, n, 1) : realloc(p, n);
}

static void hook_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static struct ibb_buf good, bad;
static struct ibb_trust_store *store;
static struct ibb_buf root_pem;

static int make(void **state)
{
	X509 *root = mkpki_cert(&root_spec), *ca = mkpki_cert(&ca_spec),
	     *tsa = mkpki_cert(&tsa_spec);
	struct mkpki_cert old =
		merged(&(struct mkpki_cert){.to = "20210101000000Z"}, &publisher_spec);
	X509 *leaf = mkpki_cert(&old);
	struct mkpki_stamp token = {true, tsa, TSA_KEY, {NULL}, "20200601120000Z", NULL, 0};
	struct mkpki_message m = {.n_signers = 1, .certs = {leaf, ca}, .n_certs = 2};
	struct ibb_buf inner;

	(void)state;
	m.signers[0] = (struct mkpki_signer){.cert = leaf, .key = KEY, .stamps = {&token}};
	inner = signed_list(&m);
	m.signers[0].nested = ibb_buf_bytes(&inner);
	good = signed_list(&m);
	m.signers[0].nested = (struct ibb_bytes){NULL, 0};
	m.signers[0].stamps[0] = NULL;
	bad = signed_list(&m);
	store = store_with(root);
	mkpki_pem(root, &root_pem);
	ibb_buf_clear(&inner);
	X509_free(root);
	X509_free(ca);
	X509_free(leaf);
	X509_free(tsa);
	mkpki_cleanup();
	return 0;
}

static int clean(void **state)
{
	(void)state;
	ibb_buf_clear(&good);
	ibb_buf_clear(&bad);
	ibb_buf_clear(&root_pem);
	ibb_trust_store_free(store);
	return 0;
}

/* How many signatures hold, or an error. */
static int run(const struct ibb_buf *b, struct ibb_error *err)
{
	struct ibb_signature *sigs = NULL;
	struct ibb_buf content = {0};
	char type[64];
	size_t n = 0;
	int held = 0;
	int rc = ibb_signature_verify("m.cat", ibb_buf_bytes(b), store, NOW, &sigs, &n, &content,
				      type, err);

	for (size_t i = 0; !rc && i < n; i++)
		held += sigs[i].fault == IBB_SIG_OK;
	free(sigs);
	ibb_buf_clear(&content);
	assert_int_equal(ERR_peek_error(), 0); /* nothing is left for the next caller */
	return rc ? rc : held;
}

static int run_good(struct ibb_error *err)
{
	return run(&good, err);
}

static int run_bad(struct ibb_error *err)
{
	return run(&bad, err);
}

static int run_store(struct ibb_error *err)
{
	struct ibb_trust_store *s = NULL;
	int rc = ibb_trust_store_new(&s, err);

	if (!rc)
		rc = ibb_trust_store_add(s, "r.pem", ibb_buf_bytes(&root_pem), err);
	ibb_trust_store_free(s);
	assert_int_equal(ERR_peek_error(), 0);
	return rc;
}

/* `strict`: the only outcome besides the right one is lack of memory. */
static void sweep(const char *name, int (*fn)(struct ibb_error *err), int want, bool strict,
		  long step, long at_least)
{
	for (int persistent = 0; persistent < 2; persistent++) {
		long n = 0, nomem = 0, less = 0;

		for (;; n += step) {
			struct ibb_error err = {0};
			long asked;
			int r;

			ibb_mem_fail_at(n, persistent);
			r = fn(&err);
			asked = ibb_mem_count();
			ibb_mem_fail_at(-1, false);
			if (asked <= n) {
				assert_int_equal(r, want);
				break;
			}
			if (r == IBB_E_NOMEM) {
				assert_string_equal(err.msg, "out of memory");
				nomem++;
			} else if (strict || r > want) {
				fail_msg("%s: allocation %ld failed: %d %s", name, n, r, err.msg);
			} else {
				less += r != want;
			}
		}
		print_message("%s: %ld allocations, %ld ended as lack of memory, %ld refused\n",
			      name, n, nomem, less);
		assert_true(n >= at_least);
		assert_true(nomem > 0);
	}
}

static void own(void **state)
{
	(void)state;
	hooked = false;
	sweep("verify", run_good, 2, true, 1, 4);
	sweep("store", run_store, 0, true, 1, 1);
}

static void openssl(void **state)
{
	const char *s = getenv("IBB_TEST_STEP");
	long step = s && *s ? strtol(s, NULL, 10) : 17;

	(void)state;
	assert_true(step > 0);
	assert_int_equal(run(&good, NULL), 2); /* what is fetched once is there */
	hooked = true;
	sweep("verify", run_good, 2, false, step, 1000);
	sweep("expired", run_bad, 0, false, step, 300);
	sweep("store", run_store, 0, false, step, 300);
	hooked = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own),
		cmocka_unit_test(openssl),
	};

	if (CRYPTO_set_mem_functions(hook_malloc, hook_realloc, hook_free) != 1)
		return 1; /* has to come before OpenSSL's first allocation */
	return cmocka_run_group_tests(tests, make, clean) ? 1 : 0;
}
