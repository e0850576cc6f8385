/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The undo record on a simulated machine: power cuts after every operation of a change and of a
 * recovery, with what no sync followed lost, kept, torn or in any mixture; failures of every
 * operation; records that are damaged, hostile, or somebody else's. Then the same on real files.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "disktest.h"

#include "base/le.h"
#include "disk/journal.h"
#include "disk/undo_int.h"

#define OLD_BYTES 20000u
#define NEW_BYTES 33333u
#define ROOM	  40960u
#define HEADER	  208u
#define MAX_OPS	  64u

enum kind { OP_WRITE, OP_SYNC, OP_SYNC_DIR, OP_CREATE, OP_BEGIN, OP_UNLINK, OP_CUT };

struct op {
	enum kind kind;
	enum ibb_journal_file file;
	uint64_t off;
	size_t len;
	uint8_t *data;
};

struct medium {
	uint8_t image[ROOM], record[UNDO_MAX_BYTES + 512];
	size_t image_len, record_len;
	bool exists; /* the record has its name */
};

struct machine {
	struct ibb_journal_io io;
	struct medium now;
	struct op ops[MAX_OPS];
	unsigned n_ops;
	long fail_at, seen;
	int fail_errno;
	unsigned begun;
	bool lies, moved;
};

static struct medium old_state, new_state;

static int may(struct machine *m, struct ibb_error *err)
{
	return m->seen++ != m->fail_at
		       ? IBB_OK
		       : ibb_err_os(err, m->fail_errno, "%s: simulated", m->io.image);
}

static struct op *note(struct machine *m, enum kind kind, enum ibb_journal_file f, uint64_t off)
{
	assert_true(m->n_ops < MAX_OPS);
	m->ops[m->n_ops] = (struct op){.kind = kind, .file = f, .off = off};
	return &m->ops[m->n_ops++];
}

static uint8_t *bytes_of(struct medium *m, enum ibb_journal_file f, size_t **ret_len)
{
	*ret_len = f == IBB_JOURNAL_SELF ? &m->record_len : &m->image_len;
	return f == IBB_JOURNAL_SELF ? m->record : m->image;
}

static int sim_size(struct ibb_journal_io *io, enum ibb_journal_file f, uint64_t *ret,
		    struct ibb_error *err)
{
	size_t *len;

	(void)err;
	bytes_of(&((struct machine *)io)->now, f, &len);
	*ret = *len;
	return IBB_OK;
}

static int sim_pread(struct ibb_journal_io *io, enum ibb_journal_file f, void *buf, size_t n,
		     uint64_t off, struct ibb_error *err)
{
	struct machine *m = (struct machine *)io;
	size_t *len;
	const uint8_t *p = bytes_of(&m->now, f, &len);

	if (!ibb_in_range(off, n, *len))
		return ibb_err(err, IBB_E_CORRUPT, "%s: truncated", io->image);
	memcpy(buf, p + off, n);
	if (m->lies && n)
		((uint8_t *)buf)[0] ^= 1;
	return IBB_OK;
}

static void put(struct medium *m, enum ibb_journal_file f, uint64_t off, const uint8_t *data,
		size_t n)
{
	size_t *len;
	uint8_t *p = bytes_of(m, f, &len);

	assert_true(off + n <= (f == IBB_JOURNAL_SELF ? sizeof(m->record) : ROOM));
	if (off + n > *len) {
		if (off > *len)
			memset(p + *len, 0, (size_t)(off - *len));
		*len = (size_t)(off + n);
	}
	memcpy(p + off, data, n);
}

static int sim_pwrite(struct ibb_journal_io *io, enum ibb_journal_file f, const void *buf, size_t n,
		      uint64_t off, struct ibb_error *err)
{
	struct machine *m = (struct machine *)io;
	struct op *op;
	int r = may(m, err);

	if (r)
		return r;
	put(&m->now, f, off, buf, n);
	op = note(m, OP_WRITE, f, off);
	op->len = n;
	op->data = malloc(n);
	assert_non_null(op->data);
	memcpy(op->data, buf, n);
	return IBB_OK;
}

static int plain(struct ibb_journal_io *io, enum kind kind, enum ibb_journal_file f,
		 struct ibb_error *err)
{
	int r = may((struct machine *)io, err);

	if (!r)
		note((struct machine *)io, kind, f, 0);
	return r;
}

static int sim_sync(struct ibb_journal_io *io, enum ibb_journal_file f, struct ibb_error *err)
{
	return plain(io, OP_SYNC, f, err);
}

static int sim_sync_dir(struct ibb_journal_io *io, struct ibb_error *err)
{
	return plain(io, OP_SYNC_DIR, IBB_JOURNAL_SELF, err);
}

static int sim_begin(struct ibb_journal_io *io, struct ibb_error *err)
{
	int r = plain(io, OP_BEGIN, IBB_JOURNAL_IMAGE, err);

	((struct machine *)io)->begun += !r;
	return r;
}

