/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A machine for the journal's tests: an image, a journal and their directory behind a volatile
 * cache. What was done is recorded, and any state that a power cut could leave can be made of it.
 */
#ifndef IBB_JOURNALTEST_H
#define IBB_JOURNALTEST_H

#include <errno.h>

#include "disktest.h"

#include "disk/journal.h"

#define SIM_IMAGE   (96u << 10)
#define SIM_JOURNAL (256u << 10)
#define SIM_OPS	    64u
#define SIM_TEXT    "{\"schema\": \"ibbake-manifest/1\"}\n"

enum sim_kind {
	SIM_WRITE,
	SIM_SYNC,
	SIM_SYNC_DIR,
	SIM_CREATE,
	SIM_BEGIN,
	SIM_UNLINK,
	SIM_PREPARE, /* the manifest is written, without its name */
	SIM_MANIFEST
};

struct sim_op {
	enum sim_kind kind;
	enum ibb_journal_file file;
	uint64_t off;
	size_t len;
	uint8_t *data;
};

/* What lies on the medium, or what a program sees. */
struct sim_state {
	uint8_t image[SIM_IMAGE];
	uint8_t journal[SIM_JOURNAL];
	size_t journal_len;
	bool exists; /* the journal has its name */
	bool manifest;
};

struct sim {
	struct ibb_journal_io io;
	struct sim_state now;
	struct sim_op ops[SIM_OPS];
	unsigned n_ops;
	long fail_at; /* this operation fails; -1: none */
	int fail_errno;
	long seen;	 /* operations asked for */
	uint64_t lie_at; /* once written, the image reads back differently here */
	unsigned begun;	 /* times */
	bool prepared;
	bool moved;
	bool full; /* no room for holes of the image */
	uint64_t reserved, image_end, journal_bytes;
	uint64_t written[2]; /* bytes, by file */
};

static inline struct sim_op *sim_log(struct sim *s, enum sim_kind kind, enum ibb_journal_file f)
{
	assert_true(s->n_ops < SIM_OPS);
	s->ops[s->n_ops] = (struct sim_op){.kind = kind, .file = f};
	return &s->ops[s->n_ops++];
}

static inline int sim_may(struct sim *s, struct ibb_error *err)
{
	if (s->seen++ != s->fail_at)
		return IBB_OK;
	return ibb_err_os(err, s->fail_errno, "%s: simulated", s->io.image);
}

static inline int sim_size(struct ibb_journal_io *io, enum ibb_journal_file f, uint64_t *ret,
			   struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;

	(void)err;
	*ret = f == IBB_JOURNAL_SELF ? s->now.journal_len : SIM_IMAGE;
	return IBB_OK;
}

static inline int sim_pread(struct ibb_journal_io *io, enum ibb_journal_file f, void *buf, size_t n,
			    uint64_t off, struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;
	const uint8_t *p = f == IBB_JOURNAL_SELF ? s->now.journal : s->now.image;
	uint64_t size = f == IBB_JOURNAL_SELF ? s->now.journal_len : SIM_IMAGE;

	if (!ibb_in_range(off, n, size))
		return ibb_err(err, IBB_E_CORRUPT, "%s: truncated", s->io.image);
	memcpy(buf, p + off, n);
	if (f == IBB_JOURNAL_IMAGE && s->written[f] && s->lie_at >= off && s->lie_at - off < n)
		((uint8_t *)buf)[s->lie_at - off] ^= 1;
	return IBB_OK;
}

static inline int sim_pwrite(struct ibb_journal_io *io, enum ibb_journal_file f, const void *buf,
			     size_t n, uint64_t off, struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;
	uint8_t *p = f == IBB_JOURNAL_SELF ? s->now.journal : s->now.image;
	struct sim_op *op;
	int r = sim_may(s, err);

	if (r)
		return r;
	assert_true(ibb_in_range(off, n, f == IBB_JOURNAL_SELF ? SIM_JOURNAL : SIM_IMAGE));
	assert_true(f == IBB_JOURNAL_SELF || s->begun);
	memcpy(p + off, buf, n);
	if (f == IBB_JOURNAL_SELF && off + n > s->now.journal_len)
		s->now.journal_len = off + n;
	op = sim_log(s, SIM_WRITE, f);
	op->off = off;
	op->len = n;
	op->data = malloc(n);
	assert_non_null(op->data);
	memcpy(op->data, buf, n);
	s->written[f] += n;
	return IBB_OK;
}

