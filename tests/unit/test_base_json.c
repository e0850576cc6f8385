/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base/json: strict reading of hostile text, builders, exact printing. */
#include "test.h"

#include "base/json.h"
#include "base/limits.h"

static int parse(const char *text, size_t n, struct ibb_json **ret, struct ibb_error *err)
{
	return ibb_json_parse("f.json", text, n, ret, err);
}

static void test_read(void **state)
{
	static const char text[] =
		"\xef\xbb\xbf {\"s\": \"\\u00e4\\ud83d\\ude00\\n\\/\", \"S\": 2,\n"
		"\"a\": [1, -2.0, 2.5e0, true, null, {}], \"b\": false,"
		"\"o\": {\"\": 1e2}, \"f\": 1.5}\r\n\t ";
	struct ibb_error err = {0};
	struct ibb_json *j = NULL;
	const struct ibb_json *a;
	int64_t v = 77;
	int n = 0;

	(void)state;
	assert_ok(parse(text, sizeof(text) - 1, &j, &err), err);
	assert_true(ibb_json_is_object(j));
	assert_int_equal(ibb_json_count(j), 6);
	assert_string_equal(ibb_json_str(j, "s"), "\xc3\xa4\xf0\x9f\x98\x80\n/");
	/* keys are case-sensitive */
	assert_null(ibb_json_str(j, "S"));
	assert_true(ibb_json_int(j, "S", 0, 9, &v));
	assert_int_equal(v, 2);
	assert_null(ibb_json_get(j, "A"));
	a = ibb_json_get(j, "a");
	assert_true(ibb_json_is_array(a));
	assert_int_equal(ibb_json_count(a), 6);
	ibb_json_foreach (it, a) {
		assert_null(ibb_json_key(it));
		n++;
	}
	assert_int_equal(n, 6);
	a = ibb_json_first(a);
	assert_true(ibb_json_is_number(a));
	a = ibb_json_next(a);
	assert_true(ibb_json_value_int(a, -2, -2, &v));
	assert_int_equal(v, -2);
	a = ibb_json_next(a);
	assert_false(ibb_json_value_int(a, 0, 9, &v)); /* 2.5 is no whole number */
	assert_int_equal(v, -2);
	a = ibb_json_next(a);
	assert_true(ibb_json_is_bool(a) && ibb_json_value_bool(a));
	a = ibb_json_next(a);
	assert_true(ibb_json_is_null(a));
	a = ibb_json_next(a);
	assert_int_equal(ibb_json_count(a), 0);
	assert_null(ibb_json_first(a));
	assert_null(ibb_json_next(a));
	assert_false(ibb_json_bool(j, "b", true));
	assert_true(ibb_json_bool(j, "nothing", true));
	assert_true(ibb_json_bool(j, "s", true)); /* of another type: the default */
	assert_true(ibb_json_int(ibb_json_get(j, "o"), "", 100, 100, &v));
	assert_string_equal(ibb_json_key(ibb_json_first(j)), "s");
	ibb_json_free(j);
}

static void test_wrong_types(void **state)
{
	struct ibb_error err = {0};
	struct ibb_json *j = NULL;
	int64_t v = 5;

	(void)state;
	assert_ok(parse("\"x\"", 3, &j, &err), err);
	assert_true(ibb_json_is_string(j));
	assert_string_equal(ibb_json_value_str(j), "x");
	assert_null(ibb_json_get(j, "x"));
	assert_null(ibb_json_first(j));
	assert_int_equal(ibb_json_count(j), 0);
	assert_false(ibb_json_value_int(j, 0, 9, &v));
	assert_false(ibb_json_value_bool(j));
	ibb_json_free(j);
	assert_null(ibb_json_get(NULL, "x"));
	assert_null(ibb_json_str(NULL, "x"));
	assert_null(ibb_json_value_str(NULL));
	assert_null(ibb_json_first(NULL));
	assert_null(ibb_json_key(NULL));
	assert_int_equal(ibb_json_count(NULL), 0);
	assert_false(ibb_json_int(NULL, "x", 0, 9, &v));
	assert_false(ibb_json_is_object(NULL) || ibb_json_is_array(NULL) ||
		     ibb_json_is_string(NULL) || ibb_json_is_number(NULL) ||
		     ibb_json_is_bool(NULL) || ibb_json_is_null(NULL));
	assert_int_equal(v, 5);
	ibb_json_free(NULL);
}

