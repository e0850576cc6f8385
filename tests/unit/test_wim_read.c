/* SPDX-License-Identifier: GPL-3.0-or-later */
/* WIMs of every kind, read: the content, the names and the metadata are those of their source. */
#include "wim_image.h"

#include "volume/wim_internal.h"

static const struct {
	const char *name;
	struct mkwim m;
	const char *compression;
	uint32_t chunk;
} kinds[] = {
	{"none.wim", {.compression = WIMLIB_COMPRESSION_TYPE_NONE}, "none", 0},
	{"xpress.wim", {.compression = WIMLIB_COMPRESSION_TYPE_XPRESS}, "XPRESS", 32768},
	{"xpress4k.wim",
	 {.compression = WIMLIB_COMPRESSION_TYPE_XPRESS, .chunk_bytes = 4096},
	 "XPRESS",
	 4096},
	{"lzx.wim", {.compression = WIMLIB_COMPRESSION_TYPE_LZX, .integrity = true}, "LZX", 32768},
	{"lzms.wim", {.compression = WIMLIB_COMPRESSION_TYPE_LZMS}, "LZMS", 131072},
	{"solid.esd",
	 {.compression = WIMLIB_COMPRESSION_TYPE_LZMS, .solid = true, .solid_chunk_bytes = 1 << 20},
	 "LZMS",
	 131072},
	{"solid-lzx.esd",
	 {.compression = WIMLIB_COMPRESSION_TYPE_LZX,
	  .solid = true,
	  .solid_compression = WIMLIB_COMPRESSION_TYPE_LZX,
	  .solid_chunk_bytes = 32768},
	 "LZX",
	 32768},
	{"pipable.wim",
	 {.compression = WIMLIB_COMPRESSION_TYPE_LZX, .pipable = true, .integrity = true},
	 "LZX",
	 32768},
	{"pipable-none.wim",
	 {.compression = WIMLIB_COMPRESSION_TYPE_NONE, .pipable = true},
	 "none",
	 0},
	{"split.swm",
	 {.compression = WIMLIB_COMPRESSION_TYPE_XPRESS, .part_bytes = 300000},
	 "XPRESS",
	 32768},
};

static void check_content(struct ibb_volume *v)
{
	char path[64];

	for (size_t i = 0; i < WIM_N_SIZES; i++) {
		uint8_t *p = wim_content(i);

		snprintf(path, sizeof(path), "DATA/F%zu", i);
		expect_bytes(v, path, p, wim_sizes[i]);
		assert_int_equal(stat_of(v, path).size_bytes, wim_sizes[i]);
		free(p);
	}
	expect(v, "windows/system32/LONG name of a driver.sys", "driver");
	expect(v, "data/\xc3\xbcML\xc3\x84ut \xf0\x9f\x90\xa7/\xd0\xb4.TXT", "unicode");
	expect(v, "Windows/hard link.txt", "main");
}

/* wimtools, when they are installed: is it a sound WIM, and is this what it holds? */
static void ask_wimtools(const char *path, bool split)
{
	const char *ref = split ? img_path("split*.swm") : NULL;

	if (!have_tool("wimverify"))
		return;
	assert_int_equal(run("wimverify '%s'%s%s%s", path, ref ? " --ref='" : "", ref ? ref : "",
			     ref ? "'" : ""),
			 0);
}

