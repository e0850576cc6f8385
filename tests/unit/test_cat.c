/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Catalogs that are as they should be. */
#include "test_cat.h"

#define INF "[Version]\r\n"
#define TXT "something else"

static struct ibb_buf driver(const char *tag)
{
	struct ibb_buf b = {0};

	assert_int_equal(mkpe_driver(tag, &b), 0);
	return b;
}

static struct ibb_cat *make(const struct mkcat_opts *o)
{
	struct ibb_buf ctl = {0};
	struct ibb_error err = {0};
	struct ibb_cat *c = NULL;

	assert_ok(mkctl(o, &ctl, &err), err);
	assert_ok(ibb_cat_parse("demo.cat", ibb_buf_bytes(&ctl), &c, &err), err);
	ibb_buf_clear(&ctl);
	return c;
}

static const struct ibb_cat_member *find(const struct ibb_cat *c, const void *p, size_t n)
{
	struct ibb_error err = {0};
	uint8_t digest[32];

	assert_ok(ibb_file_digest("x", (struct ibb_bytes){p, n}, c->alg, digest, &err), err);
	return ibb_cat_find(c, digest, ibb_alg_bytes(c->alg));
}

static const char *const hwids[] = {"PCI\\VEN_15B3&DEV_101C", "PCI\\VEN_15B3&DEV_101E"};

/* All three members are found, with what is said of them; nothing else is. */
static void check_members(const struct ibb_cat *c, const struct ibb_buf *sys, const char *os_attr)
{
	const struct ibb_cat_member *m = find(c, INF, strlen(INF));

	assert_non_null(m);
	assert_string_equal(m->file, "demo.inf");
	assert_string_equal(m->os_attr, os_attr);
	assert_int_equal(m->subject, IBB_SUBJECT_FLAT);
	m = find(c, sys->data, sys->len);
	assert_non_null(m);
	assert_string_equal(m->file, "demo.sys");
	assert_int_equal(m->subject, IBB_SUBJECT_PE);
	m = find(c, TXT, strlen(TXT));
	assert_non_null(m);
	assert_string_equal(m->file, "d\xc3\xa9mo \xf0\x9f\x98\x80.txt");
	assert_null(find(c, "x", 1));
	assert_null(find(c, "", 0));
}

static struct mkcat_opts demo_opts(struct mkcat_member m[3], const struct ibb_buf *sys)
{
	m[0] = (struct mkcat_member){"demo.inf", {(const uint8_t *)INF, strlen(INF)}};
	m[1] = (struct mkcat_member){"demo.sys", ibb_buf_bytes(sys)};
	m[2] = (struct mkcat_member){"d\xc3\xa9mo \xf0\x9f\x98\x80.txt",
				     {(const uint8_t *)TXT, strlen(TXT)}};
	return (struct mkcat_opts){.members = m,
				   .n_members = 3,
				   .hwids = hwids,
				   .n_hwids = 2,
				   .submission = "1152921505697"};
}

static void version_2(void **state)
{
	struct ibb_buf sys = driver("version 2");
	struct mkcat_member m[3];
	struct mkcat_opts o = demo_opts(m, &sys);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct ibb_cat *c;

		o.bare_sha1 = i & 1;
		o.page_hashes = i & 2;
		c = make(&o);
		assert_int_equal(c->version, 2);
		assert_int_equal(c->alg, IBB_ALG_SHA256);
		assert_int_equal(c->created, 1767225600); /* 2026-01-01T00:00:00Z */
		assert_int_equal(c->n_members, i & 1 ? 6 : 3);
		check_members(c, &sys, "2:6.1,2:6.2,2:6.3,2:10.0");
		for (size_t k = 0; k < c->n_members; k++) {
			assert_int_equal(c->members[k].digest_bytes, i & 1 && k < 3 ? 20 : 32);
			if (c->members[k].digest_bytes == 20) {
				assert_int_equal(c->members[k].subject, IBB_SUBJECT_UNKNOWN);
				assert_null(ibb_cat_find(c, c->members[k].digest, 20));
			}
		}
		ibb_cat_free(c);
	}
	ibb_buf_clear(&sys);
}

