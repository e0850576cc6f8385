/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * base under lack of memory: each case runs with its nth allocation failing, for every n until it
 * passes untouched, once with a single failure and once with all later ones failing as well.
 * cJSON's allocations go through the same hook here.
 */
#include "test.h"

#include <cjson/cJSON.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/path.h"
#include "base/utf16.h"

/* Runs the case; an error must be IBB_E_NOMEM, and success must be a right result. */
static void sweep(const char *name, int (*fn)(struct ibb_error *err), long at_least)
{
	for (int persistent = 0; persistent < 2; persistent++) {
		long n = 0;

		for (;; n++) {
			struct ibb_error err = {0};
			int r;
			long asked;

			ibb_mem_fail_at(n, persistent);
			r = fn(&err);
			asked = ibb_mem_count();
			ibb_mem_fail_at(-1, false);
			if (asked <= n) { /* nothing failed */
				if (r)
					fail_msg("%s: %d %s", name, r, err.msg);
				break;
			}
			if (r != IBB_E_NOMEM)
				fail_msg("%s: allocation %ld failed: %d %s", name, n, r, err.msg);
			assert_string_equal(err.msg, "out of memory");
		}
		if (n < at_least)
			fail_msg("%s: only %ld allocations seen, wanted %ld", name, n, at_least);
	}
}

static int buffers(struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};

	if (ibb_buf_append_str(&b, "abc") || ibb_buf_printf(&b, "%0200d", 1) ||
	    ibb_buf_append_zero(&b, 2000) || !ibb_buf_cstr(&b))
		return ibb_err_nomem(err);
	assert_int_equal(b.len, 2203);
	return IBB_OK;
}

static int arena(struct ibb_error *err)
{
	struct ibb_arena a = {0};
	int r = IBB_OK;

	for (int i = 0; i < 40 && !r; i++)
		if (!ibb_arena_alloc(&a, 10000) || !ibb_arena_printf(&a, "%d", i) ||
		    !ibb_arena_array(&a, 3, 7000))
			r = ibb_err_nomem(err);
	ibb_arena_clear(&a);
	return r;
}

static int text(struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf u = {0};
	IBB_AUTO_FREE char *s = NULL;

	for (int i = 0; i < 50; i++) {
		size_t before = u.len;

		if (ibb_utf16le_append(&u, "D\xc3\xa4s \xf0\x9f\x98\x80")) {
			assert_int_equal(u.len, before);
			return ibb_err_nomem(err);
		}
	}
	s = ibb_utf8_from_utf16le(u.data, u.len);
	if (!s)
		return ibb_err_nomem(err);
	assert_int_equal(strlen(s), 50 * 9);
	return IBB_OK;
}

static int paths(struct ibb_error *err)
{
	IBB_AUTO_FREE char *p = NULL;
	int r = ibb_path_normalize("\\Windows\\INF\\", &p, err);

	if (r)
		assert_null(p);
	else
		assert_string_equal(p, "Windows/INF");
	return r;
}

static int json_read(struct ibb_error *err)
{
	static const char doc[] =
		"{\"a\":[1,\"x\\u00e4\",{\"k\":null}],\"b\":{\"c\":true,\"d\":1e5}}";
	IBB_AUTO(ibb_json_free) struct ibb_json *j = NULL;
	int r = ibb_json_parse("f", doc, sizeof(doc) - 1, &j, err);

	if (r)
		assert_null(j);
	else
		assert_int_equal(ibb_json_count(ibb_json_get(j, "a")), 3);
	return r;
}

static int json_write(struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *j = NULL;
	IBB_AUTO_BUF struct ibb_buf out = {0};
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_jb_object(&b, NULL, NULL), *a;
	char big[1000];
	int r;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	a = ibb_jb_array(&b, root, "a");
	ibb_jb_str(&b, a, NULL, "x\x80");
	ibb_jb_int(&b, a, NULL, INT64_MAX);
	ibb_jb_fmt(&b, root, "big", "%s", big);
	ibb_jb_u64(&b, root, "u", UINT64_MAX);
	ibb_jb_hex(&b, root, "h", "\1\2", 2);
	ibb_jb_bool(&b, root, "t", true);
	ibb_jb_null(&b, root, "n");
	r = ibb_jb_done(&b, &j, err);
	if (r) {
		assert_null(j);
		return r;
	}
	return ibb_json_print(j, &out, err);
}

static int json_copy(struct ibb_error *err)
{
	static const char doc[] = "{\"a\":[1,2,{\"k\":\"v\"}]}";
	IBB_AUTO(ibb_json_free) struct ibb_json *j = NULL, *k = NULL;
	struct ibb_jb b = {0};
	int r = ibb_json_parse("f", doc, sizeof(doc) - 1, &j, err);

	if (r)
		return r;
	ibb_jb_copy(&b, ibb_jb_array(&b, NULL, NULL), NULL, j);
	r = ibb_jb_done(&b, &k, err);
	if (!r)
		assert_int_equal(ibb_json_count(ibb_json_get(ibb_json_first(k), "a")), 3);
	return r;
}

/* In a directory of its own: whatever failed, no name is left and no lock held. */
static int files(struct ibb_error *err)
{
	char dir[] = "/tmp/ibbake-fault.XXXXXX", path[64];
	IBB_AUTO_BUF struct ibb_buf back = {0};
	struct ibb_atomic a;
	struct ibb_lock l;
	int r;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/out", dir);
	r = ibb_lock_take(&l, path, err);
	for (int replace = 0; replace < 2 && !r; replace++) {
		r = ibb_atomic_begin(&a, path, replace, err);
		if (r)
			break;
		r = ibb_pwrite_full(a.fd, "text", 4, 0, path, err);
		if (r)
			ibb_atomic_abort(&a);
		else
			r = ibb_atomic_commit(&a, err);
	}
	if (!r)
		r = ibb_read_file(path, 4, &back, err);
	ibb_lock_release(&l);
	(void)unlink(path);
	assert_int_equal(rmdir(dir), 0);
	return r;
}

static void test_sweeps(void **state)
{
	cJSON_Hooks hooks = {.malloc_fn = ibb_alloc, .free_fn = free};

	(void)state;
	sweep("buffers", buffers, 3);
	sweep("arena", arena, 10);
	sweep("text", text, 5);
	sweep("paths", paths, 1);
	sweep("files", files, 6);
	cJSON_InitHooks(&hooks);
	sweep("json_read", json_read, 12);
	sweep("json_write", json_write, 20);
	sweep("json_copy", json_copy, 12);
	cJSON_InitHooks(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sweeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
