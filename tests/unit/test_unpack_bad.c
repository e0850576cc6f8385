/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Archives that mean harm, or were harmed: refused, and nothing outside of the directory. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "unpacktest.h"

#include <dirent.h>
#include <iconv.h>
#include <sys/stat.h>

#include "base/le.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* libarchive's zstd writer leaves the optional checksum out. */
static bool has_digests(int f)
{
	return f != MKARCHIVE_GNUTAR && f != MKARCHIVE_USTAR && f != MKARCHIVE_CAB &&
	       f != MKARCHIVE_TAR_ZST;
}

/* What is in the archive has to fail in every form; what was put is the only thing outside. */
static void refused(enum mkarchive_form f, const struct mkarchive_entry *e, size_t n, int code,
		    const char *text)
{
	struct ibb_buf b = mkarchive(f, e, n);
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;
	int rc;

	unpack_world_begin(&w);
	rc = unpack_bytes(&w, &b, &r, &err);
	if (rc != code || !strstr(err.msg, text))
		fail_msg("%s, %s: %d %s, wanted %d %s", mkarchive_name(f), e[n - 1].name, rc,
			 err.msg, code, text);
	unpack_world_end(&w);
}

static const struct {
	const char *name, *why;
} bad_names[] = {
	{"../evil.txt", "'..' are not names"},
	{"a/../../evil.txt", "'..' are not names"},
	{"a/./b.txt", "'.' and '..'"},
	{"..\\..\\evil.txt", "'..' are not names"},
	{"/etc/evil.txt", "an absolute path"},
	{"\\Windows\\evil.txt", "an absolute path"},
	{"\\\\server\\share\\evil.txt", "an absolute path"},
	{"//server/share/evil.txt", "an absolute path"},
	{"C:\\evil.txt", "a path with a drive letter"},
	{"C:evil.txt", "a path with a drive letter"},
	{"d/C:/evil.txt", "one of < > : \""},
	{"a.txt:stream", "one of < > : \""},
	{"what?.txt", "one of < > : \""},
	{"star*.txt", "one of < > : \""},
	{"CON", "a DOS device name"},
	{"d/NUL.txt", "a DOS device name"},
	{"com1.inf", "a DOS device name"},
	{"lpt\xc2\xb9", "a DOS device name"},
	{"dot.", "ends in a dot"},
	{"space ", "ends in a dot or a space"},
	{"dir./a", "ends in a dot"},
	{"bell\a.txt", "a control character"},
	{"line\nfeed", "a control character"},
};

static void names(void **state)
{
	(void)state;
	for (int f = 0; f < MKARCHIVE_N; f++)
		for (size_t i = 0; i < N(bad_names); i++) {
			struct mkarchive_entry e[] = {{.name = "good.txt", .data = "1"},
						      {.name = bad_names[i].name, .data = "2"}};

			refused(f, e, 2, IBB_E_UNSUPPORTED, bad_names[i].why);
		}
}

static void directories_too(void **state)
{
	(void)state;
	for (int f = 0; f < MKARCHIVE_CAB; f++) {
		struct mkarchive_entry up = {.name = "../up/"}, device = {.name = "aux/"};

		refused(f, &up, 1, IBB_E_UNSUPPORTED, "refused: path '../up");
		refused(f, &device, 1, IBB_E_UNSUPPORTED, "a DOS device name");
	}
}

/* A name that is not UTF-8 can be no name of Windows' either. */
static void foreign_names(void **state)
{
	static const enum mkarchive_form forms[] = {MKARCHIVE_GNUTAR, MKARCHIVE_USTAR};
	struct mkarchive_entry e = {.name = "XXumlaut.txt", .data = "1"};

	(void)state;
	for (size_t i = 0; i < N(forms); i++) {
		struct ibb_buf b = mkarchive(forms[i], &e, 1);
		struct ibb_unpack_result r = {0};
		struct ibb_error err = {0};
		struct unpack_world w;
		unsigned sum = 0;

		b.data[0] = 0xdc; /* U umlaut of Latin-1 */
		memset(b.data + 148, ' ', 8);
		for (size_t k = 0; k < 512; k++)
			sum += b.data[k];
		snprintf((char *)b.data + 148, 8, "%06o", sum);
		unpack_world_begin(&w);
		assert_fails(unpack_bytes(&w, &b, &r, &err), IBB_E_UNSUPPORTED, err,
			     "it is not UTF-8");
		unpack_world_end(&w);
	}
}

