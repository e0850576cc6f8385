/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base: errors, memory, buffers, byte order, GUIDs, times, digests. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/guid.h"
#include "base/hash.h"
#include "base/le.h"
#include "base/time.h"

static void test_error_fill(void **state)
{
	struct ibb_error err = {0};

	(void)state;
	assert_int_equal(ibb_err(&err, IBB_E_CORRUPT, "hive %s: cell at 0x%x", "SYSTEM", 0x20),
			 IBB_E_CORRUPT);
	assert_int_equal(err.code, IBB_E_CORRUPT);
	assert_int_equal(err.os_errno, 0);
	assert_string_equal(err.source, "ibbake");
	assert_string_equal(err.msg, "hive SYSTEM: cell at 0x20");
	assert_string_equal(err.hint, "");

	assert_int_equal(ibb_err_hint(&err, IBB_E_CORRUPT, "try %d", 2), IBB_E_CORRUPT);
	assert_string_equal(err.hint, "try 2");
	assert_int_equal(ibb_err_prefix(&err, IBB_E_CORRUPT, "image %s", "a.vhd"), IBB_E_CORRUPT);
	assert_string_equal(err.msg, "image a.vhd: hive SYSTEM: cell at 0x20");
	assert_string_equal(err.hint, "try 2"); /* context does not drop the remedy */

	/* a new error replaces the old one whole */
	assert_int_equal(ibb_err_lib(&err, IBB_E_IO, "ntfs-3g", "mount"), IBB_E_IO);
	assert_string_equal(err.source, "ntfs-3g");
	assert_string_equal(err.msg, "mount");
	assert_string_equal(err.hint, "");
	assert_int_equal(ibb_err_nomem(&err), IBB_E_NOMEM);
	assert_string_equal(err.msg, "out of memory");
}

static void test_error_os(void **state)
{
	struct ibb_error err = {0};

	(void)state;
	assert_int_equal(ibb_err_os(&err, EACCES, "%s: open", "f"), IBB_E_IO);
	assert_string_equal(err.msg, "f: open: Permission denied");
	assert_string_equal(err.source, "os");
	assert_int_equal(err.os_errno, EACCES);
	assert_int_equal(ibb_err_os(&err, ENOSPC, "f"), IBB_E_NOSPACE);
	assert_int_equal(ibb_err_os(&err, EDQUOT, "f"), IBB_E_NOSPACE);
	assert_int_equal(ibb_err_os(&err, ENOMEM, "f"), IBB_E_NOMEM);
}

static void test_error_null(void **state)
{
	(void)state;
	assert_int_equal(ibb_err(NULL, IBB_E_LIMIT, "x"), IBB_E_LIMIT);
	assert_int_equal(ibb_err_os(NULL, ENOSPC, "x"), IBB_E_NOSPACE);
	assert_int_equal(ibb_err_lib(NULL, IBB_E_IO, "s", "x"), IBB_E_IO);
	assert_int_equal(ibb_err_prefix(NULL, IBB_E_IO, "x"), IBB_E_IO);
	assert_int_equal(ibb_err_hint(NULL, IBB_E_IO, "x"), IBB_E_IO);
	assert_int_equal(ibb_err_nomem(NULL), IBB_E_NOMEM);
}