static void test_integers(void **state)
{
	static const struct {
		const char *text;
		bool whole;
		int64_t value;
	} cases[] = {
		{"9007199254740991", true, 9007199254740991},
		{"-9007199254740991", true, -9007199254740991},
		{"9007199254740993", false, 0}, /* 2^53+1 would come out as another number */
		{"18446744073709551616", false, 0},
		{"1e400", false, 0},
		{"-1e400", false, 0},
		{"1e-400", true, 0},
		{"0.1", false, 0},
		{"-0", true, 0},
		{"1E3", true, 1000},
	};
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_json *j = NULL;
		int64_t v = 42;

		assert_ok(parse(cases[i].text, strlen(cases[i].text), &j, &err), err);
		if (ibb_json_value_int(j, INT64_MIN, INT64_MAX, &v) != cases[i].whole)
			fail_msg("%s", cases[i].text);
		assert_true(v == (cases[i].whole ? cases[i].value : 42));
		if (cases[i].whole) {
			assert_false(ibb_json_value_int(j, cases[i].value + 1, INT64_MAX, &v));
			assert_false(ibb_json_value_int(j, INT64_MIN, cases[i].value - 1, &v));
		}
		ibb_json_free(j);
	}
}

#define T(text, why)                        \
	{                                   \
		text, sizeof(text) - 1, why \
	}
static const struct {
	const char *text;
	size_t n;
	const char *why;
} damaged[] = {
	T("", "f.json:1:1: not valid JSON: the text ends too early"),
	T("  \n", "f.json:2:1: not valid JSON: the text ends too early"),
	T("\xef\xbb\xbf", "the text ends too early"),
	/* what cJSON lets pass (1.7.15) */
	T("{} x", "f.json:1:4: not valid JSON: something stands behind the end"),
	T("{}{}", "1:3: not valid JSON: something stands behind the end"),
	T("{\"a\":1,\"a\":2}", "f.json: the member \"a\" stands twice"),
	T("[{\"b\":{\"k\":1,\"j\":1,\"k\":1}}]", "the member \"k\" stands twice"),
	T("{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,"
	  "\"j\":0,\"k\":0,\"l\":0,\"m\":0,\"n\":0,\"o\":0,\"p\":0,\"q\":0,\"a\":0}",
	  "the member \"a\" stands twice"),
	T("\"a\\u0000b\"", "f.json:1:3: not valid JSON: \\u0000 in a string"),
	T("{\"a\\u0000b\":1}", "\\u0000 in a string"),
	T("\"a\0b\"", "1:3: not valid JSON: a NUL byte"),
	T("{}\0", "a NUL byte"),
	T("\0", "a NUL byte"),
	T("{\"a\":\0}", "a NUL byte"),
	T("\"\x80\"", "f.json: not UTF-8"),
	T("\"\xc0\xaf\"", "f.json: not UTF-8"),
	T("\"\xed\xa0\x80\"", "1:2: not valid JSON: an unpaired surrogate"),
	T("01", "1:2: not valid JSON: something stands behind"),
	T("[1.]", "1:4: not valid JSON: a malformed number"),
	T("[-.5]", "a malformed number"),
	T("[1e]", "a malformed number"),
	T("[1e+]", "a malformed number"),
	T("[-]", "a malformed number"),
	T("\"a\nb\"", "1:3: not valid JSON: a control character in a string"),
	T("\"\t\"", "a control character in a string"),
	T("[1,\v2]", "1:4: not valid JSON: a value was expected"),
	T("[\x01]", "a value was expected"),
	/* the rest of the grammar */
	T("{", "a string was expected"),
	T("{\"a\"", "':' was expected"),
	T("{\"a\":", "ends too early"),
	T("{\"a\":1", "',' or '}' was expected"),
	T("{\"a\":1,}", "1:8: not valid JSON: a string was expected"),
	T("{a:1}", "1:2: not valid JSON: a string was expected"),
	T("{'a':1}", "a string was expected"),
	T("[", "ends too early"),
	T("[1", "',' or ']' was expected"),
	T("[1,]", "a value was expected"),
	T("[,1]", "a value was expected"),
	T("[1 2]", "',' or ']' was expected"),
	T("[1}", "',' or ']' was expected"),
	T("]", "a value was expected"),
	T("+1", "a value was expected"),
	T(".5", "a value was expected"),
	T("NaN", "a value was expected"),
	T("Infinity", "a value was expected"),
	T("tru", "a value was expected"),
	T("True", "a value was expected"),
	T("nul", "a value was expected"),
	T("\"a", "1:3: not valid JSON: the string is not closed"),
	T("\"a\\", "an unknown escape"),
	T("\"\\x41\"", "an unknown escape"),
	T("\"\\u12\"", "an unknown escape"),
	T("\"\\u12g4\"", "an unknown escape"),
	T("\"\\u004", "an unknown escape"),
	T("\"\\ud800\"", "an unpaired surrogate"),
	T("\"\\ud800x\"", "an unpaired surrogate"),
	T("\"\\ud800\\n56789\"", "an unpaired surrogate"),
	T("\"\\ud800\\ud800\"", "an unpaired surrogate"),
	T("\"\\udc00\\ud800\"", "an unpaired surrogate"),
	T("\"\\udfff\"", "an unpaired surrogate"),
	T("\"\\ud83d\\ude0", "an unpaired surrogate"),
	T("// x\n{}", "a value was expected"),
	T("{}\n/* */", "f.json:2:1: not valid JSON: something stands behind"),
	T("[1234567890123456789012345678901234567890123456789012345678901234]",
	  "more than 63 characters"),
};

