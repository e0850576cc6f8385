/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading and editing registry hives. */
#include "test_hive_util.h"

static void test_new(void **state)
{
	struct ibb_hive_check sum = {0};
	struct ibb_hive *h = fresh();
	struct ibb_key_info info;
	struct ibb_bytes sd;

	(void)state;
	assert_false(ibb_hive_edited(h));
	assert_int_equal(ibb_hive_header(h)->minor, 5);
	assert_string_equal(ibb_hive_header(h)->file_name, "TEST");
	assert_false(ibb_hive_header(h)->dirty);
	assert_int_equal(ibb_hive_header(h)->last_written, T0);
	assert_ok(ibb_hive_check(h, &sum, &E), E);
	assert_int_equal(sum.keys, 1);
	assert_int_equal(sum.values, 0);
	assert_int_equal(sum.security_cells, 1);
	assert_int_equal(sum.leaked_cells, 0);
	assert_ok(ibb_hive_key_info(h, ibb_hive_root(h), &info, &E), E);
	assert_string_equal(info.name, "TEST");
	assert_int_equal(info.flags, 0x2c);
	assert_int_equal(info.last_written, T0);
	assert_int_equal(info.n_subkeys, 0);
	assert_false(info.is_link);
	assert_ok(ibb_hive_get_security(h, ibb_hive_root(h), &sd, &E), E);
	assert_int_equal(sd.len, 100);
	assert_int_equal(ibb_get_le16(sd.data + 2), 0x8004);
	ibb_hive_close(h);
}

/*
 * Since Vista the upper half of "largest subkey name length" holds virtualisation and user flags
 * and a debug byte ("Key node"); a longer name must not take them away.
 */
static void test_virtualisation_flags(void **state)
{
	struct ibb_hive *h = fresh(), *g;
	ibb_key k = make(h, "k");
	struct ibb_buf b = serialized(h), c;

	(void)state;
	make(h, "k\\a");
	ibb_buf_clear(&b);
	b = serialized(h);
	assert_int_equal(ibb_get_le32(cell(&b, k) + 52), 2);
	ibb_put_le16(cell(&b, k) + 54, 0x0721);
	g = open_copy(b.data, b.len);
	make(g, "k\\longer");
	c = serialized(g);
	assert_int_equal(ibb_get_le32(cell(&c, k) + 52), 0x0721000c);
	ibb_buf_clear(&c);
	assert_ok(ibb_hive_delete(g, find(g, "k\\longer"), T1, &E), E);
	c = serialized(g);
	assert_int_equal(ibb_get_le16(cell(&c, k) + 54), 0x0721);
	/* and they are what a comparison sees */
	ibb_hive_close(h);
	h = open_copy(b.data, b.len);
	ibb_put_le16(cell(&c, k) + 54, 0x0720);
	ibb_hive_close(g);
	g = open_copy(c.data, c.len);
	has_diff(h, g, "~kind k\n");
	ibb_buf_clear(&b);
	ibb_buf_clear(&c);
	ibb_hive_close(g);
	ibb_hive_close(h);
}

static void test_serialize(void **state)
{
	struct ibb_hive *h = fresh(), *g;
	struct ibb_buf a = serialized(h), b, c;

	(void)state;
	assert_int_equal(a.len, 8192);
	/* what follows the bins stays with a hive that is not edited, and goes with the first edit
	 */
	assert_int_equal(ibb_buf_append(&a, "padding", 8), 0);
	memset(a.data + 112, 0xab, 32); /* reserved bytes of the base block */
	fix_checksum(a.data);
	g = open_copy(a.data, a.len);
	b = serialized(g);
	assert_int_equal(b.len, a.len);
	assert_memory_equal(b.data, a.data, a.len);
	make(g, "k");
	assert_true(ibb_hive_edited(g));
	assert_ok(ibb_hive_serialize(g, T1, &b, &E), E);
	assert_int_equal(b.len, 8192);
	assert_int_equal(ibb_get_le32(b.data + 4), 2);
	assert_int_equal(ibb_get_le32(b.data + 8), 2);
	assert_int_equal(ibb_get_le64(b.data + 12), T1);
	assert_int_equal(ibb_get_le64(b.data + 4096 + 20), T1);
	assert_int_equal(b.data[130], 0xab);
	/* the hive stays usable, and the same state gives the same bytes */
	c = serialized(g);
	assert_int_equal(c.len, b.len);
	assert_memory_equal(c.data, b.data, b.len);
	ibb_hive_close(g);
	g = open_copy(b.data, b.len);
	has_diff(h, g, "+key k\n");
	ibb_hive_close(g);
	ibb_hive_close(h);
	ibb_buf_clear(&a);
	ibb_buf_clear(&b);
	ibb_buf_clear(&c);
}

