/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Subkey lists of every kind, splitting, growth, and long series of edits. */
#include "test_hive_util.h"

/* ---- an independent reader of lists, on bytes ---- */

struct walk {
	unsigned keys, leaves, max_leaf;
	char kind[3];
	bool root;
};

/* ASCII names only: upper-casing is simple then. */
static void walk_leaf(const struct ibb_buf *b, uint32_t off, struct walk *w, char last[256])
{
	const uint8_t *p = cell(b, off);
	unsigned n = ibb_get_le16(p + 2), step = p[1] == 'i' ? 4 : 8;

	memcpy(w->kind, p, 2);
	w->leaves++;
	w->max_leaf = n > w->max_leaf ? n : w->max_leaf;
	assert_true((uint32_t) - (int32_t)ibb_get_le32(p - 4) >= 8 + n * step);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *nk = cell(b, ibb_get_le32(p + 4 + step * i));
		unsigned len = ibb_get_le16(nk + 72);
		char name[256] = {0};
		uint32_t hash = 0;

		for (unsigned j = 0; j < len; j++) {
			name[j] = (char)(nk[76 + j] >= 'a' && nk[76 + j] <= 'z' ? nk[76 + j] - 32
										: nk[76 + j]);
			hash = hash * 37 + (uint8_t)name[j];
		}
		assert_true(strcmp(last, name) < 0);
		memcpy(last, name, 256);
		if (p[1] == 'h')
			assert_int_equal(ibb_get_le32(p + 8 + 8 * i), hash);
		if (p[1] == 'f')
			assert_memory_equal(p + 8 + 8 * i, nk + 76, len < 4 ? len : 4);
		w->keys++;
	}
}

static struct walk walk_list(struct ibb_hive *h, ibb_key k)
{
	struct ibb_buf b = serialized(h);
	const uint8_t *nk = cell(&b, k), *p;
	struct walk w = {0};
	char last[256] = "";

	if (ibb_get_le32(nk + 20)) {
		p = cell(&b, ibb_get_le32(nk + 28));
		w.root = p[0] == 'r';
		for (unsigned i = 0; w.root && i < ibb_get_le16(p + 2); i++)
			walk_leaf(&b, ibb_get_le32(p + 4 + 4 * i), &w, last);
		if (!w.root)
			walk_leaf(&b, ibb_get_le32(nk + 28), &w, last);
	} else {
		assert_int_equal(ibb_get_le32(nk + 28), 0xffffffffu);
	}
	assert_int_equal(w.keys, ibb_get_le32(nk + 20));
	ibb_buf_clear(&b);
	return w;
}

/* ---- splitting ---- */

enum { MANY = 3000 };

static void child_name(char out[64], unsigned i)
{
	snprintf(out, 64, "p\\%s_%05u&x", i % 3 ? "child" : "CHILD", i);
}

/* ascending, descending, scattered */
static unsigned in_order(unsigned order, unsigned i)
{
	return order == 0 ? i : order == 1 ? MANY - 1 - i : i * 1741 % MANY;
}

static void split_in_order(unsigned order)
{
	struct ibb_hive *h = fresh(), *g;
	ibb_key parent = make(h, "p");
	struct ibb_hive_check sum;
	struct walk w;
	char name[64];

	for (unsigned i = 0; i < MANY; i++) {
		child_name(name, in_order(order, i));
		make(h, name);
	}
	w = walk_list(h, parent);
	assert_true(w.root);
	assert_int_equal(w.keys, MANY);
	assert_string_equal(w.kind, "lh");
	assert_true(w.max_leaf <= 507);
	assert_true(w.leaves <= 2 * MANY / 507 + 2);
	g = reopened(h, &sum);
	assert_int_equal(sum.keys, MANY + 2);
	for (unsigned i = 0; i < MANY; i++) {
		child_name(name, i);
		find(g, name);
	}
	/* and away again, in another order */
	for (unsigned i = 0; i < MANY; i++) {
		child_name(name, in_order(2 - order, i));
		assert_ok(ibb_hive_delete(g, find(g, name), T1, &E), E);
		if (i % 500 == 0)
			walk_list(g, parent);
	}
	assert_int_equal(walk_list(g, parent).keys, 0);
	assert_ok(ibb_hive_check(g, &sum, &E), E);
	assert_int_equal(sum.keys, 2);
	assert_int_equal(sum.leaked_cells, 0);
	ibb_hive_close(g);
	ibb_hive_close(h);
}

