/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transaction logs: what Windows wrote, and logs made from pairs of images. */
#include "test_hive_log.h"

#include <time.h>

/*
 * Values that public implementations of Marvin32 test themselves with for this seed; they fold the
 * hash into 32 bits. All lengths modulo 4 occur.
 */
static void test_marvin(void **unused)
{
	static const struct {
		const char *text;
		uint32_t folded;
	} v[] = {{"", 0xb00892ac},    {"h", 0xf41a608e},    {"he", 0x11107c6b},
		 {"hel", 0x24056a46}, {"hell", 0x7f91e021}, {"hello, world!", 0x00c18515}};

	(void)unused;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(v); i++) {
		uint64_t h = hv_marvin32(v[i].text, strlen(v[i].text));

		assert_int_equal((uint32_t)(h >> 32) ^ (uint32_t)h, v[i].folded);
	}
}

/* ---- new format ---- */

static void test_clean(void **unused)
{
	struct set s = dirty(0);
	struct ibb_buf before;

	(void)unused;
	add_new(&s, 0, 4);
	mklog_mark(&s.hive, FIRST, FIRST);
	before = copy_of(&s.hive);
	assert_ok(recover(&s), E);
	assert_int_equal(s.hive.len, before.len);
	assert_memory_equal(s.hive.data, before.data, before.len);
	assert_true(!R.dirty && !R.replayed && !R.base_recovered && !R.accepted);
	assert_int_equal(R.max_sequence, FIRST + 3);
	assert_int_equal(R.bins_before, R.bins_after);
	assert_int_equal(R.logs[0].n_entries, 4);
	assert_int_equal(R.logs[0].first_sequence, FIRST);
	assert_int_equal(R.logs[0].last_sequence, FIRST + 3);
	assert_int_equal(R.logs[0].n_applied, 0);
	assert_string_equal(R.logs[0].why, "the hive is clean");
	/* a log of the old format is only looked at as well */
	assert_int_equal(mklog_old(ibb_buf_bytes(&state[0]), ibb_buf_bytes(&state[5]), 50, 1, false,
				   &s.log[0]),
			 0);
	assert_ok(recover(&s), E);
	assert_int_equal(R.logs[0].n_entries, 1);
	assert_int_equal(R.logs[0].last_sequence, 50);
	assert_int_equal(R.max_sequence, 50);
	/* without logs the numbers of the hive are all there is */
	s.n = 0;
	mklog_mark(&s.hive, 77, 77);
	assert_ok(recover(&s), E);
	assert_int_equal(R.max_sequence, 77);
	ibb_buf_clear(&before);
	done(&s);
}

/* Every state can be reached from every earlier one, and the pages written are named. */
static void test_each(void **unused)
{
	(void)unused;
	for (unsigned from = 0; from < STATES; from++)
		for (unsigned to = from + 1; to < STATES; to++) {
			struct set s = dirty(from);
			struct ibb_buf before = copy_of(&s.hive);

			add_new(&s, from, to);
			s.pages = calloc(IBB_HIVE_PAGE_WORDS, 8);
			replays(&s, to);
			assert_int_equal(R.logs[0].n_applied, to - from);
			assert_string_equal(R.logs[0].why, "");
			assert_int_equal(R.bins_before + 4096, before.len);
			assert_true(R.bytes_applied >= 4096 * (to - from));
			for (size_t i = 0; i < s.hive.len / 4096 - 1; i++)
				if ((i + 2) * 4096 > before.len ||
				    memcmp(before.data + (i + 1) * 4096,
					   s.hive.data + (i + 1) * 4096, 4096) != 0)
					assert_true(s.pages[i / 64] >> i % 64 & 1);
			assert_false(s.pages[0] >> (s.hive.len / 4096 - 1) & 1);
			ibb_buf_clear(&before);
			done(&s);
		}
}

/* One state spread over several entries: only the last of them completes it. */
static void test_spread(void **unused)
{
	(void)unused;
	for (unsigned n = 1; n <= 5; n++) {
		struct set s = dirty(0);

		assert_int_equal(mklog_new(ibb_buf_bytes(&state[0]), ibb_buf_bytes(&state[5]),
					   FIRST, n, add_log(&s)),
				 0);
		assert_ok(recover(&s), E);
		assert_int_equal(R.logs[0].n_applied, n);
		is_state(&s.hive, 5, FIRST + n - 1);
		done(&s);
	}
}