static void every_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(kinds); i++) {
		const char *made = wim_make(kinds[i].name, kinds[i].m);
		struct ibb_wim *w = wim_open(made);
		const struct ibb_wim_info *in = ibb_wim_info(w);

		struct ibb_volume *v = wim_volume(w, 1);

		assert_string_equal(in->compression, kinds[i].compression);
		assert_int_equal(in->chunk_bytes, kinds[i].chunk);
		assert_int_equal(in->solid, kinds[i].m.solid);
		assert_int_equal(in->pipable, kinds[i].m.pipable);
		assert_int_equal(in->integrity, kinds[i].m.integrity);
		assert_int_equal(in->images, 1);
		assert_int_equal(in->parts > 1, kinds[i].m.part_bytes != 0);
		assert_false(in->write_in_progress);
		check_content(v);
		/* and backwards, so that a chunk that is kept is not the next one */
		for (size_t k = WIM_N_SIZES; k-- > 0;) {
			uint8_t *p = wim_content(k);
			char path[64];

			snprintf(path, sizeof(path), "data/f%zu", k);
			expect_bytes(v, path, p, wim_sizes[k]);
			free(p);
		}
		ask_wimtools(made, in->parts > 1);
		ibb_volume_close(v);
		ibb_wim_close(w);
	}
}

/* ---- names and metadata ---- */

static void names(void **state)
{
	struct ibb_wim *w = wim_open(
		wim_make("names.wim", (struct mkwim){.compression = WIMLIB_COMPRESSION_TYPE_LZX}));
	struct ibb_volume *v = wim_volume(w, 1);
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct ibb_stat st;
	char *s = NULL;

	(void)state;
	expect_list(v, "", "data/|empty/|junction?|symlink?|Windows/");
	expect_list(v, "EMPTY", "");
	expect_list(v, "windows/SYSTEM32", "long name of a driver.sys|secret.txt|streams.txt");
	assert_ok(ibb_volume_spelling(v, "WINDOWS/system32/longna~1.sys", &s, &err), err);
	assert_string_equal(s, "Windows/System32/long name of a driver.sys");
	free(s);
	assert_ok(ibb_volume_spelling(v, "", &s, &err), err);
	assert_string_equal(s, "");
	free(s);
	expect(v, "windows/system32/LONGNA~1.SYS", "driver");
	assert_fails(ibb_volume_stat(v, "windows/system32/LONGNA~2.SYS", &st, &err), IBB_E_NOTFOUND,
		     err, "no such file");
	assert_fails(ibb_volume_stat(v, "b", &st, &err), IBB_E_NOTFOUND, err, "b: no such file");
	assert_fails(ibb_volume_stat(v, "b/c", &st, &err), IBB_E_NOTFOUND, err, "no directory 'b'");
	assert_fails(ibb_volume_stat(v, "data/f1/x", &st, &err), IBB_E_NOTFOUND, err,
		     "data/f1 is no directory");
	/* wimlib takes a backslash for a slash; Windows has no such name */
	assert_fails(ibb_volume_stat(v, "data\\f1", &st, &err), IBB_E_NOTFOUND, err,
		     "data\\f1: no such file");
	assert_fails(ibb_volume_list(v, "data/f1", join_name, &b, &err), IBB_E_NOTFOUND, err,
		     "is no directory");
	assert_fails(ibb_volume_read(v, "data", 10, &b, &err), IBB_E_CONFLICT, err,
		     "is a directory");
	assert_fails(ibb_volume_read(v, "data/f3", 4095, &b, &err), IBB_E_LIMIT, err,
		     "4096 bytes, the limit is 4095");
	assert_fails(ibb_volume_stat(v, "a/../b", &st, &err), IBB_E_INVALID, err, "..");
	assert_fails(ibb_volume_mkdir(v, "new", &dir_meta, &err), IBB_E_READONLY, err, "read-only");
	ibb_volume_close(v);
	ibb_wim_close(w);
}