static void test_split(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 3; order++)
		split_in_order(order);
}

/* A 1.3 hive gets 'lf' lists. */
static void test_lf(void **state)
{
	struct ibb_hive *h = fresh(), *g;
	struct ibb_buf b = serialized(h);
	struct walk w;

	(void)state;
	ibb_hive_close(h);
	ibb_put_le32(b.data + 24, 3);
	fix_checksum(b.data);
	h = open_copy(b.data, b.len);
	for (unsigned i = 0; i < 1200; i++) {
		char name[64];

		child_name(name, i * 7 % 1200);
		make(h, name);
	}
	make(h, "u\\\xd0\xba\xd0\xbb");
	make(h, "u\\ab");
	make(h, "u\\\xc3\xa9t\xc3\xa9s");
	g = reopened(h, NULL);
	w = walk_list(g, find(g, "p"));
	assert_string_equal(w.kind, "lf");
	assert_int_equal(w.keys, 1200);
	assert_true(w.root);
	/* hints: four characters, none when one does not fit a byte */
	ibb_buf_clear(&b);
	b = serialized(g);
	const uint8_t *l = cell(&b, ibb_get_le32(cell(&b, find(g, "u")) + 28));

	assert_memory_equal(l + 8, "ab\0", 4);
	assert_memory_equal(l + 16, "\xe9t\xe9s", 4);
	assert_memory_equal(l + 24, "\0\0\0", 4);
	ibb_buf_clear(&b);
	ibb_hive_close(g);
	ibb_hive_close(h);
}

/* An 'li' stays one: made here by turning the 'lh' of two keys into an 'li'. */
static void test_li(void **state)
{
	struct ibb_hive *h = fresh(), *g;
	struct ibb_buf b;
	struct walk w;
	char name[64];
	uint8_t *l;

	(void)state;
	child_name(name, 7);
	make(h, name);
	child_name(name, 8);
	make(h, name);
	b = serialized(h);
	l = cell(&b, ibb_get_le32(cell(&b, find(h, "p")) + 28));
	memcpy(l, "li", 2);
	memmove(l + 8, l + 12, 4);
	ibb_hive_close(h);
	h = open_copy(b.data, b.len);
	for (unsigned i = 0; i < MANY; i++) {
		child_name(name, i * 1741 % MANY);
		make(h, name);
	}
	w = walk_list(h, find(h, "p"));
	assert_string_equal(w.kind, "li");
	assert_int_equal(w.keys, MANY);
	assert_true(w.max_leaf > 507 && w.max_leaf <= 1012);
	g = reopened(h, NULL);
	for (unsigned i = 0; i < MANY; i++) {
		child_name(name, i);
		assert_ok(ibb_hive_delete(g, find(g, name), T1, &E), E);
	}
	assert_int_equal(walk_list(g, find(g, "p")).keys, 0);
	ibb_buf_clear(&b);
	ibb_hive_close(g);
	ibb_hive_close(h);
}

/* One very long leaf, as hivex writes it, is read and cut down as it grows. */
static void test_long_leaf(void **state)
{
	struct ibb_hive *h = fresh(), *g;
	ibb_key p = make(h, "p");
	struct ibb_buf b;
	uint8_t *data, *nk;
	uint32_t n = 0, at, list;
	struct walk w;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		char name[64];

		child_name(name, i);
		make(h, name);
	}
	/* room for the leaf: 16 004 bytes; then move all entries into it */
	data = ibb_zalloc(16004);
	set(h, make(h, "room"), "room", 3, data, 16004);
	b = serialized(h);
	at = ibb_get_le32(cell(&b, vk_of(&b, find(h, "room"), 0)) + 8);
	nk = cell(&b, p);
	list = ibb_get_le32(nk + 28);
	for (unsigned i = 0; i < ibb_get_le16(cell(&b, list) + 2); i++) {
		const uint8_t *leaf = cell(&b, ibb_get_le32(cell(&b, list) + 4 + 4 * i));
		unsigned k = ibb_get_le16(leaf + 2);

		memcpy(cell(&b, at) + 4 + 8 * n, leaf + 4, 8 * k);
		n += k;
	}
	assert_int_equal(n, 2000);
	memcpy(cell(&b, at), "lh", 2);
	ibb_put_le16(cell(&b, at) + 2, 2000);
	ibb_put_le32(nk + 28, at);
	ibb_put_le32(cell(&b, vk_of(&b, find(h, "room"), 0)) + 4, 0x80000000u);
	ibb_hive_close(h);
	h = open_copy(b.data, b.len);
	for (unsigned i = 0; i < 50; i++) {
		char name[64];

		snprintf(name, sizeof(name), "p\\child_%05u+", i * 40);
		make(h, name);
	}
	w = walk_list(h, p);
	assert_int_equal(w.keys, 2050);
	assert_true(w.root);
	assert_true(w.max_leaf < 1010);
	g = reopened(h, NULL);
	ibb_hive_close(g);
	ibb_hive_close(h);
	ibb_buf_clear(&b);
	free(data);
}