static int sim_create(struct ibb_journal_io *io, struct ibb_error *err)
{
	struct machine *m = (struct machine *)io;
	int r = plain(io, OP_CREATE, IBB_JOURNAL_SELF, err);

	if (r)
		return r;
	assert_false(m->now.exists);
	m->now.exists = true;
	m->now.record_len = 0;
	return IBB_OK;
}

static int sim_unlink(struct ibb_journal_io *io, struct ibb_error *err)
{
	int r = plain(io, OP_UNLINK, IBB_JOURNAL_SELF, err);

	if (!r)
		((struct machine *)io)->now.exists = false;
	return r;
}

static int sim_cut(struct ibb_journal_io *io, uint64_t size, struct ibb_error *err)
{
	struct machine *m = (struct machine *)io;
	int r = may(m, err);

	if (r)
		return r;
	assert_true((m->begun || size == m->now.image_len) && size <= m->now.image_len);
	m->now.image_len = (size_t)size;
	note(m, OP_CUT, IBB_JOURNAL_IMAGE, size);
	return IBB_OK;
}

static int sim_check_name(struct ibb_journal_io *io, struct ibb_error *err)
{
	return ((struct machine *)io)->moved
		       ? ibb_err(err, IBB_E_CHANGED, "%s: simulated: moved", io->image)
		       : IBB_OK;
}

static const struct ibb_journal_ops sim_ops = {
	.size = sim_size,
	.pread = sim_pread,
	.pwrite = sim_pwrite,
	.sync = sim_sync,
	.sync_dir = sim_sync_dir,
	.create = sim_create,
	.begin = sim_begin,
	.cut = sim_cut,
	.check_name = sim_check_name,
	.unlink = sim_unlink,
};

static void forget(struct machine *m)
{
	for (unsigned i = 0; i < m->n_ops; i++)
		free(m->ops[i].data);
	m->n_ops = 0;
}

/* A machine that was just switched on, with this on its medium. */
static void boot(struct machine *m, const struct medium *medium)
{
	forget(m);
	m->io = (struct ibb_journal_io){"image", "image" IBB_JOURNAL_SUFFIX, &sim_ops};
	m->now = *medium;
	m->fail_at = -1;
	m->fail_errno = EIO;
	m->seen = 0;
	m->begun = 0;
	m->lies = m->moved = false;
}

static int setup(void **state)
{
	uint64_t rng = test_seed();

	for (size_t i = 0; i < OLD_BYTES; i++)
		old_state.image[i] = (uint8_t)test_rand(&rng);
	old_state.image_len = OLD_BYTES;
	new_state = old_state;
	new_state.image_len = NEW_BYTES;
	for (size_t i = OLD_BYTES; i < NEW_BYTES; i++)
		new_state.image[i] = (uint8_t)(1 + test_rand(&rng) % 255);
	for (size_t i = 16; i < HEADER; i += 3)
		new_state.image[i] ^= 0x55;
	return test_dir_setup(state);
}

static bool is(const struct medium *m, const struct medium *want)
{
	return m->image_len == want->image_len &&
	       memcmp(m->image, want->image, want->image_len) == 0;
}

/* As wimlib appends: a flag in the header, data, the header, one fsync. */
static int append(struct machine *m, struct ibb_error *err)
{
	static const struct {
		uint32_t off, n;
	} pieces[] = {{OLD_BYTES, 5000}, {25000, 8000}, {33000, 333}, {0, HEADER}};
	uint8_t flag = old_state.image[16] ^ 0x40;
	int r = sim_pwrite(&m->io, IBB_JOURNAL_IMAGE, &flag, 1, 16, err);

	for (size_t i = 0; !r && i < IBB_ARRAY_SIZE(pieces); i++)
		r = sim_pwrite(&m->io, IBB_JOURNAL_IMAGE, new_state.image + pieces[i].off,
			       pieces[i].n, pieces[i].off, err);
	return r ? r : sim_sync(&m->io, IBB_JOURNAL_IMAGE, err);
}

static int change(struct machine *m, struct ibb_error *err)
{
	int r = ibb_undo_write(&m->io, HEADER, err);

	if (!r)
		r = append(m, err);
	return r ? r : ibb_undo_finish(&m->io, err);
}

static const struct ibb_journal_id any_id = {.image_bytes = OLD_BYTES};

/* As ibb_recover() does it. */
static int recover(struct machine *m, struct ibb_undo_report *ret, struct ibb_error *err)
{
	struct ibb_journal_report redo = {0};
	bool undo;
	int r;

	if (!m->now.exists)
		return IBB_OK;
	r = ibb_undo_is_record(&m->io, &undo, err);
	if (r)
		return r;
	if (undo)
		return ibb_undo_go_back(&m->io, ret, err);
	/* torn where its magic was: nobody's journal, and as such removed */
	r = ibb_journal_recover(&m->io, &any_id, IBB_JOURNAL_FINISH, &redo, err);
	assert_true(r || redo.state == IBB_JOURNAL_INCOMPLETE);
	ibb_journal_report_clear(&redo);
	return r;
}

