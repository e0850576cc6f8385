/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api_scene.h"

#include <sys/file.h>
#include <sys/time.h>

static char *const image = source;
static const char *dirs[2];

/* A small raw volume with Windows in it, once for all cases, which must not change it. */
static int setup(void **state)
{
	struct ibb_error err = {0};
	int r;

	if (scene_setup(state, "base.raw", "out.raw"))
		return -1;
	dirs[0] = dirs[1] = drivers;
	r = make_volume(image, "server2022", &err);
	if (!r)
		r = make_drivers(&err);
	return scene_made(r, &err);
}

static struct ibb_request request(void)
{
	return (struct ibb_request){.struct_bytes = sizeof(struct ibb_request),
				    .image = image,
				    .sizes = sizes,
				    .n_sizes = 1,
				    .driver_dirs = dirs,
				    .n_driver_dirs = 1,
				    .trust_anchors = anchors,
				    .n_trust_anchors = 1,
				    .format = IBB_OUTPUT_RAW,
				    .unix_time = NOW};
}

static struct ibb_request bake_request(void)
{
	struct ibb_request q = request();

	q.output = out;
	q.manifest = manifest;
	return q;
}

static void bake_refused(const struct ibb_request *q, int code, const char *text)
{
	refused(ibb_bake, q, code, text);
}

static void bake(const struct ibb_request *q)
{
	struct ibb_error err = {0};
	char *json = NULL;

	assert_ok(ibb_bake(q, &json, &err), err);
	ibb_free(json);
}

/* ---- requests ---- */

static const task tasks[] = {ibb_sizes, ibb_resolve, ibb_inspect,     ibb_plan,
			     ibb_bake,	ibb_verify,  ibb_drivers_list};

static void requests(void **state)
{
	struct ibb_error err = {0};
	struct ibb_request q;
	char *json = NULL;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(tasks); i++) {
		assert_fails(tasks[i](NULL, &json, &err), IBB_E_INVALID, err, "another version");
		q = request();
		q.struct_bytes--;
		assert_fails(tasks[i](&q, &json, &err), IBB_E_INVALID, err, "another version");
		assert_int_equal(tasks[i](&q, &json, NULL), IBB_E_INVALID); /* err may be NULL */
		if (i < 2)
			continue;
		q = request();
		q.image = NULL;
		assert_fails(tasks[i](&q, &json, &err), IBB_E_INVALID, err, "no image");
		q.image = "/nonexistent/base.vhd";
		q.manifest = "/nonexistent/m.json";
		assert_int_equal(tasks[i](&q, &json, NULL), IBB_E_IO);
	}
	q = request();
	q.n_sizes = 0;
	assert_fails(ibb_plan(&q, &json, &err), IBB_E_INVALID, err, "no size");
	assert_fails(ibb_bake(&q, &json, &err), IBB_E_INVALID, err, "no size");
	assert_fails(ibb_resolve(&q, &json, &err), IBB_E_INVALID, err, "no size");
	q = request();
	assert_fails(ibb_resolve(&q, &json, &err), IBB_E_INVALID, err, "no Windows");
	assert_fails(ibb_verify(&q, &json, &err), IBB_E_INVALID, err, "no manifest");
	q.os = "beos";
	assert_fails(ibb_resolve(&q, &json, &err), IBB_E_INVALID, err, "beos");
	assert_null(json);
	ibb_free(NULL);
	assert_non_null(strchr(ibb_version(), '.'));
}

static void documents_of_refusals(void **state)
{
	struct ibb_request q = request();
	struct ibb_error err = {0};
	struct ibb_json *doc;
	char *json = NULL;

	(void)state;
	q.os = "win7";
	assert_fails(ibb_resolve(&q, &json, &err), IBB_E_UNSUPPORTED, err, "is not supported");
	doc = parse(json);
	assert_int_equal(ibb_json_count(ibb_json_get(doc, "resolutions")), 1);
	ibb_json_free(doc);
	json = NULL;
	q.allow_unsupported = true;
	assert_ok(ibb_resolve(&q, &json, &err), err);
	ibb_free(json);
	/* an image with no Windows is described, with the reason */
	q = request();
	q.partition = 9;
	json = NULL;
	assert_fails(ibb_inspect(&q, &json, &err), IBB_E_UNSUPPORTED, err,
		     "there is no partition 9");
	doc = parse(json);
	assert_string_equal(ibb_json_str(ibb_json_get(doc, "problem"), "code"), "unsupported");
	assert_null(ibb_json_get(doc, "image"));
	ibb_json_free(doc);
	/* no document of a plan that failed */
	json = NULL;
	assert_int_equal(ibb_plan(&q, &json, &err), IBB_E_UNSUPPORTED);
	assert_null(json);
}