static void test_error_truncated(void **state)
{
	struct ibb_error err = {0};
	char text[4096];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ibb_err(&err, IBB_E_IO, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	ibb_err_prefix(&err, IBB_E_IO, "front");
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_memory_equal(err.msg, "front: xxx", 10);
	ibb_err_prefix(&err, IBB_E_IO, "%s", text); /* the prefix alone fills it */
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_null(strchr(err.msg, ':'));
	ibb_err_os(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	ibb_err_hint(&err, IBB_E_IO, "%s", text);
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);

	/* the cut never leaves half a character: 1022 bytes and a two-byte character do not fit */
	text[sizeof(err.msg) - 2] = '\0';
	ibb_err(&err, IBB_E_IO, "%s\xc3\xa9", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 2);
	text[sizeof(err.msg) - 3] = '\0';
	ibb_err(&err, IBB_E_IO, "%s\xc3\xa9", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_string_equal(err.msg + sizeof(err.msg) - 3, "\xc3\xa9");
	text[sizeof(err.msg) - 4] = '\0';
	ibb_err(&err, IBB_E_IO, "%s\xf0\x9f\x98\x80", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 4);
}

static void test_error_one_line(void **state)
{
	struct ibb_error err = {0};

	(void)state;
	ibb_err(&err, IBB_E_CORRUPT, "name '%s'", "a\n\x1b[2Jb\x7f");
	assert_string_equal(err.msg, "name 'a??[2Jb?'");
	ibb_err_prefix(&err, IBB_E_CORRUPT, "p\tq");
	assert_string_equal(err.msg, "p?q: name 'a??[2Jb?'");
	ibb_err_hint(&err, IBB_E_CORRUPT, "x\ny");
	assert_string_equal(err.hint, "x?y");
}

/* Alive in every build: the process ends and says where. */
static void test_assert(void **state)
{
	int out[2], status;
	char text[256];
	ssize_t n;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(out), 0);
	child = fork();
	if (!child) {
		dup2(out[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		IBB_ASSERT(1 + 1 == 2);
		IBB_ASSERT(1 + 1 == 3);
		_exit(0);
	}
	close(out[1]);
	n = read(out[0], text, sizeof(text) - 1);
	close(out[0]);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "ibbake: internal error: "));
	assert_non_null(strstr(text, ": 1 + 1 == 3\n"));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_exit_status(void **state)
{
	static const struct {
		int code, status;
		const char *name;
	} want[] = {
		{IBB_OK, 0, "ok"},
		{IBB_E_NOMEM, 255, "out-of-memory"},
		{IBB_E_IO, 255, "io"},
		{IBB_E_NOSPACE, 255, "no-space"},
		{IBB_E_NOTFOUND, 255, "not-found"},
		{IBB_E_EXISTS, 100, "exists"},
		{IBB_E_INVALID, 2, "usage"},
		{IBB_E_CORRUPT, 255, "damaged"},
		{IBB_E_UNSUPPORTED, 100, "unsupported"},
		{IBB_E_LIMIT, 255, "limit"},
		{IBB_E_DIRTY, 100, "dirty"},
		{IBB_E_UNTRUSTED, 100, "untrusted"},
		{IBB_E_CONFLICT, 100, "conflict"},
		{IBB_E_READONLY, 255, "read-only"},
		{IBB_E_CANCELLED, 130, "cancelled"},
		{IBB_E_INTERNAL, 255, "internal"},
		{IBB_E_DIFFERS, 3, "differs"},
		{IBB_E_TIMEOUT, 240, "timeout"},
		{IBB_E_CHANGED, 255, "changed"},
	};

	(void)state;
	/* codes are numbered without gaps: a new one without a line here is noticed */
	for (int i = 0; i < (int)IBB_ARRAY_SIZE(want); i++) {
		assert_int_equal(want[i].code, -i);
		assert_int_equal(ibb_exit_status(want[i].code), want[i].status);
		assert_string_equal(ibb_code_name(want[i].code), want[i].name);
	}
	assert_int_equal(ibb_exit_status(-(int)IBB_ARRAY_SIZE(want)), 255);
	assert_string_equal(ibb_code_name(-(int)IBB_ARRAY_SIZE(want)), "internal");
	assert_int_equal(ibb_exit_status(1), 255);
}

static void test_mem_overflow(void **state)
{
	size_t cap = SIZE_MAX / 2 + 1;
	int *items = NULL;
	int dummy;

	(void)state;
	assert_null(ibb_realloc_array(NULL, SIZE_MAX / 2, 3));
	assert_null(ibb_calloc_array(SIZE_MAX / 2, 3));
	assert_null(ibb_strndup("x", SIZE_MAX));
	items = &dummy;
	assert_int_equal(ibb_grow(&items, &cap, cap, sizeof(*items)), IBB_E_NOMEM);
	assert_ptr_equal(items, &dummy);
	cap = SIZE_MAX / 4;
	assert_int_equal(ibb_grow(&items, &cap, cap, sizeof(*items)), IBB_E_NOMEM);
	assert_ptr_equal(items, &dummy);
	assert_int_equal(cap, SIZE_MAX / 4);
}

static void test_mem_basic(void **state)
{
	IBB_AUTO_FREE void *zero = ibb_alloc(0);
	IBB_AUTO_FREE unsigned char *z = ibb_zalloc(64);
	IBB_AUTO_FREE unsigned char *c = ibb_calloc_array(0, 0);
	IBB_AUTO_FREE char *s = ibb_strdup("drivers");
	IBB_AUTO_FREE char *n = ibb_strndup("drivers", 3);
	IBB_AUTO_FREE char *f = ibb_asprintf("oem%d.inf", 7);
	IBB_AUTO_FREE void *m = ibb_memdup("\0\1", 2);
	IBB_AUTO_FREE void *empty = ibb_memdup(NULL, 0);
	char *taken;

	(void)state;
	assert_non_null(zero);
	assert_non_null(c);
	assert_non_null(empty);
	for (int i = 0; i < 64; i++)
		assert_int_equal(z[i], 0);
	assert_string_equal(s, "drivers");
	assert_string_equal(n, "dri");
	free(n);
	n = ibb_strndup(NULL, 0);
	assert_string_equal(n, "");
	assert_string_equal(f, "oem7.inf");
	assert_memory_equal(m, "\0\1", 2);
	taken = IBB_TAKE(s);
	assert_null(s);
	assert_string_equal(taken, "drivers");
	free(taken);
}

static void test_mem_grow(void **state)
{
	IBB_AUTO_FREE int *v = NULL;
	size_t cap = 0;

	(void)state;
	for (size_t n = 0; n < 1000; n++) {
		assert_int_equal(ibb_grow(&v, &cap, n, sizeof(*v)), IBB_OK);
		assert_true(cap > n);
		v[n] = (int)n;
	}
	for (int n = 0; n < 1000; n++)
		assert_int_equal(v[n], n);
	assert_int_equal(cap, 1024);
}

static void test_checked_arithmetic(void **state)
{
	uint64_t r = 7;

	(void)state;
	assert_true(ibb_add_u64(UINT64_MAX - 1, 1, &r));
	assert_true(r == UINT64_MAX);
	assert_false(ibb_add_u64(UINT64_MAX, 1, &r));
	assert_true(ibb_mul_u64(UINT64_MAX / 2, 2, &r));
	assert_false(ibb_mul_u64(UINT64_MAX / 2 + 1, 2, &r));
	assert_true(ibb_in_range(0, 0, 0));
	assert_true(ibb_in_range(10, 0, 10));
	assert_true(ibb_in_range(4, 6, 10));
	assert_false(ibb_in_range(4, 7, 10));
	assert_false(ibb_in_range(11, 0, 10));
	assert_false(ibb_in_range(UINT64_MAX, 2, UINT64_MAX));
	assert_false(ibb_in_range(2, UINT64_MAX, UINT64_MAX));
	assert_true(ibb_in_range(1, UINT64_MAX - 1, UINT64_MAX));
}

static void test_fault_hook(void **state)
{
	void *p;

	(void)state;
	ibb_mem_fail_at(1, false);
	p = ibb_alloc(1);
	assert_non_null(p);
	free(p);
	assert_null(ibb_alloc(1));
	p = ibb_zalloc(1);
	assert_non_null(p);
	free(p);
	assert_int_equal(ibb_mem_count(), 3);
	assert_int_equal(ibb_mem_count(), 0);
	ibb_mem_fail_at(0, true);
	assert_null(ibb_calloc_array(1, 1));
	assert_null(ibb_realloc_array(NULL, 1, 1));
	assert_null(ibb_strdup("x"));
	assert_null(ibb_memdup("x", 1));
	assert_null(ibb_asprintf("x"));
	ibb_mem_fail_at(-1, false);
	p = ibb_strdup("x");
	assert_non_null(p);
	free(p);
}

static void test_arena(void **state)
{
	struct ibb_arena a = {0};
	char *strings[2000];
	unsigned char *big, *zeroes;
	uint64_t *aligned;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		strings[i] = ibb_arena_printf(&a, "string %d", i);
		assert_non_null(strings[i]);
		if (i % 500 == 250) { /* a block of its own does not disturb the current one */
			big = ibb_arena_alloc(&a, 200000);
			assert_non_null(big);
			memset(big, 0xff, 200000);
		}
	}
	for (int i = 0; i < 2000; i++) {
		char want[32];

		snprintf(want, sizeof(want), "string %d", i);
		assert_string_equal(strings[i], want);
	}
	aligned = ibb_arena_array(&a, 3, sizeof(*aligned));
	assert_int_equal((uintptr_t)aligned % _Alignof(max_align_t), 0);
	zeroes = ibb_arena_array(&a, 100, 10);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(zeroes[i], 0);
	assert_string_equal(ibb_arena_strdup(&a, "abc"), "abc");
	assert_string_equal(ibb_arena_strndup(&a, "abc", 2), "ab");
	assert_string_equal(ibb_arena_strndup(&a, NULL, 0), "");
	assert_null(ibb_arena_array(&a, SIZE_MAX / 2, 3));
	assert_null(ibb_arena_alloc(&a, SIZE_MAX));
	assert_null(ibb_arena_strndup(&a, "x", SIZE_MAX));
	ibb_arena_clear(&a);
	assert_null(a.head);
	ibb_arena_clear(&a);
}

static void test_buf(void **state)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	struct ibb_bytes v;
	char *s;

	(void)state;
	assert_string_equal(ibb_buf_cstr(&b), "");
	assert_int_equal(b.len, 0);
	assert_int_equal(ibb_buf_append(&b, NULL, 0), IBB_OK);
	assert_int_equal(ibb_buf_append_str(&b, "abc"), IBB_OK);
	assert_int_equal(ibb_buf_append_zero(&b, 2), IBB_OK);
	assert_int_equal(ibb_buf_printf(&b, "%03d", 7), IBB_OK);
	v = ibb_buf_bytes(&b);
	assert_int_equal(v.len, 8);
	assert_memory_equal(v.data,
			    "abc\0\0"
			    "007",
			    8);
	assert_int_equal(ibb_buf_append(&b, "x", SIZE_MAX), IBB_E_NOMEM);
	assert_int_equal(ibb_buf_append_zero(&b, SIZE_MAX - 4), IBB_E_NOMEM);
	assert_int_equal(b.len, 8); /* a refused append changes nothing */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(ibb_buf_printf(&b, "%d,", i), IBB_OK);
	assert_memory_equal(b.data + 8, "0,1,2,3,", 8);
	assert_memory_equal(b.data + b.len - 8, "998,999,", 8);
	ibb_buf_clear(&b);
	assert_int_equal(ibb_buf_append_str(&b, "mine"), IBB_OK);
	s = ibb_buf_take_str(&b);
	assert_string_equal(s, "mine");
	assert_null(b.data);
	assert_int_equal(b.len + b.cap, 0);
	free(s);
}

