/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base: UTF-16, Windows' case folding, path normalisation. */
#include "test.h"

#include <openssl/evp.h>

#include "base/le.h"
#include "base/path.h"
#include "base/utf16.h"

/*
 * The whole mapping as the 131072 bytes of a $UpCase file; the MD5 is that of $UpCase on volumes
 * that Windows 10 formatted.
 */
static void test_upcase_table(void **state)
{
	static const uint8_t want[16] = {0x7f, 0xf4, 0x98, 0xa4, 0x4e, 0x45, 0xe7, 0x73,
					 0x74, 0xcc, 0x7c, 0x96, 0x2b, 0x1b, 0x92, 0xf2};
	static uint8_t table[131072];
	uint8_t md5[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	(void)state;
	for (unsigned c = 0; c < 65536; c++)
		ibb_put_le16(table + 2 * c, ibb_upcase((uint16_t)c));
	assert_int_equal(EVP_Digest(table, sizeof(table), md5, &len, EVP_md5(), NULL), 1);
	assert_int_equal(len, 16);
	assert_memory_equal(md5, want, 16);
}

static void test_upcase_samples(void **state)
{
	(void)state;
	assert_int_equal(ibb_upcase('a'), 'A');
	assert_int_equal(ibb_upcase('z'), 'Z');
	assert_int_equal(ibb_upcase('{'), '{');
	assert_int_equal(ibb_upcase(0xe4), 0xc4);
	assert_int_equal(ibb_upcase(0xdf), 0xdf); /* sharp s has no partner of one unit */
	assert_int_equal(ibb_upcase(0xb5), 0xb5); /* the micro sign stays */
	assert_int_equal(ibb_upcase(0xf7), 0xf7); /* the division sign between letters */
	assert_int_equal(ibb_upcase(0xff), 0x178);
	assert_int_equal(ibb_upcase(0x131), 0x131); /* dotless i */
	assert_int_equal(ibb_upcase(0x3c2), 0x3c2); /* final sigma */
	assert_int_equal(ibb_upcase(0x3c3), 0x3a3);
	assert_int_equal(ibb_upcase(0xd800), 0xd800);
	assert_int_equal(ibb_upcase(0xffff), 0xffff);
}

static const struct {
	const char *utf8;
	const char *utf16le;
	size_t bytes;
} pairs[] = {
	{"", "", 0},
	{"Windows", "W\0i\0n\0d\0o\0w\0s\0", 14},
	{"\x7f", "\x7f\0", 2},
	{"\xc2\x80", "\x80\0", 2},
	{"\xdf\xbf", "\xff\x07", 2},
	{"\xe0\xa0\x80", "\0\x08", 2},
	{"\xef\xbf\xbf", "\xff\xff", 2},
	{"\xf0\x90\x80\x80", "\0\xd8\0\xdc", 4},
	{"\xf4\x8f\xbf\xbf", "\xff\xdb\xff\xdf", 4},
	{"a\xf0\x9f\x98\x80"
	 "b",
	 "a\0\x3d\xd8\0\xde"
	 "b\0",
	 8},
	{"\xed\xa0\x80", "\0\xd8", 2}, /* unpaired high */
	{"\xed\xbf\xbf"
	 "x",
	 "\xff\xdf"
	 "x\0",
	 4},							   /* unpaired low */
	{"\xed\xb0\x80\xed\xa0\x80", "\0\xdc\0\xd8", 4},	   /* the wrong way round */
	{"\xed\xa0\x80\xed\xa0\x80", "\0\xd8\0\xd8", 4},	   /* two high ones */
	{"\xed\xa0\x80\xf0\x90\x80\x80", "\0\xd8\0\xd8\0\xdc", 6}, /* one high, then a pair */
};

static void test_utf16_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(pairs); i++) {
		struct ibb_buf u = {0}, back = {0};
		char *s;

		assert_true(ibb_utf8_valid(pairs[i].utf8, strlen(pairs[i].utf8)));
		assert_int_equal(ibb_utf16le_append(&u, pairs[i].utf8), IBB_OK);
		assert_int_equal(u.len, pairs[i].bytes);
		if (u.len)
			assert_memory_equal(u.data, pairs[i].utf16le, u.len);
		assert_int_equal(ibb_utf8_append(&back, u.data, u.len), IBB_OK);
		assert_string_equal(ibb_buf_cstr(&back), pairs[i].utf8);
		s = ibb_utf8_from_utf16le(u.data, u.len);
		assert_string_equal(s, pairs[i].utf8);
		free(s);
		ibb_buf_clear(&u);
		ibb_buf_clear(&back);
	}
}

