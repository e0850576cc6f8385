/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Damaged and hostile logs: each is refused with its reason, or leads to a state that Windows
 * itself could have arrived at.
 */
#include "test_hive_log.h"

#include <time.h>

/* ---- what Windows' logs were damaged into ---- */

static void bad_log_hive(const char *dir, const char *log1, const char *log2)
{
	static const char *const ext[] = {"", ".LOG1", ".LOG2"};
	struct set s = {.n = 3};
	char rel[128];

	for (unsigned i = 0; i < 3; i++) {
		snprintf(rel, sizeof(rel), "hives/replay/%s/BadLogHive%s", dir, ext[i]);
		TEST_DATA_OR_SKIP(rel, i ? &s.log[i] : &s.hive);
	}
	stays_dirty(&s, log1);
	assert_string_equal(R.logs[1].why, log1);
	assert_string_equal(R.logs[2].why, log2);
	done(&s);
}

/*
 * All three hold sound data behind what is wrong with them; but a log counts only when its base
 * block is valid ("Old format", "Base block", note 2), and the same goes for the new format, which
 * stores it "in the same way". So not even a part of any of them is to be applied.
 */
static void test_bad_log_hives(void **unused)
{
	(void)unused;
	/* old format: "INVL" stands where the checksum of the base block belongs */
	bad_log_hive("BadLogHive1",
		     "the checksum of its base block is 0x4c564e49, should be 0x0ccbac9d", "empty");
	/* old format: the base block is sound, but the dirty vector says "INVL", not "DIRT" */
	bad_log_hive("BadLogHive2", "no dirty vector ('DIRT') behind its base block", "empty");
	/* new format: "INVL" for the checksum in both; all four entries are sound */
	bad_log_hive("BadLogHive3",
		     "the checksum of its base block is 0x4c564e49, should be 0xce228278",
		     "the checksum of its base block is 0x4c564e49, should be 0xce228278");
	assert_int_equal(R.logs[1].n_entries, 1);
	assert_int_equal(R.logs[2].n_entries, 3);
	assert_int_equal(R.max_sequence, 5);
	assert_false(R.logs[1].base_ok);
}

/* ---- base blocks ---- */

static void test_base_block(void **unused)
{
	static const struct {
		unsigned off;
		uint32_t value;
		bool fix;
		const char *why;
		enum ibb_hive_log_format format;
		bool base_ok;
	} c[] = {
		{0, 0x1234, true, "not a transaction log (no 'regf'", IBB_HIVE_LOG_UNKNOWN, false},
		{4, 7, true, "sequence numbers 7 and 10 of its base block differ", IBB_HIVE_LOG_NEW,
		 false},
		{8, 7, true, "sequence numbers 10 and 7 of its base block differ", IBB_HIVE_LOG_NEW,
		 false},
		{28, 0, true, "file type 0 is not that of a transaction log", IBB_HIVE_LOG_UNKNOWN,
		 false},
		{28, 2, true, "file type 2 is not", IBB_HIVE_LOG_UNKNOWN, false},
		{28, 1, true, "no dirty vector", IBB_HIVE_LOG_OLD, true},
		{32, 0, true, "file format 0 is not supported", IBB_HIVE_LOG_NEW, true},
		{40, 0, true, "size 0x0 of the hive bins", IBB_HIVE_LOG_NEW, true},
		{40, 0x1200, true, "size 0x1200 of the hive bins", IBB_HIVE_LOG_NEW, true},
		{40, 0x20000000, true, "size 0x20000000 of the hive bins", IBB_HIVE_LOG_NEW, true},
		{44, 0, true, "clustering factor 0", IBB_HIVE_LOG_NEW, true},
		{44, 3, true, "clustering factor 3", IBB_HIVE_LOG_NEW, true},
		{44, 0x800000, true, "clustering factor 8388608", IBB_HIVE_LOG_NEW, true},
		{60, 1, false, "the checksum of its base block is 0x", IBB_HIVE_LOG_NEW, false},
		{508, 1, false, "is 0x00000001, should be 0x", IBB_HIVE_LOG_NEW, false},
	};

	(void)unused;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(c); i++) {
		struct set s = dirty(0);
		struct ibb_buf *b = add_new(&s, 0, 3);

		ibb_put_le32(b->data + c[i].off, c[i].value);
		if (c[i].fix)
			mklog_checksum(b->data);
		stays_dirty(&s, c[i].why);
		assert_int_equal(R.logs[0].format, c[i].format);
		assert_int_equal(R.logs[0].base_ok, c[i].base_ok);
		assert_int_equal(R.logs[0].n_entries, c[i].format == IBB_HIVE_LOG_OLD ? 0 : 3);
		assert_int_equal(R.max_sequence, FIRST + 2);
		done(&s);
	}
}

