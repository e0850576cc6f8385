/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX whose log is not empty: which entries count, and what they make of the file. */
#include "vhdx_dirty.h"

#include "base/hash.h"

/* ---- one block, whose sectors tell which entries were replayed ---- */

#define SECTORS 64u

struct board {
	struct mkvhdx m;
	uint64_t place;
};

static struct board new_board(void)
{
	struct board b = {.m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 2 * MIB})};
	struct ibb_error err = {0};
	uint8_t data[4096];

	memset(data, '-', sizeof(data));
	for (unsigned i = 0; i < SECTORS; i++)
		assert_ok(mkvhdx_write(&b.m, data, 4096, i * 4096, &err), err);
	assert_ok(mkvhdx_place(&b.m, 0, &b.place, &err), err);
	assert_ok(mkvhdx_set_log(&b.m, &vhdx_log_id, &err), err);
	return b;
}

/* An entry that writes `letter` to each of these sectors. */
static void add(struct mkvhdx_ring *r, const struct board *b, const char *sectors, char letter)
{
	struct mkvhdx_change c[SECTORS];
	struct ibb_error err = {0};
	uint8_t data[4096];
	size_t n = strlen(sectors);

	memset(data, letter, sizeof(data));
	for (size_t i = 0; i < n; i++)
		c[i] = (struct mkvhdx_change){b->place + 4096ull * (unsigned)(sectors[i] - '0'),
					      data, 0};
	assert_ok(mkvhdx_ring_add(r, c, n, NULL, &err), err);
}

static struct mkvhdx_ring ring_of(struct board *b, uint32_t at, uint64_t sequence)
{
	struct mkvhdx_ring r;

	mkvhdx_ring_init(&r, &b->m, &vhdx_log_id, at, sequence);
	return r;
}

/* The letters of the first sectors, each whole. */
static void assert_board(struct board *b, const char *want)
{
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint8_t data[4096], all[4096];

	assert_ok(vhdx_open(b->m.file, &o, &err), err);
	assert_true(o.info.log_replayed);
	for (size_t i = 0; i < strlen(want); i++) {
		memset(all, want[i] == '0' ? 0 : want[i], sizeof(all));
		assert_ok(ibb_disk_pread(o.d, data, 4096, i * 4096, &err), err);
		if (memcmp(data, all, 4096) != 0)
			fail_msg("sector %zu is '%c', not '%c'", i, data[0], want[i]);
	}
	vhdx_close(&o);
}

static void assert_refused(struct board *b, int code, const char *text)
{
	struct ibb_error err = {0};
	struct vhdx_opened o;

	assert_fails(vhdx_open(b->m.file, &o, &err), code, err, text);
	assert_null(strchr(err.msg, '\n'));
}

static void test_order(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring r = ring_of(&b, 10, 5);
	struct mkvhdx_change c = {b.place + 4096, NULL, 2 * 4096};
	struct ibb_error err = {0};
	struct vhdx_opened o;

	(void)state;
	add(&r, &b, "0123", 'a');
	add(&r, &b, "34", 'b');
	assert_ok(mkvhdx_ring_add(&r, &c, 1, NULL, &err), err);
	add(&r, &b, "2", 'c');
	add(&r, &b, "", 'x'); /* an entry of nothing is one */
	assert_board(&b, "a0cbb-");
	assert_ok(vhdx_open(b.m.file, &o, &err), err);
	assert_int_equal(o.info.log_bytes, 5 * 4096); /* sectors 0 to 4, some of them twice */
	vhdx_close(&o);
	mkvhdx_clear(&b.m);
}

/* At every place of the ring, over its end too. */
static void test_wrap(void **state)
{
	(void)state;
	for (uint32_t at = 240; at < 260; at++) {
		struct board b = new_board();
		struct mkvhdx_ring r = ring_of(&b, at % 256, 0xfffffffeull);

		r.padding = at % 3;
		add(&r, &b, "0123", 'a');
		add(&r, &b, "1", 'b');
		add(&r, &b, "23", 'c');
		assert_board(&b, "abcc--");
		mkvhdx_clear(&b.m);
	}
}