static void test_byte_order(void **state)
{
	const uint8_t in[8] = {1, 2, 3, 4, 5, 6, 7, 0xf8};
	uint8_t out[9] = {0};

	(void)state;
	assert_int_equal(ibb_get_le16(in), 0x0201);
	assert_int_equal(ibb_get_be16(in), 0x0102);
	assert_int_equal(ibb_get_le32(in), 0x04030201);
	assert_int_equal(ibb_get_be32(in), 0x01020304);
	assert_true(ibb_get_le64(in) == 0xf807060504030201ULL);
	assert_true(ibb_get_be64(in) == 0x01020304050607f8ULL);
	assert_int_equal(ibb_get_le32(in + 1), 0x05040302); /* unaligned */
	ibb_put_le16(out + 1, 0x1122);
	ibb_put_be16(out + 3, 0x1122);
	ibb_put_le32(out + 5, 0xa1b2c3d4);
	assert_memory_equal(out, "\0\x22\x11\x11\x22\xd4\xc3\xb2\xa1", 9);
	ibb_put_be32(out, 0xa1b2c3d4);
	assert_memory_equal(out, "\xa1\xb2\xc3\xd4", 4);
	ibb_put_le64(out, ibb_get_le64(in));
	assert_memory_equal(out, in, 8);
	ibb_put_be64(out, 0x01020304050607f8ULL);
	assert_memory_equal(out, in, 8);
}

