/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changes of a WIM image: what is new has the metadata that the NTFS back end gives it on a disk,
 * what is changed in place keeps its own, and nothing else changes.
 */
#include "wim_stage.h"

#include <dirent.h>

#include <ntfs-3g/object_id.h>

#include "base/hash.h"
#include "listing.h"
#include "volume/wim_stage.h"

#define OLD_TIME 131000000000000007u
#define HIVE	 "Windows/System32/config/SYSTEM"
#define LOG	 "Windows/System32/config/SYSTEM.LOG1"
#define LONG	 "Windows/System32/config/a rather long name.log"
#define PLAIN	 "Windows/System32/config/plain"
#define PACKED	 "Windows/System32/config/packed"
#define DRIVER	 "Windows/System32/drivers/driver.sys"

static uint8_t *hive;
#define HIVE_BYTES 300000u

/* ---- the source ---- */

static void object_id(struct raw *r, const char *path, uint8_t first)
{
	ntfs_inode *ni = raw_inode(r, path);
	uint8_t id[64];

	for (size_t i = 0; i < sizeof(id); i++)
		id[i] = (uint8_t)(first + i);
	assert_int_equal(ntfs_set_ntfs_object_id(ni, (const char *)id, sizeof(id), 0), 0);
	raw_done(ni);
}

/* As it says of a file that NTFS compressed, or that has holes; this one is neither. */
static void set_packed(struct raw *r, const char *path)
{
	ntfs_inode *ni = raw_inode(r, path);

	ni->flags |= FILE_ATTR_COMPRESSED | FILE_ATTR_SPARSE_FILE;
	NInoFileNameSetDirty(ni);
	ntfs_inode_mark_dirty(ni);
	raw_done(ni);
}

static void fill_source(struct ibb_volume *v)
{
	static const char *const dirs[] = {"Windows",
					   "Windows/System32",
					   "Windows/System32/config",
					   "Windows/System32/drivers",
					   "Windows/WinSxS",
					   "empty",
					   "nested",
					   "nested/inner",
					   "a long directory"};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(dirs); i++)
		make_dir(v, dirs[i]);
	put_bytes(v, HIVE, hive, HIVE_BYTES, IBB_PUT_REPLACE);
	put(v, LOG, "a log");
	put(v, LONG, "another log");
	put(v, PLAIN, "no attributes");
	put(v, PACKED, "was compressed");
	put(v, DRIVER, "a driver");
	put(v, "Windows/notepad.exe", "an editor");
	put(v, "Windows/streams.txt", "with streams");
	put(v, "Windows/secret.txt", "for one user");
	put(v, "nested/inner/x", "x");
	put(v, "bootmgr", "boots");
}

static void decorate_source(struct raw *r)
{
	wim_set_sd(r, "Windows", WIM_SDDL_DIR);
	wim_set_sd(r, "Windows/System32/config",
		   "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;FA;;;CO)");
	wim_set_sd(r, HIVE, WIM_SDDL_FILE);
	wim_set_attributes(r, HIVE, 0x26);
	wim_set_times(r, HIVE, OLD_TIME);
	wim_set_attributes(r, LOG, 0x2107);
	wim_dos_name(r, LONG, "Windows/System32/config", "ARATHE~1.LOG");
	wim_dos_name(r, "a long directory", "", "LONGDI~1");
	object_id(r, LONG, 7);
	wim_set_attributes(r, PLAIN, 0x80);
	set_packed(r, PACKED);
	raw_link(r, DRIVER, "Windows/WinSxS/driver.sys");
	wim_add_stream(r, "Windows/streams.txt", "Zone.Identifier", "[ZoneTransfer]");
	raw_create(r, "junction", S_IFDIR, NULL, 0);
	raw_reparse(r, "junction", 0xa0000003);
	raw_create(r, "symlink", S_IFREG, NULL, 0);
	raw_reparse(r, "symlink", 0xa000000c);
	wim_set_times(r, "Windows/System32", OLD_TIME);
	wim_set_times(r, "Windows/System32/drivers", OLD_TIME + 50);
	wim_set_times(r, "", OLD_TIME + 100);
}

/* The same as a disk; fresh. */
static struct ibb_disk *source_disk(void)
{
	static struct ibb_disk *d;
	struct ibb_volume *v;
	struct raw *r;

	if (!d) {
		d = make_ntfs(16, 512, 4096);
		hive = pattern(HIVE_BYTES, 5);
		v = open_rw(d);
		fill_source(v);
		commit_close(v);
		r = raw_open(d);
		decorate_source(r);
		raw_close(r);
		disk_to_file(d, img_path("stage.ntfs"));
	}
	return copy_disk(d);
}

static struct ibb_wim *source_wim(void)
{
	const char *path = img_path("stage.wim");
	char ntfs[600];
	const struct mkwim_image im = {.ntfs = ntfs, .name = "one"};
	const struct mkwim m = {
		.compression = WIMLIB_COMPRESSION_TYPE_LZX, .images = &im, .n_images = 1};
	struct ibb_error err = {0};

	ibb_disk_unref(source_disk());
	snprintf(ntfs, sizeof(ntfs), "%s", img_path("stage.ntfs"));
	if (access(path, F_OK))
		assert_ok(mkwim(path, &m, &err), err);
	return wim_open(path);
}

/* ---- new objects ---- */

static void same_security(struct ibb_volume *disk, struct ibb_volume *wim, const char *path)
{
	struct ibb_buf a = {0}, b = {0};
	struct ibb_error err = {0};

	assert_ok(ibb_volume_security(disk, path, &a, &err), err);
	assert_ok(ibb_volume_security(wim, path, &b, &err), err);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	ibb_buf_clear(&a);
	ibb_buf_clear(&b);
}

static void same_object(struct ibb_volume *disk, struct ibb_volume *v, struct ibb_wim *w,
			const char *path)
{
	struct wim_node n = stage_node(w, path);
	struct ibb_ntfs_meta want = {0};
	struct ibb_error err = {0};
	struct ibb_buf a = {0};

	assert_ok(ibb_ntfs_meta(disk, path, &want, &err), err);
	assert_int_equal(n.created, want.created);
	assert_int_equal(n.modified, want.modified);
	assert_int_equal(n.accessed, want.accessed);
	assert_int_equal(n.attributes, want.directory ? 0x10 : 0x20);
	assert_int_equal(n.st.links, 1);
	same_security(disk, v, path);
	if (!want.directory) {
		assert_ok(ibb_volume_read(disk, path, 1u << 30, &a, &err), err);
		expect_bytes(v, path, a.data, a.len);
	}
	ibb_buf_clear(&a);
	ibb_buf_clear(&want.security);
	ibb_wim_node_clear(&n);
}