static void test_create_find(void **state)
{
	struct ibb_hive *h = fresh();
	struct ibb_key_info info;
	ibb_key a, b, k;
	unsigned n = 9;
	char *deep;

	(void)state;
	assert_ok(ibb_hive_create(h, ibb_hive_root(h), "One\\Two\\Three", IBB_KEY_SECURITY_PARENT,
				  0, T1, &a, &n, &E),
		  E);
	assert_int_equal(n, 3);
	assert_ok(ibb_hive_create(h, ibb_hive_root(h), "ONE\\two\\THREE", IBB_KEY_SECURITY_PARENT,
				  0, T1 + 1, &b, &n, &E),
		  E);
	assert_int_equal(n, 0);
	assert_int_equal(a, b);
	assert_int_equal(find(h, "oNe\\tWo\\thrEE"), a);
	assert_int_equal(find(h, ""), ibb_hive_root(h));
	assert_ok(ibb_hive_key_info(h, a, &info, &E), E);
	assert_string_equal(info.name, "Three");
	assert_int_equal(info.last_written, T1);
	/* Windows sets the parent's time as well */
	assert_ok(ibb_hive_key_info(h, ibb_hive_root(h), &info, &E), E);
	assert_int_equal(info.last_written, T1);
	assert_int_equal(info.n_subkeys, 1);

	k = 77;
	assert_fails(ibb_hive_find(h, ibb_hive_root(h), "One\\Four", &k, &E), IBB_E_NOTFOUND, E,
		     "no key 'One\\Four'");
	assert_int_equal(k, 77);
	assert_fails(ibb_hive_find(h, ibb_hive_root(h), "One\\\\Two", &k, &E), IBB_E_INVALID, E,
		     "empty key name");
	assert_fails(ibb_hive_find(h, ibb_hive_root(h), "One\\", &k, &E), IBB_E_INVALID, E,
		     "ends in");
	assert_fails(ibb_hive_find(h, ibb_hive_root(h), "\xff", &k, &E), IBB_E_INVALID, E,
		     "not UTF-8");
	assert_fails(ibb_hive_find(h, 8, "One", &k, &E), IBB_E_CORRUPT, E, "cell at 0x8");
	assert_fails(ibb_hive_find(h, 0x7ffffff0, "One", &k, &E), IBB_E_CORRUPT, E,
		     "lies outside the hive");

	/* 255 characters and 512 levels, not more */
	deep = ibb_alloc(2 * 600 + 1);
	memset(deep, 'x', 256);
	deep[256] = '\0';
	assert_fails(ibb_hive_create(h, ibb_hive_root(h), deep, IBB_KEY_SECURITY_PARENT, 0, T0, &k,
				     NULL, &E),
		     IBB_E_INVALID, E, "256 characters");
	deep[255] = '\0';
	make(h, deep);
	for (int i = 0; i < 512; i++)
		memcpy(deep + 2 * i, "d\\", 2);
	deep[2 * 512 - 1] = '\0';
	assert_fails(ibb_hive_create(h, ibb_hive_root(h), deep, IBB_KEY_SECURITY_PARENT, 0, T0, &k,
				     NULL, &E),
		     IBB_E_LIMIT, E, "512 levels");
	assert_fails(ibb_hive_find(h, ibb_hive_root(h), "d", &k, &E), IBB_E_NOTFOUND, E, "'d'");
	deep[2 * 511 - 1] = '\0';
	make(h, deep);
	ibb_hive_close(reopened(h, NULL));
	free(deep);
	ibb_hive_close(h);
}

/* ---- values ---- */

static void test_value_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 8, 12, 13, 300, 4096, 16343, 16344};
	static const uint32_t types[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0xffff0012};
	static uint8_t data[16345];
	struct ibb_hive *h = fresh(), *g;
	ibb_key k = make(h, "v");

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	/* every size replaced by every other size, with every type */
	for (size_t i = 0; i < IBB_ARRAY_SIZE(sizes); i++) {
		for (size_t j = 0; j < IBB_ARRAY_SIZE(sizes); j++) {
			uint32_t type = types[(i + j) % IBB_ARRAY_SIZE(types)];

			set(h, k, "x", 3, data, sizes[i]);
			set(h, k, "x", type, data + 1, sizes[j]);
			has_value(h, k, "X", type, data + 1, sizes[j]);
		}
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(sizes); i++) {
		char name[32];

		snprintf(name, sizeof(name), "Size %zu", sizes[i]);
		set(h, k, name, types[i], data, sizes[i]);
	}
	set(h, k, "", IBB_REG_SZ, "a\0b\0\0", 6);
	g = reopened(h, NULL);
	k = find(g, "v");
	for (size_t i = 0; i < IBB_ARRAY_SIZE(sizes); i++) {
		char name[32];

		snprintf(name, sizeof(name), "size %zu", sizes[i]);
		has_value(g, k, name, types[i], data, sizes[i]);
	}
	has_value(g, k, "", IBB_REG_SZ, "a\0b\0\0", 6);
	assert_false(ibb_hive_edited(g));
	ibb_hive_close(g);
	ibb_hive_close(h);
}

static void test_resident(void **state)
{
	struct ibb_hive *h = fresh();
	ibb_key k = make(h, "v");
	struct ibb_buf b;
	uint8_t *vk;

	(void)state;
	set(h, k, "four", IBB_REG_DWORD, "\1\2\3\4", 4);
	set(h, k, "none", IBB_REG_NONE, "", 0);
	set(h, k, "five", IBB_REG_BINARY, "12345", 5);
	b = serialized(h);
	vk = cell(&b, vk_of(&b, k, 0));
	assert_int_equal(ibb_get_le32(vk + 4), 0x80000004u);
	assert_memory_equal(vk + 8, "\1\2\3\4", 4);
	assert_int_equal(ibb_get_le16(vk + 2), 4);
	assert_int_equal(ibb_get_le16(vk + 16), 1);
	assert_int_equal(ibb_get_le32(cell(&b, vk_of(&b, k, 1)) + 4), 0x80000000u);
	vk = cell(&b, vk_of(&b, k, 2));
	assert_int_equal(ibb_get_le32(vk + 4), 5);
	assert_memory_equal(cell(&b, ibb_get_le32(vk + 8)), "12345", 5);
	ibb_buf_clear(&b);
	ibb_hive_close(h);
}