/* More descriptors than fit beside the header. */
static void test_many_descriptors(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring r = ring_of(&b, 200, 1);
	struct mkvhdx_change c[200];
	struct ibb_error err = {0};
	uint8_t data[4096];

	(void)state;
	memset(data, 'd', sizeof(data));
	for (unsigned i = 0; i < 200; i++)
		c[i] = (struct mkvhdx_change){b.place + i * 4096, i % 2 ? data : NULL, 4096};
	assert_ok(mkvhdx_ring_add(&r, c, 200, NULL, &err), err);
	assert_board(&b, "0d0d0d0d0d0d0d0d");
	mkvhdx_clear(&b.m);
}

/* The newest entry was being written: it does not count, those before it do. */
static void test_torn(void **state)
{
	/* a byte of the header, of a descriptor, of data, of the sequence number at its end */
	static const uint32_t where[] = {0, 40, 70, 5000, 8191, 12287};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(where); i++) {
		struct board b = new_board();
		struct mkvhdx_ring r = ring_of(&b, 0, 1);
		struct ibb_error err = {0};
		uint64_t torn;

		add(&r, &b, "01", 'a');
		add(&r, &b, "12", 'b');
		torn = b.m.log_at + r.at * 4096ull;
		add(&r, &b, "23", 'c');
		assert_board(&b, "abcc-");
		assert_ok(mkvhdx_put(&b.m, "?", 1, torn + where[i], &err), err);
		assert_board(&b, "abb--");
		mkvhdx_clear(&b.m);
	}
}

/* What is left of earlier times lies anywhere in the ring. */
static void test_remnants(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring old = ring_of(&b, 0, 100), now = ring_of(&b, 60, 200),
			   foreign = ring_of(&b, 120, 900);

	(void)state;
	add(&old, &b, "0123", 'o');
	add(&old, &b, "4", 'o');
	foreign.id.b[0] ^= 1;
	add(&foreign, &b, "01234", 'f');
	add(&now, &b, "0", 'a');
	add(&now, &b, "1", 'b');
	assert_board(&b, "ab---");
	/* the newest sequence may come first, too */
	now = ring_of(&b, 200, 150);
	add(&now, &b, "5", 'z');
	assert_board(&b, "ab----");
	mkvhdx_clear(&b.m);
}

/* Entries before the newest one's tail are in the file already. */
static void test_tail(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring r = ring_of(&b, 30, 1);

	(void)state;
	add(&r, &b, "01", 'a');
	r.tail = r.at;
	add(&r, &b, "12", 'b');
	add(&r, &b, "3", 'c');
	assert_board(&b, "-bbc--");
	r.tail = r.at;
	add(&r, &b, "4", 'd');
	assert_board(&b, "----d-");
	/* a tail that is no entry of the sequence: it does not count, and none is left */
	r.tail = 29;
	add(&r, &b, "5", 'e');
	assert_refused(&b, IBB_E_CORRUPT, "no valid sequence");
	mkvhdx_clear(&b.m);
}

/* A number left out ends a sequence; what follows has no tail of its own. */
static void test_gap(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring r = ring_of(&b, 0, 1);

	(void)state;
	add(&r, &b, "0", 'a');
	add(&r, &b, "1", 'b');
	r.sequence++;
	add(&r, &b, "2", 'c');
	assert_board(&b, "ab--");
	mkvhdx_clear(&b.m);
}

static void test_nothing_valid(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring r = ring_of(&b, 0, 1);
	struct ibb_error err = {0};
	struct vhdx_opened o;
	const struct ibb_guid none = {{0}};

	(void)state;
	assert_refused(&b, IBB_E_CORRUPT, "no valid sequence");
	add(&r, &b, "0", 'a');
	assert_board(&b, "a-");
	assert_ok(mkvhdx_put32(&b.m, 0, b.m.log_at + 4, &err), err); /* its checksum */
	assert_refused(&b, IBB_E_CORRUPT, "no valid sequence");
	/* with the log named empty nobody looks at it */
	assert_ok(mkvhdx_set_log(&b.m, &none, &err), err);
	assert_ok(vhdx_open(b.m.file, &o, &err), err);
	assert_false(o.info.log_replayed);
	vhdx_close(&o);
	mkvhdx_clear(&b.m);
}

