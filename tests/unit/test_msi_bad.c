/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
/* Damaged and hostile MSIs: each is refused for what is wrong with it, and leaves nothing. */
#include "test_msi.h"

#include <time.h>

#include "base/hash.h"
#include "base/le.h"
#include "unpack/internal.h"

#define MUTATIONS 300u /* usually */

static struct unpack_world world;

static int begin_world(void **state)
{
	(void)state;
	unpack_world_begin(&world);
	return 0;
}

static int end_world(void **state)
{
	(void)state;
	unpack_world_end(&world);
	return 0;
}

static void refused(struct ibb_buf *b, int code, const char *text)
{
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};

	assert_fails(unpack_bytes(&world, b, &r, &err), code, err, text);
	assert_null(r.archives);
}

/* ---- compound files ---- */

struct cfb_case {
	const char *text;
	int code;
	enum { HEADER, FAT, MINIFAT, DIR } where;
	size_t at;
	uint32_t value;
	unsigned bytes;
};

/* Entries of the directory: 1 File, 2 Component, 3 Directory, ..., 10 the cabinet. */
static const struct cfb_case cfb_cases[] = {
	{"of version 7", IBB_E_UNSUPPORTED, HEADER, 26, 7, 2},
	{"contradicts itself", IBB_E_CORRUPT, HEADER, 30, 12, 2},
	{"contradicts itself", IBB_E_CORRUPT, HEADER, 32, 9, 2},
	{"contradicts itself", IBB_E_CORRUPT, HEADER, 56, 64, 4},
	{"the directory: sector", IBB_E_CORRUPT, HEADER, 48, 5000, 4},
	{"the allocation table: sector 4294967295 lies behind the end", IBB_E_CORRUPT, HEADER, 76,
	 0xffffffff, 4},
	{"the mini FAT: sector 5000 lies behind the end", IBB_E_CORRUPT, HEADER, 60, 5000, 4},
	/* a directory that goes round: its first sector follows itself */
	{"the directory: sector", IBB_E_CORRUPT, FAT, 0, 0, 0},
	/* the root's children */
	{"its directory runs in a circle", IBB_E_CORRUPT, DIR, 76, 0, 4},
	{"a directory entry that there is not", IBB_E_CORRUPT, DIR, 76, 4711, 4},
	{"its directory runs in a circle", IBB_E_CORRUPT, DIR, 128 + 68, 2, 4},
	{"its directory runs in a circle", IBB_E_CORRUPT, DIR, 256 + 72, 1, 4},
	{"neither stream nor storage", IBB_E_CORRUPT, DIR, 128 + 66, 9, 1},
	{"the name of a stream is none", IBB_E_CORRUPT, DIR, 128 + 64, 66, 2},
	{"the name of a stream is none", IBB_E_CORRUPT, DIR, 128 + 64, 0, 2},
	{"a stream is longer than the file", IBB_E_CORRUPT, DIR, 128 + 120, 0x7fffffff, 4},
	{"a stream: sector", IBB_E_CORRUPT, DIR, 128 + 120, 4096, 4},
	{"a short stream leaves the mini stream", IBB_E_CORRUPT, DIR, 128 + 116, 99999, 4},
	{"a mini sector is used twice", IBB_E_CORRUPT, DIR, 256 + 116, 0, 4},
	{"its mini stream is cut short", IBB_E_CORRUPT, DIR, 116, 0xfffffffe, 4},
	{"first directory entry is not the root", IBB_E_CORRUPT, DIR, 66, 2, 1},
	/* _Columns has two mini sectors, the sixth and the next */
	{"a mini sector is used twice", IBB_E_CORRUPT, MINIFAT, 20, 5, 4},
	{"a short stream leaves the mini stream", IBB_E_CORRUPT, MINIFAT, 20, 0xfffffffe, 4},
};

static void damage(struct ibb_buf *b, const struct mkcfb *how, const struct cfb_case *c)
{
	size_t at[] = {0, how->fat_at, how->minifat_at, how->dir_at};
	uint8_t v[4];
	uint32_t value = c->value;
	size_t where = at[c->where] + c->at;
	unsigned bytes = c->bytes;

	if (c->where == FAT) { /* of the directory's first sector */
		value = ibb_get_le32(b->data + 48);
		where += 4 * (size_t)value;
		bytes = 4;
	}
	ibb_put_le32(v, value);
	memcpy(b->data + where, v, bytes);
}

