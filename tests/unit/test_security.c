/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a new file inherits, as text and once as bytes; and descriptors that lie. */
#include "test.h"

#include "base/le.h"
#include "volume/security.h"

#define OI 1u
#define CI 2u
#define NP 4u
#define IO 8u
#define ID 16u

static const uint8_t SY[] = {1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
static const uint8_t BA[] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0};
static const uint8_t BU[] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x21, 2, 0, 0};
static const uint8_t CO[] = {1, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0};
static const uint8_t CG[] = {1, 1, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0};
static const uint8_t WD[] = {1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0};
/* NT SERVICE\TrustedInstaller */
static const uint8_t TI[] = {1,	   6,	 0,    0,    0,	   0,	 0,    5,    80,   0,	 0,
			     0,	   0xb5, 0x89, 0xfb, 0x38, 0x19, 0x84, 0xc2, 0xcb, 0x5c, 0x6c,
			     0x23, 0x6d, 0x57, 0x00, 0x77, 0x6e, 0xc0, 0x02, 0x64, 0x87};

struct sd {
	uint8_t b[4096];
	size_t len;
	size_t acl; /* offset */
};

static void sd_begin(struct sd *s, uint16_t control)
{
	memset(s, 0, sizeof(*s));
	s->b[0] = 1;
	ibb_put_le16(s->b + 2, control | 0x8004);
	s->acl = 20;
	ibb_put_le32(s->b + 16, 20);
	s->b[20] = 2;
	ibb_put_le16(s->b + 22, 8);
	s->len = 28;
}

static void sd_ace(struct sd *s, uint8_t type, unsigned flags, uint32_t mask, const void *sid,
		   size_t n)
{
	uint8_t *p = s->b + s->len;

	p[0] = type;
	p[1] = (uint8_t)flags;
	ibb_put_le16(p + 2, (uint16_t)(8 + n));
	ibb_put_le32(p + 4, mask);
	memcpy(p + 8, sid, n);
	s->len += 8 + n;
	ibb_put_le16(s->b + s->acl + 2, (uint16_t)(ibb_get_le16(s->b + s->acl + 2) + 8 + n));
	ibb_put_le16(s->b + s->acl + 4, (uint16_t)(ibb_get_le16(s->b + s->acl + 4) + 1));
}
#define ALLOW(s, flags, mask, sid) sd_ace(s, 0, flags, mask, sid, sizeof(sid))

static void sd_end(struct sd *s)
{
	ibb_put_le32(s->b + 4, (uint32_t)s->len);
	memcpy(s->b + s->len, TI, sizeof(TI));
	s->len += sizeof(TI);
	ibb_put_le32(s->b + 8, (uint32_t)s->len);
	memcpy(s->b + s->len, BA, sizeof(BA));
	s->len += sizeof(BA);
}

static void expect_text(const void *p, size_t n, const char *want)
{
	struct ibb_error err = {0};
	struct ibb_buf text = {0};

	assert_ok(ibb_security_text((struct ibb_bytes){p, n}, &text, &err), err);
	assert_non_null(ibb_buf_cstr(&text));
	assert_string_equal(ibb_buf_cstr(&text), want);
	ibb_buf_clear(&text);
}

static void expect_inherited(const struct sd *s, bool dir, const char *want)
{
	struct ibb_error err = {0};
	struct ibb_buf out = {0};

	assert_ok(ibb_security_inherit((struct ibb_bytes){s->b, s->len}, dir, &out, &err), err);
	expect_text(out.data, out.len, want);
	ibb_buf_clear(&out);
}

/* C:\Windows\System32 on Windows 10: TrustedInstaller, SYSTEM, Administrators, Users, creator. */
static void system32(struct sd *s)
{
	sd_begin(s, 0x1000);
	ALLOW(s, CI, 0x1f01ff, TI);
	ALLOW(s, 0, 0x1301bf, SY);
	ALLOW(s, OI | CI | IO, 0x10000000, SY);
	ALLOW(s, 0, 0x1301bf, BA);
	ALLOW(s, OI | CI | IO, 0x10000000, BA);
	ALLOW(s, 0, 0x1200a9, BU);
	ALLOW(s, OI | CI | IO, 0xa0000000, BU);
	ALLOW(s, OI | CI | IO, 0x10000000, CO);
	sd_end(s);
}

