/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text to sections, lines, fields and strings; [Version]. */
#include "test_inf.h"

static void assert_line(const struct ibb_inf_line *l, const char *key, size_t n, ...)
{
	va_list ap;

	if (key)
		assert_string_equal(l->key, key);
	else
		assert_null(l->key);
	va_start(ap, n);
	for (size_t i = 0; i < n && i < l->n; i++)
		assert_string_equal(l->fields[i], va_arg(ap, const char *));
	va_end(ap);
	assert_int_equal(l->n, n);
}

/* One line of text in a section of its own. */
static void check_line(const char *text, const char *key, size_t n, const char *a, const char *b,
		       const char *c)
{
	char whole[512];
	struct ibb_inf *inf;
	const struct ibb_inf_section *s;

	snprintf(whole, sizeof(whole), "[s]\n%s\n[after]\nk=1\n[Strings]\nA=\"val;ue\"\n", text);
	inf = parse(whole);
	s = ibb_inf_section(inf, "S");
	assert_non_null(s);
	assert_int_equal(s->n, 1);
	assert_line(&s->lines[0], key, n, a, b, c);
	assert_string_equal(ibb_inf_value(inf, "after", "k", 0), "1");
	ibb_inf_free(inf);
}

static void lexing(void **state)
{
	(void)state;
	check_line("key=value", "key", 1, "value", NULL, NULL);
	check_line("  key \t=  value  ", "key", 1, "value", NULL, NULL);
	check_line("key = a , b,c", "key", 3, "a", "b", "c");
	check_line("a,b", NULL, 2, "a", "b", NULL);
	check_line("alone", NULL, 1, "alone", NULL, NULL);
	check_line("key=", "key", 1, "", NULL, NULL);
	check_line("key=a,,", "key", 3, "a", "", "");
	check_line("a,b=c", NULL, 2, "a", "b=c", NULL); /* a key ends before the first comma */
	check_line("k=a=b", "k", 1, "a=b", NULL, NULL);
	check_line("k = v ; comment, with = all", "k", 1, "v", NULL, NULL);
	check_line("k = v;no blank", "k", 1, "v", NULL, NULL);
	check_line("  ; only a comment\nk=v", "k", 1, "v", NULL, NULL);
	check_line("k = \"a;b,c=d\" , x", "k", 2, "a;b,c=d", "x", NULL);
	check_line("\"k=1\" = v", "k=1", 1, "v", NULL, NULL);
	check_line("k = \"say \"\"hi\"\"\"", "k", 1, "say \"hi\"", NULL, NULL);
	check_line("k = \"\"\"some string\"\"\"", "k", 1, "\"some string\"", NULL, NULL);
	check_line("k = \"  kept  \"  ", "k", 1, "  kept  ", NULL, NULL);
	check_line("k = a\"  b \"c", "k", 1, "a  b c", NULL, NULL);
	check_line("k = \"\"", "k", 1, "", NULL, NULL);
	check_line("k = \"never closed, x", "k", 1, "never closed, x", NULL, NULL);
	check_line("k = a b  c", "k", 1, "a b  c", NULL, NULL);
	check_line("k = [x]", "k", 1, "[x]", NULL, NULL);
}

static void continuation(void **state)
{
	(void)state;
	check_line("k = a, \\\r\n   b", "k", 2, "a", "b", NULL);
	check_line("k = a \\\n , b", "k", 2, "a", "b", NULL);
	check_line("k = a,b\\ ; comment\n,c", "k", 3, "a", "b", "c");
	/* three examples of "General Syntax Rules for INF Files" */
	check_line("CopyFiles = \"SomeDirectory\\\"\\\n,SomeFile", "CopyFiles", 2,
		   "SomeDirectory\\", "SomeFile", NULL);
	check_line("CopyFiles = SomeDirectory\\\\\n,SomeFile", "CopyFiles", 2, "SomeDirectory",
		   "SomeFile", NULL);
	check_line("CopyFiles = \"SomeDirectory\\\"\\ ; comment \n,SomeFile", "CopyFiles", 2,
		   "SomeDirectory\\", "SomeFile", NULL);
	check_line("k = a\\b, c\\ d", "k", 2, "a\\b", "c\\ d", NULL);
	check_line("k = \\\\a\\\\b", "k", 1, "\\\\a\\\\b", NULL, NULL);
	check_line("k = \"a\\\"", "k", 1, "a\\", NULL, NULL);
	check_line("k \\\n = v", "k", 1, "v", NULL, NULL);
	check_line("k = a\\\n\\\n\\\nb", "k", 1, "ab", NULL, NULL);
}