static void compound_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cfb_cases); i++) {
		struct ibb_unpack_result r = {0};
		struct ibb_error err = {0};
		struct small_msi s;
		struct mkcfb how;
		struct ibb_buf b;
		int rc;

		small_begin(&s, MKCAB_STORED);
		b = small_build(&s, &how);
		damage(&b, &how, &cfb_cases[i]);
		rc = unpack_bytes(&world, &b, &r, &err);
		if (rc != cfb_cases[i].code || !strstr(err.msg, cfb_cases[i].text))
			fail_msg("case %zu: %d %s, wanted %s", i, rc, err.msg, cfb_cases[i].text);
	}
}

/* More than the header's share of the FAT: the second DIFAT sector is the first one again. */
static void difat(void **state)
{
	static uint8_t big[15u << 20];
	struct mkcfb_stream st = {"Data1.cab", big, sizeof(big)};
	struct small_msi s;
	struct mkcfb how;
	struct ibb_buf b;

	(void)state;
	small_begin(&s, MKCAB_STORED);
	ibb_buf_clear(&s.cab);
	s.streams[0] = st;
	b = small_build(&s, &how);
	assert_int_equal(ibb_get_le32(b.data + 72), 2);
	ibb_put_le32(b.data + how.difat_at + 508, ibb_get_le32(b.data + 68));
	refused(&b, IBB_E_CORRUPT, "the table of the allocation table: sector");
	small_begin(&s, MKCAB_STORED);
	ibb_buf_clear(&s.cab);
	s.streams[0] = st;
	b = small_build(&s, &how);
	ibb_put_le32(b.data + how.difat_at + 8, 0xfffffff0);
	refused(&b, IBB_E_CORRUPT, "the allocation table: sector 4294967280 lies behind the end");
}

static void cut(void **state)
{
	struct small_msi s;
	struct ibb_buf whole;

	(void)state;
	small_begin(&s, MKCAB_MSZIP);
	whole = small_build(&s, NULL);
	for (size_t n = 0; n < whole.len; n += n < 64 ? 1 : 61) {
		struct ibb_unpack_result r = {0};
		struct ibb_error err = {0};
		struct ibb_buf b = {0};
		int rc;

		assert_int_equal(ibb_buf_append(&b, whole.data, n), 0);
		rc = unpack_bytes(&world, &b, &r, &err);
		if (rc != (n < 512 ? IBB_E_UNSUPPORTED : IBB_E_CORRUPT))
			fail_msg("%zu of %zu bytes: %d %s", n, whole.len, rc, err.msg);
	}
	ibb_buf_clear(&whole);
}

/* ---- tables ---- */

static void build_refused(struct small_msi *s, int code, const char *text)
{
	struct ibb_buf b = small_build(s, NULL);

	refused(&b, code, text);
}

static void names(void **state)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
		{"..", "the name '..':"},
		{"..\\..\\x", "the name '..\\..\\x':"},
		{"A~1|..\\x", "the name '..\\x':"},
		{"\\x", "the name '\\x':"},
		{"/etc/passwd", "the name '/etc/passwd':"},
		{"C:\\x", "the name 'C:\\x':"},
		{"x:stream", "the name 'x:stream':"},
		{"NUL", "the name 'NUL':"},
		{"COM1.inf", "the name 'COM1.inf':"},
		{"", "the name '':"},
		{"a|", "the name '':"},
		{"x\tx", "the name '?':"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		struct small_msi s;

		small_begin(&s, MKCAB_STORED);
		s.files[0].name = rows[i].name;
		build_refused(&s, IBB_E_UNSUPPORTED, rows[i].text);
		if (strchr(rows[i].name, ':') || !*rows[i].name)
			continue; /* in a directory that is the source's name */
		small_begin(&s, MKCAB_STORED);
		s.dirs[4].name = rows[i].name;
		build_refused(&s, IBB_E_UNSUPPORTED, rows[i].text);
	}
}

