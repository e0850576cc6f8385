/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logs of the new format (Windows 8.1 on): entries, each with hashes and a sequence number. */
#include "hive/hive_int.h"

#include <string.h>

enum {
	LE_SIZE = 4,
	LE_FLAGS = 8,
	LE_SEQ = 12,
	LE_BINS = 16,
	LE_N_PAGES = 20,
	LE_HASH1 = 24,
	LE_HASH2 = 32,
	LE_REFS = 40
};

struct entry {
	const uint8_t *p;
	uint32_t size, seq, bins, n_pages;
	uint32_t keep; /* bytes of hive bins that no later entry cuts off */
	bool unchecked;
};

static void parse(const uint8_t *p, struct entry *ret)
{
	*ret = (struct entry){.p = p,
			      .size = ibb_get_le32(p + LE_SIZE),
			      .seq = ibb_get_le32(p + LE_SEQ),
			      .bins = ibb_get_le32(p + LE_BINS),
			      .n_pages = ibb_get_le32(p + LE_N_PAGES)};
}

/* ---- finding entries ---- */

/*
 * Is a sound entry at off? NULL when it is, "" when nothing looks like one, otherwise what is
 * wrong with it. Hash-2 covers the header alone and goes first; but everybody can make it right,
 * so a log of nothing but headers that claim the whole rest of the file would cost quadratic time.
 * What entries with a wrong Hash-1 have cost is therefore taken from *budget; when that is used
 * up, entries are `unchecked`. A writer leaves one such entry, if any.
 */
static const char *read_entry(struct ibb_bytes b, size_t off, uint64_t *budget, struct entry *ret)
{
	const uint8_t *p = b.data + off;

	if (memcmp(p, "HvLE", 4) != 0)
		return "";
	if (hv_marvin32(p, LE_HASH2) != ibb_get_le64(p + LE_HASH2))
		return "Hash-2 is wrong";
	parse(p, ret);
	if (ret->size < LE_REFS || ret->size % HV_SECTOR)
		return "its size is impossible";
	if (!ibb_in_range(off, ret->size, b.len))
		return "it reaches beyond the end of the file";
	if (ret->size > *budget) {
		ret->unchecked = true;
		return "Hash-1 was not checked: too many wrong entries before it";
	}
	if (hv_marvin32(p + LE_REFS, ret->size - LE_REFS) == ibb_get_le64(p + LE_HASH1))
		return NULL;
	*budget -= ret->size;
	return "Hash-1 is wrong";
}

/* Can it be applied? The hashes keep no hostile writer away, so nothing in it is trusted. */
static const char *check_pages(const struct entry *e)
{
	uint64_t at = LE_REFS + 8 * (uint64_t)e->n_pages;

	if (!e->bins || e->bins % HV_BIN_ALIGN)
		return "its size of the hive bins is impossible";
	if (e->bins > IBB_LIMIT_HIVE_BYTES - HV_BASE)
		return "its size of the hive bins exceeds the limit";
	if (!e->n_pages)
		return "it holds no page";
	if (at > e->size)
		return "its list of pages is longer than itself";
	for (uint32_t i = 0; i < e->n_pages; i++) {
		const uint8_t *ref = e->p + LE_REFS + 8 * (size_t)i;

		if (!ibb_in_range(ibb_get_le32(ref), ibb_get_le32(ref + 4), e->bins))
			return "a page of it lies outside the hive bins";
		at += ibb_get_le32(ref + 4);
		if (at > e->size)
			return "its pages are longer than itself";
	}
	return NULL;
}

/*
 * Does the run of entries go on with the one at off ("Log entries", notes 7 and 8)? It starts with
 * the sequence number of the log's base block. An older entry behind the last one is what an
 * earlier use of the log left there, and the usual end.
 */
static bool extend_run(struct hv_log *log, size_t off, const char *bad, const struct entry *e)
{
	uint64_t want = (uint64_t)log->seq + log->n_run;

	if (bad && !bad[0])
		return false;
	if (!bad && e->seq != want) {
		if (!log->n_run || e->seq > want)
			hv_log_why(log, "the entry at 0x%zx has sequence number %u, expected %llu",
				   off, e->seq, (unsigned long long)want);
		return false;
	}
	if (!bad)
		bad = check_pages(e);
	if (bad)
		hv_log_why(log, "the entry at 0x%zx is not sound: %s", off, bad);
	else
		log->n_run++;
	return !bad;
}