static const char *const new_paths[] = {
	DRIVER,
	"Windows/notepad.exe",
	"Windows/System32/drivers/new.sys",
	"Windows/System32/config/fresh",
	"top.txt",
	"Store",
	"Store/pkg",
	"Store/pkg/a.inf",
	"Windows/System32/config/sub",
	"Windows/System32/config/sub/deep.txt",
	"empty/not any more",
};

static void make_new(struct ibb_volume *v)
{
	put(v, "windows/SYSTEM32/Drivers/DRIVER.SYS", "a newer driver");
	put(v, "Windows/Notepad.EXE", "");
	put(v, "Windows/System32/drivers/new.sys", "a new driver");
	put(v, "Windows/System32/config/fresh", "fresh");
	put(v, "top.txt", "in the root");
	make_dir(v, "Store");
	make_dir(v, "STORE/pkg");
	put(v, "store/PKG/a.inf", "[Version]");
	make_dir(v, "Windows/System32/config/sub");
	put(v, "Windows/System32/config/sub/deep.txt", "deep");
	put(v, "empty/not any more", "1");
}

static void new_as_on_disk(void **state)
{
	struct ibb_disk *d = source_disk();
	struct ibb_volume *disk = open_rw(d), *v;
	struct ibb_wim *w = source_wim();
	struct ibb_error err = {0};
	struct wim_node link;

	(void)state;
	v = stage_open(w, NULL);
	make_new(disk);
	make_new(v);
	/* staged, and once more when it was written */
	for (size_t i = 0; i < IBB_ARRAY_SIZE(new_paths); i++)
		same_security(disk, v, new_paths[i]);
	expect_list(v, "Windows/System32/drivers", "driver.sys|new.sys");
	w = stage_through(w, v, img_path("new.wim"));
	v = wim_volume(w, 1);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(new_paths); i++)
		same_object(disk, v, w, new_paths[i]);
	expect_list(v, "",
		    "a long "
		    "directory/|bootmgr|empty/|junction?|nested/|Store/|symlink?|top.txt|Windows/");
	/* the other name of the driver is as it was, and alone */
	link = stage_node(w, "Windows/WinSxS/driver.sys");
	assert_int_equal(link.st.links, 1);
	expect(v, "Windows/WinSxS/driver.sys", "a driver");
	ibb_wim_node_clear(&link);
	assert_ok(ibb_volume_commit(disk, &err), err);
	ibb_volume_close(disk);
	ibb_volume_close(v);
	ibb_wim_close(w);
	ibb_disk_unref(d);
}

static void expect_same_node(struct ibb_wim *a, struct ibb_wim *b, const char *path)
{
	struct wim_node x = stage_node(a, path), y = stage_node(b, path);

	assert_string_equal(x.path, y.path);
	assert_int_equal(x.attributes, y.attributes);
	assert_int_equal(x.created, y.created);
	assert_int_equal(x.modified, y.modified);
	assert_int_equal(x.accessed, y.accessed);
	assert_int_equal(x.security.len, y.security.len);
	assert_memory_equal(x.security.data, y.security.data, x.security.len);
	assert_memory_equal(&x.object_id, &y.object_id, sizeof(x.object_id));
	assert_int_equal(x.st.links, y.st.links);
	assert_int_equal(x.named_streams, y.named_streams);
	assert_memory_equal(x.data.sha1_hash, y.data.sha1_hash, 20);
	ibb_wim_node_clear(&x);
	ibb_wim_node_clear(&y);
}

/* Directories that something was put into, and their other files. */
static void nothing_else(void **state)
{
	static const char *const kept[] = {"",
					   "Windows",
					   "Windows/System32",
					   "Windows/System32/drivers",
					   "Windows/System32/config",
					   "Windows/streams.txt",
					   "empty",
					   "nested/inner/x",
					   "junction",
					   "symlink",
					   HIVE,
					   LONG};
	struct ibb_wim *before = source_wim(), *w = source_wim();
	struct ibb_volume *v = stage_open(w, NULL);
	struct ibb_error err = {0};

	(void)state;
	make_new(v);
	/* an existing directory is not touched */
	assert_ok(ibb_volume_touch(v, "Windows/System32", &dir_meta, &err), err);
	assert_ok(ibb_volume_touch(v, "", &dir_meta, &err), err);
	w = stage_through(w, v, img_path("else.wim"));
	for (size_t i = 0; i < IBB_ARRAY_SIZE(kept); i++)
		expect_same_node(before, w, kept[i]);
	ibb_wim_close(before);
	ibb_wim_close(w);
}

/* ---- in place ---- */

static void expect_in_place(struct ibb_wim *before, struct ibb_wim *now, const char *path)
{
	struct wim_node x = stage_node(before, path), y = stage_node(now, path);

	assert_string_equal(x.path, y.path);
	assert_int_equal(x.attributes, y.attributes);
	assert_int_equal(x.created, y.created);
	assert_int_equal(x.accessed, y.accessed);
	assert_int_equal(y.modified, IMG_TIME);
	assert_int_equal(x.security.len, y.security.len);
	assert_memory_equal(x.security.data, y.security.data, x.security.len);
	assert_memory_equal(&x.object_id, &y.object_id, sizeof(x.object_id));
	assert_int_equal(!x.dos_name, !y.dos_name);
	if (x.dos_name)
		assert_string_equal(x.dos_name, y.dos_name);
	assert_memory_not_equal(x.data.sha1_hash, y.data.sha1_hash, 20);
	ibb_wim_node_clear(&x);
	ibb_wim_node_clear(&y);
}