static void reparse_points(void **state)
{
	struct ibb_wim *w = wim_open(
		wim_make("rp.wim", (struct mkwim){.compression = WIMLIB_COMPRESSION_TYPE_NONE}));
	struct ibb_volume *v = wim_volume(w, 1);
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct ibb_stat st;

	(void)state;
	st = stat_of(v, "junction");
	assert_int_equal(st.reparse_tag, 0xa0000003);
	assert_int_equal(st.type, IBB_FILE_OTHER);
	assert_int_equal(stat_of(v, "symlink").reparse_tag, 0xa000000c);
	assert_int_equal(stat_of(v, "symlink").size_bytes, 0);
	assert_fails(ibb_volume_stat(v, "junction/x", &st, &err), IBB_E_UNSUPPORTED, err,
		     "junction: a junction (reparse tag 0xa0000003)");
	assert_fails(ibb_volume_list(v, "Junction", join_name, &b, &err), IBB_E_UNSUPPORTED, err,
		     "a junction");
	assert_fails(ibb_volume_read(v, "symlink", 100, &b, &err), IBB_E_UNSUPPORTED, err,
		     "symlink: a symbolic link (reparse tag 0xa000000c)");
	assert_fails(ibb_volume_stream(v, "symlink", 100, expect_piece, NULL, &err),
		     IBB_E_UNSUPPORTED, err, "a symbolic link");
	ibb_volume_close(v);
	ibb_wim_close(w);
}

static void expect_sd(struct ibb_volume *v, const char *path, const char *sddl)
{
	struct ibb_buf want = {0}, got = {0};
	struct ibb_error err = {0};

	wim_sd(sddl, &want);
	assert_ok(ibb_volume_security(v, path, &got, &err), err);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.data, want.data, want.len);
	ibb_buf_clear(&want);
	ibb_buf_clear(&got);
}

static void metadata(void **state)
{
	struct ibb_wim *w = wim_open(
		wim_make("meta.wim", (struct mkwim){.compression = WIMLIB_COMPRESSION_TYPE_LZX}));
	struct ibb_volume *v = wim_volume(w, 1);
	struct ibb_stat a = stat_of(v, "Windows/System32/streams.txt");
	struct ibb_stat b = stat_of(v, "Windows/hard link.txt");
	struct ibb_error err = {0};
	struct ibb_volume_info in;
	struct wim_node n = {0};

	(void)state;
	assert_int_equal(a.attributes, 0x27);
	assert_int_equal(a.links, 2);
	assert_int_equal(a.size_bytes, 4);
	assert_int_equal(a.mtime, 131000000000000008u);
	assert_int_equal(a.security_id, 0);
	assert_true(a.id != 0 && a.id == b.id);
	assert_false(a.encrypted || a.wof_compressed || a.reparse_tag);
	assert_int_equal(stat_of(v, "data/f2").links, 1);
	assert_int_equal(stat_of(v, "data").attributes, 0x10);
	/* before 1970, to the last unit */
	assert_int_equal(stat_of(v, "Windows").mtime, 116444736000000000u);
	expect_sd(v, "Windows", WIM_SDDL_DIR);
	expect_sd(v, "windows/hard LINK.txt", WIM_SDDL_FILE);
	assert_ok(ibb_wim_lookup(w, 1, "windows/system32/STREAMS.txt", &n, &err), err);
	assert_string_equal(n.path, "Windows/System32/streams.txt");
	assert_int_equal(n.named_streams, 1);
	assert_int_equal(n.created, 131000000000000007u);
	assert_int_equal(n.modified, 131000000000000008u);
	assert_int_equal(n.accessed, 131000000000000009u);
	ibb_wim_node_clear(&n);
	assert_ok(ibb_wim_lookup(w, 1, "Windows", &n, &err), err);
	assert_int_equal(n.created, 116444735999999999u);
	assert_null(n.dos_name);
	ibb_wim_node_clear(&n);
	assert_ok(ibb_wim_lookup(w, 1, "windows/system32/LONGNA~1.SYS", &n, &err), err);
	assert_string_equal(n.dos_name, "LONGNA~1.SYS");
	ibb_wim_node_clear(&n);
	assert_ok(ibb_volume_info(v, &in, &err), err);
	assert_string_equal(in.kind, "wim");
	assert_string_equal(in.label, "Windows 11 Pro");
	assert_string_equal(in.serial, "");
	assert_int_equal(in.size_bytes, 16ull << 30);
	assert_int_equal(in.free_bytes, 16ull << 30);
	ibb_volume_close(v);
	ibb_wim_close(w);
}

