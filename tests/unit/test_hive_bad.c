/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Damaged and hostile hives: each gets its code and a message that says where. */
#include "test_hive_util.h"

/*
 * The hive that is damaged: \a (values text, num), \a\b, \a\c, \two, \wide (600 subkeys, so an
 * index root), \top\big (big data).
 */
static struct ibb_buf base;
static ibb_key root, a, two, wide, big;

static int setup(void **state)
{
	struct ibb_buf b = hive_with_big();
	struct ibb_hive *h = open_copy(b.data, b.len);
	char name[32];

	(void)state;
	set(h, make(h, "a"), "text", IBB_REG_SZ, "t\0e\0x\0t\0\0\0", 10);
	set(h, make(h, "a"), "num", IBB_REG_DWORD, "\1\0\0\0", 4);
	make(h, "a\\b");
	make(h, "a\\c");
	make(h, "two\\x");
	for (unsigned i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "wide\\k%03u", i);
		make(h, name);
	}
	root = ibb_hive_root(h);
	a = find(h, "a");
	two = find(h, "two");
	wide = find(h, "wide");
	big = find(h, "top\\big");
	base = serialized(h);
	ibb_hive_close(h);
	ibb_buf_clear(&b);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ibb_buf_clear(&base);
	return 0;
}

static uint32_t u32(uint32_t off, unsigned field)
{
	return ibb_get_le32(cell(&base, off) + field);
}

/* ---- the header ---- */

static void header_case(unsigned off, unsigned width, uint64_t value, int code, const char *text)
{
	struct ibb_buf b = {0};
	struct ibb_hive *h = NULL;

	assert_int_equal(ibb_buf_append(&b, base.data, base.len), 0);
	if (width == 2)
		ibb_put_le16(b.data + off, (uint16_t)value);
	else
		ibb_put_le32(b.data + off, (uint32_t)value);
	if (off != 508)
		fix_checksum(b.data);
	assert_fails(ibb_hive_open("SYSTEM", &b, &h, &E), code, E, text);
	assert_non_null(strstr(E.msg, "hive SYSTEM"));
	assert_null(h);
	assert_non_null(b.data); /* still the caller's */
	if (code == IBB_E_DIRTY)
		assert_non_null(strstr(E.hint, "boot Windows once and shut it down"));
	ibb_buf_clear(&b);
}

static void test_header(void **state)
{
	const uint32_t bins = (uint32_t)base.len - 4096;

	(void)state;
	header_case(0, 4, 0x66676572 + 1, IBB_E_CORRUPT, "not a registry hive");
	header_case(4, 4, 99, IBB_E_DIRTY, "sequence numbers 99 and 3 differ");
	header_case(8, 4, 98, IBB_E_DIRTY, "sequence numbers 3 and 98 differ");
	header_case(508, 4, 5, IBB_E_DIRTY, "header checksum is 0x00000005");
	header_case(20, 4, 2, IBB_E_UNSUPPORTED, "format version 2.5");
	header_case(24, 4, 2, IBB_E_UNSUPPORTED, "format version 1.2");
	header_case(24, 4, 7, IBB_E_UNSUPPORTED, "format version 1.7");
	header_case(28, 4, 1, IBB_E_UNSUPPORTED, "file type 1 is not a primary hive file");
	header_case(28, 4, 6, IBB_E_UNSUPPORTED, "transaction log");
	header_case(32, 4, 0, IBB_E_UNSUPPORTED, "file format 0");
	header_case(36, 4, 0xffffffff, IBB_E_CORRUPT, "lies outside the hive");
	header_case(36, 4, root + 8, IBB_E_CORRUPT, "no allocated cell begins here");
	header_case(36, 4, root + 4, IBB_E_CORRUPT, "no allocated cell begins here");
	header_case(36, 4, u32(root, 44), IBB_E_CORRUPT, "signature is 0x736b");
	header_case(40, 4, 0, IBB_E_CORRUPT, "not a multiple of 4096");
	header_case(40, 4, bins + 8, IBB_E_CORRUPT, "not a multiple of 4096");
	header_case(40, 4, bins + 4096, IBB_E_CORRUPT, "truncated: the header promises");
	header_case(40, 4, 0xfffff000, IBB_E_CORRUPT, "truncated");
}