static void test_two_logs(void **unused)
{
	struct set s;

	(void)unused;
	for (unsigned cut = 1; cut < 5; cut++)
		for (unsigned swap = 0; swap < 2; swap++) {
			s = dirty(0);
			add_log(&s); /* an empty .LOG is there as well */
			add_new(&s, swap ? cut : 0, swap ? 5 : cut);
			add_new(&s, swap ? 0 : cut, swap ? cut : 5);
			replays(&s, 5);
			assert_int_equal(R.logs[0].format, IBB_HIVE_LOG_EMPTY);
			assert_int_equal(R.logs[1 + swap].n_applied, cut);
			assert_int_equal(R.logs[2 - swap].n_applied, 5 - cut);
			done(&s);
		}
	/* three that follow one another, in the wrong order */
	s = dirty(0);
	add_new(&s, 4, 5);
	add_new(&s, 0, 2);
	add_new(&s, 2, 4);
	replays(&s, 5);
	done(&s);
}

/* What the hive holds already is not applied, and does not keep the other log from it. */
static void test_older_log(void **unused)
{
	struct set s = dirty(2);

	(void)unused;
	add_new(&s, 0, 2);
	add_new(&s, 2, 5);
	replays(&s, 5);
	assert_int_equal(R.logs[0].n_applied, 0);
	assert_string_equal(R.logs[0].why, "its entries begin with sequence number 10, and the "
					   "hive holds everything below 12");
	done(&s);
	s = dirty(2);
	add_new(&s, 0, 2);
	stays_dirty(&s, "H.LOG: its entries begin with sequence number 10, and the hive holds");
	done(&s);
	/* not even when entries that the hive lacks follow those that it holds ("Log entries", 7)
	 */
	s = dirty(2);
	add_new(&s, 0, 5);
	stays_dirty(&s, "H.LOG: its entries begin with sequence number 10, and the hive holds");
	done(&s);
	/* Windows numbers on while the base block of the hive stays behind */
	s = dirty(2);
	mklog_mark(&s.hive, 4, 3);
	add_new(&s, 2, 5);
	replays(&s, 5);
	done(&s);
}

/* A second log with a gap before it, or with the same numbers. */
static void test_second_log_does_not_fit(void **unused)
{
	struct set s = dirty(0);

	(void)unused;
	add_new(&s, 0, 2);
	add_new(&s, 3, 5);
	has_gap(&s, 2, FIRST + 4, "behind entry 11 nothing continues it");
	assert_string_equal(R.logs[1].why,
			    "its entries begin with sequence number 13, expected 12");
	assert_int_equal(R.max_sequence, FIRST + 4);
	done(&s);
	s = dirty(0);
	add_new(&s, 0, 3);
	add_new(&s, 0, 5);
	has_gap(&s, 3, FIRST + 4, "behind entry 12 nothing continues it");
	assert_string_equal(R.logs[1].why,
			    "its entries begin with sequence number 10, expected 13");
	done(&s);
	/* the first has a base block and nothing behind it yet: nothing may follow it */
	s = dirty(0);
	add_new(&s, 0, 0);
	add_new(&s, 1, 5);
	stays_dirty(&s, "H.LOG: no log entry behind its base block; H.LOG1: its entries begin with "
			"sequence number 11, expected 10");
	done(&s);
	/* the second was just begun when the machine stopped */
	s = dirty(0);
	add_new(&s, 0, 5);
	add_new(&s, 5, 5);
	replays(&s, 5);
	assert_string_equal(R.logs[1].why, "no log entry behind its base block");
	done(&s);
}

