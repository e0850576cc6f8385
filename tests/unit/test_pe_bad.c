/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Images whose headers lie: no digest rather than one that Windows would not come to. */
#include "test_pe.h"

static void refused(const struct ibb_buf *b, const char *why)
{
	struct ibb_pe_gap gaps[4];
	struct ibb_error err = {0};
	struct ibb_bytes sig = {0};
	uint8_t digest[32];

	assert_true(ibb_pe_is(ibb_buf_bytes(b)));
	memset(digest, 0x5a, sizeof(digest));
	assert_fails(ibb_pe_digest("x.sys", ibb_buf_bytes(b), IBB_ALG_SHA1, digest, &err),
		     IBB_E_CORRUPT, err, why);
	assert_int_equal(strncmp(err.msg, "x.sys: ", 7), 0);
	assert_fails(ibb_file_digest("x.sys", ibb_buf_bytes(b), IBB_ALG_SHA256, digest, &err),
		     IBB_E_CORRUPT, err, why);
	assert_int_equal(digest[0], 0x5a);
	assert_fails(ibb_pe_signature("x.sys", ibb_buf_bytes(b), &sig, &err), IBB_E_CORRUPT, err,
		     why);
	assert_int_equal(ibb_pe_gaps(ibb_buf_bytes(b), gaps), 0);
}

/* One 32-bit field of an image with a certificate table set to a value. */
static void with(size_t at, uint32_t value, const char *why)
{
	struct ibb_buf b = pe64("with");

	pe_sign(&b,
		"\x30\x06"
		"abcdef",
		8);
	ibb_put_le32(b.data + at, value);
	refused(&b, why);
	ibb_buf_clear(&b);
}

static void with16(size_t at, uint16_t value, const char *why)
{
	struct ibb_buf b = pe64("with");

	ibb_put_le16(b.data + at, value);
	refused(&b, why);
	ibb_buf_clear(&b);
}

static void headers(void **state)
{
	(void)state;
	with(PE_OPTIONAL + 108, 4, "a data directory of 4 entries, too few to be signed, at 0x104");
	with(PE_OPTIONAL + 108, 0, "a data directory of 0 entries");
	with(PE_OPTIONAL + 108, 17, "the data directory reaches beyond the optional header");
	with(PE_OPTIONAL + 108, 0xffffffff, "the data directory reaches beyond");
	with16(PE_HEADER + 20, 0, "the data directory reaches beyond the optional header");
	with16(PE_HEADER + 20, 239, "the data directory reaches beyond the optional header");
	with16(PE_HEADER + 20, 0xffff, "headers of 0x200 bytes, but the section table ends at");
	with16(PE_HEADER + 6, 97, "97 sections are more than Windows loads");
	with16(PE_HEADER + 6, 96, "headers of 0x200 bytes, but the section table ends at 0x1088");
	with(PE_OPTIONAL + 60, 0, "headers of 0x0 bytes, but the section table ends at 0x1d8");
	with(PE_OPTIONAL + 60, 0x1d7, "headers of 0x1d7 bytes");
	with(PE_OPTIONAL + 60, 0x1d8, "0x28 bytes before a section belong to nothing at 0x1d8");
	with(PE_OPTIONAL + 60, 0x201, "a section overlaps with what is before it at 0x200");
	with(PE_OPTIONAL + 60, 0x611, "headers of 0x611 bytes");
	with(PE_OPTIONAL + 60, 0xffffffff, "headers of 0xffffffff bytes");
}

static void sections(void **state)
{
	const size_t first = PE_SECTIONS, second = PE_SECTIONS + 40;

	(void)state;
	with(first + 20, 0, "a section overlaps with what is before it at 0x0");
	with(first + 20, 0x1ff, "a section overlaps with what is before it at 0x1ff");
	with(first + 20, 0x201, "0x1 bytes before a section belong to nothing at 0x200");
	with(first + 20, 0x400, "0x200 bytes before a section belong to nothing at 0x200");
	with(first + 16, 0x1ff, "0x1 bytes before a section belong to nothing at 0x3ff");
	with(first + 16, 0x201, "a section overlaps with what is before it at 0x400");
	with(first + 16, 0, "0x200 bytes before a section belong to nothing at 0x200");
	with(first + 16, 0xffffffff, "a section of 0xffffffff bytes reaches beyond the end");
	with(second + 16, 0x211, "a section of 0x211 bytes reaches beyond the end of the file");
	with(second + 16, 0x201, "the certificate table (0x10 bytes) overlaps with the image");
	with(second + 20, 0x600, "0x200 bytes before a section belong to nothing at 0x400");
	with(second + 20, 0xffffffff, "0xfffffbff bytes before a section belong to nothing");
}