static void test_short(void **state)
{
	static const size_t sizes[] = {0, 1, 4, 4095, 4096, 5000, 8191};
	struct ibb_hive_header hd;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(sizes); i++) {
		struct ibb_buf b = {0};
		struct ibb_hive *h = NULL;

		assert_int_equal(ibb_buf_append(&b, base.data, sizes[i]), 0);
		assert_fails(ibb_hive_open("S", &b, &h, &E), IBB_E_CORRUPT, E, "truncated");
		ibb_buf_clear(&b);
	}
	/* the header alone can be read, also of a hive that is dirty */
	assert_ok(ibb_hive_header_read("S", (struct ibb_bytes){base.data, 4096}, &hd, &E), E);
	assert_int_equal(hd.seq1, 3);
	assert_true(hd.checksum_ok);
	assert_false(hd.dirty);
	assert_fails(ibb_hive_header_read("S", (struct ibb_bytes){base.data, 4095}, &hd, &E),
		     IBB_E_CORRUPT, E, "4095 bytes");
}

/* ---- bins and cell sizes: found when opening ---- */

static void open_case(unsigned off, uint32_t value, const char *text)
{
	struct ibb_buf b = {0};
	struct ibb_hive *h = NULL;

	assert_int_equal(ibb_buf_append(&b, base.data, base.len), 0);
	ibb_put_le32(b.data + 4096 + off, value);
	assert_fails(ibb_hive_open("SYSTEM", &b, &h, &E), IBB_E_CORRUPT, E, text);
	ibb_buf_clear(&b);
}

static void test_bins(void **state)
{
	uint32_t second = ibb_get_le32(base.data + 4096 + 8);

	(void)state;
	open_case(0, 0, "bin at 0x0: no 'hbin' signature");
	open_case(4, 4096, "bin at 0x0: its header says 0x1000");
	open_case(8, 0, "bin at 0x0: size 0x0 is wrong");
	open_case(8, 100, "bin at 0x0: size 0x64 is wrong");
	open_case(8, 0xfffff000, "size 0xfffff000 is wrong");
	open_case(second, 0, "no 'hbin' signature");
	open_case(second + 4, 0, "its header says 0x0");
	open_case(root, 0, "cell at 0x20: cell size 0");
	open_case(root, (uint32_t)-4, "cell at 0x20: cell size -4 does not fit");
	open_case(root, (uint32_t)-84, "cell at 0x20: cell size -84 does not fit");
	open_case(root, (uint32_t)-4096, "cell at 0x20: cell size -4096 does not fit");
	open_case(root, 0x7fffffff, "cell size 2147483647 does not fit");
	open_case(root, 0x80000000, "does not fit its bin");
}

/* ---- the tree: found by a check, by comparing, and before the first edit ---- */

static void tree_case(uint32_t off, unsigned field, unsigned width, uint32_t value,
		      const char *text)
{
	struct ibb_buf b = {0}, text_a = {0};
	struct ibb_hive *h;
	struct ibb_hive_check sum;
	ibb_key k;

	assert_int_equal(ibb_buf_append(&b, base.data, base.len), 0);
	if (width == 1)
		cell(&b, off)[field] = (uint8_t)value;
	else if (width == 2)
		ibb_put_le16(cell(&b, off) + field, (uint16_t)value);
	else
		ibb_put_le32(cell(&b, off) + field, value);
	h = open_copy(b.data, b.len);
	assert_fails(ibb_hive_check(h, &sum, &E), IBB_E_CORRUPT, E, text);
	assert_non_null(strstr(E.msg, "hive copy: cell at 0x"));
	assert_non_null(strstr(E.hint, "the hive is damaged"));
	assert_fails(ibb_hive_create(h, root, "new", IBB_KEY_SECURITY_PARENT, 0, T0, &k, NULL, &E),
		     IBB_E_CORRUPT, E, text);
	assert_fails(ibb_hive_set(h, root, "v", 3, "1", 1, T0, &E), IBB_E_CORRUPT, E, text);
	assert_false(ibb_hive_edited(h));
	/* must end, whatever it says */
	int r = ibb_hive_compare(h, h, diff_line, &text_a, &E);

	assert_true(r == IBB_OK || r == IBB_E_CORRUPT);
	ibb_hive_close(h);
	ibb_buf_clear(&b);
	ibb_buf_clear(&text_a);
}

