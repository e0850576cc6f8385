/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The library on WIM files: which images are meant, what is refused, what documents look like. */
#include "api_scene.h"

#include <dirent.h>
#include <sys/file.h>
#include <sys/xattr.h>

#include "api/wims.h"
#include "mkwim.h"

static char *const wim = source;
static const char *dirs[1];
static char disk[600];

/* ---- the scene: a Server, the Windows PE of the same build, a data volume ---- */

static int make_wim(const char *path, const char *const *names, struct mkwim m,
		    struct ibb_error *err)
{
	static char volumes[3][600];
	struct mkwim_image images[3] = {{0}};
	static const struct mkwim_property server[] = {
		{"WINDOWS/ARCH", "9"}, {"DISPLAYNAME", "Server with <odd> & \"text\""}};

	for (m.n_images = 0; m.n_images < 3 && names[m.n_images]; m.n_images++) {
		struct mkwim_image *x = &images[m.n_images];

		in_dir(volumes[m.n_images], names[m.n_images]);
		*x = (struct mkwim_image){.ntfs = volumes[m.n_images], .name = names[m.n_images]};
		if (strcmp(x->name, "Server") != 0)
			continue;
		x->properties = server;
		x->n_properties = IBB_ARRAY_SIZE(server);
	}
	m.images = images;
	m.compression = WIMLIB_COMPRESSION_TYPE_LZX;
	return mkwim(path, &m, err);
}

static const char *const three[] = {"Server", "Setup", "Data"};

static int setup(void **state)
{
	static const char *const releases[] = {"server2022", "winpe-20348", NULL};
	struct ibb_error err = {0};
	char path[600];
	int r = IBB_OK;

	if (scene_setup(state, "install.wim", "out.wim"))
		return -1;
	in_dir(disk, "Server");
	dirs[0] = drivers;
	for (size_t i = 0; i < 3 && !r; i++) {
		in_dir(path, three[i]);
		r = make_volume(path, releases[i], &err);
	}
	if (!r)
		r = make_wim(wim, three, (struct mkwim){.integrity = true, .boot_index = 2}, &err);
	if (!r)
		r = make_drivers(&err);
	return scene_made(r, &err);
}

static struct ibb_request request(const char *const *images, size_t n)
{
	return (struct ibb_request){.struct_bytes = sizeof(struct ibb_request),
				    .image = wim,
				    .images = images,
				    .n_images = n,
				    .sizes = sizes,
				    .n_sizes = 1,
				    .driver_dirs = dirs,
				    .n_driver_dirs = 1,
				    .trust_anchors = anchors,
				    .n_trust_anchors = 1,
				    .reproducible = true,
				    .unix_time = NOW};
}

static const char *const all[] = {"all"};

static struct ibb_request bake_request(void)
{
	struct ibb_request q = request(all, 1);

	q.output = out;
	q.manifest = manifest;
	return q;
}

/* ---- looking ---- */

/* The item of "images" at this place. */
static const struct ibb_json *image_at(const struct ibb_json *doc, size_t n)
{
	const struct ibb_json *i = ibb_json_first(ibb_json_get(doc, "images"));

	while (i && n--)
		i = ibb_json_next(i);
	assert_non_null(i);
	return i;
}

static void assert_image(const struct ibb_json *doc, size_t n, int64_t index, bool skipped)
{
	const struct ibb_json *i = image_at(doc, n);
	int64_t found = 0;

	assert_true(ibb_json_int(i, "index", 1, 99, &found));
	assert_int_equal(found, index);
	assert_string_equal(ibb_json_str(i, "name"), three[index - 1]);
	assert_int_equal(ibb_json_str(i, "skipped") != NULL, skipped);
}

static size_t n_images(const struct ibb_json *doc)
{
	return ibb_json_count(ibb_json_get(doc, "images"));
}

/* ---- the choice ---- */

