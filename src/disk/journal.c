/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "disk/journal_int.h"

#define UNIT  IBB_JOURNAL_UNIT
#define PIECE IBB_LIMIT_JOURNAL_RECORD

/* ---- writing the journal ---- */

struct writing {
	const struct ibb_journal_change *c;
	struct ibb_journal_io *io;
	uint8_t *unit; /* a record as it is written: head, sums, content */
	uint8_t *old;  /* the content that a record replaces */
	uint64_t pos;  /* in the journal */
	uint64_t end;  /* of the last run */
	struct journal_head head;
	struct ibb_hasher *all;
};

static int count_run(void *ctx, uint64_t off, IBB_UNUSED const uint8_t *data, size_t n,
		     IBB_UNUSED struct ibb_error *err)
{
	struct writing *x = ctx;

	IBB_ASSERT(n % UNIT == 0 && off % UNIT == 0);
	x->head.records++;
	x->head.data_bytes += n;
	x->head.journal_bytes += ibb_journal_record_bytes(n);
	x->end = off + n;
	return IBB_OK;
}

static int write_run(void *ctx, uint64_t off, const uint8_t *data, size_t n, struct ibb_error *err)
{
	struct writing *x = ctx;
	const size_t all = (size_t)ibb_journal_record_bytes(n);
	struct journal_record rec = {.number = x->head.records++, .off_bytes = off, .len_bytes = n};
	uint8_t digest[IBB_SHA256_SIZE];
	int r = ibb_disk_pread(x->c->lower, x->old, n, off, err);

	if (r)
		return r;
	memset(x->unit, 0, all - n);
	for (size_t i = 0; i < n / UNIT; i++)
		if (ibb_journal_sum(x->old + i * UNIT, x->unit + UNIT + i * JOURNAL_SUM_BYTES))
			return ibb_err_nomem(err);
	memcpy(x->unit + all - n, data, n);
	if (ibb_journal_put_record(&rec, x->unit, digest) ||
	    ibb_hasher_update(x->all, digest, sizeof(digest)))
		return ibb_err_nomem(err);
	r = x->io->ops->pwrite(x->io, IBB_JOURNAL_SELF, x->unit, all, x->pos, err);
	x->pos += all;
	return r;
}

/* What the header counts. */
static int measure(struct writing *x, struct ibb_error *err)
{
	const struct ibb_journal_change *c = x->c;
	const size_t path = c->manifest ? strlen(c->manifest) : 0;
	const size_t text = c->manifest ? strlen(c->text) : 0;
	int r;

	if (path > IBB_LIMIT_PATH_CHARS || text > IBB_LIMIT_JSON_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "%s: the manifest is too large for the journal",
			       x->io->journal);
	r = ibb_disk_overlay_runs(c->overlay, PIECE, count_run, x, err);
	if (r)
		return r;
	x->head.path_bytes = (uint32_t)path;
	x->head.text_bytes = (uint32_t)text;
	x->head.journal_bytes += UNIT + ibb_journal_manifest_bytes(path, text) + UNIT;
	return x->io->ops->limits(x->io, x->end, x->head.journal_bytes, err);
}

/* Header and manifest, in one write. */
static int write_head(struct writing *x, struct ibb_error *err)
{
	const struct ibb_journal_change *c = x->c;
	const size_t path = x->head.path_bytes, text = x->head.text_bytes;
	const size_t n = UNIT + (size_t)ibb_journal_manifest_bytes(path, text);
	IBB_AUTO_FREE uint8_t *b = ibb_zalloc(n);

	if (!b)
		return ibb_err_nomem(err);
	if (path) {
		memcpy(b + UNIT, c->manifest, path);
		memcpy(b + UNIT + path, c->text, text);
		x->head.id.flags |= IBB_JOURNAL_HAS_MANIFEST;
	}
	x->pos = n;
	if (ibb_sha256(b + UNIT, n - UNIT, &x->head.manifest) ||
	    ibb_journal_put_head(&x->head, b) ||
	    ibb_hasher_update(x->all, x->head.digest, sizeof(x->head.digest)))
		return ibb_err_nomem(err);
	return x->io->ops->pwrite(x->io, IBB_JOURNAL_SELF, b, n, 0, err);
}