static void test_cut_short(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring r = ring_of(&b, 0, 1);

	(void)state;
	r.flushed = b.m.file->size_bytes + 1;
	add(&r, &b, "0", 'a');
	assert_refused(&b, IBB_E_CORRUPT, "the file is cut short");
	mkvhdx_clear(&b.m);
}

/* The file was to grow: the new block is in the log alone. */
static void test_grown(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring r = ring_of(&b, 0, 1);
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint8_t bat[4096] = {0}, data[4096], got[4096];
	uint64_t end = b.m.next;
	struct mkvhdx_change c[] = {{b.m.bat_at, bat, 0}, {end + 8192, data, 0}};

	(void)state;
	memset(data, 'n', sizeof(data));
	assert_ok(ibb_disk_pread(b.m.file, bat, sizeof(bat), b.m.bat_at, &err), err);
	ibb_put_le64(bat + 8, end | MKVHDX_FULL);
	r.last = end + MIB;
	assert_ok(mkvhdx_ring_add(&r, c, 2, NULL, &err), err);
	assert_ok(vhdx_open(b.m.file, &o, &err), err);
	assert_int_equal(o.info.allocated_blocks, 2);
	assert_ok(ibb_disk_pread(o.d, got, 4096, MIB + 8192, &err), err);
	assert_memory_equal(got, data, 4096);
	assert_false(vhdx_any_data(o.d, MIB + 65536, MIB - 65536));
	vhdx_close(&o);
	assert_int_equal(b.m.file->size_bytes, end);
	mkvhdx_clear(&b.m);
}

static void test_places(void **state)
{
	static const struct {
		uint64_t off, len; /* len 0: data */
	} bad[] = {{512, 0},
		   {4095, 4096},
		   {8192, 512},
		   {UINT64_MAX - 4095, 8192},
		   {UINT64_MAX - 4095, 0}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(bad); i++) {
		struct board b = new_board();
		struct mkvhdx_ring r = ring_of(&b, 0, 1);
		struct ibb_error err = {0};
		uint8_t data[4096] = {0};
		struct mkvhdx_change c = {bad[i].off, bad[i].len ? NULL : data, bad[i].len};

		assert_ok(mkvhdx_ring_add(&r, &c, 1, NULL, &err), err);
		assert_refused(&b, IBB_E_CORRUPT, "entry 1 of the VHDX log");
		mkvhdx_clear(&b.m);
	}
}

/* What is written behind the end that the entries name extends the file: [MS-VHDX] 2.3.3. */
static void test_behind_the_end(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring r = ring_of(&b, 0, 1);
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint8_t bat[4096] = {0}, data[4096], got[4096];
	uint64_t end = b.m.next;
	struct mkvhdx_change c[] = {{b.m.bat_at, bat, 0}, {end + MIB - 4096, data, 0}},
			     zeros = {end, NULL, 32 * MIB}, far = {1ull << 50, NULL, 4096};

	(void)state;
	memset(data, 'n', sizeof(data));
	assert_ok(ibb_disk_pread(b.m.file, bat, sizeof(bat), b.m.bat_at, &err), err);
	ibb_put_le64(bat + 8, end | MKVHDX_FULL);
	r.last = end;
	assert_ok(mkvhdx_ring_add(&r, c, 2, NULL, &err), err);
	assert_ok(vhdx_open(b.m.file, &o, &err), err);
	assert_int_equal(o.info.log_bytes, 8192);
	assert_ok(ibb_disk_pread(o.d, got, 4096, 2 * MIB - 4096, &err), err);
	assert_memory_equal(got, data, 4096);
	vhdx_close(&o);
	/* so do zeros; an entry before the newest one that says so counts, too */
	r = ring_of(&b, 0, 1);
	r.last = end + 64 * MIB;
	assert_ok(mkvhdx_ring_add(&r, c, 1, NULL, &err), err);
	r.last = end;
	assert_ok(mkvhdx_ring_add(&r, &zeros, 1, NULL, &err), err);
	assert_ok(vhdx_open(b.m.file, &o, &err), err);
	assert_false(vhdx_any_data(o.d, MIB, MIB));
	assert_int_equal(o.info.log_bytes, 4096 + 32 * MIB);
	vhdx_close(&o);
	/* up to a limit */
	r = ring_of(&b, 0, 1);
	assert_ok(mkvhdx_ring_add(&r, &far, 1, NULL, &err), err);
	assert_refused(&b, IBB_E_LIMIT, "makes the file larger than");
	mkvhdx_clear(&b.m);
}

