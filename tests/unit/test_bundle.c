/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
/* Bundles: one form, every byte of which counts. */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/limits.h"
#include "bundle/internal.h"

static const char secret[] = "-----BEGIN PRIVATE KEY-----\n"
			     "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
			     "-----END PRIVATE KEY-----\n";
#define KEY "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

struct fixture {
	char dir[64], path[96], bad[96], out[96];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return 1;
	strcpy(f->dir, "/tmp/ibb-bundle-XXXXXX");
	*state = f;
	if (!mkdtemp(f->dir))
		return 1;
	snprintf(f->path, sizeof(f->path), "%s/a.ibbundle", f->dir);
	snprintf(f->bad, sizeof(f->bad), "%s/bad.ibbundle", f->dir);
	snprintf(f->out, sizeof(f->out), "%s/out", f->dir);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct ibb_error err = {0};
	int r = ibb_remove_tree(f->dir, &err);

	free(f);
	return r;
}

static struct ibb_bytes text(const char *s)
{
	return (struct ibb_bytes){(const uint8_t *)s, strlen(s)};
}

static struct ibb_json *about(const char *schema)
{
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_jb_object(&b, NULL, NULL), *doc = NULL;
	struct ibb_error err = {0};

	ibb_jb_str(&b, root, "schema", schema);
	ibb_jb_str(&b, root, "note", "small");
	assert_ok(ibb_jb_done(&b, &doc, &err), err);
	return doc;
}

#define LONG                                                            \
	"packages/"                                                     \
	"a234567890a234567890a234567890a234567890a234567890a234567890/" \
	"b234567890b234567890b234567890b234567890b234567890b234567890.sys"

static const struct ibb_bundle_file small[] = {
	{"packages/x/x.inf", {(const uint8_t *)"; an INF\r\n", 10}},
	{"lock.json", {(const uint8_t *)"{}\n", 3}},
	{"packages/x/empty", {(const uint8_t *)"", 0}},
	{LONG, {(const uint8_t *)"driver", 6}},
};

static int write_files(const char *path, const struct ibb_bundle_file *files, size_t n, bool sign,
		       struct ibb_error *err)
{
	struct ibb_json *doc = about(IBB_BUNDLE_SCHEMA);
	struct ibb_bytes key = sign ? text(secret) : (struct ibb_bytes){NULL, 0};
	int r = ibb_bundle_write(path, true, doc, files, n, "key.pem", key, err);

	ibb_json_free(doc);
	return r;
}

static void write_small(const char *path, bool sign)
{
	struct ibb_error err = {0};

	assert_ok(write_files(path, small, IBB_ARRAY_SIZE(small), sign, &err), err);
}

static void load(const char *path, struct ibb_buf *ret)
{
	struct ibb_error err = {0};

	assert_ok(ibb_read_file(path, 1u << 20, ret, &err), err);
}

static void save(const char *path, const uint8_t *p, size_t n)
{
	FILE *o = fopen(path, "wb");

	assert_non_null(o);
	assert_int_equal(fwrite(p, 1, n, o), n);
	assert_int_equal(fclose(o), 0);
}

static int check(const char *path, const char *dir, struct ibb_bundle *b, struct ibb_error *err)
{
	return ibb_bundle_read(path, NULL, 0, dir, b, err);
}

/* ---- what it is ---- */

static void assert_file(const struct fixture *f, const char *path, struct ibb_bytes want)
{
	IBB_AUTO_BUF struct ibb_buf got = {0};
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", f->out, path);
	load(full, &got);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.len ? (void *)got.data : (void *)"", want.data, want.len);
}

static void test_round(void **state)
{
	const struct fixture *f = *state;
	struct ibb_bundle b = {0};
	struct ibb_error err = {0};
	char hex[65];

	write_small(f->path, true);
	assert_int_equal(mkdir(f->out, 0700), 0);
	assert_ok(check(f->path, f->out, &b, &err), err);
	assert_true(b.is_signed);
	assert_false(b.key_known);
	ibb_hex(b.key.b, sizeof(b.key.b), hex);
	assert_string_equal(hex, KEY);
	assert_int_equal(b.n_files, 4);
	assert_string_equal(ibb_json_str(b.doc, "note"), "small");
	ibb_bundle_clear(&b);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(small); i++)
		assert_file(f, small[i].path, small[i].bytes);
}

