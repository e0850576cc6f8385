/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files of a package that are packed. Microsoft, "INF SourceDisksNames Section": Windows looks for
 * a file by its name first, then in the cabinet that the file's disk names; with flag 0x10 only in
 * the cabinet. README.md says where the file goes then.
 */
#include "driver/loader.h"

#include <stdlib.h>
#include <string.h>

#include "base/archive.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"

bool ibb_wanted_has_cabinet(const struct ibb_wanted *w)
{
	return w->cabinet && (w->cabinet_first || ibb_case_suffix(w->cabinet, ".cab"));
}

/* ---- a.sy_ ---- */

/* SetupAPI's rule: the third character of the extension becomes '_', a shorter one gets it. */
static char *packed_name(const char *path)
{
	const char *base = ibb_path_base(path), *dot = strrchr(base, '.');
	char *s;

	if (!dot)
		return ibb_asprintf("%s._", path);
	if (strlen(dot + 1) < 3)
		return ibb_asprintf("%s_", path);
	s = ibb_strdup(path);
	if (s)
		s[strlen(s) - 1] = '_';
	return s;
}

static int only_member(struct ibb_loader *l, const struct ibb_wanted *w, const char *packed,
		       struct ibb_bytes bytes)
{
	IBB_AUTO_FREE char *name = ibb_asprintf("%s: %s", l->src->dir, packed);
	struct ibb_archive a = {0};
	int rc;

	if (!name)
		return ibb_err_nomem(l->err);
	rc = ibb_archive_read_cab(name, bytes, NULL, NULL, l->room, &a, l->err);
	if (rc == IBB_E_UNSUPPORTED)
		rc = ibb_err_hint(l->err, rc, "expand it there first: cabextract %s", packed);
	if (!rc && a.n != 1)
		rc = ibb_err(l->err, IBB_E_CORRUPT, "%s: a compressed file holds one file, not %zu",
			     name, a.n);
	if (!rc)
		rc = ibb_loader_add(l, w->path, &a.members[0].bytes);
	ibb_archive_clear(&a);
	return rc;
}

int ibb_loader_expand(struct ibb_loader *l, const struct ibb_wanted *w)
{
	IBB_AUTO_FREE char *packed = packed_name(w->path), *spelling = NULL;
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	int rc;

	if (!packed)
		return ibb_err_nomem(l->err);
	rc = l->src->read(l->src->ctx, packed, IBB_LIMIT_PACKAGE_BYTES, &bytes, &spelling, l->err);
	if (rc)
		return rc;
	if (ibb_archive_is_cab(ibb_buf_bytes(&bytes)))
		return only_member(l, w, packed, ibb_buf_bytes(&bytes));
	ibb_err(l->err, IBB_E_UNSUPPORTED, "%s:%u asks for %s, which %s has only compressed, as %s",
		l->p->inf_name, w->line, w->path, l->src->dir, packed);
	return ibb_err_hint(l->err, IBB_E_UNSUPPORTED,
			    "expand it there first: msexpand, or expand.exe of Windows");
}

/* ---- cabinets ---- */

static bool same_cabinet(const struct ibb_wanted *a, const struct ibb_wanted *b)
{
	return ibb_caseeq(a->cabinet, b->cabinet) && ibb_caseeq(a->cabinet_dir, b->cabinet_dir);
}

/* 2: the path below the disk's; 1: the name only, for cabinets that keep no directories. */
static int fit(const struct ibb_wanted *w, const char *member)
{
	size_t n = strlen(w->cabinet_dir);
	const char *rel = w->path;

	if (n && ibb_case_prefix(rel, w->cabinet_dir) && rel[n] == '/')
		rel += n + 1;
	if (ibb_caseeq(member, rel))
		return 2;
	return ibb_caseeq(ibb_path_base(member), ibb_path_base(w->path));
}

struct cabinet {
	struct ibb_loader *l;
	const struct ibb_wanted *first; /* whose cabinet it is */
};

static bool any_wants(void *ctx, const char *member)
{
	const struct cabinet *c = ctx;

	for (size_t i = 0; i < c->l->n_wanted; i++)
		if (c->l->wanted[i].in_this && fit(&c->l->wanted[i], member))
			return true;
	return false;
}

static int take_member(struct cabinet *c, const char *cab, const struct ibb_archive_member *m)
{
	struct ibb_loader *l = c->l;

	for (size_t i = 0; i < l->n_wanted; i++) {
		struct ibb_wanted *w = &l->wanted[i];
		int rank = fit(w, m->name);

		if (!w->in_this || !rank || rank < w->rank)
			continue;
		if (rank == w->rank)
			return ibb_err(l->err, IBB_E_CORRUPT, "%s: two members fit %s", cab,
				       w->path);
		w->rank = rank;
		w->bytes.len = 0;
		if (ibb_buf_append(&w->bytes, m->bytes.data, m->bytes.len))
			return ibb_err_nomem(l->err);
	}
	return IBB_OK;
}