/* Every pair of units survives the way to UTF-8 and back, whatever it is. */
static void test_utf16_all_units(void **state)
{
	static const uint16_t second[] = {0x41, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xffff};
	struct ibb_buf t = {0}, u = {0};

	(void)state;
	for (unsigned c = 1; c < 65536; c++)
		for (size_t k = 0; k < IBB_ARRAY_SIZE(second); k++) {
			uint8_t raw[4];

			ibb_put_le16(raw, (uint16_t)c);
			ibb_put_le16(raw + 2, second[k]);
			t.len = u.len = 0;
			assert_int_equal(ibb_utf8_append(&t, raw, 4), IBB_OK);
			if (!ibb_utf8_valid((char *)t.data, t.len) ||
			    ibb_utf16le_append(&u, ibb_buf_cstr(&t)) || u.len != 4 ||
			    memcmp(u.data, raw, 4) != 0)
				fail_msg("units %04x %04x do not survive", c, second[k]);
		}
	ibb_buf_clear(&t);
	ibb_buf_clear(&u);
}

static void test_utf16_ends(void **state)
{
	struct ibb_buf b = {0};
	char *s;

	(void)state;
	/* ends at the first U+0000, also without one, and ignores an odd byte */
	s = ibb_utf8_from_utf16le((const uint8_t *)"a\0b\0\0\0c\0", 8);
	assert_string_equal(s, "ab");
	free(s);
	s = ibb_utf8_from_utf16le((const uint8_t *)"a\0b\0c", 5);
	assert_string_equal(s, "ab");
	free(s);
	s = ibb_utf8_from_utf16le(NULL, 0);
	assert_string_equal(s, "");
	free(s);
	/* a unit whose low byte is zero is no end */
	s = ibb_utf8_from_utf16le((const uint8_t *)"\0\x01z\0", 4);
	assert_string_equal(s, "\xc4\x80z");
	free(s);
	assert_int_equal(ibb_utf8_append(&b, (const uint8_t *)"a\0\0\0b\0", 6), IBB_OK);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "a\0b", 3);
	ibb_buf_clear(&b);
}

static const char *const not_utf8[] = {
	"\x80",			    /* a continuation alone */
	"\xbf",			    /* */
	"a\x80",		    /* */
	"\xc3",			    /* cut short */
	"\xc3(",		    /* no continuation */
	"\xe2\x82",		    /* */
	"\xe2(\xa1",		    /* */
	"\xe2\x82(",		    /* */
	"\xf0\x9f\x98",		    /* */
	"\xf0\x9f\x98(",	    /* */
	"\xc0\x80",		    /* overlong U+0000 */
	"\xc0\xaf",		    /* overlong '/' */
	"\xc1\xbf",		    /* overlong */
	"\xe0\x80\xaf",		    /* overlong '/' */
	"\xe0\x9f\xbf",		    /* overlong */
	"\xf0\x80\x80\xaf",	    /* overlong '/' */
	"\xf0\x8f\xbf\xbf",	    /* overlong */
	"\xf4\x90\x80\x80",	    /* past U+10FFFF */
	"\xf5\x80\x80\x80",	    /* */
	"\xf8\x88\x80\x80\x80",	    /* five bytes */
	"\xfe",			    /* */
	"\xff",			    /* */
	"\xed\xa0\xbd\xed\xb8\x80", /* a pair in six bytes: a second spelling */
};

