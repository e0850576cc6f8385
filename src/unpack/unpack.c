/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Taking an archive apart, and the archives that come out of it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "unpack/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"
#include "unpack/tree.h"

struct work {
	struct unpack_tree *t;
	unsigned depth; /* the most */
	struct ibb_unpack_result *out;
	struct ibb_error *err;
};

void ibb_unpack_result_clear(struct ibb_unpack_result *r)
{
	for (size_t i = 0; i < r->n_archives; i++)
		free(r->archives[i].path);
	free(r->archives);
	for (size_t i = 0; i < r->n_warnings; i++)
		free(r->warnings[i]);
	free(r->warnings);
	*r = (struct ibb_unpack_result){0};
}

/* ---- what is said of it ---- */

static int note_archive(struct work *w, const char *path, const struct unpack_found *f)
{
	struct ibb_unpack_result *r = w->out;
	struct ibb_unpacked_archive a = {.path = ibb_strdup(path), .kind = f->kind};

	if (f->kind == IBB_UNPACK_INSTALLSHIELD)
		a.unverified = unpack_installshield_unverified;
	if (!a.path ||
	    ibb_grow(&r->archives, &r->cap_archives, r->n_archives, sizeof(*r->archives))) {
		free(a.path);
		return ibb_err_nomem(w->err);
	}
	r->archives[r->n_archives++] = a;
	return IBB_OK;
}

/* The message names the file already, as "outer.zip: docs/inner.zip: ..." */
static int warn_kept(struct work *w, const char *path)
{
	IBB_AUTO_FREE char *text = ibb_asprintf("kept as it is: %s", w->err->msg);

	return text ? unpack_tree_warn(w->t, path, text, w->err) : ibb_err_nomem(w->err);
}

/* ---- one archive ---- */

static int read_form(struct work *w, const struct unpack_found *f)
{
	if (f->inner == IBB_UNPACK_MSI)
		return unpack_msi(&f->source, w->t, w->err);
	if (f->inner == IBB_UNPACK_INSTALLSHIELD)
		return unpack_installshield(&f->source, w->t, w->err);
	return unpack_libarchive(&f->source, f->inner, w->t, w->err);
}

static bool is_inf(const struct unpack_node *n)
{
	return !n->removed && !n->dir && ibb_case_suffix(n->path, ".inf") &&
	       !ibb_caseeq(ibb_path_base(n->path), "autorun.inf");
}

/* Is there an INF in the directory of the file, or in one above? */
static bool belongs_to_package(const struct unpack_tree *t, const char *path)
{
	for (size_t i = 0; i < unpack_tree_n(t); i++) {
		const struct unpack_node *n = unpack_tree_at(t, i);
		size_t len = ibb_path_dir_len(n->path);

		if (is_inf(n) && (!len || (strncmp(path, n->path, len) == 0 && path[len] == '/')))
			return true;
	}
	return false;
}

static bool has_inf(const struct unpack_tree *t)
{
	for (size_t i = 0; i < unpack_tree_n(t); i++)
		if (is_inf(unpack_tree_at(t, i)))
			return true;
	return false;
}

static int take_apart(struct work *w, const char *path, const struct unpack_found *f,
		      unsigned depth) IBB_MUST_CHECK;

/* What nobody wants opened: a document, a file of somebody's that holds a cabinet as well. */
static bool is_file(const char *path, const struct unpack_found *f)
{
	if (f->kind == IBB_UNPACK_ZIP)
		return unpack_is_document(&f->source);
	if (f->kind == IBB_UNPACK_SFX || f->kind == IBB_UNPACK_INSTALLSHIELD)
		return !ibb_case_suffix(path, ".exe");
	if (f->kind == IBB_UNPACK_CAB)
		return path[strlen(path) - 1] == '_';
	return f->kind == IBB_UNPACK_NONE;
}

/* Damaged or unreadable content of something inside says nothing about the rest. */
static bool may_be_kept(const struct work *w, int rc)
{
	return !unpack_tree_is_hostile(w->t) && (rc == IBB_E_CORRUPT || rc == IBB_E_UNSUPPORTED);
}

/* `i`: a file of the tree; the cabinets' turn comes last. */
static int try_nested(struct work *w, size_t i, bool cabinets, const char *outer, unsigned depth)
{
	IBB_AUTO_FREE char *path = ibb_strdup(unpack_tree_at(w->t, i)->path), *name = NULL;
	uint64_t size = unpack_tree_at(w->t, i)->size_bytes;
	size_t from = unpack_tree_n(w->t), n_archives = w->out->n_archives;
	size_t n_warnings = w->out->n_warnings;
	struct unpack_found f = {0};
	IBB_AUTO_FD int fd = -1;
	int rc;

	name = path ? ibb_asprintf("%s: %s", outer, path) : NULL;
	if (!name)
		return ibb_err_nomem(w->err);
	rc = unpack_tree_open(w->t, i, &fd, w->err);
	if (!rc)
		rc = unpack_detect(&(struct unpack_source){fd, 0, size, name}, &f, w->err);
	if (rc || is_file(path, &f) || (f.kind == IBB_UNPACK_CAB) != cabinets ||
	    (!cabinets && belongs_to_package(w->t, path)))
		return rc;
	rc = take_apart(w, path, &f, depth + 1);
	if (!rc)
		return cabinets ? IBB_OK : unpack_tree_remove(w->t, i, w->err);
	if (!may_be_kept(w, rc))
		return rc;
	while (w->out->n_archives > n_archives)
		free(w->out->archives[--w->out->n_archives].path);
	while (w->out->n_warnings > n_warnings)
		free(w->out->warnings[--w->out->n_warnings]);
	rc = warn_kept(w, path);
	return rc ? rc : unpack_tree_rewind(w->t, from, w->err);
}

