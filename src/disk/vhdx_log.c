/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log, 2.3: a ring of entries, each of which brings a few 4 KiB sectors of the file's
 * structures (or zeros). After a crash the active sequence of entries has to be replayed before
 * anything but the headers is believed. It is replayed into an overlay in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "disk/crc32c.h"
#include "disk/vhdx_internal.h"

#define SECTOR	     4096u
#define SEARCH_TIMES 8u /* how often the log may be read to find its valid entries */

static const char let_windows[] = "let Windows replay it: mount the disk once and detach it";

enum {
	/* entry header */
	E_CHECKSUM = 4,
	E_LENGTH = 8,
	E_TAIL = 12,
	E_SEQUENCE = 16,
	E_COUNT = 24,
	E_LOG_ID = 32,
	E_FLUSHED = 48,
	E_LAST = 56,
	E_HEADER = 64,
	/* descriptor */
	D_BYTES = 32,
	D_TRAILING = 4,
	D_LEADING = 8, /* of a data descriptor; of a zero descriptor: the length */
	D_OFFSET = 16,
	D_SEQUENCE = 24,
	/* data sector */
	S_HIGH = 4,
	S_DATA = 8,
	S_LOW = 4092
};

struct log {
	const char *name;
	const uint8_t *b; /* the ring */
	uint32_t n;	  /* its sectors */
	const struct ibb_guid *id;
	uint64_t budget; /* bytes whose checksum may still be taken */
	bool gave_up;	 /* that was not enough: what is valid is not known */
};

struct entry {
	uint32_t at, n; /* sectors of the ring */
	uint32_t tail;	/* sector */
	uint32_t count; /* of descriptors */
	uint64_t sequence, flushed, last;
};

static const uint8_t *sector(const struct log *l, const struct entry *e, uint32_t i)
{
	return l->b + (uint64_t)((e->at + i) % l->n) * SECTOR;
}

/* Descriptors begin behind the entry's header and never lie across two sectors. */
static const uint8_t *descriptor(const struct log *l, const struct entry *e, uint32_t i)
{
	uint64_t off = E_HEADER + (uint64_t)i * D_BYTES;

	return sector(l, e, (uint32_t)(off / SECTOR)) + off % SECTOR;
}

static uint32_t descriptor_sectors(const struct entry *e)
{
	return (uint32_t)((E_HEADER + (uint64_t)e->count * D_BYTES + SECTOR - 1) / SECTOR);
}

static bool is_data(const uint8_t *d)
{
	return memcmp(d, "desc", 4) == 0;
}

static bool decode(const struct log *l, uint32_t at, struct entry *e)
{
	const uint8_t *h = l->b + (uint64_t)at * SECTOR;
	uint32_t len = ibb_get_le32(h + E_LENGTH), tail = ibb_get_le32(h + E_TAIL);

	*e = (struct entry){
		.at = at,
		.n = len / SECTOR,
		.tail = tail / SECTOR,
		.count = ibb_get_le32(h + E_COUNT),
		.sequence = ibb_get_le64(h + E_SEQUENCE),
		.flushed = ibb_get_le64(h + E_FLUSHED),
		.last = ibb_get_le64(h + E_LAST),
	};
	return memcmp(h, "loge", 4) == 0 && memcmp(h + E_LOG_ID, l->id->b, 16) == 0 &&
	       len % SECTOR == 0 && e->n >= 1 && e->n <= l->n && tail % SECTOR == 0 &&
	       e->tail < l->n && e->sequence && e->count <= (len - E_HEADER) / D_BYTES;
}

static bool body_ok(const struct log *l, const struct entry *e)
{
	uint32_t at = descriptor_sectors(e);

	for (uint32_t i = 0; i < e->count; i++) {
		const uint8_t *d = descriptor(l, e, i), *s;

		if ((!is_data(d) && memcmp(d, "zero", 4) != 0) ||
		    ibb_get_le64(d + D_SEQUENCE) != e->sequence)
			return false;
		if (!is_data(d))
			continue;
		if (at >= e->n)
			return false;
		s = sector(l, e, at++);
		if (memcmp(s, "data", 4) != 0 ||
		    ibb_get_le32(s + S_HIGH) != (uint32_t)(e->sequence >> 32) ||
		    ibb_get_le32(s + S_LOW) != (uint32_t)e->sequence)
			return false;
	}
	return true;
}