static void in_place(void **state)
{
	struct ibb_wim *before = source_wim(), *w = source_wim();
	struct ibb_volume *v = stage_open(w, NULL);
	uint8_t *more = pattern(HIVE_BYTES + 8192, 9);
	struct wim_node n;

	(void)state;
	put_bytes(v, "WINDOWS/system32/CONFIG/system", more, HIVE_BYTES + 8192, IBB_PUT_IN_PLACE);
	put_bytes(v, LOG, "", 0, IBB_PUT_IN_PLACE);
	put_bytes(v, LONG, "changed log", 11, IBB_PUT_IN_PLACE);
	put_bytes(v, PLAIN, "still none", 10, IBB_PUT_IN_PLACE);
	put_bytes(v, PACKED, "still says so", 13, IBB_PUT_IN_PLACE);
	/* and again, smaller */
	put_bytes(v, LONG, "short", 5, IBB_PUT_IN_PLACE);
	assert_int_equal(stat_of(v, HIVE).attributes, 0x26);
	expect_list(v, "Windows/System32/config",
		    "a rather long name.log|packed|plain|SYSTEM|SYSTEM.LOG1");
	w = stage_through(w, v, img_path("place.wim"));
	v = wim_volume(w, 1);
	expect_bytes(v, HIVE, more, HIVE_BYTES + 8192);
	expect(v, LOG, "");
	expect(v, LONG, "short");
	expect_in_place(before, w, HIVE);
	expect_in_place(before, w, LOG);
	expect_in_place(before, w, LONG);
	expect_in_place(before, w, PLAIN);
	expect_in_place(before, w, PACKED);
	n = stage_node(w, LONG);
	assert_string_equal(n.dos_name, "ARATHE~1.LOG");
	assert_int_equal(((const uint8_t *)&n.object_id)[0], 7);
	ibb_wim_node_clear(&n);
	n = stage_node(w, PLAIN);
	assert_int_equal(n.attributes, 0x80);
	ibb_wim_node_clear(&n);
	n = stage_node(w, PACKED);
	assert_int_equal(n.attributes, 0xa20);
	ibb_wim_node_clear(&n);
	n = stage_node(w, HIVE);
	assert_int_equal(n.created, OLD_TIME);
	assert_int_equal(n.accessed, OLD_TIME + 2);
	ibb_wim_node_clear(&n);
	ibb_volume_close(v);
	ibb_wim_close(w);
	ibb_wim_close(before);
	free(more);
}

/* Equal content stages nothing: not even a scratch volume comes into being. */
static void in_place_equal(void **state)
{
	struct ibb_wim *w = source_wim();
	struct ibb_volume *v = stage_open(w, NULL);
	struct ibb_error err = {0};

	(void)state;
	put_bytes(v, HIVE, hive, HIVE_BYTES, IBB_PUT_IN_PLACE);
	put_bytes(v, LOG, "a log", 5, IBB_PUT_IN_PLACE);
	assert_null(to_wim(v)->scratch);
	assert_int_equal(to_wim(v)->removed.n, 0);
	assert_ok(ibb_volume_commit(v, &err), err);
	assert_false(w->changed[0]);
	ibb_volume_close(v);
	/* the last byte differs */
	v = stage_open(w, NULL);
	hive[HIVE_BYTES - 1] ^= 1;
	put_bytes(v, HIVE, hive, HIVE_BYTES, IBB_PUT_IN_PLACE);
	assert_non_null(to_wim(v)->scratch);
	expect_bytes(v, HIVE, hive, HIVE_BYTES);
	hive[HIVE_BYTES - 1] ^= 1;
	ibb_volume_close(v);
	ibb_wim_close(w);
}

static void refused(void **state)
{
	struct ibb_wim *w = source_wim();
	struct ibb_volume *v = stage_open(w, NULL);
	struct ibb_error err = {0};
	const struct ibb_bytes x = {(const uint8_t *)"x", 1};

	(void)state;
	assert_fails(ibb_volume_put(v, DRIVER, x, IBB_PUT_IN_PLACE, &file_meta, &err),
		     IBB_E_UNSUPPORTED, err, "several names");
	assert_fails(
		ibb_volume_put(v, "Windows/streams.txt", x, IBB_PUT_IN_PLACE, &file_meta, &err),
		IBB_E_UNSUPPORTED, err, "alternate data streams");
	for (int mode = IBB_PUT_REPLACE; mode <= IBB_PUT_IN_PLACE; mode++) {
		enum ibb_put_mode m = (enum ibb_put_mode)mode;

		assert_fails(ibb_volume_put(v, "symlink", x, m, &file_meta, &err),
			     IBB_E_UNSUPPORTED, err, "0xa000000c");
		assert_fails(ibb_volume_put(v, "junction/x", x, m, &file_meta, &err),
			     IBB_E_UNSUPPORTED, err, "0xa0000003");
		assert_fails(ibb_volume_put(v, "Windows", x, m, &file_meta, &err), IBB_E_CONFLICT,
			     err, "directory");
	}
	assert_fails(ibb_volume_mkdir(v, "junction/x", &dir_meta, &err), IBB_E_UNSUPPORTED, err,
		     "0xa0000003");
	assert_fails(ibb_volume_remove(v, "junction", &err), IBB_E_UNSUPPORTED, err, "0xa0000003");
	assert_fails(ibb_volume_remove(v, "symlink", &err), IBB_E_UNSUPPORTED, err, "0xa000000c");
	assert_fails(ibb_volume_remove(v, "nested", &err), IBB_E_CONFLICT, err, "not empty");
	assert_fails(ibb_volume_touch(v, HIVE, &file_meta, &err), IBB_E_UNSUPPORTED, err, "times");
	assert_fails(ibb_volume_mkdir(v, "windows/SYSTEM32", &dir_meta, &err), IBB_E_EXISTS, err,
		     "exists");
	/* names that the scratch volume has for itself */
	assert_fails(ibb_volume_put(v, "$Secure", x, IBB_PUT_REPLACE, &file_meta, &err),
		     IBB_E_INVALID, err, "system file");
	/* nothing of this was a change */
	put(v, "Windows/fine.txt", "fine");
	w = stage_through(w, v, img_path("refused.wim"));
	v = wim_volume(w, 1);
	expect(v, "windows/fine.txt", "fine");
	ibb_volume_close(v);
	ibb_wim_close(w);
}

/* A read-only image; and one that was committed is not opened again. */
static void states(void **state)
{
	struct ibb_wim *w = source_wim();
	struct ibb_volume *v = wim_volume(w, 1);
	struct ibb_error err = {0};

	(void)state;
	assert_fails(ibb_volume_remove(v, HIVE, &err), IBB_E_READONLY, err, "read-only");
	ibb_volume_close(v);
	v = stage_open(w, NULL);
	put(v, "a", "1");
	assert_ok(ibb_volume_commit(v, &err), err);
	assert_true(w->changed[0]);
	assert_fails(
		ibb_volume_put(v, "b", (struct ibb_bytes){0}, IBB_PUT_REPLACE, &file_meta, &err),
		IBB_E_INVALID, err, "committed");
	ibb_volume_close(v);
	assert_fails(ibb_volume_open_wim(w, 1, true, NULL, &v, &err), IBB_E_INVALID, err,
		     "already changed");
	ibb_wim_close(w);
}

