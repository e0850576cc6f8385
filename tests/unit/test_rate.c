/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How progress is told, by a clock of the test's own. */
#include "test.h"

#include "cli/rate.h"

#define MIB 1048576ull

static struct ibb_progress at(uint64_t done, uint64_t total)
{
	return (struct ibb_progress){.phase = "copy", .done = done, .total = total};
}

static void assert_text(const struct cli_rate *r, struct ibb_progress p, const char *want)
{
	char text[CLI_RATE_TEXT];

	cli_rate_text(r, &p, text);
	assert_string_equal(text, want);
}

/* 100 MiB a second, from a clock that begins anywhere. */
static void test_steady(void **state)
{
	struct cli_rate r = {0};
	struct ibb_progress p;

	(void)state;
	for (uint64_t ms = 0; ms <= 10000; ms += 10) {
		p = at(ms * 100 * MIB / 1000, 4000 * MIB);
		cli_rate_update(&r, 77777777 + ms, &p);
		if (ms < 250)
			assert_int_equal(r.bytes_per_second, 0);
		else
			assert_in_range(r.bytes_per_second, 99 * MIB, 101 * MIB);
		if (ms == 100)
			assert_text(&r, p, "10.0 MiB of 3.9 GiB (0%)");
	}
	assert_int_equal(r.bytes_per_second, 100 * MIB);
	assert_int_equal(r.seconds_left, 30);
	assert_text(&r, p, "1000.0 MiB of 3.9 GiB (25%), 100.0 MiB/s, 30 s left");
}

/* What counts are the last seconds: fast out of a cache, then slow. */
static void test_slower(void **state)
{
	struct cli_rate r = {0};
	struct ibb_progress p = at(0, 4000 * MIB);

	(void)state;
	cli_rate_update(&r, 0, &p);
	p.done = 2000 * MIB;
	cli_rate_update(&r, 1000, &p);
	assert_int_equal(r.bytes_per_second, 2000 * MIB);
	assert_int_equal(r.seconds_left, 1);
	for (uint64_t ms = 1250; ms <= 6000; ms += 250) {
		p.done += MIB;
		cli_rate_update(&r, ms, &p);
	}
	assert_int_equal(r.bytes_per_second, 4 * MIB);
	assert_text(&r, p, "2.0 GiB of 3.9 GiB (50%), 4.0 MiB/s, 8 min 15 s left");
	/* it stands still: the last rate stays, nothing is divided by zero */
	cli_rate_update(&r, 60000000, &p);
	assert_true(r.bytes_per_second > 0);
}

static void test_times(void **state)
{
	const struct {
		uint64_t rate, left, done, total;
		const char *text;
	} t[] = {
		{1, 0, 100, 100, "100 bytes of 100 bytes (100%), 1 bytes/s, 0 s left"},
		{1024, 59, 0, 10, "0 bytes of 10 bytes (0%), 1.0 KiB/s, 59 s left"},
		{1024, 60, 5, 10, "5 bytes of 10 bytes (50%), 1.0 KiB/s, 1 min 00 s left"},
		{MIB, 3599, 5, 10, "5 bytes of 10 bytes (50%), 1.0 MiB/s, 59 min 59 s left"},
		{MIB, 3660, 5, 10, "5 bytes of 10 bytes (50%), 1.0 MiB/s, 1 h 01 min left"},
		{0, 0, 5, 10, "5 bytes of 10 bytes (50%)"},
		{0, 0, 0, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		const struct cli_rate r = {.bytes_per_second = t[i].rate,
					   .seconds_left = t[i].left};

		assert_text(&r, at(t[i].done, t[i].total), t[i].text);
	}
	/* the longest there is fits */
	{
		const struct cli_rate r = {.bytes_per_second = UINT64_MAX,
					   .seconds_left = UINT64_MAX};
		char text[CLI_RATE_TEXT];
		struct ibb_progress p = at(UINT64_MAX, UINT64_MAX);

		cli_rate_text(&r, &p, text);
		assert_non_null(strstr(text, " left"));
	}
}

static void test_new_phase(void **state)
{
	struct cli_rate r = {0};
	struct ibb_progress p = at(0, 100 * MIB);

	(void)state;
	cli_rate_update(&r, 0, &p);
	p.done = 50 * MIB;
	cli_rate_update(&r, 1000, &p);
	assert_int_equal(r.seconds_left, 1);
	p = (struct ibb_progress){.phase = "check"};
	cli_rate_update(&r, 1100, &p);
	assert_int_equal(r.bytes_per_second, 0);
	assert_text(&r, p, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_slower),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_new_phase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