static void test_no_log(void **unused)
{
	static uint8_t zeros[8192];
	static const struct {
		size_t n;
		const char *why;
	} c[] = {{0, "H.LOG: empty"},
		 {100, "no base block in it (zeros)"},
		 {8192, "no base block in it (zeros)"}};
	struct set s;

	(void)unused;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(c); i++) {
		s = dirty(0);
		assert_int_equal(ibb_buf_append(add_log(&s), zeros, c[i].n), 0);
		stays_dirty(&s, c[i].why);
		assert_int_equal(R.logs[0].format, IBB_HIVE_LOG_EMPTY);
		done(&s);
	}
	s = dirty(0);
	assert_int_equal(ibb_buf_append(add_log(&s), "regf", 4), 0);
	stays_dirty(&s, "4 bytes are too few for a transaction log");
	done(&s);
	s = dirty(0);
	assert_int_equal(mklog_begin(ibb_buf_bytes(&state[0]), MKLOG_NEW, FIRST, 8, add_log(&s)),
			 0);
	s.log[0].len = 2048;
	stays_dirty(&s, "truncated: it ends in its base block");
	done(&s);
}

/*
 * The base block of one of two logs is damaged, or wiped. What the other holds must not be applied
 * over the gap; and when the damaged one is the later, what it holds would be lost.
 */
static void test_one_of_two(void **unused)
{
	(void)unused;
	for (unsigned which_log = 0; which_log < 2; which_log++)
		for (unsigned wiped = 0; wiped < 2; wiped++) {
			struct set s = dirty(0);

			add_new(&s, 0, 3);
			add_new(&s, 3, 5);
			if (wiped)
				memset(s.log[which_log].data, 0, 512);
			else
				s.log[which_log].data[100] ^= 1;
			stays_dirty(&s, "another log is damaged, but holds entries that belong");
			assert_int_equal(R.max_sequence, FIRST + 4);
			done(&s);
			/* nothing in it that the hive may lack: it does not count */
			s = dirty(3);
			add_new(&s, 0, 3);
			add_new(&s, 3, 5);
			memset(s.log[0].data, 0, 512);
			replays(&s, 5);
			done(&s);
		}
}

static void test_both_formats(void **unused)
{
	struct set s = dirty(0);

	(void)unused;
	add_new(&s, 0, 3);
	assert_int_equal(mklog_old(ibb_buf_bytes(&state[1]), ibb_buf_bytes(&state[0]), FIRST, 1,
				   false, add_log(&s)),
			 0);
	stays_dirty(&s, "H.LOG: a log of the old format applies as well; "
			"H.LOG1: a log of the new format applies as well");
	done(&s);
}

/* ---- entries ---- */