static void choice(void **state)
{
	static const char *const by_name[] = {"server"}, *const twice[] = {"SERVER", "1", "2"};
	static const char *const both[] = {"all", "Data"}, *const none[] = {"Home"};
	static const char *const zero[] = {"0"}, *const four[] = {"4"}, *const data[] = {"3"};
	struct ibb_request q = request(NULL, 0);
	struct ibb_json *doc;

	(void)state;
	refused(ibb_plan, &q, IBB_E_INVALID,
		"holds 3 images: 1 'Server' (Server with <odd> & \"text\"");
	refused(ibb_bake, &q, IBB_E_INVALID, "; 3 'Data'");
	q = request(none, 1);
	refused(ibb_plan, &q, IBB_E_INVALID, "Home");
	q = request(zero, 1);
	refused(ibb_plan, &q, IBB_E_INVALID, "0");
	q = request(four, 1);
	refused(ibb_plan, &q, IBB_E_INVALID, "4");
	q = request(by_name, 1);
	doc = done(ibb_plan, &q);
	assert_string_equal(ibb_json_str(doc, "schema"), "ibbake-wim-plan/1");
	assert_int_equal(n_images(doc), 1);
	assert_image(doc, 0, 1, false);
	ibb_json_free(doc);
	q = request(twice, 3);
	doc = done(ibb_plan, &q);
	assert_int_equal(n_images(doc), 2);
	assert_image(doc, 0, 1, false);
	assert_image(doc, 1, 2, false);
	ibb_json_free(doc);
	q = request(all, 1);
	doc = done(ibb_plan, &q);
	assert_int_equal(n_images(doc), 3);
	assert_image(doc, 2, 3, true);
	assert_non_null(strstr(ibb_json_str(image_at(doc, 2), "skipped"), "holds no Windows"));
	ibb_json_free(doc);
	/* named, it has to hold one, whoever else says all */
	q = request(data, 1);
	refused(ibb_plan, &q, IBB_E_UNSUPPORTED, "install.wim: image 3 (Data): holds no Windows");
	q = request(both, 2);
	refused(ibb_bake, &q, IBB_E_UNSUPPORTED, "image 3 (Data): holds no Windows");
}

static void nothing_but_data(void **state)
{
	static const char *const names[] = {"Data", NULL};
	struct ibb_request q = request(all, 1);
	struct ibb_error err = {0};
	char path[600];

	(void)state;
	in_dir(path, "data.wim");
	assert_ok(make_wim(path, names, (struct mkwim){0}, &err), err);
	q.image = path;
	refused(ibb_bake, &q, IBB_E_UNSUPPORTED, "none of its 1 image(s) holds a Windows");
	refused(ibb_plan, &q, IBB_E_UNSUPPORTED, "none of its 1 image(s) holds a Windows");
	/* the only one counts as named */
	q.images = NULL;
	q.n_images = 0;
	refused(ibb_bake, &q, IBB_E_UNSUPPORTED, "data.wim: image 1 (Data): holds no Windows");
	unlink(path);
}

/* ---- what does not go with a WIM, or with a disk ---- */

static void options_of_disks(void **state)
{
	struct ibb_request q;
	char vhd[600];

	(void)state;
	in_dir(vhd, "out.vhd");
#define CASE(field, value, code, text)                         \
	do {                                                   \
		q = bake_request();                            \
		q.field = value;                               \
		refused(ibb_bake, &q, (code), (text));         \
		if (q.output)                                  \
			refused(ibb_plan, &q, (code), (text)); \
	} while (0)
	CASE(partition, 2, IBB_E_INVALID, "is a WIM: --partition is for disks");
	CASE(format_given, true, IBB_E_INVALID, "is a WIM: --format or --sparse");
	CASE(format, IBB_OUTPUT_VHDX, IBB_E_INVALID, "is a WIM: --format or --sparse");
	CASE(sparse, IBB_OUTPUT_SPARSE_NEVER, IBB_E_INVALID, "is a WIM: --format or --sparse");
	CASE(second_opinion_off, true, IBB_E_INVALID, "is a WIM: --second-opinion");
	CASE(accept_changed_parent, true, IBB_E_INVALID, "is a WIM: --accept-changed-parent");
	CASE(azure, true, IBB_E_UNSUPPORTED, "is a WIM: --azure judges disks");
	CASE(compact, true, IBB_E_INVALID, "--compact goes with --in-place alone");
#undef CASE
	q = bake_request();
	q.in_place = true;
	refused(ibb_bake, &q, IBB_E_INVALID, "exclude each other");
	q.output = vhd;
	refused(ibb_convert, &q, IBB_E_UNSUPPORTED, "is a WIM archive");
}

