/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bringing a hive up to date from its transaction logs. Section names and numbered notes in the
 * comments are those of "Windows registry file format specification" (msuhanov/regf), whose
 * edition of 2018 corrects notes 5, 7 and 11 on log entries: the first entry has to carry the
 * sequence number of the log's own base block, and of the flags only bit 0 travels.
 *
 * Nothing of the hive is written before everything that will be written has been checked and the
 * memory for it is there. What a log says about cells is not looked at: opening the hive does.
 */
#include "hive/hive_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TYPE_OLD = 1, TYPE_NEW = 6 };

void hv_log_why(struct hv_log *log, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(log->report->why, sizeof(log->report->why), fmt, ap);
	va_end(ap);
}

/* ---- what there is ---- */

/*
 * Only the first "Clustering factor * 512" bytes of a base block are in a log. Since Windows 8 the
 * factor is 1 whatever the sector size ("Sector size and clustering factor").
 */
static bool read_geometry(struct hv_log *log)
{
	const uint8_t *p = log->bytes.data;
	uint32_t factor = ibb_get_le32(p + HV_BB_CLUSTERING);

	log->bins = ibb_get_le32(p + HV_BB_BINS);
	if (ibb_get_le32(p + HV_BB_FORMAT) != 1)
		hv_log_why(log, "file format %u is not supported", ibb_get_le32(p + HV_BB_FORMAT));
	else if (factor != 1 && factor != 2 && factor != 4 && factor != 8)
		hv_log_why(log, "clustering factor %u of its base block is impossible", factor);
	else if (log->bytes.len < (size_t)factor * HV_SECTOR)
		hv_log_why(log, "truncated: it ends in its base block");
	else if (!log->bins || log->bins % HV_BIN_ALIGN ||
		 log->bins > IBB_LIMIT_HIVE_BYTES - HV_BASE)
		hv_log_why(log, "size 0x%x of the hive bins in its base block is impossible",
			   log->bins);
	else
		log->start = factor * HV_SECTOR;
	return !log->report->why[0];
}

/* A base block is here; is it that of a log that was written to the end? */
static void read_base(struct hv_log *log, uint32_t *max)
{
	struct ibb_hive_log_report *r = log->report;
	const uint8_t *p = log->bytes.data;
	uint32_t type = ibb_get_le32(p + HV_BB_TYPE), sum = ibb_get_le32(p + HV_BB_CHECKSUM);

	r->format = type == TYPE_OLD   ? IBB_HIVE_LOG_OLD
		    : type == TYPE_NEW ? IBB_HIVE_LOG_NEW
				       : IBB_HIVE_LOG_UNKNOWN;
	r->seq1 = ibb_get_le32(p + HV_BB_SEQ1);
	r->seq2 = ibb_get_le32(p + HV_BB_SEQ2);
	log->damaged = true;
	if (sum != hv_checksum(p)) {
		hv_log_why(log, "the checksum of its base block is 0x%08x, should be 0x%08x", sum,
			   hv_checksum(p));
		return;
	}
	if (r->format == IBB_HIVE_LOG_UNKNOWN) {
		hv_log_why(log, "file type %u is not that of a transaction log", type);
		return;
	}
	log->damaged = false;
	*max = r->seq1 > *max ? r->seq1 : *max;
	*max = r->seq2 > *max ? r->seq2 : *max;
	if (r->seq1 != r->seq2) {
		hv_log_why(log,
			   "sequence numbers %u and %u of its base block differ: it was not "
			   "written to the end",
			   r->seq1, r->seq2);
		return;
	}
	r->base_ok = true;
	log->seq = r->seq1;
	log->time = ibb_get_le64(p + HV_BB_TIME);
	log->sound = read_geometry(log);
	log->damaged = !log->sound;
}

static void read_log(struct hv_log *log, uint32_t *max)
{
	struct ibb_hive_log_report *r = log->report;
	struct ibb_bytes b = log->bytes;
	size_t head = b.len < HV_SECTOR ? b.len : HV_SECTOR;

	log->start = HV_SECTOR;
	r->format = IBB_HIVE_LOG_UNKNOWN;
	if (ibb_all_zero(b.data, head)) {
		r->format = IBB_HIVE_LOG_EMPTY;
		/* entries may still stand behind a base block that was wiped */
		log->damaged = b.len > HV_SECTOR;
		hv_log_why(log, b.len ? "no base block in it (zeros)" : "empty");
	} else if (b.len < HV_SECTOR) {
		/* a remainder of a log: nothing tells what was in it */
		log->n_late = 1;
		hv_log_why(log, "%zu bytes are too few for a transaction log", b.len);
	} else if (memcmp(b.data, "regf", 4) != 0) {
		log->damaged = true;
		hv_log_why(log, "not a transaction log (no 'regf' at offset 0)");
	} else {
		read_base(log, max);
	}
}