static void test_keys(void **state)
{
	(void)state;
	tree_case(a, 0, 1, 'x', "signature is 0x786b");
	tree_case(a, 16, 4, two, "as its parent, but 0x20 lists it as a subkey");
	tree_case(a, 72, 2, 0xffff, "key name of 65535 bytes, the cell has room for");
	tree_case(a, 72, 2, 0, "key name length 0 is wrong");
	tree_case(a, 20, 4, 1, "key says it has 1 subkeys, its list holds more");
	tree_case(a, 20, 4, 3, "key says it has 3 subkeys, its list holds 2");
	tree_case(a, 20, 4, 0xffffffff, "its list holds 2");
	tree_case(a, 28, 4, 0xffffffff, "subkey list lies outside the hive");
	tree_case(a, 28, 4, a, "subkey list expected, signature is 0x6e6b");
	tree_case(two, 28, 4, u32(a, 28), "used twice, the second time as subkey list");
	tree_case(a, 36, 4, 0x40000001, "value list of 1073741825 entries, the cell has room");
	tree_case(a, 40, 4, 0x10, "value list expected, but no allocated cell begins here");
	tree_case(a, 44, 4, 0xffffffff, "security cell 0xffffffff is not in the ring");
	tree_case(a, 44, 4, two, "is not in the ring of the root key");
}

static void test_class(void **state)
{
	struct ibb_buf b = {0};
	struct ibb_hive_check sum;
	struct ibb_hive *h;

	(void)state;
	assert_int_equal(ibb_buf_append(&b, base.data, base.len), 0);
	ibb_put_le16(cell(&b, a) + 74, 4);
	ibb_put_le32(cell(&b, a) + 48, 0x8);
	h = open_copy(b.data, b.len);
	assert_fails(ibb_hive_check(h, &sum, &E), IBB_E_CORRUPT, E, "class name expected");
	ibb_hive_close(h);
	ibb_put_le32(cell(&b, a) + 48, two);
	h = open_copy(b.data, b.len);
	assert_fails(ibb_hive_check(h, &sum, &E), IBB_E_CORRUPT, E, "used twice");
	ibb_hive_close(h);
	ibb_buf_clear(&b);
}

static void test_lists(void **state)
{
	uint32_t list = u32(a, 28), ri = u32(wide, 28), leaf = u32(ri, 4), leaf2 = u32(ri, 8);

	(void)state;
	assert_memory_equal(cell(&base, ri), "ri", 2);
	tree_case(list, 2, 2, 0, "subkey list is empty");
	tree_case(list, 2, 2, 0xffff, "subkey list of 65535 entries, the cell has room for");
	tree_case(list, 4, 4, root, "leads back to the root key");
	tree_case(list, 4, 4, a, "as its parent, but");
	tree_case(list, 4, 4, 3, "key node expected, but no allocated cell begins here");
	tree_case(list, 12, 4, u32(list, 4), "names are not in ascending order");
	tree_case(list, 8, 4, 1, "hash of subkey list entry 0 is wrong");
	tree_case(list, 1, 1, 'z', "subkey list expected, signature is 0x6c7a");
	tree_case(ri, 4, 4, ri, "subkey list expected, signature is 0x7269");
	tree_case(ri, 8, 4, leaf, "names are not in ascending order");
	tree_case(ri, 2, 2, 0, "subkey list is empty");
	tree_case(leaf2, 4, 4, u32(leaf, 4), "names are not in ascending order");
}