/* Remnants: behind the entries, with lower numbers, with higher ones, and in a log begun anew. */
static void test_remnants(void **unused)
{
	struct set s = dirty(0);
	struct ibb_buf *b = add_new(&s, 0, 3);

	(void)unused;
	assert_int_equal(mklog_entry(ibb_buf_bytes(&state[4]), ibb_buf_bytes(&state[5]), 4, b), 0);
	replays(&s, 3);
	assert_int_equal(R.logs[0].n_entries, 4);
	assert_int_equal(R.logs[0].first_sequence, 4);
	assert_int_equal(R.logs[0].last_sequence, FIRST + 2);
	assert_string_equal(R.logs[0].why, ""); /* the usual end */
	done(&s);

	s = dirty(0);
	b = add_new(&s, 0, 3);
	assert_int_equal(ibb_buf_append_zero(b, 512), 0);
	assert_int_equal(mklog_entry(ibb_buf_bytes(&state[4]), ibb_buf_bytes(&state[5]), 999, b),
			 0);
	has_gap(&s, 3, 999, "behind entry 12 nothing continues it");
	assert_int_equal(R.logs[0].n_entries, 4);
	assert_int_equal(R.max_sequence, 999);
	done(&s);

	/* the first entry is not the one that the base block announces */
	s = dirty(0);
	b = add_new(&s, 0, 3);
	mklog_mark(b, FIRST + 1, FIRST + 1);
	stays_dirty(&s, "the entry at 0x200 has sequence number 10, expected 11");
	done(&s);
}

/*
 * Entries before a bogus one could be applied, and nothing behind it. When it is the last, that is
 * what a power cut leaves behind; otherwise sound ones would be lost.
 */
static void test_stops(void **unused)
{
	static const struct {
		unsigned field;
		const char *why;
	} c[] = {{12, "Hash-2 is wrong"}, {24, "Hash-2 is wrong"}, {32, "Hash-2 is wrong"},
		 {40, "Hash-1 is wrong"}, {60, "Hash-1 is wrong"}, {1000, "Hash-1 is wrong"}};

	(void)unused;
	for (unsigned k = 0; k < 5; k++)
		for (size_t i = 0; i < IBB_ARRAY_SIZE(c); i++) {
			struct set s = dirty(0);
			struct ibb_buf *b = add_new(&s, 0, 5);

			b->data[entry_at(b, k) + c[i].field] ^= 4;
			if (k == 4)
				replays(&s, k);
			else if (k)
				has_gap(&s, k, FIRST + 4, c[i].why);
			else
				stays_dirty(&s, c[i].why);
			assert_non_null(strstr(R.logs[0].why, c[i].why));
			assert_int_equal(R.logs[0].n_entries, 4);
			assert_int_equal(R.max_sequence, FIRST + 4 - (k == 4 ? 1 : 0));
			done(&s);
		}
}

static void test_gap(void **unused)
{
	struct set s = dirty(0);
	struct ibb_buf *b = add_new(&s, 0, 5);
	size_t at = entry_at(b, 2);

	(void)unused;
	ibb_put_le32(b->data + at + 12, FIRST + 7);
	mklog_seal(b, at);
	has_gap(&s, 2, FIRST + 7, "has sequence number 17, expected 12");
	assert_int_equal(R.max_sequence, FIRST + 7);
	done(&s);
}

/* The hive becomes smaller; its file does not. */
static void test_shrink(void **unused)
{
	struct set s = dirty(5);
	struct ibb_buf *b = add_log(&s);

	(void)unused;
	assert_int_equal(mklog_begin(ibb_buf_bytes(&state[5]), MKLOG_NEW, FIRST + 5, 1, b), 0);
	assert_int_equal(
		mklog_entry(ibb_buf_bytes(&state[5]), ibb_buf_bytes(&state[0]), FIRST + 5, b), 0);
	assert_ok(recover(&s), E);
	assert_int_equal(R.bins_before + 4096, state[5].len);
	assert_int_equal(R.bins_after + 4096, state[0].len);
	assert_int_equal(s.hive.len, state[5].len);
	is_state(&s.hive, 0, FIRST + 5);
	done(&s);
}

