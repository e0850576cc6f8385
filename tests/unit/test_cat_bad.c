/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists that are damaged, that contradict themselves, or that are no list. */
#include "test_cat.h"

#include "authenticode/der.h"
#include "base/limits.h"

#define INF "[Version]\r\n"
#define TXT "something else"

static const struct mkcat_member members[] = {
	{"demo.inf", {(const uint8_t *)INF, sizeof(INF) - 1}},
	{"demo.txt", {(const uint8_t *)TXT, sizeof(TXT) - 1}},
};

static struct ibb_buf make(const struct mkcat_opts *with)
{
	struct mkcat_opts o = *with;
	struct ibb_buf ctl = {0};
	struct ibb_error err = {0};

	if (!o.members) {
		o.members = members;
		o.n_members = 2;
	}
	assert_ok(mkctl(&o, &ctl, &err), err);
	return ctl;
}

static void refused(const struct ibb_buf *ctl, int code, const char *why)
{
	struct ibb_cat *c = NULL;
	struct ibb_error err = {0};

	assert_fails(ibb_cat_parse("x.cat", ibb_buf_bytes(ctl), &c, &err), code, err, why);
	assert_int_equal(strncmp(err.msg, "x.cat: ", 7), 0);
	assert_null(strchr(err.msg, '\n'));
	assert_null(c);
}

static uint8_t *where(const struct ibb_buf *b, const void *p, size_t n)
{
	uint8_t *at = memmem(b->data, b->len, p, n);

	assert_non_null(at);
	return at;
}

/* Whatever a list says, the reader gives back what is in order. */
static void check_order(const struct ibb_cat *c)
{
	for (size_t i = 0; i < c->n_members; i++) {
		const struct ibb_cat_member *m = &c->members[i];

		assert_true(m->digest_bytes == 20 || m->digest_bytes == 32);
		if (i && m[-1].digest_bytes == m->digest_bytes)
			assert_true(memcmp(m[-1].digest, m->digest, m->digest_bytes) <= 0);
		if (m->digest_bytes == ibb_alg_bytes(c->alg))
			assert_non_null(ibb_cat_find(c, m->digest, m->digest_bytes));
	}
	for (size_t i = 0; i < c->n_attrs; i++)
		assert_non_null(ibb_cat_attr(c, c->attrs[i].name));
}

static void truncated(void **state)
{
	(void)state;
	for (unsigned version = 1; version <= 2; version++) {
		struct ibb_buf ctl =
			make(&(struct mkcat_opts){.version = version, .bare_sha1 = true});

		for (size_t n = 0; n < ctl.len; n++) {
			struct ibb_cat *c = NULL;
			struct ibb_error err = {0};
			uint8_t *copy = ibb_memdup(ctl.data, n); /* ends where it ends */

			assert_fails(ibb_cat_parse("x.cat", (struct ibb_bytes){copy, n}, &c, &err),
				     IBB_E_CORRUPT, err, "x.cat: ");
			free(copy);
		}
		assert_int_equal(ibb_buf_append(&ctl, "x", 1), 0);
		refused(&ctl, IBB_E_CORRUPT, "something follows at 0x");
		ibb_buf_clear(&ctl);
	}
}

/* Every single bit. What is accepted has to be in order; what is not has a reason. */
static void flipped(void **state)
{
	(void)state;
	for (unsigned version = 1; version <= 2; version++) {
		struct ibb_buf ctl =
			make(&(struct mkcat_opts){.version = version, .bare_sha1 = true});
		unsigned accepted = 0;

		for (size_t bit = 0; bit < ctl.len * 8; bit++) {
			struct ibb_cat *c = NULL;
			struct ibb_error err = {0};
			int r;

			ctl.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			r = ibb_cat_parse("x.cat", ibb_buf_bytes(&ctl), &c, &err);
			ctl.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (!r) {
				check_order(c);
				accepted++;
			} else {
				assert_true(r == IBB_E_CORRUPT || r == IBB_E_UNSUPPORTED);
				assert_int_equal(strncmp(err.msg, "x.cat: ", 7), 0);
			}
			ibb_cat_free(c);
		}
		assert_true(accepted > 0); /* a letter in a name, say */
		ibb_buf_clear(&ctl);
	}
}