/* Sections are looked at by where they are, and those without bytes not at all. */
static void odd_but_right(void **state)
{
	struct ibb_buf b = pe64("odd");
	struct ibb_error err = {0};
	uint8_t swapped[40], got[32];

	(void)state;
	memcpy(swapped, b.data + PE_SECTIONS, 40);
	memmove(b.data + PE_SECTIONS, b.data + PE_SECTIONS + 40, 40);
	memcpy(b.data + PE_SECTIONS + 40, swapped, 40);
	assert_ok(ibb_pe_digest("x.sys", ibb_buf_bytes(&b), IBB_ALG_SHA256, got, &err), err);
	/* .text now is data behind the image */
	ibb_put_le32(b.data + PE_SECTIONS + 16, 0);
	ibb_put_le32(b.data + PE_SECTIONS + 20, 0x77777777);
	assert_ok(ibb_pe_digest("x.sys", ibb_buf_bytes(&b), IBB_ALG_SHA256, got, &err), err);
	ibb_put_le16(b.data + PE_HEADER + 6, 0);
	assert_ok(ibb_pe_digest("x.sys", ibb_buf_bytes(&b), IBB_ALG_SHA256, got, &err), err);
	ibb_buf_clear(&b);
}

static void certificates(void **state)
{
	const size_t at = PE_DIRS + 32, bytes = at + 4;
	struct ibb_buf b;

	(void)state;
	with(at, 0,
	     "the certificate table (0x10 bytes) has a place or a size, but not both at 0x0");
	with(bytes, 0, "the certificate table (0x0 bytes) has a place or a size, but not both");
	with(at, 0x601, "is not aligned to 8 bytes at 0x601");
	with(at, 0x5f8, "overlaps with the image at 0x5f8");
	with(at, 8, "overlaps with the image at 0x8");
	with(at, 0x608, "reaches beyond the end of the file at 0x608");
	with(at, 0xfffffff8, "reaches beyond the end of the file at 0xfffffff8");
	with(bytes, 0x18, "reaches beyond the end of the file at 0x600");
	with(bytes, 0xffffffff, "reaches beyond the end of the file at 0x600");
	with(bytes, 8, "is not at the end of the file at 0x600");
	b = pe64("behind");
	pe_sign(&b,
		"\x30\x06"
		"abcdef",
		8);
	assert_int_equal(ibb_buf_append(&b, "payload!", 8), 0);
	refused(&b, "is not at the end of the file at 0x600");
	ibb_buf_clear(&b);
}

static void no_signature(struct ibb_buf *b, const char *why)
{
	struct ibb_error err = {0};
	struct ibb_bytes sig = {0};
	uint8_t digest[32];

	assert_ok(ibb_pe_digest("x.sys", ibb_buf_bytes(b), IBB_ALG_SHA256, digest, &err), err);
	assert_fails(ibb_pe_signature("x.sys", ibb_buf_bytes(b), &sig, &err), IBB_E_CORRUPT, err,
		     why);
	assert_null(sig.data);
	ibb_buf_clear(b);
}

static struct ibb_buf signed_with(const void *p, size_t n)
{
	struct ibb_buf b = pe64("entry");

	pe_sign(&b, p, n);
	return b;
}

