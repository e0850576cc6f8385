/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Replay of transaction logs. A failure leaves the hive alone; a success leaves a clean base block,
 * pages that are reported when they changed, and nothing to do for a second run.
 */
#include "fuzz_log.h"

#include "base/le.h"
#include "base/limits.h"

static void check_report(const struct ibb_hive_recovery *rec, size_t n_logs, bool accept)
{
	FUZZ_CHECK(rec->n_logs == n_logs, "%zu logs reported", rec->n_logs);
	FUZZ_CHECK(!rec->accepted || (accept && rec->dirty), "accepted?");
	/* what comes before a gap is applied; nothing else is both */
	FUZZ_CHECK((rec->accepted && rec->replayed) == (rec->lost_to != 0), "lost up to %u",
		   rec->lost_to);
	FUZZ_CHECK(rec->lost_to <= rec->max_sequence, "lost up to %u, seen up to %u", rec->lost_to,
		   rec->max_sequence);
	FUZZ_CHECK(!rec->replayed || rec->dirty, "a clean hive was replayed");
	for (size_t i = 0; i < n_logs; i++) {
		const struct ibb_hive_log_report *log = &rec->logs[i];

		FUZZ_CHECK(memchr(log->why, 0, sizeof(log->why)), "a reason without an end");
		FUZZ_CHECK(log->n_applied <= log->n_entries, "%u of %u applied", log->n_applied,
			   log->n_entries);
		FUZZ_CHECK(log->format <= IBB_HIVE_LOG_UNKNOWN, "format %d", (int)log->format);
		FUZZ_CHECK(!log->n_applied || rec->replayed, "applied, but not replayed");
	}
}

static void check_base(const struct ibb_buf *hive)
{
	struct ibb_hive_header hd;
	struct ibb_error err = {0};
	int r = ibb_hive_header_read("fuzz", ibb_buf_bytes(hive), &hd, &err);

	FUZZ_CHECK(!r, "result: %d %s", r, err.msg);
	FUZZ_CHECK(hd.checksum_ok && hd.seq1 == hd.seq2 && !hd.dirty,
		   "result is dirty: %u, %u, checksum %d", hd.seq1, hd.seq2, hd.checksum_ok);
}

/* What is not reported as written is as it was. */
static void check_pages(const struct ibb_buf *hive, const struct ibb_bytes *before,
			const uint64_t *pages, const struct ibb_hive_recovery *rec)
{
	size_t n = before->len < hive->len ? before->len : hive->len;

	for (size_t page = 0; page < (size_t)IBB_HIVE_PAGE_WORDS * 64; page++) {
		size_t at = FUZZ_HIVE_BASE + page * 4096;
		bool set = pages[page / 64] >> (page % 64) & 1;

		FUZZ_CHECK(!set || (page + 1) * 4096 <= rec->bins_after,
			   "page %zu was written, behind the bins (0x%x)", page, rec->bins_after);
		if (!set && at + 4096 <= n && (page + 1) * 4096 <= rec->bins_after)
			FUZZ_CHECK(!memcmp(hive->data + at, before->data + at, 4096),
				   "page %zu changed, but is not reported", page);
		if (at > n && !pages[page / 64])
			page |= 63;
	}
}

static void succeeded(struct ibb_buf *hive, const struct ibb_bytes *before,
		      const struct ibb_hive_log *logs, size_t n_logs,
		      const struct ibb_hive_recovery *rec)
{
	struct ibb_buf first = fuzz_copy(hive->data, hive->len);
	struct ibb_hive_recovery again = {0};
	struct ibb_error err = {0};
	struct ibb_hive *h = NULL;
	int r;

	FUZZ_CHECK(hive->len <= IBB_LIMIT_HIVE_BYTES, "%zu bytes", hive->len);
	check_base(hive);
	if (!rec->dirty)
		FUZZ_CHECK(hive->len == before->len && !memcmp(hive->data, before->data, hive->len),
			   "a clean hive was changed");
	r = ibb_hive_recover("fuzz", hive, logs, n_logs, false, NULL, &again, &err);
	FUZZ_CHECK(!r && !again.dirty && !again.replayed, "second run: %d %s", r, err.msg);
	FUZZ_CHECK(hive->len == first.len && !memcmp(hive->data, first.data, first.len),
		   "the second run changed it");
	/* the result is at the last entry applied; a dirty base block may have named more */
	FUZZ_CHECK(again.max_sequence <= rec->max_sequence || rec->accepted, "sequence %u after %u",
		   again.max_sequence, rec->max_sequence);
	ibb_buf_clear(&first);
	r = ibb_hive_open("fuzz", hive, &h, &err);
	FUZZ_CHECK(!r || r == IBB_E_CORRUPT || r == IBB_E_UNSUPPORTED, "open: %d %s", r, err.msg);
	ibb_hive_close(h);
}