/* The same content in another order: the same bytes. */
static void test_deterministic(void **state)
{
	const struct fixture *f = *state;
	IBB_AUTO_BUF struct ibb_buf a = {0}, b = {0};
	struct ibb_bundle_file other[IBB_ARRAY_SIZE(small)];
	struct ibb_error err = {0};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(small); i++)
		other[i] = small[IBB_ARRAY_SIZE(small) - 1 - i];
	write_small(f->path, true);
	assert_ok(write_files(f->bad, other, IBB_ARRAY_SIZE(other), true, &err), err);
	load(f->path, &a);
	load(f->bad, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
}

/* Other people's tar reads it, and there is nothing but files in it. */
static void test_tar(void **state)
{
	const struct fixture *f = *state;
	char cmd[512], line[600];
	size_t n = 0;
	FILE *p;

	write_small(f->path, false);
	snprintf(cmd, sizeof(cmd), "tar -tvf %s --numeric-owner --full-time 2>&1", f->path);
	p = popen(cmd, "r");
	assert_non_null(p);
	while (fgets(line, sizeof(line), p)) {
		assert_memory_equal(line, "-rw-r--r-- 0/0 ", 15);
		assert_non_null(strstr(line, "1970-01-01 0"));
		n++;
	}
	if (pclose(p) == 127 << 8)
		skip();
	assert_int_equal(n, 2 + IBB_ARRAY_SIZE(small));
}

static void test_keys(void **state)
{
	const struct fixture *f = *state;
	struct ibb_public_key right, wrong = {{1}};
	struct ibb_bundle b = {0};
	struct ibb_error err = {0};

	assert_ok(ibb_sign_public_key("k", text(secret), &right, &err), err);
	const struct ibb_public_key both[] = {wrong, right};

	write_small(f->path, true);
	assert_ok(ibb_bundle_read(f->path, both, 2, NULL, &b, &err), err);
	assert_true(b.is_signed && b.key_known);
	ibb_bundle_clear(&b);
	assert_fails(ibb_bundle_read(f->path, &wrong, 1, NULL, &b, &err), IBB_E_UNTRUSTED, err,
		     "signed by " KEY ", which is none of the keys given");
	write_small(f->path, false);
	assert_fails(ibb_bundle_read(f->path, &right, 1, NULL, &b, &err), IBB_E_UNTRUSTED, err,
		     "not signed, and a key was given");
	assert_ok(check(f->path, NULL, &b, &err), err);
	assert_false(b.is_signed);
	ibb_bundle_clear(&b);
}

/* ---- what it is not ---- */

/* The signature is over a line of its own and the text, not over the text alone. */
static void test_domain(void **state)
{
	const struct fixture *f = *state;
	IBB_AUTO_BUF struct ibb_buf b = {0};
	uint8_t signature[IBB_SIGNATURE_SIZE], *at;
	struct ibb_public_key key;
	struct ibb_bundle ret = {0};
	struct ibb_error err = {0};
	uint64_t n = 0;
	char name[257], hex[129];

	write_small(f->path, true);
	load(f->path, &b);
	assert_true(ibb_bundle_header_parse(b.data, name, &n));
	assert_ok(ibb_sign("k", text(secret), (struct ibb_bytes){b.data + 512, n}, signature, &key,
			   &err),
		  err);
	ibb_hex(signature, sizeof(signature), hex);
	at = memmem(b.data, b.len, "\"signature\": \"", 14);
	assert_non_null(at);
	memcpy(at + 14, hex, 128);
	save(f->bad, b.data, b.len);
	assert_fails(check(f->bad, NULL, &ret, &err), IBB_E_UNTRUSTED, err, "the signature is not");
}

/* Whichever byte is changed, however: it is noticed. */
static void mutate(const struct fixture *f, bool sign, unsigned seed, unsigned rounds)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	IBB_AUTO_FD int fd = -1;

	write_small(f->path, sign);
	load(f->path, &b);
	save(f->bad, b.data, b.len);
	fd = open(f->bad, O_WRONLY);
	assert_true(fd >= 0);
	srandom(seed);
	for (unsigned i = 0; i < rounds; i++) {
		/* the first ones go through the archive, the others anywhere */
		size_t at = i < rounds / 2 ? b.len * i / (rounds / 2) : (size_t)random() % b.len;
		uint8_t old = b.data[at];
		struct ibb_bundle ret = {0};
		struct ibb_error err = {0};
		int r;

		b.data[at] ^= (uint8_t)(1 + random() % 255);
		assert_int_equal(pwrite(fd, &b.data[at], 1, (off_t)at), 1);
		r = check(f->bad, NULL, &ret, &err);
		if (r != IBB_E_CORRUPT && r != IBB_E_UNTRUSTED && r != IBB_E_LIMIT)
			fail_msg("byte %zu of %zu changed from %u to %u: %d %s", at, b.len, old,
				 b.data[at], r, err.msg);
		assert_memory_equal(err.msg, f->bad, strlen(f->bad));
		b.data[at] = old;
		assert_int_equal(pwrite(fd, &old, 1, (off_t)at), 1);
	}
}