/* ---- power cuts ---- */

enum fate { LOST, KEPT, ONE_LOST, ONE_KEPT, RANDOM, TORN, N_FATES };

static bool durable(const struct machine *m, unsigned i, unsigned after)
{
	const struct op *op = &m->ops[i];

	if (op->kind == OP_CUT)
		return true;
	for (unsigned k = i + 1; k < after; k++) {
		const struct op *s = &m->ops[k];

		if (op->kind != OP_WRITE ? s->kind == OP_SYNC_DIR
					 : (s->kind == OP_SYNC && s->file == op->file) ||
						   (s->kind == OP_CUT && s->file == op->file))
			return true;
	}
	return false;
}

/* Sector by sector of the file, as a disk would lose them. */
static void put_torn(struct medium *m, const struct op *op, bool torn, uint64_t *rnd)
{
	size_t at = 0;

	while (at < op->len) {
		size_t n = 512 - (size_t)((op->off + at) % 512);

		n = n < op->len - at ? n : op->len - at;
		if (!torn || test_rand(rnd) % 2)
			put(m, op->file, op->off + at, op->data + at, n);
		at += n;
	}
}

static void apply_op(struct medium *m, const struct op *op, bool torn, uint64_t *rnd)
{
	if (op->kind == OP_WRITE)
		put_torn(m, op, torn, rnd);
	else if (op->kind == OP_CUT)
		m->image_len = (size_t)op->off;
	else if (op->kind == OP_CREATE)
		m->exists = true;
	else if (op->kind == OP_UNLINK)
		m->exists = false;
}

/* What lies on the medium when the power goes after so many operations. Returns how many of them
 * were pending. */
static unsigned cut_power(const struct machine *m, const struct medium *before, unsigned after,
			  enum fate fate, unsigned which, uint64_t rnd, struct medium *ret)
{
	unsigned pending = 0;

	*ret = *before;
	for (unsigned i = 0; i < after; i++) {
		bool safe = durable(m, i, after), kept = safe;
		enum kind k = m->ops[i].kind;

		if (k == OP_SYNC || k == OP_SYNC_DIR || k == OP_BEGIN)
			continue;
		if (!safe) {
			kept = fate == KEPT || fate == TORN ||
			       (fate == ONE_LOST && pending != which) ||
			       (fate == ONE_KEPT && pending == which) ||
			       (fate == RANDOM && test_rand(&rnd) % 2);
			pending++;
		}
		if (kept)
			apply_op(ret, &m->ops[i], !safe && (fate == TORN || fate == RANDOM), &rnd);
	}
	return pending;
}

/* How many random states of each moment. */
static unsigned n_random(void)
{
	const char *s = getenv("IBB_POWER_CUTS");

	return s && *s ? (unsigned)strtoul(s, NULL, 10) : 6;
}

typedef void (*state_fn)(const struct medium *m, unsigned after, void *ctx);

/* Every state that a cut can leave, of those that can be counted, and some of the rest. */
static void each_state(const struct machine *m, const struct medium *before, state_fn fn, void *ctx)
{
	static struct medium s;
	uint64_t rng = test_seed();

	for (unsigned after = 0; after <= m->n_ops; after++) {
		unsigned pending = cut_power(m, before, after, LOST, 0, 0, &s);

		fn(&s, after, ctx);
		for (unsigned f = KEPT; f < N_FATES; f++) {
			unsigned times = f == ONE_LOST || f == ONE_KEPT ? pending
					 : !pending			? 0
					 : f == RANDOM || f == TORN	? n_random()
									: 1;

			for (unsigned i = 0; i < times; i++) {
				cut_power(m, before, after, (enum fate)f, i, test_rand(&rng), &s);
				fn(&s, after, ctx);
			}
		}
	}
}

struct counts {
	unsigned states, old, new, taken_back;
	unsigned finished_at; /* operations before the record is unlinked */
};

static void check_after_cut(const struct medium *s, unsigned after, void *ctx)
{
	static struct machine m;
	struct counts *c = ctx;
	struct ibb_undo_report report = {0};
	struct ibb_error err = {0};

	boot(&m, s);
	c->states++;
	if (!s->exists) {
		/* without a record the file is the old one, or the new one and all is done */
		assert_true(is(s, after > c->finished_at ? &new_state : &old_state));
		after > c->finished_at ? c->new ++ : c->old++;
		return;
	}
	assert_ok(recover(&m, &report, &err), err);
	assert_true(is(&m.now, &old_state));
	assert_false(m.now.exists);
	c->taken_back++;
	forget(&m);
}

static unsigned find_op(const struct machine *m, enum kind kind)
{
	for (unsigned i = 0; i < m->n_ops; i++)
		if (m->ops[i].kind == kind)
			return i;
	fail_msg("no such operation");
	return 0;
}

