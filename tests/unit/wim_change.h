/* SPDX-License-Identifier: GPL-3.0-or-later */
/* WIMs of two images, and a change of the first one that touches every kind of thing. */
#ifndef IBB_TEST_WIM_CHANGE_H
#define IBB_TEST_WIM_CHANGE_H

#include "wim_stage.h"

#define CHANGE_TIME 1700000000 /* LASTMODIFICATIONTIME 0x01DA1747 0xC66D0000 */

static const char *const change_paths[] = {"windows/System32/NEW.sys",
					   "Windows/System32/secret.txt", "Data/f3",
					   "Windows/newdir", "Windows/hard link.txt"};
static const struct ibb_wim_changed change_set = {change_paths, IBB_ARRAY_SIZE(change_paths)};
static const struct ibb_wim_changed change_nothing = {NULL, 0};

static const struct change_kind {
	const char *name;
	struct mkwim m;
	bool appendable;
} change_kinds[] = {
	{"none.wim", {.compression = WIMLIB_COMPRESSION_TYPE_NONE}, true},
	{"xpress.wim", {.compression = WIMLIB_COMPRESSION_TYPE_XPRESS, .integrity = true}, true},
	{"lzx.wim", {.compression = WIMLIB_COMPRESSION_TYPE_LZX, .boot_index = 2}, true},
	{"lzms.wim", {.compression = WIMLIB_COMPRESSION_TYPE_LZMS, .chunk_bytes = 32768}, true},
	{"solid.esd",
	 {.compression = WIMLIB_COMPRESSION_TYPE_LZMS,
	  .solid = true,
	  .integrity = true,
	  .boot_index = 1},
	 true},
	{"solid-lzx.esd",
	 {.compression = WIMLIB_COMPRESSION_TYPE_LZX,
	  .solid = true,
	  .solid_compression = WIMLIB_COMPRESSION_TYPE_LZX,
	  .solid_chunk_bytes = 32768},
	 true},
	{"pipable.wim",
	 {.compression = WIMLIB_COMPRESSION_TYPE_LZX, .pipable = true, .integrity = true},
	 false},
	{"readonly.wim", {.compression = WIMLIB_COMPRESSION_TYPE_XPRESS, .readonly = true}, false},
};

static inline void read_all(const char *path, struct ibb_buf *ret)
{
	struct ibb_error err = {0};

	assert_ok(ibb_read_file(path, 1u << 30, ret, &err), err);
}

static inline void assert_bytes(const char *path, const struct ibb_buf *want)
{
	struct ibb_buf got = {0};

	read_all(path, &got);
	assert_int_equal(got.len, want->len);
	assert_memory_equal(got.data, want->data, want->len);
	ibb_buf_clear(&got);
}

static inline void write_all(const char *path, const struct ibb_buf *b)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, b->data, b->len), (ssize_t)b->len);
	close(fd);
}

static inline const char *change_make(const char *name, struct mkwim m)
{
	const struct mkwim_image images[] = {{.ntfs = wim_source(),
					      .name = "Windows 11 Pro",
					      .properties = wim_pro,
					      .n_properties = IBB_ARRAY_SIZE(wim_pro)},
					     {.ntfs = wim_source(), .name = "the other one"}};

	m.images = images;
	m.n_images = 2;
	return wim_make(name, m);
}

/* The kind at change_kinds[i] under a name of its own; made once, for that takes the longest. */
static inline const char *change_kind(size_t i, const char *name)
{
	static bool made[IBB_ARRAY_SIZE(change_kinds)];
	struct ibb_buf b = {0};
	struct ibb_error err = {0};
	char kind[80];
	const char *path;

	snprintf(kind, sizeof(kind), "made-%s", change_kinds[i].name);
	if (!made[i])
		(void)change_make(kind, change_kinds[i].m);
	made[i] = true;
	assert_ok(ibb_read_file(img_path(kind), 1u << 30, &b, &err), err);
	path = img_path(name);
	write_all(path, &b);
	ibb_buf_clear(&b);
	return path;
}

/* With so many bytes more, that take their time to be compressed. */
static size_t change_bulk;

static inline void change_put_bulk(struct ibb_volume *v)
{
	uint8_t *p = malloc(change_bulk);
	uint32_t x = 1;

	assert_non_null(p);
	for (size_t i = 0; i < change_bulk; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (uint8_t)("abcdefghijklmnop"[x >> 28] + (x >> 20) % 3);
	}
	put_bytes(v, "Windows/newdir/bulk", p, change_bulk, IBB_PUT_REPLACE);
	free(p);
}

static inline void change_image(struct ibb_wim *w)
{
	struct ibb_volume *v = stage_open(w, NULL);
	struct ibb_error err = {0};

	put(v, "Windows/System32/new.sys", "a driver");
	put(v, "Windows/System32/secret.txt", "not any more");
	make_dir(v, "Windows/newdir");
	put(v, "Windows/newdir/file", "below it");
	if (change_bulk)
		change_put_bulk(v);
	assert_ok(ibb_volume_remove(v, "data/f3", &err), err);
	/* one of two names goes; the file keeps the other one */
	assert_ok(ibb_volume_remove(v, "Windows/hard link.txt", &err), err);
	assert_ok(ibb_volume_commit(v, &err), err);
	ibb_volume_close(v);
}

static inline void change_is_there(struct ibb_wim *w)
{
	struct ibb_volume *v = wim_volume(w, 1);
	struct ibb_stat st;
	struct ibb_error err = {0};

	expect(v, "Windows/System32/new.sys", "a driver");
	expect(v, "Windows/System32/secret.txt", "not any more");
	expect(v, "Windows/newdir/file", "below it");
	expect(v, "Windows/System32/streams.txt", "main");
	assert_fails(ibb_volume_stat(v, "data/f3", &st, &err), IBB_E_NOTFOUND, err, "");
	ibb_volume_close(v);
}

/* Every digest and every table, by wimlib. */
static inline void change_sound(const char *path)
{
	WIMStruct *w = NULL;
	int code = wimlib_open_wim(path, WIMLIB_OPEN_FLAG_CHECK_INTEGRITY, &w);

	if (!code)
		code = wimlib_verify_wim(w, 0);
	wimlib_free(w);
	if (code)
		fail_msg("%s: %s", path, wimlib_get_error_string((enum wimlib_error_code)code));
}

static inline struct ibb_wim *change_open_held(const char *path)
{
	struct ibb_error err = {0};
	struct ibb_wim *w = NULL;

	assert_ok(ibb_wim_open_held(path, NULL, &w, &err), err);
	return w;
}

#endif
