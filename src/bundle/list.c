/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names of the files of a bundle. */
#include <stdlib.h>

#include "base/path.h"
#include "base/utf16.h"
#include "bundle/internal.h"

int ibb_bundle_check_path(const char *path, struct ibb_error *err)
{
	IBB_AUTO_FREE char *normal = NULL;
	struct ibb_error why = {0};
	int r = ibb_path_normalize(path, &normal, &why);

	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (r)
		return ibb_err(err, IBB_E_UNSUPPORTED, "a path that may not be in a bundle: %s",
			       why.msg);
	if (strcmp(normal, path) != 0)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "a path that may not be in a bundle: '%s' would be '%s'", path,
			       normal);
	if (ibb_caseeq(path, IBB_BUNDLE_ABOUT) || ibb_caseeq(path, IBB_BUNDLE_SIG))
		return ibb_err(err, IBB_E_UNSUPPORTED, "a path that may not be in a bundle: '%s'",
			       path);
	return IBB_OK;
}

static int by_case(const void *a, const void *b)
{
	return ibb_casecmp(*(const char *const *)a, *(const char *const *)b);
}

/* Is what lies in front of one of its slashes a file? */
static int check_parents(const char *path, const char *const *sorted, size_t n,
			 struct ibb_error *err)
{
	for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		IBB_AUTO_FREE char *dir = ibb_strndup(path, (size_t)(p - path));

		if (!dir)
			return ibb_err_nomem(err);
		if (ibb_caseeq(dir, IBB_BUNDLE_ABOUT) || ibb_caseeq(dir, IBB_BUNDLE_SIG) ||
		    bsearch(&dir, sorted, n, sizeof(*sorted), by_case))
			return ibb_err(err, IBB_E_CONFLICT, "'%s' is a file, and '%s' lies in it",
				       dir, path);
	}
	return IBB_OK;
}

int ibb_bundle_check_paths(const char *const *paths, size_t n, struct ibb_error *err)
{
	IBB_AUTO_FREE const char **sorted = ibb_calloc_array(n, sizeof(*sorted));
	int r = IBB_OK;

	if (!sorted)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < n; i++)
		sorted[i] = paths[i];
	qsort(sorted, n, sizeof(*sorted), by_case);
	for (size_t i = 1; i < n; i++)
		if (by_case(&sorted[i - 1], &sorted[i]) == 0)
			return ibb_err(err, IBB_E_CONFLICT,
				       "two files of one name (in any case): '%s' and '%s'",
				       sorted[i - 1], sorted[i]);
	for (size_t i = 0; i < n && !r; i++)
		r = check_parents(sorted[i], sorted, n, err);
	return r;
}