static void test_change(void **state)
{
	static const enum kind want[] = {OP_CREATE,   OP_WRITE, OP_SYNC,   OP_WRITE,   OP_SYNC,
					 OP_SYNC_DIR, OP_WRITE, OP_WRITE,  OP_WRITE,   OP_WRITE,
					 OP_WRITE,    OP_SYNC,	OP_UNLINK, OP_SYNC_DIR};
	static struct machine m;
	struct ibb_error err = {0};

	(void)state;
	boot(&m, &old_state);
	assert_ok(change(&m, &err), err);
	assert_true(is(&m.now, &new_state));
	assert_false(m.now.exists);
	assert_int_equal(m.n_ops, IBB_ARRAY_SIZE(want));
	for (unsigned i = 0; i < m.n_ops; i++)
		assert_int_equal(m.ops[i].kind, want[i]);
	forget(&m);
}

static void test_every_cut(void **state)
{
	static struct machine m;
	struct counts c = {0};
	struct ibb_error err = {0};

	(void)state;
	boot(&m, &old_state);
	assert_ok(change(&m, &err), err);
	c.finished_at = find_op(&m, OP_UNLINK);
	each_state(&m, &old_state, check_after_cut, &c);
	print_message("%u states: %u old, %u new, %u taken back\n", c.states, c.old, c.new,
		      c.taken_back);
	assert_true(c.states > 150 && c.old && c.new &&c.taken_back > 100);
	forget(&m);
}

/* The record is whole, and the file as a cut in the middle of the append left it. */
static void half_done(struct medium *ret, uint64_t seed)
{
	static struct machine m;
	struct ibb_error err = {0};

	boot(&m, &old_state);
	assert_ok(change(&m, &err), err);
	cut_power(&m, &old_state, find_op(&m, OP_UNLINK) - 1, RANDOM, 0, seed, ret);
	assert_true(ret->exists);
	forget(&m);
}

static void recovered_again(const struct medium *s, unsigned after, void *ctx)
{
	static struct machine m;
	struct ibb_undo_report report = {0};
	struct ibb_error err = {0};

	(void)after;
	boot(&m, s);
	++*(unsigned *)ctx;
	if (s->exists)
		assert_ok(recover(&m, &report, &err), err);
	assert_true(is(&m.now, &old_state));
	assert_false(m.now.exists);
	forget(&m);
}

static void test_cut_while_recovering(void **state)
{
	static struct machine m;
	static struct medium s;
	struct ibb_undo_report report = {0};
	struct ibb_error err = {0};
	unsigned n = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		half_done(&s, seed);
		boot(&m, &s);
		assert_ok(recover(&m, &report, &err), err);
		assert_true(report.complete);
		each_state(&m, &s, recovered_again, &n);
	}
	assert_true(n > 300);
	forget(&m);
}

/*
 * Killed after any operation: what the program did is seen by all, durable or not. Then the
 * recovery, and the power goes in the middle of that.
 */
static void test_kill_and_cut(void **state)
{
	static struct machine m;
	struct ibb_undo_report report;
	struct ibb_error err = {0};
	unsigned n = 0;

	(void)state;
	for (long at = 0; at <= 12; at++) {
		boot(&m, &old_state);
		m.fail_at = at;
		/* a kill leaves what a failure leaves, without the tidying up */
		if (at >= 6) {
			assert_int_not_equal(change(&m, &err), 0);
		} else {
			(void)!ibb_undo_write(&m.io, HEADER, &err);
			if (!m.now.exists)
				continue;
		}
		assert_true(m.now.exists);
		m.fail_at = -1;
		assert_ok(recover(&m, &report, &err), err);
		assert_true(is(&m.now, &old_state));
		each_state(&m, &old_state, recovered_again, &n);
	}
	assert_true(n > 200);
	forget(&m);
}

/* ---- failures ---- */

static void test_every_failure_of_begin(void **state)
{
	static const int errnos[] = {EIO, ENOSPC};
	static struct machine m;

	(void)state;
	for (size_t e = 0; e < IBB_ARRAY_SIZE(errnos); e++) {
		for (long at = 0; at < 6; at++) {
			struct ibb_error err = {0};

			boot(&m, &old_state);
			m.fail_at = at;
			m.fail_errno = errnos[e];
			assert_fails(ibb_undo_write(&m.io, HEADER, &err),
				     errnos[e] == ENOSPC ? IBB_E_NOSPACE : IBB_E_IO, err,
				     "image: simulated");
			assert_false(m.now.exists);
			assert_true(is(&m.now, &old_state));
		}
		boot(&m, &old_state);
		m.fail_at = 6;
		assert_int_equal(ibb_undo_write(&m.io, HEADER, NULL), IBB_OK);
	}
	forget(&m);
}

