/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules of URLs and headers. */
#include "test.h"

#include "base/limits.h"
#include "net/http.h"

static void url_checked(void **state)
{
	struct ibb_error err = {0};
	char *longest;

	(void)state;
	assert_ok(ibb_url_check("https://host/file", &err), err);
	assert_ok(ibb_url_check("HTTP://host", &err), err);
	assert_ok(ibb_url_check("http://u:p@[::1]:80/?a#b", &err), err);
	assert_fails(ibb_url_check("ftp://host/x", &err), IBB_E_UNSUPPORTED, err, "scheme 'ftp'");
	assert_fails(ibb_url_check("file:///etc/passwd", &err), IBB_E_UNSUPPORTED, err, "'file'");
	assert_fails(ibb_url_check("https:/host", &err), IBB_E_UNSUPPORTED, err, "'https'");
	assert_fails(ibb_url_check("", &err), IBB_E_UNSUPPORTED, err, "scheme");
	assert_fails(ibb_url_check("https:///x", &err), IBB_E_UNSUPPORTED, err, "without a host");
	assert_fails(ibb_url_check("https://u@/x", &err), IBB_E_UNSUPPORTED, err, "without a host");
	assert_fails(ibb_url_check("https://h/a b", &err), IBB_E_UNSUPPORTED, err, "characters");
	assert_fails(ibb_url_check("https://h/\r\nX: y", &err), IBB_E_UNSUPPORTED, err,
		     "characters");
	assert_fails(ibb_url_check("https://h\\@x/", &err), IBB_E_UNSUPPORTED, err, "characters");
	longest = malloc(IBB_LIMIT_URL_BYTES + 2);
	assert_non_null(longest);
	memset(longest, 'a', IBB_LIMIT_URL_BYTES + 1);
	memcpy(longest, "https://", 8);
	longest[IBB_LIMIT_URL_BYTES + 1] = '\0';
	assert_fails(ibb_url_check(longest, &err), IBB_E_UNSUPPORTED, err, "8193 bytes");
	longest[IBB_LIMIT_URL_BYTES] = '\0';
	assert_ok(ibb_url_check(longest, &err), err);
	free(longest);
}

static void shown_is(const char *url, const char *want)
{
	char *s = ibb_url_shown(url);

	assert_non_null(s);
	assert_string_equal(s, want);
	free(s);
}

static void url_shown(void **state)
{
	(void)state;
	shown_is("https://host/a/b.exe", "https://host/a/b.exe");
	shown_is("HTTPS://user:pass@host:8/a?sig=x#y", "https://host:8/a?...");
	shown_is("http://a@b@host/x@y", "http://host/x@y");
	shown_is("http://user@host?x", "http://host?...");
	shown_is("http://host#secret", "http://host");
	shown_is("data:secret", "(no http or https URL)");
}

static void upgraded_is(const char *url, const char *want)
{
	char *s = ibb_url_upgrade(url);

	assert_non_null(s);
	assert_string_equal(s, want);
	assert_true(ibb_url_is_https(s));
	free(s);
}

static void url_upgraded(void **state)
{
	(void)state;
	upgraded_is("http://host/a:80/b", "https://host/a:80/b");
	upgraded_is("http://host:80/a", "https://host/a");
	upgraded_is("HTTP://u:p@host:80", "https://u:p@host");
	upgraded_is("http://host:8080/a", "https://host:8080/a");
	upgraded_is("http://[::1]:80/a", "https://[::1]/a");
	assert_false(ibb_url_is_https("http://https://x"));
}

static void validators(void **state)
{
	(void)state;
	assert_true(ibb_http_strong_etag("\"abc\""));
	assert_false(ibb_http_strong_etag("W/\"abc\""));
	assert_false(ibb_http_strong_etag("abc"));
	assert_false(ibb_http_strong_etag("\"\""));
	assert_false(ibb_http_strong_etag("\"a\"b\""));
	assert_false(ibb_http_strong_etag("\"a\nb\""));
	assert_false(ibb_http_strong_etag(NULL));
	assert_true(ibb_http_strong_date(1000, 1060));
	assert_false(ibb_http_strong_date(1001, 1060));
	assert_false(ibb_http_strong_date(-1, 1060));
	assert_false(ibb_http_strong_date(0, -1));
}

static void ranges(void **state)
{
	static const char *const bad[] = {"",
					  "bytes",
					  "bytes 5-9",
					  "bytes 9-5/10",
					  "bytes 5-10/10",
					  "bytes -5/10",
					  "bytes 5-9/10x",
					  "lines 5-9/10",
					  "bytes 5-9/",
					  "bytes */x",
					  "bytes */*",
					  "bytes 5-9/99999999999999999999",
					  "bytes 18446744073709551616-18446744073709551617/*"};
	struct ibb_content_range r;

	(void)state;
	assert_true(ibb_http_content_range("bytes 5-9/10", &r));
	assert_true(r.first == 5 && r.last == 9 && r.total == 10 && r.has_total && !r.unsatisfied);
	assert_true(ibb_http_continues(&r, 5, 10));
	assert_true(ibb_http_continues(&r, 5, 0));
	assert_false(ibb_http_continues(&r, 4, 10));
	assert_false(ibb_http_continues(&r, 5, 11));
	assert_true(ibb_http_content_range("Bytes 5-8/10", &r));
	assert_false(ibb_http_continues(&r, 5, 10)); /* not to the end */
	assert_true(ibb_http_content_range("bytes 5-9/*", &r));
	assert_false(ibb_http_continues(&r, 5, 10)); /* of what? */
	assert_true(ibb_http_content_range("bytes */10", &r));
	assert_true(r.unsatisfied && r.total == 10);
	assert_false(ibb_http_continues(&r, 10, 10));
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++)
		if (ibb_http_content_range(bad[i], &r))
			fail_msg("'%s' passes", bad[i]);
}

static void pauses(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_int_equal(ibb_http_backoff_ms(500, 1, 0), 500);
	assert_int_equal(ibb_http_backoff_ms(500, 3, 0), 2000);
	assert_int_equal(ibb_http_backoff_ms(500, 1, UINT32_MAX), 750);
	assert_int_equal(ibb_http_backoff_ms(500, 60, 0), 30000);
	assert_int_equal(ibb_http_backoff_ms(500, 4000000000u, UINT32_MAX), 45000);
	assert_true(ibb_http_u64("18446744073709551615", &n) && n == UINT64_MAX);
	assert_false(ibb_http_u64("18446744073709551616", &n));
	assert_false(ibb_http_u64("", &n));
	assert_false(ibb_http_u64("-1", &n));
	assert_false(ibb_http_u64("1 ", &n));
	assert_true(n == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(url_checked),	cmocka_unit_test(url_shown),
		cmocka_unit_test(url_upgraded), cmocka_unit_test(validators),
		cmocka_unit_test(ranges),	cmocka_unit_test(pauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
