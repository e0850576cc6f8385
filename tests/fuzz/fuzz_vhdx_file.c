/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz_vhdx.h"

#include "base/le.h"
#include "disk/crc32c.h"
#include "mkvhdx.h"

#define MIB 1048576ull

size_t fuzz_vhdx_piece(const uint8_t *data, size_t size, unsigned n)
{
	size_t at = FUZZ_VHDX_HEAD;

	while (at + FUZZ_VHDX_PIECE <= size) {
		size_t len = ibb_get_le16(data + at + 4);

		if (!n--)
			return at;
		at += FUZZ_VHDX_PIECE + len;
	}
	return 0;
}

static void seal(struct ibb_disk *d, uint64_t at, size_t n)
{
	uint8_t *b = malloc(n);

	FUZZ_CHECK(b && !ibb_disk_pread(d, b, n, at, NULL), "out of memory");
	ibb_put_le32(b + 4, 0);
	ibb_put_le32(b + 4, ibb_crc32c(0, b, n));
	FUZZ_CHECK(!ibb_disk_pwrite(d, b, 8, at, NULL), "out of memory");
	free(b);
}

/* Entries of the log where the current header has it, unless they go over its end. */
static void seal_log(struct ibb_disk *d)
{
	uint8_t h[128];
	uint64_t at, len;

	FUZZ_CHECK(!ibb_disk_pread(d, h, 80, 128u << 10, NULL), "out of memory");
	at = ibb_get_le64(h + 72);
	len = ibb_get_le32(h + 68) < MIB ? ibb_get_le32(h + 68) : MIB;
	if (!ibb_in_range(at, len, d->size_bytes))
		return;
	for (uint64_t i = 0; i + 4096 <= len; i += 4096) {
		uint32_t n;

		FUZZ_CHECK(!ibb_disk_pread(d, h, 12, at + i, NULL), "out of memory");
		n = ibb_get_le32(h + 8);
		if (memcmp(h, "loge", 4) == 0 && n >= 4096 && n <= len - i && n <= 65536)
			seal(d, at + i, n);
	}
}

struct ibb_disk *fuzz_vhdx_file(const uint8_t *data, size_t size)
{
	struct ibb_disk *d = NULL;
	size_t at;

	if (size < FUZZ_VHDX_HEAD)
		return NULL;
	if (ibb_disk_mem_new(ibb_get_le16(data + 2) % 256 * MIB, 512, &d, NULL))
		return NULL;
	for (unsigned i = 0; (at = fuzz_vhdx_piece(data, size, i)) != 0; i++) {
		uint64_t off = (uint64_t)ibb_get_le32(data + at) * FUZZ_VHDX_UNIT;
		size_t n = ibb_get_le16(data + at + 4);

		n = n < size - at - FUZZ_VHDX_PIECE ? n : size - at - FUZZ_VHDX_PIECE;
		if (n && ibb_in_range(off, n, d->size_bytes))
			FUZZ_CHECK(!ibb_disk_pwrite(d, data + at + FUZZ_VHDX_PIECE, n, off, NULL),
				   "out of memory");
	}
	if (ibb_get_le16(data) & FUZZ_VHDX_SEAL && d->size_bytes >= MIB) {
		seal(d, MKVHDX_HEADER1, 4096);
		seal(d, MKVHDX_HEADER2, 4096);
		seal(d, MKVHDX_REGION1, MKVHDX_TABLE);
		seal(d, MKVHDX_REGION2, MKVHDX_TABLE);
		seal_log(d);
	}
	return d;
}

void fuzz_vhdx_pack(struct ibb_disk *file, unsigned flags, struct ibb_buf *ret)
{
	uint8_t head[8], b[FUZZ_VHDX_UNIT];

	ibb_put_le16(head, (uint16_t)flags);
	ibb_put_le16(head + 2, (uint16_t)((file->size_bytes + MIB - 1) / MIB));
	FUZZ_CHECK(!ibb_buf_append(ret, head, FUZZ_VHDX_HEAD), "out of memory");
	for (uint64_t off = 0; off + sizeof(b) <= file->size_bytes; off += sizeof(b)) {
		size_t n = sizeof(b);

		FUZZ_CHECK(!ibb_disk_pread(file, b, n, off, NULL), "out of memory");
		while (n && !b[n - 1])
			n--;
		if (!n)
			continue;
		ibb_put_le32(head, (uint32_t)(off / FUZZ_VHDX_UNIT));
		ibb_put_le16(head + 4, (uint16_t)n);
		FUZZ_CHECK(!ibb_buf_append(ret, head, FUZZ_VHDX_PIECE) &&
				   !ibb_buf_append(ret, b, n),
			   "out of memory");
	}
}