/* Entries along this way; the last makes the hive larger than it has pages for. */
static void grow_at_end(const unsigned *way, unsigned n)
{
	struct set s = dirty(way[0]);
	struct ibb_buf *b = add_log(&s), *last = &state[way[n]];
	size_t at = 0;

	s.pages = calloc(IBB_HIVE_PAGE_WORDS, 8);
	mklog_mark(&s.hive, FIRST + 1, FIRST);
	/* bytes that the file has behind its bins */
	assert_int_equal(ibb_buf_append_zero(&s.hive, state[5].len - s.hive.len), 0);
	memset(s.hive.data + state[way[0]].len, 0xaa, state[5].len - state[way[0]].len);
	assert_int_equal(mklog_begin(ibb_buf_bytes(&state[0]), MKLOG_NEW, FIRST, 1, b), 0);
	for (unsigned i = 0; i < n; i++) {
		at = b->len;
		assert_int_equal(mklog_entry(ibb_buf_bytes(&state[way[i]]),
					     ibb_buf_bytes(&state[way[i + 1]]), FIRST + i, b),
				 0);
	}
	ibb_put_le32(b->data + at + 16, (uint32_t)state[5].len - 4096);
	mklog_seal(b, at);
	assert_ok(recover(&s), E);
	assert_int_equal(R.logs[0].n_applied, n);
	assert_memory_equal(s.hive.data + 4096, last->data + 4096, last->len - 4096);
	for (size_t i = last->len; i < state[5].len; i++) {
		assert_int_equal(s.hive.data[i], 0);
		assert_true(s.pages[0] >> (i / 4096 - 1) & 1);
	}
	done(&s);
}

/* What was beyond the end does not come back: not the file's, and not an earlier entry's. */
static void test_grow_into_zeros(void **unused)
{
	(void)unused;
	grow_at_end((const unsigned[]){0, 1}, 1);
	grow_at_end((const unsigned[]){0, 4, 0, 1}, 3);
	grow_at_end((const unsigned[]){4, 5, 0, 1}, 3);
}

/* A hive whose file was not grown yet, or was cut. */
static void test_short_file(void **unused)
{
	struct set s = dirty(0);

	(void)unused;
	add_new(&s, 0, 5);
	s.hive.len = 4096 + 100;
	assert_ok(recover(&s), E);
	assert_int_equal(s.hive.len, state[5].len);
	done(&s);
}

static void test_header_fields(void **unused)
{
	struct set s = dirty(0);
	struct ibb_buf *b;
	size_t at;

	(void)unused;
	/* of the flags only bit 0 travels, in both directions */
	ibb_put_le32(s.hive.data + 144, 6);
	mklog_mark(&s.hive, FIRST + 1, FIRST);
	b = add_new(&s, 0, 2);
	at = entry_at(b, 1);
	ibb_put_le32(b->data + at + 8, 9);
	mklog_seal(b, at);
	/* the time is the later one, the root the log's */
	ibb_put_le64(b->data + 12, T1);
	mklog_checksum(b->data);
	replays(&s, 2);
	assert_int_equal(ibb_get_le32(s.hive.data + 144), 7);
	assert_int_equal(ibb_get_le64(s.hive.data + 12), T1);
	done(&s);

	s = dirty(0);
	ibb_put_le32(s.hive.data + 144, 7);
	ibb_put_le64(s.hive.data + 12, T1 + 1);
	mklog_mark(&s.hive, FIRST + 1, FIRST);
	add_new(&s, 0, 2);
	replays(&s, 2);
	assert_int_equal(ibb_get_le32(s.hive.data + 144), 6);
	assert_int_equal(ibb_get_le64(s.hive.data + 12), T1 + 1);
	done(&s);
}

/* Sectors of 4096 bytes: entries begin behind the whole base block. */
static void test_large_sectors(void **unused)
{
	struct set s = dirty(0);
	struct ibb_buf *b = add_log(&s);

	(void)unused;
	assert_int_equal(mklog_begin(ibb_buf_bytes(&state[0]), MKLOG_NEW, FIRST, 8, b), 0);
	for (unsigned k = 0; k < 5; k++)
		assert_int_equal(mklog_entry(ibb_buf_bytes(&state[k]), ibb_buf_bytes(&state[k + 1]),
					     FIRST + k, b),
				 0);
	replays(&s, 5);
	done(&s);
}

/* ---- the base block ---- */