static void test_unset(void **state)
{
	struct ibb_hive *h = fresh(), *g;
	ibb_key k = make(h, "v");
	struct ibb_key_info info;

	(void)state;
	for (char c = 'a'; c <= 'e'; c++)
		set(h, k, (char[]){c, 0}, IBB_REG_SZ, "12345678901234567890", 20);
	g = reopened(h, NULL);
	k = find(g, "v");
	assert_ok(ibb_hive_unset(g, k, "C", T1, &E), E);
	assert_fails(ibb_hive_unset(g, k, "c", T1, &E), IBB_E_NOTFOUND, E, "no value 'c'");
	assert_ok(ibb_hive_unset(g, k, "a", T1, &E), E);
	assert_ok(ibb_hive_unset(g, k, "e", T1, &E), E);
	has_diff(h, g, "-val v : a\n-val v : c\n-val v : e\n");
	assert_ok(ibb_hive_key_info(g, k, &info, &E), E);
	assert_int_equal(info.n_values, 2);
	assert_int_equal(info.last_written, T1);
	assert_ok(ibb_hive_unset(g, k, "b", T1, &E), E);
	assert_ok(ibb_hive_unset(g, k, "d", T1, &E), E);
	ibb_hive_close(h);
	h = reopened(g, NULL);
	assert_ok(ibb_hive_key_info(h, find(h, "v"), &info, &E), E);
	assert_int_equal(info.n_values, 0);
	ibb_hive_close(g);
	ibb_hive_close(h);
}

static void test_typed(void **state)
{
	struct ibb_hive *h = fresh();
	ibb_key k = make(h, "a\\b");
	uint32_t v = 9;
	char *s = NULL;

	(void)state;
	set(h, k, "d", IBB_REG_DWORD, "\x78\x56\x34\x12", 4);
	set(h, k, "short", IBB_REG_DWORD, "\x78\x56", 2);
	set(h, k, "s", IBB_REG_SZ, u"W\u00e4rme", 10);
	set(h, k, "z", IBB_REG_EXPAND_SZ, u"%x%\0tail", 18);
	set(h, k, "odd", IBB_REG_SZ, "abc", 3);
	assert_ok(ibb_hive_get_dword(h, ibb_hive_root(h), "A\\B", "D", &v, &E), E);
	assert_int_equal(v, 0x12345678);
	assert_fails(ibb_hive_get_dword(h, ibb_hive_root(h), "a\\b", "short", &v, &E),
		     IBB_E_CORRUPT, E, "value 'short' of key 'a\\b' should be a REG_DWORD");
	assert_fails(ibb_hive_get_dword(h, ibb_hive_root(h), "a\\b", "s", &v, &E), IBB_E_CORRUPT, E,
		     "is type 1 of 10 bytes");
	assert_fails(ibb_hive_get_dword(h, ibb_hive_root(h), "a\\c", "s", &v, &E), IBB_E_NOTFOUND,
		     E, "no key 'a\\c'");
	assert_fails(ibb_hive_get_dword(h, k, "", "t", &v, &E), IBB_E_NOTFOUND, E, "no value 't'");
	assert_ok(ibb_hive_get_string(h, k, "", "s", &s, &E), E);
	assert_string_equal(s, "W\xc3\xa4rme");
	free(s);
	assert_ok(ibb_hive_get_string(h, k, "", "z", &s, &E), E);
	assert_string_equal(s, "%x%");
	free(s);
	assert_fails(ibb_hive_get_string(h, k, "", "odd", &s, &E), IBB_E_CORRUPT, E,
		     "should be a string");
	assert_fails(ibb_hive_get_string(h, k, "", "d", &s, &E), IBB_E_CORRUPT, E, "is type 4");
	ibb_hive_close(h);
}

struct seen {
	char text[256];
};

static int note_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct seen *s = ctx;
	size_t n = strlen(s->text);

	(void)err;
	snprintf(s->text + n, sizeof(s->text) - n, "%s=%u/%u;", v->name, v->type, v->size);
	return strcmp(v->name, "stop") == 0 ? 42 : 0;
}

static int note_key(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct seen *s = ctx;
	size_t n = strlen(s->text);

	(void)k;
	(void)err;
	snprintf(s->text + n, sizeof(s->text) - n, "%s;", name);
	return strcmp(name, "stop") == 0 ? 43 : 0;
}

static void test_walk(void **state)
{
	struct ibb_hive *h = fresh();
	ibb_key k = make(h, "w");
	struct seen s = {""};

	(void)state;
	set(h, k, "b", 3, "123456", 6);
	set(h, k, "A", 4, "1234", 4);
	make(h, "w\\zulu");
	make(h, "w\\Alpha");
	make(h, "w\\_x");
	assert_ok(ibb_hive_values(h, k, note_value, &s, &E), E);
	assert_string_equal(s.text, "b=3/6;A=4/4;");
	s.text[0] = '\0';
	assert_ok(ibb_hive_subkeys(h, k, note_key, &s, &E), E);
	assert_string_equal(s.text, "Alpha;zulu;_x;"); /* '_' lies behind 'Z' */
	set(h, k, "stop", 3, "", 0);
	set(h, k, "never", 3, "", 0);
	make(h, "w\\stop");
	s.text[0] = '\0';
	assert_int_equal(ibb_hive_values(h, k, note_value, &s, &E), 42);
	assert_string_equal(s.text, "b=3/6;A=4/4;stop=3/0;");
	s.text[0] = '\0';
	assert_int_equal(ibb_hive_subkeys(h, k, note_key, &s, &E), 43);
	assert_string_equal(s.text, "Alpha;stop;");
	ibb_hive_close(h);
}

