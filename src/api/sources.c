/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/bundle.h"
#include "api/lockfile.h"
#include "base/hash.h"
#include "base/utf16.h"

#define PIECE 65536u

void ibb_sources_init(struct ibb_sources *s, const struct ibb_request *q)
{
	*s = (struct ibb_sources){.q = q, .opened = true};
}

static void clear_archive(struct ibb_source_archive *a)
{
	free(a->path);
	free(a->sha256);
	ibb_unpack_result_clear(&a->unpacked);
}

void ibb_sources_close(struct ibb_sources *s)
{
	struct ibb_error unwanted;

	for (size_t i = 0; i < s->n_dirs; i++) {
		free(s->dirs[i]);
		free(s->names[i]);
	}
	free(s->dirs);
	free(s->names);
	for (size_t i = 0; i < s->n_archives; i++)
		clear_archive(&s->archives[i]);
	free(s->archives);
	if (s->scratch && ibb_remove_tree(s->scratch, &unwanted)) {
		/* a copy of the vendor's files stays; nobody could do more about it */
	}
	free(s->scratch);
	*s = (struct ibb_sources){0};
}

int ibb_sources_scratch(struct ibb_sources *s, const char **ret, struct ibb_error *err)
{
	const char *temp = s->q->temp_dir ? s->q->temp_dir : "/tmp";

	if (!s->scratch) {
		IBB_AUTO_FREE char *dir = ibb_asprintf("%s/ibbake-XXXXXX", temp);

		if (!dir)
			return ibb_err_nomem(err);
		if (!mkdtemp(dir)) {
			ibb_err_os(err, errno, "%s: make a directory for what is unpacked", temp);
			return ibb_err_hint(err, err ? err->code : IBB_E_IO,
					    "set TMPDIR to a directory with room");
		}
		s->scratch = IBB_TAKE(dir);
	}
	*ret = s->scratch;
	return IBB_OK;
}

/* Takes both, also on failure. */
static int add_dir(struct ibb_sources *s, char *dir, char *name, struct ibb_error *err)
{
	if (!dir || ibb_grow(&s->dirs, &s->cap_dirs, s->n_dirs, sizeof(*s->dirs)) ||
	    ibb_grow(&s->names, &s->cap_names, s->n_dirs, sizeof(*s->names))) {
		free(dir);
		free(name);
		return ibb_err_nomem(err);
	}
	s->dirs[s->n_dirs] = dir;
	s->names[s->n_dirs++] = name;
	return IBB_OK;
}

/* ---- archives ---- */

static int tick(void *ctx, struct ibb_error *err)
{
	return ibb_session_phase(ctx, "unpack", 0, 0, err);
}

