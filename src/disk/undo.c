/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/undo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/inuse.h"
#include "disk/undo_int.h"

/* ---- writing the record ---- */

/* Spread evenly from the header to the old end; of a small file all of it. */
static void place_samples(struct undo_record *u)
{
	const uint64_t area = u->old_bytes - u->header_bytes;
	const uint64_t pieces = (area + UNDO_SAMPLE_BYTES - 1) / UNDO_SAMPLE_BYTES;
	uint64_t step = UNDO_SAMPLE_BYTES;

	u->n_samples = IBB_UNDO_MAX_SAMPLES;
	if (pieces <= IBB_UNDO_MAX_SAMPLES)
		u->n_samples = (uint32_t)pieces;
	else
		step = (area - UNDO_SAMPLE_BYTES) / (IBB_UNDO_MAX_SAMPLES - 1);
	for (uint32_t i = 0; i < u->n_samples; i++)
		u->samples[i].off_bytes = u->header_bytes + i * step;
}

static int take_samples(struct ibb_journal_io *io, struct undo_record *u, struct ibb_error *err)
{
	uint8_t buf[UNDO_SAMPLE_BYTES];

	for (uint32_t i = 0; i < u->n_samples; i++) {
		struct undo_sample *s = &u->samples[i];
		const size_t n = ibb_undo_sample_bytes(u, s->off_bytes);
		int r = io->ops->pread(io, IBB_JOURNAL_IMAGE, buf, n, s->off_bytes, err);

		if (r)
			return r;
		if (ibb_sha256(buf, n, &s->digest))
			return ibb_err_nomem(err);
	}
	return IBB_OK;
}

static int measure(struct ibb_journal_io *io, uint32_t header_bytes, struct undo_record *u,
		   struct ibb_error *err)
{
	int r = io->ops->size(io, IBB_JOURNAL_IMAGE, &u->old_bytes, err);

	if (r)
		return r;
	if (!header_bytes || header_bytes > IBB_UNDO_MAX_HEADER || header_bytes > u->old_bytes)
		return ibb_err(err, IBB_E_INVALID, "%s: a header of %u bytes in a file of %llu",
			       io->image, header_bytes, (unsigned long long)u->old_bytes);
	u->header_bytes = header_bytes;
	place_samples(u);
	r = io->ops->pread(io, IBB_JOURNAL_IMAGE, u->header, header_bytes, 0, err);
	return r ? r : take_samples(io, u, err);
}

/* The trailer comes last: it must never be there without what it vouches for. */
static int put_record(struct ibb_journal_io *io, const uint8_t *p, size_t n, struct ibb_error *err)
{
	const struct ibb_journal_ops *ops = io->ops;
	int r = ops->pwrite(io, IBB_JOURNAL_SELF, p, n - UNDO_UNIT, 0, err);

	if (!r)
		r = ops->sync(io, IBB_JOURNAL_SELF, err);
	if (!r)
		r = ops->pwrite(io, IBB_JOURNAL_SELF, p + n - UNDO_UNIT, UNDO_UNIT, n - UNDO_UNIT,
				err);
	if (!r)
		r = ops->sync(io, IBB_JOURNAL_SELF, err);
	return r ? r : ops->sync_dir(io, err);
}

static int read_back(struct ibb_journal_io *io, const uint8_t *p, size_t n, struct ibb_error *err)
{
	uint8_t got[UNDO_MAX_BYTES];
	uint64_t size;
	int r = io->ops->size(io, IBB_JOURNAL_SELF, &size, err);

	if (!r && size == n)
		r = io->ops->pread(io, IBB_JOURNAL_SELF, got, n, 0, err);
	if (!r && (size != n || memcmp(got, p, n) != 0))
		r = ibb_err(err, IBB_E_IO, "%s: does not read back as it was written", io->journal);
	return r;
}

/* The file is as it was: take the record away, and keep the error that led here. */
static int give_up(struct ibb_journal_io *io, int r, struct ibb_error *err)
{
	struct ibb_error second = {0};

	if (io->ops->unlink(io, &second) || io->ops->sync_dir(io, &second))
		return ibb_err_hint(err, r,
				    "%s is unchanged; should %s be there: ibbake recover '%s'",
				    io->image, io->journal, io->image);
	return r;
}