/* What the indirect data says is not what the tag says. */
static void contradictions(void **state)
{
	struct ibb_buf ctl = make(&(struct mkcat_opts){0});
	struct ibb_sha256 d;
	uint8_t *tag, *indirect;
	bool pe;

	(void)state;
	assert_int_equal(mkcat_digest(members[0].bytes, &d, &pe), 0);
	tag = where(&ctl, d.b, 32);
	indirect = memmem(tag + 1, (size_t)(ctl.data + ctl.len - tag - 1), d.b, 32);
	assert_non_null(indirect);
	tag[31] ^= 1;
	refused(&ctl, IBB_E_CORRUPT, "its tag is not the digest of its indirect data");
	tag[31] ^= 1;
	indirect[0] ^= 0x80;
	refused(&ctl, IBB_E_CORRUPT, "its tag is not the digest of its indirect data");
	indirect[0] ^= 0x80;
	/* SHA-1 by its algorithm, and 32 bytes: the OID is shorter, so patch in another one */
	where(&ctl, IBB_OID_SHA256, 9)[8] = 2; /* SHA-384 */
	refused(&ctl, IBB_E_UNSUPPORTED, "neither SHA-1 nor SHA-256");
	ibb_buf_clear(&ctl);

	/* a flat file that its member info takes for a PE image */
	ctl = make(&(struct mkcat_opts){0});
	where(&ctl, "\x31\x02\x82\x00", 4)[2] = 0x80;
	refused(&ctl, IBB_E_CORRUPT, "different kinds of file");
	ibb_buf_clear(&ctl);
	ctl = make(&(struct mkcat_opts){.version = 1});
	memcpy(where(&ctl, "\0{\0D\0E\0003\0005\0001\0A\0004\0002", 18),
	       "\0{\0C\0006\0008\0009\0A\0A\0B\0008", 18);
	memcpy(where(&ctl, "\0005\0009\0-", 6), "\0007\0008\0-", 6);
	refused(&ctl, IBB_E_CORRUPT, "different kinds of file");
	ibb_buf_clear(&ctl);
}

static void tags(void **state)
{
	struct ibb_buf ctl = make(&(struct mkcat_opts){.version = 1});
	uint8_t *tag = where(&ctl, "\x04\x52", 2) + 2; /* OCTET STRING of 82 bytes */

	(void)state;
	tag[0] = 'G';
	refused(&ctl, IBB_E_CORRUPT, "its tag is no SHA-1");
	tag[0] = '0';
	tag[1] = 1;
	refused(&ctl, IBB_E_CORRUPT, "its tag is no SHA-1");
	tag[1] = 0;
	tag[80] = '0';
	refused(&ctl, IBB_E_CORRUPT, "its tag is no SHA-1");
	ibb_buf_clear(&ctl);

	/* binary tags in a catalog of version 1 and the other way round */
	ctl = make(&(struct mkcat_opts){0});
	where(&ctl, IBB_OID_MS("\x0c\x01\x03"), 10)[9] = 2;
	refused(&ctl, IBB_E_CORRUPT, "its tag is no SHA-1");
	where(&ctl, IBB_OID_MS("\x0c\x01\x02"), 10)[9] = 4;
	refused(&ctl, IBB_E_UNSUPPORTED, "neither a catalog of version 1 nor of version 2");
	ibb_buf_clear(&ctl);
	ctl = make(&(struct mkcat_opts){.version = 1});
	where(&ctl, IBB_OID_MS("\x0c\x01\x02"), 10)[9] = 3;
	refused(&ctl, IBB_E_CORRUPT, "its tag is neither SHA-1 nor SHA-256");
	ibb_buf_clear(&ctl);
}