static void test_every_failure_of_recovery(void **state)
{
	static struct machine m;
	static struct medium s;
	struct ibb_undo_report report;
	unsigned failed = 0;

	(void)state;
	half_done(&s, 3);
	for (long at = 0; at < 8; at++) {
		struct ibb_error err = {0};
		int r;

		boot(&m, &s);
		m.fail_at = at;
		r = recover(&m, &report, &err);
		assert_int_equal(r, IBB_E_IO);
		failed++;
		if (at < 6) {
			assert_non_null(strstr(err.msg, "the change of image is not taken back"));
			assert_non_null(strstr(err.hint, "ibbake recover 'image'"));
			assert_true(m.now.exists);
		}
		m.fail_at = -1;
		assert_ok(recover(&m, &report, &err), err);
		assert_true(is(&m.now, &old_state));
		assert_false(m.now.exists);
	}
	assert_int_equal(failed, 8);
	/* the last one: all is done, but for the fsync of the directory */
	{
		struct ibb_error err = {0};

		boot(&m, &s);
		m.fail_at = 7;
		assert_fails(recover(&m, &report, &err), IBB_E_IO, err,
			     "image is as it was before, but its undo record is not removed for "
			     "good");
	}
	forget(&m);
}

static void test_finish_fails(void **state)
{
	static struct machine m;
	struct ibb_undo_report report;
	struct ibb_error err = {0};

	(void)state;
	boot(&m, &old_state);
	m.fail_at = 12;
	assert_fails(change(&m, &err), IBB_E_IO, err,
		     "image is changed, but its undo record stays");
	assert_non_null(strstr(err.hint, "ibbake recover 'image'"));
	assert_true(m.now.exists && is(&m.now, &new_state));
	m.fail_at = -1;
	assert_ok(recover(&m, &report, &err), err);
	assert_true(report.complete && report.header_changed);
	assert_int_equal(report.old_bytes, OLD_BYTES);
	assert_int_equal(report.found_bytes, NEW_BYTES);
	assert_true(is(&m.now, &old_state));
	boot(&m, &old_state);
	m.fail_at = 13;
	assert_fails(change(&m, &err), IBB_E_IO, err,
		     "image is changed and read back, but its undo record is not removed for good");
	assert_true(!m.now.exists && is(&m.now, &new_state));
	boot(&m, &old_state);
	m.moved = true;
	assert_fails(change(&m, &err), IBB_E_CHANGED, err, "simulated: moved");
	assert_true(m.now.exists);
	forget(&m);
}

static void test_no_memory(void **state)
{
	static struct machine m;
	static struct medium s;
	struct ibb_undo_report report;
	unsigned failed = 0;
	int r;

	(void)state;
	half_done(&s, 5);
	for (long at = 0; at < 20; at++) {
		struct ibb_error err = {0};

		boot(&m, &s);
		ibb_mem_fail_at(at, true);
		r = recover(&m, &report, &err);
		ibb_mem_fail_at(-1, false);
		if (!r)
			break;
		assert_int_equal(r, IBB_E_NOMEM);
		assert_true(m.now.exists);
		failed++;
	}
	assert_true(failed >= 1 && is(&m.now, &old_state));
	forget(&m);
}

static void test_arguments(void **state)
{
	static struct machine m;
	static const uint32_t bad[] = {0, IBB_UNDO_MAX_HEADER + 1, UINT32_MAX};
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		boot(&m, &old_state);
		assert_fails(ibb_undo_write(&m.io, bad[i], &err), IBB_E_INVALID, err, "a header");
		assert_int_equal(m.n_ops, 0);
	}
	m.now.image_len = HEADER - 1;
	assert_fails(ibb_undo_write(&m.io, HEADER, &err), IBB_E_INVALID, err, "in a file of 207");
	m.now.image_len = HEADER; /* nothing but a header: no sample, and good */
	assert_ok(ibb_undo_write(&m.io, HEADER, &err), err);
	assert_int_equal(m.now.record_len, 512 + 512 + 512);
	/* what is read back is not what was written */
	boot(&m, &old_state);
	m.lies = true;
	assert_fails(ibb_undo_write(&m.io, HEADER, &err), IBB_E_IO, err,
		     "does not read back as it was written");
	assert_false(m.now.exists);
	forget(&m);
}

/* ---- records that are not what they should be ---- */

static void refused(const struct medium *s, int code, const char *text)
{
	static struct machine m;
	struct ibb_undo_report report;
	struct ibb_error err = {0};

	boot(&m, s);
	assert_fails(ibb_undo_go_back(&m.io, &report, &err), code, err, text);
	assert_int_equal(m.n_ops, 0);
	assert_true(err.hint[0]);
	forget(&m);
}

static void seal(uint8_t *unit)
{
	struct ibb_sha256 d;

	assert_int_equal(ibb_sha256(unit, 480, &d), 0);
	memcpy(unit + 480, d.b, 32);
}