int ibb_undo_write(struct ibb_journal_io *io, uint32_t header_bytes, struct ibb_error *err)
{
	IBB_AUTO_FREE struct undo_record *u = ibb_zalloc(sizeof(*u));
	uint8_t bytes[UNDO_MAX_BYTES];
	size_t n;
	int r;

	if (!u)
		return ibb_err_nomem(err);
	r = measure(io, header_bytes, u, err);
	if (r)
		return r;
	n = ibb_undo_record_bytes(u);
	if (ibb_undo_put(u, bytes))
		return ibb_err_nomem(err);
	r = io->ops->create(io, err);
	if (r)
		return r;
	r = put_record(io, bytes, n, err);
	if (!r)
		r = read_back(io, bytes, n, err);
	return r ? give_up(io, r, err) : IBB_OK;
}

/* ---- taking it away ---- */

/* All is done, but a power cut might bring the record back. */
static int may_return(const struct ibb_journal_io *io, const char *how, const char *then, int r,
		      struct ibb_error *err)
{
	(void)ibb_err_prefix(err, r, "%s is %s, but its undo record is not removed for good",
			     io->image, how);
	return ibb_err_hint(err, r, "should %s be there after a power cut: %s", io->journal, then);
}

int ibb_undo_finish(struct ibb_journal_io *io, struct ibb_error *err)
{
	int r = io->ops->check_name(io, err);

	if (!r)
		r = io->ops->unlink(io, err);
	if (r) {
		(void)ibb_err_prefix(err, r, "%s is changed, but its undo record stays", io->image);
		return ibb_err_hint(err, r, "take the change back: ibbake recover '%s'", io->image);
	}
	r = io->ops->sync_dir(io, err);
	return r ? may_return(io, "changed and read back",
			      "remove it by hand to keep the change, or take the change back with "
			      "ibbake recover",
			      r, err)
		 : IBB_OK;
}

static int remove_record(struct ibb_journal_io *io, struct ibb_error *err)
{
	int r = io->ops->unlink(io, err);

	if (r)
		return r;
	r = io->ops->sync_dir(io, err);
	return r ? may_return(io, "as it was before", "ibbake recover removes it", r, err) : IBB_OK;
}

/* ---- going back ---- */

static int load(struct ibb_journal_io *io, struct undo_record *u, struct ibb_error *err)
{
	uint8_t bytes[UNDO_MAX_BYTES];
	uint64_t size;
	int r = io->ops->size(io, IBB_JOURNAL_SELF, &size, err);

	if (!r && size > sizeof(bytes))
		r = ibb_err(err, IBB_E_CORRUPT, "%s: %llu bytes are too many for an undo record",
			    io->journal, (unsigned long long)size);
	if (!r && size)
		r = io->ops->pread(io, IBB_JOURNAL_SELF, bytes, (size_t)size, 0, err);
	if (!r && ibb_undo_get(bytes, (size_t)size, u))
		r = ibb_err_nomem(err);
	return r;
}

static int other_file(const struct ibb_journal_io *io, struct ibb_error *err)
{
	return ibb_err_hint(err, IBB_E_CONFLICT,
			    "nothing was written; put the file back that the record was made for, "
			    "or, when %s is sound as it is, remove %s by hand",
			    io->image, io->journal);
}

static int check_samples(struct ibb_journal_io *io, const struct undo_record *u,
			 struct ibb_error *err)
{
	uint8_t buf[UNDO_SAMPLE_BYTES];

	for (uint32_t i = 0; i < u->n_samples; i++) {
		const struct undo_sample *s = &u->samples[i];
		const size_t n = ibb_undo_sample_bytes(u, s->off_bytes);
		struct ibb_sha256 d;
		int r = io->ops->pread(io, IBB_JOURNAL_IMAGE, buf, n, s->off_bytes, err);

		if (r)
			return r;
		if (ibb_sha256(buf, n, &d))
			return ibb_err_nomem(err);
		if (memcmp(d.b, s->digest.b, sizeof(d.b)) == 0)
			continue;
		ibb_err(err, IBB_E_CONFLICT,
			"%s: belongs to another file than %s: what lies at offset %llu differs",
			io->journal, io->image, (unsigned long long)s->off_bytes);
		return other_file(io, err);
	}
	return IBB_OK;
}

static int header_differs(struct ibb_journal_io *io, const struct undo_record *u, bool *ret,
			  struct ibb_error *err)
{
	uint8_t buf[IBB_UNDO_MAX_HEADER];
	int r = io->ops->pread(io, IBB_JOURNAL_IMAGE, buf, u->header_bytes, 0, err);

	if (!r)
		*ret = memcmp(buf, u->header, u->header_bytes) != 0;
	return r;
}

/* The file as it stands to a record that is sound. */
static int judge(struct ibb_journal_io *io, const struct undo_record *u,
		 struct ibb_undo_report *report, struct ibb_error *err)
{
	int r = IBB_OK;