static void options_of_wims(void **state)
{
	struct ibb_request q = request(all, 1);

	(void)state;
	q.image = disk;
	refused(ibb_plan, &q, IBB_E_INVALID, "is no WIM: --image is for the images of WIM files");
	refused(ibb_inspect, &q, IBB_E_INVALID, "is no WIM: --image");
	refused(ibb_drivers_list, &q, IBB_E_INVALID, "is no WIM: --image");
	q.n_images = 0;
	q.in_place = q.compact = true;
	refused(ibb_bake, &q, IBB_E_INVALID, "is no WIM: --compact is for WIM files");
}

static void output_names(void **state)
{
	static const char *const disks[] = {"out.vhd", "out.VHDX", "out.raw", "out.iso"};
	struct ibb_request q = bake_request();
	char path[600];

	(void)state;
	q.output = path;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(disks); i++) {
		in_dir(path, disks[i]);
		refused(ibb_bake, &q, IBB_E_INVALID, "by its name a disk");
	}
	in_dir(path, "out.swm");
	refused(ibb_bake, &q, IBB_E_INVALID, "a part of a split WIM");
	q.output = wim;
	refused(ibb_bake, &q, IBB_E_EXISTS, "the output is the input image");
	q.overwrite = true;
	refused(ibb_bake, &q, IBB_E_EXISTS, "the output is the input image");
	q = bake_request();
	q.manifest = wim;
	q.overwrite = true;
	refused(ibb_bake, &q, IBB_E_EXISTS, "the manifest is the input image");
	q.manifest = anchor;
	refused(ibb_bake, &q, IBB_E_EXISTS, "the manifest is a trust anchor");
	q.crls = anchors;
	q.n_crls = 1;
	q.n_trust_anchors = 0;
	refused(ibb_bake, &q, IBB_E_EXISTS, "the manifest is a revocation list");
	q = bake_request();
	q.manifest = "/nonexistent/m.json";
	refused(ibb_bake, &q, IBB_E_IO, "/nonexistent/m.json: the manifest cannot be made there");
	q.output = NULL;
	q.in_place = true;
	refused(ibb_bake, &q, IBB_E_IO, "/nonexistent/m.json: the manifest cannot be made there");
	/* and a disk is not written under the name of a WIM */
	q = bake_request();
	q.image = disk;
	q.n_images = 0;
	refused(ibb_bake, &q, IBB_E_INVALID, "by its name no VHD, VHDX or raw disk");
	in_dir(path, "out.esd");
	q.output = path;
	refused(ibb_bake, &q, IBB_E_INVALID, "by its name no VHD, VHDX or raw disk");
}

static void not_writable(void **state)
{
	struct ibb_request q = request(all, 1);
	struct ibb_error err = {0};
	char path[600], part[600];

	(void)state;
	in_dir(path, "other.wim");
	in_dir(part, "other2.swm");
	q.image = path;
	assert_ok(make_wim(path, three, (struct mkwim){.readonly = true}, &err), err);
	q.dry_run = true;
	refused(ibb_bake, &q, IBB_E_INVALID, "a dry run is of a change in place");
	q.in_place = true;
	refused(ibb_bake, &q, IBB_E_UNSUPPORTED, "read-only");
	q.dry_run = false;
	refused(ibb_bake, &q, IBB_E_UNSUPPORTED, "read-only");
	q.compact = true;
	refused(ibb_bake, &q, IBB_E_UNSUPPORTED, "read-only");
	assert_ok(make_wim(path, three, (struct mkwim){.pipable = true}, &err), err);
	q.compact = false;
	refused(ibb_bake, &q, IBB_E_UNSUPPORTED, "pipable");
	assert_int_equal(link(path, part), 0);
	refused(ibb_bake, &q, IBB_E_CONFLICT, "has 2 names");
	unlink(part);
	unlink(path);
}

/* ---- documents ---- */

