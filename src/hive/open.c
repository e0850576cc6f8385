/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening, closing, serialising. */
#include "hive/hive_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int hv_bad(const struct ibb_hive *h, uint32_t off, struct ibb_error *err, const char *fmt, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	ibb_err(err, IBB_E_CORRUPT, "hive %s: cell at 0x%x: %s", h->name, off, what);
	return ibb_err_hint(err, IBB_E_CORRUPT,
			    "the hive is damaged; restore it, or let Windows repair it: boot the "
			    "image once and shut it down");
}

static int check_header(const char *name, const struct ibb_hive_header *hd, size_t file_bytes,
			const uint8_t *base, struct ibb_error *err)
{
	const char *boot = "boot Windows once and shut it down cleanly (not fast startup), then "
			   "try again";

	if (hd->major != 1 || hd->minor < 3 || hd->minor > 6)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "hive %s: format version %u.%u is not supported (1.3 to 1.6 are)",
			       name, hd->major, hd->minor);
	if (hd->file_type != 0)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "hive %s: file type %u is not a primary hive file (a transaction "
			       "log?)",
			       name, hd->file_type);
	if (ibb_get_le32(base + 32) != 1)
		return ibb_err(err, IBB_E_UNSUPPORTED, "hive %s: file format %u is not supported",
			       name, ibb_get_le32(base + 32));
	if (!hd->checksum_ok) {
		ibb_err(err, IBB_E_DIRTY,
			"hive %s: the header checksum is 0x%08x, should be 0x%08x: the hive was "
			"not cleanly closed",
			name, hd->checksum, hd->computed_checksum);
		return ibb_err_hint(err, IBB_E_DIRTY, "%s", boot);
	}
	if (hd->seq1 != hd->seq2) {
		ibb_err(err, IBB_E_DIRTY,
			"hive %s: sequence numbers %u and %u differ: the hive was not cleanly "
			"closed",
			name, hd->seq1, hd->seq2);
		return ibb_err_hint(err, IBB_E_DIRTY, "%s", boot);
	}
	if (!hd->bins_bytes || hd->bins_bytes % HV_BIN_ALIGN)
		return ibb_err(err, IBB_E_CORRUPT,
			       "hive %s: header: size 0x%x of the hive bins is not a multiple of "
			       "4096",
			       name, hd->bins_bytes);
	if (hd->bins_bytes > file_bytes - HV_BASE)
		return ibb_err(err, IBB_E_CORRUPT,
			       "hive %s: truncated: the header promises 0x%x bytes of hive bins, "
			       "the file has 0x%zx",
			       name, hd->bins_bytes, file_bytes - HV_BASE);
	return IBB_OK;
}

int ibb_hive_open_view(const char *name, struct ibb_bytes bytes, struct ibb_hive **ret,
		       struct ibb_error *err)
{
	IBB_AUTO(ibb_hive_close) struct ibb_hive *h = NULL;
	struct ibb_hive_header hd;
	struct hv_key root;
	int r;

	if (bytes.len > IBB_LIMIT_HIVE_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "hive %s: %zu bytes exceed the limit of %u", name,
			       bytes.len, IBB_LIMIT_HIVE_BYTES);
	r = ibb_hive_header_read(name, bytes, &hd, err);
	if (!r)
		r = check_header(name, &hd, bytes.len, bytes.data, err);
	if (r)
		return r;
	h = ibb_zalloc(sizeof(*h));
	if (!h)
		return ibb_err_nomem(err);
	h->name = ibb_strdup(name);
	if (!h->name)
		return ibb_err_nomem(err);
	h->header = hd;
	h->img = bytes.data;
	h->file_bytes = bytes.len;
	h->bins_bytes = hd.bins_bytes;
	h->pages_opened = hd.bins_bytes / HV_PAGE;
	h->max_sequence = hd.seq1;
	r = hv_map_bins(h, err);
	if (!r)
		r = hv_key(h, hd.root_cell, &root, err);
	if (r)
		return ibb_err_prefix(err, r, "cannot open");
	*ret = IBB_TAKE(h);
	return IBB_OK;
}