static bool sum_ok(const struct log *l, const struct entry *e)
{
	const uint8_t *h = sector(l, e, 0);
	uint32_t crc = ibb_vhdx_sum(h, SECTOR); /* E_CHECKSUM is where a header has it, too */

	for (uint32_t i = 1; i < e->n; i++)
		crc = ibb_crc32c(crc, sector(l, e, i), SECTOR);
	return crc == ibb_get_le32(h + E_CHECKSUM);
}

/* Is there a valid entry (2.3.1) at this sector? */
static bool entry_at(struct log *l, uint32_t at, struct entry *ret)
{
	uint64_t cost;

	if (!decode(l, at, ret))
		return false;
	cost = (uint64_t)ret->n * SECTOR;
	if (!body_ok(l, ret))
		return false;
	if (cost > l->budget) {
		l->gave_up = true;
		return false;
	}
	l->budget -= cost;
	return sum_ok(l, ret);
}

/* Does one of the entries from `first` on to the head begin at the head's tail? */
static bool has_tail(const struct log *l, uint32_t first, const struct entry *head)
{
	uint32_t at = first;

	while (at != head->tail && at != head->at)
		at = (at + ibb_get_le32(l->b + (uint64_t)at * SECTOR + E_LENGTH) / SECTOR) % l->n;
	return at == head->tail;
}

/* 2.3.2: the sequence that begins with `first`; how many sectors it takes. */
static uint32_t follow(struct log *l, const struct entry *first, struct entry *ret_head)
{
	uint32_t covered = first->n;
	struct entry e;

	*ret_head = *first;
	while (covered < l->n && entry_at(l, (first->at + covered) % l->n, &e) &&
	       e.sequence == ret_head->sequence + 1 && e.n <= l->n - covered) {
		covered += e.n;
		*ret_head = e;
	}
	return covered;
}

/*
 * 2.3.3: of all sequences whose newest entry names a tail that is one of them, the newest. One that
 * goes on at the ring's begin is met there without its tail first, which does not count.
 */
static bool find_active(struct log *l, struct entry *ret_head)
{
	bool found = false;
	uint32_t at = 0;

	while (at < l->n) {
		struct entry first, head;

		if (!entry_at(l, at, &first)) {
			at++;
			continue;
		}
		at += follow(l, &first, &head);
		if (has_tail(l, first.at, &head) &&
		    (!found || head.sequence > ret_head->sequence)) {
			*ret_head = head;
			found = true;
		}
	}
	return found;
}

/* ---- replaying ---- */

/* What the entries write, and how large the file has to be for it. */
struct extent_of_log {
	struct ibb_vhdx_range *ranges;
	size_t n, cap;
	uint64_t end;
};

struct replay {
	const struct log *log;
	struct ibb_disk *to;
	uint64_t work;		 /* how many bytes may still be written, see spend() */
	struct ibb_extent *runs; /* that a zero descriptor has to overwrite */
	size_t n_runs, cap;
};

/*
 * Zeros are cheap to ask for: a descriptor of 32 bytes may have the whole file rewritten, and a log
 * has room for thousands of them. One that Windows made does a small part of what is granted.
 */
static int spend(struct replay *p, uint64_t n, struct ibb_error *err)
{
	if (n <= p->work) {
		p->work -= n;
		return IBB_OK;
	}
	ibb_err(err, IBB_E_LIMIT, "%s: to replay the VHDX log takes more than %u MiB of writes",
		p->log->name, IBB_LIMIT_VHDX_REPLAY_WORK >> 20);
	return ibb_err_hint(err, IBB_E_LIMIT, "%s", let_windows);
}

static int write_err(const struct replay *p, int code, struct ibb_error *err)
{
	if (code != IBB_E_LIMIT)
		return code;
	ibb_err(err, code, "%s: the VHDX log changes more than %u MiB", p->log->name,
		IBB_LIMIT_VHDX_REPLAY >> 20);
	return ibb_err_hint(err, code, "%s", let_windows);
}

static int place_err(const struct log *l, const struct entry *e, uint64_t off, uint64_t n,
		     struct ibb_error *err)
{
	return ibb_err(err, IBB_E_CORRUPT,
		       "%s: entry %llu of the VHDX log writes %llu bytes at offset %llu: that is "
		       "not aligned, or no place of a file",
		       l->name, (unsigned long long)e->sequence, (unsigned long long)n,
		       (unsigned long long)off);
}

