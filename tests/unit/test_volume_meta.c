/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Security, times, identical runs, commit, space and geometries of the NTFS back end. */
#include "ntfs_raw.h"

#include <malloc.h>

static void expect_security(struct ibb_volume *v, const char *path, const char *want)
{
	struct ibb_error err = {0};
	struct ibb_buf sd = {0}, text = {0};

	assert_ok(ibb_volume_security(v, path, &sd, &err), err);
	assert_ok(ibb_security_text(ibb_buf_bytes(&sd), &text, &err), err);
	assert_non_null(ibb_buf_cstr(&text));
	assert_string_equal(ibb_buf_cstr(&text), want);
	ibb_buf_clear(&sd);
	ibb_buf_clear(&text);
}

/* DriverStore-like: SYSTEM, Administrators, Users, creator; owner and group SYSTEM. */
static const uint8_t store_sd[] = {
	1, 0, 0x04, 0x94, 20, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0,
	/* owner, group */
	1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
	/* DACL of three */
	2, 0, 72, 0, 3, 0, 0, 0,
	/* SYSTEM: OI CI, full */
	0, 3, 20, 0, 0xff, 0x01, 0x1f, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
	/* Users: OI CI, generic read + execute */
	0, 3, 24, 0, 0, 0, 0, 0xa0, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x21, 2, 0, 0,
	/* creator owner: OI CI IO, generic all */
	0, 11, 20, 0, 0, 0, 0, 0x10, 1, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0};

static void security(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct ntfscheck found;
	struct raw *r;
	ntfs_inode *ni;
	uint32_t id;

	(void)state;
	make_dir(v, "store");
	make_dir(v, "bare");
	make_dir(v, "broken");
	commit_close(v);
	r = raw_open(d);
	raw_set_sd(r, "store", store_sd, sizeof(store_sd));
	/* a directory without any descriptor: neither an id nor an attribute */
	ni = raw_inode(r, "bare");
	ni->security_id = 0;
	ntfs_inode_mark_dirty(ni);
	raw_done(ni);
	/* and one whose id leads nowhere */
	ni = raw_inode(r, "broken");
	ni->security_id = cpu_to_le32(0x7fff);
	ntfs_inode_mark_dirty(ni);
	raw_done(ni);
	raw_close(r);

	v = open_rw(d);
	put(v, "store/a.inf", "a");
	put(v, "store/b.inf", "b");
	make_dir(v, "store/x86");
	put(v, "store/x86/c.sys", "c");
	expect_security(v, "store/a.inf",
			"O:SYG:SYD:AI(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)(A;ID;FA;;;SY)");
	expect_security(v, "store/x86",
			"O:SYG:SYD:AI(A;OICIID;FA;;;SY)(A;ID;0x1200a9;;;BU)"
			"(A;OICIIOID;0xa0000000;;;BU)(A;ID;FA;;;SY)(A;OICIIOID;GA;;;CO)");
	expect_security(v, "store/x86/c.sys",
			"O:SYG:SYD:AI(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)(A;ID;FA;;;SY)");
	/* one descriptor in $Secure for all that are equal */
	id = stat_of(v, "store/a.inf").security_id;
	assert_true(id >= 0x100);
	assert_int_equal(stat_of(v, "store/b.inf").security_id, id);
	assert_int_equal(stat_of(v, "store/x86/c.sys").security_id, id);
	assert_int_not_equal(stat_of(v, "store/x86").security_id, id);

	put(v, "bare/f", "f");
	expect_security(v, "bare/f", "O:SYG:SYD:(A;;FA;;;SY)(A;;FA;;;BA)");
	assert_fails(ibb_volume_security(v, "bare", &b, &err), IBB_E_UNSUPPORTED, err,
		     "no security descriptor");
	assert_fails(ibb_volume_security(v, "broken", &b, &err), IBB_E_CORRUPT, err,
		     "security descriptor");
	assert_fails(
		ibb_volume_put(v, "broken/f", bytes("f", 1), IBB_PUT_REPLACE, &file_meta, &err),
		IBB_E_CORRUPT, err, "broken/f: security of its directory");
	/* refused before anything changed, so the rest can be committed */
	commit_close(v);
	ask_ntfs_tools(d);
	/* what was planted is the only thing wrong */
	found = findings(d);
	assert_int_equal(found.n_errors, 1);
	assert_non_null(ntfscheck_find(&found, "security-id-missing", NULL));
	ntfscheck_clear(&found);
	v = open_rw(d);
	assert_int_equal(stat_of(v, "store/b.inf").security_id, id);
	/* a replaced file gets what its directory gives, and in place keeps what it has */
	put(v, "store/a.inf", "again");
	assert_int_equal(stat_of(v, "store/a.inf").security_id, id);
	put_bytes(v, "store/a.inf", "in place", 8, IBB_PUT_IN_PLACE);
	assert_int_equal(stat_of(v, "store/a.inf").security_id, id);
	ibb_volume_close(v);
	ibb_disk_unref(d);
}