/* Zeros that are data already, all of them again and again: given up, not done for hours. */
static void test_busy_zeros(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 64 * MIB});
	static struct mkvhdx_change c[1000];
	static uint8_t data[4 * MIB];
	struct ibb_error err = {0};
	struct vhdx_opened o;
	struct mkvhdx_ring r;
	uint64_t place;

	(void)state;
	memset(data, 'x', sizeof(data));
	for (uint64_t off = 0; off < 64 * MIB; off += sizeof(data))
		assert_ok(mkvhdx_write(&m, data, sizeof(data), off, &err), err);
	assert_ok(mkvhdx_place(&m, 0, &place, &err), err);
	for (unsigned i = 0; i < 1000; i++)
		c[i] = (struct mkvhdx_change){place, NULL, 64 * MIB};
	assert_ok(mkvhdx_set_log(&m, &vhdx_log_id, &err), err);
	mkvhdx_ring_init(&r, &m, &vhdx_log_id, 0, 1);
	assert_ok(mkvhdx_ring_add(&r, c, 4, NULL, &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_int_equal(o.info.log_bytes, 64 * MIB);
	assert_ok(ibb_disk_pread(o.d, data, sizeof(data), 60 * MIB, &err), err);
	assert_true(data[0] == 0 && memcmp(data, data + 1, sizeof(data) - 1) == 0);
	vhdx_close(&o);
	mkvhdx_ring_init(&r, &m, &vhdx_log_id, 0, 1);
	assert_ok(mkvhdx_ring_add(&r, c, 1000, NULL, &err), err);
	assert_fails(vhdx_open(m.file, &o, &err), IBB_E_LIMIT, err,
		     "takes more than 1024 MiB of writes");
	assert_non_null(strstr(err.hint, "let Windows replay it"));
	mkvhdx_clear(&m);
}

/* Zeros over a hole cost nothing, however long it is. */
static void test_long_zeros(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring r = ring_of(&b, 0, 1);
	struct mkvhdx_change c = {b.m.next, NULL, 16ull << 40};
	struct ibb_error err = {0};

	(void)state;
	r.last = b.m.next + (16ull << 40);
	assert_ok(mkvhdx_ring_add(&r, &c, 1, NULL, &err), err);
	add(&r, &b, "0", 'a');
	assert_board(&b, "a-");
	r = ring_of(&b, 0, 1);
	r.last = 1ull << 60;
	add(&r, &b, "0", 'a');
	assert_refused(&b, IBB_E_LIMIT, "larger than");
	mkvhdx_clear(&b.m);
}

static void test_header(void **state)
{
	struct board b = new_board();
	struct mkvhdx_ring r = ring_of(&b, 0, 1);
	struct mkvhdx big;
	struct ibb_error err = {0};
	struct vhdx_opened o;

	(void)state;
	add(&r, &b, "0", 'a');
	assert_ok(mkvhdx_put(&b.m, "\1", 1, MKVHDX_HEADER2 + 64, &err), err);
	assert_ok(mkvhdx_seal(&b.m, &err), err);
	assert_refused(&b, IBB_E_UNSUPPORTED, "the VHDX log has version 1");
	mkvhdx_clear(&b.m);
	big = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = MIB, .log_bytes = 65 * MIB});
	assert_ok(vhdx_open(big.file, &o, &err), err); /* empty: its size is no matter */
	vhdx_close(&o);
	assert_ok(mkvhdx_set_log(&big, &vhdx_log_id, &err), err);
	assert_fails(vhdx_open(big.file, &o, &err), IBB_E_LIMIT, err, "65 MiB");
	mkvhdx_clear(&big);
}

