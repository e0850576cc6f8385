/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every allocation fails in turn, and the disk that changes are staged in; a run during which
 * something failed never succeeds, and leaves no descriptor and no file behind.
 */
#include "wim_stage.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "listing.h"

static char wim_name[600], temp[600];
static uint8_t *content;
static long asked; /* allocations of the last run */
#define CONTENT_BYTES 300000u
/* the empty volume and what is asked to be free fit, the content does not */
#define LOW_LIMIT (3400u << 10)

/* Changes of every kind. */
static int edit(struct ibb_volume *v, struct ibb_error *err)
{
	const struct ibb_bytes small = {content, 100}, large = {content, CONTENT_BYTES};
	int rc = ibb_volume_mkdir(v, "Windows/store", &dir_meta, err);

	if (!rc)
		rc = ibb_volume_put(v, "Windows/store/a.sys", large, IBB_PUT_REPLACE, &file_meta,
				    err);
	if (!rc)
		rc = ibb_volume_put(v, "Windows/old", small, IBB_PUT_REPLACE, &file_meta, err);
	if (!rc)
		rc = ibb_volume_put(v, "Windows/hive", small, IBB_PUT_IN_PLACE, &file_meta, err);
	if (!rc)
		rc = ibb_volume_put(v, "Windows/same", (struct ibb_bytes){content, 4},
				    IBB_PUT_IN_PLACE, &file_meta, err);
	if (!rc)
		rc = ibb_volume_remove(v, "gone/f", err);
	if (!rc)
		rc = ibb_volume_remove(v, "gone", err);
	if (!rc)
		rc = ibb_volume_touch(v, "Windows/store", &dir_meta, err);
	return rc;
}

/* `stubborn` goes on after a failure. */
static int whole_run(uint64_t limit, const char *dir, const char *out, bool stubborn,
		     struct ibb_error *err)
{
	struct ibb_volume *v = NULL;
	struct ibb_wim *w = NULL;
	int rc = ibb_wim_open(wim_name, NULL, &w, err), again;

	if (rc)
		return rc;
	w->staged_limit = limit;
	rc = ibb_volume_open_wim(w, 1, true, dir, &v, err);
	if (!rc) {
		rc = edit(v, err);
		if (stubborn && rc)
			ibb_mem_fail_at(-1, false);
		again = rc && !stubborn ? rc : ibb_volume_commit(v, rc ? NULL : err);
		if (rc && stubborn && to_wim(v)->base.failed_code)
			assert_int_equal(again, to_wim(v)->base.failed_code);
		if (again)
			assert_true(rc || *err->msg);
		rc = rc ? rc : again;
	}
	ibb_volume_close(v);
	asked = ibb_mem_count();
	ibb_mem_fail_at(-1, false);
	if (!rc && out)
		stage_write(w, out);
	ibb_wim_close(w);
	return rc;
}

static void expect_edited(const char *path)
{
	struct ibb_wim *w = wim_open(path);
	struct ibb_volume *v = wim_volume(w, 1);

	expect_bytes(v, "Windows/store/a.sys", content, CONTENT_BYTES);
	expect_bytes(v, "Windows/old", content, 100);
	expect_bytes(v, "Windows/hive", content, 100);
	expect_list(v, "", "Windows/");
	ibb_volume_close(v);
	ibb_wim_close(w);
}

static int setup(void **state)
{
	char dir[600];
	struct mkwim_image im = {.directory = dir, .name = "one"};
	const struct mkwim m = {.images = &im, .n_images = 1};
	struct ibb_error err = {0};

	(void)state;
	snprintf(dir, sizeof(dir), "%s", img_path("tree"));
	snprintf(wim_name, sizeof(wim_name), "%s", img_path("source.wim"));
	snprintf(temp, sizeof(temp), "%s", img_path("temp"));
	content = pattern(CONTENT_BYTES, 4);
	assert_int_equal(mkdir(temp, 0700), 0);
	assert_int_equal(run("mkdir -p '%s/Windows' '%s/gone' && cd '%s' && echo x > gone/f && "
			     "echo old > Windows/old && echo regf > Windows/hive && true",
			     dir, dir, dir),
			 0);
	assert_int_equal(run("head -c 4 '%s' > '%s/Windows/same'", "/dev/zero", dir), 0);
	memset(content, 0, 4);
	assert_ok(mkwim(wim_name, &m, &err), err);
	return 0;
}