static void rows(void **state)
{
	char wide[2 * 255 + 1];
	struct small_msi s;

	(void)state;
	/* 255 letters are a name for Windows, 510 bytes are none for Linux */
	for (size_t i = 0; i < 255; i++)
		memcpy(wide + 2 * i, "\xc3\xbc", 3);
	small_begin(&s, MKCAB_STORED);
	s.m.code_page = 65001;
	s.files[1].name = wide;
	build_refused(&s, IBB_E_UNSUPPORTED, "a name that is too long for this system");
	small_begin(&s, MKCAB_STORED);
	s.dirs[3].parent = "dNet";
	build_refused(&s, IBB_E_CORRUPT, "lies in itself or deeper than 64");
	small_begin(&s, MKCAB_STORED);
	s.dirs[3].parent = "gone";
	build_refused(&s, IBB_E_CORRUPT, "damaged MSI: table Directory lacks 'gone'");
	small_begin(&s, MKCAB_STORED);
	s.files[1].component = "gone";
	build_refused(&s, IBB_E_CORRUPT, "damaged MSI: table Component lacks 'gone'");
	small_begin(&s, MKCAB_STORED);
	s.files[1].component = NULL;
	build_refused(&s, IBB_E_CORRUPT, "damaged MSI: table Component lacks ''");
	small_begin(&s, MKCAB_STORED);
	s.dirs[3].key = "dNet";
	build_refused(&s, IBB_E_CORRUPT, "table Directory: the key 'dNet' stands twice");
	small_begin(&s, MKCAB_STORED);
	s.files[1].key = "fInf";
	build_refused(&s, IBB_E_CORRUPT, "table File: the key 'fInf' stands twice");
	small_begin(&s, MKCAB_STORED);
	s.files[1].key = NULL;
	build_refused(&s, IBB_E_CORRUPT, "table File: the key '' stands twice or is none");
	small_begin(&s, MKCAB_STORED);
	s.files[1].name = "X.INF";
	build_refused(&s, IBB_E_CONFLICT,
		      "the files 'fInf' and 'fRead' of one component are both "
		      "ProgramFiles64Folder/Acme Drivers/");
	small_begin(&s, MKCAB_STORED);
	s.files[1].size = -5;
	build_refused(&s, IBB_E_CORRUPT, "damaged MSI: file 'fRead' has no size");
	small_begin(&s, MKCAB_STORED);
	s.files[1].sequence = 4;
	build_refused(&s, IBB_E_CORRUPT, "file 'fRead' has the number 4, which is on no medium");
	small_begin(&s, MKCAB_STORED);
	s.m.no_file_table = true;
	build_refused(&s, IBB_E_UNSUPPORTED, "no installation package: it has no table of files");
	small_begin(&s, MKCAB_STORED);
	s.m.code_page = 59999;
	s.files[0].name = "\xe4.inf";
	build_refused(&s, IBB_E_UNSUPPORTED, "file names in code page 59999");
	small_begin(&s, MKCAB_STORED);
	s.m.code_page = 65001;
	s.files[0].name = "\xe4.inf";
	build_refused(&s, IBB_E_CORRUPT, "a name that is not in its code page 65001");
	small_begin(&s, MKCAB_STORED);
	s.files[0].name = "\x81.inf";
	build_refused(&s, IBB_E_CORRUPT, "a name that is not in its code page 1252");
}

/* ---- cabinets ---- */

static void cabinets(void **state)
{
	static const struct mkcab_file twice[] = {
		{"fInf", "[Version]", 0}, {"fInf", "[Version]", 0}, {"fRead", "hello", 0}};
	struct small_msi s;
	struct ibb_buf b;

	(void)state;
	small_begin(&s, MKCAB_STORED);
	s.files[3] = (struct mkmsi_file){"fMore", "cNet", "more.dll", 3, 512, 3};
	s.m.n_files = 4;
	build_refused(&s, IBB_E_CORRUPT,
		      "Data1.cab: it lacks ProgramFiles64Folder/Acme Drivers/net/more.dll");
	small_begin(&s, MKCAB_STORED);
	s.files[2].size = 10;
	build_refused(&s, IBB_E_CORRUPT,
		      "driver.sys: its cabinet has 9 bytes of it, the table of files says 10");
	small_begin(&s, MKCAB_STORED);
	s.m.n_streams = 0;
	build_refused(&s, IBB_E_CORRUPT, "damaged MSI: it lacks its cabinet Data1.cab");
	small_begin(&s, MKCAB_STORED);
	s.streams[0].data = "MSCX is no cabinet, however long it may be";
	s.streams[0].len = 40;
	build_refused(&s, IBB_E_CORRUPT, "Data1.cab: not a cabinet");
	small_begin(&s, MKCAB_STORED);
	s.streams[0].len = 60;
	build_refused(&s, IBB_E_CORRUPT, "Data1.cab: damaged cabinet");
	small_begin(&s, MKCAB_STORED);
	s.media[0].cabinet = "..\\x.cab";
	build_refused(&s, IBB_E_UNSUPPORTED, "refused: ");
	small_begin(&s, MKCAB_STORED);
	b = mkcab(twice, 3, MKCAB_STORED);
	s.streams[0] = (struct mkcfb_stream){"Data1.cab", b.data, b.len};
	s.m.n_files = 2;
	build_refused(&s, IBB_E_CONFLICT, "Data1.cab: two members 'fInf'");
	ibb_buf_clear(&b);
	for (unsigned i = 0; i < 3; i++) {
		static const size_t at[] = {30, 30, 36 + 8 + 8};
		static const uint16_t v[] = {1, 2, 0xfffe};

		small_begin(&s, MKCAB_STORED);
		ibb_put_le16(s.cab.data + (i < 2 ? at[i] : ibb_get_le32(s.cab.data + 16) + 8),
			     v[i]);
		b = small_build(&s, NULL);
		refused(&b, IBB_E_UNSUPPORTED, "Data1.cab: a cabinet that goes on in another one");
	}
}

