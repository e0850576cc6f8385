/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The redo journal on a simulated machine: power cuts after every operation, with every write that
 * no sync followed lost, kept, torn or in any mixture; failures of every operation; and journals
 * that are damaged, hostile, or somebody else's. Then the same on real files.
 */
#include "journaltest.h"

#include "base/le.h"
#include "disk/journal_int.h"

#define UNIT IBB_JOURNAL_UNIT

static struct sim_state old_state, new_state; /* without a journal */
static struct ibb_disk *lower, *overlay;
static struct ibb_journal_change change;

static const struct ibb_journal_id image_id = {
	.image_bytes = SIM_IMAGE,
	.flags = IBB_JOURNAL_HAS_VHD_ID | IBB_JOURNAL_HAS_GPT_ID,
	.container = 1,
	.vhd_id = {{1, 2, 3}},
	.gpt_id = {{4, 5, 6}},
};

/* Six runs, of one block and of many, at both ends; some sectors of them stay as they were. */
static int setup(void **state)
{
	static const struct {
		uint32_t off, n;
	} writes[] = {{0, 700},	     {8192, 1},	    {20480, 9000},
		      {40960, 4096}, {49152, 8192}, {SIM_IMAGE - 600, 600}};
	struct ibb_error err = {0};
	uint64_t rng = test_seed();

	(void)state;
	for (size_t i = 0; i < SIM_IMAGE; i++)
		old_state.image[i] = i / 4096 % 3 ? (uint8_t)test_rand(&rng) : 0;
	new_state.image[0] = 0;
	memcpy(new_state.image, old_state.image, SIM_IMAGE);
	for (size_t k = 0; k < IBB_ARRAY_SIZE(writes); k++)
		for (uint32_t i = 0; i < writes[k].n; i++)
			new_state.image[writes[k].off + i] ^= (uint8_t)(1 + test_rand(&rng) % 255);
	new_state.manifest = true;
	assert_ok(ibb_disk_mem_new(SIM_IMAGE, 512, &lower, &err), err);
	assert_ok(ibb_disk_pwrite(lower, old_state.image, SIM_IMAGE, 0, &err), err);
	assert_ok(ibb_disk_overlay_new(lower, 1u << 20, &overlay, &err), err);
	assert_ok(ibb_disk_pwrite(overlay, new_state.image, SIM_IMAGE, 0, &err), err);
	change = (struct ibb_journal_change){.id = image_id,
					     .overlay = overlay,
					     .lower = lower,
					     .manifest = "image.manifest.json",
					     .text = SIM_TEXT};
	return test_dir_setup(state);
}

static int teardown(void **state)
{
	ibb_disk_unref(overlay);
	ibb_disk_unref(lower);
	return test_dir_teardown(state);
}

static void assert_image(const struct sim_state *have, const struct sim_state *want)
{
	assert_memory_equal(have->image, want->image, SIM_IMAGE);
}

static bool image_is(const struct sim_state *have, const struct sim_state *want)
{
	return memcmp(have->image, want->image, SIM_IMAGE) == 0;
}

static int recover_as(struct sim *s, enum ibb_journal_ending ending,
		      struct ibb_journal_report *report, struct ibb_error *err)
{
	return ibb_journal_recover(&s->io, &image_id, ending, report, err);
}

static int recover(struct sim *s, bool drop, struct ibb_journal_report *report,
		   struct ibb_error *err)
{
	return recover_as(s, drop ? IBB_JOURNAL_DROP : IBB_JOURNAL_FINISH, report, err);
}

/* A change that went through; its operations are the record for the cuts. */
static void record_change(struct sim *s)
{
	struct ibb_journal_stats stats;
	struct ibb_error err = {0};

	sim_init(s, &old_state);
	assert_ok(ibb_journal_change(&s->io, &change, &stats, &err), err);
}

/* The medium as it is when the journal is complete and the image untouched. */
static void complete_journal(struct sim_state *ret)
{
	static struct sim s;
	unsigned begin = 0;

	record_change(&s);
	while (s.ops[begin].kind != SIM_BEGIN)
		begin++;
	sim_cut(&s, &old_state, (struct sim_cut){.after = begin, .fate = FATE_LOST}, ret);
	assert_true(ret->exists);
	assert_image(ret, &old_state);
	sim_clear(&s);
}

static void test_change(void **state)
{
	static struct sim s;
	static const enum sim_kind want[] = {
		SIM_CREATE,   SIM_PREPARE, SIM_WRITE, SIM_WRITE,    SIM_WRITE,	SIM_WRITE,
		SIM_WRITE,    SIM_WRITE,   SIM_WRITE, SIM_SYNC,	    SIM_WRITE,	SIM_SYNC,
		SIM_SYNC_DIR, SIM_BEGIN,   SIM_WRITE, SIM_WRITE,    SIM_WRITE,	SIM_WRITE,
		SIM_WRITE,    SIM_WRITE,   SIM_SYNC,  SIM_MANIFEST, SIM_UNLINK, SIM_SYNC_DIR};
	struct ibb_journal_stats stats;
	struct ibb_error err = {0};

	(void)state;
	sim_init(&s, &old_state);
	assert_ok(ibb_journal_change(&s.io, &change, &stats, &err), err);
	assert_image(&s.now, &new_state);
	assert_true(s.now.manifest && !s.now.exists);
	assert_int_equal(stats.records, 6);
	assert_int_equal(stats.changed_bytes, ibb_disk_overlay_dirty_bytes(overlay));
	assert_int_equal(stats.written_bytes,
			 s.written[IBB_JOURNAL_IMAGE] + s.written[IBB_JOURNAL_SELF]);
	assert_int_equal(s.reserved, stats.changed_bytes);
	assert_int_equal(s.image_end, SIM_IMAGE);
	assert_int_equal(s.journal_bytes, s.written[IBB_JOURNAL_SELF]);
	assert_int_equal(s.n_ops, IBB_ARRAY_SIZE(want));
	for (unsigned i = 0; i < s.n_ops; i++)
		assert_int_equal(s.ops[i].kind, want[i]);
	sim_clear(&s);
}