static int write_trailer(struct writing *x, struct ibb_error *err)
{
	const struct ibb_journal_ops *ops = x->io->ops;
	uint8_t b[UNIT];
	struct ibb_sha256 all;
	int r;

	if (ibb_hasher_final(IBB_TAKE(x->all), &all) ||
	    ibb_journal_put_trailer(x->head.records, &all, b))
		return ibb_err_nomem(err);
	/* only now: a trailer must never be there without what it vouches for */
	r = ops->sync(x->io, IBB_JOURNAL_SELF, err);
	if (!r)
		r = ops->pwrite(x->io, IBB_JOURNAL_SELF, b, UNIT, x->pos, err);
	if (!r)
		r = ops->sync(x->io, IBB_JOURNAL_SELF, err);
	return r ? r : ops->sync_dir(x->io, err);
}

static int write_journal(struct writing *x, struct ibb_error *err)
{
	int r = write_head(x, err);

	x->head.records = 0;
	if (!r)
		r = ibb_disk_overlay_runs(x->c->overlay, PIECE, write_run, x, err);
	return r ? r : write_trailer(x, err);
}

/* ---- applying it ---- */

/* The whole journal, as its trailer vouches for it. */
static int load(struct ibb_journal_io *io, uint64_t records, const struct ibb_sha256 *vouched,
		struct journal *ret, struct ibb_error *err)
{
	struct ibb_sha256 all;
	uint64_t size;
	int r = ibb_journal_read_head(io, ret, err);

	if (!r)
		r = io->ops->size(io, IBB_JOURNAL_SELF, &size, err);
	if (r)
		return r;
	if (size != ret->head.journal_bytes || records != ret->head.records)
		r = ibb_err(err, IBB_E_CORRUPT, "%s: header and trailer do not fit each other",
			    io->journal);
	if (!r)
		r = ibb_journal_each(ret, NULL, NULL, &all, err);
	if (!r && memcmp(all.b, vouched->b, sizeof(all.b)) != 0)
		r = ibb_err(err, IBB_E_CORRUPT, "%s: the trailer vouches for other records",
			    io->journal);
	if (r)
		ibb_journal_clear(ret);
	return r;
}

struct applying {
	struct ibb_journal_io *io;
	uint8_t *buf;
	struct ibb_journal_report *report;
};

static int put_record(void *ctx, const struct journal_record *rec, struct ibb_error *err)
{
	struct applying *a = ctx;

	return a->io->ops->pwrite(a->io, IBB_JOURNAL_IMAGE, rec->data, rec->len_bytes,
				  rec->off_bytes, err);
}

static int compare_record(void *ctx, const struct journal_record *rec, struct ibb_error *err)
{
	struct applying *a = ctx;
	int r = a->io->ops->pread(a->io, IBB_JOURNAL_IMAGE, a->buf, rec->len_bytes, rec->off_bytes,
				  err);

	if (r || memcmp(a->buf, rec->data, rec->len_bytes) == 0)
		return r;
	return ibb_disk_differs(a->io->image, rec->off_bytes, a->buf, rec->data, err);
}

/* ---- the image as it stands to a journal ---- */

/* Each sector as it was, or as it shall be: anything else is not ours to write over. */
static int judge_record(void *ctx, const struct journal_record *rec, struct ibb_error *err)
{
	struct applying *a = ctx;
	int r = a->io->ops->pread(a->io, IBB_JOURNAL_IMAGE, a->buf, rec->len_bytes, rec->off_bytes,
				  err);

	for (size_t at = 0; !r && at < rec->len_bytes; at += UNIT) {
		const uint8_t *want = rec->sums + at / UNIT * JOURNAL_SUM_BYTES;
		bool is_new = memcmp(a->buf + at, rec->data + at, UNIT) == 0, is_old;
		uint8_t sum[JOURNAL_SUM_BYTES];

		if (ibb_journal_sum(a->buf + at, sum))
			return ibb_err_nomem(err);
		is_old = memcmp(sum, want, sizeof(sum)) == 0;
		a->report->sectors_same += is_old && is_new;
		a->report->sectors_old += is_old && !is_new;
		a->report->sectors_new += is_new && !is_old;
		if (!is_old && !is_new)
			r = ibb_err(err, IBB_E_CONFLICT,
				    "%s: the sector at offset %llu is neither as it was before the "
				    "change of %s nor as it shall be: something else wrote to it",
				    a->io->image, (unsigned long long)(rec->off_bytes + at),
				    a->io->journal);
	}
	return r;
}

static int judge_all(const struct journal *j, struct ibb_journal_report *report,
		     struct ibb_error *err)
{
	struct applying a = {.io = j->io, .buf = ibb_alloc(PIECE), .report = report};
	int r = a.buf ? ibb_journal_each(j, judge_record, &a, NULL, err) : ibb_err_nomem(err);

	free(a.buf);
	return r;
}

