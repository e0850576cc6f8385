/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_drivers_unpack(): archives of vendors to a directory, and what is in them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/catalogs.h"
#include "api/doc.h"
#include "api/session.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"
#include "catalog/catalog.h"
#include "inf/inf.h"

struct unpacking {
	const struct ibb_request *q;
	struct ibb_catalog *catalog;
	mode_t mode;  /* of the empty directory that is there already, or 0 */
	char *temp;   /* where it is made, until it gets its name */
	char **files; /* relative, sorted */
	size_t n_files, cap_files;
	struct ibb_jb b;
	struct ibb_json *root, *archives, *packages, *companions, *warnings;
	uint64_t written, bytes;
	struct ibb_error *err;
};

/* ---- the directory ---- */

static int is_empty(const char *dir, bool *ret, struct ibb_error *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (!d)
		return ibb_err_os(err, errno, "%s: open the directory", dir);
	*ret = true;
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			*ret = false;
	closedir(d);
	return IBB_OK;
}

/* A directory that another one can take the place of: where something is mounted none can. */
static bool is_mount_point(const char *dir)
{
#ifdef STATX_ATTR_MOUNT_ROOT
	struct statx x;

	return !statx(AT_FDCWD, dir, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &x) &&
	       (x.stx_attributes & STATX_ATTR_MOUNT_ROOT);
#else
	(void)dir;
	return false;
#endif
}

static int not_there_yet(struct ibb_error *err, int code)
{
	return ibb_err_hint(err, code, "name a directory that is not there yet");
}

/* What publish() would meet is said before the work. */
static int check_place(const char *dir, struct ibb_error *err)
{
	const char *base = ibb_path_base(dir);
	IBB_AUTO_FREE char *parent = ibb_dir_of(dir);

	if (!parent)
		return ibb_err_nomem(err);
	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0 || is_mount_point(dir)) {
		ibb_err(err, IBB_E_EXISTS, "%s is a directory that cannot be replaced", dir);
		return not_there_yet(err, IBB_E_EXISTS);
	}
	if (access(parent, W_OK | X_OK)) {
		ibb_err_os(err, errno, "%s: %s is made in it", parent, dir);
		return ibb_err_hint(err, err ? err->code : IBB_E_IO,
				    "name a directory below one that may be written");
	}
	return IBB_OK;
}

static int check_output(const char *dir, mode_t *ret_mode, struct ibb_error *err)
{
	bool empty = false;
	struct stat st;
	int r = check_place(dir, err);

	if (r)
		return r;
	if (lstat(dir, &st))
		return errno == ENOENT ? IBB_OK : ibb_err_os(err, errno, "%s", dir);
	if (S_ISLNK(st.st_mode)) {
		ibb_err(err, IBB_E_EXISTS, "%s exists and is a link", dir);
		return not_there_yet(err, IBB_E_EXISTS);
	}
	if (!S_ISDIR(st.st_mode))
		return ibb_err(err, IBB_E_EXISTS, "%s exists and is no directory", dir);
	*ret_mode = st.st_mode & 0777;
	r = is_empty(dir, &empty, err);
	if (r || empty)
		return r;
	ibb_err(err, IBB_E_EXISTS, "%s is not empty", dir);
	return not_there_yet(err, IBB_E_EXISTS);
}

/* The name without slashes at its end. */
static char *output_name(const char *output)
{
	size_t n = strlen(output);

	while (n > 1 && output[n - 1] == '/')
		n--;
	return ibb_strndup(output, n);
}

static int make_temp(struct unpacking *u, const char *output)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(output);
	char *temp = dir ? ibb_asprintf("%s/.%s.ibbake-XXXXXX", dir, ibb_path_base(output)) : NULL;

	if (!temp)
		return ibb_err_nomem(u->err);
	if (!mkdtemp(temp)) {
		free(temp);
		return ibb_err_os(u->err, errno, "%s: make a directory in it", dir);
	}
	u->temp = temp;
	return IBB_OK;
}

/* All of its files at once: one by one the thousands of an installer would take minutes. */
static int sync_files(struct unpacking *u)
{
	IBB_AUTO_FD int fd = open(u->temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd))
		return ibb_err_os(u->err, errno, "%s: sync", u->temp);
	return IBB_OK;
}

/* The name is there already: this is about a power cut only. */
static int sync_parent(struct unpacking *u, const char *output)
{
	IBB_AUTO_FREE char *dir = ibb_dir_of(output);
	IBB_AUTO_FD int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (!dir)
		return ibb_err_nomem(u->err);
	if (fd < 0 || (fsync(fd) && errno != EINVAL))
		return ibb_err_os(u->err, errno, "%s is written, but may not last: %s: sync",
				  output, dir);
	return IBB_OK;
}