/* ---- strings and tables, bytes changed where they lie ---- */

static size_t find(const struct ibb_buf *b, const void *what, size_t n)
{
	const uint8_t *p = memmem(b->data, b->len, what, n);

	assert_non_null(p);
	return (size_t)(p - b->data);
}

static void pool(void **state)
{
	static const uint8_t head[] = {0xe4, 4, 0, 0, 4, 0, 1, 0}; /* 1252; "File" */
	struct small_msi s;
	struct ibb_buf b;
	size_t at;

	(void)state;
	small_begin(&s, MKCAB_STORED);
	b = small_build(&s, NULL);
	at = find(&b, head, sizeof(head));
	ibb_put_le16(b.data + at + 4, 0xffff);
	refused(&b, IBB_E_CORRUPT, "a string lies behind the end of the pool");
	small_begin(&s, MKCAB_STORED);
	b = small_build(&s, NULL);
	at = find(&b, head, sizeof(head));
	ibb_put_le16(b.data + at + 4, 0); /* the upper half of a length */
	refused(&b, IBB_E_CORRUPT, "a string lies behind the end of the pool");
	/* strings of three bytes in tables of two */
	small_begin(&s, MKCAB_STORED);
	b = small_build(&s, NULL);
	at = find(&b, head, sizeof(head));
	b.data[at + 3] = 0x80;
	refused(&b, IBB_E_CORRUPT, "damaged MSI: ");
}

/* A table's length is the number of its rows; what is cut off it shows. */
static void table_size(void **state)
{
	struct small_msi s;
	struct mkcfb how;
	struct ibb_buf b;
	uint32_t n;

	(void)state;
	small_begin(&s, MKCAB_STORED);
	b = small_build(&s, &how);
	n = ibb_get_le32(b.data + how.dir_at + 128 + 120);
	ibb_put_le32(b.data + how.dir_at + 128 + 120, n - 1);
	refused(&b, IBB_E_CORRUPT, "table File: 47 bytes are no whole rows");
	small_begin(&s, MKCAB_STORED);
	b = small_build(&s, &how);
	ibb_put_le32(b.data + how.dir_at + 128 + 120, 2 * n / 3);
	refused(&b, IBB_E_CORRUPT, "damaged MSI: ");
}

/* ---- mutations ---- */

static uint64_t rnd_state;

static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rnd_state >> 33) % n;
}

static void mutate(struct ibb_buf *b)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};

	for (uint32_t k = 1 + rnd(3); k--;) {
		uint32_t at = rnd((uint32_t)b->len);

		for (uint32_t i = 0; i < 256 && !b->data[at]; i++)
			at = (at + 1) % (uint32_t)b->len;
		if (rnd(3))
			b->data[at] ^= (uint8_t)(1u << rnd(8));
		else
			b->data[at] = values[rnd(IBB_ARRAY_SIZE(values))];
	}
}