/* ---- names ---- */

static const struct {
	const char *utf8;
	const uint16_t *upper; /* written down by hand */
	unsigned units, stored_bytes;
} names[] = {
	{"zeta", u"ZETA", 4, 4},
	{"Alpha", u"ALPHA", 5, 5},
	{"alpha2", u"ALPHA2", 6, 6},
	{"_under", u"_UNDER", 6, 6},
	{"\xc3\xa9"
	 "clair",
	 u"\u00c9CLAIR", 6, 6},
	{"\xc3\x89"
	 "CLAIR2",
	 u"\u00c9CLAIR2", 7, 7},
	{"\xc3\xbfy", u"\u0178Y", 2, 2}, /* one byte, but its upper case is not */
	{"\xc5\xb8z", u"\u0178Z", 2, 4},
	{"\xc2\xb5", u"\u00b5", 1, 1}, /* Windows leaves the micro sign alone */
	{"\xc3\x9f", u"\u00df", 1, 1}, /* and the sharp s */
	{"\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87", u"\u041a\u041b\u042e\u0427", 4, 8},
	{"\xe6\xbc\xa2\xe5\xad\x97", u"\u6f22\u5b57", 2, 4},
	{"\xef\xbd\x81", u"\uff21", 1, 2},
	{"\xf0\x9d\x84\x9e"
	 "clef",
	 u"\xd834\xdd1e"
	 u"CLEF",
	 6, 12},
	{"\xed\xa0\x80lone",
	 u"\xd800"
	 u"LONE",
	 5, 10},
};

static int by_upper(const uint16_t *a, unsigned na, const uint16_t *b, unsigned nb)
{
	for (unsigned i = 0; i < na && i < nb; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return na < nb ? -1 : na > nb;
}

static uint32_t hash_of(const uint16_t *s, unsigned n)
{
	uint32_t v = 0;

	while (n--)
		v = 37 * v + *s++;
	return v;
}

static void test_names(void **state)
{
	enum { N = IBB_ARRAY_SIZE(names) };
	struct ibb_hive *h = fresh(), *g;
	unsigned order[N], max = 0;
	struct ibb_buf b;
	ibb_key parent = make(h, "n");
	uint8_t *list;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		char path[64];

		snprintf(path, sizeof(path), "n\\%s", names[i].utf8);
		make(h, path);
		set(h, parent, names[i].utf8, IBB_REG_DWORD, &names[i].units, 4);
		order[i] = i;
		max = names[i].units > max ? names[i].units : max;
	}
	for (unsigned i = 0; i < N; i++)
		for (unsigned j = i + 1; j < N; j++)
			if (by_upper(names[order[i]].upper, names[order[i]].units,
				     names[order[j]].upper, names[order[j]].units) > 0) {
				unsigned t = order[i];

				order[i] = order[j];
				order[j] = t;
			}
	g = reopened(h, NULL);
	b = serialized(h);
	parent = find(g, "n");
	assert_int_equal(ibb_get_le16(cell(&b, parent) + 52), 2 * max);
	assert_int_equal(ibb_get_le32(cell(&b, parent) + 60), 2 * max);
	list = cell(&b, ibb_get_le32(cell(&b, parent) + 28));
	assert_memory_equal(list, "lh", 2);
	assert_int_equal(ibb_get_le16(list + 2), N);
	for (unsigned i = 0; i < N; i++) {
		unsigned w = order[i];
		uint32_t off = ibb_get_le32(list + 4 + 8 * i);
		const uint8_t *nk = cell(&b, off);
		struct ibb_key_info info;
		char path[64];

		assert_ok(ibb_hive_key_info(g, off, &info, &E), E);
		assert_string_equal(info.name, names[w].utf8);
		assert_int_equal(ibb_get_le32(list + 8 + 8 * i),
				 hash_of(names[w].upper, names[w].units));
		assert_int_equal(ibb_get_le16(nk + 72), names[w].stored_bytes);
		assert_int_equal(!!(ibb_get_le16(nk + 2) & 0x20),
				 names[w].stored_bytes == names[w].units);
		snprintf(path, sizeof(path), "n\\%s", names[w].utf8);
		assert_int_equal(find(g, path), off);
		has_value(g, parent, names[w].utf8, IBB_REG_DWORD, &names[w].units, 4);
	}
	/* found by another case */
	assert_int_equal(find(g, "n\\\xc5\xb8Y"), find(g, "n\\\xc3\xbfy"));
	assert_int_equal(find(g, "n\\\xd0\x9a\xd0\x9b\xd0\xae\xd0\xa7"),
			 find(g, "n\\\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87"));
	has_diff(h, g, "");
	ibb_buf_clear(&b);
	ibb_hive_close(g);
	ibb_hive_close(h);
}