/*
 * max_sequence is what every later write of the hive has to exceed, so that nothing in a log can
 * be replayed over it. The numbers in a base block with a wrong checksum are not counted: they may
 * be anything, and it is the logs that a write has to outrun, not the base block it replaces.
 */
static void read_logs(struct hv_recovery *rec, const struct ibb_hive_log *logs)
{
	uint32_t *max = &rec->ret->max_sequence;
	const struct hv_log *newest;

	if (rec->base_ok)
		*max = rec->seq1 > rec->seq2 ? rec->seq1 : rec->seq2;
	for (size_t i = 0; i < rec->n_logs; i++) {
		rec->logs[i].bytes = logs[i].bytes;
		rec->logs[i].report = &rec->ret->logs[i];
		read_log(&rec->logs[i], max);
	}
	for (size_t i = 0; i < rec->n_logs; i++) {
		if (!rec->logs[i].sound)
			continue;
		hv_log_scan(&rec->logs[i], 0, max);
		hv_old_scan(&rec->logs[i]);
	}
	newest = hv_new_newest(rec);
	for (size_t i = 0; i < rec->n_logs; i++)
		if (!rec->logs[i].sound)
			hv_log_scan(&rec->logs[i],
				    rec->base_ok ? rec->seq2
				    : newest	 ? newest->seq
						 : 0,
				    max);
}

static int read_hive(const char *name, struct hv_recovery *rec, struct ibb_error *err)
{
	const uint8_t *p = rec->hive->data;
	size_t n = rec->hive->len;
	bool has_bin;

	if (n > IBB_LIMIT_HIVE_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "hive %s: %zu bytes exceed the limit of %u", name,
			       n, IBB_LIMIT_HIVE_BYTES);
	if (n < HV_BASE)
		return ibb_err(err, IBB_E_CORRUPT,
			       "hive %s: %zu bytes are too few for a registry hive (truncated)",
			       name, n);
	has_bin = n >= HV_BASE + HV_BIN_HEAD && memcmp(p + HV_BASE, "hbin", 4) == 0;
	rec->is_regf = memcmp(p, "regf", 4) == 0;
	if (!rec->is_regf && !has_bin)
		return ibb_err(err, IBB_E_CORRUPT,
			       "hive %s: not a registry hive (no 'regf' at offset 0)", name);
	rec->base_ok = rec->is_regf && ibb_get_le32(p + HV_BB_CHECKSUM) == hv_checksum(p);
	rec->seq1 = ibb_get_le32(p + HV_BB_SEQ1);
	rec->seq2 = ibb_get_le32(p + HV_BB_SEQ2);
	rec->bins = ibb_get_le32(p + HV_BB_BINS);
	if (rec->base_ok)
		rec->time = ibb_get_le64(p + HV_BB_TIME);
	else if (has_bin) /* "Old format", "Base block", note 3 */
		rec->time = ibb_get_le64(p + HV_BASE + 20);
	rec->ret->dirty = !rec->base_ok || rec->seq1 != rec->seq2;
	rec->ret->bins_before = rec->ret->bins_after = rec->bins;
	return IBB_OK;
}

/* ---- applying ---- */

static void mark(struct hv_recovery *rec, uint32_t off, uint32_t n)
{
	if (!rec->pages || !n)
		return;
	for (uint32_t i = off / 4096; i <= (off + n - 1) / 4096; i++)
		rec->pages[i / 64] |= (uint64_t)1 << i % 64;
}

int hv_rec_resize(struct hv_recovery *rec, uint32_t keep, uint32_t bins, struct ibb_error *err)
{
	struct ibb_buf *b = rec->hive;
	size_t total = (size_t)HV_BASE + bins;

	if (ibb_buf_reserve(b, total))
		return ibb_err_nomem(err);
	if (keep > b->len - HV_BASE)
		keep = (uint32_t)(b->len - HV_BASE);
	if (keep < bins) {
		memset(b->data + HV_BASE + keep, 0, bins - keep);
		mark(rec, keep, bins - keep);
	}
	if (b->len < total)
		b->len = total;
	return IBB_OK;
}

