/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Do others read what ibbake wrote? hivex (hivexml, hivexsh), chntpw (reged), libregf (regfexport)
 * and reglookup each look at an edited hive: a real SYSTEM hive when one is at hand, else a
 * generated one. Tools that are not installed are skipped; exit status 77 when none is.
 */
#include "test_hive_util.h"

#include <sys/stat.h>

static char dir[256], hive[300];
static struct ibb_hive_check sum;
static unsigned n_run;

static void run(const char *fmt, ...) IBB_PRINTF(1, 2);

static char *out; /* what the last run() printed */

static void run(const char *fmt, ...)
{
	struct ibb_buf b = {0};
	char cmd[1024];
	va_list ap;
	size_t n;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	f = popen(cmd, "r");
	assert_non_null(f);
	do {
		assert_int_equal(ibb_buf_reserve(&b, b.len + 65536), 0);
		n = fread(b.data + b.len, 1, 65536, f);
		b.len += n;
	} while (n);
	if (pclose(f) != 0)
		fail_msg("'%s' failed: %s", cmd, b.len ? ibb_buf_cstr(&b) : "");
	/* some tools print NUL bytes */
	for (size_t i = 0; i < b.len; i++)
		b.data[i] = b.data[i] ? b.data[i] : ' ';
	free(out);
	out = ibb_buf_take_str(&b);
	assert_non_null(out);
}

/* How many times does the last output hold the text (at the beginning of a line, if asked)? */
static size_t count(const char *text, bool line)
{
	size_t n = 0, len = strlen(text);

	/* not strstr(): under ASan it measures all of the rest each time */
	for (const char *p = out; *p; p++)
		if (*p == *text && strncmp(p, text, len) == 0)
			n += !line || p == out || p[-1] == '\n';
	return n;
}

static void need_tool(const char *name)
{
	const char *all = getenv("IBB_ORACLES");
	char cmd[100];

	snprintf(cmd, sizeof(cmd), "command -v %s >/dev/null", name);
	if (system(cmd) != 0) {
		if (all && strcmp(all, "all") == 0)
			fail_msg("IBB_ORACLES=all, but %s is not installed", name);
		print_message("SKIPPED: %s is not installed\n", name);
		skip();
	}
	n_run++;
}

/* ---- the hive ---- */

static struct ibb_hive *start(void)
{
	const char *path = test_data("hives/win10-19041/SYSTEM");
	struct ibb_hive *h = NULL;
	struct ibb_buf b = {0};
	char name[64];

	if (path) {
		assert_ok(ibb_read_file(path, 1u << 30, &b, &E), E);
		assert_ok(ibb_hive_open("SYSTEM", &b, &h, &E), E);
		return h;
	}
	h = fresh();
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "ControlSet001\\Services\\svc%u", i * 1741 % 3000);
		set(h, make(h, name), "Start", IBB_REG_DWORD, "\3\0\0\0", 4);
	}
	set(h, make(h, "Select"), "LastKnownGood", IBB_REG_DWORD, "\1\0\0\0", 4);
	return h;
}

/* 500 keys and 3 000 values, 200 of the keys with names beyond Latin-1. */
static void add_all(struct ibb_hive *h)
{
	static uint8_t blob[16344];
	char path[80];

	memset(blob, 'D', sizeof(blob));
	for (unsigned i = 0; i < 500; i++) {
		bool wide = i >= 300;
		unsigned j = i * 7 % (wide ? 200 : 300);
		ibb_key k;

		if (wide)
			snprintf(path, sizeof(path),
				 "ibbake\\wide\\\xd0\x9a\xd0\xbb\xd1\x8e\xd1\x87-%03u", j);
		else
			snprintf(path, sizeof(path), "ibbake\\plain\\%s_%03u",
				 j % 3 ? "Key" : "key", j);
		k = make(h, path);
		set(h, k, "", IBB_REG_SZ, "d\0e\0f\0\0\0", 8);
		set(h, k, "num", IBB_REG_DWORD, "\4\3\2\1", 4);
		set(h, k, "none", IBB_REG_NONE, NULL, 0);
		set(h, k, "blob", IBB_REG_BINARY, blob, i % 50 ? 7 : sizeof(blob));
		set(h, k, "\xc3\xa9t\xc3\xa9", IBB_REG_MULTI_SZ, "a\0\0\0b\0\0\0\0\0", 10);
		set(h, k, wide ? "\xe6\xbc\xa2\xe5\xad\x97" : "str", IBB_REG_SZ, "s\0t\0r\0\0\0",
		    8);
	}
}