	report->old_bytes = u->old_bytes;
	if (report->found_bytes < u->old_bytes) {
		ibb_err(err, IBB_E_CONFLICT,
			"%s: belongs to another file than %s, which has %llu bytes: fewer than the "
			"%llu of before the change",
			io->journal, io->image, (unsigned long long)report->found_bytes,
			(unsigned long long)u->old_bytes);
		return other_file(io, err);
	}
	r = check_samples(io, u, err);
	return r ? r : header_differs(io, u, &report->header_changed, err);
}

/*
 * Without a trailer the file was not touched. As far as the rest can be read it must agree: it
 * would not, if the trailer was there once and the medium lost it.
 */
static int examine_incomplete(struct ibb_journal_io *io, const struct undo_record *u,
			      struct ibb_undo_report *report, struct ibb_error *err)
{
	int r = IBB_OK;

	if (u->has_content)
		r = judge(io, u, report, err);
	if (r || !u->has_head || (report->found_bytes == u->old_bytes && !report->header_changed))
		return r;
	ibb_err(err, IBB_E_CONFLICT, "%s: has no end, but %s is not as it was before the change",
		io->journal, io->image);
	return ibb_err_hint(err, IBB_E_CONFLICT,
			    "the record was damaged after it was complete: restore the file from a "
			    "copy");
}

static int examine(struct ibb_journal_io *io, struct undo_record *u, struct ibb_undo_report *report,
		   struct ibb_error *err)
{
	int r = load(io, u, err);

	*report = (struct ibb_undo_report){.complete = !r && u->has_trailer};
	if (!r)
		r = io->ops->size(io, IBB_JOURNAL_IMAGE, &report->found_bytes, err);
	if (r)
		return r;
	if (!u->has_trailer)
		return examine_incomplete(io, u, report, err);
	if (u->fits)
		return judge(io, u, report, err);
	ibb_err(err, IBB_E_CORRUPT, "%s: was complete, and is damaged", io->journal);
	return ibb_err_hint(err, IBB_E_CORRUPT,
			    "the file may be half changed, and what it was before cannot be told: "
			    "restore it from a copy");
}

/* As it was, or the record stays. Also what is as it was already may lie in the cache alone. */
static int restore(struct ibb_journal_io *io, const struct undo_record *u,
		   const struct ibb_undo_report *report, struct ibb_error *err)
{
	uint64_t size = 0;
	bool differs = true;
	int r = IBB_OK;

	if (report->header_changed)
		r = io->ops->pwrite(io, IBB_JOURNAL_IMAGE, u->header, u->header_bytes, 0, err);
	if (!r)
		r = io->ops->sync(io, IBB_JOURNAL_IMAGE, err);
	if (!r)
		r = io->ops->cut(io, u->old_bytes, err);
	if (!r)
		r = io->ops->size(io, IBB_JOURNAL_IMAGE, &size, err);
	if (!r)
		r = header_differs(io, u, &differs, err);
	if (!r && (differs || size != u->old_bytes))
		r = ibb_err(err, IBB_E_IO, "%s: does not read back as it was before", io->image);
	return r ? r : io->ops->check_name(io, err);
}

static int unfinished(const struct ibb_journal_io *io, int r, struct ibb_error *err)
{
	(void)ibb_err_prefix(err, r, "the change of %s is not taken back", io->image);
	return ibb_err_hint(err, r, "remove the cause, then: ibbake recover '%s'", io->image);
}

/*
 * What was read may lie in the page cache alone, when the one who wrote it was killed before its
 * fsync: the record is made durable first, and read again with the file locked.
 */
static int take_back(struct ibb_journal_io *io, struct undo_record *u,
		     struct ibb_undo_report *report, struct ibb_error *err)
{
	/* then nobody has to be allowed to write to it */
	const bool as_before = !report->header_changed && report->found_bytes == report->old_bytes;
	struct ibb_undo_report now;
	int r = io->ops->sync(io, IBB_JOURNAL_SELF, err);

	if (!r)
		r = io->ops->sync_dir(io, err);
	if (!r && !as_before)
		r = io->ops->begin(io, err);
	if (!r)
		r = examine(io, u, &now, err);
	if (!r && !now.complete)
		r = ibb_err(err, IBB_E_IO, "%s: does not read back as it was", io->journal);
	if (!r && as_before && (now.header_changed || now.found_bytes != now.old_bytes))
		r = ibb_err(err, IBB_E_CHANGED, "%s: was written to meanwhile", io->image);
	if (!r)
		r = restore(io, u, report, err);
	return r ? unfinished(io, r, err) : IBB_OK;
}