/*
 * What a log does not hold of a base block has no meaning on a disk ("Base block": Thaw*, Boot
 * type, Boot recover).
 */
void hv_rec_base(struct hv_recovery *rec, const struct hv_log *log)
{
	uint8_t *p = rec->hive->data;

	memset(p, 0, HV_BASE);
	memcpy(p, log->bytes.data, log->start);
	ibb_put_le32(p + HV_BB_TYPE, 0);
	rec->ret->base_recovered = true;
}

void hv_rec_write(struct hv_recovery *rec, uint32_t off, const uint8_t *p, uint32_t n)
{
	if (n)
		memcpy(rec->hive->data + HV_BASE + off, p, n);
	mark(rec, off, n);
}

void hv_rec_finish(struct hv_recovery *rec, uint32_t seq, uint32_t bins)
{
	uint8_t *p = rec->hive->data;

	ibb_put_le32(p + HV_BB_SEQ1, seq);
	ibb_put_le32(p + HV_BB_SEQ2, seq);
	ibb_put_le32(p + HV_BB_BINS, bins);
	ibb_put_le32(p + HV_BB_CHECKSUM, hv_checksum(p));
	rec->ret->bins_after = bins;
}

/* ---- what to do ---- */

/* The whole reason, in one line: the hive's state, and each log's. */
static int refuse(const char *name, const struct hv_recovery *rec, const struct ibb_hive_log *logs,
		  struct ibb_error *err)
{
	const uint8_t *p = rec->hive->data;
	char state[128], why[IBB_HIVE_MAX_LOGS * 256] = "";
	size_t n = 0;

	if (!rec->is_regf)
		return ibb_err(err, IBB_E_CORRUPT,
			       "hive %s: not a registry hive (no 'regf' at offset 0)", name);
	if (rec->base_ok)
		snprintf(state, sizeof(state), "sequence numbers %u and %u differ", rec->seq1,
			 rec->seq2);
	else
		snprintf(state, sizeof(state), "the header checksum is 0x%08x, should be 0x%08x",
			 ibb_get_le32(p + HV_BB_CHECKSUM), hv_checksum(p));
	for (size_t i = 0; i < rec->n_logs && n < sizeof(why); i++)
		n += (size_t)snprintf(why + n, sizeof(why) - n, "%s%s: %s", i ? "; " : ": ",
				      logs[i].name, rec->ret->logs[i].why);
	ibb_err(err, IBB_E_DIRTY, "hive %s: %s: the hive was not cleanly closed, and %s%s", name,
		state,
		n ? "none of its transaction logs can be applied" : "it has no transaction log",
		why);
	return ibb_err_hint(err, IBB_E_DIRTY,
			    "boot Windows once and shut it down cleanly (not fast startup), then "
			    "try again; or accept what the hive file alone holds with "
			    "--accept-dirty-hives");
}

/* The caller takes the hive file alone: only the marks of being dirty are taken off. */
static void accept(struct hv_recovery *rec)
{
	uint32_t seq = rec->seq1 > rec->seq2 ? rec->seq1 : rec->seq2;

	if (!rec->base_ok) /* the numbers may be anything */
		seq = rec->ret->max_sequence ? rec->ret->max_sequence : 1;
	hv_rec_finish(rec, seq, rec->bins);
	rec->ret->accepted = true;
}

static void drop(struct hv_plan *plan, const char *why)
{
	for (size_t i = 0; i < plan->n; i++)
		hv_log_why(plan->logs[i], "%s", why);
	plan->n = 0;
}

/*
 * A torn last entry is what a power cut leaves behind. A sound one behind those that can be applied
 * is not: something between them was damaged. "New format", notes 7 and 8, have Windows stop there;
 * but then what follows is lost, and nobody should learn that from a missing driver.
 */