static void version_1(void **state)
{
	struct ibb_buf sys = driver("version 1");
	struct mkcat_member m[3];
	struct mkcat_opts o = demo_opts(m, &sys);
	struct ibb_cat *c;

	(void)state;
	o.version = 1;
	o.os_attr = "2:6.1,2:6.2";
	c = make(&o);
	assert_int_equal(c->version, 1);
	assert_int_equal(c->alg, IBB_ALG_SHA1);
	assert_int_equal(c->n_members, 3);
	check_members(c, &sys, "2:6.1,2:6.2");
	for (size_t k = 0; k < 3; k++) {
		assert_int_equal(c->members[k].digest_bytes, 20);
		assert_ptr_equal(ibb_cat_find(c, c->members[k].digest, 20), &c->members[k]);
		assert_null(ibb_cat_find(c, c->members[k].digest, 32));
		if (k)
			assert_true(memcmp(c->members[k - 1].digest, c->members[k].digest, 20) < 0);
	}
	ibb_cat_free(c);
	ibb_buf_clear(&sys);
}

static void attributes(void **state)
{
	static const struct mkcat_attr further[] = {
		{"Universal", "True", 0},
		{"\xe5\x90\x8d\xe5\x89\x8d", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", 0},
		{"half", "a\xed\xa0\x80z", 0},	   /* a surrogate on its own stays one */
		{"Base64", "no text", 0x10020001}, /* not listed */
		{"empty", "", 0},
		{"OS", "a second one", 0},
	};
	struct ibb_buf sys = driver("attributes");
	struct mkcat_member m[3];
	struct mkcat_opts o = demo_opts(m, &sys);
	struct ibb_cat *c;

	(void)state;
	o.os = "_v100_X64_22H2,_v100_X64_24H2";
	o.attrs = further;
	o.n_attrs = IBB_ARRAY_SIZE(further);
	c = make(&o);
	assert_int_equal(c->n_attrs, 2 + 5 + 2);
	assert_string_equal(c->attrs[0].name, "OS");
	assert_string_equal(c->attrs[1].name, "Submission ID");
	assert_string_equal(c->attrs[8].name, "HWID2");
	assert_string_equal(c->attrs[8].value, "pci\\ven_15b3&dev_101e");
	assert_string_equal(ibb_cat_attr(c, "OS"), "_v100_X64_22H2,_v100_X64_24H2");
	assert_string_equal(ibb_cat_attr(c, "Submission ID"), "1152921505697");
	assert_string_equal(ibb_cat_attr(c, further[1].name), further[1].value);
	assert_string_equal(ibb_cat_attr(c, "half"), "a\xed\xa0\x80z");
	assert_string_equal(ibb_cat_attr(c, "empty"), "");
	assert_null(ibb_cat_attr(c, "Base64"));
	assert_null(ibb_cat_attr(c, "submission id"));
	ibb_cat_free(c);
	ibb_buf_clear(&sys);
}

/* Two files of the same content are one digest, found once. */
static void same_content(void **state)
{
	struct mkcat_member m[3] = {{"b.txt", {(const uint8_t *)TXT, strlen(TXT)}},
				    {"a.txt", {(const uint8_t *)TXT, strlen(TXT)}},
				    {"c.inf", {(const uint8_t *)INF, strlen(INF)}}};
	struct mkcat_opts o = {.members = m, .n_members = 3};
	struct ibb_cat *c = make(&o);
	const struct ibb_cat_member *found = find(c, TXT, strlen(TXT));

	(void)state;
	assert_int_equal(c->n_members, 3);
	assert_string_equal(found->file, "a.txt");
	assert_string_equal(found[1].file, "b.txt");
	ibb_cat_free(c);
}

static void no_members(void **state)
{
	struct mkcat_opts o = {0};
	struct ibb_cat *c = make(&o);

	(void)state;
	assert_int_equal(c->n_members, 0);
	assert_null(find(c, TXT, strlen(TXT)));
	ibb_cat_free(c);
	ibb_cat_free(NULL);
}

/* The smallest list there is, and every optional part of its head. */
static void heads(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 32; i++) {
		struct mkder d = {0};
		struct ibb_error err = {0};
		struct ibb_cat *c = NULL;

		mkder_open(&d, MKDER_SEQUENCE);
		if (i & 1)
			mkder_integer(&d, 0);
		mkder_open(&d, MKDER_SEQUENCE);
		mkder_oid(&d, "1.3.6.1.4.1.311.12.1.1");
		mkder_close(&d);
		if (i & 2)
			mkder_primitive(&d, MKDER_OCTETS, "id", 2);
		if (i & 4)
			mkder_integer(&d, 0x80000000);
		if (i & 8)
			mkder_primitive(&d, 0x18, "20510203040506Z", 15);
		else
			mkder_primitive(&d, MKDER_UTC_TIME, "700102030405Z", 13);
		if (i & 16)
			mkder_primitive(&d, 0x18, "20520203040506Z", 15);
		mkder_algorithm(&d, "1.3.6.1.4.1.311.12.1.2");
		mkder_close(&d);
		assert_false(d.failed);
		assert_ok(ibb_cat_parse("x.cat", ibb_buf_bytes(&d.b), &c, &err), err);
		assert_int_equal(c->version, 1);
		assert_int_equal(c->created, i & 8 ? 2559009906 : 97445);
		assert_int_equal(c->n_members + c->n_attrs, 0);
		ibb_cat_free(c);
		ibb_buf_clear(&d.b);
	}
}