static void test_guid(void **state)
{
	/* the class Net, as the registry's ClassGUID blobs hold it */
	static const uint8_t net[16] = {0x72, 0xe9, 0x36, 0x4d, 0x25, 0xe3, 0xce, 0x11,
					0xbf, 0xc1, 0x08, 0x00, 0x2b, 0xe1, 0x03, 0x18};
	static const char *const wrong[] = {"",
					    "{}",
					    "{",
					    "{4d36e972-e325-11ce-bfc1-08002be10318",
					    "4d36e972-e325-11ce-bfc1-08002be10318}",
					    "{4d36e972-e325-11ce-bfc1-08002be10318}x",
					    "{4d36e972-e325-11ce-bfc1-08002be1031}",
					    "{4d36e972-e325-11ce-bfc1-08002be1031g}",
					    "4d36e972e32511cebfc108002be10318",
					    " 4d36e972-e325-11ce-bfc1-08002be10318",
					    "4d36e972-e325-11ce-bfc1-08002be10318 ",
					    "4d36e97-2e325-11ce-bfc1-08002be10318"};
	struct ibb_guid g, h = {{0}};
	char text[IBB_GUID_STR_SIZE];

	(void)state;
	assert_true(ibb_guid_parse("{4D36E972-E325-11CE-BFC1-08002bE10318}", &g));
	assert_memory_equal(g.b, net, 16);
	assert_true(ibb_guid_parse("4d36e972-e325-11ce-bfc1-08002be10318", &h));
	assert_true(ibb_guid_equal(&g, &h));
	assert_false(ibb_guid_is_zero(&g));
	ibb_guid_format(&g, text);
	assert_string_equal(text, "{4d36e972-e325-11ce-bfc1-08002be10318}");
	for (size_t i = 0; i < IBB_ARRAY_SIZE(wrong); i++) {
		memset(&h, 0xaa, sizeof(h));
		if (ibb_guid_parse(wrong[i], &h))
			fail_msg("'%s' was taken for a GUID", wrong[i]);
		assert_int_equal(h.b[0], 0xaa); /* outputs are untouched on failure */
	}
	assert_true(ibb_guid_parse("00000000-0000-0000-0000-000000000000", &h));
	assert_true(ibb_guid_is_zero(&h));
	assert_false(ibb_guid_equal(&g, &h));
}