/* ---- packages ---- */

static void the_same_package_twice(void **state)
{
	struct ibb_request q = request();
	struct ibb_json *doc;

	(void)state;
	q.n_driver_dirs = 2;
	doc = done(ibb_plan, &q);
	assert_int_equal(ibb_json_count(ibb_json_get(doc, "packages")), 1);
	ibb_json_foreach (t, ibb_json_get(doc, "targets")) {
		const struct ibb_json *s = ibb_json_get(t, "selection");

		assert_int_equal(ibb_json_count(ibb_json_get(s, "left_out")), 0);
	}
	ibb_json_free(doc);
}

static void packages_refused(void **state)
{
	static const char *const ids[] = {"PCI\\VEN_8086&DEV_1234"};
	struct mkpkg_opts bare = {.key_dir = PKGTEST_KEYS, .bare_only = true};
	struct mkpkg_opts other = {.key_dir = PKGTEST_KEYS, .ids = ids, .n_ids = 1};
	struct mkpkg_opts torn = {.key_dir = PKGTEST_KEYS, .omit = "ibbdemo.sys"};
	struct mkpkg_opts *const opts[] = {&bare, &other, &torn};
	static const struct {
		int code;
		const char *text;
	} want[] = {{IBB_E_UNSUPPORTED, "only as PCI\\VEN_15B3&DEV_101C"},
		    {IBB_E_UNSUPPORTED, "PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00"},
		    {IBB_E_UNSUPPORTED, "ibbdemo.sys"}};
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(opts); i++) {
		struct ibb_request q = bake_request();
		char *dir = pkgtest_dir();
		const char *const one[] = {dir};

		assert_ok(mkpkg_write(dir, opts[i], &err), err);
		q.driver_dirs = one;
		bake_refused(&q, want[i].code, want[i].text);
		pkgtest_rmdir(dir);
	}
	struct ibb_request q = bake_request();

	q.n_driver_dirs = 0;
	bake_refused(&q, IBB_E_UNSUPPORTED, "no driver package was given");
}

static void required_readiness(void **state)
{
	struct ibb_request q = bake_request();

	(void)state;
	q.require = IBB_REQUIRE_ADDRESS;
	bake_refused(&q, IBB_E_UNSUPPORTED, SIZE " would not have 'address', which --require asks");
	q.require = IBB_REQUIRE_USER_ND;
	bake_refused(&q, IBB_E_UNSUPPORTED, "would not have 'user-nd'");
	q.require = IBB_REQUIRE_DRIVER;
	q.output = NULL;
	bake(&q);
}

/* ---- outputs ---- */