/* 128 letters in four names: what the system's tables have for them. */
static void put_foreign(struct ibb_buf *b, unsigned flags)
{
	for (size_t i = 0; i + 40 < b->len; i++) {
		bool local = memcmp(b->data + i, "PK\3\4", 4) == 0;

		if (!local && memcmp(b->data + i, "PK\1\2", 4) != 0)
			continue;
		b->data[i + (local ? 7 : 9)] = (uint8_t)(flags >> 8);
	}
	for (size_t i = 0; i + 33 < b->len; i++)
		if (memcmp(b->data + i, "Foreign", 7) == 0) {
			unsigned first = 0x80 + 32u * (b->data[i + 7] - (unsigned)'0');

			for (unsigned k = 0; k < 32; k++)
				b->data[i + k] = (uint8_t)(first + k);
		}
}

static void code_page_437(void **state)
{
	static const struct mkarchive_entry entries[] = {
		{.name = "Foreign0........................", .data = "a"},
		{.name = "plain.inf", .data = "i"},
		{.name = "Foreign1........................", .data = "b"},
		{.name = "Foreign2........................", .data = "c"},
		{.name = "Foreign3........................", .data = "d"}};
	static const char *const names[] = {"\u00c7\u00fc\u00e9\u00e2\u00e4\u00e0\u00e5\u00e7\u00ea"
					    "\u00eb\u00e8\u00ef\u00ee\u00ec\u00c4"
					    "\u00c5\u00c9\u00e6\u00c6\u00f4\u00f6\u00f2\u00fb\u00f9"
					    "\u00ff\u00d6\u00dc\u00a2\u00a3\u00a5"
					    "\u20a7\u0192"};
	struct ibb_buf b = mkarchive(MKARCHIVE_ZIP, entries, N(entries)), same = {0};
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;
	IBB_AUTO_FREE char *tree = NULL, *want = NULL;
	char bytes[33] = "", utf8[128], *in, *out;
	iconv_t cd = iconv_open("UTF-8", "CP437");

	(void)state;
	assert_int_equal(ibb_buf_append(&same, b.data, b.len), 0);
	unpack_world_begin(&w);
	put_foreign(&b, 0);
	assert_ok(unpack_bytes(&w, &b, &r, &err), err);
	assert_int_equal(r.files, 5);
	assert_int_equal(r.n_warnings, 1);
	want = ibb_asprintf("%s: its name is not UTF-8, read as code page 437, like others here",
			    names[0]);
	assert_string_equal(r.warnings[0], want);
	tree = unpack_tree_text(w.out);
	assert_non_null(strstr(tree, names[0]));
	for (unsigned i = 0; i < 4 && cd != (iconv_t)-1; i++) {
		size_t n = 32, room = sizeof(utf8) - 1;

		for (unsigned k = 0; k < 32; k++)
			bytes[k] = (char)(0x80 + 32 * i + k);
		in = bytes;
		out = utf8;
		assert_int_equal(iconv(cd, &in, &n, &out, &room), 0);
		*out = '\0';
		if (!strstr(tree, utf8))
			fail_msg("no %s in\n%s", utf8, tree);
	}
	if (cd != (iconv_t)-1)
		iconv_close(cd);
	ibb_unpack_result_clear(&r);
	/* a name that claims to be UTF-8 is no other one */
	put_foreign(&same, 0x800);
	assert_fails(unpack_bytes(&w, &same, &r, &err), IBB_E_UNSUPPORTED, err,
		     "it is not UTF-8, as it claims");
	unpack_world_end(&w);
}

static void deep_and_long(void **state)
{
	char path[2 * 70 + 2], name[260];
	struct mkarchive_entry deep = {.name = path, .data = "1"},
			       longest = {.name = name, .data = "1"};

	(void)state;
	for (size_t i = 0; i < 70; i++)
		memcpy(path + 2 * i, "d/", 2);
	memcpy(path + 140, "f", 2);
	refused(MKARCHIVE_ZIP, &deep, 1, IBB_E_LIMIT, "nested too deeply");
	refused(MKARCHIVE_7Z, &deep, 1, IBB_E_LIMIT, "nested too deeply");
	memset(name, 'n', 256);
	name[256] = '\0';
	refused(MKARCHIVE_TAR_GZ, &longest, 1, IBB_E_UNSUPPORTED, "longer than 255");
}

