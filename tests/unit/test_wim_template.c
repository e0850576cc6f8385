/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The empty volume that the build embeds, and what it is laid into: a disk in memory that can move
 * to a file.
 */
#include "volume_image.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/le.h"
#include "listing.h"
#include "volume/ntfs_import.h"
#include "volume/wim_template.h"

/* Apart from the code that is tested with it. */
static void lay(struct ibb_disk *d)
{
	struct ibb_error err = {0};

	for (size_t i = 0; i < ibb_wim_template_n; i++) {
		const struct wim_template_run *r = &ibb_wim_template_runs[i];
		uint8_t *p = malloc(r->len);

		assert_non_null(p);
		for (uint32_t k = 0; k < r->len; k++)
			p[k] = r->kind == TEMPLATE_FILL ? (uint8_t)r->arg
			       : r->kind == TEMPLATE_BYTES
				       ? ibb_wim_template_data[r->arg + k]
				       : (uint8_t)((r->arg + k / 2) >> k % 2 * 8);
		assert_ok(ibb_disk_pwrite(d, p, r->len, r->off, &err), err);
		free(p);
	}
}

static struct ibb_disk *template_disk(void)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;

	assert_ok(ibb_disk_memfd_new("template", ibb_wim_template_bytes, NULL, &d, &err), err);
	lay(d);
	return d;
}

static void sound(void **state)
{
	struct ibb_disk *d = template_disk();
	struct ibb_volume_info info = {0};
	struct ntfscheck found;
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;
	size_t data = 0;

	(void)state;
	expect_sound(d);
	found = findings(d);
	/* mkntfs leaves an index entry with other attributes than its record; nothing else */
	assert_int_equal(found.n, 1);
	assert_non_null(ntfscheck_find(&found, "index-attributes-stale", "directory 5"));
	ntfscheck_clear(&found);
	assert_ok(ibb_volume_open_ntfs(d, true, &v, &err), err);
	assert_ok(ibb_volume_info(v, &info, &err), err);
	assert_int_equal(info.major, 3);
	assert_int_equal(info.cluster_bytes, 4096);
	assert_true(info.size_bytes >= (16ull << 30) - 4096 && info.size_bytes <= 16ull << 30);
	assert_true(info.free_bytes > (16ull << 30) - (8u << 20));
	expect_list(v, "", "");
	ibb_volume_close(v);
	for (size_t i = 0; i < ibb_wim_template_n; i++)
		if (ibb_wim_template_runs[i].kind == TEMPLATE_BYTES)
			data += ibb_wim_template_runs[i].len;
	print_message("%zu bytes, %zu runs, %llu KiB in memory\n", data, ibb_wim_template_n,
		      (unsigned long long)ibb_disk_memfd_bytes(d) >> 10);
	assert_true(data > 4096 && data < 64u << 10);
	assert_true(ibb_disk_memfd_bytes(d) < 4u << 20);
	ibb_disk_unref(d);
}

/* What libntfs-3g writes goes down at once, and is held once. */
static void scratch(void **state)
{
	struct ibb_disk *d = template_disk();
	uint64_t before = ibb_disk_memfd_bytes(d), after;
	uint8_t *p = pattern(10u << 20, 3);
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;

	(void)state;
	assert_ok(ibb_volume_open_ntfs_scratch(d, &v, &err), err);
	make_dir(v, "d");
	put_bytes(v, "d/big", p, 10u << 20, IBB_PUT_REPLACE);
	after = ibb_disk_memfd_bytes(d);
	assert_true(after - before >= 10u << 20 && after - before < 11u << 20);
	assert_ok(ibb_volume_commit(v, &err), err);
	ibb_volume_close(v);
	expect_sound(d);
	v = open_rw(d);
	expect_bytes(v, "D/BIG", p, 10u << 20);
	ibb_volume_close(v);
	free(p);
	ibb_disk_unref(d);
}

static void to_file(void **state)
{
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	const char *dir = img_path("spilled");
	uint8_t a[5000], b[5000];

	(void)state;
	memset(a, 0x5a, sizeof(a));
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_ok(ibb_disk_memfd_new("in memory", 1ull << 30, NULL, &d, &err), err);
	assert_ok(ibb_disk_pwrite(d, a, sizeof(a), 777, &err), err);
	assert_ok(ibb_disk_pwrite(d, a, sizeof(a), (1ull << 30) - sizeof(a), &err), err);
	assert_true(ibb_disk_memfd_bytes(d) > 0);
	assert_fails(ibb_disk_memfd_to_file(d, img_path("not there"), &err), IBB_E_IO, err,
		     "not there");
	/* and it is as it was */
	assert_true(ibb_disk_memfd_bytes(d) > 0);
	assert_ok(ibb_disk_memfd_to_file(d, dir, &err), err);
	assert_int_equal(ibb_disk_memfd_bytes(d), 0);
	assert_int_equal(files_in(dir), 0);
	assert_ok(ibb_disk_pread(d, b, sizeof(b), 777, &err), err);
	assert_memory_equal(a, b, sizeof(a));
	assert_ok(ibb_disk_pread(d, b, sizeof(b), (1ull << 30) - sizeof(a), &err), err);
	assert_memory_equal(a, b, sizeof(a));
	assert_ok(ibb_disk_pread(d, b, sizeof(b), 512u << 20, &err), err);
	for (size_t i = 0; i < sizeof(b); i++)
		assert_int_equal(b[i], 0);
	ibb_disk_unref(d);
}