static void duplicates(void **state)
{
	static const struct mkcat_member twice[] = {
		{"a.inf", {(const uint8_t *)INF, sizeof(INF) - 1}},
		{"b.inf", {(const uint8_t *)INF, sizeof(INF) - 1}},
	};
	static const struct mkcat_attr os_attr = {"osATTR", "2:10.0", 0}, file = {"File", "x", 0};
	struct ibb_buf ctl = make(&(struct mkcat_opts){.members = twice, .n_members = 2});

	(void)state;
	memcpy(where(&ctl, "2\0:\0001\0000\0.\0", 10), "2\0:\0001\0001\0.\0", 10);
	refused(&ctl, IBB_E_CORRUPT, "is listed twice, and not in the same way");
	ibb_buf_clear(&ctl);
	ctl = make(&(struct mkcat_opts){.member_attrs = &os_attr, .n_member_attrs = 1});
	refused(&ctl, IBB_E_CORRUPT, "two attributes have the same name");
	ibb_buf_clear(&ctl);
	ctl = make(&(struct mkcat_opts){.member_attrs = &file, .n_member_attrs = 1});
	refused(&ctl, IBB_E_CORRUPT, "two attributes have the same name");
	ibb_buf_clear(&ctl);
}

static void attribute_is(const struct mkcat_attr *a, int code, const char *why)
{
	struct ibb_buf ctl = make(&(struct mkcat_opts){.attrs = a, .n_attrs = 1});

	refused(&ctl, code, why);
	ibb_buf_clear(&ctl);
}

static void text(void **state)
{
	static char too_long[IBB_LIMIT_CAT_TEXT_CHARS + 2];
	static const struct mkcat_attr no_text = {"OSAttr", "2:10.0", 0x10020001};
	struct ibb_buf ctl;
	uint8_t *v;

	(void)state;
	memset(too_long, 'x', sizeof(too_long) - 1);
	attribute_is(&(struct mkcat_attr){"two\nlines", "v", 0}, IBB_E_CORRUPT,
		     "an attribute is damaged: text with a control character");
	attribute_is(&(struct mkcat_attr){"n", "\x1b[2J", 0}, IBB_E_CORRUPT, "a control character");
	attribute_is(&(struct mkcat_attr){"n", "\x7f", 0}, IBB_E_CORRUPT, "a control character");
	attribute_is(&(struct mkcat_attr){"n", too_long, 0}, IBB_E_CORRUPT, "too long");
	attribute_is(&(struct mkcat_attr){too_long, "v", 0}, IBB_E_CORRUPT, "too long");

	ctl = make(&(struct mkcat_opts){.submission = "1234"});
	v = where(&ctl, "1\0002\0003\0", 6);
	v[2] = 0; /* what follows would be seen by some readers only */
	refused(&ctl, IBB_E_CORRUPT, "text with a control character");
	v[2] = '2';
	v[-1]--; /* half a character */
	refused(&ctl, IBB_E_CORRUPT, "x.cat: ");
	ibb_buf_clear(&ctl);

	ctl = make(&(struct mkcat_opts){
		.os_attr = "x", .member_attrs = &no_text, .n_member_attrs = 1});
	refused(&ctl, IBB_E_CORRUPT, "same name");
	ibb_buf_clear(&ctl);
}

/* A list with one piece of the caller's in the place of its extensions. */
static struct ibb_buf with_extensions(const void *p, size_t n)
{
	struct mkder d = {0};

	mkder_open(&d, MKDER_SEQUENCE);
	mkder_open(&d, MKDER_SEQUENCE);
	mkder_oid(&d, "1.3.6.1.4.1.311.12.1.1");
	mkder_close(&d);
	mkder_primitive(&d, MKDER_UTC_TIME, "260101000000Z", 13);
	mkder_algorithm(&d, "1.3.6.1.4.1.311.12.1.3");
	mkder_open(&d, MKDER_CONTEXT(0));
	mkder_primitive(&d, MKDER_SEQUENCE, p, n);
	mkder_close(&d);
	mkder_close(&d);
	assert_false(d.failed);
	return d.b;
}

#define WITH(bytes, code, why)                                                   \
	do {                                                                     \
		struct ibb_buf b_ = with_extensions((bytes), sizeof(bytes) - 1); \
		refused(&b_, (code), (why));                                     \
		ibb_buf_clear(&b_);                                              \
	} while (0)