/* ---- space ---- */

static void test_reuse(void **state)
{
	static uint8_t data[16344];
	struct ibb_hive *h = fresh();
	struct ibb_hive_check sum;
	uint32_t settled = 0;
	ibb_key k;

	(void)state;
	make(h, "keep");
	for (unsigned i = 0; i < 1000; i++) {
		char path[64];

		for (unsigned j = 0; j < 12; j++) {
			snprintf(path, sizeof(path), "c\\k%u\\%u", j, i);
			k = make(h, path);
			set(h, k, "v", 3, data, (i * 131 + j * 977) % 2000);
			set(h, k, path, 1, data, (i + j) % 9);
		}
		assert_ok(ibb_hive_delete(h, find(h, "c"), T1, &E), E);
		if (i == 100)
			settled = ibb_hive_header(h)->bins_bytes;
	}
	assert_true(ibb_hive_header(h)->bins_bytes <= settled + 8192);
	assert_true(settled < 100000);
	assert_ok(ibb_hive_check(h, &sum, &E), E);
	assert_int_equal(sum.leaked_cells, 0);
	/* everything free has grown together again: a large value goes in */
	settled = ibb_hive_header(h)->bins_bytes;
	k = find(h, "keep");
	for (unsigned i = 0; i < 1000; i++) {
		set(h, k, "v", 3, data, 3000 + (i % 2 ? 0 : 400));
		assert_ok(ibb_hive_unset(h, k, "v", T1, &E), E);
	}
	assert_int_equal(ibb_hive_header(h)->bins_bytes, settled);
	ibb_hive_close(h);
}

/* The same added, committed, removed, committed, 1 000 times: within one bin of the first time. */
static void test_no_growth(void **state)
{
	static uint8_t data[40000];
	struct ibb_hive *h = fresh(), *g;
	struct ibb_hive_check sum;
	uint32_t first = 0;
	char path[64];

	(void)state;
	for (unsigned j = 0; j < 1200; j++) {
		snprintf(path, sizeof(path), "ids\\k%04u", j);
		make(h, path);
	}
	for (unsigned i = 0; i < 1000; i++) {
		for (unsigned j = 0; j < 20; j++) {
			snprintf(path, sizeof(path), "ids\\k%04u-new", j * 61);
			set(h, make(h, path), "v", 3, data, j == 7 ? sizeof(data) : 50 * j);
		}
		g = reopened(h, &sum);
		ibb_hive_close(h);
		h = g;
		for (unsigned j = 0; j < 20; j++) {
			snprintf(path, sizeof(path), "ids\\k%04u-new", j * 61);
			assert_ok(ibb_hive_delete(h, find(h, path), T1, &E), E);
		}
		g = reopened(h, &sum);
		ibb_hive_close(h);
		h = g;
		assert_int_equal(sum.leaked_cells, 0);
		if (!i)
			first = ibb_hive_header(h)->bins_bytes;
	}
	assert_true(ibb_hive_header(h)->bins_bytes <= first + 4096);
	ibb_hive_close(h);
}