/* Whatever a cut leaves, recovery makes the old image or the new one of it. */
static void check_cut(const struct sim_state *medium, bool must_be_new, bool must_be_old)
{
	static struct sim s;
	struct ibb_journal_report report = {0};
	struct ibb_error err = {0};

	if (!medium->exists) {
		assert_true(image_is(medium, &old_state) || image_is(medium, &new_state));
		assert_true(!must_be_new || (image_is(medium, &new_state) && medium->manifest));
		assert_true(!must_be_old || image_is(medium, &old_state));
		return;
	}
	sim_init(&s, medium);
	assert_ok(recover(&s, false, &report, &err), err);
	assert_false(s.now.exists);
	assert_true(image_is(&s.now, &old_state) || image_is(&s.now, &new_state));
	if (report.state == IBB_JOURNAL_COMPLETE) {
		assert_image(&s.now, &new_state);
		assert_true(s.now.manifest);
		assert_string_equal(report.manifest, "image.manifest.json");
	} else {
		assert_false(must_be_new);
		assert_image(&s.now, &old_state);
		assert_int_equal(s.written[IBB_JOURNAL_IMAGE], 0);
		assert_false(s.now.manifest);
	}
	if (must_be_old)
		assert_image(&s.now, &old_state);
	ibb_journal_report_clear(&report);
	sim_clear(&s);
}

/* fn for every cut of what s recorded, and for mixtures of what was pending. */
static unsigned each_cut_from(const struct sim *s, unsigned first, const struct sim_state *before,
			      unsigned mixtures,
			      void (*fn)(const struct sim *s, const struct sim_state *medium,
					 unsigned after))
{
	static struct sim_state medium;
	unsigned n = 0;

	for (unsigned k = first; k <= s->n_ops; k++) {
		struct sim_cut cut = {.after = k, .fate = FATE_LOST};
		unsigned pending = sim_cut(s, before, cut, &medium);

		fn(s, &medium, k);
		n++;
		for (unsigned i = 0; i < 2 * pending + 2 * mixtures + 1 && pending; i++, n++) {
			cut.fate = i == 0	      ? FATE_KEPT
				   : i <= pending     ? FATE_ONE_LOST
				   : i <= 2 * pending ? FATE_ONE_KEPT
				   : i % 2	      ? FATE_RANDOM
						      : FATE_TORN;
			cut.which = (i - 1) % pending;
			cut.rnd = test_seed() + i * 1000 + k;
			sim_cut(s, before, cut, &medium);
			fn(s, &medium, k);
		}
	}
	return n;
}

static unsigned each_cut(const struct sim *s, const struct sim_state *before, unsigned mixtures,
			 void (*fn)(const struct sim *s, const struct sim_state *medium,
				    unsigned after))
{
	return each_cut_from(s, 0, before, mixtures, fn);
}

static unsigned index_of(const struct sim *s, enum sim_kind kind, unsigned nth)
{
	for (unsigned i = 0; i < s->n_ops; i++)
		if (s->ops[i].kind == kind && nth-- == 0)
			return i;
	fail();
	return 0;
}

static void after_change_cut(const struct sim *s, const struct sim_state *medium, unsigned after)
{
	/* once the directory was synced the change is promised; before the trailer, impossible */
	check_cut(medium, after > index_of(s, SIM_SYNC_DIR, 0), after <= index_of(s, SIM_SYNC, 0));
}

static void test_every_cut(void **state)
{
	static struct sim s;
	unsigned n;

	(void)state;
	record_change(&s);
	n = each_cut(&s, &old_state, 60, after_change_cut);
	print_message("%u states after a power cut\n", n);
	assert_true(n > 2000);
	sim_clear(&s);
}

/* ---- recovery is cut as well ---- */

static void after_recovery_cut(const struct sim *s, const struct sim_state *medium, unsigned after)
{
	(void)s;
	(void)after;
	check_cut(medium, true, false);
}

static void recover_and_cut(const struct sim *changed, const struct sim_state *medium,
			    unsigned after)
{
	static struct sim s;
	struct ibb_journal_report report = {0};
	struct ibb_error err = {0};

	if (!medium->exists || after <= index_of(changed, SIM_SYNC_DIR, 0))
		return;
	sim_init(&s, medium);
	assert_ok(recover(&s, false, &report, &err), err);
	each_cut(&s, medium, 1, after_recovery_cut);
	ibb_journal_report_clear(&report);
	sim_clear(&s);
}

static void test_cut_while_recovering(void **state)
{
	static struct sim s;

	(void)state;
	record_change(&s);
	each_cut(&s, &old_state, 0, recover_and_cut);
	sim_clear(&s);
}

/*
 * The change is killed, not cut: what it wrote is in the cache, ahead of the medium. Then recovery
 * runs on what the cache shows, and the power goes.
 */
static void after_kill_cut(const struct sim *s, const struct sim_state *medium, unsigned after)
{
	/* a recovery that went to its end is durable */
	check_cut(medium, after == s->n_ops && image_is(&s->now, &new_state), false);
}