static int replay_data(struct replay *p, const uint8_t *d, const uint8_t *s, struct ibb_error *err)
{
	uint8_t b[SECTOR];
	int r = spend(p, SECTOR, err);

	if (r)
		return r;
	/* the ends of the sector made room for its signature and sequence number */
	memcpy(b, d + D_LEADING, S_DATA);
	memcpy(b + S_DATA, s + S_DATA, S_LOW - S_DATA);
	memcpy(b + S_LOW, d + D_TRAILING, SECTOR - S_LOW);
	r = ibb_disk_pwrite(p->to, b, SECTOR, ibb_get_le64(d + D_OFFSET), err);
	return write_err(p, r, err);
}

static int keep_run(void *ctx, const struct ibb_extent *e, struct ibb_error *err)
{
	struct replay *p = ctx;
	int r = spend(p, SECTOR, err); /* for finding it */

	if (r || !e->data)
		return r;
	if (ibb_grow(&p->runs, &p->cap, p->n_runs, sizeof(*p->runs)))
		return ibb_err_nomem(err);
	p->runs[p->n_runs++] = *e;
	return IBB_OK;
}

/* Zeros over what is no hole: the run may be huge, and most of it mostly is one. */
static int replay_zero(struct replay *p, const uint8_t *d, struct ibb_error *err)
{
	static const uint8_t zeros[16 * SECTOR];
	uint64_t len = ibb_get_le64(d + D_LEADING), off = ibb_get_le64(d + D_OFFSET);
	int r;

	p->n_runs = 0;
	/* what the overlay has is put into order first */
	r = spend(p, ibb_disk_overlay_dirty_bytes(p->to) / 32, err);
	if (!r)
		r = ibb_disk_extents(p->to, off, len, keep_run, p, err);
	for (size_t i = 0; !r && i < p->n_runs; i++) {
		uint64_t at = p->runs[i].off_bytes, left = p->runs[i].len_bytes;

		r = spend(p, left, err);
		while (!r && left) {
			size_t k = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);

			r = write_err(p, ibb_disk_pwrite(p->to, zeros, k, at, err), err);
			at += k;
			left -= k;
		}
	}
	return r;
}

typedef int (*entry_fn)(const struct log *l, const struct entry *e, void *ctx,
			struct ibb_error *err);

/* Every entry of the sequence, from the head's tail, the oldest, to the head. */
static int each_entry(const struct log *l, const struct entry *head, entry_fn fn, void *ctx,
		      struct ibb_error *err)
{
	struct entry e = {0};
	uint32_t at = head->tail;
	int r;

	do {
		(void)decode(l, at, &e); /* it is valid: find_active() */
		r = fn(l, &e, ctx, err);
		at = (at + e.n) % l->n;
	} while (!r && e.at != head->at);
	return r;
}

static int replay_entry(const struct log *l, const struct entry *e, void *ctx,
			struct ibb_error *err)
{
	uint32_t at = descriptor_sectors(e);
	int r = IBB_OK;

	for (uint32_t i = 0; !r && i < e->count; i++) {
		const uint8_t *d = descriptor(l, e, i);

		if (is_data(d))
			r = replay_data(ctx, d, sector(l, e, at++), err);
		else
			r = replay_zero(ctx, d, err);
	}
	return r;
}

static int measure_entry(const struct log *l, const struct entry *e, void *ctx,
			 struct ibb_error *err)
{
	struct extent_of_log *x = ctx;

	x->end = e->last > x->end ? e->last : x->end;
	for (uint32_t i = 0; i < e->count; i++) {
		const uint8_t *d = descriptor(l, e, i);
		uint64_t off = ibb_get_le64(d + D_OFFSET), end;
		uint64_t len = is_data(d) ? SECTOR : ibb_get_le64(d + D_LEADING);

		if (off % SECTOR || len % SECTOR || !ibb_add_u64(off, len, &end))
			return place_err(l, e, off, len, err);
		if (ibb_grow(&x->ranges, &x->cap, x->n, sizeof(*x->ranges)))
			return ibb_err_nomem(err);
		x->ranges[x->n++] = (struct ibb_vhdx_range){off, len};
		x->end = end > x->end ? end : x->end;
	}
	return IBB_OK;
}

static int by_offset(const void *a, const void *b)
{
	uint64_t x = ((const struct ibb_vhdx_range *)a)->off_bytes;
	uint64_t y = ((const struct ibb_vhdx_range *)b)->off_bytes;

	return x < y ? -1 : x > y;
}

/* How many bytes lie in any of the ranges. */
static uint64_t covered_bytes(struct extent_of_log *x)
{
	uint64_t bytes = 0, done = 0;

	if (x->n)
		qsort(x->ranges, x->n, sizeof(*x->ranges), by_offset);
	for (size_t i = 0; i < x->n; i++) {
		uint64_t from = x->ranges[i].off_bytes, end = from + x->ranges[i].len_bytes;

		from = from < done ? done : from;
		if (end <= from)
			continue;
		bytes += end - from;
		done = end;
	}
	return bytes;
}