/* Removing most of many leaves merges those that are left; the last one needs no index root. */
static void test_merge(void **state)
{
	struct ibb_hive *h = fresh();
	ibb_key parent = make(h, "p");
	struct walk w;
	char name[64];

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		child_name(name, i * 1741 % MANY);
		make(h, name);
	}
	w = walk_list(h, parent);
	assert_true(w.root && w.leaves >= 6);
	for (unsigned i = 0; i < MANY; i++) {
		if (i % 20 == 0)
			continue;
		child_name(name, i);
		assert_ok(ibb_hive_delete(h, find(h, name), T1, &E), E);
	}
	w = walk_list(h, parent);
	assert_int_equal(w.keys, MANY / 20);
	assert_false(w.root);
	assert_int_equal(w.leaves, 1);
	ibb_hive_close(reopened(h, NULL));
	ibb_hive_close(h);
}

/* Turn this leaf of 'lh' into one of another kind, as other writers leave them. */
static void turn_leaf(struct ibb_buf *b, uint32_t off, const char *kind)
{
	uint8_t *l = cell(b, off);
	unsigned n = ibb_get_le16(l + 2);

	assert_memory_equal(l, "lh", 2);
	memcpy(l, kind, 2);
	for (unsigned i = 0; i < n; i++) {
		uint32_t k = ibb_get_le32(l + 4 + 8 * i);

		if (kind[1] == 'i') {
			ibb_put_le32(l + 4 + 4 * i, k);
		} else {
			memset(l + 8 + 8 * i, 0, 4);
			memcpy(l + 8 + 8 * i, cell(b, k) + 76, 4); /* all names are longer */
		}
	}
}

/*
 * Leaves of different kinds under one index root: only those of one kind are merged, as entries of
 * one are not those of another.
 */
static void test_merge_mixed(void **state)
{
	static const char *const kinds[][2] = {{"li", "lh"}, {"lh", "li"}, {"lf", "lh"},
					       {"lh", "lf"}, {"li", "lf"}, {"lf", "li"}};

	(void)state;
	for (size_t c = 0; c < IBB_ARRAY_SIZE(kinds); c++) {
		struct ibb_hive *h = fresh(), *g;
		ibb_key parent = make(h, "p");
		struct ibb_buf b;
		struct walk w;
		char name[64];
		uint32_t list;
		unsigned n_leaves;

		for (unsigned i = 0; i < MANY; i++) {
			child_name(name, i * 1741 % MANY);
			make(h, name);
		}
		b = serialized(h);
		list = ibb_get_le32(cell(&b, parent) + 28);
		assert_memory_equal(cell(&b, list), "ri", 2);
		for (unsigned i = 0; i < ibb_get_le16(cell(&b, list) + 2); i++)
			if (strcmp(kinds[c][i / 3 % 2], "lh") != 0)
				turn_leaf(&b, ibb_get_le32(cell(&b, list) + 4 + 4 * i),
					  kinds[c][i / 3 % 2]);
		g = open_copy(b.data, b.len);
		w = walk_list(g, parent);
		n_leaves = w.leaves;
		assert_int_equal(w.keys, MANY);
		for (unsigned i = 0; i < MANY; i++) {
			if (i % 20 == 0)
				continue;
			child_name(name, i);
			assert_ok(ibb_hive_delete(g, find(g, name), T1, &E), E);
		}
		w = walk_list(g, parent);
		assert_int_equal(w.keys, MANY / 20);
		assert_true(w.leaves > 1 && w.leaves < n_leaves);
		for (unsigned i = 0; i < MANY; i += 20) {
			child_name(name, i);
			find(g, name);
		}
		ibb_hive_close(reopened(g, NULL));
		ibb_hive_close(g);
		ibb_hive_close(h);
		ibb_buf_clear(&b);
	}
}

/* 4 300 keys under one parent and 10 000 in all must not make the file grow by rewriting. */
static void test_growth(void **state)
{
	struct ibb_hive *h = fresh();
	struct ibb_hive_check sum;
	char path[80];

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		unsigned j = i * 7919 % 10000;

		if (j < 4300)
			snprintf(path, sizeof(path), "ids\\PCI\\VEN_15B3&DEV_%04X", j);
		else
			snprintf(path, sizeof(path), "pkg\\p%03u\\%04u", j % 100, j);
		set(h, make(h, path), "oem1.inf", 3, "\1\xff\0\0", 4);
	}
	assert_ok(ibb_hive_check(h, &sum, &E), E);
	assert_int_equal(sum.values, 10000);
	/* nk, vk, value list and list entry: about 160 bytes a key */
	assert_true(ibb_hive_header(h)->bins_bytes < 1900000);
	assert_true(sum.free_bytes < 20000);
	ibb_hive_close(h);
}