static int judge(const struct journal *j, struct ibb_journal_report *report, struct ibb_error *err)
{
	int r = judge_all(j, report, err);

	return r == IBB_E_CONFLICT
		       ? ibb_err_hint(err, r,
				      "restore the image from a copy, or, when it is sound as it "
				      "is, remove the journal by hand")
		       : r;
}

/*
 * The last look before the first write: with the image locked, each sector is what it was when the
 * journal was written.
 */
static int still_old(const struct journal *j, struct ibb_error *err)
{
	struct ibb_journal_report report = {0};
	int r = judge_all(j, &report, err);

	if (r == IBB_E_CONFLICT || (!r && report.sectors_new))
		return ibb_err(err, IBB_E_CHANGED,
			       "%s: was written to while its change was prepared", j->io->image);
	return r;
}

static int reserve_record(void *ctx, const struct journal_record *rec, struct ibb_error *err)
{
	struct ibb_journal_io *io = ctx;

	return io->ops->reserve(io, rec->off_bytes, rec->len_bytes, err);
}

static int change_image(const struct journal *j, struct ibb_error *err)
{
	struct ibb_journal_io *io = j->io;
	struct applying a = {.io = io, .buf = ibb_alloc(PIECE)};
	int r = a.buf ? IBB_OK : ibb_err_nomem(err);

	if (!r)
		r = ibb_journal_each(j, put_record, &a, NULL, err);
	if (!r)
		r = io->ops->sync(io, IBB_JOURNAL_IMAGE, err);
	if (!r)
		r = ibb_journal_each(j, compare_record, &a, NULL, err);
	free(a.buf);
	return r ? r : io->ops->check_name(io, err);
}

static int unfinished(const struct ibb_journal_io *io, int r, struct ibb_error *err)
{
	(void)ibb_err_prefix(err, r, "the change of %s is not finished", io->image);
	return ibb_err_hint(err, r, "remove the cause, then finish it: ibbake recover '%s'",
			    io->image);
}

/* A manifest that cannot be written must not be in the way of the image for good. */
static int no_manifest(const struct ibb_journal_io *io, bool image_done, int r,
		       struct ibb_error *err)
{
	const char *what = image_done ? "%s is changed and read back, only its manifest is missing"
				      : "the change of %s is not finished: its manifest";

	(void)ibb_err_prefix(err, r, what, io->image);
	return ibb_err_hint(err, r,
			    "remove the cause, then: ibbake recover '%s'; or do without the "
			    "manifest: ibbake recover --no-manifest '%s'",
			    io->image, io->image);
}

/* All is done, but a power cut might bring the journal back, which then is only to be removed. */
static int may_return(const struct ibb_journal_io *io, const char *how, int r,
		      struct ibb_error *err)
{
	(void)ibb_err_prefix(err, r, "%s is %s, but its journal is not removed for good", io->image,
			     how);
	return ibb_err_hint(err, r,
			    "should %s be there after a power cut: ibbake recover '%s'; otherwise "
			    "nothing is to be done",
			    io->journal, io->image);
}

/* From here on the image is changed: the journal stays until the end. */
static int apply(const struct journal *j, struct ibb_error *err)
{
	struct ibb_journal_io *io = j->io;
	int r = change_image(j, err);

	if (r)
		return unfinished(io, r, err);
	r = j->path ? io->ops->publish(io, err) : IBB_OK;
	if (r)
		return no_manifest(io, true, r, err);
	r = io->ops->unlink(io, err);
	if (r)
		return unfinished(io, r, err);
	r = io->ops->sync_dir(io, err);
	return r ? may_return(io, "changed and read back", r, err) : IBB_OK;
}

/* The image is as it was: take the journal away, and keep the error that led here. */
static int give_up(struct ibb_journal_io *io, int r, struct ibb_error *err)
{
	struct ibb_error second = {0};

	if (io->ops->unlink(io, &second))
		return ibb_err_hint(err, r,
				    "the image is unchanged; 'ibbake recover' removes the journal");
	if (io->ops->sync_dir(io, &second))
		return ibb_err_hint(err, r,
				    "the image is unchanged; should its journal be there after a "
				    "power cut, drop it: ibbake recover --drop '%s'",
				    io->image);
	return r;
}

