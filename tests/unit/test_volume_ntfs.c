/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules of libntfs-3g, each with the case that a broken rule would spoil. */
#include <sys/resource.h>

#include "ntfs_raw.h"

static void expect_spelling(struct ibb_volume *v, const char *path, const char *want)
{
	struct ibb_error err = {0};
	char *s = NULL;

	assert_ok(ibb_volume_spelling(v, path, &s, &err), err);
	assert_string_equal(s, want);
	free(s);
}

static void names_and_case(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);

	(void)state;
	make_dir(v, "Windows");
	make_dir(v, "windows/INF");
	put(v, "WINDOWS/inf/oem0.inf", "hello");
	put(v, "Windows/Inf/\xc3\x9cn\xc3\xaf.INF", "unicode");
	expect(v, "Windows/INF/OEM0.INF", "hello");
	expect(v, "WINDOWS/INF/\xc3\xbcN\xc3\x8f.inf", "unicode");
	put(v, "WINDOWS/inf/OEM0.inf", "other");
	expect_spelling(v, "windows/inf/oEm0.iNf", "Windows/INF/oem0.inf");
	expect_spelling(v, "", "");
	/* ntfs_readdir() would lower-case them */
	expect_list(v, "", "Windows/");
	expect_list(v, "windows/inf", "oem0.inf|\xc3\x9cn\xc3\xaf.INF");
	commit_close(v);
	v = open_rw(d);
	expect(v, "Windows/INF/OEM0.INF", "other");
	expect_list(v, "windows/inf", "oem0.inf|\xc3\x9cn\xc3\xaf.INF");
	ibb_volume_close(v);
	check_ntfs(d);
	ibb_disk_unref(d);
}

static void expected_codes(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct ibb_stat st;

	(void)state;
	make_dir(v, "a");
	put(v, "a/f", "text");
	assert_fails(ibb_volume_stat(v, "b", &st, &err), IBB_E_NOTFOUND, err, "b: no such file");
	assert_fails(ibb_volume_stat(v, "b/c", &st, &err), IBB_E_NOTFOUND, err, "no directory 'b'");
	assert_fails(ibb_volume_stat(v, "a/f/x", &st, &err), IBB_E_NOTFOUND, err,
		     "a/f is no directory");
	assert_fails(ibb_volume_list(v, "a/f", join_name, &b, &err), IBB_E_NOTFOUND, err,
		     "is no directory");
	assert_fails(ibb_volume_read(v, "a", 10, &b, &err), IBB_E_CONFLICT, err, "is a directory");
	assert_fails(ibb_volume_read(v, "a/f", 3, &b, &err), IBB_E_LIMIT, err, "4 bytes");
	assert_fails(ibb_volume_mkdir(v, "A", &dir_meta, &err), IBB_E_EXISTS, err, "exists");
	assert_fails(ibb_volume_mkdir(v, "x/y", &dir_meta, &err), IBB_E_NOTFOUND, err, "'x'");
	assert_fails(ibb_volume_put(v, "a", bytes("x", 1), IBB_PUT_REPLACE, &file_meta, &err),
		     IBB_E_CONFLICT, err, "is a directory");
	assert_fails(ibb_volume_put(v, "a", bytes("x", 1), IBB_PUT_IN_PLACE, &file_meta, &err),
		     IBB_E_CONFLICT, err, "is a directory");
	assert_fails(ibb_volume_put(v, "a/g", bytes("x", 1), IBB_PUT_IN_PLACE, &file_meta, &err),
		     IBB_E_NOTFOUND, err, "no such file");
	assert_fails(ibb_volume_remove(v, "a", &err), IBB_E_CONFLICT, err, "not empty");
	assert_fails(ibb_volume_remove(v, "a/g", &err), IBB_E_NOTFOUND, err, "no such file");
	assert_fails(ibb_volume_remove(v, "", &err), IBB_E_INVALID, err, "root");
	/* names that Windows would not take, and paths that are no paths */
	assert_fails(ibb_volume_mkdir(v, "a/con", &dir_meta, &err), IBB_E_INVALID, err, "con");
	assert_fails(ibb_volume_mkdir(v, "a/x:y", &dir_meta, &err), IBB_E_INVALID, err, "x:y");
	assert_fails(ibb_volume_mkdir(v, "a/x.", &dir_meta, &err), IBB_E_INVALID, err, "x.");
	assert_fails(ibb_volume_mkdir(v, "a/../b", &dir_meta, &err), IBB_E_INVALID, err, "..");
	assert_fails(ibb_volume_stat(v, "a/./f", &st, &err), IBB_E_INVALID, err, "'.'");
	assert_fails(ibb_volume_stat(v, "/a", &st, &err), IBB_E_INVALID, err, "empty");
	assert_fails(ibb_volume_stat(v, "a/\xff", &st, &err), IBB_E_INVALID, err, "UTF-8");
	/* the file system's own */
	assert_fails(ibb_volume_put(v, "$MFT", bytes("x", 1), IBB_PUT_REPLACE, &file_meta, &err),
		     IBB_E_INVALID, err, "system file");
	assert_fails(
		ibb_volume_put(v, "$Bitmap", bytes("x", 1), IBB_PUT_IN_PLACE, &file_meta, &err),
		IBB_E_INVALID, err, "system file");
	assert_fails(ibb_volume_remove(v, "$LogFile", &err), IBB_E_INVALID, err, "system file");
	/* none of these was half of a change */
	put(v, "a/g", "");
	commit_close(v);
	check_ntfs(d);
	v = open_rw(d);
	expect(v, "a/g", "");
	expect(v, "a/f", "text");
	assert_ok(ibb_volume_commit(v, &err), err);
	assert_fails(ibb_volume_stat(v, "a", &st, &err), IBB_E_INVALID, err, "committed");
	assert_fails(ibb_volume_commit(v, &err), IBB_E_INVALID, err, "committed");
	ibb_volume_close(v);
	ibb_volume_close(NULL);
	ibb_disk_unref(d);
}