static void recover_after_kill(const struct sim *changed, unsigned killed, bool drop)
{
	static struct sim_state cache;
	static struct sim s;
	struct ibb_journal_report report = {0};
	struct ibb_error err = {0};

	sim_cut(changed, &old_state, (struct sim_cut){.after = killed, .fate = FATE_KEPT}, &cache);
	if (!cache.exists || (drop && !image_is(&cache, &old_state)))
		return;
	sim_init(&s, &cache);
	for (unsigned i = 0; i < killed; i++) {
		struct sim_op *op = sim_log(&s, changed->ops[i].kind, changed->ops[i].file);

		*op = changed->ops[i];
		op->data = op->data ? ibb_memdup(op->data, op->len) : NULL;
	}
	assert_ok(recover(&s, drop, &report, &err), err);
	each_cut_from(&s, killed, &old_state, 1, after_kill_cut);
	ibb_journal_report_clear(&report);
	sim_clear(&s);
}

static void test_kill_and_cut(void **state)
{
	static struct sim s;

	(void)state;
	record_change(&s);
	for (unsigned killed = 1; killed <= s.n_ops; killed++) {
		recover_after_kill(&s, killed, false);
		if (killed % 3 == 0)
			recover_after_kill(&s, killed, true);
	}
	sim_clear(&s);
}

/* --drop: the old image, or a refusal that changes nothing. */
static void drop_after_cut(const struct sim *changed, const struct sim_state *medium,
			   unsigned after)
{
	static struct sim s;
	struct ibb_journal_report report = {0};
	struct ibb_error err = {0};
	int r;

	(void)changed;
	(void)after;
	if (!medium->exists)
		return;
	sim_init(&s, medium);
	r = recover(&s, true, &report, &err);
	assert_int_equal(s.written[IBB_JOURNAL_IMAGE], 0);
	if (image_is(medium, &old_state)) {
		assert_ok(r, err);
		assert_false(s.now.exists);
		assert_null(report.manifest);
	} else {
		assert_int_equal(r, IBB_E_CONFLICT);
		assert_non_null(strstr(err.msg, "are written already"));
		assert_non_null(strstr(err.hint, "without --drop"));
		assert_true(s.now.exists);
	}
	assert_image(&s.now, medium);
	ibb_journal_report_clear(&report);
	sim_clear(&s);
}

static void test_drop(void **state)
{
	static struct sim s;

	(void)state;
	record_change(&s);
	each_cut(&s, &old_state, 10, drop_after_cut);
	sim_clear(&s);
}

/* ---- failures ---- */

/* What is said depends on what is left to be done. */
static void assert_said(const struct ibb_error *err, enum sim_kind failed, bool journal)
{
	const char *msg = "the change of image is not finished: image: simulated";
	const char *hint = "then finish it: ibbake recover 'image'";

	if (failed == SIM_PREPARE) {
		msg = "the change of image is not finished: its manifest: image: simulated";
		hint = "ibbake recover --no-manifest 'image'";
	} else if (failed == SIM_MANIFEST) {
		msg = "image is changed and read back, only its manifest is missing: image: sim";
		hint = "ibbake recover --no-manifest 'image'";
	} else if (!journal) {
		msg = "image is changed and read back, but its journal is not removed for good";
		hint = "be there after a power cut: ibbake recover 'image'; otherwise nothing";
	}
	assert_non_null(strstr(err->msg, msg));
	assert_non_null(strstr(err->hint, hint));
}

static void test_every_failure_of_recovery(void **state)
{
	static struct sim s;
	static struct sim_state left, after;
	struct ibb_journal_report report = {0};
	struct ibb_error err = {0};
	enum sim_kind kinds[SIM_OPS];
	long total;

	(void)state;
	complete_journal(&left);
	sim_init(&s, &left);
	assert_ok(recover(&s, false, &report, &err), err);
	ibb_journal_report_clear(&report);
	total = s.seen;
	for (long i = 0; i < total; i++)
		kinds[i] = s.ops[i].kind;
	for (long i = 0; i < total; i++) {
		sim_init(&s, &left);
		s.fail_at = i;
		assert_int_equal(recover(&s, false, &report, &err), IBB_E_IO);
		assert_said(&err, kinds[i], s.now.exists);
		after = s.now;
		check_cut(&after, true, false);
	}
	/* nothing was applied, the journal is gone, and only that may come back */
	for (int drop = 0; drop < 2; drop++) {
		sim_init(&s, &left);
		if (!drop)
			s.now.journal_len -= UNIT;
		s.fail_at = 1;
		assert_int_equal(recover(&s, drop, &report, &err), IBB_E_IO);
		assert_non_null(strstr(err.msg, "image is as it was before, but its journal is"));
		assert_false(s.now.exists);
	}
	sim_clear(&s);
}

static void test_every_failure(void **state)
{
	static struct sim s;
	static struct sim_state left;
	struct ibb_journal_stats stats;
	enum sim_kind kinds[SIM_OPS];
	long total, begin;

	(void)state;
	record_change(&s);
	total = s.seen;
	begin = index_of(&s, SIM_BEGIN, 0);
	for (long i = 0; i < total; i++)
		kinds[i] = s.ops[i].kind;
	for (long i = 0; i < total; i++) {
		struct ibb_error err = {0};
		int code = i % 2 ? ENOSPC : EIO;

		sim_init(&s, &old_state);
		s.fail_at = i;
		s.fail_errno = code;
		assert_fails(ibb_journal_change(&s.io, &change, &stats, &err),
			     code == EIO ? IBB_E_IO : IBB_E_NOSPACE, err, "image: simulated");
		if (i <= begin) { /* the image is the old one, and nothing stays */
			assert_image(&s.now, &old_state);
			assert_false(s.now.exists);
			assert_false(s.now.manifest);
			continue;
		}
		assert_said(&err, kinds[i], s.now.exists);
		left = s.now;
		check_cut(&left, true, false);
	}
	sim_clear(&s);
}