/* The hashes are right: only what the entry says is impossible. */
static void test_entry(void **unused)
{
	static const struct {
		unsigned off;
		uint32_t value;
		const char *why;
	} c[] = {
		{0, 0, "no log entry behind its base block"},
		{4, 39, "its size is impossible"},
		{4, 0, "its size is impossible"},
		{4, 513, "its size is impossible"},
		{4, 0xfffffe00, "it reaches beyond the end of the file"},
		{12, FIRST + 1, "has sequence number 11, expected 10"},
		{12, FIRST - 1, "has sequence number 9, expected 10"},
		{16, 0, "its size of the hive bins is impossible"},
		{16, 0x1200, "its size of the hive bins is impossible"},
		{16, 0x20000000, "its size of the hive bins exceeds the limit"},
		{16, 0xfffff000, "its size of the hive bins exceeds the limit"},
		{20, 0, "it holds no page"},
		{20, 0x20000000, "its list of pages is longer than itself"},
		{20, 0xffffffff, "its list of pages is longer than itself"},
		{40, 0xfffff000, "a page of it lies outside the hive bins"},
		{44, 0xfffff000, "a page of it lies outside the hive bins"},
	};

	(void)unused;
	for (unsigned k = 0; k < 3; k++)
		for (size_t i = 0; i < IBB_ARRAY_SIZE(c); i++) {
			struct set s = dirty(0);
			struct ibb_buf *b = add_new(&s, 0, 3);
			size_t at = entry_at(b, k);
			uint32_t size = ibb_get_le32(b->data + at + 4), own, lost;

			ibb_put_le32(b->data + at + c[i].off,
				     c[i].value + (c[i].off == 12 ? k : 0));
			/* Hash-1 as of the true size, so that only the field can be what is wrong
			 */
			ibb_put_le64(b->data + at + 24, hv_marvin32(b->data + at + 40, size - 40));
			ibb_put_le64(b->data + at + 32, hv_marvin32(b->data + at, 32));
			/* seen as an entry all the same, unless its signature or size is bad */
			own = c[i].off == 12 ? c[i].value + k : FIRST + k;
			lost = k < 2 ? FIRST + 2 : 0;
			if (c[i].off > 4 && own >= FIRST + k && own > lost)
				lost = own;
			if (!k)
				stays_dirty(&s, c[i].why);
			else if (lost)
				has_gap(&s, k, lost,
					!c[i].off || own < FIRST + k ? "nothing continues it"
					: c[i].off == 12	     ? "has sequence number"
								     : c[i].why);
			else
				replays(&s, k);
			done(&s);
		}
}

static void test_pages_longer_than_entry(void **unused)
{
	struct set s = dirty(0);
	struct ibb_buf *b = add_new(&s, 0, 1);
	uint8_t *e = b->data + 512;

	(void)unused;
	/* one page that is all of a large hive, of which less is here */
	ibb_put_le32(e + 16, (uint32_t)state[5].len - 4096);
	ibb_put_le32(e + 40, 0);
	ibb_put_le32(e + 44, (uint32_t)state[5].len - 4096);
	mklog_seal(b, 512);
	stays_dirty(&s, "its pages are longer than itself");
	done(&s);
}

/* ---- every cut, every bit ---- */

/* Refused and untouched, or one of the states that the logs lead through. */
static void legal(struct set *s)
{
	struct ibb_buf before = copy_of(&s->hive);
	int r = recover(s);

	if (r == IBB_OK) {
		unsigned k = which(&s->hive);

		assert_true(k > 0 && k < STATES);
		assert_int_equal(ibb_get_le32(s->hive.data + 4), FIRST + k - 1);
		assert_int_equal(ibb_get_le32(s->hive.data + 8), FIRST + k - 1);
		assert_int_equal(ibb_get_le32(s->hive.data + 508), hv_checksum(s->hive.data));
	} else {
		assert_int_equal(r, IBB_E_DIRTY);
		assert_int_equal(s->hive.len, before.len);
		assert_memory_equal(s->hive.data, before.data, before.len);
	}
	ibb_buf_clear(&s->hive);
	s->hive = before;
}

static void test_cuts(void **unused)
{
	(void)unused;
	for (unsigned cut_log = 0; cut_log < 2; cut_log++) {
		struct set s = dirty(0);
		size_t n;

		add_new(&s, 0, 3);
		add_new(&s, 3, 5);
		n = s.log[cut_log].len;
		/*
		 * Not cut to nothing: Windows leaves a log empty that it does not use, and nothing
		 * would tell this one from it.
		 */
		for (size_t len = 7; len <= n; len += len % 512 == 0 ? 7 : 505) {
			/* a copy of exactly this size, so that a read beyond it is seen */
			struct set t = {.hive = copy_of(&s.hive), .n = 2};

			for (unsigned i = 0; i < 2; i++)
				assert_int_equal(ibb_buf_append(&t.log[i], s.log[i].data,
								i == cut_log ? len : s.log[i].len),
						 0);
			legal(&t);
			if (cut_log == 0)
				assert_true(R.logs[1].n_applied == 0 || len == n);
			done(&t);
		}
		done(&s);
	}
}