static void count(struct hv_log *log, uint32_t seq)
{
	struct ibb_hive_log_report *r = log->report;

	if (r->format == IBB_HIVE_LOG_OLD)
		return; /* there it counts dirty vectors */
	if (!r->n_entries || seq < r->first_sequence)
		r->first_sequence = seq;
	if (!r->n_entries || seq > r->last_sequence)
		r->last_sequence = seq;
	r->n_entries++;
}

/*
 * Entries stand at multiples of 512, remnants of earlier uses of the log behind those of the
 * present one. An entry that is `unchecked` counts for *max as if it was sound: too high a number
 * does no harm.
 */
void hv_log_scan(struct hv_log *log, uint32_t late_from, uint32_t *max)
{
	const bool wanted = log->sound && log->report->format == IBB_HIVE_LOG_NEW;
	struct ibb_bytes b = log->bytes;
	/* one whole entry always fits, so that the first that is wrong is told from a bad one */
	uint64_t budget = 2 * (uint64_t)b.len;
	bool in_run = wanted;

	for (size_t off = log->start; ibb_in_range(off, LE_REFS, b.len);) {
		struct entry e = {0};
		const char *bad = read_entry(b, off, &budget, &e);

		if (in_run)
			in_run = extend_run(log, off, bad, &e);
		if ((!bad || e.unchecked) && e.seq > *max)
			*max = e.seq;
		if ((!bad || e.unchecked) && e.seq >= late_from)
			log->n_late += log->damaged;
		if (!bad)
			count(log, e.seq);
		off += bad ? HV_SECTOR : e.size;
	}
	if (wanted && !log->n_run && !log->report->why[0])
		hv_log_why(log, "no log entry behind its base block");
}

/* ---- choosing logs ---- */

static bool is_new(const struct hv_log *log)
{
	return log->sound && log->report->format == IBB_HIVE_LOG_NEW;
}

uint32_t hv_new_last(const struct hv_log *log)
{
	return log->seq + log->n_run - 1;
}

struct hv_log *hv_new_newest(struct hv_recovery *rec)
{
	struct hv_log *best = NULL;

	for (size_t i = 0; i < rec->n_logs; i++) {
		struct hv_log *log = &rec->logs[i];

		if (is_new(log) && log->n_run && (!best || log->seq > best->seq))
			best = log;
	}
	return best;
}

/*
 * "Multiple transaction log files", "New format": "If a primary file contains an invalid base
 * block, only the transaction log file with latest log entries is used".
 */
static void plan_newest(struct hv_recovery *rec, struct hv_plan *plan)
{
	struct hv_log *newest = hv_new_newest(rec);

	for (size_t i = 0; i < rec->n_logs; i++)
		if (is_new(&rec->logs[i]) && rec->logs[i].n_run && &rec->logs[i] != newest)
			hv_log_why(&rec->logs[i],
				   "the hive's base block has to be restored, and then only the "
				   "log with the newest entries is used");
	if (newest)
		plan->logs[plan->n++] = newest;
}

/* The logs whose entries the hive does not hold yet, the earlier first. */
static size_t sort_logs(struct hv_recovery *rec, struct hv_log *ret[IBB_HIVE_MAX_LOGS])
{
	size_t n = 0, j;

	for (size_t i = 0; i < rec->n_logs; i++) {
		struct hv_log *log = &rec->logs[i];

		if (!is_new(log))
			continue;
		if (log->seq < rec->seq2) {
			hv_log_why(log,
				   "its entries begin with sequence number %u, and the hive holds "
				   "everything below %u",
				   log->seq, rec->seq2);
			continue;
		}
		for (j = n++; j && ret[j - 1]->seq > log->seq; j--)
			ret[j] = ret[j - 1];
		ret[j] = log;
	}
	return n;
}

/*
 * Same place: the log with the earlier entries goes first, and the next one has to go on with the
 * next number. When the first one holds nothing that can be applied, what follows in the other
 * would be applied over a gap.
 */