static void test_filetime(void **state)
{
	static const struct {
		int y, m, d;
		uint64_t ft;
	} days[] = {
		{1601, 1, 1, 0},
		{1900, 3, 1, 94405824000000000ULL},
		{1970, 1, 1, 116444736000000000ULL},
		{2000, 2, 29, 125962560000000000ULL},
		{2006, 6, 21, 127953216000000000ULL}, /* the DriverVer date of every inbox driver */
		{2024, 4, 26, 133585632000000000ULL},
		{9999, 12, 31, 2650466880000000000ULL},
	};
	uint64_t ft = 5;
	int y, m, d;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(days); i++) {
		assert_true(ibb_filetime_from_date(days[i].y, days[i].m, days[i].d, &ft));
		assert_true(ft == days[i].ft);
		ibb_filetime_to_date(ft, &y, &m, &d);
		assert_int_equal(y * 10000 + m * 100 + d,
				 days[i].y * 10000 + days[i].m * 100 + days[i].d);
		ibb_filetime_to_date(ft + 863999999999ULL, &y, &m, &d); /* the day's last tick */
		assert_int_equal(d, days[i].d);
		assert_true(ibb_filetime_from_unix(ibb_filetime_to_unix(ft)) == ft);
	}
	assert_true(ibb_filetime_from_unix(0) == 116444736000000000ULL);
	assert_true(ibb_filetime_to_unix(116444736000000000ULL - 1) == -1 ||
		    ibb_filetime_to_unix(116444736000000000ULL - 1) == 0);
	ft = 5;
	assert_false(ibb_filetime_from_date(1600, 12, 31, &ft));
	assert_false(ibb_filetime_from_date(10000, 1, 1, &ft));
	assert_false(ibb_filetime_from_date(2023, 2, 29, &ft));
	assert_false(ibb_filetime_from_date(1900, 2, 29, &ft));
	assert_false(ibb_filetime_from_date(2024, 13, 1, &ft));
	assert_false(ibb_filetime_from_date(2024, 0, 1, &ft));
	assert_false(ibb_filetime_from_date(2024, 4, 31, &ft));
	assert_false(ibb_filetime_from_date(2024, 4, 0, &ft));
	assert_true(ft == 5);
}

/* Every day of 1601..2400 follows the one before it. */
static void test_calendar(void **state)
{
	uint64_t ft = 0, want = 0;
	int y, m, d;

	(void)state;
	for (int year = 1601; year <= 2400; year++)
		for (int month = 1; month <= 12; month++)
			for (int day = 1; day <= 31; day++) {
				if (!ibb_filetime_from_date(year, month, day, &ft))
					continue;
				if (ft != want)
					fail_msg("%d-%d-%d", year, month, day);
				ibb_filetime_to_date(ft, &y, &m, &d);
				if (y != year || m != month || d != day)
					fail_msg("%d-%d-%d", year, month, day);
				want += 864000000000ULL;
			}
	assert_true(want == 292194ULL * 864000000000ULL); /* days of 800 years: two cycles */
}

