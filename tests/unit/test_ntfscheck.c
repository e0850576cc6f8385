/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The checker for NTFS itself: content with what Windows, mkntfs and our back end made; whatever
 * the bytes are, it ends, and says so when memory or the disk fails.
 */
#include "test_ntfscheck.h"

#include "disk/partition.h"

/* A range that shrank was there before; one that grew, or a note that became an error, was not. */
static void comparing(void **state)
{
	struct ntfscheck_finding x = {.code = "bitmap-cluster-lost", .place = "$Bitmap"}, y;
	struct ntfscheck before = {.items = &x, .n = 1}, after = {.items = &y, .n = 1};

	(void)state;
	x.first = 100;
	x.n = 10;
	y = x;
	assert_null(ntfscheck_worse(&before, &after));
	y.first = 105;
	y.n = 5;
	assert_null(ntfscheck_worse(&before, &after));
	y.n = 6;
	assert_ptr_equal(ntfscheck_worse(&before, &after), &y);
	y.note = true;
	assert_null(ntfscheck_worse(&before, &after));
	y = x;
	x.note = true;
	assert_ptr_equal(ntfscheck_worse(&before, &after), &y);
	x.note = false;
	snprintf(y.place, sizeof(y.place), "elsewhere");
	assert_ptr_equal(ntfscheck_worse(&before, &after), &y);
}

static void sound_volumes(void **state)
{
	static const struct {
		unsigned mib, sector, cluster;
	} all[] = {{16, 512, 4096},
		   {16, 512, 512},
		   {32, 4096, 4096},
		   {64, 512, 65536},
		   {64, 512, 1024}};
	struct ntfscheck r;

	(void)state;
	expect_sound(sound);
	r = findings(sound);
	/* not one that looks at nothing */
	assert_true(r.n_records > N_MANY + 24);
	assert_true(r.n_names > N_MANY + N_LINKS + 16);
	assert_true(r.n_clusters > 200);
	ntfscheck_clear(&r);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(all); i++) {
		struct ibb_disk *d = make_ntfs(all[i].mib, all[i].sector, all[i].cluster);
		struct ibb_volume *v;

		expect_sound(d);
		v = open_rw(d);
		fill(v);
		commit_close(v);
		expect_sound(d);
		ibb_disk_unref(d);
	}
}

/* ---- volumes that Windows made ---- */

static void expect_sound_disk(const char *path)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = disk_from_file(path, 512), *part = NULL;
	struct ibb_ptable t;

	assert_ok(ibb_ptable_read(d, &t, &err), err);
	assert_int_equal(t.n, 1);
	assert_ok(ibb_disk_slice_new(d, t.parts[0].off_bytes, t.parts[0].len_bytes, &part, &err),
		  err);
	expect_sound(part);
	ibb_ptable_clear(&t);
	ibb_disk_unref(part);
	ibb_disk_unref(d);
}

/* Windows leaves copies of sizes stale: those are notes, and there is nothing else. */
static void windows_disks(void **state)
{
	static const char *const names[] = {"fixed.vhd", "dynamic.vhd", "fixed.vhdx",
					    "dynamic.vhdx"};
	unsigned n = 0;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(names); i++) {
		char rel[100];
		const char *gz;

		snprintf(rel, sizeof(rel), "vhds/%s.gz", names[i]);
		gz = test_data(rel);
		if (!gz || !have_tool("qemu-img"))
			continue;
		assert_int_equal(run("gzip -dc '%s' | dd of='%s' bs=64k", gz, img_path("packed")),
				 0);
		assert_int_equal(run("qemu-img convert -O raw '%s' '%s'", img_path("packed"),
				     img_path("raw")),
				 0);
		expect_sound_disk(img_path("raw"));
		n++;
	}
	if (!n) {
		print_message("SKIPPED: no test data (vhds), or no qemu-img\n");
		skip();
	}
}

/* ---- anything ---- */

