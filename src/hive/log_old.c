/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logs of the old format (up to Windows 8): a bitmap of dirty 512-byte pages, and the pages. */
#include "hive/hive_int.h"

#include <string.h>

static bool is_old(const struct hv_log *log)
{
	return log->sound && log->report->format == IBB_HIVE_LOG_OLD;
}

static bool bit(const struct hv_log *log, uint32_t i)
{
	return log->bytes.data[log->start + 4 + i / 8] >> i % 8 & 1;
}

/*
 * "Dirty vector", "Dirty pages": one bit for 512 bytes of the hive bins, then, from the next sector
 * on, the pages whose bits are set. No hash covers any of it.
 */
void hv_old_scan(struct hv_log *log)
{
	const uint32_t n_bits = log->bins / HV_SECTOR;
	uint64_t end = (uint64_t)log->start + 4 + n_bits / 8, have;
	uint32_t n = 0;

	if (!is_old(log))
		return;
	if (log->bytes.len < log->start + 4 ||
	    memcmp(log->bytes.data + log->start, "DIRT", 4) != 0) {
		hv_log_why(log, "no dirty vector ('DIRT') behind its base block");
		return;
	}
	log->report->n_entries = 1;
	log->report->first_sequence = log->report->last_sequence = log->seq;
	if (end > log->bytes.len) {
		hv_log_why(log, "truncated: it ends in its dirty vector");
		return;
	}
	for (uint32_t i = 0; i < n_bits; i++)
		n += bit(log, i);
	end = (end + log->start - 1) / log->start * log->start;
	have = end < log->bytes.len ? (log->bytes.len - end) / HV_SECTOR : 0;
	log->pages_at = (size_t)end;
	if (!n)
		hv_log_why(log, "its dirty vector names no page");
	else if (n > have)
		hv_log_why(log, "truncated: its dirty vector names %u pages, the file has %llu", n,
			   (unsigned long long)have);
	else
		log->n_dirty = n;
}

static bool is_bin(const uint8_t *p, uint32_t off, uint32_t bins, uint32_t *ret_size)
{
	uint32_t size = ibb_get_le32(p + 8);

	*ret_size = size;
	return memcmp(p, "hbin", 4) == 0 && ibb_get_le32(p + 4) == off && size >= HV_BIN_ALIGN &&
	       size % HV_BIN_ALIGN == 0 && size <= bins - off;
}

/*
 * Windows stops at a dirty bin that is none and leaves the hive half recovered. Here all bins are
 * looked at as they would be afterwards, and such a log is not applied at all.
 */
static bool check_bins(const struct hv_recovery *rec, struct hv_log *log)
{
	const struct ibb_buf *hive = rec->hive;
	const uint8_t *page = log->bytes.data + log->pages_at, *p;
	uint32_t next = 0, size;

	for (uint32_t i = 0; i < log->bins / HV_SECTOR; i++) {
		const bool dirty = bit(log, i);
		const size_t at = HV_BASE + (size_t)i * HV_SECTOR;

		/* what lies behind the hive's own bins is padding, which recovery clears */
		p = dirty ? page
		    : at + HV_SECTOR <= hive->len &&
				    (!rec->base_ok || at < (size_t)HV_BASE + rec->bins)
			    ? hive->data + at
			    : NULL;
		page += dirty ? HV_SECTOR : 0;
		if (i * HV_SECTOR != next)
			continue;
		if (!p || !is_bin(p, next, log->bins, &size)) {
			hv_log_why(log, "with its pages there would be no hive bin at 0x%x", next);
			return false;
		}
		next += size;
	}
	return true;
}

/*
 * "Base block", note 3. Windows 10 leaves the time 0 in hives that it logs in the new format; then
 * equal times mean nothing.
 */
static bool can_apply(const struct hv_recovery *rec, struct hv_log *log)
{
	if (!log->n_dirty)
		return false;
	if (!log->time || log->time != rec->time) {
		hv_log_why(log, "its last-written time 0x%llx is not that of the hive, 0x%llx",
			   (unsigned long long)log->time, (unsigned long long)rec->time);
		return false;
	}
	return check_bins(rec, log);
}

/*
 * A log that was started after a failed write holds all that the other one does ("Multiple
 * transaction log files", "Old format"), so one of them is enough: the newer.
 */
void hv_old_plan(struct hv_recovery *rec, struct hv_plan *ret)
{
	struct hv_log *best = NULL;

	for (size_t i = 0; i < rec->n_logs; i++) {
		struct hv_log *log = &rec->logs[i];

		if (is_old(log) && can_apply(rec, log) && (!best || log->seq > best->seq))
			best = log;
	}
	for (size_t i = 0; best && i < rec->n_logs; i++)
		if (is_old(&rec->logs[i]) && &rec->logs[i] != best && !rec->logs[i].report->why[0])
			hv_log_why(&rec->logs[i], "another log is newer or comes first");
	if (best)
		ret->logs[ret->n++] = best;
}

int hv_old_apply(struct hv_recovery *rec, const struct hv_plan *plan, struct ibb_error *err)
{
	const struct hv_log *log = plan->logs[0];
	const uint8_t *page = log->bytes.data + log->pages_at;
	uint32_t bins = rec->base_ok ? rec->bins : log->bins, seq = log->seq;
	int r = hv_rec_resize(rec, bins < log->bins ? bins : log->bins, log->bins, err);

	if (r)
		return r;
	if (!rec->base_ok)
		hv_rec_base(rec, log);
	else if (rec->seq1 > seq) /* up to Windows Server 2003: one above the log's (note 5) */
		seq = rec->seq1;
	rec->ret->bins_before = bins;
	for (uint32_t i = 0; i < log->bins / HV_SECTOR; i++) {
		if (!bit(log, i))
			continue;
		hv_rec_write(rec, i * HV_SECTOR, page, HV_SECTOR);
		page += HV_SECTOR;
		rec->ret->bytes_applied += HV_SECTOR;
	}
	ibb_put_le32(rec->hive->data + HV_BB_ROOT, ibb_get_le32(log->bytes.data + HV_BB_ROOT));
	hv_rec_finish(rec, seq, log->bins);
	log->report->n_applied = 1;
	rec->ret->replayed = true;
	return IBB_OK;
}