/* In the disk's path or beside the INF: "either in the installation root or in the subdirectory" */
static int read_cabinet(struct cabinet *c, struct ibb_buf *bytes, char **ret_spelling)
{
	struct ibb_loader *l = c->l;
	int rc = IBB_E_NOTFOUND;

	for (unsigned root = *c->first->cabinet_dir ? 0 : 1; rc == IBB_E_NOTFOUND && root < 2;
	     root++) {
		IBB_AUTO_FREE char *joined = NULL, *path = NULL;

		joined =
			ibb_asprintf("%s/%s", root ? "" : c->first->cabinet_dir, c->first->cabinet);
		if (!joined)
			return ibb_err_nomem(l->err);
		rc = ibb_path_normalize(joined, &path, l->err);
		if (rc == IBB_E_INVALID)
			return ibb_err_prefix(l->err, IBB_E_CORRUPT, "%s/%s:%u", l->src->dir,
					      l->p->inf_name, c->first->line);
		if (!rc)
			rc = l->src->read(l->src->ctx, path, IBB_LIMIT_PACKAGE_BYTES, bytes,
					  ret_spelling, l->err);
	}
	return rc;
}

static int take_members(struct cabinet *c)
{
	IBB_AUTO_FREE char *spelling = NULL, *name = NULL;
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	struct ibb_loader *l = c->l;
	struct ibb_archive a = {0};
	int rc = read_cabinet(c, &bytes, &spelling);

	if (rc)
		return rc;
	name = ibb_asprintf("%s: %s", l->src->dir, spelling);
	if (!name)
		return ibb_err_nomem(l->err);
	rc = ibb_archive_read_cab(name, ibb_buf_bytes(&bytes), any_wants, c, l->room, &a, l->err);
	if (rc == IBB_E_UNSUPPORTED)
		rc = ibb_err_hint(l->err, rc, "expand the cabinet in %s first: cabextract %s",
				  l->src->dir, spelling);
	for (size_t i = 0; !rc && i < a.n; i++) {
		rc = take_member(c, name, &a.members[i]);
		ibb_buf_clear(&a.members[i].bytes); /* not twice in memory */
	}
	ibb_archive_clear(&a);
	return rc;
}

static int lacks(struct ibb_loader *l, const struct ibb_wanted *w, bool no_cabinet)
{
	if (no_cabinet)
		return ibb_err(l->err, IBB_E_NOTFOUND,
			       "%s:%u asks for %s, but %s has neither it nor the cabinet %s",
			       l->p->inf_name, w->line, w->path, l->src->dir, w->cabinet);
	return ibb_err(l->err, IBB_E_NOTFOUND,
		       "%s:%u asks for %s, which neither %s nor its cabinet %s holds",
		       l->p->inf_name, w->line, w->path, l->src->dir, w->cabinet);
}

/* Somebody may have expanded a cabinet that comes first: then its files lie there. */
static int add_loose(struct ibb_loader *l, const struct ibb_wanted *w)
{
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	IBB_AUTO_FREE char *spelling = NULL;
	int rc = w->cabinet_first
			 ? l->src->read(l->src->ctx, w->path, l->room, &bytes, &spelling, l->err)
			 : IBB_E_NOTFOUND;

	if (rc == IBB_E_NOTFOUND)
		return lacks(l, w, true);
	return rc ? rc : ibb_loader_add(l, w->path, &bytes);
}

static int unpack_one(struct ibb_loader *l, struct ibb_wanted *first)
{
	struct cabinet c = {l, first};
	int rc;

	for (size_t i = 0; i < l->n_wanted; i++)
		l->wanted[i].in_this = l->wanted[i].packed && same_cabinet(&l->wanted[i], first);
	rc = take_members(&c);
	if (rc && rc != IBB_E_NOTFOUND)
		return rc;
	for (size_t i = 0; i < l->n_wanted; i++) {
		struct ibb_wanted *w = &l->wanted[i];
		int r = IBB_OK;

		if (w->in_this && rc == IBB_E_NOTFOUND)
			r = add_loose(l, w);
		else if (w->in_this)
			r = w->rank ? ibb_loader_add(l, w->path, &w->bytes) : lacks(l, w, false);
		if (r)
			return r;
		w->packed &= !w->in_this;
	}
	return IBB_OK;
}

int ibb_loader_unpack(struct ibb_loader *l)
{
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < l->n_wanted; i++)
		if (l->wanted[i].packed)
			rc = unpack_one(l, &l->wanted[i]);
	return rc;
}
