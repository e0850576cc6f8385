/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The base block. */
#include "hive/hive_int.h"

#include <string.h>

#include "base/utf16.h"

uint32_t hv_checksum(const uint8_t *base)
{
	uint32_t c = 0;

	for (unsigned i = 0; i < 508; i += 4)
		c ^= ibb_get_le32(base + i);
	/* Windows never writes 0 or -1 */
	return c == 0 ? 1 : c == 0xFFFFFFFFu ? 0xFFFFFFFEu : c;
}

static void read_file_name(const uint8_t *p, char out[64 * 3 + 1])
{
	struct ibb_buf b = {0};
	size_t n = 0;

	out[0] = '\0';
	while (n < 64 && (p[n] || p[n + 1]))
		n += 2;
	/* for display only: without memory it stays empty */
	if (ibb_utf8_append(&b, p, n) == IBB_OK && b.len <= 64 * 3) {
		if (b.len)
			memcpy(out, b.data, b.len);
		out[b.len] = '\0';
	}
	ibb_buf_clear(&b);
}

int ibb_hive_header_read(const char *name, struct ibb_bytes bytes, struct ibb_hive_header *ret,
			 struct ibb_error *err)
{
	const uint8_t *p = bytes.data;
	struct ibb_hive_header hd = {0};

	if (bytes.len < HV_BASE)
		return ibb_err(err, IBB_E_CORRUPT,
			       "hive %s: %zu bytes are too few for a registry hive (truncated)",
			       name, bytes.len);
	if (memcmp(p, "regf", 4) != 0)
		return ibb_err(err, IBB_E_CORRUPT,
			       "hive %s: not a registry hive (no 'regf' at offset 0)", name);
	hd.seq1 = ibb_get_le32(p + 4);
	hd.seq2 = ibb_get_le32(p + 8);
	hd.last_written = ibb_get_le64(p + 12);
	hd.major = ibb_get_le32(p + 20);
	hd.minor = ibb_get_le32(p + 24);
	hd.file_type = ibb_get_le32(p + 28);
	hd.root_cell = ibb_get_le32(p + 36);
	hd.bins_bytes = ibb_get_le32(p + 40);
	hd.checksum = ibb_get_le32(p + 508);
	hd.computed_checksum = hv_checksum(p);
	hd.checksum_ok = hd.checksum == hd.computed_checksum;
	hd.dirty = !hd.checksum_ok || hd.seq1 != hd.seq2;
	read_file_name(p + 48, hd.file_name);
	*ret = hd;
	return IBB_OK;
}