static void output_refused(void **state)
{
	char soft[600], hard[600], dir[600], fifo[600], dangling[600], kept[600], indirect[700];
	struct ibb_request q = bake_request();

	(void)state;
	snprintf(soft, sizeof(soft), "%s/soft", test_dir());
	snprintf(hard, sizeof(hard), "%s/hard", test_dir());
	snprintf(dir, sizeof(dir), "%s/dir", test_dir());
	snprintf(fifo, sizeof(fifo), "%s/fifo", test_dir());
	snprintf(dangling, sizeof(dangling), "%s/dangling", test_dir());
	snprintf(kept, sizeof(kept), "%s/kept", test_dir());
	snprintf(indirect, sizeof(indirect), "%s/dir/../out.raw", test_dir());
	assert_int_equal(symlink("base.raw", soft), 0);
	assert_int_equal(link(image, hard), 0);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mkfifo(fifo, 0644), 0);
	assert_int_equal(symlink("nowhere", dangling), 0);
	make_file(kept, "kept", 4);
	for (int overwrite = 0; overwrite < 2; overwrite++) {
		const struct {
			const char *path, *text;
		} t[] = {
			{image, "is the input image"},
			{soft, "is the input image"},
			{hard, "is the input image"},
			{dir, "is a directory"},
			{"/dev/null", "is a device, not a regular file"},
			{fifo, "is a special file"},
			{dangling, "is a symbolic link"},
			{kept, "exists already"},
		};

		q.overwrite = overwrite;
		for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
			if (overwrite && t[i].path == kept)
				continue;
			q.output = t[i].path;
			q.manifest = manifest;
			bake_refused(&q, IBB_E_EXISTS, t[i].text);
			q.output = out;
			q.manifest = t[i].path;
			bake_refused(&q, IBB_E_EXISTS, t[i].text);
		}
	}
	assert_file_is(kept, "kept", 4);
	q = bake_request();
	q.manifest = out;
	bake_refused(&q, IBB_E_EXISTS, "output and manifest are the same file");
	q.manifest = indirect;
	bake_refused(&q, IBB_E_EXISTS, "output and manifest are the same file");
	q = bake_request();
	q.output = "/nonexistent/out.raw";
	bake_refused(&q, IBB_E_IO, "/nonexistent/out.raw");
	/* replacing what may be replaced */
	q = bake_request();
	q.output = kept;
	q.manifest = NULL;
	q.overwrite = true;
	bake(&q);
	unlink(soft);
	unlink(hard);
	rmdir(dir);
	unlink(fifo);
	unlink(dangling);
	unlink(kept);
}

static void somebody_else_bakes(void **state)
{
	struct ibb_request q = bake_request();
	char lock[700];
	int fd;

	(void)state;
	snprintf(lock, sizeof(lock), "%s/.out.raw.ibbake-lock", test_dir());
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
	bake_refused(&q, IBB_E_CONFLICT, "out.raw");
	close(fd);
	unlink(lock);
}

static void dry_run(void **state)
{
	struct ibb_request q = request();
	struct ibb_error err = {0};
	struct scene before = look();
	struct ibb_json *doc;
	char *json = NULL;

	(void)state;
	assert_ok(ibb_bake(&q, &json, &err), err);
	assert_untouched(&before);
	doc = parse(json);
	assert_string_equal(ibb_json_str(doc, "schema"), "ibbake-manifest/1");
	assert_true(ibb_json_bool(ibb_json_get(doc, "options"), "dry_run", false));
	assert_true(ibb_json_count(ibb_json_get(doc, "files")) > 5);
	ibb_json_free(doc);
}

/* ---- the whole ---- */

static void bake_verify_bake(void **state)
{
	struct ibb_request q = bake_request();
	struct ibb_error err = {0};
	struct scene before = look();
	char first[65], second[65];
	struct ibb_buf m = {0};
	struct ibb_json *doc;
	char *json = NULL, *text = NULL;

	(void)state;
	assert_ok(ibb_bake(&q, &json, &err), err);
	assert_int_equal(files_in(test_dir()), before.n_files + 2);
	digest_of(out, first);
	assert_string_not_equal(first, before.digest);
	assert_ok(ibb_read_file(manifest, 1u << 24, &m, &err), err);
	assert_string_equal(ibb_buf_cstr(&m), json); /* what is printed is what is written */
	text = json;
	json = NULL;

	/* again: the same bytes, image and manifest */
	q.overwrite = true;
	assert_ok(ibb_bake(&q, &json, &err), err);
	assert_string_equal(json, text);
	digest_of(out, second);
	assert_string_equal(first, second);
	ibb_free(json);
	ibb_free(text);
	json = NULL;

	q = request();
	q.image = out;
	q.manifest = manifest;
	assert_ok(ibb_verify(&q, &json, &err), err);
	doc = parse(json);
	assert_true(ibb_json_bool(doc, "identical", false));
	ibb_json_free(doc);
	/* of the result there is nothing left to do */
	q.manifest = NULL;
	doc = done(ibb_plan, &q);
	assert_int_equal(ibb_json_count(ibb_json_get(doc, "operations")), 0);
	ibb_json_free(doc);
	json = NULL;
	assert_ok(ibb_drivers_list(&q, &json, &err), err);
	assert_non_null(strstr(json, "oem0.inf"));
	ibb_free(json);
	/* the source is not what the manifest says */
	q.image = image;
	q.manifest = manifest;
	json = NULL;
	assert_fails(ibb_verify(&q, &json, &err), IBB_E_DIFFERS, err, "differs from");
	doc = parse(json);
	assert_false(ibb_json_bool(doc, "identical", true));
	ibb_json_free(doc);
	ibb_buf_clear(&m);
	unlink(out);
	unlink(manifest);
	assert_untouched(&before);
}

