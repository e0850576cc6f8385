/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"

#include <stdio.h>

/* Seconds from 1601-01-01 to 1970-01-01: 369 years with 89 leap days. */
#define EPOCH_DIFF   11644473600LL
#define TICKS_PER_S  10000000ULL
#define SECS_PER_DAY 86400LL
/* What ISO 8601 writes with four digits: 0000-01-01T00:00:00Z to 9999-12-31T23:59:59Z. */
#define MIN_SECONDS (-62167219200LL)
#define MAX_SECONDS 253402300799LL

uint64_t ibb_filetime_from_unix(int64_t seconds)
{
	if (seconds <= -EPOCH_DIFF)
		return 0;
	if (seconds > (int64_t)(INT64_MAX / TICKS_PER_S) - EPOCH_DIFF)
		return INT64_MAX;
	return (uint64_t)(seconds + EPOCH_DIFF) * TICKS_PER_S;
}

int64_t ibb_filetime_to_unix(uint64_t filetime)
{
	return (int64_t)(filetime / TICKS_PER_S) - EPOCH_DIFF;
}

static bool leap(int y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int month_days(int y, int m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[m - 1] + (m == 2 && leap(y));
}

/* Days from 1970-01-01, proleptic Gregorian calendar; years from March so leap days come last. */
static int64_t days_from_civil(int y, int m, int d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t z, int *y, int *m, int *d)
{
	z += 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = (int)(yoe + era * 400 + (*m <= 2));
}

bool ibb_filetime_from_date(int year, int month, int day, uint64_t *ret)
{
	if (year < 1601 || year > 9999 || month < 1 || month > 12 || day < 1 ||
	    day > month_days(year, month))
		return false;
	*ret = ibb_filetime_from_unix(days_from_civil(year, month, day) * SECS_PER_DAY);
	return true;
}

static int64_t floor_days(int64_t seconds)
{
	return (seconds >= 0 ? seconds : seconds - (SECS_PER_DAY - 1)) / SECS_PER_DAY;
}

void ibb_filetime_to_date(uint64_t filetime, int *ret_year, int *ret_month, int *ret_day)
{
	civil_from_days(floor_days(ibb_filetime_to_unix(filetime)), ret_year, ret_month, ret_day);
}

void ibb_unix_format(int64_t seconds, char out[IBB_ISO8601_SIZE])
{
	int64_t days, s;
	int y, m, d;

	seconds = seconds < MIN_SECONDS ? MIN_SECONDS : seconds;
	seconds = seconds > MAX_SECONDS ? MAX_SECONDS : seconds;
	days = floor_days(seconds);
	s = seconds - days * SECS_PER_DAY;
	civil_from_days(days, &y, &m, &d);
	snprintf(out, IBB_ISO8601_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", y, m, d, (int)(s / 3600),
		 (int)(s / 60 % 60), (int)(s % 60));
}