static void recover(const struct fuzz_log_parts *p)
{
	static uint64_t pages[IBB_HIVE_PAGE_WORDS];
	static const char *const names[] = {"fuzz.LOG", "fuzz.LOG1", "fuzz.LOG2"};
	struct ibb_buf hive = fuzz_copy(p->hive.data, p->hive.len);
	struct ibb_buf bytes[3];
	struct ibb_hive_log logs[3];
	struct ibb_hive_recovery rec = {0};
	struct ibb_error err = {0};
	bool accept = p->flags & FUZZ_LOG_ACCEPT, ask = p->flags & FUZZ_LOG_PAGES;
	struct ibb_buf before;
	int r;

	if (p->flags & FUZZ_LOG_REPAIR && hive.len >= FUZZ_HIVE_BASE)
		fuzz_fix_checksum(hive.data);
	before = fuzz_copy(hive.data, hive.len);
	for (unsigned i = 0; i < 3; i++) {
		bytes[i] = fuzz_copy(p->logs[i].data, p->logs[i].len);
		if (p->flags & FUZZ_LOG_REPAIR)
			fuzz_log_repair(bytes[i].data, bytes[i].len);
		logs[i] = (struct ibb_hive_log){names[i], ibb_buf_bytes(&bytes[i])};
	}
	memset(pages, 0, sizeof(pages));
	r = ibb_hive_recover("fuzz", &hive, logs, p->n_logs, accept, ask ? pages : NULL, &rec,
			     &err);
	if (r) {
		FUZZ_CHECK(r == IBB_E_DIRTY || r == IBB_E_CORRUPT || r == IBB_E_LIMIT ||
				   r == IBB_E_UNSUPPORTED,
			   "%d %s", r, err.msg);
		FUZZ_CHECK(err.msg[0], "%d without a message", r);
		FUZZ_CHECK(hive.len == before.len && !memcmp(hive.data, before.data, hive.len),
			   "touched by a failure: %d %s", r, err.msg);
		if (r == IBB_E_DIRTY)
			check_report(&rec, p->n_logs, false);
	} else {
		struct ibb_bytes was = ibb_buf_bytes(&before);

		check_report(&rec, p->n_logs, accept);
		if (ask)
			check_pages(&hive, &was, pages, &rec);
		succeeded(&hive, &was, logs, p->n_logs, &rec);
	}
	ibb_buf_clear(&hive);
	ibb_buf_clear(&before);
	for (unsigned i = 0; i < 3; i++)
		ibb_buf_clear(&bytes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_log_parts p = fuzz_log_split(data, size);

	if (size >= FUZZ_LOG_HEAD)
		recover(&p);
	return 0;
}

/* ---- damage ---- */

/* Fields of an entry, of its list of pages, and of a base block. */
static void mutate_log(uint8_t *log, size_t n, uint64_t *rnd)
{
	static const uint32_t edges[] = {0, 1, 512, 4096, 0x1000000, 0xfffff000, 0xffffffff};
	size_t units = n / 512, at = 512 * (size_t)fuzz_rnd(rnd, (uint32_t)units);
	uint8_t *field;
	uint32_t v;

	if (!units)
		return;
	/* mostly a block in which an entry begins */
	for (unsigned i = 0; i < 32 && memcmp(log + at, "HvLE", 4) != 0; i++)
		at = 512 * (size_t)fuzz_rnd(rnd, (uint32_t)units);
	if (!fuzz_rnd(rnd, 6))
		at = 0;
	field = log + at + 4 * (size_t)fuzz_rnd(rnd, at ? 16 : 13);
	v = ibb_get_le32(field);
	switch (fuzz_rnd(rnd, 6)) {
	case 0:
		v = edges[fuzz_rnd(rnd, IBB_ARRAY_SIZE(edges))];
		break;
	case 1:
		v += fuzz_rnd(rnd, 5) - 2;
		break;
	case 2:
		v += 512 * (fuzz_rnd(rnd, 9) - 4);
		break;
	case 3:
		v = 4096 * fuzz_rnd(rnd, 32);
		break;
	case 4: /* an entry in the place of another */
		memmove(log + at, log + 512 * (size_t)fuzz_rnd(rnd, (uint32_t)units), 512);
		return;
	default:
		LLVMFuzzerMutate(log + at, 512, 512);
		return;
	}
	ibb_put_le32(field, v);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	static uint8_t hive[1 << 20], logs[3][1 << 20];
	struct fuzz_log_parts p = fuzz_log_split(data, size);
	uint64_t state = seed;
	unsigned which;

	if (size < FUZZ_LOG_HEAD || size > sizeof(hive) || max_size < size)
		return LLVMFuzzerMutate(data, size, max_size);
	memcpy(hive, p.hive.data, p.hive.len);
	p.hive.data = hive;
	for (unsigned i = 0; i < 3; i++) {
		memcpy(logs[i], p.logs[i].data, p.logs[i].len);
		p.logs[i].data = logs[i];
	}
	for (unsigned i = 1 + fuzz_rnd(&state, 3); i--;) {
		which = fuzz_rnd(&state, 3);
		switch (fuzz_rnd(&state, 12)) {
		case 0:
			p.flags = fuzz_rnd(&state, 8);
			break;
		case 1:
			p.n_logs = fuzz_rnd(&state, 4);
			break;
		case 2: /* the hive's own sequence numbers */
			if (p.hive.len >= 16)
				ibb_put_le32(hive + 4 + 4 * (size_t)fuzz_rnd(&state, 2),
					     ibb_get_le32(hive + 4) + fuzz_rnd(&state, 5) - 2);
			break;
		case 3:
			p.hive.len = fuzz_mutate_hive(hive, p.hive.len, sizeof(hive), &state);
			break;
		case 4: /* cut */
			p.logs[which].len =
				fuzz_rnd(&state, (uint32_t)p.logs[which].len + 1) / 512 * 512;
			break;
		default:
			mutate_log(logs[which], p.logs[which].len, &state);
		}
	}
	return fuzz_log_join(&p, data, max_size);
}