/* rename() takes the place of an empty directory, and of no other; its mode is kept. */
static int publish(struct unpacking *u, const char *output)
{
	int r;

	if (u->mode && chmod(u->temp, u->mode))
		return ibb_err_os(u->err, errno, "%s: give the directory its mode", output);
	r = sync_files(u);
	if (r)
		return r;
	if (rename(u->temp, output))
		return ibb_err_os(u->err, errno, "%s: give the directory its name", output);
	free(u->temp);
	u->temp = NULL;
	return sync_parent(u, output);
}

/* ---- taking apart ---- */

static int tick(void *ctx, struct ibb_error *err)
{
	struct unpacking *u = ctx;

	return ibb_session_phase(u->q, "unpack", 0, 0, err);
}

static void result_json(struct unpacking *u, const char *file, const char *sub,
			const struct ibb_unpack_result *r)
{
	for (size_t i = 0; i < r->n_archives; i++) {
		const struct ibb_unpacked_archive *a = &r->archives[i];
		struct ibb_json *o = ibb_jb_object(&u->b, u->archives, NULL);

		ibb_jb_str(&u->b, o, "file", file);
		ibb_jb_str(&u->b, o, "path", *a->path ? a->path : NULL);
		ibb_jb_str(&u->b, o, "kind", ibb_unpack_kind_name(a->kind));
		ibb_jb_str(&u->b, o, "unverified", a->unverified);
		ibb_jb_str(&u->b, o, "directory", *sub ? sub : NULL);
	}
	for (size_t i = 0; i < r->n_warnings; i++)
		ibb_jb_fmt(&u->b, u->warnings, NULL, "%s: %s", file, r->warnings[i]);
	u->written += r->files;
	u->bytes += r->bytes;
}

/* One file: into the directory itself; several: each into one named after it. */
static int take_apart(struct unpacking *u, const char *file)
{
	IBB_AUTO_FREE char *sub = ibb_asprintf("%s.d", ibb_path_base(file)), *dir = NULL;
	bool alone = u->q->n_inputs == 1;
	struct ibb_unpack_limits limits = {.tick = tick, .tick_ctx = u};
	struct ibb_unpack_result r = {0};
	int rc;

	dir = sub ? ibb_asprintf("%s%s%s", u->temp, alone ? "" : "/", alone ? "" : sub) : NULL;
	if (!dir)
		return ibb_err_nomem(u->err);
	if (!alone && mkdir(dir, 0700))
		return errno == EEXIST ? ibb_err(u->err, IBB_E_CONFLICT,
						 "two files are called %s: unpack them one by one",
						 ibb_path_base(file))
				       : ibb_err_os(u->err, errno, "%s: make the directory", dir);
	/* what needs room meanwhile goes where there has to be room for the result */
	rc = ibb_unpack(file, dir, dir, &limits, &r, u->err);
	if (rc == IBB_E_NOSPACE)
		rc = ibb_err_hint(u->err, rc,
				  "name an output directory on a file system with room");
	if (rc)
		return rc;
	result_json(u, file, alone ? "" : sub, &r);
	ibb_unpack_result_clear(&r);
	return IBB_OK;
}

/* ---- what came out ---- */

static int list_files(struct unpacking *u, const char *dir, const char *rel) IBB_MUST_CHECK;

static int list_one(struct unpacking *u, const char *dir, const char *rel, const char *name)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", dir, name);
	IBB_AUTO_FREE char *at = ibb_asprintf("%s%s%s", rel, *rel ? "/" : "", name);
	struct stat st;

	if (!path || !at)
		return ibb_err_nomem(u->err);
	if (lstat(path, &st))
		return ibb_err_os(u->err, errno, "%s: stat", path);
	if (S_ISDIR(st.st_mode))
		return list_files(u, path, at);
	if (ibb_grow(&u->files, &u->cap_files, u->n_files, sizeof(*u->files)))
		return ibb_err_nomem(u->err);
	u->files[u->n_files++] = IBB_TAKE(at);
	return IBB_OK;
}