static void continuation_at_end_of_file(void **state)
{
	struct ibb_inf *inf = parse("[s]\nk = a, \\");

	(void)state;
	assert_line(&ibb_inf_section(inf, "s")->lines[0], "k", 2, "a", "");
	ibb_inf_free(inf);
	inf = parse("[s]\nk = a\\\n");
	assert_line(&ibb_inf_section(inf, "s")->lines[0], "k", 1, "a");
	ibb_inf_free(inf);
}

static void line_numbers(void **state)
{
	struct ibb_inf *inf = parse("; 1\r\n\r\n[a]\r\nk=\\\r\nv\r\n[b]\rx=1\ry=2\n\nz=3");
	const struct ibb_inf_section *b = ibb_inf_section(inf, "b");

	(void)state;
	assert_int_equal(ibb_inf_section(inf, "a")->line, 3);
	assert_int_equal(ibb_inf_find(inf, "a", "K")->line, 4);
	assert_int_equal(b->line, 6);
	assert_int_equal(b->n, 3);
	assert_int_equal(b->lines[0].line, 7);
	assert_int_equal(b->lines[1].line, 8);
	assert_int_equal(b->lines[2].line, 10);
	ibb_inf_free(inf);
}

static void sections(void **state)
{
	struct ibb_inf *inf = parse("[One] ; comment\na=1\n[two] trailing text\nb=2\n[ONE]\nc=3\n"
				    "a=4\n[;; Std Mfg ]\nd=5\n[]\ne=6\n[empty]\n");
	const struct ibb_inf_section *s = ibb_inf_section(inf, "one");

	(void)state;
	assert_int_equal(ibb_inf_n_sections(inf), 5);
	assert_string_equal(s->name, "One");
	assert_int_equal(s->line, 1);
	assert_int_equal(s->n, 3);
	assert_line(&s->lines[0], "a", 1, "1");
	assert_line(&s->lines[1], "c", 1, "3");
	assert_line(&s->lines[2], "a", 1, "4");
	assert_string_equal(ibb_inf_value(inf, "one", "A", 0), "1"); /* the first */
	assert_null(ibb_inf_value(inf, "one", "A", 1));
	assert_null(ibb_inf_value(inf, "one", "x", 0));
	assert_null(ibb_inf_find(inf, "none", "x"));
	assert_string_equal(ibb_inf_value(inf, ";; Std Mfg ", "d", 0), "5");
	assert_string_equal(ibb_inf_value(inf, "", "e", 0), "6");
	assert_int_equal(ibb_inf_section(inf, "empty")->n, 0);
	assert_string_equal(ibb_inf_section_at(inf, 1)->name, "two");
	assert_null(ibb_inf_section_at(inf, 5));
	assert_string_equal(ibb_inf_name(inf), "t.inf");
	ibb_inf_free(inf);
}

static void many_sections(void **state)
{
	struct ibb_buf b = {0};
	struct ibb_inf *inf;
	char name[32];

	(void)state;
	for (int i = 0; i < 3000; i++)
		assert_int_equal(ibb_buf_printf(&b, "[\xc3\xa4%d]\nk=%d\n", i, i), 0);
	inf = parse_bytes(b.data, b.len);
	assert_int_equal(ibb_inf_encoding(inf), IBB_INF_UTF8);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "\xc3\x84%d", i); /* upper case of the same */
		assert_int_equal(atoi(ibb_inf_value(inf, name, "K", 0)), i);
	}
	ibb_inf_free(inf);
	ibb_buf_clear(&b);
}