static void test_values(void **state)
{
	uint32_t list = u32(a, 40), vk = u32(list, 0), num = u32(list, 4);

	(void)state;
	tree_case(list, 0, 4, 0xfffffff8, "key value lies outside the hive");
	tree_case(list, 0, 4, a, "key value expected, signature is 0x6e6b");
	tree_case(list, 0, 4, num, "used twice, the second time as value");
	tree_case(vk, 2, 2, 0x7fff, "value name of 32767 bytes, the cell has room for");
	tree_case(vk, 4, 4, 0x80000005, "value keeps 5 bytes in a field of 4");
	tree_case(vk, 4, 4, 4000, "value data needs 4000 bytes, the cell holds");
	tree_case(vk, 4, 4, 20000, "big data of 20000 bytes lacks its 'db' record");
	tree_case(vk, 4, 4, 0x7fffffff, "big data of 2147483647 bytes lacks");
	tree_case(vk, 8, 4, 0x7ffffff8, "value data lies outside the hive");
	tree_case(vk, 8, 4, two, "used twice");
	tree_case(vk, 8, 4, vk, "used twice, the second time as value data");
}

static void test_big_data(void **state)
{
	uint32_t vk = u32(u32(big, 40), 0), db = u32(vk, 8), list = u32(db, 4);

	(void)state;
	tree_case(vk, 4, 4, 40000, "big data of 40000 bytes in 2 segments");
	tree_case(db, 0, 1, 'x', "lacks its 'db' record");
	tree_case(db, 2, 2, 1, "big data of 20000 bytes in 1 segments");
	tree_case(db, 4, 4, 12, "list of big data segments expected");
	tree_case(db, 4, 4, db, "segment");
	tree_case(list, 0, 4, u32(list, 4), "big data segment needs 16344 bytes");
	tree_case(list, 4, 4, u32(list, 0), "used twice, the second time as big data segment");
	tree_case(list, 4, 4, 0xffffffff, "big data segment lies outside the hive");
}

static void test_security_cells(void **state)
{
	uint32_t sk = u32(root, 44);

	(void)state;
	tree_case(sk, 0, 1, 'x', "security descriptor expected, signature is 0x786b");
	tree_case(sk, 4, 4, root, "security descriptor expected, signature is 0x6e6b");
	tree_case(sk, 8, 4, root, "previous is 0x20, should be");
	tree_case(sk, 12, 4, 5, "security cell says 5 keys use it, 609 do");
	tree_case(sk, 12, 4, 0xffffffff, "security cell says 4294967295 keys use it");
	tree_case(sk, 16, 4, 0xffff, "security descriptor of 65535 bytes, the cell has room");
}

/* A count that is too high is not clean, but no reason to refuse: Windows leaves such ones. */
static void test_refs_too_high(void **state)
{
	struct ibb_buf b = {0};
	struct ibb_hive_check sum;
	struct ibb_hive *h;

	(void)state;
	assert_int_equal(ibb_buf_append(&b, base.data, base.len), 0);
	ibb_put_le32(cell(&b, u32(root, 44)) + 12, 611);
	h = open_copy(b.data, b.len);
	assert_ok(ibb_hive_check(h, &sum, &E), E);
	assert_int_equal(sum.excess_counts, 1);
	assert_ok(ibb_hive_delete(h, find(h, "wide"), T0, &E), E);
	assert_ok(ibb_hive_check(h, &sum, &E), E);
	assert_int_equal(sum.excess_counts, 1);
	ibb_hive_close(reopened(h, &sum));
	assert_ok(ibb_hive_check(h, &sum, &E), E);
	assert_int_equal(sum.excess_counts, 0);
	ibb_hive_close(h);
	ibb_buf_clear(&b);
}

/* Looked up in a list that is out of order, a key must not seem absent. */
static void test_disorder(void **state)
{
	struct ibb_buf b = {0};
	struct ibb_hive *h;
	uint32_t list = u32(a, 28);
	ibb_key k;

	(void)state;
	assert_int_equal(ibb_buf_append(&b, base.data, base.len), 0);
	memcpy(cell(&b, list) + 4, cell(&base, list) + 12, 8);
	memcpy(cell(&b, list) + 12, cell(&base, list) + 4, 8);
	h = open_copy(b.data, b.len);
	assert_fails(ibb_hive_find(h, a, "c", &k, &E), IBB_E_CORRUPT, E,
		     "names are not in ascending order");
	assert_fails(ibb_hive_find(h, a, "bb", &k, &E), IBB_E_CORRUPT, E, "ascending order");
	ibb_hive_close(h);
	ibb_buf_clear(&b);
}