/* Every sector claims to begin a long entry: that is noticed, not computed for hours. */
static void test_busy(void **state)
{
	struct mkvhdx m =
		vhdx_make(&(struct mkvhdx_opts){.disk_bytes = MIB, .log_bytes = 16 * MIB});
	struct ibb_error err = {0};
	struct vhdx_opened o;
	uint8_t h[64] = "loge";

	(void)state;
	ibb_put_le32(h + 8, 16 * MIB);
	ibb_put_le64(h + 16, 1);
	memcpy(h + 32, vhdx_log_id.b, 16);
	for (unsigned i = 0; i < 4096; i++)
		assert_ok(mkvhdx_put(&m, h, 64, m.log_at + i * 4096, &err), err);
	assert_ok(mkvhdx_set_log(&m, &vhdx_log_id, &err), err);
	assert_fails(vhdx_open(m.file, &o, &err), IBB_E_LIMIT, err,
		     "to find the valid ones takes more than 8 times its length");
	assert_non_null(strstr(err.hint, "let Windows replay it"));
	mkvhdx_clear(&m);
}

/* ---- disks whose tables are in the log ---- */

static void file_digest(const struct mkvhdx *m, struct ibb_sha256 *ret)
{
	struct ibb_error err = {0};
	uint64_t n = m->file->size_bytes;
	uint8_t *b = malloc(n);

	assert_non_null(b);
	assert_ok(ibb_disk_pread(m->file, b, n, 0, &err), err);
	assert_int_equal(ibb_sha256(b, n, ret), IBB_OK);
	free(b);
}

static void test_dirty(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		struct dirty *y = dirty_make(
			&(struct mkvhdx_opts){.disk_bytes = (8 + i) * MIB,
					      .logical_bytes = i % 3 ? 512 : 4096},
			(uint32_t)(test_rand(&seed) % 256), test_rand(&seed) >> (i * 5), &seed);
		struct ibb_sha256 before, after;
		struct ibb_error err = {0};
		struct vhdx_opened o;

		file_digest(&y->m, &before);
		assert_ok(vhdx_open(y->m.file, &o, &err), err);
		assert_true(o.info.log_replayed);
		assert_disk_is(o.d, y->model);
		assert_random_reads(o.d, y->model, 20, &seed);
		file_digest(&y->m, &after); /* the file is never written */
		assert_memory_equal(after.b, before.b, sizeof(before.b));
		vhdx_close(&o);
		dirty_clear(y);
	}
}

/* A child's blocks and sector bitmap came with the log. */
static void test_dirty_child(void **state)
{
	uint64_t seed = test_seed();
	struct dirty *y = dirty_make(
		&(struct mkvhdx_opts){.disk_bytes = 16 * MIB, .differencing = true}, 250, 1, &seed);
	struct ibb_disk *parent = vhdx_model(16 * MIB);
	struct ibb_error err = {0};
	struct vhdx_opened o;

	(void)state;
	assert_ok(vhdx_open(y->m.file, &o, &err), err);
	assert_ok(ibb_disk_vhdx_set_parent(o.d, parent, &err), err);
	assert_disk_is(o.d, y->model);
	vhdx_close(&o);
	ibb_disk_unref(parent);
	dirty_clear(y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_many_descriptors),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_remnants),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_nothing_valid),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_grown),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_behind_the_end),
		cmocka_unit_test(test_busy_zeros),
		cmocka_unit_test(test_long_zeros),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_dirty),
		cmocka_unit_test(test_dirty_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