static void refuse_gap(struct hv_recovery *rec, struct hv_plan *entries, bool accept_dirty)
{
	uint32_t last = entries->n ? hv_new_last(entries->logs[entries->n - 1]) : 0, to = 0;

	for (size_t i = 0; i < rec->n_logs && entries->n; i++) {
		const struct ibb_hive_log_report *l = &rec->ret->logs[i];

		if (l->format == IBB_HIVE_LOG_NEW && l->n_entries && l->last_sequence > last &&
		    l->last_sequence > to)
			to = l->last_sequence;
	}
	if (!to)
		return;
	if (accept_dirty) {
		rec->ret->accepted = true;
		rec->ret->lost_to = to;
		return;
	}
	for (size_t i = 0; i < entries->n; i++) {
		struct hv_log *log = entries->logs[i];
		char stop[200];

		snprintf(stop, sizeof(stop), "%s", log->report->why);
		hv_log_why(log, "behind entry %u %s, and sound ones follow up to %u: a gap", last,
			   *stop ? stop : "nothing continues it", to);
	}
	entries->n = 0;
}

/* Which logs to apply; of two ways at most one is left. */
static void choose(struct hv_recovery *rec, struct hv_plan *entries, struct hv_plan *pages,
		   bool accept_dirty)
{
	bool late = false;

	hv_new_plan(rec, entries);
	hv_old_plan(rec, pages);
	/*
	 * A log whose base block is damaged cannot be applied. When it holds entries that the hive
	 * may lack, the others would be applied over a gap, or mixed with a later state.
	 */
	for (size_t i = 0; i < rec->n_logs; i++)
		late = late || rec->logs[i].n_late;
	if (late) {
		drop(entries, "another log is damaged, but holds entries that belong with these");
		drop(pages, "another log is damaged, but holds entries that may be newer");
	} else if (entries->n && pages->n) {
		/* Windows writes one format; nothing tells which of these is the stale one */
		drop(entries, "a log of the old format applies as well");
		drop(pages, "a log of the new format applies as well");
	}
	refuse_gap(rec, entries, accept_dirty);
}

static int make_clean(const char *name, struct hv_recovery *rec, const struct ibb_hive_log *logs,
		      bool accept_dirty, struct ibb_error *err)
{
	struct hv_plan by_entries = {0}, by_pages = {0};

	if (rec->ret->max_sequence == HV_NONE)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "hive %s: sequence number 0xffffffff in the hive or its transaction "
			       "logs: the numbers have run out, and the order of writes cannot be "
			       "told",
			       name);
	choose(rec, &by_entries, &by_pages, accept_dirty);
	if (by_entries.n)
		return hv_new_apply(rec, &by_entries, err);
	if (by_pages.n)
		return hv_old_apply(rec, &by_pages, err);
	if (!accept_dirty || !rec->is_regf)
		return refuse(name, rec, logs, err);
	accept(rec);
	return IBB_OK;
}

/*
 * A clean hive whose numbers have run out is not refused here: reading it needs no higher one.
 * Writing it does, and whoever writes it has max_sequence to see that there is none.
 */
int ibb_hive_recover(const char *name, struct ibb_buf *hive, const struct ibb_hive_log *logs,
		     size_t n_logs, bool accept_dirty, uint64_t *pages,
		     struct ibb_hive_recovery *ret, struct ibb_error *err)
{
	struct ibb_hive_recovery out = {.n_logs = n_logs};
	struct hv_recovery rec = {.hive = hive, .n_logs = n_logs, .pages = pages, .ret = &out};
	int r;

	if (n_logs > IBB_HIVE_MAX_LOGS)
		return ibb_err(err, IBB_E_INVALID, "hive %s: %zu transaction logs are too many",
			       name, n_logs);
	for (size_t i = 0; i < n_logs; i++)
		if (logs[i].bytes.len > IBB_LIMIT_HIVE_BYTES)
			return ibb_err(err, IBB_E_LIMIT, "%s: %zu bytes exceed the limit of %u",
				       logs[i].name, logs[i].bytes.len, IBB_LIMIT_HIVE_BYTES);
	r = read_hive(name, &rec, err);
	if (r)
		return r;
	read_logs(&rec, logs);
	if (out.dirty)
		r = make_clean(name, &rec, logs, accept_dirty, err);
	else
		for (size_t i = 0; i < n_logs; i++)
			if (!out.logs[i].why[0])
				hv_log_why(&rec.logs[i], "the hive is clean");
	if (!r || r == IBB_E_DIRTY)
		*ret = out;
	return r;
}