static int change(struct writing *x, struct ibb_journal_stats *ret, struct ibb_error *err)
{
	struct ibb_journal_io *io = x->io;
	struct journal j = {0};
	struct ibb_sha256 all;
	uint64_t records;
	bool complete = false;
	int r = IBB_OK;

	if (x->c->manifest)
		r = io->ops->manifest(io, x->c->manifest, x->c->text, strlen(x->c->text), err);
	if (!r)
		r = write_journal(x, err);
	if (!r)
		r = ibb_journal_has_trailer(io, &complete, &records, &all, err);
	if (!r && !complete)
		r = ibb_err(err, IBB_E_IO, "%s: does not read back as it was written", io->journal);
	if (!r)
		r = load(io, records, &all, &j, err);
	if (!r)
		r = io->ops->begin(io, err);
	if (!r)
		r = still_old(&j, err);
	if (!r)
		r = ibb_journal_each(&j, reserve_record, io, NULL, err);
	if (r) {
		ibb_journal_clear(&j);
		return give_up(io, r, err);
	}
	*ret = (struct ibb_journal_stats){j.head.records, j.head.data_bytes,
					  j.head.journal_bytes + j.head.data_bytes};
	r = apply(&j, err);
	ibb_journal_clear(&j);
	return r;
}

static int manifest_alone(struct ibb_journal_io *io, const struct ibb_journal_change *c,
			  struct ibb_error *err)
{
	int r = io->ops->manifest(io, c->manifest, c->text, strlen(c->text), err);

	return r ? r : io->ops->publish(io, err);
}

int ibb_journal_change(struct ibb_journal_io *io, const struct ibb_journal_change *c,
		       struct ibb_journal_stats *ret, struct ibb_error *err)
{
	struct writing x = {.c = c, .io = io, .head = {.id = c->id}};
	int r = IBB_OK;

	*ret = (struct ibb_journal_stats){0};
	if (!ibb_disk_overlay_dirty_bytes(c->overlay))
		return c->manifest ? manifest_alone(io, c, err) : IBB_OK;
	x.unit = ibb_alloc((size_t)ibb_journal_record_bytes(PIECE));
	x.old = ibb_alloc(PIECE);
	if (!x.unit || !x.old || ibb_hasher_new(&x.all))
		r = ibb_err_nomem(err);
	if (!r)
		r = measure(&x, err);
	if (!r)
		r = io->ops->create(io, err);
	if (!r)
		r = change(&x, ret, err);
	ibb_hasher_free(x.all);
	free(x.unit);
	free(x.old);
	return r;
}

/* ---- recovering ---- */

void ibb_journal_report_clear(struct ibb_journal_report *r)
{
	free(r->manifest);
	free(r->missing);
	*r = (struct ibb_journal_report){0};
}

static int other_image(const struct ibb_journal_io *io, const char *what, struct ibb_error *err)
{
	ibb_err(err, IBB_E_CONFLICT, "%s: belongs to another image than %s: %s differs",
		io->journal, io->image, what);
	return ibb_err_hint(err, IBB_E_CONFLICT,
			    "nothing was written; put the image back that the journal was made "
			    "for, or move the journal away");
}

static int check_id(const struct journal *j, const struct ibb_journal_id *id, struct ibb_error *err)
{
	const struct ibb_journal_id *have = &j->head.id;

	if (have->image_bytes != id->image_bytes)
		return other_image(j->io, "the size", err);
	if (have->container != id->container)
		return other_image(j->io, "the container", err);
	if ((have->flags & ~(unsigned)IBB_JOURNAL_HAS_MANIFEST) != id->flags)
		return other_image(j->io, "the partition table", err);
	if (!ibb_guid_equal(&have->vhd_id, &id->vhd_id))
		return other_image(j->io, "the unique ID of the VHD", err);
	if (!ibb_guid_equal(&have->gpt_id, &id->gpt_id))
		return other_image(j->io, "the GPT disk GUID", err);
	if (have->mbr_signature != id->mbr_signature)
		return other_image(j->io, "the MBR signature", err);
	return IBB_OK;
}

static int remove_journal(struct ibb_journal_io *io, struct ibb_error *err)
{
	int r = io->ops->unlink(io, err);

	if (r)
		return r;
	r = io->ops->sync_dir(io, err);
	return r ? may_return(io, "as it was before", r, err) : IBB_OK;
}

/*
 * Without a trailer nothing was applied. What is left of the records must agree: it would not, if
 * the trailer was there once and the medium lost it.
 */
static int recover_incomplete(struct ibb_journal_io *io, const struct ibb_journal_id *id,
			      struct ibb_journal_report *report, struct ibb_error *err)
{
	struct ibb_error why = {0};
	struct journal j = {0};
	int r = ibb_journal_read_head(io, &j, &why);