static void expect_times(struct raw *r, const char *path, uint64_t create, uint64_t others)
{
	ntfs_inode *ni = raw_inode(r, path);
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(ni, NULL);
	FILE_NAME_ATTR idx;
	const STANDARD_INFORMATION *si;
	const FILE_NAME_ATTR *fn;

	assert_non_null(ctx);
	assert_int_equal(ntfs_attr_lookup(AT_STANDARD_INFORMATION, AT_UNNAMED, 0, CASE_SENSITIVE, 0,
					  NULL, 0, ctx),
			 0);
	si = (const void *)((const char *)ctx->attr + le16_to_cpu(ctx->attr->value_offset));
	assert_int_equal(sle64_to_cpu(si->creation_time), create);
	assert_int_equal(sle64_to_cpu(si->last_data_change_time), others);
	assert_int_equal(sle64_to_cpu(si->last_mft_change_time), others);
	ntfs_attr_reinit_search_ctx(ctx);
	assert_int_equal(
		ntfs_attr_lookup(AT_FILE_NAME, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, ctx), 0);
	fn = ntfs_file_name(ctx);
	assert_int_equal(sle64_to_cpu(fn->creation_time), create);
	assert_int_equal(sle64_to_cpu(fn->last_data_change_time), others);
	assert_int_equal(sle64_to_cpu(fn->last_mft_change_time), others);
	ntfs_attr_put_search_ctx(ctx);
	raw_done(ni);
	if (!*path)
		return;
	idx = raw_index_entry(r, path);
	assert_int_equal(sle64_to_cpu(idx.creation_time), create);
	assert_int_equal(sle64_to_cpu(idx.last_data_change_time), others);
	assert_int_equal(sle64_to_cpu(idx.last_mft_change_time), others);
}

static void times_and_attributes(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	struct ibb_meta later = {IMG_TIME + 5, 0x20}, last = {IMG_TIME + 9, 0};
	struct ibb_meta hidden = {IMG_TIME + 5, 0x20 | 0x2 | 0x4};
	struct raw *r;
	uint64_t root_created;

	(void)state;
	make_dir(v, "a");
	make_dir(v, "a/b");
	put(v, "a/b/f", "f");
	assert_ok(ibb_volume_put(v, "a/b/g", bytes("g", 1), IBB_PUT_REPLACE, &later, &err), err);
	assert_int_equal(stat_of(v, "a/b").attributes & ~0x10000000u, 0);
	assert_int_equal(stat_of(v, "a/b/f").attributes, 0x20);
	assert_ok(ibb_volume_put(v, "a/h", bytes("h", 1), IBB_PUT_REPLACE, &hidden, &err), err);
	assert_int_equal(stat_of(v, "a/h").attributes, 0x26);
	commit_close(v);
	r = raw_open(d);
	expect_times(r, "a/b/f", IMG_TIME, IMG_TIME);
	expect_times(r, "a/b/g", IMG_TIME + 5, IMG_TIME + 5);
	/* the directories say when they were last changed */
	expect_times(r, "a/b", IMG_TIME, IMG_TIME + 5);
	expect_times(r, "a", IMG_TIME, IMG_TIME + 5);
	root_created = (uint64_t)sle64_to_cpu(raw_index_entry(r, ".").creation_time);
	expect_times(r, "", root_created, IMG_TIME);
	/* the attributes are the same in the index, and in the record's own FILE_NAME */
	assert_int_equal(le32_to_cpu((uint32_t)raw_index_entry(r, "a/b").file_attributes),
			 0x10000000);
	assert_int_equal(le32_to_cpu((uint32_t)raw_index_entry(r, "a/h").file_attributes), 0x26);
	raw_close(r);

	v = open_rw(d);
	assert_ok(ibb_volume_touch(v, "A/B", &last, &err), err);
	assert_ok(ibb_volume_touch(v, "", &last, &err), err);
	put_bytes(v, "a/b/g", "in place", 8, IBB_PUT_IN_PLACE);
	/* removing says nothing about when: the directory keeps its times */
	assert_ok(ibb_volume_remove(v, "a/h", &err), err);
	commit_close(v);
	r = raw_open(d);
	expect_times(r, "a/b", IMG_TIME, IMG_TIME + 9);
	expect_times(r, "", root_created, IMG_TIME + 9);
	expect_times(r, "a/b/g", IMG_TIME + 5, IMG_TIME);
	expect_times(r, "a", IMG_TIME, IMG_TIME + 5);
	raw_close(r);
	check_ntfs(d);
	ibb_disk_unref(d);
}