/* ---- order ---- */

static void order(void **state)
{
	struct ibb_wim *w = source_wim();
	struct ibb_volume *v = stage_open(w, NULL);
	struct ibb_error err = {0};

	(void)state;
	/* removed, then put: new, under the new spelling */
	assert_ok(ibb_volume_remove(v, "windows/notepad.exe", &err), err);
	expect_list(v, "Windows/WinSxS", "driver.sys");
	assert_fails(ibb_volume_remove(v, "Windows/Notepad.exe", &err), IBB_E_NOTFOUND, err,
		     "no such file");
	put(v, "Windows/NOTEPAD.EXE", "another");
	/* put, then removed: gone */
	put(v, LOG, "replaced");
	assert_ok(ibb_volume_remove(v, LOG, &err), err);
	/* changed in place, then removed, then a directory */
	put_bytes(v, LONG, "x", 1, IBB_PUT_IN_PLACE);
	assert_ok(ibb_volume_remove(v, LONG, &err), err);
	make_dir(v, LONG);
	/* one name of two */
	assert_ok(ibb_volume_remove(v, "Windows/WinSxS/driver.sys", &err), err);
	/* made and removed: as if nothing had been */
	make_dir(v, "empty/made");
	put(v, "empty/made/f", "1");
	assert_fails(ibb_volume_remove(v, "empty", &err), IBB_E_CONFLICT, err, "not empty");
	assert_fails(ibb_volume_remove(v, "empty/made", &err), IBB_E_CONFLICT, err, "not empty");
	assert_ok(ibb_volume_remove(v, "EMPTY/made/F", &err), err);
	assert_ok(ibb_volume_remove(v, "empty/MADE", &err), err);
	/* a directory of the image, from the inside out, and made again */
	put(v, "nested/inner/y", "y");
	assert_ok(ibb_volume_remove(v, "nested/inner/x", &err), err);
	assert_fails(ibb_volume_remove(v, "nested/inner", &err), IBB_E_CONFLICT, err, "not empty");
	assert_ok(ibb_volume_remove(v, "nested/inner/y", &err), err);
	assert_ok(ibb_volume_remove(v, "nested/inner", &err), err);
	assert_fails(ibb_volume_put(v, "nested/inner/z", (struct ibb_bytes){0}, IBB_PUT_REPLACE,
				    &file_meta, &err),
		     IBB_E_NOTFOUND, err, "nested/inner");
	make_dir(v, "nested/INNER");
	expect_list(v, "nested/inner", "");
	put(v, "nested/inner/X", "other");
	expect_list(v, "nested", "INNER/");
	/* a directory becomes a file */
	assert_ok(ibb_volume_remove(v, "empty", &err), err);
	put(v, "Empty", "a file now");
	w = stage_through(w, v, img_path("order.wim"));
	v = wim_volume(w, 1);
	expect(v, "Windows/notepad.exe", "another");
	expect_list(v, "Windows", "NOTEPAD.EXE|secret.txt|streams.txt|System32/|WinSxS/");
	expect_list(v, "Windows/System32/config", "a rather long name.log/|packed|plain|SYSTEM");
	expect_list(v, "Windows/WinSxS", "");
	expect(v, DRIVER, "a driver");
	assert_int_equal(stat_of(v, DRIVER).links, 1);
	expect_list(v, "nested", "INNER/");
	expect_list(v, "nested/inner", "X");
	expect(v, "nested/inner/x", "other");
	expect(v, "empty", "a file now");
	expect_list(v, "", "a long directory/|bootmgr|Empty|junction?|nested/|symlink?|Windows/");
	ibb_volume_close(v);
	ibb_wim_close(w);
}

/* By their aliases of 8.3 characters, as Windows finds them; what takes the place has none. */
static void aliases(void **state)
{
	struct ibb_wim *w = source_wim();
	struct ibb_volume *v = stage_open(w, NULL);
	struct ibb_error err = {0};
	struct ibb_stat st;
	char *spelt = NULL;

	(void)state;
	expect(v, "Windows/System32/config/arathe~1.log", "another log");
	put_bytes(v, "Windows/System32/config/ARATHE~1.LOG", "in place", 8, IBB_PUT_IN_PLACE);
	expect(v, "Windows/System32/config/arathe~1.log", "in place");
	expect(v, LONG, "in place");
	assert_ok(ibb_volume_spelling(v, "Windows/System32/config/arathe~1.log", &spelt, &err),
		  err);
	assert_string_equal(spelt, LONG);
	free(spelt);
	put(v, "LONGDI~1/new", "below an alias");
	make_dir(v, "longdi~1/Sub");
	put(v, "LONGDI~1/sub/x", "deeper");
	expect(v, "a long directory/NEW", "below an alias");
	expect(v, "longdi~1/sub/x", "deeper");
	expect_list(v, "LONGDI~1", "new|Sub/");
	assert_fails(ibb_volume_mkdir(v, "LONGDI~1", &dir_meta, &err), IBB_E_EXISTS, err, "exists");
	/* replaced by its alias: under its long name, and the alias is gone */
	put(v, "Windows/System32/config/arathe~1.log", "replaced");
	assert_fails(ibb_volume_remove(v, "LONGDI~1", &err), IBB_E_CONFLICT, err, "not empty");
	ibb_volume_close(v);
	v = stage_open(w, NULL);
	put(v, "Windows/System32/config/arathe~1.log", "replaced");
	assert_fails(ibb_volume_stat(v, "Windows/System32/config/arathe~1.log", &st, &err),
		     IBB_E_NOTFOUND, err, "arathe~1.log");
	expect(v, LONG, "replaced");
	assert_ok(ibb_volume_remove(v, "LONGDI~1", &err), err);
	assert_fails(ibb_volume_stat(v, "LONGDI~1", &st, &err), IBB_E_NOTFOUND, err, "LONGDI~1");
	assert_fails(ibb_volume_mkdir(v, "LONGDI~1/x", &dir_meta, &err), IBB_E_NOTFOUND, err,
		     "no directory");
	w = stage_through(w, v, img_path("alias.wim"));
	v = wim_volume(w, 1);
	expect(v, LONG, "replaced");
	assert_fails(ibb_volume_stat(v, "Windows/System32/config/arathe~1.log", &st, &err),
		     IBB_E_NOTFOUND, err, "no such file");
	expect_list(v, "", "bootmgr|empty/|junction?|nested/|symlink?|Windows/");
	ibb_volume_close(v);
	ibb_wim_close(w);
}

