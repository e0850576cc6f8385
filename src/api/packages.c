/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/packages.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/utf16.h"
#include "volume/volume.h"

/* ---- what did not become a candidate ---- */

static int passed_over(struct ibb_package_set *s, const char *dir, const char *inf,
		       const char *reason, struct ibb_error *err)
{
	struct ibb_passed_over *p;

	if (ibb_grow(&s->passed, &s->cap_passed, s->n_passed, sizeof(*s->passed)))
		return ibb_err_nomem(err);
	p = &s->passed[s->n_passed];
	*p = (struct ibb_passed_over){.path = ibb_asprintf("%s/%s", dir, inf),
				      .reason = ibb_strdup(reason)};
	if (!p->path || !p->reason) {
		free(p->path);
		free(p->reason);
		return ibb_err_nomem(err);
	}
	s->n_passed++;
	return IBB_OK;
}

/* ---- one INF ---- */

struct search {
	const struct ibb_package_search *how;
	const struct ibb_inf_target *t;
	struct ibb_package_set *set;
	unsigned n_files;
	struct ibb_error *err;
	bool recurse;
	/* the package being loaded */
	const char *dir, *shown;
	struct ibb_volume *volume;
	bool accepted;
};

/* An output must never replace what was read, cabinets included. */
int ibb_package_set_note_read(struct ibb_package_set *s, const char *path, struct ibb_error *err)
{
	if (ibb_grow(&s->read, &s->cap_read, s->n_read, sizeof(*s->read)))
		return ibb_err_nomem(err);
	s->read[s->n_read] = ibb_strdup(path);
	return s->read[s->n_read] ? (s->n_read++, IBB_OK) : ibb_err_nomem(err);
}

static int note_read(struct search *s, const char *name, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = NULL;

	if (s->shown != s->dir) /* a private copy; whoever made it notes the archive */
		return IBB_OK;
	path = ibb_asprintf("%s/%s", s->dir, name);
	return path ? ibb_package_set_note_read(s->set, path, err) : ibb_err_nomem(err);
}

/* The set keeps where a directory that is called otherwise lies. */
static int note_home(struct search *s)
{
	struct ibb_package_set *set = s->set;
	struct ibb_package_home h;

	if (s->shown == s->dir)
		return IBB_OK;
	h = (struct ibb_package_home){ibb_strdup(s->shown), ibb_strdup(s->dir)};
	if (!h.shown || !h.host ||
	    ibb_grow(&set->homes, &set->cap_homes, set->n_homes, sizeof(h))) {
		free(h.shown);
		free(h.host);
		return ibb_err_nomem(s->err);
	}
	set->homes[set->n_homes++] = h;
	return IBB_OK;
}

static const char *host_of(const struct ibb_package_set *s, const char *shown)
{
	for (size_t i = 0; i < s->n_homes; i++)
		if (strcmp(s->homes[i].shown, shown) == 0)
			return s->homes[i].host;
	return shown;
}

/* A package directory is read as a volume: its names are found whatever their case. Two names that
 * differ only in case are told apart by the INF's exact spelling. */
