/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the public functions share: names, a test root, the scene of a refusal. */
#ifndef IBB_TEST_API_SCENE_H
#define IBB_TEST_API_SCENE_H

#include "ibbake/ibbake.h"

#include "disktest.h"
#include "test.h"

#include "base/hash.h"
#include "base/json.h"
#include "listing.h"
#include "mkcat.h"
#include "mkimage.h"
#include "pkgtest.h"
#include "wintree.h"

#define SIZE "Standard_HB120rs_v3"
#define NOW  1790000000

/* Paths below test_dir(): what is read, and what is made. */
static char source[600], drivers[600], out[600], manifest[600], anchor[600];
static const char *const sizes[] = {SIZE};
static const char *const anchors[] = {anchor};

static inline void in_dir(char to[600], const char *name)
{
	snprintf(to, 600, "%s/%s", test_dir(), name);
}

/* Of `release` (wintree.h), NULL: without a Windows; one small raw volume. */
static inline int make_volume(const char *path, const char *release, struct ibb_error *err)
{
	struct mkimage m = {.size = 24u << 20,
			    .sector = 512,
			    .table = MKIMAGE_NONE,
			    .seed = 1,
			    .unix_time = WINTREE_TIME,
			    .windows = {.seed = 1,
					.no_windows = !release,
					.hives = wintree_spec(release ? release : "server2022")}};
	struct mkimage_layout layout;

	return mkimage(path, &m, &layout, err);
}

/* A package, and the root that vouches for it. */
static inline int make_drivers(struct ibb_error *err)
{
	struct mkpkg_opts o = {.key_dir = PKGTEST_KEYS};
	struct ibb_buf pem = {0};
	struct ibb_atomic a;
	int r = mkpkg_write(drivers, &o, err);

	if (!r)
		r = mkcat_root_pem(PKGTEST_KEYS, &pem, err);
	if (!r)
		r = ibb_atomic_begin(&a, anchor, false, err);
	if (!r)
		r = ibb_pwrite_full(a.fd, pem.data, pem.len, 0, anchor, err);
	if (!r)
		r = ibb_atomic_commit(&a, err);
	ibb_buf_clear(&pem);
	return r;
}

/* The directory, and where everything lies in it. */
static inline int scene_setup(void **state, const char *source_name, const char *out_name)
{
	if (test_dir_setup(state))
		return -1;
	in_dir(source, source_name);
	in_dir(drivers, "drivers");
	in_dir(out, out_name);
	in_dir(manifest, "out.json");
	in_dir(anchor, "root.pem");
	return 0;
}

/* How a setup ends: without the tools that make images there is nothing to test. */
static inline int scene_made(int r, const struct ibb_error *err)
{
	if (r == IBB_E_NOTFOUND) {
		print_message("SKIPPED: %s\n", err->msg);
		exit(77);
	}
	if (r)
		print_error("%s\n", err->msg);
	return r;
}

/* ---- looking ---- */

static inline void digest_of(const char *path, char hex[65])
{
	struct ibb_buf b = {0};
	struct ibb_error err = {0};
	struct ibb_sha256 d;

	assert_ok(ibb_read_file(path, 1u << 30, &b, &err), err);
	assert_int_equal(ibb_sha256(b.data, b.len, &d), 0);
	ibb_sha256_hex(&d, hex);
	ibb_buf_clear(&b);
}

/* The scene of a refusal: the source's content and the number of files. */
struct scene {
	char digest[65];
	unsigned n_files;
};

static inline struct scene look(void)
{
	struct scene s = {.n_files = files_in(test_dir())};

	digest_of(source, s.digest);
	return s;
}

static inline void assert_untouched(const struct scene *before)
{
	struct scene now = look();

	assert_string_equal(now.digest, before->digest);
	assert_int_equal(now.n_files, before->n_files);
}

typedef int (*task)(const struct ibb_request *q, char **ret_json, struct ibb_error *err);

static inline void refused(task fn, const struct ibb_request *q, int code, const char *text)
{
	struct scene before = look();
	struct ibb_error err = {0};
	char *json = NULL;

	assert_fails(fn(q, &json, &err), code, err, text);
	assert_int_equal(err.code, code);
	assert_null(json);
	assert_untouched(&before);
}

static inline struct ibb_json *parse(char *json)
{
	struct ibb_json *doc = NULL;
	struct ibb_error err = {0};

	assert_non_null(json);
	assert_ok(ibb_json_parse("document", json, strlen(json), &doc, &err), err);
	ibb_free(json);
	return doc;
}

static inline struct ibb_json *done(task fn, const struct ibb_request *q)
{
	struct ibb_error err = {0};
	char *json = NULL;

	assert_ok(fn(q, &json, &err), err);
	return parse(json);
}

#endif