static void another_time_other_bytes(void **state)
{
	struct ibb_request q = bake_request();
	char first[65], second[65];

	(void)state;
	q.overwrite = true;
	bake(&q);
	digest_of(out, first);
	q.unix_time++;
	bake(&q);
	digest_of(out, second);
	assert_string_not_equal(first, second);
	unlink(out);
	unlink(manifest);
}

/* ---- stopping ---- */

struct stopper {
	const char *phase;
	int nth; /* of this phase's calls */
	bool touch;
};

static int stop(void *ctx, const struct ibb_progress *p)
{
	static int touched; /* every time another state */
	struct stopper *s = ctx;

	if (strcmp(p->phase, s->phase) != 0 || s->nth-- != 0)
		return 0;
	if (!s->touch)
		return 1;
	/* somebody writes the source while it is copied */
	assert_int_equal(utimes(image, (struct timeval[2]){{NOW, 0}, {NOW + touched++, 0}}), 0);
	return 0;
}

static void cancelled_in_every_phase(void **state)
{
	static const struct {
		const char *phase;
		int nth;
	} t[] = {{"inspect", 0}, {"packages", 0}, {"plan", 0},	{"apply", 0},
		 {"copy", 0},	 {"copy", 1},	  {"check", 0}, {"sync", 0}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct stopper s = {t[i].phase, t[i].nth, false};
		struct ibb_request q = bake_request();

		q.progress = stop;
		q.progress_ctx = &s;
		bake_refused(&q, IBB_E_CANCELLED, "stop");
		assert_int_equal(s.nth, -1); /* it was this call that stopped it */
	}
}

static void source_changes_meanwhile(void **state)
{
	struct stopper s = {"copy", 0, true};
	struct ibb_request q = bake_request();

	(void)state;
	q.progress = stop;
	q.progress_ctx = &s;
	bake_refused(&q, IBB_E_CHANGED, "base.raw");
}

/* ---- lack of memory ---- */

/*
 * An edit whose index of free cells finds no memory goes on without it and may then take another
 * free cell: the hive is as sound, its bytes are others.
 */
static void blank_edited_hives(char *json)
{
	static const char hive[] = "\"kind\":\t\"hive\"", digest[] = "\"sha256\":\t\"";

	for (char *p = strstr(json, hive); p; p = strstr(p + 1, hive)) {
		char *after = strstr(p, "\"after\"");
		char *at = after ? strstr(after, digest) : NULL;

		assert_non_null(at);
		memset(at + strlen(digest), '0', 64);
	}
}

/* About 40 of the task's allocations fail, one a run. What is for messages only is done without;
 * then the document is the same. */
static long sweep(task fn, const struct ibb_request *q)
{
	struct ibb_error err = {0};
	char *json = NULL, *whole = NULL;
	long total, stride;
	int r;

	ibb_mem_fail_at(-1, false);
	r = fn(q, &whole, &err);
	total = ibb_mem_count();
	assert_ok(r, err);
	blank_edited_hives(whole);
	stride = (total / 40 + 1) | 1;
	for (long n = 0; n < total; n += stride) {
		err = (struct ibb_error){0};
		ibb_mem_fail_at(n, false);
		r = fn(q, &json, &err);
		ibb_mem_fail_at(-1, false);
		if (!r) {
			blank_edited_hives(json);
			assert_string_equal(json, whole);
			ibb_free(json);
			json = NULL;
		} else if (r != IBB_E_NOMEM || json || !*err.msg) {
			fail_msg("allocation %ld of %ld failed: %d %s", n, total, r, err.msg);
		}
	}
	ibb_free(whole);
	return total;
}