/* 8.3 aliases: found, never listed, gone with their file. */
static void dos_names(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	struct ibb_stat st;
	ntfs_inode *ni, *dir;
	struct raw *r;

	(void)state;
	make_dir(v, "Long Directory Name");
	put(v, "Long Directory Name/mellanox5.sys", "old");
	commit_close(v);
	r = raw_open(d);
	ni = raw_inode(r, "Long Directory Name");
	dir = raw_inode(r, "");
	assert_int_equal(ntfs_set_ntfs_dos_name(ni, dir, "LONGDI~1", 8, 0), 0);
	ni = raw_inode(r, "Long Directory Name/mellanox5.sys");
	dir = raw_inode(r, "Long Directory Name");
	assert_int_equal(ntfs_set_ntfs_dos_name(ni, dir, "MELLAN~1.SYS", 12, 0), 0);
	raw_close(r);
	check_ntfs(d);

	v = open_rw(d);
	expect_list(v, "", "Long Directory Name/");
	expect_list(v, "longdi~1", "mellanox5.sys");
	expect_spelling(v, "LONGDI~1/mellan~1.sys", "Long Directory Name/mellanox5.sys");
	assert_int_equal(stat_of(v, "LONGDI~1/mellan~1.sys").links, 1);
	put(v, "longdi~1/MELLAN~1.SYS", "new");
	expect_list(v, "longdi~1", "mellanox5.sys");
	expect(v, "longdi~1/mellanox5.sys", "new");
	assert_fails(ibb_volume_stat(v, "longdi~1/mellan~1.sys", &st, &err), IBB_E_NOTFOUND, err,
		     "no such file");
	assert_ok(ibb_volume_remove(v, "longdi~1/mellanox5.sys", &err), err);
	assert_ok(ibb_volume_remove(v, "longdi~1", &err), err);
	expect_list(v, "", "");
	commit_close(v);
	check_ntfs(d);
	ibb_disk_unref(d);
}