static int read_file(void *ctx, const char *path, uint64_t limit, struct ibb_buf *ret,
		     char **ret_spelling, struct ibb_error *err)
{
	struct search *s = ctx;
	IBB_AUTO_FREE char *exact = ibb_asprintf("%s/%s", s->dir, path), *spelling = NULL;
	struct stat st;
	int r;

	if (!exact)
		return ibb_err_nomem(err);
	if (lstat(exact, &st) == 0 && S_ISREG(st.st_mode)) {
		r = ibb_read_file(exact, limit, ret, err);
		spelling = ibb_strdup(path);
		if (!r && !spelling)
			r = ibb_err_nomem(err);
	} else {
		r = ibb_volume_spelling(s->volume, path, &spelling, err);
		if (!r)
			r = ibb_volume_read(s->volume, spelling, limit, ret, err);
	}
	if (!r)
		r = note_read(s, spelling, err);
	if (!r)
		*ret_spelling = IBB_TAKE(spelling);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* Sorted, so that the outcome does not depend on the host's directory order. *n_files counts on. */
static int read_names(const char *dir, unsigned *n_files, char ***ret, size_t *ret_n,
		      struct ibb_error *err)
{
	DIR *d = opendir(dir);
	char **names = NULL;
	size_t n = 0, cap = 0;
	struct dirent *e;
	int r = IBB_OK;

	if (!d && errno == ENOENT)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: there is no such directory", dir);
	if (!d)
		return ibb_err_os(err, errno, "%s: open the directory", dir);
	while (!r && (errno = 0, e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (++*n_files > IBB_LIMIT_SCAN_FILES)
			r = ibb_err(err, IBB_E_LIMIT, "%s: more than %u files to search", dir,
				    IBB_LIMIT_SCAN_FILES);
		else if (ibb_grow(&names, &cap, n, sizeof(*names)) ||
			 !(names[n] = ibb_strdup(e->d_name)))
			r = ibb_err_nomem(err);
		else
			n++;
	}
	if (!r && errno)
		r = ibb_err_os(err, errno, "%s: read the directory", dir);
	closedir(d);
	if (r) {
		free_names(names, n);
		return r;
	}
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	*ret = names;
	*ret_n = n;
	return IBB_OK;
}

/* The ith regular file whose name differs from this one in case only. IBB_E_NOTFOUND. */
static int variant(const char *dir, const char *name, size_t i, char **ret_path, char **ret_name,
		   struct ibb_error *err)
{
	char **names = NULL;
	unsigned n_files = 0;
	size_t n = 0;
	int r = read_names(dir, &n_files, &names, &n, err);

	if (r)
		return r;
	r = IBB_E_NOTFOUND;
	for (size_t k = 0; k < n && r == IBB_E_NOTFOUND; k++) {
		IBB_AUTO_FREE char *path = NULL;
		struct stat st;

		if (!ibb_caseeq(names[k], name) || strcmp(names[k], name) == 0)
			continue;
		path = ibb_asprintf("%s/%s", dir, names[k]);
		if (!path)
			r = ibb_err_nomem(err);
		else if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && i-- == 0) {
			*ret_name = ibb_strdup(names[k]);
			*ret_path = IBB_TAKE(path);
			r = *ret_name ? IBB_OK : ibb_err_nomem(err);
		}
	}
	free_names(names, n);
	return r;
}

/* Only beside a name that is spelt as it was asked for: else read_file() took the only one. */
static int read_other(void *ctx, const char *path, size_t i, uint64_t limit, struct ibb_buf *ret,
		      char **ret_spelling, struct ibb_error *err)
{
	struct search *s = ctx;
	IBB_AUTO_FREE char *exact = ibb_asprintf("%s/%s", s->dir, path), *file = NULL;
	struct stat st;
	int r;

	if (!exact)
		return ibb_err_nomem(err);
	if (strchr(path, '/') || lstat(exact, &st) || !S_ISREG(st.st_mode))
		return IBB_E_NOTFOUND;
	r = variant(s->dir, path, i, &file, ret_spelling, err);
	if (!r)
		r = ibb_read_file(file, limit, ret, err);
	return r ? r : note_read(s, *ret_spelling, err);
}

static bool lists(const struct ibb_inf_model *m, const char *id)
{
	if (ibb_caseeq(m->hardware_id, id))
		return true;
	for (size_t i = 0; i < m->n_compatible; i++)
		if (ibb_caseeq(m->compatible_ids[i], id))
			return true;
	return false;
}

/* A vendor's directory holds many INFs for other devices; their files need not even be there. */
static bool accept(void *ctx, const struct ibb_inf_models *models)
{
	struct search *s = ctx;

	s->accepted = !s->how->ids;
	for (size_t i = 0; i < models->n && !s->accepted; i++)
		for (size_t k = 0; k < s->how->n_ids && !s->accepted; k++)
			s->accepted = lists(&models->models[i], s->how->ids[k]);
	return s->accepted;
}

int ibb_package_set_pass_over(struct ibb_package_set *s, const char *dir, const char *inf,
			      const char *reason, bool bad, struct ibb_error *err)
{
	int r = passed_over(s, dir, inf, reason, err);

	if (!r)
		s->passed[s->n_passed - 1].bad = bad;
	return r;
}

/* Takes ownership of p; *ret is p, or the equal package that was there. */
static int join_set(struct ibb_package_set *s, struct ibb_package *p, struct ibb_package **ret,
		    struct ibb_error *err)
{
	for (size_t i = 0; i < s->n; i++)
		if (memcmp(&s->packages[i]->digest, &p->digest, sizeof(p->digest)) == 0) {
			ibb_package_free(p);
			*ret = s->packages[i];
			return IBB_OK;
		}
	if (s->n >= IBB_LIMIT_PACKAGES || ibb_grow(&s->packages, &s->cap, s->n, sizeof(p))) {
		ibb_package_free(p);
		return s->n >= IBB_LIMIT_PACKAGES
			       ? ibb_err(err, IBB_E_LIMIT, "more than %u driver packages found",
					 IBB_LIMIT_PACKAGES)
			       : ibb_err_nomem(err);
	}
	s->packages[s->n++] = p;
	*ret = p;
	return IBB_OK;
}

static int add_package(struct ibb_package_set *s, const char *dir, const char *inf,
		       struct ibb_package *p, struct ibb_error *err)
{
	struct ibb_package *in_set;
	int r = join_set(s, p, &in_set, err);

	if (!r && in_set != p)
		r = passed_over(s, dir, inf, "the same package was found before", err);
	return r;
}

/* The list of what was passed over names the directory itself. */
static int pass_over_with_error(struct search *s, const char *dir, const char *name, bool bad)
{
	size_t n = strlen(dir);
	bool prefixed = strncmp(s->err->msg, dir, n) == 0 && s->err->msg[n] == ':';
	int code = s->err->code;
	int r = ibb_package_set_pass_over(s->set, dir, name, s->err->msg + (prefixed ? n + 2 : 0),
					  bad, s->err);

	if (!r)
		s->set->passed[s->set->n_passed - 1].code = code;
	return r;
}

/* The package is missing or not whole: refused, not an I/O error. */
static int missing(struct search *s)
{
	s->err->code = IBB_E_UNSUPPORTED;
	return ibb_err_hint(s->err, IBB_E_UNSUPPORTED,
			    "extract the driver package again, with all its files");
}

static int try_inf(struct search *s, const char *host, const char *dir, const char *name)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;
	struct ibb_package_source src = {
		.read = read_file, .other = read_other, .accept = accept, .ctx = s, .dir = dir};
	struct ibb_package *p = NULL;
	int r = ibb_volume_open_dir(host, &v, s->err);

	if (r)
		return r;
	s->dir = host;
	s->shown = dir;
	s->volume = v;
	s->accepted = false;
	r = ibb_package_load(&src, name, s->t, &p, s->err);
	if ((r == IBB_E_UNSUPPORTED && !s->accepted && s->how->ids) ||
	    (r && r != IBB_E_NOMEM && s->how->keep_going))
		return pass_over_with_error(s, dir, name, s->how->keep_going);
	if (r == IBB_E_CORRUPT)
		return ibb_err_hint(s->err, r,
				    "get the package again, or move the file away if it is not "
				    "wanted: --drivers takes every INF it finds");
	if (r == IBB_E_NOTFOUND)
		return missing(s);
	if (!r)
		r = note_home(s);
	if (r) {
		ibb_package_free(p);
		return r;
	}
	return add_package(s->set, dir, name, p, s->err);
}