static void test_invalid_utf8(void **state)
{
	struct ibb_buf b = {0};

	(void)state;
	assert_int_equal(ibb_buf_append(&b, "keep", 4), IBB_OK);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(not_utf8); i++) {
		char longer[32];

		if (ibb_utf8_valid(not_utf8[i], strlen(not_utf8[i])))
			fail_msg("number %zu was taken for UTF-8", i);
		snprintf(longer, sizeof(longer), "good%s", not_utf8[i]);
		assert_int_equal(ibb_utf16le_append(&b, longer), IBB_E_INVALID);
		assert_int_equal(b.len, 4); /* nothing appended */
		assert_string_equal(ibb_name_problem(longer, strlen(longer)),
				    "the name is not UTF-8");
	}
	/* a length that cuts a character */
	assert_false(ibb_utf8_valid("\xe2\x82\xac", 2));
	assert_true(ibb_utf8_valid("\xe2\x82\xac", 3));
	assert_true(ibb_utf8_valid("a\0b", 3));
	ibb_buf_clear(&b);
}

/* Eight ASCII characters are looked at together: what is bad must show at every place. */
static void test_utf8_places(void **state)
{
	const char plain[] = "abcdefghijklmnopqrstuvwxyz";
	struct ibb_buf b = {0};

	(void)state;
	for (size_t k = 0; k <= 17; k++) {
		char text[64];
		int n = snprintf(text, sizeof(text), "%.*s\xc3\x28%s", (int)k, plain, plain);

		assert_false(ibb_utf8_valid(text, (size_t)n));
		assert_false(ibb_utf8_valid(text, k + 1));
		assert_true(ibb_utf8_valid(text, k));
		text[k] = 'x';
		assert_true(ibb_utf8_valid(text, (size_t)n));
		assert_int_equal(ibb_utf16le_append(&b, text), IBB_OK);
		assert_int_equal(b.len, 2 * (size_t)n);
		b.len = 0;
		/* what stands between two surrogates makes them no pair */
		n = snprintf(text, sizeof(text), "\xed\xa0\xbd%.*s\xed\xb8\x80", (int)k, plain);
		assert_int_equal(ibb_utf8_valid(text, (size_t)n), k > 0);
	}
	ibb_buf_clear(&b);
}

static void test_casecmp_places(void **state)
{
	const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", lower[] = "abcdefghijklmnopqrstuvwxyz";

	(void)state;
	for (size_t k = 0; k < 20; k++) {
		char a[32], b[32];

		memcpy(a, upper, sizeof(upper));
		memcpy(b, k % 2 ? upper : lower, sizeof(upper));
		assert_int_equal(ibb_ncasecmp(a, k, b, k), 0);
		assert_int_equal(ibb_ncasecmp(a, k, b, k + 1), -1);
		assert_int_equal(ibb_ncasecmp(a, k + 1, b, k), 1);
		a[k] = '_';
		assert_int_equal(ibb_casecmp(a, b), 1);
		assert_int_equal(ibb_casecmp(b, a), -1);
		memcpy(a + k, "\xc3\x84\xc3\xa4", 5);
		memcpy(b + k, "\xc3\xa4\xc3\x84", 5);
		assert_int_equal(ibb_casecmp(a, b), 0);
	}
}