/* A file of System32 and WinSxS: replacing one name must leave the other one its content. */
static void hard_link_replaced(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	struct ibb_stat before, after;
	struct raw *r;

	(void)state;
	make_dir(v, "System32");
	make_dir(v, "WinSxS");
	put(v, "WinSxS/a.sys", "component");
	commit_close(v);
	r = raw_open(d);
	raw_link(r, "WinSxS/a.sys", "System32/a.sys");
	raw_close(r);

	v = open_rw(d);
	before = stat_of(v, "WinSxS/a.sys");
	assert_int_equal(before.links, 2);
	assert_int_equal(stat_of(v, "System32/a.sys").id, before.id);
	put(v, "System32/A.SYS", "replaced, and longer");
	expect(v, "WinSxS/a.sys", "component");
	after = stat_of(v, "WinSxS/a.sys");
	assert_int_equal(after.links, 1);
	assert_int_equal(after.id, before.id);
	assert_int_not_equal(stat_of(v, "System32/a.sys").id, before.id);
	expect_spelling(v, "system32/a.sys", "System32/a.sys");
	commit_close(v);
	check_ntfs(d);
	v = open_rw(d);
	expect(v, "System32/a.sys", "replaced, and longer");
	expect(v, "WinSxS/a.sys", "component");
	assert_ok(ibb_volume_remove(v, "WinSxS/a.sys", &err), err);
	expect(v, "System32/a.sys", "replaced, and longer");
	commit_close(v);
	check_ntfs(d);
	ibb_disk_unref(d);
}

/* In place on a file with two names: both indexes must learn the new size (close order). */
static void hard_link_in_place(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct raw *r;
	void *p = pattern(70000, 1);

	(void)state;
	make_dir(v, "one");
	make_dir(v, "two");
	put(v, "one/a", "short");
	commit_close(v);
	r = raw_open(d);
	raw_link(r, "one/a", "two/b");
	raw_close(r);
	v = open_rw(d);
	put_bytes(v, "two/b", p, 70000, IBB_PUT_IN_PLACE);
	expect_bytes(v, "one/a", p, 70000);
	assert_int_equal(stat_of(v, "one/a").links, 2);
	commit_close(v);
	r = raw_open(d);
	assert_int_equal(sle64_to_cpu(raw_index_entry(r, "one/a").data_size), 70000);
	assert_int_equal(sle64_to_cpu(raw_index_entry(r, "two/b").data_size), 70000);
	assert_int_equal(sle64_to_cpu(raw_index_entry(r, "one/a").last_mft_change_time), IMG_TIME);
	assert_int_equal(sle64_to_cpu(raw_index_entry(r, "two/b").last_mft_change_time), IMG_TIME);
	raw_close(r);
	check_ntfs(d);
	free(p);
	ibb_disk_unref(d);
}

/* A hive of 4 MiB with one byte changed dirties one page of it and a little metadata. */
static void in_place_is_delta(void **state)
{
	const size_t n = 4u << 20;
	struct ibb_disk *base = make_ntfs(32, 512, 4096), *d = NULL;
	struct ibb_error err = {0};
	struct ibb_volume *v = open_rw(base);
	uint8_t *p = pattern(n, 3);
	struct ibb_meta later = {IMG_TIME + 10000000, 0x20};
	struct ibb_stat st;

	(void)state;
	put_bytes(v, "SYSTEM", p, n, IBB_PUT_REPLACE);
	st = stat_of(v, "SYSTEM");
	commit_close(v);

	/* the same content: nothing at all is written, not even a time */
	assert_ok(ibb_disk_overlay_new(base, 64u << 20, &d, &err), err);
	v = open_rw(d);
	assert_ok(ibb_volume_put(v, "SYSTEM", bytes(p, n), IBB_PUT_IN_PLACE, &later, &err), err);
	commit_close(v);
	assert_int_equal(ibb_disk_overlay_dirty_bytes(d), 0);

	p[n / 2] ^= 1;
	v = open_rw(d);
	assert_ok(ibb_volume_put(v, "system", bytes(p, n), IBB_PUT_IN_PLACE, &later, &err), err);
	expect_bytes(v, "SYSTEM", p, n);
	assert_int_equal(stat_of(v, "SYSTEM").id, st.id);
	assert_int_equal(stat_of(v, "SYSTEM").security_id, st.security_id);
	assert_int_equal(stat_of(v, "SYSTEM").mtime, later.time);
	commit_close(v);
	assert_true(ibb_disk_overlay_dirty_bytes(d) >= 4096);
	assert_true(ibb_disk_overlay_dirty_bytes(d) <= 4 * 4096);
	check_ntfs(d);
	ibb_disk_unref(d);
	ibb_disk_unref(base);
	free(p);
}