static void test_mutations(void **state)
{
	mutate(*state, false, 1, 1000);
	mutate(*state, true, 2, 1000);
}

static void test_cut(void **state)
{
	const struct fixture *f = *state;
	IBB_AUTO_BUF struct ibb_buf b = {0};
	struct ibb_bundle ret = {0};
	struct ibb_error err = {0};

	write_small(f->path, true);
	load(f->path, &b);
	for (size_t n = 0; n < b.len; n += 97) {
		save(f->bad, b.data, n);
		assert_fails(check(f->bad, NULL, &ret, &err), IBB_E_CORRUPT, err, "truncated");
	}
	assert_int_equal(ibb_buf_append_zero(&b, 512), IBB_OK);
	save(f->bad, b.data, b.len);
	assert_fails(check(f->bad, NULL, &ret, &err), IBB_E_CORRUPT, err, "behind the end");
	save(f->bad, (const uint8_t *)"MZ", 2);
	assert_fails(check(f->bad, NULL, &ret, &err), IBB_E_CORRUPT, err, "truncated");
	assert_fails(check(f->dir, NULL, &ret, &err), IBB_E_UNSUPPORTED, err, "not a file");
	assert_fails(check("/nowhere/x", NULL, &ret, &err), IBB_E_UNSUPPORTED, err,
		     "/nowhere/x: there is no such file");
}

/* An archive as somebody else could make it, from parts that are right in themselves. */
struct member {
	const char *path;
	const char *text;
	uint8_t type; /* 0: a file */
	unsigned mode, time;
};

static void fix_sum(uint8_t *h)
{
	unsigned sum = 0;
	char digits[8];

	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += h[i];
	snprintf(digits, sizeof(digits), "%06o", sum & 0777777);
	memcpy(h + 148, digits, 7);
}

static void forge(const char *path, const struct member *m, size_t n)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	struct ibb_error err = {0};

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(m[i].text);
		uint8_t h[512];

		assert_ok(ibb_bundle_header(m[i].path, len, h, &err), err);
		if (m[i].type)
			h[156] = m[i].type;
		if (m[i].mode)
			snprintf((char *)h + 100, 8, "%07o", m[i].mode & 07777);
		if (m[i].time)
			snprintf((char *)h + 136, 12, "%011o", m[i].time & 07777);
		fix_sum(h);
		assert_int_equal(ibb_buf_append(&b, h, sizeof(h)), IBB_OK);
		assert_int_equal(ibb_buf_append(&b, m[i].text, len), IBB_OK);
		assert_int_equal(ibb_buf_append_zero(&b, ibb_bundle_padding(len)), IBB_OK);
	}
	assert_int_equal(ibb_buf_append_zero(&b, IBB_BUNDLE_END), IBB_OK);
	save(path, b.data, b.len);
}

/* bundle.json with this list, its right bundle.sig, and these files. */
static int forged(const struct fixture *f, const char *json, const struct member *files, size_t n,
		  struct ibb_error *err)
{
	struct member m[8] = {{.path = "bundle.json", .text = json}, {.path = "bundle.sig"}};
	struct ibb_bundle_signature s = {.is_signed = false};
	IBB_AUTO_BUF struct ibb_buf sig = {0};
	struct ibb_bundle b = {0};
	int r;

	assert_int_equal(ibb_sha256(json, strlen(json), &s.about), IBB_OK);
	assert_int_equal(ibb_bundle_sig_print(&s, &sig), IBB_OK);
	m[1].text = ibb_buf_cstr(&sig);
	memcpy(m + 2, files, n * sizeof(*files));
	forge(f->bad, m, n + 2);
	(void)!mkdir(f->out, 0700);
	r = check(f->bad, f->out, &b, err);
	ibb_bundle_clear(&b);
	return r;
}