static inline int sim_sync(struct ibb_journal_io *io, enum ibb_journal_file f,
			   struct ibb_error *err)
{
	int r = sim_may((struct sim *)io, err);

	if (!r)
		sim_log((struct sim *)io, SIM_SYNC, f);
	return r;
}

static inline int sim_sync_dir(struct ibb_journal_io *io, struct ibb_error *err)
{
	int r = sim_may((struct sim *)io, err);

	if (!r)
		sim_log((struct sim *)io, SIM_SYNC_DIR, IBB_JOURNAL_SELF);
	return r;
}

static inline int sim_create(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;
	int r = sim_may(s, err);

	if (r)
		return r;
	assert_false(s->now.exists);
	s->now.exists = true;
	s->now.journal_len = 0;
	memset(s->now.journal, 0, sizeof(s->now.journal));
	sim_log(s, SIM_CREATE, IBB_JOURNAL_SELF);
	return IBB_OK;
}

static inline int sim_begin(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;
	int r = sim_may(s, err);

	if (!r) {
		s->begun++;
		sim_log(s, SIM_BEGIN, IBB_JOURNAL_IMAGE);
	}
	return r;
}

static inline int sim_unlink(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;
	int r = sim_may(s, err);

	if (!r) {
		s->now.exists = false;
		sim_log(s, SIM_UNLINK, IBB_JOURNAL_SELF);
	}
	return r;
}

static inline int sim_manifest(struct ibb_journal_io *io, const char *path, const void *text,
			       size_t n, struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;
	int r = sim_may(s, err);

	if (r)
		return r;
	assert_string_equal(path, "image.manifest.json");
	assert_int_equal(n, strlen(SIM_TEXT));
	assert_memory_equal(text, SIM_TEXT, n);
	s->prepared = true;
	sim_log(s, SIM_PREPARE, IBB_JOURNAL_SELF);
	return IBB_OK;
}

static inline int sim_publish(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;
	int r = sim_may(s, err);

	if (r)
		return r;
	assert_true(s->prepared);
	s->prepared = false;
	s->now.manifest = true;
	sim_log(s, SIM_MANIFEST, IBB_JOURNAL_SELF);
	return IBB_OK;
}

static inline int sim_limits(struct ibb_journal_io *io, uint64_t image_end, uint64_t journal_bytes,
			     struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;

	(void)err;
	assert_true(s->n_ops == 0);
	s->image_end = image_end;
	s->journal_bytes = journal_bytes;
	return IBB_OK;
}

/* Like all that may fail, before the first write to the image. */
static inline int sim_reserve(struct ibb_journal_io *io, uint64_t off, uint64_t n,
			      struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;

	assert_true(s->begun && !s->written[IBB_JOURNAL_IMAGE] && ibb_in_range(off, n, SIM_IMAGE));
	if (s->full)
		return ibb_err_os(err, ENOSPC, "%s: simulated", s->io.image);
	s->reserved += n;
	return IBB_OK;
}

static inline int sim_check_name(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct sim *s = (struct sim *)io;

	return s->moved ? ibb_err(err, IBB_E_CHANGED, "%s: simulated: moved", io->image) : IBB_OK;
}

static const struct ibb_journal_ops sim_ops = {
	.size = sim_size,
	.pread = sim_pread,
	.pwrite = sim_pwrite,
	.sync = sim_sync,
	.sync_dir = sim_sync_dir,
	.create = sim_create,
	.limits = sim_limits,
	.begin = sim_begin,
	.reserve = sim_reserve,
	.check_name = sim_check_name,
	.unlink = sim_unlink,
	.manifest = sim_manifest,
	.publish = sim_publish,
};