/* Files that come from Linux have no descriptor. */
static void from_a_directory(void **state)
{
	const struct mkwim_image im = {.directory = img_path("plain")};
	struct ibb_error err = {0};
	struct ibb_volume_info in;
	struct ibb_buf b = {0};
	struct ibb_volume *v;
	struct ibb_wim *w;

	(void)state;
	assert_int_equal(run("mkdir -p '%s/d' && (echo hi > '%s/d/f')", im.directory, im.directory),
			 0);
	w = wim_open(wim_make("dir.wim", (struct mkwim){.images = &im, .n_images = 1}));
	v = wim_volume(w, 1);
	expect(v, "D/F", "hi\n");
	assert_fails(ibb_volume_security(v, "d/f", &b, &err), IBB_E_UNSUPPORTED, err,
		     "d/f: has no security descriptor");
	assert_fails(ibb_volume_security(v, "d/g", &b, &err), IBB_E_NOTFOUND, err, "no such file");
	assert_ok(ibb_volume_info(v, &in, &err), err);
	assert_string_equal(in.label, "");
	assert_null(ibb_wim_image(w, 1)->name);
	assert_int_equal(ibb_wim_image(w, 1)->arch, -1);
	ibb_volume_close(v);
	ibb_wim_close(w);
}

/* ---- images ---- */

static const struct mkwim_property renamed[] = {{"NAME", "Windows 11 HOME"}};
static const struct mkwim_property odd[] = {
	{"WINDOWS/ARCH", "9x"},
	{"WINDOWS/VERSION/BUILD", "4294967296"},
	{"WINDOWS/VERSION/MAJOR", "-1"},
	{"DISPLAYNAME", "red \xc2\x9b"
			"31m"},
	{"TOTALBYTES", "99999999999999999999"},
};

static const char *make_many(void)
{
	const struct mkwim_image images[] = {
		{.ntfs = wim_source(),
		 .name = "Windows 11 Pro",
		 .properties = wim_pro,
		 .n_properties = IBB_ARRAY_SIZE(wim_pro)},
		{.ntfs = wim_source(), .name = "Windows 11 Home"},
		/* wimlib looks for names that are equal to the letter */
		{.ntfs = wim_source(), .properties = renamed, .n_properties = 1},
		{.ntfs = wim_source(),
		 .name = "3000",
		 .properties = odd,
		 .n_properties = IBB_ARRAY_SIZE(odd)},
	};

	return wim_make("many.wim", (struct mkwim){.compression = WIMLIB_COMPRESSION_TYPE_XPRESS,
						   .boot_index = 2,
						   .images = images,
						   .n_images = IBB_ARRAY_SIZE(images)});
}

static void images(void **state)
{
	struct ibb_wim *w = wim_open(make_many());
	const struct ibb_wim_image *im = ibb_wim_image(w, 1);

	(void)state;
	assert_int_equal(ibb_wim_info(w)->images, 4);
	assert_int_equal(ibb_wim_info(w)->boot_index, 2);
	assert_false(ibb_wim_info(w)->integrity);
	assert_string_equal(im->name, "Windows 11 Pro");
	assert_string_equal(im->description, "for the tests");
	assert_string_equal(im->display_name, "Windows 11 Pro (display)");
	assert_string_equal(im->flags, "Professional");
	assert_string_equal(im->product_name, wim_pro[4].value);
	assert_string_equal(im->edition, "Professional");
	assert_string_equal(im->installation_type, "Client");
	assert_int_equal(im->major, 10);
	assert_int_equal(im->minor, 0);
	assert_int_equal(im->build, 26100);
	assert_int_equal(im->spbuild, 1742);
	assert_int_equal(im->arch, 9);
	assert_true(im->files > WIM_N_SIZES && im->directories > 4 && im->total_bytes > 2000000);
	/* numbers that are none, and a text that a terminal would obey */
	im = ibb_wim_image(w, 4);
	assert_int_equal(im->index, 4);
	assert_int_equal(im->arch, -1);
	assert_int_equal(im->build, 0);
	assert_int_equal(im->major, 0);
	assert_null(im->display_name);
	assert_null(ibb_wim_image(w, 0));
	assert_null(ibb_wim_image(w, 5));
	ibb_wim_close(w);
}