	report->state = IBB_JOURNAL_INCOMPLETE;
	if (!r)
		r = check_id(&j, id, &why);
	if (!r)
		r = judge(&j, report, &why);
	ibb_journal_clear(&j);
	if (r && r != IBB_E_CORRUPT) { /* where it was torn there is nothing more to ask */
		if (err)
			*err = why;
		return r;
	}
	if (report->sectors_new) {
		ibb_err(err, IBB_E_CONFLICT,
			"%s: has no end, but %llu sectors of %s are as it would make them",
			io->journal, (unsigned long long)report->sectors_new, io->image);
		return ibb_err_hint(err, IBB_E_CONFLICT,
				    "the journal was damaged after it was complete: restore the "
				    "image from a copy");
	}
	return remove_journal(io, err);
}

static int drop(struct ibb_journal_io *io, const struct ibb_journal_report *report,
		struct ibb_error *err)
{
	if (!report->sectors_new)
		return remove_journal(io, err);
	ibb_err(err, IBB_E_CONFLICT, "%s: %llu of %llu changed sectors of %s are written already",
		io->journal, (unsigned long long)report->sectors_new,
		(unsigned long long)(report->sectors_new + report->sectors_old), io->image);
	return ibb_err_hint(err, IBB_E_CONFLICT,
			    "it cannot be dropped any more; finish it without --drop");
}

/*
 * The journal as it reads, and the image as it stands to it. *j is filled for a complete one only;
 * on failure nothing is to be cleared.
 */
static int examine(struct ibb_journal_io *io, const struct ibb_journal_id *id, struct journal *j,
		   struct ibb_journal_report *report, struct ibb_error *err)
{
	struct ibb_sha256 all;
	uint64_t records;
	bool complete = false;
	int r = ibb_journal_has_trailer(io, &complete, &records, &all, err);

	*report = (struct ibb_journal_report){.state = IBB_JOURNAL_INCOMPLETE};
	if (r || !complete)
		return r;
	r = load(io, records, &all, j, err);
	if (r == IBB_E_CORRUPT)
		return ibb_err_hint(err, r,
				    "the journal was complete and is damaged, and the image may be "
				    "half changed: restore it from a copy");
	if (r)
		return r;
	report->state = IBB_JOURNAL_COMPLETE;
	report->stats =
		(struct ibb_journal_stats){j->head.records, j->head.data_bytes, j->head.data_bytes};
	r = check_id(j, id, err);
	if (!r)
		r = judge(j, report, err);
	if (r)
		ibb_journal_clear(j);
	return r;
}

/*
 * What was read may lie in the page cache alone, when the one who wrote it was killed before its
 * fsync: the power might yet take it away. So it is made durable first, as for a change, and then
 * read again.
 */
static int read_again(struct ibb_journal_io *io, const struct ibb_journal_id *id, struct journal *j,
		      struct ibb_journal_report *report, struct ibb_error *err)
{
	int r = io->ops->sync(io, IBB_JOURNAL_SELF, err);

	if (!r)
		r = io->ops->sync_dir(io, err);
	if (!r)
		r = io->ops->begin(io, err);
	if (r)
		return unfinished(io, r, err);
	ibb_journal_clear(j);
	r = examine(io, id, j, report, err);
	if (!r && report->state != IBB_JOURNAL_COMPLETE)
		r = ibb_err(err, IBB_E_IO, "%s: does not read back as it was", io->journal);
	return r;
}

static int finish(struct ibb_journal_io *io, const struct ibb_journal_id *id, bool bare,
		  struct journal *j, struct ibb_journal_report *report, struct ibb_error *err)
{
	int r = read_again(io, id, j, report, err);

	if (r)
		return r;
	r = ibb_journal_each(j, reserve_record, io, NULL, err);
	if (r)
		return unfinished(io, r, err);
	if (bare)
		report->missing = IBB_TAKE(j->path);
	if (j->path) {
		r = io->ops->manifest(io, j->path, j->text, strlen(j->text), err);
		if (r)
			return no_manifest(io, !report->sectors_old, r, err);
	}
	r = apply(j, err);
	if (r)
		return r;
	report->manifest = IBB_TAKE(j->path);
	return IBB_OK;
}

int ibb_journal_recover(struct ibb_journal_io *io, const struct ibb_journal_id *id,
			enum ibb_journal_ending ending, struct ibb_journal_report *ret,
			struct ibb_error *err)
{
	struct ibb_journal_report report;
	struct journal j = {0};
	int r = examine(io, id, &j, &report, err);

	if (r)
		return r;
	if (report.state == IBB_JOURNAL_INCOMPLETE)
		r = recover_incomplete(io, id, &report, err);
	else if (ending == IBB_JOURNAL_DROP)
		r = drop(io, &report, err);
	else
		r = finish(io, id, ending == IBB_JOURNAL_FINISH_BARE, &j, &report, err);
	ibb_journal_clear(&j);
	if (r)
		ibb_journal_report_clear(&report);
	else
		*ret = report;
	return r;
}