static void test_time_limits(void **state)
{
	char text[IBB_ISO8601_SIZE];

	(void)state;
	/* SOURCE_DATE_EPOCH may be any number */
	assert_true(ibb_filetime_from_unix(INT64_MAX) == INT64_MAX);
	assert_true(ibb_filetime_from_unix(INT64_MIN) == 0);
	assert_true(ibb_filetime_from_unix(-11644473600LL) == 0);
	assert_true(ibb_filetime_from_unix(-11644473599LL) == 10000000);
	assert_true(ibb_filetime_to_unix(UINT64_MAX) == 1833029933770LL);
	ibb_unix_format(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	ibb_unix_format(1795161600, text);
	assert_string_equal(text, "2026-11-20T08:00:00Z");
	ibb_unix_format(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59Z");
	ibb_unix_format(951782399, text);
	assert_string_equal(text, "2000-02-28T23:59:59Z");
	ibb_unix_format(951782400, text);
	assert_string_equal(text, "2000-02-29T00:00:00Z");
	ibb_unix_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
	ibb_unix_format(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00Z");
}

static void test_hash(void **state)
{
	/* FIPS 180-4's examples */
	static const char empty[] =
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	static const char abc[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	struct ibb_hasher *h = NULL;
	struct ibb_sha1 s1;
	struct ibb_sha256 d, e;
	char hex[IBB_SHA256_HEX_SIZE], upper[IBB_SHA256_HEX_SIZE];

	(void)state;
	assert_int_equal(ibb_sha256(NULL, 0, &d), IBB_OK);
	ibb_sha256_hex(&d, hex);
	assert_string_equal(hex, empty);
	assert_int_equal(ibb_hasher_new(&h), IBB_OK);
	assert_int_equal(ibb_hasher_update(h, "a", 1), IBB_OK);
	assert_int_equal(ibb_hasher_update(h, "bc", 2), IBB_OK);
	assert_int_equal(ibb_hasher_final(h, &e), IBB_OK);
	ibb_sha256_hex(&e, hex);
	assert_string_equal(hex, abc);
	assert_true(ibb_sha256_parse(abc, &d));
	assert_memory_equal(d.b, e.b, sizeof(d.b));
	for (int i = 0; i < IBB_SHA256_HEX_SIZE; i++)
		upper[i] = (char)(abc[i] >= 'a' ? abc[i] - 32 : abc[i]);
	assert_true(ibb_sha256_parse(upper, &d));
	assert_memory_equal(d.b, e.b, sizeof(d.b));
	upper[63] = 'G';
	assert_false(ibb_sha256_parse(upper, &d));
	assert_false(ibb_sha256_parse("", &d));
	assert_false(ibb_sha256_parse(abc + 1, &d));
	assert_false(ibb_sha256_parse(
		"../../../../../../../../../../../../../../../../etc/passwd-----x", &d));
	assert_memory_equal(d.b, e.b, sizeof(d.b));
	/* FIPS 180-1, appendix A */
	assert_int_equal(ibb_hasher_new_sha1(&h), IBB_OK);
	assert_int_equal(ibb_hasher_update(h, "ab", 2), IBB_OK);
	assert_int_equal(ibb_hasher_update(h, "c", 1), IBB_OK);
	assert_int_equal(ibb_hasher_final_sha1(h, &s1), IBB_OK);
	ibb_hex(s1.b, sizeof(s1.b), hex);
	assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
	assert_int_equal(ibb_hasher_new(&h), IBB_OK);
	ibb_hasher_free(h);
	ibb_hasher_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_fill),
		cmocka_unit_test(test_error_os),
		cmocka_unit_test(test_error_null),
		cmocka_unit_test(test_error_truncated),
		cmocka_unit_test(test_error_one_line),
		cmocka_unit_test(test_assert),
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_mem_overflow),
		cmocka_unit_test(test_mem_basic),
		cmocka_unit_test(test_mem_grow),
		cmocka_unit_test(test_checked_arithmetic),
		cmocka_unit_test(test_fault_hook),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_byte_order),
		cmocka_unit_test(test_guid),
		cmocka_unit_test(test_filetime),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_time_limits),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