/* All or nothing: one path that is not there, and what was asked for with it does not happen. */
static void rolled_back(void **state)
{
	struct ibb_wim *before = source_wim(), *w = source_wim();
	struct ibb_volume *v = stage_open(w, NULL);
	struct ibb_error err = {0};

	(void)state;
	put(v, "bootmgr", "another one");
	put(v, "Windows/new", "new");
	assert_ok(wim_paths_add(&to_wim(v)->removed, "a ghost", &err), err);
	assert_fails(ibb_volume_commit(v, &err), IBB_E_NOTFOUND, err, "the changes");
	assert_false(w->changed[0]);
	ibb_volume_close(v);
	expect_same_node(before, w, "bootmgr");
	v = wim_volume(w, 1);
	expect_list(v, "Windows", "notepad.exe|secret.txt|streams.txt|System32/|WinSxS/");
	ibb_volume_close(v);
	/* and what is there, but not as it was staged, is found out */
	v = stage_open(w, NULL);
	put(v, "real", "1");
	assert_ok(wim_paths_add(&to_wim(v)->staged, "ghost", &err), err);
	assert_fails(ibb_volume_commit(v, &err), IBB_E_NOTFOUND, err, "ghost");
	ibb_volume_close(v);
	ibb_wim_close(w);
	ibb_wim_close(before);
}

/* Removals alone need no scratch volume. */
static void removals(void **state)
{
	struct ibb_wim *w = source_wim();
	struct ibb_volume *v = stage_open(w, NULL);
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_volume_remove(v, "bootmgr", &err), err);
	assert_ok(ibb_volume_remove(v, "empty", &err), err);
	assert_null(to_wim(v)->scratch);
	w = stage_through(w, v, img_path("removed.wim"));
	v = wim_volume(w, 1);
	expect_list(v, "", "a long directory/|junction?|nested/|symlink?|Windows/");
	ibb_volume_close(v);
	ibb_wim_close(w);
}

/* ---- memory ---- */

