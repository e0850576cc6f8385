/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A locator holds a path of the Windows machine that made the disk. Here only what is relative to
 * the child can be followed; of the rest the file name is a guess for the child's own directory.
 */
#include "disk/chain_find.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"

void ibb_candidates_clear(struct ibb_candidates *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->list[i].path);
	free(c->list);
	*c = (struct ibb_candidates){0};
}

/* Takes `path` over, also on failure and when it is known already. NULL: memory was short. */
static int add(struct ibb_candidates *c, char *path, enum ibb_found_by by, struct ibb_error *err)
{
	IBB_AUTO_FREE char *mine = path;

	if (!path)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->list[i].path, path) == 0)
			return IBB_OK;
	if (ibb_grow(&c->list, &c->cap, c->n, sizeof(*c->list)))
		return ibb_err_nomem(err);
	c->list[c->n++] = (struct ibb_candidate){IBB_TAKE(mine), by};
	return IBB_OK;
}

/*
 * The entry of `dir` that Windows would take for name[0..n): exactly so spelt, else the first in
 * byte order that differs only in case. "" when there is none.
 */
static int find_entry(const char *dir, const char *name, size_t n, struct ibb_buf *ret,
		      struct ibb_error *err)
{
	const struct dirent *e;
	DIR *d = opendir(dir);
	int r = IBB_OK;

	ret->len = 0;
	while (d && !r && (e = readdir(d))) {
		const size_t len = strlen(e->d_name);
		const bool exact = len == n && memcmp(e->d_name, name, n) == 0;

		if (!exact && ibb_ncasecmp(e->d_name, len, name, n) != 0)
			continue;
		if (!exact && ret->len && strcmp((const char *)ret->data, e->d_name) < 0)
			continue;
		ret->len = 0;
		if (ibb_buf_append(ret, e->d_name, len + 1))
			r = ibb_err_nomem(err);
		if (exact)
			break;
	}
	if (d)
		closedir(d);
	return r;
}

/* Put one component behind the path, spelt as it is spelt here. */
static int enter(struct ibb_buf *path, const char *name, size_t n, struct ibb_error *err)
{
	const bool dots = n == 2 && memcmp(name, "..", 2) == 0;
	IBB_AUTO_BUF struct ibb_buf found = {0};
	const char *dir;
	int r = IBB_OK;

	if (n == 1 && *name == '.')
		return IBB_OK;
	dir = ibb_buf_cstr(path);
	if (!dir)
		return ibb_err_nomem(err);
	if (!dots)
		r = find_entry(dir, name, n, &found, err);
	if (r)
		return r;
	if ((path->data[path->len - 1] != '/' && ibb_buf_append(path, "/", 1)) ||
	    (found.len ? ibb_buf_append(path, found.data, found.len - 1)
		       : ibb_buf_append(path, name, n)))
		return ibb_err_nomem(err);
	return IBB_OK;
}

/* A Windows path, relative to dir. */
static int add_relative(struct ibb_candidates *c, const char *dir, const char *path,
			enum ibb_found_by by, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf full = {0};
	int r = ibb_buf_append_str(&full, dir) ? ibb_err_nomem(err) : IBB_OK;

	if (strlen(path) > IBB_LIMIT_PATH_CHARS)
		return IBB_OK;
	while (!r && *path) {
		const size_t n = strcspn(path, "/\\");

		if (n)
			r = enter(&full, path, n, err);
		path += n;
		path += strspn(path, "/\\");
	}
	return r ? r : add(c, ibb_buf_take_str(&full), by, err);
}

/* The file name at the end of a Windows path; it may be empty. */
static const char *windows_base(const char *path)
{
	const char *base = path;

	for (const char *p = path; *p; p++)
		if (*p == '\\' || *p == '/' || *p == ':')
			base = p + 1;
	return base;
}

static bool is_relative(const char *path)
{
	return path[0] != '\\' && path[0] != '/' && !strchr(path, ':');
}