static void inspect_shape(void **state)
{
	static const char *const data[] = {"Data"};
	struct ibb_request q = request(NULL, 0);
	struct ibb_error err = {0};
	struct ibb_json *doc = done(ibb_inspect, &q);
	const struct ibb_json *pe = image_at(doc, 1), *w;
	char *json = NULL;

	(void)state;
	assert_string_equal(ibb_json_str(doc, "schema"), "ibbake-wim-inspect/1");
	assert_string_equal(ibb_json_str(ibb_json_get(doc, "identity"), "container"), "WIM");
	assert_int_equal(n_images(doc), 3);
	assert_image(doc, 0, 1, false);
	assert_image(doc, 2, 3, true);
	assert_true(ibb_json_is_null(ibb_json_get(image_at(doc, 2), "problem")));
	assert_null(ibb_json_get(image_at(doc, 2), "image"));
	w = ibb_json_get(ibb_json_get(pe, "image"), "windows");
	assert_true(ibb_json_bool(w, "windows_pe", false));
	assert_string_equal(ibb_json_str(w, "kind"), "client");
	w = ibb_json_get(ibb_json_get(image_at(doc, 0), "image"), "windows");
	assert_false(ibb_json_bool(w, "windows_pe", true));
	ibb_json_free(doc);
	q = request(data, 1);
	assert_fails(ibb_inspect(&q, &json, &err), IBB_E_UNSUPPORTED, err,
		     "image 3 (Data): holds no Windows");
	doc = parse(json);
	assert_string_equal(ibb_json_str(ibb_json_get(image_at(doc, 0), "problem"), "code"),
			    "unsupported");
	ibb_json_free(doc);
}

/* No client has the build 20348, and PE says that it is one. */
static void windows_pe(void **state)
{
	static const char *const setup_image[] = {"Setup"};
	struct ibb_request q = request(setup_image, 1);
	struct ibb_json *doc = done(ibb_plan, &q);
	const struct ibb_json *t = ibb_json_first(ibb_json_get(image_at(doc, 0), "targets"));
	const struct ibb_json *w = ibb_json_get(ibb_json_get(t, "resolution"), "windows");
	bool said = false;

	(void)state;
	assert_string_equal(ibb_json_str(w, "name"), "Windows Server 2022");
	assert_string_equal(ibb_json_str(w, "kind"), "server");
	assert_string_equal(ibb_json_str(ibb_json_get(t, "resolution"), "state"), "validated");
	ibb_json_foreach (x, ibb_json_get(image_at(doc, 0), "warnings")) {
		said |= strstr(ibb_json_value_str(x), "this is Windows PE: the sizes are judged "
						      "for Windows Server 2022") != NULL;
		assert_null(strstr(ibb_json_value_str(x), "set-up is not finished"));
	}
	assert_true(said);
	assert_true(ibb_json_count(ibb_json_get(image_at(doc, 0), "operations")) > 20);
	ibb_json_free(doc);
}

static void dry_run(void **state)
{
	struct ibb_request q = request(all, 1);
	struct scene before = look();
	struct ibb_json *doc = done(ibb_bake, &q);

	(void)state;
	assert_untouched(&before);
	assert_string_equal(ibb_json_str(doc, "schema"), "ibbake-wim-manifest/1");
	assert_true(ibb_json_is_null(ibb_json_get(doc, "output")));
	assert_true(ibb_json_is_null(ibb_json_get(doc, "writing")));
	assert_true(ibb_json_bool(ibb_json_get(doc, "options"), "dry_run", false));
	assert_string_equal(ibb_json_str(doc, "signature"), "test trust");
	assert_int_equal(ibb_json_count(ibb_json_get(doc, "warnings")), 1);
	assert_string_equal(ibb_json_value_str(ibb_json_first(ibb_json_get(doc, "warnings"))),
			    "image 3 (Data) was skipped: holds no Windows (no "
			    "Windows/System32/config/SYSTEM)");
	ibb_json_free(doc);
}

/* SOFTWARE is the largest hive, and nothing in it changes. */
static void only_changed_hives(const struct ibb_json *image)
{
	size_t hives = 0;

	ibb_json_foreach (f, ibb_json_get(image, "files")) {
		assert_null(strstr(ibb_json_str(f, "path"), "SOFTWARE"));
		hives += strcmp(ibb_json_str(f, "kind"), "hive") == 0;
	}
	assert_int_equal(hives, 2);
}

static void verify_differs(struct ibb_request *q, const char *text)
{
	struct ibb_error err = {0};
	char *json = NULL;

	assert_fails(ibb_verify(q, &json, &err), IBB_E_DIFFERS, err, text);
	ibb_json_free(parse(json));
}