/* Make content, head and trailer agree again, as one who wants to harm would. */
static void reseal(struct medium *s)
{
	uint8_t *trailer = s->record + s->record_len - 512;
	struct ibb_sha256 d;

	assert_int_equal(ibb_sha256(s->record + 512, s->record_len - 1024, &d), 0);
	memcpy(s->record + 32, d.b, 32);
	seal(s->record);
	memcpy(trailer + 32, s->record + 480, 32);
	seal(trailer);
}

static void test_hostile(void **state)
{
	static struct medium sound, s;
	const size_t samples = 512 + 512;

	(void)state;
	half_done(&sound, 7);
#define HOSTILE(at, bits, value, code, text)              \
	do {                                              \
		s = sound;                                \
		ibb_put_le##bits(s.record + (at), value); \
		reseal(&s);                               \
		refused(&s, code, text);                  \
	} while (0)
	HOSTILE(8, 32, 2, IBB_E_CORRUPT, "was complete, and is damaged");
	HOSTILE(12, 32, 0, IBB_E_CORRUPT, "damaged");
	HOSTILE(12, 32, 4097, IBB_E_CORRUPT, "damaged");
	HOSTILE(12, 32, 4096, IBB_E_CORRUPT, "damaged");
	HOSTILE(12, 32, UINT32_MAX, IBB_E_CORRUPT, "damaged");
	HOSTILE(16, 64, 0, IBB_E_CORRUPT, "damaged");
	HOSTILE(16, 64, UINT64_MAX, IBB_E_CORRUPT, "damaged");
	HOSTILE(16, 64, INT64_MAX, IBB_E_CONFLICT, "belongs to another file");
	HOSTILE(16, 64, NEW_BYTES + 1, IBB_E_CONFLICT, "fewer than the 33334");
	HOSTILE(16, 64, 4000, IBB_E_CORRUPT, "damaged"); /* samples behind the end */
	HOSTILE(16, 64, OLD_BYTES - 1, IBB_E_CONFLICT, "what lies at offset 16592 differs");
	HOSTILE(24, 32, 65, IBB_E_CORRUPT, "damaged");
	HOSTILE(24, 32, 64, IBB_E_CORRUPT, "damaged");
	HOSTILE(24, 32, UINT32_MAX, IBB_E_CORRUPT, "damaged");
	HOSTILE(samples, 64, 0, IBB_E_CORRUPT, "damaged"); /* within the header */
	HOSTILE(samples, 64, UINT64_MAX, IBB_E_CORRUPT, "damaged");
	HOSTILE(samples + 40, 64, HEADER, IBB_E_CORRUPT, "damaged"); /* overlap */
	HOSTILE(samples + 8, 64, 1, IBB_E_CONFLICT, "what lies at offset 208 differs");
#undef HOSTILE
	s = sound;
	s.record_len += 512; /* something behind it: no trailer, and the file is changed */
	memset(s.record + s.record_len - 512, 0, 512);
	refused(&s, IBB_E_CONFLICT, "has no end, but image is not as it was");
	s = sound;
	s.image_len = OLD_BYTES - 1;
	refused(&s, IBB_E_CONFLICT, "belongs to another file");
	s = sound;
	s.image[5000] ^= 1;
	refused(&s, IBB_E_CONFLICT, "belongs to another file");
	s = sound;
	s.record_len = UNDO_MAX_BYTES + 1;
	{
		static struct machine m;
		struct ibb_undo_report report;
		struct ibb_error err = {0};

		boot(&m, &s);
		assert_fails(ibb_undo_go_back(&m.io, &report, &err), IBB_E_CORRUPT, err,
			     "too many");
		assert_int_equal(m.n_ops, 0);
	}
}

/* A flipped byte anywhere, any length: the old file, or a refusal that changes nothing. */
static void test_every_byte(void **state)
{
	static struct medium sound, s;
	static struct machine m;
	struct ibb_undo_report report;
	struct ibb_error err = {0};
	unsigned n_refused = 0, n_good = 0;

	(void)state;
	half_done(&sound, 9);
	memcpy(sound.image, new_state.image, NEW_BYTES);
	sound.image_len = NEW_BYTES;
	for (size_t i = 0; i < 2 * sound.record_len; i++) {
		int r;

		s = sound;
		if (i < sound.record_len)
			s.record[i] ^= (uint8_t)(1u << i % 8);
		else
			s.record_len = i - sound.record_len;
		boot(&m, &s);
		r = ibb_undo_go_back(&m.io, &report, &err);
		if (i >= sound.record_len + 512 || i < sound.record_len) {
			/* enough of it is left to know that the file was changed */
			assert_int_not_equal(r, 0);
			assert_int_equal(m.n_ops, 0);
			assert_true(m.now.exists);
			n_refused++;
		} else {
			/* not even a head: a record that never was */
			assert_ok(r, err);
			assert_false(report.complete);
			n_good++;
		}
		forget(&m);
	}
	assert_int_equal(n_good, 512);
	assert_true(n_refused > 1500);
}