/* A name with U+0000 inside (some programs hide keys so) is shown, not cut off. */
static void test_nul_in_name(void **state)
{
	struct ibb_hive *h = fresh(), *g;
	struct ibb_key_info info;
	struct ibb_buf b;
	ibb_key k = make(h, "aXc"), w = make(h, "\xd0\xba-\xd0\xba");

	(void)state;
	b = serialized(h);
	cell(&b, k)[77] = 0;
	cell(&b, w)[76 + 2] = 0;
	g = open_copy(b.data, b.len);
	assert_ok(ibb_hive_key_info(g, k, &info, &E), E);
	assert_string_equal(info.name, "a\xe2\x90\x80"
				       "c");
	assert_ok(ibb_hive_key_info(g, w, &info, &E), E);
	assert_string_equal(info.name, "\xd0\xba\xe2\x90\x80\xd0\xba");
	ibb_buf_clear(&b);
	ibb_hive_close(g);
	ibb_hive_close(h);
}

/* ---- security ---- */

static const uint8_t sd_other[] = {1, 0, 4, 0x80, 20, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 52, 0, 0, 0,
				   /* owner, group: S-1-5-18 with 4 bytes of padding */
				   1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0,
				   0, 0, 5, 18, 0, 0, 0, 0, 0, 0, 0,
				   /* an empty DACL */
				   2, 0, 8, 0, 0, 0, 0, 0};

static uint32_t refs(struct ibb_hive *h, ibb_key k)
{
	struct ibb_buf b = serialized(h);
	uint32_t n = ibb_get_le32(cell(&b, ibb_get_le32(cell(&b, k) + 44)) + 12);

	ibb_buf_clear(&b);
	return n;
}

static void test_security(void **state)
{
	const struct ibb_bytes other = {sd_other, sizeof(sd_other)};
	struct ibb_hive *h = fresh(), *g;
	struct ibb_hive_check sum;
	struct ibb_bytes got, root_sd;
	ibb_key a = make(h, "a"), b = make(h, "a\\b"), c, d;

	(void)state;
	assert_int_equal(refs(h, ibb_hive_root(h)), 3);
	assert_ok(ibb_hive_set_security(h, b, other, &E), E);
	assert_int_equal(refs(h, ibb_hive_root(h)), 2);
	assert_int_equal(refs(h, b), 1);
	assert_ok(ibb_hive_create(h, a, "c", IBB_KEY_SECURITY_LIKE, b, T0, &c, NULL, &E), E);
	assert_ok(ibb_hive_create(h, c, "x\\y", IBB_KEY_SECURITY_PARENT, 0, T0, &d, NULL, &E), E);
	assert_int_equal(refs(h, d), 4);
	assert_ok(ibb_hive_get_security(h, d, &got, &E), E);
	assert_int_equal(got.len, sizeof(sd_other));
	assert_memory_equal(got.data, sd_other, sizeof(sd_other));
	/* an equal one is found, wherever it is; a descriptor of the hive itself may be given */
	assert_ok(ibb_hive_set_security(h, a, other, &E), E);
	assert_int_equal(refs(h, a), 5);
	assert_ok(ibb_hive_get_security(h, ibb_hive_root(h), &root_sd, &E), E);
	assert_ok(ibb_hive_set_security(h, d, root_sd, &E), E);
	assert_int_equal(refs(h, d), 2);
	g = reopened(h, &sum);
	assert_int_equal(sum.security_cells, 2);
	assert_ok(ibb_hive_set_security(g, find(g, "a"), root_sd, &E), E);
	has_diff(h, g, "~sd a\n");
	ibb_hive_close(g);
	/* the last key that uses it takes it along */
	assert_ok(ibb_hive_delete(h, a, T0, &E), E);
	g = reopened(h, &sum);
	assert_int_equal(sum.keys, 1);
	assert_int_equal(sum.security_cells, 1);
	ibb_hive_close(g);
	/* also the root key's own */
	assert_ok(ibb_hive_set_security(h, ibb_hive_root(h), other, &E), E);
	g = reopened(h, &sum);
	assert_int_equal(sum.security_cells, 1);
	ibb_hive_close(g);
	assert_fails(
		ibb_hive_set_security(h, ibb_hive_root(h), (struct ibb_bytes){sd_other, 19}, &E),
		IBB_E_INVALID, E, "self-relative security descriptor (19 bytes)");
	ibb_hive_close(h);
}

/* ---- deleting ---- */

static void test_delete(void **state)
{
	struct ibb_hive *h = fresh(), *g;
	struct ibb_hive_check before, after;

	(void)state;
	make(h, "keep\\x");
	assert_ok(ibb_hive_check(h, &before, &E), E);
	for (int i = 0; i < 40; i++) {
		char path[64];
		ibb_key k;

		snprintf(path, sizeof(path), "gone\\k%d\\sub", i);
		k = make(h, path);
		set(h, k, "v", 3, path, 60);
		set(h, k, "w", 4, path, 4);
	}
	g = reopened(h, NULL);
	assert_ok(ibb_hive_delete(g, find(g, "gone"), T1, &E), E);
	assert_ok(ibb_hive_check(g, &after, &E), E);
	assert_int_equal(after.keys, before.keys);
	assert_int_equal(after.values, 0);
	assert_int_equal(after.leaked_cells, 0);
	assert_fails(ibb_hive_delete(g, ibb_hive_root(g), T1, &E), IBB_E_INVALID, E,
		     "root key cannot be deleted");
	ibb_hive_close(h);
	h = reopened(g, NULL);
	has_diff(g, h, "");
	assert_ok(ibb_hive_delete(h, find(h, "keep\\x"), T1, &E), E);
	has_diff(g, h, "-key keep\\x\n");
	ibb_hive_close(g);
	ibb_hive_close(h);
}