#define LIST(files) "{\"schema\": \"ibbake-bundle/1\", \"files\": [" files "]}"
/* SHA-256 of "x", FIPS 180-4 */
#define X	     "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
#define FILE_X(path) "{\"path\": \"" path "\", \"bytes\": \"1\", \"sha256\": \"" X "\"}"

static void test_forged(void **state)
{
	static const struct {
		const char *json;
		struct member files[3];
		size_t n;
		int code;
		const char *says;
	} cases[] = {
		{LIST(FILE_X("a")), {{.path = "a", .text = "x"}}, 1, IBB_OK, ""},
		{LIST(FILE_X("a")),
		 {{.path = "a", .text = "y"}},
		 1,
		 IBB_E_UNTRUSTED,
		 "a is not the file that bundle.json names"},
		{LIST(FILE_X("a")),
		 {{.path = "a", .text = "xx"}},
		 1,
		 IBB_E_CORRUPT,
		 "a has 2 bytes, bundle.json says 1"},
		{LIST(FILE_X("a")),
		 {{.path = "b", .text = "x"}},
		 1,
		 IBB_E_CORRUPT,
		 "'b' where 'a' has to be"},
		{LIST(FILE_X("a")),
		 {{.path = "a", .text = "x", .type = '2'}},
		 1,
		 IBB_E_CORRUPT,
		 "header that ibbake would not write"},
		{LIST(FILE_X("a")),
		 {{.path = "a", .text = "x", .type = '1'}},
		 1,
		 IBB_E_CORRUPT,
		 "header that ibbake would not write"},
		{LIST(FILE_X("a")),
		 {{.path = "a", .text = "x", .mode = 0755}},
		 1,
		 IBB_E_CORRUPT,
		 "header that ibbake would not write"},
		{LIST(FILE_X("a")),
		 {{.path = "a", .text = "x", .time = 1}},
		 1,
		 IBB_E_CORRUPT,
		 "header that ibbake would not write"},
		{LIST(FILE_X("a") "," FILE_X("b")),
		 {{.path = "b", .text = "x"}, {.path = "a", .text = "x"}},
		 2,
		 IBB_E_CORRUPT,
		 "'b' where 'a' has to be"},
		{LIST(FILE_X("b") "," FILE_X("a")),
		 {{.path = "b", .text = "x"}, {.path = "a", .text = "x"}},
		 2,
		 IBB_E_CORRUPT,
		 "'a' is not behind 'b'"},
		{LIST(FILE_X("a") "," FILE_X("a")),
		 {{.path = "a", .text = "x"}, {.path = "a", .text = "x"}},
		 2,
		 IBB_E_CORRUPT,
		 "'a' is not behind 'a'"},
		{LIST(FILE_X("A") "," FILE_X("a")),
		 {{.path = "A", .text = "x"}, {.path = "a", .text = "x"}},
		 2,
		 IBB_E_CORRUPT,
		 "two files of one name"},
		{LIST(FILE_X("a") "," FILE_X("a-") "," FILE_X("a/b")),
		 {{.path = "a", .text = "x"},
		  {.path = "a-", .text = "x"},
		  {.path = "a/b", .text = "x"}},
		 3,
		 IBB_E_CORRUPT,
		 "'a' is a file, and 'a/b' lies in it"},
		{LIST(FILE_X("a")),
		 {{.path = "a", .text = "x"}, {.path = "b", .text = "x"}},
		 2,
		 IBB_E_CORRUPT,
		 "padding that is not zero"},
		{LIST(""), {{.path = "a", .text = "x"}}, 1, IBB_E_CORRUPT, "padding that is not"},
		{LIST(FILE_X("../a")),
		 {{.path = "../a", .text = "x"}},
		 1,
		 IBB_E_CORRUPT,
		 "may not be in a bundle"},
		{LIST(FILE_X("/a")),
		 {{.path = "/a", .text = "x"}},
		 1,
		 IBB_E_CORRUPT,
		 "may not be in a bundle"},
		{LIST(FILE_X("a//b")),
		 {{.path = "a//b", .text = "x"}},
		 1,
		 IBB_E_CORRUPT,
		 "may not be in a bundle"},
		{LIST(FILE_X("a\\\\b")),
		 {{.path = "a\\b", .text = "x"}},
		 1,
		 IBB_E_CORRUPT,
		 "may not be in a bundle"},
		{LIST(FILE_X("nul.txt")),
		 {{.path = "nul.txt", .text = "x"}},
		 1,
		 IBB_E_CORRUPT,
		 "may not be in a bundle"},
		{LIST(FILE_X("Bundle.json")),
		 {{.path = "Bundle.json", .text = "x"}},
		 1,
		 IBB_E_CORRUPT,
		 "may not be in a bundle"},
		{LIST(FILE_X("bundle.sig/a")),
		 {{.path = "bundle.sig/a", .text = "x"}},
		 1,
		 IBB_E_CORRUPT,
		 "is a file, and"},
		{LIST("{\"path\": \"a\", \"bytes\": \"01\", \"sha256\": \"" X "\"}"),
		 {{0}},
		 0,
		 IBB_E_CORRUPT,
		 "lacks"},
		{LIST("{\"path\": \"a\", \"bytes\": \"99999999999999999999\", \"sha256\": \"" X
		      "\"}"),
		 {{0}},
		 0,
		 IBB_E_CORRUPT,
		 "lacks"},
		{"{\"schema\": \"ibbake-bundle/2\", \"files\": []}",
		 {{0}},
		 0,
		 IBB_E_CORRUPT,
		 "not of schema ibbake-bundle/1"},
		{"{\"schema\": \"ibbake-bundle/1\"}", {{0}}, 0, IBB_E_CORRUPT, "no \"files\""},
		{"{\"schema\": \"ibbake-bundle/1\", \"files\": []} x",
		 {{0}},
		 0,
		 IBB_E_CORRUPT,
		 "bundle.json"},
	};
	const struct fixture *f = *state;

	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_error err = {0}, clean = {0};
		int r = forged(f, cases[i].json, cases[i].files, cases[i].n, &err);

		if (r != cases[i].code || !strstr(err.msg, cases[i].says))
			fail_msg("case %zu (%s): %d %s, wanted %d '%s'", i, cases[i].json, r,
				 err.msg, cases[i].code, cases[i].says);
		assert_int_equal(ibb_remove_tree(f->out, &clean), IBB_OK);
	}
}