static int try_all(struct work *w, size_t from, size_t to, bool cabinets, const char *outer,
		   unsigned depth)
{
	int rc = IBB_OK;

	for (size_t i = from; i < to && !rc; i++)
		if (!unpack_tree_at(w->t, i)->dir && !unpack_tree_at(w->t, i)->removed)
			rc = try_nested(w, i, cabinets, outer, depth);
	return rc;
}

/* path: in the tree, "" for the outermost. */
static int take_apart(struct work *w, const char *path, const struct unpack_found *f,
		      unsigned depth)
{
	size_t from = unpack_tree_n(w->t);
	int rc;

	if (depth > w->depth)
		return ibb_err(w->err, IBB_E_LIMIT, "%s: archives in archives more than %u deep",
			       f->source.name, w->depth);
	unpack_tree_enter(w->t, *path ? path : NULL);
	rc = note_archive(w, path, f);
	if (!rc)
		rc = read_form(w, f);
	unpack_tree_enter(w->t, NULL);
	if (rc)
		return rc;
	return try_all(w, from, unpack_tree_n(w->t), false, f->source.name, depth);
}

/* Cabinets in what came out of cabinets have their turn as well; each turn goes one deeper. */
static int take_cabinets(struct work *w, const char *outer)
{
	size_t from = 0, to = unpack_tree_n(w->t);
	int rc = IBB_OK;

	for (unsigned depth = 1; !rc && from < to && !has_inf(w->t); depth++) {
		rc = try_all(w, from, to, true, outer, depth);
		from = to;
		to = unpack_tree_n(w->t);
	}
	return rc;
}

/* ---- the whole ---- */

static void sum_up(struct work *w)
{
	for (size_t i = 0; i < unpack_tree_n(w->t); i++) {
		const struct unpack_node *n = unpack_tree_at(w->t, i);

		if (n->dir || n->removed)
			continue;
		w->out->files++;
		w->out->bytes += n->size_bytes;
	}
}

/* Why the first file inside stayed as it is; NULL when none did. */
static const char *why_kept(const struct ibb_unpack_result *r)
{
	for (size_t i = 0; i < r->n_warnings; i++)
		if (strstr(r->warnings[i], ": kept as it is: "))
			return r->warnings[i];
	return NULL;
}

/* What was in the program could not be read, and nothing else of use is. */
static int check_installshield(struct work *w, const char *path)
{
	const char *why = why_kept(w->out);

	if (w->out->archives[0].kind != IBB_UNPACK_INSTALLSHIELD || !why || has_inf(w->t))
		return IBB_OK;
	ibb_err(w->err, IBB_E_UNSUPPORTED, "%s: no driver could be taken out: %.600s", path, why);
	return unpack_installshield_hint(w->err, IBB_E_UNSUPPORTED);
}

static int no_archive(const char *path, struct ibb_error *err)
{
	ibb_err(err, IBB_E_UNSUPPORTED, "%s: not an archive or installer that can be read", path);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "zip, cab, 7z, tar, MSI and self-extracting programs around them are "
			    "read; extract anything else first and name the directory");
}

static int run(struct work *w, int fd, const char *path)
{
	struct unpack_source s = {.fd = fd, .name = path};
	struct unpack_found f = {0};
	struct stat st;
	int rc;

	if (fstat(fd, &st))
		return ibb_err_os(w->err, errno, "%s: stat", path);
	if (!S_ISREG(st.st_mode))
		return ibb_err(w->err, IBB_E_UNSUPPORTED, "%s: not a regular file", path);
	s.size_bytes = (uint64_t)st.st_size;
	rc = unpack_detect(&s, &f, w->err);
	if (!rc && f.kind == IBB_UNPACK_NONE)
		return no_archive(path, w->err);
	if (!rc)
		rc = take_apart(w, "", &f, 1);
	if (!rc)
		rc = take_cabinets(w, path);
	if (!rc)
		rc = check_installshield(w, path);
	if (!rc)
		sum_up(w);
	if (!rc && !w->out->files)
		rc = ibb_err(w->err, IBB_E_UNSUPPORTED, "%s: an archive without files", path);
	return rc;
}

int ibb_unpack(const char *path, const char *dir, const char *temp_dir,
	       const struct ibb_unpack_limits *limits, struct ibb_unpack_result *ret,
	       struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	IBB_AUTO(unpack_tree_free) struct unpack_tree *t = NULL;
	struct ibb_unpack_result out = {0};
	struct ibb_error local = {0};
	struct work w = {.depth = limits && limits->depth ? limits->depth : IBB_LIMIT_UNPACK_DEPTH,
			 .out = &out,
			 .err = err ? err : &local};
	int rc;

	if (fd < 0)
		return ibb_err_os(err, errno, "%s: open", path);
	rc = unpack_tree_new(dir, temp_dir, path, limits, &out, &t, w.err);
	w.t = t;
	if (!rc)
		rc = run(&w, fd, path);
	if (rc) {
		ibb_unpack_result_clear(&out);
		return rc;
	}
	*ret = out;
	return IBB_OK;
}