static void one_run(struct ibb_disk *d)
{
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	uint8_t *p = pattern(200000, 9);

	make_dir(v, "new");
	for (unsigned i = 0; i < 60; i++) {
		char path[80];

		snprintf(path, sizeof(path), "new/file with a name to fill the index %u", i);
		put_bytes(v, path, p, i * 1237 % 200000, IBB_PUT_REPLACE);
	}
	put(v, "linked/a", "breaks a link");
	put(v, "wof", "cured");
	put_bytes(v, "hive", p, 150000, IBB_PUT_IN_PLACE);
	put_bytes(v, "hive", p, 70001, IBB_PUT_IN_PLACE);
	assert_ok(ibb_volume_remove(v, "new/file with a name to fill the index 7", &err), err);
	assert_ok(ibb_volume_remove(v, "linked/c", &err), err);
	assert_ok(ibb_volume_touch(v, "new", &dir_meta, &err), err);
	commit_close(v);
	free(p);
}

/* The same operations at another time, and in other memory, give the same bytes. */
static void two_runs_are_identical(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096), *e;
	struct ibb_volume *v = open_rw(d);
	struct raw *r;

	(void)state;
	make_dir(v, "linked");
	make_dir(v, "other");
	put(v, "linked/a", "shared");
	put(v, "linked/c", "shared too");
	put(v, "wof", "");
	put(v, "hive", "regf");
	commit_close(v);
	r = raw_open(d);
	raw_link(r, "linked/a", "other/b");
	raw_link(r, "linked/c", "other/d");
	raw_reparse(r, "wof", 0x80000017);
	raw_close(r);
	e = copy_disk(d);
	(void)mallopt(M_PERTURB, 0x5a);
	one_run(d);
	usleep(20000);
	(void)mallopt(M_PERTURB, 0xc3);
	one_run(e);
	(void)mallopt(M_PERTURB, 0);
	assert_true(same_disks(d, e));
	check_ntfs(d);
	v = open_rw(d);
	expect(v, "other/b", "shared");
	expect(v, "other/d", "shared too");
	ibb_volume_close(v);
	ibb_disk_unref(d);
	ibb_disk_unref(e);
}

static void nothing_without_commit(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096), *before = copy_disk(d);
	struct ibb_error err = {0};
	struct ibb_volume *v = open_rw(d);

	(void)state;
	make_dir(v, "x");
	put(v, "x/y", "z");
	expect(v, "x/y", "z");
	assert_true(same_disks(d, before));
	ibb_volume_close(v);
	assert_true(same_disks(d, before));
	/* read-only: changes are refused, a commit has nothing to do */
	assert_ok(ibb_volume_open_ntfs(d, false, &v, &err), err);
	assert_fails(ibb_volume_put(v, "x", bytes("x", 1), IBB_PUT_REPLACE, &file_meta, &err),
		     IBB_E_READONLY, err, "read-only");
	assert_fails(ibb_volume_mkdir(v, "x", &dir_meta, &err), IBB_E_READONLY, err, "read-only");
	commit_close(v);
	assert_true(same_disks(d, before));
	/* opening and committing changes nothing either */
	commit_close(open_rw(d));
	assert_true(same_disks(d, before));
	ibb_disk_unref(before);
	ibb_disk_unref(d);
}

static void info(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 2048);
	struct ibb_volume *v = open_rw(d);
	struct ibb_volume_info before, after;
	struct ibb_error err = {0};
	uint8_t boot[512];
	char serial[17];
	void *p = pattern(1u << 20, 0);

	(void)state;
	assert_ok(ibb_disk_pread(d, boot, sizeof(boot), 0, &err), err);
	snprintf(serial, sizeof(serial), "%016llx", (unsigned long long)ibb_get_le64(boot + 72));
	assert_ok(ibb_volume_info(v, &before, &err), err);
	assert_string_equal(before.kind, "ntfs");
	assert_string_equal(before.serial, serial);
	assert_string_equal(before.label, "Windows");
	assert_int_equal(before.cluster_bytes, 2048);
	assert_int_equal(before.major, 3);
	assert_int_equal(before.minor, 1);
	assert_true(before.size_bytes > (15u << 20) && before.size_bytes <= (16u << 20));
	put_bytes(v, "f", p, 1u << 20, IBB_PUT_REPLACE);
	assert_ok(ibb_volume_info(v, &after, &err), err);
	/* the file, and the MFT grows by 64 records at most */
	assert_in_range(before.free_bytes - after.free_bytes, 1u << 20, (1u << 20) + (64u << 10));
	ibb_volume_close(v);
	free(p);
	ibb_disk_unref(d);
}