static void test_casecmp(void **state)
{
	(void)state;
	assert_true(ibb_caseeq("", ""));
	assert_true(ibb_caseeq("DriverDatabase", "driverDATABASE"));
	assert_true(ibb_caseeq("stra\xc3\x9f"
			       "e",
			       "STRA\xc3\x9f"
			       "E"));
	assert_true(ibb_caseeq("\xc3\xa4\xc3\xb6", "\xc3\x84\xc3\x96"));
	assert_true(ibb_caseeq("\xc9\x90", "\xe2\xb1\xaf")); /* U+0250 and U+2C6F: 2 and 3 bytes */
	assert_false(ibb_caseeq("stra\xc3\x9f"
				"e",
				"STRASSE"));
	assert_false(
		ibb_caseeq("\xf0\x90\x90\xa8", "\xf0\x90\x90\x80")); /* Windows folds no pairs */
	assert_int_equal(ibb_casecmp("a", "B"), -1);
	assert_int_equal(ibb_casecmp("b", "A"), 1);
	assert_int_equal(ibb_casecmp("ab", "abc"), -1);
	assert_int_equal(ibb_casecmp("abc", "ab"), 1);
	/* by upper case: '_' (5f) stands behind 'Z' (5a), and so behind 'z' */
	assert_int_equal(ibb_casecmp("_", "z"), 1);
	assert_int_equal(ibb_casecmp("z", "_"), -1);
	/* by code unit: U+1F600 (d83d ...) before U+FF21 */
	assert_int_equal(ibb_casecmp("\xf0\x9f\x98\x80", "\xef\xbc\xa1"), -1);
	assert_int_equal(ibb_ncasecmp("abX", 2, "ABY", 2), 0);
	assert_int_equal(ibb_ncasecmp("a\0b", 3, "A\0B", 3), 0);
	assert_int_equal(ibb_ncasecmp("a\0b", 3, "A\0C", 3), -1);
	/* malformed bytes are themselves */
	assert_int_equal(ibb_casecmp("\x80", "\x80"), 0);
	assert_int_not_equal(ibb_casecmp("\x80", "\x81"), 0);
	assert_int_not_equal(ibb_casecmp("\xe4", "\xc4"), 0);

	assert_true(ibb_case_prefix("NTamd64.10.0", "ntAMD64"));
	assert_true(ibb_case_prefix("x", ""));
	assert_false(ibb_case_prefix("nt", "nta"));
	assert_true(ibb_case_suffix("MLX5.INF", ".inf"));
	assert_false(ibb_case_suffix("inf", ".inf"));
	assert_false(ibb_case_suffix("mlx5.inf_", ".inf"));
}

static void test_ascii_lower(void **state)
{
	char s[] = "PCI\\VEN_15B3&DEV_101C[@`\xc3\x84";

	(void)state;
	ibb_ascii_lower(s);
	assert_string_equal(s, "pci\\ven_15b3&dev_101c[@`\xc3\x84");
}

static void test_names_allowed(void **state)
{
	static const char *const good[] = {"a",
					   "mlx5.sys",
					   "mlx5.inf_amd64_0123456789abcdef",
					   "{127D0A1D-4EF2-11D1}",
					   ".x",
					   "..x",
					   "...x",
					   " x",
					   "con1",
					   "COM",
					   "COMA",
					   "COM10",
					   "com1x",
					   "LPT",
					   "CON2.txt",
					   "xCON",
					   "NULL",
					   "auxiliary",
					   "x.con",
					   "prn_",
					   "COM\xc2\xb4",
					   "\xe4\xbd\xa0",
					   "a b",
					   "~$",
					   "\x7f",
					   "CLOCK$"};
	char longest[300];

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(good); i++) {
		const char *why = ibb_name_problem(good[i], strlen(good[i]));

		if (why)
			fail_msg("'%s': %s", good[i], why);
	}
	memset(longest, 'x', sizeof(longest));
	assert_null(ibb_name_problem(longest, 255));
	assert_string_equal(ibb_name_problem(longest, 256),
			    "the name is longer than 255 characters");
}

/* The limit counts UTF-16 units: 127 characters of four bytes fit, 128 do not. */
static void test_name_length_units(void **state)
{
	char s[4 * 128];

	(void)state;
	for (int i = 0; i < 128; i++)
		memcpy(s + 4 * i, "\xf0\x9f\x98\x80", 4);
	assert_null(ibb_name_problem(s, sizeof(s) - 4));
	assert_string_equal(ibb_name_problem(s, sizeof(s)),
			    "the name is longer than 255 characters");
}

