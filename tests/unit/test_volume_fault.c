/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every read, write, flush and allocation fails in turn. Never may a run succeed during which
 * something failed; a run that succeeds leaves exactly the bytes of the run without faults.
 */
#include "volume_image.h"

#include <errno.h>

#define SMALL_MIB 4

static struct ibb_disk *base, *want;

/* Reads and changes of every kind; IBB_OK when all of them and the commit went well. */
static int list_nothing(void *ctx, const char *name, enum ibb_file_type type, struct ibb_error *err)
{
	(void)ctx;
	(void)name;
	(void)type;
	(void)err;
	return IBB_OK;
}

static int edit(struct ibb_volume *v, struct ibb_error *err)
{
	static uint8_t data[50000];
	const struct ibb_bytes small = {data, 100}, large = {data, sizeof(data)};
	struct ibb_stat st;
	int rc;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	rc = ibb_volume_mkdir(v, "store/pkg", &dir_meta, err);
	if (!rc)
		rc = ibb_volume_put(v, "store/pkg/a.sys", large, IBB_PUT_REPLACE, &file_meta, err);
	if (!rc)
		rc = ibb_volume_put(v, "store/pkg/a.inf", small, IBB_PUT_REPLACE, &file_meta, err);
	if (!rc)
		rc = ibb_volume_put(v, "store/old", large, IBB_PUT_REPLACE, &file_meta, err);
	if (!rc)
		rc = ibb_volume_put(v, "hive", large, IBB_PUT_IN_PLACE, &file_meta, err);
	if (!rc)
		rc = ibb_volume_stat(v, "store/gone", &st, err);
	if (!rc)
		rc = ibb_volume_remove(v, "store/gone", err);
	if (!rc)
		rc = ibb_volume_list(v, "store", list_nothing, NULL, err);
	if (!rc)
		rc = ibb_volume_touch(v, "store", &dir_meta, err);
	return rc;
}

static int whole_run(struct ibb_disk *d, struct ibb_error *err)
{
	struct ibb_volume *v = NULL;
	int rc = ibb_volume_open_ntfs(d, true, &v, err), again;

	if (rc)
		return rc;
	rc = edit(v, err);
	again = ibb_volume_commit(v, rc ? NULL : err);
	ibb_volume_close(v);
	return rc ? rc : again;
}

/* Whoever goes on and commits after a failure. */
static int stubborn_run(struct ibb_disk *d, bool *ret_committed, struct ibb_error *err)
{
	struct ibb_volume *v = NULL;
	int rc = ibb_volume_open_ntfs(d, true, &v, err);

	*ret_committed = false;
	if (rc)
		return rc;
	rc = edit(v, err);
	ibb_mem_fail_at(-1, false);
	if (rc) {
		struct ibb_error e = {0};
		int put_rc = ibb_volume_put(v, "another", (struct ibb_bytes){0}, IBB_PUT_REPLACE,
					    &file_meta, &e);

		if (put_rc)
			assert_non_null(strstr(e.msg, "an earlier change failed"));
		*ret_committed = ibb_volume_commit(v, &e) == IBB_OK;
		assert_int_equal(*ret_committed, put_rc == IBB_OK);
	}
	ibb_volume_close(v);
	return rc;
}

/* What was committed in spite of a failure is whole: each file as before or as wanted. */
static void expect_whole(struct ibb_disk *d)
{
	static const struct {
		const char *path;
		size_t old, new;
	} files[] = {{"store/old", 3, 50000}, {"hive", 4, 50000}};
	struct ibb_volume *v = open_rw(d);

	for (size_t i = 0; i < IBB_ARRAY_SIZE(files); i++) {
		struct ibb_stat st = stat_of(v, files[i].path);

		assert_true(st.size_bytes == files[i].old || st.size_bytes == files[i].new);
		assert_int_equal(st.mtime, IMG_TIME);
	}
	ibb_volume_close(v);
	check_ntfs(d);
}

static int setup(void **state)
{
	struct ibb_error err = {0};
	struct ibb_volume *v;

	(void)state;
	base = make_ntfs(SMALL_MIB, 512, 4096);
	v = open_rw(base);
	make_dir(v, "store");
	put(v, "store/old", "old");
	put(v, "store/gone", "gone");
	put(v, "hive", "regf");
	commit_close(v);
	want = copy_disk(base);
	assert_ok(whole_run(want, &err), err);
	assert_false(same_disks(base, want));
	return 0;
}

static struct ibb_disk *layer(struct ibb_fault *plan, struct ibb_disk **ret_copy)
{
	struct ibb_error err = {0};
	struct ibb_disk *f = NULL;