static void test_damaged(void **state)
{
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(damaged); i++) {
		struct ibb_json *j = NULL;
		/* exactly as long as the text: a read behind it is seen */
		char *exact = ibb_memdup(damaged[i].text, damaged[i].n);

		assert_fails(parse(exact, damaged[i].n, &j, &err), IBB_E_CORRUPT, err,
			     damaged[i].why);
		assert_null(j);
		free(exact);
	}
}

/* Every prefix and every single damaged byte of a document: refused or read, never worse. */
static void test_mutations(void **state)
{
	static const char text[] = "{\"a\":[1,-2.5e+3,true,false,null,\"\\ud83d\\ude00\xc3\xa4\"],"
				   "\"b\":{\"c\":\"\\\"\\\\\"}}";
	const size_t n = sizeof(text) - 1;
	unsigned read = 0;

	(void)state;
	for (size_t len = 0; len < n; len++) {
		char *exact = ibb_memdup(text, len);
		struct ibb_json *j = NULL;

		assert_int_equal(parse(exact, len, &j, NULL), IBB_E_CORRUPT);
		free(exact);
	}
	for (size_t i = 0; i < n; i++)
		for (unsigned c = 0; c < 256; c++) {
			char *exact = ibb_memdup(text, n);
			struct ibb_json *j = NULL;
			int r;

			exact[i] = (char)c;
			r = parse(exact, n, &j, NULL);
			assert_true(r == IBB_OK || r == IBB_E_CORRUPT);
			read += r == IBB_OK;
			ibb_json_free(j);
			free(exact);
		}
	assert_true(read > n); /* the unchanged ones at least */
}