static void extensions(void **state)
{
	struct ibb_buf ok = with_extensions("\x30\x08\x06\x01\x2a\x01\x01\x00\x04\x00", 10);
	struct ibb_error err = {0};
	struct ibb_cat *c = NULL;

	(void)state;
	assert_ok(ibb_cat_parse("x.cat", ibb_buf_bytes(&ok), &c, &err), err);
	assert_int_equal(c->n_attrs, 0);
	ibb_cat_free(c);
	ibb_buf_clear(&ok);
	WITH("\x30\x08\x06\x01\x2a\x01\x01\xff\x04\x00", IBB_E_UNSUPPORTED,
	     "an unknown extension that is critical at 0x");
	WITH("\x30\x03\x06\x01\x2a", IBB_E_CORRUPT, "an extension is missing at 0x");
	WITH("\x31\x00", IBB_E_CORRUPT, "an extension is missing at 0x33 (tag 0x31, not 0x30)");
	WITH("\x30\x07\x06\x01\x2a\x04\x00\x05\x00", IBB_E_CORRUPT, "something follows");
}

/* The forms that BER has and DER has not. */
static void not_der(void **state)
{
	(void)state;
	WITH("\x30\x80\x00\x00", IBB_E_CORRUPT, "a length that is not definite");
	WITH("\x3f\x81\x00\x00", IBB_E_CORRUPT, "a tag of more than one byte");
	WITH("\x30\x81\x05\x06\x01\x2a\x04\x00", IBB_E_CORRUPT, "not in its shortest form");
	WITH("\x30\x82\x00\x80", IBB_E_CORRUPT, "not in its shortest form");
	WITH("\x30\x85\x00\x00\x00\x00\x00", IBB_E_CORRUPT, "an impossible length");
	WITH("\x30\xff\x00\x00\x00\x00\x00", IBB_E_CORRUPT, "an impossible length");
	WITH("\x30\x84\xff\xff\xff\xff", IBB_E_CORRUPT, "longer than what it lies in");
	WITH("\x30", IBB_E_CORRUPT, "it is cut off");
	WITH("\x30\x82\x01", IBB_E_CORRUPT, "it is cut off");
}

static int enter_all(struct ibb_bytes b, unsigned *ret_depth, struct ibb_error *err)
{
	struct ibb_der d;
	int r = IBB_OK;

	ibb_der_init(&d, "deep", b);
	for (*ret_depth = 0; !r && ibb_der_more(&d); ++*ret_depth) {
		struct ibb_der in;

		r = ibb_der_enter(&d, IBB_DER_SEQUENCE, "it", &in, err);
		if (!r)
			d = in;
	}
	return r;
}

static void der(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int64_t value; /* -1: refused */
	} numbers[] = {
		{"\x02\x01\x00", 3, 0},
		{"\x02\x01\x7f", 3, 127},
		{"\x02\x02\x00\x80", 4, 128},
		{"\x02\x05\x00\xff\xff\xff\xff", 7, 0xffffffff},
		{"\x02\x04\x7f\xff\xff\xff", 6, 0x7fffffff},
		{"\x02\x00", 2, -1},
		{"\x02\x01\x80", 3, -1},
		{"\x02\x02\x00\x7f", 4, -1},
		{"\x02\x05\x01\x00\x00\x00\x00", 7, -1},
		{"\x02\x06\x00\x00\xff\xff\xff\xff", 8, -1},
	};
	static const char *const times[] = {"260230000000Z",
					    "261301000000Z",
					    "260101240000Z",
					    "260101006000Z",
					    "260101000060Z",
					    "26010100000Z",
					    "2601010000000",
					    "26010100000aZ",
					    "260001000000Z",
					    "-10101000000Z",
					    ""};
	struct mkder deep = {0};
	struct ibb_error err = {0};
	unsigned depth;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(numbers); i++) {
		struct ibb_der d;
		uint32_t v = 0x5a5a5a5a;
		struct ibb_bytes b = {(const uint8_t *)numbers[i].bytes, numbers[i].n};

		ibb_der_init(&d, "n", b);
		if (numbers[i].value < 0) {
			assert_fails(ibb_der_u32(&d, "it", &v, &err), IBB_E_CORRUPT, err,
				     "n: it is damaged: no number of 32 bits at 0x0");
			assert_int_equal(v, 0x5a5a5a5a);
			assert_int_equal(d.rest.len, b.len);
		} else {
			assert_ok(ibb_der_u32(&d, "it", &v, &err), err);
			assert_int_equal(v, numbers[i].value);
			assert_ok(ibb_der_end(&d, "it", &err), err);
		}
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(times); i++) {
		struct mkder t = {0};
		struct ibb_der d;
		int64_t v;

		mkder_primitive(&t, MKDER_UTC_TIME, times[i], strlen(times[i]));
		ibb_der_init(&d, "t", ibb_buf_bytes(&t.b));
		assert_fails(ibb_der_time(&d, "it", &v, &err), IBB_E_CORRUPT, err, "no time");
		ibb_buf_clear(&t.b);
	}
	for (unsigned i = 0; i < IBB_LIMIT_DER_DEPTH + 1; i++)
		mkder_open(&deep, MKDER_SEQUENCE);
	for (unsigned i = 0; i < IBB_LIMIT_DER_DEPTH + 1; i++)
		mkder_close(&deep);
	assert_fails(enter_all(ibb_buf_bytes(&deep.b), &depth, &err), IBB_E_CORRUPT, err,
		     "deep: elements are nested too deep at 0x");
	deep.b.data += 2;
	assert_ok(enter_all((struct ibb_bytes){deep.b.data, deep.b.len - 2}, &depth, &err), err);
	assert_int_equal(depth, IBB_LIMIT_DER_DEPTH);
	deep.b.data -= 2;
	ibb_buf_clear(&deep.b);
}