static void strings(void **state)
{
	struct ibb_inf *inf = parse("[s]\n"
				    "%A% = %a%, x%A%y, %%A%%, %none%, 50%, %A%%B%, %12%\\f.sys\n"
				    "v = \"%A% and %B%\", %C%, %Semi;Colon%, %%, % A%\n"
				    "w = 50% ; 60%\n"
				    "[strings]\n"
				    "A = alpha ; comment\n"
				    "B = \"%A%\"\n"
				    "C = one, two\n"
				    "Semi;Colon = unreachable\n"
				    "\"Semi;Colon\" = sc\n"
				    "a = again\n");
	const struct ibb_inf_section *s = ibb_inf_section(inf, "s");

	(void)state;
	assert_line(&s->lines[0], "alpha", 7, "alpha", "xalphay", "%A%", "%none%", "50%",
		    "alpha%A%", "%12%\\f.sys");
	assert_string_equal(s->lines[0].raw_key, "%A%");
	assert_string_equal(s->lines[0].raw_fields[1], "x%A%y");
	assert_line(&s->lines[1], "v", 5, "alpha and %A%", "one", "sc", "%", "% A%");
	assert_line(&s->lines[2], "w", 1, "50%");
	assert_string_equal(ibb_inf_string(inf, "a"), "alpha");
	assert_string_equal(ibb_inf_string(inf, "b"), "%A%"); /* not expanded again */
	assert_null(ibb_inf_string(inf, "none"));
	ibb_inf_free(inf);
}

static void language_sections(void **state)
{
	static const struct {
		const char *text, *a, *b;
	} cases[] = {
		{"[Strings]\nA=plain\nB=only\n[Strings.0409]\nA=us\n", "us", "only"},
		{"[Strings.0409]\nA=us\n[Strings]\nA=plain\nB=only\n", "us", "only"},
		{"[Strings]\nA=plain\n[Strings.0407]\nA=de\nB=de\n", "plain", NULL},
		{"[Strings]\nA=plain\n[Strings.0809]\nA=uk\n[Strings.09]\nA=en\n", "en", NULL},
		{"[Strings]\nA=plain\n[Strings.0809]\nA=uk\n", "uk", NULL},
		{"[Strings]\nA=plain\n[STRINGS.0x0409]\nA=us\n[Strings.0009]\nA=en\n", "us", NULL},
		{"[Strings]\nA=plain\n[Strings.xyz]\nA=no\n[StringsX]\nA=no\n", "plain", NULL},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_inf *inf = parse(cases[i].text);

		assert_string_equal(ibb_inf_string(inf, "A"), cases[i].a);
		if (cases[i].b)
			assert_string_equal(ibb_inf_string(inf, "B"), cases[i].b);
		else
			assert_null(ibb_inf_string(inf, "B"));
		ibb_inf_free(inf);
	}
}

/* The same text, "[s]\r\nk = <a umlaut><euro>\r\n", in every encoding. */
static void encodings(void **state)
{
	static const char utf8[] = "[s]\r\nk = \xc3\xa4\xe2\x82\xac\r\n";
	static const char bom[] = "\xef\xbb\xbf[s]\r\nk = \xc3\xa4\xe2\x82\xac\r\n";
	static const char ansi[] = "[s]\r\nk = \xe4\x80\r\n";
	static const char ascii_bom[] = "\xef\xbb\xbf[s]\r\nk = v\r\n";
	static const uint16_t units[] = {'[', 's', ']',	 '\r',	 '\n', 'k', ' ',
					 '=', ' ', 0xe4, 0x20ac, '\r', '\n'};
	uint8_t le[2 + sizeof(units)] = {0xff, 0xfe}, be[2 + sizeof(units)] = {0xfe, 0xff};
	const struct {
		const void *p;
		size_t n;
		enum ibb_inf_encoding e;
	} cases[] = {
		{utf8, sizeof(utf8) - 1, IBB_INF_UTF8}, {bom, sizeof(bom) - 1, IBB_INF_UTF8},
		{ansi, sizeof(ansi) - 1, IBB_INF_ANSI}, {le, sizeof(le), IBB_INF_UTF16LE},
		{be, sizeof(be), IBB_INF_UTF16BE},	{le + 2, sizeof(le) - 2, IBB_INF_UTF16LE},
	};
	struct ibb_inf *inf;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(units); i++) {
		le[2 + 2 * i] = be[3 + 2 * i] = (uint8_t)units[i];
		le[3 + 2 * i] = be[2 + 2 * i] = (uint8_t)(units[i] >> 8);
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		inf = parse_bytes(cases[i].p, cases[i].n);
		assert_int_equal(ibb_inf_encoding(inf), cases[i].e);
		assert_string_equal(ibb_inf_value(inf, "s", "k", 0), "\xc3\xa4\xe2\x82\xac");
		assert_int_equal(ibb_inf_find(inf, "s", "k")->line, 2);
		ibb_inf_free(inf);
	}
	inf = parse(ascii_bom);
	assert_int_equal(ibb_inf_encoding(inf), IBB_INF_UTF8);
	ibb_inf_free(inf);
	inf = parse("[s]\nk=v");
	assert_int_equal(ibb_inf_encoding(inf), IBB_INF_ANSI);
	ibb_inf_free(inf);
}