/* A misplaced subtree that makes the tree deeper than Windows allows. */
static void test_too_deep(void **state)
{
	char path[2 * 511 + 1];
	struct ibb_hive *h = fresh(), *g;
	struct ibb_hive_check sum;
	struct ibb_buf b, text = {0};
	ibb_key x, from, e;

	(void)state;
	for (int i = 0; i < 511; i++)
		memcpy(path + 2 * i, "d\\", 2);
	path[2 * 511 - 1] = '\0';
	x = make(h, path);
	e = make(h, "g\\e");
	from = find(h, "g");
	b = serialized(h);
	ibb_put_le32(cell(&b, x) + 20, 1);
	ibb_put_le32(cell(&b, x) + 28, ibb_get_le32(cell(&b, from) + 28));
	ibb_put_le32(cell(&b, from) + 20, 0);
	ibb_put_le32(cell(&b, e) + 16, x);
	g = open_copy(b.data, b.len);
	assert_fails(ibb_hive_check(g, &sum, &E), IBB_E_CORRUPT, E, "nested deeper than 512");
	assert_fails(ibb_hive_compare(g, g, diff_line, &text, &E), IBB_E_CORRUPT, E,
		     "nested too deeply");
	ibb_hive_close(h);
	h = fresh();
	assert_fails(ibb_hive_compare(h, g, diff_line, &text, &E), IBB_E_CORRUPT, E,
		     "nested too deeply");
	ibb_hive_close(h);
	ibb_hive_close(g);
	ibb_buf_clear(&b);
	ibb_buf_clear(&text);
}

/* Names that no key or value may have. */
static void test_long_names(void **state)
{
	struct ibb_hive *h = fresh(), *none = NULL;
	char *name = ibb_alloc(100001);

	(void)state;
	assert_string_equal(ibb_hive_name(h), "TEST");
	memset(name, 'n', 100000);
	name[100000] = '\0';
	assert_fails(ibb_hive_set(h, ibb_hive_root(h), name, 3, "1", 1, T0, &E), IBB_E_INVALID, E,
		     "registry name of 100000 bytes is too long");
	name[16384] = '\0';
	assert_fails(ibb_hive_set(h, ibb_hive_root(h), name, 3, "1", 1, T0, &E), IBB_E_INVALID, E,
		     "value name of 16384 characters (16383 are allowed)");
	name[16383] = '\0';
	set(h, ibb_hive_root(h), name, 3, "12345", 5);
	has_value(h, ibb_hive_root(h), name, 3, "12345", 5);
	assert_fails(ibb_hive_new("", T0, &none, &E), IBB_E_INVALID, E, "root key is empty");
	name[256] = '\0';
	assert_fails(ibb_hive_new(name, T0, &none, &E), IBB_E_INVALID, E, "too long");
	ibb_hive_close(reopened(h, NULL));
	ibb_hive_close(h);
	free(name);
}

/* ---- random damage ---- */

static int ignore_key(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	(void)k;
	(void)err;
	*(size_t *)ctx += strlen(name);
	return 0;
}

static int ignore_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	(void)err;
	for (uint32_t i = 0; i < v->size; i++)
		*(size_t *)ctx += v->data[i];
	return 0;
}