static void links_and_devices(void **state)
{
	static const enum mkarchive_form forms[] = {MKARCHIVE_ZIP, MKARCHIVE_7Z, MKARCHIVE_TAR_GZ,
						    MKARCHIVE_GNUTAR, MKARCHIVE_USTAR};
	struct mkarchive_entry soft[] = {{.name = "l", .symlink = "/tmp"},
					 {.name = "l/evil.txt", .data = "1"}};
	struct mkarchive_entry hard[] = {{.name = "a", .data = "1"},
					 {.name = "h", .hardlink = "a"}};
	struct mkarchive_entry fifo = {.name = "pipe", .fifo = true};

	(void)state;
	for (size_t i = 0; i < N(forms); i++)
		refused(forms[i], soft, 1, IBB_E_UNSUPPORTED, "refused: 'l' is a link");
	for (size_t i = 2; i < N(forms); i++) {
		refused(forms[i], soft, 2, IBB_E_UNSUPPORTED, "refused: 'l' is a link");
		refused(forms[i], hard, 2, IBB_E_UNSUPPORTED, "refused: 'h' is a link");
		refused(forms[i], &fifo, 1, IBB_E_UNSUPPORTED, "is a device or the like");
	}
}

static void collisions(void **state)
{
	struct mkarchive_entry same[] = {{.name = "a.txt", .data = "1"},
					 {.name = "a.txt", .data = "2"}};
	struct mkarchive_entry letters[] = {{.name = "d/\xc3\xa4.txt", .data = "1"},
					    {.name = "D/\xc3\x84.TXT", .data = "2"}};
	struct mkarchive_entry file_then_dir[] = {{.name = "a", .data = "1"},
						  {.name = "A/b", .data = "2"}};
	struct mkarchive_entry dir_then_file[] = {{.name = "a/b", .data = "1"},
						  {.name = "A", .data = "2"}};

	(void)state;
	for (int f = 0; f < MKARCHIVE_N; f++) {
		refused(f, same, 2, IBB_E_CONFLICT, "two members have the name a.txt");
		refused(f, letters, 2, IBB_E_CONFLICT, "two members have the name d/");
		refused(f, file_then_dir, 2, IBB_E_CONFLICT, "is a file and a directory");
		refused(f, dir_then_file, 2, IBB_E_CONFLICT, "is a file and a directory");
	}
}

/* Directories whose names differ in case are one, with the first spelling. */
static void one_directory(void **state)
{
	struct mkarchive_entry e[] = {{.name = "Drv/a", .data = "1"},
				      {.name = "dRV/b", .data = "2"},
				      {.name = "./c", .data = "3"}};

	(void)state;
	for (int f = 0; f < MKARCHIVE_N; f++) {
		struct ibb_buf b = mkarchive(f, e, 3);
		struct ibb_unpack_result r = {0};
		struct ibb_error err = {0};
		struct unpack_world w;

		unpack_world_begin(&w);
		assert_ok(unpack_bytes(&w, &b, &r, &err), err);
		unpack_assert_tree(&w, "Drv/\nDrv/a=1\nDrv/b=2\nc=3\n");
		ibb_unpack_result_clear(&r);
		unpack_world_end(&w);
	}
}

/* ---- zips at odds with themselves ---- */

static const struct mkarchive_entry pair[] = {{.name = "a.inf", .data = "first"},
					      {.name = "b.inf", .data = "other"}};

static uint8_t *central(struct ibb_buf *b, unsigned i)
{
	uint8_t *p = b->data + ibb_get_le32(b->data + b->len - 22 + 16);

	while (i--)
		p += 46 + ibb_get_le16(p + 28) + ibb_get_le16(p + 30);
	return p;
}

static void zip_fails(struct ibb_buf b, int code, const char *text)
{
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	struct unpack_world w;

	unpack_world_begin(&w);
	assert_fails(unpack_bytes(&w, &b, &r, &err), code, err, text);
	unpack_world_end(&w);
}