/* What an embedded signature vouches for. */
static void spc_digests(void **state)
{
	static const uint8_t want[32] = {1, 2, 3, [19] = 4, [31] = 5};
	uint8_t got[32];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		enum ibb_digest_alg alg = IBB_ALG_SHA1;
		struct ibb_error err = {0};
		struct mkder d = {0};
		size_t n = i & 1 ? 32 : 20;

		mkctl_indirect(&d, want, n, true, i & 2);
		assert_false(d.failed);
		assert_ok(ibb_spc_digest("x.sys", ibb_buf_bytes(&d.b), &alg, got, &err), err);
		assert_int_equal(ibb_alg_bytes(alg), n);
		assert_memory_equal(got, want, n);
		ibb_buf_clear(&d.b);
	}
}

/* Each allocation fails once: no list comes out, nothing is lost, and it is said. */
static void allocations(void **state)
{
	struct ibb_buf sys = driver("allocations"), ctl = {0};
	struct mkcat_member m[3];
	struct mkcat_opts o = demo_opts(m, &sys);
	struct ibb_error err = {0};
	struct ibb_cat *c = NULL;
	long n;

	(void)state;
	assert_ok(mkctl(&o, &ctl, &err), err);
	(void)ibb_mem_count();
	assert_ok(ibb_cat_parse("x.cat", ibb_buf_bytes(&ctl), &c, &err), err);
	ibb_cat_free(c);
	n = ibb_mem_count();
	assert_true(n > 3);
	for (long i = 0; i < n; i++) {
		int r;

		c = NULL;
		ibb_mem_fail_at(i, false);
		r = ibb_cat_parse("x.cat", ibb_buf_bytes(&ctl), &c, &err);
		ibb_mem_fail_at(-1, false);
		assert_int_equal(r, IBB_E_NOMEM);
		assert_null(c);
	}
	ibb_buf_clear(&ctl);
	ibb_buf_clear(&sys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_2),   cmocka_unit_test(version_1),
		cmocka_unit_test(attributes),  cmocka_unit_test(same_content),
		cmocka_unit_test(no_members),  cmocka_unit_test(heads),
		cmocka_unit_test(spc_digests), cmocka_unit_test(allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