static void ends_of_file(void **state)
{
	struct ibb_inf *inf = parse("[s]\r\nk=v\x1a\r\n[t]\r\n\x01");

	(void)state;
	assert_int_equal(ibb_inf_n_sections(inf), 1); /* Ctrl-Z ends it */
	assert_string_equal(ibb_inf_value(inf, "s", "k", 0), "v");
	ibb_inf_free(inf);
	inf = parse_bytes("[s]\nk=v\x1a\0\0\0", 11); /* padding behind Ctrl-Z */
	assert_string_equal(ibb_inf_value(inf, "s", "k", 0), "v");
	ibb_inf_free(inf);
	inf = parse("");
	assert_int_equal(ibb_inf_n_sections(inf), 0);
	ibb_inf_free(inf);
	inf = parse("; nothing");
	assert_int_equal(ibb_inf_n_sections(inf), 0);
	ibb_inf_free(inf);
	inf = parse("[s]\nk=\"open");
	assert_string_equal(ibb_inf_value(inf, "s", "k", 0), "open");
	ibb_inf_free(inf);
}

static void version(void **state)
{
	struct ibb_inf *inf = parse(INF_VERSION "PnpLockDown = 1\r\n" INF_STRINGS);
	struct ibb_inf_version v;
	struct ibb_error err = {0};
	char guid[IBB_GUID_STR_SIZE];

	(void)state;
	assert_ok(ibb_inf_version(inf, &win10_19041, &v, &err), err);
	assert_string_equal(v.class_name, "Net");
	ibb_guid_format(&v.class_guid, guid);
	assert_string_equal(guid, "{4d36e972-e325-11ce-bfc1-08002be10318}");
	assert_string_equal(v.provider, "Provider, Inc.");
	assert_int_equal(v.year, 2024);
	assert_int_equal(v.month, 4);
	assert_int_equal(v.day, 16);
	assert_int_equal(v.date, (1713225600 + 11644473600) * 10000000); /* date -u +%s */
	assert_string_equal(v.version_text, "24.4.26429.0");
	assert_int_equal(v.version[2], 26429);
	assert_string_equal(v.catalog, "x.cat");
	assert_int_equal(v.catalog_line, 7);
	assert_int_equal(v.driver_ver_line, 6);
	assert_true(v.pnp_lockdown);
	assert_null(v.extension_id);
	ibb_inf_free(inf);
}