static void zip_headers_contradict(void **state)
{
	struct ibb_buf b = mkarchive(MKARCHIVE_ZIP_STORED, pair, 2);

	(void)state;
	central(&b, 1)[46] = 'c';
	zip_fails(b, IBB_E_CORRUPT, "the headers of a member contradict each other");
	b = mkarchive(MKARCHIVE_ZIP_STORED, pair, 2);
	ibb_put_le16(central(&b, 0) + 10, 8);
	zip_fails(b, IBB_E_CORRUPT, "the headers of a member contradict each other");
	b = mkarchive(MKARCHIVE_ZIP_STORED, pair, 2);
	ibb_put_le32(central(&b, 1) + 42, 5);
	zip_fails(b, IBB_E_CORRUPT, "the headers of a member contradict each other");
}

/* David Fifield's "better zip bomb": many entries, one kernel. */
static void zip_members_overlap(void **state)
{
	struct ibb_buf b = mkarchive(MKARCHIVE_ZIP_STORED, pair, 2);
	size_t first = ibb_get_le32(central(&b, 0) + 42);
	size_t second = ibb_get_le32(central(&b, 1) + 42);

	(void)state;
	/* the first one's data reaches over the second */
	ibb_put_le32(central(&b, 0) + 20, (uint32_t)(second - first));
	ibb_put_le32(central(&b, 0) + 24, (uint32_t)(second - first));
	zip_fails(b, IBB_E_CORRUPT, "members that overlap");
	b = mkarchive(MKARCHIVE_ZIP_STORED, pair, 2);
	memcpy(central(&b, 1), central(&b, 0), 46 + 5);
	zip_fails(b, IBB_E_CORRUPT, "");
}

static void zip_announcements(void **state)
{
	struct ibb_buf b = mkarchive(MKARCHIVE_ZIP, pair, 2);

	(void)state;
	ibb_put_le32(central(&b, 0) + 24, 0xfffffff0); /* 4 GiB of five bytes */
	zip_fails(b, IBB_E_CORRUPT, "");
	b = mkarchive(MKARCHIVE_ZIP_STORED, pair, 2);
	ibb_put_le32(central(&b, 1) + 20, 0x7fffffff);
	zip_fails(b, IBB_E_CORRUPT, "reaches into the central directory");
	b = mkarchive(MKARCHIVE_ZIP_STORED, pair, 2);
	ibb_put_le16(b.data + b.len - 22 + 10, 0xfff0);
	zip_fails(b, IBB_E_CORRUPT, "");
	b = mkarchive(MKARCHIVE_ZIP_STORED, pair, 2);
	ibb_put_le32(b.data + b.len - 22 + 12, 0x7fffffff);
	zip_fails(b, IBB_E_CORRUPT, "outside of it");
	b = mkarchive(MKARCHIVE_ZIP_STORED, pair, 2);
	ibb_put_le16(b.data + b.len - 22 + 4, 1);
	zip_fails(b, IBB_E_UNSUPPORTED, "one part of a zip of several");
	b = mkarchive(MKARCHIVE_ZIP_STORED, pair, 2);
	central(&b, 0)[46 + 2] = 0;
	zip_fails(b, IBB_E_UNSUPPORTED, "holds a NUL");
}

/* ---- damage ---- */

static const struct mkarchive_entry package[] = {
	{.name = "Drivers/"},
	{.name = "Drivers/demo.inf", .data = "[Version] Signature=$Windows NT$"},
	{.name = "Drivers/demo.sys", .data = "MZ it is a driver, or so it says, of some length"},
	{.name = "Drivers/demo.cat", .data = "signatures of all of that, signatures of all"},
};
static const char package_tree[] =
	"Drivers/\n"
	"Drivers/demo.cat=signatures of all of that, signatures of all\n"
	"Drivers/demo.inf=[Version] Signature=$Windows NT$\n"
	"Drivers/demo.sys=MZ it is a driver, or so it says, of some length\n";