static void not_lists(void **state)
{
	static const char *const text[] = {"",
					   "x",
					   "MZ",
					   "\x30\x80",
					   "\x30\x84\xff\xff\xff\xff",
					   "[Version]\r\n",
					   "\x30\x02\x30"};
	struct ibb_buf ctl = make(&(struct mkcat_opts){.list_usage = "1.3.6.1.4.1.311.10.3.9"});
	static uint8_t big[IBB_LIMIT_CAT_BYTES + 1];
	struct ibb_buf too_big = {big, sizeof(big), sizeof(big)};

	(void)state;
	refused(&ctl, IBB_E_CORRUPT, "a certificate trust list, but not a list of files");
	ibb_buf_clear(&ctl);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(text); i++) {
		struct ibb_buf b = {(uint8_t *)(uintptr_t)text[i], strlen(text[i]), 0};

		refused(&b, IBB_E_CORRUPT, "the certificate trust list is");
	}
	refused(&too_big, IBB_E_LIMIT, "33554433 bytes are too many for a catalog");
}

static void bad_spc(void **state)
{
	static const uint8_t digest[32];
	enum ibb_digest_alg alg;
	struct ibb_error err = {0};
	struct mkder d = {0};
	uint8_t got[32];

	(void)state;
	mkctl_indirect(&d, digest, 32, false, false);
	assert_fails(ibb_spc_digest("x.sys", ibb_buf_bytes(&d.b), &alg, got, &err), IBB_E_CORRUPT,
		     err, "x.sys: the signature is not one of a PE image");
	d.b.len = 0;
	mkctl_indirect(&d, digest, 21, true, false);
	assert_fails(ibb_spc_digest("x.sys", ibb_buf_bytes(&d.b), &alg, got, &err), IBB_E_CORRUPT,
		     err, "has 21 bytes, its algorithm makes 32");
	d.b.len = 0;
	mkctl_indirect(&d, digest, 20, true, true);
	mkder_put(&d, "x", 1);
	assert_fails(ibb_spc_digest("x.sys", ibb_buf_bytes(&d.b), &alg, got, &err), IBB_E_CORRUPT,
		     err, "something follows");
	for (size_t n = 0; n + 1 < d.b.len; n++)
		assert_fails(
			ibb_spc_digest("x.sys", (struct ibb_bytes){d.b.data, n}, &alg, got, &err),
			IBB_E_CORRUPT, err, "x.sys: ");
	ibb_buf_clear(&d.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated),
		cmocka_unit_test(flipped),
		cmocka_unit_test(contradictions),
		cmocka_unit_test(tags),
		cmocka_unit_test(duplicates),
		cmocka_unit_test(text),
		cmocka_unit_test(extensions),
		cmocka_unit_test(not_der),
		cmocka_unit_test(der),
		cmocka_unit_test(not_lists),
		cmocka_unit_test(bad_spc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
