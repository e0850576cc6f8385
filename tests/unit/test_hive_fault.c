/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every allocation of every operation fails once: the hive is then as it was, and nothing leaks. */
#include "test_hive_util.h"

#define SD_SIZE 52
static const uint8_t other_sd[SD_SIZE] = {
	1, 0, 4,  0x80, 20, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0,  0, 44, 0, 0, 0, 1, 1, 0, 0, 0, 0,
	0, 5, 18, 0,	0,  0, 1, 1, 0,	 0, 0, 0, 0, 5, 18, 0, 0,  0, 2, 0, 8, 0, 0, 0, 0, 0};
static uint8_t large[16344];

static int op_create(struct ibb_hive *h, struct ibb_error *err)
{
	ibb_key k;

	return ibb_hive_create(h, ibb_hive_root(h), "p\\q\\r\\\xd0\xba\xd0\xbb",
			       IBB_KEY_SECURITY_PARENT, 0, T1, &k, NULL, err);
}
static int op_create_in_full_leaf(struct ibb_hive *h, struct ibb_error *err)
{
	ibb_key k;

	return ibb_hive_create(h, ibb_hive_root(h), "full\\k250x", IBB_KEY_SECURITY_PARENT, 0, T1,
			       &k, NULL, err);
}
static int op_set_new(struct ibb_hive *h, struct ibb_error *err)
{
	return ibb_hive_set(h, ibb_hive_root(h), "new", 3, large, sizeof(large), T1, err);
}
static int op_set_old(struct ibb_hive *h, struct ibb_error *err)
{
	return ibb_hive_set(h, ibb_hive_root(h), "old", 3, large, 5000, T1, err);
}
static int op_set_from_itself(struct ibb_hive *h, struct ibb_error *err)
{
	struct ibb_bytes sd;
	int r = ibb_hive_get_security(h, ibb_hive_root(h), &sd, err);

	return r ? r : ibb_hive_set(h, ibb_hive_root(h), "sd", 3, sd.data, sd.len, T1, err);
}
static int op_unset(struct ibb_hive *h, struct ibb_error *err)
{
	return ibb_hive_unset(h, ibb_hive_root(h), "old", T1, err);
}
static int op_delete(struct ibb_hive *h, struct ibb_error *err)
{
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), "full", &k, err);

	return r ? r : ibb_hive_delete(h, k, T1, err);
}
static int op_security(struct ibb_hive *h, struct ibb_error *err)
{
	return ibb_hive_set_security(h, ibb_hive_root(h), (struct ibb_bytes){other_sd, SD_SIZE},
				     err);
}

static const struct {
	const char *name;
	int (*fn)(struct ibb_hive *h, struct ibb_error *err);
} edits[] = {
	{"create", op_create},
	{"create in a full leaf", op_create_in_full_leaf},
	{"set new", op_set_new},
	{"set old", op_set_old},
	{"set from itself", op_set_from_itself},
	{"unset", op_unset},
	{"delete", op_delete},
	{"security", op_security},
};

static struct ibb_buf base;

static int setup(void **state)
{
	struct ibb_hive *h = fresh();
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 507; i++) {
		snprintf(name, sizeof(name), "full\\k%03u", i);
		make(h, name);
	}
	set(h, ibb_hive_root(h), "old", 3, "0123456789", 10);
	base = serialized(h);
	ibb_hive_close(h);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ibb_buf_clear(&base);
	return 0;
}

/* One edit with its nth allocation failing; false when it has fewer. */
static bool edit_fails(unsigned e, long n, bool persistent)
{
	struct ibb_hive *h = open_copy(base.data, base.len), *g;
	struct ibb_buf b;
	long asked;
	int r;

	ibb_mem_fail_at(n, persistent);
	r = edits[e].fn(h, &E);
	asked = ibb_mem_count();
	ibb_mem_fail_at(-1, false);
	if (r) {
		if (r != IBB_E_NOMEM || strcmp(E.msg, "out of memory") != 0)
			fail_msg("%s, allocation %ld: %d %s", edits[e].name, n, r, E.msg);
		assert_false(ibb_hive_edited(h));
		b = serialized(h);
		assert_int_equal(b.len, base.len);
		assert_memory_equal(b.data, base.data, base.len);
		ibb_buf_clear(&b);
		assert_ok(edits[e].fn(h, &E), E); /* memory is back */
	}
	assert_true(ibb_hive_edited(h));
	g = reopened(h, NULL);
	has_diff(h, g, "");
	ibb_hive_close(g);
	ibb_hive_close(h);
	return asked > n;
}

static void test_edits(void **state)
{
	(void)state;
	for (unsigned e = 0; e < IBB_ARRAY_SIZE(edits); e++) {
		for (int persistent = 0; persistent < 2; persistent++) {
			long n = 0;

			while (edit_fails(e, n, persistent))
				n++;
			assert_true(n > 2 && n < 500);
		}
	}
}

