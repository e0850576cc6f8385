/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "pkgtest.h"

#include <dirent.h>

#include "base/utf16.h"
#include "dirsource.h"

const struct ibb_inf_target server_2019 = {IBB_ARCH_AMD64, 10, 0, 17763, 3, 0};
const struct ibb_inf_target server_2022 = {IBB_ARCH_AMD64, 10, 0, 20348, 3, 0};
const struct ibb_inf_target client_22h2 = {IBB_ARCH_AMD64, 10, 0, 19045, 1, 0};
const struct ibb_inf_target windows_81 = {IBB_ARCH_AMD64, 6, 3, 9600, 1, 0};

void memdir_add(struct memdir *d, const char *path, const void *data, size_t len)
{
	assert_true(d->n < IBB_ARRAY_SIZE(d->files));
	d->files[d->n++] = (struct memfile){path, data, len ? len : strlen(data)};
}

static const struct memfile *mem_find(const struct memdir *d, const char *path)
{
	const struct memfile *folded = NULL;

	for (size_t i = 0; i < d->n; i++) {
		if (strcmp(d->files[i].path, path) == 0)
			return &d->files[i];
		if (ibb_caseeq(d->files[i].path, path))
			folded = &d->files[i];
	}
	return folded;
}

static int mem_read(void *ctx, const char *path, uint64_t limit, struct ibb_buf *ret,
		    char **ret_spelling, struct ibb_error *err)
{
	const struct memfile *f = mem_find(ctx, path);
	IBB_AUTO_BUF struct ibb_buf b = {0};
	char *spelling;

	if (!f)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: not there", path);
	if (f->len > limit)
		return ibb_err(err, IBB_E_LIMIT, "%s: too large", path);
	if (ibb_buf_append(&b, f->data, f->len))
		return ibb_err_nomem(err);
	spelling = ibb_strdup(f->path);
	if (!spelling)
		return ibb_err_nomem(err);
	*ret = b;
	b = (struct ibb_buf){0};
	*ret_spelling = spelling;
	return IBB_OK;
}

struct ibb_package_source memsource(struct memdir *d)
{
	return (struct ibb_package_source){.read = mem_read, .ctx = d, .dir = "DIR"};
}

char *pkgtest_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = NULL;

	assert_true(asprintf(&dir, "%s/ibbake-test-XXXXXX", tmp && *tmp ? tmp : "/tmp") > 0);
	assert_non_null(mkdtemp(dir));
	return dir;
}

void pkgtest_rmdir(char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
	free(dir);
}

struct ibb_package *pkgtest_make(const struct mkpkg_opts *opts, const struct ibb_inf_target *t)
{
	struct mkpkg_opts o = *opts;
	struct ibb_package *p = NULL;
	struct ibb_package_source src;
	struct ibb_error err = {0};
	char *dir = pkgtest_dir();
	int rc;

	o.key_dir = PKGTEST_KEYS;
	src = dirsource(dir);
	assert_ok(mkpkg_write(dir, &o, &err), err);
	rc = ibb_package_load(&src, o.inf_name ? o.inf_name : "ibbdemo.inf", t, &p, &err);
	pkgtest_rmdir(dir);
	assert_ok(rc, err);
	return p;
}

struct ibb_package *pkgtest_real(const char *dir, const char *inf, const struct ibb_inf_target *t)
{
	struct ibb_package *p = NULL;
	struct ibb_package_source src;
	struct ibb_error err = {0};
	const char *path;
	char rel[256];

	snprintf(rel, sizeof(rel), "drivers/%s", dir);
	path = test_data(rel);
	if (!path)
		return NULL;
	src = dirsource(path);
	assert_ok(ibb_package_load(&src, inf, t, &p, &err), err);
	return p;
}