static void test_device_names(void **state)
{
	static const char *const stems[] = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};
	static const char *const digits[] = {"0", "1", "2", "3",	"4",	    "5",       "6",
					     "7", "8", "9", "\xc2\xb9", "\xc2\xb2", "\xc2\xb3"};
	static const char *const tails[] = {"", ".txt", ".tar.gz", " .txt", "  ..x", "."};
	char name[64];

	(void)state;
	for (size_t t = 0; t < IBB_ARRAY_SIZE(tails); t++) {
		for (size_t i = 0; i < IBB_ARRAY_SIZE(stems); i++) {
			snprintf(name, sizeof(name), "%s%s", stems[i], tails[t]);
			assert_non_null(ibb_name_problem(name, strlen(name)));
			ibb_ascii_lower(name);
			assert_non_null(ibb_name_problem(name, strlen(name)));
		}
		for (size_t i = 0; i < IBB_ARRAY_SIZE(digits); i++) {
			snprintf(name, sizeof(name), "COM%s%s", digits[i], tails[t]);
			assert_non_null(ibb_name_problem(name, strlen(name)));
			snprintf(name, sizeof(name), "lPt%s%s", digits[i], tails[t]);
			assert_non_null(ibb_name_problem(name, strlen(name)));
		}
	}
	assert_string_equal(ibb_name_problem("nul.inf", 7), "the name is a DOS device name");
}

static void test_names_refused(void **state)
{
	static const struct {
		const char *name;
		size_t n;
		const char *why;
	} wrong[] = {
		{"", 0, "the name is empty"},
		{".", 1, "'.' and '..' are not names"},
		{"..", 2, "'.' and '..' are not names"},
		{"a\0b", 3, "the name holds a control character"},
		{"\n", 1, "the name holds a control character"},
		{"a\x1f", 2, "the name holds a control character"},
		{"...", 3, "the name ends in a dot or a space"},
		{"x.", 2, "the name ends in a dot or a space"},
		{"x ", 2, "the name ends in a dot or a space"},
		{" ", 1, "the name ends in a dot or a space"},
	};
	char one[4] = "a?b";

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(wrong); i++)
		assert_string_equal(ibb_name_problem(wrong[i].name, wrong[i].n), wrong[i].why);
	for (const char *c = "<>:\"/\\|?*"; *c; c++) {
		one[1] = *c;
		assert_string_equal(ibb_name_problem(one, 3),
				    "the name holds one of < > : \" / \\ | ? *");
	}
}

static void test_normalize(void **state)
{
	static const char *const good[][2] = {
		{"Windows/System32", "Windows/System32"},
		{"\\Windows\\System32\\", "Windows/System32"},
		{"//Windows//\\/INF///", "Windows/INF"},
		{"a", "a"},
		{"/a b/.c/", "a b/.c"},
		{"\xc3\x84/\xed\xa0\x80", "\xc3\x84/\xed\xa0\x80"},
	};
	static const char *const wrong[][2] = {
		{"", "is empty"},
		{"/", "is empty"},
		{"\\/\\", "is empty"},
		{"..", "'..': '.' and '..' are not names"},
		{"../etc/passwd", "'..'"},
		{"a/../b", "path 'a/../b': '..': '.' and '..' are not names"},
		{"a\\..\\b", "'..'"},
		{"a/./b", "'.'"},
		{"./a", "'.'"},
		{"a/..", "'..'"},
		{"C:\\Windows", "'C:': the name holds one of"},
		{"a:stream", "'a:stream': the name holds one of"},
		{"\\\\?\\C:", "'?'"},
		{"\\\\.\\PhysicalDrive0", "'.'"},
		{"a/... /b", "ends in a dot or a space"},
		{"Windows/nul/x", "'nul': the name is a DOS device name"},
		{"a/\xc0\xae\xc0\xae/b", "not UTF-8"},
	};
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(good); i++) {
		char *p = NULL, *again = NULL;

		assert_ok(ibb_path_normalize(good[i][0], &p, &err), err);
		assert_string_equal(p, good[i][1]);
		assert_ok(ibb_path_normalize(p, &again, &err), err);
		assert_string_equal(again, p); /* the normal form is one */
		free(p);
		free(again);
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(wrong); i++) {
		char *p = (char *)&err;

		assert_fails(ibb_path_normalize(wrong[i][0], &p, &err), IBB_E_INVALID, err,
			     wrong[i][1]);
		assert_ptr_equal(p, (char *)&err); /* untouched */
	}
}