/* A prefix of an archive is refused; what a compressed stream has behind its data may go. */
static void truncated(void **state)
{
	(void)state;
	for (int f = 0; f < MKARCHIVE_N; f++) {
		struct ibb_buf whole = mkarchive(f, package, N(package));
		struct unpack_world w;

		unpack_world_begin(&w);
		for (size_t n = 1; n < whole.len; n += 1 + whole.len / 97) {
			struct ibb_buf part = {0};
			struct ibb_unpack_result r = {0};
			struct ibb_error err = {0};
			int rc;

			assert_int_equal(ibb_buf_append(&part, whole.data, n), 0);
			rc = unpack_bytes(&w, &part, &r, &err);
			if (rc == IBB_OK) {
				if (f < MKARCHIVE_TAR_GZ || f > MKARCHIVE_TAR_ZST)
					fail_msg("%s cut to %zu of %zu was taken",
						 mkarchive_name(f), n, whole.len);
				unpack_assert_tree(&w, package_tree);
			} else if (rc != IBB_E_CORRUPT && rc != IBB_E_UNSUPPORTED) {
				fail_msg("%s cut to %zu: %d %s", mkarchive_name(f), n, rc, err.msg);
			}
			ibb_unpack_result_clear(&r);
		}
		ibb_buf_clear(&whole);
		unpack_world_end(&w);
	}
}

static uint32_t next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void mutate(struct ibb_buf *b, uint32_t *seed)
{
	for (unsigned n = 1 + next(seed) % 4; n; n--) {
		size_t at = next(seed) % b->len;

		switch (next(seed) % 4) {
		case 0:
			b->data[at] ^= (uint8_t)(1u << next(seed) % 8);
			break;
		case 1:
			b->data[at] = (uint8_t)next(seed);
			break;
		case 2:
			b->data[at] = 0xff;
			break;
		default:
			b->data[at] = 0;
		}
	}
}

/*
 * The names in a cabinet, and names and content of a tar that is not compressed or whose zstd data
 * has no checksum, are covered by nothing: there a change can go unseen here (a driver's own
 * signature shows it). Of all other forms what is taken is what was packed. Nowhere is anything
 * outside of the directory: unpack_world_end() looks.
 */
static void mutated(void **state)
{
	unsigned taken = 0, refusals = 0;
	uint32_t seed = 20260101;

	(void)state;
	for (int f = 0; f < MKARCHIVE_N; f++) {
		struct ibb_buf whole = mkarchive(f, package, N(package));
		struct unpack_world w;

		unpack_world_begin(&w);
		for (unsigned i = 0; i < 120; i++) {
			struct ibb_unpack_limits l = {.bytes = 1 << 20, .files = 100};
			struct ibb_buf b = {0};
			struct ibb_unpack_result r = {0};
			struct ibb_error err = {0};
			char *is;
			int rc;

			assert_int_equal(ibb_buf_append(&b, whole.data, whole.len), 0);
			mutate(&b, &seed);
			rc = unpack_run(&w, unpack_put(&w, "archive", &b), &l, &r, &err);
			is = unpack_tree_text(w.out);
			if (rc)
				refusals++;
			else if (has_digests(f) && strcmp(is, package_tree) != 0)
				fail_msg("%s, mutation %u was taken: %s", mkarchive_name(f), i, is);
			else
				taken++;
			if (rc && (!*err.msg || rc == IBB_E_INTERNAL || rc == IBB_E_IO ||
				   rc == IBB_E_NOMEM))
				fail_msg("%s, mutation %u: %d %s", mkarchive_name(f), i, rc,
					 err.msg);
			free(is);
			ibb_unpack_result_clear(&r);
		}
		ibb_buf_clear(&whole);
		unpack_world_end(&w);
	}
	print_message("%u mutated archives: %u refused, %u taken\n", taken + refusals, refusals,
		      taken);
	assert_int_equal(taken + refusals, 1200);
	assert_true(refusals > 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(directories_too),
		cmocka_unit_test(foreign_names),
		cmocka_unit_test(code_page_437),
		cmocka_unit_test(deep_and_long),
		cmocka_unit_test(links_and_devices),
		cmocka_unit_test(collisions),
		cmocka_unit_test(one_directory),
		cmocka_unit_test(zip_headers_contradict),
		cmocka_unit_test(zip_members_overlap),
		cmocka_unit_test(zip_announcements),
		cmocka_unit_test(truncated),
		cmocka_unit_test(mutated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