static void file_below_system32(void **state)
{
	struct sd s;

	(void)state;
	system32(&s);
	expect_text(s.b, s.len,
		    "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:BAD:P"
		    "(A;CI;FA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)"
		    "(A;;0x1301bf;;;SY)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;BA)(A;OICIIO;GA;;;BA)"
		    "(A;;0x1200a9;;;BU)(A;OICIIO;0xa0000000;;;BU)(A;OICIIO;GA;;;CO)");
	/* TrustedInstaller's ACE is for containers only; the creator is SYSTEM. */
	expect_inherited(&s, false,
			 "O:SYG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)"
			 "(A;ID;FA;;;SY)");
}

/* Generic rights and the creator are split into what is now and what is for the children. */
static void directory_below_system32(void **state)
{
	struct sd s;

	(void)state;
	system32(&s);
	expect_inherited(
		&s, true,
		"O:SYG:SYD:AI"
		"(A;CIID;FA;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)"
		"(A;ID;FA;;;SY)(A;OICIIOID;GA;;;SY)(A;ID;FA;;;BA)(A;OICIIOID;GA;;;BA)"
		"(A;ID;0x1200a9;;;BU)(A;OICIIOID;0xa0000000;;;BU)(A;ID;FA;;;SY)(A;OICIIOID;GA;;;"
		"CO)");
}

static void flags_one_by_one(void **state)
{
	struct sd s;

	(void)state;
	sd_begin(&s, 0);
	ALLOW(&s, OI, 0x1200a9, WD);
	ALLOW(&s, CI, 0x1200a9, BU);
	ALLOW(&s, OI | CI, 0x1200a9, BA);
	ALLOW(&s, OI | NP, 0x120089, WD);
	ALLOW(&s, CI | NP, 0x120089, BU);
	ALLOW(&s, OI | CI | NP, 0x120089, BA);
	ALLOW(&s, OI | CI | ID, 0x120116, SY);
	ALLOW(&s, 0, 0x1f01ff, SY);
	sd_ace(&s, 1, OI | CI, 0x10000, WD, sizeof(WD));
	sd_end(&s);
	expect_inherited(&s, false,
			 "O:SYG:SYD:AI(A;ID;0x1200a9;;;WD)(A;ID;0x1200a9;;;BA)(A;ID;FR;;;WD)"
			 "(A;ID;FR;;;BA)(A;ID;FW;;;SY)(D;ID;0x10000;;;WD)");
	expect_inherited(&s, true,
			 "O:SYG:SYD:AI(A;OIIOID;0x1200a9;;;WD)(A;CIID;0x1200a9;;;BU)"
			 "(A;OICIID;0x1200a9;;;BA)(A;ID;FR;;;BU)(A;ID;FR;;;BA)(A;OICIID;FW;;;SY)"
			 "(D;OICIID;0x10000;;;WD)");
}

static void generic_mapping(void **state)
{
	struct sd s;

	(void)state;
	sd_begin(&s, 0);
	ALLOW(&s, OI, 0x80000000, WD);
	ALLOW(&s, OI, 0x40000000, WD);
	ALLOW(&s, OI, 0x20000000, WD);
	ALLOW(&s, OI, 0x10000000, WD);
	ALLOW(&s, OI, 0x80010000, CG);
	sd_end(&s);
	expect_inherited(&s, false,
			 "O:SYG:SYD:AI(A;ID;FR;;;WD)(A;ID;FW;;;WD)(A;ID;FX;;;WD)(A;ID;FA;;;WD)"
			 "(A;ID;0x130089;;;SY)");
	/* OI only: not effective on the directory, and stays general */
	expect_inherited(&s, true,
			 "O:SYG:SYD:AI(A;OIIOID;GR;;;WD)(A;OIIOID;GW;;;WD)(A;OIIOID;GX;;;WD)"
			 "(A;OIIOID;GA;;;WD)(A;OIIOID;0x80010000;;;CG)");
}