static void test_normalize_long(void **state)
{
	static char path[4098];
	struct ibb_error err = {0};
	char *p = NULL;

	(void)state;
	for (size_t i = 0; i < 4096; i++)
		path[i] = i % 100 ? 'x' : '/';
	assert_ok(ibb_path_normalize(path, &p, &err), err);
	assert_int_equal(strlen(p), 4095);
	free(p);
	path[4096] = 'x';
	assert_fails(ibb_path_normalize(path, &p, &err), IBB_E_INVALID, err,
		     "path of 4097 characters is too long");
	/* the reason is not lost behind a long path */
	path[4090] = '\0';
	path[4089] = '?';
	assert_fails(ibb_path_normalize(path, &p, &err), IBB_E_INVALID, err, "one of < >");
}

static void test_path_parts(void **state)
{
	(void)state;
	assert_string_equal(ibb_path_base("Windows/INF/oem0.inf"), "oem0.inf");
	assert_string_equal(ibb_path_base("x"), "x");
	assert_int_equal(ibb_path_dir_len("Windows/INF/oem0.inf"), 11);
	assert_int_equal(ibb_path_dir_len("x"), 0);
}

/* What a terminal or an editor would obey. */
static void test_plain_utf8(void **state)
{
	static const char *const plain[] = {"",
					    "text",
					    "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
					    "\xc2\xa0",
					    "\xe2\x80\x8d",
					    "\xe2\x80\xaf",
					    "\xe2\x81\xa5",
					    "\xe2\x81\xaa"};
	static const char *const not_plain[] = {"a\nb",		 "\x1b[2J",	 "\x7f",
						"\xc2\x80",	 "\xc2\x9b",	 "\xc2\x9f",
						"x\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xaa",
						"\xe2\x80\xae",	 "\xe2\x81\xa6", "\xe2\x81\xa9y"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(plain); i++)
		assert_true(ibb_utf8_is_plain(plain[i], strlen(plain[i])));
	for (size_t i = 0; i < IBB_ARRAY_SIZE(not_plain); i++)
		assert_false(ibb_utf8_is_plain(not_plain[i], strlen(not_plain[i])));
	assert_false(ibb_utf8_is_plain("a\0b", 3));
	assert_true(ibb_utf8_is_plain("\xe2\x80\xae", 2)); /* cut: not its place to say so */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upcase_table),	  cmocka_unit_test(test_upcase_samples),
		cmocka_unit_test(test_utf16_round_trip),  cmocka_unit_test(test_utf16_all_units),
		cmocka_unit_test(test_plain_utf8),	  cmocka_unit_test(test_utf16_ends),
		cmocka_unit_test(test_invalid_utf8),	  cmocka_unit_test(test_casecmp),
		cmocka_unit_test(test_ascii_lower),	  cmocka_unit_test(test_names_allowed),
		cmocka_unit_test(test_name_length_units), cmocka_unit_test(test_device_names),
		cmocka_unit_test(test_names_refused),	  cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_normalize_long),	  cmocka_unit_test(test_path_parts),
		cmocka_unit_test(test_utf8_places),	  cmocka_unit_test(test_casecmp_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