/* ---- the search ---- */

/* `dir` is what `host` is called, the same pointer when that is its name. */
static int search_dir(struct search *s, const char *host, const char *dir, unsigned depth)
{
	char **names = NULL;
	size_t n = 0;
	int r;

	if (depth > IBB_LIMIT_SCAN_DEPTH)
		return ibb_err(s->err, IBB_E_LIMIT, "%s: nested too deeply", dir);
	r = read_names(host, &s->n_files, &names, &n, s->err);
	for (size_t i = 0; i < n && !r; i++) {
		IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", host, names[i]), *other = NULL;
		const char *shown = path;
		struct stat st;

		if (dir != host)
			shown = other = ibb_asprintf("%s/%s", dir, names[i]);
		if (!path || !shown)
			r = ibb_err_nomem(s->err);
		else if (lstat(path, &st))
			r = ibb_err_os(s->err, errno, "%s: stat", path);
		else if (S_ISDIR(st.st_mode))
			r = s->recurse ? search_dir(s, path, shown, depth + 1) : IBB_OK;
		else if (ibb_case_suffix(names[i], ".inf") && stat(path, &st) == 0 &&
			 S_ISREG(st.st_mode))
			r = try_inf(s, host, dir, names[i]); /* a link to an INF counts, one to a
							  directory could lead anywhere */
	}
	free_names(names, n);
	return r;
}