static void test_compare(void **state)
{
	struct ibb_hive *a = fresh(), *b;
	ibb_key k = make(a, "m\\changed");

	(void)state;
	set(a, k, "one", 1, "1\0", 2);
	set(a, k, "two", 4, "2222", 4);
	set(a, k, "three", 3, "33333", 5);
	set(a, make(a, "m\\old\\sub"), "v", 3, "x", 1);
	b = reopened(a, NULL);
	has_diff(a, b, "");
	k = find(b, "m\\changed");
	set(b, k, "TWO", 11, "2222", 4); /* the type alone */
	assert_ok(ibb_hive_unset(b, k, "one", T0, &E), E);
	set(b, k, "four", 3, "4", 1);
	set(b, k, "three", 3, "33334", 5);
	assert_ok(ibb_hive_delete(b, find(b, "m\\old"), T0, &E), E);
	set(b, make(b, "m\\new\\sub"), "", 3, "x", 1);
	has_diff(a, b,
		 "-val m\\changed : one\n~val m\\changed : two\n~val m\\changed : three\n"
		 "+val m\\changed : four\n+key m\\new\n+key m\\new\\sub\n+val m\\new\\sub : \n"
		 "-key m\\old\n-key m\\old\\sub\n-val m\\old\\sub : v\n");
	has_diff(b, a,
		 "~val m\\changed : two\n~val m\\changed : three\n-val m\\changed : four\n"
		 "+val m\\changed : one\n-key m\\new\n-key m\\new\\sub\n-val m\\new\\sub : \n"
		 "+key m\\old\n+key m\\old\\sub\n+val m\\old\\sub : v\n");
	ibb_hive_close(a);
	ibb_hive_close(b);
}

/* ---- big data ---- */

static void test_big(void **state)
{
	struct ibb_buf b = hive_with_big(), got = {0};
	struct ibb_hive *h = open_copy(b.data, b.len), *g;
	struct ibb_hive_check sum;
	ibb_key k = find(h, "top\\big");
	uint32_t type;

	(void)state;
	assert_ok(ibb_hive_check(h, &sum, &E), E);
	assert_int_equal(sum.big_values, 1);
	assert_int_equal(sum.leaked_cells, 0);
	assert_ok(ibb_hive_get(h, k, "DB", &type, &got, &E), E);
	assert_int_equal(got.len, 20000);
	for (size_t i = 0; i < got.len; i++)
		assert_int_equal(got.data[i], i % 251);
	/* beside it, in its place, away */
	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		set(h, k, name, 3, b.data, (size_t)(100 * i));
	}
	assert_ok(ibb_hive_unset(h, k, "s0", T0, &E), E);
	g = reopened(h, &sum);
	assert_int_equal(sum.big_values, 1);
	k = find(g, "top\\big");
	has_value(g, k, "db", 3, got.data, got.len);
	has_diff(g, h, "");
	ibb_hive_close(g);
	set(h, k, "db", 3, "x", 1);
	g = reopened(h, &sum);
	assert_int_equal(sum.big_values, 0);
	assert_int_equal(sum.leaked_cells, 0);
	has_value(g, k, "db", 3, "x", 1);
	ibb_hive_close(g);
	ibb_hive_close(h);
	h = open_copy(b.data, b.len);
	assert_ok(ibb_hive_unset(h, k, "db", T0, &E), E);
	g = reopened(h, &sum);
	assert_int_equal(sum.big_values + sum.leaked_cells, 0);
	ibb_hive_close(g);
	ibb_hive_close(h);
	h = open_copy(b.data, b.len);
	assert_ok(ibb_hive_delete(h, find(h, "top"), T0, &E), E);
	g = reopened(h, &sum);
	assert_int_equal(sum.big_values + sum.leaked_cells, 0);
	ibb_hive_close(g);
	ibb_hive_close(h);
	ibb_buf_clear(&b);
	ibb_buf_clear(&got);
}

/* The record of a value's big data in serialised bytes, or NULL. */
static const uint8_t *db_of(const struct ibb_buf *b, uint32_t nk, unsigned i)
{
	const uint8_t *vk = cell(b, vk_of(b, nk, i)), *p;

	if (ibb_get_le32(vk + 4) & 0x80000000u)
		return NULL;
	p = cell(b, ibb_get_le32(vk + 8));
	return memcmp(p, "db", 2) == 0 ? p : NULL;
}