/* Changed and unchanged pages in every order, over the bounds of what is compared at a time. */
static void in_place_patterns(void **state)
{
	static const size_t sizes[] = {400000, 131072, 131073, 524288, 300001, 8192, 262143};
	struct ibb_disk *base = make_ntfs(16, 512, 4096), *d = NULL;
	struct ibb_error err = {0};
	uint8_t *p = pattern(1u << 20, 5);
	uint32_t seed = 1;

	(void)state;
	assert_ok(ibb_disk_overlay_new(base, 64u << 20, &d, &err), err);
	for (unsigned round = 0; round < 28; round++) {
		size_t n = sizes[round % IBB_ARRAY_SIZE(sizes)];
		struct ibb_volume *v = open_rw(d);

		/* none, a quarter, half, all of the pages: one byte somewhere in each */
		for (size_t page = 0; page * 4096 < n; page++) {
			seed = seed * 1664525 + 1013904223;
			if (round / 7 == 3 || (seed >> 24) % 4 < round / 7)
				p[page * 4096 + (seed >> 12) % 4096] ^= 0x5a;
		}
		put_bytes(v, "hive", p, n, round ? IBB_PUT_IN_PLACE : IBB_PUT_REPLACE);
		expect_bytes(v, "hive", p, n);
		commit_close(v);
		v = open_rw(d);
		expect_bytes(v, "hive", p, n);
		assert_int_equal(stat_of(v, "hive").size_bytes, n);
		commit_close(v);
	}
	check_ntfs(d);
	ibb_disk_unref(d);
	ibb_disk_unref(base);
	free(p);
}

/* Resident <-> non-resident, growing and shrinking, both ways of writing. */
static void sizes(void **state)
{
	static const size_t sizes[] = {0,    1,	     500,  700,	   4095, 4096,	4097, 65536,  0,
				       9999, 300000, 8192, 299999, 100,	 12288, 3,    1048577};
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);

	(void)state;
	put(v, "inplace", "");
	for (unsigned i = 0; i < IBB_ARRAY_SIZE(sizes); i++) {
		void *p = pattern(sizes[i], i);

		put_bytes(v, "inplace", p, sizes[i], IBB_PUT_IN_PLACE);
		expect_bytes(v, "inplace", p, sizes[i]);
		put_bytes(v, "replaced", p, sizes[i], IBB_PUT_REPLACE);
		commit_close(v);
		check_ntfs(d);
		v = open_rw(d);
		expect_bytes(v, "inplace", p, sizes[i]);
		expect_bytes(v, "replaced", p, sizes[i]);
		/* neither sparse (0x200) nor compressed (0x800) */
		assert_int_equal(stat_of(v, "replaced").attributes, 0x20);
		assert_int_equal(stat_of(v, "inplace").attributes, 0x20);
		free(p);
	}
	ibb_volume_close(v);
	ibb_disk_unref(d);
}

static int count_name(void *ctx, const char *name, enum ibb_file_type type, struct ibb_error *err)
{
	(void)name;
	(void)type;
	(void)err;
	++*(unsigned *)ctx;
	return IBB_OK;
}

/* Enough names for an index of several levels. */
static void large_directory(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	unsigned n = 0;

	(void)state;
	make_dir(v, "many");
	for (unsigned i = 0; i < 1500; i++) {
		char path[64];

		snprintf(path, sizeof(path), "many/some longer name for a file %u",
			 i * 7919 % 1500);
		put(v, path, path);
	}
	for (unsigned i = 0; i < 1500; i += 2) {
		char path[64];

		snprintf(path, sizeof(path), "MANY/some longer name for a file %u", i);
		assert_ok(ibb_volume_remove(v, path, &err), err);
	}
	commit_close(v);
	check_ntfs(d);
	v = open_rw(d);
	assert_ok(ibb_volume_list(v, "many", count_name, &n, &err), err);
	assert_int_equal(n, 750);
	expect(v, "many/some longer name for a file 1499", "many/some longer name for a file 1499");
	ibb_volume_close(v);
	ibb_disk_unref(d);
}