static void test_base_recovery(void **unused)
{
	struct set s;

	(void)unused;
	for (unsigned wiped = 0; wiped < 2; wiped++) {
		s = dirty(0);
		add_new(&s, 0, 5);
		if (wiped) /* without a signature the first bin shows that it is a hive */
			memset(s.hive.data, 0, 4096);
		else
			memset(s.hive.data + 40, 0x55, 4096 - 40);
		ibb_put_le32(s.hive.data + 8, 0xffffffff); /* says nothing any more */
		replays(&s, 5);
		assert_true(R.base_recovered);
		assert_int_equal(R.max_sequence, FIRST + 4);
		assert_int_equal(R.bins_before + 4096, state[0].len);
		/* the log's first sector, and zeros behind it */
		assert_memory_equal(s.hive.data + 48, state[0].data + 48, 96);
		for (unsigned i = 512; i < 4096; i++)
			assert_int_equal(s.hive.data[i], 0);
		done(&s);
	}
	/* "only the transaction log file with latest log entries is used" */
	s = dirty(2);
	add_new(&s, 0, 2);
	add_new(&s, 2, 5);
	s.hive.data[508] ^= 1;
	replays(&s, 5);
	assert_int_equal(R.logs[0].n_applied, 0);
	assert_non_null(strstr(R.logs[0].why, "only the log with the newest entries is used"));
	done(&s);
	/* one that was just begun has none */
	s = dirty(0);
	add_new(&s, 0, 5);
	add_new(&s, 5, 5);
	s.hive.data[508] ^= 1;
	replays(&s, 5);
	done(&s);
}

/* ---- old format ---- */

/*
 * Windows writes the base block first, with the new time and size; so a dirty hive has the base
 * block of the state that it is on its way to, and the bins of the one before.
 */
static struct set dirty_old(unsigned from, unsigned to)
{
	struct set s = dirty(from);

	memcpy(s.hive.data, state[to].data, 4096);
	mklog_mark(&s.hive, 5, 4);
	return s;
}

static void test_old(void **unused)
{
	static const unsigned factors[] = {1, 2, 4, 8};

	(void)unused;
	for (unsigned from = 0; from < STATES; from++)
		for (unsigned to = 0; to < STATES; to++)
			for (unsigned i = 0; from != to && i < 8; i++) {
				struct set s = dirty_old(from, to);

				add_log(&s);
				assert_int_equal(mklog_old(ibb_buf_bytes(&state[from]),
							   ibb_buf_bytes(&state[to]), 5,
							   factors[i / 2], i % 2, add_log(&s)),
						 0);
				assert_int_equal(ibb_buf_append_zero(&s.log[1], 1024), 0);
				assert_ok(recover(&s), E);
				is_state(&s.hive, to, 5);
				assert_true(R.replayed && !R.base_recovered);
				assert_int_equal(R.logs[1].format, IBB_HIVE_LOG_OLD);
				assert_int_equal(R.logs[1].n_entries, 1);
				assert_int_equal(R.logs[1].n_applied, 1);
				assert_int_equal(R.max_sequence, 5);
				done(&s);
			}
}

static void test_old_base_recovery(void **unused)
{
	struct set s = dirty_old(0, 5);

	(void)unused;
	assert_int_equal(mklog_old(ibb_buf_bytes(&state[0]), ibb_buf_bytes(&state[5]), 5, 1, false,
				   add_log(&s)),
			 0);
	s.hive.data[508] ^= 1;
	/* the first bin has the time of state 0, not of the log */
	stays_dirty(&s, "its last-written time 0x1d4f54cf65a0005 is not that of the hive, "
			"0x1d4f54cf65a0000");
	ibb_put_le64(s.hive.data + 4096 + 20, T0 + 5);
	assert_ok(recover(&s), E);
	assert_true(R.base_recovered);
	is_state(&s.hive, 5, 5);
	done(&s);
}

/* Up to Windows Server 2003 the log is one behind the hive; of two logs that apply, the newer. */
static void test_old_numbers(void **unused)
{
	struct set s = dirty_old(0, 5);
	struct ibb_bytes a = ibb_buf_bytes(&state[0]), b = ibb_buf_bytes(&state[5]);

	(void)unused;
	assert_int_equal(mklog_old(a, b, 4, 1, false, add_log(&s)), 0);
	assert_ok(recover(&s), E);
	is_state(&s.hive, 5, 5);
	done(&s);

	s = dirty_old(0, 5);
	assert_int_equal(mklog_old(a, b, 5, 1, false, add_log(&s)), 0);
	assert_int_equal(mklog_old(a, b, 6, 1, false, add_log(&s)), 0);
	assert_ok(recover(&s), E);
	is_state(&s.hive, 5, 6);
	assert_int_equal(R.logs[0].n_applied, 0);
	assert_string_equal(R.logs[0].why, "another log is newer or comes first");
	assert_int_equal(R.logs[1].n_applied, 1);
	done(&s);
}