static void test_bits(void **unused)
{
	struct set s = dirty(0);

	(void)unused;
	add_new(&s, 0, 3);
	add_new(&s, 3, 4);
	for (unsigned i = 0; i < 2; i++) {
		struct ibb_buf *b = &s.log[i];
		size_t head = 0;

		for (size_t at = 0; at < b->len; at++) {
			if (at >= 512 && memcmp(b->data + at, "HvLE", 4) == 0)
				head = at;
			/* all of the headers and lists; of the pages every third byte */
			if (at - head >= 512 && at % 3)
				continue;
			for (unsigned bit = 0; bit < 8; bit += at - head < 96 ? 1 : 5) {
				b->data[at] ^= (uint8_t)(1u << bit);
				legal(&s);
				b->data[at] ^= (uint8_t)(1u << bit);
			}
		}
	}
	replays(&s, 4);
	done(&s);
}

/* ---- old format ---- */

/* A dirty hive on its way from state 0 to state 5, and the log for it. */
static struct set old_set(void)
{
	struct set s = dirty(0);

	memcpy(s.hive.data, state[5].data, 4096);
	mklog_mark(&s.hive, 5, 4);
	assert_int_equal(mklog_old(ibb_buf_bytes(&state[0]), ibb_buf_bytes(&state[5]), 5, 1, false,
				   add_log(&s)),
			 0);
	return s;
}

static void test_old(void **unused)
{
	const size_t vector = 512 + 4, pages = 1024;
	const uint32_t n_bins = (uint32_t)state[5].len - 4096;
	struct set s;

	(void)unused;
	s = old_set();
	memset(s.log[0].data + vector, 0, n_bins / 4096);
	stays_dirty(&s, "its dirty vector names no page");
	done(&s);

	s = old_set();
	ibb_put_le64(s.log[0].data + 12, T0 + 4);
	mklog_checksum(s.log[0].data);
	stays_dirty(&s, "its last-written time 0x");
	done(&s);

	/* equal, but nothing: Windows 10 does not keep the time of the hives it logs its own way */
	s = old_set();
	ibb_put_le64(s.log[0].data + 12, 0);
	mklog_checksum(s.log[0].data);
	ibb_put_le64(s.hive.data + 12, 0);
	mklog_checksum(s.hive.data);
	stays_dirty(&s, "its last-written time 0x0 is not that of the hive, 0x0");
	done(&s);

	/* the first bin comes with the pages: its signature, offset and size */
	for (unsigned i = 0; i < 4; i++) {
		static const struct {
			unsigned off;
			uint32_t value;
		} c[] = {{0, 1}, {4, 4096}, {8, 0}, {8, 0x80000000}};

		s = old_set();
		ibb_put_le32(s.log[0].data + pages + c[i].off, c[i].value);
		stays_dirty(&s, "with its pages there would be no hive bin at 0x0");
		done(&s);
	}
	/* the hive grows, but the log does not have the new bins */
	s = old_set();
	memset(s.log[0].data + vector + 1, 0, n_bins / 4096 - 1);
	stays_dirty(&s, "with its pages there would be no hive bin at 0x1000");
	done(&s);

	/* a vector that no file could be long enough for */
	s = old_set();
	ibb_put_le32(s.log[0].data + 40, 0x1ffff000 - 0x1000);
	mklog_checksum(s.log[0].data);
	stays_dirty(&s, "truncated: it ends in its dirty vector");
	done(&s);
}

/* Nothing covers the pages, so what is left is: no crash, and no shorter log is taken for whole. */
static void test_old_cuts_and_bits(void **unused)
{
	struct set s = old_set();
	size_t n = s.log[0].len;

	(void)unused;
	for (size_t len = 0; len < n; len += len % 512 == 0 ? 7 : 505) {
		struct set t = {.hive = copy_of(&s.hive), .n = 1};

		assert_int_equal(ibb_buf_append(&t.log[0], s.log[0].data, len), 0);
		assert_fails(recover(&t), IBB_E_DIRTY, E, "H.LOG: ");
		done(&t);
	}
	for (size_t at = 0; at < 1024 + 32; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct ibb_buf before = copy_of(&s.hive);
			int r;

			s.log[0].data[at] ^= (uint8_t)(1u << bit);
			r = recover(&s);
			assert_true(r == IBB_OK || r == IBB_E_DIRTY);
			if (at < 512)
				assert_int_equal(r, IBB_E_DIRTY);
			s.log[0].data[at] ^= (uint8_t)(1u << bit);
			ibb_buf_clear(&s.hive);
			s.hive = before;
		}
	assert_ok(recover(&s), E);
	is_state(&s.hive, 5, 5);
	done(&s);
}