/* What a hole needs is asked for before the first write, and a change without it is given up. */
static void test_no_room(void **state)
{
	static struct sim s;
	static struct sim_state left;
	struct ibb_journal_stats stats;
	struct ibb_journal_report report = {0};
	struct ibb_error err = {0};

	(void)state;
	sim_init(&s, &old_state);
	s.full = true;
	assert_fails(ibb_journal_change(&s.io, &change, &stats, &err), IBB_E_NOSPACE, err,
		     "image: simulated");
	assert_image(&s.now, &old_state);
	assert_false(s.now.exists || s.now.manifest);
	complete_journal(&left);
	sim_init(&s, &left);
	s.full = true;
	assert_fails(recover(&s, false, &report, &err), IBB_E_NOSPACE, err, "image: simulated");
	assert_image(&s.now, &old_state);
	assert_true(s.now.exists);
	s.full = false;
	assert_ok(recover(&s, false, &report, &err), err);
	assert_int_equal(s.reserved, report.stats.changed_bytes);
	ibb_journal_report_clear(&report);
	sim_clear(&s);
}

/* The manifest cannot be written: the image can be finished without it. */
static void test_no_manifest(void **state)
{
	static struct sim s;
	static struct sim_state left[2];
	struct ibb_journal_stats stats;
	struct ibb_journal_report report = {0};
	long at;

	(void)state;
	complete_journal(&left[0]);
	record_change(&s);
	at = index_of(&s, SIM_MANIFEST, 0);
	sim_init(&s, &old_state);
	s.fail_at = at;
	assert_int_equal(ibb_journal_change(&s.io, &change, &stats, NULL), IBB_E_IO);
	left[1] = s.now;
	assert_image(&left[1], &new_state);
	for (size_t i = 0; i < 2; i++) {
		struct ibb_error err = {0};

		sim_init(&s, &left[i]);
		s.fail_at = 3; /* sync, directory, begin */
		assert_fails(recover(&s, false, &report, &err), IBB_E_IO, err,
			     i ? "image is changed and read back, only its manifest is missing: "
			       : "the change of image is not finished: its manifest: ");
		assert_non_null(strstr(err.hint, "ibbake recover --no-manifest 'image'"));
		assert_true(s.now.exists && !s.now.manifest);
		assert_image(&s.now, &left[i]);
		sim_init(&s, &left[i]);
		assert_ok(recover_as(&s, IBB_JOURNAL_FINISH_BARE, &report, &err), err);
		assert_image(&s.now, &new_state);
		assert_false(s.now.exists || s.now.manifest);
		assert_null(report.manifest);
		assert_string_equal(report.missing, "image.manifest.json");
		ibb_journal_report_clear(&report);
	}
	sim_clear(&s);
}

static void test_no_memory(void **state)
{
	static struct sim s;
	static struct sim_state left;
	struct ibb_journal_stats stats;
	struct ibb_journal_report report;
	struct ibb_error err = {0};
	long total;

	(void)state;
	ibb_mem_fail_at(-1, false);
	sim_init(&s, &old_state);
	(void)ibb_mem_count();
	assert_ok(ibb_journal_change(&s.io, &change, &stats, &err), err);
	total = ibb_mem_count();
	assert_true(total > 5);
	for (long i = 0; i < total; i++) {
		sim_init(&s, &old_state);
		ibb_mem_fail_at(i, false);
		assert_int_equal(ibb_journal_change(&s.io, &change, &stats, &err), IBB_E_NOMEM);
		ibb_mem_fail_at(-1, false);
		left = s.now;
		check_cut(&left, false, false);
		assert_true(s.begun || !s.now.exists);
	}
	complete_journal(&left);
	for (long i = 0; i < 100; i++) {
		int r;

		sim_init(&s, &left);
		ibb_mem_fail_at(i, false);
		r = recover(&s, false, &report, &err);
		ibb_mem_fail_at(-1, false);
		if (!r) {
			assert_true(i > 3);
			ibb_journal_report_clear(&report);
			break;
		}
		assert_int_equal(r, IBB_E_NOMEM);
		check_cut(&s.now, true, false);
	}
	sim_clear(&s);
}

/* What a medium gives back must be what was written. */
static void test_reads_back_differently(void **state)
{
	static struct sim s;
	struct ibb_journal_stats stats;
	struct ibb_error err = {0};

	(void)state;
	sim_init(&s, &old_state);
	s.lie_at = 49152 + 4097;
	assert_fails(ibb_journal_change(&s.io, &change, &stats, &err), IBB_E_IO, err,
		     "what was written at offset 53249 reads back differently");
	assert_true(s.now.exists && !s.now.manifest);
	sim_clear(&s);
}

static void test_nothing_to_change(void **state)
{
	static struct sim s;
	struct ibb_disk *empty = NULL;
	struct ibb_journal_change c = change;
	struct ibb_journal_stats stats;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_disk_overlay_new(lower, 1u << 20, &empty, &err), err);
	c.overlay = empty;
	sim_init(&s, &old_state);
	assert_ok(ibb_journal_change(&s.io, &c, &stats, &err), err);
	assert_int_equal(s.n_ops, 2);
	assert_true(s.now.manifest && !s.now.exists);
	c.manifest = NULL;
	sim_init(&s, &old_state);
	assert_ok(ibb_journal_change(&s.io, &c, &stats, &err), err);
	assert_int_equal(s.n_ops, 0);
	ibb_disk_unref(empty);
	sim_clear(&s);
}

/* ---- journals that are not what they should be ---- */

/* The image is never touched, and the journal stays. */
static void assert_refused(const struct sim_state *medium, const struct ibb_journal_id *id,
			   int code, const char *text)
{
	static const enum ibb_journal_ending endings[] = {IBB_JOURNAL_FINISH, IBB_JOURNAL_DROP};
	static struct sim s;
	struct ibb_journal_report report;
	struct ibb_error err = {0};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(endings); i++) {
		sim_init(&s, medium);
		assert_fails(ibb_journal_recover(&s.io, id, endings[i], &report, &err), code, err,
			     text);
		assert_int_equal(s.begun, 0);
		assert_int_equal(s.n_ops, 0);
		assert_true(s.now.exists);
		assert_true(err.hint[0]);
	}
	sim_clear(&s);
}