	*ret_copy = NULL;
	assert_ok(ibb_disk_overlay_new(base, 64u << 20, ret_copy, &err), err);
	assert_ok(ibb_disk_fault_new(*ret_copy, plan, &f, &err), err);
	return f;
}

static struct ibb_fault no_fault(void)
{
	return (struct ibb_fault){.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
}

static void fail_each(enum ibb_fault_kind kind, bool persistent, long step, long *ret_tried)
{
	long n = 0;

	for (*ret_tried = 0;; n += step, ++*ret_tried) {
		struct ibb_fault plan = no_fault();
		struct ibb_disk *copy, *f;
		struct ibb_error err = {0};
		bool fired;
		int rc;

		plan.fail_at[kind] = n;
		plan.persistent = persistent;
		f = layer(&plan, &copy);
		rc = whole_run(f, &err);
		fired = plan.count[kind] > n;
		if (fired && !rc)
			fail_msg("kind %d: operation %ld failed and nobody noticed", kind, n);
		if (rc)
			assert_true(*err.msg);
		/* only commit writes */
		if (rc && kind == IBB_FAULT_READ && plan.count[IBB_FAULT_WRITE] == 0)
			assert_int_equal(ibb_disk_overlay_dirty_bytes(copy), 0);
		if (!rc)
			assert_true(same_disks(copy, want));
		ibb_disk_unref(f);
		ibb_disk_unref(copy);
		if (!fired)
			break;
	}
	print_message("kind %d: %ld faults\n", kind, *ret_tried);
}

static void reads(void **state)
{
	long n;

	(void)state;
	fail_each(IBB_FAULT_READ, false, 1, &n);
	assert_true(n > 30);
	fail_each(IBB_FAULT_READ, true, 3, &n);
	assert_true(n > 10);
}

static void writes(void **state)
{
	long n;

	(void)state;
	fail_each(IBB_FAULT_WRITE, false, 1, &n);
	assert_true(n > 3);
	fail_each(IBB_FAULT_WRITE, true, 1, &n);
}

static void flushes(void **state)
{
	long n;

	(void)state;
	fail_each(IBB_FAULT_FLUSH, false, 1, &n);
	assert_true(n >= 1);
}

/*
 * The same below the library: its writes go to a layer in memory, so an allocation that fails
 * there is a failed write, which it was seen to swallow.
 */
static void allocations(void **state)
{
	long n = 0;
	int rc = IBB_E_NOMEM;

	(void)state;
	for (; rc; n++) {
		struct ibb_fault plan = no_fault();
		struct ibb_disk *copy, *f = layer(&plan, &copy);
		struct ibb_error err = {0};

		assert_true(n < 5000);
		(void)ibb_mem_count();
		ibb_mem_fail_at(n, false);
		rc = whole_run(f, &err);
		ibb_mem_fail_at(-1, false);
		if (ibb_mem_count() > n && !rc)
			fail_msg("allocation %ld failed and nobody noticed", n);
		if (rc)
			assert_int_equal(rc, IBB_E_NOMEM);
		else
			assert_true(same_disks(copy, want));
		ibb_disk_unref(f);
		ibb_disk_unref(copy);
	}
	print_message("%ld allocations\n", n);
	assert_true(n > 50);
}

/* After a change that failed in the middle nothing more can be staged, and nothing committed. */
static void no_commit_after_failure(void **state)
{
	unsigned refused = 0;
	int rc = IBB_E_NOMEM;

	(void)state;
	for (long n = 0; rc; n++) {
		struct ibb_fault plan = no_fault();
		struct ibb_disk *copy, *f = layer(&plan, &copy);
		struct ibb_error err = {0};
		bool committed;

		assert_true(n < 5000);
		ibb_mem_fail_at(n, false);
		rc = stubborn_run(f, &committed, &err);
		ibb_mem_fail_at(-1, false);
		if (committed)
			expect_whole(copy);
		else
			assert_int_equal(ibb_disk_overlay_dirty_bytes(copy), 0);
		refused += rc && !committed;
		ibb_disk_unref(f);
		ibb_disk_unref(copy);
	}
	assert_true(refused > 10);
}

static int teardown(void **state)
{
	ibb_disk_unref(base);
	ibb_disk_unref(want);
	return img_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(writes),
		cmocka_unit_test(flushes),
		cmocka_unit_test(allocations),
		cmocka_unit_test(no_commit_after_failure),
	};

	if (!have_tool("mkntfs")) {
		print_message("SKIPPED: mkntfs (package ntfs-3g) is not installed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