static void bake_verify_bake(void **state)
{
	static const char *const one[] = {"1"};
	struct ibb_request q = bake_request(), v = request(NULL, 0);
	struct scene before = look();
	struct ibb_json *doc;
	char first[65], second[65];

	(void)state;
	doc = done(ibb_bake, &q);
	assert_string_equal(ibb_json_str(ibb_json_get(doc, "writing"), "mode"), "new-file");
	assert_string_equal(ibb_json_str(ibb_json_get(doc, "writing"), "dead_bytes"), "0");
	only_changed_hives(image_at(doc, 0));
	ibb_json_free(doc);
	digest_of(out, first);
	v.image = out;
	v.manifest = manifest;
	doc = done(ibb_verify, &v);
	assert_string_equal(ibb_json_str(doc, "schema"), "ibbake-wim-verify/1");
	assert_int_equal(n_images(doc), 2);
	assert_true(ibb_json_bool(doc, "identical", false));
	ibb_json_free(doc);
	v.image = wim;
	verify_differs(&v, "install.wim differs from");
	/* the disk that image 1 was made from does not have it either, but may be asked */
	v.image = disk;
	refused(ibb_verify, &v, IBB_E_INVALID, "several images, or none");
	v.images = one;
	v.n_images = 1;
	verify_differs(&v, "Server differs from");
	/* everything is there: nothing to do, and the same bytes again */
	q.image = out;
	q.output = NULL;
	q.manifest = NULL;
	doc = done(ibb_bake, &q);
	assert_int_equal(ibb_json_count(ibb_json_get(image_at(doc, 0), "operations")), 0);
	ibb_json_free(doc);
	unlink(out);
	unlink(manifest);
	assert_untouched(&before);
	q = bake_request();
	ibb_json_free(done(ibb_bake, &q));
	digest_of(out, second);
	assert_string_equal(first, second);
	unlink(out);
	unlink(manifest);
}

static void manifests_of_others(void **state)
{
	struct ibb_request q = bake_request(), v = request(NULL, 0);
	char raw[600];

	(void)state;
	in_dir(raw, "out.raw");
	q.image = disk;
	q.n_images = 0;
	q.output = raw;
	q.format = IBB_OUTPUT_RAW;
	ibb_json_free(done(ibb_bake, &q));
	v.manifest = manifest;
	refused(ibb_verify, &v, IBB_E_INVALID, "is the manifest of a disk, and");
	v = request(all, 1);
	v.manifest = manifest;
	v.image = raw;
	refused(ibb_verify, &v, IBB_E_INVALID, "is the manifest of a disk: no --image");
	unlink(raw);
	unlink(manifest);
}

#define PART "\"files\":[],\"operations\":[],\"targets\":[]"