static void test_other_image(void **state)
{
	static struct sim_state m;
	struct ibb_journal_id id = image_id;

	(void)state;
	complete_journal(&m);
	id.image_bytes += 512;
	assert_refused(&m, &id, IBB_E_CONFLICT, "belongs to another image than image: the size");
	id = image_id;
	id.container = 0;
	assert_refused(&m, &id, IBB_E_CONFLICT, "the container differs");
	id = image_id;
	id.flags = IBB_JOURNAL_HAS_VHD_ID | IBB_JOURNAL_HAS_MBR_ID;
	assert_refused(&m, &id, IBB_E_CONFLICT, "the partition table differs");
	id = image_id;
	id.vhd_id.b[15] ^= 1;
	assert_refused(&m, &id, IBB_E_CONFLICT, "the unique ID of the VHD differs");
	id = image_id;
	id.gpt_id.b[0] ^= 1;
	assert_refused(&m, &id, IBB_E_CONFLICT, "the GPT disk GUID differs");
	id = image_id;
	id.mbr_signature = 1;
	assert_refused(&m, &id, IBB_E_CONFLICT, "the MBR signature differs");
	/* an incomplete one of another image is left alone as well */
	m.journal_len -= UNIT;
	id = image_id;
	id.gpt_id.b[0] ^= 1;
	assert_refused(&m, &id, IBB_E_CONFLICT, "the GPT disk GUID differs");
}

/* Somebody wrote to the image since. */
static void test_foreign_sector(void **state)
{
	static struct sim_state m;

	(void)state;
	complete_journal(&m);
	m.image[49152 + 1024 + 7] ^= 0x40;
	assert_refused(&m, &image_id, IBB_E_CONFLICT,
		       "the sector at offset 50176 is neither as it was before");
	m.journal_len -= UNIT; /* and when the journal never was complete */
	assert_refused(&m, &image_id, IBB_E_CONFLICT, "the sector at offset 50176 is neither");
	/* outside of the change it is none of our business */
	complete_journal(&m);
	m.image[4096] ^= 0x40;
	{
		static struct sim s;
		struct ibb_journal_report report = {0};
		struct ibb_error err = {0};

		sim_init(&s, &m);
		assert_ok(recover(&s, false, &report, &err), err);
		s.now.image[4096] ^= 0x40;
		assert_image(&s.now, &new_state);
		ibb_journal_report_clear(&report);
		sim_clear(&s);
	}
}

/* The trailer was lost after the change had begun: that can be seen. */
static void test_lost_trailer(void **state)
{
	static struct sim_state m;

	(void)state;
	complete_journal(&m);
	memcpy(m.image + 49152, new_state.image + 49152, 512);
	m.journal[m.journal_len - 1] ^= 1;
	assert_refused(&m, &image_id, IBB_E_CONFLICT,
		       "has no end, but 1 sectors of image are as it would make them");
}

static void test_every_byte(void **state)
{
	static struct sim_state sound, m;
	static struct sim s;
	struct ibb_journal_report report;
	struct ibb_error err = {0};

	(void)state;
	complete_journal(&sound);
	m = sound;
	for (size_t i = 0; i < sound.journal_len; i++) {
		/* all of the heads, samples of the content */
		if (i % UNIT > 120 ? i % 97 : i / UNIT % 8 > 2 && i % 31)
			continue;
		m.journal[i] ^= (uint8_t)(1u << i % 8);
		if (i < sound.journal_len - UNIT) {
			assert_refused(&m, &image_id, IBB_E_CORRUPT, "image" IBB_JOURNAL_SUFFIX);
		} else { /* not complete any more, and the image is as it was: dropped */
			sim_init(&s, &m);
			assert_ok(recover(&s, false, &report, &err), err);
			assert_int_equal(report.state, IBB_JOURNAL_INCOMPLETE);
			assert_int_equal(s.begun, 0);
		}
		m.journal[i] = sound.journal[i];
	}
	sim_clear(&s);
}

static void test_every_length(void **state)
{
	static struct sim_state m;
	static struct sim s;
	struct ibb_journal_report report;
	struct ibb_error err = {0};

	(void)state;
	complete_journal(&m);
	for (size_t n = m.journal_len - 1; n > 0; n -= n > 1024 ? 101 : 1) {
		m.journal_len = n;
		sim_init(&s, &m);
		assert_ok(recover(&s, false, &report, &err), err);
		assert_int_equal(report.state, IBB_JOURNAL_INCOMPLETE);
		assert_false(s.now.exists);
		assert_int_equal(s.begun, 0);
	}
	sim_clear(&s);
}

/* Digests that are right, over content that is wrong. */
static void reseal_unit(uint8_t *unit)
{
	struct ibb_sha256 d;

	assert_int_equal(ibb_sha256(unit, 480, &d), 0);
	memcpy(unit + 480, d.b, 32);
}

static void reseal(struct sim_state *m, size_t record)
{
	struct ibb_hasher *h = NULL;
	struct ibb_sha256 all;
	uint64_t n = ibb_get_le64(m->journal + 32);
	size_t at = UNIT + (size_t)ibb_journal_manifest_bytes(ibb_get_le32(m->journal + 88),
							      ibb_get_le32(m->journal + 92));

	reseal_unit(m->journal);
	if (record)
		reseal_unit(m->journal + record);
	assert_int_equal(ibb_hasher_new(&h), 0);
	assert_int_equal(ibb_hasher_update(h, m->journal + 480, 32), 0);
	for (uint64_t i = 0; i < n && at + UNIT < m->journal_len; i++) {
		assert_int_equal(ibb_hasher_update(h, m->journal + at + 480, 32), 0);
		at += (size_t)ibb_journal_record_bytes(ibb_get_le64(m->journal + at + 24));
	}
	assert_int_equal(ibb_hasher_final(h, &all), 0);
	assert_int_equal(ibb_journal_put_trailer(n, &all, m->journal + m->journal_len - UNIT), 0);
}