static void flips(void **state)
{
	uint64_t seed = 20261120, found = 0;
	const char *more = getenv("IBB_TEST_FLIPS");
	long rounds = more ? strtol(more, NULL, 10) : 400;
	struct ibb_error err = {0};
	/* where the metadata is: records, index blocks, descriptors, bitmaps, the boot sector */
	const uint64_t where[] = {0,
				  stream_at(sound, REC_MFT, AT_STREAM, "", 0),
				  stream_at(sound, REC_MFT, AT_STREAM, "", 64 * 1024),
				  stream_at(sound, r_many, AT_INDEX_BLOCKS, "$I30", 0),
				  stream_at(sound, REC_ROOT, AT_INDEX_BLOCKS, "$I30", 0),
				  stream_at(sound, REC_SECURE, AT_STREAM, "$SDS", 0)};

	(void)state;
	for (long i = 0; i < rounds; i++) {
		struct ibb_disk *d = NULL;
		struct ntfscheck r;

		assert_ok(ibb_disk_overlay_new(sound, 8u << 20, &d, &err), err);
		for (unsigned k = 0; k < 1 + i % 6; k++) {
			uint64_t w = where[(seed >> 20) % IBB_ARRAY_SIZE(where)];
			uint64_t span = w ? 64 * 1024 : 512;

			seed = seed * 6364136223846793005u + 1442695040888963407u;
			flip(d, w + (seed >> 33) % span, (uint8_t)(1u << (seed >> 28) % 8));
			seed = seed * 6364136223846793005u + 1442695040888963407u;
		}
		r = findings(d);
		found += r.n_errors > 0;
		ntfscheck_clear(&r);
		ibb_disk_unref(d);
	}
	/* many bits lie in slack or in times, which nobody judges */
	assert_true(found > (uint64_t)rounds / 4);
}

/* Memory runs out, or the disk fails: said so, and nothing is handed out. */
static void failures(void **state)
{
	struct ibb_fault plan = {.fail_at = {-1, -1, -1}, .cut_after = -1, .os_errno = EIO};
	struct ntfscheck r = {0};
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	long n, reads;

	(void)state;
	assert_ok(ibb_disk_fault_new(sound, &plan, &d, &err), err);
	(void)ibb_mem_count();
	assert_ok(ntfscheck_run(d, &r, &err), err);
	n = ibb_mem_count();
	reads = plan.count[IBB_FAULT_READ];
	assert_true(n > 100 && reads > 20);
	ntfscheck_clear(&r);
	for (long i = 0; i < n; i += 1 + n / 100) {
		int rc;

		ibb_mem_fail_at(i, false);
		rc = ntfscheck_run(d, &r, &err);
		ibb_mem_fail_at(-1, false);
		/* names in messages are the only thing that may be left out */
		assert_true(rc == IBB_E_NOMEM || !r.n_errors);
		ntfscheck_clear(&r);
	}
	for (long i = 0; i < reads; i++) {
		plan.count[IBB_FAULT_READ] = 0;
		plan.fail_at[IBB_FAULT_READ] = i;
		assert_int_equal(ntfscheck_run(d, &r, &err), IBB_E_IO);
		assert_null(r.items);
	}
	ibb_disk_unref(d);
}

static void no_volume(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	struct ntfscheck r;

	(void)state;
	assert_ok(ibb_disk_mem_new(1u << 20, 512, &d, &err), err);
	r = findings(d);
	assert_non_null(ntfscheck_find(&r, "boot-file-system-id", NULL));
	ntfscheck_clear(&r);
	ibb_disk_unref(d);
	assert_ok(ibb_disk_mem_new(512, 512, &d, &err), err);
	r = findings(d);
	assert_non_null(ntfscheck_find(&r, "boot-total-sectors", NULL));
	ntfscheck_clear(&r);
	ibb_disk_unref(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_volumes), cmocka_unit_test(windows_disks),
		cmocka_unit_test(comparing),	 cmocka_unit_test(flips),
		cmocka_unit_test(failures),	 cmocka_unit_test(no_volume),
	};

	return cmocka_run_group_tests(tests, setup, teardown) ? 1 : 0;
}