int ibb_packages_find(const struct ibb_package_search *how, const struct ibb_inf_target *t,
		      struct ibb_package_set *ret, struct ibb_error *err)
{
	const char *const *dirs = how->dirs;
	struct ibb_package_set set = {0};
	struct ibb_error local;
	struct search s = {.how = how, .t = t, .set = &set, .err = err ? err : &local};
	int r = IBB_OK;

	for (size_t i = 0; i < how->n_dirs && !r; i++) {
		const char *name = how->names ? how->names[i] : NULL;
		size_t n = strlen(dirs[i]);
		IBB_AUTO_FREE char *dir = NULL;

		while (n > 1 && dirs[i][n - 1] == '/')
			n--;
		dir = ibb_strndup(dirs[i], n);
		s.recurse = how->recurse || name;
		r = dir ? search_dir(&s, dir, name ? name : dir, 0) : ibb_err_nomem(err);
	}
	if (r) {
		ibb_package_set_clear(&set);
		return r;
	}
	*ret = set;
	return IBB_OK;
}

int ibb_packages_companions(struct ibb_package_set *s, const struct ibb_package *p,
			    int (*fn)(void *ctx, struct ibb_package *companion,
				      struct ibb_error *err),
			    void *ctx, struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;
	const char *host = host_of(s, p->dir);
	struct search search = {.dir = host, .shown = p->dir, .set = s, .err = err};
	struct ibb_package_source src = {
		.read = read_file, .other = read_other, .ctx = &search, .dir = p->dir};
	struct ibb_package **list = NULL;
	size_t n = 0;
	int r;

	if (!p->n_companions)
		return IBB_OK;
	r = ibb_volume_open_dir(host, &v, err);
	search.volume = v;
	if (!r)
		r = ibb_package_load_companions(&src, p, &list, &n, err);
	if (r && !strstr(err->msg, p->dir))
		r = ibb_err_prefix(err, r, "%s", p->dir);
	for (size_t i = 0; i < n; i++) {
		struct ibb_package *in_set = NULL;

		if (r) {
			ibb_package_free(list[i]);
			continue;
		}
		r = join_set(s, list[i], &in_set, err);
		if (!r)
			r = fn(ctx, in_set, err);
	}
	free(list);
	/* like every missing piece of a package: refused, not an I/O error */
	return r == IBB_E_NOTFOUND ? missing(&search) : r;
}

void ibb_package_set_clear(struct ibb_package_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		ibb_package_free(s->packages[i]);
	for (size_t i = 0; i < s->n_passed; i++) {
		free(s->passed[i].path);
		free(s->passed[i].reason);
	}
	for (size_t i = 0; i < s->n_read; i++)
		free(s->read[i]);
	for (size_t i = 0; i < s->n_homes; i++) {
		free(s->homes[i].shown);
		free(s->homes[i].host);
	}
	free(s->homes);
	free(s->read);
	free(s->packages);
	free(s->passed);
	*s = (struct ibb_package_set){0};
}