static void out_of_memory(void **state)
{
	struct ibb_request q = request();
	struct scene before = look();

	(void)state;
	assert_true(sweep(ibb_plan, &q) > 300);
	(void)sweep(ibb_inspect, &q);
	(void)sweep(ibb_bake, &q); /* a dry run */
	q.os = "server2022";
	(void)sweep(ibb_resolve, &q);
	(void)sweep(ibb_sizes, &q);
	(void)sweep(ibb_drivers_list, &q);
	assert_untouched(&before);
	q = bake_request();
	bake(&q);
	q.image = out;
	q.output = NULL;
	(void)sweep(ibb_verify, &q);
	unlink(out);
	unlink(manifest);
}

/* Nothing of a bake that ran out of memory stays behind. */
static void out_of_memory_while_writing(void **state)
{
	struct ibb_request q = bake_request();
	struct scene before = look();
	struct ibb_error err = {0};
	char *json = NULL;
	long total;
	int failed = 0;

	(void)state;
	ibb_mem_fail_at(-1, false);
	bake(&q);
	total = ibb_mem_count();
	unlink(out);
	unlink(manifest);
	for (long n = total - 1; n > 0; n -= total / 40 + 1) {
		int r;

		ibb_mem_fail_at(n, false);
		r = ibb_bake(&q, &json, &err);
		ibb_mem_fail_at(-1, false);
		if (!r) {
			ibb_free(json);
			json = NULL;
			unlink(out);
			unlink(manifest);
			continue;
		}
		failed++;
		if (r != IBB_E_NOMEM)
			fail_msg("allocation %ld of %ld failed: %d %s", n, total, r, err.msg);
		assert_null(json);
		/* an image may lack its manifest, never the reverse */
		assert_true(access(manifest, F_OK) != 0 || access(out, F_OK) == 0);
		if (access(out, F_OK) == 0)
			assert_non_null(strstr(err.msg, "is complete, but its manifest is not"));
		unlink(out);
		assert_untouched(&before);
	}
	assert_true(failed > 25);
}

/* ---- conversion ---- */

static void convert_refused(const struct ibb_request *q, int code, const char *text)
{
	struct scene before = look();
	struct ibb_error err = {0};
	char *json = NULL;

	assert_fails(ibb_convert(q, &json, &err), code, err, text);
	assert_null(json);
	assert_untouched(&before);
}

static void conversion(void **state)
{
	static const char *const phases[] = {"inspect", "copy", "check", "sync"};
	struct ibb_request q = bake_request();
	struct ibb_error err = {0};
	char *json = NULL;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(phases); i++) {
		struct stopper s = {phases[i], 0, false};

		q.progress = stop;
		q.progress_ctx = &s;
		convert_refused(&q, IBB_E_CANCELLED, "stopped");
	}
	for (int nth = 0; nth < 2; nth++) {
		struct stopper s = {"copy", nth, true};

		q.progress_ctx = &s;
		convert_refused(&q, IBB_E_CHANGED, "base.raw");
	}
	q.progress = NULL;
	q.format = (enum ibb_output_format)4;
	convert_refused(&q, IBB_E_INVALID, "unknown output format");
	q.format = IBB_OUTPUT_RAW;
	q.sparse = (enum ibb_output_sparse)3;
	convert_refused(&q, IBB_E_INVALID, "unknown output format or sparse mode");
	q.sparse = IBB_OUTPUT_SPARSE_AUTO;
	q.format = IBB_OUTPUT_VHDX;
	convert_refused(&q, IBB_E_INVALID, "by its name a raw disk, but a VHDX would be written");
	q.format = IBB_OUTPUT_VHD;
	q.output = "out.QCOW2";
	convert_refused(&q, IBB_E_INVALID, "by its name no VHD, VHDX or raw disk");
	q.output = NULL;
	convert_refused(&q, IBB_E_INVALID, "no output was named");
	q.output = out;
	q.image = NULL;
	convert_refused(&q, IBB_E_INVALID, "no image was named");
	q = bake_request();
	assert_ok(ibb_convert(&q, &json, &err), err);
	assert_non_null(strstr(json, "ibbake-convert/1"));
	ibb_free(json);
	convert_refused(&q, IBB_E_EXISTS, "exists already");
	unlink(out);
	/* whoever wants no error gets the code all the same */
	q.output = image;
	json = NULL;
	assert_int_equal(ibb_convert(&q, &json, NULL), IBB_E_EXISTS);
}

