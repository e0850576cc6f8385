/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Windows FILETIME (100 ns since 1601-01-01 UTC) and civil dates. */
#ifndef IBB_BASE_TIME_H
#define IBB_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define IBB_ISO8601_SIZE 32

/* Seconds since 1970 to FILETIME; 0 before 1601, INT64_MAX (Windows' limit) past the year 30828. */
uint64_t ibb_filetime_from_unix(int64_t seconds);
int64_t ibb_filetime_to_unix(uint64_t filetime);
/* 00:00:00 UTC of a Gregorian date; false when the date does not exist or lies outside 1601..9999.
 */
bool ibb_filetime_from_date(int year, int month, int day, uint64_t *ret);
void ibb_filetime_to_date(uint64_t filetime, int *ret_year, int *ret_month, int *ret_day);
/* "2026-11-20T08:00:00Z"; times outside the years 0 to 9999 become the nearest one inside. */
void ibb_unix_format(int64_t seconds, char out[IBB_ISO8601_SIZE]);

#endif