/* As deep as the unpacking lets it be. */
static int list_files(struct unpacking *u, const char *dir, const char *rel)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = IBB_OK;

	if (!d)
		return ibb_err_os(u->err, errno, "%s: open the directory", dir);
	while (!r && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = list_one(u, dir, rel, e->d_name);
	closedir(d);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Is there such a file beside `inf`, whatever its case? */
static bool is_beside(const struct unpacking *u, const char *inf, const char *name)
{
	size_t dir = ibb_path_dir_len(inf);

	for (size_t i = 0; i < u->n_files; i++)
		if (ibb_path_dir_len(u->files[i]) == dir && strncmp(u->files[i], inf, dir) == 0 &&
		    ibb_caseeq(ibb_path_base(u->files[i]), name))
			return true;
	return false;
}

static struct ibb_inf_target target_of(const struct ibb_windows *w)
{
	return (struct ibb_inf_target){.arch = IBB_ARCH_AMD64,
				       .major = w->major,
				       .minor = w->minor,
				       .build = w->build,
				       .product_type = w->server ? 3 : 1};
}

/* A Windows that the INF has models for is one that it reaches. */
static int reach_json(struct unpacking *u, struct ibb_inf *inf, struct ibb_json *list)
{
	size_t n = ibb_catalog_n_windows(u->catalog);
	struct ibb_windows only;

	if (u->q->os) {
		int r = ibb_catalog_find_windows(u->catalog, u->q->os, &only, u->err);

		if (r)
			return r;
		n = 1;
	}
	for (size_t i = 0; i < n; i++) {
		struct ibb_inf_models models;
		struct ibb_inf_target t;
		struct ibb_error no = {0};
		struct ibb_windows w;
		int r;

		if (u->q->os)
			w = only;
		else
			ibb_catalog_windows_at(u->catalog, i, &w);
		t = target_of(&w);
		r = ibb_inf_models(inf, &t, &models, &no);
		if (r == IBB_E_NOMEM)
			return ibb_err_nomem(u->err);
		if (!r)
			ibb_jb_str(&u->b, list, NULL, w.name);
	}
	return IBB_OK;
}

static int describe(struct unpacking *u, const char *path, struct ibb_json *o,
		    struct ibb_bytes bytes)
{
	IBB_AUTO(ibb_inf_free) struct ibb_inf *inf = NULL;
	struct ibb_inf_target t = {.arch = IBB_ARCH_AMD64, .major = 10, .product_type = 3};
	struct ibb_error why = {0};
	struct ibb_inf_version v;
	int r = ibb_inf_parse(path, bytes, &inf, &why);

	if (!r)
		r = ibb_inf_version(inf, &t, &v, &why);
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(u->err);
	ibb_jb_str(&u->b, o, "problem", r ? why.msg : NULL);
	if (r)
		return IBB_OK;
	ibb_jb_str(&u->b, o, "provider", v.provider);
	ibb_jb_str(&u->b, o, "class", v.class_name);
	ibb_jb_fmt(&u->b, o, "date", "%04d-%02d-%02d", v.year, v.month, v.day);
	ibb_jb_str(&u->b, o, "version", v.version_text);
	ibb_jb_str(&u->b, o, "catalog", v.catalog);
	ibb_jb_bool(&u->b, o, "catalog_present", v.catalog && is_beside(u, path, v.catalog));
	return reach_json(u, inf, ibb_jb_array(&u->b, o, "windows"));
}

static int package_json(struct unpacking *u, const char *path)
{
	IBB_AUTO_FREE char *host = ibb_asprintf("%s/%s", u->temp, path);
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	struct ibb_json *o;
	int r = host ? ibb_read_file(host, IBB_LIMIT_INF_BYTES, &bytes, u->err)
		     : ibb_err_nomem(u->err);

	if (r && r != IBB_E_LIMIT)
		return r;
	o = ibb_jb_object(&u->b, u->packages, NULL);
	ibb_jb_str(&u->b, o, "inf", path);
	if (r) {
		ibb_jb_str(&u->b, o, "problem", "too large for an INF");
		return IBB_OK;
	}
	return describe(u, path, o, ibb_buf_bytes(&bytes));
}

/* ---- companions ---- */

static int digest_file(struct unpacking *u, const char *path, char hex[IBB_SHA256_HEX_SIZE])
{
	IBB_AUTO_FREE char *host = ibb_asprintf("%s/%s", u->temp, path);
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	struct ibb_sha256 d;
	int r = host ? ibb_read_file(host, IBB_LIMIT_PACKAGE_BYTES, &bytes, u->err)
		     : ibb_err_nomem(u->err);

	if (!r && ibb_sha256(bytes.data, bytes.len, &d))
		r = ibb_err_nomem(u->err);
	if (!r)
		ibb_sha256_hex(&d, hex);
	return r;
}

static int companion_json(struct unpacking *u, const char *set, const struct ibb_companion_file *f,
			  const char *path)
{
	struct ibb_json *o = ibb_jb_object(&u->b, u->companions, NULL);
	char hex[IBB_SHA256_HEX_SIZE];
	int r = digest_file(u, path, hex);

	if (r)
		return r;
	ibb_jb_str(&u->b, o, "path", path);
	ibb_jb_str(&u->b, o, "role", f->role);
	ibb_jb_str(&u->b, o, "driver_set", set);
	ibb_jb_str(&u->b, o, "sha256", hex);
	ibb_jb_str(&u->b, o, "pinned",
		   !f->sha256			? "no"
		   : ibb_caseeq(f->sha256, hex) ? "matches"
						: "DIFFERS");
	ibb_jb_str(&u->b, o, "confidence", f->confidence);
	ibb_jb_str(&u->b, o, "note", f->note);
	return IBB_OK;
}

static int companions_of(struct unpacking *u, const char *set)
{
	size_t n = 0;
	const struct ibb_companion_file *list = ibb_catalog_companions(u->catalog, set, &n);
	int r = IBB_OK;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < u->n_files && !r; k++)
			if (ibb_caseeq(ibb_path_base(u->files[k]), list[i].file))
				r = companion_json(u, set, &list[i], u->files[k]);
	return r;
}

