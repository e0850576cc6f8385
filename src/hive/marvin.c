/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Marvin32, the checksum of log entries. The format specification gives the seed as the bytes
 * 82 EF 4D 88 7A 4E 55 C5; they are the number 0x82EF4D887A4E55C5, whose lower half is the first
 * word of the state.
 */
#include "hive/hive_int.h"

static inline uint32_t rol(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

#define MIX(lo, hi, word)                  \
	do {                               \
		(lo) += (word);            \
		(hi) ^= (lo);              \
		(lo) = rol(lo, 20) + (hi); \
		(hi) = rol(hi, 9) ^ (lo);  \
		(lo) = rol(lo, 27) + (hi); \
		(hi) = rol(hi, 19);        \
	} while (0)

uint64_t hv_marvin32(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t lo = 0x7A4E55C5, hi = 0x82EF4D88, tail = 0x80;

	for (; n >= 4; n -= 4, p += 4)
		MIX(lo, hi, ibb_get_le32(p));
	while (n) /* the last bytes, and 0x80 behind them */
		tail = tail << 8 | p[--n];
	MIX(lo, hi, tail);
	MIX(lo, hi, 0);
	return (uint64_t)hi << 32 | lo;
}