static void find(void **state)
{
	struct ibb_wim *w = wim_open(make_many());
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;
	unsigned i = 77;

	(void)state;
	assert_ok(ibb_wim_find(w, "2", &i, &err), err);
	assert_int_equal(i, 2);
	assert_ok(ibb_wim_find(w, "windows 11 pro", &i, &err), err);
	assert_int_equal(i, 1);
	/* no such number, but a name */
	assert_ok(ibb_wim_find(w, "3000", &i, &err), err);
	assert_int_equal(i, 4);
	assert_fails(ibb_wim_find(w, "5", &i, &err), IBB_E_NOTFOUND, err,
		     "no image '5'; it has: 1 'Windows 11 Pro', 2 'Windows 11 Home'");
	assert_fails(ibb_wim_find(w, "0", &i, &err), IBB_E_NOTFOUND, err, "no image '0'");
	assert_fails(ibb_wim_find(w, "", &i, &err), IBB_E_NOTFOUND, err, "no image ''");
	assert_fails(ibb_wim_find(w, "4294967297", &i, &err), IBB_E_NOTFOUND, err, "no image");
	assert_fails(ibb_wim_find(w, "\x1b[31m", &i, &err), IBB_E_NOTFOUND, err, "no image '?'");
	assert_fails(ibb_wim_find(w, "windows 11 home", &i, &err), IBB_E_CONFLICT, err,
		     "several images are named 'windows 11 home': 2, 3");
	assert_string_equal(err.hint, "choose the image by its number");
	assert_int_equal(i, 4);
	assert_fails(ibb_volume_open_wim(w, 5, false, NULL, &v, &err), IBB_E_NOTFOUND, err,
		     "no image 5; it has 4");
	assert_fails(ibb_volume_open_wim(w, 0, false, NULL, &v, &err), IBB_E_NOTFOUND, err,
		     "no image 0");
	for (i = 1; i <= 4; i++) {
		v = wim_volume(w, i);
		expect(v, "windows/hard link.TXT", "main");
		ibb_volume_close(v);
	}
	ibb_wim_close(w);
}

/* Two volumes of one WIM, used in turn: wimlib has one image loaded at a time. */
static void two_at_once(void **state)
{
	struct ibb_wim *w = wim_open(make_many());
	struct ibb_volume *a = wim_volume(w, 1), *b = wim_volume(w, 3);

	(void)state;
	for (int i = 0; i < 3; i++) {
		expect(a, "Windows/System32/secret.txt", "for one user");
		expect_list(b, "", "data/|empty/|junction?|symlink?|Windows/");
	}
	ibb_volume_close(a);
	ibb_volume_close(b);
	ibb_wim_close(w);
}

/* ---- may it be changed ---- */

static void writable(void **state)
{
	struct ibb_error err = {0};
	struct ibb_wim *w = wim_open(wim_make("ro.wim", (struct mkwim){.readonly = true}));

	(void)state;
	assert_true(ibb_wim_info(w)->marked_readonly);
	assert_ok(ibb_wim_check_writable(w, false, &err), err);
	assert_fails(ibb_wim_check_writable(w, true, &err), IBB_E_UNSUPPORTED, err,
		     "marked read-only");
	ibb_wim_close(w);
	w = wim_open(wim_make("pipe.wim", (struct mkwim){.pipable = true}));
	assert_ok(ibb_wim_check_writable(w, false, &err), err);
	assert_fails(ibb_wim_check_writable(w, true, &err), IBB_E_UNSUPPORTED, err, "pipable");
	ibb_wim_close(w);
	w = wim_open(wim_make("rw.wim", (struct mkwim){.integrity = true}));
	assert_ok(ibb_wim_check_writable(w, true, &err), err);
	ibb_wim_close(w);
}

