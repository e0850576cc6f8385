/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mklog.h"

#include <string.h>

#include "hive/hive_int.h"

static uint32_t bins_of(struct ibb_bytes image)
{
	return ibb_get_le32(image.data + HV_BB_BINS);
}

/* Do the n bytes at off of the bins of `after` differ from what stands there before? */
static bool changes(struct ibb_bytes before, struct ibb_bytes after, uint32_t off, uint32_t n)
{
	return off >= bins_of(before) ||
	       memcmp(before.data + HV_BASE + off, after.data + HV_BASE + off, n) != 0;
}

void mklog_checksum(uint8_t *base)
{
	ibb_put_le32(base + HV_BB_CHECKSUM, hv_checksum(base));
}

void mklog_mark(struct ibb_buf *image, uint32_t seq1, uint32_t seq2)
{
	ibb_put_le32(image->data + HV_BB_SEQ1, seq1);
	ibb_put_le32(image->data + HV_BB_SEQ2, seq2);
	mklog_checksum(image->data);
}

int mklog_begin(struct ibb_bytes image, unsigned type, uint32_t seq, unsigned factor,
		struct ibb_buf *ret)
{
	ret->len = 0;
	if (ibb_buf_append(ret, image.data, (size_t)factor * HV_SECTOR))
		return IBB_E_NOMEM;
	ibb_put_le32(ret->data + HV_BB_TYPE, type);
	ibb_put_le32(ret->data + HV_BB_CLUSTERING, factor);
	mklog_mark(ret, seq, seq);
	return IBB_OK;
}

void mklog_seal(struct ibb_buf *log, size_t off)
{
	uint8_t *p = log->data + off;

	ibb_put_le64(p + 24, hv_marvin32(p + 40, ibb_get_le32(p + 4) - 40));
	ibb_put_le64(p + 32, hv_marvin32(p, 32));
}

/* An entry with those of the changed pages whose ordinal is in [from, to). */
static int add_entry(struct ibb_bytes before, struct ibb_bytes after, uint32_t seq, uint32_t bins,
		     uint32_t from, uint32_t to, struct ibb_buf *log)
{
	IBB_AUTO_BUF struct ibb_buf refs = {0}, pages = {0};
	size_t off = log->len;
	uint8_t word[8], head[40] = "HvLE";
	uint32_t n = 0, size;

	for (uint32_t at = 0; at < bins_of(after); at += 4096) {
		if (!changes(before, after, at, 4096) || n++ < from || n > to)
			continue;
		ibb_put_le32(word, at);
		ibb_put_le32(word + 4, 4096);
		if (ibb_buf_append(&refs, word, 8) ||
		    ibb_buf_append(&pages, after.data + HV_BASE + at, 4096))
			return IBB_E_NOMEM;
	}
	size = (uint32_t)(sizeof(head) + refs.len + pages.len + 511) / 512 * 512;
	ibb_put_le32(head + 4, size);
	ibb_put_le32(head + 8, ibb_get_le32(after.data + HV_BB_FLAGS) & 1);
	ibb_put_le32(head + 12, seq);
	ibb_put_le32(head + 16, bins);
	ibb_put_le32(head + 20, (uint32_t)refs.len / 8);
	if (ibb_buf_append(log, head, sizeof(head)) || ibb_buf_append(log, refs.data, refs.len) ||
	    ibb_buf_append(log, pages.data, pages.len) ||
	    ibb_buf_append_zero(log, off + size - log->len))
		return IBB_E_NOMEM;
	mklog_seal(log, off);
	return IBB_OK;
}

int mklog_entry(struct ibb_bytes before, struct ibb_bytes after, uint32_t seq, struct ibb_buf *log)
{
	return add_entry(before, after, seq, bins_of(after), 0, UINT32_MAX, log);
}

int mklog_new(struct ibb_bytes before, struct ibb_bytes after, uint32_t first_seq,
	      unsigned n_entries, struct ibb_buf *ret)
{
	/* the size grows with the first entry and shrinks with the last */
	const uint32_t b = bins_of(before), a = bins_of(after), larger = a > b ? a : b;
	uint32_t n = 0;
	int r = mklog_begin(before, MKLOG_NEW, first_seq, 1, ret);

	for (uint32_t at = 0; at < a; at += 4096)
		n += changes(before, after, at, 4096);
	for (uint32_t i = 0; !r && i < n_entries; i++)
		r = add_entry(before, after, first_seq + i, i + 1 < n_entries ? larger : a,
			      n * i / n_entries, n * (i + 1) / n_entries, ret);
	return r;
}

int mklog_old(struct ibb_bytes before, struct ibb_bytes after, uint32_t seq, unsigned factor,
	      bool ragged, struct ibb_buf *ret)
{
	const uint32_t bins = bins_of(after), unit = ragged ? 512 : 4096, sector = factor * 512;
	int r = mklog_begin(after, MKLOG_OLD, seq, factor, ret);

	if (r || ibb_buf_append(ret, "DIRT", 4) || ibb_buf_append_zero(ret, bins / 4096) ||
	    ibb_buf_append_zero(ret, (sector - ret->len % sector) % sector))
		return IBB_E_NOMEM;
	for (uint32_t at = 0; at < bins; at += 512) {
		if (!changes(before, after, at / unit * unit, unit))
			continue;
		ret->data[sector + 4 + at / 4096] |= (uint8_t)(1u << at / 512 % 8);
		if (ibb_buf_append(ret, after.data + HV_BASE + at, 512))
			return IBB_E_NOMEM;
	}
	return IBB_OK;
}