static void test_depth(void **state)
{
	char text[4 * IBB_LIMIT_JSON_DEPTH];
	struct ibb_error err = {0};
	struct ibb_json *j = NULL;
	char *deep;

	(void)state;
	memset(text, '[', IBB_LIMIT_JSON_DEPTH);
	memset(text + IBB_LIMIT_JSON_DEPTH, ']', IBB_LIMIT_JSON_DEPTH);
	assert_ok(parse(text, 2 * IBB_LIMIT_JSON_DEPTH, &j, &err), err);
	ibb_json_free(j);
	j = NULL;
	memset(text, '[', IBB_LIMIT_JSON_DEPTH + 1);
	memset(text + IBB_LIMIT_JSON_DEPTH + 1, ']', IBB_LIMIT_JSON_DEPTH + 1);
	assert_fails(parse(text, 2 * IBB_LIMIT_JSON_DEPTH + 2, &j, &err), IBB_E_LIMIT, err,
		     "f.json:1:65: not valid JSON: nested too deeply");
	/* a million brackets do not reach the stack's end; brackets in strings do not count */
	deep = ibb_alloc(1000000);
	memset(deep, '[', 1000000);
	assert_fails(parse(deep, 1000000, &j, &err), IBB_E_LIMIT, err, "nested too deeply");
	deep[0] = deep[999999] = '"';
	assert_ok(parse(deep, 1000000, &j, &err), err);
	ibb_json_free(j);
	free(deep);
	/* siblings do not add up */
	j = NULL;
	deep = ibb_alloc(3 * 1000 + 1);
	deep[0] = '[';
	for (int i = 0; i < 1000; i++)
		memcpy(deep + 1 + 3 * i, "[],", 3);
	deep[3000] = ']';
	assert_ok(parse(deep, 3001, &j, &err), err);
	assert_int_equal(ibb_json_count(j), 1000);
	ibb_json_free(j);
	free(deep);
}

static void test_size_limit(void **state)
{
	struct ibb_error err = {0};
	struct ibb_json *j = NULL;

	(void)state;
	/* refused by its length, before a byte of it is read */
	assert_fails(parse("{}", (size_t)IBB_LIMIT_JSON_BYTES + 1, &j, &err), IBB_E_LIMIT, err,
		     "more than a JSON file may have");
}

static struct ibb_json *document(void)
{
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_jb_object(&b, NULL, NULL), *a, *j = NULL;
	struct ibb_error err = {0};

	ibb_jb_str(&b, root, "text", "a\"\\\n\x7f\xc3\xa4");
	ibb_jb_str(&b, root, "none", NULL);
	ibb_jb_null(&b, root, "null");
	ibb_jb_fmt(&b, root, "fmt", "oem%d", 7);
	a = ibb_jb_array(&b, root, "ints");
	ibb_jb_int(&b, a, NULL, 0);
	ibb_jb_int(&b, a, NULL, -1);
	ibb_jb_int(&b, a, NULL, 999999999999999);
	ibb_jb_int(&b, a, NULL, 1234567890123460); /* cJSON alone: 1.23456789012346e+15 */
	ibb_jb_int(&b, a, NULL, 9007199254740993); /* 2^53 + 1 */
	ibb_jb_int(&b, a, NULL, INT64_MIN);
	ibb_jb_u64(&b, root, "u64", UINT64_MAX);
	ibb_jb_bool(&b, root, "yes", true);
	ibb_jb_hex(&b, root, "hex", "\x00\xab\xff", 3);
	ibb_jb_hex(&b, root, "nohex", NULL, 0);
	ibb_jb_object(&b, root, "empty");
	assert_ok(ibb_jb_done(&b, &j, &err), err);
	return j;
}

static void test_build_and_print(void **state)
{
	static const char want[] =
		"{\n\t\"text\":\t\"a\\\"\\\\\\n\x7f\xc3\xa4\",\n\t\"none\":\tnull,\n"
		"\t\"null\":\tnull,\n\t\"fmt\":\t\"oem7\",\n"
		"\t\"ints\":\t[0, -1, 999999999999999, 1234567890123460, 9007199254740993, "
		"-9223372036854775808],\n"
		"\t\"u64\":\t\"18446744073709551615\",\n\t\"yes\":\ttrue,\n"
		"\t\"hex\":\t\"00abff\",\n\t\"nohex\":\t\"\",\n\t\"empty\":\t{\n\t}\n}\n";
	struct ibb_json *j = document(), *back = NULL;
	IBB_AUTO_BUF struct ibb_buf a = {0}, b = {0};
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_json_print(j, &a, &err), err);
	assert_string_equal(ibb_buf_cstr(&a), want);
	ibb_json_free(j);
	/* the same document, the same bytes; and we read what we write */
	j = document();
	assert_ok(ibb_json_print(j, &b, &err), err);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	ibb_json_free(j);
	assert_ok(parse((char *)a.data, a.len, &back, &err), err);
	assert_string_equal(ibb_json_str(back, "text"), "a\"\\\n\x7f\xc3\xa4");
	ibb_json_free(back);
}