static void nothing_to_inherit(void **state)
{
	static const char *const want = "O:SYG:SYD:(A;;FA;;;SY)(A;;FA;;;BA)";
	struct ibb_error err = {0};
	struct ibb_buf out = {0};
	struct sd s;

	(void)state;
	sd_begin(&s, 0);
	ALLOW(&s, 0, 0x1f01ff, WD);
	ALLOW(&s, CI, 0x1f01ff, WD);
	sd_end(&s);
	expect_inherited(&s, false, want);
	expect_inherited(&s, true, "O:SYG:SYD:AI(A;CIID;FA;;;WD)");
	/* no DACL, and no descriptor at all */
	ibb_put_le32(s.b + 16, 0);
	expect_inherited(&s, true, want);
	expect_text(s.b, s.len,
		    "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:BA"
		    "D:NO_ACCESS_CONTROL");
	assert_ok(ibb_security_inherit((struct ibb_bytes){0}, true, &out, &err), err);
	expect_text(out.data, out.len, want);
	ibb_buf_clear(&out);
}

/* The layout itself, once by hand. */
static void exact_bytes(void **state)
{
	static const uint8_t want[] = {
		1, 0, 0x04, 0x84, 48, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
		/* ACL */
		2, 0, 28, 0, 1, 0, 0, 0,
		/* ACE: allowed, inherited */
		0, 0x10, 20, 0, 0xff, 0x01, 0x1f, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
		/* owner, group */
		1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
	struct ibb_error err = {0};
	struct ibb_buf out = {0};
	struct sd s;

	(void)state;
	sd_begin(&s, 0x400);
	ALLOW(&s, OI | CI | IO, 0x10000000, CO);
	sd_end(&s);
	assert_ok(ibb_security_inherit((struct ibb_bytes){s.b, s.len}, false, &out, &err), err);
	assert_int_equal(out.len, sizeof(want));
	assert_memory_equal(out.data, want, sizeof(want));
	ibb_buf_clear(&out);
}

static void refuses(const struct sd *s, size_t len, const char *text)
{
	/* a copy of just this size, so that a sanitizer sees any read behind it */
	uint8_t *p = malloc(len ? len : 1);
	struct ibb_error err = {0};
	struct ibb_buf out = {0};

	assert_non_null(p);
	memcpy(p, s->b, len);
	assert_fails(ibb_security_inherit((struct ibb_bytes){p, len}, true, &out, &err),
		     IBB_E_CORRUPT, err, text);
	assert_null(out.data);
	free(p);
}

static void hostile(void **state)
{
	struct sd good, s;

	(void)state;
	system32(&good);
	refuses(&good, 19, "bad header");
	refuses(&good, 22, "DACL at 20 of 22");
	refuses(&good, 40, "DACL of");
	s = good;
	s.b[0] = 2;
	refuses(&s, s.len, "bad header");
	s = good;
	ibb_put_le32(s.b + 16, 0xfffffff0);
	refuses(&s, s.len, "DACL at 4294967280");
	s = good;
	ibb_put_le32(s.b + 16, 4);
	refuses(&s, s.len, "DACL at 4");
	s = good;
	ibb_put_le16(s.b + 22, 7);
	refuses(&s, s.len, "DACL of 7");
	s = good;
	ibb_put_le16(s.b + 24, 0xffff); /* ACE count */
	refuses(&s, s.len, "ends inside an ACE");
	s = good;
	ibb_put_le16(s.b + 28 + 2, 4); /* ACE size */
	refuses(&s, s.len, "ACE of 4 bytes");
	s = good;
	ibb_put_le16(s.b + 28 + 2, 0xfff0);
	refuses(&s, s.len, "ACE of 65520 bytes");
	s = good;
	s.b[28 + 8 + 1] = 15; /* sub-authorities */
	refuses(&s, s.len, "bad SID");
	s = good;
	s.b[28 + 8] = 9; /* SID revision */
	refuses(&s, s.len, "bad SID");
}

/* Every truncation and every single wrong byte: an answer or an error, never a read outside. */
static void every_byte(void **state)
{
	struct sd good;

	(void)state;
	system32(&good);
	for (size_t n = 0; n <= good.len; n++) {
		for (unsigned k = 0; k < 3; k++) {
			static const uint8_t wrong[] = {0x00, 0xff, 0x7f};
			struct ibb_error err = {0};
			struct ibb_buf out = {0};
			size_t len = n < good.len ? good.len : n;
			uint8_t *p = malloc(len);

			assert_non_null(p);
			memcpy(p, good.b, len);
			if (n < good.len)
				p[n] = wrong[k];
			(void)!ibb_security_inherit((struct ibb_bytes){p, len}, k & 1, &out, &err);
			ibb_buf_clear(&out);
			(void)!ibb_security_text((struct ibb_bytes){p, len}, &out, &err);
			ibb_buf_clear(&out);
			(void)!ibb_security_text((struct ibb_bytes){p, n}, &out, &err);
			ibb_buf_clear(&out);
			free(p);
		}
	}
}

/* 65 532 bytes is the largest ACL; splitting ACEs may pass it. */
static void too_large(void **state)
{
	static uint8_t big[70000];
	struct ibb_error err = {0};
	struct ibb_buf out = {0};
	size_t n = 2000, len = 28;

	(void)state;
	memset(big, 0, sizeof(big));
	big[0] = 1;
	ibb_put_le16(big + 2, 0x8004);
	ibb_put_le32(big + 16, 20);
	big[20] = 2;
	ibb_put_le16(big + 22, (uint16_t)(8 + n * 20));
	ibb_put_le16(big + 24, (uint16_t)n);
	for (size_t i = 0; i < n; i++, len += 20) {
		big[len + 1] = OI | CI;
		ibb_put_le16(big + len + 2, 20);
		ibb_put_le32(big + len + 4, 0x10000000);
		memcpy(big + len + 8, WD, sizeof(WD));
	}
	assert_ok(ibb_security_inherit((struct ibb_bytes){big, len}, false, &out, &err), err);
	assert_int_equal(out.len, 20 + 8 + n * 20 + 24);
	ibb_buf_clear(&out);
	assert_fails(ibb_security_inherit((struct ibb_bytes){big, len}, true, &out, &err),
		     IBB_E_CORRUPT, err, "inherited ACL of 80008 bytes");
}

static void no_memory(void **state)
{
	struct sd s;
	int rc = IBB_E_NOMEM;

	(void)state;
	system32(&s);
	for (long n = 0; rc == IBB_E_NOMEM && n < 1000; n++) {
		struct ibb_error err = {0};
		struct ibb_buf out = {0}, text = {0};

		ibb_mem_fail_at(n, true);
		rc = ibb_security_inherit((struct ibb_bytes){s.b, s.len}, true, &out, &err);
		if (!rc)
			rc = ibb_security_text(ibb_buf_bytes(&out), &text, &err);
		ibb_mem_fail_at(-1, false);
		assert_true(rc == IBB_OK || rc == IBB_E_NOMEM);
		ibb_buf_clear(&out);
		ibb_buf_clear(&text);
	}
	assert_int_equal(rc, IBB_OK);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(file_below_system32),
	cmocka_unit_test(directory_below_system32),
	cmocka_unit_test(flags_one_by_one),
	cmocka_unit_test(generic_mapping),
	cmocka_unit_test(nothing_to_inherit),
	cmocka_unit_test(exact_bytes),
	cmocka_unit_test(hostile),
	cmocka_unit_test(every_byte),
	cmocka_unit_test(too_large),
	cmocka_unit_test(no_memory),
};

IBB_TEST_MAIN(tests)