static void driver_ver(void **state)
{
	static const struct {
		const char *text, *version; /* NULL: refused */
		int year, month, day;
	} cases[] = {
		{"10/29/2021, 9.8.18.0", "9.8.18.0", 2021, 10, 29},
		{"06/01/2006, 65.6.5", "65.6.5.0", 2006, 6, 1},
		{"09-28-1999,5.00.2136.1", "5.0.2136.1", 1999, 9, 28},
		{"1/2/2020,1", "1.0.0.0", 2020, 1, 2},
		{"02/29/2020", "0.0.0.0", 2020, 2, 29},
		{"12/31/2020,65535.65535.65535.65535", "65535.65535.65535.65535", 2020, 12, 31},
		{"12/31/2020,1.2.3.65536", NULL, 0, 0, 0},
		{"12/31/2020,1.2.3.4.5", NULL, 0, 0, 0},
		{"12/31/2020,1.2.", NULL, 0, 0, 0},
		{"12/31/2020,1..2", NULL, 0, 0, 0},
		{"12/31/2020,1.2.x", NULL, 0, 0, 0},
		{"12/31/2020,-1", NULL, 0, 0, 0},
		{"12/31/2020,4294967297", NULL, 0, 0, 0},
		{"13/45/2020,1.0.0.0", NULL, 0, 0, 0},
		{"02/29/2021,1.0.0.0", NULL, 0, 0, 0},
		{"02/29/1900,1.0.0.0", NULL, 0, 0, 0},
		{"00/00/0000,1.0.0.0", NULL, 0, 0, 0},
		{"2020/12/31,1.0.0.0", NULL, 0, 0, 0},
		{"12/31-2020,1.0.0.0", NULL, 0, 0, 0},
		{"12/31/20,1.0.0.0", NULL, 0, 0, 0},
		{"12/31/20200,1.0.0.0", NULL, 0, 0, 0},
		{"12/31,1.0.0.0", NULL, 0, 0, 0},
		{"1", NULL, 0, 0, 0},
		{"\"\"", NULL, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_inf_version v;
		struct ibb_error err = {0};
		char text[512];
		struct ibb_inf *inf;

		snprintf(text, sizeof(text),
			 "[Version]\nSignature=$CHICAGO$\nProvider=p\n"
			 "ClassGuid={4d36e972-e325-11ce-bfc1-08002be10318}\nDriverVer=%s\n",
			 cases[i].text);
		inf = parse(text);
		if (cases[i].version) {
			assert_ok(ibb_inf_version(inf, &win10_19041, &v, &err), err);
			assert_string_equal(v.version_text, cases[i].version);
			assert_int_equal(v.year, cases[i].year);
			assert_int_equal(v.month, cases[i].month);
			assert_int_equal(v.day, cases[i].day);
			assert_string_equal(v.class_name, "");
			assert_null(v.catalog);
		} else {
			assert_fails(ibb_inf_version(inf, &win10_19041, &v, &err), IBB_E_CORRUPT,
				     err, "t.inf:5: DriverVer");
		}
		ibb_inf_free(inf);
	}
}

static void catalog_file(void **state)
{
	static const char text[] =
		INF_VERSION "CatalogFile.NTx86 = x86.cat\nCatalogFile.nt = nt.cat\n"
			    "CatalogFile.ntamd64 = a64.cat\n" INF_STRINGS;
	static const char nt_only[] = INF_VERSION "CatalogFile.NT = nt.cat\n" INF_STRINGS;
	struct ibb_inf_target arm64 = {IBB_ARCH_ARM64, 10, 0, 22000, 1, 0};
	struct ibb_inf *inf = parse(text);
	struct ibb_inf_version v;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_inf_version(inf, &win10_19041, &v, &err), err);
	assert_string_equal(v.catalog, "a64.cat");
	assert_int_equal(v.catalog_line, 10);
	assert_ok(ibb_inf_version(inf, &arm64, &v, &err), err);
	assert_string_equal(v.catalog, "nt.cat");
	ibb_inf_free(inf);
	inf = parse(nt_only);
	assert_ok(ibb_inf_version(inf, &win10_19041, &v, &err), err);
	assert_string_equal(v.catalog, "nt.cat");
	ibb_inf_free(inf);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(lexing),	cmocka_unit_test(continuation),
	cmocka_unit_test(line_numbers), cmocka_unit_test(continuation_at_end_of_file),
	cmocka_unit_test(sections),	cmocka_unit_test(many_sections),
	cmocka_unit_test(strings),	cmocka_unit_test(language_sections),
	cmocka_unit_test(encodings),	cmocka_unit_test(ends_of_file),
	cmocka_unit_test(version),	cmocka_unit_test(driver_ver),
	cmocka_unit_test(catalog_file),
};

IBB_TEST_MAIN(tests)