/* ---- what is not written ---- */

static void test_refused_to_write(void **state)
{
	static const struct {
		const char *a, *b;
		int code;
		const char *says;
	} cases[] = {
		{"../x", NULL, IBB_E_UNSUPPORTED, "may not be in a bundle"},
		{"/x", NULL, IBB_E_UNSUPPORTED, "'/x' would be 'x'"},
		{"x/", NULL, IBB_E_UNSUPPORTED, "'x/' would be 'x'"},
		{"con", NULL, IBB_E_UNSUPPORTED, "may not be in a bundle"},
		{"bundle.json", NULL, IBB_E_UNSUPPORTED, "may not be in a bundle"},
		{"a", "A", IBB_E_CONFLICT, "two files of one name"},
		{"a", "a", IBB_E_CONFLICT, "two files of one name"},
		{"a/b", "A", IBB_E_CONFLICT, "'a' is a file, and 'a/b' lies in it"},
		{"a234567890a234567890a234567890a234567890a234567890a234567890a234567890a234567890"
		 "a234567890a234567890a",
		 NULL, IBB_E_UNSUPPORTED, "too long"},
	};
	const struct fixture *f = *state;

	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		const struct ibb_bundle_file files[] = {{cases[i].a, text("x")},
							{cases[i].b, text("x")}};
		struct ibb_error err = {0};

		assert_fails(write_files(f->path, files, cases[i].b ? 2 : 1, false, &err),
			     cases[i].code, err, cases[i].says);
		assert_int_not_equal(access(f->path, F_OK), 0);
	}
}

/* Without memory: an error, and no file. */
static void test_no_memory(void **state)
{
	const struct fixture *f = *state;
	struct ibb_json *doc = about(IBB_BUNDLE_SCHEMA);
	int r = IBB_E_NOMEM;

	for (long i = 0; r; i++) {
		struct ibb_error err = {0};

		assert_int_not_equal(access(f->path, F_OK), 0);
		ibb_mem_fail_at(i, false);
		r = ibb_bundle_write(f->path, false, doc, small, IBB_ARRAY_SIZE(small), "key.pem",
				     text(secret), &err);
		ibb_mem_fail_at(-1, false);
		assert_true(!r || r == IBB_E_NOMEM);
		assert_true(i < 10000);
	}
	ibb_json_free(doc);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_round),	   T(test_deterministic), T(test_tar),
		T(test_keys),	   T(test_domain),	  T(test_mutations),
		T(test_cut),	   T(test_forged),	  T(test_refused_to_write),
		T(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