/* ---- taking a dirty hive as it is ---- */

static void test_accept(void **unused)
{
	struct set s = dirty(2);

	(void)unused;
	s.pages = calloc(IBB_HIVE_PAGE_WORDS, 8);
	assert_ok(recover_as(&s, true), E);
	assert_true(R.accepted && R.dirty && !R.replayed);
	is_state(&s.hive, 2, FIRST + 3);
	for (size_t i = 0; i < IBB_HIVE_PAGE_WORDS; i++)
		assert_int_equal(s.pages[i], 0);
	done(&s);
	/* a log that can be applied is applied all the same */
	s = dirty(2);
	add_new(&s, 2, 4);
	assert_ok(recover_as(&s, true), E);
	assert_true(!R.accepted && R.replayed);
	is_state(&s.hive, 4, FIRST + 3);
	done(&s);
	/* the numbers of a bad base block say nothing; those of the logs do */
	s = dirty(2);
	s.hive.data[4] = 0xff;
	assert_ok(recover_as(&s, true), E);
	is_state(&s.hive, 2, 1);
	done(&s);
	s = dirty(2);
	s.hive.data[508] ^= 1;
	add_new(&s, 2, 2);
	assert_ok(recover_as(&s, true), E);
	is_state(&s.hive, 2, FIRST + 2);
	done(&s);
	/* what has no base block at all cannot be taken as it is */
	s = dirty(2);
	memset(s.hive.data, 0, 4096);
	assert_fails(recover_as(&s, true), IBB_E_CORRUPT, E, "not a registry hive");
	done(&s);
}

/* ---- the number that a write gets ---- */

/* An edit is sealed with a number above this one, which stands somewhere in the logs. */
static void seals_above(struct set *s, uint32_t highest)
{
	struct ibb_hive_recovery rec;
	struct ibb_bytes sealed;
	struct ibb_hive *h;

	for (size_t i = 0; i < s->n; i++)
		s->in[i] = (struct ibb_hive_log){"H.LOG", ibb_buf_bytes(&s->log[i])};
	assert_ok(ibb_hive_open_logged("H", &s->hive, s->in, s->n, false, &rec, &h, &E), E);
	assert_false(rec.dirty);
	assert_int_equal(rec.max_sequence, highest);
	set(h, make(h, "later"), "v", IBB_REG_SZ, "", 0);
	assert_ok(ibb_hive_seal(h, T1, &sealed, &E), E);
	assert_int_equal(ibb_get_le32(sealed.data + 4), highest + 1);
	assert_int_equal(ibb_get_le32(sealed.data + 8), highest + 1);
	ibb_hive_close(h);
	done(s);
}

static struct ibb_buf *clean_with_log(struct set *s)
{
	*s = dirty(0);
	mklog_mark(&s->hive, FIRST - 1, FIRST - 1);
	return add_new(s, 0, 5);
}

/* The hive is clean; but was it dirty again, an entry with a higher number would be replayed. */
static void test_sealed_number(void **unused)
{
	struct ibb_buf *b;
	struct set s;

	(void)unused;
	clean_with_log(&s);
	seals_above(&s, FIRST + 4);
	/* a base block that is damaged, or gone */
	b = clean_with_log(&s);
	b->data[508] ^= 1;
	seals_above(&s, FIRST + 4);
	b = clean_with_log(&s);
	memset(b->data, 0, 512);
	seals_above(&s, FIRST + 4);
	/* a base block with a higher number than any entry */
	b = clean_with_log(&s);
	mklog_mark(b, 700, 700);
	seals_above(&s, 700);
	/* remnants behind the entries, in the second of two logs */
	clean_with_log(&s);
	b = add_new(&s, 5, 5);
	assert_int_equal(ibb_buf_append_zero(b, 1024), 0);
	assert_int_equal(mklog_entry(ibb_buf_bytes(&state[4]), ibb_buf_bytes(&state[5]), 999, b),
			 0);
	seals_above(&s, 999);
	/* the old format has one number */
	s = dirty(0);
	mklog_mark(&s.hive, FIRST, FIRST);
	assert_int_equal(mklog_old(ibb_buf_bytes(&state[0]), ibb_buf_bytes(&state[5]), 50, 1, false,
				   add_log(&s)),
			 0);
	seals_above(&s, 50);
}

