/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hive as it was before its edits, in memory that is proportional to what they change: a bin
 * is copied before the first byte of it changes.
 */
#include "hive/hive_int.h"

#include <string.h>

/* The bin that a byte lies in; the hive is as it was opened there. */
static void bin_of(const struct ibb_hive *h, uint32_t off, uint32_t *ret_start, uint32_t *ret_end)
{
	uint32_t page = off / HV_PAGE, pages = h->bins_bytes / HV_PAGE, end = page + 1;

	while (!hv_bit(h->bins, page))
		page--;
	while (end < pages && !hv_bit(h->bins, end))
		end++;
	*ret_start = page * HV_PAGE;
	*ret_end = end * HV_PAGE;
}

uint8_t *hv_mut_at(struct ibb_hive *h, uint32_t off)
{
	struct ibb_hive *was = h->before;
	uint32_t start, end;

	if (was && off < was->bins_bytes && !hv_bit(was->saved, off / HV_PAGE)) {
		bin_of(was, off, &start, &end);
		memcpy(was->own + HV_BASE + start, h->img + HV_BASE + start, end - start);
		for (uint32_t i = start / HV_PAGE; i < end / HV_PAGE; i++)
			was->saved[i / 64] |= (uint64_t)1 << (i % 64);
	}
	return h->own + HV_BASE + off;
}

int hv_keep_before(struct ibb_hive *h, struct ibb_error *err)
{
	IBB_AUTO(ibb_hive_close) struct ibb_hive *was = ibb_zalloc(sizeof(*was));
	size_t words = h->bins_bytes / 512, pages = h->bins_bytes / HV_PAGE;

	if (h->before)
		return IBB_OK;
	if (!was)
		return ibb_err_nomem(err);
	was->now = h;
	was->header = h->header;
	was->bins_bytes = h->bins_bytes;
	was->file_bytes = h->file_bytes;
	was->n_words = words;
	was->sound = true;
	was->name = ibb_strdup(h->name);
	was->starts = ibb_memdup(h->starts, words * sizeof(*was->starts));
	was->in_order = ibb_calloc_array(words, sizeof(*was->in_order));
	was->bins = ibb_memdup(h->bins, (pages / 64 + 1) * sizeof(*was->bins));
	was->saved = ibb_calloc_array(pages / 64 + 1, sizeof(*was->saved));
	was->own = ibb_map_zeroed((size_t)HV_BASE + h->bins_bytes);
	if (!was->name || !was->starts || !was->in_order || !was->bins || !was->saved || !was->own)
		return ibb_err_nomem(err);
	memcpy(was->own, h->img, HV_BASE);
	was->img = was->own;
	h->before = IBB_TAKE(was);
	return IBB_OK;
}

const struct ibb_hive *ibb_hive_before(const struct ibb_hive *h)
{
	return h->before ? h->before : h;
}

bool ibb_hive_page_changed(const struct ibb_hive *h, uint64_t file_offset)
{
	uint64_t page = file_offset / HV_PAGE;

	if (!page)
		return h->edited || h->recovered;
	page--;
	if (page >= h->pages_opened)
		return true;
	return (h->before && hv_bit(h->before->saved, (uint32_t)page)) ||
	       (h->replayed && hv_bit(h->replayed, (uint32_t)page));
}