static int run_in_bash(const char *command)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		execlp("bash", "bash", "-c", command, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* What the hint says does it, with these parts and no other file. */
static void assert_join(const char *path, unsigned least, bool listed)
{
	struct ibb_wim *w = wim_open(path);
	const unsigned parts = ibb_wim_info(w)->parts;
	const int stem = (int)strlen(path) - 4;
	struct ibb_error err = {0};
	char want[1024];
	size_t n;

	assert_true(parts >= least);
	assert_fails(ibb_wim_check_writable(w, false, &err), IBB_E_UNSUPPORTED, err,
		     "a split WIM (");
	n = (size_t)snprintf(want, sizeof(want), "join the parts%s: wimlib-imagex join OUT.wim",
			     listed ? "" : " (in bash)");
	if (!listed)
		snprintf(want + n, sizeof(want) - n, " '%.*s'{,{2..%u}}'.swm'", stem, path, parts);
	else
		n += (size_t)snprintf(want + n, sizeof(want) - n, " '%s'", path);
	for (unsigned i = 2; listed && i <= parts; i++)
		n += (size_t)snprintf(want + n, sizeof(want) - n, " '%.*s%u.swm'", stem, path, i);
	assert_string_equal(err.hint, want);
	ibb_wim_close(w);
	if (run("command -v wimlib-imagex >/dev/null && command -v bash >/dev/null"))
		return;
	n = (size_t)snprintf(want, sizeof(want), "cd '%s' && ", img_dir());
	snprintf(want + n, sizeof(want) - n,
		 "%s >/dev/null 2>&1 && wimlib-imagex verify OUT.wim "
		 ">/dev/null 2>&1 && rm OUT.wim",
		 strchr(err.hint, ':') + 2);
	assert_int_equal(run_in_bash(want), 0);
}

static void split_hint(void **state)
{
	char path[600];

	(void)state;
	snprintf(path, sizeof(path), "%s",
		 wim_make("to join.swm", (struct mkwim){.part_bytes = 400000}));
	/* what a star would take in as well */
	assert_int_equal(run("echo x >'%s'", img_path("to join-not.swm")), 0);
	assert_join(path, 4, true);
	snprintf(path, sizeof(path), "%s",
		 wim_make("many to join.swm", (struct mkwim){.part_bytes = 20000}));
	assert_int_equal(run("echo x >'%s'", img_path("many to join1.swm")), 0);
	assert_join(path, 10, false);
}

static void split_parts(void **state)
{
	const char *path = wim_make("sp lit.swm", (struct mkwim){.part_bytes = 400000});
	struct ibb_wim *w = wim_open(path);
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;
	char want[700], second[600], third[600];
	unsigned parts = ibb_wim_info(w)->parts;

	(void)state;
	assert_true(parts >= 4);
	assert_int_equal(ibb_wim_info(w)->part, 1);
	assert_fails(ibb_wim_check_writable(w, false, &err), IBB_E_UNSUPPORTED, err,
		     "a split WIM (");
	assert_fails(ibb_volume_open_wim(w, 1, true, NULL, &v, &err), IBB_E_UNSUPPORTED, err,
		     "split WIM");
	ibb_wim_close(w);
	snprintf(second, sizeof(second), "%s", img_path("sp lit2.swm"));
	snprintf(third, sizeof(third), "%s", img_path("sp lit3.swm"));
	assert_fails(ibb_wim_open(second, NULL, &w, &err), IBB_E_UNSUPPORTED, err, "is part 2 of");
	snprintf(want, sizeof(want), "give the first part: %s", path);
	assert_string_equal(err.hint, want);
	/* swapped, foreign, missing */
	assert_int_equal(run("mv '%s' '%s.x' && mv '%s' '%s' && mv '%s.x' '%s'", second, second,
			     third, second, second, third),
			 0);
	assert_fails(ibb_wim_open(path, NULL, &w, &err), IBB_E_CONFLICT, err,
		     "sp lit2.swm: is part 3 of the WIM, not part 2");
	assert_int_equal(run("cp '%s' '%s'", wim_make("foreign.wim", (struct mkwim){0}), second),
			 0);
	assert_fails(ibb_wim_open(path, NULL, &w, &err), IBB_E_CONFLICT, err,
		     "sp lit2.swm: is not a part of the same WIM");
	unlink(second);
	assert_fails(ibb_wim_open(path, NULL, &w, &err), IBB_E_NOTFOUND, err, "part 2 of");
	assert_non_null(strstr(err.msg, second));
	assert_int_equal(ibb_wim_open(path, NULL, &w, NULL), IBB_E_NOTFOUND);
	assert_int_equal(run("rm '%s'/sp*", img_dir()), 0);
}

/* wimlib has one setting for the whole process, and the program may have made it. */
static void host_program_initialised_it(void **state)
{
	const char *path = wim_make("host.wim", (struct mkwim){0});
	char self[600], cmd[1400];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	assert_true(n > 0);
	self[n] = '\0';
	snprintf(cmd, sizeof(cmd), "'%s' --host '%s'", self, path);
	assert_int_equal(system(cmd), 0);
}

static int as_host(const char *path)
{
	struct ibb_error err = {0};
	struct ibb_wim *w = NULL;

	if (wimlib_global_init(0) || ibb_wim_open(path, NULL, &w, &err) != IBB_E_INVALID)
		return 1;
	/* and again: the answer is not kept */
	if (ibb_wim_open(path, NULL, &w, &err) != IBB_E_INVALID)
		return 2;
	return strstr(err.msg, "case-sensitively") && *err.hint ? 0 : 3;
}

static void not_a_wim(void **state)
{
	struct ibb_error err = {0};
	struct ibb_wim *w = NULL;
	struct ibb_disk *d = NULL;
	struct ibb_file_id id;
	const char *path = img_path("no.wim");

	(void)state;
	assert_fails(ibb_wim_open(path, NULL, &w, &err), IBB_E_IO, err, "no.wim");
	assert_int_equal(run("(printf MSWIM > '%s')", path), 0);
	assert_fails(ibb_wim_open(path, "shown.wim", &w, &err), IBB_E_CORRUPT, err,
		     "shown.wim: too short for a WIM: 5 bytes");
	assert_fails(ibb_wim_open(wim_source(), NULL, &w, &err), IBB_E_CORRUPT, err,
		     "is no WIM file");
	assert_fails(ibb_wim_open(img_dir(), NULL, &w, &err), IBB_E_UNSUPPORTED, err,
		     "is a directory");
	assert_ok(ibb_disk_file_open(wim_source(), &id, &d, &err), err);
	assert_false(ibb_wim_is(d));
	ibb_disk_unref(d);
	path = wim_make("is.wim", (struct mkwim){.pipable = true});
	assert_ok(ibb_disk_file_open(path, &id, &d, &err), err);
	assert_true(ibb_wim_is(d));
	ibb_disk_unref(d);
	ibb_wim_close(NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind),
		cmocka_unit_test(names),
		cmocka_unit_test(reparse_points),
		cmocka_unit_test(metadata),
		cmocka_unit_test(from_a_directory),
		cmocka_unit_test(images),
		cmocka_unit_test(find),
		cmocka_unit_test(two_at_once),
		cmocka_unit_test(writable),
		cmocka_unit_test(split_parts),
		cmocka_unit_test(split_hint),
		cmocka_unit_test(not_a_wim),
		cmocka_unit_test(host_program_initialised_it),
	};

	if (argc == 3 && strcmp(argv[1], "--host") == 0)
		return as_host(argv[2]);
	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