/* The second and later edits find the hive checked and indexed. */
static void test_later_edits(void **state)
{
	(void)state;
	for (unsigned e = 0; e < IBB_ARRAY_SIZE(edits); e++) {
		for (long n = 0, asked = 1; asked > n; n++) {
			struct ibb_hive *h = open_copy(base.data, base.len), *g;
			struct ibb_buf before, after;
			int r;

			make(h, "first");
			before = serialized(h);
			ibb_mem_fail_at(n, false);
			r = edits[e].fn(h, &E);
			asked = ibb_mem_count();
			ibb_mem_fail_at(-1, false);
			after = serialized(h);
			if (r) {
				assert_int_equal(r, IBB_E_NOMEM);
				assert_int_equal(before.len, after.len);
				assert_memory_equal(before.data, after.data, after.len);
			}
			g = reopened(h, NULL);
			ibb_hive_close(g);
			ibb_hive_close(h);
			ibb_buf_clear(&before);
			ibb_buf_clear(&after);
		}
	}
}

/* ---- opening, reading, writing ---- */

static int visit_key(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	(void)ctx;
	(void)k;
	(void)name;
	(void)err;
	return 0;
}

static int visit_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	(void)ctx;
	(void)v;
	(void)err;
	return 0;
}

static int visit_diff(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	(void)d;
	(void)err;
	++*(unsigned *)ctx;
	return 0;
}

enum { N_DIFFS = 9 }; /* what test_reading() makes different */

static int read_all(struct ibb_buf *bytes, const struct ibb_hive *other, struct ibb_error *err)
{
	IBB_AUTO(ibb_hive_close) struct ibb_hive *h = NULL;
	IBB_AUTO_BUF struct ibb_buf out = {0}, data = {0};
	IBB_AUTO_FREE char *s = NULL;
	struct ibb_hive_check sum;
	struct ibb_key_info info;
	unsigned n = 0;
	ibb_key k = 0;
	int r = ibb_hive_open("fault", bytes, &h, err);

	if (!r)
		r = ibb_hive_find(h, ibb_hive_root(h), "top\\big", &k, err);
	if (!r)
		r = ibb_hive_key_info(h, k, &info, err);
	if (!r)
		r = ibb_hive_subkeys(h, ibb_hive_root(h), visit_key, NULL, err);
	if (!r)
		r = ibb_hive_values(h, k, visit_value, NULL, err);
	if (!r)
		r = ibb_hive_get(h, k, "db", NULL, &data, err);
	if (!r)
		r = ibb_hive_get_string(h, ibb_hive_root(h), "top", "s", &s, err);
	if (!r)
		r = ibb_hive_check(h, &sum, err);
	if (!r)
		r = ibb_hive_compare(h, other, visit_diff, &n, err);
	if (!r)
		r = ibb_hive_serialize(h, T1, &out, err);
	if (!r)
		assert_int_equal(n, N_DIFFS);
	return r;
}

static void test_reading(void **state)
{
	struct ibb_buf b = hive_with_big(), bytes = {0};
	struct ibb_hive *h = open_copy(b.data, b.len), *other;
	long n = 0, asked;
	int r;

	(void)state;
	set(h, find(h, "top"), "s", IBB_REG_SZ, "x\0\0\0", 4);
	other = reopened(h, NULL);
	/* one value removed, one changed, three keys with four values added */
	assert_ok(ibb_hive_unset(other, find(other, "top"), "s", T0, &E), E);
	set(other, make(other, "y\\z\\\xc3\xa9"), "\xd0\xba", 3, "1", 1);
	set(other, find(other, "y"), "v", 3, "1", 1);
	set(other, find(other, "y"), "w", 3, "1", 1);
	set(other, find(other, "y"), "x", 3, "1", 1);
	set(other, find(other, "top\\big"), "list", 3, "1", 1);
	ibb_buf_clear(&b);
	b = serialized(h);
	do {
		bytes = (struct ibb_buf){0};
		assert_int_equal(ibb_buf_append(&bytes, b.data, b.len), 0);
		ibb_mem_fail_at(n, false);
		r = read_all(&bytes, other, &E);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		/* the file name in the header is decoration: without memory it stays empty */
		assert_true(r == IBB_E_NOMEM || r == IBB_OK);
		ibb_buf_clear(&bytes);
		n++;
	} while (asked >= n);
	assert_int_equal(r, IBB_OK);
	assert_true(n > 10);
	ibb_hive_close(h);
	ibb_hive_close(other);
	ibb_buf_clear(&b);
}

static void test_new(void **state)
{
	struct ibb_hive *h = NULL;
	long n = 0, asked;

	(void)state;
	do {
		int r;

		ibb_mem_fail_at(n, false);
		r = ibb_hive_new("FAULT", T0, &h, &E);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		assert_true(r == IBB_OK || r == IBB_E_NOMEM);
		assert_int_equal(!h, !!r);
		ibb_hive_close(h);
		h = NULL;
		n++;
	} while (asked >= n);
	assert_true(n > 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_later_edits),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_new),
	};

	return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