int ibb_hive_open(const char *name, struct ibb_buf *bytes, struct ibb_hive **ret,
		  struct ibb_error *err)
{
	struct ibb_hive *h;
	int r = ibb_hive_open_view(name, ibb_buf_bytes(bytes), &h, err);

	if (r)
		return r;
	h->own = bytes->data;
	h->cap = bytes->cap;
	*bytes = (struct ibb_buf){0};
	*ret = h;
	return IBB_OK;
}

int ibb_hive_open_logged(const char *name, struct ibb_buf *bytes, const struct ibb_hive_log *logs,
			 size_t n_logs, bool accept_dirty, struct ibb_hive_recovery *ret_recovery,
			 struct ibb_hive **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE uint64_t *pages = ibb_calloc_array(IBB_HIVE_PAGE_WORDS, sizeof(*pages));
	struct ibb_hive *h;
	int r;

	if (!pages)
		return ibb_err_nomem(err);
	r = ibb_hive_recover(name, bytes, logs, n_logs, accept_dirty, pages, ret_recovery, err);
	if (!r)
		r = ibb_hive_open(name, bytes, &h, err);
	if (r)
		return r;
	h->recovered = ret_recovery->dirty;
	h->replayed = IBB_TAKE(pages);
	if (h->max_sequence < ret_recovery->max_sequence)
		h->max_sequence = ret_recovery->max_sequence;
	*ret = h;
	return IBB_OK;
}

void ibb_hive_close(struct ibb_hive *h)
{
	if (!h)
		return;
	ibb_hive_close(h->before);
	free(h->name);
	if (h->now)
		ibb_unmap_zeroed(h->own, (size_t)HV_BASE + h->bins_bytes);
	else
		free(h->own);
	free(h->starts);
	free(h->in_order);
	free(h->bins);
	free(h->saved);
	free(h->replayed);
	free(h->excess);
	hv_classes_clear(h);
	ibb_buf_clear(&h->scratch);
	free(h);
}

const char *ibb_hive_name(const struct ibb_hive *h)
{
	return h->name;
}

const struct ibb_hive_header *ibb_hive_header(const struct ibb_hive *h)
{
	return &h->header;
}

ibb_key ibb_hive_root(const struct ibb_hive *h)
{
	return h->header.root_cell;
}

bool ibb_hive_edited(const struct ibb_hive *h)
{
	return h->edited;
}

int ibb_hive_seal(struct ibb_hive *h, uint64_t time, struct ibb_bytes *ret, struct ibb_error *err)
{
	uint32_t seq = h->max_sequence + 1;
	uint8_t *p = h->own;
	int r;

	if (!h->edited && !h->recovered) {
		*ret = (struct ibb_bytes){h->img, h->file_bytes};
		return IBB_OK;
	}
	if (h->max_sequence == UINT32_MAX)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "hive %s: its sequence numbers are used up: none is above those of "
			       "the hive and its logs",
			       h->name);
	/* recovered, but not edited: what follows is the first change */
	r = hv_keep_before(h, err);
	if (r)
		return r;
	for (size_t i = 0; i < h->n_excess; i++)
		hv_sk_release(h, h->excess[i].sk, h->excess[i].n);
	h->n_excess = 0;
	/* the first bin keeps a copy of the header's time */
	ibb_put_le64(hv_mut_at(h, 0) + 20, time);
	ibb_put_le32(p + 4, seq);
	ibb_put_le32(p + 8, seq);
	ibb_put_le64(p + 12, time);
	ibb_put_le32(p + 40, h->bins_bytes);
	ibb_put_le32(p + 508, hv_checksum(p));
	*ret = (struct ibb_bytes){h->img, (size_t)HV_BASE + h->bins_bytes};
	return IBB_OK;
}

int ibb_hive_serialize(struct ibb_hive *h, uint64_t time, struct ibb_buf *ret,
		       struct ibb_error *err)
{
	struct ibb_bytes bytes;
	uint8_t *copy;
	int r = ibb_hive_seal(h, time, &bytes, err);

	if (r)
		return r;
	copy = ibb_memdup(bytes.data, bytes.len);
	if (!copy)
		return ibb_err_nomem(err);
	ibb_buf_clear(ret);
	*ret = (struct ibb_buf){copy, bytes.len, bytes.len};
	return IBB_OK;
}