/* Taken as it is, or brought up to date, and not edited: sealed, it is a clean hive all the same.
 */
static void test_sealed_unedited(void **unused)
{
	(void)unused;
	for (unsigned accepted = 0; accepted < 2; accepted++) {
		struct ibb_hive_recovery rec;
		struct ibb_bytes sealed;
		struct set s = dirty(2);
		struct ibb_hive *h, *g;

		if (!accepted)
			add_new(&s, 2, 4);
		s.in[0] = (struct ibb_hive_log){"H.LOG", ibb_buf_bytes(&s.log[0])};
		assert_ok(ibb_hive_open_logged("H", &s.hive, s.in, s.n, accepted, &rec, &h, &E), E);
		assert_int_equal(rec.accepted, accepted);
		assert_ok(ibb_hive_seal(h, T1, &sealed, &E), E);
		assert_false(ibb_hive_edited(h));
		assert_int_equal(ibb_get_le32(sealed.data + 4), FIRST + 4);
		assert_int_equal(ibb_get_le32(sealed.data + 8), FIRST + 4);
		assert_true(ibb_hive_page_changed(h, 0));
		assert_true(ibb_hive_page_changed(h, 4096)); /* the first bin has the time */
		g = open_copy(sealed.data, sealed.len);
		has_diff(ibb_hive_before(h), g, "");
		ibb_hive_close(g);
		g = open_copy(state[accepted ? 2 : 4].data, state[accepted ? 2 : 4].len);
		has_diff(ibb_hive_before(h), g, "");
		ibb_hive_close(g);
		ibb_hive_close(h);
		done(&s);
	}
}

/* ---- what Windows wrote ---- */

static void read_real(struct set *s, const char *hive, const char *log1, const char *log2)
{
	*s = (struct set){.n = 3};
	TEST_DATA_OR_SKIP(hive, &s->hive);
	TEST_DATA_OR_SKIP(log1, &s->log[1]);
	TEST_DATA_OR_SKIP(log2, &s->log[2]);
}

/*
 * Windows 10 loaded this hive, which replayed both logs, and unloaded it again. Its file and the
 * one made here differ in two bytes: at offsets 4 and 8, the sequence numbers, 5 here and 6 there.
 * 5 is that of the last entry. Windows then wrote the hive to its file, and a write counts up by
 * one; here that is left to the writer of the hive. The checksum is the same, as both numbers go
 * into it with exclusive or and cancel each other. The time of the base block and that of the
 * first bin, both unchanged, are those of the logs.
 */
static void test_as_windows_10(void **unused)
{
	struct ibb_buf want = {0};
	struct set s;

	(void)unused;
	read_real(&s, "hives/replay/NewDirtyHive1/NewDirtyHive",
		  "hives/replay/NewDirtyHive1/NewDirtyHive.LOG1",
		  "hives/replay/NewDirtyHive1/NewDirtyHive.LOG2");
	TEST_DATA_OR_SKIP("hives/replay/NewDirtyHive1/RecoveredHive_Windows10", &want);
	assert_ok(recover(&s), E);
	assert_int_equal(R.logs[1].n_applied, 1);
	assert_int_equal(R.logs[2].n_applied, 3);
	assert_int_equal(R.max_sequence, 5);
	assert_int_equal(s.hive.len, want.len);
	for (size_t i = 0; i < want.len; i++)
		if (s.hive.data[i] != want.data[i]) {
			assert_true(i == 4 || i == 8);
			assert_int_equal(s.hive.data[i], 5);
			assert_int_equal(want.data[i], 6);
		}
	ibb_buf_clear(&want);
	done(&s);
}

static double ms_since(const struct timespec *a)
{
	struct timespec b;

	clock_gettime(CLOCK_MONOTONIC, &b);
	return (double)(b.tv_sec - a->tv_sec) * 1e3 + (double)(b.tv_nsec - a->tv_nsec) / 1e6;
}