static void test_hostile(void **state)
{
	static struct sim_state sound, m;
	size_t first = 2 * UNIT, second; /* heads of records */

	(void)state;
	complete_journal(&sound);
	second = first + (size_t)ibb_journal_record_bytes(ibb_get_le64(sound.journal + first + 24));
	assert_memory_equal(sound.journal + second, "ibbakeRR", 8);
#define HOSTILE(record, off, bits, value, code, text)                  \
	do {                                                           \
		m = sound;                                             \
		ibb_put_le##bits(m.journal + (record) + (off), value); \
		reseal(&m, record);                                    \
		assert_refused(&m, &image_id, code, text);             \
	} while (0)
	HOSTILE(0, 8, 32, 2, IBB_E_UNSUPPORTED, "version 2");
	HOSTILE(0, 12, 32, 0x8000000b, IBB_E_UNSUPPORTED, "flags 0x8000000b");
	HOSTILE(0, 16, 64, 0, IBB_E_CORRUPT, "no image that is changed in place is like this");
	HOSTILE(0, 16, 64, 1000, IBB_E_CORRUPT, "no image that is changed in place is like this");
	HOSTILE(0, 48, 32, 2, IBB_E_CORRUPT, "no image that is changed in place is like this");
	HOSTILE(0, 24, 64, 7, IBB_E_CORRUPT, "header and trailer do not fit each other");
	HOSTILE(0, 32, 64, UINT64_MAX, IBB_E_CORRUPT, "more content than the image has");
	HOSTILE(0, 32, 64, 5, IBB_E_CORRUPT, "the records are not what the header counts");
	HOSTILE(0, 32, 64, 7, IBB_E_CORRUPT, "a record is missing");
	HOSTILE(0, 40, 64, UINT64_MAX, IBB_E_CORRUPT, "more content than the image has");
	HOSTILE(0, 40, 64, 4096, IBB_E_CORRUPT, "the records are not what the header counts");
	HOSTILE(0, 88, 32, 0, IBB_E_CORRUPT, "the lengths of the manifest");
	HOSTILE(0, 88, 32, 5000, IBB_E_CORRUPT, "the lengths of the manifest");
	HOSTILE(0, 92, 32, UINT32_MAX, IBB_E_CORRUPT, "the lengths of the manifest");
	HOSTILE(0, 92, 32, 60u << 20, IBB_E_CORRUPT, "the manifest lies beyond the end");
	HOSTILE(0, 92, 32, 600, IBB_E_CORRUPT, "the digest of the manifest");
	HOSTILE(first, 8, 64, 1, IBB_E_CORRUPT, "the record has another number");
	HOSTILE(first, 16, 64, 100, IBB_E_CORRUPT, "no run of sectors");
	HOSTILE(first, 16, 64, SIM_IMAGE, IBB_E_CORRUPT, "the record lies outside the image");
	HOSTILE(first, 16, 64, UINT64_MAX - 511, IBB_E_CORRUPT, "lies outside the image");
	HOSTILE(first, 24, 64, 0, IBB_E_CORRUPT, "no run of sectors");
	HOSTILE(first, 24, 64, 513, IBB_E_CORRUPT, "no run of sectors");
	HOSTILE(first, 24, 64, UINT64_MAX - 511, IBB_E_CORRUPT, "no run of sectors");
	HOSTILE(first, 24, 64, 2u << 20, IBB_E_CORRUPT, "no run of sectors");
	HOSTILE(first, 24, 64, SIM_IMAGE, IBB_E_CORRUPT, "the record goes beyond the end");
	HOSTILE(first, 24, 64, 8192, IBB_E_CORRUPT, "the content is not what its digest says");
	HOSTILE(second, 16, 64, 0, IBB_E_CORRUPT, "overlaps the one before it");
#undef HOSTILE
	/* a record that the trailer does not vouch for, though it is sound by itself */
	m = sound;
	ibb_put_le64(m.journal + first + 16, 4096);
	reseal_unit(m.journal + first);
	assert_refused(&m, &image_id, IBB_E_CORRUPT, "the trailer vouches for other records");
	/* a NUL in the manifest's path would end it early */
	m = sound;
	m.journal[UNIT + 3] = 0;
	{
		struct ibb_sha256 d;

		assert_int_equal(ibb_sha256(m.journal + UNIT, UNIT, &d), 0);
		memcpy(m.journal + 96, d.b, 32);
	}
	reseal(&m, 0);
	assert_refused(&m, &image_id, IBB_E_CORRUPT, "a NUL in the manifest");
}

/* ---- how much is written ---- */

static void host_new(const char *path, int fd, const char *sys, struct ibb_journal_host **ret)
{
	struct ibb_error err = {0};
	struct ibb_file_id id;

	assert_ok(ibb_file_id_fd(fd, path, &id, &err), err);
	assert_ok(ibb_journal_host_new(path, fd, &id, sys, ret, &err), err);
}