/* In memory, and past the limit. */
static void allocations(void **state)
{
	static const uint64_t limits[] = {0, LOW_LIMIT};
	struct ibb_error err = {0};

	(void)state;
	/* what the libraries keep for good */
	assert_ok(whole_run(0, NULL, NULL, false, &err), err);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(limits); i++) {
		unsigned before = files_in("/proc/self/fd");
		char out[600];
		int rc = IBB_E_NOMEM;
		long n = 0;

		snprintf(out, sizeof(out), "%s", img_path("out.wim"));
		/* the second time the first few hundred are those of the first */
		for (; rc; n += i ? 3 : 1) {
			assert_true(n < 5000);
			(void)ibb_mem_count();
			ibb_mem_fail_at(n, false);
			rc = whole_run(limits[i], temp, out, n % 2, &err);
			ibb_mem_fail_at(-1, false);
			if (rc)
				assert_int_equal(rc, IBB_E_NOMEM);
			else if (asked > n)
				fail_msg("allocation %ld failed and nobody noticed", n);
		}
		print_message("%ld allocations\n", n);
		assert_true(n > 100);
		assert_int_equal(files_in("/proc/self/fd"), before);
		assert_int_equal(files_in(temp), 0);
		expect_edited(out);
	}
}

static void set_file_limit(rlim_t bytes)
{
	struct rlimit now;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &now), 0);
	now.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
}

/*
 * Writes fail, first in memory, then in a file: content lies behind the first GiB of the volume,
 * so that a limit on the file's length stops it and not what is read at the beginning.
 */
static void full(void **state)
{
	unsigned before = files_in("/proc/self/fd");
	struct ibb_error err = {0};
	struct rlimit old;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	for (unsigned in_file = 0; in_file < 2; in_file++) {
		struct ibb_wim *w = wim_open(wim_name);
		struct ibb_volume *v = stage_open(w, temp);

		w->staged_limit = in_file ? LOW_LIMIT : 0;
		put_bytes(v, "Windows/first", content, CONTENT_BYTES, IBB_PUT_REPLACE);
		assert_int_equal(w->staged_memory == 0, in_file);
		set_file_limit(1u << 30);
		assert_fails(ibb_volume_put(v, "Windows/second", bytes(content, CONTENT_BYTES),
					    IBB_PUT_REPLACE, &file_meta, &err),
			     IBB_E_IO, err, in_file ? temp : "changes of");
		set_file_limit(old.rlim_cur);
		assert_fails(ibb_volume_put(v, "Windows/third", bytes(content, 1), IBB_PUT_REPLACE,
					    &file_meta, &err),
			     IBB_E_IO, err, "an earlier change failed");
		assert_fails(ibb_volume_commit(v, &err), IBB_E_IO, err, "nothing is committed");
		assert_false(w->changed[0]);
		ibb_volume_close(v);
		ibb_wim_close(w);
	}
	/* no room for the volume at all, in memory or where it moves to */
	set_file_limit(1u << 30);
	assert_int_equal(whole_run(LOW_LIMIT, temp, NULL, false, &err), IBB_E_IO);
	set_file_limit(old.rlim_cur);
	assert_int_equal(whole_run(LOW_LIMIT, NULL, NULL, false, &err), IBB_E_LIMIT);
	assert_int_equal(whole_run(LOW_LIMIT, img_path("nowhere"), NULL, false, &err), IBB_E_IO);
	assert_int_equal(files_in("/proc/self/fd"), before);
	assert_int_equal(files_in(temp), 0);
}

/* No descriptor is left for the memory file, for its copy, or for wimlib. */
static void descriptors(void **state)
{
	struct rlimit old, few;
	struct ibb_error err = {0};
	unsigned before = files_in("/proc/self/fd"), failed = 0;
	int rc = -1;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (rlim_t n = 3; rc; n++) {
		few = old;
		few.rlim_cur = n;
		assert_true(n < before + 40);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		rc = whole_run(LOW_LIMIT, temp, NULL, false, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		if (rc)
			assert_true(*err.msg);
		failed += rc != 0;
		assert_int_equal(files_in("/proc/self/fd"), before);
	}
	assert_true(failed >= 3);
	assert_int_equal(files_in(temp), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations),
		cmocka_unit_test(full),
		cmocka_unit_test(descriptors),
	};

	return cmocka_run_group_tests(tests, setup, img_teardown) ? 1 : 0;
}