/* The directory is full before the copy is whole. */
static void full(void **state)
{
	struct rlimit old, small;
	struct ibb_error err = {0};
	struct ibb_disk *d = NULL;
	uint8_t a[4096];

	(void)state;
	memset(a, 1, sizeof(a));
	assert_ok(ibb_disk_memfd_new("in memory", 1u << 20, NULL, &d, &err), err);
	for (unsigned i = 0; i < 256; i++)
		assert_ok(ibb_disk_pwrite(d, a, sizeof(a), i * 4096, &err), err);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 100000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_fails(ibb_disk_memfd_to_file(d, img_dir(), &err), IBB_E_IO, err, "temporary file");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(ibb_disk_memfd_bytes(d), 1u << 20);
	assert_ok(ibb_disk_memfd_to_file(d, img_dir(), &err), err);
	ibb_disk_unref(d);
}

/* An object comes with what it is given, and with nothing else. */
static void import(void **state)
{
	static const uint8_t sd[] = {
		1, 0, 4, 0x80, 48, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
		/* DACL: one */
		2, 0, 28, 0, 1, 0, 0, 0, 0, 0, 20, 0, 0xff, 1, 0x1f, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18,
		0, 0, 0,
		/* owner, group */
		1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
	uint8_t id[NTFS_OBJECT_ID_BYTES];
	const struct ibb_ntfs_import m = {
		.created = 131000000000000001u,
		.accessed = 131000000000000002u,
		.modified = 131000000000000003u,
		.changed = 131000000000000004u,
		.attributes = 0x2a27, /* with compressed and sparse: no file here is */
		.security = {sd, sizeof(sd)},
		.dos_name = "LONGNA~1.LOG",
		.object_id = id,
	};
	struct ibb_disk *d = template_disk();
	struct ibb_ntfs_meta got = {0};
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;
	uint8_t *p = pattern(70000, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(id); i++)
		id[i] = (uint8_t)(i + 1);
	assert_ok(ibb_volume_open_ntfs_scratch(d, &v, &err), err);
	assert_ok(ibb_ntfs_import_dir(v, "", (struct ibb_bytes){sd, sizeof(sd)}, &err), err);
	assert_ok(ibb_ntfs_import_dir(v, "Dir", (struct ibb_bytes){sd, sizeof(sd)}, &err), err);
	assert_ok(ibb_ntfs_import_file(v, "Dir/long name of it.log", bytes(p, 70000), &m, &err),
		  err);
	assert_fails(ibb_ntfs_import_file(v, "dir/LONG name of it.log", bytes(p, 1), &m, &err),
		     IBB_E_EXISTS, err, "exists");
	assert_fails(ibb_ntfs_import_dir(v, "dir/LONG name of it.log",
					 (struct ibb_bytes){sd, sizeof(sd)}, &err),
		     IBB_E_CONFLICT, err, "no directory");
	assert_fails(ibb_ntfs_import_file(v, "nope/x", bytes(p, 1), &m, &err), IBB_E_NOTFOUND, err,
		     "nope");
	assert_ok(ibb_volume_commit(v, &err), err);
	ibb_volume_close(v);
	v = open_rw(d);
	expect_bytes(v, "dir/longna~1.log", p, 70000);
	assert_ok(ibb_ntfs_meta(v, "Dir/long name of it.log", &got, &err), err);
	assert_int_equal(got.created, m.created);
	assert_int_equal(got.accessed, m.accessed);
	assert_int_equal(got.modified, m.modified);
	assert_int_equal(got.attributes, m.attributes);
	assert_int_equal(got.size_bytes, 70000);
	assert_int_equal(got.security.len, sizeof(sd));
	assert_memory_equal(got.security.data, sd, sizeof(sd));
	ibb_buf_clear(&got.security);
	ibb_volume_close(v);
	free(p);
	ibb_disk_unref(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound), cmocka_unit_test(scratch), cmocka_unit_test(to_file),
		cmocka_unit_test(full),	 cmocka_unit_test(import),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
