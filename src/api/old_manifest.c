/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/old_manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/replace.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/path.h"

static bool is_aside_of(const char *name, const char *manifest)
{
	static const char tag[] = ".ibbake-", end[] = ".old";
	const size_t n = strlen(manifest), len = strlen(name);

	return len > 1 + n + sizeof(tag) + sizeof(end) && *name == '.' &&
	       strncmp(name + 1, manifest, n) == 0 &&
	       strncmp(name + 1 + n, tag, sizeof(tag) - 1) == 0 &&
	       strcmp(name + len - (sizeof(end) - 1), end) == 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(const char *dir, const char *manifest, struct ibb_old_manifest *m,
		struct ibb_error *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = IBB_OK;

	if (!d)
		return IBB_OK;
	while (!r && m->n_others < IBB_LIMIT_SIBLINGS && (e = readdir(d))) {
		if (!is_aside_of(e->d_name, manifest))
			continue;
		if (ibb_grow(&m->others, &m->cap_others, m->n_others, sizeof(*m->others)))
			r = ibb_err_nomem(err);
		else if (!(m->others[m->n_others] = ibb_asprintf("%s/%s", dir, e->d_name)))
			r = ibb_err_nomem(err);
		else
			m->n_others++;
	}
	closedir(d);
	if (!r && m->n_others)
		qsort(m->others, m->n_others, sizeof(*m->others), by_name);
	return r;
}

/* Whoever may write to the directory may put a file there: only the image's owner's, or our own. */
static bool is_trusted(const char *path, const struct stat *image)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_uid == geteuid() || st.st_uid == image->st_uid);
}

static int matches(const char *path, const struct stat *image, bool *ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	const char *bytes;
	char want[32];
	int r = IBB_OK;

	*ret = false;
	if (is_trusted(path, image))
		r = ibb_replace_load_manifest(path, &doc, err);
	if (r || !doc)
		return r;
	bytes = ibb_json_str(ibb_json_get(doc, "output"), "file_bytes");
	snprintf(want, sizeof(want), "%lld", (long long)image->st_size);
	*ret = bytes && strcmp(bytes, want) == 0;
	return IBB_OK;
}

/* The one that matches; n_others when none does, or several do. */
static int find(const struct ibb_old_manifest *m, const struct stat *image, size_t *ret,
		struct ibb_error *err)
{
	size_t found = m->n_others, n = 0;
	int r = IBB_OK;

	for (size_t i = 0; i < m->n_others && !r; i++) {
		bool is;

		r = matches(m->others[i], image, &is, err);
		if (r || !is)
			continue;
		found = i;
		n++;
	}
	if (!r)
		*ret = n == 1 ? found : m->n_others;
	return r;
}

/* When that fails it stays among the others. */
static int give_back(struct ibb_old_manifest *m, size_t i, const char *dir, const char *path,
		     struct ibb_error *err)
{
	struct ibb_aside a = {.path = ibb_strdup(path), .tmp = ibb_strdup(m->others[i])};
	IBB_AUTO_FREE char *name = ibb_strdup(path);
	struct ibb_error failed = {0};
	IBB_AUTO_FD int fd = -1;

	if (!a.path || !a.tmp || !name) {
		free(a.path);
		free(a.tmp);
		return ibb_err_nomem(err);
	}
	ibb_aside_back(&a, &failed);
	if (*failed.hint)
		return IBB_OK;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)fsync(fd);
	free(m->others[i]);
	memmove(&m->others[i], &m->others[i + 1], (m->n_others - i - 1) * sizeof(*m->others));
	m->n_others--;
	m->restored = IBB_TAKE(name);
	return IBB_OK;
}

int ibb_old_manifest_restore(const char *image, struct ibb_old_manifest *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *real = realpath(image, NULL);
	IBB_AUTO_FREE char *dir = real ? ibb_dir_of(real) : NULL;
	IBB_AUTO_FREE char *path = real ? ibb_asprintf("%s.manifest.json", real) : NULL;
	struct ibb_old_manifest m = {0};
	struct stat st;
	size_t found;
	int r;

	if (!real || stat(real, &st))
		return ibb_err_os(err, errno, "%s: resolve its path", image);
	if (!dir || !path)
		return ibb_err_nomem(err);
	r = list(dir, ibb_path_base(path), &m, err);
	if (!r)
		r = find(&m, &st, &found, err);
	if (!r && found < m.n_others)
		r = give_back(&m, found, dir, path, err);
	if (r)
		ibb_old_manifest_clear(&m);
	else
		*ret = m;
	return r;
}

void ibb_old_manifest_clear(struct ibb_old_manifest *m)
{
	for (size_t i = 0; i < m->n_others; i++)
		free(m->others[i]);
	free(m->others);
	free(m->restored);
	*m = (struct ibb_old_manifest){0};
}