static unsigned open_files(void)
{
	struct dirent *e;
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void limit(void **state)
{
	char dir[600];
	unsigned before = open_files();
	struct ibb_wim *w = source_wim();
	uint8_t *big = pattern(6u << 20, 2);
	struct ibb_volume *v;
	struct ibb_error err = {0};

	(void)state;
	/* the paths of img_path() do not last */
	snprintf(dir, sizeof(dir), "%s", img_path("temp"));
	assert_int_equal(mkdir(dir, 0700), 0);
	w->staged_limit = 8u << 20;
	v = stage_open(w, NULL);
	put(v, "first", "1");
	assert_fails(
		ibb_volume_put(v, "big", bytes(big, 6u << 20), IBB_PUT_REPLACE, &file_meta, &err),
		IBB_E_LIMIT, err, "more than 8 MiB of new content");
	/* what was staged before is whole */
	put(v, "second", "2");
	ibb_volume_close(v);
	assert_int_equal(w->staged_memory, 0);
	/* no such directory, then a right one */
	v = stage_open(w, img_path("no such directory"));
	assert_fails(
		ibb_volume_put(v, "big", bytes(big, 6u << 20), IBB_PUT_REPLACE, &file_meta, &err),
		IBB_E_IO, err, "no such directory");
	assert_non_null(strstr(err.hint, "TMPDIR"));
	ibb_volume_close(v);
	v = stage_open(w, dir);
	put(v, "first", "1");
	assert_true(w->staged_memory > 0);
	put_bytes(v, "big", big, 6u << 20, IBB_PUT_REPLACE);
	assert_int_equal(w->staged_memory, 0);
	put_bytes(v, "Windows/big", big, 6u << 20, IBB_PUT_REPLACE);
	expect(v, "first", "1");
	assert_int_equal(files_in(dir), 0);
	w = stage_through(w, v, img_path("limit.wim"));
	assert_int_equal(files_in(dir), 0);
	v = wim_volume(w, 1);
	expect_bytes(v, "WINDOWS/BIG", big, 6u << 20);
	expect(v, "first", "1");
	ibb_volume_close(v);
	ibb_wim_close(w);
	free(big);
	assert_int_equal(open_files(), before);
}

/* Several images count together, and what is committed counts until it is written. */
static void limit_of_all(void **state)
{
	const char *dir = img_path("an empty one");
	const struct mkwim_image im[] = {{.directory = dir, .name = "one"},
					 {.directory = dir, .name = "two"}};
	const struct mkwim m = {.images = im, .n_images = 2};
	struct ibb_volume *one, *two = NULL;
	uint8_t *big = pattern(3u << 20, 2);
	struct ibb_error err = {0};
	struct ibb_wim *w;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_ok(mkwim(img_path("two.wim"), &m, &err), err);
	w = wim_open(img_path("two.wim"));
	w->staged_limit = 10u << 20;
	one = stage_open(w, NULL);
	put_bytes(one, "big", big, 3u << 20, IBB_PUT_REPLACE);
	assert_ok(ibb_volume_commit(one, &err), err);
	ibb_volume_close(one);
	assert_true(w->staged_memory > 5u << 20);
	assert_ok(ibb_volume_open_wim(w, 2, true, NULL, &two, &err), err);
	put(two, "small", "1");
	assert_fails(
		ibb_volume_put(two, "big", bytes(big, 3u << 20), IBB_PUT_REPLACE, &file_meta, &err),
		IBB_E_LIMIT, err, "image 2");
	w->staged_limit = 12u << 20;
	put_bytes(two, "big", big, 3u << 20, IBB_PUT_REPLACE);
	assert_ok(ibb_volume_commit(two, &err), err);
	ibb_volume_close(two);
	/* each image has its own; the same content is there once */
	stage_write(w, img_path("two-new.wim"));
	ibb_wim_close(w);
	w = wim_open(img_path("two-new.wim"));
	one = wim_volume(w, 1);
	two = wim_volume(w, 2);
	expect_list(one, "", "big");
	expect_list(two, "", "big|small");
	expect_bytes(two, "big", big, 3u << 20);
	assert_true(ibb_wim_info(w)->file_bytes < 4u << 20);
	ibb_volume_close(one);
	ibb_volume_close(two);
	ibb_wim_close(w);
	free(big);
}

/* An image from Linux has no descriptors at all. */
static void without_security(void **state)
{
	const char *dir = img_path("from linux");
	const struct mkwim_image im = {.directory = dir, .name = "one"};
	const struct mkwim m = {.images = &im, .n_images = 1};
	struct ibb_buf inherited = {0}, got = {0};
	struct ibb_error err = {0};
	struct ibb_volume *v;
	struct ibb_wim *w;
	struct wim_node n;

	(void)state;
	assert_int_equal(run("mkdir -p '%s/d' && echo old > '%s/d/file' && true", dir, dir), 0);
	assert_ok(mkwim(img_path("linux.wim"), &m, &err), err);
	w = wim_open(img_path("linux.wim"));
	v = stage_open(w, NULL);
	put(v, "d/new", "new");
	put_bytes(v, "D/FILE", "changed", 7, IBB_PUT_IN_PLACE);
	w = stage_through(w, v, img_path("linux-new.wim"));
	v = wim_volume(w, 1);
	assert_ok(ibb_security_inherit((struct ibb_bytes){0}, false, &inherited, &err), err);
	assert_ok(ibb_volume_security(v, "d/new", &got, &err), err);
	assert_int_equal(got.len, inherited.len);
	assert_memory_equal(got.data, inherited.data, got.len);
	assert_ok(ibb_volume_security(v, "d/file", &got, &err), err);
	assert_memory_equal(got.data, inherited.data, got.len);
	expect(v, "d/file", "changed");
	/* the directories still have none */
	n = stage_node(w, "d");
	assert_int_equal(n.security.len, 0);
	ibb_wim_node_clear(&n);
	n = stage_node(w, "");
	assert_int_equal(n.security.len, 0);
	ibb_wim_node_clear(&n);
	ibb_buf_clear(&inherited);
	ibb_buf_clear(&got);
	ibb_volume_close(v);
	ibb_wim_close(w);
}

/* Names that are plain ones in a WIM, and NTFS's own in the scratch volume. */
static void reserved_names(void **state)
{
	const char *dir = img_path("reserved");
	const struct mkwim_image im = {.directory = dir, .name = "one"};
	const struct mkwim m = {.images = &im, .n_images = 1};
	const struct ibb_bytes x = {(const uint8_t *)"x", 1};
	struct ibb_error err = {0};
	struct ibb_volume *v;
	struct ibb_wim *w;

	(void)state;
	assert_int_equal(run("mkdir -p '%s/$Extend' && echo old > '%s/$Extend/f' && "
			     "echo old > '%s/$Secure' && true",
			     dir, dir, dir),
			 0);
	assert_ok(mkwim(img_path("reserved.wim"), &m, &err), err);
	w = wim_open(img_path("reserved.wim"));
	v = stage_open(w, NULL);
	expect(v, "$extend/f", "old\n");
	for (int mode = IBB_PUT_REPLACE; mode <= IBB_PUT_IN_PLACE; mode++)
		assert_fails(ibb_volume_put(v, "$Extend/f", x, (enum ibb_put_mode)mode, &file_meta,
					    &err),
			     IBB_E_UNSUPPORTED, err, "NTFS keeps the name '$Extend'");
	assert_fails(ibb_volume_mkdir(v, "$EXTEND/d", &dir_meta, &err), IBB_E_UNSUPPORTED, err,
		     "NTFS keeps the name");
	assert_fails(ibb_volume_put(v, "$Secure", x, IBB_PUT_REPLACE, &file_meta, &err),
		     IBB_E_INVALID, err, "system file");
	assert_fails(ibb_volume_put(v, "$Secure", x, IBB_PUT_IN_PLACE, &file_meta, &err),
		     IBB_E_EXISTS, err, "$Secure");
	put(v, "fine", "fine");
	expect_list(v, "", "$Extend/|$Secure|fine");
	w = stage_through(w, v, img_path("reserved-new.wim"));
	v = wim_volume(w, 1);
	expect_list(v, "", "$Extend/|$Secure|fine");
	expect(v, "$Secure", "old\n");
	ibb_volume_close(v);
	ibb_wim_close(w);
}

/*
 * A WIM without compression whose metadata holds other bytes, with the digest that goes with them.
 * Header and blob table: "Windows Imaging File Format (WIM)".
 */
static void plant(struct ibb_buf *wim, const void *old, const void *fresh, size_t n)
{
	uint64_t table = ibb_get_le64(wim->data + 56), bytes = ibb_get_le64(wim->data + 64);
	unsigned planted = 0;

	for (uint64_t at = table; at + 50 <= table + bytes; at += 50) {
		uint8_t *e = wim->data + at;
		uint64_t off = ibb_get_le64(e + 8), len = ibb_get_le64(e + 16);
		struct ibb_hasher *h = NULL;
		struct ibb_sha1 sha1;

		if (!(e[7] & 2))
			continue;
		for (uint64_t i = off; i + n <= off + len; i++)
			if (!memcmp(wim->data + i, old, n)) {
				memcpy(wim->data + i, fresh, n);
				planted++;
			}
		assert_int_equal(ibb_hasher_new_sha1(&h), 0);
		assert_int_equal(ibb_hasher_update(h, wim->data + off, len), 0);
		assert_int_equal(ibb_hasher_final_sha1(h, &sha1), 0);
		memcpy(e + 30, sha1.b, sizeof(sha1.b));
	}
	assert_true(planted > 0);
}

static void write_file(const char *path, const uint8_t *p, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void bad_security(void **state)
{
	char ntfs[600], path[600];
	const struct mkwim_image im = {.ntfs = ntfs, .name = "one"};
	const struct mkwim m = {.images = &im, .n_images = 1};
	struct ibb_buf wim = {0}, dir = {0}, file = {0}, bad = {0};
	struct ibb_error err = {0};
	struct ibb_volume *v;
	struct ibb_wim *w;

	(void)state;
	ibb_disk_unref(source_disk());
	snprintf(ntfs, sizeof(ntfs), "%s", img_path("stage.ntfs"));
	snprintf(path, sizeof(path), "%s", img_path("bad-security.wim"));
	assert_ok(mkwim(path, &m, &err), err);
	assert_ok(ibb_read_file(path, 1u << 30, &wim, &err), err);
	wim_sd(WIM_SDDL_DIR, &dir);
	wim_sd(WIM_SDDL_FILE, &file);
	/* the DACL lies outside; the owner is no SID */
	assert_int_equal(ibb_buf_append(&bad, dir.data, dir.len), 0);
	ibb_put_le32(bad.data + 16, 0x7fffff00);
	plant(&wim, dir.data, bad.data, dir.len);
	bad.len = 0;
	assert_int_equal(ibb_buf_append(&bad, file.data, file.len), 0);
	bad.data[ibb_get_le32(bad.data + 4) + 1] = 200;
	plant(&wim, file.data, bad.data, file.len);
	write_file(path, wim.data, wim.len);

	w = wim_open(path);
	v = stage_open(w, NULL);
	/* it has no part in this */
	put(v, "top", "1");
	assert_fails(ibb_volume_put(v, "Windows/x", (struct ibb_bytes){0}, IBB_PUT_REPLACE,
				    &file_meta, &err),
		     IBB_E_CORRUPT, err, "Windows: its security descriptor is damaged");
	assert_non_null(strstr(err.msg, "bad-security.wim, image 1"));
	assert_fails(ibb_volume_commit(v, &err), IBB_E_CORRUPT, err, "nothing is committed");
	ibb_volume_close(v);
	ibb_wim_close(w);
	ibb_buf_clear(&wim);
	ibb_buf_clear(&dir);
	ibb_buf_clear(&file);
	ibb_buf_clear(&bad);
}

/* Of names that differ in case only neither is changed. */
static void twins(void **state)
{
	static const char utf16[2][12] = {"p\0a\0c\0k\0e\0d", "s\0y\0s\0t\0e\0m"};
	char ntfs[600], path[600];
	const struct mkwim_image im = {.ntfs = ntfs, .name = "one"};
	const struct mkwim m = {.images = &im, .n_images = 1};
	struct ibb_error err = {0};
	struct ibb_buf wim = {0};
	struct ibb_volume *v;
	struct ibb_wim *w;

	(void)state;
	ibb_disk_unref(source_disk());
	snprintf(ntfs, sizeof(ntfs), "%s", img_path("stage.ntfs"));
	snprintf(path, sizeof(path), "%s", img_path("twins.wim"));
	assert_ok(mkwim(path, &m, &err), err);
	assert_ok(ibb_read_file(path, 1u << 30, &wim, &err), err);
	plant(&wim, utf16[0], utf16[1], sizeof(utf16[0]));
	write_file(path, wim.data, wim.len);
	w = wim_open(path);
	v = stage_open(w, NULL);
	for (int mode = IBB_PUT_REPLACE; mode <= IBB_PUT_IN_PLACE; mode++) {
		assert_fails(ibb_volume_put(v, "windows/system32/CONFIG/System",
					    (struct ibb_bytes){(const uint8_t *)"x", 1},
					    (enum ibb_put_mode)mode, &file_meta, &err),
			     IBB_E_UNSUPPORTED, err, "differ in case only");
		assert_non_null(strstr(err.msg, "'SYSTEM'"));
		assert_non_null(strstr(err.msg, "'system'"));
	}
	assert_fails(ibb_volume_remove(v, HIVE, &err), IBB_E_UNSUPPORTED, err, "in case only");
	/* beside them all is as ever */
	put(v, "Windows/System32/config/new", "fine");
	put(v, LOG, "fine");
	w = stage_through(w, v, img_path("twins-out.wim"));
	ibb_wim_close(w);
	ibb_buf_clear(&wim);
}

/* In the place of the object ID of LONG, 64 bytes behind tag and length. */
static const struct extra {
	uint32_t tag, len;
	char data[65];
	const char *lost; /* NULL: it may be changed in place all the same */
} extras[] = {
	{2, 64,
	 "\2\0\x0c\0$KERNEL.PURG\0vv"
	 "\1\0\x0f\0$CI.CATALOGHINT\0v",
	 NULL},
	{2, 64,
	 "\0\0\x0f\0$ci.CATALOGHINT\0"
	 "\5\0\4\x80MARK\0value",
	 "attribute 'MARK'"},
	{2, 64, "\0\0\4\0MARK\0", "attribute 'MARK'"},
	{2, 64, "\x40\0\x0f\0$CI.CATALOGHINT\0v", "attribute '$CI.CATALOGHINT'"},
	{2, 64, "\0\0\xff\0$CI", "attribute '$CI'"},
	{0x337dd873, 16, "\1\0\0\0\1\0\0\0\xa4\x81\0\0\0\0\0\0", NULL},
	{0x337dd874, 64,
	 "\x10\0\0\0\3\0\0\0security.selinuxabc\0"
	 "\6\0\0\0\1\0\0\0user.xv",
	 "attribute 'user.x'"},
	{0x337dd874, 64, "\x10\0\0\0\3\0\0\0security.selinuxabc", NULL},
	{0x337dd874, 64, "\x10\0\0\0\xff\xff\xff\xffsecurity.selinuxabc", "'security.selinux'"},
	{0x12345, 8, "12345678", "metadata of an unknown kind"},
	{1, 65, "12345678", "metadata of an unknown kind"},
	{0, 0, "\0", NULL},
};

static void set_extra(struct ibb_buf *wim, const struct extra *from, const struct extra *to)
{
	uint8_t b[2][72];

	for (unsigned i = 0; i < 2; i++) {
		ibb_put_le32(b[i], (i ? to : from)->tag);
		ibb_put_le32(b[i] + 4, (i ? to : from)->len);
		memcpy(b[i] + 8, (i ? to : from)->data, 64);
	}
	plant(wim, b[0], b[1], sizeof(b[0]));
}

/* What a file would lose by being made anew is a reason not to, unless it means nothing then. */
static void extended_attributes(void **state)
{
	char ntfs[600], path[600];
	const struct mkwim_image im = {.ntfs = ntfs, .name = "one"};
	const struct mkwim m = {.images = &im, .n_images = 1};
	struct extra object = {1, 64, "", NULL};
	const struct extra *last = &object;
	struct ibb_error err = {0};
	struct ibb_buf wim = {0};

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		object.data[i] = (char)(7 + i);
	ibb_disk_unref(source_disk());
	snprintf(ntfs, sizeof(ntfs), "%s", img_path("stage.ntfs"));
	snprintf(path, sizeof(path), "%s", img_path("extras.wim"));
	assert_ok(mkwim(path, &m, &err), err);
	assert_ok(ibb_read_file(path, 1u << 30, &wim, &err), err);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(extras); i++) {
		const struct extra *e = &extras[i];
		const struct ibb_bytes x = {(const uint8_t *)"x", 1};
		struct ibb_volume *v;
		struct ibb_wim *w;
		int r;

		set_extra(&wim, last, e);
		last = e;
		write_file(path, wim.data, wim.len);
		w = wim_open(path);
		v = stage_open(w, NULL);
		r = ibb_volume_put(v, LONG, x, IBB_PUT_IN_PLACE, &file_meta, &err);
		if (e->lost)
			assert_fails(r, IBB_E_UNSUPPORTED, err, e->lost);
		else
			assert_ok(r, err);
		/* another file has nothing to do with it, nor has one that takes its place */
		put_bytes(v, LOG, "new", 3, IBB_PUT_IN_PLACE);
		put_bytes(v, LONG, "new", 3, IBB_PUT_REPLACE);
		ibb_volume_close(v);
		ibb_wim_close(w);
	}
	ibb_buf_clear(&wim);
}

/* Content that is missing is not the same as no content. */
static void missing(void **state)
{
	char ntfs[600], path[600];
	const struct mkwim_image im = {.ntfs = ntfs, .name = "one"};
	const struct mkwim m = {.images = &im, .n_images = 1};
	struct ibb_hasher *h = NULL;
	struct ibb_error err = {0};
	struct ibb_sha1 log, none;
	struct ibb_buf wim = {0};
	struct ibb_volume *v;
	struct ibb_wim *w;

	(void)state;
	ibb_disk_unref(source_disk());
	snprintf(ntfs, sizeof(ntfs), "%s", img_path("stage.ntfs"));
	snprintf(path, sizeof(path), "%s", img_path("missing.wim"));
	assert_ok(mkwim(path, &m, &err), err);
	assert_ok(ibb_read_file(path, 1u << 30, &wim, &err), err);
	assert_int_equal(ibb_hasher_new_sha1(&h), 0);
	assert_int_equal(ibb_hasher_update(h, "a log", 5), 0);
	assert_int_equal(ibb_hasher_final_sha1(h, &log), 0);
	memset(&none, 0xaa, sizeof(none));
	plant(&wim, log.b, none.b, sizeof(log.b));
	write_file(path, wim.data, wim.len);
	w = wim_open(path);
	v = stage_open(w, NULL);
	assert_fails(
		ibb_volume_put(v, LOG, (struct ibb_bytes){0}, IBB_PUT_IN_PLACE, &file_meta, &err),
		IBB_E_CORRUPT, err, "its content is not in the WIM");
	ibb_volume_close(v);
	ibb_wim_close(w);
	ibb_buf_clear(&wim);
}

/* ---- wimlib's memory runs out ---- */

static long lib_count, lib_fail_at;

static void *lib_malloc(size_t n)
{
	return ++lib_count == lib_fail_at ? NULL : malloc(n);
}

static void *lib_realloc(void *p, size_t n)
{
	return ++lib_count == lib_fail_at ? NULL : realloc(p, n);
}

#define KERNEL "Windows/System32/kernel32.dll"

/*
 * A commit whose allocation number `at` fails (0: none); returns what it said. By its kernel32.dll
 * wimlib takes the image for a Windows, whose processor it notes, and that is taken back.
 */
static int commit_with(const char *path, long at, bool *ret_changed, bool *ret_there)
{
	static const uint8_t pe[4096] = {[0x3c] = 0x80, [0x80] = 'P', 'E', 0, 0, 0x64, 0x86};
	struct ibb_wim *w = wim_open(path);
	struct ibb_volume *v = stage_open(w, NULL);
	struct ibb_error err = {0};
	struct wim_node n = {0};
	int rc;

	put_bytes(v, KERNEL, pe, sizeof(pe), IBB_PUT_REPLACE);
	lib_count = 0;
	lib_fail_at = at;
	rc = ibb_volume_commit(v, &err);
	lib_fail_at = 0;
	*ret_changed = w->changed[0];
	*ret_there = ibb_wim_lookup(w, 1, KERNEL, &n, &err) == 0;
	if (!at)
		assert_string_equal(wimlib_get_image_property(w->lib, 1, "WINDOWS/ARCH"), "12");
	ibb_wim_node_clear(&n);
	ibb_volume_close(v);
	ibb_wim_close(w);
	return rc;
}

/* A commit that failed halfway is known to have changed the image: nobody writes it as it was. */
static void changed_halfway(void **state)
{
	static const struct mkwim_property arch = {"WINDOWS/ARCH", "12"};
	char ntfs[600], path[600];
	const struct mkwim_image im = {
		.ntfs = ntfs, .name = "one", .properties = &arch, .n_properties = 1};
	const struct mkwim m = {.images = &im, .n_images = 1};
	struct ibb_error err = {0};
	unsigned halfway = 0;
	bool changed, there;
	long n;

	(void)state;
	ibb_disk_unref(source_disk());
	snprintf(ntfs, sizeof(ntfs), "%s", img_path("stage.ntfs"));
	snprintf(path, sizeof(path), "%s", img_path("halfway.wim"));
	assert_ok(mkwim(path, &m, &err), err);
	assert_int_equal(wimlib_set_memory_allocator(lib_malloc, free, lib_realloc), 0);
	assert_int_equal(commit_with(path, 0, &changed, &there), 0);
	n = lib_count;
	for (long at = n > 120 ? n - 120 : 1; at <= n; at++) {
		const int rc = commit_with(path, at, &changed, &there);

		assert_int_equal(changed, there);
		halfway += rc && there;
	}
	assert_true(halfway > 0);
	assert_int_equal(wimlib_set_memory_allocator(NULL, NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_as_on_disk),
		cmocka_unit_test(nothing_else),
		cmocka_unit_test(in_place),
		cmocka_unit_test(in_place_equal),
		cmocka_unit_test(refused),
		cmocka_unit_test(states),
		cmocka_unit_test(order),
		cmocka_unit_test(aliases),
		cmocka_unit_test(rolled_back),
		cmocka_unit_test(removals),
		cmocka_unit_test(limit),
		cmocka_unit_test(limit_of_all),
		cmocka_unit_test(without_security),
		cmocka_unit_test(reserved_names),
		cmocka_unit_test(bad_security),
		cmocka_unit_test(twins),
		cmocka_unit_test(extended_attributes),
		cmocka_unit_test(missing),
		cmocka_unit_test(changed_halfway),
	};

	if (!have_tool("mkntfs")) {
		print_message("SKIPPED: mkntfs (package ntfs-3g) is not installed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