static int digest(const char *path, char **ret, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	IBB_AUTO(ibb_hasher_free) struct ibb_hasher *h = NULL;
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(PIECE);
	struct ibb_sha256 d;
	char hex[IBB_SHA256_HEX_SIZE];
	ssize_t n;

	if (!b || ibb_hasher_new(&h))
		return ibb_err_nomem(err);
	while (fd >= 0 && ((n = read(fd, b, PIECE)) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0 && ibb_hasher_update(h, b, (size_t)n))
			return ibb_err_nomem(err);
	if (fd < 0 || n < 0)
		return ibb_err_os(err, errno, "%s: read", path);
	if (ibb_hasher_final(IBB_TAKE(h), &d))
		return ibb_err_nomem(err);
	ibb_sha256_hex(&d, hex);
	*ret = ibb_strdup(hex);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

static int unpack(struct ibb_sources *s, struct ibb_source_archive *a, const char *path,
		  const char *dir, struct ibb_error *err)
{
	struct ibb_unpack_limits limits = {.tick = tick, .tick_ctx = (void *)(uintptr_t)s->q};
	int r = mkdir(dir, 0700) ? ibb_err_os(err, errno, "%s: make the directory", dir) : IBB_OK;

	if (!r)
		r = digest(path, &a->sha256, err);
	return r ? r : ibb_unpack(path, dir, s->q->temp_dir, &limits, &a->unpacked, err);
}

static int add_archive(struct ibb_sources *s, const char *path, const char *name,
		       struct ibb_error *err)
{
	struct ibb_source_archive a = {.path = ibb_strdup(name)};
	IBB_AUTO_FREE char *dir = NULL;
	const char *scratch = NULL;
	int r = ibb_session_phase(s->q, "unpack", 0, 0, err);

	if (!r && (!a.path || ibb_grow(&s->archives, &s->cap_archives, s->n_archives, sizeof(a))))
		r = ibb_err_nomem(err);
	if (!r)
		r = ibb_sources_scratch(s, &scratch, err);
	if (!r) {
		dir = ibb_asprintf("%s/%zu", scratch, s->n_archives);
		r = dir ? unpack(s, &a, path, dir, err) : ibb_err_nomem(err);
	}
	if (r) {
		clear_archive(&a);
		return r;
	}
	s->archives[s->n_archives++] = a;
	return add_dir(s, IBB_TAKE(dir), ibb_asprintf("%s!", name), err);
}

int ibb_sources_add(struct ibb_sources *s, const char *path, const char *name,
		    struct ibb_error *err)
{
	struct stat st;

	if (!name && ibb_opened_name(s->q, path) != path)
		name = ibb_opened_name(s->q, path);
	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return add_dir(s, ibb_strdup(path), name ? ibb_strdup(name) : NULL, err);
	if (ibb_case_suffix(path, ".inf"))
		return ibb_err(err, IBB_E_INVALID, "%s: name the directory of the package", path);
	return add_archive(s, path, name ? name : path, err);
}

/* An archive with the name of a file that the lock file pins has to be one of those. */
static int check_pinned(const struct ibb_lockfile *l, const struct ibb_request *q,
			const struct ibb_source_archive *a, struct ibb_error *err)
{
	const char *base = strrchr(a->path, '/'), *release = NULL, *want = NULL;

	base = base ? base + 1 : a->path;
	if (!ibb_lockfile_pinned_name(l, base, a->sha256, &release, &want))
		return IBB_OK;
	ibb_err(err, IBB_E_UNTRUSTED, "%s has the digest %s, but %s pins %s as release %s with %s",
		a->path, a->sha256, q->lock, base, release, want);
	return ibb_err_hint(err, IBB_E_UNTRUSTED,
			    "take the file that was pinned; or, if this is another one, give it "
			    "another name or take the release out of %s",
			    q->lock);
}

static int check_all_pinned(const struct ibb_request *q, const struct ibb_sources *s,
			    struct ibb_error *err)
{
	IBB_AUTO(ibb_lockfile_free) struct ibb_lockfile *l = NULL;
	int r;

	if (!s->n_archives || !q->lock)
		return IBB_OK;
	r = ibb_lockfile_read(q->lock, &l, err);
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r; /* it is yet to be written */
	for (size_t i = 0; i < s->n_archives && !r; i++)
		r = check_pinned(l, q, &s->archives[i], err);
	return r;
}

int ibb_sources_open(const struct ibb_request *q, struct ibb_sources *ret, struct ibb_error *err)
{
	struct ibb_sources s;
	int r = IBB_OK;

	ibb_sources_init(&s, q);
	for (size_t i = 0; i < q->n_driver_dirs && !r; i++)
		r = ibb_sources_add(&s, q->driver_dirs[i], NULL, err);
	if (!r)
		r = check_all_pinned(q, &s, err);
	if (r) {
		ibb_sources_close(&s);
		return r;
	}
	*ret = s;
	return IBB_OK;
}

/* ---- what is said of them ---- */

static int warn_archive(const struct ibb_source_archive *a,
			int (*warn)(void *ctx, const char *text, struct ibb_error *err), void *ctx,
			struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < a->unpacked.n_archives && !r; i++) {
		const struct ibb_unpacked_archive *u = &a->unpacked.archives[i];
		IBB_AUTO_FREE char *text = NULL;

		if (!u->unverified)
			continue;
		text = ibb_asprintf("%s%s%s was taken apart as %s, unverified: %s", a->path,
				    *u->path ? "!/" : "", u->path, ibb_unpack_kind_name(u->kind),
				    u->unverified);
		r = text ? warn(ctx, text, err) : ibb_err_nomem(err);
	}
	for (size_t i = 0; i < a->unpacked.n_warnings && !r; i++) {
		IBB_AUTO_FREE char *text = ibb_asprintf("%s!/%s", a->path, a->unpacked.warnings[i]);

		r = text ? warn(ctx, text, err) : ibb_err_nomem(err);
	}
	return r;
}

int ibb_sources_warnings(const struct ibb_sources *s,
			 int (*warn)(void *ctx, const char *text, struct ibb_error *err), void *ctx,
			 struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < s->n_archives && !r; i++)
		r = warn_archive(&s->archives[i], warn, ctx, err);
	return r;
}