static void compressed_directory(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	const uint32_t compressed = 0x800;
	uint8_t *zeros = calloc(1, 100000);
	ntfs_inode *ni;
	struct raw *r;

	(void)state;
	make_dir(v, "dir");
	commit_close(v);
	r = raw_open(d);
	ni = raw_inode(r, "dir");
	assert_int_equal(ntfs_set_ntfs_attrib(ni, (const char *)&compressed, 4, 0), 0);
	raw_done(ni);
	/* what the library does of itself, and what must not happen */
	NVolSetCompression(r->vol);
	raw_create(r, "dir/lznt1", S_IFREG, zeros, 100000);
	raw_close(r);

	v = open_rw(d);
	assert_true(stat_of(v, "dir/lznt1").attributes & compressed);
	expect_bytes(v, "dir/lznt1", zeros, 100000);
	put_bytes(v, "dir/plain", zeros, 100000, IBB_PUT_REPLACE);
	assert_false(stat_of(v, "dir/plain").attributes & compressed);
	make_dir(v, "dir/sub");
	assert_false(stat_of(v, "dir/sub").attributes & compressed);
	assert_fails(
		ibb_volume_put(v, "dir/lznt1", bytes("x", 1), IBB_PUT_IN_PLACE, &file_meta, &err),
		IBB_E_UNSUPPORTED, err, "NTFS-compressed");
	put_bytes(v, "dir/lznt1", zeros, 100000, IBB_PUT_REPLACE);
	assert_false(stat_of(v, "dir/lznt1").attributes & compressed);
	commit_close(v);
	check_ntfs(d);
	v = open_rw(d);
	expect_bytes(v, "dir/lznt1", zeros, 100000);
	expect_bytes(v, "dir/plain", zeros, 100000);
	ibb_volume_close(v);
	r = raw_open(d);
	ni = raw_inode(r, "dir/plain");
	assert_int_equal(ni->allocated_size, 102400);
	raw_done(ni);
	raw_close(r);
	free(zeros);
	ibb_disk_unref(d);
}

static void wof_and_efs(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct raw *r;
	ntfs_attr_search_ctx *ctx;
	ntfs_inode *ni;

	(void)state;
	put(v, "wof.sys", "");
	put(v, "efs.sys", "noise");
	put(v, "dedup.sys", "");
	commit_close(v);
	r = raw_open(d);
	raw_reparse(r, "wof.sys", 0x80000017);
	raw_reparse(r, "dedup.sys", 0x80000013);
	ni = raw_inode(r, "efs.sys");
	ni->flags |= FILE_ATTR_ENCRYPTED;
	ctx = ntfs_attr_get_search_ctx(ni, NULL);
	assert_non_null(ctx);
	assert_int_equal(ntfs_attr_lookup(AT_DATA, AT_UNNAMED, 0, CASE_SENSITIVE, 0, NULL, 0, ctx),
			 0);
	ctx->attr->flags |= ATTR_IS_ENCRYPTED;
	ntfs_attr_put_search_ctx(ctx);
	ntfs_inode_mark_dirty(ni);
	raw_done(ni);
	raw_close(r);

	v = open_rw(d);
	expect_list(v, "", "dedup.sys?|efs.sys|wof.sys");
	assert_true(stat_of(v, "WOF.sys").wof_compressed);
	assert_int_equal(stat_of(v, "wof.sys").reparse_tag, 0x80000017);
	assert_int_equal(stat_of(v, "wof.sys").type, IBB_FILE_REGULAR);
	assert_true(stat_of(v, "efs.sys").encrypted);
	assert_fails(ibb_volume_read(v, "wof.sys", 100, &b, &err), IBB_E_UNSUPPORTED, err, "WOF");
	assert_fails(ibb_volume_read(v, "efs.sys", 100, &b, &err), IBB_E_UNSUPPORTED, err, "EFS");
	assert_fails(ibb_volume_read(v, "dedup.sys", 100, &b, &err), IBB_E_UNSUPPORTED, err,
		     "deduplicated");
	assert_fails(
		ibb_volume_put(v, "wof.sys", bytes("x", 1), IBB_PUT_IN_PLACE, &file_meta, &err),
		IBB_E_UNSUPPORTED, err, "WOF");
	assert_fails(
		ibb_volume_put(v, "efs.sys", bytes("x", 1), IBB_PUT_IN_PLACE, &file_meta, &err),
		IBB_E_UNSUPPORTED, err, "EFS");
	assert_fails(
		ibb_volume_put(v, "dedup.sys", bytes("x", 1), IBB_PUT_REPLACE, &file_meta, &err),
		IBB_E_UNSUPPORTED, err, "deduplicated");
	/* unlink + create cures */
	put(v, "wof.sys", "plain");
	put(v, "efs.sys", "plain");
	assert_int_equal(stat_of(v, "wof.sys").reparse_tag, 0);
	assert_int_equal(stat_of(v, "wof.sys").attributes, 0x20);
	assert_false(stat_of(v, "efs.sys").encrypted);
	commit_close(v);
	check_ntfs(d);
	v = open_rw(d);
	expect(v, "wof.sys", "plain");
	expect(v, "efs.sys", "plain");
	ibb_volume_close(v);
	ibb_disk_unref(d);
}