/* Around the sizes where the form changes, each by each. */
static void test_big_sizes(void **state)
{
	static const size_t sizes[] = {0,     4,     5,	    16343,  16344,   16345,
				       20000, 32688, 32689, 200000, 1048576, 5000000};
	const size_t n = IBB_ARRAY_SIZE(sizes), most = 5000000;
	struct ibb_hive *h = fresh(), *g;
	uint8_t *data = malloc(most);
	struct ibb_hive_check sum;
	ibb_key k = make(h, "k");

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < most; i++)
		data[i] = (uint8_t)(i * 7 + i / 16344);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			struct ibb_buf b;
			const uint8_t *db;

			if (sizes[i] + sizes[j] > 2000000 && i != j + 1 && j != i + 1)
				continue;
			set(h, k, "v", IBB_REG_BINARY, data, sizes[i]);
			set(h, k, "v", IBB_REG_BINARY, data, sizes[j]);
			g = reopened(h, &sum);
			assert_int_equal(sum.leaked_cells, 0);
			assert_int_equal(sum.big_values, sizes[j] > 16344);
			has_value(g, k, "v", IBB_REG_BINARY, data, sizes[j]);
			b = serialized(h);
			db = db_of(&b, k, 0);
			assert_int_equal(db != NULL, sizes[j] > 16344);
			for (unsigned s = 0; db && s < ibb_get_le16(db + 2); s++) {
				uint32_t seg = ibb_get_le32(cell(&b, ibb_get_le32(db + 4)) +
							    4 * (size_t)s);
				size_t left = sizes[j] - 16344 * (size_t)s;

				left = left > 16344 ? 16344 : left;
				assert_memory_equal(cell(&b, seg), data + 16344 * (size_t)s, left);
				assert_int_equal((int32_t)ibb_get_le32(cell(&b, seg) - 4), -16352);
			}
			ibb_buf_clear(&b);
			ibb_hive_close(g);
		}
	}
	assert_fails(ibb_hive_set(h, k, "v", 3, data, IBB_LIMIT_HIVE_VALUE_BYTES + 1, T0, &E),
		     IBB_E_LIMIT, E, "is larger than 16777216");
	free(data);
	ibb_hive_close(h);
}

/* Format 1.3 knows no big data. */
static void test_big_before_1_4(void **state)
{
	static uint8_t data[100000];
	struct ibb_hive *h = fresh(), *g;
	struct ibb_buf b = serialized(h);
	struct ibb_hive_check sum;
	ibb_key k;

	(void)state;
	ibb_hive_close(h);
	ibb_put_le32(b.data + 24, 3);
	fix_checksum(b.data);
	h = open_copy(b.data, b.len);
	ibb_buf_clear(&b);
	memset(data, 'x', sizeof(data));
	k = make(h, "k");
	set(h, k, "v", IBB_REG_BINARY, data, sizeof(data));
	b = serialized(h);
	assert_null(db_of(&b, k, 0));
	ibb_buf_clear(&b);
	g = reopened(h, &sum);
	assert_int_equal(sum.big_values + sum.leaked_cells, 0);
	has_value(g, k, "v", IBB_REG_BINARY, data, sizeof(data));
	assert_fails(ibb_hive_set(h, k, "v", 3, data, (1u << 20) + 1, T0, &E), IBB_E_LIMIT, E,
		     "is larger than 1048576");
	ibb_hive_close(g);
	ibb_hive_close(h);
}

/* ---- keys that are not like others ---- */

static struct ibb_hive *with_flag(const char *path, uint16_t flag)
{
	struct ibb_hive *h = fresh();
	struct ibb_buf b;
	ibb_key k;
	uint8_t *p;

	make(h, "a\\b");
	k = make(h, path);
	set(h, k, "SymbolicLinkValue", IBB_REG_LINK, "\\\0x\0", 4);
	b = serialized(h);
	ibb_hive_close(h);
	p = cell(&b, k);
	ibb_put_le16(p + 2, (uint16_t)(ibb_get_le16(p + 2) | flag));
	if (flag == 0x40)
		ibb_put_le32(p + 36, 0x80000050u); /* HKEY_PERFORMANCE_TEXT */
	h = open_copy(b.data, b.len);
	ibb_buf_clear(&b);
	return h;
}

static void test_link(void **state)
{
	struct ibb_hive *h = with_flag("a\\link", 0x10), *g;
	struct ibb_key_info info;
	struct ibb_hive_check sum;
	ibb_key k = find(h, "a\\link");

	(void)state;
	assert_ok(ibb_hive_key_info(h, k, &info, &E), E);
	assert_true(info.is_link);
	assert_fails(ibb_hive_create(h, ibb_hive_root(h), "a\\link\\x", 0, 0, T0, &k, NULL, &E),
		     IBB_E_UNSUPPORTED, E, "is a symbolic link");
	assert_fails(ibb_hive_create(h, k, "x", 0, 0, T0, &k, NULL, &E), IBB_E_UNSUPPORTED, E,
		     "is a symbolic link");
	assert_ok(ibb_hive_create(h, ibb_hive_root(h), "a\\link", 0, 0, T0, &k, NULL, &E), E);
	assert_false(ibb_hive_before(h) == h);
	g = reopened(h, &sum);
	ibb_hive_close(g);
	assert_ok(ibb_hive_delete(h, find(h, "a"), T0, &E), E);
	g = reopened(h, &sum);
	assert_int_equal(sum.keys, 1);
	assert_int_equal(sum.leaked_cells, 0);
	ibb_hive_close(g);
	ibb_hive_close(h);
}

/* Perflib\\009 of every SOFTWARE hive: what looks like the number of values is a handle. */
static void test_predefined(void **state)
{
	struct ibb_hive *h = with_flag("a\\009", 0x40), *g;
	struct ibb_key_info info;
	struct ibb_hive_check sum;
	struct ibb_buf b = {0};
	ibb_key k = find(h, "a\\009");

	(void)state;
	assert_ok(ibb_hive_key_info(h, k, &info, &E), E);
	assert_int_equal(info.n_values, 0);
	assert_int_equal(ibb_hive_get(h, k, "x", NULL, &b, &E), IBB_E_NOTFOUND);
	assert_fails(ibb_hive_set(h, k, "x", 3, "y", 1, T0, &E), IBB_E_UNSUPPORTED, E,
		     "predefined handle");
	make(h, "a\\c");
	g = reopened(h, &sum);
	assert_int_equal(sum.values, 0);
	has_diff(ibb_hive_before(h), g, "+key a\\c\n");
	ibb_hive_close(g);
	assert_ok(ibb_hive_delete(h, k, T0, &E), E);
	g = reopened(h, &sum);
	ibb_hive_close(g);
	ibb_hive_close(h);
}