static void archives_json(const struct ibb_sources *s, struct ibb_jb *b, struct ibb_json *list)
{
	for (size_t i = 0; i < s->n_archives; i++) {
		const struct ibb_source_archive *a = &s->archives[i];

		for (size_t k = 0; k < a->unpacked.n_archives; k++) {
			const struct ibb_unpacked_archive *u = &a->unpacked.archives[k];
			struct ibb_json *o = ibb_jb_object(b, list, NULL);

			ibb_jb_str(b, o, "file", a->path);
			ibb_jb_str(b, o, "path", *u->path ? u->path : NULL);
			ibb_jb_str(b, o, "kind", ibb_unpack_kind_name(u->kind));
			ibb_jb_str(b, o, "unverified", u->unverified);
			ibb_jb_str(b, o, "sha256", *u->path ? NULL : a->sha256);
		}
	}
}

void ibb_sources_json(const struct ibb_sources *s, struct ibb_jb *b, struct ibb_json *obj)
{
	if (s->n_archives)
		archives_json(s, b, ibb_jb_array(b, obj, "archives"));
}

/* ---- sessions ---- */

void ibb_session_archives_json(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *list)
{
	archives_json(s->sources ? s->sources : &s->own_sources, b, list);
}

int ibb_session_archives(const struct ibb_session *s, struct ibb_json **ret, struct ibb_error *err)
{
	struct ibb_jb b = {0};

	ibb_session_archives_json(s, &b, ibb_jb_array(&b, NULL, NULL));
	return ibb_jb_done(&b, ret, err);
}

struct ibb_sources *ibb_session_shared_sources(struct ibb_session *s)
{
	return s->sources ? s->sources : &s->own_sources;
}

static int session_warn(void *ctx, const char *text, struct ibb_error *err)
{
	return ibb_session_warn(ctx, err, "%s", text);
}

int ibb_session_sources(struct ibb_session *s, const struct ibb_sources **ret,
			struct ibb_error *err)
{
	struct ibb_sources *from = ibb_session_shared_sources(s);
	int r = from->opened ? IBB_OK : ibb_sources_open(s->q, from, err);

	if (!r)
		r = ibb_sources_warnings(from, session_warn, s, err);
	if (!r)
		*ret = from;
	return r;
}

int ibb_session_find(struct ibb_session *s, struct ibb_package_search *how, struct ibb_error *err)
{
	IBB_AUTO_FREE const char **dirs = NULL, **names = NULL;
	const struct ibb_sources *from = NULL;
	int r = ibb_session_sources(s, &from, err);

	if (r)
		return r;
	dirs = ibb_calloc_array(from->n_dirs + how->n_dirs, sizeof(*dirs));
	names = ibb_calloc_array(from->n_dirs + how->n_dirs, sizeof(*names));
	if (!dirs || !names)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < from->n_dirs; i++) {
		dirs[i] = from->dirs[i];
		names[i] = from->names[i];
	}
	for (size_t i = 0; i < how->n_dirs; i++)
		dirs[from->n_dirs + i] = how->dirs[i];
	how->dirs = dirs;
	how->names = names;
	how->n_dirs += from->n_dirs;
	r = ibb_packages_find(how, &s->facts->target, &s->found, err);
	for (size_t i = 0; i < from->n_archives && !r; i++)
		r = ibb_package_set_note_read(&s->found, from->archives[i].path, err);
	return r;
}