static void plan_in_order(struct hv_recovery *rec, struct hv_plan *plan)
{
	struct hv_log *sorted[IBB_HIVE_MAX_LOGS];
	size_t n = sort_logs(rec, sorted);

	for (size_t i = 0; i < n; i++) {
		struct hv_log *log = sorted[i];
		uint32_t want = plan->n ? hv_new_last(plan->logs[plan->n - 1]) + 1 : sorted[0]->seq;

		if (log->n_run && log->seq == want)
			plan->logs[plan->n++] = log;
		else if (log->n_run)
			hv_log_why(log, "its entries begin with sequence number %u, expected %u",
				   log->seq, want);
	}
}

void hv_new_plan(struct hv_recovery *rec, struct hv_plan *ret)
{
	if (rec->base_ok)
		plan_in_order(rec, ret);
	else
		plan_newest(rec, ret);
}

/* ---- applying ---- */

static void collect(const struct hv_plan *plan, struct entry *all, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < plan->n; i++) {
		const uint8_t *p = plan->logs[i]->bytes.data + plan->logs[i]->start;

		for (uint32_t j = 0; j < plan->logs[i]->n_run; j++, k++) {
			parse(p, &all[k]);
			p += all[k].size;
		}
	}
	/*
	 * Bytes beyond the end of a smaller size are gone, even when the hive grows again. Knowing
	 * from the end what lasts, each byte is written where it stays and nothing is cleared
	 * twice.
	 */
	for (k = n; k--;)
		all[k].keep =
			k + 1 < n && all[k + 1].keep < all[k].bins ? all[k + 1].keep : all[k].bins;
}

static void apply_entry(struct hv_recovery *rec, const struct entry *e)
{
	const uint8_t *page = e->p + LE_REFS + 8 * (size_t)e->n_pages;
	uint8_t *flags = rec->hive->data + HV_BB_FLAGS;

	for (uint32_t i = 0; i < e->n_pages; i++) {
		const uint8_t *ref = e->p + LE_REFS + 8 * (size_t)i;
		uint32_t off = ibb_get_le32(ref), size = ibb_get_le32(ref + 4);

		if (off < e->keep)
			hv_rec_write(rec, off, page, size < e->keep - off ? size : e->keep - off);
		page += size;
		rec->ret->bytes_applied += size;
	}
	/* note 11: "only the bit mask 0x00000001 is saved to or restored from a log entry" */
	ibb_put_le32(flags, (ibb_get_le32(flags) & ~1u) | (ibb_get_le32(e->p + LE_FLAGS) & 1));
}

/*
 * A log's base block is a copy of the one in memory when its first entry was written, so it knows
 * more than the hive's. A first bin with the same time comes in the entries themselves.
 */
static void take_from_base(struct hv_recovery *rec, const struct hv_log *log)
{
	uint8_t *p = rec->hive->data;

	ibb_put_le32(p + HV_BB_ROOT, ibb_get_le32(log->bytes.data + HV_BB_ROOT));
	if (log->time > ibb_get_le64(p + HV_BB_TIME))
		ibb_put_le64(p + HV_BB_TIME, log->time);
}

int hv_new_apply(struct hv_recovery *rec, const struct hv_plan *plan, struct ibb_error *err)
{
	IBB_AUTO_FREE struct entry *all = NULL;
	uint32_t bins = rec->base_ok ? rec->bins : plan->logs[0]->bins;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < plan->n; i++)
		n += plan->logs[i]->n_run;
	IBB_ASSERT(n);
	all = ibb_calloc_array(n, sizeof(*all));
	if (!all)
		return ibb_err_nomem(err);
	collect(plan, all, n);
	r = hv_rec_resize(rec, bins < all[0].keep ? bins : all[0].keep, all[n - 1].bins, err);
	if (r)
		return r;
	if (!rec->base_ok)
		hv_rec_base(rec, plan->logs[0]);
	rec->ret->bins_before = bins;
	for (size_t i = 0; i < plan->n; i++) {
		take_from_base(rec, plan->logs[i]);
		plan->logs[i]->report->n_applied = plan->logs[i]->n_run;
	}
	for (size_t i = 0; i < n; i++)
		apply_entry(rec, &all[i]);
	hv_rec_finish(rec, all[n - 1].seq, all[n - 1].bins);
	rec->ret->replayed = true;
	return IBB_OK;
}
