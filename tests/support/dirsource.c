/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dirsource.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/utf16.h"

/* The name in `dir` that `name` means: the exact one, else the only one that differs in case. */
static int lookup(const char *dir, const char *name, char **ret, struct ibb_error *err)
{
	DIR *d = opendir(dir);
	IBB_AUTO_FREE char *found = NULL;
	IBB_AUTO_FREE char *other = NULL;
	struct dirent *e;
	bool nomem = false;

	if (!d)
		return errno == ENOENT ? ibb_err(err, IBB_E_NOTFOUND, "%s: not there", dir)
				       : ibb_err_os(err, errno, "%s", dir);
	while (!nomem && (e = readdir(d))) {
		if (!ibb_caseeq(e->d_name, name))
			continue;
		if (strcmp(e->d_name, name) == 0) {
			free(IBB_TAKE(other));
			free(found);
			found = ibb_strdup(name);
			nomem = !found;
			break;
		}
		if (found) {
			free(other);
			other = ibb_strdup(e->d_name);
			nomem = !other;
		} else {
			found = ibb_strdup(e->d_name);
			nomem = !found;
		}
	}
	closedir(d);
	if (nomem)
		return ibb_err_nomem(err);
	if (other)
		return ibb_err(err, IBB_E_CONFLICT, "%s: %s could be %s or %s", dir, name,
			       strcmp(found, other) < 0 ? found : other,
			       strcmp(found, other) < 0 ? other : found);
	if (!found)
		return ibb_err(err, IBB_E_NOTFOUND, "%s/%s: not there", dir, name);
	*ret = IBB_TAKE(found);
	return IBB_OK;
}

static int dir_read(void *ctx, const char *path, uint64_t limit, struct ibb_buf *ret,
		    char **ret_spelling, struct ibb_error *err)
{
	IBB_AUTO_FREE char *host = ibb_strdup(ctx);
	const char *dir = ctx;
	int rc;

	if (!host)
		return ibb_err_nomem(err);
	while (*path) {
		size_t n = strcspn(path, "/");
		IBB_AUTO_FREE char *name = ibb_strndup(path, n);
		IBB_AUTO_FREE char *real = NULL;
		char *next;

		if (!name)
			return ibb_err_nomem(err);
		rc = lookup(host, name, &real, err);
		if (rc)
			return rc;
		next = ibb_asprintf("%s/%s", host, real);
		if (!next)
			return ibb_err_nomem(err);
		free(host);
		host = next;
		path += n + (path[n] == '/');
	}
	rc = ibb_read_file(host, limit, ret, err);
	if (rc)
		return rc;
	*ret_spelling = ibb_strdup(host + strlen(dir) + 1);
	return *ret_spelling ? IBB_OK : ibb_err_nomem(err);
}

struct ibb_package_source dirsource(const char *dir)
{
	return (struct ibb_package_source){.read = dir_read, .ctx = (void *)dir, .dir = dir};
}