static void test_build_copy(void **state)
{
	struct ibb_json *j = document(), *out = NULL;
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_jb_object(&b, NULL, NULL);
	IBB_AUTO_BUF struct ibb_buf text = {0};
	struct ibb_error err = {0};

	(void)state;
	ibb_jb_copy(&b, root, "ints", ibb_json_get(j, "ints"));
	ibb_jb_copy(&b, root, "absent", NULL);
	ibb_json_free(j);
	assert_ok(ibb_jb_done(&b, &out, &err), err);
	assert_int_equal(ibb_json_count(ibb_json_get(out, "ints")), 6);
	assert_true(ibb_json_is_null(ibb_json_get(out, "absent")));
	assert_ok(ibb_json_print(out, &text, &err), err);
	assert_non_null(strstr(ibb_buf_cstr(&text), "-9223372036854775808"));
	ibb_json_free(out);
}

/* Names out of hostile files: what is not UTF-8 becomes U+FFFD, and nothing beside it is lost. */
static void test_build_not_utf8(void **state)
{
	static const char *const cases[][2] = {
		{"a\x80z", "a\xef\xbf\xbdz"},
		{"\xc3", "\xef\xbf\xbd"},
		{"\xc3z", "\xef\xbf\xbdz"},
		{"\xe2\x82z", "\xef\xbf\xbd\xef\xbf\xbdz"},
		{"\xed\xa0\x80z", "\xef\xbf\xbdz"},
		{"\xf0\x9f\x98\x80\x80", "\xf0\x9f\x98\x80\xef\xbf\xbd"},
		{"\xff\xc3\xa4", "\xef\xbf\xbd\xc3\xa4"},
		{"\xee\x80\x80\xed\x9f\xbf", "\xee\x80\x80\xed\x9f\xbf"},
	};
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_jb b = {0};
		struct ibb_json *root = ibb_jb_array(&b, NULL, NULL), *j = NULL;

		ibb_jb_str(&b, root, NULL, cases[i][0]);
		assert_ok(ibb_jb_done(&b, &j, &err), err);
		assert_string_equal(ibb_json_value_str(ibb_json_first(j)), cases[i][1]);
		ibb_json_free(j);
	}
}

static void test_build_long_and_wrong(void **state)
{
	struct ibb_error err = {0};
	struct ibb_json *root, *j = NULL;
	struct ibb_jb b = {0};
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	root = ibb_jb_object(&b, NULL, NULL);
	ibb_jb_fmt(&b, root, "long", "%s!", text);
	assert_ok(ibb_jb_done(&b, &j, &err), err);
	assert_int_equal(strlen(ibb_json_str(j, "long")), sizeof(text));
	ibb_json_free(j);
	j = NULL;
	b = (struct ibb_jb){0};
	ibb_jb_object(&b, NULL, NULL);
	assert_null(ibb_jb_object(&b, NULL, NULL)); /* a second root */
	assert_fails(ibb_jb_done(&b, &j, &err), IBB_E_INTERNAL, err, "one root");
	b = (struct ibb_jb){0};
	assert_fails(ibb_jb_done(&b, &j, &err), IBB_E_INTERNAL, err, "one root");
	assert_null(j);
	ibb_jb_clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_build_and_print),
		cmocka_unit_test(test_build_copy),
		cmocka_unit_test(test_build_not_utf8),
		cmocka_unit_test(test_build_long_and_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