/* chntpw's programs live in sbin, which is not in everybody's path. */
static void add_sbin(void)
{
	const char *path = getenv("PATH");
	char longer[4096];

	snprintf(longer, sizeof(longer), "%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
	setenv("PATH", longer, 1);
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct ibb_hive *h = start(), *g;
	struct ibb_buf b;
	FILE *f;

	(void)state;
	add_sbin();
	add_all(h);
	set(h, find(h, "Select"), "LastKnownGood", IBB_REG_DWORD, "\7\0\0\0", 4);
	for (char c = 'a'; c < 'z'; c++) { /* some are made and deleted again */
		char path[] = {'t', 'm', 'p', '\\', c, 0};

		set(h, make(h, path), path, IBB_REG_SZ, path, 4);
	}
	assert_ok(ibb_hive_delete(h, find(h, "tmp"), T1, &E), E);
	g = reopened(h, &sum);
	ibb_hive_close(g);
	b = serialized(h);
	ibb_hive_close(h);
	snprintf(dir, sizeof(dir), "%s/ibb-hive-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	snprintf(hive, sizeof(hive), "%s/hive", dir);
	f = fopen(hive, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(b.data, 1, b.len, f), b.len);
	assert_int_equal(fclose(f), 0);
	ibb_buf_clear(&b);
	return 0;
}

static int teardown(void **state)
{
	char cmd[400];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -r '%s'", dir);
	free(out);
	return system(cmd);
}

/* ---- the readers ---- */

static void test_hivexml(void **state)
{
	(void)state;
	need_tool("hivexml");
	run("hivexml '%s' 2>&1", hive);
	assert_int_equal(count("<node name=\"", false), sum.keys);
	assert_int_equal(count("<node name=\"\xd0\x9a\xd0\xbb\xd1\x8e\xd1\x87-", false), 200);
	assert_int_equal(count("<value type=\"", false), sum.values);
}

static void test_hivexsh(void **state)
{
	(void)state;
	need_tool("hivexsh");
	run("printf 'cd \\\\ibbake\\\\wide\\nls\\n' | hivexsh '%s' 2>&1", hive);
	assert_int_equal(count("\xd0\x9a\xd0\xbb\xd1\x8e\xd1\x87-", true), 200);
	run("printf 'cd \\\\IBBAKE\\\\plain\\nls\\n' | hivexsh '%s' 2>&1", hive);
	assert_int_equal(count("ey_", false), 300);
	run("printf 'cd \\\\ibbake\\\\wide\\\\\xd0\x9a\xd0\xbb\xd1\x8e\xd1\x87-007\\nlsval\\n' | "
	    "hivexsh '%s' 2>&1",
	    hive);
	assert_string_equal(out, "\"@\"=\"def\"\n\"num\"=dword:01020304\n\"none\"=hex(0):\n"
				 "\"blob\"=hex(3):44,44,44,44,44,44,44\n"
				 "\"\xc3\xa9t\xc3\xa9\"=hex(7):61,00,00,00,62,00,00,00,00,00\n"
				 "\"\xe6\xbc\xa2\xe5\xad\x97\"=\"str\"\n");
	run("printf 'cd \\\\Select\\nlsval LastKnownGood\\n' | hivexsh '%s' 2>&1", hive);
	assert_string_equal(out, "7\n");
}

static void test_regfexport(void **state)
{
	(void)state;
	need_tool("regfexport");
	run("LC_ALL=C.UTF-8 regfexport '%s' 2>&1", hive);
	assert_int_equal(count("Key path: ", true), sum.keys);
	assert_int_equal(count("Value: ", true), sum.values);
	assert_int_equal(count("\\ibbake\\wide\\\xd0\x9a\xd0\xbb\xd1\x8e\xd1\x87-", false), 200);
	assert_int_equal(count("\xe6\xbc\xa2\xe5\xad\x97", false), 200);
	assert_int_equal(count("Unable to", true), 0);
}

static void test_reglookup(void **state)
{
	(void)state;
	need_tool("reglookup");
	/* names beyond ASCII it warns about, as it does for those that Windows wrote */
	run("reglookup '%s' 2>/dev/null", hive);
	assert_int_equal(count("\n", false), 1 + sum.keys + sum.values);
	assert_int_equal(count("/ibbake/plain/Key_007/num,DWORD,0x01020304,\n", true), 1);
	assert_int_equal(count("/ibbake/plain/Key_007/str,SZ,str,\n", true), 1);
	assert_int_equal(count("/Select/LastKnownGood,DWORD,0x00000007,\n", true), 1);
	run("reglookup -s -p /ibbake/plain '%s' 2>&1", hive);
	assert_int_equal(count("WARN", false), count("While quoting value", false) +
						       count("converting value name", false));
	assert_int_equal(count("ERROR", false), 0);
}

static void test_reged(void **state)
{
	(void)state;
	need_tool("reged");
	/* its export gives up on value names in UTF-16, whoever wrote them; its editor does not */
	run("reged -x '%s' 'HKLM\\S' '\\ibbake\\plain' '%s/out.reg' 2>&1 && cat '%s/out.reg'", hive,
	    dir, dir);
	assert_int_equal(count("[HKLM\\S\\ibbake\\plain\\", true), 300);
	assert_int_equal(count("\"num\"=dword:01020304", true), 300);
	assert_int_equal(count("\"str\"=\"str\"", true), 300);
	run("printf 'cd ibbake\\\\wide\\nls\\nq\\n' | reged -e '%s' 2>&1", hive);
	assert_int_equal(count("Node has 200 subkeys and 0 values", false), 1);
	run("printf 'cd ibbake\\\\plain\\\\Key_007\\nls\\nq\\n' | reged -e '%s' 2>&1", hive);
	assert_int_equal(count("Node has 0 subkeys and 6 values", false), 1);
	assert_int_equal(count("16909060 [0x1020304]", false), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hivexml),	   cmocka_unit_test(test_hivexsh),
		cmocka_unit_test(test_regfexport), cmocka_unit_test(test_reglookup),
		cmocka_unit_test(test_reged),
	};

	if (cmocka_run_group_tests(tests, setup, teardown))
		return 1;
	return n_run ? 0 : 77;
}
