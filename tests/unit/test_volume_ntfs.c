/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules of libntfs-3g, each with the case that a broken rule would spoil. */
#include "ntfs_raw.h"

#include <malloc.h>

static struct ibb_bytes bytes(const void *p, size_t n)
{
	return (struct ibb_bytes){p, n};
}

static void put_bytes(struct ibb_volume *v, const char *path, const void *p, size_t n,
		      enum ibb_put_mode mode)
{
	struct ibb_error err = {0};

	assert_ok(ibb_volume_put(v, path, bytes(p, n), mode, &file_meta, &err), err);
}

static void *pattern(size_t n, unsigned seed)
{
	uint8_t *p = malloc(n ? n : 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 31 + i / 4096 + seed);
	return p;
}

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
	check_ntfs(d);
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
	cmocka_unit_test(names_and_case),
	cmocka_unit_test(expected_codes),
	cmocka_unit_test(dos_names),
	cmocka_unit_test(hard_link_replaced),
	cmocka_unit_test(hard_link_in_place),
	cmocka_unit_test(in_place_is_delta),
	cmocka_unit_test(sizes),
	cmocka_unit_test(large_directory),
	cmocka_unit_test(compressed_directory),
	cmocka_unit_test(wof_and_efs),
	cmocka_unit_test(reparse_in_path),
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