static inline void sim_clear(struct sim *s)
{
	for (unsigned i = 0; i < s->n_ops; i++)
		free(s->ops[i].data);
	s->n_ops = 0;
}

/* A machine that was just switched on, with this on its medium. */
static inline void sim_init(struct sim *s, const struct sim_state *medium)
{
	sim_clear(s);
	s->io = (struct ibb_journal_io){"image", "image" IBB_JOURNAL_SUFFIX, &sim_ops};
	s->now = *medium;
	s->fail_at = -1;
	s->fail_errno = EIO;
	s->seen = 0;
	s->lie_at = UINT64_MAX;
	s->begun = 0;
	s->prepared = s->full = s->moved = false;
	s->reserved = 0;
	s->written[0] = s->written[1] = 0;
}

/* ---- power cuts ---- */

/* What becomes of the operations that no sync followed. */
enum sim_fate { FATE_LOST, FATE_KEPT, FATE_ONE_LOST, FATE_ONE_KEPT, FATE_RANDOM, FATE_TORN };

struct sim_cut {
	unsigned after; /* this many operations were issued */
	enum sim_fate fate;
	unsigned which; /* FATE_ONE_*: counted among the pending ones */
	uint64_t rnd;
};

/* Is the operation i durable when `after` operations were issued? */
static inline bool sim_durable(const struct sim *s, unsigned i, unsigned after)
{
	const struct sim_op *op = &s->ops[i];

	if (op->kind == SIM_MANIFEST) /* made durable by the one who does it */
		return true;
	for (unsigned k = i + 1; k < after; k++)
		if (op->kind == SIM_WRITE ? s->ops[k].kind == SIM_SYNC && s->ops[k].file == op->file
					  : s->ops[k].kind == SIM_SYNC_DIR)
			return true;
	return false;
}

static inline void sim_put(struct sim_state *m, const struct sim_op *op, struct sim_cut *cut,
			   bool torn)
{
	uint8_t *p = op->file == IBB_JOURNAL_SELF ? m->journal : m->image;

	for (size_t at = 0; at < op->len; at += 512) {
		if (torn && test_rand(&cut->rnd) % 2)
			continue;
		memcpy(p + op->off + at, op->data + at, 512);
		if (op->file == IBB_JOURNAL_SELF && op->off + at + 512 > m->journal_len)
			m->journal_len = op->off + at + 512;
	}
}

/* What lies on the medium after the cut. Returns how many operations were pending. */
static inline unsigned sim_cut(const struct sim *s, const struct sim_state *before,
			       struct sim_cut cut, struct sim_state *ret)
{
	unsigned pending = 0;

	*ret = *before;
	for (unsigned i = 0; i < cut.after; i++) {
		const struct sim_op *op = &s->ops[i];
		bool durable = sim_durable(s, i, cut.after), kept = durable, torn = false;

		if (op->kind == SIM_SYNC || op->kind == SIM_SYNC_DIR || op->kind == SIM_BEGIN ||
		    op->kind == SIM_PREPARE)
			continue;
		if (!durable) {
			kept = cut.fate == FATE_KEPT || cut.fate == FATE_TORN ||
			       (cut.fate == FATE_ONE_LOST && pending != cut.which) ||
			       (cut.fate == FATE_ONE_KEPT && pending == cut.which) ||
			       (cut.fate == FATE_RANDOM && test_rand(&cut.rnd) % 2);
			torn = cut.fate == FATE_TORN ||
			       (cut.fate == FATE_RANDOM && test_rand(&cut.rnd) % 2);
			pending++;
		}
		if (!kept)
			continue;
		if (op->kind == SIM_WRITE)
			sim_put(ret, op, &cut, torn);
		else if (op->kind == SIM_CREATE)
			ret->exists = true;
		else if (op->kind == SIM_UNLINK)
			ret->exists = false;
		else
			ret->manifest = true;
	}
	return pending;
}

#endif