static void conversion_without_memory(void **state)
{
	static const enum ibb_output_format formats[] = {IBB_OUTPUT_VHD, IBB_OUTPUT_VHD_DYNAMIC,
							 IBB_OUTPUT_VHDX, IBB_OUTPUT_RAW};
	struct ibb_request q = bake_request();
	struct ibb_error err = {0};
	char path[600];

	(void)state;
	snprintf(path, sizeof(path), "%s/converted", test_dir());
	q.output = path;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(formats); i++) {
		struct scene before = look();
		char *json = NULL;
		long n = 0;
		int r;

		q.format = formats[i];
		do {
			ibb_mem_fail_at(n++, false);
			r = ibb_convert(&q, &json, &err);
			ibb_mem_fail_at(-1, false);
			if (r) {
				assert_fails(r, IBB_E_NOMEM, err, "memory");
				assert_null(json);
				unlink(path); /* only its document may be missing */
			}
		} while (r);
		assert_true(n > 20);
		ibb_free(json);
		unlink(path);
		assert_untouched(&before);
	}
}

/* ---- bundles ---- */

static void bundle_without_memory(void **state)
{
	static const char *const oses[] = {"server2022", "server2019"};
	static char bundle[600], unpacked[600];
	const char *const inputs[] = {bundle};
	struct ibb_request q = request(), use = q;
	struct ibb_error err = {0}, clean = {0};
	struct scene before = look();
	char *json = NULL;

	(void)state;
	snprintf(bundle, sizeof(bundle), "%s/a.ibbundle", test_dir());
	snprintf(unpacked, sizeof(unpacked), "%s/unpacked", test_dir());
	q.oses = oses;
	q.n_oses = 2;
	q.output = bundle;
	q.overwrite = true;
	q.temp_dir = test_dir();
	assert_true(sweep(ibb_bundle_create, &q) > 300);
	q.inputs = inputs;
	q.n_inputs = 1;
	assert_true(sweep(ibb_bundle_check, &q) > 10);
	use.driver_dirs = NULL;
	use.n_driver_dirs = 0;
	use.bundle = bundle;
	use.temp_dir = test_dir();
	assert_true(sweep(ibb_plan, &use) > 300);
	q.output = unpacked;
	for (long n = 0; access(unpacked, F_OK); n++) {
		ibb_mem_fail_at(n, false);
		(void)!ibb_bundle_unpack(&q, &json, &err);
		ibb_mem_fail_at(-1, false);
		assert_true(n < 10000);
	}
	ibb_free(json);
	assert_ok(ibb_remove_tree(unpacked, &clean), clean);
	unlink(bundle);
	assert_untouched(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(documents_of_refusals),
		cmocka_unit_test(the_same_package_twice),
		cmocka_unit_test(packages_refused),
		cmocka_unit_test(required_readiness),
		cmocka_unit_test(output_refused),
		cmocka_unit_test(somebody_else_bakes),
		cmocka_unit_test(dry_run),
		cmocka_unit_test(bake_verify_bake),
		cmocka_unit_test(another_time_other_bytes),
		cmocka_unit_test(cancelled_in_every_phase),
		cmocka_unit_test(source_changes_meanwhile),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(out_of_memory_while_writing),
		cmocka_unit_test(conversion),
		cmocka_unit_test(conversion_without_memory),
		cmocka_unit_test(bundle_without_memory),
	};

	return cmocka_run_group_tests(tests, setup, test_dir_teardown) ? 1 : 0;
}