/* The digest leaves the whole table out; what is in it has to be a signature and nothing else. */
static void certificate_entries(void **state)
{
	struct ibb_buf b;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		static const uint32_t lengths[] = {0, 7, 17, 0xffffffff};

		b = signed_with("\x30\x06"
				"abcdef",
				8);
		ibb_put_le32(b.data + 0x600, lengths[i]);
		no_signature(&b, "no entry of the certificate table at 0x600");
	}
	b = signed_with("\x30\x06"
			"abcdef",
			8);
	pe_add_certificate(&b,
			   "\x30\x06"
			   "abcdef",
			   8);
	ibb_put_le32(b.data + 0x610, 0x20);
	no_signature(&b, "no entry of the certificate table at 0x610");
	b = signed_with("", 0);
	no_signature(&b, "the embedded signature is missing at 0x608");
	b = signed_with("\x30\x07"
			"abcdef",
			8);
	no_signature(&b, "the embedded signature is damaged: it is longer than");
	b = signed_with("\x30\x03"
			"abc"
			"x\0\0",
			8);
	no_signature(&b, "3 bytes follow the embedded signature at 0x60d");
	b = signed_with("\x30\x03"
			"abc"
			"\0\0\0"
			"\0\0\0\0\0\0\0\0",
			16);
	no_signature(&b, "11 bytes follow the embedded signature at 0x60d");
}

/* What does not look like an image is digested flat, wherever its headers point. */
static void not_images(void **state)
{
	static const uint32_t places[] = {0x5e8, 0x600, 0xfffffff0, 0xffffffff, 0x7fffffff};
	struct ibb_buf b = pe64("not an image");
	struct ibb_error err = {0};
	struct ibb_bytes sig;
	uint8_t got[32];

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(places); i++) {
		struct ibb_sha256 want;

		ibb_put_le32(b.data + 0x3c, places[i]);
		assert_false(ibb_pe_is(ibb_buf_bytes(&b)));
		assert_ok(ibb_file_digest("x", ibb_buf_bytes(&b), IBB_ALG_SHA256, got, &err), err);
		assert_int_equal(ibb_sha256(b.data, b.len, &want), 0);
		assert_memory_equal(got, want.b, 32);
	}
	assert_fails(ibb_pe_digest("x", ibb_buf_bytes(&b), IBB_ALG_SHA256, got, &err),
		     IBB_E_CORRUPT, err, "x: not a PE image at 0x0");
	assert_fails(ibb_pe_signature("x", ibb_buf_bytes(&b), &sig, &err), IBB_E_CORRUPT, err,
		     "x: not a PE image at 0x0");
	ibb_put_le32(b.data + 0x3c, PE_HEADER);
	assert_true(ibb_pe_is(ibb_buf_bytes(&b)));
	ibb_put_le16(b.data + PE_OPTIONAL, 0x107); /* ROM */
	assert_false(ibb_pe_is(ibb_buf_bytes(&b)));
	ibb_put_le16(b.data + PE_OPTIONAL, 0x10b);
	assert_true(ibb_pe_is(ibb_buf_bytes(&b)));
	b.data[PE_HEADER + 3] = 1;
	assert_false(ibb_pe_is(ibb_buf_bytes(&b)));
	ibb_buf_clear(&b);
}

static void truncated(void **state)
{
	struct ibb_buf b = pe64("truncated");
	uint8_t got[32];

	(void)state;
	pe_sign(&b,
		"\x30\x06"
		"abcdef",
		8);
	for (size_t n = 0; n < b.len; n++) {
		uint8_t *copy = ibb_memdup(b.data, n);
		struct ibb_bytes f = {copy, n}, sig;
		struct ibb_error err = {0};

		assert_fails(ibb_pe_digest("t.sys", f, IBB_ALG_SHA1, got, &err), IBB_E_CORRUPT, err,
			     "t.sys: ");
		assert_int_equal(ibb_file_digest("t.sys", f, IBB_ALG_SHA1, got, &err),
				 ibb_pe_is(f) ? IBB_E_CORRUPT : IBB_OK);
		assert_int_equal(ibb_pe_is(f), n >= PE_DIRS);
		assert_int_equal(ibb_pe_signature("t.sys", f, &sig, &err), IBB_E_CORRUPT);
		free(copy);
	}
	ibb_buf_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(sections),
		cmocka_unit_test(odd_but_right),
		cmocka_unit_test(certificates),
		cmocka_unit_test(certificate_entries),
		cmocka_unit_test(not_images),
		cmocka_unit_test(truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