/*
 * The file, with an overlay over it, as large as the entries say it was, and as what they write
 * needs: 2.3.3, a descriptor behind the end extends the file.
 */
static int new_overlay(struct ibb_disk *file, const struct entry *head, uint64_t end,
		       struct ibb_disk **ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *grown = NULL;
	int r;

	if (file->size_bytes < head->flushed)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: the file is cut short: its VHDX log knows %llu bytes, %llu "
			       "are there",
			       file->name, (unsigned long long)head->flushed,
			       (unsigned long long)file->size_bytes);
	if (end / IBB_VHDX_MIB > IBB_LIMIT_VHDX_FILE_MIB)
		return ibb_err(err, IBB_E_LIMIT,
			       "%s: the VHDX log makes the file larger than %u MiB", file->name,
			       IBB_LIMIT_VHDX_FILE_MIB);
	if (end <= file->size_bytes)
		return ibb_disk_overlay_new(file, IBB_LIMIT_VHDX_REPLAY, ret, err);
	r = ibb_disk_grow_new(file, end, &grown, err);
	return r ? r : ibb_disk_overlay_new(grown, IBB_LIMIT_VHDX_REPLAY, ret, err);
}

static int replay_sequence(struct ibb_disk *file, const struct log *l, const struct entry *head,
			   struct ibb_disk **ret, uint64_t *ret_bytes, struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *o = NULL;
	struct replay p = {.log = l, .work = IBB_LIMIT_VHDX_REPLAY_WORK};
	struct extent_of_log x = {0};
	int r = each_entry(l, head, measure_entry, &x, err);

	if (!r)
		r = new_overlay(file, head, x.end, &o, err);
	p.to = o;
	if (!r)
		r = each_entry(l, head, replay_entry, &p, err);
	if (!r) {
		*ret_bytes = covered_bytes(&x);
		*ret = IBB_TAKE(o);
	}
	free(p.runs);
	free(x.ranges);
	return r;
}

static int replay_ring(struct ibb_disk *file, struct log *l, struct ibb_disk **ret,
		       uint64_t *ret_bytes, struct ibb_error *err)
{
	struct entry head = {0};
	const bool found = find_active(l, &head);

	if (l->gave_up) {
		ibb_err(err, IBB_E_LIMIT,
			"%s: the VHDX log is made of entries over entries: to find the valid ones "
			"takes more than %u times its length",
			file->name, SEARCH_TIMES);
		return ibb_err_hint(err, IBB_E_LIMIT, "%s", let_windows);
	}
	if (!found) {
		ibb_err(err, IBB_E_CORRUPT,
			"%s: the VHDX log is not empty, but holds no valid sequence of entries",
			file->name);
		return ibb_err_hint(err, IBB_E_CORRUPT,
				    "the file was damaged when it was written or copied: take "
				    "another copy of it");
	}
	return replay_sequence(file, l, &head, ret, ret_bytes, err);
}

int ibb_vhdx_log_replay(struct ibb_disk *file, const struct ibb_vhdx_header *h,
			struct ibb_disk **ret, uint64_t *ret_bytes, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *b = NULL;
	struct log l = {.name = file->name, .id = &h->log_id};
	int r;

	if (ibb_guid_is_zero(&h->log_id)) {
		*ret_bytes = 0;
		*ret = ibb_disk_ref(file);
		return IBB_OK;
	}
	if (h->log.len_bytes > IBB_LIMIT_VHDX_LOG_BYTES)
		return ibb_err(err, IBB_E_LIMIT,
			       "%s: a VHDX log of %llu MiB to be replayed is larger than %u MiB",
			       file->name, (unsigned long long)(h->log.len_bytes >> 20),
			       IBB_LIMIT_VHDX_LOG_BYTES >> 20);
	b = ibb_alloc((size_t)h->log.len_bytes);
	if (!b)
		return ibb_err_nomem(err);
	r = ibb_disk_pread(file, b, (size_t)h->log.len_bytes, h->log.off_bytes, err);
	if (r)
		return r;
	l.b = b;
	l.n = (uint32_t)(h->log.len_bytes / SECTOR);
	/* a log that is what it should be is read twice; one made to keep us busy is given up */
	l.budget = SEARCH_TIMES * h->log.len_bytes;
	return replay_ring(file, &l, ret, ret_bytes, err);
}