/* ---- numbers that have run out ---- */

static void test_last_number(void **unused)
{
	struct set s;
	size_t at;

	(void)unused;
	for (unsigned i = 0; i < 4; i++)
		for (unsigned take = 0; take < 2; take++) {
			s = dirty(0);
			add_new(&s, 0, 3);
			add_new(&s, 3, 3);
			at = entry_at(&s.log[0], 2);
			if (i == 0) {
				mklog_mark(&s.hive, 0xffffffff, FIRST);
			} else if (i == 1) {
				mklog_mark(&s.log[1], 0xffffffff, 0xffffffff);
			} else if (i == 2) { /* a remnant, now */
				ibb_put_le32(s.log[0].data + at + 12, 0xffffffff);
				mklog_seal(&s.log[0], at);
			} else { /* the numbers would go on with 0 */
				mklog_mark(&s.hive, FIRST, 0xfffffffe);
				mklog_mark(&s.log[0], 0xfffffffe, 0xfffffffe);
				for (unsigned k = 0; k < 3; k++) {
					at = entry_at(&s.log[0], k);
					ibb_put_le32(s.log[0].data + at + 12, 0xfffffffe + k);
					mklog_seal(&s.log[0], at);
				}
			}
			assert_fails(recover_as(&s, take), IBB_E_UNSUPPORTED, E,
				     "the numbers have run out");
			/* a clean hive can be read; who writes it sees the number */
			mklog_mark(&s.hive, FIRST, FIRST);
			if (i) {
				assert_ok(recover(&s), E);
				assert_int_equal(R.max_sequence, 0xffffffff);
			}
			done(&s);
		}
}

/* ---- hostile ones ---- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nothing but headers with a right Hash-2, each claiming the rest of the file. */
static void test_headers_only(void **unused)
{
	const size_t n = 8u << 20;
	struct set s = dirty(0);
	struct ibb_buf *b = add_log(&s);
	double start;

	(void)unused;
	assert_int_equal(mklog_begin(ibb_buf_bytes(&state[0]), MKLOG_NEW, FIRST, 1, b), 0);
	assert_int_equal(ibb_buf_append_zero(b, n), 0);
	for (size_t at = 512; at < b->len; at += 512) {
		memcpy(b->data + at, "HvLE", 4);
		ibb_put_le32(b->data + at + 4, (uint32_t)(b->len - at));
		ibb_put_le32(b->data + at + 12, (uint32_t)(at / 512));
		ibb_put_le64(b->data + at + 32, hv_marvin32(b->data + at, 32));
	}
	start = seconds();
	stays_dirty(&s, "Hash-1 is wrong");
	assert_true(seconds() - start < 2); /* hashed one by one it would be a minute */
	assert_int_equal(R.logs[0].n_entries, 0);
	/* unchecked ones count: a number that is too high does no harm */
	assert_int_equal(R.max_sequence, n / 512);
	done(&s);
}

