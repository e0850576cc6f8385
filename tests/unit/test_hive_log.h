/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hive in six states, and logs that lead from one to the next. */
#ifndef TEST_HIVE_LOG_H
#define TEST_HIVE_LOG_H

#include "test_hive_util.h"

#include "hive/hive_int.h"
#include "mklog.h"

/* state[k + 1] is what entry FIRST + k makes of state[k]; 3 and 5 are larger than the one before.
 */
#define STATES 6
#define FIRST  10u
static struct ibb_buf state[STATES];
static struct ibb_hive_recovery R;

static inline IBB_UNUSED int make_states(void **unused)
{
	static uint8_t data[16000];
	struct ibb_hive *h = fresh();
	char name[16];

	(void)unused;
	for (unsigned k = 0; k < STATES; k++) {
		for (unsigned i = 0; i < 3; i++) {
			snprintf(name, sizeof(name), "k%u\\s%u", k, i);
			make(h, name);
		}
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)(i * (k + 3) % 251);
		set(h, make(h, "same"), "value", IBB_REG_BINARY, data, k % 2 ? 300 : 260);
		if (k == 3 || k == 5)
			set(h, make(h, name), "large", IBB_REG_BINARY, data, sizeof(data));
		assert_ok(ibb_hive_serialize(h, T0 + k, &state[k], &E), E);
	}
	ibb_hive_close(h);
	assert_true(state[3].len > state[2].len && state[5].len > state[4].len);
	return 0;
}

static inline IBB_UNUSED int free_states(void **unused)
{
	(void)unused;
	for (unsigned k = 0; k < STATES; k++)
		ibb_buf_clear(&state[k]);
	return 0;
}

/* A hive and its logs. */
struct set {
	struct ibb_buf hive, log[4];
	struct ibb_hive_log in[4];
	size_t n;
	uint64_t *pages;
};

static inline IBB_UNUSED struct ibb_buf copy_of(const struct ibb_buf *b)
{
	struct ibb_buf c = {0};

	assert_int_equal(ibb_buf_append(&c, b->data, b->len), 0);
	return c;
}

/* State k, dirty: FIRST + k is the first entry that it may lack. */
static inline IBB_UNUSED struct set dirty(unsigned k)
{
	struct set s = {.hive = copy_of(&state[k])};

	mklog_mark(&s.hive, FIRST + k + 1, FIRST + k);
	return s;
}

static inline IBB_UNUSED struct ibb_buf *add_log(struct set *s)
{
	return &s->log[s->n++];
}

/* A log with the entries that lead from state `from` to state `to`. */
static inline IBB_UNUSED struct ibb_buf *add_new(struct set *s, unsigned from, unsigned to)
{
	struct ibb_buf *b = add_log(s);

	assert_int_equal(mklog_begin(ibb_buf_bytes(&state[from]), MKLOG_NEW, FIRST + from, 1, b),
			 0);
	for (unsigned k = from; k < to; k++)
		assert_int_equal(mklog_entry(ibb_buf_bytes(&state[k]), ibb_buf_bytes(&state[k + 1]),
					     FIRST + k, b),
				 0);
	return b;
}

/* Where the nth entry of a log begins. */
static inline IBB_UNUSED size_t entry_at(const struct ibb_buf *log, unsigned n)
{
	size_t off = 512;

	while (n--)
		off += ibb_get_le32(log->data + off + 4);
	return off;
}

static inline IBB_UNUSED int recover_as(struct set *s, bool accept)
{
	static const char *const names[] = {"H.LOG", "H.LOG1", "H.LOG2", "H.LOG3"};

	for (size_t i = 0; i < s->n; i++)
		s->in[i] = (struct ibb_hive_log){names[i], ibb_buf_bytes(&s->log[i])};
	return ibb_hive_recover("H", &s->hive, s->in, s->n, accept, s->pages, &R, &E);
}

static inline IBB_UNUSED int recover(struct set *s)
{
	return recover_as(s, false);
}

static inline IBB_UNUSED void done(struct set *s)
{
	ibb_buf_clear(&s->hive);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(s->log); i++)
		ibb_buf_clear(&s->log[i]);
	free(s->pages);
	*s = (struct set){0};
}

/* Which state these bins are, or STATES. */
static inline IBB_UNUSED unsigned which(const struct ibb_buf *hive)
{
	for (unsigned k = 0; k < STATES; k++)
		if (ibb_get_le32(hive->data + 40) + 4096 == state[k].len &&
		    hive->len >= state[k].len &&
		    memcmp(hive->data + 4096, state[k].data + 4096, state[k].len - 4096) == 0)
			return k;
	return STATES;
}

/* Clean, of this state, and a hive in every respect. */
static inline IBB_UNUSED void is_state(const struct ibb_buf *hive, unsigned k, uint32_t seq)
{
	struct ibb_hive *h = open_copy(hive->data, hive->len);
	struct ibb_hive_check sum;

	assert_int_equal(which(hive), k);
	assert_int_equal(ibb_hive_header(h)->seq1, seq);
	assert_int_equal(ibb_hive_header(h)->seq2, seq);
	assert_int_equal(ibb_hive_header(h)->file_type, 0);
	assert_ok(ibb_hive_check(h, &sum, &E), E);
	ibb_hive_close(h);
}

/* Replayed from state `from` to state `to`. */
static inline IBB_UNUSED void replays(struct set *s, unsigned to)
{
	assert_ok(recover(s), E);
	assert_true(R.dirty && R.replayed && !R.accepted);
	assert_int_equal(R.lost_to, 0);
	is_state(&s->hive, to, FIRST + to - 1);
	assert_int_equal(R.bins_after + 4096, state[to].len);
}

/* Refused as dirty, with this in the message, and nothing changed. */
static inline IBB_UNUSED void stays_dirty(struct set *s, const char *text)
{
	struct ibb_buf before = copy_of(&s->hive);

	assert_fails(recover(s), IBB_E_DIRTY, E, text);
	assert_non_null(strstr(E.msg, "hive H: "));
	assert_null(strchr(E.msg, '\n'));
	assert_non_null(strstr(E.hint, "--accept-dirty-hives"));
	assert_true(R.dirty && !R.replayed && !R.accepted);
	assert_int_equal(s->hive.len, before.len);
	assert_memory_equal(s->hive.data, before.data, before.len);
	ibb_buf_clear(&before);
}

/*
 * Sound entries up to `lost` stand behind those that lead to state `to`, which something keeps from
 * being applied: refused, or the caller takes what comes before the gap.
 */
static inline IBB_UNUSED void has_gap(struct set *s, unsigned to, uint32_t lost, const char *why)
{
	char text[64];

	snprintf(text, sizeof(text), "and sound ones follow up to %u: a gap", lost);
	stays_dirty(s, text);
	assert_non_null(strstr(E.msg, why));
	assert_ok(recover_as(s, true), E);
	assert_true(R.dirty && R.replayed && R.accepted);
	assert_int_equal(R.lost_to, lost);
	assert_true(R.max_sequence >= lost);
	is_state(&s->hive, to, FIRST + to - 1);
}

#endif