static void hostile_manifests(void **state)
{
	static const struct {
		const char *images, *text; /* text NULL: it is taken */
	} t[] = {
		{"[{\"index\":1," PART "},{\"index\":3,\"skipped\":\"x\"}]", NULL},
		{"1", "no \"images\""},
		{"[]", "none that was worked on"},
		{"[{\"index\":3,\"skipped\":\"x\"}]", "none that was worked on"},
		{"[{" PART "}]", "an item without its number"},
		{"[{\"index\":0," PART "}]", "an item without its number"},
		{"[{\"index\":1025," PART "}]", "an item without its number"},
		{"[{\"index\":\"1\"," PART "}]", "an item without its number"},
		{"[{\"index\":2," PART "},{\"index\":2," PART "}]", "an item without its number"},
		{"[{\"index\":2," PART "},{\"index\":1," PART "}]", "an item without its number"},
		{"[{\"index\":1}]", "no \"files\""},
		{"[{\"index\":1,\"skipped\":null}]", "no \"files\""},
		{"[{\"index\":1,\"files\":[{\"path\":\"../x\",\"kind\":\"driver\",\"after\":null}],"
		 "\"operations\":[],\"targets\":[]}]",
		 "m.json"},
		{"[{\"index\":1,\"files\":[],\"operations\":[{\"op\":\"format\"}],\"targets\":[]}]",
		 "no \"op\" that is known"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_json *m = NULL;
		struct ibb_error err = {0};
		char text[600];
		int r;

		snprintf(text, sizeof(text), "{\"schema\":\"ibbake-wim-manifest/1\",\"images\":%s}",
			 t[i].images);
		r = ibb_manifest_parse("m.json", text, strlen(text), &m, &err);
		if (t[i].text) {
			assert_fails(r, IBB_E_CORRUPT, err, t[i].text);
			continue;
		}
		assert_ok(r, err);
		assert_true(ibb_manifest_is_wim(m));
		assert_non_null(ibb_wim_manifest_image(m, 3));
		assert_null(ibb_wim_manifest_image(m, 2));
		ibb_json_free(m);
	}
}

static void clean_output(void)
{
	unlink(out);
	unlink(manifest);
}

static void put_manifest(const char *images)
{
	char text[1000];

	make_file(manifest, text,
		  (size_t)snprintf(text, sizeof(text),
				   "{\"schema\":\"ibbake-wim-manifest/1\",\"output\":{\"digest\":"
				   "null},\"images\":%s}",
				   images));
}

/* Image 2 was left out, and is a Windows by now; image 3 is none still. */
static void skipped_no_more(void **state)
{
	struct ibb_request v = request(NULL, 0);
	struct ibb_json *doc;
	struct ibb_error err = {0};
	const struct ibb_json *d;
	char *json = NULL;

	(void)state;
	put_manifest("[{\"index\":1,\"name\":\"Server\"," PART
		     "},{\"index\":2,\"skipped\":\"x\"},{\"index\":3,\"skipped\":\"x\"}]");
	v.manifest = manifest;
	assert_fails(ibb_verify(&v, &json, &err), IBB_E_DIFFERS, err, "in 1 place(s)");
	doc = parse(json);
	d = ibb_json_first(ibb_json_get(doc, "differences"));
	assert_string_equal(ibb_json_str(d, "where"), "image 2");
	assert_string_equal(ibb_json_str(d, "difference"),
			    "was skipped because it held no Windows, and holds one now");
	ibb_json_free(doc);
	unlink(manifest);
}

/* By its name, when there is no image of that number. */
static void image_with_a_number_for_a_name(void **state)
{
	static const char *const which[] = {"900", "901"};
	struct ibb_request v = request(which, 1);
	struct ibb_error err = {0};
	char *json = NULL;

	(void)state;
	put_manifest("[{\"index\":1,\"name\":\"900\"," PART "},{\"index\":2,\"name\":\"x\"," PART
		     "}]");
	v.image = disk;
	v.manifest = manifest;
	assert_ok(ibb_verify(&v, &json, &err), err);
	ibb_json_free(parse(json));
	v.images = &which[1];
	refused(ibb_verify, &v, IBB_E_INVALID, "no image of that number");
	unlink(manifest);
}

/* ---- in place ---- */

static void copy_of_wim(const char *to)
{
	struct ibb_buf b = {0};
	struct ibb_error err = {0};

	assert_ok(ibb_read_file(wim, 1u << 30, &b, &err), err);
	make_file(to, b.data, b.len);
	ibb_buf_clear(&b);
}

static void in_place(void **state)
{
	struct ibb_request q = request(all, 1);
	struct stat old, new;
	struct ibb_json *doc;
	char path[600], digest[65], again[65];

	(void)state;
	in_dir(path, "copy.wim");
	copy_of_wim(path);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(stat(path, &old), 0);
	q.image = path;
	q.manifest = manifest;
	q.in_place = true;
	doc = done(ibb_bake, &q);
	assert_string_equal(ibb_json_str(ibb_json_get(doc, "writing"), "mode"), "in-place");
	assert_string_not_equal(ibb_json_str(ibb_json_get(doc, "writing"), "dead_bytes"), "0");
	ibb_json_free(doc);
	assert_int_equal(stat(path, &new), 0);
	assert_int_equal(old.st_ino, new.st_ino);
	assert_true(new.st_size > old.st_size);
	q.dry_run = q.overwrite = true;
	digest_of(path, digest);
	doc = done(ibb_bake, &q);
	assert_true(ibb_json_bool(ibb_json_get(doc, "options"), "dry_run", false));
	assert_true(ibb_json_is_null(ibb_json_get(doc, "writing")));
	ibb_json_free(doc);
	digest_of(path, again);
	assert_string_equal(digest, again);
	q.dry_run = q.overwrite = false;
	/* nothing to do touches nothing, and the manifest is in the way */
	digest_of(path, digest);
	refused(ibb_bake, &q, IBB_E_EXISTS, "the manifest exists already");
	q.overwrite = true;
	ibb_json_free(done(ibb_bake, &q));
	digest_of(path, again);
	assert_string_equal(digest, again);
	q.compact = true;
	doc = done(ibb_bake, &q);
	assert_string_equal(ibb_json_str(ibb_json_get(doc, "writing"), "mode"), "compact");
	assert_string_equal(ibb_json_str(ibb_json_get(doc, "writing"), "dead_bytes"), "0");
	ibb_json_free(doc);
	assert_int_equal(stat(path, &old), 0);
	assert_true(old.st_size < new.st_size);
	assert_int_equal(old.st_mode & 07777, 0640);
	unlink(path);
	unlink(manifest);
}

/* Somebody else's work at the last moment. */
struct meanwhile {
	const char *path, *other;
	int how;
};

static int meddle(void *ctx, const struct ibb_progress *p)
{
	struct meanwhile *m = ctx;

	if (strcmp(p->phase, "sync") != 0)
		return 0;
	if (m->how == 0)
		assert_int_equal(rename(m->other, m->path), 0);
	else if (m->how == 1)
		assert_int_equal(unlink(m->path), 0);
	else
		assert_int_equal(chmod(m->path, 0600), 0);
	return 0;
}

static void compact_replaces_only_its_source(void **state)
{
	static const char *const texts[] = {"was moved, removed or replaced",
					    "was moved, removed or replaced", "was changed while"};
	struct ibb_request q = request(all, 1);
	char path[600], other[600];

	(void)state;
	in_dir(path, "copy.wim");
	in_dir(other, "other.wim");
	for (int how = 0; how < 3; how++) {
		struct meanwhile m = {path, other, how};
		struct ibb_error err = {0};
		char *json = NULL;

		copy_of_wim(path);
		make_file(other, "precious", 8);
		q.image = path;
		q.manifest = manifest;
		q.in_place = q.compact = true;
		q.progress = meddle;
		q.progress_ctx = &m;
		assert_fails(ibb_bake(&q, &json, &err), IBB_E_CHANGED, err, texts[how]);
		assert_null(json);
		if (how == 0)
			assert_file_is(path, "precious", 8);
		assert_int_equal(access(path, F_OK), how == 1 ? -1 : 0);
		assert_int_equal(access(manifest, F_OK), -1);
		unlink(path);
		unlink(other);
	}
}

#define ACL "system.posix_acl_access"

/* User 12345 may read and write, the owning group nothing: the mode says 0660. */
static const uint8_t acl[] = {2,   0,	0,   0,	   1,	0,    6,    0,	 255, 255, 255,
			      255, 2,	0,   6,	   0,	0x39, 0x30, 0,	 0,   4,   0,
			      0,   0,	255, 255,  255, 255,  0x10, 0,	 6,   0,   255,
			      255, 255, 255, 0x20, 0,	0,    0,    255, 255, 255, 255};

static void access_kept(void **state)
{
	struct ibb_request q = request(all, 1);
	char path[600], got[100] = "";
	bool has_acl, has_attr;
	struct stat st;

	(void)state;
	in_dir(path, "copy.wim");
	copy_of_wim(path);
	assert_int_equal(chmod(path, 0600), 0);
	has_attr = setxattr(path, "user.ibbake", "kept", 4, 0) == 0;
	has_acl = setxattr(path, ACL, acl, sizeof(acl), 0) == 0;
	if (!has_attr || !has_acl)
		print_message("attributes %d, ACLs %d here\n", has_attr, has_acl);
	q.image = path;
	q.in_place = q.compact = true;
	ibb_json_free(done(ibb_bake, &q));
	if (has_attr) {
		assert_int_equal(getxattr(path, "user.ibbake", got, sizeof(got)), 4);
		assert_memory_equal(got, "kept", 4);
	}
	if (has_acl) {
		assert_int_equal(getxattr(path, ACL, got, sizeof(got)), sizeof(acl));
		assert_memory_equal(got, acl, sizeof(acl));
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, has_acl ? 0660 : 0600);
	unlink(path);
}

static void stale_manifest(void **state)
{
	static const char *const schemas[] = {"ibbake-manifest/2", "ibbake-wim-manifest/1",
					      "somebody's/1"};
	struct ibb_request q = bake_request();
	char path[600], text[100];

	(void)state;
	in_dir(path, "out.wim.manifest.json");
	for (size_t i = 0; i < IBB_ARRAY_SIZE(schemas); i++) {
		int n = snprintf(text, sizeof(text), "{\"schema\":\"%s\"}", schemas[i]);

		make_file(path, text, (size_t)n);
		if (i < 2) {
			refused(ibb_bake, &q, IBB_E_EXISTS, "the manifest of another image");
			continue;
		}
		ibb_json_free(done(ibb_bake, &q));
		assert_file_is(path, text, (size_t)n);
		clean_output();
	}
	unlink(path);
}

/* ---- interrupted ---- */

struct stopper {
	const char *phase;
	int nth;
};

static int stop(void *ctx, const struct ibb_progress *p)
{
	struct stopper *s = ctx;

	return strcmp(p->phase, s->phase) == 0 && s->nth-- == 0;
}

static void cancelled_in_every_phase(void **state)
{
	static const struct {
		const char *phase;
		int nth;
	} t[] = {{"inspect", 0}, {"inspect", 1}, {"packages", 0}, {"plan", 0},	{"apply", 1},
		 {"copy", 0},	 {"digest", 0},	 {"check", 0},	  {"check", 2}, {"sync", 0}};
	char path[600], before[65], after[65];

	(void)state;
	in_dir(path, "copy.wim");
	copy_of_wim(path);
	digest_of(path, before);
	for (size_t i = 0; i < 2 * IBB_ARRAY_SIZE(t); i++) {
		struct stopper s = {t[i / 2].phase, t[i / 2].nth};
		struct ibb_request q = bake_request();

		q.progress = stop;
		q.progress_ctx = &s;
		if (i % 2) {
			q.image = path;
			q.output = NULL;
			q.in_place = true;
		}
		refused(ibb_bake, &q, IBB_E_CANCELLED, "stop");
		assert_int_equal(s.nth, -1);
		digest_of(path, after);
		assert_string_equal(before, after);
	}
	unlink(path);
}

/* ---- lack of memory ---- */

/* About 15 of the task's allocations fail, one a run; each is an error that says so, or is done
 * without. */
static long sweep(task fn, const struct ibb_request *q, void (*clean)(void))
{
	struct ibb_error err = {0};
	char *json = NULL;
	long total, stride;
	int r;

	ibb_mem_fail_at(-1, false);
	r = fn(q, &json, &err);
	total = ibb_mem_count();
	assert_ok(r, err);
	ibb_free(json);
	clean();
	stride = (total / 15 + 1) | 1;
	for (long n = 0; n < total; n += stride) {
		json = NULL;
		err = (struct ibb_error){0};
		ibb_mem_fail_at(n, false);
		r = fn(q, &json, &err);
		ibb_mem_fail_at(-1, false);
		if (r && (r != IBB_E_NOMEM || json || !*err.msg))
			fail_msg("allocation %ld of %ld failed: %d %s", n, total, r, err.msg);
		ibb_free(json);
		clean();
	}
	return total;
}

static void clean_nothing(void)
{
}

static void out_of_memory(void **state)
{
	struct ibb_request q = request(all, 1);
	struct scene before = look();

	(void)state;
	assert_true(sweep(ibb_plan, &q, clean_nothing) > 300);
	(void)sweep(ibb_inspect, &q, clean_nothing);
	(void)sweep(ibb_drivers_list, &q, clean_nothing);
	q = bake_request();
	(void)sweep(ibb_bake, &q, clean_output);
	assert_untouched(&before);
}

static char changed[600];

static void restore(void)
{
	copy_of_wim(changed);
	unlink(manifest);
}

static void out_of_memory_in_place(void **state)
{
	struct ibb_request q = request(all, 1);
	struct scene before;

	(void)state;
	in_dir(changed, "copy.wim");
	restore();
	before = look();
	q.image = changed;
	q.manifest = manifest;
	q.in_place = true;
	(void)sweep(ibb_bake, &q, restore);
	assert_untouched(&before);
	unlink(changed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choice),
		cmocka_unit_test(nothing_but_data),
		cmocka_unit_test(options_of_disks),
		cmocka_unit_test(options_of_wims),
		cmocka_unit_test(output_names),
		cmocka_unit_test(not_writable),
		cmocka_unit_test(inspect_shape),
		cmocka_unit_test(windows_pe),
		cmocka_unit_test(dry_run),
		cmocka_unit_test(bake_verify_bake),
		cmocka_unit_test(manifests_of_others),
		cmocka_unit_test(hostile_manifests),
		cmocka_unit_test(skipped_no_more),
		cmocka_unit_test(image_with_a_number_for_a_name),
		cmocka_unit_test(in_place),
		cmocka_unit_test(compact_replaces_only_its_source),
		cmocka_unit_test(access_kept),
		cmocka_unit_test(stale_manifest),
		cmocka_unit_test(cancelled_in_every_phase),
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(out_of_memory_in_place),
	};

	return cmocka_run_group_tests(tests, setup, test_dir_teardown) ? 1 : 0;
}