/* Too large is refused before anything changes; many small ones end with the same code. */
static void no_space(void **state)
{
	struct ibb_disk *d = make_ntfs(4, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	void *big = pattern(8u << 20, 0), *small = pattern(50000, 1);
	unsigned n = 0;
	int rc = IBB_OK;

	(void)state;
	put(v, "old", "old");
	assert_fails(
		ibb_volume_put(v, "old", bytes(big, 8u << 20), IBB_PUT_REPLACE, &file_meta, &err),
		IBB_E_NOSPACE, err, "are free in the volume");
	assert_true(strstr(err.hint, "larger"));
	assert_fails(
		ibb_volume_put(v, "old", bytes(big, 8u << 20), IBB_PUT_IN_PLACE, &file_meta, &err),
		IBB_E_NOSPACE, err, "are free in the volume");
	expect(v, "old", "old");
	while (!rc && n < 1000) {
		char path[20];

		snprintf(path, sizeof(path), "f%u", n);
		rc = ibb_volume_put(v, path, bytes(small, 50000), IBB_PUT_REPLACE, &file_meta,
				    &err);
		n += !rc;
	}
	assert_int_equal(rc, IBB_E_NOSPACE);
	assert_in_range(n, 10, 80);
	commit_close(v);
	check_ntfs(d);
	/* nearly full: replacing still works where the old content makes room */
	v = open_rw(d);
	put_bytes(v, "f0", small, 40000, IBB_PUT_REPLACE);
	for (unsigned i = 0; i < n; i++) {
		char path[20];

		snprintf(path, sizeof(path), "f%u", i);
		expect_bytes(v, path, small, i ? 50000 : 40000);
	}
	expect(v, "old", "old");
	commit_close(v);
	check_ntfs(d);
	free(big);
	free(small);
	ibb_disk_unref(d);
}

/* Until nothing at all fits: a clean refusal, and the volume can still be committed. */
static void fill_up(unsigned mib, unsigned sector, unsigned cluster, size_t size)
{
	struct ibb_disk *d = make_ntfs(mib, sector, cluster);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	void *p = pattern(size, 0);
	unsigned n = 0;
	int rc = IBB_OK;

	while (!rc && n < 20000) {
		char path[20];

		snprintf(path, sizeof(path), "f%u", n);
		rc = n % 10 ? ibb_volume_put(v, path, bytes(p, size), IBB_PUT_REPLACE, &file_meta,
					     &err)
			    : ibb_volume_mkdir(v, path, &dir_meta, &err);
		n += !rc;
	}
	assert_int_equal(rc, IBB_E_NOSPACE);
	assert_non_null(strstr(err.msg, "are free in the volume"));
	assert_true(n > 20);
	commit_close(v);
	check_ntfs(d);
	v = open_rw(d);
	expect_bytes(v, "f19", p, size);
	ibb_volume_close(v);
	free(p);
	ibb_disk_unref(d);
}

static void no_space_many_files(void **state)
{
	(void)state;
	fill_up(2, 512, 512, 10);
	fill_up(2, 512, 512, 2000);
	fill_up(4, 4096, 4096, 100);
	fill_up(16, 512, 65536, 100);
	fill_up(16, 512, 65536, 70000);
}

static void geometries(void **state)
{
	static const unsigned geo[][2] = {{512, 512},	{512, 1024},  {512, 4096},  {512, 8192},
					  {512, 65536}, {4096, 4096}, {4096, 65536}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(geo); i++) {
		struct ibb_disk *d = make_ntfs(16, geo[i][0], geo[i][1]);
		struct ibb_volume *v = open_rw(d);
		void *p = pattern(300001, (unsigned)i);

		make_dir(v, "Windows");
		make_dir(v, "Windows/INF");
		for (unsigned k = 0; k < 40; k++) {
			char path[80];

			snprintf(path, sizeof(path), "Windows/INF/a name that is not short %u", k);
			put_bytes(v, path, p, k * 997, IBB_PUT_REPLACE);
		}
		put_bytes(v, "big", p, 300001, IBB_PUT_REPLACE);
		put_bytes(v, "big", p, 5, IBB_PUT_IN_PLACE);
		put_bytes(v, "big", p, 70000, IBB_PUT_IN_PLACE);
		commit_close(v);
		check_ntfs(d);
		v = open_rw(d);
		expect_bytes(v, "big", p, 70000);
		expect_bytes(v, "Windows/INF/a name that is not short 39", p, 39 * 997);
		ibb_volume_close(v);
		free(p);
		ibb_disk_unref(d);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(security),
	cmocka_unit_test(times_and_attributes),
	cmocka_unit_test(two_runs_are_identical),
	cmocka_unit_test(nothing_without_commit),
	cmocka_unit_test(info),
	cmocka_unit_test(no_space),
	cmocka_unit_test(no_space_many_files),
	cmocka_unit_test(geometries),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
