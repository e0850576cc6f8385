/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any bytes as a journal beside an image. What is refused leaves the image alone and the journal
 * where it is; what is finished has put exactly its records into the image; to finish again after
 * an interruption gives the same; and nothing is finished without memory for it.
 */
#include "fuzz_journal.h"

#include "base/le.h"
#include "disk/journal_int.h"

static int run(struct fuzz_world *w, const struct ibb_buf *b, bool drop, const uint8_t *image)
{
	struct ibb_journal_report report = {0};
	struct ibb_error err = {0};
	int r;

	fuzz_world_init(w);
	memcpy(w->image, image, FUZZ_IMAGE);
	w->journal = b->data;
	w->journal_len = b->len;
	w->exists = true;
	r = ibb_journal_recover(&w->io, &fuzz_id, drop ? IBB_JOURNAL_DROP : IBB_JOURNAL_FINISH,
				&report, &err);
	if (r) {
		FUZZ_CHECK(r == IBB_E_CORRUPT || r == IBB_E_CONFLICT || r == IBB_E_UNSUPPORTED ||
				   r == IBB_E_NOMEM,
			   "%d %s", r, err.msg);
		FUZZ_CHECK(err.msg[0] && !strchr(err.msg, '\n'), "%d %s", r, err.msg);
		FUZZ_CHECK(w->exists || r == IBB_E_NOMEM, "refused, and the journal is gone");
		FUZZ_CHECK(!w->writes || r == IBB_E_NOMEM, "refused after %u writes", w->writes);
		FUZZ_CHECK(!report.manifest, "a report of what failed");
		return r;
	}
	FUZZ_CHECK(!w->exists, "done, and the journal is there");
	FUZZ_CHECK(!w->writes || (!drop && report.state == IBB_JOURNAL_COMPLETE), "a write");
	FUZZ_CHECK(w->manifest == !!report.manifest, "the manifest");
	FUZZ_CHECK(report.sectors_old + report.sectors_new + report.sectors_same <=
			   FUZZ_IMAGE / 512,
		   "too many sectors");
	ibb_journal_report_clear(&report);
	return r;
}

/* Every byte that changed is one that a record of the journal puts there. */
static int check_record(void *ctx, const struct journal_record *rec, struct ibb_error *err)
{
	uint8_t *image = ctx;

	(void)err;
	memcpy(image + rec->off_bytes, rec->data, rec->len_bytes);
	return IBB_OK;
}

static void check_finished(const struct fuzz_world *w, const struct ibb_buf *b, const uint8_t *old)
{
	static struct fuzz_world again;
	static uint8_t want[FUZZ_IMAGE], half[FUZZ_IMAGE];
	struct journal j = {0};
	struct ibb_error err = {0};

	memcpy(want, old, FUZZ_IMAGE);
	fuzz_world_init(&again);
	again.journal = b->data;
	again.journal_len = b->len;
	FUZZ_CHECK(!ibb_journal_read_head(&again.io, &j, &err) &&
			   !ibb_journal_each(&j, check_record, want, NULL, &err),
		   "%s", err.msg);
	ibb_journal_clear(&j);
	FUZZ_CHECK(memcmp(want, w->image, FUZZ_IMAGE) == 0, "the image is not what it shall be");
	/* interrupted somewhere in the middle of the sectors */
	for (size_t at = 0; at < FUZZ_IMAGE; at += 512)
		memcpy(half + at, (at / 512 * 7 % 3 ? old : want) + at, 512);
	FUZZ_CHECK(!run(&again, b, false, half), "it cannot be finished");
	FUZZ_CHECK(memcmp(want, again.image, FUZZ_IMAGE) == 0, "finished otherwise");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_world w;
	static uint8_t old[FUZZ_IMAGE], mixed[FUZZ_IMAGE], changed[FUZZ_IMAGE];
	struct ibb_buf b = fuzz_copy(data, size);
	int r;

	fuzz_image(old, false);
	fuzz_image(changed, true);
	for (size_t at = 0; at < FUZZ_IMAGE; at += 512)
		memcpy(mixed + at, (at / 512 % 2 ? old : changed) + at, 512);
	r = run(&w, &b, false, old);
	if (!r && w.begun)
		check_finished(&w, &b, old);
	(void)run(&w, &b, true, old);
	(void)run(&w, &b, false, mixed);
	ibb_mem_fail_at((long)(size % 8), false);
	r = run(&w, &b, false, old);
	ibb_mem_fail_at(-1, false);
	ibb_buf_clear(&b);
	return 0;
}

/* A field of a head becomes another number. */
static void change_field(uint8_t *p, size_t n, uint64_t *rnd)
{
	static const uint64_t numbers[] = {
		0,	    1,	      511,	512,	    4096,      FUZZ_IMAGE - 512,
		FUZZ_IMAGE, 1u << 20, 2u << 20, UINT32_MAX, INT64_MAX, UINT64_MAX - 511,
		UINT64_MAX};
	static const struct {
		uint8_t off, bytes;
	} fields[] = {{8, 4},  {12, 4}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 4},
		      {52, 4}, {56, 8}, {72, 8}, {88, 4}, {92, 4}, {8, 8}};
	size_t unit = fuzz_rnd(rnd, (uint32_t)(n / 512)) * 512, f;
	uint64_t v = numbers[fuzz_rnd(rnd, IBB_ARRAY_SIZE(numbers))] + fuzz_rnd(rnd, 3) * 512;

	/* heads are rare: look for one, the header when there is none near */
	for (size_t i = 0; i < 40 && unit && memcmp(p + unit, "ibbakeR", 7) != 0; i++)
		unit -= 512;
	if (memcmp(p + unit, "ibbakeR", 7) != 0)
		unit = 0;
	f = fuzz_rnd(rnd, IBB_ARRAY_SIZE(fields));
	if (fields[f].bytes == 4)
		ibb_put_le32(p + unit + fields[f].off, (uint32_t)v);
	else
		ibb_put_le64(p + unit + fields[f].off, v);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t state = seed;

	if (size < 1024 || !fuzz_rnd(&state, 4))
		size = LLVMFuzzerMutate(data, size, max_size);
	for (unsigned k = fuzz_rnd(&state, 4); k && size >= 1024; k--)
		change_field(data, size, &state);
	if (fuzz_rnd(&state, 8))
		fuzz_reseal_journal(data, size);
	return size;
}