static int add_locator(struct ibb_candidates *c, const char *dir, const struct ibb_locator *l,
		       bool whole, struct ibb_error *err)
{
	const char *base = windows_base(l->path);

	if (whole)
		return l->kind == IBB_LOCATOR_RELATIVE && is_relative(l->path)
			       ? add_relative(c, dir, l->path, IBB_FOUND_RELATIVE, err)
			       : IBB_OK;
	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return IBB_OK;
	return add_relative(c, dir, base,
			    l->kind == IBB_LOCATOR_ABSOLUTE || l->kind == IBB_LOCATOR_VOLUME
				    ? IBB_FOUND_ABSOLUTE
				    : IBB_FOUND_NAME,
			    err);
}

/* Where to look: the directory of the path, and the one that a symbolic link leads to. */
struct places {
	size_t n;
	char *dirs[2];
};

static void places_clear(struct places *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->dirs[i]);
}

static int places_of(const char *child, struct places *p, struct ibb_error *err)
{
	char *real = realpath(child, NULL); /* NULL: a file without a name */
	const char *const paths[2] = {child, real};
	int r = IBB_OK;

	for (int i = 0; i < 2 && paths[i] && !r; i++) {
		char *dir = ibb_dir_of(paths[i]);

		if (!dir)
			r = ibb_err_nomem(err);
		else if (p->n && ibb_same_path(p->dirs[0], dir))
			free(dir);
		else
			p->dirs[p->n++] = dir;
	}
	free(real);
	return r;
}

int ibb_candidates_named(const char *child, const struct ibb_parent_link *l,
			 struct ibb_candidates *ret, struct ibb_error *err)
{
	struct ibb_candidates c = {0};
	struct places p = {0};
	int r = places_of(child, &p, err);

	for (size_t d = 0; d < p.n; d++)
		for (int whole = 1; whole >= 0; whole--)
			for (size_t i = 0; i < l->n && !r; i++)
				r = add_locator(&c, p.dirs[d], &l->locators[i], whole, err);
	places_clear(&p);
	if (r)
		ibb_candidates_clear(&c);
	else
		*ret = c;
	return r;
}

static bool is_image_name(const char *name)
{
	static const char *const suffixes[] = {".vhd", ".vhdx", ".avhd", ".avhdx"};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(suffixes); i++)
		if (ibb_case_suffix(name, suffixes[i]))
			return true;
	return false;
}

/* A directory that cannot be read has nothing to offer. */
static int scan(const char *dir, struct ibb_candidates *c, struct ibb_error *err)
{
	const struct dirent *e;
	DIR *d = opendir(dir);
	int r = IBB_OK;

	while (d && !r && c->n <= IBB_LIMIT_CHAIN_SCAN && (e = readdir(d)))
		if (is_image_name(e->d_name))
			r = add(c, ibb_asprintf("%s/%s", dir, e->d_name), IBB_FOUND_ID, err);
	if (d)
		closedir(d);
	return r;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct ibb_candidate *)a)->path,
		      ((const struct ibb_candidate *)b)->path);
}

int ibb_candidates_beside(const char *child, struct ibb_candidates *ret, bool *ret_too_many,
			  struct ibb_error *err)
{
	struct ibb_candidates c = {0};
	struct places p = {0};
	int r = places_of(child, &p, err);
	bool too_many;

	for (size_t d = 0; d < p.n && !r; d++)
		r = scan(p.dirs[d], &c, err);
	places_clear(&p);
	if (r) {
		ibb_candidates_clear(&c);
		return r;
	}
	too_many = c.n > IBB_LIMIT_CHAIN_SCAN;
	if (too_many)
		ibb_candidates_clear(&c);
	if (c.n)
		qsort(c.list, c.n, sizeof(*c.list), by_path);
	*ret = c;
	*ret_too_many = too_many;
	return IBB_OK;
}