/* What the lines of a tree say of files: contents only, in their order. */
static unsigned known_contents(const char *tree, const char *const *known, size_t n)
{
	unsigned files = 0;

	for (const char *line = tree; *line; line = strchr(line, '\n') + 1) {
		const char *end = strchr(line, '\n'), *eq = memchr(line, '=', (size_t)(end - line));
		size_t i = 0;

		if (end[-1] == '/' && !eq)
			continue;
		for (; eq && i < n; i++)
			if ((size_t)(end - eq - 1) == strlen(known[i]) &&
			    memcmp(eq + 1, known[i], strlen(known[i])) == 0)
				break;
		if (!eq || i == n)
			return UINT32_MAX;
		files++;
	}
	return files;
}

/*
 * Refused, or equal. A table of an MSI has no checksum, so a name may have changed, and a row that
 * another one stands in for; what comes out are the files that went in.
 */
static void mutations(void **state)
{
	static const char *const known[] = {"[Version]", "hello", "MZ driver"};
	const unsigned n = unpack_mutations(MUTATIONS);
	unsigned refusals = 0, equal = 0, renamed = 0;
	time_t begin = time(NULL);
	struct ibb_buf whole;
	struct small_msi s;

	(void)state;
	small_begin(&s, MKCAB_MSZIP);
	whole = small_build(&s, NULL);
	for (unsigned i = 0; i < n; i++) {
		struct ibb_unpack_result r = {0};
		struct ibb_error err = {0};
		struct ibb_buf b = {0};
		char *tree;
		int rc;

		rnd_state = 20261120 + i;
		assert_int_equal(ibb_buf_append(&b, whole.data, whole.len), 0);
		mutate(&b);
		rc = unpack_bytes(&world, &b, &r, &err);
		ibb_unpack_result_clear(&r);
		if (rc) {
			if (rc != IBB_E_CORRUPT && rc != IBB_E_UNSUPPORTED &&
			    rc != IBB_E_CONFLICT && rc != IBB_E_LIMIT)
				fail_msg("mutation %u: %d %s", i, rc, err.msg);
			refusals++;
			continue;
		}
		tree = unpack_tree_text(world.out);
		if (strcmp(tree, SMALL_TREE) == 0)
			equal++;
		else if (known_contents(tree, known, IBB_ARRAY_SIZE(known)) <= 3)
			renamed++;
		else
			fail_msg("mutation %u: other contents:\n%s", i, tree);
		free(tree);
	}
	print_message("%u refused, %u equal, %u under other names\n", refusals, equal, renamed);
	assert_int_equal(refusals + equal + renamed, n);
	assert_true(refusals > n / 5 && equal > n / 5);
	assert_true(time(NULL) - begin < 60 + n / 20);
	ibb_buf_clear(&whole);
}

/* Every allocation fails once: an error like any other, and nothing stays behind. */
static void exhaust(struct small_msi *s)
{
	const char *path;
	struct ibb_buf b = small_build(s, NULL);
	unsigned failures = 0;

	path = unpack_put(&world, "archive", &b);
	for (long n = 0;; n++) {
		struct ibb_unpack_result r = {0};
		struct ibb_error err = {0};
		int rc;

		long count;

		ibb_mem_fail_at(n, false);
		rc = unpack_run(&world, path, NULL, &r, &err);
		count = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		ibb_unpack_result_clear(&r);
		if (count <= n) { /* it was never reached */
			assert_ok(rc, err);
			break;
		}
		/* what is looked at to tell the form is looked at again by the reader */
		if (rc && rc != IBB_E_NOMEM)
			fail_msg("allocation %ld: %d %s", n, rc, err.msg);
		failures += rc != 0;
	}
	assert_in_range(failures, 50, 5000);
}

static void out_of_memory(void **state)
{
	struct small_msi s;

	(void)state;
	small_begin(&s, MKCAB_MSZIP);
	s.files[1].name = "README~1.TXT|\xe4.txt";
	s.m.code_page = 1251;
	exhaust(&s);
	/* files with one target path */
	small_begin(&s, MKCAB_STORED);
	s.files[2].component = "cOther";
	s.files[2].name = "X.INF";
	s.components[1] = (struct mkmsi_component){"cOther", "dAcme", "Privileged", "Main"};
	exhaust(&s);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, begin_world, end_world)

static const struct CMUnitTest tests[] = {
	IN_WORLD(compound_files), IN_WORLD(difat),	   IN_WORLD(cut),  IN_WORLD(names),
	IN_WORLD(rows),		  IN_WORLD(cabinets),	   IN_WORLD(pool), IN_WORLD(table_size),
	IN_WORLD(mutations),	  IN_WORLD(out_of_memory),
};
IBB_TEST_MAIN(tests)