/* Everything that can be done with a hive; what succeeds must leave it sound. */
static void exercise(struct ibb_hive *h, const struct ibb_hive *good)
{
	struct ibb_buf text = {0}, out = {0};
	struct ibb_hive_check sum;
	struct ibb_hive *again = NULL;
	bool clean = ibb_hive_check(h, &sum, &E) == IBB_OK;
	size_t n = 0;
	ibb_key k;
	int r;

	r = ibb_hive_compare(good, h, diff_line, &text, &E);
	assert_true(r == IBB_OK || r == IBB_E_CORRUPT);
	(void)!ibb_hive_subkeys(h, ibb_hive_root(h), ignore_key, &n, &E);
	if (!ibb_hive_find(h, ibb_hive_root(h), "a", &k, &E)) {
		(void)!ibb_hive_subkeys(h, k, ignore_key, &n, &E);
		(void)!ibb_hive_values(h, k, ignore_value, &n, &E);
		(void)!ibb_hive_set(h, k, "text", 3, "0123456789abcdef", 16, T1, &E);
		(void)!ibb_hive_unset(h, k, "num", T1, &E);
	}
	if (!ibb_hive_find(h, ibb_hive_root(h), "top\\big", &k, &E))
		(void)!ibb_hive_values(h, k, ignore_value, &n, &E);
	(void)!ibb_hive_create(h, ibb_hive_root(h), "a\\n\\m", IBB_KEY_SECURITY_PARENT, 0, T1, &k,
			       NULL, &E);
	if (!ibb_hive_find(h, ibb_hive_root(h), "two", &k, &E))
		(void)!ibb_hive_delete(h, k, T1, &E);
	if (ibb_hive_edited(h)) {
		assert_ok(ibb_hive_serialize(h, T1, &out, &E), E);
		assert_ok(ibb_hive_open("out", &out, &again, &E), E);
		if (clean)
			assert_ok(ibb_hive_check(again, &sum, &E), E);
		has_diff(h, again, "");
	}
	ibb_hive_close(again);
	ibb_buf_clear(&text);
	ibb_buf_clear(&out);
}

/* The small part of the base hive only, so that most flips hit something. */
static void test_random_damage(void **state)
{
	struct ibb_hive *good = open_copy(base.data, base.len), *h;
	uint64_t seed = 4711;
	struct ibb_buf small;
	unsigned opened = 0, edited = 0;

	(void)state;
	assert_ok(ibb_hive_delete(good, wide, T0, &E), E);
	small = serialized(good);
	for (unsigned i = 0; i < 20000; i++) {
		struct ibb_buf b = {0};
		unsigned flips = 1 + rnd(&seed, 4);

		assert_int_equal(ibb_buf_append(&b, small.data, small.len), 0);
		while (flips--) {
			/* mostly the first bin with its keys; now and then header or elsewhere */
			unsigned where = rnd(&seed, 20);
			uint32_t at = where == 0   ? rnd(&seed, 512)
				      : where == 1 ? rnd(&seed, (uint32_t)b.len)
						   : 4096 + rnd(&seed, 1600);
			unsigned how = rnd(&seed, 4);

			if (how == 0)
				b.data[at] ^= (uint8_t)(1u << rnd(&seed, 8));
			else if (how == 1)
				b.data[at] = (uint8_t)rnd(&seed, 256);
			else if (how == 2)
				ibb_put_le32(b.data + (at & ~3u), rnd(&seed, 500) * 8);
			else
				memcpy(b.data + (at & ~7u), b.data + 4096 + rnd(&seed, 190) * 8, 8);
		}
		fix_checksum(b.data);
		h = NULL;
		if (!ibb_hive_open("fuzz", &b, &h, &E)) {
			exercise(h, good);
			opened++;
			edited += ibb_hive_edited(h);
		}
		ibb_hive_close(h);
		ibb_buf_clear(&b);
	}
	/* the damage is such that all parts were reached */
	assert_true(opened > 5000);
	assert_true(edited > 1000 && edited < opened);
	ibb_buf_clear(&small);
	ibb_hive_close(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),	       cmocka_unit_test(test_short),
		cmocka_unit_test(test_bins),	       cmocka_unit_test(test_keys),
		cmocka_unit_test(test_class),	       cmocka_unit_test(test_lists),
		cmocka_unit_test(test_values),	       cmocka_unit_test(test_big_data),
		cmocka_unit_test(test_security_cells), cmocka_unit_test(test_refs_too_high),
		cmocka_unit_test(test_disorder),       cmocka_unit_test(test_too_deep),
		cmocka_unit_test(test_long_names),     cmocka_unit_test(test_random_damage),
	};

	return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