static void reparse_in_path(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct ibb_stat st;
	struct raw *r;

	(void)state;
	make_dir(v, "a");
	make_dir(v, "a/junction");
	put(v, "a/link", "");
	commit_close(v);
	r = raw_open(d);
	raw_reparse(r, "a/junction", 0xA0000003);
	raw_reparse(r, "a/link", 0xA000000C);
	raw_close(r);
	v = open_rw(d);
	expect_list(v, "a", "junction?|link?");
	assert_int_equal(stat_of(v, "a/junction").type, IBB_FILE_OTHER);
	assert_int_equal(stat_of(v, "a/junction").reparse_tag, 0xA0000003);
	assert_fails(ibb_volume_stat(v, "a/junction/x", &st, &err), IBB_E_UNSUPPORTED, err,
		     "a/junction: a junction (reparse tag 0xa0000003)");
	assert_fails(
		ibb_volume_put(v, "a/Junction/x", bytes("x", 1), IBB_PUT_REPLACE, &file_meta, &err),
		IBB_E_UNSUPPORTED, err, "a/Junction: a junction");
	assert_fails(ibb_volume_mkdir(v, "a/junction/x", &dir_meta, &err), IBB_E_UNSUPPORTED, err,
		     "a/junction");
	assert_fails(ibb_volume_list(v, "a/junction", join_name, &b, &err), IBB_E_UNSUPPORTED, err,
		     "a/junction");
	assert_fails(ibb_volume_read(v, "a/link", 10, &b, &err), IBB_E_UNSUPPORTED, err,
		     "a/link: a symbolic link");
	assert_fails(ibb_volume_put(v, "a/link", bytes("x", 1), IBB_PUT_REPLACE, &file_meta, &err),
		     IBB_E_UNSUPPORTED, err, "a/link: a symbolic link");
	assert_fails(ibb_volume_remove(v, "a/junction", &err), IBB_E_UNSUPPORTED, err, "junction");
	assert_fails(ibb_volume_mkdir(v, "a/junction", &dir_meta, &err), IBB_E_EXISTS, err,
		     "exists");
	commit_close(v);
	ibb_disk_unref(d);
}