/* Small entries that make the hive large and small again, thousands of times. */
static void test_grow_and_shrink(void **unused)
{
	const uint32_t n = 8192, large = 64u << 20;
	struct set s = dirty(0);
	struct ibb_buf *b = add_log(&s);
	double start;

	(void)unused;
	assert_int_equal(mklog_begin(ibb_buf_bytes(&state[0]), MKLOG_NEW, FIRST, 1, b), 0);
	assert_int_equal(ibb_buf_append_zero(b, n * 512), 0);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *e = b->data + 512 + i * 512;
		uint32_t bins = i % 2 ? large : 4096;

		memcpy(e, "HvLE", 4);
		ibb_put_le32(e + 4, 512);
		ibb_put_le32(e + 12, FIRST + i);
		ibb_put_le32(e + 16, bins);
		ibb_put_le32(e + 20, 1);
		ibb_put_le32(e + 40, bins - 8);
		ibb_put_le32(e + 44, 8);
		ibb_put_le64(e + 48, i + 1);
		mklog_seal(b, 512 + i * 512);
	}
	start = seconds();
	assert_ok(recover(&s), E);
	assert_true(seconds() - start < 2); /* clearing each time it would be a minute */
	assert_int_equal(R.logs[0].n_applied, n);
	assert_int_equal(R.bins_after, large);
	assert_int_equal(s.hive.len, large + 4096);
	assert_int_equal(ibb_get_le64(s.hive.data + large + 4096 - 8), n);
	assert_int_equal(ibb_get_le64(s.hive.data + 4096 + 4096 - 8), n - 1);
	for (size_t i = 4096 + 4096; i < large; i += 4096)
		assert_int_equal(s.hive.data[i], 0);
	done(&s);
}

static void test_limits(void **unused)
{
	static uint8_t byte;
	struct set s = dirty(0);
	struct ibb_buf huge = {&byte, IBB_LIMIT_HIVE_BYTES + 1u, 0};
	struct ibb_hive_log log = {"X.LOG1", {&byte, IBB_LIMIT_HIVE_BYTES + 1u}};

	(void)unused;
	s.n = 4;
	assert_fails(recover(&s), IBB_E_INVALID, E, "4 transaction logs are too many");
	assert_fails(ibb_hive_recover("H", &huge, NULL, 0, true, NULL, &R, &E), IBB_E_LIMIT, E,
		     "hive H: 536870913 bytes exceed the limit");
	assert_fails(ibb_hive_recover("H", &s.hive, &log, 1, true, NULL, &R, &E), IBB_E_LIMIT, E,
		     "X.LOG1: 536870913 bytes exceed the limit");
	s.n = 0;
	s.hive.len = 4095;
	assert_fails(recover_as(&s, true), IBB_E_CORRUPT, E, "4095 bytes are too few");
	s.hive.len = 4096;
	s.hive.data[0] = 'x';
	assert_fails(recover_as(&s, true), IBB_E_CORRUPT, E, "not a registry hive");
	done(&s);
}

/* ---- no memory ---- */

static void test_faults(void **unused)
{
	(void)unused;
	for (unsigned old = 0; old < 2; old++) {
		unsigned failures = 0;

		for (long at = 0;; at++) {
			struct set s = old ? old_set() : dirty(0);
			struct ibb_buf before;
			int r;

			if (!old)
				add_new(&s, 0, 5);
			s.pages = calloc(IBB_HIVE_PAGE_WORDS, 8);
			/* no room to grow in, so that growing has to ask for it */
			s.hive.data = realloc(s.hive.data, s.hive.len);
			s.hive.cap = s.hive.len;
			before = copy_of(&s.hive);
			memset(&R, 0x5a, sizeof(R));
			ibb_mem_fail_at(at, false);
			r = recover(&s);
			ibb_mem_fail_at(-1, false);
			if (r) {
				failures++;
				assert_int_equal(r, IBB_E_NOMEM);
				assert_int_equal(s.hive.len, before.len);
				assert_memory_equal(s.hive.data, before.data, before.len);
				assert_int_equal(R.max_sequence, 0x5a5a5a5a);
				for (size_t i = 0; i < IBB_HIVE_PAGE_WORDS; i++)
					assert_int_equal(s.pages[i], 0);
			}
			ibb_buf_clear(&before);
			done(&s);
			if (!r)
				break;
		}
		assert_int_equal(failures, old ? 1 : 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_log_hives),
		cmocka_unit_test(test_base_block),
		cmocka_unit_test(test_no_log),
		cmocka_unit_test(test_one_of_two),
		cmocka_unit_test(test_both_formats),
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_pages_longer_than_entry),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_old_cuts_and_bits),
		cmocka_unit_test(test_last_number),
		cmocka_unit_test(test_headers_only),
		cmocka_unit_test(test_grow_and_shrink),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, make_states, free_states) ? 1 : 0;
}