/* Each driver set that some size needs, once. */
static int all_companions(struct unpacking *u)
{
	size_t n = ibb_catalog_n_sizes(u->catalog);
	int r = IBB_OK;

	for (size_t i = 0; i < n && !r; i++) {
		const char *set = ibb_catalog_size_at(u->catalog, i)->driver_set;
		bool before = false;

		for (size_t k = 0; k < i && !before; k++)
			before = strcmp(ibb_catalog_size_at(u->catalog, k)->driver_set, set) == 0;
		if (!before)
			r = companions_of(u, set);
	}
	return r;
}

static int look_into(struct unpacking *u)
{
	int r = list_files(u, u->temp, "");

	if (!r && u->n_files)
		qsort(u->files, u->n_files, sizeof(*u->files), by_name);
	for (size_t i = 0; i < u->n_files && !r; i++)
		if (ibb_case_suffix(u->files[i], ".inf") &&
		    !ibb_caseeq(ibb_path_base(u->files[i]), "autorun.inf"))
			r = package_json(u, u->files[i]);
	return r ? r : all_companions(u);
}

/* ---- the document ---- */

static void begin_doc(struct unpacking *u, const char *output)
{
	u->root = ibb_doc_begin(&u->b, "ibbake-unpack/1");
	ibb_jb_str(&u->b, u->root, "directory", output);
	u->archives = ibb_jb_array(&u->b, u->root, "archives");
	u->packages = ibb_jb_array(&u->b, u->root, "packages");
	u->companions = ibb_jb_array(&u->b, u->root, "companions");
	u->warnings = ibb_jb_array(&u->b, u->root, "warnings");
	ibb_catalog_conflicts_json(u->catalog, &u->b, u->warnings);
}

static int run(struct unpacking *u, const char *output)
{
	int r = check_output(output, &u->mode, u->err);

	if (!r)
		r = ibb_session_catalog(u->q, &u->catalog, u->err);
	if (!r && u->q->os) { /* a misprint is told before anything is unpacked */
		struct ibb_windows w;

		r = ibb_catalog_find_windows(u->catalog, u->q->os, &w, u->err);
	}
	if (r)
		return r;
	begin_doc(u, output);
	r = make_temp(u, output);
	for (size_t i = 0; i < u->q->n_inputs && !r; i++)
		r = take_apart(u, u->q->inputs[i]);
	if (!r)
		r = look_into(u);
	ibb_jb_int(&u->b, u->root, "files", (int64_t)u->written);
	ibb_jb_u64(&u->b, u->root, "bytes", u->bytes);
	return r ? r : publish(u, output);
}

static void clear(struct unpacking *u)
{
	struct ibb_error unwanted;

	if (u->temp && ibb_remove_tree(u->temp, &unwanted) && u->err && u->err->code)
		ibb_err_hint(u->err, u->err->code, "%s could not be removed: %.200s", u->temp,
			     unwanted.msg);
	free(u->temp);
	for (size_t i = 0; i < u->n_files; i++)
		free(u->files[i]);
	free(u->files);
	ibb_catalog_free(u->catalog);
}

int ibb_do_drivers_unpack(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	struct unpacking u = {.q = q, .err = err};
	IBB_AUTO_FREE char *output = NULL;
	int r = ibb_doc_check_request(q, false, false, err);

	if (!r && !q->n_inputs)
		r = ibb_err(err, IBB_E_INVALID, "no archive to unpack was named");
	if (!r && (!q->output || !*q->output))
		r = ibb_err(err, IBB_E_INVALID, "no directory to unpack into was named (--output)");
	if (r)
		return r;
	output = output_name(q->output);
	r = output ? run(&u, output) : ibb_err_nomem(err);
	if (r)
		ibb_jb_clear(&u.b);
	else
		r = ibb_doc_print(&u.b, ret_json, err);
	clear(&u);
	return r;
}