/* SYSTEM of Windows 10 1709, against an independent replay: not a byte differs. */
static void test_system_1709(void **unused)
{
#define DIR_1709 "hives/win10-1709-dirty-with-logs/"
	struct ibb_buf want = {0};
	struct ibb_hive *a, *b;
	struct timespec start;
	struct set s;

	(void)unused;
	read_real(&s, DIR_1709 "SYSTEM", DIR_1709 "SYSTEM.LOG1", DIR_1709 "SYSTEM.LOG2");
	TEST_DATA_OR_SKIP(DIR_1709 "SYSTEM.recovered", &want);
	s.pages = calloc(IBB_HIVE_PAGE_WORDS, 8);
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_ok(recover(&s), E);
	print_message("replayed in %.1f ms\n", ms_since(&start));
	assert_int_equal(R.bins_before, 0xbd3000);
	assert_int_equal(R.bins_after, 0xc02000);
	assert_int_equal(R.max_sequence, 2130);
	assert_int_equal(R.logs[1].n_applied, 4);
	assert_int_equal(R.logs[2].n_applied, 20);
	/* the remnants are counted, and nothing of them is applied */
	assert_int_equal(R.logs[1].first_sequence, 1586);
	assert_int_equal(R.logs[1].last_sequence, 2110);
	assert_true(R.logs[1].n_entries > 4);
	assert_int_equal(s.hive.len, want.len);
	assert_memory_equal(s.hive.data, want.data, want.len);
	a = open_copy(s.hive.data, s.hive.len);
	b = open_copy(want.data, want.len);
	assert_int_equal(ibb_hive_header(a)->seq1, 2130);
	assert_int_equal(ibb_hive_header(a)->seq2, 2130);
	has_diff(a, b, "");
	ibb_hive_close(a);
	ibb_hive_close(b);
	ibb_buf_clear(&want);
	done(&s);
}

/*
 * A log of the old format that Windows wrote: BadLogHive1 spoils its base block, BadLogHive2 its
 * dirty vector, and the sound halves make the log that both were before.
 */
static void test_real_old(void **unused)
{
	struct ibb_hive_check sum;
	struct ibb_buf base = {0};
	struct ibb_hive *h;
	struct set s;

	(void)unused;
	read_real(&s, "hives/replay/BadLogHive1/BadLogHive",
		  "hives/replay/BadLogHive1/BadLogHive.LOG1",
		  "hives/replay/BadLogHive1/BadLogHive.LOG2");
	TEST_DATA_OR_SKIP("hives/replay/BadLogHive2/BadLogHive.LOG1", &base);
	memcpy(s.log[1].data, base.data, 512);
	assert_ok(recover(&s), E);
	assert_int_equal(R.logs[1].n_applied, 1);
	assert_int_equal(R.bytes_applied, 64 * 512);
	h = open_copy(s.hive.data, s.hive.len);
	assert_int_equal(ibb_hive_header(h)->seq1, 5);
	assert_ok(ibb_hive_check(h, &sum, &E), E);
	assert_int_equal(sum.keys, 5003);
	ibb_hive_close(h);
	ibb_buf_clear(&base);
	done(&s);
}

static void test_no_logs(void **unused)
{
	struct ibb_hive *h = NULL;
	struct set s = {0};

	(void)unused;
	TEST_DATA_OR_SKIP("hives/win10-1903-dirty-no-logs/SYSTEM", &s.hive);
	stays_dirty(&s, "sequence numbers 4317 and 4316 differ: the hive was not cleanly closed, "
			"and it has no transaction log");
	assert_ok(recover_as(&s, true), E);
	assert_true(R.accepted);
	assert_ok(ibb_hive_open("H", &s.hive, &h, &E), E);
	assert_int_equal(ibb_hive_header(h)->seq2, 4317);
	ibb_hive_close(h);
	done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marvin),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_two_logs),
		cmocka_unit_test(test_older_log),
		cmocka_unit_test(test_second_log_does_not_fit),
		cmocka_unit_test(test_remnants),
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_shrink),
		cmocka_unit_test(test_grow_into_zeros),
		cmocka_unit_test(test_short_file),
		cmocka_unit_test(test_header_fields),
		cmocka_unit_test(test_large_sectors),
		cmocka_unit_test(test_base_recovery),
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_old_base_recovery),
		cmocka_unit_test(test_old_numbers),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_sealed_number),
		cmocka_unit_test(test_sealed_unedited),
		cmocka_unit_test(test_as_windows_10),
		cmocka_unit_test(test_system_1709),
		cmocka_unit_test(test_real_old),
		cmocka_unit_test(test_no_logs),
	};

	return cmocka_run_group_tests(tests, make_states, free_states) ? 1 : 0;
}