int ibb_undo_go_back(struct ibb_journal_io *io, struct ibb_undo_report *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE struct undo_record *u = ibb_zalloc(sizeof(*u));
	struct ibb_undo_report report;
	int r;

	if (!u)
		return ibb_err_nomem(err);
	r = examine(io, u, &report, err);
	if (!r && report.complete)
		r = take_back(io, u, &report, err);
	if (!r)
		r = remove_record(io, err);
	if (!r)
		*ret = report;
	return r;
}

/* ---- the real files ---- */

int ibb_undo_begin(struct ibb_undo *u, const char *image, int fd, uint32_t header_bytes,
		   struct ibb_error *err)
{
	IBB_AUTO(ibb_journal_host_free) struct ibb_journal_host *host = NULL;
	struct ibb_file_id id;
	int r = ibb_journal_check(image, err);

	if (!r)
		r = ibb_file_id_fd(fd, image, &id, err);
	if (!r)
		r = ibb_journal_host_new(image, fd, &id, "/sys", &host, err);
	if (!r)
		r = ibb_undo_write(ibb_journal_host_io(host), header_bytes, err);
	if (!r)
		u->host = IBB_TAKE(host);
	return r;
}

void ibb_undo_clear(struct ibb_undo *u)
{
	ibb_journal_host_free(u->host);
	u->host = NULL;
}

int ibb_undo_done(struct ibb_undo *u, struct ibb_error *err)
{
	int r = ibb_undo_finish(ibb_journal_host_io(u->host), err);

	ibb_undo_clear(u);
	return r;
}

int ibb_undo_back(struct ibb_undo *u, struct ibb_error *err)
{
	struct ibb_undo_report report;
	/* what changed since is our own doing */
	int r = ibb_journal_host_renew(u->host, err);

	r = r ? unfinished(ibb_journal_host_io(u->host), r, err)
	      : ibb_undo_go_back(ibb_journal_host_io(u->host), &report, err);
	ibb_undo_clear(u);
	return r;
}

/* The image, and what lies beside it; *ret_host stays NULL when that is nothing. */
static int open_both(const char *image, struct ibb_disk **ret_file, struct ibb_journal_host **ret,
		     struct ibb_error *err)
{
	IBB_AUTO(ibb_journal_host_free) struct ibb_journal_host *host = NULL;
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *file = NULL;
	struct ibb_file_id state;
	bool found = false;
	int r = ibb_disk_file_open_with_journal(image, &state, &file, err);

	if (!r)
		r = ibb_journal_host_new(image, ibb_disk_file_fd(file), &state, "/sys", &host, err);
	if (!r)
		r = ibb_journal_host_open(host, &found, err);
	if (r || !found)
		return r;
	*ret_file = IBB_TAKE(file);
	*ret = IBB_TAKE(host);
	return IBB_OK;
}

int ibb_undo_is_record(struct ibb_journal_io *io, bool *ret, struct ibb_error *err)
{
	uint8_t head[8], unit[UNDO_UNIT];
	uint64_t size;
	int r = io->ops->size(io, IBB_JOURNAL_SELF, &size, err);

	if (!r && size >= sizeof(head))
		r = io->ops->pread(io, IBB_JOURNAL_SELF, head, sizeof(head), 0, err);
	if (!r && size >= sizeof(unit))
		r = io->ops->pread(io, IBB_JOURNAL_SELF, unit, sizeof(unit), size - sizeof(unit),
				   err);
	if (!r)
		*ret = (size >= sizeof(head) && ibb_undo_is(head, sizeof(head))) ||
		       (size >= sizeof(unit) && ibb_undo_is(unit, sizeof(unit)));
	return r;
}

int ibb_undo_found(const char *image, bool *ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *file = NULL;
	IBB_AUTO(ibb_journal_host_free) struct ibb_journal_host *host = NULL;
	bool found = false;
	int r = open_both(image, &file, &host, err);

	if (!r && host)
		r = ibb_undo_is_record(ibb_journal_host_io(host), &found, err);
	if (!r)
		*ret = found;
	return r;
}

int ibb_undo_recover(const char *image, struct ibb_undo_report *ret, struct ibb_error *err)
{
	/* the file outlives the host, which uses its descriptor */
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *file = NULL;
	IBB_AUTO(ibb_journal_host_free) struct ibb_journal_host *host = NULL;
	bool found = false;
	int r = open_both(image, &file, &host, err);

	if (!r && host)
		r = ibb_undo_is_record(ibb_journal_host_io(host), &found, err);
	if (r)
		return r;
	if (!found)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no undo record lies beside it", image);
	r = ibb_inuse_claim(ibb_disk_file_fd(file), image, "/sys", err);
	return r ? r : ibb_undo_go_back(ibb_journal_host_io(host), ret, err);
}