/* Volatile subkeys are not in the file; what a key node says of them means nothing there. */
static void test_volatile(void **state)
{
	struct ibb_hive *h = fresh(), *g;
	struct ibb_hive_check sum;
	struct ibb_buf b;
	ibb_key k = make(h, "a\\b");

	(void)state;
	b = serialized(h);
	ibb_hive_close(h);
	ibb_put_le32(cell(&b, k) + 24, 7);
	ibb_put_le32(cell(&b, k) + 32, 0x80000128u);
	h = open_copy(b.data, b.len);
	ibb_buf_clear(&b);
	make(h, "a\\b\\c");
	g = reopened(h, &sum);
	assert_int_equal(sum.keys, 4);
	ibb_hive_close(g);
	assert_ok(ibb_hive_delete(h, find(h, "a"), T0, &E), E);
	g = reopened(h, &sum);
	assert_int_equal(sum.keys, 1);
	ibb_hive_close(g);
	ibb_hive_close(h);
}

static void test_kind(void **state)
{
	struct ibb_hive *a = with_flag("a\\b", 0), *b = with_flag("a\\b", 0x10), *c;
	struct ibb_buf bytes = serialized(a);
	ibb_key k = find(a, "a\\b");

	(void)state;
	has_diff(a, b, "~kind a\\b\n");
	/* a class name: the bytes of a value cell will do */
	ibb_put_le32(cell(&bytes, k) + 48, ibb_get_le32(cell(&bytes, k) + 40));
	ibb_put_le16(cell(&bytes, k) + 74, 4);
	c = open_copy(bytes.data, bytes.len);
	has_diff(a, c, "~kind a\\b\n");
	ibb_buf_clear(&bytes);
	ibb_hive_close(a);
	ibb_hive_close(b);
	ibb_hive_close(c);
}

/* ---- the hive as it was ---- */

static void test_before(void **state)
{
	struct ibb_hive *h = fresh(), *was, *g;
	struct ibb_buf old, new;
	uint64_t seed = 42;
	char name[64];

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "k%u\\s%u", i % 20, i);
		set(h, make(h, name), "v", IBB_REG_BINARY, name, 1 + i % 60);
	}
	old = serialized(h);
	ibb_hive_close(h);
	h = open_copy(old.data, old.len);
	assert_ptr_equal(ibb_hive_before(h), h);
	was = open_copy(old.data, old.len);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "k%u\\s%u", i % 20, rnd(&seed, 2000));
		if (rnd(&seed, 3) == 0) {
			ibb_key k;

			if (ibb_hive_find(h, ibb_hive_root(h), name, &k, &E) == 0)
				assert_ok(ibb_hive_delete(h, k, T1, &E), E);
		} else {
			set(h, make(h, name), "w", IBB_REG_BINARY, name, rnd(&seed, 64));
		}
		if (i % 50 == 0) {
			has_diff(was, ibb_hive_before(h), "");
			has_diff(ibb_hive_before(h), was, "");
		}
	}
	g = reopened(h, NULL);
	new = serialized(h);
	/* every page that differs is known as one that may */
	for (size_t at = 0; at < old.len; at += 4096)
		if (memcmp(old.data + at, new.data + at, 4096) != 0)
			assert_true(ibb_hive_page_changed(h, at));
	assert_true(ibb_hive_page_changed(h, old.len));
	has_diff(was, ibb_hive_before(h), "");
	ibb_hive_close(g);
	ibb_hive_close(h);
	/* one small change touches few pages */
	h = open_copy(old.data, old.len);
	assert_false(ibb_hive_page_changed(h, 0));
	set(h, find(h, "k1\\s1"), "v", IBB_REG_BINARY, "x", 1);
	for (size_t at = 4096, n = 0; at < old.len; at += 4096) {
		n += ibb_hive_page_changed(h, at);
		assert_true(n <= 4);
	}
	ibb_hive_close(h);
	/* a view is for reading */
	assert_ok(ibb_hive_open_view("view", ibb_buf_bytes(&old), &h, &E), E);
	assert_int_equal(ibb_hive_delete(h, find(h, "k1"), T1, &E), IBB_E_INVALID);
	assert_non_null(strstr(E.msg, "reading only"));
	ibb_hive_close(h);
	ibb_hive_close(was);
	ibb_buf_clear(&old);
	ibb_buf_clear(&new);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_virtualisation_flags),
		cmocka_unit_test(test_serialize),
		cmocka_unit_test(test_create_find),
		cmocka_unit_test(test_value_sizes),
		cmocka_unit_test(test_resident),
		cmocka_unit_test(test_unset),
		cmocka_unit_test(test_typed),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_nul_in_name),
		cmocka_unit_test(test_security),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_big_sizes),
		cmocka_unit_test(test_big_before_1_4),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_predefined),
		cmocka_unit_test(test_volatile),
		cmocka_unit_test(test_kind),
		cmocka_unit_test(test_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
