/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz_hive.h"

#include "base/le.h"

void fuzz_fix_checksum(uint8_t *base)
{
	uint32_t c = 0;

	for (unsigned i = 0; i < 508; i += 4)
		c ^= ibb_get_le32(base + i);
	ibb_put_le32(base + 508, c == 0 ? 1 : c == 0xffffffff ? 0xfffffffe : c);
}

void fuzz_repair_base(uint8_t *p, size_t n)
{
	uint32_t bins;

	if (n < FUZZ_HIVE_BASE)
		return;
	bins = (uint32_t)((n - FUZZ_HIVE_BASE) / 4096 * 4096);
	memcpy(p, "regf", 4);
	ibb_put_le32(p + 8, ibb_get_le32(p + 4));
	ibb_put_le32(p + 20, 1);
	ibb_put_le32(p + 24, 3 + (ibb_get_le32(p + 24) - 3) % 4);
	ibb_put_le32(p + 28, 0);
	ibb_put_le32(p + 32, 1);
	if (!ibb_get_le32(p + 40) || ibb_get_le32(p + 40) > bins || ibb_get_le32(p + 40) % 4096)
		ibb_put_le32(p + 40, bins);
	fuzz_fix_checksum(p);
}

struct ibb_hive *fuzz_open(const uint8_t *p, size_t n, bool repair, struct ibb_error *err)
{
	struct ibb_buf b = fuzz_copy(p, n);
	struct ibb_hive *h = NULL;

	if (repair)
		fuzz_repair_base(b.data, b.len);
	if (ibb_hive_open("fuzz", &b, &h, err))
		ibb_buf_clear(&b);
	return h;
}

struct ibb_buf fuzz_serialize(struct ibb_hive *h)
{
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	int r = ibb_hive_serialize(h, 132000000000000000ull, &b, &err);

	if (r == IBB_E_UNSUPPORTED && ibb_hive_header(h)->seq1 == UINT32_MAX)
		return (struct ibb_buf){0};
	FUZZ_CHECK(!r, "serialize: %d %s", r, err.msg);
	return b;
}