/* ---- thousands of random edits against a simple model ---- */

enum { KEYS = 40, VALUES = 8, STEPS = 20000 };
static struct model {
	bool there;
	int len[VALUES]; /* -1: absent */
	uint8_t fill[VALUES];
} model[KEYS];

static const char *model_path(unsigned k)
{
	static char path[64];

	snprintf(path, sizeof(path), "m\\%s%u", k % 4 ? "Key-" : "\xd0\xba\xc3\xa9", k * 37 % 101);
	return path;
}

static void model_check(struct ibb_hive *h)
{
	static uint8_t data[16344];
	struct ibb_hive_check sum;
	ibb_key key;
	uint64_t n = 2;

	for (unsigned k = 0; k < KEYS; k++) {
		if (!model[k].there) {
			assert_int_equal(
				ibb_hive_find(h, ibb_hive_root(h), model_path(k), &key, NULL),
				IBB_E_NOTFOUND);
			continue;
		}
		n++;
		key = find(h, model_path(k));
		for (unsigned v = 0; v < VALUES; v++) {
			char name[16];

			snprintf(name, sizeof(name), "val%u", v);
			if (model[k].len[v] < 0) {
				assert_int_equal(ibb_hive_get(h, key, name, NULL, NULL, NULL),
						 IBB_E_NOTFOUND);
				continue;
			}
			memset(data, model[k].fill[v], (size_t)model[k].len[v]);
			has_value(h, key, name, v, data, (size_t)model[k].len[v]);
		}
	}
	assert_ok(ibb_hive_check(h, &sum, &E), E);
	assert_int_equal(sum.keys, n);
	assert_int_equal(sum.leaked_cells, 0);
}

static void model_step(struct ibb_hive *h, uint64_t *seed)
{
	static const unsigned sizes[] = {5, 9, 64, 700, 16345};
	static uint8_t data[16344];
	unsigned k = rnd(seed, KEYS), v = rnd(seed, VALUES), what = rnd(seed, 20);
	char name[16];
	ibb_key key;

	snprintf(name, sizeof(name), "VAL%u", v);
	if (what == 0 && model[k].there) {
		assert_ok(ibb_hive_delete(h, find(h, model_path(k)), T1, &E), E);
		model[k].there = false;
	} else if (what < 14) {
		unsigned len = rnd(seed, sizes[rnd(seed, IBB_ARRAY_SIZE(sizes))]);

		if (len > 2000 && what != 13)
			len /= 50;
		key = make(h, model_path(k));
		if (!model[k].there)
			memset(model[k].len, 0xff, sizeof(model[k].len));
		model[k].there = true;
		model[k].len[v] = (int)len;
		model[k].fill[v] = (uint8_t)rnd(seed, 256);
		memset(data, model[k].fill[v], len);
		set(h, key, name, v, data, len);
	} else if (model[k].there) {
		int r = ibb_hive_unset(h, find(h, model_path(k)), name, T1, NULL);

		assert_int_equal(r, model[k].len[v] < 0 ? IBB_E_NOTFOUND : IBB_OK);
		model[k].len[v] = -1;
	}
}

static void test_random_edits(void **state)
{
	struct ibb_hive *h = fresh(), *g;
	uint64_t seed = 20261120;

	(void)state;
	make(h, "m");
	for (unsigned i = 0; i < STEPS; i++) {
		model_step(h, &seed);
		if (i % 1000 == 999) {
			model_check(h);
			g = reopened(h, NULL);
			model_check(g);
			has_diff(h, g, "");
			ibb_hive_close(h);
			h = g;
		}
	}
	ibb_hive_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),  cmocka_unit_test(test_lf),
		cmocka_unit_test(test_li),     cmocka_unit_test(test_long_leaf),
		cmocka_unit_test(test_reuse),  cmocka_unit_test(test_no_growth),
		cmocka_unit_test(test_merge),  cmocka_unit_test(test_merge_mixed),
		cmocka_unit_test(test_growth), cmocka_unit_test(test_random_edits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