static void test_amount(void **state)
{
	static uint8_t block[64 << 10];
	struct ibb_disk *big = NULL, *over = NULL;
	struct ibb_journal_host *host = NULL;
	struct ibb_journal_stats stats;
	struct ibb_error err = {0};
	struct stat st;
	char path[600];
	uint64_t rng = test_seed();
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/amount", test_dir());
	make_sparse(path, 64u << 20);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(ibb_disk_mem_new(64u << 20, 512, &big, &err), err);
	assert_ok(ibb_disk_overlay_new(big, 32u << 20, &over, &err), err);
	for (unsigned i = 0; i < 64; i++) { /* runs of 4 KiB to 64 KiB, as files are */
		size_t n = 4096 * (1 + (size_t)(test_rand(&rng) % 16));

		for (size_t k = 0; k < n; k++)
			block[k] = (uint8_t)test_rand(&rng);
		assert_ok(ibb_disk_pwrite(over, block, n, (uint64_t)i << 20, &err), err);
	}
	host_new(path, fd, "/sys", &host);
	struct ibb_journal_change c = {
		.id = {.image_bytes = 64u << 20, .container = 0}, .overlay = over, .lower = big};

	assert_ok(ibb_journal_change(ibb_journal_host_io(host), &c, &stats, &err), err);
	assert_int_equal(stats.changed_bytes, ibb_disk_overlay_dirty_bytes(over));
	print_message("%.3f bytes written for each byte changed\n",
		      (double)stats.written_bytes / (double)stats.changed_bytes);
	assert_true(stats.written_bytes * 10 <= stats.changed_bytes * 21);
	/* and nothing but that: holes of the image stay holes */
	assert_int_equal(stat(path, &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 <= stats.changed_bytes + (1u << 20));
	ibb_journal_host_free(host);
	ibb_disk_unref(over);
	ibb_disk_unref(big);
	close(fd);
}

/* ---- real files ---- */

static void write_medium(const struct sim_state *m, const char *image, const char *journal)
{
	make_file(image, m->image, SIM_IMAGE);
	unlink(journal);
	if (m->exists) {
		make_file(journal, m->journal, m->journal_len);
		assert_int_equal(chmod(journal, 0600), 0);
	}
}

static int host_recover(const char *image, bool *ret_found, struct ibb_error *err)
{
	struct ibb_journal_report report = {0};
	struct ibb_journal_host *host = NULL;
	int fd = open(image, O_RDONLY | O_CLOEXEC), r;

	assert_true(fd >= 0);
	host_new(image, fd, "/sys", &host);
	r = ibb_journal_host_open(host, ret_found, err);
	if (!r && *ret_found)
		r = ibb_journal_recover(ibb_journal_host_io(host), &image_id, IBB_JOURNAL_FINISH,
					&report, err);
	ibb_journal_report_clear(&report);
	ibb_journal_host_free(host);
	close(fd);
	return r;
}

static void test_real_files(void **state)
{
	static struct sim_state m;
	struct ibb_error err = {0};
	char image[600], journal[700], manifest[700], other[700];
	bool found;

	(void)state;
	snprintf(image, sizeof(image), "%s/image", test_dir());
	snprintf(journal, sizeof(journal), "%s" IBB_JOURNAL_SUFFIX, image);
	snprintf(manifest, sizeof(manifest), "%s/image.manifest.json", test_dir());
	snprintf(other, sizeof(other), "%s/other", test_dir());
	complete_journal(&m);
	write_medium(&m, image, journal);
	assert_ok(host_recover(image, &found, &err), err);
	assert_true(found);
	assert_file_is(image, new_state.image, SIM_IMAGE);
	assert_file_is(manifest, SIM_TEXT, strlen(SIM_TEXT));
	assert_int_equal(access(journal, F_OK), -1);
	assert_ok(host_recover(image, &found, &err), err);
	assert_false(found);
	/* a journal that somebody could have put there */
	write_medium(&m, image, journal);
	assert_int_equal(chmod(journal, 0620), 0);
	assert_fails(host_recover(image, &found, &err), IBB_E_CONFLICT, err, "others may write");
	assert_non_null(strstr(err.hint, "keep it"));
	assert_int_equal(chmod(image, 0620), 0); /* who may write to the one may to the other */
	assert_int_equal(chmod(journal, 0622), 0);
	assert_fails(host_recover(image, &found, &err), IBB_E_CONFLICT, err, "others may write");
	assert_int_equal(chmod(journal, 0620), 0);
	assert_ok(host_recover(image, &found, &err), err);
	write_medium(&m, image, journal);
	assert_int_equal(chmod(image, 0666), 0);
	assert_int_equal(chmod(journal, 0666), 0);
	assert_ok(host_recover(image, &found, &err), err);
	write_medium(&m, image, journal);
	assert_int_equal(chmod(image, 0600), 0);
	assert_int_equal(link(journal, other), 0);
	assert_fails(host_recover(image, &found, &err), IBB_E_CONFLICT, err, "more than one name");
	assert_int_equal(unlink(journal), 0);
	assert_int_equal(symlink(other, journal), 0);
	assert_fails(host_recover(image, &found, &err), IBB_E_CONFLICT, err, "no regular file");
	assert_int_equal(unlink(journal), 0);
	assert_int_equal(mkdir(journal, 0700), 0);
	assert_fails(host_recover(image, &found, &err), IBB_E_CONFLICT, err, "no regular file");
	assert_int_equal(rmdir(journal), 0);
	assert_int_equal(mkfifo(journal, 0600), 0);
	assert_fails(host_recover(image, &found, &err), IBB_E_CONFLICT, err, "no regular file");
	assert_int_equal(unlink(journal), 0);
	if (geteuid() == 0) {
		write_medium(&m, image, journal);
		assert_int_equal(chown(journal, 65534, 65534), 0);
		assert_fails(host_recover(image, &found, &err), IBB_E_CONFLICT, err,
			     "belongs to another user");
		assert_int_equal(unlink(journal), 0);
	}
	assert_file_is(image, old_state.image, SIM_IMAGE);
	unlink(other);
}

/* ---- somebody writes between our looks at the image ---- */

/* Not what the change was made from; the clock of the file does not tell. */
static void write_other_sector(struct sim *s)
{
	s->now.image[49152 + 1024] ^= 1;
}

static void finish_one_sector(struct sim *s)
{
	memcpy(s->now.image + 49152, new_state.image + 49152, 512);
}

static void test_meddling(void **state)
{
	static void (*const meddle[])(struct sim * s) = {write_other_sector, finish_one_sector};
	static struct sim s;
	struct ibb_journal_stats stats;
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(meddle); i++) {
		sim_init(&s, &old_state);
		meddle[i](&s);
		assert_fails(ibb_journal_change(&s.io, &change, &stats, &err), IBB_E_CHANGED, err,
			     "image: was written to while its change was prepared");
		assert_int_equal(s.written[IBB_JOURNAL_IMAGE], 0);
		assert_false(s.now.exists || s.now.manifest);
	}
	sim_clear(&s);
}