/* Counted wrong, the library would never free the record, or free it under a name that is left. */
static void wrong_link_count(void **state)
{
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	struct raw *r;
	ntfs_inode *ni;

	(void)state;
	put(v, "none", "none");
	put(v, "two", "two");
	put(v, "right", "right");
	commit_close(v);
	r = raw_open(d);
	ni = raw_inode(r, "none");
	ni->mrec->link_count = cpu_to_le16(0);
	ntfs_inode_mark_dirty(ni);
	raw_done(ni);
	ni = raw_inode(r, "two");
	ni->mrec->link_count = cpu_to_le16(2);
	ntfs_inode_mark_dirty(ni);
	raw_done(ni);
	raw_close(r);
	v = open_rw(d);
	assert_fails(ibb_volume_remove(v, "none", &err), IBB_E_CORRUPT, err,
		     "none: its record counts 0 names, but has 1");
	assert_non_null(strstr(err.hint, "chkdsk"));
	assert_fails(ibb_volume_put(v, "two", bytes("2", 1), IBB_PUT_REPLACE, &file_meta, &err),
		     IBB_E_CORRUPT, err, "two: its record counts 2 names, but has 1");
	/* refused before anything changed: the rest goes on, and so does a change in place */
	put_bytes(v, "two", "TWO", 3, IBB_PUT_IN_PLACE);
	assert_ok(ibb_volume_remove(v, "right", &err), err);
	commit_close(v);
	v = open_rw(d);
	expect_list(v, "", "none|two");
	ibb_volume_close(v);
	ibb_disk_unref(d);
}

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN true
#elif defined(__has_feature)
#define HAVE_ASAN __has_feature(address_sanitizer)
#else
#define HAVE_ASAN false
#endif

static void set_index_block_bytes(struct ibb_disk *d, const char *dir, uint32_t bytes)
{
	struct raw *r = raw_open(d);
	ntfs_inode *ni = raw_inode(r, dir);
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(ni, NULL);

	assert_non_null(ctx);
	assert_int_equal(
		ntfs_attr_lookup(AT_INDEX_ROOT, NTFS_INDEX_I30, 4, CASE_SENSITIVE, 0, NULL, 0, ctx),
		0);
	ibb_put_le32((uint8_t *)ctx->attr + le16_to_cpu(ctx->attr->value_offset) + 8, bytes);
	ntfs_attr_put_search_ctx(ctx);
	ntfs_inode_mark_dirty(ni);
	raw_done(ni);
	raw_close(r);
}

/* A size that no memory has: the volume is damaged, and the machine is not to blame. */
static void index_blocks_of_2_gib(void **state)
{
	const char *why = HAVE_ASAN ? "" : "asks for more memory than any needs (Failed to malloc";
	struct rlimit was, less = {(rlim_t)1 << 30, RLIM_INFINITY};
	struct ibb_disk *d = make_ntfs(16, 512, 4096);
	struct ibb_volume *v = open_rw(d);
	struct ibb_error err = {0};
	struct ibb_stat st;
	unsigned n = 0;

	(void)state;
	make_dir(v, "many");
	for (unsigned i = 0; i < 50; i++) {
		char path[64];

		snprintf(path, sizeof(path), "many/some longer name for a file %u", i);
		put(v, path, "x");
	}
	commit_close(v);
	set_index_block_bytes(d, "many", 1u << 31);
	v = open_rw(d);
	assert_int_equal(getrlimit(RLIMIT_AS, &was), 0);
	less.rlim_max = was.rlim_max;
	if (!HAVE_ASAN) /* whose shadow takes terabytes */
		assert_int_equal(setrlimit(RLIMIT_AS, &less), 0);
	assert_fails(ibb_volume_list(v, "many", count_name, &n, &err), IBB_E_CORRUPT, err,
		     "many: reading the directory: ");
	assert_non_null(strstr(err.msg, why));
	assert_non_null(strstr(err.hint, "chkdsk"));
	assert_fails(ibb_volume_stat(v, "many/some longer name for a file 7", &st, &err),
		     IBB_E_CORRUPT, err, "many/some longer name for a file 7: looking it up: ");
	assert_non_null(strstr(err.msg, why));
	assert_int_equal(setrlimit(RLIMIT_AS, &was), 0);
	ibb_volume_close(v);
	ibb_disk_unref(d);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(index_blocks_of_2_gib), cmocka_unit_test(names_and_case),
	cmocka_unit_test(expected_codes),	 cmocka_unit_test(dos_names),
	cmocka_unit_test(wrong_link_count),	 cmocka_unit_test(hard_link_replaced),
	cmocka_unit_test(hard_link_in_place),	 cmocka_unit_test(in_place_is_delta),
	cmocka_unit_test(in_place_patterns),	 cmocka_unit_test(sizes),
	cmocka_unit_test(large_directory),	 cmocka_unit_test(compressed_directory),
	cmocka_unit_test(wof_and_efs),		 cmocka_unit_test(reparse_in_path),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