static void test_samples(void **state)
{
	struct undo_record *u = ibb_zalloc(sizeof(*u));
	struct undo_record *got = ibb_zalloc(sizeof(*got));
	uint8_t bytes[UNDO_MAX_BYTES];

	(void)state;
	assert_true(u && got);
	u->header_bytes = IBB_UNDO_MAX_HEADER;
	u->n_samples = IBB_UNDO_MAX_SAMPLES;
	u->old_bytes = INT64_MAX;
	for (uint32_t i = 0; i < u->n_samples; i++)
		u->samples[i].off_bytes = IBB_UNDO_MAX_HEADER + (uint64_t)i * (INT64_MAX / 65);
	memset(u->header, 0xab, sizeof(u->header));
	assert_int_equal(ibb_undo_record_bytes(u), UNDO_MAX_BYTES);
	assert_int_equal(ibb_undo_put(u, bytes), 0);
	assert_int_equal(ibb_undo_get(bytes, sizeof(bytes), got), 0);
	assert_true(got->fits && got->has_head && got->has_content && got->has_trailer);
	assert_int_equal(got->old_bytes, INT64_MAX);
	assert_memory_equal(got->header, u->header, sizeof(u->header));
	assert_memory_equal(got->samples, u->samples, sizeof(u->samples));
	free(u);
	free(got);
}

/* ---- real files ---- */

static char image[600], record[700];

static void names(const char *name)
{
	snprintf(image, sizeof(image), "%s/%s", test_dir(), name);
	snprintf(record, sizeof(record), "%s" IBB_JOURNAL_SUFFIX, image);
	unlink(record);
	make_file(image, old_state.image, OLD_BYTES);
}