/* Somebody renamed another file over the image: what was changed is not what has its name. */
static void test_moved(void **state)
{
	static struct sim s;
	struct ibb_journal_stats stats;
	struct ibb_error err = {0};

	(void)state;
	sim_init(&s, &old_state);
	s.moved = true;
	assert_fails(ibb_journal_change(&s.io, &change, &stats, &err), IBB_E_CHANGED, err,
		     "the change of image is not finished: image: simulated: moved");
	assert_true(s.now.exists && !s.now.manifest);
	sim_clear(&s);
}

/* The same on files: `how` is done after the image was opened and looked at. */
static void refused_change(const char *image, const char *sys, int (*how)(const char *image),
			   int code, const char *text)
{
	struct ibb_journal_host *host = NULL;
	struct ibb_journal_stats stats;
	struct ibb_error err = {0};
	char journal[700];
	int fd;

	make_file(image, old_state.image, SIM_IMAGE);
	fd = open(image, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	host_new(image, fd, sys, &host);
	assert_int_equal(how ? how(image) : 0, 0);
	assert_fails(ibb_journal_change(ibb_journal_host_io(host), &change, &stats, &err), code,
		     err, text);
	snprintf(journal, sizeof(journal), "%s" IBB_JOURNAL_SUFFIX, image);
	assert_int_equal(access(journal, F_OK), -1);
	ibb_journal_host_free(host);
	close(fd);
}

static int write_elsewhere(const char *image)
{
	IBB_AUTO_FD int fd = open(image, O_WRONLY | O_CLOEXEC);

	return pwrite(fd, "x", 1, 4096) == 1 ? 0 : -1;
}

static int replace_it(const char *image)
{
	char other[700];

	snprintf(other, sizeof(other), "%s.new", image);
	make_file(other, old_state.image, SIM_IMAGE);
	return rename(other, image);
}

static void test_meddling_files(void **state)
{
	char image[600], sys[600], path[700];

	(void)state;
	snprintf(image, sizeof(image), "%s/meddled", test_dir());
	refused_change(image, "/sys", write_elsewhere, IBB_E_CHANGED,
		       "was written to while its change was prepared");
	refused_change(image, "/sys", replace_it, IBB_E_CHANGED, "was replaced");
	snprintf(sys, sizeof(sys), "%s/sys", test_dir());
	assert_int_equal(mkdir(sys, 0700), 0);
	for (const char *const *p =
		     (const char *const[]){"block", "block/loop3", "block/loop3/loop", NULL};
	     *p; p++) {
		snprintf(path, sizeof(path), "%s/%s", sys, *p);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	snprintf(path, sizeof(path), "%s/block/loop3/loop/backing_file", sys);
	make_file(path, image, strlen(image));
	refused_change(image, sys, NULL, IBB_E_CONFLICT, "the backing file of /dev/loop3");
	assert_file_is(image, old_state.image, SIM_IMAGE);
}

/* Everybody who opens the image meets the journal, under whatever name. */
static void test_check(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct ibb_file_id id;
	char image[600], journal[700], alias[700], text[1500];

	(void)state;
	snprintf(image, sizeof(image), "%s/checked", test_dir());
	snprintf(journal, sizeof(journal), "%s" IBB_JOURNAL_SUFFIX, image);
	snprintf(alias, sizeof(alias), "%s/alias", test_dir());
	make_file(image, "x", 1);
	assert_int_equal(symlink("checked", alias), 0);
	assert_ok(ibb_journal_check(image, &err), err);
	make_file(journal, "", 0);
	snprintf(text, sizeof(text), "a change in place was interrupted: %s lies beside it",
		 journal);
	assert_fails(ibb_journal_check(image, &err), IBB_E_CONFLICT, err, text);
	assert_non_null(strstr(err.hint, "ibbake recover '"));
	assert_fails(ibb_journal_check(alias, &err), IBB_E_CONFLICT, err, text);
	assert_fails(ibb_disk_file_open(alias, &id, &d, &err), IBB_E_CONFLICT, err, text);
	assert_ok(ibb_disk_file_open_with_journal(alias, &id, &d, &err), err);
	ibb_disk_unref(d);
	assert_int_equal(unlink(journal), 0);
	assert_int_equal(symlink("/nowhere", journal), 0); /* even one that leads nowhere */
	assert_fails(ibb_journal_check(image, &err), IBB_E_CONFLICT, err, text);
	assert_int_equal(unlink(journal), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_cut_while_recovering),
		cmocka_unit_test(test_kill_and_cut),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_every_failure),
		cmocka_unit_test(test_every_failure_of_recovery),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_no_manifest),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_reads_back_differently),
		cmocka_unit_test(test_nothing_to_change),
		cmocka_unit_test(test_other_image),
		cmocka_unit_test(test_foreign_sector),
		cmocka_unit_test(test_lost_trailer),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_amount),
		cmocka_unit_test(test_real_files),
		cmocka_unit_test(test_meddling),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_meddling_files),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