/* The record is there, the file changed, and its writer gone. */
static void interrupted(const char *name)
{
	struct ibb_undo u = {0};
	struct ibb_error err = {0};
	int fd;

	names(name);
	fd = open(image, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(ibb_undo_begin(&u, image, fd, HEADER, &err), err);
	ibb_undo_clear(&u);
	close(fd);
	make_file(image, new_state.image, NEW_BYTES);
}

static void test_files(void **state)
{
	struct ibb_undo u = {0};
	struct ibb_undo_report report = {0};
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct ibb_file_id id;
	struct stat st;
	bool found = true;
	int fd;

	(void)state;
	names("file");
	fd = open(image, O_RDONLY | O_CLOEXEC);
	assert_ok(ibb_undo_found(image, &found, &err), err);
	assert_false(found);
	assert_fails(ibb_undo_recover(image, &report, &err), IBB_E_NOTFOUND, err, "no undo record");
	assert_ok(ibb_undo_begin(&u, image, fd, HEADER, &err), err);
	assert_int_equal(stat(record, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 512 + 512 + 512 + 512);
	assert_fails(ibb_disk_file_open(image, &id, &d, &err), IBB_E_CONFLICT, err,
		     "a change in place was interrupted");
	{
		struct ibb_lock lock;

		assert_ok(ibb_lock_take(&lock, image, &err), err);
		assert_fails(ibb_disk_file_open(image, &id, &d, &err), IBB_E_CONFLICT, err,
			     "another ibbake is changing it");
		ibb_lock_release(&lock);
	}
	{
		struct ibb_undo second = {0};

		assert_fails(ibb_undo_begin(&second, image, fd, HEADER, &err), IBB_E_CONFLICT, err,
			     "lies beside it");
		ibb_undo_clear(&second);
		assert_int_equal(access(record, F_OK), 0);
	}
	make_file(image, new_state.image, NEW_BYTES);
	assert_ok(ibb_undo_back(&u, &err), err);
	assert_file_is(image, old_state.image, OLD_BYTES);
	assert_int_equal(access(record, F_OK), -1);
	assert_ok(ibb_undo_begin(&u, image, fd, HEADER, &err), err);
	make_file(image, new_state.image, NEW_BYTES);
	assert_ok(ibb_undo_done(&u, &err), err);
	assert_file_is(image, new_state.image, NEW_BYTES);
	assert_int_equal(access(record, F_OK), -1);
	close(fd);
	/* after the program is gone */
	interrupted("file");
	assert_ok(ibb_undo_found(image, &found, &err), err);
	assert_true(found);
	assert_ok(ibb_undo_recover(image, &report, &err), err);
	assert_true(report.complete && report.header_changed);
	assert_int_equal(report.old_bytes, OLD_BYTES);
	assert_int_equal(report.found_bytes, NEW_BYTES);
	assert_file_is(image, old_state.image, OLD_BYTES);
	assert_int_equal(access(record, F_OK), -1);
}

/* A user who may not write to it gets rid of the record all the same. */
static void test_as_before(void **state)
{
	struct ibb_undo u = {0};
	struct ibb_undo_report report;
	struct ibb_error err = {0};
	int status, fd;
	pid_t pid;

	(void)state;
	names("unchanged");
	assert_int_equal(chmod(image, 0444), 0);
	if (geteuid() == 0) {
		assert_int_equal(chmod(test_dir(), 0777), 0);
		assert_int_equal(chown(image, 65534, 65534), 0);
	}
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(2);
		if (open(image, O_RDWR | O_CLOEXEC) >= 0)
			_exit(3);
		fd = open(image, O_RDONLY | O_CLOEXEC);
		if (ibb_undo_begin(&u, image, fd, HEADER, &err))
			_exit(4);
		if (ibb_undo_back(&u, &err) || access(record, F_OK) == 0)
			_exit(5);
		if (ibb_undo_begin(&u, image, fd, HEADER, &err))
			_exit(6);
		ibb_undo_clear(&u);
		close(fd);
		_exit(ibb_undo_recover(image, &report, &err) || !report.complete ? 7 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(access(record, F_OK), -1);
	assert_file_is(image, old_state.image, OLD_BYTES);
}

static void still(int code, const char *text)
{
	struct ibb_undo_report report;
	struct ibb_error err = {0};

	assert_fails(ibb_undo_recover(image, &report, &err), code, err, text);
	assert_file_is(image, new_state.image, NEW_BYTES);
}

static void test_not_ours(void **state)
{
	struct ibb_undo_report report;
	struct ibb_error err = {0};
	char other[700];

	(void)state;
	interrupted("others");
	snprintf(other, sizeof(other), "%s/record", test_dir());
	assert_int_equal(chmod(record, 0620), 0);
	assert_fails(ibb_undo_recover(image, &report, &err), IBB_E_CONFLICT, err,
		     "others may write");
	assert_non_null(strstr(err.hint, "keep it"));
	assert_int_equal(chmod(record, 0600), 0);
	assert_int_equal(link(record, other), 0);
	still(IBB_E_CONFLICT, "more than one name");
	assert_int_equal(unlink(record), 0);
	assert_int_equal(symlink(other, record), 0);
	still(IBB_E_CONFLICT, "no regular file");
	assert_int_equal(unlink(record), 0);
	assert_int_equal(rename(other, record), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(record, 65534, 65534), 0);
		still(IBB_E_CONFLICT, "belongs to another user");
		assert_int_equal(chown(record, 0, 0), 0);
	}
	{
		IBB_AUTO_FD int fd = open(image, O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		still(IBB_E_CONFLICT, "another program has it open");
	}
	assert_ok(ibb_undo_recover(image, &report, &err), err);
	assert_file_is(image, old_state.image, OLD_BYTES);
}

/* Somebody renamed another file over it while it was changed: that one is not ours to cut. */
static void test_replaced(void **state)
{
	struct ibb_undo u = {0};
	struct ibb_error err = {0};
	char other[700];
	int fd;

	(void)state;
	names("replaced");
	snprintf(other, sizeof(other), "%s.new", image);
	fd = open(image, O_RDONLY | O_CLOEXEC);
	assert_ok(ibb_undo_begin(&u, image, fd, HEADER, &err), err);
	make_file(other, new_state.image, NEW_BYTES);
	assert_int_equal(rename(other, image), 0);
	assert_fails(ibb_undo_back(&u, &err), IBB_E_CHANGED, err, "removed or replaced");
	assert_int_equal(access(record, F_OK), 0);
	assert_file_is(image, new_state.image, NEW_BYTES);
	unlink(record);
	make_file(image, old_state.image, OLD_BYTES);
	close(fd);
	fd = open(image, O_RDONLY | O_CLOEXEC);
	assert_ok(ibb_undo_begin(&u, image, fd, HEADER, &err), err);
	make_file(other, new_state.image, NEW_BYTES);
	assert_int_equal(rename(other, image), 0);
	assert_fails(ibb_undo_done(&u, &err), IBB_E_CHANGED, err, "moved, removed or replaced");
	assert_int_equal(access(record, F_OK), 0);
	close(fd);
}

/* No room for the record, for real: the limit for the size of files. */
static void test_no_room(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	names("full");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit l = {600, 600};
		struct ibb_undo u = {0};
		struct ibb_error err = {0};
		int fd = open(image, O_RDONLY | O_CLOEXEC);

		signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &l))
			_exit(2);
		_exit(ibb_undo_begin(&u, image, fd, HEADER, &err) == IBB_E_IO &&
				      err.os_errno == EFBIG
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(access(record, F_OK), -1);
	assert_file_is(image, old_state.image, OLD_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_cut_while_recovering),
		cmocka_unit_test(test_kill_and_cut),
		cmocka_unit_test(test_every_failure_of_begin),
		cmocka_unit_test(test_every_failure_of_recovery),
		cmocka_unit_test(test_finish_fails),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_as_before),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, setup, test_dir_teardown) ? 1 : 0;
}
